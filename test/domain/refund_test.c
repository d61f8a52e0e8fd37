/* Each row of domain.md 2.3, what that table excludes, and trap 8, with a name. Expected values are
 * written down from domain.md and from what refund.h promises, never from what the code does. */
#include "test/domain/refund_bench.h"

enum { NO_ATTEMPT = -1 };

struct row {
    const char *name;
    const char *rails; /* as bench_init has them */
    const char *script;
    enum err_code err;
    enum refund_status status;
    int attempt; /* state of the latest attempt */
    bool changed;
    enum refund_notice notice;
    enum refund_money money;
    enum refund_exception exception;
    enum refund_rail next;
};

#define OK(status, attempt, notice, money, exception)                                       \
    ERR_NONE, REFUND_##status, attempt, true, REFUND_NOTICE_##notice, REFUND_MONEY_##money, \
        REFUND_EXCEPTION_##exception, REFUND_RAIL_NONE
#define NEXT(status, attempt, rail)                                                  \
    ERR_NONE, REFUND_##status, attempt, true, REFUND_NOTICE_NONE, REFUND_MONEY_NONE, \
        REFUND_EXCEPTION_NONE, REFUND_RAIL_##rail
#define SAME(status, attempt)                                                         \
    ERR_NONE, REFUND_##status, attempt, false, REFUND_NOTICE_NONE, REFUND_MONEY_NONE, \
        REFUND_EXCEPTION_NONE, REFUND_RAIL_NONE
#define BAD(code, status, attempt)                                                      \
    ERR_##code, REFUND_##status, attempt, false, REFUND_NOTICE_NONE, REFUND_MONEY_NONE, \
        REFUND_EXCEPTION_NONE, REFUND_RAIL_NONE
#define A(s) RAIL_##s

