/* Stripe's objects as JSON, in the shapes of its documents. Source: providers/stripe.md, 4 to 9. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateways/sandbox/stripe.h"

#define DAY_S 86400

static const char *intent_word(enum stripe_intent_status s)
{
    static const char *const words[] = {
#define X(name, word) [STRIPE_##name] = word,
        STRIPE_INTENT_STATUSES(X)
#undef X
    };
    return words[s];
}

/* null for none. */
static void put(struct jsonw *w, const char *name, const char *text)
{
    jw_str(w, name, str_c_opt(text));
}

static void put_list(struct jsonw *w, const char *name, const char *item)
{
    jw_key(w, name);
    jw_open_list(w);
    jw_c(w, NULL, item);
    jw_close_list(w);
}

static bool paid(const struct stripe_order *o)
{
    return o->intent == STRIPE_SUCCEEDED;
}

static const char *method_of(const struct stripe_order *o)
{
    bool debit = o->card != NULL &&
                 (o->card->end == STRIPE_CARD_DEBIT || o->card->end == STRIPE_CARD_DEBIT_FAILS);
    return debit ? "us_bank_account" : "card";
}

/* ---- Checkout ---- */

static void put_session_end(struct jsonw *w, const struct stripe_order *o, bool expand)
{
    static const char *const words[] = {"open", "complete", "expired"};
    char url[STRIPE_ORIGIN + 64];
    (void)snprintf(url, sizeof url, "%s/stripe/pay/%s", o->origin, o->b.id);
    jw_c(w, "mode", "payment");
    if (expand && o->intent_id[0] != 0) {
        jw_key(w, "payment_intent");
        stripe_body_intent(w, o, false);
    } else {
        put(w, "payment_intent", o->intent_id);
    }
    put_list(w, "payment_method_types", "card");
    jw_c(w, "payment_status", paid(o) ? "paid" : "unpaid");
    jw_c(w, "status", words[o->status]);
    put(w, "success_url", o->success_url);
    put(w, "url", o->status == STRIPE_OPEN ? url : NULL);
}

void stripe_body_session(struct jsonw *w, const struct stripe_order *o, bool expand)
{
    jw_open(w);
    jw_c(w, "id", o->b.id);
    jw_c(w, "object", "checkout.session");
    jw_i64(w, "amount_subtotal", o->amount);
    jw_i64(w, "amount_total", o->amount);
    put(w, "cancel_url", o->cancel_url);
    put(w, "client_reference_id", o->reference);
    jw_i64(w, "created", o->created_s);
    jw_c(w, "currency", o->currency);
    if (o->status == STRIPE_COMPLETE) {
        jw_key(w, "customer_details");
        jw_open(w);
        put(w, "email", o->email);
        jw_c(w, "name", "Jane Doe");
        jw_null(w, "phone");
        jw_close(w);
    } else {
        jw_null(w, "customer_details");
    }
    put(w, "customer_email", o->email);
    jw_i64(w, "expires_at", o->expires_s);
    jw_bool(w, "livemode", false);
    jw_raw(w, "metadata", str_c(o->metadata));
    put_session_end(w, o, expand);
    jw_close(w);
}

/* ---- intents ---- */

static void put_last_error(struct jsonw *w, const struct stripe_order *o)
{
    const struct stripe_card *card = o->card;
    if (!o->declined) {
        jw_null(w, "last_payment_error");
        return;
    }
    jw_key(w, "last_payment_error");
    jw_open(w);
    put(w, "advice_code", card->advice);
    put(w, "charge", o->charge_id);
    jw_c(w, "code", card->code);
    put(w, "decline_code", card->decline_code);
    jw_c(w, "message", "Your card was declined.");
    jw_c(w, "type", "card_error");
    jw_close(w);
}

static void put_next_action(struct jsonw *w, const struct stripe_order *o)
{
    char url[STRIPE_ORIGIN + 64];
    if (o->intent != STRIPE_REQUIRES_ACTION) {
        jw_null(w, "next_action");
        return;
    }
    (void)snprintf(url, sizeof url, "%s/stripe/3ds/%s", o->origin, o->intent_id);
    jw_key(w, "next_action");
    jw_open(w);
    jw_key(w, "redirect_to_url");
    jw_open(w);
    put(w, "return_url", o->session ? o->success_url : o->return_url);
    jw_c(w, "url", url);
    jw_close(w);
    jw_c(w, "type", "redirect_to_url");
    jw_close(w);
}

void stripe_body_intent(struct jsonw *w, const struct stripe_order *o, bool expand)
{
    char secret[64];
    bool canceled = o->intent == STRIPE_CANCELED;
    (void)snprintf(secret, sizeof secret, "%s_secret_sandbox", o->intent_id);
    jw_open(w);
    jw_c(w, "id", o->intent_id);
    jw_c(w, "object", "payment_intent");
    jw_i64(w, "amount", o->amount);
    jw_i64(w, "amount_capturable", 0);
    jw_i64(w, "amount_received", o->received);
    if (canceled)
        jw_i64(w, "canceled_at", stripe_now_s(o->c));
    else
        jw_null(w, "canceled_at");
    put(w, "cancellation_reason", !canceled ? NULL : o->session ? "expired" : o->why_canceled);
    jw_c(w, "capture_method", "automatic_async");
    jw_c(w, "client_secret", secret);
    jw_c(w, "confirmation_method", "automatic");
    jw_i64(w, "created", o->created_s);
    jw_c(w, "currency", o->currency);
    jw_null(w, "customer");
    put(w, "description", o->description);
    put_last_error(w, o);
    if (expand && o->charge_id[0] != 0) {
        jw_key(w, "latest_charge");
        stripe_body_charge(w, o);
    } else {
        put(w, "latest_charge", o->charge_id);
    }
    jw_bool(w, "livemode", false);
    jw_raw(w, "metadata", str_c(o->intent_metadata));
    put_next_action(w, o);
    put(w, "payment_method", o->card != NULL && !o->declined ? o->card->token : NULL);
    put_list(w, "payment_method_types", "card");
    jw_null(w, "processing");
    put(w, "receipt_email", o->email);
    jw_c(w, "status", intent_word(o->intent));
    jw_close(w);
}

