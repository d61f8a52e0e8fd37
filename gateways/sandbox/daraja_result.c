/* The life of a reversal or a payout, and of the status queries about them.
 *
 *   request → acknowledged → (delay) → carried out → result → answered
 *
 * and the ways it goes wrong, which the outcome chooses: refused, the acknowledgement lost, the
 * result lost, twice or early, told as timed out and carried out all the same, never carried out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "core/crypto/random.h"
#include "gateways/sandbox/daraja.h"
#include "gateways/sandbox/daraja_body.h"
#include "gateways/sandbox/daraja_refund_check.h"
#include "gateways/sandbox/daraja_result_body.h"
#include "gateways/sandbox/refund_outcome.h"

enum { MAX_INQUIRIES = 100000 };

/* A result that finds the courier busy is brought again after that time. */
static const int64_t busy_us = 20 * US_PER_MS;
/* The longest that REFUND_TELL_EARLY holds the acknowledgement back for its result. */
static const int64_t early_us = 4 * US_PER_S;

static const struct daraja_fault busy = {500, "500.003.02",
                                         "System is busy. Please try again later."};

/* What the alarm finds to do. */
enum stage { STAGE_QUEUED, STAGE_LATE, STAGE_TELL };

struct giving {
    struct payback p; /* first */
    struct daraja *d;
    const struct refund_outcome *o;
    const char *forced;
    bool payout;
    enum stage stage;
    char *result_url, *timeout_url;
    int64_t amount;
    struct timer alarm;
    struct held *held; /* the acknowledgement of REFUND_TELL_EARLY */
    int n_to_send;
};

struct inquiry {
    struct link link;
    struct daraja *d;
    const char *forced;
    bool balance; /* what the organisation has, else what became of a transaction */
    char *result_url;
    char id[CALL_ID], originator_id[PAYBACK_ORIGINATOR], url_hash[URL_HASH_TEXT];
    char organisation[CALL_TEXT], transaction[CALL_TEXT], about[PAYBACK_ORIGINATOR];
    struct timer alarm;
};

static struct giving *giving_new(struct daraja *d, struct call *call, const struct daraja_order *in,
                                 const struct refund_outcome *o, bool payout, const char *forced);
static void giving_alarm(void *ctx);
static void giving_settle(struct giving *g);
static void giving_tell(struct giving *g);

/* ---- ids ---- */

static void conversation_id(struct daraja *d, char out[CALL_ID])
{
    char day[DARAJA_TIME];
    daraja_time_text(loop_wall_us(d->s->loop), day);
    (void)snprintf(out, CALL_ID, "AG_%.8s_2010%016llx", day, (unsigned long long)random_u64());
}

/* Of requests that bring none. */
static void originator_id(struct daraja *d, char out[PAYBACK_ORIGINATOR])
{
    (void)snprintf(out, PAYBACK_ORIGINATOR, "%04u-%llu-1", (unsigned)random_below(10000),
                   (unsigned long long)++d->s->serial);
}

/* ---- the request ---- */

static void acknowledge(struct giving *g, struct http_exchange *x, struct call *call)
{
    struct sandbox *s = g->d->s;
    if (g->o->ack == REFUND_ACK_CUT) {
        sandbox_cut(s, x, call, STR_NULL);
        return;
    }
    bool wait = g->o->tell == REFUND_TELL_EARLY && g->p.results_sent > 0;
    struct buf *b = sandbox_scratch(s);
    daraja_body_ack(b, g->p.id, g->p.originator_id);
    sandbox_reply_after(s, x, call, wait ? early_us : 0, 200, "application/json", buf_view(b),
                        wait ? &g->held : NULL);
}

