/* Customers who pay the pay bill or till from their phone's menu: the registration of the URLs, the
 * question whether a payment is wanted (validation), and the news that it was made (confirmation).
 *
 *   simulate → (validation → yes) → money has moved → confirmation
 *
 * No answer to the validation, or none that can be read: the registration's ResponseType decides.
 * The confirmation cannot be refused. Source: providers/mpesa.md, section 3. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crypto/mac.h"
#include "gateways/sandbox/daraja.h"
#include "gateways/sandbox/daraja_body.h"

enum { MAX_TRANSFERS = 10000, REFERENCE_LIMIT = 120, NAME_LIMIT = 40, MAX_TIMES = 5 };

/* What a short code has registered; `version` tells how the payer's number is shown. */
struct c2b_urls {
    char *confirmation, *validation;
    bool completes; /* ResponseType */
    int version;    /* 0: nothing registered */
};

enum c2b_state { C2B_ASKING, C2B_REJECTED, C2B_PAID };
static const char *const state_words[] = {"asking", "rejected", "paid"};

struct c2b_transfer {
    char id[CALL_TEXT];
    char phone[CALL_TEXT], shortcode[CALL_TEXT];
    char reference[REFERENCE_LIMIT + 1], name[NAME_LIMIT + 1], third_party[REFERENCE_LIMIT + 1];
    int64_t amount, at_us;
    enum c2b_state state;
    char result[CALL_TEXT]; /* of the validation */
    int times;              /* confirmations that are sent once it is paid */
};

struct daraja_c2b {
    struct c2b_urls urls[DARAJA_N_ACCOUNTS];
    struct c2b_transfer *list;
    size_t n;
    int64_t first; /* tag of list[0]: what was asked before a reset is not answered after it */
};

static const struct daraja_fault bad_shortcode = {400, "400.002.02",
                                                  "Bad Request - Invalid ShortCode"};
static const struct daraja_fault bad_type = {400, "400.002.02",
                                             "Bad Request - Invalid ResponseType"};
static const struct daraja_fault bad_confirmation = {400, "400.002.02",
                                                     "Bad Request - Invalid ConfirmationURL"};
static const struct daraja_fault bad_validation = {400, "400.002.02",
                                                   "Bad Request - Invalid ValidationURL"};
static const struct daraja_fault bad_amount = {400, "400.002.02", "Bad Request - Invalid Amount"};
static const struct daraja_fault bad_phone = {400, "400.002.02", "Bad Request - Invalid Msisdn"};
static const struct daraja_fault taken = {500, "500.003.1001", "Urls are already registered."};
static const struct daraja_fault nobody = {500, "500.003.1001", "No urls are registered."};

/* ---- life ---- */

struct err daraja_c2b_open(struct daraja *d)
{
    d->c2b = calloc(1, sizeof *d->c2b);
    if (d->c2b == NULL)
        return ERR(NO_MEMORY, "daraja");
    d->c2b->first = 1;
    return ERR_OK;
}

void daraja_c2b_reset(struct daraja *d)
{
    struct daraja_c2b *c = d->c2b;
    if (c == NULL)
        return;
    for (size_t i = 0; i < DARAJA_N_ACCOUNTS; i++) {
        free(c->urls[i].confirmation);
        free(c->urls[i].validation);
        c->urls[i] = (struct c2b_urls){0};
    }
    free(c->list);
    c->list = NULL;
    c->first += (int64_t)c->n;
    c->n = 0;
}

void daraja_c2b_close(struct daraja *d)
{
    daraja_c2b_reset(d);
    free(d->c2b);
}

/* The account with that short code, or with that till; DARAJA_N_ACCOUNTS if there is none. */
static size_t account_of(const struct daraja *d, struct str shortcode)
{
    size_t i = 0;
    while (i < DARAJA_N_ACCOUNTS && !str_eq(shortcode, str_c(d->accounts[i].shortcode)) &&
           !str_eq(shortcode, str_c(d->accounts[i].till)))
        i++;
    return i;
}

