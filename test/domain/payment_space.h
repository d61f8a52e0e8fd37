#ifndef RELI_TEST_PAYMENT_SPACE_H
#define RELI_TEST_PAYMENT_SPACE_H

/* The space that payment_search_test.c goes through: a payment as it is stored, what else its
 * future depends on, and what must be true of each state by itself. */
#include "test/domain/search_bench.h"

#include "core/base/times.h"
#include "core/domain/payment.h"
#include "test/domain/payment_oracle.h"

#define T0 (INT64_C(1795000000) * US_PER_S)
#define KES CURRENCY('K', 'E', 'S')
#define NO_JITTER 0x80000000u

enum { MAX_ATTEMPTS = 2, UNIT = 400, ASKED = 3 * UNIT, FEE = 30 };

/* Seconds since creation, at the very moment: at once, lease over, prompt window over, expired,
 * first reconciliation poll, late watch nearly used up, everything over. */
static const int64_t times_s[] = {0, 60, 90, 900, 1200, 90000, 2000000};

struct node {
    int time;
    bool down;
    bool answered[MAX_ATTEMPTS + 1]; /* or nobody is there any more to whom an answer could come */
    int received;                    /* postings RECEIVED so far */
    int counted;                     /* the attempt that the last of them was for */
    int posted_n[MAX_ATTEMPTS + 1];  /* postings of each attempt so far */
    struct money waits[MAX_ATTEMPTS + 1]; /* what is unallocated of each attempt */
    int64_t received_minor;
    int waited;                 /* it came out of `waits` */
    int64_t reserved, released; /* of refunds: held; let go, and perhaps paid all the same */
    struct payment p;           /* the last: only MAX_ATTEMPTS of it are kept */
};

enum { KEPT = offsetof(struct node, p.attempts) + MAX_ATTEMPTS * sizeof(struct attempt) };

struct search {
    struct space space;
    struct payment_rules rules;
    bool others; /* other parts of reli take part */
    bool moves[PAYMENT_N_STATES][WHAT_N][PAYMENT_N_STATES];
    bool attempts[ATTEMPT_N_STATES][PAYMENT_EVENT_N][ATTEMPT_N_STATES];
};

static inline void copy(struct node *to, const struct node *from)
{
    memcpy((void *)to, from, KEPT);
}

static inline int64_t now_of(const struct node *n)
{
    return T0 + times_s[n->time] * US_PER_S;
}

static inline bool is_paid(const struct payment *p)
{
    return is_in(HAS_BEEN_PAID | S(REVERSED), (int)p->status);
}

static inline bool is_ended(const struct payment *p)
{
    return is_in(S(FAILED) | S(EXPIRED) | S(CANCELLED), (int)p->status);
}

/* ---- states ---- */

/* What the machine's future depends on. */
static inline uint64_t abstraction(const struct node *n)
{
    const struct payment *p = &n->p;
    int64_t now = now_of(n);
    uint64_t h = 1;
    mix(&h, n->time);
    mix(&h, n->down);
    mix(&h, p->status);
    mix(&h, p->failure != FAILURE_NONE);
    mix(&h, p->late);
    mix(&h, p->receipt[0] != '\0');
    mix(&h, p->recon_since_us != 0);
    mix(&h, n->received);
    mix(&h, n->received_minor);
    mix(&h, n->counted);
    mix(&h, p->refunded_minor);
    mix(&h, n->reserved);
    mix(&h, n->released);
    mix(&h, p->n_attempts);
    for (int i = 0; i < p->n_attempts; i++) {
        const struct attempt *a = &p->attempts[i];
        mix(&h, a->status);
        mix(&h, a->provider_ref[0]);
        mix(&h, a->receipt[0] != '\0');
        mix(&h, a->provider_code[0] != '\0');
        mix(&h, now - a->sent_at_us >= 60 * US_PER_S);
        mix(&h, now - a->sent_at_us >= 90 * US_PER_S);
        mix(&h, a->answered_at_us == p->completed_at_us);
        mix(&h, a->next_poll_at_us == TIME_NEVER ? 0 : a->next_poll_at_us <= now ? 1 : 2);
        mix(&h, a->poll_n > 0);
        mix(&h, a->codes_n);
        mix(&h, a->cancel_asked);
        mix(&h, n->answered[i]);
        mix(&h, n->waits[i].minor != 0 ? (int64_t)n->waits[i].currency : 0);
        mix(&h, n->waits[i].minor - ASKED);
    }
    return h;
}

