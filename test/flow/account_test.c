/* core/flow/account_text.c and the account that it makes: what is sealed opens in its own place
 * only, and what the merchant leaves open is the installation's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/flow/account.h"

#define MASTER "m1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

static const struct uuid merchant_a = {{1, 2}}, merchant_b = {{1, 3}}, row_a = {{7, 1}},
                         row_b = {{7, 2}};
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 4 << 20);
    return err_is(crypto_open()) ? 1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    arena_trim();
    crypto_close();
    return 0;
}

static struct vault *ready_vault(void)
{
    static const char *const kinds[] = {"data", "hmac"};
    struct vault *v = NULL;
    assert_false(err_is(vault_new(STR(MASTER), &v)));
    for (size_t i = 0; i < 2; i++) {
        struct buf b;
        buf_init(&b, 1024);
        assert_false(err_is(vault_make_wrapped(v, &b)));
        assert_false(err_is(vault_add(v, str_c(kinds[i]), 1, buf_view(&b))));
        buf_free(&b);
    }
    return v;
}

static const struct gateway *with_settings(void)
{
    for (size_t i = 0; gateways[i] != NULL; i++)
        if (gateways[i]->n_settings >= 2)
            return gateways[i];
    return NULL;
}

static const struct gateway *another(const struct gateway *g)
{
    for (size_t i = 0; gateways[i] != NULL; i++)
        if (gateways[i] != g)
            return gateways[i];
    return NULL;
}

static struct account_text sample(const struct gateway *g)
{
    struct account_text t = {.gateway = g, .live = true, .rate_per_s = 7};
    t.settings[0] = STR("first \"quoted\" \\ value");
    t.settings[1] = STR("zwei\nZeilen \xc3\xbc");
    return t;
}

static struct str text_of(const struct account_text *t)
{
    struct buf b;
    buf_init(&b, ACCOUNT_SEALED_MAX);
    account_text_put(&b, t);
    assert_false(b.failed);
    struct str s = arena_dup(&arena, buf_view(&b));
    buf_free(&b);
    return s;
}

static void text_round(void **state)
{
    (void)state;
    const struct gateway *g = with_settings();
    struct account_text in = sample(g), out;
    in.base_url = STR("https://pay.example/v1");
    assert_false(err_is(account_text_read(text_of(&in), g, true, &arena, &out)));
    assert_ptr_equal(out.gateway, g);
    assert_true(out.live);
    assert_int_equal(out.rate_per_s, 7);
    assert_true(str_eq(out.base_url, in.base_url));
    assert_null(out.callback_cidrs.p);
    for (size_t i = 0; i < g->n_settings; i++) {
        assert_true(str_eq(out.settings[i], in.settings[i]));
        assert_true((out.settings[i].p == NULL) == (in.settings[i].p == NULL));
    }
}

/* The row's provider and mode are not sealed; the text says them once more. */
static void text_of_another(void **state)
{
    (void)state;
    const struct gateway *g = with_settings();
    struct account_text in = sample(g), out;
    struct str text = text_of(&in);
    assert_int_equal(account_text_read(text, g, false, &arena, &out).code, ERR_CRYPTO);
    assert_int_equal(account_text_read(text, another(g), true, &arena, &out).code, ERR_CRYPTO);
    for (size_t n = 0; n < text.n; n++)
        assert_true(err_is(account_text_read(str_first(text, n), g, true, &arena, &out)));
    assert_true(err_is(account_text_read(STR("{}"), g, true, &arena, &out)));
    assert_true(err_is(account_text_read(STR("[]"), g, true, &arena, &out)));
}

static void sealed_in_its_place(void **state)
{
    (void)state;
    struct vault *v = ready_vault();
    struct account_text in = sample(with_settings());
    struct str plain;
    struct buf b;
    buf_init(&b, ACCOUNT_SEALED_MAX);
    assert_false(err_is(vault_seal(v, ACCOUNT_PLACE, merchant_a, row_a, text_of(&in), &b)));
    static const struct {
        const char *place;
        const struct uuid *merchant, *row;
        bool ok;
    } cases[] = {
        {ACCOUNT_PLACE, &merchant_a, &row_a, true},
        {ACCOUNT_PLACE, &merchant_b, &row_a, false},
        {ACCOUNT_PLACE, &merchant_a, &row_b, false},
        {ACCOUNT_PLACE, &row_a, &merchant_a, false},
        {"provider_account.config", &merchant_a, &row_a, false},
        {"webhook_endpoint.secrets", &merchant_a, &row_a, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err = vault_open(v, cases[i].place, *cases[i].merchant, *cases[i].row,
                                    buf_view(&b), &arena, &plain);
        assert_int_equal(err.code, cases[i].ok ? ERR_NONE : ERR_CRYPTO);
    }
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] = (char)(b.p[i] ^ 1);
        assert_true(
            err_is(vault_open(v, ACCOUNT_PLACE, merchant_a, row_a, buf_view(&b), &arena, &plain)));
        b.p[i] = (char)(b.p[i] ^ 1);
    }
    buf_free(&b);
    vault_free(v);
}

static struct flow installation(const struct gateway *g, bool live)
{
    struct flow f = {.n_accounts = 1,
                     .settings = {.provider_live = live, .provider_timeout_us = 5 * US_PER_S}};
    f.accounts[0].gw = (struct gw_account){.gateway = g, .base_url = STR("http://installation")};
    f.accounts[0].id = (struct uuid){{9, 9, 9, 9, 9, 9, 0x80}};
    assert_false(err_is(cidr_list_parse(STR("192.0.2.0/24"), &f.accounts[0].gw.callback_cidrs)));
    return f;
}

