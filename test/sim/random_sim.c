/* core/crypto/random.h from the world's seed, and one source of ids per process. */
#include "core/crypto/random.h"

#include <string.h>

#include "test/sim/world.h"

uint64_t random_u64(void)
{
    uint64_t z = w.random_app += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void random_bytes(void *out, size_t n)
{
    unsigned char *p = out;
    while (n > 0) {
        uint64_t v = random_u64();
        size_t part = n < sizeof v ? n : sizeof v;
        memcpy(p, &v, part);
        p += part;
        n -= part;
    }
}

uint32_t random_below(uint32_t below)
{
    return (uint32_t)(((random_u64() >> 32) * below) >> 32);
}

struct uuid random_uuid(int64_t wall_us)
{
    static struct uuid_gen outside;
    uint8_t bytes[10];
    random_bytes(bytes, sizeof bytes);
    return uuid_v7(w.current != NULL ? &w.current->uuids : &outside, wall_us, bytes);
}
