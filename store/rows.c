/* Which member of a row struct is which column, and payments between rows and the machine's form.
 * The order of each table is the order of the parameters in sql/query (test/store/rows_test.c
 * compares them). */
#include "store/rows.h"

#include "core/base/times.h"

const struct column payment_insert_columns[PAYMENT_INSERT_COLUMNS] = {
    COLUMN(UUID, payment_insert_row, merchant_id),
    COLUMN(UUID, payment_insert_row, id),
    COLUMN(TEXT, payment_insert_row, mode),
    COLUMN(TEXT, payment_insert_row, status),
    COLUMN(I32, payment_insert_row, version),
    COLUMN(UUID, payment_insert_row, op_id),
    COLUMN(TEXT, payment_insert_row, reference),
    COLUMN(TEXT, payment_insert_row, reference_no),
    COLUMN(TEXT, payment_insert_row, pay_code),
    COLUMN(TEXT, payment_insert_row, provider),
    COLUMN(TEXT, payment_insert_row, payment_method),
    COLUMN(UUID, payment_insert_row, account_id),
    COLUMN(I64, payment_insert_row, amount),
    COLUMN(TEXT, payment_insert_row, currency),
    COLUMN(TEXT, payment_insert_row, customer_id),
    COLUMN(BYTES, payment_insert_row, pii),
    COLUMN(TEXT, payment_insert_row, description),
    COLUMN(TEXT, payment_insert_row, return_url),
    COLUMN(TEXT, payment_insert_row, callback_url),
    COLUMN(JSON, payment_insert_row, metadata),
    COLUMN(JSON, payment_insert_row, next_action),
    COLUMN(TEXT, payment_insert_row, failure_code),
    COLUMN(TEXT, payment_insert_row, failure_message),
    COLUMN(TEXT, payment_insert_row, status_source),
    COLUMN(TIME, payment_insert_row, created_at),
    COLUMN(TIME, payment_insert_row, expires_at),
    COLUMN(UUID_OPT, payment_insert_row, previous_owner),
    COLUMN(TEXT, payment_insert_row, idem_key),
    COLUMN(I16, payment_insert_row, idem_slot),
    COLUMN(I16, payment_insert_row, idem_slot_b),
    COLUMN(I16, payment_insert_row, idem_look_a),
    COLUMN(I16, payment_insert_row, idem_look_b),
    COLUMN(I32, payment_insert_row, idem_period),
    COLUMN(BOOL, payment_insert_row, idem_held),
    COLUMN(BYTES, payment_insert_row, idem_fingerprint),
    COLUMN(TIME, payment_insert_row, idem_lease),
    COLUMN(I16, payment_insert_row, idem_http),
    COLUMN(I32, payment_insert_row, idem_seq),
    COLUMN(TIME, payment_insert_row, job_run_at),
    COLUMN(I16, payment_insert_row, job_bucket),
    COLUMN(UUID_OPT, payment_insert_row, job_owner),
    COLUMN(TIME, payment_insert_row, job_lease),
    COLUMN(UUID_OPT, payment_insert_row, audit_a),
    COLUMN(UUID_OPT, payment_insert_row, audit_b),
    COLUMN(I64, payment_insert_row, fee_due),
    COLUMN(I32, payment_insert_row, fee_version),
    COLUMN(BOOL, payment_insert_row, fee_on_top),
    COLUMN(UUID_OPT, payment_insert_row, customer_row),
    COLUMN(BYTES, payment_insert_row, customer_key),
    COLUMN(BYTES, payment_insert_row, handle_a),
    COLUMN(BYTES, payment_insert_row, handle_b),
    COLUMN(BYTES, payment_insert_row, counted),
    COLUMN(TEXT, payment_insert_row, traceparent),
};

