/* The tables, and the units that write them: each function is one statement of sql/query, gate by
 * gate. What a constraint of the schema would refuse is a violation here: the flows are not meant
 * to find out that way. */
#include "test/sim/mem_int.h"

#include "core/base/times.h"
#include "core/flow/vault.h"
#include "core/flow/webhook_sign.h"
#include "test/sim/heap.h"
#include "test/sim/world.h"

struct mem mem;

/* The place of a new row, counted in. */
size_t mem_place_new(size_t *n, size_t max)
{
    ASSERT(*n < max);
    return (*n)++;
}

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

/* Half of the merchants pay no fee; of the others some get another schedule while we look. */
static void schedules_make(void)
{
    static const char *const texts[] = {"1.5% min 3 cap 90; > 100: 1%", "2% + 1; payer customer",
                                        "100%", "0.5; > 1000: 1%", "0%"};
    int64_t at = 0;
    for (uint32_t n = sim_below(2) * (1 + sim_below(MEM_SCHEDULES)); n > 0; n--) {
        struct mem_schedule *s = &mem.schedules[mem.n_schedules];
        *s = (struct mem_schedule){(int32_t)++mem.n_schedules, str_c(texts[sim_below(5)]), STR_NULL,
                                   at};
        at = w.epoch_us + sim_between(0, 5 * US_PER_MIN);
    }
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
    mem.n_endpoints = mem.n_accounts = mem.n_refunds = 0;
    mem.n_payouts = mem.n_payout_references = mem.n_guarded = mem.n_bookings = 0;
    mem.n_schedules = 0;
    mem.next_job_known = false;
    schedules_make();
    for (size_t i = 0; i < 16; i++)
        mem.merchant.b[i] = (uint8_t)sim_u64();
    mem_payouts_begin();
    mem.webhook_secret = seal("merchant.webhook_secret", mem.merchant, secret);
    uint32_t n = sim_below(4) > 0 ? 0 : 1 + sim_below(2);
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

struct mem_idempotency *mem_idempotency(struct str mode, struct str key, int16_t slot)
{
    for (size_t i = 0; i < mem.n_idempotency; i++) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if (r->slot == slot && str_eq(r->key, key) && str_eq(r->mode, mode))
            return r;
    }
    return NULL;
}

struct mem_reference *mem_reference(struct str mode, struct str word)
{
    for (size_t i = 0; i < mem.n_references; i++)
        if (str_eq(mem.references[i].reference, word) && str_eq(mem.references[i].mode, mode))
            return &mem.references[i];
    return NULL;
}

/* ---- jobs ---- */

struct mem_job *mem_job(struct str kind, struct uuid subject, int32_t n)
{
    for (size_t i = 0; i < mem.n_jobs; i++) {
        struct mem_job *j = &mem.jobs[i];
        if (j->n == n && uuid_eq(j->subject, subject) && str_eq(j->kind, kind))
            return j;
    }
    return NULL;
}

void mem_job_delete(struct mem_job *j)
{
    if (j != NULL)
        *j = mem.jobs[--mem.n_jobs];
    mem.next_job_known = false;
}

struct mem_job *mem_job_insert(struct str kind, struct uuid subject, int32_t n, int16_t bucket,
                               int64_t run_at, struct uuid owner, int64_t lease)
{
    struct mem_job *j = ROW_NEW(mem.jobs, mem.n_jobs, MEM_JOBS);
    *j = (struct mem_job){mem.merchant, subject, owner, kind, n, bucket, 0, run_at, lease};
    mem.next_job_known = false;
    return j;
}

