/* core/flow/vault.c: wrapped keys and their rotation, sealed columns, and tokens of which no byte
 * can be changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/flow/vault.h"

#define KEY_A "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define KEY_B "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return err_is(crypto_open()) ? 1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    arena_trim();
    crypto_close();
    return 0;
}

static struct vault *open_vault(const char *master)
{
    struct vault *v = NULL;
    assert_false(err_is(vault_new(str_c(master), &v)));
    return v;
}

/* Owned by the arena. */
static struct str wrapped_key(struct vault *v)
{
    struct buf b;
    buf_init(&b, 1024);
    assert_false(err_is(vault_make_wrapped(v, &b)));
    struct str s = arena_dup(&arena, buf_view(&b));
    buf_free(&b);
    return s;
}

static struct vault *ready_vault(void)
{
    struct vault *v = open_vault("m1:" KEY_A);
    assert_false(vault_ready(v));
    assert_false(err_is(vault_add(v, STR("data"), 1, wrapped_key(v))));
    assert_false(vault_ready(v));
    assert_false(err_is(vault_add(v, STR("hmac"), 1, wrapped_key(v))));
    assert_true(vault_ready(v));
    return v;
}

static void master_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"m1:" KEY_A, true},
        {"m1:" KEY_A ",m2:" KEY_B, true},
        {" m1:" KEY_A " , m2:" KEY_B " ", true},
        {"a:" KEY_A ",b:" KEY_A ",c:" KEY_A ",d:" KEY_A, true},
        {"a:" KEY_A ",b:" KEY_A ",c:" KEY_A ",d:" KEY_A ",e:" KEY_A, false},
        {"01234567890123456789012345678901:" KEY_A, true},
        {"012345678901234567890123456789012:" KEY_A, false},
        {"m1:" KEY_A ",m1:" KEY_B, false},
        {"m1:" KEY_A ",", false},
        {"", false},
        {"m1", false},
        {"m1:", false},
        {":" KEY_A, false},
        {KEY_A, false},
        {"m1:AQEB", false},
        {"m1:" KEY_A "AQEB", false},
        {"m1:*QEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct vault *v = NULL;
        struct err err = vault_new(str_c(cases[i].text), &v);
        if (err.code != (cases[i].ok ? ERR_NONE : ERR_CONFIG))
            fail_msg("%s", cases[i].text);
        vault_free(v);
    }
    struct vault *v = NULL;
    assert_int_equal(vault_new(STR_NULL, &v).code, ERR_CONFIG);
    vault_free(NULL);
}

/* The first wraps, all unwrap; who has lost a master key learns it instead of making another. */
static void master_rotation(void **state)
{
    (void)state;
    struct vault *old = open_vault("m1:" KEY_A), *both = open_vault("m2:" KEY_B ",m1:" KEY_A),
                 *new = open_vault("m2:" KEY_B), *impostor = open_vault("m1:" KEY_B);
    struct str by_old = wrapped_key(old), by_both = wrapped_key(both);
    assert_false(err_is(vault_add(both, STR("data"), 1, by_old)));
    assert_false(err_is(vault_add(both, STR("hmac"), 1, by_both)));
    assert_true(vault_ready(both));
    assert_false(err_is(vault_add(new, STR("data"), 1, by_both)));
    assert_int_equal(vault_add(new, STR("hmac"), 1, by_old).code, ERR_CRYPTO);
    assert_int_equal(vault_add(old, STR("data"), 1, by_both).code, ERR_CRYPTO);
    assert_int_equal(vault_add(impostor, STR("data"), 1, by_old).code, ERR_CRYPTO);
    assert_false(vault_ready(new));
    char bent[256];
    assert_true(by_old.n < sizeof bent);
    for (size_t i = 0; i < by_old.n; i++) {
        memcpy(bent, by_old.p, by_old.n);
        bent[i] ^= 0x10;
        assert_int_equal(vault_add(old, STR("data"), 1, str_n(bent, by_old.n)).code, ERR_CRYPTO);
        assert_int_equal(vault_add(old, STR("data"), 1, str_n(by_old.p, i)).code, ERR_CRYPTO);
    }
    vault_free(old);
    vault_free(both);
    vault_free(new);
    vault_free(impostor);
}

static struct str sealed(struct vault *v, const char *place, struct uuid m, struct uuid row,
                         struct str plain)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    assert_false(err_is(vault_seal(v, place, m, row, plain, &b)));
    struct str s = arena_dup(&arena, buf_view(&b));
    buf_free(&b);
    return s;
}

