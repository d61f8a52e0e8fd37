/* Stripe's Checkout: create, look up, expire. Source: providers/stripe.md, 4.2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateways/sandbox/stripe.h"

enum {
    ITEMS_MAX = 10,
    REFERENCE_MAX = 200,
    NAME_BYTES = 250,
    AMOUNT_LIMIT = 1000000000,
    EXPIRES_MIN_S = 30 * 60,
    EXPIRES_MAX_S = 24 * 60 * 60,
    CLOCKS_S = 60, /* between the caller and us */
    BODY_MAX = 512 * 1024
};

/* ---- what may be asked for ---- */

static struct stripe_fault read_item(const struct stripe_request *rq, int i, struct stripe_order *o)
{
    char key[96], currency[STRIPE_CURRENCY];
    int64_t quantity = 0, amount = -1;
    (void)snprintf(key, sizeof key, "line_items[%d][quantity]", i);
    struct stripe_fault f = stripe_read_i64(&rq->form, key, 1, 999999, &quantity);
    if (f.status == 0 && quantity == 0)
        f = stripe_missing(key);
    (void)snprintf(key, sizeof key, "line_items[%d][price_data][currency]", i);
    if (f.status == 0)
        f = stripe_read_currency(&rq->form, key, currency);
    if (f.status == 0 && i > 0 && strcmp(currency, o->currency) != 0)
        f = stripe_invalid(key, "All line items have to be of one currency");
    (void)snprintf(key, sizeof key, "line_items[%d][price_data][unit_amount]", i);
    if (f.status == 0)
        f = stripe_read_i64(&rq->form, key, 0, AMOUNT_LIMIT, &amount);
    if (f.status == 0 && amount < 0)
        f = stripe_missing(key);
    (void)snprintf(key, sizeof key, "line_items[%d][price_data][product_data][name]", i);
    struct str name = stripe_form_get(&rq->form, key);
    if (f.status == 0 && name.n == 0)
        f = stripe_missing(key);
    if (f.status == 0 && (name.n > NAME_BYTES || !utf8_valid(name)))
        f = stripe_invalid(key, "Invalid string: %s");
    if (f.status != 0)
        return f;
    memcpy(o->currency, currency, sizeof currency);
    o->amount += quantity * amount;
    return f;
}

static struct stripe_fault read_items(const struct stripe_request *rq, struct stripe_order *o)
{
    struct stripe_fault f = stripe_missing("line_items");
    char key[64];
    for (int i = 0; i < ITEMS_MAX; i++) {
        (void)snprintf(key, sizeof key, "line_items[%d]", i);
        bool there = false;
        for (size_t k = 0; k < rq->form.n; k++)
            there |= str_starts(rq->form.keys[k], str_c(key));
        if (!there)
            break;
        f = read_item(rq, i, o);
        if (f.status != 0)
            return f;
    }
    return f.status != 0 ? f : stripe_check_amount("line_items", o->amount, o->currency);
}

static struct stripe_fault read_rest(const struct stripe_request *rq, struct stripe_order *o)
{
    const struct stripe_form *form = &rq->form;
    struct str success = STR_NULL, cancel = STR(""), type;
    struct str reference = stripe_form_get(form, "client_reference_id");
    struct str ui = stripe_form_get(form, "ui_mode");
    o->expires_s = o->created_s + EXPIRES_MAX_S;
    struct stripe_fault f = stripe_read_url(form, "success_url", &success);
    if (f.status == 0 && success.p == NULL)
        f = stripe_missing("success_url");
    if (f.status == 0)
        f = stripe_read_url(form, "cancel_url", &cancel);
    if (f.status == 0 && reference.n > REFERENCE_MAX)
        f = stripe_invalid("client_reference_id", "Invalid string: %s is too long");
    if (f.status == 0 && ui.p != NULL && !str_eq(ui, STR("hosted_page")))
        f = stripe_invalid("ui_mode", "Only hosted_page is played here: %s");
    if (f.status == 0)
        f = stripe_read_i64(form, "expires_at", o->created_s + EXPIRES_MIN_S - CLOCKS_S,
                            o->created_s + EXPIRES_MAX_S + CLOCKS_S, &o->expires_s);
    type = stripe_form_get(form, "allowed_payment_method_types[0]");
    if (f.status == 0 && type.p != NULL && !str_eq(type, STR("card")) &&
        !str_eq(type, STR("us_bank_account")))
        f = stripe_invalid("allowed_payment_method_types[0]", "Invalid %s");
    if (f.status == 0)
        f = stripe_read_metadata(form, "metadata", &o->metadata);
    if (f.status == 0)
        f = stripe_read_metadata(form, "payment_intent_data[metadata]", &o->intent_metadata);
    o->success_url = stripe_dup(success);
    o->cancel_url = stripe_dup(cancel);
    o->reference = stripe_dup(reference);
    o->email = stripe_dup(stripe_form_get(form, "customer_email"));
    o->description = stripe_dup(stripe_form_get(form, "payment_intent_data[description]"));
    bool whole = o->success_url != NULL && o->cancel_url != NULL && o->reference != NULL &&
                 o->email != NULL && o->description != NULL;
    return f.status == 0 && !whole ? stripe_full() : f;
}

