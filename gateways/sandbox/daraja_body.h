#ifndef RELI_GATEWAYS_SANDBOX_DARAJA_BODY_H
#define RELI_GATEWAYS_SANDBOX_DARAJA_BODY_H

#include <stdint.h>

#include "core/base/buf.h"
#include "gateways/sandbox/outcome.h"

/* Daraja's messages, byte by byte. Pure. Source: providers/mpesa.md, sections 1 and 2. */

/* A push as far as messages about it need it. */
struct daraja_told {
    const char *merchant_id, *checkout_id;
    const char *result; /* a code of section 2.3 */
    const char *phone, *receipt;
    int64_t amount;     /* whole shillings */
    int64_t settled_us; /* wall */
};

void daraja_body_token(struct buf *b, const char *token, int64_t life_s);
void daraja_body_fault(struct buf *b, const char *request_id, const char *code,
                       const char *message);
void daraja_body_accepted(struct buf *b, const char *merchant_id, const char *checkout_id);
/* The answer of a query; `numbers` writes its codes as numbers where they are such. */
void daraja_body_result(struct buf *b, const struct daraja_told *t, bool numbers);
/* The callback in its form. CALLBACK_WRONG_ID expects the strange id in `t` already,
 * CALLBACK_FAILURE_FIRST and _ODD_CODE the code in `t`. */
void daraja_body_callback(struct buf *b, const struct daraja_told *t, enum outcome_callback form);

/* What the documents say about a code. */
const char *daraja_result_text(const char *code);
/* YYYYMMDDHHmmss in East Africa Time. */
enum { DARAJA_TIME = 15 };
void daraja_time_text(int64_t wall_us, char out[DARAJA_TIME]);

#endif
