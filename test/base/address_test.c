/* Networks: texts, and membership against a count of equal bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/base/address.h"

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"::ffff:127.0.0.1", "127.0.0.1"},
        {"::1", "::1"},
        {"2001:DB8:0:0::1", "2001:db8::1"},
        {"0.0.0.0", "0.0.0.0"},
        {"::", "::"},
        {"", NULL},
        {"127.0.0", NULL},
        {"127.0.0.256", NULL},
        {"127.0.0.1 ", NULL},
        {" 127.0.0.1", NULL},
        {"127.0.0.01", NULL},
        {"fe80::1%eth0", NULL},
        {"[::1]", NULL},
        {"unix", NULL},
        {"1.2.3.4:80", NULL},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address a;
        char text[ADDRESS_TEXT];
        bool ok = address_parse(str_c(cases[i].in), &a);
        if (ok != (cases[i].out != NULL))
            fail_msg("%s", cases[i].in);
        if (ok)
            assert_string_equal(address_text(&a, text), cases[i].out);
    }
    struct address a;
    assert_false(address_parse(str_n("1.2.3.4\0x", 9), &a));
}

static void test_addresses_with_ports(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"1.2.3.4", "1.2.3.4"},
        {"1.2.3.4:80", "1.2.3.4"},
        {"[::1]", "::1"},
        {"[::1]:80", "::1"},
        {"::1", "::1"},
        {"2001:db8::5:443", "2001:db8::5:443"},
        {"1.2.3.4:", NULL},
        {"1.2.3.4:x", NULL},
        {"1.2.3.4:123456", NULL},
        {"[1.2.3.4]", NULL},
        {"[::1", NULL},
        {"[::1]x", NULL},
        {"[::1]:", NULL},
        {"[]", NULL},
        {"[", NULL},
        {"", NULL},
        {":", NULL},
        {"_hidden", NULL},
        {"unknown", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address a;
        char text[ADDRESS_TEXT];
        bool ok = address_parse_with_port(str_c(cases[i].in), &a);
        if (ok != (cases[i].out != NULL))
            fail_msg("%s", cases[i].in);
        if (ok)
            assert_string_equal(address_text(&a, text), cases[i].out);
    }
}

static void test_networks(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        int bits; /* -1: refused */
    } cases[] = {
        {"10.0.0.0/8", 104},
        {"0.0.0.0/0", 96},
        {"1.2.3.4", 128},
        {"1.2.3.4/32", 128},
        {"::/0", 0},
        {"2001:db8::/32", 32},
        {"::1", 128},
        {"::1/128", 128},
        {"10.0.0.1/8", -1},
        {"10.128.0.0/8", -1},
        {"10.0.0.0/33", -1},
        {"10.0.0.0/", -1},
        {"10.0.0.0/-1", -1},
        {"10.0.0.0/08", -1},
        {"10.0.0.0/8/8", -1},
        {"/8", -1},
        {"", -1},
        {"::/129", -1},
        {"2001:db8::1/64", -1},
        {"10.0.0.0/8x", -1},
        {"::/0000", -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cidr c;
        bool ok = cidr_parse(str_c(cases[i].in), &c);
        if (ok != (cases[i].bits >= 0) || (ok && c.bits != cases[i].bits))
            fail_msg("%s", cases[i].in);
    }
}

/* For each prefix length, the address that differs in bit k is inside exactly if k is behind the
 * prefix. */
static void test_membership_bit_by_bit(void **state)
{
    (void)state;
    struct address base;
    assert_true(address_parse(STR("2001:db8:a5a5:5a5a:ffff:0:8000:1"), &base));
    for (unsigned bits = 0; bits <= 128; bits++) {
        struct cidr c = {.net = base, .bits = (uint8_t)bits};
        for (unsigned i = bits; i < 128; i++)
            c.net.b[i / 8] &= (uint8_t) ~(1u << (7 - i % 8));
        assert_true(cidr_has(&c, &base));
        for (unsigned k = 0; k < 128; k++) {
            struct address other = base;
            other.b[k / 8] ^= (uint8_t)(1u << (7 - k % 8));
            assert_int_equal(cidr_has(&c, &other), k >= bits);
        }
    }
}

