/* The publisher of Firebase's keys, and somebody who signs in. Source: providers/firebase.md.
 *
 *   GET  /firebase/certs, /firebase/jwks   the keys as certificates, as a JWK set
 *   POST /firebase/_token                  an ID token:
 *        {"claims": {…}, "without": ["email"]}   over those of a good one
 *        {"payload": "…", "header": "…"}         these texts instead
 *        {"signer": "now" | "before" | "stranger"}: a stranger uses the name of the key of now
 *   POST /firebase/_keys                   {"rotate": true, "drop": true, "max_age_s": 20000}:
 *        a new key, the old one stays unless it is dropped
 *
 * Keys are made when first needed: that takes a while. */
#include "gateways/sandbox/firebase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/crypto/rsa_key.h"
#include "core/crypto/text.h"

#define PROJECT_DEFAULT "reli-demo"

enum { PROJECT = 65, KID = 40, PEM = 4096, TOKEN_LIMIT = 16 * 1024, LIFE_S = 3600 };
enum { MAX_AGE_DEFAULT_S = 20000, MAX_AGE_LIMIT_S = 1000000 };

struct pair {
    struct rsa_key *key; /* NULL: none */
    char kid[KID + 1], pem[PEM];
};

struct firebase {
    struct sandbox *s;
    char project[PROJECT];
    struct pair now, before, stranger;
    int64_t max_age_s;
};

/* ---- keys ---- */

static void pair_free(struct pair *p)
{
    rsa_key_free(p->key);
    *p = (struct pair){0};
}

static bool pair_make(struct pair *p)
{
    struct buf b, kid;
    uint8_t hash[SHA256_LEN];
    if (p->key != NULL)
        return true;
    buf_init(&b, PEM - 1);
    buf_init(&kid, KID);
    if (err_is(rsa_key_new(&p->key)) ||
        err_is(rsa_key_certificate(p->key, STR("securetoken.system.gserviceaccount.com"), &b))) {
        pair_free(p);
    } else {
        sha256_one(buf_view(&b), hash);
        hex_add(&kid, str_n((const char *)hash, KID / 2));
        str_copy_c(p->pem, sizeof p->pem, buf_view(&b));
        str_copy_c(p->kid, sizeof p->kid, buf_view(&kid));
    }
    buf_free(&b);
    buf_free(&kid);
    return p->key != NULL;
}

static void set_add(struct jsonw *w, const struct pair *p, bool jwk)
{
    if (p->key == NULL)
        return;
    if (!jwk) {
        jw_c(w, p->kid, p->pem);
        return;
    }
    struct buf b;
    buf_init(&b, PEM);
    if (!err_is(rsa_key_jwk(p->key, str_c(p->kid), &b)))
        jw_raw(w, NULL, buf_view(&b));
    buf_free(&b);
}

static void set_get(struct http_exchange *x, const char *op, bool jwk)
{
    struct sandbox *s = x->app;
    struct firebase *f = sandbox_state(x);
    struct call call = sandbox_call(x, op);
    char control[96];
    /* of the settings only being down and failing have a meaning here */
    if (sandbox_gate(s, x, &call) == GATE_SHUT)
        return;
    if (!pair_make(&f->now)) {
        sandbox_cut(s, x, &call, STR_NULL);
        return;
    }
    struct buf *b = sandbox_scratch(s);
    struct jsonw w = jw_into(b);
    jw_open(&w);
    if (jwk) {
        jw_key(&w, "keys");
        jw_open_list(&w);
    }
    set_add(&w, &f->before, jwk);
    set_add(&w, &f->now, jwk);
    if (jwk)
        jw_close_list(&w);
    jw_close(&w);
    snprintf(control, sizeof control, "public, max-age=%lld, must-revalidate, no-transform",
             (long long)f->max_age_s);
    http_set_header(x, STR("Cache-Control"), str_c(control));
    call.accepted = true;
    sandbox_reply(s, x, &call, 200, "application/json; charset=UTF-8", buf_view(b));
}

static void certs_get(struct http_exchange *x)
{
    set_get(x, "certs", false);
}

static void jwks_get(struct http_exchange *x)
{
    set_get(x, "jwks", true);
}

/* ---- the experimenter ---- */

