/* The descriptor tables of store/rows.c against the statements that they feed: what is read here is
 * the SQL text itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/embed.h"
#include "store/kinds.h"
#include "store/value_int.h"

static const char *const sql_types[] = {
    [COL_UUID] = "uuid",   [COL_UUID_OPT] = "uuid",   [COL_TEXT] = "text", [COL_JSON] = "json",
    [COL_BYTES] = "bytea", [COL_I64] = "int8",        [COL_I32] = "int4",  [COL_I16] = "int2",
    [COL_BOOL] = "bool",   [COL_TIME] = "timestamptz"};

static const size_t c_sizes[] = {
    [COL_UUID] = sizeof(struct uuid), [COL_UUID_OPT] = sizeof(struct uuid),
    [COL_TEXT] = sizeof(struct str),  [COL_JSON] = sizeof(struct str),
    [COL_BYTES] = sizeof(struct str), [COL_I64] = sizeof(int64_t),
    [COL_I32] = sizeof(int32_t),      [COL_I16] = sizeof(int16_t),
    [COL_BOOL] = sizeof(bool),        [COL_TIME] = sizeof(int64_t)};

/* ---- a statement's text ---- */

enum { PARAMETERS = 256, GROUPS = 16 };

struct statement {
    struct str types[PARAMETERS]; /* types[n] of $n: "uuid" for $n::uuid[], "reli.x" for a row */
    size_t n;
    size_t group_params[GROUPS]; /* parameters of the unnest … */
    size_t group_names[GROUPS];  /* … and the names behind it; 0: those of the row type */
    struct str group_first[GROUPS];
    size_t n_groups;
};

static bool is_word(char c)
{
    return ascii_is_digit(c) || ascii_is_alpha(c) || c == '_';
}

static struct str word_at(struct str text, size_t at)
{
    size_t n = at;
    while (n < text.n && is_word(text.p[n]))
        n++;
    return str_n(text.p + at, n - at);
}

/* A word, or two with a dot between. */
static struct str type_at(struct str text, size_t at)
{
    size_t n = at + word_at(text, at).n;
    if (n < text.n && text.p[n] == '.')
        n += 1 + word_at(text, n + 1).n;
    return str_n(text.p + at, n - at);
}

/* Each `$n::type[]`, in the order of the text, which must be the order of the numbers. */
static void read_parameters(struct str text, struct statement *s)
{
    for (size_t at = 0; (at = str_find(text, '$', at)) != SIZE_MAX; at++) {
        struct str number = word_at(text, at + 1);
        size_t behind = at + 1 + number.n;
        int64_t n;
        assert_true(str_to_i64(number, &n));
        assert_int_equal(n, s->n + 1); /* once each, and nothing else with a dollar sign */
        assert_true(str_starts(str_from(text, behind), STR("::")));
        struct str type = type_at(text, behind + 2);
        assert_true(str_starts(str_from(text, behind + 2 + type.n), STR("[]")));
        assert_true(s->n + 1 < PARAMETERS);
        s->types[++s->n] = type;
    }
}

static size_t count(struct str text, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == c;
    return n;
}

/* Each `unnest($1::int4[], …) as x(ord, …)` or `unnest($1::reli.x[])`. */
static void read_groups(struct str text, struct statement *s)
{
    for (;;) {
        size_t at = str_find_str(text, STR("unnest("));
        if (at == SIZE_MAX)
            return;
        text = str_from(text, at);
        size_t end = str_find(text, ')', 0);
        assert_true(end != SIZE_MAX && s->n_groups < GROUPS);
        s->group_params[s->n_groups] = count(str_first(text, end), '$');
        text = str_from(text, end + 1);
        if (str_starts(str_trim(text), STR(")"))) {
            s->n_groups++;
            continue;
        }
        size_t open = str_find(text, '(', 0);
        assert_true(str_starts(str_trim(text), STR("as ")) && open != SIZE_MAX);
        text = str_from(text, open + 1);
        end = str_find(text, ')', 0);
        assert_true(end != SIZE_MAX);
        s->group_names[s->n_groups] = count(str_first(text, end), ',') + 1;
        s->group_first[s->n_groups++] = word_at(text, 0);
    }
}

/* Without comments, which may name parameters. */
static struct str code_of(struct str text, struct buf *out)
{
    struct str rest = text, line;
    while (str_split(&rest, '\n', &line)) {
        size_t dashes = str_find_str(line, STR("--"));
        buf_str(out, dashes == SIZE_MAX ? line : str_first(line, dashes));
        buf_char(out, '\n');
    }
    assert_false(out->failed);
    return buf_view(out);
}

static void check_type(const char *query, size_t n, struct str type, const char *want)
{
    if (!str_eq(type, str_c(want)))
        fail_msg("%s: $%zu is %.*s[], the table says %s", query, n, STR_ARG(type), want);
}

