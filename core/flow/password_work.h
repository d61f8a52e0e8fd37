#ifndef RELI_FLOW_PASSWORD_WORK_H
#define RELI_FLOW_PASSWORD_WORK_H

#include "core/crypto/password.h"
#include "core/loop/loop.h"

/* Hashing and checking of passwords off the loop: PASSWORDS_AT_ONCE threads and so many times 19
 * MiB, PASSWORDS_WAITING that wait at most PASSWORDS_WAIT_US. */
enum { PASSWORDS_AT_ONCE = 4, PASSWORDS_WAITING = 64 };
#define PASSWORDS_WAIT_US (10 * US_PER_S)

struct passwords;

struct err passwords_new(struct loop *l, struct passwords **out) MUST_USE;
/* Those who wait for an answer get ERR_CANCELED during this call; loop_run has to follow. NULL is
 * fine. */
void passwords_free(struct passwords *p);

/* `done` fires once, on a later turn: ERR_INVALID if the password does not fit (password.h),
 * ERR_OVERLOADED if no thread was free in time. The hash lives during the call. The password is
 * copied, and wiped afterwards. ERR_OVERLOADED, ERR_NO_MEMORY at once: `done` is not called. */
typedef void password_hash_fn(void *ctx, struct err err, struct str hash);
struct err password_hash_start(struct passwords *p, struct str password, password_hash_fn *done,
                               void *ctx) MUST_USE;

/* The same for a check. An empty `hash` is a user that does not exist: it takes as long, and is
 * wrong. */
typedef void password_check_fn(void *ctx, struct err err, bool right);
struct err password_check_start(struct passwords *p, struct str password, struct str hash,
                                password_check_fn *done, void *ctx) MUST_USE;

#endif
