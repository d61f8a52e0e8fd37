/* What must hold of refunds when a world has come to rest: money goes back once, never more than
 * came in, and what nobody knows stays reserved. Written from domain.md 2.3, not from the flows. */
#include "core/base/times.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

#define CHECKED_OUTAGE_US (40 * US_PER_S)

#define SAY(r, fmt, ...)                                                                    \
    sim_violation("refund %zu (%.*s, of payment %zu): " fmt, (size_t)((r)-mem.refunds),     \
                  STR_ARG((r)->status), (size_t)(mem_payment((r)->payment) - mem.payments), \
                  __VA_ARGS__)

static bool is(const struct mem_refund *r, enum refund_status s)
{
    return str_eq(r->status, str_c(refund_status_word(s)));
}

static bool is_unpaid(const struct mem_refund *r)
{
    return is(r, REFUND_FAILED) || is(r, REFUND_REJECTED) || is(r, REFUND_CANCELLED);
}

static const struct mem_rail *rail_of(const struct mem_refund *r, const struct back *b)
{
    for (size_t i = 0; i < r->n_rails; i++)
        if (r->rails[i].n == b->attempt &&
            str_eq(r->rails[i].rail, str_c(refund_rail_word(b->rail))))
            return &r->rails[i];
    return NULL;
}

static const struct refund_ask *ask_of(const struct mem_refund *r)
{
    for (const struct refund_ask *a = refund_asks(); a != NULL; a = a->next)
        if (uuid_eq(a->refund, r->id))
            return a;
    return NULL;
}

/* reli was told that this has gone back, in a way that it must have kept. */
static bool told_paid(const struct back *b, const struct decision *d)
{
    if (d->heard)
        return true;
    return b->told_paid && w.longest_outage_us <= CHECKED_OUTAGE_US &&
           check_kept_by(b->told_paid_to, b->told_paid_us);
}

/* Its provider said that it would never be paid, and paid it all the same. */
static bool broke_its_word(const struct back *b)
{
    return b->n_decisions == 2 && b->decisions[1].paid;
}

/* It was paid, and failed after all. */
static bool was_revoked(const struct back *b)
{
    return b->n_decisions == 2 && !b->decisions[1].paid;
}

static bool told_revoked(const struct back *b)
{
    if (b->decisions[1].heard)
        return true;
    return b->told_failed && w.longest_outage_us <= CHECKED_OUTAGE_US &&
           check_kept_by(b->told_failed_to, b->told_failed_us);
}

/* The provider had said that it was busy before it was asked once more. */
static bool asked_again(const struct back *before, const struct back *b)
{
    return back_was_busy(before) && before->decisions[0].at_us < b->arrived_us;
}

/* One request at a provider. */
static void check_back(const struct mem_refund *r, const struct back *b)
{
    const struct decision *d = back_decided(b, w.now_us);
    const struct mem_rail *rail = rail_of(r, b);
    bool noted = check_has_exception(r->id, "callback_dead");
    if (rail == NULL) {
        SAY(r, "%s was sent before it was stored", b->ref);
        return;
    }
    if (str_eq(rail->status, STR("sending")))
        SAY(r, "%s is still being sent", b->ref);
    if (b->asked.minor != r->amount)
        SAY(r, "%s asks for another amount", b->ref);
    for (const struct back *o = b->next; o != NULL; o = o->next)
        if (uuid_eq(o->refund, b->refund) &&
            (o->attempt == b->attempt || (o->rail == b->rail && !asked_again(o, b))))
            SAY(r, "%s and %s: sent twice", o->ref, b->ref);
    if (d == NULL && is_unpaid(r))
        SAY(r, "nobody knows what became of %s, and its money is free", b->ref);
    if (was_revoked(b) && told_revoked(b) && !noted && str_eq(rail->status, STR("succeeded")))
        SAY(r, "%s failed after all, and reli was told", b->ref);
    if (d == NULL || !d->paid || d->amount.minor != r->amount)
        return;
    if (is_unpaid(r) && !broke_its_word(b))
        SAY(r, "%s was paid", b->ref);
    if (!is(r, REFUND_COMPLETED) && !noted && told_paid(b, d))
        SAY(r, "%s was paid, and reli was told", b->ref);
    if (b->answered_us > 0 && check_kept_by(b->answered_to, b->answered_us) &&
        w.longest_outage_us <= CHECKED_OUTAGE_US && rail->provider_ref.n == 0)
        SAY(r, "the provider's reference %s was lost", b->ref);
}

static int manual_paid(const struct mem_refund *r)
{
    int n = 0;
    for (size_t i = 0; i < r->n_rails; i++)
        n +=
            str_eq(r->rails[i].rail, STR("manual")) && str_eq(r->rails[i].status, STR("succeeded"));
    return n;
}

