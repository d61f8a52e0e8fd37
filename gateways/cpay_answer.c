/* What CPay's words mean: answers to creating and asking, and the payments, refunds and payouts
 * that stand in them and in webhooks. Three tables decide: errors, statuses, failure codes.
 * Whatever is in none of them is never taken for an end. Source of all of it: cpay.md, 3 to 6.
 * Seen: sandbox yes, live no. */
#include "gateways/answer.h"
#include "gateways/cpay.h"

#include "core/base/times.h"
#include "core/codec/jsonw.h"

enum { CODE_MAX = 32, ACTION_MAX = 4096, ACTION_URL_MAX = 2000 };

/* ---- the tables ---- */

enum error_kind {
    ERROR_REFUSED, /* definitely not taken */
    ERROR_BUSY,    /* not taken for lack of capacity */
    ERROR_OPEN,    /* this request did nothing, but one before it may have */
};

/* Retryable: 429, and idempotency_in_progress after a while; the rest is final. nonce_reused,
 * duplicate_reference and the idempotency_ ones say that this very request, or one under the same
 * id, was there before: what became of it has to be asked. */
static const struct error_rule {
    const char *code;
    enum error_kind kind;
    enum failure_code failure;
} error_rules[] = {
    {"invalid_request", ERROR_REFUSED, FAILURE_CONFIGURATION},
    {"unsupported_currency", ERROR_REFUSED, FAILURE_CONFIGURATION},
    {"amount_out_of_range", ERROR_REFUSED, FAILURE_AMOUNT_INVALID},
    {"invalid_msisdn", ERROR_REFUSED, FAILURE_DECLINED},
    {"signature_invalid", ERROR_REFUSED, FAILURE_CONFIGURATION},
    {"timestamp_out_of_range", ERROR_REFUSED, FAILURE_CONFIGURATION},
    {"unknown_key", ERROR_REFUSED, FAILURE_CONFIGURATION},
    {"nonce_reused", ERROR_OPEN, FAILURE_NONE},
    {"insufficient_funds", ERROR_REFUSED, FAILURE_INSUFFICIENT_FUNDS},
    {"declined", ERROR_REFUSED, FAILURE_DECLINED},
    {"limit_exceeded", ERROR_REFUSED, FAILURE_LIMIT_EXCEEDED},
    {"not_found", ERROR_REFUSED, FAILURE_CONFIGURATION},
    {"duplicate_reference", ERROR_OPEN, FAILURE_NONE},
    {"idempotency_conflict", ERROR_OPEN, FAILURE_NONE},
    {"idempotency_in_progress", ERROR_OPEN, FAILURE_NONE},
    {"invalid_state", ERROR_REFUSED, FAILURE_DECLINED},
    {"refund_exceeds_payment", ERROR_REFUSED, FAILURE_AMOUNT_INVALID},
    {"rate_limited", ERROR_BUSY, FAILURE_PROVIDER_BUSY},
};

enum { OF_PAYMENT = CPAY_PAYMENT, OF_PAYOUT = CPAY_PAYOUT, OF_ALL = 7 };

/* Statuses. What has been paid stays paid: a dispute or refund is another story. FAILED, CANCELLED
 * and EXPIRED never change back; a payout that is COMPLETED may yet come back. */
static const struct status_rule {
    const char *status;
    enum gw_verdict verdict;
    enum failure_code failure; /* FAILURE_NONE: `failure.code` says */
    unsigned of;               /* set of enum cpay_object: what may have it */
} status_rules[] = {
    {"pending", GW_PENDING, FAILURE_NONE, OF_ALL},
    {"processing", GW_PENDING, FAILURE_NONE, OF_PAYMENT},
    {"completed", GW_SUCCEEDED, FAILURE_NONE, OF_ALL},
    {"partially_refunded", GW_SUCCEEDED, FAILURE_NONE, OF_PAYMENT},
    {"refunded", GW_SUCCEEDED, FAILURE_NONE, OF_PAYMENT},
    {"disputed", GW_SUCCEEDED, FAILURE_NONE, OF_PAYMENT},
    {"returned", GW_REVERSED, FAILURE_NONE, OF_PAYOUT},
    {"failed", GW_FAILED, FAILURE_NONE, OF_ALL},
    {"cancelled", GW_FAILED, FAILURE_CANCELLED_BY_CUSTOMER, OF_PAYMENT},
    {"expired", GW_FAILED, FAILURE_CUSTOMER_TIMEOUT, OF_PAYMENT},
};

