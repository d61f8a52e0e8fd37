/* A WebSocket. wslay reads what clients send, and exists only while there is something to read: an
 * idle socket costs a few hundred bytes. Frames out are made by hand (a server's are not masked),
 * once for all who get them, and go through the stream's queue together with wslay's control
 * frames, so that frames never interleave. */
#include "ws/socket.h"

#include <stdlib.h>
#include <wslay/wslay.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"

enum { MESSAGE_MAX = 64 * 1024, QUEUE_MAX = 256 * 1024 };
#define PING_US (30 * US_PER_S)
#define CLOSE_US (5 * US_PER_S)

struct socket {
    struct loop *loop;
    struct stream *stream;
    struct socket_owner owner;
    struct socket_seat seat;
    struct timer timer;
    struct later later;
    wslay_event_context_ptr ws; /* NULL while nothing is being read */
    struct str input;           /* what wslay has still to take of the bytes at hand */
    uint64_t fed, parsed;       /* bytes given to wslay, and bytes of whole frames */
    uint64_t frame_len;
    bool too_big;
    bool bad_close; /* of one byte: wslay would answer as if it were an empty one */
    bool in_message;
    bool awaits_pong, closing, ended;
};

static const struct stream_events events;

/* ---- frames ---- */

struct blob *socket_frame(struct str text)
{
    struct buf b;
    buf_init(&b, text.n + 16);
    buf_char(&b, (char)0x81);
    if (text.n < 126) {
        buf_char(&b, (char)text.n);
    } else if (text.n < 65536) {
        buf_char(&b, 126);
        buf_be16(&b, (uint16_t)text.n);
    } else {
        buf_char(&b, 127);
        buf_be64(&b, text.n);
    }
    buf_str(&b, text);
    struct blob *frame = b.failed ? NULL : blob_new(buf_view(&b));
    buf_free(&b);
    return frame;
}

bool socket_accept_key(struct str key, char out[29])
{
    uint8_t digest[SHA1_LEN];
    struct arena a;
    struct buf b;
    arena_init(&a, 4096);
    bool ok = base64_decode(&a, key).n == 16;
    buf_init(&b, 256);
    buf_str(&b, key);
    buf_c(&b, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* RFC 6455, section 1.3 */
    sha1_one(buf_view(&b), digest);
    buf_reset(&b);
    if (ok)
        base64_add(&b, str_n((char *)digest, sizeof digest));
    str_copy_c(out, 29, buf_view(&b));
    buf_free(&b);
    arena_free(&a);
    return ok;
}

static void send_control(struct socket *s, uint8_t opcode, int code)
{
    uint8_t frame[4] = {(uint8_t)(0x80 | opcode), 0, (uint8_t)(code >> 8), (uint8_t)code};
    frame[1] = code != 0 ? 2 : 0;
    struct str bytes = str_n((char *)frame, code != 0 ? 4 : 2);
    stream_write(s->stream, &bytes, 1);
}

/* ---- the end ---- */

void socket_free(struct socket *s)
{
    timer_off(s->loop, &s->timer);
    loop_later_off(s->loop, &s->later);
    if (s->ws != NULL)
        wslay_event_context_free(s->ws);
    if (s->stream != NULL)
        stream_close_gently(s->stream, US_PER_S);
    free(s);
}

static void gone(void *ctx)
{
    struct socket *s = ctx;
    s->owner.gone(s->owner.ctx, s);
    socket_free(s);
}

/* Not from within the caller's own call: it may still look at the socket. */
static void end(struct socket *s)
{
    if (s->ended)
        return;
    s->ended = true;
    stream_pause(s->stream);
    timer_off(s->loop, &s->timer);
    loop_later(s->loop, &s->later, gone, s);
}

static void end_now(void *ctx)
{
    end(ctx);
}

void socket_close(struct socket *s, int code)
{
    if (s->closing || s->ended)
        return;
    s->closing = true;
    send_control(s, WSLAY_CONNECTION_CLOSE, code);
    timer_set(s->loop, &s->timer, CLOSE_US, end_now, s);
}

static void ping(void *ctx)
{
    struct socket *s = ctx;
    if (s->awaits_pong) {
        end(s);
        return;
    }
    s->awaits_pong = true;
    send_control(s, WSLAY_PING, 0);
    timer_set(s->loop, &s->timer, PING_US, ping, s);
}

void socket_send(struct socket *s, struct blob *frame)
{
    if (s->closing || s->ended)
        return;
    if (stream_queued(s->stream) > QUEUE_MAX) {
        socket_close(s, 1013);
        return;
    }
    stream_write_blob(s->stream, frame);
}

/* ---- reading ---- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user)
{
    struct socket *s = user;
    (void)flags;
    if (s->input.n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t n = len < s->input.n ? len : s->input.n;
    memcpy(buf, s->input.p, n);
    s->input = str_from(s->input, n);
    s->fed += n;
    return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
                       void *user)
{
    struct socket *s = user;
    struct str bytes = str_n((const char *)data, len);
    (void)ctx, (void)flags;
    if (!s->closing) /* a goodbye of ours was the last frame */
        stream_write(s->stream, &bytes, 1);
    return (ssize_t)len;
}

