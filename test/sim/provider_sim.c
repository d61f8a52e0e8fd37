/* gateways/client.h for payments, and two scripted providers (refunds: back_sim.c, payouts:
 * out_sim.c). "alpha" is like Daraja: a query names neither amount nor receipt, and its "not found"
 * means nothing. "beta" is like MTN: queries are complete, and what it does not know was never
 * taken. What a provider makes of a charge, its prompts, is the truth that the checker compares
 * with. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/flow/route.h"
#include "test/sim/heap.h"
#include "test/sim/provider_int.h"

static struct {
    struct prompt *prompts;
    int n;
} provider;

struct prompt *provider_prompts(void)
{
    return provider.prompts;
}

struct gw_client *provider_client(struct process *p)
{
    struct gw_client *c = world_alloc(sizeof *c);
    c->process = p;
    return c;
}

const struct decision *prompt_decided(const struct prompt *p, int64_t now_us)
{
    const struct decision *last = NULL;
    for (int i = 0; i < p->n_decisions; i++)
        if (p->decisions[i].at_us <= now_us)
            last = &p->decisions[i];
    return last;
}

/* ---- the gateways ---- */

static struct err charge_build(const struct gw_account *a, const struct gw_charge *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    (void)a, (void)token, (void)mem, (void)out;
    return str_eq(in->description, STR("unbuildable")) ? ERR(INVALID, "cannot be built") : ERR_OK;
}

/* "S ref receipt minor phone salt" paid, "F ref code sure - salt" not. */
static struct err callback_parse(const struct gw_callback *in, struct arena *mem,
                                 struct gw_result *out)
{
    struct str rest = in->body, word[6];
    int64_t n;
    for (int i = 0; i < 6; i++)
        if (!str_split(&rest, ' ', &word[i]))
            return ERR(PARSE, "not a callback");
    *out = (struct gw_result){.verdict = GW_UNKNOWN, .provider_ref = arena_dup(mem, word[1])};
    if (str_eq(word[0], STR("S")) && str_to_i64(word[3], &n)) {
        out->verdict = GW_SUCCEEDED;
        out->receipt = arena_dup(mem, word[2]);
        out->amount = (struct money){n, CURRENCY('K', 'E', 'S')};
        out->phone = arena_dup(mem, word[4]);
        out->provider_code = STR("0");
    } else if (str_eq(word[0], STR("F")) && str_to_i64(word[2], &n)) {
        out->verdict = GW_FAILED;
        out->code = (enum failure_code)n;
        out->sure = str_eq(word[3], STR("1"));
        out->provider_code = arena_dup(mem, word[2]);
    }
    return ERR_OK;
}

static const struct gateway gateway_alpha = {
    .name = "alpha",
    .methods = "alpha,wallet",
    .currencies = "KES",
    .countries = "",
    .needs_phone = true,
    .action = "approve_on_phone",
    .prompt_window_us = 90 * US_PER_S,
    .expiry_us = 15 * US_PER_MIN,
    .charge_build = charge_build,
    .callback_parse = callback_parse,
    .n_refund_rails = 2,
    .refund_rails = {REFUND_RAIL_REVERSAL, REFUND_RAIL_PAYOUT},
    .refund_callback_parse = back_callback_parse,
    .payout_our_id_is_ref = true,
    .payout_build = out_build,
    .payout_callback_parse = out_callback_parse,
};
static struct gateway gateway_beta = {
    .name = "beta",
    .methods = "beta,wallet",
    .currencies = "KES",
    .countries = "",
    .needs_phone = true,
    .not_found_is_final = true,
    .action = "approve_on_phone",
    .prompt_window_us = 5 * US_PER_MIN,
    .expiry_us = 15 * US_PER_MIN,
    .charge_build = charge_build,
    .callback_parse = callback_parse,
    .n_refund_rails = 1,
    .refund_rails = {REFUND_RAIL_PAYOUT},
    .refund_callback_parse = back_callback_parse,
    .payout_may_resend = true,
    .payout_build = out_build,
    .payout_callback_parse = out_callback_parse,
};
static const struct gateway gateway_cash = {
    .name = "cash",
    .methods = "cash",
    .currencies = "",
    .manual = true,
    .action = "collect_cash",
    .expiry_us = 7 * US_PER_DAY,
};
const struct gateway *const gateways[] = {&gateway_alpha, &gateway_beta, &gateway_cash, NULL};

