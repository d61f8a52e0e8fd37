/* Merchants who pay out: they ask for parts or all of what they have, for more than that, several
 * times at once and again with the same key or reference; and the people who approve, reject,
 * cancel and have the provider asked. They remember what they were told. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/flow/payout.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

enum { MAX_ASKS = 4, TRIES_MAX = 60, WORD_TRIES = 6 };

/* One request. */
struct asking {
    struct asking *next;
    struct payout_ask *ask;
    struct process *process;     /* that works on it; NULL: not sent, or answered */
    bool rewritten, late, known; /* the payout was, when this was sent */
    struct payout_input input;
};

/* What a person says about a payout. */
struct word {
    struct payout_ask *ask;
    struct process *process;
    enum payout_event_kind kind; /* TICK: have the provider asked */
    bool same_person;
    int tries;
};

static struct {
    struct payout_ask *asks;
    struct asking *askings;
} payouter;

static void asking_go(void *ctx);

struct payout_ask *payout_asks(void)
{
    return payouter.asks;
}

static struct str problem(void *ctx, struct err err, const char *detail)
{
    (void)ctx, (void)detail;
    return err.code == ERR_INSUFFICIENT_BALANCE ? STR("{\"code\":\"insufficient_balance\"}")
                                                : STR("{\"code\":\"duplicate_reference\"}");
}

/* ---- answers ---- */

static void again_later(struct asking *r)
{
    struct payout_ask *a = r->ask;
    if (++a->tries > TRIES_MAX) {
        sim_violation("a request for a payout is never answered");
        return;
    }
    int64_t us = sim_between(US_PER_S, 20 * US_PER_S);
    if (a->tries > 6 && w.now_us < w.calm_us)
        us += w.calm_us - w.now_us;
    else if (a->tries > 6)
        us = sim_between(US_PER_S, a->tries > 30 ? 10 * US_PER_MIN : US_PER_MIN);
    event_in(us, NULL, asking_go, r);
}

static void same_answer(struct payout_ask *a, const struct payout_result *result)
{
    if (a->answered_new && !result->replayed)
        sim_violation("one key of a payout is answered twice as if new");
    a->answered_new |= !result->replayed;
    if (a->body.p != NULL && !str_eq(a->body, result->body))
        sim_violation("a payout's replay differs from the first answer: %.*s, then %.*s",
                      STR_ARG(a->body), STR_ARG(result->body));
    if (a->body.p == NULL)
        a->body = world_dup(result->body);
}

static void problem_take(struct asking *r, const struct payout_result *result)
{
    struct payout_ask *a = r->ask;
    if (result->http_status != 409 && result->http_status != 422)
        sim_violation("a payout is refused with %d", result->http_status);
    if (a->key.p == NULL || r->late)
        return;
    if (!uuid_is_nil(a->payout))
        sim_violation("a key that has a payout is refused");
    same_answer(a, result);
    a->refused = true;
}

static void answer_take(struct asking *r, const struct payout_result *result)
{
    struct payout_ask *a = r->ask;
    struct str mark = STR("\"id\":\"");
    struct uuid id;
    size_t at = str_find_str(result->body, mark);
    if (result->is_problem) {
        problem_take(r, result);
        return;
    }
    if (result->http_status != 201 || at == SIZE_MAX ||
        !uuid_parse(str_first(str_from(result->body, at + mark.n), 36), &id)) {
        sim_violation("a payout is answered %d", result->http_status);
        return;
    }
    const struct mem_payout *stored = mem_payout(id);
    if (stored == NULL)
        sim_violation("an answer names a payout that is not stored");
    else if (stored->amount != a->amount.minor + (r->rewritten ? 100 : 0))
        sim_violation("a payout has another amount than was asked for");
    if (r->late)
        return;
    if (a->key.p != NULL && !uuid_is_nil(a->payout) && !uuid_eq(a->payout, id))
        sim_violation("one key has two payouts");
    if (a->key.p != NULL && a->refused)
        sim_violation("a key that was refused has a payout");
    a->payout = id;
    if (a->key.p != NULL)
        same_answer(a, result);
}

