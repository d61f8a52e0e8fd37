/* The two large statements, payment_create.sql and payment_move.sql, gate by gate. */
#include "core/base/times.h"
#include "test/sim/heap.h"
#include "test/sim/mem_int.h"
#include "test/sim/world.h"

static void attempt_store(struct mem_payment *p, const struct attempt_row *a)
{
    struct mem_attempt *at = NULL;
    for (size_t i = 0; i < p->n_attempts; i++)
        if (p->attempts[i].n == a->n)
            at = &p->attempts[i];
    if (at == NULL) {
        ASSERT(p->n_attempts < PAYMENT_MAX_ATTEMPTS);
        at = &p->attempts[p->n_attempts++];
        *at = (struct mem_attempt){.n = a->n,
                                   .amount = a->amount,
                                   .currency = world_dup(a->currency),
                                   .sent_at = a->sent_at,
                                   .provider = world_dup(a->provider),
                                   .account_id = a->account_id,
                                   .route = world_dup(a->route)};
    }
    at->status = world_dup(a->status);
    at->provider_ref = world_dup(a->provider_ref);
    at->receipt = world_dup(a->receipt);
    at->provider_code = world_dup(a->provider_code);
    at->code = world_dup(a->code);
    at->answered_at = a->answered_at;
    at->poll_n = a->poll_n;
    at->codes_n = a->codes_n;
    at->cancel_asked = a->cancel_asked;
    at->next_poll_at = mem_is_timed(a->next_poll_at) ? a->next_poll_at : 0;
}

struct err mem_event_store(const struct event_row *e, bool is_heard)
{
    if (mem_event(e->subject_id, e->seq) != NULL)
        return mem_refuse("two events of one seq");
    *ROW_NEW(mem.events, mem.n_events, MEM_EVENTS) = (struct mem_event){
        .merchant = e->merchant_id,
        .payment = e->subject_id,
        .id = e->id,
        .mode = e->mode,
        .type = e->type,
        .data = world_dup(e->data),
        .seq = e->seq,
        .at = e->at,
    };
    if (is_heard)
        mem_job_upsert(STR("fanout"), e->subject_id, e->seq, e->bucket, e->at, e->owner, e->lease);
    return ERR_OK;
}

/* ---- payment_create.sql ---- */

static void idempotency_insert(const struct mem_key *k, int16_t slot, int *n)
{
    if (slot < 0 || mem_idempotency(k->mode, k->key, slot) != NULL)
        return;
    *ROW_NEW(mem.idempotency, mem.n_idempotency, MEM_IDEMPOTENCY) = (struct mem_idempotency){
        .merchant = mem.merchant,
        .payment = k->subject,
        .mode = k->mode,
        .key = world_dup(k->key),
        .fingerprint = world_dup(k->fingerprint),
        .slot = slot,
        .http_status = k->http_status,
        .seq = k->seq,
        .period = k->period,
        .lease_until = k->lease_until,
        .created_at = k->created_at,
    };
    ++*n;
}

bool mem_kept(const struct mem_key *k)
{
    bool kept = false;
    for (size_t i = 0; i < mem.n_idempotency; i++) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if ((r->slot != k->look_a && r->slot != k->look_b) || !str_eq(r->key, k->key) ||
            !str_eq(r->mode, k->mode) || !uuid_eq(r->payment, k->subject) ||
            (k->unrefused && r->problem.p != NULL))
            continue;
        r->lease_until = k->lease_until;
        kept = true;
    }
    return kept;
}

int mem_keyed(const struct mem_key *k)
{
    int n = 0;
    if (mem_idempotency(k->mode, k->key, k->look_a) != NULL ||
        mem_idempotency(k->mode, k->key, k->look_b) != NULL)
        return 0;
    idempotency_insert(k, k->slot, &n);
    idempotency_insert(k, k->slot_b, &n);
    return n;
}

static bool keyed(const struct payment_insert_row *row)
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
        .http_status = row->idem_http,
        .seq = row->idem_seq,
        .period = row->idem_period,
        .lease_until = row->idem_lease,
        .created_at = row->created_at,
    };
    return row->idem_held ? mem_kept(&k) : mem_keyed(&k) == (row->idem_slot_b < 0 ? 1 : 2);
}

static bool reference_insert(struct str mode, struct str word, struct uuid payment)
{
    if (mem_reference(mode, word) != NULL)
        return false;
    *ROW_NEW(mem.references, mem.n_references, MEM_REFERENCES) =
        (struct mem_reference){mode, world_dup(word), payment, 1};
    return true;
}

