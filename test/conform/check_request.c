/* What a gateway asks: the recorded bytes for the recorded input, and for impossible or hostile
 * input an error, or a request that the input has not changed the shape of. */
#include "core/codec/json.h"
#include "test/conform/conform.h"

/* Each recorded request of `fx` of which the gateway has the kind. */
#define EACH_REQUEST(w, fx) \
    for (const struct wire_request *w = (fx)->requests; w != NULL && w->name != NULL; w++)

/* Text equal to a recorded one, in which ANY stands for a run of base64 characters. */
static bool matches(const char *want, struct str got)
{
    size_t at = 0;
    for (; *want != '\0'; want++) {
        if (*want != ANY[0]) {
            if (at >= got.n || got.p[at++] != *want)
                return false;
            continue;
        }
        size_t began = at;
        while (at < got.n && (ascii_is_digit(got.p[at]) || ascii_is_alpha(got.p[at]) ||
                              strchr("+/=", got.p[at]) != NULL))
            at++;
        if (at == began)
            return false;
    }
    return at == got.n;
}

/* NULL if it is the recorded one, else what differs. */
static const char *differs(const struct wire_request *w, const struct outbound_request *got)
{
    size_t n = 0;
    while (n < OUTBOUND_MAX_HEADERS && w->headers[n] != NULL)
        n++;
    if (strcmp(got->method, w->method) != 0)
        return got->method;
    if (!matches(w->url, str_c(got->url)))
        return got->url;
    for (size_t i = 0; i < got->n_headers; i++)
        if (i >= n || !matches(w->headers[i], str_c(got->headers[i])))
            return got->headers[i];
    if (n != got->n_headers)
        return "a header is missing";
    if (!matches(w->body != NULL ? w->body : "", got->body))
        return got->body.n > 0 ? got->body.p : "no body";
    if (got->once != w->once)
        return "once";
    return got->timeout_us > 0 ? NULL : "no time limit";
}

static void requests_are_the_recorded_bytes(struct run *r)
{
    EACH_REQUEST(w, r->fx)
    {
        struct build b = build_of(r, w);
        struct arena mem;
        struct outbound_request got;
        struct err err = build_request(r, w, &b, &mem, &got);
        const char *other = err_is(err) ? err.what : differs(w, &got);
        run_case(r, other == NULL, "%s: %s", w->name, other);
        arena_free(&mem);
    }
}

/* But for what is random by design. */
static bool same_request(const struct outbound_request *a, const struct outbound_request *b)
{
    bool same =
        strcmp(a->url, b->url) == 0 && a->n_headers == b->n_headers && a->body.n == b->body.n;
    for (size_t i = 0; same && i < a->n_headers; i++)
        same = strcmp(a->headers[i], b->headers[i]) == 0;
    return same;
}

static void requests_are_deterministic(struct run *r)
{
    EACH_REQUEST(w, r->fx)
    {
        struct build b = build_of(r, w);
        struct arena one, two;
        struct outbound_request first, second;
        bool ok = !err_is(build_request(r, w, &b, &one, &first));
        ok &= !err_is(build_request(r, w, &b, &two, &second));
        bool same = ok && same_request(&first, &second);
        if (same && strchr(w->body != NULL ? w->body : "", ANY[0]) == NULL)
            same = str_eq(first.body, second.body);
        run_case(r, same, "%s: the second time it is another one", w->name);
        arena_free(&one);
        arena_free(&two);
    }
}

/* ---- impossible input ---- */

static void refused(struct run *r, const struct wire_request *w, const struct build *b,
                    const char *what)
{
    struct arena mem;
    struct outbound_request got;
    struct err err = build_request(r, w, b, &mem, &got);
    run_case(r, err_is(err) && err.code != ERR_NOT_FOUND && err.what != NULL, "%s: %s is asked for",
             w->name, what);
    arena_free(&mem);
}

