/* A connected socket behind the seam of stream.h.
 *
 * Reading: while the owner wants bytes and none are put back, libuv reads into the loop's one
 * buffer. Writing: the kernel first; what it does not take waits in chunks, of which one batch at a
 * time is with libuv (`n_sending`, always the head of the queue). Closing gently: queue empty ->
 * FIN -> the peer's EOF, all within the linger time; what still comes in is read and dropped, since
 * closing with unread bytes would reset the connection and cost the peer our last answer.
 *
 * Nobody minds the streams that close, and a peer that never reads costs memory. So of all streams
 * of a loop only so many may be closing, and only so many bytes may be kept as copies: beyond that
 * the one goes that has begun it first, since who is honest is through in a moment.
 *
 * TLS is a filter inside: what libuv reads goes through it before the owner sees it, what the owner
 * writes goes through it before the kernel or the queue does. Records that came while the owner
 * does not want to read are held as they are; they come after the bytes that were put back.
 *
 * The struct lives until libuv's close callback, which comes on a later part of a turn: it is safe
 * to look at after an event of the owner, who may have closed it. */
#include "core/loop/stream.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/crypto/tls.h"
#include "core/loop/loop_int.h"

enum {
    BATCH = 32,              /* buffers per system call */
    CHUNK_BYTES = 16 * 1024, /* small copies share a chunk */
    UNREAD_MAX = 256 * 1024,
    /* The last resort: an owner that minds stream_queued never comes near. */
    QUEUE_MAX = 64 * 1024 * 1024,
    SEAL_BYTES = 64 * 1024, /* of plain text that becomes records in one go */
    /* A peer that makes TLS answer (key updates) and does not read the answers. */
    REPLIES_MAX = 1024 * 1024,
    LEAVING_MAX = 256, /* streams of a loop */
    COPIES_MAX = 256 * 1024 * 1024
};

struct chunk {
    struct link link;
    struct blob *blob; /* NULL: bytes of its own */
    const char *p;
    size_t n, cap;
    char own[];
};

enum stream_life { STREAM_OPEN, STREAM_LEAVING, STREAM_CLOSED };

/* There are many, mostly idle: what a write to all of them looks at comes first. */
struct stream {
    struct loop *l;
    const struct stream_events *events;
    void *ctx;
    struct tls *tls; /* NULL: what is sent is what is written */
    enum stream_life life;
    bool wanted;  /* the owner has resumed */
    bool reading; /* libuv reads */
    bool eof;     /* the peer has sent FIN */
    bool broken;  /* no byte goes either way any more */
    bool ended;   /* `end` has been told */
    bool fin_sent;
    struct list queue;
    size_t waiting; /* bytes in the queue behind those with libuv */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    size_t n_sending;
    size_t seen_queue; /* libuv's queue when it was last looked at */
    int64_t progress_us;
    struct err end_err;
    struct link holding; /* among those with copies, who has had some longest first */
    size_t copies;       /* bytes in the queue that are ours */
    union {
        struct later soon; /* while open: bytes that were put back, or the end */
        struct {           /* while leaving */
            struct timer timer;
            struct link link;
        } linger;
    } wait;
    char *unread;
    size_t n_unread;
    loop_fn *on_secure;
    char *held; /* records that have not been looked at */
    size_t n_held;
    struct peer peer;
};

static void read_update(struct stream *s);
static void drop_unread(struct stream *s);
static void flush_sealed(struct stream *s);
static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf);
static void deliver_unread(void *ctx);
static void deliver_end(void *ctx);
static void unseal(struct stream *s, struct str bytes);
static void seal(struct stream *s, const struct str *parts, size_t n);
static void raw_write(struct stream *s, const struct str *parts, size_t n);
static bool write_now(struct stream *s, const struct str *parts, size_t n, size_t *part,
                      size_t *offset);
