/* Frames as they come. wslay's event layer is not used: it checks the reason of a Close piece by
 * piece and each time without the first two bytes, answers some errors with the wrong code or an
 * empty Close, and buffers what nobody wants. Its frame layer is, for heads, lengths and masks. */
#include "ws/frames.h"

#include <stdlib.h>
#include <wslay/wslay.h>

#include "core/base/attr.h"

/* From the first byte of a frame until the last one of a call ends a frame. */
struct frame {
    wslay_frame_context_ptr ws;
    struct str input;      /* what wslay has still to take of the bytes at hand */
    uint64_t given, whole; /* bytes given to wslay, and bytes of whole frames */
    uint64_t left;         /* of the payload, once begun */
    bool begun;            /* the head has been read and found good */
    uint8_t n_control;
    uint8_t control[CONTROL_MAX];
};

static struct frame *frame_new(void);
static void frame_free(struct frame *f);
static int take_piece(struct frames *r, const struct frames_side *side, void *ctx,
                      const struct wslay_frame_iocb *p);

int frames_take(struct frames *r, const struct frames_side *side, void *ctx, struct str bytes)
{
    int code = 0;
    if (r->done || bytes.n == 0)
        return 0;
    if (r->frame == NULL && (r->frame = frame_new()) == NULL) {
        r->done = true;
        return CLOSE_INTERNAL;
    }
    struct frame *f = r->frame;
    f->input = bytes;
    while (code == 0 && !r->done) {
        struct wslay_frame_iocb piece = {0};
        ssize_t n = wslay_frame_recv(f->ws, &piece);
        if (n == WSLAY_ERR_WANT_READ)
            break;
        /* it refuses long or fragmented control frames, and lengths that are too long a way to say
         * a number */
        code = n < 0 ? CLOSE_PROTOCOL : take_piece(r, side, ctx, &piece);
    }
    r->done |= code != 0;
    if (r->done || f->given == f->whole)
        frames_end(r);
    return code;
}

void frames_end(struct frames *r)
{
    frame_free(r->frame);
    r->frame = NULL;
}

/* ---- wslay ---- */

static ssize_t on_recv(uint8_t *to, size_t len, int flags, void *user)
{
    struct frame *f = user;
    (void)flags;
    size_t n = len < f->input.n ? len : f->input.n;
    if (n == 0)
        return -1;
    memcpy(to, f->input.p, n);
    f->input = str_from(f->input, n);
    f->given += n;
    return (ssize_t)n;
}

static struct frame *frame_new(void)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
    struct frame *f = calloc(1, sizeof *f);
    if (f != NULL && wslay_frame_context_init(&f->ws, &callbacks, f) != 0) {
        free(f);
        f = NULL;
    }
    return f;
}

static void frame_free(struct frame *f)
{
    if (f != NULL)
        wslay_frame_context_free(f->ws);
    free(f);
}

static uint64_t frame_bytes(const struct wslay_frame_iocb *p)
{
    uint64_t n = p->payload_length;
    return 2u + (n < 126 ? 0u : n < 65536 ? 2u : 8u) + (p->mask ? 4u : 0u) + n;
}

/* ---- text (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF ---- */

static bool utf8_begin(struct frames *r, uint8_t c)
{
    r->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    r->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    r->utf8_left = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    return c < 0x80 || (c >= 0xc2 && c <= 0xf4);
}

static bool utf8_take(struct frames *r, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (r->utf8_left == 0) {
            if (!utf8_begin(r, c))
                return false;
        } else if (c < r->utf8_low || c > r->utf8_high) {
            return false;
        } else {
            r->utf8_left--;
            r->utf8_low = 0x80;
            r->utf8_high = 0xbf;
        }
    }
    return true;
}

static bool is_text(struct str s)
{
    struct frames alone = {0};
    return utf8_take(&alone, s) && alone.utf8_left == 0;
}

/* ---- what a frame may be ---- */

static int judge(const struct frames *r, const struct frames_side *side,
                 const struct wslay_frame_iocb *p)
{
    if (p->rsv != 0 || (p->mask != 0) == side->is_client)
        return CLOSE_PROTOCOL;
    switch (p->opcode) {
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return 0;
    case WSLAY_CONTINUATION_FRAME:
        if (!r->in_message)
            return CLOSE_PROTOCOL;
        break;
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        if (r->in_message)
            return CLOSE_PROTOCOL;
        if (p->opcode == WSLAY_BINARY_FRAME)
            return CLOSE_UNSUPPORTED;
        break;
    default:
        return CLOSE_PROTOCOL;
    }
    return p->payload_length > side->message_max - r->message_len ? CLOSE_TOO_BIG : 0;
}

/* RFC 6455, section 7.4, and IANA's registry, which has 1012 to 1014 besides. */
static bool may_be_sent(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static int take_close(struct frames *r, const struct frames_side *side, void *ctx, struct str s)
{
    int code = CLOSE_NONE_GIVEN;
    if (s.n >= 2)
        code = (uint8_t)s.p[0] << 8 | (uint8_t)s.p[1];
    if (s.n == 1 || (s.n >= 2 && !may_be_sent(code)))
        return CLOSE_PROTOCOL;
    if (!is_text(str_from(s, 2)))
        return CLOSE_NOT_TEXT;
    r->done = true;
    side->closed(ctx, code);
    return 0;
}

static int take_control(struct frames *r, const struct frames_side *side, void *ctx, int opcode)
{
    struct frame *f = r->frame;
    struct str payload = str_n((const char *)f->control, f->n_control);
    f->n_control = 0;
    if (opcode == WSLAY_CONNECTION_CLOSE)
        return take_close(r, side, ctx, payload);
    if (opcode == WSLAY_PING)
        side->ping(ctx, payload);
    else
        side->pong(ctx);
    return 0;
}

static int take_text(struct frames *r, const struct frames_side *side, void *ctx, struct str part,
                     bool last)
{
    r->message_len += (uint32_t)part.n;
    r->in_message = true;
    if (!utf8_take(r, part) || (last && r->utf8_left > 0))
        return CLOSE_NOT_TEXT;
    if (last) {
        r->message_len = 0;
        r->in_message = false;
    }
    if (side->text != NULL && (part.n > 0 || last))
        side->text(ctx, part, last);
    return 0;
}

/* A whole frame, or what there is of it. */
static int take_piece(struct frames *r, const struct frames_side *side, void *ctx,
                      const struct wslay_frame_iocb *p)
{
    struct frame *f = r->frame;
    if (!f->begun) {
        int code = judge(r, side, p);
        if (code != 0)
            return code;
        f->begun = true;
        f->left = p->payload_length;
    }
    f->left -= p->data_length;
    bool ends = f->left == 0;
    if (ends) {
        f->whole += frame_bytes(p);
        f->begun = false;
    }
    if (!wslay_is_ctrl_frame(p->opcode))
        return take_text(r, side, ctx, str_n((const char *)p->data, p->data_length),
                         ends && p->fin != 0);
    ASSERT(p->data_length <= (size_t)(CONTROL_MAX - f->n_control)); /* wslay has seen to it */
    if (p->data_length > 0)
        memcpy(f->control + f->n_control, p->data, p->data_length);
    f->n_control = (uint8_t)(f->n_control + p->data_length);
    return ends ? take_control(r, side, ctx, p->opcode) : 0;
}
