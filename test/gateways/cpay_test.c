/* CPay, what we ask, written from cpay.md. The signatures were computed by another program
 * (Python's hmac) for a fixed nonce. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/gateways/cpay_case.h"

#define NONCE "000102030405060708090a0b0c0d0e0f"

static void counting(void *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)i;
}

static int fixed_nonce(void **state)
{
    random_source(counting);
    return fresh(state);
}

static int free_nonce(void **state)
{
    (void)state;
    random_source(NULL);
    return 0;
}

static struct gw_charge charge(void)
{
    return (struct gw_charge){.amount = {150000, RWF},
                              .method = STR(""),
                              .phone = STR("+250781234567"),
                              .email = STR(""),
                              .pay_code = STR("RL0K7Q2ZD913"),
                              .our_id = STR(OUR_ID),
                              .description = STR("Order 20931"),
                              .return_url = STR(""),
                              .callback_url = STR("https://pay.example.rw/cb/9f2c71"),
                              .expires_us = NOW_US + 15 * US_PER_MIN - 20 * US_PER_MS,
                              .now_us = NOW_US};
}

static struct gw_refund refund(void)
{
    return (struct gw_refund){.rail = REFUND_RAIL_REVERSAL,
                              .amount = {50000, RWF},
                              .payment_receipt = STR("cpm_01J8Z0DEMO"),
                              .payment_ref = STR("cpm_01J8Z0DEMO"),
                              .phone = STR("+250781234567"),
                              .our_id = STR(REFUND_ID),
                              .remarks = STR("Broken"),
                              .callback_url = STR("https://pay.example.rw/cb/9f2c72"),
                              .now_us = NOW_US};
}

static const char *header(const struct outbound_request *r, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < r->n_headers; i++)
        if (strncmp(r->headers[i], name, n) == 0 && strncmp(r->headers[i] + n, ": ", 2) == 0)
            return r->headers[i] + n + 2;
    return NULL;
}

static void assert_signed(const struct outbound_request *r, const char *hex)
{
    char want[80];
    (void)snprintf(want, sizeof want, "v1=%s", hex);
    assert_string_equal(header(r, "CPay-Key"), "cpk_test");
    assert_string_equal(header(r, "CPay-Timestamp"), "1767960000");
    assert_string_equal(header(r, "CPay-Nonce"), NONCE);
    assert_string_equal(header(r, "CPay-Signature"), want);
    assert_int_equal(r->timeout_us, 30 * US_PER_S);
    assert_false(r->public_only);
}

#define WALLET                                                              \
    "{\"reference\":\"" OUR_ID "\",\"amount\":150000,\"currency\":\"RWF\"," \
    "\"method\":\"wallet\",\"payer\":{\"msisdn\":\"+250781234567\"},"       \
    "\"description\":\"Order 20931\",\"expires_in\":840,"                   \
    "\"metadata\":{\"pay_code\":\"RL0K7Q2ZD913\"}}"

static void charge_wallet(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct outbound_request r;
    assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &r)));
    assert_string_equal(r.method, "POST");
    assert_string_equal(r.url, "https://api.cpay.test/v1/payments");
    assert_text(r.body, WALLET);
    assert_string_equal(header(&r, "Content-Type"), "application/json");
    assert_string_equal(header(&r, "Idempotency-Key"), OUR_ID);
    assert_signed(&r, "c7d9a80f983bc482e286b877fcfa97953ff1c62c7025c7e9a23bfddb797c1fc5");
}

/* The path that is signed is the one that the server sees. */
static void base_urls(void **state)
{
    (void)state;
    static const char at_root[] =
        "c7d9a80f983bc482e286b877fcfa97953ff1c62c7025c7e9a23bfddb797c1fc5";
    static const char below[] = "04b48e1caa872859286449aecfc29b6957f4a2102c066c9f8115dccbed2bc4a2";
    static const struct {
        const char *base, *url, *hex;
    } cases[] = {
        {"https://api.cpay.test", "https://api.cpay.test/v1/payments", at_root},
        {"http://127.0.0.1:8090/cpay/v1", "http://127.0.0.1:8090/cpay/v1/payments", below},
        {"http://127.0.0.1:8090/cpay", "http://127.0.0.1:8090/cpay/v1/payments", below},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = account();
        struct gw_charge c = charge();
        struct outbound_request r;
        a.base_url = str_c(cases[i].base);
        assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &r)));
        assert_string_equal(r.url, cases[i].url);
        assert_signed(&r, cases[i].hex);
    }
}

