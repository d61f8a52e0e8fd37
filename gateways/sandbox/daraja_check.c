/* The rules of a push and of a query, in the order of the document's tables. */
#include "gateways/sandbox/daraja_check.h"

#include <stdio.h>
#include <string.h>

#include "core/base/times.h"
#include "core/crypto/text.h"

static const struct daraja_fault fine = {0, NULL, NULL};

/* Source: providers/mpesa.md, section 1.2; one message per field. */
struct daraja_fault daraja_invalid(const char *message)
{
    return (struct daraja_fault){400, "400.002.02", message};
}

/* Number or digit string of min..max digits. A real, a sign, a blank or a boolean is neither. */
bool daraja_digits(const struct json *body, const char *name, size_t min, size_t max,
                   char text[JSON_NUMBER_TEXT], struct str *out)
{
    const struct json *j = json_get(body, name);
    if (json_kind(j) != JSON_INT && json_kind(j) != JSON_STR)
        return false;
    *out = json_number_text(j, text);
    return out->n >= min && out->n <= max && str_is_digits(*out);
}

bool daraja_text(const struct json *body, const char *name, struct str *out)
{
    *out = json_str(json_get(body, name));
    return out->n > 0;
}

bool daraja_phone_fine(struct str s)
{
    return s.n == 12 && (str_starts(s, STR("2547")) || str_starts(s, STR("2541")));
}

/* Source: section 1.4, "URLs you register". */
bool daraja_url_fine(struct str url)
{
    static const char *const forbidden[] = {"mpesa", "safaricom", "exe",  "exec",
                                            "cmd",   "sql",       "query"};
    size_t scheme = str_ieq(str_first(url, 7), STR("http://"))    ? 7
                    : str_ieq(str_first(url, 8), STR("https://")) ? 8
                                                                  : 0;
    if (scheme == 0 || url.n == scheme || url.n > DARAJA_MAX_URL || !str_is_printable_ascii(url) ||
        str_find(url, ' ', 0) != SIZE_MAX)
        return false;
    if (!ascii_is_alpha(url.p[scheme]) && !ascii_is_digit(url.p[scheme]) && url.p[scheme] != '[')
        return false;
    for (size_t i = 0; i < COUNT_OF(forbidden); i++)
        if (str_icontains(url, str_c(forbidden[i])))
            return false;
    return true;
}

static bool reference_fine(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]))
            return false;
    return s.n >= 1 && s.n <= 12;
}

static bool type_fine(struct str s)
{
    return str_eq(s, STR("CustomerPayBillOnline")) || str_eq(s, STR("CustomerBuyGoodsOnline"));
}

struct daraja_fault daraja_check_push(const struct json *body, struct daraja_push *out)
{
    struct str amount, description;
    if (!daraja_digits(body, "BusinessShortCode", 5, 7, out->digits[0], &out->shortcode))
        return daraja_invalid("Bad Request - Invalid BusinessShortCode");
    if (!daraja_text(body, "Password", &out->password))
        return daraja_invalid("Bad Request - Invalid Password");
    if (!daraja_text(body, "Timestamp", &out->timestamp))
        return daraja_invalid("Bad Request - Invalid Timestamp");
    if (!daraja_text(body, "TransactionType", &out->type) || !type_fine(out->type))
        return daraja_invalid("Bad Request - Invalid TransactionType");
    if (!daraja_digits(body, "Amount", 1, 12, out->digits[1], &amount) ||
        !str_to_i64(amount, &out->amount) || out->amount < 1)
        return daraja_invalid("Bad Request - Invalid Amount");
    if (!daraja_digits(body, "PartyA", 12, 12, out->digits[2], &out->party_a) ||
        !daraja_phone_fine(out->party_a))
        return daraja_invalid("Bad Request - Invalid PartyA");
    if (!daraja_digits(body, "PartyB", 5, 7, out->digits[3], &out->party_b))
        return daraja_invalid("Bad Request - Invalid PartyB");
    if (!daraja_digits(body, "PhoneNumber", 12, 12, out->digits[4], &out->phone) ||
        !daraja_phone_fine(out->phone))
        return daraja_invalid("Bad Request - Invalid PhoneNumber");
    if (!daraja_text(body, "CallBackURL", &out->url) || !daraja_url_fine(out->url))
        return daraja_invalid("Bad Request - Invalid CallBackURL");
    if (!daraja_text(body, "AccountReference", &out->reference) || !reference_fine(out->reference))
        return daraja_invalid("Bad Request - Invalid AccountReference");
    if (!daraja_text(body, "TransactionDesc", &description))
        return daraja_invalid("Bad Request - Invalid Remarks");
    if (utf8_count(description) > 13)
        return daraja_invalid("Bad Request - Invalid TransactionDesc");
    return fine;
}

