/* CPay's webhooks: what they say and how they are signed; hooks.c sends them. Source:
 * providers/patterns.md, A3. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/crypto/text.h"
#include "gateways/sandbox/cpay.h"

/* "CPay-Event-Id: evt_…", "CPay-Signature: t=1767261600,v1=…" */
static bool sign(void *ctx, struct str event_id, struct str body, bool forged,
                 struct hook_headers *out)
{
    struct cpay *c = ctx;
    char time[24];
    uint8_t mac[SHA256_LEN];
    struct buf hex;
    (void)snprintf(time, sizeof time, "%lld", (long long)(loop_wall_us(c->s->loop) / US_PER_S));
    const struct str parts[] = {str_c(time), STR("."), body};
    struct str key = forged ? STR("cpw_somebody_elses") : str_c(c->webhook_secret);
    hmac_sha256(key, parts, COUNT_OF(parts), mac);
    buf_init(&hex, 128);
    hex_add(&hex, str_n((const char *)mac, sizeof mac));
    (void)snprintf(out->text[0], HOOK_HEADER_TEXT, "CPay-Event-Id: %.*s", STR_ARG(event_id));
    (void)snprintf(out->text[1], HOOK_HEADER_TEXT, "CPay-Signature: t=%s,v1=%.*s", time,
                   STR_ARG(buf_view(&hex)));
    bool whole = !hex.failed;
    buf_free(&hex);
    return whole;
}

void cpay_hooks_open(struct cpay *c)
{
    c->hooks = (struct hooks){.s = c->s,
                              .provider = cpay_provider.name,
                              .url = c->s->chaos.cpay_webhook_url,
                              .sign = sign,
                              .ctx = c};
}

void cpay_delivered(void *state, const struct delivery *d)
{
    struct cpay *c = state;
    hooks_delivered(&c->hooks, d);
}

/* ---- events ---- */

struct event {
    struct cpay *c;
    const char *type;
    const struct cpay_payment *p;
    const struct cpay_money *m;
    char id[CALL_TEXT]; /* the same of all copies */
};

static void body(void *ctx, struct buf *out, char event_id[CALL_ID])
{
    struct event *e = ctx;
    if (e->id[0] == '\0')
        cpay_id(e->c, "evt_", e->id);
    (void)str_copy_c(event_id, CALL_ID, str_c(e->id));
    cpay_body_event(out, e->id, e->type, loop_wall_us(e->c->s->loop),
                    e->p != NULL ? e->p->sequence : e->m->sequence, e->p, e->m);
}

void cpay_tell(struct cpay *c, const char *type, const struct cpay_payment *p,
               const struct cpay_money *m, int64_t after_us)
{
    enum cpay_trick trick = p != NULL ? p->script->trick : m->script->trick;
    struct event e = {.c = c, .type = type, .p = p, .m = m};
    struct hook_news n = {
        .type = type,
        .object_id = p != NULL ? p->b.id : m->p.id,
        .url_hash = p != NULL ? p->b.url_hash : m->p.url_hash,
        .booking = p != NULL ? p->b.n : -m->p.n,
        .silent = trick == CPAY_TRICK_SILENT,
        .twice = trick == CPAY_TRICK_TWICE,
        .forged = trick == CPAY_TRICK_FORGED,
        .after_us = after_us,
    };
    hooks_tell(&c->hooks, &n, body, &e);
}
