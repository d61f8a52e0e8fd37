/* Payouts as requests. Happy path: ACCOUNT, then FUNDS (what the merchant has, and what could be
 * brought in from what is pending), HOLD (payout, hold, event and idempotency record in one unit),
 * answer; then payout_run sends it.
 *
 * Ways to fail: not enough (refused, and the refusal is the key's answer); the reference is
 * another's; the key is known (replay or refuse); a lost race for the balance (look at it again);
 * the database away (503; the same request may be sent again). */
#include "core/flow/payout_int.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/flow/account.h"
#include "core/flow/customer.h"
#include "core/flow/maintenance.h"
#include "core/flow/record.h"
#include "core/flow/render.h"

enum { REQUEST_TRIES = 40, REQUEST_ARENA = 2 * 1024 * 1024 };

struct request {
    struct flow *flow;
    struct payout_input in;
    struct arena arena;
    int tries;
    bool unheld; /* there was not enough when it was to be held */
    uint8_t fingerprint[FINGERPRINT_LEN];
    struct idempotency_place place;
    struct uuid holder; /* of the key */
    int64_t holder_lease_us, original_us;
    struct str snapshot; /* that was answered with */
    struct uuid previous_owner;
    int32_t previous_version;           /* of the reference while it was his */
    const struct flow_account *account; /* held */
    struct payout_record rec;
    struct payout_effects fx;
    struct payout_create_unit unit;
    struct err refusal;
    const char *refusal_detail;
    struct later later;
    payout_fn *done;
    void *ctx;
};

static void finish(struct request *q, struct err err, const struct payout_result *result)
{
    struct payout_result none = {0};
    q->flow->busy--;
    q->done(q->ctx, err, result != NULL ? result : &none);
    account_release(q->account);
    arena_free(&q->arena);
    free(q);
}

static void fail(struct request *q, struct err err, const char *detail)
{
    struct payout_result result = {.detail = str_c(detail)};
    finish(q, err, &result);
}

/* ---- nothing comes of it, and that is the key's answer ---- */

static void look_up(struct request *q);

static void refused(void *ctx, struct err err, const struct rows *rows)
{
    struct request *q = ctx;
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    if (rows != NULL && rows_n(rows) == 0) { /* this took too long, and the key is another's */
        look_up(q);
        return;
    }
    struct payout_result result = {
        .http_status = err_http(q->refusal.code),
        .is_problem = true,
        .body = q->in.problem(q->in.problem_ctx, q->refusal, q->refusal_detail),
    };
    finish(q, ERR_OK, &result);
}

static void refuse(struct request *q, struct err why, const char *detail)
{
    q->refusal = why;
    q->refusal_detail = detail;
    if (q->in.idem_key.p == NULL) {
        refused(q, ERR_OK, NULL);
        return;
    }
    struct str body = q->in.problem(q->in.problem_ctx, why, detail);
    struct value params[] = {V_UUID(q->in.merchant),
                             V_TEXT(mode_word(q->in.live)),
                             V_TEXT(q->in.idem_key),
                             V_UUID(q->rec.id),
                             V_I16(err_http(why.code)),
                             V_TEXT(body),
                             V_TIME(0)};
    store_exec(q->flow->store, Q_idempotency_refuse, params, COUNT_OF(params), refused, q);
}

/* ---- the key is known ---- */

static void find_account(struct request *q);
static void read_funds(struct request *q);

static void released(void *ctx, struct err err, const struct rows *rows)
{
    struct request *q = ctx;
    (void)rows;
    if (err_is(err))
        finish(q, err, NULL);
    else
        look_up(q);
}

/* Whoever holds the key is at work, or died before anything came of it. */
static void in_flight(struct request *q)
{
    int64_t now = loop_wall_us(q->flow->loop);
    if (q->holder_lease_us > now || ++q->tries > REQUEST_TRIES) {
        fail(q, ERR(IDEMPOTENCY_IN_PROGRESS, NULL),
             "Another request with this key is being worked on.");
        return;
    }
    struct value params[] = {V_UUID(q->in.merchant), V_TEXT(mode_word(q->in.live)),
                             V_TEXT(q->in.idem_key), V_UUID(q->holder), V_TIME(now)};
    store_exec(q->flow->store, Q_idempotency_release, params, COUNT_OF(params), released, q);
}

