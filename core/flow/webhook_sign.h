#ifndef RELI_FLOW_WEBHOOK_SIGN_H
#define RELI_FLOW_WEBHOOK_SIGN_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* Standard Webhooks 1.0.0, symmetric signatures (providers/webhooks-out.md, section 1). */

enum { WEBHOOK_SECRET_MIN = 24, WEBHOOK_SECRET_MAX = 64, WEBHOOK_SECRETS_MAX = 3 };

/* "whsec_" and base64 of a new random key of 24 bytes, in the arena. */
struct str webhook_secret_make(struct arena *a);
/* The key bytes of such a text; ERR_PARSE if it is none. */
struct err webhook_secret_parse(struct str text, struct arena *a, struct str *key) MUST_USE;
/* Appends "v1,<base64> v1,<base64>": one signature per key, newest first. */
void webhook_sign(struct str id, int64_t timestamp_s, struct str body, const struct str *keys,
                  size_t n, struct buf *out);

#endif
