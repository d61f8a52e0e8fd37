/* The way to a WebSocket: the handshake, hello and what is missing, then live. */
#include "core/codec/jsonw.h"
#include "core/flow/record.h"
#include "http/origin.h"
#include "ws/handshake.h"
#include "ws/watch.h"

enum { REPLAY_MAX = 1000 };

/* `kind`/`name`, or `kind` alone. NULL without memory. */
static struct blob *hello_frame(const char *kind, struct str name, int64_t seq)
{
    struct buf channel, text;
    buf_init(&channel, 1024);
    buf_init(&text, 8192);
    buf_c(&channel, kind);
    if (name.n > 0) {
        buf_char(&channel, '/');
        buf_str(&channel, name);
    }
    struct jsonw w = jw_into(&text);
    jw_open(&w);
    jw_c(&w, "type", "hello");
    jw_str(&w, "channel", buf_view(&channel));
    jw_i64(&w, "seq", seq);
    jw_close(&w);
    struct blob *frame = channel.failed || text.failed ? NULL : socket_frame(buf_view(&text));
    buf_free(&channel);
    buf_free(&text);
    return frame;
}

static void send_hello(struct socket *s, struct blob *frame)
{
    if (s != NULL && frame != NULL)
        socket_send(s, frame);
    blob_unref(frame);
}

/* ---- a payment's events ---- */

static void events_read(void *ctx, struct err err, const struct rows *r)
{
    struct watch *o = ctx;
    struct http_exchange *x = o->x;
    struct api *api = api_of(x);
    struct str person = STR("");
    char id[UUID_TEXT];
    if (!err_is(err))
        err = record_person(api->flow, &o->rec, x->arena, &person);
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    struct uuid payment = o->payment;
    struct authority by = o->by;
    int64_t seq = o->after;
    size_t n = rows_n(r);
    int64_t last = n > 0 ? rows_i64(r, n - 1, 0) : o->rec.p.version;
    struct blob *kept[REPLAY_MAX];
    for (size_t i = 0; i < n; i++)
        kept[i] = hub_event_frame(payment, r, i, person);
    if (n > 0)
        seq = last;
    struct blob *greeting = hello_frame("transaction", str_c(uuid_text(payment, id)), last);
    struct stream *stream = handshake_finish(x); /* x is gone */
    struct socket *s =
        stream != NULL ? hub_join(api->hub, stream, &by, payment, (int32_t)seq) : NULL;
    send_hello(s, greeting);
    for (size_t i = 0; i < n; i++) {
        if (s != NULL && kept[i] != NULL)
            socket_send(s, kept[i]);
        blob_unref(kept[i]);
    }
}

static void replay(struct watch *o)
{
    if (o->after < 0)
        o->after = 0;
    struct value params[] = {V_UUID(o->by.merchant), V_UUID(o->payment), V_I32((int32_t)o->after),
                             V_I64(REPLAY_MAX)};
    store_read(api_of(o->x)->flow->store, Q_event_list, params, COUNT_OF(params), events_read, o);
}

/* ---- a merchant's log ---- */

/* A cursor from beyond the end is of another log; hello tells where this one ends. */
static void end_known(void *ctx, struct err err, const struct rows *r)
{
    struct watch *o = ctx;
    struct api *api = api_of(o->x);
    if (err_is(err)) {
        http_problem(o->x, err, "");
        return;
    }
    int64_t end = rows_i64(r, 0, 0);
    int64_t position = o->after >= 0 && o->after < end ? o->after : end;
    bool of_customer = o->channel == TICKET_CUSTOMER;
    struct authority by = o->by;
    struct feed_part part = {.merchant = by.merchant, .live = o->live, .of_customer = of_customer};
    if (of_customer)
        part.customer = watch_customer(o, by.merchant, o->live);
    struct blob *greeting = hello_frame(of_customer ? "user" : "merchant", o->customer, end);
    struct stream *stream = handshake_finish(o->x); /* the exchange is gone, and with it `o` */
    struct socket *s =
        stream != NULL ? hub_join_feed(api->hub, stream, &by, &part, position, end) : NULL;
    send_hello(s, greeting);
}

static void find_end(struct watch *o)
{
    struct value params[] = {V_UUID(o->by.merchant)};
    store_read(api_of(o->x)->flow->store, Q_log_head, params, COUNT_OF(params), end_known, o);
}

/* ---- who asks ---- */

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

static void admitted(struct watch *o)
{
    watch_find(o, o->channel == TICKET_PAYMENT ? replay : find_end);
}

static void open_socket(struct watch *o)
{
    struct http_exchange *x = o->x;
    struct str after = http_query(x, STR("after"));
    bool of_payment = o->channel == TICKET_PAYMENT;
    int64_t most = of_payment ? INT32_MAX : INT64_MAX / 2;
    if (!handshake_asked(x))
        return;
    if (!origin_may_watch(x)) {
        http_problem(x, ERR(FORBIDDEN, NULL), "The origin is not allowed.");
    } else if (!hub_has_room(api_of(x)->hub)) {
        http_problem(x, ERR(OVERLOADED, NULL), "Too many WebSockets are open here.");
    } else if (after.p != NULL &&
               (!str_to_i64(after, &o->after) || o->after < 0 || o->after > most)) {
        http_problem(x, ERR(BAD_REQUEST, NULL),
                     of_payment ? "after is the seq of an event."
                                : "after is the position of an event.");
    } else {
        watch_authenticate(o, admitted);
    }
}

void socket_transaction(struct http_exchange *x)
{
    struct watch *o = watch_new(x, TICKET_PAYMENT);
    if (o != NULL && api_path_id(x, 0, &o->payment))
        open_socket(o);
}

void socket_user(struct http_exchange *x)
{
    struct watch *o = watch_new(x, TICKET_CUSTOMER);
    if (o == NULL)
        return;
    o->customer = x->params[0];
    open_socket(o);
}

void socket_merchant(struct http_exchange *x)
{
    struct watch *o = watch_new(x, TICKET_MERCHANT);
    if (o != NULL)
        open_socket(o);
}