static bool queue_has_room(struct stream *s, size_t n);
static void queue_copy(struct stream *s, struct str bytes);
static void queue_add(struct stream *s, struct chunk *c);
static void queue_send(struct stream *s);
static void queue_pop(struct stream *s);
static void copies_forget(struct stream *s);
static void break_off(struct stream *s, struct err err);
static void send_fin(struct stream *s);
static void linger_over(void *ctx);
static void on_closed(uv_handle_t *h);

struct err stream_from_fd(struct loop *l, int fd, const struct peer *peer, struct stream **out)
{
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        close(fd);
        return ERR(NO_MEMORY, "stream");
    }
    s->l = l;
    s->peer = *peer;
    list_init(&s->queue);
    int rc = peer->is_unix ? uv_pipe_init(&l->uv, &s->uv.pipe, 0) : uv_tcp_init(&l->uv, &s->uv.tcp);
    if (rc != 0) {
        close(fd);
        free(s);
        return ERR_D(IO, rc, "stream");
    }
    s->uv.handle.data = s;
    rc = peer->is_unix ? uv_pipe_open(&s->uv.pipe, fd) : uv_tcp_open(&s->uv.tcp, fd);
    if (rc != 0) {
        close(fd);
        s->life = STREAM_CLOSED;
        uv_close(&s->uv.handle, on_closed);
        return ERR_D(IO, rc, "stream");
    }
    if (!peer->is_unix)
        uv_tcp_nodelay(&s->uv.tcp, 1);
    *out = s;
    return ERR_OK;
}

void stream_own(struct stream *s, const struct stream_events *events, void *ctx)
{
    ASSERT(s->life == STREAM_OPEN);
    stream_pause(s);
    s->events = events;
    s->ctx = ctx;
}

void stream_resume(struct stream *s)
{
    ASSERT(s->life == STREAM_OPEN && s->events != NULL);
    s->wanted = true;
    read_update(s);
}

void stream_pause(struct stream *s)
{
    s->wanted = false;
    read_update(s);
}

struct err stream_unread(struct stream *s, struct str bytes)
{
    if (bytes.n == 0 || s->life != STREAM_OPEN)
        return ERR_OK;
    if (bytes.n > UNREAD_MAX - s->n_unread)
        return ERR(LIMIT, "too many bytes put back");
    char *p = malloc(s->n_unread + bytes.n);
    if (p == NULL)
        return ERR(NO_MEMORY, "unread");
    memcpy(p, bytes.p, bytes.n);
    if (s->n_unread > 0)
        memcpy(p + bytes.n, s->unread, s->n_unread); /* put back earlier: it comes after */
    free(s->unread);
    s->unread = p;
    s->n_unread += bytes.n;
    read_update(s);
    return ERR_OK;
}

void stream_write(struct stream *s, const struct str *parts, size_t n)
{
    if (s->tls != NULL)
        seal(s, parts, n);
    else
        raw_write(s, parts, n);
}

static void raw_write(struct stream *s, const struct str *parts, size_t n)
{
    size_t part = 0, offset = 0, rest = 0;
    if (!write_now(s, parts, n, &part, &offset))
        return;
    for (size_t i = part; i < n; i++)
        rest += parts[i].n;
    rest -= offset;
    if (rest == 0 || !queue_has_room(s, rest))
        return;
    for (; part < n; part++, offset = 0)
        if (parts[part].n > offset)
            queue_copy(s, offset > 0 ? str_from(parts[part], offset) : parts[part]);
    queue_send(s);
}

void stream_write_blob(struct stream *s, struct blob *b)
{
    struct str bytes = str_n(b->p, b->n);
    size_t part = 0, offset = 0;
    if (s->tls != NULL) { /* no two connections have the same records */
        seal(s, &bytes, 1);
        return;
    }
    if (!write_now(s, &bytes, 1, &part, &offset) || part == 1 || b->n == 0 ||
        !queue_has_room(s, b->n - offset))
        return;
    struct chunk *c = malloc(sizeof *c);
    if (c == NULL) {
        break_off(s, ERR(NO_MEMORY, "stream queue"));
        return;
    }
    *c = (struct chunk){.blob = blob_ref(b), .p = b->p + offset, .n = b->n - offset};
    queue_add(s, c);
    queue_send(s);
}