static const struct failure_rule {
    const char *code;
    enum failure_code failure;
} failure_rules[] = {
    {"insufficient_funds", FAILURE_INSUFFICIENT_FUNDS},
    {"payer_rejected", FAILURE_CANCELLED_BY_CUSTOMER},
    {"payer_timeout", FAILURE_CUSTOMER_TIMEOUT},
    {"payer_not_found", FAILURE_CUSTOMER_UNREACHABLE},
    {"limit_exceeded", FAILURE_LIMIT_EXCEEDED},
    {"declined", FAILURE_DECLINED},
    {"fraud_suspected", FAILURE_DECLINED},
    {"provider_error", FAILURE_PROVIDER_ERROR},
};

static const struct error_rule *error_rule(struct str code)
{
    for (size_t i = 0; i < COUNT_OF(error_rules); i++)
        if (str_eq(code, str_c(error_rules[i].code)))
            return &error_rules[i];
    return NULL;
}

static const struct status_rule *status_rule(struct str status)
{
    for (size_t i = 0; i < COUNT_OF(status_rules); i++)
        if (str_eq(status, str_c(status_rules[i].status)))
            return &status_rules[i];
    return NULL;
}

/* A code that nobody has documented is a failure all the same: the status says so. */
static enum failure_code failure_of(struct str code)
{
    for (size_t i = 0; i < COUNT_OF(failure_rules); i++)
        if (str_eq(code, str_c(failure_rules[i].code)))
            return failure_rules[i].failure;
    return FAILURE_PROVIDER_ERROR;
}

/* ---- reading hostile text ---- */

static struct str id_read(struct arena *mem, const struct json *j, const char *prefix)
{
    struct str s = json_str(j);
    return cpay_is_id(s) && str_starts(s, str_c(prefix)) ? arena_dup(mem, s) : STR_NULL;
}

/* A code is a word of the protocol; another thing is none. */
static struct str code_read(struct arena *mem, const struct json *j)
{
    struct str s = json_str(j);
    return cpay_is_id(s) && s.n <= CODE_MAX ? arena_dup(mem, s) : STR_NULL;
}

/* Integer minor units and a currency of ISO 4217. */
static bool amount_read(const struct json *obj, struct money *out)
{
    out->currency = currency_parse(json_str(json_get(obj, "currency")));
    return out->currency != 0 && json_i64(json_get(obj, "amount"), &out->minor) && out->minor > 0 &&
           out->minor <= MONEY_MAX;
}

static bool object_is(const struct json *obj, const char *name)
{
    return str_eq(json_str(json_get(obj, "object")), str_c(name));
}

/* ---- what the customer has to do ---- */

static bool is_web_address(struct str s)
{
    return s.n <= ACTION_URL_MAX && str_is_printable_ascii(s) && str_find(s, ' ', 0) == SIZE_MAX &&
           (str_starts(s, STR("https://")) || str_starts(s, STR("http://")));
}

/* In the words of our own API; "" if it asks for something that we don't know. */
static struct str action_read(const struct json *payment, struct arena *mem)
{
    const struct json *action = json_get(payment, "next_action");
    struct str type = json_str(json_get(action, "type")), url = json_str(json_get(action, "url"));
    int64_t until_us = 0;
    bool redirect = str_eq(type, STR("redirect")) && is_web_address(url);
    const char *word = redirect                                ? "redirect"
                       : str_eq(type, STR("confirm_on_phone")) ? "approve_on_phone"
                       : str_eq(type, STR("otp"))              ? "otp"
                                                               : NULL;
    if (word == NULL)
        return STR("");
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, ACTION_MAX);
    jw_open(&w);
    jw_c(&w, "type", word);
    if (redirect)
        jw_str(&w, "url", url);
    if (time_parse(json_str(json_get(payment, "expires_at")), &until_us))
        jw_time(&w, "expires_at", until_us);
    jw_close(&w);
    struct str copy = b.failed ? STR("") : arena_dup(mem, buf_view(&b));
    buf_free(&b);
    return copy;
}

/* ---- objects ---- */

