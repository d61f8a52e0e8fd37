/* A webhook leaves: LOAD, its turn, SEND, RECORD. At least once: a crash between the merchant's
 * answer and the record sends again, with the same webhook-id.
 *
 * Ways to fail: an endpoint that is gone (cancelled); an address that may not be called, a timeout
 * or any answer but 2xx (retry by the schedule, then dead); the database away (the lease runs out
 * and somebody sends again); a lane that is full (the job comes again later, no try is counted). */
#include "core/flow/deliver.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/domain/lane.h"
#include "core/flow/webhook.h"
#include "store/kinds.h"

enum {
    DELIVER_ARENA = 64 * 1024,
    ANSWER_MAX = 512,
    UNRECORDED_MAX = 512,
    OFF_MAX = 256,
    HELD_MAX = 32 * 1024 * 1024, /* bytes of what is rendered; who waits beyond it is read again */
    DELIVERY_FIRST_REVISION = 1, /* delivery_create.sql */
};
#define DELIVER_TIMEOUT_US (15 * US_PER_S)
#define KNOWN_US US_PER_S

static struct metric sent_ok =
    METRIC_COUNTER("reli_deliveries_total", "outcome=\"delivered\"", "Webhook requests by outcome");
static struct metric sent_bad =
    METRIC_COUNTER("reli_deliveries_total", "outcome=\"failed\"", "Webhook requests by outcome");

static struct metric put_off_total = METRIC_COUNTER("reli_deliveries_put_off_total", "",
                                                    "Webhook requests that came before their turn");
static struct metric waiting_now =
    METRIC_GAUGE("reli_deliveries_waiting", "", "Webhook requests that wait for their turn");

/* Whose turn it is, in this process. */
struct deliver_gate {
    struct flow *flow;
    struct lanes *lanes;
    struct timer timer; /* on while somebody waits */
    struct list off;    /* put off, and not yet stored */
    struct timer off_timer;
    int64_t changed_us; /* what was read before is forgotten, monotonic */
    bool pumping;
    int unrecorded; /* delivered and out of their lanes, and not yet committed */
};

struct deliver {
    struct flow *flow;
    struct arena arena;
    struct lane_place place;
    struct link link; /* in gate.off */
    bool ok;          /* what its lane learns */
    bool unrecorded;  /* it is among those */
    int64_t took_us;  /* -1: nothing was sent */
    struct uuid merchant, id;
    struct webhook *hook; /* NULL: what is known of it has to be read (again) */
    struct webhook_target to;
    int64_t known_us; /* when that was read, monotonic */
    int32_t revision;
    struct delivery d;
    struct str mode, answer;
    union {
        struct delivery_unit unit;
        struct lease_unit later; /* when it is put off */
    };
    loop_fn *done;
    void *ctx;
};

static void loaded(void *ctx, struct err err, const struct rows *r);
static void go(struct deliver *o);

static void forget(struct deliver *o)
{
    webhook_drop(o->hook);
    o->hook = NULL;
    arena_free(&o->arena);
    arena_init(&o->arena, DELIVER_ARENA);
}

static void load(struct deliver *o)
{
    struct value params[] = {V_UUID(o->merchant), V_UUID(o->id),
                             V_TIME(loop_wall_us(o->flow->loop))};
    forget(o);
    o->known_us = loop_mono_us(o->flow->loop);
    store_read(o->flow->store, Q_delivery_get, params, COUNT_OF(params), loaded, o);
}

/* What was read before the wait may be old: an endpoint changes, a person is forgotten. */
static bool is_known(const struct deliver *o)
{
    return o->hook != NULL && o->known_us > o->flow->deliveries->changed_us &&
           loop_mono_us(o->flow->loop) - o->known_us <= KNOWN_US;
}

/* Those whose turn has come. One that ends at once comes back here, within the loop. */
static void pump(struct deliver_gate *g)
{
    struct lane_place *p;
    if (g->pumping)
        return;
    g->pumping = true;
    while ((p = lane_next(g->lanes)) != NULL) {
        struct deliver *o = CONTAINER_OF(p, struct deliver, place);
        if (is_known(o))
            go(o);
        else
            load(o);
    }
    g->pumping = false;
    metric_set(&waiting_now, lanes_waiting(g->lanes));
}

