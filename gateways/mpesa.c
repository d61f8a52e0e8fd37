/* M-Pesa Kenya (Safaricom Daraja): what it can do, and the requests of the STK push. Refunds are
 * asked for in mpesa_refund.c, payouts in mpesa_payout.c, what comes back is read in mpesa_answer.c
 * and mpesa_result.c; mpesa.md tells it all in words. */
#include "gateways/mpesa.h"

#include "core/base/times.h"
#include "core/crypto/text.h"
#include "gateways/redact.h"

enum {
    TIMESTAMP_TEXT = 15,
    PHONE_DIGITS = 12,
    SHORTCODE_MIN = 5,
    SHORTCODE_MAX = 7,
    DESCRIPTION_MAX = 13,
    REFERENCE_MAX = 12,
    REFERENCE_LIMIT = 20,
};

#define EAT_OFFSET_US (3 * US_PER_HOUR)
#define KES CURRENCY('K', 'E', 'S')

static const struct gw_alias aliases[] = {
    {"/api/payments/mpesa", GW_ALIAS_CREATE},
    {"/api/v1/payments/mpesa/callback/{token}", GW_ALIAS_CALLBACK},
    {"/api/v1/payments/mpesa/confirmation/{token}", GW_ALIAS_PAID},
    {"/api/v1/payments/mpesa/validation/{token}", GW_ALIAS_CHECK},
    {NULL, GW_ALIAS_CREATE},
};

static const struct gw_setting settings[] = {
    {"consumer_key", true, true, GW_ROLE_API_KEY, false},
    {"consumer_secret", true, true, GW_ROLE_API_SECRET, false},
    {.name = "shortcode", .required = true},
    {.name = "passkey", .secret = true, .required = true},
    {.name = "type"},                  /* "paybill" (default) or "till" */
    {.name = "till"},                  /* PartyB of a till */
    {.name = "account_reference_max"}, /* default 12 */
    /* for refunds, payouts and balances only */
    {.name = "initiator_name"},
    {.name = "initiator_password", .secret = true},
    {.name = "certificate", .file = true}, /* an X.509 certificate's text, or its file's path */
    {.name = "b2c_shortcode"},             /* pays out; default: shortcode */
    /* for money that customers send unasked */
    {.name = "c2b_version"},   /* of the registration: "2" (default) or "1" */
    {.name = "c2b_unknown"},   /* "accept" (default), or "reject" what names no payment */
    {.name = "merchant_name"}, /* in QR codes */
};

/* The account's settings, checked. */
struct merchant {
    struct str shortcode, passkey, party_b;
    const char *transaction_type;
    int64_t reference_max;
    const char *wrong; /* the setting that is, after an error */
};

bool mpesa_is_shortcode(struct str s)
{
    return str_is_digits(s) && s.n >= SHORTCODE_MIN && s.n <= SHORTCODE_MAX;
}

static struct err merchant_read(const struct gw_account *a, struct merchant *m)
{
    m->shortcode = gw_setting(a, "shortcode");
    m->passkey = gw_setting(a, "passkey");
    m->wrong = "shortcode";
    if (!mpesa_is_shortcode(m->shortcode))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    m->wrong = "passkey";
    if (m->passkey.n == 0 || m->passkey.n > 512)
        return ERR(INVALID, "the pass key is missing or too long");
    /* TransactionType and PartyB: a till's own number is PartyB, BusinessShortCode is its store
     * number; the wrong pair ends in 2028 or SFC_IC0003. Source: mpesa.md 2.1 and 8.6. Seen:
     * sandbox yes, live no. */
    struct str type = gw_setting(a, "type");
    if (type.n == 0 || str_eq(type, STR("paybill"))) {
        m->transaction_type = "CustomerPayBillOnline";
        m->party_b = m->shortcode;
    } else if (str_eq(type, STR("till"))) {
        m->transaction_type = "CustomerBuyGoodsOnline";
        m->party_b = gw_setting(a, "till");
        m->wrong = "till";
        if (!mpesa_is_shortcode(m->party_b))
            return ERR(INVALID, "the till number is not 5 to 7 digits");
    } else {
        m->wrong = "type";
        return ERR(INVALID, "the type is neither paybill nor till");
    }
    struct str max = gw_setting(a, "account_reference_max");
    m->wrong = "account_reference_max";
    m->reference_max = REFERENCE_MAX;
    if (max.n > 0 && (!str_to_i64(max, &m->reference_max) || m->reference_max < 1 ||
                      m->reference_max > REFERENCE_LIMIT))
        return ERR(INVALID, "account_reference_max is not 1 to 20");
    return ERR_OK;
}

