/* What Daraja says about reversals, payouts and status queries. Spellings are the documents'. */
#include "gateways/sandbox/daraja_result_body.h"

#include <stdio.h>
#include <string.h>

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "gateways/sandbox/daraja_body.h"

/* A value that the documents show without regard to its meaning. */
#define TIMEOUT_HOST "https://internalapi.safaricom.co.ke/mpesa/"
#define NO_TRANSACTION "SKE0000000"

enum { PARAM_TEXT = 96 };

void daraja_body_ack(struct buf *b, const char *conversation, const char *originator)
{
    struct jsonw w = jw_into(b);
    jw_open(&w);
    jw_c(&w, "ConversationID", conversation);
    jw_c(&w, "OriginatorConversationID", originator);
    jw_c(&w, "ResponseCode", "0");
    jw_c(&w, "ResponseDescription", "Accept the service request successfully.");
    jw_close(&w);
}

/* A code such as R000002 can only be a string. */
static void code_print(struct jsonw *w, const char *name, const char *code, unsigned form)
{
    if ((form & RESULT_FORM_TEXT) == 0 && str_is_digits(str_c(code)))
        jw_raw(w, name, str_c(code));
    else
        jw_c(w, name, code);
}

static void head_print(struct jsonw *w, const struct daraja_deed *t, const char *type,
                       unsigned form)
{
    bool done = t->transaction[0] != 0;
    jw_open(w);
    jw_key(w, "Result");
    jw_open(w);
    code_print(w, "ResultType", type, form);
    code_print(w, "ResultCode", t->result, form);
    jw_c(w, "ResultDesc", daraja_result_text(t->result));
    jw_c(w, "OriginatorConversationID", t->originator);
    jw_c(w, "ConversationID", t->conversation);
    jw_c(w, "TransactionID", done ? t->transaction : NO_TRANSACTION);
}

/* One {"Key","Value"}; NULL leaves the value away. */
static void text_item(struct jsonw *w, const char *key, const char *value)
{
    jw_open(w);
    jw_c(w, "Key", key);
    if (value != NULL)
        jw_c(w, "Value", value);
    jw_close(w);
}

/* `value` is the text of a JSON number. */
static void number_item(struct jsonw *w, const char *key, const char *value, unsigned form)
{
    jw_open(w);
    jw_c(w, "Key", key);
    if ((form & RESULT_FORM_TEXT) != 0)
        jw_c(w, "Value", value);
    else
        jw_raw(w, "Value", str_c(value));
    jw_close(w);
}

static void tail_print(struct jsonw *w, const char *where, unsigned form)
{
    jw_key(w, "ReferenceData");
    jw_open(w);
    jw_key(w, "ReferenceItem");
    if ((form & RESULT_FORM_SINGLE) != 0) {
        text_item(w, "QueueTimeoutURL", where);
    } else {
        jw_open_list(w);
        text_item(w, "QueueTimeoutURL", where);
        text_item(w, "Occasion", NULL);
        jw_close_list(w);
    }
    jw_close(w);
    jw_close(w);
    jw_close(w);
}

/* A failure has no parameters, or one that says nothing of the outcome. */
static void failure_print(struct jsonw *w, const struct daraja_deed *t, unsigned form)
{
    char when[DARAJA_TIME];
    if ((form & RESULT_FORM_SINGLE) == 0)
        return;
    daraja_time_text(t->settled_us, when);
    jw_key(w, "ResultParameters");
    jw_open(w);
    jw_key(w, "ResultParameter");
    number_item(w, "BOCompletedTime", when, form);
    jw_close(w);
}

static void party(const char *who, const char *name, char out[PARAM_TEXT])
{
    (void)snprintf(out, PARAM_TEXT, "%s - %s", who, name);
}

static void reversal_params(struct jsonw *w, const struct daraja_deed *t, unsigned form)
{
    char amount[PARAM_TEXT], when[DARAJA_TIME], customer[PARAM_TEXT], shop[PARAM_TEXT];
    (void)snprintf(amount, sizeof amount, "%lld.00", (long long)t->amount);
    daraja_time_text(t->settled_us, when);
    party(t->phone, "WANJIKU N", customer);
    party(t->organisation, "Sandbox shop", shop);
    if ((form & RESULT_FORM_SINGLE) != 0) {
        number_item(w, "Amount", amount, form);
        return;
    }
    jw_open_list(w);
    text_item(w, "DebitAccountBalance", "Utility Account|KES|7722179.62|7722179.62|0.00|0.00");
    number_item(w, "Amount", amount, form);
    number_item(w, "TransCompletedTime", when, form);
    text_item(w, "OriginalTransactionID", t->receipt);
    number_item(w, "Charge", "0", form);
    text_item(w, "CreditPartyPublicName", customer);
    text_item(w, "DebitPartyPublicName", shop);
    jw_close_list(w);
}

static void payout_params(struct jsonw *w, const struct daraja_deed *t, unsigned form)
{
    char amount[PARAM_TEXT], when[PARAM_TEXT], customer[PARAM_TEXT];
    struct date d = date_of(t->settled_us + 3 * US_PER_HOUR);
    (void)snprintf(amount, sizeof amount, "%lld", (long long)t->amount);
    (void)snprintf(when, sizeof when, "%02d.%02d.%04d %02d:%02d:%02d", d.day, d.month, d.year,
                   d.hour, d.minute, d.second);
    party(t->phone, "WANJIKU N", customer);
    if ((form & RESULT_FORM_SINGLE) != 0) {
        number_item(w, "TransactionAmount", amount, form);
        return;
    }
    jw_open_list(w);
    number_item(w, "TransactionAmount", amount, form);
    text_item(w, "TransactionReceipt", t->transaction);
    text_item(w, "ReceiverPartyPublicName", customer);
    text_item(w, "TransactionCompletedDateTime", when);
    number_item(w, "B2CUtilityAccountAvailableFunds", "10116.00", form);
    number_item(w, "B2CWorkingAccountAvailableFunds", "900000.00", form);
    number_item(w, "B2CChargesPaidAccountAvailableFunds", "-1540.00", form);
    text_item(w, "B2CRecipientIsRegisteredCustomer", "Y");
    jw_close_list(w);
}

