/* The create request. Happy path: RESERVE (payment, attempt, idempotency record: durable), SEND,
 * RECORD, DONE; a manual method has nothing to send. What reli takes is mostly known; else PRICE
 * asks.
 *
 * Ways to fail: the key is known (LOOKUP: replay, wait, recover or refuse); the reference is taken
 * (OWNER: its owner ended without money and hands it over, or 409, cached); a random word is taken
 * (new one, once more); the provider does not take the amount with its fee (422, unless the key has
 * an answer already: LOOKUP); the database is away before the reservation (nothing has happened) or
 * after the provider was asked (the client is told 202, the record is tried again, and the
 * attempt's lease sees to the rest). */
#include "core/flow/charge.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/domain/reference.h"
#include "core/flow/fanout.h"
#include "core/flow/fee_terms.h"
#include "core/flow/move.h"
#include "core/flow/record.h"
#include "core/flow/render.h"

enum { CHARGE_ARENA = 3 * 1024 * 1024, RESERVE_TRIES = 5, BODY_MAX = 2 * 1024 * 1024 };

#define CHARGE_STATES(X)  \
    X(LOOKUP, "lookup")   \
    X(RECOVER, "recover") \
    X(RELEASE, "release") \
    X(PRICE, "price")     \
    X(RESERVE, "reserve") \
    X(OWNER, "owner")     \
    X(REFUSE, "refuse")   \
    X(SEND, "send")       \
    X(RECORD, "record")   \
    X(DONE, "done")

enum charge_state {
#define X(name, word) CHARGE_##name,
    CHARGE_STATES(X)
#undef X
};

static const char *const state_names[] = {
#define X(name, word) word,
    CHARGE_STATES(X)
#undef X
};

#define TO(s) (1u << CHARGE_##s)
static const uint32_t state_next[] = {
    [CHARGE_LOOKUP] = TO(LOOKUP) | TO(RECOVER) | TO(RELEASE) | TO(RESERVE) | TO(SEND) | TO(DONE),
    [CHARGE_RECOVER] = TO(DONE),
    [CHARGE_RELEASE] = TO(RESERVE) | TO(DONE),
    [CHARGE_PRICE] = TO(RESERVE) | TO(DONE),
    [CHARGE_RESERVE] = TO(LOOKUP) | TO(PRICE) | TO(RESERVE) | TO(OWNER) | TO(SEND) | TO(DONE),
    [CHARGE_OWNER] = TO(RESERVE) | TO(REFUSE) | TO(DONE),
    [CHARGE_REFUSE] = TO(DONE),
    [CHARGE_SEND] = TO(RECORD),
    [CHARGE_RECORD] = TO(RECORD) | TO(LOOKUP) | TO(DONE),
    [CHARGE_DONE] = 0,
};
#undef TO
static const struct fsm charge_fsm = {"charge", state_names, state_next};

struct charge {
    struct flow *flow;
    struct charge_input in;
    struct arena arena;
    int state;
    int tries;
    int64_t started_us; /* monotonic */
    uint8_t fingerprint[FINGERPRINT_LEN];
    struct idempotency_place place;
    struct payment_record rec;
    struct str person;
    struct str snapshot; /* of the last event made at the reservation */
    const struct flow_account *account;
    bool priced;
    struct fee_terms fee;
    bool looked; /* whether the key is known */
    struct create_unit unit;
    struct uuid previous_owner;
    bool held; /* the idempotency record is ours already */
    struct timer timer;
    /* the provider's word, kept for the record */
    struct payment_event event;
    struct move_call call;
    struct move_answer answer;
    bool recorded; /* it is, and the key has the answer */
    bool replied;
    charge_fn *done;
    void *ctx;
};

static void lookup(struct charge *c);
static void reserve(struct charge *c);
static void record(void *ctx);

static void enter(struct charge *c, enum charge_state to)
{
    fsm_enter(&charge_fsm, &c->state, (int)to);
}

/* ---- the answer ---- */

static void reply(struct charge *c, struct err err, const struct charge_result *result)
{
    if (!c->replied)
        c->done(c->ctx, err, result);
    c->replied = true;
}

