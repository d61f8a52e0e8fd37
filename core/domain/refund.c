/* The refund machine: two tables, which can be read beside domain.md, section 2.3, and the few
 * functions that carry out what a row says.
 *
 * Money can go back twice by one door only: a rail is opened, or the reserve released, while an
 * earlier request may still be carried out. So both wait until every request has a definite answer,
 * and a request that nobody answers for leaves the refund, reserved, to reconciliation.
 *
 * An event about an attempt first finds its row in the rails' table. With one, the attempt moves
 * and the refund follows by its own table; without one, nothing is decided, but a fact may be added
 * or the next question put off. Guards see the state before the move.
 *
 * Words may overtake each other. Of a provider whose refunds may fail after they have succeeded, a
 * success that comes after the failure is most likely the older word: he is asked once more, and
 * what he answers then stands.
 *
 * A rail that is busy is asked again later, for some hours: parked, its last attempt is REJECTED
 * with the time of the next one.
 *
 * A success that names another amount or another request is kept as succeeded with the code
 * FAILURE_INTEGRITY, "unsound", until an operator vouches for it. A refund is completed exactly
 * while it has a sound success. */
#include "core/domain/refund.h"

#include "core/base/times.h"
#include "core/domain/refund_watch.h"

/* One call of refund_step. */
struct step {
    struct refund *r;
    struct rail_attempt *a; /* that the event is about; NULL: none */
    const struct refund_event *ev;
    const struct refund_rules *rules;
    int64_t now_us;
    struct refund_effects *out;
};

typedef bool guard_fn(const struct step *s);

static guard_fn untouched, may_send, may_hand_over, answers, may_park, unsound, others_paid,
    others_open, rail_left, others_quiet, counted, counted_alone, overdue, rails_used_up,
    surely_newer, same_reference, by_hand, to_vouch_for, lease_over;

#define IN(s) (1u << REFUND_##s)
#define WAITING (IN(PENDING_APPROVAL) | IN(PENDING))
#define SENDABLE (IN(PENDING) | IN(PROCESSING))
#define UNDECIDED (IN(PROCESSING) | IN(IN_RECONCILIATION))

enum { REFUND_STAY = REFUND_N_STATES };

/* The first row that fits wins. A new state is told by its own notice. */
struct refund_row {
    uint32_t from; /* set of states */
    enum refund_event_kind on;
    guard_fn *guard; /* NULL: always */
    int to;          /* REFUND_STAY: where it is */
    enum refund_money money;
    enum refund_exception exception;
};

#define ROW(from, on, guard, to, money, exception)                         \
    {                                                                      \
        from, REFUND_EVENT_##on, guard, REFUND_##to, REFUND_MONEY_##money, \
            REFUND_EXCEPTION_##exception                                   \
    }

