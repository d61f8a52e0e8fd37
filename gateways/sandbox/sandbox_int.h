#ifndef RELI_GATEWAYS_SANDBOX_SANDBOX_INT_H
#define RELI_GATEWAYS_SANDBOX_SANDBOX_INT_H

#include "core/base/list.h"
#include "gateways/sandbox/book.h"
#include "gateways/sandbox/chaos.h"
#include "gateways/sandbox/courier.h"
#include "gateways/sandbox/journal.h"
#include "gateways/sandbox/payback.h"
#include "gateways/sandbox/sandbox.h"
#include "http/server.h"

/* What the simulated providers share: the journal, the book, the courier, and answers that
 * misbehave as the settings say. */

/* A provider: one file with routes (without the prefix) and these calls. */
struct sandbox_provider {
    const char *name; /* and the prefix of its routes */
    const struct route *routes;
    struct err (*open)(struct sandbox *s, const struct sandbox_options *o, void **state);
    void (*reset)(void *state);
    void (*close)(void *state);
    /* A callback of this booking was answered. NULL if not wanted. */
    void (*called_back)(void *state, struct booking *b);
    /* The same of a refund's result. */
    void (*told)(void *state, struct payback *p);
    /* A parcel with a tag has been answered, or finally was not. */
    void (*delivered)(void *state, const struct delivery *d);
};

enum { SANDBOX_MAX_PROVIDERS = 16 };

struct sandbox {
    struct loop *loop;
    struct http_server *http;
    struct courier *courier;
    struct chaos chaos, chaos_start;
    struct dice dice;
    struct journal journal;
    struct book book;
    struct payback_book paybacks;
    struct list held; /* answers that wait for their time */
    struct route *routes;
    void *state[SANDBOX_MAX_PROVIDERS];
    int64_t spike_second[SANDBOX_MAX_PROVIDERS], n_in_second[SANDBOX_MAX_PROVIDERS];
    uint64_t serial; /* grows through resets, starts anywhere: ids never repeat */
    struct buf scratch;
};

/* The routes under /_sandbox. */
extern const struct route inspect_routes[];
/* Back to the state after the start. */
void sandbox_reset(struct sandbox *s);

/* The state of the provider whose route `x` came in on. */
void *sandbox_state(const struct http_exchange *x);
/* The same by name, for the routes under /_sandbox. */
void *sandbox_state_of(struct sandbox *s, const char *provider);
/* A record of `x` to be filled in; the calls below number and keep it. */
struct call sandbox_call(const struct http_exchange *x, const char *op);
/* An empty buffer, good until the next call of it. */
struct buf *sandbox_scratch(struct sandbox *s);

enum gate { GATE_OPEN, GATE_SHUT, GATE_SPIKE };
/* What the settings have in store for this request. SHUT: `x` has been answered. SPIKE: the caller
 * answers in its provider's words. */
enum gate sandbox_gate(struct sandbox *s, struct http_exchange *x, struct call *call);

/* Records the call and answers, late or not at all if the settings say so. `body` is copied, `type`
 * is static. */
void sandbox_reply(struct sandbox *s, struct http_exchange *x, struct call *call, int status,
                   const char *type, struct str body);
/* Records the call, writes `raw` if any and cuts the connection. */
void sandbox_cut(struct sandbox *s, struct http_exchange *x, struct call *call, struct str raw);

/* An answer that waits. The owner's pointer becomes NULL when it goes. */
struct held;
void sandbox_reply_after(struct sandbox *s, struct http_exchange *x, struct call *call,
                         int64_t after_us, int status, const char *type, struct str body,
                         struct held **owner);
/* Sends it now. NULL is fine. */
void held_release(struct held *h);

#endif
