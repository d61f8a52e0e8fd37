/* Reversals, payouts and status queries over real HTTP: every ending of README.md is played from
 * the request to the answer of the last status query, and the books must tell the truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "core/crypto/rsa.h"
#include "test/gateways/sandbox_case.h"

#define CHARGE 1000
#define PHONE "254711223000"
#define PASSWORD "sandbox_initiator_password"

/* ---- requests ---- */

static struct arena mem;

static void sealed(const char *password, char out[512])
{
    struct answer a;
    struct str bytes;
    ask(&a, "GET", "/mpesa/_certificate", NULL, NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_int_equal(rsa_seal(&mem, str_c(a.body), str_c(password), &bytes).code, ERR_NONE);
    (void)str_copy_c(out, 512, base64_text(&mem, bytes));
}

struct order {
    const char *path, *initiator, *password, *organisation;
    char id[64]; /* receipt or originator's id */
    int amount;
};

static struct order reversal_of(const char *receipt, int amount)
{
    struct order o = {
        "/mpesa/mpesa/reversal/v1/request", "testapi", PASSWORD, "174379", "", amount};
    (void)str_copy_c(o.id, sizeof o.id, str_c(receipt));
    return o;
}

static struct order payout_of(const char *our_id, int amount)
{
    struct order o = {
        "/mpesa/mpesa/b2c/v3/paymentrequest", "testapi", PASSWORD, "174379", "", amount};
    (void)str_copy_c(o.id, sizeof o.id, str_c(our_id));
    return o;
}

static bool is_payout(const struct order *o)
{
    return strstr(o->path, "b2c") != NULL;
}

static void send_order(struct answer *a, const struct order *o)
{
    char body[2048], bearer[128], credential[512], urls[256];
    sealed(o->password, credential);
    (void)snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", w.token);
    (void)snprintf(urls, sizeof urls,
                   "\"Remarks\":\"Order 1\",\"QueueTimeOutURL\":\"http://127.0.0.1:%d/cb/late\","
                   "\"ResultURL\":\"http://127.0.0.1:%d/cb/result\"",
                   http_server_port(w.shop), http_server_port(w.shop));
    if (is_payout(o))
        (void)snprintf(body, sizeof body,
                       "{\"OriginatorConversationID\":\"%s\",\"InitiatorName\":\"%s\","
                       "\"SecurityCredential\":\"%s\",\"CommandID\":\"BusinessPayment\","
                       "\"Amount\":%d,\"PartyA\":%s,\"PartyB\":" PHONE ",%s}",
                       o->id, o->initiator, credential, o->amount, o->organisation, urls);
    else
        (void)snprintf(body, sizeof body,
                       "{\"Initiator\":\"%s\",\"SecurityCredential\":\"%s\","
                       "\"CommandID\":\"TransactionReversal\",\"TransactionID\":\"%s\","
                       "\"Amount\":%d,\"ReceiverParty\":%s,\"RecieverIdentifierType\":\"11\",%s}",
                       o->initiator, credential, o->id, o->amount, o->organisation, urls);
    ask(a, "POST", o->path, bearer, JSON_TYPE, body);
    w.push_answered = true;
}

/* Asks by `name`, TransactionID or OriginalConversationID. */
static void send_status(struct answer *a, const char *name, const char *id)
{
    char body[2048], bearer[128], credential[512];
    sealed(PASSWORD, credential);
    (void)snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", w.token);
    (void)snprintf(body, sizeof body,
                   "{\"Initiator\":\"testapi\",\"SecurityCredential\":\"%s\","
                   "\"CommandID\":\"TransactionStatusQuery\",\"%s\":\"%s\",\"PartyA\":174379,"
                   "\"IdentifierType\":\"4\",\"Remarks\":\"?\","
                   "\"QueueTimeOutURL\":\"http://127.0.0.1:%d/cb/late\","
                   "\"ResultURL\":\"http://127.0.0.1:%d/cb/status\"}",
                   credential, name, id, http_server_port(w.shop), http_server_port(w.shop));
    ask(a, "POST", "/mpesa/mpesa/transactionstatus/v1/query", bearer, JSON_TYPE, body);
}

/* ---- what the sandbox knows ---- */

static int64_t number_of(const struct json *j, const char *name)
{
    int64_t n = -1;
    assert_true(json_i64(json_get(j, name), &n));
    return n;
}

/* A charge that was paid; its callback is forgotten. */
static void paid_charge(char receipt[32])
{
    struct answer a;
    push_of(&a, PHONE, CHARGE);
    assert_int_equal(a.status, 200);
    for (receipt[0] = 0; receipt[0] == 0 || w.n_callbacks == 0;) {
        struct json *j = get("/_sandbox/charges");
        copy_text(json_at(json_get(j, "data"), 0), "receipt", receipt, 32);
        json_free(j);
    }
    w.n_callbacks = 0;
    w.push_answered = w.callback_was_first = false;
}

struct truth {
    int64_t n, results_sent;
    char state[16], code[16], originator[64], conversation[64], transaction[32], receipt[32];
};

static struct truth truth_of(void)
{
    struct truth t = {0};
    struct json *j = get("/_sandbox/refunds");
    t.n = number_of(j, "total");
    if (t.n > 0) {
        const struct json *last = json_at(json_get(j, "data"), (size_t)t.n - 1);
        copy_text(last, "state", t.state, sizeof t.state);
        copy_text(last, "result_code", t.code, sizeof t.code);
        copy_text(last, "originator_id", t.originator, sizeof t.originator);
        copy_text(last, "conversation_id", t.conversation, sizeof t.conversation);
        copy_text(last, "transaction_id", t.transaction, sizeof t.transaction);
        copy_text(last, "receipt", t.receipt, sizeof t.receipt);
        t.results_sent = number_of(last, "results_sent");
    }
    json_free(j);
    return t;
}

/* Waits until the last refund is in `state` and `n` callbacks have come. */
static struct truth wait_refund(const char *state, int n)
{
    struct truth t = truth_of();
    for (int tries = 0; strcmp(t.state, state) != 0 || w.n_callbacks < n; tries++) {
        assert_true(tries < 10000);
        t = truth_of();
    }
    assert_int_equal(w.n_callbacks, n);
    return t;
}

static int64_t reversed(void)
{
    struct json *j = get("/_sandbox/charges");
    int64_t n = number_of(json_at(json_get(j, "data"), 0), "reversed");
    json_free(j);
    return n;
}

static int64_t counted(const char *kind, const char *op)
{
    struct json *j = get("/_sandbox/calls?limit=0");
    int64_t n = 0;
    (void)!json_i64(json_path(j, kind, op, NULL), &n);
    json_free(j);
    return n;
}

/* ---- results ---- */

/* The code of callback i, which went to `path` and names request `originator`. */
static void assert_result(int i, const char *path, const char *originator, const char *code)
{
    char number[JSON_NUMBER_TEXT];
    struct json *j = parsed(w.callbacks[i]);
    const struct json *r = json_get(j, "Result");
    assert_string_equal(w.paths[i], path);
    if (!str_eq(json_number_text(json_get(r, "ResultCode"), number), str_c(code)) &&
        !str_eq(json_str(json_get(r, "ResultCode")), str_c(code)))
        fail_msg("%s is not %s", w.callbacks[i], code);
    if (originator != NULL)
        assert_true(str_eq(json_str(json_get(r, "OriginatorConversationID")), str_c(originator)));
    json_free(j);
}

/* The text of a parameter of callback i, "" if there is none. */
static void parameter(int i, const char *key, char out[64])
{
    struct json *j = parsed(w.callbacks[i]);
    const struct json *list = json_path(j, "Result", "ResultParameters", "ResultParameter", NULL);
    out[0] = 0;
    for (size_t k = 0; k < json_n(list); k++)
        if (str_eq(json_str(json_get(json_at(list, k), "Key")), str_c(key)))
            copy_text(json_at(list, k), "Value", out, 64);
    json_free(j);
}

/* Asks and waits for the result: TransactionStatus goes to `status`, "" where nothing is known. */
static void status_of(const char *name, const char *id, char status[64])
{
    struct answer a;
    w.n_callbacks = 0;
    send_status(&a, name, id);
    assert_int_equal(a.status, 200);
    while (w.n_callbacks == 0)
        run();
    assert_int_equal(w.n_callbacks, 1);
    assert_string_equal(w.paths[0], "/cb/status");
    parameter(0, "TransactionStatus", status);
}

/* ---- the endings ---- */

struct ending {
    int number, status; /* of the acknowledgement; 0: cut */
    int n_results[2];   /* reversal, payout */
    const char *code[2], *state[2], *known[2];
    const char *path;
};

#define PAID(number_, status_, n_)                                                            \
    {                                                                                         \
        number_, status_, {n_, n_}, {"0", "0"}, {"paid", "paid"}, {"Completed", "Completed"}, \
            "/cb/result"                                                                      \
    }

static const struct ending endings[] = {
    PAID(0, 200, 1),
    PAID(88, 200, 1),
    {89, 200, {1, 1}, {"26", "26"}, {"failed", "failed"}, {"Declined", "Declined"}, "/cb/result"},
    {90, 200, {1, 1}, {"21", "0"}, {"failed", "paid"}, {"Declined", "Completed"}, "/cb/result"},
    PAID(91, 0, 1),
    PAID(92, 0, 0),
    PAID(93, 200, 0),
    PAID(94, 200, 2),
    PAID(95, 200, 1),
    {96, 200, {1, 1}, {"21", "21"}, {"failed", "failed"}, {"Declined", "Declined"}, "/cb/result"},
    {97, 200, {1, 1}, {"26", "26"}, {"paid", "paid"}, {"Completed", "Completed"}, "/cb/late"},
};

static void check_ending(const struct ending *e, int rail)
{
    struct answer a;
    char receipt[32], status[64];
    reset();
    paid_charge(receipt);
    struct order o = rail == 0 ? reversal_of(receipt, 100 + e->number)
                               : payout_of("our-own-id", 100 + e->number);
    if (e->number == 95)
        settings("{\"delay_ms\":100}"); /* does not hold this result back */
    send_order(&a, &o);
    assert_int_equal(a.status, e->status);
    if (e->number == 95)
        assert_true(w.callback_was_first);
    struct truth t = wait_refund(e->state[rail], e->n_results[rail]);
    bool paid = strcmp(t.state, "paid") == 0;
    assert_int_equal(t.n, 1);
    assert_string_equal(t.code, paid ? "0" : e->code[rail]);
    assert_int_equal(t.results_sent, e->n_results[rail]);
    assert_string_equal(t.receipt, rail == 0 ? receipt : "");
    assert_int_equal(t.transaction[0] != 0, paid);
    if (rail == 1)
        assert_string_equal(t.originator, "our-own-id");
    assert_int_equal(reversed(), rail == 0 && paid ? 100 + e->number : 0);
    for (int i = 0; i < e->n_results[rail]; i++)
        assert_result(i, e->path, t.originator, e->code[rail]);
    if (e->status == 200) {
        struct json *j = parsed(a.body);
        assert_true(str_eq(json_str(json_get(j, "OriginatorConversationID")), str_c(t.originator)));
        assert_true(str_eq(json_str(json_get(j, "ConversationID")), str_c(t.conversation)));
        json_free(j);
    }
    status_of("OriginalConversationID", t.originator, status);
    assert_string_equal(status, e->known[rail]);
    if (paid) {
        char number[64];
        status_of("TransactionID", t.transaction, status);
        assert_string_equal(status, "Completed");
        parameter(0, "OriginatorConversationID", number);
        assert_string_equal(number, t.originator);
    }
}

static void test_every_ending(void **state)
{
    (void)state;
    log_in();
    for (size_t i = 0; i < COUNT_OF(endings); i++)
        for (int rail = 0; rail < 2; rail++)
            check_ending(&endings[i], rail);
}

static void test_refused_at_the_door(void **state)
{
    (void)state;
    log_in();
    for (int rail = 0; rail < 2; rail++) {
        struct answer a;
        char receipt[32];
        reset();
        paid_charge(receipt);
        struct order o = rail == 0 ? reversal_of(receipt, 198) : payout_of("our-own-id", 198);
        send_order(&a, &o);
        assert_int_equal(a.status, 400);
        assert_non_null(strstr(a.body, "\"errorCode\":\"400.002.02\""));
        assert_int_equal(truth_of().n, 0);
        assert_int_equal(counted("counts", rail == 0 ? "mpesa.reversal" : "mpesa.b2c"), 1);
        assert_int_equal(counted("accepted", rail == 0 ? "mpesa.reversal" : "mpesa.b2c"), 0);
        settings("{\"refund_outcomes\":false}");
        send_order(&a, &o);
        assert_int_equal(a.status, 200);
        (void)wait_refund("paid", 1);
    }
}

/* Neither a result nor an answer to questions, but these are acknowledged. */
static void test_unknown_for_ever(void **state)
{
    (void)state;
    log_in();
    for (int rail = 0; rail < 2; rail++) {
        struct answer a;
        char receipt[32];
        int64_t lost = 0;
        reset();
        paid_charge(receipt);
        struct order o = rail == 0 ? reversal_of(receipt, 199) : payout_of("our-own-id", 199);
        send_order(&a, &o);
        assert_int_equal(a.status, 200);
        struct truth t = truth_of();
        assert_string_equal(t.state, "pending");
        send_status(&a, "OriginalConversationID", t.originator);
        assert_int_equal(a.status, 200);
        while (lost == 0) {
            struct json *j = get("/_sandbox/callbacks");
            lost = number_of(j, "lost");
            json_free(j);
        }
        assert_int_equal(w.n_callbacks, 0);
        assert_string_equal(truth_of().state, "pending");
        assert_int_equal(reversed(), 0);
    }
}

/* A queue timeout tells nothing of what happens afterwards. */
static void test_carried_out_after_the_timeout(void **state)
{
    struct answer a;
    char receipt[32], status[64];
    (void)state;
    log_in();
    reset();
    paid_charge(receipt);
    settings("{\"delay_ms\":200}");
    struct order o = payout_of("our-own-id", 197);
    send_order(&a, &o);
    struct truth t = wait_refund("pending", 1);
    assert_result(0, "/cb/late", "our-own-id", "26");
    settings("{\"delay_ms\":0}");
    status_of("OriginalConversationID", "our-own-id", status);
    assert_string_equal(status, "Pending");
    w.n_callbacks = 0;
    t = wait_refund("paid", 0);
    assert_int_equal(t.results_sent, 1);
}

/* ---- the truth ---- */

static void reverse_to(const char *receipt, const char *organisation, int amount, const char *code)
{
    struct answer a;
    struct order o = reversal_of(receipt, amount);
    o.organisation = organisation;
    w.n_callbacks = 0;
    send_order(&a, &o);
    assert_int_equal(a.status, 200);
    struct truth t = wait_refund(strcmp(code, "0") == 0 ? "paid" : "failed", 1);
    assert_string_equal(t.code, code);
    assert_result(0, "/cb/result", t.originator, code);
}

static void test_a_charge_is_reversed_once(void **state)
{
    char receipt[32];
    (void)state;
    log_in();
    reset();
    paid_charge(receipt);
    reverse_to("TCE9K41XQ7", "174379", 10, "R000002");
    reverse_to(receipt, "600997", 10, "R000002"); /* another organisation's */
    reverse_to(receipt, "999999", 10, "2028");
    reverse_to(receipt, "600998", 10, "2028"); /* pays out only */
    reverse_to(receipt, "174379", CHARGE + 1, "25");
    assert_int_equal(reversed(), 0);
    reverse_to(receipt, "174379", 400, "0");
    reverse_to(receipt, "174379", 601, "25");
    reverse_to(receipt, "174379", 600, "0");
    assert_int_equal(reversed(), CHARGE);
    reverse_to(receipt, "174379", 1, "R000001");
    assert_int_equal(reversed(), CHARGE);
}

static void pay_out(const char *organisation, int amount, const char *code)
{
    static int serial;
    char id[32];
    struct answer a;
    (void)snprintf(id, sizeof id, "payout-%d", ++serial);
    struct order o = payout_of(id, amount);
    o.organisation = organisation;
    w.n_callbacks = 0;
    send_order(&a, &o);
    assert_int_equal(a.status, 200);
    assert_string_equal(wait_refund(strcmp(code, "0") == 0 ? "paid" : "failed", 1).code, code);
}

static void test_payouts(void **state)
{
    struct answer a;
    (void)state;
    log_in();
    reset();
    pay_out("174379", 9, "2");
    pay_out("174379", 10, "0");
    pay_out("600997", 10, "0");
    pay_out("600998", 10, "0");
    pay_out("999999", 10, "2028");
    pay_out("174379", 250000, "0");
    pay_out("174379", 250001, "3");
    pay_out("174379", 189, "26");
    pay_out("174379", 189, "0");
    pay_out("174379", 289, "26");
    /* unique for ever, per short code, whatever became of the first */
    int64_t before = truth_of().n;
    struct order o = payout_of("payout-1", 50);
    send_order(&a, &o);
    assert_int_equal(a.status, 500);
    assert_non_null(strstr(a.body, "\"errorCode\":\"500.002.1001\""));
    assert_non_null(strstr(a.body, "Duplicate OriginatorConversationID."));
    assert_int_equal(truth_of().n, before);
    o.organisation = "600998";
    send_order(&a, &o);
    assert_int_equal(a.status, 200);
    /* version 1 makes the id itself */
    o.path = "/mpesa/mpesa/b2c/v1/paymentrequest";
    w.n_callbacks = 0;
    send_order(&a, &o);
    assert_int_equal(a.status, 200);
    assert_null(strstr(a.body, "payout-1"));
}

/* The payment's own status says that the customer has paid, reversed or not. */
static void test_status_of_other_things(void **state)
{
    char receipt[32], status[64], text[64];
    (void)state;
    log_in();
    reset();
    paid_charge(receipt);
    reverse_to(receipt, "174379", CHARGE, "0");
    status_of("TransactionID", receipt, status);
    assert_string_equal(status, "Completed");
    parameter(0, "ReceiptNo", text);
    assert_string_equal(text, receipt);
    parameter(0, "OriginatorConversationID", text);
    assert_string_equal(text, "");
    status_of("TransactionID", "TCE9K41XQ7", status);
    assert_string_equal(status, "");
    assert_result(0, "/cb/status", NULL, "25");
    status_of("OriginalConversationID", "nobody-knows", status);
    assert_string_equal(status, "");
    /* the ConversationID is not what the document asks for */
    status_of("OriginalConversationID", truth_of().conversation, status);
    assert_string_equal(status, "");
    assert_int_equal(counted("accepted", "mpesa.status"), 4);
}

/* ---- who asks ---- */

static void test_initiators(void **state)
{
    static const struct {
        const char *initiator, *password, *code;
    } steps[] = {
        {"testapi", "wrong", "2001"},  {"somebody", PASSWORD, "2001"},
        {"testapi", PASSWORD, "0"},    {"testapi", "wrong", "2001"},
        {"testapi", "", "2001"},       {"TESTAPI", PASSWORD, "2001"},
        {"testapi", PASSWORD, "8006"}, {"testapi", PASSWORD, "8006"},
    };
    struct answer a;
    (void)state;
    log_in();
    reset();
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "initiator-%zu", i);
        struct order o = payout_of(id, 50);
        o.initiator = steps[i].initiator;
        o.password = steps[i].password[0] != 0 ? steps[i].password : "x";
        w.n_callbacks = 0;
        send_order(&a, &o);
        assert_int_equal(a.status, 200);
        struct truth t = wait_refund(steps[i].code[0] == '0' ? "paid" : "failed", 1);
        assert_string_equal(t.code, steps[i].code);
    }
    reset(); /* unlocks */
    pay_out("174379", 50, "0");
}

