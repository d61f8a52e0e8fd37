/* The refund machine as a whole: every order of up to EVENTS events, at every time that matters,
 * through refund_step, and payment_take_refund on its payment. States are told apart by an
 * abstraction of the struct; each step is held against the invariants, and the moves that occurred
 * must be the tables of refund_oracle.h, written from domain.md 2.3: none more and none less.
 *
 * A crash loses the process, with what it had decided and not stored, and with the answers that it
 * was waiting for; the restart finds the stored refund and its deadlines. */
#include "test/domain/refund_bench.h"

#include "core/domain/payment_refund.h"
#include "test/domain/refund_oracle.h"
#include "test/domain/search_bench.h"

/* Seconds since creation, at the very moment: at once, lease over, unknown for too long, first
 * question in reconciliation, nearly used up, everything over. */
static const int64_t times_s[] = {0, 60, 900, 1200, 90000, 2000000};

enum { MAX_ATTEMPTS = 2 };

/* ---- the search ---- */

struct node {
    int time;
    bool down;
    bool answered[MAX_ATTEMPTS]; /* or nobody is there any more to whom an answer could come */
    int reserved, refunded; /* what the steps so far have done to the payment, times the amount */
    int released;           /* times that a step said so */
    struct refund r;        /* the last: only MAX_ATTEMPTS of it are kept */
};

enum { KEPT = offsetof(struct node, r.attempts) + MAX_ATTEMPTS * sizeof(struct rail_attempt) };

struct search {
    struct refund_rules rules;
    struct space space;
    bool refund_moves[REFUND_N_STATES][REFUND_EVENT_N][REFUND_N_STATES];
    bool rail_moves[RAIL_N_STATES][REFUND_EVENT_N][RAIL_N_STATES];
    bool exceptions[REFUND_EXCEPTION_TWICE + 1];
    bool moneys[REFUND_MONEY_UNDO + 1];
};

static void copy(struct node *to, const struct node *from)
{
    memcpy((void *)to, from, KEPT);
}

static bool is_open(const struct rail_attempt *a)
{
    return a->status == A(SENDING) || a->status == A(SUBMITTED) || a->status == A(UNCERTAIN);
}

static bool is_answered_no(const struct rail_attempt *a)
{
    return a->status == A(REJECTED) || a->status == A(FAILED);
}