static bool reference_taken(const struct payment_insert_row *row)
{
    if (str_eq(row->reference, row->reference_no))
        return false;
    struct mem_reference *r = mem_reference(row->mode, row->reference);
    if (uuid_is_nil(row->previous_owner))
        return !reference_insert(row->mode, row->reference, row->id);
    if (r == NULL || !uuid_eq(r->payment, row->previous_owner))
        return true;
    const struct mem_payment *previous = mem_payment(r->payment);
    if (previous != NULL && !previous->ended_once)
        sim_violation("a reference is taken from a payment that has not ended");
    r->payment = row->id;
    return false;
}

static struct err payment_insert(const struct create_unit *u)
{
    const struct payment_insert_row *row = &u->row;
    if (mem_payment(row->id) != NULL)
        return mem_refuse("two payments of one id");
    if (row->amount <= 0 || row->fee_due < 0)
        return mem_refuse("amount");
    struct mem_payment *p = ROW_NEW(mem.payments, mem.n_payments, MEM_PAYMENTS);
    *p = (struct mem_payment){
        .merchant = row->merchant_id,
        .id = row->id,
        .op_id = row->op_id,
        .account_id = row->account_id,
        .mode = row->mode,
        .status = row->status,
        .reference = world_dup(row->reference),
        .reference_no = world_dup(row->reference_no),
        .pay_code = world_dup(row->pay_code),
        .provider = row->provider,
        .method = world_dup(row->payment_method),
        .currency = world_dup(row->currency),
        .customer_id = world_dup(row->customer_id),
        .pii = world_dup(row->pii),
        .description = world_dup(row->description),
        .return_url = world_dup(row->return_url),
        .callback_url = world_dup(row->callback_url),
        .metadata = world_dup(row->metadata),
        .next_action = world_dup(row->next_action),
        .failure_code = row->failure_code,
        .failure_message = world_dup(row->failure_message),
        .status_source = row->status_source,
        .version = row->version,
        .revision = 1,
        .amount = row->amount,
        .fee_due = row->fee_due,
        .fee_on_top = row->fee_on_top,
        .fee_version = row->fee_version,
        .created_at = row->created_at,
        .updated_at = row->created_at,
        .expires_at = row->expires_at,
        .idem_key = world_dup(row->idem_key),
        .ended_once = str_eq(row->status, STR("failed")),
    };
    for (size_t i = 0; i < u->n_attempts; i++)
        attempt_store(p, &u->attempts[i]);
    if (mem_is_timed(row->job_run_at))
        mem_job_insert(STR("payment"), row->id, 0, row->job_bucket, row->job_run_at, row->job_owner,
                       row->job_lease);
    for (size_t i = 0; i < u->n_events; i++)
        TRY(mem_event_store(&u->events[i], mem_heard(row->mode, row->callback_url)));
    return ERR_OK;
}

struct err mem_create_commit(struct unit *unit)
{
    struct create_unit *u = CONTAINER_OF(unit, struct create_unit, unit);
    const struct payment_insert_row *row = &u->row;
    struct unit_answer a = {.stage = CREATE_DONE,
                            .fanout = mem_heard(row->mode, row->callback_url)};
    if (!keyed(row)) {
        a.stage = CREATE_KEY_KNOWN;
    } else {
        bool no = reference_insert(row->mode, row->reference_no, row->id);
        bool code = reference_insert(row->mode, row->pay_code, row->id);
        if (!no || !code)
            a.stage = CREATE_WORD_TAKEN;
        else if (reference_taken(row))
            a.stage = CREATE_REFERENCE_TAKEN;
        else
            TRY(payment_insert(u));
    }
    sim_trace((uint64_t)a.stage);
    mem_answer(unit, mem_stage_columns, MEM_STAGE_COLUMNS, &a);
    return ERR_OK;
}

/* ---- payment_move.sql ---- */

/* False if a new key, of a refund, is known. */
static bool move_keyed(const struct payment_update_row *row)
{
    if (row->idem_fingerprint.p == NULL)
        return true;
    struct mem_key k = {
        .mode = row->mode,
        .key = row->idem_key,
        .fingerprint = row->idem_fingerprint,
        .subject = row->idem_subject,
        .slot = row->idem_slot,
        .slot_b = row->idem_slot_b,
        .look_a = row->idem_look_a,
        .look_b = row->idem_look_b,
        .http_status = row->idem_http,
        .seq = row->idem_seq,
        .period = row->idem_period,
        .lease_until = row->idem_lease,
        .created_at = row->updated_at,
    };
    return mem_kept(&k) || mem_keyed(&k) == (row->idem_slot_b < 0 ? 1 : 2);
}

