/* What an account has: ACCOUNT, then, where the provider answers later, TURN (one question at a
 * time, whoever asks); ASK; NOTE, and LOOK, which shows what is known by then.
 *
 * Ways to fail: no account; the installation's, which is not the merchant's to see; the provider is
 * not well or refuses (the question has then failed, and may be asked again after a minute); no
 * answer in two minutes (asked again). */
#include "core/flow/balance.h"

#include <stdlib.h>

#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/codec/jsonw.h"
#include "core/flow/account.h"

enum { BALANCE_ARENA = 256 * 1024, BALANCES_TEXT = 16 * 1024 };
#define BALANCE_FRESH_US (60 * US_PER_S)
#define BALANCE_LOST_US (120 * US_PER_S)

enum state { AT_ACCOUNT, AT_TURN, AT_ASK, AT_NOTE, AT_LOOK, AT_DONE };
static const char *const state_names[] = {"account", "turn", "ask", "note", "look", "done"};
#define TO(s) (1u << AT_##s)
static const uint32_t state_next[] = {
    [AT_ACCOUNT] = TO(TURN) | TO(ASK) | TO(DONE),
    [AT_TURN] = TO(ASK) | TO(LOOK) | TO(DONE),
    [AT_ASK] = TO(NOTE) | TO(DONE),
    [AT_NOTE] = TO(LOOK) | TO(DONE),
    [AT_LOOK] = TO(DONE),
    [AT_DONE] = 0,
};
#undef TO
static const struct fsm balance_fsm = {"balance", state_names, state_next};

struct balance {
    struct flow *flow;
    struct balance_input in;
    const struct flow_account *account; /* held */
    struct arena arena;
    int state;
    bool later; /* the provider answers by callback */
    struct balance_view view;
    balance_fn *done;
    void *ctx;
};

static void enter(struct balance *b, enum state to)
{
    fsm_enter(&balance_fsm, &b->state, (int)to);
}

static void finish(struct balance *b, struct err err)
{
    enter(b, AT_DONE);
    b->flow->busy--;
    b->done(b->ctx, err, err_is(err) ? NULL : &b->view);
    account_release(b->account);
    arena_free(&b->arena);
    free(b);
}

/* A JSON list of them. */
static struct str text_of(struct arena *a, const struct gw_balances *list)
{
    char currency[CURRENCY_TEXT];
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, BALANCES_TEXT);
    jw_open_list(&w);
    for (size_t i = 0; list != NULL && i < list->n; i++) {
        const struct gw_balance *it = &list->list[i];
        jw_open(&w);
        jw_str(&w, "account", it->name.n > 0 ? it->name : STR_NULL);
        jw_c(&w, "currency", currency_text(it->available.currency, currency));
        jw_money(&w, "available", it->available);
        if (it->pending.currency != 0)
            jw_money(&w, "pending", it->pending);
        else
            jw_null(&w, "pending");
        jw_close(&w);
    }
    jw_close_list(&w);
    return buf_keep(&b, a);
}

/* ---- what is known ---- */

enum { B_STATE, B_BALANCES, B_DETAIL, B_ASKED, B_TOLD };

static void looked(void *ctx, struct err err, const struct rows *r)
{
    struct balance *b = ctx;
    struct balance_view *v = &b->view;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(UNAVAILABLE, "nobody has asked");
    if (err_is(err)) {
        finish(b, err);
        return;
    }
    struct str state = rows_str(r, 0, B_STATE);
    v->state = str_eq(state, STR("known"))    ? BALANCE_KNOWN
               : str_eq(state, STR("failed")) ? BALANCE_FAILED
                                              : BALANCE_PENDING;
    if (v->state == BALANCE_KNOWN)
        v->balances = arena_dup(&b->arena, rows_str(r, 0, B_BALANCES));
    if (!rows_null(r, 0, B_DETAIL))
        v->detail = arena_dup(&b->arena, rows_str(r, 0, B_DETAIL));
    v->asked_us = rows_time(r, 0, B_ASKED);
    if (!rows_null(r, 0, B_TOLD) && v->state != BALANCE_PENDING)
        v->told_us = rows_time(r, 0, B_TOLD);
    finish(b, ERR_OK);
}

