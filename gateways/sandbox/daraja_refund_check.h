#ifndef RELI_GATEWAYS_SANDBOX_DARAJA_REFUND_CHECK_H
#define RELI_GATEWAYS_SANDBOX_DARAJA_REFUND_CHECK_H

#include "gateways/sandbox/daraja_check.h"

/* What Daraja refuses of the operations with an initiator. Pure. Source: providers/mpesa.md,
 * sections 5.1, 5.5 and 5.6. */

/* What reversal, payout and status query have in common. Texts point into the checked JSON or into
 * `digits`. */
struct daraja_order {
    struct str initiator, credential; /* the credential as base64 */
    struct str organisation;          /* short code of who asks and pays */
    struct str transaction;           /* reversal and query: a receipt; empty if not given */
    struct str originator;            /* payout: the caller's id; query: of the request asked about;
                                         empty if not given */
    struct str phone;                 /* payout */
    struct str result_url, timeout_url;
    int64_t amount; /* whole shillings; 0 of a query */
    char digits[4][JSON_NUMBER_TEXT];
};

/* The fields one by one, in the order of the document; the first fault wins. */
struct daraja_fault daraja_check_reversal(const struct json *body, struct daraja_order *out);
/* Version 1 of the payout knows no id of the caller: `own_id` is false. */
struct daraja_fault daraja_check_payout(const struct json *body, bool own_id,
                                        struct daraja_order *out);
struct daraja_fault daraja_check_balance(const struct json *body, struct daraja_order *out);
struct daraja_fault daraja_check_status(const struct json *body, struct daraja_order *out);

#endif
