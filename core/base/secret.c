/* Secrets: wiped after use, compared in constant time. */
#include "core/base/secret.h"

#include <stdlib.h>

struct err secret_set(struct secret *s, struct str bytes)
{
    unsigned char *p = malloc(bytes.n + 1);
    if (p == NULL)
        return ERR(NO_MEMORY, "secret");
    if (bytes.n > 0)
        memcpy(p, bytes.p, bytes.n);
    p[bytes.n] = 0;
    *s = (struct secret){p, bytes.n};
    return ERR_OK;
}

void secret_free(struct secret *s)
{
    if (s->p != NULL) {
        explicit_bzero(s->p, s->n);
        free(s->p);
    }
    *s = (struct secret){0};
}

bool secret_eq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    unsigned char diff = 0;
    for (size_t i = 0; i < a.n; i++)
        diff |= (unsigned char)(a.p[i] ^ b.p[i]);
    return diff == 0;
}
