#ifndef RELI_TEST_STORE_REDIS_FAKE_H
#define RELI_TEST_STORE_REDIS_FAKE_H

/* A scripted Redis in the test's own loop, and ways to wait for what the client makes of it. After
 * cmocka.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/loop/stream.h"
#include "store/redis.h"

/* Not every test needs every one. */
#define FAKE __attribute__((unused)) static

enum { MAX_PEERS = 32 };

/* A server that greets well and answers everything else with `answer`. */
struct fake {
    struct loop *l;
    struct listener *listener;
    struct peer_conn {
        struct fake *f;
        struct stream *s;
    } peers[MAX_PEERS];
    int n_peers;
    char url[128], path[64];
    bool refuse_login, hang_up, deaf;
    struct str answer; /* NULL: mute */
    bool once;         /* the answer is said once */
    int64_t burn_us;   /* a turn that takes long, after the answer */
};

/* What a command came to. */
struct result {
    struct loop *l;
    int n;
    enum err_code code;
    bool nil;
    int64_t i64;
    char text[64];
    struct redis *to_free;
};

FAKE bool in_call;

FAKE void peer_close(struct peer_conn *p)
{
    if (p->s != NULL)
        stream_close(p->s);
    p->s = NULL;
}

FAKE void peer_say(struct peer_conn *p, struct str s)
{
    stream_write(p->s, &s, 1);
}

FAKE void peer_data(void *ctx, struct str bytes)
{
    struct peer_conn *p = ctx;
    if (p->f->deaf)
        return;
    if (str_find_str(bytes, STR("PING")) != SIZE_MAX ||
        str_find_str(bytes, STR("AUTH")) != SIZE_MAX) {
        peer_say(p, p->f->refuse_login ? STR("-WRONGPASS no\r\n") : STR("+PONG\r\n"));
        return;
    }
    if (p->f->answer.p != NULL)
        peer_say(p, p->f->answer);
    int64_t until_us = (int64_t)(uv_hrtime() / 1000) + p->f->burn_us;
    while (p->f->answer.p != NULL && (int64_t)(uv_hrtime() / 1000) < until_us)
        continue;
    if (p->f->once)
        p->f->answer = STR_NULL;
    if (p->f->hang_up)
        peer_close(p);
}

FAKE void peer_end(void *ctx, struct err err)
{
    (void)err;
    peer_close(ctx);
}

static const struct stream_events peer_events = {.data = peer_data, .end = peer_end};

FAKE void fake_accept(void *ctx, struct stream *s)
{
    struct fake *f = ctx;
    assert_true(f->n_peers < MAX_PEERS);
    struct peer_conn *p = &f->peers[f->n_peers++];
    *p = (struct peer_conn){f, s};
    stream_own(s, &peer_events, p);
    stream_resume(s);
}

FAKE void fake_open(struct fake *f, struct loop *l)
{
    *f = (struct fake){.l = l};
    snprintf(f->path, sizeof f->path, "/tmp/redis_test.%d.sock", (int)getpid());
    snprintf(f->url, sizeof f->url, "unix:%s", f->path);
    assert_false(err_is(listener_open(l, str_c(f->url), &(struct listener_guard){0}, fake_accept, f,
                                      &f->listener)));
    snprintf(f->url, sizeof f->url, "unix://%s", f->path);
}

FAKE void fake_close(struct fake *f)
{
    listener_close(f->listener);
    for (int i = 0; i < f->n_peers; i++)
        peer_close(&f->peers[i]);
    unlink(f->path);
}

/* ---- running the loop until something is so ---- */

struct wait {
    struct loop *l;
    bool (*so)(void *ctx);
    void *ctx;
    struct timer end;
    bool good;
};

FAKE void wait_over(void *ctx)
{
    struct wait *w = ctx;
    loop_stop(w->l);
}

FAKE void wait_hook(void *ctx)
{
    struct wait *w = ctx;
    w->good = w->good || w->so(w->ctx); /* the last turn ends twice */
    if (w->good)
        loop_stop(w->l);
}

/* At most twenty seconds: only a failure takes them. */
FAKE void wait_for(struct loop *l, bool (*so)(void *ctx), void *ctx)
{
    struct wait w = {.l = l, .so = so, .ctx = ctx};
    struct turn_hook hook = {0};
    loop_hook_add(l, &hook, wait_hook, &w);
    timer_set(l, &w.end, 20 * US_PER_S, wait_over, &w);
    loop_run(l);
    timer_off(l, &w.end);
    loop_hook_remove(l, &hook);
    assert_true(w.good);
}

FAKE bool is_up(void *ctx)
{
    return redis_up(ctx);
}

FAKE bool is_down(void *ctx)
{
    return !redis_up(ctx);
}

FAKE bool has_result(void *ctx)
{
    const struct result *r = ctx;
    return r->n > 0;
}

FAKE void keep(void *ctx, struct err err, const struct redis_reply *reply)
{
    struct result *r = ctx;
    assert_false(in_call);
    r->n++;
    r->code = err.code;
    if (reply != NULL) {
        r->nil = reply->nil;
        r->i64 = reply->i64;
        str_copy_c(r->text, sizeof r->text, reply->str);
    }
    if (r->to_free != NULL) {
        struct redis *gone = r->to_free;
        r->to_free = NULL;
        redis_free(gone);
    }
}

FAKE void get(struct redis *r, struct result *out)
{
    const struct str args[] = {STR("GET"), STR("k")};
    in_call = true;
    redis_command(r, args, 2, keep, out);
    in_call = false;
}

FAKE struct loop *start(void)
{
    struct loop *l;
    assert_false(err_is(loop_new(&l)));
    return l;
}

FAKE void stop(struct loop *l)
{
    loop_run(l); /* the handles' close callbacks */
    loop_free(l);
    arena_trim();
}

FAKE void write_shift(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

#endif
