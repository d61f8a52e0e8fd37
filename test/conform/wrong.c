/* The kit's own test: the toy's fixture, and what each fault of its adapter must be noticed by. */
#include "core/crypto/mac.h"
#include "core/crypto/text.h"
#include "test/conform/toy.h"

const struct wrong wrongs[] = {
#define X(name, checks) {#name, checks},
    TOY_FAULTS(X)
#undef X
        {NULL, NULL},
};

const struct gateway *wrong_gateway(size_t i)
{
    return toy_gateway((enum toy_fault)i);
}

/* ---- the fixture ---- */

#define KES(minor_)                                            \
    {                                                          \
        .minor = (minor_), .currency = CURRENCY('K', 'E', 'S') \
    }
#define HEADERS "Authorization: Toy " TOY_KEY " toy-token-1", "Accept: application/json"
#define OBJECT(status, more)                                                                       \
    "{\"status\": " CODE("\"" status "\"") ", \"id\": " ID("\"" TOY_OUR_ID "\"") ", \"ref\": " ID( \
        "\"" TOY_REF "\"") ", \"words\": \"Fine\"" more "}"
#define PAID OBJECT("paid", ", \"receipt\": \"R-19\", \"amount\": " AMOUNT("125000"))
#define PAID_OUT \
    OBJECT("paid", ", \"out\": true, \"receipt\": \"R-19\", \"amount\": " AMOUNT("125000"))
#define ABOUT .provider_ref = TOY_REF, .our_id = TOY_OUR_ID
#define MEANS_PAID                                                                  \
    {                                                                               \
        .verdict = GW_SUCCEEDED, ABOUT, .receipt = "R-19", .amount = KES(TOY_MINOR) \
    }
#define MEANS_FAILED                                          \
    {                                                         \
        .verdict = GW_FAILED, .code = FAILURE_DECLINED, ABOUT \
    }
#define MEANS_REFUSED                                   \
    {                                                   \
        .verdict = GW_REFUSED, .code = FAILURE_DECLINED \
    }
#define UNSURE                \
    {                         \
        .verdict = GW_UNKNOWN \
    }
#define REFUSED "{\"error\": " CODE("\"refused\"") "}"

static const struct sample settings[] = {{"key", TOY_KEY}, {"hook", TOY_HOOK}, {NULL, NULL}};

static const struct wire_request requests[] = {
    {.name = "token",
     .op = WIRE_TOKEN,
     .method = "GET",
     .url = "https://api.toy.test/token",
     .headers = {"Authorization: Toy " TOY_KEY " ", "Accept: application/json"}},
    {.name = "charge",
     .op = WIRE_CHARGE,
     .method = "POST",
     .url = "https://api.toy.test/pay",
     .headers = {HEADERS, "Idempotency-Key: " TOY_OUR_ID},
     .body = "{\"id\":\"" TOY_OUR_ID "\",\"amount\":125000,\"phone\":\"" TOY_PHONE "\","
             "\"words\":\"Order\"}"},
    {.name = "query",
     .op = WIRE_QUERY,
     .method = "GET",
     .url = "https://api.toy.test/pay/" TOY_REF,
     .headers = {HEADERS}},
    {.name = "balance",
     .op = WIRE_BALANCE,
     .method = "GET",
     .url = "https://api.toy.test/balance",
     .headers = {HEADERS}},
    {.name = "refund",
     .op = WIRE_REFUND,
     .method = "POST",
     .url = "https://api.toy.test/back",
     .headers = {HEADERS, "Idempotency-Key: refund-1"},
     .body = "{\"id\":\"refund-1\",\"ref\":\"" TOY_REF "\",\"amount\":50000}"},
    {.name = "payout",
     .op = WIRE_PAYOUT,
     .method = "POST",
     .url = "https://api.toy.test/out",
     .headers = {HEADERS, "Idempotency-Key: " TOY_OUR_ID},
     .body = "{\"id\":\"" TOY_OUR_ID "\",\"amount\":125000,\"phone\":\"" TOY_PHONE "\"}"},
    {.name = "payout query",
     .op = WIRE_PAYOUT_QUERY,
     .method = "GET",
     .url = "https://api.toy.test/out/" TOY_REF,
     .headers = {HEADERS}},
    {.name = NULL},
};

