/* Refunds at the scripted providers, behind gateways/client.h. "alpha" is like Daraja: it takes a
 * reversal, then a payout, tells by callback only, and a query of it is answered by one more
 * callback. "beta" is like MTN: one rail, often decided at once, queries are complete. What a
 * provider makes of a request, its "backs", is the truth that the checker compares with. */
#include <stdio.h>

#include "core/base/times.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/provider_int.h"

static struct {
    struct back *all;
    int n;
} backs;

void backs_begin(void)
{
    backs.all = NULL;
    backs.n = 0;
}

struct back *provider_backs(void)
{
    return backs.all;
}

const struct decision *back_decided(const struct back *b, int64_t now_us)
{
    const struct decision *last = NULL;
    for (int i = 0; i < b->n_decisions; i++)
        if (b->decisions[i].at_us <= now_us)
            last = &b->decisions[i];
    return last;
}

void back_told(struct call *c)
{
    struct back *b = c->back;
    if (b == NULL)
        return;
    if (c->result.provider_ref.n > 0) {
        b->answered_us = w.now_us;
        b->answered_to = c->process;
    }
    if (c->result.verdict == GW_SUCCEEDED) {
        b->told_paid = true;
        b->told_paid_us = w.now_us;
        b->told_paid_to = c->process;
    }
    if (c->result.verdict == GW_FAILED) {
        b->told_failed = true;
        b->told_failed_us = w.now_us;
        b->told_failed_to = c->process;
    }
}

/* ---- callbacks ---- */

/* "S ref receipt minor salt" paid, "F ref code salt" not. */
struct err back_callback_parse(const struct gw_callback *in, struct arena *arena,
                               struct gw_result *out)
{
    struct str rest = in->body, word[5];
    int64_t n;
    int n_words = 0;
    while (n_words < 5 && str_split(&rest, ' ', &word[n_words]))
        n_words++;
    if (n_words < 4 || !str_starts(word[0], STR("R")))
        return ERR(PARSE, "not a callback about a refund");
    *out = (struct gw_result){.verdict = GW_UNKNOWN, .provider_ref = arena_dup(arena, word[1])};
    if (str_eq(word[0], STR("RS")) && n_words == 5 && str_to_i64(word[3], &n)) {
        out->verdict = GW_SUCCEEDED;
        out->receipt = arena_dup(arena, word[2]);
        out->amount = (struct money){n, CURRENCY('K', 'E', 'S')};
        out->provider_code = STR("0");
    } else if (str_eq(word[0], STR("RF")) && str_to_i64(word[2], &n)) {
        out->verdict = GW_FAILED;
        out->code = (enum failure_code)n;
        out->retry_later = out->code == FAILURE_PROVIDER_BUSY;
        out->provider_code = arena_dup(arena, word[2]);
    }
    return ERR_OK;
}

bool back_was_busy(const struct back *b)
{
    return b->n_decisions > 0 && !b->decisions[0].paid &&
           b->decisions[0].code == FAILURE_PROVIDER_BUSY;
}

static struct str body_of(const struct back *b, const struct decision *d, int salt)
{
    char text[160];
    int n = d->paid ? snprintf(text, sizeof text, "RS %s %s %lld %d", b->ref, d->receipt,
                               (long long)d->amount.minor, salt)
                    : snprintf(text, sizeof text, "RF %s %d %d", b->ref, (int)d->code, salt);
    return world_dup(str_n(text, (size_t)n));
}

static void callbacks_plan(struct back *b, struct decision *d, int64_t at_us)
{
    struct emission e = {
        .provider = b->provider,
        .subject = b->refund,
        .token = str_c(b->token),
        .by_address = true,
        .heard = &d->heard,
        .at_us = at_us,
    };
    int salt = b->salt++;
    struct str again[] = {body_of(b, d, salt), body_of(b, d, 100 + salt)};
    emissions_plan(&e, again, COUNT_OF(again));
}

static void forge(struct back *b)
{
    char text[160];
    int n = sim_below(2) == 0
                ? snprintf(text, sizeof text, "RS %s FORGEDB%d %lld 9", b->ref, backs.n,
                           (long long)b->asked.minor)
                : snprintf(text, sizeof text, "RF %s %d 9", b->ref, (int)FAILURE_PROVIDER_ERROR);
    emission_forged(b->provider, b->refund, str_c(b->token), world_dup(str_n(text, (size_t)n)),
                    &b->forged, b->arrived_us + sim_between(0, 20 * US_PER_MIN));
}

/* ---- what a provider decides ---- */

