/* The payment machine as a whole: every order of up to EVENTS events, at every time that matters,
 * through payment_step and payment_take_refund. Each single step must be the one that the tables of
 * payment_oracle.h, written from domain.md, give for it; and the moves that occurred must be the
 * tables, none more and none less.
 *
 * A node is a payment as it is stored, and what else the future depends on: whether a process is
 * there at all (a crash loses it, with what it had decided and not stored, and with the answers
 * that it was waiting for; the restart finds the stored state and its deadlines), which answers can
 * still come, and the refunds. Providers say anything, in any order, at any time. */
#include "core/domain/payment_refund.h"
#include "test/domain/payment_space.h"

/* With parts to come there is more to choose from at each step, and no event less is enough. */
enum { EVENTS_TOGETHER = 7 };

/* ---- steps ---- */

static const char *word_of(enum payment_status s)
{
    return payment_status_word(s);
}

/* The payment did what 2.1 says, money included. */
static void check_payment(struct search *s, const struct payment *before, enum what what,
                          const struct payment *after, const struct payment_effects *out)
{
    const struct payment_move *row = payment_should(before->status, what, PAYMENT_N_STATES);
    int to = row == NULL || row->to == TO_SAME ? (int)before->status : row->to;
    bool sent = row != NULL && (what == WHAT_DISPATCH || what == WHAT_NEW_ATTEMPT);
    if ((int)after->status != to || out->posting != (row != NULL ? row->posting : POSTING_NONE) ||
        out->exception != (row != NULL ? row->exception : EXCEPTION_NONE))
        fail_msg("%s, %s: is %s, posting %d, exception %d", word_of(before->status),
                 what_words[what], word_of(after->status), (int)out->posting, (int)out->exception);
    assert_int_equal(after->n_attempts, before->n_attempts + sent);
    if (row != NULL)
        s->moves[before->status][what][to] = true;
}

/* And each attempt what 2.2 says. */
static void check_attempts(struct search *s, const struct node *n, const struct payment_event *ev,
                           enum what what, const struct payment *after)
{
    const struct payment *before = &n->p;
    bool ticked = false, people = is_resolution(ev->kind);
    int about = people ? resolved_attempt(before, ev) : ev->attempt;
    if (people && payment_should(before->status, what, PAYMENT_N_STATES) == NULL)
        about = 0; /* they could not decide that */
    for (int i = 0; i < before->n_attempts; i++) {
        const struct attempt *was = &before->attempts[i], *is = &after->attempts[i];
        const struct attempt_move *row = NULL;
        if (about == i + 1 || (ev->kind == PAYMENT_EVENT_TICK && !ticked))
            row = attempt_should(was, ev, &s->rules, now_of(n));
        ticked = ticked || row != NULL;
        if (is->status != (row != NULL ? row->to : was->status))
            fail_msg("attempt %s, %s: is %s", attempt_status_word(was->status),
                     payment_event_word(ev->kind), attempt_status_word(is->status));
        if (row != NULL)
            s->attempts[was->status][ev->kind][is->status] = true;
        if (row != NULL && ev->kind != PAYMENT_EVENT_TICK && ev->kind != PAYMENT_EVENT_AMBIGUOUS)
            assert_in_range(is->answered_at_us, now_of(n), now_of(n) + 1);
    }
    if (after->n_attempts == before->n_attempts)
        return;
    const struct attempt *made = &after->attempts[before->n_attempts];
    assert_int_equal(made->status, ATTEMPT_SENDING);
    assert_int_equal(made->n, after->n_attempts);
    assert_int_equal(made->sent_at_us, now_of(n));
    assert_int_equal(made->amount.minor, ASKED);
    s->attempts[ATTEMPT_CREATED][ev->kind][ATTEMPT_SENDING] = true;
}

