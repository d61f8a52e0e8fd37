/* Masking of bodies: what is shown of them, by hand; and that plain bodies, which are masked as
 * they are read, come out as by the tree that all others go by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "gateways/redact.h"

static const struct redact_rules rules = {
    .hide = "Password,secret",
    .phones = "PhoneNumber,PartyA",
    .urls = "CallBackURL",
    .pair_names = "Name,Key",
    .pair_value = "Value",
};

static void by_hand(void **state)
{
    (void)state;
    const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"{}", "{}"},
        {" [ ] \r\n", "[]"},
        {"{\"a\" : 1,\t\"b\":[true,false,null,-7,0]}", "{\"a\":1,\"b\":[true,false,null,-7,0]}"},
        {"{\"password\":\"x\",\"Secret\":{\"a\":[1]}}",
         "{\"password\":\"***\",\"Secret\":\"***\"}"},
        {"{\"PhoneNumber\":254711222333}", "{\"PhoneNumber\":\"25471*****33\"}"},
        {"{\"phonenumber\":\"+254711222333\"}", "{\"phonenumber\":\"+2547******33\"}"},
        {"{\"PartyA\":174379,\"PartyA2\":254711222333}",
         "{\"PartyA\":174379,\"PartyA2\":254711222333}"},
        {"{\"PartyA\":[254711222333,{\"x\":254711222333}]}",
         "{\"PartyA\":[\"25471*****33\",{\"x\":254711222333}]}"},
        {"{\"CallBackURL\":\"https://a.example/cb/token\"}",
         "{\"CallBackURL\":\"https://a.example/cb/***\"}"},
        {"{\"CallBackURL\":\"token\"}", "{\"CallBackURL\":\"***\"}"},
        {"{\"Pass\\u0077ord\":\"x\"}", "{\"Password\":\"***\"}"},
        {"{\"Item\":[{\"Name\":\"PhoneNumber\",\"Value\":254711222333}]}",
         "{\"Item\":[{\"Name\":\"PhoneNumber\",\"Value\":\"25471*****33\"}]}"},
        {"{\"a\":\"\xc3\xa9\"}", "{\"a\":\"\xc3\xa9\"}"},
        {"{\"a\":\"\xc3\"}", "{\"unreadable_bytes\":9}"},
        {"{\"a\":1,\"a\":2}", "{\"unreadable_bytes\":13}"},
        {"{\"a\":1,}", "{\"unreadable_bytes\":8}"},
        {"{\"a\":01}", "{\"unreadable_bytes\":8}"},
        {"{\"a\":1}}", "{\"unreadable_bytes\":8}"},
        {"{\"a\":1", "{\"unreadable_bytes\":6}"},
        {"{\"Password\":\"secret", "{\"unreadable_bytes\":19}"},
        {"secret", "{\"unreadable_bytes\":6}"},
        {"7", "{\"unreadable_bytes\":1}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        buf_init(&b, 4096);
        buf_c(&b, "before:");
        redact_json(str_c(cases[i].in), &rules, &b);
        assert_true(str_eq(str_first(buf_view(&b), 7), STR("before:")));
        if (!str_eq(str_from(buf_view(&b), 7), str_c(cases[i].out)))
            fail_msg("%s: %.*s", cases[i].in, STR_ARG(buf_view(&b)));
        buf_free(&b);
    }
}

static bool unreadable(struct str s)
{
    return str_starts(s, STR("{\"unreadable_bytes\":"));
}

/* The same body, once as it is and once with a first member that is not plain. */
static void assert_same(struct str body)
{
    struct buf plain, tree, other;
    buf_init(&plain, 8192);
    buf_init(&tree, 8192);
    buf_init(&other, 8192);
    struct str rest = str_from(body, 1);
    size_t blank = 0;
    while (blank < rest.n && rest.p[blank] == ' ')
        blank++;
    bool empty = blank < rest.n && rest.p[blank] == '}';
    buf_c(&other, empty ? "{\"\\u005f\":0" : "{\"\\u005f\":0,");
    buf_str(&other, rest);
    redact_json(body, &rules, &plain);
    redact_json(buf_view(&other), &rules, &tree);
    struct str a = buf_view(&plain), b = buf_view(&tree);
    bool same = unreadable(a) ? unreadable(b)
                              : str_starts(b, STR("{\"_\":0")) &&
                                    str_eq(str_from(a, 1), str_from(b, empty ? 6 : 7));
    if (!same)
        fail_msg("%.*s: %.*s, but %.*s", STR_ARG(body), STR_ARG(a), STR_ARG(b));
    buf_free(&plain);
    buf_free(&tree);
    buf_free(&other);
}

