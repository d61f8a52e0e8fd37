/* Amounts and the ISO 4217 exponents. Never a floating point number here. */
#include "core/base/money.h"

/* ISO 4217 list one, read 2026-11: exponent + 1, so that 0 means "no such currency". */
#define E0(a, b, c) [CURRENCY(a, b, c)] = 1
#define E2(a, b, c) [CURRENCY(a, b, c)] = 3
#define E3(a, b, c) [CURRENCY(a, b, c)] = 4
static const uint8_t exponents[1 << 15] = {
    E0('B', 'I', 'F'), E0('C', 'L', 'P'), E0('D', 'J', 'F'), E0('G', 'N', 'F'), E0('I', 'S', 'K'),
    E0('J', 'P', 'Y'), E0('K', 'M', 'F'), E0('K', 'R', 'W'), E0('P', 'Y', 'G'), E0('R', 'W', 'F'),
    E0('U', 'G', 'X'), E0('V', 'N', 'D'), E0('V', 'U', 'V'), E0('X', 'A', 'F'), E0('X', 'O', 'F'),
    E0('X', 'P', 'F'), E3('B', 'H', 'D'), E3('I', 'Q', 'D'), E3('J', 'O', 'D'), E3('K', 'W', 'D'),
    E3('L', 'Y', 'D'), E3('O', 'M', 'R'), E3('T', 'N', 'D'), E2('A', 'E', 'D'), E2('A', 'F', 'N'),
    E2('A', 'L', 'L'), E2('A', 'M', 'D'), E2('A', 'O', 'A'), E2('A', 'R', 'S'), E2('A', 'U', 'D'),
    E2('A', 'W', 'G'), E2('A', 'Z', 'N'), E2('B', 'A', 'M'), E2('B', 'B', 'D'), E2('B', 'D', 'T'),
    E2('B', 'M', 'D'), E2('B', 'N', 'D'), E2('B', 'O', 'B'), E2('B', 'R', 'L'), E2('B', 'S', 'D'),
    E2('B', 'T', 'N'), E2('B', 'W', 'P'), E2('B', 'Y', 'N'), E2('B', 'Z', 'D'), E2('C', 'A', 'D'),
    E2('C', 'D', 'F'), E2('C', 'H', 'F'), E2('C', 'N', 'Y'), E2('C', 'O', 'P'), E2('C', 'R', 'C'),
    E2('C', 'U', 'P'), E2('C', 'V', 'E'), E2('C', 'Z', 'K'), E2('D', 'K', 'K'), E2('D', 'O', 'P'),
    E2('D', 'Z', 'D'), E2('E', 'G', 'P'), E2('E', 'R', 'N'), E2('E', 'T', 'B'), E2('E', 'U', 'R'),
    E2('F', 'J', 'D'), E2('F', 'K', 'P'), E2('G', 'B', 'P'), E2('G', 'E', 'L'), E2('G', 'H', 'S'),
    E2('G', 'I', 'P'), E2('G', 'M', 'D'), E2('G', 'T', 'Q'), E2('G', 'Y', 'D'), E2('H', 'K', 'D'),
    E2('H', 'N', 'L'), E2('H', 'T', 'G'), E2('H', 'U', 'F'), E2('I', 'D', 'R'), E2('I', 'L', 'S'),
    E2('I', 'N', 'R'), E2('I', 'R', 'R'), E2('J', 'M', 'D'), E2('K', 'E', 'S'), E2('K', 'G', 'S'),
    E2('K', 'H', 'R'), E2('K', 'P', 'W'), E2('K', 'Y', 'D'), E2('K', 'Z', 'T'), E2('L', 'A', 'K'),
    E2('L', 'B', 'P'), E2('L', 'K', 'R'), E2('L', 'R', 'D'), E2('L', 'S', 'L'), E2('M', 'A', 'D'),
    E2('M', 'D', 'L'), E2('M', 'G', 'A'), E2('M', 'K', 'D'), E2('M', 'M', 'K'), E2('M', 'N', 'T'),
    E2('M', 'O', 'P'), E2('M', 'R', 'U'), E2('M', 'U', 'R'), E2('M', 'V', 'R'), E2('M', 'W', 'K'),
    E2('M', 'X', 'N'), E2('M', 'Y', 'R'), E2('M', 'Z', 'N'), E2('N', 'A', 'D'), E2('N', 'G', 'N'),
    E2('N', 'I', 'O'), E2('N', 'O', 'K'), E2('N', 'P', 'R'), E2('N', 'Z', 'D'), E2('P', 'A', 'B'),
    E2('P', 'E', 'N'), E2('P', 'G', 'K'), E2('P', 'H', 'P'), E2('P', 'K', 'R'), E2('P', 'L', 'N'),
    E2('Q', 'A', 'R'), E2('R', 'O', 'N'), E2('R', 'S', 'D'), E2('R', 'U', 'B'), E2('S', 'A', 'R'),
    E2('S', 'B', 'D'), E2('S', 'C', 'R'), E2('S', 'D', 'G'), E2('S', 'E', 'K'), E2('S', 'G', 'D'),
    E2('S', 'H', 'P'), E2('S', 'L', 'E'), E2('S', 'O', 'S'), E2('S', 'R', 'D'), E2('S', 'S', 'P'),
    E2('S', 'T', 'N'), E2('S', 'V', 'C'), E2('S', 'Y', 'P'), E2('S', 'Z', 'L'), E2('T', 'H', 'B'),
    E2('T', 'J', 'S'), E2('T', 'M', 'T'), E2('T', 'O', 'P'), E2('T', 'R', 'Y'), E2('T', 'T', 'D'),
    E2('T', 'W', 'D'), E2('T', 'Z', 'S'), E2('U', 'A', 'H'), E2('U', 'S', 'D'), E2('U', 'Y', 'U'),
    E2('U', 'Z', 'S'), E2('V', 'E', 'S'), E2('W', 'S', 'T'), E2('X', 'C', 'D'), E2('X', 'C', 'G'),
    E2('Y', 'E', 'R'), E2('Z', 'A', 'R'), E2('Z', 'M', 'W'), E2('Z', 'W', 'G'),
};

