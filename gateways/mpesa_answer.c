/* What Daraja's words mean: answers to the token call, the push and the query, and the callback;
 * and what answers to refunds share with them. Two tables decide, error codes and result codes;
 * whatever is in neither is never taken for an end. */
#include "gateways/answer.h"
#include "gateways/mpesa.h"

#include "core/base/times.h"

enum { CODE_MAX = 32, RECEIPT_MAX = 32, TOKEN_MAX = 4096 };
#define LIFE_MAX_S (366 * INT64_C(86400))

/* ---- the tables ---- */

enum envelope_kind {
    ENVELOPE_REFUSED,     /* definitely not taken */
    ENVELOPE_BUSY,        /* not taken for lack of capacity */
    ENVELOPE_TOKEN,       /* the token was refused before anything was done */
    ENVELOPE_IN_PROGRESS, /* a query's "still pending" */
    ENVELOPE_OPEN,        /* says nothing certain */
};

/* Error envelopes. The first line that fits wins: code equal, and `message` (if any) contained,
 * case ignored. "" fits every code. Source: mpesa.md 1.2 (official portal pages, SDKs; read
 * 2026-11). Seen: sandbox yes, live no. */
static const struct envelope_rule {
    const char *code, *message;
    enum envelope_kind kind;
    enum failure_code failure;
} envelope_rules[] = {
    /* Invalid access token, in four spellings. Final: no. Retryable: once, with a new token. */
    {"404.001.03", NULL, ENVELOPE_TOKEN, FAILURE_CONFIGURATION},
    {"400.003.01", NULL, ENVELOPE_TOKEN, FAILURE_CONFIGURATION},
    {"401.002.01", NULL, ENVELOPE_TOKEN, FAILURE_CONFIGURATION},
    {"401.003.01", NULL, ENVELOPE_TOKEN, FAILURE_CONFIGURATION},
    /* Field validation; the message names the field. Final: yes. Retryable: no. */
    {"400.002.02", "invalid amount", ENVELOPE_REFUSED, FAILURE_AMOUNT_INVALID},
    {"400.002.02", "invalid phonenumber", ENVELOPE_REFUSED, FAILURE_DECLINED},
    {"400.002.02", "invalid partya", ENVELOPE_REFUSED, FAILURE_DECLINED},
    {"400.002.02", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"400.002.05", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"400.003.02", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"400.008.01", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"400.008.02", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    /* Wrong path, header or method. Final: yes. Retryable: no. */
    {"404.001.01", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"404.002.01", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"404.003.01", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"404.001.04", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"405.001", NULL, ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    /* The overloaded code: only the message tells. "Internal Server Error" and words that nobody
     * has documented leave a push open. */
    {"500.001.1001", "merchant does not exist", ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"500.001.1001", "wrong credentials", ENVELOPE_REFUSED, FAILURE_CONFIGURATION},
    {"500.001.1001", "unable to lock subscriber", ENVELOPE_BUSY, FAILURE_PROVIDER_BUSY},
    {"500.001.1001", "being processed", ENVELOPE_IN_PROGRESS, FAILURE_NONE},
    {"500.001.1001", NULL, ENVELOPE_OPEN, FAILURE_NONE},
    {"500.002.1001", "under maintenance", ENVELOPE_BUSY, FAILURE_PROVIDER_UNAVAILABLE},
    {"500.002.1001", NULL, ENVELOPE_OPEN, FAILURE_NONE},
    {"500.003.1001", NULL, ENVELOPE_OPEN, FAILURE_NONE},
    /* Requests per second, request quota. Final: no. Retryable: yes, after a while. */
    {"500.003.02", NULL, ENVELOPE_BUSY, FAILURE_PROVIDER_BUSY},
    {"500.003.03", NULL, ENVELOPE_BUSY, FAILURE_PROVIDER_BUSY},
    {"", "spike arrest", ENVELOPE_BUSY, FAILURE_PROVIDER_BUSY},
    {"", "quota violation", ENVELOPE_BUSY, FAILURE_PROVIDER_BUSY},
    {"", "system is busy", ENVELOPE_BUSY, FAILURE_PROVIDER_BUSY},
};

/* Result codes of the callback and the query; text, since some are no numbers. 4999 is a query's
 * "pending" and, like every code that is not here, no end. Source: mpesa.md 2.3 (official portal
 * pages, daraja-error-codes; read 2026-11). Seen: sandbox yes, live no. Final: yes, but 1037 and
 * 1019 have been followed by late money: only `sure` ones count before the customer's time is up.
 */
static const struct result_rule {
    const char *code;
    enum failure_code failure;
    bool sure;
} result_rules[] = {
    {"1", FAILURE_INSUFFICIENT_FUNDS, false},      {"2", FAILURE_LIMIT_EXCEEDED, false},
    {"3", FAILURE_LIMIT_EXCEEDED, false},          {"4", FAILURE_LIMIT_EXCEEDED, false},
    {"8", FAILURE_LIMIT_EXCEEDED, false},          {"17", FAILURE_DUPLICATE, false},
    {"26", FAILURE_PROVIDER_BUSY, false},          {"1001", FAILURE_PROVIDER_BUSY, false},
    {"1019", FAILURE_CUSTOMER_TIMEOUT, false},     {"1025", FAILURE_PROVIDER_ERROR, false},
    {"9999", FAILURE_PROVIDER_ERROR, false},       {"1032", FAILURE_CANCELLED_BY_CUSTOMER, true},
    {"1037", FAILURE_CUSTOMER_UNREACHABLE, false}, {"2001", FAILURE_WRONG_PIN, true},
    {"2028", FAILURE_CONFIGURATION, false},        {"8006", FAILURE_CUSTOMER_BLOCKED, false},
    {"SFC_IC0003", FAILURE_CONFIGURATION, false},
};

static const struct result_rule *result_rule(struct str code)
{
    for (size_t i = 0; i < COUNT_OF(result_rules); i++)
        if (str_eq(code, str_c(result_rules[i].code)))
            return &result_rules[i];
    return NULL;
}

static const struct envelope_rule *envelope_rule(struct str code, struct str message)
{
    for (size_t i = 0; i < COUNT_OF(envelope_rules); i++) {
        const struct envelope_rule *r = &envelope_rules[i];
        if (r->code[0] != '\0' && !str_eq(code, str_c(r->code)))
            continue;
        if (r->message == NULL || str_icontains(message, str_c(r->message)))
            return r;
    }
    return NULL;
}

/* ---- reading hostile text ---- */

struct str mpesa_word(struct arena *mem, struct str s, size_t max)
{
    if (s.n == 0 || s.n > max || !str_is_printable_ascii(s) || str_find(s, ' ', 0) != SIZE_MAX)
        return STR_NULL;
    return arena_dup(mem, s);
}

struct str mpesa_code(struct arena *mem, const struct json *j)
{
    char text[JSON_NUMBER_TEXT];
    if (json_kind(j) == JSON_REAL_) /* no code is one, and 1e-400 must not pass for 0 */
        return STR_NULL;
    return mpesa_word(mem, json_number_text(j, text), CODE_MAX);
}

void mpesa_unknown(struct gw_result *out, const char *why)
{
    out->verdict = GW_UNKNOWN;
    out->why = why;
}

/* Reads an error envelope into `out` (code, message, failure). False if the answer is none. */
static bool envelope_read(const struct json *root, struct arena *mem, struct gw_result *out,
                          const struct envelope_rule **rule)
{
    struct str code = mpesa_word(mem, json_str(json_get(root, "errorCode")), CODE_MAX);
    if (code.n == 0)
        return false;
    out->provider_code = code;
    out->message = gw_words(mem, json_str(json_get(root, "errorMessage")), GW_MESSAGE_MAX);
    *rule = envelope_rule(code, json_str(json_get(root, "errorMessage")));
    return true;
}

/* ---- token ---- */

struct err mpesa_token_parse(const struct outbound_response *in, struct arena *mem,
                             struct str *token, int64_t *life_us)
{
    struct json *root;
    char text[JSON_NUMBER_TEXT];
    if (in->outcome != OUTBOUND_ANSWERED)
        return ERR(IO, in->error != NULL ? in->error : "no complete answer");
    if (in->status == 401)
        return ERR(CONFIG, "the token call was refused");
    if (err_is(json_parse(in->body, &root, NULL)))
        return ERR_D(IO, in->status, "the token answer is no JSON");
    struct err err = ERR_OK;
    int64_t life_s = 0;
    if (in->status != 200) {
        /* 400.008.01 wrong credentials, 400.008.02 wrong grant type. Source: mpesa.md 1.1. Seen:
         * sandbox yes, live no. Final: yes. Retryable: no. */
        bool ours = str_starts(json_str(json_get(root, "errorCode")), STR("400.008."));
        err = ours ? ERR_D(CONFIG, in->status, "the consumer key or secret is wrong")
                   : ERR_D(IO, in->status, "no token");
    } else {
        /* expires_in: string in most captures, number in the documentation. Source: mpesa.md 1.1.
         * Seen: sandbox yes, live no. */
        *token = mpesa_word(mem, json_str(json_get(root, "access_token")), TOKEN_MAX);
        struct str life = json_number_text(json_get(root, "expires_in"), text);
        if (token->n == 0 || !str_to_i64(life, &life_s) || life_s < 1 || life_s > LIFE_MAX_S)
            err = ERR(PARSE, "no token or life in the token answer");
        else
            *life_us = life_s * US_PER_S;
    }
    json_free(root);
    return err;
}

/* ---- orders and questions: what they share ---- */

struct json *mpesa_question_json(const struct outbound_response *in, struct gw_result *out)
{
    *out = (struct gw_result){.verdict = GW_UNKNOWN};
    if (in->outcome != OUTBOUND_NOT_SENT)
        return gw_answer_json(in, out);
    out->retry_later = true;
    mpesa_unknown(out, "the query was not sent");
    return NULL;
}

void mpesa_order_envelope(const struct outbound_response *in, const struct json *root,
                          struct arena *mem, struct gw_result *out)
{
    const struct envelope_rule *rule;
    if (!envelope_read(root, mem, out, &rule)) {
        mpesa_unknown(out, "an error without an error code");
        return;
    }
    if (rule == NULL && (in->status < 400 || in->status > 499 || in->status == 408)) {
        mpesa_unknown(out, "an error code that nobody has documented");
        return;
    }
    enum envelope_kind kind = in->status == 429 ? ENVELOPE_BUSY : ENVELOPE_REFUSED;
    out->code = in->status == 429 ? FAILURE_PROVIDER_BUSY : FAILURE_PROVIDER_ERROR;
    if (rule != NULL) {
        kind = rule->kind;
        out->code = rule->failure;
    }
    switch (kind) {
    case ENVELOPE_TOKEN:
        out->verdict = GW_TOKEN_REJECTED;
        break;
    case ENVELOPE_BUSY:
        out->retry_later = true;
        out->verdict = GW_REFUSED;
        break;
    case ENVELOPE_REFUSED:
        out->verdict = GW_REFUSED;
        break;
    case ENVELOPE_IN_PROGRESS:
    case ENVELOPE_OPEN:
        out->code = FAILURE_NONE;
        mpesa_unknown(out, "an error that leaves the request open");
    }
}

/* ---- push ---- */

/* ResponseCode "0" with an id: the prompt is queued, no more. Any other code: no prompt.
 * Source: mpesa.md 2.1. Seen: sandbox yes, live no. */
static void charge_accepted(const struct json *root, struct arena *mem, struct gw_result *out)
{
    struct str code = mpesa_code(mem, json_get(root, "ResponseCode"));
    struct str ref = mpesa_word(mem, json_str(json_get(root, "CheckoutRequestID")), GW_REF_MAX);
    out->provider_code = code;
    out->message = gw_words(mem, json_str(json_get(root, "ResponseDescription")), GW_MESSAGE_MAX);
    if (code.n == 0) {
        mpesa_unknown(out, "an answer without a response code");
    } else if (!str_eq(code, STR("0"))) {
        const struct result_rule *rule = result_rule(code);
        out->verdict = GW_REFUSED;
        out->code = rule != NULL ? rule->failure : FAILURE_PROVIDER_ERROR;
    } else if (ref.n == 0) {
        mpesa_unknown(out, "accepted without a usable CheckoutRequestID");
    } else {
        out->verdict = GW_ACCEPTED;
        out->provider_ref = ref;
    }
}

void mpesa_charge_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out)
{
    (void)a;
    struct json *root = gw_order_json(in, out);
    if (root == NULL)
        return;
    if (in->status == 200)
        charge_accepted(root, mem, out);
    else
        mpesa_order_envelope(in, root, mem, out);
    json_free(root);
}

/* ---- query ---- */

void mpesa_question_envelope(const struct json *root, struct arena *mem, struct gw_result *out)
{
    const struct envelope_rule *rule;
    bool is_envelope = envelope_read(root, mem, out, &rule);
    if (is_envelope && rule != NULL && rule->kind == ENVELOPE_IN_PROGRESS) {
        out->verdict = GW_PENDING;
    } else if (is_envelope && rule != NULL && rule->kind == ENVELOPE_TOKEN) {
        out->verdict = GW_TOKEN_REJECTED;
    } else {
        /* A query that failed says nothing about the payment, "not found" included: Daraja
         * documents no final one. Source: mpesa.md 2.4, 8.3. */
        out->retry_later = is_envelope && rule != NULL && rule->kind == ENVELOPE_BUSY;
        mpesa_unknown(out, "the query failed");
    }
}

/* The result of a callback or a query by its code. False if the code is in no table. */
static bool result_read(struct str code, struct gw_result *out)
{
    if (str_eq(code, STR("0"))) {
        out->verdict = GW_SUCCEEDED;
        return true;
    }
    const struct result_rule *rule = result_rule(code);
    if (rule == NULL)
        return false;
    out->verdict = GW_FAILED;
    out->code = rule->failure;
    out->sure = rule->sure;
    return true;
}

static void query_result(const struct json *root, struct arena *mem, struct gw_result *out)
{
    struct str response = mpesa_code(mem, json_get(root, "ResponseCode"));
    struct str code = mpesa_code(mem, json_get(root, "ResultCode"));
    out->provider_code = code;
    out->message = gw_words(mem, json_str(json_get(root, "ResultDesc")), GW_MESSAGE_MAX);
    out->provider_ref = mpesa_word(mem, json_str(json_get(root, "CheckoutRequestID")), GW_REF_MAX);
    if (!str_eq(response, STR("0")) || code.n == 0) {
        mpesa_unknown(out, "a query answer without a result");
        return;
    }
    /* Success by query carries neither receipt nor amount: the callback adds them when it comes.
     * Source: mpesa.md 2.4. Seen: sandbox yes, live no. Final: yes. */
    if (!result_read(code, out))
        out->verdict = GW_PENDING;
}

void mpesa_query_parse(const struct gw_account *a, const struct outbound_response *in,
                       struct arena *mem, struct gw_result *out)
{
    (void)a;
    struct json *root = mpesa_question_json(in, out);
    if (root == NULL)
        return;
    if (in->status == 200)
        query_result(root, mem, out);
    else
        mpesa_question_envelope(root, mem, out);
    json_free(root);
}

/* ---- callback ---- */

/* The Value of the item with that Name, wherever it stands; NULL if it is missing. An item that
 * comes twice sets *twice. Source: mpesa.md 2.2. Seen: sandbox yes, live no. */
static const struct json *item(const struct json *items, struct str name, bool *twice)
{
    const struct json *found = NULL;
    bool seen = false;
    for (size_t i = 0; i < json_n(items); i++) {
        const struct json *it = json_at(items, i);
        if (!str_eq(json_str(json_get(it, "Name")), name))
            continue;
        *twice |= seen;
        seen = true;
        found = json_get(it, "Value");
    }
    return found;
}

/* "+254711223344" of the number or string 254711223344; absent if it is no whole number (masked).
 */
static struct str phone_of(struct arena *mem, const struct json *j)
{
    char text[JSON_NUMBER_TEXT];
    struct str s = json_number_text(j, text);
    if (s.n > 0 && s.p[0] == '+')
        s = str_from(s, 1);
    if (!str_is_digits(s) || s.n < 9 || s.n > 15)
        return STR_NULL;
    return arena_fmt(mem, "+%.*s", STR_ARG(s));
}

struct str mpesa_receipt(struct arena *mem, const struct json *j)
{
    struct str s = json_str(j);
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]) && !ascii_is_alpha(s.p[i]))
            return STR_NULL;
    return mpesa_word(mem, s, RECEIPT_MAX);
}

