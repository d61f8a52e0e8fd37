/* Recomputing what the database says of itself. */
#include "core/prove.h"

#include <stdio.h>
#include <string.h>

#include "core/base/secret.h"
#include "core/flow/replay.h"
#include "core/flow/seal.h"
#include "core/tool.h"

/* ---- ledger ---- */

static void show_wrong(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    char merchant[UUID_TEXT], id[UUID_TEXT];
    t->err = err;
    t->found = !err_is(err) && rows_n(r) > 0;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        printf("wrong: %.*s %s of merchant %s: expected %.*s, found %.*s\n",
               STR_ARG(rows_str(r, i, 0)), uuid_text(rows_uuid(r, i, 2), id),
               uuid_text(rows_uuid(r, i, 1), merchant), STR_ARG(rows_str(r, i, 3)),
               STR_ARG(rows_str(r, i, 4)));
}

int prove_ledger(int argc, char **argv)
{
    struct tool t;
    if (argc != 1 || strcmp(argv[0], "prove") != 0)
        return tool_usage("ledger prove");
    struct err err = tool_open(&t, CONF_DATABASE);
    if (!err_is(err))
        err = tool_run(&t, Q_prove_ledger, NULL, 0, show_wrong);
    bool wrong = !err_is(err) && t.found;
    if (!err_is(err) && !wrong)
        puts("ledger: every balance and every payment agrees with its transfers");
    int code = tool_close(&t, err);
    return code != 0 ? code : wrong ? 1 : 0;
}

/* ---- audit ---- */

enum { SEALS_AT_ONCE = 200, SEAL_ROWS = 1000 };

struct audit {
    struct tool tool;
    struct seal seals[SEALS_AT_ONCE]; /* as stored */
    size_t n_seals;
    struct seal last; /* the one before: n 0 at a merchant's start */
    struct seal now;  /* being recomputed */
    int64_t bad;
    int64_t n_verified;
    /* a head that was logged */
    bool has_head, head_seen;
    struct uuid head_merchant;
    int64_t head_n;
    char head_hash[2 * SEAL_HASH + 1];
};

static void take_seals(void *ctx, struct err err, const struct rows *r)
{
    struct audit *a = CONTAINER_OF(ctx, struct audit, tool);
    a->tool.err = err;
    a->n_seals = err_is(err) ? 0 : rows_n(r);
    for (size_t i = 0; i < a->n_seals; i++) {
        struct seal *s = &a->seals[i];
        struct str hash = rows_str(r, i, 4), mac = rows_str(r, i, 5);
        *s = (struct seal){.merchant = rows_uuid(r, i, 0),
                           .n = rows_i64(r, i, 1),
                           .from = rows_i64(r, i, 2),
                           .to = rows_i64(r, i, 3)};
        memcpy(s->hash, hash.p, hash.n < SEAL_HASH ? hash.n : SEAL_HASH);
        memcpy(s->mac, mac.p, mac.n < SEAL_HASH ? mac.n : SEAL_HASH);
    }
}

static void recompute(void *ctx, struct err err, const struct rows *r)
{
    struct audit *a = CONTAINER_OF(ctx, struct audit, tool);
    a->tool.err = err;
    if (err_is(err))
        return;
    struct str previous = a->now.n > 1 ? str_n((char *)a->last.hash, SEAL_HASH) : STR("");
    struct err made = seal_make(a->tool.vault, &a->now, previous, r, &a->bad);
    if (made.code != ERR_INVALID)
        a->tool.err = made;
}

static bool complain(const struct seal *s, const char *what, int64_t position)
{
    char merchant[UUID_TEXT];
    printf("wrong: audit seal %lld of merchant %s: %s", (long long)s->n,
           uuid_text(s->merchant, merchant), what);
    if (position > 0)
        printf(" at position %lld", (long long)position);
    putchar('\n');
    return false;
}