static void charge_redirect(void **state)
{
    (void)state;
    static const char want[] =
        "{\"reference\":\"" OUR_ID "\",\"amount\":150000,\"currency\":\"RWF\","
        "\"method\":\"redirect\",\"payer\":{%s\"email\":\"a@b.rw\"},"
        "\"return_url\":\"https://shop.example/back?o=1\",\"description\":\"Order 20931\","
        "\"expires_in\":840,\"metadata\":{\"pay_code\":\"RL0K7Q2ZD913\"}}";
    for (int with_phone = 0; with_phone < 2; with_phone++) {
        char text[1024];
        struct gw_account a = account();
        struct gw_charge c = charge();
        struct outbound_request r;
        c.method = with_phone ? STR("redirect") : STR("cpay");
        c.phone = with_phone ? c.phone : STR("");
        c.email = STR("a@b.rw");
        c.return_url = STR("https://shop.example/back?o=1");
        assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &r)));
        (void)snprintf(text, sizeof text, want, with_phone ? "\"msisdn\":\"+250781234567\"," : "");
        assert_text(r.body, text);
    }
}

static void charge_refused(void **state)
{
    (void)state;
    static const struct {
        const char *phone, *return_url, *our_id, *method;
        int64_t minor;
        uint16_t currency;
        bool ok;
    } cases[] = {
        {.ok = true},
        {.minor = 1, .ok = true},
        {.minor = MONEY_MAX, .ok = true},
        {.minor = MONEY_MAX + 1},
        {.minor = -1},
        {.minor = INT64_MIN},
        {.minor = INT64_MAX},
        {.currency = CURRENCY('K', 'E', 'S'), .ok = true},
        {.currency = CURRENCY('Q', 'Q', 'Q')},
        {.phone = ""},
        {.phone = "", .return_url = "https://a.example/", .ok = true},
        {.phone = "", .return_url = "ftp://a.example/"},
        {.phone = "", .return_url = "https://a.example/ b"},
        {.return_url = "javascript:alert(1)"},
        {.method = "redirect"},
        {.method = "redirect", .return_url = "http://a.example/", .ok = true},
        {.phone = "250781234567"},
        {.phone = "+0781234567"},
        {.phone = "+2507812"},
        {.phone = "+25078123456789012"},
        {.phone = "+25078x234567"},
        {.our_id = ""},
        {.our_id = "1234567"},
        {.our_id = "12345678", .ok = true},
        {.our_id = OUR_ID "0"},
        {.our_id = "order 12345"},
        {.our_id = "order&12345"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = account();
        struct gw_charge c = charge();
        struct outbound_request r;
        c.amount.minor = cases[i].minor != 0 ? cases[i].minor : c.amount.minor;
        c.amount.currency = cases[i].currency != 0 ? cases[i].currency : c.amount.currency;
        c.phone = cases[i].phone != NULL ? str_c(cases[i].phone) : c.phone;
        c.return_url = cases[i].return_url != NULL ? str_c(cases[i].return_url) : c.return_url;
        c.our_id = cases[i].our_id != NULL ? str_c(cases[i].our_id) : c.our_id;
        c.method = cases[i].method != NULL ? str_c(cases[i].method) : c.method;
        struct err err = gw->charge_build(&a, &c, STR(""), &mem, &r);
        if ((err.code == ERR_NONE) != cases[i].ok || (!cases[i].ok && err.code != ERR_INVALID))
            fail_msg("case %zu: %s", i, err.what != NULL ? err.what : "taken");
    }
}

static void keys(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool ok;
    } cases[] = {
        {"cpk_a:cps_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", true},
        {"cpk_a:cps___________________________________________8", true},
        {"", false},
        {"cpk_a", false},
        {"cpk_a:", false},
        {"cpk_a:cps_", false},
        {"pk_a:cps_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", false},
        {"cpk_a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", false},
        {"cpk_a:cps_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh", false},
        {"cpk_a:cps_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", false},
        {"cpk_a:cps_+AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", false},
        {"cpk_a:cps_/AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", false},
        {"cpk_a:cps_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh=", false},
        {"cpk_a\n:cps_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = account();
        struct gw_charge c = charge();
        struct outbound_request r;
        set(&a, "api_key", cases[i].key);
        struct err err = gw->charge_build(&a, &c, STR(""), &mem, &r);
        if ((err.code == ERR_NONE) != cases[i].ok || (!cases[i].ok && err.code != ERR_INVALID))
            fail_msg("key %zu: %s", i, err.what != NULL ? err.what : "taken");
    }
}

static void descriptions(void **state)
{
    (void)state;
    char long_ascii[201], long_wide[401];
    memset(long_ascii, 'x', 200);
    long_ascii[200] = 0;
    for (int i = 0; i < 200; i++)
        memcpy(long_wide + i * 2, "\xc3\xa9", 2);
    long_wide[400] = 0;
    const struct {
        const char *in;
        size_t len;
    } cases[] = {{long_ascii, 140}, {long_wide, 280}, {"a\tb\x01", 4}, {"caf\xc3\xa9", 5}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = account();
        struct gw_charge c = charge();
        struct outbound_request r;
        c.description = str_c(cases[i].in);
        assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &r)));
        size_t from = str_find_str(r.body, STR("\"description\":\"")) + 15;
        assert_int_equal(str_find_str(str_from(r.body, from), STR("\",\"expires_in\"")),
                         cases[i].len);
        assert_true(utf8_valid(r.body));
        assert_true(str_find(r.body, '\t', 0) == SIZE_MAX);
    }
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct outbound_request r;
    c.description = STR("");
    assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &r)));
    assert_true(str_find_str(r.body, STR("description")) == SIZE_MAX);
}