static void door(const char *path, const char *header, const char *type, const char *body,
                 int status, const char *code)
{
    struct answer a;
    ask(&a, "POST", path, header, type, body);
    if (a.status != status || strstr(a.body, code) == NULL)
        fail_msg("%s %s: %d %s", path, body, a.status, a.body);
}

static void test_doors(void **state)
{
    static const char *const paths[] = {
        "/mpesa/mpesa/reversal/v1/request", "/mpesa/mpesa/b2c/v3/paymentrequest",
        "/mpesa/mpesa/b2c/v1/paymentrequest", "/mpesa/mpesa/transactionstatus/v1/query"};
    char bearer[128];
    struct answer a;
    (void)state;
    log_in();
    reset();
    (void)snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", w.token);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        door(paths[i], NULL, JSON_TYPE, "{}", 404, "404.001.04");
        door(paths[i], "Authorization: Bearer 0123456789012345678901234567", JSON_TYPE, "{}", 404,
             "404.001.03");
        door(paths[i], bearer, "Content-Type: text/plain", "{}", 400, "400.002.02");
        door(paths[i], bearer, JSON_TYPE, "{", 400, "400.002.05");
        door(paths[i], bearer, JSON_TYPE, "[]", 400, "400.002.05");
        door(paths[i], bearer, JSON_TYPE, "{}", 400, "Invalid ");
        ask(&a, "GET", paths[i], bearer, NULL, NULL);
        assert_int_equal(a.status, 405);
    }
    assert_int_equal(truth_of().n, 0);
}

