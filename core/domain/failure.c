/* The catalogue of payment failures. */
#include "core/domain/failure.h"

#include "core/base/attr.h"

static const struct {
    const char *word;
    enum failure_advice advice;
    bool by_customer;
    const char *message;
} codes[FAILURE_N_CODES] = {
#define X(name, word, advice, customer, message) \
    [FAILURE_##name] = {word, ADVICE_##advice, customer, message},
    FAILURE_CODES(X)
#undef X
};

static const char *const advices[ADVICE_N] = {
#define X(name, word) [ADVICE_##name] = word,
    FAILURE_ADVICE(X)
#undef X
};

const char *failure_word(enum failure_code code)
{
    ASSERT((unsigned)code < FAILURE_N_CODES);
    return codes[code].word;
}

const char *failure_message(enum failure_code code)
{
    ASSERT((unsigned)code < FAILURE_N_CODES);
    return codes[code].message;
}

enum failure_advice failure_advice(enum failure_code code)
{
    ASSERT((unsigned)code < FAILURE_N_CODES);
    return codes[code].advice;
}

const char *failure_advice_word(enum failure_code code)
{
    return advices[failure_advice(code)];
}

bool failure_by_customer(enum failure_code code)
{
    ASSERT((unsigned)code < FAILURE_N_CODES);
    return codes[code].by_customer;
}

/* Not DUPLICATE: the request that it was the second of may still be paid. */
bool failure_by_provider(enum failure_code code)
{
    return code == FAILURE_AMOUNT_INVALID || code == FAILURE_PROVIDER_BUSY ||
           code == FAILURE_PROVIDER_UNAVAILABLE || code == FAILURE_PROVIDER_ERROR ||
           code == FAILURE_CONFIGURATION;
}

enum failure_code failure_parse(struct str word)
{
    for (int i = 1; i < FAILURE_N_CODES; i++)
        if (str_eq(word, str_c(codes[i].word)))
            return (enum failure_code)i;
    return FAILURE_NONE;
}
