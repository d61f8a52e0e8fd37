/* Watchers by payment. A hint makes one read per payment, however many watch it; a frame is made
 * once for all of them. What is missed is found by the clock. */
#include "ws/hub.h"

#include <stdlib.h>
#include <uthash.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "ws/frames.h"
#include "ws/warden.h"

enum { READ_LIMIT = 200, NET_CHUNK = 200, SHARES = 8 };
#define NET_US (10 * US_PER_S)
#define NET_WITHOUT_REDIS_US US_PER_S

static struct metric open_sockets =
    METRIC_GAUGE("reli_websockets", "", "Open WebSockets and event streams");

struct channel_key {
    struct uuid merchant, payment;
};

struct channel {
    UT_hash_handle hh;
    struct channel_key key;
    struct hub *hub; /* NULL: it has gone while this was reading */
    struct list sockets;
    int32_t seq; /* events up to here were sent to those who wanted them */
    bool reading, again;
    uint32_t net_round; /* the walk that has asked about it */
    struct arena arena;
    struct payment_record rec; /* for the person, while reading */
};

struct hub {
    struct flow *flow;
    struct warden *warden;
    struct channel *channels;
    struct feeds *feeds;
    struct timer net;
    struct net *net_read; /* under way */
    int64_t net_cast_us;  /* monotonic */
    uint32_t net_round;   /* counts up with every walk over all channels */
    int n_sockets, max_sockets;
    loop_fn *drained;
    void *drained_ctx;
    struct later later;
    struct socket_owner owner; /* of all sockets */
};

/* A walk over the channels, one statement of it. */
struct net {
    struct hub *hub; /* NULL: it has gone */
    bool more;
};

static void refresh(struct channel *c);
static void cast_net(void *ctx);

/* ---- channels ---- */

static struct channel *find(const struct hub *h, struct uuid merchant, struct uuid payment)
{
    struct channel_key key = {merchant, payment};
    struct channel *c;
    HASH_FIND(hh, h->channels, &key, sizeof key, c);
    return c;
}

static void drop_if_unused(struct channel *c)
{
    if (c->sockets.n > 0 || c->reading)
        return;
    if (c->hub != NULL)
        HASH_DELETE(hh, c->hub->channels, c);
    arena_free(&c->arena);
    free(c);
}

static void all_gone(void *ctx)
{
    struct hub *h = ctx;
    h->drained(h->drained_ctx);
}

static void leave_channel(struct socket_seat *seat)
{
    struct channel *c = seat->channel;
    list_remove(&c->sockets, &seat->link);
    drop_if_unused(c);
}

static void gone(void *ctx, struct socket *s)
{
    struct hub *h = ctx;
    struct socket_seat *seat = socket_seat(s);
    warden_remove(h->warden, seat);
    if (seat->of_feed)
        feed_leave(seat);
    else
        leave_channel(seat);
    metric_set(&open_sockets, --h->n_sockets);
    if (h->n_sockets == 0 && h->drained != NULL)
        loop_later(h->flow->loop, &h->later, all_gone, h);
}

static void socket_drained(void *ctx, struct socket *s)
{
    (void)ctx;
    if (socket_seat(s)->of_feed)
        feed_drained(socket_seat(s));
}

static struct socket *new_socket(struct hub *h, struct stream *stream, enum wire wire,
                                 const struct authority *by, int64_t seq)
{
    struct socket *s = socket_new(h->flow->loop, stream, wire, &h->owner);
    if (s != NULL) {
        socket_seat(s)->seq = seq;
        socket_seat(s)->authority = *by;
    }
    return s;
}

/* It is among the watchers; too late, if all are being sent away. */
static void seated(struct hub *h, struct socket_seat *seat)
{
    if (h->drained != NULL)
        socket_close(socket_of_seat(seat), CLOSE_GOING_AWAY);
    if (!uuid_is_nil(seat->authority.session) || !uuid_is_nil(seat->authority.key))
        warden_add(h->warden, seat);
    metric_set(&open_sockets, ++h->n_sockets);
}

