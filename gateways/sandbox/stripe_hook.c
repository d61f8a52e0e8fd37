/* Stripe's events: signed, and sent again until somebody says 2xx. An event owns its text, since
 * orders change and a reset forgets them. Source: providers/stripe.md, 8; the schedule is
 * shortened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "core/crypto/text.h"
#include "gateways/sandbox/stripe.h"

enum { HOOKS_MAX = 200000, BODY_MAX = 128 * 1024, SIGNATURE_MAX = 512 };

/* Three tries over hours in test mode, three days of them in live mode. */
static const int64_t retry_ms[] = {500, 1000, 2000, 4000, 8000, 15000, 30000};

static const int64_t busy_us = 200 * US_PER_MS;
/* The courier gives up before that; then nobody will answer any more. */
static const int64_t silence_us = 15 * US_PER_S;

struct stripe_hook {
    struct stripe *c;
    struct timer alarm;
    int64_t n, booking;
    const char *type;
    char object_id[CALL_ID], url_hash[URL_HASH_TEXT];
    char *body;
    size_t body_len;
    size_t tries;
    bool forged; /* the next one has a wrong signature */
    bool under_way;
    UT_hash_handle hh;
};

static void hook_free(struct stripe_hook *h)
{
    timer_off(h->c->s->loop, &h->alarm);
    HASH_DEL(h->c->hooks, h);
    free(h->body);
    free(h);
}

void stripe_hooks_drop(struct stripe *c)
{
    while (c->hooks != NULL)
        hook_free(c->hooks);
}

/* "Stripe-Signature: t=1760000100,v1=…,v0=…": one v1 of each secret; v0 is a fake, as in Stripe's
 * test mode. */
static bool signature_make(const struct stripe_hook *h, char *out, size_t cap)
{
    char time[24];
    uint8_t mac[SHA256_LEN];
    struct buf b;
    (void)snprintf(time, sizeof time, "%lld", (long long)stripe_now_s(h->c));
    const struct str parts[] = {str_c(time), STR("."), str_n(h->body, h->body_len)};
    buf_init(&b, cap - 1);
    buf_fmt(&b, "Stripe-Signature: t=%s", time);
    for (size_t i = 0; i < h->c->n_webhook_secrets; i++) {
        struct str key = h->forged ? STR("whsec_another") : str_c(h->c->webhook_secrets[i]);
        hmac_sha256(key, parts, COUNT_OF(parts), mac);
        buf_c(&b, ",v1=");
        hex_add(&b, str_n((const char *)mac, sizeof mac));
    }
    sha256_one(str_n((const char *)mac, sizeof mac), mac);
    buf_c(&b, ",v0=");
    hex_add(&b, str_n((const char *)mac, sizeof mac));
    (void)str_copy_c(out, cap, buf_view(&b));
    bool whole = !b.failed;
    buf_free(&b);
    return whole;
}

static void hook_send(void *ctx);

static void again(struct stripe_hook *h)
{
    h->under_way = false;
    if (h->tries >= COUNT_OF(retry_ms)) {
        hook_free(h);
        return;
    }
    h->tries++;
    timer_set(h->c->s->loop, &h->alarm, retry_ms[h->tries - 1] * US_PER_MS, hook_send, h);
}

static void count(const struct stripe_hook *h)
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
    struct stripe_hook *h = ctx;
    struct sandbox *s = h->c->s;
    char signature[SIGNATURE_MAX];
    struct parcel parcel = {.provider = stripe_provider.name,
                            .result_code = h->type,
                            .id = h->object_id,
                            .url = s->chaos.stripe_webhook_url,
                            .url_hash = h->url_hash,
                            .booking = h->booking,
                            .tag = h->n,
                            .headers = {signature}};
    if (h->under_way) { /* nobody has answered */
        again(h);
        return;
    }
    if (!signature_make(h, signature, sizeof signature) ||
        err_is(courier_send(s->courier, &parcel, str_n(h->body, h->body_len)))) {
        timer_set(s->loop, &h->alarm, busy_us, hook_send, h);
        return;
    }
    count(h);
    h->under_way = true;
    timer_set(s->loop, &h->alarm, silence_us, hook_send, h);
}