const struct column payment_update_columns[PAYMENT_UPDATE_COLUMNS] = {
    COLUMN(UUID, payment_update_row, merchant_id),
    COLUMN(UUID, payment_update_row, id),
    COLUMN(TEXT, payment_update_row, mode),
    COLUMN(I32, payment_update_row, revision),
    COLUMN(UUID, payment_update_row, op_id),
    COLUMN(TEXT, payment_update_row, status),
    COLUMN(I32, payment_update_row, version),
    COLUMN(I64, payment_update_row, received),
    COLUMN(TEXT, payment_update_row, status_source),
    COLUMN(BOOL, payment_update_row, late),
    COLUMN(TEXT, payment_update_row, failure_code),
    COLUMN(TEXT, payment_update_row, failure_provider_code),
    COLUMN(TEXT, payment_update_row, failure_message),
    COLUMN(TEXT, payment_update_row, provider),
    COLUMN(TEXT, payment_update_row, provider_ref),
    COLUMN(TEXT, payment_update_row, receipt),
    COLUMN(TEXT, payment_update_row, receipt_claim),
    COLUMN(JSON, payment_update_row, next_action),
    COLUMN(TIME, payment_update_row, recon_since),
    COLUMN(TIME, payment_update_row, completed_at),
    COLUMN(TIME, payment_update_row, updated_at),
    COLUMN(TIME, payment_update_row, job_run_at),
    COLUMN(I16, payment_update_row, job_bucket),
    COLUMN(UUID_OPT, payment_update_row, job_owner),
    COLUMN(TIME, payment_update_row, job_lease),
    COLUMN(TEXT, payment_update_row, idem_key),
    COLUMN(I16, payment_update_row, idem_slot),
    COLUMN(I16, payment_update_row, idem_slot_b),
    COLUMN(I16, payment_update_row, idem_http),
    COLUMN(I32, payment_update_row, idem_seq),
    COLUMN(TEXT, payment_update_row, idem_provider_ref),
    COLUMN(UUID_OPT, payment_update_row, inbound_subject),
    COLUMN(BYTES, payment_update_row, inbound_key),
    COLUMN(I32, payment_update_row, inbound_n),
    COLUMN(TEXT, payment_update_row, inbound_state),
    COLUMN(TEXT, payment_update_row, inbound_reason),
    COLUMN(I32, payment_update_row, log_seq),
    COLUMN(UUID_OPT, payment_update_row, audit_a),
    COLUMN(UUID_OPT, payment_update_row, journal_id),
    COLUMN(I16, payment_update_row, journal_steps),
    COLUMN(I64, payment_update_row, refunded),
    COLUMN(I64, payment_update_row, reserved),
    COLUMN(I64, payment_update_row, fee),
    COLUMN(TEXT, payment_update_row, job_kind),
    COLUMN(UUID, payment_update_row, job_subject),
    COLUMN(UUID, payment_update_row, idem_subject),
    COLUMN(BYTES, payment_update_row, idem_fingerprint),
    COLUMN(I16, payment_update_row, idem_look_a),
    COLUMN(I16, payment_update_row, idem_look_b),
    COLUMN(I32, payment_update_row, idem_period),
    COLUMN(TIME, payment_update_row, idem_lease),
    COLUMN(UUID, payment_update_row, account_id),
    COLUMN(TEXT, payment_update_row, claim_provider),
    COLUMN(UUID_OPT, payment_update_row, audit_b),
    COLUMN(I64, payment_update_row, fee_due),
};

const struct column attempt_columns[ATTEMPT_COLUMNS] = {
    COLUMN(UUID, attempt_row, merchant_id),
    COLUMN(UUID, attempt_row, payment_id),
    COLUMN(I16, attempt_row, n),
    COLUMN(TEXT, attempt_row, mode),
    COLUMN(TEXT, attempt_row, status),
    COLUMN(TEXT, attempt_row, provider),
    COLUMN(UUID, attempt_row, account_id),
    COLUMN(I64, attempt_row, amount),
    COLUMN(TEXT, attempt_row, currency),
    COLUMN(TEXT, attempt_row, provider_ref),
    COLUMN(TEXT, attempt_row, receipt),
    COLUMN(TEXT, attempt_row, provider_code),
    COLUMN(TEXT, attempt_row, code),
    COLUMN(TIME, attempt_row, sent_at),
    COLUMN(TIME, attempt_row, answered_at),
    COLUMN(I16, attempt_row, poll_n),
    COLUMN(TIME, attempt_row, next_poll_at),
    COLUMN(TIME, attempt_row, at),
    COLUMN(JSON, attempt_row, route),
    COLUMN(I16, attempt_row, codes_n),
    COLUMN(BOOL, attempt_row, cancel_asked),
};