/* The next one's turn. */
static void leave(struct deliver *o)
{
    struct deliver_gate *g = o->flow->deliveries;
    lane_leave(g->lanes, &o->place, o->ok, o->took_us);
    if (!o->flow->closing)
        pump(g);
}

static void finish(struct deliver *o, struct err err)
{
    struct deliver_gate *g = o->flow->deliveries;
    if (lane_holds(&o->place))
        leave(o);
    g->unrecorded -= o->unrecorded;
    if (err_is(err))
        log_warn("delivery.failed", F_ID("delivery", o->id), F_ERR(err));
    o->flow->busy--;
    if (o->done != NULL)
        o->done(o->ctx);
    webhook_drop(o->hook);
    arena_free(&o->arena);
    free(o);
}

static void stored(void *ctx, struct err err, const struct rows *r)
{
    (void)r;
    finish(ctx, err);
}

/* Its owner hears of it elsewhere than at the endpoint. */
static void tell_disabled(struct deliver *o)
{
    struct flow *f = o->flow;
    int64_t now = loop_wall_us(f->loop);
    char id[UUID_TEXT];
    struct str detail = arena_fmt(&o->arena, "endpoint %s: %s", uuid_text(o->to.endpoint, id),
                                  o->unit.row.last_http == 410 ? "it says that it is gone (410)"
                                                               : "five days of failures");
    struct value params[] = {V_UUID(o->merchant),
                             V_UUID(o->to.endpoint),
                             V_UUID(random_uuid(now)),
                             V_UUID(random_uuid(now)),
                             V_TEXT(o->mode),
                             V_TEXT(detail),
                             V_TIME(now)};
    log_warn("endpoint.disabled", F_ID("endpoint", o->to.endpoint),
             F_I64("http", o->unit.row.last_http));
    store_exec(f->store, Q_endpoint_disabled, params, COUNT_OF(params), stored, o);
}

static void recorded(void *ctx)
{
    struct deliver *o = ctx;
    if (!err_is(o->unit.unit.err))
        crash_point(CRASH_DELIVERY_RECORDED);
    if (!err_is(o->unit.unit.err) && o->unit.disabled)
        deliver_forget(o->flow), tell_disabled(o);
    else
        finish(o, o->unit.unit.err);
}

/* What was delivered needs its lane no more: the next one is on its way while the commit is. After
 * a failure it waits, since that may have been the one too many. A crash sends again what was not
 * recorded: hence no more of it than a limit. */
static void leave_early(struct deliver *o)
{
    struct deliver_gate *g = o->flow->deliveries;
    if (!o->ok || !lane_holds(&o->place) || g->unrecorded >= UNRECORDED_MAX)
        return;
    o->unrecorded = true;
    g->unrecorded++;
    leave(o);
}

static void record(struct deliver *o, const struct delivery_outcome *outcome, const char *error,
                   int64_t took_us)
{
    struct flow *f = o->flow;
    struct delivery_effects fx = {0};
    int64_t now = loop_wall_us(f->loop);
    o->took_us = outcome->endpoint_gone ? -1 : took_us;
    struct err err = delivery_done(&o->d, &f->settings.delivery, outcome, now, &fx);
    if (err_is(err)) {
        finish(o, err);
        return;
    }
    o->ok = !fx.failed;
    metric_add(fx.succeeded ? &sent_ok : &sent_bad, 1);
    log_info("delivery.sent", F_ID("delivery", o->id),
             F_C("status", delivery_status_word(o->d.status)), F_I64("http", outcome->http_status),
             F_I64("try", o->d.tries), F_I64("ms", took_us / 1000),
             F_C("error", error != NULL ? error : ""));
    bool to_endpoint = !uuid_is_nil(o->to.endpoint);
    o->unit.row = (struct delivery_update_row){
        .merchant_id = o->merchant,
        .id = o->id,
        .revision = o->revision,
        .status = str_c(delivery_status_word(o->d.status)),
        .tries = (int16_t)o->d.tries,
        .next_at = o->d.next_at_us,
        .last_http = outcome->http_status,
        .last_error = error != NULL ? str_c(error) : STR_NULL,
        .last_took_us = took_us,
        .answer = o->answer,
        .at = now,
        .job_bucket = job_bucket(o->id),
        .job_lease = now,
        .endpoint_id = o->to.endpoint,
        .endpoint_state = !to_endpoint || outcome->endpoint_gone ? STR_NULL
                          : fx.disable_endpoint                  ? STR("gone")
                          : fx.succeeded                         ? STR("ok")
                                                                 : STR("failing"),
    };
    delivery_unit_ready(&o->unit, recorded, o);
    store_write(f->store, &o->unit.unit);
    leave_early(o);
}

