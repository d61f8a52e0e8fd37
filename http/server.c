/* The server: settings, listeners, the connections as a whole, and their orderly end. */
#include "http/server.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "http/http_int.h"
#include "http/origin.h"

enum { OUT_LIMIT = 1 << 20, JSON_LIMIT = 64 * 1024, SETTINGS_LIMIT = 256 * 1024 };

static struct metric connections =
    METRIC_GAUGE("reli_http_connections", "", "Open HTTP connections");

static struct err take_options(struct http_server *s, const struct http_server_options *o);
static void destroy(struct http_server *s);

struct err http_server_new(struct loop *l, const struct http_server_options *o,
                           struct http_server **out)
{
    *out = NULL;
    struct http_server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR(NO_MEMORY, "http server");
    s->loop = l;
    list_init(&s->conns);
    list_init(&s->waiting);
    list_init(&s->pool);
    arena_init(&s->arena, SETTINGS_LIMIT);
    buf_init(&s->out, OUT_LIMIT);
    buf_init(&s->json, JSON_LIMIT);
    struct err err = take_options(s, o);
    if (err.code == ERR_NONE)
        err = router_new(o->routes, &s->router);
    if (err_is(err)) {
        destroy(s);
        return err;
    }
    *out = s;
    return ERR_OK;
}

struct err http_server_listen(struct http_server *s, struct str addresses)
{
    struct str rest = addresses, address;
    while (str_split(&rest, ',', &address)) {
        if (s->n_listeners == MAX_LISTENERS)
            return ERR(CONFIG, "too many listeners");
        struct err err = listener_open(s->loop, str_trim(address), &s->o.guard, conn_accept, s,
                                       &s->listeners[s->n_listeners]);
        if (err_is(err)) {
            log_error("http.not_listening", F_STR("address", str_trim(address)), F_ERR(err));
            return err;
        }
        s->n_listeners++;
    }
    return ERR_OK;
}

int http_server_port(const struct http_server *s)
{
    for (int i = 0; i < s->n_listeners; i++)
        if (listener_port(s->listeners[i]) > 0)
            return listener_port(s->listeners[i]);
    return 0;
}

int http_server_n_connections(const struct http_server *s)
{
    return (int)s->conns.n;
}

void server_count_connections(int change)
{
    metric_add(&connections, change);
}

/* ---- the end ---- */

static void close_listeners(struct http_server *s)
{
    while (s->n_listeners > 0)
        listener_close(s->listeners[--s->n_listeners]);
}

static void drain_over(void *ctx)
{
    struct http_server *s = ctx;
    timer_off(s->loop, &s->drain_timer);
    if (s->drain_done != NULL)
        s->drain_done(s->drain_ctx); /* may free s */
}

static void drain_timeout(void *ctx)
{
    struct http_server *s = ctx;
    log_warn("http.drain_timeout", F_I64("connections", s->conns.n),
             F_I64("requests", s->n_working));
    conns_close(s, true);
    if (!s->drained) {
        s->drained = true;
        loop_later(s->loop, &s->drain_later, drain_over, s);
    }
}

void http_server_lead_away(struct http_server *s)
{
    s->leading_away = true;
}

void http_server_drain(struct http_server *s, int64_t timeout_us, loop_fn *done, void *ctx)
{
    ASSERT(!s->draining);
    s->leading_away = s->draining = true;
    s->drain_done = done;
    s->drain_ctx = ctx;
    close_listeners(s);
    timer_set(s->loop, &s->drain_timer, timeout_us, drain_timeout, s);
    conns_close(s, false);
    server_check(s);
}

void server_check(struct http_server *s)
{
    if (s->conns.n > 0 || s->n_working > 0)
        return;
    if (s->freed) {
        destroy(s);
    } else if (s->draining && !s->drained) {
        s->drained = true;
        loop_later(s->loop, &s->drain_later, drain_over, s);
    }
}

void http_server_free(struct http_server *s)
{
    if (s == NULL)
        return;
    s->leading_away = s->draining = s->drained = true;
    close_listeners(s);
    timer_off(s->loop, &s->drain_timer);
    loop_later_off(s->loop, &s->drain_later);
    conns_close(s, true);
    s->freed = true; /* a handler may still have to answer: the last one takes the rest away */
    server_check(s);
}

static void destroy(struct http_server *s)
{
    struct link *k;
    while ((k = list_pop(&s->pool)) != NULL)
        exchange_free(CONTAINER_OF(k, struct exchange, free_link));
    router_free(s->router);
    buf_free(&s->out);
    buf_free(&s->json);
    arena_free(&s->arena);
    free(s);
}

/* ---- settings ---- */

static void default_to(int64_t *value, int64_t otherwise)
{
    if (*value <= 0)
        *value = otherwise;
}

static struct err check_origins(struct str list)
{
    struct str part;
    while (list.n > 0 && str_split(&list, ',', &part))
        if (!origin_ok(str_trim(part)))
            return ERR(CONFIG, "a CORS origin is scheme://host[:port], as browsers write it");
    return ERR_OK;
}

static struct err take_options(struct http_server *s, const struct http_server_options *o)
{
    s->o = *o;
    if (s->o.max_head == 0)
        s->o.max_head = 16 * 1024;
    if (s->o.max_head > HEAD_MAX_BYTES)
        return ERR(CONFIG, "max_head is too large");
    if (s->o.max_body == 0)
        s->o.max_body = 1 << 20;
    if (s->o.max_connections <= 0)
        s->o.max_connections = 10000;
    default_to(&s->o.head_timeout_us, 10 * US_PER_S);
    default_to(&s->o.request_timeout_us, 30 * US_PER_S);
    default_to(&s->o.idle_timeout_us, 75 * US_PER_S);
    if (s->o.problem_base.n == 0)
        s->o.problem_base = STR("/docs/errors#");
    if (s->o.server_headers.n > 0 && !str_ends(s->o.server_headers, STR("\r\n")))
        return ERR(CONFIG, "server_headers must end in CR LF");
    s->o.problem_base = arena_dup(&s->arena, s->o.problem_base);
    s->o.cors_origins = arena_dup(&s->arena, s->o.cors_origins);
    s->o.https_base = arena_dup(&s->arena, s->o.https_base);
    s->o.server_headers = arena_dup(&s->arena, s->o.server_headers);
    struct buf constant;
    buf_init(&constant, SETTINGS_LIMIT / 2);
    answer_constants(&constant, s->o.server_headers);
    s->constant_headers = arena_dup(&s->arena, buf_view(&constant));
    bool failed = constant.failed || s->constant_headers.p == NULL;
    buf_free(&constant);
    if (failed)
        return ERR(NO_MEMORY, "http server");
    TRY(cidr_list_parse(o->trusted_proxies, &s->trusted));
    return check_origins(s->o.cors_origins);
}
