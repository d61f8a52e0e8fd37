/* core/domain/permission.c: every cell of the matrix, written by hand, and the words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/domain/permission.h"

/* A line for each operation, a column for each who: "x" may, "." may not.
 * Keys: r payments:read, w payments:write, f refunds:write, u payouts:write, h webhooks:write, *
 * all. People: owner, admin, operator, viewer, support. Staff: the same. */
static const struct {
    const char *operation, *keys, *people, *staff;
} wanted[] = {
    /* keys rwfuh*, people oapvs, staff oapvs */
    {"payments.read", "x....x", "xxxxx", "xxxxx"},
    {"payments.write", ".x...x", "xxx..", "xxx.."},
    {"refunds.write", "..x..x", "xxx..", "xxx.."},
    {"payouts.read", "x....x", "xxxx.", "xxxx."},
    {"payouts.write", "...x.x", "xxx..", "xxx.."},
    {"exceptions.read", "x....x", "xxxxx", "xxxxx"},
    {"exceptions.resolve", "..x..x", "xxx..", "xxx.."},
    {"books.read", "x....x", "xxxx.", "xxxx."},
    {"webhooks.read", "....xx", "xxxx.", "xxxx."},
    {"webhooks.write", "....xx", "xx...", "xx..."},
    {"providers.read", "x....x", "xxxxx", "xxxxx"},
    {"providers.write", ".....x", "xx...", "xx..."},
    {"provider_events.read", ".....x", "xxx.x", "xxx.x"},
    {"provider_events.replay", ".....x", "xxx..", "xxx.."},
    {"customers.read", "x....x", "xxx.x", "xxx.x"},
    {"customers.data", ".....x", "xx...", "xx..."},
    {"api_keys", ".....x", "xx...", "xx..."},
    {"limits.read", "x....x", "xxxx.", "xxxx."},
    {"limits.write", ".....x", "xx...", "xx..."},
    {"merchant.read", "x....x", "xxxxx", "xxxxx"},
    {"merchant.write", "......", "xx...", "xx..."},
    {"members.read", "......", "xx...", "xx..."},
    {"members.write", "......", "xx...", "xx..."},
    {"security.read", ".....x", "xx...", "xx..."},
    {"self", "......", "xxxxx", "xxxxx"},
    {"merchants.read", "......", ".....", "xxxxx"},
    {"merchants.write", "......", ".....", "xx..."},
    {"maintenance", "......", ".....", "xxx.."},
};

static const char *const scopes[] = {"payments:read", "payments:write", "refunds:write",
                                     "payouts:write", "webhooks:write", "*"};

static void cell(enum permission p, bool may, char expected, const char *who)
{
    if (may != (expected == 'x'))
        fail_msg("%s by %s: %s", permission_word(p), who, may ? "may" : "may not");
}

static void matrix(void **state)
{
    (void)state;
    assert_int_equal(COUNT_OF(wanted), PERM_N - 1);
    for (enum permission p = PERM_NONE + 1; p < PERM_N; p++) {
        size_t i = (size_t)p - 1;
        assert_string_equal(permission_word(p), wanted[i].operation);
        for (size_t k = 0; k < COUNT_OF(scopes); k++) {
            uint64_t set;
            assert_true(permission_of_scopes(str_c(scopes[k]), &set));
            cell(p, (set & permission_bit(p)) != 0, wanted[i].keys[k], scopes[k]);
        }
        for (enum role r = 0; r < ROLE_N; r++) {
            cell(p, (permission_of_role(r, false) & permission_bit(p)) != 0, wanted[i].people[r],
                 role_word(r));
            cell(p, (permission_of_role(r, true) & permission_bit(p)) != 0, wanted[i].staff[r],
                 role_word(r));
        }
    }
}

static void words_of_scopes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"payments:read,webhooks:write", true},
        {"payments:read,payments:read", true},
        {"payments:read,*", true},
        {"", false},
        {",", false},
        {"payments:read,", false},
        {",payments:read", false},
        {"payments:read, payments:write", false},
        {"payments", false},
        {"payments:", false},
        {"payments:readx", false},
        {"PAYMENTS:READ", false},
        {"payments:*", false},
        {"**", false},
        {"payments:read,admin", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t set = 0;
        if (permission_of_scopes(str_c(cases[i].text), &set) != cases[i].ok)
            fail_msg("%s", cases[i].text);
    }
    uint64_t both, one, other, all;
    assert_true(permission_of_scopes(STR("payments:read,webhooks:write"), &both));
    assert_true(permission_of_scopes(STR("payments:read"), &one));
    assert_true(permission_of_scopes(STR("webhooks:write"), &other));
    assert_true(both == (one | other));
    assert_true(permission_of_scopes(STR("payments:read,*"), &both));
    assert_true(permission_of_scopes(STR("*"), &all));
    assert_true(both == all);
}

static void words_of_roles(void **state)
{
    (void)state;
    enum role r;
    for (enum role want = 0; want < ROLE_N; want++) {
        assert_true(role_parse(str_c(role_word(want)), &r));
        assert_int_equal(r, want);
    }
    static const char *const bad[] = {"", "Owner", "owners", "root", "o", "owner "};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(role_parse(str_c(bad[i]), &r));
}

/* Written by hand: what is administration. */
static void administration(void **state)
{
    (void)state;
    static const char *const admin[] = {
        "providers.write", "provider_events.read", "provider_events.replay", "customers.data",
        "api_keys",        "limits.write",         "merchant.write",         "members.read",
        "members.write",   "security.read",        "merchants.read",         "merchants.write",
        "maintenance"};
    static const char *const not_admin[] = {
        "public",        "self",           "payments.read",   "payments.write",     "refunds.write",
        "payouts.read",  "payouts.write",  "exceptions.read", "exceptions.resolve", "books.read",
        "webhooks.read", "webhooks.write", "providers.read",  "customers.read",     "limits.read",
        "merchant.read"};
    assert_int_equal(COUNT_OF(admin) + COUNT_OF(not_admin), PERM_N);
    for (enum permission p = PERM_NONE; p < PERM_N; p++) {
        bool wanted_admin = false;
        for (size_t i = 0; i < COUNT_OF(admin); i++)
            wanted_admin |= strcmp(admin[i], permission_word(p)) == 0;
        bool listed = wanted_admin;
        for (size_t i = 0; i < COUNT_OF(not_admin); i++)
            listed |= strcmp(not_admin[i], permission_word(p)) == 0;
        if (!listed || permission_is_admin(p) != wanted_admin)
            fail_msg("%s", permission_word(p));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(administration),
        cmocka_unit_test(matrix),
        cmocka_unit_test(words_of_scopes),
        cmocka_unit_test(words_of_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
