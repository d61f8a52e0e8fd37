/* M-Pesa: the shapes of Daraja's documents (token 1.1, errors 1.2, push 2.1, callback 2.2,
 * query 2.4, results 4 and 5 of the provider's reference; what reli makes of each:
 * gateways/mpesa.md). */
#include "test/conform/conform.h"

#define KES(minor_)                                            \
    {                                                          \
        .minor = (minor_), .currency = CURRENCY('K', 'E', 'S') \
    }
#define CHECKOUT "ws_CO_14032025101503711223344"
#define ENVELOPE(code, message)                                               \
    "{ \"requestId\": \"7f3a-41c2-9b0e-5d2c8812ab19\", \"errorCode\": " CODE( \
        "\"" code "\"") ", \"errorMessage\": \"" message "\" }"
#define OUR_PAYOUT "d41c7e90-33b2-4f6a-8e55-0f1e2d3c4b5a"
#define OUR_REFUND "8c2b7f0e-5a1d-4c3e-9f00-1234567890ab"

/* Of a key pair made for this file; its private half was thrown away. */
static const char certificate[] =
    "MIIDDzCCAfegAwIBAgIUDiPD2gDCCFZpQMHfz3TjXCwHVAIwDQYJKoZIhvcNAQELBQAwFzEVMBMGA1UEAwwM"
    "Y29uZm9ybS50ZXN0MB4XDTI2MTEyMTEwMTQwMFoXDTI2MTEyMjEwMTQwMFowFzEVMBMGA1UEAwwMY29uZm9y"
    "bS50ZXN0MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAum4iIyZtN1d1clOCzwJRQMD2qJaNzPB3"
    "nwMSMIXep/5L6F4Jq91c/y5/64qQV6iLKAcgEYX+2RcXPOYKSN9khzpddcRNY6xy3RxgsxydxUMKmaxfS6Lr"
    "kROEpti7ksRKdwOlnHxKOK7UbTeU4XSxz2Bmy5i8F0jpaUKK6gMb+evAr6+rHkRhfNYpCqM9XxjICPou+vT9"
    "Rh0WNNfTMEHweW+uK8MKdCaWIHVV+aK37sHLwQbUyeKIMnNFQrQe/ODuvv7ebe1bVFmIy5BW02q5ekqfuGNM"
    "r7ekJNByFKzhXNyjcGqJmOI3GEOmQEWRIABySNh9pxFB4C6M0bvSQU1ClQIDAQABo1MwUTAdBgNVHQ4EFgQU"
    "daFDn9lIyc7b3JqaoaiWKKvyp6YwHwYDVR0jBBgwFoAUdaFDn9lIyc7b3JqaoaiWKKvyp6YwDwYDVR0TAQH/"
    "BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEACh7B/jxJNEr+3toyUP2r4VlO0d8+BAmSUY1QSlUxgz8mIus4"
    "rYxTBih42oXvGWpvPCjVWHZYc/dKSMaiWD7HyNgOMNsTE/D/pe6/1xMX3rPdUGVPsoPluo9sMHorlOu4sT1I"
    "ssw8QOQNiGAY7KQ848qQVu822V3nl00N9YEa6e1C6PQ5KTZIBtL3pQz38x1ks8/ZZd9/Z163ZwAf+twZIEPE"
    "NUAeEedTZhY/Ubh0HWVtewNT2iX0qwx6xU3P1A/dS0TejZj/sWiiJZDYu89yawkCfZjTAKBvl99Z2BHmidey"
    "WotnMDMg4q75G9JyK2qQuQY7TLRXb1xgiaOPrpmQVA==";

static const struct sample settings[] = {
    {"consumer_key", "conform-key"},  {"consumer_secret", "conform:secret"},
    {"shortcode", "522533"},          {"passkey", "conform-passkey-7fK2"},
    {"initiator_name", "conformapi"}, {"initiator_password", "Initiator#2025"},
    {"certificate", certificate},     {NULL, NULL},
};

static const struct sample till[] = {
    {"shortcode", "600123"}, {"type", "till"}, {"till", "174379"}, {NULL, NULL}};

/* ---- requests ---- */

#define JSON_HEADERS                                                                            \
    {                                                                                           \
        "Authorization: Bearer k3VtQ0aBzY7xLr9sWn2pHd5fJgTe", "Content-Type: application/json", \
            "Accept: application/json"                                                          \
    }

#define PAYOUT_FOR(purpose_, remarks_)                                                             \
    {                                                                                              \
        .amount = KES(70000), .phone = {"+254711223344", 13}, .name = {"Wanjiku", 7},              \
        .our_id = {OUR_PAYOUT, sizeof OUR_PAYOUT - 1}, .purpose = {purpose_, sizeof purpose_ - 1}, \
        .remarks = {remarks_, sizeof remarks_ - 1},                                                \
        .callback_url = {"https://pay.example.co.ke/cb/7b1e56", 35},                               \
        .now_us = INT64_C(1741936502) * US_PER_S                                                   \
    }
static const struct gw_payout salary = PAYOUT_FOR("salary", ""),
                              promotion = PAYOUT_FOR("promotion", "?");

