/* CPay's webhooks: signed, and sent again until somebody says 2xx. An event owns its text, since
 * payments change and a reset forgets them. Source: providers/patterns.md, A3; the schedule is
 * shortened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "core/crypto/text.h"
#include "gateways/sandbox/cpay.h"

enum { HOOKS_MAX = 200000, BODY_MAX = 128 * 1024 };

/* 5 s, 30 s, 2 min, 10 min, 1 h, 6 h, 24 h in the document. */
static const int64_t retry_ms[] = {500, 1000, 2000, 4000, 8000, 15000, 30000};

static const int64_t busy_us = 200 * US_PER_MS;
/* The courier gives up before that; then nobody will answer any more. */
static const int64_t silence_us = 15 * US_PER_S;

struct cpay_hook {
    struct cpay *c;
    struct timer alarm;
    int64_t n, booking;
    const char *type;
    char event_id[CALL_TEXT], object_id[CALL_ID], url_hash[URL_HASH_TEXT];
    char *body;
    size_t body_len;
    size_t tries;
    bool forged; /* the next one has a wrong signature */
    bool under_way;
    UT_hash_handle hh;
};

static void hook_free(struct cpay_hook *h)
{
    timer_off(h->c->s->loop, &h->alarm);
    HASH_DEL(h->c->hooks, h);
    free(h->body);
    free(h);
}

void cpay_hooks_drop(struct cpay *c)
{
    while (c->hooks != NULL)
        hook_free(c->hooks);
}

/* "CPay-Signature: t=1767261600,v1=…" */
static bool signature_make(const struct cpay_hook *h, char *out, size_t cap)
{
    char time[24];
    uint8_t mac[SHA256_LEN];
    struct buf hex;
    (void)snprintf(time, sizeof time, "%lld", (long long)(loop_wall_us(h->c->s->loop) / US_PER_S));
    const struct str parts[] = {str_c(time), STR("."), str_n(h->body, h->body_len)};
    struct str key = h->forged ? STR("cpw_somebody_elses") : str_c(h->c->webhook_secret);
    hmac_sha256(key, parts, COUNT_OF(parts), mac);
    buf_init(&hex, 128);
    hex_add(&hex, str_n((const char *)mac, sizeof mac));
    (void)snprintf(out, cap, "CPay-Signature: t=%s,v1=%.*s", time, STR_ARG(buf_view(&hex)));
    bool whole = !hex.failed;
    buf_free(&hex);
    return whole;
}

static void hook_send(void *ctx);

static void again(struct cpay_hook *h)
{
    h->under_way = false;
    if (h->tries >= COUNT_OF(retry_ms)) {
        hook_free(h);
        return;
    }
    h->tries++;
    timer_set(h->c->s->loop, &h->alarm, retry_ms[h->tries - 1] * US_PER_MS, hook_send, h);
}

static void count(const struct cpay_hook *h)
{
    struct sandbox *s = h->c->s;
    struct booking *b = book_at(&s->book, h->booking);
    struct payback *p = payback_at(&s->paybacks, -h->booking);
    if (b != NULL)
        b->callbacks_sent++;
    if (p != NULL)
        p->results_sent++;
}

static void hook_send(void *ctx)
{
    struct cpay_hook *h = ctx;
    struct sandbox *s = h->c->s;
    char event[64], signature[160];
    struct parcel parcel = {.provider = cpay_provider.name,
                            .result_code = h->type,
                            .id = h->object_id,
                            .url = s->chaos.cpay_webhook_url,
                            .url_hash = h->url_hash,
                            .booking = h->booking,
                            .tag = h->n,
                            .headers = {event, signature}};
    if (h->under_way) { /* nobody has answered */
        again(h);
        return;
    }
    (void)snprintf(event, sizeof event, "CPay-Event-Id: %s", h->event_id);
    if (!signature_make(h, signature, sizeof signature) ||
        err_is(courier_send(s->courier, &parcel, str_n(h->body, h->body_len)))) {
        timer_set(s->loop, &h->alarm, busy_us, hook_send, h);
        return;
    }
    count(h);
    h->under_way = true;
    timer_set(s->loop, &h->alarm, silence_us, hook_send, h);
}

void cpay_delivered(void *state, const struct delivery *d)
{
    struct cpay *c = state;
    struct cpay_hook *h = NULL;
    HASH_FIND(hh, c->hooks, &d->tag, sizeof d->tag, h);
    if (h == NULL)
        return;
    bool forged = h->forged;
    h->forged = false;
    if (!forged && d->status >= 200 && d->status < 300) {
        hook_free(h);
    } else if (forged) {
        h->under_way = false;
        timer_set(c->s->loop, &h->alarm, 0, hook_send, h);
    } else {
        again(h);
    }
}

/* ---- events ---- */

static struct cpay_hook *hook_new(struct cpay *c, const char *event_id, struct str body)
{
    struct cpay_hook *h = HASH_COUNT(c->hooks) < HOOKS_MAX ? calloc(1, sizeof *h) : NULL;
    if (h == NULL)
        return NULL;
    h->c = c;
    h->n = (int64_t)++c->s->serial;
    h->body = strndup(body.p, body.n);
    h->body_len = h->body != NULL ? body.n : 0;
    (void)str_copy_c(h->event_id, sizeof h->event_id, str_c(event_id));
    HASH_ADD(hh, c->hooks, n, sizeof h->n, h);
    if (h->hh.tbl == NULL || h->body == NULL) {
        if (h->hh.tbl != NULL)
            HASH_DEL(c->hooks, h);
        free(h->body);
        free(h);
        return NULL;
    }
    return h;
}

void cpay_tell(struct cpay *c, const char *type, const struct cpay_payment *p,
               const struct cpay_money *m, int64_t after_us)
{
    struct sandbox *s = c->s;
    enum cpay_trick trick = p != NULL ? p->script->trick : m->script->trick;
    const char *object_id = p != NULL ? p->b.id : m->p.id;
    struct parcel parcel = {.provider = cpay_provider.name,
                            .result_code = type,
                            .id = object_id,
                            .url_hash = p != NULL ? p->b.url_hash : m->p.url_hash};
    char event_id[CALL_TEXT];
    struct buf body;
    int copies = trick == CPAY_TRICK_TWICE ? 2 : 1;
    if (trick == CPAY_TRICK_SILENT || s->chaos.cpay_webhook_url[0] == 0 ||
        dice_hit(&s->dice, s->chaos.callback_loss_rate)) {
        courier_lose(s->courier, &parcel);
        return;
    }
    copies += dice_hit(&s->dice, s->chaos.callback_dup_rate);
    cpay_id(c, "evt_", event_id);
    buf_init(&body, BODY_MAX);
    cpay_body_event(&body, event_id, type, loop_wall_us(s->loop),
                    p != NULL ? p->sequence : m->sequence, p, m);
    for (int i = 0; i < copies; i++) {
        struct cpay_hook *h = hook_new(c, event_id, buf_view(&body));
        if (h == NULL) {
            courier_lose(s->courier, &parcel);
            continue;
        }
        h->type = type;
        h->booking = p != NULL ? p->b.n : -m->p.n;
        h->forged = trick == CPAY_TRICK_FORGED;
        (void)str_copy_c(h->object_id, sizeof h->object_id, str_c(object_id));
        memcpy(h->url_hash, parcel.url_hash, sizeof h->url_hash);
        timer_set(s->loop, &h->alarm, after_us, hook_send, h);
    }
    buf_free(&body);
}