/* What is posted, and that it is posted once. */
static void check_money(const struct node *before, const struct payment_event *ev,
                        struct node *after, const struct payment_effects *out)
{
    int n = out->posted_attempt;
    bool completed = !is_paid(&before->p) && is_paid(&after->p);
    struct money *waits = n > 0 ? &after->waits[n - 1] : NULL;
    if (out->posting != POSTING_NONE)
        assert_true(out->posted.minor > 0);
    switch (out->posting) {
    case POSTING_NONE:
        break;
    case POSTING_RECEIVED:
        assert_true(n > 0 || ev->kind == PAYMENT_EVENT_CONFIRM);
        assert_int_equal(out->posted.minor, ASKED);
        assert_int_equal(out->posted.currency, KES);
        assert_true(completed);
        if (n > 0)
            after->posted_n[n - 1]++;
        break;
    case POSTING_UNALLOCATED:
        assert_int_equal(n, ev->attempt);
        if (ev->amount.currency != 0)
            assert_int_equal(out->posted.minor, ev->amount.minor);
        after->posted_n[n - 1]++;
        *waits = out->posted;
        break;
    case POSTING_KEPT:
    case POSTING_RETURNED:
        assert_non_null(waits);
        assert_int_equal(out->posted.minor, waits->minor);
        assert_int_equal(out->posted.currency, waits->currency);
        *waits = (struct money){0};
        after->waited += completed;
        break;
    case POSTING_REVERSED:
        assert_int_equal(out->posted.minor, before->p.received_minor - before->p.refunded_minor);
        break;
    }
    if (completed) {
        assert_int_equal(out->notice, NOTICE_COMPLETED);
        after->received++;
        after->received_minor = out->posted.minor;
        after->counted = n;
    }
    assert_int_equal(after->p.late, completed ? is_ended(&before->p) : before->p.late);
}

static void check_effects(const struct node *before, const struct payment_event *ev,
                          struct node *after, const struct payment_effects *out)
{
    assert_int_equal(after->p.version, before->p.version + (out->notice != NOTICE_NONE));
    assert_int_equal(after->p.updated_at_us, now_of(before));
    assert_non_null(out->action);
    if (before->p.status != after->p.status)
        assert_int_not_equal(out->notice, NOTICE_NONE);
    check_money(before, ev, after, out);
    if (out->ask_attempt != 0) {
        const struct attempt *a = &after->p.attempts[out->ask_attempt - 1];
        assert_int_equal(ev->kind, PAYMENT_EVENT_TICK);
        assert_true(out->ask_attempt <= after->p.n_attempts);
        assert_int_not_equal(a->provider_ref[0], '\0');
        assert_int_not_equal(a->status, ATTEMPT_SUCCEEDED);
        assert_true(a->next_poll_at_us > now_of(before)); /* planned before it is asked */
    }
}

static void check_unchanged(const struct payment_effects *out)
{
    assert_int_equal(out->notice, NOTICE_NONE);
    assert_int_equal(out->posting, POSTING_NONE);
    assert_int_equal(out->posted.minor, 0);
    assert_int_equal(out->exception, EXCEPTION_NONE);
    assert_int_equal(out->ask_attempt, 0);
    assert_null(out->action);
}

/* What came once comes again, at once: nothing is told, posted or asked a second time. */
static void check_duplicate(struct search *s, const struct node *n, const struct payment_event *ev)
{
    static struct node again;
    struct payment_effects out;
    /* one thing at a time: the next one may be due; and what people decide is decided once, by the
     * item that they decide */
    if (ev->kind == PAYMENT_EVENT_TICK || is_resolution(ev->kind) ||
        ev->kind == PAYMENT_EVENT_CODE_GIVEN) /* another code is another try */
        return;
    copy(&again, n);
    s->space.taken[HAPPENING_DUPLICATE]++;
    struct err e = payment_step(&again.p, ev, &s->rules, now_of(n), &out);
    assert_true(!err_is(e) || e.code == ERR_INVALID_STATE);
    if (out.changed) { /* the next question, at most, is put off */
        assert_string_equal(out.action, "attempt.undecided");
        again.p.attempts[ev->attempt - 1].next_poll_at_us =
            n->p.attempts[ev->attempt - 1].next_poll_at_us;
        again.p.updated_at_us = n->p.updated_at_us;
        out.action = NULL;
    }
    check_unchanged(&out);
    assert_kept(&again, n, KEPT);
}

