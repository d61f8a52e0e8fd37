/* The payment machine: the traps of domain.md, section 6, that it answers for, the fields that it
 * fills, and the schedules by which it asks. The rows of its tables are in payment_rows_test.c, the
 * search through all orders of events in payment_search_test.c. */
#include "test/domain/payment_bench.h"

/* ---- the traps of section 6 ---- */

static void trap_1_success_before_the_answer(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch @2 success:receipt=SLK1");
    assert_int_equal(b.p.status, PAYMENT_COMPLETED);
    assert_int_equal(b.p.version, 3);
    assert_int_equal(b.p.received_minor, 100000);
    assert_string_equal(b.p.receipt, "SLK1");
    assert_string_equal(b.p.provider_ref, "");
    assert_int_equal(b.p.source, SOURCE_CALLBACK);
    assert_false(b.p.late);
    assert_int_equal(b.out.posted_attempt, 1);
    assert_int_equal(b.out.posted.minor, 100000);
    assert_int_equal(b.out.posted.currency, KES);
    assert_string_equal(b.out.action, "payment.completed");
    play(&b, "@3 accepted");
    assert_true(b.out.changed);
    assert_int_equal(b.out.notice, NOTICE_NONE);
    assert_string_equal(b.out.action, "attempt.reference");
    assert_string_equal(b.p.provider_ref, "ws_1");
    assert_string_equal(b.p.attempts[0].provider_ref, "ws_1");
    assert_int_equal(b.p.attempts[0].status, ATTEMPT_SUCCEEDED);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), TIME_NEVER);
    /* the callback, delivered again, still finds the attempt that counts */
    play(&b, "@4 success:receipt=SLK1");
    assert_false(b.out.changed);
}

static void trap_2_callback_and_poll_at_once(void **state)
{
    (void)state;
    /* the query first, which names neither amount nor receipt; then the callback adds the receipt,
     * once */
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch accepted @20 success:poll:silent");
    assert_int_equal(b.out.posting, POSTING_RECEIVED);
    assert_int_equal(b.out.posted.minor, 100000);
    assert_int_equal(b.p.source, SOURCE_POLL);
    assert_string_equal(b.p.receipt, "");
    play(&b, "success:receipt=SLK2");
    assert_int_equal(b.out.notice, NOTICE_UPDATED);
    assert_int_equal(b.out.posting, POSTING_NONE);
    assert_int_equal(b.out.exception, EXCEPTION_NONE);
    assert_string_equal(b.p.receipt, "SLK2");
    assert_int_equal(b.p.version, 4);
    assert_int_equal(b.p.source, SOURCE_POLL);
    play(&b, "success:receipt=SLK2");
    assert_false(b.out.changed);
    play(&b, "success:receipt=OTHER");
    assert_false(b.out.changed);
    assert_string_equal(b.p.receipt, "SLK2");

    /* the callback first: the query adds nothing */
    bench_init(&b, 'd');
    play(&b, "dispatch accepted success:receipt=SLK2 success:poll:silent");
    assert_false(b.out.changed);
    assert_int_equal(b.p.version, 3);
    assert_int_equal(b.p.received_minor, 100000);
}

static void trap_3_success_after_expiry(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'n');
    play(&b, "dispatch accepted @900 not_found");
    assert_int_equal(b.p.status, PAYMENT_EXPIRED);
    assert_int_equal(b.p.attempts[0].status, ATTEMPT_EXPIRED);
    assert_int_equal(b.p.failure, FAILURE_PROVIDER_ERROR);
    assert_int_equal(b.p.source, SOURCE_POLL);
    play(&b, "@5000 success:receipt=SLK3");
    assert_int_equal(b.p.status, PAYMENT_COMPLETED);
    assert_true(b.p.late);
    assert_int_equal(b.p.failure, FAILURE_NONE);
    assert_string_equal(b.p.failure_provider_code, "");
    assert_string_equal(b.p.failure_message, "");
    assert_int_equal(b.p.completed_at_us, T0 + 5000 * US_PER_S);
    assert_int_equal(b.p.received_minor, 100000);
    assert_int_equal(b.p.version, 4);
    play(&b, "@5001 success:receipt=SLK3");
    assert_false(b.out.changed);

    /* in reconciliation it is not late: no one was told that it had ended */
    bench_init(&b, 'd');
    play(&b, "dispatch accepted @900 tick @5000 success");
    assert_int_equal(b.p.status, PAYMENT_COMPLETED);
    assert_false(b.p.late);
    assert_int_equal(b.p.failure, FAILURE_NONE);
}

