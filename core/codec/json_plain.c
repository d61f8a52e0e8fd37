/* Plain JSON, read into one piece of memory in one pass: each request has some, and jansson spends
 * two hundred instructions per byte. What is not plain is left to it, and so is every refusal: this
 * takes a subset of what it takes, and reads it the same. */
#include "core/codec/json_int.h"

#include <stddef.h>
#include <stdlib.h>

enum { PARTS_MAX = 64, INT_DIGITS = 18, REAL_TEXT = 24, TEXT_MAX = 1024 * 1024 };

struct doc {
    size_t text_n;
    char *text;
    struct json values[];
};

struct reader {
    const char *at, *end; /* *end is NUL, which ends every token */
    struct json *free, *last;
    int depth;
};

static bool read_value(struct reader *r, struct json *v);

/* No less than there are: one, and one behind each of these. */
static size_t count_values(struct str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == ',' || text.p[i] == '{' || text.p[i] == '[';
    return n;
}

struct json *json_plain(struct str text)
{
    if (text.n == 0 || text.n > TEXT_MAX)
        return NULL;
    size_t n = count_values(text), size = sizeof(struct doc) + n * sizeof(struct json);
    struct doc *doc = malloc(size + text.n + 1);
    if (doc == NULL)
        return NULL;
    doc->text = (char *)doc + size;
    doc->text_n = text.n;
    memcpy(doc->text, text.p, text.n);
    doc->text[text.n] = '\0';
    struct reader r = {
        .at = doc->text,
        .end = doc->text + text.n,
        .free = doc->values,
        .last = doc->values + n,
    };
    struct json *root = r.free++;
    *root = (struct json){0};
    bool good = read_value(&r, root) && (root->kind == JSON_OBJ || root->kind == JSON_ARR);
    if (good && r.at == r.end)
        return root;
    json_plain_free(root);
    return NULL;
}

/* Bodies hold phone numbers and keys. */
void json_plain_free(struct json *root)
{
    struct doc *doc = CONTAINER_OF(root, struct doc, values);
    explicit_bzero(doc->text, doc->text_n);
    free(doc);
}

static char skip_blank(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')
        r->at++;
    return *r->at;
}

static bool read_string(struct reader *r, struct str *raw)
{
    const char *from = r->at++;
    unsigned char all = 0, c;
    while ((c = (unsigned char)*r->at) != '"') {
        if (c < 0x20 || c == '\\')
            return false;
        all |= c;
        r->at++;
    }
    r->at++;
    *raw = str_n(from, (size_t)(r->at - from));
    return all < 0x80 || utf8_valid(*raw);
}

static size_t read_digits(struct reader *r)
{
    const char *from = r->at;
    while (ascii_is_digit(*r->at))
        r->at++;
    return (size_t)(r->at - from);
}

static bool read_number(struct reader *r, struct json *v)
{
    const char *from = r->at;
    bool minus = *r->at == '-';
    r->at += minus;
    bool zero = *r->at == '0';
    size_t n = read_digits(r);
    if (n == 0 || n > INT_DIGITS || (zero && n > 1))
        return false;
    v->kind = JSON_INT;
    v->i64 = 0;
    for (const char *d = from + minus; d < r->at; d++)
        v->i64 = v->i64 * 10 + (*d - '0');
    if (minus)
        v->i64 = -v->i64;
    if (*r->at == '.') {
        r->at++;
        v->kind = JSON_REAL_;
        if (read_digits(r) == 0 || r->at - from > REAL_TEXT)
            return false;
    }
    v->raw = str_n(from, (size_t)(r->at - from));
    return *r->at != 'e' && *r->at != 'E' && (!zero || !minus || v->kind == JSON_REAL_);
}

static bool read_word(struct reader *r, struct json *v)
{
    static const struct {
        struct str word;
        enum json_kind kind;
    } words[] = {
        {{"true", 4}, JSON_BOOL}, {{"false", 5}, JSON_BOOL}, {{"null", 4}, JSON_KIND_NULL}};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (!str_starts(str_n(r->at, (size_t)(r->end - r->at)), words[i].word))
            continue;
        v->kind = words[i].kind;
        v->truth = i == 0;
        v->raw = str_n(r->at, words[i].word.n);
        r->at += words[i].word.n;
        return true;
    }
    return false;
}

static bool is_twice(const struct json *v, const struct json *member)
{
    for (const struct json *m = v->first; m != member; m = m->next)
        if (str_eq(m->name, member->name))
            return true;
    return false;
}

static bool read_name(struct reader *r, struct json *v, struct json *member)
{
    struct str raw;
    if (skip_blank(r) != '"' || !read_string(r, &raw) || skip_blank(r) != ':')
        return false;
    r->at++;
    member->name = str_n(raw.p + 1, raw.n - 2);
    return !is_twice(v, member);
}

/* What stands between the brackets. */
static bool read_all(struct reader *r, struct json *v, char close)
{
    struct json **link = &v->first;
    if (skip_blank(r) == close) {
        r->at++;
        return true;
    }
    for (;;) {
        ASSERT(r->free < r->last);
        if (v->n == PARTS_MAX) /* they are walked through */
            return false;
        struct json *item = *link = r->free++;
        *item = (struct json){0};
        link = &item->next;
        if ((close == '}' && !read_name(r, v, item)) || !read_value(r, item))
            return false;
        v->n++;
        char c = *r->at++;
        if (c != ',')
            return c == close;
    }
}

/* With the blanks around it. Recursion ends: the depth is limited. */
static bool read_value(struct reader *r, struct json *v)
{
    char c = skip_blank(r);
    const char *from = r->at;
    bool good;
    if (c == '{' || c == '[') {
        v->kind = c == '{' ? JSON_OBJ : JSON_ARR;
        r->at++;
        good = ++r->depth <= JSON_MAX_DEPTH && read_all(r, v, c == '{' ? '}' : ']');
        r->depth--;
        v->raw = str_n(from, (size_t)(r->at - from));
    } else if (c == '"') {
        v->kind = JSON_STR;
        good = read_string(r, &v->raw);
    } else if (c == '-' || ascii_is_digit(c)) {
        good = read_number(r, v);
    } else {
        good = read_word(r, v);
    }
    if (good)
        (void)skip_blank(r);
    return good;
}
