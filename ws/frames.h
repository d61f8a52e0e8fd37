#ifndef RELI_WS_FRAMES_H
#define RELI_WS_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

/* What the other end of a WebSocket sends, by the letter of RFC 6455: wslay takes frames apart, and
 * here is judged whether they may be what they are. Nothing is kept between two frames but a few
 * bytes in this struct; a frame that has come in part costs some KiB until the rest is there. */

enum close_code {
    CLOSE_NORMAL = 1000,
    CLOSE_GOING_AWAY = 1001,
    CLOSE_PROTOCOL = 1002,
    CLOSE_UNSUPPORTED = 1003,
    CLOSE_NONE_GIVEN = 1005, /* never sent */
    CLOSE_NOT_TEXT = 1007,
    CLOSE_POLICY = 1008,
    CLOSE_TOO_BIG = 1009,
    CLOSE_INTERNAL = 1011,
    CLOSE_TRY_LATER = 1013
};

enum { CONTROL_MAX = 125 }; /* bytes in a control frame */

/* One end's rules, and what it wants to hear. The strings are lent for the call, in which
 * neither the frames nor what they are part of may be freed. */
struct frames_side {
    bool is_client;       /* frames must come without mask, else with one */
    uint32_t message_max; /* bytes of a message, all its fragments together */
    /* A part of a text message, which is UTF-8 as a whole only. NULL: nobody listens. */
    void (*text)(void *ctx, struct str part, bool last);
    void (*ping)(void *ctx, struct str payload);
    void (*pong)(void *ctx);
    /* `code` is CLOSE_NONE_GIVEN for an empty one. Nothing is read after it. */
    void (*closed)(void *ctx, int code);
};

/* Zero is a new one. */
struct frames {
    struct frame *frame; /* has begun to come; NULL between frames */
    uint32_t message_len;
    bool in_message, done;
    uint8_t utf8_left, utf8_low, utf8_high; /* what the next byte of a character has to be */
};

/* Takes all the bytes. 0, or the code that the connection has to be closed with: what comes after
 * it or after `closed` is ignored. Binary messages are refused with 1003. */
int frames_take(struct frames *r, const struct frames_side *side, void *ctx, struct str bytes);
/* Frees what it holds; it may be used no more. */
void frames_end(struct frames *r);

#endif
