#ifndef RELI_STORE_VALUE_H
#define RELI_STORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/str.h"
#include "core/base/uuid.h"

/* How C values travel to and from PostgreSQL, in its binary format. Nobody above the store sees
 * libpq. */

/* Behind each: the C type, the PostgreSQL type, and when it is NULL. */
enum column_type {
    COL_UUID,     /* struct uuid      uuid         never (the nil UUID is the platform merchant) */
    COL_UUID_OPT, /* struct uuid      uuid         when nil */
    COL_TEXT,     /* struct str       text         when p is NULL */
    COL_JSON,     /* struct str       json         when p is NULL; the text of it */
    COL_BYTES,    /* struct str       bytea        when p is NULL */
    COL_I64,      /* int64_t          int8 */
    COL_I32,      /* int32_t          int4 */
    COL_I16,      /* int16_t          int2 */
    COL_BOOL,     /* bool             bool */
    COL_TIME,     /* int64_t wall µs  timestamptz  when 0 or TIME_NEVER (read back as 0) */
};

/* A column of a row struct. */
struct column {
    enum column_type type;
    size_t offset;
};

#define COLUMN(type_, struct_, member)                \
    {                                                 \
        COL_##type_, offsetof(struct struct_, member) \
    }

/* One scalar parameter. */
struct value {
    enum column_type type;
    union {
        struct uuid uuid;
        struct str str;
        int64_t i64;
        bool boolean;
    } u;
};

#define V_UUID(u_) ((struct value){.type = COL_UUID, .u.uuid = (u_)})
#define V_UUID_OPT(u_) ((struct value){.type = COL_UUID_OPT, .u.uuid = (u_)})
#define V_TEXT(s_) ((struct value){.type = COL_TEXT, .u.str = (s_)})
#define V_JSON(s_) ((struct value){.type = COL_JSON, .u.str = (s_)})
#define V_BYTES(s_) ((struct value){.type = COL_BYTES, .u.str = (s_)})
#define V_I64(v_) ((struct value){.type = COL_I64, .u.i64 = (v_)})
#define V_I32(v_) ((struct value){.type = COL_I32, .u.i64 = (v_)})
#define V_I16(v_) ((struct value){.type = COL_I16, .u.i64 = (v_)})
#define V_BOOL(v_) ((struct value){.type = COL_BOOL, .u.boolean = (v_)})
#define V_TIME(v_) ((struct value){.type = COL_TIME, .u.i64 = (v_)})

/* An answer's rows; alive during the callback that gets them. Reading a column as another type than
 * the statement has is our own bug and asserted. Integers of all widths are read by rows_i64. */
struct rows;

size_t rows_n(const struct rows *r);
bool rows_null(const struct rows *r, size_t row, int col);
struct uuid rows_uuid(const struct rows *r, size_t row, int col); /* nil when NULL */
/* text, json, bytea; borrowed; STR_NULL when NULL */
struct str rows_str(const struct rows *r, size_t row, int col);
int64_t rows_i64(const struct rows *r, size_t row, int col); /* 0 when NULL */
bool rows_bool(const struct rows *r, size_t row, int col);
int64_t rows_time(const struct rows *r, size_t row, int col); /* wall µs; 0 when NULL */

/* Fills a struct from the columns `from_col …`, in the order of `columns`. Strings are copied to
 * the arena; false beyond its cap. */
bool rows_read(const struct rows *r, size_t row, int from_col, const struct column *columns,
               size_t n, void *out, struct arena *a) MUST_USE;

#endif
