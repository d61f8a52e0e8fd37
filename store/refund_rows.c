/* Refunds between rows and the machine's form. */
#include "core/base/times.h"
#include "store/rows.h"

/* What refund_get selects of a refund. */
struct stored_refund {
    struct uuid merchant, id, payment, account_id;
    struct str mode, status, currency, failure_code, failure_provider_code, failure_message,
        provider_ref, receipt, reason, requested_by, approved_by, traceparent, requester;
    int32_t version;
    int64_t amount, recon_since, created_at, updated_at, completed_at;
    int16_t park_n;
    bool late, excess;
};

static const struct column stored_refund_columns[] = {
    COLUMN(UUID, stored_refund, merchant),
    COLUMN(UUID, stored_refund, id),
    COLUMN(UUID, stored_refund, payment),
    COLUMN(UUID, stored_refund, account_id),
    COLUMN(TEXT, stored_refund, mode),
    COLUMN(TEXT, stored_refund, status),
    COLUMN(I32, stored_refund, version),
    COLUMN(I64, stored_refund, amount),
    COLUMN(TEXT, stored_refund, currency),
    COLUMN(TEXT, stored_refund, reason),
    COLUMN(TEXT, stored_refund, requested_by),
    COLUMN(TEXT, stored_refund, approved_by),
    COLUMN(BOOL, stored_refund, late),
    COLUMN(BOOL, stored_refund, excess),
    COLUMN(TEXT, stored_refund, failure_code),
    COLUMN(TEXT, stored_refund, failure_provider_code),
    COLUMN(TEXT, stored_refund, failure_message),
    COLUMN(TEXT, stored_refund, provider_ref),
    COLUMN(TEXT, stored_refund, receipt),
    COLUMN(TIME, stored_refund, recon_since),
    COLUMN(I16, stored_refund, park_n),
    COLUMN(TIME, stored_refund, created_at),
    COLUMN(TIME, stored_refund, updated_at),
    COLUMN(TIME, stored_refund, completed_at),
    COLUMN(TEXT, stored_refund, traceparent),
    COLUMN(TEXT, stored_refund, requester),
};

struct stored_rail {
    int16_t n, poll_n;
    struct str rail, status, provider_ref, receipt, provider_code, code;
    int64_t sent_at, answered_at, next_poll_at;
};

static const struct column stored_rail_columns[] = {
    COLUMN(I16, stored_rail, n),
    COLUMN(TEXT, stored_rail, rail),
    COLUMN(TEXT, stored_rail, status),
    COLUMN(TEXT, stored_rail, provider_ref),
    COLUMN(TEXT, stored_rail, receipt),
    COLUMN(TEXT, stored_rail, provider_code),
    COLUMN(TEXT, stored_rail, code),
    COLUMN(TIME, stored_rail, sent_at),
    COLUMN(TIME, stored_rail, answered_at),
    COLUMN(I16, stored_rail, poll_n),
    COLUMN(TIME, stored_rail, next_poll_at),
};

enum { RAILS_AT = COUNT_OF(stored_refund_columns) };

static struct err refund_of(const struct stored_refund *s, struct refund_record *out)
{
    struct refund *r = &out->r;
    *out = (struct refund_record){
        .merchant = s->merchant,
        .id = s->id,
        .payment = s->payment,
        .account_id = s->account_id,
        .live = str_eq(s->mode, STR("live")),
        .excess = s->excess,
        .reason = s->reason,
        .requested_by = s->requested_by,
        .approved_by = s->approved_by,
        .requester = s->requester,
        .trace = s->traceparent,
        .r = {.version = s->version,
              .amount = {s->amount, currency_parse(s->currency)},
              .late = s->late,
              .failure = failure_parse(s->failure_code),
              .created_at_us = s->created_at,
              .updated_at_us = s->updated_at,
              .completed_at_us = s->completed_at,
              .recon_since_us = s->recon_since,
              .park_n = s->park_n},
    };
    if (!refund_status_parse(s->status, &r->status) || r->amount.currency == 0)
        return ERR(INTERNAL, "stored refund not understood");
    str_copy_c(r->failure_provider_code, sizeof r->failure_provider_code, s->failure_provider_code);
    str_copy_c(r->failure_message, sizeof r->failure_message, s->failure_message);
    str_copy_c(r->receipt, sizeof r->receipt, s->receipt);
    str_copy_c(r->provider_ref, sizeof r->provider_ref, s->provider_ref);
    return ERR_OK;
}

