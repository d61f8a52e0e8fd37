/* The append-only JSON writer. No number passes through a double here. */
#include "core/codec/jsonw.h"

#include "core/base/times.h"

static void value(struct jsonw *w, const char *name)
{
    if (name != NULL) {
        jw_key(w, name);
    } else if (w->comma) {
        buf_char(w->b, ',');
    }
    w->comma = true;
}

void jw_key(struct jsonw *w, const char *name)
{
    if (w->comma)
        buf_char(w->b, ',');
    buf_char(w->b, '"');
    buf_c(w->b, name);
    buf_add(w->b, "\":", 2);
    w->comma = false;
}

void jw_open(struct jsonw *w)
{
    if (w->comma)
        buf_char(w->b, ',');
    buf_char(w->b, '{');
    w->comma = false;
}

void jw_close(struct jsonw *w)
{
    buf_char(w->b, '}');
    w->comma = true;
}

void jw_open_list(struct jsonw *w)
{
    if (w->comma)
        buf_char(w->b, ',');
    buf_char(w->b, '[');
    w->comma = false;
}

void jw_close_list(struct jsonw *w)
{
    buf_char(w->b, ']');
    w->comma = true;
}

void json_quote(struct buf *b, struct str s)
{
    static const char hex[] = "0123456789abcdef";
    buf_char(b, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (LIKELY(c >= 0x20 && c != '"' && c != '\\'))
            continue;
        buf_add(b, s.p + from, i - from);
        from = i + 1;
        char esc[6] = {'\\', 0, '0', '0', 0, 0};
        size_t n = 2;
        switch (c) {
        case '"':
        case '\\':
            esc[1] = (char)c;
            break;
        case '\n':
            esc[1] = 'n';
            break;
        case '\r':
            esc[1] = 'r';
            break;
        case '\t':
            esc[1] = 't';
            break;
        default:
            esc[1] = 'u';
            esc[4] = hex[c >> 4];
            esc[5] = hex[c & 15];
            n = 6;
        }
        buf_add(b, esc, n);
    }
    if (s.n > from)
        buf_add(b, s.p + from, s.n - from);
    buf_char(b, '"');
}

void jw_str(struct jsonw *w, const char *name, struct str s)
{
    value(w, name);
    if (s.p == NULL)
        buf_add(w->b, "null", 4);
    else
        json_quote(w->b, s);
}

void jw_c(struct jsonw *w, const char *name, const char *c)
{
    jw_str(w, name, str_c(c));
}

void jw_i64(struct jsonw *w, const char *name, int64_t v)
{
    value(w, name);
    buf_i64(w->b, v);
}

void jw_bool(struct jsonw *w, const char *name, bool v)
{
    value(w, name);
    buf_c(w->b, v ? "true" : "false");
}

void jw_null(struct jsonw *w, const char *name)
{
    value(w, name);
    buf_add(w->b, "null", 4);
}

void jw_words(struct jsonw *w, const char *name, struct str words)
{
    struct str word;
    jw_key(w, name);
    jw_open_list(w);
    while (str_split(&words, ',', &word))
        jw_str(w, NULL, word);
    jw_close_list(w);
}

void jw_uuid(struct jsonw *w, const char *name, struct uuid u)
{
    char text[UUID_TEXT];
    value(w, name);
    buf_char(w->b, '"');
    buf_add(w->b, uuid_text(u, text), UUID_TEXT - 1);
    buf_char(w->b, '"');
}

void jw_time(struct jsonw *w, const char *name, int64_t wall_us)
{
    char text[TIME_TEXT];
    if (wall_us == 0 || wall_us == TIME_NEVER)
        jw_null(w, name);
    else
        jw_c(w, name, time_text(wall_us, text));
}

void jw_money(struct jsonw *w, const char *name, struct money m)
{
    char text[MONEY_TEXT];
    jw_c(w, name, money_text(m, text));
}

void jw_raw(struct jsonw *w, const char *name, struct str json)
{
    value(w, name);
    if (json.n == 0)
        buf_add(w->b, "null", 4);
    else
        buf_str(w->b, json);
}
