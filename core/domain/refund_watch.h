#ifndef RELI_DOMAIN_REFUND_WATCH_H
#define RELI_DOMAIN_REFUND_WATCH_H

#include "core/domain/refund.h"

/* When a provider is asked what became of an attempt to refund: by rules->poll while the refund is
 * under way (the last wait repeats), else by rules->recon, and when that is used up by an operator
 * only. For refund.c only. */

/* There is something to ask about, and a reference to ask by: what is open, or has failed and was
 * said to have succeeded since. */
bool rail_asked_about(const struct rail_attempt *a);
/* What has failed is said to have succeeded: to be asked about at once, until it is sure. False if
 * that is planned already. */
bool rail_watch_doubt(struct rail_attempt *a, int64_t now_us);
/* It has failed, as the provider says now. False if nobody doubted it. */
bool rail_watch_sure(struct rail_attempt *a);
/* Enters the phase that now holds: no question asked yet, the first one planned. */
void rail_watch_start(const struct refund *r, struct rail_attempt *a,
                      const struct refund_rules *rules, int64_t now_us, uint32_t random);
void rail_watch_all(struct refund *r, const struct refund_rules *rules, int64_t now_us,
                    uint32_t random);
/* The question is being asked: counts it and plans the next one, which is after `now_us`. */
void rail_watch_asked(const struct refund *r, struct rail_attempt *a,
                      const struct refund_rules *rules, int64_t now_us, uint32_t random);
/* The provider has answered without deciding: the wait starts again. False if nothing moved. */
bool rail_watch_put_off(const struct refund *r, struct rail_attempt *a,
                        const struct refund_rules *rules, int64_t now_us, uint32_t random);

#endif
