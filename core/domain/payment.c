/* The payment machine: two tables, which can be read beside domain.md, sections 2.1 and 2.2, and
 * the steps that take their rows.
 *
 * An event about an attempt first finds its row in the attempts' table. With one, the attempt moves
 * and the payment follows by its own table; without one, nothing is decided, but a fact may be
 * added or the next question put off. Only whose turn it is, the customer's or the provider's, a
 * payment may learn of an attempt that stays as it is. Guards see the state before the move. */
#include "core/domain/payment_int.h"

#include "core/base/times.h"
#include "core/domain/payment_watch.h"

static guard_fn may_send, may_send_again, manual, may_confirm, idle, intact, broken, unpaid,
    expired, expired_idle, expired_open, believed, not_there, lease_over, unallocated, acceptable,
    asks, still_asks, acted, withdrawn, fails_over, may_withdraw, may_hand_on;

#define UNDERWAY (IN(PROCESSING) | IN(REQUIRES_ACTION))
#define HELD (IN(COMPLETED) | IN(PARTIALLY_REFUNDED))

#define MONEY_NONE POSTING_NONE, EXCEPTION_NONE
#define MONEY_RECEIVED POSTING_RECEIVED, EXCEPTION_NONE
#define MONEY_WRONG POSTING_UNALLOCATED, EXCEPTION_INTEGRITY
#define MONEY_TWICE POSTING_UNALLOCATED, EXCEPTION_DOUBLE_SUCCESS
#define MONEY_UNKNOWN POSTING_NONE, EXCEPTION_STUCK
#define MONEY_KEPT POSTING_KEPT, EXCEPTION_NONE
#define MONEY_RETURNED POSTING_RETURNED, EXCEPTION_NONE
#define MONEY_REVERSED POSTING_REVERSED, EXCEPTION_REVERSED

#define ROW(from, on, guard, to, money)                              \
    {                                                                \
        from, PAYMENT_EVENT_##on, guard, PAYMENT_##to, MONEY_##money \
    }

