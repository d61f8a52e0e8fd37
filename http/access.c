/* Who calls and what they may: before any handler runs. The matrix is core/domain/permission.h,
 * its rows are named in http/routes.c. */
#include "http/api.h"

static struct str bearer(const struct http_exchange *x)
{
    struct str h = http_header(x, STR("authorization"));
    if (h.n < 7 || !str_ieq(str_first(h, 7), STR("Bearer ")))
        return STR_NULL;
    return str_trim(str_from(h, 7));
}

/* One answer for every kind of bad credential: which it was is for the security events. */
void api_unauthenticated(struct http_exchange *x, const char *why)
{
    if (why != NULL)
        api_security(x, SECURITY_BAD_CREDENTIALS, why);
    gate_refuse(
        x, "Send Authorization: Bearer with an API key or an access token that is good now.", true);
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

static void forbidden(struct http_exchange *x, const struct principal *who)
{
    const char *detail = "The key lacks the scope for this.";
    if (principal_is_person(who))
        detail = "Your role may not do this.";
    if (who->staff && uuid_is_nil(who->merchant))
        detail = "Your role may not do this, or needs the header Reli-Merchant for it.";
    http_problem(x, ERR(FORBIDDEN, NULL), detail);
}

static bool place_ok(const struct http_exchange *x, enum permission p)
{
    const struct cidr_list *l = &api_of(x)->admin_cidrs;
    return !permission_is_admin(p) || (l->n == 0 && !l->has_unix) ||
           cidr_list_has_text(l, api_client(x));
}

/* Whether the caller may, from where he is; false: answered. */
static bool may(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    enum permission p = x->route->tag & API_PERMISSION;
    if (!place_ok(x, p)) {
        api_security(x, SECURITY_ADDRESS_REFUSED, "outside RELI_ADMIN_CIDRS");
        http_problem(x, ERR(ADDRESS_NOT_ALLOWED, NULL),
                     "This is not to be done from your address.");
        return false;
    }
    if (!principal_may(who, p)) {
        api_security(x, SECURITY_SCOPE_REFUSED, permission_word(p));
        forbidden(x, who);
        return false;
    }
    if ((who->hold.held & permission_bit(p)) != 0) {
        http_problem(x, (struct err){.code = who->hold.code}, who->hold.detail);
        return false;
    }
    return true;
}

static void strange_address(struct http_exchange *x, struct err err)
{
    api_security(x, SECURITY_ADDRESS_REFUSED, err.what);
    http_problem(x, err, "The key is not for use from your address.");
}

void api_not_known(struct http_exchange *x, struct err err)
{
    if (err.code == ERR_UNAUTHENTICATED)
        api_unauthenticated(x, err.what);
    else if (err.code == ERR_ADDRESS_NOT_ALLOWED)
        strange_address(x, err);
    else if (err.code == ERR_FORBIDDEN)
        http_problem(x, err, "Only staff act for another merchant.");
    else
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such merchant." : "");
}

static void enter(struct http_exchange *x)
{
    if (may(x))
        x->route->handler(x);
}

static void known(void *ctx, struct err err, const struct principal *who)
{
    struct http_exchange *x = ctx;
    if (err.code == ERR_ADDRESS_NOT_ALLOWED)
        *(struct principal *)x->user = *who;
    if (err_is(err)) {
        api_not_known(x, err);
        return;
    }
    *(struct principal *)x->user = *who;
    gate_caller(x, enter);
}

bool api_session_use(struct http_exchange *x, struct str token, struct session_use *use)
{
    struct str mode = http_header(x, STR("reli-mode")),
               merchant = http_header(x, STR("reli-merchant"));
    *use = (struct session_use){.live = str_eq(mode, STR("live")), .for_other = merchant.p != NULL};
    struct err err = session_token_read(api_of(x)->flow, token, use);
    if (err_is(err)) {
        api_unauthenticated(x, err.what);
        return false;
    }
    if ((mode.p != NULL && !use->live && !str_eq(mode, STR("test"))) ||
        (use->for_other && !uuid_parse(merchant, &use->other))) {
        http_problem(x, ERR(BAD_REQUEST, NULL),
                     "Reli-Mode is test or live, Reli-Merchant is a merchant's id.");
        return false;
    }
    return true;
}

static void person_enters(struct http_exchange *x, struct str token, struct principal *who)
{
    struct session_use use;
    if (!api_session_use(x, token, &use))
        return;
    if (session_cached(api_of(x)->flow, &use, who))
        gate_caller(x, enter);
    else
        session_start(api_of(x)->flow, &use, known, x);
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
    if ((x->route->tag & API_LOGIN) != 0) {
        gate_login(x, x->route->handler);
        return false;
    }
    if ((x->route->tag & API_PUBLIC) != 0 ||
        ((x->route->tag & API_TICKET) != 0 && http_query(x, STR("ticket")).p != NULL))
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
            gate_caller(x, enter);
        else
            api_unauthenticated(x, "client token");
        return false;
    }
    if (session_looks_like(token)) {
        person_enters(x, token, who);
        return false;
    }
    if (!auth_key_ok(token)) {
        api_unauthenticated(x, token.p != NULL ? "no API key" : NULL);
        return false;
    }
    struct err err;
    if (auth_cached(api->flow, token, api_client(x), who, &err)) {
        if (err_is(err))
            api_not_known(x, err);
        else
            gate_caller(x, enter);
    } else if (!gate_shut(x)) {
        auth_start(api->flow, token, api_client(x), known, x);
    }
    return false;
}
