/* Connecting to PostgreSQL from the loop.
 *
 *   pick a host -> resolve it -> PQconnectStartParams -> PQconnectPoll until it is content
 *
 * libpq resolves names while connecting, which blocks; so every host that is no socket directory is
 * resolved here and handed over as hostaddr (host stays, for certificates and the password file).
 * One attempt tries one host and one address, the next attempt another: a name that does not
 * resolve then never reaches libpq beside one that does. libpq may change its socket at every step,
 * even for one of the same number, so the poll handle is made anew for each. */
#include "store/pg_dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "core/base/str.h"

enum { KEYWORDS_MAX = 64, PART_TEXT = 256 };

struct pg_dial {
    struct loop *l;
    PQconninfoOption *options;
    unsigned attempt;
    pg_dial_fn *done;
    void *ctx;
    char host[PART_TEXT], port[PART_TEXT], addr[PART_TEXT]; /* "" for libpq's default */
    struct resolve *resolve;                                /* until its `done` */
    struct later failed;
    struct err err;
    PGconn *pg;
    uv_poll_t *poll;
    bool ended;
};

static bool pick_host(struct pg_dial *d);
static void host_resolved(void *ctx, struct err err, const struct resolved *found);
static void dial_connect(struct pg_dial *d);
static void dial_poll(uv_poll_t *h, int status, int events);
static void dial_fail(void *ctx);
static void dial_end(struct pg_dial *d);

struct err pg_dial_check(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    if (options == NULL)
        return ERR(CONFIG, "the database's conninfo cannot be read");
    PQconninfoFree(options);
    return ERR_OK;
}

struct err pg_dial_start(struct loop *l, const char *conninfo, unsigned attempt, pg_dial_fn *done,
                         void *ctx, struct pg_dial **out)
{
    struct pg_dial *d = calloc(1, sizeof *d);
    if (d == NULL)
        return ERR(NO_MEMORY, "pg dial");
    *d = (struct pg_dial){.l = l, .attempt = attempt, .done = done, .ctx = ctx};
    d->options = PQconninfoParse(conninfo, NULL);
    if (d->options == NULL || !pick_host(d)) {
        PQconninfoFree(d->options);
        free(d);
        return ERR(CONFIG, "the database's conninfo cannot be read");
    }
    *out = d;
    bool has_name = d->host[0] != '\0' && d->host[0] != '/' && d->host[0] != '@';
    if (!has_name || d->addr[0] != '\0') {
        dial_connect(d);
        return ERR_OK;
    }
    struct err err = resolve_start(l, d->host, "5432", host_resolved, d, &d->resolve);
    if (err_is(err)) {
        d->resolve = NULL;
        dial_end(d);
    }
    return err;
}

void pg_dial_cancel(struct pg_dial *d)
{
    if (d->resolve != NULL)
        resolve_cancel(d->resolve);
    dial_end(d);
}

/* ---- which host ---- */

