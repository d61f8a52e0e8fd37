/* What a gateway hears when a shape is spoilt: cut, of other types, with members missing or twice,
 * numbers too large, nested too deep, no UTF-8, no JSON at all. Nothing of it may become more than
 * the whole shape says. */
#include "core/codec/json.h"
#include "test/conform/conform.h"

#define EACH_SHAPE(s, r)                                                                  \
    for (const struct wire_shape *s = (r)->fx->shapes; s != NULL && s->name != NULL; s++) \
        if (op_there((r)->gw, s->op) && s->op != WIRE_TOKEN)

#define MISSING "without the member"

static const char *verdict_of(const struct said *said)
{
    return err_is(said->err) ? "not ours" : verdict_word(said->r.verdict);
}

/* Hears `body` in the place of the shape's. With `nothing` it may say nothing at all, but that an
 * order that was refused for lack of capacity may be tried later. */
static void spoilt(struct run *r, const struct wire_shape *s, struct str body, bool nothing,
                   const char *how, size_t at)
{
    struct ask ask = ask_of(s, body);
    struct said said;
    hear(r, s, &ask, &said);
    const char *what = claims_too_much(s, &said);
    /* "There is no such" is an end, too. */
    if (!nothing && strcmp(how, MISSING) != 0 && said.r.verdict == GW_NOT_FOUND &&
        s->means.verdict != GW_NOT_FOUND)
        what = "not there";
    bool later = said.r.verdict == GW_REFUSED && s->means.verdict == GW_REFUSED &&
                 (said.r.retry_later || (r->fx->client_error_refuses && s->status / 100 == 4));
    if (nothing)
        what = says_nothing(s, &said) || later ? NULL : "something is said";
    run_case(r, what == NULL, "%s, \"%s\", %s at %zu is %s: %s", op_word(s->op), s->name, how, at,
             verdict_of(&said), what);
    said_free(&said);
}

static void truncated_answer_is_unknown(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        struct str body = wire_of(r, s)->body;
        for (size_t n = 0; n < body.n; n++)
            spoilt(r, s, str_first(body, n), true, "cut", n);
    }
}

/* ---- values ---- */

static struct str inside(const struct wire *w, struct span at)
{
    return str_n(w->body.p + at.from, at.to - at.from);
}

static bool is_decimal(struct str s)
{
    struct money m;
    return s.n > 0 && s.p[0] != '0' && !err_is(money_parse(s, CURRENCY('K', 'E', 'S'), &m));
}

static char type_of(struct str v)
{
    return v.p[0] == '-' || ascii_is_digit(v.p[0]) ? '0' : v.p[0] == 't' ? 'f' : v.p[0];
}

/* The same content in another type where there is one ("0" and 0), else something of that type. */
static void wrong_types_claim_nothing_new(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t i = 0; i < w->n_spans; i++) {
            struct str v = inside(w, w->spans[i]);
            if (v.p[0] == 'n' && s->means.verdict == GW_UNKNOWN)
                continue; /* something in the place of nothing may well be an answer */
            bool text = v.p[0] == '"', number = v.p[0] == '-' || ascii_is_digit(v.p[0]);
            struct str bare = text ? str_n(v.p + 1, v.n - 2) : v;
            const struct str others[] = {
                STR("null"),
                STR("true"),
                STR("false"),
                text && is_decimal(bare) ? bare
                : number                 ? v
                                         : STR("7777777"),
                number ? arena_fmt(&r->mem, "\"%.*s\"", STR_ARG(v))
                : text ? v
                       : STR("\"x\""),
                STR("{}"),
                STR("[]"),
                arena_fmt(&r->mem, "[%.*s]", STR_ARG(v)),
                arena_fmt(&r->mem, "{\"value\":%.*s}", STR_ARG(v)),
            };
            for (size_t k = 0; k < COUNT_OF(others); k++)
                if (type_of(others[k]) != type_of(v))
                    spoilt(r, s, wire_with(&r->mem, w->body, w->spans[i], others[k]), false,
                           "a value of another type", w->spans[i].from);
        }
    }
}

