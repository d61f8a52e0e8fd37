#ifndef RELI_SIM_MEM_H
#define RELI_SIM_MEM_H

#include "store/kinds.h"

/* The tables of a world as the statements of sql/query see them. One thread, so each unit is a
 * transaction by itself; which runs when, and who hears of it, is store_mem.c. Texts live as long
 * as the world and never change, so that a copy of a row is a snapshot. */

enum {
    MEM_PAYMENTS = 64,
    MEM_IDEMPOTENCY = 128,
    MEM_REFERENCES = 256,
    MEM_RECEIPTS = 128,
    MEM_JOBS = 1024,
    MEM_INBOUND = 512,
    MEM_EVENTS = 512,
    MEM_DELIVERIES = 1024,
    MEM_TRANSFERS = 256,
    MEM_BOOKINGS = 512,
    MEM_EXCEPTIONS = 256,
    MEM_ENDPOINTS = 3,
    MEM_ACCOUNTS = 32,
    MEM_REFUNDS = 128,
    MEM_PAYOUTS = 32,
    MEM_PAYOUT_REFERENCES = 32,
    MEM_GUARDED = 4,
    MEM_SCHEDULES = 3,
};

struct mem_attempt {
    int16_t n, poll_n, codes_n;
    struct str status, currency, provider_ref, receipt, provider_code, code, provider, route;
    int64_t amount, sent_at, answered_at, next_poll_at;
    struct uuid account_id;
    bool cancel_asked;
};

struct mem_payment {
    struct uuid merchant, id, op_id, account_id;
    struct str mode, status, reference, reference_no, pay_code, provider, method, currency,
        customer_id, pii, description, return_url, callback_url, metadata, next_action,
        failure_code, failure_provider_code, failure_message, provider_ref, receipt, status_source;
    int32_t version, revision, fee_version;
    int64_t amount, received, refunded, reserved, fee, fee_due;
    int64_t recon_since, created_at, updated_at, expires_at, completed_at;
    bool fee_on_top, late;
    /* for the checker */
    bool ended_once; /* was failed, expired or cancelled */
    struct str idem_key;
    int n_calls;
    size_t n_attempts;
    struct mem_attempt attempts[PAYMENT_MAX_ATTEMPTS];
};

/* What the customer is asked for. */
static inline int64_t mem_asked(const struct mem_payment *p)
{
    return p->amount + (p->fee_on_top ? p->fee_due : 0);
}

struct mem_rail {
    int16_t n, poll_n;
    struct str rail, status, provider_ref, receipt, provider_code, code;
    int64_t sent_at, answered_at, next_poll_at;
};

struct mem_refund {
    struct uuid merchant, id, payment, account_id;
    struct str mode, status, currency, reason, requested_by, approved_by, failure_code,
        failure_provider_code, failure_message, provider_ref, receipt, trace, requester;
    int32_t version;
    int64_t amount, recon_since, created_at, updated_at, completed_at;
    int16_t park_n;
    bool late, excess;
    size_t n_rails;
    struct mem_rail rails[REFUND_MAX_ATTEMPTS];
};

struct mem_payout {
    struct uuid merchant, id, op_id, account_id, wallet_id;
    struct str mode, status, reference, provider, method, currency, pii, purpose, description,
        callback_url, metadata, requested_by, approved_by, failure_code, failure_provider_code,
        failure_message, provider_ref, receipt, request, trace, requester;
    int32_t version, revision;
    int64_t amount, sent_at, answered_at, next_at, recon_since, created_at, updated_at,
        completed_at;
    int16_t n, paid_n, poll_n, park_n;
    bool late;
    /* for the checker */
    bool ended_once; /* without money, or it came back */
    struct str idem_key;
};

/* What a merchant can pay out. */
struct mem_guarded {
    struct uuid account;
    int64_t balance;
    int32_t version;
};

struct mem_idempotency {
    struct uuid merchant, payment;
    struct str mode, key, fingerprint, provider_ref, problem;
    int16_t slot, http_status;
    int32_t period, seq;
    int64_t lease_until, created_at;
};

struct mem_reference {
    struct str mode, reference;
    struct uuid payment;
    int32_t version; /* of payouts' */
};

struct mem_receipt {
    struct str mode, provider, receipt;
    struct uuid payment;
};

struct mem_job {
    struct uuid merchant, subject, lease_owner;
    struct str kind;
    int32_t n;
    int16_t bucket, tries;
    int64_t run_at, lease_until;
};

struct mem_inbound {
    struct uuid merchant, subject, payment, id;
    struct str dedupe_key, mode, provider, kind, state, reason, peer, raw;
    int16_t attempt;
    bool ip_ok;
};

struct mem_event {
    struct uuid merchant, payment, id;
    struct str mode, type, data;
    int32_t seq;
    int64_t at;
};

struct mem_delivery {
    struct uuid merchant, id, payment, event, endpoint;
    struct str mode, type, status, last_error;
    int32_t seq, revision, last_http;
    int16_t n, tries;
    int64_t next_at, created_at;
};

struct mem_transfer {
    struct uuid payment, journal, debit, credit;
    struct str kind, currency;
    int16_t step;
    int64_t amount;
};

/* What was to be booked, also if another step was faster: of which revision it was made. */
struct mem_booking {
    struct uuid journal;
    int32_t revision;
};