static void lives(void **state)
{
    (void)state;
    static const struct {
        int64_t left_us;
        const char *want;
    } cases[] = {
        {15 * US_PER_MIN, "\"expires_in\":900,"},
        {15 * US_PER_MIN - 1, "\"expires_in\":840,"},
        {14 * US_PER_MIN + US_PER_S, "\"expires_in\":840,"},
        {US_PER_S, "\"expires_in\":60,"},
        {-US_PER_HOUR, "\"expires_in\":60,"},
        {3 * US_PER_DAY, "\"expires_in\":86400,"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_account a = account();
        struct gw_charge c = charge();
        struct outbound_request r;
        c.expires_us = NOW_US + cases[i].left_us;
        assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &r)));
        if (str_find_str(r.body, str_c(cases[i].want)) == SIZE_MAX)
            fail_msg("%s is not in %.*s", cases[i].want, STR_ARG(r.body));
    }
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct outbound_request r;
    c.expires_us = 0;
    assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &r)));
    assert_true(str_find_str(r.body, STR("expires_in")) == SIZE_MAX);
}

/* What may be sent again is the same to the byte, under the same key, with another nonce. */
static void sent_again(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct outbound_request first, second;
    assert_true(gw->may_resend);
    assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &first)));
    c.now_us += 10 * US_PER_S;
    assert_false(err_is(gw->charge_build(&a, &c, STR(""), &mem, &second)));
    assert_true(str_eq(first.body, second.body));
    assert_string_equal(header(&first, "Idempotency-Key"), header(&second, "Idempotency-Key"));
    assert_string_not_equal(header(&first, "CPay-Nonce"), header(&second, "CPay-Nonce"));
    assert_string_not_equal(header(&first, "CPay-Signature"), header(&second, "CPay-Signature"));
}

static void queries(void **state)
{
    (void)state;
    static const struct {
        const char *ref, *url, *hex;
    } cases[] = {
        {"cpm_01J8Z0DEMO", "https://api.cpay.test/v1/payments/cpm_01J8Z0DEMO",
         "4d1b1187542e053c265b63e8433ed58d6220ef7a4507de32abfa6f086c5c696d"},
        {OUR_ID, "https://api.cpay.test/v1/payments?reference=" OUR_ID,
         "aa0ffefb15dda73767b8fdd5986b3ac7b08ee8b709c747f0bbab6318ed3ec341"},
    };
    static const char *const bad[] = {"", "cpm_a/b", "a b", "a?b", "a&b=c", "%41", OUR_ID "0"};
    struct gw_account a = account();
    struct outbound_request r;
    assert_true(gw->our_id_is_ref);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_false(err_is(gw->query_build(&a, str_c(cases[i].ref), NOW_US, STR(""), &mem, &r)));
        assert_string_equal(r.method, "GET");
        assert_string_equal(r.url, cases[i].url);
        assert_int_equal(r.body.n, 0);
        assert_null(header(&r, "Idempotency-Key"));
        assert_signed(&r, cases[i].hex);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(gw->query_build(&a, str_c(bad[i]), NOW_US, STR(""), &mem, &r).code,
                         ERR_INVALID);
}

