/* The sandbox's pure parts: the table of outcomes, the settings, the records. Expectations are
 * taken from the sandbox's README. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gateways/sandbox/book.h"
#include "gateways/sandbox/chaos.h"
#include "gateways/sandbox/journal.h"
#include "gateways/sandbox/outcome.h"
#include "gateways/sandbox/ring.h"

static struct json *parsed(struct str text)
{
    struct json *j = NULL;
    size_t where;
    assert_int_equal(json_parse(text, &j, &where).code, ERR_NONE);
    return j;
}

static void assert_str(struct str have, const char *want)
{
    if (!str_eq(have, str_c(want)))
        fail_msg("have %.*s\nwant %s", STR_ARG(have), want);
}

/* ---- outcomes ---- */

/* Every ending that README.md names: what it decides, when, and whether a prompt is queued. */
static const struct {
    int number;
    const char *result;
    enum outcome_when when;
    bool queued;
} endings[] = {
    {0, "0", WHEN_DELAY, true},      {1, "1", WHEN_DELAY, true},
    {2, "1032", WHEN_DELAY, true},   {3, "2001", WHEN_DELAY, true},
    {4, "1037", WHEN_TIMEOUT, true}, {5, "1019", WHEN_TIMEOUT, true},
    {6, "1025", WHEN_DELAY, true},   {7, "9999", WHEN_DELAY, true},
    {8, "4", WHEN_DELAY, true},      {9, "26", WHEN_DELAY, true},
    {10, "1001", WHEN_DELAY, true},  {11, "17", WHEN_DELAY, true},
    {12, "8006", WHEN_DELAY, true},  {13, "2028", WHEN_DELAY, true},
    {14, "0", WHEN_DELAY, true},     {15, "SFC_IC0003", WHEN_DELAY, true},
    {20, "0", WHEN_DELAY, true},     {21, "1032", WHEN_DELAY, true},
    {22, "0", WHEN_DELAY, true},     {23, "0", WHEN_AT_ONCE, true},
    {24, "0", WHEN_LATE, true},      {25, "0", WHEN_LATE, true},
    {26, "0", WHEN_DELAY, true},     {27, "0", WHEN_DELAY, true},
    {28, "0", WHEN_DELAY, true},     {29, "0", WHEN_DELAY, true},
    {30, "0", WHEN_DELAY, true},     {31, "0", WHEN_LATE, true},
    {32, "1", WHEN_AT_ONCE, true},   {40, "0", WHEN_DELAY, true},
    {41, "0", WHEN_DELAY, true},     {42, "0", WHEN_DELAY, false},
    {43, "0", WHEN_DELAY, true},     {44, "0", WHEN_DELAY, false},
    {45, "0", WHEN_DELAY, true},     {46, "0", WHEN_DELAY, true},
    {47, "0", WHEN_DELAY, false},    {48, "0", WHEN_DELAY, false},
    {49, "0", WHEN_DELAY, false},    {50, "0", WHEN_DELAY, false},
    {51, "0", WHEN_DELAY, false},    {52, "0", WHEN_DELAY, false},
    {60, "0", WHEN_TIMEOUT, true},   {61, "0", WHEN_TIMEOUT, true},
    {62, "0", WHEN_DELAY, true},     {63, "0", WHEN_NEVER, true},
    {64, "0", WHEN_TIMEOUT, true},   {65, "0", WHEN_DELAY, true},
};

static void check_ending(const struct outcome *o, int number)
{
    size_t i = 0;
    while (i < COUNT_OF(endings) && endings[i].number != number)
        i++;
    if (i == COUNT_OF(endings))
        i = 0; /* not listed: a success */
    assert_int_equal(o->number, endings[i].number);
    assert_string_equal(o->result, endings[i].result);
    assert_int_equal(o->when, endings[i].when);
    assert_int_equal(o->answer <= OUTCOME_LAST_QUEUED, endings[i].queued);
}

