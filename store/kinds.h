#ifndef RELI_STORE_KINDS_H
#define RELI_STORE_KINDS_H

#include "core/domain/ledger.h"
#include "store/payout_rows.h"
#include "store/rows.h"
#include "store/store.h"

/* The kinds of units: what the combiner writes, with room for their rows and their outcome. An
 * owner embeds one, fills the rows and their counts, calls x_unit_ready, then store_write(store,
 * &u->unit). */

/* ---- a payment comes into being ---- */

enum create_stage {
    CREATE_DONE,
    CREATE_KEY_KNOWN,
    CREATE_WORD_TAKEN,
    CREATE_REFERENCE_TAKEN,
    CREATE_LIMITED
};

struct create_unit {
    struct unit unit;
    enum create_stage stage; /* after `done` without error */
    bool fanout;             /* fan-out jobs were made for the events, held by the row's owner */
    struct payment_insert_row row;
    int crossed; /* CREATE_LIMITED: pos of the first limit that was crossed */
    size_t n_attempts, n_events, n_audits, n_limits;
    const struct limit_row *limits; /* the owner's */
    struct attempt_row attempts[1];
    struct event_row events[2];
    struct audit_row audits[2];
};

/* Points the unit at its rows and sets its keys: no two units of one payment, idempotency key or
 * reference travel in one batch. */
void create_unit_ready(struct create_unit *u, loop_fn *done, void *ctx);

/* ---- a payment moves, or a refund of it ---- */

enum move_stage { MOVE_DONE, MOVE_RECEIPT_TAKEN, MOVE_LOST_RACE, MOVE_KEY_KNOWN };

struct move_unit {
    struct unit unit;
    enum move_stage stage;
    bool fanout;
    struct payment_update_row row;
    size_t n_attempts, n_events, n_audits, n_accounts, n_transfers, n_exceptions, n_calls;
    size_t n_refunds, n_refund_attempts, n_resolutions, n_limits;
    const struct limit_row *limits; /* the owner's */
    struct attempt_row attempts[PAYMENT_MAX_ATTEMPTS];
    struct event_row events[1];
    struct audit_row audits[2]; /* a refusal, and the next attempt */
    struct account_row accounts[LEDGER_MAX_TRANSFERS + 1];
    struct transfer_row transfers[LEDGER_MAX_TRANSFERS];
    struct exception_row exceptions[1];
    struct call_row calls[1];
    struct refund_row refunds[1];
    struct refund_attempt_row refund_attempts[REFUND_MAX_ATTEMPTS];
    struct resolution_row resolutions[2]; /* of one item, and of what waited for the outcome */
};

void move_unit_ready(struct move_unit *u, loop_fn *done, void *ctx);

/* ---- money out: a payout comes into being, and moves ---- */

enum payout_stage { PAYOUT_DONE, PAYOUT_KEY_KNOWN, PAYOUT_TAKEN, PAYOUT_NOT_HELD };

/* `parts` has the rows that are the same of payments: events, audits, books, exceptions, calls,
 * resolutions; its own row says their journal alone. */
struct payout_create_unit {
    struct unit unit;
    enum payout_stage stage; /* after `done` without error; TAKEN: the reference */
    bool fanout;
    struct payout_insert_row row;
    struct move_unit parts;
};
void payout_create_unit_ready(struct payout_create_unit *u, loop_fn *done, void *ctx);

struct payout_move_unit {
    struct unit unit;
    bool moved; /* false: another one was faster */
    bool fanout;
    struct payout_update_row row;
    struct move_unit parts;
};
void payout_move_unit_ready(struct payout_move_unit *u, loop_fn *done, void *ctx);

/* ---- a callback is kept ---- */

struct inbound_unit {
    struct unit unit;
    bool is_new; /* false: the same bytes are known already */
    struct inbound_row row;
};

void inbound_unit_ready(struct inbound_unit *u, loop_fn *done, void *ctx);

/* ---- deliveries come into being and move ---- */

enum { FANOUT_MAX = 20 };

struct fanout_unit {
    struct unit unit;
    struct fanout_row row;
    size_t n_deliveries;
    struct delivery_row deliveries[FANOUT_MAX];
    bool is_new[FANOUT_MAX]; /* which of them did not exist */
};

void fanout_unit_ready(struct fanout_unit *u, loop_fn *done, void *ctx);

struct delivery_unit {
    struct unit unit;
    bool moved;    /* false: another one was faster */
    bool disabled; /* this was too much: the endpoint gets nothing more */
    struct delivery_update_row row;
};

void delivery_unit_ready(struct delivery_unit *u, loop_fn *done, void *ctx);

/* ---- a job is taken, or given back ---- */

struct lease_unit {
    struct unit unit;
    bool taken; /* or given back: it was ours */
    int tries;
    struct lease_row row;
};

void lease_unit_ready(struct lease_unit *u, loop_fn *done, void *ctx);
/* Its owner wants it to come again at `until`. */
void later_unit_ready(struct lease_unit *u, loop_fn *done, void *ctx);

/* The counters of limits on money, locked before creates and moves. */
extern const struct unit_lock limit_lock;

/* All kinds, NULL at the end; for the tests. */
extern const struct unit_kind *const unit_kinds[];

#endif
