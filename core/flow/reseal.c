/* READ a page of one place, SEAL what needs it, PUT it back; place by place until all is DONE. The
 * job is given back after a while, and begins where the note in the key's row says. See reseal.h.
 */
#include "core/flow/reseal.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/codec/jsonw.h"
#include "core/crypto/text.h"
#include "core/flow/keys.h"

/* As vault_seal names them, and sql/query/reseal_page.sql. */
static const char *const places[] = {
    "merchant.webhook_secret",
    "webhook_endpoint.secrets",
    "provider_account.settings",
    "account_user.person",
    "account_user.totp",
    "exception_item.payer",
    "payment.pii",
    "payout.pii",
};

enum { PAGE = 200, PAGE_BYTES = 16 << 20 };
#define RUN_US (20 * US_PER_S)

struct reseal {
    struct flow *flow;
    int32_t number;
    int64_t until_us; /* monotonic */
    size_t place;
    struct uuid merchant, row; /* the last that was looked at */
    int64_t n_sealed;
    struct arena arena; /* of a page */
    loop_fn *done;
    void *ctx;
};

static void next(struct reseal *s);

static void finish(struct reseal *s, struct err err)
{
    if (err_is(err)) /* again when the lease has run out */
        log_warn("reseal.failed", F_I64("key", s->number), F_ERR(err));
    log_info("reseal.worked", F_I64("key", s->number), F_I64("texts", s->n_sealed));
    s->flow->busy--;
    s->done(s->ctx);
    arena_free(&s->arena);
    free(s);
}

static void job_gone(void *ctx, struct err err, const struct rows *r)
{
    (void)r;
    finish(ctx, err);
}

static void give_back(struct reseal *s, int64_t run_at_us)
{
    struct value params[] = {V_UUID(UUID_NIL), V_TEXT(STR("reseal")), V_UUID(UUID_NIL),
                             V_I32(s->number), V_TIME(run_at_us),     V_UUID(s->flow->replica)};
    store_exec(s->flow->store, Q_job_later, params, COUNT_OF(params), job_gone, s);
}

/* ---- where ---- */

static struct str note_text(struct reseal *s)
{
    char merchant[UUID_TEXT], row[UUID_TEXT];
    if (s->place == COUNT_OF(places))
        return STR("done");
    return arena_fmt(&s->arena, "%s %s %s", places[s->place], uuid_text(s->merchant, merchant),
                     uuid_text(s->row, row));
}

/* A place that is no longer known begins all of it again. */
static void note_read(struct reseal *s, struct str note)
{
    struct str place, merchant;
    if (str_eq(note, STR("done")))
        s->place = COUNT_OF(places);
    if (!str_split(&note, ' ', &place) || !str_split(&note, ' ', &merchant))
        return;
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (str_eq(place, str_c(places[i])) && uuid_parse(merchant, &s->merchant) &&
            uuid_parse(note, &s->row))
            s->place = i;
}

/* ---- a page ---- */

static void put_done(void *ctx, struct err err, const struct rows *r)
{
    struct reseal *s = ctx;
    if (err_is(err)) {
        finish(s, err);
        return;
    }
    s->n_sealed += rows_i64(r, 0, 0);
    arena_free(&s->arena);
    next(s);
}

static struct err put_one(struct reseal *s, struct jsonw *w, struct uuid merchant, struct uuid row,
                          struct str old)
{
    struct vault *v = s->flow->vault;
    struct arena a;
    struct str plain;
    struct buf fresh;
    /* people belong to nobody, a merchant is his own row: sealed for the ids of the row */
    arena_init(&a, old.n + 4096);
    buf_init(&fresh, old.n + 256);
    struct err err = vault_open(v, places[s->place], merchant, row, old, &a, &plain);
    if (!err_is(err))
        err = vault_seal(v, places[s->place], merchant, row, plain, &fresh);
    if (!err_is(err)) {
        explicit_bzero((void *)(uintptr_t)plain.p, plain.n);
        jw_open(w);
        jw_uuid(w, "merchant_id", merchant);
        jw_uuid(w, "id", row);
        jw_str(w, "old", base64_text(&s->arena, old));
        jw_str(w, "fresh", base64_text(&s->arena, buf_view(&fresh)));
        jw_close(w);
    }
    buf_free(&fresh);
    arena_free(&a);
    return err;
}

