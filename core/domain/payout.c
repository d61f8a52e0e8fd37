/* The payout machine: one table, which can be read beside domain.md, section 2.4, and the few
 * functions that carry out what a row says.
 *
 * Money can go out twice by one door only: a request is sent while an earlier one may still be
 * carried out. So PROCESSING is left for PARKED, and from there for the next request, by a definite
 * refusal alone; everything else is asked about until there is evidence. Guards see the state
 * before the move. */
#include "core/domain/payout.h"

#include <string.h>

#include "core/base/times.h"
#include "core/domain/payment.h"

/* One call of payout_step. */
struct step {
    struct payout *p;
    const struct payout_event *ev;
    const struct payout_rules *rules;
    int64_t now_us;
    struct payout_effects *out;
};

typedef bool guard_fn(const struct step *s);

static guard_fn requests_left, answers, may_wait, earlier, disputable, disputed_earlier, sound,
    sound_news, disputable_news, paid_by_another, denied, vouched, came_back, lease_over, overdue,
    rested;

#define IN(s) (1u << PAYOUT_##s)
#define WAITING (IN(PENDING_APPROVAL) | IN(QUEUED) | IN(PARKED))
#define UNSENT (IN(QUEUED) | IN(PARKED))
#define UNDECIDED (IN(PROCESSING) | IN(IN_RECONCILIATION))
#define LEFT (IN(COMPLETED) | IN(RETURNED))
#define OVER (IN(FAILED) | IN(CANCELLED) | IN(REJECTED))

#define AT(r) (1u << PAYOUT_REQUEST_##r)
#define ANY (~0u)
#define IDLE (AT(NONE) | AT(REFUSED))
#define ANSWERABLE (AT(SENDING) | AT(UNCERTAIN))
#define OPEN (AT(SENDING) | AT(SUBMITTED) | AT(UNCERTAIN))

enum { PAYOUT_STAY = PAYOUT_N_STATES, PAYOUT_REQUEST_KEEP = PAYOUT_N_REQUESTS };

/* The first row that fits wins. */
struct row {
    uint32_t from, request; /* sets */
    enum payout_event_kind on;
    guard_fn *guard; /* NULL: always */
    int to, request_to;
    enum payout_money money;
    enum payout_exception exception;
};

#define ROW(from, request, on, guard, to, request_to, money, exception)                    \
    {                                                                                      \
        from, request, PAYOUT_EVENT_##on, guard, PAYOUT_##to, PAYOUT_REQUEST_##request_to, \
            PAYOUT_MONEY_##money, PAYOUT_EXCEPTION_##exception                             \
    }