/* clang-format off */
static const struct payment_row payment_rows[] = {
    /*  from                 event           guard           to                 money */
    ROW(IN(PENDING),         DISPATCH,       may_send,       PROCESSING,        NONE),
    ROW(IN(PROCESSING),      DISPATCH,       may_send_again, PROCESSING,        NONE),
    ROW(IN(PENDING),         CANNOT_SEND,    NULL,           FAILED,            NONE),
    ROW(IN(FAILED),          CANNOT_SEND,    NULL,           STAY,              NONE),
    ROW(IN(PENDING),         NEEDS_CUSTOMER, manual,         REQUIRES_ACTION,   NONE),
    ROW(IN(REQUIRES_ACTION), NEEDS_CUSTOMER, NULL,           STAY,              NONE),
    ROW(WAITING,             CANCEL,         idle,           CANCELLED,         NONE),
    ROW(IN(CANCELLED),       CANCEL,         NULL,           STAY,              NONE),
    ROW(UNDERWAY,            CANCEL_ASKED,   may_withdraw,   STAY,              NONE),
    ROW(IN(REQUIRES_ACTION), CODE_GIVEN,     may_hand_on,    STAY,              NONE),
    ROW(IN(REQUIRES_ACTION), CONFIRM,        may_confirm,    COMPLETED,         RECEIVED),
    ROW(IN(COMPLETED),       CONFIRM,        NULL,           STAY,              NONE),
    ROW(IN(PROCESSING),      ACCEPTED,       asks,           REQUIRES_ACTION,   NONE),
    ROW(IN(PROCESSING),      STILL_PENDING,  still_asks,     REQUIRES_ACTION,   NONE),
    ROW(IN(REQUIRES_ACTION), STILL_PENDING,  acted,          PROCESSING,        NONE),
    ROW(UNDECIDED,           SUCCESS,        intact,         COMPLETED,         RECEIVED),
    ROW(UNDECIDED,           SUCCESS,        broken,         IN_RECONCILIATION, WRONG),
    ROW(ENDED,               SUCCESS,        intact,         COMPLETED,         RECEIVED),
    ROW(ENDED,               SUCCESS,        broken,         STAY,              WRONG),
    ROW(PAID,                SUCCESS,        NULL,           STAY,              TWICE),
    ROW(UNDECIDED,           REFUSED,        withdrawn,      CANCELLED,         NONE),
    ROW(UNDECIDED,           FAILURE,        withdrawn,      CANCELLED,         NONE),
    ROW(UNDECIDED,           NOT_FOUND,      withdrawn,      CANCELLED,         NONE),
    ROW(IN(PROCESSING),      REFUSED,        fails_over,     STAY,              NONE),
    ROW(IN(PROCESSING),      FAILURE,        fails_over,     STAY,              NONE),
    ROW(IN(PROCESSING),      NOT_FOUND,      fails_over,     STAY,              NONE),
    ROW(UNDECIDED,           REFUSED,        unpaid,         FAILED,            NONE),
    ROW(UNDECIDED,           FAILURE,        unpaid,         FAILED,            NONE),
    ROW(IN(PROCESSING),      NOT_FOUND,      expired,        EXPIRED,           NONE),
    ROW(UNDECIDED,           NOT_FOUND,      unpaid,         FAILED,            NONE),
    ROW(WAITING,             TICK,           expired_idle,   EXPIRED,           NONE),
    ROW(IN(PROCESSING),      TICK,           expired_idle,   EXPIRED,           NONE),
    ROW(IN(PROCESSING),      TICK,           expired_open,   IN_RECONCILIATION, UNKNOWN),
    ROW(IN(REQUIRES_ACTION), TICK,           expired_open,   IN_RECONCILIATION, UNKNOWN),
    ROW(IN(IN_RECONCILIATION), RESOLVED_PAID,   unpaid,      COMPLETED,         RECEIVED),
    ROW(IN(IN_RECONCILIATION), RESOLVED_PAID,   acceptable,  COMPLETED,         KEPT),
    ROW(IN(IN_RECONCILIATION), RESOLVED_UNPAID, unpaid,      FAILED,            NONE),
    ROW(IN(IN_RECONCILIATION), RESOLVED_UNPAID, unallocated, FAILED,            RETURNED),
    ROW(PAID | ENDED,        MONEY_KEPT,     acceptable,     STAY,              KEPT),
    ROW(PAID | ENDED,        MONEY_RETURNED, unallocated,    STAY,              RETURNED),
    ROW(HELD,                REVERSED,       NULL,           REVERSED,          REVERSED),
    ROW(IN(REVERSED),        REVERSED,       NULL,           STAY,              NONE),
};
/* clang-format on */

#define MOVE(from, on, guard, to)                     \
    {                                                 \
        from, PAYMENT_EVENT_##on, guard, ATTEMPT_##to \
    }

/* clang-format off */
static const struct attempt_row attempt_rows[] = {
    /*   from             event      guard       to */
    MOVE(AT(CREATED),     DISPATCH,  NULL,       SENDING),
    MOVE(AT(SENDING),     ACCEPTED,  NULL,       SUBMITTED),
    MOVE(AT(UNCERTAIN),   ACCEPTED,  NULL,       SUBMITTED), /* came after the lease */
    MOVE(AT(UNCERTAIN),   STILL_PENDING, still_asks, SUBMITTED), /* so it was taken */
    MOVE(AT(SENDING),     REFUSED,   NULL,       REJECTED),
    MOVE(AT(UNCERTAIN),   REFUSED,   NULL,       FAILED),    /* came after the lease */
    MOVE(AT(SENDING),     AMBIGUOUS, NULL,       UNCERTAIN),
    MOVE(AT(SENDING),     TICK,      lease_over, UNCERTAIN),
    MOVE(OPEN | UNPAID,   SUCCESS,   NULL,       SUCCEEDED),
    MOVE(OPEN,            FAILURE,   believed,   FAILED),
    MOVE(AT(SUBMITTED),   NOT_FOUND, not_there,  EXPIRED),
    MOVE(AT(UNCERTAIN),   NOT_FOUND, not_there,  NOT_FOUND),
    MOVE(OPEN | UNPAID,   RESOLVED_PAID,   NULL, SUCCEEDED),
    MOVE(OPEN,            RESOLVED_UNPAID, NULL, FAILED),
};
/* clang-format on */

