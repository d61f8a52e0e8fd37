/* ID tokens of Firebase: the ten checks, each at its edge, and the keys they come with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/crypto/firebase.h"
#include "test/crypto/certificate.h"
#include "test/crypto/token.h"

#define ISS "\"iss\":\"https://securetoken.google.com/reli-demo\""
#define AUD "\"aud\":\"reli-demo\""
#define SUB "\"sub\":\"Uq3\""
#define TIMES "\"iat\":1000,\"exp\":4600,\"auth_time\":1000"
#define GOOD ISS "," AUD "," SUB "," TIMES

static struct test_certificate cert, other;
static struct jwt_keys *keys;
static const struct firebase_rules rules = {{"reli-demo", 9}, 1000, 60, false};
static const struct firebase_rules unsigned_rules = {{"reli-demo", 9}, 1000, 60, true};

static const char header[] = "{\"alg\":\"RS256\",\"kid\":\"one\",\"typ\":\"JWT\"}";

static enum err_code judge(struct str token, const struct firebase_rules *r)
{
    struct firebase_token t;
    struct err err = firebase_read(token, r, &t);
    if (!err_is(err))
        err = firebase_signed(&t, r, keys);
    firebase_free(&t);
    return err.code;
}

static enum err_code signed_claims(const char *claims, const struct firebase_rules *r)
{
    struct test_token t;
    token_rsa(&t, str_c(header), str_c(claims), cert.key, EVP_sha256());
    return judge(token_view(&t), r);
}

static void claims(void **state)
{
    (void)state;
    static const struct {
        bool right;
        const char *text;
    } cases[] = {
        {true, "{" GOOD "}"},
        {true, "{" GOOD ",\"email\":\"a@example.com\",\"role\":\"admin\"}"},
        /* 5: aud */
        {false, "{" ISS "," SUB "," TIMES "}"},
        {false, "{" ISS ",\"aud\":[\"reli-demo\"]," SUB "," TIMES "}"},
        {false, "{" ISS ",\"aud\":\"reli-dem\"," SUB "," TIMES "}"},
        {false, "{" ISS ",\"aud\":\"reli-demo2\"," SUB "," TIMES "}"},
        {false, "{" ISS ",\"aud\":\"RELI-DEMO\"," SUB "," TIMES "}"},
        {false, "{" ISS ",\"aud\":null," SUB "," TIMES "}"},
        /* 6: iss */
        {false, "{" AUD "," SUB "," TIMES "}"},
        {false,
         "{\"iss\":\"https://securetoken.google.com/reli-demo-evil\"," AUD "," SUB "," TIMES "}"},
        {false, "{\"iss\":\"https://securetoken.google.com/\"," AUD "," SUB "," TIMES "}"},
        {false, "{\"iss\":\"http://securetoken.google.com/reli-demo\"," AUD "," SUB "," TIMES "}"},
        {false,
         "{\"iss\":\"https://session.firebase.google.com/reli-demo\"," AUD "," SUB "," TIMES "}"},
        {false, "{\"iss\":\"https://accounts.google.com\"," AUD "," SUB "," TIMES "}"},
        /* 7: sub */
        {false, "{" ISS "," AUD "," TIMES "}"},
        {false, "{" ISS "," AUD ",\"sub\":\"\"," TIMES "}"},
        {false, "{" ISS "," AUD ",\"sub\":1," TIMES "}"},
        {false, "{" ISS "," AUD ",\"sub\":\"a\\tb\"," TIMES "}"},
        {false, "{" ISS "," AUD ",\"uid\":\"Uq3\",\"user_id\":\"Uq3\"," TIMES "}"},
        /* 8: exp, 9: iat, 10: auth_time */
        {true, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":941,\"auth_time\":1}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":940,\"auth_time\":1}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1,\"auth_time\":1}"},
        {true, "{" ISS "," AUD "," SUB ",\"iat\":1060,\"exp\":4600,\"auth_time\":1}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1061,\"exp\":4600,\"auth_time\":1}"},
        {false, "{" ISS "," AUD "," SUB ",\"exp\":4600,\"auth_time\":1}"},
        {true, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":4600,\"auth_time\":1060}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":4600,\"auth_time\":1061}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":4600}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":\"4600\",\"auth_time\":1}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":4600.5,\"auth_time\":1}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":-1,\"exp\":4600,\"auth_time\":1}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":4600,\"auth_time\":\"1\"}"},
        {false, "{" ISS "," AUD "," SUB ",\"iat\":1,\"exp\":4600,\"auth_time\":-1}"},
        {false, "{" GOOD ",\"exp\":4600}"},
        {true, "{" GOOD ",\"tenant\":\"t-1\"}"},
        {false, "{" GOOD ",\"firebase\":{\"tenant\":\"t-1\"}}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum err_code want = cases[i].right ? ERR_NONE : ERR_UNAUTHENTICATED;
        if (signed_claims(cases[i].text, &rules) != want)
            fail_msg("%s", cases[i].text);
    }
    for (int n = FIREBASE_SUB_MAX; n <= FIREBASE_SUB_MAX + 1; n++) {
        char text[512];
        snprintf(text, sizeof text, "{" ISS "," AUD "," TIMES ",\"sub\":\"%0*d\"}", n, 7);
        assert_int_equal(signed_claims(text, &rules),
                         n <= FIREBASE_SUB_MAX ? ERR_NONE : ERR_UNAUTHENTICATED);
    }
    /* the tolerance is the rule's */
    struct firebase_rules exact = rules;
    exact.skew_s = 0;
    assert_int_equal(signed_claims("{" ISS "," AUD "," SUB
                                   ",\"iat\":1000,\"exp\":1001,\"auth_time\":1}",
                                   &exact),
                     ERR_NONE);
    assert_int_equal(signed_claims("{" ISS "," AUD "," SUB
                                   ",\"iat\":1000,\"exp\":1000,\"auth_time\":1}",
                                   &exact),
                     ERR_UNAUTHENTICATED);
    assert_int_equal(signed_claims("{" ISS "," AUD "," SUB
                                   ",\"iat\":1001,\"exp\":2000,\"auth_time\":1}",
                                   &exact),
                     ERR_UNAUTHENTICATED);
}

