/* Reversals, payouts and status queries of the simulated Daraja: what is refused, what is said,
 * what is remembered. Expectations are taken from providers/mpesa.md and the sandbox's README.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/base/times.h"
#include "core/codec/json.h"
#include "gateways/sandbox/daraja_refund_check.h"
#include "gateways/sandbox/daraja_result_body.h"
#include "gateways/sandbox/payback.h"
#include "gateways/sandbox/refund_outcome.h"

static struct json *parsed(struct str text)
{
    struct json *j = NULL;
    size_t where;
    if (err_is(json_parse(text, &j, &where)))
        fail_msg("no JSON: %.*s", STR_ARG(text));
    return j;
}

static void assert_str(struct str have, const char *want)
{
    if (!str_eq(have, str_c(want)))
        fail_msg("have %.*s\nwant %s", STR_ARG(have), want);
}

/* ---- what is refused ---- */

#define X43 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X342 X43 X43 X43 X43 X43 X43 X43 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define CREDENTIAL "\"" X342 "==\""
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define URL "\"https://pay.example.co.ke/cb/9f2c71\""

enum { MAX_FIELDS = 12 };

struct field {
    const char *name, *value;
};

struct operation {
    struct field fields[MAX_FIELDS];
};

static const struct operation reversal = {{
    {"Initiator", "\"testapi\""},
    {"SecurityCredential", CREDENTIAL},
    {"CommandID", "\"TransactionReversal\""},
    {"TransactionID", "\"TCE9K41XQ7\""},
    {"Amount", "1250"},
    {"ReceiverParty", "174379"},
    {"RecieverIdentifierType", "\"11\""},
    {"ResultURL", URL},
    {"QueueTimeOutURL", URL},
    {"Remarks", "\"Order 20931\""},
}};
static const struct operation payout = {{
    {"OriginatorConversationID", "\"01932f0a-7c11-7a2b-8000-00000000c0de\""},
    {"InitiatorName", "\"testapi\""},
    {"SecurityCredential", CREDENTIAL},
    {"CommandID", "\"BusinessPayment\""},
    {"Amount", "1250"},
    {"PartyA", "174379"},
    {"PartyB", "254711223344"},
    {"Remarks", "\"Order 20931\""},
    {"QueueTimeOutURL", URL},
    {"ResultURL", URL},
}};
static const struct operation status = {{
    {"Initiator", "\"testapi\""},
    {"SecurityCredential", CREDENTIAL},
    {"CommandID", "\"TransactionStatusQuery\""},
    {"OriginalConversationID", "\"8821-7710432-1\""},
    {"PartyA", "174379"},
    {"IdentifierType", "\"4\""},
    {"ResultURL", URL},
    {"QueueTimeOutURL", URL},
    {"Remarks", "\"?\""},
}};

/* The operation's body, in which `name` has another value, is missing (NULL) or is added. */
static struct json *with(const struct operation *op, const char *name, const char *value)
{
    struct buf b;
    bool first = true, found = false;
    buf_init(&b, 8192);
    for (size_t i = 0; i < MAX_FIELDS && op->fields[i].name != NULL; i++) {
        bool other = name != NULL && strcmp(name, op->fields[i].name) == 0;
        const char *v = other ? value : op->fields[i].value;
        found |= other;
        if (v == NULL)
            continue;
        buf_fmt(&b, "%c\"%s\":%s", first ? '{' : ',', op->fields[i].name, v);
        first = false;
    }
    if (name != NULL && !found)
        buf_fmt(&b, ",\"%s\":%s", name, value);
    buf_char(&b, '}');
    struct json *j = parsed(buf_view(&b));
    buf_free(&b);
    return j;
}

static struct daraja_fault checked(const struct operation *op, const struct json *body,
                                   struct daraja_order *out)
{
    return op == &reversal ? daraja_check_reversal(body, out)
           : op == &payout ? daraja_check_payout(body, true, out)
                           : daraja_check_status(body, out);
}

