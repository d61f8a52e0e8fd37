/* Each row of domain.md 2.1 and 2.2 that the payment machine covers, and what those tables exclude,
 * with a name. Expected values are written down from domain.md, never from what the code does. */
#include "test/domain/payment_bench.h"

enum { NO_ATTEMPT = -1 };

struct row {
    const char *name;
    char rules; /* 'd' default, 'm' manual, 'n' not_found_is_final */
    const char *script;
    enum err_code err;
    enum payment_status status;
    int attempt; /* state of the first attempt */
    bool changed;
    enum payment_notice notice;
    enum payment_posting posting;
    enum payment_exception exception;
};

#define OK(status, attempt, notice, posting, exception)                            \
    ERR_NONE, PAYMENT_##status, attempt, true, NOTICE_##notice, POSTING_##posting, \
        EXCEPTION_##exception
#define SAME(status, attempt) \
    ERR_NONE, PAYMENT_##status, attempt, false, NOTICE_NONE, POSTING_NONE, EXCEPTION_NONE
#define BAD(code, status, attempt) \
    ERR_##code, PAYMENT_##status, attempt, false, NOTICE_NONE, POSTING_NONE, EXCEPTION_NONE
#define A(s) ATTEMPT_##s

/* clang-format off */
static const struct row rows[] = {
    /* ---- 2.1, in its order ---- */
    {"pending: dispatch", 'd', "dispatch",
     OK(PROCESSING, A(SENDING), PROCESSING, NONE, NONE)},
    {"pending: dispatch after expiry is refused", 'd', "@900 dispatch",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
    {"pending: a manual method is never sent", 'm', "dispatch",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
    {"processing: dispatch twice is refused", 'd', "dispatch dispatch",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"processing: no new attempt after an unknown outcome", 'd', "dispatch ambiguous dispatch",
     BAD(INVALID_STATE, PROCESSING, A(UNCERTAIN))},
    {"processing: no new attempt while one is submitted", 'd', "dispatch accepted dispatch",
     BAD(INVALID_STATE, PROCESSING, A(SUBMITTED))},
    {"pending: cannot be sent", 'd', "cannot_send",
     OK(FAILED, NO_ATTEMPT, FAILED, NONE, NONE)},
    {"failed: cannot be sent, repeated", 'd', "cannot_send cannot_send",
     SAME(FAILED, NO_ATTEMPT)},
    {"processing: cannot be sent comes too late", 'd', "dispatch cannot_send",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"pending: needs customer", 'm', "needs_customer",
     OK(REQUIRES_ACTION, NO_ATTEMPT, REQUIRES_ACTION, NONE, NONE)},
    {"requires_action: needs customer, repeated", 'm', "needs_customer needs_customer",
     SAME(REQUIRES_ACTION, NO_ATTEMPT)},
    {"pending: needs customer, method is not manual", 'd', "needs_customer",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
    {"pending: cancel", 'd', "cancel",
     OK(CANCELLED, NO_ATTEMPT, CANCELLED, NONE, NONE)},
    {"requires_action: cancel", 'm', "needs_customer cancel",
     OK(CANCELLED, NO_ATTEMPT, CANCELLED, NONE, NONE)},
    {"cancelled: cancel, repeated", 'd', "cancel cancel",
     SAME(CANCELLED, NO_ATTEMPT)},
    {"requires_action: cancel while an attempt is sending", 'd',
     "dispatch force:requires_action cancel",
     BAD(INVALID_STATE, REQUIRES_ACTION, A(SENDING))},
    {"requires_action: cancel while submitted", 'd', "dispatch accepted:asks cancel",
     BAD(INVALID_STATE, REQUIRES_ACTION, A(SUBMITTED))},
    {"requires_action: cancel while uncertain", 'd',
     "dispatch ambiguous force:requires_action cancel",
     BAD(INVALID_STATE, REQUIRES_ACTION, A(UNCERTAIN))},
    {"requires_action: cancel after a failed attempt", 'd',
     "dispatch accepted failure force:requires_action cancel",
     OK(CANCELLED, A(FAILED), CANCELLED, NONE, NONE)},
    {"processing: cancel is refused", 'd', "dispatch cancel",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"completed: cancel is refused", 'd', "dispatch accepted success cancel",
     BAD(INVALID_STATE, COMPLETED, A(SUCCEEDED))},
    {"failed: cancel is refused", 'd', "cannot_send cancel",
     BAD(INVALID_STATE, FAILED, NO_ATTEMPT)},
    {"requires_action: confirm", 'm', "needs_customer confirm",
     OK(COMPLETED, NO_ATTEMPT, COMPLETED, RECEIVED, NONE)},
    {"requires_action: confirm another amount", 'm', "needs_customer confirm:other",
     BAD(INVALID, REQUIRES_ACTION, NO_ATTEMPT)},
    {"requires_action: confirm another currency", 'm', "needs_customer confirm:usd",
     BAD(INVALID, REQUIRES_ACTION, NO_ATTEMPT)},
    {"requires_action: confirm without an amount", 'm', "needs_customer confirm:silent",
     BAD(INVALID, REQUIRES_ACTION, NO_ATTEMPT)},
    {"requires_action: confirm, method is not manual", 'd', "force:requires_action confirm",
     BAD(INVALID_STATE, REQUIRES_ACTION, NO_ATTEMPT)},
    {"requires_action: confirm what a provider may be paid", 'd', "dispatch accepted:asks confirm",
     BAD(INVALID_STATE, REQUIRES_ACTION, A(SUBMITTED))},
    {"completed: confirm, repeated", 'm', "needs_customer confirm confirm",
     SAME(COMPLETED, NO_ATTEMPT)},
    {"pending: confirm is refused", 'm', "confirm",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
    {"cancelled: confirm is refused", 'm', "needs_customer cancel confirm",
     BAD(INVALID_STATE, CANCELLED, NO_ATTEMPT)},
    {"requires_action: customer acted", 'd', "dispatch accepted:asks still_pending:acted",
     OK(PROCESSING, A(SUBMITTED), PROCESSING, NONE, NONE)},
    {"processing: customer acted, repeated", 'd',
     "dispatch accepted:asks still_pending:acted still_pending:acted",
     SAME(PROCESSING, A(SUBMITTED))},
    {"requires_action: still pending, and nobody says that the customer has acted", 'd',
     "dispatch accepted:asks still_pending",
     SAME(REQUIRES_ACTION, A(SUBMITTED))},
    {"requires_action: the customer has acted, and is asked for more again", 'd',
     "dispatch accepted:asks still_pending:acted:asks",
     SAME(REQUIRES_ACTION, A(SUBMITTED))},
    {"requires_action: customer acted, of another reference", 'd',
     "dispatch accepted:asks still_pending:acted:ref=ws_9",
     SAME(REQUIRES_ACTION, A(SUBMITTED))},
    {"requires_action: customer acted, of an attempt that is over", 'd',
     "dispatch accepted failure force:processing dispatch accepted#2:asks still_pending:acted",
     SAME(REQUIRES_ACTION, A(FAILED))},
    {"requires_action: customer acted, of nothing that was sent", 'm',
     "needs_customer still_pending:acted",
     BAD(INVALID_STATE, REQUIRES_ACTION, NO_ATTEMPT)},
    {"processing: the provider asks more again", 'd',
     "dispatch accepted:asks still_pending:acted still_pending:asks",
     OK(REQUIRES_ACTION, A(SUBMITTED), REQUIRES_ACTION, NONE, NONE)},
    {"processing: the answer asks more", 'd', "dispatch accepted:asks",
     OK(REQUIRES_ACTION, A(SUBMITTED), REQUIRES_ACTION, NONE, NONE)},
    {"processing: the answer asks more, after the lease", 'd', "dispatch @60 tick accepted:asks",
     OK(REQUIRES_ACTION, A(SUBMITTED), REQUIRES_ACTION, NONE, NONE)},
    {"requires_action: the answer repeated", 'd', "dispatch accepted:asks accepted:asks",
     SAME(REQUIRES_ACTION, A(SUBMITTED))},
    {"processing: the answer repeated asks nothing new", 'd', "dispatch accepted accepted:asks",
     SAME(PROCESSING, A(SUBMITTED))},
    {"processing: a query finds that the provider asks more", 'd',
     "dispatch accepted @20 still_pending:asks",
     OK(REQUIRES_ACTION, A(SUBMITTED), REQUIRES_ACTION, NONE, NONE)},
    {"requires_action: asks more, repeated", 'd',
     "dispatch accepted @20 still_pending:asks still_pending:asks",
     SAME(REQUIRES_ACTION, A(SUBMITTED))},
    {"processing: asks more, of another reference", 'd',
     "dispatch accepted still_pending:asks:ref=ws_9",
     SAME(PROCESSING, A(SUBMITTED))},
    {"processing: asks more, before the provider is known to have it", 'd',
     "dispatch still_pending:asks",
     SAME(PROCESSING, A(SENDING))},
    {"processing: asks more, of an attempt that is over", 'd',
     "dispatch accepted failure force:processing dispatch accepted#2 still_pending:asks",
     SAME(PROCESSING, A(FAILED))},
    {"in_reconciliation: asks more comes too late for the payment", 'd',
     "dispatch accepted @900 tick still_pending:asks",
     SAME(IN_RECONCILIATION, A(SUBMITTED))},
    {"in_reconciliation: the answer asks more too late", 'd',
     "dispatch ambiguous @900 tick accepted:asks",
     OK(IN_RECONCILIATION, A(SUBMITTED), NONE, NONE, NONE)},
    {"completed: asks more is out of date", 'd', "dispatch accepted success still_pending:asks",
     SAME(COMPLETED, A(SUCCEEDED))},
    {"completed: customer acted is out of date", 'd',
     "dispatch accepted:asks success still_pending:acted",
     SAME(COMPLETED, A(SUCCEEDED))},
    {"requires_action: no new attempt", 'd', "dispatch accepted:asks dispatch",
     BAD(INVALID_STATE, REQUIRES_ACTION, A(SUBMITTED))},
    {"processing: provider success", 'd', "dispatch accepted success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"processing: success that names no amount", 'd', "dispatch accepted success:silent:poll",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"requires_action: provider success", 'd', "dispatch accepted:asks success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"in_reconciliation: provider success", 'd', "dispatch accepted @900 tick success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"processing: success, wrong amount", 'd', "dispatch accepted success:other",
     OK(IN_RECONCILIATION, A(SUCCEEDED), IN_RECONCILIATION, UNALLOCATED, INTEGRITY)},
    {"processing: success, wrong currency", 'd', "dispatch accepted success:usd",
     OK(IN_RECONCILIATION, A(SUCCEEDED), IN_RECONCILIATION, UNALLOCATED, INTEGRITY)},
    {"processing: success, wrong reference", 'd', "dispatch accepted success:ref=ws_9",
     OK(IN_RECONCILIATION, A(SUCCEEDED), IN_RECONCILIATION, UNALLOCATED, INTEGRITY)},
    {"requires_action: success, wrong amount", 'd', "dispatch accepted:asks success:other",
     OK(IN_RECONCILIATION, A(SUCCEEDED), IN_RECONCILIATION, UNALLOCATED, INTEGRITY)},
    {"in_reconciliation: success, wrong amount, told once", 'd',
     "dispatch accepted @900 tick success:other",
     OK(IN_RECONCILIATION, A(SUCCEEDED), NONE, UNALLOCATED, INTEGRITY)},
    {"in_reconciliation: the wrong success repeated", 'd',
     "dispatch accepted success:other success:other",
     SAME(IN_RECONCILIATION, A(SUCCEEDED))},
    {"in_reconciliation: the same attempt is not believed a second time", 'd',
     "dispatch accepted success:other success",
     SAME(IN_RECONCILIATION, A(SUCCEEDED))},
    {"processing: new attempt after a definitive refusal", 'd',
     "dispatch refused force:processing dispatch",
     OK(PROCESSING, A(REJECTED), PROCESSING, NONE, NONE)},
    {"processing: new attempt after a definitive failure", 'd',
     "dispatch accepted failure force:processing dispatch",
     OK(PROCESSING, A(FAILED), PROCESSING, NONE, NONE)},
    {"processing: new attempt after not_found where that is final", 'n',
     "dispatch ambiguous @100 not_found force:processing dispatch",
     OK(PROCESSING, A(NOT_FOUND), PROCESSING, NONE, NONE)},
    {"processing: refused, a route left", 'd', "dispatch refused:busy:route",
     OK(PROCESSING, A(REJECTED), NONE, NONE, NONE)},
    {"processing: refused by the provider, no route left", 'd', "dispatch refused:busy",
     OK(FAILED, A(REJECTED), FAILED, NONE, NONE)},
    {"processing: refused by the customer, a route left", 'd', "dispatch refused:route",
     OK(FAILED, A(REJECTED), FAILED, NONE, NONE)},
    {"processing: failed, a route left", 'd', "dispatch accepted failure:busy:route",
     OK(PROCESSING, A(FAILED), NONE, NONE, NONE)},
    {"processing: an unknown outcome opens no route", 'd', "dispatch ambiguous:busy:route",
     OK(PROCESSING, A(UNCERTAIN), NONE, NONE, NONE)},
    {"processing: not found opens no route where it is not final", 'd',
     "dispatch ambiguous @100 not_found:route",
     SAME(PROCESSING, A(UNCERTAIN))},
    {"processing: not found, final, a route left", 'n', "dispatch ambiguous @100 not_found:route",
     OK(PROCESSING, A(NOT_FOUND), NONE, NONE, NONE)},
    {"processing: a query's failure before the window is over opens no route", 'd',
     "dispatch accepted @89 failure:poll:busy:route",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"processing: refused past expiry, a route left", 'd',
     "dispatch @900 refused:busy:route",
     OK(FAILED, A(REJECTED), FAILED, NONE, NONE)},
    {"requires_action: failed, a route left", 'd', "dispatch accepted:asks failure:busy:route",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"processing: the third attempt is the last", 'd',
     "dispatch refused:busy:route dispatch refused#2:busy:route dispatch refused#3:busy:route",
     OK(FAILED, A(REJECTED), FAILED, NONE, NONE)},
    {"processing: late success of the first attempt, the second is under way", 'd',
     "dispatch refused:busy:route dispatch success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"completed: and the second is paid as well", 'd',
     "dispatch refused:busy:route dispatch success success#2",
     OK(COMPLETED, A(SUCCEEDED), NONE, UNALLOCATED, DOUBLE_SUCCESS)},
    {"processing: the provider is asked to take it back", 'd', "dispatch accepted cancel_asked",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"processing: asked to take it back, repeated", 'd',
     "dispatch accepted cancel_asked cancel_asked",
     SAME(PROCESSING, A(SUBMITTED))},
    {"processing: asked to take back what is being sent", 'd', "dispatch cancel_asked",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"requires_action: taken back", 'd', "dispatch accepted:asks cancel_asked failure",
     OK(CANCELLED, A(FAILED), CANCELLED, NONE, NONE)},
    {"processing: taken back, though a route is left", 'd',
     "dispatch accepted cancel_asked failure:busy:route",
     OK(CANCELLED, A(FAILED), CANCELLED, NONE, NONE)},
    {"processing: paid, though it was to be taken back", 'd',
     "dispatch accepted cancel_asked success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"in_reconciliation: taken back", 'd',
     "dispatch accepted cancel_asked @900 tick failure:poll",
     OK(CANCELLED, A(FAILED), CANCELLED, NONE, NONE)},
    {"completed: nothing to be taken back", 'd', "dispatch accepted success cancel_asked",
     BAD(INVALID_STATE, COMPLETED, A(SUCCEEDED))},
    {"requires_action: a code", 'd', "dispatch accepted:asks code_given",
     OK(REQUIRES_ACTION, A(SUBMITTED), NONE, NONE, NONE)},
    {"requires_action: the third code is the last", 'd',
     "dispatch accepted:asks code_given code_given code_given code_given",
     BAD(INVALID_STATE, REQUIRES_ACTION, A(SUBMITTED))},
    {"requires_action: a code past expiry", 'd', "dispatch accepted:asks @900 code_given",
     BAD(INVALID_STATE, REQUIRES_ACTION, A(SUBMITTED))},
    {"processing: nobody asks for a code", 'd', "dispatch accepted code_given",
     BAD(INVALID_STATE, PROCESSING, A(SUBMITTED))},
    {"in_reconciliation: no new attempt", 'n',
     "dispatch ambiguous @100 not_found force:in_reconciliation dispatch",
     BAD(INVALID_STATE, IN_RECONCILIATION, A(NOT_FOUND))},
    {"failed: no new attempt", 'd', "dispatch refused dispatch",
     BAD(INVALID_STATE, FAILED, A(REJECTED))},
    {"processing: refused", 'd', "dispatch refused",
     OK(FAILED, A(REJECTED), FAILED, NONE, NONE)},
    {"processing: definitive failure", 'd', "dispatch accepted failure",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"requires_action: definitive failure", 'd', "dispatch accepted:asks failure",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"requires_action: a query's failure before the window is over", 'd',
     "dispatch accepted:asks @89 failure:poll",
     OK(REQUIRES_ACTION, A(SUBMITTED), NONE, NONE, NONE)},
    {"requires_action: not found, final", 'n', "dispatch accepted:asks @90 not_found",
     OK(FAILED, A(EXPIRED), FAILED, NONE, NONE)},
    {"in_reconciliation: definitive failure", 'd', "dispatch accepted @900 tick failure:poll",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"in_reconciliation: wrong money came, another attempt's failure does not end it", 'd',
     "dispatch accepted failure force:processing dispatch success:other failure#2",
     OK(IN_RECONCILIATION, A(SUCCEEDED), NONE, NONE, NONE)},
    {"processing: outcome unknown past expiry, submitted", 'd', "dispatch accepted @900 tick",
     OK(IN_RECONCILIATION, A(SUBMITTED), IN_RECONCILIATION, NONE, STUCK)},
    {"processing: outcome unknown past expiry, uncertain", 'd', "dispatch ambiguous @900 tick",
     OK(IN_RECONCILIATION, A(UNCERTAIN), IN_RECONCILIATION, NONE, STUCK)},
    {"pending: expiry", 'd', "@900 tick",
     OK(EXPIRED, NO_ATTEMPT, EXPIRED, NONE, NONE)},
    {"pending: a moment before expiry", 'd', "@899 tick",
     SAME(PENDING, NO_ATTEMPT)},
    {"requires_action: expiry", 'm', "needs_customer @900 tick",
     OK(EXPIRED, NO_ATTEMPT, EXPIRED, NONE, NONE)},
    {"requires_action: outcome unknown past expiry", 'd', "dispatch accepted:asks @900 tick",
     OK(IN_RECONCILIATION, A(SUBMITTED), IN_RECONCILIATION, NONE, STUCK)},
    {"requires_action: a moment before expiry", 'd', "dispatch accepted:asks @899 tick tick",
     SAME(REQUIRES_ACTION, A(SUBMITTED))},
    {"processing: not found, final, past expiry", 'n', "dispatch ambiguous @900 not_found",
     OK(EXPIRED, A(NOT_FOUND), EXPIRED, NONE, NONE)},
    {"processing: every attempt ended unpaid, past expiry", 'd',
     "dispatch refused force:processing @900 tick",
     OK(EXPIRED, A(REJECTED), EXPIRED, NONE, NONE)},
    {"in_reconciliation: not found, final", 'n', "dispatch ambiguous @900 tick not_found",
     OK(FAILED, A(NOT_FOUND), FAILED, NONE, NONE)},
    {"failed: late success", 'd', "dispatch accepted failure success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"failed: late success of a refused attempt", 'd', "dispatch refused success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"expired: late success", 'n', "dispatch ambiguous @900 not_found success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"cancelled: late success", 'd',
     "dispatch accepted failure force:requires_action cancel success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"failed: late success, wrong amount", 'd', "dispatch accepted failure success:other",
     OK(FAILED, A(SUCCEEDED), NONE, UNALLOCATED, INTEGRITY)},
    {"expired: late success, wrong amount", 'n', "dispatch ambiguous @900 not_found success:usd",
     OK(EXPIRED, A(SUCCEEDED), NONE, UNALLOCATED, INTEGRITY)},
    {"cancelled: late success, wrong amount", 'd',
     "dispatch accepted failure force:requires_action cancel success:other",
     OK(CANCELLED, A(SUCCEEDED), NONE, UNALLOCATED, INTEGRITY)},
    {"completed: second success, another attempt", 'd',
     "dispatch accepted failure force:processing dispatch success#2 success",
     OK(COMPLETED, A(SUCCEEDED), NONE, UNALLOCATED, DOUBLE_SUCCESS)},
    {"partially_refunded: second success", 'd',
     "dispatch accepted failure force:processing dispatch success#2 force:partially_refunded "
     "success",
     OK(PARTIALLY_REFUNDED, A(SUCCEEDED), NONE, UNALLOCATED, DOUBLE_SUCCESS)},
    {"refunded: second success", 'd',
     "dispatch accepted failure force:processing dispatch success#2 force:refunded success",
     OK(REFUNDED, A(SUCCEEDED), NONE, UNALLOCATED, DOUBLE_SUCCESS)},
    {"reversed: second success", 'd',
     "dispatch accepted failure force:processing dispatch success#2 force:reversed success:silent",
     OK(REVERSED, A(SUCCEEDED), NONE, UNALLOCATED, DOUBLE_SUCCESS)},
    {"completed: failure never un-succeeds", 'd', "dispatch accepted success failure:sure",
     SAME(COMPLETED, A(SUCCEEDED))},
    {"completed: refused comes too late", 'd', "dispatch success refused",
     SAME(COMPLETED, A(SUCCEEDED))},
    {"completed: not found is out of date", 'n', "dispatch accepted success @1000 not_found",
     SAME(COMPLETED, A(SUCCEEDED))},

    /* ---- 2.2 ---- */
    {"sending: accepted", 'd', "dispatch accepted",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"uncertain: accepted", 'd', "dispatch ambiguous accepted",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"submitted: accepted, repeated", 'd', "dispatch accepted accepted",
     SAME(PROCESSING, A(SUBMITTED))},
    {"uncertain: a query finds it, and that the customer is asked", 'd',
     "dispatch ambiguous still_pending:asks",
     OK(REQUIRES_ACTION, A(SUBMITTED), REQUIRES_ACTION, NONE, NONE)},
    {"uncertain: a query finds another one", 'd',
     "dispatch:ref=ws_1 ambiguous still_pending:asks:ref=ws_9",
     SAME(PROCESSING, A(UNCERTAIN))},
    {"uncertain: still pending says nothing of the request", 'd',
     "dispatch ambiguous still_pending still_pending:acted",
     SAME(PROCESSING, A(UNCERTAIN))},
    {"uncertain in reconciliation: a query finds it", 'd',
     "dispatch ambiguous @900 tick still_pending:asks",
     OK(IN_RECONCILIATION, A(SUBMITTED), NONE, NONE, NONE)},
    {"sending: ambiguous", 'd', "dispatch ambiguous",
     OK(PROCESSING, A(UNCERTAIN), NONE, NONE, NONE)},
    {"uncertain: ambiguous, repeated", 'd', "dispatch ambiguous ambiguous",
     SAME(PROCESSING, A(UNCERTAIN))},
    {"submitted: ambiguous is out of date", 'd', "dispatch accepted ambiguous",
     SAME(PROCESSING, A(SUBMITTED))},
    {"submitted: refused is out of date", 'd', "dispatch accepted refused",
     SAME(PROCESSING, A(SUBMITTED))},
    {"uncertain: refused by an answer after the lease", 'd', "dispatch @60 tick refused",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"sending: the lease runs out", 'd', "dispatch @60 tick",
     OK(PROCESSING, A(UNCERTAIN), NONE, NONE, NONE)},
    {"sending: the lease still runs", 'd', "dispatch @59 tick",
     SAME(PROCESSING, A(SENDING))},
    {"sending: success wins the race with the answer", 'd', "dispatch success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"sending: failure wins the race with the answer", 'd', "dispatch failure",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"uncertain: success", 'd', "dispatch ambiguous success",
     OK(COMPLETED, A(SUCCEEDED), COMPLETED, RECEIVED, NONE)},
    {"uncertain: failure", 'd', "dispatch ambiguous failure",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"submitted: not found, final, window over", 'n', "dispatch accepted @90 not_found",
     OK(FAILED, A(EXPIRED), FAILED, NONE, NONE)},
    {"uncertain: not found, final, window over", 'n', "dispatch ambiguous @90 not_found",
     OK(FAILED, A(NOT_FOUND), FAILED, NONE, NONE)},
    {"uncertain: not found before the window is over", 'n', "dispatch ambiguous @89 not_found",
     SAME(PROCESSING, A(UNCERTAIN))},
    {"uncertain: not found decides nothing by default", 'd', "dispatch ambiguous @200 not_found",
     SAME(PROCESSING, A(UNCERTAIN))},
    {"submitted: not found decides nothing by default", 'd', "dispatch accepted @200 not_found",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"submitted: a query's failure before the window is over", 'd',
     "dispatch accepted @89 failure:poll",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"submitted: a query's failure when the window is over", 'd',
     "dispatch accepted @90 failure:poll",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"submitted: a sure failure is believed at once", 'd',
     "dispatch accepted @20 failure:poll:sure",
     OK(FAILED, A(FAILED), FAILED, NONE, NONE)},
    {"submitted: a failure of another reference is not this attempt's", 'd',
     "dispatch accepted @20 failure:sure:ref=ws_9",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"failed: failure, repeated", 'd', "dispatch accepted failure:code=1 failure:code=1",
     SAME(FAILED, A(FAILED))},
    {"failed: the provider's code comes later", 'd', "dispatch accepted failure failure:code=1032",
     OK(FAILED, A(FAILED), NONE, NONE, NONE)},
    {"submitted: still pending", 'd', "dispatch accepted @20 still_pending",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"submitted: still pending, the next question stays where it is", 'd',
     "dispatch accepted still_pending",
     SAME(PROCESSING, A(SUBMITTED))},
    {"submitted: unreachable", 'd', "dispatch accepted @20 unreachable",
     OK(PROCESSING, A(SUBMITTED), NONE, NONE, NONE)},
    {"sending: unreachable", 'd', "dispatch unreachable",
     SAME(PROCESSING, A(SENDING))},
    {"failed: the answer adds the reference", 'd', "dispatch failure accepted",
     OK(FAILED, A(FAILED), NONE, NONE, NONE)},
    {"no such attempt", 'd', "dispatch success#2",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"no attempt zero", 'd', "dispatch success#0",
     BAD(INVALID_STATE, PROCESSING, A(SENDING))},
    {"no attempt at all", 'd', "accepted",
     BAD(INVALID_STATE, PENDING, NO_ATTEMPT)},
};
/* clang-format on */

static void each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct bench b;
        bench_init(&b, r->rules);
        play(&b, r->script);
        const struct attempt *a = payment_attempt(&b.p, 1);
        int attempt = a != NULL ? (int)a->status : NO_ATTEMPT;
        if (b.err.code != r->err || b.p.status != r->status || attempt != r->attempt ||
            b.out.changed != r->changed || b.out.notice != r->notice ||
            b.out.posting != r->posting || b.out.exception != r->exception)
            fail_msg(
                "%s: error %s, %s, attempt %s, changed %d, notice %d, posting %d, exception %d",
                r->name, err_word(b.err.code), payment_status_word(b.p.status),
                a != NULL ? attempt_status_word(a->status) : "-", b.out.changed, (int)b.out.notice,
                (int)b.out.posting, (int)b.out.exception);
    }
}

/* 2.2: the previous attempt must have ended by a definitive answer; all its states, both
 * capabilities. */
static void a_new_attempt_needs_a_definitive_answer(void **state)
{
    (void)state;
    for (int s = 0; s < ATTEMPT_N_STATES; s++) {
        for (int final = 0; final < 2; final++) {
            struct bench b;
            bench_init(&b, final ? 'n' : 'd');
            play(&b, "dispatch");
            b.p.attempts[0].status = (enum attempt_status)s;
            play(&b, "dispatch");
            bool may = s == ATTEMPT_REJECTED || s == ATTEMPT_FAILED ||
                       (final && (s == ATTEMPT_EXPIRED || s == ATTEMPT_NOT_FOUND));
            assert_int_equal(b.err.code, may ? ERR_NONE : ERR_INVALID_STATE);
            assert_int_equal(b.p.n_attempts, may ? 2 : 1);
        }
    }
}

/* The moment of its success tells which attempt counts: two at one moment, neither with a
 * reference, were taken for one another, and the receipt of what is unallocated was shown as the
 * payment's. */
static void two_successes_at_one_moment(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "dispatch failure force:processing dispatch success#2:silent success:silent",
        "dispatch failure force:processing dispatch success:other success#2:silent",
    };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        struct bench b;
        bench_init(&b, 'd');
        play(&b, scripts[i]);
        assert_int_equal(b.p.status, PAYMENT_COMPLETED);
        play(&b, "success#1:other:receipt=FIRST");
        assert_int_equal(b.out.notice, NOTICE_NONE);
        assert_int_equal(b.out.exception, EXCEPTION_NONE);
        assert_string_equal(b.p.receipt, "");
        play(&b, "success#2:receipt=SECOND");
        assert_int_equal(b.out.notice, NOTICE_UPDATED);
        assert_string_equal(b.p.receipt, "SECOND");
    }
}

