#ifndef RELI_SIM_WORLD_H
#define RELI_SIM_WORLD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/crash.h"
#include "core/flow/flow.h"
#include "core/flow/jobs.h"

/* One simulated world: a clock, a queue of events, two replicas on one memory store, a provider,
 * clients and a webhook receiver. Everything that happens follows from its seed. A handful of
 * payments live and end in it; then it is checked and the next one begins. */

/* What goes wrong: X(NAME, words, chance in a thousand where the world has it at full strength) */
#define FAULTS(X)                                                             \
    X(CRASH_STEP, "crash between two steps", 6)                               \
    X(CRASH_POINT, "crash at a named point", 30)                              \
    X(CRASH_BORDER, "crash on the way to database or provider", 4)            \
    X(UNIT_REFUSED, "unit refused, nothing written", 50)                      \
    X(UNIT_DOUBT, "commit not answered, run again", 80)                       \
    X(UNIT_AMBIGUOUS, "commit never answered", 40)                            \
    X(UNIT_SLOW, "commit takes seconds", 60)                                  \
    X(READ_REFUSED, "read refused", 30)                                       \
    X(READ_SLOW, "read answered late: stale", 60)                             \
    X(EXEC_REFUSED, "statement refused", 30)                                  \
    X(EXEC_AMBIGUOUS, "statement not answered", 30)                           \
    X(OUTAGE, "database away for a while", 3)                                 \
    X(FROZEN, "a replica stands still for minutes", 2)                        \
    X(FROZEN_CALL, "it stands still while a provider is asked", 5)            \
    X(FROZEN_DOUBT, "it stands still while a commit is not answered", 40)     \
    X(CLOCK_JUMP, "clock of a replica jumps", 30)                             \
    X(CHARGE_UNSENT, "charge: no connection", 50)                             \
    X(CHARGE_REFUSED, "charge: refused", 80)                                  \
    X(CHARGE_DROPPED, "charge: lost on its way", 60)                          \
    X(CHARGE_ANSWER_LOST, "charge: answer lost", 120)                         \
    X(CHARGE_ANSWER_LATE, "charge: answer after up to a minute", 150)         \
    X(CHARGE_OPEN_REF, "charge: unclear answer with a reference", 60)         \
    X(QUERY_FAILED, "query: no answer", 150)                                  \
    X(QUERY_EARLY, "query: \"no answer\" while the customer types", 100)      \
    X(QUERY_LATE, "query: answer late", 80)                                   \
    X(CALLBACK_LOST, "callback lost", 300)                                    \
    X(CALLBACK_TWICE, "callback sent again", 200)                             \
    X(CALLBACK_LATE, "callback late", 200)                                    \
    X(CALLBACK_FOREIGN, "callback from a foreign address", 150)               \
    X(CALLBACK_FORGED, "callback forged", 80)                                 \
    X(AMOUNT_WRONG, "provider took another amount", 60)                       \
    X(RECEIPT_REUSED, "provider used a receipt twice", 40)                    \
    X(PAID_LATE, "paid after it was told to have failed", 100)                \
    X(DECIDED_LATE, "decided after hours", 40)                                \
    X(NEVER_DECIDED, "never decided", 50)                                     \
    X(REFUND_UNSENT, "refund: no connection", 60)                             \
    X(REFUND_REFUSED, "refund: refused", 150)                                 \
    X(REFUND_DROPPED, "refund: lost on its way", 60)                          \
    X(REFUND_ANSWER_LOST, "refund: answer lost", 120)                         \
    X(REFUND_ANSWER_LATE, "refund: answer after up to a minute", 150)         \
    X(REFUND_OPEN_REF, "refund: unclear answer with a reference", 80)         \
    X(REFUND_FAILED, "refund: failed for certain", 250)                       \
    X(REFUND_PAID_LATE, "refund: paid after it was told to have failed", 150) \
    X(REFUND_REVOKED, "refund: failed after it had succeeded", 200)           \
    X(REFUND_AMOUNT_WRONG, "refund: another amount went back", 60)            \
    X(PAYOUT_UNSENT, "payout: no connection", 100)                            \
    X(PAYOUT_REFUSED, "payout: refused", 250)                                 \
    X(PAYOUT_DENIED, "payout: said to be refused, and taken", 80)             \
    X(PAYOUT_DROPPED, "payout: lost on its way", 60)                          \
    X(PAYOUT_ANSWER_LOST, "payout: answer lost", 120)                         \
    X(PAYOUT_ANSWER_LATE, "payout: answer after up to a minute", 150)         \
    X(PAYOUT_OPEN_REF, "payout: unclear answer with a reference", 80)         \
    X(PAYOUT_FAILED, "payout: failed for certain", 250)                       \
    X(PAYOUT_PAID_LATE, "payout: paid after it was told to have failed", 150) \
    X(PAYOUT_RETURNED, "payout: paid, and came back", 150)                    \
    X(PAYOUT_AMOUNT_WRONG, "payout: another amount was paid", 60)             \
    X(PAYOUT_MIXED_UP, "payout: callback about somebody else's", 40)          \
    X(WEBHOOK_FAILED, "webhook not taken", 200)                               \
    X(WEBHOOK_GONE, "webhook endpoint gone", 10)                              \
    X(CLIENT_AGAIN, "request sent again", 250)                                \
    X(CLIENT_AT_ONCE, "request sent several times at once", 100)

