/* The tokens of a session, and e-mail addresses in the one spelling that counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/flow/session_token.h"

#define NOW (INT64_C(1795264088) * US_PER_S)

static struct vault *vault;
static struct arena arena;

static struct vault *open_vault(void)
{
    struct vault *v;
    struct buf wrapped;
    buf_init(&wrapped, 512);
    assert_false(err_is(vault_new(STR("1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), &v)));
    assert_false(err_is(vault_make_wrapped(v, &wrapped)));
    assert_false(err_is(vault_add(v, STR("data"), 1, buf_view(&wrapped))));
    assert_false(err_is(vault_add(v, STR("hmac"), 1, buf_view(&wrapped))));
    buf_free(&wrapped);
    return v;
}

static int set_up(void **state)
{
    (void)state;
    assert_false(err_is(crypto_open()));
    arena_init(&arena, 1 << 20);
    vault = open_vault();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vault_free(vault);
    arena_free(&arena);
    arena_trim();
    crypto_close();
    return 0;
}

static void test_refresh(void **state)
{
    struct uuid session = random_uuid(NOW), found;
    char text[SESSION_REFRESH_LEN + 1], other[SESSION_REFRESH_LEN + 1];
    int32_t generation;
    (void)state;
    session_refresh_make(vault, session, 7, text);
    assert_true(session_refresh_read(vault, str_c(text), &found, &generation));
    assert_true(uuid_eq(found, session));
    assert_int_equal(generation, 7);
    session_refresh_make(vault, session, 8, other);
    assert_string_not_equal(text, other);
    for (size_t i = 0; i < SESSION_REFRESH_LEN; i++) { /* no character can be another one */
        memcpy(other, text, sizeof other);
        other[i] = other[i] == '0' ? '1' : '0';
        assert_false(session_refresh_read(vault, str_c(other), &found, &generation));
        assert_false(session_refresh_read(vault, str_n(text, i), &found, &generation));
    }
    struct vault *elsewhere = open_vault();
    assert_false(session_refresh_read(elsewhere, str_c(text), &found, &generation));
    vault_free(elsewhere);
}

static struct session_rules rules_of(const char *first, const char *second)
{
    struct session_rules r = {.n_secrets = second != NULL ? 2 : 1};
    r.secrets[0].key = str_c(first);
    r.secrets[1].key = str_c(second);
    return r;
}

static void test_access(void **state)
{
    static const char old_key[] = "the old secret of the installation, of some length",
                      new_key[] = "the new secret of the installation, of some length";
    struct session_rules old = rules_of(old_key, NULL), both = rules_of(new_key, old_key),
                         new = rules_of(new_key, NULL), none = {0};
    struct uuid user = random_uuid(NOW), session = random_uuid(NOW), u, s;
    struct str token;
    (void)state;
    session_name_secrets(&old);
    session_name_secrets(&both);
    session_name_secrets(&new);
    assert_false(err_is(
        session_access_make(&old, &arena, user, session, NOW, NOW + 900 * US_PER_S, &token)));
    assert_false(err_is(session_access_read(&old, token, NOW, &u, &s)));
    assert_true(uuid_eq(u, user) && uuid_eq(s, session));
    /* while the secret is exchanged both are believed, then the new one only */
    assert_false(err_is(session_access_read(&both, token, NOW, &u, &s)));
    assert_int_equal(session_access_read(&new, token, NOW, &u, &s).code, ERR_UNAUTHENTICATED);
    assert_int_equal(session_access_read(&none, token, NOW, &u, &s).code, ERR_UNAUTHENTICATED);
    /* its time, give or take five seconds of the clocks */
    assert_false(err_is(session_access_read(&old, token, NOW + 904 * US_PER_S, &u, &s)));
    assert_true(err_is(session_access_read(&old, token, NOW + 906 * US_PER_S, &u, &s)));
    assert_false(err_is(session_access_read(&old, token, NOW - 5 * US_PER_S, &u, &s)));
    assert_true(err_is(session_access_read(&old, token, NOW - 7 * US_PER_S, &u, &s)));
    assert_false(err_is(
        session_access_make(&both, &arena, user, session, NOW, NOW + 900 * US_PER_S, &token)));
    assert_false(err_is(session_access_read(&new, token, NOW, &u, &s)));
    assert_int_equal(
        session_access_make(&none, &arena, user, session, NOW, NOW + US_PER_S, &token).code,
        ERR_UNAVAILABLE);
}

static void test_emails(void **state)
{
    static const struct {
        const char *text, *spelling;
    } cases[] = {
        {"a@b", "a@b"},
        {" Ann.Wanjiru+shop@Example.COM ", "ann.wanjiru+shop@example.com"},
        {"", NULL},
        {"a", NULL},
        {"@b", NULL},
        {"a@", NULL},
        {"a@b@c", NULL},
        {"a b@c", NULL},
        {"a@b.", NULL},
        {"a@.b", NULL},
        {"<a@b>", NULL},
        {"a@b,c@d", NULL},
        {"a\"@b", NULL},
        {"\xc3\xa4@b", NULL},
        {"a\n@b", NULL},
        {"12345678901234567890123456789012345678901234567890123456789012345@b", NULL},
    };
    char out[USER_EMAIL_MAX + 1], longest[USER_EMAIL_MAX + 2];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool good = user_email(str_c(cases[i].text), out);
        assert_int_equal(good, cases[i].spelling != NULL);
        if (good)
            assert_string_equal(out, cases[i].spelling);
    }
    memset(longest, 'x', sizeof longest);
    longest[1] = '@';
    assert_true(user_email(str_n(longest, USER_EMAIL_MAX), out));
    assert_int_equal(strlen(out), USER_EMAIL_MAX);
    assert_false(user_email(str_n(longest, USER_EMAIL_MAX + 1), out));
}

static void test_a_person_is_sealed_for_his_row(void **state)
{
    struct uuid user = random_uuid(NOW), other = random_uuid(NOW);
    struct buf sealed;
    struct str email, name;
    (void)state;
    buf_init(&sealed, USER_SEALED_MAX);
    assert_false(err_is(user_person_seal(vault, user, STR("a@b"), STR_NULL, &sealed)));
    assert_false(err_is(user_person_open(vault, user, buf_view(&sealed), &arena, &email, &name)));
    assert_true(str_eq(email, STR("a@b")) && name.p == NULL);
    assert_true(err_is(user_person_open(vault, other, buf_view(&sealed), &arena, &email, &name)));
    buf_free(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_emails),
        cmocka_unit_test(test_a_person_is_sealed_for_his_row),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