static void what_is_left_open(void **state)
{
    (void)state;
    const struct gateway *g = with_settings();
    struct account_text t = sample(g);
    struct flow_account a;
    struct flow same = installation(g, true), other = installation(g, false);
    assert_false(err_is(account_make(&same, &t, &a)));
    assert_true(str_eq(a.gw.base_url, STR("http://installation")));
    assert_false(a.gw.public_only);
    assert_int_equal(a.gw.callback_cidrs.n, 1);
    assert_int_equal(a.gw.timeout_us, 5 * US_PER_S);
    assert_int_equal(a.gw.rate_per_s, 7);
    assert_true(str_eq(gw_setting(&a.gw, g->settings[0].name), t.settings[0]));
    account_wipe(&a);
    assert_false(err_is(account_make(&other, &t, &a))); /* test money's URL is not for live money */
    assert_true(str_eq(a.gw.base_url, str_c(g->default_base_url)));
    assert_int_equal(a.gw.callback_cidrs.n, 0);
    account_wipe(&a);
}

/* A stranger's URL is called at public addresses only, unless the installation says otherwise. */
static void own_url(void **state)
{
    (void)state;
    const struct gateway *g = with_settings();
    struct account_text t = sample(g);
    struct flow_account a;
    struct flow f = installation(g, true);
    t.base_url = STR("https://pay.example");
    t.callback_cidrs = STR("198.51.100.0/24,203.0.113.7");
    assert_false(err_is(account_make(&f, &t, &a)));
    assert_true(str_eq(a.gw.base_url, t.base_url));
    assert_true(a.gw.public_only);
    assert_int_equal(a.gw.callback_cidrs.n, 2);
    account_wipe(&a);
    f.settings.webhook_allow_private = true;
    assert_false(err_is(account_make(&f, &t, &a)));
    assert_false(a.gw.public_only);
    account_wipe(&a);
    t.callback_cidrs = STR("nowhere");
    assert_true(err_is(account_make(&f, &t, &a)));
    account_wipe(&a);
}

/* Without anything read, everybody has the installation's. */
static void the_installations(void **state)
{
    (void)state;
    const struct gateway *g = with_settings();
    struct flow f = installation(g, true);
    struct uuid id = f.accounts[0].id, unknown = {{4}};
    assert_ptr_equal(account_for(&f, merchant_a, g, true), &f.accounts[0]);
    assert_null(account_for(&f, merchant_a, g, false));
    assert_null(account_for(&f, merchant_a, another(g), true));
    assert_ptr_equal(account_by_id(&f, merchant_a, id), &f.accounts[0]);
    assert_null(account_by_id(&f, merchant_a, unknown));
    assert_true(account_expects(&f, merchant_a, g, true, STR("192.0.2.7")));
    assert_false(account_expects(&f, merchant_a, g, true, STR("192.0.3.7")));
    assert_true(account_expects(&f, merchant_a, another(g), true, STR("192.0.3.7")));
    accounts_forget(&f, merchant_a);
    accounts_free(&f);
    assert_true(account_is_id(id));
    assert_false(account_is_id(merchant_a));
    assert_true(account_is_id(account_id_make(1)));
    assert_null(account_hold(NULL));
    account_release(account_hold(&f.accounts[0]));
}

static struct str rewrapped(struct vault *v, struct str wrapped, bool *needed)
{
    struct buf b;
    buf_init(&b, 1024);
    assert_false(err_is(vault_rewrap(v, wrapped, &b, needed)));
    struct str s = arena_dup(&arena, buf_view(&b));
    buf_free(&b);
    return s;
}

/* The same key under another master key: what it has sealed opens as before. */
static void a_key_is_wrapped_anew(void **state)
{
    (void)state;
    static const char second[] = "m2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    struct vault *old = NULL, *both = NULL, *new = NULL;
    struct buf wrapped, sealed;
    struct str plain;
    bool needed;
    assert_false(err_is(vault_new(STR(MASTER), &old)));
    assert_false(err_is(vault_new(arena_fmt(&arena, "%s,%s", second, MASTER), &both)));
    assert_false(err_is(vault_new(str_c(second), &new)));
    buf_init(&wrapped, 1024);
    buf_init(&sealed, 1024);
    assert_false(err_is(vault_make_wrapped(old, &wrapped)));
    struct str stored = buf_view(&wrapped);
    assert_int_equal(vault_rewrap(new, stored, &sealed, &needed).code, ERR_CRYPTO);
    assert_int_equal(sealed.n, 0);
    struct str fresh = rewrapped(both, stored, &needed);
    assert_true(needed);
    assert_int_equal(rewrapped(both, fresh, &needed).n, 0);
    assert_false(needed);
    assert_false(err_is(vault_add(old, STR("data"), 1, stored)));
    assert_false(err_is(vault_add(old, STR("hmac"), 1, stored)));
    assert_int_equal(vault_add(old, STR("data"), 2, fresh).code, ERR_CRYPTO);
    assert_false(err_is(vault_add(new, STR("data"), 1, fresh)));
    assert_false(err_is(vault_seal(old, ACCOUNT_PLACE, merchant_a, row_a, STR("text"), &sealed)));
    assert_false(err_is(
        vault_open(new, ACCOUNT_PLACE, merchant_a, row_a, buf_view(&sealed), &arena, &plain)));
    assert_true(str_eq(plain, STR("text")));
    buf_free(&wrapped);
    buf_free(&sealed);
    vault_free(old);
    vault_free(both);
    vault_free(new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round),
        cmocka_unit_test(text_of_another),
        cmocka_unit_test(sealed_in_its_place),
        cmocka_unit_test(what_is_left_open),
        cmocka_unit_test(own_url),
        cmocka_unit_test(the_installations),
        cmocka_unit_test(a_key_is_wrapped_anew),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
