/* Stripe in the sandbox over real HTTP, written from Stripe's documents: forms, idempotency,
 * intents, Checkout and its page, refunds, signed events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/crypto/mac.h"
#include "gateways/outbound.h"
#include "gateways/sandbox/sandbox.h"
#include "gateways/sandbox/stripe_form.h"
#include "gateways/sandbox/stripe_script.h"
#include "http/server.h"

enum { MAX_HOOKS = 32, TEXT = 8192 };

#define KEY "Authorization: Bearer sk_test_x"
#define FORM "Content-Type: application/x-www-form-urlencoded"
#define ITEM                                                                      \
    "mode=payment&success_url=https://s.example/ok?id={CHECKOUT_SESSION_ID}&"     \
    "line_items[0][quantity]=1&line_items[0][price_data][currency]=rwf&"          \
    "line_items[0][price_data][product_data][name]=Shoes&client_reference_id=r1&" \
    "metadata[reli]=r1&payment_intent_data[metadata][reli]=r1&"
#define AMOUNT "line_items[0][price_data][unit_amount]="

static struct {
    struct loop *loop;
    struct sandbox *sandbox;
    struct http_server *shop;
    struct outbound *client;
    struct timer deadline;
    char types[MAX_HOOKS][64], bodies[MAX_HOOKS][TEXT], signatures[MAX_HOOKS][320];
    int n_hooks, refuse;
    bool drained, done;
    int status;
    char body[64 * 1024];
    const char *headers[4]; /* instead of those of a good request */
} w;

/* ---- the world ---- */

static void too_late(void *ctx)
{
    (void)ctx;
    fail_msg("nothing happened for ten seconds");
}

static void run(void)
{
    timer_set(w.loop, &w.deadline, 10 * US_PER_S, too_late, NULL);
    loop_run(w.loop);
    timer_off(w.loop, &w.deadline);
}

static void stop(void *ctx)
{
    (void)ctx;
    loop_stop(w.loop);
}

static void drained(void *ctx)
{
    w.drained = true;
    stop(ctx);
}

static void shop_hook(struct http_exchange *x)
{
    struct json *j = NULL;
    bool refused = w.refuse > 0;
    assert_true(w.n_hooks < MAX_HOOKS);
    assert_int_equal(json_parse(x->body, &j, NULL).code, ERR_NONE);
    (void)str_copy_c(w.types[w.n_hooks], 64, json_str(json_get(j, "type")));
    json_free(j);
    (void)str_copy_c(w.bodies[w.n_hooks], TEXT, x->body);
    (void)str_copy_c(w.signatures[w.n_hooks++], 320, http_header(x, STR("stripe-signature")));
    w.refuse -= refused;
    http_reply_json(x, refused ? 500 : 200, STR("{}"));
    loop_stop(w.loop);
}