static struct stripe_fault check(const struct stripe_request *rq, struct stripe_order *o)
{
    static const char *const known[] = {"mode",
                                        "line_items[#][quantity]",
                                        "line_items[#][price_data][currency]",
                                        "line_items[#][price_data][unit_amount]",
                                        "line_items[#][price_data][product_data][name]",
                                        "line_items[#][price_data][product_data][description]",
                                        "success_url",
                                        "cancel_url",
                                        "client_reference_id",
                                        "customer_email",
                                        "expires_at",
                                        "allowed_payment_method_types[#]",
                                        "metadata[*]",
                                        "payment_intent_data[metadata][*]",
                                        "payment_intent_data[description]",
                                        "locale",
                                        "submit_type",
                                        "ui_mode",
                                        NULL};
    struct str mode = stripe_form_get(&rq->form, "mode");
    struct stripe_fault f = stripe_foreign(rq, known);
    if (f.status == 0 && mode.p == NULL)
        f = stripe_missing("mode");
    if (f.status == 0 && !str_eq(mode, STR("payment")))
        f = stripe_invalid("mode", "Only payment is played here: %s");
    if (f.status == 0)
        f = read_items(rq, o);
    return f.status == 0 ? read_rest(rq, o) : f;
}

/* ---- doors ---- */

static void answer(struct stripe_request *rq, const struct stripe_order *o, enum stripe_trick trick,
                   bool expand, const char *outcome)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, BODY_MAX);
    stripe_body_session(&w, o, expand);
    stripe_answer_by(rq, trick, buf_view(&b), outcome);
    buf_free(&b);
}

void stripe_session_create(struct stripe_request *rq)
{
    struct stripe_order *o = stripe_order_new(rq, true);
    if (o == NULL) {
        stripe_refuse(rq, stripe_full());
        return;
    }
    struct stripe_fault f = check(rq, o);
    if (stripe_order_book(rq, o, f, stripe_form_get(&rq->form, "client_reference_id")))
        answer(rq, o, o->trick, false, o->b.outcome);
}

static bool expands(const struct stripe_request *rq, const char *what)
{
    return str_eq(stripe_form_get(&rq->form, "expand[0]"), str_c(what));
}

void stripe_session_get(struct stripe_request *rq)
{
    static const char *const known[] = {"expand[#]", NULL};
    struct stripe_order *o = stripe_order_find(rq->c, rq->x->params[0], true);
    struct stripe_fault f = stripe_foreign(rq, known);
    if (f.status == 0 && o == NULL)
        f = stripe_no_such(rq->x->params[0]);
    if (f.status != 0) {
        stripe_refuse(rq, f);
        return;
    }
    o->b.queries++;
    call_text(rq->call.reference, sizeof rq->call.reference, str_c(o->b.reference));
    answer(rq, o, STRIPE_TRICK_NONE, expands(rq, "payment_intent"), "query");
}

void stripe_session_expire(struct stripe_request *rq)
{
    struct stripe_order *o = stripe_order_find(rq->c, rq->x->params[0], true);
    if (o == NULL) {
        stripe_refuse(rq, stripe_no_such(rq->x->params[0]));
        return;
    }
    if (o->status != STRIPE_OPEN) {
        stripe_refuse(rq, stripe_invalid("", "Only Checkout objects with a status of open can be "
                                             "expired."));
        return;
    }
    stripe_order_expire(o);
    answer(rq, o, STRIPE_TRICK_NONE, false, "expired");
}
