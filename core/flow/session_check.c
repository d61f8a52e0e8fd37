/* Whether a session still counts, and what its person may now. PostgreSQL is asked, and believed
 * for a second from the moment of asking: a logout is heard by every replica within that. */
#include <stdlib.h>

#include "core/base/log.h"
#include "core/flow/session.h"
#include "core/flow/session_token.h"

enum { CACHE = 1024 };
#define CACHE_LIFE_US US_PER_S
/* How closely disuse is measured. */
#define TOUCH_US US_PER_MIN

struct cached {
    int64_t until_us; /* monotonic; 0 empty */
    struct session_use use;
    struct principal who;
};
static struct cached cache[CACHE];
static unsigned n_forgotten; /* what was asked for before is not kept */

struct check {
    struct flow *flow;
    struct session_use use;
    int64_t asked_us;     /* monotonic */
    unsigned n_forgotten; /* then */
    auth_fn *done;
    void *ctx;
};

bool session_looks_like(struct str token)
{
    return str_find(token, '.', 0) != SIZE_MAX;
}

struct err session_token_read(struct flow *f, struct str token, struct session_use *out)
{
    return session_access_read(&f->settings.sessions, token, loop_wall_us(f->loop), &out->user,
                               &out->session);
}

/* The last bytes of a UUIDv7 are random. */
static struct cached *slot(const struct session_use *u)
{
    unsigned n = (unsigned)u->session.b[15] << 8 | u->session.b[14];
    return &cache[(n ^ u->other.b[15] ^ (u->live ? 1u : 0u)) % CACHE];
}

static bool same_use(const struct session_use *a, const struct session_use *b)
{
    return uuid_eq(a->session, b->session) && uuid_eq(a->user, b->user) && a->live == b->live &&
           a->for_other == b->for_other && uuid_eq(a->other, b->other);
}

bool session_cached(struct flow *f, const struct session_use *u, struct principal *out)
{
    const struct cached *c = slot(u);
    if (c->until_us <= loop_mono_us(f->loop) || !same_use(&c->use, u))
        return false;
    *out = c->who;
    return true;
}

void session_forget(struct uuid whose)
{
    n_forgotten++;
    for (size_t i = 0; i < CACHE; i++)
        if (uuid_eq(cache[i].who.user, whose) || uuid_eq(cache[i].who.merchant, whose))
            cache[i].until_us = 0;
}

/* ---- asking ---- */

enum {
    S_USER,
    S_MERCHANT,
    S_ROLE,
    S_SEEN,
    S_REFRESH_UNTIL,
    S_ENDS,
    S_REVOKED,
    S_CREATED,
    S_STATUS,
    S_COUNTRY,
    S_NEEDS_KEY,
    S_APPROVAL,
    S_KYC,
    S_PAYOUT_APPROVAL,
    S_STRICT_UUID,
    S_STANDS_FOR
};

static struct err still_counts(const struct check *c, const struct rows *r)
{
    const struct flow *f = c->flow;
    int64_t now = loop_wall_us(f->loop);
    if (rows_n(r) == 0 || !uuid_eq(rows_uuid(r, 0, S_USER), c->use.user))
        return ERR(UNAUTHENTICATED, "no such session, person or membership");
    if (!rows_null(r, 0, S_REVOKED))
        return ERR(UNAUTHENTICATED, "session ended");
    if (rows_time(r, 0, S_ENDS) <= now)
        return ERR(UNAUTHENTICATED, "session too old");
    if (rows_time(r, 0, S_SEEN) + f->settings.sessions.idle_us <= now)
        return ERR(UNAUTHENTICATED, "session not used for too long");
    return ERR_OK;
}

static struct err put_merchant(const struct check *c, const struct rows *r, struct principal *who)
{
    enum merchant_status status;
    if (who->staff && !c->use.for_other) {
        who->may &= permission_of_platform();
        return ERR_OK;
    }
    if (rows_null(r, 0, S_STATUS))
        return ERR(NOT_FOUND, "no such merchant");
    if (!merchant_parse(rows_str(r, 0, S_STATUS), &status))
        return ERR(INTERNAL, "stored status of a merchant not understood");
    who->hold = merchant_holds(status, rows_i64(r, 0, S_KYC), who->live, who->staff);
    who->needs_idempotency_key = rows_bool(r, 0, S_NEEDS_KEY);
    who->needs_uuid_key = rows_bool(r, 0, S_STRICT_UUID);
    who->refund_approval_above = rows_i64(r, 0, S_APPROVAL);
    who->payout_approval_above = rows_i64(r, 0, S_PAYOUT_APPROVAL);
    str_copy_c(who->country, sizeof who->country, rows_str(r, 0, S_COUNTRY));
    return ERR_OK;
}

static struct err read_session(const struct check *c, const struct rows *r, struct principal *who)
{
    const struct session_use *u = &c->use;
    TRY(still_counts(c, r));
    struct uuid own = rows_uuid(r, 0, S_MERCHANT);
    bool staff = uuid_is_nil(own);
    if (!staff && u->for_other && !uuid_eq(own, u->other))
        return ERR(FORBIDDEN, "not of that merchant");
    *who = (struct principal){
        .merchant = u->for_other ? u->other : own,
        .live = u->live,
        .user = u->user,
        .session = u->session,
        .staff = staff,
    };
    if (!role_parse(rows_str(r, 0, S_ROLE), &who->role))
        return ERR(INTERNAL, "stored role not understood");
    who->may = permission_of_role(who->role, staff);
    (void)user_actor(u->user, who->actor);
    if (!person_of_user(rows_str(r, 0, S_STANDS_FOR), u->user, who->person))
        return ERR(INTERNAL, "stored people not understood");
    return put_merchant(c, r, who);
}

/* ---- use keeps a session going ---- */

static void touched(void *ctx, struct err err, const struct rows *r)
{
    struct flow *f = ctx;
    (void)r;
    f->busy--;
    if (err_is(err))
        log_warn("session.not_touched", F_ERR(err));
}

static int64_t touch_after_us(const struct flow *f)
{
    int64_t quarter = f->settings.sessions.idle_us / 4;
    return quarter < TOUCH_US ? quarter : TOUCH_US;
}

static void touch(const struct check *c, int64_t seen_us)
{
    struct flow *f = c->flow;
    int64_t now = loop_wall_us(f->loop), before = now - touch_after_us(f);
    struct value params[] = {V_UUID(c->use.session), V_TIME(now), V_TIME(before)};
    if (seen_us >= before)
        return;
    f->busy++;
    store_exec(f->store, Q_session_touch, params, COUNT_OF(params), touched, f);
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct check *c = ctx;
    struct principal who = {0};
    if (!err_is(err))
        err = read_session(c, r, &who);
    if (!err_is(err)) {
        if (c->n_forgotten == n_forgotten)
            *slot(&c->use) = (struct cached){c->asked_us + CACHE_LIFE_US, c->use, who};
        touch(c, rows_time(r, 0, S_SEEN));
    }
    c->flow->busy--;
    c->done(c->ctx, err, &who);
    free(c);
}

void session_start(struct flow *f, const struct session_use *u, auth_fn *done, void *ctx)
{
    struct check *c = malloc(sizeof *c);
    ASSERT(c != NULL);
    *c = (struct check){f, *u, loop_mono_us(f->loop), n_forgotten, done, ctx};
    struct value params[] = {V_UUID(u->session),
                             u->for_other ? V_UUID(u->other) : V_UUID_OPT(UUID_NIL)};
    f->busy++;
    store_read(f->store, Q_session_get, params, COUNT_OF(params), found, c);
}
