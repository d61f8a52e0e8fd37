/* One PING to Redis for `reli doctor`, synchronously: nobody else waits on that process. The
 * service itself talks to Redis by redis.c only. */
#include "store/redis_ping.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "store/redis_url.h"

enum { PING_WAIT_S = 5 };

/* Commands of fixed words and of bytes that the operator gave: by length, never by format. */
static bool asked(redisContext *c, int n, const char **words, const size_t *lengths)
{
    redisReply *reply = redisCommandArgv(c, n, words, lengths);
    bool good = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    if (reply != NULL)
        freeReplyObject(reply);
    return good;
}

static struct err ask(redisContext *c, const struct redis_target *t)
{
    const char *login[] = {"AUTH", t->user, (const char *)t->password.p};
    const size_t login_n[] = {4, strlen(t->user), t->password.n};
    const char *login_old[] = {"AUTH", (const char *)t->password.p};
    const size_t login_old_n[] = {4, t->password.n};
    const char *ping[] = {"PING"};
    const size_t ping_n[] = {4};
    bool let_in = t->password.n == 0 || (t->user[0] != '\0' ? asked(c, 3, login, login_n)
                                                            : asked(c, 2, login_old, login_old_n));
    if (!let_in || !asked(c, 1, ping, ping_n))
        return c->err != 0 ? ERR(UNAVAILABLE, "Redis does not answer")
                           : ERR(UNAUTHENTICATED, "Redis refuses us");
    return ERR_OK;
}

struct err redis_ping_once(const char *url)
{
    const struct timeval wait = {.tv_sec = PING_WAIT_S};
    struct redis_target t;
    int64_t port = 0;
    TRY(redis_target_parse(url, &t));
    (void)!str_to_i64(str_c(t.port), &port); /* it has been looked at; a socket has none */
    redisContext *c = t.is_unix ? redisConnectUnixWithTimeout(t.host, wait)
                                : redisConnectWithTimeout(t.host, (int)port, wait);
    struct err err = ERR(UNAVAILABLE, "Redis cannot be reached");
    if (c != NULL && c->err == 0 && redisSetTimeout(c, wait) == REDIS_OK)
        err = ask(c, &t);
    if (c != NULL)
        redisFree(c);
    redis_target_free(&t);
    return err;
}
