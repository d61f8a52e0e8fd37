/* Queues of keys against a naive model: a unit may run when nobody who came before it and is still
 * there shares a key with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "store/unit_keys.h"

enum { UNITS = 3000, MODEL_MAX = 300 };

static uint64_t seed_state;

static uint64_t next_random(void)
{
    uint64_t z = (seed_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool share(const struct unit *a, const struct unit *b)
{
    for (int i = 0; i < UNIT_MAX_KEYS; i++)
        for (int k = 0; k < UNIT_MAX_KEYS; k++)
            if (a->keys[i] != 0 && a->keys[i] == b->keys[k])
                return true;
    return false;
}

struct model {
    struct unit *there[MODEL_MAX]; /* in the order of coming */
    size_t n;
    size_t n_freed;
};

static bool may_run(const struct model *m, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (share(m->there[i], m->there[at]))
            return false;
    return true;
}

static void freed(void *ctx, struct unit *u)
{
    struct model *m = ctx;
    m->n_freed++;
    assert_int_equal(u->behind, 0);
    assert_int_equal(u->tries, 0); /* told once */
    u->tries = 1;
}

static void check(const struct model *m)
{
    for (size_t i = 0; i < m->n; i++) {
        assert_int_equal(m->there[i]->behind == 0, may_run(m, i));
        assert_int_equal(m->there[i]->tries, may_run(m, i));
    }
}

static void play(uint64_t seed, uint64_t n_keys, size_t crowd)
{
    seed_state = seed;
    struct unit_keys k;
    unit_keys_init(&k, next_random());
    struct model m = {0};
    struct unit *units = calloc(UNITS, sizeof *units);
    assert_non_null(units);
    size_t came = 0;
    while (came < UNITS || m.n > 0) {
        bool come = came < UNITS && m.n < crowd && (m.n == 0 || next_random() % 2 == 0);
        if (come) {
            struct unit *u = &units[came++];
            for (int i = 0; i < UNIT_MAX_KEYS; i++)
                u->keys[i] = next_random() % 3 == 0 ? 0 : 1 + next_random() % n_keys;
            assert_true(unit_keys_join(&k, u));
            u->tries = u->behind == 0; /* here: whether it knows that it may run */
            m.there[m.n++] = u;
        } else { /* somebody leaves: mostly one that may run, but waiting ones give up, too */
            size_t at = next_random() % m.n;
            while (next_random() % 4 != 0 && !may_run(&m, at))
                at--;
            struct unit *u = m.there[at];
            memmove(&m.there[at], &m.there[at + 1], (m.n - at - 1) * sizeof m.there[0]);
            m.n--;
            unit_keys_leave(&k, u, freed, &m);
        }
        if (crowd < 50 || next_random() % 16 == 0)
            check(&m);
    }
    assert_int_equal(k.n, 0);
    if (n_keys < 100)
        assert_true(m.n_freed > 0);
    for (size_t i = 0; i < k.cap; i++)
        assert_int_equal(k.places[i].key, 0);
    unit_keys_free(&k);
    free(units);
}

static void test_against_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        play(seed, 3, 20); /* everybody wants the same */
        play(seed, 40, 40);
        play(seed, 100000, 290); /* hardly ever; the table grows */
    }
}

static void test_no_keys(void **state)
{
    (void)state;
    struct unit_keys k;
    unit_keys_init(&k, 1);
    struct unit a = {0}, b = {0};
    assert_true(unit_keys_join(&k, &a));
    assert_true(unit_keys_join(&k, &b));
    assert_int_equal(a.behind, 0);
    assert_int_equal(b.behind, 0);
    unit_keys_leave(&k, &a, freed, NULL);
    unit_keys_leave(&k, &b, freed, NULL);
    unit_keys_free(&k);
}

static void test_one_key_twice(void **state)
{
    (void)state;
    struct unit_keys k;
    unit_keys_init(&k, 1);
    struct model m = {0};
    struct unit a = {.keys = {7, 7, 0, 7}}, b = {.keys = {0, 7, 7, 0}};
    assert_true(unit_keys_join(&k, &a));
    assert_true(unit_keys_join(&k, &b));
    assert_int_equal(a.behind, 0);
    assert_int_equal(b.behind, 1);
    unit_keys_leave(&k, &a, freed, &m);
    assert_int_equal(b.behind, 0);
    assert_int_equal(m.n_freed, 1);
    unit_keys_leave(&k, &b, freed, &m);
    assert_int_equal(k.n, 0);
    unit_keys_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_no_keys),
        cmocka_unit_test(test_one_key_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