/* clang-format off */
static const struct refund_row refund_rows[] = {
    /*  from                   event     guard          to                 money        exception */
    ROW(IN(PENDING_APPROVAL),  APPROVE,  NULL,          PENDING,           NONE,        NONE),
    ROW(IN(PENDING),           APPROVE,  NULL,          STAY,              NONE,        NONE),
    ROW(IN(PENDING_APPROVAL),  REJECT,   untouched,     REJECTED,          RELEASE,     NONE),
    ROW(IN(REJECTED),          REJECT,   NULL,          STAY,              NONE,        NONE),
    ROW(WAITING,               CANCEL,   untouched,     CANCELLED,         RELEASE,     NONE),
    ROW(IN(CANCELLED),         CANCEL,   NULL,          STAY,              NONE,        NONE),
    ROW(SENDABLE,              DISPATCH, may_hand_over, IN_RECONCILIATION, NONE,        MANUAL),
    ROW(SENDABLE,              DISPATCH, may_send,      PROCESSING,        NONE,        NONE),
    ROW(UNDECIDED,             SUCCESS,  unsound,       IN_RECONCILIATION, NONE,        INTEGRITY),
    ROW(UNDECIDED,             SUCCESS,  others_paid,   COMPLETED,         SETTLE,      TWICE),
    ROW(UNDECIDED,             SUCCESS,  others_open,   COMPLETED,         SETTLE,      LATE),
    ROW(UNDECIDED,             SUCCESS,  NULL,          COMPLETED,         SETTLE,      NONE),
    ROW(IN(FAILED),            SUCCESS,  unsound,       STAY,              NONE,        INTEGRITY),
    ROW(IN(FAILED),            SUCCESS,  NULL,          COMPLETED,         SETTLE_LATE, LATE),
    ROW(IN(COMPLETED),         SUCCESS,  NULL,          STAY,              NONE,        TWICE),
    ROW(IN(IN_RECONCILIATION), CONFIRM,  others_paid,   COMPLETED,         SETTLE,      TWICE),
    ROW(IN(IN_RECONCILIATION), CONFIRM,  others_open,   COMPLETED,         SETTLE,      LATE),
    ROW(IN(IN_RECONCILIATION), CONFIRM,  NULL,          COMPLETED,         SETTLE,      NONE),
    ROW(IN(FAILED),            CONFIRM,  NULL,          COMPLETED,         SETTLE_LATE, LATE),
    ROW(IN(COMPLETED),         CONFIRM,  NULL,          STAY,              NONE,        TWICE),
    ROW(IN(PROCESSING),        REFUSED,  may_park,      STAY,              NONE,        NONE),
    ROW(IN(PROCESSING),        REFUSED,  rail_left,     STAY,              NONE,        NONE),
    ROW(IN(PROCESSING),        FAILURE,  may_park,      STAY,              NONE,        NONE),
    ROW(IN(PROCESSING),        FAILURE,  rail_left,     STAY,              NONE,        NONE),
    ROW(IN(PROCESSING),        REVOKE,   rail_left,     STAY,              NONE,        NONE),
    ROW(UNDECIDED,             REFUSED,  others_quiet,  FAILED,            RELEASE,     NONE),
    ROW(UNDECIDED,             FAILURE,  others_quiet,  FAILED,            RELEASE,     NONE),
    ROW(UNDECIDED,             REVOKE,   others_quiet,  FAILED,            RELEASE,     NONE),
    ROW(IN(COMPLETED),         REVOKE,   counted_alone, FAILED,            UNDO,        REVOKED),
    ROW(IN(COMPLETED),         REVOKE,   counted,       STAY,              NONE,        REVOKED),
    ROW(IN(PROCESSING),        TICK,     overdue,       IN_RECONCILIATION, NONE,        STUCK),
    ROW(IN(PROCESSING),        TICK,     rails_used_up, FAILED,            RELEASE,     NONE),
};
/* clang-format on */

static const enum refund_notice notices[REFUND_N_STATES] = {
    [REFUND_PENDING_APPROVAL] = REFUND_NOTICE_PENDING,
    [REFUND_PENDING] = REFUND_NOTICE_PENDING,
    [REFUND_PROCESSING] = REFUND_NOTICE_PROCESSING,
    [REFUND_IN_RECONCILIATION] = REFUND_NOTICE_IN_RECONCILIATION,
    [REFUND_COMPLETED] = REFUND_NOTICE_COMPLETED,
    [REFUND_FAILED] = REFUND_NOTICE_FAILED,
    [REFUND_REJECTED] = REFUND_NOTICE_REJECTED,
    [REFUND_CANCELLED] = REFUND_NOTICE_CANCELLED,
};

#define AT(s) (1u << RAIL_##s)
#define OPEN (AT(SENDING) | AT(SUBMITTED) | AT(UNCERTAIN))
#define UNPAID (AT(REJECTED) | AT(FAILED))

struct rail_row {
    uint32_t from;
    enum refund_event_kind on;
    guard_fn *guard;
    enum rail_status to;
};

#define MOVE(from, on, guard, to)                 \
    {                                             \
        from, REFUND_EVENT_##on, guard, RAIL_##to \
    }

