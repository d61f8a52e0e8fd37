/* The fields of Stripe's requests, as strictly as Stripe reads them. Source: providers/stripe.md, 3
 * and 4. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateways/sandbox/stripe.h"

enum { AMOUNT_MAX = 99999999, METADATA_KEYS = 50, METADATA_VALUE = 500, URL_MAX = 5000 };

static const struct stripe_fault fine = {0};

char *stripe_dup(struct str s)
{
    return strndup(s.p != NULL ? s.p : "", s.n);
}

static struct stripe_fault coded(const char *key, const char *code, const char *message)
{
    struct stripe_fault f = stripe_invalid(key, message);
    f.code = code;
    return f;
}

struct stripe_fault stripe_read_i64(const struct stripe_form *f, const char *key, int64_t min,
                                    int64_t max, int64_t *out)
{
    struct str text = stripe_form_get(f, key);
    int64_t v;
    if (text.p == NULL)
        return fine;
    if (!str_to_i64(text, &v))
        return coded(key, "parameter_invalid_integer", "Invalid integer: %s");
    if (v < min || v > max)
        return stripe_invalid(key, "This value is out of range: %s");
    *out = v;
    return fine;
}

struct stripe_fault stripe_read_bool(const struct stripe_form *f, const char *key, bool *out)
{
    struct str text = stripe_form_get(f, key);
    if (text.p == NULL)
        return fine;
    if (!str_eq(text, STR("true")) && !str_eq(text, STR("false")))
        return stripe_invalid(key, "Invalid boolean: %s");
    *out = text.n == 4;
    return fine;
}

struct stripe_fault stripe_read_url(const struct stripe_form *f, const char *key, struct str *out)
{
    struct str text = stripe_form_get(f, key);
    if (text.p == NULL)
        return fine;
    if (text.n > URL_MAX || !str_is_printable_ascii(text) || str_find(text, ' ', 0) != SIZE_MAX ||
        (!str_starts(text, STR("https://")) && !str_starts(text, STR("http://"))))
        return coded(key, "url_invalid", "Not a valid URL: %s");
    *out = text;
    return fine;
}

struct stripe_fault stripe_read_currency(const struct stripe_form *f, const char *key,
                                         char out[STRIPE_CURRENCY])
{
    struct str text = stripe_form_get(f, key);
    char upper[3];
    if (text.p == NULL)
        return stripe_missing(key);
    for (size_t i = 0; i < 3 && i < text.n; i++) {
        if (text.p[i] < 'a' || text.p[i] > 'z')
            return stripe_invalid(key, "Invalid currency: %s");
        upper[i] = ascii_upper(text.p[i]);
    }
    if (text.n != 3 || currency_parse(str_n(upper, 3)) == 0)
        return stripe_invalid(key, "Invalid currency: %s");
    (void)str_copy_c(out, STRIPE_CURRENCY, text);
    return fine;
}

static bool listed(const char *words, const char *currency)
{
    return strstr(words, currency) != NULL;
}

struct stripe_fault stripe_check_amount(const char *key, int64_t amount, const char *currency)
{
    if (amount < 1 || (listed("usd eur gbp", currency) && amount < 50))
        return coded(key, "amount_too_small", "Amount must convert to at least 50 cents.");
    if (amount > AMOUNT_MAX)
        return coded(key, "amount_too_large", "Amount must be no more than 99999999");
    if (listed("bhd jod kwd omr tnd", currency) && amount % 10 != 0)
        return stripe_invalid(key, "The last digit of a three-decimal amount has to be 0");
    if (listed("ugx isk", currency) && amount % 100 != 0)
        return stripe_invalid(key, "This currency's amounts have to be divisible by 100");
    return fine;
}

struct stripe_fault stripe_read_metadata(const struct stripe_form *f, const char *prefix,
                                         char **out)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    struct stripe_fault wrong = fine;
    size_t n = 0, length = strlen(prefix);
    char name[STRIPE_KEY_MAX];
    buf_init(&b, 64 * 1024);
    jw_open(&w);
    for (size_t i = 0; i < f->n; i++) {
        struct str key = f->keys[i];
        if (!str_starts(key, str_c(prefix)) || key.n < length + 2 || key.p[length] != '[')
            continue;
        (void)str_copy_c(name, sizeof name, key);
        if (stripe_form_get(f, name).p != f->values[i].p)
            continue; /* a later one of that name counts */
        key = str_from(key, length + 1);
        (void)str_copy_c(name, sizeof name, str_first(key, key.n - 1));
        if (++n > METADATA_KEYS || f->values[i].n > METADATA_VALUE)
            wrong = stripe_invalid(prefix, "Too much metadata");
        jw_str(&w, name, f->values[i]);
    }
    jw_close(&w);
    free(*out);
    *out = wrong.status == 0 && !b.failed ? stripe_dup(buf_view(&b)) : NULL;
    bool lost = wrong.status == 0 && *out == NULL;
    buf_free(&b);
    return lost ? stripe_full() : wrong;
}
