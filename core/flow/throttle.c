/* Buckets of requests, leased from Redis in handfuls; see throttle.h.
 *
 * A request: a cell is held: spend it. None is: ask Redis for those that wait and for what will
 * soon be wanted, and wait. The bucket is known to be empty: stop until the next cell falls due.
 * Redis is away, has just failed or is late: take from the own share.
 *
 * Memory is bounded: of each class the subjects that came last are known, and who sends many
 * addresses pushes out addresses, not API keys. A bucket that is forgotten is still in Redis. */
#include "core/flow/throttle.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/metric.h"
#include "core/crypto/mac.h"

#define DEADLINE_US (20 * US_PER_MS)
#define DEMAND_US (50 * US_PER_MS)
#define HOLD_US (100 * US_PER_MS)
#define RETRY_US (100 * US_PER_MS)

enum { HEADS = 4096, MAX_KNOWN = 8192, WAITERS_MAX = 4096, FEW = 4, NUMBER = 24 };

/* One bucket: how many cells of `want` there were, and how far from full it is then, µs. Redis'
 * clock is the only one. `back` are cells that were leased and not spent; less than 0: that were
 * spent without asking. `floor` is how far from full it is at least, as who went on without Redis
 * believes. A clock that went back shuts nobody out for longer than an empty bucket does. */
