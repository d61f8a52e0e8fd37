#ifndef RELI_WS_HUB_H
#define RELI_WS_HUB_H

#include "core/flow/flow.h"
#include "ws/feed.h"
#include "ws/socket.h"

/* Who watches which payment, and who a merchant's log (feed.h). Events are read from PostgreSQL, on
 * a hint: a commit of this process, a message over Redis from another one, or the clock (every ten
 * seconds; every second while Redis is away). */
struct hub;

/* For at most `max` sockets. */
struct err hub_new(struct flow *f, int max, struct hub **out) MUST_USE;
/* Whether one more may come. What is on its way is not counted: ask again before it joins. */
bool hub_has_room(const struct hub *h);
/* Whether one more may watch this payment. Its client token is in the hands of a customer and may
 * be used again and again: with it nobody may take the places of all others. */
bool hub_has_room_at(const struct hub *h, struct uuid merchant, struct uuid payment);
/* Says goodbye to all with 1001. `done` fires when none is left. */
void hub_drain(struct hub *h, loop_fn *done, void *ctx);
void hub_free(struct hub *h);

/* A payment has an event `seq`. */
void hub_hint(struct hub *h, struct uuid merchant, struct uuid payment, int32_t seq);

/* Puts a connection that has seen the events up to `seq` among the watchers; what came since is
 * sent. The hub owns the socket from here on, and ends it with its authority. NULL if there is no
 * memory (the stream is closed then). */
struct socket *hub_join(struct hub *h, struct stream *stream, enum wire wire,
                        const struct authority *by, struct uuid payment, int32_t seq);

/* The same for a part of a merchant's log, by positions; `end` is where it ended just now. */
struct socket *hub_join_feed(struct hub *h, struct stream *stream, enum wire wire,
                             const struct authority *by, const struct feed_part *part,
                             int64_t position, int64_t end);

/* The event of a row of event_list, to be freed whatever comes. */
struct rows;
void hub_notice(struct notice *n, struct uuid payment, const struct rows *r, size_t row,
                struct str person);

#endif
