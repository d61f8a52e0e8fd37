/* What Stripe's words mean: answers to creating and asking, and the objects that stand in them and
 * in webhooks. Whatever is in none of the tables is never taken for an end. Source of all of it:
 * docs.stripe.com (errors, PaymentIntents, Checkout, refunds), version STRIPE_API_VERSION, read
 * 2026-11. Seen: sandbox yes, live no. */
#include "gateways/answer.h"
#include "gateways/stripe.h"

#include "core/base/times.h"
#include "core/codec/jsonw.h"

enum { CODE_MAX = 32, ACTION_MAX = 8192, ACTION_URL_MAX = 4000 };

/* ---- the tables ---- */

/* Codes of errors and, for card_declined, decline codes. */
static const struct code_rule {
    const char *code;
    enum failure_code failure;
} code_rules[] = {
    {"amount_too_small", FAILURE_AMOUNT_INVALID},
    {"amount_too_large", FAILURE_AMOUNT_INVALID},
    {"charge_already_refunded", FAILURE_AMOUNT_INVALID},
    {"balance_insufficient", FAILURE_INSUFFICIENT_FUNDS},
    {"charge_disputed", FAILURE_DECLINED},
    {"insufficient_funds", FAILURE_INSUFFICIENT_FUNDS},
    {"card_velocity_exceeded", FAILURE_LIMIT_EXCEEDED},
    {"withdrawal_count_limit_exceeded", FAILURE_LIMIT_EXCEEDED},
    {"processing_error", FAILURE_PROVIDER_ERROR},
    {"issuer_not_available", FAILURE_PROVIDER_ERROR},
    {"try_again_later", FAILURE_PROVIDER_ERROR},
    {"reenter_transaction", FAILURE_PROVIDER_ERROR},
    {"approve_with_id", FAILURE_PROVIDER_ERROR},
    {"rate_limit", FAILURE_PROVIDER_BUSY},
};

static enum failure_code failure_of(struct str code, enum failure_code otherwise)
{
    for (size_t i = 0; i < COUNT_OF(code_rules); i++)
        if (str_eq(code, str_c(code_rules[i].code)))
            return code_rules[i].failure;
    return otherwise;
}

/* Statuses of intents and refunds. "requires_payment_method" is what remains after a decline: at
 * Checkout the customer may try another card, so that it is no end; see declined_read. */
static const struct status_rule {
    const char *status;
    enum gw_verdict verdict;
} intent_rules[] =
    {
        {"requires_payment_method", GW_PENDING},
        {"requires_confirmation", GW_PENDING},
        {"requires_action", GW_PENDING},
        {"processing", GW_PENDING},
        {"requires_capture", GW_PENDING},
        {"succeeded", GW_SUCCEEDED},
        {"canceled", GW_FAILED},
},
  refund_rules[] = {
      {"pending", GW_PENDING}, {"requires_action", GW_PENDING}, {"succeeded", GW_SUCCEEDED},
      {"failed", GW_FAILED},   {"canceled", GW_FAILED},
};

static enum gw_verdict verdict_of(const struct status_rule *rules, size_t n, struct str status)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(status, str_c(rules[i].status)))
            return rules[i].verdict;
    return GW_UNKNOWN;
}

/* ---- reading hostile text ---- */

static struct str id_read(struct arena *mem, const struct json *j, const char *prefix)
{
    struct str s = json_str(j);
    return stripe_is_id(s) && str_starts(s, str_c(prefix)) ? arena_dup(mem, s) : STR_NULL;
}

/* An id, or the object of that id, which "expand" puts in its place. */
static struct str id_or_object(struct arena *mem, const struct json *j, const char *prefix)
{
    return id_read(mem, json_kind(j) == JSON_OBJ ? json_get(j, "id") : j, prefix);
}

static struct str our_id_read(struct arena *mem, const struct json *obj)
{
    struct str s = json_str(json_path(obj, "metadata", STRIPE_OUR_KEY, NULL));
    return stripe_is_id(s) && s.n <= 64 ? arena_dup(mem, s) : STR_NULL;
}

