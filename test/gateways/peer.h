#ifndef RELI_TEST_GATEWAYS_PEER_H
#define RELI_TEST_GATEWAYS_PEER_H

#include <stdlib.h>
#include <uv.h>

#include "core/base/str.h"
#include "core/base/times.h"
#include "core/loop/loop.h"

/* The other end: a scripted HTTP server on the loop of the test. The script sees one complete
 * request at a time and says byte for byte what happens next. */
enum { PEER_IN = 32768 };

struct peer_conn {
    uv_tcp_t tcp;
    struct test_peer *peer;
    struct peer_conn *next;
    char in[PEER_IN];
    size_t n;
    struct str request; /* during `script` */
    int n_requests;     /* on this connection */
    bool closed;
};

struct test_peer {
    struct loop *loop;
    uv_tcp_t listener;
    struct peer_conn *conns;
    int port, n_conns, n_requests;
    void (*accepted)(struct peer_conn *c); /* may be NULL */
    void (*script)(struct peer_conn *c);
    void *ctx;
};

static inline void peer_closed_(uv_handle_t *h)
{
    struct peer_conn *c = h->data;
    for (struct peer_conn **at = &c->peer->conns; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    free(c);
}

static inline void peer_close(struct peer_conn *c)
{
    if (!c->closed)
        uv_close((uv_handle_t *)&c->tcp, peer_closed_);
    c->closed = true;
}

static inline void peer_reset(struct peer_conn *c)
{
    if (!c->closed && uv_tcp_close_reset(&c->tcp, peer_closed_) != 0)
        abort();
    c->closed = true;
}

static inline void peer_say(struct peer_conn *c, struct str s)
{
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)s.p, (unsigned)s.n);
    if (c->closed || s.n == 0)
        return;
    if (uv_try_write((uv_stream_t *)&c->tcp, &b, 1) != (int)s.n)
        abort();
}

/* A JSON answer with a length. */
static inline void peer_answer(struct peer_conn *c, const char *status, const char *body)
{
    char text[8192];
    int n =
        snprintf(text, sizeof text,
                 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 status, strlen(body), body);
    peer_say(c, str_n(text, (size_t)n));
}

/* Bytes of the first complete request in c->in, 0 if there is none yet. */
static inline size_t peer_request_(const struct peer_conn *c)
{
    struct str in = str_n(c->in, c->n);
    size_t head = str_find_str(in, STR("\r\n\r\n"));
    if (head == SIZE_MAX)
        return 0;
    int64_t length = 0;
    size_t at = str_find_str(str_first(in, head), STR("Content-Length: "));
    if (at != SIZE_MAX) {
        struct str rest = str_from(str_first(in, head), at + 16), part;
        if (!str_split(&rest, '\r', &part) || !str_to_i64(part, &length))
            abort();
    }
    size_t whole = head + 4 + (size_t)length;
    return whole <= c->n ? whole : 0;
}

static inline void peer_read_(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct peer_conn *c = s->data;
    size_t whole;
    (void)b;
    if (n < 0) {
        peer_close(c);
        return;
    }
    c->n += (size_t)n;
    while (!c->closed && (whole = peer_request_(c)) > 0) {
        c->request = str_n(c->in, whole);
        c->n_requests++;
        c->peer->n_requests++;
        c->peer->script(c);
        c->n -= whole;
        memmove(c->in, c->in + whole, c->n);
    }
}

static inline void peer_room_(uv_handle_t *h, size_t want, uv_buf_t *b)
{
    struct peer_conn *c = h->data;
    (void)want;
    *b = uv_buf_init(c->in + c->n, (unsigned)(PEER_IN - c->n));
}

static inline void peer_accept_(uv_stream_t *s, int status)
{
    struct test_peer *p = s->data;
    struct peer_conn *c = calloc(1, sizeof *c);
    if (c == NULL || status != 0)
        abort();
    c->peer = p;
    c->tcp.data = c;
    if (uv_tcp_init(loop_uv(p->loop), &c->tcp) != 0 || uv_accept(s, (uv_stream_t *)&c->tcp) != 0)
        abort();
    uv_tcp_nodelay(&c->tcp, 1);
    c->next = p->conns;
    p->conns = c;
    p->n_conns++;
    uv_read_start((uv_stream_t *)&c->tcp, peer_room_, peer_read_);
    if (p->accepted != NULL)
        p->accepted(c);
}

static inline void peer_start(struct test_peer *p, struct loop *l,
                              void (*script)(struct peer_conn *), void *ctx)
{
    struct sockaddr_in a;
    struct sockaddr_storage got;
    int n = sizeof got;
    *p = (struct test_peer){.loop = l, .script = script, .ctx = ctx};
    if (uv_ip4_addr("127.0.0.1", 0, &a) != 0 || uv_tcp_init(loop_uv(l), &p->listener) != 0 ||
        uv_tcp_bind(&p->listener, (const struct sockaddr *)&a, 0) != 0)
        abort();
    p->listener.data = p;
    if (uv_listen((uv_stream_t *)&p->listener, 256, peer_accept_) != 0 ||
        uv_tcp_getsockname(&p->listener, (struct sockaddr *)&got, &n) != 0)
        abort();
    p->port = ntohs(((struct sockaddr_in *)(void *)&got)->sin_port);
    uv_unref((uv_handle_t *)&p->listener);
}

/* The memory of `p` is free when the loop has run on. */
static inline void peer_stop(struct test_peer *p)
{
    for (struct peer_conn *c = p->conns; c != NULL; c = c->next)
        peer_close(c);
    if (!uv_is_closing((uv_handle_t *)&p->listener))
        uv_close((uv_handle_t *)&p->listener, NULL);
}

#endif
