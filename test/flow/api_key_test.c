/* core/flow/api_key.c: networks as they are stored, and that nobody gives away more than he has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/flow/api_key.h"

static void networks(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.0/24", "192.0.2.0/24"},
        {" 10.0.0.0/8 , 2001:DB8::/32", "10.0.0.0/8,2001:db8::/32"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"192.0.2.1/32,2001:db8::1/128", "192.0.2.1,2001:db8::1"},
        {"1.0.0.1,1.0.0.2,1.0.0.3,1.0.0.4,1.0.0.5,1.0.0.6,1.0.0.7,1.0.0.8,1.0.0.9,1.0.0.10,"
         "1.0.0.11,1.0.0.12,1.0.0.13,1.0.0.14,1.0.0.15,1.0.0.16",
         "1.0.0.1,1.0.0.2,1.0.0.3,1.0.0.4,1.0.0.5,1.0.0.6,1.0.0.7,1.0.0.8,1.0.0.9,1.0.0.10,"
         "1.0.0.11,1.0.0.12,1.0.0.13,1.0.0.14,1.0.0.15,1.0.0.16"},
        {"1.0.0.1,1.0.0.2,1.0.0.3,1.0.0.4,1.0.0.5,1.0.0.6,1.0.0.7,1.0.0.8,1.0.0.9,1.0.0.10,"
         "1.0.0.11,1.0.0.12,1.0.0.13,1.0.0.14,1.0.0.15,1.0.0.16,1.0.0.17",
         NULL},
        {"", NULL},
        {" ", NULL},
        {",", NULL},
        {"unix", NULL},
        {"10.0.0.0/8,unix", NULL},
        {"10.0.0.1/8", NULL},
        {"10.0.0.0/33", NULL},
        {"example.com", NULL},
    };
    struct arena a;
    arena_init(&a, 64 * 1024);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str out = STR_NULL;
        bool ok = api_key_networks(str_c(cases[i].in), &a, &out);
        if (ok != (cases[i].out != NULL) || (ok && !str_eq(out, str_c(cases[i].out))))
            fail_msg("%s: %.*s", cases[i].in, STR_ARG(out));
    }
    arena_free(&a);
}

/* What a maker has, what he asks for, and whether he gets it. */
static void within(void **state)
{
    (void)state;
    static const struct {
        const char *scopes, *cidrs;
        int64_t end;
        const char *wanted_scopes, *wanted_cidrs;
        int64_t wanted_end;
        bool ok;
    } cases[] = {
        {"*", NULL, 0, "*", NULL, 0, true},
        {"*", NULL, 0, "payments:read", "10.0.0.0/8", 5, true},
        {"payments:read", NULL, 0, "payments:read", NULL, 0, true},
        {"payments:read", NULL, 0, "payments:write", NULL, 0, false},
        {"payments:read", NULL, 0, "payments:read,payments:write", NULL, 0, false},
        {"payments:read,payments:write,refunds:write,payouts:write,webhooks:write", NULL, 0, "*",
         NULL, 0, false},
        {"*", NULL, 10, "*", NULL, 10, true},
        {"*", NULL, 10, "*", NULL, 9, true},
        {"*", NULL, 10, "*", NULL, 11, false},
        {"*", NULL, 10, "*", NULL, 0, false},
        {"*", "10.0.0.0/8", 0, "*", "10.0.0.0/8", 0, true},
        {"*", "10.0.0.0/8", 0, "*", "10.9.0.0/16,10.1.1.1", 0, true},
        {"*", "10.0.0.0/8", 0, "*", "10.0.0.0/7", 0, false},
        {"*", "10.0.0.0/8", 0, "*", "10.1.1.1,11.1.1.1", 0, false},
        {"*", "10.0.0.0/8", 0, "*", NULL, 0, false},
        {"*", "10.0.0.0/8", 0, "*", "0.0.0.0/0", 0, false},
        {"*", "10.0.0.0/8", 0, "*", "::/0", 0, false},
        {"*", "0.0.0.0/0", 0, "*", "2001:db8::1", 0, false},
        {"*", "0.0.0.0/0", 0, "*", "192.0.2.1", 0, true},
        {"*", "10.0.0.0/9,10.128.0.0/9", 0, "*", "10.0.0.0/8", 0, false}, /* each in one of them */
        {"*", "192.0.2.1,2001:db8::/32", 0, "*", "2001:db8:1::/48,192.0.2.1", 0, true},
        {"*", NULL, 0, "nonsense", NULL, 0, false},
        {"*", "nonsense", 0, "*", "10.0.0.0/8", 0, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t may;
        struct api_key maker = {.cidrs = str_c(cases[i].cidrs), .expires_us = cases[i].end};
        struct api_key wanted = {.scopes = str_c(cases[i].wanted_scopes),
                                 .cidrs = str_c(cases[i].wanted_cidrs),
                                 .expires_us = cases[i].wanted_end};
        assert_true(permission_of_scopes(str_c(cases[i].scopes), &may));
        if (api_key_within(may, &maker, &wanted) != cases[i].ok)
            fail_msg("case %zu", i);
    }
    /* people have roles: an owner may give all that keys may, a viewer nothing that he may not */
    struct api_key all = {.scopes = STR("*")}, reads = {.scopes = STR("payments:read")};
    assert_true(api_key_within(permission_of_role(ROLE_OWNER, false), NULL, &all));
    assert_true(api_key_within(permission_of_role(ROLE_ADMIN, false), NULL, &all));
    assert_false(api_key_within(permission_of_role(ROLE_OPERATOR, false), NULL, &all));
    assert_false(api_key_within(permission_of_role(ROLE_SUPPORT, false), NULL, &reads));
}

static void states(void **state)
{
    (void)state;
    static const struct {
        const char *stored;
        int64_t end;
        const char *shown;
    } cases[] = {
        {"active", 0, "active"},       {"active", 101, "active"},    {"active", 100, "expired"},
        {"rotating", 101, "rotating"}, {"rotating", 100, "expired"}, {"revoked", 0, "revoked"},
        {"revoked", 1, "revoked"},     {"revoked", 101, "revoked"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct api_key k = {.status = str_c(cases[i].stored), .expires_us = cases[i].end};
        assert_string_equal(api_key_status(&k, 100), cases[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks),
        cmocka_unit_test(within),
        cmocka_unit_test(states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
