/* Per account: the access token (kept until 90 % of its life, shared between replicas and between
 * accounts with the same keys, fetched once for all who wait) and the rate at which the provider
 * takes requests.
 *
 *   want a token → kept: go on
 *                | ask the share → a newer one: keep it, all go on
 *                | fetch → keep it, give it to the share, all go on
 *
 * A fetch that fails while the old token still lives is tried again a little later; without a token
 * all who wait are told. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "gateways/client_int.h"

#define HASH_FUNCTION(keyptr, keylen, hashv) \
    ((hashv) = (unsigned)short_hash(str_n((const char *)(keyptr), (keylen))))
#define uthash_fatal(msg) assert_failed((msg), __FILE__, __LINE__)
#include <uthash.h>

enum { MAX_SLOTS = 4096, SLOT_KEY = 96, FETCH_ARENA = 64 * 1024, ORDERS = 0, QUERIES = 1 };
#define SHARE_TIMEOUT_US (1 * US_PER_S)
#define FETCH_TIMEOUT_US (10 * US_PER_S)
#define RENEW_AGAIN_US (10 * US_PER_S)

struct slot {
    UT_hash_handle hh;
    struct gw_client *client;
    char key[SLOT_KEY]; /* gateway and account */
    size_t users;       /* operations that point here */
    bool no_token;

    struct secret token;
    unsigned generation;          /* counts tokens */
    int64_t renew_us, expires_us; /* wall */
    struct secret rejected;       /* the last one that was: the share may still have it */
    struct fetch *fetch;          /* under way */
    struct list want_token;

    int64_t step_us;          /* 1 s / rate; 0 no limit */
    int64_t full_us;          /* monotonic: when the bucket is full again */
    int64_t asked_us;         /* monotonic: when the last query had its turn; 0 never */
    struct list want_turn[2]; /* ORDERS, QUERIES */
    struct timer turn;

    struct slot_health health;
};

/* Getting a token: first the share, then the provider. */
struct fetch {
    struct slot *slot; /* NULL: the client is gone */
    struct arena mem;
    struct gw_account account;
    char key[SLOT_KEY]; /* that the share knows the token by */
    struct share_ask *ask;
    struct timer share_late;
    struct outbound_call *call;
};

/* What the share holds; it may answer after nobody asks any more. */
struct share_ask {
    struct fetch *fetch;
};

static void fetch_start(struct slot *s, const struct gw_account *a);
static void share_answered(void *ctx, struct str token, int64_t expires_wall_us);
static void share_late(void *ctx);
static void fetch_call(struct fetch *f);
static void fetch_answered(void *ctx, const struct outbound_response *response);
static void fetch_end(struct fetch *f, struct err err);
static void turn_comes(void *ctx);

/* ---- slots ---- */

static void slot_drop(struct gw_client *c, struct slot *s)
{
    HASH_DEL(c->slots, s);
    timer_off(c->loop, &s->turn);
    slot_health_drop(&s->health);
    secret_free(&s->token);
    secret_free(&s->rejected);
    free(s);
}

/* Makes room: the oldest account that is not at work goes, token and all. */
static bool slots_room(struct gw_client *c)
{
    if (HASH_COUNT(c->slots) < MAX_SLOTS)
        return true;
    for (struct slot *s = c->slots; s != NULL; s = s->hh.next) {
        if (s->users == 0 && s->fetch == NULL) {
            slot_drop(c, s);
            return true;
        }
    }
    return false;
}

/* What the account is found by; its length. */
static size_t key_of(const struct gw_account *a, char key[SLOT_KEY])
{
    int n = snprintf(key, SLOT_KEY, "%s:%s", a->gateway->name, a->id);
    ASSERT(n > 0 && n < SLOT_KEY);
    return (size_t)n;
}

struct slot *slot_find(const struct gw_client *c, const struct gw_account *a)
{
    char key[SLOT_KEY];
    struct slot *s;
    size_t n = key_of(a, key);
    HASH_FIND(hh, c->slots, key, n, s);
    return s;
}

struct slot *slot_next(const struct gw_client *c, struct slot *s)
{
    return s == NULL ? c->slots : s->hh.next;
}

