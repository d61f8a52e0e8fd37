/* Money that customers of M-Pesa send unasked, from their phone's menu to the pay bill or till: how
 * Daraja is told where to bring the news, and what the news says. */
#include "core/crypto/text.h"
#include "gateways/answer.h"
#include "gateways/mpesa.h"

enum { REFERENCE_CUT = 64, PAYER_CUT = 64, MASKED_MAX = 32, NAME_CUT = 26, IMAGE_MAX = 128 * 1024 };

static struct str first_of(struct str a, const char *otherwise)
{
    return a.n > 0 ? a : str_c(otherwise);
}

/* ResponseType is what Daraja does when it cannot ask us: take the money, which then waits in
 * `unallocated` if nobody knows whose it is. v2 masks the payer's number, v1 shows a hash of it.
 * Source: mpesa.md 3.1. Seen: sandbox yes, live no. */
struct err mpesa_register_build(const struct gw_account *a, const struct gw_register *in,
                                struct str token, struct arena *mem, struct outbound_request *out)
{
    struct str shortcode = gw_setting(a, "shortcode");
    struct str version = first_of(gw_setting(a, "c2b_version"), "2");
    if (!mpesa_is_shortcode(shortcode))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    if (!str_eq(version, STR("1")) && !str_eq(version, STR("2")))
        return ERR(INVALID, "c2b_version is neither 1 nor 2");
    if (!mpesa_url_ok(a, in->paid_url) || !mpesa_url_ok(a, in->check_url))
        return ERR(INVALID, "M-Pesa does not take this callback URL");
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    mpesa_put_digits(&w, "ShortCode", shortcode);
    jw_c(&w, "ResponseType", "Completed");
    jw_str(&w, "ConfirmationURL", in->paid_url);
    jw_str(&w, "ValidationURL", in->check_url);
    jw_close(&w);
    return mpesa_request(
        a, version.p[0] == '1' ? "/mpesa/c2b/v1/registerurl" : "/mpesa/c2b/v2/registerurl", token,
        &body, mem, out);
}

/* <500.003.1001> "Urls are already registered." or "Duplicate notification info": production takes
 * one registration; what stands there may be another installation's. Source: mpesa.md 1.2, 3.1.
 * Seen: sandbox yes, live no. Final: yes. Retryable: no. */
static bool registered_before(const struct json *root)
{
    struct str message = json_str(json_get(root, "errorMessage"));
    return str_eq(json_str(json_get(root, "errorCode")), STR("500.003.1001")) &&
           (str_icontains(message, STR("already registered")) ||
            str_icontains(message, STR("duplicate notification")));
}

void mpesa_register_parse(const struct gw_account *a, const struct outbound_response *in,
                          struct arena *mem, struct gw_result *out)
{
    (void)a;
    struct json *root = gw_order_json(in, out);
    if (root == NULL)
        return;
    if (in->status != 200) {
        mpesa_order_envelope(in, root, mem, out);
        if (registered_before(root)) {
            out->verdict = GW_FAILED;
            out->code = FAILURE_DUPLICATE;
        }
    } else {
        out->provider_code = mpesa_code(mem, json_get(root, "ResponseCode"));
        out->message =
            gw_words(mem, json_str(json_get(root, "ResponseDescription")), GW_MESSAGE_MAX);
        if (out->provider_code.n == 0) {
            mpesa_unknown(out, "an answer without a response code");
        } else if (str_eq(out->provider_code, STR("0"))) {
            out->verdict = GW_ACCEPTED;
        } else {
            out->verdict = GW_REFUSED;
            out->code = FAILURE_PROVIDER_ERROR;
        }
    }
    json_free(root);
}

/* RefNo comes back as BillRefNumber of the confirmation. How long MerchantName may be is not
 * documented. Source: mpesa.md 6. Seen: sandbox yes, live no. */
struct err mpesa_qr_build(const struct gw_account *a, const struct gw_qr *in, struct str token,
                          struct arena *mem, struct outbound_request *out)
{
    struct str shortcode = gw_setting(a, "shortcode"), till = gw_setting(a, "till");
    bool buys_goods = str_eq(gw_setting(a, "type"), STR("till"));
    struct str to = buys_goods ? till : shortcode;
    char name[NAME_CUT];
    if (!mpesa_is_shortcode(to))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    TRY(mpesa_amount_check(in->amount, MPESA_MIN_MINOR, a->gateway->max_minor));
    if (in->pay_code.n == 0 || !str_is_printable_ascii(in->pay_code))
        return ERR(INVALID, "no reference for the code");
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "MerchantName",
           mpesa_words(gw_setting(a, "merchant_name"), 1, NAME_CUT, "Merchant", name));
    jw_str(&w, "RefNo", in->pay_code);
    jw_i64(&w, "Amount", in->amount.minor / 100);
    jw_c(&w, "TrxCode", buys_goods ? "BG" : "PB");
    jw_str(&w, "CPI", to);
    jw_c(&w, "Size", "300");
    jw_close(&w);
    return mpesa_request(a, "/mpesa/qrcode/v1/generate", token, &body, mem, out);
}

