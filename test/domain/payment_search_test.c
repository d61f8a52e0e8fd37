/* The payment machine as a whole: every order of up to EVENTS events, at every time that matters,
 * through payment_step. States are told apart by an abstraction of the struct; each step is held
 * against the invariants, and the moves that occurred against the tables below, which are written
 * from domain.md 2.1 and 2.2, not from the code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "core/base/times.h"
#include "core/domain/payment.h"

#define T0 (INT64_C(1795000000) * US_PER_S)
#define KES CURRENCY('K', 'E', 'S')
#define NO_JITTER 0x80000000u

enum { EVENTS = 7, MAX_ATTEMPTS = 3, SLOTS = 1 << 19 };

/* Seconds since creation: at once, lease over, prompt window over, expired, first reconciliation
 * poll, late watch nearly used up, everything over. */
static const int64_t times_s[] = {0, 70, 100, 901, 1300, 90000, 2000000};

/* ---- the tables ---- */

/* Where a move comes from: a payment's own life, or what other parts of reli will bring (a payment
 * that waits for its customer with an attempt under way, a failover, refunds). */
enum origin { NEVER, FROM_BEGINNING, WITH_OTHER_PARTS };

#define P(s) PAYMENT_##s
static const struct {
    enum payment_status from, to;
    enum origin origin;
} payment_table[] = {
    {P(PENDING), P(PROCESSING), FROM_BEGINNING},        /* dispatch */
    {P(PENDING), P(FAILED), FROM_BEGINNING},            /* cannot be sent */
    {P(PENDING), P(REQUIRES_ACTION), FROM_BEGINNING},   /* needs customer */
    {P(PENDING), P(CANCELLED), FROM_BEGINNING},         /* cancel by merchant */
    {P(PENDING), P(EXPIRED), FROM_BEGINNING},           /* expiry timer */
    {P(REQUIRES_ACTION), P(CANCELLED), FROM_BEGINNING}, /* cancel by merchant */
    {P(REQUIRES_ACTION), P(EXPIRED), FROM_BEGINNING},   /* expiry timer */
    {P(REQUIRES_ACTION), P(COMPLETED), FROM_BEGINNING}, /* manual confirm; provider success */
    {P(REQUIRES_ACTION), P(IN_RECONCILIATION), WITH_OTHER_PARTS}, /* success, integrity fails */
    {P(REQUIRES_ACTION), P(FAILED), WITH_OTHER_PARTS},            /* definitive failure */
    {P(PROCESSING), P(COMPLETED), FROM_BEGINNING},                /* provider success */
    {P(PROCESSING), P(IN_RECONCILIATION), FROM_BEGINNING}, /* integrity fails; outcome unknown */
    {P(PROCESSING), P(PROCESSING), WITH_OTHER_PARTS},      /* new attempt */
    {P(PROCESSING), P(FAILED), FROM_BEGINNING},            /* refusal, definitive failure */
    {P(PROCESSING), P(EXPIRED), FROM_BEGINNING},           /* not found and window passed */
    {P(IN_RECONCILIATION), P(COMPLETED), FROM_BEGINNING},  /* provider success */
    {P(IN_RECONCILIATION), P(FAILED), FROM_BEGINNING},     /* definitive failure */
    {P(IN_RECONCILIATION), P(IN_RECONCILIATION), FROM_BEGINNING}, /* success, integrity fails */
    {P(FAILED), P(COMPLETED), FROM_BEGINNING},                    /* late success */
    {P(EXPIRED), P(COMPLETED), FROM_BEGINNING},                   /* late success */
    {P(CANCELLED), P(COMPLETED), WITH_OTHER_PARTS},               /* late success */
};

#define A(s) ATTEMPT_##s
static const struct {
    enum attempt_status from, to;
} attempt_table[] = {
    {A(CREATED), A(SENDING)},     {A(SENDING), A(SUBMITTED)},   {A(SENDING), A(UNCERTAIN)},
    {A(SENDING), A(REJECTED)},    {A(SENDING), A(SUCCEEDED)},   {A(SENDING), A(FAILED)},
    {A(SUBMITTED), A(SUCCEEDED)}, {A(SUBMITTED), A(FAILED)},    {A(SUBMITTED), A(EXPIRED)},
    {A(UNCERTAIN), A(SUBMITTED)}, {A(UNCERTAIN), A(SUCCEEDED)}, {A(UNCERTAIN), A(FAILED)},
    {A(UNCERTAIN), A(NOT_FOUND)}, {A(REJECTED), A(SUCCEEDED)},  {A(FAILED), A(SUCCEEDED)},
    {A(EXPIRED), A(SUCCEEDED)},   {A(NOT_FOUND), A(SUCCEEDED)},
};