static void test_lists(void **state)
{
    (void)state;
    struct cidr_list l;
    assert_false(err_is(cidr_list_parse(STR(" 10.0.0.0/8 , ::1,unix "), &l)));
    assert_int_equal(l.n, 2);
    assert_true(cidr_list_has_text(&l, STR("10.255.0.1")));
    assert_true(cidr_list_has_text(&l, STR("::ffff:10.1.1.1")));
    assert_true(cidr_list_has_text(&l, STR("::1")));
    assert_true(cidr_list_has_text(&l, STR("unix")));
    assert_false(cidr_list_has_text(&l, STR("11.0.0.1")));
    assert_false(cidr_list_has_text(&l, STR("::2")));
    assert_false(cidr_list_has_text(&l, STR("")));
    assert_false(cidr_list_has_text(&l, STR("nonsense")));

    assert_false(err_is(cidr_list_parse(STR_NULL, &l)));
    assert_false(cidr_list_has_text(&l, STR("127.0.0.1")));
    assert_false(cidr_list_has_text(&l, STR("unix")));
    /* IPv4's "everything" is not IPv6's. */
    assert_false(err_is(cidr_list_parse(STR("0.0.0.0/0"), &l)));
    assert_true(cidr_list_has_text(&l, STR("203.0.113.9")));
    assert_false(cidr_list_has_text(&l, STR("2001:db8::1")));

    static const char *const bad[] = {"10.0.0.0/8,", ",", "10.0.0.0/8,,::1", "x", "10.0.0.0/8 ::1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(cidr_list_parse(str_c(bad[i]), &l).code, ERR_CONFIG);

    char many[CIDR_MAX * 10 + 20] = "";
    size_t n = 0;
    for (int i = 0; i < CIDR_MAX; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "%s1.2.3.%d", i > 0 ? "," : "", i);
    assert_false(err_is(cidr_list_parse(str_n(many, n), &l)));
    n += (size_t)snprintf(many + n, sizeof many - n, ",1.2.4.1");
    assert_int_equal(cidr_list_parse(str_n(many, n), &l).code, ERR_CONFIG);
}

static void test_forwarded(void **state)
{
    (void)state;
    static const struct {
        const char *header, *out; /* NULL: the peer itself */
    } cases[] = {
        {"203.0.113.7", "203.0.113.7"},
        {"198.51.100.9, 203.0.113.7", "203.0.113.7"},
        {"203.0.113.7, 10.0.0.9", "203.0.113.7"},
        {"198.51.100.9, 203.0.113.7, 10.0.0.9, 10.1.1.1", "203.0.113.7"},
        {"10.0.0.9", "10.0.0.9"},
        {"10.0.0.3, 10.0.0.9", "10.0.0.3"},
        {"rubbish, 203.0.113.7", "203.0.113.7"},
        {"\t203.0.113.7 ", "203.0.113.7"},
        {"203.0.113.7:4711", "203.0.113.7"},
        {"203.0.113.7,10.0.0.9:443", "203.0.113.7"},
        {"2001:db8::7", "2001:db8::7"},
        {"[2001:db8::7]:4711", "2001:db8::7"},
        {"2001:DB8:0::0:7, fd00::1", "2001:db8::7"},
        {"::ffff:203.0.113.7", "203.0.113.7"},
        {"203.0.113.7, ::ffff:10.0.0.9", "203.0.113.7"},
        {"::ffff:cb00:7107, [::ffff:0a00:0009]:80", "203.0.113.7"},
        {"", NULL},
        {" ", NULL},
        {",", NULL},
        {"203.0.113.7,", NULL},
        {"203.0.113.7, ,10.0.0.9", NULL},
        {",10.0.0.9", NULL},
        {",,10.0.0.9", NULL},
        {"rubbish", NULL},
        {"rubbish, 10.0.0.9", NULL},
        {"203.0.113.7 10.0.0.9", NULL},
        {"203.0.113.7;10.0.0.9", NULL},
        {"unknown", NULL},
        {"_hidden, 10.0.0.9", NULL},
        {"unix", NULL},
        {"localhost", NULL},
        {"for=203.0.113.7", NULL},
        {"\"203.0.113.7\"", NULL},
        {"203.0.113.07", NULL},
        {"203.0.113.256", NULL},
        {"0xcb007107", NULL},
        {"3405803783", NULL},
        {"203.0.113.7%0a", NULL},
        {"fe80::1%eth0", NULL},
        {"203.0.113.7/32", NULL},
        {"[203.0.113.7]", NULL},
        {"[2001:db8::7", NULL},
        {"2001:db8::7::", NULL},
        {"203.0.113.7:", NULL},
        {"203.0.113.7:http", NULL},
        {"\xd9\xa1.1.1.1", NULL},
    };
    struct cidr_list trusted;
    assert_false(err_is(cidr_list_parse(STR("10.0.0.0/8,fd00::/8"), &trusted)));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address a;
        char text[ADDRESS_TEXT];
        bool ok = address_forwarded(&trusted, str_c(cases[i].header), &a);
        if (ok != (cases[i].out != NULL))
            fail_msg("%s", cases[i].header);
        if (ok)
            assert_string_equal(address_text(&a, text), cases[i].out);
    }
    struct address a;
    assert_false(address_forwarded(&trusted, STR_NULL, &a));
    assert_false(address_forwarded(&trusted, str_n("1.2.3.4\0", 8), &a));
}

static void test_blocks(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"203.0.113.7", "203.0.113.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:db8:1:2::", "2001:db8:1:2::/64"},
        {"::1", "::/64"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::/64"},
        {"unix", "unix"},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[ADDRESS_BLOCK_TEXT];
        assert_string_equal(address_block(str_c(cases[i].in), text), cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_addresses_with_ports),
        cmocka_unit_test(test_forwarded), cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_networks),  cmocka_unit_test(test_membership_bit_by_bit),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