/* In half of the worlds beta knows a payout by our id, as alpha does; in half its refunds may fail
 * after they have succeeded. */
void provider_begin(void)
{
    provider.prompts = NULL;
    provider.n = 0;
    gateway_beta.payout_our_id_is_ref = sim_below(2) == 0;
    gateway_beta.may_revoke = w.theme == THEME_REVOKES || sim_below(2) == 0;
    emissions_begin();
    backs_begin();
    outs_begin();
}

const struct gateway *provider_gateway(int i)
{
    return gateways[i];
}

struct uuid provider_account(int i)
{
    struct uuid id;
    memset(id.b, 0xa0 + i, sizeof id.b);
    return id;
}

const struct gateway *gateway_find(struct str name)
{
    for (size_t i = 0; gateways[i] != NULL; i++)
        if (str_eq(name, str_c(gateways[i]->name)))
            return gateways[i];
    return NULL;
}

bool gateway_lists(const char *list, struct str word)
{
    struct str rest = str_c(list), part;
    while (rest.n > 0 && str_split(&rest, ',', &part))
        if (str_eq(part, word))
            return true;
    return list[0] == '\0';
}

/* Merchants have set no routes: whoever offers the method takes the payment, in that order. */
bool routes_known(struct flow *f, struct uuid merchant, bool live, struct routes *out)
{
    (void)f, (void)merchant, (void)live;
    *out = (struct routes){0};
    return sim_below(2) == 0;
}

struct asked_routes {
    struct flow *flow;
    struct later later;
    routes_fn *done;
    void *ctx;
};

static void routes_found(void *ctx)
{
    struct asked_routes *a = ctx;
    struct routes none = {0};
    a->flow->busy--;
    if (sim_fault(FAULT_READ_REFUSED))
        a->done(a->ctx, ERR(UNAVAILABLE, "simulated"), NULL);
    else
        a->done(a->ctx, ERR_OK, &none);
}

void routes_start(struct flow *f, struct uuid merchant, bool live, routes_fn *done, void *ctx)
{
    struct asked_routes *a = world_alloc(sizeof *a);
    (void)merchant, (void)live;
    *a = (struct asked_routes){.flow = f, .done = done, .ctx = ctx};
    f->busy++;
    loop_later(f->loop, &a->later, routes_found, a);
}

/* Nobody is ever kept away here: the breaker has tests of its own. */
struct health_view gw_client_health(const struct gw_client *client, const struct gw_account *a)
{
    (void)client, (void)a;
    return (struct health_view){.takes_charges = true, .score = 100};
}

struct str gw_setting(const struct gw_account *account, const char *name)
{
    (void)account, (void)name;
    return STR_NULL;
}

bool gw_asks(const struct gw_result *r)
{
    return r->next_action.n > 0;
}

/* Beta sends some customers to a page first. */
static struct str asks(const struct prompt *p)
{
    return w.now_us < p->asks_until_us
               ? STR("{\"type\":\"redirect\",\"url\":\"https://b.example/page\"}")
               : STR_NULL;
}

int provider_of(const struct gw_account *a)
{
    return a->gateway == &gateway_alpha ? PROVIDER_ALPHA : PROVIDER_BETA;
}

/* ---- callbacks about prompts ---- */

static struct str body_of(const struct prompt *p, const struct decision *d, int salt)
{
    char text[160];
    bool other_phone = d->paid && sim_fault(FAULT_CALLBACK_FOREIGN);
    int n =
        d->paid
            ? snprintf(text, sizeof text, "S %s %s %lld %s %d", p->ref, d->receipt,
                       (long long)d->amount.minor, other_phone ? "+254799999999" : p->phone, salt)
            : snprintf(text, sizeof text, "F %s %d %d - %d", p->ref, (int)d->code, d->sure, salt);
    return world_dup(str_n(text, (size_t)n));
}