static const struct wire_shape shapes[] = {
    {"token", WIRE_TOKEN, .status = 200, .body = "{\"token\": \"toy-token-1\", \"life\": 3600}"},
    {"taken", WIRE_CHARGE, .status = 200, .body = OBJECT("new", ""),
     .means = {.verdict = GW_ACCEPTED, ABOUT}},
    {"refused", WIRE_CHARGE, .status = 400, .body = REFUSED, .means = MEANS_REFUSED},
    {"parked", WIRE_CHARGE, .status = 200, .body = OBJECT("parked", ""), .means = UNSURE},
    {"new", WIRE_QUERY, .status = 200, .body = OBJECT("new", ""),
     .means = {.verdict = GW_PENDING, ABOUT}},
    {"paid", WIRE_QUERY, .status = 200, .body = PAID, .means = MEANS_PAID},
    {"failed", WIRE_QUERY, .status = 200, .body = OBJECT("failed", ""), .means = MEANS_FAILED},
    {"error", WIRE_QUERY, .status = 500, .body = REFUSED, .means = UNSURE},
    {"taken", WIRE_REFUND, .status = 200, .body = OBJECT("new", ""),
     .means = {.verdict = GW_ACCEPTED, ABOUT}},
    {"refused", WIRE_REFUND, .status = 400, .body = REFUSED, .means = MEANS_REFUSED},
    {"parked", WIRE_REFUND, .status = 200, .body = OBJECT("parked", ""), .means = UNSURE},
    {"taken", WIRE_PAYOUT, .status = 200, .body = OBJECT("new", ""),
     .means = {.verdict = GW_ACCEPTED, ABOUT}},
    {"refused", WIRE_PAYOUT, .status = 400, .body = REFUSED, .means = MEANS_REFUSED},
    {"parked", WIRE_PAYOUT, .status = 200, .body = OBJECT("parked", ""), .means = UNSURE},
    {"new", WIRE_PAYOUT_QUERY, .status = 200, .body = OBJECT("new", ""),
     .means = {.verdict = GW_PENDING, ABOUT}},
    {"paid", WIRE_PAYOUT_QUERY, .status = 200, .body = PAID, .means = MEANS_PAID},
    {"error", WIRE_PAYOUT_QUERY, .status = 500, .body = REFUSED, .means = UNSURE},
    {"paid", WIRE_PAYOUT_CALLBACK, .body = PAID_OUT, .means = MEANS_PAID},
    {"failed", WIRE_PAYOUT_CALLBACK, .body = OBJECT("failed", ", \"out\": true"),
     .means = MEANS_FAILED},
    {"parked", WIRE_PAYOUT_CALLBACK, .body = OBJECT("parked", ", \"out\": true"),
     .means = {.verdict = GW_UNKNOWN, .our_id = TOY_OUR_ID}},
    {"a payment's", WIRE_PAYOUT_CALLBACK, .body = PAID,
     .means = {.not_ours = true, .our_id = TOY_OUR_ID}},
    {"what there is", WIRE_BALANCE, .status = 200, .body = "{\"balance\": 125000, \"pending\": 10}",
     .means = {.verdict = GW_SUCCEEDED, .balances = " KES 125000 10;"}},
    {"error", WIRE_BALANCE, .status = 500, .body = REFUSED, .means = UNSURE},
    {"paid", WIRE_CALLBACK, .body = PAID, .means = MEANS_PAID},
    {"disputed", WIRE_CALLBACK,
     .body = "{\"status\": \"disputed\", \"ref\": \"" TOY_REF
             "\", \"dispute\": \"D-1\", \"amount\": 125000}",
     .means = {.verdict = GW_PENDING,
               .about = TOY_REF,
               .dispute = {.id = {"D-1", 3}, .amount = KES(TOY_MINOR)}}},
    {"failed", WIRE_CALLBACK, .body = OBJECT("failed", ""), .means = MEANS_FAILED},
    {"parked", WIRE_CALLBACK, .body = OBJECT("parked", ", \"phone\": \"" TOY_PHONE "\""),
     .means = {.verdict = GW_UNKNOWN, .our_id = TOY_OUR_ID}},
    {.name = NULL},
};

