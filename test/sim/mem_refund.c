/* Refunds as payment_move.sql writes them and refund_get.sql reads them. */
#include "core/base/times.h"
#include "test/sim/heap.h"
#include "test/sim/mem_int.h"
#include "test/sim/world.h"

struct mem_refund *mem_refund(struct uuid id)
{
    for (size_t i = 0; i < mem.n_refunds; i++)
        if (uuid_eq(mem.refunds[i].id, id))
            return &mem.refunds[i];
    return NULL;
}

/* ---- payment_move.sql: refunds, refund_owners, refund_attempts ---- */

static struct err refund_check(const struct mem_refund *before, const struct refund_row *row)
{
    enum refund_status from, to;
    if (!refund_status_parse(row->status, &to) || row->amount <= 0 || row->requested_by.p == NULL ||
        row->requester.p == NULL)
        return mem_refuse("refund");
    if (before == NULL)
        return row->is_new ? ERR_OK : mem_refuse("a refund that is not new is not there");
    if (row->is_new)
        return mem_refuse("two refunds of one id");
    if (!refund_status_parse(before->status, &from))
        return mem_refuse("refund status");
    if (from != to && !refund_may_move(from, to))
        sim_violation("a refund moves from %s to %s", refund_status_word(from),
                      refund_status_word(to));
    if (row->amount != before->amount || !uuid_eq(row->payment_id, before->payment))
        sim_violation("a refund is written over another one");
    return ERR_OK;
}

static struct err refund_store(const struct refund_row *row)
{
    struct mem_refund *r = mem_refund(row->id);
    TRY(refund_check(r, row));
    if (r == NULL) {
        r = ROW_NEW(mem.refunds, mem.n_refunds, MEM_REFUNDS);
        *r = (struct mem_refund){
            .merchant = row->merchant_id,
            .id = row->id,
            .payment = row->payment_id,
            .account_id = row->account_id,
            .mode = row->mode,
            .currency = world_dup(row->currency),
            .amount = row->amount,
            .reason = world_dup(row->reason),
            .requested_by = world_dup(row->requested_by),
            .requester = world_dup(row->requester),
            .trace = world_dup(row->traceparent),
            .created_at = row->created_at,
        };
    }
    r->status = row->status;
    r->version = row->version;
    r->approved_by = world_dup(row->approved_by);
    r->late = row->late;
    r->excess = row->excess;
    r->failure_code = row->failure_code;
    r->failure_provider_code = world_dup(row->failure_provider_code);
    r->failure_message = world_dup(row->failure_message);
    r->provider_ref = world_dup(row->provider_ref);
    r->receipt = world_dup(row->receipt);
    r->recon_since = row->recon_since;
    r->park_n = row->park_n;
    r->updated_at = row->updated_at;
    r->completed_at = row->completed_at;
    return ERR_OK;
}

static struct err rail_store(const struct refund_attempt_row *row)
{
    struct mem_refund *r = mem_refund(row->refund_id);
    struct mem_rail *at = NULL;
    enum rail_status from, to;
    if (r == NULL || !rail_status_parse(row->status, &to))
        return mem_refuse("refund attempt");
    for (size_t i = 0; i < r->n_rails; i++)
        if (r->rails[i].n == row->n)
            at = &r->rails[i];
    if (at == NULL) {
        ASSERT(r->n_rails < REFUND_MAX_ATTEMPTS);
        at = &r->rails[r->n_rails++];
        *at = (struct mem_rail){.n = row->n, .rail = row->rail};
    } else if (!rail_status_parse(at->status, &from) || (from != to && !rail_may_move(from, to))) {
        sim_violation("an attempt to refund moves from %.*s to %s", STR_ARG(at->status),
                      rail_status_word(to));
    }
    at->status = row->status;
    at->provider_ref = world_dup(row->provider_ref);
    at->receipt = world_dup(row->receipt);
    at->provider_code = world_dup(row->provider_code);
    at->code = row->code;
    at->sent_at = row->sent_at;
    at->answered_at = row->answered_at;
    at->poll_n = row->poll_n;
    at->next_poll_at = mem_is_timed(row->next_poll_at) ? row->next_poll_at : 0;
    return ERR_OK;
}