static enum happening happening_of(const struct node *n, const struct payment_event *ev)
{
    switch (ev->kind) {
    case PAYMENT_EVENT_DISPATCH:
        return HAPPENING_REQUEST;
    case PAYMENT_EVENT_ACCEPTED:
    case PAYMENT_EVENT_REFUSED:
        return HAPPENING_ANSWER;
    case PAYMENT_EVENT_AMBIGUOUS:
        return HAPPENING_LOST_ANSWER;
    case PAYMENT_EVENT_TICK:
        return HAPPENING_TIMEOUT;
    case PAYMENT_EVENT_SUCCESS:
    case PAYMENT_EVENT_FAILURE:
    case PAYMENT_EVENT_STILL_PENDING:
        return ev->source == SOURCE_POLL           ? HAPPENING_QUERY_RESULT
               : payment_status_final(n->p.status) ? HAPPENING_LATE_CALLBACK
                                                   : HAPPENING_CALLBACK;
    case PAYMENT_EVENT_UNREACHABLE:
    case PAYMENT_EVENT_NOT_FOUND:
        return HAPPENING_QUERY_RESULT;
    default:
        return HAPPENING_PERSON;
    }
}

/* Who is waited for has an attempt that the provider has, or pays by hand. */
static void check_turn(const struct search *s, const struct payment *p)
{
    if (s->others || p->status != PAYMENT_REQUIRES_ACTION)
        return;
    assert_int_equal(p->n_attempts > 0, !s->rules.manual);
    if (p->n_attempts > 0)
        assert_int_equal(p->attempts[p->n_attempts - 1].status, ATTEMPT_SUBMITTED);
}

static bool is_answer(enum payment_event_kind k)
{
    return k == PAYMENT_EVENT_ACCEPTED || k == PAYMENT_EVENT_REFUSED ||
           k == PAYMENT_EVENT_AMBIGUOUS;
}

static void try_event(struct search *s, const struct node *n, const struct payment_event *ev)
{
    static struct node after;
    struct payment_effects out;
    bool answer = is_answer(ev->kind) && ev->attempt <= n->p.n_attempts;
    if (answer && n->answered[ev->attempt - 1])
        return;
    copy(&after, n);
    s->space.taken[happening_of(n, ev)]++;
    struct err e = payment_step(&after.p, ev, &s->rules, now_of(n), &out);
    enum what what = what_is(&n->p, n->counted, ev, &s->rules, now_of(n));
    if (ev->kind == PAYMENT_EVENT_TICK) {
        assert_false(err_is(e));
        assert_int_equal(out.changed, payment_deadline_us(&n->p, &s->rules) <= now_of(n));
    }
    if (err_is(e)) {
        assert_false(out.changed);
        assert_true(e.code == ERR_INVALID_STATE ||
                    (e.code == ERR_INVALID && ev->kind == PAYMENT_EVENT_CONFIRM));
    }
    check_payment(s, &n->p, what, &after.p, &out);
    check_attempts(s, n, ev, what, &after.p);
    if (!out.changed) {
        assert_kept(&after, n, KEPT);
        check_unchanged(&out);
        return;
    }
    s->space.moves++;
    check_effects(n, ev, &after, &out);
    check_state(&after);
    check_turn(s, &after.p);
    check_duplicate(s, &after, ev);
    if (answer)
        after.answered[ev->attempt - 1] = true;
    assert_int_equal(out.next_attempt, what == WHAT_ROUTE_LEFT);
    add(s, &after);
}