static void signatures(void **state)
{
    (void)state;
    struct test_token t;
    struct str good = STR("{" GOOD "}");
    token_rsa(&t, str_c(header), good, other.key, EVP_sha256());
    assert_int_equal(judge(token_view(&t), &rules), ERR_UNAUTHENTICATED);
    token_rsa(&t, STR("{\"alg\":\"RS256\",\"kid\":\"two\"}"), good, cert.key, EVP_sha256());
    assert_int_equal(judge(token_view(&t), &rules), ERR_NOT_FOUND);
    token_rsa(&t, STR("{\"alg\":\"RS256\"}"), good, cert.key, EVP_sha256());
    assert_int_equal(judge(token_view(&t), &rules), ERR_UNAUTHENTICATED);
    token_hs256(&t, STR("{\"alg\":\"HS256\",\"kid\":\"one\"}"), good, str_c(cert.pem));
    assert_int_equal(judge(token_view(&t), &rules), ERR_UNAUTHENTICATED);
    token_hs256(&t, str_c(header), good, str_c(cert.pem));
    assert_int_equal(judge(token_view(&t), &rules), ERR_UNAUTHENTICATED);
    /* nothing is believed while there are no keys */
    struct jwt_keys *kept = keys;
    keys = NULL;
    token_rsa(&t, str_c(header), good, cert.key, EVP_sha256());
    assert_int_equal(judge(token_view(&t), &rules), ERR_NOT_FOUND);
    keys = kept;
    assert_int_equal(judge(token_view(&t), &rules), ERR_NONE);
}

