/* Phone numbers as people type them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/domain/phone.h"

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *country, *e164; /* NULL: refused */
    } cases[] = {
        {"+254700000000", "KE", "+254700000000"},
        {"+254700000000", "", "+254700000000"},
        {"254700000000", "KE", "+254700000000"},
        {"254700000000", "", "+254700000000"},
        {"00254700000000", "KE", "+254700000000"},
        {"0700000000", "KE", "+254700000000"},
        {"700000000", "KE", "+254700000000"},
        {"0110000000", "KE", "+254110000000"},
        {" +254 (700) 000-000 ", "KE", "+254700000000"},
        {"+254.700.000.000", "KE", "+254700000000"},
        {"+254 700 000 000", "UG", "+254700000000"},
        {"+4915112345678", "KE", "+4915112345678"},
        {"+14155552671", "", "+14155552671"},
        {"0772123456", "UG", "+256772123456"},
        {"0712345678", "TZ", "+255712345678"},
        {"0788123456", "RW", "+250788123456"},
        {"0701020304", "CI", "+2250701020304"},
        {"771234567", "SN", "+221771234567"},
        {"08031234567", "NG", "+2348031234567"},
        {"2348031234567", "NG", "+2348031234567"},
        {"+123456789012345", "", "+123456789012345"},
        {"+1234567890123456", "", NULL}, /* sixteen digits */
        {"+123456", "", NULL},
        {"+25470000000", "KE", NULL},   /* one short */
        {"+2547000000000", "KE", NULL}, /* one long */
        {"070000000", "KE", NULL},
        {"07000000000", "KE", NULL},
        {"0700000000", "", NULL}, /* whose? */
        {"0700000000", "US", NULL},
        {"4155552671", "US", NULL},
        {"+0254700000000", "KE", NULL},
        {"000254700000000", "KE", NULL},
        {"++254700000000", "KE", NULL},
        {"254+700000000", "KE", NULL},
        {"+254700000000x", "KE", NULL},
        {"+254700000000;ext=1", "KE", NULL},
        {"tel:+254700000000", "KE", NULL},
        {"+254\n700000000", "KE", NULL},
        {"+254\xc2\xa0"
         "700000000",
         "KE", NULL}, /* no-break space */
        {"+", "KE", NULL},
        {"00", "KE", NULL},
        {"0", "KE", NULL},
        {"", "KE", NULL},
        {"()", "KE", NULL},
        {"99999999999999999999999999999999", "KE", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[PHONE_TEXT] = "";
        bool ok = phone_parse(str_c(cases[i].text), str_c(cases[i].country), out);
        if (ok != (cases[i].e164 != NULL) || (ok && strcmp(out, cases[i].e164) != 0))
            fail_msg("\"%s\" in \"%s\": \"%s\"", cases[i].text, cases[i].country,
                     ok ? out : "refused");
        char again[PHONE_TEXT]; /* what came out goes in again, whatever the country */
        if (ok) {
            assert_true(phone_parse(str_c(out), STR_NULL, again));
            assert_string_equal(out, again);
        }
    }
    char out[PHONE_TEXT];
    assert_false(phone_parse(STR_NULL, STR_NULL, out));
    assert_false(phone_parse(str_n("+254700000000\0", 14), STR("KE"), out));
}

static void countries(void **state)
{
    (void)state;
    static const struct {
        const char *e164, *country;
    } cases[] = {
        {"+254700000000", "KE"},
        {"+256772123456", "UG"},
        {"+27821234567", "ZA"},
        {"+201001234567", "EG"},
        {"+14155552671", ""},
        {"254700000000", ""},
        {"", ""},
        {"+", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_true(str_eq(phone_country(str_c(cases[i].e164)), str_c(cases[i].country)));
    assert_null(phone_country(STR_NULL).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(countries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
