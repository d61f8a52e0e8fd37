/* A callback's way in: who it is for, proved by its token or its signature; STORE, and thanks. What
 * it means is callback.c's matter, afterwards.
 *
 * A webhook that does not say our id is asked about (ASK) before it is stored.
 *
 * Ways to fail: forged, or signed for another account than the payment went over (401, nothing
 * stored); the provider cannot be asked whose it is (503); the database is away, or more come than
 * the provider's limit allows (503: the provider may come again, and the polls ask anyway). Only
 * what is genuine counts to that limit, so that nobody can use it up for the provider. */
#include <stdlib.h>

#include "core/base/crash.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/flow/account.h"
#include "core/flow/callback.h"
#include "core/flow/payout.h"
#include "core/flow/record.h"
#include "core/flow/throttle.h"
#include "store/kinds.h"

/* Which attempt it is about, proved: by the token that only the provider was told, or by his
 * signature. */
struct address_of {
    struct uuid subject, merchant;
    struct str kind;
    bool ip_ok;
};

struct receive {
    struct flow *flow;
    const struct gateway *gateway;
    struct callback_input in;
    struct address_of to;
    struct str
        about; /* the provider's reference of what a webhook is about, of which it says no more */
    bool live; /* of the account that signed */
    struct uuid account; /* a webhook to that account's URL; nil: not one of a merchant's own */
    struct arena arena;
    struct inbound_unit unit;
    struct later later;
    struct throttle_wait wait;
    bool kept;        /* the lease of its job is ours */
    struct link link; /* in the line */
    struct err err;
    callback_fn *done;
    void *ctx;
};

static int32_t job_number(const uint8_t digest[SHA256_LEN])
{
    return (int32_t)((uint32_t)(digest[0] & 0x7f) << 24 | (uint32_t)digest[1] << 16 |
                     (uint32_t)digest[2] << 8 | digest[3]);
}

static void receive_free(struct receive *r)
{
    r->flow->busy--;
    arena_free(&r->arena);
    free(r);
}

/* ---- those in line ---- */

int callbacks_most(const struct flow *f, int otherwise)
{
    bool rush = rush_is_on(&f->callbacks.rush, loop_mono_us(f->loop));
    return rush ? CALLBACKS_IN_RUSH : otherwise;
}

static void go_on(struct flow *f);

static void processed(void *ctx)
{
    struct flow *f = ctx;
    f->callbacks.n_running--;
    f->callbacks.n_kept--;
    go_on(f);
}

static void process(struct receive *r)
{
    const struct inbound_row *row = &r->unit.row;
    if (!r->unit.is_new) { /* a commit that was not answered may have been followed by others */
        callback_process(r->flow, row->merchant_id, row->subject_id, row->job_n, 0, processed,
                         r->flow);
        return;
    }
    struct callback_known known = {
        .merchant = row->merchant_id,
        .subject = row->subject_id,
        .n = row->job_n,
        .gateway = r->gateway,
        .ip_ok = row->ip_ok,
        .dedupe_key = row->dedupe_key,
        .kind = row->kind,
        .body = r->in.body,
        .mem = r->arena,
    };
    r->arena = (struct arena){0};
    callback_process_known(r->flow, &known, processed, r->flow);
}

/* Who stood in line for half his lease is left to the jobs, which take it when it has run out. */
static void go_on(struct flow *f)
{
    while (!list_is_empty(&f->callbacks.line) &&
           f->callbacks.n_running < callbacks_most(f, CALLBACKS_AT_ONCE)) {
        struct receive *r = LIST_ITEM(list_pop(&f->callbacks.line), struct receive, link);
        if (loop_wall_us(f->loop) < r->unit.row.job_lease - FLOW_LEASE_US / 2) {
            f->callbacks.n_running++;
            process(r);
        } else {
            f->callbacks.n_kept--;
        }
        receive_free(r);
    }
}

/* ---- */

static void stored(void *ctx)
{
    struct receive *r = ctx;
    struct flow *f = r->flow;
    struct err err = r->unit.unit.err;
    bool fresh = !err_is(err) && (r->unit.is_new || r->unit.unit.doubt);
    if (!err_is(err))
        crash_point(CRASH_CALLBACK_STORED);
    r->done(r->ctx, err, r->gateway);
    crash_point(CRASH_CALLBACK_ACKED);
    if (r->kept && fresh) {
        list_push(&f->callbacks.line, &r->link);
    } else {
        f->callbacks.n_kept -= r->kept;
        receive_free(r);
    }
    go_on(f);
}

