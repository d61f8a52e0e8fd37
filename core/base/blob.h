#ifndef RELI_BASE_BLOB_H
#define RELI_BASE_BLOB_H

#include "core/base/attr.h"
#include "core/base/str.h"

/* Immutable bytes with a count of owners: one encoded frame for a thousand subscribers. */
struct blob {
    size_t n;
    unsigned owners;
    char p[];
};

/* A copy with one owner; NULL without memory. */
struct blob *blob_new(struct str bytes) MUST_USE;
struct blob *blob_ref(struct blob *b);
/* Safe on NULL. */
void blob_unref(struct blob *b);

#endif
