/* The doors of CPay's payments: create, look up, one-time code, cancel, and the page on which a
 * payer who was redirected decides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "gateways/sandbox/cpay.h"

enum { BUSY_TWICE = 2, WRONG_CODES = 3, PAGE_MAX = 2048 };

static const struct cpay_fault not_found = {404, "not_found", NULL, "No such payment"};
static const struct cpay_fault full = {503, "unavailable", NULL, "The sandbox is full: reset it"};
static const struct cpay_fault final_state = {409, "invalid_state", NULL, "The payment has ended"};

static void payment_answer(struct cpay_request *rq, int status, const struct cpay_payment *p,
                           const char *outcome)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, 128 * 1024);
    cpay_body_payment(&w, p);
    if (status != 201 || p->script->trick == CPAY_TRICK_NONE)
        cpay_answer(rq, status, buf_view(&b), outcome);
    else if (p->script->trick == CPAY_TRICK_LOST_ANSWER)
        cpay_answer_lost(rq, status, buf_view(&b));
    else if (p->script->trick == CPAY_TRICK_SLOW)
        cpay_answer_after(rq, rq->c->s->chaos.slow_answer_ms * US_PER_MS, status, buf_view(&b),
                          outcome);
    else
        cpay_answer(rq, status, buf_view(&b), outcome);
    buf_free(&b);
}

/* ---- create ---- */

static void payment_free(struct cpay_payment *p)
{
    timer_off(p->c->s->loop, &p->step);
    timer_off(p->c->s->loop, &p->expiry);
    free(p->return_url);
    free(p->metadata);
    free(p);
}

static void payment_drop(struct booking *b)
{
    struct cpay_payment *p = CONTAINER_OF(b, struct cpay_payment, b);
    HASH_DELETE(hh_reference, p->c->by_reference, p);
    payment_free(p);
}

/* As the caller has called us: what is shown to a payer has to lead here as well. */
static void origin_of(const struct http_exchange *x, char out[CPAY_ORIGIN])
{
    struct str host = http_header(x, STR("host"));
    (void)snprintf(out, CPAY_ORIGIN, "http://%.*s", STR_ARG(str_first(host, CPAY_ORIGIN - 16)));
}

/* NULL when the book is full. */
static struct cpay_payment *payment_new(struct cpay_request *rq, const struct cpay_order *in,
                                        const struct cpay_script *script)
{
    struct cpay *c = rq->c;
    struct cpay_payment *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->c = c;
    p->amount = in->amount;
    p->method = in->method;
    p->script = script;
    p->created_us = p->updated_us = loop_wall_us(c->s->loop);
    p->expires_us = p->created_us + in->expires_in_s * US_PER_S;
    p->sequence = 1;
    memcpy(p->data, in->data, sizeof p->data);
    origin_of(rq->x, p->origin);
    p->metadata = strndup(in->metadata.p, in->metadata.n);
    p->return_url = in->return_url.n > 0 ? strndup(in->return_url.p, in->return_url.n) : NULL;
    p->b.provider = cpay_provider.name;
    p->b.outcome = script->words;
    p->b.queued_at_us = p->created_us;
    p->b.drop = payment_drop;
    cpay_id(c, "cpm_", p->b.id);
    (void)str_copy_c(p->b.phone, sizeof p->b.phone, in->phone);
    (void)snprintf(p->b.amount, sizeof p->b.amount, "%lld", (long long)in->amount.minor);
    (void)str_copy_c(p->b.reference, sizeof p->b.reference, in->reference);
    (void)str_copy_c(p->b.organisation, sizeof p->b.organisation, str_c(c->key_id));
    call_url_hash(str_c(c->s->chaos.cpay_webhook_url), p->b.url_hash);
    unsigned len = (unsigned)strlen(p->b.reference);
    HASH_ADD_KEYPTR(hh_reference, c->by_reference, p->b.reference, len, p);
    if (p->hh_reference.tbl == NULL) {
        payment_free(p);
        return NULL;
    }
    if (p->metadata == NULL || err_is(book_add(&c->s->book, &p->b))) {
        payment_drop(&p->b);
        return NULL;
    }
    return p;
}

struct cpay_payment *cpay_payment_by_reference(struct cpay *c, struct str reference)
{
    struct cpay_payment *p = NULL;
    if (reference.n > 0 && reference.n < CPAY_REFERENCE)
        HASH_FIND(hh_reference, c->by_reference, reference.p, (unsigned)reference.n, p);
    return p;
}

bool cpay_sent_away(struct cpay_request *rq, struct str reference)
{
    static const struct cpay_fault busy = {429, "rate_limited", NULL, "Too many requests"};
    int64_t now_us = loop_mono_us(rq->c->s->loop);
    struct memo *m = memo_find(&rq->c->busy, reference, now_us);
    if (m == NULL)
        m = memo_add(&rq->c->busy, reference, now_us + US_PER_DAY);
    if (m == NULL || ++m->n > BUSY_TWICE)
        return false;
    cpay_refuse(rq, busy);
    return true;
}