static void amounts(struct run *r, const struct wire_request *w)
{
    const struct gateway *g = r->gw;
    struct build b = build_of(r, w);
    bool refund = w->op == WIRE_REFUND, payout = w->op == WIRE_PAYOUT;
    struct money *m = refund   ? &b.refund.amount
                      : payout ? &b.payout.amount
                               : &b.charge.amount,
                 good = *m;
    int64_t least = payout ? g->payout_min_minor : g->min_minor;
    int64_t most = payout ? g->payout_max_minor : g->max_minor;
    static const int64_t never[] = {0, -1, -100, INT64_MIN, INT64_MAX, MONEY_MAX + 1};
    for (size_t i = 0; i < COUNT_OF(never); i++) {
        m->minor = never[i];
        refused(r, w, &b, "an amount that is none");
    }
    for (int64_t part = 1; g->whole_units && part < 100; part++) {
        m->minor = good.minor / 100 * 100 + part;
        refused(r, w, &b, "a part of a unit");
    }
    if (most > 0) {
        m->minor = most + (g->whole_units ? 100 : 1);
        refused(r, w, &b, "more than the largest amount");
    }
    if (!refund && least > (g->whole_units ? 100 : 1)) {
        m->minor = least - (g->whole_units ? 100 : 1);
        refused(r, w, &b, "less than the least amount");
    }
    static const uint16_t none[] = {0, CURRENCY('Q', 'Q', 'Q'), 1, UINT16_MAX};
    for (size_t i = 0; !refund && i < COUNT_OF(none); i++) {
        *m = (struct money){good.minor, none[i]};
        refused(r, w, &b, "a currency that is none");
    }
    if (g->currencies[0] != '\0') {
        *m = (struct money){good.minor, CURRENCY('J', 'P', 'Y')};
        if (!gateway_lists(g->currencies, STR("JPY")))
            refused(r, w, &b, "another currency");
    }
}

static void impossible_amounts_are_refused(struct run *r)
{
    EACH_REQUEST(w, r->fx)
    {
        if (op_is_order(w->op))
            amounts(r, w);
    }
}

static void phone_case(struct run *r, const struct wire_request *w, const char *phone)
{
    struct build b = build_of(r, w);
    struct arena mem;
    struct outbound_request got;
    b.charge.phone = str_c(phone);
    b.refund.phone = b.payout.phone = str_c(phone);
    struct err err = build_request(r, w, &b, &mem, &got);
    bool ok = err_is(err) && err.code != ERR_NOT_FOUND;
    run_case(r, ok, "%s: phone \"%s\" is asked", w->name, phone);
    arena_free(&mem);
}

static void impossible_phones_are_refused(struct run *r)
{
    static const char *const never[] = {"0711223344",
                                        "254711223344",
                                        "+",
                                        "+254",
                                        "+2547112233445566778899",
                                        "+25471122334a",
                                        "+25471 122334",
                                        "+-54711223344",
                                        "++25471122334",
                                        "+254711223344\n",
                                        "+0711223344",
                                        "tel:+254711223344",
                                        "\xd9\xa0\xd9\xa1\xd9\xa2\xd9\xa3\xd9\xa4\xd9\xa5"};
    EACH_REQUEST(w, r->fx)
    {
        struct build b = build_of(r, w);
        bool payout = w->op == WIRE_PAYOUT;
        if (!payout && (w->op != WIRE_CHARGE || b.charge.phone.n == 0 || r->fx->phone_unused))
            continue;
        for (size_t i = 0; i < COUNT_OF(never); i++)
            phone_case(r, w, never[i]);
        for (size_t i = 0; r->fx->bad_phones != NULL && r->fx->bad_phones[i] != NULL; i++)
            phone_case(r, w, r->fx->bad_phones[i]);
        if (r->gw->needs_phone || payout)
            phone_case(r, w, "");
    }
}

/* Whether every request of the kind is made without setting `i`. */
static bool made_without(struct run *r, enum wire_op op, size_t i)
{
    size_t n = 0, n_made = 0;
    EACH_REQUEST(w, r->fx)
    {
        struct arena mem;
        struct outbound_request got;
        struct build b = build_of(r, w);
        if (w->op != op)
            continue;
        b.account.settings[i] = (struct secret){0};
        n++;
        n_made += !err_is(build_request(r, w, &b, &mem, &got));
        arena_free(&mem);
    }
    return n_made == n;
}

