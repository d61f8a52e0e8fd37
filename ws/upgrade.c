/* The way to a WebSocket or an event stream: hello and what is missing, then live. */
#include <stdio.h>

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
    struct blob *frame = channel.failed || text.failed ? NULL : notice_frame(buf_view(&text));
    buf_free(&channel);
    buf_free(&text);
    return frame;
}

/* Begins the answer, and the exchange is gone. NULL: refused, or nobody is there any more. */
static struct stream *begin(struct http_exchange *x, enum wire wire)
{
    if (wire == WIRE_SOCKET)
        return handshake_finish(x);
    http_set_header(x, STR("X-Accel-Buffering"), STR("no")); /* to nginx: pass it on at once */
    return http_stream(x, STR("text/event-stream"));
}

/* Event streams have no hello; a first line lets proxies pass on the head. */
static void greet(struct socket *s, struct blob *hello)
{
    if (s != NULL && hello != NULL)
        socket_send(s, hello);
    blob_unref(hello);
}

/* `position`: where the stream begins, if that is not known from the request. Who is cut off before
 * the first event comes back with it, else with nothing, and would begin later. */
static struct blob *stream_head(int64_t position)
{
    char text[64];
    if (position < 0)
        return blob_new(STR("retry: 2000\n\n"));
    snprintf(text, sizeof text, "retry: 2000\nid: %lld\n\n", (long long)position);
    return blob_new(str_c(text));
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
    if (!watch_room(o)) /* others came meanwhile */
        return;
    struct uuid payment = o->payment;
    struct authority by = o->by;
    enum wire wire = o->wire;
    int64_t seq = o->after;
    size_t n = rows_n(r);
    int64_t last = n > 0 ? rows_i64(r, n - 1, 0) : o->rec.p.version;
    if (n > 0)
        seq = last;
    struct notice kept[REPLAY_MAX];
    for (size_t i = 0; i < n; i++)
        hub_notice(&kept[i], payment, r, i, person);
    struct blob *hello = wire == WIRE_SOCKET
                             ? hello_frame("transaction", str_c(uuid_text(payment, id)), last)
                             : stream_head(-1);
    struct stream *stream = begin(x, wire); /* x is gone */
    struct socket *s =
        stream != NULL ? hub_join(api->hub, stream, wire, &by, payment, (int32_t)seq) : NULL;
    greet(s, hello);
    for (size_t i = 0; i < n; i++) {
        struct blob *b = s != NULL ? notice_encode(&kept[i], wire) : NULL;
        if (b != NULL)
            socket_send(s, b);
        notice_free(&kept[i]);
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
    if (!watch_room(o))
        return;
    int64_t end = rows_i64(r, 0, 0);
    int64_t position = o->after >= 0 && o->after < end ? o->after : end;
    bool of_customer = o->channel == TICKET_CUSTOMER;
    struct authority by = o->by;
    enum wire wire = o->wire;
    struct feed_part part = {.merchant = by.merchant, .live = o->live, .of_customer = of_customer};
    if (of_customer)
        part.customer = watch_customer(o, by.merchant, o->live);
    struct blob *hello = wire == WIRE_SOCKET
                             ? hello_frame(of_customer ? "user" : "merchant", o->customer, end)
                             : stream_head(position);
    struct stream *stream = begin(o->x, wire); /* the exchange is gone, and with it `o` */
    struct socket *s =
        stream != NULL ? hub_join_feed(api->hub, stream, wire, &by, &part, position, end) : NULL;
    greet(s, hello);
}

static void find_end(struct watch *o)
{
    struct value params[] = {V_UUID(o->by.merchant)};
    store_read(api_of(o->x)->flow->store, Q_log_head, params, COUNT_OF(params), end_known, o);
}

void watch_open(struct watch *o)
{
    watch_find(o, o->channel == TICKET_PAYMENT ? replay : find_end);
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

static void open_socket(struct watch *o)
{
    struct http_exchange *x = o->x;
    if (!handshake_asked(x))
        return;
    if (!origin_may_watch(x))
        http_problem(x, ERR(FORBIDDEN, NULL), "The origin is not allowed.");
    else if (watch_room(o) && watch_after(o, http_query(x, STR("after"))))
        watch_authenticate(o, watch_open);
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
