/* Watchers of a merchant's log.
 *
 * Whoever has seen all that was shown is live: one read of what is new serves all of them. It is
 * encoded once, as one parcel, and goes to some of them in each turn of the loop, since each costs
 * a system call. Whoever has seen less (he came back with a cursor, or does not read as fast as
 * things happen) is behind: he gets pages of his own, the next when the last has left, until he is
 * live. One read at a time per log, turn about, and none while one is shown; so what is kept for
 * anybody is bounded, however far behind he is. Who takes nothing for ten seconds is sent away.
 *
 * Hints tell that a merchant's log grows; positions are given later, so it is read some times after
 * a hint. What is missed is found by the clock. */
#include "ws/feed.h"

#include <stdlib.h>
#include <uthash.h>

#include "core/base/log.h"
#include "core/crypto/text.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "ws/frames.h"

enum {
    PAGE = 200,            /* events */
    WINDOW = 400,          /* positions looked at for them, which are of both modes, */
    WINDOW_NAMED = 2000,   /* or of many customers */
    NAMED_MAX = 200,       /* customers that a read names; beyond it reads everything */
    QUEUE_LOW = 64 * 1024, /* with more than that in its queue nobody is live, or gets a page */
    PARCEL = 64 * 1024,    /* bytes after which no further event is added to one */
    SHOWN_A_TURN = 64,     /* sockets that are written to */
    LOOKED_AT = 1024,      /* of those behind, for whom a page is too */
};
#define HOT_FOR_US (8 * US_PER_S) /* longer than it takes another replica to give positions */
#define HOT_US (300 * US_PER_MS)
#define RING_US US_PER_S
#define NET_US (10 * US_PER_S)
#define STALLED_US (10 * US_PER_S)

/* Events that follow each other, encoded one behind the other for each protocol that is asked for.
 */
struct parcel {
    int64_t first, last; /* positions; 0: it is empty */
    int64_t upto;        /* who has got it has seen all up to there */
    bool failed;
    struct buf bytes[WIRE_N];
    struct blob *sealed[WIRE_N]; /* nothing is added any more */
};

/* The live ones among those who watch the same part. */
struct audience {
    UT_hash_handle hh;
    struct customer_hash customer;
    struct feed *feed;
    struct list live;
    size_t n_seats, n_of[WIRE_N]; /* with those behind */
    bool asked;                   /* for, by the last read of what is new */
    struct parcel parcel;
    struct link showing; /* among those to whom their parcel is shown */
    struct link *next;   /* of live, who gets it next */
};

struct feed_key {
    struct uuid merchant;
    bool live;
};

enum feed_read { READ_NONE, READ_NEW, READ_PAGE, READ_SHOWN };

/* A merchant's log in one mode. */
struct feed {
    UT_hash_handle hh;
    struct feed_key key;
    struct feeds *feeds;   /* NULL: they have gone while this was reading */
    struct audience all;   /* who watches everything */
    struct audience *some; /* by customer */
    struct list behind;
    size_t n_seats;
    int64_t at;             /* the live ones have seen all up to here */
    bool due;               /* it is to be read what is new */
    enum feed_read reading; /* READ_SHOWN: it was read what is new, and is being shown */
    struct list showing;    /* audiences */
    struct later show;
    int64_t window;           /* of what is being read */
    bool page_last;           /* what was read last */
    struct socket_seat *page; /* for whom, with READ_PAGE; NULL: he has gone */
    int64_t read_us, hot_until_us;
    struct timer timer;
};

struct feeds {
    struct flow *flow;
    struct feed *feeds;
    bool closed;
};

static void read_next(struct feed *d);
static void ring(void *ctx);

/* ---- seats ---- */

static struct socket *socket_at(struct link *k)
{
    return socket_of_seat(LIST_ITEM(k, struct socket_seat, link));
}

static void plan(struct feed *d)
{
    struct loop *l = d->feeds->flow->loop;
    if (!d->feeds->closed)
        timer_set(l, &d->timer, loop_mono_us(l) < d->hot_until_us ? HOT_US : RING_US, ring, d);
}

