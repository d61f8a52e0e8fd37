#ifndef RELI_GATEWAYS_HEALTH_H
#define RELI_GATEWAYS_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* How an account with a provider is doing, and the breaker that keeps orders away from one that is
 * not well. Pure: monotonic time is given.
 *
 *   CLOSED     orders pass. When enough of the window's calls went wrong: OPEN
 *   OPEN       orders are refused for a while, then: HALF_OPEN
 *   HALF_OPEN  one order passes, the probe; it closes the breaker or opens it again
 *
 * There is one of all calls, for a provider that is away or overloaded, and one per kind of order,
 * for keys that are not taken: trying those again and again gets an operator locked. Only orders
 * are refused; what asks for an outcome always passes, slowly while a breaker is open (client.h),
 * and counts. But where it carries an operator's password, as orders of money out do, it waits with
 * them for their keys to be mended (gateway.asked_by_operator). */

enum health_kind { HEALTH_CHARGE, HEALTH_REFUND, HEALTH_N_KINDS, HEALTH_ASKS = HEALTH_N_KINDS };

enum health_outcome {
    HEALTH_NOTHING,       /* says nothing of the provider: it was not asked */
    HEALTH_WELL,          /* it answered in its own words, whatever it said */
    HEALTH_ANSWERED,      /* so too, but whether it takes the keys is still to come */
    HEALTH_UNWELL,        /* no connection, no answer in time, 5xx, 429, gibberish */
    HEALTH_TOKEN_REFUSED, /* it answered that the account's keys are wrong, for any order */
    HEALTH_KEYS_REFUSED,  /* the same, for this kind of order */
};

enum health_state { HEALTH_CLOSED, HEALTH_HALF_OPEN, HEALTH_OPEN };

struct health_rules {
    int64_t window_us;
    int min_calls;    /* in the window, before it is judged; 0: nothing is ever refused */
    int fail_percent; /* of them */
    int64_t open_us;
    int max_refusals; /* of keys, one after the other */
    int64_t keys_open_us;
};

/* 50 % of at least 20 calls in 60 s: 30 s; three refusals of keys: 5 minutes. */
struct health_rules health_rules_default(void);

enum { HEALTH_BUCKETS = 12 };

struct breaker {
    enum health_state state;
    bool probing;
    int64_t until_us;
    int n_refusals; /* one after the other */
};

/* Zero is well. */
struct health {
    struct {
        int64_t period; /* which time it counts */
        int n_well, n_unwell;
    } buckets[HEALTH_BUCKETS];
    struct breaker calls, keys[HEALTH_N_KINDS];
};

/* What an order was admitted as; given back with its outcome. */
enum { HEALTH_PROBES_CALLS = 1, HEALTH_PROBES_KEYS = 2 };

enum health_refusal { HEALTH_ADMITTED, HEALTH_REFUSED_CALLS, HEALTH_REFUSED_KEYS };

/* Whether an order of this kind may be sent. An admitted one must be told of by health_note, once,
 * with *probes. */
enum health_refusal health_admit(struct health *h, const struct health_rules *rules,
                                 enum health_kind kind, int64_t now_us, unsigned *probes);
/* What became of a call; `probes` is 0 for one that was not an order. */
void health_note(struct health *h, const struct health_rules *rules, enum health_kind kind,
                 unsigned probes, enum health_outcome outcome, int64_t now_us);

/* As people and routing see it. */
struct health_view {
    enum health_state state;     /* for charges; HALF_OPEN: the next one is the probe */
    bool takes_charges;          /* one that came now would be sent */
    const char *reason;          /* "unwell", "credentials"; NULL when closed */
    enum health_state money_out; /* the breaker of the keys of refunds and payouts */
    int score;                   /* 0 to 100 */
};
struct health_view health_look(const struct health *h, const struct health_rules *rules,
                               int64_t now_us);
const char *health_state_word(enum health_state s);

#endif
