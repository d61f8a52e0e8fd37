/* Money that customers send unasked: the provider's two doors, telling him where they are, and the
 * picture that customers scan to send it. */
#include "http/api.h"

#include "core/base/log.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/flow/account.h"
#include "core/flow/receipt.h"

enum { REGISTER_BODY = 16 * 1024, PICTURE_BODY = 256 * 1024 };

/* ---- the provider's doors ---- */

static void forged(struct http_exchange *x)
{
    log_warn("callback.forged", F_C("peer", x->peer.text));
    api_security(x, SECURITY_SIGNATURE_REFUSED, "callback token");
    gate_refuse(x, "Its URL does not show that it is a provider's.", false);
}

static void stored(void *ctx, struct err err, const struct gateway *gateway)
{
    struct http_exchange *x = ctx;
    if (err.code == ERR_UNAUTHENTICATED)
        forged(x);
    else if (err_is(err))
        http_problem(x, err, "");
    else
        http_reply(x, 200, str_c(gateway->callback_ack_type), str_c(gateway->receipt_ack));
}

static void checked(void *ctx, struct err err, const struct gateway *gateway, enum gw_check answer)
{
    struct http_exchange *x = ctx;
    if (err.code == ERR_UNAUTHENTICATED)
        forged(x);
    else if (err_is(err))
        http_problem(x, err, "");
    else
        http_reply(x, 200, str_c(gateway->callback_ack_type),
                   str_c(gateway->check_answers[answer]));
}

static struct callback_input input(struct http_exchange *x, struct str token)
{
    return (struct callback_input){.token = token, .body = x->body, .peer = str_c(x->peer.text)};
}

bool receipt_door(struct http_exchange *x, struct str token)
{
    struct str paid = receipt_token(token, RECEIPT_PAID),
               asks = receipt_token(token, RECEIPT_CHECK);
    struct callback_input in = input(x, paid.p != NULL ? paid : asks);
    if (paid.p != NULL)
        receipt_receive(api_of(x)->flow, &in, stored, x);
    else if (asks.p != NULL)
        receipt_check(api_of(x)->flow, &in, checked, x);
    return in.token.p != NULL;
}

/* The older names have the word in the path; it may stand behind the token as well. */
void receipt_confirmation_post(struct http_exchange *x)
{
    struct str token = receipt_token(x->params[0], RECEIPT_PAID);
    struct callback_input in = input(x, token.p != NULL ? token : x->params[0]);
    receipt_receive(api_of(x)->flow, &in, stored, x);
}

void receipt_validation_post(struct http_exchange *x)
{
    struct str token = receipt_token(x->params[0], RECEIPT_CHECK);
    struct callback_input in = input(x, token.p != NULL ? token : x->params[0]);
    receipt_check(api_of(x)->flow, &in, checked, x);
}

/* ---- where they are ---- */

struct registration {
    struct http_exchange *x;
    const struct gateway *gateway;
    struct gw_register places;
    struct uuid account;
    struct str body; /* of the answer, once the provider has spoken */
};

static void audited(void *ctx, struct err err, const struct rows *rows)
{
    struct registration *g = ctx;
    (void)rows;
    if (err_is(err))
        http_problem(g->x, err, "It is registered; the audit trail could not be written.");
    else
        http_reply_json(g->x, 200, g->body);
}

/* Why nothing has left for the provider. */
static void not_asked(struct http_exchange *x, struct err err)
{
    bool ours = err.code == ERR_INVALID || err.code == ERR_CONFIG;
    const char *why = ours && err.what != NULL ? err.what : "";
    http_problem(x, ours ? ERR(INVALID_STATE, NULL) : err, why);
}

/* Who has the provider bring money's news here: that he is about to, and that it was done. */
static void audit(struct registration *g, struct str action, const char *detail,
                  store_rows_fn *done)
{
    const struct principal *who = api_who(g->x);
    struct flow *f = api_of(g->x)->flow;
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_UUID(who->merchant),    V_UUID(g->account),
                             V_UUID(random_uuid(now)), V_TEXT(mode_word(who->live)),
                             V_TEXT(action),           V_TEXT(str_c(who->actor)),
                             V_TEXT(str_c(detail)),    V_TIME(now)};
    store_exec(f->store, Q_audit_insert, params, COUNT_OF(params), done, g);
}