/* ---- tables and words ---- */

static void words_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < PAYMENT_N_STATES; i++) {
        enum payment_status s = (enum payment_status)i, back = PAYMENT_N_STATES;
        assert_true(payment_status_parse(str_c(payment_status_word(s)), &back));
        assert_int_equal(back, s);
        static const char *const final[] = {
            "completed",          "failed",   "expired", "cancelled",
            "partially_refunded", "refunded", "reversed"};
        bool is_final = false;
        for (size_t f = 0; f < COUNT_OF(final); f++)
            is_final |= str_eq(str_c(final[f]), str_c(payment_status_word(s)));
        assert_int_equal(payment_status_final(s), is_final);
    }
    for (int i = 0; i < ATTEMPT_N_STATES; i++) {
        enum attempt_status back = ATTEMPT_N_STATES;
        assert_true(
            attempt_status_parse(str_c(attempt_status_word((enum attempt_status)i)), &back));
        assert_int_equal(back, i);
        assert_int_equal(attempt_status_final(back), i > ATTEMPT_UNCERTAIN);
    }
    for (int i = 0; i < SOURCE_N; i++) {
        enum status_source back = SOURCE_N;
        assert_true(status_source_parse(str_c(status_source_word((enum status_source)i)), &back));
        assert_int_equal(back, i);
    }
    enum payment_status s;
    enum attempt_status a;
    enum status_source src;
    static const char *const none[] = {"", "PENDING", "pending ", "pend", "pendingx"};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_false(payment_status_parse(str_c(none[i]), &s));
        assert_false(attempt_status_parse(str_c(none[i]), &a));
        assert_false(status_source_parse(str_c(none[i]), &src));
    }
    assert_null(payment_notice_type(NOTICE_NONE));
    assert_string_equal(payment_notice_type(NOTICE_INITIATED), "payment.initiated");
    assert_string_equal(payment_notice_type(NOTICE_IN_RECONCILIATION), "payment.in_reconciliation");
    assert_string_equal(payment_exception_word(EXCEPTION_INTEGRITY), "integrity_failure");
    assert_string_equal(payment_exception_word(EXCEPTION_DOUBLE_SUCCESS), "double_success");
    assert_string_equal(payment_exception_word(EXCEPTION_STUCK), "stuck");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(a_new_attempt_needs_a_definitive_answer),
        cmocka_unit_test(two_successes_at_one_moment),
        cmocka_unit_test(words_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