/* Forged, or about nothing of ours. */
static void refuse(void *ctx)
{
    struct receive *r = ctx;
    bool genuine = r->err.code == ERR_NOT_FOUND;
    r->done(r->ctx, genuine ? ERR_OK : r->err, r->gateway);
    receive_free(r);
}

/* The word behind the token, which says to the gateway what the callback is about. */
static bool kind_fine(struct str kind)
{
    for (size_t i = 0; i < kind.n; i++)
        if (kind.p[i] < 'a' || kind.p[i] > 'z')
            return false;
    return kind.n <= 16;
}

/* Of the token, without I/O: who the callback is for. */
static struct err read_token(struct receive *r)
{
    struct flow *f = r->flow;
    struct address_of *to = &r->to;
    struct str token = STR_NULL;
    to->kind = r->in.token;
    (void)str_split(&to->kind, '.', &token);
    for (size_t i = 0; gateways[i] != NULL && r->gateway == NULL; i++)
        if (gateways[i]->callback_parse != NULL &&
            callback_token_read(f->vault, gateways[i]->name, token, &to->subject, &to->merchant))
            r->gateway = gateways[i];
    if (r->gateway == NULL || !kind_fine(to->kind))
        return ERR(UNAUTHENTICATED, "callback token");
    if (!account_is_id(to->subject))
        return ERR_OK;
    r->account = to->subject;
    return r->gateway->webhook_verify != NULL ? ERR_OK : ERR(UNAUTHENTICATED, "no webhooks");
}

/* Whose it is, by our id. A merchant's account speaks of his own payments only. */
static struct err take_subject(struct receive *r, struct str our_id)
{
    struct uuid merchant = r->to.merchant;
    int n;
    if (!our_id_read(our_id, &r->to.subject, &r->to.merchant))
        return ERR(NOT_FOUND, "webhook");
    if (id_is_live(attempt_payment(r->to.subject, &n)) != r->live ||
        (!uuid_is_nil(r->account) && !uuid_eq(r->to.merchant, merchant)))
        return ERR(NOT_FOUND, "webhook");
    return ERR_OK;
}

/* ERR_NOT_FOUND: it is genuine, and about nothing of ours, unless `about` is to be asked. */
static struct err by_signature(struct receive *r, const struct flow_account *account, bool live)
{
    struct flow *f = r->flow;
    const struct callback_input *in = &r->in;
    const struct gateway *g = in->gateway;
    struct gw_webhook hook = {in->body, in->signature, in->timestamp, loop_wall_us(f->loop)};
    struct str our_id = STR_NULL;
    if (account == NULL || g == NULL || g->webhook_verify == NULL || account->gw.gateway != g)
        return ERR(UNAUTHENTICATED, "no webhooks");
    r->gateway = g;
    TRY(g->webhook_verify(&account->gw, &hook));
    r->to.kind = STR("");
    r->live = live;
    if (account->set == NULL)
        r->account = UUID_NIL;
    if (!err_is(g->webhook_subject(in->body, &r->arena, &our_id)))
        return take_subject(r, our_id);
    if (g->webhook_about == NULL || err_is(g->webhook_about(in->body, &r->arena, &r->about)))
        r->about = STR_NULL;
    return ERR(NOT_FOUND, "webhook");
}

/* Of the kind as well: a body says different things at different URLs. And of where it came from:
 * what a strange address has sent must not keep the provider's own from being heard. */
static void digest_of(const struct address_of *to, struct str body, uint8_t out[SHA256_LEN])
{
    struct str parts[4] = {body};
    size_t n = 1;
    if (!to->ip_ok)
        parts[n++] = STR("!");
    if (to->kind.n > 0) {
        parts[n++] = STR(".");
        parts[n++] = to->kind;
    }
    sha256(parts, n, out);
}