const struct column event_columns[EVENT_COLUMNS] = {
    COLUMN(UUID, event_row, merchant_id), COLUMN(UUID, event_row, subject_id),
    COLUMN(I32, event_row, seq),          COLUMN(UUID, event_row, id),
    COLUMN(TEXT, event_row, mode),        COLUMN(TEXT, event_row, type),
    COLUMN(TEXT, event_row, data),        COLUMN(TIME, event_row, at),
    COLUMN(I16, event_row, bucket),       COLUMN(UUID_OPT, event_row, owner),
    COLUMN(TIME, event_row, lease),
};

const struct column audit_columns[AUDIT_COLUMNS] = {
    COLUMN(UUID, audit_row, merchant_id), COLUMN(UUID, audit_row, subject_id),
    COLUMN(UUID, audit_row, id),          COLUMN(TEXT, audit_row, mode),
    COLUMN(TEXT, audit_row, action),      COLUMN(TEXT, audit_row, actor),
    COLUMN(TEXT, audit_row, before),      COLUMN(TEXT, audit_row, after),
    COLUMN(TEXT, audit_row, detail),      COLUMN(TIME, audit_row, at),
};

const struct column account_columns[ACCOUNT_COLUMNS] = {
    COLUMN(UUID, account_row, merchant_id), COLUMN(UUID, account_row, payment_id),
    COLUMN(UUID, account_row, id),          COLUMN(TEXT, account_row, mode),
    COLUMN(TEXT, account_row, type),        COLUMN(TEXT, account_row, owner),
    COLUMN(TEXT, account_row, currency),    COLUMN(TIME, account_row, at),
};

const struct column transfer_columns[TRANSFER_COLUMNS] = {
    COLUMN(UUID, transfer_row, merchant_id), COLUMN(UUID, transfer_row, payment_id),
    COLUMN(UUID, transfer_row, journal_id),  COLUMN(I16, transfer_row, step),
    COLUMN(TEXT, transfer_row, mode),        COLUMN(TEXT, transfer_row, kind),
    COLUMN(UUID, transfer_row, debit_id),    COLUMN(UUID, transfer_row, credit_id),
    COLUMN(I64, transfer_row, amount),       COLUMN(TEXT, transfer_row, currency),
    COLUMN(TIME, transfer_row, at),
};

const struct column exception_columns[EXCEPTION_COLUMNS] = {
    COLUMN(UUID, exception_row, merchant_id), COLUMN(UUID, exception_row, payment_id),
    COLUMN(UUID, exception_row, id),          COLUMN(UUID, exception_row, subject_id),
    COLUMN(I16, exception_row, attempt_n),    COLUMN(TEXT, exception_row, mode),
    COLUMN(TEXT, exception_row, kind),        COLUMN(TEXT, exception_row, detail),
    COLUMN(I64, exception_row, amount),       COLUMN(TEXT, exception_row, currency),
    COLUMN(TIME, exception_row, at),
};

const struct column resolution_columns[RESOLUTION_COLUMNS] = {
    COLUMN(UUID, resolution_row, merchant_id), COLUMN(UUID, resolution_row, payment_id),
    COLUMN(UUID, resolution_row, subject_id),  COLUMN(UUID_OPT, resolution_row, item_id),
    COLUMN(TEXT, resolution_row, resolution),  COLUMN(TEXT, resolution_row, evidence),
    COLUMN(TEXT, resolution_row, resolved_by), COLUMN(TIME, resolution_row, at),
};

const struct column call_columns[CALL_COLUMNS] = {
    COLUMN(UUID, call_row, merchant_id), COLUMN(UUID, call_row, payment_id),
    COLUMN(UUID, call_row, id),          COLUMN(TEXT, call_row, mode),
    COLUMN(I16, call_row, attempt_n),    COLUMN(TEXT, call_row, op),
    COLUMN(I32, call_row, http_status),  COLUMN(I64, call_row, took_us),
    COLUMN(TEXT, call_row, outcome),     COLUMN(BYTES, call_row, body),
    COLUMN(TIME, call_row, at),
};

