/* The providers' books. See book.h. */
#include "gateways/sandbox/book.h"

#include <stdlib.h>

static const char *const state_words[] = {
    [BOOKING_PENDING] = "pending",
    [BOOKING_PAID] = "paid",
    [BOOKING_FAILED] = "failed",
};

struct err book_add(struct book *k, struct booking *b)
{
    if (k->n >= BOOK_MAX)
        return ERR(LIMIT, "the sandbox's book is full: reset it");
    if (k->n == k->cap) {
        size_t cap = k->cap == 0 ? 256 : k->cap * 2;
        struct booking **all = realloc(k->all, cap * sizeof *all);
        if (all == NULL)
            return ERR(NO_MEMORY, "book");
        k->all = all;
        k->cap = cap;
    }
    unsigned len = (unsigned)strlen(b->id);
    HASH_ADD_KEYPTR(hh, k->by_id, b->id, len, b);
    if (b->hh.tbl == NULL)
        return ERR(NO_MEMORY, "book");
    k->all[k->n++] = b;
    b->n = (int64_t)k->n;
    k->n_in_state[b->state]++;
    return ERR_OK;
}

struct booking *book_find(const struct book *k, struct str id)
{
    struct booking *b = NULL;
    if (id.n > 0 && id.n < CALL_ID)
        HASH_FIND(hh, k->by_id, id.p, (unsigned)id.n, b);
    return b;
}

struct booking *book_find_receipt(const struct book *k, struct str receipt)
{
    struct booking *b = NULL;
    if (receipt.n > 0 && receipt.n < CALL_TEXT)
        HASH_FIND(hh_receipt, k->by_receipt, receipt.p, (unsigned)receipt.n, b);
    return b;
}

struct booking *book_at(const struct book *k, int64_t n)
{
    return n >= 1 && n <= (int64_t)k->n ? k->all[n - 1] : NULL;
}

void book_settle(struct book *k, struct booking *b, enum booking_state state, int64_t wall_us)
{
    k->n_in_state[b->state]--;
    k->n_in_state[state]++;
    b->state = state;
    b->settled_at_us = wall_us;
    unsigned len = (unsigned)strlen(b->receipt);
    if (len > 0 && b->hh_receipt.tbl == NULL) /* without memory it cannot be reversed, no more */
        HASH_ADD_KEYPTR(hh_receipt, k->by_receipt, b->receipt, len, b);
}

void book_reset(struct book *k)
{
    HASH_CLEAR(hh, k->by_id);
    HASH_CLEAR(hh_receipt, k->by_receipt);
    for (size_t i = 0; i < k->n; i++)
        k->all[i]->drop(k->all[i]);
    free(k->all);
    *k = (struct book){0};
}

static bool fits(struct str wanted, const char *have)
{
    return str_empty(wanted) || str_eq(wanted, str_c(have));
}

static bool booking_fits(const struct booking *b, const struct book_filter *f)
{
    return fits(f->provider, b->provider) && fits(f->phone, b->phone) &&
           fits(f->reference, b->reference) && fits(f->state, state_words[b->state]) &&
           fits(f->id, b->id);
}

static void booking_print(const struct booking *b, struct jsonw *w)
{
    jw_open(w);
    jw_i64(w, "n", b->n);
    jw_c(w, "provider", b->provider);
    jw_c(w, "checkout_request_id", b->id);
    jw_c(w, "phone", b->phone);
    jw_c(w, "amount", b->amount);
    jw_c(w, "reference", b->reference);
    jw_c(w, "state", state_words[b->state]);
    jw_str(w, "receipt", str_c_opt(b->receipt));
    jw_c(w, "organisation", b->organisation);
    jw_i64(w, "reversed", b->reversed);
    jw_str(w, "result_code", str_c(b->result_code));
    jw_c(w, "outcome", b->outcome);
    jw_c(w, "callback_url_hash", b->url_hash);
    jw_i64(w, "callbacks_sent", b->callbacks_sent);
    jw_i64(w, "queries", b->queries);
    jw_time(w, "queued_at", b->queued_at_us);
    jw_time(w, "settled_at", b->settled_at_us);
    jw_close(w);
}

void book_print(const struct book *k, const struct book_filter *f, struct jsonw *w)
{
    int64_t printed = 0, i = f->after;
    jw_open(w);
    jw_i64(w, "total", (int64_t)k->n);
    jw_key(w, "counts");
    jw_open(w);
    for (int s = 0; s < BOOKING_N_STATES; s++)
        jw_i64(w, state_words[s], k->n_in_state[s]);
    jw_close(w);
    jw_key(w, "data");
    jw_open_list(w);
    for (; i < (int64_t)k->n; i++) {
        if (!booking_fits(k->all[i], f))
            continue;
        if (printed == f->limit)
            break;
        booking_print(k->all[i], w);
        printed++;
    }
    jw_close_list(w);
    jw_bool(w, "has_more", i < (int64_t)k->n);
    jw_close(w);
}
