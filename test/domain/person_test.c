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
#define KIM "user:0193b3d4-0000-7000-8000-00000000000c"
#define LEE "user:0193b3d4-0000-7000-8000-00000000000d"
#define KEY_1 "0193b3d4-0000-7000-8000-000000000001"
#define KEY_2 "0193b3d4-0000-7000-8000-000000000002"
#define NOBODY NULL

/* Who asks and who agrees: a person by his name and for whom he stands, or a key by its id and who
 * made it. */
struct actor {
    const char *user, *stands_for, *key, *created_by;
};
#define USER(name)   \
    {                \
        .user = name \
    }
#define INVITED(name, by)              \
    {                                  \
        .user = name, .stands_for = by \
    }
#define KEY(id, made_by)                 \
    {                                    \
        .key = id, .created_by = made_by \
    }

static struct uuid user_of(const char *name)
{
    struct uuid id;
    assert_true(uuid_parse(str_from(str_c(name), 5), &id));
    return id;
}

static void person_of(const struct actor *a, char out[PERSON_TEXT])
{
    struct uuid id;
    if (a->user != NULL) {
        id = user_of(a->user);
        assert_true(person_of_user(str_c(a->stands_for), id, out));
        return;
    }
    assert_true(uuid_parse(str_c(a->key), &id));
    person_of_key(str_c(a->created_by), id, out);
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
        {"asks, and agrees as whom he invited", USER(ANN), INVITED(KIM, ANN), true},
        {"asks as whom he invited, and agrees", INVITED(KIM, ANN), USER(ANN), true},
        {"two whom he invited", INVITED(KIM, ANN), INVITED(LEE, ANN), true},
        {"whom another one invited", USER(ANN), INVITED(KIM, JOE), false},
        {"whom two people invited", INVITED(LEE, ANN), INVITED(KIM, JOE), false},
        {"whom both have invited, the first", INVITED(KIM, ANN " " JOE), USER(ANN), true},
        {"whom both have invited, the second", INVITED(KIM, ANN " " JOE), USER(JOE), true},
        {"whom the invited invited", USER(ANN), INVITED(LEE, ANN " " KIM), true},
        {"the invited, and whom he invited", INVITED(KIM, ANN), INVITED(LEE, ANN " " KIM), true},
        {"confirmed, and whom he invited before", USER(KIM), INVITED(LEE, ANN " " KIM), true},
        {"confirmed, and who invited him", USER(KIM), USER(ANN), false},
        {"a key of the invited", KEY(KEY_1, ANN " " KIM), USER(ANN), true},
        {"his key of then, and he is confirmed", KEY(KEY_1, ANN " " KIM), USER(KIM), true},
        {"a key of the invited, and another one", KEY(KEY_1, ANN " " KIM), USER(JOE), false},
        {"not confirmed, and invited by nobody", INVITED(KIM, ""), USER(ANN), false},
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

/* For whom somebody stands who is invited, and what stands there before he has accepted. */
static void whom_an_invitation_adds(void **state)
{
    static const struct {
        const char *name, *user, *before, *inviter, *after, *person; /* after NULL: too many */
    } cases[] = {
        {"the first", KIM, "", ANN, ANN, ANN " " KIM},
        {"by an API key's name as well", KIM, "", "api_key:" KEY_1, "api_key:" KEY_1,
         "api_key:" KEY_1 " " KIM},
        {"by the same again", KIM, ANN, ANN, ANN, ANN " " KIM},
        {"by another one", KIM, ANN, JOE, ANN " " JOE, ANN " " JOE " " KIM},
        {"by one who is not confirmed", LEE, "", ANN " " KIM, ANN " " KIM, ANN " " KIM " " LEE},
        {"in a circle: himself last", KIM, ANN, ANN " " KIM " " LEE, ANN " " LEE,
         ANN " " LEE " " KIM},
        {"as many as there can be", KIM, ANN " " JOE, LEE, ANN " " JOE " " LEE,
         ANN " " JOE " " LEE " " KIM},
        {"too many", KIM, ANN " " JOE " " LEE, "api_key:" KEY_1, NULL, NULL},
        {"too many at once", "user:" KEY_1, "", ANN " " JOE " " LEE " " KIM, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char after[PERSON_TEXT], person[PERSON_TEXT];
        struct uuid user = user_of(cases[i].user);
        bool fits = person_invited(str_c(cases[i].before), str_c(cases[i].inviter), user, after);
        if (fits != (cases[i].after != NULL))
            fail_msg("%s: fits %d", cases[i].name, fits);
        if (!fits)
            continue;
        assert_string_equal(after, cases[i].after);
        assert_true(person_of_user(str_c(after), user, person));
        assert_string_equal(person, cases[i].person);
        assert_true(str_eq(person_own(str_c(person)), str_c(cases[i].user)));
    }
}

static void what_is_no_list_is_nobody(void **state)
{
    char out[PERSON_TEXT];
    struct uuid kim = user_of(KIM);
    (void)state;
    assert_false(person_of_user(STR(ANN " " JOE " " LEE " api_key:" KEY_1), kim, out));
    assert_false(
        person_of_user(STR("user:0193b3d4-0000-7000-8000-00000000000a-and-more"), kim, out));
    assert_null(person_own(STR_NULL).p);
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
        cmocka_unit_test(whom_an_invitation_adds),
        cmocka_unit_test(what_is_no_list_is_nobody),
        cmocka_unit_test(who_is_not_known_is_told_apart_from_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
