/* The registry, and what must hold for every gateway in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateways/gateway.h"

static void finding(void **state)
{
    (void)state;
    for (size_t i = 0; gateways[i] != NULL; i++) {
        assert_ptr_equal(gateway_find(str_c(gateways[i]->name)), gateways[i]);
        struct str rest = str_c(gateways[i]->methods), method;
        while (str_split(&rest, ',', &method)) { /* the first of those that offer it */
            size_t first = 0;
            while (!gateway_lists(gateways[first]->methods, method))
                first++;
            assert_ptr_equal(gateway_for_method(method), gateways[first]);
        }
    }
    static const char *const none[] = {"",  "mpes", "mpesa_", "MPESA", "mpesa,mpesa_stk",
                                       ",", "cash "};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_null(gateway_find(str_c(none[i])));
        assert_null(gateway_for_method(str_c(none[i])));
    }
    assert_string_equal(gateway_for_method(STR("mpesa_stk"))->name, "mpesa");
    assert_string_equal(gateway_for_method(STR("cash_on_delivery"))->name, "cash");
    assert_string_equal(gateway_for_method(STR("mobile_money"))->name, "mpesa");
}

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *list, *word;
        bool in;
    } cases[] = {
        {"", "KES", true},        {"", "", true},      {"KES", "KES", true},
        {"KES", "KE", false},     {"KES", "", false},  {"KES,UGX", "UGX", true},
        {"KES,UGX", "ES", false}, {"KES,", "", false}, {"KES,UGX", "KES,UGX", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(gateway_lists(cases[i].list, str_c(cases[i].word)), cases[i].in);
}

static void settings(void **state)
{
    (void)state;
    const struct gateway *g = gateway_find(STR("mpesa"));
    struct gw_account a = {.gateway = g};
    unsigned char value[] = "174379";
    for (size_t i = 0; i < g->n_settings; i++) {
        assert_true(gw_setting(&a, g->settings[i].name).p == NULL);
        a.settings[i] = (struct secret){value, 6};
        assert_true(str_eq(gw_setting(&a, g->settings[i].name), STR("174379")));
        a.settings[i] = (struct secret){0};
    }
    assert_true(gw_setting(&a, "no_such").p == NULL);
}

/* Holes in a description would be found by a payment. */
static void descriptions(void **state)
{
    (void)state;
    size_t n = 0;
    for (; gateways[n] != NULL; n++) {
        const struct gateway *g = gateways[n];
        assert_true(g->name[0] != '\0' && g->title[0] != '\0' && g->methods[0] != '\0');
        assert_true(g->action[0] != '\0' && g->expiry_us > 0);
        assert_true(g->n_settings <= GW_MAX_SETTINGS);
        assert_true(g->n_settings == 0 || g->env_prefix != NULL);
        assert_true((g->token_build == NULL) == (g->token_parse == NULL));
        assert_true(g->max_minor == 0 || g->min_minor <= g->max_minor);
        /* manual is what remains when all rails have failed: none of a gateway's own */
        assert_true(g->n_refund_rails >= 0 && g->n_refund_rails < REFUND_MAX_RAILS);
        assert_true((g->n_refund_rails > 0) == (g->refund_build != NULL));
        for (int i = 0; i < g->n_refund_rails; i++)
            assert_true(g->refund_rails[i] != REFUND_RAIL_NONE &&
                        g->refund_rails[i] != REFUND_RAIL_MANUAL);
        assert_true((g->refund_build == NULL) == (g->refund_parse == NULL));
        assert_true((g->refund_query_build == NULL) == (g->refund_query_parse == NULL));
        if (g->manual) {
            assert_true(g->charge_build == NULL && g->query_build == NULL);
            continue;
        }
        assert_true(g->charge_build != NULL && g->charge_parse != NULL);
        assert_true((g->query_build == NULL) == (g->query_parse == NULL));
        assert_true(g->default_base_url[0] != '\0' &&
                    !str_ends(str_c(g->default_base_url), STR("/")));
        assert_true(g->callback_parse == NULL || g->callback_ack != NULL);
    }
    assert_true(n >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finding),
        cmocka_unit_test(lists),
        cmocka_unit_test(settings),
        cmocka_unit_test(descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