/* clang-format off */
static const struct row rows[] = {
    /* ---- 2.3, in its order ---- */
    {"request: approval needed", "a:rp", "",
     OK(PENDING_APPROVAL, NO_ATTEMPT, PENDING, NONE, NONE)},
    {"request", "rp", "",
     OK(PENDING, NO_ATTEMPT, PENDING, NONE, NONE)},
    {"pending_approval: approve", "a:rp", "approve",
     OK(PENDING, NO_ATTEMPT, PENDING, NONE, NONE)},
    {"pending_approval: approve by the requester", "a:rp", "approve:same",
     BAD(FORBIDDEN, PENDING_APPROVAL, NO_ATTEMPT)},
    {"pending: approve, repeated", "a:rp", "approve approve",
     SAME(PENDING, NO_ATTEMPT)},
    {"rejected: approve comes too late", "a:rp", "reject approve",
     BAD(INVALID_STATE, REJECTED, NO_ATTEMPT)},
    {"pending_approval: nothing is sent before the approval", "a:rp", "dispatch",
     BAD(INVALID_STATE, PENDING_APPROVAL, NO_ATTEMPT)},
    {"pending_approval: reject", "a:rp", "reject",
     OK(REJECTED, NO_ATTEMPT, REJECTED, RELEASE, NONE)},
    {"rejected: reject, repeated", "a:rp", "reject reject",
     SAME(REJECTED, NO_ATTEMPT)},
    {"pending: reject comes too late", "a:rp", "approve reject",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
    {"pending_approval: cancel", "a:rp", "cancel",
     OK(CANCELLED, NO_ATTEMPT, CANCELLED, RELEASE, NONE)},
    {"pending: cancel", "rp", "cancel",
     OK(CANCELLED, NO_ATTEMPT, CANCELLED, RELEASE, NONE)},
    {"cancelled: cancel, repeated", "rp", "cancel cancel",
     SAME(CANCELLED, NO_ATTEMPT)},
    {"cancelled: nothing is sent", "rp", "cancel dispatch",
     BAD(INVALID_STATE, CANCELLED, NO_ATTEMPT)},
    {"processing: cancel after something was sent", "rp", "dispatch cancel",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"processing: cancel between two rails", "rp", "dispatch refused cancel",
     BAD(INVALID_STATE, PROCESSING, A(REJECTED))},
    {"pending: dispatch", "rp", "dispatch",
     OK(PROCESSING, A(SENDING), PROCESSING, NONE, NONE)},
    {"processing: dispatch twice", "rp", "dispatch dispatch",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"pending: there is no rail", "", "dispatch",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
    {"processing: accepted", "rp", "dispatch accepted",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"processing: provider success", "rp", "dispatch accepted success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"processing: success before the answer", "rp", "dispatch success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"processing: success that names no amount", "rp", "dispatch accepted success:silent",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"completed: success, repeated", "rp", "dispatch accepted success success",
     SAME(COMPLETED, A(SUCCEEDED))},
    {"completed: an old failure changes nothing", "rp", "dispatch accepted success failure:code=9",
     SAME(COMPLETED, A(SUCCEEDED))},
    {"processing: definitive failure, another rail", "rp", "dispatch accepted failure",
     NEXT(PROCESSING, A(FAILED), PAYOUT)},
    {"processing: refused, another rail", "rp", "dispatch refused",
     NEXT(PROCESSING, A(REJECTED), PAYOUT)},
    {"processing: refused after the lease, another rail", "rp", "dispatch @60 tick @61 refused",
     NEXT(PROCESSING, A(FAILED), PAYOUT)},
    {"processing: next rail", "rp", "dispatch refused dispatch",
     OK(PROCESSING, A(SENDING), NONE, NONE, NONE)},
    {"processing: next rail succeeds", "rp", "dispatch refused dispatch success#2",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"processing: definitive failure, no rail", "r", "dispatch accepted failure",
     OK(FAILED, A(FAILED), FAILED, RELEASE, NONE)},
    {"processing: refused, no rail", "r", "dispatch refused",
     OK(FAILED, A(REJECTED), FAILED, RELEASE, NONE)},
    {"processing: all rails used up", "rp", "dispatch refused dispatch accepted#2 failure#2",
     OK(FAILED, A(FAILED), FAILED, RELEASE, NONE)},
    {"failed: failure, repeated", "r", "dispatch accepted failure failure",
     SAME(FAILED, A(FAILED))},
    {"failed: nothing more is sent", "r", "dispatch refused dispatch",
     BAD(INVALID_STATE, FAILED, A(REJECTED))},
    {"processing: failure of another request is not believed", "rp",
     "dispatch accepted failure:ref=AG_X:code=9", SAME(PROCESSING, A(SUBMITTED))},
    {"processing: no usable answer", "rp", "dispatch ambiguous",
     OK(PROCESSING, A(UNCERTAIN), NONE, NONE, NONE)},
    {"processing: unknown past the window stays reserved", "rp", "dispatch accepted @900 tick",
     OK(IN_RECONCILIATION, A(SUBMITTED), IN_RECONCILIATION, NONE, STUCK)},
    {"processing: never answered, past the window", "rp", "dispatch @60 tick @900 tick",
     OK(IN_RECONCILIATION, A(UNCERTAIN), IN_RECONCILIATION, NONE, STUCK)},
    {"in_reconciliation: evidence of success", "rp", "dispatch accepted @900 tick @2000 success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"in_reconciliation: evidence of failure ends it", "rp",
     "dispatch accepted @900 tick @2000 failure", OK(FAILED, A(FAILED), FAILED, RELEASE, NONE)},
    {"in_reconciliation: no rail is opened", "rp", "dispatch accepted @900 tick dispatch",
     BAD(INVALID_STATE, IN_RECONCILIATION, A(SUBMITTED))},
    {"in_reconciliation: paying by hand what may yet be paid is refused", "rp",
     "dispatch accepted @900 tick confirm", BAD(INVALID_STATE, IN_RECONCILIATION, A(SUBMITTED))},
    {"completed: the provider reports failure later", "rp", "dispatch accepted success revoke",
     OK(FAILED, A(FAILED), FAILED, UNDO, REVOKED)},
    {"failed: revoke, repeated", "rp", "dispatch accepted success revoke revoke",
     SAME(FAILED, A(FAILED))},
    {"failed: the success that was revoked, delivered again", "rp",
     "dispatch accepted success:receipt=R revoke success:receipt=R", SAME(FAILED, A(FAILED))},
    {"completed: revoke of another request is not believed", "rp",
     "dispatch accepted success revoke:ref=AG_X", SAME(COMPLETED, A(SUCCEEDED))},
    {"processing: revoke before its success is a failure", "rp", "dispatch accepted revoke",
     NEXT(PROCESSING, A(FAILED), PAYOUT)},
    {"failed: late success", "r", "dispatch accepted failure success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE_LATE, LATE)},
    {"failed: late success of what was refused", "r", "dispatch refused success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE_LATE, LATE)},
    {"failed: late success, then revoked", "r", "dispatch refused success revoke",
     OK(FAILED, A(FAILED), FAILED, UNDO, REVOKED)},
    {"failed: revoked, then paid after all", "r",
     "dispatch success:receipt=R revoke success:receipt=S",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE_LATE, LATE)},

    /* ---- words that overtake each other, of a provider who may take back what he said ---- */
    {"failed: a success that its failure has overtaken is no success", "v:r",
     "dispatch:ref=OWN ambiguous revoke success:receipt=R",
     OK(FAILED, A(FAILED), NONE, NONE, NONE)},
    {"failed: the same, of an answer that was on its way", "v:r",
     "dispatch:ref=OWN revoke success:receipt=R", OK(FAILED, A(FAILED), NONE, NONE, NONE)},
    {"failed: the overtaken success, repeated", "v:r",
     "dispatch:ref=OWN ambiguous revoke success success", SAME(FAILED, A(FAILED))},
    {"failed: asked again, the provider says that it failed", "v:r",
     "dispatch:ref=OWN ambiguous revoke success tick revoke:afresh",
     OK(FAILED, A(FAILED), NONE, NONE, NONE)},
    {"failed: asked again, the provider says that it succeeded", "v:r",
     "dispatch:ref=OWN ambiguous revoke success tick success:afresh",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE_LATE, LATE)},
    {"failed: asked again, another amount has gone back", "v:r",
     "dispatch:ref=OWN ambiguous revoke success tick success:afresh:other",
     OK(FAILED, A(SUCCEEDED), NONE, NONE, INTEGRITY)},
    {"failed: the answer to an older question is no answer to the new one", "v:r",
     "dispatch:ref=OWN ambiguous revoke success tick success",
     OK(FAILED, A(FAILED), NONE, NONE, NONE)},
    {"failed: success, revoked, and the success delivered again", "v:r",
     "dispatch success:receipt=R revoke success:receipt=R", SAME(FAILED, A(FAILED))},
    {"processing: nothing is sent while the failure is doubted", "v:rp",
     "dispatch:ref=OWN ambiguous revoke success dispatch",
     BAD(INVALID_STATE, PROCESSING, A(FAILED))},
    {"processing: an overtaken success while the next rail is at work", "v:rp",
     "dispatch:ref=OWN ambiguous revoke dispatch success#1",
     OK(PROCESSING, A(SENDING), NONE, NONE, NONE)},
    {"processing: it is true, while the next rail is at work", "v:rp",
     "dispatch:ref=OWN ambiguous revoke dispatch success#1 tick success#1:afresh",
     OK(COMPLETED, A(SENDING), COMPLETED, SETTLE, LATE)},
    {"failed: late success of what was refused, by one who may take it back", "v:r",
     "dispatch refused success", OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE_LATE, LATE)},
    {"failed: late success of one who cannot be asked", "v:r", "dispatch revoke success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE_LATE, LATE)},

    /* ---- a rail that is busy ---- */
    {"processing: the rail is busy", "rp", "dispatch refused:later",
     OK(PROCESSING, A(REJECTED), NONE, NONE, NONE)},
    {"processing: no other rail is asked meanwhile", "rp", "dispatch refused:later @29 dispatch",
     BAD(INVALID_STATE, PROCESSING, A(REJECTED))},
    {"processing: its time has come", "rp", "dispatch refused:later @30 tick",
     NEXT(PROCESSING, A(REJECTED), REVERSAL)},
    {"processing: the same rail is asked again", "rp", "dispatch refused:later @30 dispatch",
     OK(PROCESSING, A(SENDING), NONE, NONE, NONE)},
    {"processing: then it takes it", "rp",
     "dispatch refused:later @30 dispatch accepted#2 success#2",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"processing: then it refuses for good", "rp",
     "dispatch refused:later @30 dispatch refused#2", NEXT(PROCESSING, A(REJECTED), PAYOUT)},
    {"processing: sent again by the same id, it takes it", "rp",
     "dispatch refused:later @30 dispatch:again accepted success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"processing: the busy answer, written once more after it was sent again", "rp",
     "dispatch refused:later @30 dispatch:again refused:later:stale",
     SAME(PROCESSING, A(SENDING))},
    {"processing: busy, after the lease", "rp", "dispatch @60 tick @61 refused:later",
     OK(PROCESSING, A(REJECTED), NONE, NONE, NONE)},
    {"in_reconciliation: busy, after all that time", "rp",
     "dispatch @60 tick @900 tick @901 refused:later",
     OK(FAILED, A(FAILED), FAILED, RELEASE, NONE)},
    {"processing: what was said to be busy has paid", "rp", "dispatch refused:later success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"processing: it has paid, and was sent once more", "rp",
     "dispatch refused:later @30 dispatch success#1",
     OK(COMPLETED, A(SENDING), COMPLETED, SETTLE, LATE)},

    {"processing: taken, and then busy", "rp", "dispatch accepted failure:later",
     OK(PROCESSING, A(REJECTED), NONE, NONE, NONE)},
    {"processing: no other rail is asked after that either", "rp",
     "dispatch accepted failure:later @29 dispatch", BAD(INVALID_STATE, PROCESSING, A(REJECTED))},
    {"processing: taken, busy, and taken again", "rp",
     "dispatch accepted failure:later @30 dispatch accepted#2 success#2",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"processing: the busy result comes before the answer", "rp",
     "dispatch failure:later ambiguous", SAME(PROCESSING, A(REJECTED))},
    {"processing: the busy result, delivered again after it was sent again", "rp",
     "dispatch accepted failure:later @30 dispatch accepted#2 failure:later",
     SAME(PROCESSING, A(SUBMITTED))},
    {"processing: a busy result of another request is not believed", "rp",
     "dispatch accepted failure:later:ref=AG_X:code=9", SAME(PROCESSING, A(SUBMITTED))},
    {"in_reconciliation: a busy result, after all that time", "rp",
     "dispatch accepted @900 tick @901 failure:later",
     OK(FAILED, A(FAILED), FAILED, RELEASE, NONE)},

    /* ---- integrity ---- */
    {"processing: another amount stays reserved", "rp", "dispatch accepted success:other",
     OK(IN_RECONCILIATION, A(SUCCEEDED), IN_RECONCILIATION, NONE, INTEGRITY)},
    {"processing: another currency", "rp", "dispatch accepted success:usd",
     OK(IN_RECONCILIATION, A(SUCCEEDED), IN_RECONCILIATION, NONE, INTEGRITY)},
    {"processing: another request's reference", "rp", "dispatch accepted success:ref=AG_X",
     OK(IN_RECONCILIATION, A(SUCCEEDED), IN_RECONCILIATION, NONE, INTEGRITY)},
    {"in_reconciliation: another amount", "rp", "dispatch accepted @900 tick success:other",
     OK(IN_RECONCILIATION, A(SUCCEEDED), NONE, NONE, INTEGRITY)},
    {"in_reconciliation: the wrong success, repeated", "rp",
     "dispatch accepted success:other success:other", SAME(IN_RECONCILIATION, A(SUCCEEDED))},
    {"in_reconciliation: the wrong success learns its receipt, and is told once", "rp",
     "dispatch accepted success:other success:other:receipt=R",
     OK(IN_RECONCILIATION, A(SUCCEEDED), NONE, NONE, NONE)},
    {"in_reconciliation: a second word about a wrong success settles nothing", "rp",
     "dispatch accepted success:other success", SAME(IN_RECONCILIATION, A(SUCCEEDED))},
    {"in_reconciliation: a failure after a wrong success settles nothing", "rp",
     "dispatch accepted success:other failure", SAME(IN_RECONCILIATION, A(SUCCEEDED))},
    {"in_reconciliation: no rail is opened after a wrong success", "rp",
     "dispatch accepted success:other dispatch",
     BAD(INVALID_STATE, IN_RECONCILIATION, A(SUCCEEDED))},
    {"in_reconciliation: the operator vouches for it", "rp",
     "dispatch accepted success:other confirm",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"in_reconciliation: the wrong success is revoked", "rp",
     "dispatch accepted success:other revoke", OK(FAILED, A(FAILED), FAILED, RELEASE, NONE)},
    {"failed: late success of another amount", "r", "dispatch refused success:other",
     OK(FAILED, A(SUCCEEDED), NONE, NONE, INTEGRITY)},
    {"completed: the callback names another amount than the query that completed it", "rp",
     "dispatch accepted success:silent success:other:receipt=R",
     OK(COMPLETED, A(SUCCEEDED), NONE, NONE, INTEGRITY)},

    /* ---- by hand ---- */
    {"pending: dispatch to an operator", "m", "dispatch",
     OK(IN_RECONCILIATION, A(SUBMITTED), IN_RECONCILIATION, NONE, MANUAL)},
    {"processing: the last rail is an operator's", "rm", "dispatch refused",
     NEXT(PROCESSING, A(REJECTED), MANUAL)},
    {"processing: dispatch to an operator", "rm", "dispatch refused dispatch",
     OK(IN_RECONCILIATION, A(SUBMITTED), IN_RECONCILIATION, NONE, MANUAL)},
    {"in_reconciliation: dispatched to an operator once", "m", "dispatch dispatch",
     BAD(INVALID_STATE, IN_RECONCILIATION, A(SUBMITTED))},
    {"in_reconciliation: the operator has it in his hands, no cancel", "m", "dispatch cancel",
     BAD(INVALID_STATE, IN_RECONCILIATION, A(SUBMITTED))},
    {"in_reconciliation: paid by hand", "m", "dispatch confirm:receipt=BANK-1",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"in_reconciliation: paid by hand, by its number", "rm", "dispatch refused dispatch confirm#2",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"in_reconciliation: confirm of what was no task", "rm", "dispatch refused dispatch confirm#1",
     BAD(INVALID_STATE, IN_RECONCILIATION, A(SUBMITTED))},
    {"in_reconciliation: could not be paid by hand", "m", "dispatch failure",
     OK(FAILED, A(FAILED), FAILED, RELEASE, NONE)},
    {"completed: confirm, repeated", "m", "dispatch confirm confirm",
     SAME(COMPLETED, A(SUCCEEDED))},
    {"pending: nothing to confirm", "m", "confirm",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
    {"processing: nothing to confirm", "r", "dispatch confirm",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"completed: paid by hand, and it came back", "m", "dispatch confirm revoke",
     OK(FAILED, A(FAILED), FAILED, UNDO, REVOKED)},

    /* ---- two rails ---- */
    {"processing: the first rail pays late, before the second was asked", "rp",
     "dispatch refused success#1", OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, NONE)},
    {"processing: the first rail pays late, the second is at work", "rp",
     "dispatch refused dispatch success#1", OK(COMPLETED, A(SENDING), COMPLETED, SETTLE, LATE)},
    {"completed: then the second pays as well", "rp",
     "dispatch refused dispatch success#1 success#2",
     OK(COMPLETED, A(SUCCEEDED), NONE, NONE, TWICE)},
    {"completed: then the second fails", "rp",
     "dispatch refused dispatch success#1 failure#2", OK(COMPLETED, A(FAILED), NONE, NONE, NONE)},
    {"completed: one of two is revoked", "rp",
     "dispatch refused dispatch success#1 success#2 revoke#1",
     OK(COMPLETED, A(SUCCEEDED), NONE, NONE, REVOKED)},
    {"completed: both of two are revoked", "rp",
     "dispatch refused dispatch success#1 success#2 revoke#1 revoke#2",
     OK(FAILED, A(FAILED), FAILED, UNDO, REVOKED)},
    {"in_reconciliation: a rail pays what an operator is to pay", "rm",
     "dispatch refused dispatch success#1", OK(COMPLETED, A(SUBMITTED), COMPLETED, SETTLE, LATE)},
    {"completed: and the operator has paid too", "rm",
     "dispatch refused dispatch success#1 confirm",
     OK(COMPLETED, A(SUCCEEDED), NONE, NONE, TWICE)},
    {"completed: and the operator has not", "rm",
     "dispatch refused dispatch success#1 failure#2", OK(COMPLETED, A(FAILED), NONE, NONE, NONE)},
    {"failed: the operator confirms after the rail's payment was revoked", "rm",
     "dispatch refused dispatch success#1 revoke#1 confirm",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE_LATE, LATE)},
    {"in_reconciliation: paid by hand beside a wrong success", "rm",
     "dispatch refused dispatch success#1:other confirm",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, TWICE)},
    {"in_reconciliation: confirm, repeated, vouches for nothing else", "rm",
     "dispatch refused dispatch success#1:other confirm confirm", SAME(COMPLETED, A(SUCCEEDED))},
    {"in_reconciliation: a good success beside a wrong one", "rp",
     "dispatch refused dispatch success#1:other success#2",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, SETTLE, TWICE)},
    {"in_reconciliation: vouched for while another rail is at work", "rp",
     "dispatch refused dispatch success#1:other confirm",
     OK(COMPLETED, A(SENDING), COMPLETED, SETTLE, LATE)},
    {"in_reconciliation: not paid by hand beside a wrong success stays", "rm",
     "dispatch refused dispatch success#1:other failure#2",
     OK(IN_RECONCILIATION, A(FAILED), NONE, NONE, NONE)},

    /* ---- trap 8: a refund retried after a timeout ---- */
    {"trap 8: a timeout opens no rail", "rp", "dispatch ambiguous dispatch",
     BAD(INVALID_STATE, PROCESSING, A(UNCERTAIN))},
    {"trap 8: a lease that ran out opens no rail", "rp", "dispatch @60 tick dispatch",
     BAD(INVALID_STATE, PROCESSING, A(UNCERTAIN))},
    {"trap 8: a request under way opens no rail", "rp", "dispatch accepted dispatch",
     BAD(INVALID_STATE, PROCESSING, A(SUBMITTED))},
    {"trap 8: a rail is never asked twice", "rr", "dispatch refused",
     OK(FAILED, A(REJECTED), FAILED, RELEASE, NONE)},
    {"trap 8: a provider that cannot be reached decides nothing", "r",
     "dispatch accepted unreachable dispatch", BAD(INVALID_STATE, PROCESSING, A(SUBMITTED))},

    /* ---- numbers that do not exist ---- */
    {"pending: success of nothing", "rp", "success",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
    {"processing: an attempt that is not there", "rp", "dispatch failure#2",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"processing: attempt 0", "rp", "dispatch success#0",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
};
/* clang-format on */

static void rows_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        struct bench b;
        bench_init(&b, row->rails);
        play(&b, row->script);
        int attempt =
            b.r.n_attempts > 0 ? (int)b.r.attempts[b.r.n_attempts - 1].status : NO_ATTEMPT;
        if (b.err.code != row->err || b.r.status != row->status || attempt != row->attempt ||
            b.out.changed != row->changed || b.out.notice != row->notice ||
            b.out.money != row->money || b.out.exception != row->exception ||
            b.out.next_rail != row->next)
            fail_msg("%s: err %d, %s, attempt %d, changed %d, notice %d, money %d, exception %d, "
                     "next %d",
                     row->name, (int)b.err.code, refund_status_word(b.r.status), attempt,
                     b.out.changed, (int)b.out.notice, (int)b.out.money, (int)b.out.exception,
                     (int)b.out.next_rail);
    }
}

