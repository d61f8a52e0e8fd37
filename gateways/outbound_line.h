#ifndef RELI_GATEWAYS_OUTBOUND_LINE_H
#define RELI_GATEWAYS_OUTBOUND_LINE_H

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/loop/loop.h"

/* A connection to where an http or https URL points, for protocols that only begin as HTTP: names,
 * TLS and its certificates are libcurl's. For commands, which may wait: connecting blocks. */
struct line;

struct line_events {
    /* Bytes that came; borrowed for the call, in which the line may be closed. */
    void (*data)(void *ctx, struct str bytes);
    /* The connection is over. Once; nothing follows. The owner still has to call line_close. */
    void (*end)(void *ctx, const char *why);
};

/* Within ten seconds, or ERR_IO, whose `what` says why. Certificates are checked against those of
 * the file `ca`, NULL: the system's. An outbound must be open. */
struct err line_open(struct loop *l, const char *url, const char *ca,
                     const struct line_events *events, void *ctx, struct line **out) MUST_USE;
/* Sends all of it, and waits for room; failure shows up as `end`. */
void line_send(struct line *n, struct str bytes);
/* Whether bytes are taken from the kernel; they are at first. */
void line_pause(struct line *n, bool pause);
/* Safe on NULL. No event after this call. */
void line_close(struct line *n);

#endif