struct slot_health *slot_health(struct slot *s)
{
    return &s->health;
}

struct err slot_hold(struct gw_client *c, const struct gw_account *a, struct slot **out)
{
    char key[SLOT_KEY];
    size_t n = key_of(a, key);
    struct slot *s = slot_find(c, a);
    if (s == NULL) {
        if (!slots_room(c))
            return ERR(OVERLOADED, "too many accounts at work");
        s = calloc(1, sizeof *s);
        if (s == NULL)
            return ERR(NO_MEMORY, "account slot");
        s->client = c;
        s->no_token = a->gateway->token_build == NULL;
        memcpy(s->key, key, sizeof key);
        list_init(&s->want_token);
        list_init(&s->want_turn[ORDERS]);
        list_init(&s->want_turn[QUERIES]);
        slot_health_init(&s->health, a);
        HASH_ADD_KEYPTR(hh, c->slots, s->key, n, s);
    }
    s->step_us = a->rate_per_s > 0 ? US_PER_S / a->rate_per_s : 0;
    s->users++;
    *out = s;
    return ERR_OK;
}

void slot_release(struct slot *s)
{
    ASSERT(s->users > 0);
    s->users--;
}

void slots_free(struct gw_client *c)
{
    for (struct slot *s = c->slots, *next; s != NULL; s = next) {
        next = s->hh.next;
        struct fetch *f = s->fetch;
        ASSERT(s->users == 0);
        if (f != NULL) {
            f->slot = NULL;
            timer_off(c->loop, &f->share_late);
            if (f->ask != NULL)
                f->ask->fetch = NULL;
            if (f->call != NULL) {
                outbound_cancel(f->call); /* fetch_answered frees it */
            } else {
                arena_free(&f->mem);
                free(f);
            }
        }
        slot_drop(c, s);
    }
}

void slot_leave(struct op *op)
{
    if (op->in != NULL)
        list_remove(op->in, &op->waiting);
    op->in = NULL;
}

static void slot_enter(struct op *op, struct list *in)
{
    op->in = in;
    list_push(in, &op->waiting);
}

/* ---- tokens ---- */

bool slot_token(const struct slot *s, struct str *token, unsigned *generation)
{
    *token = s->token.n > 0 ? secret_view(&s->token) : STR("");
    *generation = s->generation;
    return s->no_token || s->token.n > 0;
}

void slot_want_token(struct slot *s, struct op *op)
{
    if (s->no_token || (s->token.n > 0 && loop_wall_us(s->client->loop) < s->renew_us)) {
        op_has_token(op);
        return;
    }
    slot_enter(op, &s->want_token);
    if (s->fetch == NULL)
        fetch_start(s, &op->account);
}

bool slot_token_rejected(struct slot *s, unsigned generation)
{
    if (generation != s->generation || s->token.n == 0)
        return false; /* there is a newer one already */
    secret_free(&s->rejected);
    s->rejected = s->token;
    s->token = (struct secret){0};
    return true;
}

static struct err slot_keep(struct slot *s, struct str token, int64_t life_us)
{
    int64_t now_us = loop_wall_us(s->client->loop);
    struct secret fresh = {0};
    TRY(secret_set(&fresh, token));
    secret_free(&s->token);
    s->token = fresh;
    s->generation++;
    s->expires_us = now_us + life_us;
    s->renew_us = now_us + life_us / 10 * 9;
    return ERR_OK;
}

/* A token belongs to the keys that it was given for, not to one of our accounts with them: where a
 * new one ends the older, two accounts of one application would take it from each other for ever.
 * Who does not know the secret as well has another name for it. Source: mpesa.md 1.1. Seen: sandbox
 * yes, live no. */