/* A code is a word; what is longer than any of them is cut. */
static struct str code_read(struct arena *mem, const struct json *j)
{
    struct str s = json_str(j);
    return stripe_is_id(s) ? arena_dup(mem, str_first(s, CODE_MAX)) : STR_NULL;
}

bool stripe_object_is(const struct json *obj, const char *name)
{
    return str_eq(json_str(json_get(obj, "object")), str_c(name));
}

static bool amount_read(const struct json *obj, const char *name, struct money *out)
{
    int64_t amount;
    return json_i64(json_get(obj, name), &amount) &&
           stripe_amount_read(amount, json_str(json_get(obj, "currency")), out);
}

bool stripe_is_live(const struct gw_account *a)
{
    struct str key = gw_setting(a, "api_key");
    return key.n > 3 && str_starts(str_from(key, 3), STR("live_"));
}

/* Money of the test mode is none in live mode, and the other way round. */
static bool other_mode(const struct gw_account *a, const struct json *obj)
{
    bool live = false, known = json_bool(json_get(obj, "livemode"), &live);
    struct str key = a != NULL ? gw_setting(a, "api_key") : STR_NULL;
    if (key.n == 0)
        return !known;
    return !known || live != stripe_is_live(a);
}

/* ---- errors ---- */

/* Whoever may be a thief reads the payment as well, and is told no more than "declined". Source:
 * stripe.md, 9. Seen: sandbox yes, live no. */
static bool hides(struct str decline_code)
{
    static const char *const codes[] = {
        "lost_card",       "stolen_card",        "pickup_card",        "fraudulent",
        "restricted_card", "merchant_blacklist", "security_violation", NULL};
    for (size_t i = 0; codes[i] != NULL; i++)
        if (str_eq(decline_code, str_c(codes[i])))
            return true;
    return false;
}

/* The code that says most: a decline's own, else the error's, else its type. */
static void error_read(const struct json *error, enum failure_code otherwise, struct arena *mem,
                       struct gw_result *out)
{
    static const char *const names[] = {"decline_code", "code", "type"};
    for (size_t i = 0; i < COUNT_OF(names) && out->provider_code.n == 0; i++)
        out->provider_code = code_read(mem, json_get(error, names[i]));
    out->message = gw_words(mem, json_str(json_get(error, "message")), GW_MESSAGE_MAX);
    out->code = failure_of(out->provider_code, otherwise);
    if (hides(out->provider_code)) {
        out->provider_code = STR("card_declined");
        out->message = STR("Your card was declined.");
    }
}

/* An order that was answered by no 200. 409 and idempotency_error say that one under the same key
 * was there before: what became of it has to be asked. 5xx and 424 leave it open. */
static void order_error(const struct outbound_response *in, const struct json *root,
                        struct arena *mem, struct gw_result *out)
{
    const struct json *error = json_get(root, "error");
    struct str type = json_str(json_get(error, "type"));
    bool known = str_eq(type, STR("card_error")) || str_eq(type, STR("invalid_request_error")) ||
                 str_eq(type, STR("authentication_error")) || str_eq(type, STR("rate_limit_error"));
    enum failure_code otherwise = in->status == 402 || str_eq(type, STR("card_error"))
                                      ? FAILURE_DECLINED
                                      : FAILURE_CONFIGURATION;
    bool answered = in->status == 400 || in->status == 401 || in->status == 402 ||
                    in->status == 403 || in->status == 404 || in->status == 429;
    error_read(error, otherwise, mem, out);
    if (!known || !answered) {
        out->code = FAILURE_NONE;
        gw_unknown(out, "an error that leaves the request open");
        return;
    }
    out->verdict = GW_REFUSED;
    if (in->status == 429) {
        out->retry_later = true;
        out->code = FAILURE_PROVIDER_BUSY;
    }
}

/* ---- objects ---- */

