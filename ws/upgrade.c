/* The way to a WebSocket: who may watch, the handshake, hello and what is missing, then live. */
#include "http/api.h"

#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/flow/record.h"
#include "http/origin.h"
#include "ws/handshake.h"
#include "ws/hub.h"

enum { REPLAY_MAX = 1000 };

struct opening {
    struct http_exchange *x;
    struct authority by;
    struct uuid payment;
    bool live;
    int32_t after;
    struct payment_record rec;
};

static struct authority authority_of(const struct principal *who)
{
    return (struct authority){who->merchant, who->session, who->key};
}

/* ---- the socket ---- */

static void hello(struct socket *s, struct uuid payment, int32_t seq)
{
    struct buf b;
    char id[UUID_TEXT];
    buf_init(&b, 512);
    buf_fmt(&b, "{\"type\":\"hello\",\"channel\":\"transaction/%s\",\"seq\":%d}",
            uuid_text(payment, id), (int)seq);
    struct blob *frame = socket_frame(buf_view(&b));
    buf_free(&b);
    if (frame != NULL)
        socket_send(s, frame);
    blob_unref(frame);
}

static void events_read(void *ctx, struct err err, const struct rows *r)
{
    struct opening *o = ctx;
    struct http_exchange *x = o->x;
    struct api *api = api_of(x);
    struct str person = STR("");
    if (!err_is(err))
        err = record_person(api->flow, &o->rec, x->arena, &person);
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    struct uuid payment = o->payment;
    struct authority by = o->by;
    int32_t seq = o->after;
    size_t n = rows_n(r);
    int32_t last = n > 0 ? (int32_t)rows_i64(r, n - 1, 0) : o->rec.p.version;
    struct blob *kept[REPLAY_MAX];
    for (size_t i = 0; i < n; i++)
        kept[i] = hub_event_frame(payment, r, i, person);
    if (n > 0)
        seq = last;
    struct stream *stream = handshake_finish(x); /* x is gone */
    struct socket *s = stream != NULL ? hub_join(api->hub, stream, &by, payment, seq) : NULL;
    if (s != NULL)
        hello(s, payment, last);
    for (size_t i = 0; i < n; i++) {
        if (s != NULL && kept[i] != NULL)
            socket_send(s, kept[i]);
        blob_unref(kept[i]);
    }
}

static void payment_read(void *ctx, struct err err, const struct rows *r)
{
    struct opening *o = ctx;
    struct http_exchange *x = o->x;
    if (!err_is(err))
        err = payment_record_read(r, x->arena, &o->rec);
    if (!err_is(err) && o->rec.live != o->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err)) {
        http_problem(x, err, err.code == ERR_NOT_FOUND ? "No such payment." : "");
        return;
    }
    struct value params[] = {V_UUID(o->by.merchant), V_UUID(o->payment), V_I32(o->after),
                             V_I64(REPLAY_MAX)};
    store_read(api_of(x)->flow->store, Q_event_list, params, COUNT_OF(params), events_read, o);
}

static void open_for(struct opening *o, struct authority by, bool live)
{
    o->by = by;
    o->live = live;
    struct value params[] = {V_UUID(by.merchant), V_UUID(o->payment)};
    store_read(api_of(o->x)->flow->store, Q_payment_get, params, COUNT_OF(params), payment_read, o);
}

/* ---- tickets: "wst_" and hex, good for one channel, once, for a minute ---- */

static void ticket_used(void *ctx, struct err err, const struct rows *r)
{
    struct opening *o = ctx;
    if (err_is(err))
        http_problem(o->x, err, "");
    else if (rows_n(r) == 0)
        api_unauthenticated(o->x, "ticket: used");
    else
        open_for(o, o->by, o->live);
}

static void use_ticket(struct opening *o, struct str text)
{
    struct flow *f = api_of(o->x)->flow;
    struct signed_ticket t;
    int64_t now = loop_wall_us(f->loop);
    if (!signed_ticket_read(f->vault, text, now, &t) || !uuid_eq(t.payment, o->payment)) {
        api_unauthenticated(o->x, "ticket");
        return;
    }
    o->by = (struct authority){t.merchant, t.session, t.key};
    o->live = t.live;
    struct value params[] = {V_UUID(t.merchant), V_UUID(t.id),
                             V_UUID(uuid_v7_floor((now - US_PER_HOUR) / US_PER_MS))};
    store_exec(f->store, Q_ticket_use, params, COUNT_OF(params), ticket_used, o);
}

static void give_ticket(struct opening *o)
{
    struct http_exchange *x = o->x;
    struct flow *f = api_of(x)->flow;
    int64_t now = loop_wall_us(f->loop);
    struct signed_ticket t = {.merchant = o->by.merchant,
                              .payment = o->payment,
                              .session = o->by.session,
                              .key = o->by.key,
                              .live = o->live,
                              .id = random_uuid(now),
                              .expires_us = now + US_PER_MIN};
    char text[SIGNED_TICKET_LEN + 1];
    struct buf b;
    signed_ticket_make(f->vault, &t, text);
    buf_init(&b, 1024);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "ticket", text);
    jw_time(&w, "expires_at", t.expires_us);
    jw_close(&w);
    api_reply_buf(x, 201, &b);
}

