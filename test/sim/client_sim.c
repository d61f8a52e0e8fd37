/* Merchants' clients: they order, lose answers, ask again with the same key, cancel and confirm,
 * and remember what they were told. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/flow/charge.h"
#include "core/flow/move.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

enum { MAX_ORDERS = 6, TRIES_MAX = 60 };

/* One request for an order. */
struct request {
    struct request *next;
    struct order *order;
    struct process *process; /* that works on it; NULL: not sent, or answered */
    bool rewritten, late;
    struct charge_input input;
};

/* A wish of the merchant for an order. */
struct wish {
    struct order *order;
    struct process *process;
    enum payment_event_kind kind;
    bool wrong_amount;
    int tries;
};

static struct {
    struct order *orders;
    struct request *requests;
} client;

static void request_go(void *ctx);

struct order *client_orders(void)
{
    return client.orders;
}

static struct str problem(void *ctx, struct err err, const char *detail)
{
    (void)ctx, (void)err, (void)detail;
    return STR("{\"code\":\"duplicate_reference\"}");
}

/* ---- answers ---- */

static void again_later(struct request *r)
{
    struct order *o = r->order;
    if (o->key.p == NULL && o->reference.p == NULL)
        return; /* nothing would keep it from being a second payment */
    if (++o->tries > TRIES_MAX) {
        sim_violation("a request is never answered");
        return;
    }
    int64_t us = sim_between(US_PER_S, 20 * US_PER_S);
    if (o->tries > 6 && w.now_us < w.calm_us)
        us += w.calm_us - w.now_us;
    else if (o->tries > 6)
        us = sim_between(US_PER_S, o->tries > 30 ? 10 * US_PER_MIN : US_PER_MIN);
    event_in(us, NULL, request_go, r);
}

static void same_answer(struct order *o, const struct charge_result *result)
{
    if (result->recovered)
        return;
    if (o->answered_new && !result->replayed)
        sim_violation("one key is answered twice as if new");
    o->answered_new |= !result->replayed;
    if (o->body.p != NULL && (o->status != result->http_status || !str_eq(o->body, result->body)))
        sim_violation("a replay differs from the first answer:\n%d %.*s, then\n%d %.*s", o->status,
                      STR_ARG(o->body), result->http_status, STR_ARG(result->body));
    if (o->body.p == NULL)
        o->body = world_dup(result->body);
    o->status = result->http_status;
}

static void answer_take(struct request *r, const struct charge_result *result)
{
    struct order *o = r->order;
    struct uuid payment;
    if (result->is_problem) {
        if (result->http_status != 409 || o->reference.p == NULL)
            sim_violation("an order is refused with %d", result->http_status);
        if (o->key.p != NULL && !r->late && !uuid_is_nil(o->payment))
            sim_violation("an order that has a payment is refused");
        o->refused |= !r->late;
        return;
    }
    if (!uuid_parse(result->location, &payment)) {
        sim_violation("an answer without a payment");
        return;
    }
    if (result->http_status != 201 && result->http_status != 202)
        sim_violation("a payment is answered with %d", result->http_status);
    if (mem_payment(payment) == NULL)
        sim_violation("an answer names a payment that is not stored");
    if (r->late)
        return;
    if (o->key.p != NULL && !uuid_is_nil(o->payment) && !uuid_eq(o->payment, payment))
        sim_violation("one key has two payments");
    if (o->key.p != NULL && o->refused)
        sim_violation("a key that was refused has a payment");
    o->payment = payment;
    if (o->key.p != NULL)
        same_answer(o, result);
}

static void answered(void *ctx, struct err err, const struct charge_result *result)
{
    struct request *r = ctx;
    struct order *o = r->order;
    r->process = NULL;
    o->n_open--;
    sim_say("order %p is answered %d, %d%s%s", (void *)o, (int)err.code,
            err_is(err) ? 0 : result->http_status,
            !err_is(err) && result->replayed ? " (replay)" : "",
            !err_is(err) && result->recovered ? " (recovered)" : "");
    sim_trace((uint64_t)err.code);
    switch (err.code) {
    case ERR_NONE:
        sim_trace((uint64_t)result->http_status);
        answer_take(r, result);
        break;
    case ERR_UNAVAILABLE:
    case ERR_AMBIGUOUS:
    case ERR_OVERLOADED:
    case ERR_IDEMPOTENCY_IN_PROGRESS:
        again_later(r);
        break;
    case ERR_IDEMPOTENCY_KEY_REUSED:
        if (!o->rewritten)
            sim_violation("a key is said to be used with another request");
        break;
    default:
        sim_violation("an order is answered with error %d, %s", (int)err.code,
                      err.what != NULL ? err.what : "");
        break;
    }
}

