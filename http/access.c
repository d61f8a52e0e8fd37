/* Who calls and what they may: before any handler runs. The matrix is core/domain/permission.h,
 * its rows are named in http/routes.c. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/flow/idempotency.h"
#include "http/cards.h"

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

bool api_idempotency_key(struct http_exchange *x, struct str *key)
{
    struct str given = http_header(x, STR("idempotency-key"));
    *key = STR_NULL;
    if (given.p == NULL && api_who(x)->needs_idempotency_key) {
        http_problem(x, ERR(IDEMPOTENCY_KEY_REQUIRED, NULL), "Send an Idempotency-Key.");
        return false;
    }
    if (given.p != NULL && !idempotency_key_ok(given)) {
        http_problem(x, ERR(IDEMPOTENCY_KEY_INVALID, NULL),
                     "An Idempotency-Key has 16 to 255 printable ASCII characters.");
        return false;
    }
    struct uuid parsed;
    if (given.p != NULL && api_who(x)->needs_uuid_key && !uuid_parse(given, &parsed)) {
        http_problem(x, ERR(IDEMPOTENCY_KEY_INVALID, NULL),
                     "The merchant wants a UUID as Idempotency-Key.");
        return false;
    }
    if (given.p != NULL)
        *key = arena_dup(x->arena, given);
    return true;
}

int64_t api_preferred_wait(const struct http_exchange *x)
{
    struct str rest = http_header(x, STR("prefer")), part;
    int64_t seconds;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (str_starts(part, STR("wait=")) && str_to_i64(str_from(part, 5), &seconds) &&
            seconds > 0)
            return (seconds < 10 ? seconds : 10) * US_PER_S;
    }
    return 0;
}

void api_set_replayed(struct http_exchange *x, int64_t original_us)
{
    char at[TIME_TEXT];
    http_set_header(x, STR("Idempotent-Replayed"), STR("true"));
    http_set_header(x, STR("Idempotency-Original-Date"), str_c(time_text(original_us, at)));
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
    struct buf body = *b; /* `b` may lie in the exchange's arena, which goes with the answer */
    if (body.failed)
        http_problem(x, ERR(NO_MEMORY, "answer"), "");
    else
        http_reply_json(x, status, buf_view(&body));
    buf_free(&body);
}
