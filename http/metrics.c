/* GET /api/v1/metrics: how a merchant's payments do, as numbers (contract.md, section 5). */
#include "http/api.h"

#include <stdio.h>

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "http/list.h"

enum { TALLY_MAX = 10000, TALLY_DAYS = 30, METRICS_BYTES = 64 * 1024 };
enum { T_PROVIDER, T_STATUS, T_COUNT, T_MORE };

struct tally {
    int64_t of[PAYMENT_N_STATES];
};

struct metrics {
    struct http_exchange *x;
    struct field_errors errors;
    struct uuid from, until; /* until: nil without */
};

static int64_t sum(const struct tally *t, bool decided, bool paid)
{
    int64_t n = 0;
    for (int s = 0; s < PAYMENT_N_STATES; s++)
        if ((!decided || payment_status_final((enum payment_status)s)) &&
            (!paid || (s != PAYMENT_FAILED && s != PAYMENT_EXPIRED && s != PAYMENT_CANCELLED)))
            n += t->of[s];
    return n;
}

/* Paid of decided, with four decimals; what is under way does not count yet. */
static void put_rate(struct jsonw *w, const struct tally *t)
{
    int64_t all = sum(t, true, false), paid = sum(t, true, true);
    char text[24];
    if (all == 0) {
        jw_null(w, "success_rate");
        return;
    }
    int64_t rate = (paid * 10000 + all / 2) / all;
    snprintf(text, sizeof text, "%lld.%04lld", (long long)(rate / 10000),
             (long long)(rate % 10000));
    jw_raw(w, "success_rate", str_c(text));
}

static void put_tally(struct jsonw *w, const struct tally *t)
{
    jw_key(w, "counts");
    jw_open(w);
    jw_i64(w, "total", sum(t, false, false));
    for (int s = 0; s < PAYMENT_N_STATES; s++)
        jw_i64(w, payment_status_word((enum payment_status)s), t->of[s]);
    jw_close(w);
    put_rate(w, t);
}

/* Adds a row to `all`, and to `one`, which is of its provider. */
static struct err add(const struct rows *r, size_t i, struct tally *all, struct tally *one)
{
    enum payment_status s;
    if (!payment_status_parse(rows_str(r, i, T_STATUS), &s))
        return ERR(INTERNAL, "stored payment not understood");
    all->of[s] += rows_i64(r, i, T_COUNT);
    one->of[s] += rows_i64(r, i, T_COUNT);
    return ERR_OK;
}

/* The rows come by provider. */
static struct err put_providers(struct jsonw *w, const struct rows *r, struct tally *all)
{
    jw_key(w, "by_provider");
    jw_open(w);
    for (size_t i = 0; i < rows_n(r);) {
        struct tally one = {0};
        char name[64];
        struct str provider = rows_str(r, i, T_PROVIDER);
        str_copy_c(name, sizeof name, provider);
        while (i < rows_n(r) && str_eq(rows_str(r, i, T_PROVIDER), provider))
            TRY(add(r, i++, all, &one));
        jw_key(w, name);
        jw_open(w);
        put_tally(w, &one);
        jw_close(w);
    }
    jw_close(w);
    return ERR_OK;
}

static void tallied(void *ctx, struct err err, const struct rows *r)
{
    struct metrics *m = ctx;
    struct tally all = {0};
    bool more = false;
    struct buf b;
    buf_init(&b, METRICS_BYTES);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "metrics");
    jw_str(&w, "mode", mode_word(api_who(m->x)->live));
    if (!err_is(err))
        err = put_providers(&w, r, &all);
    put_tally(&w, &all);
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        more |= rows_bool(r, i, T_MORE);
    jw_bool(&w, "total_is_capped", more);
    jw_close(&w);
    if (err_is(err)) {
        buf_free(&b);
        http_problem(m->x, err, "");
        return;
    }
    api_reply_buf(m->x, 200, &b);
}

void merchant_metrics(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct metrics *m = ARENA_NEW(x->arena, struct metrics);
    if (m == NULL) {
        http_problem(x, ERR(NO_MEMORY, "metrics"), "");
        return;
    }
    m->x = x;
    m->errors.arena = x->arena;
    int64_t now_us = loop_wall_us(api_of(x)->flow->loop);
    m->from = uuid_v7_floor((now_us - TALLY_DAYS * US_PER_DAY) / US_PER_MS);
    list_date(http_query(x, STR("date_from")), "date_from", false, &m->from, &m->errors);
    list_date(http_query(x, STR("date_to")), "date_to", true, &m->until, &m->errors);
    if (!list_ok(x, &m->errors))
        return;
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_UUID(m->from),
                             V_UUID_OPT(m->until), V_I64(TALLY_MAX)};
    store_read(api_of(x)->flow->store, Q_payment_tally, params, COUNT_OF(params), tallied, m);
}
