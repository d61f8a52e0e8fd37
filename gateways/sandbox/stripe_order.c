/* What becomes of an order at Stripe: an intent alone, or the one that a Checkout object owns.
 *
 *   requires_payment_method → (requires_action →) succeeded
 *                           ↘ processing → succeeded | requires_payment_method
 *                           ↘ requires_payment_method again, after a decline
 *
 * A Checkout object is open until a card is taken, or until it expires. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "gateways/sandbox/stripe.h"

#define DISPUTE_US US_PER_S
#define DISORDER_US (300 * US_PER_MS)

static void expire_time(void *ctx);
static void debit_time(void *ctx);
static void dispute_time(void *ctx);

/* ---- making and finding ---- */

static void order_free(struct stripe_order *o)
{
    timer_off(o->c->s->loop, &o->step);
    timer_off(o->c->s->loop, &o->expiry);
    free(o->reference);
    free(o->email);
    free(o->description);
    free(o->success_url);
    free(o->cancel_url);
    free(o->return_url);
    free(o->metadata);
    free(o->intent_metadata);
    free(o);
}

static void order_drop(struct booking *b)
{
    struct stripe_order *o = CONTAINER_OF(b, struct stripe_order, b);
    if (o->hh_intent.tbl != NULL)
        HASH_DELETE(hh_intent, o->c->by_intent, o);
    if (o->hh_charge.tbl != NULL)
        HASH_DELETE(hh_charge, o->c->by_charge, o);
    order_free(o);
}

/* What is shown to a customer has to lead here, as the caller has called us. */
struct stripe_order *stripe_order_new(struct stripe_request *rq, bool session)
{
    struct stripe_order *o = calloc(1, sizeof *o);
    struct str host = http_header(rq->x, STR("host"));
    if (o == NULL)
        return NULL;
    o->c = rq->c;
    o->session = session;
    o->created_s = stripe_now_s(rq->c);
    (void)snprintf(o->origin, sizeof o->origin, "http://%.*s",
                   STR_ARG(str_first(host, STRIPE_ORIGIN - 16)));
    o->b.provider = stripe_provider.name;
    o->b.queued_at_us = loop_wall_us(rq->c->s->loop);
    o->b.drop = order_drop;
    if (session)
        stripe_id(rq->c, "cs_test_", o->b.id, sizeof o->b.id);
    return o;
}

bool stripe_order_intend(struct stripe_order *o)
{
    struct stripe *c = o->c;
    if (o->intent_id[0] != 0)
        return true;
    stripe_id(c, "pi_", o->intent_id, sizeof o->intent_id);
    if (!o->session)
        memcpy(o->b.id, o->intent_id, sizeof o->intent_id);
    unsigned len = (unsigned)strlen(o->intent_id);
    HASH_ADD_KEYPTR(hh_intent, c->by_intent, o->intent_id, len, o);
    return o->hh_intent.tbl != NULL;
}

static const char *reference_of(const struct stripe_order *o, struct json **metadata)
{
    struct str text = str_c(o->intent_metadata);
    if (o->reference != NULL && o->reference[0] != 0)
        return o->reference;
    if (err_is(json_parse(text, metadata, NULL)))
        return "";
    struct str ours = json_str(json_get(*metadata, "reli"));
    return ours.p != NULL ? ours.p : "";
}

static bool book(struct stripe_request *rq, struct stripe_order *o)
{
    struct sandbox *s = rq->c->s;
    struct json *metadata = NULL;
    o->b.outcome = stripe_trick_words(o->trick);
    (void)snprintf(o->b.amount, sizeof o->b.amount, "%lld", (long long)o->amount);
    call_text(o->b.reference, sizeof o->b.reference, str_c(reference_of(o, &metadata)));
    json_free(metadata);
    (void)str_copy_c(o->b.organisation, sizeof o->b.organisation, STR("acct_sandbox"));
    call_url_hash(str_c(s->chaos.stripe_webhook_url), o->b.url_hash);
    if ((!o->session && !stripe_order_intend(o)) || err_is(book_add(&s->book, &o->b)))
        return false;
    (void)str_copy_c(rq->call.id, sizeof rq->call.id, str_c(o->b.id));
    (void)str_copy_c(rq->call.reference, sizeof rq->call.reference, str_c(o->b.reference));
    memcpy(rq->call.url_hash, o->b.url_hash, sizeof rq->call.url_hash);
    if (o->session)
        timer_set(s->loop, &o->expiry, (o->expires_s - o->created_s) * US_PER_S, expire_time, o);
    return true;
}

bool stripe_order_book(struct stripe_request *rq, struct stripe_order *o, struct stripe_fault f,
                       struct str key)
{
    o->trick = stripe_trick_of(o->amount);
    if (f.status == 0 && o->trick == STRIPE_TRICK_BUSY && stripe_sent_away(rq, key)) {
        order_drop(&o->b);
        return false;
    }
    if (f.status == 0 && o->trick == STRIPE_TRICK_DROPPED)
        f = stripe_internal();
    if (f.status == 0 && book(rq, o))
        return true;
    order_drop(&o->b);
    stripe_refuse(rq, f.status != 0 ? f : stripe_full());
    return false;
}

struct stripe_order *stripe_order_find(struct stripe *c, struct str id, bool session)
{
    struct booking *b = book_find(&c->s->book, id);
    if (b == NULL || b->provider != stripe_provider.name)
        return NULL;
    struct stripe_order *o = CONTAINER_OF(b, struct stripe_order, b);
    return o->session == session ? o : NULL;
}

struct stripe_order *stripe_order_by_intent(struct stripe *c, struct str id)
{
    struct stripe_order *o = NULL;
    if (id.n > 0)
        HASH_FIND(hh_intent, c->by_intent, id.p, (unsigned)id.n, o);
    return o;
}