static struct err fill(struct receive *r)
{
    struct flow *f = r->flow;
    struct address_of *to = &r->to;
    struct str body = r->in.body;
    int n;
    uint8_t digest[SHA256_LEN];
    struct uuid payment = attempt_payment(to->subject, &n), id = random_uuid(loop_wall_us(f->loop));
    bool live = id_is_live(payment);
    to->ip_ok = account_expects(f, to->merchant, r->gateway, live, r->in.peer);
    digest_of(to, body, digest);
    struct buf sealed;
    buf_init(&sealed, body.n + 256);
    struct err err = vault_seal(f->vault, "provider_event.raw", to->merchant, id, body, &sealed);
    struct str raw = err_is(err) ? STR_NULL : arena_dup(&r->arena, buf_view(&sealed));
    buf_free(&sealed);
    if (raw.p == NULL)
        return err_is(err) ? err : ERR(NO_MEMORY, "callback");
    int64_t now = loop_wall_us(f->loop);
    r->kept = f->callbacks.n_kept < CALLBACKS_KEPT;
    f->callbacks.n_kept += r->kept;
    if (!r->kept)
        rush_met(&f->callbacks.rush, loop_mono_us(f->loop));
    r->unit.row = (struct inbound_row){
        .merchant_id = to->merchant,
        .subject_id = to->subject,
        .dedupe_key = arena_dup(&r->arena, str_n((char *)digest, sizeof digest)),
        .id = id,
        .mode = mode_word(live),
        .provider = str_c(r->gateway->name),
        .payment_id = payment,
        .attempt_n = (int16_t)n,
        .kind = to->kind.n > 0 ? to->kind : STR(""),
        .peer = r->in.peer,
        .ip_ok = to->ip_ok,
        .raw = raw,
        .at = now,
        .job_n = job_number(digest),
        .job_bucket = job_bucket(payment),
        .job_owner = f->replica,
        .job_lease = r->kept ? now + FLOW_LEASE_US : now,
    };
    return ERR_OK;
}

static void let_in(void *ctx, enum throttle_answer answer, const struct throttle_state *state)
{
    struct receive *r = ctx;
    (void)state;
    r->err = answer == THROTTLE_PASS ? fill(r) : ERR(OVERLOADED, "callbacks over their limit");
    if (err_is(r->err)) {
        refuse(r);
        return;
    }
    inbound_unit_ready(&r->unit, stored, r);
    store_write(r->flow->store, &r->unit.unit);
}

static void store_it(struct receive *r)
{
    struct throttle_state state;
    r->wait.done = let_in;
    r->wait.ctx = r;
    enum throttle_answer answer =
        throttle_take(r->flow, THROTTLE_PROVIDER, str_c(r->gateway->name), &state, &r->wait);
    if (answer != THROTTLE_LATER)
        let_in(r, answer, &state);
}

static void store_later(void *ctx)
{
    store_it(ctx);
}

/* A merchant knows the secret of his own account: by it he must not decide about a payment that
 * went over another one, least of all the installation's. */
static void subject_found(void *ctx, struct err err, const struct rows *rows)
{
    struct receive *r = ctx;
    struct payment_record payment;
    struct refund_record refund;
    struct payout_record payout;
    struct uuid account = UUID_NIL;
    size_t next;
    bool is_payout = id_is_payout(r->to.subject), is_refund = id_is_refund(r->to.subject);
    if (!err_is(err) && is_payout)
        err = payout_record_read(rows, 0, &r->arena, &payout);
    else if (!err_is(err) && is_refund)
        err = refund_record_read(rows, 0, &r->arena, &refund, &next);
    else if (!err_is(err))
        err = payment_record_read(rows, &r->arena, &payment);
    int n;
    (void)attempt_payment(r->to.subject, &n);
    if (!err_is(err))
        account = is_payout   ? payout.account_id
                  : is_refund ? refund.account_id
                              : payment_place(&payment, n).account_id;
    r->err = err;
    if (!err_is(err) && !uuid_eq(account, r->account))
        r->err = ERR(UNAUTHENTICATED, "a webhook of another account");
    if (err_is(r->err))
        refuse(r);
    else
        store_it(r);
}