const struct column inbound_columns[INBOUND_COLUMNS] = {
    COLUMN(UUID, inbound_row, merchant_id), COLUMN(UUID, inbound_row, subject_id),
    COLUMN(BYTES, inbound_row, dedupe_key), COLUMN(UUID, inbound_row, id),
    COLUMN(TEXT, inbound_row, mode),        COLUMN(TEXT, inbound_row, provider),
    COLUMN(UUID, inbound_row, payment_id),  COLUMN(I16, inbound_row, attempt_n),
    COLUMN(TEXT, inbound_row, kind),        COLUMN(TEXT, inbound_row, peer),
    COLUMN(BOOL, inbound_row, ip_ok),       COLUMN(BYTES, inbound_row, raw),
    COLUMN(TIME, inbound_row, at),          COLUMN(I32, inbound_row, job_n),
    COLUMN(I16, inbound_row, job_bucket),   COLUMN(UUID_OPT, inbound_row, job_owner),
    COLUMN(TIME, inbound_row, job_lease),
};

const struct column delivery_columns[DELIVERY_COLUMNS] = {
    COLUMN(UUID, delivery_row, merchant_id),
    COLUMN(UUID, delivery_row, id),
    COLUMN(TEXT, delivery_row, mode),
    COLUMN(UUID, delivery_row, payment_id),
    COLUMN(I32, delivery_row, seq),
    COLUMN(UUID, delivery_row, event_id),
    COLUMN(TEXT, delivery_row, event_type),
    COLUMN(UUID, delivery_row, endpoint_id),
    COLUMN(I16, delivery_row, n),
    COLUMN(TIME, delivery_row, at),
    COLUMN(I16, delivery_row, job_bucket),
    COLUMN(UUID_OPT, delivery_row, job_owner),
    COLUMN(TIME, delivery_row, job_lease),
};

const struct column refund_columns[REFUND_COLUMNS] = {
    COLUMN(UUID, refund_row, merchant_id),
    COLUMN(UUID, refund_row, id),
    COLUMN(UUID, refund_row, payment_id),
    COLUMN(TEXT, refund_row, mode),
    COLUMN(TEXT, refund_row, status),
    COLUMN(I32, refund_row, version),
    COLUMN(I64, refund_row, amount),
    COLUMN(TEXT, refund_row, currency),
    COLUMN(TEXT, refund_row, reason),
    COLUMN(TEXT, refund_row, requested_by),
    COLUMN(TEXT, refund_row, approved_by),
    COLUMN(UUID, refund_row, account_id),
    COLUMN(BOOL, refund_row, late),
    COLUMN(BOOL, refund_row, excess),
    COLUMN(TEXT, refund_row, failure_code),
    COLUMN(TEXT, refund_row, failure_provider_code),
    COLUMN(TEXT, refund_row, failure_message),
    COLUMN(TEXT, refund_row, provider_ref),
    COLUMN(TEXT, refund_row, receipt),
    COLUMN(TIME, refund_row, recon_since),
    COLUMN(I16, refund_row, park_n),
    COLUMN(TIME, refund_row, created_at),
    COLUMN(TIME, refund_row, updated_at),
    COLUMN(TIME, refund_row, completed_at),
    COLUMN(BOOL, refund_row, is_new),
    COLUMN(TEXT, refund_row, traceparent),
    COLUMN(TEXT, refund_row, requester),
};

const struct column refund_attempt_columns[REFUND_ATTEMPT_COLUMNS] = {
    COLUMN(UUID, refund_attempt_row, merchant_id),  COLUMN(UUID, refund_attempt_row, payment_id),
    COLUMN(UUID, refund_attempt_row, refund_id),    COLUMN(I16, refund_attempt_row, n),
    COLUMN(TEXT, refund_attempt_row, mode),         COLUMN(TEXT, refund_attempt_row, rail),
    COLUMN(TEXT, refund_attempt_row, status),       COLUMN(TEXT, refund_attempt_row, provider_ref),
    COLUMN(TEXT, refund_attempt_row, receipt),      COLUMN(TEXT, refund_attempt_row, provider_code),
    COLUMN(TEXT, refund_attempt_row, code),         COLUMN(TIME, refund_attempt_row, sent_at),
    COLUMN(TIME, refund_attempt_row, answered_at),  COLUMN(I16, refund_attempt_row, poll_n),
    COLUMN(TIME, refund_attempt_row, next_poll_at), COLUMN(TIME, refund_attempt_row, at),
};

