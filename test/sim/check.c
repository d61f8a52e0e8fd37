/* What must hold when a world has come to rest. Written from domain.md, not from the flows. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/flow/account.h"
#include "core/flow/deliver.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

#define SAY(p, fmt, ...)                                                        \
    sim_violation("payment %zu (%.*s, %.*s): " fmt, (size_t)((p)-mem.payments), \
                  STR_ARG((p)->provider), STR_ARG((p)->status), __VA_ARGS__)

/* How long a process must have lived after it was told something to have kept it, with a database
 * that was never away for longer than CHECKED_OUTAGE_US. */
#define KEEP_US (3 * US_PER_MIN)
#define CHECKED_OUTAGE_US (40 * US_PER_S)

static bool is(const struct mem_payment *p, enum payment_status s)
{
    return str_eq(p->status, str_c(payment_status_word(s)));
}

bool check_has_open(struct uuid subject, const char *kind)
{
    for (size_t i = 0; i < mem.n_exceptions; i++)
        if (uuid_eq(mem.exceptions[i].subject, subject) &&
            !str_eq(mem.exceptions[i].status, STR("resolved")) &&
            str_eq(mem.exceptions[i].kind, str_c(kind)))
            return true;
    return false;
}

bool check_has_exception(struct uuid payment, const char *kind)
{
    for (size_t i = 0; i < mem.n_exceptions; i++)
        if (uuid_eq(mem.exceptions[i].subject, payment) &&
            str_eq(mem.exceptions[i].kind, str_c(kind)))
            return true;
    return false;
}

bool check_kept_by(const struct process *p, int64_t told_us)
{
    return p->alive || p->died_us > told_us + p->frozen_us + KEEP_US;
}

/* Completed, and perhaps given back since. */
static bool is_paid(const struct mem_payment *p)
{
    return is(p, PAYMENT_COMPLETED) || is(p, PAYMENT_PARTIALLY_REFUNDED) || is(p, PAYMENT_REFUNDED);
}

/* ---- one payment and its provider ---- */

/* The provider had refused the request before, or never had it, when the next one came. It may have
 * changed its mind since (paid late) and the news of the refusal may have come last; but of the
 * money reli had nothing in its books yet. */
static bool was_over(const struct prompt *q, const struct prompt *next)
{
    if (prompt_decided(q, next->arrived_us) == NULL)
        return q->vanished && next->arrived_us > q->vanishes_us;
    bool known = q->told_paid &&
                 q->told_paid_us + q->told_paid_to->frozen_us + KEEP_US < next->sent_us &&
                 check_kept_by(q->told_paid_to, q->told_paid_us);
    return !q->decisions[0].paid && !known;
}

/* One request for each attempt, and no two from which money may come at once. */
static void check_prompts(const struct mem_payment *p)
{
    if (p->n_attempts > 3)
        SAY(p, "%s", "a fourth attempt");
    for (const struct prompt *q = provider_prompts(); q != NULL; q = q->next)
        for (const struct prompt *r = q->next; r != NULL; r = r->next) {
            if (!uuid_eq(q->payment, p->id) || !uuid_eq(r->payment, p->id))
                continue;
            if (q->attempt == r->attempt)
                SAY(p, "%s", "was charged twice");
            else if (!was_over(r, q)) /* the newest is the first */
                SAY(p, "was charged as %s while %s was open", q->ref, r->ref);
            if (q->provider == r->provider)
                SAY(p, "%s", "went to the same provider again");
        }
}

/* reli was told of the money in a way that it must have kept. */
static bool told_paid(const struct prompt *q, const struct decision *d)
{
    if (d->heard)
        return true;
    return q->told_paid && q->told_paid_us >= d->at_us &&
           w.longest_outage_us <= CHECKED_OUTAGE_US &&
           check_kept_by(q->told_paid_to, q->told_paid_us);
}