static void ticket_payment_read(void *ctx, struct err err, const struct rows *r)
{
    struct opening *o = ctx;
    if (!err_is(err))
        err = payment_record_read(r, o->x->arena, &o->rec);
    if (!err_is(err) && o->rec.live != o->live)
        err = ERR(NOT_FOUND, NULL);
    if (err_is(err))
        http_problem(o->x, err, err.code == ERR_NOT_FOUND ? "No such payment." : "");
    else
        give_ticket(o);
}

void socket_ticket(struct http_exchange *x)
{
    static const char *const names[] = {"channel", NULL};
    const struct principal *who = api_who(x);
    struct json *body = api_body(x);
    if (body == NULL)
        return;
    struct opening *o = ARENA_NEW(x->arena, struct opening);
    if (o == NULL) {
        json_free(body);
        http_problem(x, ERR(NO_MEMORY, "ticket"), "");
        return;
    }
    struct field_errors errors = {.arena = x->arena};
    struct fields fl = {body, "", &errors};
    struct str channel;
    *o = (struct opening){.x = x, .by = authority_of(who), .live = who->live};
    fields_only(&fl, names);
    if (fields_text(&fl, "channel", REQUIRED, 1, 128, &channel) &&
        (!str_starts(channel, STR("transaction/")) ||
         !uuid_parse(str_from(channel, sizeof "transaction/" - 1), &o->payment)))
        fields_fault(&fl, "channel", "format", "Must be transaction/{payment id}.");
    json_free(body);
    if (errors.n > 0) {
        http_problem_fields(x, ERR(VALIDATION, NULL), "Some fields are missing or wrong.", &errors);
        return;
    }
    struct value params[] = {V_UUID(o->by.merchant), V_UUID(o->payment)};
    store_read(api_of(x)->flow->store, Q_payment_get, params, COUNT_OF(params), ticket_payment_read,
               o);
}

/* ---- who asks ---- */

static void key_known(void *ctx, struct err err, const struct principal *who)
{
    struct opening *o = ctx;
    if (err_is(err))
        api_not_known(o->x, err);
    else if (!principal_may(who, PERM_PAYMENTS_READ))
        http_problem(o->x, ERR(FORBIDDEN, NULL), "The key or role may not do this.");
    else
        open_for(o, authority_of(who), who->live);
}

static struct str host_of(struct str origin)
{
    size_t host = str_find_str(origin, STR("://"));
    return host == SIZE_MAX ? STR_NULL : str_from(origin, host + 3);
}

/* Browsers say where a page comes from; programs need not. Our own pages may always: those of the
 * public URL's host, not of whatever Host was sent, since who has a name of his own point here
 * would have sent that. By either scheme: Python's websocket-client 1.2 says http for wss. */
static bool origin_may_watch(const struct http_exchange *x)
{
    const struct api *api = api_of(x);
    struct str origin = http_header(x, STR("origin"));
    struct str own = origin_of(api->flow->settings.public_url);
    return origin.p == NULL || origin_in(api->cors_origins, origin) ||
           (origin_ok(origin) && str_eq(host_of(origin), host_of(own)));
}

static void authenticate(struct opening *o)
{
    struct http_exchange *x = o->x;
    struct flow *f = api_of(x)->flow;
    struct str ticket = http_query(x, STR("ticket")), key = http_header(x, STR("authorization"));
    struct client_token t;
    struct session_use use;
    struct str token =
        str_ieq(str_first(key, 7), STR("Bearer ")) ? str_trim(str_from(key, 7)) : STR_NULL;
    if (str_starts(ticket, STR("wst_"))) {
        use_ticket(o, ticket);
    } else if (ticket.p != NULL) {
        if (client_token_read(f->vault, ticket, loop_wall_us(f->loop), &t) &&
            uuid_eq(t.payment, o->payment))
            open_for(o, (struct authority){.merchant = t.merchant}, t.live);
        else
            api_unauthenticated(x, "client token");
    } else if (session_looks_like(token)) {
        if (api_session_use(x, token, &use))
            session_start(f, &use, key_known, o);
    } else if (auth_key_ok(token)) {
        auth_start(f, token, api_client(x), key_known, o);
    } else {
        api_unauthenticated(x, token.p != NULL ? "no API key" : NULL);
    }
}

void socket_transaction(struct http_exchange *x)
{
    struct opening *o = ARENA_NEW(x->arena, struct opening);
    struct str after = http_query(x, STR("after"));
    int64_t seq = 0;
    if (o == NULL) {
        http_problem(x, ERR(NO_MEMORY, "websocket"), "");
        return;
    }
    o->x = x;
    if (!api_path_id(x, 0, &o->payment))
        return;
    if (!handshake_asked(x))
        return;
    if (!origin_may_watch(x)) {
        http_problem(x, ERR(FORBIDDEN, NULL), "The origin is not allowed.");
    } else if (!hub_has_room(api_of(x)->hub)) {
        http_problem(x, ERR(OVERLOADED, NULL), "Too many WebSockets are open here.");
    } else if (after.p != NULL && (!str_to_i64(after, &seq) || seq < 0 || seq > INT32_MAX)) {
        http_problem(x, ERR(BAD_REQUEST, NULL), "after is the seq of an event.");
    } else {
        o->after = (int32_t)seq;
        authenticate(o);
    }
}
