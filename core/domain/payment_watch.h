#ifndef RELI_DOMAIN_PAYMENT_WATCH_H
#define RELI_DOMAIN_PAYMENT_WATCH_H

#include "core/domain/payment.h"

/* When a provider is asked what became of an attempt: the phase follows from the states of payment
 * and attempt, the moment from the phase's schedule. For payment.c only. */
enum watch {
    WATCH_NONE,  /* decided, or there is nothing to ask by */
    WATCH_POLL,  /* undecided: rules->poll, the last wait repeats; jittered */
    WATCH_RECON, /* in reconciliation: rules->recon, then the operator only; jittered */
    WATCH_LATE,  /* the payment has ended: rules->late_watch, each wait from the end */
};

enum watch watch_of(const struct payment *p, const struct attempt *a);

/* Enters the phase that now holds: no question asked yet, the first one planned. */
void watch_start(const struct payment *p, struct attempt *a, const struct payment_rules *rules,
                 int64_t now_us, uint32_t random);
/* A question is due. */
bool watch_due(const struct payment *p, const struct attempt *a, int64_t now_us);
/* The question is being asked: counts it and plans the next one, which is after `now_us`. */
void watch_asked(const struct payment *p, struct attempt *a, const struct payment_rules *rules,
                 int64_t now_us, uint32_t random);
/* The provider has answered without deciding: the wait starts again. False if nothing moved. */
bool watch_put_off(const struct payment *p, struct attempt *a, const struct payment_rules *rules,
                   int64_t now_us, uint32_t random);

#endif