/* An account without what it needs cannot charge: the token or the charge is not made. */
static void missing_settings_are_refused(struct run *r)
{
    for (size_t i = 0; i < r->gw->n_settings; i++)
        if (r->gw->settings[i].required)
            run_case(r, !made_without(r, WIRE_CHARGE, i) || !made_without(r, WIRE_TOKEN, i),
                     "charges without %s", r->gw->settings[i].name);
}

/* ---- secrets ---- */

static bool shows(const char *url, struct str secret)
{
    return secret.n >= 4 && str_find_str(str_c(url), secret) != SIZE_MAX;
}

static void no_secret_in_url(struct run *r)
{
    EACH_REQUEST(w, r->fx)
    {
        struct build b = build_of(r, w);
        struct arena mem;
        struct outbound_request got;
        if (!err_is(build_request(r, w, &b, &mem, &got))) {
            for (size_t i = 0; i < r->gw->n_settings; i++) {
                struct str rest = secret_view(&b.account.settings[i]), part;
                while (r->gw->settings[i].secret && rest.n > 0 && str_split(&rest, ':', &part))
                    run_case(r, !shows(got.url, part), "%s: %s is in the URL", w->name,
                             r->gw->settings[i].name);
            }
            run_case(r, !shows(got.url, b.token), "%s: the token is in the URL", w->name);
            run_case(r, !shows(got.url, str_from(b.charge.phone, 1)),
                     "%s: the phone number is in the URL", w->name);
            run_case(r, !shows(got.url, str_from(b.payout.phone, 1)),
                     "%s: the receiver's phone number is in the URL", w->name);
        }
        arena_free(&mem);
    }
}

/* ---- injection ---- */

/* Every text that comes from outside, by its place in struct build. */
static const struct {
    const char *name;
    size_t at;
} texts[] = {
    {"method", offsetof(struct build, charge.method)},
    {"method_token", offsetof(struct build, charge.method_token)},
    {"phone", offsetof(struct build, charge.phone)},
    {"email", offsetof(struct build, charge.email)},
    {"pay_code", offsetof(struct build, charge.pay_code)},
    {"our_id", offsetof(struct build, charge.our_id)},
    {"description", offsetof(struct build, charge.description)},
    {"return_url", offsetof(struct build, charge.return_url)},
    {"callback_url", offsetof(struct build, charge.callback_url)},
    {"payment_receipt", offsetof(struct build, refund.payment_receipt)},
    {"payment_ref", offsetof(struct build, refund.payment_ref)},
    {"refund phone", offsetof(struct build, refund.phone)},
    {"refund our_id", offsetof(struct build, refund.our_id)},
    {"remarks", offsetof(struct build, refund.remarks)},
    {"refund callback_url", offsetof(struct build, refund.callback_url)},
    {"payout phone", offsetof(struct build, payout.phone)},
    {"payout name", offsetof(struct build, payout.name)},
    {"payout our_id", offsetof(struct build, payout.our_id)},
    {"purpose", offsetof(struct build, payout.purpose)},
    {"payout remarks", offsetof(struct build, payout.remarks)},
    {"payout callback_url", offsetof(struct build, payout.callback_url)},
    {"provider_ref", offsetof(struct build, provider_ref)},
    {"balance callback_url", offsetof(struct build, balance.callback_url)},
    {"act provider_ref", offsetof(struct build, act.provider_ref)},
    {"code", offsetof(struct build, act.code)},
    {"key", offsetof(struct build, act.key)},
};

/* Calls `fn` for every request, text and payload: the text replaced, and with the payload behind
 * it. */
typedef void injected_fn(struct run *r, const char *what, const char *payload,
                         const struct outbound_request *got);

static void inject_one(struct run *r, const struct wire_request *w, size_t text, struct str payload,
                       bool behind, injected_fn *fn)
{
    struct build b = build_of(r, w);
    struct arena mem;
    struct outbound_request got;
    struct str *s = (struct str *)(void *)((char *)&b + texts[text].at);
    *s = behind ? arena_fmt(&r->mem, "%.*s%.*s", STR_ARG(*s), STR_ARG(payload)) : payload;
    char what[120];
    (void)snprintf(what, sizeof what, "%s, %s", w->name, texts[text].name);
    struct err err = build_request(r, w, &b, &mem, &got);
    if (err_is(err))
        run_case(r, err.what != NULL, "%s: an error without words", what);
    else
        fn(r, what, payload.p, &got);
    arena_free(&mem);
}

