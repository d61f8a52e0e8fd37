/* The providers' books of money given back. See payback.h. */
#include "gateways/sandbox/payback.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const state_words[] = {
    [PAYBACK_PENDING] = "pending",
    [PAYBACK_PAID] = "paid",
    [PAYBACK_FAILED] = "failed",
};

void payback_key(struct str organisation, struct str originator_id, char out[PAYBACK_KEY])
{
    (void)snprintf(out, PAYBACK_KEY, "%.*s/%.*s", STR_ARG(organisation), STR_ARG(originator_id));
}

struct err payback_add(struct payback_book *k, struct payback *p)
{
    if (k->n >= BOOK_MAX)
        return ERR(LIMIT, "the sandbox's book of refunds is full: reset it");
    if (k->n == k->cap) {
        size_t cap = k->cap == 0 ? 256 : k->cap * 2;
        struct payback **all = realloc(k->all, cap * sizeof *all);
        if (all == NULL)
            return ERR(NO_MEMORY, "refunds");
        k->all = all;
        k->cap = cap;
    }
    unsigned len = (unsigned)strlen(p->key);
    HASH_ADD_KEYPTR(hh, k->by_key, p->key, len, p);
    if (p->hh.tbl == NULL)
        return ERR(NO_MEMORY, "refunds");
    k->all[k->n++] = p;
    p->n = (int64_t)k->n;
    k->n_in_state[p->state]++;
    return ERR_OK;
}

struct payback *payback_find(const struct payback_book *k, const char key[PAYBACK_KEY])
{
    struct payback *p = NULL;
    HASH_FIND(hh, k->by_key, key, (unsigned)strlen(key), p);
    return p;
}

struct payback *payback_find_transaction(const struct payback_book *k, struct str id)
{
    struct payback *p = NULL;
    if (id.n > 0 && id.n < CALL_TEXT)
        HASH_FIND(hh_transaction, k->by_transaction, id.p, (unsigned)id.n, p);
    return p;
}

struct payback *payback_at(const struct payback_book *k, int64_t n)
{
    return n >= 1 && n <= (int64_t)k->n ? k->all[n - 1] : NULL;
}

void payback_settle(struct payback_book *k, struct payback *p, enum payback_state state,
                    int64_t wall_us)
{
    k->n_in_state[p->state]--;
    k->n_in_state[state]++;
    p->state = state;
    p->settled_at_us = wall_us;
    unsigned len = (unsigned)strlen(p->transaction_id);
    if (len > 0) /* without memory it is not found by that id, no more */
        HASH_ADD_KEYPTR(hh_transaction, k->by_transaction, p->transaction_id, len, p);
}

void payback_reset(struct payback_book *k)
{
    HASH_CLEAR(hh, k->by_key);
    HASH_CLEAR(hh_transaction, k->by_transaction);
    for (size_t i = 0; i < k->n; i++)
        k->all[i]->drop(k->all[i]);
    free(k->all);
    *k = (struct payback_book){0};
}

static bool fits(struct str wanted, const char *have)
{
    return str_empty(wanted) || str_eq(wanted, str_c(have));
}

static bool payback_fits(const struct payback *p, const struct payback_filter *f)
{
    return fits(f->provider, p->provider) && fits(f->kind, p->kind) &&
           fits(f->receipt, p->receipt) && fits(f->phone, p->phone) &&
           fits(f->state, state_words[p->state]) && fits(f->originator_id, p->originator_id);
}

static void one_print(const struct payback *p, struct jsonw *w)
{
    jw_open(w);
    jw_i64(w, "n", p->n);
    jw_c(w, "provider", p->provider);
    jw_c(w, "kind", p->kind);
    jw_c(w, "conversation_id", p->id);
    jw_c(w, "originator_id", p->originator_id);
    jw_c(w, "organisation", p->organisation);
    jw_str(w, "receipt", str_c_opt(p->receipt));
    jw_str(w, "phone", str_c_opt(p->phone));
    jw_c(w, "amount", p->amount);
    jw_c(w, "state", state_words[p->state]);
    jw_str(w, "transaction_id", str_c_opt(p->transaction_id));
    jw_str(w, "result_code", str_c(p->result_code));
    jw_c(w, "outcome", p->outcome);
    jw_c(w, "callback_url_hash", p->url_hash);
    jw_i64(w, "results_sent", p->results_sent);
    jw_i64(w, "queries", p->queries);
    jw_time(w, "queued_at", p->queued_at_us);
    jw_time(w, "settled_at", p->settled_at_us);
    jw_close(w);
}

void payback_print(const struct payback_book *k, const struct payback_filter *f, struct jsonw *w)
{
    int64_t printed = 0, i = f->after;
    jw_open(w);
    jw_i64(w, "total", (int64_t)k->n);
    jw_key(w, "counts");
    jw_open(w);
    for (int s = 0; s < PAYBACK_N_STATES; s++)
        jw_i64(w, state_words[s], k->n_in_state[s]);
    jw_close(w);
    jw_key(w, "data");
    jw_open_list(w);
    for (; i < (int64_t)k->n; i++) {
        if (!payback_fits(k->all[i], f))
            continue;
        if (printed == f->limit)
            break;
        one_print(k->all[i], w);
        printed++;
    }
    jw_close_list(w);
    jw_bool(w, "has_more", i < (int64_t)k->n);
    jw_close(w);
}