/* The result of a reversal or payout: `params` of one that was done. */
static void result_print(struct buf *b, const struct daraja_deed *t, unsigned form,
                         void (*params)(struct jsonw *, const struct daraja_deed *, unsigned),
                         const char *timeout_url)
{
    struct jsonw w = jw_into(b);
    head_print(&w, t, "0", form);
    if (strcmp(t->result, "0") == 0) {
        jw_key(&w, "ResultParameters");
        jw_open(&w);
        jw_key(&w, "ResultParameter");
        params(&w, t, form);
        jw_close(&w);
    } else {
        failure_print(&w, t, form);
    }
    tail_print(&w, timeout_url, form);
}

void daraja_body_reversal(struct buf *b, const struct daraja_deed *t, unsigned form)
{
    result_print(b, t, form, reversal_params, TIMEOUT_HOST "reversalresults/v1/submit");
}

void daraja_body_payout(struct buf *b, const struct daraja_deed *t, unsigned form)
{
    result_print(b, t, form, payout_params, TIMEOUT_HOST "b2cresults/v1/submit");
}

void daraja_body_timeout(struct buf *b, const struct daraja_deed *t, unsigned form)
{
    struct jsonw w = jw_into(b);
    head_print(&w, t, "1", form);
    failure_print(&w, t, form);
    tail_print(&w, TIMEOUT_HOST "timeout/v1/submit", form);
}

/* The credit side comes under its own name, or as a second DebitPartyName. */
static void status_params(struct jsonw *w, const struct daraja_deed *t, const char *state,
                          unsigned form)
{
    char amount[PARAM_TEXT], from[DARAJA_TIME], to[DARAJA_TIME], customer[PARAM_TEXT];
    char shop[PARAM_TEXT];
    bool odd = (form & RESULT_FORM_SINGLE) != 0;
    (void)snprintf(amount, sizeof amount, "%lld.0", (long long)t->amount);
    daraja_time_text(t->queued_us, from);
    daraja_time_text(t->settled_us, to);
    party(t->phone, "WANJIKU N", customer);
    party(t->organisation, "Sandbox shop", shop);
    jw_open_list(w);
    text_item(w, "DebitPartyName", shop);
    text_item(w, odd ? "DebitPartyName" : "CreditPartyName", customer);
    text_item(w, "OriginatorConversationID", t->originator);
    number_item(w, "InitiatedTime", from, form);
    if (t->settled_us != 0)
        number_item(w, "FinalisedTime", to, form);
    else
        text_item(w, "FinalisedTime", NULL);
    text_item(w, "DebitAccountType", "Utility Account");
    text_item(w, "DebitPartyCharges", "Fee For B2C Payment|KES|22.40");
    text_item(w, "TransactionReason", NULL);
    text_item(w, "ReasonType", "Business Payment to Customer via API");
    text_item(w, "TransactionStatus", state);
    text_item(w, "Amount", amount);
    text_item(w, "ConversationID", t->conversation);
    text_item(w, "ReceiptNo", t->transaction);
    jw_close_list(w);
}

void daraja_body_status(struct buf *b, const struct daraja_deed *query,
                        const struct daraja_deed *about, const char *state, unsigned form)
{
    struct jsonw w = jw_into(b);
    head_print(&w, query, "0", form);
    if (about != NULL) {
        jw_key(&w, "ResultParameters");
        jw_open(&w);
        jw_key(&w, "ResultParameter");
        status_params(&w, about, state, form);
        jw_close(&w);
    } else {
        failure_print(&w, query, form);
    }
    tail_print(&w, TIMEOUT_HOST "transactionstatusresults/v1/submit", form);
}

void daraja_body_balance(struct buf *b, const struct daraja_deed *query, int64_t working,
                         unsigned form)
{
    struct jsonw w = jw_into(b);
    char line[3 * PARAM_TEXT], when[DARAJA_TIME];
    head_print(&w, query, "0", form);
    if (strcmp(query->result, "0") == 0) {
        (void)snprintf(
            line, sizeof line,
            "Working Account|KES|%lld.00|%lld.00|0.00|0.00&Utility Account|KES|228037.00|"
            "228037.00|0.00|0.00&Charges Paid Account|KES|-1540.00|-1540.00|0.00|0.00",
            (long long)working, (long long)working);
        daraja_time_text(query->settled_us, when);
        jw_key(&w, "ResultParameters");
        jw_open(&w);
        jw_key(&w, "ResultParameter");
        if ((form & RESULT_FORM_SINGLE) != 0) {
            text_item(&w, "AccountBalance", line);
        } else {
            jw_open_list(&w);
            text_item(&w, "AccountBalance", line);
            number_item(&w, "BOCompletedTime", when, form);
            jw_close_list(&w);
        }
        jw_close(&w);
    } else {
        failure_print(&w, query, form);
    }
    tail_print(&w, TIMEOUT_HOST "accountbalanceresults/v1/submit", form);
}
