/* A client's half of RFC 6455: it asks, checks the answer, masks what it sends, and puts messages
 * together. */
#include "ws/client.h"

#include <stdlib.h>
#include <wslay/wslay.h>

#include "core/crypto/random.h"
#include "core/crypto/text.h"
#include "ws/handshake.h"

enum { HEAD_MAX = 16 * 1024, MESSAGE_MAX = 4 * 1024 * 1024, KEY_BYTES = 16, MASK_BYTES = 4 };

static void over(struct client *c, int status, int code)
{
    if (c->is_over)
        return;
    c->is_over = true;
    c->events->over(c->ctx, status, code);
}

/* ---- frames out ---- */

static void send_control(struct client *c, uint8_t opcode, struct str payload)
{
    char frame[2 + MASK_BYTES + CONTROL_MAX];
    char *mask = frame + 2, *to = frame + 2 + MASK_BYTES;
    ASSERT(payload.n <= CONTROL_MAX);
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | payload.n);
    random_bytes(mask, MASK_BYTES);
    for (size_t i = 0; i < payload.n; i++)
        to[i] = (char)(payload.p[i] ^ mask[i % MASK_BYTES]);
    c->events->send(c->ctx, str_n(frame, 2 + MASK_BYTES + payload.n));
}

static void send_close(struct client *c, int code)
{
    char bytes[2] = {(char)(code >> 8), (char)code};
    send_control(c, WSLAY_CONNECTION_CLOSE,
                 str_n(bytes, code != CLOSE_NONE_GIVEN ? sizeof bytes : 0));
}

/* ---- frames in ---- */

static void on_text(void *ctx, struct str part, bool last)
{
    struct client *c = ctx;
    buf_str(&c->message, part);
    if (!last)
        return;
    if (!c->message.failed && !c->is_over)
        c->events->message(c->ctx, buf_view(&c->message));
    buf_reset(&c->message);
}

static void on_ping(void *ctx, struct str payload)
{
    send_control(ctx, WSLAY_PONG, payload);
}

static void on_pong(void *ctx)
{
    (void)ctx;
}

static void on_closed(void *ctx, int code)
{
    struct client *c = ctx;
    send_close(c, code);
    over(c, 0, code);
}

static void take_frames(struct client *c, struct str bytes)
{
    static const struct frames_side side = {.is_client = true,
                                            .message_max = MESSAGE_MAX,
                                            .text = on_text,
                                            .ping = on_ping,
                                            .pong = on_pong,
                                            .closed = on_closed};
    int code = frames_take(&c->frames, &side, c, bytes);
    if (code != 0 && !c->is_over) {
        send_close(c, code);
        over(c, 0, code);
    }
}

/* ---- the handshake ---- */

/* The value of a header in a head; STR_NULL if absent. */
static struct str header(struct str head, struct str name)
{
    struct str line;
    while (str_split(&head, '\n', &line)) {
        size_t colon = str_find(line, ':', 0);
        if (colon != SIZE_MAX && str_ieq(str_first(line, colon), name))
            return str_trim(str_from(line, colon + 1));
    }
    return STR_NULL;
}

static int status_of(struct str head)
{
    int64_t status;
    bool is_http = str_starts(head, STR("HTTP/1.1 ")) && head.n >= 13 && head.p[12] == ' ' &&
                   str_to_i64(str_n(head.p + 9, 3), &status);
    return is_http ? (int)status : 0;
}

static void take_head(struct client *c, struct str bytes)
{
    buf_str(&c->head, bytes);
    struct str all = buf_view(&c->head);
    size_t end = str_find_str(all, STR("\r\n\r\n"));
    if (end == SIZE_MAX && !c->head.failed)
        return;
    struct str head = str_first(all, end == SIZE_MAX ? 0 : end);
    int status = status_of(head);
    bool agreed = status == 101 && str_ieq(header(head, STR("upgrade")), STR("websocket")) &&
                  str_ieq(header(head, STR("connection")), STR("upgrade")) &&
                  str_eq(header(head, STR("sec-websocket-accept")), str_c(c->accept)) &&
                  header(head, STR("sec-websocket-protocol")).p == NULL &&
                  header(head, STR("sec-websocket-extensions")).p == NULL;
    if (!agreed) {
        over(c, status == 101 ? 0 : status, 0);
        return;
    }
    c->is_open = true;
    c->events->opened(c->ctx);
    take_frames(c, str_from(all, end + 4));
    buf_free(&c->head);
}

void client_begin(struct client *c, struct str host, struct str target, struct str more,
                  const struct client_events *events, void *ctx)
{
    uint8_t raw[KEY_BYTES];
    struct buf key, request;
    *c = (struct client){.events = events, .ctx = ctx};
    buf_init(&c->head, HEAD_MAX);
    buf_init(&c->message, MESSAGE_MAX);
    buf_init(&key, 64);
    buf_init(&request, HEAD_MAX);
    random_bytes(raw, sizeof raw);
    base64_add(&key, str_n((const char *)raw, sizeof raw));
    if (!handshake_accept(buf_view(&key), c->accept))
        c->accept[0] = '\0'; /* without memory: nothing will do */
    buf_fmt(&request, "GET %.*s HTTP/1.1\r\nHost: %.*s\r\n", STR_ARG(target), STR_ARG(host));
    buf_fmt(&request, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
    buf_fmt(&request, "Sec-WebSocket-Key: %.*s\r\n%.*s\r\n", STR_ARG(buf_view(&key)),
            STR_ARG(more));
    c->events->send(ctx, buf_view(&request));
    buf_free(&key);
    buf_free(&request);
}

void client_take(struct client *c, struct str bytes)
{
    if (c->is_over)
        return;
    if (c->is_open)
        take_frames(c, bytes);
    else
        take_head(c, bytes);
}

void client_leave(struct client *c)
{
    if (c->is_open && !c->is_over)
        send_close(c, CLOSE_NORMAL);
    c->is_over = true;
}

void client_end(struct client *c)
{
    frames_end(&c->frames);
    buf_free(&c->head);
    buf_free(&c->message);
}
