/* What CPay takes, field by field; the first fault is told. Source: providers/patterns.md, A2. */
#include <string.h>

#include "gateways/outbound.h"
#include "gateways/sandbox/cpay.h"

enum {
    PHONE_MIN = 8,
    PHONE_MAX = 15,
    DESCRIPTION_MAX = 140,
    URL_MAX = 2000,
    EXPIRES_MIN_S = 60,
    EXPIRES_MAX_S = 86400,
    EXPIRES_DEFAULT_S = 900,
    METADATA_KEYS = 20,
    METADATA_TEXT = 500,
    CODE_MAX = 16
};

static const struct cpay_fault bad_currency = {400, "unsupported_currency", "currency",
                                               "No such currency"};
static const struct cpay_fault bad_msisdn = {400, "invalid_msisdn", "payer.msisdn",
                                             "Send the number as +250781234567"};
static const struct cpay_fault bad_payee = {400, "invalid_msisdn", "destination.msisdn",
                                            "Send the number as +250781234567"};

/* The first of the faults that were collected. */
static struct cpay_fault first_fault(const struct field_errors *e)
{
    struct cpay_fault f = {400, "invalid_request", NULL, NULL};
    if (e->n == 0)
        return (struct cpay_fault){0};
    f.field = e->list[0].param.p;
    f.message = e->list[0].message;
    if (str_eq(e->list[0].param, STR("amount")) && strcmp(e->list[0].code, "range") == 0)
        f.code = "amount_out_of_range";
    return f;
}

/* Equal data, equal bytes. */
static void data_hash(const struct json *body, uint8_t out[SHA256_LEN])
{
    struct buf b;
    buf_init(&b, 256 * 1024);
    json_canonical(body, &b);
    sha256_one(buf_view(&b), out);
    buf_free(&b);
}

static void read_reference(struct fields *f, struct cpay_order *out)
{
    if (fields_text(f, "reference", REQUIRED, 1, CPAY_REFERENCE - 1, &out->reference) &&
        !cpay_id_fine(out->reference, 1, CPAY_REFERENCE - 1))
        fields_fault(f, "reference", "format", "Letters, digits, - and _ only.");
}

static void read_metadata(struct fields *f, struct cpay_order *out, struct arena *mem)
{
    const struct json *obj;
    struct json_iter it = {0};
    size_t n = 0;
    struct buf b;
    out->metadata = STR("{}");
    if (!fields_object(f, "metadata", OPTIONAL, &obj))
        return;
    while (json_next(obj, &it)) {
        if (json_kind(it.value) != JSON_STR || json_str(it.value).n > METADATA_TEXT)
            fields_fault(f, "metadata", "type", "Values are strings of at most 500 bytes.");
        n++;
    }
    if (n > METADATA_KEYS)
        fields_fault(f, "metadata", "length", "At most 20 keys.");
    buf_init(&b, 64 * 1024);
    json_canonical(obj, &b);
    out->metadata = b.failed ? STR("{}") : arena_dup(mem, buf_view(&b));
    buf_free(&b);
}

/* E.164 with its plus sign; `out` is without it. */
static bool phone_read(struct str text, struct str *out)
{
    *out = str_from(text, 1);
    return str_starts(text, STR("+")) && str_is_digits(*out) && out->n >= PHONE_MIN &&
           out->n <= PHONE_MAX && out->p[0] != '0';
}

static bool currency_read(struct fields *f, struct cpay_order *out)
{
    struct str code = STR("");
    if (fields_text(f, "currency", REQUIRED, 3, 3, &code))
        out->amount.currency = currency_parse(code);
    return code.n == 0 || out->amount.currency != 0;
}

static void read_method(struct fields *f, struct cpay_order *out)
{
    struct str method = STR("");
    if (!fields_text(f, "method", REQUIRED, 1, 16, &method))
        return;
    if (str_eq(method, STR("redirect")))
        out->method = CPAY_REDIRECT;
    else if (str_eq(method, STR("card")))
        fields_fault(f, "method", "unknown", "Cards are not simulated.");
    else if (!str_eq(method, STR("wallet")))
        fields_fault(f, "method", "unknown", "wallet or redirect.");
}

static void read_return_url(struct fields *f, struct cpay_order *out)
{
    enum field_need need = out->method == CPAY_REDIRECT ? REQUIRED : OPTIONAL;
    if (fields_text(f, "return_url", need, 1, URL_MAX, &out->return_url) &&
        !outbound_url_ok(out->return_url, true))
        fields_fault(f, "return_url", "format", "Not a URL.");
}

