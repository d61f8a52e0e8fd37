/* A stored callback: LOAD, JUDGE (ASK the provider where the callback alone is not evidence
 * enough), MOVE or CLOSE. How it got here is told in callback_receive.c.
 *
 * Ways to fail: the provider cannot be asked (LATER, by the schedule, then dead letters with an
 * exception); a receipt that is another payment's (ignored, with an exception). */
#include "core/flow/callback.h"

#include <stdlib.h>

#include "core/base/crash.h"
#include "core/base/fsm.h"
#include "core/base/log.h"
#include "core/base/times.h"
#include "core/crypto/random.h"
#include "core/flow/account.h"
#include "core/flow/ask.h"
#include "core/flow/dispute.h"
#include "core/flow/failover.h"
#include "core/flow/payout.h"
#include "core/flow/receipt.h"
#include "core/flow/record.h"
#include "core/flow/refund.h"
#include "core/flow/render.h"

enum process_state {
    PROCESS_LOAD,
    PROCESS_PAYMENT,
    PROCESS_DISPUTE,
    PROCESS_ASK,
    PROCESS_MOVE,
    PROCESS_CLOSE,
    PROCESS_DONE
};
static const char *const state_names[] = {"load", "payment", "dispute", "ask",
                                          "move", "close",   "done"};
#define TO(s) (1u << PROCESS_##s)
static const uint32_t state_next[] = {
    [PROCESS_LOAD] = TO(PAYMENT) | TO(CLOSE) | TO(DONE),
    [PROCESS_PAYMENT] = TO(DISPUTE) | TO(ASK) | TO(MOVE) | TO(CLOSE) | TO(DONE),
    [PROCESS_DISPUTE] = TO(ASK) | TO(MOVE) | TO(CLOSE) | TO(DONE),
    [PROCESS_ASK] = TO(MOVE) | TO(CLOSE) | TO(DONE),
    [PROCESS_MOVE] = TO(CLOSE) | TO(DONE),
    [PROCESS_CLOSE] = TO(DONE),
    [PROCESS_DONE] = 0,
};
#undef TO
static const struct fsm process_fsm = {"callback", state_names, state_next};

struct process {
    struct flow *flow;
    struct uuid merchant, subject, payment;
    int32_t n;
    int tries;
    int attempt;
    int state;
    bool ip_ok;
    bool ours;  /* the attempt went out under our name, and that is what the callback is about */
    bool known; /* of callback_process_known */
    const struct gateway *gateway;
    struct arena arena;
    struct str dedupe_key, kind;
    struct payment_record rec;
    struct gw_result said;
    struct payment_event event;
    struct move_inbound inbound;
    const char *exception; /* for people, beside what the step itself says; NULL: none */
    struct move_call call;
    loop_fn *done; /* NULL: has been told */
    void *ctx;
};

static void enter(struct process *p, enum process_state to)
{
    fsm_enter(&process_fsm, &p->state, (int)to);
}

static void finish(struct process *p, struct err err)
{
    if (err_is(err))
        log_warn("callback.failed", F_ID("payment", p->payment), F_ERR(err));
    enter(p, PROCESS_DONE);
    p->flow->busy--;
    if (p->done != NULL)
        p->done(p->ctx);
    arena_free(&p->arena);
    free(p);
}

static void closed(void *ctx, struct err err, const struct rows *rows)
{
    (void)rows;
    finish(ctx, err);
}

/* Ends the callback without a move; `exception` may be NULL. */
static void close_with(struct process *p, const char *state, const char *reason,
                       const char *exception)
{
    struct flow *f = p->flow;
    int64_t now = loop_wall_us(f->loop);
    struct uuid id = exception != NULL ? random_uuid(now) : UUID_NIL;
    struct value params[] = {
        V_UUID(p->merchant),
        V_UUID(p->subject),
        V_BYTES(p->dedupe_key),
        V_I32(p->n),
        V_TEXT(str_c(state)),
        V_TEXT(str_c(reason)),
        V_TIME(now),
        V_UUID_OPT(id),
        V_TEXT(exception != NULL ? str_c(exception) : STR_NULL),
        V_TEXT(mode_word(id_is_live(p->payment))),
        V_UUID(p->payment),
        V_UUID_OPT(UUID_NIL),
    };
    log_info("callback.closed", F_ID("payment", p->payment), F_C("state", state),
             F_C("reason", reason));
    enter(p, PROCESS_CLOSE);
    store_exec(f->store, Q_callback_close, params, COUNT_OF(params), closed, p);
}

