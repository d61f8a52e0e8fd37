/* Names to addresses. getaddrinfo blocks, so it runs on the thread pool:
 *
 *   resolve_start -> pool -> on_addresses -> done
 *
 * A literal address needs no thread: its `done` comes at the end of the turn. A thread that is
 * already in the resolver cannot be called back: after cancel or the deadline `done` is told at
 * once and the request is left to finish on its own. */
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/times.h"
#include "core/loop/loop_int.h"

#define RESOLVE_DEADLINE_US (10 * US_PER_S)

struct resolve {
    struct loop *l;
    uv_getaddrinfo_t req;
    struct later soon;
    struct timer deadline;
    resolve_fn *done;
    void *ctx;
    struct err err;
    bool at_work; /* the pool has `req` */
    bool told;    /* `done` has been called */
    struct resolved found;
    struct sockaddr_storage addr[RESOLVE_MAX];
};

static bool try_literal(struct resolve *r, const char *host, const char *port);
static void on_addresses(uv_getaddrinfo_t *req, int status, struct addrinfo *list);
static void take_addresses(struct resolve *r, const struct addrinfo *list);
static void deadline_passed(void *ctx);
static void tell(void *ctx);

struct err resolve_start(struct loop *l, const char *host, const char *port, resolve_fn *done,
                         void *ctx, struct resolve **out)
{
    struct resolve *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR(NO_MEMORY, "resolve");
    r->l = l;
    r->done = done;
    r->ctx = ctx;
    r->req.data = r;
    if (try_literal(r, host, port)) {
        loop_later(l, &r->soon, tell, r);
        *out = r;
        return ERR_OK;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int rc = uv_getaddrinfo(&l->uv, &r->req, on_addresses, host, port, &hints);
    if (rc != 0) {
        free(r);
        return ERR_D(IO, rc, "getaddrinfo");
    }
    r->at_work = true;
    timer_set(l, &r->deadline, RESOLVE_DEADLINE_US, deadline_passed, r);
    *out = r;
    return ERR_OK;
}

void resolve_cancel(struct resolve *r)
{
    r->err = ERR(CANCELED, "resolve");
    if (r->at_work)
        uv_cancel((uv_req_t *)&r->req); /* fails when a thread is at it: on_addresses still comes */
    loop_later(r->l, &r->soon, tell, r);
}

static void deadline_passed(void *ctx)
{
    struct resolve *r = ctx;
    r->err = ERR(TIMEOUT, "resolve");
    uv_cancel((uv_req_t *)&r->req);
    tell(r);
}

static void tell(void *ctx)
{
    struct resolve *r = ctx;
    timer_off(r->l, &r->deadline);
    loop_later_off(r->l, &r->soon);
    r->told = true;
    if (err_is(r->err))
        r->found.n = 0;
    r->done(r->ctx, r->err, &r->found);
    if (!r->at_work)
        free(r);
}

static void on_addresses(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct resolve *r = req->data;
    loop_enter(r->l);
    r->at_work = false;
    if (r->told) {
        free(r);
    } else if (!list_linked(&r->soon.link)) {
        if (status == 0)
            take_addresses(r, list);
        if (r->found.n == 0)
            r->err = ERR_D(IO, status, "no address");
        tell(r);
    }
    uv_freeaddrinfo(list);
}

static bool try_literal(struct resolve *r, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return false;
    take_addresses(r, list);
    freeaddrinfo(list);
    return r->found.n > 0;
}

static void take_addresses(struct resolve *r, const struct addrinfo *list)
{
    for (; list != NULL && r->found.n < RESOLVE_MAX; list = list->ai_next) {
        if ((list->ai_family != AF_INET && list->ai_family != AF_INET6) ||
            list->ai_addrlen > sizeof r->addr[0])
            continue;
        struct sockaddr_storage *to = &r->addr[r->found.n];
        memcpy(to, list->ai_addr, list->ai_addrlen);
        r->found.addr[r->found.n++] = to;
    }
}