const struct column fanout_columns[FANOUT_COLUMNS] = {
    COLUMN(UUID, fanout_row, merchant_id),
    COLUMN(UUID, fanout_row, payment_id),
    COLUMN(I32, fanout_row, seq),
};

const struct column delivery_update_columns[DELIVERY_UPDATE_COLUMNS] = {
    COLUMN(UUID, delivery_update_row, merchant_id),
    COLUMN(UUID, delivery_update_row, id),
    COLUMN(I32, delivery_update_row, revision),
    COLUMN(TEXT, delivery_update_row, status),
    COLUMN(I16, delivery_update_row, tries),
    COLUMN(TIME, delivery_update_row, next_at),
    COLUMN(I32, delivery_update_row, last_http),
    COLUMN(TEXT, delivery_update_row, last_error),
    COLUMN(I64, delivery_update_row, last_took_us),
    COLUMN(TIME, delivery_update_row, at),
    COLUMN(I16, delivery_update_row, job_bucket),
    COLUMN(UUID_OPT, delivery_update_row, job_owner),
    COLUMN(TIME, delivery_update_row, job_lease),
    COLUMN(UUID_OPT, delivery_update_row, endpoint_id),
    COLUMN(TEXT, delivery_update_row, endpoint_state),
    COLUMN(BYTES, delivery_update_row, answer),
};

const struct column limit_columns[LIMIT_COLUMNS] = {
    COLUMN(UUID, limit_row, merchant_id),
    COLUMN(UUID, limit_row, payment_id),
    COLUMN(I16, limit_row, pos),
    COLUMN(UUID_OPT, limit_row, id),
    COLUMN(TEXT, limit_row, about),
    COLUMN(I64, limit_row, amount),
    COLUMN(I64, limit_row, n),
    COLUMN(I64, limit_row, max_amount),
    COLUMN(I64, limit_row, max_count),
};

const struct column lease_columns[LEASE_COLUMNS] = {
    COLUMN(UUID, lease_row, merchant_id), COLUMN(TEXT, lease_row, kind),
    COLUMN(UUID, lease_row, subject),     COLUMN(I32, lease_row, n),
    COLUMN(UUID, lease_row, owner),       COLUMN(TIME, lease_row, until),
    COLUMN(TIME, lease_row, now),
};

/* What payment_get and payment_list select of a payment. */
struct stored_payment {
    struct uuid merchant, id, op_id, account_id;
    struct str mode, status, currency, failure_code, failure_provider_code, failure_message,
        provider_ref, receipt, status_source;
    struct str reference, reference_no, pay_code, provider, method, customer_id, pii, description,
        return_url, callback_url, metadata, next_action;
    int32_t version, revision;
    int64_t amount, received, refunded, reserved, fee, fee_due;
    int64_t recon_since, created_at, updated_at, expires_at, completed_at;
    bool fee_on_top, late;
};