static void test_reset_forgets(void **state)
{
    char receipt[32];
    struct answer a;
    (void)state;
    log_in();
    reset();
    paid_charge(receipt);
    settings("{\"delay_ms\":60000}");
    struct order o = reversal_of(receipt, 50);
    send_order(&a, &o);
    send_status(&a, "TransactionID", receipt);
    assert_int_equal(truth_of().n, 1);
    reset();
    assert_int_equal(truth_of().n, 0);
    assert_int_equal(counted("counts", "mpesa.reversal"), 0);
}

static void test_certificate_file(void **state)
{
    char dir[] = "/tmp/reli_sandbox_XXXXXX", path[64], text[4096];
    struct sandbox *s = NULL;
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/certificate.pem", dir);
    struct sandbox_options o = {.listen = STR("127.0.0.1:0"), .mpesa_certificate_out = path};
    assert_int_equal(sandbox_new(w.loop, &o, &s).code, ERR_NONE);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    (void)fclose(f);
    assert_true(str_starts(str_n(text, n), STR("-----BEGIN CERTIFICATE-----")));
    sandbox_drain(s, US_PER_S, stop, NULL);
    run();
    sandbox_free(s);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left in it */
    assert_int_equal(sandbox_new(w.loop, &o, &s).code, ERR_CONFIG);
}

static int arena_setup(void **state)
{
    arena_init(&mem, 1024 * 1024);
    return setup(state);
}

static int arena_teardown(void **state)
{
    arena_free(&mem);
    return teardown(state);
}

#define WIRE(f) cmocka_unit_test_setup_teardown(f, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE(test_every_ending),
        WIRE(test_refused_at_the_door),
        WIRE(test_unknown_for_ever),
        WIRE(test_carried_out_after_the_timeout),
        WIRE(test_a_charge_is_reversed_once),
        WIRE(test_payouts),
        WIRE(test_status_of_other_things),
        WIRE(test_initiators),
        WIRE(test_doors),
        WIRE(test_reset_forgets),
        WIRE(test_certificate_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
