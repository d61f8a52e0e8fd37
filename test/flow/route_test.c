/* The choice of a provider: every mix of what may be wrong with two of them, and the reading of
 * routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/flow/route.h"

#define KES CURRENCY('K', 'E', 'S')

/* What each account is like: M-Pesa's without a name and "main", which is the same, M-Pesa's
 * "other", and anybody else's. */
struct world {
    const char *first, *second; /* "": well, "no_account", "unwell" */
    int n_asked;
    const char *other;
};

/* Named by a number in its last byte. */
static struct uuid account_id(const struct gateway *g, struct str account)
{
    struct uuid id = {{0}};
    bool mpesa = strcmp(g->name, "mpesa") == 0, other = str_eq(account, STR("other"));
    assert_true(account.n == 0 || other || str_eq(account, STR("main")));
    id.b[15] = (uint8_t)(!mpesa ? 3 : other ? 2 : 1);
    return id;
}

static struct route_state state_of(void *ctx, const struct gateway *g, struct str account)
{
    struct world *w = ctx;
    struct uuid id = account_id(g, account);
    const char *how = id.b[15] == 1 ? w->first : id.b[15] == 2 ? w->other : w->second;
    w->n_asked++;
    return (struct route_state){.has_account = strcmp(how, "no_account") != 0,
                                .account = id,
                                .unwell = strcmp(how, "unwell") == 0 ? "unwell" : NULL};
}

static struct route_question question(void)
{
    return (struct route_question){.method = STR("mobile_money"),
                                   .country = STR("KE"),
                                   .has_phone = true,
                                   .amount = {100000, KES}};
}

static struct route_rule rule(const char *provider)
{
    struct route_rule r = {.enabled = true};
    str_copy_c(r.method, sizeof r.method, STR("mobile_money"));
    str_copy_c(r.provider, sizeof r.provider, str_c(provider));
    return r;
}

/* The first that is well; else the first that is unwell; else, as nothing can be taken, the
 * first. */
static void two_providers(void **state)
{
    (void)state;
    static const char *const how[] = {"", "unwell", "no_account"};
    for (int routed = 0; routed < 2; routed++) {
        for (int a = 0; a < 3; a++) {
            for (int b = 0; b < 3; b++) {
                struct world w = {how[a], how[b], 0, ""};
                struct routes routes = {.n = 0};
                struct route_question q = question();
                struct route_choice c;
                if (routed) {
                    routes.list[routes.n++] = rule("mpesa");
                    routes.list[routes.n++] = rule("cpay");
                }
                route_choose(&routes, &q, state_of, &w, &c);
                const char *chosen = a == 0   ? "mpesa"
                                     : b == 0 ? "cpay"
                                     : a == 1 ? "mpesa"
                                     : b == 1 ? "cpay"
                                              : "mpesa";
                bool nobody = routed && a == 2 && b == 2;
                assert_int_equal(c.no_route, nobody);
                if (nobody) {
                    assert_null(c.gateway);
                    assert_int_equal(c.n_skipped, 2);
                    continue;
                }
                assert_string_equal(c.gateway->name, chosen);
                bool fits = a == 0 || b == 0;
                assert_string_equal(c.reason, !fits ? "last_resort" : routed ? "route" : "default");
                size_t n_skipped = a == 0 ? 0 : 1;
                assert_int_equal(c.n_skipped, n_skipped);
                if (n_skipped == 1) {
                    bool second = strcmp(chosen, "cpay") == 0;
                    assert_string_equal(c.skipped[0].gateway->name, second ? "mpesa" : "cpay");
                    assert_string_equal(c.skipped[0].reason, second ? how[a] : how[b]);
                }
            }
        }
    }
}

/* Two accounts of one provider, and another provider behind them: the first that is well and was
 * not asked, whatever the routes call it; else the first that is unwell. */
static void two_accounts(void **state)
{
    (void)state;
    static const char *const how[] = {"", "unwell", "no_account"};
    static const char *const names[] = {"main", "other", ""};
    for (int mix = 0; mix < 27 * 8; mix++) {
        int is[] = {mix % 3, mix / 3 % 3, mix / 9 % 3}, tried = mix / 27, best = -1, resort = -1;
        struct world w = {how[is[0]], how[is[2]], 0, how[is[1]]};
        struct routes routes = {.n = 3, .list = {rule("mpesa"), rule("mpesa"), rule("cpay")}};
        struct route_question q = question();
        struct route_choice c;
        str_copy_c(routes.list[0].account, ROUTE_WORD, STR("main"));
        str_copy_c(routes.list[1].account, ROUTE_WORD, STR("other"));
        for (int i = 2; i >= 0; i--) {
            struct uuid id = {{0}};
            id.b[15] = (uint8_t)(i + 1);
            if ((tried >> i & 1) != 0)
                q.tried[q.n_tried++] = id;
            else if (is[i] == 0)
                best = i;
            else if (is[i] == 1)
                resort = i;
        }
        route_choose(&routes, &q, state_of, &w, &c);
        int chosen = best >= 0 ? best : resort;
        assert_int_equal(c.no_route, chosen < 0);
        assert_int_equal(c.gateway == NULL, chosen < 0);
        if (chosen < 0)
            continue;
        assert_string_equal(c.gateway->name, chosen < 2 ? "mpesa" : "cpay");
        assert_true(str_eq(c.account, str_c(names[chosen])));
        assert_string_equal(c.reason, best >= 0 ? "route" : "last_resort");
        for (size_t i = 0; i < c.n_skipped; i++)
            assert_false(c.skipped[i].gateway == c.gateway &&
                         str_eq(c.skipped[i].account, c.account));
        if (best >= 0)
            assert_int_equal(c.n_skipped, best);
    }
    /* without a name it is the account that was tried under its own */
    struct world w = {"", "", 0, ""};
    struct routes routes = {.n = 1, .list = {rule("mpesa")}};
    struct route_question q = question();
    struct route_choice c;
    q.tried[q.n_tried++] = account_id(gateway_find(STR("mpesa")), STR("main"));
    route_choose(&routes, &q, state_of, &w, &c);
    assert_true(c.no_route);
    assert_string_equal(c.skipped[0].reason, "tried");
}

