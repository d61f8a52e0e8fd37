/* C values to PostgreSQL's binary format and back. Binary, because a batch carries thousands of
 * numbers, times and ids that neither side should print and parse, and because it has no quoting to
 * get wrong. */
#include "store/value_int.h"

#include <endian.h>
#include <limits.h>
#include <string.h>

#include "core/base/times.h"

/* Types of the server, fixed in its catalogue (pg_type.dat). */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_JSON = 114,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_TIMESTAMPTZ = 1184,
    OID_UUID = 2950,
    OID_JSONB = 3802,
};

static const struct wire_type {
    Oid oid, array_oid;
} wire_types[] = {
    [COL_UUID] = {OID_UUID, 2951},   [COL_UUID_OPT] = {OID_UUID, 2951},
    [COL_TEXT] = {OID_TEXT, 1009},   [COL_JSON] = {OID_JSON, 199},
    [COL_BYTES] = {OID_BYTEA, 1001}, [COL_I64] = {OID_INT8, 1016},
    [COL_I32] = {OID_INT4, 1007},    [COL_I16] = {OID_INT2, 1005},
    [COL_BOOL] = {OID_BOOL, 1000},   [COL_TIME] = {OID_TIMESTAMPTZ, 1185},
};

enum { ARRAY_HEAD = 20, ARRAY_EMPTY_HEAD = 12 };

/* PostgreSQL counts from 2000-01-01. */
#define EPOCH_2000_US (INT64_C(946684800) * US_PER_S)

static size_t params_next(struct params *p, Oid type);
static void params_done(struct params *p, size_t at);
static bool put_field(struct buf *b, enum column_type type, const void *field);

void params_init(struct params *p, size_t limit)
{
    memset(p, 0, sizeof *p);
    buf_init(&p->bytes, limit);
    for (size_t i = 0; i < PARAMS_MAX; i++)
        p->format[i] = 1;
}

void params_free(struct params *p)
{
    buf_free(&p->bytes);
}

void params_reset(struct params *p)
{
    buf_reset(&p->bytes);
    p->n = 0;
    p->open = false;
}

void params_value(struct params *p, const struct value *v)
{
    size_t at = params_next(p, wire_types[v->type].oid);
    size_t start = p->bytes.n;
    bool there;
    switch (v->type) {
    case COL_I32:
        ASSERT(v->u.i64 >= INT32_MIN && v->u.i64 <= INT32_MAX);
        there = put_field(&p->bytes, v->type, &(int32_t){(int32_t)v->u.i64});
        break;
    case COL_I16:
        ASSERT(v->u.i64 >= INT16_MIN && v->u.i64 <= INT16_MAX);
        there = put_field(&p->bytes, v->type, &(int16_t){(int16_t)v->u.i64});
        break;
    case COL_UUID:
    case COL_UUID_OPT:
    case COL_TEXT:
    case COL_JSON:
    case COL_BYTES:
    case COL_I64:
    case COL_BOOL:
    case COL_TIME:
    default:
        there = put_field(&p->bytes, v->type, &v->u);
        break;
    }
    if (there) {
        /* put_field writes the length first, as an array's items have it; a scalar's is passed
         * beside. */
        p->at[at] = start + 4;
        params_done(p, start + 4);
    } else {
        p->bytes.n = start;
        p->at[at] = SIZE_MAX;
        p->length[at] = 0;
    }
}

static void array_open(struct params *p, Oid array, Oid item)
{
    size_t at = params_next(p, array);
    p->at[at] = p->bytes.n;
    p->open = true;
    p->has_null = false;
    p->n_items = 0;
    buf_be32(&p->bytes, 1); /* dimensions */
    buf_be32(&p->bytes, 0); /* has NULLs: set when closed */
    buf_be32(&p->bytes, item);
    buf_be32(&p->bytes, 0); /* items: set when closed */
    buf_be32(&p->bytes, 1); /* lower bound */
}

void params_array_open(struct params *p, enum column_type type)
{
    array_open(p, wire_types[type].array_oid, wire_types[type].oid);
    p->item_type = type;
}

void params_rows_open(struct params *p, Oid type)
{
    array_open(p, InvalidOid, type); /* the array's own type is in the statement's text */
}

void params_rows_add(struct params *p, int32_t ord, const struct column *columns, size_t n_columns,
                     const void *row)
{
    ASSERT(p->open);
    size_t at = p->bytes.n;
    buf_be32(&p->bytes, 0); /* length: set below */
    buf_be32(&p->bytes, (uint32_t)n_columns + 1);
    buf_be32(&p->bytes, OID_INT4);
    put_field(&p->bytes, COL_I32, &ord);
    for (size_t c = 0; c < n_columns; c++) {
        buf_be32(&p->bytes, wire_types[columns[c].type].oid);
        put_field(&p->bytes, columns[c].type, (const char *)row + columns[c].offset);
    }
    p->n_items++;
    if (p->bytes.failed)
        return;
    ASSERT(p->bytes.n - at - 4 <= INT32_MAX); /* there is a limit to all of it */
    uint32_t len = htobe32((uint32_t)(p->bytes.n - at - 4));
    memcpy(p->bytes.p + at, &len, 4);
}

