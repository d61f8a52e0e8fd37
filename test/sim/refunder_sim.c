/* Merchants who want to give money back: they ask for parts or all of a payment, for more than is
 * left, several times at once and again with the same key; and the people who approve, reject,
 * cancel, pay by hand and confirm. They remember what they were told. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/flow/refund.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

enum { MAX_ASKS = 3, TRIES_MAX = 60, UNPAID_TRIES = 5 };

/* One request. */
struct asking {
    struct asking *next;
    struct refund_ask *ask;
    struct process *process; /* that works on it; NULL: not sent, or answered */
    bool rewritten, known;   /* the refund was, when this was sent */
    int tries_unpaid;
    struct refund_input input;
};

/* What a person says about a refund. */
struct word {
    struct refund_ask *ask;
    struct process *process;
    enum refund_event_kind kind;
    bool same_person;
    int attempt; /* that a confirmation names; 0: none */
    int tries;
};

static struct {
    struct refund_ask *asks;
    struct asking *askings;
} refunder;

static void asking_go(void *ctx);

struct refund_ask *refund_asks(void)
{
    return refunder.asks;
}

/* ---- answers ---- */

static void again_later(struct asking *r)
{
    struct refund_ask *a = r->ask;
    if (a->key.p == NULL)
        return; /* nothing would keep it from being a second refund */
    if (++a->tries > TRIES_MAX) {
        sim_violation("a request for a refund is never answered");
        return;
    }
    int64_t us = sim_between(US_PER_S, 20 * US_PER_S);
    if (a->tries > 6 && w.now_us < w.calm_us)
        us += w.calm_us - w.now_us;
    else if (a->tries > 6)
        us = sim_between(US_PER_S, a->tries > 30 ? 10 * US_PER_MIN : US_PER_MIN);
    event_in(us, NULL, asking_go, r);
}

static void same_answer(struct refund_ask *a, const struct refund_result *result)
{
    if (a->answered_new && !result->replayed)
        sim_violation("one key of a refund is answered twice as if new");
    a->answered_new |= !result->replayed;
    if (a->body.p != NULL && !str_eq(a->body, result->body))
        sim_violation("a refund's replay differs from the first answer: %.*s, then %.*s",
                      STR_ARG(a->body), STR_ARG(result->body));
    if (a->body.p == NULL)
        a->body = world_dup(result->body);
}

static void answer_take(struct asking *r, const struct refund_result *result)
{
    struct refund_ask *a = r->ask;
    struct str mark = STR("\"id\":\"");
    struct uuid id;
    size_t at = str_find_str(result->body, mark);
    if (result->http_status != 201 || at == SIZE_MAX ||
        !uuid_parse(str_first(str_from(result->body, at + mark.n), 36), &id)) {
        sim_violation("a refund is answered %d", result->http_status);
        return;
    }
    const struct mem_refund *stored = mem_refund(id);
    if (stored == NULL)
        sim_violation("an answer names a refund that is not stored");
    else if (!uuid_eq(stored->payment, a->order->payment))
        sim_violation("an answer names a refund of another payment");
    else if (!a->whole && stored->amount != a->minor && !(a->rewritten && r->rewritten))
        sim_violation("a refund has another amount than was asked for");
    if (a->key.p != NULL && !uuid_is_nil(a->refund) && !uuid_eq(a->refund, id))
        sim_violation("one key has two refunds");
    a->refund = id;
    if (a->key.p != NULL)
        same_answer(a, result);
}

/* Not (any more) to be refunded; perhaps not yet. */
static void refused(struct asking *r)
{
    struct refund_ask *a = r->ask;
    if (a->key.p != NULL && r->known)
        sim_violation("a key that has a refund is refused");
    if (++r->tries_unpaid < UNPAID_TRIES && w.now_us < w.calm_us)
        event_in(sim_between(US_PER_MIN, 20 * US_PER_MIN), NULL, asking_go, r);
}

static void answered(void *ctx, struct err err, const struct refund_result *result)
{
    struct asking *r = ctx;
    struct refund_ask *a = r->ask;
    r->process = NULL;
    a->n_open--;
    sim_say("refund %p is answered %d%s", (void *)a, (int)err.code,
            !err_is(err) && result->replayed ? " (replay)" : "");
    sim_trace((uint64_t)err.code);
    switch (err.code) {
    case ERR_NONE:
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
        refused(r);
        break;
    case ERR_IDEMPOTENCY_KEY_REUSED:
        if (!a->rewritten)
            sim_violation("a refund's key is said to be used with another request");
        break;
    default:
        sim_violation("a refund is answered with error %d, %s", (int)err.code,
                      err.what != NULL ? err.what : "");
        break;
    }
}