static enum origin payment_origin(int from, int to)
{
    for (size_t i = 0; i < COUNT_OF(payment_table); i++)
        if ((int)payment_table[i].from == from && (int)payment_table[i].to == to)
            return payment_table[i].origin;
    return NEVER;
}

static bool attempt_legal(int from, int to)
{
    for (size_t i = 0; i < COUNT_OF(attempt_table); i++)
        if ((int)attempt_table[i].from == from && (int)attempt_table[i].to == to)
            return true;
    return false;
}

/* ---- the search ---- */

struct node {
    struct payment p;
    int time;
    int received;               /* postings RECEIVED so far */
    int posted_n[MAX_ATTEMPTS]; /* postings of each attempt so far */
};

struct search {
    struct payment_rules rules;
    uint64_t *seen;
    struct node *now, *next; /* the layers */
    size_t n_now, n_next, cap_now, cap_next;
    size_t states, steps;
    bool payment_moves[PAYMENT_N_STATES][PAYMENT_N_STATES];
    bool attempt_moves[ATTEMPT_N_STATES][ATTEMPT_N_STATES];
};

static bool is_paid(const struct payment *p)
{
    return p->status == P(COMPLETED) || p->status == P(PARTIALLY_REFUNDED) ||
           p->status == P(REFUNDED) || p->status == P(REVERSED);
}

static bool is_ended(const struct payment *p)
{
    return p->status == P(FAILED) || p->status == P(EXPIRED) || p->status == P(CANCELLED);
}

static bool is_open(const struct attempt *a)
{
    return a->status == A(SENDING) || a->status == A(SUBMITTED) || a->status == A(UNCERTAIN);
}

static int64_t now_of(const struct node *n)
{
    return T0 + times_s[n->time] * US_PER_S;
}

static void mix(uint64_t *h, int64_t v)
{
    *h = (*h ^ (uint64_t)v) * UINT64_C(0x9e3779b97f4a7c15);
    *h ^= *h >> 29;
}

/* What the machine's future depends on. */
static uint64_t abstraction(const struct node *n)
{
    const struct payment *p = &n->p;
    int64_t now = now_of(n);
    uint64_t h = 1;
    mix(&h, n->time);
    mix(&h, p->status);
    mix(&h, p->failure != FAILURE_NONE);
    mix(&h, p->late);
    mix(&h, p->receipt[0] != '\0');
    mix(&h, p->recon_since_us != 0);
    mix(&h, n->received);
    mix(&h, p->n_attempts);
    for (int i = 0; i < p->n_attempts; i++) {
        const struct attempt *a = &p->attempts[i];
        mix(&h, a->status);
        mix(&h, a->provider_ref[0] != '\0');
        mix(&h, a->receipt[0] != '\0');
        mix(&h, a->provider_code[0] != '\0');
        mix(&h, now - a->sent_at_us >= 60 * US_PER_S);
        mix(&h, now - a->sent_at_us >= 90 * US_PER_S);
        mix(&h, a->answered_at_us == p->completed_at_us);
        mix(&h, a->next_poll_at_us == TIME_NEVER ? 0 : a->next_poll_at_us <= now ? 1 : 2);
        mix(&h, a->poll_n < 2 ? a->poll_n : 2);
    }
    return h | 1;
}

/* True if it was not there yet. */
static bool remember(struct search *s, const struct node *n)
{
    uint64_t h = abstraction(n);
    size_t i = (size_t)(h >> 8) % SLOTS;
    for (; s->seen[i] != 0; i = (i + 1) % SLOTS)
        if (s->seen[i] == h)
            return false;
    s->seen[i] = h;
    s->states++;
    assert_true(s->states < SLOTS / 2);
    return true;
}

static void keep(struct search *s, const struct node *n)
{
    if (s->n_next == s->cap_next) {
        s->cap_next = s->cap_next > 0 ? 2 * s->cap_next : 64;
        s->next = realloc(s->next, s->cap_next * sizeof *s->next);
        assert_non_null(s->next);
    }
    memcpy(&s->next[s->n_next++], n, sizeof *n);
}

