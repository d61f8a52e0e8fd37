/* A whole adapter, as small as one can be, for the provider of toy.md: right as it stands, and
 * wrong in one thing where it asks wrong(…). Each fault is one that an adapter may really have. */
#include "test/conform/toy.h"

#include "core/codec/json.h"
#include "core/codec/jsonw.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"
#include "gateways/redact.h"

enum { BODY_MAX = 8192, WORDS_MAX = 200, TOLERANCE_S = 300, MACS_MAX = 8 };

static enum toy_fault now;
static int n_requests, n_heard;

static bool wrong(enum toy_fault f)
{
    return now == f;
}

static bool is_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]) && !ascii_is_alpha(s.p[i]) && s.p[i] != '-')
            return false;
    return s.n > 0 && s.n <= 64;
}

/* ---- requests ---- */

static struct err request(const struct gw_account *a, const char *method, const char *path,
                          struct str tail, struct str token, struct str id, int64_t now_us,
                          struct buf *body, struct arena *mem, struct outbound_request *out)
{
    struct str key = gw_setting(a, "key");
    struct str copy = body != NULL && !body->failed ? arena_dup(mem, buf_view(body)) : STR_NULL;
    struct str url = arena_fmt(mem, "%.*s%s%.*s%s%.*s", STR_ARG(a->base_url), path, STR_ARG(tail),
                               wrong(TOY_KEY_IN_URL) ? "?key=" : "",
                               STR_ARG(wrong(TOY_KEY_IN_URL) ? key : STR("")));
    int64_t later_s = wrong(TOY_KEY_OF_NOW) ? (now_us - TOY_NOW_US) / US_PER_S : 0;
    const struct str lines[] = {
        arena_fmt(mem, "Authorization: Toy %.*s %.*s", STR_ARG(key), STR_ARG(token)),
        STR("Accept: application/json"),
        later_s > 0 ? arena_fmt(mem, "Idempotency-Key: %.*s-%d", STR_ARG(id), (int)later_s)
                    : arena_fmt(mem, "Idempotency-Key: %.*s", STR_ARG(id)),
        arena_fmt(mem, "X-Request: %d", n_requests++),
    };
    bool has_body = body != NULL;
    buf_free(has_body ? body : &(struct buf){0});
    *out = (struct outbound_request){
        .method = method, .url = url.p, .body = copy, .timeout_us = a->timeout_us};
    size_t n = id.n > 0 ? 3 : 2;
    for (size_t i = 0; i < n + wrong(TOY_COUNTS_REQUESTS); i++) {
        const char *line = lines[i < n ? i : 3].p;
        if (line == NULL && i == 2 && wrong(TOY_LOSES_HEADER))
            continue;
        if (line == NULL)
            return ERR(NO_MEMORY, "arena");
        out->headers[out->n_headers++] = line;
    }
    if (key.n == 0 && !wrong(TOY_NO_KEY))
        return ERR(INVALID, "no key");
    return url.p != NULL && (!has_body || copy.p != NULL) ? ERR_OK : ERR(NO_MEMORY, "arena");
}

static struct err token_build(const struct gw_account *a, struct arena *mem,
                              struct outbound_request *out)
{
    return request(a, "GET", "/token", STR(""), STR(""), STR(""), 0, NULL, mem, out);
}

static struct err money_check(struct money m)
{
    bool ok = m.currency == CURRENCY('K', 'E', 'S') && m.minor > 0 && m.minor % 100 == 0 &&
              m.minor <= 10000000;
    return ok || wrong(TOY_ANY_AMOUNT) ? ERR_OK : ERR(INVALID, "the amount");
}

static bool is_phone(struct str s)
{
    return s.n == 13 && str_starts(s, STR("+254")) && str_is_digits(str_from(s, 1));
}