/* Gives the job back until then. */
static void come_again(struct process *p, int64_t wait_us)
{
    struct flow *f = p->flow;
    struct value params[] = {V_UUID(p->merchant),
                             V_TEXT(STR("inbound")),
                             V_UUID(p->subject),
                             V_I32(p->n),
                             V_TIME(loop_wall_us(f->loop) + wait_us),
                             V_UUID(f->replica)};
    enter(p, PROCESS_CLOSE);
    store_exec(f->store, Q_job_later, params, COUNT_OF(params), closed, p);
}

/* Not to be decided now: the job comes again by the schedule. */
static void put_off(struct process *p, const char *why)
{
    int64_t wait = schedule_wait_us(&p->flow->settings.inbound_waits, p->tries);
    if (wait == TIME_NEVER)
        close_with(p, "dead", why, "callback_dead");
    else
        come_again(p, wait);
}

/* Others were faster, again and again: they are done soon, and this one is as true as before. A
 * conflict with a detail is the database's, and comes again when the lease has run out. */
static bool outrun(struct process *p, struct err err)
{
    if (err.code != ERR_CONFLICT || err.detail != 0)
        return false;
    log_warn("callback.outrun", F_ID("payment", p->payment), F_ERR(err));
    come_again(p, US_PER_S / 2 + (int64_t)(random_u64() % US_PER_S));
    return true;
}

static void receipt_ended(void *ctx, struct err err)
{
    finish(ctx, err);
}

/* The customer has paid by himself as well: that is nobody's money yet. */
static void book_other(struct process *p)
{
    struct receipt_money m = {
        .from = {p->merchant, p->subject, p->dedupe_key, p->n},
        .merchant = p->merchant,
        .account = payment_place(&p->rec, p->attempt).account_id,
        .payment = p->payment,
        .live = p->rec.live,
        .provider = payment_place(&p->rec, p->attempt).provider,
        .receipt = p->event.receipt,
        .amount = p->event.amount,
        .payer = STR(""),
        .why = "the payment has been paid already",
    };
    enter(p, PROCESS_CLOSE);
    receipt_book(p->flow, &m, receipt_ended, p);
}

static void moved(void *ctx, struct err err, const struct move_result *result)
{
    struct process *p = ctx;
    (void)result;
    if (err.code == ERR_CONFLICT && err.detail == MOVE_RECEIPT_TAKEN) {
        close_with(p, "ignored", "receipt_taken", "receipt_taken");
    } else if (err.code == ERR_CONFLICT && err.detail == MOVE_OTHER_MONEY) {
        if (p->call.op == NULL)
            book_other(p);
        else /* the provider has said that it is paid, not that it is paid twice */
            close_with(p, "ignored", "other_receipt", "sig_forged");
    } else if (err.code == ERR_INVALID_STATE || err.code == ERR_INVALID) {
        close_with(p, "ignored", "state", NULL);
    } else if (!outrun(p, err)) {
        if (!err_is(err))
            crash_point(CRASH_CALLBACK_PROCESSED);
        finish(p, err);
    }
}

static void move(struct process *p, const struct move_call *call)
{
    p->inbound = (struct move_inbound){p->subject, p->dedupe_key, p->n};
    struct move_request rq = {
        .merchant = p->merchant,
        .payment = p->payment,
        .event = p->event,
        .actor = STR("provider"),
        .known = call == NULL ? &p->rec : NULL, /* read a moment ago, unless somebody was asked */
        .inbound = &p->inbound,
        .call = call,
        .receipts_differ = p->gateway->receipt_parse != NULL,
        .exception = p->exception,
    };
    enter(p, PROCESS_MOVE);
    failover_start(p->flow, &rq, moved, p);
}

static bool tells_other_amount(struct process *p)
{
    const struct attempt *at = payment_attempt(&p->rec.p, p->attempt);
    return p->said.amount.currency != 0 && (p->said.amount.currency != at->amount.currency ||
                                            p->said.amount.minor != at->amount.minor);
}

