/* Stripe's lists of Checkout objects and of PaymentIntents, newest first, and what they add up to.
 * Source: providers/stripe.md, 1, 4.2 and 5; docs.stripe.com, Balance. */
#include "gateways/sandbox/stripe.h"

#include <string.h>

enum { LIST_MAX = 100, BODY_MAX = 512 * 1024 };

/* What is asked for, within its limits. */
struct range {
    int64_t limit, from, to;
    struct str intent;
};

static struct stripe_fault range_read(const struct stripe_request *rq, const char *const *known,
                                      struct range *out)
{
    const struct stripe_form *form = &rq->form;
    struct stripe_fault f = stripe_foreign(rq, known);
    *out = (struct range){10, 0, INT64_MAX, stripe_form_get(form, "payment_intent")};
    if (f.status == 0)
        f = stripe_read_i64(form, "limit", 1, LIST_MAX, &out->limit);
    if (f.status == 0)
        f = stripe_read_i64(form, "created[gte]", 0, INT64_MAX, &out->from);
    if (f.status == 0)
        f = stripe_read_i64(form, "created[lte]", 0, INT64_MAX, &out->to);
    return f;
}

/* An order is in both lists once its Checkout object has an intent. */
static bool is_in(const struct stripe_order *o, bool sessions, const struct range *r)
{
    bool there = sessions ? o->session : o->intent_id[0] != 0;
    return there && o->created_s >= r->from && o->created_s <= r->to &&
           (r->intent.n == 0 || str_eq(r->intent, str_c(o->intent_id)));
}

static void list(struct stripe_request *rq, bool sessions, struct range *r)
{
    const struct book *book = &rq->c->s->book;
    struct buf b;
    struct jsonw w = jw_into(&b);
    bool more = false;
    buf_init(&b, BODY_MAX);
    jw_open(&w);
    jw_c(&w, "object", "list");
    jw_key(&w, "data");
    jw_open_list(&w);
    for (int64_t n = (int64_t)book->n; n > 0 && !more; n--) {
        struct booking *booking = book_at(book, n);
        const struct stripe_order *o = CONTAINER_OF(booking, struct stripe_order, b);
        if (booking->provider != stripe_provider.name || !is_in(o, sessions, r))
            continue;
        more = r->limit-- == 0;
        if (!more && sessions)
            stripe_body_session(&w, o, false);
        else if (!more)
            stripe_body_intent(&w, o, false);
    }
    jw_close_list(&w);
    jw_bool(&w, "has_more", more);
    jw_c(&w, "url", sessions ? "/v1/checkout/sessions" : "/v1/payment_intents");
    jw_close(&w);
    stripe_answer(rq, 200, buf_view(&b), "list");
    buf_free(&b);
}

void stripe_session_list(struct stripe_request *rq)
{
    static const char *const known[] = {"limit",          "created[gte]", "created[lte]",
                                        "payment_intent", "status",       NULL};
    struct range r;
    struct stripe_fault f = range_read(rq, known, &r);
    if (f.status != 0)
        stripe_refuse(rq, f);
    else
        list(rq, true, &r);
}

void stripe_intent_list(struct stripe_request *rq)
{
    static const char *const known[] = {"limit", "created[gte]", "created[lte]", NULL};
    struct range r;
    struct stripe_fault f = range_read(rq, known, &r);
    if (f.status != 0)
        stripe_refuse(rq, f);
    else
        list(rq, false, &r);
}

/* What was received in a currency and not given back; a disputed payment is held back unless it is
 * won. */
static int64_t held(const struct stripe_order *o)
{
    bool lost = o->dispute != NULL && strcmp(o->dispute, "won") != 0;
    return lost ? 0 : o->received - o->refunded;
}

static void put_amount(struct jsonw *w, const char *currency, int64_t amount)
{
    jw_open(w);
    jw_i64(w, "amount", amount);
    jw_c(w, "currency", currency);
    jw_close(w);
}

void stripe_balance_get(struct stripe_request *rq)
{
    static const char *const currencies[] = {"rwf", "usd", "kes"};
    const struct book *book = &rq->c->s->book;
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, BODY_MAX);
    jw_open(&w);
    jw_c(&w, "object", "balance");
    jw_key(&w, "available");
    jw_open_list(&w);
    for (size_t i = 0; i < COUNT_OF(currencies); i++) {
        int64_t sum = 0;
        for (int64_t n = (int64_t)book->n; n > 0; n--) {
            struct booking *booking = book_at(book, n);
            const struct stripe_order *o = CONTAINER_OF(booking, struct stripe_order, b);
            if (booking->provider == stripe_provider.name &&
                strcmp(o->currency, currencies[i]) == 0)
                sum += held(o);
        }
        put_amount(&w, currencies[i], sum);
    }
    jw_close_list(&w);
    jw_bool(&w, "livemode", false);
    jw_key(&w, "pending");
    jw_open_list(&w);
    put_amount(&w, currencies[0], 0);
    jw_close_list(&w);
    jw_close(&w);
    stripe_answer(rq, 200, buf_view(&b), "balance");
    buf_free(&b);
}
