/* The life of a push: queued on the phone, decided by the customer, told by callback, known to the
 * query.
 *
 *   request → prompt queued → (delay) → decision → callback → answered
 *
 * and the ways it goes wrong, which the outcome chooses: nothing queued, the answer lost or late,
 * the callback lost, twice, early or false, a decision that is revised, a query that does
 * not tell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "core/crypto/random.h"
#include "gateways/sandbox/daraja.h"
#include "gateways/sandbox/daraja_body.h"

enum { MERCHANT_TEXT = 40 };

/* A callback that finds the courier busy is brought again after that time. */
static const int64_t busy_us = 20 * US_PER_MS;
/* The longest that CALLBACK_EARLY holds the answer back for its callback. */
static const int64_t early_us = 4 * US_PER_S;

struct push {
    struct booking b; /* first */
    struct daraja *d;
    const struct outcome *o;
    const char *result; /* what the customer's decision will be */
    char *url;
    int64_t amount;
    int64_t late_due_us; /* monotonic; of a decision that is revised; 0 if none follows */
    char merchant_id[MERCHANT_TEXT];
    struct timer alarm;
    struct held *held; /* the answer of CALLBACK_EARLY */
    int n_to_send;     /* callbacks of the present decision */
};

static const struct daraja_fault faults[] = {
    [ANSWER_LOCKED] =
        {500, "500.001.1001",
         "Unable to lock subscriber, a transaction is already in process for the current "
         "subscriber"},
    [ANSWER_SPIKE] = {500, "500.003.02", "Error Occurred: Spike Arrest Violation"},
    [ANSWER_NO_MERCHANT] = {500, "500.001.1001", "Merchant does not exist"},
    [ANSWER_INTERNAL] = {500, "500.003.1001", "Internal Server Error"},
    [ANSWER_BAD_PHONE] = {400, "400.002.02", "Bad Request - Invalid PhoneNumber"},
    [ANSWER_TOKEN_ONCE] = {404, "404.001.03", "Invalid Access Token"},
};

static struct push *push_new(struct daraja *d, struct call *call, const struct daraja_push *in,
                             const struct daraja_account *account, const struct outcome *o);
static void push_answer(struct push *p, struct http_exchange *x, struct call *call);
static void push_start(struct push *p);
static void push_decide(struct push *p, const char *result);
static void push_tell(struct push *p);

/* ---- the request ---- */

/* True if the outcome refuses the request; it has then been answered. */
static bool refused(struct daraja *d, struct http_exchange *x, struct call *call,
                    const struct outcome *o)
{
    if (o->answer <= OUTCOME_LAST_QUEUED)
        return false;
    if (o->answer == ANSWER_TOKEN_ONCE && !daraja_first_refusal(d, call->url_hash))
        return false;
    call->outcome = o->words;
    if (o->answer == ANSWER_CUT_NOTHING)
        sandbox_cut(d->s, x, call, STR_NULL);
    else if (o->answer == ANSWER_HTML_503)
        sandbox_reply(d->s, x, call, 503, "text/html",
                      STR("<html><body><h1>503 Service Unavailable</h1></body></html>"));
    else
        daraja_refuse(d, x, call, faults[o->answer]);
    return true;
}

void daraja_push_begin(struct daraja *d, struct http_exchange *x, struct call *call,
                       const struct daraja_push *in, const struct daraja_account *account)
{
    static const struct daraja_fault full = {500, "500.003.02",
                                             "System is busy. Please try again later."};
    const struct outcome *o = outcome_of(in->phone, in->amount);
    if (refused(d, x, call, o))
        return;
    struct push *p = push_new(d, call, in, account, o);
    if (p == NULL) {
        daraja_refuse(d, x, call, full);
        return;
    }
    call->accepted = true;
    call->outcome = p->b.outcome;
    (void)str_copy_c(call->id, sizeof call->id, str_c(p->b.id));
    push_start(p);
    push_answer(p, x, call);
}

static void answer_accepted(struct push *p, struct http_exchange *x, struct call *call,
                            int64_t after_us, struct held **owner)
{
    struct buf *b = sandbox_scratch(p->d->s);
    daraja_body_accepted(b, p->merchant_id, p->b.id);
    sandbox_reply_after(p->d->s, x, call, after_us, 200, "application/json", buf_view(b), owner);
}

static void push_answer(struct push *p, struct http_exchange *x, struct call *call)
{
    struct sandbox *s = p->d->s;
    switch (p->o->answer) {
    case ANSWER_CUT:
        sandbox_cut(s, x, call, STR_NULL);
        break;
    case ANSWER_EMPTY:
        sandbox_reply(s, x, call, 200, "application/json", STR(""));
        break;
    case ANSWER_HALF:
        sandbox_cut(
            s, x, call,
            STR("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 264\r\n\r\n"
                "{\"MerchantRequestID\":\"4c1e-4f0b-8a57"));
        break;
    case ANSWER_SLOW:
        answer_accepted(p, x, call, s->chaos.slow_answer_ms * US_PER_MS, NULL);
        break;
    default:
        if (p->o->callback == CALLBACK_EARLY && p->b.callbacks_sent > 0)
            answer_accepted(p, x, call, early_us, &p->held);
        else
            answer_accepted(p, x, call, 0, NULL);
    }
}