void mem_job_upsert(struct str kind, struct uuid subject, int32_t n, int16_t bucket, int64_t run_at,
                    struct uuid owner, int64_t lease)
{
    struct mem_job *j = mem_job(kind, subject, n);
    if (j == NULL) {
        mem_job_insert(kind, subject, n, bucket, run_at, owner, lease);
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

struct err mem_refuse(const char *constraint)
{
    sim_violation("the schema would refuse: %s", constraint);
    return ERR(INTERNAL, constraint);
}

bool mem_is_timed(int64_t at)
{
    return at != 0 && at != TIME_NEVER;
}

/* ---- answers ---- */

const struct mem_column mem_stage_columns[MEM_STAGE_COLUMNS] = {
    {COL_I32, false, offsetof(struct unit_answer, ord)},
    {COL_I32, false, offsetof(struct unit_answer, stage)},
    {COL_BOOL, false, offsetof(struct unit_answer, fanout)},
    {COL_I32, false, offsetof(struct unit_answer, crossed)},
};
static const struct mem_column disabled_columns[] = {
    {COL_I32, false, offsetof(struct unit_answer, ord)},
    {COL_BOOL, false, offsetof(struct unit_answer, fanout)},
};
static const struct mem_column id_columns[] = {
    {COL_I32, false, offsetof(struct unit_answer, ord)},
    {COL_UUID, false, offsetof(struct unit_answer, id)},
};

void mem_answer(struct unit *u, const struct mem_column *columns, size_t n,
                const struct unit_answer *a)
{
    static struct rows r;
    rows_clear(&r, 1);
    rows_part(&r, columns, n, a, sizeof *a, 1);
    u->kind->on_row(u, &r, 0);
}

bool mem_heard(struct str mode, struct str callback_url)
{
    if (callback_url.p != NULL)
        return true;
    for (size_t i = 0; i < mem.n_endpoints; i++)
        if (str_eq(mem.endpoints[i].status, STR("enabled")) && str_eq(mem.endpoints[i].mode, mode))
            return true;
    return false;
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
        .id = row->id,
        .dedupe_key = world_dup(row->dedupe_key),
        .mode = row->mode,
        .provider = row->provider,
        .kind = world_dup(row->kind),
        .state = STR("received"),
        .peer = world_dup(row->peer),
        .raw = world_dup(row->raw),
        .attempt = row->attempt_n,
        .ip_ok = row->ip_ok,
    };
    if (mem_job(STR("inbound"), row->subject_id, row->job_n) != NULL)
        return mem_refuse("two callback jobs of one number");
    mem_job_insert(STR("inbound"), row->subject_id, row->job_n, row->job_bucket, row->at,
                   row->job_owner, row->job_lease);
    mem_answer(unit, mem_stage_columns, 1, &a);
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
    mem_job_delete(mem_job(STR("fanout"), u->row.payment_id, u->row.seq));
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
        mem_job_insert(STR("delivery"), d->id, 0, d->job_bucket, d->at, d->job_owner, d->job_lease);
        struct unit_answer a = {.id = d->id};
        mem_answer(unit, id_columns, COUNT_OF(id_columns), &a);
    }
    return ERR_OK;
}

/* Whether it disables the endpoint. */
static bool endpoint_learn(const struct delivery_update_row *row)
{
    bool disabled = false;
    for (size_t i = 0; i < mem.n_endpoints; i++) {
        struct mem_endpoint *e = &mem.endpoints[i];
        if (!uuid_eq(e->id, row->endpoint_id) || row->endpoint_state.p == NULL ||
            !str_eq(e->status, STR("enabled")))
            continue;
        bool failing = str_eq(row->endpoint_state, STR("failing"));
        bool long_ago = e->failing_since != 0 && e->failing_days >= 3 &&
                        e->failing_since < row->at - 5 * US_PER_DAY && failing;
        disabled = str_eq(row->endpoint_state, STR("gone")) || long_ago;
        if (disabled)
            e->status = STR("disabled");
        if (str_eq(row->endpoint_state, STR("ok")))
            e->failing_since = 0;
        else if (e->failing_since == 0)
            e->failing_since = e->failing_at = row->at, e->failing_days = 1;
        else if (row->at / US_PER_DAY > e->failing_at / US_PER_DAY)
            e->failing_at = row->at, e->failing_days++;
    }
    return disabled;
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
    d->next_at = mem_is_timed(row->next_at) ? row->next_at : 0;
    d->last_http = row->last_http;
    d->last_error = row->last_error;
    d->revision++;
    a.fanout = endpoint_learn(row);
    if (mem_is_timed(row->next_at)) {
        struct mem_job *j = mem_job(STR("delivery"), row->id, 0);
        int16_t tries = j != NULL ? j->tries : 0; /* this statement leaves them */
        mem_job_upsert(STR("delivery"), row->id, 0, row->job_bucket, row->next_at, row->job_owner,
                       row->job_lease);
        mem_job(STR("delivery"), row->id, 0)->tries = tries;
    } else {
        mem_job_delete(mem_job(STR("delivery"), row->id, 0));
    }
    mem_answer(unit, disabled_columns, COUNT_OF(disabled_columns), &a);
    return ERR_OK;
}

