/* Operators who work on the queue of exceptions: they look up at the provider what it made of a
 * request, one proposes how the item ends, another agrees; some try to agree with themselves. */
#include "core/base/times.h"
#include "core/flow/resolve.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

enum { MAX_VISITS = 8, TRIES_MAX = 8 };
#define EVIDENCE STR("the provider's portal")

/* One item, from the first look to its end. */
struct visit {
    struct process *process;
    struct uuid item, subject;
    enum exception_resolution resolution;
    bool same_person, agreeing;
    int tries;
};

static struct {
    size_t n;
    struct uuid by_hand[MAX_VISITS];
} operators;

bool operator_paid(struct uuid refund)
{
    for (size_t i = 0; i < operators.n; i++)
        if (uuid_eq(operators.by_hand[i], refund))
            return true;
    return false;
}

/* ---- how it ends ---- */

static bool look_up_payment(const struct mem_exception *x, enum exception_resolution *out)
{
    const struct mem_payment *p = mem_payment(x->subject);
    const struct prompt *q = provider_prompts();
    while (q != NULL && !uuid_eq(q->payment, x->subject))
        q = q->next;
    const struct decision *d = q != NULL ? prompt_decided(q, w.now_us) : NULL;
    bool outcome = p != NULL && str_eq(p->status, STR("in_reconciliation"));
    if (x->amount > 0) {
        static const enum exception_resolution all[] = {RESOLUTION_COMPLETED, RESOLUTION_FAILED,
                                                        RESOLUTION_KEPT, RESOLUTION_RETURNED};
        *out = all[(outcome ? 0 : 2) + sim_below(2)];
        return true;
    }
    if (q != NULL && d == NULL)
        return false; /* the provider does not know either */
    *out = d != NULL && d->paid ? RESOLUTION_COMPLETED : RESOLUTION_FAILED;
    return d == NULL || !d->paid || d->amount.minor == mem_asked(p);
}

static bool look_up_refund(const struct mem_exception *x, enum exception_resolution *out)
{
    const struct mem_refund *r = mem_refund(x->subject);
    bool paid = false, open = false, by_hand = false;
    for (const struct back *b = provider_backs(); b != NULL; b = b->next) {
        const struct decision *d =
            uuid_eq(b->refund, x->subject) ? back_decided(b, w.now_us) : NULL;
        open |= uuid_eq(b->refund, x->subject) && d == NULL;
        paid |= d != NULL && d->paid;
    }
    for (size_t i = 0; r != NULL && i < r->n_rails; i++)
        by_hand |= str_eq(r->rails[i].rail, STR("manual"));
    *out = paid || (by_hand && sim_below(3) > 0) ? RESOLUTION_COMPLETED : RESOLUTION_FAILED;
    return !open && !(paid && by_hand);
}

/* It is not decided while any request of it is open. */
static bool look_up_payout(const struct mem_exception *x, enum exception_resolution *out)
{
    const struct mem_payout *p = mem_payout(x->subject);
    bool paid = false, open = false, right = false;
    for (const struct out *o = provider_outs(); o != NULL; o = o->next) {
        if (!uuid_eq(o->payout, x->subject))
            continue;
        const struct fate *d = out_fate(o, w.now_us);
        open |= d == NULL && !o->vanished;
        paid |= d != NULL && d->kind == FATE_PAID;
        right |= d != NULL && d->kind == FATE_PAID && d->amount.minor == p->amount;
    }
    *out = paid ? RESOLUTION_COMPLETED : RESOLUTION_FAILED;
    if (paid && !right && sim_below(2) == 0) /* another amount: they settle it by hand */
        *out = RESOLUTION_FAILED;
    if (!str_eq(p->status, STR("in_reconciliation")))
        *out = RESOLUTION_NOTED;
    return !open;
}

static bool decide(struct visit *v, const struct mem_exception *x)
{
    static const char *const outcomes[] = {"stuck", "integrity_failure", "refund_manual"};
    v->item = x->id;
    v->subject = x->subject;
    v->resolution = RESOLUTION_NOTED;
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        if (str_eq(x->kind, str_c(outcomes[i])))
            return mem_payout(x->subject) != NULL   ? look_up_payout(x, &v->resolution)
                   : mem_refund(x->subject) != NULL ? look_up_refund(x, &v->resolution)
                                                    : look_up_payment(x, &v->resolution);
    return true;
}