/* ---- ids ---- */

/* "ws_CO_", day first, then digits that no other push has. */
static void checkout_id(struct daraja *d, char out[CALL_ID])
{
    char t[DARAJA_TIME];
    daraja_time_text(loop_wall_us(d->s->loop), t);
    (void)snprintf(out, CALL_ID, "ws_CO_%.2s%.2s%.4s%.6s%09llu", t + 6, t + 4, t, t + 8,
                   (unsigned long long)(++d->s->serial % 1000000000));
}

/* Ten characters: three of the day, seven of a number that grows by a step which has no factor in
 * common with 36^7, so that none comes twice. */
void daraja_receipt(struct daraja *d, char out[CALL_TEXT])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const uint64_t space = UINT64_C(78364164096), step = UINT64_C(48828125);
    struct date day = date_of(loop_wall_us(d->s->loop) + 3 * US_PER_HOUR);
    uint64_t v = ++d->s->serial % space * step % space;
    out[0] = (char)('A' + (day.year + 6) % 26);
    out[1] = (char)('A' + day.month - 1);
    out[2] = digits[day.day];
    for (int i = 9; i >= 3; i--) {
        out[i] = digits[v % 36];
        v /= 36;
    }
    out[10] = 0;
}

/* ---- the prompt ---- */

static void push_free(struct push *p)
{
    timer_off(p->d->s->loop, &p->alarm);
    held_release(p->held);
    free(p->url);
    free(p);
}

static void push_drop(struct booking *b)
{
    push_free(CONTAINER_OF(b, struct push, b));
}

/* NULL when the book is full. */
static struct push *push_new(struct daraja *d, struct call *call, const struct daraja_push *in,
                             const struct daraja_account *account, const struct outcome *o)
{
    const char *misfit = daraja_misfit(account, in);
    uint64_t random = random_u64();
    struct push *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->d = d;
    p->o = o;
    p->result = misfit != NULL ? misfit : o->result;
    p->amount = in->amount;
    p->url = strndup(in->url.p, in->url.n);
    p->b.provider = daraja_provider.name;
    p->b.outcome = misfit != NULL ? "organisation, type or amount not fit" : o->words;
    p->b.queued_at_us = loop_wall_us(d->s->loop);
    p->b.drop = push_drop;
    (void)snprintf(p->merchant_id, sizeof p->merchant_id, "%04x-%04x-%04x-%012llx",
                   (unsigned)(random >> 48), (unsigned)(random >> 32 & 0xffff),
                   (unsigned)(random >> 16 & 0xffff), (unsigned long long)++d->s->serial);
    checkout_id(d, p->b.id);
    (void)str_copy_c(p->b.phone, sizeof p->b.phone, in->phone);
    (void)str_copy_c(p->b.amount, sizeof p->b.amount, str_c(call->amount));
    (void)str_copy_c(p->b.reference, sizeof p->b.reference, in->reference);
    (void)str_copy_c(p->b.organisation, sizeof p->b.organisation, in->shortcode);
    memcpy(p->b.url_hash, call->url_hash, sizeof p->b.url_hash);
    if (p->url == NULL || err_is(book_add(&d->s->book, &p->b))) {
        push_free(p);
        return NULL;
    }
    return p;
}

static void push_alarm(void *ctx)
{
    struct push *p = ctx;
    if (p->n_to_send > 0) {
        push_tell(p);
        return;
    }
    bool first = p->late_due_us != 0 && p->b.state == BOOKING_PENDING;
    push_decide(p, first ? p->o->first : p->result);
}

/* Sets the alarm of the decision, or decides now. */
static void push_start(struct push *p)
{
    const struct chaos *c = &p->d->s->chaos;
    struct loop *l = p->d->s->loop;
    int64_t after_us = 0;
    switch (p->o->when) {
    case WHEN_DELAY:
        after_us = c->delay_ms * US_PER_MS;
        break;
    case WHEN_TIMEOUT:
        after_us = c->timeout_delay_ms * US_PER_MS;
        break;
    case WHEN_LATE:
        after_us = c->late_delay_s * US_PER_S;
        break;
    case WHEN_AT_ONCE:
        push_decide(p, p->result);
        return;
    case WHEN_NEVER:
        return;
    }
    if (p->o->callback == CALLBACK_FAILURE_FIRST) {
        p->late_due_us = loop_mono_us(l) + after_us;
        after_us = c->timeout_delay_ms * US_PER_MS;
    }
    timer_set(l, &p->alarm, after_us, push_alarm, p);
}

