/* `make sim`: world after world from one seed, then the figures.
 *   SIM_LIFECYCLES  payments to see through (default 1 000 000)
 *   SIM_SEED        of the run; a fresh one is printed
 *   SIM_WORLD       only this world of the run, told step by step */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "core/base/log.h"
#include "test/sim/cover.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

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
    printf("crashes at:\n");
    for (size_t i = 0; i < CRASH_N_POINTS; i++)
        printf("  %-24s %12" PRIu64 " of %12" PRIu64 " visits\n", crash_point_name(i),
               totals.crashes_at[i], totals.visits[i]);
    double n = (double)totals.lifecycles;
    printf("%" PRIu64 " lifecycles in %" PRIu64 " worlds: %.2f provider calls, %.2f faults, %.1f "
           "steps each\n",
           totals.lifecycles, totals.worlds, (double)totals.provider_calls / n, (double)faults / n,
           (double)totals.steps / n);
    printf("%.1f s, %.0f lifecycles a minute\n", seconds, n / seconds * 60);
}

/* Every point, but the one inside the real store. */
static bool crashed_everywhere(uint64_t least)
{
    bool good = true;
    for (size_t i = 0; i < CRASH_N_POINTS; i++)
        if (i != CRASH_STORE_COMMITTED && totals.crashes_at[i] < least) {
            printf("TOO FEW crashes at %s\n", crash_point_name(i));
            good = false;
        }
    return good;
}

int main(void)
{
    uint64_t lifecycles = from_env("SIM_LIFECYCLES", 1000000);
    uint64_t seed = from_env("SIM_SEED", fresh_seed());
    uint64_t only = from_env("SIM_WORLD", UINT64_MAX);
    uint64_t least = from_env("SIM_LEAST", lifecycles >= 1000000 ? 100 : lifecycles >= 20000);
    uint64_t hash = seed;
    struct timespec from, to;
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    log_open(2, getenv("SIM_LOG") != NULL ? LOG_INFO : LOG_OFF);
    printf("seed %" PRIu64 "\n", seed);
    vault_make();
    clock_gettime(CLOCK_MONOTONIC, &from);
    w.verbose = only != UINT64_MAX;
    for (uint64_t i = only != UINT64_MAX ? only : 0; totals.lifecycles < lifecycles; i++) {
        world_begin(seed, i);
        world_run();
        if (!w.failed)
            check_world();
        if (w.failed) {
            printf("FAILED: SIM_SEED=%" PRIu64 " SIM_WORLD=%" PRIu64 " tells it step by step\n",
                   seed, i);
            return 1;
        }
        totals.worlds++;
        totals.lifecycles += mem.n_payments;
        totals.steps += w.n_steps;
        hash = (hash ^ w.hash) * 0x9fb21c651e98df25u;
        hash ^= hash >> 31;
        if (only != UINT64_MAX)
            break;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    arena_trim();
    if (only == UINT64_MAX)
        figures((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    bool good = only != UINT64_MAX || (cover_print(least) & crashed_everywhere(least));
    vault_free(sim_vault);
    heap_reset();
    printf("seed %" PRIu64 "\nhash %016" PRIx64 "\n%s\n", seed, hash, good ? "ok" : "FAILED");
    return good ? 0 : 1;
}
