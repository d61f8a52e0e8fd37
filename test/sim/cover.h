#ifndef RELI_SIM_COVER_H
#define RELI_SIM_COVER_H

#include <stdbool.h>
#include <stdint.h>

/* Prints how often each row of the payment machine's tables was taken; false if one that can be was
 * taken less than `least` times, or one that is said to be closed was taken. */
bool cover_print(uint64_t least);

#endif