/* ---- registration ---- */

static struct daraja_fault registration(struct daraja *d, const struct json *body, int version)
{
    char digits[JSON_NUMBER_TEXT];
    struct str shortcode, type, confirmation, validation;
    if (!daraja_digits(body, "ShortCode", 5, 7, digits, &shortcode))
        return bad_shortcode;
    if (!daraja_text(body, "ResponseType", &type) ||
        (!str_eq(type, STR("Completed")) && !str_eq(type, STR("Cancelled"))))
        return bad_type;
    if (!daraja_text(body, "ConfirmationURL", &confirmation) || !daraja_url_fine(confirmation))
        return bad_confirmation;
    if (!daraja_text(body, "ValidationURL", &validation) || !daraja_url_fine(validation))
        return bad_validation;
    size_t i = account_of(d, shortcode);
    if (i == DARAJA_N_ACCOUNTS)
        return bad_shortcode;
    struct c2b_urls *u = &d->c2b->urls[i];
    if (u->version != 0)
        return taken;
    u->confirmation = strndup(confirmation.p, confirmation.n);
    u->validation = strndup(validation.p, validation.n);
    u->completes = str_eq(type, STR("Completed"));
    u->version = version;
    return (struct daraja_fault){0, NULL, NULL};
}

/* "OriginatorCoversationID" is the real spelling. Source: section 3.1. */
static void accepted(struct daraja *d, struct http_exchange *x, struct call *call,
                     const char *words)
{
    struct buf *b = sandbox_scratch(d->s);
    struct jsonw w = jw_into(b);
    char id[40];
    (void)snprintf(id, sizeof id, "8123-%llu-1", (unsigned long long)(d->s->serial++ % 10000000));
    jw_open(&w);
    jw_c(&w, "OriginatorCoversationID", id);
    jw_c(&w, "ResponseCode", "0");
    jw_c(&w, "ResponseDescription", words);
    jw_close(&w);
    call->accepted = true;
    call->outcome = "accepted";
    sandbox_reply(d->s, x, call, 200, "application/json", buf_view(b));
}

static void register_post(struct http_exchange *x, int version)
{
    struct daraja *d = sandbox_state(x);
    struct call call = sandbox_call(x, "register");
    struct json *body = daraja_body_of(x);
    struct str url = json_str(json_get(body, "ConfirmationURL"));
    daraja_note(call.reference, sizeof call.reference, body, "ShortCode");
    if (url.n > 0)
        call_url_hash(url, call.url_hash);
    if (daraja_enter(d, x, &call)) {
        struct daraja_fault f = daraja_operation_check(d, x, body);
        if (f.status == 0)
            f = registration(d, body, version);
        if (f.status != 0)
            daraja_refuse(d, x, &call, f);
        else
            accepted(d, x, &call, "Success");
    }
    json_free(body);
}

void daraja_register_v1_post(struct http_exchange *x)
{
    register_post(x, 1);
}

void daraja_register_v2_post(struct http_exchange *x)
{
    register_post(x, 2);
}

/* ---- a picture ---- */

/* One black dot. */
#define PNG \
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="

static const char *const trx_codes[] = {"BG", "WA", "PB", "SM", "SB"};

static struct daraja_fault picture_check(const struct json *body)
{
    char digits[3][JSON_NUMBER_TEXT];
    struct str name, reference, code, to, size, amount;
    int64_t shillings;
    bool known = false;
    if (!daraja_text(body, "MerchantName", &name))
        return daraja_invalid("Bad Request - Invalid MerchantName");
    if (!daraja_text(body, "RefNo", &reference))
        return daraja_invalid("Bad Request - Invalid RefNo");
    if (!daraja_digits(body, "Amount", 1, 12, digits[0], &amount) ||
        !str_to_i64(amount, &shillings) || shillings < 1)
        return bad_amount;
    (void)daraja_text(body, "TrxCode", &code);
    for (size_t i = 0; i < COUNT_OF(trx_codes); i++)
        known |= str_eq(code, str_c(trx_codes[i]));
    if (!known)
        return daraja_invalid("Bad Request - Invalid TrxCode");
    if (!daraja_digits(body, "CPI", 5, 12, digits[1], &to))
        return daraja_invalid("Bad Request - Invalid CPI");
    if (!daraja_digits(body, "Size", 1, 4, digits[2], &size))
        return daraja_invalid("Bad Request - Invalid Size");
    return (struct daraja_fault){0, NULL, NULL};
}

