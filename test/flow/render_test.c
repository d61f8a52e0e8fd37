/* core/flow/render.c: what is filled into a snapshot, with a client's texts that look like the
 * places to fill. Everything is read back by the parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/codec/json.h"
#include "core/flow/render.h"

#define NOBODY "\"phone\":null,\"email\":null,\"name\":null"
#define NO_REF "\"provider_transaction_id\":null"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    json_seed(1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    arena_trim();
    return 0;
}

static struct payment_record record(void)
{
    struct payment_record r = {
        .merchant = {{1}},
        .id = {{2}},
        .live = true,
        .reference = STR("order-1"),
        .reference_no = STR("RLI-1"),
        .provider = STR("alpha"),
        .method = STR("mobile_money"),
        .customer_id = STR("c1"),
        .description = STR("shoes"),
        .metadata = STR("{\"a\":[1,2]}"),
    };
    r.p.status = PAYMENT_PENDING;
    r.p.amount = (struct money){123456, CURRENCY('K', 'E', 'S')};
    r.p.created_at_us = r.p.updated_at_us = INT64_C(1795230000000000);
    return r;
}

static struct str kept(struct buf *b)
{
    assert_false(b->failed);
    struct str s = arena_dup(&arena, buf_view(b));
    assert_non_null(s.p);
    buf_free(b);
    return s;
}

static struct str rendered(const struct payment_record *r, struct str person)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_payment(&w, r, person);
    jw_close(&w);
    return kept(&b);
}

static struct str spliced(struct str snapshot, struct str person, struct str ref)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    render_snapshot(&b, snapshot, person, ref);
    return kept(&b);
}

static struct str person_of(const char *phone, const char *email, const char *name)
{
    struct buf b;
    buf_init(&b, 4096);
    render_person(&b, str_c(phone), str_c(email), str_c(name));
    return kept(&b);
}

static struct json *parsed(struct str text)
{
    struct json *j;
    assert_false(err_is(json_parse(text, &j, NULL)));
    return j;
}

static void assert_text(const struct json *j, const char *want)
{
    if (want == NULL)
        assert_int_equal(json_kind(j), JSON_KIND_NULL);
    else
        assert_true(json_kind(j) == JSON_STR && str_eq(json_str(j), str_c(want)));
}

static void a_payment(void **state)
{
    (void)state;
    struct payment_record r = record();
    r.p.received_minor = 100000;
    r.p.fee_minor = 1500;
    struct json *j = parsed(rendered(&r, STR_NULL));
    assert_text(json_get(j, "object"), "payment");
    assert_text(json_get(j, "mode"), "live");
    assert_text(json_get(j, "status"), "pending");
    assert_text(json_get(j, "amount"), "1234.56");
    assert_text(json_get(j, "amount_received"), "1000.00");
    assert_text(json_get(j, "fee"), "15.00");
    assert_text(json_get(j, "net"), "985.00");
    assert_text(json_get(j, "currency"), "KES");
    assert_text(json_get(j, "provider_transaction_id"), NULL);
    assert_text(json_get(j, "failure"), NULL);
    assert_text(json_get(j, "completed_at"), NULL);
    assert_text(json_get(j, "callback_url"), NULL);
    assert_text(json_path(j, "customer", "id", NULL), "c1");
    assert_text(json_path(j, "customer", "phone", NULL), NULL);
    assert_text(json_path(j, "customer", "email", NULL), NULL);
    assert_text(json_path(j, "customer", "name", NULL), NULL);
    assert_int_equal(json_n(json_path(j, "metadata", "a", NULL)), 2);
    json_free(j);
    r.p.status = PAYMENT_FAILED;
    r.p.failure = FAILURE_INSUFFICIENT_FUNDS;
    strcpy(r.p.failure_provider_code, "1");
    j = parsed(rendered(&r, STR_NULL));
    assert_text(json_path(j, "failure", "code", NULL), failure_word(FAILURE_INSUFFICIENT_FUNDS));
    assert_text(json_path(j, "failure", "provider_code", NULL), "1");
    assert_text(json_path(j, "failure", "message", NULL),
                failure_message(FAILURE_INSUFFICIENT_FUNDS));
    json_free(j);
}

/* Each text of a client, being itself what is searched for. */
static void hostile_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        NOBODY,
        NO_REF,
        ("x\"," NOBODY ",\""),
        ("\\\"," NO_REF),
        "\\",
        "{\"provider_transaction_id\":null}",
        "caf\xc3\xa9 \xf0\x9f\x92\xb0 \"quoted\" \\back\n\t\x01",
    };
    static const char *const raws[] = {
        "{" NOBODY "}",
        "{" NO_REF "}",
        "{\"customer\":{" NOBODY "}," NO_REF "}",
        "[{" NO_REF "},{" NOBODY "}]",
    };
    struct str person = person_of("254712345678", "a@b.example", "A \"B\" \xc3\xa9");
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (size_t k = 0; k < COUNT_OF(raws); k++) {
            for (int has_ref = 0; has_ref <= 1; has_ref++) {
                struct payment_record r = record();
                r.reference = r.description = r.return_url = r.customer_id = str_c(texts[i]);
                r.metadata = r.next_action = str_c(raws[k]);
                if (has_ref) /* our own, as long as the provider's is not known */
                    strcpy(r.p.provider_ref, k % 2 == 0 ? "ours.1" : "a\\\"b\\");
                struct str snapshot = rendered(&r, STR_NULL);
                struct str with_person = rendered(&r, person);
                assert_true(str_eq(spliced(snapshot, person, STR_NULL), with_person));
                assert_true(str_eq(spliced(snapshot, STR_NULL, STR_NULL), snapshot));
                /* the reference that the provider gave later */
                strcpy(r.p.provider_ref, "ws_CO_1");
                struct str full = rendered(&r, person);
                assert_true(str_eq(spliced(snapshot, person, STR("ws_CO_1")), full));
                assert_true(
                    str_eq(spliced(snapshot, STR_NULL, STR("ws_CO_1")), rendered(&r, STR_NULL)));
            }
        }
    }
}