void refunder_process_died(struct process *p)
{
    for (struct asking *r = refunder.askings; r != NULL; r = r->next) {
        if (r->process != p)
            continue;
        r->process = NULL;
        r->ask->n_open--;
        again_later(r);
    }
}

/* ---- requests ---- */

static struct str decimal(int64_t minor)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%lld.%02lld", (long long)(minor / 100),
                     (long long)(minor % 100));
    return world_dup(str_n(text, (size_t)n));
}

static void input_fill(struct asking *r)
{
    struct refund_ask *a = r->ask;
    struct str amount = a->whole ? STR("") : decimal(a->minor + (r->rewritten ? 100 : 0));
    bool whole = a->whole && !r->rewritten;
    r->input = (struct refund_input){
        .merchant = mem.merchant,
        .payment = a->order->payment,
        .actor = STR("api_key:sim"),
        .person = STR("api_key:sim"),
        .whole = whole,
        .amount = a->whole && r->rewritten ? STR("1.00") : amount,
        .reason = STR("sorry"),
        .approval_above = a->approval_above,
        .idem_key = a->key,
        .route = STR("POST /api/v1/payments/x/refund"),
        .n_fields = 2,
        .fields = {{"amount", whole      ? STR("")
                              : a->whole ? STR("1.00")
                                         : amount},
                   {"reason", STR("sorry")}},
    };
}

static void asking_start(void *ctx)
{
    struct asking *r = ctx;
    refund_create(&r->process->flow, &r->input, answered, r);
}

static void asking_go(void *ctx)
{
    struct asking *r = ctx;
    struct process *p = process_any();
    if (uuid_is_nil(r->ask->order->payment) || p == NULL) {
        if (++r->tries_unpaid < UNPAID_TRIES)
            event_in(sim_between(US_PER_S, 2 * US_PER_MIN), NULL, asking_go, r);
        return;
    }
    if (r->ask->key.p == NULL && r->ask->asked && r->tries_unpaid == 0)
        return; /* once only */
    input_fill(r);
    r->process = p;
    r->known = !uuid_is_nil(r->ask->refund);
    r->ask->asked = true;
    r->ask->n_open++;
    sim_say("refund %p is asked of %d", (void *)r->ask, p->replica);
    if (!process_run(p, asking_start, r) && r->process == p)
        refunder_process_died(p);
}

static void asking_at(struct refund_ask *a, int64_t at_us, bool rewritten)
{
    struct asking *r = world_alloc(sizeof *r);
    r->ask = a;
    r->rewritten = rewritten;
    r->next = refunder.askings;
    refunder.askings = r;
    event_at(at_us, NULL, asking_go, r);
}

/* ---- people ---- */

static void word_go(void *ctx);

static void word_again(struct word *x)
{
    if (++x->tries < 6)
        event_in(sim_between(US_PER_S, US_PER_MIN), NULL, word_go, x);
}

static void granted(struct word *x, const struct refund_moved *result)
{
    struct refund_ask *a = x->ask;
    enum refund_status is = result->refund->r.status;
    struct flow *f = &x->process->flow;
    if (x->same_person && x->kind == REFUND_EVENT_APPROVE && is == REFUND_PENDING &&
        result->fx->changed)
        sim_violation("who asked for a refund has approved it");
    if ((x->kind == REFUND_EVENT_REJECT && is != REFUND_REJECTED) ||
        (x->kind == REFUND_EVENT_CANCEL && is != REFUND_CANCELLED) ||
        (x->kind == REFUND_EVENT_CONFIRM && is != REFUND_COMPLETED))
        sim_violation("a word is granted, and the refund is %s", refund_status_word(is));
    a->ended_by_word |= x->kind == REFUND_EVENT_REJECT || x->kind == REFUND_EVENT_CANCEL;
    a->confirmed |= x->kind == REFUND_EVENT_CONFIRM;
    if (result->fx->changed && is == REFUND_PENDING)
        refund_run(f, mem.merchant, a->refund, NULL, NULL);
}

static void word_done(void *ctx, struct err err, const struct refund_moved *result)
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
        sim_violation("a word on a refund is answered %d", (int)err.code);
        break;
    }
}

static void word_start(void *ctx)
{
    struct word *x = ctx;
    struct refund_move rq = {
        .merchant = mem.merchant,
        .refund = x->ask->refund,
        .live_only = true,
        .event = {.kind = x->kind, .attempt = x->attempt},
        .actor = x->same_person ? STR("api_key:sim-2") : STR("api_key:boss"),
        .person = x->same_person ? STR("api_key:sim") : STR("api_key:boss"),
    };
    refund_move_start(&x->process->flow, &rq, word_done, x);
}

