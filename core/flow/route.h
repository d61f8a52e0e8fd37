#ifndef RELI_FLOW_ROUTE_H
#define RELI_FLOW_ROUTE_H

#include "core/codec/fields.h"
#include "core/codec/jsonw.h"
#include "core/flow/account.h"

/* Which provider, over which account, takes a payment that names its method only: the merchant's
 * routes in their order, or without any for that method the providers that offer it, in the
 * registry's. */

enum { ROUTES_MAX = 32, ROUTE_WORD = 33 };

/* One route. What is not said ("" or 0) fits every payment. */
struct route_rule {
    char method[ROUTE_WORD], provider[ROUTE_WORD];
    char account[ROUTE_WORD]; /* one of the merchant's own with it; "": who takes new payments */
    char country[3];          /* of the customer's phone number */
    uint16_t currency;
    int64_t min_minor, max_minor; /* both inclusive, of `currency`; 0: none */
    bool enabled;
};

/* All routes of a merchant and mode, in their order. */
struct routes {
    int32_t version; /* 0: none were ever set */
    size_t n;
    struct route_rule list[ROUTES_MAX];
};

/* Reads a list as clients send it and the database keeps it; faults are named "routes[0].provider".
 */
void routes_read(const struct json *list, struct field_errors *errors, struct routes *out);
/* Writes the list. */
void routes_put(struct jsonw *w, const struct routes *r);

/* As fee_terms.h: what is known from the last second, or by asking. `routes` lives during the
 * call. */
bool routes_known(struct flow *f, struct uuid merchant, bool live, struct routes *out) MUST_USE;
typedef void routes_fn(void *ctx, struct err err, const struct routes *routes);
void routes_start(struct flow *f, struct uuid merchant, bool live, routes_fn *done, void *ctx);
/* They were changed here. */
void routes_forget(struct uuid merchant, bool live);

/* ---- the choice, a function of values ---- */

/* What is asked for; what the client left out or got wrong (STR_NULL, currency 0) fits
 * everything, since it is refused elsewhere. */
struct route_question {
    struct str method;
    struct str country; /* of the customer's phone number, STR_NULL if not known */
    bool has_phone;
    struct money amount;
    size_t n_tried; /* accounts that have refused it already, or cannot be asked */
    struct uuid tried[ROUTES_MAX];
};

/* How an account with a provider is at this moment, for this merchant and mode. */
struct route_state {
    bool has_account;
    struct uuid account;
    const char *unwell; /* why it would refuse a charge now; NULL: it would not */
};
/* `account` is a name, "" of who takes new payments. */
typedef struct route_state route_state_fn(void *ctx, const struct gateway *g, struct str account);

struct route_choice {
    const struct gateway *gateway; /* NULL: nobody offers the method, or no route fits */
    struct str account;            /* as the route names it, in `routes`; else "" */
    bool no_route;                 /* the merchant has routes for the method, and none fits */
    const char *reason;            /* "route", "default", "last_resort" */
    size_t n_skipped;
    struct {
        const struct gateway *gateway;
        struct str account;
        const char *reason; /* "tried", "disabled", "country", "currency", "amount", "phone",
                               "no_account", "unwell", "credentials" */
    } skipped[ROUTES_MAX];
};

/* The first that fits. Of those that would fit, but are not well, the first when no other is left:
 * "last_resort". Without routes and when nothing fits, the first that offers the method, so that
 * the client is told what is wrong. */
void route_choose(const struct routes *routes, const struct route_question *q,
                  route_state_fn *state_of, void *ctx, struct route_choice *out);
/* {"chosen","account","reason","skipped":[{"provider","account","reason"}]}, as it is kept and
 * shown; `account` only where a route names it. */
void route_choice_put(struct buf *out, const struct route_choice *c);

/* How it is for this merchant now. */
struct route_state route_state(const struct flow *f, struct uuid merchant, bool live,
                               const struct gateway *g, struct str account);

/* ---- the next one, after a refusal ---- */

/* Who takes it instead, over the merchant's account there. */
struct route_next {
    int attempts; /* that the payment had; with another one meanwhile this is out of date */
    const struct gateway *gateway;
    const struct flow_account *account; /* lives during the call, or as long as it is held */
    struct str choice;                  /* as route_choice_put; these live in the arena */
    int64_t fee_due_minor;              /* with him */
    struct str our_ref; /* our id, where the provider can be asked by it at once; else "" */
    struct str next_action;
};

/* Whether another provider may be looked for: its provider was chosen by us, the event ends its
 * attempt for a reason that lies with the provider, and the machine could take another attempt. */
bool route_may_go_on(const struct payment_record *rec, const struct payment_event *ev);
/* Looks for it: one that fits, is well, was not asked yet, and for which the request can be built.
 * `done` fires once, on a later turn; NULL: none is left. `a` and `rec` must live until then. */
typedef void route_next_fn(void *ctx, struct err err, const struct route_next *next);
void route_next_start(struct flow *f, struct arena *a, const struct payment_record *rec,
                      route_next_fn *done, void *ctx);

#endif