static void answered(void *ctx, struct err err, const struct payout_result *result)
{
    struct asking *r = ctx;
    struct payout_ask *a = r->ask;
    r->process = NULL;
    a->n_open--;
    sim_say("payout %p is answered %d, %d%s", (void *)a, (int)err.code, result->http_status,
            result->replayed ? " (replay)" : "");
    sim_trace((uint64_t)err.code);
    switch (err.code) {
    case ERR_NONE:
        sim_trace((uint64_t)result->http_status);
        answer_take(r, result);
        break;
    case ERR_UNAVAILABLE:
    case ERR_AMBIGUOUS:
    case ERR_OVERLOADED:
    case ERR_CONFLICT:
    case ERR_IDEMPOTENCY_IN_PROGRESS:
        again_later(r);
        break;
    case ERR_INVALID_STATE:
        if (!a->unbuildable)
            sim_violation("a payout is answered: %.*s", STR_ARG(result->detail));
        break;
    case ERR_IDEMPOTENCY_KEY_REUSED:
        if (!a->rewritten)
            sim_violation("a payout's key is said to be used with another request");
        break;
    default:
        sim_violation("a payout is answered with error %d, %s", (int)err.code,
                      err.what != NULL ? err.what : "");
        break;
    }
}

void payouter_process_died(struct process *p)
{
    for (struct asking *r = payouter.askings; r != NULL; r = r->next) {
        if (r->process != p)
            continue;
        r->process = NULL;
        r->ask->n_open--;
        if (r->ask->key.p != NULL || sim_below(2) == 0)
            again_later(r);
    }
}

/* ---- requests ---- */

static void input_fill(struct asking *r)
{
    struct payout_ask *a = r->ask;
    struct money amount = a->amount;
    amount.minor += r->rewritten ? 100 : 0;
    char text[32];
    int n = snprintf(text, sizeof text, "%lld", (long long)amount.minor);
    r->input = (struct payout_input){
        .merchant = mem.merchant,
        .actor = STR("api_key:sim"),
        .person = STR("api_key:sim"),
        .gateway = provider_gateway(a->provider),
        .method = str_c(provider_gateway(a->provider)->name),
        .amount = amount,
        .phone = STR("+254711223344"),
        .name = STR("Jane Doe"),
        .reference = a->reference,
        .purpose = STR("salary"),
        .description = a->unbuildable ? STR("unbuildable") : STR("wages"),
        .callback_url = a->callback_url,
        .metadata = STR("{\"a\":1}"),
        .approval_above = a->approval_above,
        .idem_key = a->key,
        .route = STR("POST /api/v1/payouts"),
        .n_fields = 2,
        .fields = {{"amount", world_dup(str_n(text, (size_t)n))}, {"reference", a->reference}},
        .problem = problem,
    };
}

static void asking_start(void *ctx)
{
    struct asking *r = ctx;
    payout_create(&r->process->flow, &r->input, answered, r);
}

static void asking_go(void *ctx)
{
    struct asking *r = ctx;
    struct process *p = process_any();
    if (p == NULL) {
        event_in(sim_between(US_PER_S, 10 * US_PER_S), NULL, asking_go, r);
        return;
    }
    /* a quiet night: what the replicas do by the clock was stepped over */
    if (loop_next_jobs_us(p) < w.now_us - US_PER_HOUR)
        loop_fire(p, true);
    r->process = p;
    r->known = !uuid_is_nil(r->ask->payout);
    r->ask->asked = true;
    r->ask->n_open++;
    sim_say("payout %p is asked of %d", (void *)r->ask, p->replica);
    if (!process_run(p, asking_start, r) && r->process == p)
        payouter_process_died(p);
}

static void asking_at(struct payout_ask *a, int64_t at_us, bool rewritten, bool late)
{
    struct asking *r = world_alloc(sizeof *r);
    r->ask = a;
    r->rewritten = rewritten;
    r->late = late;
    r->next = payouter.askings;
    payouter.askings = r;
    input_fill(r);
    event_at(at_us, NULL, asking_go, r);
}

