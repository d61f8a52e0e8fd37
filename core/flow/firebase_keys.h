#ifndef RELI_FLOW_FIREBASE_KEYS_H
#define RELI_FLOW_FIREBASE_KEYS_H

#include "core/crypto/jwt_keys.h"
#include "core/loop/loop.h"

/* The public keys of Firebase: fetched at the start, renewed in the background before they are
 * stale, kept for a day when their publisher is away. A stranger who sends tokens with invented
 * key names causes at most one fetch a minute. */
struct firebase_keys;
struct outbound;

/* Neither life of a set nor the wait between fetches is what the publisher says beyond these. */
#define FIREBASE_KEYS_LIFE_MIN_US (60 * US_PER_S)
#define FIREBASE_KEYS_LIFE_US (300 * US_PER_S) /* when nothing is said */
#define FIREBASE_KEYS_LIFE_MAX_US US_PER_DAY
#define FIREBASE_KEYS_RETRY_US (30 * US_PER_S)  /* after a fetch that failed */
#define FIREBASE_KEYS_MISSING_US (5 * US_PER_S) /* between those that are asked for without a set \
                                                 */
#define FIREBASE_KEYS_FORCED_US US_PER_MIN
enum { FIREBASE_KEYS_WAITING = 256 };

/* `url` is kept, and fetched on the next turn. */
struct err firebase_keys_new(struct loop *l, struct outbound *out, const char *url,
                             struct firebase_keys **keys) MUST_USE;
/* No new fetch; before outbound_free. NULL is fine. */
void firebase_keys_stop(struct firebase_keys *k);
/* Those who wait get ERR_CANCELED during this call. After outbound_free. NULL is fine. */
void firebase_keys_free(struct firebase_keys *k);

/* The set that counts now; NULL if there is none, or the last one is a day old. Good until the next
 * turn. */
const struct jwt_keys *firebase_keys_now(const struct firebase_keys *k);

/* For a key that is not in the set: waits for the fetch that is under way, or starts one if there
 * may be one. `done` fires once, on a later turn: look into firebase_keys_now then. ERR_UNAVAILABLE
 * if there is no set at all, or too many wait. */
typedef void firebase_keys_fn(void *ctx, struct err err);
struct err firebase_keys_refresh(struct firebase_keys *k, firebase_keys_fn *done,
                                 void *ctx) MUST_USE;

#endif
