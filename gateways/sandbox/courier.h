#ifndef RELI_GATEWAYS_SANDBOX_COURIER_H
#define RELI_GATEWAYS_SANDBOX_COURIER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/codec/jsonw.h"
#include "core/loop/loop.h"
#include "gateways/sandbox/journal.h"

/* Brings callbacks to the gateway under test and keeps a record of them. No retries: M-Pesa
 * promises none (providers/mpesa.md, section 2.2); who promises them sends again. */
enum { COURIER_KEEP = 200000, PARCEL_HEADERS = 2 };

/* What is to be brought; copied where it is kept. */
struct parcel {
    const char *provider; /* static, like result_code */
    const char *result_code;
    const char *id; /* the charge's, whatever the body says */
    const char *url;
    const char *url_hash;
    int64_t booking; /* book.h, or minus the number in payback.h; passed to `answered` */
    int64_t tag;     /* the provider's own, likewise; 0 none */
    const char *headers[PARCEL_HEADERS]; /* "Name: value"; NULL none */
};

/* What became of a parcel. */
struct delivery {
    const char *provider;
    int64_t booking, tag;
    int status;      /* of HTTP; 0: no answer */
    struct str body; /* of the answer; borrowed, cut to 4 KiB */
};

/* A callback was answered, or finally was not. */
typedef void courier_fn(void *ctx, const struct delivery *d);

struct courier;
struct err courier_new(struct loop *l, courier_fn *answered, void *ctx,
                       struct courier **out) MUST_USE;
/* Forgets the record and what is on its way: `answered` does not fire for that. */
void courier_reset(struct courier *c);
/* NULL is fine. */
void courier_free(struct courier *c);

/* Sends a JSON body. ERR_OVERLOADED: nothing done or recorded, try again soon. A URL that cannot be
 * used is recorded as failed and is no error. */
struct err courier_send(struct courier *c, const struct parcel *p, struct str body) MUST_USE;
/* Records a callback that is lost on its way. */
void courier_lose(struct courier *c, const struct parcel *p);
/* {"total","sent","answered","lost","failed","in_flight","data"}, the newest `limit`, oldest
 * first. */
void courier_print(const struct courier *c, struct str id, int64_t limit, struct jsonw *w);

#endif