static const char script[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000000 + t[2]\n"
    "local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
    "local want, back, floor = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local full = interval * burst\n"
    "local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) - back * interval\n"
    "tat = math.min(math.max(tat, now, now + floor), now + full)\n"
    "local n = math.min(want, math.floor((now + full - tat) / interval))\n"
    "tat = tat + n * interval\n"
    "if tat > now then\n"
    "  redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX',\n"
    "             string.format('%.0f', math.ceil((tat - now) / 1000) + 1))\n"
    "else\n"
    "  redis.call('DEL', KEYS[1])\n"
    "end\n"
    "return string.format('%.0f %.0f', n, tat - now)\n";

static const char *const class_words[THROTTLE_N] = {
#define X(name, word) [THROTTLE_##name] = word,
    THROTTLE_CLASSES(X)
#undef X
};

static struct metric stopped_total[THROTTLE_N] = {
#define X(name, word)                                                                   \
    [THROTTLE_##name] = METRIC_COUNTER("reli_rate_limited_total", "class=\"" word "\"", \
                                       "Requests over their limit"),
    THROTTLE_CLASSES(X)
#undef X
};
static struct metric asked_total =
    METRIC_COUNTER("reli_rate_leases_total", "", "Times that Redis was asked for cells");
static struct metric alone_total =
    METRIC_COUNTER("reli_rate_alone_total", "", "Requests decided by the own share, without Redis");

struct bucket {
    struct link age; /* of its class: the one that came last is first */
    struct bucket *next;
    struct throttle *t;
    enum throttle_class class;
    size_t len;
    char subject[THROTTLE_SUBJECT_MAX];
    int64_t tat_us; /* monotonic: when it is full, by Redis' last word; then by the own share */
    bool strayed;   /* Redis may believe it to be fuller */
    int64_t owed, telling; /* cells spent without asking; of them being told to Redis */
    int64_t held, held_since_us;
    struct link holding;
    int64_t shut_until_us, retry_at_us;
    bool asking, late;
    int64_t want; /* of the question that is under way */
    struct timer deadline;
    struct list waiters;
    int64_t span_us; /* when the present span of demand began */
    int64_t spent, spent_before;
};

struct throttle {
    struct flow *flow;
    struct throttle_rules rules;
    char sha[2 * SHA1_LEN + 1];
    bool loaded; /* Redis is believed to know the script */
    struct list ages[THROTTLE_N];
    struct bucket **heads[THROTTLE_N];
    struct list holding; /* buckets with cells, those with the oldest first */
    struct timer sweep;
};

static void ask(struct bucket *b, int64_t want, int64_t back);
static void sweep(void *ctx);

static int64_t now_of(const struct bucket *b)
{
    return loop_mono_us(b->t->flow->loop);
}

static const struct gcra_rule *rule_of(const struct bucket *b)
{
    return &b->t->rules.of[b->class];
}

static struct gcra_rule share_of(const struct bucket *b)
{
    int n = b->t->flow->n_replicas;
    return gcra_share(rule_of(b), n > 1 ? n : 1);
}

static struct throttle_state state_of(const struct bucket *b, int64_t wait_us)
{
    const struct gcra_rule *r = rule_of(b);
    int64_t now = now_of(b), full_us = b->tat_us - now - b->held * r->interval_us;
    int64_t left = b->held + gcra_left(r, b->tat_us, now);
    return (struct throttle_state){
        .rule = *r,
        .left = wait_us > 0       ? 0
                : left < r->burst ? left
                                  : r->burst,
        .full_us = full_us > 0 ? full_us : 0,
        .wait_us = wait_us,
    };
}

/* ---- deciding ---- */

static void hold(struct bucket *b, int64_t cells)
{
    struct throttle *t = b->t;
    b->held += cells;
    if (list_linked(&b->holding))
        list_remove(&t->holding, &b->holding);
    if (b->held == 0)
        return;
    b->held_since_us = now_of(b);
    list_push(&t->holding, &b->holding);
    if (!timer_is_on(&t->sweep))
        timer_set(t->flow->loop, &t->sweep, HOLD_US / 2, sweep, t);
}

static void spend(struct bucket *b)
{
    if (--b->held == 0)
        list_remove(&b->t->holding, &b->holding);
}

static enum throttle_answer stop(struct bucket *b, int64_t wait_us, struct throttle_state *state)
{
    metric_add(&stopped_total[b->class], 1);
    *state = state_of(b, wait_us > 0 ? wait_us : 1);
    return THROTTLE_STOP;
}

/* By the own share. */
static enum throttle_answer alone(struct bucket *b, struct throttle_state *state)
{
    struct gcra_rule share = share_of(b);
    int64_t now = now_of(b);
    metric_add(&alone_total, 1);
    if (gcra_take(&share, &b->tat_us, now, 1) == 0)
        return stop(b, gcra_wait_us(&share, b->tat_us, now), state);
    b->strayed = true;
    b->owed++;
    *state = state_of(b, 0);
    return THROTTLE_PASS;
}

static void tell(struct bucket *b, enum throttle_answer answer, const struct throttle_state *state)
{
    struct throttle_wait *w = LIST_ITEM(list_pop(&b->waiters), struct throttle_wait, link);
    w->done(w->ctx, answer, state);
}

static void tell_alone(struct bucket *b)
{
    for (size_t n = b->waiters.n; n > 0; n--) {
        struct throttle_state state;
        enum throttle_answer answer = alone(b, &state);
        tell(b, answer, &state);
    }
}

/* ---- asking ---- */

static int64_t demand(const struct bucket *b)
{
    int64_t n = b->spent > b->spent_before ? b->spent : b->spent_before;
    return n < FEW ? 0 : n;
}

static int64_t wanted(const struct bucket *b)
{
    int64_t want = (int64_t)b->waiters.n + demand(b) - b->held;
    int64_t most = rule_of(b)->burst;
    return want < 1 ? 1 : want > most ? most : want;
}

static void late(void *ctx)
{
    struct bucket *b = ctx;
    b->late = true;
    tell_alone(b);
}

static bool read_answer(const struct redis_reply *reply, int64_t *n, int64_t *full_us)
{
    struct str rest = reply->str, word = STR_NULL;
    return !reply->nil && str_split(&rest, ' ', &word) && str_to_i64(word, n) &&
           str_to_i64(rest, full_us) && *n >= 0 && *full_us >= 0;
}

/* Those that wait, by the cells that came. */
static void serve(struct bucket *b, bool empty)
{
    struct throttle_state state;
    size_t n = b->waiters.n;
    for (; n > 0 && b->held > 0; n--) {
        spend(b);
        state = state_of(b, 0);
        tell(b, THROTTLE_PASS, &state);
    }
    for (; n > 0 && empty; n--) {
        stop(b, b->shut_until_us - now_of(b), &state);
        tell(b, THROTTLE_STOP, &state);
    }
    if (b->waiters.n > 0 && !b->asking)
        ask(b, wanted(b), 0);
}

static void failed(struct bucket *b)
{
    timer_off(b->t->flow->loop, &b->deadline);
    b->asking = false;
    b->strayed = true;
    b->owed += b->telling;
    b->retry_at_us = now_of(b) + RETRY_US;
    tell_alone(b);
}

static void close_waiters(struct bucket *b)
{
    timer_off(b->t->flow->loop, &b->deadline);
    b->asking = false;
    while (b->waiters.n > 0)
        tell(b, THROTTLE_STOP, NULL);
}

static void answered(void *ctx, struct err err, const struct redis_reply *reply)
{
    struct bucket *b = ctx;
    int64_t n = 0, full_us = 0, now = now_of(b);
    if (err.code == ERR_CANCELED) {
        close_waiters(b);
        return;
    }
    if (err.code == ERR_FAILED && reply != NULL && str_starts(reply->str, STR("NOSCRIPT"))) {
        b->t->loaded = false; /* it has lost what it knew, or never knew it */
        b->strayed = true;
        b->owed += b->telling;
        ask(b, b->want, 0);
        return;
    }
    if (err_is(err) || !read_answer(reply, &n, &full_us)) {
        failed(b);
        return;
    }
    timer_off(b->t->flow->loop, &b->deadline);
    b->t->loaded = true;
    b->asking = false;
    int64_t paid = n < b->owed ? n : b->owed; /* who could not wait has had them */
    b->owed -= paid;
    if (b->owed == 0 || now + full_us > b->tat_us)
        b->tat_us = now + full_us;
    b->strayed = b->owed > 0;
    hold(b, n - paid);
    bool empty = n < b->want;
    b->shut_until_us = empty ? now + gcra_wait_us(rule_of(b), now + full_us, now) : 0;
    serve(b, empty);
}

/* A question that is repeated keeps its deadline. */
static void ask(struct bucket *b, int64_t want, int64_t back)
{
    struct throttle *t = b->t;
    struct flow *f = t->flow;
    const struct gcra_rule *r = rule_of(b);
    char key[THROTTLE_SUBJECT_MAX + 32], numbers[5][NUMBER];
    int64_t now = now_of(b), floor_us = b->strayed && b->tat_us > now ? b->tat_us - now : 0;
    const int64_t values[] = {r->interval_us, r->burst, want, back - b->owed, floor_us};
    struct str args[4 + COUNT_OF(values)] = {
        t->loaded ? STR("EVALSHA") : STR("EVAL"),
        str_c(t->loaded ? t->sha : script),
        STR("1"),
    };
    snprintf(key, sizeof key, "reli:{%.*s}:rate:%s", (int)b->len, b->subject,
             class_words[b->class]);
    args[3] = str_c(key);
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        snprintf(numbers[i], sizeof numbers[i], "%lld", (long long)values[i]);
        args[4 + i] = str_c(numbers[i]);
    }
    if (!b->asking) {
        timer_set(f->loop, &b->deadline, DEADLINE_US, late, b);
        b->late = false;
    }
    b->asking = true;
    b->strayed = false;
    b->telling = b->owed;
    b->owed = 0;
    b->want = want;
    metric_add(&asked_total, 1);
    redis_command(f->redis, args, COUNT_OF(args), answered, b);
}