static void check_account(struct receive *r)
{
    struct flow *f = r->flow;
    int n;
    struct uuid subject = attempt_payment(r->to.subject, &n);
    struct value params[] = {V_UUID(r->to.merchant), V_UUID(subject)};
    struct value refund[] = {V_UUID(r->to.merchant), V_UUID_OPT(UUID_NIL), V_UUID_OPT(subject)};
    if (id_is_payout(subject))
        store_read(f->store, Q_payout_get, params, COUNT_OF(params), subject_found, r);
    else if (id_is_refund(subject))
        store_read(f->store, Q_refund_get, refund, COUNT_OF(refund), subject_found, r);
    else
        store_read(f->store, Q_payment_get, params, COUNT_OF(params), subject_found, r);
}

/* ---- whose it is, where only the provider knows ---- */

static void accounts_found(void *ctx, struct err err)
{
    struct receive *r = ctx;
    r->err = err;
    if (err_is(err))
        refuse(r);
    else
        store_it(r);
}

static void asked(void *ctx, const struct gw_result *result, const struct gw_exchange *exchange)
{
    struct receive *r = ctx;
    bool other = exchange->whole && (exchange->http_status == 200 || exchange->http_status == 404);
    if (result->our_id.n > 0)
        r->err = take_subject(r, result->our_id);
    else
        r->err = other ? ERR(NOT_FOUND, "webhook") : ERR(UNAVAILABLE, "whose a webhook is");
    if (err_is(r->err))
        refuse(r);
    else if (!uuid_is_nil(r->account))
        check_account(r);
    else if (accounts_fresh(r->flow, r->to.merchant))
        store_it(r);
    else
        accounts_start(r->flow, r->to.merchant, accounts_found, r);
}

/* False: there is nobody or nothing to ask. */
static bool ask(struct receive *r, const struct flow_account *account)
{
    if (r->about.p == NULL)
        return false;
    struct err err = gw_query_start(r->flow->gateways, &account->gw, r->about, asked, r);
    if (err_is(err))
        r->err = ERR_D(UNAVAILABLE, err.detail, "whose a webhook is");
    return !err_is(err);
}

static void account_found(void *ctx, struct err err, const struct flow_account *account)
{
    struct receive *r = ctx;
    bool own = !err_is(err) && account->set != NULL;
    r->err = err.code == ERR_CONFIG ? ERR(UNAUTHENTICATED, "no such account") : err;
    if (!err_is(r->err))
        r->err = by_signature(r, account, own ? account->live : r->flow->settings.provider_live);
    if (err_is(r->err) && ask(r, account))
        return;
    if (err_is(r->err))
        refuse(r);
    else if (own)
        check_account(r);
    else
        store_it(r);
}

/* The input's texts, in the operation's own memory. */
static bool keep_input(struct receive *r, const struct callback_input *in)
{
    struct str *texts[] = {&r->in.token, &r->in.signature, &r->in.timestamp, &r->in.body,
                           &r->in.peer};
    bool whole = true;
    r->in = *in;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i]->p == NULL)
            continue;
        *texts[i] = arena_dup(&r->arena, *texts[i]);
        whole &= texts[i]->p != NULL;
    }
    return whole;
}

static const struct flow_account *installations(const struct receive *r)
{
    const struct gateway *g = r->in.gateway;
    return g != NULL ? flow_account(r->flow, str_c(g->name), r->flow->settings.provider_live)
                     : NULL;
}

static struct err locate(struct receive *r)
{
    if (r->in.token.p != NULL)
        return read_token(r);
    return by_signature(r, installations(r), r->flow->settings.provider_live);
}

void callback_receive(struct flow *f, const struct callback_input *in, callback_fn *done, void *ctx)
{
    struct receive *r = calloc(1, sizeof *r);
    ASSERT(r != NULL);
    r->flow = f;
    r->done = done;
    r->ctx = ctx;
    arena_init(&r->arena, 8 * 1024 * 1024);
    f->busy++;
    r->err = keep_input(r, in) ? locate(r) : ERR(NO_MEMORY, "callback");
    if (!err_is(r->err))
        crash_point(CRASH_CALLBACK_RECEIVED);
    if (err_is(r->err) && ask(r, installations(r)))
        return;
    if (err_is(r->err))
        loop_later(f->loop, &r->later, refuse, r);
    else if (!uuid_is_nil(r->account))
        account_start(f, r->to.merchant, r->account, account_found, r);
    else if (accounts_fresh(f, r->to.merchant))
        loop_later(f->loop, &r->later, store_later, r);
    else
        accounts_start(f, r->to.merchant, accounts_found, r);
}
