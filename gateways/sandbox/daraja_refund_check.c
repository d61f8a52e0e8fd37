/* The rules of reversal, payout and status query, in the order of the document's tables. */
#include "gateways/sandbox/daraja_refund_check.h"

#include "gateways/sandbox/payback.h"

static const struct daraja_fault fine = {0, NULL, NULL};

enum { CREDENTIAL_TEXT = 344, REMARKS_MAX = 100 };

/* Base64 of 256 bytes. Source: section 1.3. */
static bool credential_fine(struct str s)
{
    if (s.n != CREDENTIAL_TEXT || !str_ends(s, STR("==")))
        return false;
    for (size_t i = 0; i < s.n - 2; i++)
        if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) && s.p[i] != '+' && s.p[i] != '/')
            return false;
    return true;
}

static bool receipt_fine(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]) && (s.p[i] < 'A' || s.p[i] > 'Z'))
            return false;
    return s.n == 10;
}

static bool is(const struct json *body, const char *name, const char *value)
{
    char number[JSON_NUMBER_TEXT];
    const struct json *j = json_get(body, name);
    struct str text = json_kind(j) == JSON_INT ? json_number_text(j, number) : json_str(j);
    return str_eq(text, str_c(value));
}

static bool length_fine(const struct json *body, const char *name, size_t min)
{
    struct str text = json_str(json_get(body, name));
    size_t n = utf8_count(text);
    return json_kind(json_get(body, name)) == JSON_STR && n >= min && n <= REMARKS_MAX;
}

/* Absent, or a string that is not too long. */
static bool optional_fine(const struct json *body, const char *name)
{
    return json_get(body, name) == NULL || length_fine(body, name, 0);
}

static struct daraja_fault initiator_of(const struct json *body, const char *name,
                                        const char *message, struct daraja_order *out)
{
    if (!daraja_text(body, name, &out->initiator))
        return daraja_invalid(message);
    if (!daraja_text(body, "SecurityCredential", &out->credential) ||
        !credential_fine(out->credential))
        return daraja_invalid("Bad Request - Invalid SecurityCredential");
    return fine;
}

static struct daraja_fault urls_of(const struct json *body, struct daraja_order *out)
{
    if (!daraja_text(body, "QueueTimeOutURL", &out->timeout_url) ||
        !daraja_url_fine(out->timeout_url))
        return daraja_invalid("Bad Request - Invalid QueueTimeOutURL");
    if (!daraja_text(body, "ResultURL", &out->result_url) || !daraja_url_fine(out->result_url))
        return daraja_invalid("Bad Request - Invalid ResultURL");
    return fine;
}

static bool amount_of(const struct json *body, struct daraja_order *out)
{
    struct str amount;
    return daraja_digits(body, "Amount", 1, 12, out->digits[0], &amount) &&
           str_to_i64(amount, &out->amount) && out->amount >= 1;
}

struct daraja_fault daraja_check_reversal(const struct json *body, struct daraja_order *out)
{
    *out = (struct daraja_order){0};
    struct daraja_fault f = initiator_of(body, "Initiator", "Bad Request - Invalid Initiator", out);
    if (f.status != 0)
        return f;
    if (!is(body, "CommandID", "TransactionReversal"))
        return daraja_invalid("Bad Request - Invalid CommandID");
    if (!daraja_text(body, "TransactionID", &out->transaction) || !receipt_fine(out->transaction))
        return daraja_invalid("Bad Request - Invalid TransactionID");
    if (!amount_of(body, out))
        return daraja_invalid("Bad Request - Invalid Amount");
    if (!daraja_digits(body, "ReceiverParty", 5, 7, out->digits[1], &out->organisation))
        return daraja_invalid("Bad Request - Invalid ReceiverParty");
    if (!is(body, "RecieverIdentifierType", "11"))
        return daraja_invalid("Bad Request - Invalid RecieverIdentifierType");
    f = urls_of(body, out);
    if (f.status != 0)
        return f;
    if (!length_fine(body, "Remarks", 2))
        return daraja_invalid("Bad Request - Invalid Remarks");
    return optional_fine(body, "Occasion") ? fine
                                           : daraja_invalid("Bad Request - Invalid Occasion");
}

