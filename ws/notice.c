/* Events as bytes of a protocol. See notice.h. */
#include "ws/notice.h"

enum { JSON_MAX = 2 * 1024 * 1024, HEAD_MAX = 256 };

void notice_init(struct notice *n)
{
    *n = (struct notice){0};
    buf_init(&n->json, JSON_MAX);
}

struct blob *notice_frame(struct str text)
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

/* Our JSON has no line breaks: what is written is escaped, what was a client's own is compact. */
static struct blob *event_block(const struct notice *n)
{
    struct buf b;
    buf_init(&b, n->json.n + HEAD_MAX);
    buf_fmt(&b, "id: %lld\nevent: %.*s\ndata: ", (long long)n->id, STR_ARG(n->type));
    buf_str(&b, buf_view(&n->json));
    buf_c(&b, "\n\n");
    struct blob *block = b.failed ? NULL : blob_new(buf_view(&b));
    buf_free(&b);
    return block;
}

struct blob *notice_encode(struct notice *n, enum wire wire)
{
    if (n->encoded[wire] == NULL && !n->json.failed)
        n->encoded[wire] = wire == WIRE_SSE ? event_block(n) : notice_frame(buf_view(&n->json));
    return n->encoded[wire];
}

void notice_free(struct notice *n)
{
    for (int i = 0; i < WIRE_N; i++)
        blob_unref(n->encoded[i]);
    buf_free(&n->json);
}