static const char *option(const PQconninfoOption *options, const char *keyword)
{
    for (; options != NULL && options->keyword != NULL; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val != NULL ? options->val : "";
    return "";
}

static size_t list_count(const char *text)
{
    size_t n = 1;
    for (; *text != '\0'; text++)
        n += *text == ',';
    return n;
}

/* The i-th part of a list between commas, or the only one. */
static bool list_part(const char *text, size_t i, char out[PART_TEXT])
{
    struct str rest = str_c(text), part = rest;
    size_t n = list_count(text);
    for (size_t k = 0; n > 1 && k <= i; k++)
        if (!str_split(&rest, ',', &part))
            return false;
    if (part.n >= PART_TEXT)
        return false;
    str_copy_c(out, PART_TEXT, part);
    return true;
}

static bool pick_host(struct pg_dial *d)
{
    const char *hosts = option(d->options, "host");
    const char *addrs = option(d->options, "hostaddr");
    const char *ports = option(d->options, "port");
    PQconninfoOption *env = NULL;
    if (*hosts == '\0' && *addrs == '\0') {
        env = PQconndefaults();
        hosts = option(env, "host");
        addrs = option(env, "hostaddr");
    }
    size_t n = list_count(*addrs != '\0' ? addrs : hosts);
    size_t i = d->attempt % n;
    d->attempt /= (unsigned)n;
    bool good = list_part(hosts, i, d->host) && list_part(addrs, i, d->addr) &&
                list_part(ports, i, d->port);
    PQconninfoFree(env);
    return good;
}

static void host_resolved(void *ctx, struct err err, const struct resolved *found)
{
    struct pg_dial *d = ctx;
    d->resolve = NULL;
    if (d->ended) {
        free(d);
        return;
    }
    if (err_is(err)) {
        d->err = err;
        dial_fail(d);
        return;
    }
    const struct sockaddr_storage *a = found->addr[d->attempt % (unsigned)found->n];
    socklen_t len =
        a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (getnameinfo((const struct sockaddr *)a, len, d->addr, sizeof d->addr, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        d->err = ERR(IO, "the database's address has no text");
        dial_fail(d);
        return;
    }
    dial_connect(d);
}

/* ---- connecting ---- */

struct keywords {
    size_t n;
    const char *name[KEYWORDS_MAX + 1], *value[KEYWORDS_MAX + 1];
};

static void keyword_add(struct keywords *k, const char *name, const char *value)
{
    if (*value == '\0' || k->n == KEYWORDS_MAX)
        return;
    k->name[k->n] = name;
    k->value[k->n++] = value;
}

static void keyword_default(struct keywords *k, const PQconninfoOption *options, const char *name,
                            const char *value)
{
    if (*option(options, name) == '\0')
        keyword_add(k, name, value);
}

static void ignore_notice(void *ctx, const PGresult *res)
{
    (void)ctx, (void)res; /* libpq would print it */
}

static void dial_watch(struct pg_dial *d, int events)
{
    d->poll = malloc(sizeof *d->poll);
    if (d->poll == NULL || uv_poll_init(loop_uv(d->l), d->poll, PQsocket(d->pg)) != 0) {
        free(d->poll);
        d->poll = NULL;
        d->err = ERR(IO, "cannot watch the database's socket");
        loop_later(d->l, &d->failed, dial_fail, d);
        return;
    }
    d->poll->data = d;
    uv_poll_start(d->poll, events, dial_poll);
}

static void handle_free(uv_handle_t *h)
{
    free(h);
}

static void dial_unwatch(struct pg_dial *d)
{
    if (d->poll == NULL)
        return;
    d->poll->data = NULL;
    uv_close((uv_handle_t *)d->poll, handle_free);
    d->poll = NULL;
}

static void dial_connect(struct pg_dial *d)
{
    struct keywords k = {0};
    for (const PQconninfoOption *o = d->options; o->keyword != NULL; o++)
        if (o->val != NULL && strcmp(o->keyword, "host") != 0 && strcmp(o->keyword, "port") != 0 &&
            strcmp(o->keyword, "hostaddr") != 0)
            keyword_add(&k, o->keyword, o->val);
    keyword_add(&k, "host", d->host);
    keyword_add(&k, "hostaddr", d->addr);
    keyword_add(&k, "port", d->port);
    /* A connection that is idle must learn, too, that nobody is there any more. */
    keyword_default(&k, d->options, "keepalives_idle", "15");
    keyword_default(&k, d->options, "keepalives_interval", "5");
    keyword_default(&k, d->options, "keepalives_count", "3");
    d->pg = PQconnectStartParams(k.name, k.value, 0);
    if (d->pg == NULL || PQstatus(d->pg) == CONNECTION_BAD) {
        d->err = ERR(IO, "cannot connect to the database");
        loop_later(d->l, &d->failed, dial_fail, d);
        return;
    }
    PQsetNoticeReceiver(d->pg, ignore_notice, NULL);
    dial_watch(d, UV_WRITABLE);
}

/* A bad status is readiness, too: libpq finds the reason itself. */
static void dial_poll(uv_poll_t *h, int status, int events)
{
    (void)status, (void)events;
    struct pg_dial *d = h->data;
    dial_unwatch(d); /* before libpq can close the socket under it */
    switch (PQconnectPoll(d->pg)) {
    case PGRES_POLLING_READING:
        dial_watch(d, UV_READABLE);
        return;
    case PGRES_POLLING_WRITING:
        dial_watch(d, UV_WRITABLE);
        return;
    case PGRES_POLLING_OK: {
        PGconn *pg = d->pg;
        d->pg = NULL;
        pg_dial_fn *done = d->done;
        void *ctx = d->ctx;
        dial_end(d);
        done(ctx, ERR_OK, "", pg);
        return;
    }
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
    default:
        d->err = ERR(IO, "cannot connect to the database");
        dial_fail(d);
        return;
    }
}

static void dial_fail(void *ctx)
{
    struct pg_dial *d = ctx;
    PGconn *pg = d->pg;
    d->pg = NULL;
    struct err err = d->err;
    char host[PART_TEXT];
    str_copy_c(host, sizeof host, str_c(d->host));
    pg_dial_fn *done = d->done;
    ctx = d->ctx;
    dial_end(d);
    done(ctx, err, pg != NULL ? PQerrorMessage(pg) : host, NULL);
    PQfinish(pg);
}

/* The resolver still holds `d` until it has answered. */
static void dial_end(struct pg_dial *d)
{
    d->ended = true;
    loop_later_off(d->l, &d->failed);
    dial_unwatch(d);
    PQfinish(d->pg);
    d->pg = NULL;
    PQconninfoFree(d->options);
    d->options = NULL;
    if (d->resolve == NULL)
        free(d);
}