static struct err account_check(const struct gw_account *a, struct arena *mem, const char **setting)
{
    struct merchant m;
    struct err err = merchant_read(a, &m);
    struct str b2c = gw_setting(a, "b2c_shortcode"), version = gw_setting(a, "c2b_version"),
               unknown = gw_setting(a, "c2b_unknown");
    *setting = m.wrong;
    if (err_is(err))
        return err;
    *setting = "b2c_shortcode";
    if (b2c.n > 0 && !mpesa_is_shortcode(b2c))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    *setting = "c2b_version";
    if (version.n > 0 && !str_eq(version, STR("1")) && !str_eq(version, STR("2")))
        return ERR(INVALID, "it is neither 1 nor 2");
    *setting = "c2b_unknown";
    if (unknown.n > 0 && !str_eq(unknown, STR("accept")) && !str_eq(unknown, STR("reject")))
        return ERR(INVALID, "it is neither accept nor reject");
    *setting = "certificate";
    return mpesa_certificate_check(gw_setting(a, "certificate"), mem);
}

/* YYYYMMDDHHmmss in East Africa Time, UTC+3 all year. Source: mpesa.md 1.4. Seen: sandbox yes, live
 * no. */
static void timestamp_text(int64_t now_us, char out[TIMESTAMP_TEXT])
{
    struct date d = date_of(now_us + EAT_OFFSET_US);
    int parts[] = {d.year, d.month, d.day, d.hour, d.minute, d.second};
    char *p = out;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        int width = i == 0 ? 4 : 2;
        for (int k = width - 1, v = parts[i]; k >= 0; k--, v /= 10)
            p[k] = (char)('0' + v % 10);
        p += width;
    }
    *p = '\0';
}

/* A number as the document shows it; one with a leading zero only survives as a string, which
 * Daraja takes as well. Source: mpesa.md 1.4, 2.1. Seen: sandbox yes, live no. */
void mpesa_put_digits(struct jsonw *w, const char *name, struct str digits)
{
    if (digits.p[0] == '0')
        jw_str(w, name, digits);
    else
        jw_raw(w, name, digits);
}

/* Timestamp is made once and used twice: a second later the two would differ and Daraja answers
 * "Wrong credentials". Source: mpesa.md 8.1. */
static struct err put_password(struct jsonw *w, const struct merchant *m, int64_t now_us,
                               struct arena *mem)
{
    char stamp[TIMESTAMP_TEXT];
    timestamp_text(now_us, stamp);
    struct str plain =
        arena_fmt(mem, "%.*s%.*s%s", STR_ARG(m->shortcode), STR_ARG(m->passkey), stamp);
    struct str password = plain.p != NULL ? base64_text(mem, plain) : STR_NULL;
    if (password.p == NULL)
        return ERR(NO_MEMORY, "arena");
    mpesa_put_digits(w, "BusinessShortCode", m->shortcode);
    jw_str(w, "Password", password);
    jw_c(w, "Timestamp", stamp);
    return ERR_OK;
}

