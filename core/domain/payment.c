/* The payment machine: two tables, which can be read beside domain.md, sections 2.1 and 2.2, and
 * the few functions that carry out what a row says.
 *
 * An event about an attempt first finds its row in the attempts' table. With one, the attempt moves
 * and the payment follows by its own table; without one, nothing is decided, but a fact may be
 * added or the next question put off. Guards see the state before the move. */
#include "core/domain/payment.h"

#include "core/base/times.h"
#include "core/domain/payment_watch.h"

/* One call of payment_step. */
struct step {
    struct payment *p;
    struct attempt *a; /* that the event is about; NULL: none */
    const struct payment_event *ev;
    const struct payment_rules *rules;
    int64_t now_us;
    struct payment_effects *out;
};

typedef bool guard_fn(const struct step *s);

static guard_fn may_send, may_send_again, manual, may_confirm, idle, intact, broken, unpaid,
    expired, expired_idle, expired_open, believed, not_there, lease_over, unallocated, acceptable;

#define IN(s) (1u << PAYMENT_##s)
#define WAITING (IN(PENDING) | IN(REQUIRES_ACTION))
#define UNDECIDED (IN(PROCESSING) | IN(REQUIRES_ACTION) | IN(IN_RECONCILIATION))
#define ENDED (IN(FAILED) | IN(EXPIRED) | IN(CANCELLED))
#define PAID (IN(COMPLETED) | IN(PARTIALLY_REFUNDED) | IN(REFUNDED) | IN(REVERSED))
#define HELD (IN(COMPLETED) | IN(PARTIALLY_REFUNDED))

enum { PAYMENT_STAY = PAYMENT_N_STATES };

#define MONEY_NONE POSTING_NONE, EXCEPTION_NONE
#define MONEY_RECEIVED POSTING_RECEIVED, EXCEPTION_NONE
#define MONEY_WRONG POSTING_UNALLOCATED, EXCEPTION_INTEGRITY
#define MONEY_TWICE POSTING_UNALLOCATED, EXCEPTION_DOUBLE_SUCCESS
#define MONEY_UNKNOWN POSTING_NONE, EXCEPTION_STUCK
#define MONEY_KEPT POSTING_KEPT, EXCEPTION_NONE
#define MONEY_RETURNED POSTING_RETURNED, EXCEPTION_NONE
#define MONEY_REVERSED POSTING_REVERSED, EXCEPTION_REVERSED

/* The first row that fits wins. A new state is told by its own notice, and so is each dispatch. */
struct payment_row {
    uint32_t from; /* set of states */
    enum payment_event_kind on;
    guard_fn *guard; /* NULL: always */
    int to;          /* PAYMENT_STAY: where it is; without effect: merely repeated */
    enum payment_posting posting;
    enum payment_exception exception;
};

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
    ROW(IN(REQUIRES_ACTION), CONFIRM,        may_confirm,    COMPLETED,         RECEIVED),
    ROW(IN(COMPLETED),       CONFIRM,        NULL,           STAY,              NONE),
    ROW(UNDECIDED,           SUCCESS,        intact,         COMPLETED,         RECEIVED),
    ROW(UNDECIDED,           SUCCESS,        broken,         IN_RECONCILIATION, WRONG),
    ROW(ENDED,               SUCCESS,        intact,         COMPLETED,         RECEIVED),
    ROW(ENDED,               SUCCESS,        broken,         STAY,              WRONG),
    ROW(PAID,                SUCCESS,        NULL,           STAY,              TWICE),
    ROW(UNDECIDED,           REFUSED,        unpaid,         FAILED,            NONE),
    ROW(UNDECIDED,           FAILURE,        unpaid,         FAILED,            NONE),
    ROW(IN(PROCESSING),      NOT_FOUND,      expired,        EXPIRED,           NONE),
    ROW(UNDECIDED,           NOT_FOUND,      unpaid,         FAILED,            NONE),
    ROW(WAITING,             TICK,           expired_idle,   EXPIRED,           NONE),
    ROW(IN(PROCESSING),      TICK,           expired_idle,   EXPIRED,           NONE),
    ROW(IN(PROCESSING),      TICK,           expired_open,   IN_RECONCILIATION, UNKNOWN),
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