/* An operator has paid by hand, or found out that an unsound success is one. */
static bool may_confirm(const struct mem_refund *r)
{
    for (size_t i = 0; i < r->n_rails; i++) {
        bool by_hand = str_eq(r->rails[i].rail, STR("manual"));
        if (by_hand || (str_eq(r->rails[i].status, STR("succeeded")) && r->rails[i].code.p != NULL))
            return true;
    }
    return sim_below(10) == 0;
}

static void word_go(void *ctx)
{
    struct word *x = ctx;
    const struct mem_refund *r = uuid_is_nil(x->ask->refund) ? NULL : mem_refund(x->ask->refund);
    x->process = process_any();
    if (r == NULL || x->process == NULL) {
        word_again(x);
        return;
    }
    if (x->kind == REFUND_EVENT_CONFIRM && !may_confirm(r))
        return;
    x->ask->tried_confirm |= x->kind == REFUND_EVENT_CONFIRM;
    (void)process_run(x->process, word_start, x);
}

static void word_at(struct refund_ask *a, int64_t at_us, enum refund_event_kind kind)
{
    struct word *x = world_alloc(sizeof *x);
    *x = (struct word){.ask = a, .kind = kind};
    if (kind == REFUND_EVENT_CONFIRM && sim_below(2) == 0)
        x->attempt = 1 + (int)sim_below(3);
    x->same_person = kind == REFUND_EVENT_APPROVE && sim_below(4) == 0;
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

static void words_plan(struct refund_ask *a, int64_t at_us)
{
    if (a->approval_above > 0)
        for (uint32_t n = sim_below(4); n > 0; n--)
            word_at(a, at_us + some_time(),
                    sim_below(5) == 0 ? REFUND_EVENT_REJECT : REFUND_EVENT_APPROVE);
    if (sim_below(8) == 0)
        for (uint32_t n = 1 + sim_below(2); n > 0; n--)
            word_at(a, at_us + some_time(), REFUND_EVENT_CANCEL);
    for (uint32_t n = w.theme == 0 ? 2 + sim_below(4) : sim_below(3); n > 0; n--)
        word_at(a, at_us + US_PER_MIN + some_time(), REFUND_EVENT_CONFIRM);
}

/* ---- what they want ---- */

static void ask_plan(struct refund_ask *a, int64_t at_us)
{
    asking_at(a, at_us, false);
    if (a->key.p != NULL) {
        while (sim_fault(FAULT_CLIENT_AT_ONCE))
            asking_at(a, at_us + sim_between(0, 20 * US_PER_MS), false);
        while (sim_fault(FAULT_CLIENT_AGAIN))
            asking_at(a,
                      at_us + (sim_below(2) == 0 ? sim_between(0, US_PER_MIN)
                                                 : sim_between(0, 20 * US_PER_HOUR)),
                      false);
        if (a->rewritten)
            asking_at(a, at_us + sim_between(0, US_PER_MIN), true);
    }
    words_plan(a, at_us);
}

void refunder_begin(void)
{
    refunder.asks = NULL;
    refunder.askings = NULL;
    uint32_t number = 0;
    for (struct order *o = client_orders(); o != NULL; o = o->next) {
        if (sim_below(5) < (w.theme <= 1 ? 1 : 2) || o->key.p == NULL || o->rewritten || o->late)
            continue; /* who has no key may not know of the payment */
        int64_t at_us = sim_below(3) == 0 ? sim_between(0, 12 * US_PER_HOUR)
                                          : sim_between(US_PER_S, 20 * US_PER_MIN);
        for (uint32_t n = 1 + sim_below(MAX_ASKS); n > 0; n--) {
            struct refund_ask *a = world_alloc(sizeof *a);
            char key[40];
            a->order = o;
            a->whole = sim_below(3) == 0;
            a->minor = sim_between(1, o->amount.minor + o->amount.minor / 4);
            if (sim_below(6) == 0)
                a->minor = o->amount.minor;
            a->approval_above = sim_below(4) == 0 ? o->amount.minor / 3 + 1 : 0;
            a->rewritten = sim_below(20) == 0;
            int len = snprintf(key, sizeof key, "refund-%010u-%06u", number++, sim_below(10));
            if (sim_below(5) > 0)
                a->key = world_dup(str_n(key, (size_t)len));
            a->next = refunder.asks;
            refunder.asks = a;
            ask_plan(a, at_us);
            if (sim_below(2) == 0)
                at_us += some_time();
        }
    }
}
