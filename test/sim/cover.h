#ifndef RELI_SIM_COVER_H
#define RELI_SIM_COVER_H

#include <stdbool.h>
#include <stdint.h>

/* What a run has reached, counted as passed and failed. */
void cover_note(const char *what, bool good);
void cover_total(uint64_t *passed, uint64_t *failed);

/* Prints how often each row of the machines' tables was taken. `least` above 0: fails each that was
 * taken less often, though it can be; 0: fails if a tenth of them was not taken at all. Fails what
 * is said to be closed and was taken. */
void cover_print(uint64_t least);

/* One row. `why` tells why it cannot be taken, NULL: it can. `words` are those of the `n` states.
 */
struct cover_row {
    uint32_t from;
    int to; /* n: it stays */
    const char *on, *why;
    uint64_t taken;
};
void cover_row(const struct cover_row *row, const char *const *words, int n, uint64_t least);
/* cover_refund.c, cover_payout.c */
void cover_print_refunds(uint64_t least);
void cover_print_payouts(uint64_t least);

#endif
