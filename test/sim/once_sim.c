/* Merchants who confirm a payment that is collected by hand with an idempotency key
 * (core/flow/once.h), as http/payment_change.c does: the same key again, at once, after a crash,
 * with another field. They remember what they were told; whether a key is held by two at once is
 * judged the moment it is given. */
#include "core/flow/once.h"

#include <stdio.h>

#include "core/base/times.h"
#include "core/flow/move.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

enum { TRIES_MAX = 90, ARENA = 64 * 1024 };

/* One key. */
struct keyed {
    struct keyed *next;
    struct order *order;
    struct str key;
    bool wrong_amount; /* refused, and that is its answer */
    bool with_code;    /* its provider is asked first, and may refuse it */
    bool rewritten;    /* also sent with another field */
    bool of_rewritten; /* the answer is that one's */
    int n_open;
    struct str body; /* of the first answer that is kept; p NULL before */
    int status;
    struct process *holder; /* who works on it; NULL: nobody */
    int64_t held_us;
};

/* One request with it. */
struct confirming {
    struct confirming *next;
    struct keyed *k;
    struct process *process; /* that works on it; NULL: not sent, or answered */
    bool rewritten, mine, answered;
    int tries;
    struct once once;
    struct arena arena;
};

static struct {
    struct keyed *keys;
    struct confirming *all;
} confirmer;

static void confirming_go(void *ctx);

static void again_later(struct confirming *c)
{
    if (++c->tries > TRIES_MAX) {
        sim_violation("a keyed confirmation is never answered");
        return;
    }
    int64_t us = sim_between(US_PER_S, 20 * US_PER_S);
    if (c->tries > 6 && w.now_us < w.calm_us)
        us += w.calm_us - w.now_us;
    event_in(us, NULL, confirming_go, c);
}

static void let_go(struct confirming *c)
{
    if (c->mine && c->k->holder == c->process)
        c->k->holder = NULL;
    c->mine = false;
}

static void ended(struct confirming *c)
{
    let_go(c);
    if (c->process->alive)
        arena_free(&c->arena);
    c->process = NULL;
    c->k->n_open--;
}

/* A replay is the first answer, byte by byte. */
static void answer_take(struct confirming *c, const struct once_known *known)
{
    struct keyed *k = c->k;
    struct str body = known->problem.p != NULL ? known->problem : known->data;
    if (body.p == NULL)
        sim_violation("a key's answer shows nothing");
    if (k->body.p != NULL && (!str_eq(k->body, body) || k->status != known->http_status))
        sim_violation("a key's answer differs from its first: %.*s, then %.*s", STR_ARG(k->body),
                      STR_ARG(body));
    if (!k->with_code && (known->problem.p != NULL) != k->wrong_amount)
        sim_violation("a key has the answer of another request");
    if (k->body.p != NULL && k->of_rewritten != c->rewritten)
        sim_violation("a key answers another request");
    if (k->body.p == NULL) {
        k->of_rewritten = c->rewritten;
        k->body = world_dup(body);
        k->status = known->http_status;
    }
}

static bool comes_again(enum err_code code)
{
    return code == ERR_UNAVAILABLE || code == ERR_AMBIGUOUS || code == ERR_CONFLICT ||
           code == ERR_IDEMPOTENCY_IN_PROGRESS;
}

static void answered(void *ctx, struct err err, struct str detail, const struct once_known *known)
{
    struct confirming *c = ctx;
    (void)detail;
    if (!err_is(err))
        answer_take(c, known);
    else if (!comes_again(err.code) && !(err.code == ERR_IDEMPOTENCY_KEY_REUSED && c->k->rewritten))
        sim_violation("the answer of a key is answered %d", (int)err.code);
    ended(c);
    if (err_is(err))
        again_later(c);
}

static void dropped(void *ctx, struct err err, struct str detail, const struct once_known *known)
{
    struct confirming *c = ctx;
    (void)detail, (void)known;
    if (err_is(err))
        sim_violation("a key that is given back is answered %d", (int)err.code);
    ended(c);
}

static void dropped_to_come_again(void *ctx, struct err err, struct str detail,
                                  const struct once_known *known)
{
    dropped(ctx, err, detail, known);
    again_later(ctx);
}

static void moved(void *ctx, struct err err, const struct move_result *result)
{
    struct confirming *c = ctx;
    struct once *o = &c->once;
    bool wrong = err.code == ERR_INVALID;
    sim_trace((uint64_t)err.code);
    if (!err_is(err) && result->fx->changed) {
        c->k->order->confirmed = true;
        once_answer(o, 200, result->rec->p.version, answered, c);
    } else if (wrong) {
        once_refuse(o, 409, STR("{\"code\":\"amount\"}"), answered, c);
    } else {
        let_go(c); /* before he hears that it is done, somebody else may have it */
        once_drop(o, err_is(err) && err.code != ERR_INVALID_STATE ? dropped_to_come_again : dropped,
                  c);
    }
}

/* It is taken: nobody else may have it before his lease is over. Clocks differ by seconds, and who
 * stands still hears late that it was his. */
static void take(struct confirming *c)
{
    struct keyed *k = c->k;
    bool over = w.now_us - k->held_us >= FLOW_LEASE_US - 15 * US_PER_S;
    if (k->body.p != NULL && c->process->frozen_us == 0 && w.now_us < 20 * US_PER_HOUR)
        sim_violation("a key that has an answer is given out again");
    if (k->holder != NULL && k->holder->alive && k->holder->frozen_us == 0 &&
        c->process->frozen_us == 0 && !over && !w.clock_jumped)
        sim_violation("two work on one key");
    c->mine = true;
    k->holder = c->process;
    k->held_us = w.now_us;
}

