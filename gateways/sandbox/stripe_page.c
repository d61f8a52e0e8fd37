/* What a customer sees of Stripe: the page of Checkout, where he chooses how it is to end, and the
 * page of 3-D Secure. Both take a form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateways/sandbox/stripe.h"

enum { PAGE_MAX = 8192, LOCATION_MAX = 5200 };

static void no_page(struct http_exchange *x)
{
    http_reply(x, 404, STR("text/plain"), STR("No such payment\n"));
}

static void go(struct http_exchange *x, const char *where)
{
    http_set_header(x, STR("Location"), str_c(where));
    http_reply(x, 303, STR("text/plain"), STR("Back to the shop\n"));
}

/* Back to the shop, whose address may ask for the Checkout object's id. */
static void go_back(struct http_exchange *x, const struct stripe_order *o)
{
    static const struct str mark = {"{CHECKOUT_SESSION_ID}", 21};
    struct str url = str_c(o->session ? o->success_url : o->return_url);
    size_t at = str_find_str(url, mark);
    char where[LOCATION_MAX];
    if (at == SIZE_MAX)
        (void)str_copy_c(where, sizeof where, url);
    else
        (void)snprintf(where, sizeof where, "%.*s%s%.*s", (int)at, url.p, o->b.id,
                       STR_ARG(str_from(url, at + mark.n)));
    go(x, where[0] != 0 ? where : "/");
}

/* ---- Checkout ---- */

static void page(struct http_exchange *x, const struct stripe_order *o, int status)
{
    static const char *const words[] = {"open", "complete", "expired"};
    struct buf b;
    buf_init(&b, PAGE_MAX);
    buf_fmt(&b,
            "<!doctype html><meta charset=utf-8><title>Stripe sandbox</title>"
            "<h1>Stripe sandbox</h1><p>%lld %s (smallest units), %s%s</p>"
            "<form method=post><select name=payment_method>",
            (long long)o->amount, o->currency, words[o->status],
            o->declined ? ", declined: try another one" : "");
    for (size_t i = 0; stripe_card_at(i) != NULL; i++)
        buf_fmt(&b, "<option value=%s>%s: %s", stripe_card_at(i)->token, stripe_card_at(i)->token,
                stripe_card_at(i)->words);
    buf_c(&b, "</select> <button>Pay</button> "
              "<button name=answer value=cancel>Back to the shop</button></form>");
    http_reply(x, status, STR("text/html; charset=utf-8"), buf_view(&b));
    buf_free(&b);
}

void stripe_pay_get(struct http_exchange *x)
{
    struct stripe_order *o = stripe_order_find(sandbox_state(x), x->params[0], true);
    if (o != NULL)
        page(x, o, 200);
    else
        no_page(x);
}

void stripe_pay_post(struct http_exchange *x)
{
    struct stripe_order *o = stripe_order_find(sandbox_state(x), x->params[0], true);
    struct stripe_form form;
    if (o == NULL || !stripe_form_read(x->arena, x->body, &form)) {
        no_page(x);
        return;
    }
    struct str token = stripe_form_get(&form, "payment_method");
    const struct stripe_card *card = stripe_card_of(token.n > 0 ? token : STR("pm_card_visa"));
    if (str_eq(stripe_form_get(&form, "answer"), STR("cancel"))) {
        go(x, o->cancel_url[0] != 0 ? o->cancel_url : "/");
        return;
    }
    if (card == NULL || o->status != STRIPE_OPEN) {
        page(x, o, 400);
        return;
    }
    if (!stripe_order_intend(o)) {
        http_reply(x, 503, STR("text/plain"), STR("Full\n"));
        return;
    }
    stripe_order_try(o, card);
    if (o->intent == STRIPE_REQUIRES_ACTION) {
        char where[STRIPE_ORIGIN + 64];
        (void)snprintf(where, sizeof where, "%s/stripe/3ds/%s", o->origin, o->intent_id);
        go(x, where);
    } else if (o->declined) {
        page(x, o, 402);
    } else {
        go_back(x, o);
    }
}

/* ---- 3-D Secure ---- */

void stripe_3ds_get(struct http_exchange *x)
{
    struct stripe_order *o = stripe_order_by_intent(sandbox_state(x), x->params[0]);
    if (o == NULL || o->intent != STRIPE_REQUIRES_ACTION) {
        no_page(x);
        return;
    }
    http_reply(x, 200, STR("text/html; charset=utf-8"),
               STR("<!doctype html><meta charset=utf-8><title>3-D Secure sandbox</title>"
                   "<h1>3-D Secure sandbox</h1><form method=post>"
                   "<button name=answer value=complete>Complete</button> "
                   "<button name=answer value=fail>Fail</button></form>"));
}

void stripe_3ds_post(struct http_exchange *x)
{
    struct stripe_order *o = stripe_order_by_intent(sandbox_state(x), x->params[0]);
    struct stripe_form form;
    if (o == NULL || o->intent != STRIPE_REQUIRES_ACTION ||
        !stripe_form_read(x->arena, x->body, &form)) {
        no_page(x);
        return;
    }
    stripe_order_authenticated(o, str_eq(stripe_form_get(&form, "answer"), STR("complete")));
    if (o->session && o->declined)
        page(x, o, 402);
    else
        go_back(x, o);
}
