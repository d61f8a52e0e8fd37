/* Stripe's disputes: opened by the customer's bank after a payment with pm_card_createDispute,
 * ended by the evidence that the merchant sends. Source: providers/stripe.md, 8 and 11. */
#include <stdio.h>
#include <string.h>

#include "core/base/times.h"
#include "gateways/sandbox/stripe.h"

enum { BODY_MAX = 64 * 1024 };

#define REVIEW_US (200 * US_PER_MS)

static void tell(const struct stripe_order *o, const char *type)
{
    stripe_tell(o, type, STRIPE_OF_DISPUTE, 0);
}

void stripe_dispute_open(struct stripe_order *o)
{
    o->dispute = "needs_response";
    o->dispute_s = stripe_now_s(o->c);
    tell(o, "charge.dispute.created");
    tell(o, "charge.dispute.funds_withdrawn");
}

static void review_time(void *ctx)
{
    struct stripe_order *o = ctx;
    o->dispute = o->dispute_won ? "won" : "lost";
    if (o->dispute_won)
        tell(o, "charge.dispute.funds_reinstated");
    tell(o, "charge.dispute.closed");
}

/* The dispute of the path; NULL after having answered. Its id is its charge's. */
static struct stripe_order *dispute_of(struct stripe_request *rq)
{
    struct str id = rq->x->params[0];
    char charge[CALL_TEXT];
    struct stripe_order *o = NULL;
    (void)snprintf(charge, sizeof charge, "ch_%.*s", STR_ARG(str_from(id, 3)));
    if (str_starts(id, STR("dp_")))
        o = stripe_order_by_charge(rq->c, str_c(charge));
    if (o != NULL && o->dispute != NULL)
        return o;
    stripe_refuse(rq, stripe_no_such(id));
    return NULL;
}

static void answer(struct stripe_request *rq, const struct stripe_order *o)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, BODY_MAX);
    stripe_body_dispute(&w, o);
    stripe_answer(rq, 200, buf_view(&b), "dispute");
    buf_free(&b);
}

void stripe_dispute_get(struct stripe_request *rq)
{
    const struct stripe_order *o = dispute_of(rq);
    if (o != NULL)
        answer(rq, o);
}

/* In test mode the words of the evidence decide. */
void stripe_dispute_submit(struct stripe_request *rq)
{
    static const char *const known[] = {"evidence[uncategorized_text]", "submit", NULL};
    struct str words = stripe_form_get(&rq->form, known[0]);
    struct stripe_fault f = stripe_foreign(rq, known);
    struct stripe_order *o = dispute_of(rq);
    if (o == NULL)
        return;
    bool won = str_eq(words, STR("winning_evidence"));
    if (f.status == 0 && strcmp(o->dispute, "needs_response") != 0)
        f = stripe_invalid("", "This dispute is already closed or under review.");
    if (f.status == 0 && !won && !str_eq(words, STR("losing_evidence")))
        f = stripe_invalid(known[0], "Only winning_evidence and losing_evidence end it here: %s");
    if (f.status != 0) {
        stripe_refuse(rq, f);
        return;
    }
    o->dispute = "under_review";
    o->dispute_won = won;
    tell(o, "charge.dispute.updated");
    timer_set(o->c->s->loop, &o->step, REVIEW_US, review_time, o);
    answer(rq, o);
}
