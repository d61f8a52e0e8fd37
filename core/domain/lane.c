/* Lanes of webhook deliveries, by endpoint within merchant. */
#include "core/domain/lane.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"

#define uthash_fatal(msg) assert_failed((msg), __FILE__, __LINE__)
#include <uthash.h>

enum { LANES_KEPT = 4096 };

struct share { /* a merchant's */
    struct uuid merchant;
    int in, n_lanes;
    struct list lanes; /* those in which somebody waits */
    struct link link;  /* in lanes.shares while there is one */
    UT_hash_handle hh;
};

struct lane_key {
    struct uuid merchant, endpoint;
};

struct lane {
    struct lane_key key;
    struct share *share;
    int in, failures; /* in a row */
    int64_t average_us;
    struct list waiting;
    struct link link; /* in its share, while somebody waits; among the idle ones else */
    UT_hash_handle hh;
};

struct lanes {
    struct lane_rules rules;
    struct share *share_table;
    struct lane *table;
    struct list shares; /* whose turn it is, in a ring */
    struct list idle;   /* lanes with nobody in them, longest first */
    int in, waiting;
};

void lane_rules_default(struct lane_rules *r)
{
    *r = (struct lane_rules){
        .endpoint = 4,
        .failing = 1,
        .merchant = 64,
        .total = 512,
        .waiting = 64,
        .patience_us = 20 * US_PER_S,
        .later_max_us = 10 * US_PER_MIN,
    };
}

struct lanes *lanes_new(const struct lane_rules *r)
{
    struct lanes *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->rules = *r;
    list_init(&l->shares);
    list_init(&l->idle);
    return l;
}

static void lane_drop(struct lanes *l, struct lane *lane)
{
    struct share *s = lane->share;
    list_remove(&l->idle, &lane->link);
    HASH_DEL(l->table, lane);
    free(lane);
    if (--s->n_lanes == 0) {
        HASH_DEL(l->share_table, s);
        free(s);
    }
}

void lanes_free(struct lanes *l)
{
    struct link *k;
    if (l == NULL)
        return;
    ASSERT(l->in == 0 && l->waiting == 0);
    while ((k = list_first(&l->idle)) != NULL)
        lane_drop(l, LIST_ITEM(k, struct lane, link));
    free(l);
}

static struct share *share_of(struct lanes *l, struct uuid merchant)
{
    struct share *s;
    HASH_FIND(hh, l->share_table, &merchant, sizeof merchant, s);
    if (s == NULL) {
        s = calloc(1, sizeof *s);
        ASSERT(s != NULL);
        s->merchant = merchant;
        list_init(&s->lanes);
        HASH_ADD(hh, l->share_table, merchant, sizeof s->merchant, s);
    }
    return s;
}

/* The lane, busy from here on: not among the idle ones. */
static struct lane *lane_of(struct lanes *l, struct uuid merchant, struct uuid endpoint)
{
    struct lane *lane;
    struct lane_key key = {merchant, endpoint};
    HASH_FIND(hh, l->table, &key, sizeof key, lane);
    if (lane == NULL) {
        if (HASH_COUNT(l->table) >= LANES_KEPT && !list_is_empty(&l->idle))
            lane_drop(l, LIST_ITEM(list_first(&l->idle), struct lane, link));
        lane = calloc(1, sizeof *lane);
        ASSERT(lane != NULL);
        lane->key = key;
        lane->share = share_of(l, merchant);
        lane->share->n_lanes++;
        list_init(&lane->waiting);
        HASH_ADD(hh, l->table, key, sizeof lane->key, lane);
    } else if (lane->in == 0 && list_is_empty(&lane->waiting)) {
        list_remove(&l->idle, &lane->link);
    }
    return lane;
}

static int width(const struct lanes *l, const struct lane *lane)
{
    return lane->failures >= LANE_FAILURES ? l->rules.failing : l->rules.endpoint;
}

/* How long one who joins now would wait, as things go. */
static int64_t wait_us(const struct lanes *l, const struct lane *lane)
{
    return ((int64_t)lane->waiting.n + 1) * lane->average_us / width(l, lane);
}

static int64_t later(const struct lanes *l, const struct lane *lane)
{
    int64_t us = wait_us(l, lane);
    if (us < l->rules.patience_us)
        return l->rules.patience_us;
    return us < l->rules.later_max_us ? us : l->rules.later_max_us;
}