static const struct row rows[] = {
    /* from, request, event, guard, to, request, money, exception */
    ROW(IN(PENDING_APPROVAL), ANY, APPROVE, NULL, QUEUED, KEEP, NONE, NONE),
    ROW(IN(QUEUED), ANY, APPROVE, NULL, STAY, KEEP, NONE, NONE),
    ROW(IN(PENDING_APPROVAL), ANY, REJECT, NULL, REJECTED, KEEP, RELEASE, NONE),
    ROW(IN(REJECTED), ANY, REJECT, NULL, STAY, KEEP, NONE, NONE),
    ROW(WAITING, IDLE, CANCEL, NULL, CANCELLED, KEEP, RELEASE, NONE),
    ROW(IN(CANCELLED), ANY, CANCEL, NULL, STAY, KEEP, NONE, NONE),

    ROW(IN(QUEUED), IDLE, DISPATCH, requests_left, PROCESSING, SENDING, NONE, NONE),
    ROW(UNDECIDED, ANSWERABLE, ACCEPTED, answers, STAY, SUBMITTED, NONE, NONE),
    ROW(IN(PROCESSING), ANSWERABLE, REFUSED, may_wait, PARKED, REFUSED, NONE, NONE),
    ROW(UNDECIDED, ANSWERABLE, REFUSED, answers, FAILED, REFUSED, RELEASE, NONE),
    ROW(UNDECIDED, AT(SENDING), AMBIGUOUS, answers, STAY, UNCERTAIN, NONE, NONE),

    ROW(UNDECIDED, OPEN, SUCCESS, disputable, IN_RECONCILIATION, DISPUTED, NONE, INTEGRITY),
    ROW(UNDECIDED, ANY, SUCCESS, disputed_earlier, STAY, KEEP, NONE, INTEGRITY),
    ROW(UNDECIDED, ANY, SUCCESS, earlier, COMPLETED, KEEP, SETTLE, LATE),
    ROW(UNDECIDED, OPEN, SUCCESS, sound, COMPLETED, PAID, SETTLE, NONE),
    ROW(UNDECIDED, AT(DISPUTED), SUCCESS, vouched, COMPLETED, PAID, SETTLE, NONE),
    ROW(UNSENT, AT(REFUSED), SUCCESS, disputable, IN_RECONCILIATION, DISPUTED, NONE, INTEGRITY),
    ROW(UNSENT, AT(REFUSED), SUCCESS, sound, COMPLETED, PAID, SETTLE, LATE),
    ROW(OVER, ANY, SUCCESS, disputable_news, STAY, KEEP, NONE, INTEGRITY),
    ROW(OVER, ANY, SUCCESS, sound_news, COMPLETED, PAID, SETTLE_LATE, LATE),
    ROW(LEFT, ANY, SUCCESS, paid_by_another, STAY, KEEP, NONE, TWICE),

    ROW(UNDECIDED, OPEN, FAILURE, denied, FAILED, UNPAID, RELEASE, NONE),
    ROW(UNDECIDED, AT(DISPUTED), FAILURE, vouched, FAILED, UNPAID, RELEASE, NONE),
    ROW(UNDECIDED, OPEN, RETURN, denied, FAILED, UNPAID, RELEASE, NONE),
    ROW(IN(COMPLETED), ANY, RETURN, came_back, RETURNED, UNPAID, GIVE_BACK, NONE),

    ROW(UNDECIDED, AT(SENDING), TICK, lease_over, STAY, UNCERTAIN, NONE, NONE),
    ROW(IN(PROCESSING), OPEN, TICK, overdue, IN_RECONCILIATION, KEEP, NONE, STUCK),
    ROW(IN(PARKED), IDLE, TICK, rested, QUEUED, KEEP, NONE, NONE),
};

static const struct {
    const char *word;
    bool final, held;
} states[PAYOUT_N_STATES] = {
#define X(name, word, final, held) [PAYOUT_##name] = {word, final, held},
    PAYOUT_STATES(X)
#undef X
};

/* What merchants are told, and what the audit trail calls it. */
static const char *const notices[PAYOUT_N_STATES] = {
    [PAYOUT_PENDING_APPROVAL] = "payout.pending",
    [PAYOUT_QUEUED] = "payout.pending",
    [PAYOUT_PARKED] = "payout.parked",
    [PAYOUT_PROCESSING] = "payout.processing",
    [PAYOUT_IN_RECONCILIATION] = "payout.in_reconciliation",
    [PAYOUT_COMPLETED] = "payout.completed",
    [PAYOUT_FAILED] = "payout.failed",
    [PAYOUT_REJECTED] = "payout.rejected",
    [PAYOUT_CANCELLED] = "payout.cancelled",
    [PAYOUT_RETURNED] = "payout.returned",
};

static const char *const request_words[PAYOUT_N_REQUESTS] = {
#define X(name, word) [PAYOUT_REQUEST_##name] = word,
    PAYOUT_REQUESTS(X)
#undef X
};

static const char *const request_actions[PAYOUT_N_REQUESTS] = {
#define X(name, word) [PAYOUT_REQUEST_##name] = "payout.request_" word,
    PAYOUT_REQUESTS(X)
#undef X
};

static void move(struct step *s, const struct row *row);
static void add_facts(struct step *s);
static void watch(struct step *s, int64_t from_us);