/* ---- people ---- */

static void word_go(void *ctx);

static void word_again(struct word *x)
{
    if (++x->tries < WORD_TRIES)
        event_in(sim_between(US_PER_S, US_PER_MIN), NULL, word_go, x);
}

static void granted(struct word *x, const struct payout_moved *result)
{
    struct payout_ask *a = x->ask;
    enum payout_status is = result->payout->p.status;
    if (x->same_person && result->fx->changed && x->kind == PAYOUT_EVENT_APPROVE)
        sim_violation("who asked for a payout has approved it");
    if ((x->kind == PAYOUT_EVENT_REJECT && is != PAYOUT_REJECTED) ||
        (x->kind == PAYOUT_EVENT_CANCEL && is != PAYOUT_CANCELLED))
        sim_violation("a word is granted, and the payout is %s", payout_status_word(is));
    a->ended_by_word |= x->kind == PAYOUT_EVENT_REJECT || x->kind == PAYOUT_EVENT_CANCEL;
    a->rejected |= x->kind == PAYOUT_EVENT_REJECT;
    if (result->fx->changed && is == PAYOUT_QUEUED)
        payout_run(&x->process->flow, mem.merchant, a->payout, NULL, NULL);
}

static void word_done(void *ctx, struct err err, const struct payout_moved *result)
{
    struct word *x = ctx;
    sim_trace((uint64_t)err.code);
    switch (err.code) {
    case ERR_NONE:
        granted(x, result);
        break;
    case ERR_UNAVAILABLE:
    case ERR_AMBIGUOUS:
    case ERR_CONFLICT:
        word_again(x);
        break;
    case ERR_INVALID_STATE:
        break;
    case ERR_FORBIDDEN:
        if (!x->same_person)
            sim_violation("somebody else may not approve");
        break;
    default:
        sim_violation("a word on a payout is answered %d", (int)err.code);
        break;
    }
}

static void word_start(void *ctx)
{
    struct word *x = ctx;
    struct flow *f = &x->process->flow;
    if (x->kind == PAYOUT_EVENT_TICK) {
        payout_verify(f, mem.merchant, x->ask->payout, false, word_done, x);
        return;
    }
    struct payout_move rq = {
        .merchant = mem.merchant,
        .payout = x->ask->payout,
        .live_only = true,
        .event = {.kind = x->kind},
        .actor = x->same_person ? STR("api_key:sim-2") : STR("api_key:boss"),
        .person = x->same_person ? STR("api_key:sim") : STR("api_key:boss"),
    };
    payout_move_start(f, &rq, word_done, x);
}

static void word_go(void *ctx)
{
    struct word *x = ctx;
    x->process = process_any();
    if (uuid_is_nil(x->ask->payout) || x->process == NULL) {
        word_again(x);
        return;
    }
    (void)process_run(x->process, word_start, x);
}

static void word_at(struct payout_ask *a, int64_t at_us, enum payout_event_kind kind)
{
    struct word *x = world_alloc(sizeof *x);
    *x = (struct word){.ask = a, .kind = kind};
    x->same_person = kind == PAYOUT_EVENT_APPROVE && sim_below(4) == 0;
    event_at(at_us, NULL, word_go, x);
}

static int64_t some_time(void)
{
    switch (sim_below(4)) {
    case 0:
        return sim_between(0, 5 * US_PER_S);
    case 1:
        return sim_between(0, 10 * US_PER_MIN);
    case 2:
        return sim_between(0, 2 * US_PER_HOUR);
    default:
        return sim_between(0, 2 * US_PER_DAY);
    }
}

