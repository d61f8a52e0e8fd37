/* CPay: the shapes of gateways/cpay.md, sections 2 to 7; what reli makes of each: section 8. The
 * signatures of requests were computed from section 2 by another program, for the nonce 00 01 … 0f.
 */
#include "core/crypto/mac.h"
#include "core/crypto/text.h"
#include "test/conform/conform.h"

#define RWF(minor_)                                            \
    {                                                          \
        .minor = (minor_), .currency = CURRENCY('R', 'W', 'F') \
    }
#define HEX16 "0123456789abcdef"
#define OUR_ID HEX16 HEX16 HEX16 HEX16
#define OUR_REFUND "8c2b7f0e-5a1d-4c3e-9f00-1234567890ab"
#define OUR_PAYOUT "d41c7e90-33b2-4f6a-8e55-0f1e2d3c4b5a"
#define NONCE "000102030405060708090a0b0c0d0e0f"
#define NOW_US (INT64_C(1767960000) * US_PER_S)

static const struct sample settings[] = {
    {"api_key", "cpk_test:cps_-h9EaY6z2P0iR2yRttsAJUpvlLneAyhNcpe84QYrUHU"},
    {"webhook_secret", "cpw_conform_3vN8"},
    {NULL, NULL},
};

/* ---- requests ---- */

#define SIGNED(mac)                                                           \
    "CPay-Key: cpk_test", "CPay-Timestamp: 1767960000", "CPay-Nonce: " NONCE, \
        "CPay-Signature: v1=" mac, "Accept: application/json"
#define POSTED(mac, key)                                                       \
    {                                                                          \
        SIGNED(mac), "Content-Type: application/json", "Idempotency-Key: " key \
    }

static const struct gw_charge redirect = {
    .amount = RWF(150000),
    .method = {"redirect", 8},
    .phone = {"+250781234567", 13},
    .email = {"a@b.rw", 6},
    .pay_code = {"RL0K7Q2ZD913", 12},
    .our_id = {OUR_ID, 64},
    .description = {"Order 20931", 11},
    .return_url = {"https://shop.example/back?o=1", 29},
    .callback_url = {"https://pay.example.rw/cb/9f2c71", 32},
    .expires_us = NOW_US + 15 * US_PER_MIN - 20 * US_PER_MS,
    .now_us = NOW_US,
};