void params_array_add(struct params *p, const void *first, size_t stride, size_t n)
{
    ASSERT(p->open);
    const char *field = first;
    for (size_t i = 0; i < n; i++, field += stride)
        if (!put_field(&p->bytes, p->item_type, field))
            p->has_null = true;
    p->n_items += n;
}

void params_array_close(struct params *p)
{
    ASSERT(p->open);
    p->open = false;
    size_t at = p->at[p->n - 1];
    if (p->bytes.failed)
        return;
    char *head = p->bytes.p + at;
    if (p->n_items == 0) {
        memset(head, 0, 4); /* an empty array has no dimension */
        p->bytes.n = at + ARRAY_EMPTY_HEAD;
    } else {
        ASSERT(p->n_items <= INT32_MAX);
        uint32_t nulls = htobe32(p->has_null ? 1 : 0);
        uint32_t items = htobe32((uint32_t)p->n_items);
        memcpy(head + 4, &nulls, 4);
        memcpy(head + 12, &items, 4);
    }
    params_done(p, at);
}

bool params_ready(struct params *p)
{
    ASSERT(!p->open);
    if (p->bytes.failed)
        return false;
    for (int i = 0; i < p->n; i++)
        p->value[i] = p->at[i] == SIZE_MAX ? NULL : p->bytes.p + p->at[i];
    return true;
}

static size_t params_next(struct params *p, Oid type)
{
    ASSERT(p->n < PARAMS_MAX && !p->open);
    p->type[p->n] = type;
    return (size_t)p->n++;
}

/* The last parameter's bytes are those from `at`. */
static void params_done(struct params *p, size_t at)
{
    if (p->bytes.failed)
        return;
    size_t n = p->bytes.n - at;
    if (n > INT_MAX)
        p->bytes.failed = true;
    else
        p->length[p->n - 1] = (int)n;
}

static bool put_null(struct buf *b)
{
    buf_be32(b, UINT32_MAX);
    return false;
}

static bool put_bytes(struct buf *b, const void *bytes, size_t n)
{
    if (n > INT32_MAX) {
        b->failed = true;
        return true;
    }
    char *room = buf_room(b, 4 + n);
    if (room == NULL)
        return true;
    uint32_t len = htobe32((uint32_t)n);
    memcpy(room, &len, 4);
    if (n > 0)
        memcpy(room + 4, bytes, n);
    b->n += 4 + n;
    return true;
}

static bool put_i64(struct buf *b, int64_t v)
{
    uint64_t be = htobe64((uint64_t)v);
    return put_bytes(b, &be, 8);
}

static int64_t time_to_wire(int64_t wall_us)
{
    int64_t wire;
    /* The neighbour of -infinity is no time: the server refuses it. */
    return __builtin_sub_overflow(wall_us, EPOCH_2000_US, &wire) ? INT64_MIN + 1 : wire;
}

/* Length and bytes of one field; false when it is NULL. */
static bool put_field(struct buf *b, enum column_type type, const void *field)
{
    switch (type) {
    case COL_UUID:
        return put_bytes(b, field, 16);
    case COL_UUID_OPT: {
        struct uuid u;
        memcpy(&u, field, sizeof u);
        return uuid_is_nil(u) ? put_null(b) : put_bytes(b, u.b, 16);
    }
    case COL_TEXT:
    case COL_JSON:
    case COL_BYTES: {
        struct str s;
        memcpy(&s, field, sizeof s);
        return s.p == NULL ? put_null(b) : put_bytes(b, s.p, s.n);
    }
    case COL_I64: {
        int64_t v;
        memcpy(&v, field, sizeof v);
        return put_i64(b, v);
    }
    case COL_I32: {
        uint32_t v;
        memcpy(&v, field, sizeof v);
        v = htobe32(v);
        return put_bytes(b, &v, 4);
    }
    case COL_I16: {
        uint16_t v;
        memcpy(&v, field, sizeof v);
        v = htobe16(v);
        return put_bytes(b, &v, 2);
    }
    case COL_BOOL: {
        bool v;
        memcpy(&v, field, sizeof v);
        return put_bytes(b, &(char){v ? 1 : 0}, 1);
    }
    case COL_TIME: {
        int64_t v;
        memcpy(&v, field, sizeof v);
        return v == 0 || v == TIME_NEVER ? put_null(b) : put_i64(b, time_to_wire(v));
    }
    }
    ASSERT(false);
    return false;
}

/* ---- rows ---- */

static Oid rows_type(const struct rows *r, size_t row, int col)
{
    ASSERT(row < rows_n(r) && col >= 0 && col < PQnfields(r->result));
    ASSERT(PQfformat(r->result, col) == 1);
    return PQftype(r->result, col);
}