static void trap_4_duplicate_success_from_failover(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch accepted failure force:processing @10 dispatch accepted#2 @20 "
             "success#2:receipt=R2");
    assert_int_equal(b.p.status, PAYMENT_COMPLETED);
    assert_int_equal(b.out.posted_attempt, 2);
    assert_string_equal(b.p.provider_ref, "ws_2");
    struct payment before = b.p;
    play(&b, "@30 success#1:receipt=R1");
    assert_int_equal(b.out.posting, POSTING_UNALLOCATED);
    assert_int_equal(b.out.posted_attempt, 1);
    assert_int_equal(b.out.posted.minor, 100000);
    assert_int_equal(b.out.exception, EXCEPTION_DOUBLE_SUCCESS);
    assert_string_equal(b.out.action, "payment.double_success");
    assert_int_equal(b.p.received_minor, before.received_minor);
    assert_int_equal(b.p.version, before.version);
    assert_string_equal(b.p.receipt, "R2");
    assert_string_equal(b.p.provider_ref, "ws_2");
    assert_string_equal(b.p.attempts[0].receipt, "R1");
    play(&b, "@31 success#1:receipt=R1");
    assert_false(b.out.changed);

    /* without any reference the attempt that counts is still told from the other */
    bench_init(&b, 'd');
    play(&b, "dispatch failure force:processing @10 dispatch @20 success#2 @30 success#1 @40 "
             "success#1:receipt=R1");
    assert_true(b.out.changed);
    assert_int_equal(b.out.notice, NOTICE_NONE);
    assert_string_equal(b.p.receipt, "");
    play(&b, "@50 success#2:receipt=R2");
    assert_int_equal(b.out.notice, NOTICE_UPDATED);
    assert_string_equal(b.p.receipt, "R2");
}

static void trap_4_open_attempt_goes_on_being_watched(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    /* the first attempt pays late while the second is under way */
    play(&b, "dispatch accepted failure force:processing @10 dispatch accepted#2 @20 success#1");
    assert_int_equal(b.p.status, PAYMENT_COMPLETED);
    assert_int_equal(b.out.posted_attempt, 1);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), T0 + 20 * US_PER_S + 5 * US_PER_MIN);
    play(&b, "@320 tick");
    assert_int_equal(b.out.ask_attempt, 2);
    play(&b, "@321 success#2:poll:silent");
    assert_int_equal(b.out.posting, POSTING_UNALLOCATED);
    assert_int_equal(b.out.posted.minor, 100000);
    assert_int_equal(b.out.exception, EXCEPTION_DOUBLE_SUCCESS);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), TIME_NEVER);
}

