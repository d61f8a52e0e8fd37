/* `make sim`: world after world from one seed, then the figures.
 *   SIM_LIFECYCLES  payments and payouts to see through (default 1 000 000)
 *   SIM_SEED        of the run; a fresh one is printed
 *   SIM_WORLD       only this world of the run, told step by step
 *   SIM_QUIET       only the hash: two runs of one seed have the same
 *   SIM_LOG         with the log of the flows
 * A full run wants each row of the machines' tables a hundred times, a short one nine of ten rows
 * once. The first broken promise ends it, and its world is told step by step. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "test/sim/cover.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

#define FULL UINT64_C(1000000)

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t fresh_seed(void)
{
    uint32_t seed = 0;
    return getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed ? seed : (uint64_t)time(NULL);
}

/* The keys of the installation, the same in all worlds. */
static void vault_make(void)
{
    static const char *const kinds[] = {"data", "hmac"};
    struct err err = vault_new(STR("sim:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="), &sim_vault);
    for (int i = 0; i < 2 && !err_is(err); i++) {
        struct buf b;
        buf_init(&b, 256);
        err = vault_make_wrapped(sim_vault, &b);
        if (!err_is(err))
            err = vault_add(sim_vault, str_c(kinds[i]), 1, buf_view(&b));
        buf_free(&b);
    }
    ASSERT(!err_is(err));
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void figures(double seconds)
{
    uint64_t faults = 0;
    printf("faults:\n");
    static const char *const words[N_FAULTS] = {
#define X(name, words, chance) [FAULT_##name] = words,
        FAULTS(X)
#undef X
    };
    for (int i = 0; i < N_FAULTS; i++) {
        faults += totals.faults[i];
        printf("  %-48s %12" PRIu64 "\n", words[i], totals.faults[i]);
    }
    double n = (double)totals.lifecycles;
    printf("%" PRIu64 " lifecycles, of payouts %" PRIu64 ", in %" PRIu64
           " worlds: %.2f provider calls, %.2f faults, %.1f steps each\n",
           totals.lifecycles, totals.payouts, totals.worlds, (double)totals.provider_calls / n,
           (double)faults / n, (double)totals.steps / n);
    printf("%.1f s of one core, %.0f lifecycles a minute\n", seconds, n / seconds * 60);
    cover_note("a provider call for each lifecycle", totals.provider_calls >= totals.lifecycles);
    cover_note("a fault for each lifecycle", faults >= totals.lifecycles);
}

static void crashes(uint64_t least)
{
    printf("crashes at:\n");
    for (size_t i = 0; i < CRASH_N_POINTS; i++) {
        if (i == CRASH_STORE_COMMITTED) /* inside the real store */
            continue;
        bool few = totals.crashes_at[i] < least;
        printf("  %-24s %12" PRIu64 " of %12" PRIu64 " visits%s\n", crash_point_name(i),
               totals.crashes_at[i], totals.visits[i], few ? " TOO FEW" : "");
        cover_note(NULL, !few);
    }
}

/* The world that broke a promise, once more and step by step: in a process of its own, since what a
 * process remembers is part of the world. */
static void tell_again(uint64_t seed, uint64_t world)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, seed);
    setenv("SIM_SEED", text, 1);
    snprintf(text, sizeof text, "%" PRIu64, world);
    setenv("SIM_WORLD", text, 1);
    setenv("SIM_BROKEN", "1", 1); /* whatever it does when it is alone */
    printf("SIM_SEED=%" PRIu64 " SIM_WORLD=%" PRIu64 ", step by step:\n", seed, world);
    fflush(stdout);
    execl("/proc/self/exe", "sim", (char *)NULL);
    printf("0 passed, 1 failed\n");
    exit(1);
}

/* One world; false if a promise was broken. */
static bool see(uint64_t seed, uint64_t world)
{
    world_begin(seed, world);
    world_run();
    if (!w.failed)
        check_world();
    totals.worlds++;
    totals.lifecycles += mem.n_payments + mem.n_payouts;
    totals.payouts += mem.n_payouts;
    totals.steps += w.n_steps;
    return !w.failed;
}

/* An assertion of the flows, or worse. */
static void died(int sig)
{
    static volatile sig_atomic_t already;
    if (already++)
        _exit(1);
    printf("VIOLATION seed %" PRIu64 " world %" PRIu64 ": died of signal %d\n", w.seed, w.index,
           sig);
    if (w.verbose) {
        log_flush();
        printf("0 passed, 1 failed\n");
        fflush(stdout);
        _exit(1);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    tell_again(w.seed, w.index);
}

static int see_one(uint64_t seed, uint64_t world)
{
    w.verbose = true;
    bool good = see(seed, world) && getenv("SIM_BROKEN") == NULL;
    printf("hash %016" PRIx64 "\n%d passed, %d failed\n", w.hash, good, !good);
    return good ? 0 : 1;
}

static int see_all(uint64_t seed, uint64_t lifecycles, bool quiet)
{
    uint64_t hash = seed, least = lifecycles / 10000, passed, failed;
    double from = cpu_seconds();
    for (uint64_t i = 0; totals.lifecycles < lifecycles; i++) {
        if (!see(seed, i))
            tell_again(seed, i);
        hash = (hash ^ w.hash) * 0x9fb21c651e98df25u;
        hash ^= hash >> 31;
    }
    if (!quiet) {
        figures(cpu_seconds() - from);
        crashes(least < 100 ? least / 10 : 100);
        cover_print(lifecycles >= FULL ? 100 : 0);
    }
    cover_total(&passed, &failed);
    printf("seed %" PRIu64 "\nhash %016" PRIx64 "\n%" PRIu64 " passed, %" PRIu64 " failed\n", seed,
           hash, passed + 1, failed);
    return failed == 0 ? 0 : 1;
}

int main(void)
{
    uint64_t lifecycles = from_env("SIM_LIFECYCLES", FULL);
    uint64_t seed = from_env("SIM_SEED", fresh_seed());
    uint64_t only = from_env("SIM_WORLD", UINT64_MAX);
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    log_open(2, getenv("SIM_LOG") != NULL ? LOG_INFO : only != UINT64_MAX ? LOG_ERROR : LOG_OFF);
    printf("seed %" PRIu64 "\n", seed);
    vault_make();
    signal(SIGABRT, died);
    int rc = only != UINT64_MAX ? see_one(seed, only)
                                : see_all(seed, lifecycles, getenv("SIM_QUIET") != NULL);
    arena_trim();
    vault_free(sim_vault);
    heap_reset();
    return rc;
}
