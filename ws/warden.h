#ifndef RELI_WS_WARDEN_H
#define RELI_WS_WARDEN_H

#include "core/flow/flow.h"
#include "ws/socket.h"

/* Closes the sockets of sessions and API keys that count no more, within two seconds: an open
 * connection gives no leave to stay. One statement for all of them, each second, while there are
 * any. */
struct warden;

struct err warden_new(struct flow *f, struct warden **out) MUST_USE;
/* `seat` has an authority: it is looked at from now on, until warden_remove. */
void warden_add(struct warden *w, struct socket_seat *seat);
/* Safe on a seat that was never added. */
void warden_remove(struct warden *w, struct socket_seat *seat);
/* No more is looked at. */
void warden_stop(struct warden *w);
/* Safe on NULL; the seats have gone before. */
void warden_free(struct warden *w);

#endif
