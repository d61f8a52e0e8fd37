#ifndef RELI_SIM_HEAP_H
#define RELI_SIM_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/str.h"

/* The memory of a simulated world. What the flows allocate belongs to the process (one life of a
 * replica) that runs at that moment; a crash leaves it where it lies, and all of it goes at once
 * when the world ends. The flows are compiled with malloc and its kin renamed to these. Under a
 * sanitizer each piece is malloc's own, so that it sees every overrun and use after free. */
void *sim_malloc(size_t n);
void *sim_calloc(size_t n, size_t size);
void *sim_realloc(void *p, size_t n);
void sim_free(void *p);
/* For arenas, whose chunks wander from one owner to the next: counted for nobody. */
void *sim_malloc_chunk(size_t n);

/* Whose memory is asked for now; 0: the world's, which is not counted. */
enum { HEAP_OWNERS = 128 };
void heap_owner(unsigned owner);
/* Pieces of an owner that are not freed. */
int64_t heap_n_live(unsigned owner);
/* Frees everything. */
void heap_reset(void);

/* What lives as long as the world: zeroed, never freed. */
void *world_alloc(size_t n);
struct str world_dup(struct str s);

#endif