/* Before the customer's time is up a query's failure is not believed, and a callback's is. This one
 * only came before the answer that tells its reference, and the provider says the same again. */
static bool both_say_failed(const struct process *p, const struct payment_event *said)
{
    return said->kind == PAYMENT_EVENT_FAILURE && p->said.verdict == GW_FAILED && p->ip_ok &&
           str_eq(said->provider_code, p->said.provider_code);
}

/* The query has the last word on whether; the callback adds what the query cannot tell, receipt and
 * amount. From where the provider does not call from, neither is believed; that it speaks of
 * another amount is for people to look at. */
static void asked(void *ctx, const struct payment_event *said, const struct move_call *call)
{
    struct process *p = ctx;
    bool pending = said->kind == PAYMENT_EVENT_STILL_PENDING;
    bool waits = pending && (said->asks || said->acted);
    if (pending && !waits && p->gateway->webhook_verify != NULL) {
        close_with(p, "processed", "undecided", NULL);
        return;
    }
    if (said->kind != PAYMENT_EVENT_SUCCESS && said->kind != PAYMENT_EVENT_FAILURE && !waits) {
        put_off(p, "provider_undecided");
        return;
    }
    p->event = *said;
    if (both_say_failed(p, said))
        p->event.source = SOURCE_CALLBACK;
    p->event.renames = p->ours;
    p->event.provider_ref = p->said.provider_ref;
    p->event.provider_code = arena_dup(&p->arena, said->provider_code);
    p->event.message = arena_dup(&p->arena, said->message);
    p->event.receipt = STR("");
    if (p->gateway->webhook_verify != NULL) /* its query is as whole as its webhook */
        p->event.receipt = arena_dup(&p->arena, said->receipt);
    if (said->kind == PAYMENT_EVENT_SUCCESS && p->said.verdict == GW_SUCCEEDED) {
        if (p->ip_ok) {
            p->event.receipt = p->said.receipt;
            p->event.amount = p->said.amount;
        } else if (tells_other_amount(p)) {
            p->exception = "integrity_failure";
        }
    }
    p->call = ask_call_keep(&p->arena, call);
    move(p, &p->call);
}

/* All of it together is evidence (providers: reference, amount, phone, address); where a piece is
 * missing the provider is asked. */
static const char *doubt(struct process *p, const struct attempt *at)
{
    struct str person, phone = STR("");
    bool decided = p->said.verdict == GW_SUCCEEDED || p->said.verdict == GW_FAILED;
    if (!decided && p->said.verdict != GW_REVERSED)
        return "verdict";
    if (!p->ip_ok)
        return "address";
    if (at->provider_ref[0] == '\0')
        return "reference";
    if (p->said.phone.n > 0) {
        if (err_is(record_person(p->flow, &p->rec, &p->arena, &person)) ||
            err_is(person_phone(person, &p->arena, &phone)))
            return "person";
        if (phone.n > 0 && !str_eq(phone, p->said.phone))
            return "phone";
    }
    return NULL;
}

/* Whose turn it is has changed, as a webhook says that may have been overtaken: the provider is
 * asked at once, not when the next poll is due. */
static bool news_of_turn(const struct process *p)
{
    enum payment_status now = p->rec.p.status;
    return (now == PAYMENT_REQUIRES_ACTION && p->said.acted) ||
           (now == PAYMENT_PROCESSING && gw_asks(&p->said));
}