static void on_frame_start(wslay_event_context_ptr ctx,
                           const struct wslay_event_on_frame_recv_start_arg *arg, void *user)
{
    struct socket *s = user;
    (void)ctx;
    uint64_t n = arg->payload_length;
    s->frame_len = 2 +
                   (n < 126     ? 0u
                    : n < 65536 ? 2u
                                : 8u) +
                   4 + n; /* a client's frames are masked */
    s->too_big |= n > MESSAGE_MAX;
    if (!wslay_is_ctrl_frame(arg->opcode))
        s->in_message = arg->fin == 0;
}

static void on_frame_end(wslay_event_context_ptr ctx, void *user)
{
    struct socket *s = user;
    (void)ctx;
    s->parsed += s->frame_len;
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
    struct socket *s = user;
    (void)ctx;
    if (arg->opcode == WSLAY_PONG)
        s->awaits_pong = false;
    s->bad_close |= arg->opcode == WSLAY_CONNECTION_CLOSE && arg->msg_length == 1;
}

static bool start_reading(struct socket *s)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame_start,
        .on_frame_recv_end_callback = on_frame_end,
        .on_msg_recv_callback = on_message,
    };
    if (s->ws == NULL && wslay_event_context_server_init(&s->ws, &callbacks, s) == 0)
        wslay_event_config_set_max_recv_msg_length(s->ws, MESSAGE_MAX);
    return s->ws != NULL;
}

static void stop_reading(struct socket *s)
{
    bool idle = s->fed == s->parsed && !s->in_message && !s->closing;
    if (!idle || wslay_event_want_write(s->ws))
        return;
    wslay_event_context_free(s->ws);
    s->ws = NULL;
    s->fed = s->parsed = 0;
}

static void data(void *ctx, struct str bytes)
{
    struct socket *s = ctx;
    if (s->ended)
        return;
    if (!start_reading(s)) {
        end(s);
        return;
    }
    s->input = bytes;
    int bad = wslay_event_recv(s->ws);
    if (bad != 0 || s->too_big || s->bad_close) {
        socket_close(s, s->too_big ? 1009 : 1002);
        end(s);
        return;
    }
    (void)wslay_event_send(s->ws); /* pongs, and the answer to a goodbye */
    if (wslay_event_get_close_received(s->ws))
        end(s);
    else
        stop_reading(s);
}

static void ended(void *ctx, struct err err)
{
    (void)err;
    end(ctx);
}

static const struct stream_events events = {.data = data, .end = ended};

struct socket *socket_new(struct loop *l, struct stream *stream, const struct socket_owner *owner)
{
    struct socket *s = calloc(1, sizeof *s);
    if (s == NULL) {
        stream_close(stream);
        return NULL;
    }
    s->loop = l;
    s->stream = stream;
    s->owner = *owner;
    stream_own(stream, &events, s);
    stream_resume(stream);
    timer_set(l, &s->timer, PING_US, ping, s);
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
