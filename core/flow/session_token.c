/* What a person carries: an access token, which is a JWT, and a refresh token, which is good once.
 * A refresh token is made of its number and an HMAC: the database holds nothing of it, and a number
 * that has passed is known for genuine when it comes again. */
#include "core/flow/session_token.h"

#include "core/base/secret.h"
#include "core/codec/jsonw.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"

enum { MAC = 16, BODY = 16 + 4 };
_Static_assert(4 + 2 * (BODY + MAC) == SESSION_REFRESH_LEN, "refresh token");

/* Clocks of replicas may differ by two seconds from PostgreSQL's. */
enum { SKEW_S = 5 };
static const struct str issuer = {"reli", 4};

void session_name_secrets(struct session_rules *rules)
{
    for (size_t i = 0; i < rules->n_secrets; i++) {
        struct str parts[] = {STR("reli access token"), rules->secrets[i].key};
        uint8_t hash[SHA256_LEN];
        sha256(parts, COUNT_OF(parts), hash);
        for (size_t k = 0; k < 8; k++)
            rules->kids[i][k] = "0123456789abcdef"[hash[k] & 15];
        rules->secrets[i].kid = str_n(rules->kids[i], 8);
    }
}

static void refresh_mac(struct vault *v, const uint8_t body[BODY], uint8_t out[32])
{
    vault_hash(v, "refresh", str_n((const char *)body, BODY), out);
}

void session_refresh_make(struct vault *v, struct uuid session, int32_t generation,
                          char out[SESSION_REFRESH_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t b[BODY + 32];
    memcpy(b, session.b, 16);
    for (int i = 0; i < 4; i++)
        b[16 + i] = (uint8_t)((uint32_t)generation >> (24 - 8 * i));
    refresh_mac(v, b, b + BODY);
    memcpy(out, "rrt_", 4);
    for (size_t i = 0; i < BODY + MAC; i++) {
        out[4 + 2 * i] = digits[b[i] >> 4];
        out[5 + 2 * i] = digits[b[i] & 15];
    }
    out[SESSION_REFRESH_LEN] = '\0';
}

bool session_refresh_read(struct vault *v, struct str token, struct uuid *session,
                          int32_t *generation)
{
    uint8_t b[BODY + MAC], mac[32];
    uint32_t n = 0;
    if (token.n != SESSION_REFRESH_LEN || !str_starts(token, STR("rrt_")) ||
        !hex_decode(str_from(token, 4), true, b, sizeof b))
        return false;
    refresh_mac(v, b, mac);
    if (!secret_eq(str_n((const char *)mac, MAC), str_n((const char *)b + BODY, MAC)))
        return false;
    for (int i = 0; i < 4; i++)
        n = n << 8 | b[16 + i];
    memcpy(session->b, b, 16);
    *generation = (int32_t)n;
    return n >= 1 && n <= INT32_MAX;
}

struct err session_access_make(const struct session_rules *rules, struct arena *a, struct uuid user,
                               struct uuid session, int64_t now_us, int64_t until_us,
                               struct str *out)
{
    struct buf claims, token;
    if (rules->n_secrets == 0)
        return ERR(UNAVAILABLE, "JWT_SECRET_KEY is not set");
    buf_init(&claims, SESSION_ACCESS_MAX);
    buf_init(&token, SESSION_ACCESS_MAX);
    struct jsonw w = jw_into(&claims);
    jw_open(&w);
    jw_str(&w, "iss", issuer);
    jw_str(&w, "aud", issuer);
    jw_uuid(&w, "sub", user);
    jw_uuid(&w, "sid", session);
    jw_i64(&w, "iat", now_us / US_PER_S);
    jw_i64(&w, "nbf", now_us / US_PER_S);
    jw_i64(&w, "exp", until_us / US_PER_S);
    jw_close(&w);
    struct err err = claims.failed ? ERR(NO_MEMORY, "claims")
                                   : jwt_sign_hs256(&token, rules->secrets[0].kid,
                                                    buf_view(&claims), rules->secrets[0].key);
    if (!err_is(err)) {
        *out = arena_dup(a, buf_view(&token));
        if (token.failed || out->p == NULL)
            err = ERR(NO_MEMORY, "token");
    }
    buf_free(&claims);
    buf_free(&token);
    return err;
}

struct err session_access_read(const struct session_rules *rules, struct str token, int64_t now_us,
                               struct uuid *user, struct uuid *session)
{
    struct jwt_rules check = {issuer, issuer, now_us / US_PER_S, SKEW_S};
    struct json *claims;
    if (rules->n_secrets == 0)
        return ERR(UNAUTHENTICATED, "JWT_SECRET_KEY is not set");
    TRY(jwt_verify_hs256(token, rules->secrets, rules->n_secrets, &claims));
    struct err err = jwt_check(claims, &check);
    if (!err_is(err) && (!uuid_parse(jwt_text(claims, "sub", UUID_TEXT), user) ||
                         !uuid_parse(jwt_text(claims, "sid", UUID_TEXT), session)))
        err = ERR(UNAUTHENTICATED, "no access token");
    json_free(claims);
    return err;
}