static const struct wire_request requests[] = {
    {.name = "prompt",
     .op = WIRE_CHARGE,
     .method = "POST",
     .url = "https://api.cpay.test/v1/payments",
     .headers = POSTED("c7d9a80f983bc482e286b877fcfa97953ff1c62c7025c7e9a23bfddb797c1fc5", OUR_ID),
     .body = "{\"reference\":\"" OUR_ID "\",\"amount\":150000,\"currency\":\"RWF\","
             "\"method\":\"wallet\",\"payer\":{\"msisdn\":\"+250781234567\"},"
             "\"description\":\"Order 20931\",\"expires_in\":840,"
             "\"metadata\":{\"pay_code\":\"RL0K7Q2ZD913\"}}"},
    {.name = "page",
     .op = WIRE_CHARGE,
     .charge = &redirect,
     .method = "POST",
     .url = "https://api.cpay.test/v1/payments",
     .headers = POSTED("2cbfb18143cc015f6170ff0ea47ea8f1da5a3c9d539c59b0231b4f0df982206e", OUR_ID),
     .body = "{\"reference\":\"" OUR_ID "\",\"amount\":150000,\"currency\":\"RWF\","
             "\"method\":\"redirect\","
             "\"payer\":{\"msisdn\":\"+250781234567\",\"email\":\"a@b.rw\"},"
             "\"return_url\":\"https://shop.example/back?o=1\",\"description\":\"Order 20931\","
             "\"expires_in\":840,\"metadata\":{\"pay_code\":\"RL0K7Q2ZD913\"}}"},
    {.name = "query by id",
     .op = WIRE_QUERY,
     .provider_ref = "cpm_01J8Z0DEMO",
     .method = "GET",
     .url = "https://api.cpay.test/v1/payments/cpm_01J8Z0DEMO",
     .headers = {SIGNED("4d1b1187542e053c265b63e8433ed58d6220ef7a4507de32abfa6f086c5c696d")}},
    {.name = "query by reference",
     .op = WIRE_QUERY,
     .provider_ref = OUR_ID,
     .method = "GET",
     .url = "https://api.cpay.test/v1/payments?reference=" OUR_ID,
     .headers = {SIGNED("aa0ffefb15dda73767b8fdd5986b3ac7b08ee8b709c747f0bbab6318ed3ec341")}},
    {.name = "one-time code",
     .op = WIRE_CONFIRM,
     .provider_ref = "cpm_01J8Z0DEMO",
     .method = "POST",
     .url = "https://api.cpay.test/v1/payments/cpm_01J8Z0DEMO/otp",
     .headers = POSTED("a6b1e2b19ccc4977051faea9c73f4706e151de1c42d6b4e916d470db589f2a1a", ACT_KEY),
     .body = "{\"code\":\"123456\"}"},
    {.name = "balance",
     .op = WIRE_BALANCE,
     .method = "GET",
     .url = "https://api.cpay.test/v1/balance",
     .headers = {SIGNED("c6d142c2be9ba1b266e7f491c48378827e744a65f5cfed0b543177e9bb1d9e7f")}},
    {.name = "cancel",
     .op = WIRE_CANCEL,
     .provider_ref = "cpm_01J8Z0DEMO",
     .method = "POST",
     .url = "https://api.cpay.test/v1/payments/cpm_01J8Z0DEMO/cancel",
     .headers = POSTED("4734b2caea41056b79bde13df8bd97737ad9a5f7b2791783c7f21a09c702db78", ACT_KEY),
     .body = "{}"},
    {.name = "refund",
     .op = WIRE_REFUND,
     .method = "POST",
     .url = "https://api.cpay.test/v1/payments/cpm_01J8Z0DEMO/refunds",
     .headers =
         POSTED("7107cd7318ff2f93970239926bf94bd7a795ba13c9b11978d1a3ac8249ac56b4", OUR_REFUND),
     .body = "{\"reference\":\"" OUR_REFUND "\",\"amount\":50000,\"reason\":\"Broken\"}"},
    {.name = "what became of a refund",
     .op = WIRE_REFUND_QUERY,
     .provider_ref = OUR_REFUND,
     .method = "GET",
     .url = "https://api.cpay.test/v1/refunds?payment=cpm_01J8Z0DEMO&reference=" OUR_REFUND,
     .headers = {SIGNED("bbf745bab6401530b66c548ff1b4ab3005f6e7497338fa9509fad5938c2f75e6")}},
    {.name = "payout",
     .op = WIRE_PAYOUT,
     .method = "POST",
     .url = "https://api.cpay.test/v1/payouts",
     .headers =
         POSTED("eeb8d6faeb0c3e0c7fa62b47d90f57bd4fdabf0901edb3b5550ddfd566aacc1a", OUR_PAYOUT),
     .body = "{\"reference\":\"" OUR_PAYOUT "\",\"amount\":70000,\"currency\":\"RWF\","
             "\"destination\":{\"type\":\"wallet\",\"msisdn\":\"+250781234567\","
             "\"name\":\"Aline U.\"},\"reason\":\"July\"}"},
    {.name = "what became of a payout",
     .op = WIRE_PAYOUT_QUERY,
     .provider_ref = OUR_PAYOUT,
     .method = "GET",
     .url = "https://api.cpay.test/v1/payouts?reference=" OUR_PAYOUT,
     .headers = {SIGNED("dd4099afc987205294a35222f6acd1df44eae3f5c26e3d79b5ace9a03295c844")}},
    {.name = NULL},
};

/* ---- objects ---- */

/* clang-format off */
#define PAYMENT(status, action, failure)                                                     \
    "{\"id\": " ID("\"cpm_01J8Z0DEMO\"") ", \"object\": " CODE("\"payment\"")                \
    ", \"reference\": " ID("\"" OUR_ID "\"") ", \"amount\": " AMOUNT("150000")               \
    ", \"currency\": \"RWF\", \"method\": \"wallet\", \"status\": " CODE("\"" status "\"")   \
    ", \"next_action\": " action ", \"payer\": {\"msisdn\": \"+250781234567\", "             \
    "\"name\": \"Uwase\", \"email\": \"a@b.rw\"}, \"amount_refunded\": 0, "                  \
    "\"failure\": " failure ", \"fee\": null, \"livemode\": false, \"metadata\": {}, "       \
    "\"created_at\": \"2026-01-10T12:00:00Z\", \"updated_at\": \"2026-01-10T12:00:00Z\", "   \
    "\"expires_at\": \"2026-01-10T12:15:00Z\"}"