/* Source: section 6. */
void daraja_qr_post(struct http_exchange *x)
{
    struct daraja *d = sandbox_state(x);
    struct call call = sandbox_call(x, "qr");
    struct json *body = daraja_body_of(x);
    daraja_note(call.amount, sizeof call.amount, body, "Amount");
    (void)str_copy_c(call.reference, sizeof call.reference, json_str(json_get(body, "RefNo")));
    if (daraja_enter(d, x, &call)) {
        struct daraja_fault f = daraja_operation_check(d, x, body);
        if (f.status == 0)
            f = picture_check(body);
        if (f.status != 0) {
            daraja_refuse(d, x, &call, f);
        } else {
            struct buf *b = sandbox_scratch(d->s);
            struct jsonw w = jw_into(b);
            jw_open(&w);
            jw_c(&w, "ResponseCode", "AG_20250314_000010a17c55e0d9f3b8");
            jw_c(&w, "RequestID", "16738-27456357-1");
            jw_c(&w, "ResponseDescription", "QR Code Successfully Generated.");
            jw_c(&w, "QRCode", PNG);
            jw_close(&w);
            call.accepted = true;
            call.outcome = "a picture";
            sandbox_reply(d->s, x, &call, 200, "application/json", buf_view(b));
        }
    }
    json_free(body);
}

/* ---- a transfer ---- */