static void failure_read(const struct json *obj, const struct status_rule *rule, struct arena *mem,
                         struct gw_result *out)
{
    const struct json *failure = json_get(obj, "failure");
    bool final = false;
    out->provider_code = code_read(mem, json_get(failure, "code"));
    out->message = gw_words(mem, json_str(json_get(failure, "message")), GW_MESSAGE_MAX);
    out->code = rule->failure != FAILURE_NONE ? rule->failure : failure_of(out->provider_code);
    /* A failure that is not called final is believed when the prompt's window is over. */
    out->sure =
        rule->failure != FAILURE_NONE || (json_bool(json_get(failure, "final"), &final) && final);
}

/* What all objects share. */
static void status_read(enum cpay_object kind, const struct json *obj, struct arena *mem,
                        struct gw_result *out)
{
    const struct status_rule *rule = status_rule(json_str(json_get(obj, "status")));
    struct money amount;
    if (rule == NULL || (rule->of & kind) == 0) {
        gw_unknown(out, "a status that nobody has documented");
        return;
    }
    out->verdict = rule->verdict;
    if (rule->verdict == GW_FAILED) {
        failure_read(obj, rule, mem, out);
    } else if (rule->verdict == GW_SUCCEEDED || rule->verdict == GW_REVERSED) {
        if (amount_read(obj, &amount))
            out->amount = amount;
        else
            gw_unknown(out, "a success without a usable amount");
    }
}

static void payment_read(const struct json *payment, struct arena *mem, struct gw_result *out)
{
    out->provider_ref = id_read(mem, json_get(payment, "id"), CPAY_PAYMENT_PREFIX);
    out->our_id = id_read(mem, json_get(payment, "reference"), "");
    if (!object_is(payment, "payment") || out->provider_ref.n == 0 || out->our_id.n == 0) {
        *out = (struct gw_result){0};
        gw_unknown(out, "no payment in the answer");
        return;
    }
    status_read(CPAY_PAYMENT, payment, mem, out);
    if (out->verdict == GW_SUCCEEDED)
        out->receipt = out->provider_ref;
    if (out->verdict == GW_PENDING)
        out->next_action = action_read(payment, mem);
    out->acted = out->verdict == GW_PENDING &&
                 str_eq(json_str(json_get(payment, "status")), STR("processing"));
}

/* Refunds and payouts are known by our reference: we have it before the provider has answered. */
static void money_read(enum cpay_object kind, const struct json *obj, struct arena *mem,
                       struct gw_result *out)
{
    bool refund = kind == CPAY_REFUND;
    struct str id =
        id_read(mem, json_get(obj, "id"), refund ? CPAY_REFUND_PREFIX : CPAY_PAYOUT_PREFIX);
    out->our_id = id_read(mem, json_get(obj, "reference"), "");
    out->provider_ref = out->our_id;
    if (!object_is(obj, refund ? "refund" : "payout") || id.n == 0 || out->our_id.n == 0) {
        *out = (struct gw_result){0};
        gw_unknown(out, refund ? "no refund in the answer" : "no payout in the answer");
        return;
    }
    status_read(kind, obj, mem, out);
    if (out->verdict == GW_SUCCEEDED || out->verdict == GW_REVERSED)
        out->receipt = id;
}

void cpay_object_read(enum cpay_object kind, const struct json *obj, struct arena *mem,
                      struct gw_result *out)
{
    if (kind == CPAY_PAYMENT)
        payment_read(obj, mem, out);
    else
        money_read(kind, obj, mem, out);
}

/* ---- answers ---- */

/* 5xx leaves it open: it may have been taken. So does whatever is no error of the protocol. */
static void order_error(const struct outbound_response *in, const struct json *root,
                        struct arena *mem, struct gw_result *out)
{
    const struct json *error = json_get(root, "error");
    struct str code = code_read(mem, json_get(error, "code"));
    const struct error_rule *rule = error_rule(code);
    bool theirs = in->status >= 400 && in->status <= 499 && code.n > 0;
    out->provider_code = code;
    out->message = gw_words(mem, json_str(json_get(error, "message")), GW_MESSAGE_MAX);
    if (!theirs || in->status == 408 || (rule == NULL && in->status == 409)) {
        gw_unknown(out, "an error that leaves the request open");
        return;
    }
    if (rule != NULL && rule->kind == ERROR_OPEN) {
        gw_unknown(out, "a request that was there before");
        return;
    }
    bool busy = in->status == 429 || (rule != NULL && rule->kind == ERROR_BUSY);
    out->verdict = GW_REFUSED;
    out->retry_later = busy;
    out->code = busy           ? FAILURE_PROVIDER_BUSY
                : rule != NULL ? rule->failure
                               : FAILURE_PROVIDER_ERROR;
}

