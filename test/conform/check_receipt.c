/* Money that a customer sends unasked: the news of it is whole and told as it is, or no news. */
#include "test/conform/conform.h"

struct heard {
    struct err err;
    struct gw_receipt r;
    struct arena mem;
};

static void receipt_hear(struct run *r, struct str body, size_t limit, struct heard *out)
{
    *out = (struct heard){0};
    arena_init(&out->mem, limit);
    out->err = r->gw->receipt_parse(&r->account, body, &out->mem, &out->r);
}

static bool as_told(const struct wire_receipt *w, const struct gw_receipt *got)
{
    return str_eq(got->receipt, str_c(w->receipt)) && got->amount.minor == w->amount.minor &&
           got->amount.currency == w->amount.currency;
}

static void spoilt(struct run *r, const struct wire_receipt *w, struct str body, size_t limit,
                   bool none, const char *how, size_t at)
{
    struct heard h;
    receipt_hear(r, body, limit, &h);
    run_case(r, err_is(h.err) || (!none && as_told(w, &h.r)), "\"%s\", %s at %zu: money is told of",
             w->name, how, at);
    arena_free(&h.mem);
}

static void values(struct run *r, const struct wire_receipt *w, const struct wire *wire)
{
    static const char *const others[] = {"null",  "true",        "[]",
                                         "{}",    "\"\"",        "-1",
                                         "1e400", "\"\\u0000\"", "99999999999999999999999"};
    for (size_t i = 0; i < wire->n_spans; i++) {
        struct span v = wire->spans[i], before = {.from = v.name_from, .to = v.name_from};
        for (size_t k = 0; k < COUNT_OF(others); k++)
            spoilt(r, w, wire_with(&r->mem, wire->body, v, str_c(others[k])), ARENA_LIMIT, false,
                   "another value", v.from);
        if (v.name_to > v.name_from)
            spoilt(r, w,
                   wire_with(&r->mem, wire->body, before,
                             arena_fmt(&r->mem, "%.*s:\"1\",", (int)(v.name_to - v.name_from),
                                       wire->body.p + v.name_from)),
                   ARENA_LIMIT, true, "a member twice", v.name_from);
    }
}

static void receipts_are_whole_or_none(struct run *r)
{
    const struct wire_receipt *w = r->fx->receipts;
    if (r->gw->receipt_parse == NULL)
        return;
    run_case(r, w != NULL, "the fixture has none");
    for (; w != NULL && w->name != NULL; w++) {
        const struct wire_shape shape = {.body = w->body};
        const struct wire *wire = wire_of(r, &shape);
        struct heard h;
        receipt_hear(r, wire->body, ARENA_LIMIT, &h);
        run_case(r, w->receipt == NULL ? err_is(h.err) : !err_is(h.err) && as_told(w, &h.r),
                 "\"%s\" is another", w->name);
        run_case(r, w->receipt == NULL || str_eq(h.r.reference, str_c(w->reference)),
                 "\"%s\" has another reference", w->name);
        arena_free(&h.mem);
        if (w->receipt == NULL)
            continue;
        for (size_t n = 0; n < wire->body.n; n++)
            spoilt(r, w, str_first(wire->body, n), ARENA_LIMIT, true, "cut", n);
        for (size_t limit = 0; limit < 512; limit += 16)
            spoilt(r, w, wire->body, limit, false, "with memory", limit);
        values(r, w, wire);
        for (size_t i = 0; i < wire->n_amount; i++) {
            receipt_hear(r, wire_with(&r->mem, wire->body, wire->amount[i], STR("\"7\"")),
                         ARENA_LIMIT, &h);
            run_case(r, !as_told(w, &h.r), "\"%s\": an altered amount is not told", w->name);
            arena_free(&h.mem);
        }
    }
}

const struct check receipt_checks[] = {
    {"receipts_are_whole_or_none", receipts_are_whole_or_none},
    {NULL, NULL},
};
