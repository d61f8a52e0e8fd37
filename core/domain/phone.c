/* Phone numbers. The table is data: ITU-T E.164 country codes and national plans of the markets
 * that reli serves, read 2026-11; other countries are checked by E.164's own limits only. */
#include "core/domain/phone.h"

static const struct {
    const char *country;
    const char *prefix; /* country code */
    int min, max;       /* digits of the national significant number */
    const char *trunk;  /* what a national number starts with and E.164 drops */
} plans[] = {
    {"KE", "254", 9, 9, "0"},  {"UG", "256", 9, 9, "0"}, {"TZ", "255", 9, 9, "0"},
    {"RW", "250", 9, 9, "0"},  {"BI", "257", 8, 8, ""},  {"CD", "243", 9, 9, "0"},
    {"ET", "251", 9, 9, "0"},  {"SS", "211", 9, 9, "0"}, {"ZM", "260", 9, 9, "0"},
    {"MW", "265", 7, 9, "0"},  {"MZ", "258", 8, 9, ""},  {"ZW", "263", 8, 10, "0"},
    {"ZA", "27", 9, 9, "0"},   {"BW", "267", 7, 8, ""},  {"NA", "264", 7, 9, "0"},
    {"LS", "266", 8, 8, ""},   {"SZ", "268", 8, 8, ""},  {"MG", "261", 9, 9, "0"},
    {"NG", "234", 8, 10, "0"}, {"GH", "233", 9, 9, "0"}, {"CI", "225", 10, 10, ""},
    {"SN", "221", 9, 9, ""},   {"ML", "223", 8, 8, ""},  {"BF", "226", 8, 8, ""},
    {"NE", "227", 8, 8, ""},   {"TG", "228", 8, 8, ""},  {"BJ", "229", 8, 10, ""},
    {"CM", "237", 9, 9, ""},   {"GA", "241", 7, 8, "0"}, {"CG", "242", 9, 9, ""},
    {"TD", "235", 8, 8, ""},   {"GN", "224", 9, 9, ""},  {"SL", "232", 8, 8, "0"},
    {"LR", "231", 7, 9, "0"},  {"GM", "220", 7, 7, ""},  {"EG", "20", 8, 10, "0"},
    {"MA", "212", 9, 9, "0"},  {"TN", "216", 8, 8, ""},  {"DZ", "213", 8, 9, "0"},
    {"SC", "248", 7, 7, ""},   {"MU", "230", 7, 8, ""},  {"SO", "252", 7, 9, "0"},
    {"DJ", "253", 8, 8, ""},   {"AO", "244", 9, 9, ""},
};

enum { MAX_DIGITS = 15, MIN_DIGITS = 7 };

/* Index of the plan whose prefix starts `digits`, or of the country; -1 if none. */
static int plan_of_digits(struct str digits)
{
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++)
        if (str_starts(digits, str_c(plans[i].prefix)))
            return (int)i;
    return -1;
}

static int plan_of_country(struct str country)
{
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++)
        if (str_eq(country, str_c(plans[i].country)))
            return (int)i;
    return -1;
}

static bool fits(int plan, size_t national)
{
    return national >= (size_t)plans[plan].min && national <= (size_t)plans[plan].max;
}

static void put(char out[PHONE_TEXT], struct str prefix, struct str national)
{
    out[0] = '+';
    if (prefix.n > 0)
        memcpy(out + 1, prefix.p, prefix.n);
    memcpy(out + 1 + prefix.n, national.p, national.n);
    out[1 + prefix.n + national.n] = '\0';
}

static bool international(struct str digits, char out[PHONE_TEXT])
{
    if (digits.n < MIN_DIGITS || digits.n > MAX_DIGITS || digits.p[0] == '0')
        return false;
    int plan = plan_of_digits(digits);
    if (plan >= 0 && !fits(plan, digits.n - strlen(plans[plan].prefix)))
        return false;
    put(out, STR_NULL, digits);
    return true;
}

bool phone_parse(struct str text, struct str country, char out[PHONE_TEXT])
{
    char digits[MAX_DIGITS + 3];
    size_t n = 0;
    bool plus = false;
    text = str_trim(text);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '+' && i == 0) {
            plus = true;
        } else if (ascii_is_digit(c)) {
            if (n == sizeof digits)
                return false;
            digits[n++] = c;
        } else if (c != ' ' && c != '-' && c != '(' && c != ')' && c != '.') {
            return false;
        }
    }
    struct str d = str_n(digits, n);
    if (plus)
        return international(d, out);
    if (str_starts(d, STR("00")))
        return international(str_from(d, 2), out);
    int plan = plan_of_country(country);
    if (plan >= 0) {
        struct str trunk = str_c(plans[plan].trunk), prefix = str_c(plans[plan].prefix);
        struct str national = trunk.n > 0 && str_starts(d, trunk) ? str_from(d, trunk.n) : d;
        if (str_starts(d, prefix) && fits(plan, d.n - prefix.n))
            return international(d, out);
        if (!fits(plan, national.n))
            return false;
        put(out, prefix, national);
        return true;
    }
    return plan_of_digits(d) >= 0 && international(d, out);
}

struct str phone_country(struct str e164)
{
    int plan = e164.n > 0 && e164.p[0] == '+' ? plan_of_digits(str_from(e164, 1)) : -1;
    return plan >= 0 ? str_c(plans[plan].country) : STR_NULL;
}
