/* Everything that is durable before a byte leaves: payment, attempt, events, idempotency record.
 * See charge.c. */
#include "core/flow/charge_int.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/domain/reference.h"
#include "core/flow/customer.h"
#include "core/flow/fanout.h"
#include "core/flow/maintenance.h"
#include "core/flow/record.h"
#include "core/flow/render.h"

/* Those who set no limits pay nothing for them. */
static struct err keep_limits(struct charge *c, const struct fee_terms *terms)
{
    const struct limit_rules *set = terms->limits;
    c->fee.limits = NULL;
    if (set == NULL || set->n == 0)
        return ERR_OK;
    struct limit_rules *kept = ARENA_NEW(&c->arena, struct limit_rules);
    if (kept == NULL)
        return ERR(NO_MEMORY, "limits");
    *kept = *set;
    c->limits = kept;
    return ERR_OK;
}

static void priced(void *ctx, struct err err, const struct fee_terms *terms)
{
    struct charge *c = ctx;
    if (!err_is(err)) {
        c->fee = *terms;
        c->priced = true;
        err = keep_limits(c, terms);
    }
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    charge_enter(c, CHARGE_RESERVE);
    charge_reserve(c);
}

/* What is taken is fixed here, once. False: it is being asked for. */
static bool price(struct charge *c)
{
    struct fee_question q = {c->in.merchant, c->in.live, c->in.gateway, c->in.amount};
    if (!c->priced && fee_terms_known(c->flow, &q, &c->fee))
        c->priced = !err_is(keep_limits(c, &c->fee));
    if (c->priced)
        return true;
    charge_enter(c, CHARGE_PRICE);
    fee_terms_start(c->flow, &q, priced, c);
    return false;
}

static void place_it(struct charge *c)
{
    c->account = account_hold(
        account_named(c->flow, c->in.merchant, c->in.gateway, c->in.live, c->in.account));
    c->placed = true;
}

static void placed(void *ctx, struct err err)
{
    struct charge *c = ctx;
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    place_it(c);
    charge_enter(c, CHARGE_RESERVE);
    charge_reserve(c);
}

/* The account is chosen once, and kept though it is changed meanwhile. False: it is being asked
 * for. */
static bool place(struct charge *c)
{
    if (!c->placed && accounts_fresh(c->flow, c->in.merchant))
        place_it(c);
    if (c->placed)
        return true;
    charge_enter(c, CHARGE_ACCOUNT);
    accounts_start(c->flow, c->in.merchant, placed, c);
    return false;
}

/* A replay does not depend on what is taken now. False: the key has no answer. */
static bool answered_before(struct charge *c)
{
    if (c->in.idem_key.p == NULL || c->looked)
        return false;
    c->looked = true;
    charge_enter(c, CHARGE_LOOKUP);
    charge_lookup(c);
    return true;
}

static void refuse_amount(struct charge *c)
{
    struct charge_result result = {
        .amount_bad = true,
        .detail = STR("With the fee, which the customer bears, the provider does not take it."),
    };
    if (answered_before(c))
        return;
    charge_reply(c, ERR(VALIDATION, NULL), &result);
    charge_end(c);
}

