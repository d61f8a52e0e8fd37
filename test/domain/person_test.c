/* core/domain/person.c: who stands behind an API key, and who is one person. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/domain/person.h"

#define ANN "user:0193b3d4-0000-7000-8000-00000000000a"
#define JOE "user:0193b3d4-0000-7000-8000-00000000000b"
#define KEY_1 "0193b3d4-0000-7000-8000-000000000001"
#define KEY_2 "0193b3d4-0000-7000-8000-000000000002"
#define NOBODY NULL

/* Who asks and who agrees: a person by his name, or a key by its id and who made it. */
struct actor {
    const char *user, *key, *created_by;
};
#define USER(name)   \
    {                \
        .user = name \
    }
#define KEY(id, made_by)                 \
    {                                    \
        .key = id, .created_by = made_by \
    }

static void person_of(const struct actor *a, char out[PERSON_TEXT])
{
    struct uuid key;
    if (a->user != NULL) {
        str_copy_c(out, PERSON_TEXT, str_c(a->user));
        return;
    }
    assert_true(uuid_parse(str_c(a->key), &key));
    person_of_key(str_c(a->created_by), key, out);
}

static void two_people_or_one(void **state)
{
    static const struct {
        const char *name;
        struct actor asks, agrees;
        bool same;
    } cases[] = {
        {"himself", USER(ANN), USER(ANN), true},
        {"another person", USER(ANN), USER(JOE), false},
        {"asks with his key", KEY(KEY_1, ANN), USER(ANN), true},
        {"agrees with his key", USER(ANN), KEY(KEY_1, ANN), true},
        {"with two keys of his", KEY(KEY_1, ANN), KEY(KEY_2, ANN), true},
        {"with keys of two people", KEY(KEY_1, ANN), KEY(KEY_2, JOE), false},
        {"his key and another person", KEY(KEY_1, ANN), USER(JOE), false},
        {"a key of nobody", KEY(KEY_1, NOBODY), KEY(KEY_1, NOBODY), true},
        {"two keys of nobody", KEY(KEY_1, NOBODY), KEY(KEY_2, NOBODY), false},
        {"a key of nobody and a person", KEY(KEY_1, NOBODY), USER(ANN), false},
        {"a key and what it made", KEY(KEY_1, NOBODY), KEY(KEY_2, "api_key:" KEY_1), true},
        {"what it made and itself", KEY(KEY_2, "api_key:" KEY_1), KEY(KEY_1, NOBODY), true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char a[PERSON_TEXT], b[PERSON_TEXT];
        person_of(&cases[i].asks, a);
        person_of(&cases[i].agrees, b);
        if (person_same(str_c(a), str_c(b)) != cases[i].same)
            fail_msg("%s: %s and %s", cases[i].name, a, b);
    }
}

static void who_is_not_known_is_told_apart_from_nobody(void **state)
{
    (void)state;
    assert_true(person_same(STR_NULL, STR_NULL));
    assert_true(person_same(STR_NULL, STR(ANN)));
    assert_true(person_same(STR(ANN), STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_people_or_one),
        cmocka_unit_test(who_is_not_known_is_told_apart_from_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
