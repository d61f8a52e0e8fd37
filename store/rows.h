#ifndef RELI_STORE_ROWS_H
#define RELI_STORE_ROWS_H

#include "core/domain/payment.h"
#include "core/domain/refund.h"
#include "store/value.h"

/* Rows as the array statements of sql/query take them: one member per column, in the statement's
 * order. Texts that are NULL have p == NULL. */

/* A new payment, with its idempotency record and its first job. */
struct payment_insert_row {
    struct uuid merchant_id;
    struct uuid id;
    struct str mode;
    struct str status;
    int32_t version;
    struct uuid op_id;
    struct str reference;
    struct str reference_no;
    struct str pay_code;
    struct str provider;
    struct str payment_method;
    struct uuid account_id;
    int64_t amount;
    struct str currency;
    struct str customer_id;
    struct str pii;
    struct str description;
    struct str return_url;
    struct str callback_url;
    struct str metadata;
    struct str next_action;
    struct str failure_code;
    struct str failure_message;
    struct str status_source;
    int64_t created_at;
    int64_t expires_at;
    struct uuid previous_owner;
    struct str idem_key;
    int16_t idem_slot;
    int16_t idem_slot_b;
    int16_t idem_look_a;
    int16_t idem_look_b;
    int32_t idem_period;
    bool idem_held;
    struct str idem_fingerprint;
    int64_t idem_lease;
    int16_t idem_http;
    int32_t idem_seq;
    int64_t job_run_at;
    int16_t job_bucket;
    struct uuid job_owner;
    int64_t job_lease;
    struct uuid audit_a;
    struct uuid audit_b;
    int64_t fee_due;
    int32_t fee_version;
    bool fee_on_top;
    struct uuid customer_row; /* the id of its customer, if that is a new one */
    struct str customer_key;  /* null: nobody is named */
    struct str handle_a;
    struct str handle_b;
    struct str counted; /* as in payment_record */
    struct str traceparent;
};

/* What a move changes of a payment, its job, its idempotency record and the callback that caused
 * it. */
struct payment_update_row {
    struct uuid merchant_id;
    struct uuid id;
    struct str mode;
    int32_t revision;
    struct uuid op_id;
    struct str status;
    int32_t version;
    int64_t received;
    struct str status_source;
    bool late;
    struct str failure_code;
    struct str failure_provider_code;
    struct str failure_message;
    struct str provider;
    struct str provider_ref;
    struct str receipt;
    struct str receipt_claim;
    struct str next_action;
    int64_t recon_since;
    int64_t completed_at;
    int64_t updated_at;
    int64_t job_run_at;
    int16_t job_bucket;
    struct uuid job_owner;
    int64_t job_lease;
    struct str idem_key;
    int16_t idem_slot;
    int16_t idem_slot_b;
    int16_t idem_http;
    int32_t idem_seq;
    struct str idem_provider_ref;
    struct uuid inbound_subject;
    struct str inbound_key;
    int32_t inbound_n;
    struct str inbound_state;
    struct str inbound_reason;
    int32_t log_seq; /* of the move's event, 0 none */
    struct uuid audit_a;
    struct uuid journal_id; /* of its transfers, nil none */
    int16_t journal_steps;
    int64_t refunded;
    int64_t reserved;
    int64_t fee;
    struct str job_kind; /* whose deadline the job is: the payment's or a refund's */
    struct uuid job_subject;
    struct uuid idem_subject;    /* what the key's record names: payment or refund */
    struct str idem_fingerprint; /* a new record; null: the key is held already */
    int16_t idem_look_a;
    int16_t idem_look_b;
    int32_t idem_period;
    int64_t idem_lease;
    struct uuid account_id;
    struct str claim_provider; /* whose receipt receipt_claim is */
    struct uuid audit_b;
    int64_t fee_due;
};