/* Left alone, the machine comes to rest: ticks end, and then the deadline is in the future. */
static void check_rest(const struct search *s, const struct node *n)
{
    struct payment p = n->p;
    const struct payment_event tick = {.kind = PAYMENT_EVENT_TICK, .random = NO_JITTER};
    struct payment_effects out;
    for (int i = 0; i < 8; i++) {
        assert_false(err_is(payment_step(&p, &tick, &s->rules, now_of(n), &out)));
        if (!out.changed) {
            assert_true(payment_deadline_us(&p, &s->rules) > now_of(n));
            return;
        }
    }
    fail_msg("ticks do not end");
}

/* Adds a state, and itself at all later times: waiting is no event. */
static void add(struct search *s, const struct node *n)
{
    struct node at;
    memcpy(&at, n, sizeof at);
    for (; at.time < (int)COUNT_OF(times_s); at.time++) {
        if (remember(s, &at)) {
            keep(s, &at);
            check_rest(s, &at);
        }
    }
}

/* 2.2: a new attempt requires a definitive answer to those before it. */
static bool may_be_followed(const struct search *s, enum attempt_status a)
{
    return a == A(REJECTED) || a == A(FAILED) ||
           (s->rules.not_found_is_final && (a == A(EXPIRED) || a == A(NOT_FOUND)));
}

static void check_moves(struct search *s, const struct payment_event *ev,
                        const struct payment *before, const struct payment *after)
{
    int from = (int)before->status, to = (int)after->status;
    if (from != to) {
        assert_int_not_equal(payment_origin(from, to), NEVER);
        s->payment_moves[from][to] = true;
    }
    if (after->n_attempts != before->n_attempts) {
        assert_int_equal(ev->kind, PAYMENT_EVENT_DISPATCH);
        assert_int_equal(after->n_attempts, before->n_attempts + 1);
        assert_int_equal(after->status, P(PROCESSING));
        for (int i = 0; i < before->n_attempts; i++)
            assert_true(may_be_followed(s, before->attempts[i].status));
        assert_int_equal(after->attempts[before->n_attempts].status, A(SENDING));
        s->payment_moves[from][to] = true;
        s->attempt_moves[A(CREATED)][A(SENDING)] = true;
    }
    for (int i = 0; i < before->n_attempts; i++) {
        int was = (int)before->attempts[i].status, is = (int)after->attempts[i].status;
        if (was != is) {
            assert_true(attempt_legal(was, is));
            assert_true(ev->attempt == i + 1 || ev->kind == PAYMENT_EVENT_TICK);
            s->attempt_moves[was][is] = true;
        }
    }
}

static void check_state(const struct search *s, const struct node *n)
{
    const struct payment *p = &n->p;
    int open = 0;
    for (int i = 0; i < p->n_attempts; i++)
        open += is_open(&p->attempts[i]);
    assert_true(open <= 1);
    assert_int_equal(payment_idle(p), open == 0);
    assert_true(n->received <= 1);
    assert_int_equal(p->received_minor, n->received == 1 ? p->amount.minor : 0);
    assert_int_equal(is_paid(p), n->received == 1);
    assert_int_equal(is_paid(p), p->completed_at_us != 0);
    if (is_ended(p))
        assert_int_equal(open, 0);
    if (p->status == P(FAILED) || p->status == P(IN_RECONCILIATION))
        assert_int_not_equal(p->failure, FAILURE_NONE);
    if (is_paid(p))
        assert_int_equal(p->failure, FAILURE_NONE);
    if (p->status == P(IN_RECONCILIATION))
        assert_int_not_equal(p->recon_since_us, 0);
    /* I7: every success is linked to the payment or to unallocated, once */
    for (int i = 0; i < p->n_attempts; i++)
        assert_int_equal(n->posted_n[i], p->attempts[i].status == A(SUCCEEDED));
    (void)s;
}

