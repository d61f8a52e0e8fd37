/* Who calls and what they may: before any handler runs. The matrix is core/domain/permission.h,
 * its rows are named in http/routes.c. */
#include "http/api.h"

#include "core/base/times.h"
#include "http/cards.h"

static struct str bearer(const struct http_exchange *x)
{
    struct str h = http_header(x, STR("authorization"));
    if (h.n < 7 || !str_ieq(str_first(h, 7), STR("Bearer ")))
        return STR_NULL;
    return str_trim(str_from(h, 7));
}

static void unauthenticated(struct http_exchange *x, const char *detail)
{
    http_set_header(x, STR("WWW-Authenticate"), STR("Bearer realm=\"reli\""));
    http_problem(x, ERR(UNAUTHENTICATED, NULL), detail);
}

const struct principal *api_who(const struct http_exchange *x)
{
    return x->user;
}

void api_security(const struct http_exchange *x, enum security_kind kind, const char *detail)
{
    const struct principal *who = api_who(x);
    struct security_event e = {
        .kind = kind,
        .merchant = who != NULL ? who->merchant : UUID_NIL,
        .address = api_client(x),
        .actor = who != NULL ? str_c(who->actor) : STR(""),
        .route = str_c(x->route->pattern),
        .detail = detail,
    };
    security_note(api_of(x)->flow, &e);
}

/* Whether the caller may; false: answered. */
static bool may(struct http_exchange *x)
{
    enum permission p = x->route->tag & API_PERMISSION;
    if (principal_may(api_who(x), p))
        return true;
    api_security(x, SECURITY_SCOPE_REFUSED, permission_word(p));
    http_problem(x, ERR(FORBIDDEN, NULL), "The key lacks the scope for this.");
    return false;
}

static void known(void *ctx, struct err err, const struct principal *who)
{
    struct http_exchange *x = ctx;
    if (err.code == ERR_UNAUTHENTICATED) {
        api_security(x, SECURITY_BAD_CREDENTIALS, err.what);
        unauthenticated(x, "Unknown, expired or revoked API key.");
        return;
    }
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    *(struct principal *)x->user = *who;
    if (may(x))
        x->route->handler(x);
}

/* A client token stands for its merchant, and for nothing but its payment. */
static bool client_may(struct http_exchange *x, struct str token, struct principal *who)
{
    struct api *api = api_of(x);
    struct client_token t;
    struct uuid id;
    if ((x->route->tag & API_CLIENT_TOKEN) == 0 ||
        !client_token_read(api->flow->vault, token, loop_wall_us(api->flow->loop), &t) ||
        !uuid_parse(x->params[0], &id) || !uuid_eq(id, t.payment))
        return false;
    *who = (struct principal){
        .merchant = t.merchant, .live = t.live, .may = permission_bit(PERM_PAYMENTS_READ)};
    memcpy(who->actor, "client", sizeof "client");
    return true;
}

bool api_before(struct http_exchange *x)
{
    struct api *api = api_of(x);
    if ((x->route->tag & API_ALWAYS) == 0 && !vault_ready(api->flow->vault)) {
        http_problem(x, ERR(UNAVAILABLE, NULL), "The service is starting or its database is away.");
        return false;
    }
    if ((x->route->tag & API_PUBLIC) != 0)
        return true;
    struct str token = bearer(x);
    struct principal *who = ARENA_NEW(x->arena, struct principal);
    x->user = who;
    if (who == NULL) {
        http_problem(x, ERR(NO_MEMORY, "principal"), "");
        return false;
    }
    if (str_starts(token, STR("rct_"))) {
        if (client_may(x, token, who))
            return true;
        api_security(x, SECURITY_BAD_CREDENTIALS, "client token");
        unauthenticated(x, "The client token is not good for this.");
        return false;
    }
    if (!auth_key_ok(token)) {
        if (token.p != NULL)
            api_security(x, SECURITY_BAD_CREDENTIALS, "no API key");
        unauthenticated(x, token.p == NULL ? "Send Authorization: Bearer with an API key."
                                           : "This is no API key.");
        return false;
    }
    if (auth_cached(api->flow, token, who))
        return may(x);
    auth_start(api->flow, token, known, x);
    return false;
}

struct json *api_body(struct http_exchange *x)
{
    struct json *j;
    size_t where = 0;
    struct str type = http_header(x, STR("content-type"));
    struct str media = str_trim(str_first(type, str_find(type, ';', 0)));
    if (!str_ieq(media, STR("application/json"))) {
        http_problem(x, ERR(UNSUPPORTED_MEDIA_TYPE, NULL), "The body must be application/json.");
        return NULL;
    }
    struct err err = json_parse(x->body, &j, &where);
    if (err_is(err)) {
        struct str detail = arena_fmt(x->arena, "Not valid JSON near byte %zu.", where);
        http_problem(x, ERR(INVALID_JSON, NULL), detail.p != NULL ? detail.p : "Not valid JSON.");
        return NULL;
    }
    if (json_kind(j) != JSON_OBJ) {
        json_free(j);
        http_problem(x, ERR(INVALID_JSON, NULL), "The body must be a JSON object.");
        return NULL;
    }
    if (card_refused(x, j)) {
        json_free(j);
        return NULL;
    }
    return j;
}

bool api_path_id(struct http_exchange *x, int param, struct uuid *id)
{
    if (uuid_parse(x->params[param], id))
        return true;
    http_problem(x, ERR(NOT_FOUND, NULL), "No such resource.");
    return false;
}

void api_reply_buf(struct http_exchange *x, int status, struct buf *b)
{
    if (b->failed)
        http_problem(x, ERR(NO_MEMORY, "answer"), "");
    else
        http_reply_json(x, status, buf_view(b));
    buf_free(b);
}
