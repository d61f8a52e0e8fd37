/* What the checks stand on: lets an adapter build and hear, and knows where in a recorded body its
 * values are. JSON is scanned here by hand, so that a fault of our reader is not hidden by itself.
 */
#include <stdlib.h>

#include "core/codec/json.h"
#include "test/conform/conform.h"

/* ---- words ---- */

const char *op_word(enum wire_op op)
{
    static const char *const words[] = {
        "charge",           "query",  "refund",       "refund query",   "callback",
        "refund callback",  "token",  "confirm",      "cancel",         "balance",
        "balance callback", "payout", "payout query", "payout callback"};
    return words[op];
}

const char *verdict_word(enum gw_verdict v)
{
    static const char *const words[] = {
        [GW_ACCEPTED] = "ACCEPTED",
        [GW_REFUSED] = "REFUSED",
        [GW_UNKNOWN] = "UNKNOWN",
        [GW_PENDING] = "PENDING",
        [GW_SUCCEEDED] = "SUCCEEDED",
        [GW_FAILED] = "FAILED",
        [GW_REVERSED] = "REVERSED",
        [GW_NOT_FOUND] = "NOT_FOUND",
        [GW_TOKEN_REJECTED] = "TOKEN_REJECTED",
    };
    return (size_t)v < COUNT_OF(words) ? words[v] : "no verdict";
}

bool op_is_callback(enum wire_op op)
{
    return op == WIRE_CALLBACK || op == WIRE_REFUND_CALLBACK || op == WIRE_BALANCE_CALLBACK ||
           op == WIRE_PAYOUT_CALLBACK;
}

bool op_is_order(enum wire_op op)
{
    return op == WIRE_CHARGE || op == WIRE_REFUND || op == WIRE_PAYOUT;
}

bool op_is_act(enum wire_op op)
{
    return op == WIRE_CONFIRM || op == WIRE_CANCEL;
}

bool op_there(const struct gateway *g, enum wire_op op)
{
    const bool there[] = {
        [WIRE_CHARGE] = g->charge_parse != NULL,
        [WIRE_QUERY] = g->query_parse != NULL,
        [WIRE_REFUND] = g->refund_parse != NULL,
        [WIRE_REFUND_QUERY] = g->refund_query_parse != NULL,
        [WIRE_CALLBACK] = g->callback_parse != NULL,
        [WIRE_REFUND_CALLBACK] = g->refund_callback_parse != NULL,
        [WIRE_TOKEN] = g->token_parse != NULL,
        [WIRE_CONFIRM] = g->confirm_parse != NULL,
        [WIRE_CANCEL] = g->cancel_parse != NULL,
        [WIRE_BALANCE] = g->balance_parse != NULL,
        [WIRE_BALANCE_CALLBACK] = g->balance_callback_parse != NULL,
        [WIRE_PAYOUT] = g->payout_parse != NULL,
        [WIRE_PAYOUT_QUERY] = g->payout_query_parse != NULL,
        [WIRE_PAYOUT_CALLBACK] = g->payout_callback_parse != NULL,
    };
    return there[op];
}

/* ---- where the values are ---- */

struct scan {
    struct str text;
    size_t at, n, cap;
    struct span *out;
};

static void blanks(struct scan *s)
{
    while (s->at < s->text.n && strchr(" \t\r\n", s->text.p[s->at]) != NULL)
        s->at++;
}

static void quoted(struct scan *s)
{
    for (s->at++; s->text.p[s->at] != '"'; s->at++)
        if (s->text.p[s->at] == '\\')
            s->at++;
    s->at++;
}

