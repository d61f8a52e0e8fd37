#ifndef RELI_STORE_PAYOUT_ROWS_H
#define RELI_STORE_PAYOUT_ROWS_H

#include "core/domain/payout.h"
#include "store/rows.h"

/* Payouts as the array statements of sql/query take them, and as they are stored; see rows.h. */

/* A new payout, with its idempotency record, its hold and its first job. */
struct payout_insert_row {
    struct uuid merchant_id;
    struct uuid id;
    struct str mode;
    struct str status;
    struct uuid op_id;
    struct str reference;
    struct str provider;
    struct str payment_method;
    struct uuid account_id;
    int64_t amount;
    struct str currency;
    struct str pii;
    struct str payee_key;
    struct str purpose;
    struct str description;
    struct str callback_url;
    struct str metadata;
    struct str requested_by;
    int64_t created_at;
    struct uuid previous_owner;
    int32_t previous_version;
    struct str idem_key;
    int16_t idem_slot;
    int16_t idem_slot_b;
    int16_t idem_look_a;
    int16_t idem_look_b;
    int32_t idem_period;
    struct str idem_fingerprint;
    int64_t idem_lease;
    struct uuid wallet_id;
    int64_t matured;
    int32_t wallet_version;
    int64_t job_run_at;
    int16_t job_bucket;
    struct uuid job_owner;
    int64_t job_lease;
    struct uuid audit_a;
    int16_t journal_steps;
    struct str traceparent;
    struct str requester;
};

/* What a move changes of a payout, of the account of its hold, of its job, and of the callback that
 * caused it. */
struct payout_update_row {
    struct uuid merchant_id;
    struct uuid id;
    struct str mode;
    int32_t revision;
    struct uuid op_id;
    struct str status;
    int32_t version;
    struct str approved_by;
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
    int64_t completed_at;
    int64_t updated_at;
    struct uuid wallet_id;
    int64_t back;
    int64_t job_run_at;
    int16_t job_bucket;
    struct uuid job_owner;
    int64_t job_lease;
    struct uuid inbound_subject;
    struct str inbound_key;
    int32_t inbound_n;
    int32_t log_seq;
    struct uuid audit_a;
    struct uuid journal_id;
    int16_t journal_steps;
};

enum { PAYOUT_INSERT_COLUMNS = 40, PAYOUT_UPDATE_COLUMNS = 38 };

extern const struct column payout_insert_columns[PAYOUT_INSERT_COLUMNS],
    payout_update_columns[PAYOUT_UPDATE_COLUMNS];

/* A payout as it is stored: the machine's part, and what only the flows look at. Strings live in
 * the arena of whoever loaded or made it. */
struct payout_record {
    struct uuid merchant, id, op_id, account_id;
    struct uuid wallet_id; /* the guarded account that the hold is on */
    bool live;
    int32_t revision;
    struct str reference, provider, method;
    struct str pii; /* sealed */
    struct str purpose, description, callback_url, metadata;
    struct str requested_by, approved_by;
    struct str requester; /* the person behind requested_by */
    struct str trace;     /* traceparent of the request that made it; absent without */
    struct payout p;
};

/* Reads one row of payout_get or payout_list. ERR_NOT_FOUND without it; ERR_INTERNAL for a row that
 * this program cannot mean, ERR_LIMIT beyond the arena's cap. */
struct err payout_record_read(const struct rows *r, size_t row, struct arena *a,
                              struct payout_record *out) MUST_USE;
/* The rows of a payout, with what the caller still has to add left zero. Texts are borrowed from
 * `rec`. */
void payout_insert_fill(const struct payout_record *rec, struct payout_insert_row *out);
void payout_update_fill(const struct payout_record *rec, struct payout_update_row *out);

#endif
