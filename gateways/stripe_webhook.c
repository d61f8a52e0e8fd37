/* Stripe's webhooks: whether one was made with the account's secret, whose it is, what it says.
 * Source: docs.stripe.com, webhooks, and the check in Stripe's Node library, read 2026-11. Seen:
 * sandbox yes, Stripe's Node library yes, live no. */
#include "gateways/answer.h"
#include "gateways/signature.h"
#include "gateways/stripe.h"

enum { SIGNATURES_MAX = 16, TOLERANCE_S = 300, HEADER_MAX = 2048 };

/* ---- the signature ---- */

/* One URL may serve both modes, with a secret of each: an event of the mode that the key is not of
 * is genuine, and none of ours. Source: stripe.md, 12.7. Seen: sandbox yes, live no. */
static struct err mode_fits(const struct gw_account *a, struct str body)
{
    struct json *root;
    bool live = false, told = false;
    if (!err_is(json_parse(body, &root, NULL))) {
        told = json_bool(json_get(root, "livemode"), &live);
        json_free(root);
    }
    return told && live != stripe_is_live(a) ? ERR(NOT_FOUND, "a webhook of the other mode")
                                             : ERR_OK;
}

/* Other schemes than v1 are for others: v0 is a fake. Stripe's libraries let the future pass; we
 * don't. The secret is used as text, with its "whsec_"; while it is rolled there are two. */
struct err stripe_webhook_verify(const struct gw_account *a, const struct gw_webhook *in)
{
    static const struct err refused = {ERR_UNAUTHENTICATED, 0, "webhook signature"};
    struct str secrets = gw_setting(a, "webhook_secret"), secret;
    struct signature_claim c;
    bool any = false;
    if (in->body.n == 0 || !signature_read(in->signature, HEADER_MAX, SIGNATURES_MAX, &c) ||
        !signature_in_time(&c, TOLERANCE_S, in->now_us))
        return refused;
    while (secrets.n > 0 && str_split(&secrets, ',', &secret)) {
        secret = str_trim(secret);
        if (secret.n > 0)
            any |= signature_fits(&c, secret, in->body);
    }
    return any ? mode_fits(a, in->body) : refused;
}

/* ---- the event ---- */

enum about { ABOUT_SESSION, ABOUT_INTENT, ABOUT_REFUND, ABOUT_DISPUTE, ABOUT_TAKEN_BACK };

/* What an event may say about its object. Where the object says something else nothing is believed:
 * the provider is asked. */
static const struct event_rule {
    const char *type;
    enum about about;
    enum gw_verdict verdict, or_verdict;
} event_rules[] = {
    {"checkout.session.completed", ABOUT_SESSION, GW_SUCCEEDED, GW_PENDING},
    {"checkout.session.async_payment_succeeded", ABOUT_SESSION, GW_SUCCEEDED, GW_SUCCEEDED},
    {"checkout.session.async_payment_failed", ABOUT_SESSION, GW_PENDING, GW_FAILED},
    {"checkout.session.expired", ABOUT_SESSION, GW_FAILED, GW_FAILED},
    {"payment_intent.created", ABOUT_INTENT, GW_PENDING, GW_PENDING},
    {"payment_intent.requires_action", ABOUT_INTENT, GW_PENDING, GW_PENDING},
    {"payment_intent.processing", ABOUT_INTENT, GW_PENDING, GW_PENDING},
    {"payment_intent.amount_capturable_updated", ABOUT_INTENT, GW_PENDING, GW_PENDING},
    {"payment_intent.payment_failed", ABOUT_INTENT, GW_PENDING, GW_FAILED},
    {"payment_intent.succeeded", ABOUT_INTENT, GW_SUCCEEDED, GW_SUCCEEDED},
    {"payment_intent.canceled", ABOUT_INTENT, GW_FAILED, GW_FAILED},
    {"refund.created", ABOUT_REFUND, GW_PENDING, GW_SUCCEEDED},
    {"refund.updated", ABOUT_REFUND, GW_UNKNOWN, GW_UNKNOWN}, /* whatever it says */
    {"charge.refund.updated", ABOUT_REFUND, GW_UNKNOWN, GW_UNKNOWN},
    {"refund.failed", ABOUT_REFUND, GW_FAILED, GW_FAILED},
    {"charge.dispute.created", ABOUT_DISPUTE, GW_PENDING, GW_REVERSED},
    {"charge.dispute.updated", ABOUT_DISPUTE, GW_PENDING, GW_REVERSED},
    {"charge.dispute.closed", ABOUT_DISPUTE, GW_PENDING, GW_REVERSED},
    {"charge.dispute.funds_withdrawn", ABOUT_DISPUTE, GW_PENDING, GW_REVERSED},
    {"charge.dispute.funds_reinstated", ABOUT_DISPUTE, GW_PENDING, GW_PENDING},
};

