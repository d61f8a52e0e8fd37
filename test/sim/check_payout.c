/* What must hold of payouts when a world has come to rest: money is held before it goes, goes once,
 * and nothing is said to be paid or unpaid but by who knows. Written from domain.md 2.4 and 5, not
 * from the flows. What must hold the moment a request leaves is in out_sim.c. */
#include <stdio.h>

#include "core/base/times.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

#define CHECKED_OUTAGE_US (40 * US_PER_S)

#define SAY(p, fmt, ...)                                                      \
    sim_violation("payout %zu (%.*s, %.*s): " fmt, (size_t)((p)-mem.payouts), \
                  STR_ARG((p)->provider), STR_ARG((p)->status), __VA_ARGS__)

static bool is(const struct mem_payout *p, enum payout_status s)
{
    return str_eq(p->status, str_c(payout_status_word(s)));
}

static bool is_called_off(const struct mem_payout *p)
{
    return is(p, PAYOUT_CANCELLED) || is(p, PAYOUT_REJECTED);
}

static bool is_unpaid(const struct mem_payout *p)
{
    return is(p, PAYOUT_FAILED) || is_called_off(p);
}

static const struct payout_ask *ask_of(const struct mem_payout *p)
{
    for (const struct payout_ask *a = payout_asks(); a != NULL; a = a->next)
        if (a->key.p != NULL ? str_eq(a->key, p->idem_key) : uuid_eq(a->payout, p->id))
            return a;
    return NULL;
}

/* reli was told, in a way that it must have kept. */
static bool was_told(const struct fate *d)
{
    return d->heard || (d->told && w.longest_outage_us <= CHECKED_OUTAGE_US &&
                        check_kept_by(d->told_to, d->told_us));
}

static bool told_kind(const struct out *o, enum fate_kind kind)
{
    for (int i = 0; i < o->n_fates; i++)
        if (o->fates[i].kind == kind && was_told(&o->fates[i]))
            return true;
    return false;
}

static bool has_kind(const struct out *o, enum fate_kind kind)
{
    for (int i = 0; i < o->n_fates; i++)
        if (o->fates[i].kind == kind && o->fates[i].at_us <= w.now_us)
            return true;
    return false;
}

/* Its provider said that it would not be paid, and paid it all the same. */
static bool broke_its_word(const struct out *o)
{
    return o->denied || (o->n_fates == 2 && o->fates[0].kind == FATE_FAILED);
}

/* Of a request that was refused reli has no reference any more: what comes under its name is taken
 * for its own, and for people to look at. */
static bool is_mistaken(const struct mem_payout *p)
{
    for (const struct out *o = provider_outs(); o != NULL; o = o->next)
        if (uuid_eq(o->payout, p->id) && o->mixed_up && o->denied)
            return check_has_exception(p->id, "payout_late");
    return false;
}

/* Somebody is to look at it for a reason that excuses the rest. */
static bool is_noted(const struct mem_payout *p)
{
    return check_has_exception(p->id, "integrity_failure") ||
           check_has_exception(p->id, "callback_dead") || is_mistaken(p);
}

/* Two operators have said how it ended. */
static bool by_people(const struct mem_payout *p)
{
    for (size_t i = 0; i < mem.n_exceptions; i++) {
        const struct mem_exception *x = &mem.exceptions[i];
        if (uuid_eq(x->subject, p->id) && x->proposed_by.n > 0 &&
            (str_eq(x->resolution, STR("completed")) || str_eq(x->resolution, STR("failed"))))
            return true;
    }
    return false;
}

/* ---- one request ---- */

/* The provider has decided, reli has its reference, and questions were still due. */
static bool stopped_asking(const struct mem_payout *p, const struct out *o, const struct fate *d)
{
    bool asks = str_eq(p->request, STR("submitted")) || str_eq(p->request, STR("uncertain"));
    int64_t last_us = p->recon_since + 4 * US_PER_DAY;
    return is(p, PAYOUT_IN_RECONCILIATION) && asks && o->request == p->n && !w.clock_jumped &&
           str_eq(p->provider_ref, str_c(o->ref)) && w.epoch_us + d->at_us < last_us &&
           w.epoch_us + w.calm_us < last_us;
}