/* Somebody who knows the URL, but not what became of the prompt. */
static void forge(struct prompt *p, int64_t at_us)
{
    char text[160];
    int n = snprintf(text, sizeof text, "S %s FORGED%d %lld %s 9", p->ref, provider.n,
                     (long long)p->asked.minor, p->phone);
    emission_forged(p->provider, p->payment, str_c(p->token), world_dup(str_n(text, (size_t)n)),
                    &p->misled, at_us);
}

static void callbacks_plan(struct prompt *p, struct decision *d)
{
    struct emission e = {
        .provider = p->provider,
        .subject = p->payment,
        .token = str_c(p->token),
        .heard = &d->heard,
        .at_us = d->at_us,
    };
    struct str again[] = {body_of(p, d, 0), body_of(p, d, 1 + (int)sim_below(9))};
    if (sim_fault(FAULT_CALLBACK_FORGED))
        forge(p, p->arrived_us + sim_between(0, 2 * US_PER_MIN));
    emissions_plan(&e, again, COUNT_OF(again));
}

/* ---- prompts ---- */

static void decision_add(struct prompt *p, int64_t at_us, bool paid)
{
    static const enum failure_code sure[] = {FAILURE_CANCELLED_BY_CUSTOMER, FAILURE_WRONG_PIN};
    static const enum failure_code unsure[] = {FAILURE_CUSTOMER_UNREACHABLE,
                                               FAILURE_INSUFFICIENT_FUNDS, FAILURE_PROVIDER_ERROR};
    struct decision *d = &p->decisions[p->n_decisions++];
    *d = (struct decision){.at_us = at_us, .paid = paid, .amount = p->asked};
    if (!paid) {
        d->sure = sim_below(2) == 0;
        d->code = d->sure ? sure[sim_below(2)] : unsure[sim_below(3)];
        return;
    }
    snprintf(d->receipt, sizeof d->receipt, "RCP%d", provider.n);
    if (sim_fault(FAULT_AMOUNT_WRONG))
        d->amount.minor += sim_below(2) == 0 ? 100 : -100;
    struct prompt *other = p->next;
    if (other != NULL && other->n_decisions > 0 && other->decisions[0].paid &&
        other->provider == p->provider && sim_fault(FAULT_RECEIPT_REUSED)) {
        memcpy(d->receipt, other->decisions[0].receipt, sizeof d->receipt);
        d->receipt_reused = true;
        other->decisions[0].receipt_reused = true;
    }
}

static void prompt_decide(struct prompt *p)
{
    int64_t window_us = gateways[p->provider]->prompt_window_us;
    int64_t at_us =
        p->arrived_us + (sim_below(5) == 0 ? sim_between(0, 2 * US_PER_S)
                                           : sim_between(US_PER_S, window_us - US_PER_S));
    if (sim_fault(FAULT_DECIDED_LATE))
        at_us +=
            sim_below(2) == 0 ? sim_between(0, 20 * US_PER_MIN) : sim_between(0, 20 * US_PER_HOUR);
    if (sim_fault(FAULT_NEVER_DECIDED)) {
        p->vanished = sim_below(3) > 0;
        p->vanishes_us =
            w.now_us +
            (sim_below(4) > 0 ? 20 * US_PER_S : sim_between(9 * US_PER_MIN, 14 * US_PER_MIN));
        return;
    }
    decision_add(p, at_us, sim_below(3) > 0);
    struct decision *first = &p->decisions[0];
    if (!first->paid && !first->sure && sim_fault(FAULT_PAID_LATE))
        decision_add(p,
                     at_us + (sim_below(2) == 0 ? sim_between(US_PER_S, 10 * US_PER_MIN)
                                                : sim_between(US_PER_MIN, 18 * US_PER_HOUR)),
                     true);
    for (int i = 0; i < p->n_decisions; i++)
        callbacks_plan(p, &p->decisions[i]);
}

