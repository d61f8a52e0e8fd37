#ifndef RELI_WS_CLIENT_H
#define RELI_WS_CLIENT_H

#include "core/base/buf.h"
#include "ws/frames.h"

/* The other end of a WebSocket, for commands: bytes go in, bytes and messages come out. What
 * carries the bytes, and how long to wait, is for its owner. */
struct client_events {
    /* To be sent, in order. */
    void (*send)(void *ctx, struct str bytes);
    /* The server has agreed. */
    void (*opened)(void *ctx);
    /* A text message; lent for the call, in which client_end must not be called. */
    void (*message)(void *ctx, struct str text);
    /* It is over, and has been answered; once. With `status` the server does not agree: what it
     * answered, 0 if that was no HTTP. Else `code` is that of its goodbye, or of ours to one who
     * breaks the rules. */
    void (*over)(void *ctx, int status, int code);
};

struct client {
    const struct client_events *events;
    void *ctx;
    struct buf head, message;
    struct frames frames;
    char accept[29]; /* what the server has to say */
    bool is_open, is_over;
};

/* Asks for a WebSocket. `host` as a URL has it; `more` are further header lines, each with CRLF. */
void client_begin(struct client *c, struct str host, struct str target, struct str more,
                  const struct client_events *events, void *ctx);
void client_take(struct client *c, struct str bytes);
/* Says goodbye, if it is open. */
void client_leave(struct client *c);
/* Frees what it holds. Safe on zero. */
void client_end(struct client *c);

#endif
