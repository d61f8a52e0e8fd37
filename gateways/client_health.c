/* How each account is doing: what operations say of it at their end, what that means for the next
 * ones, and the gauges. The judgement is health.c's. */
#include <stdio.h>

#include "core/base/log.h"
#include "gateways/client_int.h"

void slot_health_init(struct slot_health *h, const struct gw_account *a)
{
    snprintf(h->labels, sizeof h->labels, "provider=\"%s\",account=\"%s\"", a->gateway->name,
             a->id);
    h->score = (struct metric)METRIC_GAUGE("reli_provider_health", h->labels,
                                           "Health of a provider account, 0 to 100");
    h->state =
        (struct metric)METRIC_GAUGE("reli_provider_breaker", h->labels,
                                    "Breaker of a provider account: 0 closed, 1 half open, 2 open");
}

void slot_health_drop(struct slot_health *h)
{
    metric_drop(&h->score);
    metric_drop(&h->state);
}

static enum health_kind kind_of(const struct op *op)
{
    bool by_operator = op->account.gateway->asked_by_operator;
    switch (op->kind) {
    case GW_OP_CHARGE:
        return HEALTH_CHARGE;
    case GW_OP_REFUND:
    case GW_OP_PAYOUT: /* with the same keys */
        return HEALTH_REFUND;
    case GW_OP_BALANCE:
    case GW_OP_REFUND_QUERY:
    case GW_OP_PAYOUT_QUERY:
        return by_operator ? HEALTH_REFUND : HEALTH_ASKS;
    default:
        return HEALTH_ASKS;
    }
}

enum health_refusal health_admit_op(struct op *op)
{
    struct gw_client *c = op->client;
    return health_admit(&slot_health(op->slot)->health, &c->health, kind_of(op),
                        loop_mono_us(c->loop), &op->probes);
}

/* An error that the gateway reads as the provider's own word, as 500 for "still pending", is an
 * answer like others. */
enum health_outcome health_of_answer(const struct op *op, const struct outbound_response *in)
{
    const struct gw_result *r = &op->result;
    if (in->outcome != OUTBOUND_ANSWERED || in->status == 429)
        return HEALTH_UNWELL;
    if (kind_of(op) == HEALTH_REFUND && r->code == FAILURE_CONFIGURATION &&
        (r->verdict == GW_REFUSED || (r->verdict == GW_UNKNOWN && !op_is_order(op))))
        return HEALTH_KEYS_REFUSED;
    bool moves = op->kind != GW_OP_CONFIRM && op->kind != GW_OP_CANCEL && op_is_order(op);
    if (r->verdict == GW_UNKNOWN) /* of a question it may only be a word that is new to us */
        return moves || in->status >= 500 ? HEALTH_UNWELL : HEALTH_WELL;
    if ((r->verdict == GW_ACCEPTED || r->verdict == GW_PENDING) && kind_of(op) == HEALTH_REFUND)
        return HEALTH_ANSWERED; /* a result will tell */
    if (r->verdict != GW_REFUSED)
        return HEALTH_WELL;
    bool unwell = r->retry_later || r->code == FAILURE_PROVIDER_BUSY ||
                  r->code == FAILURE_PROVIDER_UNAVAILABLE || r->code == FAILURE_PROVIDER_ERROR;
    return unwell ? HEALTH_UNWELL : HEALTH_WELL;
}

static void note(struct gw_client *c, struct slot *s, enum health_kind kind, unsigned probes,
                 enum health_outcome outcome)
{
    struct slot_health *h = slot_health(s);
    int64_t now_us = loop_mono_us(c->loop);
    struct health_view before = health_look(&h->health, &c->health, now_us);
    health_note(&h->health, &c->health, kind, probes, outcome, now_us);
    struct health_view after = health_look(&h->health, &c->health, now_us);
    if (before.state != after.state)
        log_warn("gateway.breaker", F_C("account", h->labels),
                 F_C("state", health_state_word(after.state)),
                 F_C("reason", after.reason != NULL ? after.reason : ""));
    if (before.money_out != after.money_out)
        log_warn("gateway.breaker_of_money_out", F_C("account", h->labels),
                 F_C("state", health_state_word(after.money_out)), F_C("reason", "credentials"));
}

void health_note_op(const struct op *op)
{
    note(op->client, op->slot, kind_of(op), op->probes, op->outcome);
}

void gw_client_told(struct gw_client *c, const struct gw_account *a, enum health_kind kind,
                    enum failure_code code)
{
    struct slot *s = slot_find(c, a);
    if (s != NULL)
        note(c, s, kind, 0, code == FAILURE_CONFIGURATION ? HEALTH_KEYS_REFUSED : HEALTH_WELL);
}

void gw_client_health_rules(struct gw_client *c, const struct health_rules *rules)
{
    c->health = *rules;
}

struct health_view gw_client_health(const struct gw_client *c, const struct gw_account *a)
{
    static const struct health none;
    struct slot *s = slot_find(c, a);
    return health_look(s != NULL ? &slot_health(s)->health : &none, &c->health,
                       loop_mono_us(c->loop));
}

void gw_client_measure(struct gw_client *c)
{
    for (struct slot *s = slot_next(c, NULL); s != NULL; s = slot_next(c, s)) {
        struct slot_health *h = slot_health(s);
        struct health_view v = health_look(&h->health, &c->health, loop_mono_us(c->loop));
        metric_set(&h->score, v.score);
        metric_set(&h->state, (int64_t)v.state);
    }
}
