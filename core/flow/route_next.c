/* The next provider of a payment, or the next account with the same, after one has refused it: the
 * merchant's routes once more, without the accounts that were asked. Accounts and routes are mostly
 * known; else they are asked for. */
#include <stdlib.h>

#include "core/base/log.h"
#include "core/domain/phone.h"
#include "core/flow/account.h"
#include "core/flow/attempt.h"
#include "core/flow/fee_terms.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "core/flow/route.h"

struct looking {
    struct flow *flow;
    struct arena *arena;
    const struct payment_record *rec;
    struct routes routes;
    struct fee_schedule schedule; /* that the payment was made with, if its fee is on top */
    struct later later;
    route_next_fn *done;
    void *ctx;
};

struct route_state route_state(const struct flow *f, struct uuid merchant, bool live,
                               const struct gateway *g, struct str name)
{
    const struct flow_account *account = account_named(f, merchant, g, live, name);
    struct route_state state = {.has_account = account != NULL};
    if (account == NULL)
        return state;
    state.account = account->id;
    if (g->manual)
        return state;
    struct health_view v = gw_client_health(f->gateways, &account->gw);
    if (!v.takes_charges)
        state.unwell = v.reason;
    return state;
}

bool route_may_go_on(const struct payment_record *rec, const struct payment_event *ev)
{
    const struct payment *p = &rec->p;
    bool ends = ev->kind == PAYMENT_EVENT_REFUSED || ev->kind == PAYMENT_EVENT_FAILURE;
    bool missing = ev->kind == PAYMENT_EVENT_NOT_FOUND;
    if (!missing && (!ends || (ev->code != FAILURE_NONE && !failure_by_provider(ev->code))))
        return false;
    return p->status == PAYMENT_PROCESSING && p->n_attempts > 0 &&
           p->n_attempts < PAYMENT_MAX_ATTEMPTS && rec->places[0].route.p != NULL;
}

static void finish(struct looking *l, struct err err, const struct route_next *next)
{
    l->flow->busy--;
    l->done(l->ctx, err, next);
    free(l);
}

static struct route_state state_of(void *ctx, const struct gateway *g, struct str account)
{
    const struct looking *l = ctx;
    return route_state(l->flow, l->rec->merchant, l->rec->live, g, account);
}

static struct err question(struct looking *l, struct route_question *q)
{
    const struct payment_record *rec = l->rec;
    struct str person, phone;
    TRY(record_person(l->flow, rec, l->arena, &person));
    TRY(person_phone(person, l->arena, &phone));
    *q = (struct route_question){
        .method = rec->method,
        .country = phone.n > 0 ? phone_country(phone) : STR_NULL,
        .has_phone = phone.n > 0,
        .amount = rec->p.amount, /* as at the creation: the fee depends on who takes it */
    };
    for (int i = 0; i < rec->p.n_attempts; i++)
        q->tried[q->n_tried++] = rec->places[i].account_id;
    return ERR_OK;
}

/* ---- the fee with another provider ---- */

/* What the customer is asked for depends on the provider if the fee is on top, since it is rounded
 * for those who take whole units only. False: with the fee it is more than this one takes. */
static bool price_with(const struct looking *l, const struct gateway *g, struct payment *p)
{
    struct fee_terms terms;
    if (l->schedule.n_rules == 0)
        return true;
    fee_terms_by(&l->schedule, p->amount, g, &terms);
    if (!terms.too_much)
        p->fee_due_minor = terms.fee_minor;
    return !terms.too_much;
}

/* ---- who is next ---- */

/* Built once before anything is promised, as with the first. */
static bool can_be_asked(struct looking *l, const struct payment_record *rec,
                         const struct gateway *g, const struct flow_account *account)
{
    struct outbound_request request = {0};
    struct gw_charge in;
    return !g->manual &&
           !err_is(attempt_request(l->flow, l->arena, rec, rec->p.n_attempts + 1, g, &in)) &&
           !err_is(g->charge_build(&account->gw, &in, STR("t"), l->arena, &request));
}