/* ---- the two ---- */

static void visit_go(void *ctx);

static void again(struct visit *v)
{
    if (++v->tries < TRIES_MAX)
        event_in(sim_between(US_PER_S, 5 * US_PER_MIN), NULL, visit_go, v);
}

static void done(void *ctx, struct err err, const char *detail, const struct exception_record *rec)
{
    struct visit *v = ctx;
    (void)detail;
    sim_say("exception is answered %d", (int)err.code);
    sim_trace((uint64_t)err.code);
    switch (err.code) {
    case ERR_NONE:
        /* What ended because two people ended another item of the subject has evidence of its own.
         */
        if (v->same_person && v->agreeing && resolution_needs_two(v->resolution) &&
            str_eq(rec->resolution, str_c(resolution_word(v->resolution))) &&
            str_starts(rec->resolved_by, rec->proposer) && str_eq(rec->evidence, EVIDENCE))
            sim_violation("one person has ended an exception alone");
        v->agreeing = true;
        if (!str_eq(rec->status, STR("resolved")))
            again(v);
        break;
    case ERR_UNAVAILABLE:
    case ERR_AMBIGUOUS:
    case ERR_CONFLICT:
        again(v);
        break;
    case ERR_INVALID_STATE: /* the outcome has become known meanwhile */
        break;
    case ERR_FORBIDDEN:
        v->same_person &= !v->agreeing;
        v->agreeing = !v->agreeing; /* the proposal was made, or another one was since */
        again(v);
        break;
    default:
        sim_violation("an exception is answered %d", (int)err.code);
        break;
    }
}

static void visit_start(void *ctx)
{
    struct visit *v = ctx;
    bool first = !v->agreeing || v->same_person;
    struct resolve_input in = {
        .merchant = mem.merchant,
        .item = v->item,
        .resolution = v->resolution,
        .evidence = EVIDENCE,
        .actor = !first        ? STR("operator:b")
                 : v->agreeing ? STR("operator:a-2")
                               : STR("operator:a"),
        .person = first ? STR("operator:a") : STR("operator:b"),
    };
    exception_resolve_start(&v->process->flow, &in, done, v);
}

static const struct mem_exception *some_open(void)
{
    size_t from = mem.n_exceptions > 0 ? sim_below((uint32_t)mem.n_exceptions) : 0;
    for (size_t i = 0; i < mem.n_exceptions; i++) {
        const struct mem_exception *x = &mem.exceptions[(from + i) % mem.n_exceptions];
        if (str_eq(x->status, STR("open")))
            return x;
    }
    return NULL;
}

static void visit_go(void *ctx)
{
    struct visit *v = ctx;
    const struct mem_exception *x = uuid_is_nil(v->item) ? some_open() : NULL;
    v->process = process_any();
    if (v->process == NULL || (uuid_is_nil(v->item) && (x == NULL || !decide(v, x)))) {
        v->item = UUID_NIL;
        return;
    }
    if (mem_refund(v->subject) != NULL && v->resolution == RESOLUTION_COMPLETED &&
        !operator_paid(v->subject)) {
        ASSERT(operators.n < COUNT_OF(operators.by_hand));
        operators.by_hand[operators.n++] = v->subject;
    }
    sim_say("an operator says %s", resolution_word(v->resolution));
    (void)process_run(v->process, visit_start, v);
}

void operators_begin(void)
{
    operators.n = 0;
    for (uint32_t n = sim_below(MAX_VISITS + 1); n > 0; n--) {
        struct visit *v = world_alloc(sizeof *v);
        v->same_person = sim_below(6) == 0;
        int64_t at_us = sim_below(3) == 0 ? sim_between(0, 40 * US_PER_MIN)
                                          : sim_between(10 * US_PER_MIN, 3 * US_PER_DAY);
        event_at(at_us, NULL, visit_go, v);
    }
}