static const struct column stored_payment_columns[] = {
    COLUMN(UUID, stored_payment, merchant),
    COLUMN(UUID, stored_payment, id),
    COLUMN(TEXT, stored_payment, mode),
    COLUMN(TEXT, stored_payment, status),
    COLUMN(I32, stored_payment, version),
    COLUMN(I32, stored_payment, revision),
    COLUMN(UUID, stored_payment, op_id),
    COLUMN(TEXT, stored_payment, reference),
    COLUMN(TEXT, stored_payment, reference_no),
    COLUMN(TEXT, stored_payment, pay_code),
    COLUMN(TEXT, stored_payment, provider),
    COLUMN(TEXT, stored_payment, method),
    COLUMN(UUID, stored_payment, account_id),
    COLUMN(I64, stored_payment, amount),
    COLUMN(TEXT, stored_payment, currency),
    COLUMN(I64, stored_payment, received),
    COLUMN(I64, stored_payment, refunded),
    COLUMN(I64, stored_payment, reserved),
    COLUMN(I64, stored_payment, fee),
    COLUMN(I64, stored_payment, fee_due),
    COLUMN(BOOL, stored_payment, fee_on_top),
    COLUMN(TEXT, stored_payment, customer_id),
    COLUMN(BYTES, stored_payment, pii),
    COLUMN(TEXT, stored_payment, description),
    COLUMN(TEXT, stored_payment, return_url),
    COLUMN(TEXT, stored_payment, callback_url),
    COLUMN(JSON, stored_payment, metadata),
    COLUMN(JSON, stored_payment, next_action),
    COLUMN(TEXT, stored_payment, failure_code),
    COLUMN(TEXT, stored_payment, failure_provider_code),
    COLUMN(TEXT, stored_payment, failure_message),
    COLUMN(TEXT, stored_payment, provider_ref),
    COLUMN(TEXT, stored_payment, receipt),
    COLUMN(TEXT, stored_payment, status_source),
    COLUMN(BOOL, stored_payment, late),
    COLUMN(TIME, stored_payment, recon_since),
    COLUMN(TIME, stored_payment, created_at),
    COLUMN(TIME, stored_payment, updated_at),
    COLUMN(TIME, stored_payment, expires_at),
    COLUMN(TIME, stored_payment, completed_at),
};

/* What payment_get selects of an attempt, behind the payment. */
struct stored_attempt {
    int16_t n, poll_n, codes_n;
    struct str status, currency, provider_ref, receipt, provider_code, code, provider, route;
    int64_t amount, sent_at, answered_at, next_poll_at;
    struct uuid account_id;
    bool cancel_asked;
};

static const struct column stored_attempt_columns[] = {
    COLUMN(I16, stored_attempt, n),
    COLUMN(TEXT, stored_attempt, status),
    COLUMN(I64, stored_attempt, amount),
    COLUMN(TEXT, stored_attempt, currency),
    COLUMN(TEXT, stored_attempt, provider_ref),
    COLUMN(TEXT, stored_attempt, receipt),
    COLUMN(TEXT, stored_attempt, provider_code),
    COLUMN(TEXT, stored_attempt, code),
    COLUMN(TIME, stored_attempt, sent_at),
    COLUMN(TIME, stored_attempt, answered_at),
    COLUMN(I16, stored_attempt, poll_n),
    COLUMN(TIME, stored_attempt, next_poll_at),
    COLUMN(TEXT, stored_attempt, provider),
    COLUMN(UUID, stored_attempt, account_id),
    COLUMN(JSON, stored_attempt, route),
    COLUMN(I16, stored_attempt, codes_n),
    COLUMN(BOOL, stored_attempt, cancel_asked),
};

static struct err payment_of(const struct stored_payment *s, struct payment *p)
{
    bool known = payment_status_parse(s->status, &p->status) &&
                 status_source_parse(s->status_source, &p->source);
    p->amount = (struct money){s->amount, currency_parse(s->currency)};
    if (!known || p->amount.currency == 0)
        return ERR(INTERNAL, "stored payment not understood");
    p->version = s->version;
    p->received_minor = s->received;
    p->refunded_minor = s->refunded;
    p->fee_due_minor = s->fee_due;
    p->fee_on_top = s->fee_on_top;
    p->fee_minor = s->fee;
    p->late = s->late;
    p->failure = failure_parse(s->failure_code);
    str_copy_c(p->failure_provider_code, sizeof p->failure_provider_code, s->failure_provider_code);
    str_copy_c(p->failure_message, sizeof p->failure_message, s->failure_message);
    str_copy_c(p->receipt, sizeof p->receipt, s->receipt);
    str_copy_c(p->provider_ref, sizeof p->provider_ref, s->provider_ref);
    p->created_at_us = s->created_at;
    p->expires_at_us = s->expires_at;
    p->completed_at_us = s->completed_at;
    p->updated_at_us = s->updated_at;
    p->recon_since_us = s->recon_since;
    return ERR_OK;
}

