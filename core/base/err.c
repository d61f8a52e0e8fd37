/* What each error means to a client: status, word, title. One table, shared by every answer, by the
 * log and by the served documentation. */
#include "core/base/err.h"

struct err_info {
    int http;
    const char *word;
    const char *title;
    bool retry;
    const char *advice;
};

static const struct err_info infos[ERR_N_CODES] = {
#define X(name, status, word, title, retry, advice) \
    [ERR_##name] = {status, word, title, retry, advice},
    RELI_ERR_CODES(X)
#undef X
};

static const struct err_info *info(enum err_code code)
{
    ASSERT((unsigned)code < ERR_N_CODES);
    return &infos[code];
}

int err_http(enum err_code code)
{
    int status = info(code)->http;
    return status != 0 ? status : infos[ERR_INTERNAL].http;
}

const char *err_word(enum err_code code)
{
    return info(code)->word;
}

const char *err_title(enum err_code code)
{
    return info(code)->title;
}

const char *err_advice(enum err_code code)
{
    return info(code)->advice;
}

bool err_retryable(enum err_code code)
{
    return info(code)->retry;
}

bool err_public(enum err_code code)
{
    return info(code)->http >= 400;
}