static struct feed *feed_of(struct feeds *fs, struct uuid merchant, bool live)
{
    struct feed_key key;
    struct feed *d;
    memset(&key, 0, sizeof key); /* the padding counts */
    key.merchant = merchant;
    key.live = live;
    HASH_FIND(hh, fs->feeds, &key, sizeof key, d);
    return d;
}

static struct feed *feed_new(struct feeds *fs, const struct feed_part *part, int64_t end)
{
    struct feed *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->key.merchant = part->merchant;
    d->key.live = part->live;
    d->feeds = fs;
    d->at = end;
    d->read_us = loop_mono_us(fs->flow->loop);
    d->hot_until_us = d->read_us + HOT_FOR_US; /* of a hint from before it nobody knows */
    d->all.feed = d;
    list_init(&d->all.live);
    list_init(&d->behind);
    list_init(&d->showing);
    HASH_ADD(hh, fs->feeds, key, sizeof d->key, d);
    plan(d);
    return d;
}

static struct audience *audience_of(struct feed *d, const struct feed_part *part, bool make)
{
    struct audience *a;
    if (!part->of_customer)
        return &d->all;
    HASH_FIND(hh, d->some, &part->customer, sizeof part->customer, a);
    if (a != NULL || !make)
        return a;
    a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->customer = part->customer;
    a->feed = d;
    list_init(&a->live);
    HASH_ADD(hh, d->some, customer, sizeof a->customer, a);
    return a;
}

static void audience_drop_if_unused(struct audience *a)
{
    struct feed *d = a->feed;
    if (a == &d->all || a->n_seats > 0 || list_linked(&a->showing))
        return;
    HASH_DELETE(hh, d->some, a);
    free(a);
}

static void feed_drop_if_unused(struct feed *d)
{
    if (d->n_seats > 0 || d->reading != READ_NONE)
        return;
    if (d->feeds != NULL) {
        timer_off(d->feeds->flow->loop, &d->timer);
        HASH_DELETE(hh, d->feeds->feeds, d);
    }
    free(d);
}

/* Who is behind gets more when he has taken what he got. */
static bool may_get(struct socket_seat *seat)
{
    struct socket *s = socket_of_seat(seat);
    return socket_is_open(s) && socket_queued(s) <= QUEUE_LOW;
}

static void set_behind(struct feed *d, struct socket_seat *seat)
{
    seat->behind = true;
    list_push(&d->behind, &seat->link);
}

bool feed_join(struct feeds *fs, const struct feed_part *part, struct socket_seat *seat,
               int64_t end)
{
    struct feed *d = feed_of(fs, part->merchant, part->live);
    if (d == NULL)
        d = feed_new(fs, part, end);
    struct audience *a = d != NULL ? audience_of(d, part, true) : NULL;
    if (a == NULL) {
        if (d != NULL)
            feed_drop_if_unused(d);
        return false;
    }
    seat->channel = a;
    seat->of_feed = true;
    a->n_seats++;
    a->n_of[socket_wire(socket_of_seat(seat))]++;
    d->n_seats++;
    if (seat->seq >= d->at && (d->reading != READ_NEW || a->asked || d->all.asked)) {
        seat->behind = false;
        list_push(&a->live, &seat->link);
    } else {
        set_behind(d, seat); /* the read under way has not asked for its events */
    }
    d->due = true; /* what came since the caller looked */
    read_next(d);
    return true;
}

void feed_leave(struct socket_seat *seat)
{
    struct audience *a = seat->channel;
    struct feed *d = a->feed;
    if (a->next == &seat->link)
        a->next = list_next(&a->live, &seat->link);
    list_remove(seat->behind ? &d->behind : &a->live, &seat->link);
    if (d->page == seat)
        d->page = NULL;
    a->n_seats--;
    a->n_of[socket_wire(socket_of_seat(seat))]--;
    d->n_seats--;
    audience_drop_if_unused(a);
    feed_drop_if_unused(d);
}

void feed_drained(struct socket_seat *seat)
{
    if (seat->behind)
        read_next(((struct audience *)seat->channel)->feed);
}

/* ---- events ---- */