static struct uuid payment_id(const struct charge *c)
{
    struct uuid id = random_uuid(loop_wall_us(c->flow->loop));
    id.b[15] = (uint8_t)((id.b[15] & 0x80) | (c->in.live ? 0x10 : 0));
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

/* By which the provider can be asked before he has told his own. */
static struct str own_ref(struct charge *c)
{
    struct str ours = attempt_our_id(&c->arena, &c->rec, 1, c->in.gateway);
    if (c->in.method_token.n == 0)
        return ours;
    return arena_fmt(&c->arena, "%s.%.*s", c->in.gateway->token_ref, STR_ARG(ours));
}

struct err charge_request(struct charge *c, struct gw_charge *out)
{
    const struct gateway *g = gateway_find(c->rec.provider);
    int n = c->rec.p.n_attempts > 0 ? c->rec.p.n_attempts : 1;
    if (c->request_n == n) { /* what was tried before the reservation is what is sent */
        c->request.now_us = loop_wall_us(c->flow->loop);
        *out = c->request;
        return ERR_OK;
    }
    TRY(attempt_request(c->flow, &c->arena, &c->rec, n, g, out));
    if (c->in.method_token.n > 0) /* kept nowhere; it has no next provider */
        out->method_token = c->in.method_token;
    out->trace = c->in.trace;
    c->request = *out;
    c->request_n = n;
    return ERR_OK;
}

/* Built once before anything is promised: what cannot be built is never "processing". */
static struct err try_build(struct charge *c)
{
    const struct gateway *g = c->in.gateway;
    if (c->account == NULL)
        return ERR(CONFIG, "no account for this provider and mode");
    if (g->manual)
        return ERR_OK;
    struct gw_charge in;
    struct outbound_request request = {0};
    TRY(charge_request(c, &in));
    return g->charge_build(&c->account->gw, &in, STR("t"), &c->arena, &request);
}

/* One event with its rows. */
static struct err add_event(struct charge *c, enum payment_status before,
                            const struct payment_effects *fx)
{
    struct create_unit *u = &c->unit;
    TRY(record_event(c->flow, &c->arena, &c->rec, fx->notice, &u->events[u->n_events]));
    c->snapshot = u->events[u->n_events++].data;
    record_audit(c->flow, &c->rec, before, fx->action, c->in.actor,
                 u->n_audits == 0 ? c->in.routed : STR_NULL, &u->audits[u->n_audits]);
    u->n_audits++;
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
    if (g->our_id_is_ref && ev.kind == PAYMENT_EVENT_DISPATCH)
        ev.provider_ref = own_ref(c);
    if (!err_is(built) && c->in.method_token.n == 0) /* else nothing, unless the provider says so */
        c->rec.next_action = attempt_action(&c->arena, &c->rec, g, c->rec.p.created_at_us);
    fx = (struct payment_effects){0};
    TRY(payment_step(&c->rec.p, &ev, &rules, c->rec.p.created_at_us, &fx));
    return add_event(c, PAYMENT_PENDING, &fx);
}

static struct err fill_idempotency(struct charge *c, bool answered)
{
    struct payment_insert_row *row = &c->unit.row;
    if (c->in.idem_key.p == NULL)
        return ERR_OK;
    TRY(idempotency_place_fresh(&c->place, c->rec.p.created_at_us));
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
    return ERR_OK;
}

#define PAGE_US (30 * US_PER_MIN)

/* domain.md, section 3: what the setting is for is a prompt on a phone; a page has its half hour,
 * and providers have a least time of their own for one. */
static int64_t life_us(const struct charge *c)
{
    const struct gateway *g = c->in.gateway;
    int64_t prompt_us = c->flow->settings.payment_expiry_us;
    bool page = strcmp(g->action, "redirect") == 0 || str_eq(c->in.method, STR("redirect")) ||
                (!g->needs_phone && c->in.phone.n == 0);
    if (g->manual)
        return g->expiry_us;
    if (page)
        return g->expiry_us > PAGE_US ? g->expiry_us : PAGE_US;
    return prompt_us > 0 ? prompt_us : g->expiry_us;
}

/* Makes the payment anew from the request; called again with new words when one was taken. */
static struct err fill(struct charge *c)
{
    struct flow *f = c->flow;
    const struct gateway *g = c->in.gateway;
    int64_t now = loop_wall_us(f->loop);
    struct uuid id = c->held ? c->rec.id : payment_id(c); /* the record names the payment */
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
              .expires_at_us = now + life_us(c),
              .updated_at_us = now},
    };
    /* a token is its provider's: nobody else can take the payment */
    c->rec.places[0] = (struct attempt_place){c->rec.provider, c->rec.account_id,
                                              c->in.method_token.n == 0 ? c->in.routed : STR_NULL};
    set_identity(c);
    if (c->person.n > 0)
        TRY(record_seal_person(f, c->in.merchant, id, &c->arena, c->person, &c->rec.pii));
    c->unit = (struct create_unit){0};
    c->request_n = 0;
    TRY(step_twice(c, try_build(c)));
    payment_insert_fill(&c->rec, &c->unit.row);
    TRY(customer_fill(f->vault, &c->arena, &c->rec, c->in.phone, c->in.email, random_uuid(now),
                      &c->unit.row));
    if (c->limits != NULL && c->rec.p.status != PAYMENT_FAILED) {
        TRY(limit_count(&c->arena, &c->rec, c->limits, c->unit.row.customer_key, &c->counts));
        c->unit.limits = c->counts.rows;
        c->unit.n_limits = c->counts.n;
        c->rec.counted = c->unit.row.counted = c->counts.counted;
    }
    c->unit.row.previous_owner = c->previous_owner;
    c->unit.row.fee_version = c->fee.version;
    c->unit.row.traceparent = c->in.trace;
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
    return fill_idempotency(c, !sending);
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
        charge_enter(c, CHARGE_SEND);
        charge_send(c);
        return;
    }
    charge_reply_created(c, 201, c->snapshot, STR_NULL);
    charge_end(c);
}