static void judge_payment(struct process *p)
{
    const struct attempt *at = payment_attempt(&p->rec.p, p->attempt);
    struct str known = str_c(at->provider_ref);
    p->ours = known.n > 0 && str_eq(gw_our_id_of(known), p->said.our_id);
    if (known.n > 0 && p->said.provider_ref.n > 0 && !p->ours &&
        !str_eq(known, p->said.provider_ref)) {
        close_with(p, "ignored", "reference_differs", NULL);
        return;
    }
    if (p->said.verdict == GW_PENDING && p->gateway->webhook_verify != NULL && !news_of_turn(p)) {
        close_with(p, "processed", "undecided",
                   NULL); /* genuine; more will come, and the polls ask */
        return;
    }
    const char *why = doubt(p, at);
    if (why == NULL) {
        p->event = ask_event(&p->said, p->attempt, SOURCE_CALLBACK);
        p->event.renames = p->ours;
        move(p, NULL);
        return;
    }
    log_info("callback.asks", F_ID("payment", p->payment), F_C("why", why));
    if (p->said.provider_ref.n == 0)
        p->said.provider_ref = known;
    if (p->said.provider_ref.n == 0) {
        put_off(p, "no_reference");
        return;
    }
    struct ask_request rq = {p->merchant, payment_place(&p->rec, p->attempt).account_id,
                             p->said.provider_ref, p->attempt};
    enter(p, PROCESS_ASK);
    ask_start(p->flow, &rq, asked, p);
    if (p->known) {
        loop_fn *done = p->done;
        p->done = NULL;
        done(p->ctx);
    }
}

/* A lost dispute about a part is a person's matter: books take a payment back as a whole. */
static void dispute_put(void *ctx, struct err err)
{
    struct process *p = ctx;
    if (err_is(err))
        finish(p, err);
    else if (p->said.verdict == GW_REVERSED && dispute_is_partial(&p->rec.p, &p->said.dispute))
        close_with(p, "processed", "dispute_of_a_part", NULL);
    else
        judge_payment(p);
}

static void judge(struct process *p)
{
    const struct gw_dispute *d = &p->said.dispute;
    bool lost = p->said.verdict == GW_REVERSED && !dispute_is_partial(&p->rec.p, d);
    struct dispute_input in = {&p->rec, p->attempt, d, d->state == GW_DISPUTE_WON || lost};
    if (payment_attempt(&p->rec.p, p->attempt) == NULL) {
        close_with(p, "ignored", "no_attempt", NULL);
    } else if (d->id.n > 0 && p->ip_ok) {
        enter(p, PROCESS_DISPUTE);
        dispute_start(p->flow, &in, dispute_put, p);
    } else {
        judge_payment(p);
    }
}

/* ---- a callback about a refund ---- */

/* Refunds and payouts whose keys are refused by the result are to stop, and questions about them.
 */
static void tell_health(const struct process *p, struct uuid id)
{
    const struct flow_account *account = account_by_id(p->flow, p->merchant, id);
    bool undone = p->said.verdict == GW_FAILED || p->said.verdict == GW_UNKNOWN;
    enum failure_code code = undone ? p->said.code : FAILURE_NONE;
    if (account != NULL)
        gw_client_told(p->flow->gateways, &account->gw, HEALTH_REFUND, code);
}

static void refund_moved(void *ctx, struct err err, const struct refund_moved *result)
{
    struct process *p = ctx;
    struct flow *f = p->flow;
    struct uuid merchant = p->merchant, refund = p->payment;
    bool next = !err_is(err) && result->fx->next_rail != REFUND_RAIL_NONE && !f->closing;
    if (err.code == ERR_INVALID_STATE || err.code == ERR_INVALID) {
        close_with(p, "ignored", "state", NULL);
        return;
    }
    if (outrun(p, err))
        return;
    if (!err_is(err)) {
        crash_point(CRASH_CALLBACK_PROCESSED);
        tell_health(p, result->refund->account_id);
    }
    finish(p, err);
    if (next)
        refund_run(f, merchant, refund, NULL, NULL);
}

/* The answer to a question that was not even asked: the account's keys were refused. Nothing is
 * decided, but it is told. */
static bool refuses_keys(const struct process *p)
{
    return p->said.verdict == GW_UNKNOWN && p->said.code == FAILURE_CONFIGURATION;
}

/* Some may take back what they have said before: a refund that had succeeded failed after all. */
static enum refund_event_kind refund_event_of(const struct process *p)
{
    if (p->said.verdict == GW_SUCCEEDED)
        return REFUND_EVENT_SUCCESS;
    if (refuses_keys(p))
        return REFUND_EVENT_UNREACHABLE;
    return p->gateway->may_revoke ? REFUND_EVENT_REVOKE : REFUND_EVENT_FAILURE;
}

/* What comes from a strange address is not believed, neither that money moved nor that it did not:
 * after a failure the next rail is opened. The polls decide, whose answers may come by this way. */