static void registered(void *ctx, const struct gw_result *r, const struct gw_exchange *exchange)
{
    struct registration *g = ctx;
    struct http_exchange *x = g->x;
    struct buf b;
    log_info("receipt.registered", F_C("provider", g->gateway->name),
             F_I64("verdict", (int64_t)r->verdict), F_I64("http", exchange->http_status));
    if (r->verdict == GW_UNKNOWN || r->retry_later) {
        http_problem(x, ERR(UNAVAILABLE, NULL),
                     "The provider gave no clear answer; registering again is safe.");
        return;
    }
    if (r->verdict != GW_ACCEPTED && r->code != FAILURE_DUPLICATE) {
        http_problem(x, ERR(INVALID_STATE, NULL),
                     r->code == FAILURE_CONFIGURATION ? "The provider does not take the account's "
                                                        "credentials."
                                                      : "The provider refused the registration.");
        return;
    }
    buf_init(&b, REGISTER_BODY);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "callback_registration");
    jw_c(&w, "provider", g->gateway->name);
    jw_uuid(&w, "account_id", g->account);
    jw_bool(&w, "registered", r->verdict == GW_ACCEPTED);
    jw_str(&w, "confirmation_url", g->places.paid_url);
    jw_str(&w, "validation_url", g->places.check_url);
    jw_str(&w, "message", r->message.n > 0 ? r->message : STR_NULL);
    jw_close(&w);
    g->body = buf_keep(&b, x->arena);
    if (g->body.p == NULL)
        http_problem(x, ERR(NO_MEMORY, "answer"), "");
    else
        audit(g, STR("callbacks.registered"),
              r->verdict == GW_ACCEPTED ? g->gateway->name : "was registered before", audited);
}

static void ask(void *ctx, struct err err, const struct flow_account *account)
{
    struct registration *g = ctx;
    if (!err_is(err))
        err = gw_register_start(api_of(g->x)->flow->gateways, &account->gw, &g->places, registered,
                                g);
    if (err_is(err))
        not_asked(g->x, err);
}

static void intended(void *ctx, struct err err, const struct rows *rows)
{
    struct registration *g = ctx;
    (void)rows;
    if (err_is(err))
        http_problem(g->x, err, "The provider was not asked: the audit trail cannot be written.");
    else
        account_start(api_of(g->x)->flow, api_who(g->x)->merchant, g->account, ask, g);
}

static void register_now(struct registration *g)
{
    struct http_exchange *x = g->x;
    struct flow *f = api_of(x)->flow;
    const struct principal *who = api_who(x);
    const struct flow_account *account = account_for(f, who->merchant, g->gateway, who->live);
    if (account == NULL) {
        http_problem(x, ERR(INVALID_STATE, NULL), "There is no account of this provider and mode.");
        return;
    }
    g->account = account->id;
    struct err err = receipt_urls(f, g->gateway, who->merchant, account->id, x->arena, &g->places);
    if (err_is(err))
        http_problem(x, err, "");
    else /* durable before anything leaves the building */
        audit(g, STR("callbacks.registering"), g->gateway->name, intended);
}

/* What customers send to the installation's account is everybody's who uses it: its receipts must
 * not be led to one merchant of many. */
static void counted(void *ctx, struct err err, const struct rows *rows)
{
    struct registration *g = ctx;
    if (err_is(err))
        http_problem(g->x, err, "");
    else if (rows_n(rows) > 0)
        http_problem(g->x, ERR(FORBIDDEN, NULL),
                     "Other merchants use the installation's account as well: register an account "
                     "of your own.");
    else
        register_now(g);
}