static void test_orders_are_taken(void **state)
{
    static const struct {
        const struct operation *op;
        const char *name, *value;
    } fine[] = {
        {&reversal, NULL, NULL},
        {&reversal, "Amount", "\"1\""},
        {&reversal, "ReceiverParty", "\"012345\""},
        {&reversal, "RecieverIdentifierType", "11"},
        {&reversal, "Remarks", "\"ok\""},
        {&reversal, "Remarks", "\"" HUNDRED "\""},
        {&reversal, "Occasion", "\"\""},
        {&reversal, "Occasion", "\"" HUNDRED "\""},
        {&payout, NULL, NULL},
        {&payout, "CommandID", "\"SalaryPayment\""},
        {&payout, "CommandID", "\"PromotionPayment\""},
        {&payout, "Amount", "1"}, /* too little, which the result tells */
        {&payout, "PartyB", "\"254111223344\""},
        {&payout, "Occassion", "\"x\""},
        {&payout, "Occasion", "\"x\""},
        {&status, NULL, NULL},
        {&status, "TransactionID", "\"TCE9K41XQ7\""},
        {&status, "TransactionID", "\"\""},
        {&status, "IdentifierType", "4"},
        {&status, "Remarks", "\"" HUNDRED "\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fine); i++) {
        struct daraja_order order;
        struct json *j = with(fine[i].op, fine[i].name, fine[i].value);
        struct daraja_fault f = checked(fine[i].op, j, &order);
        if (f.status != 0)
            fail_msg("case %zu: %s", i, f.message);
        json_free(j);
    }
}

static void test_orders_are_read(void **state)
{
    struct daraja_order o;
    (void)state;
    struct json *j = with(&reversal, NULL, NULL);
    (void)checked(&reversal, j, &o);
    assert_str(o.initiator, "testapi");
    assert_int_equal(o.credential.n, 344);
    assert_str(o.organisation, "174379");
    assert_str(o.transaction, "TCE9K41XQ7");
    assert_int_equal(o.amount, 1250);
    assert_int_equal(o.originator.n + o.phone.n, 0);
    json_free(j);
    j = with(&payout, "ResultURL", "\"http://127.0.0.1/a\"");
    (void)checked(&payout, j, &o);
    assert_str(o.originator, "01932f0a-7c11-7a2b-8000-00000000c0de");
    assert_str(o.phone, "254711223344");
    assert_str(o.result_url, "http://127.0.0.1/a");
    assert_str(o.timeout_url, "https://pay.example.co.ke/cb/9f2c71");
    /* version 1 knows no id of the caller's */
    assert_int_equal(daraja_check_payout(j, false, &o).status, 0);
    assert_int_equal(o.originator.n, 0);
    json_free(j);
    j = with(&status, NULL, NULL);
    (void)checked(&status, j, &o);
    assert_str(o.originator, "8821-7710432-1");
    assert_int_equal(o.amount, 0);
    json_free(j);
}

static void test_orders_are_refused(void **state)
{
    static const struct {
        const struct operation *op;
        const char *name, *value, *message;
    } cases[] = {
        {&reversal, "SecurityCredential", "\"eA==\"", "SecurityCredential"},
        {&reversal, "SecurityCredential", "\"" X342 "xx\"", "SecurityCredential"},
        {&reversal, "SecurityCredential", "\"" X342 "= \"", "SecurityCredential"},
        {&reversal, "CommandID", "\"Reversal\"", "CommandID"},
        {&reversal, "TransactionID", "\"tce9k41xq7\"", "TransactionID"},
        {&reversal, "TransactionID", "\"TCE9K41XQ\"", "TransactionID"},
        {&reversal, "Amount", "0", "Amount"},
        {&reversal, "Amount", "12.5", "Amount"},
        {&reversal, "Amount", "\"12.00\"", "Amount"},
        {&reversal, "Amount", "-5", "Amount"},
        {&reversal, "ReceiverParty", "\"1743\"", "ReceiverParty"},
        {&reversal, "RecieverIdentifierType", "\"4\"", "RecieverIdentifierType"},
        {&reversal, "RecieverIdentifierType", "true", "RecieverIdentifierType"},
        {&reversal, "ResultURL", "\"https://x.example/mpesa\"", "ResultURL"},
        {&reversal, "QueueTimeOutURL", "\"https://x.example/SQL\"", "QueueTimeOutURL"},
        {&reversal, "Remarks", "\"x\"", "Remarks"},
        {&reversal, "Remarks", "\"" HUNDRED "x\"", "Remarks"},
        {&reversal, "Occasion", "\"" HUNDRED "x\"", "Occasion"},
        {&reversal, "Occasion", "5", "Occasion"},
        {&payout, "OriginatorConversationID", "\"" TEN TEN TEN TEN "12345678\"",
         "OriginatorConversationID"},
        {&payout, "OriginatorConversationID", "\"a\\u0007\"", "OriginatorConversationID"},
        {&payout, "CommandID", "\"BusinessPayBill\"", "CommandID"},
        {&payout, "PartyB", "\"255711223344\"", "PartyB"},
        {&payout, "PartyB", "\"+254711223344\"", "PartyB"},
        {&payout, "Occassion", "\"" HUNDRED "x\"", "Occassion"},
        {&status, "OriginalConversationID", "\"\"", "TransactionID"},
        {&status, "OriginalConversationID", "\"" TEN TEN TEN TEN "12345678\"",
         "OriginalConversationID"},
        {&status, "TransactionID", "\"8821-77104\"", "TransactionID"},
        {&status, "CommandID", "\"TransactionStatus\"", "CommandID"},
        {&status, "IdentifierType", "\"11\"", "IdentifierType"},
        {&status, "Remarks", "\"\"", "Remarks"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct daraja_order order;
        char message[64];
        struct json *j = with(cases[i].op, cases[i].name, cases[i].value);
        struct daraja_fault f = checked(cases[i].op, j, &order);
        (void)snprintf(message, sizeof message, "Bad Request - Invalid %s", cases[i].message);
        if (f.status != 400 || strcmp(f.code, "400.002.02") != 0 || strcmp(f.message, message) != 0)
            fail_msg("case %zu: %d %s", i, f.status, f.message != NULL ? f.message : "taken");
        json_free(j);
    }
}

/* Each field is needed; the message names it. */
static void test_fields_are_needed(void **state)
{
    static const struct operation *const ops[] = {&reversal, &payout, &status};
    (void)state;
    for (size_t k = 0; k < COUNT_OF(ops); k++) {
        for (size_t i = 0; i < MAX_FIELDS && ops[k]->fields[i].name != NULL; i++) {
            struct daraja_order order;
            const char *name = ops[k]->fields[i].name;
            struct json *j = with(ops[k], name, NULL);
            struct daraja_fault f = checked(ops[k], j, &order);
            if (strcmp(name, "OriginalConversationID") == 0)
                name = "TransactionID";
            if (f.status != 400 || strstr(f.message, name) == NULL)
                fail_msg("without %s: %s", name, f.message != NULL ? f.message : "taken");
            json_free(j);
        }
    }
}

/* ---- outcomes ---- */

static void test_outcomes(void **state)
{
    (void)state;
    for (int64_t amount = 1; amount < 400; amount++) {
        const struct refund_outcome *o = refund_outcome_of(amount, STR(""));
        assert_int_equal(o->number, amount % 100 < 89 ? 0 : amount % 100);
    }
    for (int ending = 0; ending < 1000; ending++) {
        char phone[24];
        (void)snprintf(phone, sizeof phone, "254711223%03d", ending);
        bool chooses = ending >= 590 && ending <= 599;
        assert_int_equal(refund_outcome_of(1250, str_c(phone))->number, chooses ? ending - 500 : 0);
        assert_int_equal(refund_outcome_of(1291, str_c(phone))->number, 91);
    }
    int last = -1, n = 0;
    for (; refund_outcome_at((size_t)n) != NULL; n++) {
        assert_true(refund_outcome_at((size_t)n)->number > last);
        last = refund_outcome_at((size_t)n)->number;
    }
    assert_int_equal(n, 12);
}

/* ---- what is said ---- */

static const struct daraja_deed done = {.conversation = "AG_20250314_2010a17c55e0d9f3b821",
                                        .originator = "8821-7710432-1",
                                        .transaction = "TCE5P90LMN",
                                        .result = "0",
                                        .phone = "254711223344",
                                        .organisation = "174379",
                                        .receipt = "TCE9K41XQ7",
                                        .amount = 1250,
                                        .queued_us = INT64_C(1741936502) * US_PER_S,
                                        .settled_us = INT64_C(1741936541) * US_PER_S};

typedef void body_fn(struct buf *b, const struct daraja_deed *t, unsigned form);

static struct json *body_of(body_fn *print, const struct daraja_deed *t, unsigned form)
{
    struct buf b;
    buf_init(&b, 8192);
    print(&b, t, form);
    struct json *j = parsed(buf_view(&b));
    buf_free(&b);
    return j;
}

static const struct json *result_of(const struct json *j)
{
    const struct json *r = json_get(j, "Result");
    assert_int_equal(json_kind(r), JSON_OBJ);
    return r;
}

/* The Value under a Key, the parameters being a list or a single object; NULL: none. */
static const struct json *value_of(const struct json *result, const char *key)
{
    const struct json *p = json_path(result, "ResultParameters", "ResultParameter", NULL);
    if (json_kind(p) == JSON_OBJ)
        return str_eq(json_str(json_get(p, "Key")), str_c(key)) ? json_get(p, "Value") : NULL;
    for (size_t i = 0; i < json_n(p); i++)
        if (str_eq(json_str(json_get(json_at(p, i), "Key")), str_c(key)))
            return json_get(json_at(p, i), "Value");
    return NULL;
}

static void assert_value(const struct json *result, const char *key, const char *want)
{
    char number[JSON_NUMBER_TEXT];
    const struct json *v = value_of(result, key);
    assert_non_null(v);
    assert_str(json_kind(v) == JSON_STR ? json_str(v) : json_number_text(v, number), want);
}

static void test_acknowledgement(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 1024);
    daraja_body_ack(&b, "AG_1", "8821-1");
    assert_str(buf_view(&b), "{\"ConversationID\":\"AG_1\",\"OriginatorConversationID\":\"8821-1\","
                             "\"ResponseCode\":\"0\",\"ResponseDescription\":"
                             "\"Accept the service request successfully.\"}");
    buf_free(&b);
}

static void test_results(void **state)
{
    static body_fn *const prints[] = {daraja_body_reversal, daraja_body_payout};
    (void)state;
    for (size_t k = 0; k < COUNT_OF(prints); k++) {
        for (unsigned form = 0; form < RESULT_N_FORMS; form++) {
            struct json *j = body_of(prints[k], &done, form);
            const struct json *r = result_of(j);
            bool text = (form & RESULT_FORM_TEXT) != 0, single = (form & RESULT_FORM_SINGLE) != 0;
            const struct json *list = json_path(r, "ResultParameters", "ResultParameter", NULL);
            const struct json *items = json_path(r, "ReferenceData", "ReferenceItem", NULL);
            assert_int_equal(json_kind(json_get(r, "ResultCode")), text ? JSON_STR : JSON_INT);
            assert_int_equal(json_kind(list), single ? JSON_OBJ : JSON_ARR);
            assert_int_equal(json_kind(items), single ? JSON_OBJ : JSON_ARR);
            assert_str(json_str(json_get(r, "OriginatorConversationID")), "8821-7710432-1");
            assert_str(json_str(json_get(r, "ConversationID")), done.conversation);
            assert_str(json_str(json_get(r, "TransactionID")), "TCE5P90LMN");
            if (k == 0) {
                assert_value(r, "Amount", text ? "1250.00" : "1250");
            } else {
                assert_value(r, "TransactionAmount", "1250");
            }
            if (k == 0 && !single) {
                assert_value(r, "OriginalTransactionID", "TCE9K41XQ7");
                assert_value(r, "TransCompletedTime", "20250314101541");
            }
            if (k == 1 && !single) {
                assert_value(r, "TransactionReceipt", "TCE5P90LMN");
                assert_value(r, "ReceiverPartyPublicName", "254711223344 - WANJIKU N");
                assert_value(r, "TransactionCompletedDateTime", "14.03.2025 10:15:41");
            }
            json_free(j);
        }
    }
}

/* TransactionID is there all the same; parameters are absent or one that says nothing. */
static void test_failures(void **state)
{
    static body_fn *const prints[] = {daraja_body_reversal, daraja_body_payout,
                                      daraja_body_timeout};
    static const char *const codes[] = {"21", "R000002"};
    (void)state;
    for (size_t k = 0; k < COUNT_OF(prints); k++) {
        for (unsigned form = 0; form < 2 * RESULT_N_FORMS; form++) {
            struct daraja_deed failed = done;
            char number[JSON_NUMBER_TEXT];
            failed.result = codes[form / RESULT_N_FORMS];
            failed.transaction = "";
            struct json *j = body_of(prints[k], &failed, form % RESULT_N_FORMS);
            const struct json *r = result_of(j);
            assert_str(json_str(json_get(r, "TransactionID")), "SKE0000000");
            assert_str(json_number_text(json_get(r, "ResultCode"), number).n > 0
                           ? json_number_text(json_get(r, "ResultCode"), number)
                           : json_str(json_get(r, "ResultCode")),
                       failed.result);
            assert_null(value_of(r, "Amount"));
            assert_null(value_of(r, "TransactionAmount"));
            json_free(j);
        }
    }
}

static void test_status_results(void **state)
{
    static const struct daraja_deed question = {.conversation = "AG_q",
                                                .originator = "8821-q-1",
                                                .transaction = "",
                                                .result = "0",
                                                .organisation = "174379",
                                                .settled_us = 1};
    (void)state;
    for (unsigned form = 0; form < RESULT_N_FORMS; form++) {
        struct buf b;
        buf_init(&b, 8192);
        daraja_body_status(&b, &question, &done, "Completed", form);
        struct json *j = parsed(buf_view(&b));
        const struct json *r = result_of(j);
        assert_str(json_str(json_get(r, "OriginatorConversationID")), "8821-q-1");
        assert_str(json_str(json_get(r, "ConversationID")), "AG_q");
        assert_value(r, "OriginatorConversationID", "8821-7710432-1");
        assert_value(r, "ConversationID", done.conversation);
        assert_value(r, "TransactionStatus", "Completed");
        assert_value(r, "ReceiptNo", "TCE5P90LMN");
        assert_value(r, "Amount", "1250.0");
        assert_null(value_of(r, "TransactionReason")); /* a key without a value */
        assert_int_equal(value_of(r, "CreditPartyName") == NULL, (form & RESULT_FORM_SINGLE) != 0);
        json_free(j);
        buf_reset(&b);
        struct daraja_deed lost = question;
        lost.result = "25";
        daraja_body_status(&b, &lost, NULL, "", form);
        j = parsed(buf_view(&b));
        assert_null(value_of(result_of(j), "TransactionStatus"));
        json_free(j);
        buf_free(&b);
    }
}

/* ---- what is remembered ---- */

static void free_payback(struct payback *p)
{
    free(p);
}

static struct payback *add(struct payback_book *k, const char *who, const char *originator)
{
    struct payback *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->provider = "mpesa";
    p->kind = originator[0] == 'r' ? "reversal" : "b2c";
    p->outcome = "success";
    p->drop = free_payback;
    (void)str_copy_c(p->originator_id, sizeof p->originator_id, str_c(originator));
    (void)str_copy_c(p->organisation, sizeof p->organisation, str_c(who));
    payback_key(str_c(who), str_c(originator), p->key);
    assert_int_equal(payback_add(k, p).code, ERR_NONE);
    return p;
}

static struct json *printed(const struct payback_book *k, const struct payback_filter *f)
{
    struct buf b;
    struct jsonw w = jw_into(&b);
    buf_init(&b, 65536);
    payback_print(k, f, &w);
    struct json *j = parsed(buf_view(&b));
    buf_free(&b);
    return j;
}

static void test_paybacks(void **state)
{
    struct payback_book k = {0};
    char key[PAYBACK_KEY];
    (void)state;
    assert_int_equal(crypto_open().code, ERR_NONE);
    struct payback *r = add(&k, "174379", "r1"), *b = add(&k, "174379", "b1");
    struct payback *other = add(&k, "600997", "b1"); /* unique per organisation only */
    payback_key(STR("174379"), STR("b1"), key);
    assert_ptr_equal(payback_find(&k, key), b);
    payback_key(STR("600997"), STR("b1"), key);
    assert_ptr_equal(payback_find(&k, key), other);
    payback_key(STR("600997"), STR("r1"), key);
    assert_null(payback_find(&k, key));
    assert_ptr_equal(payback_at(&k, 1), r);
    assert_null(payback_at(&k, 0));
    assert_null(payback_at(&k, 4));
    (void)str_copy_c(r->transaction_id, sizeof r->transaction_id, STR("TCE5P90LMN"));
    payback_settle(&k, r, PAYBACK_PAID, 5);
    payback_settle(&k, b, PAYBACK_FAILED, 5);
    assert_ptr_equal(payback_find_transaction(&k, STR("TCE5P90LMN")), r);
    assert_null(payback_find_transaction(&k, STR("TCE5P90LMX")));
    assert_null(payback_find_transaction(&k, STR("")));
    struct payback_filter all = {.limit = 2};
    struct json *j = printed(&k, &all);
    int64_t n;
    bool more;
    assert_int_equal(json_n(json_get(j, "data")), 2);
    assert_true(json_bool(json_get(j, "has_more"), &more) && more);
    assert_true(json_i64(json_path(j, "counts", "pending", NULL), &n) && n == 1);
    assert_true(json_i64(json_path(j, "counts", "paid", NULL), &n) && n == 1);
    assert_true(json_i64(json_path(j, "counts", "failed", NULL), &n) && n == 1);
    json_free(j);
    const struct {
        struct payback_filter f;
        size_t n;
    } filters[] = {
        {{.kind = STR("b2c"), .limit = 9}, 2},
        {{.state = STR("paid"), .limit = 9}, 1},
        {{.originator_id = STR("b1"), .state = STR("pending"), .limit = 9}, 1},
        {{.after = 1, .limit = 9}, 2},
        {{.after = INT64_MAX, .limit = 9}, 0},
        {{.phone = STR("254711223344"), .limit = 9}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        j = printed(&k, &filters[i].f);
        assert_int_equal(json_n(json_get(j, "data")), filters[i].n);
        json_free(j);
    }
    payback_reset(&k);
    assert_null(payback_find(&k, key));
    assert_int_equal(k.n, 0);
    crypto_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_are_taken),
        cmocka_unit_test(test_orders_are_read),
        cmocka_unit_test(test_orders_are_refused),
        cmocka_unit_test(test_fields_are_needed),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_acknowledgement),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_status_results),
        cmocka_unit_test(test_paybacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
