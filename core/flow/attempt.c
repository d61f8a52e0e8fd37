/* What is the same of each attempt, the first and those that follow it: the request, its answer,
 * and that nothing of either depends on the process that made it. */
#include "core/flow/attempt.h"

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "core/flow/sending.h"

struct str attempt_our_id(struct arena *a, const struct payment_record *rec, int n,
                          const struct gateway *g)
{
    char text[OUR_ID_TEXT];
    return arena_dup(a, str_c(our_id_make(g, attempt_id(rec->id, n), rec->merchant, text)));
}

static struct str or_empty(struct str s)
{
    return s.p != NULL ? s : STR("");
}

struct err attempt_request(struct flow *f, struct arena *a, const struct payment_record *rec, int n,
                           const struct gateway *g, struct gw_charge *out)
{
    struct str person, phone, email;
    const struct attempt *made = n <= rec->p.n_attempts ? &rec->p.attempts[n - 1] : NULL;
    TRY(record_person(f, rec, a, &person));
    TRY(person_phone(person, a, &phone));
    TRY(person_email(person, a, &email));
    *out = (struct gw_charge){
        .amount = made != NULL ? made->amount : payment_asked(&rec->p),
        .method = rec->method,
        .method_token = STR(""),
        .phone = phone,
        .email = email,
        .pay_code = rec->pay_code,
        .description = or_empty(rec->description),
        .return_url = or_empty(rec->return_url),
        .expires_us = rec->p.expires_at_us,
        .now_us = loop_wall_us(f->loop),
    };
    return sending_names(f, a, g, attempt_id(rec->id, n), rec->merchant, &out->our_id,
                         &out->callback_url);
}

struct str attempt_action(struct arena *a, const struct payment_record *rec,
                          const struct gateway *g, int64_t from_us)
{
    char at[TIME_TEXT], amount[MONEY_TEXT];
    money_text(payment_asked(&rec->p), amount);
    if (g->manual)
        return arena_fmt(a, "{\"type\":\"%s\",\"amount\":\"%s\",\"reference\":\"%.*s\"}", g->action,
                         amount, STR_ARG(rec->pay_code));
    time_text(from_us + g->prompt_window_us, at);
    return arena_fmt(a, "{\"type\":\"%s\",\"amount\":\"%s\",\"expires_at\":\"%s\"}", g->action,
                     amount, at);
}

void attempt_answer(struct arena *a, const struct payment_record *rec, int n,
                    const struct gw_result *result, const struct gw_exchange *exchange,
                    struct attempt_answer *out)
{
    struct payment_event *ev = &out->event;
    const char *outcome = "ambiguous";
    *ev = (struct payment_event){
        .kind = PAYMENT_EVENT_AMBIGUOUS,
        .attempt = n,
        .source = SOURCE_API,
        .code = result->code,
        .provider_ref = arena_dup(a, result->provider_ref),
        .provider_code = arena_dup(a, result->provider_code),
        .message = arena_dup(a, result->message),
        .asks = gw_asks(result),
    };
    if (result->verdict == GW_ACCEPTED) {
        ev->kind = PAYMENT_EVENT_ACCEPTED;
        outcome = "ok";
    } else if (result->verdict == GW_REFUSED || result->verdict == GW_TOKEN_REJECTED) {
        ev->kind = PAYMENT_EVENT_REFUSED;
        outcome = "refused";
    }
    out->call = record_exchange(a, n, "charge", outcome, exchange);
    out->call.next_action = arena_dup(a, result->next_action);
    log_info("charge.sent", F_ID("payment", rec->id), F_STR("provider", rec->provider),
             F_I64("attempt", n), F_C("outcome", outcome), F_I64("http", exchange->http_status),
             F_I64("ms", exchange->took_us / 1000));
}

void attempt_send(struct flow *f, const struct gw_account *account, const struct attempt *a,
                  const struct gw_charge *in, gw_done_fn *done, void *ctx)
{
    struct err err = sending_in_time(in->now_us, a->sent_at_us, f->settings.rules.sending_lease_us);
    if (!err_is(err))
        err = gw_charge_start(f->gateways, account, in, done, ctx);
    if (!err_is(err))
        return;
    struct gw_result result = sending_not_started(err);
    struct gw_exchange exchange = {.op = GW_OP_CHARGE};
    done(ctx, &result, &exchange);
}