static void sealed_columns(void **state)
{
    (void)state;
    struct vault *v = ready_vault(), *other = ready_vault();
    struct uuid m = {{1}}, row = {{2}};
    struct str text = sealed(v, "payment.pii", m, row, STR("\"phone\":\"254\"")), plain;
    assert_false(err_is(vault_open(v, "payment.pii", m, row, text, &arena, &plain)));
    assert_true(str_eq(plain, STR("\"phone\":\"254\"")));
    /* the same text never has the same sealed form */
    assert_false(str_eq(text, sealed(v, "payment.pii", m, row, plain)));
    /* moved to another column, merchant or row, or under another installation's key */
    assert_int_equal(vault_open(v, "payment.raw", m, row, text, &arena, &plain).code, ERR_CRYPTO);
    assert_int_equal(vault_open(v, "payment.pii", row, row, text, &arena, &plain).code, ERR_CRYPTO);
    assert_int_equal(vault_open(v, "payment.pii", m, m, text, &arena, &plain).code, ERR_CRYPTO);
    assert_int_equal(vault_open(other, "payment.pii", m, row, text, &arena, &plain).code,
                     ERR_CRYPTO);
    char bent[256];
    assert_true(text.n < sizeof bent);
    for (size_t i = 0; i < text.n; i++) {
        memcpy(bent, text.p, text.n);
        bent[i] ^= 1;
        struct str s = str_n(bent, text.n);
        assert_int_equal(vault_open(v, "payment.pii", m, row, s, &arena, &plain).code, ERR_CRYPTO);
        s = str_n(text.p, i);
        assert_int_equal(vault_open(v, "payment.pii", m, row, s, &arena, &plain).code, ERR_CRYPTO);
    }
    vault_free(v);
    vault_free(other);
}

/* Every column that is sealed, and two rows of two tenants in each: a text opens where it was
 * sealed and nowhere else. */
static void swapped(void **state)
{
    static const char *const places[] = {
        "payment.pii",
        "provider_event.raw",
        "provider_call.body",
        "exception_item.payer",
        "merchant.webhook_secret",
        "webhook_endpoint.secrets",
        "provider_account.settings",
        "account_user.person",
        "account_user.totp",
        "redis.token",
    };
    enum { IDS = 3, N = COUNT_OF(places) * IDS * IDS };
    static const struct uuid ids[IDS] = {{{0}}, {{1}}, {{2}}};
    struct str texts[N], plain;
    struct vault *v = ready_vault();
    (void)state;
    for (size_t i = 0; i < N; i++)
        texts[i] = sealed(v, places[i / (IDS * IDS)], ids[i / IDS % IDS], ids[i % IDS], STR("x"));
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < N; k++) {
            struct err err = vault_open(v, places[i / (IDS * IDS)], ids[i / IDS % IDS],
                                        ids[i % IDS], texts[k], &arena, &plain);
            assert_int_equal(err.code, i == k ? ERR_NONE : ERR_CRYPTO);
        }
    }
    vault_free(v);
}

/* What a sealed text says of its key, in the four bytes behind the first. */
static int key_of(struct str text)
{
    return (uint8_t)text.p[4];
}

static void data_key_rotation(void **state)
{
    (void)state;
    struct vault *v = ready_vault();
    struct uuid m = {{1}}, row = {{2}};
    struct str old = sealed(v, "t.c", m, row, STR("before")), plain;
    assert_int_equal(key_of(old), 1);
    assert_false(err_is(vault_add(v, STR("data"), 3, wrapped_key(v))));
    assert_false(err_is(vault_add(v, STR("data"), 2, wrapped_key(v)))); /* order does not matter */
    struct str new = sealed(v, "t.c", m, row, STR("after"));
    assert_int_equal(key_of(new), 3);
    assert_false(err_is(vault_open(v, "t.c", m, row, old, &arena, &plain)));
    assert_true(str_eq(plain, STR("before")));
    assert_false(err_is(vault_open(v, "t.c", m, row, new, &arena, &plain)));
    assert_true(str_eq(plain, STR("after")));
    /* a number that is known keeps its key: what it sealed stays readable */
    assert_false(err_is(vault_add(v, STR("data"), 3, wrapped_key(v))));
    assert_false(err_is(vault_open(v, "t.c", m, row, new, &arena, &plain)));
    /* a new key opens before it seals */
    vault_seal_by(v, 2);
    assert_int_equal(vault_sealing(v), 2);
    struct str middle = sealed(v, "t.c", m, row, STR("then"));
    uint8_t mark[VAULT_MARK];
    vault_mark(2, mark);
    assert_memory_equal(middle.p, mark, VAULT_MARK);
    vault_seal_by(v, 9); /* which is not there */
    assert_int_equal(vault_sealing(v), 2);
    assert_false(err_is(vault_open(v, "t.c", m, row, new, &arena, &plain)));
    for (int32_t n = 4; n <= 16; n++)
        assert_false(err_is(vault_add(v, STR("data"), n, wrapped_key(v))));
    assert_int_equal(vault_add(v, STR("data"), 17, wrapped_key(v)).code, ERR_LIMIT);
    vault_free(v);
}

