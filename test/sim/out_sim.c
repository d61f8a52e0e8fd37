/* Payouts at the scripted providers, behind gateways/client.h. "alpha" is like Daraja: it knows a
 * request by our id, which must never come twice, tells by callback only, and a query of it is
 * answered by one more callback. "beta" knows a repeated request by our id, and its queries are
 * complete; in half of the worlds it has references of its own. What a provider makes of a request,
 * its "outs", is the truth that the checker compares with; whether a request may leave at all is
 * judged here, the moment it leaves. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/flow/flow.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/provider_int.h"

/* One request that has left, and whether a process was told that it was not taken. */
struct out_send {
    struct out_send *next;
    struct uuid payout;
    int request;
    bool refused;
};

static struct {
    struct out *all;
    struct out_send *sends;
    int n;
} outs;

void outs_begin(void)
{
    outs.all = NULL;
    outs.sends = NULL;
    outs.n = 0;
}

struct out *provider_outs(void)
{
    return outs.all;
}

const struct fate *out_fate(const struct out *o, int64_t now_us)
{
    const struct fate *last = NULL;
    for (int i = 0; i < o->n_fates; i++)
        if (o->fates[i].at_us <= now_us)
            last = &o->fates[i];
    return last;
}

struct err out_build(const struct gw_account *a, const struct gw_payout *in, struct str token,
                     struct arena *arena, struct outbound_request *request)
{
    (void)a, (void)token, (void)arena, (void)request;
    return str_eq(in->remarks, STR("unbuildable")) ? ERR(INVALID, "cannot be built") : ERR_OK;
}

/* ---- callbacks ---- */

/* "PS ref receipt minor salt" paid, "PB ref receipt minor salt" it came back, "PF ref code salt"
 * failed. */
struct err out_callback_parse(const struct gw_callback *in, struct arena *arena,
                              struct gw_result *result)
{
    struct str rest = in->body, word[5];
    int64_t n;
    int n_words = 0;
    while (n_words < 5 && str_split(&rest, ' ', &word[n_words]))
        n_words++;
    if (n_words < 4 || !str_starts(word[0], STR("P")))
        return ERR(PARSE, "not a callback about a payout");
    *result = (struct gw_result){.verdict = GW_UNKNOWN, .provider_ref = arena_dup(arena, word[1])};
    if (str_eq(word[0], STR("PF")) && str_to_i64(word[2], &n)) {
        result->verdict = GW_FAILED;
        result->code = (enum failure_code)n;
        result->provider_code = arena_dup(arena, word[2]);
    } else if (n_words == 5 && str_to_i64(word[3], &n)) {
        result->verdict = str_eq(word[0], STR("PS")) ? GW_SUCCEEDED : GW_REVERSED;
        result->receipt = arena_dup(arena, word[2]);
        result->amount = (struct money){n, CURRENCY('K', 'E', 'S')};
        result->code = result->verdict == GW_REVERSED ? FAILURE_PROVIDER_ERROR : FAILURE_NONE;
    }
    return ERR_OK;
}

static struct str body_of(const struct out *o, const struct fate *d, const char *ref, int salt)
{
    char text[160];
    int n =
        d->kind == FATE_FAILED
            ? snprintf(text, sizeof text, "PF %s %d %d", ref, (int)d->code, salt)
            : snprintf(text, sizeof text, "%s %s %s %lld %d", d->kind == FATE_PAID ? "PS" : "PB",
                       ref, d->receipt, (long long)d->amount.minor, salt);
    (void)o;
    return world_dup(str_n(text, (size_t)n));
}

static struct emission emission_of(struct out *o, int64_t at_us)
{
    return (struct emission){
        .provider = o->provider,
        .subject = o->payout,
        .token = str_c(o->token),
        .by_address = true,
        .at_us = at_us,
    };
}

static void callbacks_plan(struct out *o, struct fate *d, int64_t at_us)
{
    struct emission e = emission_of(o, at_us);
    int salt = o->salt++;
    struct str again[] = {body_of(o, d, o->ref, salt), body_of(o, d, o->ref, 100 + salt)};
    e.heard = &d->heard;
    emissions_plan(&e, again, COUNT_OF(again));
}

/* What is another's comes to this one's URL. */
static void mix_up(struct out *o)
{
    struct fate other = {.kind = FATE_PAID, .amount = o->asked};
    struct emission e = emission_of(o, o->arrived_us + sim_between(0, 10 * US_PER_MIN));
    snprintf(other.receipt, sizeof other.receipt, "OTHER%d", outs.n);
    struct str body = body_of(o, &other, "po_others", o->salt++);
    o->mixed_up = true;
    emissions_plan(&e, &body, 1);
}

