/* Money that leaves CPay's merchant: refunds and payouts. Both are pending first and end after
 * cpay_delay_ms; 103 never ends, 108 ends late. A payout of 111 comes back a second later. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "gateways/sandbox/cpay.h"

#define RETURN_US US_PER_S

static const struct cpay_fault full = {503, "unavailable", NULL, "The sandbox is full: reset it"};
static const struct cpay_fault not_found = {404, "not_found", NULL, "No such payment"};

static void money_answer(struct cpay_request *rq, int status, const struct cpay_money *m,
                         const char *outcome)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    enum cpay_trick trick = status == 201 ? m->script->trick : CPAY_TRICK_NONE;
    buf_init(&b, 4096);
    cpay_body_money(&w, m);
    if (trick == CPAY_TRICK_LOST_ANSWER)
        cpay_answer_lost(rq, status, buf_view(&b));
    else if (trick == CPAY_TRICK_SLOW)
        cpay_answer_after(rq, rq->c->s->chaos.slow_answer_ms * US_PER_MS, status, buf_view(&b),
                          outcome);
    else
        cpay_answer(rq, status, buf_view(&b), outcome);
    buf_free(&b);
}

/* ---- life ---- */

static void money_free(struct cpay_money *m)
{
    timer_off(m->c->s->loop, &m->step);
    free(m);
}

static void money_drop(struct payback *p)
{
    struct cpay_money *m = CONTAINER_OF(p, struct cpay_money, p);
    HASH_DELETE(hh_id, m->c->by_id, m);
    money_free(m);
}

static void payout_back(void *ctx)
{
    struct cpay_money *m = ctx;
    struct cpay_balance *b = cpay_balance(m->c, m->amount.currency);
    m->status = CPAY_RETURNED;
    m->sequence++;
    m->updated_us = loop_wall_us(m->c->s->loop);
    m->p.result_code = "returned";
    if (b != NULL)
        b->available += m->amount.minor;
    cpay_tell(m->c, "payout.returned", NULL, m, 0);
}

static void money_settle(void *ctx)
{
    struct cpay_money *m = ctx;
    struct sandbox *s = m->c->s;
    bool refund = m->of != NULL, paid = m->failure == NULL;
    if (!paid)
        m->status = CPAY_FAILED;
    else
        m->status = CPAY_COMPLETED;
    m->sequence++;
    m->updated_us = loop_wall_us(s->loop);
    m->p.result_code = paid ? "completed" : m->failure;
    if (paid)
        (void)str_copy_c(m->p.transaction_id, sizeof m->p.transaction_id, str_c(m->p.id));
    payback_settle(&s->paybacks, &m->p, paid ? PAYBACK_PAID : PAYBACK_FAILED, m->updated_us);
    if (refund) {
        m->of->refunding -= m->amount.minor;
        if (paid)
            cpay_life_refunded(m->of, m->amount.minor);
        cpay_tell(m->c, paid ? "refund.completed" : "refund.failed", NULL, m, 0);
        return;
    }
    struct cpay_balance *b = cpay_balance(m->c, m->amount.currency);
    if (b != NULL && !paid)
        b->available += m->amount.minor; /* it was taken when the payout began */
    cpay_tell(m->c, paid ? "payout.completed" : "payout.failed", NULL, m, 0);
    if (paid && m->script->trick == CPAY_TRICK_DISPUTE)
        timer_set(s->loop, &m->step, RETURN_US, payout_back, m);
}

/* NULL when the book is full. */
static struct cpay_money *money_new(struct cpay_request *rq, const struct cpay_order *in,
                                    struct cpay_payment *of)
{
    struct cpay *c = rq->c;
    struct cpay_money *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->c = c;
    m->of = of;
    m->amount = in->amount;
    m->script = cpay_script_of(in->amount.minor, in->phone);
    m->failure = m->script->failure;
    if (m->script->trick == CPAY_TRICK_NO_REFUND ||
        (of != NULL && of->script->trick == CPAY_TRICK_NO_REFUND))
        m->failure = "declined";
    m->created_us = m->updated_us = loop_wall_us(c->s->loop);
    m->sequence = 1;
    memcpy(m->data, in->data, sizeof m->data);
    m->p.provider = cpay_provider.name;
    m->p.kind = of != NULL ? "refund" : "payout";
    m->p.outcome = m->failure != NULL ? "fails" : m->script->words;
    m->p.queued_at_us = m->created_us;
    m->p.drop = money_drop;
    cpay_id(c, of != NULL ? "cpr_" : "cpo_", m->p.id);
    (void)str_copy_c(m->p.originator_id, sizeof m->p.originator_id, in->reference);
    (void)str_copy_c(m->p.organisation, sizeof m->p.organisation, str_c(c->key_id));
    (void)str_copy_c(m->p.receipt, sizeof m->p.receipt, str_c(of != NULL ? of->b.id : ""));
    (void)str_copy_c(m->p.phone, sizeof m->p.phone, of != NULL ? str_c(of->b.phone) : in->phone);
    (void)snprintf(m->p.amount, sizeof m->p.amount, "%lld", (long long)in->amount.minor);
    call_url_hash(str_c(c->s->chaos.cpay_webhook_url), m->p.url_hash);
    payback_key(str_c(m->p.kind), in->reference, m->p.key);
    unsigned len = (unsigned)strlen(m->p.id);
    HASH_ADD_KEYPTR(hh_id, c->by_id, m->p.id, len, m);
    if (m->hh_id.tbl == NULL) {
        money_free(m);
        return NULL;
    }
    if (err_is(payback_add(&c->s->paybacks, &m->p))) {
        money_drop(&m->p);
        return NULL;
    }
    return m;
}