static bool payout_command_fine(const struct json *body)
{
    return is(body, "CommandID", "BusinessPayment") || is(body, "CommandID", "SalaryPayment") ||
           is(body, "CommandID", "PromotionPayment");
}

struct daraja_fault daraja_check_payout(const struct json *body, bool own_id,
                                        struct daraja_order *out)
{
    *out = (struct daraja_order){0};
    if (own_id &&
        (!daraja_text(body, "OriginatorConversationID", &out->originator) ||
         out->originator.n >= PAYBACK_ORIGINATOR || !str_is_printable_ascii(out->originator)))
        return daraja_invalid("Bad Request - Invalid OriginatorConversationID");
    struct daraja_fault f =
        initiator_of(body, "InitiatorName", "Bad Request - Invalid InitiatorName", out);
    if (f.status != 0)
        return f;
    if (!payout_command_fine(body))
        return daraja_invalid("Bad Request - Invalid CommandID");
    if (!amount_of(body, out))
        return daraja_invalid("Bad Request - Invalid Amount");
    if (!daraja_digits(body, "PartyA", 5, 7, out->digits[1], &out->organisation))
        return daraja_invalid("Bad Request - Invalid PartyA");
    if (!daraja_digits(body, "PartyB", 12, 12, out->digits[2], &out->phone) ||
        !daraja_phone_fine(out->phone))
        return daraja_invalid("Bad Request - Invalid PartyB");
    if (!length_fine(body, "Remarks", 2))
        return daraja_invalid("Bad Request - Invalid Remarks");
    f = urls_of(body, out);
    if (f.status != 0)
        return f;
    if (!optional_fine(body, "Occassion") || !optional_fine(body, "Occasion"))
        return daraja_invalid("Bad Request - Invalid Occassion");
    return fine;
}

struct daraja_fault daraja_check_status(const struct json *body, struct daraja_order *out)
{
    *out = (struct daraja_order){0};
    struct daraja_fault f = initiator_of(body, "Initiator", "Bad Request - Invalid Initiator", out);
    if (f.status != 0)
        return f;
    if (!is(body, "CommandID", "TransactionStatusQuery"))
        return daraja_invalid("Bad Request - Invalid CommandID");
    bool by_receipt = daraja_text(body, "TransactionID", &out->transaction);
    bool by_id = daraja_text(body, "OriginalConversationID", &out->originator);
    if ((by_receipt && !receipt_fine(out->transaction)) || (!by_receipt && !by_id))
        return daraja_invalid("Bad Request - Invalid TransactionID");
    if (by_id && out->originator.n >= PAYBACK_ORIGINATOR)
        return daraja_invalid("Bad Request - Invalid OriginalConversationID");
    if (!daraja_digits(body, "PartyA", 5, 7, out->digits[1], &out->organisation))
        return daraja_invalid("Bad Request - Invalid PartyA");
    if (!is(body, "IdentifierType", "4"))
        return daraja_invalid("Bad Request - Invalid IdentifierType");
    f = urls_of(body, out);
    if (f.status != 0)
        return f;
    if (!length_fine(body, "Remarks", 1))
        return daraja_invalid("Bad Request - Invalid Remarks");
    return optional_fine(body, "Occasion") ? fine
                                           : daraja_invalid("Bad Request - Invalid Occasion");
}

struct daraja_fault daraja_check_balance(const struct json *body, struct daraja_order *out)
{
    *out = (struct daraja_order){0};
    struct daraja_fault f = initiator_of(body, "Initiator", "Bad Request - Invalid Initiator", out);
    if (f.status != 0)
        return f;
    if (!is(body, "CommandID", "AccountBalance"))
        return daraja_invalid("Bad Request - Invalid CommandID");
    if (!daraja_digits(body, "PartyA", 5, 7, out->digits[1], &out->organisation))
        return daraja_invalid("Bad Request - Invalid PartyA");
    if (!is(body, "IdentifierType", "4"))
        return daraja_invalid("Bad Request - Invalid IdentifierType");
    f = urls_of(body, out);
    if (f.status != 0)
        return f;
    return length_fine(body, "Remarks", 1) ? fine : daraja_invalid("Bad Request - Invalid Remarks");
}
