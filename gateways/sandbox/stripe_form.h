#ifndef RELI_GATEWAYS_SANDBOX_STRIPE_FORM_H
#define RELI_GATEWAYS_SANDBOX_STRIPE_FORM_H

#include "core/base/arena.h"
#include "core/base/str.h"

/* Form-encoded fields, "line_items[0][quantity]=1", as Stripe takes them. */
enum { STRIPE_FIELDS_MAX = 128, STRIPE_KEY_MAX = 160 };

struct stripe_form {
    size_t n;
    struct str keys[STRIPE_FIELDS_MAX], values[STRIPE_FIELDS_MAX];
};

/* Into `mem`. False on a broken escape, too many fields or too long a name. "a[]" becomes "a[0]",
 * the next one "a[1]". */
bool stripe_form_read(struct arena *mem, struct str text, struct stripe_form *out);
/* STR_NULL if absent; the last one if there are several. */
struct str stripe_form_get(const struct stripe_form *f, const char *key);
/* The first name that fits none of `patterns` (NULL at the end), STR_NULL if all do. In a pattern
 * "#" stands for digits, "*" for a name of at most 40 bytes without brackets. */
struct str stripe_form_unknown(const struct stripe_form *f, const char *const *patterns);

#endif