/* An attempt, inserted or brought up to date. */
struct attempt_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    int16_t n;
    struct str mode;
    struct str status;
    struct str provider;
    struct uuid account_id;
    int64_t amount;
    struct str currency;
    struct str provider_ref;
    struct str receipt;
    struct str provider_code;
    struct str code;
    int64_t sent_at;
    int64_t answered_at;
    int16_t poll_n;
    int64_t next_poll_at;
    int64_t at;
    struct str route;
    int16_t codes_n;
    bool cancel_asked;
};

/* A public event; bucket, owner and lease are of its fan-out job. */
struct event_row {
    struct uuid merchant_id;
    struct uuid subject_id;
    int32_t seq;
    struct uuid id;
    struct str mode;
    struct str type;
    struct str data;
    int64_t at;
    int16_t bucket;
    struct uuid owner;
    int64_t lease;
};

struct audit_row {
    struct uuid merchant_id;
    struct uuid subject_id;
    struct uuid id;
    struct str mode;
    struct str action;
    struct str actor;
    struct str before;
    struct str after;
    struct str detail;
    int64_t at;
};

struct account_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    struct uuid id;
    struct str mode;
    struct str type;
    struct str owner;
    struct str currency;
    int64_t at;
};

struct transfer_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    struct uuid journal_id;
    int16_t step;
    struct str mode;
    struct str kind;
    struct uuid debit_id;
    struct uuid credit_id;
    int64_t amount;
    struct str currency;
    int64_t at;
};

/* Something for the operators. */
struct exception_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    struct uuid id;
    struct uuid subject_id; /* payment or refund */
    int16_t attempt_n;      /* of the subject, 0 none */
    struct str mode;
    struct str kind;
    struct str detail;
    int64_t amount; /* in `unallocated`, 0 none */
    struct str currency;
    int64_t at;
};

/* Ends the item, or whatever of a subject waited for the outcome that is now known. */
struct resolution_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    struct uuid subject_id;
    struct uuid item_id; /* nil: all of the subject that are stuck */
    struct str resolution;
    struct str evidence;
    struct str resolved_by;
    int64_t at;
};

/* A provider call; body is sealed. */
struct call_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    struct uuid id;
    struct str mode;
    int16_t attempt_n;
    struct str op;
    int32_t http_status;
    int64_t took_us;
    struct str outcome;
    struct str body;
    int64_t at;
};

/* A callback as it came; raw is sealed. */
struct inbound_row {
    struct uuid merchant_id;
    struct uuid subject_id;
    struct str dedupe_key;
    struct uuid id;
    struct str mode;
    struct str provider;
    struct uuid payment_id;
    int16_t attempt_n;
    struct str kind;
    struct str peer;
    bool ip_ok;
    struct str raw;
    int64_t at;
    int32_t job_n;
    int16_t job_bucket;
    struct uuid job_owner;
    int64_t job_lease;
};

struct delivery_row {
    struct uuid merchant_id;
    struct uuid id;
    struct str mode;
    struct uuid payment_id;
    int32_t seq;
    struct uuid event_id;
    struct str event_type;
    struct uuid endpoint_id;
    int16_t n;
    int64_t at;
    int16_t job_bucket;
    struct uuid job_owner;
    int64_t job_lease;
};

/* A refund, inserted or brought up to date. */
struct refund_row {
    struct uuid merchant_id;
    struct uuid id;
    struct uuid payment_id;
    struct str mode;
    struct str status;
    int32_t version;
    int64_t amount;
    struct str currency;
    struct str reason;
    struct str requested_by;
    struct str approved_by;
    struct uuid account_id;
    bool late;
    bool excess;
    struct str failure_code;
    struct str failure_provider_code;
    struct str failure_message;
    struct str provider_ref;
    struct str receipt;
    int64_t recon_since;
    int16_t park_n;
    int64_t created_at;
    int64_t updated_at;
    int64_t completed_at;
    bool is_new;
    struct str traceparent;
    struct str requester;
};

