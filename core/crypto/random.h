#ifndef RELI_CRYPTO_RANDOM_H
#define RELI_CRYPTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/uuid.h"

/* The one source of randomness: the kernel's, through a small buffer. Aborts if the kernel has
 * none. Tests and the simulation put another source in its place with random_source(). */
void random_bytes(void *out, size_t n);
uint64_t random_u64(void);
/* Uniform in 0 … below - 1. */
uint32_t random_below(uint32_t below);
/* A version 7 UUID of the moment `wall_us`, greater than all before it in this process. */
struct uuid random_uuid(int64_t wall_us);

typedef void random_fn(void *out, size_t n);
/* NULL puts the kernel back. */
void random_source(random_fn *fn);

#endif
