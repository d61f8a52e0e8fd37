/* Values to PostgreSQL's binary format and back. Expected bytes are those of the server's
 * documented send functions, written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "store/value_int.h"

#define BYTES(text) (text), sizeof(text) - 1
#define ID_TEXT "\x01\x92\xab\xcd\x01\x02\x73\x04\x85\x06\x07\x08\x09\x0a\x0b\x0c"

static struct uuid id_of(const char *bytes)
{
    struct uuid u;
    memcpy(u.b, bytes, 16);
    return u;
}

static void check_param(const struct params *p, int i, Oid type, const char *bytes, size_t n)
{
    assert_int_equal(p->type[i], type);
    assert_int_equal(p->format[i], 1);
    if (bytes == NULL) {
        assert_null(p->value[i]);
        return;
    }
    assert_non_null(p->value[i]);
    assert_int_equal(p->length[i], n);
    assert_memory_equal(p->value[i], bytes, n);
}

static void test_scalars(void **state)
{
    (void)state;
    static const char zero16[16];
    const struct {
        struct value v;
        Oid type;
        const char *bytes;
        size_t n;
    } cases[] = {
        {V_UUID(id_of(ID_TEXT)), 2950, BYTES(ID_TEXT)},
        {V_UUID(UUID_NIL), 2950, zero16, 16},
        {V_UUID_OPT(id_of(ID_TEXT)), 2950, BYTES(ID_TEXT)},
        {V_UUID_OPT(UUID_NIL), 2950, NULL, 0},
        {V_TEXT(STR("shop")), 25, BYTES("shop")},
        {V_TEXT(STR("")), 25, BYTES("")},
        {V_TEXT(STR_NULL), 25, NULL, 0},
        {V_JSON(STR("{\"a\":1}")), 114, BYTES("{\"a\":1}")},
        {V_JSON(STR_NULL), 114, NULL, 0},
        {V_BYTES(str_n("\0\xff", 2)), 17, BYTES("\0\xff")},
        {V_BYTES(STR_NULL), 17, NULL, 0},
        {V_I64(0), 20, BYTES("\0\0\0\0\0\0\0\0")},
        {V_I64(-2), 20, BYTES("\xff\xff\xff\xff\xff\xff\xff\xfe")},
        {V_I64(INT64_MAX), 20, BYTES("\x7f\xff\xff\xff\xff\xff\xff\xff")},
        {V_I64(INT64_MIN), 20, BYTES("\x80\0\0\0\0\0\0\0")},
        {V_I32(258), 23, BYTES("\0\0\x01\x02")},
        {V_I32(INT32_MIN), 23, BYTES("\x80\0\0\0")},
        {V_I16(-1), 21, BYTES("\xff\xff")},
        {V_I16(INT16_MAX), 21, BYTES("\x7f\xff")},
        {V_BOOL(true), 16, BYTES("\x01")},
        {V_BOOL(false), 16, BYTES("\0")},
        /* 2000-01-01 is the server's zero; a second later, a microsecond before */
        {V_TIME(INT64_C(946684800000000)), 1184, BYTES("\0\0\0\0\0\0\0\0")},
        {V_TIME(INT64_C(946684801000000)), 1184, BYTES("\0\0\0\0\0\x0f\x42\x40")},
        {V_TIME(INT64_C(946684799999999)), 1184, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff")},
        {V_TIME(0), 1184, NULL, 0},
        {V_TIME(TIME_NEVER), 1184, NULL, 0},
        /* no time at all, and not -infinity: the server refuses it as out of range */
        {V_TIME(INT64_MIN), 1184, BYTES("\x80\0\0\0\0\0\0\x01")},
    };
    struct params p;
    params_init(&p, 4096);
    for (int round = 0; round < 2; round++) { /* one object serves again and again */
        params_reset(&p);
        for (size_t i = 0; i < COUNT_OF(cases); i++)
            params_value(&p, &cases[i].v);
        assert_true(params_ready(&p));
        assert_int_equal(p.n, COUNT_OF(cases));
        for (size_t i = 0; i < COUNT_OF(cases); i++)
            check_param(&p, (int)i, cases[i].type, cases[i].bytes, cases[i].n);
    }
    params_free(&p);
}

struct sample {
    struct uuid id, id_opt;
    struct str text, json, bytes;
    int64_t i64, time;
    int32_t i32;
    int16_t i16;
    bool flag;
};

