/* How an item of the operators' queue ends: LOAD, then PROPOSE (the first person, or nothing moves)
 * or MOVE the payment or refund (the second person), then SHOW.
 *
 * Ways to fail: it cannot end so; the same person twice; it has ended meanwhile, by evidence or by
 * others (the move's unit asks that the item still waits, and the payment's revision does the
 * rest); the database is away (doing it again is safe). */
#include "core/flow/resolve.h"

#include <stdlib.h>

#include "core/base/fsm.h"
#include "core/crypto/random.h"
#include "core/domain/person.h"
#include "core/flow/move.h"
#include "core/flow/payout.h"
#include "core/flow/receipt.h"
#include "core/flow/refund.h"
#include "core/flow/render.h"
#include "store/kinds.h"

enum { RESOLVE_ARENA = 64 * 1024 };

enum resolve_state { RESOLVE_LOAD, RESOLVE_PROPOSE, RESOLVE_MOVE, RESOLVE_SHOW, RESOLVE_DONE };
static const char *const state_names[] = {"load", "propose", "move", "show", "done"};
#define TO(s) (1u << RESOLVE_##s)
static const uint32_t state_next[] = {
    [RESOLVE_LOAD] = TO(PROPOSE) | TO(MOVE) | TO(DONE),
    [RESOLVE_PROPOSE] = TO(SHOW) | TO(DONE),
    [RESOLVE_MOVE] = TO(SHOW) | TO(DONE),
    [RESOLVE_SHOW] = TO(DONE),
    [RESOLVE_DONE] = 0,
};
#undef TO
static const struct fsm resolve_fsm = {"resolve", state_names, state_next};

struct resolve {
    struct flow *flow;
    struct resolve_input in;
    struct arena arena;
    int state;
    struct exception_record item;
    struct move_resolution resolution;
    exception_resolve_fn *done;
    void *ctx;
};

enum {
    X_ID,
    X_KIND,
    X_SUBJECT,
    X_DETAIL,
    X_STATUS,
    X_RESOLUTION,
    X_EVIDENCE,
    X_RESOLVED_BY,
    X_CREATED,
    X_UPDATED,
    X_ATTEMPT,
    X_AMOUNT,
    X_CURRENCY,
    X_RECEIPT,
    X_PROPOSED_BY,
    X_MODE,
    X_VERSION,
    X_PAYER,
    X_DATA,
    X_PROPOSER
};

void exception_read(const struct rows *r, size_t row, struct exception_record *out)
{
    *out = (struct exception_record){
        .id = rows_uuid(r, row, X_ID),
        .subject = rows_uuid(r, row, X_SUBJECT),
        .mode = rows_str(r, row, X_MODE),
        .kind = rows_str(r, row, X_KIND),
        .detail = rows_str(r, row, X_DETAIL),
        .status = rows_str(r, row, X_STATUS),
        .resolution = rows_str(r, row, X_RESOLUTION),
        .evidence = rows_str(r, row, X_EVIDENCE),
        .receipt = rows_str(r, row, X_RECEIPT),
        .proposed_by = rows_str(r, row, X_PROPOSED_BY),
        .resolved_by = rows_str(r, row, X_RESOLVED_BY),
        .attempt = (int)rows_i64(r, row, X_ATTEMPT),
        .created_us = rows_time(r, row, X_CREATED),
        .updated_us = rows_time(r, row, X_UPDATED),
        .version = (int32_t)rows_i64(r, row, X_VERSION),
        .payer = rows_str(r, row, X_PAYER),
        .dispute = rows_str(r, row, X_DATA),
        .proposer = rows_str(r, row, X_PROPOSER),
    };
    if (!rows_null(r, row, X_AMOUNT))
        out->waiting = (struct money){rows_i64(r, row, X_AMOUNT),
                                      currency_parse(rows_str(r, row, X_CURRENCY))};
}

static const char *subject_word(const struct exception_record *rec)
{
    if (uuid_eq(rec->subject, rec->id))
        return "receipt";
    return id_is_payout(rec->subject)   ? "payout"
           : id_is_refund(rec->subject) ? "refund"
                                        : "payment";
}

void render_exception(struct flow *f, struct arena *a, struct uuid merchant, struct jsonw *w,
                      const struct exception_record *rec)
{
    struct str payer = STR_NULL;
    char currency[CURRENCY_TEXT];
    jw_uuid(w, "id", rec->id);
    jw_c(w, "object", "exception");
    jw_str(w, "mode", rec->mode);
    jw_str(w, "kind", rec->kind);
    jw_uuid(w, "subject_id", rec->subject);
    jw_c(w, "subject", subject_word(rec));
    jw_str(w, "detail", rec->detail);
    if (rec->waiting.minor > 0) {
        jw_money(w, "unallocated", rec->waiting);
        jw_c(w, "currency", currency_text(rec->waiting.currency, currency));
    } else {
        jw_null(w, "unallocated");
        jw_null(w, "currency");
    }
    if (rec->payer.n > 0 && err_is(vault_open(f->vault, "exception_item.payer", merchant, rec->id,
                                              rec->payer, a, &payer)))
        payer = STR_NULL;
    jw_raw(w, "payer", payer);
    jw_raw(w, "dispute", rec->dispute);
    jw_str(w, "status", rec->status);
    jw_str(w, "resolution", rec->resolution);
    jw_str(w, "evidence", rec->evidence);
    jw_str(w, "provider_receipt", rec->receipt);
    jw_str(w, "proposed_by", rec->proposed_by);
    jw_str(w, "resolved_by", rec->resolved_by);
    jw_time(w, "created_at", rec->created_us);
    jw_time(w, "updated_at", rec->updated_us);
}

