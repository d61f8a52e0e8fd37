#ifndef RELI_CERTIFICATE_H
#define RELI_CERTIFICATE_H

#include "core/crypto/tls.h"
#include "core/loop/work.h"

/* The certificate of the listeners, from its files at the start and again on SIGHUP. Connections
 * keep the one that they began with. */
struct certificate {
    struct work_pool *pool;
    const char *cert_path, *key_path;
    struct tls_site *site; /* listeners look here for each connection */
    struct tls_site *next; /* of a reload under way */
    struct err next_err;
    char why[TLS_WHY];
    bool loading, again;
};

/* Reads the files and waits for SIGHUP. The paths are borrowed. */
struct err certificate_open(struct certificate *c, struct loop *l, const char *cert_path,
                            const char *key_path) MUST_USE;
/* Before the loop's last run, which ends a reading under way. Safe on a zero struct. */
void certificate_close(struct certificate *c);

#endif