static void share_key(const struct gw_account *a, char key[SLOT_KEY])
{
    enum { HASH_SHOWN = 16 };
    uint8_t hash[SHA256_LEN];
    struct str parts[4 + 2 * GW_MAX_SETTINGS] = {a->base_url, STR("\n")};
    size_t n = 2;
    for (size_t i = 0; i < a->gateway->n_settings; i++) {
        enum gw_role role = a->gateway->settings[i].role;
        if (role != GW_ROLE_API_KEY && role != GW_ROLE_API_SECRET)
            continue;
        parts[n++] = a->settings[i].n > 0 ? secret_view(&a->settings[i]) : STR("");
        parts[n++] = STR("\n");
    }
    sha256(parts, n, hash);
    size_t at = (size_t)snprintf(key, SLOT_KEY, "%s:", a->gateway->name);
    for (size_t i = 0; i < HASH_SHOWN; i++)
        at += (size_t)snprintf(key + at, SLOT_KEY - at, "%02x", hash[i]);
    ASSERT(at < SLOT_KEY);
}

static void fetch_start(struct slot *s, const struct gw_account *a)
{
    const struct gw_token_share *share = &s->client->share;
    struct fetch *f = calloc(1, sizeof *f);
    ASSERT(f != NULL);
    f->slot = s;
    s->fetch = f;
    arena_init(&f->mem, FETCH_ARENA);
    struct err err = account_copy(&f->mem, a, &f->account);
    if (err_is(err)) {
        fetch_end(f, err);
        return;
    }
    share_key(a, f->key);
    f->ask = share->get != NULL ? calloc(1, sizeof *f->ask) : NULL;
    if (f->ask == NULL) {
        fetch_call(f);
        return;
    }
    f->ask->fetch = f;
    timer_set(s->client->loop, &f->share_late, SHARE_TIMEOUT_US, share_late, f);
    share->get(share->ctx, f->key, share_answered, f->ask); /* `f` may be gone now */
}

static void share_answered(void *ctx, struct str token, int64_t expires_wall_us)
{
    struct share_ask *ask = ctx;
    struct fetch *f = ask->fetch;
    free(ask);
    if (f == NULL)
        return;
    struct slot *s = f->slot;
    f->ask = NULL;
    timer_off(s->client->loop, &f->share_late);
    int64_t left_us = expires_wall_us - loop_wall_us(s->client->loop);
    bool news = token.n > 0 && left_us > 0 && !secret_eq(token, secret_view(&s->rejected)) &&
                !secret_eq(token, secret_view(&s->token));
    if (news && !err_is(slot_keep(s, token, left_us)))
        fetch_end(f, ERR_OK);
    else
        fetch_call(f);
}

static void share_late(void *ctx)
{
    struct fetch *f = ctx;
    f->ask->fetch = NULL;
    f->ask = NULL;
    fetch_call(f);
}

static void fetch_call(struct fetch *f)
{
    struct outbound_request request = {0};
    struct err err = f->account.gateway->token_build(&f->account, &f->mem, &request);
    if (request.timeout_us <= 0 || request.timeout_us > FETCH_TIMEOUT_US)
        request.timeout_us = FETCH_TIMEOUT_US;
    request.public_only = f->account.public_only;
    if (!err_is(err))
        err = outbound_start(f->slot->client->out, &request, fetch_answered, f, &f->call);
    if (err_is(err))
        fetch_end(f, err);
}

/* The body is not logged and not stored: it is the token. */
static void fetch_answered(void *ctx, const struct outbound_response *response)
{
    struct fetch *f = ctx;
    struct str token = STR_NULL;
    int64_t life_us = 0;
    f->call = NULL;
    if (f->slot == NULL) {
        arena_free(&f->mem);
        free(f);
        return;
    }
    struct slot *s = f->slot;
    const struct gw_token_share *share = &s->client->share;
    struct err err = f->account.gateway->token_parse(response, &f->mem, &token, &life_us);
    if (!err_is(err))
        err = slot_keep(s, token, life_us);
    if (!err_is(err) && share->put != NULL)
        share->put(share->ctx, f->key, token, s->expires_us);
    fetch_end(f, err);
}