static void test_outcome_of_every_ending(void **state)
{
    (void)state;
    for (int number = 0; number < 1000; number++) {
        char phone[32], other[32];
        (void)snprintf(phone, sizeof phone, "254711223%03d", number);
        (void)snprintf(other, sizeof other, "254110000%03d", number);
        check_ending(outcome_of(str_c(phone), 1), number);
        check_ending(outcome_of(str_c(other), 999), number);
        check_ending(outcome_of(STR("254700000999"), 71000 + number), number);
        check_ending(outcome_of(STR("254700000999"), number), number);
    }
    size_t n = 0;
    while (outcome_at(n) != NULL)
        n++;
    assert_int_equal(n, COUNT_OF(endings));
}

static void test_outcome_forms(void **state)
{
    static const struct {
        int number, callback, query, answer;
    } forms[] = {
        {14, CALLBACK_ODD_CODE, 0, 0},
        {20, CALLBACK_LOST, 0, 0},
        {21, CALLBACK_LOST, 0, 0},
        {22, CALLBACK_TWICE, 0, 0},
        {23, CALLBACK_EARLY, 0, 0},
        {24, CALLBACK_PLAIN, 0, 0},
        {25, CALLBACK_FAILURE_FIRST, 0, 0},
        {26, CALLBACK_WRONG_AMOUNT, 0, 0},
        {27, CALLBACK_WRONG_PHONE, 0, 0},
        {28, CALLBACK_WRONG_ID, 0, 0},
        {29, CALLBACK_TEXT_FIELDS, 0, 0},
        {30, CALLBACK_NO_BALANCE, 0, 0},
        {31, CALLBACK_FAILURE_FIRST, 0, 0},
        {32, CALLBACK_EARLY, 0, 0},
        {40, 0, 0, ANSWER_CUT},
        {41, CALLBACK_LOST, 0, ANSWER_CUT},
        {42, 0, 0, ANSWER_CUT_NOTHING},
        {43, 0, 0, ANSWER_SLOW},
        {44, 0, 0, ANSWER_HTML_503},
        {45, 0, 0, ANSWER_EMPTY},
        {46, 0, 0, ANSWER_HALF},
        {47, 0, 0, ANSWER_LOCKED},
        {48, 0, 0, ANSWER_SPIKE},
        {49, 0, 0, ANSWER_NO_MERCHANT},
        {50, 0, 0, ANSWER_INTERNAL},
        {51, 0, 0, ANSWER_TOKEN_ONCE},
        {52, 0, 0, ANSWER_BAD_PHONE},
        {60, 0, QUERY_PENDING_4999, 0},
        {61, 0, QUERY_PLAIN, 0},
        {62, 0, QUERY_HTML_502, 0},
        {63, CALLBACK_LOST, 0, 0},
        {64, 0, QUERY_EARLY_FAILURE, 0},
        {65, 0, QUERY_NUMBERS, 0},
    };
    (void)state;
    const struct outcome *o;
    for (size_t i = 0; (o = outcome_at(i)) != NULL; i++) {
        size_t k = 0;
        while (k < COUNT_OF(forms) && forms[k].number != o->number)
            k++;
        bool plain = k == COUNT_OF(forms);
        assert_int_equal(o->callback, plain ? 0 : forms[k].callback);
        assert_int_equal(o->query, plain ? 0 : forms[k].query);
        assert_int_equal(o->answer, plain ? 0 : forms[k].answer);
    }
}

/* The page that people read lists exactly the table, in its words. */
static void test_readme_lists_the_outcomes(void **state)
{
    char line[1024], want[128];
    size_t found = 0;
    FILE *f = fopen("gateways/sandbox/README.md", "r");
    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strcmp(line, "## Outcomes of CPay\n") == 0)
            break; /* another provider's: sandbox_cpay_test.c */
        if (line[0] != '|' || !ascii_is_digit(line[2]) || line[5] != ' ')
            continue;
        const struct outcome *o = outcome_at(found++);
        assert_non_null(o);
        (void)snprintf(want, sizeof want, "| %03d | %s |", o->number, o->words);
        assert_true(str_starts(str_c(line), str_c(want)));
    }
    (void)fclose(f);
    assert_null(outcome_at(found));
    assert_true(found > 0);
}