/* Success is that QRCode is there: ResponseCode is "00" or an id. Source: mpesa.md 6. Seen: sandbox
 * yes, live no. */
void mpesa_qr_parse(const struct gw_account *a, const struct outbound_response *in,
                    struct arena *mem, struct gw_result *out)
{
    (void)a;
    struct json *root = mpesa_question_json(in, out);
    if (root == NULL)
        return;
    struct str image = json_str(json_get(root, "QRCode"));
    if (in->status != 200) {
        mpesa_question_envelope(root, mem, out);
    } else if (image.n == 0 || image.n > IMAGE_MAX || base64_decode(mem, image).n == 0) {
        mpesa_unknown(out, "an answer without a picture");
    } else {
        out->image = arena_dup(mem, image);
        out->verdict = GW_ACCEPTED;
        if (out->image.p == NULL)
            mpesa_unknown(out, "a picture that is too large");
    }
    json_free(root);
}

/* Names need not be valid UTF-8 (mpesa.md 3.2), and no name is worth losing the news of money that
 * has moved. */
static struct str mended(struct str body, struct arena *mem)
{
    if (utf8_valid(body))
        return body;
    char *p = arena_alloc(mem, body.n + 1);
    for (size_t i = 0; p != NULL && i < body.n; i++)
        p[i] = (unsigned char)body.p[i] < 0x80 ? body.p[i] : '?';
    return str_n(p, p != NULL ? body.n : 0);
}

/* Cut between two characters, without control characters and blanks at the ends. */
static struct str text(struct arena *mem, const struct json *j, size_t max)
{
    char number[JSON_NUMBER_TEXT];
    struct str s = json_kind(j) == JSON_STR ? json_str(j) : json_number_text(j, number);
    s = str_trim(gw_words(mem, str_trim(s), max));
    return s.n > 0 ? s : STR("");
}

/* Three shapes: "2547 ***** 126", 64 hex digits (a hash, of no use to anybody), or the number
 * itself. Source: mpesa.md 3.1. Seen: sandbox yes, live no. */
static struct str payer_phone(struct arena *mem, const struct json *j)
{
    char number[JSON_NUMBER_TEXT];
    struct str s = json_number_text(j, number);
    if (str_is_digits(s) && s.n >= 9 && s.n <= 15)
        return arena_fmt(mem, "+%.*s", STR_ARG(s));
    s = json_str(j);
    return s.n <= MASKED_MAX && str_find(s, '*', 0) != SIZE_MAX ? text(mem, j, MASKED_MAX)
                                                                : STR("");
}

static bool is_ours(const struct gw_account *a, const struct json *j)
{
    char number[JSON_NUMBER_TEXT];
    struct str code = json_kind(j) == JSON_STR ? json_str(j) : json_number_text(j, number);
    return code.n > 0 &&
           (str_eq(code, gw_setting(a, "shortcode")) || str_eq(code, gw_setting(a, "till")));
}

/* Validation and confirmation have one body. BillRefNumber is typed by a human. Source: mpesa.md
 * 3.2. Seen: sandbox yes, live no. */
struct err mpesa_receipt_parse(const struct gw_account *a, struct str body, struct arena *mem,
                               struct gw_receipt *out)
{
    struct json *root;
    char number[JSON_NUMBER_TEXT];
    *out = (struct gw_receipt){0};
    if (err_is(json_parse(mended(body, mem), &root, NULL)))
        return ERR(PARSE, "no JSON");
    struct err err = ERR_OK;
    struct str amount = json_number_text(json_get(root, "TransAmount"), number);
    out->receipt = mpesa_receipt(mem, json_get(root, "TransID"));
    if (out->receipt.n == 0)
        err = ERR(PARSE, "no usable TransID");
    else if (err_is(money_parse(amount, CURRENCY('K', 'E', 'S'), &out->amount)) ||
             out->amount.minor <= 0)
        err = ERR(PARSE, "no usable TransAmount");
    else if (!is_ours(a, json_get(root, "BusinessShortCode")))
        err = ERR(PARSE, "another short code");
    out->reference = text(mem, json_get(root, "BillRefNumber"), REFERENCE_CUT);
    out->payer_phone = payer_phone(mem, json_get(root, "MSISDN"));
    struct str names[] = {text(mem, json_get(root, "FirstName"), PAYER_CUT),
                          text(mem, json_get(root, "MiddleName"), PAYER_CUT),
                          text(mem, json_get(root, "LastName"), PAYER_CUT)};
    out->payer_name =
        str_trim(arena_fmt(mem, "%.*s %.*s%s%.*s", STR_ARG(names[0]), STR_ARG(names[1]),
                           names[1].n > 0 ? " " : "", STR_ARG(names[2])));
    json_free(root);
    return err;
}