static void what_is_kept_of_a_success(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, "rp");
    play(&b, "dispatch @5 accepted @9 success");
    assert_int_equal(b.r.version, 3);
    assert_string_equal(b.r.provider_ref, "AG_1");
    assert_string_equal(b.r.receipt, "");
    assert_int_equal(b.r.completed_at_us, T0 + 9 * US_PER_S);
    assert_int_equal(b.r.attempts[0].answered_at_us, T0 + 9 * US_PER_S);
    assert_string_equal(b.out.action, "refund.completed");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), TIME_NEVER);
    /* the receipt comes later: a fact, no event */
    play(&b, "@20 success:receipt=SLK1");
    assert_true(b.out.changed);
    assert_string_equal(b.out.action, "rail.receipt");
    assert_string_equal(b.r.receipt, "SLK1");
    play(&b, "@21 success:receipt=OTHER");
    assert_false(b.out.changed);
    assert_string_equal(b.r.receipt, "SLK1");

    /* the result before the answer: the answer brings the reference */
    bench_init(&b, "rp");
    play(&b, "dispatch success:receipt=SLK1 @3 accepted");
    assert_string_equal(b.out.action, "rail.reference");
    assert_string_equal(b.r.provider_ref, "AG_1");
    assert_int_equal(b.r.status, REFUND_COMPLETED);
    assert_int_equal(b.r.version, 3);

    /* our own id was the reference, then the provider gave his */
    bench_init(&b, "rp");
    play(&b, "dispatch:ref=OWN ambiguous");
    assert_string_equal(b.r.provider_ref, "OWN");
    play(&b, "accepted");
    assert_string_equal(b.r.provider_ref, "AG_1");
}

