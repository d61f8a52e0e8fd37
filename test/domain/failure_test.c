/* A provider's words as they are kept: without numbers and addresses of people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/domain/failure.h"

static void words(void **state)
{
    static const struct {
        const char *said, *kept;
    } cases[] = {
        {"", ""},
        {"Insufficient funds.", "Insufficient funds."},
        {"[CBS - ] code 1037 after 90 s", "[CBS - ] code 1037 after 90 s"},
        {"No account for 254700000001", "No account for ************"},
        {"+254 700 000-001 is barred", "+*** *** ***-*** is barred"},
        {"0700000001", "**********"},
        {"(0700) 000.001", "(****) ***.***"},
        {"0700   000001", "0700   000001"}, /* three: two numbers */
        {"12345678", "12345678"},
        {"123456789", "*********"},
        {"1 2 3 4 5 6 7 8 9", "* * * * * * * * *"},
        {"1   2345678901", "1   **********"},
        {"on 2026-11-21", "on 2026-11-21"},
        {"123456789-", "*********-"},
        {"jane@example.com is unknown", "**************** is unknown"},
        {"No such customer: <jane.d+x@example.com>.", "No such customer: <********************>."},
        {"a@b,c@d", "***,***"},
        {"@ 5", "@ 5"},
        {"mail@ example", "mail@ example"},
        {"@home", "@home"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        failure_words(out, sizeof out, str_c(cases[i].said));
        assert_string_equal(out, cases[i].kept);
    }
    char small[12];
    failure_words(small, sizeof small, STR("254700000001 and more"));
    assert_string_equal(small, "***********"); /* cut first: what is left of a number is masked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
