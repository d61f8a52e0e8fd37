/* CPay, our own model of a provider (cpay.md): what it can do, and the requests. Each is signed; a
 * request that moves money carries our id both as its Idempotency-Key and as its reference, so that
 * it may be sent again, and can be asked for although its answer was lost. */
#include "gateways/cpay.h"

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/crypto/text.h"
#include "gateways/redact.h"

enum {
    BODY_MAX = 8192,
    SECRET_LEN = 32,
    SECRET_TEXT = 43,
    NONCE_LEN = 16,
    KEY_MIN = 8,
    DESCRIPTION_MAX = 140,
    NAME_MAX_LEN = 128,
    CODE_MAX = 10,
    URL_TEXT_MAX = 2000,
    EXPIRES_MIN_S = 60,
    EXPIRES_MAX_S = 86400
};

static const struct gw_setting settings[] = {
    {"api_key", true, true, GW_ROLE_API_KEY, false}, /* "cpk_…:cps_…", the key's id and secret */
    /* "cpw_…"; without it webhooks are refused, polls decide */
    {"webhook_secret", true, false, GW_ROLE_WEBHOOK_SECRET, false},
};

bool cpay_is_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]) && !ascii_is_alpha(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= CPAY_ID_MAX;
}

/* ---- signing ---- */

struct api_key {
    struct str id;
    struct str secret; /* bytes, in the arena */
};

/* The secret is shown as base64url without padding; its 32 bytes sign. Source: cpay.md, 2. Seen:
 * sandbox yes, live no. */
static struct err api_key_read(const struct gw_account *a, struct arena *mem, struct api_key *k)
{
    char standard[SECRET_TEXT + 1];
    struct str rest = gw_setting(a, "api_key");
    k->id = STR_NULL; /* of no key at all nothing is split off */
    (void)str_split(&rest, ':', &k->id);
    if (!str_starts(k->id, STR("cpk_")) || !cpay_is_id(k->id) || rest.n != SECRET_TEXT + 4 ||
        !str_starts(rest, STR("cps_")))
        return ERR(INVALID, "the API key is not cpk_…:cps_…");
    for (size_t i = 0; i < SECRET_TEXT; i++) {
        char c = rest.p[4 + i];
        standard[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c == '+' || c == '/' ? '!' : c);
    }
    standard[SECRET_TEXT] = '=';
    k->secret = base64_decode(mem, str_n(standard, sizeof standard));
    explicit_bzero(standard, sizeof standard);
    return k->secret.n == SECRET_LEN ? ERR_OK
                                     : ERR(INVALID, "the API key's secret is not 32 bytes");
}

static struct err account_check(const struct gw_account *a, struct arena *mem, const char **setting)
{
    struct api_key k;
    *setting = "api_key";
    return api_key_read(a, mem, &k);
}

/* What the server will see as the path of the request: the base URL may have one, too. */
static struct str path_of(struct str url)
{
    size_t host = str_find_str(url, STR("://"));
    size_t path = host != SIZE_MAX ? str_find(url, '/', host + 3) : SIZE_MAX;
    return path != SIZE_MAX ? str_from(url, path) : STR_NULL;
}

static struct str hex_text(struct arena *mem, const uint8_t *bytes, size_t n)
{
    struct buf b;
    buf_init(&b, 2 * n);
    hex_add(&b, str_n((const char *)bytes, n));
    return buf_keep(&b, mem);
}

/* "v1=" and the HMAC of five lines: method, path with query, time, nonce, hash of the body. Source:
 * cpay.md, 2. Seen: sandbox yes, live no. */
static struct str signature(struct arena *mem, struct str secret, const struct outbound_request *r,
                            struct str time, struct str nonce)
{
    static const struct str line = {"\n", 1};
    uint8_t digest[SHA256_LEN];
    sha256_one(r->body, digest);
    struct str hash = hex_text(mem, digest, sizeof digest);
    const struct str parts[] = {
        str_c(r->method), line, path_of(str_c(r->url)), line, time, line, nonce, line, hash};
    hmac_sha256(secret, parts, COUNT_OF(parts), digest);
    return hash.p != NULL ? hex_text(mem, digest, sizeof digest) : STR_NULL;
}