static void what_another_attempt_says_is_not_shown(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, "rp");
    play(&b, "dispatch refused dispatch accepted#2 still_pending#1:ref=AG_1");
    assert_string_equal(b.out.action, "rail.reference");
    assert_string_equal(b.r.attempts[0].provider_ref, "AG_1");
    assert_string_equal(b.r.provider_ref, "AG_2");
    play(&b, "success#2 success#1 success#1:receipt=R1");
    assert_string_equal(b.r.attempts[0].receipt, "R1");
    assert_string_equal(b.r.receipt, "");
    assert_string_equal(b.r.provider_ref, "AG_2");
    assert_string_equal(b.r.failure_provider_code, "");
}

/* No step brings this about; a row in the database might. */
static void something_was_sent_after_all(void **state)
{
    (void)state;
    static const char *const events[] = {"cancel", "reject", "dispatch"};
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        for (int approval = 0; approval <= 1; approval++) {
            struct bench b;
            bench_init(&b, approval == 1 ? "a:rp" : "rp");
            b.r.attempts[b.r.n_attempts++] =
                (struct rail_attempt){.n = 1, .rail = REFUND_RAIL_REVERSAL, .status = A(SUBMITTED)};
            play(&b, events[i]);
            assert_int_equal(b.err.code, ERR_INVALID_STATE);
        }
    }
}

