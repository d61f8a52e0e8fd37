#ifndef RELI_HTTP_ROUTER_H
#define RELI_HTTP_ROUTER_H

#include "http/server.h"

/* Finds the route of a path: a tree of segments made once. Pure. */
struct router;

/* `routes` ends with a NULL pattern and must outlive the router. ERR_CONFIG on a malformed pattern,
 * on more than HTTP_MAX_PARAMS parameters, or when two routes are the same. */
struct err router_new(const struct route *routes, struct router **out) MUST_USE;
/* Safe on NULL. */
void router_free(struct router *r);

enum { ROUTER_NO_METHOD = -1 }; /* one that no route can have */

struct router_match {
    const struct route *route; /* NULL: no such path, or not with this method */
    unsigned allowed;          /* methods of the path, 1 << enum http_method; 0: no such path */
    int n_params;
    struct str params[HTTP_MAX_PARAMS]; /* as sent */
};

/* A literal segment wins over a parameter, unless it does not have the method. HEAD falls back to
 * GET. */
void router_find(const struct router *r, int method, struct str path, struct router_match *m);

enum { ALLOW_TEXT = 64 };
/* "GET, HEAD, OPTIONS": the value of an Allow header. */
const char *allow_text(unsigned allowed, char out[ALLOW_TEXT]);
const char *http_method_text(enum http_method method);

#endif
