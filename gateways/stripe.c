/* Stripe, for cards by its hosted page, or by a token (stripe.md): what it can do, and the
 * requests. What moves money carries our id as its Idempotency-Key and inside, so that Stripe
 * carries it out once, and so that it can be found in a list although its answer was lost. */
#include "gateways/stripe.h"

#include "core/base/times.h"
#include "core/crypto/text.h"
#include "gateways/redact.h"

enum {
    BODY_MAX = 32 * 1024,
    KEY_MAX = 255,
    NAME_BYTES = 200,
    REASON_BYTES = 200,
    EMAIL_MAX = 254,
    URL_TEXT_MAX = 2000,
    EXPIRES_MIN_S = 31 * 60, /* Stripe's own is 30 minutes by its clock */
    EXPIRES_MAX_S = 24 * 60 * 60 - 60,
    EARLIER_S = 300, /* that Stripe's clock may be behind ours */
    LIST_MAX = 100,
    LIST_BYTES = 1024 * 1024
};

static const struct gw_setting settings[] = {
    {"api_key", true, true, GW_ROLE_API_KEY, false}, /* "sk_test_…", "rk_live_…" */
    /* "whsec_…", several by commas while one is rolled; without it webhooks are refused, polls
     * decide */
    {"webhook_secret", true, false, GW_ROLE_WEBHOOK_SECRET, false},
};

static const struct gw_fact facts[] = {{"ugx_decimals", 0, 0, 2, 2, &stripe_ugx_decimals}};

bool stripe_is_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]) && !ascii_is_alpha(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= GW_REF_MAX;
}

static bool is_a(struct str s, const char *prefix)
{
    return stripe_is_id(s) && str_starts(s, str_c(prefix));
}

/* ---- forms ---- */

/* RFC 3986's unreserved characters stay as they are. */
static void encode(struct buf *b, struct str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (ascii_is_alpha(s.p[i]) || ascii_is_digit(s.p[i]) || strchr("-._~", c) != NULL) {
            buf_char(b, s.p[i]);
        } else {
            buf_char(b, '%');
            buf_char(b, hex[c >> 4]);
            buf_char(b, hex[c & 15]);
        }
    }
}

/* Names are ours: nothing in them has to be encoded for Stripe, which takes brackets as such. */
static void put(struct buf *b, const char *name, struct str value)
{
    if (b->n > 0)
        buf_char(b, '&');
    buf_c(b, name);
    buf_char(b, '=');
    encode(b, value);
}

static void put_i64(struct buf *b, const char *name, int64_t v)
{
    if (b->n > 0)
        buf_char(b, '&');
    buf_c(b, name);
    buf_char(b, '=');
    buf_i64(b, v);
}

/* Without control characters, cut between two characters; `otherwise` if nothing is left. */
static void put_words(struct buf *b, const char *name, struct str in, size_t max,
                      struct str otherwise)
{
    char text[NAME_BYTES + 1];
    (void)str_copy_c(text, max + 1, in);
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    struct str words = str_trim(str_c(text));
    put(b, name, words.n > 0 ? words : otherwise);
}

/* ---- requests ---- */

static bool is_key(struct str s)
{
    static const char *const prefixes[] = {"sk_test_", "sk_live_", "rk_test_", "rk_live_"};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (str_starts(s, str_c(prefixes[i])))
            return s.n <= KEY_MAX && str_is_printable_ascii(s) && str_find(s, ' ', 0) == SIZE_MAX;
    return false;
}

static struct err account_check(const struct gw_account *a, struct arena *mem, const char **setting)
{
    struct str secrets = gw_setting(a, "webhook_secret"), secret;
    (void)mem;
    *setting = "api_key";
    if (!is_key(gw_setting(a, "api_key")))
        return ERR(INVALID, "the API key is not sk_test_…, sk_live_…, rk_test_… or rk_live_…");
    *setting = "webhook_secret";
    while (secrets.n > 0 && str_split(&secrets, ',', &secret))
        if (!str_starts(str_trim(secret), STR("whsec_")))
            return ERR(INVALID, "the webhook secret is not whsec_…");
    return ERR_OK;
}

static struct err headers(const struct gw_account *a, struct str idempotency_key, struct arena *mem,
                          struct outbound_request *out)
{
    struct str key = gw_setting(a, "api_key");
    if (!is_key(key))
        return ERR(INVALID, "the API key is not sk_… or rk_…");
    const struct str lines[] = {
        arena_fmt(mem, "Authorization: Bearer %.*s", STR_ARG(key)),
        STR("Stripe-Version: " STRIPE_API_VERSION),
        STR("Accept: application/json"),
        STR("Content-Type: application/x-www-form-urlencoded"),
        arena_fmt(mem, "Idempotency-Key: %.*s", STR_ARG(idempotency_key)),
    };
    size_t n = COUNT_OF(lines) - (idempotency_key.n > 0 ? 0 : 2);
    for (size_t i = 0; i < n; i++) {
        if (lines[i].p == NULL)
            return ERR(NO_MEMORY, "arena");
        out->headers[out->n_headers++] = lines[i].p;
    }
    return ERR_OK;
}