size_t stream_queued(const struct stream *s)
{
    return s->waiting + uv_stream_get_write_queue_size(&s->uv.stream);
}

int64_t stream_stalled_us(const struct stream *s)
{
    if (stream_queued(s) == 0)
        return 0;
    /* libuv tells when a batch is done, not when a part of it has left; so look. */
    struct stream *notes = (struct stream *)s;
    size_t size = uv_stream_get_write_queue_size(&s->uv.stream);
    if (size != s->seen_queue) {
        notes->seen_queue = size;
        notes->progress_us = loop_mono_us(s->l);
    }
    return loop_mono_us(s->l) - s->progress_us;
}

const struct peer *stream_peer(const struct stream *s)
{
    return &s->peer;
}

void stream_set_peer(struct stream *s, const struct peer *peer)
{
    s->peer = *peer;
}

bool stream_is_secure(const struct stream *s)
{
    return s->tls != NULL;
}

struct err stream_secure(struct stream *s, struct tls_site *site, loop_fn *done)
{
    ASSERT(s->life == STREAM_OPEN && s->tls == NULL && s->n_held == 0);
    TRY(tls_new(site, &s->tls));
    s->on_secure = done;
    s->held = s->unread; /* the bytes behind a PROXY header are the first of the handshake */
    s->n_held = s->n_unread;
    s->unread = NULL;
    s->n_unread = 0;
    read_update(s);
    return ERR_OK;
}

void stream_close_gently(struct stream *s, int64_t linger_us)
{
    ASSERT(s->life == STREAM_OPEN);
    if (s->broken) {
        stream_close(s);
        return;
    }
    if (s->tls != NULL) {
        tls_goodbye(s->tls, &s->l->sealed);
        flush_sealed(s);
    }
    s->life = STREAM_LEAVING;
    s->events = NULL;
    loop_later_off(s->l, &s->wait.soon);
    s->wait.linger.timer = (struct timer){0};
    s->wait.linger.link = (struct link){0};
    timer_set(s->l, &s->wait.linger.timer, linger_us, linger_over, s);
    list_push(&s->l->leaving, &s->wait.linger.link);
    if (s->l->leaving.n > LEAVING_MAX)
        stream_close(CONTAINER_OF(list_first(&s->l->leaving), struct stream, wait.linger.link));
    drop_unread(s);
    read_update(s);
    if (list_is_empty(&s->queue) && s->life == STREAM_LEAVING)
        send_fin(s);
}

void stream_close(struct stream *s)
{
    ASSERT(s->life != STREAM_CLOSED);
    if (s->life == STREAM_LEAVING) {
        timer_off(s->l, &s->wait.linger.timer);
        list_remove(&s->l->leaving, &s->wait.linger.link);
    } else {
        loop_later_off(s->l, &s->wait.soon);
    }
    copies_forget(s);
    s->life = STREAM_CLOSED;
    s->events = NULL;
    s->reading = false; /* uv_close stops it */
    uv_close(&s->uv.handle, on_closed);
}

/* ---- reading ---- */

static void lend_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct stream *s = h->data;
    *buf = uv_buf_init(s->l->read_buf, sizeof s->l->read_buf);
}

