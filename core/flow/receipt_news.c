/* Whose is it? The news of money that was sent unasked, from the stored callback to its end: READ
 * (the account), FIND (the payment that it names), LOAD, then MOVE the payment or BOOK the money as
 * nobody's, and CLOSE.
 *
 * Ways to fail: it is not understood, or comes from a strange address (an exception; nothing is
 * booked); the payment is paid meanwhile by another receipt (booked); the receipt is known already
 * (counted: the callback ends); the database is away (the job comes again). */
#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/domain/reference.h"
#include "core/flow/account.h"
#include "core/flow/move.h"
#include "core/flow/receipt.h"
#include "store/kinds.h"

enum { NEWS_ARENA = 8 * 1024 * 1024, PAYER_MAX = 2048 };

void receipt_find(struct flow *f, struct uuid merchant, const struct flow_account *account,
                  struct str typed, store_rows_fn *done, void *ctx)
{
    char code[PAY_CODE_TEXT], word[REFERENCE_NO_TEXT + 1];
    bool is_code = pay_code_parse(typed, code);
    size_t n = 0;
    for (; n < typed.n && n < REFERENCE_NO_TEXT; n++)
        word[n] = ascii_upper(typed.p[n]);
    struct value params[] = {
        V_UUID(merchant),
        V_TEXT(mode_word(receipt_account_live(f, account))),
        V_TEXT(is_code ? str_c(code) : STR_NULL),
        V_TEXT(str_n(word, n)),
        V_UUID(account->id),
        V_BOOL(account->set == NULL), /* the installation's is everybody's */
    };
    store_read(f->store, Q_receipt_find, params, COUNT_OF(params), done, ctx);
}

enum news_state { NEWS_READ, NEWS_FIND, NEWS_LOAD, NEWS_MOVE, NEWS_BOOK, NEWS_CLOSE, NEWS_DONE };
static const char *const state_names[] = {"read", "find", "load", "move", "book", "close", "done"};
#define TO(s) (1u << NEWS_##s)
static const uint32_t state_next[] = {
    [NEWS_READ] = TO(FIND) | TO(CLOSE) | TO(DONE),
    [NEWS_FIND] = TO(LOAD) | TO(BOOK) | TO(DONE),
    [NEWS_LOAD] = TO(MOVE) | TO(BOOK) | TO(CLOSE) | TO(DONE),
    [NEWS_MOVE] = TO(BOOK) | TO(CLOSE) | TO(DONE),
    [NEWS_BOOK] = TO(DONE),
    [NEWS_CLOSE] = TO(DONE),
    [NEWS_DONE] = 0,
};
#undef TO
static const struct fsm news_fsm = {"receipt", state_names, state_next};

struct news {
    struct flow *flow;
    struct receipt_news in;
    struct arena arena;
    int state;
    const struct gateway *gateway;
    bool live;
    struct gw_receipt said;
    struct uuid merchant, payment; /* of the payment that it names */
    struct payment_record rec;
    receipt_fn *done;
    void *ctx;
};

static void finish(struct news *n, struct err err)
{
    fsm_enter(&news_fsm, &n->state, NEWS_DONE);
    n->flow->busy--;
    n->done(n->ctx, err);
    arena_free(&n->arena);
    free(n);
}

static void closed(void *ctx, struct err err, const struct rows *rows)
{
    (void)rows;
    finish(ctx, err);
}

/* Ends the callback; `exception` may be NULL. What it is about is then nothing but itself. */
static void close_with(struct news *n, const char *state, const char *reason, const char *exception)
{
    struct flow *f = n->flow;
    int64_t now = loop_wall_us(f->loop);
    struct uuid id = exception != NULL ? random_uuid(now) : UUID_NIL;
    struct value params[] = {
        V_UUID(n->in.from.merchant),
        V_UUID(n->in.from.subject),
        V_BYTES(n->in.from.dedupe_key),
        V_I32(n->in.from.n),
        V_TEXT(str_c(state)),
        V_TEXT(str_c(reason)),
        V_TIME(now),
        V_UUID_OPT(id),
        V_TEXT(exception != NULL ? str_c(exception) : STR_NULL),
        V_TEXT(mode_word(n->live)),
        V_UUID(id),
        V_UUID_OPT(n->payment),
    };
    log_info("receipt.closed", F_C("state", state), F_C("reason", reason));
    fsm_enter(&news_fsm, &n->state, NEWS_CLOSE);
    store_exec(f->store, Q_callback_close, params, COUNT_OF(params), closed, n);
}

static void put_text(struct jsonw *w, const char *name, struct str s)
{
    jw_str(w, name, s.n > 0 ? s : STR_NULL);
}

