#ifndef RELI_STORE_VALUE_INT_H
#define RELI_STORE_VALUE_INT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "store/value.h"

/* Private to the store: parameters in PostgreSQL's binary format, laid out as libpq takes them. One
 * object serves statement after statement and keeps its memory:
 *
 *     params_reset(&p);
 *     params_value(&p, &V_UUID(id));
 *     if (!params_ready(&p)) …;
 *     PQexecParams(pg, sql, p.n, p.type, p.value, p.length, p.format, 1);
 */
enum { PARAMS_MAX = 512 };

struct params {
    struct buf bytes;
    int n;
    Oid type[PARAMS_MAX];
    const char *value[PARAMS_MAX]; /* after params_ready */
    int length[PARAMS_MAX];
    int format[PARAMS_MAX];
    size_t at[PARAMS_MAX]; /* where it starts in bytes; SIZE_MAX for NULL */
    size_t n_items;        /* of the array that is open */
    enum column_type item_type;
    bool open, has_null;
};

/* `limit` is the most bytes that one statement's parameters may have. */
void params_init(struct params *p, size_t limit);
void params_free(struct params *p);
void params_reset(struct params *p);
/* A scalar. */
void params_value(struct params *p, const struct value *v);
/* An array, item by item: fields of C type `type` that lie `stride` bytes apart; stride 0 repeats
 * one. */
void params_array_open(struct params *p, enum column_type type);
void params_array_add(struct params *p, const void *first, size_t stride, size_t n);
void params_array_close(struct params *p);
/* An array of rows of the composite type `type`: each an int4, `ord`, and then its columns. Closed
 * as any array. */
void params_rows_open(struct params *p, Oid type);
void params_rows_add(struct params *p, int32_t ord, const struct column *columns, size_t n_columns,
                     const void *row);
/* Settles the pointers; false if the limit or memory was exceeded. */
bool params_ready(struct params *p) MUST_USE;

/* Rows of a result in binary format. */
struct rows {
    const PGresult *result;
};

#endif
