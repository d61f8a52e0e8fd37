/* core/flow/idempotency.c: the form of keys, the places of records against a naive statement of the
 * rule, and what a mismatch names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/flow/idempotency.h"

static struct vault *vault;

static int setup(void **state)
{
    (void)state;
    if (err_is(crypto_open()) ||
        err_is(vault_new(STR("m1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="), &vault)))
        return 1;
    static const char *const kinds[] = {"data", "hmac"};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct buf b;
        buf_init(&b, 1024);
        if (err_is(vault_make_wrapped(vault, &b)) ||
            err_is(vault_add(vault, str_c(kinds[i]), 1, buf_view(&b))))
            return 1;
        buf_free(&b);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vault_free(vault);
    crypto_close();
    arena_trim();
    return 0;
}

static void keys(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'k', sizeof text);
    for (size_t n = 0; n <= sizeof text; n++)
        assert_int_equal(idempotency_key_ok(str_n(text, n)), n >= 16 && n <= 255);
    for (int c = 0; c < 256; c++) { /* any place of it */
        static const size_t places[] = {0, 9, 19};
        for (size_t i = 0; i < COUNT_OF(places); i++) {
            text[places[i]] = (char)c;
            assert_int_equal(idempotency_key_ok(str_n(text, 20)), c >= 0x20 && c <= 0x7e);
            text[places[i]] = 'k';
        }
    }
    assert_false(idempotency_key_ok(STR_NULL));
}

/* ---- places ---- */

static int64_t number_of_period(int64_t t, int64_t retention)
{
    int64_t n = 0;
    while ((n + 1) * retention <= t)
        n++;
    return n;
}

static bool writes(struct idempotency_place p, int16_t slot)
{
    return p.slot == slot || p.slot_b == slot;
}

static bool looks(struct idempotency_place p, int16_t slot)
{
    return p.look_a == slot || p.look_b == slot;
}

/* The rule: the slot of the present period, and of each period that is less than ten minutes away.
 */
static void one_place(int64_t t, int64_t retention)
{
    struct idempotency_place p = idempotency_place(t, retention);
    int64_t n = number_of_period(t, retention);
    assert_int_equal(p.period, n);
    assert_int_equal(p.slot, n % 4);
    bool after = t - n * retention < 10 * US_PER_MIN;
    bool before = (n + 1) * retention - t <= 10 * US_PER_MIN;
    int want = after ? (int)((n + 3) % 4) : before ? (int)((n + 1) % 4) : -1;
    assert_int_equal(p.slot_b, want);
    assert_int_equal(p.look_a, n % 4);
    assert_int_equal(p.look_b, (n + 3) % 4);
}

static const int64_t retentions[] = {US_PER_DAY, 25 * US_PER_HOUR, 3 * US_PER_DAY};

static void places(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(retentions); i++) {
        int64_t r = retentions[i];
        for (int64_t t = 5 * r; t < 7 * r; t += US_PER_MIN) {
            one_place(t, r);
            one_place(t - 1, r);
            one_place(t + 1, r);
        }
    }
}

/* What the rule is for, at every minute of two periods: whoever looks between ten minutes before
 * (another's clock) and the end of the retention finds it, and two who write within ten minutes of
 * each other meet in a slot. The slot that is about to be used again is not one that is looked at.
 */
static void nothing_is_lost(void **state)
{
    (void)state;
    int64_t r = US_PER_DAY, margin = 10 * US_PER_MIN;
    for (int64_t t = 5 * r; t < 7 * r; t += US_PER_MIN) {
        struct idempotency_place w = idempotency_place(t, r);
        for (int64_t at = t - margin; at <= t + r;
             at += at < t + margin ? US_PER_MIN : 7 * margin) {
            struct idempotency_place l = idempotency_place(at, r);
            assert_true(looks(l, w.slot) || (w.slot_b >= 0 && looks(l, w.slot_b)));
            struct uuid made = uuid_v7_floor(t / US_PER_MS); /* id of what the key is for */
            assert_true(uuid_cmp(l.made_from, made) < 0 && uuid_cmp(made, l.made_until) < 0);
        }
        assert_true(looks(idempotency_place(t + r, r), w.slot));
        for (int64_t d = 0; d <= margin; d += US_PER_MIN / 2) {
            struct idempotency_place o = idempotency_place(t + d, r);
            assert_true(writes(o, w.slot) || (w.slot_b >= 0 && writes(o, w.slot_b)));
        }
        int16_t next_but_one = (int16_t)((w.period + 2) % 4);
        assert_false(looks(w, next_but_one));
        assert_false(writes(w, next_but_one));
    }
}

/* A request that stood still on its way, across the boundary and more than ten minutes: where it
 * would write is not where the next one with its key looks. */
static void a_place_is_good_for_five_minutes(void **state)
{
    (void)state;
    int64_t t = 8 * US_PER_DAY - 30 * US_PER_MIN;
    struct idempotency_place p = idempotency_place(t, US_PER_DAY);
    assert_int_equal(idempotency_place_fresh(&p, t - US_PER_HOUR).code, ERR_NONE);
    assert_int_equal(idempotency_place_fresh(&p, t + 5 * US_PER_MIN).code, ERR_NONE);
    assert_int_equal(idempotency_place_fresh(&p, t + 5 * US_PER_MIN + 1).code, ERR_UNAVAILABLE);
}

