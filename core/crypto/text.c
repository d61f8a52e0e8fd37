/* Hex of our own; base64 by OpenSSL, whose decoder takes blanks and counts padding as data. */
#include "core/crypto/text.h"

#include <openssl/evp.h>

void hex_add(struct buf *b, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *p = buf_room(b, bytes.n * 2);
    if (p == NULL)
        return;
    for (size_t i = 0; i < bytes.n; i++) {
        *p++ = digits[(unsigned char)bytes.p[i] >> 4];
        *p++ = digits[(unsigned char)bytes.p[i] & 15];
    }
    b->n += bytes.n * 2;
}

static int digit(char c, bool lower)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return !lower && c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_decode(struct str hex, bool lower, void *out, size_t cap)
{
    if (hex.n % 2 != 0 || hex.n / 2 > cap)
        return false;
    unsigned char *p = out;
    for (size_t i = 0; i < hex.n; i += 2) {
        int hi = digit(hex.p[i], lower), lo = digit(hex.p[i + 1], lower);
        if (hi < 0 || lo < 0)
            return false;
        *p++ = (unsigned char)(hi << 4 | lo);
    }
    return true;
}

void base64_add(struct buf *b, struct str bytes)
{
    ASSERT(bytes.n < (1u << 30));
    size_t n = (bytes.n + 2) / 3 * 4;
    char *p = buf_room(b, n + 1); /* OpenSSL ends it with NUL */
    if (p == NULL)
        return;
    (void)EVP_EncodeBlock((unsigned char *)p, (const unsigned char *)bytes.p, (int)bytes.n);
    b->n += n;
}

struct str base64_text(struct arena *a, struct str bytes)
{
    ASSERT(bytes.n < (1u << 30));
    size_t n = (bytes.n + 2) / 3 * 4;
    char *p = arena_alloc(a, n + 1);
    if (p == NULL)
        return STR_NULL;
    (void)EVP_EncodeBlock((unsigned char *)p, (const unsigned char *)bytes.p, (int)bytes.n);
    return str_n(p, n);
}

static bool base64_shape(struct str text)
{
    if (text.n == 0 || text.n % 4 != 0 || text.n > (1u << 30))
        return false;
    size_t pad = text.p[text.n - 1] == '=' ? (text.p[text.n - 2] == '=' ? 2 : 1) : 0;
    for (size_t i = 0; i < text.n - pad; i++) {
        char c = text.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '+' && c != '/')
            return false;
    }
    /* the bits that the padding leaves over are zero: one text for the same bytes */
    const char *last = pad == 2 ? "AQgw" : "AEIMQUYcgkosw048";
    return pad == 0 || strchr(last, text.p[text.n - pad - 1]) != NULL;
}

struct str base64_decode(struct arena *a, struct str text)
{
    if (!base64_shape(text))
        return STR_NULL;
    unsigned char *p = arena_alloc(a, text.n / 4 * 3 + 1);
    if (p == NULL)
        return STR_NULL;
    int n = EVP_DecodeBlock(p, (const unsigned char *)text.p, (int)text.n);
    if (n < 0)
        return STR_NULL;
    for (size_t i = text.n; i > 0 && text.p[i - 1] == '='; i--)
        n--;
    p[n] = 0;
    return str_n((const char *)p, (size_t)n);
}

void base64url_add(struct buf *b, struct str bytes)
{
    size_t from = b->n;
    base64_add(b, bytes);
    if (b->failed)
        return;
    while (b->n > from && b->p[b->n - 1] == '=')
        b->n--;
    for (size_t i = from; i < b->n; i++)
        b->p[i] = b->p[i] == '+' ? '-' : b->p[i] == '/' ? '_' : b->p[i];
}

struct str base64url_decode(struct arena *a, struct str text)
{
    if (text.n == 0 || text.n % 4 == 1 || text.n > (1u << 30))
        return STR_NULL;
    size_t n = (text.n + 3) / 4 * 4;
    char *p = arena_alloc(a, n);
    if (p == NULL)
        return STR_NULL;
    for (size_t i = 0; i < n; i++) {
        char c = i < text.n ? text.p[i] : '=';
        if (i < text.n && !ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_')
            return STR_NULL;
        p[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    return base64_decode(a, str_n(p, n));
}

void base32_add(struct buf *b, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    int n = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        bits = bits << 8 | (unsigned char)bytes.p[i];
        for (n += 8; n >= 5; n -= 5)
            buf_char(b, digits[bits >> (n - 5) & 31]);
    }
    if (n > 0)
        buf_char(b, digits[bits << (5 - n) & 31]);
}

void percent_add(struct buf *b, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        char c = bytes.p[i];
        if (ascii_is_alpha(c) || ascii_is_digit(c) || (c != '\0' && strchr("-._~", c) != NULL))
            buf_char(b, c);
        else
            buf_fmt(b, "%%%02X", (unsigned char)c);
    }
}
