/* The operators' queue: what moves and callbacks put into it, exception_get.sql,
 * exception_move.sql, and how a move ends an item. */
#include "test/sim/heap.h"
#include "test/sim/mem_int.h"
#include "test/sim/world.h"

static struct mem_exception *find(struct uuid id)
{
    for (size_t i = 0; i < mem.n_exceptions; i++)
        if (uuid_eq(mem.exceptions[i].id, id))
            return &mem.exceptions[i];
    return NULL;
}

struct err mem_exception_add(const struct exception_row *row)
{
    static const char *const kinds[] = {
        "integrity_failure", "double_success", "double_refund", "stuck",       "sig_forged",
        "receipt_taken",     "callback_dead",  "refund_manual", "refund_late", "refund_revoked",
        "reversed",          "payout_late",    "double_payout"};
    struct str kind = STR_NULL;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_eq(row->kind, str_c(kinds[i])))
            kind = str_c(kinds[i]);
    if (kind.p == NULL || row->amount < 0)
        return mem_refuse("exception_item");
    if (find(row->id) != NULL)
        return mem_refuse("two exceptions of one id");
    *ROW_NEW(mem.exceptions, mem.n_exceptions, MEM_EXCEPTIONS) = (struct mem_exception){
        .id = row->id,
        .subject = row->subject_id,
        .mode = world_dup(row->mode),
        .kind = kind,
        .detail = world_dup(row->detail),
        .status = STR("open"),
        .currency = world_dup(row->currency),
        .attempt = row->attempt_n,
        .version = 1,
        .amount = row->amount,
        .created_at = row->at,
        .updated_at = row->at,
    };
    return ERR_OK;
}

/* ---- what a move does to it ---- */

bool mem_resolvable(const struct resolution_row *y)
{
    const struct mem_exception *x = find(y->item_id);
    return uuid_is_nil(y->item_id) || (x != NULL && str_eq(x->status, STR("assigned")));
}

void mem_resolve(const struct resolution_row *y)
{
    for (size_t i = 0; i < mem.n_exceptions; i++) {
        struct mem_exception *x = &mem.exceptions[i];
        bool waits = str_eq(x->kind, STR("stuck")) || str_eq(x->kind, STR("refund_manual"));
        bool meant = uuid_is_nil(y->item_id) ? waits : uuid_eq(x->id, y->item_id);
        if (!meant || !uuid_eq(x->subject, y->subject_id) || str_eq(x->status, STR("resolved")))
            continue;
        x->status = STR("resolved");
        x->resolution = world_dup(y->resolution);
        x->evidence = world_dup(y->evidence);
        x->resolved_by = world_dup(y->resolved_by);
        x->updated_at = y->at;
        x->version++;
    }
}

/* ---- statements ---- */

enum {
    P_ID = 1,
    P_VERSION,
    P_STATUS,
    P_RESOLUTION,
    P_EVIDENCE,
    P_RECEIPT,
    P_BY,
    P_ENDED_BY,
    P_PROPOSER = 12
};

void mem_move_exception(const struct value *v)
{
    struct mem_exception *x = find(v[P_ID].u.uuid);
    mem.exception_moved =
        x != NULL && x->version == v[P_VERSION].u.i64 && !str_eq(x->status, STR("resolved"));
    if (!mem.exception_moved)
        return;
    x->status = v[P_STATUS].u.str; /* texts of a statement live as long as the world */
    x->resolution = v[P_RESOLUTION].u.str;
    x->evidence = v[P_EVIDENCE].u.str;
    x->receipt = v[P_RECEIPT].u.str;
    x->proposed_by = v[P_BY].u.str;
    x->proposer = v[P_PROPOSER].u.str;
    x->resolved_by = v[P_ENDED_BY].u.str;
    x->version++;
}

#define C(type_, member)                                           \
    {                                                              \
        COL_##type_, false, offsetof(struct mem_exception, member) \
    }

static const struct mem_column exception_get[] = {
    C(UUID, id),
    C(TEXT, kind),
    C(UUID, subject),
    C(TEXT, detail),
    C(TEXT, status),
    C(TEXT, resolution),
    C(TEXT, evidence),
    C(TEXT, resolved_by),
    C(TIME, created_at),
    C(TIME, updated_at),
    {COL_I16, true, offsetof(struct mem_exception, attempt)},
    {COL_I64, true, offsetof(struct mem_exception, amount)},
    C(TEXT, currency),
    C(TEXT, receipt),
    C(TEXT, proposed_by),
    C(TEXT, mode),
    C(I32, version),
    C(BYTES, payer),
    C(TEXT, data),
    C(TEXT, proposer),
};

void mem_read_exception(const struct value *v, struct rows *out)
{
    const struct mem_exception *x = find(v[P_ID].u.uuid);
    if (x == NULL)
        return;
    out->n = 1;
    rows_part(out, exception_get, COUNT_OF(exception_get), x, sizeof *x, 1);
}
