/* How Stripe counts: in smallest units of its own, which are not those of ISO 4217 everywhere.
 * Source: docs.stripe.com, currencies, read 2026-11. Seen: sandbox yes, live no. */
#include "core/base/money.h"

#include "gateways/stripe.h"

enum { AMOUNT_MAX = 99999999 }; /* eight digits */

static const uint16_t zero_decimal[] = {
    CURRENCY('B', 'I', 'F'), CURRENCY('C', 'L', 'P'), CURRENCY('D', 'J', 'F'),
    CURRENCY('G', 'N', 'F'), CURRENCY('J', 'P', 'Y'), CURRENCY('K', 'M', 'F'),
    CURRENCY('K', 'R', 'W'), CURRENCY('M', 'G', 'A'), CURRENCY('P', 'Y', 'G'),
    CURRENCY('R', 'W', 'F'), CURRENCY('V', 'N', 'D'), CURRENCY('V', 'U', 'V'),
    CURRENCY('X', 'A', 'F'), CURRENCY('X', 'O', 'F'), CURRENCY('X', 'P', 'F'),
};

/* The last digit has to be 0. */
static const uint16_t three_decimal[] = {
    CURRENCY('B', 'H', 'D'), CURRENCY('J', 'O', 'D'), CURRENCY('K', 'W', 'D'),
    CURRENCY('O', 'M', 'R'), CURRENCY('T', 'N', 'D'),
};

static bool is_in(uint16_t currency, const uint16_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == currency)
            return true;
    return false;
}

/* Without decimals of their own, and yet sent with two, which have to be 00: UGX and ISK. Stripe
 * names UGX among the zero-decimal ones as well; which rule an account sees has to be tried with a
 * test key before it is used live. */
int64_t stripe_ugx_decimals = 2;

static int decimals(uint16_t currency)
{
    if (currency == CURRENCY('U', 'G', 'X'))
        return (int)stripe_ugx_decimals;
    if (is_in(currency, zero_decimal, COUNT_OF(zero_decimal)))
        return 0;
    return is_in(currency, three_decimal, COUNT_OF(three_decimal)) ? 3 : 2;
}

static int64_t power(int n)
{
    return n <= 0 ? 1 : 10 * power(n - 1);
}

struct err stripe_amount_of(struct money in, int64_t *out)
{
    if (in.currency == 0 || !currency_known(in.currency) || in.minor <= 0)
        return ERR(INVALID, "not an amount");
    int shift = decimals(in.currency) - currency_exponent(in.currency);
    if (in.minor % power(-shift) != 0)
        return ERR(INVALID, "Stripe takes fewer decimals of this currency");
    int64_t units = in.minor / power(-shift);
    if (units > AMOUNT_MAX / power(shift))
        return ERR(INVALID, "above Stripe's largest amount");
    units *= power(shift);
    if (decimals(in.currency) == 3 && units % 10 != 0)
        return ERR(INVALID, "Stripe takes two decimals of this currency only");
    *out = units;
    return ERR_OK;
}

bool stripe_amount_read(int64_t amount, struct str currency, struct money *out)
{
    char upper[3];
    if (currency.n != sizeof upper || amount <= 0 || amount > MONEY_MAX / 1000)
        return false;
    for (size_t i = 0; i < sizeof upper; i++) {
        if (currency.p[i] < 'a' || currency.p[i] > 'z')
            return false;
        upper[i] = ascii_upper(currency.p[i]);
    }
    struct money m = {.currency = currency_parse(str_n(upper, sizeof upper))};
    if (m.currency == 0)
        return false;
    int shift = currency_exponent(m.currency) - decimals(m.currency);
    if (amount % power(-shift) != 0)
        return false;
    m.minor = amount / power(-shift) * power(shift);
    *out = m;
    return true;
}
