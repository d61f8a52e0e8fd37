#ifndef RELI_FLOW_WEBHOOK_SIGN_H
#define RELI_FLOW_WEBHOOK_SIGN_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* Standard Webhooks 1.0.0 (providers/webhooks-out.md, section 1): signatures with a shared secret
 * ("whsec_", v1), and with a private key that the receiver does not have ("whsk_", v1a).
 *
 * An endpoint's keys are kept as texts by blanks, newest first; "@1790000000" behind one says until
 * when it signs along after it has been replaced. */

enum {
    WEBHOOK_SECRET_MIN = 24,
    WEBHOOK_SECRET_MAX = 64,
    WEBHOOK_SECRETS_MAX = 3, /* shared ones at the same time */
    WEBHOOK_KEYS_MAX = 2 * WEBHOOK_SECRETS_MAX,
};

struct webhook_key {
    struct str bytes; /* of the secret, or the seed */
    bool is_private;  /* Ed25519 */
    int64_t until_s;  /* 0: it has not been replaced */
};

/* "whsec_" and base64 of a new random key of 24 bytes, in the arena. */
struct str webhook_secret_make(struct arena *a);
/* "whsk_" and base64 of a new key pair, seed and public key; {NULL,0} on failure. */
struct str webhook_private_make(struct arena *a);
/* "whpk_" and base64 of the public key of the first whsk_ in `keys`; {NULL,0} if there is none. */
struct str webhook_public_text(struct arena *a, struct str keys);
/* One such text; ERR_PARSE if it is none. */
struct err webhook_key_parse(struct str text, struct arena *a, struct webhook_key *key) MUST_USE;
/* The keys after a rotation: new ones for those in `keys`, which sign along until `until_s`. What
 * has run out, and more than WEBHOOK_SECRETS_MAX of a kind, is left out. `*secret` is the new
 * shared one. {NULL,0} without memory. */
struct str webhook_keys_rotated(struct arena *a, struct str keys, int64_t now_s, int64_t until_s,
                                struct str *secret);
/* Reads all of `texts` that sign at `now_s`. */
struct err webhook_keys_parse(struct str texts, int64_t now_s, struct arena *a,
                              struct webhook_key keys[WEBHOOK_KEYS_MAX], size_t *n) MUST_USE;
/* Appends "v1,<base64> v1,<base64> v1a,<base64>": one signature per key, in their order. */
void webhook_sign(struct str id, int64_t timestamp_s, struct str body,
                  const struct webhook_key *keys, size_t n, struct buf *out);

#endif