static void end(struct charge *c)
{
    enter(c, CHARGE_DONE);
    timer_off(c->flow->loop, &c->timer);
    c->flow->busy--;
    arena_free(&c->arena);
    free(c);
}

static void end_with(struct charge *c, struct err err, struct str detail)
{
    struct charge_result result = {.detail = detail};
    reply(c, err, &result);
    end(c);
}

static void reply_payment(struct charge *c, struct charge_result *result, struct uuid payment,
                          int64_t expires_us, struct str snapshot, struct str person,
                          struct str provider_ref)
{
    char token[CLIENT_TOKEN_LEN + 1], id[UUID_TEXT];
    struct client_token t = {payment, c->in.merchant, c->in.live, expires_us + US_PER_HOUR};
    struct buf body;
    buf_init(&body, BODY_MAX);
    client_token_make(c->flow->vault, &t, token);
    render_created(&body, snapshot, person, provider_ref, str_c(token));
    result->body = buf_view(&body);
    result->location = str_c(uuid_text(payment, id));
    reply(c, body.failed ? ERR(NO_MEMORY, "answer") : ERR_OK, result);
    buf_free(&body);
}

static void reply_created(struct charge *c, int status, struct str snapshot,
                          struct str provider_ref)
{
    struct charge_result result = {.http_status = status};
    reply_payment(c, &result, c->rec.id, c->rec.p.expires_at_us, snapshot, c->person, provider_ref);
}

/* ---- what is known of the key ---- */

enum {
    I_FINGERPRINT,
    I_PAYMENT,
    I_STATUS,
    I_PROVIDER_REF,
    I_PROBLEM,
    I_LEASE,
    I_CREATED,
    I_DATA,
    I_PII,
    I_NOW,
    I_EXPIRES
};

