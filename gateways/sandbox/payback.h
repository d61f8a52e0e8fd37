#ifndef RELI_GATEWAYS_SANDBOX_PAYBACK_H
#define RELI_GATEWAYS_SANDBOX_PAYBACK_H

#include "gateways/sandbox/book.h"

/* Money on its way back to customers, as the providers themselves believe: the truth about refunds,
 * beside the book of charges and kept like it. */
enum { PAYBACK_KEY = 96, PAYBACK_ORIGINATOR = 48, PAYBACK_REFERENCE = 65 };

enum payback_state { PAYBACK_PENDING, PAYBACK_PAID, PAYBACK_FAILED, PAYBACK_N_STATES };

/* Embedded in a provider's own record of it. */
struct payback {
    int64_t n;            /* from 1 */
    const char *provider; /* static, like kind, outcome and result_code */
    const char *kind;
    const char *outcome;
    const char *result_code;               /* NULL while pending */
    char id[CALL_ID];                      /* the provider's conversation */
    char originator_id[PAYBACK_REFERENCE]; /* of the request, the caller's or the provider's */
    char organisation[CALL_TEXT];          /* who pays */
    char key[PAYBACK_KEY];                 /* payback_key of the two, unique */
    char receipt[CALL_TEXT];               /* of the charge, "" where none is named */
    char phone[CALL_TEXT], amount[CALL_TEXT];
    char transaction_id[CALL_TEXT]; /* "" unless paid */
    char url_hash[URL_HASH_TEXT];
    enum payback_state state;
    int results_sent, queries;
    int64_t queued_at_us, settled_at_us; /* wall */
    void (*drop)(struct payback *p);     /* frees it */
    UT_hash_handle hh, hh_transaction;
};

struct payback_book {
    struct payback **all;
    size_t n, cap;
    struct payback *by_key, *by_transaction;
    int64_t n_in_state[PAYBACK_N_STATES];
};

struct payback_filter {
    struct str provider, kind, receipt, phone, state, originator_id; /* empty: any */
    int64_t after;                                                   /* n */
    int64_t limit;
};

/* "organisation/originator": a caller's own id is unique per organisation only. Cut to size; an
 * originator's id of at most PAYBACK_REFERENCE - 1 bytes is not. */
void payback_key(struct str organisation, struct str originator_id, char out[PAYBACK_KEY]);
/* Numbers and keeps `p`, under its key. ERR_LIMIT when full, ERR_NO_MEMORY; the caller then keeps
 * it. */
struct err payback_add(struct payback_book *k, struct payback *p) MUST_USE;
struct payback *payback_find(const struct payback_book *k, const char key[PAYBACK_KEY]);
struct payback *payback_find_transaction(const struct payback_book *k, struct str id);
/* NULL if there is none. */
struct payback *payback_at(const struct payback_book *k, int64_t n);
/* A paid one has its transaction_id by then. */
void payback_settle(struct payback_book *k, struct payback *p, enum payback_state state,
                    int64_t wall_us);
/* Drops every one. */
void payback_reset(struct payback_book *k);
/* {"total","counts":{"pending","paid","failed"},"data","has_more"}, oldest first. */
void payback_print(const struct payback_book *k, const struct payback_filter *f, struct jsonw *w);

#endif