static void check_effects(const struct node *before, const struct payment_event *ev,
                          struct node *after, const struct payment_effects *out)
{
    assert_int_equal(after->p.version, before->p.version + (out->notice != NOTICE_NONE));
    assert_int_equal(after->p.updated_at_us, now_of(before));
    assert_non_null(out->action);
    if (before->p.status != after->p.status)
        assert_int_not_equal(out->notice, NOTICE_NONE);
    if (out->posting != POSTING_NONE) {
        assert_true(out->posted.minor > 0);
        if (out->posted_attempt == 0)
            assert_int_equal(ev->kind, PAYMENT_EVENT_CONFIRM);
        else
            after->posted_n[out->posted_attempt - 1]++;
    }
    if (out->posting == POSTING_RECEIVED) {
        after->received++;
        assert_int_equal(out->posted.minor, after->p.amount.minor);
        assert_int_equal(out->posted.currency, after->p.amount.currency);
        assert_int_equal(out->notice, NOTICE_COMPLETED);
        assert_int_equal(after->p.late, is_ended(&before->p));
    } else {
        assert_int_equal(after->p.late, before->p.late);
    }
    if (out->posting == POSTING_UNALLOCATED)
        assert_int_not_equal(out->exception, EXCEPTION_NONE);
    if (out->ask_attempt != 0)
        assert_int_equal(ev->kind, PAYMENT_EVENT_TICK);
    if (after->p.status == P(FAILED) && before->p.status != P(FAILED))
        for (int i = 0; i < after->p.n_attempts; i++)
            assert_int_not_equal(after->p.attempts[i].status, A(SUCCEEDED));
}

static void try_event(struct search *s, const struct node *n, const struct payment_event *ev)
{
    static const struct payment_effects nothing;
    struct node after;
    struct payment_effects out;
    memcpy(&after, n, sizeof after);
    s->steps++;
    struct err e = payment_step(&after.p, ev, &s->rules, now_of(n), &out);
    if (ev->kind == PAYMENT_EVENT_TICK) {
        assert_false(err_is(e));
        assert_int_equal(out.changed, payment_deadline_us(&n->p, &s->rules) <= now_of(n));
    }
    if (err_is(e)) {
        assert_false(out.changed);
        assert_true(e.code == ERR_INVALID_STATE ||
                    (e.code == ERR_INVALID && ev->kind == PAYMENT_EVENT_CONFIRM));
    }
    if (!out.changed) {
        assert_memory_equal(&after, n, sizeof after);
        assert_int_equal(out.notice, nothing.notice);
        assert_int_equal(out.posting, nothing.posting);
        assert_int_equal(out.posted.minor, 0);
        assert_int_equal(out.exception, nothing.exception);
        assert_int_equal(out.ask_attempt, 0);
        assert_null(out.action);
        return;
    }
    check_moves(s, ev, &n->p, &after.p);
    check_effects(n, ev, &after, &out);
    check_state(s, &after);
    add(s, &after);
}

/* The same event with each thing that a provider may say about money. */
static void try_amounts(struct search *s, const struct node *n, struct payment_event ev)
{
    static const struct money said[] = {
        {1000, KES}, {1001, KES}, {1000, CURRENCY('U', 'S', 'D')}, {0, 0}};
    for (size_t i = 0; i < COUNT_OF(said); i++) {
        ev.amount = said[i];
        try_event(s, n, &ev);
    }
}

static void try_about_attempt(struct search *s, const struct node *n, int attempt)
{
    static const struct str refs[] = {{NULL, 0}, {"ref-1", 5}, {"ref-2", 5}, {"ref-3", 5}};
    static const enum payment_event_kind plain[] = {
        PAYMENT_EVENT_ACCEPTED,      PAYMENT_EVENT_REFUSED,     PAYMENT_EVENT_AMBIGUOUS,
        PAYMENT_EVENT_STILL_PENDING, PAYMENT_EVENT_UNREACHABLE, PAYMENT_EVENT_NOT_FOUND,
    };
    struct payment_event ev = {.attempt = attempt, .random = NO_JITTER, .source = SOURCE_POLL};
    struct str own = refs[attempt < (int)COUNT_OF(refs) ? attempt : 0];
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        ev.kind = plain[i];
        ev.provider_ref = STR_NULL;
        try_event(s, n, &ev);
        ev.provider_ref = own;
        try_event(s, n, &ev);
    }
    for (int i = 0; i < 5; i++) {
        ev.kind = PAYMENT_EVENT_FAILURE;
        ev.sure = (i & 1) != 0;
        ev.source = (i & 2) != 0 ? SOURCE_CALLBACK : SOURCE_POLL;
        ev.provider_ref = i == 4 ? STR("foreign") : STR_NULL;
        ev.provider_code = (i & 1) != 0 ? STR("1032") : STR_NULL;
        try_event(s, n, &ev);
    }
    ev.kind = PAYMENT_EVENT_SUCCESS;
    ev.provider_ref = STR_NULL;
    try_amounts(s, n, ev);
    ev.receipt = STR("RECEIPT");
    try_amounts(s, n, ev);
    ev.provider_ref = own;
    try_event(s, n, &ev);
    ev.provider_ref = STR("foreign");
    try_event(s, n, &ev);
}

