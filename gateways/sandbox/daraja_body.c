/* What Daraja says. Spellings, the triple s included, are the documents'. */
#include "gateways/sandbox/daraja_body.h"

#include <stdio.h>
#include <string.h>

#include "core/base/times.h"
#include "core/codec/jsonw.h"

static const struct {
    const char *code, *text;
} results[] = {
    {"0", "The service request is processed successfully."},
    {"1", "The balance is insufficient for the transaction."},
    {"2", "Declined due to limit rule: less than the minimum transaction amount."},
    {"3", "Declined due to limit rule: greater than the maximum transaction amount."},
    {"4", "Declined due to limit rule: would exceed daily transfer limit."},
    {"8", "Declined due to limit rule: would exceed the maximum balance."},
    {"17", "Rule limited."},
    {"21", "The initiator is not allowed to initiate this request."},
    {"25", "Invalid parameters."},
    {"26", "System busy. The service request is rejected."},
    {"1001",
     "Unable to lock subscriber, a transaction is already in process for the current subscriber"},
    {"1019", "Transaction has expired"},
    {"1025", "An error occurred while sending a push request"},
    {"1032", "Request cancelled by user"},
    {"1037", "DS timeout user cannot be reached"},
    {"2001", "The initiator information is invalid."},
    {"2028", "The request is not permitted according to product assignment."},
    {"4999", "The transaction is still under processing"},
    {"8006", "The security credential is locked."},
    {"9999", "An error occurred while sending a push request"},
    {"R000001", "The transaction has already been reversed."},
    {"R000002", "The OriginalTransactionID is invalid."},
    {"SFC_IC0003", "The operator does not exist."},
};

const char *daraja_result_text(const char *code)
{
    for (size_t i = 0; i < COUNT_OF(results); i++)
        if (strcmp(results[i].code, code) == 0)
            return results[i].text;
    return "An unknown condition occurred.";
}

void daraja_time_text(int64_t wall_us, char out[DARAJA_TIME])
{
    struct date d = date_of(wall_us + 3 * US_PER_HOUR);
    char text[80];
    (void)snprintf(text, sizeof text, "%04d%02d%02d%02d%02d%02d", d.year, d.month, d.day, d.hour,
                   d.minute, d.second);
    (void)str_copy_c(out, DARAJA_TIME, str_c(text));
}

void daraja_body_token(struct buf *b, const char *token, int64_t life_s)
{
    char life[24];
    struct jsonw w = jw_into(b);
    (void)snprintf(life, sizeof life, "%lld", (long long)life_s);
    jw_open(&w);
    jw_c(&w, "access_token", token);
    jw_c(&w, "expires_in", life);
    jw_close(&w);
}

void daraja_body_fault(struct buf *b, const char *request_id, const char *code, const char *message)
{
    struct jsonw w = jw_into(b);
    jw_open(&w);
    jw_c(&w, "requestId", request_id);
    jw_c(&w, "errorCode", code);
    jw_c(&w, "errorMessage", message);
    jw_close(&w);
}

void daraja_body_accepted(struct buf *b, const char *merchant_id, const char *checkout_id)
{
    struct jsonw w = jw_into(b);
    jw_open(&w);
    jw_c(&w, "MerchantRequestID", merchant_id);
    jw_c(&w, "CheckoutRequestID", checkout_id);
    jw_c(&w, "ResponseCode", "0");
    jw_c(&w, "ResponseDescription", "Success. Request accepted for processing");
    jw_c(&w, "CustomerMessage", "Success. Request accepted for processing");
    jw_close(&w);
}

/* A code such as SFC_IC0003 can only be a string. */
static void code_print(struct jsonw *w, const char *name, const char *code, bool number)
{
    if (number && str_is_digits(str_c(code)))
        jw_raw(w, name, str_c(code));
    else
        jw_c(w, name, code);
}

void daraja_body_result(struct buf *b, const struct daraja_told *t, bool numbers)
{
    struct jsonw w = jw_into(b);
    jw_open(&w);
    code_print(&w, "ResponseCode", "0", numbers);
    jw_c(&w, "ResponseDescription", "The service request has been accepted successsfully");
    jw_c(&w, "MerchantRequestID", t->merchant_id);
    jw_c(&w, "CheckoutRequestID", t->checkout_id);
    code_print(&w, "ResultCode", t->result, numbers);
    jw_c(&w, "ResultDesc", daraja_result_text(t->result));
    jw_close(&w);
}

/* One {"Name","Value"}; `value` is JSON text, put in quotes on demand. NULL leaves the member
 * away. */
static void item_print(struct jsonw *w, const char *name, const char *value, bool quoted)
{
    jw_open(w);
    jw_c(w, "Name", name);
    if (value != NULL && quoted)
        jw_c(w, "Value", value);
    else if (value != NULL)
        jw_raw(w, "Value", str_c(value));
    jw_close(w);
}

static void metadata_print(struct jsonw *w, const struct daraja_told *t, enum outcome_callback form)
{
    bool text = form == CALLBACK_TEXT_FIELDS;
    long long amount = t->amount + (form == CALLBACK_WRONG_AMOUNT);
    char sum[40], date[DARAJA_TIME], balance[160];
    (void)snprintf(sum, sizeof sum, form == CALLBACK_NO_BALANCE ? "%lld.0" : "%lld.00", amount);
    daraja_time_text(t->settled_us, date);
    jw_key(w, "CallbackMetadata");
    jw_open(w);
    jw_key(w, "Item");
    jw_open_list(w);
    item_print(w, "Amount", sum, text);
    item_print(w, "MpesaReceiptNumber", t->receipt, true);
    if (text) {
        (void)snprintf(balance, sizeof balance,
                       "{Amount={CurrencyCode=KES, MinimumAmount=%lld00, BasicAmount=%lld.00}}",
                       amount, amount);
        item_print(w, "Balance", balance, true);
    } else if (form != CALLBACK_NO_BALANCE) {
        item_print(w, "Balance", NULL, false);
    }
    item_print(w, "TransactionDate", date, text);
    item_print(w, "PhoneNumber", form == CALLBACK_WRONG_PHONE ? "254799999999" : t->phone, text);
    jw_close_list(w);
    jw_close(w);
}

void daraja_body_callback(struct buf *b, const struct daraja_told *t, enum outcome_callback form)
{
    struct jsonw w = jw_into(b);
    jw_open(&w);
    jw_key(&w, "Body");
    jw_open(&w);
    jw_key(&w, "stkCallback");
    jw_open(&w);
    jw_c(&w, "MerchantRequestID", t->merchant_id);
    jw_c(&w, "CheckoutRequestID", t->checkout_id);
    code_print(&w, "ResultCode", t->result, form != CALLBACK_TEXT_FIELDS);
    jw_c(&w, "ResultDesc", daraja_result_text(t->result));
    if (strcmp(t->result, "0") == 0)
        metadata_print(&w, t, form);
    jw_close(&w);
    jw_close(&w);
    jw_close(&w);
}