/* The same event with each thing that a provider may say about money. */
static void try_amounts(struct search *s, const struct node *n, struct payment_event ev)
{
    static const struct money said[] = {
        {ASKED, KES}, {ASKED + 1, KES}, {ASKED, CURRENCY('U', 'S', 'D')}, {0, 0}};
    for (size_t i = 0; i < COUNT_OF(said); i++) {
        ev.amount = said[i];
        if (!s->others || i != 2)
            try_event(s, n, &ev);
    }
}

/* Whose turn it is: the customer's, the provider's, or both at once. */
static void try_turns(struct search *s, const struct node *n, struct payment_event ev,
                      struct str own)
{
    const struct str refs[] = {STR_NULL, own, STR("foreign")};
    size_t n_refs = s->others ? 1 : COUNT_OF(refs);
    ev.kind = PAYMENT_EVENT_ACCEPTED;
    ev.asks = true;
    ev.provider_ref = own;
    try_event(s, n, &ev);
    ev.kind = PAYMENT_EVENT_STILL_PENDING;
    ev.source = SOURCE_CALLBACK;
    for (size_t i = 0; i < n_refs; i++) {
        ev.provider_ref = refs[i];
        ev.asks = true;
        try_event(s, n, &ev);
        ev.acted = true;
        if (n_refs > 1)
            try_event(s, n, &ev);
        ev.asks = false;
        try_event(s, n, &ev);
        ev.acted = false;
    }
}

/* The end of an attempt while there is another provider, for a reason that lies with this one, or
 * with the customer. */
static void try_routes(struct search *s, const struct node *n, struct payment_event ev)
{
    static const enum payment_event_kind kinds[] = {
        PAYMENT_EVENT_REFUSED, PAYMENT_EVENT_FAILURE, PAYMENT_EVENT_NOT_FOUND};
    if (!s->others)
        return;
    ev.route_left = true;
    ev.source = SOURCE_CALLBACK;
    ev.provider_ref = STR_NULL;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        ev.kind = kinds[i];
        ev.code = FAILURE_PROVIDER_BUSY;
        try_event(s, n, &ev);
        ev.code = FAILURE_WRONG_PIN;
        try_event(s, n, &ev);
    }
}

/* What the merchant has the provider asked for. */
static void try_wishes(struct search *s, const struct node *n, struct payment_event ev)
{
    ev.provider_ref = STR_NULL;
    ev.source = SOURCE_API;
    ev.kind = PAYMENT_EVENT_CODE_GIVEN;
    try_event(s, n, &ev);
    ev.kind = PAYMENT_EVENT_CANCEL_ASKED;
    try_event(s, n, &ev);
}

static void try_about_attempt(struct search *s, const struct node *n, int attempt)
{
    static const struct str refs[] = {{NULL, 0}, {"1-ref", 5}, {"2-ref", 5}, {"3-ref", 5}};
    static const enum payment_event_kind plain[] = {
        PAYMENT_EVENT_ACCEPTED,      PAYMENT_EVENT_REFUSED,     PAYMENT_EVENT_AMBIGUOUS,
        PAYMENT_EVENT_STILL_PENDING, PAYMENT_EVENT_UNREACHABLE, PAYMENT_EVENT_NOT_FOUND,
    };
    struct payment_event ev = {.attempt = attempt, .random = NO_JITTER, .source = SOURCE_POLL};
    struct str own = refs[attempt];
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        ev.kind = plain[i];
        ev.provider_ref = STR_NULL;
        if (!s->others || i > 0)
            try_event(s, n, &ev);
        ev.provider_ref = own;
        if (!s->others || i == 0)
            try_event(s, n, &ev);
    }
    try_routes(s, n, ev);
    try_turns(s, n, ev, own);
    try_wishes(s, n, ev);
    for (int i = 0; i < 5; i++) {
        ev.kind = PAYMENT_EVENT_FAILURE;
        ev.sure = (i & 1) != 0;
        ev.source = (i & 2) != 0 ? SOURCE_CALLBACK : SOURCE_POLL;
        ev.provider_ref = i == 4 ? STR("foreign") : STR_NULL;
        ev.provider_code = (i & 1) != 0 ? STR("1032") : STR_NULL;
        try_event(s, n, &ev);
    }
    ev.kind = PAYMENT_EVENT_SUCCESS;
    ev.source = SOURCE_POLL;
    ev.provider_ref = STR_NULL;
    ev.provider_code = STR_NULL;
    try_amounts(s, n, ev);
    ev.source = SOURCE_CALLBACK;
    ev.receipt = STR("RECEIPT");
    try_amounts(s, n, ev);
    if (s->others)
        return;
    ev.provider_ref = own;
    try_event(s, n, &ev);
    ev.provider_ref = STR("foreign");
    try_event(s, n, &ev);
}

