#ifndef RELI_FLOW_RESEAL_H
#define RELI_FLOW_RESEAL_H

#include "core/flow/flow.h"

/* What is sealed under older data keys is sealed anew under the newest, so that they can be taken
 * away: page by page, each page a commit that also notes how far it has come. Only what is as it
 * was read is replaced. What is exchanged with providers is left out: it is dropped after its
 * retention. */

/* The job of data key `n` (reli keys rotate-data). */
void reseal_run(struct flow *f, int32_t n, loop_fn *done, void *ctx);

#endif
