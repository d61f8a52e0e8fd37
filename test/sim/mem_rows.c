/* What statements return: copies of rows, side by side, read as store/value.h says. */
#include "core/base/times.h"
#include "test/sim/mem.h"
#include "test/sim/world.h"

#define C(type_, struct_, member)                            \
    {                                                        \
        COL_##type_, false, offsetof(struct struct_, member) \
    }
/* An integer whose zero is NULL. */
#define C_OPT(type_, struct_, member)                       \
    {                                                       \
        COL_##type_, true, offsetof(struct struct_, member) \
    }

/* The order is that of the statement that each is named after. */
static const struct mem_column payment_get[] = {
    C(UUID, mem_payment, merchant),
    C(UUID, mem_payment, id),
    C(TEXT, mem_payment, mode),
    C(TEXT, mem_payment, status),
    C(I32, mem_payment, version),
    C(I32, mem_payment, revision),
    C(UUID, mem_payment, op_id),
    C(TEXT, mem_payment, reference),
    C(TEXT, mem_payment, reference_no),
    C(TEXT, mem_payment, pay_code),
    C(TEXT, mem_payment, provider),
    C(TEXT, mem_payment, method),
    C(UUID, mem_payment, account_id),
    C(I64, mem_payment, amount),
    C(TEXT, mem_payment, currency),
    C(I64, mem_payment, received),
    C(I64, mem_payment, refunded),
    C(I64, mem_payment, reserved),
    C(I64, mem_payment, fee),
    C(I64, mem_payment, fee_due),
    C(BOOL, mem_payment, fee_on_top),
    C(TEXT, mem_payment, customer_id),
    C(BYTES, mem_payment, pii),
    C(TEXT, mem_payment, description),
    C(TEXT, mem_payment, return_url),
    C(TEXT, mem_payment, callback_url),
    C(JSON, mem_payment, metadata),
    C(JSON, mem_payment, next_action),
    C(TEXT, mem_payment, failure_code),
    C(TEXT, mem_payment, failure_provider_code),
    C(TEXT, mem_payment, failure_message),
    C(TEXT, mem_payment, provider_ref),
    C(TEXT, mem_payment, receipt),
    C(TEXT, mem_payment, status_source),
    C(BOOL, mem_payment, late),
    C(TIME, mem_payment, recon_since),
    C(TIME, mem_payment, created_at),
    C(TIME, mem_payment, updated_at),
    C(TIME, mem_payment, expires_at),
    C(TIME, mem_payment, completed_at),
};

static const struct mem_column payment_get_attempt[] = {
    C_OPT(I16, mem_attempt, n),          C(TEXT, mem_attempt, status),
    C(I64, mem_attempt, amount),         C(TEXT, mem_attempt, currency),
    C(TEXT, mem_attempt, provider_ref),  C(TEXT, mem_attempt, receipt),
    C(TEXT, mem_attempt, provider_code), C(TEXT, mem_attempt, code),
    C(TIME, mem_attempt, sent_at),       C(TIME, mem_attempt, answered_at),
    C(I16, mem_attempt, poll_n),         C(TIME, mem_attempt, next_poll_at),
    C(TEXT, mem_attempt, provider),      C(UUID, mem_attempt, account_id),
    C(JSON, mem_attempt, route),         C(I16, mem_attempt, codes_n),
    C(BOOL, mem_attempt, cancel_asked),
};

static const struct mem_column idempotency_get[] = {
    C(BYTES, mem_idempotency, fingerprint),   C(UUID, mem_idempotency, payment),
    C_OPT(I16, mem_idempotency, http_status), C(TEXT, mem_idempotency, provider_ref),
    C(TEXT, mem_idempotency, problem),        C(TIME, mem_idempotency, lease_until),
    C(TIME, mem_idempotency, created_at),
};
static const struct mem_column event_data[] = {C(TEXT, mem_event, data)};
static const struct mem_column idempotency_get_payment[] = {
    C(BYTES, mem_payment, pii),
    C(TEXT, mem_payment, status),
    C(TIME, mem_payment, expires_at),
    C(UUID, mem_payment, op_id),
};

static const struct mem_column reference_get[] = {C(UUID, mem_reference, payment)};
static const struct mem_column reference_get_payment[] = {
    C(TEXT, mem_payment, status),
    C(I64, mem_payment, received),
};