/* From the member's name to its value, and one comma. */
static struct span member_of(const struct wire *w, struct span v)
{
    struct span at = {.from = v.name_from, .to = v.to};
    while (w->body.p[at.to] == ' ' || w->body.p[at.to] == '\n')
        at.to++;
    if (w->body.p[at.to] == ',') {
        at.to++;
        return at;
    }
    size_t from = at.from;
    while (w->body.p[from - 1] == ' ' || w->body.p[from - 1] == '\n')
        from--;
    if (w->body.p[from - 1] == ',')
        at.from = from - 1;
    return at;
}

static void missing_members_claim_nothing_new(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t i = 0; i < w->n_spans && s->means.verdict != GW_UNKNOWN; i++)
            if (w->spans[i].name_to > w->spans[i].name_from)
                spoilt(r, s, wire_with(&r->mem, w->body, member_of(w, w->spans[i]), STR_NULL),
                       false, MISSING, w->spans[i].name_from);
    }
}

/* Which of two is meant, nobody knows. */
static void duplicate_members_are_unknown(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t i = 0; i < w->n_spans; i++) {
            struct span v = w->spans[i], before = {.from = v.name_from, .to = v.name_from};
            if (v.name_to == v.name_from)
                continue;
            struct str name = str_n(w->body.p + v.name_from, v.name_to - v.name_from);
            const struct str twins[] = {inside(w, v), STR("null"), STR("\"0\""), STR("0"),
                                        STR("\"completed\"")};
            for (size_t k = 0; k < COUNT_OF(twins); k++)
                spoilt(
                    r, s,
                    wire_with(&r->mem, w->body, before,
                              arena_fmt(&r->mem, "%.*s:%.*s,", STR_ARG(name), STR_ARG(twins[k]))),
                    true, "a member twice", v.name_from);
        }
    }
}

static void huge_numbers_claim_nothing_new(struct run *r)
{
    char nines[402];
    memset(nines, '9', 400);
    nines[400] = '\0';
    const char *const numbers[] = {"9223372036854775807",
                                   "9223372036854775808",
                                   "-9223372036854775808",
                                   "-9223372036854775809",
                                   "18446744073709551616",
                                   "99999999999999999999999999",
                                   "1e308",
                                   "1e309",
                                   "-1e999999999",
                                   "1e-400",
                                   nines};
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t i = 0; i < w->n_spans; i++) {
            struct str v = inside(w, w->spans[i]);
            bool text = v.p[0] == '"' && str_is_digits(str_n(v.p + 1, v.n - 2));
            if (!text && v.p[0] != '-' && !ascii_is_digit(v.p[0]))
                continue;
            for (size_t k = 0; k < COUNT_OF(numbers); k++)
                spoilt(r, s,
                       wire_with(&r->mem, w->body, w->spans[i],
                                 arena_fmt(&r->mem, text ? "\"%s\"" : "%s", numbers[k])),
                       false, "a number too large", w->spans[i].from);
        }
    }
}

/* ---- the whole body ---- */

static struct str nested(struct arena *mem, size_t depth, char open, char close)
{
    size_t each = open == '{' ? 5 : 1;
    char *p = arena_alloc(mem, depth * (each + 1) + 2);
    ASSERT(p != NULL);
    for (size_t i = 0; i < depth; i++)
        memcpy(p + i * each, open == '{' ? "{\"a\":" : "[", each);
    p[depth * each] = '1';
    memset(p + depth * each + 1, close, depth);
    return str_n(p, depth * (each + 1) + 1);
}

static void deep_nesting_is_unknown(struct run *r)
{
    const struct str deep[] = {nested(&r->mem, 40, '[', ']'), nested(&r->mem, 40, '{', '}'),
                               nested(&r->mem, 100000, '[', ']'),
                               nested(&r->mem, 100000, '{', '}')};
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t i = 0; i < COUNT_OF(deep); i++) {
            spoilt(r, s, deep[i], true, "nesting", i);
            if (w->n_spans == 0 || w->body.p[0] != '{')
                continue;
            struct arena own;
            arena_init(&own, 2 * 1024 * 1024);
            struct span first = {.from = 1, .to = 1};
            struct str member = arena_fmt(&own, "\"deep\":%.*s,", STR_ARG(deep[i]));
            spoilt(r, s, wire_with(&own, w->body, first, member), true, "nesting within", i);
            arena_free(&own);
        }
    }
}