struct err payment_record_read_one(const struct rows *r, size_t row, struct arena *a,
                                   struct payment_record *out)
{
    struct stored_payment s;
    if (!rows_read(r, row, 0, stored_payment_columns, COUNT_OF(stored_payment_columns), &s, a))
        return ERR(LIMIT, "arena");
    *out = (struct payment_record){
        .merchant = s.merchant,
        .id = s.id,
        .account_id = s.account_id,
        .op_id = s.op_id,
        .live = str_eq(s.mode, STR("live")),
        .revision = s.revision,
        .reference = s.reference,
        .reference_no = s.reference_no,
        .pay_code = s.pay_code,
        .provider = s.provider,
        .method = s.method,
        .customer_id = s.customer_id,
        .pii = s.pii,
        .description = s.description,
        .return_url = s.return_url,
        .callback_url = s.callback_url,
        .metadata = s.metadata,
        .next_action = s.next_action,
        .reserved_minor = s.reserved,
    };
    return payment_of(&s, &out->p);
}

static struct err attempt_of(const struct stored_attempt *s, struct attempt *at)
{
    if (!attempt_status_parse(s->status, &at->status))
        return ERR(INTERNAL, "stored attempt not understood");
    at->n = s->n;
    at->amount = (struct money){s->amount, currency_parse(s->currency)};
    at->code = failure_parse(s->code);
    str_copy_c(at->provider_ref, sizeof at->provider_ref, s->provider_ref);
    str_copy_c(at->receipt, sizeof at->receipt, s->receipt);
    str_copy_c(at->provider_code, sizeof at->provider_code, s->provider_code);
    at->sent_at_us = s->sent_at;
    at->answered_at_us = s->answered_at;
    at->poll_n = s->poll_n;
    at->codes_n = s->codes_n;
    at->cancel_asked = s->cancel_asked;
    at->next_poll_at_us = s->next_poll_at != 0 ? s->next_poll_at : TIME_NEVER;
    return ERR_OK;
}

struct err payment_record_read(const struct rows *r, struct arena *a, struct payment_record *out)
{
    enum { AT = PAYMENT_RECORD_COLUMNS };
    _Static_assert(COUNT_OF(stored_payment_columns) == AT, "what is behind a payment moves along");
    if (rows_n(r) == 0)
        return ERR(NOT_FOUND, "payment");
    TRY(payment_record_read_one(r, 0, a, out));
    for (size_t i = 0; i < rows_n(r) && !rows_null(r, i, AT); i++) {
        struct stored_attempt s;
        if (out->p.n_attempts == PAYMENT_MAX_ATTEMPTS)
            return ERR(INTERNAL, "too many stored attempts");
        if (!rows_read(r, i, AT, stored_attempt_columns, COUNT_OF(stored_attempt_columns), &s, a))
            return ERR(LIMIT, "arena");
        out->places[out->p.n_attempts] = (struct attempt_place){s.provider, s.account_id, s.route};
        TRY(attempt_of(&s, &out->p.attempts[out->p.n_attempts++]));
    }
    int last = AT + (int)COUNT_OF(stored_attempt_columns);
    if (!rows_null(r, 0, last)) {
        out->counted = arena_dup(a, rows_str(r, 0, last));
        if (out->counted.p == NULL)
            return ERR(LIMIT, "arena");
    }
    return ERR_OK;
}

static struct str failure_or_null(enum failure_code code)
{
    return code != FAILURE_NONE ? str_c(failure_word(code)) : STR_NULL;
}

struct str currency_str(uint16_t currency)
{
    /* every currency's text, kept: rows borrow it until they are sent */
    static char text[1 << 15][CURRENCY_TEXT];
    char *t = text[currency & 0x7fff];
    return str_n(currency_text(currency, t), 3);
}