static struct str url_of(const struct gw_account *a, struct arena *mem, struct str path)
{
    const char *version = str_ends(a->base_url, STR("/v1")) ? "" : "/v1";
    return path.p != NULL
               ? arena_fmt(mem, "%.*s%s%.*s", STR_ARG(a->base_url), version, STR_ARG(path))
               : STR_NULL;
}

static struct err get(const struct gw_account *a, struct str path, struct arena *mem,
                      struct outbound_request *out)
{
    struct str url = url_of(a, mem, path);
    if (url.p == NULL)
        return ERR(NO_MEMORY, "arena");
    *out = (struct outbound_request){
        .method = "GET", .url = url.p, .timeout_us = a->timeout_us, .max_response = LIST_BYTES};
    return headers(a, STR_NULL, mem, out);
}

/* `body` is copied and freed. A kept connection that has died may send it a second time, unasked:
 * the key makes that harmless. */
static struct err post(const struct gw_account *a, struct str path, struct buf *body,
                       struct str our_id, struct arena *mem, struct outbound_request *out)
{
    struct str url = url_of(a, mem, path);
    struct str copy = body->failed ? STR_NULL : arena_dup(mem, buf_view(body));
    buf_free(body);
    if (url.p == NULL || copy.p == NULL)
        return ERR(NO_MEMORY, "request too large");
    *out = (struct outbound_request){
        .method = "POST", .url = url.p, .body = copy, .timeout_us = a->timeout_us};
    return headers(a, our_id, mem, out);
}

/* ---- payments ---- */

static bool is_url(struct str s)
{
    return s.n <= URL_TEXT_MAX && str_is_printable_ascii(s) && str_find(s, ' ', 0) == SIZE_MAX &&
           (str_starts(s, STR("https://")) || str_starts(s, STR("http://")));
}

/* Stripe's pages (of 3-D Secure as well) need to know where to go; an address that looks like one
 * of its own marks would not come back as it was sent. */
static struct err charge_check(const struct gw_charge *in)
{
    if (in->method_token.n > 0 && !is_a(in->method_token, STRIPE_TOKEN_PREFIX))
        return ERR(INVALID, "not a payment method of Stripe's: pm_…");
    if (!stripe_is_id(in->our_id))
        return ERR(INVALID, "no id of ours for the payment");
    if (in->return_url.n == 0)
        return ERR(INVALID, "a return_url is needed: Stripe's page leads back to it");
    if (!is_url(in->return_url))
        return ERR(INVALID, "not a return_url");
    if (in->email.n > EMAIL_MAX)
        return ERR(INVALID, "not an e-mail address");
    return ERR_OK;
}

/* Between Stripe's limits, whatever is left of our own time: what is paid after that is late, and
 * is booked as such. */
static int64_t expires_at_s(const struct gw_charge *in)
{
    int64_t now_s = in->now_us / US_PER_S, at_s = now_s + EXPIRES_MAX_S;
    if (in->expires_us != 0 && in->expires_us != TIME_NEVER && in->expires_us / US_PER_S < at_s)
        at_s = in->expires_us / US_PER_S;
    return at_s > now_s + EXPIRES_MIN_S ? at_s : now_s + EXPIRES_MIN_S;
}

/* A PaymentIntent, confirmed as it is made: paid, refused, or in need of 3-D Secure, whose page is
 * given instead of what only Stripe's script could use, since there is a return_url. Without the
 * customer's address: Stripe would write to him. Source: stripe.md, 4.1. Seen: sandbox yes, live
 * no. */
static struct err intent_build(const struct gw_account *a, const struct gw_charge *in,
                               const char *currency, int64_t units, struct arena *mem,
                               struct outbound_request *out)
{
    struct buf b;
    buf_init(&b, BODY_MAX);
    put_i64(&b, "amount", units);
    put(&b, "currency", str_c(currency));
    put(&b, "payment_method", in->method_token);
    put(&b, "confirm", STR("true"));
    put(&b, "allowed_payment_method_types[0]", STR("card"));
    put(&b, "return_url", in->return_url);
    put_words(&b, "description", in->description, NAME_BYTES,
              in->pay_code.n > 0 ? in->pay_code : in->our_id);
    put(&b, "metadata[" STRIPE_OUR_KEY "]", in->our_id);
    put(&b, "metadata[" STRIPE_BY_KEY "]", STR("token"));
    return post(a, STR("/payment_intents"), &b, in->our_id, mem, out);
}