void daraja_payback_begin(struct daraja *d, struct http_exchange *x, struct call *call,
                          const struct daraja_order *in, bool payout, const char *forced)
{
    static const struct daraja_fault twice = {500, "500.002.1001",
                                              "Duplicate OriginatorConversationID."};
    static const struct daraja_fault refused = {400, "400.002.02", "Bad Request - Invalid Remarks"};
    const struct refund_outcome *o =
        d->s->chaos.refund_outcomes ? refund_outcome_of(in->amount, payout ? in->phone : STR(""))
                                    : refund_outcome_at(0);
    char key[PAYBACK_KEY];
    payback_key(in->organisation, in->originator, key);
    if (!str_empty(in->originator) && payback_find(&d->s->paybacks, key) != NULL) {
        daraja_refuse(d, x, call, twice);
        return;
    }
    if (o->ack == REFUND_ACK_REFUSED) {
        daraja_refuse(d, x, call, refused);
        return;
    }
    struct giving *g = giving_new(d, call, in, o, payout, forced);
    if (g == NULL) {
        daraja_refuse(d, x, call, busy);
        return;
    }
    call->accepted = true;
    call->outcome = o->words;
    (void)str_copy_c(call->id, sizeof call->id, str_c(g->p.originator_id));
    if (o->tell == REFUND_TELL_EARLY)
        giving_settle(g);
    else if (o->tell == REFUND_TELL_QUEUE_TIMEOUT)
        timer_set(d->s->loop, &g->alarm, d->s->chaos.timeout_delay_ms * US_PER_MS, giving_alarm, g);
    else if (o->tell != REFUND_TELL_NEVER)
        timer_set(d->s->loop, &g->alarm, d->s->chaos.delay_ms * US_PER_MS, giving_alarm, g);
    acknowledge(g, x, call);
}

static void giving_free(struct giving *g)
{
    timer_off(g->d->s->loop, &g->alarm);
    held_release(g->held);
    free(g->result_url);
    free(g->timeout_url);
    free(g);
}

static void giving_drop(struct payback *p)
{
    giving_free(CONTAINER_OF(p, struct giving, p));
}

/* NULL when the book is full. */
static struct giving *giving_new(struct daraja *d, struct call *call, const struct daraja_order *in,
                                 const struct refund_outcome *o, bool payout, const char *forced)
{
    struct giving *g = calloc(1, sizeof *g);
    if (g == NULL)
        return NULL;
    g->d = d;
    g->o = o;
    g->forced = forced;
    g->payout = payout;
    g->amount = in->amount;
    g->result_url = strndup(in->result_url.p, in->result_url.n);
    g->timeout_url = strndup(in->timeout_url.p, in->timeout_url.n);
    g->p.provider = daraja_provider.name;
    g->p.kind = payout ? "b2c" : "reversal";
    g->p.outcome = forced != NULL ? "initiator, short code or amount not fit" : o->words;
    g->p.queued_at_us = loop_wall_us(d->s->loop);
    g->p.drop = giving_drop;
    conversation_id(d, g->p.id);
    if (str_empty(in->originator))
        originator_id(d, g->p.originator_id);
    else
        (void)str_copy_c(g->p.originator_id, sizeof g->p.originator_id, in->originator);
    (void)str_copy_c(g->p.organisation, sizeof g->p.organisation, in->organisation);
    payback_key(in->organisation, str_c(g->p.originator_id), g->p.key);
    (void)str_copy_c(g->p.receipt, sizeof g->p.receipt, in->transaction);
    (void)str_copy_c(g->p.phone, sizeof g->p.phone, in->phone);
    (void)str_copy_c(g->p.amount, sizeof g->p.amount, str_c(call->amount));
    memcpy(g->p.url_hash, call->url_hash, sizeof g->p.url_hash);
    if (g->result_url == NULL || g->timeout_url == NULL ||
        err_is(payback_add(&d->s->paybacks, &g->p))) {
        giving_free(g);
        return NULL;
    }
    return g;
}

/* ---- carried out ---- */

/* <R000002>: original id invalid. <R000001>: already reversed. <25>: invalid parameters. Source:
 * sections 5.6 and 5.7; which code an amount has that is too high is not documented. */
static const char *reverse(struct giving *g)
{
    struct booking *charge = book_find_receipt(&g->d->s->book, str_c(g->p.receipt));
    int64_t paid;
    if (charge == NULL || charge->provider != daraja_provider.name ||
        strcmp(charge->organisation, g->p.organisation) != 0 ||
        !str_to_i64(str_c(charge->amount), &paid))
        return "R000002";
    (void)str_copy_c(g->p.phone, sizeof g->p.phone, str_c(charge->phone));
    if (charge->reversed >= paid)
        return "R000001";
    if (g->amount > paid - charge->reversed)
        return "25";
    charge->reversed += g->amount;
    return "0";
}