/* What operators may decide; of what is unallocated, the item that they decide knows the amount. */
static void try_people(struct search *s, const struct node *n)
{
    static const enum payment_event_kind kinds[] = {
        PAYMENT_EVENT_RESOLVED_PAID, PAYMENT_EVENT_RESOLVED_UNPAID, PAYMENT_EVENT_MONEY_KEPT,
        PAYMENT_EVENT_MONEY_RETURNED};
    for (int attempt = 0; attempt <= n->p.n_attempts; attempt++) {
        struct payment_event ev = {
            .attempt = attempt, .random = NO_JITTER, .source = SOURCE_OPERATOR};
        if (attempt > 0)
            ev.amount = n->waits[attempt - 1];
        for (size_t i = 0; i < COUNT_OF(kinds); i++) {
            ev.kind = kinds[i];
            try_event(s, n, &ev);
        }
    }
}

/* ---- what is not payment_step's ---- */

/* A refund of the payment's: `minor` is what it does to the amounts. */
static void try_refund(struct search *s, const struct node *n, enum refund_money money,
                       int64_t minor)
{
    static struct node after;
    bool late = money == REFUND_MONEY_SETTLE_LATE;
    copy(&after, n);
    s->space.taken[HAPPENING_REFUND]++;
    bool fits = payment_take_refund(&after.p, &after.reserved, money, minor);
    bool should = !late || n->p.refunded_minor + n->reserved + minor <= n->p.received_minor;
    assert_int_equal(fits, should);
    if (!fits) {
        assert_kept(&after, n, KEPT);
        return;
    }
    int64_t settled = money == REFUND_MONEY_SETTLE || late ? minor
                      : money == REFUND_MONEY_UNDO         ? -minor
                                                           : 0;
    bool held = money == REFUND_MONEY_RELEASE || money == REFUND_MONEY_SETTLE;
    assert_int_equal(after.p.refunded_minor, n->p.refunded_minor + settled);
    assert_int_equal(after.reserved, n->reserved - (held ? minor : 0));
    if (money == REFUND_MONEY_RELEASE)
        after.released += minor;
    if (late)
        after.released -= minor;
    if (settled != 0 && n->p.status != PAYMENT_REVERSED) {
        enum what what = settled > 0 ? WHAT_REFUND : WHAT_REFUND_UNDONE;
        if (payment_should(n->p.status, what, (int)after.p.status) == NULL)
            fail_msg("%s, %s: is %s", word_of(n->p.status), what_words[what],
                     word_of(after.p.status));
        s->moves[n->p.status][what][after.p.status] = true;
    } else {
        assert_int_equal(after.p.status, n->p.status);
    }
    check_state(&after);
    s->space.moves++;
    add(s, &after);
}

