/* What the handlers of the API share: the body of a request, its headers, its answer. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/flow/idempotency.h"
#include "http/cards.h"

/* gzip and the like. Callbacks do not come here: they are kept as they are. */
static bool body_is_encoded(const struct http_exchange *x)
{
    struct str list = http_header(x, STR("content-encoding")), word;
    while (str_split(&list, ',', &word))
        if (str_trim(word).n > 0 && !str_ieq(str_trim(word), STR("identity")))
            return true;
    return false;
}

struct json *api_body(struct http_exchange *x)
{
    struct json *j;
    size_t where = 0;
    struct str type = http_header(x, STR("content-type"));
    struct str media = str_trim(str_first(type, str_find(type, ';', 0)));
    if (!str_ieq(media, STR("application/json"))) {
        http_problem(x, ERR(UNSUPPORTED_MEDIA_TYPE, NULL), "The body must be application/json.");
        return NULL;
    }
    if (body_is_encoded(x)) {
        http_problem(x, ERR(UNSUPPORTED_CONTENT_ENCODING, NULL),
                     "The body has a Content-Encoding.");
        return NULL;
    }
    struct err err = json_parse(x->body, &j, &where);
    if (err_is(err)) {
        struct str detail = arena_fmt(x->arena, "%s near byte %zu.", err.what, where);
        http_problem(x, ERR(INVALID_JSON, NULL), detail.p != NULL ? detail.p : err.what);
        return NULL;
    }
    if (json_kind(j) != JSON_OBJ) {
        json_free(j);
        http_problem(x, ERR(INVALID_JSON, NULL), "The body must be a JSON object.");
        return NULL;
    }
    if (card_refused(x, j)) {
        json_free(j);
        return NULL;
    }
    return j;
}

bool api_no_faults(struct http_exchange *x, const struct field_errors *e)
{
    if (e->n == 0)
        return true;
    http_problem_fields(x, ERR(VALIDATION, NULL), "Some fields are missing or wrong.", e);
    return false; /* they may have been the exchange's, and gone with it */
}

bool body_open(struct http_exchange *x, struct body_fields *b)
{
    b->json = api_body(x);
    b->errors = (struct field_errors){.arena = x->arena};
    b->f = (struct fields){b->json, "", &b->errors};
    return b->json != NULL;
}

bool body_close(struct http_exchange *x, struct body_fields *b)
{
    json_free(b->json);
    return api_no_faults(x, &b->errors);
}

struct str api_trace(const struct http_exchange *x)
{
    struct str t = http_header(x, STR("traceparent"));
    bool good = t.n == 55 && !str_starts(t, STR("ff"));
    bool trace = false, parent = false; /* all zero: invalid */
    for (size_t i = 0; i < t.n && good; i++) {
        char c = t.p[i];
        bool dash = i == 2 || i == 35 || i == 52;
        good = dash ? c == '-' : ascii_is_digit(c) || (c >= 'a' && c <= 'f');
        trace |= i > 2 && i < 35 && c != '0';
        parent |= i > 35 && i < 52 && c != '0';
    }
    return good && trace && parent ? arena_dup(x->arena, t) : STR_NULL;
}

bool api_idempotency_key(struct http_exchange *x, struct str *key)
{
    struct str given = http_header(x, STR("idempotency-key"));
    *key = STR_NULL;
    if (given.p == NULL && api_who(x)->needs_idempotency_key) {
        http_problem(x, ERR(IDEMPOTENCY_KEY_REQUIRED, NULL), "Send an Idempotency-Key.");
        return false;
    }
    if (given.p != NULL && !idempotency_key_ok(given)) {
        http_problem(x, ERR(IDEMPOTENCY_KEY_INVALID, NULL),
                     "An Idempotency-Key has 16 to 255 printable ASCII characters.");
        return false;
    }
    struct uuid parsed;
    if (given.p != NULL && api_who(x)->needs_uuid_key && !uuid_parse(given, &parsed)) {
        http_problem(x, ERR(IDEMPOTENCY_KEY_INVALID, NULL),
                     "The merchant wants a UUID as Idempotency-Key.");
        return false;
    }
    if (given.p != NULL)
        *key = arena_dup(x->arena, given);
    return true;
}

/* Of one preference, as RFC 7240 writes it: names in any case, blanks, quotes, parameters. */
static bool is_wait(struct str preference, int64_t *seconds)
{
    struct str name = STR_NULL, value = STR_NULL;
    (void)str_split(&preference, ';', &value);
    (void)str_split(&value, '=', &name);
    value = str_trim(value);
    if (value.n > 1 && value.p[0] == '"' && str_ends(value, STR("\"")))
        value = str_n(value.p + 1, value.n - 2);
    return str_ieq(str_trim(name), STR("wait")) && str_to_i64(value, seconds) && *seconds > 0;
}

int64_t api_preferred_wait(const struct http_exchange *x)
{
    struct str rest = http_header(x, STR("prefer")), part;
    int64_t seconds;
    while (str_split(&rest, ',', &part))
        if (is_wait(part, &seconds))
            return (seconds < 10 ? seconds : 10) * US_PER_S;
    return 0;
}

void api_set_replayed(struct http_exchange *x, int64_t original_us)
{
    char at[TIME_TEXT];
    http_set_header(x, STR("Idempotent-Replayed"), STR("true"));
    http_set_header(x, STR("Idempotency-Original-Date"), str_c(time_text(original_us, at)));
}

bool api_path_id(struct http_exchange *x, int param, struct uuid *id)
{
    if (uuid_parse(x->params[param], id) && !uuid_is_nil(*id)) /* nil is "none" further on */
        return true;
    http_problem(x, ERR(NOT_FOUND, NULL), "No such resource.");
    return false;
}

void api_reply_buf(struct http_exchange *x, int status, struct buf *b)
{
    struct buf body = *b; /* `b` may lie in the exchange's arena, which goes with the answer */
    if (body.failed)
        http_problem(x, ERR(NO_MEMORY, "answer"), "");
    else
        http_reply_json(x, status, buf_view(&body));
    buf_free(&body);
}
