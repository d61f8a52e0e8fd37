/* What Daraja says about money that goes out: the acknowledgement of a reversal, a payout or a
 * status query, and the "Result" that comes later. All of them name the request by its
 * OriginatorConversationID, ours or Daraja's, which is also what a status query asks by. Whatever
 * does not clearly say that money moved, or clearly that it did not, is unknown, since after a
 * failure a second rail opens, or the money is asked for again. */
#include "gateways/answer.h"
#include "gateways/mpesa.h"

/* Result codes of reversal and payout, and of the platform; also as ResponseCode. FAILURE_NONE:
 * documented, but the request may have been carried out, or was before. A code that is not here
 * says nothing. Source: mpesa.md 5.1, 5.6, 5.7 (official portal pages, one SDK; the nine-digit ones
 * have one source). Seen: sandbox no, live no. Final: yes, but where FAILURE_NONE. Retryable: 1, 4,
 * 26 and the throttled ones, later. */
static const struct result_rule {
    const char *code;
    enum failure_code failure;
} result_rules[] = {
    {"1", FAILURE_INSUFFICIENT_FUNDS}, /* ours, not the customer's */
    {"2", FAILURE_LIMIT_EXCEEDED},
    {"3", FAILURE_LIMIT_EXCEEDED},
    {"4", FAILURE_LIMIT_EXCEEDED},
    {"8", FAILURE_LIMIT_EXCEEDED}, /* the customer's account would hold too much */
    {"11", FAILURE_CONFIGURATION}, /* our account is not active */
    {"2006", FAILURE_CONFIGURATION},
    {"15", FAILURE_NONE}, /* duplicate originator id: submitted before */
    {"17", FAILURE_NONE}, /* internal failure */
    {"18", FAILURE_CONFIGURATION},
    {"19", FAILURE_NONE}, /* message sequencing */
    {"20", FAILURE_CONFIGURATION},
    {"21", FAILURE_CONFIGURATION}, /* the operator lacks the role */
    {"22", FAILURE_CONFIGURATION},
    {"24", FAILURE_CONFIGURATION},
    {"25", FAILURE_CONFIGURATION},
    {"26", FAILURE_PROVIDER_BUSY},
    {"29", FAILURE_CONFIGURATION},
    {"2001", FAILURE_CONFIGURATION}, /* the operator's password */
    {"2028", FAILURE_CONFIGURATION}, /* the short code may not do this */
    {"2040", FAILURE_DECLINED},      /* the receiver is not registered */
    {"8006", FAILURE_CONFIGURATION}, /* the operator is locked */
    {"SFC_IC0003", FAILURE_DECLINED},
    {"R000001", FAILURE_NONE}, /* reversed before, and perhaps by us */
    {"R000002", FAILURE_DECLINED},
    {"100000000", FAILURE_NONE}, /* cached for resend */
    {"100000001", FAILURE_NONE},
    {"100000002", FAILURE_PROVIDER_BUSY},
    {"100000004", FAILURE_NONE},
    {"100000005", FAILURE_CONFIGURATION},
    {"100000007", FAILURE_NONE},
    {"100000009", FAILURE_NONE},
    {"100000010", FAILURE_CONFIGURATION},
    {"100000011", FAILURE_PROVIDER_BUSY},
};

static const struct result_rule *result_rule(struct str code)
{
    for (size_t i = 0; i < COUNT_OF(result_rules); i++)
        if (str_eq(code, str_c(result_rules[i].code)))
            return &result_rules[i];
    return NULL;
}

enum failure_code mpesa_result_failure(struct str code)
{
    const struct result_rule *rule = result_rule(code);
    return rule != NULL ? rule->failure : FAILURE_NONE;
}

/* The operator's name, password or role was refused: asked again and again with it, he gets locked.
 * Source: mpesa.md 5.1, 5.7 and its list of traps, 12. Seen: sandbox no, live no. */
static bool refuses_operator(struct str code)
{
    static const char *const codes[] = {"18", "20", "21", "22", "2001", "8006"};
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (str_eq(code, str_c(codes[i])))
            return true;
    return false;
}

/* ---- acknowledgements ---- */

/* The id by which a request is known. */
static struct str request_id(struct arena *mem, const struct json *j)
{
    return mpesa_word(mem, json_str(json_get(j, "OriginatorConversationID")), GW_REF_MAX);
}

/* ResponseCode "0" with an id: queued, no more. Source: mpesa.md 4. Seen: sandbox no, live no. */
void mpesa_acknowledged(const struct json *root, struct arena *mem, struct gw_result *out)
{
    struct str code = mpesa_code(mem, json_get(root, "ResponseCode"));
    struct str ref = request_id(mem, root);
    const struct result_rule *rule = result_rule(code);
    out->provider_code = code;
    out->message = gw_words(mem, json_str(json_get(root, "ResponseDescription")), GW_MESSAGE_MAX);
    if (code.n == 0) {
        mpesa_unknown(out, "an answer without a response code");
    } else if (!str_eq(code, STR("0")) && rule == NULL) {
        mpesa_unknown(out, "a response code that nobody has documented");
    } else if (rule != NULL && rule->failure == FAILURE_NONE) {
        mpesa_unknown(out, "a response code that leaves the request open");
    } else if (rule != NULL) {
        out->verdict = GW_REFUSED;
        out->code = rule->failure;
        out->retry_later = out->code == FAILURE_PROVIDER_BUSY;
    } else if (ref.n == 0) {
        mpesa_unknown(out, "accepted without a usable OriginatorConversationID");
    } else {
        out->verdict = GW_ACCEPTED;
        out->provider_ref = ref;
    }
}

