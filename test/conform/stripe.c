/* Stripe: the shapes of its reference, version 2026-10-28.endive (Checkout 4.2, PaymentIntents 4.1,
 * refunds 6, events and signatures 8, errors 9, statuses 10). */
#include "core/crypto/mac.h"
#include "core/crypto/text.h"
#include "test/conform/conform.h"

#define USD(minor_)                                            \
    {                                                          \
        .minor = (minor_), .currency = CURRENCY('U', 'S', 'D') \
    }
/* Of 1760000000 s, as the first part of a UUIDv7. */
#define OUR_ID "0199c82cc0007abc8def0123456789ab0123456789abcdef0123456789abcdef"
#define OUR_REFUND "0199c82cc0017abc8def0123456789ab0123456789abcdef0123456789abcdef"
#define NOW_US (INT64_C(1760000000) * US_PER_S)
#define SESSION_ID "cs_test_reliDemo01"
#define INTENT_ID "pi_3QaReliDemo0001"
#define REFUND_ID "re_reliDemo01"
#define DISPUTE_ID "dp_reliDemo01"
#define PM_VISA            \
    {                      \
        "pm_card_visa", 12 \
    }
#define PM_NONE \
    {           \
        "", 0   \
    }

static const struct sample settings[] = {
    {"api_key", "sk_test_conform4Rq8"},
    {"webhook_secret", "whsec_conform_7Yd2"},
    {NULL, NULL},
};

/* ---- requests ---- */

#define HEADERS                                                                       \
    "Authorization: Bearer sk_test_conform4Rq8", "Stripe-Version: 2026-10-28.endive", \
        "Accept: application/json"
#define POSTED(key)                                                                         \
    {                                                                                       \
        HEADERS, "Content-Type: application/x-www-form-urlencoded", "Idempotency-Key: " key \
    }

#define CHARGE(token_)                                                                           \
    {                                                                                            \
        .amount = USD(5000), .method = {"card", 4}, .method_token = token_,                      \
        .phone = {"+250781234567", 13}, .email = {"a@b.example", 11},                            \
        .pay_code = {"RL0K7Q2ZD913", 12}, .our_id = {OUR_ID, 64},                                \
        .description = {"Order 20931", 11}, .return_url = {"https://shop.example/back?o=1", 29}, \
        .callback_url = {"https://pay.example.rw/cb/9f2c71", 32},                                \
        .expires_us = NOW_US + 40 * US_PER_MIN, .now_us = NOW_US                                 \
    }
static const struct gw_charge by_token = CHARGE(PM_VISA);