struct uuid delivery_attempt_row(struct uuid delivery, int n)
{
    delivery.b[14] ^= (uint8_t)(n >> 8);
    delivery.b[15] ^= (uint8_t)n;
    return delivery;
}

/* Its first bytes, for whoever has to find out what is wrong. It may repeat what it was sent:
 * personal data, so it is sealed. */
static void keep_answer(struct deliver *o, struct str body)
{
    struct buf sealed;
    if (body.n == 0)
        return;
    buf_init(&sealed, 2 * ANSWER_MAX);
    struct err err =
        vault_seal(o->flow->vault, "delivery_attempt.answer", o->merchant,
                   delivery_attempt_row(o->id, o->d.tries), str_first(body, ANSWER_MAX), &sealed);
    if (!err_is(err))
        o->answer = arena_dup(&o->arena, buf_view(&sealed));
    buf_free(&sealed);
}

static void answered(void *ctx, const struct outbound_response *r)
{
    struct deliver *o = ctx;
    crash_point(CRASH_DELIVERY_SENT);
    struct delivery_outcome outcome = {
        .http_status = r->outcome == OUTBOUND_ANSWERED ? r->status : 0,
        .retry_after_s = r->retry_after_s,
        .random = (uint32_t)random_u64(),
    };
    const char *error = r->address_refused ? "address not allowed" : r->error;
    keep_answer(o, r->body);
    record(o, &outcome, error, r->took_us);
}

/* What is known leaves. */
static struct err send(struct deliver *o)
{
    struct flow *f = o->flow;
    const struct webhook *w = o->hook;
    struct buf signature;
    buf_init(&signature, 1024);
    int64_t seconds = loop_wall_us(f->loop) / US_PER_S;
    webhook_sign(str_c(w->event), seconds, w->body, o->to.keys, o->to.n_keys, &signature);
    struct outbound_request rq = {
        .method = "POST",
        .url = o->to.url.p,
        .n_headers = 5,
        .headers =
            {"Content-Type: application/json", arena_fmt(&o->arena, "webhook-id: %s", w->event).p,
             arena_fmt(&o->arena, "webhook-timestamp: %lld", (long long)seconds).p,
             arena_fmt(&o->arena, "webhook-signature: %.*s", STR_ARG(buf_view(&signature))).p,
             arena_fmt(&o->arena, "Reli-Seq: %d", (int)w->seq).p},
        .body = w->body,
        .timeout_us = DELIVER_TIMEOUT_US,
        .max_response = ANSWER_MAX,
        .cut_response = true,
        .public_only = !f->settings.webhook_allow_private,
    };
    if (o->to.previous.n > 0)
        rq.headers[rq.n_headers++] =
            arena_fmt(&o->arena, "Reli-Previous: %.*s", STR_ARG(o->to.previous)).p;
    if (w->trace[0] != '\0')
        rq.headers[rq.n_headers++] = arena_fmt(&o->arena, "traceparent: %s", w->trace).p;
    struct outbound_call *call;
    struct err err = signature.failed ? ERR(NO_MEMORY, "signature")
                                      : outbound_start(f->outbound, &rq, answered, o, &call);
    buf_free(&signature);
    return err;
}

/* ---- its turn ---- */

static void given_back(void *ctx)
{
    struct deliver *o = ctx;
    finish(o, o->later.unit.err);
}

static void give_back(struct deliver *o)
{
    later_unit_ready(&o->later, given_back, o);
    store_write(o->flow->store, &o->later.unit);
}

/* The job comes again; no try is counted. */
static void prepare_to_give_back(struct deliver *o, int64_t at_us)
{
    struct flow *f = o->flow;
    o->took_us = -1;
    o->later.row = (struct lease_row){
        .merchant_id = o->merchant,
        .kind = STR("delivery"),
        .subject = o->id,
        .owner = f->replica,
        .until = at_us,
        .now = loop_wall_us(f->loop),
    };
}

