#ifndef RELI_CONF_H
#define RELI_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/address.h"
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/domain/gcra.h"
#include "core/domain/schedule.h"
#include "core/flow/flow.h"
#include "gateways/gateway.h"
#include "gateways/health.h"

/* The configuration: environment only (contract.md, section 2). Read once; every fault is told in
 * one go. */

enum conf_need {
    CONF_DATABASE = 1, /* DATABASE_URL */
    CONF_KEYS = 2,     /* RELI_MASTER_KEY */
    CONF_SERVE = 4,    /* all that the service needs */
};

enum { CONF_MAX_ACCOUNTS = 16 };

struct conf {
    struct arena arena;
    const char *listen, *metrics_listen;
    const char *tls_cert, *tls_key; /* both, or none */
    struct str public_url;
    struct str https_base; /* public_url if an address of `listen` has TLS, else empty */
    const char *database_url, *migrate_url, *redis_url;
    int pg_writers, pg_readers;
    bool batch_by_merchant; /* a commit is one merchant's */
    struct str master_key;
    struct cidr_list trusted_proxies, metrics_cidrs, admin_cidrs;
    struct str trusted_proxies_text, cors_origins;
    struct schedule webhook_schedule, poll_schedule;
    struct schedule callback_schedule; /* of what providers have called back with */
    bool has_poll_schedule;
    bool webhook_allow_private;
    int64_t payment_expiry_us, provider_timeout_us, idempotency_retention_us, drain_timeout_us;
    struct health_rules health;
    struct gcra_rule rate_limit, rate_limit_webhooks, rate_limit_login;
    const char *test_clock;
    struct session_rules sessions;
    struct firebase_settings firebase;
    bool maintenance;
    bool provider_live;
    enum log_level log_level;
    int n_accounts;
    struct gw_account
        accounts[CONF_MAX_ACCOUNTS]; /* providers whose settings are complete, and manual ones */
    int n_faults;
};

/* Reads and checks what `need` (enum conf_need) asks for; prints each fault on standard error.
 * ERR_CONFIG if there was one. conf_free in any case. */
struct err conf_read(struct conf *c, unsigned need) MUST_USE;
void conf_free(struct conf *c);

#endif