static struct err sign(const struct gw_account *a, int64_t now_us, struct str idempotency_key,
                       struct arena *mem, struct outbound_request *out)
{
    struct api_key key;
    uint8_t random[NONCE_LEN];
    TRY(api_key_read(a, mem, &key));
    random_bytes(random, sizeof random);
    struct str nonce = hex_text(mem, random, sizeof random);
    struct str time = arena_fmt(mem, "%lld", (long long)(now_us / US_PER_S));
    struct str mac =
        nonce.p != NULL && time.p != NULL ? signature(mem, key.secret, out, time, nonce) : STR_NULL;
    const struct str headers[] = {
        arena_fmt(mem, "CPay-Key: %.*s", STR_ARG(key.id)),
        arena_fmt(mem, "CPay-Timestamp: %.*s", STR_ARG(time)),
        arena_fmt(mem, "CPay-Nonce: %.*s", STR_ARG(nonce)),
        arena_fmt(mem, "CPay-Signature: v1=%.*s", STR_ARG(mac)),
        STR("Accept: application/json"),
        STR("Content-Type: application/json"),
        arena_fmt(mem, "Idempotency-Key: %.*s", STR_ARG(idempotency_key)),
    };
    size_t n = COUNT_OF(headers) - (idempotency_key.n > 0 ? 0 : 2);
    for (size_t i = 0; i < n; i++) {
        if (headers[i].p == NULL || mac.p == NULL)
            return ERR(NO_MEMORY, "arena");
        out->headers[out->n_headers++] = headers[i].p;
    }
    return ERR_OK;
}

/* The base URL is that of the API's version 1, whether it says so or not. */
static struct str url_of(const struct gw_account *a, struct arena *mem, struct str path)
{
    const char *version = str_ends(a->base_url, STR("/v1")) ? "" : "/v1";
    return arena_fmt(mem, "%.*s%s%.*s", STR_ARG(a->base_url), version, STR_ARG(path));
}

static struct err get(const struct gw_account *a, struct str path, int64_t now_us,
                      struct arena *mem, struct outbound_request *out)
{
    struct str url = path.p != NULL ? url_of(a, mem, path) : STR_NULL;
    if (url.p == NULL)
        return ERR(NO_MEMORY, "arena");
    *out = (struct outbound_request){.method = "GET", .url = url.p, .timeout_us = a->timeout_us};
    return sign(a, now_us, STR_NULL, mem, out);
}

/* `body` is copied and freed. A kept connection that has died may send it a second time, unasked:
 * the nonce and the key make that harmless. */
static struct err post(const struct gw_account *a, struct str path, struct buf *body,
                       struct str our_id, int64_t now_us, struct arena *mem,
                       struct outbound_request *out)
{
    struct str url = path.p != NULL ? url_of(a, mem, path) : STR_NULL;
    struct str copy = body->failed ? STR_NULL : arena_dup(mem, buf_view(body));
    buf_free(body);
    if (url.p == NULL || copy.p == NULL)
        return ERR(NO_MEMORY, "request too large");
    *out = (struct outbound_request){
        .method = "POST", .url = url.p, .body = copy, .timeout_us = a->timeout_us};
    return sign(a, now_us, our_id, mem, out);
}

/* ---- payments ---- */

static bool is_phone(struct str e164)
{
    return e164.n >= 9 && e164.n <= 16 && e164.p[0] == '+' && e164.p[1] != '0' &&
           str_is_digits(str_from(e164, 1));
}

static bool is_url(struct str s)
{
    return s.n <= URL_TEXT_MAX && str_is_printable_ascii(s) && str_find(s, ' ', 0) == SIZE_MAX &&
           (str_starts(s, STR("https://")) || str_starts(s, STR("http://")));
}

static bool is_redirect(const struct gw_charge *in)
{
    return str_eq(in->method, STR("redirect")) || in->phone.n == 0;
}