static const struct wire_request requests[] = {
    {.name = "page",
     .op = WIRE_CHARGE,
     .method = "POST",
     .url = "https://api.stripe.com/v1/checkout/sessions",
     .headers = POSTED(OUR_ID),
     .body = "mode=payment&client_reference_id=" OUR_ID "&metadata[reli]=" OUR_ID
             "&payment_intent_data[metadata][reli]=" OUR_ID
             "&payment_intent_data[metadata][reli_by]=page&line_items[0][quantity]=1"
             "&line_items[0][price_data][currency]=usd"
             "&line_items[0][price_data][unit_amount]=5000"
             "&line_items[0][price_data][product_data][name]=Order%2020931"
             "&success_url=https%3A%2F%2Fshop.example%2Fback%3Fo%3D1"
             "&cancel_url=https%3A%2F%2Fshop.example%2Fback%3Fo%3D1"
             "&customer_email=a%40b.example&allowed_payment_method_types[0]=card"
             "&expires_at=1760002400"},
    {.name = "token",
     .op = WIRE_CHARGE,
     .charge = &by_token,
     .method = "POST",
     .url = "https://api.stripe.com/v1/payment_intents",
     .headers = POSTED(OUR_ID),
     .body = "amount=5000&currency=usd&payment_method=pm_card_visa&confirm=true"
             "&allowed_payment_method_types[0]=card"
             "&return_url=https%3A%2F%2Fshop.example%2Fback%3Fo%3D1&description=Order%2020931"
             "&metadata[reli]=" OUR_ID "&metadata[reli_by]=token"},
    {.name = "query of an intent by id",
     .op = WIRE_QUERY,
     .provider_ref = INTENT_ID,
     .method = "GET",
     .url = "https://api.stripe.com/v1/payment_intents/" INTENT_ID,
     .headers = {HEADERS}},
    {.name = "query of an intent by our id",
     .op = WIRE_QUERY,
     .provider_ref = "intent." OUR_ID,
     .method = "GET",
     .url = "https://api.stripe.com/v1/payment_intents?limit=100&created[gte]=1759999700"
            "&created[lte]=1760000300",
     .headers = {HEADERS}},
    {.name = "query by id",
     .op = WIRE_QUERY,
     .provider_ref = SESSION_ID,
     .method = "GET",
     .url = "https://api.stripe.com/v1/checkout/sessions/" SESSION_ID "?expand[0]=payment_intent",
     .headers = {HEADERS}},
    {.name = "query by our id",
     .op = WIRE_QUERY,
     .provider_ref = OUR_ID,
     .method = "GET",
     .url = "https://api.stripe.com/v1/checkout/sessions?limit=100&created[gte]=1759999700"
            "&created[lte]=1760000300",
     .headers = {HEADERS}},
    {.name = "end of a page",
     .op = WIRE_CANCEL,
     .method = "POST",
     .url = "https://api.stripe.com/v1/checkout/sessions/" SESSION_ID "/expire",
     .headers = POSTED(ACT_KEY)},
    {.name = "end of an intent",
     .op = WIRE_CANCEL,
     .provider_ref = INTENT_ID,
     .method = "POST",
     .url = "https://api.stripe.com/v1/payment_intents/" INTENT_ID "/cancel",
     .headers = POSTED(ACT_KEY),
     .body = "cancellation_reason=requested_by_customer"},
    {.name = "balance",
     .op = WIRE_BALANCE,
     .method = "GET",
     .url = "https://api.stripe.com/v1/balance",
     .headers = {HEADERS}},
    {.name = "refund",
     .op = WIRE_REFUND,
     .method = "POST",
     .url = "https://api.stripe.com/v1/refunds",
     .headers = POSTED(OUR_REFUND),
     .body = "payment_intent=" INTENT_ID "&amount=2000&reason=requested_by_customer"
             "&metadata[reli]=" OUR_REFUND "&metadata[reli_by]=refund&metadata[remarks]=Broken"},
    {.name = "what became of a refund",
     .op = WIRE_REFUND_QUERY,
     .provider_ref = OUR_REFUND,
     .method = "GET",
     .url = "https://api.stripe.com/v1/refunds?payment_intent=" INTENT_ID "&limit=100",
     .headers = {HEADERS}},
    {.name = NULL},
};

/* ---- objects ---- */

/* clang-format off */
#define SESSION(status, paid, total, intent, url)                                             \
    "{\"id\": " ID("\"" SESSION_ID "\"") ", \"object\": " CODE("\"checkout.session\"")        \
    ", \"amount_total\": " total ", \"client_reference_id\": \"" OUR_ID                       \
    "\", \"created\": 1760000000, \"currency\": \"usd\", \"customer_details\": "              \
    "{\"email\": \"a@b.example\", \"name\": \"Uwase\"}, \"customer_email\": "                 \
    "\"a@b.example\", \"expires_at\": 1760002400, \"livemode\": false, \"metadata\": "        \
    "{\"reli\": " ID("\"" OUR_ID "\"") "}, \"mode\": \"payment\", \"payment_intent\": "       \
    intent ", \"payment_status\": " CODE("\"" paid "\"") ", \"status\": "                     \
    CODE("\"" status "\"") ", \"url\": " url "}"