static void try_refunds(struct search *s, const struct node *n)
{
    static struct node after;
    if (s->others) { /* here only what a refund leaves matters */
        for (int64_t minor = UNIT; minor <= n->p.received_minor - n->p.refunded_minor;
             minor += 2 * UNIT) {
            copy(&after, n);
            after.reserved = minor;
            try_refund(s, &after, REFUND_MONEY_SETTLE, minor);
        }
        return;
    }
    for (int64_t minor = UNIT; minor <= ASKED; minor += UNIT) {
        /* the request: nobody may reserve more than is left */
        if (is_in(S(COMPLETED) | S(PARTIALLY_REFUNDED), (int)n->p.status)) {
            bool fits = refund_fits(n->p.received_minor, n->p.refunded_minor, n->reserved, minor);
            assert_int_equal(fits,
                             n->p.refunded_minor + n->reserved + minor <= n->p.received_minor);
            if (fits) {
                copy(&after, n);
                after.reserved += minor;
                s->space.taken[HAPPENING_REFUND]++;
                check_state(&after);
                add(s, &after);
            }
        }
        if (n->reserved >= minor) {
            try_refund(s, n, REFUND_MONEY_RELEASE, minor);
            try_refund(s, n, REFUND_MONEY_SETTLE, minor);
        }
        if (n->released >= minor)
            try_refund(s, n, REFUND_MONEY_SETTLE_LATE, minor);
        if (n->p.refunded_minor >= minor)
            try_refund(s, n, REFUND_MONEY_UNDO, minor);
    }
}

/* A route is left: the customer may be asked for another way to pay, before the next attempt. */
static void try_others(struct search *s, const struct node *n)
{
    static const struct {
        uint32_t from;
        enum what what;
        enum payment_status to;
    } rows[] = {
        {S(PROCESSING), WHAT_ASKS_MORE, PAYMENT_REQUIRES_ACTION},
        {S(REQUIRES_ACTION), WHAT_CUSTOMER_ACTED, PAYMENT_PROCESSING},
    };
    static struct node after;
    if (n->p.n_attempts == 0 || may_still_pay(&n->p))
        return;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!is_in(rows[i].from, (int)n->p.status))
            continue;
        copy(&after, n);
        after.p.status = rows[i].to;
        s->moves[n->p.status][rows[i].what][rows[i].to] = true;
        add(s, &after);
    }
}

/* The process dies, with all that it had decided and not stored; or another one takes over. */
static void try_crash(struct search *s, const struct node *n)
{
    static struct node after;
    copy(&after, n);
    after.down = !n->down;
    for (int i = 0; i < n->p.n_attempts; i++)
        after.answered[i] = true;
    s->space.taken[n->down ? HAPPENING_RESTART : HAPPENING_CRASH]++;
    add(s, &after);
}

static void expand(void *ctx, const void *node)
{
    static const enum payment_event_kind plain[] = {
        PAYMENT_EVENT_CANNOT_SEND, PAYMENT_EVENT_NEEDS_CUSTOMER, PAYMENT_EVENT_CANCEL,
        PAYMENT_EVENT_REVERSED,    PAYMENT_EVENT_TICK,
    };
    struct search *s = ctx;
    struct node here;
    memcpy((void *)&here, node, KEPT);
    if (!s->others)
        try_crash(s, &here);
    if (here.down)
        return;
    struct payment_event ev = {.random = NO_JITTER};
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        ev.kind = plain[i];
        try_event(s, &here, &ev);
    }
    ev.kind = PAYMENT_EVENT_CONFIRM;
    ev.source = SOURCE_OPERATOR;
    try_amounts(s, &here, ev);
    try_people(s, &here);
    ev.source = SOURCE_API;
    if (here.p.n_attempts < MAX_ATTEMPTS) {
        ev.kind = PAYMENT_EVENT_DISPATCH;
        try_event(s, &here, &ev);
        ev.provider_ref = STR("our-own");
        if (!s->others)
            try_event(s, &here, &ev);
    }
    for (int attempt = 1; attempt <= here.p.n_attempts + 1; attempt++)
        try_about_attempt(s, &here, attempt);
    if (is_paid(&here.p))
        try_refunds(s, &here);
    if (s->others)
        try_others(s, &here);
}

/* ---- tests ---- */

