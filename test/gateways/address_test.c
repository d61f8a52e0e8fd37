/* The address rules and the URL syntax of providers/webhooks-out.md, section 6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "core/base/attr.h"
#include "gateways/outbound.h"
#include "gateways/outbound_addr.h"
#include "gateways/outbound_url.h"

static const struct sockaddr *sa(const struct sockaddr_storage *a)
{
    return (const struct sockaddr *)a;
}

/* The first and the last address of each range are closed, their neighbours outside are open (or
 * belong to the range beside). */
static void ranges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool open;
    } cases[] = {
        {"0.0.0.0", false},
        {"0.255.255.255", false},
        {"1.0.0.0", true},
        {"9.255.255.255", true},
        {"10.0.0.0", false},
        {"10.255.255.255", false},
        {"11.0.0.0", true},
        {"100.63.255.255", true},
        {"100.64.0.0", false},
        {"100.127.255.255", false},
        {"100.128.0.0", true},
        {"126.255.255.255", true},
        {"127.0.0.0", false},
        {"127.0.0.1", false},
        {"127.255.255.255", false},
        {"128.0.0.0", true},
        {"169.253.255.255", true},
        {"169.254.0.0", false},
        {"169.254.169.254", false},
        {"169.254.255.255", false},
        {"169.255.0.0", true},
        {"172.15.255.255", true},
        {"172.16.0.0", false},
        {"172.31.255.255", false},
        {"172.32.0.0", true},
        {"191.255.255.255", true},
        {"192.0.0.0", false},
        {"192.0.0.255", false},
        {"192.0.1.0", true},
        {"192.0.1.255", true},
        {"192.0.2.0", false},
        {"192.0.2.255", false},
        {"192.0.3.0", true},
        {"192.88.98.255", true},
        {"192.88.99.0", false},
        {"192.88.99.255", false},
        {"192.88.100.0", true},
        {"192.167.255.255", true},
        {"192.168.0.0", false},
        {"192.168.255.255", false},
        {"192.169.0.0", true},
        {"198.17.255.255", true},
        {"198.18.0.0", false},
        {"198.19.255.255", false},
        {"198.20.0.0", true},
        {"198.51.99.255", true},
        {"198.51.100.0", false},
        {"198.51.100.255", false},
        {"198.51.101.0", true},
        {"203.0.112.255", true},
        {"203.0.113.0", false},
        {"203.0.113.255", false},
        {"203.0.114.0", true},
        {"223.255.255.255", true},
        {"224.0.0.0", false},
        {"239.255.255.255", false},
        {"240.0.0.0", false},
        {"255.255.255.255", false},
        {"8.8.8.8", true},
        {"::", false},
        {"::1", false},
        {"::8.8.8.8", false},
        {"::ffff:8.8.8.8", false},
        {"::ffff:127.0.0.1", false},
        {"64:ff9b::808:808", false},
        {"64:ff9b:1::1", false},
        {"100::1", false},
        {"1fff:ffff::1", false},
        {"2001::1", false},
        {"2001:1ff::1", false},
        {"2001:200::1", true},
        {"2001:db7::1", true},
        {"2001:db8::1", false},
        {"2001:db8:ffff::1", false},
        {"2001:db9::1", true},
        {"2001:4860:4860::8888", true},
        {"2002:808:808::1", false},
        {"2003::1", true},
        {"2a00:1450::1", true},
        {"3ffe::1", true},
        {"3fff::1", false},
        {"3fff:1000::1", true},
        {"4000::1", false},
        {"fc00::1", false},
        {"fd00:ec2::254", false},
        {"fe80::1", false},
        {"fec0::1", false},
        {"ff02::1", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage a;
        assert_true(sockaddr_parse(cases[i].text, 443, &a));
        if (sockaddr_is_public(sa(&a)) != cases[i].open)
            fail_msg("%s", cases[i].text);
    }
    struct sockaddr_storage other = {.ss_family = AF_UNIX};
    assert_false(sockaddr_is_public(sa(&other)));
}