static void what_is_kept_of_a_failure(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, "rp");
    play(&b, "dispatch refused:code=11");
    assert_int_equal(b.r.failure, FAILURE_NONE); /* it goes on */
    assert_string_equal(b.r.attempts[0].provider_code, "11");
    assert_string_equal(b.out.action, "rail.rejected");
    play(&b, "dispatch");
    assert_int_equal(b.r.attempts[1].rail, REFUND_RAIL_PAYOUT);
    assert_string_equal(b.out.action, "rail.sending");
    play(&b, "accepted#2 failure#2:code=2006");
    assert_int_equal(b.r.failure, FAILURE_DECLINED);
    assert_string_equal(b.r.failure_provider_code, "2006");
    assert_string_equal(b.out.action, "refund.failed");
    play(&b, "@5000 success#1:receipt=LATE");
    assert_true(b.r.late);
    assert_int_equal(b.r.failure, FAILURE_NONE);
    assert_string_equal(b.r.failure_provider_code, "");
    assert_string_equal(b.r.receipt, "LATE");
    play(&b, "@6000 revoke#1:code=R1");
    assert_false(b.r.late);
    assert_int_equal(b.r.completed_at_us, 0);
    assert_string_equal(b.r.receipt, "");
    assert_string_equal(b.r.attempts[0].receipt, "LATE");
    assert_int_equal(b.r.failure, FAILURE_DECLINED);
    assert_string_equal(b.r.failure_provider_code, "R1");
    assert_string_equal(b.out.action, "refund.revoked");

    bench_init(&b, "rp");
    play(&b, "dispatch accepted @900 tick");
    assert_int_equal(b.r.failure, FAILURE_UNKNOWN_OUTCOME);
    assert_int_equal(b.r.recon_since_us, T0 + 900 * US_PER_S);
    play(&b, "@2000 success:other");
    assert_int_equal(b.r.failure, FAILURE_INTEGRITY);
    assert_int_equal(b.r.recon_since_us, T0 + 900 * US_PER_S);
    bench_init(&b, "m");
    play(&b, "@7 dispatch");
    assert_int_equal(b.r.failure, FAILURE_NONE);
    assert_int_equal(b.r.recon_since_us, T0 + 7 * US_PER_S);
    assert_int_equal(b.r.attempts[0].rail, REFUND_RAIL_MANUAL);
}

