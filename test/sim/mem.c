/* The tables, and the units that write them: each function is one statement of sql/query, gate by
 * gate. What a constraint of the schema would refuse is a violation here: the flows are not meant
 * to find out that way. */
#include "test/sim/mem.h"

#include "core/base/times.h"
#include "core/flow/vault.h"
#include "core/flow/webhook_sign.h"
#include "test/sim/heap.h"
#include "test/sim/world.h"

struct mem mem;

/* The place of a new row, counted in. */
static size_t place_new(size_t *n, size_t max)
{
    ASSERT(*n < max);
    return (*n)++;
}
#define ROW_NEW(table, n, max) (&(table)[place_new(&(n), (max))])

static struct str seal(const char *place, struct uuid row, struct str plain)
{
    struct buf b;
    buf_init(&b, 4096);
    struct err err = vault_seal(sim_vault, place, mem.merchant, row, plain, &b);
    ASSERT(!err_is(err));
    struct str sealed = world_dup(buf_view(&b));
    buf_free(&b);
    return sealed;
}

void mem_tables_begin(void)
{
    static const char *const filters[] = {"*", "payment.*", "payment.completed,payment.failed"};
    static const char *const urls[MEM_ENDPOINTS] = {"https://a.example/h", "https://b.example/h",
                                                    "https://c.example/h"};
    /* 24 bytes in base64 */
    struct str secret = STR("whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0");
    mem.n_payments = mem.n_idempotency = mem.n_references = mem.n_receipts = mem.n_jobs = 0;
    mem.n_inbound = mem.n_events = mem.n_deliveries = mem.n_transfers = mem.n_exceptions = 0;
    mem.n_endpoints = mem.n_accounts = 0;
    mem.next_job_known = false;
    for (size_t i = 0; i < 16; i++)
        mem.merchant.b[i] = (uint8_t)sim_u64();
    mem.webhook_secret = seal("merchant.webhook_secret", mem.merchant, secret);
    uint32_t n = sim_below(2) == 0 ? 0 : 1 + sim_below(2);
    for (uint32_t i = 0; i < n; i++) {
        struct mem_endpoint *e = &mem.endpoints[mem.n_endpoints++];
        *e = (struct mem_endpoint){.merchant = mem.merchant,
                                   .mode = STR("test"),
                                   .url = str_c(urls[i]),
                                   .events = str_c(filters[sim_below(3)]),
                                   .status = STR("enabled")};
        memset(e->id.b, (int)(0xe0 + i), sizeof e->id.b);
        e->secrets = seal("webhook_endpoint.secrets", e->id, secret);
    }
}

/* ---- looking up ---- */

struct mem_payment *mem_payment(struct uuid id)
{
    for (size_t i = 0; i < mem.n_payments; i++)
        if (uuid_eq(mem.payments[i].id, id))
            return &mem.payments[i];
    return NULL;
}

const struct mem_event *mem_event(struct uuid payment, int32_t seq)
{
    for (size_t i = 0; i < mem.n_events; i++)
        if (mem.events[i].seq == seq && uuid_eq(mem.events[i].payment, payment))
            return &mem.events[i];
    return NULL;
}

struct mem_delivery *mem_delivery(struct uuid id)
{
    for (size_t i = 0; i < mem.n_deliveries; i++)
        if (uuid_eq(mem.deliveries[i].id, id))
            return &mem.deliveries[i];
    return NULL;
}

struct mem_inbound *mem_inbound(struct uuid subject, struct str dedupe_key)
{
    for (size_t i = 0; i < mem.n_inbound; i++)
        if (uuid_eq(mem.inbound[i].subject, subject) &&
            str_eq(mem.inbound[i].dedupe_key, dedupe_key))
            return &mem.inbound[i];
    return NULL;
}

static struct mem_idempotency *idempotency(struct str mode, struct str key, int16_t slot)
{
    for (size_t i = 0; i < mem.n_idempotency; i++) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if (r->slot == slot && str_eq(r->key, key) && str_eq(r->mode, mode))
            return r;
    }
    return NULL;
}

static struct mem_reference *reference(struct str mode, struct str word)
{
    for (size_t i = 0; i < mem.n_references; i++)
        if (str_eq(mem.references[i].reference, word) && str_eq(mem.references[i].mode, mode))
            return &mem.references[i];
    return NULL;
}

/* ---- jobs ---- */