static void finish(struct resolve *r, struct err err, const char *detail)
{
    fsm_enter(&resolve_fsm, &r->state, RESOLVE_DONE);
    r->flow->busy--;
    r->done(r->ctx, err, detail, err_is(err) ? NULL : &r->item);
    arena_free(&r->arena);
    free(r);
}

static void read_item(struct resolve *r, store_rows_fn *done)
{
    struct value params[] = {V_UUID(r->in.merchant), V_UUID(r->in.item)};
    store_read(r->flow->store, Q_exception_get, params, COUNT_OF(params), done, r);
}

static struct err take_item(struct resolve *r, struct err err, const struct rows *rows)
{
    struct exception_record *x = &r->item;
    if (err_is(err))
        return err;
    if (rows_n(rows) == 0)
        return ERR(NOT_FOUND, "exception");
    exception_read(rows, 0, x);
    struct str *const texts[] = {&x->mode,        &x->kind,     &x->detail,  &x->status,
                                 &x->resolution,  &x->evidence, &x->receipt, &x->proposed_by,
                                 &x->resolved_by, &x->payer,    &x->dispute, &x->proposer};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (texts[i]->p != NULL)
            *texts[i] = arena_dup(&r->arena, *texts[i]);
    return str_eq(x->mode, mode_word(r->in.live)) ? ERR_OK : ERR(NOT_FOUND, "exception");
}

static void shown(void *ctx, struct err err, const struct rows *rows)
{
    struct resolve *r = ctx;
    finish(r, take_item(r, err, rows), "");
}

static void show(struct resolve *r)
{
    fsm_enter(&resolve_fsm, &r->state, RESOLVE_SHOW);
    read_item(r, shown);
}

/* ---- the first person ---- */

static void proposed(void *ctx, struct err err, const struct rows *rows)
{
    struct resolve *r = ctx;
    if (!err_is(err) && rows_n(rows) == 0)
        err = ERR(CONFLICT, "version");
    if (err_is(err))
        finish(r, err, err.code == ERR_CONFLICT ? "Somebody else was faster; look again." : "");
    else
        show(r);
}

/* Of money that came unasked the receipt is what the item is about. */
static struct str proposed_receipt(const struct resolve *r)
{
    if (str_eq(r->item.kind, STR("unallocated")))
        return r->item.receipt;
    return r->in.receipt.n > 0 ? r->in.receipt : STR_NULL;
}

static void propose(struct resolve *r)
{
    const struct resolve_input *in = &r->in;
    bool ends = !resolution_needs_two(in->resolution);
    int64_t now = loop_wall_us(r->flow->loop);
    struct value params[] = {
        V_UUID(in->merchant),
        V_UUID(in->item),
        V_I32(r->item.version),
        V_TEXT(ends ? STR("resolved") : STR("assigned")),
        V_TEXT(str_c(resolution_word(in->resolution))),
        V_TEXT(in->evidence),
        V_TEXT(proposed_receipt(r)),
        V_TEXT(in->actor),
        V_TEXT(ends ? in->actor : STR_NULL),
        V_UUID(random_uuid(now)),
        V_TEXT(ends ? STR("exception.resolved") : STR("exception.proposed")),
        V_TIME(now),
        V_TEXT(in->person),
    };
    fsm_enter(&resolve_fsm, &r->state, RESOLVE_PROPOSE);
    store_exec(r->flow->store, Q_exception_move, params, COUNT_OF(params), proposed, r);
}

/* ---- the second ---- */

static void moved(struct resolve *r, struct err err)
{
    if (err.code == ERR_INVALID_STATE || err.code == ERR_INVALID)
        finish(r, ERR(INVALID_STATE, NULL), "It cannot end so any more; look again.");
    else if (err.code == ERR_CONFLICT)
        finish(r, err,
               err.detail == MOVE_RECEIPT_TAKEN ? "The receipt is another payment's."
                                                : "Somebody else was faster; look again.");
    else if (err_is(err))
        finish(r, err, "");
    else
        show(r);
}

static void payment_moved(void *ctx, struct err err, const struct move_result *result)
{
    (void)result;
    moved(ctx, err);
}

static void refund_moved(void *ctx, struct err err, const struct refund_moved *result)
{
    (void)result;
    moved(ctx, err);
}

