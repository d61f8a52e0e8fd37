/* The heart of the simulation: one queue of events in virtual time, and processes that die. */
#include "test/sim/world.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/flow/deliver.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

enum { MAX_STEPS = 200000 };
/* 2026-01-01T00:00:00Z */
#define EPOCH_US (INT64_C(1767225600) * US_PER_S)

struct world w;
struct totals totals;
struct vault *sim_vault;

static void process_start(void *ctx);

/* ---- chance ---- */

/* SplitMix64. */
static uint64_t mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sim_u64(void)
{
    return mixed(w.random += 0x9e3779b97f4a7c15u);
}

uint32_t sim_below(uint32_t below)
{
    return (uint32_t)(((sim_u64() >> 32) * below) >> 32);
}

int64_t sim_between(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(sim_u64() % (uint64_t)(hi - lo + 1));
}

bool sim_fault(enum fault fault)
{
    if (w.chance[fault] == 0 || w.now_us >= w.calm_us || (sim_u64() & 1023) >= w.chance[fault])
        return false;
    w.n_faults++;
    totals.faults[fault]++;
    sim_trace((uint64_t)fault);
    return true;
}

void sim_trace(uint64_t fact)
{
    w.hash = (w.hash ^ fact) * 0x9fb21c651e98df25u;
    w.hash ^= w.hash >> 32;
}

void sim_trace_str(struct str s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    sim_trace(h);
}