/* An attempt begins with its DISPATCH: `sending`, or `submitted` where a person is asked. */
/* clang-format off */
static const struct rail_row rail_rows[] = {
    /*   from                  event      guard           to */
    MOVE(AT(SENDING),          ACCEPTED,  answers,        SUBMITTED),
    MOVE(AT(UNCERTAIN),        ACCEPTED,  answers,        SUBMITTED), /* came after the lease */
    MOVE(AT(SENDING),          REFUSED,   answers,        REJECTED),
    MOVE(AT(UNCERTAIN),        REFUSED,   may_park,       REJECTED), /* came after the lease … */
    MOVE(AT(UNCERTAIN),        REFUSED,   answers,        FAILED),   /* … for good */
    MOVE(AT(SENDING),          AMBIGUOUS, answers,        UNCERTAIN),
    MOVE(AT(SENDING),          TICK,      lease_over,     UNCERTAIN),
    MOVE(OPEN,                 SUCCESS,   NULL,           SUCCEEDED),
    MOVE(UNPAID,               SUCCESS,   surely_newer,   SUCCEEDED),
    MOVE(OPEN,                 FAILURE,   may_park,       REJECTED), /* taken, and then busy */
    MOVE(OPEN,                 FAILURE,   same_reference, FAILED),
    MOVE(AT(SUBMITTED),        CONFIRM,   by_hand,        SUCCEEDED),
    MOVE(AT(SUCCEEDED),        CONFIRM,   to_vouch_for,   SUCCEEDED),
    MOVE(OPEN | AT(SUCCEEDED), REVOKE,    same_reference, FAILED),
};
/* clang-format on */

/* What the audit trail calls a move. */
static const char *const refund_actions[REFUND_N_STATES] = {
#define X(name, word, final) [REFUND_##name] = "refund." word,
    REFUND_STATES(X)
#undef X
};
static const char *const rail_actions[RAIL_N_STATES] = {
#define X(name, word, final) [RAIL_##name] = "rail." word,
    RAIL_STATES(X)
#undef X
};

static const char *const exception_actions[] = {
    [REFUND_EXCEPTION_INTEGRITY] = "refund.integrity_failure",
    [REFUND_EXCEPTION_REVOKED] = "refund.revoked",
    [REFUND_EXCEPTION_TWICE] = "refund.paid_twice",
};

static const struct refund_row *refund_row(const struct step *s);
static const struct rail_row *rail_row(const struct step *s);
static struct err step_refund(struct step *s);
static struct err step_dispatch(struct step *s);
static struct err step_attempt(struct step *s);
static struct err step_tick(struct step *s);
static void rail_move(struct step *s, const struct rail_row *row);
static void refund_move(struct step *s, const struct refund_row *row);
static bool undispatched(const struct refund *r);
static void add_facts(struct step *s);
static void park(struct step *s);
static struct rail_attempt *to_confirm(const struct step *s);

static bool in(uint32_t set, int state)
{
    return (set >> state & 1u) != 0;
}

void refund_begin(struct refund *r, bool needs_approval, struct refund_effects *out)
{
    r->status = needs_approval ? REFUND_PENDING_APPROVAL : REFUND_PENDING;
    r->version = 1;
    r->updated_at_us = r->created_at_us;
    *out = (struct refund_effects){
        .changed = true, .notice = notices[r->status], .action = refund_actions[r->status]};
}

struct err refund_step(struct refund *r, const struct refund_event *ev,
                       const struct refund_rules *rules, int64_t now_us, struct refund_effects *out)
{
    struct step s = {.r = r, .ev = ev, .rules = rules, .now_us = now_us, .out = out};
    struct err e = ERR_OK;
    *out = (struct refund_effects){0};
    switch (ev->kind) {
    case REFUND_EVENT_APPROVE:
    case REFUND_EVENT_REJECT:
    case REFUND_EVENT_CANCEL:
        e = step_refund(&s);
        break;
    case REFUND_EVENT_DISPATCH:
        e = step_dispatch(&s);
        break;
    case REFUND_EVENT_TICK:
        e = step_tick(&s);
        break;
    default:
        ASSERT((unsigned)ev->kind < REFUND_EVENT_N);
        e = step_attempt(&s);
        break;
    }
    if (out->changed)
        r->updated_at_us = now_us;
    return e;
}