static struct err rail_of(const struct stored_rail *s, struct rail_attempt *a)
{
    if (!rail_status_parse(s->status, &a->status) || !refund_rail_parse(s->rail, &a->rail))
        return ERR(INTERNAL, "stored refund attempt not understood");
    a->n = s->n;
    a->code = failure_parse(s->code);
    str_copy_c(a->provider_ref, sizeof a->provider_ref, s->provider_ref);
    str_copy_c(a->receipt, sizeof a->receipt, s->receipt);
    str_copy_c(a->provider_code, sizeof a->provider_code, s->provider_code);
    a->sent_at_us = s->sent_at;
    a->answered_at_us = s->answered_at;
    a->poll_n = s->poll_n;
    a->next_poll_at_us = s->next_poll_at != 0 ? s->next_poll_at : TIME_NEVER;
    return ERR_OK;
}

struct err refund_record_read(const struct rows *rows, size_t row, struct arena *a,
                              struct refund_record *out, size_t *next)
{
    struct stored_refund s;
    if (row >= rows_n(rows))
        return ERR(NOT_FOUND, "refund");
    if (!rows_read(rows, row, 0, stored_refund_columns, RAILS_AT, &s, a))
        return ERR(LIMIT, "arena");
    TRY(refund_of(&s, out));
    for (*next = row; *next < rows_n(rows) && uuid_eq(rows_uuid(rows, *next, 1), out->id);
         ++*next) {
        struct stored_rail rail;
        if (rows_null(rows, *next, RAILS_AT))
            continue;
        if (out->r.n_attempts == REFUND_MAX_ATTEMPTS)
            return ERR(INTERNAL, "too many stored refund attempts");
        if (!rows_read(rows, *next, RAILS_AT, stored_rail_columns, COUNT_OF(stored_rail_columns),
                       &rail, a))
            return ERR(LIMIT, "arena");
        TRY(rail_of(&rail, &out->r.attempts[out->r.n_attempts++]));
    }
    return ERR_OK;
}

void refund_row_fill(const struct refund_record *rec, bool is_new, struct refund_row *out)
{
    const struct refund *r = &rec->r;
    *out = (struct refund_row){
        .merchant_id = rec->merchant,
        .id = rec->id,
        .payment_id = rec->payment,
        .mode = mode_word(rec->live),
        .status = str_c(refund_status_word(r->status)),
        .version = r->version,
        .amount = r->amount.minor,
        .currency = currency_str(r->amount.currency),
        .reason = rec->reason,
        .requested_by = rec->requested_by,
        .requester = rec->requester,
        .approved_by = rec->approved_by,
        .account_id = rec->account_id,
        .late = r->late,
        .excess = rec->excess,
        .failure_code = r->failure != FAILURE_NONE ? str_c(failure_word(r->failure)) : STR_NULL,
        .failure_provider_code = str_c_opt(r->failure_provider_code),
        .failure_message = str_c_opt(r->failure_message),
        .provider_ref = str_c_opt(r->provider_ref),
        .receipt = str_c_opt(r->receipt),
        .recon_since = r->recon_since_us,
        .park_n = (int16_t)r->park_n,
        .created_at = r->created_at_us,
        .updated_at = r->updated_at_us,
        .completed_at = r->completed_at_us,
        .is_new = is_new,
        .traceparent = rec->trace,
    };
}

void refund_attempt_row_fill(const struct refund_record *rec, const struct rail_attempt *a,
                             int64_t now_us, struct refund_attempt_row *out)
{
    *out = (struct refund_attempt_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->payment,
        .refund_id = rec->id,
        .n = (int16_t)a->n,
        .mode = mode_word(rec->live),
        .rail = str_c(refund_rail_word(a->rail)),
        .status = str_c(rail_status_word(a->status)),
        .provider_ref = str_c_opt(a->provider_ref),
        .receipt = str_c_opt(a->receipt),
        .provider_code = str_c_opt(a->provider_code),
        .code = a->code != FAILURE_NONE ? str_c(failure_word(a->code)) : STR_NULL,
        .sent_at = a->sent_at_us,
        .answered_at = a->answered_at_us,
        .poll_n = (int16_t)a->poll_n,
        .next_poll_at = a->next_poll_at_us,
        .at = now_us,
    };
}