static void refund_requests(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_refund in = refund();
    struct outbound_request r;
    assert_int_equal(gw->our_id_rails, 1u << REFUND_RAIL_REVERSAL);
    assert_false(err_is(gw->refund_build(&a, &in, STR(""), &mem, &r)));
    assert_string_equal(r.method, "POST");
    assert_string_equal(r.url, "https://api.cpay.test/v1/payments/cpm_01J8Z0DEMO/refunds");
    assert_text(r.body, "{\"reference\":\"" REFUND_ID "\",\"amount\":50000,\"reason\":\"Broken\"}");
    assert_string_equal(header(&r, "Idempotency-Key"), REFUND_ID);
    assert_signed(&r, "7107cd7318ff2f93970239926bf94bd7a795ba13c9b11978d1a3ac8249ac56b4");
    assert_false(err_is(gw->refund_query_build(&a, &in, STR(REFUND_ID), STR(""), &mem, &r)));
    assert_string_equal(r.method, "GET");
    assert_string_equal(r.url, "https://api.cpay.test/v1/refunds?payment=cpm_01J8Z0DEMO"
                               "&reference=" REFUND_ID);
    assert_signed(&r, "bbf745bab6401530b66c548ff1b4ab3005f6e7497338fa9509fad5938c2f75e6");
    /* The receipt is the payment's id as well. */
    in.payment_ref = STR(OUR_ID);
    assert_false(err_is(gw->refund_build(&a, &in, STR(""), &mem, &r)));
    assert_string_equal(r.url, "https://api.cpay.test/v1/payments/cpm_01J8Z0DEMO/refunds");
}

static void refund_refused(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct outbound_request r;
    for (int i = 0; i < 6; i++) {
        struct gw_refund in = refund();
        bool payout = i == 0;
        in.rail = payout ? REFUND_RAIL_PAYOUT : in.rail;
        in.our_id = i == 1 ? STR("") : i == 2 ? STR("a b c d e") : in.our_id;
        in.amount.minor = i == 3 ? 0 : i == 4 ? MONEY_MAX + 1 : in.amount.minor;
        in.payment_ref = in.payment_receipt = i == 5 ? STR("cpm_../x") : in.payment_ref;
        assert_int_equal(gw->refund_build(&a, &in, STR(""), &mem, &r).code, ERR_INVALID);
        if (payout || i == 5)
            assert_int_equal(
                gw->refund_query_build(&a, &in, STR(REFUND_ID), STR(""), &mem, &r).code,
                ERR_INVALID);
    }
}

static struct gw_payout payout(void)
{
    return (struct gw_payout){.amount = {70000, RWF},
                              .phone = STR("+250781234567"),
                              .name = STR("Aline U."),
                              .our_id = STR(PAYOUT_ID),
                              .purpose = STR(GW_PURPOSE_SALARY),
                              .remarks = STR("July"),
                              .callback_url = STR("https://pay.example.rw/cb/9f2c73"),
                              .now_us = NOW_US};
}

static void payout_requests(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_payout in = payout();
    struct outbound_request r;
    assert_true(gw->payout_our_id_is_ref && gw->payout_may_resend);
    assert_false(err_is(gw->payout_build(&a, &in, STR(""), &mem, &r)));
    assert_string_equal(r.method, "POST");
    assert_string_equal(r.url, "https://api.cpay.test/v1/payouts");
    assert_text(r.body, "{\"reference\":\"" PAYOUT_ID "\",\"amount\":70000,\"currency\":\"RWF\","
                        "\"destination\":{\"type\":\"wallet\",\"msisdn\":\"+250781234567\","
                        "\"name\":\"Aline U.\"},\"reason\":\"July\"}");
    assert_string_equal(header(&r, "Idempotency-Key"), PAYOUT_ID);
    assert_signed(&r, "eeb8d6faeb0c3e0c7fa62b47d90f57bd4fdabf0901edb3b5550ddfd566aacc1a");
    in.name = in.remarks = STR("");
    assert_false(err_is(gw->payout_build(&a, &in, STR(""), &mem, &r)));
    assert_signed(&r, "eb60b614d005cb1aef9f2d3541c339d44d6a7bbb473019d795af04de2fdea53c");
    assert_false(err_is(gw->payout_query_build(&a, &in, STR(PAYOUT_ID), STR(""), &mem, &r)));
    assert_string_equal(r.method, "GET");
    assert_string_equal(r.url, "https://api.cpay.test/v1/payouts?reference=" PAYOUT_ID);
    assert_null(header(&r, "Idempotency-Key"));
    assert_signed(&r, "dd4099afc987205294a35222f6acd1df44eae3f5c26e3d79b5ace9a03295c844");
}

