/* The one catalogue of error codes. X(NAME, http status, stable word, title, may be retried as is,
 * what its receiver can do about it). Words are part of the public contract: never rename one. A
 * status of 0 marks a code that has no meaning of its own for a client; err_http() then answers as
 * INTERNAL does. */
#ifndef RELI_ERR_CODES
#define RELI_ERR_CODES(X)                                                                          \
    X(NONE, 200, "ok", "No error", 0, "")                                                          \
    X(BAD_REQUEST, 400, "bad_request", "The request is malformed", 0,                              \
      "Mend the request: it cannot be understood.")                                                \
    X(INVALID_JSON, 400, "invalid_json", "The body is not JSON that is taken", 0,                  \
      "Send one JSON object in UTF-8: no member twice, no U+0000, integers of 64 bits, 32 levels.")\
    X(IDEMPOTENCY_KEY_INVALID, 400, "idempotency_key_invalid", "Invalid Idempotency-Key", 0,       \
      "Send 16 to 255 printable ASCII characters, a UUID for example.")                            \
    X(IDEMPOTENCY_KEY_REQUIRED, 400, "idempotency_key_required", "Idempotency-Key is required", 0, \
      "Send the header Idempotency-Key, a new value for each thing that is to happen once.")       \
    X(UNAUTHENTICATED, 401, "unauthenticated", "Authentication failed", 0,                         \
      "Send Authorization: Bearer with an API key or an access token that is good now.")           \
    X(TOTP_REQUIRED, 401, "totp_required", "The second factor's code is missing", 0,               \
      "Log in with the code of the second factor, totp, too.")                                     \
    X(FORBIDDEN, 403, "forbidden", "Not allowed", 0,                                               \
      "Use a key with the scope for it, or a person with the role.")                               \
    X(NO_MEMBERSHIP, 403, "no_membership", "Not a member of any merchant", 0,                      \
      "Have the merchant invite this person; staff name a merchant by Reli-Merchant.")             \
    X(MERCHANT_SUSPENDED, 403, "merchant_suspended", "The merchant is suspended", 0,               \
      "Ask whoever runs this installation; reading and refunds go on.")                            \
    X(MERCHANT_CLOSED, 403, "merchant_closed", "The merchant is closed", 0,                        \
      "Nothing but reading is possible any more.")                                                 \
    X(ADDRESS_NOT_ALLOWED, 403, "address_not_allowed", "Not from this address", 0,                 \
      "Call from a network that is allowed, or have the list of networks changed.")                \
    X(HTTPS_REQUIRED, 403, "https_required", "Use https", 0,                                       \
      "Call the address that begins with https.")                                                  \
    X(NOT_FOUND, 404, "not_found", "No such resource", 0,                                          \
      "Check path, id and key: what is another merchant's or of the other mode is not found.")     \
    X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", "Method not allowed", 0,                      \
      "Use one of the methods that the header Allow names.")                                       \
    X(REQUEST_TIMEOUT, 408, "request_timeout", "The request took too long to arrive", 1,           \
      "Send it again, all of it within 30 seconds.")                                               \
    X(CONFLICT, 409, "conflict", "The resource changed meanwhile", 1,                              \
      "Read the resource again; if it still has to be done, send the request again.")              \
    X(IDEMPOTENCY_IN_PROGRESS, 409, "idempotency_in_progress",                                     \
      "A request with this key is in progress", 1,                                                 \
      "Wait a moment and send the same again: it gets the first one's answer.")                    \
    X(DUPLICATE_REFERENCE, 409, "duplicate_reference", "The reference is taken", 0,                \
      "Use another reference; POST /api/v1/payments/status shows the payment that has this one.")  \
    X(INVALID_STATE, 409, "invalid_state", "Not possible in the present state", 0,                 \
      "Read the resource again: its status does not allow this.")                                  \
    X(BODY_TOO_LARGE, 413, "body_too_large", "The body is too large", 0, "Send less.")             \
    X(URI_TOO_LONG, 414, "uri_too_long", "The request line is too long", 0,                        \
      "Send a request line and headers of at most 16 KiB.")                                        \
    X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", "Send application/json", 0,           \
      "Send the header Content-Type: application/json.")                                           \
    X(UNSUPPORTED_CONTENT_ENCODING, 415, "unsupported_content_encoding",                           \
      "Compressed bodies are not taken", 0, "Send the body as it is, without Content-Encoding.")   \
    X(VALIDATION, 422, "validation_failed", "The request has invalid fields", 0,                   \
      "Mend the fields in errors.")                                                                \
    X(CARD_NUMBER_REFUSED, 422, "card_number_refused", "Card numbers are not taken", 0,            \
      "Leave the number out; cards are entered at the provider's page or by its script.")          \
    X(OTP_WRONG, 422, "otp_wrong", "The one-time code is wrong", 0,                                \
      "Ask the customer for the code again; next_action.tries_left says how often.")               \
    X(INSUFFICIENT_BALANCE, 422, "insufficient_balance", "Not enough to pay out", 0,               \
      "Pay out less, or when more has come in: GET /api/v1/balances.")                             \
    X(LIMIT_EXCEEDED, 422, "limit_exceeded", "Beyond a limit of the merchant", 0,                  \
      "Take less, or wait until the day or month is over: GET /api/v1/limits.")                    \
    X(IDEMPOTENCY_KEY_REUSED, 422, "idempotency_key_reused",                                       \
      "The key was used with another request", 0,                                                  \
      "Use a new key for another request; a repetition has to be the same.")                       \
    X(UPGRADE_REQUIRED, 426, "upgrade_required", "Ask for a WebSocket", 0,                         \
      "Open a WebSocket of version 13.")                                                           \
    X(TOO_MANY_ATTEMPTS, 429, "too_many_attempts", "Too many failed attempts", 1,                  \
      "Wait as long as Retry-After says.")                                                         \
    X(RATE_LIMITED, 429, "rate_limited", "Too many requests", 1,                                   \
      "Wait as long as Retry-After says.")                                                         \
    X(HEADERS_TOO_LARGE, 431, "headers_too_large", "The header fields are too large", 0,           \
      "Send a request line and headers of at most 16 KiB.")                                        \
    X(INTERNAL, 500, "internal", "Internal error", 1,                                              \
      "Send it again with the same Idempotency-Key; report the request_id if it stays so.")        \
    X(UNAVAILABLE, 503, "unavailable", "The service is not available now", 1,                      \
      "Send it again with the same Idempotency-Key: nothing is done twice.")                       \
    X(MAINTENANCE, 503, "maintenance", "The service is under maintenance", 1,                      \
      "Wait as long as Retry-After says; reading and refunds go on.")                              \
    X(OVERLOADED, 503, "overloaded", "The service is overloaded", 1,                               \
      "Send it again after Retry-After with the same Idempotency-Key: nothing is done twice.")     \
    X(VERSION_NOT_SUPPORTED, 505, "http_version_not_supported", "HTTP version not supported", 0,   \
      "Use HTTP/1.1.")                                                                             \
    /* inside only */                                                                              \
    X(INVALID, 0, "invalid", "Invalid argument", 0, "")                                            \
    X(PARSE, 0, "parse", "Cannot be parsed", 0, "")                                                \
    X(LIMIT, 0, "limit", "A limit was reached", 1, "")                                             \
    X(NO_MEMORY, 0, "no_memory", "Out of memory", 1, "")                                           \
    X(IO, 0, "io", "Input or output failed", 1, "")                                                \
    X(TIMEOUT, 0, "timeout", "A deadline passed", 1, "")                                           \
    X(CANCELED, 0, "canceled", "Canceled", 1, "")                                                  \
    X(FAILED, 0, "failed", "Definitely did not happen", 0, "")                                     \
    X(AMBIGUOUS, 0, "ambiguous", "May or may not have happened", 0, "")                            \
    X(LOST_RACE, 0, "lost_race", "Another change won", 1, "")                                      \
    X(CRYPTO, 0, "crypto", "A cryptographic operation failed", 0, "")                              \
    X(CONFIG, 0, "config", "The configuration is wrong", 0, "")
#endif