static void trap_5_wrong_amount_in_success(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch accepted @30 success:other:receipt=SLK5");
    assert_int_equal(b.p.status, PAYMENT_IN_RECONCILIATION);
    assert_int_equal(b.p.failure, FAILURE_INTEGRITY);
    assert_int_equal(b.p.received_minor, 0);
    assert_int_equal(b.p.completed_at_us, 0);
    assert_int_equal(b.p.recon_since_us, T0 + 30 * US_PER_S);
    assert_int_equal(b.out.posting, POSTING_UNALLOCATED);
    assert_int_equal(b.out.posted.minor, 100001);
    assert_int_equal(b.out.posted_attempt, 1);
    assert_int_equal(b.p.version, 3);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), TIME_NEVER);

    bench_init(&b, 'd');
    play(&b, "dispatch accepted success:usd");
    assert_int_equal(b.out.posted.minor, 100000);
    assert_int_equal(b.out.posted.currency, USD);

    /* nothing can be posted of an amount that is none, or in a currency that is none */
    static const struct money odd[] = {{0, KES}, {-1, KES}, {100000, CURRENCY('Q', 'Q', 'Q')}};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        bench_init(&b, 'd');
        play(&b, "dispatch accepted");
        struct payment_event ev = event_of(&b, STR("success"));
        ev.amount = odd[i];
        bench_step(&b, &ev);
        assert_int_equal(b.p.status, PAYMENT_IN_RECONCILIATION);
        assert_int_equal(b.out.exception, EXCEPTION_INTEGRITY);
        assert_int_equal(b.out.posting, POSTING_NONE);
        assert_int_equal(b.out.posted.minor, 0);
    }

    /* the query's word named no amount; the callback names a wrong one: a person must look, once */
    bench_init(&b, 'd');
    play(&b, "dispatch accepted @20 success:poll:silent success:other:receipt=SLK5");
    assert_int_equal(b.p.status, PAYMENT_COMPLETED);
    assert_int_equal(b.out.exception, EXCEPTION_INTEGRITY);
    play(&b, "success:other:receipt=SLK5");
    assert_false(b.out.changed);
}

/* ---- fields ---- */

static void failure_is_shown_and_cleared(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch accepted");
    struct payment_event ev = event_of(&b, STR("failure:code=1032"));
    ev.code = FAILURE_CANCELLED_BY_CUSTOMER;
    ev.message = STR("Request cancelled by 254700000001");
    bench_step(&b, &ev);
    assert_int_equal(b.p.failure, FAILURE_CANCELLED_BY_CUSTOMER);
    assert_string_equal(b.p.failure_provider_code, "1032");
    assert_string_equal(b.p.failure_message, "Request cancelled by ************");
    assert_int_equal(b.p.attempts[0].code, FAILURE_CANCELLED_BY_CUSTOMER);
    assert_string_equal(b.p.attempts[0].provider_code, "1032");
    play(&b, "@500 success:code=0");
    assert_int_equal(b.p.failure, FAILURE_NONE);
    assert_string_equal(b.p.failure_provider_code, "");
    assert_string_equal(b.p.failure_message, "");
    assert_int_equal(b.p.attempts[0].code, FAILURE_NONE);
    assert_string_equal(b.p.attempts[0].provider_code, "0");

    /* a failure always has a code */
    bench_init(&b, 'd');
    play(&b, "dispatch accepted");
    ev = event_of(&b, STR("failure"));
    ev.code = FAILURE_NONE;
    bench_step(&b, &ev);
    assert_int_equal(b.p.failure, FAILURE_PROVIDER_ERROR);

    bench_init(&b, 'd');
    play(&b, "dispatch accepted @900 tick");
    assert_int_equal(b.p.failure, FAILURE_UNKNOWN_OUTCOME);
    assert_int_equal(b.p.recon_since_us, b.now_us);
}

static void manual_confirmation(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'm');
    play(&b, "needs_customer @600 confirm:receipt=CASH-7");
    assert_int_equal(b.p.received_minor, 100000);
    assert_int_equal(b.out.posted_attempt, 0);
    assert_int_equal(b.out.posted.minor, 100000);
    assert_string_equal(b.p.receipt, "CASH-7");
    assert_int_equal(b.p.source, SOURCE_OPERATOR);
    assert_int_equal(b.p.version, 3);
    assert_int_equal(b.p.completed_at_us, T0 + 600 * US_PER_S);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), TIME_NEVER);
}

static void nothing_is_confirmed_by_hand_while_money_may_move(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch accepted:asks");
    b.rules.manual = true;
    play(&b, "confirm");
    assert_int_equal(b.err.code, ERR_INVALID_STATE);
    assert_int_equal(b.p.received_minor, 0);
}

