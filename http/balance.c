/* What a merchant's accounts have at their providers. */
#include "http/api.h"

#include "core/codec/jsonw.h"
#include "core/flow/balance.h"

enum { BALANCE_BODY = 64 * 1024 };

struct question {
    struct http_exchange *x;
    const struct gateway *gateway;
};

static const char *const state_words[] = {
    [BALANCE_KNOWN] = "known",
    [BALANCE_PENDING] = "pending",
    [BALANCE_FAILED] = "failed",
};

static void answered(void *ctx, struct err err, const struct balance_view *v)
{
    struct question *q = ctx;
    struct http_exchange *x = q->x;
    if (err_is(err)) {
        http_problem(x, err, err.what != NULL ? err.what : "");
        return;
    }
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, BALANCE_BODY);
    jw_open(&w);
    jw_c(&w, "object", "provider_balance");
    jw_c(&w, "provider", q->gateway->name);
    jw_uuid(&w, "account_id", v->account);
    jw_str(&w, "mode", mode_word(api_who(x)->live));
    jw_c(&w, "status", state_words[v->state]);
    jw_raw(&w, "balances", v->balances.n > 0 ? v->balances : STR("[]"));
    jw_str(&w, "detail", v->detail.n > 0 ? v->detail : STR_NULL);
    jw_time(&w, "asked_at", v->asked_us);
    if (v->told_us != 0)
        jw_time(&w, "told_at", v->told_us);
    else
        jw_null(&w, "told_at");
    jw_close(&w);
    if (v->state == BALANCE_PENDING)
        http_set_header(x, STR("Retry-After"), STR("2"));
    api_reply_buf(x, v->state == BALANCE_PENDING ? 202 : 200, &b);
}

void provider_balance(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    const struct gateway *g = gateway_find(x->params[0]);
    struct question *q = ARENA_NEW(x->arena, struct question);
    if (g == NULL || g->balance_build == NULL) {
        http_problem(x, ERR(NOT_FOUND, NULL), "No such provider tells what an account has.");
        return;
    }
    if (q == NULL) {
        http_problem(x, ERR(NO_MEMORY, "balance"), "");
        return;
    }
    *q = (struct question){x, g};
    struct balance_input in = {.merchant = who->merchant,
                               .gateway = g,
                               .live = who->live,
                               .staff = uuid_is_nil(who->merchant)};
    balance_start(api_of(x)->flow, &in, answered, q);
}

/* ---- told later ---- */

static void told(void *ctx, struct err err, const struct gateway *g)
{
    struct http_exchange *x = ctx;
    if (err.code == ERR_UNAUTHENTICATED) {
        api_security(x, SECURITY_SIGNATURE_REFUSED, err.what);
        gate_refuse(x, "Its URL does not show that it is a provider's.", false);
    } else if (err_is(err)) {
        http_problem(x, err, "");
    } else {
        http_reply(x, 200, str_c(g->callback_ack_type), str_c(g->callback_ack));
    }
}

bool balance_door(struct http_exchange *x, struct str text)
{
    struct balance_told in = {.kind = text, .body = x->body, .peer = str_c(x->peer.text)};
    if (!str_split(&in.kind, '.', &in.token) || !balance_is_kind(in.kind))
        return false;
    balance_tell(api_of(x)->flow, &in, told, x);
    return true;
}