struct err mpesa_request(const struct gw_account *a, const char *path, struct str token,
                         struct buf *body, struct arena *mem, struct outbound_request *out)
{
    struct str url = arena_fmt(mem, "%.*s%s", STR_ARG(a->base_url), path);
    struct str auth = arena_fmt(mem, "Authorization: Bearer %.*s", STR_ARG(token));
    struct str copy = arena_dup(mem, buf_view(body));
    bool whole = !body->failed;
    if (body->n > 0)
        explicit_bzero(body->p, body->n);
    buf_free(body);
    if (!whole || url.p == NULL || auth.p == NULL || copy.p == NULL)
        return ERR(NO_MEMORY, "request too large");
    *out = (struct outbound_request){
        .method = "POST",
        .url = url.p,
        .n_headers = 3,
        .headers = {auth.p, "Content-Type: application/json", "Accept: application/json"},
        .body = copy,
        .timeout_us = a->timeout_us};
    return ERR_OK;
}

static struct err token_build(const struct gw_account *a, struct arena *mem,
                              struct outbound_request *out)
{
    struct str key = gw_setting(a, "consumer_key"), secret = gw_setting(a, "consumer_secret");
    if (key.n == 0 || secret.n == 0)
        return ERR(INVALID, "the consumer key or secret is missing");
    struct str pair = arena_fmt(mem, "%.*s:%.*s", STR_ARG(key), STR_ARG(secret));
    struct str basic = pair.p != NULL ? base64_text(mem, pair) : STR_NULL;
    struct str auth =
        basic.p != NULL ? arena_fmt(mem, "Authorization: Basic %.*s", STR_ARG(basic)) : STR_NULL;
    struct str url = arena_fmt(mem, "%.*s/oauth/v1/generate?grant_type=client_credentials",
                               STR_ARG(a->base_url));
    if (auth.p == NULL || url.p == NULL)
        return ERR(NO_MEMORY, "arena");
    *out = (struct outbound_request){.method = "GET",
                                     .url = url.p,
                                     .n_headers = 2,
                                     .headers = {auth.p, "Accept: application/json"},
                                     .timeout_us = a->timeout_us};
    return ERR_OK;
}

/* Words that Daraja does not take in a callback URL, in any case. Source: mpesa.md 1.4. Seen:
 * sandbox yes, live no. */
bool mpesa_url_ok(const struct gw_account *a, struct str url)
{
    static const char *const forbidden[] = {"mpesa", "safaricom", "exe",  "exec",
                                            "cmd",   "sql",       "query"};
    bool live = str_icontains(a->base_url, STR("//api.safaricom.co.ke"));
    if (!str_is_printable_ascii(url) || url.n > 1024)
        return false;
    if (!str_starts(url, STR("https://")) && (live || !str_starts(url, STR("http://"))))
        return false;
    for (size_t i = 0; i < COUNT_OF(forbidden); i++)
        if (str_icontains(url, str_c(forbidden[i])))
            return false;
    return true;
}

static bool is_alphanumeric(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]) && !ascii_is_alpha(s.p[i]))
            return false;
    return s.n > 0;
}

bool mpesa_is_phone(struct str e164)
{
    return e164.n == PHONE_DIGITS + 1 && str_is_digits(str_from(e164, 1)) &&
           (str_starts(e164, STR("+2547")) || str_starts(e164, STR("+2541")));
}

struct str mpesa_words(struct str in, size_t min, size_t max, const char *otherwise, char *out)
{
    size_t n = 0;
    bool blank = false;
    for (size_t i = 0; i < in.n && n < max; i++) {
        char c = in.p[i];
        if (c == ' ' || c == '\t' || c == '\n') {
            blank = n > 0;
        } else if (ascii_is_digit(c) || ascii_is_alpha(c)) {
            if (blank && n + 1 < max)
                out[n++] = ' ';
            else if (blank)
                break;
            blank = false;
            out[n++] = c;
        }
    }
    return n < min ? str_c(otherwise) : str_n(out, n);
}

struct err mpesa_amount_check(struct money amount, int64_t min_minor, int64_t max_minor)
{
    if (amount.currency != KES)
        return ERR(INVALID, "M-Pesa takes Kenya shillings only");
    if (amount.minor % 100 != 0)
        return ERR(INVALID, "M-Pesa takes whole shillings only");
    if (amount.minor < min_minor || amount.minor > max_minor)
        return ERR(INVALID, "the amount is outside M-Pesa's limits");
    return ERR_OK;
}

