/* A connection: bytes in, one request at a time, answers in order.
 *
 *     IDLE     no request has begun; READING on its first byte
 *     READING  head and body come; BUSY when they are complete
 *     BUSY     a handler has the request; what comes meanwhile is kept, up to PIPELINE_MAX
 *     LEAVING  the last answer is on its way out; nothing is read any more
 *     GONE     the stream is closed or given away; freed when nobody is in conn_run
 *
 * After an answer: IDLE, or LEAVING when the client asked for it, when the server drains, or when
 * bytes of the request were left unread, since what follows could not be told from them.
 *
 * When all places are taken, the one that waits longest for its client, with no byte on its way out
 * and no handler at work, makes room: else whoever opens connections and says nothing could shut
 * everybody out.
 *
 * One timer serves all deadlines. It is never moved later: when it fires too early it is set again,
 * so that a busy connection costs no work on the timer heap. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "http/http_int.h"

enum { STARTS_PER_RUN = 64, LOOKS = 64 };

#define STALL_US (30 * US_PER_S)
#define LINGER_US (2 * US_PER_S)
#define EOF_LOOK_US (100 * US_PER_MS)

static struct metric crowded_out =
    METRIC_COUNTER("reli_http_crowded_out_total", "",
                   "Connections that waited for their clients and made room for others");

enum conn_state { CONN_IDLE, CONN_READING, CONN_BUSY, CONN_LEAVING, CONN_GONE };

struct conn {
    struct link link, wait; /* the latter: IDLE or READING */
    struct http_server *s;
    struct stream *stream;
    struct exchange *ex; /* READING and BUSY */
    struct buf in;       /* bytes of a request that has not all come, or of later ones */
    struct str rest;     /* while running: bytes not taken yet */
    struct timer timer;
    struct later again;
    int64_t since_us; /* monotonic: idle or reading since */
    enum conn_state state;
    int n_starts; /* requests begun in this run */
    bool running; /* conn_run is on the stack */
    bool reading; /* the stream is */
    bool eof;     /* the client has closed its side */
    bool peer_trusted;
};

static void conn_data(void *ctx, struct str bytes);
static void conn_end(void *ctx, struct err err);
static void conn_drained(void *ctx);
static void conn_again(void *ctx);
static void conn_run(struct conn *c, struct str bytes, bool inside);
static void conn_settle(struct conn *c);
static void conn_arm(struct conn *c);
static void conn_part(struct conn *c, int64_t linger_us);
static void make_room(struct http_server *s);
static void refuse_connection(struct http_server *s, struct stream *stream);

static const struct stream_events events = {conn_data, conn_end, conn_drained};

static int64_t now_us(const struct conn *c)
{
    return loop_mono_us(c->s->loop);
}

void conn_accept(void *server, struct stream *stream)
{
    struct http_server *s = server;
    struct conn *c = NULL;
    if (s->conns.n >= (size_t)s->o.max_connections && !s->draining)
        make_room(s);
    if (s->conns.n < (size_t)s->o.max_connections && !s->draining)
        c = calloc(1, sizeof *c);
    if (c == NULL) {
        refuse_connection(s, stream);
        return;
    }
    c->s = s;
    c->stream = stream;
    c->since_us = now_us(c);
    c->peer_trusted = cidr_list_has_text(&s->trusted, str_c(stream_peer(stream)->text));
    buf_init(&c->in, 4 * HEAD_MAX_BYTES); /* one read of 64 KiB above what makes us pause */
    list_push(&s->conns, &c->link);
    list_push(&s->waiting, &c->wait);
    server_count_connections(1);
    stream_own(stream, &events, c);
    conn_settle(c);
}

/* ---- events of the stream ---- */

static void conn_data(void *ctx, struct str bytes)
{
    struct conn *c = ctx;
    if (c->state == CONN_LEAVING)
        return;
    if (c->state != CONN_BUSY && c->in.n == 0) {
        conn_run(c, bytes, false);
        return;
    }
    buf_str(&c->in, bytes);
    if (c->in.failed)
        conn_kill(c);
    else if (c->state == CONN_BUSY)
        conn_settle(c);
    else
        conn_run(c, buf_view(&c->in), true);
}

/* A client that has only closed its side still gets the answers to what it has sent. */
static void conn_end(void *ctx, struct err err)
{
    struct conn *c = ctx;
    if (err_is(err)) {
        conn_kill(c);
        return;
    }
    c->eof = true;
    conn_settle(c);
}

