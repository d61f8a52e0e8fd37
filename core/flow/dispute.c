/* A dispute becomes an item of the operators' queue, or brings it up to date. What it means for the
 * payment is decided elsewhere (callback.c): this alone moves nothing. */
#include "core/flow/dispute.h"

#include <stdlib.h>

#include "core/codec/jsonw.h"
#include "core/crypto/random.h"
#include "core/flow/record.h"

enum { DATA_MAX = 4096 };

struct dispute {
    struct flow *flow;
    struct arena arena;
    dispute_fn *done;
    void *ctx;
};

static const char *const state_words[] = {
    [GW_DISPUTE_OPEN] = "open",
    [GW_DISPUTE_WON] = "won",
    [GW_DISPUTE_LOST] = "lost",
};

bool dispute_is_partial(const struct payment *p, const struct gw_dispute *d)
{
    return d->amount.currency != 0 && (d->amount.currency != p->amount.currency ||
                                       d->amount.minor < p->received_minor - p->refunded_minor);
}

static struct str data_of(struct arena *a, const struct gw_dispute *d)
{
    char currency[CURRENCY_TEXT];
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, DATA_MAX);
    jw_open(&w);
    jw_str(&w, "id", d->id);
    jw_c(&w, "state", state_words[d->state]);
    jw_str(&w, "provider_status", d->status.n > 0 ? d->status : STR_NULL);
    jw_str(&w, "reason", d->reason.n > 0 ? d->reason : STR_NULL);
    if (d->amount.currency != 0) {
        jw_money(&w, "amount", d->amount);
        jw_c(&w, "currency", currency_text(d->amount.currency, currency));
    } else {
        jw_null(&w, "amount");
        jw_null(&w, "currency");
    }
    if (d->due_us > 0)
        jw_time(&w, "due_at", d->due_us);
    else
        jw_null(&w, "due_at");
    jw_close(&w);
    return buf_keep(&b, a);
}

static void put(void *ctx, struct err err, const struct rows *rows)
{
    struct dispute *d = ctx;
    (void)rows;
    d->flow->busy--;
    d->done(d->ctx, err);
    arena_free(&d->arena);
    free(d);
}

void dispute_start(struct flow *f, const struct dispute_input *in, dispute_fn *done, void *ctx)
{
    struct dispute *d = calloc(1, sizeof *d);
    const struct payment_record *rec = in->payment;
    int64_t now = loop_wall_us(f->loop);
    ASSERT(d != NULL);
    *d = (struct dispute){.flow = f, .done = done, .ctx = ctx};
    arena_init(&d->arena, 64 * 1024);
    f->busy++;
    struct str detail = in->said->status.n > 0 ? in->said->status : STR("disputed");
    struct value params[] = {
        V_UUID(rec->merchant),
        V_UUID(random_uuid(now)),
        V_TEXT(mode_word(rec->live)),
        V_UUID(rec->id),
        V_I16((int16_t)in->attempt),
        V_TEXT(in->said->id),
        V_TEXT(detail),
        V_JSON(data_of(&d->arena, in->said)),
        V_BOOL(in->settled),
        V_TEXT(str_c(state_words[in->said->state])),
        V_TIME(now),
    };
    store_exec(f->store, Q_dispute_put, params, COUNT_OF(params), put, d);
}
