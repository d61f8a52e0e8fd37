/* What the use cases share: accounts, rules, and telling the world. */
#include "core/flow/flow.h"

#include "core/base/buf.h"
#include "core/crypto/text.h"
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

const char *our_id_make(const struct gateway *g, struct uuid attempt, struct uuid merchant,
                        char out[OUR_ID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    if (g->webhook_verify == NULL)
        return uuid_text(attempt, out);
    for (size_t i = 0; i < 32; i++) {
        uint8_t byte = i < 16 ? attempt.b[i] : merchant.b[i - 16];
        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15];
    }
    out[OUR_ID_TEXT - 1] = '\0';
    return out;
}

struct str flow_callback_url(struct flow *f, struct arena *a, const struct gateway *g,
                             struct uuid subject, struct uuid merchant)
{
    char token[CALLBACK_TOKEN_LEN + 1];
    callback_token_make(f->vault, g->name, subject, merchant, token);
    return arena_fmt(a, "%.*s/api/v1/cb/%s", STR_ARG(f->settings.public_url), token);
}

bool our_id_read(struct str our_id, struct uuid *attempt, struct uuid *merchant)
{
    uint8_t bytes[32];
    if (our_id.n != OUR_ID_TEXT - 1 || !hex_decode(our_id, true, bytes, sizeof bytes))
        return false;
    memcpy(attempt->b, bytes, 16);
    memcpy(merchant->b, bytes + 16, 16);
    return true;
}