struct daraja_fault daraja_check_query(const struct json *body, struct daraja_query *out)
{
    if (!daraja_digits(body, "BusinessShortCode", 5, 7, out->digits[0], &out->shortcode))
        return daraja_invalid("Bad Request - Invalid BusinessShortCode");
    if (!daraja_text(body, "Password", &out->password))
        return daraja_invalid("Bad Request - Invalid Password");
    if (!daraja_text(body, "Timestamp", &out->timestamp))
        return daraja_invalid("Bad Request - Invalid Timestamp");
    if (!daraja_text(body, "CheckoutRequestID", &out->id))
        return daraja_invalid("Bad Request - Invalid CheckoutRequestID");
    return fine;
}

bool daraja_time_parse(struct str t, int64_t *wall_us)
{
    char text[32];
    if (t.n != 14 || !str_is_digits(t))
        return false;
    int n = snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s+03:00", t.p, t.p + 4,
                     t.p + 6, t.p + 8, t.p + 10, t.p + 12);
    return time_parse(str_n(text, (size_t)n), wall_us);
}

/* base64(short code + pass key + timestamp), plain concatenation. Source: section 2.1. */
static bool password_fits(const struct daraja_account *a, struct str timestamp, struct str password)
{
    struct buf plain, encoded;
    buf_init(&plain, 512);
    buf_init(&encoded, 1024);
    buf_c(&plain, a->shortcode);
    buf_c(&plain, a->passkey);
    buf_str(&plain, timestamp);
    if (!plain.failed)
        base64_add(&encoded, buf_view(&plain));
    bool fits = !plain.failed && !encoded.failed && str_eq(buf_view(&encoded), password);
    buf_free(&plain);
    buf_free(&encoded);
    return fits;
}

struct daraja_fault daraja_check_password(const struct daraja_account *accounts, size_t n,
                                          struct str shortcode, struct str password,
                                          struct str timestamp, int64_t wall_us,
                                          int64_t tolerance_s,
                                          const struct daraja_account **account)
{
    int64_t at;
    *account = NULL;
    for (size_t i = 0; i < n && *account == NULL; i++)
        if (str_eq(shortcode, str_c(accounts[i].shortcode)))
            *account = &accounts[i];
    if (*account == NULL)
        return (struct daraja_fault){500, "500.001.1001", "Merchant does not exist"};
    if (!daraja_time_parse(timestamp, &at))
        return daraja_invalid("Bad Request - Invalid Timestamp");
    int64_t off = at > wall_us ? at - wall_us : wall_us - at;
    if (tolerance_s > 0 && off > tolerance_s * US_PER_S)
        return daraja_invalid("Bad Request - Invalid Timestamp");
    if (!password_fits(*account, timestamp, password))
        return (struct daraja_fault){500, "500.001.1001", "Wrong credentials"};
    return fine;
}

/* <Result code 2028>: not permitted by product assignment. <SFC_IC0003>: operator does not exist.
 * <3>: above the maximum. Source: section 2.3; which of the first two comes with which mistake is
 * not documented: here a wrong type is the former, a wrong PartyB the latter. */
const char *daraja_misfit(const struct daraja_account *account, const struct daraja_push *push)
{
    bool buys_goods = str_eq(push->type, STR("CustomerBuyGoodsOnline"));
    if (buys_goods != (account->till != NULL))
        return "2028";
    if (!str_eq(push->party_b, str_c(buys_goods ? account->till : account->shortcode)))
        return "SFC_IC0003";
    return push->amount > DARAJA_MAX_AMOUNT ? "3" : NULL;
}