static const struct column sample_columns[] = {
    COLUMN(UUID, sample, id),   COLUMN(UUID_OPT, sample, id_opt), COLUMN(TEXT, sample, text),
    COLUMN(JSON, sample, json), COLUMN(BYTES, sample, bytes),     COLUMN(I64, sample, i64),
    COLUMN(TIME, sample, time), COLUMN(I32, sample, i32),         COLUMN(I16, sample, i16),
    COLUMN(BOOL, sample, flag),
};

static void add_column(struct params *p, size_t c, const struct sample *rows, size_t n)
{
    params_array_open(p, sample_columns[c].type);
    if (n > 0)
        params_array_add(p, (const char *)rows + sample_columns[c].offset, sizeof *rows, n);
    params_array_close(p);
}

static void test_arrays(void **state)
{
    (void)state;
    const struct sample rows[2] = {
        {.id = id_of(ID_TEXT),
         .id_opt = UUID_NIL,
         .text = STR("ab"),
         .i64 = 1,
         .i32 = 2,
         .i16 = 3,
         .time = INT64_C(946684801000000),
         .flag = true},
        {.id = UUID_NIL,
         .id_opt = id_of(ID_TEXT),
         .json = STR("{}"),
         .bytes = STR("\x07"),
         .i64 = -1,
         .i32 = -1,
         .i16 = -1,
         .time = 0,
         .flag = false},
    };
    static const struct {
        Oid type;
        const char *bytes;
        size_t n;
    } want[] = {
        {2951, BYTES("\0\0\0\1\0\0\0\0\0\0\x0b\x86\0\0\0\2\0\0\0\1"
                     "\0\0\0\x10" ID_TEXT "\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {2951, BYTES("\0\0\0\1\0\0\0\1\0\0\x0b\x86\0\0\0\2\0\0\0\1"
                     "\xff\xff\xff\xff\0\0\0\x10" ID_TEXT)},
        {1009, BYTES("\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1\0\0\0\2"
                     "ab\xff\xff\xff\xff")},
        {199, BYTES("\0\0\0\1\0\0\0\1\0\0\0\x72\0\0\0\2\0\0\0\1\xff\xff\xff\xff\0\0\0\2{}")},
        {1001, BYTES("\0\0\0\1\0\0\0\1\0\0\0\x11\0\0\0\2\0\0\0\1\xff\xff\xff\xff\0\0\0\1\x07")},
        {1016, BYTES("\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\2\0\0\0\1\0\0\0\x08\0\0\0\0\0\0\0\1"
                     "\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff")},
        {1185, BYTES("\0\0\0\1\0\0\0\1\0\0\x04\xa0\0\0\0\2\0\0\0\1\0\0\0\x08\0\0\0\0\0\x0f\x42\x40"
                     "\xff\xff\xff\xff")},
        {1007, BYTES("\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\2"
                     "\0\0\0\4\xff\xff\xff\xff")},
        {1005, BYTES("\0\0\0\1\0\0\0\0\0\0\0\x15\0\0\0\2\0\0\0\1\0\0\0\2\0\3\0\0\0\2\xff\xff")},
        {1000, BYTES("\0\0\0\1\0\0\0\0\0\0\0\x10\0\0\0\2\0\0\0\1\0\0\0\1\1\0\0\0\1\0")},
    };
    struct params p;
    params_init(&p, 4096);
    for (size_t c = 0; c < COUNT_OF(sample_columns); c++)
        add_column(&p, c, rows, 2);
    assert_true(params_ready(&p));
    for (size_t c = 0; c < COUNT_OF(want); c++)
        check_param(&p, (int)c, want[c].type, want[c].bytes, want[c].n);

    params_reset(&p);
    add_column(&p, 7, rows, 0);
    params_array_open(&p, COL_I32); /* one value for each of a unit's rows; a unit without any */
    params_array_add(&p, &(int32_t){5}, 0, 2);
    params_array_add(&p, &(int32_t){6}, 0, 0);
    params_array_add(&p, &(int32_t){7}, 0, 1);
    params_array_close(&p);
    assert_true(params_ready(&p));
    check_param(&p, 0, 1007, BYTES("\0\0\0\0\0\0\0\0\0\0\0\x17"));
    check_param(&p, 1, 1007,
                BYTES("\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\3\0\0\0\1"
                      "\0\0\0\4\0\0\0\5\0\0\0\4\0\0\0\5\0\0\0\4\0\0\0\7"));
    params_free(&p);
}

