/* Times as text. The calendar arithmetic counts days from 0000-03-01, so that the leap day comes
 * last in its year. */
#include "core/base/times.h"

#include <stdio.h>

static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

struct date date_of(int64_t wall_us)
{
    int64_t days = wall_us / US_PER_DAY;
    int64_t rest = wall_us % US_PER_DAY;
    if (rest < 0) {
        rest += US_PER_DAY;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct date d;
    d.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    d.year = (int)(yoe + era * 400 + (d.month <= 2));
    d.hour = (int)(rest / US_PER_HOUR);
    d.minute = (int)(rest / US_PER_MIN % 60);
    d.second = (int)(rest / US_PER_S % 60);
    d.us = (int)(rest % US_PER_S);
    return d;
}

int64_t date_to_us(struct date d)
{
    return days_from_civil(d.year, d.month, d.day) * US_PER_DAY + d.hour * US_PER_HOUR +
           d.minute * US_PER_MIN + d.second * US_PER_S + d.us;
}

static char *put(char *p, int value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        p[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return p + width;
}

const char *time_text(int64_t wall_us, char out[TIME_TEXT])
{
    struct date d = date_of(wall_us);
    char *p = put(out, d.year, 4);
    *p++ = '-';
    p = put(p, d.month, 2);
    *p++ = '-';
    p = put(p, d.day, 2);
    *p++ = 'T';
    p = put(p, d.hour, 2);
    *p++ = ':';
    p = put(p, d.minute, 2);
    *p++ = ':';
    p = put(p, d.second, 2);
    *p++ = '.';
    p = put(p, d.us / 1000, 3);
    *p++ = 'Z';
    *p = '\0';
    return out;
}

static bool take(struct str *s, size_t n, int *out)
{
    int64_t v;
    if (s->n < n || !str_is_digits(str_first(*s, n)) || !str_to_i64(str_first(*s, n), &v))
        return false;
    *out = (int)v;
    *s = str_from(*s, n);
    return true;
}

static bool skip(struct str *s, char c)
{
    if (s->n == 0 || ascii_upper(s->p[0]) != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool time_parse(struct str s, int64_t *wall_us)
{
    struct date d = {0};
    if (!take(&s, 4, &d.year) || !skip(&s, '-') || !take(&s, 2, &d.month) || !skip(&s, '-') ||
        !take(&s, 2, &d.day))
        return false;
    if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > days_in_month(d.year, d.month))
        return false;
    if (s.n == 0) {
        *wall_us = date_to_us(d);
        return true;
    }
    if ((!skip(&s, 'T') && !skip(&s, ' ')) || !take(&s, 2, &d.hour) || !skip(&s, ':') ||
        !take(&s, 2, &d.minute) || !skip(&s, ':') || !take(&s, 2, &d.second))
        return false;
    if (d.hour > 23 || d.minute > 59 || d.second > 59)
        return false;
    if (skip(&s, '.')) {
        int unit = 100000, n = 0;
        for (; s.n > 0 && ascii_is_digit(s.p[0]); s = str_from(s, 1), unit /= 10, n++)
            d.us += (s.p[0] - '0') * unit;
        if (n == 0 || n > 9)
            return false;
    }
    int64_t offset = 0;
    if (!skip(&s, 'Z')) {
        int64_t sign = s.n > 0 && s.p[0] == '-' ? -1 : 1;
        int hours, minutes;
        if ((!skip(&s, '+') && !skip(&s, '-')) || !take(&s, 2, &hours) || !skip(&s, ':') ||
            !take(&s, 2, &minutes) || hours > 23 || minutes > 59)
            return false;
        offset = sign * (hours * US_PER_HOUR + minutes * US_PER_MIN);
    }
    if (s.n != 0)
        return false;
    int64_t us = date_to_us(d) - offset;
    if (date_of(us).year < 0 || date_of(us).year > 9999) /* the offset led out of four digits */
        return false;
    *wall_us = us;
    return true;
}

bool duration_parse(struct str text, int64_t *us)
{
    size_t n = 0;
    while (n < text.n && ascii_is_digit(text.p[n]))
        n++;
    struct str unit = str_from(text, n);
    int64_t v, factor;
    if (str_eq(unit, STR("ms")))
        factor = US_PER_MS;
    else if (str_eq(unit, STR("s")))
        factor = US_PER_S;
    else if (str_eq(unit, STR("m")))
        factor = US_PER_MIN;
    else if (str_eq(unit, STR("h")))
        factor = US_PER_HOUR;
    else if (str_eq(unit, STR("d")))
        factor = US_PER_DAY;
    else
        return false;
    if (n > 12 || !str_to_i64(str_first(text, n), &v) || v > 3660 * US_PER_DAY / factor)
        return false;
    *us = v * factor;
    return true;
}
