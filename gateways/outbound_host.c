/* A bounded cache of resolved names. Its entries live a few seconds only: long enough that a burst
 * of deliveries does not queue up on the thread pool, short enough to follow a change of DNS.
 *
 * ask → (known: answer) | (resolving: wait) | resolve_start → found → tell all who wait */
#include "gateways/outbound_host.h"

#include <stdlib.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"

/* Merchants choose these names: the hash is keyed. */
#define HASH_FUNCTION(keyptr, keylen, hashv) \
    ((hashv) = (unsigned)short_hash(str_n((const char *)(keyptr), (keylen))))
#define uthash_fatal(msg) assert_failed((msg), __FILE__, __LINE__)
#include <uthash.h>

enum { MAX_HOSTS = 1024, NAME_MAX_LEN = 254 };
#define KEEP_US (5 * US_PER_S)

struct host {
    UT_hash_handle hh;
    struct hosts *hosts;     /* NULL: the cache is gone, the look-up still under way */
    struct resolve *resolve; /* NULL: known */
    struct addresses found;
    int64_t keep_until_us;
    struct list waiting;
    char name[NAME_MAX_LEN];
};

struct hosts {
    struct loop *loop;
    struct host *table;
};

static void host_found(void *ctx, struct err err, const struct resolved *found);

struct err hosts_new(struct loop *l, struct hosts **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return ERR(NO_MEMORY, "hosts");
    (*out)->loop = l;
    return ERR_OK;
}

static void host_drop(struct hosts *h, struct host *host)
{
    HASH_DEL(h->table, host);
    if (host->resolve != NULL) {
        host->hosts = NULL;
        resolve_cancel(host->resolve); /* host_found frees it */
    } else {
        free(host);
    }
}

void hosts_free(struct hosts *h)
{
    if (h == NULL)
        return;
    for (struct host *host = h->table, *next; host != NULL; host = next) {
        next = host->hh.next;
        ASSERT(list_is_empty(&host->waiting));
        host_drop(h, host);
    }
    free(h);
}

/* Makes room: the oldest entry that nobody waits for goes. */
static bool hosts_room(struct hosts *h)
{
    if (HASH_COUNT(h->table) < MAX_HOSTS)
        return true;
    for (struct host *host = h->table; host != NULL; host = host->hh.next) {
        if (host->resolve == NULL) {
            host_drop(h, host);
            return true;
        }
    }
    return false;
}

static struct err host_new(struct hosts *h, struct str name, struct host **out)
{
    if (name.n == 0 || name.n >= NAME_MAX_LEN)
        return ERR(INVALID, "host name");
    if (!hosts_room(h))
        return ERR(OVERLOADED, "too many names to resolve");
    struct host *host = calloc(1, sizeof *host);
    if (host == NULL)
        return ERR(NO_MEMORY, "host");
    host->hosts = h;
    list_init(&host->waiting);
    str_copy_c(host->name, sizeof host->name, name);
    HASH_ADD_KEYPTR(hh, h->table, host->name, name.n, host);
    *out = host;
    return ERR_OK;
}

struct err hosts_ask(struct hosts *h, struct str name, struct host_wait *w, host_fn *fn, void *ctx,
                     const struct addresses **found)
{
    struct host *host;
    *found = NULL;
    HASH_FIND(hh, h->table, name.p, name.n, host);
    if (host != NULL && host->resolve == NULL && host->keep_until_us > loop_mono_us(h->loop)) {
        *found = &host->found;
        return ERR_OK;
    }
    if (host == NULL)
        TRY(host_new(h, name, &host));
    if (host->resolve == NULL) {
        struct err err = resolve_start(h->loop, host->name, NULL, host_found, host, &host->resolve);
        if (err_is(err)) {
            host->resolve = NULL;
            host_drop(h, host);
            return err;
        }
    }
    *w = (struct host_wait){.host = host, .fn = fn, .ctx = ctx};
    list_push(&host->waiting, &w->link);
    return ERR_OK;
}

void hosts_leave(struct host_wait *w)
{
    if (w->host != NULL)
        list_remove(&w->host->waiting, &w->link);
    w->host = NULL;
}

static void host_found(void *ctx, struct err err, const struct resolved *found)
{
    struct host *host = ctx;
    struct list told;
    host->resolve = NULL;
    if (host->hosts == NULL) {
        free(host);
        return;
    }
    host->found.n = 0;
    for (int i = 0; !err_is(err) && i < found->n; i++)
        host->found.a[host->found.n++] = *found->addr[i];
    if (!err_is(err) && host->found.n == 0)
        err = ERR(IO, "no address");
    host->keep_until_us = err_is(err) ? 0 : loop_mono_us(host->hosts->loop) + KEEP_US;
    /* Whoever asks again from within its callback waits for the next answer. */
    struct addresses addresses = host->found;
    list_init(&told);
    for (struct link *k; (k = list_pop(&host->waiting)) != NULL;)
        list_push(&told, k);
    if (err_is(err))
        host_drop(host->hosts, host);
    for (struct link *k = list_first(&told); k != NULL; k = list_first(&told)) {
        struct host_wait *w = CONTAINER_OF(k, struct host_wait, link);
        list_remove(&told, k);
        w->host = NULL;
        w->fn(w->ctx, err, &addresses);
    }
}
