#ifndef RELI_FLOW_RECEIPT_H
#define RELI_FLOW_RECEIPT_H

#include "core/flow/callback.h"

/* Money that customers send unasked (C2B): the news of it comes to a URL of the account, as does
 * the question whether it may be sent. What names a payment that waits completes it; what names
 * none, or not its amount, or one that is paid, waits in `unallocated` for two people. A receipt
 * counts once, whichever way it comes. */

/* The words behind the token, in the URLs that the provider is given. */
#define RECEIPT_PAID "confirmation"
#define RECEIPT_CHECK "validation"
/* The token of `text`, without that word; STR_NULL if it has another one, or none. */
struct str receipt_token(struct str text, const char *kind);

/* The URLs of an account, in the arena. */
struct err receipt_urls(struct flow *f, const struct gateway *g, struct uuid merchant,
                        struct uuid account, struct arena *a, struct gw_register *out) MUST_USE;

/* The news; in.token without the word. As callback_receive. */
void receipt_receive(struct flow *f, const struct callback_input *in, callback_fn *done, void *ctx);

/* The question, answered within 5 s whatever the database does. `done` fires once, on a later turn;
 * ERR_UNAUTHENTICATED: forged. */
typedef void receipt_check_fn(void *ctx, struct err err, const struct gateway *g,
                              enum gw_check answer);
void receipt_check(struct flow *f, const struct callback_input *in, receipt_check_fn *done,
                   void *ctx);

/* Whether what comes to it is live. */
bool receipt_account_live(const struct flow *f, const struct flow_account *account);

/* ---- receipt_news.c ---- */

/* The stored callback that brought it, which ends with what is done. */
struct receipt_inbound {
    struct uuid merchant, subject;
    struct str dedupe_key;
    int32_t n;
};

/* Finds whose it is; strings are copied. `done` fires once, on a later turn; ERR_OK: the callback
 * has ended; else its job comes again. */
struct receipt_news {
    struct receipt_inbound from;
    struct uuid account;
    bool ip_ok;
    struct str body;
};
typedef void receipt_fn(void *ctx, struct err err);
void receipt_process(struct flow *f, const struct receipt_news *in, receipt_fn *done, void *ctx);

/* Whose a payment is that a customer has named; rows of receipt_find.sql. */
void receipt_find(struct flow *f, struct uuid merchant, const struct flow_account *account,
                  struct str typed, store_rows_fn *done, void *ctx);

/* ---- receipt_book.c ---- */

/* Books money that is no payment's. `done` as receipt_process. */
struct receipt_money {
    struct receipt_inbound from;
    struct uuid merchant, account; /* whose books, and where it came in */
    struct uuid payment;           /* that it named; nil: none */
    bool live;
    struct str provider, receipt;
    struct money amount;
    struct str payer;       /* JSON object, "" if nothing is known; sealed here */
    struct str payer_phone; /* E.164, masked, or "" */
    const char *why;        /* in words, for people */
};
void receipt_book(struct flow *f, const struct receipt_money *m, receipt_fn *done, void *ctx);

/* What two people have decided: kept or returned. ERR_CONFLICT if somebody else was faster. */
struct receipt_decision {
    struct uuid merchant, item;
    int32_t version;
    bool live, kept;
    uint16_t currency;
    struct str resolution, evidence, by;
};
void receipt_decide(struct flow *f, const struct receipt_decision *d, receipt_fn *done, void *ctx);

#endif