static const struct event_rule *event_rule(struct str type)
{
    for (size_t i = 0; i < COUNT_OF(event_rules); i++)
        if (str_eq(type, str_c(event_rules[i].type)))
            return &event_rules[i];
    return NULL;
}

static const struct json *object_of(const struct json *root)
{
    return stripe_object_is(root, "event") ? json_path(root, "data", "object", NULL) : NULL;
}

static bool is_payment(const struct json *obj)
{
    return stripe_object_is(obj, "checkout.session") || stripe_object_is(obj, "payment_intent");
}

/* A refund that reli was not asked for. One that has lost a part of what we gave it is none. */
static bool is_foreign_refund(const struct json *obj)
{
    const struct json *metadata = json_get(obj, "metadata");
    return stripe_object_is(obj, "refund") && json_kind(metadata) == JSON_OBJ &&
           json_kind(json_get(metadata, STRIPE_OUR_KEY)) == JSON_ABSENT &&
           json_kind(json_get(metadata, STRIPE_BY_KEY)) == JSON_ABSENT;
}

/* Charges say nothing that the others don't; disputes do not carry our id, nor do refunds that the
 * merchant has made at Stripe. */
struct err stripe_webhook_subject(struct str body, struct arena *mem, struct str *our_id)
{
    struct json *root;
    *our_id = STR_NULL;
    if (err_is(json_parse(body, &root, NULL)))
        return ERR(PARSE, "the webhook is no JSON");
    const struct json *obj = object_of(root);
    struct str ours = json_str(json_path(obj, "metadata", STRIPE_OUR_KEY, NULL));
    if ((is_payment(obj) || stripe_object_is(obj, "refund")) && stripe_is_id(ours) && ours.n <= 64)
        *our_id = arena_dup(mem, ours);
    json_free(root);
    return our_id->n > 0 ? ERR_OK : ERR(PARSE, "a webhook that is about nothing of ours");
}

struct err stripe_webhook_about(struct str body, struct arena *mem, struct str *ref)
{
    struct json *root;
    *ref = STR_NULL;
    if (err_is(json_parse(body, &root, NULL)))
        return ERR(PARSE, "the webhook is no JSON");
    const struct json *obj = object_of(root);
    struct str intent = json_str(json_get(obj, "payment_intent"));
    if ((stripe_object_is(obj, "dispute") || is_foreign_refund(obj)) && stripe_is_id(intent) &&
        str_starts(intent, STR(STRIPE_INTENT_PREFIX)))
        *ref = arena_dup(mem, intent);
    json_free(root);
    return ref->n > 0 ? ERR_OK : ERR(PARSE, "a webhook that is about nothing of ours");
}

/* The verdict of the object has to be one that its event may bring. */
static void agree(const struct event_rule *rule, enum about about, struct gw_result *out)
{
    bool refund = about == ABOUT_REFUND;
    bool any = rule != NULL && rule->verdict == GW_UNKNOWN;
    if (about == ABOUT_TAKEN_BACK)
        return; /* its status alone tells */
    if (rule == NULL)
        gw_unknown(out, "an event that nobody has documented");
    else if ((rule->about == ABOUT_REFUND) != refund ||
             (rule->about == ABOUT_DISPUTE) != (about == ABOUT_DISPUTE) ||
             (!any && out->verdict != GW_UNKNOWN && out->verdict != rule->verdict &&
              out->verdict != rule->or_verdict))
        gw_unknown(out, "an event and an object that disagree");
}

