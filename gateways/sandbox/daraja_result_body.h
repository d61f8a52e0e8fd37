#ifndef RELI_GATEWAYS_SANDBOX_DARAJA_RESULT_BODY_H
#define RELI_GATEWAYS_SANDBOX_DARAJA_RESULT_BODY_H

#include <stdint.h>

#include "core/base/buf.h"

/* The messages of the "Result" family, byte by byte. Pure. Source: providers/mpesa.md, sections 4
 * and 5. */

/* The shapes that the documents show for one and the same thing; bits. */
enum {
    RESULT_FORM_TEXT = 1,   /* codes and amounts as strings */
    RESULT_FORM_SINGLE = 2, /* one object where others have a list */
    RESULT_N_FORMS = 4
};

/* A transaction as far as messages about it need it. Texts are "" where there is none. */
struct daraja_deed {
    const char *conversation, *originator;
    const char *transaction; /* its own receipt */
    const char *result;      /* a code of sections 5.1 to 5.7 */
    const char *phone, *organisation;
    const char *receipt; /* reversal: of the charge */
    int64_t amount;      /* whole shillings */
    int64_t queued_us, settled_us;
};

/* The synchronous answer of all operations. */
void daraja_body_ack(struct buf *b, const char *conversation, const char *originator);
void daraja_body_reversal(struct buf *b, const struct daraja_deed *t, unsigned form);
void daraja_body_payout(struct buf *b, const struct daraja_deed *t, unsigned form);
/* What the QueueTimeOutURL gets. */
void daraja_body_timeout(struct buf *b, const struct daraja_deed *t, unsigned form);

/* The result of a status query: the ids of `query` around what is known of `about`, whose state is
 * a word such as "Completed". `about` is NULL where nothing is known; query->result says why. */
void daraja_body_status(struct buf *b, const struct daraja_deed *query,
                        const struct daraja_deed *about, const char *state, unsigned form);

/* What an organisation has: `working` whole shillings, and accounts that are always the same. */
void daraja_body_balance(struct buf *b, const struct daraja_deed *query, int64_t working,
                         unsigned form);

#endif