struct err mem_refund_write(const struct move_unit *u)
{
    for (size_t i = 0; i < u->n_refunds; i++) {
        TRY(refund_store(&u->refunds[i]));
        sim_trace_str(u->refunds[i].status);
    }
    for (size_t i = 0; i < u->n_refund_attempts; i++)
        TRY(rail_store(&u->refund_attempts[i]));
    return ERR_OK;
}

/* ---- refund_get.sql ---- */

#define C(type_, struct_, member)                            \
    {                                                        \
        COL_##type_, false, offsetof(struct struct_, member) \
    }

static const struct mem_column refund_get[] = {
    C(UUID, mem_refund, merchant),
    C(UUID, mem_refund, id),
    C(UUID, mem_refund, payment),
    C(UUID, mem_refund, account_id),
    C(TEXT, mem_refund, mode),
    C(TEXT, mem_refund, status),
    C(I32, mem_refund, version),
    C(I64, mem_refund, amount),
    C(TEXT, mem_refund, currency),
    C(TEXT, mem_refund, reason),
    C(TEXT, mem_refund, requested_by),
    C(TEXT, mem_refund, approved_by),
    C(BOOL, mem_refund, late),
    C(BOOL, mem_refund, excess),
    C(TEXT, mem_refund, failure_code),
    C(TEXT, mem_refund, failure_provider_code),
    C(TEXT, mem_refund, failure_message),
    C(TEXT, mem_refund, provider_ref),
    C(TEXT, mem_refund, receipt),
    C(TIME, mem_refund, recon_since),
    C(I16, mem_refund, park_n),
    C(TIME, mem_refund, created_at),
    C(TIME, mem_refund, updated_at),
    C(TIME, mem_refund, completed_at),
    C(TEXT, mem_refund, trace),
    C(TEXT, mem_refund, requester),
};

static const struct mem_column refund_get_attempt[] = {
    {COL_I16, true, offsetof(struct mem_rail, n)},
    C(TEXT, mem_rail, rail),
    C(TEXT, mem_rail, status),
    C(TEXT, mem_rail, provider_ref),
    C(TEXT, mem_rail, receipt),
    C(TEXT, mem_rail, provider_code),
    C(TEXT, mem_rail, code),
    C(TIME, mem_rail, sent_at),
    C(TIME, mem_rail, answered_at),
    C(I16, mem_rail, poll_n),
    C(TIME, mem_rail, next_poll_at),
};

/* The flows ask for one refund by its id. */
void mem_read_refund(const struct value *params, struct rows *out)
{
    const struct mem_refund *r = mem_refund(params[2].u.uuid);
    if (r == NULL)
        return;
    out->n = r->n_rails > 0 ? r->n_rails : 1;
    rows_part(out, refund_get, COUNT_OF(refund_get), r, offsetof(struct mem_refund, rails), 1);
    rows_part(out, refund_get_attempt, COUNT_OF(refund_get_attempt),
              r->n_rails > 0 ? r->rails : NULL, sizeof r->rails[0], r->n_rails);
}

/* refund_first.sql */
void mem_read_refund_first(const struct value *params, struct rows *out)
{
    static const struct mem_column columns[] = {
        C(TEXT, mem_event, data),
        C(TIME, mem_event, at),
    };
    const struct mem_event *first = NULL;
    for (size_t i = 0; i < mem.n_events; i++) {
        const struct mem_event *e = &mem.events[i];
        struct str id = str_from(e->data, sizeof "{\"id\":\"" - 1);
        if (uuid_eq(e->payment, params[1].u.uuid) && str_eq(e->type, STR("refund.pending")) &&
            str_starts(id, params[2].u.str) && (first == NULL || e->seq < first->seq))
            first = e;
    }
    if (first == NULL)
        return;
    static const struct mem_column now[] = {C(TEXT, mem_refund, status)};
    struct uuid id = UUID_NIL;
    if (!uuid_parse(params[2].u.str, &id))
        return;
    out->n = 1;
    rows_part(out, columns, COUNT_OF(columns), first, sizeof *first, 1);
    rows_part(out, now, COUNT_OF(now), mem_refund(id), 0, 1);
}