static void hmac_key_rotation(void **state)
{
    (void)state;
    struct vault *v = ready_vault();
    uint8_t first[32], again[32], other[32];
    vault_hash(v, "api_key", STR("sk_test_1"), first);
    assert_false(err_is(vault_add(v, STR("hmac"), 1, wrapped_key(v)))); /* known: stays */
    vault_hash(v, "api_key", STR("sk_test_1"), again);
    assert_memory_equal(first, again, 32);
    vault_hash(v, "api_ke", STR("ysk_test_1"), other); /* purpose and text have a border */
    assert_memory_not_equal(first, other, 32);
    vault_hash(v, "fingerprint", STR("sk_test_1"), other);
    assert_memory_not_equal(first, other, 32);
    assert_false(err_is(vault_add(v, STR("hmac"), 2, wrapped_key(v))));
    vault_hash(v, "api_key", STR("sk_test_1"), other);
    assert_memory_not_equal(first, other, 32);
    assert_false(err_is(vault_add(v, STR("hmac"), 1, wrapped_key(v)))); /* an older one: no */
    vault_hash(v, "api_key", STR("sk_test_1"), again);
    assert_memory_equal(other, again, 32);
    vault_free(v);
}

/* Remembered or not, it is the hash. */
static void route_hashes(void **state)
{
    (void)state;
    static const char longer[] = "POST /0123456789012345678901234567890123456789"
                                 "012345678901234567890123456789";
    static const char *const routes[] = {"POST /a", "POST /a", "POST /ab", "POST /a",
                                         "",        "POST /a", longer,     "POST /a"};
    struct vault *v = ready_vault();
    uint8_t want[32], got[32];
    for (int key = 1; key <= 2; key++) {
        for (size_t i = 0; i < COUNT_OF(routes); i++) {
            vault_hash(v, "fingerprint", str_c(routes[i]), want);
            vault_route_hash(v, str_c(routes[i]), got);
            assert_memory_equal(want, got, 32);
        }
        assert_false(err_is(vault_add(v, STR("hmac"), 2, wrapped_key(v))));
    }
    vault_free(v);
}

/* ---- tokens ---- */

enum { TOKEN_ROOM = 256 };

typedef bool read_fn(struct vault *v, struct str token);

/* No other text reads: a byte changed to each other byte, cut, longer, in capitals, under another
 * key. */
static void only_this_text(struct vault *v, const char *token, read_fn *read)
{
    char bent[TOKEN_ROOM];
    size_t n = strlen(token);
    assert_true(n + 1 < sizeof bent);
    assert_true(read(v, str_n(token, n)));
    for (size_t i = 0; i < n; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(bent, token, n + 1);
            bent[i] = (char)c;
            if (bent[i] != token[i])
                assert_false(read(v, str_n(bent, n)));
        }
        assert_false(read(v, str_n(token, i)));
    }
    memcpy(bent, token, n);
    bent[n] = '0';
    assert_false(read(v, str_n(bent, n + 1)));
    bool has_letter = false;
    for (size_t i = 0; i < n; i++) {
        has_letter |= ascii_upper(token[i]) != token[i];
        bent[i] = ascii_upper(token[i]);
    }
    assert_true(has_letter);
    assert_false(read(v, str_n(bent, n)));
    assert_false(read(v, STR_NULL));
    struct vault *other = ready_vault();
    assert_false(read(other, str_n(token, n)));
    vault_free(other);
}

static const struct uuid subject = {{1, 2, 3, 0xab}}, merchant = {{9, 8, 7, 0xcd}};

static bool read_callback(struct vault *v, struct str token)
{
    struct uuid s, m;
    return callback_token_read(v, "alpha", token, &s, &m);
}