static void who_is_asked_for_more_is_told_by_whom(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch @2 accepted:asks");
    assert_int_equal(b.p.version, 3);
    assert_int_equal(b.p.source, SOURCE_API);
    assert_string_equal(b.p.provider_ref, "ws_1");
    assert_string_equal(b.out.action, "payment.requires_action");
    assert_int_equal(b.p.attempts[0].answered_at_us, T0 + 2 * US_PER_S);
    play(&b, "@20 still_pending:poll:acted");
    assert_int_equal(b.p.version, 4);
    assert_int_equal(b.p.source, SOURCE_POLL);
    assert_string_equal(b.out.action, "payment.processing");
    assert_int_equal(b.p.attempts[0].answered_at_us, T0 + 2 * US_PER_S);
    play(&b, "@30 still_pending:poll:asks @40 success");
    assert_int_equal(b.p.version, 6);
    assert_int_equal(b.p.received_minor, 100000);
    assert_false(b.p.late);

    /* a lost answer: the query finds the request, which is no failure, and brings its reference */
    bench_init(&b, 'd');
    play(&b, "dispatch ambiguous @20 still_pending:poll:asks:ref=ws_7");
    assert_int_equal(b.p.status, PAYMENT_REQUIRES_ACTION);
    assert_int_equal(b.p.failure, FAILURE_NONE);
    assert_int_equal(b.p.attempts[0].code, FAILURE_NONE);
    assert_int_equal(b.p.attempts[0].answered_at_us, T0 + 20 * US_PER_S);
    assert_string_equal(b.p.attempts[0].provider_ref, "ws_7");
    assert_string_equal(b.p.provider_ref, "ws_7");
    assert_int_equal(b.p.source, SOURCE_POLL);
}

static void reconciliation_counts_from_its_beginning(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch accepted @900 tick @1000 success:other");
    assert_int_equal(b.p.status, PAYMENT_IN_RECONCILIATION);
    assert_int_equal(b.p.recon_since_us, T0 + 900 * US_PER_S);
    assert_int_equal(b.p.failure, FAILURE_INTEGRITY);
    assert_string_equal(b.out.action, "payment.integrity_failure");
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    struct bench b;
    char text[300];
    memset(text, 'x', sizeof text);
    text[PAYMENT_MESSAGE_MAX - 1] = (char)0xc3; /* a character across the limit */
    text[PAYMENT_MESSAGE_MAX] = (char)0xa9;
    bench_init(&b, 'd');
    play(&b, "dispatch");
    struct payment_event ev = event_of(&b, STR("accepted"));
    ev.provider_ref = str_n(text, 150);
    bench_step(&b, &ev);
    assert_int_equal(strlen(b.p.provider_ref), PAYMENT_REF_MAX);
    ev = event_of(&b, STR("failure"));
    ev.provider_ref = str_n(text, 150); /* the same, before it is cut */
    ev.provider_code = str_n(text, 100);
    ev.message = str_n(text, sizeof text);
    bench_step(&b, &ev);
    assert_int_equal(b.p.status, PAYMENT_FAILED);
    assert_int_equal(strlen(b.p.failure_provider_code), PAYMENT_CODE_MAX);
    assert_int_equal(strlen(b.p.failure_message), PAYMENT_MESSAGE_MAX - 1);
    assert_true(utf8_valid(str_c(b.p.failure_message)));
}

static void a_reference_of_nothing_is_not_learned(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch ambiguous");
    struct payment_event ev = event_of(&b, STR("still_pending"));
    ev.provider_ref = str_n("\0x", 2);
    bench_step(&b, &ev);
    assert_false(b.out.changed);
    /* a callback that decides nothing may still bring what the query needs */
    play(&b, "@5 still_pending:ref=ws_1");
    assert_true(b.out.changed);
    assert_string_equal(b.p.attempts[0].provider_ref, "ws_1");
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), T0 + 15 * US_PER_S);
}

static void our_own_id_as_reference(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch:ref=our-id ambiguous");
    assert_string_equal(b.p.provider_ref, "our-id");
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), T0 + 15 * US_PER_S);
    play(&b, "accepted:ref=theirs");
    assert_string_equal(b.p.provider_ref, "theirs");
    assert_string_equal(b.p.attempts[0].provider_ref, "theirs");
}

