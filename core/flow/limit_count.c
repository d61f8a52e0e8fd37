/* Which counters a payment counts in. A counter is named by what it counts and when: the id begins
 * with the beginning of its day or month, so that counters of one time lie together. */
#include "core/flow/limit_count.h"

#include "core/base/times.h"
#include "core/crypto/mac.h"

/* More than can be counted, and far from what overflows. */
#define NO_MAX (INT64_C(1) << 61)

static struct str subject_of(const struct limit_rule *r, const struct payment_record *rec,
                             struct str customer)
{
    if (r->scope == LIMIT_CUSTOMER)
        return customer;
    return r->scope == LIMIT_METHOD ? rec->method : STR("");
}

static struct uuid counter_id(const struct limit_rule *r, const struct payment_record *rec,
                              struct str subject)
{
    uint8_t hash[SHA256_LEN];
    struct uuid id;
    uint64_t ms = (uint64_t)(limit_since_us(r->span, rec->p.created_at_us) / US_PER_MS);
    struct str parts[] = {
        STR("limit\n"),
        mode_word(rec->live),
        currency_str(r->currency),
        str_c(limit_scope_word(r->scope)),
        STR("\n"),
        str_c(limit_span_word(r->span)),
        STR("\n"),
        str_c(r->method), /* a rule of its own for a method has a counter of its own */
        STR("\n"),
        subject,
    };
    sha256(parts, COUNT_OF(parts), hash);
    memcpy(id.b, hash, sizeof id.b);
    for (int i = 0; i < 6; i++)
        id.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.b[6] = (uint8_t)(0x70 | (id.b[6] & 0x0f));
    id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
    return id;
}

static struct str about(struct arena *a, const struct limit_rule *r,
                        const struct payment_record *rec)
{
    struct str mode = mode_word(rec->live), currency = currency_str(r->currency);
    return arena_fmt(a, "%.*s %.*s %s %s%s%.*s", STR_ARG(mode), STR_ARG(currency),
                     limit_span_word(r->span), limit_scope_word(r->scope),
                     r->scope == LIMIT_METHOD ? " " : "",
                     STR_ARG(r->scope == LIMIT_METHOD ? rec->method : STR("")));
}

struct err limit_count(struct arena *a, const struct payment_record *rec,
                       const struct limit_rules *rules, struct str customer,
                       struct limit_counts *out)
{
    *out = (struct limit_counts){0};
    char *ids = NULL;
    size_t n_ids = 0;
    for (int i = 0; i < rules->n; i++) {
        const struct limit_rule *r = &rules->rule[i];
        bool single = r->span == LIMIT_SINGLE;
        if (!limit_meets(r, rec->method, customer.p != NULL) || out->n == LIMIT_MEET_MAX ||
            (single && rec->p.amount.minor <= r->max_minor))
            continue;
        if (out->rows == NULL) {
            out->rows = ARENA_ARRAY(a, struct limit_row, LIMIT_MEET_MAX);
            ids = ARENA_ARRAY(a, char, LIMIT_MEET_MAX *LIMIT_COUNTER_ID);
        }
        if (out->rows == NULL || ids == NULL)
            return ERR(NO_MEMORY, "limits");
        struct limit_row *row = &out->rows[out->n];
        out->rules[out->n++] = r;
        *row = (struct limit_row){
            .merchant_id = rec->merchant,
            .payment_id = rec->id,
            .pos = (int16_t)out->n,
            .id = single ? UUID_NIL : counter_id(r, rec, subject_of(r, rec, customer)),
            .about = about(a, r, rec),
            .amount = rec->p.amount.minor,
            .n = 1,
            .max_amount = r->max_minor > 0 ? r->max_minor : NO_MAX,
            .max_count = r->max_count > 0 ? r->max_count : NO_MAX,
        };
        if (!single)
            memcpy(ids + LIMIT_COUNTER_ID * n_ids++, row->id.b, LIMIT_COUNTER_ID);
    }
    if (n_ids > 0)
        out->counted = str_n(ids, LIMIT_COUNTER_ID * n_ids);
    return ERR_OK;
}

static bool counts(enum payment_status s)
{
    return s != PAYMENT_FAILED && s != PAYMENT_EXPIRED && s != PAYMENT_CANCELLED;
}

struct err limit_recount(struct arena *a, const struct payment_record *rec,
                         enum payment_status before, const struct limit_row **rows, size_t *n)
{
    bool now = counts(rec->p.status);
    *n = rec->counted.n / LIMIT_COUNTER_ID;
    if (now == counts(before))
        *n = 0;
    if (*n == 0)
        return ERR_OK;
    struct limit_row *list = ARENA_ARRAY(a, struct limit_row, *n);
    if (list == NULL)
        return ERR(NO_MEMORY, "limits");
    for (size_t i = 0; i < *n; i++) {
        list[i] = (struct limit_row){
            .merchant_id = rec->merchant,
            .payment_id = rec->id,
            .pos = (int16_t)(i + 1),
            .amount = now ? rec->p.amount.minor : -rec->p.amount.minor,
            .n = now ? 1 : -1,
        };
        memcpy(list[i].id.b, rec->counted.p + LIMIT_COUNTER_ID * i, LIMIT_COUNTER_ID);
    }
    *rows = list;
    return ERR_OK;
}