/* In the words of our own API; "" if there is nothing to do. */
static struct str action_make(struct str url, int64_t until_s, struct arena *mem)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    if (url.n > ACTION_URL_MAX || !str_is_printable_ascii(url) ||
        str_find(url, ' ', 0) != SIZE_MAX ||
        !(str_starts(url, STR("https://")) || str_starts(url, STR("http://"))))
        return STR("");
    buf_init(&b, ACTION_MAX);
    jw_open(&w);
    jw_c(&w, "type", "redirect");
    jw_str(&w, "url", url);
    if (until_s > 0 && until_s < TIME_NEVER / US_PER_S / 2)
        jw_time(&w, "expires_at", until_s * US_PER_S);
    jw_close(&w);
    struct str copy = b.failed ? STR("") : arena_dup(mem, buf_view(&b));
    buf_free(&b);
    return copy.p != NULL ? copy : STR("");
}

static struct str page_of(const struct json *session, struct arena *mem)
{
    int64_t until_s = 0;
    if (!json_i64(json_get(session, "expires_at"), &until_s))
        until_s = 0;
    return action_make(json_str(json_get(session, "url")), until_s, mem);
}

/* 3-D Secure: the bank's page. */
static struct str bank_of(const struct json *intent, struct arena *mem)
{
    const struct json *url = json_path(intent, "next_action", "redirect_to_url", "url", NULL);
    return action_make(json_str(url), 0, mem);
}

static void fail(struct gw_result *out, enum failure_code code)
{
    out->acted = false;
    out->verdict = GW_FAILED;
    out->code = code;
    out->sure = true;
}

/* Complete, and not paid: the money of a debit is under way, or has been refused for good. Only the
 * intent can tell, if it is there. */
static void unpaid_read(const struct json *session, struct arena *mem, struct gw_result *out)
{
    const struct json *intent = json_get(session, "payment_intent");
    const struct json *error = json_get(intent, "last_payment_error");
    struct str status = json_str(json_get(intent, "status"));
    out->verdict = GW_PENDING;
    out->acted = true;
    if (str_eq(status, STR("requires_payment_method")) && json_kind(error) == JSON_OBJ) {
        error_read(error, FAILURE_DECLINED, mem, out);
        fail(out, out->code);
    }
}

/* Of an expired one the last decline is worth knowing, though the end is that nobody has paid. */
static void expired_read(const struct json *session, struct arena *mem, struct gw_result *out)
{
    const struct json *error = json_path(session, "payment_intent", "last_payment_error", NULL);
    if (json_kind(error) == JSON_OBJ)
        error_read(error, FAILURE_DECLINED, mem, out);
    fail(out, FAILURE_CUSTOMER_TIMEOUT);
}

/* What was received is what the intent says, where it is there. */
static void paid_read(const struct json *session, struct arena *mem, struct gw_result *out)
{
    const struct json *intent = json_get(session, "payment_intent");
    struct str id = id_or_object(mem, intent, STRIPE_INTENT_PREFIX);
    bool expanded = json_kind(intent) == JSON_OBJ;
    bool there = expanded ? str_eq(json_str(json_get(intent, "status")), STR("succeeded")) &&
                                amount_read(intent, "amount_received", &out->amount)
                          : amount_read(session, "amount_total", &out->amount);
    if (id.n == 0 || !there) {
        gw_unknown(out, "a success without its proof");
        return;
    }
    out->verdict = GW_SUCCEEDED;
    out->receipt = id;
}