static void forge(struct out *o)
{
    struct fate invented = {.kind = sim_below(2) == 0 ? FATE_PAID : FATE_FAILED,
                            .amount = o->asked,
                            .code = FAILURE_PROVIDER_ERROR};
    snprintf(invented.receipt, sizeof invented.receipt, "FORGEDP%d", outs.n);
    emission_forged(o->provider, o->payout, str_c(o->token), body_of(o, &invented, o->ref, 9), NULL,
                    o->arrived_us + sim_between(0, 20 * US_PER_MIN));
}

/* ---- what a provider decides ---- */

static struct fate *fate_add(struct out *o, int64_t at_us, enum fate_kind kind)
{
    struct fate *d = &o->fates[o->n_fates++];
    *d = (struct fate){.kind = kind, .at_us = at_us, .amount = o->asked};
    if (kind == FATE_FAILED) {
        d->code = sim_below(2) == 0 ? FAILURE_PROVIDER_ERROR : FAILURE_DECLINED;
        return d;
    }
    snprintf(d->receipt, sizeof d->receipt, "RPO%d", outs.n);
    if (kind == FATE_BACK)
        d->amount = o->fates[0].amount;
    else if (sim_fault(FAULT_PAYOUT_AMOUNT_WRONG))
        d->amount.minor += sim_below(2) == 0 ? 100 : -50;
    return d;
}

static int64_t after(int64_t at_us)
{
    return at_us + (sim_below(2) == 0 ? sim_between(US_PER_S, 10 * US_PER_MIN)
                                      : sim_between(US_PER_MIN, 18 * US_PER_HOUR));
}

static void out_decide(struct out *o)
{
    int64_t at_us = o->arrived_us + (sim_below(3) == 0 ? sim_between(0, 100 * US_PER_MS)
                                                       : sim_between(US_PER_S, 5 * US_PER_MIN));
    if (sim_fault(FAULT_DECIDED_LATE))
        at_us +=
            sim_below(2) == 0 ? sim_between(0, 30 * US_PER_MIN) : sim_between(0, 20 * US_PER_HOUR);
    if (sim_fault(FAULT_NEVER_DECIDED)) {
        o->vanished = sim_below(3) > 0;
        return;
    }
    bool paid = !sim_fault(FAULT_PAYOUT_FAILED);
    fate_add(o, at_us, paid ? FATE_PAID : FATE_FAILED);
    bool may_revoke = provider_gateway(o->provider)->may_revoke;
    if (!paid && !may_revoke && sim_fault(FAULT_PAYOUT_PAID_LATE))
        fate_add(o, after(at_us), FATE_PAID);
    else if (paid && sim_fault(FAULT_PAYOUT_RETURNED))
        fate_add(o, sim_below(3) == 0 ? at_us + sim_between(0, 5 * US_PER_S) : after(at_us),
                 FATE_BACK);
    for (int i = 0; i < o->n_fates; i++)
        callbacks_plan(o, &o->fates[i], o->fates[i].at_us);
    if (provider_gateway(o->provider)->payout_our_id_is_ref &&
        sim_fault(FAULT_PAYOUT_MIXED_UP)) /* it can be noticed */
        mix_up(o);
    if (sim_fault(FAULT_CALLBACK_FORGED))
        forge(o);
}

static void out_arrives(struct out *o)
{
    o->arrived_us = w.now_us;
    outs.n++;
    if (provider_gateway(o->provider)->payout_our_id_is_ref)
        memcpy(o->ref, o->our_id, sizeof o->ref);
    else
        snprintf(o->ref, sizeof o->ref, "po_%d", outs.n);
    o->next = outs.all;
    outs.all = o;
    out_decide(o);
    sim_say("payout %s (request %d) at %s, decisions %d%s%s", o->ref, o->request,
            provider_gateway(o->provider)->name, o->n_fates, o->vanished ? ", vanishes" : "",
            o->denied ? ", denied" : "");
}

static struct out *by_our_id(const struct out *like)
{
    struct out *o = outs.all;
    while (o != NULL && (o->provider != like->provider || strcmp(o->our_id, like->our_id) != 0))
        o = o->next;
    return o;
}

/* A repeated request is known by our id; where it is not, the first one stands. */
static struct out *out_take(struct out *o)
{
    struct out *there = by_our_id(o);
    if (there == NULL) {
        out_arrives(o);
        return o;
    }
    there->denied |= o->denied;
    return there;
}

/* ---- whether it may leave ---- */

static int64_t held(struct uuid payout)
{
    return check_moved(payout, "hold") - check_moved(payout, "hold_posted") -
           check_moved(payout, "hold_voided");
}

