/* Proves core/crypto/tls.h against OpenSSL's client: handshakes in pieces of every size, what is
 * refused, records in and out, goodbyes, and the words for files that do not do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <time.h>

#include "core/base/times.h"
#include "test/crypto/tls_client.h"

struct side {
    struct client client;
    struct tls *tls;
    struct buf out, got; /* records for the client; what it has said */
    bool ready, ended;
    struct err err;
};

static struct tls_files files;
static struct tls_site *site;

static int open_files(void **state)
{
    (void)state;
    files = tls_files_new("pay.example");
    site = tls_site_or_die(&files);
    return 0;
}

static int drop_files(void **state)
{
    (void)state;
    tls_site_free(site);
    tls_files_free(&files);
    return 0;
}

static struct side side_new(int version)
{
    struct side s = {.client = client_new(version)};
    assert_int_equal(tls_new(site, &s.tls).code, ERR_NONE);
    buf_init(&s.out, 4 << 20);
    buf_init(&s.got, 4 << 20);
    return s;
}

static void side_free(struct side *s)
{
    client_free(&s->client);
    tls_free(s->tls);
    buf_free(&s->out);
    buf_free(&s->got);
}

static void feed(struct side *s, struct str bytes)
{
    char plain[TLS_RECORD];
    enum tls_status status = TLS_DATA;
    size_t n;
    while (status != TLS_MORE && !s->ended && !err_is(s->err)) {
        status = tls_read(s->tls, &bytes, plain, &n, &s->out, &s->err);
        assert_false(s->out.failed);
        if (status == TLS_READY) {
            assert_false(s->ready);
            s->ready = true;
        } else if (status == TLS_DATA) {
            assert_true(s->ready && n > 0);
            buf_add(&s->got, plain, n);
        }
        s->ended |= status == TLS_END;
        assert_true((status == TLS_BAD) == err_is(s->err));
    }
    if (status == TLS_MORE)
        assert_int_equal(bytes.n, 0);
}

/* Carries what the client has to say over, in pieces, and our answer back. */
static void carry(struct side *s, size_t piece)
{
    for (struct str said = client_take(&s->client); said.n > 0; said = str_from(said, piece))
        feed(s, str_first(said, piece));
    client_give(&s->client, buf_view(&s->out));
    buf_reset(&s->out);
}

/* Whether both are through. */
static bool shake_hands(struct side *s, size_t piece)
{
    int rc = 0;
    for (int i = 0; i < 5 && rc != 1; i++) {
        rc = SSL_do_handshake(s->client.ssl);
        carry(s, piece);
    }
    ERR_clear_error();
    return rc == 1 && s->ready;
}

static void test_handshakes_in_pieces(void **state)
{
    static const int versions[] = {0, TLS1_2_VERSION, TLS1_3_VERSION};
    static const size_t pieces[] = {1, 2, 5, 16, 100, 1 << 20};
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        for (size_t p = 0; p < COUNT_OF(pieces); p++) {
            struct side s = side_new(versions[v]);
            assert_true(shake_hands(&s, pieces[p]));
            assert_int_equal(SSL_version(s.client.ssl),
                             versions[v] != 0 ? versions[v] : TLS1_3_VERSION);
            assert_int_equal(SSL_write(s.client.ssl, "hello", 5), 5);
            carry(&s, pieces[p]);
            assert_true(str_eq(buf_view(&s.got), STR("hello")));
            char back[16];
            assert_true(tls_write(s.tls, STR("world"), &s.out));
            carry(&s, 1);
            assert_int_equal(SSL_read(s.client.ssl, back, sizeof back), 5);
            assert_memory_equal(back, "world", 5);
            assert_int_equal(SSL_session_reused(s.client.ssl), 0);
            side_free(&s);
        }
    }
}

static void test_nothing_is_kept_between_sessions(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct side first = side_new(versions[v]), second = side_new(versions[v]);
        assert_true(shake_hands(&first, 100));
        SSL_SESSION *session = SSL_get1_session(first.client.ssl);
        assert_int_equal(SSL_SESSION_has_ticket(session), 0);
        SSL_set_session(second.client.ssl, session);
        assert_true(shake_hands(&second, 100));
        assert_int_equal(SSL_session_reused(second.client.ssl), 0);
        SSL_SESSION_free(session);
        side_free(&first);
        side_free(&second);
    }
}

