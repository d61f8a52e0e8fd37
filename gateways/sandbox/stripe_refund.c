/* Stripe's refunds: succeeded at once, pending first, or failed days later (here after delay_ms),
 * as the payment method of the payment says. Source: providers/stripe.md, 6 and 11. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "gateways/sandbox/stripe.h"

enum { LIST_MAX = 100, AMOUNT_LIMIT = 1000000000, BODY_MAX = 256 * 1024 };

static void answer(struct stripe_request *rq, const struct stripe_refund *r,
                   enum stripe_trick trick, const char *outcome)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, BODY_MAX);
    stripe_body_refund(&w, r);
    stripe_answer_by(rq, trick, buf_view(&b), outcome);
    buf_free(&b);
}

/* ---- life ---- */

static void refund_drop(struct payback *p)
{
    struct stripe_refund *r = CONTAINER_OF(p, struct stripe_refund, p);
    if (r->hh_id.tbl != NULL)
        HASH_DELETE(hh_id, r->c->by_refund, r);
    timer_off(r->c->s->loop, &r->step);
    free(r->metadata);
    free(r);
}

static void settle(struct stripe_refund *r, bool well)
{
    struct sandbox *s = r->c->s;
    r->status = well ? "succeeded" : "failed";
    r->failure = well ? NULL : "expired_or_canceled_card";
    r->p.result_code = well ? "succeeded" : "expired_or_canceled_card";
    if (well)
        (void)str_copy_c(r->p.transaction_id, sizeof r->p.transaction_id, str_c(r->p.id));
    payback_settle(&s->paybacks, &r->p, well ? PAYBACK_PAID : PAYBACK_FAILED,
                   loop_wall_us(s->loop));
}

/* A refund that is reversed gives its amount back to what may be refunded. */
static void later(void *ctx)
{
    struct stripe_refund *r = ctx;
    bool fails = r->of->card->refund_fails;
    if (fails) {
        r->of->refunded -= r->amount;
        r->of->b.reversed = r->of->refunded;
    }
    settle(r, !fails);
    stripe_tell_refund(r, "refund.updated");
    if (fails)
        stripe_tell_refund(r, "refund.failed");
}

/* A refund that fails later has succeeded first, as far as anybody is told; the book says how it
 * ends. */
static void begin(struct stripe_refund *r)
{
    const struct stripe_card *card = r->of->card;
    struct sandbox *s = r->c->s;
    r->of->refunded += r->amount;
    r->of->b.reversed = r->of->refunded;
    r->status = card->refund_pending ? "pending" : "succeeded";
    if (!card->refund_pending && !card->refund_fails)
        settle(r, true);
    else
        timer_set(s->loop, &r->step, s->chaos.delay_ms * US_PER_MS, later, r);
    stripe_tell_refund(r, "refund.created");
    stripe_tell(r->of, "charge.refunded", STRIPE_OF_CHARGE, 0);
}

/* ---- create ---- */

static struct stripe_fault coded(const char *param, const char *code, const char *message)
{
    struct stripe_fault f = stripe_invalid(param, message);
    f.code = code;
    return f;
}

static struct stripe_fault read_order(const struct stripe_request *rq, struct stripe_order **out)
{
    struct str intent = stripe_form_get(&rq->form, "payment_intent");
    struct str charge = stripe_form_get(&rq->form, "charge");
    if ((intent.p == NULL) == (charge.p == NULL))
        return stripe_invalid("payment_intent", "Send one of charge and %s");
    *out = intent.p != NULL ? stripe_order_by_intent(rq->c, intent)
                            : stripe_order_by_charge(rq->c, charge);
    if (*out == NULL)
        return stripe_no_such(intent.p != NULL ? intent : charge);
    if ((*out)->intent != STRIPE_SUCCEEDED)
        return stripe_invalid("payment_intent", "This PaymentIntent does not have a successful "
                                                "charge to refund.");
    if ((*out)->dispute != NULL)
        return coded("", "charge_disputed", "The charge has been charged back.");
    return (struct stripe_fault){0};
}

static struct stripe_fault check(const struct stripe_request *rq, struct stripe_refund *r)
{
    static const char *const known[] = {"payment_intent", "charge",      "amount",
                                        "reason",         "metadata[*]", NULL};
    static const char *const reasons[] = {"duplicate", "fraudulent", "requested_by_customer"};
    struct str reason = stripe_form_get(&rq->form, "reason");
    struct stripe_fault f = stripe_foreign(rq, known);
    if (f.status == 0)
        f = read_order(rq, &r->of);
    if (f.status != 0)
        return f;
    int64_t left = r->of->amount - r->of->refunded;
    r->amount = left;
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (str_eq(reason, str_c(reasons[i])))
            r->reason = reasons[i];
    if (reason.p != NULL && r->reason == NULL)
        return stripe_invalid("reason", "Invalid %s");
    if (left == 0)
        return coded("", "charge_already_refunded", "The charge has already been refunded.");
    f = stripe_read_i64(&rq->form, "amount", 1, AMOUNT_LIMIT, &r->amount);
    if (f.status == 0 && r->amount > left)
        f = stripe_invalid("amount", "Refund amount is greater than unrefunded amount on charge");
    if (f.status == 0)
        f = stripe_read_metadata(&rq->form, "metadata", &r->metadata);
    return f;
}

