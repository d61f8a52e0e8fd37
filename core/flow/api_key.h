#ifndef RELI_FLOW_API_KEY_H
#define RELI_FLOW_API_KEY_H

#include "core/base/arena.h"
#include "core/codec/jsonw.h"
#include "core/flow/auth.h"

/* API keys as they are kept and shown. */

enum { API_KEY_NAME_MAX = 64, API_KEY_CIDRS_MAX = 16 };

/* Texts are borrowed from the rows or the arena; STR_NULL: none. */
struct api_key {
    struct uuid id;
    struct str mode, name, prefix, scopes, cidrs, status;
    struct str created_by; /* a person, whom it stands for; STR_NULL: nobody but itself */
    int64_t expires_us, last_used_us, created_us, updated_us; /* 0: none */
    int32_t version;
};

/* A row of api_key_list or api_key_show; its texts are copied. ERR_NO_MEMORY. */
struct err api_key_read(const struct rows *r, size_t row, struct arena *a,
                        struct api_key *out) MUST_USE;
/* The resource; `secret` is the key itself, where it is new. */
void api_key_put(struct jsonw *w, const struct api_key *k, struct str secret, int64_t now_us);
/* active, rotating, revoked, or expired by now. */
const char *api_key_status(const struct api_key *k, int64_t now_us);

/* Up to API_KEY_CIDRS_MAX networks by commas, as they are stored: the shortest text of each. False
 * if there is something else among them. */
bool api_key_networks(struct str text, struct arena *a, struct str *out) MUST_USE;

/* Nobody gives away more than he has: whether a key with these scopes, networks and end is within
 * what its maker may; `maker` is his own key, NULL for a person. */
bool api_key_within(uint64_t may, const struct api_key *maker,
                    const struct api_key *wanted) MUST_USE;

#endif
