#ifndef RELI_HTTP_HTTP_INT_H
#define RELI_HTTP_HTTP_INT_H

#include <llhttp.h>

#include "core/base/address.h"
#include "core/base/buf.h"
#include "core/base/list.h"
#include "http/chunk.h"
#include "http/head.h"
#include "http/router.h"
#include "http/server.h"

/* What the files of the server share; nobody else includes it, but for the room's tests.
 *
 *     server.c    listens, drains, counts
 *     conn.c      a connection: bytes in, one request at a time, deadlines, back-pressure
 *     request.c   bytes become a request: guard, llhttp, route
 *     exchange.c  a request on its way to its handler
 *     answer.c    its answer
 */
enum {
    MAX_LISTENERS = 8,
    MAX_ANSWER_HEADERS = 24,
    MAX_POOL = 256,           /* exchanges kept for the next request */
    ARENA_LIMIT = 8 << 20,    /* of one request, its body not counted */
    BODIES_MAX = 256 << 20,   /* bytes of request bodies in memory, all connections together */
    SMALL_BODY = 16 * 1024,   /* body memory that is kept with a pooled exchange */
    PIPELINE_MAX = 16 * 1024, /* bytes read ahead of the request in flight */
    QUEUE_MAX = 256 * 1024,   /* unsent bytes above which no further request starts */
    OUT_FLUSH = 64 * 1024,    /* answers of one turn gathered into one write */
    COPY_MAX = 32 * 1024      /* larger bodies are written from where they lie */
};

struct conn;

/* A header of an answer that the handler has set. */
struct answer_header {
    struct str name, value;
};

enum exchange_phase { PHASE_HEAD, PHASE_BODY, PHASE_READ };

struct exchange {
    struct http_exchange pub;
    struct http_server *s;
    struct conn *conn;     /* NULL once the connection is gone */
    struct str head_bytes; /* in the arena; STR_NULL until the head is complete */
    uint64_t body_left;    /* of a Content-Length */
    unsigned allowed;      /* methods of the path */
    unsigned replaced;     /* default headers that the handler has set itself, 1 << index */
    enum exchange_phase phase;
    int n_headers;
    bool keep_alive;
    bool peer_trusted;   /* may speak for others */
    bool upgrade;        /* asks for another protocol */
    bool bad_escape;     /* in path or query */
    bool wants_continue; /* "100 Continue" is due before the body comes */
    bool complete;       /* llhttp has seen the end of the message */
    bool working;        /* a handler has it */
    bool in_handler;     /* and is on the stack */
    bool ended;
    /* From here on kept as it is for the next request. */
    struct arena arena;
    struct chunk_guard chunk;
    struct buf body;
    llhttp_t parser;
    struct link free_link;
    struct answer_header headers[MAX_ANSWER_HEADERS];
    struct head head;
};

struct http_server {
    struct loop *loop;
    struct http_server_options o; /* its strings are in `arena` */
    struct arena arena;
    struct router *router;
    struct cidr_list trusted;
    struct str constant_headers; /* what is the same in nearly every answer */
    struct listener *listeners[MAX_LISTENERS];
    int n_listeners;
    struct list conns;
    struct list waiting; /* those that wait for their clients, longest first */
    struct list pool; /* of exchanges */
    int n_working;    /* exchanges whose handler has not answered */
    uint64_t bodies;  /* bytes in memory */
    struct buf out;   /* answers on their way to out_of's stream */
    struct conn *out_of;
    struct buf json; /* a problem under construction */
    int64_t date_s;
    char date[64];
    bool leading_away, draining, drained, freed;
    struct timer drain_timer;
    struct later drain_later;
    loop_fn *drain_done;
    void *drain_ctx;
};

static inline struct exchange *exchange_of(struct http_exchange *x)
{
    return CONTAINER_OF(x, struct exchange, pub);
}

/* server.c */
/* After a connection or an exchange has gone: ends the drain, frees a server that waited for it. */
void server_check(struct http_server *s);
void server_count_connections(int change);

/* conn.c */
void conn_accept(void *server, struct stream *stream);
/* The exchange in flight has its answer, which may still be in s->out. */
void conn_answered(struct conn *c, bool keep_alive);
/* The buffer for bytes to this connection; conn_flush or the end of the present run sends them. */
struct buf *conn_out(struct conn *c);
void conn_flush(struct conn *c);
/* Sends what is in conn_out and these bytes behind it. */
void conn_write(struct conn *c, struct str bytes);
/* Cuts it off; an exchange in flight stays with its handler. */
void conn_kill(struct conn *c);
/* Closes it behind what is queued. */
void conn_leave(struct conn *c);
bool conn_eof(const struct conn *c);
/* Takes the stream out of the connection, which ends. NULL if bytes that came could not be put
 * back. */
struct stream *conn_give_stream(struct conn *c);
/* Closes idle connections, or with `cut` all. */
void conns_close(struct http_server *s, bool cut);

/* request.c */
enum request_status { REQUEST_MORE, REQUEST_DONE, REQUEST_BAD };
/* Takes from the front of `bytes`, which start with what it did not take last time. REQUEST_BAD:
 * *err is the answer, and the connection has to be closed behind it. */
enum request_status request_feed(struct exchange *ex, struct str bytes, size_t *used,
                                 struct err *err);

/* exchange.c */
/* NULL without memory. */
struct exchange *exchange_new(struct http_server *s) MUST_USE;
void exchange_release(struct exchange *ex);
void exchange_free(struct exchange *ex);
/* A whole request: to its handler, or to an answer of our own. */
void exchange_dispatch(struct exchange *ex);
/* Answers a request that cannot be read any further. */
void exchange_refuse(struct exchange *ex, struct err err);
void exchange_make_id(struct exchange *ex);
/* Whether another request may follow on the connection. */
bool exchange_keeps_alive(const struct exchange *ex);
/* Whether the Origin of the request is in cors_origins, and may know of this path. */
bool http_origin_allowed(const struct exchange *ex);

/* answer.c */
/* The headers that nearly every answer has. */
void answer_constants(struct buf *b, struct str server_headers);

#endif