static void scan_value(struct scan *s, size_t name_from, size_t name_to, int depth)
{
    struct span *mine = s->n < s->cap ? &s->out[s->n++] : NULL;
    ASSERT(mine != NULL);
    blanks(s);
    *mine = (struct span){s->at, 0, name_from, name_to, depth};
    char c = s->text.p[s->at];
    if (c == '"') {
        quoted(s);
    } else if (c == '{' || c == '[') {
        s->at++;
        for (blanks(s); s->text.p[s->at] != '}' && s->text.p[s->at] != ']'; blanks(s)) {
            size_t from = s->at, to = s->at;
            if (c == '{') {
                quoted(s);
                to = s->at;
                blanks(s);
                s->at++; /* the colon */
            }
            scan_value(s, from, to, depth + 1);
            blanks(s);
            if (s->text.p[s->at] == ',')
                s->at++;
        }
        s->at++;
    } else {
        while (s->at < s->text.n && strchr(",]} \t\r\n", s->text.p[s->at]) == NULL)
            s->at++;
    }
    mine->to = s->at;
}

size_t json_spans(struct str text, struct span *out, size_t cap)
{
    struct scan s = {.text = text, .out = out, .cap = cap};
    struct json *root;
    if (err_is(json_parse(text, &root, NULL)))
        return 0;
    json_free(root);
    scan_value(&s, 0, 0, 0);
    return s.n;
}

const struct wire *wire_of(struct run *r, const struct wire_shape *s)
{
    struct wire *w = ARENA_NEW(&r->mem, struct wire);
    size_t n = strlen(s->body), from = 0, k = 0;
    char *p = arena_alloc(&r->mem, n + 1);
    ASSERT(w != NULL && p != NULL);
    for (size_t i = 0; i < n; i++) {
        char c = s->body[i];
        if (c == '\001' || c == '\003' || c == '\005') {
            from = k;
        } else if (c == '\002') {
            ASSERT(w->n_code < COUNT_OF(w->code));
            w->code[w->n_code++] = (struct span){.from = from, .to = k};
        } else if (c == '\004') {
            ASSERT(w->n_amount < COUNT_OF(w->amount));
            w->amount[w->n_amount++] = (struct span){.from = from, .to = k};
        } else if (c == '\006') {
            ASSERT(w->n_id < COUNT_OF(w->id));
            w->id[w->n_id++] = (struct span){.from = from, .to = k};
        } else {
            p[k++] = c;
        }
    }
    w->body = str_n(p, k);
    w->n_spans = json_spans(w->body, w->spans, SPANS_MAX);
    return w;
}

struct str wire_with(struct arena *mem, struct str body, struct span at, struct str instead)
{
    size_t n = body.n - (at.to - at.from) + instead.n;
    char *p = arena_alloc(mem, n + 1);
    ASSERT(p != NULL);
    memcpy(p, body.p, at.from);
    if (instead.n > 0)
        memcpy(p + at.from, instead.p, instead.n);
    memcpy(p + at.from + instead.n, body.p + at.to, body.n - at.to);
    return str_n(p, n);
}

/* ---- hearing ---- */

static void hear_callback(struct run *r, const struct wire_shape *s, struct str body,
                          struct said *out)
{
    struct gw_callback in = {.body = body,
                             .content_type = STR("application/json"),
                             .kind = s->kind != NULL ? str_c(s->kind) : STR("")};
    if (s->op == WIRE_CALLBACK)
        out->err = r->gw->callback_parse(&in, &out->mem, &out->r);
    else if (s->op == WIRE_BALANCE_CALLBACK)
        out->err = r->gw->balance_callback_parse(&in, &out->mem, &out->r);
    else if (s->op == WIRE_PAYOUT_CALLBACK)
        out->err = r->gw->payout_callback_parse(&in, &out->mem, &out->r);
    else
        out->err = r->gw->refund_callback_parse(&in, &out->mem, &out->r);
}

