/* What the use cases share: accounts, rules, and telling the world. */
#include "core/flow/flow.h"

#include "core/base/buf.h"
#include "core/flow/fanout.h"

const struct flow_account *flow_account(const struct flow *f, struct str provider, bool live)
{
    for (int i = 0; i < f->n_accounts; i++) {
        const struct flow_account *a = &f->accounts[i];
        bool fits = a->gw.gateway->manual || f->settings.provider_live == live;
        if (fits && str_eq(str_c(a->gw.gateway->name), provider))
            return a;
    }
    return NULL;
}

const struct flow_account *flow_account_by_id(const struct flow *f, struct uuid id)
{
    for (int i = 0; i < f->n_accounts; i++)
        if (uuid_eq(f->accounts[i].id, id))
            return &f->accounts[i];
    return NULL;
}

struct payment_rules flow_rules(const struct flow *f, const struct gateway *g)
{
    struct payment_rules r = f->settings.rules;
    if (g != NULL) {
        r.manual = g->manual;
        r.not_found_is_final = g->not_found_is_final;
        if (g->prompt_window_us > 0)
            r.prompt_window_us = g->prompt_window_us;
    }
    return r;
}

/* The message is a hint: whoever gets it reads PostgreSQL. */
static void publish_hint(struct flow *f, const struct payment_record *rec, int32_t seq)
{
    char merchant[UUID_TEXT], payment[UUID_TEXT];
    struct buf b;
    buf_init(&b, 256);
    buf_fmt(&b, "%s %s %d", uuid_text(rec->merchant, merchant), uuid_text(rec->id, payment),
            (int)seq);
    if (!b.failed)
        redis_publish(f->redis, STR("reli:events"), buf_view(&b));
    buf_free(&b);
}

void flow_published(struct flow *f, const struct payment_record *rec, int32_t seq, bool fanout)
{
    if (f->published != NULL)
        f->published(f->published_ctx, rec->merchant, rec->id, seq);
    if (f->redis != NULL && redis_up(f->redis))
        publish_hint(f, rec, seq);
    if (fanout)
        fanout_start(f, rec->merchant, rec->id, seq, NULL, NULL);
}