/* The bytes of a value that rows_type has been asked of; n is 0 when NULL. */
static struct str rows_bytes(const struct rows *r, size_t row, int col)
{
    if (PQgetisnull(r->result, (int)row, col) != 0)
        return STR_NULL;
    return str_n(PQgetvalue(r->result, (int)row, col),
                 (size_t)PQgetlength(r->result, (int)row, col));
}

size_t rows_n(const struct rows *r)
{
    return (size_t)PQntuples(r->result);
}

bool rows_null(const struct rows *r, size_t row, int col)
{
    ASSERT(row < rows_n(r) && col >= 0 && col < PQnfields(r->result));
    return PQgetisnull(r->result, (int)row, col) != 0;
}

struct uuid rows_uuid(const struct rows *r, size_t row, int col)
{
    ASSERT(rows_type(r, row, col) == OID_UUID);
    struct str s = rows_bytes(r, row, col);
    struct uuid u = UUID_NIL;
    if (s.n == sizeof u.b)
        memcpy(u.b, s.p, sizeof u.b);
    return u;
}

struct str rows_str(const struct rows *r, size_t row, int col)
{
    Oid type = rows_type(r, row, col);
    ASSERT(type == OID_TEXT || type == OID_VARCHAR || type == OID_BPCHAR || type == OID_NAME ||
           type == OID_JSON || type == OID_JSONB || type == OID_BYTEA);
    struct str s = rows_bytes(r, row, col);
    /* jsonb travels as a version byte and its text. */
    return type == OID_JSONB && s.n > 0 ? str_from(s, 1) : s;
}

int64_t rows_i64(const struct rows *r, size_t row, int col)
{
    Oid type = rows_type(r, row, col);
    ASSERT(type == OID_INT8 || type == OID_INT4 || type == OID_INT2);
    struct str s = rows_bytes(r, row, col);
    if (s.n == 8) {
        uint64_t v;
        memcpy(&v, s.p, 8);
        return (int64_t)be64toh(v);
    }
    if (s.n == 4) {
        uint32_t v;
        memcpy(&v, s.p, 4);
        return (int32_t)be32toh(v);
    }
    if (s.n == 2) {
        uint16_t v;
        memcpy(&v, s.p, 2);
        return (int16_t)be16toh(v);
    }
    return 0;
}

bool rows_bool(const struct rows *r, size_t row, int col)
{
    ASSERT(rows_type(r, row, col) == OID_BOOL);
    struct str s = rows_bytes(r, row, col);
    return s.n == 1 && s.p[0] != 0;
}

int64_t rows_time(const struct rows *r, size_t row, int col)
{
    ASSERT(rows_type(r, row, col) == OID_TIMESTAMPTZ);
    struct str s = rows_bytes(r, row, col);
    if (s.n != 8)
        return 0;
    uint64_t wire;
    memcpy(&wire, s.p, 8);
    int64_t us = (int64_t)be64toh(wire);
    if (us == INT64_MIN) /* -infinity */
        return INT64_MIN;
    return __builtin_add_overflow(us, EPOCH_2000_US, &us) ? TIME_NEVER : us;
}

static bool read_str(const struct rows *r, size_t row, int col, void *field, struct arena *a)
{
    struct str s = rows_str(r, row, col);
    if (s.p != NULL) {
        s = arena_dup(a, s);
        if (s.p == NULL)
            return false;
    }
    memcpy(field, &s, sizeof s);
    return true;
}

bool rows_read(const struct rows *r, size_t row, int from_col, const struct column *columns,
               size_t n, void *out, struct arena *a)
{
    for (size_t i = 0; i < n; i++) {
        void *field = (char *)out + columns[i].offset;
        int col = from_col + (int)i;
        switch (columns[i].type) {
        case COL_UUID:
        case COL_UUID_OPT: {
            struct uuid u = rows_uuid(r, row, col);
            memcpy(field, &u, sizeof u);
            break;
        }
        case COL_TEXT:
        case COL_JSON:
        case COL_BYTES:
            if (!read_str(r, row, col, field, a))
                return false;
            break;
        case COL_I64: {
            int64_t v = rows_i64(r, row, col);
            memcpy(field, &v, sizeof v);
            break;
        }
        case COL_I32: {
            ASSERT(rows_type(r, row, col) != OID_INT8); /* would not fit */
            int32_t v = (int32_t)rows_i64(r, row, col);
            memcpy(field, &v, sizeof v);
            break;
        }
        case COL_I16: {
            ASSERT(rows_type(r, row, col) == OID_INT2);
            int16_t v = (int16_t)rows_i64(r, row, col);
            memcpy(field, &v, sizeof v);
            break;
        }
        case COL_BOOL: {
            bool v = rows_bool(r, row, col);
            memcpy(field, &v, sizeof v);
            break;
        }
        case COL_TIME: {
            int64_t v = rows_time(r, row, col);
            memcpy(field, &v, sizeof v);
            break;
        }
        }
    }
    return true;
}