struct socket *hub_join(struct hub *h, struct stream *stream, enum wire wire,
                        const struct authority *by, struct uuid payment, int32_t seq)
{
    struct uuid merchant = by->merchant;
    struct socket *s = new_socket(h, stream, wire, by, seq);
    struct channel *c = s != NULL ? find(h, merchant, payment) : NULL;
    if (s == NULL)
        return NULL;
    if (c == NULL) {
        c = calloc(1, sizeof *c);
        if (c == NULL) {
            socket_free(s);
            return NULL;
        }
        c->key = (struct channel_key){merchant, payment};
        c->hub = h;
        c->seq = seq;
        c->net_round = h->net_round - 1;
        list_init(&c->sockets);
        HASH_ADD(hh, h->channels, key, sizeof c->key, c);
    }
    socket_seat(s)->channel = c;
    list_push(&c->sockets, &socket_seat(s)->link);
    seated(h, socket_seat(s));
    if (seq < c->seq)
        c->seq = seq;
    refresh(c); /* what was committed since the caller looked */
    return s;
}

struct socket *hub_join_feed(struct hub *h, struct stream *stream, enum wire wire,
                             const struct authority *by, const struct feed_part *part,
                             int64_t position, int64_t end)
{
    struct socket *s = new_socket(h, stream, wire, by, position);
    if (s == NULL)
        return NULL;
    if (!feed_join(h->feeds, part, socket_seat(s), end)) {
        socket_free(s);
        return NULL;
    }
    seated(h, socket_seat(s));
    return s;
}

/* ---- events ---- */

enum { E_SEQ, E_ID, E_TYPE, E_DATA, E_AT, E_MODE };

void hub_notice(struct notice *n, struct uuid payment, const struct rows *r, size_t row,
                struct str person)
{
    struct event_view e = {
        .id = rows_uuid(r, row, E_ID),
        .payment = payment,
        .type = rows_str(r, row, E_TYPE),
        .mode = rows_str(r, row, E_MODE),
        .snapshot = rows_str(r, row, E_DATA),
        .seq = (int32_t)rows_i64(r, row, E_SEQ),
        .at_us = rows_time(r, row, E_AT),
    };
    notice_init(n);
    n->id = e.seq;
    n->type = e.type;
    render_event(&n->json, &e, person);
}

static void send_row(struct channel *c, const struct rows *r, size_t row, struct str person)
{
    struct notice n;
    hub_notice(&n, c->key.payment, r, row, person);
    int32_t seq = (int32_t)n.id;
    struct link *k = !n.json.failed ? list_first(&c->sockets) : NULL;
    for (; k != NULL; k = list_next(&c->sockets, k)) {
        struct socket_seat *seat = LIST_ITEM(k, struct socket_seat, link);
        struct socket *s = socket_of_seat(seat);
        struct blob *b = seat->seq < seq ? notice_encode(&n, socket_wire(s)) : NULL;
        if (b == NULL)
            continue;
        seat->seq = seq;
        socket_send(s, b);
    }
    if (c->seq < seq && !n.json.failed)
        c->seq = seq;
    notice_free(&n);
}

static void read_done(struct channel *c)
{
    c->reading = false;
    arena_free(&c->arena);
    if (c->again && c->sockets.n > 0) {
        c->again = false;
        refresh(c);
    } else {
        drop_if_unused(c);
    }
}

static void events_read(void *ctx, struct err err, const struct rows *r)
{
    struct channel *c = ctx;
    struct str person = STR("");
    if (c->hub == NULL)
        err = ERR(CANCELED, "the hub has gone");
    if (!err_is(err))
        err = record_person(c->hub->flow, &c->rec, &c->arena, &person);
    if (!err_is(err)) {
        for (size_t i = 0; i < rows_n(r); i++)
            send_row(c, r, i, person);
        c->again |= rows_n(r) == READ_LIMIT;
    }
    read_done(c);
}