void sim_violation(const char *fmt, ...)
{
    va_list args;
    w.failed = true;
    printf("VIOLATION seed %llu world %llu at %.3f s: ", (unsigned long long)w.seed,
           (unsigned long long)w.index, (double)w.now_us / 1e6);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

void sim_say(const char *fmt, ...)
{
    va_list args;
    if (!w.verbose)
        return;
    printf("%12.6f %s ", (double)w.now_us / 1e6,
           w.current == NULL         ? "  "
           : w.current->replica == 0 ? "A "
                                     : "B ");
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    log_flush();
}

/* ---- the queue: a binary heap by (time, order of asking) ---- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

void event_at(int64_t at_us, struct process *p, loop_fn *fn, void *ctx)
{
    ASSERT(w.n_events < MAX_EVENTS);
    struct event e = {at_us < w.now_us ? w.now_us : at_us, w.seq++, p, fn, ctx};
    size_t i = w.n_events++;
    while (i > 0 && before(&e, &w.events[(i - 1) / 2])) {
        w.events[i] = w.events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w.events[i] = e;
}

static struct event event_pop(void)
{
    struct event first = w.events[0], last = w.events[--w.n_events];
    size_t i = 0, n = w.n_events;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && before(&w.events[child + 1], &w.events[child]))
            child++;
        if (!before(&w.events[child], &last))
            break;
        w.events[i] = w.events[child];
        i = child;
    }
    w.events[i] = last;
    return first;
}

/* ---- processes ---- */

static void process_die(struct process *p)
{
    sim_say("dies");
    w.current = NULL;
    heap_owner(0);
    p->alive = false;
    p->died_us = w.now_us;
    w.replicas[p->replica] = NULL;
    mem_process_died(p);
    provider_process_died(p);
    client_process_died(p);
    confirmer_process_died(p);
    refunder_process_died(p);
    payouter_process_died(p);
    int64_t down_us = sim_below(4) > 0 ? sim_between(50 * US_PER_MS, 5 * US_PER_S)
                                       : sim_between(5 * US_PER_S, 5 * US_PER_MIN);
    static int replica_numbers[N_REPLICAS] = {0, 1};
    event_in(down_us, NULL, process_start, &replica_numbers[p->replica]);
}

void process_freeze(struct process *p)
{
    int64_t us = sim_below(2) == 0 ? sim_between(US_PER_S, 2 * US_PER_MIN)
                                   : sim_between(US_PER_MIN, 20 * US_PER_MIN);
    sim_say("%d stands still for %.1f s", p->replica, (double)us / 1e6);
    p->frozen_until_us = w.now_us + us;
    p->frozen_us += us;
}

/* Its machine is paused, or moved: time goes on without it. */
bool process_frozen(struct process *p)
{
    if (p->frozen_until_us > w.now_us)
        return true;
    if (!sim_fault(FAULT_FROZEN))
        return false;
    process_freeze(p);
    return true;
}

bool process_run(struct process *p, loop_fn *fn, void *ctx)
{
    if (!p->alive || !process_frozen(p))
        return process_run_now(p, fn, ctx);
    event_at(p->frozen_until_us, p, fn, ctx);
    return true;
}

bool process_run_now(struct process *p, loop_fn *fn, void *ctx)
{
    if (!p->alive)
        return false;
    if (sim_fault(FAULT_CRASH_STEP)) {
        process_die(p);
        return false;
    }
    ASSERT(w.current == NULL);
    w.current = p;
    heap_owner(p->n);
    if (_setjmp(w.die) == 0) {
        fn(ctx);
        loop_laters_run(&p->loop);
        w.current = NULL;
        heap_owner(0);
    } else {
        process_die(p);
    }
    return true;
}

/* core/base/crash.h: here a process dies in the middle of a callback. */
void crash_point(enum crash_point point)
{
    totals.visits[point]++;
    if (w.current != NULL && sim_fault(FAULT_CRASH_POINT)) {
        totals.crashes_at[point]++;
        longjmp(w.die, 1);
    }
}

void process_border(void)
{
    if (w.current != NULL && sim_fault(FAULT_CRASH_BORDER))
        longjmp(w.die, 1);
}

static void settings_fill(struct flow_settings *s)
{
    *s = (struct flow_settings){
        .public_url = STR("https://pay.example"),
        .idempotency_retention_us = US_PER_DAY,
        .payment_expiry_us = w.expiry_us,
    };
    payment_rules_default(&s->rules);
    delivery_rules_default(&s->delivery);
    s->inbound_waits = s->delivery.waits;
}

static void process_make(void *ctx)
{
    struct process *p = ctx;
    struct flow *f = &p->flow;
    settings_fill(&f->settings);
    f->loop = &p->loop;
    f->store = mem_store(p);
    f->outbound = receiver_outbound(p);
    f->gateways = provider_client(p);
    f->vault = sim_vault;
    list_init(&f->callbacks.line);
    f->replica = random_uuid(loop_wall_us(f->loop));
    f->n_accounts = N_PROVIDERS;
    for (int i = 0; i < N_PROVIDERS; i++) {
        f->accounts[i].gw.gateway = provider_gateway(i);
        f->accounts[i].id = provider_account(i);
        struct cidr_list *expected = &f->accounts[i].gw.callback_cidrs;
        ASSERT(!err_is(cidr_list_parse(STR("192.0.2.0/24"), expected)));
    }
    struct jobs_options o = {.version = "sim"};
    struct err err = jobs_new(f, &o, &p->jobs);
    ASSERT(!err_is(err));
    err = deliver_gate_new(f);
    ASSERT(!err_is(err));
}

static void clock_jump(void *ctx)
{
    struct process *p = ctx;
    p->loop.skew_us += sim_between(-10 * US_PER_MIN, 10 * US_PER_MIN);
    w.clock_jumped = true;
    sim_say("clock of replica %d is off by %.1f s", p->replica, (double)p->loop.skew_us / 1e6);
}

static void clock_mended(void *ctx)
{
    struct process *p = ctx;
    p->loop.skew_us = 0;
}

static void process_start(void *ctx)
{
    int replica = *(const int *)ctx;
    if (++w.n_processes >= HEAP_OWNERS) {
        sim_violation("too many processes");
        return;
    }
    struct process *p = world_alloc(sizeof *p);
    p->n = w.n_processes;
    p->replica = replica;
    p->alive = true;
    p->born_us = w.now_us;
    p->loop.process = p;
    p->loop.skew_us = sim_between(-US_PER_S, US_PER_S);
    list_init(&p->loop.laters);
    p->older = w.processes;
    w.processes = p;
    w.replicas[replica] = p;
    if (sim_fault(FAULT_CLOCK_JUMP)) {
        event_in(sim_between(0, w.calm_us - w.now_us), p, clock_jump, p);
        event_at(w.calm_us, p, clock_mended, p);
    }
    process_run(p, process_make, p);
}

struct process *process_any(void)
{
    unsigned first = sim_below(N_REPLICAS);
    struct process *p = w.replicas[first];
    return p != NULL ? p : w.replicas[(first + 1) % N_REPLICAS];
}

/* ---- a world ---- */

/* Some worlds are about one trouble, so that what is rare elsewhere happens often enough. */
static void theme_choose(void)
{
    static const struct {
        uint32_t theme;
        enum fault fault;
        uint16_t chance;
    } themes[] = {
        /* refunds whose provider breaks its word */
        {0, FAULT_REFUND_FAILED, 650},
        {0, FAULT_REFUND_PAID_LATE, 800},
        {0, FAULT_REFUND_AMOUNT_WRONG, 350},
        {0, FAULT_DECIDED_LATE, 250},
        {0, FAULT_CALLBACK_LOST, 30},
        {0, FAULT_CALLBACK_FOREIGN, 0},
        {0, FAULT_CALLBACK_LATE, 100},
        {0, FAULT_CRASH_STEP, 0},
        {0, FAULT_NEVER_DECIDED, 0},
        /* replicas that stand still while a provider answers */
        {1, FAULT_FROZEN_CALL, 250},
        {1, FAULT_REFUND_REFUSED, 600},
        {1, FAULT_CHARGE_REFUSED, 100},
        {1, FAULT_CRASH_STEP, 0},
        {1, FAULT_FROZEN, 0},
        /* providers that forget a request shortly before it expires */
        {2, FAULT_NEVER_DECIDED, 700},
        {2, FAULT_READ_SLOW, 600},
        {2, FAULT_QUERY_LATE, 600},
        {2, FAULT_QUERY_FAILED, 30},
        /* customers who pay another amount after all */
        {3, FAULT_PAID_LATE, 700},
        {3, FAULT_AMOUNT_WRONG, 400},
        {3, FAULT_CALLBACK_LOST, 30},
        /* a provider of payouts that is busy, and takes what it says it has refused */
        {THEME_PAYOUTS, FAULT_PAYOUT_REFUSED, 600},
        {THEME_PAYOUTS, FAULT_PAYOUT_DENIED, 500},
        {THEME_PAYOUTS, FAULT_PAYOUT_AMOUNT_WRONG, 300},
        {THEME_PAYOUTS, FAULT_PAYOUT_FAILED, 100},
        {THEME_PAYOUTS, FAULT_CALLBACK_LOST, 30},
        {THEME_PAYOUTS, FAULT_CALLBACK_FOREIGN, 0},
        {THEME_PAYOUTS, FAULT_FROZEN_DOUBT, 300},
        {THEME_PAYOUTS, FAULT_CRASH_STEP, 0},
        /* refunds that fail after they have succeeded, and news of them in any order */
        {THEME_REVOKES, FAULT_REFUND_REVOKED, 700},
        {THEME_REVOKES, FAULT_REFUND_ANSWER_LOST, 400},
        {THEME_REVOKES, FAULT_CALLBACK_LATE, 400},
        {THEME_REVOKES, FAULT_CALLBACK_LOST, 30},
        {THEME_REVOKES, FAULT_CALLBACK_FOREIGN, 0},
        {THEME_REVOKES, FAULT_CRASH_STEP, 0},
        /* merchants who ask again while who works for them stands still */
        {THEME_KEYS, FAULT_FROZEN_CALL, 300},
        {THEME_KEYS, FAULT_CLIENT_AGAIN, 700},
        {THEME_KEYS, FAULT_CRASH_STEP, 0},
        {THEME_KEYS, FAULT_FROZEN, 0},
    };
    static const uint32_t of_16[16] = {0, 0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 6}; /* the rest: none */
    uint32_t n = sim_below(16), theme = n < 12 ? of_16[n] : N_THEMES;
    for (size_t i = 0; i < COUNT_OF(themes); i++)
        if (themes[i].theme == theme)
            w.chance[themes[i].fault] = themes[i].chance;
    w.theme = theme;
    if (theme == 2)
        w.expiry_us = sim_between(330 * US_PER_S, 420 * US_PER_S);
}

/* How much of each fault a world has: many have few kinds, some have all. */
static void faults_choose(void)
{
    static const uint16_t base[N_FAULTS] = {
#define X(name, words, chance) [FAULT_##name] = chance,
        FAULTS(X)
#undef X
    };
    uint32_t kinds = 1 + sim_below(7); /* of eight kinds of fault, this many */
    for (int i = 0; i < N_FAULTS; i++) {
        uint32_t strength = sim_below(8) < kinds ? 1 + sim_below(6) : 0;
        uint32_t chance = base[i] * strength / 3;
        w.chance[i] = (uint16_t)(chance > 700 ? 700 : chance);
    }
    theme_choose();
    int64_t calm_us = sim_between(2 * US_PER_MIN, 25 * US_PER_MIN);
    if (sim_below(4) == 0)
        calm_us = sim_between(10 * US_PER_MIN, 8 * US_PER_HOUR);
    w.calm_us = calm_us;
}

void world_begin(uint64_t seed, uint64_t index)
{
    bool verbose = w.verbose;
    arena_trim(); /* its spare chunks lie in what goes now */
    heap_reset();
    memset(&w, 0, offsetof(struct world, events));
    memset(w.replicas, 0, sizeof w - offsetof(struct world, replicas));
    w.verbose = verbose;
    w.seed = seed;
    w.index = index;
    w.random = mixed(seed) ^ mixed(index + 0x632be59bd9b4e019u);
    w.random_app = sim_u64();
    w.hash = w.random;
    faults_choose();
    /* near a boundary of the keys' periods as often as not */
    w.epoch_us = EPOCH_US + sim_between(0, US_PER_DAY);
    if (sim_below(3) == 0)
        w.epoch_us = EPOCH_US + 6 * US_PER_DAY - sim_between(0, 20 * US_PER_MIN);
    mem_begin();
    provider_begin();
    receiver_begin();
    client_begin();
    confirmer_begin();
    refunder_begin();
    payouter_begin();
    operators_begin();
    static int replica_numbers[N_REPLICAS] = {0, 1};
    for (int i = 0; i < N_REPLICAS; i++)
        process_start(&replica_numbers[i]);
}

/* What comes next: an event, an alarm of a process, or jobs that are due. Between these nothing
 * happens, so the clock steps over it; a scan for jobs that finds none is not made. */
void world_run(void)
{
    while (!w.failed) {
        int64_t at_us = w.n_events > 0 ? w.events[0].at_us : TIME_NEVER;
        int64_t job_wall_us = mem_next_job_us();
        struct process *who = NULL;
        bool jobs = false;
        for (int i = 0; i < N_REPLICAS; i++) {
            struct process *p = w.replicas[i];
            if (p == NULL)
                continue;
            int64_t alarm_us = loop_next_us(p);
            if (alarm_us < at_us) {
                at_us = alarm_us;
                who = p;
                jobs = false;
            }
            int64_t scan_us = loop_next_jobs_us(p);
            if (job_wall_us == TIME_NEVER || scan_us == TIME_NEVER)
                continue;
            int64_t due_us = job_wall_us - w.epoch_us - p->loop.skew_us;
            if (due_us > scan_us)
                scan_us = due_us;
            if (scan_us < at_us) {
                at_us = scan_us;
                who = p;
                jobs = true;
            }
        }
        if (at_us == TIME_NEVER)
            return;
        if (++w.n_steps > MAX_STEPS) {
            sim_violation("the world does not come to rest");
            return;
        }
        if (at_us > w.now_us)
            w.now_us = at_us;
        sim_trace((uint64_t)w.now_us);
        if (who != NULL) {
            loop_fire(who, jobs);
            continue;
        }
        struct event e = event_pop();
        if (e.process != NULL)
            (void)process_run(e.process, e.fn, e.ctx);
        else
            e.fn(e.ctx);
    }
}
