#ifndef RELI_GATEWAYS_OUTBOUND_H
#define RELI_GATEWAYS_OUTBOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/loop/loop.h"

/* HTTP calls that leave the building: the only place with libcurl. Names resolve on the thread
 * pool, every address is checked before it is used and pinned for the call, no redirects, no
 * proxies from the environment, kept connections per checked address, caps on everything. */
struct outbound;

struct outbound_options {
    int64_t connect_timeout_us; /* default 5 s */
    int max_per_host;           /* connections to one host, default 64 */
    int max_in_flight;          /* calls, default 1024; beyond it ERR_OVERLOADED */
    const char *user_agent;
};

struct err outbound_new(struct loop *l, const struct outbound_options *o,
                        struct outbound **out) MUST_USE;
/* Cancels what is in flight (their `done` fires with OUTBOUND_NOT_SENT or UNKNOWN during this
 * call). Not from within a `done`. */
void outbound_free(struct outbound *o);
int outbound_in_flight(const struct outbound *o);

enum { OUTBOUND_MAX_HEADERS = 12 };

struct outbound_request {
    const char *method; /* "GET", "POST" … */
    const char *url;    /* http or https, absolute */
    size_t n_headers;
    const char *headers[OUTBOUND_MAX_HEADERS]; /* "Name: value" */
    struct str body;
    int64_t timeout_us;  /* whole call, default 30 s */
    size_t max_response; /* body bytes kept and accepted, default 256 KiB */
    bool cut_response;   /* a longer body is cut, not an error */
    bool once; /* for calls that move money: libcurl sends a request a second time, unasked, when a
                  kept connection has died meanwhile. Such a call ends there, as UNKNOWN; and it
                  takes only a connection that was in use a moment ago, which servers keep */
    bool public_only; /* refuse private, loopback, link-local and reserved addresses
                         (providers/webhooks-out.md, section 6), and anything but https */
};

/* What is known about the request when a call ends. */
enum outbound_outcome {
    OUTBOUND_ANSWERED, /* a complete response was read; status says the rest */
    OUTBOUND_NOT_SENT, /* no byte of the request reached the peer: refused address, name, connect or
                          TLS failure */
    OUTBOUND_UNKNOWN,  /* it may have arrived: timeout, reset, incomplete or oversized answer */
};

struct outbound_response {
    enum outbound_outcome outcome;
    int status;
    struct str body;         /* borrowed for the call of `done` */
    struct str content_type; /* "" if none */
    int64_t retry_after_s;   /* -1 if none; an HTTP date is turned into seconds from now */
    int64_t max_age_s;       /* of Cache-Control; -1 if none, or it makes no sense */
    int64_t took_us;
    const char *error;    /* static words for the log, NULL when answered */
    bool address_refused; /* NOT_SENT because of public_only */
    struct str asked;     /* set by gateways/client.c: the reference that a question was about, for
                             gateways that find it in a list; "" else */
};

typedef void outbound_fn(void *ctx, const struct outbound_response *response);
struct outbound_call;

/* Copies all that it needs of `request`. `done` fires exactly once, on a later turn. Errors (bad
 * URL, full) leave no call behind: ERR_INVALID, ERR_OVERLOADED, ERR_NO_MEMORY. */
struct err outbound_start(struct outbound *o, const struct outbound_request *request,
                          outbound_fn *done, void *ctx, struct outbound_call **out) MUST_USE;
/* A wish: `done` still arrives. */
void outbound_cancel(struct outbound_call *call);

/* Asks whether a call with public_only would get out to this URL, as names are now; nothing is
 * sent. `done` fires once, on a later turn: ERR_NONE, ERR_INVALID (it would not), or ERR_IO,
 * ERR_TIMEOUT if that is not known: the name has no address, or none within two seconds.
 * ERR_CANCELED within outbound_free. Errors at once are ERR_INVALID for the URL and those of
 * outbound_start; ERR_OVERLOADED also for some seconds after a name that took too long. */
typedef void outbound_look_fn(void *ctx, struct err err);
struct err outbound_look(struct outbound *o, struct str url, outbound_look_fn *done,
                         void *ctx) MUST_USE;

/* Whether a merchant may register this URL: syntax rules of providers/webhooks-out.md, section 6
 * (1, 2). With `allow_private` http and any port are fine. The host's addresses are checked at
 * every call. */
bool outbound_url_ok(struct str url, bool allow_private);

#endif