static void inject(struct run *r, const char *const *payloads, injected_fn *fn)
{
    EACH_REQUEST(w, r->fx)
    {
        for (size_t t = 0; t < COUNT_OF(texts); t++)
            for (size_t i = 0; payloads[i] != NULL; i++)
                for (int behind = 0; behind < 2; behind++)
                    inject_one(r, w, t, str_c(payloads[i]), behind == 1, fn);
    }
}

static bool is_plain(const char *s, bool blanks)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < (blanks ? 0x20 : 0x21) || (unsigned char)*s > 0x7e)
            return false;
    return true;
}

static void head_is_plain(struct run *r, const char *what, const char *payload,
                          const struct outbound_request *got)
{
    bool whole = str_find_str(str_c(got->url), str_c(payload)) == SIZE_MAX;
    run_case(r, is_plain(got->url, false) && whole, "%s: %s", what, got->url);
    for (size_t i = 0; i < got->n_headers; i++)
        run_case(r, is_plain(got->headers[i], true) && strchr(got->headers[i], ':') != NULL,
                 "%s: header %zu", what, i);
}

static void no_header_can_be_injected(struct run *r)
{
    static const char *const payloads[] = {
        "\r\nX-Evil: 1", "\nX-Evil: 1", "\rX-Evil: 1", "a b\x7f",  "?evil=1",
        "&evil=1",       "#evil",       "/../evil",    "\xc3\xa9", NULL};
    inject(r, payloads, head_is_plain);
}

/* JSON that is whole, has no member "evil", and not more members than texts were put in. */
static void body_is_whole(struct run *r, const char *what, const char *payload,
                          const struct outbound_request *got)
{
    static struct span spans[SPANS_MAX];
    (void)payload;
    if (got->body.n == 0)
        return;
    if (got->body.p[0] != '{') {
        bool plain = true;
        for (size_t i = 0; i < got->body.n; i++)
            plain &= (unsigned char)got->body.p[i] > 0x20 && (unsigned char)got->body.p[i] < 0x7f;
        run_case(r, plain && str_find_str(got->body, STR("&evil=")) == SIZE_MAX, "%s: %.*s", what,
                 STR_ARG(got->body));
        return;
    }
    size_t n = json_spans(got->body, spans, COUNT_OF(spans));
    bool evil = n == 0;
    for (size_t i = 0; i < n; i++)
        evil |=
            str_eq(str_n(got->body.p + spans[i].name_from, spans[i].name_to - spans[i].name_from),
                   STR("\"evil\""));
    run_case(r, !evil, "%s: %.*s", what, STR_ARG(got->body));
}

static void no_member_can_be_injected(struct run *r)
{
    static const char *const payloads[] = {"\",\"evil\":\"1",
                                           "1,\"evil\":1",
                                           "\"}{\"evil\":1}",
                                           "\\\",\"evil\":1,",
                                           "\\",
                                           "\"",
                                           "&evil=1",
                                           "%26evil=1",
                                           "\x01\x1f",
                                           "\n",
                                           NULL};
    inject(r, payloads, body_is_whole);
}

/* ---- our id ---- */

static bool carries(const struct outbound_request *q, struct str id)
{
    bool in_head = str_find_str(str_c(q->url), id) != SIZE_MAX;
    for (size_t i = 0; i < q->n_headers; i++)
        in_head |= str_find_str(str_c(q->headers[i]), id) != SIZE_MAX;
    return in_head || str_find_str(q->body, id) != SIZE_MAX;
}

static const char *header_of(const struct outbound_request *q, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < q->n_headers; i++)
        if (strncmp(q->headers[i], name, n) == 0 && q->headers[i][n] == ':')
            return q->headers[i] + n + 1;
    return "";
}

