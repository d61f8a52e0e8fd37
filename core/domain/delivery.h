#ifndef RELI_DOMAIN_DELIVERY_H
#define RELI_DOMAIN_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/domain/schedule.h"

/* The life of a webhook delivery (domain.md, sections 1 and 3; providers/webhooks-out.md, section
 * 4), pure. */

/* X(NAME, word, final) */
#define DELIVERY_STATES(X)       \
    X(SCHEDULED, "scheduled", 0) \
    X(SENDING, "sending", 0)     \
    X(RETRY, "retry", 0)         \
    X(DELIVERED, "delivered", 1) \
    X(DEAD, "dead", 1)           \
    X(CANCELLED, "cancelled", 1)

enum delivery_status {
#define X(name, word, final) DELIVERY_##name,
    DELIVERY_STATES(X)
#undef X
        DELIVERY_N_STATES
};

const char *delivery_status_word(enum delivery_status s);
bool delivery_status_parse(struct str word, enum delivery_status *out) MUST_USE;
bool delivery_status_final(enum delivery_status s);
bool delivery_may_move(enum delivery_status from, enum delivery_status to);

struct delivery {
    enum delivery_status status;
    int tries;          /* requests made */
    int64_t next_at_us; /* wall; TIME_NEVER when final */
};

struct delivery_rules {
    struct schedule waits;      /* after the first try: 1m,5m,15m,1h,6h */
    int64_t lease_us;           /* 60 s: how long a SENDING is left alone */
    int64_t retry_after_max_us; /* 24 h */
};
void delivery_rules_default(struct delivery_rules *r);

/* How a request ended. */
struct delivery_outcome {
    int http_status;       /* 0: no complete answer */
    int64_t retry_after_s; /* -1: none */
    bool endpoint_gone;    /* the endpoint was disabled or deleted meanwhile: cancel */
    uint32_t random;       /* jitter of ±20 % */
};

struct delivery_effects {
    bool disable_endpoint;  /* 410: it said that it is gone for good */
    bool failed, succeeded; /* what the endpoint's record learns */
};

/* SCHEDULED, RETRY, or a SENDING whose lease ran out → SENDING: at least once, so twice is allowed.
 * next_at = now + lease. ERR_INVALID_STATE otherwise. */
struct err delivery_take(struct delivery *d, const struct delivery_rules *r,
                         int64_t now_us) MUST_USE;
/* SENDING → DELIVERED (2xx), DEAD (410, or the schedule is used up), CANCELLED, or RETRY with
 * next_at. */
struct err delivery_done(struct delivery *d, const struct delivery_rules *r,
                         const struct delivery_outcome *o, int64_t now_us,
                         struct delivery_effects *out) MUST_USE;

#endif