/* The provider knew of the money, reli its reference, and questions were still due. */
static bool asked_paid(const struct mem_payment *p, const struct prompt *q,
                       const struct decision *d)
{
    const struct mem_attempt *a = &p->attempts[q->attempt - 1];
    bool open = str_eq(a->status, STR("submitted")) || str_eq(a->status, STR("uncertain"));
    bool watched = open || (!is(p, PAYMENT_IN_RECONCILIATION) && str_eq(a->status, STR("failed")));
    if (a->provider_ref.n == 0 || !watched || w.clock_jumped || d->receipt_reused)
        return false;
    int64_t paid_at = w.epoch_us + d->at_us;
    int64_t calm = w.epoch_us + w.calm_us;
    if (is(p, PAYMENT_IN_RECONCILIATION))
        return paid_at < p->recon_since + 4 * US_PER_DAY && calm < p->recon_since + 4 * US_PER_DAY;
    return paid_at < p->updated_at + 0 && calm < p->updated_at;
}

static void check_paid(const struct mem_payment *p, const struct prompt *q,
                       const struct decision *d)
{
    bool right = d->amount.minor == mem_asked(p);
    bool put_away =
        check_has_exception(p->id, "callback_dead") || check_has_exception(p->id, "receipt_taken");
    if (is_paid(p)) {
        if (!right && d->heard && !d->receipt_reused && !q->misled && !put_away &&
            !check_has_exception(p->id, "integrity_failure") &&
            !(p->n_attempts > 1 && check_has_exception(p->id, "double_success")))
            SAY(p, "%s", "another amount was paid and told, and nobody is to look at it");
        return;
    }
    if (right && !put_away && told_paid(q, d))
        SAY(p, "was paid as %s, and reli was told", q->ref);
    if (right && asked_paid(p, q, d))
        SAY(p, "was paid as %s, and reli has stopped asking", q->ref);
    if (!right && told_paid(q, d) && !put_away && !check_has_exception(p->id, "integrity_failure"))
        SAY(p, "another amount was paid as %s, and nobody is to look at it", q->ref);
}

/* Of one request: what reli must know of it. True if it was paid. */
static bool check_prompt(const struct mem_payment *p, const struct prompt *q)
{
    const struct decision *d = prompt_decided(q, w.now_us);
    bool known = (size_t)q->attempt <= p->n_attempts;
    if (!known) {
        SAY(p, "%s is no attempt of it", q->ref);
        return false;
    }
    const struct mem_attempt *a = &p->attempts[q->attempt - 1];
    if (!uuid_eq(a->account_id, provider_account(q->provider)))
        SAY(p, "%s went over another account", q->ref);
    if (d != NULL && d->paid)
        check_paid(p, q, d);
    if (q->answered_us > 0 && check_kept_by(q->answered_to, q->answered_us) &&
        w.longest_outage_us <= CHECKED_OUTAGE_US && a->provider_ref.n == 0)
        SAY(p, "the provider's reference %s was lost", q->ref);
    return d != NULL && d->paid;
}

/* Never a lie, never lost, never twice. */
static void check_truth(const struct mem_payment *p)
{
    int n_paid = 0, n_told = 0;
    check_prompts(p);
    for (const struct prompt *q = provider_prompts(); q != NULL; q = q->next) {
        if (!uuid_eq(q->payment, p->id))
            continue;
        const struct decision *d = prompt_decided(q, w.now_us);
        bool paid = check_prompt(p, q);
        n_paid += paid;
        n_told += paid && d->heard && !d->receipt_reused && !q->misled;
    }
    if (is_paid(p) && n_paid == 0)
        SAY(p, "%s", "nothing was paid");
    if (n_told > 1 && !check_has_exception(p->id, "double_success") &&
        !check_has_exception(p->id, "integrity_failure") &&
        !check_has_exception(p->id, "callback_dead") &&
        !check_has_exception(p->id, "receipt_taken"))
        SAY(p, "%s", "was paid twice, and nobody is to look at it");
    if (is(p, PAYMENT_PENDING) || is(p, PAYMENT_PROCESSING) || is(p, PAYMENT_REQUIRES_ACTION))
        SAY(p, "%s", "has come to rest undecided");
    if (is(p, PAYMENT_CANCELLED))
        SAY(p, "%s", "was cancelled after it was sent");
    bool waits = is(p, PAYMENT_IN_RECONCILIATION);
    if (waits && !check_has_open(p->id, "stuck") && !check_has_open(p->id, "integrity_failure"))
        SAY(p, "%s", "waits for an operator who was not told");
    if (!waits && check_has_open(p->id, "stuck"))
        SAY(p, "%s", "an operator is asked what became of it");
    for (size_t i = 0; i < p->n_attempts; i++)
        if (str_eq(p->attempts[i].status, STR("sending")))
            SAY(p, "%s", "an attempt is still being sent");
}