static bool may_ask(const struct bucket *b, int64_t now)
{
    const struct flow *f = b->t->flow;
    return f->redis != NULL && redis_up(f->redis) && now >= b->retry_at_us &&
           b->waiters.n < WAITERS_MAX;
}

/* What has not been spent goes back, so that others may have it. */
static void sweep(void *ctx)
{
    struct throttle *t = ctx;
    struct bucket *b;
    int64_t now = loop_mono_us(t->flow->loop);
    while ((b = LIST_ITEM(list_first(&t->holding), struct bucket, holding)) != NULL &&
           now - b->held_since_us >= HOLD_US) {
        int64_t back = b->held;
        hold(b, b->asking ? 0 : -back); /* who is asking is not idle */
        if (b->held == 0 && may_ask(b, now))
            ask(b, 0, back);
    }
    if (t->holding.n > 0)
        timer_set(t->flow->loop, &t->sweep, HOLD_US / 2, sweep, t);
}

/* ---- buckets ---- */

static uint64_t hash_of(struct str subject)
{
    return short_hash(subject) % HEADS;
}

static struct bucket *find(const struct throttle *t, enum throttle_class class, struct str subject)
{
    struct bucket *b = t->heads[class][hash_of(subject)];
    while (b != NULL && !str_eq(str_n(b->subject, b->len), subject))
        b = b->next;
    return b;
}

static void forget(struct bucket *b)
{
    struct throttle *t = b->t;
    struct bucket **at = &t->heads[b->class][hash_of(str_n(b->subject, b->len))];
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    list_remove(&t->ages[b->class], &b->age);
    if (list_linked(&b->holding))
        list_remove(&t->holding, &b->holding);
    timer_off(t->flow->loop, &b->deadline);
    free(b);
}

/* The one that was not asked for longest goes; NULL: all of the oldest are being asked for. */
static struct bucket *make(struct throttle *t, enum throttle_class class, struct str subject)
{
    struct list *ages = &t->ages[class];
    if (ages->n >= MAX_KNOWN) {
        struct bucket *oldest = LIST_ITEM(ages->head.prev, struct bucket, age);
        if (oldest->asking)
            return NULL;
        forget(oldest);
    }
    struct bucket *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    struct bucket **head = &t->heads[class][hash_of(subject)];
    b->t = t;
    b->class = class;
    b->len = subject.n;
    memcpy(b->subject, subject.p, subject.n);
    list_init(&b->waiters);
    b->next = *head;
    *head = b;
    list_push_front(ages, &b->age);
    return b;
}