#define INTENT(status, received, error)                                                       \
    "{\"id\": \"" INTENT_ID "\", \"object\": " CODE("\"payment_intent\"")                     \
    ", \"amount\": 5000, \"amount_received\": " received ", \"cancellation_reason\": null, "  \
    "\"client_secret\": \"" INTENT_ID "_secret_kept\", \"currency\": \"usd\", "               \
    "\"last_payment_error\": " error ", \"livemode\": false, \"metadata\": {\"reli\": "       \
    ID("\"" OUR_ID "\"") ", \"reli_by\": \"page\"}, \"receipt_email\": "                 \
    "\"a@b.example\", \"status\": " CODE("\"" status "\"") "}"
#define REFUND(status, more)                                                                       \
    "{\"id\": \"" REFUND_ID "\", \"object\": " CODE("\"refund\"") ", \"amount\": "       \
    AMOUNT("2000") ", \"charge\": \"ch_reliDemo01\", \"created\": 1760000500, "              \
    "\"currency\": \"usd\", \"metadata\": {\"reli\": " ID("\"" OUR_REFUND "\"")          \
    ", \"reli_by\": \"refund\"}, \"payment_intent\": \"" INTENT_ID "\", \"reason\": "    \
    "\"requested_by_customer\", \"status\": " CODE("\"" status "\"") more "}"
#define DISPUTE(status)                                                                       \
    "{\"id\": " ID("\"" DISPUTE_ID "\"") ", \"object\": " CODE("\"dispute\"")             \
    ", \"amount\": 5000, \"charge\": \"ch_reliDemo01\", \"created\": 1760300000, "          \
    "\"currency\": \"usd\", \"evidence_details\": {\"due_by\": 1761000000, "               \
    "\"has_evidence\": false, \"past_due\": false, \"submission_count\": 0}, "              \
    "\"is_charge_refundable\": false, \"livemode\": false, \"payment_intent\": \""          \
    INTENT_ID "\", \"reason\": \"fraudulent\", \"status\": " CODE("\"" status "\"") "}"
#define BALANCE                                                                               \
    "{\"object\": " CODE("\"balance\"") ", \"available\": [{\"amount\": 120050, "             \
    "\"currency\": \"usd\", \"source_types\": {\"card\": 120050}}, {\"amount\": 0, "        \
    "\"currency\": \"kwd\"}], \"livemode\": false, \"pending\": [{\"amount\": -700, "        \
    "\"currency\": \"usd\", \"source_types\": {\"card\": -700}}]}"
#define LIST(items, more)                                                                     \
    "{\"object\": \"list\", \"url\": \"/v1/refunds\", \"has_more\": " more                    \
    ", \"data\": [" items "]}"
#define FAULT(type, code, more)                                                               \
    "{\"error\": {\"type\": " CODE("\"" type "\"") ", \"code\": " CODE("\"" code "\"")        \
    ", \"message\": \"No.\", \"doc_url\": \"https://docs.stripe.com/error-codes\"" more "}}"
#define EVENT(type, object)                                                                   \
    "{\"id\": \"evt_reliDemo01\", \"object\": \"event\", \"api_version\": "                   \
    "\"2026-10-28.endive\", \"created\": 1760000100, \"data\": {\"object\": " object          \
    "}, \"livemode\": false, \"pending_webhooks\": 1, \"request\": {\"id\": null, "           \
    "\"idempotency_key\": null}, \"type\": " CODE("\"" type "\"") "}"
/* clang-format on */

/* Of a token: confirmed as it was made. */
#define DIRECT(status, received, error, next)                                                      \
    "{\"id\": " ID("\"" INTENT_ID "\"") ", \"object\": " CODE(                                     \
        "\"payment_intent\"") ", \"amount\": 5000, \"amount_received\": " received                 \
                              ", \"cancellation_reason\": "                                        \
                              "null, \"client_secret\": \"" INTENT_ID                              \
                              "_secret_kept\", \"currency\": \"usd\", "                            \
                              "\"last_payment_error\": " error                                     \
                              ", \"livemode\": false, \"metadata\": "                              \
                              "{\"reli\": " ID("\"" OUR_ID "\"") ", \"reli_by\": \"token\"}, "     \
                                                                 "\"next_action\": " next          \
                                                                 ", \"status\": " CODE("\"" status \
                                                                                       "\"") "}"