/* After a lost answer a query or a webhook speaks of the provider's own reference, and of ours. */
static void our_own_id_is_replaced_by_evidence_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum payment_status status;
        const char *reference;
    } cases[] = {
        {"dispatch:ref=our-id success:ref=theirs:renames", PAYMENT_COMPLETED, "theirs"},
        {"dispatch:ref=our-id ambiguous success:ref=theirs:renames", PAYMENT_COMPLETED, "theirs"},
        {"dispatch:ref=our-id ambiguous success:ref=theirs", PAYMENT_IN_RECONCILIATION, "our-id"},
        {"dispatch:ref=our-id ambiguous failure:ref=theirs:renames", PAYMENT_FAILED, "theirs"},
        {"dispatch:ref=our-id ambiguous failure:ref=theirs", PAYMENT_PROCESSING, "our-id"},
        {"dispatch:ref=our-id ambiguous still_pending:ref=theirs:renames:asks",
         PAYMENT_REQUIRES_ACTION, "theirs"},
        {"dispatch:ref=our-id ambiguous still_pending:ref=theirs:renames", PAYMENT_PROCESSING,
         "theirs"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench b;
        bench_init(&b, 'd');
        play(&b, cases[i].script);
        assert_int_equal(b.p.status, cases[i].status);
        assert_string_equal(b.p.provider_ref, cases[i].reference);
        assert_string_equal(b.p.attempts[0].provider_ref, cases[i].reference);
    }
}

static void attempts_are_bounded(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch");
    for (int n = 1; n < PAYMENT_MAX_ATTEMPTS; n++) {
        struct payment_event refused = event_of(&b, STR("refused:busy:route"));
        refused.attempt = n;
        bench_step(&b, &refused);
        assert_true(b.out.next_attempt);
        play(&b, "dispatch");
        assert_int_equal(b.p.attempts[n].n, n + 1);
        assert_int_equal(b.p.attempts[n].status, ATTEMPT_SENDING);
    }
    play(&b, "refused#3:busy:route");
    assert_false(b.out.next_attempt);
    assert_int_equal(b.p.status, PAYMENT_FAILED);
    play(&b, "force:processing dispatch");
    assert_int_equal(b.err.code, ERR_INVALID_STATE);
    assert_int_equal(b.p.n_attempts, 3);
}

/* ---- schedules ---- */

enum { MAX_TIMES = 32 };

/* Lives by the deadlines alone, with a provider that never decides; the seconds of all questions.
 */
static size_t asked_at(struct bench *b, bool answers, int64_t until_s, int64_t at[MAX_TIMES])
{
    size_t n = 0;
    for (int turn = 0; turn < 200; turn++) {
        int64_t deadline = payment_deadline_us(&b->p, &b->rules);
        if (deadline == TIME_NEVER || deadline > T0 + until_s * US_PER_S)
            return n;
        if (deadline > b->now_us)
            b->now_us = deadline;
        struct payment_event tick = {.kind = PAYMENT_EVENT_TICK, .random = NO_JITTER};
        bench_step(b, &tick);
        assert_true(b->out.changed);
        if (b->out.ask_attempt != 0) {
            assert_true(n < MAX_TIMES);
            at[n++] = (b->now_us - T0) / US_PER_S;
            struct payment_event word = {.kind = PAYMENT_EVENT_STILL_PENDING,
                                         .attempt = b->out.ask_attempt,
                                         .random = NO_JITTER};
            if (answers)
                bench_step(b, &word);
        }
    }
    fail_msg("the deadlines do not come to an end");
    return n;
}

static void assert_times(const int64_t *want, size_t n_want, const int64_t *got, size_t n_got)
{
    assert_int_equal(n_got, n_want);
    for (size_t i = 0; i < n_want; i++)
        assert_int_equal(got[i], want[i]);
}