static const struct payment_row *payment_row(const struct step *s);
static const struct attempt_row *attempt_row(const struct step *s);
static struct err step_payment(struct step *s);
static struct err step_dispatch(struct step *s);
static struct err step_attempt(struct step *s);
static struct err step_undecided(struct step *s);
static struct err step_wish(struct step *s);
static struct err step_resolved(struct step *s);
static struct err step_tick(struct step *s);

void payment_begin(struct payment *p, struct payment_effects *out)
{
    p->status = PAYMENT_PENDING;
    p->version = 1;
    p->source = SOURCE_API;
    p->updated_at_us = p->created_at_us;
    *out = (struct payment_effects){
        .changed = true, .notice = NOTICE_INITIATED, .action = "payment.initiated"};
}

struct err payment_step(struct payment *p, const struct payment_event *ev,
                        const struct payment_rules *rules, int64_t now_us,
                        struct payment_effects *out)
{
    struct step s = {.p = p, .ev = ev, .rules = rules, .now_us = now_us, .out = out};
    struct err e = ERR_OK;
    *out = (struct payment_effects){0};
    switch (ev->kind) {
    case PAYMENT_EVENT_DISPATCH:
        e = step_dispatch(&s);
        break;
    case PAYMENT_EVENT_CANNOT_SEND:
    case PAYMENT_EVENT_NEEDS_CUSTOMER:
    case PAYMENT_EVENT_CANCEL:
    case PAYMENT_EVENT_CONFIRM:
    case PAYMENT_EVENT_REVERSED:
        e = step_payment(&s);
        break;
    case PAYMENT_EVENT_CANCEL_ASKED:
    case PAYMENT_EVENT_CODE_GIVEN:
        e = step_wish(&s);
        break;
    case PAYMENT_EVENT_RESOLVED_PAID:
    case PAYMENT_EVENT_RESOLVED_UNPAID:
    case PAYMENT_EVENT_MONEY_KEPT:
    case PAYMENT_EVENT_MONEY_RETURNED:
        e = step_resolved(&s);
        break;
    case PAYMENT_EVENT_TICK:
        e = step_tick(&s);
        break;
    default:
        ASSERT((unsigned)ev->kind < PAYMENT_EVENT_N);
        e = step_attempt(&s);
        break;
    }
    if (out->changed)
        p->updated_at_us = now_us;
    return e;
}

static struct err step_payment(struct step *s)
{
    const struct payment_row *row = payment_row(s);
    if (row == NULL)
        return ERR(INVALID_STATE, "not possible in the payment's state");
    if (row->to == PAYMENT_STAY)
        return ERR_OK;
    struct money asked = payment_asked(s->p);
    if (s->ev->kind == PAYMENT_EVENT_CONFIRM &&
        (s->ev->amount.currency != asked.currency || s->ev->amount.minor != asked.minor))
        return ERR(INVALID, "amount differs");
    payment_move(s, row);
    watch_all(s);
    return ERR_OK;
}

static struct err step_dispatch(struct step *s)
{
    const struct payment_row *row = payment_row(s);
    if (row == NULL)
        return ERR(INVALID_STATE, "must not be sent now");
    struct payment *p = s->p;
    s->a = &p->attempts[p->n_attempts++];
    *s->a = (struct attempt){.n = p->n_attempts,
                             .status = ATTEMPT_CREATED,
                             .amount = payment_asked(p),
                             .sent_at_us = s->now_us,
                             .next_poll_at_us = TIME_NEVER};
    attempt_move(s, attempt_row(s));
    payment_move(s, row);
    return ERR_OK;
}