static void hear_refund(struct process *p)
{
    if (!p->ip_ok) {
        close_with(p, "ignored", "address", NULL);
        return;
    }
    if (p->said.verdict != GW_SUCCEEDED && p->said.verdict != GW_FAILED && !refuses_keys(p)) {
        close_with(p, "processed", "undecided", NULL); /* the polls decide */
        return;
    }
    p->inbound = (struct move_inbound){p->subject, p->dedupe_key, p->n};
    struct refund_move rq = {
        .merchant = p->merchant,
        .refund = p->payment,
        .event = {.kind = refund_event_of(p),
                  .attempt = p->attempt,
                  .later = p->said.retry_later,
                  .amount = p->said.amount,
                  .code = p->said.code,
                  .provider_ref = p->said.provider_ref,
                  .receipt = p->said.receipt,
                  .provider_code = p->said.provider_code,
                  .message = p->said.message},
        .actor = STR("provider"),
        .inbound = &p->inbound,
    };
    enter(p, PROCESS_MOVE);
    refund_move_start(p->flow, &rq, refund_moved, p);
}

/* ---- a callback about a payout ---- */

static void payout_moved(void *ctx, struct err err, const struct payout_moved *result)
{
    struct process *p = ctx;
    if (err.code == ERR_INVALID_STATE || err.code == ERR_INVALID) {
        close_with(p, "ignored", "state", NULL);
    } else if (err.code == ERR_NOT_FOUND) {
        close_with(p, "ignored", "no_payout", NULL);
    } else if (!outrun(p, err)) {
        if (!err_is(err)) {
            crash_point(CRASH_CALLBACK_PROCESSED);
            tell_health(p, result->payout->account_id);
        }
        finish(p, err);
    }
}

/* Of a provider who may say so, a failure of what had been paid says that it came back. */
static enum payout_event_kind payout_event_of(const struct process *p)
{
    if (p->said.verdict == GW_SUCCEEDED)
        return PAYOUT_EVENT_SUCCESS;
    if (refuses_keys(p))
        return PAYOUT_EVENT_UNREACHABLE;
    return p->said.verdict == GW_REVERSED || p->gateway->may_revoke ? PAYOUT_EVENT_RETURN
                                                                    : PAYOUT_EVENT_FAILURE;
}

/* As of refunds: what comes from a strange address is not believed, the polls decide. */
static void hear_payout(struct process *p)
{
    const struct gw_result *said = &p->said;
    if (!p->ip_ok) {
        close_with(p, "ignored", "address", NULL);
        return;
    }
    if (said->verdict != GW_SUCCEEDED && said->verdict != GW_FAILED &&
        said->verdict != GW_REVERSED && !refuses_keys(p)) {
        close_with(p, "processed", "undecided", NULL);
        return;
    }
    p->inbound = (struct move_inbound){p->subject, p->dedupe_key, p->n};
    struct payout_move rq = {
        .merchant = p->merchant,
        .payout = p->payment,
        .event = {.kind = payout_event_of(p),
                  .request = p->attempt,
                  .amount = said->amount,
                  .code = said->code,
                  .provider_ref = said->provider_ref,
                  /* what has not moved has no proof, whatever it is called */
                  .receipt = said->verdict == GW_FAILED ? STR("") : said->receipt,
                  .provider_code = said->provider_code,
                  .message = said->message},
        .actor = STR("provider"),
        .inbound = &p->inbound,
    };
    enter(p, PROCESS_MOVE);
    payout_move_start(p->flow, &rq, payout_moved, p);
}

static struct err parse(struct process *p, struct str raw)
{
    struct gw_callback in = {.body = raw, .kind = p->kind};
    const struct gateway *g = p->gateway;
    if (g == NULL)
        return ERR(PARSE, "no such gateway");
    struct err (*read)(const struct gw_callback *, struct arena *, struct gw_result *) =
        id_is_payout(p->payment)   ? g->payout_callback_parse
        : id_is_refund(p->payment) ? g->refund_callback_parse
                                   : g->callback_parse;
    return read != NULL ? read(&in, &p->arena, &p->said) : ERR(PARSE, "no such callbacks");
}