enum { F_UPTO, F_AT, F_SUBJECT, F_SEQ, F_ID, F_TYPE, F_DATA, F_CREATED, F_MODE, F_PII, F_CUSTOMER };

/* False if the person cannot be opened, or without memory. */
static bool render(struct feed *d, const struct rows *r, size_t i, struct notice *n)
{
    struct payment_record rec = {
        .merchant = d->key.merchant,
        .id = rows_uuid(r, i, F_SUBJECT),
        .pii = rows_str(r, i, F_PII),
    };
    struct event_view e = {
        .id = rows_uuid(r, i, F_ID),
        .payment = rec.id,
        .type = rows_str(r, i, F_TYPE),
        .mode = rows_str(r, i, F_MODE),
        .snapshot = rows_str(r, i, F_DATA),
        .seq = (int32_t)rows_i64(r, i, F_SEQ),
        .at_us = rows_time(r, i, F_CREATED),
    };
    struct arena arena;
    struct str person;
    arena_init(&arena, 256 * 1024);
    struct err err = record_person(d->feeds->flow, &rec, &arena, &person);
    if (!err_is(err)) {
        n->id = rows_i64(r, i, F_AT);
        n->type = e.type;
        render_event(&n->json, &e, person);
        n->json.n -= n->json.n > 0; /* the closing brace */
        buf_fmt(&n->json, ",\"position\":%lld}", (long long)n->id);
    }
    arena_free(&arena);
    if (err_is(err) || n->json.failed)
        log_error("feed.not_rendered", F_ID("event", e.id), F_ERR(err));
    return !err_is(err) && !n->json.failed;
}

/* ---- parcels ---- */

static bool parcel_has_room(const struct parcel *p)
{
    return p->bytes[WIRE_SOCKET].n < PARCEL && p->bytes[WIRE_SSE].n < PARCEL;
}

/* An event, rendered if it is not yet, for those of an audience. */
static void parcel_add(struct parcel *p, struct audience *a, const struct rows *r, size_t i,
                       struct notice *n)
{
    int64_t at = rows_i64(r, i, F_AT);
    if (n->json.n == 0)
        p->failed |= !render(a->feed, r, i, n);
    if (p->last == 0) {
        p->first = at;
        for (int w = 0; w < WIRE_N; w++)
            buf_init(&p->bytes[w], 4 * 1024 * 1024);
    }
    p->last = at;
    for (enum wire w = 0; w < WIRE_N; w++) {
        struct blob *b = a->n_of[w] > 0 ? notice_encode(n, w) : NULL;
        if (b != NULL)
            buf_str(&p->bytes[w], str_n(b->p, b->n));
        else
            p->failed |= a->n_of[w] > 0;
    }
}

/* NULL: something in it could not be rendered, or there is no memory. */
static struct blob *parcel_seal(struct parcel *p, enum wire w)
{
    if (p->sealed[w] == NULL && !p->failed && !p->bytes[w].failed)
        p->sealed[w] = blob_new(buf_view(&p->bytes[w]));
    return p->sealed[w];
}

static void parcel_free(struct parcel *p)
{
    for (int w = 0; w < WIRE_N; w++) {
        blob_unref(p->sealed[w]);
        buf_free(&p->bytes[w]);
    }
    *p = (struct parcel){0};
}

/* Without what is in it he has to come again. */
static void parcel_send(struct parcel *p, struct socket_seat *seat)
{
    struct socket *s = socket_of_seat(seat);
    struct blob *b = parcel_seal(p, socket_wire(s));
    if (b == NULL) {
        socket_close(s, CLOSE_INTERNAL);
        return;
    }
    seat->seq = p->last;
    socket_send(s, b);
}

/* ---- what is new ---- */

/* A live one. Whoever has not taken what he got before, or has seen a part of this elsewhere, is
 * behind from here on. */
static void show_to(struct audience *a, struct socket_seat *seat)
{
    struct parcel *p = &a->parcel;
    if (seat->seq >= p->last)
        return;
    if (seat->seq < p->first && socket_queued(socket_of_seat(seat)) <= QUEUE_LOW) {
        parcel_send(p, seat);
        return;
    }
    list_remove(&a->live, &seat->link);
    if (seat->seq < p->first)
        seat->seq = p->first - 1;
    set_behind(a->feed, seat);
}