static const enum payment_notice notices[PAYMENT_N_STATES] = {
    [PAYMENT_PROCESSING] = NOTICE_PROCESSING,
    [PAYMENT_REQUIRES_ACTION] = NOTICE_REQUIRES_ACTION,
    [PAYMENT_IN_RECONCILIATION] = NOTICE_IN_RECONCILIATION,
    [PAYMENT_COMPLETED] = NOTICE_COMPLETED,
    [PAYMENT_FAILED] = NOTICE_FAILED,
    [PAYMENT_EXPIRED] = NOTICE_EXPIRED,
    [PAYMENT_CANCELLED] = NOTICE_CANCELLED,
    [PAYMENT_REVERSED] = NOTICE_REVERSED,
};

#define AT(s) (1u << ATTEMPT_##s)
#define OPEN (AT(SENDING) | AT(SUBMITTED) | AT(UNCERTAIN))
#define UNPAID (AT(REJECTED) | AT(FAILED) | AT(EXPIRED) | AT(NOT_FOUND))

struct attempt_row {
    uint32_t from;
    enum payment_event_kind on;
    guard_fn *guard;
    enum attempt_status to;
};

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

/* What the audit trail calls a move. */
static const char *const payment_actions[PAYMENT_N_STATES] = {
#define X(name, word, final) [PAYMENT_##name] = "payment." word,
    PAYMENT_STATES(X)
#undef X
};
static const char *const attempt_actions[ATTEMPT_N_STATES] = {
#define X(name, word, final) [ATTEMPT_##name] = "attempt." word,
    ATTEMPT_STATES(X)
#undef X
};
static const char *const posting_actions[] = {
    [POSTING_KEPT] = "payment.money_kept",
    [POSTING_RETURNED] = "payment.money_returned",
    [POSTING_REVERSED] = NULL,
};
static const char *const exception_actions[] = {
    [EXCEPTION_INTEGRITY] = "payment.integrity_failure",
    [EXCEPTION_DOUBLE_SUCCESS] = "payment.double_success",
    [EXCEPTION_REVERSED] = NULL,
};

static const struct payment_row *payment_row(const struct step *s);
static const struct attempt_row *attempt_row(const struct step *s);
static struct err step_payment(struct step *s);
static struct err step_dispatch(struct step *s);
static struct err step_attempt(struct step *s);
static struct err step_resolved(struct step *s);
static struct err step_tick(struct step *s);
static void attempt_move(struct step *s, const struct attempt_row *row);
static void payment_move(struct step *s, const struct payment_row *row);
static void watch_all(struct step *s);
static void add_facts(struct step *s);

static bool in(uint32_t set, int state)
{
    return (set >> state & 1u) != 0;
}

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
    if (s->p->status != before)
        watch_all(s);
    else
        watch_start(s->p, s->a, s->rules, s->now_us, s->ev->random);
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
    bool expires = p->status == PAYMENT_PROCESSING ||
                   (in(IN(PENDING) | IN(REQUIRES_ACTION), (int)p->status) && payment_idle(p));
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
    return said[0] == '\0' || s->a->provider_ref[0] == '\0' ||
           strcmp(said, s->a->provider_ref) == 0;
}

static bool same_amount(const struct step *s)
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

static bool lease_over(const struct step *s)
{
    return s->now_us >= s->a->sent_at_us + s->rules->sending_lease_us;
}

/* ---- carrying out a row ---- */

/* Takes a text into a field that is still empty; false if nothing is learned. */
static bool learn(char *field, size_t cap, struct str text)
{
    if (field[0] != '\0' || str_empty(text) || text.p[0] == '\0')
        return false;
    str_copy_c(field, cap, text);
    return true;
}

/* The attempt whose money the payment counts: it was decided when the payment was completed. */
static bool counts(const struct payment *p, const struct attempt *a)
{
    return in(PAID, (int)p->status) && a->status == ATTEMPT_SUCCEEDED &&
           a->answered_at_us == p->completed_at_us && strcmp(a->provider_ref, p->provider_ref) == 0;
}