static void check_paid(const struct mem_payout *p, const struct out *o, const struct fate *d)
{
    if (d->amount.minor != p->amount) {
        if (was_told(d) && (d->heard || d->whole) && !is_noted(p) &&
            !check_has_exception(p->id, "double_payout"))
            SAY(p, "%s: another amount was paid, and nobody is to look at it", o->ref);
        return;
    }
    if (is_unpaid(p) && !broke_its_word(o))
        SAY(p, "%s was paid", o->ref);
    if (!is(p, PAYOUT_COMPLETED) && !is(p, PAYOUT_RETURNED) && !is_noted(p) && was_told(d))
        SAY(p, "%s was paid, and reli was told", o->ref);
    if (is(p, PAYOUT_RETURNED) && was_told(d) && !check_has_exception(p->id, "payout_late") &&
        !check_has_exception(p->id, "double_payout"))
        SAY(p, "%s was paid beside the one that came back, and nobody is to look at it", o->ref);
    if (o->denied && o->request < p->n && was_told(d) && !is_noted(p) &&
        !check_has_exception(p->id, "payout_late") && !check_has_exception(p->id, "double_payout"))
        SAY(p, "%s was refused and paid, and nobody is to look at it", o->ref);
}

static void check_out(const struct mem_payout *p, const struct out *o)
{
    const struct fate *d = out_fate(o, w.now_us);
    if (o->request > p->n || o->asked.minor != p->amount || p->n == 0) {
        SAY(p, "%s is no request of it", o->ref);
        return;
    }
    if (d == NULL && is_unpaid(p) && !o->denied && !o->vanished)
        SAY(p, "nobody knows what became of %s, and its money is free", o->ref);
    if (is_called_off(p) && !o->denied)
        SAY(p, "%s was sent and called off", o->ref);
    if (o->answered_us > 0 && o->request == p->n && p->provider_ref.n == 0 && !by_people(p) &&
        check_kept_by(o->answered_to, o->answered_us) && w.longest_outage_us <= CHECKED_OUTAGE_US)
        SAY(p, "the provider's reference %s was lost", o->ref);
    if (d == NULL)
        return;
    if (d->kind == FATE_PAID)
        check_paid(p, o, d);
    if (d->kind == FATE_BACK && d->heard && is(p, PAYOUT_COMPLETED) && !broke_its_word(o) &&
        !is_noted(p) && !check_has_exception(p->id, "payout_late"))
        SAY(p, "%s came back, and reli was told", o->ref);
    if (stopped_asking(p, o, d))
        SAY(p, "%s is decided, and reli has stopped asking", o->ref);
}

/* ---- all of a payout ---- */

/* Who says so: requests that were paid, and did not come back as far as reli knows; that came
 * back; that ended without money. */
struct truth {
    int n_paid, n_told, n_back, n_unpaid, n_vanished, n;
};

static struct truth truth_of(const struct mem_payout *p)
{
    struct truth t = {0};
    for (const struct out *o = provider_outs(); o != NULL; o = o->next) {
        if (!uuid_eq(o->payout, p->id))
            continue;
        check_out(p, o);
        t.n++;
        t.n_paid += has_kind(o, FATE_PAID);
        t.n_told +=
            told_kind(o, FATE_PAID) && !told_kind(o, FATE_BACK) && o->fates[0].kind != FATE_FAILED;
        t.n_back += has_kind(o, FATE_BACK);
        t.n_unpaid += has_kind(o, FATE_FAILED);
        t.n_vanished += o->vanished;
    }
    return t;
}

static void check_evidence(const struct mem_payout *p)
{
    struct truth t = truth_of(p);
    if (is(p, PAYOUT_COMPLETED) && t.n_paid == 0 && !is_noted(p))
        SAY(p, "%s", "nothing was paid");
    if (is(p, PAYOUT_RETURNED) && t.n_back == 0)
        SAY(p, "%s", "nothing has come back");
    if (is(p, PAYOUT_FAILED) && str_eq(p->request, STR("unpaid")) && t.n_unpaid == 0 &&
        t.n_back == 0 && !by_people(p))
        SAY(p, "%s", "nobody has said so");
    if (t.n_told > 1 && !check_has_exception(p->id, "double_payout") && !is_noted(p))
        SAY(p, "was paid %d times, and nobody is to look at it", t.n_told);
    if (p->late && !check_has_exception(p->id, "payout_late"))
        SAY(p, "%s", "was paid late, and nobody is to look at it");
}

