/* The record of calls: a ring for the details, counters for the whole. */
#include "gateways/sandbox/journal.h"

#include <stdio.h>
#include <string.h>

#include "core/crypto/mac.h"

void journal_init(struct journal *j)
{
    *j = (struct journal){0};
    ring_init(&j->ring, sizeof(struct call), JOURNAL_KEEP);
}

void journal_reset(struct journal *j)
{
    ring_reset(&j->ring);
    j->n_ops = 0;
}

static struct op_count *count_of(struct journal *j, const struct call *c)
{
    for (size_t i = 0; i < j->n_ops; i++)
        if (strcmp(j->ops[i].op, c->op) == 0 && strcmp(j->ops[i].provider, c->provider) == 0)
            return &j->ops[i];
    ASSERT(j->n_ops < JOURNAL_MAX_OPS);
    j->ops[j->n_ops] = (struct op_count){.provider = c->provider, .op = c->op};
    return &j->ops[j->n_ops++];
}

void journal_add(struct journal *j, const struct call *c)
{
    struct op_count *count = count_of(j, c);
    count->received++;
    count->accepted += c->accepted;
    struct call *kept = ring_add(&j->ring);
    if (kept != NULL) {
        *kept = *c;
        kept->n = j->ring.n;
    }
}

static bool fits(struct str wanted, const char *have)
{
    return str_empty(wanted) || str_eq(wanted, str_c(have));
}

static bool call_fits(const struct call *c, const struct call_filter *f)
{
    return fits(f->provider, c->provider) && fits(f->op, c->op) && fits(f->phone, c->phone) &&
           fits(f->reference, c->reference);
}

static void call_print(const struct call *c, struct jsonw *w)
{
    jw_open(w);
    jw_i64(w, "n", c->n);
    jw_time(w, "at", c->at_us);
    jw_c(w, "provider", c->provider);
    jw_c(w, "op", c->op);
    jw_str(w, "phone", str_c_opt(c->phone));
    jw_str(w, "amount", str_c_opt(c->amount));
    jw_str(w, "reference", str_c_opt(c->reference));
    jw_str(w, "checkout_request_id", str_c_opt(c->id));
    jw_str(w, "callback_url_hash", str_c_opt(c->url_hash));
    jw_i64(w, "http_status", c->status);
    jw_bool(w, "accepted", c->accepted);
    jw_str(w, "outcome", str_c(c->outcome));
    jw_close(w);
}

static void counts_print(const struct journal *j, struct jsonw *w)
{
    char name[64];
    for (int accepted = 0; accepted < 2; accepted++) {
        jw_key(w, accepted ? "accepted" : "counts");
        jw_open(w);
        for (size_t i = 0; i < j->n_ops; i++) {
            const struct op_count *c = &j->ops[i];
            (void)snprintf(name, sizeof name, "%s.%s", c->provider, c->op);
            jw_i64(w, name, accepted ? c->accepted : c->received);
        }
        jw_close(w);
    }
}

void journal_print(const struct journal *j, const struct call_filter *f, struct jsonw *w)
{
    const struct call *c;
    int64_t total = 0;
    int64_t first = ring_first(&j->ring);
    for (int64_t n = first; (c = ring_at(&j->ring, n)) != NULL; n++)
        total += call_fits(c, f);
    int64_t skip = total > f->limit ? total - f->limit : 0;
    jw_open(w);
    jw_i64(w, "total", total);
    jw_i64(w, "received", j->ring.n);
    jw_i64(w, "dropped", first - 1);
    counts_print(j, w);
    jw_key(w, "data");
    jw_open_list(w);
    for (int64_t n = first; (c = ring_at(&j->ring, n)) != NULL; n++)
        if (call_fits(c, f) && --skip < 0)
            call_print(c, w);
    jw_close_list(w);
    jw_close(w);
}

void call_text(char *dst, size_t cap, struct str s)
{
    (void)str_copy_c(dst, cap, s);
    for (char *p = dst; *p != 0; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
}

void call_url_hash(struct str url, char out[URL_HASH_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t hash[SHA256_LEN];
    sha256_one(url, hash);
    for (size_t i = 0; i < (URL_HASH_TEXT - 1) / 2; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[URL_HASH_TEXT - 1] = 0;
}
