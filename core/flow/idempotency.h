#ifndef RELI_FLOW_IDEMPOTENCY_H
#define RELI_FLOW_IDEMPOTENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/flow/flow.h"

/* Idempotency keys (domain.md, section 4): their form, what a request is compared by, and where
 * records lie. */

/* 16 to 255 printable ASCII characters. */
bool idempotency_key_ok(struct str key);

/* Records lie in four slots that are used in turn, one per period; a key is looked for in the
 * present and the previous one. Within ten minutes of a period's boundary it goes into both
 * neighbours, so that clocks and races cannot split it. */
struct idempotency_place {
    int32_t period;
    int16_t slot;           /* of the present period */
    int16_t slot_b;         /* second one to write near a boundary; -1 none */
    int16_t look_a, look_b; /* where to look */
    /* The id of what was made with a key that is found there is between these, but for clocks that
     * jump: what lies in other months is not looked into. */
    struct uuid made_from, made_until;
    int64_t until_us; /* wall; after that another request may not meet it: see below */
};
struct idempotency_place idempotency_place(int64_t wall_us, int64_t retention_us);
/* Its id is not between these: true, and the next look is for that id. */
bool idempotency_look_there(struct idempotency_place *p, struct uuid made);
/* Half of the ten minutes is for requests that stand still on their way (the rest for clocks). A
 * record written later than that could lie where the next request with its key does not look. */
struct err idempotency_place_fresh(const struct idempotency_place *p, int64_t wall_us);

/* What a request is compared by: an HMAC over all of it, and 16 bits per top-level field and of the
 * route, so that a mismatch can name what differs without anything being stored from which values
 * could be found. */
enum { FINGERPRINT_MAX_FIELDS = 12, FINGERPRINT_LEN = 32 + 2 * FINGERPRINT_MAX_FIELDS + 2 };

struct fingerprint_field {
    const char *name;
    struct str value; /* canonical text; absent is empty */
};

void fingerprint_make(struct vault *v, struct str route, const struct fingerprint_field *fields,
                      size_t n, uint8_t out[FINGERPRINT_LEN]);
/* The names of the fields that differ, by ", "; "the route" if that does. */
struct str fingerprint_difference(const uint8_t ours[FINGERPRINT_LEN], struct str stored,
                                  const struct fingerprint_field *fields, size_t n,
                                  struct arena *a);

/* The columns of idempotency_get.sql. */
enum {
    IDEM_FINGERPRINT,
    IDEM_SUBJECT,
    IDEM_STATUS,
    IDEM_PROVIDER_REF,
    IDEM_PROBLEM,
    IDEM_LEASE,
    IDEM_CREATED,
    IDEM_DATA,
    IDEM_PII,
    IDEM_NOW,
    IDEM_EXPIRES
};

/* Reads what is known of a key, where its place says. */
void idempotency_look(struct flow *f, struct uuid merchant, bool live, struct str key,
                      const struct idempotency_place *place, store_rows_fn *done, void *ctx);

/* Keys that were lately used through this process: a hit means that looking is cheaper than trying
 * to insert. Never the truth. */
bool idempotency_seen(struct uuid merchant, bool live, struct str key);
void idempotency_remember(struct uuid merchant, bool live, struct str key);

#endif