static struct mem_job *job(struct str kind, struct uuid subject, int32_t n)
{
    for (size_t i = 0; i < mem.n_jobs; i++) {
        struct mem_job *j = &mem.jobs[i];
        if (j->n == n && uuid_eq(j->subject, subject) && str_eq(j->kind, kind))
            return j;
    }
    return NULL;
}

static void job_delete(struct mem_job *j)
{
    if (j != NULL)
        *j = mem.jobs[--mem.n_jobs];
    mem.next_job_known = false;
}

static struct mem_job *job_insert(struct str kind, struct uuid subject, int32_t n, int16_t bucket,
                                  int64_t run_at, struct uuid owner, int64_t lease)
{
    struct mem_job *j = ROW_NEW(mem.jobs, mem.n_jobs, MEM_JOBS);
    *j = (struct mem_job){mem.merchant, subject, owner, kind, n, bucket, 0, run_at, lease};
    mem.next_job_known = false;
    return j;
}

static void job_upsert(struct str kind, struct uuid subject, int32_t n, int16_t bucket,
                       int64_t run_at, struct uuid owner, int64_t lease)
{
    struct mem_job *j = job(kind, subject, n);
    if (j == NULL) {
        job_insert(kind, subject, n, bucket, run_at, owner, lease);
        return;
    }
    j->run_at = run_at;
    j->lease_owner = owner;
    j->lease_until = lease;
    j->tries = 0;
    mem.next_job_known = false;
}

int64_t mem_next_job_us(void)
{
    if (mem.next_job_known)
        return mem.next_job_us;
    mem.next_job_us = TIME_NEVER;
    for (size_t i = 0; i < mem.n_jobs; i++) {
        const struct mem_job *j = &mem.jobs[i];
        int64_t at = j->run_at > j->lease_until ? j->run_at : j->lease_until;
        if (at < mem.next_job_us)
            mem.next_job_us = at;
    }
    mem.next_job_known = true;
    return mem.next_job_us;
}

/* ---- what the schema would refuse ---- */

static struct err refuse(const char *constraint)
{
    sim_violation("the schema would refuse: %s", constraint);
    return ERR(INTERNAL, constraint);
}

static bool is_timed(int64_t at)
{
    return at != 0 && at != TIME_NEVER;
}

/* ---- answers ---- */

struct unit_answer {
    int32_t ord, stage;
    bool fanout;
    struct uuid id;
};
static const struct mem_column stage_columns[] = {
    {COL_I32, false, offsetof(struct unit_answer, ord)},
    {COL_I32, false, offsetof(struct unit_answer, stage)},
    {COL_BOOL, false, offsetof(struct unit_answer, fanout)},
};
static const struct mem_column id_columns[] = {
    {COL_I32, false, offsetof(struct unit_answer, ord)},
    {COL_UUID, false, offsetof(struct unit_answer, id)},
};

static void answer(struct unit *u, const struct mem_column *columns, size_t n,
                   const struct unit_answer *a)
{
    static struct rows r;
    rows_clear(&r, 1);
    rows_part(&r, columns, n, a, sizeof *a, 1);
    u->kind->on_row(u, &r, 0);
}

static bool heard(struct str mode, struct str callback_url)
{
    if (callback_url.p != NULL)
        return true;
    for (size_t i = 0; i < mem.n_endpoints; i++)
        if (str_eq(mem.endpoints[i].status, STR("enabled")) &&
            str_eq(mem.endpoints[i].mode, mode))
            return true;
    return false;
}

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
                                   .sent_at = a->sent_at};
    }
    at->status = world_dup(a->status);
    at->provider_ref = world_dup(a->provider_ref);
    at->receipt = world_dup(a->receipt);
    at->provider_code = world_dup(a->provider_code);
    at->code = world_dup(a->code);
    at->answered_at = a->answered_at;
    at->poll_n = a->poll_n;
    at->next_poll_at = is_timed(a->next_poll_at) ? a->next_poll_at : 0;
}

static struct err event_store(const struct event_row *e, bool is_heard)
{
    if (mem_event(e->subject_id, e->seq) != NULL)
        return refuse("two events of one seq");
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
        job_upsert(STR("fanout"), e->subject_id, e->seq, e->bucket, e->at, e->owner, e->lease);
    return ERR_OK;
}

/* ---- payment_create.sql ---- */