static struct out_send *send_judge(const struct out *o)
{
    const struct mem_payout *p = mem_payout(o->payout);
    struct out_send *s = world_alloc(sizeof *s);
    *s = (struct out_send){.next = outs.sends, .payout = o->payout, .request = o->request};
    /* a request that was said to be refused has been paid since this one was stored: people know */
    bool beside = p != NULL && str_eq(p->request, STR("sending")) && p->paid_n != p->n &&
                  check_has_exception(p->id, "payout_late");
    /* it was said to be refused, and paid since it was stored once more: the provider knows it */
    bool repeated = p != NULL && p->paid_n == o->request && by_our_id(o) != NULL;
    if (p == NULL)
        sim_violation("a payout is sent that is not stored");
    else if (beside && p->n == o->request)
        sim_say("is sent beside one that was refused and paid");
    else if (repeated && p->n == o->request)
        sim_say("is sent again, which is paid");
    else if (!str_eq(p->status, STR("processing")) || p->n != o->request)
        sim_violation("request %d of a payout is sent, which is %.*s with %d", o->request,
                      STR_ARG(p->status), (int)p->n);
    else if (p->amount != o->asked.minor || held(p->id) != p->amount)
        sim_violation("%lld are sent, %lld are held for it", (long long)o->asked.minor,
                      (long long)held(p->id));
    for (const struct out_send *x = outs.sends; x != NULL; x = x->next) {
        if (!uuid_eq(x->payout, o->payout))
            continue;
        if (!x->refused)
            sim_violation("a payout is sent again, and the request before may be carried out");
        if (x->request == o->request && o->provider == PROVIDER_ALPHA)
            sim_violation("a request is sent again to a provider who would pay twice");
    }
    outs.sends = s;
    return s;
}

static struct out *out_new(int at, const struct gw_payout *in)
{
    struct out *o = world_alloc(sizeof *o);
    struct uuid request = token_attempt(in->callback_url, o->token), ours;
    o->payout = attempt_payment(request, &o->request);
    o->provider = at;
    o->asked = in->amount;
    str_copy_c(o->our_id, sizeof o->our_id, in->our_id);
    if (!uuid_parse(in->our_id, &ours) || !uuid_eq(ours, request))
        sim_violation("a payout is sent with an id that is not its request's");
    return o;
}

/* ---- requests ---- */

static void said(struct call *c, const struct fate *d, bool whole)
{
    static const enum gw_verdict verdicts[] = {
        [FATE_PAID] = GW_SUCCEEDED, [FATE_FAILED] = GW_FAILED, [FATE_BACK] = GW_REVERSED};
    c->result.verdict = verdicts[d->kind];
    c->result.code = d->kind == FATE_BACK ? FAILURE_PROVIDER_ERROR : d->code;
    if (d->kind != FATE_FAILED && whole) {
        c->result.amount = d->amount;
        c->result.receipt = str_c(d->receipt);
    }
}

void out_told(struct call *c)
{
    enum gw_verdict v = c->result.verdict;
    struct out *o = c->out;
    if (c->send != NULL)
        c->send->refused = v == GW_REFUSED || v == GW_TOKEN_REJECTED;
    if (o == NULL)
        return;
    if (c->result.provider_ref.n > 0) {
        o->answered_us = w.now_us;
        o->answered_to = c->process;
    }
    enum fate_kind kind = v == GW_SUCCEEDED ? FATE_PAID : v == GW_FAILED ? FATE_FAILED : FATE_BACK;
    for (int i = 0; i < o->n_fates; i++) {
        struct fate *d = &o->fates[i];
        if (d->kind == kind && (v == GW_SUCCEEDED || v == GW_FAILED || v == GW_REVERSED)) {
            d->told = true;
            d->whole = c->result.amount.currency != 0;
            d->told_us = w.now_us;
            d->told_to = c->process;
        }
    }
}

static void payout_arrives(void *ctx)
{
    struct call *c = ctx;
    struct out *o = out_take(c->out);
    c->out = o;
    const struct fate *d = out_fate(o, w.now_us + 100 * US_PER_MS);
    c->result = (struct gw_result){.verdict = GW_ACCEPTED, .provider_ref = str_c(o->ref)};
    c->exchange.http_status = 200;
    if (o->provider == PROVIDER_BETA && d != NULL)
        said(c, d, true);
    if (sim_fault(FAULT_PAYOUT_ANSWER_LOST)) {
        c->out = NULL;
        c->result = (struct gw_result){.verdict = GW_UNKNOWN, .why = "simulated"};
        call_ends(c, c->started_us + sim_between(0, ANSWER_LIMIT_S) * US_PER_S);
    } else if (sim_fault(FAULT_PAYOUT_OPEN_REF)) {
        c->result =
            (struct gw_result){.verdict = GW_UNKNOWN, .provider_ref = c->result.provider_ref};
        call_ends(c, w.now_us + sim_between(US_PER_MS, 3 * US_PER_S));
    } else if (sim_fault(FAULT_PAYOUT_ANSWER_LATE)) {
        call_ends(c, c->started_us + sim_between(US_PER_S, 2 * ANSWER_LIMIT_S * US_PER_S));
    } else {
        call_ends(c, w.now_us + sim_between(100 * US_PER_MS, 3 * US_PER_S));
    }
}