/* "Duplicate OriginatorConversationID.": the request was submitted before, whatever became of it.
 * Source: mpesa.md 1.2, 5.1. Seen: sandbox no, live no. Final: no. Retryable: never. */
static bool says_duplicate(const struct outbound_response *in, const struct json *root)
{
    return in->status == 409 ||
           str_icontains(json_str(json_get(root, "errorMessage")), STR("duplicate"));
}

static void order_parse(const struct outbound_response *answer, struct arena *mem,
                        struct gw_result *out)
{
    struct json *root = gw_order_json(answer, out);
    if (root == NULL)
        return;
    if (answer->status == 200) {
        mpesa_acknowledged(root, mem, out);
    } else {
        mpesa_order_envelope(answer, root, mem, out);
        if (says_duplicate(answer, root)) {
            out->code = FAILURE_NONE;
            out->retry_later = false;
            mpesa_unknown(out, "submitted before");
        }
    }
    json_free(root);
}

void mpesa_refund_parse(const struct gw_account *a, const struct gw_refund *in,
                        const struct outbound_response *answer, struct arena *mem,
                        struct gw_result *out)
{
    (void)a;
    (void)in;
    order_parse(answer, mem, out);
}

void mpesa_payout_parse(const struct gw_account *a, const struct gw_payout *in,
                        const struct outbound_response *answer, struct arena *mem,
                        struct gw_result *out)
{
    (void)a;
    (void)in;
    order_parse(answer, mem, out);
}

/* The answer itself is only an acknowledgement, with ids of its own: the result comes to the
 * callback URL. Source: mpesa.md 5.5. Seen: sandbox no, live no. */
void mpesa_status_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out)
{
    (void)a;
    struct json *root = mpesa_question_json(in, out);
    if (root == NULL)
        return;
    if (in->status != 200) {
        mpesa_question_envelope(root, mem, out);
        if (out->verdict == GW_UNKNOWN && str_icontains(out->message, STR("credential")))
            out->code = FAILURE_CONFIGURATION;
    } else {
        out->provider_code = mpesa_code(mem, json_get(root, "ResponseCode"));
        out->message =
            gw_words(mem, json_str(json_get(root, "ResponseDescription")), GW_MESSAGE_MAX);
        if (str_eq(out->provider_code, STR("0")))
            out->verdict = GW_PENDING;
        else
            mpesa_unknown(out, "the query was not taken");
        if (refuses_operator(out->provider_code))
            out->code = FAILURE_CONFIGURATION;
    }
    json_free(root);
}

/* ---- results ---- */

/* ResultParameter is a list, or a single object in the place of a list of one. Source: mpesa.md 4.
 * Seen: sandbox no, live no. */
static const struct json *parameter_at(const struct json *result, size_t i)
{
    const struct json *list = json_path(result, "ResultParameters", "ResultParameter", NULL);
    if (json_kind(list) == JSON_OBJ)
        return i == 0 ? list : NULL;
    return json_at(list, i);
}

static size_t parameters_n(const struct json *result)
{
    const struct json *list = json_path(result, "ResultParameters", "ResultParameter", NULL);
    return json_kind(list) == JSON_OBJ ? 1 : json_n(list);
}

/* The Value under a Key; NULL if there is none, an entry may come without one. Two of them set
 * *twice: which is meant, nobody knows. */
const struct json *mpesa_parameter(const struct json *result, const char *key, bool *twice)
{
    const struct json *found = NULL;
    for (size_t i = 0; i < parameters_n(result); i++) {
        const struct json *it = parameter_at(result, i);
        const struct json *value = json_get(it, "Value");
        if (value == NULL || !str_eq(json_str(json_get(it, "Key")), str_c(key)))
            continue;
        *twice |= found != NULL;
        found = value;
    }
    return found;
}

/* The receipt and, if it is told, the amount of money that has moved. TransactionID is there even
 * when nothing has moved, with a value like SKE0000000: no receipt. Source: mpesa.md 4. Seen:
 * sandbox no, live no. */
static void moved(const struct json *receipt, const struct json *amount, bool twice,
                  struct arena *mem, struct gw_result *out)
{
    char text[JSON_NUMBER_TEXT];
    struct money money = {0};
    struct str r = mpesa_receipt(mem, receipt);
    bool told = amount != NULL && json_kind(amount) != JSON_KIND_NULL;
    if (twice)
        mpesa_unknown(out, "a result that says something twice");
    else if (r.n == 0 || str_ends(r, STR("0000000")))
        mpesa_unknown(out, "a success without a receipt");
    else if (told && (err_is(money_parse(json_number_text(amount, text), CURRENCY('K', 'E', 'S'),
                                         &money)) ||
                      money.minor == 0))
        mpesa_unknown(out, "a success without a usable amount");
    else
        *out = (struct gw_result){.verdict = GW_SUCCEEDED,
                                  .provider_code = out->provider_code,
                                  .message = out->message,
                                  .provider_ref = out->provider_ref,
                                  .receipt = r,
                                  .amount = money};
}

