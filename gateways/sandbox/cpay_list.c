/* Pages of CPay's payments, refunds and payouts, oldest first; the cursor is the number of the last
 * one. */
#include <stdio.h>

#include "core/base/times.h"
#include "gateways/sandbox/cpay.h"

enum { LIMIT_DEFAULT = 20, LIMIT_MAX = 100, PAGE_LIMIT = 8 * 1024 * 1024 };

enum list_of { OF_PAYMENTS, OF_REFUNDS, OF_PAYOUTS };

struct page {
    enum list_of of;
    struct str reference, payment;
    enum cpay_status status; /* CPAY_N_STATUSES: any */
    int64_t from_us, to_us, limit, after;
};

static bool is_time(struct http_exchange *x, const char *name, int64_t *out)
{
    struct str text = http_query(x, str_c(name));
    return text.n == 0 || time_parse(text, out);
}

/* False with the name of a parameter that makes no sense. */
static bool page_read(struct http_exchange *x, enum list_of of, struct page *p, const char **wrong)
{
    struct str limit = http_query(x, STR("limit")), status = http_query(x, STR("status"));
    struct str cursor = http_query(x, STR("cursor"));
    *p = (struct page){.of = of,
                       .reference = http_query(x, STR("reference")),
                       .payment = http_query(x, STR("payment")),
                       .status = CPAY_N_STATUSES,
                       .to_us = INT64_MAX,
                       .limit = LIMIT_DEFAULT};
    *wrong = "created_from";
    if (!is_time(x, "created_from", &p->from_us))
        return false;
    *wrong = "created_to";
    if (!is_time(x, "created_to", &p->to_us))
        return false;
    *wrong = "limit";
    if (limit.n > 0 && (!str_to_i64(limit, &p->limit) || p->limit < 1 || p->limit > LIMIT_MAX))
        return false;
    *wrong = "cursor";
    if (cursor.n > 0 && (!str_starts(cursor, STR("cur_")) ||
                         !str_to_i64(str_from(cursor, 4), &p->after) || p->after < 0))
        return false;
    *wrong = "status";
    p->status = status.n > 0 ? cpay_status_parse(status) : CPAY_N_STATUSES;
    return status.n == 0 || p->status != CPAY_N_STATUSES;
}

static bool fits(struct str wanted, const char *have)
{
    return wanted.p == NULL || str_eq(wanted, str_c(have));
}

static bool payment_fits(struct booking *b, const struct page *want)
{
    if (b->provider != cpay_provider.name || !fits(want->reference, b->reference))
        return false;
    const struct cpay_payment *p = CONTAINER_OF(b, struct cpay_payment, b);
    return (want->status == CPAY_N_STATUSES || want->status == p->status) &&
           p->created_us >= want->from_us && p->created_us <= want->to_us;
}

static bool money_fits(struct payback *b, const struct page *want)
{
    if (b->provider != cpay_provider.name ||
        (CONTAINER_OF(b, struct cpay_money, p)->of != NULL) != (want->of == OF_REFUNDS))
        return false;
    return fits(want->reference, b->originator_id) && fits(want->payment, b->receipt);
}

/* Writes item `n` if it fits and returns whether it does; without `w` it is only looked at. */
static bool item(struct cpay *c, const struct page *want, int64_t n, struct jsonw *w)
{
    bool out = want->of != OF_PAYMENTS;
    struct booking *b = out ? NULL : book_at(&c->s->book, n);
    struct payback *p = out ? payback_at(&c->s->paybacks, n) : NULL;
    if (b != NULL && payment_fits(b, want)) {
        if (w != NULL) {
            b->queries++;
            cpay_body_payment(w, CONTAINER_OF(b, struct cpay_payment, b));
        }
        return true;
    }
    if (p != NULL && money_fits(p, want)) {
        if (w != NULL) {
            p->queries++;
            cpay_body_money(w, CONTAINER_OF(p, struct cpay_money, p));
        }
        return true;
    }
    return false;
}

/* A reference names at most one: nothing else has to be looked at. */
static void range(struct cpay *c, const struct page *want, int64_t *n, int64_t *end)
{
    char key[PAYBACK_KEY];
    bool out = want->of != OF_PAYMENTS;
    *n = want->after + 1;
    *end = (int64_t)(out ? c->s->paybacks.n : c->s->book.n);
    if (want->reference.p == NULL)
        return;
    payback_key(want->of == OF_REFUNDS ? STR("refund") : STR("payout"), want->reference, key);
    const struct payback *p = out ? payback_find(&c->s->paybacks, key) : NULL;
    const struct cpay_payment *q = out ? NULL : cpay_payment_by_reference(c, want->reference);
    int64_t only = p != NULL ? p->n : q != NULL ? q->b.n : 0;
    *end = only;
    if (only > *n)
        *n = only;
}

static void list(struct cpay_request *rq, enum list_of of)
{
    struct cpay_fault f = {400, "invalid_request", NULL, "Not a value of this parameter"};
    struct cpay *c = rq->c;
    struct page want;
    if (!page_read(rq->x, of, &want, &f.field)) {
        cpay_refuse(rq, f);
        return;
    }
    call_text(rq->call.reference, sizeof rq->call.reference, want.reference);
    int64_t n, end, last = want.after;
    range(c, &want, &n, &end);
    struct buf b;
    struct jsonw w = jw_into(&b);
    char cursor[32];
    buf_init(&b, PAGE_LIMIT);
    jw_open(&w);
    jw_c(&w, "object", "list");
    jw_key(&w, "data");
    jw_open_list(&w);
    for (; n <= end && want.limit > 0; n++)
        if (item(c, &want, n, &w)) {
            want.limit--;
            last = n;
        }
    jw_close_list(&w);
    while (n <= end && !item(c, &want, n, NULL))
        n++;
    (void)snprintf(cursor, sizeof cursor, "cur_%lld", (long long)last);
    jw_str(&w, "next_cursor", n <= end ? str_c(cursor) : STR_NULL);
    jw_close(&w);
    cpay_answer(rq, 200, buf_view(&b), "list");
    buf_free(&b);
}

void cpay_payment_list(struct cpay_request *rq)
{
    list(rq, OF_PAYMENTS);
}

void cpay_refund_list(struct cpay_request *rq)
{
    list(rq, OF_REFUNDS);
}

void cpay_payout_list(struct cpay_request *rq)
{
    list(rq, OF_PAYOUTS);
}
