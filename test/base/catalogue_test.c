/* The catalogue of errors, and intrusive lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/str.h"

static bool is_word(const char *w)
{
    for (size_t i = 0; w[i] != '\0'; i++)
        if (!(w[i] >= 'a' && w[i] <= 'z') && w[i] != '_')
            return false;
    return w[0] != '\0';
}

static void errors(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_N_CODES; i++) {
        enum err_code code = (enum err_code)i;
        assert_true(is_word(err_word(code)));
        assert_true(err_title(code)[0] != '\0');
        assert_int_equal(err_public(code), err_advice(code)[0] != '\0');
        int http = err_http(code);
        assert_true(http == 200 || (http >= 400 && http <= 599));
        if (!err_public(code) && code != ERR_NONE)
            assert_int_equal(http, 500);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(err_word(code), err_word((enum err_code)k));
    }
    assert_false(err_is(ERR_OK));
    assert_true(err_is(ERR(INVALID, "x")));
    assert_int_equal(ERR_D(IO, -5, "x").detail, -5);
    /* money may have moved: nobody must simply try again */
    assert_false(err_retryable(ERR_AMBIGUOUS));
    assert_true(err_retryable(ERR_UNAVAILABLE));
}

struct item {
    int v;
    struct link link;
};

static void lists(void **state)
{
    (void)state;
    struct list l;
    struct item items[4] = {{.v = 0}, {.v = 1}, {.v = 2}, {.v = 3}};
    list_init(&l);
    assert_true(list_is_empty(&l));
    assert_null(list_first(&l));
    assert_null(list_pop(&l));
    for (int i = 1; i < 4; i++)
        list_push(&l, &items[i].link);
    list_push_front(&l, &items[0].link);
    assert_int_equal(l.n, 4);
    int want = 0;
    for (struct link *k = list_first(&l); k != NULL; k = list_next(&l, k))
        assert_int_equal(LIST_ITEM(k, struct item, link)->v, want++);
    assert_int_equal(want, 4);
    list_remove(&l, &items[2].link);
    assert_false(list_linked(&items[2].link));
    assert_true(list_linked(&items[3].link));
    while (list_pop(&l) != NULL)
        continue;
    assert_true(list_is_empty(&l));
    assert_false(list_linked(&items[3].link));
}

/* The macro evaluated its link twice: a pop took two items off. */
static void an_item_is_popped_once(void **state)
{
    (void)state;
    struct list l;
    struct item items[3] = {{.v = 0}, {.v = 1}, {.v = 2}};
    list_init(&l);
    for (int i = 0; i < 3; i++)
        list_push(&l, &items[i].link);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(LIST_ITEM(list_pop(&l), struct item, link)->v, i);
        assert_int_equal(l.n, 2 - i);
    }
    assert_null(LIST_ITEM(list_pop(&l), struct item, link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),
        cmocka_unit_test(lists),
        cmocka_unit_test(an_item_is_popped_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
