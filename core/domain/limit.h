#ifndef RELI_DOMAIN_LIMIT_H
#define RELI_DOMAIN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/money.h"
#include "core/base/str.h"

/* Limits on money that a merchant sets himself: how much may be paid in a single payment, and how
 * much or how often in a day or a month, in all, by each customer, or by each method. Pure.
 *
 * What counts is the amount of every payment that was created and has not ended without money. Days
 * and months are those of UTC. A payment counts where it was created, whenever it ends. */

/* X(NAME, word, whose) */
#define LIMIT_SCOPES(X)                      \
    X(MERCHANT, "merchant", "the merchant")  \
    X(CUSTOMER, "customer", "this customer") \
    X(METHOD, "method", "this payment method")

/* X(NAME, word, words) */
#define LIMIT_SPANS(X)                                  \
    X(SINGLE, "single", "limit on a single payment of") \
    X(DAILY, "daily", "daily limit of")                 \
    X(MONTHLY, "monthly", "monthly limit of")

enum limit_scope {
#define X(name, word, whose) LIMIT_##name,
    LIMIT_SCOPES(X)
#undef X
        LIMIT_N_SCOPES
};

enum limit_span {
#define X(name, word, words) LIMIT_##name,
    LIMIT_SPANS(X)
#undef X
        LIMIT_N_SPANS
};

enum { LIMIT_RULES_MAX = 40, LIMIT_METHOD_MAX = 32, LIMIT_COUNT_MAX = 1000000000 };
/* The most rules that one payment can meet: of the merchant, of the customer, of each method and of
 * its own, for each span. */
enum { LIMIT_MEET_MAX = 4 * LIMIT_N_SPANS };

struct limit_rule {
    uint16_t currency;
    enum limit_scope scope;
    enum limit_span span;
    char method[LIMIT_METHOD_MAX + 1]; /* LIMIT_METHOD: which one; "": each for itself */
    int64_t max_minor;                 /* 0: any amount */
    int64_t max_count;                 /* 0: any number */
};

struct limit_rules {
    int n;
    struct limit_rule rule[LIMIT_RULES_MAX];
};

const char *limit_scope_word(enum limit_scope s);
const char *limit_span_word(enum limit_span s);
bool limit_scope_parse(struct str word, enum limit_scope *out) MUST_USE;
bool limit_span_parse(struct str word, enum limit_span *out) MUST_USE;
/* A rule that can be: a maximum at least, of a single payment the amount only, a method only where
 * it is counted by. NULL, or what is wrong, in words. */
const char *limit_rule_fault(const struct limit_rule *r);
/* Two rules about the same. */
bool limit_rule_same(const struct limit_rule *a, const struct limit_rule *b);

/* "scope:method:span:max_minor:max_count" by ";", as terms_get.sql writes those of a currency; ""
 * is none. ERR_INTERNAL for what this program cannot mean. */
struct err limit_rules_parse(struct str text, uint16_t currency, struct limit_rules *out) MUST_USE;

/* Whether a payment by this method meets the rule. Who is nobody's customer has no customer's
 * limit. */
bool limit_meets(const struct limit_rule *r, struct str method, bool has_customer);
/* When the span began in which `now_us` lies, wall µs; 0 for a single payment. */
int64_t limit_since_us(enum limit_span span, int64_t now_us);
/* "daily limit of this customer" */
const char *limit_words(const struct limit_rule *r, char out[96]);

#endif