/* Each item is a value of a composite type: its fields with their types, NULL without bytes. */
static void test_row_arrays(void **state)
{
    (void)state;
    const struct sample rows[2] = {{.text = STR("ab"), .i16 = 3}, {.i16 = -1}};
    static const struct column two[] = {COLUMN(TEXT, sample, text), COLUMN(I16, sample, i16)};
    struct params p;
    params_init(&p, 4096);
    params_rows_open(&p, 0x12345);
    params_array_close(&p);
    params_rows_open(&p, 0x12345);
    params_rows_add(&p, 5, two, COUNT_OF(two), &rows[0]);
    params_rows_add(&p, 7, two, COUNT_OF(two), &rows[1]);
    params_array_close(&p);
    assert_true(params_ready(&p));
    check_param(&p, 0, 0, BYTES("\0\0\0\0\0\0\0\0\0\1\x23\x45"));
    check_param(&p, 1, 0,
                BYTES("\0\0\0\1\0\0\0\0\0\1\x23\x45\0\0\0\2\0\0\0\1"
                      "\0\0\0\x24\0\0\0\3\0\0\0\x17\0\0\0\4\0\0\0\5"
                      "\0\0\0\x19\0\0\0\2ab\0\0\0\x15\0\0\0\2\0\3"
                      "\0\0\0\x22\0\0\0\3\0\0\0\x17\0\0\0\4\0\0\0\7"
                      "\0\0\0\x19\xff\xff\xff\xff\0\0\0\x15\0\0\0\2\xff\xff"));
    params_free(&p);
    for (size_t limit = 0; limit < 120; limit++) {
        params_init(&p, limit);
        params_rows_open(&p, 1);
        params_rows_add(&p, 5, two, COUNT_OF(two), &rows[0]); /* 20 bytes before it */
        params_array_close(&p);
        assert_int_equal(params_ready(&p), limit >= 60);
        params_free(&p);
    }
}

/* Whatever the limit, it is kept, and said. */
static void test_limit(void **state)
{
    (void)state;
    const struct sample row = {.text = STR("0123456789")};
    for (size_t limit = 0; limit < 80; limit++) {
        struct params p;
        params_init(&p, limit);
        params_value(&p, &V_I64(1));         /* 12 bytes */
        add_column(&p, 2, &row, 1);          /* 34 */
        params_value(&p, &V_TEXT(STR_NULL)); /* its length, for a moment: 4 */
        assert_int_equal(params_ready(&p), limit >= 50);
        params_free(&p);
    }
}

/* ---- decoding ---- */

static PGresult *result_new(int n_cols, const Oid *types)
{
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc *cols = calloc((size_t)n_cols, sizeof *cols);
    assert_non_null(cols);
    for (int i = 0; i < n_cols; i++) {
        cols[i].name = "c";
        cols[i].format = 1;
        cols[i].typid = types[i];
    }
    assert_int_equal(PQsetResultAttrs(res, n_cols, cols), 1);
    free(cols);
    return res;
}

static void put(PGresult *res, int row, int col, const char *bytes, size_t n)
{
    union {
        const char *in;
        char *out;
    } p = {bytes}; /* libpq takes it without const and copies it */
    assert_int_equal(PQsetvalue(res, row, col, p.out, bytes == NULL ? -1 : (int)n), 1);
}