static void conn_drained(void *ctx)
{
    struct conn *c = ctx;
    if (c->state != CONN_IDLE) {
        conn_settle(c);
        return;
    }
    c->since_us = now_us(c);
    conn_run(c, buf_view(&c->in), true);
}

static void conn_again(void *ctx)
{
    struct conn *c = ctx;
    if (c->state == CONN_IDLE)
        conn_run(c, buf_view(&c->in), true);
}

/* ---- requests ---- */

/* Begins a request if there is a byte of it. False if there is none, or if it has to wait. */
static bool start(struct conn *c)
{
    while (str_starts(c->rest, STR("\r\n"))) /* RFC 9112, 2.2: may follow a body */
        c->rest = str_from(c->rest, 2);
    if (c->rest.n == 0 || str_eq(c->rest, STR("\r")) || stream_queued(c->stream) > QUEUE_MAX)
        return false;
    if (c->n_starts == STARTS_PER_RUN) { /* others want their turn */
        loop_later(c->s->loop, &c->again, conn_again, c);
        return false;
    }
    c->n_starts++;
    c->ex = exchange_new(c->s);
    if (c->ex == NULL) {
        conn_kill(c);
        return false;
    }
    c->ex->conn = c;
    c->ex->pub.peer = *stream_peer(c->stream);
    c->ex->peer_trusted = c->peer_trusted;
    c->ex->pub.secure = stream_is_secure(c->stream) || stream_peer(c->stream)->is_unix;
    c->since_us = now_us(c);
    c->state = CONN_READING;
    list_remove(&c->s->waiting, &c->wait);
    list_push(&c->s->waiting, &c->wait);
    return true;
}

static bool read_on(struct conn *c)
{
    size_t used;
    struct err err;
    struct exchange *ex = c->ex;
    enum request_status status = request_feed(ex, c->rest, &used, &err);
    c->rest = str_from(c->rest, used);
    if (status == REQUEST_MORE) {
        if (ex->wants_continue)
            buf_c(conn_out(c), "HTTP/1.1 100 Continue\r\n\r\n");
        ex->wants_continue = false;
        return false;
    }
    if (status == REQUEST_BAD) {
        exchange_refuse(ex, err);
        return false;
    }
    c->state = CONN_BUSY;
    list_remove(&c->s->waiting, &c->wait);
    exchange_dispatch(ex);
    return c->state == CONN_IDLE;
}

/* One step; false when there is nothing to do before something else happens. */
static bool step(struct conn *c)
{
    switch (c->state) {
    case CONN_IDLE:
        return start(c);
    case CONN_READING:
        return read_on(c);
    case CONN_BUSY:
    case CONN_LEAVING:
    case CONN_GONE:
        break;
    }
    return false;
}

/* Works on what has come. `inside`: the bytes are those of c->in, else they are only lent to us. */
static void conn_run(struct conn *c, struct str bytes, bool inside)
{
    ASSERT(!c->running);
    c->running = true;
    c->rest = bytes;
    c->n_starts = 0;
    while (step(c))
        ;
    c->running = false;
    if (c->state == CONN_GONE) {
        buf_free(&c->in);
        free(c);
        return;
    }
    if (inside)
        buf_consume(&c->in, c->in.n - c->rest.n);
    else
        buf_str(&c->in, c->rest);
    c->rest = STR_NULL;
    if (c->in.failed)
        conn_kill(c);
    else
        conn_settle(c);
}

void conn_answered(struct conn *c, bool keep_alive)
{
    c->ex = NULL;
    c->since_us = now_us(c);
    c->state = keep_alive ? CONN_IDLE : CONN_LEAVING;
    if (list_linked(&c->wait))
        list_remove(&c->s->waiting, &c->wait);
    if (keep_alive)
        list_push(&c->s->waiting, &c->wait);
    if (c->running)
        return;
    /* Later: the next handler must not run inside this one. */
    if (c->state == CONN_IDLE && c->in.n > 0)
        loop_later(c->s->loop, &c->again, conn_again, c);
    conn_settle(c);
}

