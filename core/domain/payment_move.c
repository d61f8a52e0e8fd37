/* What a row of the payment machine means when it is taken: the fields that change, what is posted,
 * who is told, and when the provider is asked next. */
#include "core/domain/payment_int.h"

#include "core/domain/payment_watch.h"

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
    if (s->ev->renames && !str_empty(s->ev->provider_ref))
        s->a->provider_ref[0] = '\0';
    if (!learn(s->a->provider_ref, sizeof s->a->provider_ref, s->ev->provider_ref))
        return false;
    if (shown)
        memcpy(p->provider_ref, s->a->provider_ref, sizeof p->provider_ref);
    return true;
}

enum failure_code failure_of(const struct payment_event *ev)
{
    return ev->kind == PAYMENT_EVENT_NOT_FOUND || ev->code == FAILURE_NONE ? FAILURE_PROVIDER_ERROR
                                                                           : ev->code;
}

void attempt_move(struct step *s, const struct attempt_row *row)
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
    case PAYMENT_EVENT_STILL_PENDING: /* it was taken after all */
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
    failure_words(p->failure_message, sizeof p->failure_message, s->ev->message);
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
    if (p->fee_on_top && s->a != NULL) /* of the provider who took the money */
        p->fee_due_minor = s->a->amount.minor - p->amount.minor;
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

void payment_move(struct step *s, const struct payment_row *row)
{
    struct payment *p = s->p;
    enum payment_status from = p->status;
    enum payment_status to = row->to == PAYMENT_STAY ? from : (enum payment_status)row->to;
    bool told = to != from || row->on == PAYMENT_EVENT_DISPATCH;
    tell(s, told ? notices[to] : NOTICE_NONE);
    post(s, row->posting);
    s->out->changed = true;
    s->out->exception = row->exception;
    if (told)
        s->out->action = payment_actions[to];
    else if (row->exception != EXCEPTION_NONE)
        s->out->action = exception_actions[row->exception];
    else if (row->posting != POSTING_NONE)
        s->out->action = posting_actions[row->posting];
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

void watch_all(struct step *s)
{
    for (int i = 0; i < s->p->n_attempts; i++)
        watch_start(s->p, &s->p->attempts[i], s->rules, s->now_us, s->ev->random);
}

void add_facts(struct step *s)
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
