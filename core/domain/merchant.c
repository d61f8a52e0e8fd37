/* States of a merchant, and what each means for who acts for it. */
#include "core/domain/merchant.h"

#include "core/domain/permission.h"

static const struct {
    const char *word;
    unsigned next;
} states[MERCHANT_N] = {
#define X(name, word, next) [MERCHANT_##name] = {word, next},
    MERCHANT_STATES(X)
#undef X
};

const char *merchant_word(enum merchant_status s)
{
    return states[s].word;
}

bool merchant_parse(struct str word, enum merchant_status *s)
{
    for (enum merchant_status i = 0; i < MERCHANT_N; i++)
        if (str_eq(word, str_c(states[i].word))) {
            *s = i;
            return true;
        }
    return false;
}

bool merchant_may_become(enum merchant_status from, enum merchant_status to)
{
    return (states[from].next & (1u << to)) != 0;
}

struct merchant_hold merchant_holds(enum merchant_status s, int64_t kyc_level, bool live,
                                    bool staff)
{
    uint64_t money = permission_bit(PERM_PAYMENTS_WRITE) | permission_bit(PERM_PAYOUTS_WRITE);
    uint64_t reading = permission_of_reading();
    if (s == MERCHANT_SUSPENDED)
        return (struct merchant_hold){
            staff ? money : ~(reading | permission_bit(PERM_REFUNDS_WRITE)), ERR_MERCHANT_SUSPENDED,
            "The merchant is suspended: it can be read, and what it was paid be refunded."};
    if (s == MERCHANT_CLOSED)
        return (struct merchant_hold){staff ? money : ~reading, ERR_MERCHANT_CLOSED,
                                      "The merchant is closed: it can only be read."};
    if (live && (s != MERCHANT_ACTIVE || kyc_level < 1))
        return (struct merchant_hold){
            money, ERR_FORBIDDEN, "Live mode needs an active merchant whose papers are approved."};
    return (struct merchant_hold){0, ERR_NONE, NULL};
}