static void check_rest(const struct mem_payout *p)
{
    const struct payout_ask *a = ask_of(p);
    if (is(p, PAYOUT_QUEUED) || is(p, PAYOUT_PARKED) || is(p, PAYOUT_PROCESSING))
        SAY(p, "%s", "has come to rest undecided");
    bool waits = is(p, PAYOUT_IN_RECONCILIATION);
    if (waits && !check_has_open(p->id, "stuck") && !check_has_open(p->id, "integrity_failure"))
        SAY(p, "%s", "waits for an operator who was not told");
    if (!waits && check_has_open(p->id, "stuck"))
        SAY(p, "%s", "an operator is asked what became of it");
    if (str_eq(p->request, STR("sending")) && !check_has_exception(p->id, "payout_late"))
        SAY(p, "%s", "is still being sent");
    if (a == NULL)
        return;
    bool above = a->approval_above > 0 && p->amount > a->approval_above;
    if (is(p, PAYOUT_PENDING_APPROVAL) && !above)
        SAY(p, "%s", "waits for nobody's approval");
    if (above && p->n > 0 && (p->approved_by.p == NULL || str_starts(p->approved_by, p->requester)))
        SAY(p, "%s", "nobody else has approved it");
    if (a->ended_by_word && uuid_eq(a->payout, p->id) && !is_called_off(p) &&
        !check_has_exception(p->id, "payout_late"))
        SAY(p, "%s", "was called off");
    if (is(p, PAYOUT_REJECTED) && !a->rejected && uuid_eq(a->payout, p->id) && w.n_faults == 0)
        SAY(p, "%s", "nobody has rejected it");
}

/* ---- books and events ---- */

/* Held from its beginning until it has ended; gone, if it went; back, if it came back. */
static void check_books(const struct mem_payout *p)
{
    int64_t held = check_moved(p->id, "hold"), used = check_moved(p->id, "hold_posted");
    int64_t freed = check_moved(p->id, "hold_voided"), paid = check_moved(p->id, "payout_paid");
    int64_t late = check_moved(p->id, "payout_paid_late");
    int64_t back = check_moved(p->id, "payout_returned"), all = p->amount;
    bool gone = is(p, PAYOUT_COMPLETED) || is(p, PAYOUT_RETURNED);
    bool over = gone || is_unpaid(p);
    if (held != all)
        SAY(p, "%lld of %lld were held", (long long)held, (long long)all);
    if (used + freed != (over ? all : 0) || (used != 0 && freed != 0))
        SAY(p, "of its hold %lld were used, %lld given back", (long long)used, (long long)freed);
    if (paid != used || late != (gone && freed > 0 ? all : 0))
        SAY(p, "%lld have gone, and %lld late", (long long)paid, (long long)late);
    if (p->late != (late > 0))
        SAY(p, "%s", late > 0 ? "does not say that it was late" : "says that it was late");
    if (back != (is(p, PAYOUT_RETURNED) ? all : 0))
        SAY(p, "%lld have come back", (long long)back);
    if (check_booked(p->id, "provider_receivable") != back - paid - late)
        SAY(p, "%s", "the provider's account does not agree");
}