static const struct mem_column callback_get[] = {
    C(BYTES, mem_inbound, dedupe_key), C(TEXT, mem_inbound, provider),
    C(UUID, mem_inbound, payment),     C(I16, mem_inbound, attempt),
    C(TEXT, mem_inbound, kind),        C(TEXT, mem_inbound, state),
    C(BOOL, mem_inbound, ip_ok),       C(BYTES, mem_inbound, raw),
    C(UUID, mem_inbound, id),
};

/* What core/flow/webhook.h names; nobody counts gaps or traces. */
static const struct mem_column webhook_event[] = {
    C(UUID, mem_event, id),      C(TEXT, mem_event, type), C(TEXT, mem_event, mode),
    C(UUID, mem_event, payment), C(I32, mem_event, seq),   C(TEXT, mem_event, data),
    C(TIME, mem_event, at),
};
static const struct mem_column webhook_payment[] = {
    C(BYTES, mem_payment, pii),
    C(TEXT, mem_payment, callback_url),
};
static const struct mem_column webhook_earlier[] = {C(TEXT, mem_event, type),
                                                    C(TEXT, mem_event, type)};
static const struct mem_column webhook_endpoint[] = {
    C(UUID, mem_endpoint, id),       C(TEXT, mem_endpoint, url),    C(TEXT, mem_endpoint, status),
    C(BYTES, mem_endpoint, secrets), C(TEXT, mem_endpoint, events), C(BOOL, mem_endpoint, ordered),
};

/* When to look again: no endpoint here wants order. */
static const struct mem_column delivery_get[] = {
    C(TEXT, mem_delivery, status),
    C(I32, mem_delivery, revision),
    C(I16, mem_delivery, tries),
    C(UUID, mem_delivery, endpoint),
};
static const struct mem_column delivery_look_again[] = {C(TIME, mem_endpoint, failing_since)};
static const struct mem_column merchant_secret[] = {C(BYTES, mem, webhook_secret)};

static const struct mem_column job_due[] = {
    C(UUID, mem_job, merchant), C(TEXT, mem_job, kind),   C(UUID, mem_job, subject),
    C(I32, mem_job, n),         C(TIME, mem_job, run_at), C(I16, mem_job, tries),
};

static const struct mem_column terms_get[] = {
    C(I32, mem_schedule, version),
    C(TEXT, mem_schedule, text),
    C(TEXT, mem_schedule, limits),
};

struct counted {
    int64_t n;
    bool flag;
};
struct gone {
    int64_t a, b, c, d;
};
static const struct mem_column gone[] = {C(I64, gone, a), C(I64, gone, b), C(I64, gone, c),
                                         C(I64, gone, d)};
static const struct mem_column counted[] = {C(I64, counted, n), C(BOOL, counted, flag)};

void rows_clear(struct rows *r, size_t n)
{
    r->n = n;
    r->n_parts = 0;
    r->used = 0;
}

void rows_part(struct rows *r, const struct mem_column *columns, size_t n_columns, const void *base,
               size_t size, size_t n)
{
    size_t all = (size * n + 15) & ~(size_t)15;
    size_t i = r->n_parts++;
    ASSERT(i < ROWS_PARTS && r->used + all <= ROWS_BYTES);
    r->parts[i].columns = columns;
    r->parts[i].n_columns = n_columns;
    r->parts[i].stride = n > 1 ? size : 0;
    r->parts[i].base = NULL;
    if (base == NULL)
        return;
    r->parts[i].base = memcpy(r->bytes + r->used, base, size * n);
    r->used += all;
}

#define PART(r, columns, base, n) rows_part(r, columns, COUNT_OF(columns), base, sizeof *(base), n)

/* Nobody here has limits on money. */
static const struct counted_in {
    struct str counted;
} counted_in;
static const struct mem_column payment_get_counted[] = {C(BYTES, counted_in, counted)};

static void read_payment(const struct value *v, struct rows *r)
{
    const struct mem_payment *p = mem_payment(v[1].u.uuid);
    if (p == NULL)
        return;
    r->n = p->n_attempts > 0 ? p->n_attempts : 1;
    rows_part(r, payment_get, COUNT_OF(payment_get), p, offsetof(struct mem_payment, attempts), 1);
    PART(r, payment_get_attempt, p->n_attempts > 0 ? p->attempts : NULL, p->n_attempts);
    PART(r, payment_get_counted, &counted_in, 1);
}

