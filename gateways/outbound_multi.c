/* libcurl's sockets and its one timer, driven by libuv. libcurl must never be entered from its own
 * callbacks: those only note what to watch, and ended transfers are collected after each entry.
 *
 * libcurl forgets a socket whenever nothing is transferred over it. Here it stays watched, since
 * the next transfer over a kept connection wants the same of it: that saves the system calls of
 * beginning and ending to watch, once per call. It goes when libcurl closes it; one that never was
 * connected goes at once, since libcurl 7.88 closes those without a word. */
#include "gateways/outbound_multi.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/log.h"
#include "core/base/times.h"

enum { KEPT_CONNECTIONS = 256 };

struct multi {
    struct loop *loop;
    CURLM *curl;
    struct sock **socks; /* by descriptor */
    size_t n_socks;
    struct timer alarm; /* what libcurl wants to be woken for */
    struct later soon;  /* the same, at once */
    bool inside;        /* libcurl is on the stack */
    multi_fn *ended;
    void *ctx;
};

/* A watched socket. libcurl owns the descriptor. */
struct sock {
    uv_poll_t poll;
    struct multi *m;
    curl_socket_t fd;
    bool connected;
    int wanted; /* by libcurl, of UV_READABLE and UV_WRITABLE; 0: idle, or closing */
    int events; /* what it is watched for; 0: nothing */
};

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock);
static int want_timer(CURLM *curl, long timeout_ms, void *ctx);
static void wake(void *ctx);

struct err multi_new(struct loop *l, long max_per_host, long max_total, multi_fn *ended, void *ctx,
                     struct multi **out)
{
    struct multi *m = calloc(1, sizeof *m);
    CURLM *curl = curl_multi_init();
    if (m == NULL || curl == NULL) {
        free(m);
        curl_multi_cleanup(curl);
        return ERR(NO_MEMORY, "curl multi");
    }
    *m = (struct multi){.loop = l, .curl = curl, .ended = ended, .ctx = ctx};
    curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(curl, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(curl, CURLMOPT_MAX_HOST_CONNECTIONS, max_per_host);
    curl_multi_setopt(curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, max_total);
    curl_multi_setopt(curl, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    curl_multi_setopt(curl, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    *out = m;
    return ERR_OK;
}

void multi_free(struct multi *m)
{
    if (m == NULL)
        return;
    ASSERT(!m->inside);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, NULL);
    curl_multi_cleanup(m->curl);
    timer_off(m->loop, &m->alarm);
    loop_later_off(m->loop, &m->soon);
    free(m->socks);
    free(m);
}

bool multi_add(struct multi *m, CURL *easy)
{
    ASSERT(!m->inside);
    m->inside = true;
    CURLMcode rc = curl_multi_add_handle(m->curl, easy);
    m->inside = false;
    return rc == CURLM_OK;
}

void multi_remove(struct multi *m, CURL *easy)
{
    ASSERT(!m->inside);
    m->inside = true;
    curl_multi_remove_handle(m->curl, easy);
    m->inside = false;
}

static void collect(struct multi *m)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(m->curl, &left)) != NULL)
        if (msg->msg == CURLMSG_DONE)
            m->ended(m->ctx, msg->easy_handle, msg->data.result); /* `msg` is gone after it */
}

static void act(struct multi *m, curl_socket_t fd, int events)
{
    int running;
    m->inside = true;
    CURLMcode rc = curl_multi_socket_action(m->curl, fd, events, &running);
    m->inside = false;
    if (rc != CURLM_OK)
        log_error("outbound.curl", F_I64("code", rc), F_C("what", curl_multi_strerror(rc)));
    collect(m);
}

/* ---- sockets ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void sock_watch(struct sock *s, int events)
{
    if (s->events == events)
        return;
    s->events = events;
    if (events == 0)
        uv_poll_stop(&s->poll);
    else
        uv_poll_start(&s->poll, events, on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sock *s = poll->data;
    struct multi *m = s->m;
    int what = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
               (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (status < 0)
        s->events = 0;    /* libuv has stopped it, and does not say why: libcurl finds out */
    if (s->wanted == 0) { /* idle, and its peer has hung up: libcurl looks before it is used */
        sock_watch(s, 0);
        return;
    }
    act(m, s->fd, status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : what);
    if (s->wanted != 0) /* freed by its close callback only: still there */
        sock_watch(s, s->wanted);
}

static struct sock *sock_new(struct multi *m, curl_socket_t fd)
{
    size_t n = (size_t)fd + 1;
    if (n > m->n_socks) {
        n = n > 2 * m->n_socks ? n : 2 * m->n_socks;
        struct sock **more = realloc(m->socks, n * sizeof(struct sock *));
        if (more == NULL)
            return NULL;
        memset(more + m->n_socks, 0, (n - m->n_socks) * sizeof(struct sock *));
        m->socks = more;
        m->n_socks = n;
    }
    struct sock *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->m = m;
    s->fd = fd;
    if (uv_poll_init_socket(loop_uv(m->loop), &s->poll, fd) != 0) {
        free(s);
        return NULL;
    }
    s->poll.data = s;
    m->socks[fd] = s;
    return s;
}

static struct sock *sock_of(const struct multi *m, curl_socket_t fd)
{
    return (size_t)fd < m->n_socks ? m->socks[fd] : NULL;
}

static void sock_closed(uv_handle_t *h)
{
    free(h->data);
}

static void sock_free(struct sock *s)
{
    s->m->socks[s->fd] = NULL;
    s->wanted = s->events = 0;
    uv_close((uv_handle_t *)&s->poll, sock_closed);
}

/* The end of a connection, in use or kept. */
static int on_close(void *ctx, curl_socket_t fd)
{
    struct sock *s = sock_of(ctx, fd);
    if (s != NULL)
        sock_free(s); /* before the descriptor is another's */
    return close(fd);
}

void multi_connected(struct multi *m, curl_socket_t fd)
{
    struct sock *s = sock_of(m, fd);
    if (s != NULL)
        s->connected = true;
}

void multi_prepare(struct multi *m, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m);
}

/* A kept connection keeps no loop alive. */
static void sock_idle(struct sock *s)
{
    s->wanted = 0;
    uv_unref((uv_handle_t *)&s->poll);
    sock_watch(s, s->events & UV_READABLE);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    struct multi *m = ctx;
    struct sock *s = sock_of(m, fd);
    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL && s->connected)
            sock_idle(s);
        else if (s != NULL)
            sock_free(s);
        return 0;
    }
    if (s == NULL && (s = sock_new(m, fd)) == NULL) {
        /* -1 would end every transfer: this one ends by its deadline */
        log_error("outbound.socket", F_C("what", "cannot watch a socket"));
        return 0;
    }
    s->wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_ref((uv_handle_t *)&s->poll);
    sock_watch(s, s->wanted);
    return 0;
}

/* ---- the timer ---- */

static void arm(struct multi *m, long timeout_ms)
{
    timer_off(m->loop, &m->alarm);
    loop_later_off(m->loop, &m->soon);
    if (timeout_ms == 0)
        loop_later(m->loop, &m->soon, wake, m);
    else if (timeout_ms > 0)
        timer_set(m->loop, &m->alarm, timeout_ms * US_PER_MS, wake, m);
}

static int want_timer(CURLM *curl, long timeout_ms, void *ctx)
{
    (void)curl;
    arm(ctx, timeout_ms);
    return 0;
}

/* Woken too early (the test clock was shifted) libcurl asks again. */
static void wake(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}
