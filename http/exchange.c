/* A request on its way to its handler, and what the handler may ask of it. */
#include <stdlib.h>

#include "core/base/log.h"
#include "core/crypto/random.h"
#include "http/http_int.h"
#include "http/origin.h"
#include "http/percent.h"

static bool may_be_plain(const struct exchange *ex);
static void send_to_https(struct exchange *ex);
static void dispatch_without_route(struct exchange *ex);

/* ---- life ---- */

struct exchange *exchange_new(struct http_server *s)
{
    struct link *spare = list_pop(&s->pool);
    struct exchange *ex = LIST_ITEM(spare, struct exchange, free_link);
    if (ex == NULL) {
        ex = calloc(1, sizeof *ex);
        if (ex == NULL)
            return NULL;
        buf_init(&ex->body, s->o.max_body);
    }
    memset(ex, 0, offsetof(struct exchange, arena));
    arena_init(&ex->arena, ARENA_LIMIT);
    ex->s = s;
    ex->pub.arena = &ex->arena;
    ex->pub.app = s->o.app;
    head_init(&ex->head, s->o.max_head);
    return ex;
}

void exchange_release(struct exchange *ex)
{
    struct http_server *s = ex->s;
    if (log_current_request() == ex->pub.request_id)
        log_request(NULL);
    arena_free(&ex->arena);
    s->bodies -= ex->body.n;
    if (ex->body.n > 0)
        explicit_bzero(ex->body.p, ex->body.n);
    buf_reset(&ex->body);
    if (ex->working)
        s->n_working--;
    if (s->pool.n < MAX_POOL && !s->freed) {
        if (ex->body.cap > SMALL_BODY)
            buf_free(&ex->body);
        list_push_front(&s->pool, &ex->free_link);
    } else {
        exchange_free(ex);
    }
    server_check(s);
}

void exchange_free(struct exchange *ex)
{
    buf_free(&ex->body);
    free(ex);
}

void exchange_make_id(struct exchange *ex)
{
    _Static_assert((int)HTTP_REQUEST_ID_TEXT >= (int)UUID_TEXT, "a UUID fits");
    uuid_text(random_uuid(loop_wall_us(ex->s->loop)), ex->pub.request_id);
}

bool exchange_keeps_alive(const struct exchange *ex)
{
    return ex->keep_alive && !ex->upgrade && !ex->s->leading_away;
}

void exchange_dispatch(struct exchange *ex)
{
    struct http_server *s = ex->s;
    struct http_exchange *x = &ex->pub;
    const char *before = log_current_request();
    log_request(x->request_id);
    ex->working = true;
    s->n_working++;
    ex->in_handler = true;
    if (!may_be_plain(ex)) {
        send_to_https(ex);
    } else if (x->route == NULL) {
        dispatch_without_route(ex);
    } else if (s->o.before == NULL || s->o.before(x)) {
        ASSERT(!ex->ended);
        x->route->handler(x);
    }
    ex->in_handler = false;
    log_request(before);
    if (ex->ended)
        exchange_release(ex);
}

void exchange_refuse(struct exchange *ex, struct err err)
{
    if (ex->pub.request_id[0] == '\0')
        exchange_make_id(ex);
    const char *before = log_current_request();
    log_request(ex->pub.request_id);
    ex->keep_alive = false;
    http_problem(&ex->pub, err, err.what);
    log_request(before);
}

/* ---- answers of the server's own ---- */

/* Callbacks are for providers' servers, whichever method is asked for. */
static bool path_is_closed(const struct exchange *ex)
{
    struct router_match m = {.route = ex->pub.route};
    if (m.route != NULL)
        return (m.route->tag & ex->s->o.closed_tags) != 0;
    for (int method = 0; method <= HTTP_OPTIONS_; method++) {
        if ((ex->allowed & 1u << method) == 0)
            continue;
        router_find(ex->s->router, method, ex->pub.path, &m);
        if (m.route != NULL && (m.route->tag & ex->s->o.closed_tags) != 0)
            return true;
    }
    return false;
}

bool http_origin_allowed(const struct exchange *ex)
{
    return origin_in(ex->s->o.cors_origins, http_header(&ex->pub, STR("origin"))) &&
           !path_is_closed(ex);
}

static bool may_be_plain(const struct exchange *ex)
{
    const struct http_exchange *x = &ex->pub;
    const struct http_server_options *o = &ex->s->o;
    return o->https_base.n == 0 || x->secure ||
           (x->route != NULL && (x->route->tag & o->plain_tags) != 0);
}