/* The payment shows the reference of the attempt that counts, before that of its latest. */
static bool learn_reference(struct step *s)
{
    struct payment *p = s->p;
    bool shown = in(PAID, (int)p->status) ? counts(p, s->a) : s->a->n == p->n_attempts;
    if (!learn(s->a->provider_ref, sizeof s->a->provider_ref, s->ev->provider_ref))
        return false;
    if (shown)
        memcpy(p->provider_ref, s->a->provider_ref, sizeof p->provider_ref);
    return true;
}

static enum failure_code failure_of(const struct payment_event *ev)
{
    return ev->kind == PAYMENT_EVENT_NOT_FOUND || ev->code == FAILURE_NONE ? FAILURE_PROVIDER_ERROR
                                                                           : ev->code;
}

static void attempt_move(struct step *s, const struct attempt_row *row)
{
    struct attempt *a = s->a;
    const struct payment_event *ev = s->ev;
    a->status = row->to;
    s->out->changed = true;
    s->out->action = attempt_actions[row->to];
    switch (ev->kind) {
    case PAYMENT_EVENT_TICK:
        return;
    case PAYMENT_EVENT_DISPATCH: /* where the provider takes our id as its reference */
    case PAYMENT_EVENT_AMBIGUOUS:
        learn_reference(s);
        return;
    case PAYMENT_EVENT_ACCEPTED: /* the provider's own reference replaces ours */
        if (!str_empty(ev->provider_ref))
            a->provider_ref[0] = '\0';
        break;
    case PAYMENT_EVENT_SUCCESS:
    case PAYMENT_EVENT_RESOLVED_PAID:
        a->code = FAILURE_NONE;
        str_copy_c(a->provider_code, sizeof a->provider_code, ev->provider_code);
        (void)learn(a->receipt, sizeof a->receipt, ev->receipt);
        break;
    default: /* it ended unpaid */
        a->code = failure_of(ev);
        str_copy_c(a->provider_code, sizeof a->provider_code, ev->provider_code);
        break;
    }
    a->answered_at_us = s->now_us;
    if (in(PAID, (int)s->p->status) && a->answered_at_us == s->p->completed_at_us)
        a->answered_at_us++; /* a second success at the same moment is still the second */
    learn_reference(s);
}

static void post(struct step *s, enum payment_posting posting)
{
    struct payment_effects *out = s->out;
    struct money amount = s->ev->amount;
    if (posting == POSTING_REVERSED)
        amount = (struct money){s->p->received_minor - s->p->refunded_minor, s->p->amount.currency};
    else if (amount.currency == 0)
        amount = s->a != NULL ? s->a->amount : payment_asked(s->p);
    if (posting == POSTING_NONE || amount.minor <= 0 || !currency_known(amount.currency))
        return;
    out->posting = posting;
    out->posted = amount;
    out->posted_attempt = s->a != NULL ? s->a->n : 0;
}

static void clear_failure(struct payment *p, enum failure_code code)
{
    p->failure = code;
    p->failure_provider_code[0] = '\0';
    p->failure_message[0] = '\0';
}

static void fail(struct step *s)
{
    struct payment *p = s->p;
    p->failure = failure_of(s->ev);
    str_copy_c(p->failure_provider_code, sizeof p->failure_provider_code, s->ev->provider_code);
    str_copy_c(p->failure_message, sizeof p->failure_message, s->ev->message);
}

/* From now on this attempt is the one that counts: no other success has its moment. */
static void count(struct step *s)
{
    struct payment *p = s->p;
    for (int i = 0; i < p->n_attempts; i++) {
        const struct attempt *other = &p->attempts[i];
        if (other != s->a && other->status == ATTEMPT_SUCCEEDED &&
            other->answered_at_us == p->completed_at_us)
            p->completed_at_us++;
    }
    s->a->answered_at_us = p->completed_at_us;
}

static void complete(struct step *s, bool late)
{
    struct payment *p = s->p;
    p->late = late;
    p->received_minor = s->out->posted.minor;
    if (!late && s->out->posting == POSTING_RECEIVED && p->fee_due_minor <= p->received_minor)
        p->fee_minor = p->fee_due_minor;
    p->completed_at_us = s->now_us;
    clear_failure(p, FAILURE_NONE);
    if (s->a != NULL) {
        count(s);
        memcpy(p->receipt, s->a->receipt, sizeof p->receipt);
        memcpy(p->provider_ref, s->a->provider_ref, sizeof p->provider_ref);
    } else {
        str_copy_c(p->receipt, sizeof p->receipt, s->ev->receipt);
    }
}

