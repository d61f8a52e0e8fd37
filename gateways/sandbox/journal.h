#ifndef RELI_GATEWAYS_SANDBOX_JOURNAL_H
#define RELI_GATEWAYS_SANDBOX_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/codec/jsonw.h"
#include "gateways/sandbox/ring.h"

/* Every request that a simulated provider got: the proof that nobody was asked to pay twice. The
 * newest are kept one by one, all are counted. */
enum {
    JOURNAL_KEEP = 200000,
    JOURNAL_MAX_OPS = 64,
    CALL_TEXT = 16,
    CALL_ID = 40,
    CALL_REFERENCE = 65,
    URL_HASH_TEXT = 17
};

struct call {
    int64_t n;
    int64_t at_us;        /* wall */
    const char *provider; /* static, like `op` and `outcome` */
    const char *op;
    const char *outcome; /* the script's words, or why it was refused */
    char phone[CALL_TEXT], amount[CALL_TEXT], reference[CALL_REFERENCE];
    char id[CALL_ID];             /* the provider's own for it */
    char url_hash[URL_HASH_TEXT]; /* of the callback URL, which is itself a secret */
    int status;                   /* 0: the connection was cut */
    bool accepted;                /* it did what it asked for, whatever the answer said */
};

struct op_count {
    const char *provider, *op;
    int64_t received, accepted;
};

struct journal {
    struct ring ring;
    struct op_count ops[JOURNAL_MAX_OPS];
    size_t n_ops;
};

struct call_filter {
    struct str provider, op, phone, reference; /* empty: any */
    int64_t limit;                             /* the newest that many */
};

void journal_init(struct journal *j);
void journal_reset(struct journal *j);
/* Copies `c` and numbers it. */
void journal_add(struct journal *j, const struct call *c);
/* {"total","received","dropped","counts","accepted","data"}: `total` matches among those kept,
 * `received` of all time; data oldest first. */
void journal_print(const struct journal *j, const struct call_filter *f, struct jsonw *w);

/* Copies text that comes from outside: cut to size, printable ASCII only. */
void call_text(char *dst, size_t cap, struct str s);
/* The first 16 hex digits of the URL's SHA-256. */
void call_url_hash(struct str url, char out[URL_HASH_TEXT]);

#endif
