/* Events by HTTP: as a list, or, for whoever accepts text/event-stream, as they happen: what those
 * get whose proxies break WebSockets. */
#include <stdio.h>

#include "core/codec/jsonw.h"
#include "core/flow/record.h"
#include "http/list.h"
#include "ws/watch.h"

enum { LIST_MAX = 8 << 20, LIMIT_DEFAULT = 20, LIMIT_MAX = 100 };

/* ---- what is asked for ---- */

static bool wants_stream(const struct http_exchange *x)
{
    struct str rest = http_header(x, STR("accept")), part;
    while (x->method == HTTP_GET_ && str_split(&rest, ',', &part))
        if (str_ieq(str_trim(str_first(part, str_find(part, ';', 0))), STR("text/event-stream")))
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

struct page {
    struct watch *watch;
    int64_t after, limit;
};

static void events_read(void *ctx, struct err err, const struct rows *r)
{
    struct page *p = ctx;
    struct http_exchange *x = p->watch->x;
    struct str person = STR("");
    if (!err_is(err))
        err = record_person(api_of(x)->flow, &p->watch->rec, x->arena, &person);
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    struct buf b;
    buf_init(&b, LIST_MAX);
    struct jsonw w = jw_into(&b);
    size_t n = rows_n(r);
    bool more = n > (size_t)p->limit;
    int64_t last = 0;
    char next[24];
    if (more)
        n = (size_t)p->limit;
    list_put_start(&w);
    for (size_t i = 0; i < n; i++) {
        struct notice event;
        hub_notice(&event, p->watch->payment, r, i, person);
        if (i > 0)
            buf_char(&b, ',');
        buf_str(&b, buf_view(&event.json));
        b.failed |= event.json.failed;
        last = event.id;
        notice_free(&event);
    }
    jw_close_list(&w);
    jw_bool(&w, "has_more", more);
    snprintf(next, sizeof next, "%lld", (long long)last);
    jw_str(&w, "next", n > 0 ? str_c(next) : STR_NULL);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

static void list_page(struct watch *w)
{
    struct http_exchange *x = w->x;
    struct page *p = ARENA_NEW(x->arena, struct page);
    struct field_errors errors = {.arena = x->arena};
    struct str limit = http_query(x, STR("limit")), after = http_query(x, STR("after"));
    if (p == NULL) {
        http_problem(x, ERR(NO_MEMORY, "events"), "");
        return;
    }
    *p = (struct page){.watch = w, .limit = LIMIT_DEFAULT};
    if (limit.p != NULL && (!str_to_i64(limit, &p->limit) || p->limit < 1 || p->limit > LIMIT_MAX))
        field_error(&errors, STR("limit"), "format", "1 to 100.");
    if (after.p != NULL && (!str_to_i64(after, &p->after) || p->after < 0 || p->after > INT32_MAX))
        field_error(&errors, STR("after"), "format", "The seq of an event.");
    if (errors.n > 0) {
        http_problem_fields(x, ERR(VALIDATION, NULL), "Some parameters are wrong.", &errors);
        return;
    }
    struct value params[] = {V_UUID(w->by.merchant), V_UUID(w->payment), V_I32((int32_t)p->after),
                             V_I64(p->limit + 1)};
    store_read(api_of(x)->flow->store, Q_event_list, params, COUNT_OF(params), events_read, p);
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