static void check_refund(const struct mem_refund *r)
{
    const struct refund_ask *a = ask_of(r);
    bool excused = false, untold = false, revoked = false;
    int n_paid = manual_paid(r);
    for (const struct back *b = provider_backs(); b != NULL; b = b->next) {
        if (!uuid_eq(b->refund, r->id))
            continue;
        const struct decision *d = back_decided(b, w.now_us);
        check_back(r, b);
        excused |= broke_its_word(b);
        untold |= was_revoked(b) && !told_revoked(b);
        revoked |= was_revoked(b); /* after a person had confirmed it, too */
        n_paid += d != NULL && d->paid;
    }
    if (manual_paid(r) > 0 && (a == NULL || !a->tried_confirm) && !operator_paid(r->id))
        SAY(r, "%s", "nobody has confirmed it");
    if (is(r, REFUND_COMPLETED) && n_paid == 0 && !untold)
        SAY(r, "%s", "nothing has gone back");
    if (n_paid > 1 && !excused)
        SAY(r, "has gone back %d times", n_paid);
    if (is(r, REFUND_PENDING) || is(r, REFUND_PROCESSING))
        SAY(r, "%s", "has come to rest undecided");
    bool waits = is(r, REFUND_IN_RECONCILIATION);
    bool asked = check_has_open(r->id, "stuck") || check_has_open(r->id, "refund_manual");
    if (waits && !asked && !check_has_open(r->id, "integrity_failure"))
        SAY(r, "%s", "waits for an operator who was not told");
    if (!waits && asked)
        SAY(r, "%s", "an operator is asked what became of it");
    if (a != NULL && a->ended_by_word && !is(r, REFUND_CANCELLED) && !is(r, REFUND_REJECTED))
        SAY(r, "%s", "was called off");
    if (a != NULL && a->confirmed && !is(r, REFUND_COMPLETED) && !revoked)
        SAY(r, "%s", "was confirmed");
    if ((is(r, REFUND_CANCELLED) || is(r, REFUND_REJECTED)) && r->n_rails > 0)
        SAY(r, "%s", "was sent and called off");
}

static bool is_noted(const struct mem_refund *r)
{
    return check_has_exception(r->id, "double_refund") ||
           check_has_exception(r->id, "refund_late") ||
           check_has_exception(r->id, "integrity_failure");
}

/* What providers and operators have paid of a refund; the part that was asked for: what a provider
 * adds to it is an integrity failure. What it paid against its word and told nobody is not known.
 */
static int64_t gone_of(const struct mem_refund *r)
{
    int64_t gone = manual_paid(r) * r->amount;
    for (const struct back *b = provider_backs(); b != NULL; b = b->next) {
        const struct decision *d = back_decided(b, w.now_us);
        if (uuid_eq(b->refund, r->id) && d != NULL && d->paid &&
            (!broke_its_word(b) || told_paid(b, d)))
            gone += d->amount.minor < r->amount ? d->amount.minor : r->amount;
    }
    return gone;
}

int64_t check_refunds(const struct mem_payment *p)
{
    int64_t completed = 0, reserved = 0, excess = 0, gone = 0;
    bool noted = false;
    size_t n = (size_t)(p - mem.payments);
    for (size_t i = 0; i < mem.n_refunds; i++) {
        const struct mem_refund *r = &mem.refunds[i];
        if (!uuid_eq(r->payment, p->id))
            continue;
        check_refund(r);
        sim_trace_str(r->status);
        gone += gone_of(r);
        noted |= is_noted(r);
        if (is(r, REFUND_COMPLETED) && r->excess)
            excess += r->amount;
        else if (is(r, REFUND_COMPLETED))
            completed += r->amount;
        else if (!is_unpaid(r))
            reserved += r->amount;
        if (r->excess && !check_has_exception(r->id, "double_refund"))
            SAY(r, "%s", "was paid beyond what came in, and nobody is to look at it");
    }
    if (p->reserved != reserved)
        sim_violation("payment %zu: %lld are reserved, %lld are under way", n,
                      (long long)p->reserved, (long long)reserved);
    if (p->refunded != completed)
        sim_violation("payment %zu: %lld are refunded, %lld have gone back", n,
                      (long long)p->refunded, (long long)completed);
    if (p->refunded + p->reserved > p->received)
        sim_violation("payment %zu: more is given back than was received", n);
    const char *status = p->refunded == 0             ? "completed"
                         : p->refunded == p->received ? "refunded"
                                                      : "partially_refunded";
    if (p->received > 0 && !str_eq(p->status, str_c(status)))
        sim_violation("payment %zu: is %.*s with %lld of %lld refunded", n, STR_ARG(p->status),
                      (long long)p->refunded, (long long)p->received);
    if (gone > p->received && !noted)
        sim_violation("payment %zu: %lld of %lld have gone back, and nobody is to look at it", n,
                      (long long)gone, (long long)p->received);
    return completed + excess;
}

void check_refund_asks(void)
{
    for (const struct refund_ask *a = refund_asks(); a != NULL; a = a->next) {
        if (a->n_open != 0)
            sim_violation("%d requests for a refund were never answered", a->n_open);
        if (!uuid_is_nil(a->refund) && mem_refund(a->refund) == NULL)
            sim_violation("an acknowledged refund is gone");
    }
}
