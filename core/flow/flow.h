#ifndef RELI_FLOW_FLOW_H
#define RELI_FLOW_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/times.h"
#include "core/crypto/jwt.h"
#include "core/domain/delivery.h"
#include "core/domain/payment.h"
#include "core/domain/rush.h"
#include "core/flow/vault.h"
#include "core/loop/loop.h"
#include "gateways/client.h"
#include "store/redis.h"
#include "store/rows.h"
#include "store/store.h"

/* What every use case works with. One per process, made and filled by core/app.c. */

/* Of people's sessions. */
struct session_rules {
    struct jwt_secret secrets[2]; /* of access tokens: the first signs, both are believed */
    size_t n_secrets;             /* 0: nobody can log in */
    int64_t access_us, refresh_us, idle_us, max_us;
    char kids[2][9]; /* what the secrets are named in tokens: session_name_secrets */
};

/* What the first login of a Firebase account does; core/flow/firebase_login.h. */
enum firebase_first { FIREBASE_OFF, FIREBASE_LINK, FIREBASE_CREATE };

struct firebase_settings {
    enum firebase_first first; /* FIREBASE_OFF: no logins by Firebase */
    struct str project;
    const char *keys_url;
    int64_t skew_s;
    bool emulator; /* believes whatever anybody says: for development only */
};

struct flow_settings {
    struct str public_url;     /* base of callback URLs, without a trailing slash */
    int64_t payment_expiry_us; /* of mobile money; 0: the gateway's own */
    int64_t idempotency_retention_us;
    struct payment_rules rules;    /* prompt window and capabilities come from the gateway */
    struct schedule inbound_waits; /* between tries to process a callback */
    struct delivery_rules delivery;
    bool webhook_allow_private;
    bool provider_live;          /* the mode of the installation's accounts */
    int64_t provider_timeout_us; /* of merchants' own accounts */
    struct session_rules sessions;
    struct firebase_settings firebase;
};

enum { FLOW_MAX_ACCOUNTS = 16 };

struct account_set;
struct account_cache;
struct firebase_keys;
struct passwords;
struct security;
struct throttle;
struct maintenance;

/* An account with a provider: the installation's, or a merchant's own (account.h). */
struct flow_account {
    struct gw_account gw;
    struct uuid id;
    /* of a merchant's own only */
    char name[33];
    bool live, active;
    struct secret url;       /* what gw.base_url views */
    struct account_set *set; /* NULL: the installation's */
};

struct flow {
    struct loop *loop;
    struct store *store;
    struct redis *redis;       /* NULL without */
    struct outbound *outbound; /* merchants' webhooks */
    struct gw_client *gateways;
    struct vault *vault;
    struct uuid replica; /* owner of leases */
    int n_replicas;      /* that live, this one included, as last known; 0: not yet */
    struct flow_settings settings;
    int n_accounts;
    struct flow_account accounts[FLOW_MAX_ACCOUNTS];
    struct deliver_gate *deliveries;     /* deliver.h */
    size_t webhooks_held;                /* bytes of them; webhook.h */
    struct account_cache *account_cache; /* merchants' own; account.h */
    struct firebase_keys *firebase_keys; /* NULL without Firebase, and with its emulator */
    struct passwords *passwords;         /* hashed and checked off the loop; password_work.h */
    struct security *security;           /* what was refused to whom; security.h */
    struct throttle *throttle;           /* limits on requests; throttle.h */
    struct maintenance *maintenance;     /* maintenance.h */
    /* Called for each event that was committed here. */
    void (*published)(void *ctx, struct uuid merchant, struct uuid payment, int32_t seq);
    void *published_ctx;
    int busy; /* operations under way: a drain waits for them */
    /* Callbacks that came a moment ago; callback.h. */
    struct {
        struct rush rush; /* more come than are processed */
        int n_kept;       /* whose lease is ours */
        int n_running;    /* of these, they that are being processed */
        struct list line; /* the others; struct receive */
    } callbacks;
    bool closing; /* no new background work */
};

/* The installation's account of this provider and mode; NULL if there is none. */
const struct flow_account *flow_account(const struct flow *f, struct str provider, bool live);
/* The installation's account with that id; NULL if it is none of its own. */
const struct flow_account *flow_account_by_id(const struct flow *f, struct uuid id);
/* The rules of a payment with this gateway. */
struct payment_rules flow_rules(const struct flow *f, const struct gateway *g);
/* What a provider is told to call an attempt (gw_charge.our_id, gw_refund.our_id): its id, and
 * where webhooks have to find it by that alone, 64 hex digits of its id and the merchant's id. */
enum { OUR_ID_TEXT = 65 };
const char *our_id_make(const struct gateway *g, struct uuid attempt, struct uuid merchant,
                        char out[OUR_ID_TEXT]);
/* Where the provider calls back about `subject`: an attempt, or an account of the merchant's. Lives
 * in the arena; STR_NULL if there is no room. */
struct str flow_callback_url(struct flow *f, struct arena *a, const struct gateway *g,
                             struct uuid subject, struct uuid merchant);
/* Of such 64 digits; false if it is none. */
bool our_id_read(struct str our_id, struct uuid *attempt, struct uuid *merchant) MUST_USE;
/* Tells subscribers here and elsewhere of an event, and starts the fan-out whose job this process
 * holds. */
void flow_published(struct flow *f, const struct payment_record *rec, int32_t seq, bool fanout);

/* How long a job that this process works on is kept from others. */
#define FLOW_LEASE_US (60 * US_PER_S)

#endif