/* The base is ours and not the Host that was sent: who writes that must not send others astray. */
static void send_to_https(struct exchange *ex)
{
    struct http_exchange *x = &ex->pub;
    struct str target = head_str(ex->head_bytes, ex->head.target), base = ex->s->o.https_base;
    bool safe = ex->head.method == HTTP_GET_ || ex->head.method == HTTP_HEAD_;
    struct str to = safe && str_starts(target, STR("/"))
                        ? arena_fmt(&ex->arena, "%.*s%.*s", STR_ARG(base), STR_ARG(target))
                        : STR_NULL;
    if (to.n == 0) {
        http_problem(x, ERR(HTTPS_REQUIRED, NULL),
                     http_header(x, STR("authorization")).p != NULL
                         ? "Use https. The credentials of this request have crossed the network "
                           "readable: replace them."
                         : "Use https.");
        return;
    }
    http_set_header(x, STR("Location"), to);
    http_reply(x, 308, STR_NULL, STR_NULL);
}

static void answer_options(struct exchange *ex)
{
    struct http_exchange *x = &ex->pub;
    char allow[ALLOW_TEXT];
    const unsigned all = (1u << (HTTP_OPTIONS_ + 1)) - 1;
    struct str methods = str_c(allow_text(ex->allowed != 0 ? ex->allowed : all, allow));
    http_set_header(x, STR("Allow"), methods);
    if (http_origin_allowed(ex) && http_header(x, STR("access-control-request-method")).p != NULL) {
        http_set_header(x, STR("Access-Control-Allow-Methods"), methods);
        http_set_header(x, STR("Access-Control-Allow-Headers"),
                        STR("Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, "
                            "Reli-Merchant, Reli-Mode, X-Request-Id"));
        http_set_header(x, STR("Access-Control-Max-Age"), STR("600"));
    }
    http_reply(x, 204, STR_NULL, STR_NULL);
}

static void dispatch_without_route(struct exchange *ex)
{
    struct http_exchange *x = &ex->pub;
    char allow[ALLOW_TEXT];
    if (ex->bad_escape) {
        http_problem(x, ERR(BAD_REQUEST, "escape"),
                     "A percent sign of the URL is not followed by two hexadecimal digits.");
    } else if (ex->head.method == HTTP_OPTIONS_ &&
               (ex->allowed != 0 || str_eq(x->path, STR("*")))) {
        answer_options(ex);
    } else if (ex->allowed == 0) {
        http_problem(x, ERR(NOT_FOUND, "no route"),
                     "Nothing is at this path; /openapi.json names all that there are.");
    } else {
        http_set_header(x, STR("Allow"), str_c(allow_text(ex->allowed, allow)));
        http_problem(x, ERR(METHOD_NOT_ALLOWED, "no route"), NULL);
    }
}

/* ---- what a handler asks ---- */

struct str http_header(const struct http_exchange *x, struct str lower_name)
{
    const struct exchange *ex = CONTAINER_OF(x, struct exchange, pub);
    struct str found = STR_NULL;
    if (ex->head_bytes.p == NULL)
        return found;
    for (unsigned i = 0; i < ex->head.n_fields; i++) {
        const struct head_field *f = &ex->head.fields[i];
        if (f->name.n != lower_name.n || !str_ieq(head_str(ex->head_bytes, f->name), lower_name))
            continue;
        struct str value = head_str(ex->head_bytes, f->value);
        found = found.p == NULL ? value
                                : arena_fmt(x->arena, "%.*s, %.*s", STR_ARG(found), STR_ARG(value));
    }
    return found;
}

bool http_asks_for(const struct http_exchange *x, struct str protocol)
{
    const struct exchange *ex = CONTAINER_OF(x, struct exchange, pub);
    struct str list = http_header(x, STR("upgrade")), word;
    while (ex->upgrade && str_split(&list, ',', &word))
        if (str_ieq(str_trim(word), protocol))
            return true;
    return false;
}

bool http_query_next(struct http_exchange *x, size_t *at, struct str *name, struct str *value)
{
    while (*at < x->query.n) {
        struct str rest = str_from(x->query, *at), pair;
        if (!str_split(&rest, '&', &pair))
            return false;
        *at += pair.n + 1;
        if (pair.n == 0)
            continue;
        size_t equals = str_find(pair, '=', 0);
        struct str raw = equals == SIZE_MAX ? str_from(pair, pair.n) : str_from(pair, equals + 1);
        /* That the escapes are sound was found before the handler ran. */
        if (percent_decode(x->arena, equals == SIZE_MAX ? pair : str_first(pair, equals), true,
                           name) &&
            percent_decode(x->arena, raw, true, value))
            return true;
    }
    return false;
}

struct str http_query(struct http_exchange *x, struct str name)
{
    size_t at = 0;
    struct str found, value;
    while (http_query_next(x, &at, &found, &value))
        if (str_eq(found, name))
            return value;
    return STR_NULL;
}

bool http_client_gone(const struct http_exchange *x)
{
    const struct exchange *ex = CONTAINER_OF(x, struct exchange, pub);
    return ex->conn == NULL || conn_eof(ex->conn);
}