static void idempotency_insert(const struct payment_insert_row *row, int16_t slot, int *n)
{
    if (slot < 0 || idempotency(row->mode, row->idem_key, slot) != NULL)
        return;
    *ROW_NEW(mem.idempotency, mem.n_idempotency, MEM_IDEMPOTENCY) = (struct mem_idempotency){
        .merchant = row->merchant_id,
        .payment = row->id,
        .mode = row->mode,
        .key = world_dup(row->idem_key),
        .fingerprint = world_dup(row->idem_fingerprint),
        .slot = slot,
        .http_status = row->idem_http,
        .seq = row->idem_seq,
        .period = row->idem_period,
        .lease_until = row->idem_lease,
        .created_at = row->created_at,
    };
    ++*n;
}

static bool keyed(const struct payment_insert_row *row)
{
    int n = 0;
    if (row->idem_key.p == NULL || row->idem_held)
        return true;
    if (idempotency(row->mode, row->idem_key, row->idem_look_a) != NULL ||
        idempotency(row->mode, row->idem_key, row->idem_look_b) != NULL)
        return false;
    idempotency_insert(row, row->idem_slot, &n);
    idempotency_insert(row, row->idem_slot_b, &n);
    return n == (row->idem_slot_b < 0 ? 1 : 2);
}

static bool reference_insert(struct str mode, struct str word, struct uuid payment)
{
    if (reference(mode, word) != NULL)
        return false;
    *ROW_NEW(mem.references, mem.n_references, MEM_REFERENCES) =
        (struct mem_reference){mode, world_dup(word), payment};
    return true;
}

static bool reference_taken(const struct payment_insert_row *row)
{
    if (str_eq(row->reference, row->reference_no))
        return false;
    struct mem_reference *r = reference(row->mode, row->reference);
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
        return refuse("two payments of one id");
    if (row->amount <= 0)
        return refuse("amount");
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
        .created_at = row->created_at,
        .updated_at = row->created_at,
        .expires_at = row->expires_at,
        .idem_key = world_dup(row->idem_key),
        .ended_once = str_eq(row->status, STR("failed")),
    };
    for (size_t i = 0; i < u->n_attempts; i++)
        attempt_store(p, &u->attempts[i]);
    if (is_timed(row->job_run_at))
        job_insert(STR("payment"), row->id, 0, row->job_bucket, row->job_run_at, row->job_owner,
                   row->job_lease);
    for (size_t i = 0; i < u->n_events; i++)
        TRY(event_store(&u->events[i], heard(row->mode, row->callback_url)));
    return ERR_OK;
}

static struct err create_commit(struct unit *unit)
{
    struct create_unit *u = CONTAINER_OF(unit, struct create_unit, unit);
    const struct payment_insert_row *row = &u->row;
    struct unit_answer a = {.stage = CREATE_DONE, .fanout = heard(row->mode, row->callback_url)};
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
    answer(unit, stage_columns, COUNT_OF(stage_columns), &a);
    return ERR_OK;
}

/* ---- payment_move.sql ---- */

/* False if the receipt is another payment's. */
static bool claimed(const struct payment_update_row *row)
{
    if (row->receipt_claim.p == NULL)
        return true;
    for (size_t i = 0; i < mem.n_receipts; i++) {
        const struct mem_receipt *r = &mem.receipts[i];
        if (str_eq(r->receipt, row->receipt_claim) && str_eq(r->provider, row->provider) &&
            str_eq(r->mode, row->mode))
            return uuid_eq(r->payment, row->id);
    }
    *ROW_NEW(mem.receipts, mem.n_receipts, MEM_RECEIPTS) = (struct mem_receipt){
        row->mode, world_dup(row->provider), world_dup(row->receipt_claim), row->id};
    return true;
}

static struct err row_check(const struct mem_payment *p, const struct payment_update_row *row)
{
    enum payment_status from, to;
    if (!payment_status_parse(p->status, &from) || !payment_status_parse(row->status, &to))
        return refuse("status");
    if (from != to && !payment_may_move(from, to))
        sim_violation("a payment moves from %s to %s", payment_status_word(from),
                      payment_status_word(to));
    if (row->version < p->version || row->version > p->version + 1)
        sim_violation("version %d follows %d", (int)row->version, (int)p->version);
    bool paid = to == PAYMENT_COMPLETED || to == PAYMENT_PARTIALLY_REFUNDED ||
                to == PAYMENT_REFUNDED || to == PAYMENT_REVERSED;
    if (row->received < 0 || paid != (row->received > 0) ||
        (paid && !is_timed(row->completed_at)))
        return refuse("received");
    return ERR_OK;
}