static int setup(void **state)
{
    static const struct route routes[] = {{HTTP_POST_, "/hook", shop_hook, 0}, {0, NULL, NULL, 0}};
    const struct http_server_options shop = {.routes = routes};
    const struct outbound_options client = {.user_agent = "test"};
    char url[64];
    (void)state;
    memset(&w, 0, sizeof w);
    assert_int_equal(crypto_open().code, ERR_NONE);
    assert_int_equal(loop_new(&w.loop).code, ERR_NONE);
    assert_int_equal(http_server_new(w.loop, &shop, &w.shop).code, ERR_NONE);
    assert_int_equal(http_server_listen(w.shop, STR("127.0.0.1:0")).code, ERR_NONE);
    assert_int_equal(outbound_new(w.loop, &client, &w.client).code, ERR_NONE);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/hook", http_server_port(w.shop));
    const struct sandbox_options sandbox = {.listen = STR("127.0.0.1:0"),
                                            .settings =
                                                STR("{\"delay_ms\":2,\"slow_answer_ms\":50}"),
                                            .stripe_api_key = "sk_test_x",
                                            .stripe_webhook_secret = "whsec_old,whsec_new",
                                            .stripe_webhook_url = url};
    assert_int_equal(sandbox_new(w.loop, &sandbox, &w.sandbox).code, ERR_NONE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    outbound_free(w.client);
    sandbox_drain(w.sandbox, US_PER_S, drained, NULL);
    while (!w.drained)
        run();
    sandbox_free(w.sandbox);
    http_server_drain(w.shop, US_PER_S, stop, NULL);
    run();
    http_server_free(w.shop);
    loop_free(w.loop);
    crypto_close();
    arena_trim();
    return 0;
}

static void answered(void *ctx, const struct outbound_response *r)
{
    (void)ctx;
    w.done = true;
    w.status = r->outcome == OUTBOUND_ANSWERED ? r->status : 0;
    (void)str_copy_c(w.body, sizeof w.body, r->body);
    loop_stop(w.loop);
}

/* The answer's status; its body is in w.body. */
static int ask(const char *method, const char *path, const char *key, const char *body)
{
    char url[512], idempotency[128];
    struct outbound_call *call;
    struct outbound_request q = {.method = method,
                                 .url = url,
                                 .body = str_c(body),
                                 .timeout_us = 5 * US_PER_S,
                                 .n_headers = 2,
                                 .headers = {KEY, FORM},
                                 .once = true};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d%s", sandbox_port(w.sandbox), path);
    (void)snprintf(idempotency, sizeof idempotency, "Idempotency-Key: %s", key != NULL ? key : "");
    if (key != NULL)
        q.headers[q.n_headers++] = idempotency;
    if (w.headers[0] != NULL)
        for (q.n_headers = 0; w.headers[q.n_headers] != NULL; q.n_headers++)
            q.headers[q.n_headers] = w.headers[q.n_headers];
    w.done = false;
    assert_int_equal(outbound_start(w.client, &q, answered, NULL, &call).code, ERR_NONE);
    while (!w.done)
        run();
    return w.status;
}

static int post(const char *path, const char *body)
{
    return ask("POST", path, NULL, body);
}

static int fresh(void **state)
{
    (void)state;
    memset(w.headers, 0, sizeof w.headers);
    assert_int_equal(post("/_sandbox/reset", ""), 200);
    w.n_hooks = w.refuse = 0;
    return 0;
}

/* The text at a path of at most two names of the last answer, or of `body`. */
static const char *in(const char *body, const char *name, const char *inner)
{
    static char out[8][512];
    static unsigned turn;
    char *to = out[turn++ % 8], number[JSON_NUMBER_TEXT];
    struct json *root = NULL;
    assert_int_equal(json_parse(str_c(body), &root, NULL).code, ERR_NONE);
    const struct json *j = json_get(root, name);
    j = inner != NULL ? json_get(j, inner) : j;
    struct str s = json_kind(j) == JSON_INT ? json_number_text(j, number) : json_str(j);
    (void)str_copy_c(to, 512, s);
    json_free(root);
    return to;
}

static const char *at(const char *name, const char *inner)
{
    return in(w.body, name, inner);
}

static void hooks(int n)
{
    while (w.n_hooks < n)
        run();
}

static const char *path_of(const char *base, const char *id, const char *rest)
{
    static char out[4][160];
    static unsigned turn;
    char *to = out[turn++ % 4];
    (void)snprintf(to, 160, "/stripe%s/%s%s", base, id, rest);
    return to;
}

/* ---- pure parts ---- */

static void forms(void **state)
{
    static const char *const known[] = {"a", "b[#][c]", "metadata[*]", NULL};
    static const struct {
        const char *text;
        bool reads;
        const char *unknown;
    } cases[] = {
        {"", true, NULL},
        {"a=1", true, NULL},
        {"a=1&b[0][c]=2&metadata[x]=3", true, NULL},
        {"b%5B12%5D%5Bc%5D=2", true, NULL},
        {"a", true, NULL},
        {"aa=1", true, "aa"},
        {"b[][c]=1", true, "b[][c]"},
        {"b[x][c]=1", true, "b[x][c]"},
        {"metadata[]=1", true, NULL},
        {"metadata[a][b]=1", true, "metadata[a][b]"},
        {"metadata[0123456789012345678901234567890123456789]=1", true, NULL},
        {"metadata[01234567890123456789012345678901234567890]=1", true,
         "metadata[01234567890123456789012345678901234567890]"},
        {"a=%zz", false, NULL},
        {"a=%00", false, NULL},
        {"=1", false, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena mem;
        struct stripe_form f;
        arena_init(&mem, 1024 * 1024);
        assert_int_equal(stripe_form_read(&mem, str_c(cases[i].text), &f), cases[i].reads);
        if (cases[i].reads && !str_eq(stripe_form_unknown(&f, known), str_c(cases[i].unknown)))
            fail_msg("%s", cases[i].text);
        arena_free(&mem);
    }
}

static void tables(void **state)
{
    (void)state;
    for (size_t i = 0; stripe_card_at(i) != NULL; i++)
        assert_ptr_equal(stripe_card_of(str_c(stripe_card_at(i)->token)), stripe_card_at(i));
    assert_null(stripe_card_of(STR("pm_card")));
    assert_null(stripe_card_of(STR("")));
    assert_int_equal(stripe_trick_of(15104), STRIPE_TRICK_LOST_ANSWER);
    assert_int_equal(stripe_trick_of(104000), STRIPE_TRICK_NONE);
}

/* ---- the door ---- */

static void doors(void **state)
{
    static const struct {
        const char *headers[4];
        int status;
    } cases[] = {
        {{KEY, FORM, NULL}, 400}, /* nothing is asked for */
        {{FORM, NULL}, 401},
        {{"Authorization: Bearer sk_test_y", FORM, NULL}, 401},
        {{"Authorization: sk_test_x", FORM, NULL}, 401},
        {{KEY, FORM, "Stripe-Version: 2020-08-27", NULL}, 400},
        {{KEY, "Content-Type: application/json", NULL}, 400},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        memcpy(w.headers, cases[i].headers, sizeof w.headers);
        assert_int_equal(post("/stripe/v1/payment_intents", "mode=1"), cases[i].status);
        assert_string_equal(at("error", "type"), "invalid_request_error");
    }
}

static void refused(void **state)
{
    static const struct {
        const char *path, *body, *code, *param;
    } cases[] = {
        {"checkout/sessions", ITEM AMOUNT "5000&payment_method_types[0]=card", "parameter_unknown",
         "payment_method_types[0]"},
        {"checkout/sessions", "mode=payment", "parameter_missing", "line_items"},
        {"checkout/sessions", ITEM AMOUNT "x", "parameter_invalid_integer",
         "line_items[0][price_data][unit_amount]"},
        {"checkout/sessions", ITEM AMOUNT "0", "amount_too_small", "line_items"},
        {"checkout/sessions", ITEM AMOUNT "100000000", "amount_too_large", "line_items"},
        {"checkout/sessions", ITEM AMOUNT "5000&expires_at=1", "", "expires_at"},
        {"checkout/sessions", ITEM AMOUNT "5000&cancel_url=x", "url_invalid", "cancel_url"},
        {"payment_intents", "currency=rwf", "parameter_missing", "amount"},
        {"payment_intents", "amount=5", "parameter_missing", "currency"},
        {"payment_intents", "amount=5&currency=RWF", "", "currency"},
        {"payment_intents", "amount=5&currency=abc", "", "currency"},
        {"payment_intents", "amount=5124&currency=kwd", "", "amount"},
        {"payment_intents", "amount=550&currency=ugx", "", "amount"},
        {"payment_intents", "amount=49&currency=usd", "amount_too_small", "amount"},
        {"payment_intents", "amount=5&currency=rwf&confirm=yes", "", "confirm"},
        {"payment_intents", "amount=5&currency=rwf&confirm=true", "parameter_missing",
         "payment_method"},
        {"refunds", "amount=5", "", "payment_intent"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(post(path_of("/v1", cases[i].path, ""), cases[i].body), 400);
        if (strcmp(at("error", "code"), cases[i].code) != 0 ||
            strcmp(at("error", "param"), cases[i].param) != 0)
            fail_msg("%s %s: %s", cases[i].path, cases[i].body, w.body);
    }
    assert_int_equal(ask("GET", "/stripe/v1/checkout/sessions/cs_test_x", NULL, NULL), 404);
    assert_string_equal(at("error", "code"), "resource_missing");
}

static void idempotency(void **state)
{
    char first[64];
    (void)state;
    assert_int_equal(ask("POST", "/stripe/v1/payment_intents", "k1", "amount=x&currency=rwf"), 400);
    assert_int_equal(ask("POST", "/stripe/v1/payment_intents", "k1", "amount=5000&currency=rwf"),
                     200);
    (void)str_copy_c(first, sizeof first, str_c(at("id", NULL)));
    assert_int_equal(ask("POST", "/stripe/v1/payment_intents", "k1", "amount=5000&currency=rwf"),
                     200);
    assert_string_equal(at("id", NULL), first);
    assert_int_equal(ask("POST", "/stripe/v1/payment_intents", "k1", "amount=5001&currency=rwf"),
                     400);
    assert_string_equal(at("error", "type"), "idempotency_error");
    assert_int_equal(ask("POST", "/stripe/v1/payment_intents", "k2", "amount=5000&currency=rwf"),
                     200);
    assert_string_not_equal(at("id", NULL), first);
    /* Done, told as 500, and told again as it was. */
    assert_int_equal(ask("POST", "/stripe/v1/checkout/sessions", "k3", ITEM AMOUNT "5104"), 500);
    assert_int_equal(ask("POST", "/stripe/v1/checkout/sessions", "k3", ITEM AMOUNT "5104"), 200);
    assert_int_equal(ask("GET", "/stripe/v1/checkout/sessions?limit=5", NULL, NULL), 200);
    struct json *root = NULL;
    assert_int_equal(json_parse(str_c(w.body), &root, NULL).code, ERR_NONE);
    assert_int_equal(json_n(json_get(root, "data")), 1);
    json_free(root);
    /* Sent away twice. */
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask("POST", "/stripe/v1/checkout/sessions", "k4", ITEM AMOUNT "5113"),
                         429);
    assert_int_equal(ask("POST", "/stripe/v1/checkout/sessions", "k4", ITEM AMOUNT "5113"), 200);
    /* Not done. */
    assert_int_equal(ask("POST", "/stripe/v1/checkout/sessions", "k5", ITEM AMOUNT "5115"), 500);
}

/* ---- intents ---- */

static void intents(void **state)
{
    static const struct {
        const char *card;
        int status;
        const char *intent, *code;
    } cases[] = {
        {"pm_card_visa", 200, "succeeded", NULL},
        {"pm_card_chargeDeclined", 402, "requires_payment_method", "generic_decline"},
        {"pm_card_chargeDeclinedInsufficientFunds", 402, "requires_payment_method",
         "insufficient_funds"},
        {"pm_card_chargeDeclinedExpiredCard", 402, "requires_payment_method", ""},
        {"pm_card_authenticationRequired", 200, "requires_action", NULL},
        {"pm_usBankAccount", 200, "processing", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "amount=5000&currency=rwf&confirm=true&payment_method=%s&"
                       "return_url=https://s.example/back&metadata[reli]=r1",
                       cases[i].card);
        assert_int_equal(post("/stripe/v1/payment_intents", body), cases[i].status);
        if (cases[i].status == 200) {
            assert_string_equal(at("status", NULL), cases[i].intent);
            assert_string_equal(at("metadata", "reli"), "r1");
        } else {
            assert_string_equal(at("error", "decline_code"), cases[i].code);
            assert_string_equal(at("error", "type"), "card_error");
            assert_true(str_find_str(str_c(w.body), STR("\"object\":\"payment_intent\"")) !=
                        SIZE_MAX);
        }
    }
}

static void redirects(void **state)
{
    (void)state;
    assert_int_equal(post("/stripe/v1/payment_intents",
                          "amount=5000&currency=rwf&confirm=true&"
                          "payment_method=pm_card_authenticationRequired&"
                          "return_url=https://s.example/back"),
                     200);
    const char *id = at("id", NULL);
    assert_string_equal(at("next_action", "type"), "redirect_to_url");
    hooks(1);
    assert_string_equal(w.types[0], "payment_intent.requires_action");
    assert_int_equal(post(path_of("/3ds", id, ""), "answer=complete"), 303);
    assert_int_equal(
        ask("GET", path_of("/v1/payment_intents", id, "?expand[0]=latest_charge"), NULL, NULL),
        200);
    assert_string_equal(at("status", NULL), "succeeded");
    assert_string_equal(at("latest_charge", "status"), "succeeded");
    assert_int_equal(post(path_of("/v1/payment_intents", id, "/cancel"), ""), 400);
    assert_string_equal(at("error", "code"), "payment_intent_unexpected_state");
}

/* ---- Checkout ---- */

static const char *session(const char *amount)
{
    char body[1024];
    (void)snprintf(body, sizeof body, "%s%s%s", ITEM, AMOUNT, amount);
    assert_int_equal(post("/stripe/v1/checkout/sessions", body), 200);
    assert_string_equal(at("status", NULL), "open");
    assert_string_equal(at("payment_status", NULL), "unpaid");
    assert_string_equal(at("client_reference_id", NULL), "r1");
    return at("id", NULL);
}

static bool is_signed(int i, const char *secret)
{
    struct str rest = str_c(w.signatures[i]), time;
    uint8_t mac[SHA256_LEN];
    char want[80] = ",v1=";
    (void)str_split(&rest, ',', &time);
    const struct str parts[] = {str_from(time, 2), STR("."), str_c(w.bodies[i])};
    hmac_sha256(str_c(secret), parts, COUNT_OF(parts), mac);
    for (size_t k = 0; k < sizeof mac; k++)
        (void)snprintf(want + 4 + 2 * k, 3, "%02x", mac[k]);
    return str_find_str(str_c(w.signatures[i]), str_c(want)) != SIZE_MAX;
}

static void checkout(void **state)
{
    (void)state;
    const char *id = session("5000");
    assert_int_equal(post(path_of("/pay", id, ""), "payment_method=pm_card_chargeDeclined"), 402);
    assert_int_equal(post(path_of("/pay", id, ""), "answer=cancel"), 303);
    hooks(1);
    assert_string_equal(w.types[0], "payment_intent.payment_failed");
    w.refuse = 1; /* and it comes again */
    assert_int_equal(post(path_of("/pay", id, ""), "payment_method=pm_card_visa"), 303);
    hooks(5);
    for (int i = 0; i < 5; i++)
        assert_true(is_signed(i, "whsec_old") && is_signed(i, "whsec_new") &&
                    !is_signed(i, "whsec_another"));
    assert_int_equal(
        ask("GET", path_of("/v1/checkout/sessions", id, "?expand[0]=payment_intent"), NULL, NULL),
        200);
    assert_string_equal(at("status", NULL), "complete");
    assert_string_equal(at("payment_status", NULL), "paid");
    assert_string_equal(at("payment_intent", "status"), "succeeded");
    assert_string_equal(at("payment_intent", "amount_received"), "5000");
    assert_int_equal(post(path_of("/pay", id, ""), "payment_method=pm_card_visa"), 400);
    assert_int_equal(post(path_of("/v1/checkout/sessions", id, "/expire"), ""), 400);
}

static void expiry(void **state)
{
    (void)state;
    const char *id = session("5000");
    assert_int_equal(post(path_of("/v1/checkout/sessions", id, "/expire"), ""), 200);
    assert_string_equal(at("status", NULL), "expired");
    hooks(1);
    assert_string_equal(w.types[0], "checkout.session.expired");
    assert_int_equal(post(path_of("/pay", id, ""), "payment_method=pm_card_visa"), 400);
}

static void tricks(void **state)
{
    static const struct {
        const char *amount;
        int n_hooks;
    } cases[] = {{"5105", 6}, {"5106", 3}, {"5107", 0}, {"5109", 6}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)fresh(state);
        const char *id = session(cases[i].amount);
        assert_int_equal(post(path_of("/pay", id, ""), "payment_method=pm_card_visa"), 303);
        hooks(cases[i].n_hooks);
        if (strcmp(cases[i].amount, "5106") == 0)
            assert_string_equal(w.types[2], "payment_intent.succeeded");
        if (strcmp(cases[i].amount, "5109") == 0)
            assert_false(is_signed(0, "whsec_old") || is_signed(0, "whsec_new"));
    }
}

/* ---- refunds ---- */

static void refunds(void **state)
{
    char body[160], pi[64];
    (void)state;
    assert_int_equal(post("/stripe/v1/payment_intents",
                          "amount=5000&currency=rwf&confirm=true&payment_method=pm_card_visa"),
                     200);
    (void)str_copy_c(pi, sizeof pi, str_c(at("id", NULL)));
    (void)snprintf(body, sizeof body, "payment_intent=%s&amount=2000&metadata[reli]=b1", pi);
    assert_int_equal(ask("POST", "/stripe/v1/refunds", "b1", body), 200);
    assert_string_equal(at("status", NULL), "succeeded");
    assert_int_equal(ask("GET", path_of("/v1/refunds", at("id", NULL), ""), NULL, NULL), 200);
    assert_string_equal(at("metadata", "reli"), "b1");
    (void)snprintf(body, sizeof body, "payment_intent=%s&amount=3001", pi);
    assert_int_equal(post("/stripe/v1/refunds", body), 400);
    assert_string_equal(at("error", "param"), "amount");
    (void)snprintf(body, sizeof body, "payment_intent=%s", pi);
    assert_int_equal(post("/stripe/v1/refunds", body), 200);
    assert_string_equal(at("amount", NULL), "3000");
    assert_int_equal(post("/stripe/v1/refunds", body), 400);
    assert_string_equal(at("error", "code"), "charge_already_refunded");
    (void)snprintf(body, sizeof body, "/stripe/v1/refunds?payment_intent=%s&limit=1", pi);
    assert_int_equal(ask("GET", body, NULL, NULL), 200);
    assert_true(str_find_str(str_c(w.body), STR("\"has_more\":true")) != SIZE_MAX);
}

static void refund_that_fails(void **state)
{
    char body[160];
    (void)state;
    assert_int_equal(
        post("/stripe/v1/payment_intents",
             "amount=5000&currency=rwf&confirm=true&payment_method=pm_card_refundFail"),
        200);
    (void)snprintf(body, sizeof body, "payment_intent=%s", at("id", NULL));
    assert_int_equal(post("/stripe/v1/refunds", body), 200);
    assert_string_equal(at("status", NULL), "succeeded");
    const char *id = at("id", NULL);
    hooks(6); /* charge, intent; refund created, charge refunded, refund updated, failed */
    assert_int_equal(ask("GET", path_of("/v1/refunds", id, ""), NULL, NULL), 200);
    assert_string_equal(at("status", NULL), "failed");
    assert_string_equal(at("failure_reason", NULL), "expired_or_canceled_card");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(tables),
        cmocka_unit_test_setup(doors, fresh),
        cmocka_unit_test_setup(refused, fresh),
        cmocka_unit_test_setup(idempotency, fresh),
        cmocka_unit_test_setup(intents, fresh),
        cmocka_unit_test_setup(redirects, fresh),
        cmocka_unit_test_setup(checkout, fresh),
        cmocka_unit_test_setup(expiry, fresh),
        cmocka_unit_test_setup(tricks, fresh),
        cmocka_unit_test_setup(refunds, fresh),
        cmocka_unit_test_setup(refund_that_fails, fresh),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