void stripe_session_read(const struct gw_account *a, const struct json *session, struct arena *mem,
                         struct gw_result *out)
{
    struct str status = json_str(json_get(session, "status"));
    struct str payment = json_str(json_get(session, "payment_status"));
    struct str ours = json_str(json_get(session, "client_reference_id"));
    out->provider_ref = id_read(mem, json_get(session, "id"), STRIPE_SESSION_PREFIX);
    out->our_id = our_id_read(mem, session);
    if (!stripe_object_is(session, "checkout.session") || out->provider_ref.n == 0 ||
        out->our_id.n == 0 || !str_eq(ours, out->our_id)) {
        *out = (struct gw_result){0};
        gw_unknown(out, "no Checkout object of ours in the answer");
        return;
    }
    bool unpaid = str_eq(payment, STR("unpaid"));
    if (other_mode(a, session)) {
        gw_unknown(out, "an object of the other mode");
    } else if (str_eq(status, STR("complete")) && str_eq(payment, STR("paid"))) {
        paid_read(session, mem, out);
    } else if (str_eq(status, STR("complete")) && unpaid) {
        unpaid_read(session, mem, out);
    } else if (str_eq(status, STR("expired")) && unpaid) {
        expired_read(session, mem, out);
    } else if (str_eq(status, STR("open")) && unpaid) {
        out->verdict = GW_PENDING;
        out->next_action = page_of(session, mem);
    } else {
        gw_unknown(out, "a status that nobody has documented");
    }
}

/* Confirmed with a token, and declined: nobody has the means to try it with another card. */
static void declined_read(const struct json *intent, struct arena *mem, struct gw_result *out)
{
    const struct json *error = json_get(intent, "last_payment_error");
    struct str status = json_str(json_get(intent, "status"));
    if (str_eq(status, STR("requires_action")))
        out->next_action = bank_of(intent, mem);
    out->acted = str_eq(status, STR("processing"));
    if (!str_eq(status, STR("requires_payment_method")) || json_kind(error) != JSON_OBJ)
        return;
    error_read(error, FAILURE_DECLINED, mem, out);
    fail(out, out->code);
}

/* One that Checkout owns has no provider_ref: what we have asked for is the owner. */
void stripe_intent_read(const struct gw_account *a, const struct json *intent, struct arena *mem,
                        struct gw_result *out)
{
    struct str id = id_read(mem, json_get(intent, "id"), STRIPE_INTENT_PREFIX);
    enum gw_verdict verdict =
        verdict_of(intent_rules, COUNT_OF(intent_rules), json_str(json_get(intent, "status")));
    struct str by = json_str(json_path(intent, "metadata", STRIPE_BY_KEY, NULL));
    bool direct = str_eq(by, STR("token")), known = direct || str_eq(by, STR("page"));
    out->our_id = our_id_read(mem, intent);
    if (!stripe_object_is(intent, "payment_intent") || id.n == 0 || out->our_id.n == 0 || !known) {
        *out = (struct gw_result){0};
        gw_unknown(out, "no PaymentIntent of ours in the answer");
        return;
    }
    if (direct)
        out->provider_ref = id;
    out->verdict = verdict;
    if (verdict == GW_UNKNOWN || other_mode(a, intent)) {
        gw_unknown(out, "a status that nobody has documented, or of the other mode");
    } else if (verdict == GW_FAILED) {
        struct str reason = json_str(json_get(intent, "cancellation_reason"));
        bool late = str_eq(reason, STR("expired")) || str_eq(reason, STR("automatic"));
        out->provider_code = code_read(mem, json_get(intent, "cancellation_reason"));
        fail(out, late ? FAILURE_CUSTOMER_TIMEOUT : FAILURE_CANCELLED_BY_CUSTOMER);
    } else if (verdict == GW_SUCCEEDED) {
        if (amount_read(intent, "amount_received", &out->amount))
            out->receipt = id;
        else
            gw_unknown(out, "a success without a usable amount");
    } else if (direct) {
        declined_read(intent, mem, out);
    }
}

