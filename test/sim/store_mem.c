/* store/store.h on the tables of mem.c: when a unit runs, who hears of it, and what is lost on the
 * way. Units that share a key run in their order, as the combiner has it; all others overtake each
 * other. A process that dies leaves what it had sent: it may still arrive. */
#include "core/base/times.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

enum { FLIGHT_MAX = 512, PARAMS = 13 };

/* One unit between store_write and its `done`. */
struct flight {
    struct store *store;
    struct unit *unit;
    int runs;           /* commits to come; more than one: the answer of the first is lost */
    bool skip_first;    /* the first was lost before it was made */
    bool never_told;    /* and time runs out then: AMBIGUOUS */
    bool never_arrives; /* its process died first */
    bool started;
    struct err err;
};

struct store {
    struct process *process;
    size_t n;
    struct flight *flights[FLIGHT_MAX]; /* in the order of store_write */
};

static const char *const query_names[] = {
#define X(name) #name,
    QUERIES(X)
#undef X
};

struct store *mem_store(struct process *p)
{
    struct store *s = world_alloc(sizeof *s);
    s->process = p;
    return s;
}

void mem_begin(void)
{
    mem_tables_begin();
}

void mem_process_died(struct process *p)
{
    struct store *s = p->flow.store;
    for (size_t i = 0; s != NULL && i < s->n; i++)
        s->flights[i]->never_arrives = sim_below(2) == 0;
}

/* The time that an exchange with the database takes. */
static int64_t quick_us(void)
{
    return sim_between(200, 3000);
}

static bool outage(void)
{
    if (w.now_us < w.outage_until_us)
        return true;
    if (!sim_fault(FAULT_OUTAGE))
        return false;
    int64_t us = sim_between(5 * US_PER_S, sim_below(4) == 0 ? 3 * US_PER_MIN : 40 * US_PER_S);
    w.outage_until_us = w.now_us + us;
    if (us > w.longest_outage_us)
        w.longest_outage_us = us;
    sim_say("the database is away for %.1f s", (double)us / 1e6);
    return true;
}

/* ---- units ---- */

static void flight_start(struct flight *f);
static void flight_step(void *ctx);

static bool shares_key(const struct unit *a, const struct unit *b)
{
    for (int i = 0; i < UNIT_MAX_KEYS; i++)
        for (int k = 0; k < UNIT_MAX_KEYS; k++)
            if (a->keys[i] != 0 && a->keys[i] == b->keys[k])
                return true;
    return false;
}

static bool is_behind(const struct store *s, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (shares_key(s->flights[i]->unit, s->flights[at]->unit))
            return true;
    return false;
}

void store_write(struct store *s, struct unit *u)
{
    process_border();
    u->err = ERR_OK;
    u->tries = 0;
    u->doubt = false;
    ASSERT(s->n < FLIGHT_MAX);
    struct flight *f = world_alloc(sizeof *f);
    f->store = s;
    f->unit = u;
    s->flights[s->n++] = f;
    if (!is_behind(s, s->n - 1))
        flight_start(f);
    process_border();
}

static void flight_start(struct flight *f)
{
    int64_t us = quick_us();
    f->started = true;
    f->runs = 1;
    if (outage() || sim_fault(FAULT_UNIT_REFUSED)) {
        f->runs = 0;
        f->err = ERR(UNAVAILABLE, "simulated");
        us = sim_between(US_PER_MS, 5 * US_PER_S);
    } else if (sim_fault(FAULT_UNIT_DOUBT)) {
        f->runs = 2;
        f->skip_first = sim_below(3) == 0;
    } else if (sim_fault(FAULT_UNIT_AMBIGUOUS)) {
        f->never_told = true;
        f->skip_first = sim_below(2) == 0;
    } else if (sim_fault(FAULT_UNIT_SLOW)) {
        us = sim_between(50 * US_PER_MS, 4 * US_PER_S);
    }
    event_in(us, NULL, flight_step, f);
}

static void flight_done(void *ctx)
{
    struct flight *f = ctx;
    struct store *s = f->store;
    size_t i = 0;
    while (s->flights[i] != f)
        i++;
    memmove(&s->flights[i], &s->flights[i + 1], (--s->n - i) * sizeof s->flights[0]);
    for (; i < s->n; i++)
        if (!s->flights[i]->started && !is_behind(s, i))
            flight_start(s->flights[i]);
    f->unit->err = f->err;
    f->unit->done(f->unit->ctx);
}

static void flight_tell(struct flight *f)
{
    struct process *p = f->store->process;
    if (p->alive && p->frozen_until_us <= w.now_us && sim_below(32) == 0 &&
        sim_fault(FAULT_FROZEN_DOUBT))
        process_freeze(p);
    if (sim_below(8) == 0) /* other things happen between commit and answer */
        event_in(quick_us(), f->store->process, flight_done, f);
    else
        (void)process_run(f->store->process, flight_done, f);
}

