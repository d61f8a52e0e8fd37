/* M-Pesa takes a payment back for a refund: the reversal, and the question what became of it. Over
 * the other rail of refunds the customer is paid: mpesa_payout.c. */
#include "gateways/mpesa.h"

static struct mpesa_tail tail_of(const struct gw_refund *in)
{
    return (struct mpesa_tail){in->callback_url, in->remarks, "Refund"};
}

/* Gives a payment back to who made it. RecieverIdentifierType 11 is an organisation's short code,
 * spelled as the document spells it. The whole amount is the norm; whether a part can be reversed
 * is not known. There is no id of ours: a reversal that is sent twice is two requests, the second
 * of which ends in R000001. Source: mpesa.md 5.6. Seen: sandbox no, live no. */
struct err mpesa_refund_build(const struct gw_account *a, const struct gw_refund *in,
                              struct str token, struct arena *mem, struct outbound_request *out)
{
    struct mpesa_operator o;
    struct mpesa_tail tail = tail_of(in);
    struct str shortcode = gw_setting(a, "shortcode");
    if (in->rail != REFUND_RAIL_REVERSAL)
        return ERR(INVALID, "M-Pesa has no such rail");
    if (!mpesa_url_ok(a, in->callback_url))
        return ERR(INVALID, "M-Pesa does not take this callback URL");
    if (!mpesa_is_shortcode(shortcode))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    if (!mpesa_is_word(in->payment_receipt))
        return ERR(INVALID, "no receipt to reverse");
    TRY(mpesa_amount_check(in->amount, MPESA_MIN_MINOR, a->gateway->max_minor));
    TRY(mpesa_operator_read(a, mem, &o));
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "Initiator", o.name);
    jw_str(&w, "SecurityCredential", o.credential);
    jw_c(&w, "CommandID", "TransactionReversal");
    jw_str(&w, "TransactionID", in->payment_receipt);
    jw_i64(&w, "Amount", in->amount.minor / 100);
    mpesa_put_digits(&w, "ReceiverParty", shortcode);
    jw_c(&w, "RecieverIdentifierType", "11");
    mpesa_put_tail(&w, &tail, false, mem);
    TRY(mpesa_request(a, "/mpesa/reversal/v1/request", token, &body, mem, out));
    out->once = true; /* sent twice, it may give back twice */
    return ERR_OK;
}

struct err mpesa_refund_query_build(const struct gw_account *a, const struct gw_refund *in,
                                    struct str provider_ref, struct str token, struct arena *mem,
                                    struct outbound_request *out)
{
    struct mpesa_tail tail = tail_of(in);
    if (in->rail != REFUND_RAIL_REVERSAL)
        return ERR(INVALID, "M-Pesa has no such rail");
    return mpesa_status_build(a, gw_setting(a, "shortcode"), provider_ref, &tail, token, mem, out);
}