/* A refund is known by our id: we have it before Stripe has answered. */
void stripe_refund_read(const struct gw_account *a, const struct json *refund, struct arena *mem,
                        struct gw_result *out)
{
    struct str id = id_read(mem, json_get(refund, "id"), "");
    (void)a; /* refunds have no livemode; their payment had */
    out->our_id = our_id_read(mem, refund);
    out->provider_ref = out->our_id;
    if (!stripe_object_is(refund, "refund") || id.n == 0 || out->our_id.n == 0) {
        *out = (struct gw_result){0};
        gw_unknown(out, "no refund of ours in the answer");
        return;
    }
    out->verdict =
        verdict_of(refund_rules, COUNT_OF(refund_rules), json_str(json_get(refund, "status")));
    switch (out->verdict) {
    case GW_UNKNOWN:
        gw_unknown(out, "a status that nobody has documented");
        break;
    case GW_FAILED:
        out->provider_code = code_read(mem, json_get(refund, "failure_reason"));
        fail(out, failure_of(out->provider_code, FAILURE_DECLINED));
        break;
    case GW_SUCCEEDED:
        if (amount_read(refund, "amount", &out->amount))
            out->receipt = id;
        else
            gw_unknown(out, "a success without a usable amount");
        break;
    default:
        break;
    }
}

/* Inquiries ("warning_…") move no money unless they become disputes. */
static const struct dispute_rule {
    const char *status;
    enum gw_dispute_state state;
} dispute_rules[] = {
    {"warning_needs_response", GW_DISPUTE_OPEN},
    {"warning_under_review", GW_DISPUTE_OPEN},
    {"warning_closed", GW_DISPUTE_WON},
    {"needs_response", GW_DISPUTE_OPEN},
    {"under_review", GW_DISPUTE_OPEN},
    {"appeal_needs_response", GW_DISPUTE_OPEN},
    {"appeal_under_review", GW_DISPUTE_OPEN},
    {"prevented", GW_DISPUTE_WON},
    {"won", GW_DISPUTE_WON},
    {"lost", GW_DISPUTE_LOST},
};

static const struct dispute_rule *dispute_rule(struct str status)
{
    for (size_t i = 0; i < COUNT_OF(dispute_rules); i++)
        if (str_eq(status, str_c(dispute_rules[i].status)))
            return &dispute_rules[i];
    return NULL;
}

/* Stripe holds the money back from the moment it opens (funds_withdrawn), and gives it back if it
 * is won: only a lost one is an end. Source: stripe.md, 8. Seen: sandbox yes, live no. */
void stripe_dispute_read(const struct json *dispute, struct arena *mem, struct gw_result *out)
{
    const struct dispute_rule *rule = dispute_rule(json_str(json_get(dispute, "status")));
    struct gw_dispute d = {.id = id_read(mem, json_get(dispute, "id"), STRIPE_DISPUTE_PREFIX),
                           .status = code_read(mem, json_get(dispute, "status")),
                           .reason = code_read(mem, json_get(dispute, "reason"))};
    struct str intent =
        id_or_object(mem, json_get(dispute, "payment_intent"), STRIPE_INTENT_PREFIX);
    int64_t due_s = 0;
    if (!stripe_object_is(dispute, "dispute") || d.id.n == 0 || intent.n == 0 || rule == NULL ||
        other_mode(NULL, dispute) || !amount_read(dispute, "amount", &d.amount)) {
        gw_unknown(out, "no dispute that anybody has documented");
        return;
    }
    if (json_i64(json_path(dispute, "evidence_details", "due_by", NULL), &due_s) && due_s > 0 &&
        due_s < TIME_NEVER / US_PER_S / 2)
        d.due_us = due_s * US_PER_S;
    d.state = rule->state;
    out->dispute = d;
    out->verdict = d.state == GW_DISPUTE_LOST ? GW_REVERSED : GW_PENDING;
    if (d.state == GW_DISPUTE_LOST)
        out->receipt = intent;
}

/* ---- answers ---- */

/* One that is answered a second time may have been paid or have expired meanwhile: a query or
 * webhook brings the proof. */
void stripe_charge_parse(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out)
{
    struct json *root = gw_order_json(in, out);
    if (root == NULL)
        return;
    if (in->status == 200 && stripe_object_is(root, "payment_intent"))
        stripe_intent_read(a, root, mem, out);
    else if (in->status == 200)
        stripe_session_read(a, root, mem, out);
    else
        order_error(in, root, mem, out);
    json_free(root);
    if (in->status != 200 || out->verdict == GW_UNKNOWN)
        return;
    *out = (struct gw_result){.verdict = GW_ACCEPTED,
                              .provider_ref = out->provider_ref,
                              .our_id = out->our_id,
                              .next_action = out->next_action};
}

