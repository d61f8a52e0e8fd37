#ifndef RELI_TEST_CONFORM_TOY_H
#define RELI_TEST_CONFORM_TOY_H

#include "test/conform/conform.h"

/* What may be wrong with the toy's adapter: X(NAME, the checks that must notice, by commas) */
#define TOY_FAULTS(X)                                                                \
    X(NONE, "")                                                                      \
    X(NO_TITLE, "descriptor_is_sane")                                                \
    X(OTHER_LIMIT, "descriptor_agrees_with_fixture")                                 \
    X(SECRET_SETTING, "is_documented")                                               \
    X(UNSHAPED_CALLBACK, "fixture_is_complete")                                      \
    X(AMOUNT_AS_TEXT, "requests_are_the_recorded_bytes")                             \
    X(COUNTS_REQUESTS, "requests_are_the_recorded_bytes,requests_are_deterministic," \
                       "request_is_whole_or_not_made")                               \
    X(ANY_AMOUNT, "impossible_amounts_are_refused")                                  \
    X(ANY_PHONE, "impossible_phones_are_refused")                                    \
    X(NO_KEY, "missing_settings_are_refused")                                        \
    X(KEY_IN_URL, "requests_are_the_recorded_bytes,no_secret_in_url")                \
    X(ANY_ID, "no_header_can_be_injected")                                           \
    X(RAW_WORDS, "no_member_can_be_injected")                                        \
    X(KEY_OF_NOW, "our_id_is_sent")                                                  \
    X(LOSES_HEADER, "request_is_whole_or_not_made")                                  \
    X(OTHER_FAILURE, "answers_mean_what_is_documented")                              \
    X(REMEMBERS, "hearing_is_pure")                                                  \
    X(ANY_STATUS, "status_decides")                                                  \
    X(ANY_OUTCOME, "network_is_not_an_answer")                                       \
    X(SUCCESS_IS_PAID, "unknown_code_is_never_success")                              \
    X(AMOUNT_AS_ASKED, "altered_amount_is_reported")                                 \
    X(REF_AS_ASKED, "another_id_is_reported")                                        \
    X(NO_MEMORY_NO_RECEIPT, "small_arena_claims_nothing")                            \
    X(HALF_IS_FAILED, "truncated_answer_is_unknown")                                 \
    X(TRUE_IS_PAID, "wrong_types_claim_nothing_new")                                 \
    X(AMOUNT_MAY_MISS, "missing_members_claim_nothing_new")                          \
    X(LAST_STATUS_WINS, "duplicate_members_are_unknown")                             \
    X(CLAMPS, "huge_numbers_claim_nothing_new")                                      \
    X(DEEP_IS_FAILED, "deep_nesting_is_unknown")                                     \
    X(BYTES_ARE_FAILED, "bytes_that_are_no_text_are_unknown")                        \
    X(OK_IS_ACCEPTED, "no_json_is_unknown")                                          \
    X(ALL_WORDS, "results_can_be_stored")                                            \
    X(ANY_TOKEN, "token_is_checked")                                                 \
    X(SHOWS_PHONE, "nothing_personal_is_stored")                                     \
    X(BYTES_ARE_FORGED, "genuine_webhook_is_taken")                                  \
    X(HALF_A_MAC, "forged_webhook_is_refused")                                       \
    X(EMPTY_SECRET, "webhook_needs_a_secret")                                        \
    X(PATIENT, "expired_webhook_is_refused")                                         \
    X(FIRST_MAC_ONLY, "rotated_secret_is_taken")                                     \
    X(SUBJECT_IS_REF, "webhook_names_its_subject")                                   \
    X(NEWS_OF_NOTHING, "receipts_are_whole_or_none")                                 \
    X(ASKS_ABOUT_ALL, "webhook_names_its_subject")                                   \
    X(NAMELESS_DISPUTE, "results_can_be_stored")                                     \
    X(OTHER_TOKENS, "descriptor_agrees_with_fixture")                                \
    X(HALF_A_BALANCE, "wrong_types_claim_nothing_new,"                               \
                      "missing_members_claim_nothing_new,"                           \
                      "huge_numbers_claim_nothing_new")                              \
    X(HALF_A_PAYOUT, "descriptor_is_sane")                                           \
    X(OTHER_PAYOUT_LIMIT, "descriptor_agrees_with_fixture")                          \
    X(ANY_PAYOUT, "impossible_amounts_are_refused")                                  \
    X(ANY_RECEIVER, "impossible_phones_are_refused")                                 \
    X(PAYOUT_KEY_OF_NOW, "our_id_is_sent")                                           \
    X(OTHER_PAYOUT_REFUSAL, "answers_mean_what_is_documented")                       \
    X(PAYOUT_ERROR_IS_REFUSED, "status_decides,no_json_is_unknown")                  \
    X(PAYOUT_LOST_IS_REFUSED, "network_is_not_an_answer")                            \
    X(PAYOUT_HALF_IS_REFUSED, "truncated_answer_is_unknown")                         \
    X(PAYOUT_OF_ANOTHER, "another_id_is_reported")                                   \
    X(PAYOUT_NEWS_OF_ALL, "answers_mean_what_is_documented,"                         \
                          "altered_amount_is_reported,small_arena_claims_nothing,"   \
                          "wrong_types_claim_nothing_new,missing_members_claim_nothing_new")

enum toy_fault {
#define X(name, checks) TOY_##name,
    TOY_FAULTS(X)
#undef X
        TOY_N
};

#define TOY_KEY "toy-key-8842"
#define TOY_HOOK "toy-hook-1193"
#define TOY_PHONE "+254711223344"
#define TOY_OUR_ID "4d1e0f52-77aa-4b10-8f00-aabbccddeeff"
#define TOY_REF "T-7001"
#define TOY_NOW_US (INT64_C(1767960000) * US_PER_S)
#define TOY_MINOR 125000
#define TOY_PAYOUT_MIN 1000

/* The adapter with that fault. One at a time. */
const struct gateway *toy_gateway(enum toy_fault fault);

#endif
