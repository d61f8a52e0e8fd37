/* Limits on money: what a rule is, whom it meets, and which day or month it counts in. */
#include "core/domain/limit.h"

#include <stdio.h>

#include "core/base/times.h"

static const char *const scope_words[LIMIT_N_SCOPES] = {
#define X(name, word, whose) [LIMIT_##name] = word,
    LIMIT_SCOPES(X)
#undef X
};

static const char *const scope_whose[LIMIT_N_SCOPES] = {
#define X(name, word, whose) [LIMIT_##name] = whose,
    LIMIT_SCOPES(X)
#undef X
};

static const char *const span_words[LIMIT_N_SPANS] = {
#define X(name, word, words) [LIMIT_##name] = word,
    LIMIT_SPANS(X)
#undef X
};

static const char *const span_limits[LIMIT_N_SPANS] = {
#define X(name, word, words) [LIMIT_##name] = words,
    LIMIT_SPANS(X)
#undef X
};

const char *limit_scope_word(enum limit_scope s)
{
    return scope_words[s];
}

const char *limit_span_word(enum limit_span s)
{
    return span_words[s];
}

bool limit_scope_parse(struct str word, enum limit_scope *out)
{
    for (enum limit_scope s = 0; s < LIMIT_N_SCOPES; s++)
        if (str_eq(word, str_c(scope_words[s]))) {
            *out = s;
            return true;
        }
    return false;
}

bool limit_span_parse(struct str word, enum limit_span *out)
{
    for (enum limit_span s = 0; s < LIMIT_N_SPANS; s++)
        if (str_eq(word, str_c(span_words[s]))) {
            *out = s;
            return true;
        }
    return false;
}

const char *limit_rule_fault(const struct limit_rule *r)
{
    if (r->max_minor < 0 || r->max_count < 0 || r->max_count > LIMIT_COUNT_MAX)
        return "Out of range.";
    if (r->max_minor == 0 && r->max_count == 0)
        return "Needs max_amount or max_count.";
    if (r->span == LIMIT_SINGLE && (r->max_count != 0 || r->max_minor == 0))
        return "A single payment has max_amount only.";
    if (r->scope != LIMIT_METHOD && r->method[0] != '\0')
        return "payment_method is for the scope method only.";
    return NULL;
}

bool limit_rule_same(const struct limit_rule *a, const struct limit_rule *b)
{
    return a->currency == b->currency && a->scope == b->scope && a->span == b->span &&
           str_eq(str_c(a->method), str_c(b->method));
}

static bool read_rule(struct str text, struct limit_rule *r)
{
    struct str scope, method, span, amount;
    if (!str_split(&text, ':', &scope) || !str_split(&text, ':', &method) ||
        !str_split(&text, ':', &span) || !str_split(&text, ':', &amount) ||
        method.n > LIMIT_METHOD_MAX)
        return false;
    str_copy_c(r->method, sizeof r->method, method);
    return limit_scope_parse(scope, &r->scope) && limit_span_parse(span, &r->span) &&
           str_to_i64(amount, &r->max_minor) && str_to_i64(text, &r->max_count) &&
           limit_rule_fault(r) == NULL;
}

struct err limit_rules_parse(struct str text, uint16_t currency, struct limit_rules *out)
{
    struct str word;
    out->n = 0;
    while (text.n > 0 && str_split(&text, ';', &word)) {
        struct limit_rule *r = &out->rule[out->n];
        if (out->n == LIMIT_RULES_MAX)
            return ERR(INTERNAL, "too many stored limits");
        *r = (struct limit_rule){.currency = currency};
        if (!read_rule(word, r))
            return ERR(INTERNAL, "stored limit not understood");
        out->n++;
    }
    return ERR_OK;
}

bool limit_meets(const struct limit_rule *r, struct str method, bool has_customer)
{
    if (r->scope == LIMIT_CUSTOMER)
        return has_customer;
    return r->scope != LIMIT_METHOD || r->method[0] == '\0' || str_eq(str_c(r->method), method);
}

int64_t limit_since_us(enum limit_span span, int64_t now_us)
{
    if (span == LIMIT_SINGLE)
        return 0;
    struct date d = date_of(now_us);
    return date_to_us(
        (struct date){.year = d.year, .month = d.month, .day = span == LIMIT_MONTHLY ? 1 : d.day});
}

const char *limit_words(const struct limit_rule *r, char out[96])
{
    snprintf(out, 96, "%s %s", span_limits[r->span], scope_whose[r->scope]);
    return out;
}
