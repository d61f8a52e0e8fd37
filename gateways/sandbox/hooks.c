/* Events that are sent until they are acknowledged. Each owns its text, since what it tells of
 * changes, and a reset forgets it. Source of the schedules, which are shortened:
 * providers/patterns.md, A3, and providers/stripe.md, 8. */
#include "gateways/sandbox/hooks.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"

enum { HOOKS_MAX = 200000, HOOK_BODY_MAX = 128 * 1024 };

static const int64_t retry_ms[] = {500, 1000, 2000, 4000, 8000, 15000, 30000};

static const int64_t busy_us = 200 * US_PER_MS;
/* The courier gives up before that; then nobody will answer any more. */
static const int64_t silence_us = 15 * US_PER_S;

struct hook {
    struct hooks *of;
    struct timer alarm;
    int64_t n, booking;
    const char *type;
    char event_id[CALL_ID], object_id[CALL_ID], url_hash[URL_HASH_TEXT];
    char *body;
    size_t body_len;
    size_t tries;
    bool forged; /* the next one has a wrong signature */
    bool under_way;
    UT_hash_handle hh;
};

static void hook_free(struct hook *k)
{
    timer_off(k->of->s->loop, &k->alarm);
    HASH_DEL(k->of->list, k);
    free(k->body);
    free(k);
}

void hooks_drop(struct hooks *h)
{
    while (h->list != NULL)
        hook_free(h->list);
}

/* ---- sending ---- */

static void hook_send(void *ctx);

static void again(struct hook *k)
{
    k->under_way = false;
    if (k->tries >= COUNT_OF(retry_ms)) {
        hook_free(k);
        return;
    }
    k->tries++;
    timer_set(k->of->s->loop, &k->alarm, retry_ms[k->tries - 1] * US_PER_MS, hook_send, k);
}

static void count(const struct hook *k)
{
    struct sandbox *s = k->of->s;
    struct booking *b = book_at(&s->book, k->booking);
    struct payback *p = payback_at(&s->paybacks, -k->booking);
    if (b != NULL)
        b->callbacks_sent++;
    if (p != NULL)
        p->results_sent++;
}

static void hook_send(void *ctx)
{
    struct hook *k = ctx;
    struct hooks *h = k->of;
    struct hook_headers headers = {0};
    struct str body = str_n(k->body, k->body_len);
    struct parcel parcel = {.provider = h->provider,
                            .result_code = k->type,
                            .id = k->object_id,
                            .url = h->url,
                            .url_hash = k->url_hash,
                            .booking = k->booking,
                            .tag = k->n};
    if (k->under_way) { /* nobody has answered */
        again(k);
        return;
    }
    bool whole = h->sign(h->ctx, str_c(k->event_id), body, k->forged, &headers);
    for (size_t i = 0; i < HOOK_HEADERS && headers.text[i][0] != '\0'; i++)
        parcel.headers[i] = headers.text[i];
    if (!whole || err_is(courier_send(h->s->courier, &parcel, body))) {
        timer_set(h->s->loop, &k->alarm, busy_us, hook_send, k);
        return;
    }
    count(k);
    k->under_way = true;
    timer_set(h->s->loop, &k->alarm, silence_us, hook_send, k);
}

void hooks_delivered(struct hooks *h, const struct delivery *d)
{
    struct hook *k = NULL;
    HASH_FIND(hh, h->list, &d->tag, sizeof d->tag, k);
    if (k == NULL)
        return;
    bool forged = k->forged;
    k->forged = false;
    if (!forged && d->status >= 200 && d->status < 300) {
        hook_free(k);
    } else if (forged) {
        k->under_way = false;
        timer_set(h->s->loop, &k->alarm, 0, hook_send, k);
    } else {
        again(k);
    }
}

/* ---- news ---- */

static bool hook_new(struct hooks *h, const struct hook_news *n, const char *event_id,
                     struct str body)
{
    struct hook *k = HASH_COUNT(h->list) < HOOKS_MAX ? calloc(1, sizeof *k) : NULL;
    if (k == NULL)
        return false;
    k->of = h;
    k->n = (int64_t)++h->s->serial;
    k->body = strndup(body.p, body.n);
    k->body_len = k->body != NULL ? body.n : 0;
    k->type = n->type;
    k->booking = n->booking;
    k->forged = n->forged;
    (void)str_copy_c(k->event_id, sizeof k->event_id, str_c(event_id));
    (void)str_copy_c(k->object_id, sizeof k->object_id, str_c(n->object_id));
    (void)str_copy_c(k->url_hash, sizeof k->url_hash, str_c(n->url_hash));
    HASH_ADD(hh, h->list, n, sizeof k->n, k);
    if (k->hh.tbl == NULL || k->body == NULL) {
        if (k->hh.tbl != NULL)
            HASH_DEL(h->list, k);
        free(k->body);
        free(k);
        return false;
    }
    timer_set(h->s->loop, &k->alarm, n->after_us, hook_send, k);
    return true;
}

void hooks_tell(struct hooks *h, const struct hook_news *n, hook_body_fn *body, void *ctx)
{
    struct sandbox *s = h->s;
    struct parcel parcel = {.provider = h->provider,
                            .result_code = n->type,
                            .id = n->object_id,
                            .url_hash = n->url_hash,
                            .booking = n->booking};
    int copies = n->twice ? 2 : 1;
    if (n->silent || h->url[0] == '\0' || dice_hit(&s->dice, s->chaos.callback_loss_rate)) {
        courier_lose(s->courier, &parcel);
        return;
    }
    copies += dice_hit(&s->dice, s->chaos.callback_dup_rate);
    for (int i = 0; i < copies; i++) {
        char event_id[CALL_ID] = "";
        struct buf b;
        buf_init(&b, HOOK_BODY_MAX);
        body(ctx, &b, event_id);
        if (b.failed || !hook_new(h, n, event_id, buf_view(&b)))
            courier_lose(s->courier, &parcel);
        buf_free(&b);
    }
}