static struct err step_refund(struct step *s)
{
    const struct refund_row *row = refund_row(s);
    if (row == NULL)
        return ERR(INVALID_STATE, "not possible in the refund's state");
    if (row->to == REFUND_STAY)
        return ERR_OK;
    if (s->ev->kind == REFUND_EVENT_APPROVE && s->ev->same_person)
        return ERR(FORBIDDEN, "who asked for a refund cannot approve it");
    refund_move(s, row);
    if (s->ev->kind == REFUND_EVENT_APPROVE)
        s->out->action = "refund.approved";
    return ERR_OK;
}

static struct err step_dispatch(struct step *s)
{
    const struct refund_row *row = refund_row(s);
    if (row == NULL)
        return ERR(INVALID_STATE, "must not be sent now");
    struct refund *r = s->r;
    enum refund_rail rail = refund_next_rail(r, s->rules);
    if (!refund_is_parked(r) || !s->ev->again)
        r->n_attempts++;
    s->a = &r->attempts[r->n_attempts - 1];
    *s->a = (struct rail_attempt){
        .n = r->n_attempts,
        .rail = rail,
        .status = rail == REFUND_RAIL_MANUAL ? RAIL_SUBMITTED : RAIL_SENDING,
        .sent_at_us = s->now_us,
        .next_poll_at_us = TIME_NEVER,
    };
    /* where the provider takes our id as its reference */
    str_copy_c(s->a->provider_ref, sizeof s->a->provider_ref, s->ev->provider_ref);
    memcpy(r->provider_ref, s->a->provider_ref, sizeof r->provider_ref);
    s->out->action = rail_actions[s->a->status];
    refund_move(s, row);
    return ERR_OK;
}

static struct err step_attempt(struct step *s)
{
    bool confirm = s->ev->kind == REFUND_EVENT_CONFIRM;
    s->a = confirm ? to_confirm(s) : refund_attempt(s->r, s->ev->attempt);
    if (s->a == NULL)
        return confirm && s->r->status == REFUND_COMPLETED
                   ? ERR_OK
                   : ERR(INVALID_STATE, confirm ? "nothing to confirm" : "no such attempt");
    const struct rail_row *row = rail_row(s);
    if (row == NULL) {
        add_facts(s);
        return ERR_OK;
    }
    const struct refund_row *follows = refund_row(s);
    enum refund_status before = s->r->status;
    rail_move(s, row);
    if (follows != NULL)
        refund_move(s, follows);
    if (s->r->status != before)
        rail_watch_all(s->r, s->rules, s->now_us, s->ev->random);
    else
        rail_watch_start(s->r, s->a, s->rules, s->now_us, s->ev->random);
    if (follows != NULL && follows->guard == may_park)
        park(s);
    return ERR_OK;
}

static void park(struct step *s)
{
    int64_t wait_us = schedule_wait_us(&s->rules->park, s->r->park_n++);
    s->a->next_poll_at_us = s->now_us + schedule_jitter_us(wait_us, s->ev->random);
    s->out->action = "rail.parked";
}