void client_process_died(struct process *p)
{
    for (struct request *r = client.requests; r != NULL; r = r->next) {
        if (r->process != p)
            continue;
        r->process = NULL;
        r->order->n_open--;
        if (r->order->key.p != NULL || sim_below(2) == 0)
            again_later(r);
    }
}

/* ---- requests ---- */

static void input_fill(struct request *r)
{
    struct order *o = r->order;
    struct money amount = o->amount;
    if (r->rewritten)
        amount.minor += 1000;
    char text[32];
    int n = snprintf(text, sizeof text, "%lld", (long long)amount.minor);
    r->input = (struct charge_input){
        .merchant = mem.merchant,
        .actor = STR("api_key:sim"),
        .gateway = provider_gateway(o->provider),
        .method = str_c(o->routed ? "wallet" : provider_gateway(o->provider)->name),
        .routed = o->routed ? STR("{\"reason\":\"default\"}") : STR_NULL,
        .amount = amount,
        .customer_id = STR("c1"),
        .phone = o->phone,
        .reference = o->reference,
        .description = o->unbuildable ? STR("unbuildable") : STR("tea"),
        .callback_url = o->callback_url,
        .metadata = STR("{\"a\":1}"),
        .idem_key = o->key,
        .route = STR("POST /api/v1/payments"),
        .n_fields = 2,
        .fields = {{"amount", world_dup(str_n(text, (size_t)n))}, {"reference", o->reference}},
        .wait_us = sim_below(5) == 0 ? 5 * US_PER_S : 0,
        .problem = problem,
    };
}

static void request_start(void *ctx)
{
    struct request *r = ctx;
    charge_start(&r->process->flow, &r->input, answered, r);
}

static void request_go(void *ctx)
{
    struct request *r = ctx;
    struct process *p = process_any();
    if (p == NULL) {
        event_in(sim_between(US_PER_S, 10 * US_PER_S), NULL, request_go, r);
        return;
    }
    /* a quiet night: what the replicas do by the clock was stepped over */
    if (loop_next_jobs_us(p) < w.now_us - US_PER_HOUR)
        loop_fire(p, true);
    r->process = p;
    r->order->n_open++;
    r->order->n_calls++;
    sim_say("order %p goes to %d", (void *)r->order, p->replica);
    if (!process_run(p, request_start, r) && r->process == p)
        client_process_died(p);
}

static void request_at(struct order *o, int64_t at_us, bool rewritten, bool late)
{
    struct request *r = world_alloc(sizeof *r);
    r->order = o;
    r->rewritten = rewritten;
    r->late = late;
    r->next = client.requests;
    client.requests = r;
    input_fill(r);
    event_at(at_us, NULL, request_go, r);
}

/* ---- wishes ---- */

static void wish_go(void *ctx);

static void wish_done(void *ctx, struct err err, const struct move_result *result)
{
    struct wish *x = ctx;
    struct order *o = x->order;
    bool cancel = x->kind == PAYMENT_EVENT_CANCEL;
    sim_trace((uint64_t)err.code);
    switch (err.code) {
    case ERR_NONE:
        if (result->rec->p.status != (cancel ? PAYMENT_CANCELLED : PAYMENT_COMPLETED))
            sim_violation("a wish is granted, and the payment is %s",
                          payment_status_word(result->rec->p.status));
        o->cancelled |= cancel;
        o->confirmed |= !cancel;
        break;
    case ERR_UNAVAILABLE:
    case ERR_AMBIGUOUS:
    case ERR_CONFLICT:
        if (++x->tries < 4)
            event_in(sim_between(US_PER_S, 20 * US_PER_S), NULL, wish_go, x);
        break;
    case ERR_INVALID_STATE:
        break;
    case ERR_INVALID:
        if (!x->wrong_amount)
            sim_violation("the right amount is refused");
        break;
    default:
        sim_violation("a wish is answered %d", (int)err.code);
        break;
    }
}

static void wish_start(void *ctx)
{
    struct wish *x = ctx;
    const struct mem_payment *p = mem_payment(x->order->payment);
    struct money amount = x->order->amount;
    amount.minor += x->wrong_amount ? 100 : 0;
    if (p != NULL)
        amount.minor += mem_asked(p) - p->amount;
    struct move_request rq = {
        .merchant = mem.merchant,
        .payment = x->order->payment,
        .event = {.kind = x->kind, .source = SOURCE_API, .amount = amount},
        .actor = STR("api_key:sim"),
    };
    move_start(&x->process->flow, &rq, wish_done, x);
}