static const struct wire_request requests[] = {
    {.name = "token",
     .op = WIRE_TOKEN,
     .method = "GET",
     .url = "https://sandbox.safaricom.co.ke/oauth/v1/generate?grant_type=client_credentials",
     .headers = {"Authorization: Basic Y29uZm9ybS1rZXk6Y29uZm9ybTpzZWNyZXQ=",
                 "Accept: application/json"}},
    {.name = "push to a pay bill",
     .op = WIRE_CHARGE,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/stkpush/v1/processrequest",
     .headers = JSON_HEADERS,
     .body = "{\"BusinessShortCode\":522533,"
             "\"Password\":\"NTIyNTMzY29uZm9ybS1wYXNza2V5LTdmSzIyMDI1MDMxNDEwMTUwMg==\","
             "\"Timestamp\":\"20250314101502\",\"TransactionType\":\"CustomerPayBillOnline\","
             "\"Amount\":1250,\"PartyA\":254711223344,\"PartyB\":522533,"
             "\"PhoneNumber\":254711223344,"
             "\"CallBackURL\":\"https://pay.example.co.ke/cb/9f2c71\","
             "\"AccountReference\":\"RL0K7Q2ZD913\",\"TransactionDesc\":\"Order 20931\"}",
     .once = true},
    {.name = "push to a till",
     .op = WIRE_CHARGE,
     .settings = till,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/stkpush/v1/processrequest",
     .headers = JSON_HEADERS,
     .body = "{\"BusinessShortCode\":600123,"
             "\"Password\":\"NjAwMTIzY29uZm9ybS1wYXNza2V5LTdmSzIyMDI1MDMxNDEwMTUwMg==\","
             "\"Timestamp\":\"20250314101502\",\"TransactionType\":\"CustomerBuyGoodsOnline\","
             "\"Amount\":1250,\"PartyA\":254711223344,\"PartyB\":174379,"
             "\"PhoneNumber\":254711223344,"
             "\"CallBackURL\":\"https://pay.example.co.ke/cb/9f2c71\","
             "\"AccountReference\":\"RL0K7Q2ZD913\",\"TransactionDesc\":\"Order 20931\"}",
     .once = true},
    {.name = "query",
     .op = WIRE_QUERY,
     .provider_ref = CHECKOUT,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/stkpushquery/v1/query",
     .headers = JSON_HEADERS,
     .body = "{\"BusinessShortCode\":522533,"
             "\"Password\":\"NTIyNTMzY29uZm9ybS1wYXNza2V5LTdmSzIyMDI1MDMxNDEwMTUwMg==\","
             "\"Timestamp\":\"20250314101502\",\"CheckoutRequestID\":\"" CHECKOUT "\"}"},
    {.name = "reversal",
     .op = WIRE_REFUND,
     .refund = 0,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/reversal/v1/request",
     .headers = JSON_HEADERS,
     .body = "{\"Initiator\":\"conformapi\",\"SecurityCredential\":\"" ANY "\","
             "\"CommandID\":\"TransactionReversal\",\"TransactionID\":\"TCE9K41XQ7\","
             "\"Amount\":500,\"ReceiverParty\":522533,\"RecieverIdentifierType\":\"11\","
             "\"Remarks\":\"Broken\","
             "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/7b1e55.timeout\","
             "\"ResultURL\":\"https://pay.example.co.ke/cb/7b1e55\"}",
     .once = true},
    {.name = "refund by payout",
     .op = WIRE_REFUND,
     .refund = 1,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/b2c/v3/paymentrequest",
     .headers = JSON_HEADERS,
     .body = "{\"OriginatorConversationID\":\"" OUR_REFUND "\",\"InitiatorName\":\"conformapi\","
             "\"SecurityCredential\":\"" ANY "\",\"CommandID\":\"BusinessPayment\","
             "\"Amount\":500,\"PartyA\":522533,\"PartyB\":254711223344,\"Remarks\":\"Broken\","
             "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/7b1e55.timeout\","
             "\"ResultURL\":\"https://pay.example.co.ke/cb/7b1e55\"}",
     .once = true},
    {.name = "payout",
     .op = WIRE_PAYOUT,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/b2c/v3/paymentrequest",
     .headers = JSON_HEADERS,
     .body = "{\"OriginatorConversationID\":\"" OUR_PAYOUT "\",\"InitiatorName\":\"conformapi\","
             "\"SecurityCredential\":\"" ANY "\",\"CommandID\":\"BusinessPayment\","
             "\"Amount\":700,\"PartyA\":522533,\"PartyB\":254711223344,\"Remarks\":\"July\","
             "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/7b1e56.timeout\","
             "\"ResultURL\":\"https://pay.example.co.ke/cb/7b1e56\"}",
     .once = true},
    {.name = "salary",
     .op = WIRE_PAYOUT,
     .payout = &salary,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/b2c/v3/paymentrequest",
     .headers = JSON_HEADERS,
     .body = "{\"OriginatorConversationID\":\"" OUR_PAYOUT "\",\"InitiatorName\":\"conformapi\","
             "\"SecurityCredential\":\"" ANY "\",\"CommandID\":\"SalaryPayment\","
             "\"Amount\":700,\"PartyA\":522533,\"PartyB\":254711223344,\"Remarks\":\"Salary\","
             "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/7b1e56.timeout\","
             "\"ResultURL\":\"https://pay.example.co.ke/cb/7b1e56\"}",
     .once = true},
    {.name = "promotion",
     .op = WIRE_PAYOUT,
     .payout = &promotion,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/b2c/v3/paymentrequest",
     .headers = JSON_HEADERS,
     .body = "{\"OriginatorConversationID\":\"" OUR_PAYOUT "\",\"InitiatorName\":\"conformapi\","
             "\"SecurityCredential\":\"" ANY "\",\"CommandID\":\"PromotionPayment\","
             "\"Amount\":700,\"PartyA\":522533,\"PartyB\":254711223344,\"Remarks\":\"Promotion\","
             "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/7b1e56.timeout\","
             "\"ResultURL\":\"https://pay.example.co.ke/cb/7b1e56\"}",
     .once = true},
    {.name = "what became of a payout",
     .op = WIRE_PAYOUT_QUERY,
     .provider_ref = OUR_PAYOUT,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/transactionstatus/v1/query",
     .headers = JSON_HEADERS,
     .body = "{\"Initiator\":\"conformapi\",\"SecurityCredential\":\"" ANY "\","
             "\"CommandID\":\"TransactionStatusQuery\","
             "\"OriginalConversationID\":\"" OUR_PAYOUT "\",\"PartyA\":522533,"
             "\"IdentifierType\":\"4\",\"Remarks\":\"July\","
             "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/7b1e56.timeout\","
             "\"ResultURL\":\"https://pay.example.co.ke/cb/7b1e56.status\"}"},
    {.name = "what became of a refund by payout",
     .op = WIRE_REFUND_QUERY,
     .refund = 1,
     .provider_ref = OUR_REFUND,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/transactionstatus/v1/query",
     .headers = JSON_HEADERS,
     .body = "{\"Initiator\":\"conformapi\",\"SecurityCredential\":\"" ANY "\","
             "\"CommandID\":\"TransactionStatusQuery\","
             "\"OriginalConversationID\":\"" OUR_REFUND "\",\"PartyA\":522533,"
             "\"IdentifierType\":\"4\",\"Remarks\":\"Broken\","
             "\"QueueTimeOutURL\":\"https://pay.example.co.ke/cb/7b1e55.timeout\","
             "\"ResultURL\":\"https://pay.example.co.ke/cb/7b1e55.status\"}"},
    {.name = "balance",
     .op = WIRE_BALANCE,
     .method = "POST",
     .url = "https://sandbox.safaricom.co.ke/mpesa/accountbalance/v1/query",
     .headers = JSON_HEADERS,
     .body = "{\"Initiator\":\"conformapi\",\"SecurityCredential\":\"" ANY "\","
             "\"CommandID\":\"AccountBalance\",\"PartyA\":522533,\"IdentifierType\":\"4\","
             "\"Remarks\":\"Balance\",\"QueueTimeOutURL\":\"" BALANCE_URL ".balancelate\","
             "\"ResultURL\":\"" BALANCE_URL ".balance\"}"},
    {.name = NULL},
};