/* The body as an object that has no other members than these; NULL: answered. */
static struct json *body_of(struct http_exchange *x, const char *const *names)
{
    struct json *j = NULL;
    struct field_errors errors = {.arena = x->arena};
    struct str body = x->body.n > 0 ? x->body : STR("{}");
    if (err_is(json_parse(body, &j, NULL)) || json_kind(j) != JSON_OBJ) {
        json_free(j);
        http_problem(x, ERR(INVALID_JSON, "body"), "send a JSON object");
        return NULL;
    }
    struct fields f = {.obj = j, .prefix = "", .errors = &errors};
    fields_only(&f, names);
    if (errors.n == 0)
        return j;
    json_free(j);
    http_problem_fields(x, ERR(VALIDATION, "body"), "unknown members", &errors);
    return NULL;
}

static void keys_show(struct http_exchange *x, const struct firebase *f)
{
    struct buf *b = sandbox_scratch(x->app);
    struct jsonw w = jw_into(b);
    jw_open(&w);
    jw_str(&w, "now", f->now.key != NULL ? str_c(f->now.kid) : STR_NULL);
    jw_str(&w, "before", f->before.key != NULL ? str_c(f->before.kid) : STR_NULL);
    jw_i64(&w, "max_age_s", f->max_age_s);
    jw_str(&w, "project_id", str_c(f->project));
    jw_close(&w);
    http_reply_json(x, 200, buf_view(b));
}

static void keys_post(struct http_exchange *x)
{
    static const char *const names[] = {"rotate", "drop", "max_age_s", NULL};
    struct firebase *f = sandbox_state(x);
    struct json *j = body_of(x, names);
    int64_t max_age_s = f->max_age_s;
    bool rotate = false, drop = false;
    if (j == NULL)
        return;
    (void)!json_bool(json_get(j, "rotate"), &rotate);
    (void)!json_bool(json_get(j, "drop"), &drop);
    if (json_i64(json_get(j, "max_age_s"), &max_age_s) && max_age_s >= 0 &&
        max_age_s <= MAX_AGE_LIMIT_S)
        f->max_age_s = max_age_s;
    json_free(j);
    if (rotate) {
        pair_free(&f->before);
        f->before = f->now;
        f->now = (struct pair){0};
    }
    if (drop)
        pair_free(&f->before);
    if (!pair_make(&f->now)) {
        http_problem(x, ERR(CRYPTO, "key"), "");
        return;
    }
    keys_show(x, f);
}

/* ---- tokens ---- */

static bool left_out(const struct json *without, const char *name)
{
    for (size_t i = 0; i < json_n(without); i++)
        if (str_eq(json_str(json_at(without, i)), str_c(name)))
            return true;
    return false;
}

static void claim_raw(struct jsonw *w, const char *name, const struct json *value)
{
    struct buf b;
    buf_init(&b, TOKEN_LIMIT);
    json_canonical(value, &b);
    jw_raw(w, name, buf_view(&b));
    buf_free(&b);
}

/* Those of a good token, with the wishes over and behind them. */
static void claims_add(const struct firebase *f, const struct json *wish, struct buf *out)
{
    static const char *const texts[] = {"iss", "aud", "sub", "user_id"};
    static const char *const times[] = {"iat", "auth_time", "exp"};
    const struct json *claims = json_get(wish, "claims"), *without = json_get(wish, "without");
    struct str sub = json_str(json_get(claims, "sub"));
    struct jsonw w = jw_into(out);
    struct json_iter it = {0};
    char iss[PROJECT + 40];
    int64_t now_s = loop_wall_us(f->s->loop) / US_PER_S;
    snprintf(iss, sizeof iss, "https://securetoken.google.com/%s", f->project);
    struct str user = sub.n > 0 ? sub : STR("sandbox-user");
    const struct str values[] = {str_c(iss), str_c(f->project), user, user};
    jw_open(&w);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (json_get(claims, texts[i]) == NULL && !left_out(without, texts[i]))
            jw_str(&w, texts[i], values[i]);
    for (size_t i = 0; i < COUNT_OF(times); i++)
        if (json_get(claims, times[i]) == NULL && !left_out(without, times[i]))
            jw_i64(&w, times[i], i < 2 ? now_s : now_s + LIFE_S);
    if (json_get(claims, "firebase") == NULL && !left_out(without, "firebase"))
        jw_raw(&w, "firebase", STR("{\"identities\":{},\"sign_in_provider\":\"password\"}"));
    while (json_next(claims, &it))
        claim_raw(&w, it.name.p, it.value);
    jw_close(&w);
}