static struct err step_attempt(struct step *s)
{
    s->a = payment_attempt(s->p, s->ev->attempt);
    if (s->a == NULL)
        return ERR(INVALID_STATE, "no such attempt");
    if (s->ev->kind == PAYMENT_EVENT_STILL_PENDING)
        return step_undecided(s);
    const struct attempt_row *row = attempt_row(s);
    if (row == NULL) {
        add_facts(s);
        return ERR_OK;
    }
    const struct payment_row *follows = payment_row(s);
    if (follows == NULL && s->ev->kind == PAYMENT_EVENT_SUCCESS)
        return ERR(INVALID_STATE, "success before anything was sent");
    enum payment_status before = s->p->status;
    attempt_move(s, row);
    if (follows != NULL)
        payment_move(s, follows);
    s->out->next_attempt = follows != NULL && follows->guard == fails_over;
    if (s->p->status != before)
        watch_all(s);
    else
        watch_start(s->p, s->a, s->rules, s->now_us, s->ev->random);
    return ERR_OK;
}

/* Decides nothing, but may tell whose turn it is. The phase is the same before and after, and no
 * questions begin anew: a provider that changes its mind each time would be asked without a
 * pause. */
static struct err step_undecided(struct step *s)
{
    const struct attempt_row *row = attempt_row(s);
    const struct payment_row *follows = payment_row(s);
    add_facts(s);
    if (row != NULL)
        attempt_move(s, row);
    if (follows != NULL)
        payment_move(s, follows);
    return ERR_OK;
}

/* What is to be asked of the provider about its attempt, kept before it is asked. */
static struct err step_wish(struct step *s)
{
    s->a = payment_attempt(s->p, s->ev->attempt);
    if (s->a == NULL || payment_row(s) == NULL)
        return ERR(INVALID_STATE, "nothing to be asked of a provider");
    bool code = s->ev->kind == PAYMENT_EVENT_CODE_GIVEN;
    if (!code && s->a->cancel_asked)
        return ERR_OK;
    s->a->codes_n += code;
    s->a->cancel_asked |= !code;
    s->out->changed = true;
    s->out->action = code ? "attempt.code_given" : "attempt.cancel_asked";
    return ERR_OK;
}

/* What operators decided, of the attempt that they named or of the one that is open. */
static struct err step_resolved(struct step *s)
{
    struct payment *p = s->p;
    s->a = payment_attempt(p, s->ev->attempt);
    for (int i = 0; i < p->n_attempts && s->a == NULL; i++)
        if (in(OPEN, (int)p->attempts[i].status))
            s->a = &p->attempts[i];
    const struct payment_row *row = payment_row(s);
    if (row == NULL)
        return ERR(INVALID_STATE, "there is nothing to resolve");
    const struct attempt_row *moves = s->a != NULL ? attempt_row(s) : NULL;
    if (moves != NULL)
        attempt_move(s, moves);
    payment_move(s, row);
    watch_all(s);
    return ERR_OK;
}

/* One thing at a time; what else is due leaves the deadline in the past. */
static struct err step_tick(struct step *s)
{
    struct payment *p = s->p;
    for (int i = 0; i < p->n_attempts; i++) {
        s->a = &p->attempts[i];
        const struct attempt_row *row = attempt_row(s);
        if (row != NULL) {
            attempt_move(s, row);
            watch_start(p, s->a, s->rules, s->now_us, s->ev->random);
            return ERR_OK;
        }
    }
    s->a = NULL;
    const struct payment_row *row = payment_row(s);
    if (row != NULL) {
        payment_move(s, row);
        watch_all(s);
        return ERR_OK;
    }
    for (int i = 0; i < p->n_attempts; i++) {
        struct attempt *a = &p->attempts[i];
        if (watch_due(p, a, s->now_us)) {
            watch_asked(p, a, s->rules, s->now_us, s->ev->random);
            s->out->changed = true;
            s->out->ask_attempt = a->n;
            s->out->action = "attempt.polled";
            return ERR_OK;
        }
    }
    return ERR_OK;
}

