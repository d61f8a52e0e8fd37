/* The words of the payment machine: what the API, the database and the log call its states. */
#include "core/base/attr.h"
#include "core/domain/payment.h"

static const struct {
    const char *word;
    bool final;
} payment_words[PAYMENT_N_STATES] = {
#define X(name, word, final) [PAYMENT_##name] = {word, final},
    PAYMENT_STATES(X)
#undef X
};

static const struct {
    const char *word;
    bool final;
} attempt_words[ATTEMPT_N_STATES] = {
#define X(name, word, final) [ATTEMPT_##name] = {word, final},
    ATTEMPT_STATES(X)
#undef X
};

static const char *const event_words[PAYMENT_EVENT_N] = {
#define X(name, word) [PAYMENT_EVENT_##name] = word,
    PAYMENT_EVENTS(X)
#undef X
};

static const char *const source_words[SOURCE_N] = {
    [SOURCE_API] = "api",           [SOURCE_CALLBACK] = "callback",   [SOURCE_POLL] = "poll",
    [SOURCE_OPERATOR] = "operator", [SOURCE_STATEMENT] = "statement",
};

static const char *const notice_types[] = {
    [NOTICE_NONE] = NULL,
    [NOTICE_INITIATED] = "payment.initiated",
    [NOTICE_PROCESSING] = "payment.processing",
    [NOTICE_REQUIRES_ACTION] = "payment.requires_action",
    [NOTICE_COMPLETED] = "payment.completed",
    [NOTICE_FAILED] = "payment.failed",
    [NOTICE_EXPIRED] = "payment.expired",
    [NOTICE_CANCELLED] = "payment.cancelled",
    [NOTICE_IN_RECONCILIATION] = "payment.in_reconciliation",
    [NOTICE_REVERSED] = "payment.reversed",
    [NOTICE_UPDATED] = "payment.updated",
};

static const char *const exception_words[] = {
    [EXCEPTION_NONE] = "",
    [EXCEPTION_INTEGRITY] = "integrity_failure",
    [EXCEPTION_DOUBLE_SUCCESS] = "double_success",
    [EXCEPTION_STUCK] = "stuck",
    [EXCEPTION_REVERSED] = "reversed",
};

const char *payment_status_word(enum payment_status s)
{
    ASSERT((unsigned)s < PAYMENT_N_STATES);
    return payment_words[s].word;
}

bool payment_status_parse(struct str word, enum payment_status *out)
{
    for (int i = 0; i < PAYMENT_N_STATES; i++) {
        if (str_eq(word, str_c(payment_words[i].word))) {
            *out = (enum payment_status)i;
            return true;
        }
    }
    return false;
}

bool payment_status_final(enum payment_status s)
{
    ASSERT((unsigned)s < PAYMENT_N_STATES);
    return payment_words[s].final;
}

const char *attempt_status_word(enum attempt_status s)
{
    ASSERT((unsigned)s < ATTEMPT_N_STATES);
    return attempt_words[s].word;
}

bool attempt_status_parse(struct str word, enum attempt_status *out)
{
    for (int i = 0; i < ATTEMPT_N_STATES; i++) {
        if (str_eq(word, str_c(attempt_words[i].word))) {
            *out = (enum attempt_status)i;
            return true;
        }
    }
    return false;
}

bool attempt_status_final(enum attempt_status s)
{
    ASSERT((unsigned)s < ATTEMPT_N_STATES);
    return attempt_words[s].final;
}

const char *payment_event_word(enum payment_event_kind k)
{
    ASSERT((unsigned)k < PAYMENT_EVENT_N);
    return event_words[k];
}

const char *status_source_word(enum status_source s)
{
    ASSERT((unsigned)s < SOURCE_N);
    return source_words[s];
}

bool status_source_parse(struct str word, enum status_source *out)
{
    for (int i = 0; i < SOURCE_N; i++) {
        if (str_eq(word, str_c(source_words[i]))) {
            *out = (enum status_source)i;
            return true;
        }
    }
    return false;
}

const char *payment_notice_type(enum payment_notice n)
{
    ASSERT((unsigned)n < COUNT_OF(notice_types));
    return notice_types[n];
}

const char *payment_exception_word(enum payment_exception e)
{
    ASSERT((unsigned)e < COUNT_OF(exception_words));
    return exception_words[e];
}