static void hostile_person_and_reference(void **state)
{
    (void)state;
    struct payment_record r = record();
    struct str snapshot = rendered(&r, STR_NULL);
    struct str person = person_of(NO_REF, "\",\"id\":\"2", "O'Brien \"\\\" \xe6\x9d\x8e\n");
    struct json *j = parsed(spliced(snapshot, person, STR("a\"b\\c" NO_REF)));
    assert_text(json_path(j, "customer", "phone", NULL), NO_REF);
    assert_text(json_path(j, "customer", "email", NULL), "\",\"id\":\"2");
    assert_text(json_path(j, "customer", "name", NULL), "O'Brien \"\\\" \xe6\x9d\x8e\n");
    assert_text(json_path(j, "customer", "id", NULL), "c1");
    assert_text(json_get(j, "provider_transaction_id"), "a\"b\\c" NO_REF);
    json_free(j);
    j = parsed(spliced(snapshot, person_of("", "", ""), STR_NULL));
    assert_text(json_path(j, "customer", "phone", NULL), NULL);
    json_free(j);
}

static void phones(void **state)
{
    (void)state;
    struct str phone;
    assert_false(err_is(person_phone(person_of("254712345678", "", "x"), &arena, &phone)));
    assert_true(str_eq(phone, STR("254712345678")));
    assert_false(err_is(person_phone(person_of("", "a@b.example", ""), &arena, &phone)));
    assert_true(str_eq(phone, STR("")));
    assert_false(err_is(person_phone(STR_NULL, &arena, &phone)));
    assert_true(str_eq(phone, STR("")));
    assert_true(err_is(person_phone(STR("\"phone\":"), &arena, &phone)));
    struct arena small;
    arena_init(&small, 16);
    assert_true(err_is(person_phone(person_of("254712345678", "", "x"), &small, &phone)));
    arena_free(&small);
}

static void the_answer_to_a_create(void **state)
{
    (void)state;
    struct payment_record r = record();
    r.metadata = STR("{\"client_token\":\"mine\"}");
    struct buf b;
    buf_init(&b, 1 << 16);
    render_created(&b, rendered(&r, STR_NULL), person_of("254", "", ""), STR("ref"), STR("rct_1"));
    struct json *j = parsed(kept(&b));
    assert_text(json_get(j, "client_token"), "rct_1");
    assert_text(json_path(j, "metadata", "client_token", NULL), "mine");
    assert_text(json_path(j, "customer", "phone", NULL), "254");
    assert_text(json_get(j, "provider_transaction_id"), "ref");
    assert_text(json_get(j, "reference"), "order-1");
    json_free(j);
}

static void an_event(void **state)
{
    (void)state;
    struct payment_record r = record();
    r.metadata = STR("{" NOBODY "}");
    struct event_view e = {
        .id = {{7}},
        .payment = r.id,
        .type = STR("payment.completed"),
        .mode = STR("live"),
        .snapshot = rendered(&r, STR_NULL),
        .seq = 3,
        .at_us = INT64_C(1795230000123456),
    };
    struct buf b;
    buf_init(&b, 1 << 16);
    render_event(&b, &e, person_of("254", "", "N"));
    struct json *j = parsed(kept(&b));
    int64_t seq;
    assert_text(json_get(j, "id"), "07000000-0000-0000-0000-000000000000");
    assert_text(json_get(j, "type"), "payment.completed");
    assert_true(json_i64(json_get(j, "seq"), &seq) && seq == 3);
    assert_text(json_get(j, "timestamp"), "2026-11-21T03:00:00.123Z");
    assert_text(json_get(j, "mode"), "live");
    assert_text(json_get(j, "payment_id"), "02000000-0000-0000-0000-000000000000");
    assert_text(json_path(j, "data", "customer", "phone", NULL), "254");
    assert_text(json_path(j, "data", "customer", "name", NULL), "N");
    assert_text(json_path(j, "data", "metadata", "phone", NULL), NULL);
    static const char *const members[] = {"id",   "type",       "seq", "timestamp",
                                          "mode", "payment_id", "data"};
    struct json_iter it = {0};
    size_t n = 0;
    while (json_next(j, &it)) {
        assert_true(n < COUNT_OF(members));
        assert_true(str_eq(it.name, str_c(members[n++])));
    }
    assert_int_equal(n, COUNT_OF(members));
    json_free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payment),
        cmocka_unit_test(hostile_texts),
        cmocka_unit_test(hostile_person_and_reference),
        cmocka_unit_test(phones),
        cmocka_unit_test(the_answer_to_a_create),
        cmocka_unit_test(an_event),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