/* False if the receipt is another payment's. */
static bool claimed(const struct payment_update_row *row)
{
    if (row->receipt_claim.p == NULL)
        return true;
    for (size_t i = 0; i < mem.n_receipts; i++) {
        const struct mem_receipt *r = &mem.receipts[i];
        if (str_eq(r->receipt, row->receipt_claim) && str_eq(r->provider, row->claim_provider) &&
            str_eq(r->mode, row->mode))
            return uuid_eq(r->payment, row->id);
    }
    *ROW_NEW(mem.receipts, mem.n_receipts, MEM_RECEIPTS) = (struct mem_receipt){
        row->mode, world_dup(row->claim_provider), world_dup(row->receipt_claim), row->id};
    return true;
}

static bool is_paid(enum payment_status s)
{
    return s == PAYMENT_COMPLETED || s == PAYMENT_PARTIALLY_REFUNDED || s == PAYMENT_REFUNDED ||
           s == PAYMENT_REVERSED;
}

static struct err row_check(const struct mem_payment *p, const struct payment_update_row *row)
{
    enum payment_status from, to;
    if (!payment_status_parse(p->status, &from) || !payment_status_parse(row->status, &to))
        return mem_refuse("status");
    bool refunds = is_paid(from) && is_paid(to);
    if (from != to && !refunds && !payment_may_move(from, to))
        sim_violation("a payment moves from %s to %s", payment_status_word(from),
                      payment_status_word(to));
    if (row->version < p->version || row->version > p->version + 1)
        sim_violation("version %d follows %d", (int)row->version, (int)p->version);
    bool paid = is_paid(to);
    if (row->refunded < 0 || row->reserved < 0 || row->refunded + row->reserved > row->received)
        return mem_refuse("more is refunded than was received");
    if (row->fee < 0 || row->fee > row->fee_due || row->fee > row->received)
        return mem_refuse("the fee");
    if (row->received < 0 || paid != (row->received > 0) ||
        (paid && !mem_is_timed(row->completed_at)))
        return mem_refuse("received");
    return ERR_OK;
}

void mem_book(struct uuid journal, int32_t revision)
{
    if (uuid_is_nil(journal))
        return;
    for (size_t i = 0; i < mem.n_bookings; i++) {
        if (!uuid_eq(mem.bookings[i].journal, journal))
            continue;
        if (mem.bookings[i].revision != revision)
            sim_violation("a step that is made again has the journal of before");
        return;
    }
    *ROW_NEW(mem.bookings, mem.n_bookings, MEM_BOOKINGS) = (struct mem_booking){journal, revision};
}

struct err mem_transfer_store(const struct transfer_row *t)
{
    for (size_t i = 0; i < mem.n_transfers; i++)
        if (mem.transfers[i].step == t->step && uuid_eq(mem.transfers[i].journal, t->journal_id))
            return mem_refuse("two transfers of one journal and step");
    if (t->amount <= 0 || uuid_eq(t->debit_id, t->credit_id))
        return mem_refuse("transfer");
    *ROW_NEW(mem.transfers, mem.n_transfers, MEM_TRANSFERS) = (struct mem_transfer){
        .payment = t->payment_id,
        .journal = t->journal_id,
        .debit = t->debit_id,
        .credit = t->credit_id,
        .kind = t->kind,
        .currency = world_dup(t->currency),
        .step = t->step,
        .amount = t->amount,
    };
    return ERR_OK;
}

void mem_account_store(const struct account_row *c)
{
    for (size_t i = 0; i < mem.n_accounts; i++)
        if (uuid_eq(mem.accounts[i].id, c->id))
            return;
    *ROW_NEW(mem.accounts, mem.n_accounts, MEM_ACCOUNTS) =
        (struct mem_account){c->id, c->type, world_dup(c->owner), world_dup(c->currency)};
}

static void answer_store(const struct payment_update_row *row)
{
    bool answers = row->idem_key.p != NULL && row->idem_fingerprint.p == NULL;
    for (size_t i = 0; answers && i < mem.n_idempotency; i++) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if ((r->slot == row->idem_slot || r->slot == row->idem_slot_b) && r->http_status == 0 &&
            str_eq(r->key, row->idem_key) && uuid_eq(r->payment, row->idem_subject) &&
            str_eq(r->mode, row->mode)) {
            r->http_status = row->idem_http;
            r->seq = row->idem_seq;
            r->provider_ref = world_dup(row->idem_provider_ref);
        }
    }
}