static void bytes_that_are_no_text_are_unknown(struct run *r)
{
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {
        {"\xff", 1},     {"\xc0\x80", 2}, {"\x80", 1}, {"\xed\xa0\x80", 3}, {"\xf4\x90\x80\x80", 4},
        {"\xe2\x82", 2}, {"\0", 1},       {"\n", 1},   {"\\u0000", 6},      {"\\ud800", 6},
        {"\\x", 2},      {"\x1f", 1},
    };
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t i = 0; i < w->n_spans; i++) {
            struct span v = w->spans[i];
            if (w->body.p[v.from] != '"')
                continue;
            const struct span places[] = {{.from = v.from + 1, .to = v.from + 1},
                                          {.from = v.to - 1, .to = v.to - 1}};
            for (size_t k = 0; k < COUNT_OF(bad); k++)
                for (size_t at = 0; at < COUNT_OF(places); at++)
                    spoilt(r, s, wire_with(&r->mem, w->body, places[at], str_n(bad[k].p, bad[k].n)),
                           true, "no text", places[at].from);
        }
    }
}

static void no_json_is_unknown(struct run *r)
{
    static const char html[] = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>"
                               "<body><h1>OK 0 completed succeeded</h1></body></html>";
    static const struct str bodies[] = {
        {html, sizeof html - 1},
        {"", 0},
        {NULL, 0},
        {" ", 1},
        {"null", 4},
        {"0", 1},
        {"\"0\"", 3},
        {"true", 4},
        {"[]", 2},
        {"{}", 2},
        {"[{}]", 4},
        {"\0\0\0\0", 4},
        {"OK", 2},
        {"\xef\xbb\xbf{}", 5},
        {"status=completed", 16},
        {"{}{}", 4},
    };
    static const int statuses[] = {200, 201, 202, 204, 302, 500, 502, 503, 504};
    EACH_SHAPE(s, r)
    {
        for (size_t i = 0; i < COUNT_OF(bodies); i++) {
            for (size_t k = 0; k < COUNT_OF(statuses); k++) {
                struct ask ask = ask_of(s, bodies[i]);
                struct said said;
                ask.status = statuses[k];
                hear(r, s, &ask, &said);
                run_case(r, says_nothing(s, &said), "%s with status %d and \"%.*s\" is %s",
                         op_word(s->op), statuses[k], STR_ARG(bodies[i]), verdict_of(&said));
                said_free(&said);
            }
        }
        struct str body = wire_of(r, s)->body;
        const struct str tails[] = {STR("x"), STR("{}"), STR(","), STR("\n<html>")};
        for (size_t i = 0; i < COUNT_OF(tails); i++)
            spoilt(r, s, arena_fmt(&r->mem, "%.*s%.*s", STR_ARG(body), STR_ARG(tails[i])), true,
                   "something behind it", i);
    }
}

/* ---- strings ---- */

static bool is_object(struct str s)
{
    struct json *root;
    if (s.n == 0)
        return true;
    if (err_is(json_parse(s, &root, NULL)))
        return false;
    bool ok = json_kind(root) == JSON_OBJ;
    json_free(root);
    return ok;
}