static void expand(struct search *s, const struct node *n)
{
    static const enum payment_event_kind plain[] = {
        PAYMENT_EVENT_CANNOT_SEND,
        PAYMENT_EVENT_NEEDS_CUSTOMER,
        PAYMENT_EVENT_CANCEL,
        PAYMENT_EVENT_TICK,
    };
    struct payment_event ev = {.random = NO_JITTER};
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        ev.kind = plain[i];
        try_event(s, n, &ev);
    }
    ev.kind = PAYMENT_EVENT_CONFIRM;
    ev.source = SOURCE_OPERATOR;
    try_amounts(s, n, ev);
    if (n->p.n_attempts < MAX_ATTEMPTS - 1) {
        ev.kind = PAYMENT_EVENT_DISPATCH;
        try_event(s, n, &ev);
        ev.provider_ref = STR("our-own");
        try_event(s, n, &ev);
    }
    for (int attempt = 1; attempt <= n->p.n_attempts + 1; attempt++)
        try_about_attempt(s, n, attempt);
}

static void search_open(struct search *s, char rules)
{
    memset(s, 0, sizeof *s);
    payment_rules_default(&s->rules);
    s->rules.manual = rules == 'm';
    s->rules.not_found_is_final = rules == 'n';
    s->seen = calloc(SLOTS, sizeof *s->seen);
    assert_non_null(s->seen);
}

static void search_run(struct search *s)
{
    for (int depth = 0; depth < EVENTS; depth++) {
        struct node *layer = s->next;
        size_t n = s->n_next, cap = s->cap_next;
        s->next = s->now;
        s->cap_next = s->cap_now;
        s->n_next = 0;
        s->now = layer;
        s->cap_now = cap;
        for (size_t i = 0; i < n; i++)
            expand(s, &s->now[i]);
    }
}

static void search_close(struct search *s)
{
    free(s->seen);
    free(s->now);
    free(s->next);
}

static void merge(struct search *into, const struct search *s)
{
    for (int i = 0; i < PAYMENT_N_STATES; i++)
        for (int k = 0; k < PAYMENT_N_STATES; k++)
            into->payment_moves[i][k] |= s->payment_moves[i][k];
    for (int i = 0; i < ATTEMPT_N_STATES; i++)
        for (int k = 0; k < ATTEMPT_N_STATES; k++)
            into->attempt_moves[i][k] |= s->attempt_moves[i][k];
    into->states += s->states;
    into->steps += s->steps;
}

/* ---- starts ---- */

static void begin(struct node *n)
{
    struct payment_effects out;
    memset(n, 0, sizeof *n);
    n->p.amount = (struct money){1000, KES};
    n->p.created_at_us = T0;
    n->p.expires_at_us = T0 + 15 * US_PER_MIN;
    payment_begin(&n->p, &out);
}

/* A payment with attempts in the given states, as the later parts of reli will leave it. */
static void begin_with(struct node *n, enum payment_status status, enum attempt_status first,
                       int n_attempts)
{
    begin(n);
    n->p.status = status;
    n->p.n_attempts = n_attempts;
    for (int i = 0; i < n_attempts; i++) {
        bool last = i == n_attempts - 1;
        n->p.attempts[i] = (struct attempt){.n = i + 1,
                                            .status = i == 0 ? first : A(SENDING),
                                            .amount = n->p.amount,
                                            .sent_at_us = T0,
                                            .next_poll_at_us = TIME_NEVER};
        if (!last)
            n->p.attempts[i].answered_at_us = T0;
    }
    if (is_paid(&n->p)) {
        n->p.completed_at_us = T0;
        n->p.received_minor = n->p.amount.minor;
        n->received = 1;
        n->posted_n[0] = first == A(SUCCEEDED);
    }
}

