/* Limits on requests: of a caller, of refused credentials by their address, of attempts to log in.
 * What is over a limit gets 429 before anything is done for it. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/flow/throttle.h"

struct gate {
    struct throttle_wait wait;
    struct http_exchange *x;
    enum throttle_class class;
    http_handler_fn *next; /* without it and `go` what is let through is refused, with `detail` */
    gate_fn *go;
    void *ctx;
    const char *detail;
    bool challenge;
};

static int64_t seconds(int64_t us)
{
    return (us + US_PER_S - 1) / US_PER_S;
}

/* A header of two numbers. Every answer has two of them: printf would be a tenth of its cost. */
static void pair(struct http_exchange *x, const char *name, const char *before, int64_t one,
                 const char *between, int64_t two)
{
    char text[80];
    struct buf b = {.p = text, .cap = sizeof text, .limit = sizeof text};
    buf_c(&b, before);
    buf_i64(&b, one);
    buf_c(&b, between);
    buf_i64(&b, two);
    ASSERT(!b.failed);
    http_set_header(x, str_c(name), buf_view(&b));
}

/* As draft-ietf-httpapi-ratelimit-headers (version 10) writes them: the policy is the burst, and
 * the time in which it comes back; `t` is when all of it may be used again. */
static void headers(struct http_exchange *x, const struct throttle_state *s)
{
    if (gcra_is_off(&s->rule))
        return;
    pair(x, "RateLimit-Policy", "\"api\";q=", s->rule.burst,
         ";w=", seconds(s->rule.burst * s->rule.interval_us));
    pair(x, "RateLimit", "\"api\";r=", s->left, ";t=", seconds(s->full_us));
}

static void stopped(struct http_exchange *x, enum throttle_class class,
                    const struct throttle_state *s)
{
    static const char *const details[THROTTLE_N] = {
        [THROTTLE_API] = "This caller sends more requests than are allowed.",
        [THROTTLE_ADDRESS] = "Too many requests with wrong credentials came from this address.",
        [THROTTLE_LOGIN] = "Too many attempts to log in came from this address.",
    };
    struct str after = arena_fmt(x->arena, "%lld", (long long)seconds(s->wait_us));
    if (after.p != NULL)
        http_set_header(x, STR("Retry-After"), after);
    api_security(x, SECURITY_RATE_LIMITED, details[class]);
    http_problem(x, ERR(RATE_LIMITED, NULL), details[class]);
}

static void decided(void *ctx, enum throttle_answer answer, const struct throttle_state *s)
{
    struct gate *g = ctx;
    struct http_exchange *x = g->x;
    if (s == NULL) {
        http_problem(x, ERR(UNAVAILABLE, NULL), "The service is closing.");
        return;
    }
    if (g->class == THROTTLE_API)
        headers(x, s);
    if (answer == THROTTLE_STOP) {
        stopped(x, g->class, s);
    } else if (g->next != NULL) {
        g->next(x);
    } else if (g->go != NULL) {
        g->go(g->ctx);
    } else {
        if (g->challenge)
            http_set_header(x, STR("WWW-Authenticate"), STR("Bearer realm=\"reli\""));
        http_problem(x, ERR(UNAUTHENTICATED, NULL), g->detail);
    }
}

static void take(const struct gate *gate, struct str subject)
{
    struct http_exchange *x = gate->x;
    struct gate *g = ARENA_NEW(x->arena, struct gate);
    struct throttle_state state;
    if (g == NULL || subject.p == NULL) {
        http_problem(x, ERR(NO_MEMORY, "gate"), "");
        return;
    }
    *g = *gate;
    g->wait.done = decided;
    g->wait.ctx = g;
    enum throttle_answer answer =
        throttle_take(api_of(x)->flow, g->class, subject, &state, &g->wait);
    if (answer != THROTTLE_LATER)
        decided(g, answer, &state);
}

/* Behind a proxy that does not say for whom it speaks all clients have one address. */
static bool has_address(const struct http_exchange *x)
{
    return !str_eq(api_client(x), STR("unix"));
}

void gate_caller(struct http_exchange *x, http_handler_fn *next)
{
    struct str subject = str_c(api_who(x)->actor);
    if (str_eq(subject, STR("client"))) {
        char id[UUID_TEXT];
        struct uuid payment = UUID_NIL;
        if (uuid_parse(x->params[0], &payment))
            subject = arena_fmt(x->arena, "client:%s", uuid_text(payment, id));
    }
    struct gate g = {.x = x, .class = THROTTLE_API, .next = next};
    take(&g, subject);
}

void gate_watcher(struct http_exchange *x, struct str caller, gate_fn *go, void *ctx)
{
    struct gate g = {.x = x, .class = THROTTLE_API, .go = go, .ctx = ctx};
    take(&g, caller);
}

void gate_login(struct http_exchange *x, http_handler_fn *next)
{
    char block[ADDRESS_BLOCK_TEXT];
    struct gate g = {.x = x, .class = THROTTLE_LOGIN, .next = next};
    if (has_address(x))
        take(&g, str_c(address_block(api_client(x), block)));
    else
        next(x);
}

void gate_refuse(struct http_exchange *x, const char *detail, bool challenge)
{
    char block[ADDRESS_BLOCK_TEXT];
    struct gate g = {.x = x, .class = THROTTLE_ADDRESS, .detail = detail, .challenge = challenge};
    struct throttle_state open = {0};
    if (has_address(x))
        take(&g, str_c(address_block(api_client(x), block)));
    else
        decided(&g, THROTTLE_PASS, &open);
}

bool gate_shut(struct http_exchange *x)
{
    char block[ADDRESS_BLOCK_TEXT];
    struct throttle_state s;
    if (!has_address(x) || !throttle_is_shut(api_of(x)->flow, THROTTLE_ADDRESS,
                                             str_c(address_block(api_client(x), block)), &s))
        return false;
    stopped(x, THROTTLE_ADDRESS, &s);
    return true;
}
