/* Callbacks of the providers: sent again until somebody thanks, sent twice, late or never, and
 * invented by others. */
#include "core/base/times.h"
#include "core/flow/callback.h"
#include "test/sim/heap.h"
#include "test/sim/provider_int.h"

enum { TRIES_MAX = 12 };

static struct {
    size_t n;
    struct emission *all[1024];
    struct thanked *thanked;
} emissions;

void emissions_begin(void)
{
    emissions.n = 0;
    emissions.thanked = NULL;
}

struct thanked *provider_thanked(void)
{
    return emissions.thanked;
}

static void emission_go(void *ctx);

static void emission_again(struct emission *e)
{
    e->to = NULL;
    if (++e->tries <= TRIES_MAX)
        event_in(sim_between(US_PER_S, 40 * US_PER_S), NULL, emission_go, e);
}

static void thanks(void *ctx, struct err err, const struct gateway *gateway)
{
    struct emission *e = ctx;
    e->to = NULL;
    if (e->forged) {
        if (err.code != ERR_UNAUTHENTICATED)
            sim_violation("a forged callback is answered %d", (int)err.code);
        return;
    }
    if (err_is(err)) {
        if (err.code != ERR_UNAVAILABLE && err.code != ERR_AMBIGUOUS)
            sim_violation("a callback is answered %d", (int)err.code);
        emission_again(e);
        return;
    }
    if (gateway != provider_gateway(e->provider))
        sim_violation("a callback is taken for another provider's");
    struct thanked *t = world_alloc(sizeof *t);
    *t = (struct thanked){emissions.thanked, e->subject, e->body};
    emissions.thanked = t;
    if (e->heard != NULL)
        *e->heard |= e->ip_ok || !e->by_address;
}

static void emission_receive(void *ctx)
{
    struct emission *e = ctx;
    struct callback_input in = {
        .token = e->token,
        .body = e->body,
        .peer = e->ip_ok ? STR("192.0.2.1") : STR("198.51.100.1"),
    };
    if (e->misled != NULL && !e->forged)
        *e->misled = true;
    callback_receive(&e->to->flow, &in, thanks, e);
}

static void emission_go(void *ctx)
{
    struct emission *e = ctx;
    struct process *p = process_any();
    if (p == NULL) {
        emission_again(e);
        return;
    }
    e->to = p;
    sim_say("callback %.*s%s", STR_ARG(e->body), e->forged ? " (forged)" : "");
    if (!process_run(p, emission_receive, e) && e->to == p)
        emission_again(e);
}

void provider_process_died(struct process *p)
{
    for (size_t i = 0; i < emissions.n; i++)
        if (emissions.all[i]->to == p) {
            if (sim_below(2) == 0)
                emission_again(emissions.all[i]);
            emissions.all[i]->to = NULL;
        }
}

static void emit(const struct emission *like, struct str body, bool ip_ok, int64_t at_us)
{
    struct emission *e = world_alloc(sizeof *e);
    *e = *like;
    e->body = body;
    e->ip_ok = ip_ok;
    ASSERT(emissions.n < COUNT_OF(emissions.all));
    emissions.all[emissions.n++] = e;
    event_at(at_us, NULL, emission_go, e);
}

void emissions_plan(const struct emission *e, const struct str *bodies, size_t n)
{
    int64_t at_us = e->at_us + sim_between(0, 3 * US_PER_S);
    if (sim_fault(FAULT_CALLBACK_LOST))
        return;
    if (sim_fault(FAULT_CALLBACK_LATE))
        at_us +=
            sim_below(4) == 0 ? sim_between(0, 30 * US_PER_HOUR) : sim_between(0, 30 * US_PER_MIN);
    emit(e, bodies[0], !sim_fault(FAULT_CALLBACK_FOREIGN), at_us);
    while (sim_fault(FAULT_CALLBACK_TWICE)) {
        at_us += sim_below(2) == 0 ? sim_between(0, 50 * US_PER_MS) : sim_between(0, US_PER_HOUR);
        emit(e, bodies[sim_below((uint32_t)n)], true, at_us);
    }
}

void emission_forged(int provider, struct uuid subject, struct str token, struct str body,
                     bool *misled, int64_t at_us)
{
    struct emission e = {
        .provider = provider, .subject = subject, .token = token, .misled = misled};
    if (sim_below(2) == 0) {
        e.token = world_dup(token);
        char *t = (char *)(uintptr_t)e.token.p + sim_below((uint32_t)token.n);
        *t = *t == 'a' ? 'b' : 'a';
        e.forged = true;
    }
    emit(&e, body, false, at_us);
}