/* ---- pushes and queries ---- */

#define PUSHED(code)                                                                             \
    "{ \"MerchantRequestID\": \"4c1e-4f0b-8a57-22b7c0d9e1f35518\", \"CheckoutRequestID\": " ID(  \
        "\"" CHECKOUT                                                                            \
        "\"") ", \"ResponseCode\": " CODE(code) ", \"ResponseDescription\": \"Success. Request " \
                                                "accepted for processing\", "                    \
                                                "\"CustomerMessage\": \"Success. Request "       \
                                                "accepted for processing\" }"
#define QUERIED(result, words)                                                               \
    "{ \"ResponseCode\": " CODE(                                                             \
        "\"0\"") ", \"ResponseDescription\": \"The service request has "                     \
                 "been accepted successsfully\", \"MerchantRequestID\": \"4c1e-4f0b\", "     \
                 "\"CheckoutRequestID\": " ID("\"" CHECKOUT "\"") ", \"ResultCode\": " CODE( \
                     result) ", \"ResultDesc\": \"" words "\" }"
#define STK(result, rest)                                                                        \
    "{ \"Body\": { \"stkCallback\": { \"MerchantRequestID\": \"4c1e-4f0b-8a57\", "               \
    "\"CheckoutRequestID\": " ID("\"" CHECKOUT "\"") ", \"ResultCode\": " CODE(result) ", " rest \
                                                                                       " } } }"
#define PAID(amount, receipt, more)                                                       \
    "\"ResultDesc\": \"The service request is processed successfully.\", "                \
    "\"CallbackMetadata\": { \"Item\": [ { \"Name\": \"Amount\", \"Value\": " AMOUNT(     \
        amount) " }, { \"Name\": \"MpesaReceiptNumber\", \"Value\": " receipt " }, " more \
                "{ \"Name\": \"TransactionDate\", \"Value\": 20250314101541 }, "          \
                "{ \"Name\": \"PhoneNumber\", \"Value\": 254711223344 } ] }"
#define NO_VALUE "{ \"Name\": \"Balance\" }, "
#define MEANS_PAID                                                                  \
    {                                                                               \
        .verdict = GW_SUCCEEDED, .provider_ref = CHECKOUT, .receipt = "TCE9K41XQ7", \
        .phone = "+254711223344", .amount = KES(125000)                             \
    }
#define REFUSED_BY(code_)                              \
    {                                                  \
        .verdict = GW_REFUSED, .code = FAILURE_##code_ \
    }
#define LATER(code_)                                                        \
    {                                                                       \
        .verdict = GW_REFUSED, .code = FAILURE_##code_, .retry_later = true \
    }
#define FAILED_BY(code_, sure_)                                                                  \
    {                                                                                            \
        .verdict = GW_FAILED, .provider_ref = CHECKOUT, .code = FAILURE_##code_, .sure = (sure_) \
    }