static struct str choice_text(struct looking *l, const struct route_choice *choice)
{
    struct buf b;
    buf_init(&b, 8192);
    route_choice_put(&b, choice);
    return buf_keep(&b, l->arena);
}

static void choose(struct looking *l)
{
    struct flow *f = l->flow;
    struct payment_record *rec = ARENA_NEW(l->arena, struct payment_record);
    struct route_question q;
    struct route_choice choice;
    if (rec == NULL) {
        finish(l, ERR(NO_MEMORY, "payment"), NULL);
        return;
    }
    *rec = *l->rec; /* as it would be with the next one */
    struct err err = question(l, &q);
    if (err_is(err)) {
        finish(l, err, NULL);
        return;
    }
    while (q.n_tried < COUNT_OF(q.tried)) {
        route_choose(&l->routes, &q, state_of, l, &choice);
        if (choice.gateway == NULL || strcmp(choice.reason, "last_resort") == 0)
            break;
        const struct gateway *g = choice.gateway;
        const struct flow_account *account =
            account_named(f, rec->merchant, g, rec->live, choice.account);
        bool priced = price_with(l, g, &rec->p);
        struct route_next next = {
            .attempts = rec->p.n_attempts,
            .gateway = g,
            .account = account,
            .fee_due_minor = rec->p.fee_due_minor,
            .choice = choice_text(l, &choice),
            .our_ref = STR(""),
            .next_action = attempt_action(l->arena, rec, g, loop_wall_us(f->loop)),
        };
        if (g->our_id_is_ref)
            next.our_ref = attempt_our_id(l->arena, rec, rec->p.n_attempts + 1, g);
        if (priced && account != NULL && next.choice.p != NULL &&
            can_be_asked(l, rec, g, account)) {
            finish(l, ERR_OK, &next);
            return;
        }
        if (account == NULL)
            break;
        q.tried[q.n_tried++] = account->id;
    }
    finish(l, ERR_OK, NULL);
}

static void schedule_found(void *ctx, struct err err, const struct rows *r)
{
    struct looking *l = ctx;
    if (err_is(err)) {
        finish(l, err, NULL);
        return;
    }
    /* one that this program does not understand leaves the fee as it is */
    if (rows_n(r) > 0 &&
        err_is(fee_parse(rows_str(r, 0, 1), l->rec->p.amount.currency, &l->schedule)))
        log_error("fees.not_understood", F_ID("payment", l->rec->id));
    choose(l);
}

/* A fee that the merchant bears is the same whoever takes the money. */
static void price(void *ctx)
{
    struct looking *l = ctx;
    struct value params[] = {V_UUID(l->rec->merchant), V_UUID(l->rec->id)};
    if (l->rec->p.fee_on_top)
        store_read(l->flow->store, Q_payment_schedule, params, COUNT_OF(params), schedule_found, l);
    else
        choose(l);
}

static void routes_found(void *ctx, struct err err, const struct routes *routes)
{
    struct looking *l = ctx;
    if (err_is(err)) {
        finish(l, err, NULL);
        return;
    }
    l->routes = *routes;
    price(l);
}

static void accounts_found(void *ctx, struct err err)
{
    struct looking *l = ctx;
    if (err_is(err))
        finish(l, err, NULL);
    else
        routes_start(l->flow, l->rec->merchant, l->rec->live, routes_found, l);
}

void route_next_start(struct flow *f, struct arena *a, const struct payment_record *rec,
                      route_next_fn *done, void *ctx)
{
    struct looking *l = calloc(1, sizeof *l);
    ASSERT(l != NULL);
    *l = (struct looking){.flow = f, .arena = a, .rec = rec, .done = done, .ctx = ctx};
    f->busy++;
    if (!accounts_fresh(f, rec->merchant))
        accounts_start(f, rec->merchant, accounts_found, l);
    else if (routes_known(f, rec->merchant, rec->live, &l->routes))
        loop_later(f->loop, &l->later, price, l);
    else
        routes_start(f, rec->merchant, rec->live, routes_found, l);
}
