/* What a statement becomes for a batch that is one merchant's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/err.h"
#include "store/query_one.h"

static const struct {
    const char *text, *one;
} cases[] = {
    {"", ""},
    {"select 1", "select 1"},
    {"u.whose", "$7::uuid"},
    {"select u.whose, u.id from u", "select $7::uuid, u.id from u"},
    {"where p.merchant_id = u.whose and p.id = u.id",
     "where p.merchant_id = $7::uuid and p.id = u.id"},
    {"(u.whose,pc.whose)", "($7::uuid,$7::uuid)"},
    {"e2.whose;a_b.whose", "$7::uuid;$7::uuid"},
    /* What is called otherwise is something else, and so is what has no alias. */
    {"u.whose_not, u.whosever, whose, u. whose, u.id.whose",
     "u.whose_not, u.whosever, whose, u. whose, u.$7::uuid"},
    {"as u(ord, whose, id)", "as u(ord, whose, id)"},
    {"reli.whom u.who", "reli.whom u.who"},
    /* Digits begin no alias; the end of the text may come at any place. */
    {"1.whose", "1.whose"},
    {"u.", "u."},
    {"u", "u"},
};

static void each_text_becomes_what_it_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        buf_init(&b, 4096);
        assert_true(query_for_one(cases[i].text, 7, &b));
        assert_string_equal(b.p, cases[i].one);
        assert_int_equal(b.n, strlen(cases[i].one) + 1);
        buf_free(&b);
    }
}

static void too_long_a_text_is_refused(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < sizeof "select $12::uuid"; limit++) {
        struct buf b;
        buf_init(&b, limit);
        assert_false(query_for_one("select u.whose", 12, &b));
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_becomes_what_it_should),
        cmocka_unit_test(too_long_a_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
