/* Merchants' accounts, opened once and believed for a second. When that is over, who asks first
 * goes to the database, and the others go on with what was known until he is back. An account that
 * cannot be opened stays in the list without settings: its payments fail for their configuration
 * and do not quietly go over the installation's. */
#include "core/flow/account.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"

enum { CACHE = 512, READ_ARENA = 1024 * 1024 };
#define FRESH_US US_PER_S
#define ASKING_US (US_PER_S / 4)

/* A merchant's accounts as one read found them, best first. */
struct account_set {
    int users;
    size_t n;
    struct flow_account list[];
};

struct cached {
    struct uuid merchant;
    struct account_set *set; /* NULL: empty */
    int64_t asked_us;        /* monotonic */
    int64_t until_us;
};

struct account_cache {
    struct cached slots[CACHE];
};

static struct cached *slot(const struct flow *f, struct uuid merchant)
{
    unsigned random = (unsigned)merchant.b[14] << 8 | merchant.b[15]; /* of a UUIDv7 */
    return f->account_cache != NULL ? &f->account_cache->slots[random % CACHE] : NULL;
}

static const struct account_set *set_of(const struct flow *f, struct uuid merchant)
{
    const struct cached *c = slot(f, merchant);
    return c != NULL && c->set != NULL && uuid_eq(c->merchant, merchant) ? c->set : NULL;
}

/* ---- life ---- */

static void set_release(struct account_set *s)
{
    if (s == NULL || --s->users > 0)
        return;
    for (size_t i = 0; i < s->n; i++)
        account_wipe(&s->list[i]);
    free(s);
}

const struct flow_account *account_hold(const struct flow_account *a)
{
    if (a != NULL && a->set != NULL)
        a->set->users++;
    return a;
}

void account_release(const struct flow_account *a)
{
    if (a != NULL)
        set_release(a->set);
}

void accounts_forget(struct flow *f, struct uuid merchant)
{
    struct cached *c = slot(f, merchant);
    if (set_of(f, merchant) == NULL)
        return;
    set_release(c->set);
    c->set = NULL;
}

void accounts_free(struct flow *f)
{
    for (size_t i = 0; f->account_cache != NULL && i < CACHE; i++)
        set_release(f->account_cache->slots[i].set);
    free(f->account_cache);
    f->account_cache = NULL;
}

struct uuid account_id_make(int64_t wall_us)
{
    struct uuid id = random_uuid(wall_us);
    id.b[6] = (uint8_t)(0x80 | (id.b[6] & 0x0f));
    return id;
}

/* ---- looking ---- */

bool accounts_fresh(struct flow *f, struct uuid merchant)
{
    struct cached *c = slot(f, merchant);
    int64_t now = loop_mono_us(f->loop);
    if (uuid_is_nil(merchant))
        return true;
    if (set_of(f, merchant) == NULL || now >= c->asked_us + 2 * FRESH_US)
        return false;
    if (now >= c->until_us) {
        c->until_us = now + ASKING_US;
        return false;
    }
    return true;
}

const struct flow_account *account_for(const struct flow *f, struct uuid merchant,
                                       const struct gateway *g, bool live)
{
    const struct account_set *s = set_of(f, merchant);
    for (size_t i = 0; s != NULL && i < s->n; i++) {
        const struct flow_account *a = &s->list[i];
        if (a->active && a->live == live && a->gw.gateway == g)
            return a;
    }
    return flow_account(f, str_c(g->name), live);
}

const struct flow_account *account_named(const struct flow *f, struct uuid merchant,
                                         const struct gateway *g, bool live, struct str name)
{
    const struct account_set *s = set_of(f, merchant);
    if (name.n == 0)
        return account_for(f, merchant, g, live);
    for (size_t i = 0; s != NULL && i < s->n; i++) {
        const struct flow_account *a = &s->list[i];
        if (a->active && a->live == live && a->gw.gateway == g && str_eq(name, str_c(a->name)))
            return a;
    }
    return NULL;
}

bool account_name_fine(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = ascii_is_digit(c) || (c >= 'a' && c <= 'z');
        if (!word && (i == 0 || (c != '-' && c != '_')))
            return false;
    }
    return s.n > 0 && s.n <= ACCOUNT_NAME_MAX;
}

const struct flow_account *account_by_id(const struct flow *f, struct uuid merchant, struct uuid id)
{
    const struct flow_account *ours = flow_account_by_id(f, id);
    const struct account_set *s = set_of(f, merchant);
    for (size_t i = 0; ours == NULL && s != NULL && i < s->n; i++)
        if (uuid_eq(s->list[i].id, id))
            return &s->list[i];
    return ours;
}

static bool expects(const struct flow_account *a, struct str peer)
{
    const struct cidr_list *l = &a->gw.callback_cidrs;
    return (l->n == 0 && !l->has_unix) || cidr_list_has_text(l, peer);
}

bool account_expects(const struct flow *f, struct uuid merchant, const struct gateway *g, bool live,
                     struct str peer)
{
    const struct flow_account *ours = flow_account(f, str_c(g->name), live);
    const struct account_set *s = set_of(f, merchant);
    bool own = false;
    for (size_t i = 0; s != NULL && i < s->n; i++) {
        const struct flow_account *a = &s->list[i];
        if (a->live != live || a->gw.gateway != g)
            continue;
        if (expects(a, peer))
            return true;
        own = true;
    }
    return ours != NULL ? expects(ours, peer) : !own;
}

