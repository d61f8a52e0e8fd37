#ifndef RELI_WS_NOTICE_H
#define RELI_WS_NOTICE_H

#include "core/base/blob.h"
#include "core/base/buf.h"

/* An event on its way to those who watch: encoded when it is first wanted, once for each protocol,
 * however many get it. */

enum wire {
    WIRE_SOCKET, /* a WebSocket's text frame */
    WIRE_SSE,    /* a server-sent event (HTML, 9.2) */
    WIRE_N
};

struct notice {
    struct buf json; /* the event object; whoever makes it writes it here */
    struct str type; /* borrowed */
    int64_t id;      /* what a client that comes back has seen: seq, or position */
    struct blob *encoded[WIRE_N];
};

void notice_init(struct notice *n);
/* The notice's own; NULL without memory. */
struct blob *notice_encode(struct notice *n, enum wire wire);
/* Safe on a zero struct. */
void notice_free(struct notice *n);

/* A text frame around `text`. NULL without memory. */
struct blob *notice_frame(struct str text);

#endif