/* Ticks at one moment end, and then the deadline is in the future. */
static inline void check_rest(const struct search *s, struct payment *p, int64_t now_us)
{
    static const struct payment_event tick = {.kind = PAYMENT_EVENT_TICK, .random = NO_JITTER};
    struct payment_effects out;
    for (int i = 0; i < 8; i++) {
        assert_false(err_is(payment_step(p, &tick, &s->rules, now_us, &out)));
        if (!out.changed) {
            assert_true(payment_deadline_us(p, &s->rules) > now_us);
            return;
        }
    }
    fail_msg("ticks do not end");
}

/* A crash, and nobody ever answers again: whatever was stored, the deadlines alone lead to where it
 * is decided, or waits for people; nothing is `processing` or `sending` for ever. */
static inline void check_left_alone(const struct search *s, const struct node *n)
{
    static struct node at;
    copy(&at, n);
    int64_t now_us = now_of(n);
    for (int i = 0; i < 64; i++) {
        check_rest(s, &at.p, now_us);
        now_us = payment_deadline_us(&at.p, &s->rules);
        if (now_us == TIME_NEVER)
            break;
    }
    for (int i = 0; i < at.p.n_attempts; i++)
        assert_int_not_equal(at.p.attempts[i].status, ATTEMPT_SENDING);
    assert_int_not_equal(at.p.status, PAYMENT_PENDING);
    assert_int_not_equal(at.p.status, PAYMENT_PROCESSING);
    assert_int_not_equal(at.p.status, PAYMENT_REQUIRES_ACTION);
    if (may_still_pay(&n->p)) /* nobody has said anything */
        assert_int_equal(is_paid(&at.p), is_paid(&n->p));
}

/* Adds a state, and itself at all later times: waiting is no event. */
static inline void add(struct search *s, const struct node *n)
{
    static struct node at, rest;
    copy(&at, n);
    for (; at.time < (int)COUNT_OF(times_s); at.time++) {
        if (!space_keep(&s->space, abstraction(&at), &at))
            continue;
        copy(&rest, &at);
        check_rest(s, &rest.p, now_of(&at));
        if (at.time == n->time)
            check_left_alone(s, &at);
    }
}

static inline void check_state(const struct node *n)
{
    const struct payment *p = &n->p;
    int open = 0;
    for (int i = 0; i < p->n_attempts; i++)
        open += is_in(MAY_STILL_PAY, (int)p->attempts[i].status);
    assert_true(open <= 1);
    assert_int_equal(payment_idle(p), open == 0);
    assert_true(n->received <= 1); /* I5 */
    assert_int_equal(p->received_minor, n->received_minor);
    assert_int_equal(p->fee_minor, n->received == 1 && n->waited == 0 && !p->late ? FEE : 0);
    assert_int_equal(is_paid(p), n->received == 1);
    assert_int_equal(is_paid(p), p->completed_at_us != 0);
    if (is_ended(p) && p->source != SOURCE_OPERATOR)
        assert_int_equal(open, 0);
    if (is_in(S(FAILED) | S(IN_RECONCILIATION), (int)p->status))
        assert_int_not_equal(p->failure, FAILURE_NONE);
    if (is_paid(p))
        assert_int_equal(p->failure, FAILURE_NONE);
    if (p->status == PAYMENT_IN_RECONCILIATION)
        assert_int_not_equal(p->recon_since_us, 0);
    /* I7: every success is linked to the payment or to unallocated, once */
    for (int i = 0; i < p->n_attempts; i++)
        assert_int_equal(n->posted_n[i], p->attempts[i].status == ATTEMPT_SUCCEEDED);
    /* I4, and the status is what the amounts say */
    assert_true(p->refunded_minor + n->reserved <= p->received_minor);
    if (is_in(HAS_BEEN_PAID, (int)p->status))
        assert_int_equal(p->status, p->refunded_minor == 0 ? PAYMENT_COMPLETED
                                    : p->refunded_minor == p->received_minor
                                        ? PAYMENT_REFUNDED
                                        : PAYMENT_PARTIALLY_REFUNDED);
}

#endif