static bool in(uint32_t set, int state)
{
    return (set >> state & 1u) != 0;
}

void payout_rules_default(struct payout_rules *r)
{
    struct payment_rules same;
    payment_rules_default(&same);
    *r = (struct payout_rules){
        .sending_lease_us = same.sending_lease_us,
        .unknown_after_us = 15 * US_PER_MIN,
        .poll = same.poll,
        .recon = same.recon,
    };
    bool parsed = schedule_parse(STR("30s,1m,2m,5m,10m,15m,30m,1h,2h,4h,4h,6h,6h"), &r->park);
    ASSERT(parsed && r->park.n < PAYOUT_MAX_REQUESTS);
}

void payout_begin(struct payout *p, bool needs_approval, struct payout_effects *out)
{
    p->status = needs_approval ? PAYOUT_PENDING_APPROVAL : PAYOUT_QUEUED;
    p->version = 1;
    p->updated_at_us = p->created_at_us;
    p->next_at_us = TIME_NEVER;
    *out = (struct payout_effects){
        .changed = true, .notice = notices[p->status], .action = "payout.requested"};
}

static const struct row *find_row(const struct step *s)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        if (row->on == s->ev->kind && in(row->from, (int)s->p->status) &&
            in(row->request, (int)s->p->request) && (row->guard == NULL || row->guard(s)))
            return row;
    }
    return NULL;
}

/* What only we or people do has to be possible; what comes from outside may come at any time. */
static bool must_fit(enum payout_event_kind kind)
{
    return kind == PAYOUT_EVENT_APPROVE || kind == PAYOUT_EVENT_REJECT ||
           kind == PAYOUT_EVENT_CANCEL || kind == PAYOUT_EVENT_DISPATCH;
}

static void tick(struct step *s)
{
    struct payout *p = s->p;
    if (!in(UNDECIDED, (int)p->status) || p->next_at_us > s->now_us)
        return;
    s->out->changed = true;
    s->out->ask = true;
    s->out->action = "payout.polled";
    p->poll_n++;
    watch(s, s->now_us);
}

struct err payout_step(struct payout *p, const struct payout_event *ev,
                       const struct payout_rules *rules, int64_t now_us, struct payout_effects *out)
{
    struct step s = {p, ev, rules, now_us, out};
    *out = (struct payout_effects){0};
    ASSERT((unsigned)ev->kind < PAYOUT_EVENT_N);
    if (ev->request < 0 || ev->request > p->n)
        return ERR(INVALID_STATE, "no such request");
    const struct row *row = find_row(&s);
    if (row == NULL && (must_fit(ev->kind) || ev->vouched))
        return ERR(INVALID_STATE, "not possible in the payout's state");
    if (ev->kind == PAYOUT_EVENT_APPROVE && row->to != PAYOUT_STAY && ev->same_person)
        return ERR(FORBIDDEN, "who asked for a payout cannot approve it");
    if (row != NULL)
        move(&s, row);
    else if (ev->kind == PAYOUT_EVENT_TICK)
        tick(&s);
    else
        add_facts(&s);
    if (out->changed)
        p->updated_at_us = now_us;
    return ERR_OK;
}

static int64_t earlier_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t payout_deadline_us(const struct payout *p, const struct payout_rules *rules)
{
    int64_t at = TIME_NEVER;
    if (p->status == PAYOUT_QUEUED)
        return p->updated_at_us + rules->sending_lease_us;
    if (p->status == PAYOUT_PARKED)
        return p->next_at_us;
    if (!in(UNDECIDED, (int)p->status))
        return TIME_NEVER;
    if (p->request == PAYOUT_REQUEST_SENDING)
        at = p->sent_at_us + rules->sending_lease_us;
    if (p->status == PAYOUT_PROCESSING)
        at = earlier_of(at, p->sent_at_us + rules->unknown_after_us);
    return earlier_of(at, p->next_at_us);
}

bool payout_is_open(const struct payout *p)
{
    return in(OPEN, (int)p->request);
}