static void decision_add(struct back *b, int64_t at_us, bool paid)
{
    struct decision *d = &b->decisions[b->n_decisions++];
    *d = (struct decision){.at_us = at_us, .paid = paid, .amount = b->asked};
    if (!paid) {
        static const enum failure_code codes[] = {
            FAILURE_PROVIDER_ERROR, FAILURE_INSUFFICIENT_FUNDS, FAILURE_PROVIDER_BUSY};
        d->code = codes[sim_below(COUNT_OF(codes))];
        return;
    }
    snprintf(d->receipt, sizeof d->receipt, "RBK%d", backs.n);
    if (sim_fault(FAULT_REFUND_AMOUNT_WRONG))
        d->amount.minor += sim_below(2) == 0 ? 100 : -50;
}

static void back_decide(struct back *b)
{
    int64_t at_us = b->arrived_us + (sim_below(3) == 0 ? sim_between(0, 100 * US_PER_MS)
                                                       : sim_between(US_PER_S, 5 * US_PER_MIN));
    if (sim_fault(FAULT_DECIDED_LATE))
        at_us +=
            sim_below(2) == 0 ? sim_between(0, 30 * US_PER_MIN) : sim_between(0, 20 * US_PER_HOUR);
    if (sim_fault(FAULT_NEVER_DECIDED)) {
        b->vanished = sim_below(3) > 0;
        return;
    }
    decision_add(b, at_us, !sim_fault(FAULT_REFUND_FAILED));
    int64_t later_us = at_us + (sim_below(2) == 0 ? sim_between(US_PER_S, 10 * US_PER_MIN)
                                                  : sim_between(US_PER_MIN, 18 * US_PER_HOUR));
    bool paid = b->decisions[0].paid, may_revoke = provider_gateway(b->provider)->may_revoke;
    if (!paid && !may_revoke && !back_was_busy(b) && sim_fault(FAULT_REFUND_PAID_LATE))
        decision_add(b, later_us, true);
    else if (paid && may_revoke && sim_fault(FAULT_REFUND_REVOKED))
        decision_add(b, sim_below(3) == 0 ? at_us + sim_between(0, 5 * US_PER_S) : later_us, false);
    for (int i = 0; i < b->n_decisions; i++)
        callbacks_plan(b, &b->decisions[i], b->decisions[i].at_us);
    if (sim_fault(FAULT_CALLBACK_FORGED))
        forge(b);
}

static void back_arrives(struct back *b)
{
    b->arrived_us = w.now_us;
    snprintf(b->ref, sizeof b->ref, "rb_%d", ++backs.n);
    if (gw_refund_our_id_is_ref(provider_gateway(b->provider), b->rail))
        memcpy(b->ref, b->our_id, sizeof b->ref);
    b->next = backs.all;
    backs.all = b;
    back_decide(b);
    sim_say("refund %s (%s, attempt %d) at %s, decisions %d%s", b->ref, refund_rail_word(b->rail),
            b->attempt, provider_gateway(b->provider)->name, b->n_decisions,
            b->vanished ? ", vanishes" : "");
}

/* ---- requests ---- */

static struct back *back_new(int at, const struct gw_refund *in)
{
    struct back *b = world_alloc(sizeof *b);
    struct uuid attempt = token_attempt(in->callback_url, b->token), ours;
    b->refund = attempt_payment(attempt, &b->attempt);
    b->provider = at;
    b->rail = in->rail;
    b->asked = in->amount;
    const struct mem_refund *r = mem_refund(b->refund);
    const struct mem_rail *last = r != NULL && r->n_rails > 0 ? &r->rails[r->n_rails - 1] : NULL;
    if (last == NULL || last->n != b->attempt || !str_eq(r->status, STR("processing")) ||
        (!str_eq(last->status, STR("sending")) && !str_eq(last->status, STR("uncertain"))))
        sim_violation("a refund is sent that is not on its way any more");
    str_copy_c(b->our_id, sizeof b->our_id, in->our_id);
    if (!uuid_parse(in->our_id, &ours) || !uuid_eq(ours, attempt))
        sim_violation("a refund is sent with an id that is not its attempt's");
    return b;
}

static void said(struct call *c, const struct decision *d, bool whole)
{
    c->result.verdict = d->paid ? GW_SUCCEEDED : GW_FAILED;
    c->result.code = d->code;
    if (d->paid && whole) {
        c->result.amount = d->amount;
        c->result.receipt = str_c(d->receipt);
    }
}

