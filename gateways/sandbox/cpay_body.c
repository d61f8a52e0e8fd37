/* What CPay writes. Source: providers/patterns.md, A2 and A3. */
#include <stdio.h>
#include <string.h>

#include "gateways/sandbox/cpay.h"

static const char *const status_words[] = {
#define X(name, word, open) [CPAY_##name] = word,
    CPAY_STATUSES(X)
#undef X
};

const char *cpay_status_word(enum cpay_status s)
{
    return status_words[s];
}

enum cpay_status cpay_status_parse(struct str word)
{
    int s = 0;
    while (s < CPAY_N_STATUSES && !str_eq(word, str_c(status_words[s])))
        s++;
    return (enum cpay_status)s;
}

bool cpay_status_open(enum cpay_status s)
{
    static const bool open[] = {
#define X(name, word, open_) [CPAY_##name] = (open_),
        CPAY_STATUSES(X)
#undef X
    };
    return open[s];
}

static void put_currency(struct jsonw *w, uint16_t currency)
{
    char text[CURRENCY_TEXT];
    jw_c(w, "currency", currency_text(currency, text));
}

static void put_failure(struct jsonw *w, const char *code)
{
    static const struct {
        const char *code, *message;
    } words[] = {
        {"insufficient_funds", "The payer has not enough money"},
        {"payer_rejected", "The payer has refused"},
        {"declined", "Declined"},
    };
    const char *message = "Failed";
    if (code == NULL) {
        jw_null(w, "failure");
        return;
    }
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i].code, code) == 0)
            message = words[i].message;
    jw_key(w, "failure");
    jw_open(w);
    jw_c(w, "code", code);
    jw_c(w, "message", message);
    jw_bool(w, "final", true);
    jw_close(w);
}

/* "+2507***001" */
static void put_display(struct jsonw *w, struct str digits)
{
    char text[48];
    struct str tail = str_from(digits, digits.n > 3 ? digits.n - 3 : 0);
    (void)snprintf(text, sizeof text, "Confirm on +%.*s***%.*s", STR_ARG(str_first(digits, 4)),
                   STR_ARG(tail));
    jw_c(w, "display", text);
}

static void put_next_action(struct jsonw *w, const struct cpay_payment *p)
{
    char url[CPAY_ORIGIN + 64];
    if (p->status != CPAY_PENDING || p->agreed) {
        jw_null(w, "next_action");
        return;
    }
    jw_key(w, "next_action");
    jw_open(w);
    if (p->script->trick == CPAY_TRICK_CODE) {
        (void)snprintf(url, sizeof url, "%s/cpay/v1/payments/%s/otp", p->origin, p->b.id);
        jw_c(w, "type", "otp");
        jw_c(w, "submit_url", url);
    } else if (p->method == CPAY_REDIRECT) {
        (void)snprintf(url, sizeof url, "%s/cpay/pay/%s", p->origin, p->b.id);
        jw_c(w, "type", "redirect");
        jw_c(w, "url", url);
    } else {
        jw_c(w, "type", "confirm_on_phone");
        put_display(w, str_c(p->b.phone));
    }
    jw_close(w);
}

void cpay_body_payment(struct jsonw *w, const struct cpay_payment *p)
{
    jw_open(w);
    jw_c(w, "id", p->b.id);
    jw_c(w, "object", "payment");
    jw_c(w, "reference", p->b.reference);
    jw_i64(w, "amount", p->amount.minor);
    put_currency(w, p->amount.currency);
    jw_c(w, "method", p->method == CPAY_WALLET ? "wallet" : "redirect");
    jw_c(w, "status", status_words[p->status]);
    put_next_action(w, p);
    jw_i64(w, "amount_refunded", p->refunded);
    put_failure(w, p->failure);
    jw_null(w, "fee");
    jw_bool(w, "livemode", false);
    jw_raw(w, "metadata", str_c(p->metadata));
    jw_time(w, "created_at", p->created_us);
    jw_time(w, "updated_at", p->updated_us);
    jw_time(w, "expires_at", p->expires_us);
    jw_close(w);
}

void cpay_body_money(struct jsonw *w, const struct cpay_money *m)
{
    jw_open(w);
    jw_c(w, "id", m->p.id);
    jw_c(w, "object", m->p.kind);
    if (m->of != NULL)
        jw_c(w, "payment", m->p.receipt);
    jw_c(w, "reference", m->p.originator_id);
    jw_i64(w, "amount", m->amount.minor);
    put_currency(w, m->amount.currency);
    jw_c(w, "status", status_words[m->status]);
    put_failure(w, m->failure);
    jw_time(w, "created_at", m->created_us);
    jw_time(w, "updated_at", m->updated_us);
    jw_close(w);
}

bool cpay_fault_retryable(const struct cpay_fault *f)
{
    return f->status == 429 || f->status >= 500 || strcmp(f->code, "idempotency_in_progress") == 0;
}

void cpay_body_fault(struct buf *out, const struct cpay_fault *f, const char *request_id)
{
    struct jsonw w = jw_into(out);
    jw_open(&w);
    jw_key(&w, "error");
    jw_open(&w);
    jw_c(&w, "code", f->code);
    jw_c(&w, "message", f->message);
    jw_bool(&w, "retryable", cpay_fault_retryable(f));
    jw_str(&w, "field", str_c(f->field));
    jw_c(&w, "request_id", request_id);
    jw_close(&w);
    jw_close(&w);
}

void cpay_body_event(struct buf *out, const char *id, const char *type, int64_t at_us,
                     int64_t sequence, const struct cpay_payment *p, const struct cpay_money *m)
{
    struct jsonw w = jw_into(out);
    jw_open(&w);
    jw_c(&w, "id", id);
    jw_c(&w, "type", type);
    jw_time(&w, "created_at", at_us);
    jw_bool(&w, "livemode", false);
    jw_i64(&w, "sequence", sequence);
    jw_key(&w, "data");
    jw_open(&w);
    jw_key(&w, "object");
    if (p != NULL)
        cpay_body_payment(&w, p);
    else
        cpay_body_money(&w, m);
    jw_close(&w);
    jw_close(&w);
}