static bool is_done(const struct outbound_response *in)
{
    return in->status == 200 || in->status == 201;
}

/* One that was created and has ended without money at once is refused; one that has been paid at
 * once is accepted, since a query or webhook brings the proof. */
void cpay_charge_parse(const struct gw_account *a, const struct outbound_response *in,
                       struct arena *mem, struct gw_result *out)
{
    struct json *root = gw_order_json(in, out);
    (void)a;
    if (root == NULL)
        return;
    if (!is_done(in)) {
        order_error(in, root, mem, out);
        json_free(root);
        return;
    }
    payment_read(root, mem, out);
    json_free(root);
    switch (out->verdict) {
    case GW_FAILED:
        out->verdict = out->sure ? GW_REFUSED : GW_ACCEPTED;
        out->code = out->sure ? out->code : FAILURE_NONE;
        out->sure = false;
        break;
    case GW_PENDING:
    case GW_SUCCEEDED:
        out->verdict = GW_ACCEPTED;
        out->receipt = STR_NULL;
        out->amount = (struct money){0};
        out->acted = false;
        break;
    default:
        break;
    }
}

/* The answer to a refund or payout; NULL if it is about none, or not about ours. */
static struct json *order_parse(enum cpay_object kind, const struct outbound_response *answer,
                                struct str our_id, struct arena *mem, struct gw_result *out)
{
    struct json *root = gw_order_json(answer, out);
    if (root != NULL && is_done(answer)) {
        money_read(kind, root, mem, out);
        if (out->verdict == GW_PENDING)
            out->verdict = GW_ACCEPTED;
        if (out->our_id.n > 0 && str_eq(out->our_id, our_id))
            return root;
        if (out->our_id.n > 0) {
            *out = (struct gw_result){0};
            gw_unknown(out, "an answer about another order");
        }
    } else if (root != NULL) {
        order_error(answer, root, mem, out);
    }
    json_free(root);
    return NULL;
}

void cpay_refund_parse(const struct gw_account *a, const struct gw_refund *in,
                       const struct outbound_response *answer, struct arena *mem,
                       struct gw_result *out)
{
    struct json *root = order_parse(CPAY_REFUND, answer, in->our_id, mem, out);
    (void)a;
    if (root == NULL)
        return;
    struct str payment = json_str(json_get(root, "payment"));
    bool other = !str_eq(payment, in->payment_ref) && !str_eq(payment, in->payment_receipt);
    json_free(root);
    if (other) {
        *out = (struct gw_result){0};
        gw_unknown(out, "a refund of another payment");
    }
}

/* One that has come back already was carried out before: what became of it has to be asked. */
void cpay_payout_parse(const struct gw_account *a, const struct gw_payout *in,
                       const struct outbound_response *answer, struct arena *mem,
                       struct gw_result *out)
{
    struct json *root = order_parse(CPAY_PAYOUT, answer, in->our_id, mem, out);
    bool back = root != NULL && out->verdict == GW_REVERSED;
    (void)a;
    json_free(root);
    if (!back)
        return;
    *out = (struct gw_result){.provider_ref = out->provider_ref, .our_id = out->our_id};
    gw_unknown(out, "a payout that was there before");
}

/* ---- questions ---- */

/* The answer to a question as an object: itself, or the only item of a list, which answers to a
 * reference. NULL if there is none: `out` then says what that means. */
static const struct json *found(const struct outbound_response *in, const struct json *root,
                                struct gw_result *out)
{
    const struct json *data = json_get(root, "data");
    if (in->status != 200) {
        /* Of an id that the provider itself has given out, "not found" says that something is
         * wrong (another account's key?), not that nobody has paid. */
        out->retry_later = in->status == 429;
        gw_unknown(out, "the query failed");
        return NULL;
    }
    if (!object_is(root, "list"))
        return root;
    if (json_kind(data) != JSON_ARR || json_n(data) > 1) {
        gw_unknown(out, "not a list of one");
        return NULL;
    }
    if (json_n(data) == 0)
        out->verdict = GW_NOT_FOUND;
    return json_at(data, 0);
}