static void recovered(void *ctx, struct err err, const struct rows *rows)
{
    struct charge *c = ctx;
    struct payment_record rec = {0};
    struct str person = STR("");
    if (!err_is(err))
        err = payment_record_read(rows, &c->arena, &rec);
    if (!err_is(err))
        err = record_person(c->flow, &rec, &c->arena, &person);
    if (err_is(err)) {
        end_with(c, err, STR_NULL);
        return;
    }
    struct buf b;
    buf_init(&b, BODY_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_payment(&w, &rec, person);
    jw_close(&w);
    bool open = rec.p.status == PAYMENT_PROCESSING || rec.p.status == PAYMENT_IN_RECONCILIATION;
    struct charge_result result = {
        .http_status = open ? 202 : 201,
        .recovered = true,
        .current_status = str_c(payment_status_word(rec.p.status)),
    };
    reply_payment(c, &result, rec.id, rec.p.expires_at_us, buf_view(&b), STR_NULL, STR_NULL);
    buf_free(&b);
    end(c);
}

static void replay(struct charge *c, const struct rows *r)
{
    struct uuid payment = rows_uuid(r, 0, I_PAYMENT);
    struct charge_result result = {
        .http_status = (int)rows_i64(r, 0, I_STATUS),
        .replayed = true,
        .original_us = rows_time(r, 0, I_CREATED),
        .current_status = rows_str(r, 0, I_NOW),
    };
    if (!rows_null(r, 0, I_PROBLEM)) {
        result.is_problem = true;
        result.body = rows_str(r, 0, I_PROBLEM);
        reply(c, ERR_OK, &result);
        end(c);
        return;
    }
    struct payment_record rec = {
        .merchant = c->in.merchant, .id = payment, .pii = rows_str(r, 0, I_PII)};
    struct str person;
    struct err err = record_person(c->flow, &rec, &c->arena, &person);
    if (err_is(err) || rows_null(r, 0, I_DATA)) {
        end_with(c, err_is(err) ? err : ERR(INTERNAL, "a replay without its event"), STR_NULL);
        return;
    }
    reply_payment(c, &result, payment, rows_time(r, 0, I_EXPIRES), rows_str(r, 0, I_DATA), person,
                  rows_str(r, 0, I_PROVIDER_REF));
    end(c);
}

static void released(void *ctx, struct err err, const struct rows *rows)
{
    struct charge *c = ctx;
    (void)rows;
    if (err_is(err)) {
        end_with(c, err, STR_NULL);
        return;
    }
    enter(c, CHARGE_RESERVE);
    reserve(c);
}

/* A record whose owner died before it had a payment: nothing came of it. */
static void release(struct charge *c, struct uuid payment)
{
    struct value params[] = {V_UUID(c->in.merchant), V_TEXT(mode_word(c->in.live)),
                             V_TEXT(c->in.idem_key), V_UUID(payment),
                             V_TIME(loop_wall_us(c->flow->loop))};
    enter(c, CHARGE_RELEASE);
    store_exec(c->flow->store, Q_idempotency_release, params, COUNT_OF(params), released, c);
}

static void look_again(void *ctx)
{
    struct charge *c = ctx;
    enter(c, CHARGE_LOOKUP);
    lookup(c);
}

static void in_flight(struct charge *c, const struct rows *r)
{
    struct flow *f = c->flow;
    if (rows_time(r, 0, I_LEASE) <= loop_wall_us(f->loop)) {
        struct uuid payment = rows_uuid(r, 0, I_PAYMENT);
        if (rows_null(r, 0, I_NOW)) {
            release(c, payment);
            return;
        }
        struct value params[] = {V_UUID(c->in.merchant), V_UUID(payment)};
        enter(c, CHARGE_RECOVER);
        store_read(f->store, Q_payment_get, params, COUNT_OF(params), recovered, c);
        return;
    }
    if (loop_mono_us(f->loop) - c->started_us < c->in.wait_us) {
        timer_set(f->loop, &c->timer, 100 * US_PER_MS, look_again, c);
        return;
    }
    end_with(c, ERR(IDEMPOTENCY_IN_PROGRESS, NULL),
             STR("Another request with this key is being worked on."));
}

static void send(struct charge *c);

static void looked(void *ctx, struct err err, const struct rows *r)
{
    struct charge *c = ctx;
    if (err_is(err)) {
        end_with(c, err, STR_NULL);
        return;
    }
    if (rows_n(r) == 0) {
        c->held = false; /* any more */
        if (c->recorded || ++c->tries > RESERVE_TRIES) {
            end_with(c, ERR(IDEMPOTENCY_IN_PROGRESS, NULL), STR_NULL);
            return;
        }
        enter(c, CHARGE_RESERVE);
        reserve(c);
        return;
    }
    idempotency_remember(c->in.merchant, c->in.live, c->in.idem_key);
    struct str stored = rows_str(r, 0, I_FINGERPRINT);
    if (!str_eq(str_first(stored, 32), str_n((char *)c->fingerprint, 32))) {
        struct str names =
            fingerprint_difference(c->fingerprint, stored, c->in.fields, c->in.n_fields, &c->arena);
        end_with(c, ERR(IDEMPOTENCY_KEY_REUSED, NULL),
                 arena_fmt(&c->arena, "The key was used with another request; these differ: %.*s.",
                           STR_ARG(names)));
    } else if (!c->recorded && c->unit.unit.doubt && uuid_eq(rows_uuid(r, 0, I_PAYMENT), c->rec.id) &&
               !rows_null(r, 0, I_NOW) && rows_null(r, 0, I_STATUS)) {
        enter(c, CHARGE_SEND); /* our own commit, of which we had no answer */
        send(c);
    } else if (rows_null(r, 0, I_STATUS) ||
               (rows_null(r, 0, I_PROBLEM) && rows_null(r, 0, I_NOW))) {
        in_flight(c, r); /* or its payment was refused, and the refusal is still to be stored */
    } else {
        replay(c, r);
    }
}

static void lookup(struct charge *c)
{
    struct value params[] = {V_UUID(c->in.merchant), V_TEXT(mode_word(c->in.live)),
                             V_TEXT(c->in.idem_key), V_I16(c->place.look_a),
                             V_I16(c->place.look_b)};
    store_read(c->flow->store, Q_idempotency_get, params, COUNT_OF(params), looked, c);
}

/* ---- a reference that is taken ---- */

static void refused(void *ctx, struct err err, const struct rows *rows)
{
    struct charge *c = ctx;
    (void)rows;
    if (err_is(err)) {
        end_with(c, err, STR_NULL);
        return;
    }
    struct charge_result result = {
        .http_status = 409,
        .is_problem = true,
        .body = c->in.problem(c->in.problem_ctx, ERR(DUPLICATE_REFERENCE, NULL),
                              "Another payment has this reference."),
    };
    reply(c, ERR_OK, &result);
    end(c);
}

static void refuse(struct charge *c)
{
    enter(c, CHARGE_REFUSE);
    if (c->in.idem_key.p == NULL) {
        refused(c, ERR_OK, NULL);
        return;
    }
    struct str body = c->in.problem(c->in.problem_ctx, ERR(DUPLICATE_REFERENCE, NULL),
                                    "Another payment has this reference.");
    struct value params[] = {V_UUID(c->in.merchant),
                             V_TEXT(mode_word(c->in.live)),
                             V_TEXT(c->in.idem_key),
                             V_UUID(c->rec.id),
                             V_I16(409),
                             V_TEXT(body)};
    store_exec(c->flow->store, Q_idempotency_refuse, params, COUNT_OF(params), refused, c);
}

static void owner_known(void *ctx, struct err err, const struct rows *r)
{
    struct charge *c = ctx;
    if (err_is(err)) {
        end_with(c, err, STR_NULL);
        return;
    }
    enum payment_status status = PAYMENT_FAILED;
    bool ended =
        rows_n(r) == 1 &&
        (rows_null(r, 0, 1) ||
         (payment_status_parse(rows_str(r, 0, 1), &status) && rows_i64(r, 0, 2) == 0 &&
          (status == PAYMENT_FAILED || status == PAYMENT_EXPIRED || status == PAYMENT_CANCELLED)));
    bool gone = rows_n(r) == 0; /* taken and given up meanwhile: try again */
    if ((!ended && !gone) || ++c->tries > RESERVE_TRIES) {
        refuse(c);
        return;
    }
    c->previous_owner = ended ? rows_uuid(r, 0, 0) : UUID_NIL;
    enter(c, CHARGE_RESERVE);
    reserve(c);
}

static void owner(struct charge *c)
{
    struct value params[] = {V_UUID(c->in.merchant), V_TEXT(mode_word(c->in.live)),
                             V_TEXT(c->rec.reference)};
    enter(c, CHARGE_OWNER);
    store_read(c->flow->store, Q_reference_get, params, COUNT_OF(params), owner_known, c);
}

/* ---- the reservation ---- */

static void priced(void *ctx, struct err err, const struct fee_terms *terms)
{
    struct charge *c = ctx;
    if (err_is(err)) {
        end_with(c, err, STR_NULL);
        return;
    }
    c->fee = *terms;
    c->priced = true;
    enter(c, CHARGE_RESERVE);
    reserve(c);
}

/* What is taken is fixed here, once. False: it is being asked for. */
static bool price(struct charge *c)
{
    struct fee_question q = {c->in.merchant, c->in.live, c->in.gateway, c->in.amount};
    if (!c->priced)
        c->priced = fee_terms_known(c->flow, &q, &c->fee);
    if (c->priced)
        return true;
    enter(c, CHARGE_PRICE);
    fee_terms_start(c->flow, &q, priced, c);
    return false;
}

/* A replay does not depend on what is taken now. */
static void refuse_amount(struct charge *c)
{
    struct charge_result result = {
        .amount_bad = true,
        .detail = STR("With the fee, which the customer bears, the provider does not take it."),
    };
    if (c->in.idem_key.p != NULL && !c->looked) {
        c->looked = true;
        enter(c, CHARGE_LOOKUP);
        lookup(c);
        return;
    }
    reply(c, ERR(VALIDATION, NULL), &result);
    end(c);
}

static struct uuid payment_id(const struct charge *c)
{
    struct uuid id = random_uuid(loop_wall_us(c->flow->loop));
    id.b[15] = (uint8_t)((id.b[15] & 0xc0) | (c->in.live ? 0x10 : 0));
    return id;
}

static void set_identity(struct charge *c)
{
    char reference_no[REFERENCE_NO_TEXT], pay_code[PAY_CODE_TEXT];
    int64_t now = loop_wall_us(c->flow->loop);
    uint64_t day =
        (uint64_t)(now / US_PER_DAY) & 0xfff; /* codes of one day lie together in the index */
    reference_no_make(now, random_u64(), reference_no);
    pay_code_make(day << 28 | (random_u64() & 0xfffffff), pay_code);
    c->rec.reference_no = arena_dup(&c->arena, str_c(reference_no));
    c->rec.pay_code = arena_dup(&c->arena, str_c(pay_code));
    c->rec.reference = c->in.reference.p != NULL ? c->in.reference : c->rec.reference_no;
}

static struct str callback_url(struct charge *c)
{
    char token[CALLBACK_TOKEN_LEN + 1];
    callback_token_make(c->flow->vault, c->in.gateway->name, attempt_id(c->rec.id, 1),
                        c->in.merchant, token);
    return arena_fmt(&c->arena, "%.*s/api/v1/cb/%s", STR_ARG(c->flow->settings.public_url), token);
}

static struct gw_charge provider_charge(struct charge *c)
{
    return (struct gw_charge){
        .amount = payment_asked(&c->rec.p),
        .phone = c->in.phone.p != NULL ? c->in.phone : STR(""),
        .pay_code = c->rec.pay_code,
        .description = c->in.description.p != NULL ? c->in.description : STR(""),
        .callback_url = callback_url(c),
        .now_us = loop_wall_us(c->flow->loop),
    };
}

/* Built once before anything is promised: what cannot be built is never "processing". */
static struct err try_build(struct charge *c)
{
    const struct gateway *g = c->in.gateway;
    if (c->account == NULL)
        return ERR(CONFIG, "no account for this provider and mode");
    if (g->manual)
        return ERR_OK;
    struct gw_charge in = provider_charge(c);
    struct outbound_request request = {0};
    return g->charge_build(&c->account->gw, &in, STR("t"), &c->arena, &request);
}

static struct str next_action(struct charge *c, const struct gateway *g)
{
    char at[TIME_TEXT], amount[MONEY_TEXT];
    money_text(payment_asked(&c->rec.p), amount);
    if (g->manual)
        return arena_fmt(&c->arena, "{\"type\":\"%s\",\"amount\":\"%s\",\"reference\":\"%.*s\"}",
                         g->action, amount, STR_ARG(c->rec.pay_code));
    time_text(c->rec.p.created_at_us + g->prompt_window_us, at);
    return arena_fmt(&c->arena, "{\"type\":\"%s\",\"amount\":\"%s\",\"expires_at\":\"%s\"}",
                     g->action, amount, at);
}

/* One event with its rows. */
static struct err add_event(struct charge *c, enum payment_status before,
                            const struct payment_effects *fx)
{
    struct create_unit *u = &c->unit;
    TRY(record_event(c->flow, &c->arena, &c->rec, fx->notice, &u->events[u->n_events]));
    c->snapshot = u->events[u->n_events++].data;
    record_audit(c->flow, &c->rec, before, fx->action, c->in.actor, STR_NULL,
                 &u->audits[u->n_audits++]);
    return ERR_OK;
}

/* initiated, and what follows at once: processing, requires_action or failed. */
static struct err step_twice(struct charge *c, struct err built)
{
    const struct gateway *g = c->in.gateway;
    struct payment_effects fx = {0};
    struct payment_rules rules = flow_rules(c->flow, g);
    payment_begin(&c->rec.p, &fx);
    TRY(add_event(c, PAYMENT_PENDING, &fx));
    struct payment_event ev = {
        .kind = PAYMENT_EVENT_DISPATCH, .source = SOURCE_API, .random = (uint32_t)random_u64()};
    if (err_is(built)) {
        ev.kind = PAYMENT_EVENT_CANNOT_SEND;
        ev.code = FAILURE_CONFIGURATION;
        ev.message = str_c(built.what);
    } else if (g->manual) {
        ev.kind = PAYMENT_EVENT_NEEDS_CUSTOMER;
    }
    if (!err_is(built))
        c->rec.next_action = next_action(c, g);
    fx = (struct payment_effects){0};
    TRY(payment_step(&c->rec.p, &ev, &rules, c->rec.p.created_at_us, &fx));
    return add_event(c, PAYMENT_PENDING, &fx);
}

static void fill_idempotency(struct charge *c, bool answered)
{
    struct payment_insert_row *row = &c->unit.row;
    if (c->in.idem_key.p == NULL)
        return;
    row->idem_key = c->in.idem_key;
    row->idem_slot = c->place.slot;
    row->idem_slot_b = c->place.slot_b;
    row->idem_look_a = c->place.look_a;
    row->idem_look_b = c->place.look_b;
    row->idem_period = c->place.period;
    row->idem_held = c->held;
    row->idem_fingerprint = str_n((char *)c->fingerprint, FINGERPRINT_LEN);
    row->idem_lease = c->rec.p.created_at_us + FLOW_LEASE_US;
    if (answered) {
        row->idem_http = 201;
        row->idem_seq = c->rec.p.version;
    }
}

/* Makes the payment anew from the request; called again with new words when one was taken. */
static struct err fill(struct charge *c)
{
    struct flow *f = c->flow;
    const struct gateway *g = c->in.gateway;
    int64_t now = loop_wall_us(f->loop);
    struct uuid id = c->held ? c->rec.id : payment_id(c); /* the record names the payment */
    int64_t life = g->expiry_us;
    if (!g->manual && f->settings.payment_expiry_us > 0)
        life = f->settings.payment_expiry_us;
    c->account = flow_account(f, str_c(g->name), c->in.live);
    c->rec = (struct payment_record){
        .merchant = c->in.merchant,
        .id = id,
        .account_id = c->account != NULL ? c->account->id : UUID_NIL,
        .op_id = id,
        .live = c->in.live,
        .revision = 1,
        .provider = str_c(g->name),
        .method = c->in.method,
        .customer_id = c->in.customer_id,
        .description = c->in.description,
        .return_url = c->in.return_url,
        .callback_url = c->in.callback_url,
        .metadata = c->in.metadata,
        .p = {.amount = c->in.amount,
              .fee_due_minor = c->fee.fee_minor,
              .fee_on_top = c->fee.on_top,
              .created_at_us = now,
              .expires_at_us = now + life,
              .updated_at_us = now},
    };
    set_identity(c);
    if (c->person.n > 0)
        TRY(record_seal_person(f, c->in.merchant, id, &c->arena, c->person, &c->rec.pii));
    c->unit = (struct create_unit){0};
    TRY(step_twice(c, try_build(c)));
    payment_insert_fill(&c->rec, &c->unit.row);
    c->unit.row.previous_owner = c->previous_owner;
    c->unit.row.fee_version = c->fee.version;
    c->unit.row.audit_a = c->unit.audits[0].id;
    c->unit.row.audit_b = c->unit.audits[1].id;
    for (int i = 0; i < c->rec.p.n_attempts; i++)
        attempt_row_fill(&c->rec, &c->rec.p.attempts[i], now,
                         &c->unit.attempts[c->unit.n_attempts++]);
    struct payment_rules rules = flow_rules(f, g);
    bool sending = c->rec.p.status == PAYMENT_PROCESSING;
    c->unit.row.job_run_at = payment_deadline_us(&c->rec.p, &rules);
    c->unit.row.job_owner = f->replica;
    c->unit.row.job_lease = sending ? now + FLOW_LEASE_US : now;
    fill_idempotency(c, !sending);
    return ERR_OK;
}

static void created(struct charge *c)
{
    struct flow *f = c->flow;
    if (c->in.idem_key.p != NULL)
        idempotency_remember(c->in.merchant, c->in.live, c->in.idem_key);
    /* nobody watches a payment whose id nobody has seen: only webhooks are to be told */
    for (int32_t seq = 1; c->unit.fanout && seq <= (int32_t)c->unit.n_events; seq++)
        fanout_start(f, c->rec.merchant, c->rec.id, seq, NULL, NULL);
    crash_point(CRASH_CHARGE_RESERVED);
    if (c->rec.p.status == PAYMENT_PROCESSING) {
        enter(c, CHARGE_SEND);
        send(c);
        return;
    }
    reply_created(c, 201, c->snapshot, STR_NULL);
    end(c);
}

/* After a commit that was not answered, the rerun meets its own rows. */
static void own_rows(void *ctx, struct err err, const struct rows *r)
{
    struct charge *c = ctx;
    if (err_is(err))
        end_with(c, err, STR_NULL);
    else if (rows_n(r) > 0)
        created(c);
    else
        owner(c);
}

static void reserved(void *ctx)
{
    struct charge *c = ctx;
    struct err err = c->unit.unit.err;
    if (err_is(err)) {
        end_with(c, err, STR_NULL);
        return;
    }
    switch (c->unit.stage) {
    case CREATE_DONE:
        created(c);
        return;
    case CREATE_KEY_KNOWN:
        enter(c, CHARGE_LOOKUP);
        lookup(c);
        return;
    case CREATE_WORD_TAKEN:
    case CREATE_REFERENCE_TAKEN:
        c->held = c->in.idem_key.p != NULL;
        break;
    }
    if (c->unit.unit.doubt) {
        struct value params[] = {V_UUID(c->in.merchant), V_UUID(c->rec.id)};
        store_read(c->flow->store, Q_payment_get, params, COUNT_OF(params), own_rows, c);
    } else if (c->unit.stage == CREATE_REFERENCE_TAKEN) {
        owner(c);
    } else if (++c->tries > RESERVE_TRIES) {
        end_with(c, ERR(INTERNAL, "no free reference"), STR_NULL);
    } else {
        enter(c, CHARGE_RESERVE);
        reserve(c);
    }
}

static void reserve(struct charge *c)
{
    if (!price(c))
        return;
    if (c->fee.too_much) {
        refuse_amount(c);
        return;
    }
    struct err err = fill(c);
    if (err_is(err)) {
        end_with(c, err, STR_NULL);
        return;
    }
    crash_point(CRASH_CHARGE_BUILT);
    create_unit_ready(&c->unit, reserved, c);
    store_write(c->flow->store, &c->unit.unit);
}

/* ---- the provider ---- */

static void keep_result(struct charge *c, const struct gw_result *result,
                        const struct gw_exchange *exchange)
{
    struct payment_event *ev = &c->event;
    struct arena *a = &c->arena;
    *ev = (struct payment_event){
        .attempt = 1,
        .source = SOURCE_API,
        .code = result->code,
        .provider_ref = arena_dup(a, result->provider_ref),
        .provider_code = arena_dup(a, result->provider_code),
        .message = arena_dup(a, result->message),
    };
    const char *outcome = "ambiguous";
    ev->kind = PAYMENT_EVENT_AMBIGUOUS;
    if (result->verdict == GW_ACCEPTED) {
        ev->kind = PAYMENT_EVENT_ACCEPTED;
        outcome = "ok";
    } else if (result->verdict == GW_REFUSED || result->verdict == GW_TOKEN_REJECTED) {
        ev->kind = PAYMENT_EVENT_REFUSED;
        outcome = "refused";
    }
    c->call = (struct move_call){
        .attempt = 1,
        .op = "charge",
        .outcome = outcome,
        .http_status = exchange->http_status,
        .took_us = exchange->took_us,
        .body = arena_fmt(a, "{\"request\":%.*s,\"response\":%.*s}",
                          STR_ARG(exchange->request.n > 0 ? exchange->request : STR("null")),
                          STR_ARG(exchange->response.n > 0 ? exchange->response : STR("null"))),
    };
    c->answer = (struct move_answer){
        .key = c->in.idem_key,
        .slot = c->place.slot,
        .slot_b = c->place.slot_b,
        .http_status = ev->kind == PAYMENT_EVENT_AMBIGUOUS ? 202 : 201,
        .seq = c->rec.p.version,
    };
    log_info("charge.sent", F_ID("payment", c->rec.id), F_C("provider", c->in.gateway->name),
             F_C("outcome", outcome), F_I64("http", exchange->http_status),
             F_I64("ms", exchange->took_us / 1000));
}

/* The client is not kept waiting for a database that is away; the record is tried again. What it is
 * told is what a replay will say: 202, or, when nobody knows which answer is recorded, to ask
 * again.
 */
static void tell_early(struct charge *c, struct err err)
{
    struct charge_result none = {0};
    if (c->replied)
        return;
    if (err.code == ERR_AMBIGUOUS && c->in.idem_key.p != NULL) {
        reply(c, err, &none);
        return;
    }
    reply_created(c, 202, c->snapshot, STR_NULL);
    c->answer.http_status = 202;
    c->answer.given = true;
}

static void recorded(void *ctx, struct err err, const struct move_result *result)
{
    struct charge *c = ctx;
    struct flow *f = c->flow;
    if (err_is(err)) {
        bool again = err_retryable(err.code) || err.code == ERR_AMBIGUOUS;
        log_warn("charge.not_recorded", F_ID("payment", c->rec.id), F_ERR(err));
        tell_early(c, err);
        if (again && !f->closing && ++c->tries < 60) {
            timer_set(f->loop, &c->timer, US_PER_S, record, c);
            return;
        }
        end(c);
        return;
    }
    crash_point(CRASH_CHARGE_RECORDED);
    if (result->answered_before && !c->replied) {
        c->recorded = true;
        enter(c, CHARGE_LOOKUP);
        lookup(c);
        return;
    }
    bool told = result->snapshot.p != NULL;
    reply_created(c, c->answer.http_status, told ? result->snapshot : c->snapshot,
                  told ? STR_NULL : str_c(result->rec->p.provider_ref));
    end(c);
}

static void record(void *ctx)
{
    struct charge *c = ctx;
    struct move_request rq = {
        .merchant = c->in.merchant,
        .payment = c->rec.id,
        .event = c->event,
        .actor = STR("provider"),
        .known = c->tries == 0 ? &c->rec : NULL,
        .answer = c->in.idem_key.p != NULL ? &c->answer : NULL,
        .call = &c->call,
    };
    enter(c, CHARGE_RECORD);
    move_start(c->flow, &rq, recorded, c);
}

static void sent(void *ctx, const struct gw_result *result, const struct gw_exchange *exchange)
{
    struct charge *c = ctx;
    crash_point(CRASH_CHARGE_SENT);
    keep_result(c, result, exchange);
    c->tries = 0;
    record(c);
}

static void send(struct charge *c)
{
    struct gw_charge in = provider_charge(c);
    struct err err = gw_charge_start(c->flow->gateways, &c->account->gw, &in, sent, c);
    if (err_is(err)) { /* nothing has left: that much is certain */
        struct gw_result result = {.verdict = GW_REFUSED,
                                   .code = err.code == ERR_INVALID ? FAILURE_CONFIGURATION
                                                                   : FAILURE_PROVIDER_UNAVAILABLE,
                                   .message = str_c(err.what)};
        struct gw_exchange exchange = {.op = GW_OP_CHARGE};
        sent(c, &result, &exchange);
    }
}

void charge_start(struct flow *f, const struct charge_input *in, charge_fn *done, void *ctx)
{
    struct charge *c = calloc(1, sizeof *c);
    ASSERT(c != NULL);
    c->flow = f;
    c->in = *in;
    c->done = done;
    c->ctx = ctx;
    c->started_us = loop_mono_us(f->loop);
    arena_init(&c->arena, CHARGE_ARENA);
    f->busy++;
    struct buf person;
    buf_init(&person, 4096);
    if (in->phone.n > 0 || in->email.n > 0 || in->name.n > 0)
        render_person(&person, in->phone, in->email, in->name);
    c->person = arena_dup(&c->arena, buf_view(&person));
    buf_free(&person);
    if (in->idem_key.p != NULL) {
        fingerprint_make(f->vault, in->route, in->fields, in->n_fields, c->fingerprint);
        c->place = idempotency_place(loop_wall_us(f->loop), f->settings.idempotency_retention_us);
    }
    c->state = CHARGE_RESERVE;
    if (in->idem_key.p != NULL && idempotency_seen(in->merchant, in->live, in->idem_key)) {
        enter(c, CHARGE_LOOKUP);
        lookup(c);
    } else {
        reserve(c);
    }
}