static struct err charge_build(const struct gw_account *a, const struct gw_charge *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    char currency[CURRENCY_TEXT];
    int64_t units;
    struct buf b;
    (void)token;
    TRY(charge_check(in));
    TRY(stripe_amount_of(in->amount, &units));
    currency_text(in->amount.currency, currency);
    for (char *p = currency; *p != '\0'; p++)
        *p = ascii_lower(*p);
    if (in->method_token.n > 0)
        return intent_build(a, in, currency, units, mem, out);
    buf_init(&b, BODY_MAX);
    put(&b, "mode", STR("payment"));
    put(&b, "client_reference_id", in->our_id);
    put(&b, "metadata[" STRIPE_OUR_KEY "]", in->our_id);
    put(&b, "payment_intent_data[metadata][" STRIPE_OUR_KEY "]", in->our_id);
    put(&b, "payment_intent_data[metadata][" STRIPE_BY_KEY "]", STR("page"));
    put_i64(&b, "line_items[0][quantity]", 1);
    put(&b, "line_items[0][price_data][currency]", str_c(currency));
    put_i64(&b, "line_items[0][price_data][unit_amount]", units);
    put_words(&b, "line_items[0][price_data][product_data][name]", in->description, NAME_BYTES,
              in->pay_code.n > 0 ? in->pay_code : in->our_id);
    put(&b, "success_url", in->return_url);
    put(&b, "cancel_url", in->return_url);
    if (in->email.n > 0)
        put(&b, "customer_email", in->email);
    if (str_eq(in->method, STR("card")))
        put(&b, "allowed_payment_method_types[0]", STR("card"));
    put_i64(&b, "expires_at", expires_at_s(in));
    return post(a, STR("/checkout/sessions"), &b, in->our_id, mem, out);
}

/* Our id begins with a UUIDv7, hence with the moment of the payment. */
static bool moment_of(struct str our_id, int64_t *wall_s)
{
    uint8_t bytes[GW_REF_MAX / 2];
    int64_t ms = 0;
    if (our_id.n < 32 || our_id.p[12] != '7' ||
        !hex_decode(str_first(our_id, 32), true, bytes, sizeof bytes))
        return false;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | bytes[i];
    *wall_s = ms / 1000;
    return true;
}

/* By its id, or, while our own is all we know, in the list of all that was created since; Stripe
 * has no look-up by client_reference_id, and its search lags behind. */
static struct err query_build(const struct gw_account *a, struct str provider_ref, int64_t now_us,
                              struct str token, struct arena *mem, struct outbound_request *out)
{
    bool intent = str_starts(provider_ref, STR(STRIPE_INTENT_REF "."));
    int64_t from_s;
    (void)token;
    if (is_a(provider_ref, STRIPE_SESSION_PREFIX))
        return get(a,
                   arena_fmt(mem, "/checkout/sessions/%.*s?expand[0]=payment_intent",
                             STR_ARG(provider_ref)),
                   mem, out);
    if (is_a(provider_ref, STRIPE_INTENT_PREFIX))
        return get(a, arena_fmt(mem, "/payment_intents/%.*s", STR_ARG(provider_ref)), mem, out);
    if (!moment_of(intent ? gw_our_id_of(provider_ref) : provider_ref, &from_s))
        return ERR(INVALID, "no id to ask for");
    return get(a,
               arena_fmt(mem, "/%s?limit=%d&created[gte]=%lld&created[lte]=%lld",
                         intent ? "payment_intents" : "checkout/sessions", LIST_MAX,
                         (long long)(from_s - EARLIER_S),
                         (long long)(now_us / US_PER_S + EARLIER_S)),
               mem, out);
}

/* Ends the page, or the intent, before anybody pays: an intent that Checkout owns cannot be
 * cancelled. What is known by our own id only has no address for it. Source: stripe.md, 4.1 and
 * 4.2. Seen: sandbox yes, live no. */
static struct err cancel_build(const struct gw_account *a, const struct gw_act *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    bool page = is_a(in->provider_ref, STRIPE_SESSION_PREFIX);
    struct buf b;
    (void)token;
    if ((!page && !is_a(in->provider_ref, STRIPE_INTENT_PREFIX)) || !stripe_is_id(in->key))
        return ERR(INVALID, "no id of the payment");
    buf_init(&b, BODY_MAX);
    if (!page)
        put(&b, "cancellation_reason", STR("requested_by_customer"));
    struct str path =
        arena_fmt(mem, page ? "/checkout/sessions/%.*s/expire" : "/payment_intents/%.*s/cancel",
                  STR_ARG(in->provider_ref));
    return post(a, path, &b, in->key, mem, out);
}

/* ---- refunds ---- */

/* The receipt of a payment is its intent. */
static struct str intent_of(const struct gw_refund *in)
{
    if (is_a(in->payment_receipt, STRIPE_INTENT_PREFIX))
        return in->payment_receipt;
    return is_a(in->payment_ref, STRIPE_INTENT_PREFIX) ? in->payment_ref : STR_NULL;
}

