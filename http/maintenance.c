/* Maintenance, looked at and switched by staff. */
#include "http/api.h"

#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/flow/maintenance.h"

enum { MAINTENANCE_BODY = 8192 };

static void reply(struct http_exchange *x)
{
    const struct maintenance *m = api_of(x)->flow->maintenance;
    struct buf b;
    buf_init(&b, MAINTENANCE_BODY);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_c(&w, "object", "maintenance");
    jw_bool(&w, "on", m->on);
    jw_str(&w, "message", str_c_opt(m->message));
    jw_bool(&w, "forced", m->forced);
    jw_str(&w, "updated_by", str_c_opt(m->by));
    jw_time(&w, "updated_at", m->since_us);
    jw_close(&w);
    api_reply_buf(x, 200, &b);
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct http_exchange *x = ctx;
    if (err_is(err)) {
        http_problem(x, err, "");
        return;
    }
    maintenance_take(api_of(x)->flow->maintenance, r);
    reply(x);
}

/* Always from the database: another replica may have switched it. */
void maintenance_show(struct http_exchange *x)
{
    store_read(api_of(x)->flow->store, Q_maintenance_get, NULL, 0, found, x);
}

void maintenance_put(struct http_exchange *x)
{
    static const char *const names[] = {"on", "message", NULL};
    struct flow *f = api_of(x)->flow;
    struct str message = STR_NULL;
    struct body_fields b;
    if (!body_open(x, &b))
        return;
    const struct json *on = json_get(b.json, "on");
    fields_only(&b.f, names);
    bool wanted = false;
    if (on == NULL || json_kind(on) == JSON_KIND_NULL)
        fields_fault(&b.f, "on", "required", "true or false.");
    else if (!json_bool(on, &wanted))
        fields_fault(&b.f, "on", "type", "true or false.");
    if (fields_text(&b.f, "message", OPTIONAL, 1, MAINTENANCE_MESSAGE_MAX, &message))
        message = arena_dup(x->arena, message);
    if (!body_close(x, &b))
        return;
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {V_BOOL(wanted), V_TEXT(message), V_TEXT(str_c(api_who(x)->actor)),
                             V_TIME(now), V_UUID(random_uuid(now))};
    store_exec(f->store, Q_maintenance_set, params, COUNT_OF(params), found, x);
}
