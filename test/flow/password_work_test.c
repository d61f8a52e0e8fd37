/* Passwords on the thread pool: right, wrong, unknown, too many, and an end in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/arena.h"
#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/flow/password_work.h"

static struct loop *l;
static struct passwords *p;
static char hash[PASSWORD_HASH_TEXT];
static int n_done, until, n_right, n_canceled;
static struct err last;

static void count(struct err err)
{
    last = err;
    n_canceled += err.code == ERR_CANCELED;
    if (++n_done == until)
        loop_stop(l);
}

static void hashed(void *ctx, struct err err, struct str text)
{
    (void)ctx;
    assert_int_equal(err_is(err), text.p == NULL);
    if (!err_is(err))
        str_copy_c(hash, sizeof hash, text);
    count(err);
}

static void checked(void *ctx, struct err err, bool right)
{
    *(bool *)ctx = right;
    n_right += right;
    count(err);
}

static void run_until(int n)
{
    until = n;
    if (n_done < n)
        loop_run(l);
}

static bool is_right(const char *password, const char *of)
{
    bool right = true;
    n_done = 0;
    assert_false(err_is(password_check_start(p, str_c(password), str_c(of), checked, &right)));
    run_until(1);
    assert_int_equal(last.code, ERR_NONE);
    return right;
}

static void one(void **state)
{
    (void)state;
    char text[] = "gari la ngombe";
    n_done = 0;
    assert_false(err_is(password_hash_start(p, str_c(text), hashed, NULL)));
    memset(text, 'x', sizeof text - 1); /* it was copied */
    assert_int_equal(n_done, 0);
    run_until(1);
    assert_int_equal(last.code, ERR_NONE);
    assert_true(is_right("gari la ngombe", hash));
    assert_false(is_right("gari la ngombf", hash));
    assert_false(is_right("gari la ngombe", ""));
    assert_false(is_right("", hash));
    n_done = 0;
    assert_false(err_is(password_hash_start(p, STR("short"), hashed, NULL)));
    run_until(1);
    assert_int_equal(last.code, ERR_INVALID);
}

static void too_many(void **state)
{
    (void)state;
    static bool v[PASSWORDS_AT_ONCE + PASSWORDS_WAITING];
    struct str text = STR("gari la ngombe");
    n_done = n_right = 0;
    for (size_t i = 0; i < COUNT_OF(v); i++)
        assert_false(err_is(password_check_start(p, text, str_c(hash), checked, &v[i])));
    assert_int_equal(password_check_start(p, text, str_c(hash), checked, &v[0]).code,
                     ERR_OVERLOADED);
    assert_int_equal(password_hash_start(p, text, hashed, NULL).code, ERR_OVERLOADED);
    run_until(COUNT_OF(v));
    assert_int_equal(n_right, COUNT_OF(v));
}

static void freed(void **state)
{
    (void)state;
    static bool v[10];
    n_done = n_right = n_canceled = 0;
    until = -1;
    for (size_t i = 0; i < COUNT_OF(v); i++)
        assert_false(
            err_is(password_check_start(p, STR("gari la ngombe"), str_c(hash), checked, &v[i])));
    passwords_free(p);
    p = NULL;
    assert_int_equal(n_canceled, COUNT_OF(v));
    loop_run(l);
    assert_int_equal(n_done, COUNT_OF(v));
    assert_int_equal(n_right, 0);
}

static int begin(void **state)
{
    (void)state;
    return err_is(crypto_open()) || err_is(loop_new(&l)) || err_is(passwords_new(l, &p));
}

static int end(void **state)
{
    (void)state;
    passwords_free(p);
    loop_run(l);
    loop_free(l);
    crypto_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one),
        cmocka_unit_test(too_many),
        cmocka_unit_test(freed),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