struct mem_exception {
    struct uuid id, subject;
    struct str mode, kind, detail, status, resolution, evidence, receipt, proposed_by, resolved_by,
        currency, payer, data, proposer;
    int16_t attempt;
    int32_t version;
    int64_t amount, created_at, updated_at;
};

struct mem_schedule {
    int32_t version;
    struct str text;
    struct str limits; /* none */
    int64_t from;      /* not there before */
};

struct mem_endpoint {
    struct uuid merchant, id;
    struct str mode, url, events, secrets, status;
    bool ordered; /* never */
    int64_t failing_since, failing_at;
    int failing_days;
};

struct mem_account {
    struct uuid id;
    struct str type, owner, currency;
};

struct mem {
    struct uuid merchant;
    struct str webhook_secret; /* sealed */
    size_t n_payments, n_idempotency, n_references, n_receipts, n_jobs, n_inbound, n_events,
        n_deliveries, n_transfers, n_exceptions, n_endpoints, n_accounts, n_refunds, n_schedules,
        n_payouts, n_payout_references, n_guarded, n_bookings;
    int64_t opening;     /* what could be paid out when the world began */
    int64_t next_job_us; /* of all jobs; TIME_NEVER */
    bool next_job_known;
    bool exception_moved; /* by the last exception_move.sql */
    size_t n_refused;     /* by the last idempotency_refuse.sql */
    bool partitioned;     /* by the last upkeep.sql: a table lacked partitions */
    size_t n_claimed;     /* by the last idempotency_claim.sql */
    struct mem_endpoint endpoints[MEM_ENDPOINTS];
    struct mem_schedule schedules[MEM_SCHEDULES];
    struct mem_account accounts[MEM_ACCOUNTS];
    struct mem_job jobs[MEM_JOBS];
    struct mem_payment payments[MEM_PAYMENTS];
    struct mem_idempotency idempotency[MEM_IDEMPOTENCY];
    struct mem_reference references[MEM_REFERENCES];
    struct mem_receipt receipts[MEM_RECEIPTS];
    struct mem_inbound inbound[MEM_INBOUND];
    struct mem_event events[MEM_EVENTS];
    struct mem_delivery deliveries[MEM_DELIVERIES];
    struct mem_transfer transfers[MEM_TRANSFERS];
    struct mem_booking bookings[MEM_BOOKINGS];
    struct mem_exception exceptions[MEM_EXCEPTIONS];
    struct mem_refund refunds[MEM_REFUNDS];
    struct mem_payout payouts[MEM_PAYOUTS];
    struct mem_reference payout_references[MEM_PAYOUT_REFERENCES];
    struct mem_guarded guarded[MEM_GUARDED];
};
extern struct mem mem;

/* Empties the tables, then makes the merchant and its endpoints. */
void mem_tables_begin(void);
/* The earliest moment (wall) at which a job is nobody's and due; TIME_NEVER without jobs. */
int64_t mem_next_job_us(void);

struct mem_payment *mem_payment(struct uuid id);
const struct mem_event *mem_event(struct uuid payment, int32_t seq);
struct mem_delivery *mem_delivery(struct uuid id);
struct mem_refund *mem_refund(struct uuid id);
struct mem_payout *mem_payout(struct uuid id);
/* The guarded account that payouts of the worlds' one currency are held on. */
struct uuid mem_wallet(void);
struct mem_inbound *mem_inbound(struct uuid subject, struct str dedupe_key);

/* Runs a unit as one transaction and tells the unit's kind its rows. ERR_INTERNAL where the schema
 * would refuse. */
struct err mem_commit(struct unit *u);
/* Runs a statement of store_exec. */
struct err mem_exec(enum query query, const struct value *params);

/* ---- rows.c ---- */

/* A column as a statement returns it. */
struct mem_column {
    enum column_type type;
    bool zero_is_null;
    size_t offset;
};

enum { ROWS_PARTS = 7, ROWS_BYTES = 12288 };

/* Rows side by side of several tables, each a copy. */
struct rows {
    size_t n;
    size_t n_parts;
    struct {
        const struct mem_column *columns;
        size_t n_columns, stride;
        const char *base; /* NULL: an outer join that found nothing */
    } parts[ROWS_PARTS];
    size_t used;
    _Alignas(16) char bytes[ROWS_BYTES];
};

/* Empty rows; then parts from left to right. */
void rows_clear(struct rows *r, size_t n);
/* `base` NULL: no such row. `n` rows are copied, one if stride is 0. */
void rows_part(struct rows *r, const struct mem_column *columns, size_t n_columns, const void *base,
               size_t size, size_t n);
/* exception_get.sql, exception_move.sql */
void mem_read_exception(const struct value *params, struct rows *out);
void mem_move_exception(const struct value *params);
/* refund_get.sql, refund_first.sql */
void mem_read_refund(const struct value *params, struct rows *out);
void mem_read_refund_first(const struct value *params, struct rows *out);
/* payout_get.sql, payout_owner.sql, payout_funds.sql; what fan-outs and deliveries join of it */
void mem_read_payout(const struct value *params, struct rows *out);
void mem_read_payout_owner(const struct value *params, struct rows *out);
void mem_read_payout_funds(const struct value *params, struct rows *out);
void mem_payout_person_part(const struct mem_payout *p, struct rows *out);
/* Answers a statement of store_read (or what one of store_exec returns). */
void mem_read(enum query query, const struct value *params, struct rows *out);

#endif
