/* The chunk guard. llhttp 8.1 takes bare CR in chunk extensions and trailers and reads extensions
 * without end (CVE-2024-22019): framing is decided here, llhttp only has to agree. */
#include "http/chunk.h"

enum { OVERHEAD_MAX = 16 * 1024, OVERHEAD_PER_BYTE = 8 };

static bool step(struct chunk_guard *g, char c);

enum chunk_status chunk_feed(struct chunk_guard *g, struct str bytes, size_t *used)
{
    size_t i = 0;
    while (i < bytes.n && g->state != CHUNK_END) {
        if (g->state == CHUNK_DATA) {
            size_t n = bytes.n - i < g->left ? bytes.n - i : (size_t)g->left;
            g->left -= n;
            g->body += n;
            i += n;
            if (g->left == 0)
                g->state = CHUNK_DATA_CR;
            continue;
        }
        g->overhead++;
        if (!step(g, bytes.p[i++]) || g->overhead > OVERHEAD_MAX + OVERHEAD_PER_BYTE * g->body) {
            *used = i;
            return CHUNK_BAD;
        }
    }
    *used = i;
    return g->state == CHUNK_END ? CHUNK_DONE : CHUNK_MORE;
}

static int hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    char l = ascii_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static bool is_value_byte(char c)
{
    unsigned char u = (unsigned char)c;
    return u == '\t' || (u >= 0x20 && u != 0x7f);
}

static bool size_digit(struct chunk_guard *g, int value)
{
    g->left = g->left * 16 + (unsigned)value;
    g->state = CHUNK_SIZE_MORE;
    return ++g->digits <= 8;
}

/* Goes on if `c` is what has to come now. */
static bool expect(struct chunk_guard *g, char c, char wanted, enum chunk_state to)
{
    g->state = to;
    return c == wanted;
}

static bool size_ended(struct chunk_guard *g, char c)
{
    g->last = g->left == 0;
    g->digits = 0;
    return expect(g, c, '\n', g->last ? CHUNK_TRAILER_FIRST : CHUNK_DATA);
}

/* One byte of anything but data; false if it must not stand there. */
static bool step(struct chunk_guard *g, char c)
{
    int value;
    switch (g->state) {
    case CHUNK_SIZE_FIRST:
        value = hex_value(c);
        return value >= 0 && size_digit(g, value);
    case CHUNK_SIZE_MORE:
        value = hex_value(c);
        if (value >= 0)
            return size_digit(g, value);
        g->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
        return c == '\r' || c == ';';
    case CHUNK_EXTENSION:
        if (c == '\r')
            g->state = CHUNK_SIZE_LF;
        return c == '\r' || is_value_byte(c);
    case CHUNK_SIZE_LF:
        return size_ended(g, c);
    case CHUNK_DATA_CR:
        return expect(g, c, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        return expect(g, c, '\n', CHUNK_SIZE_FIRST);
    case CHUNK_TRAILER_FIRST:
        g->has_colon = false;
        g->state = c == '\r' ? CHUNK_LAST_LF : CHUNK_TRAILER;
        return c == '\r' || (is_value_byte(c) && c != ' ' && c != '\t' && c != ':');
    case CHUNK_TRAILER:
        g->has_colon = g->has_colon || c == ':';
        if (c == '\r')
            g->state = CHUNK_TRAILER_LF;
        return c == '\r' ? g->has_colon : is_value_byte(c);
    case CHUNK_TRAILER_LF:
        return expect(g, c, '\n', CHUNK_TRAILER_FIRST);
    case CHUNK_LAST_LF:
        return expect(g, c, '\n', CHUNK_END);
    case CHUNK_DATA:
    case CHUNK_END:
        break;
    }
    return false;
}
