/* The two doors for money that customers send unasked. The news: STORE, thanks, then
 * receipt_news.c. The question: answered at once, or, where the account wants to know who it is
 * for, after a look into the database that may take five seconds.
 *
 * Ways to fail: forged (401); the database is away (the news: 503; the question: yes, since the
 * money will find its place in `unallocated`).
 *
 * The limit on a provider's callbacks (callback_receive.c) is not asked: of a charge the polls ask
 * again, of money sent unasked nobody would, and M-Pesa brings its news once. */
#include "core/flow/receipt.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/flow/account.h"
#include "store/kinds.h"

enum { RECEIPT_ARENA = 4 * 1024 * 1024 };
#define CHECK_US (5 * US_PER_S)

struct str receipt_token(struct str text, const char *kind)
{
    size_t dot = str_find(text, '.', 0);
    if (dot == SIZE_MAX || !str_eq(str_from(text, dot + 1), str_c(kind)))
        return STR_NULL;
    return str_first(text, dot);
}

struct err receipt_urls(struct flow *f, const struct gateway *g, struct uuid merchant,
                        struct uuid account, struct arena *a, struct gw_register *out)
{
    struct str url = flow_callback_url(f, a, g, account, merchant);
    out->paid_url = arena_fmt(a, "%.*s." RECEIPT_PAID, STR_ARG(url));
    out->check_url = arena_fmt(a, "%.*s." RECEIPT_CHECK, STR_ARG(url));
    return out->paid_url.p != NULL && out->check_url.p != NULL ? ERR_OK
                                                               : ERR(NO_MEMORY, "callback URLs");
}

bool receipt_account_live(const struct flow *f, const struct flow_account *account)
{
    return account->set != NULL ? account->live : f->settings.provider_live;
}

/* ---- who speaks ---- */

struct door {
    struct flow *flow;
    const struct gateway *gateway;
    struct uuid merchant, account;
    struct arena arena;
    struct str body, peer;
    bool live, ip_ok;
    struct later later;
    struct err err;
    struct inbound_unit unit;
    callback_fn *stored; /* of the news */
    void *ctx;
    /* of the question */
    receipt_check_fn *checked;
    struct timer deadline;
    struct gw_receipt said;
    bool answered; /* in time; what the database says then is too late */
};

static struct door *door_new(struct flow *f, const struct callback_input *in, void *ctx)
{
    struct door *d = calloc(1, sizeof *d);
    ASSERT(d != NULL);
    d->flow = f;
    d->ctx = ctx;
    arena_init(&d->arena, RECEIPT_ARENA);
    f->busy++;
    for (size_t i = 0; gateways[i] != NULL && d->gateway == NULL; i++)
        if (gateways[i]->receipt_parse != NULL &&
            callback_token_read(f->vault, gateways[i]->name, in->token, &d->account, &d->merchant))
            d->gateway = gateways[i];
    d->body = arena_dup(&d->arena, in->body);
    d->peer = arena_dup(&d->arena, in->peer);
    if (d->gateway == NULL || !account_is_id(d->account))
        d->err = ERR(UNAUTHENTICATED, "callback token");
    else if (d->body.p == NULL || d->peer.p == NULL)
        d->err = ERR(NO_MEMORY, "callback");
    return d;
}

static void door_free(struct door *d)
{
    d->flow->busy--;
    arena_free(&d->arena);
    free(d);
}

static struct err enter(struct door *d, struct err err, const struct flow_account *account)
{
    if (err.code == ERR_CONFIG || (!err_is(err) && account->gw.gateway != d->gateway))
        return ERR(UNAUTHENTICATED, "no such account");
    if (err_is(err))
        return err;
    const struct cidr_list *from = &account->gw.callback_cidrs;
    d->live = receipt_account_live(d->flow, account);
    d->ip_ok = (from->n == 0 && !from->has_unix) || cidr_list_has_text(from, d->peer);
    return ERR_OK;
}

/* ---- the news ---- */

static void processed(void *ctx, struct err err)
{
    (void)ctx;
    if (err_is(err))
        log_warn("receipt.failed", F_ERR(err));
}

static void refused(void *ctx)
{
    struct door *d = ctx;
    d->stored(d->ctx, d->err, d->gateway);
    door_free(d);
}

static void stored(void *ctx)
{
    struct door *d = ctx;
    const struct inbound_row *row = &d->unit.row;
    struct err err = d->unit.unit.err;
    bool fresh = !err_is(err) && (d->unit.is_new || d->unit.unit.doubt);
    if (!err_is(err))
        crash_point(CRASH_CALLBACK_STORED);
    d->stored(d->ctx, err, d->gateway);
    crash_point(CRASH_CALLBACK_ACKED);
    struct receipt_news news = {
        .from = {row->merchant_id, row->subject_id, row->dedupe_key, row->job_n},
        .account = d->account,
        .ip_ok = d->ip_ok,
        .body = d->body,
    };
    if (fresh)
        receipt_process(d->flow, &news, processed, NULL);
    door_free(d);
}

/* Each body is a subject of its own: the number that its job has is not wide enough to tell all
 * receipts of an account apart. It stays in the partition of the account's id. */
static struct uuid subject_of(struct uuid account, const uint8_t digest[SHA256_LEN])
{
    memcpy(account.b + 8, digest + 4, 8);
    account.b[8] = (uint8_t)(0x80 | (account.b[8] & 0x3f));
    return account;
}

