/* The words of the refund machine: what the API, the database and the log call its states. */
#include "core/base/attr.h"
#include "core/domain/refund.h"

static const struct {
    const char *word;
    bool final;
} refund_words[REFUND_N_STATES] = {
#define X(name, word, final) [REFUND_##name] = {word, final},
    REFUND_STATES(X)
#undef X
};

static const char *const rail_words[RAIL_N_STATES] = {
#define X(name, word, final) [RAIL_##name] = word,
    RAIL_STATES(X)
#undef X
};

static const char *const way_words[REFUND_RAIL_N] = {
#define X(name, word) [REFUND_RAIL_##name] = word,
    REFUND_RAILS(X)
#undef X
};

static const char *const notice_types[] = {
    [REFUND_NOTICE_NONE] = NULL,
    [REFUND_NOTICE_PENDING] = "refund.pending",
    [REFUND_NOTICE_PROCESSING] = "refund.processing",
    [REFUND_NOTICE_COMPLETED] = "refund.completed",
    [REFUND_NOTICE_FAILED] = "refund.failed",
    [REFUND_NOTICE_REJECTED] = "refund.rejected",
    [REFUND_NOTICE_CANCELLED] = "refund.cancelled",
    [REFUND_NOTICE_IN_RECONCILIATION] = "refund.in_reconciliation",
};

const char *refund_status_word(enum refund_status s)
{
    ASSERT((unsigned)s < REFUND_N_STATES);
    return refund_words[s].word;
}

bool refund_status_parse(struct str word, enum refund_status *out)
{
    for (int i = 0; i < REFUND_N_STATES; i++) {
        if (str_eq(word, str_c(refund_words[i].word))) {
            *out = (enum refund_status)i;
            return true;
        }
    }
    return false;
}

bool refund_status_final(enum refund_status s)
{
    ASSERT((unsigned)s < REFUND_N_STATES);
    return refund_words[s].final;
}

const char *rail_status_word(enum rail_status s)
{
    ASSERT((unsigned)s < RAIL_N_STATES);
    return rail_words[s];
}

bool rail_status_parse(struct str word, enum rail_status *out)
{
    for (int i = 0; i < RAIL_N_STATES; i++) {
        if (str_eq(word, str_c(rail_words[i]))) {
            *out = (enum rail_status)i;
            return true;
        }
    }
    return false;
}

const char *refund_rail_word(enum refund_rail r)
{
    ASSERT((unsigned)r < REFUND_RAIL_N);
    return way_words[r];
}

/* "" is NONE. */
bool refund_rail_parse(struct str word, enum refund_rail *out)
{
    for (int i = 0; i < REFUND_RAIL_N; i++) {
        if (str_eq(word, str_c(way_words[i]))) {
            *out = (enum refund_rail)i;
            return true;
        }
    }
    return false;
}

const char *refund_notice_type(enum refund_notice n)
{
    ASSERT((unsigned)n < COUNT_OF(notice_types));
    return notice_types[n];
}
