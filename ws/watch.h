#ifndef RELI_WS_WATCH_H
#define RELI_WS_WATCH_H

#include "core/flow/customer.h"
#include "http/api.h"
#include "ws/hub.h"

/* What somebody wants to watch, on the way to a socket or a ticket. Lives in the exchange's arena.
 */
struct watch;
typedef void watch_fn(struct watch *w);

struct watch {
    struct http_exchange *x;
    enum ticket_channel channel;
    enum wire wire;
    struct uuid payment; /* of TICKET_PAYMENT */
    struct str customer; /* of TICKET_CUSTOMER: the merchant's own id of him */
    struct authority by; /* by whose leave */
    bool live;
    int64_t after;             /* the seq or position that was seen; -1: none was named */
    struct payment_record rec; /* the payment, when found */
    watch_fn *next;
};

/* NULL: answered. */
struct watch *watch_new(struct http_exchange *x, enum ticket_channel channel);
/* The row of the matrix that the caller needs. */
enum permission watch_permission(enum ticket_channel channel);
/* Learns from the request who asks, by header or `?ticket=`, and calls `next` for whoever may;
 * answers himself whoever may not. */
void watch_authenticate(struct watch *w, watch_fn *next);
/* Whether one more may watch (to be asked again right before it joins), and whether `text` (absent,
 * if p is NULL) is a seq or position, which is noted; else it has been answered. */
bool watch_room(const struct watch *w);
bool watch_after(struct watch *w, struct str text);
/* Calls `next` if what is watched is there and the caller's; else answers 404. */
void watch_find(struct watch *w, watch_fn *next);

/* Opens the socket or stream, for whoever may. */
void watch_open(struct watch *w);
/* Hash of the customer, as tickets and feeds name him. */
struct customer_hash watch_customer(const struct watch *w, struct uuid merchant, bool live);

#endif