static void shown(struct audience *a)
{
    parcel_free(&a->parcel);
    list_remove(&a->feed->showing, &a->showing);
    audience_drop_if_unused(a);
}

static void show_some(void *ctx)
{
    struct feed *d = ctx;
    struct audience *a;
    int room = SHOWN_A_TURN;
    while (room > 0 && (a = LIST_ITEM(list_first(&d->showing), struct audience, showing)) != NULL) {
        struct link *k = a->next;
        if (k == NULL) {
            shown(a);
            continue;
        }
        a->next = list_next(&a->live, k);
        show_to(a, LIST_ITEM(k, struct socket_seat, link));
        room--;
    }
    if (!list_is_empty(&d->showing)) {
        loop_later(d->feeds->flow->loop, &d->show, show_some, d);
        return;
    }
    d->reading = READ_NONE;
    if (d->n_seats == 0)
        feed_drop_if_unused(d);
    else
        read_next(d);
}

static void show_later(struct audience *a, const struct rows *r, size_t i, struct notice *n)
{
    if (a == NULL || list_is_empty(&a->live))
        return;
    parcel_add(&a->parcel, a, r, i, n);
    if (!list_linked(&a->showing)) {
        list_push(&a->feed->showing, &a->showing);
        a->next = list_first(&a->live);
    }
}

static struct audience *of_customer(struct feed *d, const struct rows *r, size_t i)
{
    struct str key = rows_null(r, i, F_CUSTOMER) ? STR("") : rows_str(r, i, F_CUSTOMER);
    struct feed_part part = {.of_customer = true};
    if (key.n != sizeof part.customer.b)
        return NULL;
    memcpy(part.customer.b, key.p, key.n);
    return audience_of(d, &part, false);
}

/* How far an answer's events reach: to the last one if not all found room in it. */
static int64_t page_end(const struct rows *r, int64_t from)
{
    size_t n = rows_n(r);
    int64_t end = rows_i64(r, n - 1, n == PAGE ? F_AT : F_UPTO);
    return end > from ? end : from;
}

/* What does not fit is read again when this has been shown. */
static void take_new(struct feed *d, const struct rows *r)
{
    int64_t end = page_end(r, d->at);
    bool fits = true;
    d->due |= rows_n(r) == PAGE || end == d->at + d->window;
    for (size_t i = 0; i < rows_n(r) && !rows_null(r, i, F_AT) && fits; i++) {
        struct audience *some = of_customer(d, r, i);
        struct notice n;
        notice_init(&n);
        fits = parcel_has_room(&d->all.parcel) && (some == NULL || parcel_has_room(&some->parcel));
        if (fits) {
            show_later(&d->all, r, i, &n);
            show_later(some, r, i, &n);
        } else {
            end = rows_i64(r, i, F_AT) - 1;
        }
        notice_free(&n);
    }
    d->due |= !fits;
    d->at = end;
    d->reading = READ_SHOWN;
    show_some(d);
}

/* What of a page somebody has not seen, as much of it as fits. */
static void parcel_fill(struct parcel *p, struct audience *a, const struct rows *r,
                        struct notice notices[PAGE], int64_t seen)
{
    parcel_free(p);
    p->upto = page_end(r, seen);
    for (size_t i = 0; i < rows_n(r) && !rows_null(r, i, F_AT); i++) {
        if (rows_i64(r, i, F_AT) <= seen)
            continue;
        if (!parcel_has_room(p)) {
            p->upto = p->last;
            return;
        }
        parcel_add(p, a, r, i, &notices[i]);
    }
}

static void give(struct feed *d, struct socket_seat *seat, struct parcel *p)
{
    struct audience *a = seat->channel;
    if (p->last > 0)
        parcel_send(p, seat);
    seat->seq = p->upto;
    list_remove(&d->behind, &seat->link);
    seat->behind = seat->seq < d->at;
    list_push(seat->behind ? &d->behind : &a->live, &seat->link);
}