int64_t payment_deadline_us(const struct payment *p, const struct payment_rules *rules)
{
    int64_t deadline = TIME_NEVER;
    for (int i = 0; i < p->n_attempts; i++) {
        const struct attempt *a = &p->attempts[i];
        int64_t at = TIME_NEVER;
        if (a->status == ATTEMPT_SENDING)
            at = a->sent_at_us + rules->sending_lease_us;
        else if (watch_of(p, a) != WATCH_NONE)
            at = a->next_poll_at_us;
        if (at < deadline)
            deadline = at;
    }
    bool expires = in(WAITING | IN(PROCESSING), (int)p->status);
    return expires && p->expires_at_us < deadline ? p->expires_at_us : deadline;
}

struct money payment_asked(const struct payment *p)
{
    struct money asked = p->amount;
    if (p->fee_on_top)
        asked.minor += p->fee_due_minor; /* fee.h keeps the sum below MONEY_MAX */
    return asked;
}

struct attempt *payment_attempt(struct payment *p, int n)
{
    return n >= 1 && n <= p->n_attempts ? &p->attempts[n - 1] : NULL;
}

bool payment_idle(const struct payment *p)
{
    for (int i = 0; i < p->n_attempts; i++)
        if (in(OPEN, (int)p->attempts[i].status))
            return false;
    return true;
}

bool payment_may_move(enum payment_status from, enum payment_status to)
{
    for (size_t i = 0; i < COUNT_OF(payment_rows); i++)
        if (in(payment_rows[i].from, (int)from) && payment_rows[i].to == (int)to)
            return true;
    return false;
}

bool attempt_may_move(enum attempt_status from, enum attempt_status to)
{
    for (size_t i = 0; i < COUNT_OF(attempt_rows); i++)
        if (in(attempt_rows[i].from, (int)from) && attempt_rows[i].to == to)
            return true;
    return false;
}

/* ---- rows and guards ---- */

static const struct payment_row *payment_row(const struct step *s)
{
    for (size_t i = 0; i < COUNT_OF(payment_rows); i++) {
        const struct payment_row *row = &payment_rows[i];
        if (row->on == s->ev->kind && in(row->from, (int)s->p->status) &&
            (row->guard == NULL || row->guard(s)))
            return row;
    }
    return NULL;
}

static const struct attempt_row *attempt_row(const struct step *s)
{
    for (size_t i = 0; i < COUNT_OF(attempt_rows); i++) {
        const struct attempt_row *row = &attempt_rows[i];
        if (row->on == s->ev->kind && in(row->from, (int)s->a->status) &&
            (row->guard == NULL || row->guard(s)))
            return row;
    }
    return NULL;
}

static bool may_send(const struct step *s)
{
    return !s->rules->manual && s->now_us < s->p->expires_at_us && payment_idle(s->p) &&
           unpaid(s) && s->p->n_attempts < PAYMENT_MAX_ATTEMPTS;
}

/* Failing over after an unknown outcome is the only door to a double charge. */
static bool may_send_again(const struct step *s)
{
    if (s->p->n_attempts == 0 || !may_send(s))
        return false;
    switch (s->p->attempts[s->p->n_attempts - 1].status) {
    case ATTEMPT_REJECTED:
    case ATTEMPT_FAILED:
        return true;
    case ATTEMPT_EXPIRED:
    case ATTEMPT_NOT_FOUND:
        return s->rules->not_found_is_final;
    default:
        return false;
    }
}

/* No attempt but this one may still be paid. */
static bool alone(const struct step *s)
{
    for (int i = 0; i < s->p->n_attempts; i++)
        if (&s->p->attempts[i] != s->a && in(OPEN, (int)s->p->attempts[i].status))
            return false;
    return true;
}