static void give_back_all(void *ctx)
{
    struct deliver_gate *g = ctx;
    struct link *k;
    timer_off(g->flow->loop, &g->off_timer);
    while ((k = list_pop(&g->off)) != NULL)
        give_back(LIST_ITEM(k, struct deliver, link));
}

/* Up to twice as late, so that those put off together come apart. Nothing is lost if that is not
 * stored, so it is stored with what else was put off lately: an endpoint that is ill does this with
 * all that it gets, and the others wait for the same commits. */
static void put_off(struct deliver *o, int64_t wait_us)
{
    struct flow *f = o->flow;
    struct deliver_gate *g = f->deliveries;
    int64_t spread = (int64_t)(random_u64() % (uint64_t)(wait_us + 1));
    metric_add(&put_off_total, 1);
    forget(o);
    prepare_to_give_back(o, loop_wall_us(f->loop) + wait_us + spread);
    list_push(&g->off, &o->link);
    if (f->closing || g->off.n >= OFF_MAX)
        give_back_all(g);
    else if (!timer_is_on(&g->off_timer))
        timer_set(f->loop, &g->off_timer, US_PER_S, give_back_all, g);
}

/* Nobody waits for ever: a job's lease is longer than a lane's patience. A process that stops
 * sends them all away. */
static void look_at_waiting(void *ctx)
{
    struct deliver_gate *g = ctx;
    struct flow *f = g->flow;
    int64_t later_us, now = f->closing ? TIME_NEVER : loop_mono_us(f->loop);
    struct lane_place *p;
    while ((p = lane_expired(g->lanes, now, &later_us)) != NULL)
        put_off(CONTAINER_OF(p, struct deliver, place), f->closing ? 0 : later_us);
    metric_set(&waiting_now, lanes_waiting(g->lanes));
    if (lanes_waiting(g->lanes) > 0)
        timer_set(f->loop, &g->timer, US_PER_S, look_at_waiting, g);
}

/* An endpoint has a lane of its own; what goes to callback_urls shares one per origin. */
static struct uuid lane_id(const struct webhook_target *to)
{
    struct uuid id;
    uint8_t hash[SHA256_LEN];
    if (!uuid_is_nil(to->endpoint))
        return to->endpoint;
    size_t scheme = str_find_str(to->url, STR("://"));
    sha256_one(str_first(to->url, str_find(to->url, '/', scheme == SIZE_MAX ? 0 : scheme + 3)),
               hash);
    memcpy(id.b, hash, sizeof id.b);
    return id;
}

/* False: it waits, or has been put off. */
static bool may_go(struct deliver *o)
{
    struct flow *f = o->flow;
    struct deliver_gate *g = f->deliveries;
    int64_t later_us;
    if (lane_holds(&o->place))
        return true;
    switch (lane_enter(g->lanes, o->merchant, lane_id(&o->to), &o->place, loop_mono_us(f->loop),
                       &later_us)) {
    case LANE_GO:
        return true;
    case LANE_WAIT:
        if (f->webhooks_held > HELD_MAX)
            forget(o);
        metric_set(&waiting_now, lanes_waiting(g->lanes));
        if (!timer_is_on(&g->timer))
            timer_set(f->loop, &g->timer, US_PER_S, look_at_waiting, g);
        return false;
    case LANE_LATER:
        break;
    }
    put_off(o, later_us);
    return false;
}

static void not_sent(struct deliver *o, const char *error)
{
    struct delivery_outcome outcome = {
        .endpoint_gone = o->to.gone, .retry_after_s = -1, .random = (uint32_t)random_u64()};
    record(o, &outcome, error, 0);
}

/* It is in its lane. */
static void go(struct deliver *o)
{
    struct err err = send(o);
    if (err.code == ERR_OVERLOADED)
        finish(o, err); /* the lease runs out and it is tried again */
    else if (err_is(err))
        not_sent(o, "cannot be sent");
}

/* The columns behind those of webhook.h. */
enum { D_STATUS = HOOK_COLUMNS, D_REVISION, D_TRIES, D_ENDPOINT, D_LOOK_AGAIN };

