/* References that reli makes itself. */
#include "core/domain/reference.h"

#include "core/base/times.h"

static const char base32[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
enum { N_DIGITS = 10, N_LETTERS = 22 };

static void put_base32(char *p, int n, uint64_t bits)
{
    for (int i = n - 1; i >= 0; i--) {
        p[i] = base32[bits & 31];
        bits >>= 5;
    }
}

static char *put_decimal(char *p, int n, int v)
{
    for (int i = n - 1; i >= 0; i--) {
        p[i] = (char)('0' + v % 10);
        v /= 10;
    }
    return p + n;
}

void reference_no_make(int64_t wall_us, uint64_t random, char out[REFERENCE_NO_TEXT])
{
    struct date d = date_of(wall_us);
    memcpy(out, "TXN", 3);
    char *p = put_decimal(out + 3, 4, d.year);
    p = put_decimal(p, 2, d.month);
    p = put_decimal(p, 2, d.day);
    p[0] = base32[N_DIGITS + (random >> 25 & 0xffff) * N_LETTERS / 0x10000];
    put_base32(p + 1, 5, random);
    p[6] = '\0';
}

/* ISO 7064 MOD 97-10 as IBAN does it: letters count A=10 … Z=35, "00" appended. */
static int check_digits(const char *p, size_t n)
{
    int mod = 0;
    for (size_t i = 0; i < n; i++) {
        if (ascii_is_digit(p[i]))
            mod = (mod * 10 + (p[i] - '0')) % 97;
        else
            mod = (mod * 100 + (p[i] - 'A' + 10)) % 97;
    }
    return 98 - mod * 100 % 97;
}

void pay_code_make(uint64_t random, char out[PAY_CODE_TEXT])
{
    out[0] = 'R';
    out[1] = 'L';
    put_base32(out + 2, 8, random);
    (void)put_decimal(out + 10, 2, check_digits(out + 2, 8));
    out[12] = '\0';
}

bool pay_code_parse(struct str typed, char out[PAY_CODE_TEXT])
{
    char c[PAY_CODE_TEXT];
    size_t n = 0;
    for (size_t i = 0; i < typed.n; i++) {
        char x = ascii_upper(typed.p[i]);
        if (!ascii_is_alpha(x) && !ascii_is_digit(x))
            continue;
        if (n == PAY_CODE_TEXT - 1)
            return false;
        if (n >= 2)
            x = x == 'O' ? '0' : x == 'I' || x == 'L' ? '1' : x;
        c[n++] = x;
    }
    c[n] = '\0';
    if (n != PAY_CODE_TEXT - 1 || c[0] != 'R' || c[1] != 'L' || memchr(c + 2, 'U', 8) != NULL)
        return false;
    if (!ascii_is_digit(c[10]) || !ascii_is_digit(c[11]))
        return false;
    if ((c[10] - '0') * 10 + (c[11] - '0') != check_digits(c + 2, 8))
        return false;
    memcpy(out, c, PAY_CODE_TEXT);
    return true;
}