/* False if there is a number and it is none. */
static bool read_payer(struct fields *f, struct cpay_order *out)
{
    static const char *const names[] = {"msisdn", "name", "email", NULL};
    enum field_need need = out->method == CPAY_WALLET ? REQUIRED : OPTIONAL;
    const struct json *payer;
    struct str text, ignored;
    if (!fields_object(f, "payer", need, &payer))
        return true;
    struct fields p = {payer, "payer.", f->errors};
    fields_only(&p, names);
    (void)fields_text(&p, "name", OPTIONAL, 1, 128, &ignored);
    (void)fields_text(&p, "email", OPTIONAL, 3, 254, &ignored);
    return !fields_text(&p, "msisdn", need, 0, 32, &text) || phone_read(text, &out->phone);
}

struct cpay_fault cpay_check_payment(struct cpay_request *rq, struct cpay_order *out)
{
    static const char *const names[] = {"reference",   "amount",     "currency",   "method",
                                        "payer",       "return_url", "expires_in", "metadata",
                                        "description", NULL};
    struct field_errors errors = {.arena = rq->x->arena};
    struct fields f = {rq->body, "", &errors};
    *out = (struct cpay_order){.expires_in_s = EXPIRES_DEFAULT_S};
    fields_only(&f, names);
    read_reference(&f, out);
    (void)fields_i64(&f, "amount", REQUIRED, 1, MONEY_MAX, &out->amount.minor);
    bool currency_fine = currency_read(&f, out);
    read_method(&f, out);
    bool phone_fine = read_payer(&f, out);
    read_return_url(&f, out);
    (void)fields_text(&f, "description", OPTIONAL, 0, DESCRIPTION_MAX, &out->description);
    (void)fields_i64(&f, "expires_in", OPTIONAL, EXPIRES_MIN_S, EXPIRES_MAX_S, &out->expires_in_s);
    read_metadata(&f, out, rq->x->arena);
    data_hash(rq->body, out->data);
    if (errors.n > 0)
        return first_fault(&errors);
    if (!currency_fine)
        return bad_currency;
    return phone_fine ? (struct cpay_fault){0} : bad_msisdn;
}

struct cpay_fault cpay_check_refund(struct cpay_request *rq, struct cpay_order *out)
{
    static const char *const names[] = {"reference", "amount", "reason", NULL};
    struct field_errors errors = {.arena = rq->x->arena};
    struct fields f = {rq->body, "", &errors};
    *out = (struct cpay_order){0};
    fields_only(&f, names);
    read_reference(&f, out);
    (void)fields_i64(&f, "amount", OPTIONAL, 1, MONEY_MAX, &out->amount.minor);
    (void)fields_text(&f, "reason", OPTIONAL, 0, DESCRIPTION_MAX, &out->description);
    data_hash(rq->body, out->data);
    return first_fault(&errors);
}

struct cpay_fault cpay_check_payout(struct cpay_request *rq, struct cpay_order *out)
{
    static const char *const names[] = {"reference",   "amount", "currency",
                                        "destination", "reason", NULL};
    static const char *const to_names[] = {"type", "msisdn", "name", NULL};
    struct field_errors errors = {.arena = rq->x->arena};
    struct fields f = {rq->body, "", &errors};
    const struct json *to = NULL;
    struct str type = STR(""), text = STR(""), ignored;
    *out = (struct cpay_order){0};
    fields_only(&f, names);
    read_reference(&f, out);
    (void)fields_i64(&f, "amount", REQUIRED, 1, MONEY_MAX, &out->amount.minor);
    bool currency_fine = currency_read(&f, out);
    (void)fields_text(&f, "reason", OPTIONAL, 0, DESCRIPTION_MAX, &out->description);
    if (fields_object(&f, "destination", REQUIRED, &to)) {
        struct fields d = {to, "destination.", &errors};
        fields_only(&d, to_names);
        if (fields_text(&d, "type", REQUIRED, 1, 16, &type) && !str_eq(type, STR("wallet")))
            fields_fault(&d, "type", "unknown", "Only wallet.");
        (void)fields_text(&d, "name", OPTIONAL, 1, 128, &ignored);
        (void)fields_text(&d, "msisdn", REQUIRED, 0, 32, &text);
    }
    data_hash(rq->body, out->data);
    if (errors.n > 0)
        return first_fault(&errors);
    if (!currency_fine)
        return bad_currency;
    return phone_read(text, &out->phone) ? (struct cpay_fault){0} : bad_payee;
}

struct cpay_fault cpay_check_code(struct cpay_request *rq, struct str *code)
{
    static const char *const names[] = {"code", NULL};
    struct field_errors errors = {.arena = rq->x->arena};
    struct fields f = {rq->body, "", &errors};
    fields_only(&f, names);
    (void)fields_text(&f, "code", REQUIRED, 1, CODE_MAX, code);
    return first_fault(&errors);
}