/* The payout as it was made: what has changed since is not part of the answer. */
static void replay(void *ctx, struct err err, const struct rows *rows)
{
    struct request *q = ctx;
    struct payout_record rec = {0};
    struct str payee = STR("");
    if (!err_is(err))
        err = payout_record_read(rows, 0, &q->arena, &rec);
    if (err.code == ERR_NOT_FOUND) {
        in_flight(q);
        return;
    }
    struct payment_record head = payout_head(&rec);
    if (!err_is(err))
        err = record_person(q->flow, &head, &q->arena, &payee);
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    struct buf b;
    buf_init(&b, REQUEST_ARENA);
    render_snapshot(&b, q->snapshot, payee, STR_NULL);
    struct payout_result result = {
        .http_status = 201,
        .body = buf_view(&b),
        .replayed = true,
        .original_us = q->original_us,
        .current_status = str_c(payout_status_word(rec.p.status)),
    };
    finish(q, b.failed ? ERR(NO_MEMORY, "payout") : ERR_OK, &result);
    buf_free(&b);
}

static void read_payout(struct request *q, struct uuid id, store_rows_fn *done)
{
    struct value params[] = {V_UUID(q->in.merchant), V_UUID(id)};
    store_read(q->flow->store, Q_payout_get, params, COUNT_OF(params), done, q);
}

static void known(void *ctx, struct err err, const struct rows *r)
{
    struct request *q = ctx;
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    if (rows_n(r) == 0 && q->unheld && ++q->tries > REQUEST_TRIES) {
        finish(q, ERR(CONFLICT, "too many lost races"), NULL);
        return;
    }
    if (rows_n(r) == 0) {
        q->unheld = false; /* any more: the key was released meanwhile */
        find_account(q);
        return;
    }
    if (idempotency_look_there(&q->place, rows_uuid(r, 0, IDEM_SUBJECT))) {
        look_up(q);
        return;
    }
    struct str stored = rows_str(r, 0, IDEM_FINGERPRINT);
    q->holder = rows_uuid(r, 0, IDEM_SUBJECT);
    q->holder_lease_us = rows_time(r, 0, IDEM_LEASE);
    q->original_us = rows_time(r, 0, IDEM_CREATED);
    if (!str_eq(str_first(stored, 32), str_n((char *)q->fingerprint, 32))) {
        struct str names =
            fingerprint_difference(q->fingerprint, stored, q->in.fields, q->in.n_fields, &q->arena);
        struct str words =
            arena_fmt(&q->arena, "The key was used with another request; these differ: %.*s.",
                      STR_ARG(names));
        fail(q, ERR(IDEMPOTENCY_KEY_REUSED, NULL), words.p);
    } else if (!rows_null(r, 0, IDEM_PROBLEM)) {
        struct payout_result result = {.http_status = (int)rows_i64(r, 0, IDEM_STATUS),
                                       .is_problem = true,
                                       .body = rows_str(r, 0, IDEM_PROBLEM),
                                       .replayed = true,
                                       .original_us = q->original_us};
        finish(q, ERR_OK, &result);
    } else if (rows_null(r, 0, IDEM_DATA)) {
        in_flight(q);
    } else {
        q->snapshot = arena_dup(&q->arena, rows_str(r, 0, IDEM_DATA));
        read_payout(q, q->holder, replay);
    }
}

static void look_up(struct request *q)
{
    idempotency_look(q->flow, q->in.merchant, q->in.live, q->in.idem_key, &q->place, known, q);
}

/* ---- the hold ---- */

