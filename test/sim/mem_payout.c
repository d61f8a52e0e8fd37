/* Payouts, what is held for them, and their references: payout_create.sql and payout_move.sql gate
 * by gate, and what payout_get.sql, payout_owner.sql and payout_funds.sql return. */
#include "core/base/times.h"
#include "core/flow/record.h"
#include "test/sim/heap.h"
#include "test/sim/mem_int.h"
#include "test/sim/world.h"

struct mem_payout *mem_payout(struct uuid id)
{
    for (size_t i = 0; i < mem.n_payouts; i++)
        if (uuid_eq(mem.payouts[i].id, id))
            return &mem.payouts[i];
    return NULL;
}

struct uuid mem_wallet(void)
{
    return record_account_id(mem.merchant, false, LEDGER_MERCHANT_AVAILABLE,
                             CURRENCY('K', 'E', 'S'));
}

static struct mem_guarded *guarded(struct uuid account)
{
    for (size_t i = 0; i < mem.n_guarded; i++)
        if (uuid_eq(mem.guarded[i].account, account))
            return &mem.guarded[i];
    return NULL;
}

/* Half of the merchants have been paid before, much or little. */
void mem_payouts_begin(void)
{
    mem.opening = 0;
    if (sim_below(2) == 0)
        return;
    mem.opening = 100 * sim_between(2, sim_below(2) == 0 ? 1000 : 100000);
    *ROW_NEW(mem.guarded, mem.n_guarded, MEM_GUARDED) =
        (struct mem_guarded){mem_wallet(), mem.opening, 1};
}

/* ---- what the schema would refuse ---- */

static bool in_words(struct str word, const char *words)
{
    struct str rest = str_c(words), one;
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, word))
            return true;
    return false;
}

static struct err payout_check(const struct mem_payout *p)
{
    enum payout_status s;
    enum payout_request r;
    if (!payout_status_parse(p->status, &s) || !payout_request_parse(p->request, &r))
        return mem_refuse("payout status");
    if (p->amount <= 0 || p->requested_by.p == NULL || p->requester.p == NULL || p->n < 0 ||
        p->n > PAYOUT_MAX_REQUESTS)
        return mem_refuse("payout");
    if (r == PAYOUT_REQUEST_SENDING && !mem_is_timed(p->sent_at))
        return mem_refuse("a payout that is sent at no time");
    if (s == PAYOUT_COMPLETED && (!mem_is_timed(p->completed_at) || p->paid_n == 0))
        return mem_refuse("a completed payout without its request");
    if (in_words(p->status, "queued parked") && !in_words(p->request, "none refused"))
        return mem_refuse("a payout waits while a request is open");
    return ERR_OK;
}

/* Balances may not go below zero. */
static struct err guarded_add(struct mem_guarded *g, int64_t amount)
{
    g->balance += amount;
    return g->balance >= 0 ? ERR_OK : mem_refuse("ledger_guarded balance");
}

/* ---- payout_create.sql ---- */

static bool payout_keyed(const struct payout_insert_row *row)
{
    if (row->idem_key.p == NULL)
        return true;
    struct mem_key k = {
        .mode = row->mode,
        .key = row->idem_key,
        .fingerprint = row->idem_fingerprint,
        .subject = row->id,
        .slot = row->idem_slot,
        .slot_b = row->idem_slot_b,
        .look_a = row->idem_look_a,
        .look_b = row->idem_look_b,
        .http_status = 201,
        .seq = 1,
        .period = row->idem_period,
        .lease_until = row->idem_lease,
        .created_at = row->created_at,
        .unrefused = true,
    };
    return mem_kept(&k) || mem_keyed(&k) == (row->idem_slot_b < 0 ? 1 : 2);
}

static struct mem_reference *payout_reference(struct str mode, struct str word)
{
    for (size_t i = 0; i < mem.n_payout_references; i++)
        if (str_eq(mem.payout_references[i].reference, word) &&
            str_eq(mem.payout_references[i].mode, mode))
            return &mem.payout_references[i];
    return NULL;
}

/* Its reference is its own from now on, and it is not there yet. */
static bool payout_named(const struct payout_insert_row *row)
{
    struct mem_reference *r = payout_reference(row->mode, row->reference);
    if (uuid_is_nil(row->previous_owner)) {
        if (r != NULL)
            return false;
        *ROW_NEW(mem.payout_references, mem.n_payout_references, MEM_PAYOUT_REFERENCES) =
            (struct mem_reference){row->mode, world_dup(row->reference), row->id, 1};
    } else {
        bool own = uuid_eq(row->previous_owner, row->id);
        if (r == NULL || !uuid_eq(r->payment, row->previous_owner) ||
            (!own && r->version != row->previous_version))
            return false;
        const struct mem_payout *previous = mem_payout(r->payment);
        if (!own && previous != NULL && !previous->ended_once)
            sim_violation("a reference is taken from a payout that has not ended");
        r->payment = row->id;
        r->version++;
    }
    return mem_payout(row->id) == NULL;
}