static void run_from(struct search *total, char rules, const struct node *starts, size_t n_starts)
{
    struct search s;
    search_open(&s, rules);
    for (size_t i = 0; i < n_starts; i++)
        add(&s, &starts[i]);
    search_run(&s);
    merge(total, &s);
    search_close(&s);
}

static void assert_relation(const struct search *s, enum origin upto)
{
    for (int from = 0; from < PAYMENT_N_STATES; from++) {
        for (int to = 0; to < PAYMENT_N_STATES; to++) {
            enum origin origin = payment_origin(from, to);
            /* staying in reconciliation is no change of state and so not seen here */
            bool want =
                origin != NEVER && origin <= upto && !(from == to && from == P(IN_RECONCILIATION));
            if (s->payment_moves[from][to] != want)
                fail_msg("%s -> %s: %s", payment_status_word((enum payment_status)from),
                         payment_status_word((enum payment_status)to),
                         want ? "never happens" : "must not happen");
        }
    }
    for (int from = 0; from < ATTEMPT_N_STATES; from++)
        for (int to = 0; to < ATTEMPT_N_STATES; to++)
            if (s->attempt_moves[from][to] != attempt_legal(from, to))
                fail_msg("attempt %s -> %s: %s", attempt_status_word((enum attempt_status)from),
                         attempt_status_word((enum attempt_status)to),
                         attempt_legal(from, to) ? "never happens" : "must not happen");
}

/* ---- tests ---- */

static struct search beginning;

static void reachable_from_the_beginning(void **state)
{
    (void)state;
    static const char rules[] = "dmn";
    for (size_t i = 0; rules[i] != '\0'; i++) {
        struct node start;
        begin(&start);
        run_from(&beginning, rules[i], &start, 1);
    }
    print_message("%zu states, %zu steps\n", beginning.states, beginning.steps);
    assert_relation(&beginning, FROM_BEGINNING);
}

static void reachable_with_other_parts(void **state)
{
    (void)state;
    static const struct {
        enum payment_status status;
        enum attempt_status first;
        int n_attempts;
    } starts[] = {
        {P(PROCESSING), A(REJECTED), 1},          {P(PROCESSING), A(FAILED), 1},
        {P(PROCESSING), A(NOT_FOUND), 1},         {P(REQUIRES_ACTION), A(SENDING), 1},
        {P(REQUIRES_ACTION), A(FAILED), 1},       {P(COMPLETED), A(SUCCEEDED), 2},
        {P(PARTIALLY_REFUNDED), A(SUCCEEDED), 2}, {P(REFUNDED), A(SUCCEEDED), 2},
        {P(REVERSED), A(SUCCEEDED), 2},           {P(PROCESSING), A(EXPIRED), 2},
    };
    struct search total = {0};
    struct node nodes[COUNT_OF(starts)];
    for (size_t i = 0; i < COUNT_OF(starts); i++)
        begin_with(&nodes[i], starts[i].status, starts[i].first, starts[i].n_attempts);
    run_from(&total, 'd', nodes, COUNT_OF(nodes));
    run_from(&total, 'n', nodes, COUNT_OF(nodes));
    print_message("%zu states, %zu steps\n", total.states, total.steps);
    merge(&total, &beginning);
    assert_relation(&total, WITH_OTHER_PARTS);
}

static void may_move_is_the_table(void **state)
{
    (void)state;
    for (int from = 0; from < PAYMENT_N_STATES; from++)
        for (int to = 0; to < PAYMENT_N_STATES; to++)
            if (payment_may_move((enum payment_status)from, (enum payment_status)to) !=
                (payment_origin(from, to) != NEVER))
                fail_msg("%s -> %s", payment_status_word((enum payment_status)from),
                         payment_status_word((enum payment_status)to));
    for (int from = 0; from < ATTEMPT_N_STATES; from++)
        for (int to = 0; to < ATTEMPT_N_STATES; to++)
            if (attempt_may_move((enum attempt_status)from, (enum attempt_status)to) !=
                attempt_legal(from, to))
                fail_msg("attempt %s -> %s", attempt_status_word((enum attempt_status)from),
                         attempt_status_word((enum attempt_status)to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reachable_from_the_beginning),
        cmocka_unit_test(reachable_with_other_parts),
        cmocka_unit_test(may_move_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