static void see_head(struct audit *a, const struct seal *s)
{
    char hex[2 * SEAL_HASH + 1];
    if (!a->has_head || !uuid_eq(s->merchant, a->head_merchant) || s->n != a->head_n)
        return;
    for (int i = 0; i < SEAL_HASH; i++)
        snprintf(hex + 2 * i, 3, "%02x", s->hash[i]);
    a->head_seen = strcmp(hex, a->head_hash) == 0;
}

/* False: the seal or its rows are wrong. */
static bool verify_seal(struct audit *a, const struct seal *s, struct err *err)
{
    bool first = !uuid_eq(s->merchant, a->last.merchant) || a->last.n == 0;
    int64_t n = first ? 1 : a->last.n + 1, from = first ? 1 : a->last.to + 1;
    if (s->n != n || s->from != from)
        return complain(s, "does not follow the one before; seals are missing", 0);
    if (s->to - s->from >= SEAL_ROWS)
        return complain(s, "covers more rows than a seal may", 0);
    a->now = (struct seal){.merchant = s->merchant, .n = s->n, .from = s->from, .to = s->to};
    a->bad = 0;
    struct value params[] = {V_UUID(s->merchant), V_I64(s->from - 1), V_I64(s->to),
                             V_I64(SEAL_ROWS)};
    *err = tool_run(&a->tool, Q_seal_rows, params, COUNT_OF(params), recompute);
    if (err_is(*err))
        return false;
    if (a->bad != 0)
        return complain(s, "a row is missing or gone", a->bad);
    if (memcmp(a->now.hash, s->hash, SEAL_HASH) != 0)
        return complain(s, "its rows were changed, or it was", 0);
    if (!secret_eq(str_n((char *)a->now.mac, SEAL_HASH), str_n((const char *)s->mac, SEAL_HASH)))
        return complain(s, "its MAC was not made here", 0);
    a->last = *s;
    a->n_verified++;
    see_head(a, s);
    return true;
}

static void show_unplaced(void *ctx, struct err err, const struct rows *r)
{
    struct tool *t = ctx;
    char merchant[UUID_TEXT], id[UUID_TEXT];
    t->err = err;
    t->found = !err_is(err) && rows_n(r) > 0;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        printf("wrong: audit row %s of merchant %s has no position: it was not written by reli\n",
               uuid_text(rows_uuid(r, i, 2), id), uuid_text(rows_uuid(r, i, 0), merchant));
}

static bool verify_all(struct audit *a, struct err *err)
{
    for (;;) {
        struct value params[] = {V_UUID(a->last.merchant), V_I64(a->last.n), V_I64(SEALS_AT_ONCE)};
        *err = tool_run(&a->tool, Q_seal_list, params, COUNT_OF(params), take_seals);
        if (err_is(*err))
            return false;
        for (size_t i = 0; i < a->n_seals; i++)
            if (!verify_seal(a, &a->seals[i], err))
                return false;
        if (a->n_seals < SEALS_AT_ONCE)
            break;
    }
    *err = tool_run(&a->tool, Q_prove_log, NULL, 0, show_unplaced);
    if (err_is(*err) || a->tool.found)
        return false;
    if (a->has_head && !a->head_seen)
        puts("wrong: the head that was given is not in the chain: a tail was cut off, or the chain "
             "was made anew");
    return !a->has_head || a->head_seen;
}

static bool read_head(struct audit *a, const char *text)
{
    struct str rest = str_c(text), part;
    if (text == NULL)
        return true;
    a->has_head = true;
    if (!str_split(&rest, ':', &part) || !uuid_parse(part, &a->head_merchant) ||
        !str_split(&rest, ':', &part) || !str_to_i64(part, &a->head_n) || rest.n != 2 * SEAL_HASH)
        return false;
    str_copy_c(a->head_hash, sizeof a->head_hash, rest);
    return true;
}