static struct err know(struct deliver *o, const struct rows *r, size_t i, struct uuid endpoint)
{
    o->mode = arena_dup(&o->arena, rows_str(r, 0, HOOK_MODE));
    return webhook_aim(o->flow, o->merchant, r, i, endpoint, o->hook, &o->arena, &o->to);
}

static void loaded(void *ctx, struct err err, const struct rows *r)
{
    struct deliver *o = ctx;
    struct flow *f = o->flow;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, "delivery");
    if (!err_is(err) && !delivery_status_parse(rows_str(r, 0, D_STATUS), &o->d.status))
        err = ERR(INTERNAL, "stored delivery not understood");
    if (err_is(err) || delivery_status_final(o->d.status)) {
        finish(o, err);
        return;
    }
    if (!lane_holds(&o->place) && !rows_null(r, 0, D_LOOK_AGAIN)) {
        prepare_to_give_back(o, rows_time(r, 0, D_LOOK_AGAIN));
        give_back(o);
        return;
    }
    o->revision = (int32_t)rows_i64(r, 0, D_REVISION);
    o->d.tries = (int)rows_i64(r, 0, D_TRIES);
    err = delivery_take(&o->d, &f->settings.delivery, loop_wall_us(f->loop));
    if (!err_is(err))
        err = webhook_new(f, o->merchant, r, &o->hook);
    if (!err_is(err))
        err = know(o, r, 0, rows_uuid(r, 0, D_ENDPOINT));
    if (err_is(err) || o->to.gone)
        not_sent(o, o->to.gone ? "endpoint gone" : "cannot be sent");
    else if (may_go(o))
        go(o);
}

static struct deliver *deliver_new(struct flow *f, struct uuid merchant, struct uuid delivery)
{
    struct deliver *o = calloc(1, sizeof *o);
    ASSERT(o != NULL);
    o->flow = f;
    o->merchant = merchant;
    o->id = delivery;
    o->took_us = -1;
    arena_init(&o->arena, DELIVER_ARENA);
    f->busy++;
    return o;
}

void deliver_start(struct flow *f, struct uuid merchant, struct uuid delivery, loop_fn *done,
                   void *ctx)
{
    struct deliver *o = deliver_new(f, merchant, delivery);
    o->done = done;
    o->ctx = ctx;
    load(o);
}

struct deliver *deliver_prepare(struct flow *f, struct uuid merchant, struct uuid delivery,
                                struct webhook *hook, const struct rows *r, size_t i,
                                struct uuid endpoint, int64_t known_us)
{
    struct deliver *o = deliver_new(f, merchant, delivery);
    bool ordered = !rows_null(r, i, HOOK_ORDERED) && rows_bool(r, i, HOOK_ORDERED) &&
                   uuid_eq(endpoint, rows_uuid(r, i, HOOK_ENDPOINT));
    if (hook == NULL || ordered)
        return o;
    o->hook = webhook_hold(hook);
    o->known_us = known_us;
    if (err_is(know(o, r, i, endpoint)))
        forget(o);
    return o;
}

void deliver_begin(struct deliver *o)
{
    struct flow *f = o->flow;
    struct err err = ERR_OK;
    if (!is_known(o)) {
        load(o);
        return;
    }
    o->revision = DELIVERY_FIRST_REVISION;
    o->d.status = DELIVERY_SCHEDULED;
    err = delivery_take(&o->d, &f->settings.delivery, loop_wall_us(f->loop));
    ASSERT(!err_is(err));
    if (may_go(o))
        go(o);
}

void deliver_discard(struct deliver *o)
{
    finish(o, ERR_OK);
}

void deliver_forget(struct flow *f)
{
    if (f->deliveries != NULL)
        f->deliveries->changed_us = loop_mono_us(f->loop);
}

struct err deliver_gate_new(struct flow *f)
{
    struct lane_rules rules;
    lane_rules_default(&rules);
    struct deliver_gate *g = calloc(1, sizeof *g);
    struct lanes *lanes = lanes_new(&rules);
    if (g == NULL || lanes == NULL) {
        free(g);
        lanes_free(lanes);
        return ERR(NO_MEMORY, "deliveries");
    }
    g->flow = f;
    g->lanes = lanes;
    list_init(&g->off);
    f->deliveries = g;
    return ERR_OK;
}