/* Each condition of a route, met and not; bounds belong to the range. */
static void conditions(void **state)
{
    (void)state;
    static const struct {
        const char *country;
        uint16_t currency;
        int64_t min, max;
        bool disabled;
        const char *against;
    } cases[] = {
        {"", 0, 0, 0, false, NULL},
        {"KE", 0, 0, 0, false, NULL},
        {"UG", 0, 0, 0, false, "country"},
        {"", KES, 0, 0, false, NULL},
        {"", CURRENCY('U', 'S', 'D'), 0, 0, false, "currency"},
        {"", KES, 100000, 0, false, NULL},
        {"", KES, 100001, 0, false, "amount"},
        {"", KES, 0, 100000, false, NULL},
        {"", KES, 0, 99999, false, "amount"},
        {"", KES, 100000, 100000, false, NULL},
        {"", 0, 0, 0, true, "disabled"},
        {"UG", KES, 0, 0, true, "disabled"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world w = {"", "", 0, ""};
        struct routes routes = {.n = 1, .list = {rule("cpay")}};
        struct route_question q = question();
        struct route_choice c;
        str_copy_c(routes.list[0].country, 3, str_c(cases[i].country));
        routes.list[0].currency = cases[i].currency;
        routes.list[0].min_minor = cases[i].min;
        routes.list[0].max_minor = cases[i].max;
        routes.list[0].enabled = !cases[i].disabled;
        route_choose(&routes, &q, state_of, &w, &c);
        assert_int_equal(c.no_route, cases[i].against != NULL);
        assert_int_equal(w.n_asked, cases[i].against == NULL);
        if (cases[i].against == NULL)
            assert_string_equal(c.gateway->name, "cpay");
        else
            assert_string_equal(c.skipped[0].reason, cases[i].against);
    }
}

/* What the client left out is refused elsewhere, and excludes nobody. */
static void unknown_facts(void **state)
{
    (void)state;
    struct world w = {"", "", 0, ""};
    struct routes routes = {.n = 0};
    struct route_choice c;
    struct route_question q = question();
    q.amount = (struct money){0, 0};
    route_choose(&routes, &q, state_of, &w, &c);
    assert_string_equal(c.gateway->name, "mpesa");
    q.method = STR("barter");
    route_choose(&routes, &q, state_of, &w, &c);
    assert_null(c.gateway);
    assert_false(c.no_route);
    routes = (struct routes){.n = 1, .list = {rule("mpesa")}}; /* for another method */
    q = question();
    q.method = STR("wallet");
    route_choose(&routes, &q, state_of, &w, &c);
    assert_string_equal(c.gateway->name, "cpay");
    assert_string_equal(c.reason, "default");
}

/* Written, read and written again: the same, for a full list of every kind of route. */
static void read_and_written(void **state)
{
    (void)state;
    struct routes routes = {.n = ROUTES_MAX}, again;
    struct arena a;
    struct buf b, c;
    for (size_t i = 0; i < ROUTES_MAX; i++) {
        routes.list[i] = rule((i & 1) != 0 ? "mpesa" : "cpay");
        if ((i & 2) != 0)
            str_copy_c(routes.list[i].country, 3, STR("KE"));
        if ((i & 4) != 0)
            routes.list[i].currency = KES;
        if ((i & 9) == 9)
            str_copy_c(routes.list[i].account, ROUTE_WORD, STR("paybill-2"));
        if ((i & 12) == 12)
            routes.list[i].min_minor = 100;
        if ((i & 20) == 20)
            routes.list[i].max_minor = 12345678901;
        routes.list[i].enabled = (i & 3) != 3;
    }
    arena_init(&a, 1024 * 1024);
    buf_init(&b, 65536);
    buf_init(&c, 65536);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_key(&w, "routes");
    routes_put(&w, &routes);
    jw_close(&w);
    struct json *j;
    struct field_errors errors = {.arena = &a};
    assert_false(err_is(json_parse(buf_view(&b), &j, NULL)));
    routes_read(json_get(j, "routes"), &errors, &again);
    json_free(j);
    assert_int_equal(errors.n, 0);
    assert_int_equal(again.n, ROUTES_MAX);
    w = jw_into(&c);
    jw_open(&w);
    jw_key(&w, "routes");
    routes_put(&w, &again);
    jw_close(&w);
    assert_true(str_eq(buf_view(&b), buf_view(&c)));
    assert_string_equal(again.list[9].account, "paybill-2");
    assert_string_equal(again.list[8].account, "");
    buf_free(&b);
    buf_free(&c);
    arena_free(&a);
}

static void choice_as_json(void **state)
{
    (void)state;
    struct world w = {"unwell", "", 0, ""};
    struct routes routes = {.n = 0};
    struct route_question q = question();
    struct route_choice c;
    struct buf b;
    route_choose(&routes, &q, state_of, &w, &c);
    buf_init(&b, 4096);
    route_choice_put(&b, &c);
    assert_true(str_eq(buf_view(&b),
                       STR("{\"chosen\":\"cpay\",\"reason\":\"default\",\"skipped\":[{\"provider\":"
                           "\"mpesa\",\"reason\":\"unwell\"}]}")));
    routes = (struct routes){.n = 2, .list = {rule("mpesa"), rule("mpesa")}};
    str_copy_c(routes.list[1].account, ROUTE_WORD, STR("other"));
    route_choose(&routes, &q, state_of, &w, &c);
    buf_reset(&b);
    route_choice_put(&b, &c);
    assert_true(
        str_eq(buf_view(&b), STR("{\"chosen\":\"mpesa\",\"account\":\"other\",\"reason\":\"route\","
                                 "\"skipped\":[{\"provider\":\"mpesa\",\"reason\":\"unwell\"}]}")));
    buf_free(&b);
}

/* Who was asked is not asked again, by a route or without one; nobody is better than him. */
static void tried_before(void **state)
{
    (void)state;
    for (int routed = 0; routed < 2; routed++) {
        struct world w = {"", "", 0, ""};
        struct routes routes = {.n = 0};
        struct route_question q = question();
        struct route_choice c;
        if (routed) {
            routes.list[routes.n++] = rule("mpesa");
            routes.list[routes.n++] = rule("cpay");
        }
        q.tried[q.n_tried++] = account_id(gateway_find(STR("mpesa")), STR(""));
        route_choose(&routes, &q, state_of, &w, &c);
        assert_string_equal(c.gateway->name, "cpay");
        assert_string_equal(c.reason, routed ? "route" : "default");
        assert_int_equal(c.n_skipped, 1);
        assert_string_equal(c.skipped[0].reason, "tried");
        q.tried[q.n_tried++] = account_id(gateway_find(STR("cpay")), STR(""));
        route_choose(&routes, &q, state_of, &w, &c);
        assert_true(c.gateway == NULL || strcmp(c.reason, "last_resort") == 0);
    }
}

/* Only what a provider of our choice has refused for a reason of its own goes on. */
static void what_goes_on(void **state)
{
    (void)state;
    static const enum failure_code own[] = {FAILURE_AMOUNT_INVALID, FAILURE_PROVIDER_BUSY,
                                            FAILURE_PROVIDER_UNAVAILABLE, FAILURE_PROVIDER_ERROR,
                                            FAILURE_CONFIGURATION};
    static const enum payment_event_kind ends[] = {PAYMENT_EVENT_REFUSED, PAYMENT_EVENT_FAILURE};
    struct payment_record rec = {.places = {{.route = STR("{}")}}};
    rec.p.status = PAYMENT_PROCESSING;
    for (int n = 0; n <= PAYMENT_MAX_ATTEMPTS; n++) {
        for (int code = 0; code < FAILURE_N_CODES; code++) {
            for (int kind = 0; kind < PAYMENT_EVENT_N; kind++) {
                struct payment_event ev = {.kind = (enum payment_event_kind)kind,
                                           .code = (enum failure_code)code};
                bool may = kind == PAYMENT_EVENT_NOT_FOUND;
                bool by_provider = code == FAILURE_NONE;
                for (size_t i = 0; i < COUNT_OF(own); i++)
                    by_provider |= ev.code == own[i];
                for (size_t i = 0; i < COUNT_OF(ends); i++)
                    may |= ev.kind == ends[i] && by_provider;
                rec.p.n_attempts = n;
                assert_int_equal(route_may_go_on(&rec, &ev), may && n > 0 && n < 3);
                rec.places[0].route = STR_NULL; /* the client has named it */
                assert_false(route_may_go_on(&rec, &ev));
                rec.places[0].route = STR("{}");
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_providers),  cmocka_unit_test(conditions),
        cmocka_unit_test(unknown_facts),  cmocka_unit_test(read_and_written),
        cmocka_unit_test(choice_as_json), cmocka_unit_test(tried_before),
        cmocka_unit_test(what_goes_on),   cmocka_unit_test(two_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