/* What a success must prove: receipt and amount. Amount is written 1250, 1250.0 or 1250.00, as a
 * number or a string; Balance often has no Value and is not read. Source: mpesa.md 2.2. Seen:
 * sandbox yes, live no. */
static void callback_paid(const struct json *items, struct arena *mem, struct gw_result *out)
{
    char text[JSON_NUMBER_TEXT];
    bool twice = false;
    struct money amount;
    const struct json *paid = item(items, STR("Amount"), &twice);
    out->receipt = mpesa_receipt(mem, item(items, STR("MpesaReceiptNumber"), &twice));
    out->phone = phone_of(mem, item(items, STR("PhoneNumber"), &twice));
    if (twice)
        mpesa_unknown(out, "a callback that names an item twice");
    else if (out->receipt.n == 0)
        mpesa_unknown(out, "a success without a receipt");
    else if (err_is(money_parse(json_number_text(paid, text), CURRENCY('K', 'E', 'S'), &amount)) ||
             amount.minor == 0)
        mpesa_unknown(out, "a success without a usable amount");
    else
        out->amount = amount;
    if (out->verdict == GW_UNKNOWN) {
        out->receipt = STR_NULL;
        out->phone = STR_NULL;
    }
}

struct err mpesa_callback_parse(const struct gw_callback *in, struct arena *mem,
                                struct gw_result *out)
{
    struct json *root;
    *out = (struct gw_result){.verdict = GW_UNKNOWN};
    if (err_is(json_parse(in->body, &root, NULL)))
        return ERR(PARSE, "the callback is no JSON");
    const struct json *stk = json_path(root, "Body", "stkCallback", NULL);
    out->provider_ref = mpesa_word(mem, json_str(json_get(stk, "CheckoutRequestID")), GW_REF_MAX);
    if (out->provider_ref.n == 0) {
        json_free(root);
        return ERR(PARSE, "no callback of an STK push");
    }
    out->provider_code = mpesa_code(mem, json_get(stk, "ResultCode"));
    out->message = gw_words(mem, json_str(json_get(stk, "ResultDesc")), GW_MESSAGE_MAX);
    if (!result_read(out->provider_code, out))
        mpesa_unknown(out, "a result code that nobody has documented");
    else if (out->verdict == GW_SUCCEEDED)
        callback_paid(json_path(stk, "CallbackMetadata", "Item", NULL), mem, out);
    json_free(root);
    return ERR_OK;
}