/* Nobody has asked for the same before. */
static bool is_first(const struct giving *g)
{
    const struct payback_book *k = &g->d->s->paybacks;
    for (int64_t n = 1; n < g->p.n; n++) {
        const struct payback *p = payback_at(k, n);
        if (p != NULL && p->kind == g->p.kind && strcmp(p->organisation, g->p.organisation) == 0 &&
            strcmp(p->receipt, g->p.receipt) == 0 && strcmp(p->amount, g->p.amount) == 0 &&
            (!g->payout || strcmp(p->phone, g->p.phone) == 0))
            return false;
    }
    return true;
}

static void giving_settle(struct giving *g)
{
    struct sandbox *s = g->d->s;
    const char *code = g->forced;
    if (code == NULL)
        code = g->payout ? g->o->payout : g->o->reversal;
    if (strcmp(code, "0") == 0 && g->o->tell == REFUND_TELL_BUSY && is_first(g))
        code = "26";
    else if (strcmp(code, "0") == 0 && !g->payout)
        code = reverse(g);
    bool paid = strcmp(code, "0") == 0;
    g->p.result_code = code;
    if (paid)
        daraja_receipt(g->d, g->p.transaction_id);
    payback_settle(&s->paybacks, &g->p, paid ? PAYBACK_PAID : PAYBACK_FAILED,
                   loop_wall_us(s->loop));
    if (g->stage == STAGE_LATE)
        return;
    g->stage = STAGE_TELL;
    g->n_to_send = g->o->tell == REFUND_TELL_TWICE ? 2 : 1;
    if (dice_hit(&s->dice, s->chaos.callback_dup_rate))
        g->n_to_send++;
    giving_tell(g);
}

/* ---- told ---- */

static struct daraja_deed deed_of(const struct payback *p)
{
    int64_t amount = 0;
    (void)!str_to_i64(str_c(p->amount), &amount);
    return (struct daraja_deed){.conversation = p->id,
                                .originator = p->originator_id,
                                .transaction = p->transaction_id,
                                .result = p->result_code,
                                .phone = p->phone,
                                .organisation = p->organisation,
                                .receipt = p->receipt,
                                .amount = amount,
                                .queued_us = p->queued_at_us,
                                .settled_us = p->settled_at_us};
}

/* Sends `body` to `url`, or loses it. ERR_OVERLOADED: not now. */
static struct err bring(struct giving *g, const char *url, const char *code, bool lost,
                        struct str body)
{
    struct sandbox *s = g->d->s;
    const struct parcel parcel = {.provider = g->p.provider,
                                  .result_code = code,
                                  .id = g->p.originator_id,
                                  .url = url,
                                  .url_hash = g->p.url_hash,
                                  .booking = -g->p.n};
    if (lost || dice_hit(&s->dice, s->chaos.callback_loss_rate)) {
        courier_lose(s->courier, &parcel);
        return ERR_OK;
    }
    TRY(courier_send(s->courier, &parcel, body));
    g->p.results_sent++;
    return ERR_OK;
}

static void giving_tell(struct giving *g)
{
    struct sandbox *s = g->d->s;
    const struct daraja_deed deed = deed_of(&g->p);
    while (g->n_to_send > 0) {
        struct buf *b = sandbox_scratch(s);
        unsigned form = g->d->n_results % RESULT_N_FORMS;
        if (g->payout)
            daraja_body_payout(b, &deed, form);
        else
            daraja_body_reversal(b, &deed, form);
        if (err_is(bring(g, g->result_url, g->p.result_code, g->o->tell == REFUND_TELL_LOST,
                         buf_view(b)))) {
            timer_set(s->loop, &g->alarm, busy_us, giving_alarm, g);
            return;
        }
        g->d->n_results++;
        g->n_to_send--;
    }
}

