/* Stripe's PaymentIntents without Checkout: create, confirm with a test payment method, look up,
 * cancel. Source: providers/stripe.md, 4.1 and 5. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateways/sandbox/stripe.h"

enum { AMOUNT_LIMIT = 1000000000, TYPES_MAX = 10, BODY_MAX = 128 * 1024 };

static struct stripe_fault unexpected_state(void)
{
    struct stripe_fault f = stripe_invalid("", "The PaymentIntent's status does not allow this.");
    f.code = "payment_intent_unexpected_state";
    return f;
}

static void answer(struct stripe_request *rq, const struct stripe_order *o, enum stripe_trick trick,
                   const char *outcome)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    bool expand = str_eq(stripe_form_get(&rq->form, "expand[0]"), STR("latest_charge"));
    buf_init(&b, BODY_MAX);
    stripe_body_intent(&w, o, expand);
    stripe_answer_by(rq, trick, buf_view(&b), outcome);
    buf_free(&b);
}

/* The payment method of the request; NULL if it names none. */
static struct stripe_fault read_card(const struct stripe_request *rq,
                                     const struct stripe_card **card)
{
    static const struct stripe_fault fine = {0};
    struct str token = stripe_form_get(&rq->form, "payment_method");
    *card = stripe_card_of(token);
    return token.p != NULL && *card == NULL ? stripe_no_such(token) : fine;
}

static void confirm(struct stripe_request *rq, struct stripe_order *o,
                    const struct stripe_card *card, enum stripe_trick trick)
{
    bool error = false;
    struct stripe_fault f = stripe_read_bool(&rq->form, "error_on_requires_action", &error);
    bool asks = card->end == STRIPE_CARD_3DS || card->end == STRIPE_CARD_3DS_NO;
    struct str back = STR("");
    if (f.status == 0)
        f = stripe_read_url(&rq->form, "return_url", &back);
    if (f.status == 0 && back.n > 0) {
        free(o->return_url);
        o->return_url = stripe_dup(back);
    }
    if (f.status == 0 && asks && error) {
        f = stripe_invalid("", "This payment requires additional action before it can be done.");
        f.status = 402;
        f.type = "card_error";
        f.code = "authentication_required";
    }
    if (f.status != 0) {
        stripe_refuse(rq, f);
        return;
    }
    stripe_order_try(o, card);
    if (o->declined) {
        struct buf b;
        buf_init(&b, BODY_MAX);
        stripe_body_declined(&b, o);
        stripe_refuse_body(rq, 402, buf_view(&b), card->words);
        buf_free(&b);
        return;
    }
    answer(rq, o, trick, card->words);
}

static struct stripe_fault check(const struct stripe_request *rq, struct stripe_order *o)
{
    static const char *const known[] = {"amount",
                                        "currency",
                                        "automatic_payment_methods[enabled]",
                                        "automatic_payment_methods[allow_redirects]",
                                        "allowed_payment_method_types[#]",
                                        "payment_method",
                                        "confirm",
                                        "return_url",
                                        "error_on_requires_action",
                                        "off_session",
                                        "description",
                                        "receipt_email",
                                        "statement_descriptor_suffix",
                                        "metadata[*]",
                                        "expand[#]",
                                        NULL};
    struct stripe_fault f = stripe_foreign(rq, known);
    o->amount = -1;
    if (f.status == 0)
        f = stripe_read_i64(&rq->form, "amount", 0, AMOUNT_LIMIT, &o->amount);
    if (f.status == 0 && o->amount < 0)
        f = stripe_missing("amount");
    if (f.status == 0)
        f = stripe_read_currency(&rq->form, "currency", o->currency);
    if (f.status == 0)
        f = stripe_check_amount("amount", o->amount, o->currency);
    if (f.status == 0)
        f = stripe_read_metadata(&rq->form, "metadata", &o->intent_metadata);
    o->description = stripe_dup(stripe_form_get(&rq->form, "description"));
    o->email = stripe_dup(stripe_form_get(&rq->form, "receipt_email"));
    return f.status == 0 && (o->description == NULL || o->email == NULL) ? stripe_full() : f;
}