/* Makes libuv read, or put-back bytes come, as the state wants it. */
static void read_update(struct stream *s)
{
    bool open = s->life == STREAM_OPEN && s->wanted && !s->ended;
    bool kept = s->n_unread > 0 || s->n_held > 0;
    bool deliver = open && kept && !s->broken;
    bool read = !s->broken && !s->eof && ((open && !kept) || s->life == STREAM_LEAVING);
    if (deliver && !list_linked(&s->wait.soon.link))
        loop_later(s->l, &s->wait.soon, deliver_unread, s);
    else if (!deliver && s->life == STREAM_OPEN && !s->broken) /* else it is the end that waits */
        loop_later_off(s->l, &s->wait.soon);
    if (read && !s->reading) {
        int rc = uv_read_start(&s->uv.stream, lend_buffer, on_read);
        if (rc != 0) {
            break_off(s, ERR_D(IO, rc, "read"));
            return;
        }
    } else if (!read && s->reading) {
        uv_read_stop(&s->uv.stream);
    }
    s->reading = read;
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = h->data;
    loop_enter(s->l);
    if (n > 0) {
        if (s->life == STREAM_OPEN && s->tls != NULL)
            unseal(s, str_n(buf->base, (size_t)n));
        else if (s->life == STREAM_OPEN)
            s->events->data(s->ctx, str_n(buf->base, (size_t)n));
        return;
    }
    if (n == 0)
        return;
    s->eof = n == UV_EOF;
    s->broken = s->broken || !s->eof;
    read_update(s);
    if (s->life == STREAM_LEAVING) {
        if (s->broken || s->fin_sent)
            stream_close(s);
        return;
    }
    s->end_err = s->eof ? ERR_OK : ERR_D(IO, n, "read");
    deliver_end(s);
}

/* What was put back first, then the records that were held. */
static void deliver_unread(void *ctx)
{
    struct stream *s = ctx;
    bool plain = s->n_unread > 0;
    char **kept = plain ? &s->unread : &s->held, *p = *kept;
    size_t *n_kept = plain ? &s->n_unread : &s->n_held, n = *n_kept;
    *kept = NULL;
    *n_kept = 0;
    if (plain)
        s->events->data(s->ctx, str_n(p, n));
    else
        unseal(s, str_n(p, n));
    free(p);
    if (s->life == STREAM_OPEN)
        read_update(s);
}

static void drop_unread(struct stream *s)
{
    free(s->unread);
    free(s->held);
    s->unread = s->held = NULL;
    s->n_unread = s->n_held = 0;
}

static void deliver_end(void *ctx)
{
    struct stream *s = ctx;
    if (s->ended || s->life != STREAM_OPEN || s->events == NULL)
        return;
    loop_later_off(s->l, &s->wait.soon);
    s->ended = true;
    read_update(s);
    s->events->end(s->ctx, s->end_err);
}

/* Neither side hears from the other any more. The owner is told by a later call, since it may be in
 * the middle of stream_write. */
static void break_off(struct stream *s, struct err err)
{
    if (s->broken || s->life == STREAM_CLOSED)
        return;
    s->broken = true;
    copies_forget(s);
    read_update(s);
    if (s->life == STREAM_LEAVING) {
        stream_close(s);
        return;
    }
    s->end_err = err;
    loop_later_off(s->l, &s->wait.soon); /* what was put back is not looked at any more */
    if (!s->ended)
        loop_later(s->l, &s->wait.soon, deliver_end, s);
}

/* ---- TLS ---- */

static void flush_sealed(struct stream *s)
{
    struct buf *b = &s->l->sealed;
    struct str bytes = buf_view(b);
    if (bytes.n > 0)
        raw_write(s, &bytes, 1);
    buf_reset(b);
}

/* The owner does not want more now, or not any more. */
static void hold(struct stream *s, struct str bytes)
{
    if (bytes.n == 0 || s->life != STREAM_OPEN || s->ended)
        return;
    s->held = malloc(bytes.n);
    if (s->held == NULL) {
        break_off(s, ERR(NO_MEMORY, "records"));
        return;
    }
    memcpy(s->held, bytes.p, bytes.n);
    s->n_held = bytes.n;
    read_update(s);
}

/* Records that came, one after the other, each to the owner of the moment. */
static void unseal(struct stream *s, struct str bytes)
{
    enum tls_status status = TLS_DATA;
    struct err err = ERR_OK;
    size_t n;
    while (status != TLS_MORE && s->life == STREAM_OPEN && s->wanted && !s->broken && !s->ended) {
        status = tls_read(s->tls, &bytes, s->l->opened, &n, &s->l->sealed, &err);
        bool replied = s->l->sealed.n > 0;
        flush_sealed(s);
        if (replied && stream_queued(s) > REPLIES_MAX) {
            break_off(s, ERR(LIMIT, "the peer does not read"));
        } else if (status == TLS_READY) {
            s->on_secure(s->ctx);
        } else if (status == TLS_DATA) {
            s->events->data(s->ctx, str_n(s->l->opened, n));
        } else if (status == TLS_END || status == TLS_BAD) {
            s->eof = status == TLS_END;
            s->end_err = err;
            deliver_end(s);
        }
    }
    hold(s, bytes);
}

