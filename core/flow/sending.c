/* Between the commit that a request is on its way and the commit of what its provider says. */
#include "core/flow/sending.h"

#include "core/base/times.h"
#include "core/flow/account.h"
#include "core/flow/record.h"

enum { SENDING_ARENA = 1024 * 1024, SENDING_TRIES = 60 };

struct err sending_in_time(int64_t now_us, int64_t sent_at_us, int64_t lease_us)
{
    return now_us >= sent_at_us + lease_us ? ERR(TIMEOUT, "not sent in time") : ERR_OK;
}

struct gw_result sending_not_started(struct err err)
{
    bool wrong = err.code == ERR_INVALID || err.code == ERR_CONFIG;
    return (struct gw_result){
        .verdict = GW_REFUSED,
        .code = wrong ? FAILURE_CONFIGURATION : FAILURE_PROVIDER_UNAVAILABLE,
        .message = err.what != NULL ? str_c(err.what) : STR(""),
    };
}

struct err sending_names(struct flow *f, struct arena *a, const struct gateway *g, struct uuid id,
                         struct uuid merchant, struct str *our_id, struct str *callback_url)
{
    char text[OUR_ID_TEXT];
    *our_id = arena_dup(a, str_c(our_id_make(g, id, merchant, text)));
    *callback_url = flow_callback_url(f, a, g, id, merchant);
    return our_id->p != NULL && callback_url->p != NULL ? ERR_OK : ERR(NO_MEMORY, "request");
}

enum sending_word sending_word(enum gw_verdict verdict, bool query)
{
    switch (verdict) {
    case GW_ACCEPTED:
        return query ? SENDING_STILL_PENDING : SENDING_ACCEPTED;
    case GW_REFUSED:
    case GW_TOKEN_REJECTED:
        return query ? SENDING_UNREACHABLE : SENDING_REFUSED;
    case GW_SUCCEEDED:
        return SENDING_SUCCESS;
    case GW_FAILED:
        return SENDING_FAILURE;
    case GW_REVERSED:
        return SENDING_RETURN;
    case GW_PENDING:
        return query ? SENDING_STILL_PENDING : SENDING_AMBIGUOUS;
    case GW_UNKNOWN:
    case GW_NOT_FOUND: /* it may still be on its way there */
        break;
    }
    return query ? SENDING_UNREACHABLE : SENDING_AMBIGUOUS;
}

static const char *outcome_of(enum sending_word word)
{
    switch (word) {
    case SENDING_ACCEPTED:
    case SENDING_SUCCESS:
    case SENDING_STILL_PENDING:
        return "ok";
    case SENDING_REFUSED:
    case SENDING_FAILURE:
    case SENDING_RETURN:
        return "refused";
    case SENDING_AMBIGUOUS:
    case SENDING_UNREACHABLE:
        break;
    }
    return "ambiguous";
}

void sending_begin(struct sending *s, struct flow *f, struct uuid merchant)
{
    *s = (struct sending){.flow = f, .merchant = merchant};
    arena_init(&s->arena, SENDING_ARENA);
    f->busy++;
}

void sending_end(struct sending *s)
{
    s->flow->busy--;
    account_release(s->account);
    arena_free(&s->arena);
}

void sending_account(struct sending *s, const struct flow_account *account)
{
    account_release(s->account);
    s->account = account_hold(account);
}

struct gw_result sending_said(struct sending *s, const struct gw_result *result,
                              const struct gw_exchange *x, int n, const char *op,
                              enum sending_word word)
{
    struct arena *a = &s->arena;
    struct gw_result kept = *result;
    kept.provider_ref = arena_dup(a, result->provider_ref);
    kept.receipt = arena_dup(a, result->receipt);
    kept.provider_code = arena_dup(a, result->provider_code);
    kept.message = arena_dup(a, result->message);
    s->call = record_exchange(a, n, op, outcome_of(word), x);
    s->tries = 0;
    return kept;
}

bool sending_again(struct sending *s, struct err err, loop_fn *commit, void *ctx)
{
    bool again = err_retryable(err.code) || err.code == ERR_AMBIGUOUS || err.code == ERR_CONFLICT;
    if (!again || s->flow->closing || ++s->tries >= SENDING_TRIES)
        return false;
    timer_set(s->flow->loop, &s->timer, US_PER_S, commit, ctx);
    return true;
}
