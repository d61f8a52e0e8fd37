/* Who may watch what: by an Authorization header, a ticket or the payment's client token. */
#include "ws/watch.h"

#include "core/base/times.h"
#include "core/flow/record.h"

enum { CUSTOMER_MAX = 512 };

struct watch *watch_new(struct http_exchange *x, enum ticket_channel channel)
{
    struct watch *w = ARENA_NEW(x->arena, struct watch);
    if (w == NULL) {
        http_problem(x, ERR(NO_MEMORY, "watch"), "");
        return NULL;
    }
    w->x = x;
    w->channel = channel;
    w->after = -1;
    return w;
}

/* Everything is what GET /events shows, to the same people. */
enum permission watch_permission(enum ticket_channel channel)
{
    return channel == TICKET_MERCHANT ? PERM_BOOKS_READ : PERM_PAYMENTS_READ;
}

struct customer_hash watch_customer(const struct watch *w, struct uuid merchant, bool live)
{
    return customer_hash(api_of(w->x)->flow->vault, merchant, live, CUSTOMER_EXTERNAL_ID,
                         w->customer);
}

bool watch_room(const struct watch *w)
{
    const struct hub *h = api_of(w->x)->hub;
    bool all = hub_has_room(h);
    bool room =
        all && (w->channel != TICKET_PAYMENT || hub_has_room_at(h, w->by.merchant, w->payment));
    if (!room)
        http_problem(w->x, ERR(OVERLOADED, NULL),
                     all ? "Too many watch this payment." : "Too many WebSockets are open here.");
    return room;
}

bool watch_after(struct watch *w, struct str text)
{
    bool of_payment = w->channel == TICKET_PAYMENT;
    int64_t most = of_payment ? INT32_MAX : INT64_MAX / 2;
    bool ok = text.p == NULL || (str_to_i64(text, &w->after) && w->after >= 0 && w->after <= most);
    if (!ok)
        http_problem(w->x, ERR(BAD_REQUEST, NULL),
                     of_payment ? "after is the seq of an event."
                                : "after is the position of an event.");
    return ok;
}

/* ---- tickets ---- */

static bool ticket_fits(const struct watch *w, const struct signed_ticket *t)
{
    struct customer_hash hash;
    if (t->channel != w->channel)
        return false;
    switch (w->channel) {
    case TICKET_PAYMENT:
        return uuid_eq(t->subject, w->payment);
    case TICKET_CUSTOMER:
        hash = watch_customer(w, t->merchant, t->live);
        return memcmp(hash.b, t->subject.b, sizeof hash.b) == 0;
    case TICKET_MERCHANT:
        return true;
    }
    return false;
}

static void ticket_used(void *ctx, struct err err, const struct rows *r)
{
    struct watch *w = ctx;
    if (err_is(err))
        http_problem(w->x, err, "");
    else if (rows_n(r) == 0)
        api_unauthenticated(w->x, "ticket: used");
    else
        w->next(w);
}

static void use_ticket(struct watch *w, struct str text)
{
    struct flow *f = api_of(w->x)->flow;
    struct signed_ticket t;
    int64_t now = loop_wall_us(f->loop);
    if (!signed_ticket_read(f->vault, text, now, &t) || !ticket_fits(w, &t)) {
        api_unauthenticated(w->x, "ticket");
        return;
    }
    w->by = (struct authority){t.merchant, t.session, t.key};
    w->live = t.live;
    struct value params[] = {V_UUID(t.merchant), V_UUID(t.id),
                             V_UUID(uuid_v7_floor((now - US_PER_HOUR) / US_PER_MS))};
    store_exec(f->store, Q_ticket_use, params, COUNT_OF(params), ticket_used, w);
}

/* ---- who asks ---- */

/* The limit of the caller counts here, too. Tickets were counted when they were made. */
static void admitted(void *ctx)
{
    struct watch *w = ctx;
    w->next(w);
}

