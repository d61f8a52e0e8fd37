/* Payouts between rows and the machine's form. The order of each table is the order of the
 * parameters in sql/query (test/store/rows_test.c compares them). */
#include "store/payout_rows.h"

#include "core/base/times.h"

const struct column payout_insert_columns[PAYOUT_INSERT_COLUMNS] = {
    COLUMN(UUID, payout_insert_row, merchant_id),
    COLUMN(UUID, payout_insert_row, id),
    COLUMN(TEXT, payout_insert_row, mode),
    COLUMN(TEXT, payout_insert_row, status),
    COLUMN(UUID, payout_insert_row, op_id),
    COLUMN(TEXT, payout_insert_row, reference),
    COLUMN(TEXT, payout_insert_row, provider),
    COLUMN(TEXT, payout_insert_row, payment_method),
    COLUMN(UUID, payout_insert_row, account_id),
    COLUMN(I64, payout_insert_row, amount),
    COLUMN(TEXT, payout_insert_row, currency),
    COLUMN(BYTES, payout_insert_row, pii),
    COLUMN(BYTES, payout_insert_row, payee_key),
    COLUMN(TEXT, payout_insert_row, purpose),
    COLUMN(TEXT, payout_insert_row, description),
    COLUMN(TEXT, payout_insert_row, callback_url),
    COLUMN(JSON, payout_insert_row, metadata),
    COLUMN(TEXT, payout_insert_row, requested_by),
    COLUMN(TIME, payout_insert_row, created_at),
    COLUMN(UUID_OPT, payout_insert_row, previous_owner),
    COLUMN(I32, payout_insert_row, previous_version),
    COLUMN(TEXT, payout_insert_row, idem_key),
    COLUMN(I16, payout_insert_row, idem_slot),
    COLUMN(I16, payout_insert_row, idem_slot_b),
    COLUMN(I16, payout_insert_row, idem_look_a),
    COLUMN(I16, payout_insert_row, idem_look_b),
    COLUMN(I32, payout_insert_row, idem_period),
    COLUMN(BYTES, payout_insert_row, idem_fingerprint),
    COLUMN(TIME, payout_insert_row, idem_lease),
    COLUMN(UUID, payout_insert_row, wallet_id),
    COLUMN(I64, payout_insert_row, matured),
    COLUMN(I32, payout_insert_row, wallet_version),
    COLUMN(TIME, payout_insert_row, job_run_at),
    COLUMN(I16, payout_insert_row, job_bucket),
    COLUMN(UUID_OPT, payout_insert_row, job_owner),
    COLUMN(TIME, payout_insert_row, job_lease),
    COLUMN(UUID_OPT, payout_insert_row, audit_a),
    COLUMN(I16, payout_insert_row, journal_steps),
    COLUMN(TEXT, payout_insert_row, traceparent),
    COLUMN(TEXT, payout_insert_row, requester),
};

const struct column payout_update_columns[PAYOUT_UPDATE_COLUMNS] = {
    COLUMN(UUID, payout_update_row, merchant_id),
    COLUMN(UUID, payout_update_row, id),
    COLUMN(TEXT, payout_update_row, mode),
    COLUMN(I32, payout_update_row, revision),
    COLUMN(UUID, payout_update_row, op_id),
    COLUMN(TEXT, payout_update_row, status),
    COLUMN(I32, payout_update_row, version),
    COLUMN(TEXT, payout_update_row, approved_by),
    COLUMN(BOOL, payout_update_row, late),
    COLUMN(TEXT, payout_update_row, failure_code),
    COLUMN(TEXT, payout_update_row, failure_provider_code),
    COLUMN(TEXT, payout_update_row, failure_message),
    COLUMN(TEXT, payout_update_row, provider_ref),
    COLUMN(TEXT, payout_update_row, receipt),
    COLUMN(I16, payout_update_row, n),
    COLUMN(TEXT, payout_update_row, request),
    COLUMN(I16, payout_update_row, paid_n),
    COLUMN(TIME, payout_update_row, sent_at),
    COLUMN(TIME, payout_update_row, answered_at),
    COLUMN(I16, payout_update_row, poll_n),
    COLUMN(I16, payout_update_row, park_n),
    COLUMN(TIME, payout_update_row, next_at),
    COLUMN(TIME, payout_update_row, recon_since),
    COLUMN(TIME, payout_update_row, completed_at),
    COLUMN(TIME, payout_update_row, updated_at),
    COLUMN(UUID, payout_update_row, wallet_id),
    COLUMN(I64, payout_update_row, back),
    COLUMN(TIME, payout_update_row, job_run_at),
    COLUMN(I16, payout_update_row, job_bucket),
    COLUMN(UUID_OPT, payout_update_row, job_owner),
    COLUMN(TIME, payout_update_row, job_lease),
    COLUMN(UUID_OPT, payout_update_row, inbound_subject),
    COLUMN(BYTES, payout_update_row, inbound_key),
    COLUMN(I32, payout_update_row, inbound_n),
    COLUMN(I32, payout_update_row, log_seq),
    COLUMN(UUID_OPT, payout_update_row, audit_a),
    COLUMN(UUID_OPT, payout_update_row, journal_id),
    COLUMN(I16, payout_update_row, journal_steps),
};