uint16_t currency_parse(struct str code)
{
    if (code.n != 3)
        return 0;
    uint16_t c = 0;
    for (size_t i = 0; i < 3; i++) {
        if (code.p[i] < 'A' || code.p[i] > 'Z')
            return 0;
        c = (uint16_t)(c << 5 | (code.p[i] - 'A' + 1));
    }
    return exponents[c] != 0 ? c : 0;
}

bool currency_known(uint16_t currency)
{
    return currency < COUNT_OF(exponents) && exponents[currency] != 0;
}

int currency_exponent(uint16_t currency)
{
    ASSERT(currency_known(currency));
    return exponents[currency] - 1;
}

struct str currency_list(int exponent, struct arena *a)
{
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(exponents); i++)
        n += exponents[i] == exponent + 1;
    char *text = ARENA_ARRAY(a, char, n *CURRENCY_TEXT + 1);
    struct str out = {text, 0};
    for (size_t i = 0; i < COUNT_OF(exponents) && text != NULL; i++) {
        if (exponents[i] != exponent + 1)
            continue;
        currency_text((uint16_t)i, text + out.n);
        text[out.n + CURRENCY_TEXT - 1] = ' ';
        out.n += CURRENCY_TEXT;
    }
    return out;
}

const char *currency_text(uint16_t currency, char out[CURRENCY_TEXT])
{
    for (int i = 0; i < 3; i++)
        out[i] = (char)('A' - 1 + ((currency >> (10 - 5 * i)) & 31));
    out[3] = '\0';
    return out;
}

struct err money_parse(struct str text, uint16_t currency, struct money *out)
{
    int exponent = currency_exponent(currency);
    int decimals = -1; /* -1 before the point */
    size_t digits = 0;
    bool large = false; /* told only of a text that is an amount */
    int64_t v = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '.') {
            if (decimals >= 0 || digits == 0)
                return ERR(PARSE, "not a decimal amount");
            decimals = 0;
            continue;
        }
        if (!ascii_is_digit(c))
            return ERR(PARSE, "not a decimal amount");
        digits++;
        if (decimals >= 0 && ++decimals > exponent)
            return ERR(PARSE, "too many decimals for the currency");
        large = large || v > MONEY_MAX / 10;
        v = large ? v : v * 10 + (c - '0');
    }
    if (digits == 0 || decimals == 0)
        return ERR(PARSE, "not a decimal amount");
    for (int i = decimals < 0 ? 0 : decimals; i < exponent; i++) {
        large = large || v > MONEY_MAX / 10;
        v = large ? v : v * 10;
    }
    if (large || v > MONEY_MAX)
        return ERR(LIMIT, "amount too large");
    *out = (struct money){v, currency};
    return ERR_OK;
}

const char *money_text(struct money m, char out[MONEY_TEXT])
{
    int exponent = currency_exponent(m.currency);
    char *p = out + MONEY_TEXT - 1;
    *p = '\0';
    uint64_t u = m.minor < 0 ? 0 - (uint64_t)m.minor : (uint64_t)m.minor;
    int n = 0;
    do {
        if (n == exponent && exponent > 0)
            *--p = '.';
        *--p = (char)('0' + u % 10);
        u /= 10;
        n++;
    } while (u != 0 || n <= exponent);
    if (m.minor < 0)
        *--p = '-';
    memmove(out, p, (size_t)(out + MONEY_TEXT - p));
    return out;
}

bool money_add(struct money a, struct money b, struct money *out)
{
    ASSERT(a.currency == b.currency);
    int64_t v;
    if (__builtin_add_overflow(a.minor, b.minor, &v))
        return false;
    *out = (struct money){v, a.currency};
    return true;
}