static void check_arrays(const char *query, const struct statement *s, size_t t,
                         const struct unit_table *table, size_t *at)
{
    if (s->group_params[t] != table->n_columns + 1 || s->group_names[t] != table->n_columns + 1)
        fail_msg("%s: table %zu has %zu columns and ord, its unnest %zu parameters and %zu names",
                 query, t, table->n_columns, s->group_params[t], s->group_names[t]);
    assert_true(str_eq(s->group_first[t], STR("ord")));
    check_type(query, *at, s->types[*at], "int4");
    ++*at;
    for (size_t c = 0; c < table->n_columns; c++, ++*at)
        check_type(query, *at, s->types[*at], sql_types[table->columns[c].type]);
}

/* `create type reli.x as (ord int4, …)`. */
static void check_row_type(const char *query, struct str name, const struct unit_table *table)
{
    char head[64];
    snprintf(head, sizeof head, "create type %.*s as (", STR_ARG(name));
    struct str text = embed_text(&embed_migrations[0]);
    size_t at = str_find_str(text, str_c(head));
    if (at == SIZE_MAX)
        fail_msg("%s: no type %.*s", query, STR_ARG(name));
    text = str_from(text, at + strlen(head));
    struct str rest = str_first(text, str_find(text, ')', 0)), column;
    size_t n = 0;
    for (; str_split(&rest, ',', &column); n++) {
        column = str_trim(column);
        struct str word = word_at(column, 0);
        assert_true(n < table->n_columns + 1);
        assert_true(n > 0 || str_eq(word, STR("ord")));
        check_type(query, n, str_trim(str_from(column, word.n)),
                   n == 0 ? "int4" : sql_types[table->columns[n - 1].type]);
    }
    assert_int_equal(n, table->n_columns + 1);
}

static void parameters(void **state)
{
    (void)state;
    size_t n_kinds = 0;
    for (; unit_kinds[n_kinds] != NULL; n_kinds++) {
        const struct unit_kind *kind = unit_kinds[n_kinds];
        const struct embed_file *file = &embed_queries[kind->query];
        struct statement s = {0};
        struct buf b;
        buf_init(&b, 1 << 20);
        struct str code = code_of(embed_text(file), &b);
        read_parameters(code, &s);
        read_groups(code, &s);
        size_t at = 1;
        assert_true(kind->n_tables <= UNIT_MAX_TABLES);
        if (s.n_groups != kind->n_tables)
            fail_msg("%s: %zu arrays of rows, %zu tables", file->name, s.n_groups, kind->n_tables);
        for (size_t t = 0; t < kind->n_tables; t++) {
            if (kind->row_types == NULL || kind->row_types[t] == ROW_NONE) {
                check_arrays(file->name, &s, t, &kind->tables[t], &at);
                continue;
            }
            assert_true(s.group_params[t] == 1 && s.group_names[t] == 0);
            check_row_type(file->name, s.types[at++], &kind->tables[t]);
        }
        assert_int_equal(s.n, at - 1);
        assert_true(s.n <= PARAMS_MAX);
        buf_free(&b);
    }
    assert_int_equal(n_kinds, 9);
}

/* Each member of a row struct is one column, in their order: a line that is missing, twice or in
 * another place leaves a gap or steps back. */
static void members(void **state)
{
    (void)state;
    for (size_t k = 0; unit_kinds[k] != NULL; k++) {
        for (size_t t = 0; t < unit_kinds[k]->n_tables; t++) {
            const struct unit_table *table = &unit_kinds[k]->tables[t];
            size_t end = 0;
            for (size_t c = 0; c < table->n_columns; c++) {
                const struct column *col = &table->columns[c];
                assert_true(col->offset >= end && col->offset - end < 8); /* padding at most */
                end = col->offset + c_sizes[col->type];
            }
            assert_true(end <= table->row_size && table->row_size - end < 8);
        }
    }
}

/* Kinds run by rank within a batch: equal ranks would leave the order open. */
static void ranks(void **state)
{
    (void)state;
    for (size_t k = 0; unit_kinds[k] != NULL; k++) {
        assert_non_null(unit_kinds[k]->on_row);
        assert_non_null(unit_kinds[k]->reset);
        for (size_t i = 0; i < k; i++) {
            assert_int_not_equal(unit_kinds[i]->rank, unit_kinds[k]->rank);
            assert_int_not_equal(unit_kinds[i]->query, unit_kinds[k]->query);
        }
    }
}

static void attempt_ids(void **state)
{
    (void)state;
    struct uuid payment = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xf0}};
    int got = -1;
    assert_true(uuid_eq(attempt_payment(payment, &got), payment));
    assert_int_equal(got, 0);
    for (int n = 1; n < 16; n++) {
        struct uuid id = attempt_id(payment, n);
        assert_true(uuid_eq(attempt_payment(id, &got), payment));
        assert_int_equal(got, n);
        assert_false(uuid_eq(id, payment));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters),
        cmocka_unit_test(members),
        cmocka_unit_test(ranks),
        cmocka_unit_test(attempt_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