#define REFUND(status, failure)                                                              \
    "{\"id\": \"cpr_01J8Z0BACK\", \"object\": " CODE("\"refund\"")                           \
    ", \"payment\": \"cpm_01J8Z0DEMO\", \"reference\": " ID("\"" OUR_REFUND "\"")            \
    ", \"amount\": " AMOUNT("50000") ", \"currency\": \"RWF\", \"status\": "                 \
    CODE("\"" status "\"") ", \"failure\": " failure                                         \
    ", \"created_at\": \"2026-01-10T12:05:00Z\", \"updated_at\": \"2026-01-10T12:05:00Z\"}"
#define PAYOUT(status, failure)                                                              \
    "{\"id\": \"cpo_01J8Z0OUT0\", \"object\": " CODE("\"payout\"")                           \
    ", \"reference\": " ID("\"" OUR_PAYOUT "\"")                                             \
    ", \"amount\": " AMOUNT("70000") ", \"currency\": \"RWF\", \"destination\": "            \
    "{\"msisdn\": \"+250781234567\", \"name\": \"Uwase\"}, \"status\": "                     \
    CODE("\"" status "\"") ", \"failure\": " failure                                         \
    ", \"created_at\": \"2026-01-10T12:05:00Z\", \"updated_at\": \"2026-01-10T12:05:00Z\"}"
/* clang-format on */
#define BECAUSE(code, final) \
    "{\"code\": " CODE("\"" code "\"") ", \"message\": \"No.\", \"final\": " final "}"
#define LIST(items) "{\"object\": \"list\", \"data\": [" items "], \"next_cursor\": null}"
#define FAULT(code)                                                                          \
    "{\"error\":{\"code\":" CODE("\"" code "\"") ",\"message\":\"No.\",\"retryable\":false," \
                                                 "\"field\":null,\"request_id\":\"req_1\"}}"
#define EVENT(type, object)                                                                \
    "{\"id\": \"evt_01J8Z0DEMO\", \"type\": " CODE(                                        \
        "\"" type "\"") ", \"created_at\": "                                               \
                        "\"2026-01-10T12:00:20Z\", \"livemode\": false, \"sequence\": 3, " \
                        "\"data\": {\"object\": " object "}}"
#define ON_PHONE "{\"type\": \"confirm_on_phone\", \"display\": \"Confirm on +250781234567\"}"
#define FIELD_FAULT(code, field)                                                             \
    "{\"error\":{\"code\":" CODE("\"" code "\"") ",\"message\":\"No.\",\"retryable\":false," \
                                                 "\"field\":\"" field                        \
                                                 "\",\"request_id\":\"req_1\"}}"
#define ON_CODE "{\"type\": \"otp\", \"submit_url\": \"https://api.cpay.test/v1/payments/cpm/otp\"}"
#define ON_PAGE "{\"type\": \"redirect\", \"url\": \"https://pay.cpay.test/p/tok_5Hd82\"}"

#define ABOUT .provider_ref = "cpm_01J8Z0DEMO", .our_id = OUR_ID
#define ABOUT_REFUND .provider_ref = OUR_REFUND, .our_id = OUR_REFUND
#define ABOUT_PAYOUT .provider_ref = OUR_PAYOUT, .our_id = OUR_PAYOUT
#define PAID_OUT(verdict_)                                                                   \
    {                                                                                        \
        .verdict = verdict_, ABOUT_PAYOUT, .receipt = "cpo_01J8Z0OUT0", .amount = RWF(70000) \
    }
#define MEANS_PAID                                                                         \
    {                                                                                      \
        .verdict = GW_SUCCEEDED, ABOUT, .receipt = "cpm_01J8Z0DEMO", .amount = RWF(150000) \
    }
#define MEANS_DISPUTED(verdict_, state_, status_)                                       \
    {                                                                                   \
        .verdict = verdict_, ABOUT, .receipt = "cpm_01J8Z0DEMO", .amount = RWF(150000), \
        .dispute = {                                                                    \
            .id = {"cpm_01J8Z0DEMO", 14},                                               \
            .state = state_,                                                            \
            .status = {status_, sizeof status_ - 1}                                     \
        }                                                                               \
    }
#define GIVEN_BACK                                                                               \
    {                                                                                            \
        .verdict = GW_SUCCEEDED, ABOUT_REFUND, .receipt = "cpr_01J8Z0BACK", .amount = RWF(50000) \
    }