enum { P_MERCHANT, P_ROW, P_SEALED };

/* One that does not open stays as it is, and is told: its key cannot be taken away. */
static void page_read(void *ctx, struct err err, const struct rows *r)
{
    struct reseal *s = ctx;
    if (err_is(err)) {
        finish(s, err);
        return;
    }
    struct buf b;
    buf_init(&b, PAGE_BYTES);
    struct jsonw w = jw_into(&b);
    jw_open_list(&w);
    for (size_t i = 0; i < rows_n(r); i++) {
        s->merchant = rows_uuid(r, i, P_MERCHANT);
        s->row = rows_uuid(r, i, P_ROW);
        if (rows_null(r, i, P_SEALED))
            continue;
        struct err one = put_one(s, &w, s->merchant, s->row, rows_str(r, i, P_SEALED));
        if (err_is(one))
            log_error("reseal.does_not_open", F_C("place", places[s->place]), F_ID("row", s->row),
                      F_ERR(one));
    }
    jw_close_list(&w);
    struct str place = str_c(places[s->place]);
    if (rows_n(r) < PAGE) {
        s->place++;
        s->merchant = s->row = UUID_NIL;
    }
    struct str note = note_text(s);
    if (b.failed || note.p == NULL) {
        buf_free(&b);
        finish(s, ERR(NO_MEMORY, "a page of sealed texts"));
        return;
    }
    struct value params[] = {V_TEXT(place), V_JSON(buf_view(&b)), V_I32(s->number), V_TEXT(note)};
    store_exec(s->flow->store, Q_reseal_put, params, COUNT_OF(params), put_done, s);
    buf_free(&b);
}

static void next(struct reseal *s)
{
    struct flow *f = s->flow;
    uint8_t mark[VAULT_MARK];
    if (s->place == COUNT_OF(places)) {
        struct value params[] = {V_UUID(UUID_NIL), V_TEXT(STR("reseal")), V_UUID(UUID_NIL),
                                 V_I32(s->number)};
        store_exec(f->store, Q_job_drop, params, COUNT_OF(params), job_gone, s);
        return;
    }
    if (f->closing || loop_mono_us(f->loop) >= s->until_us) {
        give_back(s, loop_wall_us(f->loop));
        return;
    }
    vault_mark(s->number, mark);
    struct value params[] = {V_TEXT(str_c(places[s->place])), V_UUID(s->merchant), V_UUID(s->row),
                             V_I64(PAGE), V_BYTES(str_n((const char *)mark, sizeof mark))};
    store_read(f->store, Q_reseal_page, params, COUNT_OF(params), page_read, s);
}

/* ---- the job ---- */

enum { K_KIND, K_NUMBER, K_WRAPPED, K_AT, K_PROGRESS };

static void keys_read(void *ctx, struct err err, const struct rows *r)
{
    struct reseal *s = ctx;
    struct flow *f = s->flow;
    bool known = false;
    if (!err_is(err))
        err = keys_take(f->vault, r, loop_wall_us(f->loop));
    if (err_is(err)) {
        finish(s, err);
        return;
    }
    for (size_t i = 0; i < rows_n(r); i++) {
        if (rows_i64(r, i, K_NUMBER) != s->number || !str_eq(rows_str(r, i, K_KIND), STR("data")))
            continue;
        known = true;
        if (!rows_null(r, i, K_PROGRESS))
            note_read(s, rows_str(r, i, K_PROGRESS));
    }
    if (!known || vault_sealing(f->vault) > s->number)
        s->place = COUNT_OF(places); /* a newer one does it */
    if (known && vault_sealing(f->vault) < s->number)
        give_back(s, loop_wall_us(f->loop) + KEYS_SETTLE_US);
    else
        next(s);
}

void reseal_run(struct flow *f, int32_t n, loop_fn *done, void *ctx)
{
    struct reseal *s = calloc(1, sizeof *s);
    ASSERT(s != NULL);
    *s = (struct reseal){.flow = f,
                         .number = n,
                         .until_us = loop_mono_us(f->loop) + RUN_US,
                         .done = done,
                         .ctx = ctx};
    arena_init(&s->arena, PAGE_BYTES);
    f->busy++;
    store_read(f->store, Q_installation_key_list, NULL, 0, keys_read, s);
}
