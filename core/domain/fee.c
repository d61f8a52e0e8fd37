/* Fee schedules: a small grammar (fee.h) and integer arithmetic. */
#include "core/domain/fee.h"

/* What is left of the text. */
struct reader {
    struct str text;
    size_t at;
    uint16_t currency;
};

static struct err read_rate(struct reader *in, struct fee_rule *rule);
static struct err read_price(struct reader *in, struct fee_rule *rule);
static struct err read_clauses(struct reader *in, struct fee_schedule *s);
static struct err read_payer(struct reader *in, struct fee_schedule *s);
static struct err read_amount(struct reader *in, int64_t *minor);
static struct err percent_parse(struct str digits, int32_t *ppm);
static void skip_blanks(struct reader *in);
static bool at_end(struct reader *in);
static bool take(struct reader *in, char symbol);
static struct str word(struct reader *in);
static struct err not_this(const struct reader *in, const char *what);

struct err fee_parse(struct str text, uint16_t currency, struct fee_schedule *out)
{
    struct reader in = {.text = text, .currency = currency};
    struct fee_schedule s = {.currency = currency, .n_rules = 1};
    if (text.n > FEE_TEXT_MAX)
        return ERR(LIMIT, "fee schedule too long");
    TRY(read_rate(&in, &s.rules[0]));
    TRY(read_clauses(&in, &s));
    *out = s;
    return ERR_OK;
}

/* amount * ppm / 10^6 without leaving 64 bits: MONEY_MAX * FEE_PPM_MAX would. */
static int64_t share_of(int64_t minor, int32_t ppm)
{
    int64_t whole = minor / FEE_PPM_MAX, part = minor % FEE_PPM_MAX;
    return whole * ppm + (part * ppm + FEE_PPM_MAX / 2) / FEE_PPM_MAX;
}

static const struct fee_rule *rule_for(const struct fee_schedule *s, int64_t minor)
{
    const struct fee_rule *rule = &s->rules[0];
    for (int i = 1; i < s->n_rules; i++)
        if (minor > s->rules[i].over_minor)
            rule = &s->rules[i];
    return rule;
}

struct err fee_compute(const struct fee_schedule *schedule, struct money amount, struct fee *out)
{
    if (amount.currency != schedule->currency || amount.minor <= 0)
        return ERR(INVALID, "not an amount that the schedule is for");
    if (amount.minor > MONEY_MAX)
        return ERR(LIMIT, "amount too large");
    const struct fee_rule *rule = rule_for(schedule, amount.minor);
    struct money fee = {share_of(amount.minor, rule->ppm), amount.currency};
    struct money fixed = {rule->fixed_minor, amount.currency};
    struct money gross = amount, net = amount;
    if (!money_add(fee, fixed, &fee))
        return ERR(LIMIT, "fee too large");
    if (fee.minor < rule->min_minor)
        fee.minor = rule->min_minor;
    if (rule->cap_minor != 0 && fee.minor > rule->cap_minor)
        fee.minor = rule->cap_minor;
    if (schedule->payer == FEE_PAYER_MERCHANT) {
        if (fee.minor > amount.minor)
            fee.minor = amount.minor;
        net.minor = amount.minor - fee.minor;
    } else if (!money_add(amount, fee, &gross) || gross.minor > MONEY_MAX) {
        return ERR(LIMIT, "amount with its fee too large");
    }
    *out = (struct fee){.gross = gross, .fee = fee, .net = net};
    return ERR_OK;
}

struct err fee_round_top(struct fee *fee)
{
    struct fee f = *fee;
    int64_t unit = 1;
    for (int i = 0; i < currency_exponent(f.net.currency); i++)
        unit *= 10;
    f.fee.minor = (f.fee.minor + unit / 2) / unit * unit; /* at most MONEY_MAX and a half */
    if (!money_add(f.net, f.fee, &f.gross) || f.gross.minor > MONEY_MAX)
        return ERR(LIMIT, "amount with its fee too large");
    *fee = f;
    return ERR_OK;
}

/* ---- the grammar, from its start down to its words ---- */

static struct err read_clauses(struct reader *in, struct fee_schedule *s)
{
    while (take(in, ';')) {
        if (!take(in, '>'))
            return read_payer(in, s);
        if (s->n_rules == FEE_MAX_RULES)
            return ERR(LIMIT, "too many rates");
        struct fee_rule *rule = &s->rules[s->n_rules];
        TRY(read_amount(in, &rule->over_minor));
        if (rule->over_minor <= s->rules[s->n_rules - 1].over_minor)
            return not_this(in, "thresholds must grow");
        if (!take(in, ':'))
            return not_this(in, "a colon is missing");
        TRY(read_rate(in, rule));
        s->n_rules++;
    }
    return at_end(in) ? ERR_OK : not_this(in, "a semicolon is missing");
}

