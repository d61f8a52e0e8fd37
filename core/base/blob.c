/* Counted bytes. See blob.h. */
#include "core/base/blob.h"

#include <stdlib.h>

struct blob *blob_new(struct str bytes)
{
    struct blob *b = malloc(sizeof *b + bytes.n);
    if (b == NULL)
        return NULL;
    b->n = bytes.n;
    b->owners = 1;
    if (bytes.n > 0)
        memcpy(b->p, bytes.p, bytes.n);
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    b->owners++;
    return b;
}

void blob_unref(struct blob *b)
{
    if (b != NULL && --b->owners == 0)
        free(b);
}