static void refund_arrives(void *ctx)
{
    struct call *c = ctx;
    struct back *b = c->back;
    back_arrives(b);
    const struct decision *d = back_decided(b, w.now_us + 100 * US_PER_MS);
    c->result = (struct gw_result){.verdict = GW_ACCEPTED, .provider_ref = str_c(b->ref)};
    c->exchange.http_status = 200;
    if (b->provider == PROVIDER_BETA && d != NULL && d->paid)
        said(c, d, true);
    if (sim_fault(FAULT_REFUND_ANSWER_LOST)) {
        c->result = (struct gw_result){.verdict = GW_UNKNOWN, .why = "simulated"};
        call_ends(c, c->started_us + sim_between(0, ANSWER_LIMIT_S) * US_PER_S);
    } else if (sim_fault(FAULT_REFUND_OPEN_REF)) {
        c->result =
            (struct gw_result){.verdict = GW_UNKNOWN, .provider_ref = c->result.provider_ref};
        call_ends(c, w.now_us + sim_between(US_PER_MS, 3 * US_PER_S));
    } else if (sim_fault(FAULT_REFUND_ANSWER_LATE)) {
        call_ends(c, c->started_us + sim_between(US_PER_S, 2 * ANSWER_LIMIT_S * US_PER_S));
    } else {
        call_ends(c, w.now_us + sim_between(100 * US_PER_MS, 3 * US_PER_S));
    }
}

struct err gw_refund_start(struct gw_client *client, const struct gw_account *a,
                           const struct gw_refund *in, gw_done_fn *done, void *ctx)
{
    process_border();
    bool unsent = sim_fault(FAULT_REFUND_UNSENT);
    if (unsent && sim_below(3) == 0)
        return ERR(OVERLOADED, "too many provider requests");
    struct call *c = call_new(client, a, GW_OP_REFUND, done, ctx);
    int64_t soon_us = w.now_us + sim_between(US_PER_MS, US_PER_S);
    if (unsent || sim_fault(FAULT_REFUND_REFUSED)) {
        bool later = unsent || sim_below(2) == 0;
        c->exchange.sent = !unsent;
        c->result = (struct gw_result){
            .verdict = sim_below(8) == 0 ? GW_TOKEN_REJECTED : GW_REFUSED,
            .retry_later = later,
            .code = unsent  ? FAILURE_PROVIDER_UNAVAILABLE
                    : later ? FAILURE_PROVIDER_BUSY
                            : FAILURE_CONFIGURATION,
            .provider_code = STR("400"),
        };
        call_ends(c, sim_below(3) == 0 ? w.now_us + sim_between(0, 60 * US_PER_S) : soon_us);
    } else if (sim_fault(FAULT_REFUND_DROPPED)) {
        c->result = (struct gw_result){.verdict = GW_UNKNOWN, .why = "simulated"};
        call_ends(c, w.now_us + ANSWER_LIMIT_S * US_PER_S);
    } else {
        c->back = back_new(c->provider, in);
        event_at(soon_us, NULL, refund_arrives, c);
    }
    process_border();
    return ERR_OK;
}

static void query_arrives(void *ctx)
{
    struct call *c = ctx;
    struct back *b = backs.all;
    int64_t us = sim_between(US_PER_MS, US_PER_S);
    while (b != NULL && (b->provider != c->provider || strcmp(b->ref, c->ref) != 0))
        b = b->next;
    c->back = b;
    const struct decision *d = b != NULL ? back_decided(b, w.now_us) : NULL;
    c->result = (struct gw_result){.verdict = GW_NOT_FOUND};
    if (b != NULL && !(d == NULL && b->vanished && w.now_us > b->arrived_us + 20 * US_PER_S)) {
        c->result.verdict = GW_PENDING;
        c->result.provider_ref = str_c(b->ref);
        if (d != NULL && b->provider == PROVIDER_BETA)
            said(c, d, sim_below(2) == 0);
        else if (d != NULL)
            callbacks_plan(b, (struct decision *)(uintptr_t)d, w.now_us);
    }
    if (sim_fault(FAULT_QUERY_FAILED)) {
        c->result = (struct gw_result){.verdict = GW_UNKNOWN, .why = "simulated"};
        us = sim_between(US_PER_S, ANSWER_LIMIT_S * US_PER_S);
    } else if (sim_fault(FAULT_QUERY_LATE)) {
        us = sim_between(US_PER_S, 2 * ANSWER_LIMIT_S * US_PER_S);
    }
    call_ends(c, w.now_us + us);
}

/* Nobody is ever kept away here: the breaker has tests of its own. */
void gw_client_told(struct gw_client *client, const struct gw_account *a, enum health_kind kind,
                    enum failure_code code)
{
    (void)client, (void)a, (void)kind, (void)code;
}

struct err gw_refund_query_start(struct gw_client *client, const struct gw_account *a,
                                 const struct gw_refund *in, struct str provider_ref,
                                 gw_done_fn *done, void *ctx)
{
    (void)in;
    if (sim_fault(FAULT_QUERY_FAILED) && sim_below(4) == 0)
        return ERR(OVERLOADED, "too many provider requests");
    struct call *c = call_new(client, a, GW_OP_REFUND_QUERY, done, ctx);
    str_copy_c(c->ref, sizeof c->ref, provider_ref);
    event_in(sim_between(US_PER_MS, US_PER_S), NULL, query_arrives, c);
    process_border();
    return ERR_OK;
}