#define BANK "https://hooks.stripe.com/3d_secure_2/hosted?demo=1"
#define ASKS                                                                        \
    DIRECT("requires_action", "0", "null",                                          \
           "{\"type\": \"redirect_to_url\", \"redirect_to_url\": {\"url\": \"" BANK \
           "\", \"return_url\": \"https://shop.example/back?o=1\"}}")
#define TAKEN DIRECT("succeeded", AMOUNT("5000"), "null", "null")
#define FALLEN                                                                \
    DIRECT("requires_payment_method", "0",                                    \
           "{\"type\": \"card_error\", \"code\": \"card_declined\", "         \
           "\"decline_code\": \"insufficient_funds\", \"message\": \"No.\"}", \
           "null")

#define PAGE "\"https://checkout.stripe.com/c/pay/" SESSION_ID "#fidTok77\""
#define BY_ID "\"" INTENT_ID "\""
#define OPEN SESSION("open", "unpaid", "5000", "null", PAGE)
#define PAID SESSION("complete", "paid", AMOUNT("5000"), BY_ID, "null")
/* "expand" puts the intent in the place of its id: what it has received counts, once it succeeded.
 */
#define EXPANDED                                                                              \
    "{\"id\": \"" INTENT_ID "\", \"object\": \"payment_intent\", \"amount\": 5000, "          \
    "\"amount_received\": " AMOUNT(                                                           \
        "5000") ", \"client_secret\": \"" INTENT_ID "_secret_kept\", \"currency\": \"usd\", " \
                "\"last_payment_error\": null, \"livemode\": "                                \
                "false, \"metadata\": {}, \"status\": " CODE("\"succeeded\"") "}"
#define PAID_EXPANDED SESSION("complete", "paid", "5000", EXPANDED, "null")
#define UNPAID SESSION("complete", "unpaid", "5000", BY_ID, "null")
#define EXPIRED SESSION("expired", "unpaid", "5000", "null", "null")
#define DECLINED_ERROR                                         \
    "{\"type\": \"card_error\", \"code\": \"card_declined\", " \
    "\"decline_code\": \"generic_decline\", \"message\": \"Your card was declined.\"}"

#define ABOUT .provider_ref = SESSION_ID, .our_id = OUR_ID
#define ABOUT_REFUND .provider_ref = OUR_REFUND, .our_id = OUR_REFUND
#define ABOUT_INTENT .provider_ref = INTENT_ID, .our_id = OUR_ID
#define MEANS_TAKEN                                                                      \
    {                                                                                    \
        .verdict = GW_SUCCEEDED, ABOUT_INTENT, .receipt = INTENT_ID, .amount = USD(5000) \
    }
#define MEANS_FALLEN                                                                         \
    {                                                                                        \
        .verdict = GW_FAILED, .code = FAILURE_INSUFFICIENT_FUNDS, .sure = true, ABOUT_INTENT \
    }
#define MEANS_PAID                                                                \
    {                                                                             \
        .verdict = GW_SUCCEEDED, ABOUT, .receipt = INTENT_ID, .amount = USD(5000) \
    }
#define MEANS_EXPIRED                                                               \
    {                                                                               \
        .verdict = GW_FAILED, .code = FAILURE_CUSTOMER_TIMEOUT, .sure = true, ABOUT \
    }
#define DISPUTED(state_, status_)                                            \
    .about = INTENT_ID, .dispute = {.id = {DISPUTE_ID, 13},                  \
                                    .state = state_,                         \
                                    .status = {status_, sizeof status_ - 1}, \
                                    .reason = {"fraudulent", 10},            \
                                    .amount = USD(5000),                     \
                                    .due_us = INT64_C(1761000000) * US_PER_S}
#define MEANS_DISPUTED(state_, status_)                  \
    {                                                    \
        .verdict = GW_PENDING, DISPUTED(state_, status_) \
    }