void cpay_payment_create(struct cpay_request *rq)
{
    static const struct cpay_fault duplicate = {409, "duplicate_reference", "reference",
                                                "The reference is another payment's"};
    struct cpay_order in;
    struct cpay_fault f = cpay_check_payment(rq, &in);
    if (f.status != 0) {
        cpay_refuse(rq, f);
        return;
    }
    struct cpay_payment *p = cpay_payment_by_reference(rq->c, in.reference);
    if (p != NULL && memcmp(p->data, in.data, sizeof p->data) != 0) {
        cpay_refuse(rq, duplicate);
        return;
    }
    if (p != NULL) {
        payment_answer(rq, 200, p, "created before");
        return;
    }
    const struct cpay_script *script = cpay_script_of(in.amount.minor, in.phone);
    if (script->trick == CPAY_TRICK_BUSY && cpay_sent_away(rq, in.reference))
        return;
    p = payment_new(rq, &in, script);
    if (p == NULL) {
        cpay_refuse(rq, full);
        return;
    }
    (void)str_copy_c(rq->call.id, sizeof rq->call.id, str_c(p->b.id));
    memcpy(rq->call.url_hash, p->b.url_hash, sizeof rq->call.url_hash);
    cpay_life_begin(p);
    payment_answer(rq, 201, p, script->words);
}

/* ---- look-ups and what the merchant may do ---- */

struct cpay_payment *cpay_payment_find(struct cpay *c, struct str id)
{
    struct booking *b = book_find(&c->s->book, id);
    return b != NULL && b->provider == cpay_provider.name ? CONTAINER_OF(b, struct cpay_payment, b)
                                                          : NULL;
}

/* The payment of the path; NULL after having answered. */
static struct cpay_payment *payment_of(struct cpay_request *rq)
{
    struct cpay_payment *p = cpay_payment_find(rq->c, rq->x->params[0]);
    if (p == NULL) {
        cpay_refuse(rq, not_found);
        return NULL;
    }
    (void)str_copy_c(rq->call.phone, sizeof rq->call.phone, str_c(p->b.phone));
    (void)str_copy_c(rq->call.reference, sizeof rq->call.reference, str_c(p->b.reference));
    return p;
}

void cpay_payment_get(struct cpay_request *rq)
{
    struct cpay_payment *p = payment_of(rq);
    if (p == NULL)
        return;
    p->b.queries++;
    payment_answer(rq, 200, p, "query");
}

void cpay_payment_otp(struct cpay_request *rq)
{
    static const struct cpay_fault no_code = {409, "invalid_state", NULL,
                                              "The payment does not wait for a code"};
    static const struct cpay_fault wrong = {400, "invalid_request", "code", "The code is wrong"};
    struct str code = STR("");
    struct cpay_payment *p = payment_of(rq);
    if (p == NULL)
        return;
    struct cpay_fault f = cpay_check_code(rq, &code);
    if (f.status == 0 &&
        (p->script->trick != CPAY_TRICK_CODE || p->status != CPAY_PENDING || p->agreed))
        f = no_code;
    if (f.status == 0 && !str_eq(code, STR("123456"))) {
        f = wrong;
        if (++p->wrong_codes >= WRONG_CODES)
            cpay_life_end(p, CPAY_FAILED, "declined");
    }
    if (f.status != 0) {
        cpay_refuse(rq, f);
        return;
    }
    p->agreed = true;
    cpay_life_agree(p);
    payment_answer(rq, 200, p, "code");
}

void cpay_payment_cancel(struct cpay_request *rq)
{
    struct cpay_payment *p = payment_of(rq);
    if (p == NULL)
        return;
    if (!cpay_status_open(p->status)) {
        cpay_refuse(rq, final_state);
        return;
    }
    cpay_life_end(p, CPAY_CANCELLED, NULL);
    payment_answer(rq, 200, p, "cancel");
}

/* ---- the page ---- */

static void page(struct http_exchange *x, const struct cpay_payment *p)
{
    char currency[CURRENCY_TEXT], amount[MONEY_TEXT], text[PAGE_MAX];
    (void)snprintf(text, sizeof text,
                   "<!doctype html><meta charset=utf-8><title>CPay sandbox</title>"
                   "<h1>CPay sandbox</h1><p>%s %s, %s</p>"
                   "<form method=post><button name=answer value=pay>Pay</button> "
                   "<button name=answer value=refuse>Refuse</button></form>",
                   money_text(p->amount, amount), currency_text(p->amount.currency, currency),
                   cpay_status_word(p->status));
    http_reply(x, 200, STR("text/html; charset=utf-8"), str_c(text));
}

static struct cpay_payment *page_payment(struct http_exchange *x)
{
    struct cpay_payment *p = cpay_payment_find(sandbox_state(x), x->params[0]);
    if (p != NULL && p->method == CPAY_REDIRECT)
        return p;
    http_reply(x, 404, STR("text/plain"), STR("No such payment\n"));
    return NULL;
}

void cpay_page_get(struct http_exchange *x)
{
    struct cpay_payment *p = page_payment(x);
    if (p != NULL)
        page(x, p);
}

/* A form, or {"answer":"pay"} for those without a browser's patience: only the word counts. */
void cpay_page_post(struct http_exchange *x)
{
    struct cpay_payment *p = page_payment(x);
    if (p == NULL)
        return;
    if (p->status == CPAY_PENDING && str_icontains(x->body, STR("refuse")))
        cpay_life_end(p, CPAY_FAILED, "payer_rejected");
    else if (p->status == CPAY_PENDING && !timer_is_on(&p->step))
        cpay_life_agree(p);
    http_set_header(x, STR("Location"), str_c(p->return_url));
    http_reply(x, 303, STR("text/plain"), STR("Back to the shop\n"));
}