/* v2 masks the number, v1 shows a hash of it. Source: section 3.1. */
static void payer(const struct c2b_transfer *t, int version, char out[80])
{
    if (version == 2) {
        (void)snprintf(out, 80, "%.4s ***** %s", t->phone, t->phone + strlen(t->phone) - 3);
        return;
    }
    uint8_t hash[SHA256_LEN];
    struct str part = str_c(t->phone);
    sha256(&part, 1, hash);
    for (size_t i = 0; i < SHA256_LEN; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static void body_of(const struct daraja *d, const struct c2b_transfer *t, bool paid, struct buf *b)
{
    size_t i = account_of(d, str_c(t->shortcode));
    struct jsonw w = jw_into(b);
    char number[80], time[DARAJA_TIME], amount[32];
    payer(t, d->c2b->urls[i].version, number);
    daraja_time_text(t->at_us, time);
    (void)snprintf(amount, sizeof amount, "%lld.00", (long long)t->amount);
    jw_open(&w);
    jw_c(&w, "TransactionType", d->accounts[i].till != NULL ? "Buy Goods" : "Pay Bill");
    jw_c(&w, "TransID", t->id);
    jw_c(&w, "TransTime", time);
    jw_c(&w, "TransAmount", amount);
    jw_c(&w, "BusinessShortCode", t->shortcode);
    jw_c(&w, "BillRefNumber", t->reference);
    jw_c(&w, "InvoiceNumber", "");
    jw_c(&w, "OrgAccountBalance", paid ? "90312.00" : "");
    jw_c(&w, "ThirdPartyTransID", t->third_party);
    jw_c(&w, "MSISDN", number);
    jw_c(&w, "FirstName", t->name);
    jw_c(&w, "MiddleName", "");
    jw_c(&w, "LastName", "");
    jw_close(&w);
}

/* What the courier cannot take is recorded as lost: M-Pesa promises no second try either. */
static void bring(struct daraja *d, const struct c2b_transfer *t, const char *url, int64_t tag)
{
    char hash[URL_HASH_TEXT];
    struct buf *b = sandbox_scratch(d->s);
    body_of(d, t, tag == 0, b);
    call_url_hash(str_c(url), hash);
    struct parcel parcel = {.provider = daraja_provider.name,
                            .result_code = tag == 0 ? "confirmation" : "validation",
                            .id = t->id,
                            .url = url,
                            .url_hash = hash,
                            .tag = tag};
    if (err_is(courier_send(d->s->courier, &parcel, buf_view(b))))
        courier_lose(d->s->courier, &parcel);
}

static void pay(struct daraja *d, struct c2b_transfer *t)
{
    size_t i = account_of(d, str_c(t->shortcode));
    t->state = C2B_PAID;
    for (int n = 0; n < t->times; n++)
        bring(d, t, d->c2b->urls[i].confirmation, 0);
}

/* Source: section 3.2; any code but 0 rejects. */
void daraja_c2b_delivered(void *state, const struct delivery *delivery)
{
    struct daraja *d = state;
    struct daraja_c2b *c = d->c2b;
    int64_t at = delivery->tag - c->first;
    if (at < 0 || (uint64_t)at >= c->n || c->list[at].state != C2B_ASKING)
        return;
    struct c2b_transfer *t = &c->list[at];
    struct json *said = NULL;
    char text[JSON_NUMBER_TEXT];
    bool wanted = c->urls[account_of(d, str_c(t->shortcode))].completes;
    if (delivery->status == 200 && !err_is(json_parse(delivery->body, &said, NULL))) {
        struct str code = json_number_text(json_get(said, "ResultCode"), text);
        if (code.n == 0)
            code = json_str(json_get(said, "ResultCode"));
        wanted = str_eq(code, STR("0"));
        call_text(t->result, sizeof t->result, code);
        (void)str_copy_c(t->third_party, sizeof t->third_party,
                         json_str(json_get(said, "ThirdPartyTransID")));
        json_free(said);
    }
    if (wanted)
        pay(d, t);
    else
        t->state = C2B_REJECTED;
}

/* NULL if it is too many. */
static struct c2b_transfer *transfer_new(struct daraja *d, const struct c2b_transfer *in)
{
    struct daraja_c2b *c = d->c2b;
    if (c->n >= MAX_TRANSFERS)
        return NULL;
    struct c2b_transfer *list = realloc(c->list, (c->n + 1) * sizeof *list);
    if (list == NULL)
        return NULL;
    c->list = list;
    c->list[c->n] = *in;
    struct c2b_transfer *t = &c->list[c->n++];
    t->at_us = loop_wall_us(d->s->loop);
    if (t->id[0] == 0)
        daraja_receipt(d, t->id);
    return t;
}

static void transfer_begin(struct daraja *d, struct c2b_transfer *t, bool asks)
{
    const struct c2b_urls *u = &d->c2b->urls[account_of(d, str_c(t->shortcode))];
    if (asks)
        bring(d, t, u->validation, d->c2b->first + (t - d->c2b->list));
    else
        pay(d, t);
}

/* What both ways to simulate share; `account` and `phone` name the members. */
static struct daraja_fault transfer_read(const struct daraja *d, const struct json *body,
                                         const char *const names[4], struct c2b_transfer *t)
{
    char digits[3][JSON_NUMBER_TEXT];
    struct str shortcode, amount, phone;
    if (!daraja_digits(body, names[0], 5, 7, digits[0], &shortcode) ||
        account_of(d, shortcode) == DARAJA_N_ACCOUNTS)
        return bad_shortcode;
    if (!daraja_digits(body, names[1], 1, 12, digits[1], &amount) ||
        !str_to_i64(amount, &t->amount) || t->amount < 1 || t->amount > DARAJA_MAX_AMOUNT)
        return bad_amount;
    if (!daraja_digits(body, names[2], 12, 12, digits[2], &phone) || !daraja_phone_fine(phone))
        return bad_phone;
    if (d->c2b->urls[account_of(d, shortcode)].version == 0)
        return nobody;
    call_text(t->shortcode, sizeof t->shortcode, shortcode);
    call_text(t->phone, sizeof t->phone, phone);
    (void)str_copy_c(t->reference, sizeof t->reference, json_str(json_get(body, names[3])));
    (void)str_copy_c(t->name, sizeof t->name, STR("WANJIKU"));
    t->times = 1;
    return (struct daraja_fault){0, NULL, NULL};
}

/* Daraja's own door for tests. Source: section 3.3. */
void daraja_simulate_post(struct http_exchange *x)
{
    static const char *const names[] = {"ShortCode", "Amount", "Msisdn", "BillRefNumber"};
    struct daraja *d = sandbox_state(x);
    struct call call = sandbox_call(x, "simulate");
    struct json *body = daraja_body_of(x);
    struct c2b_transfer t = {0}, *made = NULL;
    daraja_note(call.reference, sizeof call.reference, body, "BillRefNumber");
    if (daraja_enter(d, x, &call)) {
        struct daraja_fault f = daraja_operation_check(d, x, body);
        if (f.status == 0)
            f = transfer_read(d, body, names, &t);
        if (f.status == 0 && (made = transfer_new(d, &t)) == NULL)
            f = nobody;
        if (f.status != 0)
            daraja_refuse(d, x, &call, f);
        else
            accepted(d, x, &call, "Accept the service request successfully.");
        if (made != NULL)
            transfer_begin(d, made, true);
    }
    json_free(body);
}

/* ---- the experimenter's side ---- */

static void transfer_print(struct jsonw *w, const struct c2b_transfer *t)
{
    jw_open(w);
    jw_c(w, "TransID", t->id);
    jw_c(w, "shortcode", t->shortcode);
    jw_i64(w, "amount", t->amount);
    jw_c(w, "account", t->reference);
    jw_c(w, "state", state_words[t->state]);
    jw_c(w, "validation", t->result);
    jw_close(w);
}

/* {shortcode, phone, amount, account} and, if wanted, `receipt` (of a push that is told by this way
 * as well), `times` (confirmations, the same one), `name`, `validate` (false: nobody is asked). */
void daraja_c2b_pay(struct daraja *d, struct http_exchange *x)
{
    static const char *const names[] = {"shortcode", "amount", "phone", "account"};
    struct json *body = daraja_body_of(x);
    struct c2b_transfer t = {0}, *made = NULL;
    struct daraja_fault f = transfer_read(d, body, names, &t);
    bool asks = true;
    int64_t times = 1;
    if (json_bool(json_get(body, "validate"), &asks) && f.status == 0 && !asks)
        t.state = C2B_PAID;
    if (json_i64(json_get(body, "times"), &times) && times >= 0 && times <= MAX_TIMES)
        t.times = (int)times;
    call_text(t.id, sizeof t.id, json_str(json_get(body, "receipt")));
    if (json_str(json_get(body, "name")).n > 0)
        (void)str_copy_c(t.name, sizeof t.name, json_str(json_get(body, "name")));
    json_free(body);
    if (f.status == 0)
        made = transfer_new(d, &t);
    if (made == NULL) {
        http_problem(x, ERR(VALIDATION, "c2b"), f.message != NULL ? f.message : "too many");
        return;
    }
    transfer_begin(d, made, asks);
    struct buf b;
    buf_init(&b, 4096);
    struct jsonw w = jw_into(&b);
    transfer_print(&w, made);
    http_reply_json(x, 200, buf_view(&b));
    buf_free(&b);
}

void daraja_c2b_list(struct daraja *d, struct http_exchange *x)
{
    struct buf b;
    buf_init(&b, 8 * 1024 * 1024);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    jw_key(&w, "data");
    jw_open_list(&w);
    for (size_t i = 0; i < d->c2b->n; i++)
        transfer_print(&w, &d->c2b->list[i]);
    jw_close_list(&w);
    jw_close(&w);
    http_reply_json(x, 200, buf_view(&b));
    buf_free(&b);
}
