#ifndef RELI_TEST_REFUND_BENCH_H
#define RELI_TEST_REFUND_BENCH_H

/* One refund on the bench, driven by scripts. A script is a list of events: the event's word, then
 * "#n" for the attempt (default 1) and modifiers (":other", ":usd", ":silent", ":ref=…",
 * ":receipt=…", ":code=…", ":same", ":afresh", ":later", ":again", ":stale"). "@90" sets the time,
 * in seconds since creation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/times.h"
#include "core/domain/refund.h"

#define T0 (INT64_C(1795000000) * US_PER_S)
#define KES CURRENCY('K', 'E', 'S')
#define USD CURRENCY('U', 'S', 'D')
/* The random value at which the jitter is exactly nothing. */
#define NO_JITTER 0x80000000u

struct bench {
    struct refund r;
    struct refund_rules rules;
    struct refund_effects out;
    struct err err;
    int64_t now_us;
    int reserved, refunded; /* times the amount */
};

/* The rails, in order, each by a letter: r reversal, p payout, m manual. */
static inline void rails_of(struct refund_rules *rules, const char *letters)
{
    refund_rules_default(rules);
    rules->n_rails = 0;
    for (; *letters != '\0'; letters++)
        rules->rails[rules->n_rails++] = *letters == 'r'   ? REFUND_RAIL_REVERSAL
                                         : *letters == 'p' ? REFUND_RAIL_PAYOUT
                                                           : REFUND_RAIL_MANUAL;
}

/* "a:" before the rails: it needs an approval; "v:": the provider may take back what he said. */
static inline void bench_init(struct bench *b, const char *rails)
{
    *b = (struct bench){.now_us = T0, .reserved = 1};
    bool approval = rails[0] == 'a', revokes = rails[0] == 'v';
    rails_of(&b->rules, approval || revokes ? rails + 2 : rails);
    b->rules.may_revoke = revokes;
    b->r.amount = (struct money){100000, KES};
    b->r.created_at_us = T0;
    refund_begin(&b->r, approval, &b->out);
}

/* What a step says of money, on the payment's amounts. */
static inline void account(enum refund_money money, int *reserved, int *refunded)
{
    static const int moves[][2] = {
        [REFUND_MONEY_NONE] = {0, 0},    [REFUND_MONEY_RELEASE] = {-1, 0},
        [REFUND_MONEY_SETTLE] = {-1, 1}, [REFUND_MONEY_SETTLE_LATE] = {0, 1},
        [REFUND_MONEY_UNDO] = {0, -1},
    };
    *reserved += moves[money][0];
    *refunded += moves[money][1];
    assert_in_range(*reserved, 0, 1);
    assert_in_range(*refunded, 0, 1);
}

/* One event, with what every step must keep: a step that says "unchanged" or fails changes nothing,
 * and the version grows by one with each notice and never else. */
static inline void bench_step(struct bench *b, const struct refund_event *ev)
{
    struct refund before;
    memcpy(&before, &b->r, sizeof before);
    b->err = refund_step(&b->r, ev, &b->rules, b->now_us, &b->out);
    if (err_is(b->err))
        assert_false(b->out.changed);
    if (!b->out.changed) {
        assert_memory_equal(&before, &b->r, sizeof before);
        assert_int_equal(b->out.notice, REFUND_NOTICE_NONE);
        assert_int_equal(b->out.money, REFUND_MONEY_NONE);
        assert_int_equal(b->out.exception, REFUND_EXCEPTION_NONE);
        assert_int_equal(b->out.next_rail, REFUND_RAIL_NONE);
        assert_int_equal(b->out.ask_attempt, 0);
        assert_null(b->out.action);
    } else {
        assert_int_equal(b->r.updated_at_us, b->now_us);
        assert_non_null(b->out.action);
    }
    assert_int_equal(b->r.version, before.version + (b->out.notice != REFUND_NOTICE_NONE));
    account(b->out.money, &b->reserved, &b->refunded);
}

static inline enum refund_event_kind kind_of(struct str word)
{
    static const char *const words[] = {
#define X(name, word) word,
        REFUND_EVENTS(X)
#undef X
    };
    for (size_t k = 0; k < COUNT_OF(words); k++)
        if (str_eq(word, str_c(words[k])))
            return (enum refund_event_kind)k;
    fail_msg("no such event: %.*s", STR_ARG(word));
    return REFUND_EVENT_TICK;
}

static inline void modify(struct refund_event *ev, struct str word)
{
    if (str_eq(word, STR("other")))
        ev->amount.minor += 1;
    else if (str_eq(word, STR("usd")))
        ev->amount.currency = USD;
    else if (str_eq(word, STR("silent")))
        ev->amount = (struct money){0};
    else if (str_eq(word, STR("same")))
        ev->same_person = true;
    else if (str_eq(word, STR("afresh")))
        ev->afresh = true;
    else if (str_eq(word, STR("later")))
        ev->later = true;
    else if (str_eq(word, STR("again")))
        ev->again = true;
    else if (str_eq(word, STR("stale")))
        ev->sent_at_us--;
    else if (str_starts(word, STR("ref=")))
        ev->provider_ref = str_from(word, 4);
    else if (str_starts(word, STR("receipt=")))
        ev->receipt = str_from(word, 8);
    else if (str_starts(word, STR("code=")))
        ev->provider_code = str_from(word, 5);
    else
        fail_msg("no such modifier: %.*s", STR_ARG(word));
}

static inline struct refund_event event_of(const struct bench *b, struct str token)
{
    struct refund_event ev = {.random = NO_JITTER, .amount = b->r.amount};
    struct str rest = token, word, name;
    (void)str_split(&rest, ':', &word);
    (void)str_split(&word, '#', &name);
    ev.kind = kind_of(name);
    int64_t attempt;
    if (str_to_i64(word, &attempt))
        ev.attempt = (int)attempt;
    else if (ev.kind != REFUND_EVENT_CONFIRM)
        ev.attempt = 1;
    ev.code = FAILURE_DECLINED;
    if (ev.attempt >= 1 && ev.attempt <= b->r.n_attempts)
        ev.sent_at_us = b->r.attempts[ev.attempt - 1].sent_at_us;
    if (ev.kind == REFUND_EVENT_ACCEPTED)
        ev.provider_ref = ev.attempt == 1 ? STR("AG_1") : STR("AG_2");
    while (str_split(&rest, ':', &word))
        modify(&ev, word);
    return ev;
}

/* All but the last event must be accepted; what the last one did is left in `b`. */
static inline void play(struct bench *b, const char *script)
{
    struct str rest = str_c(script), token;
    while (str_split(&rest, ' ', &token)) {
        assert_false(err_is(b->err));
        int64_t seconds;
        if (token.n == 0)
            continue;
        if (token.p[0] == '@') {
            assert_true(str_to_i64(str_from(token, 1), &seconds));
            b->now_us = T0 + seconds * US_PER_S;
        } else {
            struct refund_event ev = event_of(b, token);
            bench_step(b, &ev);
        }
    }
}

#endif