#define REFUSED_BY(code_)                              \
    {                                                  \
        .verdict = GW_REFUSED, .code = FAILURE_##code_ \
    }
#define UNSURE                \
    {                         \
        .verdict = GW_UNKNOWN \
    }

static const struct wire_shape shapes[] = {
    {"prompt sent", WIRE_CHARGE, .status = 201, .body = PAYMENT("pending", ON_PHONE, "null"),
     .means = {.verdict = GW_ACCEPTED, ABOUT, .action = "\"type\":\"approve_on_phone\""}},
    {"page ready", WIRE_CHARGE, .status = 201, .body = PAYMENT("pending", ON_PAGE, "null"),
     .means = {.verdict = GW_ACCEPTED,
               ABOUT,
               .action = "\"url\":\"https://pay.cpay.test/p/tok_5Hd82\""}},
    {"known before", WIRE_CHARGE, .status = 200, .body = PAYMENT("processing", "null", "null"),
     .means = {.verdict = GW_ACCEPTED, ABOUT}},
    {"paid at once", WIRE_CHARGE, .status = 201, .body = PAYMENT("completed", "null", "null"),
     .means = {.verdict = GW_ACCEPTED, ABOUT}},
    {"ended at once", WIRE_CHARGE, .status = 201,
     .body = PAYMENT("failed", "null", BECAUSE("payer_not_found", "true")),
     .means = {.verdict = GW_REFUSED, .code = FAILURE_CUSTOMER_UNREACHABLE, ABOUT}},
    {"a status nobody knows", WIRE_CHARGE, .status = 201, .body = PAYMENT("parked", "null", "null"),
     .means = UNSURE},
    {"invalid", WIRE_CHARGE, .status = 400, .body = FAULT("invalid_request"),
     .means = REFUSED_BY(CONFIGURATION)},
    {"amount", WIRE_CHARGE, .status = 400, .body = FAULT("amount_out_of_range"),
     .means = REFUSED_BY(AMOUNT_INVALID)},
    {"number", WIRE_CHARGE, .status = 400, .body = FAULT("invalid_msisdn"),
     .means = REFUSED_BY(DECLINED)},
    {"signature", WIRE_CHARGE, .status = 401, .body = FAULT("signature_invalid"),
     .means = REFUSED_BY(CONFIGURATION)},
    {"nonce", WIRE_CHARGE, .status = 401, .body = FAULT("nonce_reused"), .otherwise = GW_REFUSED,
     .means = UNSURE},
    {"funds", WIRE_CHARGE, .status = 402, .body = FAULT("insufficient_funds"),
     .means = REFUSED_BY(INSUFFICIENT_FUNDS)},
    {"declined", WIRE_CHARGE, .status = 402, .body = FAULT("declined"),
     .means = REFUSED_BY(DECLINED)},
    {"reference taken", WIRE_CHARGE, .status = 409, .body = FAULT("duplicate_reference"),
     .means = UNSURE},
    {"key taken", WIRE_CHARGE, .status = 409, .body = FAULT("idempotency_conflict"),
     .means = UNSURE},
    {"in progress", WIRE_CHARGE, .status = 409, .body = FAULT("idempotency_in_progress"),
     .means = UNSURE},
    {"too many", WIRE_CHARGE, .status = 429, .body = FAULT("rate_limited"),
     .means = {.verdict = GW_REFUSED, .code = FAILURE_PROVIDER_BUSY, .retry_later = true}},
    {"internal", WIRE_CHARGE, .status = 500, .body = FAULT("internal"), .otherwise = GW_REFUSED,
     .means = UNSURE},
    {"unavailable", WIRE_CHARGE, .status = 503, .body = FAULT("unavailable"),
     .otherwise = GW_REFUSED, .means = UNSURE},

    {"pending", WIRE_QUERY, .status = 200, .body = PAYMENT("pending", ON_PHONE, "null"),
     .means = {.verdict = GW_PENDING, ABOUT, .action = "approve_on_phone"}},
    {"processing", WIRE_QUERY, .status = 200, .body = LIST(PAYMENT("processing", "null", "null")),
     .means = {.verdict = GW_PENDING, ABOUT, .acted = true}},
    {"paid", WIRE_QUERY, .status = 200, .body = PAYMENT("completed", "null", "null"),
     .means = MEANS_PAID},
    {"paid, by reference", WIRE_QUERY, .status = 200,
     .body = LIST(PAYMENT("completed", "null", "null")), .means = MEANS_PAID},
    {"paid and refunded", WIRE_QUERY, .status = 200,
     .body = PAYMENT("partially_refunded", "null", "null"), .means = MEANS_PAID},
    {"paid and disputed", WIRE_QUERY, .status = 200, .body = PAYMENT("disputed", "null", "null"),
     .means = MEANS_PAID},
    {"failed", WIRE_QUERY, .status = 200,
     .body = PAYMENT("failed", "null", BECAUSE("insufficient_funds", "false")),
     .means = {.verdict = GW_FAILED, .code = FAILURE_INSUFFICIENT_FUNDS, ABOUT}},
    {"failed for good", WIRE_QUERY, .status = 200,
     .body = PAYMENT("failed", "null", BECAUSE("payer_rejected", "true")),
     .means = {.verdict = GW_FAILED, .code = FAILURE_CANCELLED_BY_CUSTOMER, .sure = true, ABOUT}},
    {"expired", WIRE_QUERY, .status = 200, .body = PAYMENT("expired", "null", "null"),
     .means = {.verdict = GW_FAILED, .code = FAILURE_CUSTOMER_TIMEOUT, .sure = true, ABOUT}},
    {"no such reference", WIRE_QUERY, .status = 200, .body = LIST(""),
     .means = {.verdict = GW_NOT_FOUND}},
    {"no such id", WIRE_QUERY, .status = 404, .body = FAULT("not_found"), .means = UNSURE},
    {"unavailable", WIRE_QUERY, .status = 503, .body = FAULT("unavailable"),
     .otherwise = GW_REFUSED, .means = UNSURE},

    {"code right", WIRE_CONFIRM, .status = 200, .body = PAYMENT("pending", "null", "null"),
     .means = {.verdict = GW_PENDING, ABOUT, .acted = true}},
    {"code right, at work", WIRE_CONFIRM, .status = 200,
     .body = PAYMENT("processing", "null", "null"),
     .means = {.verdict = GW_PENDING, ABOUT, .acted = true}},
    {"one more code", WIRE_CONFIRM, .status = 200, .body = PAYMENT("pending", ON_CODE, "null"),
     .means = {.verdict = GW_PENDING, ABOUT, .action = "\"type\":\"otp\""}},
    {"paid by the code", WIRE_CONFIRM, .status = 200, .body = PAYMENT("completed", "null", "null"),
     .means = MEANS_PAID},
    {"code wrong", WIRE_CONFIRM, .status = 400, .body = FIELD_FAULT("invalid_request", "code"),
     .means = REFUSED_BY(WRONG_PIN)},
    {"no code expected", WIRE_CONFIRM, .status = 409, .body = FAULT("invalid_state"),
     .otherwise = GW_REFUSED, .means = UNSURE},
    {"internal", WIRE_CONFIRM, .status = 500, .body = FAULT("internal"), .otherwise = GW_REFUSED,
     .means = UNSURE},

    {"what there is", WIRE_BALANCE, .status = 200,
     .body = "{\"balances\":[{\"currency\":\"RWF\",\"available\":1000000,\"pending\":0},"
             "{\"currency\":\"KES\",\"available\":-250,\"pending\":100}]}",
     .means = {.verdict = GW_SUCCEEDED, .balances = " RWF 1000000 0; KES -250 100;"}},
    {"fault", WIRE_BALANCE, .status = 500, .body = FAULT("internal"), .means = UNSURE},
    {"taken back", WIRE_CANCEL, .status = 200, .body = PAYMENT("cancelled", "null", "null"),
     .means = {.verdict = GW_FAILED, .code = FAILURE_CANCELLED_BY_CUSTOMER, .sure = true, ABOUT}},
    {"not yet", WIRE_CANCEL, .status = 200, .body = PAYMENT("processing", "null", "null"),
     .means = {.verdict = GW_PENDING, ABOUT, .acted = true}},
    {"paid before", WIRE_CANCEL, .status = 200, .body = PAYMENT("completed", "null", "null"),
     .means = MEANS_PAID},
    {"has ended", WIRE_CANCEL, .status = 409, .body = FAULT("invalid_state"),
     .otherwise = GW_REFUSED, .means = UNSURE},
    {"no such id", WIRE_CANCEL, .status = 404, .body = FAULT("not_found"),
     .means = REFUSED_BY(CONFIGURATION)},
    {"internal", WIRE_CANCEL, .status = 500, .body = FAULT("internal"), .otherwise = GW_REFUSED,
     .means = UNSURE},

    {"taken", WIRE_REFUND, .status = 201, .body = REFUND("pending", "null"),
     .means = {.verdict = GW_ACCEPTED, ABOUT_REFUND}},
    {"given back at once", WIRE_REFUND, .status = 201, .body = REFUND("completed", "null"),
     .means = GIVEN_BACK},
    {"too much", WIRE_REFUND, .status = 409, .body = FAULT("refund_exceeds_payment"),
     .means = REFUSED_BY(AMOUNT_INVALID)},
    {"not paid", WIRE_REFUND, .status = 409, .body = FAULT("invalid_state"),
     .means = REFUSED_BY(DECLINED)},
    {"key taken", WIRE_REFUND, .status = 409, .body = FAULT("idempotency_conflict"),
     .means = UNSURE},
    {"internal", WIRE_REFUND, .status = 500, .body = FAULT("internal"), .otherwise = GW_REFUSED,
     .means = UNSURE},

    {"pending", WIRE_REFUND_QUERY, .status = 200, .body = LIST(REFUND("pending", "null")),
     .means = {.verdict = GW_PENDING, ABOUT_REFUND}},
    {"given back", WIRE_REFUND_QUERY, .status = 200, .body = LIST(REFUND("completed", "null")),
     .means = GIVEN_BACK},
    {"no such reference", WIRE_REFUND_QUERY, .status = 200, .body = LIST(""),
     .means = {.verdict = GW_NOT_FOUND}},
    {"unavailable", WIRE_REFUND_QUERY, .status = 503, .body = FAULT("unavailable"),
     .otherwise = GW_REFUSED, .means = UNSURE},

    {"paid", WIRE_CALLBACK,
     .body = EVENT("payment.completed", PAYMENT("completed", "null", "null")), .means = MEANS_PAID},
    {"failed", WIRE_CALLBACK,
     .body = EVENT("payment.failed", PAYMENT("failed", "null", BECAUSE("declined", "true"))),
     .means = {.verdict = GW_FAILED, .code = FAILURE_DECLINED, .sure = true, ABOUT}},
    {"cancelled", WIRE_CALLBACK,
     .body = EVENT("payment.cancelled", PAYMENT("cancelled", "null", "null")),
     .means = {.verdict = GW_FAILED, .code = FAILURE_CANCELLED_BY_CUSTOMER, .sure = true, ABOUT}},
    {"processing", WIRE_CALLBACK,
     .body = EVENT("payment.processing", PAYMENT("processing", "null", "null")),
     .means = {.verdict = GW_PENDING, ABOUT, .acted = true}},
    {"dispute lost", WIRE_CALLBACK,
     .body = EVENT("payment.dispute_closed", PAYMENT("refunded", "null", "null")),
     .means = MEANS_DISPUTED(GW_REVERSED, GW_DISPUTE_LOST, "refunded")},
    {"dispute won", WIRE_CALLBACK,
     .body = EVENT("payment.dispute_closed", PAYMENT("completed", "null", "null")),
     .means = MEANS_DISPUTED(GW_SUCCEEDED, GW_DISPUTE_WON, "completed")},
    {"disputed", WIRE_CALLBACK,
     .body = EVENT("payment.disputed", PAYMENT("disputed", "null", "null")),
     .means = MEANS_DISPUTED(GW_SUCCEEDED, GW_DISPUTE_OPEN, "disputed")},
    {"event and object disagree", WIRE_CALLBACK,
     .body = EVENT("payment.failed", PAYMENT("completed", "null", "null")),
     .means = {.verdict = GW_UNKNOWN, .our_id = OUR_ID}},
    {"an event nobody knows", WIRE_CALLBACK,
     .body = EVENT("payment.parked", PAYMENT("completed", "null", "null")),
     .means = {.verdict = GW_UNKNOWN, .our_id = OUR_ID}},
    {"a refund's event", WIRE_CALLBACK,
     .body = EVENT("refund.completed", REFUND("completed", "null")),
     .means = {.not_ours = true, .our_id = OUR_REFUND}},

    {"given back", WIRE_REFUND_CALLBACK,
     .body = EVENT("refund.completed", REFUND("completed", "null")), .means = GIVEN_BACK},
    {"not given back", WIRE_REFUND_CALLBACK,
     .body = EVENT("refund.failed", REFUND("failed", BECAUSE("payer_not_found", "true"))),
     .means =
         {.verdict = GW_FAILED, .code = FAILURE_CUSTOMER_UNREACHABLE, .sure = true, ABOUT_REFUND}},
    {"a payout's event", WIRE_REFUND_CALLBACK,
     .body = EVENT("payout.completed", PAYOUT("completed", "null")),
     .means = {.not_ours = true, .our_id = OUR_PAYOUT}},
    {"a payment's event", WIRE_REFUND_CALLBACK,
     .body = EVENT("payment.completed", PAYMENT("completed", "null", "null")),
     .means = {.not_ours = true, .our_id = OUR_ID}},

    {"taken", WIRE_PAYOUT, .status = 201, .body = PAYOUT("pending", "null"),
     .means = {.verdict = GW_ACCEPTED, ABOUT_PAYOUT}},
    {"paid out at once", WIRE_PAYOUT, .status = 201, .body = PAYOUT("completed", "null"),
     .means = PAID_OUT(GW_SUCCEEDED)},
    {"failed at once", WIRE_PAYOUT, .status = 201,
     .body = PAYOUT("failed", BECAUSE("payer_not_found", "true")),
     .means =
         {.verdict = GW_FAILED, .code = FAILURE_CUSTOMER_UNREACHABLE, .sure = true, ABOUT_PAYOUT}},
    {"there before, and came back", WIRE_PAYOUT, .status = 200, .body = PAYOUT("returned", "null"),
     .means = UNSURE},
    {"a status of payments", WIRE_PAYOUT, .status = 201, .body = PAYOUT("processing", "null"),
     .means = UNSURE},
    {"our balance", WIRE_PAYOUT, .status = 402, .body = FAULT("insufficient_funds"),
     .means = REFUSED_BY(INSUFFICIENT_FUNDS)},
    {"number", WIRE_PAYOUT, .status = 400, .body = FAULT("invalid_msisdn"),
     .means = REFUSED_BY(DECLINED)},
    {"too many", WIRE_PAYOUT, .status = 429, .body = FAULT("rate_limited"),
     .means = {.verdict = GW_REFUSED, .code = FAILURE_PROVIDER_BUSY, .retry_later = true}},
    {"reference taken", WIRE_PAYOUT, .status = 409, .body = FAULT("duplicate_reference"),
     .means = UNSURE},
    {"internal", WIRE_PAYOUT, .status = 500, .body = FAULT("internal"), .otherwise = GW_REFUSED,
     .means = UNSURE},

    {"pending", WIRE_PAYOUT_QUERY, .status = 200, .body = LIST(PAYOUT("pending", "null")),
     .means = {.verdict = GW_PENDING, ABOUT_PAYOUT}},
    {"paid out", WIRE_PAYOUT_QUERY, .status = 200, .body = LIST(PAYOUT("completed", "null")),
     .means = PAID_OUT(GW_SUCCEEDED)},
    {"came back", WIRE_PAYOUT_QUERY, .status = 200, .body = LIST(PAYOUT("returned", "null")),
     .means = PAID_OUT(GW_REVERSED)},
    {"not paid out", WIRE_PAYOUT_QUERY, .status = 200,
     .body = LIST(PAYOUT("failed", BECAUSE("declined", "true"))),
     .means = {.verdict = GW_FAILED, .code = FAILURE_DECLINED, .sure = true, ABOUT_PAYOUT}},
    {"no such reference", WIRE_PAYOUT_QUERY, .status = 200, .body = LIST(""),
     .means = {.verdict = GW_NOT_FOUND}},
    {"a refund", WIRE_PAYOUT_QUERY, .status = 200, .body = LIST(REFUND("completed", "null")),
     .means = UNSURE},
    {"unavailable", WIRE_PAYOUT_QUERY, .status = 503, .body = FAULT("unavailable"),
     .otherwise = GW_REFUSED, .means = UNSURE},

    {"paid out", WIRE_PAYOUT_CALLBACK,
     .body = EVENT("payout.completed", PAYOUT("completed", "null")),
     .means = PAID_OUT(GW_SUCCEEDED)},
    {"came back", WIRE_PAYOUT_CALLBACK,
     .body = EVENT("payout.returned", PAYOUT("returned", "null")), .means = PAID_OUT(GW_REVERSED)},
    {"not paid out", WIRE_PAYOUT_CALLBACK,
     .body = EVENT("payout.failed", PAYOUT("failed", BECAUSE("declined", "true"))),
     .means = {.verdict = GW_FAILED, .code = FAILURE_DECLINED, .sure = true, ABOUT_PAYOUT}},
    {"event and object disagree", WIRE_PAYOUT_CALLBACK,
     .body = EVENT("payout.failed", PAYOUT("completed", "null")),
     .means = {.verdict = GW_UNKNOWN, .our_id = OUR_PAYOUT}},
    {"a refund's event", WIRE_PAYOUT_CALLBACK,
     .body = EVENT("refund.completed", REFUND("completed", "null")),
     .means = {.not_ours = true, .our_id = OUR_REFUND}},
    {.name = NULL},
};