static void check_events(const struct mem_payout *p)
{
    static const struct {
        const char *type;
        enum payout_status status;
        const char *after; /* the types before it; "" the first */
    } types[] = {
        {"payout.pending", PAYOUT_QUEUED, " payout.pending payout.parked"},
        {"payout.parked", PAYOUT_PARKED, "payout.processing"},
        {"payout.processing", PAYOUT_PROCESSING, "payout.pending"},
        {"payout.in_reconciliation", PAYOUT_IN_RECONCILIATION,
         "payout.processing payout.pending payout.parked"},
        {"payout.completed", PAYOUT_COMPLETED,
         "payout.processing payout.in_reconciliation payout.failed payout.cancelled payout.pending "
         "payout.parked"},
        {"payout.failed", PAYOUT_FAILED, "payout.processing payout.in_reconciliation"},
        {"payout.rejected", PAYOUT_REJECTED, "payout.pending"},
        {"payout.cancelled", PAYOUT_CANCELLED, "payout.pending payout.parked"},
        {"payout.returned", PAYOUT_RETURNED, "payout.completed"},
    };
    struct str before = STR("");
    for (int32_t seq = 1; seq <= p->version; seq++) {
        const struct mem_event *e = mem_event(p->id, seq);
        size_t i = 0;
        while (e != NULL && i < COUNT_OF(types) && !str_eq(e->type, str_c(types[i].type)))
            i++;
        if (e == NULL || i == COUNT_OF(types)) {
            SAY(p, "event %d is missing", (int)seq);
            return;
        }
        if (seq > 1 && str_find_str(str_c(types[i].after), before) == SIZE_MAX)
            SAY(p, "event %d cannot follow", (int)seq);
        if (seq == 1 && i != 0)
            SAY(p, "begins with %s", types[i].type);
        char status[64];
        const char *word = payout_status_word(types[i].status);
        if (i == 0 && str_find_str(e->data, STR("\"status\":\"pending_approval\"")) != SIZE_MAX)
            word = "pending_approval";
        int n = snprintf(status, sizeof status, "\"status\":\"%s\"", word);
        if (str_find_str(e->data, str_n(status, (size_t)n)) == SIZE_MAX)
            SAY(p, "event %d shows another state than %s", (int)seq, word);
        if (seq == p->version && !str_eq(p->status, str_c(word)))
            SAY(p, "its events end in %s", word);
        before = e->type;
    }
    if (mem_event(p->id, p->version + 1) != NULL)
        SAY(p, "%s", "has an event beyond its version");
}

/* ---- what can still be paid out; who asked ---- */

/* What there was and was brought in, less what is held or has gone, and with what came back. */
static void check_wallet(void)
{
    int64_t left = mem.opening, there = 0;
    for (size_t i = 0; i < mem.n_transfers; i++) {
        const struct mem_transfer *t = &mem.transfers[i];
        bool in = str_eq(t->kind, STR("matured")) || str_eq(t->kind, STR("hold_voided")) ||
                  str_eq(t->kind, STR("payout_returned"));
        bool out = str_eq(t->kind, STR("matured_back")) || str_eq(t->kind, STR("hold"));
        left += in ? t->amount : 0;
        left -= out ? t->amount : 0;
    }
    for (size_t i = 0; i < mem.n_guarded; i++)
        there += mem.guarded[i].balance;
    if (left != there)
        sim_violation("%lld can be paid out, by the books %lld", (long long)there, (long long)left);
}

static void check_asks(void)
{
    for (const struct payout_ask *a = payout_asks(); a != NULL; a = a->next) {
        size_t n = 0;
        for (size_t i = 0; i < mem.n_payouts; i++)
            n += a->key.p != NULL && str_eq(mem.payouts[i].idem_key, a->key);
        if (n > (a->late ? 2u : 1u))
            sim_violation("a key has %zu payouts", n);
        if (a->refused && n > (a->late ? 1u : 0u))
            sim_violation("a key that was refused has a payout");
        if (a->n_open != 0)
            sim_violation("%d requests for a payout were never answered", a->n_open);
        if (!uuid_is_nil(a->payout) && mem_payout(a->payout) == NULL)
            sim_violation("an acknowledged payout is gone");
        if (a->unbuildable && n > 0)
            sim_violation("a payout is stored that cannot be sent");
    }
}

void check_payouts(void)
{
    for (size_t i = 0; i < mem.n_payouts; i++) {
        const struct mem_payout *p = &mem.payouts[i];
        check_evidence(p);
        check_rest(p);
        check_books(p);
        check_events(p);
        check_webhooks("a payout", p->id, p->callback_url);
        sim_trace_str(p->status);
        sim_trace((uint64_t)p->version);
    }
    check_wallet();
    check_asks();
}