enum fault {
#define X(name, words, chance) FAULT_##name,
    FAULTS(X)
#undef X
        N_FAULTS
};

/* Some worlds are about one trouble; these about payouts, and refunds that are taken back. */
enum { THEME_PAYOUTS = 4, THEME_REVOKES, THEME_KEYS, N_THEMES };

enum { N_REPLICAS = 2, MAX_EVENTS = 16384, MAX_TIMERS = 256 };

struct process;

/* The reactor of one process (core/loop/loop.h). */
struct loop {
    struct process *process;
    int64_t skew_us; /* of the wall clock */
    struct list laters;
    size_t n_timers;
    struct timer *timers[MAX_TIMERS];
};

/* One life of a replica: from its start to a crash, or to the world's end. */
struct process {
    unsigned n; /* from 1; owner of its memory */
    int replica;
    bool alive;
    int64_t born_us, died_us;
    int64_t frozen_until_us, frozen_us; /* stands still; for how long in all */
    struct loop loop;
    struct flow flow;
    struct jobs *jobs;
    struct uuid_gen uuids;
    struct process *older;
};

struct event {
    int64_t at_us;
    uint64_t seq;
    struct process *process; /* NULL: the outside's; else it dies with the process */
    loop_fn *fn;
    void *ctx;
};

struct world {
    uint64_t seed, index;
    uint64_t random, random_app; /* the world's choices; what the flows draw */
    int64_t now_us, epoch_us;    /* wall is epoch + now + skew */
    int64_t calm_us;             /* from here on nothing goes wrong */
    int64_t outage_until_us, longest_outage_us;
    bool clock_jumped;
    uint16_t chance[N_FAULTS]; /* in 1024 */
    uint32_t theme;
    int64_t expiry_us; /* of payments; 0: the gateways' own */
    uint32_t n_faults;
    uint64_t hash;
    uint64_t seq;
    uint64_t n_steps;
    size_t n_events;
    struct event events[MAX_EVENTS];
    struct process *replicas[N_REPLICAS]; /* NULL while down */
    struct process *processes;
    unsigned n_processes;
    struct process *current;
    jmp_buf die;
    bool failed;
    bool verbose;
};

extern struct world w;

/* Counts over all worlds. */
struct totals {
    uint64_t worlds, lifecycles, payouts, steps, provider_calls, faults[N_FAULTS];
    uint64_t crashes_at[CRASH_N_POINTS], visits[CRASH_N_POINTS];
};
extern struct totals totals;

/* The merchant and the keys of all worlds. */
extern struct vault *sim_vault;

/* ---- chance ---- */

uint64_t sim_u64(void);
/* Uniform in 0 … below - 1. */
uint32_t sim_below(uint32_t below);
/* Uniform in lo … hi. */
int64_t sim_between(int64_t lo, int64_t hi);
/* Whether this goes wrong now; counted. */
bool sim_fault(enum fault fault);
/* Folds a fact into the trace. */
void sim_trace(uint64_t fact);
void sim_trace_str(struct str s);

/* ---- time and events ---- */

void event_at(int64_t at_us, struct process *p, loop_fn *fn, void *ctx);
static inline void event_in(int64_t after_us, struct process *p, loop_fn *fn, void *ctx)
{
    event_at(w.now_us + after_us, p, fn, ctx);
}
/* Runs a callback of a process, with what it leaves for later; the process may die of it. False if
 * it was dead already. One that stands still runs it when it goes on. */
bool process_run(struct process *p, loop_fn *fn, void *ctx);
/* The same, of one that does not stand still now. */
bool process_run_now(struct process *p, loop_fn *fn, void *ctx);
bool process_frozen(struct process *p);
/* It stands still from now on, for minutes. */
void process_freeze(struct process *p);
/* At the border to the database or a provider, before and after something has left: the process
 * that runs may die here. */
void process_border(void);
/* One that is up, NULL if none is. */
struct process *process_any(void);

/* Begins a world; runs it until nothing is left to happen. */
void world_begin(uint64_t seed, uint64_t index);
void world_run(void);

/* A promise is broken: prints where and marks the world. */
void sim_violation(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Prints when one world is looked at. */
void sim_say(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
