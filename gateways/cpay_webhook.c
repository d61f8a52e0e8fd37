/* CPay's webhooks: whether one was made with the account's secret, whose it is, what it says.
 * Source: cpay.md, 7. Seen: sandbox yes, live no. */
#include "gateways/answer.h"
#include "gateways/cpay.h"
#include "gateways/signature.h"

enum { SIGNATURES_MAX = 8, TOLERANCE_S = 300, HEADER_MAX = 1024 };

/* ---- the signature ---- */

struct err cpay_webhook_verify(const struct gw_account *a, const struct gw_webhook *in)
{
    static const struct err refused = {ERR_UNAUTHENTICATED, 0, "webhook signature"};
    struct str secret = gw_setting(a, "webhook_secret");
    struct signature_claim c;
    if (secret.n == 0 || !signature_read(in->signature, HEADER_MAX, SIGNATURES_MAX, &c) ||
        !signature_in_time(&c, TOLERANCE_S, in->now_us))
        return refused;
    return signature_fits(&c, secret, in->body) ? ERR_OK : refused;
}

/* ---- the event ---- */

/* What an event may say about its object. An event whose object has another status is believed in
 * nothing: the provider is asked. */
static const struct event_rule {
    const char *type;
    enum cpay_object of;
    enum gw_verdict verdict;
    bool disputed, closed; /* closed: the payer has his money back if the payment is `refunded` */
} event_rules[] = {
    {"payment.processing", CPAY_PAYMENT, GW_PENDING, false, false},
    {"payment.completed", CPAY_PAYMENT, GW_SUCCEEDED, false, false},
    {"payment.failed", CPAY_PAYMENT, GW_FAILED, false, false},
    {"payment.cancelled", CPAY_PAYMENT, GW_FAILED, false, false},
    {"payment.expired", CPAY_PAYMENT, GW_FAILED, false, false},
    {"payment.disputed", CPAY_PAYMENT, GW_SUCCEEDED, true, false},
    {"payment.dispute_closed", CPAY_PAYMENT, GW_SUCCEEDED, true, true},
    {"refund.completed", CPAY_REFUND, GW_SUCCEEDED, false, false},
    {"refund.failed", CPAY_REFUND, GW_FAILED, false, false},
    {"payout.completed", CPAY_PAYOUT, GW_SUCCEEDED, false, false},
    {"payout.failed", CPAY_PAYOUT, GW_FAILED, false, false},
    {"payout.returned", CPAY_PAYOUT, GW_REVERSED, false, false},
};

static const struct event_rule *event_rule(struct str type)
{
    for (size_t i = 0; i < COUNT_OF(event_rules); i++)
        if (str_eq(type, str_c(event_rules[i].type)))
            return &event_rules[i];
    return NULL;
}

struct err cpay_webhook_subject(struct str body, struct arena *mem, struct str *our_id)
{
    struct json *root;
    if (err_is(json_parse(body, &root, NULL)))
        return ERR(PARSE, "the webhook is no JSON");
    const struct json *obj = json_path(root, "data", "object", NULL);
    struct str name = json_str(json_get(obj, "object"));
    struct str reference = json_str(json_get(obj, "reference"));
    bool known =
        str_eq(name, STR("payment")) || str_eq(name, STR("refund")) || str_eq(name, STR("payout"));
    *our_id = known && cpay_is_id(reference) ? arena_dup(mem, reference) : STR_NULL;
    json_free(root);
    return our_id->n > 0 ? ERR_OK : ERR(PARSE, "a webhook that is about nothing of ours");
}

/* Of the whole payment, and by no name of its own: a payment is disputed once. */
static void disputed(const struct event_rule *rule, bool gave_back, struct gw_result *out)
{
    if (out->provider_ref.n == 0) {
        gw_unknown(out, "a dispute about nothing");
        return;
    }
    out->dispute = (struct gw_dispute){.id = out->provider_ref, .status = STR("disputed")};
    if (!rule->closed)
        return;
    out->dispute.status = gave_back ? STR("refunded") : STR("completed");
    out->dispute.state = gave_back ? GW_DISPUTE_LOST : GW_DISPUTE_WON;
    if (gave_back)
        out->verdict = GW_REVERSED;
}

static struct err event_parse(struct str body, enum cpay_object kind, struct arena *mem,
                              struct gw_result *out)
{
    struct json *root;
    *out = (struct gw_result){.verdict = GW_UNKNOWN};
    if (err_is(json_parse(body, &root, NULL)))
        return ERR(PARSE, "the webhook is no JSON");
    const struct json *obj = json_path(root, "data", "object", NULL);
    const struct event_rule *rule = event_rule(json_str(json_get(root, "type")));
    bool gave_back = str_eq(json_str(json_get(obj, "status")), STR("refunded"));
    cpay_object_read(kind, obj, mem, out);
    json_free(root);
    if (out->our_id.n == 0)
        return ERR(PARSE, "no event of that kind");
    if (rule == NULL)
        gw_unknown(out, "an event that nobody has documented");
    else if (rule->of != kind || (out->verdict != GW_UNKNOWN && out->verdict != rule->verdict))
        gw_unknown(out, "an event and an object that disagree");
    else if (rule->disputed && out->verdict == GW_SUCCEEDED)
        disputed(rule, gave_back, out);
    return ERR_OK;
}

struct err cpay_callback_parse(const struct gw_callback *in, struct arena *mem,
                               struct gw_result *out)
{
    return event_parse(in->body, CPAY_PAYMENT, mem, out);
}

struct err cpay_refund_callback_parse(const struct gw_callback *in, struct arena *mem,
                                      struct gw_result *out)
{
    return event_parse(in->body, CPAY_REFUND, mem, out);
}

struct err cpay_payout_callback_parse(const struct gw_callback *in, struct arena *mem,
                                      struct gw_result *out)
{
    return event_parse(in->body, CPAY_PAYOUT, mem, out);
}