/* NULL if it can be stored and shown as it is. */
static const char *unfit(const struct gw_result *r)
{
    const struct gw_dispute *d = &r->dispute;
    const struct str words[] = {r->provider_ref, r->our_id, r->receipt, r->provider_code,
                                d->id,           d->status, d->reason};
    static const char *const names[] = {"provider_ref",  "our_id",         "receipt",
                                        "provider_code", "a dispute's id", "its own status",
                                        "its own reason"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (words[i].n > GW_REF_MAX || !str_is_printable_ascii(words[i]))
            return names[i];
    if (r->message.n > 200 || !utf8_valid(r->message))
        return "message";
    for (size_t i = 0; i < r->message.n; i++)
        if ((unsigned char)r->message.p[i] < 0x20 || r->message.p[i] == 0x7f)
            return "a control character in message";
    if (r->phone.n > 0 &&
        (r->phone.p[0] != '+' || !str_is_digits(str_from(r->phone, 1)) || r->phone.n > 16))
        return "phone";
    if (!is_object(r->next_action))
        return "next_action";
    if (r->amount.currency != 0 && (r->amount.minor <= 0 || r->amount.minor > MONEY_MAX ||
                                    !currency_known(r->amount.currency)))
        return "amount";
    if ((r->verdict == GW_FAILED || r->verdict == GW_REFUSED) && r->code == FAILURE_NONE)
        return "a failure without a code";
    if (d->id.n == 0 && (d->amount.currency != 0 || d->due_us != 0 || d->state != GW_DISPUTE_OPEN))
        return "a dispute without a name";
    if (d->amount.currency != 0 && (d->amount.minor <= 0 || d->amount.minor > MONEY_MAX))
        return "the amount of a dispute";
    if (r->verdict == GW_UNKNOWN && d->id.n > 0)
        return "a dispute of which nothing is known";
    if (r->verdict != GW_SUCCEEDED && r->verdict != GW_REVERSED &&
        (r->receipt.n > 0 || r->amount.currency != 0))
        return "a proof of what has not happened";
    if (r->verdict == GW_UNKNOWN && r->why == NULL)
        return "unknown, but not why";
    return r->sure && r->verdict != GW_FAILED ? "sure of what is no failure" : NULL;
}

static void results_can_be_stored(struct run *r)
{
    char a129[132], a5000[5003], wide[303];
    (void)snprintf(a129, sizeof a129, "\"%0129d\"", 7);
    (void)snprintf(a5000, sizeof a5000, "\"%05000d\"", 7);
    memset(wide, 'a', sizeof wide);
    memcpy(wide + 200, "\xf0\x9f\x98\x80", 4); /* a character across the limit of messages */
    wide[0] = wide[301] = '"';
    wide[302] = '\0';
    const char *const strings[] = {a129,
                                   a5000,
                                   wide,
                                   "\"\"",
                                   "\"a b\"",
                                   "\"\\u0001\\u001f\\u007f\"",
                                   "\"\\r\\n\"",
                                   "\"\xc3\xa9\"",
                                   "\"\\\"}\"",
                                   "\"https://a.example/\\u0001\"",
                                   "\"javascript:alert(1)\"",
                                   "\"+\"",
                                   "\"0\"",
                                   "1"};
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t i = 0; i < w->n_spans; i++) {
            for (size_t k = 0; k < COUNT_OF(strings) && w->spans[i].depth > 0; k++) {
                struct ask ask =
                    ask_of(s, wire_with(&r->mem, w->body, w->spans[i], str_c(strings[k])));
                struct said said;
                hear(r, s, &ask, &said);
                const char *what = err_is(said.err) ? NULL : unfit(&said.r);
                run_case(r, what == NULL, "%s, \"%s\", a text at %zu: %s", op_word(s->op), s->name,
                         w->spans[i].from, what);
                said_free(&said);
            }
        }
    }
}

/* ---- tokens ---- */

static struct err token_of(struct run *r, int status, struct str body, struct arena *mem,
                           struct str *token, int64_t *life_us)
{
    struct outbound_response in = {.outcome = OUTBOUND_ANSWERED, .status = status, .body = body};
    arena_init(mem, ARENA_LIMIT);
    *token = STR_NULL;
    *life_us = 0;
    return r->gw->token_parse(&in, mem, token, life_us);
}

static void token_case(struct run *r, const struct wire_shape *s, int status, struct str body,
                       const char *how)
{
    struct arena mem;
    struct str token;
    int64_t life_us;
    struct err err = token_of(r, status, body, &mem, &token, &life_us);
    bool good = s->means.verdict == GW_ACCEPTED && str_eq(token, str_c(r->fx->token));
    bool usable = token.n > 0 && life_us > 0 && life_us <= 366 * US_PER_DAY &&
                  str_is_printable_ascii(token) && str_find(token, ' ', 0) == SIZE_MAX;
    run_case(r, err_is(err) || (usable && (how == NULL ? good : true)), "\"%s\" %s is a token",
             s->name, how != NULL ? how : "");
    run_case(r, how != NULL || err_is(err) != good, "\"%s\" is no token", s->name);
    arena_free(&mem);
}