void stripe_delivered(void *state, const struct delivery *d)
{
    struct stripe *c = state;
    struct stripe_hook *h = NULL;
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

static void envelope_open(struct jsonw *w, struct stripe *c)
{
    char id[CALL_ID];
    stripe_id(c, "evt_", id, sizeof id);
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

static bool hook_new(struct stripe *c, const struct parcel *p, struct str body, bool forged,
                     int64_t after_us)
{
    struct stripe_hook *h = HASH_COUNT(c->hooks) < HOOKS_MAX ? calloc(1, sizeof *h) : NULL;
    if (h == NULL)
        return false;
    h->c = c;
    h->n = (int64_t)++c->s->serial;
    h->body = strndup(body.p, body.n);
    h->body_len = h->body != NULL ? body.n : 0;
    h->type = p->result_code;
    h->booking = p->booking;
    h->forged = forged;
    (void)str_copy_c(h->object_id, sizeof h->object_id, str_c(p->id));
    (void)str_copy_c(h->url_hash, sizeof h->url_hash, str_c(p->url_hash));
    HASH_ADD(hh, c->hooks, n, sizeof h->n, h);
    if (h->hh.tbl == NULL || h->body == NULL) {
        if (h->hh.tbl != NULL)
            HASH_DEL(c->hooks, h);
        free(h->body);
        free(h);
        return false;
    }
    timer_set(c->s->loop, &h->alarm, after_us, hook_send, h);
    return true;
}

/* Writes the event's object. */
typedef void object_fn(struct jsonw *w, const void *of, enum stripe_subject what);

static void tell(struct stripe *c, const struct parcel *p, enum stripe_trick trick,
                 int64_t after_us, object_fn *object, const void *of, enum stripe_subject what)
{
    struct sandbox *s = c->s;
    int copies = trick == STRIPE_TRICK_TWICE ? 2 : 1;
    if (trick == STRIPE_TRICK_SILENT || s->chaos.stripe_webhook_url[0] == 0 ||
        dice_hit(&s->dice, s->chaos.callback_loss_rate)) {
        courier_lose(s->courier, p);
        return;
    }
    copies += dice_hit(&s->dice, s->chaos.callback_dup_rate);
    for (int i = 0; i < copies; i++) {
        struct buf b;
        struct jsonw w = jw_into(&b);
        buf_init(&b, BODY_MAX);
        envelope_open(&w, c);
        object(&w, of, what);
        envelope_close(&w, p->result_code);
        if (b.failed || !hook_new(c, p, buf_view(&b), trick == STRIPE_TRICK_FORGED, after_us))
            courier_lose(s->courier, p);
        buf_free(&b);
    }
}

static void order_object(struct jsonw *w, const void *of, enum stripe_subject what)
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

static void refund_object(struct jsonw *w, const void *of, enum stripe_subject what)
{
    (void)what;
    stripe_body_refund(w, of);
}

void stripe_tell(const struct stripe_order *o, const char *type, enum stripe_subject what,
                 int64_t after_us)
{
    struct parcel p = {.provider = stripe_provider.name,
                       .result_code = type,
                       .id = o->b.id,
                       .url_hash = o->b.url_hash,
                       .booking = o->b.n};
    tell(o->c, &p, o->trick, after_us, order_object, o, what);
}

void stripe_tell_refund(const struct stripe_refund *r, const char *type)
{
    struct parcel p = {.provider = stripe_provider.name,
                       .result_code = type,
                       .id = r->p.id,
                       .url_hash = r->p.url_hash,
                       .booking = -r->p.n};
    tell(r->c, &p, r->trick, 0, refund_object, r, STRIPE_OF_CHARGE);
}
