/* Webhooks before they are sent. See webhook.h. */
#include "core/flow/webhook.h"

#include <stdlib.h>

#include "core/domain/payment.h"
#include "core/domain/payout.h"
#include "core/domain/refund.h"
#include "core/flow/record.h"
#include "core/flow/render.h"

enum { BODY_MAX = 2 * 1024 * 1024, PERSON_MAX = 64 * 1024 };

bool webhook_word_ok(struct str word)
{
    if (str_eq(word, STR("*")))
        return true;
    for (int n = NOTICE_INITIATED; n <= NOTICE_UPDATED; n++) {
        struct str type = str_c(payment_notice_type((enum payment_notice)n));
        if (str_eq(word, type))
            return true;
    }
    for (int n = REFUND_NOTICE_PENDING; n <= REFUND_NOTICE_IN_RECONCILIATION; n++)
        if (str_eq(word, str_c(refund_notice_type((enum refund_notice)n))))
            return true;
    for (int n = 0; n < PAYOUT_N_STATES; n++)
        if (str_eq(word, str_c(payout_notice_type((enum payout_status)n))))
            return true;
    return str_eq(word, STR("payment.*")) || str_eq(word, STR("refund.*")) ||
           str_eq(word, STR("payout.*"));
}

bool webhook_wanted(struct str filter, struct str type)
{
    struct str rest = filter, word;
    while (str_split(&rest, ',', &word)) {
        if (str_eq(word, STR("*")) || str_eq(word, type))
            return true;
        if (str_ends(word, STR(".*")) && str_starts(type, str_first(word, word.n - 1)))
            return true;
    }
    return false;
}

/* ---- what it says ---- */

static struct err render(struct flow *f, struct uuid merchant, const struct rows *r,
                         struct buf *out)
{
    struct payment_record rec = {
        .merchant = merchant, .id = rows_uuid(r, 0, HOOK_PAYMENT), .pii = rows_str(r, 0, HOOK_PII)};
    struct event_view e = {
        .id = rows_uuid(r, 0, HOOK_EVENT),
        .payment = rec.id,
        .type = rows_str(r, 0, HOOK_TYPE),
        .mode = rows_str(r, 0, HOOK_MODE),
        .snapshot = rows_str(r, 0, HOOK_DATA),
        .seq = (int32_t)rows_i64(r, 0, HOOK_SEQ),
        .at_us = rows_time(r, 0, HOOK_AT),
    };
    struct arena a;
    struct str person;
    arena_init(&a, PERSON_MAX);
    struct err err = record_person(f, &rec, &a, &person);
    if (!err_is(err))
        render_event(out, &e, person);
    arena_free(&a);
    return !err_is(err) && out->failed ? ERR(LIMIT, "event too large") : err;
}

static size_t size_of(const struct webhook *w)
{
    return sizeof *w + w->body.n + w->earlier.n;
}

/* In one piece with both texts behind it. */
static struct webhook *made(struct flow *f, struct str body, struct str earlier)
{
    struct webhook *w = malloc(sizeof *w + body.n + earlier.n);
    if (w == NULL)
        return NULL;
    char *text = (char *)(w + 1);
    memcpy(text, body.p, body.n);
    if (earlier.n > 0)
        memcpy(text + body.n, earlier.p, earlier.n);
    *w = (struct webhook){
        .flow = f,
        .holders = 1,
        .body = str_n(text, body.n),
        .earlier = str_n(text + body.n, earlier.n),
    };
    f->webhooks_held += size_of(w);
    return w;
}

struct err webhook_new(struct flow *f, struct uuid merchant, const struct rows *r,
                       struct webhook **out)
{
    struct buf body;
    buf_init(&body, BODY_MAX);
    struct err err = render(f, merchant, r, &body);
    if (!err_is(err)) {
        struct webhook *w =
            made(f, buf_view(&body),
                 rows_null(r, 0, HOOK_EARLIER) ? STR("") : rows_str(r, 0, HOOK_EARLIER));
        if (w == NULL) {
            err = ERR(NO_MEMORY, "webhook");
        } else {
            w->payment = rows_uuid(r, 0, HOOK_PAYMENT);
            w->seq = (int32_t)rows_i64(r, 0, HOOK_SEQ);
            uuid_text(rows_uuid(r, 0, HOOK_EVENT), w->event);
            if (!rows_null(r, 0, HOOK_TRACE))
                str_copy_c(w->trace, sizeof w->trace, rows_str(r, 0, HOOK_TRACE));
            *out = w;
        }
    }
    buf_free(&body);
    return err;
}

struct webhook *webhook_hold(struct webhook *w)
{
    w->holders++;
    return w;
}

void webhook_drop(struct webhook *w)
{
    if (w == NULL || --w->holders > 0)
        return;
    w->flow->webhooks_held -= size_of(w);
    explicit_bzero((char *)(uintptr_t)w->body.p, w->body.n); /* it tells of a person */
    free(w);
}

/* ---- where it goes ---- */

static struct str previous_id(const struct rows *r, size_t i, const struct webhook *w, bool own,
                              struct arena *a)
{
    struct str rest = w->earlier, one;
    while (str_split(&rest, ',', &one)) {
        size_t blank = str_find(one, ' ', 0);
        if (own || webhook_wanted(rows_str(r, i, HOOK_FILTER), str_from(one, blank + 1)))
            return arena_dup(a, str_first(one, blank));
    }
    return STR("");
}

static struct err read_keys(struct flow *f, struct str texts, struct arena *a,
                            struct webhook_target *out)
{
    int64_t now_s = loop_wall_us(f->loop) / US_PER_S;
    return webhook_keys_parse(texts, now_s, a, out->keys, &out->n_keys);
}

struct err webhook_aim(struct flow *f, struct uuid merchant, const struct rows *r, size_t i,
                       struct uuid endpoint, const struct webhook *w, struct arena *a,
                       struct webhook_target *out)
{
    bool own = uuid_eq(endpoint, w->payment);
    struct str secrets;
    *out = (struct webhook_target){0};
    if (!own)
        out->endpoint = endpoint;
    out->gone = !own && (rows_null(r, i, HOOK_URL) ||
                         !str_eq(rows_str(r, i, HOOK_ENDPOINT_STATUS), STR("enabled")));
    if (out->gone)
        return ERR_OK;
    out->url = arena_dup(a, rows_str(r, i, own ? HOOK_CALLBACK_URL : HOOK_URL));
    out->previous = previous_id(r, i, w, own, a);
    if (own)
        TRY(vault_open(f->vault, "merchant.webhook_secret", merchant, merchant,
                       rows_str(r, i, HOOK_MERCHANT_SECRET), a, &secrets));
    else
        TRY(vault_open(f->vault, "webhook_endpoint.secrets", merchant, endpoint,
                       rows_str(r, i, HOOK_SECRETS), a, &secrets));
    return read_keys(f, secrets, a, out);
}
