/* Form-encoded fields of Stripe's requests. See stripe_form.h. */
#include "gateways/sandbox/stripe_form.h"

#include "http/percent.h"

enum { NAME_MAX_ = 40 };

static struct str numbered(struct arena *mem, const struct stripe_form *f, struct str key)
{
    struct str stem = str_first(key, key.n - 1); /* "a[" */
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += str_starts(f->keys[i], stem);
    return arena_fmt(mem, "%.*s%zu]", STR_ARG(stem), n);
}

bool stripe_form_read(struct arena *mem, struct str text, struct stripe_form *out)
{
    struct str part;
    out->n = 0;
    while (text.n > 0 && str_split(&text, '&', &part)) {
        struct str value = part, key = STR_NULL;
        (void)str_split(&value, '=', &key);
        if (value.p == NULL)
            value = STR("");
        if (out->n == STRIPE_FIELDS_MAX || !percent_decode(mem, key, true, &key) ||
            !percent_decode(mem, value, true, &value) || key.n == 0 || key.n >= STRIPE_KEY_MAX)
            return false;
        if (str_ends(key, STR("[]")))
            key = numbered(mem, out, key);
        if (key.p == NULL)
            return false;
        out->keys[out->n] = key;
        out->values[out->n++] = value;
    }
    return true;
}

struct str stripe_form_get(const struct stripe_form *f, const char *key)
{
    struct str found = STR_NULL;
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->keys[i], str_c(key)))
            found = f->values[i];
    return found;
}

static bool fits(struct str key, const char *pattern)
{
    size_t at = 0;
    for (; *pattern != '\0'; pattern++) {
        size_t from = at;
        if (*pattern == '#') {
            while (at < key.n && ascii_is_digit(key.p[at]))
                at++;
        } else if (*pattern == '*') {
            while (at < key.n && key.p[at] != '[' && key.p[at] != ']')
                at++;
            if (at - from > NAME_MAX_)
                return false;
        } else if (at < key.n && key.p[at] == *pattern) {
            at++;
        }
        if (at == from)
            return false;
    }
    return at == key.n;
}

struct str stripe_form_unknown(const struct stripe_form *f, const char *const *patterns)
{
    for (size_t i = 0; i < f->n; i++) {
        bool known = false;
        for (size_t k = 0; patterns[k] != NULL && !known; k++)
            known = fits(f->keys[i], patterns[k]);
        if (!known)
            return f->keys[i];
    }
    return STR_NULL;
}