/* The charge has reached the provider. */
static void prompt_arrives(struct prompt *p)
{
    p->arrived_us = w.now_us;
    if (p->provider == PROVIDER_BETA && sim_below(4) == 0)
        p->asks_until_us = w.now_us + sim_between(0, 10 * US_PER_MIN);
    snprintf(p->ref, sizeof p->ref, "ws_%d", ++provider.n);
    p->next = provider.prompts;
    provider.prompts = p;
    prompt_decide(p);
    sim_say("prompt %s at %s, decisions %d%s", p->ref, gateways[p->provider]->name, p->n_decisions,
            p->vanished ? ", vanishes" : "");
}

static uint8_t hex(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

struct uuid token_attempt(struct str callback_url, char token[97])
{
    struct uuid attempt;
    ASSERT(callback_url.n > 96);
    memcpy(token, callback_url.p + callback_url.n - 96, 96);
    token[96] = '\0';
    for (int i = 0; i < 16; i++)
        attempt.b[i] = (uint8_t)(hex(token[2 * i]) << 4 | hex(token[2 * i + 1]));
    return attempt;
}

static struct prompt *prompt_new(int at, const struct gw_charge *in)
{
    struct prompt *p = world_alloc(sizeof *p);
    p->payment = attempt_payment(token_attempt(in->callback_url, p->token), &p->attempt);
    p->provider = at;
    p->asked = in->amount;
    p->sent_us = w.now_us;
    str_copy_c(p->phone, sizeof p->phone, in->phone);
    return p;
}

/* ---- requests ---- */

static void call_told(void *ctx)
{
    struct call *c = ctx;
    struct prompt *p = c->prompt;
    c->exchange.took_us = w.now_us - c->started_us;
    if (p != NULL && c->exchange.op == GW_OP_CHARGE && c->result.provider_ref.n > 0) {
        p->answered_us = w.now_us;
        p->answered_to = c->process;
    }
    if (p != NULL && c->exchange.op == GW_OP_QUERY && c->result.verdict == GW_SUCCEEDED) {
        p->told_paid = true;
        p->told_paid_us = w.now_us;
        p->told_paid_to = c->process;
    }
    back_told(c);
    out_told(c);
    c->done(c->ctx, &c->result, &c->exchange);
}

void call_ends(struct call *c, int64_t at_us)
{
    event_at(at_us, c->process, call_told, c);
}

static void charge_arrives(void *ctx)
{
    struct call *c = ctx;
    struct prompt *p = c->prompt;
    prompt_arrives(p);
    c->result = (struct gw_result){
        .verdict = GW_ACCEPTED, .provider_ref = str_c(p->ref), .next_action = asks(p)};
    c->exchange.http_status = 200;
    if (sim_fault(FAULT_CHARGE_ANSWER_LOST)) {
        c->result = (struct gw_result){.verdict = GW_UNKNOWN, .why = "simulated"};
        call_ends(c, c->started_us + sim_between(0, ANSWER_LIMIT_S) * US_PER_S);
    } else if (sim_fault(FAULT_CHARGE_OPEN_REF)) {
        c->result.verdict = GW_UNKNOWN;
        call_ends(c, w.now_us + sim_between(US_PER_MS, 3 * US_PER_S));
    } else if (sim_fault(FAULT_CHARGE_ANSWER_LATE)) {
        call_ends(c, c->started_us + sim_between(US_PER_S, 2 * ANSWER_LIMIT_S * US_PER_S));
    } else {
        call_ends(c, w.now_us + sim_between(US_PER_MS, 3 * US_PER_S));
    }
}

struct call *call_new(struct gw_client *client, const struct gw_account *a, enum gw_op op,
                      gw_done_fn *done, void *ctx)
{
    struct call *c = world_alloc(sizeof *c);
    totals.provider_calls++;
    if (client->process->frozen_until_us <= w.now_us && sim_fault(FAULT_FROZEN_CALL))
        process_freeze(client->process);
    c->process = client->process;
    c->provider = provider_of(a);
    c->started_us = w.now_us;
    c->exchange.op = op;
    c->exchange.sent = true;
    c->exchange.request = STR("{\"a\":1}");
    c->exchange.response = STR("{\"b\":2}");
    c->done = done;
    c->ctx = ctx;
    return c;
}

struct err gw_charge_start(struct gw_client *client, const struct gw_account *a,
                           const struct gw_charge *in, gw_done_fn *done, void *ctx)
{
    process_border();
    bool unsent = sim_fault(FAULT_CHARGE_UNSENT);
    if (unsent && sim_below(3) == 0)
        return ERR(OVERLOADED, "too many provider requests");
    struct call *c = call_new(client, a, GW_OP_CHARGE, done, ctx);
    int64_t soon_us = w.now_us + sim_between(US_PER_MS, US_PER_S);
    if (unsent || sim_fault(FAULT_CHARGE_REFUSED)) {
        c->exchange.sent = !unsent;
        c->result = (struct gw_result){
            .verdict = sim_below(8) == 0 ? GW_TOKEN_REJECTED : GW_REFUSED,
            .code = unsent ? FAILURE_PROVIDER_UNAVAILABLE : FAILURE_CONFIGURATION,
            .provider_code = STR("400"),
        };
        call_ends(c, sim_below(3) == 0 ? w.now_us + sim_between(0, 60 * US_PER_S) : soon_us);
    } else if (sim_fault(FAULT_CHARGE_DROPPED)) {
        c->result = (struct gw_result){.verdict = GW_UNKNOWN, .why = "simulated"};
        call_ends(c, w.now_us + ANSWER_LIMIT_S * US_PER_S);
    } else {
        c->prompt = prompt_new(c->provider, in);
        event_at(soon_us, NULL, charge_arrives, c);
    }
    process_border();
    return ERR_OK;
}

static struct gw_result query_answer(struct call *c)
{
    struct prompt *p = provider.prompts;
    while (p != NULL && (p->provider != c->provider || strcmp(p->ref, c->ref) != 0))
        p = p->next;
    c->prompt = p;
    struct gw_result r = {.verdict = GW_NOT_FOUND};
    if (p == NULL)
        return r;
    r.provider_ref = str_c(p->ref);
    const struct decision *d = prompt_decided(p, w.now_us);
    bool typing = w.now_us < p->arrived_us + gateways[p->provider]->prompt_window_us - US_PER_MIN;
    if (d == NULL && p->vanished && w.now_us > p->vanishes_us) {
        return r;
    } else if (d == NULL && typing && sim_fault(FAULT_QUERY_EARLY)) {
        r.verdict = GW_FAILED;
        r.code = FAILURE_CUSTOMER_UNREACHABLE;
    } else if (d == NULL) {
        r.verdict = GW_PENDING;
        r.next_action = asks(p);
        r.acted = p->asks_until_us > 0 && r.next_action.n == 0;
    } else if (!d->paid) {
        r.verdict = GW_FAILED;
        r.code = d->code;
        r.sure = d->sure;
    } else {
        r.verdict = GW_SUCCEEDED;
        if (p->provider == PROVIDER_BETA) {
            r.amount = d->amount;
            r.receipt = str_c(d->receipt);
        }
    }
    return r;
}

static void query_arrives(void *ctx)
{
    struct call *c = ctx;
    int64_t us = sim_between(US_PER_MS, US_PER_S);
    c->result = query_answer(c);
    if (sim_fault(FAULT_QUERY_FAILED)) {
        c->result = (struct gw_result){.verdict = GW_UNKNOWN, .why = "simulated"};
        us = sim_between(US_PER_S, ANSWER_LIMIT_S * US_PER_S);
    } else if (sim_fault(FAULT_QUERY_LATE)) {
        us = sim_between(US_PER_S, 2 * ANSWER_LIMIT_S * US_PER_S);
    }
    call_ends(c, w.now_us + us);
}

struct err gw_query_start(struct gw_client *client, const struct gw_account *a,
                          struct str provider_ref, gw_done_fn *done, void *ctx)
{
    if (sim_fault(FAULT_QUERY_FAILED) && sim_below(4) == 0)
        return ERR(OVERLOADED, "too many provider requests");
    struct call *c = call_new(client, a, GW_OP_QUERY, done, ctx);
    str_copy_c(c->ref, sizeof c->ref, provider_ref);
    event_in(sim_between(US_PER_MS, US_PER_S), NULL, query_arrives, c);
    process_border();
    return ERR_OK;
}
