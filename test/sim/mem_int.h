#ifndef RELI_SIM_MEM_INT_H
#define RELI_SIM_MEM_INT_H

#include "test/sim/mem.h"

/* Shared by the statements of mem.c and mem_move.c. */

/* The place of a new row, counted in. */
size_t mem_place_new(size_t *n, size_t max);
#define ROW_NEW(table, n, max) (&(table)[mem_place_new(&(n), (max))])

struct mem_idempotency *mem_idempotency(struct str mode, struct str key, int16_t slot);
struct mem_job *mem_job(struct str kind, struct uuid subject, int32_t n);
/* NULL: there is none. */
void mem_job_delete(struct mem_job *j);
struct mem_job *mem_job_insert(struct str kind, struct uuid subject, int32_t n, int16_t bucket,
                               int64_t run_at, struct uuid owner, int64_t lease);
void mem_job_upsert(struct str kind, struct uuid subject, int32_t n, int16_t bucket, int64_t run_at,
                    struct uuid owner, int64_t lease);
/* A constraint of the schema is broken. */
struct err mem_refuse(const char *constraint);
/* Not NULL as a timestamptz. */
bool mem_is_timed(int64_t at);
/* Somebody is to be notified. */
bool mem_heard(struct str mode, struct str callback_url);

/* What a unit's statement returns. */
struct unit_answer {
    int32_t ord, stage;
    bool fanout;
    struct uuid id;
};
enum { MEM_STAGE_COLUMNS = 3 };
extern const struct mem_column mem_stage_columns[MEM_STAGE_COLUMNS];
void mem_answer(struct unit *u, const struct mem_column *columns, size_t n,
                const struct unit_answer *a);

struct err mem_create_commit(struct unit *u);
struct err mem_move_commit(struct unit *u);

#endif
