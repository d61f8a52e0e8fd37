#ifndef RELI_GATEWAYS_SANDBOX_MEMO_H
#define RELI_GATEWAYS_SANDBOX_MEMO_H

#include "core/crypto/mac.h"
#include "gateways/sandbox/book.h"

/* What a provider has to remember for a while under a short text: nonces, answers under their
 * Idempotency-Key, how often somebody was sent away. The oldest makes way when it is full. */
enum { MEMO_KEY = 65, MEMOS_MAX = 100000 };

struct memo {
    char key[MEMO_KEY];
    int64_t until_us, busy_until_us; /* monotonic */
    int n;
    uint8_t hash[SHA256_LEN];
    int status;
    char *body;
    size_t body_len;
    UT_hash_handle hh;
};

struct memos {
    struct memo *all; /* oldest first */
};

/* NULL if there is none, or none any more. */
struct memo *memo_find(struct memos *m, struct str key, int64_t now_us);
/* `key` is not in it, and at most MEMO_KEY - 1 bytes. NULL without memory. */
struct memo *memo_add(struct memos *m, struct str key, int64_t until_us);
void memos_drop(struct memos *m);

#endif