/* ---- guards ---- */

static bool requests_left(const struct step *s)
{
    return s->p->n < PAYOUT_MAX_REQUESTS;
}

static bool current(const struct step *s)
{
    return s->ev->request == 0 || s->ev->request == s->p->n;
}

/* An answer may be written twice, when the first time nobody heard that it was: by then the next
 * request may be on its way, under the same number where the provider knows it by its id. */
static bool answers(const struct step *s)
{
    return current(s) && s->ev->sent_at_us == s->p->sent_at_us;
}

static bool may_wait(const struct step *s)
{
    return answers(s) && s->ev->later && s->p->park_n < s->rules->park.n && requests_left(s);
}

/* What the event says is not about another request of the provider's. */
static bool same_reference(const struct step *s)
{
    char said[PAYOUT_REF_MAX + 1];
    str_copy_c(said, sizeof said, s->ev->provider_ref); /* as it would be kept */
    return said[0] == '\0' || s->p->provider_ref[0] == '\0' || !current(s) ||
           strcmp(said, s->p->provider_ref) == 0;
}

static bool same_amount(const struct step *s)
{
    struct money said = s->ev->amount, asked = s->p->amount;
    return said.currency == 0 || (said.currency == asked.currency && said.minor == asked.minor);
}

static bool sound(const struct step *s)
{
    return s->ev->vouched || (same_amount(s) && same_reference(s));
}

static bool disputable(const struct step *s)
{
    return !sound(s) && (current(s) || in(UNSENT, (int)s->p->status));
}

static bool disputed_earlier(const struct step *s)
{
    return !sound(s) && !current(s);
}

/* A request that was definitely not taken has been paid after all, while the next one is open. */
static bool earlier(const struct step *s)
{
    return !current(s) && sound(s);
}

/* What came back after it had been paid left its receipt: the same one is the old message. */
static bool news(const struct step *s)
{
    char said[PAYOUT_REF_MAX + 1];
    str_copy_c(said, sizeof said, s->ev->receipt);
    return s->p->n > 0 && (s->p->receipt[0] == '\0' || strcmp(said, s->p->receipt) != 0);
}

static bool sound_news(const struct step *s)
{
    return news(s) && sound(s);
}

static bool disputable_news(const struct step *s)
{
    return news(s) && !sound(s);
}

static bool paid_by_another(const struct step *s)
{
    return s->ev->request != 0 && s->ev->request != s->p->paid_n;
}

static bool denied(const struct step *s)
{
    return current(s) && (s->ev->vouched || same_reference(s));
}

static bool vouched(const struct step *s)
{
    return s->ev->vouched;
}

static bool came_back(const struct step *s)
{
    return (s->ev->request == 0 || s->ev->request == s->p->paid_n) && same_reference(s);
}

static bool lease_over(const struct step *s)
{
    return s->now_us >= s->p->sent_at_us + s->rules->sending_lease_us;
}

static bool overdue(const struct step *s)
{
    return s->now_us >= s->p->sent_at_us + s->rules->unknown_after_us;
}

static bool rested(const struct step *s)
{
    return s->now_us >= s->p->next_at_us;
}

/* ---- carrying out a row ---- */

/* The moment of the next question lies in the row, so that a restart finds it again. */
static void watch(struct step *s, int64_t from_us)
{
    struct payout *p = s->p;
    bool watched =
        in(UNDECIDED, (int)p->status) && p->provider_ref[0] != '\0' &&
        (p->request == PAYOUT_REQUEST_SUBMITTED || p->request == PAYOUT_REQUEST_UNCERTAIN);
    int64_t wait = p->status == PAYOUT_PROCESSING
                       ? schedule_wait_or_last_us(&s->rules->poll, p->poll_n)
                       : schedule_wait_us(&s->rules->recon, p->poll_n);
    wait = schedule_jitter_us(wait, s->ev->random);
    p->next_at_us = watched && wait != TIME_NEVER ? from_us + wait : TIME_NEVER;
}