struct refund_attempt_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    struct uuid refund_id;
    int16_t n;
    struct str mode;
    struct str rail;
    struct str status;
    struct str provider_ref;
    struct str receipt;
    struct str provider_code;
    struct str code;
    int64_t sent_at;
    int64_t answered_at;
    int16_t poll_n;
    int64_t next_poll_at;
    int64_t at;
};

/* An event whose fan-out is done. */
struct fanout_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    int32_t seq;
};

struct delivery_update_row {
    struct uuid merchant_id;
    struct uuid id;
    int32_t revision;
    struct str status;
    int16_t tries;
    int64_t next_at;
    int32_t last_http;
    struct str last_error;
    int64_t last_took_us;
    int64_t at;
    int16_t job_bucket;
    struct uuid job_owner;
    int64_t job_lease;
    struct uuid endpoint_id;
    struct str endpoint_state;
    struct str answer; /* sealed */
};

/* A counter of a limit on money, locked for the batch and then moved: what a payment takes of it
 * when it is created, or gives back when it ends without money. */
struct limit_row {
    struct uuid merchant_id;
    struct uuid payment_id;
    int16_t pos;      /* among the payment's, from 1 */
    struct uuid id;   /* of the counter; nil: the payment is beyond a limit by itself */
    struct str about; /* for people */
    int64_t amount;   /* and n: less than 0 to give back */
    int64_t n;
    int64_t max_amount; /* and max_count: what a new payment is compared with */
    int64_t max_count;
};

struct lease_row {
    struct uuid merchant_id;
    struct str kind;
    struct uuid subject;
    int32_t n;
    struct uuid owner;
    int64_t until;
    int64_t now;
};

/* How many columns each has. */
enum {
    PAYMENT_INSERT_COLUMNS = 53,
    PAYMENT_UPDATE_COLUMNS = 55,
    ATTEMPT_COLUMNS = 21,
    EVENT_COLUMNS = 11,
    AUDIT_COLUMNS = 10,
    ACCOUNT_COLUMNS = 8,
    TRANSFER_COLUMNS = 11,
    EXCEPTION_COLUMNS = 11,
    RESOLUTION_COLUMNS = 8,
    CALL_COLUMNS = 11,
    INBOUND_COLUMNS = 17,
    DELIVERY_COLUMNS = 13,
    REFUND_COLUMNS = 27,
    REFUND_ATTEMPT_COLUMNS = 16,
    FANOUT_COLUMNS = 3,
    LIMIT_COLUMNS = 9,
    DELIVERY_UPDATE_COLUMNS = 16,
    LEASE_COLUMNS = 7,
};

extern const struct column payment_insert_columns[PAYMENT_INSERT_COLUMNS],
    payment_update_columns[PAYMENT_UPDATE_COLUMNS], attempt_columns[ATTEMPT_COLUMNS],
    event_columns[EVENT_COLUMNS], audit_columns[AUDIT_COLUMNS], account_columns[ACCOUNT_COLUMNS],
    transfer_columns[TRANSFER_COLUMNS], exception_columns[EXCEPTION_COLUMNS],
    resolution_columns[RESOLUTION_COLUMNS], call_columns[CALL_COLUMNS],
    inbound_columns[INBOUND_COLUMNS], delivery_columns[DELIVERY_COLUMNS],
    refund_columns[REFUND_COLUMNS], refund_attempt_columns[REFUND_ATTEMPT_COLUMNS],
    fanout_columns[FANOUT_COLUMNS], delivery_update_columns[DELIVERY_UPDATE_COLUMNS],
    lease_columns[LEASE_COLUMNS], limit_columns[LIMIT_COLUMNS];

/* Where an attempt went. */
struct attempt_place {
    struct str provider;
    struct uuid account_id;
    struct str route; /* how the provider was chosen, JSON; p == NULL: the client named it */
};

