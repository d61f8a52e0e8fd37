/* The refund machine as a whole: every order of up to EVENTS events, at every time that matters,
 * through refund_step. States are told apart by an abstraction of the struct; each step is held
 * against the invariants, and the moves that occurred against the tables below, which are written
 * from domain.md 2.3, not from the code. */
#include "test/domain/refund_bench.h"

#include <stdlib.h>

enum { EVENTS = 7, SLOTS = 1 << 19 };

/* Seconds since creation: at once, lease over, unknown for too long, first and second question in
 * reconciliation, nearly used up, everything over. */
static const int64_t times_s[] = {0, 70, 901, 1300, 5000, 90000, 2000000};

/* ---- the tables ---- */

#define R(s) REFUND_##s
static const struct {
    enum refund_status from, to;
} refund_table[] = {
    {R(PENDING_APPROVAL), R(PENDING)},            /* approve */
    {R(PENDING_APPROVAL), R(REJECTED)},           /* reject */
    {R(PENDING_APPROVAL), R(CANCELLED)},          /* cancel */
    {R(PENDING), R(CANCELLED)},                   /* cancel */
    {R(PENDING), R(PROCESSING)},                  /* dispatch */
    {R(PENDING), R(IN_RECONCILIATION)},           /* dispatch to an operator */
    {R(PROCESSING), R(PROCESSING)},               /* next rail */
    {R(PROCESSING), R(COMPLETED)},                /* provider success */
    {R(PROCESSING), R(FAILED)},                   /* definitive failure, no rail */
    {R(PROCESSING), R(IN_RECONCILIATION)},        /* unknown; integrity fails; operator's rail */
    {R(IN_RECONCILIATION), R(IN_RECONCILIATION)}, /* integrity fails as well */
    {R(IN_RECONCILIATION), R(COMPLETED)},         /* evidence, operator */
    {R(IN_RECONCILIATION), R(FAILED)},            /* evidence, operator */
    {R(COMPLETED), R(FAILED)},                    /* provider reports failure later */
    {R(FAILED), R(COMPLETED)},                    /* late success evidence */
};

#define A(s) RAIL_##s
static const struct {
    enum rail_status from, to;
} rail_table[] = {
    {A(SENDING), A(SUBMITTED)},   {A(SENDING), A(UNCERTAIN)},
    {A(SENDING), A(REJECTED)},    {A(SENDING), A(SUCCEEDED)},
    {A(SENDING), A(FAILED)},      {A(SUBMITTED), A(SUCCEEDED)},
    {A(SUBMITTED), A(FAILED)},    {A(UNCERTAIN), A(SUBMITTED)},
    {A(UNCERTAIN), A(SUCCEEDED)}, {A(UNCERTAIN), A(FAILED)},
    {A(REJECTED), A(SUCCEEDED)},  {A(FAILED), A(SUCCEEDED)}, /* late evidence */
    {A(SUCCEEDED), A(FAILED)},                               /* revoked */
    {A(SUCCEEDED), A(SUCCEEDED)},                            /* an operator vouches for it */
};

static bool refund_legal(int from, int to)
{
    for (size_t i = 0; i < COUNT_OF(refund_table); i++)
        if ((int)refund_table[i].from == from && (int)refund_table[i].to == to)
            return true;
    return false;
}

static bool rail_legal(int from, int to)
{
    for (size_t i = 0; i < COUNT_OF(rail_table); i++)
        if ((int)rail_table[i].from == from && (int)rail_table[i].to == to)
            return true;
    return false;
}

/* ---- the search ---- */

struct node {
    struct refund r;
    int time;
    int reserved, refunded; /* what the steps so far have done to the payment, times the amount */
    int released;           /* times that a step said so */
};

struct search {
    struct refund_rules rules;
    uint64_t *seen;
    struct node *now, *next; /* the layers */
    size_t n_now, n_next, cap_now, cap_next;
    size_t states, steps;
    bool refund_moves[REFUND_N_STATES][REFUND_N_STATES];
    bool rail_moves[RAIL_N_STATES][RAIL_N_STATES];
    bool exceptions[REFUND_EXCEPTION_TWICE + 1];
    bool moneys[REFUND_MONEY_UNDO + 1];
};

