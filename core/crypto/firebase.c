/* The ten checks of an ID token. Source: firebase.google.com, "Verify ID Tokens", and the Admin
 * SDKs (Node 14.3, Go, Python), which differ in the tolerance of times: here one tolerance for
 * exp, iat and auth_time. */
#include "core/crypto/firebase.h"

#include <stdio.h>

enum { PROJECT_MAX = 64 };

#define ISSUER "https://securetoken.google.com/"
#define REFUSED(what) ERR(UNAUTHENTICATED, "token: " what)

static struct err claims_check(const struct json *c, const struct firebase_rules *rules,
                               struct firebase_user *user);

struct err firebase_read(struct str token, const struct firebase_rules *rules,
                         struct firebase_token *out)
{
    *out = (struct firebase_token){0};
    TRY(jwt_read(token, rules->emulator ? JWT_NONE : JWT_RS256, &out->jwt));
    struct err err = claims_check(out->jwt.claims, rules, &out->user);
    if (err_is(err))
        firebase_free(out);
    return err;
}

struct err firebase_signed(const struct firebase_token *t, const struct firebase_rules *rules,
                           const struct jwt_keys *keys)
{
    if (rules->emulator)
        return ERR_OK;
    const struct jwt_key *key = jwt_keys_find(keys, t->jwt.kid);
    return key != NULL ? jwt_signed_by(&t->jwt, key) : ERR(NOT_FOUND, "token: unknown kid");
}

void firebase_free(struct firebase_token *t)
{
    jwt_free(&t->jwt);
    *t = (struct firebase_token){0};
}

bool firebase_project_ok(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!ascii_is_alpha(id.p[i]) && !ascii_is_digit(id.p[i]) &&
            str_find(STR("-.:_"), id.p[i], 0) == SIZE_MAX)
            return false;
    return id.n > 0 && id.n <= PROJECT_MAX;
}

static struct err claims_check(const struct json *c, const struct firebase_rules *rules,
                               struct firebase_user *user)
{
    char issuer[sizeof ISSUER + PROJECT_MAX];
    ASSERT(firebase_project_ok(rules->project) && rules->skew_s <= FIREBASE_SKEW_MAX_S);
    snprintf(issuer, sizeof issuer, ISSUER "%.*s", STR_ARG(rules->project));
    struct jwt_rules general = {.iss = str_c(issuer),
                                .aud = rules->project,
                                .now_s = rules->now_s,
                                .skew_s = rules->skew_s};
    TRY(jwt_check(c, &general));
    if (!jwt_seconds(c, "auth_time", &user->auth_time_s) ||
        user->auth_time_s > rules->now_s + rules->skew_s)
        return REFUSED("auth_time");
    /* A tenant's own identity provider may vouch for whatever address it likes. */
    if (json_path(c, "firebase", "tenant", NULL) != NULL)
        return REFUSED("of a tenant");
    user->sub = jwt_text(c, "sub", FIREBASE_SUB_MAX);
    if (user->sub.p == NULL)
        return REFUSED("sub");
    user->email = jwt_text(c, "email", FIREBASE_EMAIL_MAX);
    user->name = jwt_text(c, "name", FIREBASE_NAME_MAX);
    user->provider = jwt_text(json_get(c, "firebase"), "sign_in_provider", FIREBASE_NAME_MAX);
    if (!json_bool(json_get(c, "email_verified"), &user->email_verified) || user->email.n == 0)
        user->email_verified = false;
    return ERR_OK;
}
