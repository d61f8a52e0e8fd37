#ifndef RELI_HTTP_CHUNK_H
#define RELI_HTTP_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/str.h"

/* The guard in front of llhttp for chunked bodies (RFC 9112, section 7.1): decides where the
 * message ends. Every line ends in CR LF, sizes have at most 8 hex digits, extensions and trailers
 * are bounded together. Pure. */
enum chunk_state {
    CHUNK_SIZE_FIRST,
    CHUNK_SIZE_MORE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_FIRST,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
    CHUNK_END
};

struct chunk_guard {
    enum chunk_state state;
    int digits;
    bool last;         /* the chunk of size 0 has come */
    bool has_colon;    /* in this trailer line */
    uint64_t left;     /* of the present chunk's data */
    uint64_t body;     /* bytes of data seen */
    uint64_t overhead; /* all other bytes */
};

enum chunk_status { CHUNK_MORE, CHUNK_DONE, CHUNK_BAD };

static inline struct chunk_guard chunk_guard(void)
{
    return (struct chunk_guard){0};
}

/* Takes from the front of `bytes`; *used are those that belong to the message. */
enum chunk_status chunk_feed(struct chunk_guard *g, struct str bytes, size_t *used);

/* How long the body is at least, by what has been announced. */
static inline uint64_t chunk_announced(const struct chunk_guard *g)
{
    return g->body + g->left;
}

#endif
