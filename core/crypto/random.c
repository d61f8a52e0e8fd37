/* Randomness from getrandom(2), fetched some kilobytes at a time: ids need ten bytes each, and
 * a payment some hundred. */
#include "core/crypto/random.h"

#include <string.h>
#include <sys/random.h>

#include "core/base/attr.h"

enum { DIRECT = 128 };

static unsigned char pool[4096];
static size_t pool_left;
static random_fn *other;

static void from_kernel(unsigned char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        ASSERT(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

void random_source(random_fn *fn)
{
    other = fn;
}

void random_bytes(void *out, size_t n)
{
    if (other != NULL) {
        other(out, n);
        return;
    }
    if (n > DIRECT) {
        from_kernel(out, n);
        return;
    }
    if (pool_left < n) {
        from_kernel(pool, sizeof pool);
        pool_left = sizeof pool;
    }
    pool_left -= n;
    memcpy(out, pool + pool_left, n);
    explicit_bzero(pool + pool_left, n);
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}

uint32_t random_below(uint32_t below)
{
    ASSERT(below > 0);
    uint64_t wide = (random_u64() >> 32) * below; /* bias below 2^-32: nothing here is a lottery */
    return (uint32_t)(wide >> 32);
}

struct uuid random_uuid(int64_t wall_us)
{
    static struct uuid_gen gen;
    uint8_t bytes[10];
    random_bytes(bytes, sizeof bytes);
    return uuid_v7(&gen, wall_us, bytes);
}