static void created(struct request *q)
{
    struct flow *f = q->flow;
    struct payment_record head = payout_head(&q->rec);
    struct payout_result result = {.http_status = 201};
    struct uuid merchant = q->in.merchant, id = q->rec.id;
    bool send = q->rec.p.status == PAYOUT_QUEUED;
    crash_point(CRASH_PAYOUT_HELD);
    flow_published(f, &head, 1, q->unit.fanout || q->unit.unit.doubt);
    struct err err = payout_body(f, &q->arena, &q->rec, &result.body);
    finish(q, err, &result);
    if (send)
        payout_run(f, merchant, id, NULL, NULL);
}

static void own_read(void *ctx, struct err err, const struct rows *rows)
{
    struct request *q = ctx;
    if (err_is(err))
        finish(q, err, NULL);
    else if (rows_n(rows) > 0)
        created(q);
    else
        read_funds(q);
}

static void owner_known(void *ctx, struct err err, const struct rows *r)
{
    struct request *q = ctx;
    enum payout_status s = PAYOUT_FAILED;
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    bool none = rows_n(r) == 0, there = !none && !rows_null(r, 0, 1);
    if (there && !payout_status_parse(rows_str(r, 0, 1), &s)) {
        finish(q, ERR(INTERNAL, "stored payout not understood"), NULL);
        return;
    }
    bool ended =
        s == PAYOUT_FAILED || s == PAYOUT_CANCELLED || s == PAYOUT_REJECTED || s == PAYOUT_RETURNED;
    if (there && uuid_eq(rows_uuid(r, 0, 0), q->rec.id)) {
        created(q);
        return;
    }
    if ((there && !ended) || ++q->tries > REQUEST_TRIES) {
        refuse(q, ERR(DUPLICATE_REFERENCE, NULL), "Another payout has this reference.");
        return;
    }
    q->previous_owner = none ? UUID_NIL : rows_uuid(r, 0, 0);
    q->previous_version = none ? 0 : (int32_t)rows_i64(r, 0, 2);
    read_funds(q);
}

static void read_owner(struct request *q)
{
    struct value params[] = {V_UUID(q->in.merchant), V_TEXT(mode_word(q->in.live)),
                             V_TEXT(q->in.reference)};
    store_read(q->flow->store, Q_payout_owner, params, COUNT_OF(params), owner_known, q);
}

static void wrote(void *ctx)
{
    struct request *q = ctx;
    struct err err = q->unit.unit.err;
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    if (q->unit.stage != PAYOUT_DONE && q->unit.unit.doubt) {
        read_payout(q, q->rec.id, own_read); /* a commit without an answer may have been this one */
        return;
    }
    switch (q->unit.stage) {
    case PAYOUT_DONE:
        created(q);
        break;
    case PAYOUT_KEY_KNOWN:
        look_up(q);
        break;
    case PAYOUT_TAKEN:
        read_owner(q);
        break;
    case PAYOUT_NOT_HELD: /* the reference is this one's now */
        q->unheld = true;
        q->previous_owner = q->rec.id;
        read_funds(q);
        break;
    }
}

static struct err fill_idempotency(struct request *q)
{
    struct payout_insert_row *row = &q->unit.row;
    if (q->in.idem_key.p == NULL)
        return ERR_OK;
    TRY(idempotency_place_fresh(&q->place, loop_wall_us(q->flow->loop)));
    row->idem_key = q->in.idem_key;
    row->idem_slot = q->place.slot;
    row->idem_slot_b = q->place.slot_b;
    row->idem_look_a = q->place.look_a;
    row->idem_look_b = q->place.look_b;
    row->idem_period = q->place.period;
    row->idem_fingerprint = str_n((char *)q->fingerprint, FINGERPRINT_LEN);
    row->idem_lease = loop_wall_us(q->flow->loop) + FLOW_LEASE_US;
    return ERR_OK;
}

