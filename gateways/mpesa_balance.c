/* What an organisation has at M-Pesa: an operator's question, whose answer comes to a callback URL.
 * Source: mpesa.md 4, 5.4. Seen: sandbox yes, live no. */
#include "gateways/answer.h"
#include "gateways/mpesa.h"

enum { COLUMNS = 6, NAME_BYTES = 64 };
enum {
    COLUMN_NAME,
    COLUMN_CURRENCY,
    COLUMN_CURRENT,
    COLUMN_AVAILABLE,
    COLUMN_RESERVED,
    COLUMN_UNCLEARED
};

struct err mpesa_balance_build(const struct gw_account *a, const struct gw_balance_ask *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    struct mpesa_operator o;
    struct str shortcode = gw_setting(a, "shortcode");
    struct str told = arena_fmt(mem, "%.*s." GW_BALANCE_KIND, STR_ARG(in->callback_url));
    struct str late = arena_fmt(mem, "%.*s." GW_BALANCE_KIND "late", STR_ARG(in->callback_url));
    if (told.p == NULL || late.p == NULL)
        return ERR(NO_MEMORY, "arena");
    if (!mpesa_is_shortcode(shortcode))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    if (!mpesa_url_ok(a, in->callback_url))
        return ERR(INVALID, "M-Pesa does not take this callback URL");
    TRY(mpesa_operator_read(a, mem, &o));
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "Initiator", o.name);
    jw_str(&w, "SecurityCredential", o.credential);
    jw_c(&w, "CommandID", "AccountBalance");
    mpesa_put_digits(&w, "PartyA", shortcode);
    jw_c(&w, "IdentifierType", "4");
    jw_c(&w, "Remarks", "Balance");
    jw_str(&w, "QueueTimeOutURL", late);
    jw_str(&w, "ResultURL", told);
    jw_close(&w);
    return mpesa_request(a, "/mpesa/accountbalance/v1/query", token, &body, mem, out);
}

/* ---- the line of accounts ---- */

/* "-1540.00": with a sign, unlike all other amounts. */
static bool amount_read(struct str text, uint16_t currency, struct money *out)
{
    bool below = str_starts(text, STR("-"));
    if (err_is(money_parse(below ? str_from(text, 1) : text, currency, out)))
        return false;
    out->minor = below ? -out->minor : out->minor;
    return true;
}

/* "Working Account|KES|346568.83|6186.83|340382.00|0.00" */
static bool account_read(struct str line, struct arena *mem, struct gw_balance *out)
{
    struct str columns[COLUMNS], text;
    size_t n = 0;
    while (n < COLUMNS && str_split(&line, '|', &text))
        columns[n++] = text;
    if (n != COLUMNS || line.n > 0 || columns[COLUMN_NAME].n == 0 ||
        columns[COLUMN_NAME].n > NAME_BYTES || !str_is_printable_ascii(columns[COLUMN_NAME]))
        return false;
    uint16_t currency = currency_parse(columns[COLUMN_CURRENCY]);
    out->name = arena_dup(mem, columns[COLUMN_NAME]);
    return currency != 0 && out->name.p != NULL &&
           amount_read(columns[COLUMN_AVAILABLE], currency, &out->available) &&
           amount_read(columns[COLUMN_UNCLEARED], currency, &out->pending);
}

/* All of them, or none is believed. */
static void accounts_read(struct str text, struct arena *mem, struct gw_result *out)
{
    struct gw_balances *list = ARENA_NEW(mem, struct gw_balances);
    struct str line;
    if (list == NULL) {
        mpesa_unknown(out, "no memory");
        return;
    }
    list->n = 0;
    while (text.n > 0 && str_split(&text, '&', &line)) {
        if (list->n == GW_MAX_BALANCES || !account_read(line, mem, &list->list[list->n])) {
            mpesa_unknown(out, "a balance that cannot be read");
            return;
        }
        list->n++;
    }
    if (list->n == 0) {
        mpesa_unknown(out, "no balance in the result");
        return;
    }
    out->verdict = GW_SUCCEEDED;
    out->balances = list;
}

/* ---- answers ---- */

void mpesa_balance_parse(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out)
{
    (void)a;
    struct json *root = mpesa_question_json(in, out);
    if (root == NULL)
        return;
    if (in->status == 200)
        mpesa_acknowledged(root, mem, out);
    else
        mpesa_question_envelope(root, mem, out);
    json_free(root);
}

struct err mpesa_balance_callback_parse(const struct gw_callback *in, struct arena *mem,
                                        struct gw_result *out)
{
    struct json *root;
    bool twice = false;
    *out = (struct gw_result){.verdict = GW_UNKNOWN};
    if (err_is(json_parse(in->body, &root, NULL)))
        return ERR(PARSE, "the callback is no JSON");
    const struct json *result = json_get(root, "Result");
    out->provider_ref =
        mpesa_word(mem, json_str(json_get(result, "OriginatorConversationID")), GW_REF_MAX);
    if (out->provider_ref.n == 0) {
        json_free(root);
        return ERR(PARSE, "no result of a question");
    }
    struct str code = out->provider_code = mpesa_code(mem, json_get(result, "ResultCode"));
    out->message = gw_words(mem, json_str(json_get(result, "ResultDesc")), GW_MESSAGE_MAX);
    struct str line = json_str(mpesa_parameter(result, "AccountBalance", &twice));
    if (!str_eq(in->kind, STR(GW_BALANCE_KIND))) {
        mpesa_unknown(out, "not processed in time");
    } else if (str_eq(code, STR("0")) && !twice) {
        accounts_read(line, mem, out);
    } else if (code.n == 0 || twice || mpesa_result_failure(code) == FAILURE_NONE) {
        mpesa_unknown(out, "a result that is not clear");
    } else {
        out->verdict = GW_FAILED;
        out->sure = true;
        out->code = mpesa_result_failure(code);
    }
    json_free(root);
    return ERR_OK;
}
