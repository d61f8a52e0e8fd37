/* Who attacks writes as little as possible: equal events are one row with a count, a second's rows
 * are one statement, and of each kind only so many wait. */
#include "core/flow/security.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"

enum { ACTOR_TEXT = 64, ROUTE_TEXT = 64, QUIET = 16, STATEMENT_MAX = 512 * 1024 };
#define WAIT_US US_PER_S
#define WAIT_LONG_US (10 * US_PER_S)

static const char *const words[SECURITY_N] = {
#define X(name, word, means) [SECURITY_##name] = word,
    SECURITY_KINDS(X)
#undef X
};

static struct metric totals[SECURITY_N] = {
#define X(name, word, means)                                                              \
    [SECURITY_##name] = METRIC_COUNTER("reli_security_events_total", "kind=\"" word "\"", \
                                       "What was refused to whom"),
    SECURITY_KINDS(X)
#undef X
};
static struct metric dropped = METRIC_COUNTER("reli_security_events_dropped_total", "",
                                              "Security events that were counted but not stored");

struct pending {
    struct uuid merchant, id;
    char address[ADDRESS_TEXT], actor[ACTOR_TEXT], route[ROUTE_TEXT];
    const char *detail;
    int64_t n, last_us; /* wall */
};

struct security {
    struct timer timer;
    bool stopped;
    int64_t wait_us;
    size_t n[SECURITY_N];
    struct pending list[SECURITY_N][SECURITY_PENDING];
};

/* What is on its way to the database. */
struct batch {
    struct flow *flow;
    int64_t n;
};

const char *security_word(enum security_kind kind)
{
    return words[kind];
}

bool security_parse(struct str word, enum security_kind *kind)
{
    for (enum security_kind k = 0; k < SECURITY_N; k++)
        if (str_eq(word, str_c(words[k]))) {
            *kind = k;
            return true;
        }
    return false;
}

/* ---- out ---- */

static void put(struct jsonw *w, enum security_kind kind, const struct pending *p)
{
    jw_open(w);
    jw_uuid(w, "merchant_id", p->merchant);
    jw_uuid(w, "id", p->id);
    jw_c(w, "kind", words[kind]);
    jw_c(w, "address", p->address);
    jw_str(w, "actor", str_c_opt(p->actor));
    jw_c(w, "route", p->route);
    jw_str(w, "detail", p->detail != NULL ? str_c(p->detail) : STR_NULL);
    jw_i64(w, "times", p->n);
    jw_time(w, "created_at", uuid_v7_ms(p->id) * US_PER_MS);
    jw_time(w, "last_at", p->last_us);
    jw_close(w);
}

static void stored(void *ctx, struct err err, const struct rows *r)
{
    struct batch *b = ctx;
    (void)r;
    if (err_is(err)) {
        metric_add(&dropped, b->n);
        log_warn("security.not_stored", F_I64("events", b->n), F_ERR(err));
    }
    b->flow->busy--;
    free(b);
}

static void flush(struct flow *f)
{
    struct security *s = f->security;
    struct batch *batch = calloc(1, sizeof *batch);
    struct buf b;
    size_t rows = 0;
    int64_t n = 0;
    buf_init(&b, STATEMENT_MAX);
    struct jsonw w = jw_into(&b);
    jw_open_list(&w);
    for (enum security_kind k = 0; k < SECURITY_N; k++) {
        for (size_t i = 0; i < s->n[k]; i++) {
            put(&w, k, &s->list[k][i]);
            n += s->list[k][i].n;
        }
        rows += s->n[k];
        s->n[k] = 0;
    }
    jw_close_list(&w);
    s->wait_us = rows > QUIET ? WAIT_LONG_US : WAIT_US;
    if (b.failed || batch == NULL || rows == 0) {
        metric_add(&dropped, n);
        free(batch);
    } else {
        *batch = (struct batch){f, n};
        struct value events = V_JSON(buf_view(&b));
        f->busy++;
        store_exec(f->store, Q_security_insert, &events, 1, stored, batch);
    }
    buf_free(&b);
}

static void timed(void *ctx)
{
    flush(ctx);
}

/* ---- in ---- */

static bool same(const struct pending *p, const struct security_event *e)
{
    return uuid_eq(p->merchant, e->merchant) && p->detail == e->detail &&
           str_eq(str_c(p->address), str_first(e->address, ADDRESS_TEXT - 1)) &&
           str_eq(str_c(p->actor), str_first(e->actor, ACTOR_TEXT - 1)) &&
           str_eq(str_c(p->route), str_first(e->route, ROUTE_TEXT - 1));
}

static struct pending *find(struct security *s, const struct security_event *e)
{
    for (size_t i = 0; i < s->n[e->kind]; i++)
        if (same(&s->list[e->kind][i], e))
            return &s->list[e->kind][i];
    return NULL;
}

static void say(const struct security_event *e)
{
    log_warn("security.event", F_C("kind", words[e->kind]), F_STR("address", e->address),
             F_ID("merchant", e->merchant), F_STR("actor", e->actor), F_STR("route", e->route),
             F_C("detail", e->detail != NULL ? e->detail : ""));
}

static void keep(struct flow *f, const struct security_event *e)
{
    struct security *s = f->security;
    int64_t now = loop_wall_us(f->loop);
    struct pending *p = find(s, e);
    if (p == NULL && s->n[e->kind] == SECURITY_PENDING) {
        metric_add(&dropped, 1);
        return;
    }
    if (p == NULL) {
        p = &s->list[e->kind][s->n[e->kind]++];
        *p = (struct pending){.merchant = e->merchant, .id = random_uuid(now), .detail = e->detail};
        str_copy_c(p->address, sizeof p->address, e->address);
        str_copy_c(p->actor, sizeof p->actor, e->actor);
        str_copy_c(p->route, sizeof p->route, e->route);
        say(e);
    }
    p->n++;
    p->last_us = now;
    if (!timer_is_on(&s->timer))
        timer_set(f->loop, &s->timer, s->wait_us, timed, f);
}

void security_note(struct flow *f, const struct security_event *e)
{
    metric_add(&totals[e->kind], 1);
    if (f->security == NULL)
        say(e);
    else if (f->security->stopped)
        metric_add(&dropped, 1);
    else
        keep(f, e);
}

/* ---- life ---- */

struct err security_new(struct flow *f)
{
    f->security = calloc(1, sizeof *f->security);
    if (f->security == NULL)
        return ERR(NO_MEMORY, "security");
    f->security->wait_us = WAIT_US;
    return ERR_OK;
}

void security_stop(struct flow *f)
{
    struct security *s = f->security;
    s->stopped = true;
    timer_off(f->loop, &s->timer);
    flush(f);
}

void security_free(struct flow *f)
{
    if (f->security != NULL)
        timer_off(f->loop, &f->security->timer);
    free(f->security);
    f->security = NULL;
}
