/* The experimenter's side of the sandbox: what it saw, what it believes, how it shall behave. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/codec/json.h"
#include "gateways/sandbox/daraja.h"
#include "gateways/sandbox/outcome.h"
#include "gateways/sandbox/refund_outcome.h"
#include "gateways/sandbox/sandbox_int.h"

enum { LIMIT_DEFAULT = 1000, LIMIT_MAX = 10000, SKIP_MAX_S = 24 * 3600 };
enum { ANSWER_LIMIT = 32 * 1024 * 1024 };

static void calls_get(struct http_exchange *x);
static void charges_get(struct http_exchange *x);
static void refunds_get(struct http_exchange *x);
static void callbacks_get(struct http_exchange *x);
static void outcomes_get(struct http_exchange *x);
static void chaos_get(struct http_exchange *x);
static void chaos_post(struct http_exchange *x);
static void reset_post(struct http_exchange *x);
static void skip_post(struct http_exchange *x);
static void c2b_post(struct http_exchange *x);
static void c2b_get(struct http_exchange *x);

const struct route inspect_routes[] = {
    {HTTP_GET_, "/calls", calls_get, 0},       {HTTP_GET_, "/charges", charges_get, 0},
    {HTTP_GET_, "/refunds", refunds_get, 0},   {HTTP_GET_, "/callbacks", callbacks_get, 0},
    {HTTP_GET_, "/outcomes", outcomes_get, 0}, {HTTP_GET_, "/chaos", chaos_get, 0},
    {HTTP_POST_, "/chaos", chaos_post, 0},     {HTTP_POST_, "/reset", reset_post, 0},
    {HTTP_POST_, "/skip", skip_post, 0},       {HTTP_POST_, "/mpesa/c2b", c2b_post, 0},
    {HTTP_GET_, "/mpesa/c2b", c2b_get, 0},     {0, NULL, NULL, 0},
};

/* A query parameter between 0 and max; false after having answered. */
static bool number_param(struct http_exchange *x, const char *name, int64_t max, int64_t *out)
{
    struct str text = http_query(x, str_c(name));
    if (text.p == NULL || (str_to_i64(text, out) && *out >= 0 && *out <= max))
        return true;
    http_problem(x, ERR(VALIDATION, "query"), "limit is 0 to 10000, after a number");
    return false;
}

static void answer(struct http_exchange *x, struct buf *b)
{
    if (b->failed)
        http_problem(x, ERR(LIMIT, "inspect"), "ask for less by limit");
    else
        http_reply_json(x, 200, buf_view(b));
    buf_free(b);
}

static void calls_get(struct http_exchange *x)
{
    struct sandbox *s = x->app;
    struct call_filter f = {.provider = http_query(x, STR("provider")),
                            .op = http_query(x, STR("op")),
                            .phone = http_query(x, STR("phone")),
                            .reference = http_query(x, STR("reference")),
                            .limit = LIMIT_DEFAULT};
    struct buf b;
    struct jsonw w = jw_into(&b);
    if (!number_param(x, "limit", LIMIT_MAX, &f.limit))
        return;
    buf_init(&b, ANSWER_LIMIT);
    journal_print(&s->journal, &f, &w);
    answer(x, &b);
}

static void charges_get(struct http_exchange *x)
{
    struct sandbox *s = x->app;
    struct book_filter f = {.provider = http_query(x, STR("provider")),
                            .phone = http_query(x, STR("phone")),
                            .reference = http_query(x, STR("reference")),
                            .state = http_query(x, STR("state")),
                            .id = http_query(x, STR("checkout_request_id")),
                            .limit = LIMIT_DEFAULT};
    struct buf b;
    struct jsonw w = jw_into(&b);
    if (!number_param(x, "limit", LIMIT_MAX, &f.limit) ||
        !number_param(x, "after", INT64_MAX, &f.after))
        return;
    buf_init(&b, ANSWER_LIMIT);
    book_print(&s->book, &f, &w);
    answer(x, &b);
}

