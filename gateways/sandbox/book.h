#ifndef RELI_GATEWAYS_SANDBOX_BOOK_H
#define RELI_GATEWAYS_SANDBOX_BOOK_H

#include <stdbool.h>
#include <stdint.h>

/* Keys come from outside as well (look-ups), so the table's hash is keyed. */
#define HASH_FUNCTION(key, len, hash) \
    (hash) = (unsigned)short_hash(str_n((const char *)(key), (len)))
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/base/err.h"
#include "core/codec/jsonw.h"
#include "core/crypto/mac.h"
#include "gateways/sandbox/journal.h"

/* What the providers themselves believe about every charge that they took on: the truth against
 * which an independent checker holds the gateway. Nothing is ever dropped from it except by a
 * reset; a full book takes no more charges. */
enum { BOOK_MAX = 500000 };

enum booking_state { BOOKING_PENDING, BOOKING_PAID, BOOKING_FAILED, BOOKING_N_STATES };

/* Embedded in a provider's own record of the charge. */
struct booking {
    int64_t n; /* from 1 */
    const char *provider;
    const char *outcome;     /* static words */
    const char *result_code; /* static; NULL while pending */
    char id[CALL_ID];        /* the provider's, unique */
    char phone[CALL_TEXT], amount[CALL_TEXT], reference[CALL_REFERENCE];
    char receipt[CALL_TEXT];      /* "" unless paid */
    char organisation[CALL_TEXT]; /* who was paid */
    int64_t reversed;             /* major units that were taken back */
    char url_hash[URL_HASH_TEXT];
    enum booking_state state;
    int callbacks_sent, queries;
    int64_t queued_at_us, settled_at_us; /* wall */
    void (*drop)(struct booking *b);     /* frees it */
    UT_hash_handle hh, hh_receipt;
};

struct book {
    struct booking **all;
    size_t n, cap;
    struct booking *by_id, *by_receipt;
    int64_t n_in_state[BOOKING_N_STATES];
};

struct book_filter {
    struct str provider, phone, reference, state, id; /* empty: any */
    int64_t after;                                    /* n */
    int64_t limit;
};

/* Numbers and keeps `b`. ERR_LIMIT when full, ERR_NO_MEMORY; the caller then keeps it. */
struct err book_add(struct book *k, struct booking *b) MUST_USE;
struct booking *book_find(const struct book *k, struct str id);
struct booking *book_find_receipt(const struct book *k, struct str receipt);
/* NULL if there is none. */
struct booking *book_at(const struct book *k, int64_t n);
/* A paid one has its receipt by then. */
void book_settle(struct book *k, struct booking *b, enum booking_state state, int64_t wall_us);
/* Drops every booking. */
void book_reset(struct book *k);
/* {"total","counts":{"pending","paid","failed"},"data","has_more"}, oldest first. */
void book_print(const struct book *k, const struct book_filter *f, struct jsonw *w);

#endif