static struct err charge_check(const struct gw_charge *in)
{
    bool known = in->amount.currency != 0 && currency_known(in->amount.currency);
    if (!known || in->amount.minor <= 0 || in->amount.minor > MONEY_MAX)
        return ERR(INVALID, "the amount or currency is outside the protocol's limits");
    if (!cpay_is_id(in->our_id) || in->our_id.n < KEY_MIN)
        return ERR(INVALID, "no id of ours for the payment");
    if (in->phone.n > 0 && !is_phone(in->phone))
        return ERR(INVALID, "not a phone number");
    if (is_redirect(in) && in->return_url.n == 0)
        return ERR(INVALID, "neither a phone number nor a return_url");
    if (in->return_url.n > 0 && !is_url(in->return_url))
        return ERR(INVALID, "not a return_url");
    return ERR_OK;
}

/* At most `max` characters, without control characters. */
static void put_words(struct jsonw *w, const char *name, struct str in, size_t max)
{
    char text[4 * DESCRIPTION_MAX + 1];
    size_t n = 0, characters = 0;
    for (size_t i = 0; i < in.n && n < sizeof text; i++) {
        bool starts = ((unsigned char)in.p[i] & 0xC0) != 0x80;
        if (starts && characters++ == max)
            break;
        text[n++] = (char)((unsigned char)in.p[i] < 0x20 || in.p[i] == 0x7f ? ' ' : in.p[i]);
    }
    if (n > 0)
        jw_str(w, name, str_n(text, n));
}

/* Whole minutes, so that a request that is sent again shortly after is the same to the byte; an
 * other one would be refused as idempotency_conflict, which also tells that the first was taken. */
static void put_expiry(struct jsonw *w, const struct gw_charge *in)
{
    int64_t left_s = (in->expires_us - in->now_us) / US_PER_MIN * 60;
    if (in->expires_us == 0 || in->expires_us == TIME_NEVER)
        return;
    if (left_s < EXPIRES_MIN_S)
        left_s = EXPIRES_MIN_S;
    jw_i64(w, "expires_in", left_s < EXPIRES_MAX_S ? left_s : EXPIRES_MAX_S);
}

static struct err charge_build(const struct gw_account *a, const struct gw_charge *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    char currency[CURRENCY_TEXT];
    struct buf body;
    (void)token;
    TRY(charge_check(in));
    buf_init(&body, BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "reference", in->our_id);
    jw_i64(&w, "amount", in->amount.minor);
    jw_c(&w, "currency", currency_text(in->amount.currency, currency));
    jw_c(&w, "method", is_redirect(in) ? "redirect" : "wallet");
    if (in->phone.n > 0 || in->email.n > 0) {
        jw_key(&w, "payer");
        jw_open(&w);
        if (in->phone.n > 0)
            jw_str(&w, "msisdn", in->phone);
        if (in->email.n > 0)
            jw_str(&w, "email", in->email);
        jw_close(&w);
    }
    if (in->return_url.n > 0)
        jw_str(&w, "return_url", in->return_url);
    put_words(&w, "description", in->description, DESCRIPTION_MAX);
    put_expiry(&w, in);
    jw_key(&w, "metadata");
    jw_open(&w);
    jw_str(&w, "pay_code", in->pay_code);
    jw_close(&w);
    jw_close(&w);
    return post(a, STR("/payments"), &body, in->our_id, in->now_us, mem, out);
}

/* By its id, or by our reference while that is all we know. */
static struct err query_build(const struct gw_account *a, struct str provider_ref, int64_t now_us,
                              struct str token, struct arena *mem, struct outbound_request *out)
{
    bool by_id = str_starts(provider_ref, STR(CPAY_PAYMENT_PREFIX));
    (void)token;
    if (!cpay_is_id(provider_ref))
        return ERR(INVALID, "no id to ask for");
    struct str path =
        arena_fmt(mem, "/payments%s%.*s", by_id ? "/" : "?reference=", STR_ARG(provider_ref));
    return get(a, path, now_us, mem, out);
}

/* ---- what the customer and the merchant do about one ---- */