static void refuses(struct side *s, const char *name)
{
    if (shake_hands(s, 1 << 20) || s->ready || !err_is(s->err))
        fail_msg("%s: taken", name);
    assert_false(tls_write(s->tls, STR("x"), &s->out));
    tls_goodbye(s->tls, &s->out);
    assert_int_equal(s->out.n, 0);
    side_free(s);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const int old[] = {TLS1_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < COUNT_OF(old); i++) {
        struct side s = side_new(old[i]);
        refuses(&s, "an old version");
    }
    static const char *const weak[] = {"AES128-SHA",
                                       "AES128-GCM-SHA256",
                                       "ECDHE-ECDSA-AES128-SHA",
                                       "DHE-RSA-AES128-GCM-SHA256",
                                       "ECDHE-ECDSA-AES128-SHA256",
                                       "NULL-SHA256"};
    for (size_t i = 0; i < COUNT_OF(weak); i++) {
        struct side s = side_new(TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(s.client.ssl, weak[i]), 1);
        refuses(&s, weak[i]);
    }
    struct side s = side_new(0);
    assert_int_equal(SSL_set_alpn_protos(s.client.ssl, (const unsigned char *)"\2h2", 3), 0);
    refuses(&s, "h2 alone");
}

static void test_alpn(void **state)
{
    struct side s = side_new(0);
    const unsigned char *chosen;
    unsigned n;
    (void)state;
    assert_int_equal(
        SSL_set_alpn_protos(s.client.ssl, (const unsigned char *)"\2h2\10http/1.1", 12), 0);
    assert_true(shake_hands(&s, 1 << 20));
    SSL_get0_alpn_selected(s.client.ssl, &chosen, &n);
    assert_true(str_eq(str_n((const char *)chosen, n), STR("http/1.1")));
    side_free(&s);
}

static void test_renegotiation_is_refused(void **state)
{
    struct side s = side_new(TLS1_2_VERSION);
    char back[16];
    (void)state;
    assert_true(shake_hands(&s, 1 << 20));
    assert_int_equal(SSL_renegotiate(s.client.ssl), 1);
    (void)SSL_do_handshake(s.client.ssl);
    carry(&s, 1 << 20);
    assert_true(SSL_read(s.client.ssl, back, sizeof back) <= 0);
    assert_true(SSL_version(s.client.ssl) == TLS1_2_VERSION);
    ERR_clear_error();
    /* the warning leaves the session as it was */
    assert_true(tls_write(s.tls, STR("on"), &s.out));
    side_free(&s);
}

static void test_garbage(void **state)
{
    static const char ssl2[48] = {(char)0x80, 46, 1, 0, 2};
    static const struct str said[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27},
        {"\x16\x03\x01\xff\xff", 5},                 /* a record longer than there are */
        {"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9}, /* an empty hello */
        {"\x17\x03\x03\x00\x01x", 6},                /* data before any key */
        {"\x15\x03\x03\x00\x02\x02\x28", 7},         /* a fatal alert */
        {ssl2, sizeof ssl2},
        {"\0\0\0\0\0\0\0\0\0\0\0\0", 12},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(said); i++) {
        struct side s = side_new(0);
        feed(&s, said[i]);
        if (!err_is(s.err))
            fail_msg("garbage %zu is taken", i);
        side_free(&s);
    }
    /* a byte of a record that was changed on the way */
    struct side s = side_new(0);
    assert_true(shake_hands(&s, 1 << 20));
    assert_int_equal(SSL_write(s.client.ssl, "secret", 6), 6);
    struct str record = client_take(&s.client);
    ((char *)(uintptr_t)record.p)[record.n - 1] ^= 1;
    feed(&s, record);
    assert_true(err_is(s.err));
    assert_int_equal(s.got.n, 0);
    side_free(&s);
}

static void test_much(void **state)
{
    static char big[300000], back[300000];
    struct side s = side_new(0);
    (void)state;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7 + i / 251);
    assert_true(shake_hands(&s, 1 << 20));
    assert_int_equal(SSL_write(s.client.ssl, big, sizeof big), sizeof big);
    carry(&s, 977);
    assert_int_equal(s.got.n, sizeof big);
    assert_memory_equal(s.got.p, big, sizeof big);
    assert_true(tls_write(s.tls, str_n(big, sizeof big), &s.out));
    assert_true(tls_write(s.tls, STR(""), &s.out));
    carry(&s, 1);
    size_t n = 0;
    for (int rc; n < sizeof back; n += (size_t)rc)
        assert_true((rc = SSL_read(s.client.ssl, back + n, (int)(sizeof back - n))) > 0);
    assert_memory_equal(back, big, sizeof big);
    side_free(&s);
}