/* Brings stream, memory and timer into line with the state; the connection may end here. */
static void conn_settle(struct conn *c)
{
    if (c->running)
        return;
    conn_flush(c);
    size_t queued = stream_queued(c->stream);
    bool idle = c->state == CONN_IDLE;
    bool waits = queued > QUEUE_MAX || list_linked(&c->again.link);
    bool leave = false;
    if (c->state == CONN_LEAVING)
        leave = queued == 0 || c->eof;
    else if (c->eof) /* no further byte will come */
        leave = c->state == CONN_READING || (idle && (c->in.n == 0 || !waits));
    if (leave || (idle && c->s->draining && c->in.n == 0)) {
        conn_part(c, queued > 0 ? STALL_US : LINGER_US);
        return;
    }
    if (c->in.n == 0 && c->in.cap > 0)
        buf_free(&c->in);
    bool want = c->state == CONN_READING ||
                (c->state != CONN_LEAVING && c->in.n <= PIPELINE_MAX && !(idle && waits));
    if (want != c->reading && !c->eof) {
        c->reading = want;
        if (want)
            stream_resume(c->stream);
        else
            stream_pause(c->stream);
    }
    conn_arm(c);
}

/* ---- deadlines ---- */

/* When the request that is being read has taken too long. */
static int64_t reading_due_us(const struct conn *c)
{
    const struct http_server_options *o = &c->s->o;
    bool head = c->ex->phase == PHASE_HEAD && o->head_timeout_us < o->request_timeout_us;
    return c->since_us + (head ? o->head_timeout_us : o->request_timeout_us);
}

static int64_t due_us(const struct conn *c)
{
    int64_t due = TIME_NEVER;
    if (c->state == CONN_IDLE)
        due = c->since_us + c->s->o.idle_timeout_us;
    else if (c->state == CONN_READING)
        due = reading_due_us(c);
    if (stream_queued(c->stream) > 0) {
        int64_t stall = now_us(c) + STALL_US - stream_stalled_us(c->stream);
        if (c->eof && c->in.n > 0) /* the stream does not tell any more when it is drained */
            stall = now_us(c) + EOF_LOOK_US;
        if (stall < due || c->state == CONN_IDLE)
            due = stall;
    }
    return due;
}

static void conn_tick(void *ctx)
{
    struct conn *c = ctx;
    if (stream_stalled_us(c->stream) >= STALL_US) {
        log_info("http.reader_stalled");
        conn_kill(c);
    } else if (c->state == CONN_READING && now_us(c) >= reading_due_us(c)) {
        exchange_refuse(c->ex, ERR(REQUEST_TIMEOUT, "the request did not arrive in time"));
    } else if (c->state == CONN_IDLE && now_us(c) >= due_us(c)) {
        conn_part(c, LINGER_US);
    } else if (c->state == CONN_IDLE && c->in.n > 0) {
        conn_run(c, buf_view(&c->in), true);
    } else {
        conn_settle(c);
    }
}

static void conn_arm(struct conn *c)
{
    int64_t due = due_us(c);
    if (due == TIME_NEVER || (timer_is_on(&c->timer) && c->timer.due_us <= due))
        return;
    timer_set(c->s->loop, &c->timer, due - now_us(c), conn_tick, c);
}

/* ---- bytes out ---- */

struct buf *conn_out(struct conn *c)
{
    struct http_server *s = c->s;
    if (s->out_of != c) {
        if (s->out_of != NULL)
            conn_flush(s->out_of);
        s->out_of = c;
    } else if (s->out.n > OUT_FLUSH) {
        conn_flush(c);
        s->out_of = c;
    }
    return &s->out;
}

void conn_flush(struct conn *c)
{
    if (c->s->out_of == c)
        conn_write(c, STR_NULL);
}

void conn_write(struct conn *c, struct str bytes)
{
    struct http_server *s = c->s;
    struct str parts[2];
    size_t n = 0;
    if (s->out_of == c) {
        s->out_of = NULL;
        if (s->out.n > 0)
            parts[n++] = buf_view(&s->out);
    }
    if (bytes.n > 0)
        parts[n++] = bytes;
    if (n > 0)
        stream_write(c->stream, parts, n);
    if (s->out_of == NULL)
        buf_reset(&s->out);
}

/* ---- the end ---- */