/* `matured` is brought in from what is pending, or given back to it. */
static struct err fill_books(struct request *q, int64_t matured)
{
    struct payment_record head = payout_head(&q->rec);
    struct record_journal hold = {.id = q->rec.id,
                                  .event = LEDGER_EVENT_HOLD,
                                  .gross = q->rec.p.amount,
                                  .against = LEDGER_PAYOUT_CLEARING};
    struct record_journal bring = {
        .id = q->rec.id,
        .event = matured > 0 ? LEDGER_EVENT_MATURED : LEDGER_EVENT_MATURED_BACK,
        .gross = {matured > 0 ? matured : -matured, q->rec.p.amount.currency},
    };
    TRY(record_journal(&q->arena, &head, &hold, &q->unit.parts));
    if (matured != 0)
        TRY(record_journal(&q->arena, &head, &bring, &q->unit.parts));
    q->unit.row.journal_steps = q->unit.parts.row.journal_steps;
    return ERR_OK;
}

static struct err fill(struct request *q, int64_t matured, int32_t version)
{
    struct flow *f = q->flow;
    struct payout_create_unit *u = &q->unit;
    struct move_unit *parts = &u->parts;
    int64_t now = loop_wall_us(f->loop);
    struct customer_hash payee =
        customer_hash(f->vault, q->in.merchant, q->in.live, CUSTOMER_PHONE, q->in.phone);
    *u = (struct payout_create_unit){0};
    payout_insert_fill(&q->rec, &u->row);
    u->row.payee_key = arena_dup(&q->arena, str_n((char *)payee.b, sizeof payee.b));
    u->row.previous_owner = q->previous_owner;
    u->row.previous_version = q->previous_version;
    u->row.matured = matured;
    u->row.wallet_version = version;
    u->row.job_run_at = q->rec.p.status == PAYOUT_QUEUED ? now + FLOW_LEASE_US : 0;
    u->row.job_owner = f->replica;
    u->row.job_lease = now + FLOW_LEASE_US;
    TRY(fill_idempotency(q));
    TRY(payout_event_row(f, &q->arena, &q->rec, q->fx.notice, &parts->events[0]));
    parts->n_events = 1;
    payout_audit_row(f, &q->rec, q->rec.p.status, q->fx.action, q->in.actor, &parts->audits[0]);
    parts->n_audits = 1;
    u->row.audit_a = parts->audits[0].id;
    return fill_books(q, matured);
}

enum { B_LEFT, B_VERSION, B_PENDING };

/* What is pending is brought in when it is needed, whole; when it is below zero, as after refunds
 * of what was brought before, that goes first. */
static int64_t to_bring(int64_t left, int64_t pending, int64_t amount)
{
    if (pending < 0)
        return pending < -left ? -left : pending;
    return left < amount ? pending : 0;
}

static void funds_read(void *ctx, struct err err, const struct rows *r)
{
    struct request *q = ctx;
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    int64_t left = rows_i64(r, 0, B_LEFT), amount = q->rec.p.amount.minor;
    int64_t matured = to_bring(left, rows_i64(r, 0, B_PENDING), amount);
    bool enough = left + matured >= amount;
    if (!enough && (q->unheld || q->in.idem_key.p == NULL)) {
        refuse(q, ERR(INSUFFICIENT_BALANCE, NULL), "More than what can be paid out.");
        return;
    }
    if (q->unheld && ++q->tries > REQUEST_TRIES) {
        finish(q, ERR(CONFLICT, "too many lost races"), NULL);
        return;
    }
    if (!enough)
        matured = 0; /* the key has to be taken for the refusal, and nothing else */
    err = fill(q, matured, (int32_t)rows_i64(r, 0, B_VERSION));
    if (err_is(err)) {
        finish(q, err, NULL);
        return;
    }
    payout_create_unit_ready(&q->unit, wrote, q);
    store_write(q->flow->store, &q->unit.unit);
}

static void read_funds(struct request *q)
{
    struct uuid pending = record_account_id(q->in.merchant, q->in.live, LEDGER_MERCHANT_PENDING,
                                            q->in.amount.currency);
    struct value params[] = {V_UUID(q->in.merchant), V_UUID(q->rec.wallet_id), V_UUID(pending)};
    store_read(q->flow->store, Q_payout_funds, params, COUNT_OF(params), funds_read, q);
}