/* Takes a text into a field that is still empty; false if nothing is learned. */
static bool learn(char *field, size_t cap, struct str text)
{
    if (field[0] != '\0' || str_empty(text) || text.p[0] == '\0')
        return false;
    str_copy_c(field, cap, text);
    return true;
}

static void set_failure(struct payout *p, enum failure_code code, struct str provider_code,
                        struct str message)
{
    p->failure = code;
    str_copy_c(p->failure_provider_code, sizeof p->failure_provider_code, provider_code);
    failure_words(p->failure_message, sizeof p->failure_message, message);
}

static void dispatch(struct step *s)
{
    struct payout *p = s->p;
    if (p->n == 0 || !s->ev->again)
        p->n++;
    p->sent_at_us = s->now_us;
    p->answered_at_us = 0;
    p->poll_n = 0;
    set_failure(p, FAILURE_NONE, STR_NULL, STR_NULL);
    /* where the provider takes our id as its reference */
    str_copy_c(p->provider_ref, sizeof p->provider_ref, s->ev->provider_ref);
}

static void park(struct step *s)
{
    struct payout *p = s->p;
    int64_t wait = schedule_wait_us(&s->rules->park, p->park_n++);
    p->next_at_us = s->now_us + schedule_jitter_us(wait, s->ev->random);
}

static void hear(struct step *s)
{
    struct payout *p = s->p;
    const struct payout_event *ev = s->ev;
    if (ev->kind == PAYOUT_EVENT_TICK)
        return;
    /* the provider's own reference replaces ours */
    if (current(s) && ev->kind == PAYOUT_EVENT_ACCEPTED && !str_empty(ev->provider_ref))
        p->provider_ref[0] = '\0';
    if (ev->kind != PAYOUT_EVENT_AMBIGUOUS)
        p->answered_at_us = s->now_us;
    if (current(s))
        (void)learn(p->provider_ref, sizeof p->provider_ref, ev->provider_ref);
    bool paid = ev->kind == PAYOUT_EVENT_RETURN || (ev->kind == PAYOUT_EVENT_SUCCESS && sound(s));
    if (paid && p->status != PAYOUT_COMPLETED && !str_empty(ev->receipt))
        str_copy_c(p->receipt, sizeof p->receipt, ev->receipt);
}

static void enter(struct step *s, enum payout_status from, const struct row *row)
{
    struct payout *p = s->p;
    const struct payout_event *ev = s->ev;
    enum failure_code code = ev->code == FAILURE_NONE ? FAILURE_PROVIDER_ERROR : ev->code;
    switch (p->status) {
    case PAYOUT_PROCESSING:
        dispatch(s);
        break;
    case PAYOUT_PARKED:
        set_failure(p, code, ev->provider_code, ev->message);
        park(s);
        break;
    case PAYOUT_COMPLETED:
        p->late = !states[from].held;
        p->completed_at_us = s->now_us;
        p->paid_n = ev->request == 0 ? p->n : ev->request;
        set_failure(p, FAILURE_NONE, STR_NULL, STR_NULL);
        break;
    case PAYOUT_FAILED:
    case PAYOUT_RETURNED:
        set_failure(p, code, ev->provider_code, ev->message);
        break;
    case PAYOUT_IN_RECONCILIATION:
        if (p->recon_since_us == 0)
            p->recon_since_us = s->now_us;
        p->poll_n = 0;
        set_failure(p,
                    row->exception == PAYOUT_EXCEPTION_STUCK ? FAILURE_UNKNOWN_OUTCOME
                                                             : FAILURE_INTEGRITY,
                    STR_NULL, STR_NULL);
        break;
    case PAYOUT_CANCELLED:
    case PAYOUT_REJECTED:
    case PAYOUT_QUEUED:
    case PAYOUT_PENDING_APPROVAL:
    case PAYOUT_N_STATES:
        p->next_at_us = TIME_NEVER;
        break;
    }
}