/* A payment of which no more than our reference is known has no address for it. */
static struct err act_post(const struct gw_account *a, const struct gw_act *in, const char *what,
                           struct buf *body, struct arena *mem, struct outbound_request *out)
{
    bool by_id =
        cpay_is_id(in->provider_ref) && str_starts(in->provider_ref, STR(CPAY_PAYMENT_PREFIX));
    if (!by_id || !cpay_is_id(in->key) || in->key.n < KEY_MIN) {
        buf_free(body);
        return ERR(INVALID, "no id of the payment");
    }
    struct str path = arena_fmt(mem, "/payments/%.*s/%s", STR_ARG(in->provider_ref), what);
    return post(a, path, body, in->key, in->now_us, mem, out);
}

static struct err confirm_build(const struct gw_account *a, const struct gw_act *in,
                                struct str token, struct arena *mem, struct outbound_request *out)
{
    struct buf body;
    (void)token;
    if (in->code.n == 0 || in->code.n > CODE_MAX || !str_is_digits(in->code))
        return ERR(INVALID, "not a one-time code");
    buf_init(&body, BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "code", in->code);
    jw_close(&w);
    return act_post(a, in, "otp", &body, mem, out);
}

static struct err cancel_build(const struct gw_account *a, const struct gw_act *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    struct buf body;
    (void)token;
    buf_init(&body, BODY_MAX);
    buf_c(&body, "{}");
    return act_post(a, in, "cancel", &body, mem, out);
}

/* ---- refunds ---- */

/* The payment's id, which is its receipt as well: it has no other. */
static struct str payment_id(const struct gw_refund *in)
{
    struct str id = in->payment_ref;
    if (!str_starts(id, STR(CPAY_PAYMENT_PREFIX)))
        id = in->payment_receipt;
    return cpay_is_id(id) && str_starts(id, STR(CPAY_PAYMENT_PREFIX)) ? id : STR_NULL;
}

static struct err refund_build(const struct gw_account *a, const struct gw_refund *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    struct str id = payment_id(in);
    struct buf body;
    (void)token;
    if (in->rail != REFUND_RAIL_REVERSAL)
        return ERR(INVALID, "CPay has no such rail");
    if (id.p == NULL)
        return ERR(INVALID, "no payment to refund");
    if (!cpay_is_id(in->our_id) || in->our_id.n < KEY_MIN)
        return ERR(INVALID, "no id of ours for the refund");
    if (in->amount.minor <= 0 || in->amount.minor > MONEY_MAX)
        return ERR(INVALID, "the amount is outside the protocol's limits");
    buf_init(&body, BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "reference", in->our_id);
    jw_i64(&w, "amount", in->amount.minor);
    put_words(&w, "reason", in->remarks, DESCRIPTION_MAX);
    jw_close(&w);
    return post(a, arena_fmt(mem, "/payments/%.*s/refunds", STR_ARG(id)), &body, in->our_id,
                in->now_us, mem, out);
}

static struct err refund_query_build(const struct gw_account *a, const struct gw_refund *in,
                                     struct str provider_ref, struct str token, struct arena *mem,
                                     struct outbound_request *out)
{
    struct str id = payment_id(in);
    (void)token;
    if (in->rail != REFUND_RAIL_REVERSAL)
        return ERR(INVALID, "CPay has no such rail");
    if (id.p == NULL || !cpay_is_id(provider_ref))
        return ERR(INVALID, "no id to ask for");
    return get(
        a,
        arena_fmt(mem, "/refunds?payment=%.*s&reference=%.*s", STR_ARG(id), STR_ARG(provider_ref)),
        in->now_us, mem, out);
}

/* ---- payouts ---- */

static struct err payout_check(const struct gw_payout *in)
{
    bool known = in->amount.currency != 0 && currency_known(in->amount.currency);
    if (!known || in->amount.minor <= 0 || in->amount.minor > MONEY_MAX)
        return ERR(INVALID, "the amount or currency is outside the protocol's limits");
    if (!cpay_is_id(in->our_id) || in->our_id.n < KEY_MIN)
        return ERR(INVALID, "no id of ours for the payout");
    return is_phone(in->phone) ? ERR_OK : ERR(INVALID, "not a phone number");
}

