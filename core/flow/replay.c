/* Rebuilding payments from their events. See replay.h. */
#include "core/flow/replay.h"

#include "core/domain/payment.h"
#include "core/flow/render.h"

enum { REPLAY_TEXT_MAX = 512 * 1024 };

void replay_begin(struct replay *r)
{
    *r = (struct replay){0};
}

void replay_end(struct replay *r)
{
    json_free(r->payment);
    r->payment = NULL;
}

static struct err read_money(const struct json *event, const char *name, struct money *out)
{
    uint16_t currency = currency_parse(json_str(json_get(event, "currency")));
    struct str text = json_str(json_get(event, name));
    if (currency == 0 || text.p == NULL || err_is(money_parse(text, currency, out)))
        return ERR(INVALID, "an amount cannot be read");
    return ERR_OK;
}

/* Takes over `event`. */
static struct err payment_event(struct replay *r, struct json *event)
{
    struct str status = json_str(json_get(event, "status"));
    json_free(r->payment);
    r->payment = event;
    str_copy_c(r->status, sizeof r->status, status);
    TRY(read_money(event, "amount_received", &r->received));
    return read_money(event, "amount_refunded", &r->refunded);
}

static bool status_is(const struct replay *r, enum payment_status s)
{
    return str_eq(str_c(r->status), str_c(payment_status_word(s)));
}

/* What refunds leave of a payment. */
static void follow_refunds(struct replay *r)
{
    enum payment_status s = r->refunded.minor == 0                   ? PAYMENT_COMPLETED
                            : r->refunded.minor == r->received.minor ? PAYMENT_REFUNDED
                                                                     : PAYMENT_PARTIALLY_REFUNDED;
    if (!status_is(r, PAYMENT_REVERSED))
        str_copy_c(r->status, sizeof r->status, str_c(payment_status_word(s)));
}

static struct err refund_event(struct replay *r, const struct json *event)
{
    struct uuid id;
    struct money amount;
    bool excess = false;
    int i = 0;
    if (r->payment == NULL || !uuid_parse(json_str(json_get(event, "id")), &id))
        return ERR(INVALID, "a refund before its payment, or without an id");
    TRY(read_money(event, "amount", &amount));
    (void)!json_bool(json_get(event, "excess"), &excess);
    while (i < r->n_refunds && !uuid_eq(r->refunds[i].id, id))
        i++;
    if (i == REPLAY_MAX_REFUNDS)
        return ERR(INVALID, "too many refunds");
    if (i == r->n_refunds)
        r->refunds[r->n_refunds++].id = id;
    bool settled = str_eq(json_str(json_get(event, "status")), STR("completed")) && !excess;
    if (settled == r->refunds[i].settled)
        return ERR_OK;
    r->refunds[i].settled = settled;
    r->refunded.minor += settled ? amount.minor : -amount.minor;
    follow_refunds(r);
    return ERR_OK;
}

struct err replay_event(struct replay *r, int32_t seq, struct str type, struct str data)
{
    struct json *event;
    if (seq != r->seq + 1)
        return ERR(INVALID, "an event is missing");
    r->seq = seq;
    TRY(json_parse(data, &event, NULL));
    if (str_starts(type, STR("payment.")))
        return payment_event(r, event);
    struct err err = str_starts(type, STR("refund.")) ? refund_event(r, event)
                                                      : ERR(INVALID, "an unknown type of event");
    json_free(event);
    return err;
}

static bool same(const struct json *a, const struct json *b)
{
    struct buf x, y;
    buf_init(&x, REPLAY_TEXT_MAX);
    buf_init(&y, REPLAY_TEXT_MAX);
    json_canonical(a, &x);
    json_canonical(b, &y);
    bool equal = !x.failed && !y.failed && str_eq(buf_view(&x), buf_view(&y));
    buf_free(&x);
    buf_free(&y);
    return equal;
}

static bool member_differs(const struct replay *r, struct str name, const struct json *stored)
{
    const struct json *rebuilt;
    char amount[MONEY_TEXT];
    char plain[64];
    str_copy_c(plain, sizeof plain, name);
    rebuilt = json_get(r->payment, plain);
    if (str_eq(name, STR("status")))
        return !str_eq(json_str(stored), str_c(r->status));
    if (str_eq(name, STR("amount_refunded")))
        return !str_eq(json_str(stored), str_c(money_text(r->refunded, amount)));
    if (str_eq(name, STR("updated_at")))
        return false;
    if (str_eq(name, STR("provider_transaction_id")) && json_kind(rebuilt) == JSON_KIND_NULL)
        return false;
    return json_kind(rebuilt) == JSON_ABSENT || !same(rebuilt, stored);
}

const char *replay_difference(const struct replay *r, const struct payment_record *stored,
                              struct arena *a)
{
    struct buf b;
    struct json *shown = NULL;
    const char *found = NULL;
    if (r->payment == NULL)
        return "events: there are none";
    if (r->seq != stored->p.version)
        return "version";
    buf_init(&b, REPLAY_TEXT_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_payment(&w, stored, STR_NULL);
    jw_close(&w);
    if (b.failed || err_is(json_parse(buf_view(&b), &shown, NULL))) {
        buf_free(&b);
        return "the stored payment cannot be shown";
    }
    for (struct json_iter it = {0}; found == NULL && json_next(shown, &it);)
        if (member_differs(r, it.name, it.value))
            found = arena_dup(a, it.name).p;
    json_free(shown);
    buf_free(&b);
    return found;
}