static void look(struct balance *b)
{
    struct value params[] = {V_UUID(b->in.merchant), V_UUID(b->account->id)};
    enter(b, AT_LOOK);
    store_read(b->flow->store, Q_balance_get, params, COUNT_OF(params), looked, b);
}

/* ---- asking ---- */

static void noted(void *ctx, struct err err, const struct rows *rows)
{
    struct balance *b = ctx;
    (void)rows;
    if (err_is(err))
        finish(b, err);
    else
        look(b);
}

static void note(struct balance *b, struct str ref, struct str detail)
{
    struct value params[] = {V_UUID(b->in.merchant), V_UUID(b->account->id),
                             V_TIME(b->view.asked_us), V_TEXT(ref), V_TEXT(detail)};
    enter(b, AT_NOTE);
    store_exec(b->flow->store, Q_balance_asked, params, COUNT_OF(params), noted, b);
}

static void answered(void *ctx, const struct gw_result *r, const struct gw_exchange *exchange)
{
    struct balance *b = ctx;
    struct str words = r->message.n > 0 ? r->message : STR("The provider gave no clear answer.");
    log_info("balance.asked", F_C("provider", b->in.gateway->name),
             F_I64("verdict", (int64_t)r->verdict), F_I64("http", exchange->http_status));
    if (b->later && r->verdict == GW_ACCEPTED) {
        note(b, r->provider_ref, STR_NULL);
    } else if (b->later) {
        note(b, STR_NULL, words);
    } else if (r->verdict == GW_SUCCEEDED && r->balances != NULL) {
        b->view.state = BALANCE_KNOWN;
        b->view.balances = text_of(&b->arena, r->balances);
        b->view.told_us = loop_wall_us(b->flow->loop);
        finish(b, b->view.balances.p != NULL ? ERR_OK : ERR(NO_MEMORY, "balances"));
    } else {
        finish(b, ERR(UNAVAILABLE, "the provider gave no clear answer"));
    }
}

static void ask(struct balance *b)
{
    struct flow *f = b->flow;
    struct gw_balance_ask in = {
        .callback_url =
            flow_callback_url(f, &b->arena, b->in.gateway, b->account->id, b->in.merchant),
        .now_us = loop_wall_us(f->loop),
    };
    enter(b, AT_ASK);
    struct err err = gw_balance_start(f->gateways, &b->account->gw, &in, answered, b);
    if (err_is(err) && b->later)
        note(b, STR_NULL, str_c(err.what));
    else if (err_is(err))
        finish(b, err.code == ERR_INVALID ? ERR(INVALID_STATE, err.what) : err);
}

static void turn_known(void *ctx, struct err err, const struct rows *rows)
{
    struct balance *b = ctx;
    if (err_is(err))
        finish(b, err);
    else if (rows_n(rows) > 0)
        ask(b);
    else
        look(b); /* it is being asked, or has been a moment ago */
}

static void take_turn(struct balance *b)
{
    int64_t now = b->view.asked_us;
    struct value params[] = {V_UUID(b->in.merchant), V_UUID(b->account->id), V_TIME(now),
                             V_TIME(now - BALANCE_FRESH_US), V_TIME(now - BALANCE_LOST_US)};
    enter(b, AT_TURN);
    store_exec(b->flow->store, Q_balance_ask, params, COUNT_OF(params), turn_known, b);
}

static void accounts_known(void *ctx, struct err err)
{
    struct balance *b = ctx;
    const struct flow_account *account = NULL;
    if (!err_is(err))
        account = account_for(b->flow, b->in.merchant, b->in.gateway, b->in.live);
    if (!err_is(err) && account == NULL)
        err = ERR(INVALID_STATE, "There is no account of this provider and mode.");
    else if (!err_is(err) && account->set == NULL && b->in.live && !b->in.staff)
        err = ERR(FORBIDDEN, "What the installation's account has is not yours to see.");
    if (err_is(err)) {
        finish(b, err);
        return;
    }
    b->account = account_hold(account);
    b->view.account = account->id;
    if (b->later)
        take_turn(b);
    else
        ask(b);
}