static const struct pair *signer_of(struct firebase *f, const struct json *wish)
{
    struct str name = json_str(json_get(wish, "signer"));
    struct pair *p = &f->now;
    if (str_eq(name, STR("before")))
        return f->before.key != NULL ? &f->before : NULL;
    if (str_eq(name, STR("stranger")))
        p = &f->stranger;
    return pair_make(&f->now) && pair_make(p) ? p : NULL;
}

static struct err token_add(struct firebase *f, struct arena *a, const struct json *wish,
                            struct buf *out)
{
    const struct pair *p = signer_of(f, wish);
    struct str header = json_str(json_get(wish, "header")),
               payload = json_str(json_get(wish, "payload")), signature;
    struct buf claims;
    if (p == NULL)
        return ERR(INVALID, "no such signer");
    if (header.p == NULL)
        header = arena_fmt(a, "{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
                           p == &f->before ? p->kid : f->now.kid);
    buf_init(&claims, TOKEN_LIMIT);
    if (payload.p == NULL)
        claims_add(f, wish, &claims);
    base64url_add(out, header);
    buf_char(out, '.');
    base64url_add(out, payload.p != NULL ? payload : buf_view(&claims));
    out->failed |= claims.failed;
    buf_free(&claims);
    if (out->failed)
        return ERR(LIMIT, "too long a token");
    TRY(rsa_key_sign(p->key, a, buf_view(out), &signature));
    buf_char(out, '.');
    base64url_add(out, signature);
    return out->failed ? ERR(LIMIT, "too long a token") : ERR_OK;
}

static void token_post(struct http_exchange *x)
{
    static const char *const names[] = {"claims", "without", "payload", "header", "signer", NULL};
    struct firebase *f = sandbox_state(x);
    struct json *wish = body_of(x, names);
    struct buf token;
    if (wish == NULL)
        return;
    buf_init(&token, TOKEN_LIMIT);
    struct err err = token_add(f, x->arena, wish, &token);
    json_free(wish);
    if (err_is(err)) {
        http_problem(x, ERR(VALIDATION, "token"), err.what);
    } else {
        struct buf *b = sandbox_scratch(x->app);
        struct jsonw w = jw_into(b);
        jw_open(&w);
        jw_str(&w, "id_token", buf_view(&token));
        jw_close(&w);
        http_reply_json(x, 200, buf_view(b));
    }
    buf_free(&token);
}

/* ---- life ---- */

static const struct route routes[] = {
    {HTTP_GET_, "/certs", certs_get, 0},
    {HTTP_GET_, "/jwks", jwks_get, 0},
    {HTTP_POST_, "/_token", token_post, 0},
    {HTTP_POST_, "/_keys", keys_post, 0},
    {0, NULL, NULL, 0},
};

static struct err firebase_open(struct sandbox *s, const struct sandbox_options *o, void **state)
{
    struct firebase *f = *state = calloc(1, sizeof *f);
    if (f == NULL)
        return ERR(NO_MEMORY, "firebase");
    f->s = s;
    f->max_age_s = MAX_AGE_DEFAULT_S;
    const char *id = o->firebase_project_id;
    str_copy_c(f->project, sizeof f->project,
               str_c(id != NULL && id[0] != '\0' ? id : PROJECT_DEFAULT));
    return ERR_OK;
}

/* The keys stay: whoever has fetched them still can use them. */
static void firebase_reset(void *state)
{
    ((struct firebase *)state)->max_age_s = MAX_AGE_DEFAULT_S;
}

static void firebase_close(void *state)
{
    struct firebase *f = state;
    pair_free(&f->now);
    pair_free(&f->before);
    pair_free(&f->stranger);
    free(f);
}

const struct sandbox_provider firebase_provider = {
    .name = "firebase",
    .routes = routes,
    .open = firebase_open,
    .reset = firebase_reset,
    .close = firebase_close,
};