static struct err transfer_store(const struct transfer_row *t)
{
    for (size_t i = 0; i < mem.n_transfers; i++)
        if (mem.transfers[i].step == t->step && uuid_eq(mem.transfers[i].journal, t->journal_id))
            return refuse("two transfers of one journal and step");
    if (t->amount <= 0 || uuid_eq(t->debit_id, t->credit_id))
        return refuse("transfer");
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

static void account_store(const struct account_row *c)
{
    for (size_t i = 0; i < mem.n_accounts; i++)
        if (uuid_eq(mem.accounts[i].id, c->id))
            return;
    *ROW_NEW(mem.accounts, mem.n_accounts, MEM_ACCOUNTS) =
        (struct mem_account){c->id, c->type, world_dup(c->owner), world_dup(c->currency)};
}

static void answer_store(const struct payment_update_row *row)
{
    for (size_t i = 0; row->idem_key.p != NULL && i < mem.n_idempotency; i++) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if ((r->slot == row->idem_slot || r->slot == row->idem_slot_b) && r->http_status == 0 &&
            str_eq(r->key, row->idem_key) && uuid_eq(r->payment, row->id) &&
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
    p->status_source = row->status_source;
    p->late = row->late;
    p->failure_code = row->failure_code;
    p->failure_provider_code = world_dup(row->failure_provider_code);
    p->failure_message = world_dup(row->failure_message);
    p->provider_ref = world_dup(row->provider_ref);
    p->receipt = world_dup(row->receipt);
    p->next_action = world_dup(row->next_action);
    p->recon_since = row->recon_since;
    p->completed_at = row->completed_at;
    p->updated_at = row->updated_at;
    p->ended_once |= str_eq(row->status, STR("failed")) || str_eq(row->status, STR("expired")) ||
                     str_eq(row->status, STR("cancelled"));
    if (is_timed(row->job_run_at))
        job_upsert(row->job_kind, row->job_subject, 0, row->job_bucket, row->job_run_at,
                   row->job_owner, row->job_lease);
    else
        job_delete(job(row->job_kind, row->job_subject, 0));
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
    job_delete(job(STR("inbound"), row->inbound_subject, row->inbound_n));
}

static struct err move_write(struct mem_payment *p, const struct move_unit *u)
{
    const struct payment_update_row *row = &u->row;
    bool is_heard = heard(p->mode, p->callback_url);
    TRY(row_check(p, row));
    if (row->version != p->version + (int32_t)u->n_events)
        sim_violation("%zu events move the version from %d to %d", u->n_events, (int)p->version,
                      (int)row->version);
    for (size_t i = 0; i < u->n_attempts; i++)
        attempt_store(p, &u->attempts[i]);
    for (size_t i = 0; i < u->n_events; i++)
        TRY(event_store(&u->events[i], is_heard));
    for (size_t i = 0; i < u->n_accounts; i++)
        account_store(&u->accounts[i]);
    for (size_t i = 0; i < u->n_transfers; i++)
        TRY(transfer_store(&u->transfers[i]));
    for (size_t i = 0; i < u->n_exceptions; i++)
        *ROW_NEW(mem.exceptions, mem.n_exceptions, MEM_EXCEPTIONS) =
            (struct mem_exception){u->exceptions[i].payment_id, u->exceptions[i].kind};
    p->n_calls += (int)u->n_calls;
    answer_store(row);
    payment_update(p, row);
    inbound_update(row);
    return ERR_OK;
}

static struct err move_commit(struct unit *unit)
{
    struct move_unit *u = CONTAINER_OF(unit, struct move_unit, unit);
    const struct payment_update_row *row = &u->row;
    struct mem_payment *p = mem_payment(row->id);
    struct unit_answer a = {.stage = MOVE_DONE};
    if (!claimed(row)) {
        a.stage = MOVE_RECEIPT_TAKEN;
    } else if (p == NULL || p->revision != row->revision) {
        a.stage = MOVE_LOST_RACE;
    } else {
        a.fanout = heard(p->mode, p->callback_url);
        TRY(move_write(p, u));
        sim_trace_str(row->status);
        sim_trace((uint64_t)row->version);
    }
    sim_trace((uint64_t)a.stage);
    answer(unit, stage_columns, COUNT_OF(stage_columns), &a);
    return ERR_OK;
}

/* ---- callback_store.sql ---- */

static struct err inbound_commit(struct unit *unit)
{
    const struct inbound_row *row = &CONTAINER_OF(unit, struct inbound_unit, unit)->row;
    struct unit_answer a = {0};
    if (mem_inbound(row->subject_id, row->dedupe_key) != NULL)
        return ERR_OK;
    *ROW_NEW(mem.inbound, mem.n_inbound, MEM_INBOUND) = (struct mem_inbound){
        .merchant = row->merchant_id,
        .subject = row->subject_id,
        .payment = row->payment_id,
        .dedupe_key = world_dup(row->dedupe_key),
        .mode = row->mode,
        .provider = row->provider,
        .state = STR("received"),
        .peer = world_dup(row->peer),
        .raw = world_dup(row->raw),
        .attempt = row->attempt_n,
        .ip_ok = row->ip_ok,
    };
    if (job(STR("inbound"), row->subject_id, row->job_n) != NULL)
        return refuse("two callback jobs of one number");
    job_insert(STR("inbound"), row->subject_id, row->job_n, row->job_bucket, row->at,
               row->job_owner, row->job_lease);
    answer(unit, stage_columns, 1, &a);
    return ERR_OK;
}

/* ---- delivery_create.sql, delivery_move.sql ---- */

static bool delivery_owned(const struct delivery_row *d)
{
    for (size_t i = 0; i < mem.n_deliveries; i++) {
        const struct mem_delivery *o = &mem.deliveries[i];
        if (o->seq == d->seq && o->n == d->n && uuid_eq(o->payment, d->payment_id) &&
            uuid_eq(o->endpoint, d->endpoint_id))
            return true;
    }
    return false;
}

static struct err fanout_commit(struct unit *unit)
{
    struct fanout_unit *u = CONTAINER_OF(unit, struct fanout_unit, unit);
    job_delete(job(STR("fanout"), u->row.payment_id, u->row.seq));
    for (size_t i = 0; i < u->n_deliveries; i++) {
        const struct delivery_row *d = &u->deliveries[i];
        if (delivery_owned(d))
            continue;
        *ROW_NEW(mem.deliveries, mem.n_deliveries, MEM_DELIVERIES) = (struct mem_delivery){
            .merchant = d->merchant_id,
            .id = d->id,
            .payment = d->payment_id,
            .event = d->event_id,
            .endpoint = d->endpoint_id,
            .mode = world_dup(d->mode),
            .type = world_dup(d->event_type),
            .status = STR("scheduled"),
            .seq = d->seq,
            .revision = 1,
            .n = d->n,
            .next_at = d->at,
            .created_at = d->at,
        };
        job_insert(STR("delivery"), d->id, 0, d->job_bucket, d->at, d->job_owner, d->job_lease);
        struct unit_answer a = {.id = d->id};
        answer(unit, id_columns, COUNT_OF(id_columns), &a);
    }
    return ERR_OK;
}

static void endpoint_learn(const struct delivery_update_row *row)
{
    for (size_t i = 0; i < mem.n_endpoints; i++) {
        struct mem_endpoint *e = &mem.endpoints[i];
        if (!uuid_eq(e->id, row->endpoint_id) || row->endpoint_state.p == NULL)
            continue;
        bool failing = str_eq(row->endpoint_state, STR("failing"));
        bool long_ago =
            e->failing_since != 0 && e->failing_since < row->at - 5 * US_PER_DAY && failing;
        if (str_eq(row->endpoint_state, STR("gone")) || long_ago)
            e->status = STR("disabled");
        if (str_eq(row->endpoint_state, STR("ok")))
            e->failing_since = 0;
        else if (e->failing_since == 0)
            e->failing_since = row->at;
    }
}

static struct err delivery_commit(struct unit *unit)
{
    const struct delivery_update_row *row = &CONTAINER_OF(unit, struct delivery_unit, unit)->row;
    struct mem_delivery *d = mem_delivery(row->id);
    struct unit_answer a = {0};
    if (d == NULL || d->revision != row->revision)
        return ERR_OK;
    d->status = row->status;
    d->tries = row->tries;
    d->next_at = is_timed(row->next_at) ? row->next_at : 0;
    d->last_http = row->last_http;
    d->last_error = row->last_error;
    d->revision++;
    endpoint_learn(row);
    if (is_timed(row->next_at)) {
        struct mem_job *j = job(STR("delivery"), row->id, 0);
        int16_t tries = j != NULL ? j->tries : 0; /* this statement leaves them */
        job_upsert(STR("delivery"), row->id, 0, row->job_bucket, row->next_at, row->job_owner,
                   row->job_lease);
        job(STR("delivery"), row->id, 0)->tries = tries;
    } else {
        job_delete(job(STR("delivery"), row->id, 0));
    }
    answer(unit, stage_columns, 1, &a);
    return ERR_OK;
}

/* ---- job_lease.sql ---- */

static struct err lease_commit(struct unit *unit)
{
    const struct lease_row *row = &CONTAINER_OF(unit, struct lease_unit, unit)->row;
    struct mem_job *j = job(row->kind, row->subject, row->n);
    struct unit_answer a = {0};
    if (j == NULL || j->lease_until > row->now || j->run_at > row->now)
        return ERR_OK;
    j->lease_owner = row->owner;
    j->lease_until = row->until;
    j->tries = (int16_t)(j->tries < 30000 ? j->tries + 1 : 30000);
    mem.next_job_known = false;
    a.stage = j->tries;
    answer(unit, stage_columns, 2, &a);
    return ERR_OK;
}

struct err mem_commit(struct unit *u)
{
    sim_trace((uint64_t)u->kind->query << 8);
    switch (u->kind->query) {
    case Q_payment_create:
        return create_commit(u);
    case Q_payment_move:
        return move_commit(u);
    case Q_callback_store:
        return inbound_commit(u);
    case Q_delivery_create:
        return fanout_commit(u);
    case Q_delivery_move:
        return delivery_commit(u);
    case Q_job_lease:
        return lease_commit(u);
    default:
        return refuse("a kind of unit that is not simulated");
    }
}

/* ---- statements of their own ---- */

static void callback_close(const struct value *v)
{
    struct mem_inbound *in = mem_inbound(v[1].u.uuid, v[2].u.str);
    if (in != NULL) {
        in->state = world_dup(v[4].u.str);
        in->reason = world_dup(v[5].u.str);
        if (!uuid_is_nil(v[7].u.uuid))
            *ROW_NEW(mem.exceptions, mem.n_exceptions, MEM_EXCEPTIONS) =
                (struct mem_exception){v[10].u.uuid, world_dup(v[8].u.str)};
    }
    job_delete(job(STR("inbound"), v[1].u.uuid, (int32_t)v[3].u.i64));
}

static void job_later(const struct value *v)
{
    struct mem_job *j = job(v[1].u.str, v[2].u.uuid, (int32_t)v[3].u.i64);
    if (j == NULL || !uuid_eq(j->lease_owner, v[5].u.uuid))
        return;
    j->run_at = j->lease_until = v[4].u.i64;
    mem.next_job_known = false;
}

/* Sets a refusal as the key's answer, or gives the key back. */
static void idempotency_end(const struct value *v, bool refusal)
{
    bool exists = mem_payment(v[3].u.uuid) != NULL;
    for (size_t i = mem.n_idempotency; i-- > 0;) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if (!str_eq(r->key, v[2].u.str) || !uuid_eq(r->payment, v[3].u.uuid) ||
            !str_eq(r->mode, v[1].u.str) || r->problem.p != NULL)
            continue;
        if (refusal) {
            r->http_status = (int16_t)v[4].u.i64;
            r->seq = 0;
            r->problem = world_dup(v[5].u.str);
        } else if (!exists) {
            *r = mem.idempotency[--mem.n_idempotency];
        }
    }
}

/* reli.idempotency_turn */
static void idempotency_turn(int32_t period)
{
    int16_t slot = (int16_t)((period + 2) % 4);
    bool old = false;
    for (size_t i = 0; i < mem.n_idempotency; i++)
        old |= mem.idempotency[i].slot == slot && mem.idempotency[i].period < period - 1;
    for (size_t i = mem.n_idempotency; old && i-- > 0;)
        if (mem.idempotency[i].slot == slot)
            mem.idempotency[i] = mem.idempotency[--mem.n_idempotency];
}

struct err mem_exec(enum query query, const struct value *params)
{
    switch (query) {
    case Q_callback_close:
        callback_close(params);
        return ERR_OK;
    case Q_job_later:
        job_later(params);
        return ERR_OK;
    case Q_idempotency_refuse:
        idempotency_end(params, true);
        return ERR_OK;
    case Q_idempotency_release:
        idempotency_end(params, false);
        return ERR_OK;
    case Q_upkeep:
        idempotency_turn((int32_t)params[1].u.i64);
        return ERR_OK;
    case Q_replica_beat:
        return ERR_OK;
    default:
        return refuse("a statement that is not simulated");
    }
}