static void emulator(void **state)
{
    (void)state;
    struct test_token t;
    struct buf b;
    token_begin(&b, STR("{\"alg\":\"none\",\"typ\":\"JWT\"}"), STR("{" GOOD "}"));
    buf_char(&b, '.');
    assert_int_equal(judge(buf_view(&b), &unsigned_rules), ERR_NONE);
    assert_int_equal(judge(buf_view(&b), &rules), ERR_UNAUTHENTICATED);
    buf_free(&b);
    /* the checks of the claims stay */
    token_begin(&b, STR("{\"alg\":\"none\",\"typ\":\"JWT\"}"), STR("{" ISS "," SUB "," TIMES "}"));
    buf_char(&b, '.');
    assert_int_equal(judge(buf_view(&b), &unsigned_rules), ERR_UNAUTHENTICATED);
    buf_free(&b);
    token_rsa(&t, str_c(header), STR("{" GOOD "}"), cert.key, EVP_sha256());
    assert_int_equal(judge(token_view(&t), &unsigned_rules), ERR_UNAUTHENTICATED);
}

static void user(void **state)
{
    (void)state;
    static const struct {
        const char *more, *email, *name, *provider;
        bool verified;
    } cases[] = {
        {",\"email\":\"a@example.com\",\"email_verified\":true,\"name\":\"Aline\","
         "\"firebase\":{\"sign_in_provider\":\"google.com\"}",
         "a@example.com", "Aline", "google.com", true},
        {",\"email\":\"a@example.com\",\"email_verified\":false", "a@example.com", "", "", false},
        {",\"email\":\"a@example.com\"", "a@example.com", "", "", false},
        {",\"email\":\"a@example.com\",\"email_verified\":\"true\"", "a@example.com", "", "",
         false},
        {",\"email\":\"a@example.com\",\"email_verified\":1", "a@example.com", "", "", false},
        {",\"email_verified\":true", "", "", "", false},
        {",\"email\":7,\"email_verified\":true,\"name\":[],\"firebase\":7", "", "", "", false},
        {",\"email\":\"a\\n@example.com\",\"email_verified\":true", "", "", "", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[1024];
        struct test_token t;
        struct firebase_token f;
        snprintf(text, sizeof text, "{" GOOD "%s}", cases[i].more);
        token_rsa(&t, str_c(header), str_c(text), cert.key, EVP_sha256());
        assert_false(err_is(firebase_read(token_view(&t), &rules, &f)));
        assert_true(str_eq(f.user.sub, STR("Uq3")));
        assert_true(str_eq(f.user.email, str_c(cases[i].email)));
        assert_true(str_eq(f.user.name, str_c(cases[i].name)));
        assert_true(str_eq(f.user.provider, str_c(cases[i].provider)));
        assert_int_equal(f.user.email_verified, cases[i].verified);
        assert_int_equal(f.user.auth_time_s, 1000);
        firebase_free(&f);
    }
}

static void projects(void **state)
{
    (void)state;
    assert_true(firebase_project_ok(STR("reli-demo")));
    assert_true(firebase_project_ok(STR("example.com:reli-demo")));
    assert_false(firebase_project_ok(STR("")));
    assert_false(firebase_project_ok(STR("reli demo")));
    assert_false(firebase_project_ok(STR("reli/demo")));
    assert_false(firebase_project_ok(STR("reli\n")));
    char much[65];
    memset(much, 'a', sizeof much);
    assert_true(firebase_project_ok(str_n(much, 64)));
    assert_false(firebase_project_ok(str_n(much, 65)));
}

static int begin(void **state)
{
    (void)state;
    struct buf b;
    certificate_new(&cert);
    certificate_new(&other);
    buf_init(&b, 16384);
    buf_c(&b, "{\"one\":\"");
    for (const char *p = cert.pem; *p != '\0'; p++)
        buf_str(&b, *p == '\n' ? STR("\\n") : str_n(p, 1));
    buf_c(&b, "\"}");
    bool bad = err_is(crypto_open()) || err_is(jwt_keys_parse(buf_view(&b), &keys));
    buf_free(&b);
    return bad;
}

static int end(void **state)
{
    (void)state;
    jwt_keys_free(keys);
    certificate_free(&cert);
    certificate_free(&other);
    crypto_close();
    arena_trim();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims), cmocka_unit_test(signatures), cmocka_unit_test(emulator),
        cmocka_unit_test(user),   cmocka_unit_test(projects),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