static void accounts_known(void *ctx, struct err err)
{
    struct registration *g = ctx;
    struct http_exchange *x = g->x;
    const struct principal *who = api_who(x);
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    const struct flow_account *account =
        account_for(api_of(x)->flow, who->merchant, g->gateway, who->live);
    if (account == NULL || account->set != NULL) {
        register_now(g);
        return;
    }
    struct value params[] = {V_UUID(who->merchant)};
    store_read(api_of(x)->flow->store, Q_merchant_other, params, COUNT_OF(params), counted, g);
}

void receipt_register(struct http_exchange *x)
{
    const struct gateway *gateway = gateway_find(x->params[0]);
    if (gateway == NULL || gateway->register_build == NULL) {
        http_problem(x, ERR(NOT_FOUND, NULL),
                     "No such provider brings money that was not asked for.");
        return;
    }
    struct registration *g = ARENA_NEW(x->arena, struct registration);
    if (g == NULL) {
        http_problem(x, ERR(NO_MEMORY, "registration"), "");
        return;
    }
    *g = (struct registration){.x = x, .gateway = gateway};
    accounts_start(api_of(x)->flow, api_who(x)->merchant, accounts_known, g);
}

/* ---- a picture that customers scan ---- */

struct picture {
    struct http_exchange *x;
    struct payment_record rec;
};

static void painted(void *ctx, const struct gw_result *r, const struct gw_exchange *exchange)
{
    struct picture *p = ctx;
    struct http_exchange *x = p->x;
    struct money asked = payment_asked(&p->rec.p);
    char currency[CURRENCY_TEXT];
    struct buf b;
    (void)exchange;
    if (r->verdict != GW_ACCEPTED || r->image.n == 0) {
        http_problem(x, ERR(UNAVAILABLE, NULL), "The provider gave no picture; ask again later.");
        return;
    }
    buf_init(&b, PICTURE_BODY);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "qr_code");
    jw_uuid(&w, "payment_id", p->rec.id);
    jw_str(&w, "provider", p->rec.provider);
    jw_str(&w, "pay_code", p->rec.pay_code);
    jw_money(&w, "amount", asked);
    jw_c(&w, "currency", currency_text(asked.currency, currency));
    jw_c(&w, "content_type", "image/png");
    jw_str(&w, "image", r->image);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

static void picture_account(void *ctx, struct err err, const struct flow_account *account)
{
    struct picture *p = ctx;
    struct gw_qr in = {.amount = payment_asked(&p->rec.p), .pay_code = p->rec.pay_code};
    if (!err_is(err))
        err = gw_qr_start(api_of(p->x)->flow->gateways, &account->gw, &in, painted, p);
    if (err_is(err))
        not_asked(p->x, err);
}

static void picture_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct picture *p = ctx;
    struct http_exchange *x = p->x;
    struct flow *f = api_of(x)->flow;
    if (!err_is(err))
        err = payment_record_read(rows, x->arena, &p->rec);
    if (!err_is(err) && p->rec.live != api_who(x)->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such payment." : "");
        return;
    }
    const struct gateway *g = gateway_find(p->rec.provider);
    if (g == NULL || g->qr_build == NULL)
        http_problem(x, ERR(INVALID_STATE, NULL), "The payment's provider has no such picture.");
    else if (p->rec.p.status != PAYMENT_PROCESSING && p->rec.p.status != PAYMENT_REQUIRES_ACTION)
        http_problem(x, ERR(INVALID_STATE, NULL), "The payment does not wait for money.");
    else
        account_start(f, p->rec.merchant, p->rec.account_id, picture_account, p);
}

void payment_qr(struct http_exchange *x)
{
    struct uuid id;
    if (!api_path_id(x, 0, &id))
        return;
    struct picture *p = ARENA_NEW(x->arena, struct picture);
    if (p == NULL) {
        http_problem(x, ERR(NO_MEMORY, "picture"), "");
        return;
    }
    p->x = x;
    struct value params[] = {V_UUID(api_who(x)->merchant), V_UUID(id)};
    store_read(api_of(x)->flow->store, Q_payment_get, params, COUNT_OF(params), picture_loaded, p);
}