static void begin(struct cpay_request *rq, struct cpay_money *m)
{
    struct sandbox *s = rq->c->s;
    (void)str_copy_c(rq->call.id, sizeof rq->call.id, str_c(m->p.id));
    memcpy(rq->call.url_hash, m->p.url_hash, sizeof rq->call.url_hash);
    bool late = m->script->trick == CPAY_TRICK_LATE;
    if (m->script->trick != CPAY_TRICK_WAIT)
        timer_set(s->loop, &m->step,
                  late ? s->chaos.late_delay_s * US_PER_S : s->chaos.cpay_delay_ms * US_PER_MS,
                  money_settle, m);
    money_answer(rq, 201, m, m->p.outcome);
}

/* One that exists under this reference; `*answered` if that was the answer. */
static bool again(struct cpay_request *rq, const struct cpay_order *in, const char *kind,
                  const struct cpay_payment *of)
{
    static const struct cpay_fault duplicate = {409, "duplicate_reference", "reference",
                                                "The reference is another one's"};
    char key[PAYBACK_KEY];
    payback_key(str_c(kind), in->reference, key);
    struct payback *p = payback_find(&rq->c->s->paybacks, key);
    if (p == NULL)
        return false;
    struct cpay_money *m = CONTAINER_OF(p, struct cpay_money, p);
    if (m->of != of || memcmp(m->data, in->data, sizeof m->data) != 0)
        cpay_refuse(rq, duplicate);
    else
        money_answer(rq, 200, m, "created before");
    return true;
}

/* ---- refunds ---- */

void cpay_refund_create(struct cpay_request *rq)
{
    static const struct cpay_fault unpaid = {409, "invalid_state", NULL,
                                             "Only what was paid can be refunded"};
    static const struct cpay_fault too_much = {409, "refund_exceeds_payment", "amount",
                                               "More than is left of the payment"};
    struct cpay_order in;
    struct cpay_payment *p = cpay_payment_find(rq->c, rq->x->params[0]);
    struct cpay_fault f = p == NULL ? not_found : cpay_check_refund(rq, &in);
    if (f.status != 0) {
        cpay_refuse(rq, f);
        return;
    }
    (void)str_copy_c(rq->call.phone, sizeof rq->call.phone, str_c(p->b.phone));
    if (again(rq, &in, "refund", p))
        return;
    int64_t left = p->amount.minor - p->refunded - p->refunding;
    in.amount.currency = p->amount.currency;
    if (in.amount.minor == 0)
        in.amount.minor = left;
    if (p->status != CPAY_COMPLETED && p->status != CPAY_PARTIALLY_REFUNDED) {
        cpay_refuse(rq, unpaid);
        return;
    }
    if (in.amount.minor > left || left == 0) {
        cpay_refuse(rq, too_much);
        return;
    }
    struct cpay_money *m = money_new(rq, &in, p);
    if (m == NULL) {
        cpay_refuse(rq, full);
        return;
    }
    p->refunding += in.amount.minor;
    begin(rq, m);
}

static void money_get(struct cpay_request *rq, bool refund)
{
    struct cpay_money *m = NULL;
    struct str id = rq->x->params[0];
    HASH_FIND(hh_id, rq->c->by_id, id.p, (unsigned)id.n, m);
    if (m == NULL || (m->of != NULL) != refund) {
        cpay_refuse(rq, not_found);
        return;
    }
    m->p.queries++;
    money_answer(rq, 200, m, "query");
}

void cpay_refund_get(struct cpay_request *rq)
{
    money_get(rq, true);
}

/* ---- payouts ---- */

void cpay_payout_create(struct cpay_request *rq)
{
    static const struct cpay_fault poor = {402, "insufficient_funds", "amount",
                                           "The balance is too low"};
    struct cpay_order in;
    struct cpay_fault f = cpay_check_payout(rq, &in);
    if (f.status != 0) {
        cpay_refuse(rq, f);
        return;
    }
    if (again(rq, &in, "payout", NULL))
        return;
    if (cpay_script_of(in.amount.minor, in.phone)->trick == CPAY_TRICK_BUSY &&
        cpay_sent_away(rq, in.reference))
        return;
    struct cpay_balance *b = cpay_balance(rq->c, in.amount.currency);
    if (b == NULL || b->available < in.amount.minor) {
        cpay_refuse(rq, poor);
        return;
    }
    struct cpay_money *m = money_new(rq, &in, NULL);
    if (m == NULL) {
        cpay_refuse(rq, full);
        return;
    }
    b->available -= in.amount.minor;
    begin(rq, m);
}

void cpay_payout_get(struct cpay_request *rq)
{
    money_get(rq, false);
}
