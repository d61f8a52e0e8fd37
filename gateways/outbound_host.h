#ifndef RELI_GATEWAYS_OUTBOUND_HOST_H
#define RELI_GATEWAYS_OUTBOUND_HOST_H

#include <sys/socket.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/loop/loop.h"

/* Names to addresses for outbound calls: all who ask for a name at one time share one look-up, and
 * its answer is kept for a few seconds. Whether an address may be used is the caller's question. */
struct hosts;

struct addresses {
    int n;
    struct sockaddr_storage a[RESOLVE_MAX]; /* port 0 */
};

typedef void host_fn(void *ctx, struct err err, const struct addresses *found);

/* One who waits, embedded in its owner; zero is "does not wait". `fn` must not call hosts_leave for
 * others who wait for the same name. */
struct host_wait {
    struct link link;
    struct host *host;
    host_fn *fn;
    void *ctx;
};

struct err hosts_new(struct loop *l, struct hosts **out) MUST_USE;
/* Nobody may wait any more. */
void hosts_free(struct hosts *h);

/* *found is set if the name is known now, valid during this turn; else NULL, and `fn` is called
 * once on a later turn (`found` is valid during the call). ERR_OVERLOADED: too many names are being
 * resolved. */
struct err hosts_ask(struct hosts *h, struct str name, struct host_wait *w, host_fn *fn, void *ctx,
                     const struct addresses **found) MUST_USE;
/* `w` no longer waits. Safe when it does not. */
void hosts_leave(struct host_wait *w);

#endif