/* ---- job_lease.sql, job_put_off.sql, job_later.sql ---- */

static bool job_put_off(struct mem_job *j, struct uuid owner, int64_t until)
{
    if (j == NULL || !uuid_eq(j->lease_owner, owner))
        return false;
    j->run_at = j->lease_until = until;
    mem.next_job_known = false;
    return true;
}

static struct err later_commit(struct unit *unit)
{
    const struct lease_row *row = &CONTAINER_OF(unit, struct lease_unit, unit)->row;
    struct unit_answer a = {0};
    if (job_put_off(mem_job(row->kind, row->subject, row->n), row->owner, row->until))
        mem_answer(unit, mem_stage_columns, 1, &a);
    return ERR_OK;
}

static struct err lease_commit(struct unit *unit)
{
    const struct lease_row *row = &CONTAINER_OF(unit, struct lease_unit, unit)->row;
    struct mem_job *j = mem_job(row->kind, row->subject, row->n);
    struct unit_answer a = {0};
    if (j == NULL || j->lease_until > row->now || j->run_at > row->now)
        return ERR_OK;
    j->lease_owner = row->owner;
    j->lease_until = row->until;
    j->tries = (int16_t)(j->tries < 30000 ? j->tries + 1 : 30000);
    mem.next_job_known = false;
    a.stage = j->tries;
    mem_answer(unit, mem_stage_columns, 2, &a);
    return ERR_OK;
}

struct err mem_commit(struct unit *u)
{
    sim_trace((uint64_t)u->kind->query << 8);
    switch (u->kind->query) {
    case Q_payment_create:
        return mem_create_commit(u);
    case Q_payment_move:
        return mem_move_commit(u);
    case Q_payout_create:
        return mem_payout_create_commit(u);
    case Q_payout_move:
        return mem_payout_move_commit(u);
    case Q_callback_store:
        return inbound_commit(u);
    case Q_delivery_create:
        return fanout_commit(u);
    case Q_delivery_move:
        return delivery_commit(u);
    case Q_job_lease:
        return lease_commit(u);
    case Q_job_put_off:
        return later_commit(u);
    default:
        return mem_refuse("a kind of unit that is not simulated");
    }
}

/* ---- statements of their own ---- */

static struct err callback_close(const struct value *v)
{
    struct mem_inbound *in = mem_inbound(v[1].u.uuid, v[2].u.str);
    if (in != NULL) {
        in->state = world_dup(v[4].u.str);
        in->reason = world_dup(v[5].u.str);
        if (!uuid_is_nil(v[7].u.uuid))
            TRY(mem_exception_add(&(struct exception_row){
                .id = v[7].u.uuid,
                .subject_id = v[10].u.uuid,
                .kind = v[8].u.str,
                .mode = v[9].u.str,
                .detail = v[5].u.str,
                .at = v[6].u.i64,
            }));
    }
    mem_job_delete(mem_job(STR("inbound"), v[1].u.uuid, (int32_t)v[3].u.i64));
    return ERR_OK;
}

static void job_later(const struct value *v)
{
    job_put_off(mem_job(v[1].u.str, v[2].u.uuid, (int32_t)v[3].u.i64), v[5].u.uuid, v[4].u.i64);
}