static void check_cash(const struct mem_payment *p, const struct order *o)
{
    if (!uuid_eq(p->id, o->payment)) { /* nobody knew of it */
        if (!is(p, PAYMENT_EXPIRED) && !is(p, PAYMENT_FAILED))
            SAY(p, "%s", "has ended, and nobody knew of it");
        return;
    }
    if (is_paid(p) && !o->tried_confirm)
        SAY(p, "%s", "nobody has confirmed it");
    if (is(p, PAYMENT_CANCELLED) && !o->tried_cancel)
        SAY(p, "%s", "nobody has cancelled it");
    if (o->confirmed && !is_paid(p))
        SAY(p, "%s", "was confirmed");
    if (o->cancelled && !is(p, PAYMENT_CANCELLED))
        SAY(p, "%s", "was cancelled");
    if (!is_paid(p) && !is(p, PAYMENT_CANCELLED) && !is(p, PAYMENT_EXPIRED) &&
        !is(p, PAYMENT_FAILED))
        SAY(p, "%s", "has come to rest undecided");
}

static const struct order *order_of(const struct mem_payment *p)
{
    for (const struct order *o = client_orders(); o != NULL; o = o->next)
        if (o->key.p != NULL ? str_eq(o->key, p->idem_key) : uuid_eq(o->payment, p->id))
            return o;
    return NULL;
}

/* ---- its books, its events ---- */

int64_t check_booked(struct uuid subject, const char *type)
{
    int64_t sum = 0;
    for (size_t i = 0; i < mem.n_transfers; i++) {
        const struct mem_transfer *t = &mem.transfers[i];
        if (!uuid_eq(t->payment, subject))
            continue;
        for (size_t k = 0; k < mem.n_accounts; k++) {
            bool named = str_eq(mem.accounts[k].type, str_c(type));
            sum += named && uuid_eq(mem.accounts[k].id, t->debit) ? t->amount : 0;
            sum -= named && uuid_eq(mem.accounts[k].id, t->credit) ? t->amount : 0;
        }
    }
    return sum;
}

int64_t check_moved(struct uuid subject, const char *kind)
{
    int64_t sum = 0;
    for (size_t i = 0; i < mem.n_transfers; i++)
        if (uuid_eq(mem.transfers[i].payment, subject) &&
            str_eq(mem.transfers[i].kind, str_c(kind)))
            sum += mem.transfers[i].amount;
    return sum;
}

/* How much came in by the payment's own journal; -1 if it is there twice. */
static int64_t received(const struct mem_payment *p)
{
    int64_t sum = 0;
    int n = 0;
    for (size_t i = 0; i < mem.n_transfers; i++) {
        const struct mem_transfer *t = &mem.transfers[i];
        if (!uuid_eq(t->payment, p->id))
            continue;
        if (!str_eq(t->currency, p->currency))
            SAY(p, "%s", "a transfer in another currency");
        n += uuid_eq(t->journal, p->id) && t->step == 1;
        sum += uuid_eq(t->journal, p->id) ? t->amount : 0;
    }
    return n > 1 ? -1 : sum;
}

/* What has gone back, what is the merchant's, and what is nobody's, all came in. */
static void check_books(const struct mem_payment *p)
{
    int64_t own = received(p), kept = check_moved(p->id, "unallocated_kept");
    int64_t nobodys = check_moved(p->id, "payment_unallocated"),
            returned = check_moved(p->id, "unallocated_returned");
    int64_t fee = is_paid(p) && own > 0 && !p->late && p->fee_due <= p->received ? p->fee_due : 0;
    if (nobodys > 0 && !check_has_exception(p->id, "integrity_failure") &&
        !check_has_exception(p->id, "double_success"))
        SAY(p, "%s", "money is unallocated, and nobody is to look at it");
    if (is_paid(p) ? own != mem_asked(p) && (own != 0 || kept < p->received) : own != 0)
        SAY(p, "%lld came in", (long long)own);
    if (p->received != (!is_paid(p) ? 0 : own > 0 ? own : p->received))
        SAY(p, "has received %lld", (long long)p->received);
    if (p->fee != fee || check_booked(p->id, "fees_income") != -fee)
        SAY(p, "its fee is %lld of %lld", (long long)p->fee, (long long)p->fee_due);
    if (kept + returned > nobodys ||
        check_booked(p->id, "unallocated") != kept + returned - nobodys)
        SAY(p, "%s", "unallocated money has gone");
    int64_t back = check_refunds(p);
    if (check_booked(p->id, "provider_receivable") != own + nobodys - returned - back)
        SAY(p, "the books say that the provider owes %lld",
            (long long)check_booked(p->id, "provider_receivable"));
    if (check_booked(p->id, "merchant_pending") != p->refunded + fee - own - kept)
        SAY(p, "the books say that the merchant has %lld",
            -(long long)check_booked(p->id, "merchant_pending"));
}

