#ifndef RELI_FLOW_SEAL_H
#define RELI_FLOW_SEAL_H

#include "core/flow/vault.h"
#include "store/value.h"

/* The audit trail's chain: each seal hashes the one before it and the rows of a range of positions,
 * and carries a MAC under a key that the database does not hold. Sealing and verifying share this.
 */

enum { SEAL_HASH = 32 };

struct seal {
    struct uuid merchant;
    int64_t n, from, to;
    uint8_t hash[SEAL_HASH], mac[SEAL_HASH];
};

/* Computes hash and MAC from the rows of seal_rows, which must be exactly the positions from … to.
 * `previous` is the hash of seal n - 1, empty for the first. On a fault `bad` is the position of
 * the first row that is missing, gone or out of order: ERR_INVALID. */
struct err seal_make(struct vault *v, struct seal *s, struct str previous, const struct rows *rows,
                     int64_t *bad) MUST_USE;

#endif