static void polls_of_a_payment_never_answered(void **state)
{
    (void)state;
    enum { M = 60, H = 3600, D = 86400, E = 900 };
    /* waits of 15, 30, 45, 60, 90, 120, 180, 300 s until expiry at 15 min; then 5 m, 1 h, 1 d x 5
     */
    static const int64_t want[] = {
        15,
        45,
        90,
        150,
        240,
        360,
        540,
        840,
        E + 5 * M,
        E + 5 * M + H,
        E + 5 * M + H + D,
        E + 5 * M + H + 2 * D,
        E + 5 * M + H + 3 * D,
        E + 5 * M + H + 4 * D,
        E + 5 * M + H + 5 * D,
    };
    for (int answers = 0; answers < 2; answers++) {
        struct bench b;
        int64_t got[MAX_TIMES];
        bench_init(&b, 'd');
        play(&b, "dispatch accepted");
        size_t n = asked_at(&b, answers != 0, 100 * D, got);
        assert_times(want, COUNT_OF(want), got, n);
        assert_int_equal(b.p.status, PAYMENT_IN_RECONCILIATION);
        assert_int_equal(payment_deadline_us(&b.p, &b.rules), TIME_NEVER);
    }
}

/* The questions keep their pace, however often the provider changes its mind whose turn it is. */
static void turns_begin_no_questions_anew(void **state)
{
    (void)state;
    static const int64_t want[] = {15, 45, 90, 150, 240, 360, 540, 840};
    struct bench b;
    size_t n = 0;
    bench_init(&b, 'd');
    play(&b, "dispatch accepted:asks");
    while (payment_deadline_us(&b.p, &b.rules) < b.p.expires_at_us) {
        b.now_us = payment_deadline_us(&b.p, &b.rules);
        play(&b, "tick");
        assert_int_equal(b.out.ask_attempt, 1);
        assert_true(n < COUNT_OF(want));
        assert_int_equal((b.now_us - T0) / US_PER_S, want[n]);
        play(&b, n++ % 2 == 0 ? "still_pending:acted" : "still_pending:asks");
        assert_int_equal(b.p.status, n % 2 == 0 ? PAYMENT_REQUIRES_ACTION : PAYMENT_PROCESSING);
    }
    assert_int_equal(n, COUNT_OF(want));
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), b.p.expires_at_us);
    play(&b, "@900 tick");
    assert_int_equal(b.p.status, PAYMENT_IN_RECONCILIATION);
    assert_int_equal(b.p.failure, FAILURE_UNKNOWN_OUTCOME);
    assert_int_equal(b.p.recon_since_us, b.p.expires_at_us);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), b.now_us + 5 * US_PER_MIN);
}

static void the_last_wait_repeats_until_expiry(void **state)
{
    (void)state;
    static const int64_t want[] = {15, 45, 90, 150, 240, 360, 540, 840, 1140, 1440, 1740};
    struct bench b;
    int64_t got[MAX_TIMES];
    bench_init(&b, 'd');
    b.p.expires_at_us = T0 + 30 * US_PER_MIN;
    play(&b, "dispatch accepted");
    assert_times(want, COUNT_OF(want), got, asked_at(&b, true, 1799, got));
}

static void late_watch_counts_from_the_end(void **state)
{
    (void)state;
    enum { END = 100 };
    static const int64_t want[] = {END + 300, END + 1800, END + 7200, END + 43200, END + 86400};
    static const char *const ends[] = {
        "dispatch accepted @100 failure", /* known to the query */
        "dispatch @100 failure accepted", /* the answer comes last and brings the reference */
    };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        for (int answers = 0; answers < 2; answers++) {
            struct bench b;
            int64_t got[MAX_TIMES];
            bench_init(&b, 'd');
            play(&b, ends[i]);
            assert_times(want, COUNT_OF(want), got, asked_at(&b, answers != 0, 1000000, got));
            assert_int_equal(b.p.status, PAYMENT_FAILED);
            assert_int_equal(payment_deadline_us(&b.p, &b.rules), TIME_NEVER);
        }
    }
    /* what was refused before it began, or is unknown to the provider, is not asked for */
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch refused");
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), TIME_NEVER);
}

static void late_watch_after_a_standstill_asks_once(void **state)
{
    (void)state;
    static const int64_t want[] = {10000, 100 + 43200, 100 + 86400};
    struct bench b;
    int64_t got[MAX_TIMES];
    bench_init(&b, 'd');
    play(&b, "dispatch accepted @100 failure @10000");
    assert_times(want, COUNT_OF(want), got, asked_at(&b, false, 1000000, got));
}