/* After a commit that was not answered, the rerun meets its own rows. */
static void own_rows(void *ctx, struct err err, const struct rows *r)
{
    struct charge *c = ctx;
    if (err_is(err))
        charge_end_with(c, err, STR_NULL);
    else if (rows_n(r) > 0)
        created(c);
    else if (c->unit.stage == CREATE_LIMITED)
        charge_limited(c);
    else
        charge_owner(c);
}

static void reserved(void *ctx)
{
    struct charge *c = ctx;
    struct err err = c->unit.unit.err;
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    switch (c->unit.stage) {
    case CREATE_DONE:
        created(c);
        return;
    case CREATE_KEY_KNOWN:
        charge_enter(c, CHARGE_LOOKUP);
        charge_lookup(c);
        return;
    case CREATE_WORD_TAKEN:
    case CREATE_REFERENCE_TAKEN:
    case CREATE_LIMITED:
        c->held = c->in.idem_key.p != NULL;
        break;
    }
    if (c->unit.unit.doubt) {
        struct value params[] = {V_UUID(c->in.merchant), V_UUID(c->rec.id)};
        store_read(c->flow->store, Q_payment_get, params, COUNT_OF(params), own_rows, c);
    } else if (c->unit.stage == CREATE_LIMITED) {
        charge_limited(c);
    } else if (c->unit.stage == CREATE_REFERENCE_TAKEN) {
        charge_owner(c);
    } else if (++c->tries > RESERVE_TRIES) {
        charge_end_with(c, ERR(INTERNAL, "no free reference"), STR_NULL);
    } else {
        charge_enter(c, CHARGE_RESERVE);
        charge_reserve(c);
    }
}

static void not_now(void *ctx)
{
    struct charge *c = ctx;
    charge_end_with(c, ERR(MAINTENANCE, NULL), str_c(maintenance_words(c->flow)));
}

void charge_reserve(struct charge *c)
{
    if (maintenance_on(c->flow) && !c->held) {
        if (!answered_before(c))
            timer_set(c->flow->loop, &c->timer, 0, not_now, c);
        return;
    }
    if (!price(c))
        return;
    if (c->fee.too_much) {
        refuse_amount(c);
        return;
    }
    if (!place(c))
        return;
    struct err err = fill(c);
    if (err_is(err)) {
        charge_end_with(c, err, STR_NULL);
        return;
    }
    crash_point(CRASH_CHARGE_BUILT);
    create_unit_ready(&c->unit, reserved, c);
    store_write(c->flow->store, &c->unit.unit);
}