/* The customer, or the platform in his place, has decided. */
static void push_decide(struct push *p, const char *result)
{
    struct sandbox *s = p->d->s;
    bool paid = strcmp(result, "0") == 0;
    bool revised = p->b.state == BOOKING_PENDING && p->late_due_us != 0;
    p->b.result_code = result;
    if (paid)
        daraja_receipt(p->d, p->b.receipt);
    book_settle(&s->book, &p->b, paid ? BOOKING_PAID : BOOKING_FAILED, loop_wall_us(s->loop));
    if (!revised)
        p->late_due_us = 0;
    p->n_to_send = p->o->callback == CALLBACK_TWICE ? 2 : 1;
    if (dice_hit(&s->dice, s->chaos.callback_dup_rate))
        p->n_to_send++;
    push_tell(p);
}

/* ---- callbacks ---- */

/* Sends one callback, or loses it. ERR_OVERLOADED: not now. */
static struct err tell_once(struct push *p)
{
    struct sandbox *s = p->d->s;
    char strange_id[CALL_ID];
    struct daraja_told told = {.merchant_id = p->merchant_id,
                               .checkout_id = p->b.id,
                               .result = p->b.result_code,
                               .phone = p->b.phone,
                               .receipt = p->b.receipt,
                               .amount = p->amount,
                               .settled_us = p->b.settled_at_us};
    if (p->o->callback == CALLBACK_ODD_CODE)
        told.result = "7777";
    if (p->o->callback == CALLBACK_WRONG_ID) {
        checkout_id(p->d, strange_id);
        told.checkout_id = strange_id;
    }
    const struct parcel parcel = {.provider = p->b.provider,
                                  .result_code = told.result,
                                  .id = p->b.id,
                                  .url = p->url,
                                  .url_hash = p->b.url_hash,
                                  .booking = p->b.n};
    if (p->o->callback == CALLBACK_LOST || dice_hit(&s->dice, s->chaos.callback_loss_rate)) {
        courier_lose(s->courier, &parcel);
        return ERR_OK;
    }
    struct buf *body = sandbox_scratch(s);
    daraja_body_callback(body, &told, p->o->callback);
    TRY(courier_send(s->courier, &parcel, buf_view(body)));
    p->b.callbacks_sent++;
    return ERR_OK;
}

/* Brings what there is to bring, then waits for the revision if one follows. */
static void push_tell(struct push *p)
{
    struct loop *l = p->d->s->loop;
    while (p->n_to_send > 0) {
        if (err_is(tell_once(p))) {
            timer_set(l, &p->alarm, busy_us, push_alarm, p);
            return;
        }
        p->n_to_send--;
    }
    if (p->late_due_us != 0) {
        timer_set(l, &p->alarm, p->late_due_us - loop_mono_us(l), push_alarm, p);
        return;
    }
    free(p->url);
    p->url = NULL;
}

void daraja_push_called_back(void *state, struct booking *b)
{
    struct push *p = CONTAINER_OF(b, struct push, b);
    (void)state;
    held_release(p->held);
}

/* ---- the query ---- */

static void query_html(struct push *p, struct http_exchange *x, struct call *call)
{
    call->outcome = "query: HTML 502";
    sandbox_reply(p->d->s, x, call, 502, "text/html",
                  STR("<html><body><h1>502 Bad Gateway</h1></body></html>"));
}

void daraja_push_query(struct daraja *d, struct http_exchange *x, struct call *call,
                       struct booking *b)
{
    static const struct daraja_fault processing = {500, "500.001.1001",
                                                   "The transaction is being processed"};
    struct push *p = CONTAINER_OF(b, struct push, b);
    struct daraja_told told = {
        .merchant_id = p->merchant_id, .checkout_id = b->id, .result = b->result_code};
    b->queries++;
    call->accepted = true;
    (void)str_copy_c(call->phone, sizeof call->phone, str_c(b->phone));
    (void)str_copy_c(call->reference, sizeof call->reference, str_c(b->reference));
    if (p->o->query == QUERY_HTML_502) {
        query_html(p, x, call);
        return;
    }
    call->outcome = "query: result";
    if (b->state == BOOKING_PENDING) {
        if (p->o->query != QUERY_PENDING_4999 && p->o->query != QUERY_EARLY_FAILURE) {
            daraja_refuse(d, x, call, processing);
            return;
        }
        told.result = p->o->query == QUERY_PENDING_4999 ? "4999" : "1037";
        call->outcome = p->o->query == QUERY_PENDING_4999 ? "query: pending as 4999"
                                                          : "query: failed, too early";
    }
    struct buf *body = sandbox_scratch(d->s);
    daraja_body_result(body, &told, p->o->query == QUERY_NUMBERS);
    sandbox_reply(d->s, x, call, 200, "application/json", buf_view(body));
}