/* Whether the amount is held; a version of 0 says that there is no such account yet. */
static bool payout_held(const struct payout_insert_row *row)
{
    struct mem_guarded *g = guarded(row->wallet_id);
    int64_t left = row->matured - row->amount;
    if (g == NULL) {
        if (left < 0 || row->wallet_version != 0)
            return false;
        *ROW_NEW(mem.guarded, mem.n_guarded, MEM_GUARDED) =
            (struct mem_guarded){row->wallet_id, left, 1};
        return true;
    }
    if (g->balance + left < 0 || (row->matured != 0 && g->version != row->wallet_version))
        return false;
    g->balance += left;
    g->version += row->matured != 0;
    return true;
}

static struct err payout_insert(const struct payout_create_unit *u)
{
    const struct payout_insert_row *row = &u->row;
    const struct move_unit *parts = &u->parts;
    struct mem_payout *p = ROW_NEW(mem.payouts, mem.n_payouts, MEM_PAYOUTS);
    *p = (struct mem_payout){
        .merchant = row->merchant_id,
        .id = row->id,
        .op_id = row->op_id,
        .account_id = row->account_id,
        .wallet_id = row->wallet_id,
        .mode = row->mode,
        .status = row->status,
        .reference = world_dup(row->reference),
        .provider = row->provider,
        .method = world_dup(row->payment_method),
        .currency = world_dup(row->currency),
        .pii = world_dup(row->pii),
        .purpose = world_dup(row->purpose),
        .description = world_dup(row->description),
        .callback_url = world_dup(row->callback_url),
        .metadata = world_dup(row->metadata),
        .requested_by = world_dup(row->requested_by),
        .requester = world_dup(row->requester),
        .trace = world_dup(row->traceparent),
        .request = STR("none"),
        .version = 1,
        .revision = 1,
        .amount = row->amount,
        .created_at = row->created_at,
        .updated_at = row->created_at,
        .idem_key = world_dup(row->idem_key),
    };
    if (!in_words(row->status, "pending_approval queued") || parts->n_events != 1)
        sim_violation("a payout begins as %.*s", STR_ARG(row->status));
    TRY(payout_check(p));
    for (size_t i = 0; i < parts->n_events; i++)
        TRY(mem_event_store(&parts->events[i], mem_heard(row->mode, row->callback_url)));
    for (size_t i = 0; i < parts->n_accounts; i++)
        mem_account_store(&parts->accounts[i]);
    for (size_t i = 0; i < parts->n_transfers; i++)
        TRY(mem_transfer_store(&parts->transfers[i]));
    if (!mem_is_timed(row->job_run_at))
        return ERR_OK;
    if (mem_job(STR("payout"), row->id, 0) != NULL)
        return mem_refuse("two jobs of one payout");
    mem_job_insert(STR("payout"), row->id, 0, row->job_bucket, row->job_run_at, row->job_owner,
                   row->job_lease);
    return ERR_OK;
}

struct err mem_payout_create_commit(struct unit *unit)
{
    struct payout_create_unit *u = CONTAINER_OF(unit, struct payout_create_unit, unit);
    const struct payout_insert_row *row = &u->row;
    struct unit_answer a = {.stage = PAYOUT_DONE,
                            .fanout = mem_heard(row->mode, row->callback_url)};
    if (!payout_keyed(row))
        a.stage = PAYOUT_KEY_KNOWN;
    else if (!payout_named(row))
        a.stage = PAYOUT_TAKEN;
    else if (!payout_held(row))
        a.stage = PAYOUT_NOT_HELD;
    else
        TRY(payout_insert(u));
    sim_trace((uint64_t)a.stage);
    mem_answer(unit, mem_stage_columns, 3, &a);
    return ERR_OK;
}

/* ---- payout_move.sql ---- */

/* From where to where, by domain.md 2.4. */
static const struct {
    enum payout_status from;
    const char *to;
} payout_moves[] = {
    {PAYOUT_PENDING_APPROVAL, "queued rejected cancelled"},
    {PAYOUT_QUEUED, "processing cancelled completed in_reconciliation"},
    {PAYOUT_PARKED, "queued cancelled completed in_reconciliation"},
    {PAYOUT_PROCESSING, "parked completed failed in_reconciliation"},
    {PAYOUT_IN_RECONCILIATION, "completed failed"},
    {PAYOUT_COMPLETED, "returned"},
    {PAYOUT_FAILED, "completed"},
    {PAYOUT_CANCELLED, "completed"},
};