static bool is_open(const struct rail_attempt *a)
{
    return a->status == A(SENDING) || a->status == A(SUBMITTED) || a->status == A(UNCERTAIN);
}

static bool is_answered_no(const struct rail_attempt *a)
{
    return a->status == A(REJECTED) || a->status == A(FAILED);
}

static bool is_sound(const struct rail_attempt *a)
{
    return a->status == A(SUCCEEDED) && a->code != FAILURE_INTEGRITY;
}

static int count(const struct refund *r, bool (*is)(const struct rail_attempt *a))
{
    int n = 0;
    for (int i = 0; i < r->n_attempts; i++)
        n += is(&r->attempts[i]);
    return n;
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
    const struct refund *r = &n->r;
    int64_t now = now_of(n);
    uint64_t h = 1;
    mix(&h, n->time);
    mix(&h, r->status);
    mix(&h, r->late);
    mix(&h, r->receipt[0] != '\0');
    mix(&h, r->recon_since_us != 0);
    mix(&h, n->reserved * 4 + n->refunded * 2 + n->released);
    mix(&h, now - r->updated_at_us >= 60 * US_PER_S);
    mix(&h, r->n_attempts);
    for (int i = 0; i < r->n_attempts; i++) {
        const struct rail_attempt *a = &r->attempts[i];
        mix(&h, a->status);
        mix(&h, a->rail);
        mix(&h, a->code == FAILURE_INTEGRITY);
        mix(&h, a->provider_ref[0] != '\0');
        mix(&h, a->receipt[0] != '\0');
        mix(&h, now - a->sent_at_us >= 60 * US_PER_S);
        mix(&h, now - a->sent_at_us >= 900 * US_PER_S);
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
    struct refund r = n->r;
    const struct refund_event tick = {.kind = REFUND_EVENT_TICK, .random = NO_JITTER};
    struct refund_effects out;
    for (int i = 0; i < 8; i++) {
        assert_false(err_is(refund_step(&r, &tick, &s->rules, now_of(n), &out)));
        if (!out.changed) {
            assert_true(refund_deadline_us(&r, &s->rules) > now_of(n));
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

static void check_new_attempt(struct search *s, const struct refund_event *ev,
                              const struct refund *before, const struct refund *after)
{
    const struct rail_attempt *made = &after->attempts[before->n_attempts];
    bool by_hand = made->rail == REFUND_RAIL_MANUAL;
    assert_int_equal(ev->kind, REFUND_EVENT_DISPATCH);
    assert_int_equal(after->n_attempts, before->n_attempts + 1);
    assert_int_equal(made->n, after->n_attempts);
    assert_int_equal(made->status, by_hand ? A(SUBMITTED) : A(SENDING));
    assert_int_equal(after->status, by_hand ? R(IN_RECONCILIATION) : R(PROCESSING));
    assert_int_equal(made->rail, s->rules.rails[before->n_attempts]);
    /* an outcome that is unknown, or was good, never opens the next rail */
    assert_int_equal(count(before, is_answered_no), before->n_attempts);
    for (int i = 0; i < before->n_attempts; i++)
        assert_int_not_equal(before->attempts[i].rail, made->rail);
    s->refund_moves[before->status][after->status] = true;
}

static void check_moves(struct search *s, const struct refund_event *ev,
                        const struct refund *before, const struct refund *after)
{
    int from = (int)before->status, to = (int)after->status;
    if (from != to) {
        if (!refund_legal(from, to))
            fail_msg("%s -> %s", refund_status_word(before->status),
                     refund_status_word(after->status));
        s->refund_moves[from][to] = true;
    }
    if (after->n_attempts != before->n_attempts)
        check_new_attempt(s, ev, before, after);
    for (int i = 0; i < before->n_attempts; i++) {
        const struct rail_attempt *was = &before->attempts[i], *is = &after->attempts[i];
        bool vouched = was->status == A(SUCCEEDED) && is_sound(is) && !is_sound(was);
        if (was->status == is->status && !vouched)
            continue;
        assert_true(rail_legal((int)was->status, (int)is->status));
        assert_true(ev->attempt == i + 1 || ev->kind == REFUND_EVENT_TICK ||
                    (ev->kind == REFUND_EVENT_CONFIRM && ev->attempt == 0));
        if (was->status == A(SUCCEEDED))
            assert_int_equal(ev->kind, vouched ? REFUND_EVENT_CONFIRM : REFUND_EVENT_REVOKE);
        s->rail_moves[was->status][is->status] = true;
    }
}

static bool is_reserving(enum refund_status s)
{
    return s == R(PENDING_APPROVAL) || s == R(PENDING) || s == R(PROCESSING) ||
           s == R(IN_RECONCILIATION);
}

static void check_state(const struct node *n)
{
    const struct refund *r = &n->r;
    /* the payment's amounts: held while undecided, given back exactly while completed */
    assert_int_equal(n->reserved, is_reserving(r->status));
    assert_int_equal(n->refunded, r->status == R(COMPLETED));
    assert_int_equal(r->status == R(COMPLETED), count(r, is_sound) > 0);
    assert_int_equal(r->status == R(COMPLETED), r->completed_at_us != 0);
    assert_true(n->released <= 1);
    /* ended, and nobody was ever paid: the reserve was released, once */
    if (r->status == R(REJECTED) || r->status == R(CANCELLED)) {
        assert_int_equal(r->n_attempts, 0);
        assert_int_equal(n->released, 1);
    }
    assert_true(count(r, is_open) <= 1);
    if (r->late)
        assert_int_equal(r->status, R(COMPLETED));
    if (r->status == R(FAILED))
        assert_int_not_equal(r->failure, FAILURE_NONE);
    if (r->status == R(COMPLETED))
        assert_int_equal(r->failure, FAILURE_NONE);
    if (r->status == R(IN_RECONCILIATION))
        assert_int_not_equal(r->recon_since_us, 0);
}

static void check_effects(struct search *s, const struct node *before,
                          const struct refund_event *ev, struct node *after,
                          const struct refund_effects *out)
{
    const struct refund *r = &after->r;
    bool moved = before->r.status != r->status;
    assert_int_equal(out->notice != REFUND_NOTICE_NONE, moved);
    assert_int_equal(r->version, before->r.version + moved);
    assert_int_equal(r->updated_at_us, now_of(before));
    assert_non_null(out->action);
    account(out->money, &after->reserved, &after->refunded);
    s->moneys[out->money] = true;
    s->exceptions[out->exception] = true;
    switch (out->money) {
    case REFUND_MONEY_NONE:
        break;
    case REFUND_MONEY_RELEASE: /* never while a request may have moved money */
        after->released++;
        assert_int_equal(count(r, is_answered_no), r->n_attempts);
        break;
    case REFUND_MONEY_SETTLE:
    case REFUND_MONEY_SETTLE_LATE:
        assert_true(ev->kind == REFUND_EVENT_SUCCESS || ev->kind == REFUND_EVENT_CONFIRM);
        assert_int_equal(r->late, out->money == REFUND_MONEY_SETTLE_LATE);
        assert_int_equal(r->late, before->r.status == R(FAILED));
        if (r->late)
            assert_int_equal(out->exception, REFUND_EXCEPTION_LATE);
        break;
    case REFUND_MONEY_UNDO:
        assert_int_equal(ev->kind, REFUND_EVENT_REVOKE);
        assert_int_equal(out->exception, REFUND_EXCEPTION_REVOKED);
        break;
    }
    if (out->exception == REFUND_EXCEPTION_STUCK)
        assert_int_equal(count(r, is_open), 1);
    /* each time that money has gone out twice, somebody is told */
    if (count(r, is_sound) > 1 && count(&before->r, is_sound) < count(r, is_sound))
        assert_int_equal(out->exception, REFUND_EXCEPTION_TWICE);
    if (out->next_rail != REFUND_RAIL_NONE) {
        assert_int_equal(out->next_rail, refund_next_rail(r, &s->rules));
        assert_int_equal(count(r, is_answered_no), r->n_attempts);
        assert_true(r->status == R(PENDING) || r->status == R(PROCESSING));
    }
    if (out->ask_attempt != 0) {
        const struct rail_attempt *a = refund_attempt(&after->r, out->ask_attempt);
        assert_int_equal(ev->kind, REFUND_EVENT_TICK);
        assert_non_null(a);
        assert_true(a->status == A(SUBMITTED) || a->status == A(UNCERTAIN));
        assert_int_not_equal(a->rail, REFUND_RAIL_MANUAL);
        assert_int_not_equal(a->provider_ref[0], '\0');
        assert_false(moved);
    }
}

static void try_with(struct search *s, const struct node *n, const struct refund_event *ev,
                     const struct refund_rules *rules)
{
    struct node after;
    struct refund_effects out;
    memcpy(&after, n, sizeof after);
    s->steps++;
    struct err e = refund_step(&after.r, ev, rules, now_of(n), &out);
    if (ev->kind == REFUND_EVENT_TICK) {
        assert_false(err_is(e));
        assert_int_equal(out.changed, refund_deadline_us(&n->r, rules) <= now_of(n));
    }
    if (err_is(e)) {
        assert_false(out.changed);
        assert_true(e.code == ERR_INVALID_STATE || (e.code == ERR_FORBIDDEN && ev->same_person &&
                                                    ev->kind == REFUND_EVENT_APPROVE));
    }
    if (!out.changed) {
        assert_memory_equal(&after, n, sizeof after);
        assert_int_equal(out.notice, REFUND_NOTICE_NONE);
        assert_int_equal(out.money, REFUND_MONEY_NONE);
        assert_int_equal(out.exception, REFUND_EXCEPTION_NONE);
        assert_int_equal(out.next_rail, REFUND_RAIL_NONE);
        assert_int_equal(out.ask_attempt, 0);
        assert_null(out.action);
        return;
    }
    check_moves(s, ev, &n->r, &after.r);
    check_effects(s, n, ev, &after, &out);
    check_state(&after);
    add(s, &after);
}

static void try_event(struct search *s, const struct node *n, const struct refund_event *ev)
{
    try_with(s, n, ev, &s->rules);
}

/* The same event with each thing that a provider may say about money. */
static void try_amounts(struct search *s, const struct node *n, struct refund_event ev)
{
    const struct money said[] = {{100000, KES}, {100001, KES}, {100000, USD}, {0, 0}};
    for (size_t i = 0; i < COUNT_OF(said); i++) {
        ev.amount = said[i];
        try_event(s, n, &ev);
    }
}

static void try_about_attempt(struct search *s, const struct node *n, int attempt)
{
    static const struct str refs[] = {{NULL, 0}, {"ref-1", 5}, {"ref-2", 5}, {"ref-3", 5}};
    static const enum refund_event_kind plain[] = {
        REFUND_EVENT_ACCEPTED,      REFUND_EVENT_REFUSED,     REFUND_EVENT_AMBIGUOUS,
        REFUND_EVENT_STILL_PENDING, REFUND_EVENT_UNREACHABLE, REFUND_EVENT_FAILURE,
        REFUND_EVENT_REVOKE,        REFUND_EVENT_CONFIRM,
    };
    struct refund_event ev = {.attempt = attempt, .random = NO_JITTER, .code = FAILURE_DECLINED};
    struct str own = refs[attempt < (int)COUNT_OF(refs) ? attempt : 0];
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        ev.kind = plain[i];
        ev.provider_ref = STR_NULL;
        try_event(s, n, &ev);
        ev.provider_ref = own;
        try_event(s, n, &ev);
        if (ev.kind == REFUND_EVENT_FAILURE || ev.kind == REFUND_EVENT_REVOKE) {
            ev.provider_ref = STR("foreign");
            try_event(s, n, &ev);
        }
    }
    ev.kind = REFUND_EVENT_SUCCESS;
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
    static const enum refund_event_kind plain[] = {
        REFUND_EVENT_APPROVE,  REFUND_EVENT_REJECT,  REFUND_EVENT_CANCEL,
        REFUND_EVENT_DISPATCH, REFUND_EVENT_CONFIRM, REFUND_EVENT_TICK,
    };
    struct refund_event ev = {.random = NO_JITTER};
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        ev.kind = plain[i];
        try_event(s, n, &ev);
    }
    ev.same_person = true;
    ev.kind = REFUND_EVENT_APPROVE;
    try_event(s, n, &ev);
    ev.kind = REFUND_EVENT_DISPATCH;
    ev.provider_ref = STR("our-own");
    try_event(s, n, &ev);
    /* the settings have lost all rails */
    struct refund_rules none = s->rules;
    none.n_rails = 0;
    ev = (struct refund_event){.kind = REFUND_EVENT_TICK, .random = NO_JITTER};
    try_with(s, n, &ev, &none);
    for (int attempt = 1; attempt <= n->r.n_attempts + 1; attempt++)
        try_about_attempt(s, n, attempt);
}

static void begin(struct node *n, bool approval)
{
    struct refund_effects out;
    memset(n, 0, sizeof *n);
    n->r.amount = (struct money){100000, KES};
    n->r.created_at_us = T0;
    n->reserved = 1;
    refund_begin(&n->r, approval, &out);
    assert_int_equal(out.notice, REFUND_NOTICE_PENDING);
    assert_int_equal(n->r.version, 1);
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

/* All that can happen with these rails, added to what was seen before. */
static void search_rails(struct search *s, const char *rails)
{
    s->seen = calloc(SLOTS, sizeof *s->seen);
    assert_non_null(s->seen);
    rails_of(&s->rules, rails);
    size_t before = s->states;
    s->states = 0;
    for (int approval = 0; approval <= 1; approval++) {
        struct node start;
        begin(&start, approval == 1);
        add(s, &start);
    }
    search_run(s);
    free(s->seen);
    free(s->now);
    free(s->next);
    s->now = s->next = NULL;
    s->n_now = s->n_next = s->cap_now = s->cap_next = 0;
    s->states += before;
}

/* ---- tests ---- */

static void reachable_is_the_table(void **state)
{
    (void)state;
    static const char *const rails[] = {"rp", "rm", "m", "r", ""};
    static struct search s;
    for (size_t i = 0; i < COUNT_OF(rails); i++)
        search_rails(&s, rails[i]);
    print_message("%zu states, %zu steps\n", s.states, s.steps);
    for (int from = 0; from < REFUND_N_STATES; from++) {
        for (int to = 0; to < REFUND_N_STATES; to++) {
            /* staying in reconciliation is no change of state and so not seen here */
            bool want = refund_legal(from, to) && !(from == to && from == R(IN_RECONCILIATION));
            if (s.refund_moves[from][to] != want)
                fail_msg("%s -> %s: %s", refund_status_word((enum refund_status)from),
                         refund_status_word((enum refund_status)to),
                         want ? "never happens" : "must not happen");
        }
    }
    for (int from = 0; from < RAIL_N_STATES; from++)
        for (int to = 0; to < RAIL_N_STATES; to++)
            if (s.rail_moves[from][to] != rail_legal(from, to))
                fail_msg("rail %s -> %s: %s", rail_status_word((enum rail_status)from),
                         rail_status_word((enum rail_status)to),
                         rail_legal(from, to) ? "never happens" : "must not happen");
    for (size_t i = 0; i < COUNT_OF(s.moneys); i++)
        assert_true(s.moneys[i]);
    for (size_t i = 0; i < COUNT_OF(s.exceptions); i++)
        assert_true(s.exceptions[i]);
}

static void may_move_is_the_table(void **state)
{
    (void)state;
    for (int from = 0; from < REFUND_N_STATES; from++)
        for (int to = 0; to < REFUND_N_STATES; to++)
            if (refund_may_move((enum refund_status)from, (enum refund_status)to) !=
                refund_legal(from, to))
                fail_msg("%s -> %s", refund_status_word((enum refund_status)from),
                         refund_status_word((enum refund_status)to));
    for (int from = 0; from < RAIL_N_STATES; from++)
        for (int to = 0; to < RAIL_N_STATES; to++)
            if (rail_may_move((enum rail_status)from, (enum rail_status)to) != rail_legal(from, to))
                fail_msg("rail %s -> %s", rail_status_word((enum rail_status)from),
                         rail_status_word((enum rail_status)to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reachable_is_the_table),
        cmocka_unit_test(may_move_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
