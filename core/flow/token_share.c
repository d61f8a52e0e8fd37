/* Access tokens in Redis: `reli:<platform merchant>:token:<provider>:<hash of its keys>` holds the
 * sealed token, and lives as long as it. */
#include "core/flow/token_share.h"

#include <stdlib.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"

#define PLATFORM "reli:00000000-0000-0000-0000-000000000000:token:"

struct get {
    struct flow *flow;
    struct uuid place;
    struct later later;
    void (*done)(void *done_ctx, struct str token, int64_t expires_wall_us);
    void *done_ctx;
};

static struct str key_of(struct arena *a, const char *account)
{
    return arena_fmt(a, PLATFORM "%s", account);
}

/* Bound to its key: the token of one pair of keys does not open as another's. */
static struct uuid place_of(struct str key)
{
    struct uuid id;
    uint8_t hash[SHA256_LEN];
    sha256_one(key, hash);
    memcpy(id.b, hash, sizeof id.b);
    return id;
}

/* "expires token", opened. */
static void answer(struct get *g, const struct redis_reply *reply)
{
    struct arena a;
    struct str plain = STR_NULL, expires, token = STR_NULL;
    int64_t expires_us = 0;
    arena_init(&a, 64 * 1024);
    if (reply != NULL && !reply->nil &&
        !err_is(vault_open(g->flow->vault, "redis.token", UUID_NIL, g->place, reply->str, &a,
                           &plain)) &&
        str_split(&plain, ' ', &expires) && str_to_i64(expires, &expires_us))
        token = plain;
    g->done(g->done_ctx, token, token.p != NULL ? expires_us : 0);
    arena_free(&a);
    free(g);
}

static void got(void *ctx, struct err err, const struct redis_reply *reply)
{
    answer(ctx, err_is(err) ? NULL : reply);
}

static void none(void *ctx)
{
    answer(ctx, NULL);
}

static void share_get(void *ctx, const char *key,
                      void (*done)(void *done_ctx, struct str token, int64_t expires_wall_us),
                      void *done_ctx)
{
    struct flow *f = ctx;
    struct get *g = calloc(1, sizeof *g);
    struct arena a;
    if (g == NULL) {
        done(done_ctx, STR_NULL, 0);
        return;
    }
    *g = (struct get){.flow = f, .done = done, .done_ctx = done_ctx};
    if (f->redis == NULL || !redis_up(f->redis)) {
        loop_later(f->loop, &g->later, none, g);
        return;
    }
    arena_init(&a, 4096);
    struct str args[] = {STR("GET"), key_of(&a, key)};
    g->place = place_of(args[1]);
    redis_command(f->redis, args, COUNT_OF(args), got, g);
    arena_free(&a);
}

static void share_put(void *ctx, const char *key, struct str token, int64_t expires_wall_us)
{
    struct flow *f = ctx;
    struct arena a;
    struct buf sealed;
    int64_t life_ms = (expires_wall_us - loop_wall_us(f->loop)) / US_PER_MS;
    if (f->redis == NULL || !redis_up(f->redis) || life_ms <= 0)
        return;
    arena_init(&a, 64 * 1024);
    buf_init(&sealed, 64 * 1024);
    struct str plain = arena_fmt(&a, "%lld %.*s", (long long)expires_wall_us, STR_ARG(token));
    if (!err_is(vault_seal(f->vault, "redis.token", UUID_NIL, place_of(key_of(&a, key)), plain,
                           &sealed)) &&
        !sealed.failed) {
        struct str args[] = {STR("SET"), key_of(&a, key), buf_view(&sealed), STR("PX"),
                             arena_fmt(&a, "%lld", (long long)life_ms)};
        redis_command(f->redis, args, COUNT_OF(args), NULL, NULL);
    }
    if (plain.p != NULL)
        explicit_bzero((void *)(uintptr_t)plain.p, plain.n);
    buf_free(&sealed);
    arena_free(&a);
}

struct gw_token_share token_share(struct flow *f)
{
    return (struct gw_token_share){.ctx = f, .get = share_get, .put = share_put};
}