/* The same attempt has the same key whenever it is sent, another has another. */
static void key_check(struct run *r, const struct wire_request *w)
{
    struct build b = build_of(r, w);
    struct arena one, two, three;
    struct outbound_request first, later, other;
    bool ok = !err_is(build_request(r, w, &b, &one, &first));
    b.charge.now_us += 40 * US_PER_S;
    b.refund.now_us += 40 * US_PER_S;
    b.payout.now_us += 40 * US_PER_S;
    ok &= !err_is(build_request(r, w, &b, &two, &later));
    b.charge.our_id = b.refund.our_id = b.payout.our_id =
        STR("0f8fad5b-d9cb-469f-a165-70867728950e");
    ok &= !err_is(build_request(r, w, &b, &three, &other));
    const char *key = ok ? header_of(&first, r->fx->idempotency_header) : "";
    run_case(r, key[0] != '\0', "%s: no %s", w->name, r->fx->idempotency_header);
    run_case(r, ok && strcmp(key, header_of(&later, r->fx->idempotency_header)) == 0,
             "%s: another key when it is sent again", w->name);
    run_case(r, ok && strcmp(key, header_of(&other, r->fx->idempotency_header)) != 0,
             "%s: the same key for another attempt", w->name);
    arena_free(&one);
    arena_free(&two);
    arena_free(&three);
}

static void our_id_is_sent(struct run *r)
{
    const struct gateway *g = r->gw;
    EACH_REQUEST(w, r->fx)
    {
        struct build b = build_of(r, w);
        struct arena mem;
        struct outbound_request got;
        bool charge = w->op == WIRE_CHARGE && (g->may_resend || g->our_id_is_ref);
        bool refund = w->op == WIRE_REFUND && gw_refund_our_id_is_ref(g, b.refund.rail);
        bool payout = w->op == WIRE_PAYOUT && (g->payout_may_resend || g->payout_our_id_is_ref);
        if (!charge && !refund && !payout)
            continue;
        bool ok = !err_is(build_request(r, w, &b, &mem, &got)) &&
                  carries(&got, charge   ? b.charge.our_id
                                : refund ? b.refund.our_id
                                         : b.payout.our_id);
        run_case(r, ok, "%s: our id is nowhere", w->name);
        arena_free(&mem);
        if (r->fx->idempotency_header != NULL)
            key_check(r, w);
    }
    run_case(r, !(g->may_resend || g->payout_may_resend) || r->fx->idempotency_header != NULL,
             "it may be sent again, but by what would the provider know?");
}

/* ---- lack of memory ---- */

static void request_is_whole_or_not_made(struct run *r)
{
    EACH_REQUEST(w, r->fx)
    {
        struct build b = build_of(r, w);
        struct arena mem, whole_mem;
        struct outbound_request got, whole;
        bool made = false, ok = !err_is(build_request(r, w, &b, &whole_mem, &whole));
        for (b.arena_limit = 0; ok && !made && b.arena_limit < ARENA_LIMIT; b.arena_limit += 16) {
            struct err err = build_request(r, w, &b, &mem, &got);
            made = !err_is(err);
            run_case(r, !made || same_request(&got, &whole), "%s is another one with %zu bytes",
                     w->name, b.arena_limit);
            arena_free(&mem);
        }
        arena_free(&whole_mem);
        run_case(r, made, "%s is never made", w->name);
    }
}

const struct check request_checks[] = {
    {"requests_are_the_recorded_bytes", requests_are_the_recorded_bytes},
    {"requests_are_deterministic", requests_are_deterministic},
    {"impossible_amounts_are_refused", impossible_amounts_are_refused},
    {"impossible_phones_are_refused", impossible_phones_are_refused},
    {"missing_settings_are_refused", missing_settings_are_refused},
    {"no_secret_in_url", no_secret_in_url},
    {"no_header_can_be_injected", no_header_can_be_injected},
    {"no_member_can_be_injected", no_member_can_be_injected},
    {"our_id_is_sent", our_id_is_sent},
    {"request_is_whole_or_not_made", request_is_whole_or_not_made},
    {NULL, NULL},
};
