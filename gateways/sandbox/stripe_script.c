/* The tables of Stripe's test payment methods and of our tricks. Source: providers/stripe.md, 9 and
 * 11; the debits' tokens and the tricks are ours. */
#include "gateways/sandbox/stripe_script.h"

#include "core/base/attr.h"

#define PAID STRIPE_CARD_PAID, NULL, NULL, NULL
#define DECLINED(decline) STRIPE_CARD_DECLINED, "card_declined", decline, NULL

/* clang-format off */
static const struct stripe_card cards[] = {
    {"pm_card_visa", PAID, false, false, "paid"},
    {"pm_card_visa_debit", PAID, false, false, "paid"},
    {"pm_card_mastercard", PAID, false, false, "paid"},
    {"pm_card_bypassPending", PAID, false, false, "paid"},
    {"pm_card_chargeDeclined", DECLINED("generic_decline"), false, false, "declined"},
    {"pm_card_chargeDeclinedInsufficientFunds", STRIPE_CARD_DECLINED, "card_declined",
     "insufficient_funds", "try_again_later", false, false, "insufficient funds"},
    {"pm_card_visa_chargeDeclinedInsufficientFunds", STRIPE_CARD_DECLINED, "card_declined",
     "insufficient_funds", "try_again_later", false, false, "insufficient funds"},
    {"pm_card_visa_chargeDeclinedLostCard", DECLINED("lost_card"), false, false, "lost card"},
    {"pm_card_visa_chargeDeclinedStolenCard", DECLINED("stolen_card"), false, false,
     "stolen card"},
    {"pm_card_chargeDeclinedExpiredCard", STRIPE_CARD_DECLINED, "expired_card", NULL,
     "do_not_try_again", false, false, "expired card"},
    {"pm_card_chargeDeclinedIncorrectCvc", STRIPE_CARD_DECLINED, "incorrect_cvc", NULL,
     "confirm_card_data", false, false, "wrong CVC"},
    {"pm_card_chargeDeclinedProcessingError", STRIPE_CARD_DECLINED, "processing_error", NULL,
     "try_again_later", false, false, "processing error"},
    {"pm_card_authenticationRequired", STRIPE_CARD_3DS, NULL, NULL, NULL, false, false,
     "3-D Secure, paid"},
    {"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", STRIPE_CARD_3DS_NO,
     "card_declined", "insufficient_funds", "try_again_later", false, false,
     "3-D Secure, insufficient funds"},
    {"pm_card_createDispute", STRIPE_CARD_DISPUTED, NULL, NULL, NULL, false, false,
     "paid, then disputed"},
    {"pm_card_pendingRefund", PAID, true, false, "paid, refunds are pending first"},
    {"pm_card_refundFail", PAID, false, true, "paid, refunds fail later"},
    {"pm_usBankAccount", STRIPE_CARD_DEBIT, NULL, NULL, NULL, false, false, "debit, paid later"},
    {"pm_usBankAccount_debitNotAuthorized", STRIPE_CARD_DEBIT_FAILS,
     "payment_intent_payment_attempt_failed", "debit_not_authorized", NULL, false, false,
     "debit, fails later"},
};
/* clang-format on */

const struct stripe_card *stripe_card_of(struct str token)
{
    for (size_t i = 0; i < COUNT_OF(cards); i++)
        if (str_eq(token, str_c(cards[i].token)))
            return &cards[i];
    return NULL;
}

const struct stripe_card *stripe_card_at(size_t i)
{
    return i < COUNT_OF(cards) ? &cards[i] : NULL;
}

static const struct {
    int ending;
    enum stripe_trick trick;
    const char *words;
} tricks[] = {
    {-1, STRIPE_TRICK_NONE, "as the payment method says"},
    {104, STRIPE_TRICK_LOST_ANSWER, "done, answered by 500"},
    {105, STRIPE_TRICK_TWICE, "events twice"},
    {106, STRIPE_TRICK_DISORDER, "events out of order"},
    {107, STRIPE_TRICK_SILENT, "no event"},
    {109, STRIPE_TRICK_FORGED, "events with a wrong signature first"},
    {113, STRIPE_TRICK_BUSY, "sent away twice"},
    {114, STRIPE_TRICK_SLOW, "answered late"},
    {115, STRIPE_TRICK_DROPPED, "not done, answered by 500"},
};

enum stripe_trick stripe_trick_of(int64_t amount)
{
    for (size_t i = 1; i < COUNT_OF(tricks); i++)
        if (amount % 1000 == tricks[i].ending)
            return tricks[i].trick;
    return STRIPE_TRICK_NONE;
}

const char *stripe_trick_words(enum stripe_trick t)
{
    for (size_t i = 1; i < COUNT_OF(tricks); i++)
        if (tricks[i].trick == t)
            return tricks[i].words;
    return tricks[0].words;
}
