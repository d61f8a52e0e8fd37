#ifndef RELI_LOOP_STREAM_H
#define RELI_LOOP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/blob.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/loop/loop.h"

/* A connected byte stream (TCP or Unix socket), in the clear or through TLS: nobody above knows
 * what carries the bytes. */
struct stream;
struct tls_site;

struct stream_events {
    /* Bytes that came; borrowed for the call. */
    void (*data)(void *ctx, struct str bytes);
    /* The peer has closed its side (ERR_OK) or the connection broke. Once; nothing follows. The
     * owner still has to call stream_close. */
    void (*end)(void *ctx, struct err err);
    /* All that was queued has gone to the kernel. NULL if not wanted. */
    void (*drained)(void *ctx);
};

/* Who is at the other end. `text` is the address without port; "unix" for a Unix socket. */
struct peer {
    char text[46];
    uint16_t port;
    bool is_unix;
};

/* Changes the receiver of events; the stream does not read before stream_resume. `data` may come
 * before stream_resume returns only if bytes were put back with stream_unread. */
void stream_own(struct stream *s, const struct stream_events *events, void *ctx);
/* Reading starts and stops; a paused stream takes nothing from the kernel. */
void stream_resume(struct stream *s);
void stream_pause(struct stream *s);
/* Bytes that the next owner gets as its first `data`, after its stream_resume. */
struct err stream_unread(struct stream *s, struct str bytes) MUST_USE;

/* Sends the parts in order: what the kernel takes now is gone, the rest is copied and queued.
 * Errors show up as `end`. */
void stream_write(struct stream *s, const struct str *parts, size_t n);
/* The same for counted bytes: what has to wait keeps a reference, no copy. */
void stream_write_blob(struct stream *s, struct blob *b);
/* Bytes in the queue: the owner's measure of a slow reader. */
size_t stream_queued(const struct stream *s);
/* Time since bytes last left, µs, when something is queued; else 0. */
int64_t stream_stalled_us(const struct stream *s);

/* Closes after the queue is empty or `linger_us` have passed; sends FIN first. No event after this
 * call; the stream frees itself. */
void stream_close_gently(struct stream *s, int64_t linger_us);
/* Closes now. No event after this call; the stream frees itself. */
void stream_close(struct stream *s);
const struct peer *stream_peer(const struct stream *s);
/* Whether what is written is sent through TLS. */
bool stream_is_secure(const struct stream *s);

/* A listening socket: "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0", "unix:/path". TCP has
 * SO_REUSEPORT set, so that several processes share a port, and TCP_NODELAY on what it accepts.
 * What has to happen before a connection is anybody's business follows the address: ";proxy" reads
 * a PROXY header, from the peers that may speak for others; ";tls" shakes hands. Both have ten
 * seconds together, and `accept` gets streams that are through. */
struct listener;
struct cidr_list;
typedef void accept_fn(void *ctx, struct stream *s);
struct listener_guard {
    struct tls_site *const *tls;     /* looked at for each connection: it may be changed; NULL: no
                                        address may have ";tls" */
    const struct cidr_list *proxies; /* NULL: no address may have ";proxy" */
};
/* `guard` is copied; what it points at has to stay. */
struct err listener_open(struct loop *l, struct str address, const struct listener_guard *guard,
                         accept_fn *accept, void *ctx, struct listener **out) MUST_USE;
/* What stands in front of the flags of an address, and the flags. ERR_CONFIG for an unknown one. */
struct listener_flags {
    bool tls, proxy;
};
struct err listener_flags_parse(struct str address, struct str *bare,
                                struct listener_flags *flags) MUST_USE;
/* Whether it is an address to listen on, without flags. ERR_CONFIG. */
struct err listener_address_check(struct str bare) MUST_USE;
/* Whether somebody answers there already. Who must be the only one asks before he listens: since
 * ports are shared, nothing else would tell him. Waits for the kernel, at start only. */
bool listener_answers(struct str bare);
/* The port in use (for ":0"). */
int listener_port(const struct listener *s);
/* Stops accepting, and cuts off who has not been accepted yet; frees itself. */
void listener_close(struct listener *s);

#endif