/* A token that is cut, or could break a header, is none. */
static void token_is_checked(struct run *r)
{
    static const char *const bad[] = {
        "\"a\\r\\nX-Evil: 1\"", "\"a b\"", "\"\"", "null", "1", "[]", "-1", "0", "1e400", "\"-1\"",
        "99999999999999999999"};
    if (r->gw->token_parse == NULL)
        return;
    for (const struct wire_shape *s = r->fx->shapes; s->name != NULL; s++) {
        if (s->op != WIRE_TOKEN)
            continue;
        const struct wire *w = wire_of(r, s);
        token_case(r, s, s->status, w->body, NULL);
        for (size_t i = 1; i < w->n_spans; i++)
            for (size_t k = 0; k < COUNT_OF(bad); k++)
                token_case(r, s, s->status, wire_with(&r->mem, w->body, w->spans[i], str_c(bad[k])),
                           "spoilt");
        for (size_t n = 0; n < w->body.n; n++) {
            struct arena mem;
            struct str token;
            int64_t life_us;
            run_case(r,
                     err_is(token_of(r, s->status, str_first(w->body, n), &mem, &token, &life_us)),
                     "\"%s\", cut at %zu, is a token", s->name, n);
            arena_free(&mem);
        }
    }
}

/* ---- what is stored ---- */

static void redacted(struct run *r, const char *what, struct str body)
{
    struct buf out;
    buf_init(&out, 1024 * 1024);
    r->gw->redact(body, &out);
    struct str got = buf_view(&out);
    for (const char *const *p = r->fx->personal; *p != NULL; p++)
        run_case(r, str_find_str(got, str_c(*p)) == SIZE_MAX, "\"%s\" shows %s", what, *p);
    for (size_t i = 0; i < r->gw->n_settings; i++)
        if (r->gw->settings[i].secret && r->account.settings[i].n >= 4)
            run_case(r, str_find_str(got, secret_view(&r->account.settings[i])) == SIZE_MAX,
                     "\"%s\" shows %s", what, r->gw->settings[i].name);
    run_case(r, utf8_valid(got), "\"%s\" is no text", what);
    buf_free(&out);
}

static bool is_personal(struct run *r, struct str value)
{
    for (const char *const *p = r->fx->personal; *p != NULL; p++)
        if (str_find_str(value, str_c(*p)) != SIZE_MAX)
            return true;
    return false;
}

/* Every body that comes or goes, whole, cut, and with its personal parts in other types. */
static void nothing_personal_is_stored(struct run *r)
{
    if (r->gw->redact == NULL)
        return;
    for (const struct wire_shape *s = r->fx->shapes; s != NULL && s->name != NULL; s++) {
        const struct wire *w = wire_of(r, s);
        if (s->op == WIRE_TOKEN)
            continue;
        redacted(r, s->name, w->body);
        for (size_t n = 1; n < w->body.n; n++)
            redacted(r, s->name, str_first(w->body, n));
        for (size_t i = 0; i < w->n_spans; i++)
            if (is_personal(r, inside(w, w->spans[i])))
                redacted(r, s->name,
                         wire_with(&r->mem, w->body, w->spans[i],
                                   arena_fmt(&r->mem, "[%.*s]", STR_ARG(inside(w, w->spans[i])))));
    }
    for (const struct wire_request *q = r->fx->requests; q != NULL && q->name != NULL; q++) {
        struct build b = build_of(r, q);
        struct arena mem;
        struct outbound_request got;
        if (!err_is(build_request(r, q, &b, &mem, &got)) && got.body.n > 0)
            redacted(r, q->name, got.body);
        arena_free(&mem);
    }
}

const struct check hostile_checks[] = {
    {"truncated_answer_is_unknown", truncated_answer_is_unknown},
    {"wrong_types_claim_nothing_new", wrong_types_claim_nothing_new},
    {"missing_members_claim_nothing_new", missing_members_claim_nothing_new},
    {"duplicate_members_are_unknown", duplicate_members_are_unknown},
    {"huge_numbers_claim_nothing_new", huge_numbers_claim_nothing_new},
    {"deep_nesting_is_unknown", deep_nesting_is_unknown},
    {"bytes_that_are_no_text_are_unknown", bytes_that_are_no_text_are_unknown},
    {"no_json_is_unknown", no_json_is_unknown},
    {"results_can_be_stored", results_can_be_stored},
    {"token_is_checked", token_is_checked},
    {"nothing_personal_is_stored", nothing_personal_is_stored},
    {NULL, NULL},
};