/* A refund that nobody has asked reli for, made in Stripe's dashboard: once it has succeeded the
 * payment was taken back. It is told like a dispute that is lost, an item for people if it was a
 * part only; one that fails after all becomes an item of its own. Source: stripe.md, 8 and 10.
 * Seen: sandbox yes, live no. */
static void taken_back_read(const struct json *refund, struct arena *mem, struct gw_result *out)
{
    struct str id = json_str(json_get(refund, "id")), status = json_str(json_get(refund, "status"));
    struct str intent = json_str(json_get(refund, "payment_intent"));
    struct str reason = json_str(json_get(refund, "reason"));
    bool done = str_eq(status, STR("succeeded")), failed = str_eq(status, STR("failed"));
    int64_t units;
    out->verdict = GW_PENDING;
    if ((!done && !failed) || !stripe_is_id(id) || !stripe_is_id(intent) ||
        !json_i64(json_get(refund, "amount"), &units) ||
        !stripe_amount_read(units, json_str(json_get(refund, "currency")), &out->dispute.amount))
        return;
    out->dispute.id = arena_fmt(mem, "%.*s%s", STR_ARG(id), failed ? ".failed" : "");
    out->dispute.status = done ? STR("refunded") : STR("refund_failed");
    out->dispute.reason = stripe_is_id(reason) ? arena_dup(mem, str_first(reason, 32)) : STR("");
    out->dispute.state = done ? GW_DISPUTE_LOST : GW_DISPUTE_OPEN;
    if (!done)
        return;
    out->verdict = GW_REVERSED;
    out->receipt = arena_dup(mem, intent);
}

/* What its object says by itself, and of what kind that is. False: it is about nothing of ours. */
static bool object_read(const struct json *obj, bool refund, struct arena *mem,
                        struct gw_result *out, enum about *about)
{
    *about = refund ? ABOUT_REFUND : ABOUT_INTENT;
    if (refund) {
        stripe_refund_read(NULL, obj, mem, out);
    } else if (stripe_object_is(obj, "dispute")) {
        *about = ABOUT_DISPUTE;
        stripe_dispute_read(obj, mem, out);
        return json_kind(json_get(obj, "payment_intent")) == JSON_STR;
    } else if (stripe_object_is(obj, "refund")) {
        *about = ABOUT_TAKEN_BACK;
        if (!is_foreign_refund(obj))
            return false;
        taken_back_read(obj, mem, out);
        return json_kind(json_get(obj, "payment_intent")) == JSON_STR;
    } else if (stripe_object_is(obj, "payment_intent")) {
        stripe_intent_read(NULL, obj, mem, out);
    } else {
        stripe_session_read(NULL, obj, mem, out);
    }
    return out->our_id.n > 0;
}

static struct err event_parse(struct str body, bool refund, struct arena *mem,
                              struct gw_result *out)
{
    struct json *root;
    enum about about;
    *out = (struct gw_result){.verdict = GW_UNKNOWN};
    if (err_is(json_parse(body, &root, NULL)))
        return ERR(PARSE, "the webhook is no JSON");
    struct str type = json_str(json_get(root, "type"));
    bool failed = str_eq(type, STR("checkout.session.async_payment_failed"));
    bool ours = object_read(object_of(root), refund, mem, out, &about);
    agree(event_rule(type), about, out);
    json_free(root);
    if (!ours)
        return ERR(PARSE, refund ? "no event of a refund" : "no event of a payment");
    if (failed && out->verdict == GW_PENDING) { /* the object alone looks as before */
        out->verdict = GW_FAILED;
        out->code = FAILURE_DECLINED;
        out->sure = true;
        out->acted = false;
    }
    return ERR_OK;
}

struct err stripe_callback_parse(const struct gw_callback *in, struct arena *mem,
                                 struct gw_result *out)
{
    return event_parse(in->body, false, mem, out);
}

struct err stripe_refund_callback_parse(const struct gw_callback *in, struct arena *mem,
                                        struct gw_result *out)
{
    return event_parse(in->body, true, mem, out);
}
