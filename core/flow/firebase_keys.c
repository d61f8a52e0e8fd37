/* The set of keys and when it is fetched:
 *
 *   start -> fetch -> set, next fetch at 80 % of its life
 *                  -> nothing usable: again after a while, the old set stays for a day
 *   a token names a key that is not in the set -> wait for a fetch, at most one a minute
 *
 * Times are monotonic. */
#include "core/flow/firebase_keys.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "gateways/outbound.h"

enum { BODY_MAX = 64 * 1024 };
#define FETCH_TIMEOUT_US (5 * US_PER_S)

static struct metric fetched =
    METRIC_COUNTER("reli_firebase_keys_fetches_total", "outcome=\"ok\"", "Fetches of a key set");
static struct metric missed = METRIC_COUNTER("reli_firebase_keys_fetches_total",
                                             "outcome=\"failed\"", "Fetches of a key set");

struct waiter {
    struct link link;
    firebase_keys_fn *done;
    void *ctx;
};

struct firebase_keys {
    struct loop *l;
    struct outbound *out;
    const char *url;
    struct jwt_keys *set;
    int64_t set_us;    /* when it was fetched */
    int64_t forced_us; /* when somebody last made us fetch */
    bool forced, stopped;
    struct outbound_call *call;
    struct timer next;
    struct later soon;
    struct list waiting;
};

static void fetch(void *ctx);
static void came(void *ctx, const struct outbound_response *r);
static struct err take(struct firebase_keys *k, const struct outbound_response *r);
static void tell(void *ctx);
static void tell_all(struct firebase_keys *k, struct err err);

struct err firebase_keys_new(struct loop *l, struct outbound *out, const char *url,
                             struct firebase_keys **keys)
{
    struct firebase_keys *k = calloc(1, sizeof *k);
    if (k == NULL)
        return ERR(NO_MEMORY, "keys of Firebase");
    k->l = l;
    k->out = out;
    k->url = url;
    list_init(&k->waiting);
    timer_set(l, &k->next, 0, fetch, k);
    *keys = k;
    return ERR_OK;
}

void firebase_keys_stop(struct firebase_keys *k)
{
    if (k == NULL)
        return;
    k->stopped = true;
    timer_off(k->l, &k->next);
}

void firebase_keys_free(struct firebase_keys *k)
{
    if (k == NULL)
        return;
    ASSERT(k->call == NULL);
    k->stopped = true;
    timer_off(k->l, &k->next);
    loop_later_off(k->l, &k->soon);
    tell_all(k, ERR(CANCELED, "keys of Firebase"));
    jwt_keys_free(k->set);
    free(k);
}

const struct jwt_keys *firebase_keys_now(const struct firebase_keys *k)
{
    bool good = k->set != NULL && loop_mono_us(k->l) - k->set_us < FIREBASE_KEYS_LIFE_MAX_US;
    return good ? k->set : NULL;
}

/* Without a set every login waits for one: then a new try is due sooner. */
static bool may_fetch(const struct firebase_keys *k)
{
    int64_t pause =
        firebase_keys_now(k) != NULL ? FIREBASE_KEYS_FORCED_US : FIREBASE_KEYS_MISSING_US;
    return !k->stopped && (!k->forced || loop_mono_us(k->l) - k->forced_us >= pause);
}

struct err firebase_keys_refresh(struct firebase_keys *k, firebase_keys_fn *done, void *ctx)
{
    if (k->waiting.n >= FIREBASE_KEYS_WAITING)
        return ERR(UNAVAILABLE, "too many wait for the keys of Firebase");
    struct waiter *w = calloc(1, sizeof *w);
    if (w == NULL)
        return ERR(NO_MEMORY, "keys of Firebase");
    w->done = done;
    w->ctx = ctx;
    list_push(&k->waiting, &w->link);
    if (k->call != NULL)
        return ERR_OK;
    if (may_fetch(k)) {
        k->forced = true;
        k->forced_us = loop_mono_us(k->l);
        fetch(k);
    }
    if (k->call == NULL)
        loop_later(k->l, &k->soon, tell, k);
    return ERR_OK;
}

static void plan(struct firebase_keys *k, int64_t after_us)
{
    if (!k->stopped)
        timer_set(k->l, &k->next, after_us, fetch, k);
}

static void fetch(void *ctx)
{
    struct firebase_keys *k = ctx;
    if (k->call != NULL)
        return;
    struct outbound_request request = {.method = "GET",
                                       .url = k->url,
                                       .n_headers = 1,
                                       .headers = {"Accept: application/json"},
                                       .timeout_us = FETCH_TIMEOUT_US,
                                       .max_response = BODY_MAX};
    struct err err = outbound_start(k->out, &request, came, k, &k->call);
    if (!err_is(err))
        return;
    log_warn("firebase.keys_not_fetched", F_ERR(err));
    metric_add(&missed, 1);
    plan(k, FIREBASE_KEYS_RETRY_US);
}

static void came(void *ctx, const struct outbound_response *r)
{
    struct firebase_keys *k = ctx;
    k->call = NULL;
    struct err err = take(k, r);
    if (err_is(err)) {
        log_warn("firebase.keys_not_fetched", F_ERR(err), F_I64("status", r->status),
                 F_C("reason", r->error != NULL ? r->error : ""));
        plan(k, FIREBASE_KEYS_RETRY_US);
    }
    metric_add(err_is(err) ? &missed : &fetched, 1);
    tell(k);
}

/* How long the publisher says that a set is good, within our bounds. */
static int64_t life_us(int64_t max_age_s)
{
    if (max_age_s < 0)
        return FIREBASE_KEYS_LIFE_US;
    if (max_age_s >= FIREBASE_KEYS_LIFE_MAX_US / US_PER_S)
        return FIREBASE_KEYS_LIFE_MAX_US;
    int64_t us = max_age_s * US_PER_S;
    return us < FIREBASE_KEYS_LIFE_MIN_US ? FIREBASE_KEYS_LIFE_MIN_US : us;
}

static struct err take(struct firebase_keys *k, const struct outbound_response *r)
{
    struct jwt_keys *set = NULL;
    if (r->outcome != OUTBOUND_ANSWERED)
        return ERR(IO, "no answer");
    if (r->status != 200)
        return ERR(IO, "another answer than 200");
    TRY(jwt_keys_parse(r->body, &set));
    jwt_keys_free(k->set);
    k->set = set;
    k->set_us = loop_mono_us(k->l);
    int64_t life = life_us(r->max_age_s);
    log_info("firebase.keys", F_I64("keys", (int64_t)jwt_keys_n(set)),
             F_I64("life_s", life / US_PER_S));
    plan(k, life / 5 * 4);
    return ERR_OK;
}

static void tell(void *ctx)
{
    struct firebase_keys *k = ctx;
    if (k->call != NULL)
        return; /* a fetch has begun meanwhile: it may bring what they wait for */
    bool some = firebase_keys_now(k) != NULL;
    tell_all(k, some ? ERR_OK : ERR(UNAVAILABLE, "no keys of Firebase"));
}

/* Those who ask again from within their `done` are of the next round. */
static void tell_all(struct firebase_keys *k, struct err err)
{
    for (size_t n = k->waiting.n; n > 0; n--) {
        struct waiter *w = LIST_ITEM(list_pop(&k->waiting), struct waiter, link);
        w->done(w->ctx, err);
        free(w);
    }
}