/* A page is for him who is named, and for all who are behind at the same part of the log: else as
 * many who came back together would each read it for himself, and none be ever live again. */
static void take_page(struct feed *d, struct socket_seat *first, const struct rows *r)
{
    struct audience *a = first->channel;
    struct notice notices[PAGE];
    struct parcel p = {0};
    int64_t from = first->seq, end = page_end(r, from), seen = from;
    int room = SHOWN_A_TURN;
    for (size_t i = 0; i < PAGE; i++)
        notice_init(&notices[i]);
    parcel_fill(&p, a, r, notices, seen);
    give(d, first, &p);
    struct link *k = list_first(&d->behind), *next;
    for (size_t n = d->behind.n < LOOKED_AT ? d->behind.n : LOOKED_AT; n > 0 && room > 0; n--) {
        struct socket_seat *seat = LIST_ITEM(k, struct socket_seat, link);
        next = list_next(&d->behind, k);
        if (seat->channel == a && seat->seq >= from && seat->seq < end && may_get(seat)) {
            if (seat->seq != seen) {
                seen = seat->seq;
                parcel_fill(&p, a, r, notices, seen);
            }
            give(d, seat, &p);
            room--;
        }
        k = next;
    }
    parcel_free(&p);
    for (size_t i = 0; i < PAGE; i++)
        notice_free(&notices[i]);
}

/* ---- reads ---- */

static void page_read(void *ctx, struct err err, const struct rows *r)
{
    struct feed *d = ctx;
    enum feed_read what = d->reading;
    struct socket_seat *seat = d->page;
    d->reading = READ_NONE;
    d->page = NULL;
    if (d->feeds == NULL || d->n_seats == 0) {
        feed_drop_if_unused(d);
        return;
    }
    if (err_is(err)) {
        d->due = true; /* when the clock rings */
        return;
    }
    if (what == READ_NEW) {
        take_new(d, r);
        return;
    }
    if (seat != NULL)
        take_page(d, seat, r);
    read_next(d);
}

static void name_customer(struct buf *b, struct audience *a)
{
    a->asked = true;
    buf_c(b, b->n > 1 ? ",\"\\\\x" : "\"\\\\x");
    hex_add(b, str_n((const char *)a->customer.b, sizeof a->customer.b));
    buf_char(b, '"');
}

/* Whose events an answer has to have; false: everybody's. */
static bool name_customers(struct feed *d, struct audience *only, struct buf *b)
{
    if (only == &d->all || (only == NULL && d->all.n_seats > 0) ||
        (only == NULL && HASH_COUNT(d->some) > NAMED_MAX))
        return false;
    buf_char(b, '{');
    if (only != NULL)
        name_customer(b, only);
    for (struct audience *a = only == NULL ? d->some : NULL; a != NULL; a = a->hh.next)
        name_customer(b, a);
    buf_char(b, '}');
    return true;
}

static void read_behind(struct feed *d, int64_t from, struct audience *only)
{
    struct buf named;
    buf_init(&named, 64 * 1024);
    bool some = name_customers(d, only, &named) && !named.failed;
    d->window = some ? WINDOW_NAMED : WINDOW;
    if (only == NULL)
        d->all.asked = !some;
    struct value params[] = {V_UUID(d->key.merchant),
                             V_TEXT(mode_word(d->key.live)),
                             V_I64(from),
                             V_TEXT(some ? buf_view(&named) : STR_NULL),
                             V_I64(d->window),
                             V_I64(PAGE),
                             V_TEXT(STR_NULL)};
    store_read(d->feeds->flow->store, Q_feed_page, params, COUNT_OF(params), page_read, d);
    buf_free(&named);
}

static struct socket_seat *next_behind(struct feed *d)
{
    for (struct link *k = list_first(&d->behind); k != NULL; k = list_next(&d->behind, k))
        if (may_get(LIST_ITEM(k, struct socket_seat, link)))
            return LIST_ITEM(k, struct socket_seat, link);
    return NULL;
}