static void words_plan(struct payout_ask *a, int64_t at_us)
{
    int64_t decided_us = at_us + some_time();
    if (a->approval_above > 0)
        for (uint32_t n = sim_below(4); n > 0; n--)
            word_at(a, sim_below(2) == 0 ? decided_us : at_us + some_time(),
                    sim_below(5) == 0 ? PAYOUT_EVENT_REJECT : PAYOUT_EVENT_APPROVE);
    if (sim_below(6) == 0)
        for (uint32_t n = 1 + sim_below(2); n > 0; n--)
            word_at(a, at_us + some_time(), PAYOUT_EVENT_CANCEL);
    for (uint32_t n = sim_below(4) == 0 ? 1 + sim_below(2) : 0; n > 0; n--)
        word_at(a, at_us + some_time(), PAYOUT_EVENT_TICK);
}

/* ---- what they want ---- */

static void ask_plan(struct payout_ask *a, int64_t at_us)
{
    asking_at(a, at_us, false, false);
    if (a->key.p != NULL) {
        while (sim_fault(FAULT_CLIENT_AT_ONCE))
            asking_at(a, at_us + sim_between(0, 20 * US_PER_MS), false, false);
        while (sim_fault(FAULT_CLIENT_AGAIN))
            asking_at(a,
                      at_us + (sim_below(2) == 0 ? sim_between(0, US_PER_MIN)
                                                 : sim_between(0, 22 * US_PER_HOUR)),
                      false, false);
        if (a->rewritten)
            asking_at(a, at_us + sim_between(0, US_PER_MIN), true, false);
        if (a->late)
            asking_at(a, at_us + sim_between(50 * US_PER_HOUR, 90 * US_PER_HOUR), false, true);
    }
    words_plan(a, at_us);
}

/* Of what is there, or is to come in by the orders. */
static int64_t some_of(int64_t whole)
{
    int64_t most = sim_below(8) == 0 ? whole + whole / 2 : sim_below(3) == 0 ? whole : whole / 3;
    return 100 + (most > 100 ? sim_between(0, most - 100) / 100 * 100 : 0);
}

static int64_t funds(void)
{
    int64_t most = mem.opening;
    for (const struct order *o = client_orders(); o != NULL; o = o->next)
        most = most < o->amount.minor && sim_below(2) == 0 ? o->amount.minor : most;
    return most;
}

static struct payout_ask *ask_new(uint32_t number)
{
    char text[40];
    struct payout_ask *a = world_alloc(sizeof *a);
    a->provider = sim_below(w.theme == THEME_PAYOUTS ? 4 : 2) > 0 ? PROVIDER_ALPHA : PROVIDER_BETA;
    a->amount = (struct money){some_of(funds()), CURRENCY('K', 'E', 'S')};
    a->approval_above = sim_below(4) == 0 ? a->amount.minor / 2 + 1 : 0;
    a->unbuildable = sim_below(25) == 0;
    a->rewritten = sim_below(20) == 0;
    a->late = sim_below(20) == 0;
    int n = snprintf(text, sizeof text, "payout-%010u-%06u", number, sim_below(10));
    if (sim_below(5) > 0)
        a->key = world_dup(str_n(text, (size_t)n));
    /* once in a while it is another one's */
    n = snprintf(text, sizeof text, "po-%u", number > 0 && sim_below(5) == 0 ? number - 1 : number);
    a->reference = world_dup(str_n(text, (size_t)n));
    if (sim_below(4) == 0)
        a->callback_url = STR("https://shop.example/payouts");
    return a;
}

void payouter_begin(void)
{
    payouter.asks = NULL;
    payouter.askings = NULL;
    bool theirs = w.theme == THEME_PAYOUTS;
    if (!theirs && sim_below(2) == 0)
        return;
    int64_t at_us = mem.opening == 0    ? sim_between(2 * US_PER_MIN, 40 * US_PER_MIN)
                    : sim_below(3) == 0 ? sim_between(0, 12 * US_PER_HOUR)
                                        : sim_between(0, 3 * US_PER_MIN);
    uint32_t n = (theirs ? 2 : 1) + sim_below(MAX_ASKS);
    for (uint32_t i = 0; i < n; i++) {
        struct payout_ask *a = ask_new(i);
        a->next = payouter.asks;
        payouter.asks = a;
        ask_plan(a, at_us);
        if (sim_below(2) == 0)
            at_us += some_time();
    }
}