/* Booked under an id of the caller's, or under its own. */
static bool book(struct stripe_request *rq, struct stripe_refund *r)
{
    struct stripe *c = rq->c;
    struct json *metadata = NULL;
    struct str ours = STR_NULL;
    if (!err_is(json_parse(str_c(r->metadata), &metadata, NULL)))
        ours = json_str(json_get(metadata, "reli"));
    stripe_id(c, "re_", r->p.id, sizeof r->p.id);
    call_text(r->p.originator_id, sizeof r->p.originator_id, ours.n > 0 ? ours : str_c(r->p.id));
    json_free(metadata);
    r->p.provider = stripe_provider.name;
    r->p.kind = "refund";
    r->p.outcome = r->of->card->words;
    r->p.queued_at_us = loop_wall_us(c->s->loop);
    r->p.drop = refund_drop;
    (void)str_copy_c(r->p.organisation, sizeof r->p.organisation, STR("acct_sandbox"));
    (void)str_copy_c(r->p.receipt, sizeof r->p.receipt, str_c(r->of->intent_id));
    (void)snprintf(r->p.amount, sizeof r->p.amount, "%lld", (long long)r->amount);
    call_url_hash(str_c(c->s->chaos.stripe_webhook_url), r->p.url_hash);
    payback_key(STR("stripe"), str_c(r->p.id), r->p.key);
    unsigned len = (unsigned)strlen(r->p.id);
    HASH_ADD_KEYPTR(hh_id, c->by_refund, r->p.id, len, r);
    return r->hh_id.tbl != NULL && !err_is(payback_add(&c->s->paybacks, &r->p));
}

void stripe_refund_create(struct stripe_request *rq)
{
    struct stripe_refund *r = calloc(1, sizeof *r);
    if (r == NULL) {
        stripe_refuse(rq, stripe_full());
        return;
    }
    r->c = rq->c;
    r->created_s = stripe_now_s(rq->c);
    struct stripe_fault f = check(rq, r);
    r->trick = stripe_trick_of(r->amount);
    bool busy = f.status == 0 && r->trick == STRIPE_TRICK_BUSY &&
                stripe_sent_away(rq, http_header(rq->x, STR("idempotency-key")));
    if (f.status == 0 && !busy && !book(rq, r))
        f = stripe_full();
    if (f.status != 0 || busy) {
        refund_drop(&r->p);
        if (!busy)
            stripe_refuse(rq, f);
        return;
    }
    (void)str_copy_c(rq->call.id, sizeof rq->call.id, str_c(r->p.id));
    begin(r);
    answer(rq, r, r->trick, r->p.outcome);
}

/* ---- look-ups ---- */

void stripe_refund_get(struct stripe_request *rq)
{
    struct stripe_refund *r = NULL;
    struct str id = rq->x->params[0];
    HASH_FIND(hh_id, rq->c->by_refund, id.p, (unsigned)id.n, r);
    if (r == NULL) {
        stripe_refuse(rq, stripe_no_such(id));
        return;
    }
    r->p.queries++;
    answer(rq, r, STRIPE_TRICK_NONE, "query");
}

void stripe_refund_list(struct stripe_request *rq)
{
    static const char *const known[] = {"payment_intent", "limit", NULL};
    struct str intent = stripe_form_get(&rq->form, "payment_intent");
    int64_t limit = 10;
    struct stripe_fault f = stripe_foreign(rq, known);
    if (f.status == 0)
        f = stripe_read_i64(&rq->form, "limit", 1, LIST_MAX, &limit);
    if (f.status == 0 && intent.p != NULL && stripe_order_by_intent(rq->c, intent) == NULL)
        f = stripe_no_such(intent);
    if (f.status != 0) {
        stripe_refuse(rq, f);
        return;
    }
    struct buf b;
    struct jsonw w = jw_into(&b);
    const struct payback_book *book_ = &rq->c->s->paybacks;
    bool more = false;
    buf_init(&b, BODY_MAX);
    jw_open(&w);
    jw_c(&w, "object", "list");
    jw_key(&w, "data");
    jw_open_list(&w);
    for (int64_t n = (int64_t)book_->n; n > 0 && !more; n--) {
        struct payback *p = payback_at(book_, n);
        const struct stripe_refund *r = CONTAINER_OF(p, struct stripe_refund, p);
        if (p->provider != stripe_provider.name ||
            (intent.p != NULL && !str_eq(intent, str_c(r->of->intent_id))))
            continue;
        p->queries++;
        more = limit-- == 0;
        if (!more)
            stripe_body_refund(&w, r);
    }
    jw_close_list(&w);
    jw_bool(&w, "has_more", more);
    jw_c(&w, "url", "/v1/refunds");
    jw_close(&w);
    stripe_answer(rq, 200, buf_view(&b), "list");
    buf_free(&b);
}