/* ---- settings ---- */

static size_t change(struct chaos *c, const char *text)
{
    struct arena a;
    arena_init(&a, 65536);
    struct field_errors errors = {.arena = &a};
    struct json *j = parsed(str_c(text));
    chaos_change(c, j, &errors);
    json_free(j);
    arena_free(&a);
    return errors.n;
}

static void printed(const struct chaos *c, struct buf *b)
{
    struct jsonw w = jw_into(b);
    buf_init(b, 8192);
    chaos_print(c, &w);
}

static void test_chaos_defaults(void **state)
{
    struct chaos c = chaos_default();
    (void)state;
    assert_int_equal(c.delay_ms, 1000);
    assert_int_equal(c.timeout_delay_ms, 3000);
    assert_int_equal(c.late_delay_s, 1200);
    assert_true(c.slow_answer_ms > 35000);
    assert_int_equal(c.token_life_s, 3599);
    assert_int_equal(c.timestamp_tolerance_s, 300);
    assert_int_equal(c.fail_rate + c.reset_rate + c.drop_answer_rate, 0);
    assert_int_equal(c.callback_loss_rate + c.callback_dup_rate + c.answer_max_ms, 0);
    assert_false(c.down || c.token_single);
}

static void test_chaos_changes(void **state)
{
    struct chaos c = chaos_default();
    (void)state;
    assert_int_equal(change(&c, "{}"), 0);
    assert_int_equal(change(&c, "{\"fail_rate\":1,\"reset_rate\":2,\"drop_answer_rate\":3,"
                                "\"callback_loss_rate\":4,\"callback_dup_rate\":1000,\"down\":true,"
                                "\"spike_limit_per_s\":5,\"seed\":6,\"delay_ms\":7,"
                                "\"timeout_delay_ms\":8,\"late_delay_s\":9,\"slow_answer_ms\":10,"
                                "\"token_life_s\":11,\"token_single\":true,"
                                "\"timestamp_tolerance_s\":0,"
                                "\"answer_delay_ms\":{\"min\":12,\"max\":13}}"),
                     0);
    assert_int_equal(c.fail_rate, 1);
    assert_int_equal(c.reset_rate, 2);
    assert_int_equal(c.drop_answer_rate, 3);
    assert_int_equal(c.callback_loss_rate, 4);
    assert_int_equal(c.callback_dup_rate, 1000);
    assert_true(c.down);
    assert_int_equal(c.spike_limit_per_s, 5);
    assert_int_equal(c.seed, 6);
    assert_int_equal(c.delay_ms, 7);
    assert_int_equal(c.timeout_delay_ms, 8);
    assert_int_equal(c.late_delay_s, 9);
    assert_int_equal(c.slow_answer_ms, 10);
    assert_int_equal(c.token_life_s, 11);
    assert_true(c.token_single);
    assert_int_equal(c.timestamp_tolerance_s, 0);
    assert_int_equal(c.answer_min_ms, 12);
    assert_int_equal(c.answer_max_ms, 13);
    assert_int_equal(change(&c, "{\"down\":false}"), 0);
    assert_false(c.down);
    assert_int_equal(c.fail_rate, 1);
}

/* What is shown can be sent back. */
static void test_chaos_round_trip(void **state)
{
    struct chaos c = chaos_default(), again = chaos_default();
    struct buf shown, shown_again;
    (void)state;
    assert_int_equal(change(&c, "{\"fail_rate\":7,\"token_single\":true,\"seed\":9000000000,"
                                "\"answer_delay_ms\":{\"min\":1,\"max\":1}}"),
                     0);
    printed(&c, &shown);
    buf_char(&shown, 0);
    assert_int_equal(change(&again, shown.p), 0);
    printed(&again, &shown_again);
    assert_str(buf_view(&shown_again), shown.p);
    assert_true(again.seed == 9000000000 && again.fail_rate == 7 && again.answer_max_ms == 1);
    buf_free(&shown);
    buf_free(&shown_again);
}

