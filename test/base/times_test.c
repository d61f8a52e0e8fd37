/* Times as text, durations, and UUIDs, which carry a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "core/base/times.h"
#include "core/base/uuid.h"

/* The C library's calendar as judge. */
static void dates_agree_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t day = -800000; day <= 2900000; day += 97) {
        int64_t s = day * 86400 + day % 86400;
        time_t t = (time_t)s;
        struct tm tm;
        assert_non_null(gmtime_r(&t, &tm));
        struct date d = date_of(s * US_PER_S + 7);
        assert_int_equal(d.year, tm.tm_year + 1900);
        assert_int_equal(d.month, tm.tm_mon + 1);
        assert_int_equal(d.day, tm.tm_mday);
        assert_int_equal(d.hour, tm.tm_hour);
        assert_int_equal(d.minute, tm.tm_min);
        assert_int_equal(d.second, tm.tm_sec);
        assert_int_equal(d.us, 7);
        assert_true(date_to_us(d) == s * US_PER_S + 7);
    }
    struct date d = date_of(-1); /* the last microsecond of 1969 */
    assert_int_equal(d.year, 1969);
    assert_int_equal(d.us, 999999);
}

static void texts(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(1795227420123999), "2026-11-21T02:17:00.123Z"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999Z"},
        {INT64_C(-62167219200000000), "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[TIME_TEXT];
        assert_string_equal(time_text(cases[i].us, text), cases[i].text);
    }
}

