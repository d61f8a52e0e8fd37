/* Masking of provider bodies by field list: what is stored for support must not leak keys, tokens
 * or whole phone numbers. */
#include "gateways/redact.h"

#include "core/codec/json.h"
#include "core/codec/jsonw.h"

enum { KEEP_HEAD = 5, KEEP_TAIL = 2, PHONE_MIN_DIGITS = 9 };

struct redaction {
    const struct redact_rules *rules;
    struct buf *out;
};

static void put_value(const struct redaction *r, const struct json *v, struct str name);

static bool listed(const char *list, struct str name)
{
    struct str rest = str_c(list), part;
    if (rest.n == 0 || name.n == 0)
        return false;
    while (str_split(&rest, ',', &part))
        if (str_ieq(part, name))
            return true;
    return false;
}

static void put_phone(struct buf *out, struct str phone)
{
    buf_char(out, '"');
    for (size_t i = 0; i < phone.n; i++) {
        bool keep = i < KEEP_HEAD || i + KEEP_TAIL >= phone.n;
        bool plain = ascii_is_digit(phone.p[i]) || phone.p[i] == '+';
        buf_char(out, keep && plain ? phone.p[i] : '*');
    }
    buf_char(out, '"');
}

/* However it is written. A short code in a phone's field stays readable. */
static bool is_phone(struct str s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s.n; i++)
        digits += ascii_is_digit(s.p[i]);
    return digits >= PHONE_MIN_DIGITS;
}

static bool is_scalar(enum json_kind k)
{
    return k == JSON_STR || k == JSON_INT || k == JSON_REAL_;
}

/* Whether the value was masked, by the rules for `name`. */
static bool put_masked(const struct redaction *r, const struct json *v, struct str name)
{
    if (listed(r->rules->hide, name)) {
        buf_c(r->out, "\"***\"");
        return true;
    }
    char text[JSON_NUMBER_TEXT];
    if (listed(r->rules->phones, name) && is_scalar(json_kind(v))) {
        struct str phone = json_number_text(v, text);
        if (!is_phone(phone))
            return false;
        put_phone(r->out, phone);
        return true;
    }
    if (listed(r->rules->urls, name) && json_kind(v) == JSON_STR) {
        struct str url = json_str(v);
        size_t slash = url.n;
        while (slash > 0 && url.p[slash - 1] != '/')
            slash--;
        json_quote(r->out, str_first(url, slash));
        r->out->n -= r->out->n > 0 && !r->out->failed ? 1 : 0; /* before the closing quote */
        buf_c(r->out, "***\"");
        return true;
    }
    return false;
}

/* What names the object's value, if it is a pair. */
static struct str pair_of(const struct redaction *r, const struct json *v)
{
    struct json_iter it = {0};
    while (r->rules->pair_names != NULL && json_next(v, &it))
        if (listed(r->rules->pair_names, it.name) && json_kind(it.value) == JSON_STR)
            return json_str(it.value);
    return STR_NULL;
}

static void put_object(const struct redaction *r, const struct json *v)
{
    struct str pair = pair_of(r, v);
    bool comma = false;
    struct json_iter it = {0};
    buf_char(r->out, '{');
    while (json_next(v, &it)) {
        if (comma)
            buf_char(r->out, ',');
        comma = true;
        json_quote(r->out, it.name);
        buf_char(r->out, ':');
        bool holds = pair.n > 0 && str_eq(it.name, str_c(r->rules->pair_value));
        put_value(r, it.value, holds ? pair : it.name);
    }
    buf_char(r->out, '}');
}

/* Recursion ends: json_parse has refused more than JSON_MAX_DEPTH levels. */
static void put_value(const struct redaction *r, const struct json *v, struct str name)
{
    if (put_masked(r, v, name))
        return;
    switch (json_kind(v)) {
    case JSON_OBJ:
        put_object(r, v);
        break;
    case JSON_ARR:
        buf_char(r->out, '[');
        for (size_t i = 0; i < json_n(v); i++) {
            if (i > 0)
                buf_char(r->out, ',');
            put_value(r, json_at(v, i), name);
        }
        buf_char(r->out, ']');
        break;
    default:
        json_canonical(v, r->out);
    }
}

void redact_json(struct str body, const struct redact_rules *rules, struct buf *out)
{
    struct json *root;
    if (body.n == 0)
        return;
    if (err_is(json_parse(body, &root, NULL))) {
        buf_fmt(out, "{\"unreadable_bytes\":%zu}", body.n);
        return;
    }
    struct redaction r = {rules, out};
    put_value(&r, root, STR_NULL);
    json_free(root);
}