#define MEANS_LOST                                                                      \
    {                                                                                   \
        .verdict = GW_REVERSED, .receipt = INTENT_ID, DISPUTED(GW_DISPUTE_LOST, "lost") \
    }
#define MEANS_CANCELLED(...)                                                                   \
    {                                                                                          \
        .verdict = GW_FAILED, .code = FAILURE_CANCELLED_BY_CUSTOMER, .sure = true, __VA_ARGS__ \
    }
#define GIVEN_BACK                                                                       \
    {                                                                                    \
        .verdict = GW_SUCCEEDED, ABOUT_REFUND, .receipt = REFUND_ID, .amount = USD(2000) \
    }
#define REFUSED_BY(code_)                              \
    {                                                  \
        .verdict = GW_REFUSED, .code = FAILURE_##code_ \
    }
#define UNSURE_ABOUT                              \
    {                                             \
        .verdict = GW_UNKNOWN, .about = INTENT_ID \
    }
#define UNSURE_OF                               \
    {                                           \
        .verdict = GW_UNKNOWN, .our_id = OUR_ID \
    }
#define UNSURE                \
    {                         \
        .verdict = GW_UNKNOWN \
    }

static const struct wire_shape shapes[] = {
    {"page ready", WIRE_CHARGE, .status = 200, .body = OPEN,
     .means = {.verdict = GW_ACCEPTED,
               ABOUT,
               .action = "\"url\":\"https://checkout.stripe.com/c/pay/" SESSION_ID "#fidTok77\""}},
    {"answered again, paid meanwhile", WIRE_CHARGE, .status = 200, .body = PAID,
     .means = {.verdict = GW_ACCEPTED, ABOUT}},
    {"taken", WIRE_CHARGE, .status = 200, .body = TAKEN,
     .means = {.verdict = GW_ACCEPTED, ABOUT_INTENT}},
    {"the bank asks", WIRE_CHARGE, .status = 200, .body = ASKS,
     .means = {.verdict = GW_ACCEPTED, ABOUT_INTENT, .action = "\"url\":\"" BANK "\""}},
    {"amount", WIRE_CHARGE, .status = 400,
     .body = FAULT("invalid_request_error", "amount_too_small", ""),
     .means = REFUSED_BY(AMOUNT_INVALID)},
    {"parameter", WIRE_CHARGE, .status = 400,
     .body = FAULT("invalid_request_error", "parameter_unknown", ""),
     .means = REFUSED_BY(CONFIGURATION)},
    {"key of ours, other data", WIRE_CHARGE, .status = 400,
     .body = FAULT("idempotency_error", "idempotency_error", ""), .means = UNSURE},
    {"API key", WIRE_CHARGE, .status = 401,
     .body = FAULT("invalid_request_error", "api_key_expired", ""),
     .means = REFUSED_BY(CONFIGURATION)},
    {"declined", WIRE_CHARGE, .status = 402,
     .body = FAULT("card_error", "card_declined", ", \"decline_code\": \"insufficient_funds\""),
     .means = REFUSED_BY(INSUFFICIENT_FUNDS)},
    {"declined, as a thief", WIRE_CHARGE, .status = 402,
     .body = FAULT("card_error", "card_declined", ", \"decline_code\": \"stolen_card\""),
     .means = REFUSED_BY(DECLINED)},
    {"in use", WIRE_CHARGE, .status = 409,
     .body = FAULT("invalid_request_error", "idempotency_key_in_use", ""), .otherwise = GW_REFUSED,
     .means = UNSURE},
    {"too many", WIRE_CHARGE, .status = 429,
     .body = FAULT("invalid_request_error", "rate_limit", ""),
     .means = {.verdict = GW_REFUSED, .code = FAILURE_PROVIDER_BUSY, .retry_later = true}},
    {"fault", WIRE_CHARGE, .status = 500, .body = FAULT("api_error", "api_error", ""),
     .means = UNSURE},
    {"fault behind it", WIRE_CHARGE, .status = 424, .body = FAULT("api_error", "x", ""),
     .means = UNSURE},

    {"open", WIRE_QUERY, .status = 200, .body = OPEN,
     .means = {.verdict = GW_PENDING, ABOUT, .action = "\"type\":\"redirect\""}},
    {"paid", WIRE_QUERY, .status = 200, .body = PAID, .means = MEANS_PAID},
    {"paid, with its intent", WIRE_QUERY, .status = 200, .body = PAID_EXPANDED,
     .means = MEANS_PAID},
    {"paid, in a list", WIRE_QUERY, .status = 200, .body = LIST(PAID, "false"),
     .otherwise = GW_NOT_FOUND, .means = MEANS_PAID},
    {"complete, not paid", WIRE_QUERY, .status = 200, .body = UNPAID,
     .means = {.verdict = GW_PENDING, ABOUT, .acted = true}},
    {"expired", WIRE_QUERY, .status = 200, .body = EXPIRED, .means = MEANS_EXPIRED},
    {"not in the list", WIRE_QUERY, .status = 200, .body = LIST("", "false"),
     .means = {.verdict = GW_NOT_FOUND}},
    {"not in what is shown of the list", WIRE_QUERY, .status = 200, .body = LIST("", "true"),
     .means = UNSURE},
    {"token, taken", WIRE_QUERY, .status = 200, .body = TAKEN, .means = MEANS_TAKEN},
    {"token, taken, in a list", WIRE_QUERY, .status = 200, .body = LIST(TAKEN, "false"),
     .otherwise = GW_NOT_FOUND, .means = MEANS_TAKEN},
    {"token, the bank asks", WIRE_QUERY, .status = 200, .body = ASKS,
     .means = {.verdict = GW_PENDING, ABOUT_INTENT, .action = "\"type\":\"redirect\""}},
    {"token, the bank refused", WIRE_QUERY, .status = 200, .body = FALLEN, .means = MEANS_FALLEN},
    {"no such id", WIRE_QUERY, .status = 404,
     .body = FAULT("invalid_request_error", "resource_missing", ""), .means = UNSURE},
    {"fault", WIRE_QUERY, .status = 503, .body = FAULT("api_error", "api_error", ""),
     .means = UNSURE},

    {"page ended", WIRE_CANCEL, .status = 200, .body = EXPIRED, .means = MEANS_CANCELLED(ABOUT)},
    {"intent ended", WIRE_CANCEL, .status = 200, .body = DIRECT("canceled", "0", "null", "null"),
     .means = MEANS_CANCELLED(ABOUT_INTENT)},
    {"paid before", WIRE_CANCEL, .status = 400,
     .body = FAULT("invalid_request_error", "payment_intent_unexpected_state", ""),
     .otherwise = GW_REFUSED, .means = UNSURE},
    {"no such id", WIRE_CANCEL, .status = 404,
     .body = FAULT("invalid_request_error", "resource_missing", ""),
     .means = REFUSED_BY(CONFIGURATION)},
    {"fault", WIRE_CANCEL, .status = 500, .body = FAULT("api_error", "api_error", ""),
     .means = UNSURE},

    {"what there is", WIRE_BALANCE, .status = 200, .body = BALANCE,
     .means = {.verdict = GW_SUCCEEDED, .balances = " USD 120050 -700; KWD 0 0;"}},
    {"fault", WIRE_BALANCE, .status = 500, .body = FAULT("api_error", "api_error", ""),
     .means = UNSURE},

    {"pending", WIRE_REFUND, .status = 200,
     .body = REFUND("pending", ", \"pending_reason\": \"processing\""),
     .means = {.verdict = GW_ACCEPTED, ABOUT_REFUND}},
    {"given back at once", WIRE_REFUND, .status = 200, .body = REFUND("succeeded", ""),
     .means = GIVEN_BACK},
    {"refunded before", WIRE_REFUND, .status = 400,
     .body = FAULT("invalid_request_error", "charge_already_refunded", ""),
     .means = REFUSED_BY(AMOUNT_INVALID)},
    {"fault", WIRE_REFUND, .status = 500, .body = FAULT("api_error", "api_error", ""),
     .means = UNSURE},
    {"a status nobody knows", WIRE_REFUND, .status = 200, .body = REFUND("parked", ""),
     .means = UNSURE},

    {"pending", WIRE_REFUND_QUERY, .status = 200, .body = LIST(REFUND("pending", ""), "false"),
     .otherwise = GW_NOT_FOUND, .means = {.verdict = GW_PENDING, ABOUT_REFUND}},
    {"given back", WIRE_REFUND_QUERY, .status = 200, .body = LIST(REFUND("succeeded", ""), "false"),
     .otherwise = GW_NOT_FOUND, .means = GIVEN_BACK},
    {"not in the list", WIRE_REFUND_QUERY, .status = 200, .body = LIST("", "false"),
     .means = {.verdict = GW_NOT_FOUND}},
    {"fault", WIRE_REFUND_QUERY, .status = 500, .body = FAULT("api_error", "api_error", ""),
     .means = UNSURE},

    {"paid", WIRE_CALLBACK, .body = EVENT("checkout.session.completed", PAID), .means = MEANS_PAID},
    {"paid, by its intent", WIRE_CALLBACK,
     .body = EVENT("payment_intent.succeeded", INTENT("succeeded", AMOUNT("5000"), "null")),
     .means =
         {.verdict = GW_SUCCEEDED, .our_id = OUR_ID, .receipt = INTENT_ID, .amount = USD(5000)}},
    {"token, taken", WIRE_CALLBACK, .body = EVENT("payment_intent.succeeded", TAKEN),
     .means = MEANS_TAKEN},
    {"token, the bank refused", WIRE_CALLBACK,
     .body = EVENT("payment_intent.payment_failed", FALLEN), .means = MEANS_FALLEN},
    {"token, the bank asks", WIRE_CALLBACK, .body = EVENT("payment_intent.requires_action", ASKS),
     .means = {.verdict = GW_PENDING, ABOUT_INTENT, .action = "\"type\":\"redirect\""}},
    {"disputed", WIRE_CALLBACK, .body = EVENT("charge.dispute.created", DISPUTE("needs_response")),
     .means = MEANS_DISPUTED(GW_DISPUTE_OPEN, "needs_response")},
    {"an inquiry", WIRE_CALLBACK,
     .body = EVENT("charge.dispute.created", DISPUTE("warning_needs_response")),
     .means = MEANS_DISPUTED(GW_DISPUTE_OPEN, "warning_needs_response")},
    {"held back", WIRE_CALLBACK,
     .body = EVENT("charge.dispute.funds_withdrawn", DISPUTE("needs_response")),
     .means = MEANS_DISPUTED(GW_DISPUTE_OPEN, "needs_response")},
    {"in review", WIRE_CALLBACK, .body = EVENT("charge.dispute.updated", DISPUTE("under_review")),
     .means = MEANS_DISPUTED(GW_DISPUTE_OPEN, "under_review")},
    {"dispute won", WIRE_CALLBACK, .body = EVENT("charge.dispute.closed", DISPUTE("won")),
     .means = MEANS_DISPUTED(GW_DISPUTE_WON, "won")},
    {"dispute lost", WIRE_CALLBACK, .body = EVENT("charge.dispute.closed", DISPUTE("lost")),
     .means = MEANS_LOST},
    {"given back, and lost", WIRE_CALLBACK,
     .body = EVENT("charge.dispute.funds_reinstated", DISPUTE("lost")), .means = UNSURE_ABOUT},
    {"a dispute's event about a payment", WIRE_CALLBACK,
     .body = EVENT("charge.dispute.closed", PAID), .means = UNSURE_OF},
    {"a payment's event about a dispute", WIRE_CALLBACK,
     .body = EVENT("payment_intent.succeeded", DISPUTE("lost")), .means = UNSURE_ABOUT},
    {"complete, not paid", WIRE_CALLBACK, .body = EVENT("checkout.session.completed", UNPAID),
     .means = {.verdict = GW_PENDING, ABOUT, .acted = true}},
    {"a debit has failed", WIRE_CALLBACK,
     .body = EVENT("checkout.session.async_payment_failed", UNPAID),
     .means = {.verdict = GW_FAILED, .code = FAILURE_DECLINED, .sure = true, ABOUT}},
    {"expired", WIRE_CALLBACK, .body = EVENT("checkout.session.expired", EXPIRED),
     .means = MEANS_EXPIRED},
    {"one card declined, another may follow", WIRE_CALLBACK,
     .body = EVENT("payment_intent.payment_failed",
                   INTENT("requires_payment_method", "0", DECLINED_ERROR)),
     .means = {.verdict = GW_PENDING, .our_id = OUR_ID}},
    {"event and object disagree", WIRE_CALLBACK, .body = EVENT("checkout.session.expired", PAID),
     .means = {.verdict = GW_UNKNOWN, .our_id = OUR_ID}},
    {"an event nobody knows", WIRE_CALLBACK, .body = EVENT("checkout.session.parked", PAID),
     .means = {.verdict = GW_UNKNOWN, .our_id = OUR_ID}},
    {"a refund's event", WIRE_CALLBACK, .body = EVENT("refund.updated", REFUND("succeeded", "")),
     .means = {.not_ours = true, .our_id = OUR_REFUND}},

    {"given back", WIRE_REFUND_CALLBACK, .body = EVENT("refund.updated", REFUND("succeeded", "")),
     .means = GIVEN_BACK},
    {"taken back", WIRE_REFUND_CALLBACK,
     .body =
         EVENT("refund.failed", REFUND("failed", ", \"failure_reason\": \"lost_or_stolen_card\"")),
     .means = {.verdict = GW_FAILED, .code = FAILURE_DECLINED, .sure = true, ABOUT_REFUND}},
    {"a payment's event", WIRE_REFUND_CALLBACK, .body = EVENT("checkout.session.completed", PAID),
     .means = {.not_ours = true, .our_id = OUR_ID}},
    {.name = NULL},
};