static void payout_moves_check(const struct mem_payout *p, const struct payout_update_row *row,
                               size_t n_events)
{
    bool may = str_eq(p->status, row->status);
    for (size_t i = 0; i < COUNT_OF(payout_moves) && !may; i++)
        may = str_eq(p->status, str_c(payout_status_word(payout_moves[i].from))) &&
              in_words(row->status, payout_moves[i].to);
    if (!may)
        sim_violation("a payout moves from %.*s to %.*s", STR_ARG(p->status), STR_ARG(row->status));
    if (row->version != p->version + (int32_t)n_events ||
        n_events != (str_eq(p->status, row->status) ? 0 : 1))
        sim_violation("%zu events move a payout's version from %d to %d", n_events, (int)p->version,
                      (int)row->version);
}

static void payout_update(struct mem_payout *p, const struct payout_update_row *row)
{
    p->op_id = row->op_id;
    p->status = row->status;
    p->version = row->version;
    p->revision++;
    p->approved_by = world_dup(row->approved_by);
    p->late = row->late;
    p->failure_code = row->failure_code;
    p->failure_provider_code = world_dup(row->failure_provider_code);
    p->failure_message = world_dup(row->failure_message);
    p->provider_ref = world_dup(row->provider_ref);
    p->receipt = world_dup(row->receipt);
    p->n = row->n;
    p->request = row->request;
    p->paid_n = row->paid_n;
    p->sent_at = row->sent_at;
    p->answered_at = row->answered_at;
    p->poll_n = row->poll_n;
    p->park_n = row->park_n;
    p->next_at = mem_is_timed(row->next_at) ? row->next_at : 0;
    p->recon_since = row->recon_since;
    p->completed_at = row->completed_at;
    p->updated_at = row->updated_at;
    p->ended_once |= in_words(row->status, "failed cancelled rejected returned");
}

static void payout_jobs(const struct payout_update_row *row)
{
    if (mem_is_timed(row->job_run_at))
        mem_job_upsert(STR("payout"), row->id, 0, row->job_bucket, row->job_run_at, row->job_owner,
                       row->job_lease);
    else
        mem_job_delete(mem_job(STR("payout"), row->id, 0));
    if (uuid_is_nil(row->inbound_subject))
        return;
    struct mem_inbound *v = mem_inbound(row->inbound_subject, row->inbound_key);
    if (v != NULL) {
        v->state = STR("processed");
        v->reason = STR_NULL;
    }
    mem_job_delete(mem_job(STR("inbound"), row->inbound_subject, row->inbound_n));
}

static struct err payout_move_write(struct mem_payout *p, const struct payout_move_unit *u)
{
    const struct payout_update_row *row = &u->row;
    const struct move_unit *parts = &u->parts;
    bool is_heard = mem_heard(p->mode, p->callback_url);
    payout_moves_check(p, row, parts->n_events);
    for (size_t i = 0; i < parts->n_events; i++)
        TRY(mem_event_store(&parts->events[i], is_heard));
    for (size_t i = 0; i < parts->n_accounts; i++)
        mem_account_store(&parts->accounts[i]);
    for (size_t i = 0; i < parts->n_transfers; i++)
        TRY(mem_transfer_store(&parts->transfers[i]));
    for (size_t i = 0; i < parts->n_exceptions; i++)
        TRY(mem_exception_add(&parts->exceptions[i]));
    for (size_t i = 0; i < parts->n_resolutions; i++)
        mem_resolve(&parts->resolutions[i]);
    if (row->back > 0) {
        struct mem_guarded *g = guarded(row->wallet_id);
        if (g == NULL)
            sim_violation("a hold is given back to an account that is not there");
        else
            TRY(guarded_add(g, row->back));
    }
    payout_update(p, row);
    payout_jobs(row);
    return payout_check(p);
}

static bool resolvable(const struct move_unit *parts)
{
    for (size_t i = 0; i < parts->n_resolutions; i++)
        if (!mem_resolvable(&parts->resolutions[i]))
            return false;
    return true;
}

struct err mem_payout_move_commit(struct unit *unit)
{
    struct payout_move_unit *u = CONTAINER_OF(unit, struct payout_move_unit, unit);
    const struct payout_update_row *row = &u->row;
    struct mem_payout *p = mem_payout(row->id);
    struct unit_answer a = {.stage = 2};
    mem_book(row->journal_id, row->revision);
    if (p != NULL && p->revision == row->revision && resolvable(&u->parts)) {
        a.stage = 0;
        a.fanout = mem_heard(p->mode, p->callback_url);
        TRY(payout_move_write(p, u));
        sim_trace_str(row->status);
        sim_trace_str(row->request);
    }
    sim_trace((uint64_t)a.stage);
    mem_answer(unit, mem_stage_columns, 3, &a);
    return ERR_OK;
}