void balance_start(struct flow *f, const struct balance_input *in, balance_fn *done, void *ctx)
{
    struct balance *b = calloc(1, sizeof *b);
    ASSERT(b != NULL);
    *b = (struct balance){.flow = f, .in = *in, .done = done, .ctx = ctx};
    b->later = in->gateway->balance_callback_parse != NULL;
    b->view.state = BALANCE_PENDING;
    b->view.asked_us = loop_wall_us(f->loop);
    arena_init(&b->arena, BALANCE_ARENA);
    f->busy++;
    accounts_start(f, in->merchant, accounts_known, b);
}

/* ---- the answer that comes later ---- */

struct told {
    struct flow *flow;
    const struct gateway *gateway;
    struct uuid merchant, account;
    struct arena arena;
    struct str kind, body, peer;
    struct err err;
    struct later later;
    balance_told_fn *done;
    void *ctx;
};

bool balance_is_kind(struct str kind)
{
    return str_starts(kind, STR(GW_BALANCE_KIND));
}

static void told_end(void *ctx)
{
    struct told *t = ctx;
    t->flow->busy--;
    t->done(t->ctx, t->err, t->gateway);
    arena_free(&t->arena);
    free(t);
}

static void told_stored(void *ctx, struct err err, const struct rows *rows)
{
    struct told *t = ctx;
    (void)rows;
    t->err = err;
    told_end(t);
}

static bool comes_from(const struct flow_account *account, struct str peer)
{
    const struct cidr_list *from = &account->gw.callback_cidrs;
    return (from->n == 0 && !from->has_unix) || cidr_list_has_text(from, peer);
}

/* Nothing is concluded from what comes from a strange address, or says nothing clear: the question
 * is asked again when it is taken for lost. */
static void told_account(void *ctx, struct err err, const struct flow_account *account)
{
    struct told *t = ctx;
    struct gw_callback in = {.body = t->body, .kind = t->kind};
    struct gw_result r = {.verdict = GW_UNKNOWN};
    if (!err_is(err) && comes_from(account, t->peer) &&
        err_is(t->gateway->balance_callback_parse(&in, &t->arena, &r)))
        r = (struct gw_result){.verdict = GW_UNKNOWN};
    t->err = err.code == ERR_CONFIG ? ERR_OK : err;
    bool known = r.verdict == GW_SUCCEEDED && r.balances != NULL;
    if (err_is(err) || (!known && r.verdict != GW_FAILED)) {
        told_end(t);
        return;
    }
    gw_client_told(t->flow->gateways, &account->gw, HEALTH_REFUND, known ? FAILURE_NONE : r.code);
    struct value params[] = {
        V_UUID(t->merchant),
        V_UUID(t->account),
        V_TEXT(r.provider_ref),
        V_TEXT(known ? STR("known") : STR("failed")),
        V_JSON(known ? text_of(&t->arena, r.balances) : STR_NULL),
        V_TEXT(known || r.message.n == 0 ? STR_NULL : r.message),
        V_TIME(loop_wall_us(t->flow->loop)),
    };
    store_exec(t->flow->store, Q_balance_told, params, COUNT_OF(params), told_stored, t);
}

void balance_tell(struct flow *f, const struct balance_told *in, balance_told_fn *done, void *ctx)
{
    struct told *t = calloc(1, sizeof *t);
    ASSERT(t != NULL);
    *t = (struct told){.flow = f, .done = done, .ctx = ctx};
    arena_init(&t->arena, 2 * 1024 * 1024);
    f->busy++;
    t->kind = arena_dup(&t->arena, in->kind);
    t->body = arena_dup(&t->arena, in->body);
    t->peer = arena_dup(&t->arena, in->peer);
    for (size_t i = 0; gateways[i] != NULL && t->gateway == NULL; i++)
        if (gateways[i]->balance_callback_parse != NULL &&
            callback_token_read(f->vault, gateways[i]->name, in->token, &t->account, &t->merchant))
            t->gateway = gateways[i];
    if (t->gateway == NULL || !account_is_id(t->account) || t->peer.p == NULL) {
        t->err = ERR(UNAUTHENTICATED, "callback token");
        loop_later(f->loop, &t->later, told_end, t);
    } else {
        account_start(f, t->merchant, t->account, told_account, t);
    }
}