void stripe_body_charge(struct jsonw *w, const struct stripe_order *o)
{
    bool pending = o->intent == STRIPE_PROCESSING;
    jw_open(w);
    jw_c(w, "id", o->charge_id);
    jw_c(w, "object", "charge");
    jw_i64(w, "amount", o->amount);
    jw_i64(w, "amount_captured", o->received);
    jw_i64(w, "amount_refunded", o->refunded);
    jw_key(w, "billing_details");
    jw_open(w);
    put(w, "email", o->email);
    jw_c(w, "name", "Jane Doe");
    jw_close(w);
    jw_bool(w, "captured", paid(o));
    jw_i64(w, "created", o->created_s);
    jw_c(w, "currency", o->currency);
    jw_bool(w, "disputed", o->dispute != NULL);
    put(w, "failure_code", o->declined ? o->card->code : NULL);
    put(w, "failure_message", o->declined ? "Your card was declined." : NULL);
    jw_bool(w, "livemode", false);
    jw_raw(w, "metadata", str_c(o->intent_metadata));
    jw_bool(w, "paid", paid(o));
    jw_c(w, "payment_intent", o->intent_id);
    jw_key(w, "payment_method_details");
    jw_open(w);
    jw_c(w, "type", method_of(o));
    jw_close(w);
    jw_bool(w, "refunded", paid(o) && o->refunded == o->amount);
    jw_c(w, "status", paid(o) ? "succeeded" : pending ? "pending" : "failed");
    jw_close(w);
}

void stripe_body_dispute(struct jsonw *w, const struct stripe_order *o)
{
    char id[CALL_ID];
    (void)snprintf(id, sizeof id, "dp_%s", o->charge_id + 3);
    jw_open(w);
    jw_c(w, "id", id);
    jw_c(w, "object", "dispute");
    jw_i64(w, "amount", o->amount);
    jw_c(w, "charge", o->charge_id);
    jw_i64(w, "created", o->dispute_s);
    jw_c(w, "currency", o->currency);
    jw_key(w, "evidence_details");
    jw_open(w);
    jw_i64(w, "due_by", o->dispute_s + 7 * DAY_S);
    jw_bool(w, "has_evidence", strcmp(o->dispute, "needs_response") != 0);
    jw_bool(w, "past_due", false);
    jw_i64(w, "submission_count", 0);
    jw_close(w);
    jw_bool(w, "is_charge_refundable", false);
    jw_bool(w, "livemode", false);
    jw_raw(w, "metadata", STR("{}"));
    jw_c(w, "payment_intent", o->intent_id);
    jw_c(w, "reason", "fraudulent");
    jw_c(w, "status", o->dispute);
    jw_close(w);
}

void stripe_body_refund(struct jsonw *w, const struct stripe_refund *r)
{
    jw_open(w);
    jw_c(w, "id", r->p.id);
    jw_c(w, "object", "refund");
    jw_i64(w, "amount", r->amount);
    jw_c(w, "charge", r->of->charge_id);
    jw_i64(w, "created", r->created_s);
    jw_c(w, "currency", r->of->currency);
    if (r->failure != NULL)
        jw_c(w, "failure_reason", r->failure);
    jw_raw(w, "metadata", str_c(r->metadata));
    jw_c(w, "payment_intent", r->of->intent_id);
    put(w, "reason", r->reason);
    jw_null(w, "receipt_number");
    jw_c(w, "status", r->status);
    jw_close(w);
}

/* ---- errors ---- */

static void error_open(struct jsonw *w, const char *code)
{
    char url[128];
    jw_open(w);
    jw_key(w, "error");
    jw_open(w);
    if (code != NULL) {
        (void)snprintf(url, sizeof url, "https://docs.stripe.com/error-codes#%s", code);
        jw_c(w, "code", code);
        jw_c(w, "doc_url", url);
    }
}

/* The message's %s is the parameter: what was wrong with it stands in it. */
void stripe_body_fault(struct buf *out, const struct stripe_fault *f)
{
    struct jsonw w = jw_into(out);
    struct str text = str_c(f->message);
    size_t at = str_find_str(text, STR("%s"));
    char message[512];
    if (at == SIZE_MAX)
        (void)str_copy_c(message, sizeof message, text);
    else
        (void)snprintf(message, sizeof message, "%.*s%s%.*s", (int)at, f->message, f->param,
                       STR_ARG(str_from(text, at + 2)));
    error_open(&w, f->code);
    jw_c(&w, "message", message);
    if (f->param[0] != 0)
        jw_c(&w, "param", f->param);
    jw_c(&w, "type", f->type);
    jw_close(&w);
    jw_close(&w);
}

void stripe_body_declined(struct buf *out, const struct stripe_order *o)
{
    struct jsonw w = jw_into(out);
    error_open(&w, o->card->code);
    put(&w, "advice_code", o->card->advice);
    put(&w, "charge", o->charge_id);
    put(&w, "decline_code", o->card->decline_code);
    jw_c(&w, "message", "Your card was declined.");
    jw_key(&w, "payment_intent");
    stripe_body_intent(&w, o, false);
    jw_c(&w, "type", "card_error");
    jw_close(&w);
    jw_close(&w);
}