/* Sets a refusal as the key's answer, or gives the key back. */
static void idempotency_end(const struct value *v, bool refusal)
{
    bool exists = mem_payment(v[3].u.uuid) != NULL || mem_refund(v[3].u.uuid) != NULL ||
                  mem_payout(v[3].u.uuid) != NULL;
    mem.n_refused = 0;
    for (size_t i = mem.n_idempotency; i-- > 0;) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if (!str_eq(r->key, v[2].u.str) || !uuid_eq(r->payment, v[3].u.uuid) ||
            !str_eq(r->mode, v[1].u.str) || r->problem.p != NULL)
            continue;
        if (refusal ? v[6].u.i64 != 0 && v[6].u.i64 != r->lease_until : r->lease_until > v[4].u.i64)
            continue;
        if (refusal) {
            mem.n_refused++;
            r->http_status = (int16_t)v[4].u.i64;
            r->seq = 0;
            r->problem = world_dup(v[5].u.str);
        } else if (!exists) {
            *r = mem.idempotency[--mem.n_idempotency];
        }
    }
}

/* idempotency_answer.sql */
static void idempotency_answer(const struct value *v)
{
    for (size_t i = 0; i < mem.n_idempotency; i++) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if (str_eq(r->key, v[2].u.str) && uuid_eq(r->payment, v[3].u.uuid) &&
            str_eq(r->mode, v[1].u.str) && r->http_status == 0 &&
            (v[6].u.i64 == 0 || v[6].u.i64 == r->lease_until)) {
            r->http_status = (int16_t)v[4].u.i64;
            r->seq = (int32_t)v[5].u.i64;
        }
    }
}

/* idempotency_claim.sql: one, if the slot was free */
static void idempotency_claim(const struct value *v)
{
    int16_t slot = (int16_t)v[3].u.i64;
    mem.n_claimed = mem_idempotency(v[1].u.str, v[2].u.str, slot) == NULL;
    if (mem.n_claimed == 0)
        return;
    *ROW_NEW(mem.idempotency, mem.n_idempotency, MEM_IDEMPOTENCY) = (struct mem_idempotency){
        .merchant = mem.merchant,
        .payment = v[6].u.uuid,
        .mode = v[1].u.str,
        .key = v[2].u.str,
        .fingerprint = world_dup(v[5].u.str),
        .slot = slot,
        .period = (int32_t)v[4].u.i64,
        .lease_until = v[7].u.i64,
        .created_at = v[8].u.i64,
    };
}

/* idempotency_drop.sql */
static void idempotency_drop(const struct value *v)
{
    for (size_t i = mem.n_idempotency; i-- > 0;) {
        struct mem_idempotency *r = &mem.idempotency[i];
        if (str_eq(r->key, v[2].u.str) && uuid_eq(r->payment, v[3].u.uuid) &&
            str_eq(r->mode, v[1].u.str) && r->http_status == 0 && r->lease_until == v[4].u.i64)
            *r = mem.idempotency[--mem.n_idempotency];
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
        return callback_close(params);
    case Q_job_later:
        job_later(params);
        return ERR_OK;
    case Q_idempotency_refuse:
        idempotency_end(params, true);
        return ERR_OK;
    case Q_idempotency_release:
        idempotency_end(params, false);
        return ERR_OK;
    case Q_idempotency_answer:
        idempotency_answer(params);
        return ERR_OK;
    case Q_idempotency_claim:
        idempotency_claim(params);
        return ERR_OK;
    case Q_idempotency_drop:
        idempotency_drop(params);
        return ERR_OK;
    case Q_exception_move:
        mem_move_exception(params);
        return ERR_OK;
    case Q_upkeep: /* one table lacks its partitions each time, and then none */
        mem.partitioned = !mem.partitioned;
        if (!mem.partitioned)
            idempotency_turn((int32_t)params[1].u.i64);
        return ERR_OK;
    case Q_replica_beat:
    case Q_people_upkeep: /* nobody logs in here */
    case Q_retention:
    case Q_security_drop:
    case Q_endpoint_disabled: /* for people */
        return ERR_OK;
    default:
        return mem_refuse("a statement that is not simulated");
    }
}