/* <26>: busy. Source: section 5.7. The shape of a queue timeout is not documented, only that its
 * code is a failing one; this is the most misleading that it may be. */
static void timed_out(struct giving *g)
{
    struct sandbox *s = g->d->s;
    struct daraja_deed deed = deed_of(&g->p);
    struct buf *b = sandbox_scratch(s);
    int64_t after_us = s->chaos.delay_ms * US_PER_MS;
    deed.result = "26";
    deed.settled_us = loop_wall_us(s->loop);
    daraja_body_timeout(b, &deed, g->d->n_results % RESULT_N_FORMS);
    if (err_is(bring(g, g->timeout_url, deed.result, false, buf_view(b)))) {
        after_us = busy_us;
    } else {
        g->d->n_results++;
        g->stage = STAGE_LATE;
    }
    timer_set(s->loop, &g->alarm, after_us, giving_alarm, g);
}

static void giving_alarm(void *ctx)
{
    struct giving *g = ctx;
    if (g->stage == STAGE_TELL)
        giving_tell(g);
    else if (g->stage == STAGE_QUEUED && g->o->tell == REFUND_TELL_QUEUE_TIMEOUT)
        timed_out(g);
    else
        giving_settle(g);
}

void daraja_payback_told(void *state, struct payback *p)
{
    struct giving *g = CONTAINER_OF(p, struct giving, p);
    (void)state;
    held_release(g->held);
}

/* ---- status queries and balances ---- */

static void inquiry_free(struct inquiry *q)
{
    timer_off(q->d->s->loop, &q->alarm);
    list_remove(&q->d->inquiries, &q->link);
    free(q->result_url);
    free(q);
}

void daraja_inquiries_drop(struct daraja *d)
{
    struct link *k;
    while ((k = list_first(&d->inquiries)) != NULL)
        inquiry_free(CONTAINER_OF(k, struct inquiry, link));
}

static struct payback *inquiry_payback(const struct inquiry *q)
{
    const struct payback_book *book = &q->d->s->paybacks;
    struct payback *p;
    char key[PAYBACK_KEY];
    if (q->transaction[0] != 0) {
        p = payback_find_transaction(book, str_c(q->transaction));
        return p != NULL && strcmp(p->organisation, q->organisation) == 0 ? p : NULL;
    }
    payback_key(str_c(q->organisation), str_c(q->about), key);
    return payback_find(book, key);
}

static const struct booking *inquiry_charge(const struct inquiry *q)
{
    const struct booking *b = book_find_receipt(&q->d->s->book, str_c(q->transaction));
    return b != NULL && strcmp(b->organisation, q->organisation) == 0 ? b : NULL;
}

/* A charge's own ids are those of its push, which no status query tells. */
static struct daraja_deed deed_of_charge(const struct booking *b)
{
    int64_t amount = 0;
    (void)!str_to_i64(str_c(b->amount), &amount);
    return (struct daraja_deed){.conversation = "",
                                .originator = "",
                                .transaction = b->receipt,
                                .result = "0",
                                .phone = b->phone,
                                .organisation = b->organisation,
                                .receipt = "",
                                .amount = amount,
                                .queued_us = b->queued_at_us,
                                .settled_us = b->settled_at_us};
}

static const char *state_word(const struct payback *p)
{
    return p->state == PAYBACK_PAID     ? "Completed"
           : p->state == PAYBACK_FAILED ? "Declined"
                                        : "Pending";
}

/* The body of the result; the code that it carries. <25>: invalid parameters. Source: section 5.7;
 * what a query for something unknown ends with is not documented. */
static const char *inquiry_body(struct inquiry *q, const struct payback *p, struct buf *b)
{
    const struct booking *charge = p == NULL && q->forced == NULL ? inquiry_charge(q) : NULL;
    struct daraja_deed about;
    bool found = q->forced == NULL && (p != NULL || charge != NULL);
    struct daraja_deed query = {.conversation = q->id,
                                .originator = q->originator_id,
                                .transaction = "",
                                .result = q->forced != NULL ? q->forced
                                          : found           ? "0"
                                                            : "25",
                                .organisation = q->organisation,
                                .settled_us = loop_wall_us(q->d->s->loop)};
    if (found)
        about = p != NULL ? deed_of(p) : deed_of_charge(charge);
    daraja_body_status(b, &query, found ? &about : NULL, p != NULL ? state_word(p) : "Completed",
                       q->d->n_results % RESULT_N_FORMS);
    return query.result;
}

