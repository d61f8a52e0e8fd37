/* Events by HTTP: as a list, or, for whoever accepts text/event-stream, as they happen: what those
 * get whose proxies break WebSockets. */
#include <stdio.h>

#include "core/codec/jsonw.h"
#include "core/flow/record.h"
#include "http/list.h"
#include "ws/watch.h"

/* ---- what is asked for ---- */

/* Whether the parameters of a media type have a weight of nothing: "q=0", "q=0.000". */
static bool is_refused(struct str params)
{
    struct str one;
    while (str_split(&params, ';', &one)) {
        one = str_trim(one);
        if (one.n < 3 || !str_ieq(str_first(one, 2), STR("q=")))
            continue;
        for (size_t i = 2; i < one.n; i++)
            if (one.p[i] != '0' && one.p[i] != '.')
                return false;
        return true;
    }
    return false;
}

static bool wants_stream(const struct http_exchange *x)
{
    struct str rest = http_header(x, STR("accept")), part, type;
    while (x->method == HTTP_GET_ && str_split(&rest, ',', &part))
        if (str_split(&part, ';', &type) && str_ieq(str_trim(type), STR("text/event-stream")) &&
            !is_refused(part))
            return true;
    return false;
}

/* NULL: answered. Who asks is known for whoever needed no ticket. */
static struct watch *watch_asked(struct http_exchange *x, enum ticket_channel channel)
{
    const struct principal *who = api_who(x);
    struct watch *w = watch_new(x, channel);
    if (w == NULL || (channel == TICKET_PAYMENT && !api_path_id(x, 0, &w->payment)))
        return NULL;
    w->wire = WIRE_SSE;
    if (who != NULL) {
        w->by = (struct authority){who->merchant, who->session, who->key};
        w->live = who->live;
    }
    return w;
}

/* A browser that comes back asks for the same address, and says in a header what it has seen. */
static void open_stream(struct watch *w)
{
    struct http_exchange *x = w->x;
    struct str seen = http_header(x, STR("last-event-id"));
    if (!watch_room(w) || !watch_after(w, seen.n > 0 ? seen : http_query(x, STR("after"))))
        return;
    if (api_who(x) != NULL)
        watch_open(w);
    else
        watch_authenticate(w, watch_open);
}

/* ---- a payment's ---- */

static struct err put_event(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    const struct watch *watch = l->ctx;
    struct notice event;
    struct str person = STR("");
    TRY(record_person(api_of(l->x)->flow, &watch->rec, l->x->arena, &person));
    hub_notice(&event, watch->payment, r, row, person);
    bool failed = event.json.failed;
    if (!failed)
        jw_raw(w, NULL, buf_view(&event.json));
    notice_free(&event);
    return failed ? ERR(NO_MEMORY, "events") : ERR_OK;
}

static void seq_cursor(const struct rows *r, size_t row, char out[LIST_CURSOR])
{
    snprintf(out, LIST_CURSOR, "%lld", (long long)rows_i64(r, row, 0));
}

static const struct list_kind events = {
    .queries = LIST_QUERIES(event_page),
    .by_key = true,
    .rising = true,
    .goes_on = true,
    .put = put_event,
    .cursor = seq_cursor,
};

static void list_page(struct watch *w)
{
    struct listing *l = list_new(w->x, &events, w);
    int64_t seq = 0;
    if (l == NULL)
        return;
    list_between(l, &V_I32(0), &V_I32(INT32_MAX), 1);
    if (l->cursor.p != NULL && (!str_to_i64(l->cursor, &seq) || seq < 0 || seq > INT32_MAX))
        list_bad_cursor(l);
    else if (l->cursor.p != NULL)
        list_past(l, &V_I32(seq), &V_I32(seq < INT32_MAX ? seq + 1 : seq));
    struct value params[] = {V_UUID(w->by.merchant), V_UUID(w->payment)};
    list_run(l, params, COUNT_OF(params));
}

void payment_events(struct http_exchange *x)
{
    bool stream = wants_stream(x);
    if (!stream && api_who(x) == NULL) {
        api_unauthenticated(x, "a ticket for a list");
        return;
    }
    struct watch *w = watch_asked(x, TICKET_PAYMENT);
    if (w != NULL && stream)
        open_stream(w);
    else if (w != NULL)
        watch_find(w, list_page);
}

/* ---- a merchant's ---- */

void merchant_events(struct http_exchange *x)
{
    if (!wants_stream(x)) {
        if (api_who(x) != NULL)
            event_index(x);
        else
            api_unauthenticated(x, "a ticket for a list");
        return;
    }
    struct watch *w = watch_asked(x, TICKET_MERCHANT);
    if (w != NULL && http_query(x, STR("type")).p != NULL)
        http_problem(x, ERR(BAD_REQUEST, NULL), "A stream has events of every type.");
    else if (w != NULL)
        open_stream(w);
}
