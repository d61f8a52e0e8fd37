/* What becomes of a payment of CPay, by its script (cpay_script.c) and the settings:
 *
 *   pending → processing → completed   half of cpay_delay_ms each
 *                        ↘ failed
 *   pending → expired                  at expires_at
 *
 * A payer with a page or a code in front of him starts when he has agreed. */
#include <string.h>

#include "core/base/times.h"
#include "gateways/sandbox/cpay.h"

#define DISPUTE_US US_PER_S
#define DISORDER_US (300 * US_PER_MS)
#define OPENING_BALANCE 1000000

static void work(void *ctx);
static void dispute(void *ctx);
static void dispute_lost(void *ctx);
static void expire(void *ctx);

static int64_t half_us(const struct cpay *c)
{
    return c->s->chaos.cpay_delay_ms * US_PER_MS / 2;
}

struct cpay_balance *cpay_balance(struct cpay *c, uint16_t currency)
{
    for (size_t i = 0; i < c->n_balances; i++)
        if (c->balances[i].currency == currency)
            return &c->balances[i];
    if (c->n_balances == CPAY_MAX_CURRENCIES)
        return NULL;
    c->balances[c->n_balances] =
        (struct cpay_balance){.currency = currency, .available = OPENING_BALANCE};
    return &c->balances[c->n_balances++];
}

static void account(struct cpay_payment *p, int64_t pending, int64_t available)
{
    struct cpay_balance *b = cpay_balance(p->c, p->amount.currency);
    if (b == NULL)
        return;
    b->pending += pending;
    b->available += available;
}

void cpay_life_begin(struct cpay_payment *p)
{
    struct loop *l = p->c->s->loop;
    account(p, p->amount.minor, 0);
    timer_set(l, &p->expiry, p->expires_us - p->created_us, expire, p);
    if (p->script->trick != CPAY_TRICK_WAIT && p->script->trick != CPAY_TRICK_CODE &&
        p->method == CPAY_WALLET)
        cpay_life_agree(p);
}

void cpay_life_agree(struct cpay_payment *p)
{
    if (p->script->trick != CPAY_TRICK_WAIT)
        timer_set(p->c->s->loop, &p->step, half_us(p->c), work, p);
}

static void move(struct cpay_payment *p, enum cpay_status to)
{
    p->status = to;
    p->sequence++;
    p->updated_us = loop_wall_us(p->c->s->loop);
}

static void work(void *ctx)
{
    struct cpay_payment *p = ctx;
    struct loop *l = p->c->s->loop;
    if (p->status == CPAY_PROCESSING) {
        if (p->script->failure != NULL)
            cpay_life_end(p, CPAY_FAILED, p->script->failure);
        else
            cpay_life_end(p, CPAY_COMPLETED, NULL);
        return;
    }
    bool late = p->script->trick == CPAY_TRICK_LATE;
    bool disorder = p->script->trick == CPAY_TRICK_DISORDER;
    move(p, CPAY_PROCESSING);
    timer_off(l, &p->expiry);
    cpay_tell(p->c, "payment.processing", p, NULL, disorder ? half_us(p->c) + DISORDER_US : 0);
    timer_set(l, &p->step, late ? p->c->s->chaos.late_delay_s * US_PER_S : half_us(p->c), work, p);
}

void cpay_life_end(struct cpay_payment *p, enum cpay_status to, const char *failure)
{
    static const char *const types[CPAY_N_STATUSES] = {
        [CPAY_COMPLETED] = "payment.completed",
        [CPAY_FAILED] = "payment.failed",
        [CPAY_CANCELLED] = "payment.cancelled",
        [CPAY_EXPIRED] = "payment.expired",
    };
    struct sandbox *s = p->c->s;
    bool paid = to == CPAY_COMPLETED;
    timer_off(s->loop, &p->step);
    timer_off(s->loop, &p->expiry);
    move(p, to);
    p->failure = failure;
    p->b.result_code = failure != NULL ? failure : cpay_status_word(to);
    account(p, -p->amount.minor, paid ? p->amount.minor : 0);
    if (paid)
        (void)str_copy_c(p->b.receipt, sizeof p->b.receipt, str_c(p->b.id));
    book_settle(&s->book, &p->b, paid ? BOOKING_PAID : BOOKING_FAILED, p->updated_us);
    cpay_tell(p->c, types[to], p, NULL, 0);
    if (paid &&
        (p->script->trick == CPAY_TRICK_DISPUTE || p->script->trick == CPAY_TRICK_DISPUTE_LOST))
        timer_set(s->loop, &p->step, DISPUTE_US, dispute, p);
}

static void dispute(void *ctx)
{
    struct cpay_payment *p = ctx;
    if (p->status != CPAY_COMPLETED)
        return;
    move(p, CPAY_DISPUTED);
    cpay_tell(p->c, "payment.disputed", p, NULL, 0);
    if (p->script->trick == CPAY_TRICK_DISPUTE_LOST)
        timer_set(p->c->s->loop, &p->step, DISPUTE_US, dispute_lost, p);
}

static void dispute_lost(void *ctx)
{
    struct cpay_payment *p = ctx;
    int64_t rest = p->amount.minor - p->refunded;
    if (p->status != CPAY_DISPUTED)
        return;
    p->refunded = p->b.reversed = p->amount.minor;
    account(p, 0, -rest);
    move(p, CPAY_REFUNDED);
    cpay_tell(p->c, "payment.dispute_closed", p, NULL, 0);
}

static void expire(void *ctx)
{
    struct cpay_payment *p = ctx;
    if (p->status == CPAY_PENDING)
        cpay_life_end(p, CPAY_EXPIRED, NULL);
}

/* No event of its own: that of the refund tells it. */
void cpay_life_refunded(struct cpay_payment *p, int64_t minor)
{
    p->refunded += minor;
    p->b.reversed = p->refunded;
    account(p, 0, -minor);
    move(p, p->refunded == p->amount.minor ? CPAY_REFUNDED : CPAY_PARTIALLY_REFUNDED);
}
