#ifndef RELI_BASE_SECRET_H
#define RELI_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/str.h"

/* Keys, PINs, tokens: owned bytes that no formatter takes, wiped when freed. */
struct secret {
    unsigned char *p;
    size_t n;
};

/* Copies `bytes`; ERR_NO_MEMORY. The secret must be zero or freed. */
struct err secret_set(struct secret *s, struct str bytes) MUST_USE;
/* Wipes and frees; safe on a zero struct. */
void secret_free(struct secret *s);
/* Time depends on the lengths only. */
bool secret_eq(struct str a, struct str b);

static inline struct str secret_view(const struct secret *s)
{
    return str_n((const char *)s->p, s->n);
}

#endif
