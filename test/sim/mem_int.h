#ifndef RELI_SIM_MEM_INT_H
#define RELI_SIM_MEM_INT_H

#include "test/sim/mem.h"

/* Shared by the statements of mem.c and mem_move.c. */

/* The place of a new row, counted in. */
size_t mem_place_new(size_t *n, size_t max);
#define ROW_NEW(table, n, max) (&(table)[mem_place_new(&(n), (max))])

struct mem_idempotency *mem_idempotency(struct str mode, struct str key, int16_t slot);
struct mem_reference *mem_reference(struct str mode, struct str word);
struct mem_job *mem_job(struct str kind, struct uuid subject, int32_t n);
/* NULL: there is none. */
void mem_job_delete(struct mem_job *j);
struct mem_job *mem_job_insert(struct str kind, struct uuid subject, int32_t n, int16_t bucket,
                               int64_t run_at, struct uuid owner, int64_t lease);
void mem_job_upsert(struct str kind, struct uuid subject, int32_t n, int16_t bucket, int64_t run_at,
                    struct uuid owner, int64_t lease);
/* A constraint of the schema is broken. */
struct err mem_refuse(const char *constraint);
/* Somebody is to look at it. */
struct err mem_exception_add(const struct exception_row *row);
/* Whether the item that a move ends is one that two people agree on. */
bool mem_resolvable(const struct resolution_row *y);
void mem_resolve(const struct resolution_row *y);
/* Not NULL as a timestamptz. */
bool mem_is_timed(int64_t at);
/* Somebody is to be notified. */
bool mem_heard(struct str mode, struct str callback_url);

/* What a unit's statement returns. */
struct unit_answer {
    int32_t ord, stage;
    bool fanout;
    int32_t crossed;
    struct uuid id;
};
enum { MEM_STAGE_COLUMNS = 4 };
extern const struct mem_column mem_stage_columns[MEM_STAGE_COLUMNS];
void mem_answer(struct unit *u, const struct mem_column *columns, size_t n,
                const struct unit_answer *a);

/* A key of a new payment or refund; in how many of its slots it is now, 0 if it is known. */
struct mem_key {
    struct str mode, key, fingerprint;
    struct uuid subject;
    int16_t slot, slot_b, look_a, look_b, http_status;
    int32_t seq, period;
    int64_t lease_until, created_at;
    bool unrefused; /* held without a refusal as its answer */
};
int mem_keyed(const struct mem_key *k);
/* Whether its subject holds it; from now on until the new lease. */
bool mem_kept(const struct mem_key *k);

/* What a move writes of refunds. */
struct err mem_refund_write(const struct move_unit *u);

/* What units of payments and payouts write alike. */
struct err mem_event_store(const struct event_row *e, bool is_heard);
struct err mem_transfer_store(const struct transfer_row *t);
/* A step of a refund or payout that is made again, because another was faster, has another journal:
 * the first may have been committed without an answer before the other. */
void mem_book(struct uuid journal, int32_t revision);
void mem_account_store(const struct account_row *c);

/* An empty wallet, or one with something in it. */
void mem_payouts_begin(void);
struct err mem_payout_create_commit(struct unit *u);
struct err mem_payout_move_commit(struct unit *u);

struct err mem_create_commit(struct unit *u);
struct err mem_move_commit(struct unit *u);

#endif
