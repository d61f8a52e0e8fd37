/* Everything between the socket and a handler, without the socket: guards, llhttp, router, query.
 * The first byte says into pieces of which size the rest is cut; requests and bodies must be the
 * same as when it comes at once, and a refusal must come behind the same request (for which of two
 * faults may differ). */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "http/http_int.h"

struct summary {
    uint64_t hash; /* of all that handlers and the refusal have shown */
    int n_requests;
    bool refused;
};

static struct summary now;

static void mix(struct str s)
{
    uint64_t h = now.hash ^ (s.n + (s.p == NULL ? 0 : 1));
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
    now.hash = h * UINT64_C(1099511628211);
}

static void on_request(struct http_exchange *x)
{
    struct str name, value;
    size_t at = 0;
    mix(x->path);
    mix(x->query);
    mix(x->body);
    mix(str_c(x->peer.text));
    for (int i = 0; i < HTTP_MAX_PARAMS; i++) {
        ASSERT(utf8_valid(x->params[i]));
        mix(x->params[i]);
    }
    while (http_query_next(x, &at, &name, &value)) {
        ASSERT(utf8_valid(name) && utf8_valid(value));
        mix(name);
        mix(value);
    }
    mix(http_header(x, STR("host")));
    mix(http_header(x, STR("x")));
    http_set_header(x, STR("X-Host"), http_header(x, STR("host")));
    http_set_header(x, http_header(x, STR("host")), http_header(x, STR("x")));
    http_reply(x, 200, STR_NULL, x->body);
}

static const struct route routes[] = {
    {HTTP_GET_, "/", on_request, 0},          {HTTP_POST_, "/", on_request, 0},
    {HTTP_GET_, "/{a}", on_request, 0},       {HTTP_PUT_, "/a/{a}", on_request, 0},
    {HTTP_PATCH_, "/{a}/{b}", on_request, 0}, {0, NULL, NULL, 0},
};

static struct summary run(struct http_server *s, struct str bytes, size_t piece)
{
    struct exchange *ex = NULL;
    size_t at = 0, end = 0; /* bytes taken; bytes that have come */
    now = (struct summary){0};
    while (end < bytes.n) {
        end = bytes.n - end > piece ? end + piece : bytes.n;
        enum request_status status = REQUEST_DONE;
        while (status == REQUEST_DONE && at < end) {
            struct err err = ERR_OK;
            size_t used = 0;
            if (ex == NULL)
                ex = exchange_new(s);
            ASSERT(ex != NULL);
            ex->peer_trusted = true;
            status = request_feed(ex, str_n(bytes.p + at, end - at), &used, &err);
            ASSERT(used <= end - at);
            at += used;
            if (status == REQUEST_MORE)
                break;
            bool last = status == REQUEST_BAD || !ex->keep_alive || ex->upgrade;
            now.n_requests++;
            ASSERT((status == REQUEST_BAD) == err_is(err));
            ASSERT(!err_is(err) || err_public(err.code));
            now.refused = status == REQUEST_BAD;
            if (status == REQUEST_BAD)
                exchange_refuse(ex, err);
            else
                exchange_dispatch(ex);
            ex = NULL;
            if (last)
                return now;
        }
    }
    if (ex != NULL)
        exchange_release(ex);
    return now;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    static struct http_server *server;
    if (server == NULL) {
        struct http_server_options o = {.routes = routes,
                                        .max_body = 4096,
                                        .max_head = 2048,
                                        .trusted_proxies = STR("10.0.0.0/8"),
                                        .cors_origins = STR("https://a.b")};
        log_open(2, LOG_OFF);
        if (err_is(loop_new(&loop)) || err_is(http_server_new(loop, &o, &server)))
            abort();
    }
    if (size < 2)
        return 0;
    struct str bytes = str_n((const char *)data + 1, size - 1);
    struct summary whole = run(server, bytes, bytes.n);
    struct summary pieces = run(server, bytes, 1u + data[0] % 64u);
    ASSERT(whole.n_requests == pieces.n_requests && whole.refused == pieces.refused);
    ASSERT(whole.hash == pieces.hash);
    return 0;
}