static void test_chaos_refuses(void **state)
{
    static const char *const wrong[] = {
        "{\"fail_rat\":1}",
        "{\"fail_rate\":1001}",
        "{\"fail_rate\":-1}",
        "{\"fail_rate\":0.5}",
        "{\"fail_rate\":\"1\"}",
        "{\"down\":1}",
        "{\"down\":\"true\"}",
        "{\"token_single\":null}",
        "{\"token_life_s\":0}",
        "{\"delay_ms\":{\"min\":1,\"max\":2}}",
        "{\"answer_delay_ms\":5}",
        "{\"answer_delay_ms\":{\"min\":5}}",
        "{\"answer_delay_ms\":{\"min\":5,\"max\":4}}",
        "{\"answer_delay_ms\":{\"min\":1,\"max\":4,\"mean\":2}}",
        "{\"callback_loss_rate\":10,\"callback_dup_rate\":2000}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct chaos c = chaos_default();
        struct buf before, after;
        printed(&c, &before);
        if (change(&c, wrong[i]) == 0)
            fail_msg("taken: %s", wrong[i]);
        printed(&c, &after);
        assert_true(str_eq(buf_view(&before), buf_view(&after)));
        buf_free(&before);
        buf_free(&after);
    }
}

static void test_dice(void **state)
{
    struct dice a, b;
    int hits = 0, differences = 0;
    (void)state;
    dice_seed(&a, 42);
    dice_seed(&b, 42);
    for (int i = 0; i < 10000; i++) {
        bool hit = dice_hit(&a, 250);
        assert_int_equal(hit, dice_hit(&b, 250));
        assert_false(dice_hit(&a, 0));
        assert_true(dice_hit(&a, 1000));
        hits += hit;
    }
    assert_in_range(hits, 2300, 2700); /* seven standard deviations */
    dice_seed(&a, 1);
    dice_seed(&b, 2);
    for (int i = 0; i < 100; i++)
        differences += dice_hit(&a, 500) != dice_hit(&b, 500);
    assert_true(differences > 0);
    int64_t least = 99, most = -99;
    for (int i = 0; i < 1000; i++) {
        int64_t v = dice_between(&a, -3, 4);
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    assert_true(least == -3 && most == 4);
    assert_int_equal(dice_between(&a, 5, 5), 5);
}

/* ---- records ---- */

static void test_ring_keeps_the_newest(void **state)
{
    static const size_t sizes[] = {1, 7, 256, 300, 1000};
    (void)state;
    for (size_t k = 0; k < COUNT_OF(sizes); k++) {
        struct ring r;
        int64_t max = (int64_t)sizes[k];
        ring_init(&r, sizeof(int64_t), sizes[k]);
        assert_null(ring_at(&r, 1));
        for (int64_t n = 1; n <= 2500; n++) {
            int64_t *item = ring_add(&r);
            assert_non_null(item);
            assert_int_equal(*item, 0);
            *item = n;
            int64_t first = n > max ? n - max + 1 : 1;
            assert_int_equal(ring_first(&r), first);
            assert_null(ring_at(&r, n + 1));
            assert_null(ring_at(&r, first - 1));
            assert_int_equal(*(int64_t *)ring_at(&r, first), first);
            assert_int_equal(*(int64_t *)ring_at(&r, (first + n) / 2), (first + n) / 2);
            assert_int_equal(*(int64_t *)ring_at(&r, n), n);
        }
        ring_reset(&r);
        assert_null(ring_at(&r, 2500));
        assert_int_equal(r.n, 0);
    }
}

static struct json *journal_json(const struct journal *j, struct call_filter f)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    struct jsonw w = jw_into(&b);
    journal_print(j, &f, &w);
    struct json *out = parsed(buf_view(&b));
    buf_free(&b);
    return out;
}

static int64_t number_at(const struct json *j, const char *a, const char *b)
{
    int64_t v = -1;
    const struct json *at = b != NULL ? json_get(json_get(j, a), b) : json_get(j, a);
    assert_true(json_i64(at, &v));
    return v;
}