/* Ticks at each deadline; the seconds at which the provider was asked. */
static int asked_at(struct bench *b, int64_t until_s, int64_t *at_s, int cap)
{
    int n = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t deadline = refund_deadline_us(&b->r, &b->rules);
        if (deadline == TIME_NEVER || deadline > T0 + until_s * US_PER_S)
            return n;
        if (deadline > b->now_us)
            b->now_us = deadline;
        play(b, "tick");
        assert_true(b->out.changed);
        if (b->out.ask_attempt != 0) {
            assert_int_equal(b->out.ask_attempt, b->r.n_attempts);
            assert_true(n < cap);
            at_s[n++] = (b->now_us - T0) / US_PER_S;
        }
    }
    fail_msg("ticks do not end");
    return n;
}

static void polls_by_schedule(void **state)
{
    (void)state;
    /* 15, 30, 45 … 180 after each other until 15 minutes; then 5 m, 1 h, 5 days, then never */
    static const int64_t want[] = {15,   45,   90,    150,    240,    360,    540,   840,
                                   1200, 4800, 91200, 177600, 264000, 350400, 436800};
    struct bench b;
    int64_t at[32];
    bench_init(&b, "r");
    play(&b, "dispatch accepted");
    int n = asked_at(&b, 10 * 86400, at, (int)COUNT_OF(at));
    assert_int_equal(n, COUNT_OF(want));
    for (int i = 0; i < n; i++)
        assert_int_equal(at[i], want[i]);
    assert_int_equal(b.r.status, REFUND_IN_RECONCILIATION);
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), TIME_NEVER);
    assert_int_equal(b.reserved, 1);

    /* counted from when it was sent */
    bench_init(&b, "r");
    play(&b, "dispatch @5 accepted");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 15 * US_PER_S);

    /* "not decided" starts the wait again */
    bench_init(&b, "r");
    play(&b, "dispatch accepted @10 still_pending");
    assert_string_equal(b.out.action, "rail.undecided");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 25 * US_PER_S);
    play(&b, "@12 unreachable");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 27 * US_PER_S);
}

/* A success that its failure has overtaken is asked about at once, and then as in reconciliation.
 */
static void what_is_doubted_is_asked_about(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, "v:r");
    play(&b, "dispatch:ref=OWN ambiguous @100 revoke");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), TIME_NEVER);
    play(&b, "@200 success:receipt=R");
    assert_string_equal(b.out.action, "rail.doubted");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 200 * US_PER_S);
    play(&b, "@201 tick");
    assert_int_equal(b.out.ask_attempt, 1);
    int64_t next = refund_deadline_us(&b.r, &b.rules);
    assert_true(next > b.now_us && next < TIME_NEVER);
    play(&b, "@230 unreachable");
    assert_true(refund_deadline_us(&b.r, &b.rules) > next);
    play(&b, "@5000 tick");
    assert_int_equal(b.out.ask_attempt, 1);
    play(&b, "revoke:afresh");
    assert_string_equal(b.out.action, "rail.failed_for_sure");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), TIME_NEVER);
    assert_int_equal(b.r.status, REFUND_FAILED);
    /* while it stands as failed a failure that comes by itself says nothing of the question */
    play(&b, "success revoke");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), b.now_us);
}

static void without_a_reference_nobody_is_asked(void **state)
{
    (void)state;
    struct bench b;
    int64_t at[8];
    bench_init(&b, "rp");
    play(&b, "dispatch");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 60 * US_PER_S);
    assert_int_equal(asked_at(&b, 10 * 86400, at, 8), 0);
    assert_int_equal(b.r.status, REFUND_IN_RECONCILIATION);
    assert_int_equal(b.r.attempts[0].status, A(UNCERTAIN));
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), TIME_NEVER);
    /* an answer after all: now it can be */
    play(&b, "@1000 accepted");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 1300 * US_PER_S);

    /* our own reference does as well */
    bench_init(&b, "rp");
    play(&b, "dispatch:ref=OWN ambiguous");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 15 * US_PER_S);
    /* an operator's task is nobody's to ask about */
    bench_init(&b, "m");
    play(&b, "dispatch:ref=TICKET");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), TIME_NEVER);
}