/* A payment as it is stored: the machine's part, and what only the flows look at. Strings live in
 * the arena of whoever loaded or made it. */
struct payment_record {
    struct uuid merchant, id, op_id;
    struct uuid account_id; /* with provider: of the attempt that counts, before that the latest */
    bool live;
    int32_t revision;
    struct str reference, reference_no, pay_code, provider, method;
    struct str customer_id;
    struct str pii;     /* sealed */
    struct str counted; /* ids of the limits' counters that it counts in, side by side; a payment
                           that was read from a list does not know */
    struct str description, return_url, callback_url, metadata, next_action;
    int64_t reserved_minor; /* refund_reserved: asked back, not yet gone */
    struct payment p;
    struct attempt_place places[PAYMENT_MAX_ATTEMPTS]; /* of p.attempts */
};

/* Where attempt n went; of 0, or one that is not there, the payment's own provider and account. */
struct attempt_place payment_place(const struct payment_record *rec, int n);

static inline struct str mode_word(bool live)
{
    return live ? STR("live") : STR("test");
}

/* The three letters, kept: rows borrow them until they are sent. */
struct str currency_str(uint16_t currency);

/* Reads the rows of payment_get (one per attempt). ERR_NOT_FOUND without rows; ERR_INTERNAL for a
 * row that this program cannot mean, ERR_LIMIT beyond the arena's cap. */
struct err payment_record_read(const struct rows *r, struct arena *a,
                               struct payment_record *out) MUST_USE;
/* Reads one row of a list: without attempts. What else a row has begins at this column. */
enum { PAYMENT_RECORD_COLUMNS = 40 };
struct err payment_record_read_one(const struct rows *r, size_t row, struct arena *a,
                                   struct payment_record *out) MUST_USE;

/* A refund as it is stored, without its payment. */
struct refund_record {
    struct uuid merchant, id, payment, account_id;
    bool live;
    bool excess; /* paid beyond what was received: in no amount of the payment */
    struct str reason, requested_by, approved_by;
    struct str requester; /* the person behind requested_by */
    struct str trace;     /* traceparent of the request that made it; absent without */
    struct refund r;
};

/* Reads the rows of refund_get (one per attempt) from `row` on, as long as they are of one refund;
 * *next is the row behind them. Errors as payment_record_read. */
struct err refund_record_read(const struct rows *rows, size_t row, struct arena *a,
                              struct refund_record *out, size_t *next) MUST_USE;
void refund_row_fill(const struct refund_record *rec, bool is_new, struct refund_row *out);
void refund_attempt_row_fill(const struct refund_record *rec, const struct rail_attempt *a,
                             int64_t now_us, struct refund_attempt_row *out);

/* The rows of a payment, with what the caller still has to add left zero. Texts are borrowed from
 * `rec`. */
void payment_insert_fill(const struct payment_record *rec, struct payment_insert_row *out);
void payment_update_fill(const struct payment_record *rec, struct payment_update_row *out);
void attempt_row_fill(const struct payment_record *rec, const struct attempt *a, int64_t now_us,
                      struct attempt_row *out);

/* The last byte of a payment's, refund's or payout's id tells what it is: 0x40 a payout, 0x20 a
 * refund, 0x10 live; the low four bits are zero. */
static inline bool id_is_payout(struct uuid id)
{
    return (id.b[15] & 0x40) != 0;
}
static inline bool id_is_refund(struct uuid id)
{
    return (id.b[15] & 0x20) != 0;
}
static inline bool id_is_live(struct uuid id)
{
    return (id.b[15] & 0x10) != 0;
}
/* The public id of an attempt: the payment's, refund's or payout's with n in the low four bits. */
struct uuid attempt_id(struct uuid payment, int n);
struct uuid attempt_payment(struct uuid attempt, int *n);
/* The bucket of a subject's jobs. */
int16_t job_bucket(struct uuid subject);

#endif
