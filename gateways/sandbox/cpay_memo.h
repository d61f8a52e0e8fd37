#ifndef RELI_GATEWAYS_SANDBOX_CPAY_MEMO_H
#define RELI_GATEWAYS_SANDBOX_CPAY_MEMO_H

#include "core/crypto/mac.h"
#include "gateways/sandbox/book.h"

/* What CPay has to remember for a while under a short text: nonces, answers under their
 * Idempotency-Key, how often somebody was sent away. The oldest makes way when it is full. */
enum { CPAY_MEMO_KEY = 65, CPAY_MEMOS_MAX = 100000 };

struct cpay_memo {
    char key[CPAY_MEMO_KEY];
    int64_t until_us, busy_until_us; /* monotonic */
    int n;
    uint8_t hash[SHA256_LEN];
    int status;
    char *body;
    size_t body_len;
    UT_hash_handle hh;
};

struct cpay_memos {
    struct cpay_memo *all; /* oldest first */
};

/* NULL if there is none, or none any more. */
struct cpay_memo *cpay_memo_find(struct cpay_memos *m, struct str key, int64_t now_us);
/* `key` is not in it, and at most CPAY_MEMO_KEY - 1 bytes. NULL without memory. */
struct cpay_memo *cpay_memo_add(struct cpay_memos *m, struct str key, int64_t until_us);
void cpay_memos_drop(struct cpay_memos *m);

#endif