/* What came in by pushes that were paid, less what was reversed; payouts have their own account. */
static const char *balance_body(struct inquiry *q, struct buf *b)
{
    const struct book *book = &q->d->s->book;
    int64_t sum = 0;
    for (int64_t n = (int64_t)book->n; n > 0; n--) {
        const struct booking *c = book_at(book, n);
        int64_t amount;
        if (c->provider == daraja_provider.name && c->state == BOOKING_PAID &&
            strcmp(c->organisation, q->organisation) == 0 && str_to_i64(str_c(c->amount), &amount))
            sum += amount - c->reversed;
    }
    struct daraja_deed query = {.conversation = q->id,
                                .originator = q->originator_id,
                                .transaction = "",
                                .result = q->forced != NULL ? q->forced : "0",
                                .organisation = q->organisation,
                                .settled_us = loop_wall_us(q->d->s->loop)};
    daraja_body_balance(b, &query, sum, q->d->n_results % RESULT_N_FORMS);
    return query.result;
}

static void inquiry_alarm(void *ctx)
{
    struct inquiry *q = ctx;
    struct sandbox *s = q->d->s;
    struct payback *p = q->forced == NULL && !q->balance ? inquiry_payback(q) : NULL;
    bool mute = p != NULL && CONTAINER_OF(p, struct giving, p)->o->tell == REFUND_TELL_NEVER;
    struct buf *b = sandbox_scratch(s);
    const struct parcel parcel = {.provider = daraja_provider.name,
                                  .result_code =
                                      q->balance ? balance_body(q, b) : inquiry_body(q, p, b),
                                  .id = q->originator_id,
                                  .url = q->result_url,
                                  .url_hash = q->url_hash};
    if (mute || dice_hit(&s->dice, s->chaos.callback_loss_rate)) {
        courier_lose(s->courier, &parcel);
    } else if (err_is(courier_send(s->courier, &parcel, buf_view(b)))) {
        timer_set(s->loop, &q->alarm, busy_us, inquiry_alarm, q);
        return;
    }
    q->d->n_results++;
    inquiry_free(q);
}

void daraja_inquiry_begin(struct daraja *d, struct http_exchange *x, struct call *call,
                          const struct daraja_order *in, bool balance, const char *forced)
{
    struct sandbox *s = d->s;
    struct inquiry *q = d->inquiries.n < MAX_INQUIRIES ? calloc(1, sizeof *q) : NULL;
    char *url = q != NULL ? strndup(in->result_url.p, in->result_url.n) : NULL;
    if (url == NULL) {
        free(q);
        daraja_refuse(d, x, call, busy);
        return;
    }
    q->d = d;
    q->forced = forced;
    q->balance = balance;
    q->result_url = url;
    conversation_id(d, q->id);
    originator_id(d, q->originator_id);
    memcpy(q->url_hash, call->url_hash, sizeof q->url_hash);
    (void)str_copy_c(q->organisation, sizeof q->organisation, in->organisation);
    (void)str_copy_c(q->transaction, sizeof q->transaction, in->transaction);
    (void)str_copy_c(q->about, sizeof q->about, in->originator);
    list_push(&d->inquiries, &q->link);
    timer_set(s->loop, &q->alarm, s->chaos.delay_ms * US_PER_MS, inquiry_alarm, q);
    struct payback *p = balance ? NULL : inquiry_payback(q);
    if (p != NULL)
        p->queries++;
    call->accepted = true;
    call->outcome = balance ? "balance: told by a result" : "status: told by a result";
    struct buf *b = sandbox_scratch(s);
    daraja_body_ack(b, q->id, q->originator_id);
    sandbox_reply(s, x, call, 200, "application/json", buf_view(b));
}