/* ---- results ---- */

#define ACK(code)                                                                          \
    "{ \"ConversationID\": \"AG_20250314_2010a17c55e0d9f3b821\", "                         \
    "\"OriginatorConversationID\": " ID("\"8821-7710432-1\"") ", \"ResponseCode\": " CODE( \
        code) ", \"ResponseDescription\": \"Accept the service request successfully.\" }"
#define RESULT(code, receipt, rest)                                                             \
    "{ \"Result\": { \"ResultType\": 0, \"ResultCode\": " CODE(                                 \
        code) ", \"ResultDesc\": "                                                              \
              "\"The service request is processed.\", \"OriginatorConversationID\": " ID(       \
                  "\"8821-7710432-1\"") ", \"ConversationID\": "                                \
                                        "\"AG_20250314_2010a17c55e0d9f3b821\", "                \
                                        "\"TransactionID\": " receipt rest                      \
                                        ", \"ReferenceData\": { \"ReferenceItem\": { \"Key\": " \
                                        "\"QueueTimeoutURL\", \"Value\": "                      \
                                        "\"https://internalapi.safaricom.co.ke/b2cresults/v1/"  \
                                        "submit\" } } } }"
#define ACCOUNTS                                            \
    "Working Account|KES|346568.83|6186.83|340382.00|0.00&" \
    "Charges Paid Account|KES|-1540.00|-1540.00|0.00|0.00"
#define PARAMETERS(list) ", \"ResultParameters\": { \"ResultParameter\": " list " }"
#define PAID_OUT                                                                                  \
    PARAMETERS("[ { \"Key\": \"TransactionAmount\", \"Value\": " AMOUNT(                          \
        "500") " }, "                                                                             \
               "{ \"Key\": \"TransactionReceipt\", \"Value\": \"TCE5P90LMN\" }, "                 \
               "{ \"Key\": \"ReceiverPartyPublicName\", \"Value\": \"254711223344 - WANJIKU N\" " \
               "}, "                                                                              \
               "{ \"Key\": \"TransactionCompletedDateTime\", \"Value\": \"14.03.2025 12:01:33\" " \
               "}, "                                                                              \
               "{ \"Key\": \"B2CChargesPaidAccountAvailableFunds\", \"Value\": -1540.00 }, "      \
               "{ \"Key\": \"B2CRecipientIsRegisteredCustomer\", \"Value\": \"Y\" } ]")
#define REVERSED                                                                                   \
    PARAMETERS("[ { \"Key\": \"Amount\", \"Value\": " AMOUNT(                                      \
        "\"500.00\"") " }, "                                                                       \
                      "{ \"Key\": \"TransCompletedTime\", \"Value\": 20250314120133 }, "           \
                      "{ \"Key\": \"OriginalTransactionID\", \"Value\": \"TCE9K41XQ7\" }, "        \
                      "{ \"Key\": \"Charge\" }, "                                                  \
                      "{ \"Key\": \"CreditPartyPublicName\", \"Value\": \"254711223344 - WANJIKU " \
                      "N\" } ]")
#define STATUS_OF(status)                                                                    \
    PARAMETERS(                                                                              \
        "[ { \"Key\": \"DebitPartyName\", \"Value\": \"522533 - Shop\" }, "                  \
        "{ \"Key\": \"DebitPartyName\", \"Value\": \"254711223344 - WANJIKU N\" }, "         \
        "{ \"Key\": \"OriginatorConversationID\", \"Value\": " ID(                           \
            "\"" OUR_REFUND "\"") " }, { \"Key\": \"TransactionReason\" }, "                 \
                                  "{ \"Key\": \"TransactionStatus\", \"Value\": " CODE(      \
                                      status) " }, "                                         \
                                              "{ \"Key\": \"Amount\", \"Value\": " AMOUNT(   \
                                                  "\"500.00\"") " }, "                       \
                                                                "{ \"Key\": \"ReceiptNo\", " \
                                                                "\"Value\": \"TCE5P90LMN\" } ]")
#define QUESTION(code, rest)                                                                       \
    "{ \"Result\": { \"ResultType\": \"0\", \"ResultCode\": " CODE(                                \
        code) ", \"ResultDesc\": "                                                                 \
              "\"The service request is processed successfully.\", \"OriginatorConversationID\": " \
              "\"5118-3320911-2\", \"ConversationID\": \"AG_20250314_2010aa\", "                   \
              "\"TransactionID\": "                                                                \
              "\"TCE0000000\"" rest " } }"
#define GIVEN_BACK                                                                          \
    {                                                                                       \
        .verdict = GW_SUCCEEDED, .provider_ref = "8821-7710432-1", .receipt = "TCE5P90LMN", \
        .amount = KES(50000)                                                                \
    }
#define NOT_GIVEN(code_)                                                                 \
    {                                                                                    \
        .verdict = GW_FAILED, .provider_ref = "8821-7710432-1", .code = FAILURE_##code_, \
        .sure = true                                                                     \
    }

