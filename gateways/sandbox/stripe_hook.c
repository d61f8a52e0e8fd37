/* Stripe's events: what they say and how they are signed; hooks.c sends them. Source:
 * providers/stripe.md, 8. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/crypto/text.h"
#include "gateways/sandbox/stripe.h"

/* "Stripe-Signature: t=1760000100,v1=…,v0=…": one v1 of each secret; v0 is a fake, as in Stripe's
 * test mode. */
static bool sign(void *ctx, struct str event_id, struct str body, bool forged,
                 struct hook_headers *out)
{
    struct stripe *c = ctx;
    char time[24];
    uint8_t mac[SHA256_LEN] = {0};
    struct buf b;
    (void)event_id;
    (void)snprintf(time, sizeof time, "%lld", (long long)stripe_now_s(c));
    const struct str parts[] = {str_c(time), STR("."), body};
    buf_init(&b, HOOK_HEADER_TEXT - 1);
    buf_fmt(&b, "Stripe-Signature: t=%s", time);
    for (size_t i = 0; i < c->n_webhook_secrets; i++) {
        struct str key = forged ? STR("whsec_another") : str_c(c->webhook_secrets[i]);
        hmac_sha256(key, parts, COUNT_OF(parts), mac);
        buf_c(&b, ",v1=");
        hex_add(&b, str_n((const char *)mac, sizeof mac));
    }
    sha256_one(str_n((const char *)mac, sizeof mac), mac);
    buf_c(&b, ",v0=");
    hex_add(&b, str_n((const char *)mac, sizeof mac));
    (void)str_copy_c(out->text[0], HOOK_HEADER_TEXT, buf_view(&b));
    bool whole = !b.failed;
    buf_free(&b);
    return whole;
}

void stripe_hooks_open(struct stripe *c)
{
    c->hooks = (struct hooks){.s = c->s,
                              .provider = stripe_provider.name,
                              .url = c->s->chaos.stripe_webhook_url,
                              .sign = sign,
                              .ctx = c};
}

void stripe_delivered(void *state, const struct delivery *d)
{
    struct stripe *c = state;
    hooks_delivered(&c->hooks, d);
}

/* ---- events ---- */

struct event {
    struct stripe *c;
    const char *type;
    const struct stripe_order *o;
    const struct stripe_refund *r; /* o or r */
    enum stripe_subject what;
};

static void envelope_open(struct jsonw *w, struct stripe *c, const char *id)
{
    jw_open(w);
    jw_c(w, "id", id);
    jw_c(w, "object", "event");
    jw_c(w, "api_version", STRIPE_VERSION);
    jw_i64(w, "created", stripe_now_s(c));
    jw_key(w, "data");
    jw_open(w);
    jw_key(w, "object");
}

static void envelope_close(struct jsonw *w, const char *type)
{
    jw_close(w);
    jw_bool(w, "livemode", false);
    jw_i64(w, "pending_webhooks", 1);
    jw_key(w, "request");
    jw_open(w);
    jw_null(w, "id");
    jw_null(w, "idempotency_key");
    jw_close(w);
    jw_c(w, "type", type);
    jw_close(w);
}

static void order_object(struct jsonw *w, const struct stripe_order *of, enum stripe_subject what)
{
    switch (what) {
    case STRIPE_OF_SESSION:
        stripe_body_session(w, of, false);
        break;
    case STRIPE_OF_INTENT:
        stripe_body_intent(w, of, false);
        break;
    case STRIPE_OF_CHARGE:
        stripe_body_charge(w, of);
        break;
    case STRIPE_OF_DISPUTE:
        stripe_body_dispute(w, of);
        break;
    }
}

/* Each copy is an event of its own. */
static void body(void *ctx, struct buf *out, char event_id[CALL_ID])
{
    const struct event *e = ctx;
    struct jsonw w = jw_into(out);
    stripe_id(e->c, "evt_", event_id, CALL_ID);
    envelope_open(&w, e->c, event_id);
    if (e->r != NULL)
        stripe_body_refund(&w, e->r);
    else
        order_object(&w, e->o, e->what);
    envelope_close(&w, e->type);
}

static void tell(struct event *e, struct hook_news *n, enum stripe_trick trick)
{
    n->type = e->type;
    n->silent = trick == STRIPE_TRICK_SILENT;
    n->twice = trick == STRIPE_TRICK_TWICE;
    n->forged = trick == STRIPE_TRICK_FORGED;
    hooks_tell(&e->c->hooks, n, body, e);
}

void stripe_tell(const struct stripe_order *o, const char *type, enum stripe_subject what,
                 int64_t after_us)
{
    struct event e = {.c = o->c, .type = type, .o = o, .what = what};
    struct hook_news n = {
        .object_id = o->b.id, .url_hash = o->b.url_hash, .booking = o->b.n, .after_us = after_us};
    tell(&e, &n, o->trick);
}

void stripe_tell_refund(const struct stripe_refund *r, const char *type)
{
    struct event e = {.c = r->c, .type = type, .r = r};
    struct hook_news n = {.object_id = r->p.id, .url_hash = r->p.url_hash, .booking = -r->p.n};
    tell(&e, &n, r->trick);
}
