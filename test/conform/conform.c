/* The conformance kit's program: every gateway of the registry through every check, then the kit
 * itself, against adapters that are wrong in one thing each. Run it where gateways/ and README.md
 * are:
 *   conform [registry | itself]
 * The last line sums up; exit code 1 if anything failed. */
#include <stdarg.h>

#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "test/conform/conform.h"

enum { RUN_LIMIT = 512 * 1024 * 1024, NAME_WIDTH = 8, CHECK_WIDTH = 42, CHECKS_MAX = 64 };

static const struct check *const groups[] = {descriptor_checks, request_checks, answer_checks,
                                             hostile_checks,    webhook_checks, receipt_checks};
static size_t passed, failed;

/* ---- one check ---- */

void run_fault(struct run *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (r->n_faults < FAULTS_KEPT)
        (void)vsnprintf(r->faults[r->n_faults], FAULT_TEXT, fmt, args);
    va_end(args);
    r->n_faults++;
}

void run_case(struct run *r, bool ok, const char *fmt, ...)
{
    r->n_cases++;
    if (ok)
        return;
    char text[FAULT_TEXT];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    run_fault(r, "%s", text);
}

void account_set(struct run *r, struct gw_account *a, const char *name, struct str value)
{
    for (size_t i = 0; i < r->gw->n_settings; i++) {
        if (strcmp(r->gw->settings[i].name, name) != 0)
            continue;
        struct str copy = arena_dup(&r->mem, value);
        ASSERT(copy.p != NULL);
        a->settings[i] = (struct secret){(unsigned char *)(uintptr_t)copy.p, copy.n};
        return;
    }
    run_fault(r, "the fixture names a setting that is not there: %s", name);
}

struct gw_account run_account(struct run *r, const struct sample *instead)
{
    struct gw_account a = {.gateway = r->gw,
                           .id = "conform",
                           .base_url = str_c(r->fx->base_url),
                           .timeout_us = 30 * US_PER_S};
    for (const struct sample *s = r->fx->settings; s != NULL && s->name != NULL; s++)
        account_set(r, &a, s->name, str_c(s->value));
    for (const struct sample *s = instead; s != NULL && s->name != NULL; s++)
        account_set(r, &a, s->name, str_c(s->value));
    return a;
}

/* Nonces are the same in every run: 00 01 02 … */
static void counting(void *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)i;
}

static void check_run(const struct check *c, const struct gateway *g, const struct fixture *fx,
                      struct run *r)
{
    *r = (struct run){.fx = fx, .gw = g};
    arena_init(&r->mem, RUN_LIMIT);
    r->account = run_account(r, NULL);
    random_source(counting);
    c->run(r);
    random_source(NULL);
    arena_free(&r->mem);
}

/* "1 834" */
static const char *grouped(size_t n, char out[32])
{
    char digits[24];
    size_t len = (size_t)snprintf(digits, sizeof digits, "%zu", n), k = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[k++] = ' ';
        out[k++] = digits[i];
    }
    out[k] = '\0';
    return out;
}

static void line(const char *who, const char *what, const struct run *r)
{
    char n[32];
    if (r->n_faults == 0) {
        printf("  %-*s %-*s ok (%s case%s)\n", NAME_WIDTH, who, CHECK_WIDTH, what,
               grouped(r->n_cases, n), r->n_cases == 1 ? "" : "s");
        passed++;
        return;
    }
    printf("  %-*s %-*s FAIL (%zu of %s)\n", NAME_WIDTH, who, CHECK_WIDTH, what, r->n_faults,
           grouped(r->n_cases, n));
    for (size_t i = 0; i < r->n_faults && i < FAULTS_KEPT; i++)
        printf("             %s\n", r->faults[i]);
    failed++;
}

/* ---- the registry ---- */

static void gateway_run(const struct gateway *g)
{
    static struct run r;
    const struct fixture *fx = fixture_find(g->name);
    size_t none = 0;
    if (fx == NULL) {
        r = (struct run){.n_faults = 1, .n_cases = 1};
        (void)snprintf(r.faults[0], FAULT_TEXT, "write test/conform/%s.c", g->name);
        line(g->name, "has_a_fixture", &r);
        return;
    }
    if (fx->prepare != NULL)
        fx->prepare();
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        for (const struct check *c = groups[i]; c->name != NULL; c++) {
            check_run(c, g, fx, &r);
            if (r.n_cases == 0 && r.n_faults == 0)
                none++;
            else
                line(g->name, c->name, &r);
        }
    }
    if (none > 0)
        printf("  %-*s (%zu checks have nothing to check here)\n", NAME_WIDTH, g->name, none);
}

/* ---- the kit itself ---- */

/* Runs all checks on the adapter with fault `i`; the names of those that failed, by commas. */
static void names_failed(size_t i, struct run *r, char *out, size_t cap, bool *covered)
{
    size_t n = 0, k = 0;
    out[0] = '\0';
    for (size_t g = 0; g < COUNT_OF(groups); g++) {
        for (const struct check *c = groups[g]; c->name != NULL; c++, k++) {
            check_run(c, wrong_gateway(i), &fixture_toy, r);
            ASSERT(k < CHECKS_MAX);
            if (r->n_faults == 0)
                continue;
            covered[k] = true;
            n +=
                (size_t)snprintf(out + n, n < cap ? cap - n : 0, "%s%s", n > 0 ? "," : "", c->name);
            for (size_t f = 0; i == 0 && f < r->n_faults && f < FAULTS_KEPT; f++)
                printf("             %s\n", r->faults[f]);
        }
    }
}

static void itself(void)
{
    static struct run r;
    bool covered[CHECKS_MAX] = {false};
    for (size_t i = 0; wrongs[i].name != NULL; i++) {
        char got[2048];
        names_failed(i, &r, got, sizeof got, covered);
        bool ok = strcmp(got, wrongs[i].fails) == 0;
        printf("  %-*s %-*s %s%s\n", NAME_WIDTH, "wrong", CHECK_WIDTH, wrongs[i].name,
               ok ? "noticed by " : "FAIL, noticed by ", got[0] != '\0' ? got : "none");
        if (!ok)
            printf("             instead of %s\n", wrongs[i].fails);
        *(ok ? &passed : &failed) += 1;
    }
    size_t k = 0;
    for (size_t g = 0; g < COUNT_OF(groups); g++) {
        for (const struct check *c = groups[g]; c->name != NULL; c++, k++) {
            if (covered[k])
                continue;
            printf("  %-*s %-*s FAIL: no wrong adapter shows that it can fail\n", NAME_WIDTH,
                   "wrong", CHECK_WIDTH, c->name);
            failed++;
        }
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (err_is(crypto_open()))
        return 2;
    if (strcmp(what, "itself") != 0)
        for (size_t i = 0; gateways[i] != NULL; i++)
            gateway_run(gateways[i]);
    if (strcmp(what, "registry") != 0)
        itself();
    arena_trim();
    crypto_close();
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