static struct err charge_check(const struct gw_account *a, const struct gw_charge *in,
                               const struct merchant *m)
{
    TRY(mpesa_amount_check(in->amount, MPESA_MIN_MINOR, a->gateway->max_minor));
    if (!mpesa_is_phone(in->phone))
        return ERR(INVALID, "the phone is no Kenyan mobile number: +2547… or +2541…");
    /* AccountReference is refused rather than cut when it is too long: half a code names nobody's
     * payment. An over-long prompt ends in 1025. Source: mpesa.md 2.1. Seen: sandbox yes, live no.
     */
    if (!is_alphanumeric(in->pay_code) || (int64_t)in->pay_code.n > m->reference_max)
        return ERR(INVALID, "the account reference is too long or not alphanumeric");
    if (!mpesa_url_ok(a, in->callback_url))
        return ERR(INVALID, "M-Pesa does not take this callback URL");
    return ERR_OK;
}

static struct err charge_build(const struct gw_account *a, const struct gw_charge *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    struct merchant m;
    TRY(merchant_read(a, &m));
    TRY(charge_check(a, in, &m));
    char description[DESCRIPTION_MAX];
    struct str phone = str_from(in->phone, 1);
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    struct err err = put_password(&w, &m, in->now_us, mem);
    jw_c(&w, "TransactionType", m.transaction_type);
    jw_i64(&w, "Amount", in->amount.minor / 100);
    mpesa_put_digits(&w, "PartyA", phone);
    mpesa_put_digits(&w, "PartyB", m.party_b);
    mpesa_put_digits(&w, "PhoneNumber", phone);
    jw_str(&w, "CallBackURL", in->callback_url);
    jw_str(&w, "AccountReference", in->pay_code);
    /* TransactionDesc: 1 to 13 characters, always sent: without it the answer is "Invalid
     * Remarks". Source: mpesa.md 2.1. Seen: sandbox yes, live no. */
    jw_str(&w, "TransactionDesc",
           mpesa_words(in->description, 1, DESCRIPTION_MAX, "Payment", description));
    jw_close(&w);
    if (err_is(err)) {
        buf_free(&body);
        return err;
    }
    TRY(mpesa_request(a, "/mpesa/stkpush/v1/processrequest", token, &body, mem, out));
    out->once = true; /* a push that is sent twice asks the customer twice */
    return ERR_OK;
}

static struct err query_build(const struct gw_account *a, struct str provider_ref, int64_t now_us,
                              struct str token, struct arena *mem, struct outbound_request *out)
{
    struct merchant m;
    TRY(merchant_read(a, &m));
    if (provider_ref.n == 0 || provider_ref.n > GW_REF_MAX || !str_is_printable_ascii(provider_ref))
        return ERR(INVALID, "no CheckoutRequestID to ask for");
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    struct err err = put_password(&w, &m, now_us, mem);
    jw_str(&w, "CheckoutRequestID", provider_ref);
    jw_close(&w);
    if (err_is(err)) {
        buf_free(&body);
        return err;
    }
    return mpesa_request(a, "/mpesa/stkpushquery/v1/query", token, &body, mem, out);
}

static void redact(struct str body, struct buf *out)
{
    static const struct redact_rules rules = {
        .hide = "Password,SecurityCredential,access_token,Initiator,InitiatorName,"
                "ReceiverPartyPublicName,CreditPartyPublicName,DebitPartyPublicName,"
                "CreditPartyName,DebitPartyName,FirstName,MiddleName,LastName",
        .phones = "PhoneNumber,PartyA,PartyB,MSISDN,phone",
        .urls = "CallBackURL,ResultURL,QueueTimeOutURL,ConfirmationURL,ValidationURL",
        .pair_names = "Name,Key",
        .pair_value = "Value",
    };
    redact_json(body, &rules, out);
}

#define UNIT INT64_C(100)
#define MAX_MINOR (MONEY_MAX / UNIT * UNIT)