static struct err read_payer(struct reader *in, struct fee_schedule *s)
{
    if (!str_eq(word(in), STR("payer")))
        return not_this(in, "neither a threshold nor a payer");
    struct str who = word(in);
    if (str_eq(who, STR("customer")))
        s->payer = FEE_PAYER_CUSTOMER;
    else if (!str_eq(who, STR("merchant")))
        return not_this(in, "the payer is the merchant or the customer");
    return at_end(in) ? ERR_OK : not_this(in, "the payer stands last");
}

static struct err read_rate(struct reader *in, struct fee_rule *rule)
{
    TRY(read_price(in, rule));
    bool min = false, cap = false;
    for (;;) {
        skip_blanks(in);
        size_t before = in->at;
        struct str option = word(in);
        if (str_empty(option))
            break;
        bool *seen = str_eq(option, STR("min")) ? &min : str_eq(option, STR("cap")) ? &cap : NULL;
        if (seen == NULL || *seen) {
            in->at = before;
            return not_this(in, "neither min nor cap, or twice");
        }
        *seen = true;
        TRY(read_amount(in, seen == &min ? &rule->min_minor : &rule->cap_minor));
    }
    if (cap && (rule->cap_minor == 0 || rule->cap_minor < rule->min_minor))
        return not_this(in, "the cap is below the minimum, or nothing");
    return ERR_OK;
}

static struct err read_price(struct reader *in, struct fee_rule *rule)
{
    skip_blanks(in);
    size_t before = in->at;
    struct str number = word(in);
    if (!take(in, '%')) {
        in->at = before;
        return read_amount(in, &rule->fixed_minor);
    }
    struct err err = percent_parse(number, &rule->ppm);
    if (err_is(err)) {
        in->at = before;
        return not_this(in, err.what);
    }
    return take(in, '+') ? read_amount(in, &rule->fixed_minor) : ERR_OK;
}

static struct err read_amount(struct reader *in, int64_t *minor)
{
    struct money m;
    skip_blanks(in);
    size_t before = in->at;
    struct err err = money_parse(word(in), in->currency, &m);
    err.detail = (int32_t)before;
    if (err_is(err))
        return err;
    *minor = m.minor;
    return ERR_OK;
}

/* "1.5" is 15000 parts per million. */
static struct err percent_parse(struct str digits, int32_t *ppm)
{
    struct str rest = digits, whole, decimals;
    int64_t v, d = 0;
    if (!str_split(&rest, '.', &whole) || !str_is_digits(whole) || !str_to_i64(whole, &v))
        return ERR(PARSE, "not a percentage");
    bool point = str_split(&rest, '.', &decimals);
    if (point && (!str_is_digits(decimals) || decimals.n > 4 || !str_to_i64(decimals, &d)))
        return ERR(PARSE, "not a percentage with up to four decimals");
    if (rest.p != NULL || v > 100)
        return ERR(PARSE, "not a percentage up to 100");
    for (size_t i = point ? decimals.n : 4; i < 4; i++)
        d *= 10;
    v = v * 10000 + d;
    if (v > FEE_PPM_MAX)
        return ERR(PARSE, "not a percentage up to 100");
    *ppm = (int32_t)v;
    return ERR_OK;
}

static void skip_blanks(struct reader *in)
{
    while (in->at < in->text.n && in->text.p[in->at] == ' ')
        in->at++;
}

static bool at_end(struct reader *in)
{
    skip_blanks(in);
    return in->at == in->text.n;
}

static bool take(struct reader *in, char symbol)
{
    skip_blanks(in);
    if (in->at == in->text.n || in->text.p[in->at] != symbol)
        return false;
    in->at++;
    return true;
}

/* Letters, digits and points; empty if there is something else. */
static struct str word(struct reader *in)
{
    skip_blanks(in);
    size_t from = in->at;
    while (in->at < in->text.n && (ascii_is_alpha(in->text.p[in->at]) ||
                                   ascii_is_digit(in->text.p[in->at]) || in->text.p[in->at] == '.'))
        in->at++;
    return str_first(str_from(in->text, from), in->at - from);
}

static struct err not_this(const struct reader *in, const char *what)
{
    return ERR_D(PARSE, in->at, what);
}