/* ---- asking ---- */

struct asking {
    struct flow *flow;
    struct uuid merchant;
    accounts_fn *done;
    void *ctx;
};

enum { R_ID, R_PROVIDER, R_MODE, R_NAME, R_ACTIVE, R_PRIORITY, R_VERSION, R_SETTINGS };

static struct err open_row(const struct flow *f, struct uuid merchant, const struct rows *r,
                           size_t i, struct arena *mem, struct flow_account *out)
{
    struct str plain;
    struct account_text text;
    const struct gateway *g = gateway_find(rows_str(r, i, R_PROVIDER));
    TRY(vault_open(f->vault, ACCOUNT_PLACE, merchant, rows_uuid(r, i, R_ID),
                   rows_str(r, i, R_SETTINGS), mem, &plain));
    TRY(account_text_read(plain, g, str_eq(rows_str(r, i, R_MODE), STR("live")), mem, &text));
    return account_make(f, &text, out);
}

/* Its access token is its own, and a changed account has none. */
static void set_cache_id(struct flow_account *a, int64_t version)
{
    char *out = a->gw.id;
    for (size_t i = 0; i < 16; i++)
        out += snprintf(out, 3, "%02x", (unsigned)a->id.b[i]);
    snprintf(out, sizeof a->gw.id - 32, ":%u", (unsigned)(version % 1000000));
}

static void read_row(const struct flow *f, struct uuid merchant, const struct rows *r, size_t i,
                     struct account_set *s)
{
    struct flow_account *a = &s->list[s->n];
    struct arena mem;
    const struct gateway *g = gateway_find(rows_str(r, i, R_PROVIDER));
    if (g == NULL)
        return; /* this program does not know it */
    arena_init(&mem, READ_ARENA);
    struct err err = open_row(f, merchant, r, i, &mem, a);
    arena_free(&mem);
    if (err_is(err)) {
        log_error("account.not_opened", F_ID("account", rows_uuid(r, i, R_ID)), F_ERR(err));
        account_wipe(a);
        *a = (struct flow_account){.gw = {.gateway = g, .base_url = STR("")}};
    }
    a->id = rows_uuid(r, i, R_ID);
    a->live = str_eq(rows_str(r, i, R_MODE), STR("live"));
    a->active = rows_bool(r, i, R_ACTIVE);
    (void)str_copy_c(a->name, sizeof a->name, rows_str(r, i, R_NAME));
    a->set = s;
    set_cache_id(a, rows_i64(r, i, R_VERSION));
    s->n++;
}

static void found(void *ctx, struct err err, const struct rows *r)
{
    struct asking *q = ctx;
    struct flow *f = q->flow;
    size_t n = err_is(err) ? 0 : rows_n(r);
    struct cached *c = slot(f, q->merchant);
    struct account_set *s =
        err_is(err) ? NULL : calloc(1, sizeof *s + n * sizeof(struct flow_account));
    if (!err_is(err)) {
        ASSERT(s != NULL);
        s->users = 1;
        for (size_t i = 0; i < n; i++)
            read_row(f, q->merchant, r, i, s);
        set_release(c->set);
        int64_t now = loop_mono_us(f->loop);
        *c = (struct cached){q->merchant, s, now, now + FRESH_US};
    }
    f->busy--;
    q->done(q->ctx, err);
    free(q);
}

void accounts_start(struct flow *f, struct uuid merchant, accounts_fn *done, void *ctx)
{
    struct asking *q = calloc(1, sizeof *q);
    if (f->account_cache == NULL)
        f->account_cache = calloc(1, sizeof *f->account_cache);
    ASSERT(q != NULL && f->account_cache != NULL);
    *q = (struct asking){f, merchant, done, ctx};
    f->busy++;
    struct value params[] = {V_UUID(merchant)};
    store_read(f->store, Q_provider_account_open, params, COUNT_OF(params), found, q);
}

/* ---- one by its id ---- */

struct by_id {
    struct flow *flow;
    struct uuid merchant, id;
    struct later later;
    const struct flow_account *known; /* held */
    account_fn *done;
    void *ctx;
};

static void tell(struct by_id *q, struct err err, const struct flow_account *a)
{
    if (!err_is(err) && a == NULL)
        err = ERR(CONFIG, "the account is not configured here");
    q->flow->busy--;
    q->done(q->ctx, err, a);
    account_release(q->known);
    free(q);
}

static void tell_known(void *ctx)
{
    struct by_id *q = ctx;
    tell(q, ERR_OK, q->known);
}

static void tell_found(void *ctx, struct err err)
{
    struct by_id *q = ctx;
    tell(q, err, err_is(err) ? NULL : account_by_id(q->flow, q->merchant, q->id));
}

void account_start(struct flow *f, struct uuid merchant, struct uuid id, account_fn *done,
                   void *ctx)
{
    struct by_id *q = calloc(1, sizeof *q);
    ASSERT(q != NULL);
    *q = (struct by_id){.flow = f, .merchant = merchant, .id = id, .done = done, .ctx = ctx};
    f->busy++;
    const struct flow_account *ours = flow_account_by_id(f, id);
    if (ours != NULL || accounts_fresh(f, merchant))
        q->known = account_hold(account_by_id(f, merchant, id));
    if (q->known != NULL)
        loop_later(f->loop, &q->later, tell_known, q);
    else
        accounts_start(f, merchant, tell_found, q);
}