extern struct gateway gateway_mpesa;
static const struct gw_fact facts[] = {
    {"max_amount", KES, MPESA_MIN_MINOR, MAX_MINOR, UNIT, &gateway_mpesa.max_minor},
    {"min_payout", KES, MPESA_MIN_MINOR, MAX_MINOR, UNIT, &gateway_mpesa.payout_min_minor},
    {"max_payout", KES, MPESA_MIN_MINOR, MAX_MINOR, UNIT, &gateway_mpesa.payout_max_minor},
};

/* max_minor, payout_max_minor: 250 000 shillings by the Central Bank of Kenya since 15 Aug 2023,
 * 150 000 at first as some wrote. payout_min_minor: 10 shillings, one source. Source: mpesa.md 1.4.
 * Seen: sandbox yes, live no. */
struct gateway gateway_mpesa = {
    .name = "mpesa",
    .title = "M-Pesa",
    .env_prefix = "MPESA_",
    .default_base_url = "https://sandbox.safaricom.co.ke",
    .methods = "mpesa,mpesa_stk,mobile_money",
    .currencies = "KES",
    .countries = "KE",
    .min_minor = MPESA_MIN_MINOR,
    .max_minor = 25000000,
    .needs_phone = true,
    .whole_units = true,
    .action = "approve_on_phone",
    .prompt_window_us = 90 * US_PER_S,
    .expiry_us = 15 * US_PER_MIN,
    .aliases = aliases,
    .settings = settings,
    .n_settings = COUNT_OF(settings),
    .facts = facts,
    .n_facts = COUNT_OF(facts),
    .account_check = account_check,
    .token_build = token_build,
    .token_parse = mpesa_token_parse,
    .charge_build = charge_build,
    .charge_parse = mpesa_charge_parse,
    .query_build = query_build,
    .query_parse = mpesa_query_parse,
    .n_refund_rails = 2,
    .refund_rails = {REFUND_RAIL_REVERSAL, REFUND_RAIL_PAYOUT},
    .refund_build = mpesa_refund_build,
    .refund_parse = mpesa_refund_parse,
    .refund_query_build = mpesa_refund_query_build,
    .refund_query_parse = mpesa_status_parse,
    .refund_callback_parse = mpesa_result_parse,
    .payout_min_minor = 1000,
    .payout_max_minor = 25000000,
    .payout_our_id_is_ref = true,
    .asked_by_operator = true,
    .payout_build = mpesa_payout_build,
    .payout_parse = mpesa_payout_parse,
    .payout_query_build = mpesa_payout_query_build,
    .payout_query_parse = mpesa_status_parse,
    .payout_callback_parse = mpesa_result_parse,
    .callback_parse = mpesa_callback_parse,
    .register_build = mpesa_register_build,
    .register_parse = mpesa_register_parse,
    .receipt_parse = mpesa_receipt_parse,
    .qr_build = mpesa_qr_build,
    .qr_parse = mpesa_qr_parse,
    .receipt_ack = "{\"ResultCode\":0,\"ResultDesc\":\"Success\"}",
    .check_answers =
        {
            /* Any code but 0 rejects; these give the customer a better SMS. Source: mpesa.md 3.2.
             * Seen: sandbox yes, live no. */
            [GW_CHECK_ACCEPT] = "{\"ResultCode\":\"0\",\"ResultDesc\":\"Accepted\"}",
            [GW_CHECK_REFERENCE] = "{\"ResultCode\":\"C2B00012\",\"ResultDesc\":\"Rejected\"}",
            [GW_CHECK_AMOUNT] = "{\"ResultCode\":\"C2B00013\",\"ResultDesc\":\"Rejected\"}",
            [GW_CHECK_OTHER] = "{\"ResultCode\":\"C2B00016\",\"ResultDesc\":\"Rejected\"}",
        },
    .check_setting = "c2b_unknown",
    .callback_ack_type = "application/json",
    .callback_ack = "{\"ResultCode\":0,\"ResultDesc\":\"Accepted\"}",
    .balance_build = mpesa_balance_build,
    .balance_parse = mpesa_balance_parse,
    .balance_callback_parse = mpesa_balance_callback_parse,
    .redact = redact,
};