static void payment_loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct process *p = ctx;
    if (!err_is(err))
        err = payment_record_read(rows, &p->arena, &p->rec);
    if (err.code == ERR_NOT_FOUND)
        close_with(p, "ignored", "no_payment", NULL);
    else if (err_is(err))
        finish(p, err);
    else
        judge(p);
}

/* What is stored says who it is for; now for what it says. */
static void understand(struct process *p, struct str body)
{
    if (account_is_id(p->payment)) {
        struct receipt_news news = {
            .from = {p->merchant, p->subject, p->dedupe_key, p->n},
            .account = p->payment,
            .ip_ok = p->ip_ok,
            .body = body,
        };
        enter(p, PROCESS_CLOSE);
        receipt_process(p->flow, &news, receipt_ended, p);
        return;
    }
    if (err_is(parse(p, body))) {
        close_with(p, "ignored", "not_understood", NULL);
        return;
    }
    enter(p, PROCESS_PAYMENT);
    if (id_is_payout(p->payment)) {
        hear_payout(p);
        return;
    }
    if (id_is_refund(p->payment)) {
        hear_refund(p);
        return;
    }
    struct value params[] = {V_UUID(p->merchant), V_UUID(p->payment)};
    store_read(p->flow->store, Q_payment_get, params, COUNT_OF(params), payment_loaded, p);
}

enum { IN_DEDUPE, IN_PROVIDER, IN_PAYMENT, IN_ATTEMPT, IN_KIND, IN_STATE, IN_IP_OK, IN_RAW, IN_ID };

static void loaded(void *ctx, struct err err, const struct rows *rows)
{
    struct process *p = ctx;
    if (err_is(err) || rows_n(rows) == 0) {
        finish(p, err);
        return;
    }
    struct str raw, state = rows_str(rows, 0, IN_STATE);
    p->dedupe_key = arena_dup(&p->arena, rows_str(rows, 0, IN_DEDUPE));
    p->gateway = gateway_find(rows_str(rows, 0, IN_PROVIDER));
    p->payment = rows_uuid(rows, 0, IN_PAYMENT);
    p->attempt = (int)rows_i64(rows, 0, IN_ATTEMPT);
    p->kind = arena_dup(&p->arena, rows_str(rows, 0, IN_KIND));
    p->ip_ok = rows_bool(rows, 0, IN_IP_OK);
    if (!str_eq(state, STR("received")) && !str_eq(state, STR("retry"))) {
        close_with(p, "processed", "again", NULL);
        return;
    }
    err = vault_open(p->flow->vault, "provider_event.raw", p->merchant, rows_uuid(rows, 0, IN_ID),
                     rows_str(rows, 0, IN_RAW), &p->arena, &raw);
    if (err_is(err))
        finish(p, err);
    else
        understand(p, raw);
}

static struct process *process_new(struct flow *f, struct uuid merchant, struct uuid subject,
                                   int32_t n, loop_fn *done, void *ctx)
{
    struct process *p = calloc(1, sizeof *p);
    ASSERT(p != NULL);
    p->flow = f;
    p->merchant = merchant;
    p->subject = subject;
    p->n = n;
    p->done = done;
    p->ctx = ctx;
    f->busy++;
    return p;
}

void callback_process(struct flow *f, struct uuid merchant, struct uuid subject, int32_t n,
                      int tries, loop_fn *done, void *ctx)
{
    struct process *p = process_new(f, merchant, subject, n, done, ctx);
    p->tries = tries;
    arena_init(&p->arena, 8 * 1024 * 1024);
    struct value params[] = {V_UUID(merchant), V_UUID(subject), V_I32(n)};
    store_read(f->store, Q_callback_get, params, COUNT_OF(params), loaded, p);
}

void callback_process_known(struct flow *f, const struct callback_known *known, loop_fn *done,
                            void *ctx)
{
    struct process *p = process_new(f, known->merchant, known->subject, known->n, done, ctx);
    p->known = true;
    p->arena = known->mem;
    p->gateway = known->gateway;
    p->payment = attempt_payment(known->subject, &p->attempt);
    p->dedupe_key = known->dedupe_key;
    p->kind = known->kind;
    p->ip_ok = known->ip_ok;
    understand(p, known->body);
}