static void question_parse(const struct outbound_response *in, enum cpay_object kind,
                           struct arena *mem, struct gw_result *out)
{
    struct json *root = gw_answer_json(in, out);
    out->retry_later = in->outcome == OUTBOUND_NOT_SENT;
    if (root == NULL)
        return;
    const struct json *obj = found(in, root, out);
    if (obj != NULL)
        cpay_object_read(kind, obj, mem, out);
    json_free(root);
}

void cpay_query_parse(const struct gw_account *a, const struct outbound_response *in,
                      struct arena *mem, struct gw_result *out)
{
    (void)a;
    question_parse(in, CPAY_PAYMENT, mem, out);
}

void cpay_refund_query_parse(const struct gw_account *a, const struct outbound_response *in,
                             struct arena *mem, struct gw_result *out)
{
    (void)a;
    question_parse(in, CPAY_REFUND, mem, out);
}

void cpay_payout_query_parse(const struct gw_account *a, const struct outbound_response *in,
                             struct arena *mem, struct gw_result *out)
{
    (void)a;
    question_parse(in, CPAY_PAYOUT, mem, out);
}

/* ---- what was done about a payment ---- */

/* An error that says "not done"; all others leave open how the payment stands. */
static void act_error(const struct outbound_response *in, const struct json *root,
                      struct arena *mem, struct gw_result *out)
{
    order_error(in, root, mem, out);
    if (out->verdict == GW_REFUSED && str_eq(out->provider_code, STR("invalid_state")))
        gw_unknown(out, "it has ended, or does not wait for this");
}

static struct json *act_json(const struct outbound_response *in, struct arena *mem,
                             struct gw_result *out)
{
    struct json *root = gw_order_json(in, out);
    if (root != NULL && in->status == 200)
        payment_read(root, mem, out);
    else if (root != NULL)
        act_error(in, root, mem, out);
    return root;
}

/* The code was right unless the answer says otherwise, or asks for a code once more. */
void cpay_confirm_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out)
{
    struct json *root = act_json(in, mem, out);
    (void)a;
    bool code = str_eq(json_str(json_path(root, "error", "field", NULL)), STR("code"));
    if (out->verdict == GW_REFUSED && code)
        out->code = FAILURE_WRONG_PIN;
    else if (out->verdict == GW_PENDING)
        out->acted = !gw_asks(out);
    json_free(root);
}

void cpay_cancel_parse(const struct gw_account *a, const struct outbound_response *in,
                       struct arena *mem, struct gw_result *out)
{
    (void)a;
    json_free(act_json(in, mem, out));
}

/* ---- the balance ---- */

static bool balance_read(const struct json *item, struct gw_balance *out)
{
    uint16_t currency = currency_parse(json_str(json_get(item, "currency")));
    *out = (struct gw_balance){
        .name = STR(""), .available.currency = currency, .pending.currency = currency};
    return currency != 0 && json_i64(json_get(item, "available"), &out->available.minor) &&
           json_i64(json_get(item, "pending"), &out->pending.minor) &&
           out->available.minor <= MONEY_MAX && out->available.minor >= -MONEY_MAX &&
           out->pending.minor <= MONEY_MAX && out->pending.minor >= -MONEY_MAX;
}

void cpay_balance_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out)
{
    struct json *root = gw_answer_json(in, out);
    struct gw_balances *list = ARENA_NEW(mem, struct gw_balances);
    const struct json *items = json_get(root, "balances");
    size_t n = json_n(items), read = 0;
    (void)a;
    if (root == NULL)
        return;
    if (in->status != 200 || json_kind(items) != JSON_ARR || list == NULL || n > GW_MAX_BALANCES) {
        gw_unknown(out, "no balance in the answer");
    } else {
        while (read < n && balance_read(json_at(items, read), &list->list[read]))
            read++;
        list->n = n;
        if (read < n)
            gw_unknown(out, "a balance that cannot be read");
        else
            out->verdict = GW_SUCCEEDED;
        out->balances = read == n ? list : NULL;
    }
    json_free(root);
}