/* Every byte of plain bodies in turn becomes each of those that mean something. */
static void plain_as_by_the_tree(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"BusinessShortCode\":174379,\"Password\":\"bfb2==\",\"Amount\":1,\"PartyA\":"
        "254711222333,"
        "\"CallBackURL\":\"https://a.example/api/v1/cb/ab\",\"TransactionDesc\":\"Pay 1\"}",
        "{ \"a\" : { \"b\" : [ -1 , 20 , null , true , [ ] , { } ] } , \"PhoneNumber\" : "
        "\"+254 711 222 333\" , \"secret\" : [ 1 , { \"x\" : \"y\" } ] }",
        "{\"ResponseCode\":\"0\",\"CustomerMessage\":\"Success. "
        "\xc3\xa9\",\"n\":123456789012345678}",
        "{}",
    };
    static const char means[] = "\",:{}[]\\0189ax-+.eE \n\x01\x7f\xc3\xff";
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        char text[512];
        size_t n = strlen(bodies[i]);
        assert_same(str_c(bodies[i]));
        for (size_t at = 1; at < n; at++) {
            for (const char *c = means; *c != '\0'; c++) {
                memcpy(text, bodies[i], n);
                text[at] = *c;
                assert_same(str_n(text, n));
            }
            assert_same(str_first(str_c(bodies[i]), at)); /* cut */
            memmove(text, bodies[i], at);                 /* and without this byte */
            memcpy(text + at, bodies[i] + at + 1, n - at - 1);
            assert_same(str_n(text, n - 1));
        }
    }
}

static void deep_and_wide(void **state)
{
    (void)state;
    for (int depth = 30; depth <= 34; depth++) {
        char text[256];
        size_t n = 0;
        text[n++] = '{';
        n += (size_t)snprintf(text + n, sizeof text - n, "\"a\":");
        for (int i = 1; i < depth; i++)
            text[n++] = '[';
        for (int i = 1; i < depth; i++)
            text[n++] = ']';
        text[n++] = '}';
        assert_same(str_n(text, n));
    }
    for (int members = 62; members <= 66; members++) {
        struct buf b;
        buf_init(&b, 4096);
        for (int i = 0; i < members; i++)
            buf_fmt(&b, "%s\"m%d\":%d", i == 0 ? "{" : ",", i, i);
        buf_char(&b, '}');
        assert_same(buf_view(&b));
        buf_free(&b);
    }
}

/* What is hidden takes no room in the end. */
static void little_room(void **state)
{
    (void)state;
    static const char body[] = "{\"secret\":\"0123456789012345678901234567890123456789\"}";
    for (size_t room = 1; room < sizeof body; room++) {
        struct buf b;
        buf_init(&b, room);
        redact_json(str_c(body), &rules, &b);
        assert_int_equal(b.failed, room < strlen("{\"secret\":\"***\"}"));
        if (!b.failed)
            assert_true(str_eq(buf_view(&b), STR("{\"secret\":\"***\"}")));
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(plain_as_by_the_tree),
        cmocka_unit_test(deep_and_wide),
        cmocka_unit_test(little_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