static void run(struct search *s, const char *rules)
{
    for (; *rules != '\0'; rules++) {
        static struct node start;
        struct payment_effects out;
        payment_rules_default(&s->rules);
        s->rules.manual = *rules == 'm';
        s->rules.not_found_is_final = *rules == 'n';
        space_open(&s->space, KEPT);
        memset(&start, 0, sizeof start);
        start.p.fee_due_minor = FEE;
        start.p.fee_on_top = *rules == 'n';
        start.p.amount = (struct money){start.p.fee_on_top ? ASKED - FEE : ASKED, KES};
        start.p.created_at_us = T0;
        start.p.expires_at_us = T0 + 15 * US_PER_MIN;
        payment_begin(&start.p, &out);
        assert_int_equal(start.p.status, PAYMENT_PENDING); /* the first row: create */
        assert_int_equal(out.notice, NOTICE_INITIATED);
        add(s, &start);
        space_run(&s->space, s->others ? EVENTS_TOGETHER : EVENTS, expand, s);
        space_close(&s->space);
    }
}

static bool is_row(enum payment_status from, enum what what, int to, enum maker upto)
{
    for (size_t i = 0; i < COUNT_OF(payment_table); i++) {
        const struct payment_move *m = &payment_table[i];
        if (m->what == what && is_in(m->from, (int)from) && m->maker <= upto &&
            (m->to == TO_SAME ? (int)from : m->to) == to)
            return true;
    }
    return false;
}

/* What was reached is the table: in both directions, each row for each of its states. */
static void assert_tables(const struct search *s, enum maker upto)
{
    for (int from = 0; from < PAYMENT_N_STATES; from++)
        for (int what = 0; what < WHAT_N; what++)
            for (int to = 0; to < PAYMENT_N_STATES; to++) {
                bool row = is_row((enum payment_status)from, (enum what)what, to, upto);
                if (s->moves[from][what][to] != row)
                    fail_msg("%s, %s, %s: %s", word_of((enum payment_status)from), what_words[what],
                             word_of((enum payment_status)to),
                             row ? "never happens" : "must not happen");
            }
    for (int from = 0; from < ATTEMPT_N_STATES; from++)
        for (int on = 0; on < PAYMENT_EVENT_N; on++)
            for (int to = 0; to < ATTEMPT_N_STATES; to++) {
                bool row = false;
                for (size_t i = 0; i < COUNT_OF(attempt_table); i++)
                    row |= is_in(attempt_table[i].from, from) && (int)attempt_table[i].on == on &&
                           (int)attempt_table[i].to == to && attempt_table[i].maker <= upto;
                row = row && from != ATTEMPT_CREATED;
                if (from != ATTEMPT_CREATED && s->attempts[from][on][to] != row)
                    fail_msg("attempt %s, %s, %s: %s",
                             attempt_status_word((enum attempt_status)from),
                             payment_event_word((enum payment_event_kind)on),
                             attempt_status_word((enum attempt_status)to),
                             row ? "never happens" : "must not happen");
            }
    assert_true(s->attempts[ATTEMPT_CREATED][PAYMENT_EVENT_DISPATCH][ATTEMPT_SENDING]);
}

static struct search alone, together = {.others = true};

static void reachable_by_itself(void **state)
{
    (void)state;
    run(&alone, "dmn");
    space_report(&alone.space, "payments");
    assert_tables(&alone, ITSELF);
}

/* Crashes and what becomes of refunds have been seen there. */
static void reachable_with_other_parts(void **state)
{
    (void)state;
    run(&together, "dn");
    for (size_t i = 0; i < sizeof together.moves; i++)
        ((bool *)together.moves)[i] |= ((bool *)alone.moves)[i];
    for (size_t i = 0; i < sizeof together.attempts; i++)
        ((bool *)together.attempts)[i] |= ((bool *)alone.attempts)[i];
    together.space.taken[HAPPENING_CRASH] += alone.space.taken[HAPPENING_CRASH];
    together.space.taken[HAPPENING_RESTART] += alone.space.taken[HAPPENING_RESTART];
    space_report(&together.space, "payments, with parts to come");
    assert_tables(&together, OTHERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reachable_by_itself),
        cmocka_unit_test(reachable_with_other_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
