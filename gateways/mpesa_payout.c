/* Money out of an organisation's own account at M-Pesa (B2C, version 3): as payout and as the
 * second rail of refunds, and the question what became of one. */
#include "gateways/mpesa.h"

/* CommandID. A refund is none of the three in particular. Source: mpesa.md 5.1. Seen: sandbox yes,
 * live no. */
static const struct purpose_rule {
    const char *purpose, *command, *no_remarks;
} purpose_rules[] = {
    {"", "BusinessPayment", "Payout"},
    {GW_PURPOSE_BUSINESS, "BusinessPayment", "Payout"},
    {GW_PURPOSE_SALARY, "SalaryPayment", "Salary"},
    {GW_PURPOSE_PROMOTION, "PromotionPayment", "Promotion"},
    {GW_PURPOSE_REFUND, "BusinessPayment", "Refund"},
};

static const struct purpose_rule *purpose_rule(struct str purpose)
{
    for (size_t i = 0; i < COUNT_OF(purpose_rules); i++)
        if (str_eq(purpose, str_c(purpose_rules[i].purpose)))
            return &purpose_rules[i];
    return NULL;
}

/* The short code that pays out. */
static struct str shortcode_of(const struct gw_account *a)
{
    struct str own = gw_setting(a, "b2c_shortcode");
    return own.n > 0 ? own : gw_setting(a, "shortcode");
}

static struct err payout_check(const struct gw_account *a, const struct gw_payout *in)
{
    if (!mpesa_url_ok(a, in->callback_url))
        return ERR(INVALID, "M-Pesa does not take this callback URL");
    if (!mpesa_is_shortcode(shortcode_of(a)))
        return ERR(INVALID, "the payout short code is not 5 to 7 digits");
    if (!mpesa_is_word(in->our_id))
        return ERR(INVALID, "no id of ours for the payout");
    if (!mpesa_is_phone(in->phone))
        return ERR(INVALID, "the phone is no Kenyan mobile number: +2547… or +2541…");
    if (purpose_rule(in->purpose) == NULL)
        return ERR(INVALID, "M-Pesa has no word for this purpose");
    return mpesa_amount_check(in->amount, a->gateway->payout_min_minor,
                              a->gateway->payout_max_minor);
}

/* OriginatorConversationID is ours and must never be used again: Daraja answers a repetition with
 * 500.002.1001. Source: mpesa.md 5.1. Seen: sandbox no, live no. */
struct err mpesa_payout_build(const struct gw_account *a, const struct gw_payout *in,
                              struct str token, struct arena *mem, struct outbound_request *out)
{
    struct mpesa_operator o;
    TRY(payout_check(a, in));
    TRY(mpesa_operator_read(a, mem, &o));
    const struct purpose_rule *rule = purpose_rule(in->purpose);
    struct mpesa_tail tail = {in->callback_url, in->remarks, rule->no_remarks};
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "OriginatorConversationID", in->our_id);
    jw_str(&w, "InitiatorName", o.name);
    jw_str(&w, "SecurityCredential", o.credential);
    jw_c(&w, "CommandID", rule->command);
    jw_i64(&w, "Amount", in->amount.minor / 100);
    mpesa_put_digits(&w, "PartyA", shortcode_of(a));
    mpesa_put_digits(&w, "PartyB", str_from(in->phone, 1));
    mpesa_put_tail(&w, &tail, false, mem);
    TRY(mpesa_request(a, "/mpesa/b2c/v3/paymentrequest", token, &body, mem, out));
    out->once = true; /* sent twice, the second is refused, and hides what became of the first */
    return ERR_OK;
}

struct err mpesa_payout_query_build(const struct gw_account *a, const struct gw_payout *in,
                                    struct str provider_ref, struct str token, struct arena *mem,
                                    struct outbound_request *out)
{
    const struct purpose_rule *rule = purpose_rule(in->purpose);
    struct mpesa_tail tail = {in->callback_url, in->remarks,
                              rule != NULL ? rule->no_remarks : "Payout"};
    return mpesa_status_build(a, shortcode_of(a), provider_ref, &tail, token, mem, out);
}
