/* libcurl connects and speaks TLS (CURLOPT_CONNECT_ONLY); the loop says when there is something to
 * read. */
#include "gateways/outbound_line.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdlib.h>
#include <uv.h>

enum { CONNECT_MS = 10000, SEND_MS = 10000, PIECE = 16 * 1024 };

struct line {
    struct loop *loop;
    CURL *easy;
    curl_socket_t fd;
    uv_poll_t poll;
    const struct line_events *events;
    void *ctx;
    struct later end_soon;
    const char *why;
    bool paused, ended, closed;
};

static void listen_on(struct line *n);

static void deliver_end(void *ctx)
{
    struct line *n = ctx;
    n->events->end(n->ctx, n->why);
}

static void end(struct line *n, const char *why)
{
    if (n->ended)
        return;
    n->ended = true;
    n->why = why;
    uv_poll_stop(&n->poll);
    loop_later(n->loop, &n->end_soon, deliver_end, n);
}

static void take(struct line *n)
{
    char bytes[PIECE];
    size_t len;
    while (!n->closed && !n->ended && !n->paused) {
        CURLcode code = curl_easy_recv(n->easy, bytes, sizeof bytes, &len);
        if (code == CURLE_AGAIN)
            return;
        if (code != CURLE_OK)
            end(n, curl_easy_strerror(code));
        else if (len == 0)
            end(n, "the connection was closed");
        else
            n->events->data(n->ctx, str_n(bytes, len));
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct line *n = poll->data;
    (void)status, (void)events; /* reading tells what is wrong */
    take(n);
    if (!n->closed && !n->ended)
        listen_on(n); /* libuv stops at an error */
}

static void listen_on(struct line *n)
{
    if (n->paused)
        uv_poll_stop(&n->poll);
    else
        uv_poll_start(&n->poll, UV_READABLE, on_poll);
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

struct err line_open(struct loop *l, const char *url, const char *ca,
                     const struct line_events *events, void *ctx, struct line **out)
{
    struct line *n = calloc(1, sizeof *n);
    CURL *e = n != NULL ? curl_easy_init() : NULL;
    *out = NULL;
    if (e == NULL) {
        free(n);
        return ERR(NO_MEMORY, "line");
    }
    *n = (struct line){.loop = l, .easy = e, .events = events, .ctx = ctx};
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ca != NULL)
        curl_easy_setopt(e, CURLOPT_CAINFO, ca);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    CURLcode code = curl_easy_perform(e);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(e, CURLINFO_ACTIVESOCKET, &n->fd);
    if (code != CURLE_OK || uv_poll_init_socket(loop_uv(l), &n->poll, n->fd) != 0) {
        curl_easy_cleanup(e);
        free(n);
        return ERR_D(IO, (int32_t)code, curl_easy_strerror(code));
    }
    n->poll.data = n;
    listen_on(n);
    *out = n;
    return ERR_OK;
}

void line_send(struct line *n, struct str bytes)
{
    while (bytes.n > 0 && !n->ended) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(n->easy, bytes.p, bytes.n, &sent);
        struct pollfd room = {.fd = n->fd, .events = POLLOUT};
        if (code == CURLE_AGAIN && poll(&room, 1, SEND_MS) != 1)
            end(n, "the other end does not read");
        else if (code != CURLE_OK && code != CURLE_AGAIN)
            end(n, curl_easy_strerror(code));
        bytes = str_from(bytes, sent);
    }
}

void line_pause(struct line *n, bool pause)
{
    if (n->paused == pause)
        return;
    n->paused = pause;
    if (n->ended)
        return;
    /* what TLS has in its own buffer makes no socket readable */
    if (!pause)
        take(n);
    if (!n->closed && !n->ended)
        listen_on(n);
}

void line_close(struct line *n)
{
    if (n == NULL)
        return;
    n->closed = true;
    loop_later_off(n->loop, &n->end_soon);
    uv_close((uv_handle_t *)&n->poll, on_closed);
    curl_easy_cleanup(n->easy);
}