static const struct wire_shape shapes[] = {
    {"token", WIRE_TOKEN, .status = 200,
     .body = "{ \"access_token\": \"k3VtQ0aBzY7xLr9sWn2pHd5fJgTe\", \"expires_in\": \"3599\" }"},
    {"token with a number", WIRE_TOKEN, .status = 200,
     .body = "{ \"access_token\": \"k3VtQ0aBzY7xLr9sWn2pHd5fJgTe\", \"expires_in\": 3599 }"},
    {"wrong key", WIRE_TOKEN, .status = 400,
     .body = ENVELOPE("400.008.01", "Invalid Authentication passed"),
     .means = {.verdict = GW_REFUSED}},

    {"queued", WIRE_CHARGE, .status = 200, .body = PUSHED("\"0\""), .otherwise = GW_REFUSED,
     .means = {.verdict = GW_ACCEPTED, .provider_ref = CHECKOUT}},
    {"not queued", WIRE_CHARGE, .status = 200,
     .body = "{ \"ResponseCode\": " CODE("\"1\"") ", \"ResponseDescription\": \"Rejected\" }",
     .means = REFUSED_BY(INSUFFICIENT_FUNDS)},
    {"queued, but as what?", WIRE_CHARGE, .status = 200,
     .body = "{ \"ResponseCode\": " CODE("\"0\"") ", \"ResponseDescription\": \"Success\" }",
     .otherwise = GW_REFUSED, .means = {.verdict = GW_UNKNOWN}},
    {"invalid amount", WIRE_CHARGE, .status = 400,
     .body = ENVELOPE("400.002.02", "Bad Request - Invalid Amount"),
     .means = REFUSED_BY(AMOUNT_INVALID)},
    {"invalid phone", WIRE_CHARGE, .status = 400,
     .body = ENVELOPE("400.002.02", "Bad Request - Invalid PhoneNumber"),
     .means = REFUSED_BY(DECLINED)},
    {"stale token", WIRE_CHARGE, .status = 404,
     .body = ENVELOPE("404.001.03", "Invalid Access Token"), .otherwise = GW_REFUSED,
     .means = {.verdict = GW_TOKEN_REJECTED, .code = FAILURE_CONFIGURATION}},
    {"wrong credentials", WIRE_CHARGE, .status = 500,
     .body = ENVELOPE("500.001.1001", "Wrong credentials"), .means = REFUSED_BY(CONFIGURATION)},
    {"subscriber locked", WIRE_CHARGE, .status = 500,
     .body = ENVELOPE("500.001.1001", "Unable to lock subscriber, a transaction is already in "
                                      "process for the current subscriber"),
     .means = LATER(PROVIDER_BUSY)},
    {"spike arrest", WIRE_CHARGE, .status = 500,
     .body = ENVELOPE("500.003.02", "Spike Arrest Violation"), .means = LATER(PROVIDER_BUSY)},
    {"quota", WIRE_CHARGE, .status = 429, .body = ENVELOPE("500.003.03", "Quota Violation"),
     .means = LATER(PROVIDER_BUSY)},
    {"internal error", WIRE_CHARGE, .status = 500,
     .body = ENVELOPE("500.001.1001", "Internal Server Error"), .means = {.verdict = GW_UNKNOWN}},
    {"an error nobody knows", WIRE_CHARGE, .status = 500,
     .body = ENVELOPE("500.009.9999", "Something else"), .otherwise = GW_REFUSED,
     .means = {.verdict = GW_UNKNOWN}},

    {"paid", WIRE_QUERY, .status = 200,
     .body = QUERIED("\"0\"", "The service request is processed successfully."),
     .means = {.verdict = GW_SUCCEEDED, .provider_ref = CHECKOUT}},
    {"cancelled", WIRE_QUERY, .status = 200,
     .body = QUERIED("\"1032\"", "Request cancelled by user"),
     .means = FAILED_BY(CANCELLED_BY_CUSTOMER, true)},
    {"no answer", WIRE_QUERY, .status = 200, .body = QUERIED("\"1037\"", "No response from user."),
     .means = FAILED_BY(CUSTOMER_UNREACHABLE, false)},
    {"pending, with 4999", WIRE_QUERY, .status = 200,
     .body = QUERIED("\"4999\"", "The transaction is still under processing"),
     .means = {.verdict = GW_PENDING, .provider_ref = CHECKOUT}},
    {"pending, with the number 4999", WIRE_QUERY, .status = 200,
     .body = QUERIED("4999", "The transaction is still under processing"),
     .means = {.verdict = GW_PENDING, .provider_ref = CHECKOUT}},
    {"pending, with an error", WIRE_QUERY, .status = 500,
     .body = ENVELOPE("500.001.1001", "The transaction is being processed"),
     .means = {.verdict = GW_PENDING}},
    {"query refused", WIRE_QUERY, .status = 500,
     .body = ENVELOPE("500.003.02", "System is busy. Please try again in few minutes."),
     .means = {.verdict = GW_UNKNOWN}},
    {"no such id", WIRE_QUERY, .status = 400,
     .body = ENVELOPE("400.002.02", "Bad Request - Invalid CheckoutRequestID"),
     .means = {.verdict = GW_UNKNOWN}},

    {"paid", WIRE_CALLBACK, .body = STK("0", PAID("1250.00", "\"TCE9K41XQ7\"", NO_VALUE)),
     .means = MEANS_PAID},
    {"paid, whole number", WIRE_CALLBACK, .body = STK("0", PAID("1250", "\"TCE9K41XQ7\"", "")),
     .means = MEANS_PAID},
    {"paid, as texts", WIRE_CALLBACK,
     .body = STK("\"0\"", PAID("\"1250.0\"", "\"TCE9K41XQ7\"",
                               "{ \"Name\": \"Balance\", \"Value\": \"{Amount={CurrencyCode=KES, "
                               "MinimumAmount=125000, BasicAmount=1250.00}}\" }, ")),
     .means = MEANS_PAID},
    {"paid without a receipt", WIRE_CALLBACK, .body = STK("0", PAID("1250.00", "null", NO_VALUE)),
     .means = {.verdict = GW_UNKNOWN}},
    {"paid without anything", WIRE_CALLBACK, .body = STK("0", "\"ResultDesc\": \"Fine\""),
     .means = {.verdict = GW_UNKNOWN}},
    {"cancelled", WIRE_CALLBACK,
     .body = STK("1032", "\"ResultDesc\": \"Request cancelled by user\""),
     .means = FAILED_BY(CANCELLED_BY_CUSTOMER, true)},
    {"balance too low", WIRE_CALLBACK,
     .body = STK("1", "\"ResultDesc\": \"The balance is insufficient for the transaction.\""),
     .means = FAILED_BY(INSUFFICIENT_FUNDS, false)},
    {"wrong PIN", WIRE_CALLBACK,
     .body = STK("2001", "\"ResultDesc\": \"The initiator information is invalid.\""),
     .means = FAILED_BY(WRONG_PIN, true)},
    {"wrong till", WIRE_CALLBACK,
     .body = STK("\"SFC_IC0003\"", "\"ResultDesc\": \"The operator does not exist.\""),
     .means = FAILED_BY(CONFIGURATION, false)},
    {"a code nobody knows", WIRE_CALLBACK, .body = STK("4711", "\"ResultDesc\": \"Hm\""),
     .means = {.verdict = GW_UNKNOWN}},
    {"a result of another kind", WIRE_CALLBACK, .body = RESULT("0", "\"TCE5P90LMN\"", PAID_OUT),
     .means = {.not_ours = true}},

    {"reversal queued", WIRE_REFUND, 0, .status = 200, .body = ACK("\"0\""),
     .means = {.verdict = GW_ACCEPTED, .provider_ref = "8821-7710432-1"}},
    {"payout queued", WIRE_REFUND, 1, .status = 200, .body = ACK("\"0\""),
     .means = {.verdict = GW_ACCEPTED, .provider_ref = "8821-7710432-1"}},
    {"reversal refused", WIRE_REFUND, 0, .status = 400,
     .body = ENVELOPE("400.002.02", "Bad Request - Invalid TransactionID"),
     .means = REFUSED_BY(CONFIGURATION)},
    {"reversal, internal error", WIRE_REFUND, 0, .status = 500,
     .body = ENVELOPE("500.001.1001", "Internal Server Error"), .means = {.verdict = GW_UNKNOWN}},
    {"a code nobody knows", WIRE_REFUND, 0, .status = 200, .body = ACK("\"4711\""),
     .means = {.verdict = GW_UNKNOWN}},

    {"payout queued", WIRE_PAYOUT, .status = 200, .body = ACK("\"0\""),
     .means = {.verdict = GW_ACCEPTED, .provider_ref = "8821-7710432-1"}},
    {"operator locked", WIRE_PAYOUT, .status = 200, .body = ACK("\"8006\""),
     .means = REFUSED_BY(CONFIGURATION)},
    {"our balance", WIRE_PAYOUT, .status = 200, .body = ACK("\"1\""),
     .means = REFUSED_BY(INSUFFICIENT_FUNDS)},
    {"busy", WIRE_PAYOUT, .status = 200, .body = ACK("\"26\""),
     .means = {.verdict = GW_REFUSED, .code = FAILURE_PROVIDER_BUSY, .retry_later = true}},
    {"sent before", WIRE_PAYOUT, .status = 500,
     .body = ENVELOPE("500.002.1001", "Duplicate OriginatorConversationID."),
     .means = {.verdict = GW_UNKNOWN}},
    {"sent before, as a code", WIRE_PAYOUT, .status = 200, .body = ACK("\"15\""),
     .means = {.verdict = GW_UNKNOWN}},
    {"refused at the door", WIRE_PAYOUT, .status = 400,
     .body = ENVELOPE("400.002.02", "Bad Request - Invalid Remarks"),
     .means = REFUSED_BY(CONFIGURATION)},
    {"internal error", WIRE_PAYOUT, .status = 500,
     .body = ENVELOPE("500.001.1001", "Internal Server Error"), .means = {.verdict = GW_UNKNOWN}},
    {"a code nobody knows", WIRE_PAYOUT, .status = 200, .body = ACK("\"4711\""),
     .means = {.verdict = GW_UNKNOWN}},
    {"question queued", WIRE_PAYOUT_QUERY, .status = 200, .body = ACK("\"0\""),
     .means = {.verdict = GW_PENDING}},
    {"question refused", WIRE_PAYOUT_QUERY, .status = 500,
     .body = ENVELOPE("500.003.1001", "Internal Server Error"), .means = {.verdict = GW_UNKNOWN}},

    {"question queued", WIRE_REFUND_QUERY, 1, .status = 200, .body = ACK("\"0\""),
     .means = {.verdict = GW_PENDING}},
    {"question refused", WIRE_REFUND_QUERY, 1, .status = 500,
     .body = ENVELOPE("500.003.1001", "Internal Server Error"), .means = {.verdict = GW_UNKNOWN}},

    {"balance asked", WIRE_BALANCE, .status = 200, .body = ACK("\"0\""),
     .means = {.verdict = GW_ACCEPTED, .provider_ref = "8821-7710432-1"}},
    {"balance not asked", WIRE_BALANCE, .status = 500,
     .body = ENVELOPE("500.003.1001", "Internal Server Error"), .means = {.verdict = GW_UNKNOWN}},
    {"balance", WIRE_BALANCE_CALLBACK, .kind = "balance",
     .body = RESULT("0", "\"SKE0000000\"",
                    PARAMETERS("[ { \"Key\": \"AccountBalance\", \"Value\": \"" ACCOUNTS
                               "\" }, { \"Key\": \"BOCompletedTime\", \"Value\": "
                               "20250314164825 } ]")),
     .means = {.verdict = GW_SUCCEEDED,
               .provider_ref = "8821-7710432-1",
               .balances = "Working Account KES 618683 0;Charges Paid Account KES -154000 0;"}},
    {"balance, one parameter", WIRE_BALANCE_CALLBACK, .kind = "balance",
     .body = RESULT("\"0\"", "\"SKE0000000\"",
                    PARAMETERS("{ \"Key\": \"AccountBalance\", \"Value\": "
                               "\"Utility Account|KES|228037.00|228037.00|0.00|12.50\" }")),
     .means = {.verdict = GW_SUCCEEDED,
               .provider_ref = "8821-7710432-1",
               .balances = "Utility Account KES 22803700 1250;"}},
    {"half a balance", WIRE_BALANCE_CALLBACK, .kind = "balance",
     .body = RESULT(
         "0", "\"SKE0000000\"",
         PARAMETERS("{ \"Key\": \"AccountBalance\", \"Value\": "
                    "\"Working Account|KES|1.00|1.00|0.00|0.00&Utility Account|KES|2.00\" }")),
     .means = {.verdict = GW_UNKNOWN}},
    {"no balance, the operator's password", WIRE_BALANCE_CALLBACK, .kind = "balance",
     .body = RESULT("2001", "\"SKE0000000\"", ""),
     .means = {.verdict = GW_FAILED,
               .code = FAILURE_CONFIGURATION,
               .sure = true,
               .provider_ref = "8821-7710432-1"}},
    {"no balance in time", WIRE_BALANCE_CALLBACK, .kind = "balancelate",
     .body = RESULT("1", "\"SKE0000000\"", ""), .means = {.verdict = GW_UNKNOWN}},

    {"paid out", WIRE_PAYOUT_CALLBACK, .body = RESULT("0", "\"TCE5P90LMN\"", PAID_OUT),
     .amount_optional = true, .means = GIVEN_BACK},
    {"paid out", WIRE_REFUND_CALLBACK, 1, .body = RESULT("0", "\"TCE5P90LMN\"", PAID_OUT),
     .amount_optional = true, .means = GIVEN_BACK},
    {"reversed", WIRE_REFUND_CALLBACK, 0, .body = RESULT("\"0\"", "\"TCE5P90LMN\"", REVERSED),
     .amount_optional = true, .means = GIVEN_BACK},
    {"paid out, no receipt", WIRE_PAYOUT_CALLBACK, .body = RESULT("0", "\"SKE0000000\"", PAID_OUT),
     .means = {.verdict = GW_UNKNOWN}},
    {"not registered", WIRE_PAYOUT_CALLBACK,
     .body = RESULT("2040", "\"SKE0000000\"",
                    PARAMETERS("{ \"Key\": \"BOCompletedTime\", \"Value\": 20250314164825 }")),
     .means = NOT_GIVEN(DECLINED)},
    {"not registered", WIRE_REFUND_CALLBACK, 1,
     .body = RESULT("2040", "\"SKE0000000\"",
                    PARAMETERS("{ \"Key\": \"BOCompletedTime\", \"Value\": 20250314164825 }")),
     .means = NOT_GIVEN(DECLINED)},
    {"our balance too low", WIRE_PAYOUT_CALLBACK, .body = RESULT("1", "\"SKE0000000\"", ""),
     .means = NOT_GIVEN(INSUFFICIENT_FUNDS)},
    {"original invalid", WIRE_REFUND_CALLBACK, 0,
     .body = RESULT("\"R000002\"", "\"SKE0000000\"", ""), .means = NOT_GIVEN(DECLINED)},
    {"reversed before", WIRE_REFUND_CALLBACK, 0,
     .body = RESULT("\"R000001\"", "\"SKE0000000\"", ""), .means = {.verdict = GW_UNKNOWN}},
    {"internal failure", WIRE_PAYOUT_CALLBACK, .body = RESULT("17", "\"SKE0000000\"", ""),
     .means = {.verdict = GW_UNKNOWN}},
    {"not in time", WIRE_PAYOUT_CALLBACK, .kind = "timeout",
     .body = RESULT("1", "\"SKE0000000\"", ""), .means = {.verdict = GW_UNKNOWN}},
    {"not in time", WIRE_REFUND_CALLBACK, 1, .kind = "timeout",
     .body = RESULT("1", "\"SKE0000000\"", ""), .means = {.verdict = GW_UNKNOWN}},
    {"not in time, whatever it says", WIRE_PAYOUT_CALLBACK, .kind = "timeout",
     .body = RESULT("0", "\"TCE5P90LMN\"", PAID_OUT), .means = {.verdict = GW_UNKNOWN}},
    {"question answered: completed", WIRE_PAYOUT_CALLBACK, .kind = "status",
     .body = QUESTION("\"0\"", STATUS_OF("\"Completed\"")), .amount_optional = true,
     .means = {.verdict = GW_SUCCEEDED,
               .provider_ref = OUR_REFUND,
               .receipt = "TCE5P90LMN",
               .amount = KES(50000)}},
    {"question answered: completed", WIRE_REFUND_CALLBACK, 1, .kind = "status",
     .body = QUESTION("\"0\"", STATUS_OF("\"Completed\"")), .amount_optional = true,
     .means = {.verdict = GW_SUCCEEDED,
               .provider_ref = OUR_REFUND,
               .receipt = "TCE5P90LMN",
               .amount = KES(50000)}},
    {"question answered: no end", WIRE_PAYOUT_CALLBACK, .kind = "status",
     .body = QUESTION("0", STATUS_OF("\"Authorized\"")), .means = {.verdict = GW_UNKNOWN}},
    {"question failed", WIRE_PAYOUT_CALLBACK, .kind = "status", .body = QUESTION("2001", ""),
     .means = {.verdict = GW_UNKNOWN}},
    {"a push's callback", WIRE_PAYOUT_CALLBACK,
     .body = STK("1032", "\"ResultDesc\": \"Request cancelled by user\""),
     .means = {.not_ours = true}},
    {"a push's callback", WIRE_REFUND_CALLBACK, 1,
     .body = STK("1032", "\"ResultDesc\": \"Request cancelled by user\""),
     .means = {.not_ours = true}},
    {.name = NULL},
};