static void denied_arrives(void *ctx)
{
    struct out *o = ctx;
    o->denied = true;
    (void)out_take(o);
}

/* Said to be refused, for good or for now; once in a while it is carried out all the same. */
static void refuse(struct call *c, struct out *o, bool unsent)
{
    int64_t soon_us = w.now_us + sim_between(US_PER_MS, US_PER_S);
    c->exchange.sent = !unsent;
    c->result = (struct gw_result){
        .verdict = sim_below(12) == 0 ? GW_TOKEN_REJECTED : GW_REFUSED,
        .retry_later = unsent || sim_below(3) > 0,
        .code = unsent ? FAILURE_PROVIDER_UNAVAILABLE : FAILURE_PROVIDER_BUSY,
        .provider_code = STR("400"),
    };
    call_ends(c, sim_below(3) == 0 ? w.now_us + sim_between(0, 60 * US_PER_S) : soon_us);
    if (!unsent && sim_fault(FAULT_PAYOUT_DENIED))
        event_at(soon_us, NULL, denied_arrives, o);
}

struct err gw_payout_start(struct gw_client *client, const struct gw_account *a,
                           const struct gw_payout *in, gw_done_fn *done, void *ctx)
{
    process_border();
    bool unsent = sim_fault(FAULT_PAYOUT_UNSENT);
    if (unsent && sim_below(3) == 0)
        return ERR(OVERLOADED, "too many provider requests");
    struct call *c = call_new(client, a, GW_OP_PAYOUT, done, ctx);
    struct out *o = out_new(c->provider, in);
    c->send = send_judge(o);
    if (unsent || sim_fault(FAULT_PAYOUT_REFUSED)) {
        refuse(c, o, unsent);
    } else if (sim_fault(FAULT_PAYOUT_DROPPED)) {
        c->result = (struct gw_result){.verdict = GW_UNKNOWN, .why = "simulated"};
        call_ends(c, w.now_us + ANSWER_LIMIT_S * US_PER_S);
    } else {
        c->out = o;
        event_in(sim_between(US_PER_MS, US_PER_S), NULL, payout_arrives, c);
    }
    process_border();
    return ERR_OK;
}

static void query_arrives(void *ctx)
{
    struct call *c = ctx;
    struct out *o = outs.all;
    int64_t us = sim_between(US_PER_MS, US_PER_S);
    while (o != NULL && (o->provider != c->provider || strcmp(o->ref, c->ref) != 0))
        o = o->next;
    c->out = o;
    const struct fate *d = o != NULL ? out_fate(o, w.now_us) : NULL;
    c->result = (struct gw_result){.verdict = GW_NOT_FOUND};
    if (o != NULL && !(d == NULL && o->vanished && w.now_us > o->arrived_us + 20 * US_PER_S)) {
        c->result.verdict = GW_PENDING;
        c->result.provider_ref = str_c(o->ref);
        if (d != NULL && o->provider == PROVIDER_BETA)
            said(c, d, sim_below(2) == 0);
        else if (d != NULL)
            callbacks_plan(o, (struct fate *)(uintptr_t)d, w.now_us);
    }
    if (sim_fault(FAULT_QUERY_FAILED)) {
        c->result = (struct gw_result){.verdict = sim_below(3) == 0 ? GW_REFUSED : GW_UNKNOWN,
                                       .why = "simulated"};
        us = sim_between(US_PER_S, ANSWER_LIMIT_S * US_PER_S);
    } else if (sim_fault(FAULT_QUERY_LATE)) {
        us = sim_between(US_PER_S, 2 * ANSWER_LIMIT_S * US_PER_S);
    }
    call_ends(c, w.now_us + us);
}

struct err gw_payout_query_start(struct gw_client *client, const struct gw_account *a,
                                 const struct gw_payout *in, struct str provider_ref,
                                 gw_done_fn *done, void *ctx)
{
    (void)in;
    if (sim_fault(FAULT_QUERY_FAILED) && sim_below(4) == 0)
        return ERR(OVERLOADED, "too many provider requests");
    struct call *c = call_new(client, a, GW_OP_PAYOUT_QUERY, done, ctx);
    str_copy_c(c->ref, sizeof c->ref, provider_ref);
    event_in(sim_between(US_PER_MS, US_PER_S), NULL, query_arrives, c);
    process_border();
    return ERR_OK;
}
