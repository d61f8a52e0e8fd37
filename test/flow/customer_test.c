/* What tells customers from one another, and what they are found by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crypto/mac.h"
#include "core/flow/customer.h"

static struct vault *vault;
static struct arena arena;

static const struct uuid shop = {{1}}, other = {{2}}, row_id = {{3}};

static int set_up(void **state)
{
    static const char *const kinds[] = {"data", "hmac"};
    (void)state;
    if (err_is(crypto_open()))
        return -1;
    struct err err = vault_new(STR("1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="), &vault);
    for (int i = 0; i < 2 && !err_is(err); i++) {
        struct buf b;
        buf_init(&b, 512);
        err = vault_make_wrapped(vault, &b);
        if (!err_is(err))
            err = vault_add(vault, str_c(kinds[i]), 1, buf_view(&b));
        buf_free(&b);
    }
    arena_init(&arena, 1 << 16);
    return err_is(err) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    vault_free(vault);
    crypto_close();
    return 0;
}

static struct customer_hash hash(struct uuid merchant, bool live, enum customer_word w,
                                 const char *text)
{
    return customer_hash(vault, merchant, live, w, str_c(text));
}

static bool same(struct customer_hash a, struct customer_hash b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

static void nothing_joins_two_tenants_or_modes(void **state)
{
    (void)state;
    const char *n = "+254700000001";
    struct customer_hash all[] = {
        hash(shop, false, CUSTOMER_PHONE, n),
        hash(other, false, CUSTOMER_PHONE, n),
        hash(shop, true, CUSTOMER_PHONE, n),
        hash(shop, false, CUSTOMER_EMAIL, n),
        hash(shop, false, CUSTOMER_EXTERNAL_ID, n),
        hash(shop, false, CUSTOMER_PHONE, ""),
        hash(shop, false, CUSTOMER_PHONE, "+254700000002"),
    };
    assert_true(same(all[0], hash(shop, false, CUSTOMER_PHONE, n)));
    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (size_t k = 0; k < i; k++)
            assert_false(same(all[i], all[k]));
}

static void an_address_is_one_in_any_case(void **state)
{
    (void)state;
    assert_true(same(hash(shop, false, CUSTOMER_EMAIL, "Jane@Example.COM"),
                     hash(shop, false, CUSTOMER_EMAIL, "jane@example.com")));
    assert_false(same(hash(shop, false, CUSTOMER_EXTERNAL_ID, "Jane"),
                      hash(shop, false, CUSTOMER_EXTERNAL_ID, "jane")));
}

static bool is_hash(struct str s, enum customer_word w, const char *text)
{
    struct customer_hash h = hash(shop, false, w, text);
    return str_eq(s, str_n((const char *)h.b, sizeof h.b));
}

/* Every set of what may be known: the first word names the customer, the others find him. */
static void the_merchants_id_counts_most(void **state)
{
    static const char *const texts[] = {"cust-42", "+254700000001", "jane@example.com"};
    (void)state;
    for (unsigned set = 0; set < 8; set++) {
        struct payment_insert_row row = {0};
        struct str given[3] = {STR_NULL, STR_NULL, STR_NULL};
        for (unsigned i = 0; i < 3; i++)
            if ((set >> i & 1) != 0)
                given[i] = str_c(texts[i]);
        struct payment_record rec = {.merchant = shop, .customer_id = given[0]};
        assert_false(err_is(customer_fill(vault, &arena, &rec, given[1], given[2], row_id, &row)));
        struct str stored[] = {row.customer_key, row.handle_a, row.handle_b};
        size_t n = 0;
        for (unsigned i = 0; i < 3; i++)
            if ((set >> i & 1) != 0)
                assert_true(is_hash(stored[n++], (enum customer_word)i, texts[i]));
        for (; n < 3; n++)
            assert_null(stored[n].p);
        assert_true(uuid_eq(row.customer_row, set == 0 ? UUID_NIL : row_id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_joins_two_tenants_or_modes),
        cmocka_unit_test(an_address_is_one_in_any_case),
        cmocka_unit_test(the_merchants_id_counts_most),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