static void test_goodbyes(void **state)
{
    char back[16];
    (void)state;
    struct side s = side_new(0);
    assert_true(shake_hands(&s, 1 << 20));
    (void)SSL_shutdown(s.client.ssl);
    carry(&s, 1 << 20);
    assert_true(s.ended);
    assert_true(tls_write(s.tls, STR("late"), &s.out)); /* its own side is still open */
    tls_goodbye(s.tls, &s.out);
    carry(&s, 1);
    assert_int_equal(SSL_read(s.client.ssl, back, sizeof back), 4);
    assert_int_equal(SSL_read(s.client.ssl, back, sizeof back), 0);
    assert_int_equal(SSL_get_error(s.client.ssl, 0), SSL_ERROR_ZERO_RETURN);
    side_free(&s);

    s = side_new(0);
    tls_goodbye(s.tls, &s.out); /* before the handshake there is nothing to say */
    assert_int_equal(s.out.n, 0);
    assert_false(tls_write(s.tls, STR("early"), &s.out));
    side_free(&s);
}

static void test_a_session_keeps_its_site(void **state)
{
    struct tls_site *other = tls_site_or_die(&files), *kept = site;
    (void)state;
    site = other;
    struct side s = side_new(0);
    site = kept;
    tls_site_free(other); /* a new certificate has come */
    assert_true(shake_hands(&s, 1 << 20));
    side_free(&s);
}

static void test_the_site(void **state)
{
    int64_t year = (int64_t)365 * 24 * 3600, left;
    (void)state;
    left = tls_site_expires_us(site) / US_PER_S - (int64_t)time(NULL);
    assert_true(left > year - 120 && left <= year);
    assert_true(tls_site_covers(site, "pay.example"));
    assert_true(tls_site_covers(site, "127.0.0.1"));
    assert_false(tls_site_covers(site, "example"));
    assert_false(tls_site_covers(site, "127.0.0.2"));
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void cannot_load(const char *cert, const char *key, const char *word)
{
    struct tls_site *s = NULL;
    char why[TLS_WHY];
    assert_int_equal(tls_site_load(cert, key, &s, why).code, ERR_CONFIG);
    assert_null(s);
    if (strstr(why, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, word);
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_files_that_do_not_do(void **state)
{
    struct tls_files other = tls_files_new("other.example"), bad = tls_files_new("bad.example");
    (void)state;
    cannot_load("/nonexistent/cert.pem", files.key, "no usable certificate in /nonexistent");
    cannot_load(files.cert, "/nonexistent/key.pem", "no usable key in /nonexistent");
    cannot_load(files.cert, other.key, "key");
    cannot_load(files.key, files.key, "no usable certificate");
    cannot_load(files.cert, files.cert, "no usable key");
    cannot_load("/tmp", files.key, "no usable certificate in /tmp");
    write_file(bad.cert, "");
    cannot_load(bad.cert, files.key, "no usable certificate");
    write_file(bad.cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    cannot_load(bad.cert, files.key, "no usable certificate");
    write_file(bad.key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    cannot_load(files.cert, bad.key, "no usable key");
    /* one that asks for a password: nobody is there, and nobody must wait */
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = fopen(bad.key, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PKCS8PrivateKey(f, key, EVP_aes_128_cbc(), "pw", 2, NULL, NULL), 1);
    fclose(f);
    EVP_PKEY_free(key);
    cannot_load(files.cert, bad.key, "no usable key");
    tls_files_free(&other);
    tls_files_free(&bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes_in_pieces),
        cmocka_unit_test(test_nothing_is_kept_between_sessions),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_goodbyes),
        cmocka_unit_test(test_a_session_keeps_its_site),
        cmocka_unit_test(test_the_site),
        cmocka_unit_test(test_files_that_do_not_do),
    };
    return cmocka_run_group_tests(tests, open_files, drop_files);
}