/* ---- signatures (section 7) ---- */

static void sign(const struct str *secrets, size_t n, struct str body, int64_t now_s,
                 struct arena *mem, struct gw_webhook *out)
{
    struct buf header;
    char time[24];
    (void)snprintf(time, sizeof time, "%lld", (long long)now_s);
    buf_init(&header, 4096);
    buf_fmt(&header, "t=%s", time);
    for (size_t i = 0; i < n; i++) {
        uint8_t mac[SHA256_LEN];
        const struct str parts[] = {str_c(time), STR("."), body};
        hmac_sha256(secrets[i], parts, COUNT_OF(parts), mac);
        buf_c(&header, ",v1=");
        hex_add(&header, str_n((const char *)mac, sizeof mac));
    }
    out->signature = arena_dup(mem, buf_view(&header));
    buf_free(&header);
}

static const char *const bad_phones[] = {"+25078123456789012", "+2507812", NULL};

static const char *const personal[] = {"250781234567", "Uwase",     "Aline",
                                       "a@b.rw",       "tok_5Hd82", NULL};

const struct fixture fixture_cpay = {
    .name = "cpay",
    .can = {.methods = "cpay,wallet,redirect,mobile_money",
            .min_minor = 1,
            .not_found_is_final = true,
            .may_resend = true,
            .may_revoke = true,
            .our_id_is_ref = true,
            .n_refund_rails = 1,
            .refund_rails = {REFUND_RAIL_REVERSAL},
            .our_id_rails = 1u << REFUND_RAIL_REVERSAL,
            .payout_min_minor = 1,
            .payout_may_resend = true,
            .payout_our_id_is_ref = true,
            .signature_header = "cpay-signature"},
    .settings = settings,
    .base_url = "https://api.cpay.test/v1",
    .token = "",
    .charge = {.amount = RWF(150000),
               .method = {"wallet", 6},
               .phone = {"+250781234567", 13},
               .pay_code = {"RL0K7Q2ZD913", 12},
               .our_id = {OUR_ID, 64},
               .description = {"Order 20931", 11},
               .callback_url = {"https://pay.example.rw/cb/9f2c71", 32},
               .expires_us = NOW_US + 15 * US_PER_MIN - 20 * US_PER_MS,
               .now_us = NOW_US},
    .n_refunds = 1,
    .refunds = {{.rail = REFUND_RAIL_REVERSAL,
                 .amount = RWF(50000),
                 .payment_receipt = {"cpm_01J8Z0DEMO", 14},
                 .payment_ref = {"cpm_01J8Z0DEMO", 14},
                 .phone = {"+250781234567", 13},
                 .our_id = {OUR_REFUND, 36},
                 .remarks = {"Broken", 6},
                 .callback_url = {"https://pay.example.rw/cb/9f2c72", 32},
                 .now_us = NOW_US}},
    .payout = {.amount = RWF(70000),
               .phone = {"+250781234567", 13},
               .name = {"Aline U.", 8},
               .our_id = {OUR_PAYOUT, 36},
               .purpose = {"salary", 6},
               .remarks = {"July", 4},
               .callback_url = {"https://pay.example.rw/cb/9f2c73", 32},
               .now_us = NOW_US},
    .query_ref = "cpm_01J8Z0DEMO",
    .requests = requests,
    .shapes = shapes,
    .bad_phones = bad_phones,
    .personal = personal,
    .idempotency_header = "Idempotency-Key",
    .sign = sign,
    .sign_setting = "webhook_secret",
    .sign_tolerance_s = 300,
    .signature = {.secret = "cpw_test",
                  .body = "{\"id\":\"evt_01J8Z0DEMO\",\"type\":\"payment.completed\"}",
                  .signature = "t=1767960000,v1="
                               "e0363d0c987a6cccfb9d094af94b27ad8d3b2c277521eb06721cfa78ba20d4f4",
                  .now_s = 1767960000},
    .minor_units = true,
};