static struct err fill(struct door *d)
{
    struct flow *f = d->flow;
    uint8_t digest[SHA256_LEN];
    struct str parts[] = {d->body, STR("." RECEIPT_PAID), d->ip_ok ? STR("") : STR("!")};
    sha256(parts, COUNT_OF(parts), digest);
    struct uuid subject = subject_of(d->account, digest), id = random_uuid(loop_wall_us(f->loop));
    struct buf sealed;
    buf_init(&sealed, d->body.n + 256);
    struct err err = vault_seal(f->vault, "provider_event.raw", d->merchant, id, d->body, &sealed);
    struct str raw = err_is(err) ? STR_NULL : arena_dup(&d->arena, buf_view(&sealed));
    buf_free(&sealed);
    if (raw.p == NULL)
        return err_is(err) ? err : ERR(NO_MEMORY, "callback");
    int64_t now = loop_wall_us(f->loop);
    d->unit.row = (struct inbound_row){
        .merchant_id = d->merchant,
        .subject_id = subject,
        .dedupe_key = arena_dup(&d->arena, str_n((char *)digest, sizeof digest)),
        .id = id,
        .mode = mode_word(d->live),
        .provider = str_c(d->gateway->name),
        .payment_id = d->account,
        .kind = STR(RECEIPT_PAID),
        .peer = d->peer,
        .ip_ok = d->ip_ok,
        .raw = raw,
        .at = now,
        .job_n = (int32_t)((uint32_t)(digest[0] & 0x7f) << 24 | (uint32_t)digest[1] << 16 |
                           (uint32_t)digest[2] << 8 | digest[3]),
        .job_bucket = job_bucket(subject),
        .job_owner = f->replica,
        .job_lease = now + FLOW_LEASE_US,
    };
    return ERR_OK;
}

static void store_news(void *ctx, struct err err, const struct flow_account *account)
{
    struct door *d = ctx;
    d->err = enter(d, err, account);
    if (!err_is(d->err))
        d->err = fill(d);
    if (err_is(d->err)) {
        refused(d);
        return;
    }
    inbound_unit_ready(&d->unit, stored, d);
    store_write(d->flow->store, &d->unit.unit);
}

void receipt_receive(struct flow *f, const struct callback_input *in, callback_fn *done, void *ctx)
{
    struct door *d = door_new(f, in, ctx);
    d->stored = done;
    if (err_is(d->err))
        loop_later(f->loop, &d->later, refused, d);
    else
        account_start(f, d->merchant, d->account, store_news, d);
}

/* ---- the question ---- */

/* The answer goes once; what still comes from the database then only frees. */
static void check_answer(struct door *d, struct err err, enum gw_check answer)
{
    timer_off(d->flow->loop, &d->deadline);
    d->answered = true;
    log_info("receipt.checked", F_BOOL("accepted", answer == GW_CHECK_ACCEPT));
    d->checked(d->ctx, err, d->gateway, answer);
}

static void check_refused(void *ctx)
{
    struct door *d = ctx;
    check_answer(d, d->err, GW_CHECK_OTHER);
    door_free(d);
}

static void check_late(void *ctx)
{
    check_answer(ctx, ERR_OK, GW_CHECK_ACCEPT);
}

static void check_end(struct door *d, struct err err, enum gw_check answer)
{
    if (!d->answered)
        check_answer(d, err, answer);
    door_free(d);
}

static void check_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct door *d = ctx;
    struct payment_record rec;
    enum gw_check answer = GW_CHECK_ACCEPT;
    if (!err_is(err) && !err_is(payment_record_read(rows, &d->arena, &rec))) {
        struct money asked = payment_asked(&rec.p);
        if (asked.minor != d->said.amount.minor || asked.currency != d->said.amount.currency)
            answer = GW_CHECK_AMOUNT;
        else if (rec.p.received_minor > 0)
            answer = GW_CHECK_REFERENCE;
    }
    check_end(d, ERR_OK, answer);
}

static void check_found(void *ctx, struct err err, const struct rows *rows)
{
    struct door *d = ctx;
    if (err_is(err)) {
        check_end(d, ERR_OK, GW_CHECK_ACCEPT);
    } else if (rows_n(rows) != 1) {
        check_end(d, ERR_OK, GW_CHECK_REFERENCE);
    } else {
        struct value params[] = {V_UUID(rows_uuid(rows, 0, 0)), V_UUID(rows_uuid(rows, 0, 1))};
        store_read(d->flow->store, Q_payment_get, params, COUNT_OF(params), check_loaded, d);
    }
}

/* Nothing is stored: a payment that may be made is no payment yet. */
static void check_account(void *ctx, struct err err, const struct flow_account *account)
{
    struct door *d = ctx;
    const struct gateway *g = d->gateway;
    d->err = enter(d, err, account);
    if (err_is(d->err)) {
        check_end(d, d->err, GW_CHECK_OTHER);
        return;
    }
    if (err_is(g->receipt_parse(&account->gw, d->body, &d->arena, &d->said)))
        check_end(d, ERR_OK, GW_CHECK_OTHER);
    else if (!str_eq(gw_setting(&account->gw, g->check_setting), STR("reject")))
        check_end(d, ERR_OK, GW_CHECK_ACCEPT);
    else
        receipt_find(d->flow, d->merchant, account, d->said.reference, check_found, d);
}

void receipt_check(struct flow *f, const struct callback_input *in, receipt_check_fn *done,
                   void *ctx)
{
    struct door *d = door_new(f, in, ctx);
    d->checked = done;
    if (err_is(d->err)) {
        loop_later(f->loop, &d->later, check_refused, d);
        return;
    }
    timer_set(f->loop, &d->deadline, CHECK_US, check_late, d);
    account_start(f, d->merchant, d->account, check_account, d);
}
