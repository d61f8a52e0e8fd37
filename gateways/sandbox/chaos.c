/* Settings by one table, so that reading, checking and showing them cannot drift apart. */
#include "gateways/sandbox/chaos.h"

#include "gateways/outbound.h"

enum setting_kind { SETTING_I64, SETTING_BOOL };

struct setting {
    const char *name;
    size_t at;
    enum setting_kind kind;
    int64_t min, max, start;
};

enum { DAY_MS = 86400000, YEAR_S = 31536000 };

/* clang-format off */
#define NUMBER(name_, min_, max_, start_)                                                          \
    {#name_, offsetof(struct chaos, name_), SETTING_I64, min_, max_, start_}
#define SWITCH(name_, start_)                                                                      \
    {#name_, offsetof(struct chaos, name_), SETTING_BOOL, 0, 1, start_}
/* clang-format on */

static const struct setting settings[] = {
    NUMBER(fail_rate, 0, 1000, 0),
    NUMBER(reset_rate, 0, 1000, 0),
    NUMBER(drop_answer_rate, 0, 1000, 0),
    NUMBER(callback_loss_rate, 0, 1000, 0),
    NUMBER(callback_dup_rate, 0, 1000, 0),
    SWITCH(down, false),
    NUMBER(spike_limit_per_s, 0, 1000000, 0),
    NUMBER(seed, 0, INT64_MAX, 1),
    NUMBER(delay_ms, 0, DAY_MS, 1000),
    NUMBER(timeout_delay_ms, 0, DAY_MS, 3000),
    NUMBER(late_delay_s, 0, YEAR_S, 1200),
    NUMBER(slow_answer_ms, 0, DAY_MS, 36000),
    NUMBER(token_life_s, 1, YEAR_S, 3599),
    SWITCH(token_single, false),
    NUMBER(timestamp_tolerance_s, 0, YEAR_S, 300),
    SWITCH(refund_outcomes, true),
    NUMBER(cpay_delay_ms, 0, DAY_MS, 200),
};

static const char answer_delay[] = "answer_delay_ms";
/* Where signed webhooks go. */
static const struct {
    const char *name;
    size_t at;
} urls[] = {
    {"cpay_webhook_url", offsetof(struct chaos, cpay_webhook_url)},
    {"stripe_webhook_url", offsetof(struct chaos, stripe_webhook_url)},
};

static int64_t *number_of(struct chaos *c, const struct setting *s)
{
    return (int64_t *)(void *)((char *)c + s->at);
}

static bool *switch_of(struct chaos *c, const struct setting *s)
{
    return (bool *)((char *)c + s->at);
}

static char *url_of(struct chaos *c, size_t i)
{
    return (char *)c + urls[i].at;
}

struct chaos chaos_default(void)
{
    struct chaos c = {.cpay_webhook_url = "http://127.0.0.1:8080/api/v1/webhooks/cpay",
                      .stripe_webhook_url = "http://127.0.0.1:8080/api/v1/webhooks/stripe"};
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        if (settings[i].kind == SETTING_I64)
            *number_of(&c, &settings[i]) = settings[i].start;
        else
            *switch_of(&c, &settings[i]) = settings[i].start != 0;
    return c;
}

bool chaos_url(struct str url, char out[CHAOS_URL])
{
    if (url.n >= CHAOS_URL || (url.n > 0 && !outbound_url_ok(url, true)))
        return false;
    (void)str_copy_c(out, CHAOS_URL, url);
    return true;
}

static void read_answer_delay(struct fields *f, struct chaos *c)
{
    static const char *const names[] = {"min", "max", NULL};
    const struct json *range;
    if (!fields_object(f, answer_delay, OPTIONAL, &range))
        return;
    struct fields inner = {range, "answer_delay_ms.", f->errors};
    fields_only(&inner, names);
    if (fields_i64(&inner, "min", REQUIRED, 0, DAY_MS, &c->answer_min_ms) &&
        fields_i64(&inner, "max", REQUIRED, 0, DAY_MS, &c->answer_max_ms) &&
        c->answer_min_ms > c->answer_max_ms)
        fields_fault(&inner, "max", "range", "Must not be below min.");
}

void chaos_change(struct chaos *c, const struct json *obj, struct field_errors *errors)
{
    const char *names[COUNT_OF(settings) + COUNT_OF(urls) + 2];
    struct fields f = {obj, "", errors};
    struct chaos next = *c;
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        names[i] = settings[i].name;
    names[COUNT_OF(settings)] = answer_delay;
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        names[COUNT_OF(settings) + 1 + i] = urls[i].name;
    names[COUNT_OF(settings) + 1 + COUNT_OF(urls)] = NULL;
    fields_only(&f, names);
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const struct setting *s = &settings[i];
        const struct json *j = json_get(obj, s->name);
        if (s->kind == SETTING_I64)
            (void)fields_i64(&f, s->name, OPTIONAL, s->min, s->max, number_of(&next, s));
        else if (j != NULL && !json_bool(j, switch_of(&next, s)))
            fields_fault(&f, s->name, "type", "Must be true or false.");
    }
    read_answer_delay(&f, &next);
    struct str url;
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        if (fields_text(&f, urls[i].name, OPTIONAL, 0, CHAOS_URL - 1, &url) &&
            !chaos_url(url, url_of(&next, i)))
            fields_fault(&f, urls[i].name, "format", "Must be a URL.");
    if (errors->n == 0)
        *c = next;
}

void chaos_print(const struct chaos *c, struct jsonw *w)
{
    struct chaos copy = *c;
    jw_open(w);
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const struct setting *s = &settings[i];
        if (s->kind == SETTING_I64)
            jw_i64(w, s->name, *number_of(&copy, s));
        else
            jw_bool(w, s->name, *switch_of(&copy, s));
    }
    jw_key(w, answer_delay);
    jw_open(w);
    jw_i64(w, "min", c->answer_min_ms);
    jw_i64(w, "max", c->answer_max_ms);
    jw_close(w);
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        jw_c(w, urls[i].name, url_of(&copy, i));
    jw_close(w);
}

void dice_seed(struct dice *d, int64_t seed)
{
    d->state = (uint64_t)seed;
}

/* SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t dice_next(struct dice *d)
{
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

bool dice_hit(struct dice *d, int64_t permille)
{
    if (permille <= 0 || permille >= 1000)
        return permille > 0;
    return (int64_t)(dice_next(d) % 1000) < permille;
}

int64_t dice_between(struct dice *d, int64_t min, int64_t max)
{
    return max > min ? min + (int64_t)(dice_next(d) % (uint64_t)(max - min + 1)) : min;
}