/* What payout_get selects. */
struct stored_payout {
    struct uuid merchant_id;
    struct uuid id;
    struct str mode;
    struct str status;
    int32_t version;
    int32_t revision;
    struct uuid op_id;
    struct str reference;
    struct str provider;
    struct str payment_method;
    struct uuid account_id;
    int64_t amount;
    struct str currency;
    struct str pii;
    struct str purpose;
    struct str description;
    struct str callback_url;
    struct str metadata;
    struct str requested_by;
    struct str approved_by;
    struct uuid wallet_id;
    bool late;
    struct str failure_code;
    struct str failure_provider_code;
    struct str failure_message;
    struct str provider_ref;
    struct str receipt;
    int16_t n;
    struct str request;
    int16_t paid_n;
    int64_t sent_at;
    int64_t answered_at;
    int16_t poll_n;
    int16_t park_n;
    int64_t next_at;
    int64_t recon_since;
    int64_t created_at;
    int64_t updated_at;
    int64_t completed_at;
    struct str traceparent;
    struct str requester;
};

static const struct column stored_payout_columns[] = {
    COLUMN(UUID, stored_payout, merchant_id),
    COLUMN(UUID, stored_payout, id),
    COLUMN(TEXT, stored_payout, mode),
    COLUMN(TEXT, stored_payout, status),
    COLUMN(I32, stored_payout, version),
    COLUMN(I32, stored_payout, revision),
    COLUMN(UUID, stored_payout, op_id),
    COLUMN(TEXT, stored_payout, reference),
    COLUMN(TEXT, stored_payout, provider),
    COLUMN(TEXT, stored_payout, payment_method),
    COLUMN(UUID, stored_payout, account_id),
    COLUMN(I64, stored_payout, amount),
    COLUMN(TEXT, stored_payout, currency),
    COLUMN(BYTES, stored_payout, pii),
    COLUMN(TEXT, stored_payout, purpose),
    COLUMN(TEXT, stored_payout, description),
    COLUMN(TEXT, stored_payout, callback_url),
    COLUMN(JSON, stored_payout, metadata),
    COLUMN(TEXT, stored_payout, requested_by),
    COLUMN(TEXT, stored_payout, approved_by),
    COLUMN(UUID, stored_payout, wallet_id),
    COLUMN(BOOL, stored_payout, late),
    COLUMN(TEXT, stored_payout, failure_code),
    COLUMN(TEXT, stored_payout, failure_provider_code),
    COLUMN(TEXT, stored_payout, failure_message),
    COLUMN(TEXT, stored_payout, provider_ref),
    COLUMN(TEXT, stored_payout, receipt),
    COLUMN(I16, stored_payout, n),
    COLUMN(TEXT, stored_payout, request),
    COLUMN(I16, stored_payout, paid_n),
    COLUMN(TIME, stored_payout, sent_at),
    COLUMN(TIME, stored_payout, answered_at),
    COLUMN(I16, stored_payout, poll_n),
    COLUMN(I16, stored_payout, park_n),
    COLUMN(TIME, stored_payout, next_at),
    COLUMN(TIME, stored_payout, recon_since),
    COLUMN(TIME, stored_payout, created_at),
    COLUMN(TIME, stored_payout, updated_at),
    COLUMN(TIME, stored_payout, completed_at),
    COLUMN(TEXT, stored_payout, traceparent),
    COLUMN(TEXT, stored_payout, requester),
};