/* Out of the server's books. What its handler still works on stays with the handler. */
static void conn_detach(struct conn *c)
{
    struct http_server *s = c->s;
    timer_off(s->loop, &c->timer);
    loop_later_off(s->loop, &c->again);
    if (s->out_of == c) {
        s->out_of = NULL;
        buf_reset(&s->out);
    }
    c->stream = NULL;
    c->state = CONN_GONE;
    list_remove(&s->conns, &c->link);
    if (list_linked(&c->wait))
        list_remove(&s->waiting, &c->wait);
    server_count_connections(-1);
    struct exchange *ex = c->ex;
    c->ex = NULL;
    if (ex != NULL) {
        ex->conn = NULL;
        if (!ex->working)
            exchange_release(ex);
    }
    if (!c->running) {
        buf_free(&c->in);
        free(c);
    }
    server_check(s);
}

/* Closes behind what is queued. */
static void conn_part(struct conn *c, int64_t linger_us)
{
    struct stream *stream = c->stream;
    conn_flush(c);
    conn_detach(c);
    stream_close_gently(stream, linger_us);
}

void conn_leave(struct conn *c)
{
    conn_part(c, STALL_US);
}

void conn_kill(struct conn *c)
{
    struct stream *stream = c->stream;
    conn_detach(c);
    stream_close(stream);
}

bool conn_eof(const struct conn *c)
{
    return c->eof;
}

static void nobody_data(void *ctx, struct str bytes)
{
    (void)ctx;
    (void)bytes;
}

static void nobody_end(void *ctx, struct err err)
{
    (void)ctx;
    (void)err;
}

struct stream *conn_give_stream(struct conn *c)
{
    static const struct stream_events nobody = {nobody_data, nobody_end, NULL};
    struct stream *stream = c->stream;
    struct str rest = c->running ? c->rest : buf_view(&c->in);
    conn_flush(c);
    stream_own(stream, &nobody, NULL);
    struct err err = stream_unread(stream, rest);
    if (err_is(err)) {
        log_warn("http.upgrade_failed", F_ERR(err));
        conn_kill(c);
        return NULL;
    }
    conn_detach(c);
    return stream;
}

void conns_close(struct http_server *s, bool cut)
{
    struct link *next;
    for (struct link *k = list_first(&s->conns); k != NULL; k = next) {
        next = list_next(&s->conns, k);
        struct conn *c = CONTAINER_OF(k, struct conn, link);
        if (cut)
            conn_kill(c);
        else
            conn_settle(c);
    }
}

static bool owes_us(const struct conn *c)
{
    bool has_asked = c->state == CONN_IDLE && c->in.n > 0; /* and its turn comes */
    return !c->running && !has_asked && stream_queued(c->stream) == 0;
}

/* Those that were looked at in vain are let be for a while. */
static void make_room(struct http_server *s)
{
    for (int i = 0; i < LOOKS && !list_is_empty(&s->waiting); i++) {
        struct conn *c = CONTAINER_OF(list_first(&s->waiting), struct conn, wait);
        if (owes_us(c)) {
            metric_add(&crowded_out, 1);
            conn_kill(c);
            return;
        }
        list_remove(&s->waiting, &c->wait);
        list_push(&s->waiting, &c->wait);
    }
}

/* One more than we take, or no memory for it. */
static void refuse_connection(struct http_server *s, struct stream *stream)
{
    char head[512], body[512], id[UUID_TEXT];
    uuid_text(random_uuid(loop_wall_us(s->loop)), id);
    int n_body = snprintf(body, sizeof body,
                          "{\"type\":\"%.*s%s\",\"title\":\"%s\",\"status\":503,\"detail\":"
                          "\"too many connections\",\"code\":\"%s\",\"request_id\":\"%s\"}",
                          STR_ARG(s->o.problem_base), err_word(ERR_OVERLOADED),
                          err_title(ERR_OVERLOADED), err_word(ERR_OVERLOADED), id);
    int n_head = snprintf(head, sizeof head,
                          "HTTP/1.1 503 Service Unavailable\r\nContent-Type: "
                          "application/problem+json\r\nContent-Length: %d\r\nX-Request-Id: %s\r\n"
                          "Retry-After: 1\r\nConnection: close\r\n",
                          n_body, id);
    ASSERT(n_body < (int)sizeof body && n_head < (int)sizeof head);
    struct str parts[] = {str_n(head, (size_t)n_head), s->constant_headers, STR("\r\n"),
                          str_n(body, (size_t)n_body)};
    stream_write(stream, parts, COUNT_OF(parts));
    stream_close_gently(stream, LINGER_US);
}