static void read_idempotency(const struct value *v, struct rows *r)
{
    const struct mem_idempotency *found = NULL;
    for (size_t i = 0; i < mem.n_idempotency; i++) {
        const struct mem_idempotency *k = &mem.idempotency[i];
        if ((k->slot == v[3].u.i64 || k->slot == v[4].u.i64) && str_eq(k->key, v[2].u.str) &&
            str_eq(k->mode, v[1].u.str) && (found == NULL || k->created_at < found->created_at))
            found = k;
    }
    if (found == NULL)
        return;
    bool looked_into =
        uuid_cmp(v[5].u.uuid, found->payment) <= 0 && uuid_cmp(found->payment, v[6].u.uuid) <= 0;
    const struct mem_payment *p = looked_into ? mem_payment(found->payment) : NULL;
    const struct mem_event *e = looked_into ? mem_event(found->payment, found->seq) : NULL;
    r->n = 1;
    PART(r, idempotency_get, found, 1);
    PART(r, event_data, e, 1);
    rows_part(r, idempotency_get_payment, COUNT_OF(idempotency_get_payment), p,
              offsetof(struct mem_payment, attempts), 1);
}

static void read_reference(const struct value *v, struct rows *r)
{
    for (size_t i = 0; i < mem.n_references; i++) {
        const struct mem_reference *o = &mem.references[i];
        if (!str_eq(o->reference, v[2].u.str) || !str_eq(o->mode, v[1].u.str))
            continue;
        r->n = 1;
        PART(r, reference_get, o, 1);
        rows_part(r, reference_get_payment, COUNT_OF(reference_get_payment),
                  mem_payment(o->payment), offsetof(struct mem_payment, attempts), 1);
        return;
    }
}

static int32_t number_of(struct str digest)
{
    const unsigned char *d = (const unsigned char *)digest.p;
    return (int32_t)(((uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3]) &
                     0x7fffffff);
}

static void read_callback(const struct value *v, struct rows *r)
{
    for (size_t i = 0; i < mem.n_inbound; i++) {
        const struct mem_inbound *in = &mem.inbound[i];
        if (uuid_eq(in->subject, v[1].u.uuid) && number_of(in->dedupe_key) == v[2].u.i64) {
            r->n = 1;
            PART(r, callback_get, in, 1);
            return;
        }
    }
}

static void webhook_parts(struct rows *r, const struct mem_event *e, struct uuid subject)
{
    const struct mem_payout *o = mem_payout(subject);
    PART(r, webhook_event, e, 1);
    if (o != NULL)
        mem_payout_person_part(o, r);
    else
        rows_part(r, webhook_payment, COUNT_OF(webhook_payment), mem_payment(subject),
                  offsetof(struct mem_payment, attempts), 1);
    rows_part(r, merchant_secret, 1, &mem, offsetof(struct mem, n_payments), 1);
    rows_part(r, webhook_earlier, COUNT_OF(webhook_earlier), NULL, 0, 1);
}

static void read_fanout(const struct value *v, struct rows *r)
{
    const struct mem_event *e = mem_event(v[1].u.uuid, (int32_t)v[2].u.i64);
    struct mem_endpoint enabled[1 + MEM_ENDPOINTS] = {0};
    size_t n = 1; /* the event's row says nothing of endpoints */
    if (e == NULL)
        return;
    for (size_t i = 0; i < mem.n_endpoints; i++)
        if (str_eq(mem.endpoints[i].status, STR("enabled")) &&
            str_eq(mem.endpoints[i].mode, e->mode))
            enabled[n++] = mem.endpoints[i];
    r->n = n;
    webhook_parts(r, e, e->payment);
    rows_part(r, webhook_endpoint, COUNT_OF(webhook_endpoint), enabled, sizeof enabled[0], n);
}

static void read_delivery(const struct value *v, struct rows *r)
{
    const struct mem_delivery *d = mem_delivery(v[1].u.uuid);
    if (d == NULL)
        return;
    const struct mem_endpoint *e = NULL;
    for (size_t i = 0; i < mem.n_endpoints; i++)
        if (uuid_eq(mem.endpoints[i].id, d->endpoint))
            e = &mem.endpoints[i];
    r->n = 1;
    webhook_parts(r, mem_event(d->payment, d->seq), d->payment);
    PART(r, webhook_endpoint, e, 1);
    PART(r, delivery_get, d, 1);
    rows_part(r, delivery_look_again, COUNT_OF(delivery_look_again), NULL, 0, 1);
}

