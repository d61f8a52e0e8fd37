/* A WebSocket's frames, whole and in pieces: what is heard does not depend on how the bytes come,
 * and who was heard out says nothing more. The first byte chooses the side and the size of the
 * pieces. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "ws/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEARD_MAX = 1 << 20, MESSAGE_MAX = 1000 };

struct ear {
    struct buf heard, text;
    bool closed;
};

static void on_text(void *ctx, struct str part, bool last)
{
    struct ear *e = ctx;
    ASSERT(!e->closed);
    buf_str(&e->text, part);
    ASSERT(e->text.n <= MESSAGE_MAX);
    if (!last)
        return;
    struct str all = buf_view(&e->text);
    ASSERT(memchr(all.p != NULL ? all.p : "", 0, all.n) != NULL || utf8_valid(all));
    buf_fmt(&e->heard, "text %zu ", all.n);
    buf_str(&e->heard, all);
    buf_reset(&e->text);
}

static void on_ping(void *ctx, struct str payload)
{
    struct ear *e = ctx;
    ASSERT(!e->closed && payload.n <= CONTROL_MAX);
    buf_fmt(&e->heard, "ping %zu ", payload.n);
    buf_str(&e->heard, payload);
}

static void on_pong(void *ctx)
{
    struct ear *e = ctx;
    ASSERT(!e->closed);
    buf_c(&e->heard, "pong");
}

static void on_closed(void *ctx, int code)
{
    struct ear *e = ctx;
    ASSERT(!e->closed && code >= 1000 && code < 5000);
    e->closed = true;
    buf_fmt(&e->heard, "closed %d", code);
}

static void listen_to(struct str bytes, size_t piece, bool is_client, struct ear *e)
{
    struct frames_side side = {is_client, MESSAGE_MAX, on_text, on_ping, on_pong, on_closed};
    struct frames f = {0};
    int code = 0;
    *e = (struct ear){0};
    buf_init(&e->heard, HEARD_MAX);
    buf_init(&e->text, HEARD_MAX);
    for (; bytes.n > 0; bytes = str_from(bytes, piece)) {
        int now = frames_take(&f, &side, e, str_first(bytes, piece));
        ASSERT(now == 0 || (code == 0 && !e->closed));
        code |= now;
    }
    buf_fmt(&e->heard, "code %d", code);
    frames_end(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ear whole, pieces;
    if (size < 1)
        return 0;
    bool is_client = (data[0] & 0x80) != 0;
    struct str bytes = str_n((const char *)data + 1, size - 1);
    listen_to(bytes, size, is_client, &whole);
    listen_to(bytes, (size_t)(data[0] & 0x7f) + 1, is_client, &pieces);
    ASSERT(str_eq(buf_view(&whole.heard), buf_view(&pieces.heard)));
    buf_free(&whole.heard);
    buf_free(&whole.text);
    buf_free(&pieces.heard);
    buf_free(&pieces.text);
    return 0;
}
