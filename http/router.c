/* Which handler takes a path. A tree of segments, since a hundred patterns compared one after the
 * other would cost more than the answer; built once, read-only afterwards. */
#include "http/router.h"

#include <stdlib.h>

enum { N_METHODS = HTTP_OPTIONS_ + 1 };

struct node {
    struct str literal;
    struct node *children; /* literals of the next segment */
    struct node *next;     /* the next literal of this segment */
    struct node *param;    /* any other segment */
    const struct route *by_method[N_METHODS];
    unsigned allowed;
};

struct router {
    struct node root;
};

static struct err add_route(struct router *r, const struct route *route);
static void find(const struct node *n, int method, struct str rest, int depth,
                 struct router_match *m);

struct err router_new(const struct route *routes, struct router **out)
{
    *out = NULL;
    struct router *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR(NO_MEMORY, "router");
    for (const struct route *route = routes; route->pattern != NULL; route++) {
        struct err err = add_route(r, route);
        if (err_is(err)) {
            router_free(r);
            return err;
        }
    }
    *out = r;
    return ERR_OK;
}

void router_find(const struct router *r, int method, struct str path, struct router_match *m)
{
    m->route = NULL;
    m->allowed = 0;
    m->n_params = 0;
    if (path.n == 0 || path.p[0] != '/')
        return;
    path = str_from(path, 1);
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    find(&r->root, method, path, 0, m);
    if (m->allowed & 1u << HTTP_GET_)
        m->allowed |= 1u << HTTP_HEAD_;
    if (m->allowed != 0)
        m->allowed |= 1u << HTTP_OPTIONS_;
}

const char *http_method_text(enum http_method method)
{
    static const char *const texts[N_METHODS] = {
        [HTTP_GET_] = "GET",         [HTTP_HEAD_] = "HEAD",   [HTTP_POST_] = "POST",
        [HTTP_PUT_] = "PUT",         [HTTP_PATCH_] = "PATCH", [HTTP_DELETE_] = "DELETE",
        [HTTP_OPTIONS_] = "OPTIONS",
    };
    return texts[method];
}

const char *allow_text(unsigned allowed, char out[ALLOW_TEXT])
{
    size_t n = 0;
    for (int i = 0; i < N_METHODS; i++) {
        if ((allowed & 1u << i) == 0)
            continue;
        struct str name = str_c(http_method_text((enum http_method)i));
        ASSERT(n + 2 + name.n < ALLOW_TEXT);
        if (n > 0) {
            memcpy(out + n, ", ", 2);
            n += 2;
        }
        memcpy(out + n, name.p, name.n);
        n += name.n;
    }
    out[n] = '\0';
    return out;
}

static void free_children(struct node *n)
{
    struct node *next;
    for (struct node *c = n->children; c != NULL; c = next) {
        next = c->next;
        free_children(c);
        free(c);
    }
    if (n->param != NULL) {
        free_children(n->param);
        free(n->param);
    }
}

void router_free(struct router *r)
{
    if (r == NULL)
        return;
    free_children(&r->root);
    free(r);
}

/* What stands at a node: the route of this method, or notes what else could be had. */
static void visit(const struct node *n, int method, int depth, struct router_match *m)
{
    m->allowed |= n->allowed;
    if (method == ROUTER_NO_METHOD || n->allowed == 0)
        return;
    const struct route *route = n->by_method[method];
    if (route == NULL && method == HTTP_HEAD_)
        route = n->by_method[HTTP_GET_];
    m->route = route;
    if (route != NULL)
        m->n_params = depth;
}

/* `depth` counts the parameters taken so far. */
static void find(const struct node *n, int method, struct str rest, int depth,
                 struct router_match *m)
{
    if (rest.n == 0) {
        visit(n, method, depth, m);
        return;
    }
    size_t slash = str_find(rest, '/', 0);
    struct str segment = slash == SIZE_MAX ? rest : str_first(rest, slash);
    struct str behind = slash == SIZE_MAX ? STR_NULL : str_from(rest, slash + 1);
    if (segment.n == 0 || (slash != SIZE_MAX && behind.n == 0))
        return; /* "//": one trailing slash was tolerated already */
    for (const struct node *c = n->children; c != NULL; c = c->next) {
        if (!str_eq(c->literal, segment))
            continue;
        find(c, method, behind, depth, m);
        if (m->route != NULL)
            return;
        break;
    }
    if (n->param != NULL && depth < HTTP_MAX_PARAMS) {
        m->params[depth] = segment;
        find(n->param, method, behind, depth + 1, m);
    }
}

static struct node *child(struct node *n, struct str segment)
{
    struct node **at = &n->children;
    if (segment.p[0] == '{') {
        at = &n->param;
    } else {
        while (*at != NULL && !str_eq((*at)->literal, segment))
            at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at != NULL)
            (*at)->literal = segment;
    }
    return *at;
}

static bool is_param(struct str s)
{
    return s.n > 2 && s.p[0] == '{' && s.p[s.n - 1] == '}';
}

static struct err add_route(struct router *r, const struct route *route)
{
    struct str rest = str_c(route->pattern), segment;
    struct node *n = &r->root;
    int n_params = 0;
    if (rest.n == 0 || rest.p[0] != '/' || (unsigned)route->method >= N_METHODS ||
        route->handler == NULL)
        return ERR(CONFIG, "route without path, method or handler");
    rest = str_from(rest, 1);
    if (rest.n == 0)
        rest = STR_NULL;
    while (str_split(&rest, '/', &segment)) {
        bool braces =
            str_find(segment, '{', 0) != SIZE_MAX || str_find(segment, '}', 0) != SIZE_MAX;
        if (segment.n == 0 || (braces && !is_param(segment)))
            return ERR(CONFIG, "malformed segment in a route");
        if (braces && ++n_params > HTTP_MAX_PARAMS)
            return ERR(CONFIG, "too many parameters in a route");
        n = child(n, segment);
        if (n == NULL)
            return ERR(NO_MEMORY, "router");
    }
    if (n->by_method[route->method] != NULL)
        return ERR(CONFIG, "two routes are the same");
    n->by_method[route->method] = route;
    n->allowed |= 1u << route->method;
    return ERR_OK;
}