static bool is_paid(const struct rail_attempt *a)
{
    return a->status == A(SUCCEEDED);
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

/* What the machine's future depends on. */
static uint64_t abstraction(const struct node *n)
{
    const struct refund *r = &n->r;
    int64_t now = now_of(n);
    uint64_t h = 1;
    mix(&h, n->time);
    mix(&h, n->down);
    mix(&h, r->status);
    mix(&h, r->late);
    mix(&h, r->receipt[0] != '\0');
    mix(&h, r->recon_since_us != 0);
    mix(&h, n->reserved * 4 + n->refunded * 2 + n->released);
    mix(&h, now - r->updated_at_us >= 60 * US_PER_S);
    mix(&h, r->n_attempts);
    mix(&h, r->park_n);
    for (int i = 0; i < r->n_attempts; i++) {
        const struct rail_attempt *a = &r->attempts[i];
        mix(&h, a->status);
        mix(&h, a->rail);
        mix(&h, a->code == FAILURE_INTEGRITY);
        mix(&h, n->answered[i]);
        mix(&h, a->provider_ref[0]);
        mix(&h, a->receipt[0] != '\0');
        mix(&h, now - a->sent_at_us >= 60 * US_PER_S);
        mix(&h, now - a->sent_at_us >= 900 * US_PER_S);
        mix(&h, a->next_poll_at_us == TIME_NEVER ? 0 : a->next_poll_at_us <= now ? 1 : 2);
        mix(&h, a->poll_n > 0);
    }
    return h;
}

/* Ticks at one moment end, and then the deadline is in the future. */
static void check_rest(const struct search *s, struct refund *r, int64_t now_us)
{
    static const struct refund_event tick = {.kind = REFUND_EVENT_TICK, .random = NO_JITTER};
    struct refund_effects out;
    for (int i = 0; i < 8; i++) {
        assert_false(err_is(refund_step(r, &tick, &s->rules, now_us, &out)));
        if (!out.changed) {
            assert_true(refund_deadline_us(r, &s->rules) > now_us);
            return;
        }
    }
    fail_msg("ticks do not end");
}

/* A crash, and nobody ever answers again: whatever was stored, the deadlines alone lead to where it
 * is decided, or waits for people, still reserved. Nothing is `sending` for ever, and nothing is
 * released because time has passed. */
static void check_left_alone(const struct search *s, const struct node *n)
{
    static struct node at;
    struct refund *r = &at.r;
    int64_t now_us = now_of(n);
    copy(&at, n);
    for (int i = 0; i < 64; i++) {
        check_rest(s, r, now_us);
        int64_t next_us = refund_deadline_us(r, &s->rules);
        if (next_us == TIME_NEVER)
            break;
        now_us = next_us;
    }
    bool open = false;
    for (int i = 0; i < r->n_attempts; i++) {
        assert_int_not_equal(r->attempts[i].status, A(SENDING));
        open |= in(OPEN, (int)r->attempts[i].status);
    }
    if (open) {
        assert_int_not_equal(r->status, R(PROCESSING));
        assert_int_equal(r->status == R(FAILED), n->r.status == R(FAILED));
    }
}

/* Adds a state, and itself at all later times: waiting is no event. */
static void add(struct search *s, const struct node *n)
{
    static struct node at, rest;
    copy(&at, n);
    for (; at.time < (int)COUNT_OF(times_s); at.time++) {
        if (!space_keep(&s->space, abstraction(&at), &at))
            continue;
        copy(&rest, &at);
        check_rest(s, &rest.r, now_of(&at));
        if (at.time == n->time)
            check_left_alone(s, &at);
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
    bool parked = refund_is_parked(before);
    assert_int_equal(made->rail, parked ? before->attempts[before->n_attempts - 1].rail
                                        : s->rules.rails[before->n_attempts]);
    /* an outcome that is unknown, or was good, never opens the next rail */
    assert_int_equal(count(before, is_answered_no), before->n_attempts);
    for (int i = 0; i < before->n_attempts && !parked; i++)
        assert_int_not_equal(before->attempts[i].rail, made->rail);
    s->refund_moves[before->status][ev->kind][after->status] = true;
}

static void check_moves(struct search *s, const struct refund_event *ev,
                        const struct refund *before, const struct refund *after)
{
    int from = (int)before->status, to = (int)after->status;
    if (from != to) {
        if (!refund_legal(from, (int)ev->kind, to))
            fail_msg("%s, event %d: is %s", refund_status_word(before->status), (int)ev->kind,
                     refund_status_word(after->status));
        s->refund_moves[from][ev->kind][to] = true;
    }
    if (after->n_attempts != before->n_attempts)
        check_new_attempt(s, ev, before, after);
    for (int i = 0; i < before->n_attempts; i++) {
        const struct rail_attempt *was = &before->attempts[i], *is = &after->attempts[i];
        bool vouched = was->status == A(SUCCEEDED) && is_sound(is) && !is_sound(was);
        if (was->status == is->status && !vouched)
            continue;
        assert_true(rail_legal((int)was->status, (int)ev->kind, (int)is->status));
        assert_true(ev->attempt == i + 1 || ev->kind == REFUND_EVENT_TICK ||
                    (ev->kind == REFUND_EVENT_DISPATCH && refund_is_parked(before)) ||
                    (ev->kind == REFUND_EVENT_CONFIRM && ev->attempt == 0));
        if (ev->kind == REFUND_EVENT_TICK) /* section 3: 60 s */
            assert_true(after->updated_at_us >= was->sent_at_us + 60 * US_PER_S);
        if (was->status == A(SUCCEEDED))
            assert_int_equal(ev->kind, vouched ? REFUND_EVENT_CONFIRM : REFUND_EVENT_REVOKE);
        s->rail_moves[was->status][ev->kind][is->status] = true;
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

/* Its payment was completed with just this amount, and no other refund is on its way. */
static void check_payment(const struct node *before, struct node *after,
                          const struct refund_effects *out)
{
    int64_t minor = after->r.amount.minor, reserved = before->reserved * minor;
    struct payment p = {.status = before->refunded ? PAYMENT_REFUNDED : PAYMENT_COMPLETED,
                        .amount = after->r.amount,
                        .received_minor = minor,
                        .refunded_minor = before->refunded * minor};
    account(out->money, &after->reserved, &after->refunded);
    assert_true(payment_take_refund(&p, &reserved, out->money, minor));
    assert_int_equal(reserved, after->reserved * minor);
    assert_int_equal(p.refunded_minor, after->refunded * minor);
    assert_int_equal(p.status, after->refunded ? PAYMENT_REFUNDED : PAYMENT_COMPLETED);
}

static void check_table_money(const struct node *before, const struct refund_event *ev,
                              const struct refund *after, const struct refund_effects *out)
{
    enum refund_money money = REFUND_MONEY_NONE;
    for (size_t i = 0; i < COUNT_OF(refund_table); i++)
        if (refund_table[i].on == ev->kind && before->r.status != after->status &&
            in(refund_table[i].from, (int)before->r.status) &&
            refund_table[i].to == (int)after->status)
            money = refund_table[i].money;
    assert_int_equal(out->money, money);
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
    check_table_money(before, ev, r, out);
    check_payment(before, after, out);
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
    if (r->status == R(COMPLETED) && in(UNDECIDED, (int)before->r.status)) {
        /* another rail has moved money, soundly or not; or it still may */
        enum refund_exception told = count(r, is_paid) > 1   ? REFUND_EXCEPTION_TWICE
                                     : count(r, is_open) > 0 ? REFUND_EXCEPTION_LATE
                                                             : REFUND_EXCEPTION_NONE;
        assert_int_equal(out->exception, told);
    }
    if (ev->kind == REFUND_EVENT_REVOKE) /* people are told when what was counted is not */
        assert_int_equal(out->exception == REFUND_EXCEPTION_REVOKED,
                         is_sound(&before->r.attempts[ev->attempt - 1]));
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
        assert_true(a->status == A(SUBMITTED) || a->status == A(UNCERTAIN) ||
                    (a->status == A(FAILED) && s->rules.may_revoke));
        assert_int_not_equal(a->rail, REFUND_RAIL_MANUAL);
        assert_int_not_equal(a->provider_ref[0], '\0');
        assert_false(moved);
    }
}

static void check_unchanged(const struct refund_effects *out)
{
    assert_int_equal(out->notice, REFUND_NOTICE_NONE);
    assert_int_equal(out->money, REFUND_MONEY_NONE);
    assert_int_equal(out->exception, REFUND_EXCEPTION_NONE);
    assert_int_equal(out->next_rail, REFUND_RAIL_NONE);
    assert_int_equal(out->ask_attempt, 0);
    assert_null(out->action);
}

/* What came once comes again, at once: nothing is told, moved or asked a second time. */
static void check_duplicate(struct search *s, const struct node *n, const struct refund_event *ev)
{
    static struct node again;
    struct refund_effects out;
    if (ev->kind == REFUND_EVENT_TICK) /* one thing at a time: the next one may be due */
        return;
    copy(&again, n);
    s->space.taken[HAPPENING_DUPLICATE]++;
    struct err e = refund_step(&again.r, ev, &s->rules, now_of(n), &out);
    assert_true(!err_is(e) || e.code == ERR_INVALID_STATE);
    if (out.changed) { /* the next question, at most, is put off */
        assert_string_equal(out.action, "rail.undecided");
        again.r.attempts[ev->attempt - 1].next_poll_at_us =
            n->r.attempts[ev->attempt - 1].next_poll_at_us;
        again.r.updated_at_us = n->r.updated_at_us;
        out.action = NULL;
    }
    check_unchanged(&out);
    assert_kept(&again, n, KEPT);
}

/* What must happen, of all that only may. */
static void check_owed(const struct node *n, const struct refund_event *ev,
                       const struct refund_rules *rules, const struct refund *after)
{
    const struct refund *r = &n->r;
    bool about = ev->attempt >= 1 && ev->attempt <= r->n_attempts;
    const struct rail_attempt *was = about ? &r->attempts[ev->attempt - 1] : NULL;
    bool named = about && ev->provider_ref.n > 0 && was->provider_ref[0] != '\0' &&
                 !str_eq(ev->provider_ref, str_c(was->provider_ref));
    if (about && in(OPEN, (int)was->status) && ev->kind == REFUND_EVENT_SUCCESS)
        assert_int_equal(after->attempts[ev->attempt - 1].status, A(SUCCEEDED));
    bool parked = ev->later && refund_is_parked(after);
    if (about && in(OPEN, (int)was->status) && ev->kind == REFUND_EVENT_FAILURE)
        assert_int_equal(after->attempts[ev->attempt - 1].status, named    ? was->status
                                                                  : parked ? A(REJECTED)
                                                                           : A(FAILED));
    if (ev->kind != REFUND_EVENT_TICK)
        return;
    if (after->status == R(FAILED) && r->status != R(FAILED)) /* only when no rail is left */
        assert_true(r->n_attempts >= rules->n_rails);
    for (int i = 0; i < r->n_attempts; i++) {
        const struct rail_attempt *a = &r->attempts[i];
        int64_t age_us = now_of(n) - a->sent_at_us;
        if (a->status == A(SENDING))
            assert_int_equal(after->attempts[i].status,
                             age_us >= 60 * US_PER_S ? A(UNCERTAIN) : A(SENDING));
        else if (in(OPEN, (int)a->status) && r->status == R(PROCESSING))
            assert_int_equal(after->status,
                             age_us >= 900 * US_PER_S ? R(IN_RECONCILIATION) : R(PROCESSING));
    }
}

/* Of a provider who may take back what he said a success never wins over a failure that came
 * first, unless he says so when he is asked again. */
static void check_overtaken(const struct node *n, const struct refund_event *ev,
                            const struct refund_rules *rules, const struct refund *after)
{
    const struct rail_attempt *was =
        ev->attempt >= 1 && ev->attempt <= n->r.n_attempts ? &n->r.attempts[ev->attempt - 1] : NULL;
    if (rules->may_revoke && was != NULL && was->status == A(FAILED) && !ev->afresh &&
        was->provider_ref[0] != '\0')
        assert_int_equal(after->attempts[ev->attempt - 1].status, A(FAILED));
}

static enum happening happening_of(const struct node *n, const struct refund_event *ev)
{
    switch (ev->kind) {
    case REFUND_EVENT_DISPATCH:
        return HAPPENING_REQUEST;
    case REFUND_EVENT_ACCEPTED:
    case REFUND_EVENT_REFUSED:
        return HAPPENING_ANSWER;
    case REFUND_EVENT_AMBIGUOUS:
        return HAPPENING_LOST_ANSWER;
    case REFUND_EVENT_TICK:
        return HAPPENING_TIMEOUT;
    case REFUND_EVENT_SUCCESS:
    case REFUND_EVENT_FAILURE:
        return refund_status_final(n->r.status) ? HAPPENING_LATE_CALLBACK : HAPPENING_CALLBACK;
    case REFUND_EVENT_REVOKE:
        return HAPPENING_LATE_CALLBACK;
    case REFUND_EVENT_STILL_PENDING:
    case REFUND_EVENT_UNREACHABLE:
        return HAPPENING_QUERY_RESULT;
    default:
        return HAPPENING_PERSON;
    }
}

static bool is_answer(enum refund_event_kind k)
{
    return k == REFUND_EVENT_ACCEPTED || k == REFUND_EVENT_REFUSED || k == REFUND_EVENT_AMBIGUOUS;
}

static void try_with(struct search *s, const struct node *n, const struct refund_event *ev,
                     const struct refund_rules *rules)
{
    static struct node after;
    struct refund_effects out;
    bool answer = is_answer(ev->kind) && ev->attempt <= n->r.n_attempts;
    if (answer && n->answered[ev->attempt - 1])
        return;
    copy(&after, n);
    s->space.taken[happening_of(n, ev)]++;
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
    check_owed(n, ev, rules, &after.r);
    check_overtaken(n, ev, rules, &after.r);
    if (!out.changed) {
        assert_kept(&after, n, KEPT);
        check_unchanged(&out);
        return;
    }
    s->space.moves++;
    check_moves(s, ev, &n->r, &after.r);
    check_effects(s, n, ev, &after, &out);
    check_state(&after);
    s->space.taken[HAPPENING_REFUND] += out.money != REFUND_MONEY_NONE;
    check_duplicate(s, &after, ev);
    if (answer)
        after.answered[ev->attempt - 1] = true;
    if (ev->kind == REFUND_EVENT_DISPATCH) /* perhaps it was sent before, and answered */
        after.answered[after.r.n_attempts - 1] = false;
    add(s, &after);
}

/* The process dies, with all that it had decided and not stored; or another one takes over. */
static void try_crash(struct search *s, const struct node *n)
{
    static struct node after;
    copy(&after, n);
    after.down = !n->down;
    for (int i = 0; i < n->r.n_attempts; i++)
        after.answered[i] = true;
    s->space.taken[n->down ? HAPPENING_RESTART : HAPPENING_CRASH]++;
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

static const struct str refs[] = {
    {NULL, 0}, {"1-ref", 5}, {"2-ref", 5}, {"3-ref", 5}, {"4-ref", 5}};

static void try_about_attempt(struct search *s, const struct node *n, int attempt)
{
    static const enum refund_event_kind plain[] = {
        REFUND_EVENT_REFUSED,     REFUND_EVENT_AMBIGUOUS, REFUND_EVENT_STILL_PENDING,
        REFUND_EVENT_UNREACHABLE, REFUND_EVENT_FAILURE,   REFUND_EVENT_REVOKE,
        REFUND_EVENT_CONFIRM,
    };
    static const enum refund_event_kind naming[] = {REFUND_EVENT_ACCEPTED, REFUND_EVENT_AMBIGUOUS,
                                                    REFUND_EVENT_FAILURE, REFUND_EVENT_REVOKE};
    struct refund_event ev = {.attempt = attempt, .random = NO_JITTER, .code = FAILURE_DECLINED};
    if (attempt <= n->r.n_attempts)
        ev.sent_at_us = n->r.attempts[attempt - 1].sent_at_us;
    ev.kind = REFUND_EVENT_REFUSED;
    ev.later = true;
    try_event(s, n, &ev);
    ev.kind = REFUND_EVENT_FAILURE;
    try_event(s, n, &ev);
    ev.provider_ref = STR("foreign");
    try_event(s, n, &ev);
    ev.later = false;
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        ev.kind = plain[i];
        ev.provider_ref = STR_NULL;
        try_event(s, n, &ev);
    }
    for (size_t i = 0; i < COUNT_OF(naming); i++) {
        ev.kind = naming[i];
        ev.provider_ref = refs[attempt];
        try_event(s, n, &ev);
        ev.provider_ref = STR("foreign");
        if (ev.kind == REFUND_EVENT_FAILURE || ev.kind == REFUND_EVENT_REVOKE)
            try_event(s, n, &ev);
    }
    ev.kind = REFUND_EVENT_SUCCESS;
    ev.provider_ref = STR_NULL;
    try_amounts(s, n, ev);
    ev.receipt = STR("RECEIPT");
    ev.amount = n->r.amount;
    try_event(s, n, &ev);
    ev.amount.minor++;
    try_event(s, n, &ev);
    ev.amount = (struct money){0};
    ev.provider_ref = STR("foreign");
    try_event(s, n, &ev);
    static const enum refund_event_kind asked[] = {REFUND_EVENT_SUCCESS, REFUND_EVENT_FAILURE,
                                                   REFUND_EVENT_REVOKE};
    ev = (struct refund_event){
        .attempt = attempt, .random = NO_JITTER, .code = FAILURE_DECLINED, .afresh = true};
    bool failed = attempt <= n->r.n_attempts && n->r.attempts[attempt - 1].status == A(FAILED);
    for (size_t i = 0; i < COUNT_OF(asked) && failed; i++) {
        ev.kind = asked[i];
        try_event(s, n, &ev);
    }
}

static void expand(void *ctx, const void *node)
{
    static const enum refund_event_kind plain[] = {
        REFUND_EVENT_APPROVE,  REFUND_EVENT_REJECT,  REFUND_EVENT_CANCEL,
        REFUND_EVENT_DISPATCH, REFUND_EVENT_CONFIRM, REFUND_EVENT_TICK,
    };
    struct search *s = ctx;
    struct node here;
    const struct node *n = &here;
    memcpy((void *)&here, node, KEPT);
    try_crash(s, n);
    if (n->down)
        return;
    struct refund_event ev = {.random = NO_JITTER};
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        ev.kind = plain[i];
        try_event(s, n, &ev);
    }
    ev.same_person = true;
    ev.kind = REFUND_EVENT_APPROVE;
    try_event(s, n, &ev);
    ev.kind = REFUND_EVENT_DISPATCH; /* our id is the provider's reference */
    ev.provider_ref = refs[n->r.n_attempts + 1];
    try_event(s, n, &ev);
    ev.again = true;
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

/* All that can happen with these rails, added to what was seen before. */
static void search_rails(struct search *s, const char *rails, bool may_revoke, int parks)
{
    rails_of(&s->rules, rails);
    s->rules.may_revoke = may_revoke;
    s->rules.park.n = parks;
    space_open(&s->space, KEPT);
    for (int approval = 0; approval <= 1; approval++) {
        static struct node start;
        begin(&start, approval == 1);
        add(s, &start);
    }
    space_run(&s->space, EVENTS, expand, s);
    space_close(&s->space);
}

/* ---- tests ---- */

static void reachable_is_the_table(void **state)
{
    (void)state;
    static const char *const rails[] = {"rp", "rm", "m", "r", ""};
    static struct search s;
    for (size_t i = 0; i < COUNT_OF(rails); i++)
        search_rails(&s, rails[i], false, 0);
    search_rails(&s, "rp", true, 0);
    search_rails(&s, "r", false, 1); /* it is busy once */
    space_report(&s.space, "refunds");
    for (int from = 0; from < REFUND_N_STATES; from++)
        for (int on = 0; on < REFUND_EVENT_N; on++)
            for (int to = 0; to < REFUND_N_STATES; to++) {
                /* staying in reconciliation is no change of state and so not seen here */
                bool want =
                    refund_legal(from, on, to) && !(from == to && from == R(IN_RECONCILIATION));
                if (s.refund_moves[from][on][to] != want)
                    fail_msg("%s, event %d, %s: %s", refund_status_word((enum refund_status)from),
                             on, refund_status_word((enum refund_status)to),
                             want ? "never happens" : "must not happen");
            }
    for (int from = 0; from < RAIL_N_STATES; from++)
        for (int on = 0; on < REFUND_EVENT_N; on++)
            for (int to = 0; to < RAIL_N_STATES; to++)
                if (s.rail_moves[from][on][to] != rail_legal(from, on, to))
                    fail_msg("rail %s, event %d, %s: %s", rail_status_word((enum rail_status)from),
                             on, rail_status_word((enum rail_status)to),
                             rail_legal(from, on, to) ? "never happens" : "must not happen");
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
                refund_legal(from, -1, to))
                fail_msg("%s -> %s", refund_status_word((enum refund_status)from),
                         refund_status_word((enum refund_status)to));
    for (int from = 0; from < RAIL_N_STATES; from++)
        for (int to = 0; to < RAIL_N_STATES; to++)
            if (rail_may_move((enum rail_status)from, (enum rail_status)to) !=
                rail_legal(from, -1, to))
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