static void tell(struct step *s, enum payment_notice notice)
{
    s->out->notice = notice;
    if (notice != NOTICE_NONE)
        s->p->version++;
}

static void payment_move(struct step *s, const struct payment_row *row)
{
    struct payment *p = s->p;
    enum payment_status from = p->status;
    enum payment_status to = row->to == PAYMENT_STAY ? from : (enum payment_status)row->to;
    bool told = to != from || row->on == PAYMENT_EVENT_DISPATCH;
    tell(s, told ? notices[to] : NOTICE_NONE);
    post(s, row->posting);
    s->out->changed = true;
    s->out->exception = row->exception;
    s->out->action = told                               ? payment_actions[to]
                     : row->exception != EXCEPTION_NONE ? exception_actions[row->exception]
                                                        : posting_actions[row->posting];
    if (row->to == PAYMENT_STAY)
        return;
    p->status = to;
    p->source = row->on == PAYMENT_EVENT_NOT_FOUND ? SOURCE_POLL : s->ev->source;
    switch (to) {
    case PAYMENT_PROCESSING:
        memcpy(p->provider_ref, s->a->provider_ref, sizeof p->provider_ref);
        break;
    case PAYMENT_IN_RECONCILIATION:
        if (from != PAYMENT_IN_RECONCILIATION)
            p->recon_since_us = s->now_us;
        clear_failure(p, row->exception == EXCEPTION_INTEGRITY ? FAILURE_INTEGRITY
                                                               : FAILURE_UNKNOWN_OUTCOME);
        break;
    case PAYMENT_COMPLETED:
        complete(s, in(ENDED, (int)from));
        break;
    case PAYMENT_FAILED:
        fail(s);
        break;
    case PAYMENT_EXPIRED:
        if (s->ev->kind == PAYMENT_EVENT_NOT_FOUND)
            fail(s);
        break;
    default:
        break;
    }
}

/* The payment has changed its phase. */
static void watch_all(struct step *s)
{
    for (int i = 0; i < s->p->n_attempts; i++)
        watch_start(s->p, &s->p->attempts[i], s->rules, s->now_us, s->ev->random);
}

/* An event that moves nothing: repeated, out of date or undecided. */
static void add_facts(struct step *s)
{
    struct attempt *a = s->a;
    const struct payment_event *ev = s->ev;
    struct payment_effects *out = s->out;
    bool counted = counts(s->p, a);
    bool reference = learn_reference(s);
    bool put_off = false, code = false, receipt = false;
    if (reference) /* now it can be asked for */
        watch_start(s->p, a, s->rules, s->now_us, ev->random);
    switch (ev->kind) {
    case PAYMENT_EVENT_SUCCESS:
        receipt = learn(a->receipt, sizeof a->receipt, ev->receipt);
        if (counted && receipt)
            memcpy(s->p->receipt, a->receipt, sizeof s->p->receipt);
        if (counted && (receipt || reference))
            tell(s, NOTICE_UPDATED);
        /* paid by a query's word, which named no amount; the callback names another one */
        if (receipt && counted && !same_amount(s))
            out->exception = EXCEPTION_INTEGRITY;
        break;
    case PAYMENT_EVENT_FAILURE:
        if (in(OPEN, (int)a->status) && !reference)
            put_off = watch_put_off(s->p, a, s->rules, s->now_us, ev->random);
        else if (a->status != ATTEMPT_SUCCEEDED)
            code = learn(a->provider_code, sizeof a->provider_code, ev->provider_code);
        break;
    case PAYMENT_EVENT_STILL_PENDING:
    case PAYMENT_EVENT_UNREACHABLE:
    case PAYMENT_EVENT_NOT_FOUND:
        if (!reference)
            put_off = watch_put_off(s->p, a, s->rules, s->now_us, ev->random);
        break;
    default:
        break;
    }
    out->changed = reference || receipt || code || put_off;
    if (receipt)
        out->action = "attempt.receipt";
    else if (reference)
        out->action = "attempt.reference";
    else if (code)
        out->action = "attempt.code";
    else if (put_off)
        out->action = "attempt.undecided";
}