void hear(struct run *r, const struct wire_shape *s, const struct ask *ask, struct said *out)
{
    char *own = malloc(ask->body.n > 0 ? ask->body.n : 1);
    ASSERT(own != NULL);
    if (ask->body.n > 0)
        memcpy(own, ask->body.p, ask->body.n);
    struct outbound_response in = {
        .outcome = ask->outcome,
        .status = ask->status,
        .body = ask->body.n > 0 ? str_n(own, ask->body.n) : STR_NULL,
        .content_type = STR("application/json"),
        .retry_after_s = -1,
        .asked = s->op == WIRE_QUERY          ? r->fx->charge.our_id
                 : s->op == WIRE_REFUND_QUERY ? r->fx->refunds[s->refund].our_id
                 : s->op == WIRE_PAYOUT_QUERY ? r->fx->payout.our_id
                                              : STR(""),
        .error = ask->outcome == OUTBOUND_ANSWERED ? NULL : "no answer",
    };
    *out = (struct said){0};
    arena_init(&out->mem, ask->arena_limit);
    switch (s->op) {
    case WIRE_CHARGE:
        r->gw->charge_parse(&r->account, &in, &out->mem, &out->r);
        break;
    case WIRE_QUERY:
        r->gw->query_parse(&r->account, &in, &out->mem, &out->r);
        break;
    case WIRE_REFUND:
        gw_refund_parse(&r->account, &r->fx->refunds[s->refund], &in, &out->mem, &out->r);
        break;
    case WIRE_REFUND_QUERY:
        r->gw->refund_query_parse(&r->account, &in, &out->mem, &out->r);
        break;
    case WIRE_PAYOUT:
        r->gw->payout_parse(&r->account, &r->fx->payout, &in, &out->mem, &out->r);
        break;
    case WIRE_PAYOUT_QUERY:
        r->gw->payout_query_parse(&r->account, &in, &out->mem, &out->r);
        break;
    case WIRE_CALLBACK:
    case WIRE_REFUND_CALLBACK:
    case WIRE_BALANCE_CALLBACK:
    case WIRE_PAYOUT_CALLBACK:
        hear_callback(r, s, in.body, out);
        break;
    case WIRE_CONFIRM:
        r->gw->confirm_parse(&r->account, &in, &out->mem, &out->r);
        break;
    case WIRE_CANCEL:
        r->gw->cancel_parse(&r->account, &in, &out->mem, &out->r);
        break;
    case WIRE_BALANCE:
        r->gw->balance_parse(&r->account, &in, &out->mem, &out->r);
        break;
    case WIRE_TOKEN:
    case WIRE_N:
        break;
    }
    memset(own, '#', ask->body.n);
    free(own);
}

void said_free(struct said *said)
{
    arena_free(&said->mem);
}

bool says_nothing(const struct wire_shape *s, const struct said *said)
{
    if (op_is_callback(s->op) && err_is(said->err))
        return true;
    return said->r.verdict == GW_UNKNOWN || (said->r.verdict == GW_PENDING && !op_is_order(s->op));
}

static bool text_is(struct str s, const char *want)
{
    return str_eq(s, want != NULL ? str_c(want) : STR(""));
}

bool same_balances(const struct gw_balances *got, const char *want)
{
    char currency[CURRENCY_TEXT];
    struct buf b;
    buf_init(&b, 8192);
    for (size_t i = 0; got != NULL && i < got->n; i++) {
        const struct gw_balance *it = &got->list[i];
        buf_fmt(&b, "%.*s %s %lld ", STR_ARG(it->name),
                currency_text(it->available.currency, currency), (long long)it->available.minor);
        if (it->pending.currency != 0)
            buf_fmt(&b, "%lld;", (long long)it->pending.minor);
        else
            buf_c(&b, "-;");
    }
    bool same = !b.failed && str_eq(buf_view(&b), str_c(want != NULL ? want : ""));
    buf_free(&b);
    return same;
}

