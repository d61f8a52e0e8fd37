#ifndef RELI_WS_SOCKET_H
#define RELI_WS_SOCKET_H

#include "core/base/list.h"
#include "core/base/uuid.h"
#include "core/loop/stream.h"
#include "ws/notice.h"

/* One connection of somebody who watches: a WebSocket (RFC 6455) after the handshake, or a stream
 * of server-sent events behind the answer's head. Events out, signs of life, closing. What clients
 * send is only looked at as far as the protocol asks; messages are ignored. */
struct socket;

/* For many sockets; it has to stay. */
struct socket_owner {
    /* The connection has ended; the socket is gone when this returns. */
    void (*gone)(void *ctx, struct socket *s);
    /* All that was queued has left. */
    void (*drained)(void *ctx, struct socket *s);
    void *ctx;
};

/* Takes the stream. NULL without memory (the stream is closed then). */
struct socket *socket_new(struct loop *l, struct stream *stream, enum wire wire,
                          const struct socket_owner *owner);
enum wire socket_wire(const struct socket *s);
/* Sends what was encoded for its wire. A client that cannot keep up is closed with 1013. */
void socket_send(struct socket *s, struct blob *encoded);
/* Says goodbye with this status code and ends when the client has answered, or after five seconds;
 * event streams just end. */
void socket_close(struct socket *s, int code);
/* Bytes that wait to be sent, and for how long none has left, µs. */
size_t socket_queued(const struct socket *s);
int64_t socket_stalled_us(const struct socket *s);
/* False once either side has said goodbye. */
bool socket_is_open(const struct socket *s);
/* Cuts it; `gone` is not called. */
void socket_free(struct socket *s);

/* By whose leave a socket is open: a session or an API key; neither for a client token. */
struct authority {
    struct uuid merchant, session, key;
};

/* The hub's own, per connection. */
struct socket_seat {
    struct link link;
    void *channel;
    int64_t seq; /* the last event that was sent; its position in feeds */
    struct authority authority;
    struct link guarded; /* warden.h */
    uint32_t round;
    bool is_guarded;
    bool of_feed, behind; /* feed.h */
};
struct socket_seat *socket_seat(struct socket *s);
struct socket *socket_of_seat(struct socket_seat *seat);

#endif