static void test_journal_counts_and_filters(void **state)
{
    struct journal j;
    (void)state;
    journal_init(&j);
    for (int i = 0; i < 30; i++) {
        struct call c = {.provider = "mpesa",
                         .op = i % 3 == 0 ? "token" : "push",
                         .outcome = "success",
                         .status = 200,
                         .accepted = i % 2 == 0};
        call_text(c.phone, sizeof c.phone, i < 20 ? STR("254711223344") : STR("254711223345"));
        journal_add(&j, &c);
    }
    struct json *all = journal_json(&j, (struct call_filter){.limit = 1000});
    assert_int_equal(number_at(all, "total", NULL), 30);
    assert_int_equal(number_at(all, "received", NULL), 30);
    assert_int_equal(number_at(all, "dropped", NULL), 0);
    assert_int_equal(number_at(all, "counts", "mpesa.token"), 10);
    assert_int_equal(number_at(all, "counts", "mpesa.push"), 20);
    assert_int_equal(number_at(all, "accepted", "mpesa.push"), 10);
    assert_int_equal(json_n(json_get(all, "data")), 30);
    json_free(all);
    struct json *some = journal_json(
        &j, (struct call_filter){.op = STR("push"), .phone = STR("254711223344"), .limit = 4});
    assert_int_equal(number_at(some, "total", NULL), 13);
    const struct json *data = json_get(some, "data");
    assert_int_equal(json_n(data), 4);
    assert_int_equal(number_at(json_at(data, 0), "n", NULL), 15);
    assert_int_equal(number_at(json_at(data, 3), "n", NULL), 20);
    json_free(some);
    journal_reset(&j);
    struct json *none = journal_json(&j, (struct call_filter){.limit = 10});
    assert_int_equal(number_at(none, "received", NULL), 0);
    assert_null(json_get(json_get(none, "counts"), "mpesa.push"));
    json_free(none);
    journal_reset(&j);
}

static void test_journal_counts_what_it_drops(void **state)
{
    struct journal j;
    struct call c = {.provider = "mpesa", .op = "push", .outcome = "success", .accepted = true};
    (void)state;
    journal_init(&j);
    j.ring.max = 100;
    for (int i = 0; i < 250; i++)
        journal_add(&j, &c);
    struct json *all = journal_json(&j, (struct call_filter){.limit = 1000});
    assert_int_equal(number_at(all, "total", NULL), 100);
    assert_int_equal(number_at(all, "received", NULL), 250);
    assert_int_equal(number_at(all, "dropped", NULL), 150);
    assert_int_equal(number_at(all, "accepted", "mpesa.push"), 250);
    json_free(all);
    journal_reset(&j);
}

static void test_texts_from_outside(void **state)
{
    char out[CALL_TEXT], hash[URL_HASH_TEXT];
    (void)state;
    call_text(out, sizeof out, STR("a\"\xff\n\x7f-12345678901234567890"));
    assert_string_equal(out, "a\"?\?\?-123456789");
    call_text(out, sizeof out, STR_NULL);
    assert_string_equal(out, "");
    call_url_hash(STR("abc"), hash); /* FIPS 180-2, appendix B.1 */
    assert_string_equal(hash, "ba7816bf8f01cfea");
}

static int n_dropped;

static void drop(struct booking *b)
{
    n_dropped++;
    free(b);
}

static void book_fill(struct book *k, int n)
{
    for (int i = 1; i <= n; i++) {
        struct booking *b = calloc(1, sizeof *b);
        assert_non_null(b);
        b->provider = "mpesa";
        b->outcome = "success";
        b->drop = drop;
        (void)snprintf(b->id, sizeof b->id, "ws_CO_%d", i);
        (void)snprintf(b->phone, sizeof b->phone, "2547000000%02d", i % 10);
        assert_int_equal(book_add(k, b).code, ERR_NONE);
        assert_int_equal(b->n, i);
    }
}