#define SENT(shortcode, amount)                                                                  \
    "{ \"TransactionType\": \"Pay Bill\", \"TransID\": \"TCE2M70ZPB\", \"TransTime\": "          \
    "\"20250314113009\", \"TransAmount\": " AMOUNT(                                              \
        amount) ", \"BusinessShortCode\": " shortcode                                            \
                ", \"BillRefNumber\": \"ACC-7781\", \"InvoiceNumber\": \"\", "                   \
                "\"OrgAccountBalance\": \"90312.00\", \"ThirdPartyTransID\": \"\", \"MSISDN\": " \
                "\"2547 ***** 344\", \"FirstName\": \"WANJIKU\", \"MiddleName\": \"\", "         \
                "\"LastName\": \"\" }"

static const struct wire_receipt receipts[] = {
    {"confirmation", SENT("\"522533\"", "\"750.00\""), "TCE2M70ZPB", "ACC-7781", KES(75000)},
    {"with numbers", SENT("522533", "750"), "TCE2M70ZPB", "ACC-7781", KES(75000)},
    {.name = "somebody else's", .body = SENT("\"600111\"", "\"750.00\"")},
    {.name = NULL},
};

static const char *const bad_phones[] = {"+255711223344",  "+254611223344", "+25471122334",
                                         "+2547112233445", "+14155550100",  NULL};