static void move_payment(struct resolve *r, struct str receipt)
{
    static const enum payment_event_kind kinds[RESOLUTION_N] = {
        [RESOLUTION_COMPLETED] = PAYMENT_EVENT_RESOLVED_PAID,
        [RESOLUTION_FAILED] = PAYMENT_EVENT_RESOLVED_UNPAID,
        [RESOLUTION_KEPT] = PAYMENT_EVENT_MONEY_KEPT,
        [RESOLUTION_RETURNED] = PAYMENT_EVENT_MONEY_RETURNED,
    };
    struct move_request rq = {
        .merchant = r->in.merchant,
        .payment = r->item.subject,
        .event = {.kind = kinds[r->in.resolution],
                  .attempt = r->item.attempt,
                  .source = SOURCE_OPERATOR,
                  .amount = r->item.waiting,
                  .receipt = receipt},
        .actor = r->in.actor,
        .resolution = &r->resolution,
    };
    move_start(r->flow, &rq, payment_moved, r);
}

static void move_refund(struct resolve *r, struct str receipt)
{
    struct refund_move rq = {
        .merchant = r->in.merchant,
        .refund = r->item.subject,
        .live_only = true,
        .live = r->in.live,
        .event = {.kind = r->in.resolution == RESOLUTION_COMPLETED ? REFUND_EVENT_SUCCESS
                                                                   : REFUND_EVENT_FAILURE,
                  .attempt = r->item.attempt,
                  .receipt = receipt},
        .actor = r->in.actor,
        .resolution = &r->resolution,
    };
    refund_move_start(r->flow, &rq, refund_moved, r);
}

static void payout_moved(void *ctx, struct err err, const struct payout_moved *result)
{
    (void)result;
    moved(ctx, err);
}

static void move_payout(struct resolve *r, struct str receipt)
{
    struct payout_move rq = {
        .merchant = r->in.merchant,
        .payout = r->item.subject,
        .live_only = true,
        .live = r->in.live,
        .event = {.kind = r->in.resolution == RESOLUTION_COMPLETED ? PAYOUT_EVENT_SUCCESS
                                                                   : PAYOUT_EVENT_FAILURE,
                  .vouched = true,
                  .code = FAILURE_UNKNOWN_OUTCOME,
                  .receipt = receipt},
        .actor = r->in.actor,
        .resolution = &r->resolution,
    };
    payout_move_start(r->flow, &rq, payout_moved, r);
}

static void receipt_decided(void *ctx, struct err err)
{
    moved(ctx, err);
}

static void move_receipt(struct resolve *r)
{
    const struct exception_record *x = &r->item;
    struct receipt_decision d = {
        .merchant = r->in.merchant,
        .item = x->id,
        .version = x->version,
        .live = r->in.live,
        .kept = r->in.resolution == RESOLUTION_KEPT,
        .currency = x->waiting.currency,
        .resolution = str_c(resolution_word(r->in.resolution)),
        .evidence = r->in.evidence,
        .by = r->in.actor,
    };
    receipt_decide(r->flow, &d, receipt_decided, r);
}

static void move(struct resolve *r)
{
    const struct exception_record *x = &r->item;
    struct str receipt = r->in.receipt.n > 0 ? r->in.receipt : x->receipt;
    r->resolution = (struct move_resolution){
        .item = x->id,
        .resolution = str_c(resolution_word(r->in.resolution)),
        .evidence = r->in.evidence,
        .by = r->in.actor,
    };
    fsm_enter(&resolve_fsm, &r->state, RESOLVE_MOVE);
    if (str_eq(x->kind, STR("unallocated")))
        move_receipt(r);
    else if (id_is_payout(x->subject))
        move_payout(r, receipt);
    else if (id_is_refund(x->subject))
        move_refund(r, receipt);
    else
        move_payment(r, receipt);
}

/* ---- which of the two ---- */

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct resolve *r = ctx;
    const struct exception_record *x = &r->item;
    err = take_item(r, err, rows);
    if (err_is(err)) {
        finish(r, err, err.code == ERR_NOT_FOUND ? "No such exception." : "");
        return;
    }
    bool same = str_eq(x->resolution, str_c(resolution_word(r->in.resolution)));
    if (str_eq(x->status, STR("resolved"))) {
        if (same)
            finish(r, ERR_OK, "");
        else
            finish(r, ERR(INVALID_STATE, NULL), "It has ended already.");
    } else if (!exception_may_end(x->kind, x->waiting.minor > 0, r->in.resolution)) {
        finish(r, ERR(INVALID_STATE, NULL), "An exception of this kind cannot end so.");
    } else if (!str_eq(x->status, STR("assigned")) || !same) {
        propose(r);
    } else if (person_same(x->proposer, r->in.person)) {
        finish(r, ERR(FORBIDDEN, NULL),
               "Who proposed it cannot agree to it as well"
               "; until another person confirms him, a member and who invited him are one.");
    } else {
        move(r);
    }
}

void exception_resolve_start(struct flow *f, const struct resolve_input *in,
                             exception_resolve_fn *done, void *ctx)
{
    struct resolve *r = calloc(1, sizeof *r);
    ASSERT(r != NULL);
    r->flow = f;
    r->in = *in;
    r->done = done;
    r->ctx = ctx;
    arena_init(&r->arena, RESOLVE_ARENA);
    f->busy++;
    read_item(r, loaded);
}