static void texts(void **state)
{
    (void)state;
    struct sockaddr_storage a, b;
    char text[SOCKADDR_TEXT];
    assert_true(sockaddr_parse("1.2.3.4", 80, &a) && sockaddr_text(sa(&a), text));
    assert_string_equal(text, "1.2.3.4");
    assert_true(sockaddr_parse("2001:4860::1", 80, &b) && sockaddr_text(sa(&b), text));
    assert_string_equal(text, "[2001:4860::1]");
    assert_true(sockaddr_parse("::ffff:8.8.8.8", 80, &b) && sockaddr_text(sa(&b), text));
    assert_string_equal(text, "[::ffff:8.8.8.8]");
    assert_false(sockaddr_is_public(sa(&b)));
    assert_true(sockaddr_parse("8.8.8.8", 80, &a) && sockaddr_is_public(sa(&a)));
    assert_false(sockaddr_eq(sa(&a), sa(&b))); /* another family is another address */
    assert_true(sockaddr_parse("1.2.3.4", 80, &a));
    assert_false(sockaddr_eq(sa(&a), sa(&b)));
    assert_true(sockaddr_parse("1.2.3.4", 80, &b) && sockaddr_eq(sa(&a), sa(&b)));
    assert_true(sockaddr_parse("1.2.3.4", 81, &b) && !sockaddr_eq(sa(&a), sa(&b)));
    assert_true(sockaddr_parse("1.2.3.5", 80, &b) && !sockaddr_eq(sa(&a), sa(&b)));
    static const char *const bad[] = {"",         "localhost", "1.2.3",
                                      "01.2.3.4", "[::1]",     "fe80::1%eth0"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(sockaddr_parse(bad[i], 80, &a));
}

static void urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool public, private; /* taken without and with allow_private */
    } cases[] = {
        {"https://example.com/hook", true, true},
        {"https://example.com", true, true},
        {"https://example.com:443/x?y=z&a=%20b", true, true},
        {"https://example.com:8443/x", true, true},
        {"HTTPS://EXAMPLE.COM/", true, true},
        {"https://8.8.8.8/", true, true},
        {"https://[2001:4860:4860::8888]/", true, true},
        {"https://xn--bcher-kva.example/", true, true},
        {"https://example.com:8080/x", false, true},
        {"http://example.com/", false, true},
        {"http://localhost:3000/hook", false, true},
        {"https://127.0.0.1/", false, true},
        {"https://2130706433/", false, true},
        {"https://0x7f000001/", false, true},
        {"https://017700000001/", false, true},
        {"https://127.1/", false, true},
        {"https://[::1]/", false, true},
        {"https://[::ffff:8.8.8.8]/", false, true},
        {"https://169.254.169.254/latest/meta-data", false, true},
        {"https://user@example.com/", false, false},
        {"https://user:pw@example.com/", false, false},
        {"https://:pw@example.com/", false, false},
        {"https://@example.com/", false, false},
        {"https://example.com/#frag", false, false},
        {"https://example.com/a b", false, false},
        {"https://example.com\\@evil.example/", false, false},
        {"https://example.com/\x01", false, false},
        {"https://example.com/\n", false, false},
        {"https://b\xc3\xbc"
         "cher.example/",
         false, false},
        {"https://exa%6dple.com/", true, true},
        {"https://example.com./", true, true},
        {"https://local.example/", true, true},
        {"https://internal-api.example/", true, true},
        {"https://notlocalhost.example/", true, true},
        {"https://localhost/", false, true},
        {"https://LOCALHOST./", false, true},
        {"https://a.localhost/", false, true},
        {"https://printer.local/", false, true},
        {"https://metadata.google.internal/", false, true},
        {"https://router.home.arpa/", false, true},
        {"https://hidden.onion/", false, true},
        {"https://intranet/", false, true},
        {"https://intranet./", false, true},
        {"https://127.0.0.1./", false, true},
        {"https://shop.example.1/", false, true},
        {"https://shop.0x7f/", false, true},
        {"https://1.2.3.4.5/", false, true},
        {"https://256.256.256.256/", false, true},
        {"https://127%2e0%2e0%2e1/", false, true},
        {"https://example.com%00.evil/", false, false},
        {"https://[fe80::1%25eth0]/", false, false},
        {"https://", false, false},
        {"https:///path", false, false},
        {"https://example.com:0/", false, false},
        {"https://example.com:99999/", false, false},
        {"https://example.com:x/", false, false},
        {"ftp://example.com/", false, false},
        {"file:///etc/passwd", false, false},
        {"gopher://example.com/", false, false},
        {"javascript:alert(1)", false, false},
        {"//example.com/", false, false},
        {"/relative", false, false},
        {"example.com", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (outbound_url_ok(str_c(cases[i].url), false) != cases[i].public ||
            outbound_url_ok(str_c(cases[i].url), true) != cases[i].private)
            fail_msg("%s: %d %d", cases[i].url, outbound_url_ok(str_c(cases[i].url), false),
                     outbound_url_ok(str_c(cases[i].url), true));
    }
    char text[4096];
    memset(text, 'a', sizeof text);
    memcpy(text, "https://", 8);
    assert_false(outbound_url_ok(str_n(text, 8 + 254), true)); /* a host of 254 */
    memcpy(text + 8, "example.com/", 12);
    assert_true(outbound_url_ok(str_n(text, 2048), false));
    assert_false(outbound_url_ok(str_n(text, 2049), false));
}

static void parts(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host;
        int port;
        bool https;
    } cases[] = {
        {"http://Example.COM/x", "example.com", 80, false},
        {"https://example.com", "example.com", 443, true},
        {"http://127.1:8090/mpesa", "127.0.0.1", 8090, false},
        {"https://[2001:DB8::1]:8443/", "2001:db8::1", 8443, true},
    };
    struct arena mem;
    arena_init(&mem, 4096);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct url_parts p;
        assert_false(err_is(url_read(str_c(cases[i].url), &mem, &p)));
        assert_string_equal(p.host, cases[i].host);
        assert_int_equal(p.port, cases[i].port);
        assert_int_equal(p.https, cases[i].https);
    }
    arena_free(&mem);
}

/* More than there are pages, twice: who is found again says what he said, and who was pushed out is
 * read anew; what is refused stays refused. */
static void books(void **state)
{
    (void)state;
    struct url_book *b = url_book_new();
    assert_non_null(b);
    for (int round = 0; round < 2; round++)
        for (int i = 1; i <= 600; i++) {
            char url[64], host[32];
            struct arena mem;
            struct url_parts p;
            snprintf(host, sizeof host, "shop%d.example", i);
            snprintf(url, sizeof url, "%s://SHOP%d.example:%d/", i % 2 == 0 ? "http" : "https", i,
                     i);
            arena_init(&mem, 4096);
            for (int again = 0; again < 2; again++) {
                assert_false(err_is(url_book_read(b, str_c(url), &mem, &p)));
                assert_string_equal(p.host, host);
                assert_int_equal(p.port, i);
                assert_int_equal(p.https, i % 2);
                assert_true(err_is(url_book_read(b, STR("https://u@shop.example/"), &mem, &p)));
            }
            arena_free(&mem);
        }
    url_book_free(b);
    url_book_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges), cmocka_unit_test(texts), cmocka_unit_test(urls),
        cmocka_unit_test(parts),  cmocka_unit_test(books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
