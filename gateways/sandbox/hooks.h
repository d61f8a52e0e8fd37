#ifndef RELI_GATEWAYS_SANDBOX_HOOKS_H
#define RELI_GATEWAYS_SANDBOX_HOOKS_H

#include "core/base/buf.h"
#include "gateways/sandbox/sandbox_int.h"

/* Signed events of a provider's, which it sends until somebody says 2xx: after 0.5, 1, 2, 4, 8, 15
 * and 30 seconds, each time with a new signature. What a body and a signature look like is the
 * provider's. */

enum { HOOK_HEADERS = 2, HOOK_HEADER_TEXT = 512 };

struct hook_headers {
    char text[HOOK_HEADERS][HOOK_HEADER_TEXT]; /* "Name: value", "" none */
};

/* Signs; `forged`: with a secret of nobody's. False: no room. */
typedef bool hook_sign_fn(void *ctx, struct str event_id, struct str body, bool forged,
                          struct hook_headers *out);

struct hooks {
    struct sandbox *s;
    const char *provider; /* static */
    const char *url;      /* where they go, "" nowhere; of the settings, so that it changes */
    hook_sign_fn *sign;
    void *ctx;
    struct hook *list; /* by number */
};

/* Something that happened; `type` and `object_id` name it in the record. */
struct hook_news {
    const char *type; /* static */
    const char *object_id, *url_hash;
    int64_t booking;            /* as parcel.booking */
    bool silent, twice, forged; /* forged: first with a wrong signature */
    int64_t after_us;
};

/* One copy of the event, and its id. */
typedef void hook_body_fn(void *ctx, struct buf *out, char event_id[CALL_ID]);

/* Starts to tell it, or loses it, as settings and dice want. */
void hooks_tell(struct hooks *h, const struct hook_news *n, hook_body_fn *body, void *ctx);
/* What became of one, by the number that the parcel carried. */
void hooks_delivered(struct hooks *h, const struct delivery *d);
void hooks_drop(struct hooks *h);

#endif