static void parsing(void **state)
{
    (void)state;
    static const int64_t T = INT64_C(1795227420000000); /* 2026-11-21T02:17:00Z */
    static const struct {
        const char *text;
        bool ok;
        int64_t us;
    } cases[] = {
        {"2026-11-21T02:17:00Z", true, T},
        {"2026-11-21t02:17:00z", true, T},
        {"2026-11-21 02:17:00Z", true, T},
        {"2026-11-21T05:17:00+03:00", true, T},
        {"2026-11-20T21:17:00-05:00", true, T},
        {"2026-11-21T02:17:00+00:00", true, T},
        {"2026-11-21T02:17:00-00:00", true, T},
        {"2026-11-21T02:17:00.1Z", true, T + 100000},
        {"2026-11-21T02:17:00.000001Z", true, T + 1},
        {"2026-11-21T02:17:00.000001999Z", true, T + 1},
        {"2026-11-21T02:17:00.0000000001Z", false, 0},
        {"2026-11-21T02:17:00.Z", false, 0},
        {"2026-11-21", true, T - 8220 * US_PER_S},
        {"2024-02-29", true, INT64_C(1709164800000000)},
        {"2023-02-29", false, 0},
        {"1900-02-29", false, 0},
        {"2000-02-29", true, INT64_C(951782400000000)},
        {"2026-02-30", false, 0},
        {"2026-04-31", false, 0},
        {"2026-00-10", false, 0},
        {"2026-13-10", false, 0},
        {"2026-11-00", false, 0},
        {"2026-11-21T24:00:00Z", false, 0},
        {"2026-11-21T23:60:00Z", false, 0},
        {"2026-11-21T23:59:60Z", false, 0},
        {"2026-11-21T02:17:00", false, 0},
        {"2026-11-21T02:17Z", false, 0},
        {"2026-11-21T02:17:00+0300", false, 0},
        {"2026-11-21T02:17:00+24:00", false, 0},
        {"2026-11-21T02:17:00+03:60", false, 0},
        {"2026-11-21T02:17:00Zx", false, 0},
        {"2026-11-21x", false, 0},
        {"26-11-21", false, 0},
        {"2026-1-21", false, 0},
        {"-026-11-21", false, 0},
        {"+2026-11-21", false, 0},
        {"", false, 0},
        {"now", false, 0},
        {"1795227420", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t us = 42;
        if (time_parse(str_c(cases[i].text), &us) != cases[i].ok)
            fail_msg("\"%s\"", cases[i].text);
        assert_true(us == (cases[i].ok ? cases[i].us : 42));
    }
    int64_t us;
    assert_false(time_parse(STR_NULL, &us));
}

/* An offset led to year -1 or 10000, which time_text cannot print. */
static void an_offset_does_not_lead_out_of_four_digits(void **state)
{
    (void)state;
    int64_t us = 42;
    assert_false(time_parse(STR("0000-01-01T00:00:00+00:01"), &us));
    assert_false(time_parse(STR("9999-12-31T23:59:59-00:01"), &us));
    assert_int_equal(us, 42);
    assert_true(time_parse(STR("0000-01-01T00:01:00+00:01"), &us));
    assert_true(time_parse(STR("9999-12-31T23:58:59-00:01"), &us));
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t us;
    } cases[] = {
        {"250ms", true, 250000},
        {"90s", true, 90 * US_PER_S},
        {"15m", true, 15 * US_PER_MIN},
        {"6h", true, 6 * US_PER_HOUR},
        {"3d", true, 3 * US_PER_DAY},
        {"0s", true, 0},
        {"3660d", true, 3660 * US_PER_DAY},
        {"3661d", false, 0},
        {"999999999999s", false, 0},
        {"0000000000001s", false, 0}, /* more than twelve digits */
        {"99999999999999999999d", false, 0},
        {"", false, 0},
        {"s", false, 0},
        {"5", false, 0},
        {"-5s", false, 0},
        {"+5s", false, 0},
        {"1.5s", false, 0},
        {"5 s", false, 0},
        {" 5s", false, 0},
        {"5S", false, 0},
        {"5us", false, 0},
        {"5w", false, 0},
        {"1h30m", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t us = 42;
        if (duration_parse(str_c(cases[i].text), &us) != cases[i].ok)
            fail_msg("\"%s\"", cases[i].text);
        assert_true(us == (cases[i].ok ? cases[i].us : 42));
    }
    int64_t us;
    assert_false(duration_parse(STR_NULL, &us));
}

static void uuids_grow(void **state)
{
    (void)state;
    static const uint8_t low[10] = {0},
                         high[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    struct uuid_gen g = {0};
    struct uuid last = UUID_NIL;
    int64_t now = INT64_C(1795227420123000);
    for (int i = 0; i < 20000; i++) {
        /* a clock that stands, runs, and goes back; random that is all zeros, all ones */
        int64_t t = i < 10000 ? now : i % 3 == 0 ? now - US_PER_S : now + i * 100;
        struct uuid u = uuid_v7(&g, t, i % 2 != 0 ? high : low);
        assert_true(uuid_cmp(u, last) > 0);
        assert_int_equal(u.b[6] >> 4, 7);
        assert_int_equal(u.b[8] >> 6, 2);
        last = u;
    }
    struct uuid_gen fresh = {0};
    struct uuid u = uuid_v7(&fresh, now, high);
    assert_true(uuid_v7_ms(u) == now / 1000);
    assert_true(uuid_cmp(uuid_v7_floor(now / 1000), u) <= 0);
    assert_true(uuid_cmp(uuid_v7_floor(now / 1000 + 1), u) > 0);
    assert_true(uuid_v7_ms(uuid_v7_floor(now / 1000)) == now / 1000);
    assert_true(uuid_cmp(uuid_v7_floor(-62135596800000), u) < 0); /* the year 1 */
    assert_true(uuid_v7_ms(uuid_v7_floor(-1)) == 0);
    struct uuid_gen zero = {0};
    assert_true(uuid_cmp(uuid_v7_floor(now / 1000), uuid_v7(&zero, now, low)) <= 0);
}

static void uuid_texts(void **state)
{
    (void)state;
    static const char text[] = "01234567-89ab-7def-8123-456789abcdef";
    struct uuid u;
    char back[UUID_TEXT];
    assert_true(uuid_parse(str_c(text), &u));
    assert_int_equal(u.b[0], 0x01);
    assert_int_equal(u.b[15], 0xef);
    assert_string_equal(uuid_text(u, back), text);
    assert_true(uuid_parse(STR("01234567-89AB-7DEF-8123-456789ABCDEF"), &u));
    assert_string_equal(uuid_text(u, back), text);
    assert_string_equal(uuid_text(UUID_NIL, back), "00000000-0000-0000-0000-000000000000");
    assert_true(uuid_is_nil(UUID_NIL));
    assert_false(uuid_is_nil(u));
    /* each place takes its own kind of character only */
    for (size_t i = 0; i < sizeof text - 1; i++) {
        static const char others[] = "-g/:@G`{ \xb5";
        for (size_t k = 0; k < sizeof others; k++) {
            char bad[sizeof text];
            memcpy(bad, text, sizeof text);
            if (bad[i] == others[k])
                continue;
            bad[i] = others[k];
            assert_false(uuid_parse(str_n(bad, sizeof text - 1), &u));
        }
        assert_false(uuid_parse(str_n(text, i), &u));
        if (text[i] == '-') {
            char bad[sizeof text];
            memcpy(bad, text, sizeof text);
            bad[i] = '0';
            assert_false(uuid_parse(str_c(bad), &u));
        }
    }
    assert_false(uuid_parse(STR("01234567-89ab-7def-8123-456789abcdef0"), &u));
    assert_false(uuid_parse(STR("{1234567-89ab-7def-8123-456789abcde}"), &u));
    assert_false(uuid_parse(STR("0123456789ab7def8123456789abcdef"), &u));
}

static void uuids_in_a_row(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"},
        {"01234567-89ab-7def-8123-4567890000ff", "01234567-89ab-7def-8123-456789000100"},
        {"01234567-89ab-7def-81ff-ffffffffffff", "01234567-89ab-7def-8200-000000000000"},
        {"00ffffff-ffff-ffff-ffff-ffffffffffff", "01000000-0000-0000-0000-000000000000"},
        {"ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000000"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char next[UUID_TEXT];
        struct uuid u;
        assert_true(uuid_parse(str_c(rows[i][0]), &u));
        assert_string_equal(uuid_text(uuid_next(u), next), rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_agree_with_the_c_library),
        cmocka_unit_test(texts),
        cmocka_unit_test(parsing),
        cmocka_unit_test(an_offset_does_not_lead_out_of_four_digits),
        cmocka_unit_test(durations),
        cmocka_unit_test(uuids_grow),
        cmocka_unit_test(uuid_texts),
        cmocka_unit_test(uuids_in_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