/* The states that its public events tell, one after the other, end in the one that it has. */
static void check_events(const struct mem_payment *p)
{
    static const struct {
        const char *type;
        enum payment_status status;
    } types[] = {{"payment.initiated", PAYMENT_PENDING},
                 {"payment.processing", PAYMENT_PROCESSING},
                 {"payment.requires_action", PAYMENT_REQUIRES_ACTION},
                 {"payment.in_reconciliation", PAYMENT_IN_RECONCILIATION},
                 {"payment.completed", PAYMENT_COMPLETED},
                 {"payment.failed", PAYMENT_FAILED},
                 {"payment.expired", PAYMENT_EXPIRED},
                 {"payment.cancelled", PAYMENT_CANCELLED}};
    enum payment_status now = PAYMENT_PENDING;
    for (int32_t seq = 1; seq <= p->version; seq++) {
        const struct mem_event *e = mem_event(p->id, seq);
        if (e == NULL) {
            SAY(p, "event %d is missing", (int)seq);
            return;
        }
        if (str_starts(e->type, STR("refund.")))
            continue;
        for (size_t i = 0; i < COUNT_OF(types); i++) {
            if (!str_eq(e->type, str_c(types[i].type)))
                continue;
            if (seq > 1 && !payment_may_move(now, types[i].status))
                SAY(p, "event %d cannot follow", (int)seq);
            now = types[i].status;
        }
        char status[64];
        int n = snprintf(status, sizeof status, "\"status\":\"%s\"", payment_status_word(now));
        if (now == PAYMENT_COMPLETED && str_find_str(e->data, STR("refunded\",\"")) != SIZE_MAX)
            continue;
        if (str_find_str(e->data, str_n(status, (size_t)n)) == SIZE_MAX)
            SAY(p, "event %d shows another state than %s", (int)seq, payment_status_word(now));
    }
    if (now == PAYMENT_COMPLETED ? !is_paid(p) : !is(p, now))
        SAY(p, "its events end in %s", payment_status_word(now));
    if (mem_event(p->id, p->version + 1) != NULL)
        SAY(p, "%s", "has an event beyond its version");
}

/* ---- webhooks ---- */

static bool wants(struct str filter, struct str type)
{
    if (str_eq(filter, STR("payment.*")))
        return str_starts(type, STR("payment."));
    return str_eq(filter, STR("*")) || str_find_str(filter, type) != SIZE_MAX;
}

static const struct mem_delivery *delivery_of(const struct mem_event *e, struct uuid endpoint)
{
    for (size_t i = 0; i < mem.n_deliveries; i++)
        if (uuid_eq(mem.deliveries[i].event, e->id) &&
            uuid_eq(mem.deliveries[i].endpoint, endpoint))
            return &mem.deliveries[i];
    return NULL;
}

static void check_delivery(const struct mem_delivery *d, struct str url)
{
    int n = receiver_n_taken(d->event, url);
    if (str_eq(d->status, STR("delivered")) && n == 0)
        sim_violation("a webhook is delivered that nobody has taken");
    if (str_eq(d->status, STR("dead")) && d->tries < 6 && d->last_http != 410)
        sim_violation("a webhook is given up after %d tries", (int)d->tries);
    if (!str_eq(d->status, STR("delivered")) && !str_eq(d->status, STR("dead")) &&
        !str_eq(d->status, STR("cancelled")))
        sim_violation("a webhook has come to rest %.*s", STR_ARG(d->status));
}

