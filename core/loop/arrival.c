/* Connections between accept(2) and their owner: the PROXY header, then the handshake, within one
 * deadline. A listener has room for a number of them; when it is full the oldest goes, since who is
 * honest is through in a moment and who holds a place on purpose has held it longest. */
#include <stdlib.h>

#include "core/base/address.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/proxy.h"
#include "core/base/times.h"
#include "core/loop/loop_int.h"

enum { WAITING_MAX = 1024 };
#define ARRIVAL_US (10 * US_PER_S)
#define LINGER_US US_PER_S
#define LOG_EVERY_US US_PER_S

struct arrival {
    struct link link;
    struct arrivals *all;
    struct stream *stream;
    struct timer timer;
    struct buf head; /* of the PROXY protocol, as far as it has come */
};

#define ARRIVALS(result)                                                       \
    METRIC_COUNTER("reli_arrivals_total", "result=\"" result "\"",             \
                   "Connections to listeners with TLS or the PROXY protocol, " \
                   "by how they got past them")
static struct metric through = ARRIVALS("through"), refused = ARRIVALS("refused"),
                     late = ARRIVALS("late"), crowded_out = ARRIVALS("crowded_out");

static void on_data(void *ctx, struct str bytes);
static void on_end(void *ctx, struct err err);
static const struct stream_events events = {on_data, on_end, NULL};

static void complain(struct arrivals *a, struct err err)
{
    int64_t now_us = loop_mono_us(a->l);
    if (a->logged_us != 0 && now_us - a->logged_us < LOG_EVERY_US)
        return;
    a->logged_us = now_us;
    log_info("arrival.refused", F_ERR(err));
}

/* Out of the books; the stream is the caller's. */
static struct stream *let_go(struct arrival *r)
{
    struct stream *s = r->stream;
    list_remove(&r->all->waiting, &r->link);
    timer_off(r->all->l, &r->timer);
    buf_free(&r->head);
    free(r);
    return s;
}

static void refuse(struct arrival *r, struct metric *count, struct err err)
{
    metric_add(count, 1);
    complain(r->all, err);
    stream_close_gently(let_go(r), LINGER_US); /* behind the alert, if there is one */
}

static void too_late(void *ctx)
{
    refuse(ctx, &late, ERR(TIMEOUT, "PROXY header or TLS handshake took too long"));
}

static void on_end(void *ctx, struct err err)
{
    refuse(ctx, &refused, err_is(err) ? err : ERR(IO, "gone before it was through"));
}

static void pass(void *ctx)
{
    struct arrival *r = ctx;
    struct arrivals *a = r->all;
    metric_add(&through, 1);
    struct stream *s = let_go(r);
    stream_pause(s);
    a->accept(a->ctx, s);
}

static void shake_hands(struct arrival *r)
{
    struct err err = stream_secure(r->stream, *r->all->guard.tls, pass);
    if (err_is(err))
        refuse(r, &refused, err);
    else
        stream_resume(r->stream);
}

static void on_data(void *ctx, struct str bytes)
{
    struct arrival *r = ctx;
    struct proxy_header h;
    buf_str(&r->head, bytes);
    enum proxy_status status = proxy_parse(buf_view(&r->head), &h);
    if (status == PROXY_MORE && !r->head.failed)
        return;
    if (status != PROXY_DONE || r->head.failed) {
        refuse(r, &refused, ERR(PARSE, "no PROXY header"));
        return;
    }
    struct peer peer = {.port = h.port};
    if (h.has_source) {
        address_text(&h.source, peer.text);
        stream_set_peer(r->stream, &peer);
    }
    stream_pause(r->stream);
    struct err err = stream_unread(r->stream, str_from(buf_view(&r->head), h.n));
    buf_free(&r->head);
    if (err_is(err))
        refuse(r, &refused, err);
    else if (r->all->flags.tls)
        shake_hands(r);
    else
        pass(r);
}

void arrival_start(struct arrivals *a, struct stream *s)
{
    if (!a->flags.tls && !a->flags.proxy) {
        a->accept(a->ctx, s);
        return;
    }
    struct str peer = str_c(stream_peer(s)->text);
    bool known = !a->flags.proxy || cidr_list_has_text(a->guard.proxies, peer);
    struct arrival *r = known ? calloc(1, sizeof *r) : NULL;
    if (r == NULL) {
        metric_add(&refused, 1);
        complain(a, known ? ERR(NO_MEMORY, "arrival")
                          : ERR(FORBIDDEN, "not one of RELI_TRUSTED_PROXIES"));
        stream_close(s);
        return;
    }
    if (a->waiting.n == WAITING_MAX)
        refuse(CONTAINER_OF(list_first(&a->waiting), struct arrival, link), &crowded_out,
               ERR(LIMIT, "too many handshakes at once"));
    r->all = a;
    r->stream = s;
    buf_init(&r->head, PROXY_MAX + READ_BUF);
    list_push(&a->waiting, &r->link);
    timer_set(a->l, &r->timer, ARRIVAL_US, too_late, r);
    stream_own(s, &events, r);
    if (a->flags.proxy)
        stream_resume(s);
    else
        shake_hands(r);
}

void arrivals_close(struct arrivals *a)
{
    struct link *k;
    while ((k = list_first(&a->waiting)) != NULL)
        stream_close(let_go(CONTAINER_OF(k, struct arrival, link)));
}
