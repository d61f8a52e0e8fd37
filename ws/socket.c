/* Connections of those who watch: an idle one costs a few hundred bytes. What is sent is made by
 * hand (notice.h), once for all who get it, and goes through the stream's queue one behind the
 * other, control frames too. */
#include "ws/socket.h"

#include <stdlib.h>
#include <wslay/wslay.h>

#include "core/base/metric.h"
#include "core/base/times.h"
#include "ws/frames.h"

enum { MESSAGE_MAX = 64 * 1024, QUEUE_MAX = 256 * 1024 };
#define PING_US (30 * US_PER_S)
#define CLOSE_US (5 * US_PER_S)
#define COMMENT_US (15 * US_PER_S) /* proxies close what is silent for a minute or half of one */
#define STALLED_US (30 * US_PER_S)

/* There are many, mostly idle: what a frame to all of them looks at comes first. */
struct socket {
    struct stream *stream;
    bool is_sse, awaits_pong, closing, ended;
    struct socket_seat seat;
    struct loop *loop;
    const struct socket_owner *owner;
    union {
        struct timer timer; /* until it has ended */
        struct later gone;
    } wait;
    struct frames frames;
};

static struct metric slow = METRIC_COUNTER("reli_websockets_slow_total", "",
                                           "WebSockets and event streams that did not keep up");

static const struct stream_events events;

/* ---- frames ---- */

static void send_control(struct socket *s, uint8_t opcode, struct str payload)
{
    uint8_t head[2] = {(uint8_t)(0x80 | opcode), (uint8_t)payload.n};
    struct str parts[] = {str_n((char *)head, sizeof head), payload};
    ASSERT(payload.n <= CONTROL_MAX);
    stream_write(s->stream, parts, payload.n > 0 ? 2 : 1);
}

static void send_close(struct socket *s, int code)
{
    char bytes[2] = {(char)(code >> 8), (char)code};
    s->closing = true; /* nothing may follow */
    send_control(s, WSLAY_CONNECTION_CLOSE,
                 str_n(bytes, code != CLOSE_NONE_GIVEN ? sizeof bytes : 0));
}

/* ---- the end ---- */

void socket_free(struct socket *s)
{
    if (s->ended)
        loop_later_off(s->loop, &s->wait.gone);
    else
        timer_off(s->loop, &s->wait.timer);
    frames_end(&s->frames);
    if (s->stream != NULL)
        stream_close_gently(s->stream, US_PER_S);
    free(s);
}

static void gone(void *ctx)
{
    struct socket *s = ctx;
    s->owner->gone(s->owner->ctx, s);
    socket_free(s);
}

/* Not from within the caller's own call: it may still look at the socket. */
static void end(struct socket *s)
{
    if (s->ended)
        return;
    s->ended = true;
    stream_pause(s->stream);
    timer_off(s->loop, &s->wait.timer);
    s->wait.gone = (struct later){0};
    loop_later(s->loop, &s->wait.gone, gone, s);
}

static void end_now(void *ctx)
{
    end(ctx);
}

void socket_close(struct socket *s, int code)
{
    if (s->closing || s->ended)
        return;
    if (code == CLOSE_TRY_LATER)
        metric_add(&slow, 1);
    if (s->is_sse) { /* it comes back by itself, with the id of the last event */
        end(s);
        return;
    }
    send_close(s, code);
    timer_set(s->loop, &s->wait.timer, CLOSE_US, end_now, s);
}

static void ping(void *ctx)
{
    struct socket *s = ctx;
    if (s->awaits_pong) {
        end(s);
        return;
    }
    s->awaits_pong = true;
    send_control(s, WSLAY_PING, STR(""));
    timer_set(s->loop, &s->wait.timer, PING_US, ping, s);
}

/* Nobody answers a comment: who has gone is found by what does not leave. */
static void comment(void *ctx)
{
    struct socket *s = ctx;
    struct str nothing = STR(":\n\n");
    if (stream_stalled_us(s->stream) >= STALLED_US) {
        end(s);
        return;
    }
    stream_write(s->stream, &nothing, 1);
    timer_set(s->loop, &s->wait.timer, COMMENT_US, comment, s);
}

/* Whether one more frame may go out; who reads too slowly is sent away. */
static bool may_send(struct socket *s)
{
    if (s->closing || s->ended)
        return false;
    if (stream_queued(s->stream) <= QUEUE_MAX)
        return true;
    socket_close(s, CLOSE_TRY_LATER);
    return false;
}

void socket_send(struct socket *s, struct blob *encoded)
{
    if (may_send(s))
        stream_write_blob(s->stream, encoded);
}

enum wire socket_wire(const struct socket *s)
{
    return s->is_sse ? WIRE_SSE : WIRE_SOCKET;
}

size_t socket_queued(const struct socket *s)
{
    return stream_queued(s->stream);
}

int64_t socket_stalled_us(const struct socket *s)
{
    return stream_stalled_us(s->stream);
}

bool socket_is_open(const struct socket *s)
{
    return !s->closing && !s->ended;
}

/* ---- reading ---- */

static void on_ping(void *ctx, struct str payload)
{
    struct socket *s = ctx;
    if (may_send(s))
        send_control(s, WSLAY_PONG, payload);
}

static void on_pong(void *ctx)
{
    struct socket *s = ctx;
    s->awaits_pong = false;
}

/* Their goodbye, or their answer to ours: it is for the server to end the connection. */
static void on_closed(void *ctx, int code)
{
    struct socket *s = ctx;
    if (!s->closing)
        send_close(s, code);
    end(s);
}

static void data(void *ctx, struct str bytes)
{
    static const struct frames_side side = {
        .message_max = MESSAGE_MAX, .ping = on_ping, .pong = on_pong, .closed = on_closed};
    struct socket *s = ctx;
    if (s->ended || s->is_sse)
        return;
    int code = frames_take(&s->frames, &side, s, bytes);
    if (code != 0) {
        socket_close(s, code);
        end(s);
    }
}

static void ended(void *ctx, struct err err)
{
    (void)err;
    end(ctx);
}

static void drained(void *ctx)
{
    struct socket *s = ctx;
    if (!s->closing && !s->ended)
        s->owner->drained(s->owner->ctx, s);
}

static const struct stream_events events = {.data = data, .end = ended, .drained = drained};

struct socket *socket_new(struct loop *l, struct stream *stream, enum wire wire,
                          const struct socket_owner *owner)
{
    struct socket *s = calloc(1, sizeof *s);
    if (s == NULL) {
        stream_close(stream);
        return NULL;
    }
    s->loop = l;
    s->stream = stream;
    s->owner = owner;
    s->is_sse = wire == WIRE_SSE;
    stream_own(stream, &events, s);
    stream_resume(stream);
    if (s->is_sse)
        timer_set(l, &s->wait.timer, COMMENT_US, comment, s);
    else
        timer_set(l, &s->wait.timer, PING_US, ping, s);
    return s;
}

struct socket_seat *socket_seat(struct socket *s)
{
    return &s->seat;
}

struct socket *socket_of_seat(struct socket_seat *seat)
{
    return CONTAINER_OF(seat, struct socket, seat);
}
