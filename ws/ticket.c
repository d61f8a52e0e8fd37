/* Tickets: "wst_" and hex, good for one channel, once, for a minute. */
#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "ws/watch.h"

#define PAYMENT_CHANNEL STR("transaction/")
#define CUSTOMER_CHANNEL STR("user/")

static void give_ticket(struct watch *w)
{
    struct flow *f = api_of(w->x)->flow;
    int64_t now = loop_wall_us(f->loop);
    struct signed_ticket t = {.id = random_uuid(now),
                              .channel = w->channel,
                              .subject = w->payment,
                              .merchant = w->by.merchant,
                              .session = w->by.session,
                              .key = w->by.key,
                              .live = w->live,
                              .expires_us = now + US_PER_MIN};
    char text[SIGNED_TICKET_LEN + 1];
    struct buf b;
    if (w->channel == TICKET_CUSTOMER) {
        struct customer_hash hash = watch_customer(w, t.merchant, t.live);
        _Static_assert(sizeof hash.b == sizeof t.subject.b, "a hash fits");
        memcpy(t.subject.b, hash.b, sizeof hash.b);
    }
    signed_ticket_make(f->vault, &t, text);
    buf_init(&b, 1024);
    struct jsonw j = jw_into(&b);
    jw_open(&j);
    jw_c(&j, "ticket", text);
    jw_time(&j, "expires_at", t.expires_us);
    jw_close(&j);
    api_reply_buf(w->x, 201, &b);
}

static bool read_channel(struct watch *w, struct str name)
{
    if (str_eq(name, STR("merchant"))) {
        w->channel = TICKET_MERCHANT;
        return true;
    }
    if (str_starts(name, CUSTOMER_CHANNEL)) {
        w->channel = TICKET_CUSTOMER;
        w->customer = arena_dup(w->x->arena, str_from(name, CUSTOMER_CHANNEL.n));
        return w->customer.n > 0;
    }
    return str_starts(name, PAYMENT_CHANNEL) &&
           uuid_parse(str_from(name, PAYMENT_CHANNEL.n), &w->payment);
}

void socket_ticket(struct http_exchange *x)
{
    static const char *const names[] = {"channel", NULL};
    const struct principal *who = api_who(x);
    struct watch *w = watch_new(x, TICKET_PAYMENT);
    struct json *body = w != NULL ? api_body(x) : NULL;
    if (body == NULL)
        return;
    struct field_errors errors = {.arena = x->arena};
    struct fields fl = {body, "", &errors};
    struct str channel;
    w->by = (struct authority){who->merchant, who->session, who->key};
    w->live = who->live;
    fields_only(&fl, names);
    if (fields_text(&fl, "channel", REQUIRED, 1, 256, &channel) && !read_channel(w, channel))
        fields_fault(&fl, "channel", "format",
                     "Must be transaction/{payment id}, user/{customer id} or merchant.");
    json_free(body);
    if (errors.n > 0)
        http_problem_fields(x, ERR(VALIDATION, NULL), "Some fields are missing or wrong.", &errors);
    else if (!principal_may(who, watch_permission(w->channel)))
        http_problem(x, ERR(FORBIDDEN, NULL), "The key or role may not watch this.");
    else
        watch_find(w, give_ticket);
}
