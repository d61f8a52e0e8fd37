#ifndef RELI_BASE_EMBED_H
#define RELI_BASE_EMBED_H

#include "core/base/str.h"

/* Files that the build put into the binary (scripts/embed.sh). Each table ends with a NULL name. */
struct embed_file {
    const char *name; /* base name; without ".sql" for SQL */
    const unsigned char *p, *end;
};

extern const struct embed_file embed_queries[];    /* in the order of enum query */
extern const struct embed_file embed_citus[];      /* what takes the place of some there */
extern const struct embed_file embed_migrations[]; /* sorted by name */
extern const struct embed_file embed_static[];     /* what http serves as it is */

static inline struct str embed_text(const struct embed_file *f)
{
    return str_n((const char *)f->p, (size_t)(f->end - f->p));
}

#endif