struct stripe_order *stripe_order_by_charge(struct stripe *c, struct str id)
{
    struct stripe_order *o = NULL;
    if (id.n > 0)
        HASH_FIND(hh_charge, c->by_charge, id.p, (unsigned)id.n, o);
    return o;
}

/* ---- the way ---- */

/* The intent's events, which may come after those of Checkout. */
static void tell_intent(const struct stripe_order *o, const char *type)
{
    bool late = o->trick == STRIPE_TRICK_DISORDER;
    stripe_tell(o, type, STRIPE_OF_INTENT, late ? DISORDER_US : 0);
}

static void charge_new(struct stripe_order *o)
{
    struct stripe *c = o->c;
    if (o->hh_charge.tbl != NULL)
        HASH_DELETE(hh_charge, c->by_charge, o);
    memset(&o->hh_charge, 0, sizeof o->hh_charge);
    stripe_id(c, "ch_", o->charge_id, sizeof o->charge_id);
    unsigned len = (unsigned)strlen(o->charge_id);
    HASH_ADD_KEYPTR(hh_charge, c->by_charge, o->charge_id, len, o);
}

static void settle(struct stripe_order *o, bool paid)
{
    struct sandbox *s = o->c->s;
    o->b.result_code = paid ? "succeeded" : o->session ? "expired" : "canceled";
    if (paid)
        (void)str_copy_c(o->b.receipt, sizeof o->b.receipt, str_c(o->intent_id));
    book_settle(&s->book, &o->b, paid ? BOOKING_PAID : BOOKING_FAILED, loop_wall_us(s->loop));
}

static void complete(struct stripe_order *o, bool unpaid)
{
    timer_off(o->c->s->loop, &o->expiry);
    o->status = STRIPE_COMPLETE;
    o->unpaid = unpaid;
    if (o->session)
        stripe_tell(o, "checkout.session.completed", STRIPE_OF_SESSION, 0);
}

static void succeed(struct stripe_order *o)
{
    bool debit = o->intent == STRIPE_PROCESSING;
    o->intent = STRIPE_SUCCEEDED;
    o->declined = false;
    o->received = o->amount;
    o->unpaid = false;
    settle(o, true);
    stripe_tell(o, "charge.succeeded", STRIPE_OF_CHARGE, 0);
    tell_intent(o, "payment_intent.succeeded");
    if (debit && o->session)
        stripe_tell(o, "checkout.session.async_payment_succeeded", STRIPE_OF_SESSION, 0);
    else if (!debit)
        complete(o, false);
    if (o->card->end == STRIPE_CARD_DISPUTED)
        timer_set(o->c->s->loop, &o->step, DISPUTE_US, dispute_time, o);
}

static void decline(struct stripe_order *o)
{
    bool debit = o->intent == STRIPE_PROCESSING;
    o->intent = STRIPE_REQUIRES_PAYMENT_METHOD;
    o->declined = true;
    tell_intent(o, "payment_intent.payment_failed");
    if (debit && o->session) {
        settle(o, false);
        stripe_tell(o, "checkout.session.async_payment_failed", STRIPE_OF_SESSION, 0);
    }
}

void stripe_order_try(struct stripe_order *o, const struct stripe_card *card)
{
    o->card = card;
    o->declined = false;
    switch (card->end) {
    case STRIPE_CARD_3DS:
    case STRIPE_CARD_3DS_NO:
        o->intent = STRIPE_REQUIRES_ACTION;
        tell_intent(o, "payment_intent.requires_action");
        break;
    case STRIPE_CARD_DECLINED:
        charge_new(o);
        decline(o);
        break;
    case STRIPE_CARD_DEBIT:
    case STRIPE_CARD_DEBIT_FAILS:
        charge_new(o);
        o->intent = STRIPE_PROCESSING;
        tell_intent(o, "payment_intent.processing");
        complete(o, true);
        timer_set(o->c->s->loop, &o->step, o->c->s->chaos.delay_ms * US_PER_MS, debit_time, o);
        break;
    case STRIPE_CARD_PAID:
    case STRIPE_CARD_DISPUTED:
        charge_new(o);
        succeed(o);
        break;
    }
}

void stripe_order_authenticated(struct stripe_order *o, bool well)
{
    static const struct stripe_card refused = {
        "",    STRIPE_CARD_DECLINED, "payment_intent_authentication_failure", NULL, NULL, false,
        false, "3-D Secure refused"};
    charge_new(o);
    if (!well)
        o->card = &refused;
    if (well && o->card->end == STRIPE_CARD_3DS)
        succeed(o);
    else
        decline(o);
}

static void debit_time(void *ctx)
{
    struct stripe_order *o = ctx;
    if (o->card->end == STRIPE_CARD_DEBIT)
        succeed(o);
    else
        decline(o);
}

static void dispute_time(void *ctx)
{
    stripe_dispute_open(ctx);
}

void stripe_order_cancel(struct stripe_order *o)
{
    timer_off(o->c->s->loop, &o->step);
    o->intent = STRIPE_CANCELED;
    if (!o->session)
        settle(o, false);
    tell_intent(o, "payment_intent.canceled");
}

void stripe_order_expire(struct stripe_order *o)
{
    timer_off(o->c->s->loop, &o->expiry);
    if (o->intent_id[0] != 0)
        stripe_order_cancel(o);
    o->status = STRIPE_EXPIRED;
    settle(o, false);
    stripe_tell(o, "checkout.session.expired", STRIPE_OF_SESSION, 0);
}

static void expire_time(void *ctx)
{
    stripe_order_expire(ctx);
}
