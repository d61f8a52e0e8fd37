/* The catalogue of payment failures. */
#include "core/domain/failure.h"

#include "core/base/attr.h"

static const struct {
    const char *word;
    enum failure_advice advice;
    const char *message;
} codes[FAILURE_N_CODES] = {
#define X(name, word, advice, message) [FAILURE_##name] = {word, ADVICE_##advice, message},
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

/* ---- a provider's words ---- */

enum { NUMBER_DIGITS = 9, GAP_MAX = 2 };

static bool joins(char c)
{
    return c == ' ' || c == '-' || c == '(' || c == ')' || c == '.';
}

/* Masks the digits from `at` on if they make a number, at most two signs between any of them:
 * (0700) 000-000. The end of them. */
static size_t mask_number(char *s, size_t at)
{
    size_t n = 0, end = at;
    for (size_t i = at;; i++) {
        if (ascii_is_digit(s[i])) {
            n++;
            end = i + 1;
        } else if (i >= end + GAP_MAX || !joins(s[i])) {
            break;
        }
    }
    for (size_t i = at; i < end && n >= NUMBER_DIGITS; i++)
        if (ascii_is_digit(s[i]))
            s[i] = '*';
    return end;
}

static bool in_address(char c)
{
    return (unsigned char)c > ' ' && c != '<' && c != '>' && c != '"' && c != '\'' && c != ',';
}

static void mask_addresses(char *s)
{
    for (size_t at = 0; s[at] != '\0'; at++) {
        size_t from = at, to = at + 1;
        if (s[at] != '@')
            continue;
        while (from > 0 && in_address(s[from - 1]))
            from--;
        while (in_address(s[to]))
            to++;
        for (size_t i = from; i < to && from < at && to > at + 1; i++)
            s[i] = '*';
    }
}

void failure_words(char *out, size_t cap, struct str said)
{
    str_copy_c(out, cap, said);
    mask_addresses(out);
    for (size_t at = 0; out[at] != '\0';)
        at = ascii_is_digit(out[at]) ? mask_number(out, at) : at + 1;
}