static void fetch_end(struct fetch *f, struct err err)
{
    struct slot *s = f->slot;
    int64_t now_us = loop_wall_us(s->client->loop);
    s->fetch = NULL;
    arena_free(&f->mem);
    free(f);
    bool go_on = !err_is(err);
    if (err_is(err)) {
        log_warn("gateway.token", F_C("account", s->key), F_ERR(err));
        go_on = s->token.n > 0 && now_us < s->expires_us;
        s->renew_us = now_us + RENEW_AGAIN_US;
        if (!go_on)
            secret_free(&s->token);
    }
    bool ours = err.code == ERR_CONFIG || err.code == ERR_INVALID;
    bool full = err.code == ERR_OVERLOADED || err.code == ERR_NO_MEMORY, told = false;
    for (size_t n = s->want_token.n; n > 0; n--) {
        struct op *op = CONTAINER_OF(list_first(&s->want_token), struct op, waiting);
        slot_leave(op);
        if (go_on) {
            op_has_token(op);
            continue;
        }
        op->outcome = ours ? HEALTH_TOKEN_REFUSED : full ? HEALTH_NOTHING : HEALTH_UNWELL;
        if (ours && told && op->probes == 0)
            op->outcome = HEALTH_NOTHING; /* refused once, whoever waited */
        told = true;
        op_fail(op, false, ours ? FAILURE_CONFIGURATION : FAILURE_PROVIDER_UNAVAILABLE, err.what);
    }
}

/* ---- turns ---- */

/* A provider that is not well is asked four times a second: what is asked decides about money and
 * is never held back altogether, but a thousand payments must not keep him down. */
#define UNWELL_STEP_US (US_PER_S / 4)

static bool is_unwell(const struct slot *s, int64_t now_us)
{
    struct health_view v = health_look(&s->health.health, &s->client->health, now_us);
    return v.state == HEALTH_OPEN && strcmp(v.reason, "unwell") == 0;
}

/* A bucket that holds one second's requests; queries leave half of it to orders. 0: go; else the
 * time to wait. */
static int64_t turn_wait_us(const struct slot *s, int kind, int64_t now_us)
{
    int64_t spare_us = US_PER_S - s->step_us, slow_us = 0;
    if (kind == QUERIES)
        spare_us /= 2;
    if (kind == QUERIES && s->asked_us != 0 && is_unwell(s, now_us))
        slow_us = s->asked_us + UNWELL_STEP_US - now_us;
    int64_t wait_us = s->step_us > 0 ? s->full_us - spare_us - now_us : 0;
    wait_us = wait_us > slow_us ? wait_us : slow_us;
    return wait_us > 0 ? wait_us : 0;
}

static void turn_take(struct slot *s, int kind, int64_t now_us)
{
    if (s->step_us > 0)
        s->full_us = (s->full_us > now_us ? s->full_us : now_us) + s->step_us;
    if (kind == QUERIES)
        s->asked_us = now_us > 0 ? now_us : 1;
}

static void turns_arm(struct slot *s, int64_t now_us)
{
    int kind = list_is_empty(&s->want_turn[ORDERS]) ? QUERIES : ORDERS;
    if (list_is_empty(&s->want_turn[kind]))
        return;
    timer_set(s->client->loop, &s->turn, turn_wait_us(s, kind, now_us), turn_comes, s);
}

void slot_want_turn(struct slot *s, struct op *op)
{
    int kind = op_is_order(op) ? ORDERS : QUERIES;
    int64_t now_us = loop_mono_us(s->client->loop);
    bool first = list_is_empty(&s->want_turn[ORDERS]) &&
                 (kind == ORDERS || list_is_empty(&s->want_turn[QUERIES]));
    if (first && turn_wait_us(s, kind, now_us) == 0) {
        turn_take(s, kind, now_us);
        op_has_turn(op);
        return;
    }
    slot_enter(op, &s->want_turn[kind]);
    turns_arm(s, now_us);
}

static void turn_comes(void *ctx)
{
    struct slot *s = ctx;
    int64_t now_us = loop_mono_us(s->client->loop);
    for (int kind = ORDERS; kind <= QUERIES; kind++) {
        while (!list_is_empty(&s->want_turn[kind]) && turn_wait_us(s, kind, now_us) == 0) {
            struct op *op = CONTAINER_OF(list_first(&s->want_turn[kind]), struct op, waiting);
            slot_leave(op);
            turn_take(s, kind, now_us);
            op_has_turn(op);
        }
        if (!list_is_empty(&s->want_turn[kind]))
            break;
    }
    turns_arm(s, now_us);
}