static void read_schedule(struct rows *r)
{
    for (size_t i = mem.n_schedules; i-- > 0;)
        if (mem.schedules[i].from <= w.epoch_us + w.now_us) {
            r->n = 1;
            PART(r, terms_get, &mem.schedules[i], 1);
            return;
        }
}

static void read_payment_schedule(const struct value *v, struct rows *r)
{
    const struct mem_payment *p = mem_payment(v[1].u.uuid);
    for (size_t i = 0; i < mem.n_schedules; i++)
        if (p != NULL && mem.schedules[i].version == p->fee_version) {
            r->n = 1;
            PART(r, terms_get, &mem.schedules[i], 1);
        }
}

static void read_jobs(const struct value *v, struct rows *r)
{
    struct mem_job due[64];
    size_t n = 0;
    for (size_t i = 0; i < mem.n_jobs && n < COUNT_OF(due); i++)
        if (mem.jobs[i].run_at <= v[0].u.i64 && mem.jobs[i].lease_until <= v[0].u.i64 &&
            str_find_str(v[2].u.str, mem.jobs[i].kind) != SIZE_MAX)
            due[n++] = mem.jobs[i];
    r->n = n;
    rows_part(r, job_due, COUNT_OF(job_due), due, sizeof due[0], n);
}

void mem_read(enum query query, const struct value *params, struct rows *out)
{
    rows_clear(out, 0);
    switch (query) {
    case Q_payment_get:
        read_payment(params, out);
        break;
    case Q_refund_get:
        mem_read_refund(params, out);
        break;
    case Q_refund_first:
        mem_read_refund_first(params, out);
        break;
    case Q_payout_get:
        mem_read_payout(params, out);
        break;
    case Q_payout_owner:
        mem_read_payout_owner(params, out);
        break;
    case Q_payout_funds:
        mem_read_payout_funds(params, out);
        break;
    case Q_idempotency_get:
        read_idempotency(params, out);
        break;
    case Q_reference_get:
        read_reference(params, out);
        break;
    case Q_callback_get:
        read_callback(params, out);
        break;
    case Q_fanout_get:
        read_fanout(params, out);
        break;
    case Q_delivery_get:
        read_delivery(params, out);
        break;
    case Q_provider_account_open: /* merchants have none of their own */
    case Q_installation_key_list: /* nobody makes a new one */
        break;
    case Q_terms_get:
        read_schedule(out);
        break;
    case Q_payment_schedule:
        read_payment_schedule(params, out);
        break;
    case Q_exception_get:
        mem_read_exception(params, out);
        break;
    case Q_exception_move: /* only whether there is a row is asked */
        if (mem.exception_moved)
            mem_read_exception(params, out);
        break;
    case Q_job_due:
        read_jobs(params, out);
        break;
    case Q_retention:
    case Q_security_drop: /* its row is shorter */
        out->n = 1;
        rows_part(out, gone, COUNT_OF(gone), &(struct gone){0}, sizeof(struct gone), 1);
        break;
    case Q_upkeep:
        out->n = 1;
        rows_part(out, counted, COUNT_OF(counted),
                  &(struct counted){mem.partitioned ? 2 : 0, false}, sizeof(struct counted), 1);
        break;
    case Q_replica_beat:
    case Q_people_upkeep:
        out->n = 1;
        rows_part(out, counted, COUNT_OF(counted), &(struct counted){2, false},
                  sizeof(struct counted), 1);
        break;
    case Q_callback_close:
    case Q_endpoint_disabled:
    case Q_job_later:
    case Q_idempotency_refuse: /* only how many there are is asked */
        out->n = mem.n_refused;
        break;
    case Q_idempotency_claim: /* the same */
        out->n = mem.n_claimed;
        break;
    case Q_idempotency_release:
    case Q_idempotency_drop:
    case Q_idempotency_answer:
        break;
    default:
        sim_violation("a statement that is not simulated: %d", (int)query);
        break;
    }
}

/* ---- store/value.h ---- */