static void read_next(struct feed *d)
{
    if (d->reading != READ_NONE || d->feeds->closed)
        return;
    struct socket_seat *seat = !d->due || !d->page_last ? next_behind(d) : NULL;
    if (seat != NULL) {
        d->reading = READ_PAGE;
        d->page = seat;
        d->page_last = true;
        read_behind(d, seat->seq, seat->channel);
    } else if (d->due) {
        d->reading = READ_NEW;
        d->due = d->page_last = false;
        d->read_us = loop_mono_us(d->feeds->flow->loop);
        read_behind(d, d->at, NULL);
    }
}

/* ---- the clock ---- */

static void send_stalled_away(struct feed *d)
{
    for (struct link *k = list_first(&d->behind); k != NULL; k = list_next(&d->behind, k))
        if (socket_stalled_us(socket_at(k)) >= STALLED_US)
            socket_close(socket_at(k), CLOSE_TRY_LATER);
}

/* Every second, since Redis may go at any moment; while it is there most rings pass by. */
static void ring(void *ctx)
{
    struct feed *d = ctx;
    struct flow *f = d->feeds->flow;
    int64_t now = loop_mono_us(f->loop);
    bool hints = f->redis != NULL && redis_up(f->redis);
    if (!hints || now < d->hot_until_us || now - d->read_us >= NET_US)
        d->due = true;
    send_stalled_away(d);
    plan(d);
    read_next(d);
}

void feeds_hint(struct feeds *fs, struct uuid merchant)
{
    int64_t now = loop_mono_us(fs->flow->loop);
    for (int live = 0; fs->feeds != NULL && live <= 1; live++) {
        struct feed *d = feed_of(fs, merchant, live == 1);
        if (d == NULL)
            continue;
        bool was_hot = now < d->hot_until_us;
        d->hot_until_us = now + HOT_FOR_US;
        if (!was_hot)
            plan(d);
    }
}

void feeds_gap(struct feeds *fs)
{
    for (struct feed *d = fs->feeds; d != NULL; d = d->hh.next) {
        d->due = true;
        read_next(d);
    }
}

/* ---- life ---- */

struct err feeds_new(struct flow *f, struct feeds **out)
{
    struct feeds *fs = calloc(1, sizeof *fs);
    if (fs == NULL)
        return ERR(NO_MEMORY, "feeds");
    fs->flow = f;
    *out = fs;
    return ERR_OK;
}

static void close_list(struct list *seats, int code)
{
    for (struct link *k = list_first(seats); k != NULL; k = list_next(seats, k))
        socket_close(socket_at(k), code);
}

void feeds_close(struct feeds *fs, int code)
{
    fs->closed = true;
    for (struct feed *d = fs->feeds; d != NULL; d = d->hh.next) {
        timer_off(fs->flow->loop, &d->timer);
        close_list(&d->behind, code);
        close_list(&d->all.live, code);
        for (struct audience *a = d->some; a != NULL; a = a->hh.next)
            close_list(&a->live, code);
    }
}

static void cut_list(struct list *seats)
{
    struct link *k;
    while ((k = list_pop(seats)) != NULL)
        socket_free(socket_at(k));
}

void feeds_free(struct feeds *fs)
{
    struct feed *d, *next;
    struct audience *a, *next_a;
    if (fs == NULL)
        return;
    HASH_ITER(hh, fs->feeds, d, next)
    {
        timer_off(fs->flow->loop, &d->timer);
        loop_later_off(fs->flow->loop, &d->show);
        if (d->reading == READ_SHOWN)
            d->reading = READ_NONE;
        parcel_free(&d->all.parcel);
        cut_list(&d->behind);
        cut_list(&d->all.live);
        HASH_ITER(hh, d->some, a, next_a)
        {
            parcel_free(&a->parcel);
            cut_list(&a->live);
            HASH_DELETE(hh, d->some, a);
            free(a);
        }
        HASH_DELETE(hh, fs->feeds, d);
        d->feeds = NULL;
        d->n_seats = 0;
        d->page = NULL;
        feed_drop_if_unused(d); /* or by its read, which the store ends */
    }
    free(fs);
}
