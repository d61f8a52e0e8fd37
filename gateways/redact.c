/* Masking of provider bodies by field list: what is stored for support must not leak keys, tokens
 * or whole phone numbers.
 *
 * Twice per payment, so plain bodies, as nearly all are, are masked as they are read; what is not
 * plain goes by a tree, with the same outcome. */
#include "gateways/redact.h"

#include "core/codec/json.h"
#include "core/codec/jsonw.h"

enum { KEEP_HEAD = 5, KEEP_TAIL = 2, PHONE_MIN_DIGITS = 9, PLAIN_NAMES = 64, PLAIN_DIGITS = 18 };

struct redaction {
    const struct redact_rules *rules;
    struct buf *out;
};

static void put_value(const struct redaction *r, const struct json *v, struct str name);

static bool listed(const char *list, struct str name)
{
    if (list == NULL || name.n == 0)
        return false;
    for (const char *part = list, *end;; part = end + 1) {
        end = strchrnul(part, ',');
        if ((size_t)(end - part) == name.n && str_ieq(str_n(part, name.n), name))
            return true;
        if (*end == '\0')
            return false;
    }
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

/* ---- plain bodies: no escapes, no pairs, no reals, few members, none twice ---- */

struct plain {
    struct str text;
    size_t at;
    const struct redact_rules *rules;
    struct buf *out;
    int depth;
    size_t n_names; /* of the objects that are open */
    struct str names[PLAIN_NAMES];
};

static bool plain_value(struct plain *p, struct str name);

static char plain_next(struct plain *p)
{
    while (p->at < p->text.n && memchr(" \t\r\n", p->text.p[p->at], 4) != NULL)
        p->at++;
    return p->at < p->text.n ? p->text.p[p->at] : '\0';
}

static bool plain_take(struct plain *p, char c)
{
    bool is = plain_next(p) == c;
    p->at += is;
    return is;
}

static bool plain_string(struct plain *p, struct str *out)
{
    size_t from = ++p->at;
    unsigned char all = 0;
    for (; p->at < p->text.n && p->text.p[p->at] != '"'; p->at++) {
        unsigned char c = (unsigned char)p->text.p[p->at];
        if (c < 0x20 || c == '\\')
            return false;
        all |= c;
    }
    *out = str_n(p->text.p + from, p->at - from);
    return p->at++ < p->text.n && (all < 0x80 || utf8_valid(*out));
}

/* A whole number, true, false or null, as it is written. */
static bool plain_word(struct plain *p, struct str *out)
{
    size_t from = p->at;
    while (p->at < p->text.n &&
           (ascii_is_alpha(p->text.p[p->at]) || ascii_is_digit(p->text.p[p->at]) ||
            memchr("+-.", p->text.p[p->at], 3) != NULL))
        p->at++;
    *out = str_n(p->text.p + from, p->at - from);
    struct str digits = out->n > 0 && out->p[0] == '-' ? str_from(*out, 1) : *out;
    if (str_is_digits(digits))
        return digits.n <= PLAIN_DIGITS && (digits.p[0] != '0' || (digits.n == 1 && out->n == 1));
    return str_eq(*out, STR("true")) || str_eq(*out, STR("false")) || str_eq(*out, STR("null"));
}

static bool plain_scalar(struct plain *p, struct str name, bool quoted)
{
    struct str s;
    if (!(quoted ? plain_string(p, &s) : plain_word(p, &s)))
        return false;
    bool number = !quoted && !ascii_is_alpha(s.p[0]);
    if ((quoted || number) && listed(p->rules->phones, name) && is_phone(s)) {
        put_phone(p->out, s);
        return true;
    }
    if (quoted)
        buf_char(p->out, '"');
    if (quoted && listed(p->rules->urls, name)) {
        while (s.n > 0 && s.p[s.n - 1] != '/')
            s.n--;
        buf_str(p->out, s);
        buf_c(p->out, "***");
    } else {
        buf_str(p->out, s);
    }
    if (quoted)
        buf_char(p->out, '"');
    return true;
}

static bool plain_member(struct plain *p, size_t first)
{
    struct str name;
    if (plain_next(p) != '"' || !plain_string(p, &name) || p->n_names == PLAIN_NAMES)
        return false;
    for (size_t i = first; i < p->n_names; i++)
        if (str_eq(p->names[i], name))
            return false;
    p->names[p->n_names++] = name;
    buf_char(p->out, '"');
    buf_str(p->out, name);
    buf_add(p->out, "\":", 2);
    if (!plain_take(p, ':') || (p->rules->pair_names != NULL && listed(p->rules->pair_names, name)))
        return false;
    size_t n = p->out->n;
    if (!plain_value(p, name))
        return false;
    if (listed(p->rules->hide, name)) {
        p->out->n = n;
        buf_c(p->out, "\"***\"");
    }
    return true;
}

static bool plain_object(struct plain *p)
{
    size_t first = p->n_names;
    buf_char(p->out, '{');
    if (plain_next(p) != '}') {
        do {
            if (p->n_names > first)
                buf_char(p->out, ',');
            if (!plain_member(p, first))
                return false;
        } while (plain_take(p, ','));
    }
    p->n_names = first;
    buf_char(p->out, '}');
    return plain_take(p, '}');
}

static bool plain_array(struct plain *p, struct str name)
{
    bool comma = false;
    buf_char(p->out, '[');
    if (plain_next(p) != ']') {
        do {
            if (comma)
                buf_char(p->out, ',');
            comma = true;
            if (!plain_value(p, name))
                return false;
        } while (plain_take(p, ','));
    }
    buf_char(p->out, ']');
    return plain_take(p, ']');
}

static bool plain_value(struct plain *p, struct str name)
{
    char c = plain_next(p);
    if (c != '{' && c != '[')
        return plain_scalar(p, name, c == '"');
    if (++p->depth > JSON_MAX_DEPTH)
        return false;
    p->at++;
    bool whole = c == '{' ? plain_object(p) : plain_array(p, name);
    p->depth--;
    return whole;
}

/* Whether it was plain; if not, `out` is as it was. */
static bool plain_json(struct str body, const struct redact_rules *rules, struct buf *out)
{
    struct plain p;
    p.text = body;
    p.at = p.n_names = 0;
    p.rules = rules;
    p.out = out;
    p.depth = 0;
    size_t n = out->n;
    char c = plain_next(&p);
    if (out->failed)
        return true;
    if ((c == '{' || c == '[') && plain_value(&p, STR_NULL) && plain_next(&p) == '\0' &&
        p.at == body.n && !out->failed)
        return true;
    out->n = n;
    out->failed = false; /* what is hidden in the end need not have had room */
    return false;
}

void redact_json(struct str body, const struct redact_rules *rules, struct buf *out)
{
    struct json *root;
    if (body.n == 0 || plain_json(body, rules, out))
        return;
    if (err_is(json_parse(body, &root, NULL))) {
        buf_fmt(out, "{\"unreadable_bytes\":%zu}", body.n);
        return;
    }
    struct redaction r = {rules, out};
    put_value(&r, root, STR_NULL);
    json_free(root);
}