static void a_rail_that_nobody_dispatched_is_dispatched(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, "rp");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 60 * US_PER_S);
    play(&b, "@60 tick");
    assert_int_equal(b.out.next_rail, REFUND_RAIL_REVERSAL);
    assert_string_equal(b.out.action, "refund.dispatch_due");
    assert_int_equal(b.r.version, 1);
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 120 * US_PER_S);
    play(&b, "@70 dispatch refused");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), T0 + 130 * US_PER_S);
    play(&b, "@130 tick");
    assert_int_equal(b.out.next_rail, REFUND_RAIL_PAYOUT);
    /* the settings have lost it meanwhile */
    b.rules.n_rails = 1;
    play(&b, "@189 tick");
    assert_false(b.out.changed);
    play(&b, "@190 tick");
    assert_int_equal(b.r.status, REFUND_FAILED);
    assert_int_equal(b.out.money, REFUND_MONEY_RELEASE);
    assert_int_equal(b.r.failure, FAILURE_DECLINED);

    bench_init(&b, "a:rp");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), TIME_NEVER);
    bench_init(&b, "");
    assert_int_equal(refund_deadline_us(&b.r, &b.rules), TIME_NEVER);
}

/* A rail that stays busy is left after some hours, whether it knows a repeated request or not, and
 * whether it says so at once or by its result. */
static void a_busy_rail_is_left_in_the_end(void **state)
{
    (void)state;
    for (int k = 0; k <= 2; k++) {
        int again = k == 1;
        struct bench b;
        struct refund_event send = {
            .kind = REFUND_EVENT_DISPATCH, .again = again == 1, .random = NO_JITTER};
        int sent = 0;
        bench_init(&b, "rp");
        while (refund_next_rail(&b.r, &b.rules) == REFUND_RAIL_REVERSAL) {
            assert_in_range(++sent, 1, 12);
            assert_true(refund_wants_sending(&b.r, &b.rules, b.now_us));
            bench_step(&b, &send);
            assert_false(err_is(b.err));
            const struct rail_attempt *a = &b.r.attempts[b.r.n_attempts - 1];
            assert_int_equal(a->sent_at_us, b.now_us);
            struct refund_event busy = {.kind =
                                            k == 2 ? REFUND_EVENT_FAILURE : REFUND_EVENT_REFUSED,
                                        .attempt = a->n,
                                        .sent_at_us = a->sent_at_us,
                                        .later = true,
                                        .code = FAILURE_PROVIDER_BUSY,
                                        .random = NO_JITTER};
            bench_step(&b, &busy);
            assert_int_equal(refund_is_parked(&b.r), sent < 12);
            if (!refund_is_parked(&b.r))
                break;
            assert_string_equal(b.out.action, "rail.parked");
            assert_false(refund_wants_sending(&b.r, &b.rules, b.now_us));
            int64_t next_us = refund_deadline_us(&b.r, &b.rules);
            assert_true(next_us > b.now_us && next_us < b.now_us + 13 * US_PER_HOUR);
            b.now_us = next_us;
        }
        assert_int_equal(sent, 12);
        assert_int_equal(b.r.n_attempts, again == 1 ? 1 : 12);
        assert_int_equal(b.out.next_rail, REFUND_RAIL_PAYOUT);
        assert_in_range(b.now_us - T0, 20 * US_PER_HOUR, 26 * US_PER_HOUR);
        bench_step(&b, &send);
        assert_false(err_is(b.err));
        assert_int_equal(b.r.attempts[b.r.n_attempts - 1].rail, REFUND_RAIL_PAYOUT);
    }
}

static void rails_in_order(void **state)
{
    (void)state;
    struct refund_rules rules;
    struct refund r = {0};
    refund_rules_default(&rules);
    assert_int_equal(refund_next_rail(&r, &rules), REFUND_RAIL_REVERSAL);
    r.attempts[r.n_attempts++].rail = REFUND_RAIL_REVERSAL;
    assert_int_equal(refund_next_rail(&r, &rules), REFUND_RAIL_PAYOUT);
    /* the settings lost the first meanwhile: the second is still the next */
    rails_of(&rules, "p");
    assert_int_equal(refund_next_rail(&r, &rules), REFUND_RAIL_PAYOUT);
    r.attempts[r.n_attempts++].rail = REFUND_RAIL_PAYOUT;
    assert_int_equal(refund_next_rail(&r, &rules), REFUND_RAIL_NONE);
    rails_of(&rules, "rpm");
    assert_int_equal(refund_next_rail(&r, &rules), REFUND_RAIL_MANUAL);
    r.attempts[r.n_attempts++].rail = REFUND_RAIL_MANUAL;
    assert_int_equal(refund_next_rail(&r, &rules), REFUND_RAIL_NONE);
    /* whom a person has in his hands is nobody else's */
    r = (struct refund){.n_attempts = 1, .attempts = {{.rail = REFUND_RAIL_MANUAL}}};
    assert_int_equal(refund_next_rail(&r, &rules), REFUND_RAIL_NONE);
    assert_null(refund_attempt(&r, 0));
    assert_null(refund_attempt(&r, 2));
    assert_null(refund_attempt(&r, -1));
    assert_ptr_equal(refund_attempt(&r, 1), &r.attempts[0]);
}