/* Whether the methods that the request allows have this one among them. */
static struct stripe_fault check_type(const struct stripe_request *rq,
                                      const struct stripe_card *card)
{
    static const struct stripe_fault fine = {0};
    bool debit = card->end == STRIPE_CARD_DEBIT || card->end == STRIPE_CARD_DEBIT_FAILS;
    struct str want = debit ? STR("us_bank_account") : STR("card"), type;
    char key[64];
    for (int i = 0; i < TYPES_MAX; i++) {
        (void)snprintf(key, sizeof key, "allowed_payment_method_types[%d]", i);
        type = stripe_form_get(&rq->form, key);
        if (type.p == NULL && i == 0)
            return fine;
        if (type.p != NULL && str_eq(type, want))
            return fine;
    }
    return stripe_invalid("payment_method", "The payment method's type is not allowed: %s");
}

void stripe_intent_create(struct stripe_request *rq)
{
    const struct stripe_card *card = NULL;
    bool now = false;
    struct stripe_order *o = stripe_order_new(rq, false);
    if (o == NULL) {
        stripe_refuse(rq, stripe_full());
        return;
    }
    struct stripe_fault f = check(rq, o);
    if (f.status == 0)
        f = stripe_read_bool(&rq->form, "confirm", &now);
    if (f.status == 0)
        f = read_card(rq, &card);
    if (f.status == 0 && now && card == NULL)
        f = stripe_missing("payment_method");
    if (f.status == 0 && card != NULL)
        f = check_type(rq, card);
    if (!stripe_order_book(rq, o, f, http_header(rq->x, STR("idempotency-key"))))
        return;
    o->card = card;
    if (card != NULL)
        o->intent = STRIPE_REQUIRES_CONFIRMATION;
    if (now)
        confirm(rq, o, card, o->trick);
    else
        answer(rq, o, o->trick, o->b.outcome);
}

/* The intent of the path; NULL after having answered. */
static struct stripe_order *intent_of(struct stripe_request *rq, const char *const *known)
{
    struct stripe_order *o = stripe_order_by_intent(rq->c, rq->x->params[0]);
    struct stripe_fault f = stripe_foreign(rq, known);
    if (f.status == 0 && o == NULL)
        f = stripe_no_such(rq->x->params[0]);
    if (f.status != 0) {
        stripe_refuse(rq, f);
        return NULL;
    }
    call_text(rq->call.reference, sizeof rq->call.reference, str_c(o->b.reference));
    return o;
}

void stripe_intent_get(struct stripe_request *rq)
{
    static const char *const known[] = {"expand[#]", NULL};
    struct stripe_order *o = intent_of(rq, known);
    if (o == NULL)
        return;
    o->b.queries++;
    answer(rq, o, STRIPE_TRICK_NONE, "query");
}

void stripe_intent_confirm(struct stripe_request *rq)
{
    static const char *const known[] = {"payment_method",           "return_url", "off_session",
                                        "error_on_requires_action", "expand[#]",  NULL};
    const struct stripe_card *card = NULL;
    struct stripe_order *o = intent_of(rq, known);
    if (o == NULL)
        return;
    struct stripe_fault f = read_card(rq, &card);
    if (card == NULL && o->intent == STRIPE_REQUIRES_CONFIRMATION)
        card = o->card;
    if (f.status == 0 && card == NULL)
        f = stripe_missing("payment_method");
    if (f.status == 0 && (o->session || (o->intent != STRIPE_REQUIRES_PAYMENT_METHOD &&
                                         o->intent != STRIPE_REQUIRES_CONFIRMATION)))
        f = unexpected_state();
    if (f.status != 0)
        stripe_refuse(rq, f);
    else
        confirm(rq, o, card, STRIPE_TRICK_NONE);
}

void stripe_intent_cancel(struct stripe_request *rq)
{
    static const char *const known[] = {"cancellation_reason", NULL};
    static const char *const reasons[] = {"duplicate", "fraudulent", "requested_by_customer",
                                          "abandoned"};
    struct stripe_order *o = intent_of(rq, known);
    struct str reason = stripe_form_get(&rq->form, "cancellation_reason");
    const char *why = NULL;
    if (o == NULL)
        return;
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (str_eq(reason, str_c(reasons[i])))
            why = reasons[i];
    if (reason.p != NULL && why == NULL) {
        stripe_refuse(rq, stripe_invalid("cancellation_reason", "Invalid %s"));
        return;
    }
    if (o->session || o->intent == STRIPE_SUCCEEDED || o->intent == STRIPE_CANCELED ||
        o->intent == STRIPE_PROCESSING) {
        stripe_refuse(rq, unexpected_state());
        return;
    }
    o->why_canceled = why;
    stripe_order_cancel(o);
    answer(rq, o, STRIPE_TRICK_NONE, "canceled");
}