static struct err payout_of(const struct stored_payout *s, struct payout *p)
{
    *p = (struct payout){
        .version = s->version,
        .amount = {s->amount, currency_parse(s->currency)},
        .late = s->late,
        .failure = failure_parse(s->failure_code),
        .n = s->n,
        .paid_n = s->paid_n,
        .sent_at_us = s->sent_at,
        .answered_at_us = s->answered_at,
        .poll_n = s->poll_n,
        .park_n = s->park_n,
        .next_at_us = s->next_at != 0 ? s->next_at : TIME_NEVER,
        .created_at_us = s->created_at,
        .updated_at_us = s->updated_at,
        .completed_at_us = s->completed_at,
        .recon_since_us = s->recon_since,
    };
    if (!payout_status_parse(s->status, &p->status) ||
        !payout_request_parse(s->request, &p->request) || p->amount.currency == 0)
        return ERR(INTERNAL, "stored payout not understood");
    str_copy_c(p->failure_provider_code, sizeof p->failure_provider_code, s->failure_provider_code);
    str_copy_c(p->failure_message, sizeof p->failure_message, s->failure_message);
    str_copy_c(p->receipt, sizeof p->receipt, s->receipt);
    str_copy_c(p->provider_ref, sizeof p->provider_ref, s->provider_ref);
    return ERR_OK;
}

struct err payout_record_read(const struct rows *r, size_t row, struct arena *a,
                              struct payout_record *out)
{
    struct stored_payout s;
    if (row >= rows_n(r))
        return ERR(NOT_FOUND, "payout");
    if (!rows_read(r, row, 0, stored_payout_columns, COUNT_OF(stored_payout_columns), &s, a))
        return ERR(LIMIT, "arena");
    *out = (struct payout_record){
        .merchant = s.merchant_id,
        .id = s.id,
        .op_id = s.op_id,
        .account_id = s.account_id,
        .wallet_id = s.wallet_id,
        .live = str_eq(s.mode, STR("live")),
        .revision = s.revision,
        .reference = s.reference,
        .provider = s.provider,
        .method = s.payment_method,
        .pii = s.pii,
        .purpose = s.purpose,
        .description = s.description,
        .callback_url = s.callback_url,
        .metadata = s.metadata,
        .requested_by = s.requested_by,
        .approved_by = s.approved_by,
        .requester = s.requester,
        .trace = s.traceparent,
    };
    return payout_of(&s, &out->p);
}

void payout_insert_fill(const struct payout_record *rec, struct payout_insert_row *out)
{
    *out = (struct payout_insert_row){
        .merchant_id = rec->merchant,
        .id = rec->id,
        .mode = mode_word(rec->live),
        .status = str_c(payout_status_word(rec->p.status)),
        .op_id = rec->op_id,
        .reference = rec->reference,
        .provider = rec->provider,
        .payment_method = rec->method,
        .account_id = rec->account_id,
        .amount = rec->p.amount.minor,
        .currency = currency_str(rec->p.amount.currency),
        .pii = rec->pii,
        .purpose = rec->purpose,
        .description = rec->description,
        .callback_url = rec->callback_url,
        .metadata = rec->metadata,
        .requested_by = rec->requested_by,
        .requester = rec->requester,
        .traceparent = rec->trace,
        .created_at = rec->p.created_at_us,
        .idem_slot = -1,
        .idem_slot_b = -1,
        .idem_look_a = -1,
        .idem_look_b = -1,
        .wallet_id = rec->wallet_id,
        .job_bucket = job_bucket(rec->id),
    };
}

void payout_update_fill(const struct payout_record *rec, struct payout_update_row *out)
{
    const struct payout *p = &rec->p;
    *out = (struct payout_update_row){
        .merchant_id = rec->merchant,
        .id = rec->id,
        .mode = mode_word(rec->live),
        .revision = rec->revision,
        .op_id = rec->op_id,
        .status = str_c(payout_status_word(p->status)),
        .version = p->version,
        .approved_by = rec->approved_by,
        .late = p->late,
        .failure_code = p->failure != FAILURE_NONE ? str_c(failure_word(p->failure)) : STR_NULL,
        .failure_provider_code = str_c_opt(p->failure_provider_code),
        .failure_message = str_c_opt(p->failure_message),
        .provider_ref = str_c_opt(p->provider_ref),
        .receipt = str_c_opt(p->receipt),
        .n = (int16_t)p->n,
        .request = str_c(payout_request_word(p->request)),
        .paid_n = (int16_t)p->paid_n,
        .sent_at = p->sent_at_us,
        .answered_at = p->answered_at_us,
        .poll_n = (int16_t)p->poll_n,
        .park_n = (int16_t)p->park_n,
        .next_at = p->next_at_us,
        .recon_since = p->recon_since_us,
        .completed_at = p->completed_at_us,
        .updated_at = p->updated_at_us,
        .wallet_id = rec->wallet_id,
        .job_bucket = job_bucket(rec->id),
    };
}