static struct json *book_json(const struct book *k, struct book_filter f)
{
    struct buf b;
    buf_init(&b, 1 << 22);
    struct jsonw w = jw_into(&b);
    book_print(k, &f, &w);
    struct json *out = parsed(buf_view(&b));
    buf_free(&b);
    return out;
}

static void test_book_finds_and_settles(void **state)
{
    struct book k = {0};
    (void)state;
    n_dropped = 0;
    book_fill(&k, 1000);
    for (int i = 1; i <= 1000; i++) {
        char id[CALL_ID];
        (void)snprintf(id, sizeof id, "ws_CO_%d", i);
        struct booking *b = book_find(&k, str_c(id));
        assert_non_null(b);
        assert_ptr_equal(b, book_at(&k, i));
        if (i % 4 == 0)
            book_settle(&k, b, BOOKING_PAID, 1);
        else if (i % 4 == 1)
            book_settle(&k, b, BOOKING_FAILED, 1);
    }
    book_settle(&k, book_at(&k, 1), BOOKING_PAID, 2); /* a failure that is revised */
    assert_null(book_find(&k, STR("ws_CO_1001")));
    assert_null(book_find(&k, STR("")));
    assert_null(book_at(&k, 0));
    assert_null(book_at(&k, 1001));
    struct json *j = book_json(&k, (struct book_filter){.limit = 5});
    assert_int_equal(number_at(j, "counts", "paid"), 251);
    assert_int_equal(number_at(j, "counts", "failed"), 249);
    assert_int_equal(number_at(j, "counts", "pending"), 500);
    assert_int_equal(number_at(j, "total", NULL), 1000);
    json_free(j);
    book_reset(&k);
    assert_int_equal(n_dropped, 1000);
    assert_null(book_find(&k, STR("ws_CO_1")));
    book_fill(&k, 3);
    book_reset(&k);
}

static void test_book_pages(void **state)
{
    struct book k = {0};
    struct book_filter f = {.phone = STR("254700000003"), .limit = 7};
    int64_t seen = 0;
    bool more = true;
    (void)state;
    book_fill(&k, 200);
    while (more) {
        struct json *j = book_json(&k, f);
        const struct json *data = json_get(j, "data");
        for (size_t i = 0; i < json_n(data); i++) {
            int64_t n = number_at(json_at(data, i), "n", NULL);
            assert_int_equal(n, 10 * seen + 3);
            f.after = n;
            seen++;
        }
        assert_true(json_bool(json_get(j, "has_more"), &more));
        assert_true(json_n(data) == 7 || !more);
        json_free(j);
    }
    assert_int_equal(seen, 20);
    f = (struct book_filter){.after = INT64_MAX, .limit = 5};
    struct json *j = book_json(&k, f);
    assert_int_equal(json_n(json_get(j, "data")), 0);
    json_free(j);
    book_reset(&k);
}

static void test_book_is_full(void **state)
{
    struct booking *all[1] = {NULL};
    struct book k = {.all = all, .n = BOOK_MAX, .cap = BOOK_MAX};
    struct booking b = {.id = "ws_CO_1"};
    (void)state;
    assert_int_equal(book_add(&k, &b).code, ERR_LIMIT);
    assert_int_equal(k.n, BOOK_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcome_of_every_ending),
        cmocka_unit_test(test_outcome_forms),
        cmocka_unit_test(test_readme_lists_the_outcomes),
        cmocka_unit_test(test_chaos_defaults),
        cmocka_unit_test(test_chaos_changes),
        cmocka_unit_test(test_chaos_round_trip),
        cmocka_unit_test(test_chaos_refuses),
        cmocka_unit_test(test_dice),
        cmocka_unit_test(test_ring_keeps_the_newest),
        cmocka_unit_test(test_journal_counts_and_filters),
        cmocka_unit_test(test_journal_counts_what_it_drops),
        cmocka_unit_test(test_texts_from_outside),
        cmocka_unit_test(test_book_finds_and_settles),
        cmocka_unit_test(test_book_pages),
        cmocka_unit_test(test_book_is_full),
    };
    if (crypto_open().code != ERR_NONE)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    crypto_close();
    arena_trim();
    return failed;
}