/* What it is for the protocol has no word for. */
static struct err payout_build(const struct gw_account *a, const struct gw_payout *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    char currency[CURRENCY_TEXT];
    struct buf body;
    (void)token;
    TRY(payout_check(in));
    buf_init(&body, BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "reference", in->our_id);
    jw_i64(&w, "amount", in->amount.minor);
    jw_c(&w, "currency", currency_text(in->amount.currency, currency));
    jw_key(&w, "destination");
    jw_open(&w);
    jw_c(&w, "type", "wallet");
    jw_str(&w, "msisdn", in->phone);
    put_words(&w, "name", in->name, NAME_MAX_LEN);
    jw_close(&w);
    put_words(&w, "reason", in->remarks, DESCRIPTION_MAX);
    jw_close(&w);
    return post(a, STR("/payouts"), &body, in->our_id, in->now_us, mem, out);
}

static struct err payout_query_build(const struct gw_account *a, const struct gw_payout *in,
                                     struct str provider_ref, struct str token, struct arena *mem,
                                     struct outbound_request *out)
{
    (void)token;
    if (!cpay_is_id(provider_ref))
        return ERR(INVALID, "no id to ask for");
    return get(a, arena_fmt(mem, "/payouts?reference=%.*s", STR_ARG(provider_ref)), in->now_us, mem,
               out);
}

/* ---- the balance ---- */

static struct err balance_build(const struct gw_account *a, const struct gw_balance_ask *in,
                                struct str token, struct arena *mem, struct outbound_request *out)
{
    (void)token;
    return get(a, STR("/balance"), in->now_us, mem, out);
}

/* ---- the gateway ---- */

static void redact(struct str body, struct buf *out)
{
    static const struct redact_rules rules = {
        .hide = "name,email,display",
        .phones = "msisdn",
        .urls = "return_url,url,submit_url",
    };
    redact_json(body, &rules, out);
}

/* not_found_is_final: a signed request is taken until 300 s after its time, by a clock that may be
 * 300 s behind ours: a reference that is still unknown when the prompt's window is over never comes
 * to be. */
const struct gateway gateway_cpay = {
    .name = "cpay",
    .title = "CPay",
    .env_prefix = "CPAY_",
    .default_base_url = "https://api.cpay.test/v1",
    .methods = "cpay,wallet,redirect,mobile_money",
    .currencies = "",
    .countries = "",
    .min_minor = 1,
    .not_found_is_final = true,
    .may_resend = true,
    .may_revoke = true,
    .our_id_is_ref = true,
    .action = "approve_on_phone",
    .prompt_window_us = 10 * US_PER_MIN,
    .expiry_us = 15 * US_PER_MIN,
    .settings = settings,
    .n_settings = COUNT_OF(settings),
    .account_check = account_check,
    .charge_build = charge_build,
    .charge_parse = cpay_charge_parse,
    .query_build = query_build,
    .query_parse = cpay_query_parse,
    .confirm_build = confirm_build,
    .confirm_parse = cpay_confirm_parse,
    .cancel_build = cancel_build,
    .cancel_parse = cpay_cancel_parse,
    .n_refund_rails = 1,
    .refund_rails = {REFUND_RAIL_REVERSAL},
    .our_id_rails = 1u << REFUND_RAIL_REVERSAL,
    .refund_build = refund_build,
    .refund_parse = cpay_refund_parse,
    .refund_query_build = refund_query_build,
    .refund_query_parse = cpay_refund_query_parse,
    .refund_callback_parse = cpay_refund_callback_parse,
    .payout_min_minor = 1,
    .payout_may_resend = true,
    .payout_our_id_is_ref = true,
    .payout_build = payout_build,
    .payout_parse = cpay_payout_parse,
    .payout_query_build = payout_query_build,
    .payout_query_parse = cpay_payout_query_parse,
    .payout_callback_parse = cpay_payout_callback_parse,
    .callback_parse = cpay_callback_parse,
    .signature_header = "cpay-signature",
    .webhook_verify = cpay_webhook_verify,
    .webhook_subject = cpay_webhook_subject,
    .balance_build = balance_build,
    .balance_parse = cpay_balance_parse,
    .callback_ack_type = "application/json",
    .callback_ack = "{\"received\":true}",
    .redact = redact,
};