static const char *const personal[] = {"254711223344",
                                       "WANJIKU",
                                       "9f2c71",
                                       "7b1e55",
                                       "NTIyNTMzY29uZm9ybS1wYXNza2V5LTdmSzIyMDI1MDMxNDEwMTUwMg",
                                       "conformapi",
                                       "k3VtQ0aBzY7xLr9sWn2pHd5fJgTe",
                                       NULL};

#define REFUND_OVER(rail_)                                                                        \
    {                                                                                             \
        .rail = REFUND_RAIL_##rail_, .amount = KES(50000), .payment_receipt = {"TCE9K41XQ7", 10}, \
        .payment_ref = {CHECKOUT, sizeof CHECKOUT - 1}, .phone = {"+254711223344", 13},           \
        .our_id = {OUR_REFUND, sizeof OUR_REFUND - 1}, .remarks = {"Broken", 6},                  \
        .callback_url = {"https://pay.example.co.ke/cb/7b1e55", 35},                              \
        .now_us = INT64_C(1741936502) * US_PER_S                                                  \
    }

const struct fixture fixture_mpesa = {
    .name = "mpesa",
    .can = {.methods = "mpesa,mpesa_stk,mobile_money",
            .currencies = "KES",
            .countries = "KE",
            .min_minor = 100,
            .max_minor = 25000000,
            .needs_phone = true,
            .whole_units = true,
            .n_refund_rails = 2,
            .refund_rails = {REFUND_RAIL_REVERSAL, REFUND_RAIL_PAYOUT},
            .payout_min_minor = 1000,
            .payout_max_minor = 25000000,
            .payout_our_id_is_ref = true,
            .asked_by_operator = true},
    .settings = settings,
    .base_url = "https://sandbox.safaricom.co.ke",
    .token = "k3VtQ0aBzY7xLr9sWn2pHd5fJgTe",
    .charge = {.amount = KES(125000),
               .method = {"mpesa", 5},
               .phone = {"+254711223344", 13},
               .pay_code = {"RL0K7Q2ZD913", 12},
               .our_id = {"4d1e0f52-77aa-4b10-8f00-aabbccddeeff", 36},
               .description = {"Order 20931", 11},
               .callback_url = {"https://pay.example.co.ke/cb/9f2c71", 35},
               .now_us = INT64_C(1741936502) * US_PER_S}, /* 2025-03-14 10:15:02 in Nairobi */
    .n_refunds = 2,
    .refunds = {REFUND_OVER(REVERSAL), REFUND_OVER(PAYOUT)},
    .payout = PAYOUT_FOR("business", "July"),
    .query_ref = CHECKOUT,
    .requests = requests,
    .shapes = shapes,
    .receipts = receipts,
    .bad_phones = bad_phones,
    .personal = personal,
    .codes_outrank_status = true,
};