const char *claims_too_much(const struct wire_shape *s, const struct said *said)
{
    const struct gw_result *r = &said->r;
    const struct meaning *m = &s->means;
    if (says_nothing(s, said))
        return NULL;
    if (s->otherwise != 0 && r->verdict == s->otherwise)
        return NULL;
    /* It may be asked about instead. */
    if (m->verdict == GW_REFUSED && r->verdict == GW_ACCEPTED && r->provider_ref.n > 0 &&
        text_is(r->provider_ref, m->provider_ref))
        return NULL;
    if (m->not_ours || r->verdict != m->verdict)
        return "another verdict";
    if (r->balances != NULL && !same_balances(r->balances, m->balances))
        return "another balance";
    if (r->dispute.id.n > 0 && !text_is(r->dispute.id, m->dispute.id.p))
        return "another dispute";
    bool asked = s->op == WIRE_QUERY || s->op == WIRE_REFUND_QUERY || s->op == WIRE_PAYOUT_QUERY;
    if ((r->verdict == GW_SUCCEEDED || r->verdict == GW_ACCEPTED) &&
        !text_is(r->provider_ref, m->provider_ref) && !(asked && r->provider_ref.n == 0))
        return "another reference";
    if (!text_is(r->receipt, m->receipt) &&
        (r->verdict == GW_SUCCEEDED || r->verdict == GW_REVERSED))
        return "another receipt";
    if (r->verdict != GW_SUCCEEDED)
        return NULL;
    bool said_none = r->amount.currency == 0 && s->amount_optional;
    if (!said_none &&
        (r->amount.minor != m->amount.minor || r->amount.currency != m->amount.currency))
        return "another amount";
    return NULL;
}

/* ---- building ---- */

struct build build_of(struct run *r, const struct wire_request *w)
{
    struct str ref = str_c(w->provider_ref != NULL ? w->provider_ref : r->fx->query_ref);
    return (struct build){
        .account = w->settings != NULL ? run_account(r, w->settings) : r->account,
        .charge = w->charge != NULL ? *w->charge : r->fx->charge,
        .refund = r->fx->refunds[w->refund],
        .payout = w->payout != NULL ? *w->payout : r->fx->payout,
        .act = {ref, STR(ACT_CODE), STR(ACT_KEY), r->fx->charge.now_us},
        .balance = {STR(BALANCE_URL), r->fx->charge.now_us},
        .provider_ref = ref,
        .token = str_c(r->fx->token),
        .arena_limit = ARENA_LIMIT,
    };
}

struct err build_request(struct run *r, const struct wire_request *w, const struct build *b,
                         struct arena *mem, struct outbound_request *out)
{
    const struct gateway *g = r->gw;
    *out = (struct outbound_request){0};
    arena_init(mem, b->arena_limit);
    switch (w->op) {
    case WIRE_TOKEN:
        if (g->token_build != NULL)
            return g->token_build(&b->account, mem, out);
        break;
    case WIRE_CHARGE:
        if (g->charge_build != NULL)
            return g->charge_build(&b->account, &b->charge, b->token, mem, out);
        break;
    case WIRE_QUERY:
        if (g->query_build != NULL)
            return g->query_build(&b->account, b->provider_ref, b->charge.now_us, b->token, mem,
                                  out);
        break;
    case WIRE_BALANCE:
        if (g->balance_build != NULL)
            return g->balance_build(&b->account, &b->balance, b->token, mem, out);
        break;
    case WIRE_REFUND:
        if (g->refund_build != NULL)
            return gw_refund_build(&b->account, &b->refund, b->token, mem, out);
        break;
    case WIRE_REFUND_QUERY:
        if (g->refund_query_build != NULL)
            return gw_refund_query_build(&b->account, &b->refund, b->provider_ref, b->token, mem,
                                         out);
        break;
    case WIRE_PAYOUT:
        if (g->payout_build != NULL)
            return g->payout_build(&b->account, &b->payout, b->token, mem, out);
        break;
    case WIRE_PAYOUT_QUERY:
        if (g->payout_query_build != NULL)
            return g->payout_query_build(&b->account, &b->payout, b->provider_ref, b->token, mem,
                                         out);
        break;
    case WIRE_CONFIRM:
        if (g->confirm_build != NULL)
            return g->confirm_build(&b->account, &b->act, b->token, mem, out);
        break;
    case WIRE_CANCEL:
        if (g->cancel_build != NULL)
            return g->cancel_build(&b->account, &b->act, b->token, mem, out);
        break;
    default:
        break;
    }
    return ERR(NOT_FOUND, "no such request");
}