/* A queue timeout has an URL of its own; one that comes to the wrong one all the same is no
 * failure. Source: mpesa.md 4. Seen: sandbox no, live no. */
static bool says_timeout(struct str words)
{
    static const char *const signs[] = {"queue", "timeout", "timed out", "time out", "expired"};
    for (size_t i = 0; i < COUNT_OF(signs); i++)
        if (str_icontains(words, str_c(signs[i])))
            return true;
    return false;
}

/* Of the order itself: TransactionID is the receipt of the reversal or payout. Source: mpesa.md
 * 5.1, 5.6. Seen: sandbox no, live no. Final: yes. */
static void result_direct(const struct json *result, struct arena *mem, struct gw_result *out)
{
    const struct result_rule *rule = result_rule(out->provider_code);
    bool twice = false;
    if (out->provider_ref.n == 0) {
        mpesa_unknown(out, "a result that names no request");
    } else if (str_eq(out->provider_code, STR("0"))) {
        const struct json *payout = mpesa_parameter(result, "TransactionAmount", &twice);
        const struct json *reversal = mpesa_parameter(result, "Amount", &twice);
        twice |= payout != NULL && reversal != NULL;
        moved(json_get(result, "TransactionID"), payout != NULL ? payout : reversal, twice, mem,
              out);
    } else if (rule == NULL) {
        mpesa_unknown(out, "a result code that nobody has documented");
    } else if (rule->failure == FAILURE_NONE ||
               says_timeout(json_str(json_get(result, "ResultDesc")))) {
        mpesa_unknown(out, "a result that leaves it open");
    } else {
        out->verdict = GW_FAILED;
        out->sure = true;
        out->code = rule->failure;
        out->retry_later = out->code == FAILURE_PROVIDER_BUSY;
    }
}

/* Of a status query: the outer ids and code are the question's, the order's are among the
 * parameters. "Completed" is the one status whose meaning is documented. Source: mpesa.md 5.5.
 * Seen: sandbox no, live no. Final: yes. */
static void result_status(const struct json *result, struct arena *mem, struct gw_result *out)
{
    bool twice = false;
    struct str status = json_str(mpesa_parameter(result, "TransactionStatus", &twice));
    const struct json *ref = mpesa_parameter(result, "OriginatorConversationID", &twice);
    const struct json *receipt = mpesa_parameter(result, "ReceiptNo", &twice);
    const struct json *amount = mpesa_parameter(result, "Amount", &twice);
    out->provider_ref = twice ? STR_NULL : mpesa_word(mem, json_str(ref), GW_REF_MAX);
    if (refuses_operator(out->provider_code))
        out->code = FAILURE_CONFIGURATION;
    if (!str_eq(out->provider_code, STR("0")))
        mpesa_unknown(out, "the query failed");
    else if (!str_ieq(status, STR("Completed")))
        mpesa_unknown(out, "a status that is no end");
    else if (!twice && out->provider_ref.n == 0)
        mpesa_unknown(out, "a status that names no request");
    else
        moved(receipt, amount, twice, mem, out);
}

/* Not processed in time is not "not processed": whatever code it carries, nothing is known. Source:
 * mpesa.md 4. Seen: sandbox no, live no. Final: no. */
static void result_of_kind(struct str kind, const struct json *result, struct arena *mem,
                           struct gw_result *out)
{
    if (kind.n == 0)
        result_direct(result, mem, out);
    else if (str_eq(kind, STR(MPESA_KIND_STATUS)))
        result_status(result, mem, out);
    else
        mpesa_unknown(out, "not processed in time");
}

struct err mpesa_result_parse(const struct gw_callback *in, struct arena *mem,
                              struct gw_result *out)
{
    struct json *root;
    *out = (struct gw_result){.verdict = GW_UNKNOWN};
    if (err_is(json_parse(in->body, &root, NULL)))
        return ERR(PARSE, "the callback is no JSON");
    const struct json *result = json_get(root, "Result");
    struct str conversation =
        mpesa_word(mem, json_str(json_get(result, "ConversationID")), GW_REF_MAX);
    if (conversation.n == 0 && json_str(json_get(result, "OriginatorConversationID")).n == 0) {
        json_free(root);
        return ERR(PARSE, "no result of a refund or payout");
    }
    out->provider_ref = request_id(mem, result);
    out->provider_code = mpesa_code(mem, json_get(result, "ResultCode"));
    out->message = gw_words(mem, json_str(json_get(result, "ResultDesc")), GW_MESSAGE_MAX);
    result_of_kind(in->kind, result, mem, out);
    json_free(root);
    return ERR_OK;
}