/* ---- the account, and whether a request can be built at all ---- */

static struct err try_build(struct request *q)
{
    struct gw_payout in;
    struct outbound_request request = {0};
    TRY(payout_request(q->flow, &q->arena, &q->rec, 1, q->in.gateway, &in));
    return q->in.gateway->payout_build(&q->account->gw, &in, STR("t"), &q->arena, &request);
}

static void place_it(struct request *q)
{
    if (q->account == NULL)
        q->account = account_hold(account_for(q->flow, q->in.merchant, q->in.gateway, q->in.live));
    if (q->account == NULL) {
        fail(q, ERR(INVALID_STATE, NULL), "There is no account of this provider and mode.");
        return;
    }
    q->rec.account_id = q->account->id;
    struct err err = try_build(q);
    if (err.code == ERR_INVALID)
        fail(q, ERR(INVALID_STATE, NULL), err.what != NULL ? err.what : "It cannot be sent.");
    else if (err_is(err))
        finish(q, err, NULL);
    else
        read_funds(q);
}

static void accounts_known(void *ctx, struct err err)
{
    struct request *q = ctx;
    if (err_is(err))
        finish(q, err, NULL);
    else
        place_it(q);
}

static void find_account(struct request *q)
{
    if (maintenance_on(q->flow))
        fail(q, ERR(MAINTENANCE, NULL), maintenance_words(q->flow));
    else if (q->account != NULL)
        place_it(q);
    else
        accounts_start(q->flow, q->in.merchant, accounts_known, q);
}

static struct err begin(struct request *q)
{
    struct flow *f = q->flow;
    const struct payout_input *in = &q->in;
    int64_t now = loop_wall_us(f->loop);
    struct buf payee;
    struct uuid id = random_uuid(now);
    id.b[15] = (uint8_t)((id.b[15] & 0x80) | 0x40 | (in->live ? 0x10 : 0));
    q->rec = (struct payout_record){
        .merchant = in->merchant,
        .id = id,
        .op_id = random_uuid(now),
        .wallet_id = record_account_id(in->merchant, in->live, LEDGER_MERCHANT_AVAILABLE,
                                       in->amount.currency),
        .live = in->live,
        .reference = in->reference,
        .provider = str_c(in->gateway->name),
        .method = in->method,
        .purpose = in->purpose,
        .description = in->description,
        .callback_url = in->callback_url,
        .metadata = in->metadata,
        .requested_by = in->actor,
        .requester = in->person,
        .trace = in->trace,
        .p = {.amount = in->amount, .created_at_us = now},
    };
    payout_begin(&q->rec.p, in->approval_above > 0 && in->amount.minor > in->approval_above,
                 &q->fx);
    buf_init(&payee, 4096);
    render_payee(&payee, in->phone, in->name);
    struct err err = payee.failed ? ERR(NO_MEMORY, "payee")
                                  : record_seal_person(f, in->merchant, id, &q->arena,
                                                       buf_view(&payee), &q->rec.pii);
    buf_free(&payee);
    return err;
}

static void start(void *ctx)
{
    struct request *q = ctx;
    struct err err = begin(q);
    if (err_is(err))
        finish(q, err, NULL);
    else if (q->in.idem_key.p != NULL)
        look_up(q); /* a replay must not depend on what is there now */
    else
        find_account(q);
}

void payout_create(struct flow *f, const struct payout_input *in, payout_fn *done, void *ctx)
{
    struct request *q = calloc(1, sizeof *q);
    ASSERT(q != NULL);
    q->flow = f;
    q->in = *in;
    q->done = done;
    q->ctx = ctx;
    arena_init(&q->arena, REQUEST_ARENA);
    f->busy++;
    if (in->idem_key.p != NULL) {
        fingerprint_make(f->vault, in->route, in->fields, in->n_fields, q->fingerprint);
        q->place = idempotency_place(loop_wall_us(f->loop), f->settings.idempotency_retention_us);
    }
    loop_later(f->loop, &q->later, start, q);
}
