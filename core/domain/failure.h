#ifndef RELI_DOMAIN_FAILURE_H
#define RELI_DOMAIN_FAILURE_H

#include <stdbool.h>

#include "core/base/str.h"

/* Why a payment ended without money, in one catalogue for all providers.
 * X(NAME, word, advice, message for people) */
#define FAILURE_CODES(X)                                                                           \
    X(NONE, "", NONE, "")                                                                          \
    X(INSUFFICIENT_FUNDS, "insufficient_funds", RETRY_LATER, "The customer's balance is too low.") \
    X(WRONG_PIN, "wrong_pin", RETRY_NOW, "The customer entered a wrong PIN.")                      \
    X(CANCELLED_BY_CUSTOMER, "cancelled_by_customer", RETRY_NOW,                                   \
      "The customer cancelled the request.")                                                       \
    X(CUSTOMER_TIMEOUT, "customer_timeout", RETRY_NOW, "The customer did not answer in time.")     \
    X(CUSTOMER_UNREACHABLE, "customer_unreachable", RETRY_LATER,                                   \
      "The customer's phone could not be reached.")                                                \
    X(CUSTOMER_BLOCKED, "customer_blocked", USE_OTHER_METHOD,                                      \
      "The customer's account is blocked.")                                                        \
    X(LIMIT_EXCEEDED, "limit_exceeded", USE_OTHER_METHOD,                                          \
      "The amount is beyond a limit of the customer or the provider.")                             \
    X(AMOUNT_INVALID, "amount_invalid", FIX_CONFIGURATION,                                         \
      "The provider does not take this amount.")                                                   \
    X(DUPLICATE, "duplicate", RETRY_LATER, "The provider saw the same request moments ago.")       \
    X(PROVIDER_BUSY, "provider_busy", RETRY_LATER, "The provider is busy.")                        \
    X(PROVIDER_UNAVAILABLE, "provider_unavailable", RETRY_LATER, "The provider is not available.") \
    X(PROVIDER_ERROR, "provider_error", RETRY_LATER, "The provider reported an error.")            \
    X(CONFIGURATION, "configuration", FIX_CONFIGURATION,                                           \
      "The provider refused the merchant's settings.")                                             \
    X(DECLINED, "declined", USE_OTHER_METHOD, "The payment was declined.")                         \
    X(INTEGRITY, "integrity_failure", DO_NOT_RETRY,                                                \
      "The provider reported another amount or currency than was asked for.")                      \
    X(UNKNOWN_OUTCOME, "unknown_outcome", DO_NOT_RETRY,                                            \
      "The provider has not yet said what became of the payment.")

#define FAILURE_ADVICE(X)                   \
    X(NONE, "")                             \
    X(DO_NOT_RETRY, "do_not_retry")         \
    X(RETRY_NOW, "retry_now")               \
    X(RETRY_LATER, "retry_later")           \
    X(USE_OTHER_METHOD, "use_other_method") \
    X(FIX_CONFIGURATION, "fix_configuration")

enum failure_code {
#define X(name, word, advice, message) FAILURE_##name,
    FAILURE_CODES(X)
#undef X
        FAILURE_N_CODES
};

enum failure_advice {
#define X(name, word) ADVICE_##name,
    FAILURE_ADVICE(X)
#undef X
        ADVICE_N
};

const char *failure_word(enum failure_code code);
const char *failure_message(enum failure_code code);
const char *failure_advice_word(enum failure_code code);
enum failure_advice failure_advice(enum failure_code code);
/* It lies with the provider, or with the merchant's account there: another one may well take it. */
bool failure_by_provider(enum failure_code code);
/* What a provider has said, cut to what fits and fit to be kept where nothing is ever erased: phone
 * numbers (nine digits or more, however they are spaced) and e-mail addresses are masked. */
void failure_words(char *out, size_t cap, struct str said);
/* FAILURE_NONE for a word that is not in the catalogue. */
enum failure_code failure_parse(struct str word);

#endif