static void refunds_get(struct http_exchange *x)
{
    struct sandbox *s = x->app;
    struct payback_filter f = {.provider = http_query(x, STR("provider")),
                               .kind = http_query(x, STR("kind")),
                               .receipt = http_query(x, STR("receipt")),
                               .phone = http_query(x, STR("phone")),
                               .state = http_query(x, STR("state")),
                               .originator_id = http_query(x, STR("originator_id")),
                               .limit = LIMIT_DEFAULT};
    struct buf b;
    struct jsonw w = jw_into(&b);
    if (!number_param(x, "limit", LIMIT_MAX, &f.limit) ||
        !number_param(x, "after", INT64_MAX, &f.after))
        return;
    buf_init(&b, ANSWER_LIMIT);
    payback_print(&s->paybacks, &f, &w);
    answer(x, &b);
}

static void callbacks_get(struct http_exchange *x)
{
    struct sandbox *s = x->app;
    int64_t limit = LIMIT_DEFAULT;
    struct buf b;
    struct jsonw w = jw_into(&b);
    if (!number_param(x, "limit", LIMIT_MAX, &limit))
        return;
    buf_init(&b, ANSWER_LIMIT);
    courier_print(s->courier, http_query(x, STR("checkout_request_id")), limit, &w);
    answer(x, &b);
}

static void ending_print(struct jsonw *w, int digits, int number, const char *words)
{
    char suffix[16];
    (void)snprintf(suffix, sizeof suffix, "%0*d", digits, number);
    jw_open(w);
    jw_c(w, "suffix", suffix);
    jw_c(w, "outcome", words);
    jw_close(w);
}

static void outcomes_get(struct http_exchange *x)
{
    const struct outcome *o;
    const struct refund_outcome *r;
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, ANSWER_LIMIT);
    jw_open(&w);
    jw_key(&w, "data");
    jw_open_list(&w);
    for (size_t i = 0; (o = outcome_at(i)) != NULL; i++)
        ending_print(&w, 3, o->number, o->words);
    jw_close_list(&w);
    jw_key(&w, "refunds");
    jw_open_list(&w);
    for (size_t i = 0; (r = refund_outcome_at(i)) != NULL; i++)
        ending_print(&w, 2, r->number, r->words);
    jw_close_list(&w);
    jw_close(&w);
    answer(x, &b);
}

static void chaos_get(struct http_exchange *x)
{
    struct sandbox *s = x->app;
    struct buf *b = sandbox_scratch(s);
    struct jsonw w = jw_into(b);
    chaos_print(&s->chaos, &w);
    http_reply_json(x, 200, buf_view(b));
}

static void chaos_post(struct http_exchange *x)
{
    struct sandbox *s = x->app;
    struct field_errors errors = {.arena = x->arena};
    struct json *obj = NULL;
    size_t where;
    struct err e = json_parse(x->body, &obj, &where);
    if (!err_is(e) && json_kind(obj) != JSON_OBJ)
        e = ERR(INVALID_JSON, "not an object");
    if (!err_is(e))
        chaos_change(&s->chaos, obj, &errors);
    bool reseed = json_get(obj, "seed") != NULL;
    json_free(obj);
    if (err_is(e)) {
        http_problem(x, e, "send a JSON object");
        return;
    }
    if (errors.n > 0) {
        http_problem_fields(x, ERR(VALIDATION, "settings"), "no setting was changed", &errors);
        return;
    }
    if (reseed)
        dice_seed(&s->dice, s->chaos.seed);
    chaos_get(x);
}

static void reset_post(struct http_exchange *x)
{
    sandbox_reset(x->app);
    chaos_get(x);
}

static void skip_post(struct http_exchange *x)
{
    struct sandbox *s = x->app;
    int64_t seconds;
    if (!str_to_i64(http_query(x, STR("s")), &seconds) || seconds < 0 || seconds > SKIP_MAX_S) {
        http_problem(x, ERR(VALIDATION, "query"), "s is 0 to 86400 seconds");
        return;
    }
    loop_skip(s->loop, seconds * US_PER_S);
    chaos_get(x);
}

static void c2b_post(struct http_exchange *x)
{
    daraja_c2b_pay(sandbox_state_of(x->app, daraja_provider.name), x);
}

static void c2b_get(struct http_exchange *x)
{
    daraja_c2b_list(sandbox_state_of(x->app, daraja_provider.name), x);
}
