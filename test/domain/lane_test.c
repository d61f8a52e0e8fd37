/* core/domain/lane.c: caps hold, what is free goes around, who waits too long is sent away; then a
 * long random run against a model that only counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "core/domain/lane.h"

static struct uuid id(int n)
{
    struct uuid u = {{0}};
    memcpy(u.b, &n, sizeof n);
    return u;
}

static const struct lane_rules small = {
    .endpoint = 2,
    .failing = 1,
    .merchant = 3,
    .total = 5,
    .waiting = 4,
    .patience_us = 20 * US_PER_S,
    .later_max_us = 10 * US_PER_MIN,
};

static void an_endpoint_has_its_width(void **state)
{
    (void)state;
    struct lanes *l = lanes_new(&small);
    struct lane_place p[7] = {0};
    int64_t later = 0;
    for (int i = 0; i < 6; i++)
        assert_int_equal(lane_enter(l, id(1), id(1), &p[i], 0, &later),
                         i < 2 ? LANE_GO : LANE_WAIT);
    assert_int_equal(lane_enter(l, id(1), id(1), &p[6], 0, &later), LANE_LATER);
    assert_true(later == 20 * US_PER_S);
    assert_false(lane_holds(&p[6]));
    assert_null(lane_next(l));
    lane_leave(l, &p[0], true, 1000);
    assert_ptr_equal(lane_next(l), &p[2]); /* in their order */
    assert_null(lane_next(l));
    lane_leave(l, &p[1], true, 1000);
    assert_ptr_equal(lane_next(l), &p[3]);
    for (int i = 2; i < 6; i++) {
        lane_leave(l, &p[i], true, 1000);
        struct lane_place *next = lane_next(l);
        assert_ptr_equal(next, i < 4 ? &p[i + 2] : NULL);
    }
    assert_int_equal(lanes_in(l), 0);
    assert_int_equal(lanes_waiting(l), 0);
    lanes_free(l);
}

static void one_that_fails_gets_one(void **state)
{
    (void)state;
    struct lanes *l = lanes_new(&small);
    struct lane_place p[2] = {0};
    int64_t later = 0;
    for (int i = 0; i < LANE_FAILURES; i++) {
        assert_int_equal(lane_enter(l, id(1), id(1), &p[0], 0, &later), LANE_GO);
        assert_int_equal(lane_enter(l, id(1), id(1), &p[1], 0, &later), LANE_GO);
        lane_leave(l, &p[1], i > 0, 15 * US_PER_S); /* a success begins anew */
        lane_leave(l, &p[0], false, 15 * US_PER_S);
    }
    for (int i = 0; i < LANE_FAILURES; i++) {
        assert_int_equal(lane_enter(l, id(1), id(1), &p[0], 0, &later), LANE_GO);
        lane_leave(l, &p[0], false, 15 * US_PER_S);
    }
    assert_int_equal(lane_enter(l, id(1), id(1), &p[0], 0, &later), LANE_GO);
    assert_int_equal(lane_enter(l, id(1), id(1), &p[1], 0, &later), LANE_WAIT);
    struct lane_place third = {0};
    assert_int_equal(lane_enter(l, id(1), id(1), &third, 0, &later), LANE_LATER);
    assert_true(later >= 30 * US_PER_S && later <= 31 * US_PER_S); /* two times 15 s */
    lane_leave(l, &p[0], true, 15 * US_PER_S);
    assert_ptr_equal(lane_next(l), &p[1]);
    assert_int_equal(lane_enter(l, id(1), id(1), &p[0], 0, &later), LANE_GO); /* well again */
    lane_leave(l, &p[0], true, 1);
    lane_leave(l, &p[1], true, 1);
    lanes_free(l);
}

static void what_is_free_goes_around(void **state)
{
    (void)state;
    struct lanes *l = lanes_new(&small);
    struct lane_place a[6] = {0}, b[6] = {0}, c[2] = {0};
    int64_t later = 0;
    /* one merchant with three endpoints fills his share, no more */
    for (int i = 0; i < 6; i++)
        assert_int_equal(lane_enter(l, id(1), id(10 + i / 2), &a[i], 0, &later),
                         i < 3 ? LANE_GO : LANE_WAIT);
    for (int i = 0; i < 6; i++)
        assert_int_equal(lane_enter(l, id(2), id(20 + i / 2), &b[i], 0, &later),
                         i < 2 ? LANE_GO : LANE_WAIT);
    for (int i = 0; i < 2; i++)
        assert_int_equal(lane_enter(l, id(3), id(30), &c[i], 0, &later), LANE_WAIT);
    assert_int_equal(lanes_in(l), 5);
    /* each place that comes free goes to the next merchant who has room, not to who asked first */
    struct lane_place *first[4];
    lane_leave(l, &a[0], true, 1);
    first[0] = lane_next(l);
    lane_leave(l, &a[1], true, 1);
    first[1] = lane_next(l);
    lane_leave(l, &b[0], true, 1);
    first[2] = lane_next(l);
    assert_ptr_equal(first[0], &a[3]);
    assert_ptr_equal(first[1], &b[2]);
    assert_ptr_equal(first[2], &c[0]);
    assert_null(lane_next(l));
    struct lane_place *in[16] = {&a[2], &a[3], &b[1], &b[2], &c[0]};
    int n = 5, left = 0;
    while (n > 0) {
        struct lane_place *p;
        lane_leave(l, in[0], true, 1);
        left++;
        memmove(in, in + 1, (size_t)--n * sizeof in[0]);
        while ((p = lane_next(l)) != NULL)
            in[n++] = p;
    }
    assert_int_equal(left, 14 - 3);
    assert_int_equal(lanes_waiting(l), 0);
    lanes_free(l);
}

