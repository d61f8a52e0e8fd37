#ifndef RELI_WS_FEED_H
#define RELI_WS_FEED_H

#include "core/flow/customer.h"
#include "core/flow/flow.h"
#include "ws/socket.h"

/* Who watches a merchant's log of events grow: all of it, or one customer's part. An event's
 * position in the log (GET /events) is the cursor: positions have no holes and never change, so
 * whoever comes back with the last one that he has seen misses nothing and sees nothing twice,
 * whichever replica he comes to. */
struct feeds;

/* What of a log is watched. */
struct feed_part {
    struct uuid merchant;
    bool live;
    bool of_customer;              /* false: all of it */
    struct customer_hash customer; /* by the merchant's own id of him */
};

struct err feeds_new(struct flow *f, struct feeds **out) MUST_USE;
/* An event of this merchant was committed: it has a position within moments. */
void feeds_hint(struct feeds *fs, struct uuid merchant);
/* Hints may have been missed. */
void feeds_gap(struct feeds *fs);
/* A seat whose seq is the position that it has seen; it gets what follows, on later turns. `end` is
 * where the log ended a moment ago. False if there is no memory. */
bool feed_join(struct feeds *fs, const struct feed_part *part, struct socket_seat *seat,
               int64_t end) MUST_USE;
void feed_leave(struct socket_seat *seat);
/* What was queued for it has left. */
void feed_drained(struct socket_seat *seat);
/* Says goodbye to all; nothing is read any more. */
void feeds_close(struct feeds *fs, int code);
/* Cuts who is still there. Safe on NULL. */
void feeds_free(struct feeds *fs);

#endif
