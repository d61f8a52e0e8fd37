#ifndef RELI_BASE_ERR_H
#define RELI_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/attr.h"
#include "core/base/err_codes.h"

enum err_code {
#define X(name, status, word, title, retry, advice) ERR_##name,
    RELI_ERR_CODES(X)
#undef X
        ERR_N_CODES
};

/* The result of everything that can fail. Zero is success.
 * `detail` is the foreign number (errno, UV_*, SQLSTATE hash, provider result), `what` static text
 * without user data, for the log. */
struct err {
    enum err_code code;
    int32_t detail;
    const char *what;
};

#define ERR_OK ((struct err){ERR_NONE, 0, 0})
#define ERR(name, what_) ((struct err){ERR_##name, 0, (what_)})
#define ERR_D(name, detail_, what_) ((struct err){ERR_##name, (int32_t)(detail_), (what_)})

static inline bool err_is(struct err e)
{
    return e.code != ERR_NONE;
}

/* The only macro that hides a return: synchronous code, nothing owned outside an arena. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        struct err try_err_ = (call);                                                              \
        if (UNLIKELY(try_err_.code != ERR_NONE))                                                   \
            return try_err_;                                                                       \
    } while (0)

/* HTTP status that a client sees for `code`; inside-only codes answer 500. */
int err_http(enum err_code code);
/* The stable word of the public catalogue. */
const char *err_word(enum err_code code);
const char *err_title(enum err_code code);
/* What a client can do about it, in words; "" of a code that is not public. */
const char *err_advice(enum err_code code);
/* Whether the same request may simply be sent again. */
bool err_retryable(enum err_code code);
/* Whether the code belongs to the public catalogue. */
bool err_public(enum err_code code);

#endif