static void payout_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        uint16_t currency;
        const char *our_id, *phone;
    } cases[] = {
        {.minor = -1},
        {.minor = MONEY_MAX + 1},
        {.currency = CURRENCY('X', 'Q', 'Q')},
        {.our_id = ""},
        {.our_id = "a/b c d e f"},
        {.our_id = "short"},
        {.our_id = OUR_ID "0"},
        {.phone = ""},
        {.phone = "250781234567"},
        {.phone = "+0781234567"},
        {.phone = "+25078123456x"},
        {.phone = "+2507812345678901"},
    };
    struct gw_account a = account();
    struct outbound_request r;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct gw_payout in = payout();
        in.amount.minor = cases[i].minor != 0 ? cases[i].minor : in.amount.minor;
        in.amount.currency = cases[i].currency != 0 ? cases[i].currency : in.amount.currency;
        in.our_id = cases[i].our_id != NULL ? str_c(cases[i].our_id) : in.our_id;
        in.phone = cases[i].phone != NULL ? str_c(cases[i].phone) : in.phone;
        if (gw->payout_build(&a, &in, STR(""), &mem, &r).code != ERR_INVALID)
            fail_msg("case %zu", i);
    }
    static const char *const bad[] = {"", "a/b", "a b", "a&b=c", OUR_ID "0"};
    struct gw_payout in = payout();
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(gw->payout_query_build(&a, &in, str_c(bad[i]), STR(""), &mem, &r).code,
                         ERR_INVALID);
}

/* An arena that ends at any point is an error, never half a request. */
static void little_memory(void **state)
{
    (void)state;
    struct gw_account a = account();
    struct gw_charge c = charge();
    struct gw_refund in = refund();
    struct gw_payout out = payout();
    bool whole = false;
    for (size_t limit = 0; !whole && limit < 8192; limit += 16) {
        struct outbound_request r = {0}, q = {0}, b = {0};
        struct arena small;
        arena_init(&small, limit);
        bool built = !err_is(gw->charge_build(&a, &c, STR(""), &small, &r));
        bool asked = !err_is(gw->query_build(&a, STR(OUR_ID), NOW_US, STR(""), &small, &q));
        whole = built && asked && !err_is(gw->refund_build(&a, &in, STR(""), &small, &b)) &&
                !err_is(gw->payout_build(&a, &out, STR(""), &small, &b));
        assert_true(!built || (r.n_headers == 7 && r.body.n == sizeof WALLET - 1));
        assert_true(!asked || q.n_headers == 5);
        arena_free(&small);
    }
    assert_true(whole);
}

static void masked(void **state)
{
    (void)state;
    static const char *const secrets[] = {"78123", "@b.rw", "token123", "Aline"};
    static const char body[] =
        "{\"reference\":\"" OUR_ID "\",\"amount\":150000,\"payer\":{\"msisdn\":\"+250781234567\","
        "\"name\":\"Aline\",\"email\":\"a@b.rw\"},\"return_url\":\"https://s.example/token123\","
        "\"next_action\":{\"type\":\"redirect\",\"url\":\"https://p.example/token123\"}}";
    struct buf out;
    buf_init(&out, 4096);
    gw->redact(str_c(body), &out);
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        assert_true(str_find_str(buf_view(&out), str_c(secrets[i])) == SIZE_MAX);
    assert_true(str_find_str(buf_view(&out), STR("\"amount\":150000")) != SIZE_MAX);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(charge_wallet, fixed_nonce, free_nonce),
        cmocka_unit_test_setup_teardown(base_urls, fixed_nonce, free_nonce),
        cmocka_unit_test_setup(charge_redirect, fresh),
        cmocka_unit_test_setup(charge_refused, fresh),
        cmocka_unit_test_setup(keys, fresh),
        cmocka_unit_test_setup(descriptions, fresh),
        cmocka_unit_test_setup(lives, fresh),
        cmocka_unit_test_setup(sent_again, fresh),
        cmocka_unit_test_setup_teardown(queries, fixed_nonce, free_nonce),
        cmocka_unit_test_setup_teardown(refund_requests, fixed_nonce, free_nonce),
        cmocka_unit_test_setup(refund_refused, fresh),
        cmocka_unit_test_setup_teardown(payout_requests, fixed_nonce, free_nonce),
        cmocka_unit_test_setup(payout_refused, fresh),
        cmocka_unit_test_setup(little_memory, fresh),
        cmocka_unit_test_setup(masked, fresh),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
