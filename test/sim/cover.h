#ifndef RELI_SIM_COVER_H
#define RELI_SIM_COVER_H

#include <stdbool.h>
#include <stdint.h>

/* Prints how often each row of the machines' tables was taken; false if one that can be was taken
 * less than `least` times, or one that is said to be closed was taken. */
bool cover_print(uint64_t least);

/* The same of one machine. */
bool cover_print_payments(uint64_t least);
bool cover_print_refunds(uint64_t least);

/* One row: prints it, false if it is not as it should be. `why` tells why it cannot be taken, NULL:
 * it can. `words` are those of the `n` states. */
struct cover_row {
    uint32_t from;
    int to; /* n: it stays */
    const char *on, *why;
    uint64_t taken;
};
bool cover_row(const struct cover_row *row, const char *const *words, int n, uint64_t least);

#endif