static void count_demand(struct bucket *b, int64_t now)
{
    if (now - b->span_us >= DEMAND_US) {
        b->spent_before = now - b->span_us < 2 * DEMAND_US ? b->spent : 0;
        b->spent = 0;
        b->span_us = now;
    }
    b->spent++;
}

static enum throttle_answer take(struct bucket *b, struct throttle_state *state,
                                 struct throttle_wait *w)
{
    int64_t now = now_of(b);
    bool may = may_ask(b, now) && !(b->asking && b->late);
    count_demand(b, now);
    if (b->held > 0) {
        spend(b);
        *state = state_of(b, 0);
        if (may && !b->asking && now >= b->shut_until_us && b->held < demand(b) / 2)
            ask(b, wanted(b), 0);
    } else if (!may) {
        return alone(b, state);
    } else if (now < b->shut_until_us) {
        return stop(b, b->shut_until_us - now, state);
    } else {
        list_push(&b->waiters, &w->link);
        if (!b->asking)
            ask(b, wanted(b), 0);
        return THROTTLE_LATER;
    }
    return THROTTLE_PASS;
}

enum throttle_answer throttle_take(struct flow *f, enum throttle_class class, struct str subject,
                                   struct throttle_state *state, struct throttle_wait *w)
{
    struct throttle *t = f->throttle;
    *state = (struct throttle_state){0};
    if (t == NULL || gcra_is_off(&t->rules.of[class]))
        return THROTTLE_PASS;
    subject = str_first(subject, THROTTLE_SUBJECT_MAX);
    struct bucket *b = find(t, class, subject);
    if (b == NULL)
        b = make(t, class, subject);
    if (b == NULL) {
        metric_add(&stopped_total[class], 1);
        *state = (struct throttle_state){.rule = t->rules.of[class], .wait_us = US_PER_S};
        return THROTTLE_STOP;
    }
    list_remove(&t->ages[class], &b->age);
    list_push_front(&t->ages[class], &b->age);
    w->link = (struct link){0};
    return take(b, state, w);
}

bool throttle_is_shut(const struct flow *f, enum throttle_class class, struct str subject,
                      struct throttle_state *state)
{
    const struct throttle *t = f->throttle;
    *state = (struct throttle_state){0};
    if (t == NULL || gcra_is_off(&t->rules.of[class]))
        return false;
    const struct bucket *b = find(t, class, str_first(subject, THROTTLE_SUBJECT_MAX));
    if (b == NULL || b->held > 0)
        return false;
    int64_t now = now_of(b), wait_us = b->shut_until_us - now;
    if (b->strayed || !may_ask(b, now)) {
        struct gcra_rule share = share_of(b);
        wait_us = gcra_wait_us(&share, b->tat_us, now);
    }
    if (wait_us <= 0)
        return false;
    *state = state_of(b, wait_us);
    return true;
}

struct err throttle_new(struct flow *f, const struct throttle_rules *rules)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t sha[SHA1_LEN];
    struct throttle *t = calloc(1, sizeof *t);
    if (t == NULL)
        return ERR(NO_MEMORY, "throttle");
    t->flow = f;
    t->rules = *rules;
    list_init(&t->holding);
    f->throttle = t;
    for (int i = 0; i < THROTTLE_N; i++) {
        list_init(&t->ages[i]);
        t->heads[i] = calloc(HEADS, sizeof *t->heads[i]);
        if (t->heads[i] == NULL)
            return ERR(NO_MEMORY, "throttle");
    }
    sha1_one(str_c(script), sha);
    for (int i = 0; i < SHA1_LEN; i++) {
        t->sha[2 * i] = digits[sha[i] >> 4];
        t->sha[2 * i + 1] = digits[sha[i] & 15];
    }
    return ERR_OK;
}

void throttle_free(struct flow *f)
{
    struct throttle *t = f->throttle;
    if (t == NULL)
        return;
    timer_off(f->loop, &t->sweep);
    for (int i = 0; i < THROTTLE_N; i++) {
        while (t->ages[i].n > 0)
            forget(LIST_ITEM(list_first(&t->ages[i]), struct bucket, age));
        free(t->heads[i]);
    }
    free(t);
    f->throttle = NULL;
}