/* 400: it has ended, one way or the other, or is being paid; that has to be asked. A page that has
 * just been ended by us looks as if its time had come. */
void stripe_cancel_parse(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out)
{
    struct json *root = gw_order_json(in, out);
    if (root == NULL)
        return;
    if (in->status != 200)
        order_error(in, root, mem, out);
    else if (stripe_object_is(root, "payment_intent"))
        stripe_intent_read(a, root, mem, out);
    else
        stripe_session_read(a, root, mem, out);
    json_free(root);
    if (in->status == 400) {
        out->code = FAILURE_NONE;
        gw_unknown(out, "it has ended, or is being paid");
    } else if (out->verdict == GW_FAILED && out->code == FAILURE_CUSTOMER_TIMEOUT) {
        out->code = FAILURE_CANCELLED_BY_CUSTOMER;
    }
}

void stripe_refund_parse(const struct gw_account *a, const struct gw_refund *in,
                         const struct outbound_response *answer, struct arena *mem,
                         struct gw_result *out)
{
    struct json *root = gw_order_json(answer, out);
    if (root == NULL)
        return;
    if (answer->status != 200) {
        order_error(answer, root, mem, out);
        json_free(root);
        return;
    }
    stripe_refund_read(a, root, mem, out);
    struct str intent = id_or_object(mem, json_get(root, "payment_intent"), STRIPE_INTENT_PREFIX);
    bool other = !str_eq(intent, in->payment_receipt) && !str_eq(intent, in->payment_ref);
    json_free(root);
    if (out->verdict == GW_PENDING)
        out->verdict = GW_ACCEPTED;
    if (out->our_id.n > 0 && (other || intent.n == 0 || !str_eq(out->our_id, in->our_id))) {
        *out = (struct gw_result){0};
        gw_unknown(out, "an answer about another refund");
    }
}

/* ---- questions ---- */

static bool is_ours(const struct json *obj, struct str our_id)
{
    return our_id.n > 0 &&
           str_eq(json_str(json_path(obj, "metadata", STRIPE_OUR_KEY, NULL)), our_id);
}

/* Whether it is an object of another's making, or of ours with an id: what cannot be read might be
 * the one that is looked for. */
static bool is_readable(const struct json *obj)
{
    const struct json *metadata = json_get(obj, "metadata");
    enum json_kind kind = json_kind(json_get(metadata, STRIPE_OUR_KEY));
    return json_str(json_get(obj, "object")).n > 0 &&
           (json_kind(metadata) == JSON_OBJ || json_kind(metadata) == JSON_ABSENT) &&
           (kind == JSON_STR || kind == JSON_ABSENT);
}

/* The one of a list that carries our id. NULL if there is none: `out` then says what that means. */
static const struct json *find(const struct json *list, struct str our_id, struct gw_result *out)
{
    const struct json *data = json_get(list, "data"), *found = NULL;
    bool more = false;
    if (our_id.n == 0 || json_kind(data) != JSON_ARR ||
        !json_bool(json_get(list, "has_more"), &more)) {
        gw_unknown(out, "not a list that was asked for");
        return NULL;
    }
    for (size_t i = 0; i < json_n(data); i++) {
        const struct json *obj = json_at(data, i);
        if (!is_readable(obj)) {
            gw_unknown(out, "something in the list that cannot be read");
            return NULL;
        }
        if (is_ours(obj, our_id) && found != NULL) {
            gw_unknown(out, "two of one id");
            return NULL;
        }
        if (is_ours(obj, our_id))
            found = obj;
    }
    if (found == NULL && more)
        gw_unknown(out, "the list is longer than what it shows");
    else if (found == NULL)
        out->verdict = GW_NOT_FOUND;
    return found;
}