/* Where a value lies; NULL when its row is not there. */
static const void *cell(const struct rows *r, size_t row, int col, const struct mem_column **column)
{
    size_t c = (size_t)col;
    ASSERT(row < r->n && col >= 0);
    for (size_t i = 0; i < r->n_parts; i++) {
        if (c < r->parts[i].n_columns) {
            *column = &r->parts[i].columns[c];
            if (r->parts[i].base == NULL)
                return NULL;
            return r->parts[i].base + row * r->parts[i].stride + (*column)->offset;
        }
        c -= r->parts[i].n_columns;
    }
    ASSERT(false);
    return NULL;
}

size_t rows_n(const struct rows *r)
{
    return r->n;
}

static int64_t integer(const struct mem_column *c, const void *at)
{
    if (c->type == COL_I64 || c->type == COL_TIME)
        return *(const int64_t *)at;
    return c->type == COL_I32 ? *(const int32_t *)at : *(const int16_t *)at;
}

bool rows_null(const struct rows *r, size_t row, int col)
{
    const struct mem_column *c;
    const void *at = cell(r, row, col, &c);
    if (at == NULL)
        return true;
    switch (c->type) {
    case COL_TEXT:
    case COL_JSON:
    case COL_BYTES:
        return ((const struct str *)at)->p == NULL;
    case COL_TIME:
        return *(const int64_t *)at == 0 || *(const int64_t *)at == TIME_NEVER;
    case COL_I64:
    case COL_I32:
    case COL_I16:
        return c->zero_is_null && integer(c, at) == 0;
    default:
        return false;
    }
}

struct uuid rows_uuid(const struct rows *r, size_t row, int col)
{
    const struct mem_column *c;
    const void *at = cell(r, row, col, &c);
    ASSERT(c->type == COL_UUID);
    return at != NULL ? *(const struct uuid *)at : UUID_NIL;
}

struct str rows_str(const struct rows *r, size_t row, int col)
{
    const struct mem_column *c;
    const void *at = cell(r, row, col, &c);
    ASSERT(c->type == COL_TEXT || c->type == COL_JSON || c->type == COL_BYTES);
    return at != NULL ? *(const struct str *)at : STR_NULL;
}

int64_t rows_i64(const struct rows *r, size_t row, int col)
{
    const struct mem_column *c;
    const void *at = cell(r, row, col, &c);
    ASSERT(c->type == COL_I64 || c->type == COL_I32 || c->type == COL_I16);
    return at != NULL ? integer(c, at) : 0;
}

bool rows_bool(const struct rows *r, size_t row, int col)
{
    const struct mem_column *c;
    const void *at = cell(r, row, col, &c);
    ASSERT(c->type == COL_BOOL);
    return at != NULL && *(const bool *)at;
}

int64_t rows_time(const struct rows *r, size_t row, int col)
{
    const struct mem_column *c;
    const void *at = cell(r, row, col, &c);
    ASSERT(c->type == COL_TIME);
    return at != NULL && *(const int64_t *)at != TIME_NEVER ? *(const int64_t *)at : 0;
}

bool rows_read(const struct rows *r, size_t row, int from_col, const struct column *columns,
               size_t n, void *out, struct arena *a)
{
    for (size_t i = 0; i < n; i++) {
        char *field = (char *)out + columns[i].offset;
        int col = from_col + (int)i;
        switch (columns[i].type) {
        case COL_UUID:
        case COL_UUID_OPT:
            *(struct uuid *)(void *)field = rows_uuid(r, row, col);
            break;
        case COL_TEXT:
        case COL_JSON:
        case COL_BYTES: {
            struct str s = rows_str(r, row, col);
            if (s.p != NULL && (s = arena_dup(a, s)).p == NULL)
                return false;
            *(struct str *)(void *)field = s;
            break;
        }
        case COL_I64:
            *(int64_t *)(void *)field = rows_i64(r, row, col);
            break;
        case COL_I32:
            *(int32_t *)(void *)field = (int32_t)rows_i64(r, row, col);
            break;
        case COL_I16:
            *(int16_t *)(void *)field = (int16_t)rows_i64(r, row, col);
            break;
        case COL_BOOL:
            *(bool *)(void *)field = rows_bool(r, row, col);
            break;
        case COL_TIME:
            *(int64_t *)(void *)field = rows_time(r, row, col);
            break;
        }
    }
    return true;
}