void deliver_gate_free(struct flow *f)
{
    struct deliver_gate *g = f->deliveries;
    if (g == NULL)
        return;
    struct lane_place *p;
    int64_t later_us;
    while ((p = lane_expired(g->lanes, TIME_NEVER, &later_us)) != NULL)
        finish(CONTAINER_OF(p, struct deliver, place), ERR(UNAVAILABLE, "the process stops"));
    struct link *k;
    while ((k = list_pop(&g->off)) != NULL)
        finish(LIST_ITEM(k, struct deliver, link), ERR(UNAVAILABLE, "the process stops"));
    timer_off(f->loop, &g->timer);
    timer_off(f->loop, &g->off_timer);
    lanes_free(g->lanes);
    free(g);
    f->deliveries = NULL;
}

/* ---- again ---- */

struct again {
    struct flow *flow;
    struct arena arena;
    struct fanout_unit unit;
    deliver_again_fn *done;
    void *ctx;
};

static void again_finish(struct again *o, struct err err)
{
    o->flow->busy--;
    o->done(o->ctx, err, o->unit.deliveries[0].id);
    arena_free(&o->arena);
    free(o);
}

static void again_stored(void *ctx)
{
    struct again *o = ctx;
    struct err err = o->unit.unit.err;
    if (!err_is(err) && !o->unit.is_new[0])
        err = ERR(CONFLICT, "replayed by somebody else at the same moment");
    if (!err_is(err))
        deliver_start(o->flow, o->unit.row.merchant_id, o->unit.deliveries[0].id, NULL, NULL);
    again_finish(o, err);
}

enum { A_PAYMENT, A_SEQ, A_EVENT, A_TYPE, A_ENDPOINT, A_MODE, A_NEXT, A_OPEN };

static void again_loaded(void *ctx, struct err err, const struct rows *r)
{
    struct again *o = ctx;
    struct flow *f = o->flow;
    if (!err_is(err) && rows_n(r) == 0)
        err = ERR(NOT_FOUND, "delivery");
    if (!err_is(err) && !rows_bool(r, 0, A_OPEN))
        err = ERR(INVALID_STATE, "endpoint disabled or deleted");
    if (err_is(err)) {
        again_finish(o, err);
        return;
    }
    int64_t now = loop_wall_us(f->loop);
    struct uuid id = random_uuid(now);
    o->unit.row.payment_id = rows_uuid(r, 0, A_PAYMENT);
    o->unit.row.seq = (int32_t)rows_i64(r, 0, A_SEQ);
    o->unit.n_deliveries = 1;
    o->unit.deliveries[0] = (struct delivery_row){
        .merchant_id = o->unit.row.merchant_id,
        .id = id,
        .mode = arena_dup(&o->arena, rows_str(r, 0, A_MODE)),
        .payment_id = o->unit.row.payment_id,
        .seq = o->unit.row.seq,
        .event_id = rows_uuid(r, 0, A_EVENT),
        .event_type = arena_dup(&o->arena, rows_str(r, 0, A_TYPE)),
        .endpoint_id = rows_uuid(r, 0, A_ENDPOINT),
        .n = (int16_t)rows_i64(r, 0, A_NEXT),
        .at = now,
        .job_bucket = job_bucket(id),
        .job_owner = f->replica,
        .job_lease = now + FLOW_LEASE_US,
    };
    fanout_unit_ready(&o->unit, again_stored, o);
    store_write(f->store, &o->unit.unit);
}

void deliver_again(struct flow *f, struct uuid merchant, struct uuid delivery, bool live,
                   deliver_again_fn *done, void *ctx)
{
    struct again *o = calloc(1, sizeof *o);
    ASSERT(o != NULL);
    o->flow = f;
    o->done = done;
    o->ctx = ctx;
    o->unit.row.merchant_id = merchant;
    arena_init(&o->arena, 64 * 1024);
    f->busy++;
    struct value params[] = {V_UUID(merchant), V_UUID(delivery), V_TEXT(mode_word(live))};
    store_read(f->store, Q_delivery_replays, params, COUNT_OF(params), again_loaded, o);
}