static void wish_go(void *ctx)
{
    struct wish *x = ctx;
    x->process = process_any();
    if (x->process == NULL || uuid_is_nil(x->order->payment)) {
        if (++x->tries < 4)
            event_in(sim_between(US_PER_S, US_PER_MIN), NULL, wish_go, x);
        return;
    }
    const struct mem_payment *p = mem_payment(x->order->payment);
    if (p != NULL && p->amount != x->order->amount.minor)
        return; /* the other amount has won the key */
    if (x->kind == PAYMENT_EVENT_CANCEL)
        x->order->tried_cancel = true;
    else
        x->order->tried_confirm |= !x->wrong_amount;
    (void)process_run(x->process, wish_start, x);
}

static void wish_at(struct order *o, int64_t at_us, enum payment_event_kind kind)
{
    struct wish *x = world_alloc(sizeof *x);
    *x = (struct wish){.order = o, .kind = kind, .wrong_amount = sim_below(10) == 0};
    event_at(at_us, NULL, wish_go, x);
}

/* ---- orders ---- */

static struct str text_of(const char *what, uint32_t n)
{
    char text[40];
    int len = snprintf(text, sizeof text, "%s-%010u-%06u", what, n, sim_below(10));
    return world_dup(str_n(text, (size_t)len));
}

static void order_plan(struct order *o)
{
    int64_t at_us = sim_between(0, sim_below(2) == 0 ? 2 * US_PER_S : 3 * US_PER_MIN);
    request_at(o, at_us, false, false);
    if (o->key.p != NULL) {
        while (sim_fault(FAULT_CLIENT_AT_ONCE))
            request_at(o, at_us + sim_between(0, 20 * US_PER_MS), false, false);
        while (sim_fault(FAULT_CLIENT_AGAIN))
            request_at(o,
                       at_us + (sim_below(2) == 0 ? sim_between(0, US_PER_MIN)
                                                  : sim_between(0, 22 * US_PER_HOUR)),
                       false, false);
        if (o->rewritten)
            request_at(o, at_us + sim_between(0, US_PER_MIN), true, false);
        if (o->late)
            request_at(o, at_us + sim_between(50 * US_PER_HOUR, 90 * US_PER_HOUR), false, true);
    }
    if (o->provider == PROVIDER_CASH) {
        for (uint32_t n = sim_below(3); n > 0; n--)
            wish_at(o, at_us + sim_between(0, sim_below(2) == 0 ? 10 * US_PER_MIN : 6 * US_PER_DAY),
                    PAYMENT_EVENT_CONFIRM);
        for (uint32_t n = sim_below(2); n > 0; n--)
            wish_at(o, at_us + sim_between(0, sim_below(2) == 0 ? 10 * US_PER_MIN : 6 * US_PER_DAY),
                    PAYMENT_EVENT_CANCEL);
        if (sim_below(6) == 0)
            wish_at(o, at_us + sim_between(0, 8 * US_PER_DAY), PAYMENT_EVENT_CANCEL);
    } else if (sim_below(8) == 0) {
        wish_at(o, at_us + sim_between(0, 20 * US_PER_MIN), PAYMENT_EVENT_CANCEL);
    }
}

void client_begin(void)
{
    client.orders = NULL;
    client.requests = NULL;
    uint32_t n = 1 + sim_below(MAX_ORDERS);
    for (uint32_t i = 0; i < n; i++) {
        struct order *o = world_alloc(sizeof *o);
        uint32_t kind = sim_below(20);
        o->provider = kind < 9 ? PROVIDER_ALPHA : kind < 16 ? PROVIDER_BETA : PROVIDER_CASH;
        o->amount = (struct money){100 * sim_between(2, 100000), CURRENCY('K', 'E', 'S')};
        o->phone = STR("+254711223344");
        o->unbuildable = sim_below(25) == 0;
        o->routed = o->provider != PROVIDER_CASH && sim_below(2) == 0;
        if (sim_below(4) > 0)
            o->key = text_of("key", i);
        if (sim_below(5) < 2)
            o->reference = text_of("order", i > 0 && sim_below(3) == 0 ? i - 1 : i);
        if (sim_below(4) == 0)
            o->callback_url = STR("https://shop.example/hook");
        o->rewritten = sim_below(20) == 0;
        o->late = sim_below(30) == 0 && o->reference.p != NULL;
        o->next = client.orders;
        client.orders = o;
        order_plan(o);
    }
}
