/* Daraja's doors for those who have an initiator: reversal, payout, status query, and the
 * certificate for which the initiator's password is encrypted.
 *
 * Shape and fields are refused at the door. A wrong initiator is not: it is told by the result, and
 * too many of them lock it (providers/mpesa.md, section 8, pitfall 12). */
#include <stdio.h>
#include <string.h>

#include "core/crypto/rsa_key.h"
#include "core/crypto/text.h"
#include "gateways/sandbox/daraja.h"
#include "gateways/sandbox/daraja_refund_check.h"

enum door { DOOR_REVERSAL, DOOR_PAYOUT, DOOR_PAYOUT_V1, DOOR_STATUS, DOOR_BALANCE };
enum { CERTIFICATE_LIMIT = 8192, WRONG_UNTIL_LOCKED = 3, MIN_PAYOUT = 10 };

/* ---- the certificate ---- */

/* Under another name first: whoever waits for the file never finds half of it. */
static struct err certificate_write(struct str pem, const char *path)
{
    char part[4096];
    int n = snprintf(part, sizeof part, "%s.part", path);
    FILE *f = n > 0 && (size_t)n < sizeof part ? fopen(part, "we") : NULL;
    if (f == NULL)
        return ERR(CONFIG, "SANDBOX_MPESA_CERTIFICATE_OUT cannot be written");
    bool written = fwrite(pem.p, 1, pem.n, f) == pem.n;
    bool closed = fclose(f) == 0;
    if (written && closed && rename(part, path) == 0)
        return ERR_OK;
    (void)remove(part);
    return ERR(CONFIG, "SANDBOX_MPESA_CERTIFICATE_OUT cannot be written");
}

struct err daraja_refund_open(struct daraja *d, const struct sandbox_options *o)
{
    const char *path = o->mpesa_certificate_out;
    buf_init(&d->certificate, CERTIFICATE_LIMIT);
    TRY(rsa_key_new(&d->key));
    TRY(rsa_key_certificate(d->key, STR("reli sandbox"), &d->certificate));
    return path != NULL && path[0] != 0 ? certificate_write(buf_view(&d->certificate), path)
                                        : ERR_OK;
}

void daraja_refund_reset(struct daraja *d)
{
    daraja_inquiries_drop(d);
    d->n_wrong_credentials = 0;
}

void daraja_refund_close(struct daraja *d)
{
    rsa_key_free(d->key);
    buf_free(&d->certificate);
}

void daraja_certificate_get(struct http_exchange *x)
{
    const struct daraja *d = sandbox_state(x);
    http_reply(x, 200, STR("application/x-pem-file"), buf_view(&d->certificate));
}

/* ---- who asks ---- */

static bool credential_fits(const struct daraja *d, struct arena *a, struct str credential)
{
    struct str plain, sealed = base64_decode(a, credential);
    return sealed.n > 0 && !err_is(rsa_key_open(d->key, a, sealed, &plain)) &&
           str_eq(plain, str_c(d->initiator_password));
}

/* <Result code 2001>: initiator credentials wrong. <8006>: operator locked. Source: section 5.1;
 * how many mistakes it takes is not documented. NULL if all is well. */
static const char *initiator_fault(struct daraja *d, struct arena *a, const struct daraja_order *o)
{
    if (d->n_wrong_credentials >= WRONG_UNTIL_LOCKED)
        return "8006";
    if (str_eq(o->initiator, str_c(d->initiator)) && credential_fits(d, a, o->credential)) {
        d->n_wrong_credentials = 0;
        return NULL;
    }
    d->n_wrong_credentials++;
    return "2001";
}

/* <2028>: short code not allowed. <2>, <3>: below the minimum, above the maximum. Source: 5.1. */
static const char *order_fault(const struct daraja *d, const struct daraja_order *o, enum door door)
{
    bool known = door != DOOR_REVERSAL && str_eq(o->organisation, str_c(d->payout_shortcode));
    for (size_t i = 0; i < DARAJA_N_ACCOUNTS; i++)
        known |= str_eq(o->organisation, str_c(d->accounts[i].shortcode));
    if (!known)
        return "2028";
    if (door == DOOR_REVERSAL || door == DOOR_STATUS || door == DOOR_BALANCE)
        return NULL;
    return o->amount < MIN_PAYOUT ? "2" : o->amount > DARAJA_MAX_AMOUNT ? "3" : NULL;
}

/* ---- doors ---- */

static struct daraja_fault check(const struct json *body, enum door door, struct daraja_order *out)
{
    switch (door) {
    case DOOR_REVERSAL:
        return daraja_check_reversal(body, out);
    case DOOR_STATUS:
        return daraja_check_status(body, out);
    case DOOR_BALANCE:
        return daraja_check_balance(body, out);
    case DOOR_PAYOUT:
    case DOOR_PAYOUT_V1:
        break;
    }
    return daraja_check_payout(body, door == DOOR_PAYOUT, out);
}

static void answer(struct daraja *d, struct http_exchange *x, struct call *call,
                   const struct json *body, enum door door)
{
    struct daraja_order order;
    if (!daraja_enter(d, x, call))
        return;
    struct daraja_fault f = daraja_operation_check(d, x, body);
    if (f.status == 0)
        f = check(body, door, &order);
    if (f.status != 0) {
        daraja_refuse(d, x, call, f);
        return;
    }
    bool payout = door == DOOR_PAYOUT || door == DOOR_PAYOUT_V1;
    const char *forced = initiator_fault(d, x->arena, &order);
    if (forced == NULL)
        forced = order_fault(d, &order, door);
    if (door == DOOR_STATUS || door == DOOR_BALANCE)
        daraja_inquiry_begin(d, x, call, &order, door == DOOR_BALANCE, forced);
    else
        daraja_payback_begin(d, x, call, &order, payout, forced);
}

static void serve(struct http_exchange *x, const char *op, enum door door)
{
    struct daraja *d = sandbox_state(x);
    struct call call = sandbox_call(x, op);
    struct json *body = daraja_body_of(x);
    struct str url = json_str(json_get(body, "ResultURL"));
    daraja_note(call.amount, sizeof call.amount, body, "Amount");
    daraja_note(call.reference, sizeof call.reference, body, "TransactionID");
    if (door == DOOR_STATUS)
        daraja_note(call.id, sizeof call.id, body, "OriginalConversationID");
    else if (door == DOOR_PAYOUT)
        daraja_note(call.id, sizeof call.id, body, "OriginatorConversationID");
    if (door == DOOR_PAYOUT || door == DOOR_PAYOUT_V1)
        daraja_note(call.phone, sizeof call.phone, body, "PartyB");
    if (url.n > 0)
        call_url_hash(url, call.url_hash);
    answer(d, x, &call, body, door);
    json_free(body);
}

void daraja_reversal_post(struct http_exchange *x)
{
    serve(x, "reversal", DOOR_REVERSAL);
}

void daraja_payout_post(struct http_exchange *x)
{
    serve(x, "b2c", DOOR_PAYOUT);
}

void daraja_payout_v1_post(struct http_exchange *x)
{
    serve(x, "b2c", DOOR_PAYOUT_V1);
}

void daraja_status_post(struct http_exchange *x)
{
    serve(x, "status", DOOR_STATUS);
}

void daraja_balance_post(struct http_exchange *x)
{
    serve(x, "balance", DOOR_BALANCE);
}