int prove_audit(int argc, char **argv)
{
    static struct audit a; /* large */
    bool right = false;
    if (argc < 1 || strcmp(argv[0], "verify") != 0 || !tool_only(argc - 1, argv + 1, "--head") ||
        !read_head(&a, tool_option(argc, argv, "--head")))
        return tool_usage("audit verify [--head MERCHANT:N:HASH]");
    struct err err = tool_open(&a.tool, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        right = verify_all(&a, &err);
    if (right)
        printf("audit: %lld seals, every row as it was sealed\n", (long long)a.n_verified);
    int code = tool_close(&a.tool, err);
    return code != 0 ? code : right ? 0 : 1;
}

/* ---- replay ---- */

enum { PAYMENTS_AT_ONCE = 200, SHOWN_MAX = 20, PAYMENT_ARENA = 4 * 1024 * 1024 };

struct rebuild {
    struct tool tool;
    struct uuid merchant, payment; /* the last that was seen */
    int64_t n_payments, n_events, n_wrong;
    int n_page;
};

static void complain_payment(struct rebuild *b, const char *what)
{
    char merchant[UUID_TEXT], id[UUID_TEXT];
    if (++b->n_wrong <= SHOWN_MAX)
        printf("wrong: payment %s of merchant %s is not what its events make: %s\n",
               uuid_text(b->payment, id), uuid_text(b->merchant, merchant), what);
}

/* One payment, from row `at` on; the row behind it. */
static size_t rebuild_payment(struct rebuild *b, const struct rows *r, size_t at)
{
    static struct replay replay; /* large */
    struct payment_record stored = {0};
    struct arena arena;
    size_t row = at;
    arena_init(&arena, PAYMENT_ARENA);
    b->merchant = rows_uuid(r, at, 0);
    b->payment = rows_uuid(r, at, 1);
    replay_begin(&replay);
    struct err err = payment_record_read_one(r, at, &arena, &stored);
    for (; row < rows_n(r) && uuid_eq(rows_uuid(r, row, 1), b->payment); row++) {
        if (err_is(err) || rows_null(r, row, PAYMENT_RECORD_COLUMNS))
            continue;
        b->n_events++;
        err = replay_event(&replay, (int32_t)rows_i64(r, row, PAYMENT_RECORD_COLUMNS),
                           rows_str(r, row, PAYMENT_RECORD_COLUMNS + 1),
                           rows_str(r, row, PAYMENT_RECORD_COLUMNS + 2));
    }
    const char *wrong = err_is(err) ? err.what != NULL ? err.what : err_title(err.code)
                                    : replay_difference(&replay, &stored, &arena);
    if (wrong != NULL)
        complain_payment(b, wrong);
    b->n_payments++;
    b->n_page++;
    replay_end(&replay);
    arena_free(&arena);
    return row;
}

static void rebuild_page(void *ctx, struct err err, const struct rows *r)
{
    struct rebuild *b = CONTAINER_OF(ctx, struct rebuild, tool);
    b->tool.err = err;
    for (size_t row = 0; !err_is(err) && row < rows_n(r);)
        row = rebuild_payment(b, r, row);
}

int prove_replay(int argc, char **argv)
{
    struct rebuild b = {0};
    if (argc != 1 || strcmp(argv[0], "--verify") != 0)
        return tool_usage("replay --verify");
    struct err err = tool_open(&b.tool, CONF_DATABASE);
    do {
        struct value params[] = {V_UUID(b.merchant), V_UUID(b.payment), V_I64(PAYMENTS_AT_ONCE)};
        b.n_page = 0;
        if (!err_is(err))
            err = tool_run(&b.tool, Q_payment_replay, params, COUNT_OF(params), rebuild_page);
    } while (!err_is(err) && b.n_page == PAYMENTS_AT_ONCE);
    if (!err_is(err) && b.n_wrong == 0)
        printf("replay: %lld payments are what their %lld events make\n", (long long)b.n_payments,
               (long long)b.n_events);
    int code = tool_close(&b.tool, err);
    return code != 0 ? code : b.n_wrong > 0 ? 1 : 0;
}