static void nothing_is_asked_without_a_reference(void **state)
{
    (void)state;
    struct bench b;
    int64_t got[MAX_TIMES];
    bench_init(&b, 'd');
    play(&b, "dispatch ambiguous");
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), T0 + 900 * US_PER_S);
    assert_int_equal(asked_at(&b, false, 1000000, got), 0);
    assert_int_equal(b.p.status, PAYMENT_IN_RECONCILIATION);
}

static void an_accepted_answer_in_reconciliation_is_polled(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch ambiguous @900 tick @1000 accepted");
    assert_int_equal(b.p.attempts[0].status, ATTEMPT_SUBMITTED);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), T0 + 1300 * US_PER_S);
}

static void one_tick_does_one_thing(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    play(&b, "dispatch:ref=r @2000 tick"); /* lease, expiry and poll are all due */
    assert_string_equal(b.out.action, "attempt.uncertain");
    assert_int_equal(b.out.notice, NOTICE_NONE);
    assert_true(payment_deadline_us(&b.p, &b.rules) <= b.now_us);
    play(&b, "tick");
    assert_string_equal(b.out.action, "payment.in_reconciliation");
    assert_int_equal(b.out.ask_attempt, 0);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), b.now_us + 5 * US_PER_MIN);
    play(&b, "@2300 tick");
    assert_string_equal(b.out.action, "attempt.polled");
    assert_int_equal(b.out.ask_attempt, 1);
}

static void empty_schedules_never_ask(void **state)
{
    (void)state;
    struct bench b;
    int64_t got[MAX_TIMES];
    bench_init(&b, 'd');
    b.rules.poll.n = b.rules.recon.n = b.rules.late_watch.n = 0;
    play(&b, "dispatch accepted");
    assert_int_equal(asked_at(&b, true, 1000000, got), 0);
    assert_int_equal(b.p.status, PAYMENT_IN_RECONCILIATION);
    play(&b, "failure");
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), TIME_NEVER);
}

static void begin(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 'd');
    assert_int_equal(b.p.status, PAYMENT_PENDING);
    assert_int_equal(b.p.version, 1);
    assert_int_equal(b.out.notice, NOTICE_INITIATED);
    assert_true(b.out.changed);
    assert_int_equal(b.p.updated_at_us, T0);
    assert_int_equal(payment_deadline_us(&b.p, &b.rules), b.p.expires_at_us);
    assert_true(payment_idle(&b.p));
    assert_null(payment_attempt(&b.p, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begin),
        cmocka_unit_test(trap_1_success_before_the_answer),
        cmocka_unit_test(trap_2_callback_and_poll_at_once),
        cmocka_unit_test(trap_3_success_after_expiry),
        cmocka_unit_test(trap_4_duplicate_success_from_failover),
        cmocka_unit_test(trap_4_open_attempt_goes_on_being_watched),
        cmocka_unit_test(trap_5_wrong_amount_in_success),
        cmocka_unit_test(failure_is_shown_and_cleared),
        cmocka_unit_test(manual_confirmation),
        cmocka_unit_test(nothing_is_confirmed_by_hand_while_money_may_move),
        cmocka_unit_test(who_is_asked_for_more_is_told_by_whom),
        cmocka_unit_test(reconciliation_counts_from_its_beginning),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(a_reference_of_nothing_is_not_learned),
        cmocka_unit_test(our_own_id_as_reference),
        cmocka_unit_test(our_own_id_is_replaced_by_evidence_of_it),
        cmocka_unit_test(attempts_are_bounded),
        cmocka_unit_test(polls_of_a_payment_never_answered),
        cmocka_unit_test(turns_begin_no_questions_anew),
        cmocka_unit_test(the_last_wait_repeats_until_expiry),
        cmocka_unit_test(late_watch_counts_from_the_end),
        cmocka_unit_test(late_watch_after_a_standstill_asks_once),
        cmocka_unit_test(nothing_is_asked_without_a_reference),
        cmocka_unit_test(an_accepted_answer_in_reconciliation_is_polled),
        cmocka_unit_test(one_tick_does_one_thing),
        cmocka_unit_test(empty_schedules_never_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