static void key_known(void *ctx, struct err err, const struct principal *who)
{
    struct watch *w = ctx;
    if (err_is(err)) {
        api_not_known(w->x, err);
    } else if (!principal_may(who, watch_permission(w->channel))) {
        http_problem(w->x, ERR(FORBIDDEN, NULL), "The key or role may not do this.");
    } else {
        w->by = (struct authority){who->merchant, who->session, who->key};
        w->live = who->live;
        gate_watcher(w->x, str_c(who->actor), admitted, w);
    }
}

static void use_client_token(struct watch *w, struct str text)
{
    struct flow *f = api_of(w->x)->flow;
    struct client_token t;
    char id[UUID_TEXT];
    if (w->channel != TICKET_PAYMENT ||
        !client_token_read(f->vault, text, loop_wall_us(f->loop), &t) ||
        !uuid_eq(t.payment, w->payment)) {
        api_unauthenticated(w->x, "client token");
        return;
    }
    w->by = (struct authority){.merchant = t.merchant};
    w->live = t.live;
    gate_watcher(w->x, arena_fmt(w->x->arena, "client:%s", uuid_text(w->payment, id)), admitted, w);
}

void watch_authenticate(struct watch *w, watch_fn *next)
{
    struct http_exchange *x = w->x;
    struct flow *f = api_of(x)->flow;
    struct str ticket = http_query(x, STR("ticket")), key = http_header(x, STR("authorization"));
    struct session_use use;
    struct str token =
        str_ieq(str_first(key, 7), STR("Bearer ")) ? str_trim(str_from(key, 7)) : STR_NULL;
    w->next = next;
    if (str_starts(ticket, STR("wst_"))) {
        use_ticket(w, ticket);
    } else if (ticket.p != NULL) {
        use_client_token(w, ticket);
    } else if (session_looks_like(token)) {
        if (api_session_use(x, token, &use))
            session_start(f, &use, key_known, w);
    } else if (auth_key_ok(token)) {
        if (!gate_shut(x))
            auth_start(f, token, api_client(x), key_known, w);
    } else {
        api_unauthenticated(x, token.p != NULL ? "no API key" : NULL);
    }
}

/* ---- whether it is there ---- */

static void payment_read(void *ctx, struct err err, const struct rows *r)
{
    struct watch *w = ctx;
    if (!err_is(err))
        err = payment_record_read(r, w->x->arena, &w->rec);
    if (!err_is(err) && w->rec.live != w->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(w->x, err, err.code == ERR_NOT_FOUND ? "No such payment." : "");
    else
        w->next(w);
}

static void customer_read(void *ctx, struct err err, const struct rows *r)
{
    struct watch *w = ctx;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(w->x, err, err.code == ERR_NOT_FOUND ? "No such customer." : "");
    else
        w->next(w);
}

static void find_customer(struct watch *w)
{
    if (w->customer.n == 0 || w->customer.n > CUSTOMER_MAX) {
        http_problem(w->x, ERR(NOT_FOUND, NULL), "No such customer.");
        return;
    }
    struct customer_hash key = watch_customer(w, w->by.merchant, w->live);
    struct value params[] = {V_UUID(w->by.merchant), V_TEXT(mode_word(w->live)),
                             V_UUID_OPT(UUID_NIL),
                             V_BYTES(str_n((const char *)key.b, sizeof key.b))};
    store_read(api_of(w->x)->flow->store, Q_customer_get, params, COUNT_OF(params), customer_read,
               w);
}

void watch_find(struct watch *w, watch_fn *next)
{
    struct value params[] = {V_UUID(w->by.merchant), V_UUID(w->payment)};
    w->next = next;
    switch (w->channel) {
    case TICKET_PAYMENT:
        store_read(api_of(w->x)->flow->store, Q_payment_get, params, COUNT_OF(params), payment_read,
                   w);
        return;
    case TICKET_CUSTOMER:
        find_customer(w);
        return;
    case TICKET_MERCHANT:
        next(w);
        return;
    }
}