static void callback_tokens(void **state)
{
    (void)state;
    struct vault *v = ready_vault();
    struct uuid s, m;
    char token[CALLBACK_TOKEN_LEN + 1], again[CALLBACK_TOKEN_LEN + 1];
    callback_token_make(v, "alpha", subject, merchant, token);
    assert_int_equal(strlen(token), CALLBACK_TOKEN_LEN);
    callback_token_make(v, "alpha", subject, merchant, again);
    assert_string_equal(token, again);
    assert_true(callback_token_read(v, "alpha", str_c(token), &s, &m));
    assert_true(uuid_eq(s, subject) && uuid_eq(m, merchant));
    static const char *const others[] = {"beta", "alph", "alphaa", "Alpha", ""};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_false(callback_token_read(v, others[i], str_c(token), &s, &m));
    only_this_text(v, token, read_callback);
    vault_free(v);
}

#define EXPIRES (INT64_C(1795230000) * US_PER_S)

static bool read_client(struct vault *v, struct str token)
{
    struct client_token t;
    return client_token_read(v, token, EXPIRES - 1, &t);
}

static void client_tokens(void **state)
{
    (void)state;
    struct vault *v = ready_vault();
    struct client_token out,
        in = {
            .payment = subject, .merchant = merchant, .live = true, .expires_us = EXPIRES + 999999};
    char token[CLIENT_TOKEN_LEN + 1], again[CLIENT_TOKEN_LEN + 1], test[CLIENT_TOKEN_LEN + 1];
    client_token_make(v, &in, token);
    client_token_make(v, &in, again);
    assert_string_equal(token, again);
    assert_int_equal(strlen(token), CLIENT_TOKEN_LEN);
    static const struct {
        int64_t now;
        bool ok;
    } times[] = {{0, true},         {EXPIRES - US_PER_S, true}, {EXPIRES - 1, true},
                 {EXPIRES, false},  {EXPIRES + 1, false},       {EXPIRES + 999999, false},
                 {INT64_MAX, false}};
    for (size_t i = 0; i < COUNT_OF(times); i++)
        assert_int_equal(client_token_read(v, str_c(token), times[i].now, &out), times[i].ok);
    assert_true(uuid_eq(out.payment, subject) && uuid_eq(out.merchant, merchant) && out.live);
    assert_int_equal(out.expires_us, EXPIRES); /* whole seconds */
    in.live = false;
    client_token_make(v, &in, test);
    assert_string_not_equal(token, test);
    assert_true(client_token_read(v, str_c(test), 0, &out) && !out.live);
    only_this_text(v, token, read_client);
    vault_free(v);
}

static bool read_ticket(struct vault *v, struct str token)
{
    struct signed_ticket t;
    return signed_ticket_read(v, token, EXPIRES - 1, &t);
}

static void tickets(void **state)
{
    (void)state;
    struct vault *v = ready_vault();
    struct signed_ticket out, in = {.id = {{5}},
                                    .channel = TICKET_CUSTOMER,
                                    .subject = subject,
                                    .merchant = merchant,
                                    .session = {{6}},
                                    .key = {{7}},
                                    .live = true,
                                    .expires_us = EXPIRES};
    char token[SIGNED_TICKET_LEN + 1];
    signed_ticket_make(v, &in, token);
    assert_int_equal(strlen(token), SIGNED_TICKET_LEN);
    assert_true(signed_ticket_read(v, str_c(token), EXPIRES - 1, &out));
    assert_true(uuid_eq(out.id, in.id) && uuid_eq(out.subject, subject));
    assert_true(uuid_eq(out.merchant, merchant) && out.live && out.channel == TICKET_CUSTOMER);
    assert_true(uuid_eq(out.session, in.session) && uuid_eq(out.key, in.key));
    assert_int_equal(out.expires_us, EXPIRES);
    assert_false(signed_ticket_read(v, str_c(token), EXPIRES, &out));
    only_this_text(v, token, read_ticket);
    for (int i = 0; i < 6; i++) {
        in.channel = (enum ticket_channel)(i / 2);
        in.live = i % 2 == 1;
        signed_ticket_make(v, &in, token);
        assert_true(signed_ticket_read(v, str_c(token), 0, &out));
        assert_true(out.channel == in.channel && out.live == in.live);
    }
    vault_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(master_texts),      cmocka_unit_test(master_rotation),
        cmocka_unit_test(sealed_columns),    cmocka_unit_test(swapped),
        cmocka_unit_test(data_key_rotation), cmocka_unit_test(hmac_key_rotation),
        cmocka_unit_test(callback_tokens),   cmocka_unit_test(client_tokens),
        cmocka_unit_test(tickets),           cmocka_unit_test(route_hashes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
