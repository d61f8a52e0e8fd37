/* How an item of the operators' queue may end, as a table. */
#include "core/domain/exception.h"

#include <stddef.h>

static const char *const words[RESOLUTION_N] = {
#define X(name, word) [RESOLUTION_##name] = word,
    EXCEPTION_RESOLUTIONS(X)
#undef X
};

#define MAY(r) (1u << RESOLUTION_##r)
#define OUTCOME (MAY(COMPLETED) | MAY(FAILED))
#define MONEY (MAY(KEPT) | MAY(RETURNED))

/* clang-format off */
static const struct {
    const char *kind;
    unsigned waiting, settled; /* with and without money in `unallocated` */
} endings[] = {
    {"stuck",             OUTCOME,         OUTCOME},
    {"integrity_failure", OUTCOME | MONEY, OUTCOME | MAY(NOTED)},
    {"double_success",    MONEY,           MAY(NOTED)},
    {"unallocated",       MONEY,           0},
    {"double_refund",     MAY(NOTED),      MAY(NOTED)},
    {"refund_manual",     OUTCOME,         OUTCOME},
    {"refund_late",       MAY(NOTED),      MAY(NOTED)},
    {"payout_late",       MAY(NOTED),      MAY(NOTED)},
    {"double_payout",     MAY(NOTED),      MAY(NOTED)},
    {"refund_revoked",    MAY(NOTED),      MAY(NOTED)},
    {"reversed",          MAY(NOTED),      MAY(NOTED)},
    {"dispute",           MAY(NOTED),      MAY(NOTED)},
    {"receipt_taken",     MAY(NOTED),      MAY(NOTED)},
    {"callback_dead",     MAY(NOTED),      MAY(NOTED)},
    {"endpoint_disabled", MAY(NOTED),      MAY(NOTED)},
    {"sig_forged",        MAY(NOTED),      MAY(NOTED)},
};
/* clang-format on */

const char *resolution_word(enum exception_resolution r)
{
    ASSERT((unsigned)r < RESOLUTION_N);
    return words[r];
}

bool resolution_parse(struct str word, enum exception_resolution *out)
{
    for (int i = 0; i < RESOLUTION_N; i++) {
        if (str_eq(word, str_c(words[i]))) {
            *out = (enum exception_resolution)i;
            return true;
        }
    }
    return false;
}

bool resolution_needs_two(enum exception_resolution r)
{
    return r != RESOLUTION_NOTED;
}

bool exception_may_end(struct str kind, bool waiting, enum exception_resolution r)
{
    for (size_t i = 0; i < COUNT_OF(endings); i++)
        if (str_eq(kind, str_c(endings[i].kind)))
            return ((waiting ? endings[i].waiting : endings[i].settled) >> r & 1u) != 0;
    return false;
}
