/* UUID version 7: ids that sort by time, so that indexes grow at their right end. */
#include "core/base/uuid.h"

struct uuid uuid_v7(struct uuid_gen *g, int64_t wall_us, const uint8_t random[10])
{
    int64_t ms = wall_us / 1000;
    if (ms > g->last_ms) {
        g->last_ms = ms;
        /* starts in the lower half, so that a burst in one millisecond has room to count up */
        g->counter = ((uint32_t)random[8] << 8 | random[9]) & 0x7ff;
    } else if (++g->counter > 0xfff) {
        g->last_ms++;
        g->counter = 0;
    }
    uint64_t t = (uint64_t)g->last_ms;
    struct uuid u;
    for (int i = 0; i < 6; i++)
        u.b[i] = (uint8_t)(t >> (40 - 8 * i));
    u.b[6] = (uint8_t)(0x70 | g->counter >> 8);
    u.b[7] = (uint8_t)g->counter;
    memcpy(u.b + 8, random, 8);
    u.b[8] = (uint8_t)(0x80 | (u.b[8] & 0x3f));
    return u;
}

int64_t uuid_v7_ms(struct uuid u)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | u.b[i];
    return ms;
}

struct uuid uuid_v7_floor(int64_t wall_ms)
{
    struct uuid u = UUID_NIL;
    uint64_t since_1970 = wall_ms > 0 ? (uint64_t)wall_ms : 0; /* no id is older */
    for (int i = 0; i < 6; i++)
        u.b[i] = (uint8_t)(since_1970 >> (40 - 8 * i));
    u.b[6] = 0x70;
    u.b[8] = 0x80;
    return u;
}

struct uuid uuid_next(struct uuid u)
{
    for (size_t i = sizeof u.b; i-- > 0;)
        if (++u.b[i] != 0)
            break;
    return u;
}

const char *uuid_text(struct uuid u, char out[UUID_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[u.b[i] >> 4];
        *p++ = hex[u.b[i] & 15];
    }
    *p = '\0';
    return out;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool uuid_parse(struct str text, struct uuid *out)
{
    if (text.n != 36)
        return false;
    struct uuid u;
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (at == 8 || at == 13 || at == 18 || at == 23)
            if (text.p[at++] != '-')
                return false;
        int hi = hex_value(text.p[at]), lo = hex_value(text.p[at + 1]);
        if (hi < 0 || lo < 0)
            return false;
        u.b[i] = (uint8_t)(hi << 4 | lo);
        at += 2;
    }
    *out = u;
    return true;
}
