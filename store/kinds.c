/* The kinds of units: which rows go into which array parameters, and what a row of the answer
 * means. */
#include "store/kinds.h"

/* FNV-1a: keys only keep units apart that might meet; a collision costs a batch, nothing else. */
static uint64_t key_of(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

enum {
    KEY_PAYMENT = 1,
    KEY_IDEMPOTENCY,
    KEY_REFERENCE,
    KEY_RECEIPT,
    KEY_INBOUND,
    KEY_DELIVERY,
    KEY_JOB,
    KEY_GUARDED,
    KEY_PAYOUT_REFERENCE
};

static uint64_t key_start(uint64_t space, struct uuid merchant)
{
    return key_of(0xcbf29ce484222325u + space, merchant.b, sizeof merchant.b);
}

static uint64_t key_uuid(uint64_t space, struct uuid merchant, struct uuid id)
{
    return key_of(key_start(space, merchant), id.b, sizeof id.b) | 1;
}

static uint64_t key_text(uint64_t space, struct uuid merchant, struct str mode, struct str text)
{
    uint64_t h = key_of(key_start(space, merchant), mode.p, mode.n);
    return key_of(h, text.p, text.n) | 1;
}

static void set_table(struct unit *u, size_t i, const void *rows, size_t n)
{
    u->rows[i] = rows;
    u->n_rows[i] = n;
}

static void set_unit(struct unit *u, const struct unit_kind *kind, struct uuid merchant,
                     loop_fn *done, void *ctx)
{
    *u = (struct unit){.kind = kind, .merchant = merchant, .done = done, .ctx = ctx};
}

/* ---- create ---- */

static void create_row(struct unit *unit, const struct rows *r, size_t row)
{
    struct create_unit *u = CONTAINER_OF(unit, struct create_unit, unit);
    u->stage = (enum create_stage)rows_i64(r, row, 1);
    u->fanout = rows_bool(r, row, 2);
    u->crossed = (int)rows_i64(r, row, 3);
}

static void create_reset(struct unit *unit)
{
    CONTAINER_OF(unit, struct create_unit, unit)->stage = CREATE_KEY_KNOWN;
}

static const struct unit_table limit_table = {limit_columns, LIMIT_COLUMNS,
                                              sizeof(struct limit_row)};
const struct unit_lock limit_lock = {Q_limit_lock, &limit_table};

static const struct unit_table create_tables[] = {
    {payment_insert_columns, PAYMENT_INSERT_COLUMNS, sizeof(struct payment_insert_row)},
    {attempt_columns, ATTEMPT_COLUMNS, sizeof(struct attempt_row)},
    {event_columns, EVENT_COLUMNS, sizeof(struct event_row)},
    {audit_columns, AUDIT_COLUMNS, sizeof(struct audit_row)},
    {limit_columns, LIMIT_COLUMNS, sizeof(struct limit_row)},
};

static const enum row_type create_types[] = {ROW_PAYMENT, ROW_ATTEMPT, ROW_EVENT, ROW_AUDIT,
                                             ROW_NONE};
_Static_assert(COUNT_OF(create_types) == COUNT_OF(create_tables), "one each");

static const struct unit_kind create_kind = {
    .query = Q_payment_create,
    .rank = 1,
    .tables = create_tables,
    .n_tables = COUNT_OF(create_tables),
    .row_types = create_types,
    .on_row = create_row,
    .reset = create_reset,
    .lock = &limit_lock,
    .lock_table = 4,
};

void create_unit_ready(struct create_unit *u, loop_fn *done, void *ctx)
{
    const struct payment_insert_row *row = &u->row;
    set_unit(&u->unit, &create_kind, row->merchant_id, done, ctx);
    u->unit.keys[0] = key_uuid(KEY_PAYMENT, row->merchant_id, row->id);
    u->unit.keys[1] = key_text(KEY_REFERENCE, row->merchant_id, row->mode, row->reference);
    if (row->idem_key.p != NULL)
        u->unit.keys[2] = key_text(KEY_IDEMPOTENCY, row->merchant_id, row->mode, row->idem_key);
    set_table(&u->unit, 0, row, 1);
    set_table(&u->unit, 1, u->attempts, u->n_attempts);
    set_table(&u->unit, 2, u->events, u->n_events);
    set_table(&u->unit, 3, u->audits, u->n_audits);
    set_table(&u->unit, 4, u->limits, u->n_limits);
    create_reset(&u->unit);
}

/* ---- move ---- */

static void move_row(struct unit *unit, const struct rows *r, size_t row)
{
    struct move_unit *u = CONTAINER_OF(unit, struct move_unit, unit);
    u->stage = (enum move_stage)rows_i64(r, row, 1);
    u->fanout = rows_bool(r, row, 2);
}

static void move_reset(struct unit *unit)
{
    CONTAINER_OF(unit, struct move_unit, unit)->stage = MOVE_LOST_RACE;
}

static const struct unit_table move_tables[] = {
    {payment_update_columns, PAYMENT_UPDATE_COLUMNS, sizeof(struct payment_update_row)},
    {attempt_columns, ATTEMPT_COLUMNS, sizeof(struct attempt_row)},
    {event_columns, EVENT_COLUMNS, sizeof(struct event_row)},
    {audit_columns, AUDIT_COLUMNS, sizeof(struct audit_row)},
    {account_columns, ACCOUNT_COLUMNS, sizeof(struct account_row)},
    {transfer_columns, TRANSFER_COLUMNS, sizeof(struct transfer_row)},
    {exception_columns, EXCEPTION_COLUMNS, sizeof(struct exception_row)},
    {call_columns, CALL_COLUMNS, sizeof(struct call_row)},
    {refund_columns, REFUND_COLUMNS, sizeof(struct refund_row)},
    {refund_attempt_columns, REFUND_ATTEMPT_COLUMNS, sizeof(struct refund_attempt_row)},
    {resolution_columns, RESOLUTION_COLUMNS, sizeof(struct resolution_row)},
    {limit_columns, LIMIT_COLUMNS, sizeof(struct limit_row)},
};

static const enum row_type move_types[] = {
    ROW_PAYMENT_CHANGE, ROW_ATTEMPT, ROW_EVENT,  ROW_AUDIT,          ROW_ACCOUNT,    ROW_TRANSFER,
    ROW_EXCEPTION,      ROW_CALL,    ROW_REFUND, ROW_REFUND_ATTEMPT, ROW_RESOLUTION, ROW_LIMIT};
_Static_assert(COUNT_OF(move_types) == COUNT_OF(move_tables), "one each");

static const struct unit_kind move_kind = {
    .query = Q_payment_move,
    .rank = 2,
    .tables = move_tables,
    .n_tables = COUNT_OF(move_tables),
    .row_types = move_types,
    .on_row = move_row,
    .reset = move_reset,
    .lock = &limit_lock,
    .lock_table = 11,
};

void move_unit_ready(struct move_unit *u, loop_fn *done, void *ctx)
{
    const struct payment_update_row *row = &u->row;
    set_unit(&u->unit, &move_kind, row->merchant_id, done, ctx);
    u->unit.keys[0] = key_uuid(KEY_PAYMENT, row->merchant_id, row->id);
    if (row->receipt_claim.p != NULL)
        u->unit.keys[1] =
            key_text(KEY_RECEIPT, row->merchant_id, row->provider, row->receipt_claim);
    if (row->idem_fingerprint.p != NULL)
        u->unit.keys[3] = key_text(KEY_IDEMPOTENCY, row->merchant_id, row->mode, row->idem_key);
    if (row->inbound_key.p != NULL)
        u->unit.keys[2] = key_uuid(KEY_INBOUND, row->merchant_id, row->inbound_subject);
    set_table(&u->unit, 0, row, 1);
    set_table(&u->unit, 1, u->attempts, u->n_attempts);
    set_table(&u->unit, 2, u->events, u->n_events);
    set_table(&u->unit, 3, u->audits, u->n_audits);
    set_table(&u->unit, 4, u->accounts, u->n_accounts);
    set_table(&u->unit, 5, u->transfers, u->n_transfers);
    set_table(&u->unit, 6, u->exceptions, u->n_exceptions);
    set_table(&u->unit, 7, u->calls, u->n_calls);
    set_table(&u->unit, 8, u->refunds, u->n_refunds);
    set_table(&u->unit, 9, u->refund_attempts, u->n_refund_attempts);
    set_table(&u->unit, 10, u->resolutions, u->n_resolutions);
    set_table(&u->unit, 11, u->limits, u->n_limits);
    move_reset(&u->unit);
}

/* ---- payouts ---- */

static void payout_create_row(struct unit *unit, const struct rows *r, size_t row)
{
    struct payout_create_unit *u = CONTAINER_OF(unit, struct payout_create_unit, unit);
    u->stage = (enum payout_stage)rows_i64(r, row, 1);
    u->fanout = rows_bool(r, row, 2);
}

static void payout_create_reset(struct unit *unit)
{
    CONTAINER_OF(unit, struct payout_create_unit, unit)->stage = PAYOUT_KEY_KNOWN;
}

static const struct unit_table payout_create_tables[] = {
    {payout_insert_columns, PAYOUT_INSERT_COLUMNS, sizeof(struct payout_insert_row)},
    {event_columns, EVENT_COLUMNS, sizeof(struct event_row)},
    {audit_columns, AUDIT_COLUMNS, sizeof(struct audit_row)},
    {account_columns, ACCOUNT_COLUMNS, sizeof(struct account_row)},
    {transfer_columns, TRANSFER_COLUMNS, sizeof(struct transfer_row)},
};

static const struct unit_kind payout_create_kind = {
    .query = Q_payout_create,
    .rank = 7,
    .tables = payout_create_tables,
    .n_tables = COUNT_OF(payout_create_tables),
    .on_row = payout_create_row,
    .reset = payout_create_reset,
};

void payout_create_unit_ready(struct payout_create_unit *u, loop_fn *done, void *ctx)
{
    const struct payout_insert_row *row = &u->row;
    set_unit(&u->unit, &payout_create_kind, row->merchant_id, done, ctx);
    u->unit.keys[0] = key_uuid(KEY_GUARDED, row->merchant_id, row->wallet_id);
    u->unit.keys[1] = key_text(KEY_PAYOUT_REFERENCE, row->merchant_id, row->mode, row->reference);
    if (row->idem_key.p != NULL)
        u->unit.keys[2] = key_text(KEY_IDEMPOTENCY, row->merchant_id, row->mode, row->idem_key);
    set_table(&u->unit, 0, row, 1);
    set_table(&u->unit, 1, u->parts.events, u->parts.n_events);
    set_table(&u->unit, 2, u->parts.audits, u->parts.n_audits);
    set_table(&u->unit, 3, u->parts.accounts, u->parts.n_accounts);
    set_table(&u->unit, 4, u->parts.transfers, u->parts.n_transfers);
    payout_create_reset(&u->unit);
}

static void payout_move_row(struct unit *unit, const struct rows *r, size_t row)
{
    struct payout_move_unit *u = CONTAINER_OF(unit, struct payout_move_unit, unit);
    u->moved = rows_i64(r, row, 1) == 0;
    u->fanout = rows_bool(r, row, 2);
}

static void payout_move_reset(struct unit *unit)
{
    CONTAINER_OF(unit, struct payout_move_unit, unit)->moved = false;
}

static const struct unit_table payout_move_tables[] = {
    {payout_update_columns, PAYOUT_UPDATE_COLUMNS, sizeof(struct payout_update_row)},
    {event_columns, EVENT_COLUMNS, sizeof(struct event_row)},
    {audit_columns, AUDIT_COLUMNS, sizeof(struct audit_row)},
    {account_columns, ACCOUNT_COLUMNS, sizeof(struct account_row)},
    {transfer_columns, TRANSFER_COLUMNS, sizeof(struct transfer_row)},
    {exception_columns, EXCEPTION_COLUMNS, sizeof(struct exception_row)},
    {call_columns, CALL_COLUMNS, sizeof(struct call_row)},
    {resolution_columns, RESOLUTION_COLUMNS, sizeof(struct resolution_row)},
};

static const struct unit_kind payout_move_kind = {
    .query = Q_payout_move,
    .rank = 8,
    .tables = payout_move_tables,
    .n_tables = COUNT_OF(payout_move_tables),
    .on_row = payout_move_row,
    .reset = payout_move_reset,
};

/* What is given back goes to an account that others hold on. */
void payout_move_unit_ready(struct payout_move_unit *u, loop_fn *done, void *ctx)
{
    const struct payout_update_row *row = &u->row;
    set_unit(&u->unit, &payout_move_kind, row->merchant_id, done, ctx);
    u->unit.keys[0] = key_uuid(KEY_PAYMENT, row->merchant_id, row->id);
    if (row->back > 0)
        u->unit.keys[1] = key_uuid(KEY_GUARDED, row->merchant_id, row->wallet_id);
    if (row->inbound_key.p != NULL)
        u->unit.keys[2] = key_uuid(KEY_INBOUND, row->merchant_id, row->inbound_subject);
    set_table(&u->unit, 0, row, 1);
    set_table(&u->unit, 1, u->parts.events, u->parts.n_events);
    set_table(&u->unit, 2, u->parts.audits, u->parts.n_audits);
    set_table(&u->unit, 3, u->parts.accounts, u->parts.n_accounts);
    set_table(&u->unit, 4, u->parts.transfers, u->parts.n_transfers);
    set_table(&u->unit, 5, u->parts.exceptions, u->parts.n_exceptions);
    set_table(&u->unit, 6, u->parts.calls, u->parts.n_calls);
    set_table(&u->unit, 7, u->parts.resolutions, u->parts.n_resolutions);
    payout_move_reset(&u->unit);
}

/* ---- callbacks ---- */

static void inbound_row(struct unit *unit, const struct rows *r, size_t row)
{
    (void)r, (void)row;
    CONTAINER_OF(unit, struct inbound_unit, unit)->is_new = true;
}

static void inbound_reset(struct unit *unit)
{
    CONTAINER_OF(unit, struct inbound_unit, unit)->is_new = false;
}

static const struct unit_table inbound_tables[] = {
    {inbound_columns, INBOUND_COLUMNS, sizeof(struct inbound_row)},
};

static const enum row_type inbound_types[] = {ROW_INBOUND};
_Static_assert(COUNT_OF(inbound_types) == COUNT_OF(inbound_tables), "one each");

static const struct unit_kind inbound_kind = {
    .query = Q_callback_store,
    .rank = 3,
    .tables = inbound_tables,
    .n_tables = COUNT_OF(inbound_tables),
    .row_types = inbound_types,
    .on_row = inbound_row,
    .reset = inbound_reset,
};

void inbound_unit_ready(struct inbound_unit *u, loop_fn *done, void *ctx)
{
    set_unit(&u->unit, &inbound_kind, u->row.merchant_id, done, ctx);
    u->unit.keys[0] = key_uuid(KEY_INBOUND, u->row.merchant_id, u->row.subject_id);
    set_table(&u->unit, 0, &u->row, 1);
    inbound_reset(&u->unit);
}

/* ---- deliveries ---- */

static void fanout_row(struct unit *unit, const struct rows *r, size_t row)
{
    struct fanout_unit *u = CONTAINER_OF(unit, struct fanout_unit, unit);
    struct uuid id = rows_uuid(r, row, 1);
    for (size_t i = 0; i < u->n_deliveries; i++)
        if (uuid_eq(u->deliveries[i].id, id))
            u->is_new[i] = true;
}

static void fanout_reset(struct unit *unit)
{
    struct fanout_unit *u = CONTAINER_OF(unit, struct fanout_unit, unit);
    memset(u->is_new, 0, sizeof u->is_new);
}

static const struct unit_table fanout_tables[] = {
    {fanout_columns, FANOUT_COLUMNS, sizeof(struct fanout_row)},
    {delivery_columns, DELIVERY_COLUMNS, sizeof(struct delivery_row)},
};

static const struct unit_kind fanout_kind = {
    .query = Q_delivery_create,
    .rank = 4,
    .tables = fanout_tables,
    .n_tables = COUNT_OF(fanout_tables),
    .on_row = fanout_row,
    .reset = fanout_reset,
};

void fanout_unit_ready(struct fanout_unit *u, loop_fn *done, void *ctx)
{
    set_unit(&u->unit, &fanout_kind, u->row.merchant_id, done, ctx);
    u->unit.keys[0] = key_uuid(KEY_PAYMENT, u->row.merchant_id, u->row.payment_id);
    set_table(&u->unit, 0, &u->row, 1);
    set_table(&u->unit, 1, u->deliveries, u->n_deliveries);
    fanout_reset(&u->unit);
}

static void delivery_row_(struct unit *unit, const struct rows *r, size_t row)
{
    struct delivery_unit *u = CONTAINER_OF(unit, struct delivery_unit, unit);
    u->moved = true;
    u->disabled = rows_bool(r, row, 1);
}

static void delivery_reset(struct unit *unit)
{
    struct delivery_unit *u = CONTAINER_OF(unit, struct delivery_unit, unit);
    u->moved = u->disabled = false;
}

static const struct unit_table delivery_tables[] = {
    {delivery_update_columns, DELIVERY_UPDATE_COLUMNS, sizeof(struct delivery_update_row)},
};

static const struct unit_kind delivery_kind = {
    .query = Q_delivery_move,
    .rank = 5,
    .tables = delivery_tables,
    .n_tables = COUNT_OF(delivery_tables),
    .on_row = delivery_row_,
    .reset = delivery_reset,
};

void delivery_unit_ready(struct delivery_unit *u, loop_fn *done, void *ctx)
{
    set_unit(&u->unit, &delivery_kind, u->row.merchant_id, done, ctx);
    u->unit.keys[0] = key_uuid(KEY_DELIVERY, u->row.merchant_id, u->row.id);
    set_table(&u->unit, 0, &u->row, 1);
    delivery_reset(&u->unit);
}

/* ---- leases ---- */

static void lease_row_(struct unit *unit, const struct rows *r, size_t row)
{
    struct lease_unit *u = CONTAINER_OF(unit, struct lease_unit, unit);
    u->taken = true;
    u->tries = (int)rows_i64(r, row, 1);
}

static void lease_reset(struct unit *unit)
{
    CONTAINER_OF(unit, struct lease_unit, unit)->taken = false;
}

static const struct unit_table lease_tables[] = {
    {lease_columns, LEASE_COLUMNS, sizeof(struct lease_row)},
};

static const struct unit_kind lease_kind = {
    .query = Q_job_lease,
    .rank = 6,
    .tables = lease_tables,
    .n_tables = COUNT_OF(lease_tables),
    .on_row = lease_row_,
    .reset = lease_reset,
};

static void later_row(struct unit *unit, const struct rows *r, size_t row)
{
    (void)r, (void)row;
    CONTAINER_OF(unit, struct lease_unit, unit)->taken = true;
}

static const struct unit_kind later_kind = {
    .query = Q_job_put_off,
    .rank = 9,
    .tables = lease_tables,
    .n_tables = COUNT_OF(lease_tables),
    .on_row = later_row,
    .reset = lease_reset,
};

static void lease_ready(struct lease_unit *u, const struct unit_kind *kind, loop_fn *done,
                        void *ctx)
{
    set_unit(&u->unit, kind, u->row.merchant_id, done, ctx);
    uint64_t h = key_uuid(KEY_JOB, u->row.merchant_id, u->row.subject);
    u->unit.keys[0] =
        key_of(key_of(h, u->row.kind.p, u->row.kind.n), &u->row.n, sizeof u->row.n) | 1;
    set_table(&u->unit, 0, &u->row, 1);
    lease_reset(&u->unit);
}

void lease_unit_ready(struct lease_unit *u, loop_fn *done, void *ctx)
{
    lease_ready(u, &lease_kind, done, ctx);
}

void later_unit_ready(struct lease_unit *u, loop_fn *done, void *ctx)
{
    lease_ready(u, &later_kind, done, ctx);
}

const struct unit_kind *const unit_kinds[] = {
    &create_kind, &move_kind,          &inbound_kind,     &fanout_kind, &delivery_kind,
    &lease_kind,  &payout_create_kind, &payout_move_kind, &later_kind,  NULL,
};