static void move(struct step *s, const struct row *row)
{
    struct payout *p = s->p;
    struct payout_effects *out = s->out;
    enum payout_status from = p->status;
    bool stays = row->to == PAYOUT_STAY, keeps = row->request_to == PAYOUT_REQUEST_KEEP;
    if (stays && keeps && row->exception == PAYOUT_EXCEPTION_NONE)
        return; /* repeated */
    out->changed = true;
    out->money = row->money;
    out->exception = row->exception;
    if (s->ev->request != 0 || s->ev->kind == PAYOUT_EVENT_SUCCESS)
        hear(s);
    if (!keeps) {
        p->request = (enum payout_request)row->request_to;
        out->action = request_actions[p->request];
    }
    if (!stays) {
        p->status = (enum payout_status)row->to;
        if (p->status != from) {
            p->version++;
            out->notice = notices[p->status];
            out->action =
                s->ev->kind == PAYOUT_EVENT_APPROVE ? "payout.approved" : notices[p->status];
        }
        enter(s, from, row);
    } else if (row->exception != PAYOUT_EXCEPTION_NONE) {
        out->action = row->exception == PAYOUT_EXCEPTION_TWICE ? "payout.paid_twice"
                                                               : "payout.integrity_failure";
    }
    if (p->status != PAYOUT_PARKED)
        watch(s, p->status == PAYOUT_PROCESSING ? p->sent_at_us : s->now_us);
}

/* An event that moves nothing: repeated, out of date or undecided. */
static void add_facts(struct step *s)
{
    struct payout *p = s->p;
    const struct payout_event *ev = s->ev;
    bool undecided = ev->kind == PAYOUT_EVENT_STILL_PENDING || ev->kind == PAYOUT_EVENT_UNREACHABLE;
    bool reference = payout_is_open(p) && current(s) &&
                     learn(p->provider_ref, sizeof p->provider_ref, ev->provider_ref);
    bool receipt = p->status == PAYOUT_COMPLETED && ev->kind == PAYOUT_EVENT_SUCCESS &&
                   same_reference(s) && learn(p->receipt, sizeof p->receipt, ev->receipt);
    int64_t next = p->next_at_us;
    if (reference || (undecided && in(UNDECIDED, (int)p->status)))
        watch(s, s->now_us);
    /* paid by a query's word, which named no amount; the callback names another one */
    if (receipt && !same_amount(s))
        s->out->exception = PAYOUT_EXCEPTION_INTEGRITY;
    s->out->changed = reference || receipt || p->next_at_us != next;
    if (s->out->changed)
        s->out->action = receipt     ? "payout.receipt"
                         : reference ? "payout.reference"
                                     : "payout.undecided";
}

/* ---- words ---- */

const char *payout_status_word(enum payout_status s)
{
    ASSERT((unsigned)s < PAYOUT_N_STATES);
    return states[s].word;
}

bool payout_status_parse(struct str word, enum payout_status *out)
{
    for (int i = 0; i < PAYOUT_N_STATES; i++) {
        if (str_eq(word, str_c(states[i].word))) {
            *out = (enum payout_status)i;
            return true;
        }
    }
    return false;
}

const char *payout_notice_type(enum payout_status s)
{
    ASSERT((unsigned)s < PAYOUT_N_STATES);
    return notices[s];
}

bool payout_status_final(enum payout_status s)
{
    ASSERT((unsigned)s < PAYOUT_N_STATES);
    return states[s].final;
}

bool payout_status_held(enum payout_status s)
{
    ASSERT((unsigned)s < PAYOUT_N_STATES);
    return states[s].held;
}

const char *payout_request_word(enum payout_request r)
{
    ASSERT((unsigned)r < PAYOUT_N_REQUESTS);
    return request_words[r];
}

bool payout_request_parse(struct str word, enum payout_request *out)
{
    for (int i = 0; i < PAYOUT_N_REQUESTS; i++) {
        if (str_eq(word, str_c(request_words[i]))) {
            *out = (enum payout_request)i;
            return true;
        }
    }
    return false;
}