static bool has_room(const struct lanes *l, const struct lane *lane)
{
    return lane->in < width(l, lane) && lane->share->in < l->rules.merchant &&
           l->in < l->rules.total;
}

static void go_in(struct lanes *l, struct lane *lane, struct lane_place *p)
{
    p->lane = lane;
    lane->in++;
    lane->share->in++;
    l->in++;
}

static void rest_if_idle(struct lanes *l, struct lane *lane)
{
    if (lane->in == 0 && list_is_empty(&lane->waiting))
        list_push(&l->idle, &lane->link);
}

enum lane_verdict lane_enter(struct lanes *l, struct uuid merchant, struct uuid endpoint,
                             struct lane_place *p, int64_t now_us, int64_t *later_us)
{
    ASSERT(!lane_holds(p));
    struct lane *lane = lane_of(l, merchant, endpoint);
    if (list_is_empty(&lane->waiting) && has_room(l, lane)) {
        go_in(l, lane, p);
        return LANE_GO;
    }
    if (lane->waiting.n >= (size_t)l->rules.waiting || wait_us(l, lane) > l->rules.patience_us) {
        *later_us = later(l, lane);
        rest_if_idle(l, lane);
        return LANE_LATER;
    }
    if (list_is_empty(&lane->waiting)) {
        if (list_is_empty(&lane->share->lanes))
            list_push(&l->shares, &lane->share->link);
        list_push(&lane->share->lanes, &lane->link);
    }
    p->lane = lane;
    p->since_us = now_us;
    list_push(&lane->waiting, &p->link);
    l->waiting++;
    return LANE_WAIT;
}

void lane_leave(struct lanes *l, struct lane_place *p, bool ok, int64_t took_us)
{
    struct lane *lane = p->lane;
    ASSERT(lane != NULL && !list_linked(&p->link));
    p->lane = NULL;
    if (took_us >= 0) {
        lane->average_us = lane->average_us == 0 ? took_us : (3 * lane->average_us + took_us) / 4;
        lane->failures = ok ? 0 : lane->failures + 1;
    }
    lane->in--;
    lane->share->in--;
    l->in--;
    rest_if_idle(l, lane);
}

/* Takes the first one out of the queue of a lane in which somebody waits. */
static struct lane_place *queue_pop(struct lanes *l, struct lane *lane)
{
    struct lane_place *p = LIST_ITEM(list_pop(&lane->waiting), struct lane_place, link);
    struct share *s = lane->share;
    l->waiting--;
    if (list_is_empty(&lane->waiting)) {
        list_remove(&s->lanes, &lane->link);
        if (list_is_empty(&s->lanes))
            list_remove(&l->shares, &s->link);
    }
    return p;
}

static void to_the_end(struct list *ring, struct link *k)
{
    list_remove(ring, k);
    list_push(ring, k);
}

struct lane_place *lane_next(struct lanes *l)
{
    if (l->in >= l->rules.total)
        return NULL;
    for (size_t i = l->shares.n; i > 0; i--) {
        struct share *s = LIST_ITEM(list_first(&l->shares), struct share, link);
        to_the_end(&l->shares, &s->link);
        for (size_t k = s->in < l->rules.merchant ? s->lanes.n : 0; k > 0; k--) {
            struct lane *lane = LIST_ITEM(list_first(&s->lanes), struct lane, link);
            to_the_end(&s->lanes, &lane->link);
            if (has_room(l, lane)) {
                struct lane_place *p = queue_pop(l, lane);
                go_in(l, lane, p);
                return p;
            }
        }
    }
    return NULL;
}

struct lane_place *lane_expired(struct lanes *l, int64_t now_us, int64_t *later_us)
{
    for (struct link *i = list_first(&l->shares); i != NULL; i = list_next(&l->shares, i)) {
        struct share *s = LIST_ITEM(i, struct share, link);
        for (struct link *k = list_first(&s->lanes); k != NULL; k = list_next(&s->lanes, k)) {
            struct lane *lane = LIST_ITEM(k, struct lane, link);
            struct lane_place *p = LIST_ITEM(list_first(&lane->waiting), struct lane_place, link);
            if (now_us - p->since_us < l->rules.patience_us)
                continue;
            queue_pop(l, lane);
            *later_us = later(l, lane);
            p->lane = NULL;
            rest_if_idle(l, lane);
            return p;
        }
    }
    return NULL;
}

int lanes_in(const struct lanes *l)
{
    return l->in;
}

int lanes_waiting(const struct lanes *l)
{
    return l->waiting;
}