static void flight_step(void *ctx)
{
    struct flight *f = ctx;
    struct unit *u = f->unit;
    if (f->never_arrives || (!f->store->process->alive && u->tries > 0))
        return; /* and the dead run nothing again */
    if (f->runs == 0) {
        sim_say("%d: %s ends with %d", f->store->process->replica, query_names[u->kind->query],
                (int)f->err.code);
        flight_tell(f);
        return;
    }
    if (u->tries++ > 0 && u->kind->reset != NULL)
        u->kind->reset(u);
    if (!f->skip_first)
        f->err = mem_commit(u);
    sim_say("%d: %s%s%s", f->store->process->replica, query_names[u->kind->query],
            f->skip_first ? " is lost" : " is committed",
            f->runs > 1 || f->never_told ? ", and not answered" : "");
    f->skip_first = false;
    if (--f->runs > 0) {
        u->doubt = true;
        event_in(sim_between(US_PER_MS, 4 * US_PER_S), NULL, flight_step, f);
    } else if (f->never_told) {
        u->doubt = true;
        if (!err_is(f->err))
            f->err = ERR(AMBIGUOUS, "simulated");
        f->runs = 0;
        if (f->store->process->alive && f->store->process->frozen_until_us <= w.now_us &&
            sim_fault(FAULT_FROZEN_DOUBT))
            process_freeze(f->store->process);
        event_in(sim_between(US_PER_MS, 5 * US_PER_S), NULL, flight_step, f);
    } else {
        flight_tell(f);
    }
}

/* ---- reads and single statements ---- */

struct asking {
    struct process *process;
    enum query query;
    bool writes, lost;
    struct err err;
    struct value params[PARAMS];
    store_rows_fn *done;
    void *ctx;
    struct rows rows;
};

static void ask_told(void *ctx)
{
    struct asking *a = ctx;
    a->done(a->ctx, a->err, err_is(a->err) ? NULL : &a->rows);
    sim_free(a);
}

static void ask_run(void *ctx)
{
    struct asking *a = ctx;
    int64_t us = 0;
    if (!a->process->alive && (!a->writes || a->lost))
        return;
    if (a->query != Q_job_due && a->query != Q_replica_beat)
        sim_say("%d: %s%s", a->process->replica, query_names[a->query],
                a->lost ? " is refused" : "");
    if (!err_is(a->err) && !a->lost) {
        if (a->writes)
            a->err = mem_exec(a->query, a->params);
        if (!err_is(a->err))
            mem_read(a->query, a->params, &a->rows);
    }
    if (a->writes ? sim_fault(FAULT_EXEC_AMBIGUOUS) : false)
        a->err = ERR(AMBIGUOUS, "simulated");
    if (!a->writes && sim_fault(FAULT_READ_SLOW))
        us = sim_between(US_PER_MS, 4 * US_PER_S);
    else if (sim_below(8) == 0)
        us = quick_us();
    if (us > 0)
        event_in(us, a->process, ask_told, a);
    else
        (void)process_run(a->process, ask_told, a);
}

static void ask(struct store *s, enum query query, const struct value *params, size_t n,
                bool writes, store_rows_fn *done, void *ctx)
{
    process_border();
    heap_owner(0);
    struct asking *a = sim_malloc(sizeof *a);
    heap_owner(s->process->n);
    ASSERT(n <= PARAMS);
    a->process = s->process;
    a->query = query;
    a->writes = writes;
    a->lost = false;
    a->err = ERR_OK;
    a->done = done;
    a->ctx = ctx;
    for (size_t i = 0; i < n; i++) {
        a->params[i] = params[i];
        if (params[i].type == COL_TEXT || params[i].type == COL_JSON || params[i].type == COL_BYTES)
            a->params[i].u.str = world_dup(params[i].u.str);
    }
    int64_t us = quick_us();
    if (outage() || sim_fault(writes ? FAULT_EXEC_REFUSED : FAULT_READ_REFUSED)) {
        a->err = ERR(UNAVAILABLE, "simulated");
        a->lost = true;
        us = sim_between(US_PER_MS, 5 * US_PER_S);
    }
    event_in(us, NULL, ask_run, a);
    process_border();
}

void store_read(struct store *s, enum query query, const struct value *params, size_t n_params,
                store_rows_fn *done, void *ctx)
{
    ask(s, query, params, n_params, false, done, ctx);
}

void store_exec(struct store *s, enum query query, const struct value *params, size_t n_params,
                store_rows_fn *done, void *ctx)
{
    ask(s, query, params, n_params, true, done, ctx);
}
