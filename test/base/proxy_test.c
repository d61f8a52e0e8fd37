/* Proves core/base/proxy.h: what is a header and what is none, in every piece that it can come in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/base/proxy.h"

#define LINE(text) text "\r\n"
#define REST "GET / HTTP/1.1\r\n"

/* NULL: the connection's own address stands. */
struct good {
    const char *line, *source;
    uint16_t port;
};

static const struct good good[] = {
    {LINE("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443"), "192.0.2.1", 56324},
    {LINE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535"), "255.255.255.255", 65535},
    {LINE("PROXY TCP4 0.0.0.0 0.0.0.0 0 0"), "0.0.0.0", 0},
    {LINE("PROXY TCP6 2001:db8::1 2001:db8::2 1 2"), "2001:db8::1", 1},
    {LINE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"),
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535},
    {LINE("PROXY TCP6 ::ffff:192.0.2.1 ::1 9 9"), "192.0.2.1", 9}, /* one host, one name */
    {LINE("PROXY UNKNOWN"), NULL, 0},
    {LINE("PROXY UNKNOWN whatever 1 2 3"), NULL, 0},
    {LINE("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"),
     NULL, 0}, /* the longest line there is */
};

static const char *const bad[] = {
    "G",
    "GET / HTTP/1.1\r\n",
    " PROXY",
    "proxy ",
    "PROXY\r\n",
    "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2\r\n",
    "PROXY TCP4\r\n",
    "PROXY \r\n",
    "PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY UNKNOWNX\r\n",
    "PROXY unknown\r\n",
    "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
    "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY TCP6 2001:db8::1 198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
    "PROXY TCP4 0xc0.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.1 nonsense 1 2\r\n",
    "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "PROXY TCP6 [::1] ::1 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1x 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2  2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 100000 2\r\n",
    "PROXY TCP4 192.0.2.1\t198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\rX",
    "PROXY TCP4 192.0.2.1\n198.51.100.2 1 2\r\n",
    "PROXY UNKNOWN a\nb\r\n",
    "\r\n\r\nX",
    "\r\nGET / HTTP/1.1\r\n",
};

/* Whatever piece has come: more is asked for until the last byte is there, and then it is taken. */
static void expect(struct str bytes, const char *source, uint16_t port, const char *name)
{
    struct proxy_header h;
    char text[ADDRESS_TEXT], all[PROXY_MAX + 64];
    for (size_t n = 0; n < bytes.n; n++)
        if (proxy_parse(str_first(bytes, n), &h) != PROXY_MORE)
            fail_msg("%s: taken or refused at byte %zu", name, n);
    memcpy(all, bytes.p, bytes.n);
    memcpy(all + bytes.n, REST, sizeof REST);
    for (size_t more = 0; more <= sizeof REST; more += sizeof REST) {
        if (proxy_parse(str_n(all, bytes.n + more), &h) != PROXY_DONE || h.n != bytes.n)
            fail_msg("%s: not taken", name);
        assert_int_equal(h.has_source, source != NULL);
        if (source == NULL)
            continue;
        assert_string_equal(address_text(&h.source, text), source);
        assert_int_equal(h.port, port);
    }
}

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        expect(str_c(good[i].line), good[i].source, good[i].port, good[i].line);
    assert_int_equal(strlen(good[8].line), 107);
}

static void test_bad_lines(void **state)
{
    (void)state;
    struct proxy_header h;
    char longer[200];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (proxy_parse(str_c(bad[i]), &h) != PROXY_BAD)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(proxy_parse(STR("PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n"), &h),
                     PROXY_BAD);
    /* a line that does not end within what the protocol allows is not waited for */
    snprintf(longer, sizeof longer, "PROXY UNKNOWN %0120d\r\n", 0);
    assert_int_equal(proxy_parse(str_c(longer), &h), PROXY_BAD);
    assert_int_equal(proxy_parse(str_n(longer, 107), &h), PROXY_BAD);
    assert_int_equal(proxy_parse(str_n(longer, 106), &h), PROXY_MORE);
}

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

static struct str binary(char *p, int command, int family, size_t len)
{
    memcpy(p, signature, 12);
    p[12] = (char)command;
    p[13] = (char)family;
    p[14] = (char)(len >> 8);
    p[15] = (char)len;
    for (size_t i = 0; i < len; i++)
        p[16 + i] = (char)(0xc0 + i);
    return str_n(p, 16 + len);
}

/* Every command, family and transport, and every length around the ones that matter. */
static void test_binary(void **state)
{
    static const size_t lens[] = {0, 1, 11, 12, 13, 35, 36, 37, 215, 216, 217, 512, PROXY_MAX - 16};
    char p[PROXY_MAX + 64], name[64];
    struct proxy_header h;
    (void)state;
    for (int command = 0; command < 256; command++) {
        for (int family = 0; family < 256; family++) {
            for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
                size_t len = lens[i];
                struct str bytes = binary(p, command, family, len);
                bool local = command == 0x20;
                bool taken =
                    local || (command == 0x21 &&
                              (family == 0x00 || (family == 0x11 && len >= 12) ||
                               (family == 0x21 && len >= 36) || (family == 0x31 && len >= 216)));
                if ((proxy_parse(bytes, &h) == PROXY_DONE) != taken)
                    fail_msg("%02x %02x %zu", command, family, len);
                if (!taken || len > 217)
                    continue;
                snprintf(name, sizeof name, "%02x %02x %zu", command, family, len);
                bool four = !local && family == 0x11, six = !local && family == 0x21;
                expect(bytes,
                       four  ? "192.193.194.195"
                       : six ? "c0c1:c2c3:c4c5:c6c7:c8c9:cacb:cccd:cecf"
                             : NULL,
                       four ? 0xc8c9 : 0xe0e1, name);
            }
        }
    }
}

static void test_bad_binary(void **state)
{
    char p[PROXY_MAX + 64];
    struct proxy_header h;
    (void)state;
    for (size_t at = 0; at < 12; at++) { /* a byte of the signature is another one */
        struct str bytes = binary(p, 0x21, 0x11, 12);
        p[at] ^= 0x20;
        assert_int_equal(proxy_parse(bytes, &h), PROXY_BAD);
        assert_int_equal(proxy_parse(str_first(bytes, at + 1), &h), PROXY_BAD);
    }
    /* longer than we take: not waited for */
    (void)binary(p, 0x21, 0x11, 12);
    p[14] = (char)0xff;
    p[15] = (char)0xff;
    assert_int_equal(proxy_parse(str_n(p, 16), &h), PROXY_BAD);
    p[14] = (char)((PROXY_MAX - 15) >> 8);
    p[15] = (char)(PROXY_MAX - 15);
    assert_int_equal(proxy_parse(str_n(p, 16), &h), PROXY_BAD);
    p[14] = (char)((PROXY_MAX - 16) >> 8);
    p[15] = (char)(PROXY_MAX - 16);
    assert_int_equal(proxy_parse(str_n(p, 16), &h), PROXY_MORE);
    /* version 1 and 3 in the binary form, seen at once */
    (void)binary(p, 0x11, 0x11, 12);
    assert_int_equal(proxy_parse(str_n(p, 13), &h), PROXY_BAD);
    (void)binary(p, 0x31, 0x11, 12);
    assert_int_equal(proxy_parse(str_n(p, 13), &h), PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_bad_binary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