/* ---- payout_get.sql, payout_owner.sql, payout_funds.sql ---- */

#define C(type_, struct_, member)                            \
    {                                                        \
        COL_##type_, false, offsetof(struct struct_, member) \
    }

static const struct mem_column payout_get[] = {
    C(UUID, mem_payout, merchant),
    C(UUID, mem_payout, id),
    C(TEXT, mem_payout, mode),
    C(TEXT, mem_payout, status),
    C(I32, mem_payout, version),
    C(I32, mem_payout, revision),
    C(UUID, mem_payout, op_id),
    C(TEXT, mem_payout, reference),
    C(TEXT, mem_payout, provider),
    C(TEXT, mem_payout, method),
    C(UUID, mem_payout, account_id),
    C(I64, mem_payout, amount),
    C(TEXT, mem_payout, currency),
    C(BYTES, mem_payout, pii),
    C(TEXT, mem_payout, purpose),
    C(TEXT, mem_payout, description),
    C(TEXT, mem_payout, callback_url),
    C(JSON, mem_payout, metadata),
    C(TEXT, mem_payout, requested_by),
    C(TEXT, mem_payout, approved_by),
    C(UUID, mem_payout, wallet_id),
    C(BOOL, mem_payout, late),
    C(TEXT, mem_payout, failure_code),
    C(TEXT, mem_payout, failure_provider_code),
    C(TEXT, mem_payout, failure_message),
    C(TEXT, mem_payout, provider_ref),
    C(TEXT, mem_payout, receipt),
    C(I16, mem_payout, n),
    C(TEXT, mem_payout, request),
    C(I16, mem_payout, paid_n),
    C(TIME, mem_payout, sent_at),
    C(TIME, mem_payout, answered_at),
    C(I16, mem_payout, poll_n),
    C(I16, mem_payout, park_n),
    C(TIME, mem_payout, next_at),
    C(TIME, mem_payout, recon_since),
    C(TIME, mem_payout, created_at),
    C(TIME, mem_payout, updated_at),
    C(TIME, mem_payout, completed_at),
    C(TEXT, mem_payout, trace),
    C(TEXT, mem_payout, requester),
};

void mem_read_payout(const struct value *v, struct rows *r)
{
    const struct mem_payout *p = mem_payout(v[1].u.uuid);
    if (p == NULL)
        return;
    r->n = 1;
    rows_part(r, payout_get, COUNT_OF(payout_get), p, sizeof *p, 1);
}

void mem_read_payout_owner(const struct value *v, struct rows *r)
{
    static const struct mem_column owner[] = {C(UUID, mem_reference, payment)};
    static const struct mem_column status[] = {C(TEXT, mem_payout, status)};
    static const struct mem_column version[] = {C(I32, mem_reference, version)};
    const struct mem_reference *o = payout_reference(v[1].u.str, v[2].u.str);
    if (o == NULL)
        return;
    r->n = 1;
    rows_part(r, owner, 1, o, sizeof *o, 1);
    rows_part(r, status, 1, mem_payout(o->payment), sizeof(struct mem_payout), 1);
    rows_part(r, version, 1, o, sizeof *o, 1);
}

/* Holds, used ones apart, do not count in a balance. */
static bool is_posted(const struct mem_transfer *t)
{
    return !str_eq(t->kind, STR("hold")) && !str_eq(t->kind, STR("hold_voided"));
}

void mem_read_payout_funds(const struct value *v, struct rows *r)
{
    struct funds {
        int64_t left, pending;
        int32_t version;
    } f = {0};
    static const struct mem_column columns[] = {C(I64, funds, left), C(I32, funds, version),
                                                C(I64, funds, pending)};
    const struct mem_guarded *g = guarded(v[1].u.uuid);
    if (g != NULL) {
        f.left = g->balance;
        f.version = g->version;
    }
    for (size_t i = 0; i < mem.n_transfers; i++) {
        const struct mem_transfer *t = &mem.transfers[i];
        if (!is_posted(t))
            continue;
        f.pending += uuid_eq(t->credit, v[2].u.uuid) ? t->amount : 0;
        f.pending -= uuid_eq(t->debit, v[2].u.uuid) ? t->amount : 0;
    }
    r->n = 1;
    rows_part(r, columns, COUNT_OF(columns), &f, sizeof f, 1);
}

/* ---- fanout_get.sql, delivery_get.sql ---- */

void mem_payout_person_part(const struct mem_payout *p, struct rows *r)
{
    static const struct mem_column columns[] = {C(BYTES, mem_payout, pii),
                                                C(TEXT, mem_payout, callback_url)};
    rows_part(r, columns, COUNT_OF(columns), p, sizeof *p, 1);
}