/* One thing at a time; what else is due leaves the deadline in the past. */
static struct err step_tick(struct step *s)
{
    struct refund *r = s->r;
    for (int i = 0; i < r->n_attempts; i++) {
        s->a = &r->attempts[i];
        const struct rail_row *row = rail_row(s);
        if (row != NULL) {
            rail_move(s, row);
            rail_watch_start(r, s->a, s->rules, s->now_us, s->ev->random);
            return ERR_OK;
        }
    }
    s->a = NULL;
    const struct refund_row *row = refund_row(s);
    if (row != NULL) {
        refund_move(s, row);
        rail_watch_all(r, s->rules, s->now_us, s->ev->random);
        return ERR_OK;
    }
    if (refund_deadline_us(r, s->rules) > s->now_us)
        return ERR_OK;
    s->out->changed = true;
    if (undispatched(r)) { /* who should have dispatched it is gone; nothing was sent */
        s->out->next_rail = refund_next_rail(r, s->rules);
        s->out->action = "refund.dispatch_due";
        return ERR_OK;
    }
    for (int i = 0; i < r->n_attempts; i++) {
        struct rail_attempt *a = &r->attempts[i];
        if (rail_asked_about(a) && a->next_poll_at_us <= s->now_us) {
            rail_watch_asked(r, a, s->rules, s->now_us, s->ev->random);
            s->out->ask_attempt = a->n;
            s->out->action = "rail.polled";
            break;
        }
    }
    return ERR_OK;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* It does not wait for a rail that was busy. */
static bool rested(const struct refund *r, int64_t now_us)
{
    return !refund_is_parked(r) || r->attempts[r->n_attempts - 1].next_poll_at_us <= now_us;
}

int64_t refund_deadline_us(const struct refund *r, const struct refund_rules *rules)
{
    int64_t deadline = TIME_NEVER;
    for (int i = 0; i < r->n_attempts; i++) {
        const struct rail_attempt *a = &r->attempts[i];
        if (a->status == RAIL_SENDING)
            deadline = earlier(deadline, a->sent_at_us + rules->sending_lease_us);
        if (r->status == REFUND_PROCESSING && in(OPEN, (int)a->status))
            deadline = earlier(deadline, a->sent_at_us + rules->unknown_after_us);
        if (rail_asked_about(a))
            deadline = earlier(deadline, a->next_poll_at_us);
    }
    if (refund_is_parked(r) && !rested(r, r->updated_at_us))
        deadline = earlier(deadline, r->attempts[r->n_attempts - 1].next_poll_at_us);
    else if (undispatched(r) &&
             (r->status == REFUND_PROCESSING || refund_next_rail(r, rules) != REFUND_RAIL_NONE))
        deadline = earlier(deadline, r->updated_at_us + rules->sending_lease_us);
    return deadline;
}

bool refund_wants_sending(const struct refund *r, const struct refund_rules *rules, int64_t now_us)
{
    return undispatched(r) && rested(r, now_us) && refund_next_rail(r, rules) != REFUND_RAIL_NONE;
}

struct rail_attempt *refund_attempt(struct refund *r, int n)
{
    return n >= 1 && n <= r->n_attempts ? &r->attempts[n - 1] : NULL;
}

bool refund_may_move(enum refund_status from, enum refund_status to)
{
    for (size_t i = 0; i < COUNT_OF(refund_rows); i++)
        if (in(refund_rows[i].from, (int)from) && refund_rows[i].to == (int)to)
            return true;
    return false;
}

bool rail_may_move(enum rail_status from, enum rail_status to)
{
    for (size_t i = 0; i < COUNT_OF(rail_rows); i++)
        if (in(rail_rows[i].from, (int)from) && rail_rows[i].to == to)
            return true;
    return from == RAIL_REJECTED && to == RAIL_SENDING; /* parked, and sent again */
}

/* ---- rows and guards ---- */

static const struct refund_row *refund_row(const struct step *s)
{
    for (size_t i = 0; i < COUNT_OF(refund_rows); i++) {
        const struct refund_row *row = &refund_rows[i];
        if (row->on == s->ev->kind && in(row->from, (int)s->r->status) &&
            (row->guard == NULL || row->guard(s)))
            return row;
    }
    return NULL;
}

static const struct rail_row *rail_row(const struct step *s)
{
    for (size_t i = 0; i < COUNT_OF(rail_rows); i++) {
        const struct rail_row *row = &rail_rows[i];
        if (row->on == s->ev->kind && in(row->from, (int)s->a->status) &&
            (row->guard == NULL || row->guard(s)))
            return row;
    }
    return NULL;
}

static bool is_sound(const struct rail_attempt *a)
{
    return a->status == RAIL_SUCCEEDED && a->code != FAILURE_INTEGRITY;
}

static bool is_unsound(const struct rail_attempt *a)
{
    return a->status == RAIL_SUCCEEDED && a->code == FAILURE_INTEGRITY;
}

/* Another attempt than the event's is in one of the states. */
static bool others_in(const struct step *s, uint32_t states)
{
    for (int i = 0; i < s->r->n_attempts; i++)
        if (&s->r->attempts[i] != s->a && in(states, (int)s->r->attempts[i].status))
            return true;
    return false;
}

static bool others_paid(const struct step *s)
{
    return others_in(s, AT(SUCCEEDED));
}

static bool others_open(const struct step *s)
{
    return others_in(s, OPEN);
}

static bool others_quiet(const struct step *s)
{
    return !others_in(s, OPEN | AT(SUCCEEDED));
}

static bool rail_left(const struct step *s)
{
    return others_quiet(s) && refund_next_rail(s->r, s->rules) != REFUND_RAIL_NONE;
}

static bool untouched(const struct step *s)
{
    return s->r->n_attempts == 0;
}

static bool may_dispatch(const struct step *s, bool by_a_person)
{
    enum refund_rail rail = refund_next_rail(s->r, s->rules);
    return refund_wants_sending(s->r, s->rules, s->now_us) &&
           (rail == REFUND_RAIL_MANUAL) == by_a_person;
}

static bool may_send(const struct step *s)
{
    return may_dispatch(s, false);
}

static bool may_hand_over(const struct step *s)
{
    return may_dispatch(s, true);
}

/* An answer may be written twice, when the first time nobody heard that it was: by then the same
 * attempt may have been sent again. */
static bool answers(const struct step *s)
{
    return s->ev->sent_at_us == s->a->sent_at_us;
}

/* The provider was busy, for certain, when it was asked or when it came to it: the same rail later.
 */
static bool may_park(const struct step *s)
{
    const struct refund *r = s->r;
    bool ours = s->ev->kind == REFUND_EVENT_FAILURE ? same_reference(s) : answers(s);
    return ours && s->ev->later && r->status == REFUND_PROCESSING && !by_hand(s) &&
           others_quiet(s) && r->park_n < s->rules->park.n && r->n_attempts < REFUND_MAX_ATTEMPTS;
}

/* What the event says is not about another request of the provider's. */
static bool same_reference(const struct step *s)
{
    char said[REFUND_REF_MAX + 1];
    str_copy_c(said, sizeof said, s->ev->provider_ref); /* as it would be kept */
    return said[0] == '\0' || s->a->provider_ref[0] == '\0' ||
           strcmp(said, s->a->provider_ref) == 0;
}

static bool same_amount(const struct step *s)
{
    struct money said = s->ev->amount, asked = s->r->amount;
    return said.currency == 0 || (said.currency == asked.currency && said.minor == asked.minor);
}

static bool unsound(const struct step *s)
{
    return !same_amount(s) || !same_reference(s);
}

static bool counted(const struct step *s)
{
    return is_sound(s->a);
}

static bool counted_alone(const struct step *s)
{
    for (int i = 0; i < s->r->n_attempts; i++)
        if (is_sound(&s->r->attempts[i]) != (&s->r->attempts[i] == s->a))
            return false;
    return true;
}

/* Nothing was sent, or the last rail has failed beyond doubt, and the next one has not been asked.
 */
static bool undispatched(const struct refund *r)
{
    for (int i = 0; i < r->n_attempts; i++)
        if (!in(UNPAID, (int)r->attempts[i].status) || rail_asked_about(&r->attempts[i]))
            return false;
    return r->status == REFUND_PENDING || r->status == REFUND_PROCESSING;
}

/* The rules have lost the rail that was left. */
static bool rails_used_up(const struct step *s)
{
    return undispatched(s->r) && refund_next_rail(s->r, s->rules) == REFUND_RAIL_NONE &&
           s->now_us >= s->r->updated_at_us + s->rules->sending_lease_us;
}

static bool overdue(const struct step *s)
{
    for (int i = 0; i < s->r->n_attempts; i++) {
        const struct rail_attempt *a = &s->r->attempts[i];
        if (in(OPEN, (int)a->status) && s->now_us >= a->sent_at_us + s->rules->unknown_after_us)
            return true;
    }
    return false;
}

/* Only a success leaves a receipt: one that failed with its receipt known was revoked, and the same
 * receipt is the old message once more. */
static bool new_to_us(const struct step *s)
{
    char said[REFUND_REF_MAX + 1];
    str_copy_c(said, sizeof said, s->ev->receipt);
    return s->a->receipt[0] == '\0' || strcmp(said, s->a->receipt) != 0;
}

/* The success may have been said before the failure that came first, and he can be asked. */
static bool doubtful(const struct step *s)
{
    return s->rules->may_revoke && s->a->status == RAIL_FAILED && s->a->provider_ref[0] != '\0';
}

static bool surely_newer(const struct step *s)
{
    return s->ev->afresh || (new_to_us(s) && !doubtful(s));
}

static bool by_hand(const struct step *s)
{
    return s->a->rail == REFUND_RAIL_MANUAL;
}

static bool to_vouch_for(const struct step *s)
{
    return s->r->status == REFUND_IN_RECONCILIATION && is_unsound(s->a);
}

static bool lease_over(const struct step *s)
{
    return s->now_us >= s->a->sent_at_us + s->rules->sending_lease_us;
}

/* The attempt that an operator confirms: the one named, else his own task, else what waits for his
 * word. */
static struct rail_attempt *to_confirm(const struct step *s)
{
    struct step at = *s;
    struct rail_attempt *found = NULL;
    for (int i = 0; i < s->r->n_attempts; i++) {
        at.a = &s->r->attempts[i];
        if ((s->ev->attempt == 0 || s->ev->attempt == at.a->n) && rail_row(&at) != NULL &&
            (found == NULL || by_hand(&at)))
            found = at.a;
    }
    return found;
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

/* The refund shows what is known of the attempt that counts, before that of its latest. */
static bool shown(const struct step *s)
{
    return s->r->status == REFUND_COMPLETED ? counted_alone(s) : s->a->n == s->r->n_attempts;
}

static bool learn_reference(struct step *s)
{
    if (!learn(s->a->provider_ref, sizeof s->a->provider_ref, s->ev->provider_ref))
        return false;
    if (shown(s))
        memcpy(s->r->provider_ref, s->a->provider_ref, sizeof s->r->provider_ref);
    return true;
}

static enum failure_code failure_of(const struct refund_event *ev)
{
    return ev->code == FAILURE_NONE ? FAILURE_PROVIDER_ERROR : ev->code;
}

static void rail_move(struct step *s, const struct rail_row *row)
{
    struct rail_attempt *a = s->a;
    const struct refund_event *ev = s->ev;
    a->status = row->to;
    a->next_poll_at_us = TIME_NEVER;
    s->out->changed = true;
    s->out->action = rail_actions[row->to];
    switch (ev->kind) {
    case REFUND_EVENT_TICK:
        return;
    case REFUND_EVENT_AMBIGUOUS:
        learn_reference(s);
        return;
    case REFUND_EVENT_ACCEPTED: /* the provider's own reference replaces ours */
        if (!str_empty(ev->provider_ref))
            a->provider_ref[0] = '\0';
        break;
    case REFUND_EVENT_SUCCESS:
        a->code = unsound(s) ? FAILURE_INTEGRITY : FAILURE_NONE;
        str_copy_c(a->provider_code, sizeof a->provider_code, ev->provider_code);
        if (!str_empty(ev->receipt))
            str_copy_c(a->receipt, sizeof a->receipt, ev->receipt);
        break;
    case REFUND_EVENT_CONFIRM:
        a->code = FAILURE_NONE;
        (void)learn(a->receipt, sizeof a->receipt, ev->receipt);
        break;
    default: /* it did not move money */
        a->code = failure_of(ev);
        str_copy_c(a->provider_code, sizeof a->provider_code, ev->provider_code);
        break;
    }
    a->answered_at_us = s->now_us;
    learn_reference(s);
}

static void set_failure(struct refund *r, enum failure_code code, struct str provider_code,
                        struct str message)
{
    r->failure = code;
    str_copy_c(r->failure_provider_code, sizeof r->failure_provider_code, provider_code);
    failure_words(r->failure_message, sizeof r->failure_message, message);
}

static void fail(struct step *s)
{
    struct refund *r = s->r;
    const struct rail_attempt *last = s->a != NULL ? s->a : &r->attempts[r->n_attempts - 1];
    set_failure(r, last->code, str_c(last->provider_code), s->ev->message);
    r->late = false; /* a completed one that is revoked has not completed */
    r->completed_at_us = 0;
    r->receipt[0] = '\0';
}

static void complete(struct step *s, bool late)
{
    struct refund *r = s->r;
    r->late = late;
    r->completed_at_us = s->now_us;
    set_failure(r, FAILURE_NONE, STR_NULL, STR_NULL);
    memcpy(r->receipt, s->a->receipt, sizeof r->receipt);
    memcpy(r->provider_ref, s->a->provider_ref, sizeof r->provider_ref);
}

static void reconcile(struct step *s, enum refund_exception why)
{
    struct refund *r = s->r;
    if (r->recon_since_us == 0)
        r->recon_since_us = s->now_us;
    set_failure(r,
                why == REFUND_EXCEPTION_INTEGRITY ? FAILURE_INTEGRITY
                : why == REFUND_EXCEPTION_STUCK   ? FAILURE_UNKNOWN_OUTCOME
                                                  : FAILURE_NONE,
                STR_NULL, STR_NULL);
}

static void refund_move(struct step *s, const struct refund_row *row)
{
    struct refund *r = s->r;
    struct refund_effects *out = s->out;
    enum refund_status from = r->status;
    enum refund_status to = row->to == REFUND_STAY ? from : (enum refund_status)row->to;
    out->changed = true;
    out->money = row->money;
    out->exception = row->exception;
    if (to != from) {
        out->notice = notices[to];
        out->action = refund_actions[to];
        r->version++;
    }
    if (exception_actions[row->exception] != NULL && (to == from || to == REFUND_FAILED))
        out->action = exception_actions[row->exception];
    if (row->to == REFUND_STAY) {
        if (row->guard == rail_left)
            out->next_rail = refund_next_rail(r, s->rules);
        return;
    }
    r->status = to;
    if (to == REFUND_IN_RECONCILIATION)
        reconcile(s, row->exception);
    else if (to == REFUND_COMPLETED)
        complete(s, from == REFUND_FAILED);
    else if (to == REFUND_FAILED)
        fail(s);
}

/* An event that moves nothing: repeated, out of date or undecided. */
static void add_facts(struct step *s)
{
    struct rail_attempt *a = s->a;
    const struct refund_event *ev = s->ev;
    struct refund_effects *out = s->out;
    bool reference = learn_reference(s);
    bool receipt = false, code = false, put_off = false, doubt = false, sure = false;
    if (reference) /* now it can be asked for */
        rail_watch_start(s->r, a, s->rules, s->now_us, s->ev->random);
    switch (ev->kind) {
    case REFUND_EVENT_SUCCESS:
        if (in(UNPAID, (int)a->status)) {
            doubt = new_to_us(s) && rail_watch_doubt(a, s->now_us);
            break;
        }
        receipt = learn(a->receipt, sizeof a->receipt, ev->receipt);
        if (receipt && counted_alone(s))
            memcpy(s->r->receipt, a->receipt, sizeof s->r->receipt);
        /* paid by a query's word, which named no amount; the callback names another one */
        if (receipt && is_sound(a) && !same_amount(s))
            out->exception = REFUND_EXCEPTION_INTEGRITY;
        break;
    case REFUND_EVENT_FAILURE:
    case REFUND_EVENT_REVOKE:
        code = in(UNPAID, (int)a->status) &&
               learn(a->provider_code, sizeof a->provider_code, ev->provider_code);
        sure = ev->afresh && rail_watch_sure(a);
        break;
    case REFUND_EVENT_STILL_PENDING:
    case REFUND_EVENT_UNREACHABLE:
        if (!reference)
            put_off = rail_watch_put_off(s->r, a, s->rules, s->now_us, s->ev->random);
        break;
    default:
        break;
    }
    out->changed = reference || receipt || code || put_off || doubt || sure;
    if (receipt)
        out->action = "rail.receipt";
    else if (reference)
        out->action = "rail.reference";
    else if (doubt)
        out->action = "rail.doubted";
    else if (sure)
        out->action = "rail.failed_for_sure";
    else if (code)
        out->action = "rail.code";
    else if (put_off)
        out->action = "rail.undecided";
}