static void confirm(struct confirming *c)
{
    struct keyed *k = c->k;
    const struct mem_payment *p = mem_payment(k->order->payment);
    struct money amount = k->order->amount;
    amount.minor += (k->wrong_amount ? 100 : 0) + (p != NULL ? mem_asked(p) - p->amount : 0);
    k->order->tried_confirm |= !k->wrong_amount;
    struct move_request rq = {
        .merchant = mem.merchant,
        .payment = k->order->payment,
        .event = {.kind = PAYMENT_EVENT_CONFIRM, .source = SOURCE_API, .amount = amount},
        .actor = STR("api_key:sim"),
    };
    move_start(&c->process->flow, &rq, moved, c);
}

static void code_checked(void *ctx)
{
    struct confirming *c = ctx;
    if (sim_below(2) == 0)
        once_refuse(&c->once, 422, STR("{\"code\":\"otp_wrong\"}"), answered, c);
    else
        confirm(c);
}

static void known(void *ctx, struct err err, struct str detail, const struct once_known *is)
{
    struct confirming *c = ctx;
    struct keyed *k = c->k;
    (void)detail;
    sim_trace((uint64_t)err.code);
    if (err.code == ERR_IDEMPOTENCY_KEY_REUSED) {
        if (!k->rewritten)
            sim_violation("a key is said to be another request's");
        ended(c);
    } else if (err_is(err)) {
        if (!comes_again(err.code))
            sim_violation("a keyed confirmation is answered %d", (int)err.code);
        ended(c);
        again_later(c);
    } else if (!is->mine) {
        answer_take(c, is);
        ended(c);
    } else if (k->with_code) {
        take(c);
        if (sim_fault(FAULT_FROZEN_CALL))
            process_freeze(c->process);
        event_in(sim_between(0, 20 * US_PER_S), c->process, code_checked, c);
    } else {
        take(c);
        confirm(c);
    }
}

static void confirming_start(void *ctx)
{
    struct confirming *c = ctx;
    struct once_input in = {
        .merchant = mem.merchant,
        .payment = c->k->order->payment,
        .key = c->k->key,
        .route = STR("POST /api/v1/payments/x/confirm"),
        .field = {"otp", c->rewritten ? STR("1234") : STR("")},
        .wait_us = sim_below(3) == 0 ? 5 * US_PER_S : 0,
    };
    arena_init(&c->arena, ARENA);
    once_start(&c->once, &c->process->flow, &in, &c->arena, known, c);
}

void confirmer_process_died(struct process *p)
{
    for (struct confirming *c = confirmer.all; c != NULL; c = c->next) {
        if (c->process != p)
            continue;
        ended(c);
        again_later(c);
    }
}

static void confirming_go(void *ctx)
{
    struct confirming *c = ctx;
    struct process *p = process_any();
    const struct order *o = c->k->order;
    const struct mem_payment *there = mem_payment(o->payment);
    if (uuid_is_nil(o->payment) || p == NULL) {
        if (++c->tries < 5)
            event_in(sim_between(US_PER_S, US_PER_MIN), NULL, confirming_go, c);
        return;
    }
    if (there != NULL && there->amount != o->amount.minor)
        return; /* the other amount has won the payment's key */
    c->process = p;
    c->k->n_open++;
    if (!process_run(p, confirming_start, c) && c->process == p)
        confirmer_process_died(p);
}

static void confirming_at(struct keyed *k, int64_t at_us, bool rewritten)
{
    struct confirming *c = world_alloc(sizeof *c);
    c->k = k;
    c->rewritten = rewritten;
    c->next = confirmer.all;
    confirmer.all = c;
    event_at(at_us, NULL, confirming_go, c);
}

static void key_plan(struct keyed *k)
{
    int64_t at_us = sim_between(US_PER_S, sim_below(2) == 0 ? 10 * US_PER_MIN : 12 * US_PER_HOUR);
    confirming_at(k, at_us, false);
    while (sim_fault(FAULT_CLIENT_AT_ONCE))
        confirming_at(k, at_us + sim_between(0, 20 * US_PER_MS), false);
    while (sim_fault(FAULT_CLIENT_AGAIN))
        confirming_at(k, at_us + sim_between(0, sim_below(2) == 0 ? 2 * US_PER_MIN : US_PER_HOUR),
                      false);
    if (k->rewritten)
        confirming_at(k, at_us + sim_between(0, US_PER_MIN), true);
}

void confirmer_begin(void)
{
    confirmer.keys = NULL;
    confirmer.all = NULL;
    uint32_t number = 0;
    for (struct order *o = client_orders(); o != NULL; o = o->next) {
        if (o->provider != PROVIDER_CASH || o->rewritten || sim_below(3) == 0)
            continue;
        for (uint32_t n = 1 + sim_below(2); n > 0; n--) {
            struct keyed *k = world_alloc(sizeof *k);
            char key[40];
            int len = snprintf(key, sizeof key, "confirm-%010u-%06u", number++, sim_below(10));
            k->order = o;
            k->key = world_dup(str_n(key, (size_t)len));
            k->wrong_amount = sim_below(4) == 0;
            k->with_code = sim_below(3) == 0 || w.theme == THEME_KEYS;
            k->rewritten = sim_below(10) == 0;
            k->next = confirmer.keys;
            confirmer.keys = k;
            key_plan(k);
        }
    }
}

void check_confirmers(void)
{
    for (const struct keyed *k = confirmer.keys; k != NULL; k = k->next)
        if (k->n_open != 0)
            sim_violation("%d keyed confirmations were never answered", k->n_open);
}