static void seal(struct stream *s, const struct str *parts, size_t n)
{
    if (s->life != STREAM_OPEN || s->broken)
        return;
    for (size_t i = 0; i < n; i++) {
        for (struct str rest = parts[i]; rest.n > 0; rest = str_from(rest, SEAL_BYTES)) {
            if (!tls_write(s->tls, str_first(rest, SEAL_BYTES), &s->l->sealed)) {
                buf_reset(&s->l->sealed);
                break_off(s, ERR(IO, "TLS write"));
                return;
            }
            flush_sealed(s);
        }
    }
}

/* ---- writing ---- */

/* Offers the parts to the kernel. *part and *offset are where it stopped. False if nothing is to be
 * sent any more. */
static bool write_now(struct stream *s, const struct str *parts, size_t n, size_t *part,
                      size_t *offset)
{
    if (s->life != STREAM_OPEN || s->broken)
        return false;
    while (*part < n && list_is_empty(&s->queue)) {
        uv_buf_t bufs[BATCH];
        unsigned count = 0;
        size_t total = 0, first = *offset;
        for (size_t i = *part; i < n && count < BATCH; i++, first = 0) {
            struct str rest = first > 0 ? str_from(parts[i], first) : parts[i];
            bufs[count++] = uv_buf_init((char *)rest.p, (unsigned)rest.n);
            total += rest.n;
        }
        int rc = total > 0 ? uv_try_write(&s->uv.stream, bufs, count) : 0;
        if (rc == UV_EAGAIN)
            return true;
        if (rc < 0) {
            break_off(s, ERR_D(IO, rc, "write"));
            return false;
        }
        size_t left = (size_t)rc;
        while (*part < n && left >= parts[*part].n - *offset && count > 0) {
            left -= parts[*part].n - *offset;
            (*part)++;
            *offset = 0;
            count--;
        }
        *offset += left;
        if ((size_t)rc < total)
            return true;
    }
    return true;
}

static bool queue_has_room(struct stream *s, size_t n)
{
    size_t queued = stream_queued(s);
    if (queued <= QUEUE_MAX && n <= QUEUE_MAX - queued)
        return true;
    break_off(s, ERR(LIMIT, "the peer reads too slowly"));
    return false;
}

/* Out of the loop's books; the bytes themselves go with the stream. */
static void copies_forget(struct stream *s)
{
    s->l->copies -= s->copies;
    s->copies = 0;
    if (list_linked(&s->holding))
        list_remove(&s->l->holding, &s->holding);
}

static void copies_make_room(struct loop *l, size_t n)
{
    while (l->copies + n > COPIES_MAX && !list_is_empty(&l->holding)) {
        struct stream *s = CONTAINER_OF(list_first(&l->holding), struct stream, holding);
        break_off(s, ERR(LIMIT, "too much waits for those who do not read"));
        copies_forget(s); /* it may have been broken before */
    }
}

static void copies_add(struct stream *s, size_t n)
{
    s->copies += n;
    s->l->copies += n;
    if (!list_linked(&s->holding))
        list_push(&s->l->holding, &s->holding);
}

static void queue_add(struct stream *s, struct chunk *c)
{
    if (list_is_empty(&s->queue))
        s->progress_us = loop_mono_us(s->l);
    list_push(&s->queue, &c->link);
    s->waiting += c->n;
}