static void payment_read(void *ctx, struct err err, const struct rows *r)
{
    struct channel *c = ctx;
    if (c->hub == NULL)
        err = ERR(CANCELED, "the hub has gone");
    if (!err_is(err))
        err = payment_record_read(r, &c->arena, &c->rec);
    if (err_is(err)) {
        read_done(c);
        return;
    }
    struct value params[] = {V_UUID(c->key.merchant), V_UUID(c->key.payment), V_I32(c->seq),
                             V_I64(READ_LIMIT)};
    store_read(c->hub->flow->store, Q_event_list, params, COUNT_OF(params), events_read, c);
}

static void refresh(struct channel *c)
{
    if (c->reading) {
        c->again = true;
        return;
    }
    c->reading = true;
    arena_init(&c->arena, 1024 * 1024);
    c->rec = (struct payment_record){0};
    struct value params[] = {V_UUID(c->key.merchant), V_UUID(c->key.payment)};
    store_read(c->hub->flow->store, Q_payment_get, params, COUNT_OF(params), payment_read, c);
}

void hub_hint(struct hub *h, struct uuid merchant, struct uuid payment, int32_t seq)
{
    struct channel *c = find(h, merchant, payment);
    if (c != NULL && c->seq < seq)
        refresh(c);
    feeds_hint(h->feeds, merchant);
}

/* ---- hints from other replicas ---- */

static void message(void *ctx, struct str payload)
{
    struct str rest = payload, word;
    struct uuid merchant, payment;
    int64_t seq;
    if (str_split(&rest, ' ', &word) && uuid_parse(word, &merchant) &&
        str_split(&rest, ' ', &word) && uuid_parse(word, &payment) && str_to_i64(rest, &seq) &&
        seq > 0 && seq < INT32_MAX)
        hub_hint(ctx, merchant, payment, (int32_t)seq);
}

static void gap(void *ctx)
{
    struct hub *h = ctx;
    feeds_gap(h->feeds);
    if (h->net_read == NULL)
        timer_set(h->flow->loop, &h->net, 0, cast_net, h);
}

/* ---- the net ---- */

/* Rings every second, since Redis may go at any moment; while it is there most rings pass by. */
static void net_due(void *ctx)
{
    struct hub *h = ctx;
    bool hints = h->flow->redis != NULL && redis_up(h->flow->redis);
    if (hints && loop_mono_us(h->flow->loop) - h->net_cast_us < NET_US)
        timer_set(h->flow->loop, &h->net, NET_WITHOUT_REDIS_US, net_due, h);
    else
        cast_net(h);
}

static void plan_net(struct hub *h, bool more)
{
    if (h->drained == NULL)
        timer_set(h->flow->loop, &h->net, more ? 0 : NET_WITHOUT_REDIS_US,
                  more ? cast_net : net_due, h);
}

static void netted(void *ctx, struct err err, const struct rows *r)
{
    struct net *n = ctx;
    struct hub *h = n->hub;
    if (h == NULL) {
        free(n);
        return;
    }
    h->net_read = NULL;
    h->flow->busy--;
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++) {
        struct channel *c = find(h, rows_uuid(r, i, 0), rows_uuid(r, i, 1));
        if (c != NULL)
            refresh(c);
    }
    plan_net(h, n->more && !err_is(err));
    free(n);
}

