#ifndef RELI_GATEWAYS_SIGNATURE_H
#define RELI_GATEWAYS_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/attr.h"
#include "core/base/str.h"

/* Webhook signatures as several providers make them: "t=<seconds>,v1=<hex>[,v1=<hex>]", each v1 the
 * HMAC-SHA256 of "<t>.<body>". Parts of another name are for others. */

enum { SIGNATURE_MACS_MAX = 16 };

struct signature_claim {
    struct str time;
    size_t n;
    struct str macs[SIGNATURE_MACS_MAX];
};

/* Into texts of `header`. False for none, two times, a header above header_max bytes, or more than
 * macs_max signatures (at most SIGNATURE_MACS_MAX). */
bool signature_read(struct str header, size_t header_max, size_t macs_max,
                    struct signature_claim *out) MUST_USE;
/* Whether the time that is claimed is within tolerance_s seconds of now, either way. */
bool signature_in_time(const struct signature_claim *c, int64_t tolerance_s,
                       int64_t now_us) MUST_USE;
/* Whether one of the signatures was made with the secret, used as the bytes of its text. Takes the
 * same time whichever it is. */
bool signature_fits(const struct signature_claim *c, struct str secret, struct str body) MUST_USE;

#endif
