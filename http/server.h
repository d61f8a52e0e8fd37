#ifndef RELI_HTTP_SERVER_H
#define RELI_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/fields.h"
#include "core/loop/loop.h"
#include "core/loop/stream.h"

/* HTTP/1.1 on the loop: parses, limits, routes, answers in order. Knows nothing about payments; the
 * sandbox uses it too.
 *
 * A handler gets an exchange and answers it exactly once, now or on a later turn, with http_reply,
 * http_problem, http_stream or http_upgrade; the exchange is gone when that call returns. A client
 * that hangs up does not end an exchange: the answer is then dropped. */

enum http_method {
    HTTP_GET_,
    HTTP_HEAD_,
    HTTP_POST_,
    HTTP_PUT_,
    HTTP_PATCH_,
    HTTP_DELETE_,
    HTTP_OPTIONS_
};
enum { HTTP_MAX_PARAMS = 4, HTTP_REQUEST_ID_TEXT = 65 };

struct http_exchange;
typedef void http_handler_fn(struct http_exchange *x);

/* One line of a route table; a table ends with a NULL pattern. "{name}" takes one segment. A
 * trailing slash of the path is tolerated; a HEAD is served by its GET route, OPTIONS by the
 * server. */
struct route {
    enum http_method method;
    const char *pattern;
    http_handler_fn *handler;
    unsigned tag; /* the application's own: permissions, flags */
};

struct http_exchange {
    struct arena *arena; /* gone after the answer */
    void *app;           /* http_server_options.app */
    const struct route *route;
    struct str params[HTTP_MAX_PARAMS]; /* of the pattern, in order, percent-decoded */
    enum http_method method;
    struct str path;  /* as sent, without the query */
    struct str query; /* as sent, without '?' */
    struct str body;
    struct peer peer; /* the client: X-Forwarded-For already taken into account */
    bool secure; /* not in the clear over a network: by TLS, ours or that of a trusted proxy, or by
                    a Unix socket */
    char request_id[HTTP_REQUEST_ID_TEXT];
    int64_t started_us; /* monotonic, when the head was complete */
    void *user;         /* the application's own, from `before` to the handler; in the arena */
};

/* The value of a request header, by its lower-case name; STR_NULL if absent. Several lines of one
 * name are joined with ", ". */
struct str http_header(const struct http_exchange *x, struct str lower_name);
/* The first query parameter of that name, percent-decoded into the arena; STR_NULL if absent. */
struct str http_query(struct http_exchange *x, struct str name);
/* Iterates all parameters: false at the end. Start with *at = 0. */
bool http_query_next(struct http_exchange *x, size_t *at, struct str *name, struct str *value);
/* Whether the client offers to go on in that protocol: by HTTP/1.1, in Upgrade and Connection. */
bool http_asks_for(const struct http_exchange *x, struct str protocol);
bool http_client_gone(const struct http_exchange *x);

/* A header of the answer; name and value are copied. A value with CR, LF or NUL is dropped and
 * logged. */
void http_set_header(struct http_exchange *x, struct str name, struct str value);
/* Answers. `body` is copied; a HEAD sends its length only. Ends x. */
void http_reply(struct http_exchange *x, int status, struct str content_type, struct str body);
void http_reply_json(struct http_exchange *x, int status, struct str body);
/* Answers with RFC 9457 problem+json: status, type, title and code by the catalogue of
 * core/base/err.c; `detail`, `param` and `fields` may be empty. Adds Retry-After to 503 and 429
 * unless set. An inside-only code is logged and shown as "unavailable" (may be tried again) or
 * "internal". Ends x. */
void http_problem(struct http_exchange *x, struct err err, const char *detail);
void http_problem_fields(struct http_exchange *x, struct err err, const char *detail,
                         const struct field_errors *fields);
/* The body that http_problem_fields would send, in the exchange's arena; `fields` may be NULL. */
struct str http_problem_text(struct http_exchange *x, struct err err, const char *detail,
                             const struct field_errors *fields);
/* Answers 101 with the headers set so far and hands the connection over; bytes that came behind the
 * request arrive at the new owner first. NULL if the client has gone. Ends x. */
struct stream *http_upgrade(struct http_exchange *x);
/* Answers 200 with the headers set so far and no length, and hands the connection over: what is
 * written to it is the body, which ends with it. NULL if the client has gone. Ends x. */
struct stream *http_stream(struct http_exchange *x, struct str content_type);
/* Writes these raw bytes if any and closes the connection without an answer; ends x. For the
 * sandbox, which must know how to misbehave. */
void http_abort(struct http_exchange *x, struct str raw_first);

struct http_server_options {
    const struct route *routes;
    void *app;
    size_t max_head;             /* request line and headers, default 16 KiB */
    size_t max_body;             /* default 1 MiB */
    int max_connections;         /* default 10 000; beyond it who waits for nothing makes room */
    int64_t head_timeout_us;     /* from the first byte; default 10 s */
    int64_t request_timeout_us;  /* head and body; default 30 s */
    int64_t idle_timeout_us;     /* between requests; default 75 s */
    struct str trusted_proxies;  /* CIDRs by commas whose X-Forwarded-For is believed */
    struct listener_guard guard; /* for addresses with ";tls" or ";proxy" */
    struct str https_base; /* "https://…": what is not secure is sent there (GET, HEAD: 308) or
                              refused, but for routes with a tag of plain_tags, and what is
                              gets Strict-Transport-Security; empty: no difference is made */
    unsigned plain_tags;
    struct str problem_base; /* default "/docs/errors#", in front of the code in `type` */
    struct str cors_origins; /* exact origins by commas; empty: no CORS headers */
    unsigned closed_tags;    /* routes with a tag of these get no CORS headers: for servers only */
    struct str server_headers; /* extra header lines "Name: value\r\n…" on every answer */
    bool access_log;
    /* Runs before the handler. False: it has answered already, or it will call x->route->handler
     * later or answer itself. NULL if not wanted. */
    bool (*before)(struct http_exchange *x);
    /* Runs when an answer has been made, with its status (0: aborted); for metrics. Also for what
     * the server has answered itself: x->route is NULL then. NULL if not wanted. */
    void (*after)(struct http_exchange *x, int status);
};

struct http_server;
struct err http_server_new(struct loop *l, const struct http_server_options *o,
                           struct http_server **out) MUST_USE;
/* Addresses as in listener_open, by commas. */
struct err http_server_listen(struct http_server *s, struct str addresses) MUST_USE;
int http_server_port(const struct http_server *s);
/* Answers end their connections from now on, while new ones are still accepted: who keeps
 * connections open is led away before they are closed under his hands. */
void http_server_lead_away(struct http_server *s);
/* Stops accepting; idle connections close, busy ones after their answer ("Connection: close").
 * `done` fires when none is left, or after `timeout_us`, when the rest is cut off. */
void http_server_drain(struct http_server *s, int64_t timeout_us, loop_fn *done, void *ctx);
/* After the drain. */
void http_server_free(struct http_server *s);
int http_server_n_connections(const struct http_server *s);

#endif