/* ---- signatures (8.1) ---- */

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

static const char *const personal[] = {"a@b.example", "Uwase", "_secret_kept", "fidTok77", NULL};

const struct fixture fixture_stripe = {
    .name = "stripe",
    .can = {.methods = "card,checkout",
            .min_minor = 1,
            .not_found_is_final = true,
            .may_resend = true,
            .may_revoke = true,
            .our_id_is_ref = true,
            .token_methods = "card",
            .token_ref = "intent",
            .n_refund_rails = 1,
            .refund_rails = {REFUND_RAIL_REVERSAL},
            .our_id_rails = 1u << REFUND_RAIL_REVERSAL,
            .signature_header = "stripe-signature"},
    .settings = settings,
    .base_url = "https://api.stripe.com",
    .token = "",
    .charge = CHARGE(PM_NONE),
    .n_refunds = 1,
    .refunds = {{.rail = REFUND_RAIL_REVERSAL,
                 .amount = USD(2000),
                 .payment_receipt = {INTENT_ID, 18},
                 .payment_ref = {SESSION_ID, 18},
                 .our_id = {OUR_REFUND, 64},
                 .remarks = {"Broken", 6},
                 .callback_url = {"https://pay.example.rw/cb/9f2c72", 32},
                 .now_us = NOW_US}},
    .query_ref = SESSION_ID,
    .requests = requests,
    .shapes = shapes,
    .personal = personal,
    .idempotency_header = "Idempotency-Key",
    .sign = sign,
    .sign_setting = "webhook_secret",
    .sign_tolerance_s = 300,
    /* Computed by another program from 8.1; v0 is ignored. */
    .signature = {.secret = "whsec_conform_test",
                  .body = "{\"id\":\"evt_reliDemo01\",\"object\":\"event\"}",
                  .signature = "t=1767960000,v1="
                               "75aae92ec14737df09390526bea65d378582b22f6fc7f3344674c23b64c5d932"
                               ",v0=00",
                  .now_s = 1767960000},
    .minor_units = true,
    .phone_unused = true,
};