void check_webhooks(const char *what, struct uuid id, struct str callback_url)
{
    for (size_t i = 0; i < mem.n_events; i++) {
        const struct mem_event *e = &mem.events[i];
        if (!uuid_eq(e->payment, id))
            continue;
        const struct mem_delivery *d = delivery_of(e, id);
        if ((callback_url.p != NULL) != (d != NULL))
            sim_violation("%s: event %d has %s delivery to callback_url", what, (int)e->seq,
                          d != NULL ? "a" : "no");
        if (d != NULL)
            check_delivery(d, callback_url);
        for (size_t k = 0; k < mem.n_endpoints; k++) {
            const struct mem_endpoint *w_ = &mem.endpoints[k];
            d = delivery_of(e, w_->id);
            if (d == NULL && str_eq(w_->status, STR("enabled")) && wants(w_->events, e->type))
                sim_violation("%s: event %d has no delivery to an endpoint", what, (int)e->seq);
            if (d != NULL)
                check_delivery(d, w_->url);
        }
    }
}

/* ---- keys, references, callbacks, what is left ---- */

static void check_orders(void)
{
    for (const struct order *o = client_orders(); o != NULL; o = o->next) {
        size_t n = 0;
        for (size_t i = 0; i < mem.n_payments; i++)
            if (o->key.p != NULL && str_eq(mem.payments[i].idem_key, o->key))
                n++;
        if (n > (o->late ? 2u : 1u))
            sim_violation("a key has %zu payments", n);
        if (o->n_open != 0)
            sim_violation("%d requests of an order were never answered", o->n_open);
        const struct mem_payment *p = !uuid_is_nil(o->payment) ? mem_payment(o->payment) : NULL;
        if (!uuid_is_nil(o->payment) && p == NULL)
            sim_violation("an acknowledged payment is gone");
        if (p != NULL && p->amount != o->amount.minor &&
            !(o->rewritten && p->amount == o->amount.minor + 1000))
            sim_violation("an acknowledged payment has another amount");
    }
}

static void check_callbacks(void)
{
    for (const struct thanked *t = provider_thanked(); t != NULL; t = t->next) {
        bool found = false;
        for (size_t i = 0; i < mem.n_inbound; i++)
            found |= uuid_eq(mem.inbound[i].payment, t->subject);
        if (!found)
            sim_violation("a callback was thanked for and is gone");
    }
    for (size_t i = 0; i < mem.n_inbound; i++) {
        const struct mem_inbound *in = &mem.inbound[i];
        if (str_eq(in->state, STR("dead")) && !check_has_exception(in->payment, "callback_dead"))
            sim_violation("a callback is dead, and nobody is to look at it");
        if (!str_eq(in->state, STR("processed")) && !str_eq(in->state, STR("ignored")) &&
            !str_eq(in->state, STR("dead")))
            sim_violation("a callback has come to rest %.*s", STR_ARG(in->state));
    }
}

static void check_rest(void)
{
    for (size_t i = 0; i < mem.n_jobs; i++)
        sim_violation("a job is left: %.*s", STR_ARG(mem.jobs[i].kind));
    for (int i = 0; i < N_REPLICAS; i++) {
        struct process *p = w.replicas[i];
        if (p != NULL) {
            deliver_gate_free(&p->flow);
            accounts_free(&p->flow);
        }
        if (p == NULL)
            sim_violation("replica %d is down", i);
        else if (p->flow.busy != 0)
            sim_violation("%d operations of replica %d never end", p->flow.busy, i);
        else if (heap_n_live(p->n) != 1)
            sim_violation("replica %d leaks %lld pieces", i, (long long)heap_n_live(p->n) - 1);
    }
}

void check_world(void)
{
    for (size_t i = 0; i < mem.n_payments; i++) {
        const struct mem_payment *p = &mem.payments[i];
        const struct order *o = order_of(p);
        bool cash = str_eq(p->provider, STR("cash"));
        if (cash && o != NULL)
            check_cash(p, o);
        else if (!cash)
            check_truth(p);
        check_books(p);
        check_events(p);
        check_webhooks("a payment", p->id, p->callback_url);
        sim_trace_str(p->status);
        sim_trace((uint64_t)p->version);
    }
    check_orders();
    check_refund_asks();
    check_confirmers();
    check_payouts();
    check_callbacks();
    check_rest();
}