static void fits(void **state)
{
    (void)state;
    static const struct {
        int64_t received, refunded, reserved, amount;
        bool want;
    } cases[] = {
        {1000, 0, 0, 1000, true},
        {1000, 0, 0, 1001, false},
        {1000, 400, 300, 300, true},
        {1000, 400, 300, 301, false},
        {1000, 1000, 0, 1, false},
        {1000, 0, 1000, 1, false},
        {1000, 0, 0, 0, false},
        {1000, 0, 0, -1, false},
        {1000, -1, 0, 1, false},
        {1000, 0, -1, 1, false},
        {0, 0, 0, 1, false},
        {INT64_MAX, 0, 0, INT64_MAX, true},
        {INT64_MAX, 1, 0, INT64_MAX, false},
        {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, false},
        {INT64_MAX, INT64_MAX, 1, 1, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(
            refund_fits(cases[i].received, cases[i].refunded, cases[i].reserved, cases[i].amount),
            cases[i].want);
}

static void words(void **state)
{
    (void)state;
    static const char *const states[] = {"pending_approval",  "pending",   "processing",
                                         "in_reconciliation", "completed", "failed",
                                         "rejected",          "cancelled"};
    static const char *const ends = "completed failed rejected cancelled";
    assert_int_equal(COUNT_OF(states), REFUND_N_STATES);
    for (int i = 0; i < REFUND_N_STATES; i++) {
        enum refund_status s = REFUND_N_STATES;
        assert_string_equal(refund_status_word((enum refund_status)i), states[i]);
        assert_true(refund_status_parse(str_c(states[i]), &s));
        assert_int_equal(s, i);
        assert_int_equal(refund_status_final(s), strstr(ends, states[i]) != NULL);
    }
    enum refund_status s = REFUND_FAILED;
    assert_false(refund_status_parse(STR("Failed"), &s));
    assert_false(refund_status_parse(STR(""), &s));
    for (int i = 0; i < RAIL_N_STATES; i++) {
        enum rail_status a = RAIL_N_STATES;
        assert_true(rail_status_parse(str_c(rail_status_word((enum rail_status)i)), &a));
        assert_int_equal(a, i);
    }
    enum rail_status a;
    assert_false(rail_status_parse(STR("created"), &a));
    for (int i = 0; i < REFUND_RAIL_N; i++) {
        enum refund_rail rail = REFUND_RAIL_N;
        assert_true(refund_rail_parse(str_c(refund_rail_word((enum refund_rail)i)), &rail));
        assert_int_equal(rail, i);
    }
    enum refund_rail rail;
    assert_false(refund_rail_parse(STR("cash"), &rail));
    assert_null(refund_notice_type(REFUND_NOTICE_NONE));
    assert_string_equal(refund_notice_type(REFUND_NOTICE_PENDING), "refund.pending");
    assert_string_equal(refund_notice_type(REFUND_NOTICE_IN_RECONCILIATION),
                        "refund.in_reconciliation");
}

/* What comes from outside is cut to its field and never runs over. */
static void long_texts(void **state)
{
    (void)state;
    struct bench b;
    char text[300], numbers[300]; /* of people, among other words */
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof numbers; i++)
        numbers[i] = i % 20 < 12 ? '7' : 'x';
    struct str s = str_n(text, sizeof text);
    bench_init(&b, "r");
    play(&b, "dispatch");
    struct refund_event ev = {.kind = REFUND_EVENT_ACCEPTED, .attempt = 1, .provider_ref = s};
    bench_step(&b, &ev);
    assert_int_equal(strlen(b.r.provider_ref), REFUND_REF_MAX);
    ev = (struct refund_event){.kind = REFUND_EVENT_FAILURE,
                               .attempt = 1,
                               .provider_ref = s,
                               .provider_code = s,
                               .message = str_n(numbers, sizeof numbers)};
    bench_step(&b, &ev); /* the reference, cut, is still the same */
    assert_int_equal(b.r.status, REFUND_FAILED);
    assert_int_equal(b.r.failure, FAILURE_PROVIDER_ERROR);
    assert_int_equal(strlen(b.r.failure_provider_code), REFUND_CODE_MAX);
    assert_int_equal(strlen(b.r.failure_message), REFUND_MESSAGE_MAX);
    for (size_t i = 0; i < REFUND_MESSAGE_MAX; i++)
        assert_int_equal(b.r.failure_message[i], i % 20 < 12 ? '*' : 'x');
    ev = (struct refund_event){
        .kind = REFUND_EVENT_SUCCESS, .attempt = 1, .provider_ref = s, .receipt = s};
    bench_step(&b, &ev);
    assert_int_equal(strlen(b.r.receipt), REFUND_REF_MAX);
    assert_int_equal(b.r.status, REFUND_COMPLETED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_the_table),
        cmocka_unit_test(what_is_kept_of_a_success),
        cmocka_unit_test(what_is_kept_of_a_failure),
        cmocka_unit_test(what_another_attempt_says_is_not_shown),
        cmocka_unit_test(something_was_sent_after_all),
        cmocka_unit_test(polls_by_schedule),
        cmocka_unit_test(what_is_doubted_is_asked_about),
        cmocka_unit_test(without_a_reference_nobody_is_asked),
        cmocka_unit_test(a_rail_that_nobody_dispatched_is_dispatched),
        cmocka_unit_test(a_busy_rail_is_left_in_the_end),
        cmocka_unit_test(rails_in_order),
        cmocka_unit_test(fits),
        cmocka_unit_test(words),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
