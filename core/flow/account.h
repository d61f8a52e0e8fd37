#ifndef RELI_FLOW_ACCOUNT_H
#define RELI_FLOW_ACCOUNT_H

#include "core/flow/flow.h"

/* A merchant's own accounts with providers (reli.provider_account), next to the installation's.
 * All of a merchant's are read at once and believed for a second: a changed one counts within two
 * seconds. Accounts are immutable; a change makes a new one, and who holds the old one keeps it. */

enum { ACCOUNT_NAME_MAX = 32, ACCOUNT_RATE_MAX = 100000 };
/* What the sealed text of an account may be. */
enum { ACCOUNT_SEALED_MAX = 128 * 1024 };
#define ACCOUNT_PLACE "provider_account.settings"

/* What is known of the merchant's accounts is from the last second. False: ask, by
 * accounts_start. */
bool accounts_fresh(struct flow *f, struct uuid merchant);
/* Asks PostgreSQL. `done` fires once, on a later turn; the functions below then know. */
typedef void accounts_fn(void *ctx, struct err err);
void accounts_start(struct flow *f, struct uuid merchant, accounts_fn *done, void *ctx);

/* Who takes new payments: the merchant's own active account of that provider and mode, the one of
 * the lowest priority number, the older one of two; else the installation's. NULL: nobody. Lives
 * until the end of the turn, or as long as it is held. */
const struct flow_account *account_for(const struct flow *f, struct uuid merchant,
                                       const struct gateway *g, bool live);
/* The merchant's own active account of that name; of the empty name account_for's. */
const struct flow_account *account_named(const struct flow *f, struct uuid merchant,
                                         const struct gateway *g, bool live, struct str name);
/* The merchant's or the installation's account with that id, active or not; NULL if it is not
 * known here. Lives as account_for's. */
const struct flow_account *account_by_id(const struct flow *f, struct uuid merchant,
                                         struct uuid id);
/* Whether callbacks about the merchant's payments with this provider may come from there: some
 * account that he may have paid over expects them. */
bool account_expects(const struct flow *f, struct uuid merchant, const struct gateway *g, bool live,
                     struct str peer);

/* The account with that id, wherever it is known. `done` fires once, on a later turn; ERR_CONFIG
 * when there is no such account. It lives during the call, or as long as it is held. */
typedef void account_fn(void *ctx, struct err err, const struct flow_account *account);
void account_start(struct flow *f, struct uuid merchant, struct uuid id, account_fn *done,
                   void *ctx);

/* Lower-case letters, digits, - and _, a letter or digit first; at most ACCOUNT_NAME_MAX. */
bool account_name_fine(struct str s);

/* Keeps an account; NULL and the installation's are fine. */
const struct flow_account *account_hold(const struct flow_account *a);
void account_release(const struct flow_account *a);

/* What is known of the merchant is forgotten: a change counts here at once. */
void accounts_forget(struct flow *f, struct uuid merchant);
/* All of it, at the end. Nobody may hold an account any more. */
void accounts_free(struct flow *f);

/* An account's id is a UUID of version 8, so that the token of its URL is told from an attempt's.
 */
struct uuid account_id_make(int64_t wall_us);
static inline bool account_is_id(struct uuid id)
{
    return id.b[6] >> 4 == 8;
}

/* ---- the sealed text ---- */

/* Everything that decides where a payment goes is sealed, so that nobody who writes in the
 * database can lead a merchant's secrets elsewhere. Texts p == NULL are unset. */
struct account_text {
    const struct gateway *gateway;
    bool live;
    struct str base_url, callback_cidrs;
    int64_t rate_per_s;
    struct str settings[GW_MAX_SETTINGS]; /* in the order of gateway.settings */
};
/* Appends JSON. */
void account_text_put(struct buf *b, const struct account_text *t);
/* ERR_CRYPTO if it is not of that provider and mode, ERR_PARSE if it is not understood. Texts live
 * in the arena. */
struct err account_text_read(struct str plain, const struct gateway *g, bool live, struct arena *a,
                             struct account_text *out) MUST_USE;
/* The account as the provider's functions see it; its secrets are to be freed by
 * account_wipe. What the merchant leaves open is the installation's, or the provider's default. */
struct err account_make(const struct flow *f, const struct account_text *t,
                        struct flow_account *out) MUST_USE;
void account_wipe(struct flow_account *a);

#endif