static void test_rows(void **state)
{
    (void)state;
    static const Oid types[] = {2950, 25, 3802, 17, 20, 23, 21, 16, 1184};
    PGresult *res = result_new(9, types);
    put(res, 0, 0, BYTES(ID_TEXT));
    put(res, 0, 1, BYTES("text"));
    put(res, 0, 2, BYTES("\x01[1]")); /* jsonb: its version first */
    put(res, 0, 3, BYTES("\0\x01"));
    put(res, 0, 4, BYTES("\x80\0\0\0\0\0\0\0"));
    put(res, 0, 5, BYTES("\xff\xff\xff\xfe"));
    put(res, 0, 6, BYTES("\x80\0"));
    put(res, 0, 7, BYTES("\x01"));
    put(res, 0, 8, BYTES("\0\0\0\0\0\x0f\x42\x40"));
    for (int i = 0; i < 9; i++)
        put(res, 1, i, NULL, 0);
    struct rows r = {res};
    assert_int_equal(rows_n(&r), 2);
    assert_true(uuid_eq(rows_uuid(&r, 0, 0), id_of(ID_TEXT)));
    assert_true(str_eq(rows_str(&r, 0, 1), STR("text")));
    assert_true(str_eq(rows_str(&r, 0, 2), STR("[1]")));
    assert_true(str_eq(rows_str(&r, 0, 3), str_n("\0\x01", 2)));
    assert_true(rows_i64(&r, 0, 4) == INT64_MIN);
    assert_int_equal(rows_i64(&r, 0, 5), -2);
    assert_int_equal(rows_i64(&r, 0, 6), INT16_MIN);
    assert_true(rows_bool(&r, 0, 7));
    assert_true(rows_time(&r, 0, 8) == INT64_C(946684801000000));
    for (int i = 0; i < 9; i++) {
        assert_false(rows_null(&r, 0, i));
        assert_true(rows_null(&r, 1, i));
    }
    assert_true(uuid_is_nil(rows_uuid(&r, 1, 0)));
    assert_null(rows_str(&r, 1, 1).p);
    assert_null(rows_str(&r, 1, 2).p);
    assert_int_equal(rows_i64(&r, 1, 4), 0);
    assert_false(rows_bool(&r, 1, 7));
    assert_int_equal(rows_time(&r, 1, 8), 0);
    PQclear(res);
}

static void test_infinite_times(void **state)
{
    (void)state;
    static const Oid types[] = {1184};
    PGresult *res = result_new(1, types);
    put(res, 0, 0, BYTES("\x7f\xff\xff\xff\xff\xff\xff\xff"));
    put(res, 1, 0, BYTES("\x80\0\0\0\0\0\0\0"));
    put(res, 2, 0,
        BYTES("\x7f\xff\xff\xff\xff\xff\xff\x00")); /* later than µs since 1970 can say */
    struct rows r = {res};
    assert_true(rows_time(&r, 0, 0) == TIME_NEVER);
    assert_true(rows_time(&r, 1, 0) == INT64_MIN);
    assert_true(rows_time(&r, 2, 0) == TIME_NEVER);
    PQclear(res);
}

static void test_rows_read(void **state)
{
    (void)state;
    static const Oid types[] = {23, 2950, 2950, 25, 114, 17, 20, 1184, 21, 21, 16};
    PGresult *res = result_new(11, types);
    const char *row[11] = {"\0\0\0\1",           ID_TEXT, NULL,     "ab",       "{}", NULL,
                           "\0\0\0\0\0\0\0\x2a", NULL,    "\0\x09", "\xff\xfd", "\1"};
    const size_t n[11] = {4, 16, 0, 2, 2, 0, 8, 0, 2, 2, 1};
    for (int i = 0; i < 11; i++)
        put(res, 0, i, row[i], n[i]);
    struct rows r = {res};
    struct arena a = {0};
    arena_init(&a, 4096);
    struct sample s;
    memset(&s, 0xaa, sizeof s);
    assert_true(rows_read(&r, 0, 1, sample_columns, COUNT_OF(sample_columns), &s, &a));
    PQclear(res); /* strings are copies */
    assert_true(uuid_eq(s.id, id_of(ID_TEXT)));
    assert_true(uuid_is_nil(s.id_opt));
    assert_true(str_eq(s.text, STR("ab")));
    assert_true(str_eq(s.json, STR("{}")));
    assert_null(s.bytes.p);
    assert_int_equal(s.i64, 42);
    assert_int_equal(s.time, 0);
    assert_int_equal(s.i32, 9); /* a smallint fits an int */
    assert_int_equal(s.i16, -3);
    assert_true(s.flag);
    arena_free(&a);
}

static void test_rows_read_beyond_cap(void **state)
{
    (void)state;
    static const Oid types[] = {25};
    static const struct column column[] = {COLUMN(TEXT, sample, text)};
    static const char big[8000] = "x";
    PGresult *res = result_new(1, types);
    put(res, 0, 0, big, sizeof big);
    struct rows r = {res};
    struct arena a = {0};
    struct sample s;
    arena_init(&a, 4000);
    assert_false(rows_read(&r, 0, 0, column, 1, &s, &a));
    arena_free(&a);
    arena_init(&a, 64000);
    assert_true(rows_read(&r, 0, 0, column, 1, &s, &a));
    assert_int_equal(s.text.n, sizeof big);
    arena_free(&a);
    PQclear(res);
    arena_trim();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),    cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_row_arrays), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_infinite_times),
        cmocka_unit_test(test_rows_read),  cmocka_unit_test(test_rows_read_beyond_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
