/* Certificates are renewed by somebody else, every few weeks, while connections are open. A signal
 * makes us read the files again, on the thread pool; files that do not fit together change nothing.
 */
#include "core/certificate.h"

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"

static struct metric expires =
    METRIC_GAUGE("reli_tls_certificate_expires", "", "Unix time at which the certificate ends");
static struct metric loaded = METRIC_COUNTER("reli_tls_certificate_loads_total", "result=\"ok\"",
                                             "Readings of certificate and key"),
                     failed =
                         METRIC_COUNTER("reli_tls_certificate_loads_total", "result=\"failed\"",
                                        "Readings of certificate and key");

static void start(void *ctx);

static void take(struct certificate *c, struct tls_site *site)
{
    char text[TIME_TEXT];
    tls_site_free(c->site);
    c->site = site;
    metric_add(&loaded, 1);
    metric_set(&expires, tls_site_expires_us(site) / US_PER_S);
    log_info("tls.certificate", F_C("expires", time_text(tls_site_expires_us(site), text)));
}

/* On a thread of the pool. */
static void load(void *ctx)
{
    struct certificate *c = ctx;
    c->next_err = tls_site_load(c->cert_path, c->key_path, &c->next, c->why);
}

static void loaded_again(void *ctx, struct err err)
{
    struct certificate *c = ctx;
    struct tls_site *next = c->next;
    c->next = NULL;
    c->loading = false;
    if (c->pool == NULL) { /* closed meanwhile */
        tls_site_free(next);
        return;
    }
    if (!err_is(err))
        err = c->next_err;
    if (err_is(err)) {
        metric_add(&failed, 1);
        log_error("tls.reload_failed", F_C("why", c->why), F_ERR(err));
    } else {
        take(c, next);
    }
    if (c->again)
        start(c);
}

/* The files may change once more while they are read. */
static void start(void *ctx)
{
    struct certificate *c = ctx;
    c->again = c->loading;
    if (c->loading)
        return;
    c->why[0] = '\0';
    struct err err = work_start(c->pool, load, loaded_again, c);
    c->loading = !err_is(err);
    if (err_is(err))
        log_error("tls.reload_failed", F_ERR(err));
}

struct err certificate_open(struct certificate *c, struct loop *l, const char *cert_path,
                            const char *key_path)
{
    const struct work_pool_options o = {.at_once = 1, .queue = 1, .wait_us = US_PER_MIN};
    *c = (struct certificate){.cert_path = cert_path, .key_path = key_path};
    load(c);
    if (err_is(c->next_err)) {
        log_error("tls.load_failed", F_C("why", c->why));
        return c->next_err;
    }
    take(c, c->next);
    c->next = NULL;
    TRY(work_pool_new(l, &o, &c->pool));
    return loop_on_reload_signal(l, start, c);
}

void certificate_close(struct certificate *c)
{
    struct work_pool *pool = c->pool;
    c->pool = NULL;
    work_pool_free(pool);
    tls_site_free(c->site);
    c->site = NULL;
}