static const struct wire_receipt receipts[] = {
    {.name = "sent",
     .body = "{\"receipt\": \"R-20\", \"for\": \"A-1\", \"amount\": " AMOUNT("5000") "}",
     .receipt = "R-20",
     .reference = "A-1",
     .amount = KES(5000)},
    {.name = NULL},
};

static void sign(const struct str *secrets, size_t n, struct str body, int64_t now_s,
                 struct arena *mem, struct gw_webhook *out)
{
    struct buf header;
    struct str time = arena_fmt(mem, "%lld", (long long)now_s);
    buf_init(&header, 4096);
    buf_fmt(&header, "t=%.*s", STR_ARG(time));
    for (size_t i = 0; i < n; i++) {
        uint8_t mac[SHA256_LEN];
        const struct str parts[] = {time, STR("."), body};
        hmac_sha256(secrets[i], parts, COUNT_OF(parts), mac);
        buf_c(&header, ",v1=");
        hex_add(&header, str_n((const char *)mac, sizeof mac));
    }
    out->signature = arena_dup(mem, buf_view(&header));
    buf_free(&header);
}

static const char *const personal[] = {"254711223344", NULL};

const struct fixture fixture_toy = {
    .name = "toy",
    .can = {.methods = "toy",
            .currencies = "KES",
            .countries = "KE",
            .min_minor = 100,
            .max_minor = 10000000,
            .needs_phone = true,
            .whole_units = true,
            .may_resend = true,
            .our_id_is_ref = true,
            .token_methods = "toy",
            .token_ref = "token",
            .n_refund_rails = 1,
            .refund_rails = {REFUND_RAIL_REVERSAL},
            .payout_min_minor = TOY_PAYOUT_MIN,
            .payout_max_minor = 10000000,
            .payout_may_resend = true,
            .payout_our_id_is_ref = true,
            .signature_header = "toy-signature"},
    .document = "test/conform/toy.md",
    .readme = "test/conform/toy.md",
    .settings = settings,
    .base_url = "https://api.toy.test",
    .token = "toy-token-1",
    .charge = {.amount = KES(TOY_MINOR),
               .phone = {TOY_PHONE, 13},
               .our_id = {TOY_OUR_ID, 36},
               .description = {"Order", 5},
               .now_us = TOY_NOW_US},
    .n_refunds = 1,
    .refunds = {{.rail = REFUND_RAIL_REVERSAL,
                 .amount = KES(50000),
                 .payment_ref = {TOY_REF, 6},
                 .our_id = {"refund-1", 8},
                 .now_us = TOY_NOW_US}},
    .payout = {.amount = KES(TOY_MINOR),
               .phone = {TOY_PHONE, 13},
               .our_id = {TOY_OUR_ID, 36},
               .now_us = TOY_NOW_US},
    .query_ref = TOY_REF,
    .requests = requests,
    .shapes = shapes,
    .receipts = receipts,
    .personal = personal,
    .idempotency_header = "Idempotency-Key",
    .sign = sign,
    .sign_setting = "hook",
    .sign_tolerance_s = 300,
    /* Computed by another program. */
    .signature = {.secret = "s",
                  .body = "{}",
                  .signature = "t=1767960000,v1="
                               "8135283d8ccfa99948981333de98f9a1b726c9aed65c7372cddd4817e9779bdc",
                  .now_s = 1767960000},
    .minor_units = true,
};
