/* Bounded memories. See memo.h. */
#include "gateways/sandbox/memo.h"

#include <stdlib.h>

static void forget(struct memos *m, struct memo *memo)
{
    HASH_DEL(m->all, memo);
    free(memo->body);
    free(memo);
}

struct memo *memo_find(struct memos *m, struct str key, int64_t now_us)
{
    struct memo *memo = NULL;
    if (key.n == 0 || key.n >= MEMO_KEY)
        return NULL;
    HASH_FIND(hh, m->all, key.p, (unsigned)key.n, memo);
    if (memo != NULL && memo->until_us <= now_us) {
        forget(m, memo);
        memo = NULL;
    }
    return memo;
}

struct memo *memo_add(struct memos *m, struct str key, int64_t until_us)
{
    if (HASH_COUNT(m->all) >= MEMOS_MAX)
        forget(m, m->all);
    struct memo *memo = calloc(1, sizeof *memo);
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

void memos_drop(struct memos *m)
{
    while (m->all != NULL)
        forget(m, m->all);
}