/* The attempt has ended for certain, for a reason that lies with its provider. */
static bool fails_over(const struct step *s)
{
    return s->ev->route_left && failure_by_provider(failure_of(s->ev)) && alone(s) && unpaid(s) &&
           s->p->n_attempts < PAYMENT_MAX_ATTEMPTS && s->now_us < s->p->expires_at_us;
}

static bool withdrawn(const struct step *s)
{
    return s->a->cancel_asked && unpaid(s);
}

static bool may_withdraw(const struct step *s)
{
    return in(AT(SUBMITTED) | AT(UNCERTAIN), (int)s->a->status) && unpaid(s);
}

static bool may_hand_on(const struct step *s)
{
    return may_withdraw(s) && s->a->codes_n < PAYMENT_MAX_CODES && s->now_us < s->p->expires_at_us;
}

static bool manual(const struct step *s)
{
    return s->rules->manual;
}

static bool may_confirm(const struct step *s)
{
    return s->rules->manual && payment_idle(s->p);
}

static bool idle(const struct step *s)
{
    return payment_idle(s->p);
}

/* What the event says is not about another request of the provider's. */
static bool same_reference(const struct step *s)
{
    char said[PAYMENT_REF_MAX + 1];
    str_copy_c(said, sizeof said, s->ev->provider_ref); /* as it would be kept */
    return s->ev->renames || said[0] == '\0' || s->a->provider_ref[0] == '\0' ||
           strcmp(said, s->a->provider_ref) == 0;
}

bool same_amount(const struct step *s)
{
    struct money said = s->ev->amount, asked = s->a->amount;
    return said.currency == 0 || (said.currency == asked.currency && said.minor == asked.minor);
}

static bool intact(const struct step *s)
{
    return same_amount(s) && same_reference(s);
}

static bool broken(const struct step *s)
{
    return !intact(s);
}

static bool unpaid(const struct step *s)
{
    for (int i = 0; i < s->p->n_attempts; i++)
        if (s->p->attempts[i].status == ATTEMPT_SUCCEEDED)
            return false;
    return true;
}

/* Money came for the attempt that is not the payment's yet. */
static bool unallocated(const struct step *s)
{
    return s->a != NULL && s->a->status == ATTEMPT_SUCCEEDED && s->ev->amount.minor > 0;
}

static bool acceptable(const struct step *s)
{
    return unallocated(s) && s->ev->amount.currency == s->p->amount.currency;
}

static bool expired(const struct step *s)
{
    return s->now_us >= s->p->expires_at_us && unpaid(s);
}

static bool expired_idle(const struct step *s)
{
    return s->now_us >= s->p->expires_at_us && payment_idle(s->p);
}

static bool expired_open(const struct step *s)
{
    return s->now_us >= s->p->expires_at_us && !payment_idle(s->p);
}

static bool window_over(const struct step *s)
{
    return s->now_us >= s->a->sent_at_us + s->rules->prompt_window_us;
}

/* A query may say "no answer" while the customer is still typing; a callback is final. */
static bool believed(const struct step *s)
{
    return same_reference(s) && (s->ev->sure || s->ev->source == SOURCE_CALLBACK || window_over(s));
}

static bool not_there(const struct step *s)
{
    return s->rules->not_found_is_final && window_over(s);
}

/* The provider has this request, and speaks of no other one. */
static bool has_it(const struct step *s)
{
    return in(AT(SUBMITTED) | AT(UNCERTAIN), (int)s->a->status) && same_reference(s);
}

static bool asks(const struct step *s)
{
    return s->ev->asks;
}

static bool still_asks(const struct step *s)
{
    return s->ev->asks && has_it(s);
}

static bool acted(const struct step *s)
{
    return s->ev->acted && !s->ev->asks && has_it(s);
}

static bool lease_over(const struct step *s)
{
    return s->now_us >= s->a->sent_at_us + s->rules->sending_lease_us;
}