static void queue_copy(struct stream *s, struct str bytes)
{
    if (s->broken)
        return;
    if (s->queue.n > s->n_sending) {
        struct chunk *last = CONTAINER_OF(s->queue.head.prev, struct chunk, link);
        if (last->blob == NULL && last->cap - last->n >= bytes.n) {
            memcpy(last->own + last->n, bytes.p, bytes.n);
            last->n += bytes.n;
            s->waiting += bytes.n;
            return;
        }
    }
    size_t cap = bytes.n > CHUNK_BYTES ? bytes.n : CHUNK_BYTES;
    copies_make_room(s->l, cap);
    struct chunk *c = s->broken ? NULL : malloc(sizeof *c + cap);
    if (c == NULL) {
        break_off(s, ERR(NO_MEMORY, "stream queue"));
        return;
    }
    *c = (struct chunk){.p = c->own, .n = bytes.n, .cap = cap};
    memcpy(c->own, bytes.p, bytes.n);
    copies_add(s, cap);
    queue_add(s, c);
}

static void queue_pop(struct stream *s)
{
    struct chunk *c = CONTAINER_OF(list_pop(&s->queue), struct chunk, link);
    size_t n = c->cap < s->copies ? c->cap : s->copies; /* none, once they are forgotten */
    s->copies -= n;
    s->l->copies -= n;
    if (s->copies == 0)
        copies_forget(s);
    blob_unref(c->blob);
    free(c);
}

static void on_written(uv_write_t *req, int status)
{
    struct stream *s = req->data;
    free(req);
    loop_enter(s->l);
    for (; s->n_sending > 0; s->n_sending--)
        queue_pop(s);
    if (s->life == STREAM_CLOSED || s->broken)
        return;
    if (status < 0) {
        break_off(s, ERR_D(IO, status, "write"));
        return;
    }
    s->progress_us = loop_mono_us(s->l);
    if (!list_is_empty(&s->queue))
        queue_send(s);
    else if (s->life == STREAM_LEAVING)
        send_fin(s);
    else if (!s->ended && s->events != NULL && s->events->drained != NULL)
        s->events->drained(s->ctx);
}

/* Hands the next batch to libuv. */
static void queue_send(struct stream *s)
{
    if (s->n_sending > 0 || s->broken)
        return;
    uv_buf_t bufs[BATCH];
    size_t bytes = 0;
    unsigned count = 0;
    for (struct link *k = list_first(&s->queue); k != NULL && count < BATCH;
         k = list_next(&s->queue, k)) {
        struct chunk *c = CONTAINER_OF(k, struct chunk, link);
        bufs[count++] = uv_buf_init((char *)c->p, (unsigned)c->n);
        bytes += c->n;
    }
    uv_write_t *req = malloc(sizeof *req); /* most streams are idle and need none */
    int rc = UV_ENOMEM;
    if (req != NULL) {
        req->data = s;
        rc = uv_write(req, &s->uv.stream, bufs, count, on_written);
    }
    if (rc != 0) {
        free(req);
        break_off(s, ERR_D(IO, rc, "write"));
        return;
    }
    s->n_sending = count;
    s->waiting -= bytes;
    s->seen_queue = uv_stream_get_write_queue_size(&s->uv.stream);
}

/* ---- closing ---- */

static void on_fin_sent(uv_shutdown_t *req, int status)
{
    struct stream *s = req->data;
    free(req);
    loop_enter(s->l);
    if (s->life == STREAM_CLOSED)
        return;
    s->fin_sent = true;
    if (status < 0 || s->eof)
        stream_close(s);
}

static void send_fin(struct stream *s)
{
    uv_shutdown_t *req = malloc(sizeof *req);
    if (req != NULL) {
        req->data = s;
        if (uv_shutdown(req, &s->uv.stream, on_fin_sent) == 0)
            return;
    }
    free(req);
    stream_close(s);
}

static void linger_over(void *ctx)
{
    stream_close(ctx);
}

static void on_closed(uv_handle_t *h)
{
    struct stream *s = h->data;
    while (!list_is_empty(&s->queue))
        queue_pop(s);
    drop_unread(s);
    tls_free(s->tls);
    free(s);
}