static void what_lies_elsewhere_is_looked_for_there(void **state)
{
    (void)state;
    int64_t t = 50 * US_PER_DAY;
    struct idempotency_place p = idempotency_place(t, US_PER_DAY);
    struct uuid expected = uuid_v7_floor(t / US_PER_MS);
    assert_false(idempotency_look_there(&p, expected));
    for (int days = -30; days <= 30; days += 60) {
        struct uuid made = uuid_v7_floor((t + days * US_PER_DAY) / US_PER_MS);
        struct idempotency_place q = p;
        assert_true(idempotency_look_there(&q, made));
        assert_true(uuid_eq(q.made_from, made) && uuid_eq(q.made_until, made));
        assert_false(idempotency_look_there(&q, made)); /* it has been looked for */
    }
}

/* ---- fingerprints ---- */

enum { FIELDS = 4 };

static void make(const char *route, const char *const values[FIELDS], uint8_t out[FINGERPRINT_LEN],
                 struct fingerprint_field fields[FIELDS])
{
    static const char *const names[FIELDS] = {"amount", "currency", "customer", "metadata"};
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = (struct fingerprint_field){names[i], str_c(values[i])};
    fingerprint_make(vault, str_c(route), fields, FIELDS, out);
}

static void differences(void **state)
{
    (void)state;
    static const struct {
        const char *route, *values[FIELDS];
        const char *names; /* NULL: equal */
    } cases[] = {
        {"POST /v1/payments", {"10.00", "KES", "{}", ""}, NULL},
        {"POST /v1/payments", {"10.01", "KES", "{}", ""}, "amount"},
        {"POST /v1/payments", {"10.00", "UGX", "{}", ""}, "currency"},
        {"POST /v1/payments", {"10.00", "KES", "{}", "{\"a\":1}"}, "metadata"},
        {"POST /v1/payments", {"1", "UGX", "{ }", "{}"}, "amount, currency, customer, metadata"},
        {"POST /v1/payments", {"KES", "10.00", "{}", ""}, "amount, currency"},
    };
    struct arena a;
    arena_init(&a, 4096);
    struct fingerprint_field fields[FIELDS];
    uint8_t first[FINGERPRINT_LEN], other[FINGERPRINT_LEN];
    make(cases[0].route, cases[0].values, first, fields);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        make(cases[i].route, cases[i].values, other, fields);
        assert_int_equal(memcmp(first, other, sizeof first) == 0, cases[i].names == NULL);
        assert_int_equal(memcmp(first, other, 32) == 0, cases[i].names == NULL);
        if (cases[i].names == NULL)
            continue;
        struct str names = fingerprint_difference(other, str_n((const char *)first, sizeof first),
                                                  fields, FIELDS, &a);
        assert_true(str_eq(names, str_c(cases[i].names)));
    }
    make("POST /v1/payouts", cases[0].values, other, fields);
    assert_int_not_equal(memcmp(first, other, 32), 0);
    /* what the fields say has no part in it */
    struct str names =
        fingerprint_difference(first, str_n((const char *)other, sizeof other), fields, FIELDS, &a);
    assert_true(str_eq(names, STR("the route")));
    /* what is stored has another length (written by another version): nothing can be named */
    names = fingerprint_difference(first, STR("short"), fields, FIELDS, &a);
    assert_true(str_eq(names, STR("the route")));
    /* equal tags, other digest */
    memcpy(other, first, sizeof other);
    other[0] ^= 1;
    names =
        fingerprint_difference(first, str_n((const char *)other, sizeof other), fields, FIELDS, &a);
    assert_true(str_eq(names, STR("the route")));
    arena_free(&a);
}

/* A byte that moves from one field's end to the next one's beginning is another request. */
static void fields_have_borders(void **state)
{
    (void)state;
    static const char *const a[FIELDS] = {"ab", "c", "", ""},
                             *const b[FIELDS] = {"a", "bc", "", ""},
                             *const c[FIELDS] = {"ab", "", "c", ""};
    struct fingerprint_field fields[FIELDS];
    uint8_t x[FINGERPRINT_LEN], y[FINGERPRINT_LEN];
    make("r", a, x, fields);
    make("r", b, y, fields);
    assert_int_not_equal(memcmp(x, y, 32), 0);
    make("r", c, y, fields);
    assert_int_not_equal(memcmp(x, y, 32), 0);
}

static void most_fields(void **state)
{
    (void)state;
    struct fingerprint_field fields[FINGERPRINT_MAX_FIELDS];
    uint8_t all[FINGERPRINT_LEN], none[FINGERPRINT_LEN];
    for (size_t i = 0; i < FINGERPRINT_MAX_FIELDS; i++)
        fields[i] = (struct fingerprint_field){"f", STR("same")};
    fingerprint_make(vault, STR("r"), fields, FINGERPRINT_MAX_FIELDS, all);
    /* equal values in two fields are not seen to be equal */
    for (size_t i = 1; i < FINGERPRINT_MAX_FIELDS; i++)
        assert_int_not_equal(memcmp(all + 32, all + 32 + 2 * i, 2), 0);
    fingerprint_make(vault, STR("r"), fields, 0, none);
    for (size_t i = 32; i < FINGERPRINT_LEN - 2; i++) /* the route's tag is last */
        assert_int_equal(none[i], 0);
}

static void seen(void **state)
{
    (void)state;
    struct uuid m = {{1}}, other = {{2}};
    struct str key = STR("0123456789abcdef");
    assert_false(idempotency_seen(m, false, key));
    idempotency_remember(m, false, key);
    assert_true(idempotency_seen(m, false, key));
    assert_false(idempotency_seen(m, true, key));
    assert_false(idempotency_seen(other, false, key));
    assert_false(idempotency_seen(m, false, STR("0123456789abcdeg")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(places),
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(a_place_is_good_for_five_minutes),
        cmocka_unit_test(what_lies_elsewhere_is_looked_for_there),
        cmocka_unit_test(differences),
        cmocka_unit_test(fields_have_borders),
        cmocka_unit_test(most_fields),
        cmocka_unit_test(seen),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