static void payment_update(struct mem_payment *p, const struct payment_update_row *row)
{
    p->status = row->status;
    p->version = row->version;
    p->revision++;
    p->op_id = row->op_id;
    p->received = row->received;
    p->fee = row->fee;
    p->fee_due = row->fee_due;
    p->refunded = row->refunded;
    p->reserved = row->reserved;
    p->status_source = row->status_source;
    p->late = row->late;
    p->failure_code = row->failure_code;
    p->failure_provider_code = world_dup(row->failure_provider_code);
    p->failure_message = world_dup(row->failure_message);
    p->provider_ref = world_dup(row->provider_ref);
    p->receipt = world_dup(row->receipt);
    p->provider = world_dup(row->provider);
    p->account_id = row->account_id;
    p->next_action = world_dup(row->next_action);
    p->recon_since = row->recon_since;
    p->completed_at = row->completed_at;
    p->updated_at = row->updated_at;
    p->ended_once |= str_eq(row->status, STR("failed")) || str_eq(row->status, STR("expired")) ||
                     str_eq(row->status, STR("cancelled"));
    if (mem_is_timed(row->job_run_at))
        mem_job_upsert(row->job_kind, row->job_subject, 0, row->job_bucket, row->job_run_at,
                       row->job_owner, row->job_lease);
    else
        mem_job_delete(mem_job(row->job_kind, row->job_subject, 0));
}

static void inbound_update(const struct payment_update_row *row)
{
    if (uuid_is_nil(row->inbound_subject))
        return;
    struct mem_inbound *v = mem_inbound(row->inbound_subject, row->inbound_key);
    if (v != NULL) {
        v->state = row->inbound_state;
        v->reason = row->inbound_reason;
    }
    mem_job_delete(mem_job(STR("inbound"), row->inbound_subject, row->inbound_n));
}

static struct err move_write(struct mem_payment *p, const struct move_unit *u)
{
    const struct payment_update_row *row = &u->row;
    bool is_heard = mem_heard(p->mode, p->callback_url);
    TRY(row_check(p, row));
    if (row->version != p->version + (int32_t)u->n_events)
        sim_violation("%zu events move the version from %d to %d", u->n_events, (int)p->version,
                      (int)row->version);
    for (size_t i = 0; i < u->n_attempts; i++)
        attempt_store(p, &u->attempts[i]);
    for (size_t i = 0; i < u->n_events; i++)
        TRY(mem_event_store(&u->events[i], is_heard));
    for (size_t i = 0; i < u->n_accounts; i++)
        mem_account_store(&u->accounts[i]);
    for (size_t i = 0; i < u->n_transfers; i++)
        TRY(mem_transfer_store(&u->transfers[i]));
    for (size_t i = 0; i < u->n_exceptions; i++)
        TRY(mem_exception_add(&u->exceptions[i]));
    for (size_t i = 0; i < u->n_resolutions; i++)
        mem_resolve(&u->resolutions[i]);
    TRY(mem_refund_write(u));
    p->n_calls += (int)u->n_calls;
    answer_store(row);
    payment_update(p, row);
    inbound_update(row);
    return ERR_OK;
}

static bool resolvable(const struct move_unit *u)
{
    for (size_t i = 0; i < u->n_resolutions; i++)
        if (!mem_resolvable(&u->resolutions[i]))
            return false;
    return true;
}

struct err mem_move_commit(struct unit *unit)
{
    struct move_unit *u = CONTAINER_OF(unit, struct move_unit, unit);
    const struct payment_update_row *row = &u->row;
    struct mem_payment *p = mem_payment(row->id);
    struct unit_answer a = {.stage = MOVE_DONE};
    if (u->n_refunds > 0 && !uuid_eq(row->journal_id, u->refunds[0].id))
        mem_book(row->journal_id, row->revision);
    if (!move_keyed(row)) {
        a.stage = MOVE_KEY_KNOWN;
    } else if (!claimed(row)) {
        a.stage = MOVE_RECEIPT_TAKEN;
    } else if (p == NULL || p->revision != row->revision || !resolvable(u)) {
        a.stage = MOVE_LOST_RACE;
    } else {
        a.fanout = mem_heard(p->mode, p->callback_url);
        TRY(move_write(p, u));
        sim_trace_str(row->status);
        sim_trace((uint64_t)row->version);
    }
    sim_trace((uint64_t)a.stage);
    mem_answer(unit, mem_stage_columns, MEM_STAGE_COLUMNS, &a);
    return ERR_OK;
}