void payment_insert_fill(const struct payment_record *rec, struct payment_insert_row *out)
{
    const struct payment *p = &rec->p;
    *out = (struct payment_insert_row){
        .merchant_id = rec->merchant,
        .id = rec->id,
        .mode = mode_word(rec->live),
        .status = str_c(payment_status_word(p->status)),
        .version = p->version,
        .op_id = rec->op_id,
        .reference = rec->reference,
        .reference_no = rec->reference_no,
        .pay_code = rec->pay_code,
        .provider = rec->provider,
        .payment_method = rec->method,
        .account_id = rec->account_id,
        .amount = p->amount.minor,
        .currency = currency_str(p->amount.currency),
        .customer_id = rec->customer_id,
        .pii = rec->pii,
        .description = rec->description,
        .return_url = rec->return_url,
        .callback_url = rec->callback_url,
        .metadata = rec->metadata,
        .next_action = rec->next_action,
        .failure_code = failure_or_null(p->failure),
        .failure_message = str_c_opt(p->failure_message),
        .status_source = str_c(status_source_word(p->source)),
        .created_at = p->created_at_us,
        .expires_at = p->expires_at_us,
        .idem_slot = -1,
        .idem_slot_b = -1,
        .idem_look_a = -1,
        .idem_look_b = -1,
        .job_bucket = job_bucket(rec->id),
        .fee_due = p->fee_due_minor,
        .fee_on_top = p->fee_on_top,
    };
}

void payment_update_fill(const struct payment_record *rec, struct payment_update_row *out)
{
    const struct payment *p = &rec->p;
    *out = (struct payment_update_row){
        .merchant_id = rec->merchant,
        .id = rec->id,
        .mode = mode_word(rec->live),
        .revision = rec->revision,
        .op_id = rec->op_id,
        .status = str_c(payment_status_word(p->status)),
        .version = p->version,
        .received = p->received_minor,
        .status_source = str_c(status_source_word(p->source)),
        .late = p->late,
        .failure_code = failure_or_null(p->failure),
        .failure_provider_code = str_c_opt(p->failure_provider_code),
        .failure_message = str_c_opt(p->failure_message),
        .provider = rec->provider,
        .provider_ref = str_c_opt(p->provider_ref),
        .receipt = str_c_opt(p->receipt),
        .next_action = rec->next_action,
        .recon_since = p->recon_since_us,
        .completed_at = p->completed_at_us,
        .updated_at = p->updated_at_us,
        .job_bucket = job_bucket(rec->id),
        .idem_slot = -1,
        .idem_slot_b = -1,
        .refunded = p->refunded_minor,
        .reserved = rec->reserved_minor,
        .fee = p->fee_minor,
        .fee_due = p->fee_due_minor,
        .job_kind = STR("payment"),
        .job_subject = rec->id,
        .idem_subject = rec->id,
        .idem_look_a = -1,
        .idem_look_b = -1,
        .account_id = rec->account_id,
        .claim_provider = rec->provider,
    };
}

struct attempt_place payment_place(const struct payment_record *rec, int n)
{
    if (n >= 1 && n <= rec->p.n_attempts)
        return rec->places[n - 1];
    return (struct attempt_place){rec->provider, rec->account_id, STR_NULL};
}

void attempt_row_fill(const struct payment_record *rec, const struct attempt *a, int64_t now_us,
                      struct attempt_row *out)
{
    struct attempt_place place = payment_place(rec, a->n);
    *out = (struct attempt_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->id,
        .n = (int16_t)a->n,
        .mode = mode_word(rec->live),
        .status = str_c(attempt_status_word(a->status)),
        .provider = place.provider,
        .account_id = place.account_id,
        .amount = a->amount.minor,
        .currency = currency_str(a->amount.currency),
        .provider_ref = str_c_opt(a->provider_ref),
        .receipt = str_c_opt(a->receipt),
        .provider_code = str_c_opt(a->provider_code),
        .code = failure_or_null(a->code),
        .sent_at = a->sent_at_us,
        .answered_at = a->answered_at_us,
        .poll_n = (int16_t)a->poll_n,
        .next_poll_at = a->next_poll_at_us,
        .at = now_us,
        .route = place.route,
        .codes_n = (int16_t)a->codes_n,
        .cancel_asked = a->cancel_asked,
    };
}

struct uuid attempt_id(struct uuid payment, int n)
{
    ASSERT(n > 0 && n < 16 && (payment.b[15] & 15) == 0);
    payment.b[15] = (uint8_t)(payment.b[15] | n);
    return payment;
}

struct uuid attempt_payment(struct uuid attempt, int *n)
{
    *n = attempt.b[15] & 15;
    attempt.b[15] &= 0xf0;
    return attempt;
}

int16_t job_bucket(struct uuid subject)
{
    return subject.b[14] & 7;
}
