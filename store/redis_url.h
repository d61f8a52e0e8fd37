#ifndef RELI_STORE_REDIS_URL_H
#define RELI_STORE_REDIS_URL_H

#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/secret.h"

enum { REDIS_HOST_MAX = 253, REDIS_PATH_MAX = 107, REDIS_USER_MAX = 127 };

/* Where Redis is and who we are there. */
struct redis_target {
    bool is_unix;
    char host[REDIS_HOST_MAX + 1]; /* or the socket's path */
    char port[6];
    char user[REDIS_USER_MAX + 1]; /* "" for the default user */
    struct secret password;        /* empty: none is sent */
    int db;
};

/* redis://[user:password@]host[:port][/db] or unix://path[?db=n]; user, password and path may be
 * percent-encoded. ERR_CONFIG for anything else, `*out` is then empty. */
struct err redis_target_parse(const char *url, struct redis_target *out) MUST_USE;
/* Safe on a zero struct. */
void redis_target_free(struct redis_target *t);

#endif