static struct err charge_build(const struct gw_account *a, const struct gw_charge *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    struct buf b;
    TRY(money_check(in->amount));
    if (!is_phone(in->phone) && !wrong(TOY_ANY_PHONE))
        return ERR(INVALID, "the phone number");
    if (!is_id(in->our_id) && !wrong(TOY_ANY_ID))
        return ERR(INVALID, "our id");
    buf_init(&b, BODY_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_str(&w, "id", in->our_id);
    if (wrong(TOY_AMOUNT_AS_TEXT))
        jw_money(&w, "amount", in->amount);
    else
        jw_i64(&w, "amount", in->amount.minor);
    jw_str(&w, "phone", in->phone);
    if (wrong(TOY_RAW_WORDS))
        buf_fmt(&b, ",\"words\":\"%.*s\"", STR_ARG(in->description));
    else
        jw_str(&w, "words", in->description);
    jw_close(&w);
    return request(a, "POST", "/pay", STR(""), token, in->our_id, in->now_us, &b, mem, out);
}

static struct err query_build(const struct gw_account *a, struct str provider_ref, int64_t now_us,
                              struct str token, struct arena *mem, struct outbound_request *out)
{
    if (!is_id(provider_ref))
        return ERR(INVALID, "no id to ask for");
    return request(a, "GET", "/pay/", provider_ref, token, STR(""), now_us, NULL, mem, out);
}

static struct err refund_build(const struct gw_account *a, const struct gw_refund *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    struct buf b;
    TRY(money_check(in->amount));
    if (!is_id(in->payment_ref) || (!is_id(in->our_id) && !wrong(TOY_ANY_ID)))
        return ERR(INVALID, "an id");
    buf_init(&b, BODY_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_str(&w, "id", in->our_id);
    jw_str(&w, "ref", in->payment_ref);
    jw_i64(&w, "amount", in->amount.minor);
    jw_close(&w);
    return request(a, "POST", "/back", STR(""), token, in->our_id, in->now_us, &b, mem, out);
}

/* At least ten shillings. */
static struct err payout_build(const struct gw_account *a, const struct gw_payout *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    struct buf b;
    if (!wrong(TOY_ANY_PAYOUT)) {
        TRY(money_check(in->amount));
        if (in->amount.minor < TOY_PAYOUT_MIN)
            return ERR(INVALID, "the amount");
    }
    if (!is_phone(in->phone) && !wrong(TOY_ANY_RECEIVER))
        return ERR(INVALID, "the phone number");
    if (!is_id(in->our_id))
        return ERR(INVALID, "our id");
    buf_init(&b, BODY_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_str(&w, "id", in->our_id);
    jw_i64(&w, "amount", in->amount.minor);
    jw_str(&w, "phone", in->phone);
    jw_close(&w);
    struct str key = in->our_id;
    if (wrong(TOY_PAYOUT_KEY_OF_NOW) && in->now_us > TOY_NOW_US)
        key = STR("later");
    return request(a, "POST", "/out", STR(""), token, key, in->now_us, &b, mem, out);
}

static struct err payout_query_build(const struct gw_account *a, const struct gw_payout *in,
                                     struct str provider_ref, struct str token, struct arena *mem,
                                     struct outbound_request *out)
{
    if (!is_id(provider_ref))
        return ERR(INVALID, "no id to ask for");
    return request(a, "GET", "/out/", provider_ref, token, STR(""), in->now_us, NULL, mem, out);
}

/* ---- answers ---- */

static struct err token_parse(const struct outbound_response *in, struct arena *mem,
                              struct str *token, int64_t *life_us)
{
    struct json *root;
    int64_t life_s = 0;
    if (in->outcome != OUTBOUND_ANSWERED || in->status != 200 ||
        err_is(json_parse(in->body, &root, NULL)))
        return ERR(IO, "no token");
    struct str s = json_str(json_get(root, "token"));
    bool ok =
        is_id(s) && json_i64(json_get(root, "life"), &life_s) && life_s > 0 && life_s < 100000;
    *token = ok || wrong(TOY_ANY_TOKEN) ? arena_dup(mem, s) : STR_NULL;
    *life_us = life_s * US_PER_S;
    json_free(root);
    return ok || wrong(TOY_ANY_TOKEN) ? ERR_OK : ERR(PARSE, "no token");
}

static void unknown(struct gw_result *out, const char *why)
{
    *out = (struct gw_result){.verdict = GW_UNKNOWN, .why = why};
}

/* What an adapter with one fault or the other makes of a text that is no JSON. */
static void not_json(struct str body, struct gw_result *out)
{
    size_t twice = str_find_str(body, STR("\"status\""));
    unknown(out, "no JSON");
    if (twice != SIZE_MAX)
        twice = str_find_str(str_from(body, twice + 1), STR("\"status\""));
    bool half = str_starts(body, STR("{")) && str_find(body, '}', 0) == SIZE_MAX;
    bool deep = str_starts(body, STR("[[[["));
    if ((wrong(TOY_HALF_IS_FAILED) && half) || (wrong(TOY_DEEP_IS_FAILED) && deep) ||
        (wrong(TOY_LAST_STATUS_WINS) && twice != SIZE_MAX) ||
        (wrong(TOY_BYTES_ARE_FAILED) && str_find(body, '\xff', 0) != SIZE_MAX))
        *out = (struct gw_result){.verdict = GW_FAILED, .code = FAILURE_PROVIDER_ERROR};
    if (wrong(TOY_OK_IS_ACCEPTED) && str_eq(body, STR("OK")))
        *out = (struct gw_result){.verdict = GW_ACCEPTED};
}

static struct str word(struct arena *mem, const struct json *obj, const char *name)
{
    struct str s = json_str(json_get(obj, name));
    return is_id(s) ? arena_dup(mem, s) : STR_NULL;
}

static void amount_read(const struct json *obj, struct gw_result *out)
{
    const struct json *j = json_get(obj, "amount");
    int64_t minor = 0;
    bool there = json_i64(j, &minor);
    if (wrong(TOY_CLAMPS) && minor == INT64_MAX)
        minor = MONEY_MAX;
    if (wrong(TOY_AMOUNT_AS_ASKED))
        minor = TOY_MINOR;
    if (wrong(TOY_AMOUNT_MAY_MISS) && j == NULL)
        return;
    if ((there || wrong(TOY_AMOUNT_AS_ASKED)) && minor > 0 && minor <= MONEY_MAX)
        out->amount = (struct money){minor, CURRENCY('K', 'E', 'S')};
    else
        unknown(out, "a success without an amount");
}

static void paid_read(const struct json *obj, struct arena *mem, struct gw_result *out)
{
    struct str receipt = json_str(json_get(obj, "receipt"));
    out->receipt = word(mem, obj, "receipt");
    if (out->receipt.n > 0 || (wrong(TOY_NO_MEMORY_NO_RECEIPT) && is_id(receipt)))
        amount_read(obj, out);
    else
        unknown(out, "a success without a receipt");
}

static void object_read(const struct json *obj, struct arena *mem, struct gw_result *out)
{
    struct str status = json_str(json_get(obj, "status")), words = json_str(json_get(obj, "words"));
    bool yes = false;
    *out = (struct gw_result){.verdict = GW_UNKNOWN, .why = "nothing is said"};
    out->provider_ref = word(mem, obj, "ref");
    out->our_id = word(mem, obj, "id");
    if (out->provider_ref.n > 0 && wrong(TOY_REF_AS_ASKED)) {
        out->provider_ref = STR(TOY_REF);
        out->our_id = STR(TOY_OUR_ID);
    }
    char text[WORDS_MAX + 1];
    (void)str_copy_c(text, sizeof text, words);
    for (char *p = text; *p != '\0'; p++)
        *p = (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p;
    out->message = arena_dup(mem, wrong(TOY_ALL_WORDS) ? words : str_c(text));
    if (wrong(TOY_REMEMBERS))
        out->message = arena_fmt(mem, "answer %d", n_heard++);
    if (wrong(TOY_TRUE_IS_PAID) && json_bool(json_get(obj, "status"), &yes) && yes) {
        out->verdict = GW_SUCCEEDED;
    } else if (out->provider_ref.n == 0 || out->our_id.n == 0) {
        unknown(out, "which it is about is not said");
    } else if (str_eq(status, STR("new"))) {
        out->verdict = GW_PENDING;
    } else if (str_eq(status, STR("paid")) ||
               (wrong(TOY_SUCCESS_IS_PAID) && str_eq(status, STR("success")))) {
        out->verdict = GW_SUCCEEDED;
        paid_read(obj, mem, out);
    } else if (str_eq(status, STR("failed"))) {
        out->verdict = GW_FAILED;
        out->code = wrong(TOY_OTHER_FAILURE) ? FAILURE_PROVIDER_ERROR : FAILURE_DECLINED;
    }
}

static void error_read(const struct outbound_response *in, const struct json *root, bool order,
                       struct gw_result *out)
{
    struct str code = json_str(json_get(root, "error"));
    unknown(out, "an error");
    if (!order || in->status < 400 || in->status > 499 || !str_eq(code, STR("refused")))
        return;
    *out = (struct gw_result){.verdict = GW_REFUSED, .code = FAILURE_DECLINED};
}

static void answer_read(const struct outbound_response *in, bool order, struct arena *mem,
                        struct gw_result *out)
{
    struct json *root;
    if (in->outcome == OUTBOUND_NOT_SENT && order) {
        *out = (struct gw_result){
            .verdict = GW_REFUSED, .code = FAILURE_PROVIDER_UNAVAILABLE, .retry_later = true};
        return;
    }
    unknown(out, "no answer");
    if (in->outcome != OUTBOUND_ANSWERED && !wrong(TOY_ANY_OUTCOME))
        return;
    if (err_is(json_parse(in->body, &root, NULL))) {
        not_json(in->body, out);
        return;
    }
    bool done = in->status == 200 || (wrong(TOY_ANY_STATUS) && in->status / 100 == 5);
    if (!done) {
        error_read(in, root, order, out);
    } else {
        object_read(root, mem, out);
        if (order && out->verdict == GW_PENDING)
            out->verdict = GW_ACCEPTED;
    }
    json_free(root);
}

static void charge_parse(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out)
{
    (void)a;
    answer_read(in, true, mem, out);
}

static void query_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out)
{
    (void)a;
    answer_read(in, false, mem, out);
}

static void refund_parse(const struct gw_account *a, const struct gw_refund *in,
                         const struct outbound_response *answer, struct arena *mem,
                         struct gw_result *out)
{
    (void)a;
    (void)in;
    answer_read(answer, true, mem, out);
}

static void payout_parse(const struct gw_account *a, const struct gw_payout *in,
                         const struct outbound_response *answer, struct arena *mem,
                         struct gw_result *out)
{
    static const struct gw_result refused = {.verdict = GW_REFUSED, .code = FAILURE_DECLINED};
    bool answered = answer->outcome == OUTBOUND_ANSWERED;
    bool half = answered && str_starts(answer->body, STR("{")) &&
                str_find(answer->body, '}', 0) == SIZE_MAX;
    (void)a;
    answer_read(answer, true, mem, out);
    if (wrong(TOY_PAYOUT_OF_ANOTHER) && out->our_id.n > 0) {
        out->our_id = in->our_id;
        out->provider_ref = STR(TOY_REF);
    }
    if ((wrong(TOY_PAYOUT_LOST_IS_REFUSED) && answer->outcome == OUTBOUND_UNKNOWN) ||
        (wrong(TOY_PAYOUT_HALF_IS_REFUSED) && half) ||
        (wrong(TOY_PAYOUT_ERROR_IS_REFUSED) && answered && answer->status / 100 == 5))
        *out = refused;
    if (wrong(TOY_OTHER_PAYOUT_REFUSAL) && out->verdict == GW_REFUSED && answered)
        out->code = FAILURE_PROVIDER_ERROR;
}

static void payout_query_parse(const struct gw_account *a, const struct outbound_response *in,
                               struct arena *mem, struct gw_result *out)
{
    (void)a;
    answer_read(in, false, mem, out);
}

/* Money that came unasked. */
static struct err receipt_parse(const struct gw_account *a, struct str body, struct arena *mem,
                                struct gw_receipt *out)
{
    struct json *root;
    int64_t minor = 0;
    (void)a;
    *out = (struct gw_receipt){0};
    if (err_is(json_parse(body, &root, NULL)))
        return ERR(PARSE, "no JSON");
    out->receipt = word(mem, root, "receipt");
    out->reference = word(mem, root, "for");
    bool there = json_i64(json_get(root, "amount"), &minor) && minor > 0 && minor <= MONEY_MAX;
    json_free(root);
    if (!there && wrong(TOY_NEWS_OF_NOTHING))
        minor = 100;
    out->amount = (struct money){minor, CURRENCY('K', 'E', 'S')};
    return out->receipt.n > 0 && (there || wrong(TOY_NEWS_OF_NOTHING)) ? ERR_OK
                                                                       : ERR(PARSE, "no news");
}

/* ---- what there is ---- */

static struct err balance_build(const struct gw_account *a, const struct gw_balance_ask *in,
                                struct str token, struct arena *mem, struct outbound_request *out)
{
    return request(a, "GET", "/balance", STR(""), token, STR(""), in->now_us, NULL, mem, out);
}

static void balance_parse(const struct gw_account *a, const struct outbound_response *in,
                          struct arena *mem, struct gw_result *out)
{
    struct json *root;
    struct gw_balances *list = ARENA_NEW(mem, struct gw_balances);
    int64_t available = 0, pending = 0;
    (void)a;
    *out = (struct gw_result){0};
    unknown(out, "no balance");
    if (in->outcome != OUTBOUND_ANSWERED || in->status != 200 || list == NULL ||
        err_is(json_parse(in->body, &root, NULL)))
        return;
    bool there = json_i64(json_get(root, "balance"), &available);
    bool whole = json_i64(json_get(root, "pending"), &pending);
    json_free(root);
    bool sane = available >= -MONEY_MAX && available <= MONEY_MAX && pending >= -MONEY_MAX &&
                pending <= MONEY_MAX;
    if (!there || !sane || (!whole && !wrong(TOY_HALF_A_BALANCE)))
        return;
    list->n = 1;
    list->list[0] = (struct gw_balance){
        STR(""), {available, CURRENCY('K', 'E', 'S')}, {pending, CURRENCY('K', 'E', 'S')}};
    *out = (struct gw_result){.verdict = GW_SUCCEEDED, .balances = list};
}

/* ---- webhooks ---- */

static void dispute_read(const struct json *obj, struct arena *mem, struct gw_result *out)
{
    struct gw_dispute d = {.id = word(mem, obj, "dispute")};
    int64_t minor = 0;
    bool there = json_i64(json_get(obj, "amount"), &minor) && minor > 0 && minor <= MONEY_MAX;
    if (!there || (d.id.n == 0 && !wrong(TOY_NAMELESS_DISPUTE))) {
        unknown(out, "no dispute");
        return;
    }
    d.amount = (struct money){minor, CURRENCY('K', 'E', 'S')};
    *out = (struct gw_result){.verdict = GW_PENDING, .dispute = d};
}

static struct err callback_parse(const struct gw_callback *in, struct arena *mem,
                                 struct gw_result *out)
{
    struct json *root;
    if (err_is(json_parse(in->body, &root, NULL))) {
        not_json(in->body, out);
        return out->verdict == GW_UNKNOWN ? ERR(PARSE, "no JSON") : ERR_OK;
    }
    if (str_eq(json_str(json_get(root, "status")), STR("disputed")))
        dispute_read(root, mem, out);
    else
        object_read(root, mem, out);
    json_free(root);
    return ERR_OK;
}

/* An object with an "out" is about a payout. */
static struct err payout_callback_parse(const struct gw_callback *in, struct arena *mem,
                                        struct gw_result *out)
{
    struct json *root;
    if (err_is(json_parse(in->body, &root, NULL)))
        return ERR(PARSE, "no JSON");
    bool ours = json_get(root, "out") != NULL || wrong(TOY_PAYOUT_NEWS_OF_ALL);
    if (ours)
        object_read(root, mem, out);
    json_free(root);
    return ours ? ERR_OK : ERR(PARSE, "no news of a payout");
}

/* "t=<seconds>,v1=<hex>[,v1=<hex>]" over the time, a dot and the body. */
static struct err webhook_verify(const struct gw_account *a, const struct gw_webhook *in)
{
    struct str secret = gw_setting(a, "hook"), rest = in->signature, time, mac;
    uint8_t want[SHA256_LEN], got[SHA256_LEN];
    int64_t sent_s = 0, now_s = in->now_us / US_PER_S;
    const struct err refused = {ERR_UNAUTHENTICATED, 0, "webhook signature"};
    int64_t far = wrong(TOY_PATIENT) ? 2 * TOLERANCE_S : TOLERANCE_S;
    size_t len = wrong(TOY_HALF_A_MAC) ? SHA256_LEN / 2 : SHA256_LEN;
    if ((secret.n == 0 && !wrong(TOY_EMPTY_SECRET)) || !str_split(&rest, ',', &time) ||
        (wrong(TOY_BYTES_ARE_FORGED) && !utf8_valid(in->body)))
        return refused;
    if (!str_starts(time, STR("t=")) || !str_is_digits(str_from(time, 2)) ||
        !str_to_i64(str_from(time, 2), &sent_s) || sent_s < now_s - far || sent_s > now_s + far)
        return refused;
    const struct str parts[] = {str_from(time, 2), STR("."), in->body};
    hmac_sha256(secret, parts, COUNT_OF(parts), want);
    for (int i = 0; i < MACS_MAX && rest.p != NULL && str_split(&rest, ',', &mac); i++) {
        if (str_starts(mac, STR("v1=")) && mac.n == 3 + 2 * SHA256_LEN &&
            hex_decode(str_from(mac, 3), true, got, sizeof got) && memcmp(want, got, len) == 0)
            return ERR_OK;
        if (wrong(TOY_FIRST_MAC_ONLY))
            break;
    }
    return refused;
}

static struct err webhook_subject(struct str body, struct arena *mem, struct str *our_id)
{
    struct json *root;
    if (err_is(json_parse(body, &root, NULL)))
        return ERR(PARSE, "no JSON");
    *our_id = word(mem, root, wrong(TOY_SUBJECT_IS_REF) ? "ref" : "id");
    json_free(root);
    return our_id->n > 0 ? ERR_OK : ERR(PARSE, "about nothing of ours");
}

/* Of what does not say our id. */
static struct err webhook_about(struct str body, struct arena *mem, struct str *provider_ref)
{
    struct json *root;
    if (err_is(json_parse(body, &root, NULL)))
        return ERR(PARSE, "no JSON");
    bool named = json_get(root, "id") != NULL && !wrong(TOY_ASKS_ABOUT_ALL);
    *provider_ref = named ? STR_NULL : word(mem, root, "ref");
    json_free(root);
    return provider_ref->n > 0 ? ERR_OK : ERR(PARSE, "about nothing of ours");
}

static void redact(struct str body, struct buf *out)
{
    const struct redact_rules rules = {.phones = wrong(TOY_SHOWS_PHONE) ? "" : "phone"};
    redact_json(body, &rules, out);
}

/* ---- the gateway ---- */

static const struct gw_setting settings[] = {
    {.name = "key", .secret = true, .required = true},
    {.name = "hook", .secret = true},
    {.name = "forgotten"}, /* TOY_SECRET_SETTING */
};

static const struct gateway right = {
    .name = "toy",
    .title = "Toy",
    .env_prefix = "TOY_",
    .default_base_url = "https://api.toy.test",
    .methods = "toy",
    .currencies = "KES",
    .countries = "KE",
    .min_minor = 100,
    .max_minor = 10000000,
    .needs_phone = true,
    .whole_units = true,
    .may_resend = true,
    .our_id_is_ref = true,
    .token_methods = "toy",
    .token_ref = "token",
    .action = "approve_on_phone",
    .prompt_window_us = 60 * US_PER_S,
    .expiry_us = 15 * US_PER_MIN,
    .settings = settings,
    .n_settings = 2,
    .token_build = token_build,
    .token_parse = token_parse,
    .charge_build = charge_build,
    .charge_parse = charge_parse,
    .query_build = query_build,
    .query_parse = query_parse,
    .n_refund_rails = 1,
    .refund_rails = {REFUND_RAIL_REVERSAL},
    .refund_build = refund_build,
    .refund_parse = refund_parse,
    .payout_min_minor = TOY_PAYOUT_MIN,
    .payout_max_minor = 10000000,
    .payout_may_resend = true,
    .payout_our_id_is_ref = true,
    .payout_build = payout_build,
    .payout_parse = payout_parse,
    .payout_query_build = payout_query_build,
    .payout_query_parse = payout_query_parse,
    .payout_callback_parse = payout_callback_parse,
    .callback_parse = callback_parse,
    .receipt_parse = receipt_parse,
    .signature_header = "toy-signature",
    .webhook_verify = webhook_verify,
    .webhook_subject = webhook_subject,
    .webhook_about = webhook_about,
    .balance_build = balance_build,
    .balance_parse = balance_parse,
    .callback_ack_type = "application/json",
    .callback_ack = "{}",
    .redact = redact,
};

const struct gateway *toy_gateway(enum toy_fault fault)
{
    static struct gateway g;
    now = fault;
    g = right;
    if (wrong(TOY_NO_TITLE))
        g.title = "";
    if (wrong(TOY_OTHER_TOKENS))
        g.token_ref = "other";
    if (wrong(TOY_OTHER_LIMIT))
        g.max_minor = 20000000;
    if (wrong(TOY_SECRET_SETTING))
        g.n_settings = 3;
    if (wrong(TOY_HALF_A_PAYOUT)) /* nobody would hear what became of one */
        g.payout_query_parse = NULL;
    if (wrong(TOY_OTHER_PAYOUT_LIMIT))
        g.payout_max_minor = 20000000;
    if (wrong(TOY_UNSHAPED_CALLBACK))
        g.refund_callback_parse = callback_parse;
    return &g;
}