static void who_waits_too_long_is_sent_away(void **state)
{
    (void)state;
    struct lanes *l = lanes_new(&small);
    struct lane_place p[4] = {0};
    int64_t later = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(lane_enter(l, id(1), id(1), &p[i], i * US_PER_S, &later),
                         i < 2 ? LANE_GO : LANE_WAIT);
    assert_null(lane_expired(l, 22 * US_PER_S - 1, &later));
    assert_ptr_equal(lane_expired(l, 22 * US_PER_S, &later), &p[2]);
    assert_false(lane_holds(&p[2]));
    assert_null(lane_expired(l, 22 * US_PER_S, &later));
    lane_leave(l, &p[0], true, 1);
    assert_ptr_equal(lane_next(l), &p[3]);
    lane_leave(l, &p[1], true, 1);
    lane_leave(l, &p[3], true, 1);
    lanes_free(l);
}

/* Who is where, by counting. */
enum { PLACES = 400, ENDPOINTS = 12, MERCHANTS = 4 };
static void caps_hold_in_any_order(void **state)
{
    (void)state;
    enum { OUT, WAITS, IN } at[PLACES] = {0};
    static struct lane_place p[PLACES];
    int lane_of_place[PLACES] = {0}, in_lane[ENDPOINTS] = {0}, in_share[MERCHANTS] = {0}, in = 0,
        gone = 0;
    struct lanes *l = lanes_new(&small);
    unsigned seed = 12345;
    int64_t now = 0, later;
    memset(p, 0, sizeof p);
    for (int step = 0; step < 200000; step++) {
        seed = seed * 1103515245u + 12345u;
        int i = (int)(seed >> 8) % PLACES, e = (int)(seed >> 20) % ENDPOINTS;
        struct lane_place *woken;
        now += 10000;
        if (at[i] == OUT) {
            lane_of_place[i] = e;
            switch (lane_enter(l, id(e % MERCHANTS), id(e), &p[i], now, &later)) {
            case LANE_GO:
                at[i] = IN;
                break;
            case LANE_WAIT:
                at[i] = WAITS;
                break;
            case LANE_LATER:
                break;
            }
            if (at[i] == IN) {
                in++;
                in_lane[e]++;
                in_share[e % MERCHANTS]++;
            }
        } else if (at[i] == IN) {
            e = lane_of_place[i];
            lane_leave(l, &p[i], (seed & 7) != 0, seed % 1000);
            at[i] = OUT;
            in--;
            in_lane[e]--;
            in_share[e % MERCHANTS]--;
            gone++;
        }
        while ((woken = lane_next(l)) != NULL) {
            int w = (int)(woken - p);
            assert_int_equal(at[w], WAITS);
            at[w] = IN;
            in++;
            in_lane[lane_of_place[w]]++;
            in_share[lane_of_place[w] % MERCHANTS]++;
        }
        while ((woken = lane_expired(l, now, &later)) != NULL) {
            assert_int_equal(at[woken - p], WAITS);
            at[woken - p] = OUT;
        }
        assert_true(in <= small.total && in == lanes_in(l));
        for (int k = 0; k < ENDPOINTS; k++)
            assert_true(in_lane[k] <= small.endpoint && in_share[k % MERCHANTS] <= small.merchant);
    }
    assert_true(gone > 1000);
    for (int i = 0; i < PLACES; i++)
        if (at[i] == IN)
            lane_leave(l, &p[i], true, 1);
    now += small.patience_us;
    while (lane_expired(l, now, &later) != NULL)
        ;
    lanes_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_has_its_width),
        cmocka_unit_test(one_that_fails_gets_one),
        cmocka_unit_test(what_is_free_goes_around),
        cmocka_unit_test(who_waits_too_long_is_sent_away),
        cmocka_unit_test(caps_hold_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