/* Asks about the next NET_CHUNK channels in one statement. */
static void cast_net(void *ctx)
{
    struct hub *h = ctx;
    struct net *n = h->channels != NULL ? calloc(1, sizeof *n) : NULL;
    struct buf list[3];
    size_t count = 0;
    char id[UUID_TEXT];
    h->net_cast_us = loop_mono_us(h->flow->loop);
    if (n == NULL) {
        plan_net(h, false);
        return;
    }
    for (int i = 0; i < 3; i++) {
        buf_init(&list[i], 64 * 1024);
        buf_char(&list[i], '{');
    }
    struct channel *c = h->channels;
    for (; c != NULL && count < NET_CHUNK; c = c->hh.next) {
        if (c->net_round == h->net_round)
            continue;
        const char *comma = count++ > 0 ? "," : "";
        c->net_round = h->net_round;
        buf_fmt(&list[0], "%s%s", comma, uuid_text(c->key.merchant, id));
        buf_fmt(&list[1], "%s%s", comma, uuid_text(c->key.payment, id));
        buf_fmt(&list[2], "%s%d", comma, (int)c->seq);
    }
    for (int i = 0; i < 3; i++)
        buf_char(&list[i], '}');
    n->hub = h;
    n->more = c != NULL;
    if (!n->more)
        h->net_round++;
    h->net_read = n;
    h->flow->busy++;
    struct value params[] = {V_TEXT(buf_view(&list[0])), V_TEXT(buf_view(&list[1])),
                             V_TEXT(buf_view(&list[2]))};
    store_read(h->flow->store, Q_event_newer, params, COUNT_OF(params), netted, n);
    for (int i = 0; i < 3; i++)
        buf_free(&list[i]);
}

/* ---- life ---- */

struct err hub_new(struct flow *f, int max, struct hub **out)
{
    struct hub *h = calloc(1, sizeof *h);
    if (h == NULL)
        return ERR(NO_MEMORY, "hub");
    h->flow = f;
    h->owner = (struct socket_owner){gone, socket_drained, h};
    h->max_sockets = max;
    struct err err = warden_new(f, &h->warden);
    if (!err_is(err))
        err = feeds_new(f, &h->feeds);
    if (err_is(err)) {
        warden_free(h->warden);
        free(h);
        return err;
    }
    if (f->redis != NULL) {
        struct redis_subscriber subscriber = {message, gap, h};
        redis_subscribe(f->redis, STR("reli:events"), &subscriber);
    }
    plan_net(h, false);
    *out = h;
    return ERR_OK;
}

void hub_drain(struct hub *h, loop_fn *done, void *ctx)
{
    h->drained = done;
    h->drained_ctx = ctx;
    warden_stop(h->warden);
    timer_off(h->flow->loop, &h->net);
    for (struct channel *c = h->channels; c != NULL; c = c->hh.next)
        for (struct link *k = list_first(&c->sockets); k != NULL; k = list_next(&c->sockets, k))
            socket_close(socket_of_seat(LIST_ITEM(k, struct socket_seat, link)), CLOSE_GOING_AWAY);
    feeds_close(h->feeds, CLOSE_GOING_AWAY);
    if (h->n_sockets == 0)
        loop_later(h->flow->loop, &h->later, all_gone, h);
}

void hub_free(struct hub *h)
{
    if (h == NULL)
        return;
    struct channel *c, *next;
    HASH_ITER(hh, h->channels, c, next)
    {
        struct link *k;
        while ((k = list_pop(&c->sockets)) != NULL)
            socket_free(socket_of_seat(LIST_ITEM(k, struct socket_seat, link)));
        HASH_DELETE(hh, h->channels, c);
        c->hub = NULL;
        drop_if_unused(c); /* or by its read, which the store ends */
    }
    feeds_free(h->feeds);
    warden_free(h->warden);
    if (h->net_read != NULL)
        h->net_read->hub = NULL;
    timer_off(h->flow->loop, &h->net);
    loop_later_off(h->flow->loop, &h->later);
    free(h);
}

bool hub_has_room(const struct hub *h)
{
    return h->n_sockets < h->max_sockets;
}

bool hub_has_room_at(const struct hub *h, struct uuid merchant, struct uuid payment)
{
    const struct channel *c = find(h, merchant, payment);
    return c == NULL || c->sockets.n <= (size_t)h->max_sockets / SHARES;
}