static void question_parse(const struct gw_account *a, const struct outbound_response *in,
                           bool refund, struct arena *mem, struct gw_result *out)
{
    struct json *root = gw_answer_json(in, out);
    out->retry_later = in->outcome == OUTBOUND_NOT_SENT;
    if (root == NULL)
        return;
    const struct json *obj = root;
    if (in->status != 200) {
        /* Of an id that Stripe itself has given out, "no such" says that something is wrong
         * (another account's key?), not that nobody has paid. */
        out->retry_later = in->status == 429;
        gw_unknown(out, "the query failed");
        obj = NULL;
    } else if (stripe_object_is(root, "list")) {
        obj = find(root, gw_our_id_of(in->asked), out);
    }
    if (obj != NULL && refund) {
        stripe_refund_read(a, obj, mem, out);
    } else if (obj != NULL && stripe_object_is(obj, "payment_intent")) {
        stripe_intent_read(a, obj, mem, out);
        if (out->our_id.n > 0)
            out->provider_ref = id_read(mem, json_get(obj, "id"), STRIPE_INTENT_PREFIX);
    } else if (obj != NULL) {
        stripe_session_read(a, obj, mem, out);
    }
    json_free(root);
}

void stripe_query_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out)
{
    question_parse(a, in, false, mem, out);
}

void stripe_refund_query_parse(const struct gw_account *a, const struct outbound_response *in,
                               struct arena *mem, struct gw_result *out)
{
    question_parse(a, in, true, mem, out);
}

/* ---- the balance ---- */

/* Below zero after refunds and disputes. */
static bool balance_amount(const struct json *item, struct money *out)
{
    int64_t units;
    struct str currency = json_str(json_get(item, "currency"));
    if (!json_i64(json_get(item, "amount"), &units) || units == INT64_MIN ||
        !stripe_amount_read(units == 0  ? STRIPE_ANY_UNITS
                            : units < 0 ? -units
                                        : units,
                            currency, out))
        return false;
    out->minor = units == 0 ? 0 : units < 0 ? -out->minor : out->minor;
    return true;
}

/* One for each currency, in which `available` and `pending` are two lists. */
static struct gw_balance *balance_of(struct gw_balances *list, uint16_t currency)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->list[i].available.currency == currency)
            return &list->list[i];
    if (list->n == GW_MAX_BALANCES)
        return NULL;
    list->list[list->n] = (struct gw_balance){
        .name = STR(""), .available.currency = currency, .pending.currency = currency};
    return &list->list[list->n++];
}

static bool balances_read(const struct json *items, bool pending, struct gw_balances *list)
{
    bool seen[GW_MAX_BALANCES] = {false};
    for (size_t i = 0; i < json_n(items); i++) {
        struct money m;
        struct gw_balance *b =
            balance_amount(json_at(items, i), &m) ? balance_of(list, m.currency) : NULL;
        if (b == NULL || seen[b - list->list])
            return false;
        seen[b - list->list] = true;
        *(pending ? &b->pending : &b->available) = m;
    }
    return json_kind(items) == JSON_ARR;
}

/* Source: docs.stripe.com, Balance, read 2026-11. Seen: sandbox yes, live no. */
void stripe_balance_parse(const struct gw_account *a, const struct outbound_response *in,
                          struct arena *mem, struct gw_result *out)
{
    struct json *root = gw_answer_json(in, out);
    struct gw_balances *list = ARENA_NEW(mem, struct gw_balances);
    if (root == NULL)
        return;
    if (list != NULL)
        list->n = 0;
    if (in->status != 200 || list == NULL || !stripe_object_is(root, "balance") ||
        other_mode(a, root) || !balances_read(json_get(root, "available"), false, list) ||
        !balances_read(json_get(root, "pending"), true, list)) {
        gw_unknown(out, "no balance in the answer");
    } else {
        out->verdict = GW_SUCCEEDED;
        out->balances = list;
    }
    json_free(root);
}
