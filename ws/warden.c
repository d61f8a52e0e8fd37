/* A round goes over all seats, some hundreds a statement; who is named by its answer is sent away.
 * What fails is asked again by the next round. */
#include "ws/warden.h"

#include <stdlib.h>

#include "core/base/log.h"

enum { CHUNK = 500, LIST_MAX = CHUNK * UUID_TEXT + 2, POLICY_VIOLATION = 1008 };
#define ROUND_US US_PER_S

struct warden {
    struct flow *flow;
    struct list seats;
    struct timer timer;
    struct walk *walk; /* under way */
    uint32_t round;    /* counts up with every walk over all seats */
    bool stopped;
};

/* One statement of a round. */
struct walk {
    struct warden *warden; /* NULL: it has gone */
    struct flow *flow;
    bool more;
};

static void next_chunk(void *ctx);

static void send_away(struct warden *w, struct uuid id)
{
    struct link *next;
    for (struct link *k = list_first(&w->seats); k != NULL; k = next) {
        struct socket_seat *seat = LIST_ITEM(k, struct socket_seat, guarded);
        next = list_next(&w->seats, k);
        if (!uuid_eq(seat->authority.session, id) && !uuid_eq(seat->authority.key, id))
            continue;
        list_remove(&w->seats, k);
        seat->is_guarded = false;
        socket_close(socket_of_seat(seat), POLICY_VIOLATION);
    }
}

static void plan(struct warden *w, int64_t after_us)
{
    if (!w->stopped && w->seats.n > 0)
        timer_set(w->flow->loop, &w->timer, after_us, next_chunk, w);
}

static void answered(void *ctx, struct err err, const struct rows *r)
{
    struct walk walk = *(struct walk *)ctx;
    struct warden *w = walk.warden;
    free(ctx);
    walk.flow->busy--;
    if (w == NULL)
        return;
    w->walk = NULL;
    if (err_is(err))
        log_warn("warden.not_asked", F_ERR(err));
    for (size_t i = 0; !err_is(err) && i < rows_n(r); i++)
        send_away(w, rows_uuid(r, i, 0));
    plan(w, walk.more ? 0 : ROUND_US);
}

static void add(struct buf *b, struct uuid id)
{
    char text[UUID_TEXT];
    if (b->n > 1)
        buf_char(b, ',');
    buf_c(b, uuid_text(id, text));
}

/* Adds the seats that this round has not asked about; true if there are more. */
static bool gather(struct warden *w, struct buf *sessions, struct buf *merchants, struct buf *keys)
{
    int n = 0;
    for (struct link *k = list_first(&w->seats); k != NULL; k = list_next(&w->seats, k)) {
        struct socket_seat *seat = LIST_ITEM(k, struct socket_seat, guarded);
        if (seat->round == w->round)
            continue;
        if (n++ == CHUNK)
            return true;
        seat->round = w->round;
        if (!uuid_is_nil(seat->authority.session)) {
            add(sessions, seat->authority.session);
        } else {
            add(merchants, seat->authority.merchant);
            add(keys, seat->authority.key);
        }
    }
    return false;
}

static void next_chunk(void *ctx)
{
    struct warden *w = ctx;
    struct flow *f = w->flow;
    struct buf list[3];
    struct walk *walk = calloc(1, sizeof *walk);
    if (walk == NULL) {
        plan(w, ROUND_US);
        return;
    }
    for (int i = 0; i < 3; i++) {
        buf_init(&list[i], LIST_MAX);
        buf_char(&list[i], '{');
    }
    *walk = (struct walk){.warden = w, .flow = f};
    walk->more = gather(w, &list[0], &list[1], &list[2]);
    if (!walk->more)
        w->round++;
    for (int i = 0; i < 3; i++)
        buf_char(&list[i], '}');
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_TEXT(buf_view(&list[0])), V_TEXT(buf_view(&list[1])),
                             V_TEXT(buf_view(&list[2])), V_TIME(now),
                             V_TIME(now - f->settings.sessions.idle_us)};
    w->walk = walk;
    f->busy++;
    store_read(f->store, Q_authority_ended, params, COUNT_OF(params), answered, walk);
    for (int i = 0; i < 3; i++)
        buf_free(&list[i]);
}

struct err warden_new(struct flow *f, struct warden **out)
{
    struct warden *w = calloc(1, sizeof *w);
    if (w == NULL)
        return ERR(NO_MEMORY, "warden");
    w->flow = f;
    list_init(&w->seats);
    *out = w;
    return ERR_OK;
}

void warden_add(struct warden *w, struct socket_seat *seat)
{
    seat->is_guarded = true;
    seat->round = w->round - 1;
    list_push(&w->seats, &seat->guarded);
    if (w->walk == NULL && !timer_is_on(&w->timer))
        plan(w, ROUND_US);
}

void warden_remove(struct warden *w, struct socket_seat *seat)
{
    if (seat->is_guarded)
        list_remove(&w->seats, &seat->guarded);
    seat->is_guarded = false;
}

void warden_stop(struct warden *w)
{
    w->stopped = true;
    timer_off(w->flow->loop, &w->timer);
}

void warden_free(struct warden *w)
{
    if (w == NULL)
        return;
    warden_stop(w);
    if (w->walk != NULL)
        w->walk->warden = NULL;
    free(w);
}
