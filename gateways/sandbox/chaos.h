#ifndef RELI_GATEWAYS_SANDBOX_CHAOS_H
#define RELI_GATEWAYS_SANDBOX_CHAOS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/codec/fields.h"
#include "core/codec/jsonw.h"

enum { CHAOS_URL = 512 };

/* What an experimenter may turn. Rates are per mille. */
struct chaos {
    int64_t fail_rate;          /* HTML 500, nothing done */
    int64_t reset_rate;         /* connection cut, nothing done */
    int64_t drop_answer_rate;   /* all done, then the connection cut instead of the answer */
    int64_t callback_loss_rate; /* never sent */
    int64_t callback_dup_rate;  /* sent twice */
    int64_t answer_min_ms, answer_max_ms; /* every answer waits that long */
    bool down;                            /* every connection cut, nothing done */
    int64_t spike_limit_per_s;            /* requests per second and provider; 0 is no limit */
    int64_t seed;                         /* of the dice */
    int64_t delay_ms;                     /* until the customer has acted */
    int64_t timeout_delay_ms;             /* until a prompt that nobody answers ends */
    int64_t late_delay_s;                 /* until a late success */
    int64_t slow_answer_ms;               /* of outcomes whose answer comes too late */
    int64_t token_life_s;
    bool token_single;             /* a new token ends the older ones */
    int64_t timestamp_tolerance_s; /* 0: any timestamp will do */
    bool refund_outcomes;          /* the refund's amount chooses its outcome */
    int64_t cpay_delay_ms;         /* until CPay's payers have acted */
    char cpay_webhook_url[CHAOS_URL];
    char stripe_webhook_url[CHAOS_URL];
};

struct chaos chaos_default(void);
/* Copies a URL; false if it is none, or too long. "" is taken: nobody is told. */
bool chaos_url(struct str url, char out[CHAOS_URL]);
/* Takes over the members of `obj`; faults are collected in `errors`, and `c` is then unchanged. */
void chaos_change(struct chaos *c, const struct json *obj, struct field_errors *errors);
/* An object with every setting, as chaos_change would take it. */
void chaos_print(const struct chaos *c, struct jsonw *w);

/* Pseudo-random numbers that a seed repeats. */
struct dice {
    uint64_t state;
};
void dice_seed(struct dice *d, int64_t seed);
/* True `permille` times in a thousand. 0 and 1000 don't draw a number. */
bool dice_hit(struct dice *d, int64_t permille);
/* min … max, both included. */
int64_t dice_between(struct dice *d, int64_t min, int64_t max);

#endif
