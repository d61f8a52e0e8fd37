/* Bounded memories of CPay. See cpay_memo.h. */
#include "gateways/sandbox/cpay_memo.h"

#include <stdlib.h>

static void forget(struct cpay_memos *m, struct cpay_memo *memo)
{
    HASH_DEL(m->all, memo);
    free(memo->body);
    free(memo);
}

struct cpay_memo *cpay_memo_find(struct cpay_memos *m, struct str key, int64_t now_us)
{
    struct cpay_memo *memo = NULL;
    if (key.n == 0 || key.n >= CPAY_MEMO_KEY)
        return NULL;
    HASH_FIND(hh, m->all, key.p, (unsigned)key.n, memo);
    if (memo != NULL && memo->until_us <= now_us) {
        forget(m, memo);
        memo = NULL;
    }
    return memo;
}

struct cpay_memo *cpay_memo_add(struct cpay_memos *m, struct str key, int64_t until_us)
{
    if (HASH_COUNT(m->all) >= CPAY_MEMOS_MAX)
        forget(m, m->all);
    struct cpay_memo *memo = calloc(1, sizeof *memo);
    if (memo == NULL)
        return NULL;
    (void)str_copy_c(memo->key, sizeof memo->key, key);
    memo->until_us = until_us;
    unsigned len = (unsigned)strlen(memo->key);
    HASH_ADD_KEYPTR(hh, m->all, memo->key, len, memo);
    if (memo->hh.tbl == NULL) {
        free(memo);
        return NULL;
    }
    return memo;
}

void cpay_memos_drop(struct cpay_memos *m)
{
    while (m->all != NULL)
        forget(m, m->all);
}