static struct err refund_check(const struct gw_refund *in)
{
    if (in->rail != REFUND_RAIL_REVERSAL)
        return ERR(INVALID, "Stripe has no such rail");
    if (intent_of(in).p == NULL)
        return ERR(INVALID, "no payment to refund");
    return ERR_OK;
}

static struct err refund_build(const struct gw_account *a, const struct gw_refund *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    int64_t units;
    struct buf b;
    (void)token;
    TRY(refund_check(in));
    TRY(stripe_amount_of(in->amount, &units));
    if (!stripe_is_id(in->our_id))
        return ERR(INVALID, "no id of ours for the refund");
    buf_init(&b, BODY_MAX);
    put(&b, "payment_intent", intent_of(in));
    put_i64(&b, "amount", units);
    put(&b, "reason", STR("requested_by_customer"));
    put(&b, "metadata[" STRIPE_OUR_KEY "]", in->our_id);
    put(&b, "metadata[" STRIPE_BY_KEY "]", STR("refund"));
    if (in->remarks.n > 0)
        put_words(&b, "metadata[remarks]", in->remarks, REASON_BYTES, STR("-"));
    return post(a, STR("/refunds"), &b, in->our_id, mem, out);
}

/* By its payment: ours is found there by the id in its metadata. */
static struct err refund_query_build(const struct gw_account *a, const struct gw_refund *in,
                                     struct str provider_ref, struct str token, struct arena *mem,
                                     struct outbound_request *out)
{
    (void)token;
    TRY(refund_check(in));
    if (!stripe_is_id(provider_ref))
        return ERR(INVALID, "no id to ask for");
    return get(
        a,
        arena_fmt(mem, "/refunds?payment_intent=%.*s&limit=%d", STR_ARG(intent_of(in)), LIST_MAX),
        mem, out);
}

/* ---- the balance ---- */

static struct err balance_build(const struct gw_account *a, const struct gw_balance_ask *in,
                                struct str token, struct arena *mem, struct outbound_request *out)
{
    (void)in;
    (void)token;
    return get(a, STR("/balance"), mem, out);
}

/* ---- the gateway ---- */

/* Requests are forms: of these only the length is kept. */
static void redact(struct str body, struct buf *out)
{
    static const struct redact_rules rules = {
        .hide = "name,email,phone,customer_email,receipt_email,client_secret,customer_details,"
                "billing_details,shipping,payment_method_details,address,remarks,receipt_url",
        .urls = "return_url,url,success_url,cancel_url",
    };
    redact_json(body, &rules, out);
}

/* not_found_is_final: Stripe's lists know at once what was created, and a request that has not
 * arrived in minutes never does. A list that is longer than what it shows is no such answer.
 *
 * may_resend: the same request with the same Idempotency-Key is carried out once, for 24 hours. */
const struct gateway gateway_stripe = {
    .name = "stripe",
    .title = "Stripe",
    .env_prefix = "STRIPE_",
    .default_base_url = "https://api.stripe.com",
    .methods = "card,checkout",
    .currencies = "",
    .countries = "",
    .min_minor = 1,
    .not_found_is_final = true,
    .may_resend = true,
    .may_revoke = true,
    .our_id_is_ref = true,
    .token_methods = "card",
    .token_ref = STRIPE_INTENT_REF,
    .action = "redirect",
    .prompt_window_us = 10 * US_PER_MIN,
    .expiry_us = 31 * US_PER_MIN,
    .settings = settings,
    .n_settings = COUNT_OF(settings),
    .facts = facts,
    .n_facts = COUNT_OF(facts),
    .account_check = account_check,
    .charge_build = charge_build,
    .charge_parse = stripe_charge_parse,
    .query_build = query_build,
    .query_parse = stripe_query_parse,
    .cancel_build = cancel_build,
    .cancel_parse = stripe_cancel_parse,
    .n_refund_rails = 1,
    .refund_rails = {REFUND_RAIL_REVERSAL},
    .our_id_rails = 1u << REFUND_RAIL_REVERSAL,
    .refund_build = refund_build,
    .refund_parse = stripe_refund_parse,
    .refund_query_build = refund_query_build,
    .refund_query_parse = stripe_refund_query_parse,
    .refund_callback_parse = stripe_refund_callback_parse,
    .callback_parse = stripe_callback_parse,
    .signature_header = "stripe-signature",
    .webhook_verify = stripe_webhook_verify,
    .webhook_subject = stripe_webhook_subject,
    .webhook_about = stripe_webhook_about,
    .balance_build = balance_build,
    .balance_parse = stripe_balance_parse,
    .callback_ack_type = "application/json",
    .callback_ack = "{\"received\":true}",
    .redact = redact,
};