static struct str payer_text(struct news *n)
{
    struct buf b;
    buf_init(&b, PAYER_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    put_text(&w, "phone", n->said.payer_phone);
    put_text(&w, "name", n->said.payer_name);
    put_text(&w, "reference", n->said.reference);
    jw_close(&w);
    struct str text = b.failed ? STR("") : arena_dup(&n->arena, buf_view(&b));
    buf_free(&b);
    return text;
}

static void was_booked(void *ctx, struct err err)
{
    finish(ctx, err);
}

static void book(struct news *n, const char *why)
{
    bool named = !uuid_is_nil(n->payment);
    struct receipt_money m = {
        .from = n->in.from,
        .merchant = named ? n->merchant : n->in.from.merchant,
        .account = n->in.account,
        .payment = n->payment,
        .live = n->live,
        .provider = str_c(n->gateway->name),
        .receipt = n->said.receipt,
        .amount = n->said.amount,
        .payer = payer_text(n),
        .payer_phone = n->said.payer_phone,
        .why = why,
    };
    fsm_enter(&news_fsm, &n->state, NEWS_BOOK);
    receipt_book(n->flow, &m, was_booked, n);
}

static void moved(void *ctx, struct err err, const struct move_result *result)
{
    struct news *n = ctx;
    (void)result;
    if (!err_is(err))
        crash_point(CRASH_CALLBACK_PROCESSED);
    if (!err_is(err))
        close_with(n, "processed", "paid", NULL);
    else if (err.code == ERR_CONFLICT && err.detail == MOVE_RECEIPT_TAKEN)
        close_with(n, "processed", "known", NULL); /* counted where it was first told */
    else if (err.code == ERR_CONFLICT && err.detail == MOVE_OTHER_MONEY)
        book(n, "the payment has been paid already");
    else if (err.code == ERR_INVALID_STATE || err.code == ERR_INVALID)
        book(n, "the payment does not wait for money");
    else
        finish(n, err);
}

/* The attempt that the money may be counted for: the push that was not paid yet, or whose payment
 * was told without a receipt. 0: none. */
static int attempt_for(const struct payment *p)
{
    if (p->n_attempts == 0)
        return 0;
    const struct attempt *last = &p->attempts[p->n_attempts - 1];
    for (int i = 0; i < p->n_attempts; i++)
        if (p->attempts[i].status == ATTEMPT_SUCCEEDED)
            last = &p->attempts[i];
    return last->receipt[0] == '\0' ? last->n : 0;
}

static bool is_known(const struct payment *p, struct str receipt)
{
    for (int i = 0; i < p->n_attempts; i++)
        if (str_eq(receipt, str_c(p->attempts[i].receipt)))
            return true;
    return str_eq(receipt, str_c(p->receipt));
}

static void judge(struct news *n)
{
    const struct payment *p = &n->rec.p;
    struct money asked = payment_asked(p);
    int attempt = attempt_for(p);
    if (is_known(p, n->said.receipt)) {
        close_with(n, "processed", "known", NULL);
        return;
    }
    if (asked.minor != n->said.amount.minor || asked.currency != n->said.amount.currency) {
        book(n, "the amount is not the payment's");
        return;
    }
    if (attempt == 0) {
        book(n, p->received_minor > 0 ? "the payment has been paid already"
                                      : "the payment does not wait for money");
        return;
    }
    struct move_request rq = {
        .merchant = n->merchant,
        .payment = n->payment,
        .event = {.kind = PAYMENT_EVENT_SUCCESS,
                  .attempt = attempt,
                  .source = SOURCE_CALLBACK,
                  .amount = n->said.amount,
                  .receipt = n->said.receipt},
        .actor = STR("provider"),
        .receipts_differ = true,
    };
    fsm_enter(&news_fsm, &n->state, NEWS_MOVE);
    move_start(n->flow, &rq, moved, n);
}

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct news *n = ctx;
    if (!err_is(err))
        err = payment_record_read(rows, &n->arena, &n->rec);
    if (err_is(err))
        finish(n, err);
    else
        judge(n);
}

static void found(void *ctx, struct err err, const struct rows *rows)
{
    struct news *n = ctx;
    if (err_is(err)) {
        finish(n, err);
    } else if (rows_n(rows) != 1) {
        book(n, "no payment has this reference");
    } else {
        n->merchant = rows_uuid(rows, 0, 0);
        n->payment = rows_uuid(rows, 0, 1);
        struct value params[] = {V_UUID(n->merchant), V_UUID(n->payment)};
        fsm_enter(&news_fsm, &n->state, NEWS_LOAD);
        store_read(n->flow->store, Q_payment_get, params, COUNT_OF(params), loaded, n);
    }
}

static void read_it(void *ctx, struct err err, const struct flow_account *account)
{
    struct news *n = ctx;
    n->live = n->flow->settings.provider_live;
    if (err.code == ERR_CONFIG) {
        close_with(n, "dead", "no_account", "callback_dead");
        return;
    }
    if (err_is(err)) {
        finish(n, err);
        return;
    }
    n->gateway = account->gw.gateway;
    n->live = receipt_account_live(n->flow, account);
    if (n->gateway->receipt_parse == NULL ||
        err_is(n->gateway->receipt_parse(&account->gw, n->in.body, &n->arena, &n->said))) {
        close_with(n, "ignored", "not_understood", "callback_dead");
    } else if (!n->in.ip_ok) {
        close_with(n, "ignored", "address",
                   "sig_forged"); /* nobody can be asked whether it is so */
    } else {
        fsm_enter(&news_fsm, &n->state, NEWS_FIND);
        receipt_find(n->flow, n->in.from.merchant, account, n->said.reference, found, n);
    }
}

void receipt_process(struct flow *f, const struct receipt_news *in, receipt_fn *done, void *ctx)
{
    struct news *n = calloc(1, sizeof *n);
    ASSERT(n != NULL);
    n->flow = f;
    n->in = *in;
    n->done = done;
    n->ctx = ctx;
    arena_init(&n->arena, NEWS_ARENA);
    n->in.body = arena_dup(&n->arena, in->body);
    n->in.from.dedupe_key = arena_dup(&n->arena, in->from.dedupe_key);
    f->busy++;
    account_start(f, in->from.merchant, in->account, read_it, n);
}
