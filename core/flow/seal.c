/* Hash and MAC of a range of audit rows. See seal.h. */
#include "core/flow/seal.h"

#include "core/crypto/mac.h"

enum { SEAL_BYTES = 16 * 1024 * 1024 };
enum { S_POSITION, S_SUBJECT, S_ROW, S_MODE, S_ACTION, S_ACTOR, S_BEFORE, S_AFTER, S_DETAIL, S_AT };

/* Length first, so that no two rows have one text; an absent field is told from an empty one. */
static void put(struct buf *b, const struct rows *r, size_t row, int col)
{
    if (rows_null(r, row, col)) {
        buf_be32(b, UINT32_MAX);
        return;
    }
    struct str s = rows_str(r, row, col);
    buf_be32(b, (uint32_t)s.n);
    buf_str(b, s);
}

static void put_row(struct buf *b, const struct rows *r, size_t row)
{
    struct uuid subject = rows_uuid(r, row, S_SUBJECT), id = rows_uuid(r, row, S_ROW);
    buf_be64(b, (uint64_t)rows_i64(r, row, S_POSITION));
    buf_add(b, subject.b, sizeof subject.b);
    buf_add(b, id.b, sizeof id.b);
    for (int col = S_MODE; col <= S_DETAIL; col++)
        put(b, r, row, col);
    buf_be64(b, (uint64_t)rows_time(r, row, S_AT));
}

struct err seal_make(struct vault *v, struct seal *s, struct str previous, const struct rows *rows,
                     int64_t *bad)
{
    size_t n = (size_t)(s->to - s->from + 1);
    struct buf b;
    *bad = 0;
    for (size_t i = 0; i < n && *bad == 0; i++)
        if (i >= rows_n(rows) || rows_i64(rows, i, S_POSITION) != s->from + (int64_t)i ||
            rows_null(rows, i, S_ACTION))
            *bad = s->from + (int64_t)i;
    if (*bad != 0)
        return ERR(INVALID, "an audit row is missing");
    buf_init(&b, SEAL_BYTES);
    buf_str(&b, previous);
    buf_add(&b, s->merchant.b, sizeof s->merchant.b);
    buf_be64(&b, (uint64_t)s->n);
    for (size_t i = 0; i < n; i++)
        put_row(&b, rows, i);
    struct err err = b.failed ? ERR(LIMIT, "audit rows of one seal") : ERR_OK;
    if (!err_is(err)) {
        sha256_one(buf_view(&b), s->hash);
        buf_reset(&b);
        buf_add(&b, s->merchant.b, sizeof s->merchant.b);
        buf_be64(&b, (uint64_t)s->n);
        buf_be64(&b, (uint64_t)s->to);
        buf_add(&b, s->hash, sizeof s->hash);
        vault_hash(v, "audit_seal", buf_view(&b), s->mac);
    }
    buf_free(&b);
    return err;
}
