/* A look at a URL: READ it, RESOLVE the name, judge the addresses. No address may be private.
 *
 * How it can fail: the URL is not a public one, an address is not (INVALID); the name does not
 * resolve (IO), or not in time (TIMEOUT). The thread that asks is then still at it, and payments
 * need the others: no more looks for a while (OVERLOADED). */
#include "gateways/outbound_look.h"

#include <stdlib.h>

#include "core/base/times.h"
#include "gateways/outbound_addr.h"
#include "gateways/outbound_url.h"

enum { LOOKS_MAX = 4 };
#define LOOK_US (2 * US_PER_S)
#define PAUSE_US (10 * US_PER_S)

struct looks {
    struct loop *loop;
    struct hosts *hosts;
    struct list list;        /* under way */
    int64_t paused_until_us; /* monotonic */
};

struct look {
    struct link link;
    struct looks *all;
    struct host_wait wait;
    struct timer deadline;
    struct later soon;
    struct err err;
    outbound_look_fn *done;
    void *ctx;
};

static void look_end(struct look *k, struct err err)
{
    struct loop *l = k->all->loop;
    outbound_look_fn *done = k->done;
    void *ctx = k->ctx;
    hosts_leave(&k->wait);
    timer_off(l, &k->deadline);
    loop_later_off(l, &k->soon);
    list_remove(&k->all->list, &k->link);
    free(k);
    done(ctx, err);
}

static struct err judge(const struct addresses *found)
{
    for (int i = 0; i < found->n; i++)
        if (!sockaddr_is_public((const struct sockaddr *)&found->a[i]))
            return ERR(INVALID, "the address is not allowed");
    return ERR_OK;
}

static void look_soon(void *ctx)
{
    struct look *k = ctx;
    look_end(k, k->err);
}

static void look_late(void *ctx)
{
    struct looks *s = ((struct look *)ctx)->all;
    s->paused_until_us = loop_mono_us(s->loop) + PAUSE_US;
    look_end(ctx, ERR(TIMEOUT, "the name was not resolved in time"));
}

static void look_resolved(void *ctx, struct err err, const struct addresses *found)
{
    look_end(ctx, err_is(err) ? ERR(IO, "the name does not resolve") : judge(found));
}

struct err looks_start(struct looks *s, struct str url, outbound_look_fn *done, void *ctx)
{
    const struct addresses *found = NULL;
    struct sockaddr_storage literal;
    struct url_parts parts;
    struct arena mem;
    if (s->list.n >= LOOKS_MAX || loop_mono_us(s->loop) < s->paused_until_us)
        return ERR(OVERLOADED, "too many looks");
    struct look *k = calloc(1, sizeof *k);
    if (k == NULL)
        return ERR(NO_MEMORY, "look");
    *k = (struct look){.all = s, .done = done, .ctx = ctx};
    arena_init(&mem, 1024);
    struct err err = url_read(url, &mem, &parts);
    if (!err_is(err) && !url_is_public(&parts))
        err = ERR(INVALID, "URL: not a public one");
    bool is_address = !err_is(err) && sockaddr_parse(parts.host, parts.port, &literal);
    if (!err_is(err) && !is_address)
        err = hosts_ask(s->hosts, str_c(parts.host), &k->wait, look_resolved, k, &found);
    arena_free(&mem);
    if (err_is(err)) {
        free(k);
        return err;
    }
    list_push(&s->list, &k->link);
    if (found != NULL)
        k->err = judge(found);
    if (found != NULL || is_address)
        loop_later(s->loop, &k->soon, look_soon, k);
    else
        timer_set(s->loop, &k->deadline, LOOK_US, look_late, k);
    return ERR_OK;
}

void looks_cancel(struct looks *s)
{
    struct link *k;
    while ((k = list_first(&s->list)) != NULL)
        look_end(CONTAINER_OF(k, struct look, link), ERR(CANCELED, "shutting down"));
}

struct err looks_new(struct loop *l, struct hosts *hosts, struct looks **out)
{
    struct looks *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR(NO_MEMORY, "looks");
    s->loop = l;
    s->hosts = hosts;
    list_init(&s->list);
    *out = s;
    return ERR_OK;
}

void looks_free(struct looks *s)
{
    free(s);
}
