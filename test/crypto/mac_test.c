/* Digests against published vectors: FIPS 180-2 (B.1, B.2) and RFC 4231. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/crypto/mac.h"
#include "core/crypto/text.h"

static void assert_digest(const uint8_t got[SHA256_LEN], const char *want)
{
    struct buf b;
    buf_init(&b, 64);
    hex_add(&b, str_n((const char *)got, SHA256_LEN));
    assert_true(str_eq(buf_view(&b), str_c(want)));
    buf_free(&b);
}

static void sha256_vectors(void **state)
{
    (void)state;
    uint8_t out[SHA256_LEN];
    sha256_one(STR("abc"), out);
    assert_digest(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_one(STR_NULL, out);
    assert_digest(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct str parts[] = {STR("abcdbcdecdefdefgefgh"), STR(""), STR_NULL,
                          STR("fghighijhijkijkljklmklmnlmnomnopnopq")};
    sha256(parts, COUNT_OF(parts), out);
    assert_digest(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    sha256(NULL, 0, out);
    assert_digest(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4868, 2.7.2.1 and 2.7.2.3: keys of 32 bytes, of which the last one stays set up. Each after
 * itself, after the others, and after a key of another length. */
static void hmac_keys_in_turn(void **state)
{
    (void)state;
    char b0[32], aa[32], dd[50];
    memset(b0, 0x0b, sizeof b0);
    memset(aa, 0xaa, sizeof aa);
    memset(dd, 0xdd, sizeof dd);
    const struct {
        struct str key, data;
        const char *want; /* its first half */
    } cases[] = {
        {str_n(b0, 32), STR("Hi There"), "198a607eb44bfbc69903a0f1cf2bbdc5"},
        {STR("JefeJefeJefeJefeJefeJefeJefeJefe"), STR("what do ya want for nothing?"),
         "167f928588c5cc2eef8e3093caa0e87c"},
        {str_n(aa, 32), str_n(dd, 50), "cdcb1220d1ecccea91e53aba3092f962"},
    };
    for (size_t i = 0; i < 6 * COUNT_OF(cases); i++) {
        uint8_t out[SHA256_LEN];
        size_t k = i / 2 % COUNT_OF(cases);
        struct buf b;
        if (i % 4 == 3)
            hmac_sha256_one(STR("Jefe"), STR("between"), out);
        hmac_sha256_one(cases[k].key, cases[k].data, out);
        buf_init(&b, 64);
        hex_add(&b, str_n((const char *)out, SHA256_LEN));
        assert_true(str_starts(buf_view(&b), str_c(cases[k].want)));
        buf_free(&b);
    }
}

static void hmac_vectors(void **state)
{
    (void)state;
    char aa[131], cd[50], k4[25];
    memset(aa, 0xaa, sizeof aa);
    memset(cd, 0xcd, sizeof cd);
    for (int i = 0; i < 25; i++)
        k4[i] = (char)(i + 1);
    const struct {
        struct str key, data;
        const char *want;
    } cases[] = {
        {STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
         STR("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {STR("Jefe"), STR("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {str_n(aa, 20),
         STR("\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"
             "\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"
             "\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"),
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {str_n(k4, 25), str_n(cd, 50),
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {str_n(aa, 131), STR("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {str_n(aa, 131),
         STR("This is a test using a larger than block-size key and a larger than block-size "
             "data. The key needs to be hashed before being used by the HMAC algorithm."),
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
        {STR(""), STR(""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
        {STR_NULL, STR_NULL, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t out[SHA256_LEN];
        hmac_sha256_one(cases[i].key, cases[i].data, out);
        assert_digest(out, cases[i].want);
        for (size_t cut = 0; cut <= cases[i].data.n && cut < 20;
             cut++) { /* in parts it is the same */
            struct str parts[] = {str_first(cases[i].data, cut), str_from(cases[i].data, cut)};
            hmac_sha256(cases[i].key, parts, 2, out);
            assert_digest(out, cases[i].want);
        }
    }
}

static void short_hashes(void **state)
{
    (void)state;
    assert_true(short_hash(STR("a")) == short_hash(STR("a")));
    assert_true(short_hash(STR("a")) != short_hash(STR("b")));
    (void)short_hash(STR_NULL);
}

/* FIPS 180-2, appendix A, and the accept key of RFC 6455, section 1.3, before its base64. */
static void sha1_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t digest[SHA1_LEN];
    } cases[] = {
        {"abc", {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
                 0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d}},
        {"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
         {0xb3, 0x7a, 0x4f, 0x2c, 0xc0, 0x62, 0x4f, 0x16, 0x90, 0xf6,
          0x46, 0x06, 0xcf, 0x38, 0x59, 0x45, 0xb2, 0xbe, 0xc4, 0xea}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t out[SHA1_LEN];
        sha1_one(str_c(cases[i].text), out);
        assert_memory_equal(out, cases[i].digest, SHA1_LEN);
    }
}

/* RFC 2202, cases 1, 2 and 6. */
static void hmac_sha1_vectors(void **state)
{
    (void)state;
    char key[80];
    memset(key, 0x0b, 20);
    memset(key + 20, 0xaa, 60);
    static const uint8_t want[][SHA1_LEN] = {
        {0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b,
         0xc0, 0xb6, 0xfb, 0x37, 0x8c, 0x8e, 0xf1, 0x46, 0xbe, 0x00},
        {0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74,
         0x16, 0xd5, 0xf1, 0x84, 0xdf, 0x9c, 0x25, 0x9a, 0x7c, 0x79},
        {0xaa, 0x4a, 0xe5, 0xe1, 0x52, 0x72, 0xd0, 0x0e, 0x95, 0x70,
         0x56, 0x37, 0xce, 0x8a, 0x3b, 0x55, 0xed, 0x40, 0x21, 0x12},
    };
    uint8_t out[SHA1_LEN];
    hmac_sha1(str_n(key, 20), STR("Hi There"), out);
    assert_memory_equal(out, want[0], SHA1_LEN);
    hmac_sha1(STR("Jefe"), STR("what do ya want for nothing?"), out);
    assert_memory_equal(out, want[1], SHA1_LEN);
    memset(key, 0xaa, 80);
    hmac_sha1(str_n(key, 80), STR("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_memory_equal(out, want[2], SHA1_LEN);
}

static int open_crypto(void **state)
{
    (void)state;
    return err_is(crypto_open()) || err_is(crypto_open());
}

static int close_crypto(void **state)
{
    (void)state;
    crypto_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_vectors),    cmocka_unit_test(hmac_vectors),
        cmocka_unit_test(hmac_keys_in_turn), cmocka_unit_test(short_hashes),
        cmocka_unit_test(sha1_vectors),      cmocka_unit_test(hmac_sha1_vectors),
    };
    return cmocka_run_group_tests(tests, open_crypto, close_crypto);
}
