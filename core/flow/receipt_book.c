/* Money that is no payment's: booked into `unallocated`, and what two people decide about it. Each
 * is one statement; the journal's rows are made as a payment's are.
 *
 * Ways to fail: the receipt is known already (counted: the callback ends); somebody else has
 * decided (ERR_CONFLICT); the database is away (doing it again is safe). */
#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/crypto/random.h"
#include "core/domain/phone.h"
#include "core/flow/customer.h"
#include "core/flow/receipt.h"
#include "core/flow/record.h"

enum { BOOK_ARENA = 8 * 1024 * 1024 };

struct booking {
    struct flow *flow;
    struct arena arena;
    struct uuid id;
    struct move_unit unit; /* lends its rows */
    struct later later;
    struct err err; /* why nothing could be asked for */
    receipt_fn *done;
    void *ctx;
};

static void finish(struct booking *b, struct err err)
{
    b->flow->busy--;
    b->done(b->ctx, err);
    arena_free(&b->arena);
    free(b);
}

static void booked(void *ctx, struct err err, const struct rows *rows)
{
    struct booking *b = ctx;
    bool fresh = !err_is(err) && rows_n(rows) == 1 && rows_bool(rows, 0, 0);
    if (!err_is(err))
        log_info("receipt.booked", F_ID("receipt", b->id), F_BOOL("new", fresh));
    if (!err_is(err))
        crash_point(CRASH_CALLBACK_PROCESSED);
    finish(b, err);
}

static struct err seal_payer(struct booking *b, const struct receipt_money *m, struct str *out)
{
    struct buf sealed;
    *out = STR_NULL;
    if (m->payer.n == 0)
        return ERR_OK;
    buf_init(&sealed, m->payer.n + 256);
    struct err err =
        vault_seal(b->flow->vault, "exception_item.payer", m->merchant, b->id, m->payer, &sealed);
    if (!err_is(err)) {
        *out = arena_dup(&b->arena, buf_view(&sealed));
        if (out->p == NULL)
            err = ERR(NO_MEMORY, "payer");
    }
    buf_free(&sealed);
    return err;
}

/* A number that the provider shows in part finds nobody. */
static struct str payer_key(struct booking *b, const struct receipt_money *m)
{
    char e164[PHONE_TEXT];
    if (m->payer_phone.n == 0 || !phone_parse(m->payer_phone, STR(""), e164))
        return STR_NULL;
    struct customer_hash h =
        customer_hash(b->flow->vault, m->merchant, m->live, CUSTOMER_PHONE, str_c(e164));
    return arena_dup(&b->arena, str_n((const char *)h.b, sizeof h.b));
}

static struct str owner_of(const struct move_unit *u, struct uuid account)
{
    for (size_t i = 0; i < u->n_accounts; i++)
        if (uuid_eq(u->accounts[i].id, account))
            return u->accounts[i].owner;
    return STR("");
}

/* The rows of a journal of the money, which stands where a payment else does. */
static struct err journal(struct booking *b, struct uuid merchant, struct uuid account, bool live,
                          enum ledger_event event, struct money amount)
{
    struct payment_record as = {
        .merchant = merchant,
        .id = b->id,
        .account_id = account,
        .live = live,
        .p = {.updated_at_us = loop_wall_us(b->flow->loop)},
    };
    struct record_journal j = {.id = b->id, .event = event, .gross = amount};
    return record_journal(&b->arena, &as, &j, &b->unit);
}

static struct booking *booking_new(struct flow *f, receipt_fn *done, void *ctx)
{
    struct booking *b = calloc(1, sizeof *b);
    ASSERT(b != NULL);
    b->flow = f;
    b->done = done;
    b->ctx = ctx;
    b->id = random_uuid(loop_wall_us(f->loop));
    b->id.b[15] &= 0xc0; /* as a payment's id: it names a journal */
    arena_init(&b->arena, BOOK_ARENA);
    f->busy++;
    return b;
}

static void failed(void *ctx)
{
    struct booking *b = ctx;
    finish(b, b->err);
}

/* On a later turn also when nothing could be asked for. */
static void fail_later(struct booking *b, struct err err)
{
    log_warn("receipt.unbookable", F_ERR(err));
    b->err = err;
    loop_later(b->flow->loop, &b->later, failed, b);
}

void receipt_book(struct flow *f, const struct receipt_money *m, receipt_fn *done, void *ctx)
{
    struct booking *b = booking_new(f, done, ctx);
    struct str payer;
    struct err err = seal_payer(b, m, &payer);
    if (!err_is(err))
        err = journal(b, m->merchant, m->account, m->live, LEDGER_EVENT_PAYMENT_UNALLOCATED,
                      m->amount);
    if (err_is(err)) {
        fail_later(b, err);
        return;
    }
    int64_t now = loop_wall_us(f->loop);
    const struct transfer_row *t = &b->unit.transfers[0];
    struct value params[] = {
        V_UUID(m->merchant),
        V_UUID(b->id),
        V_TEXT(mode_word(m->live)),
        V_TEXT(m->provider),
        V_TEXT(m->receipt),
        V_I64(t->amount),
        V_TEXT(t->currency),
        V_TEXT(str_c(m->why)),
        V_BYTES(payer),
        V_TIME(now),
        V_UUID(random_uuid(now)),
        V_UUID(t->debit_id),
        V_TEXT(owner_of(&b->unit, t->debit_id)),
        V_UUID(t->credit_id),
        V_TEXT(owner_of(&b->unit, t->credit_id)),
        V_UUID(uuid_is_nil(m->payment) ? b->id : m->payment),
        V_UUID(m->from.merchant),
        V_UUID(m->from.subject),
        V_BYTES(m->from.dedupe_key),
        V_I32(m->from.n),
        V_BYTES(payer_key(b, m)),
    };
    store_exec(f->store, Q_receipt_book, params, COUNT_OF(params), booked, b);
}

static void decided(void *ctx, struct err err, const struct rows *rows)
{
    struct booking *b = ctx;
    if (!err_is(err) && rows_n(rows) == 0)
        err = ERR(CONFLICT, "version");
    finish(b, err);
}

void receipt_decide(struct flow *f, const struct receipt_decision *d, receipt_fn *done, void *ctx)
{
    struct booking *b = booking_new(f, done, ctx);
    struct money one = {1, d->currency}; /* the amount is the booking's; only accounts are needed */
    struct err err =
        journal(b, d->merchant, d->merchant, d->live,
                d->kept ? LEDGER_EVENT_UNALLOCATED_KEPT : LEDGER_EVENT_UNALLOCATED_RETURNED, one);
    if (err_is(err)) {
        fail_later(b, err);
        return;
    }
    int64_t now = loop_wall_us(f->loop);
    const struct transfer_row *t = &b->unit.transfers[0];
    struct value params[] = {
        V_UUID(d->merchant),
        V_UUID(d->item),
        V_I32(d->version),
        V_TEXT(d->resolution),
        V_TEXT(d->evidence),
        V_TEXT(d->by),
        V_TIME(now),
        V_UUID(random_uuid(now)),
        V_UUID(b->id),
        V_TEXT(t->kind),
        V_UUID_OPT(d->kept ? t->credit_id : UUID_NIL),
        V_TEXT(str_c(ledger_account_word(LEDGER_MERCHANT_PENDING))),
        V_TEXT(owner_of(&b->unit, t->credit_id)),
    };
    store_exec(f->store, Q_receipt_resolve, params, COUNT_OF(params), decided, b);
}
