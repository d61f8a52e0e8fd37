#ifndef RELI_TEST_PAYMENT_BENCH_H
#define RELI_TEST_PAYMENT_BENCH_H

/* One payment on the bench, driven by scripts. A script is a list of events: the event's word, then
 * "#n" for the attempt (default 1) and modifiers (":poll", ":sure", ":other", ":usd", ":silent",
 * ":asks", ":acted", ":route" for a route that is left, ":busy" for a provider's own refusal,
 * ":renames", ":ref=…", ":receipt=…").
 * "@90" sets the time, in seconds since creation; "force:<status>" puts the payment where only
 * later parts of reli can bring it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/times.h"
#include "core/domain/payment.h"

#define T0 (INT64_C(1795000000) * US_PER_S)
#define KES CURRENCY('K', 'E', 'S')
#define USD CURRENCY('U', 'S', 'D')
/* The random value at which the jitter is exactly nothing. */
#define NO_JITTER 0x80000000u

struct bench {
    struct payment p;
    struct payment_rules rules;
    struct payment_effects out;
    struct err err;
    int64_t now_us;
};

static inline void bench_init(struct bench *b, char rules)
{
    *b = (struct bench){.now_us = T0};
    payment_rules_default(&b->rules);
    b->rules.manual = rules == 'm';
    b->rules.not_found_is_final = rules == 'n';
    b->p.amount = (struct money){100000, KES};
    b->p.created_at_us = T0;
    b->p.expires_at_us = T0 + 15 * US_PER_MIN;
    payment_begin(&b->p, &b->out);
}

/* One event, with what every step must keep: a step that says "unchanged" or fails changes nothing,
 * and the version grows by one with each notice and never else. */
static inline void bench_step(struct bench *b, const struct payment_event *ev)
{
    struct payment before;
    memcpy(&before, &b->p, sizeof before);
    b->err = payment_step(&b->p, ev, &b->rules, b->now_us, &b->out);
    if (err_is(b->err))
        assert_false(b->out.changed);
    if (!b->out.changed) {
        static const struct payment_effects nothing;
        assert_memory_equal(&before, &b->p, sizeof before);
        assert_int_equal(b->out.notice, nothing.notice);
        assert_int_equal(b->out.posting, nothing.posting);
        assert_int_equal(b->out.exception, nothing.exception);
        assert_int_equal(b->out.ask_attempt, 0);
        assert_null(b->out.action);
    } else {
        assert_int_equal(b->p.updated_at_us, b->now_us);
        assert_non_null(b->out.action);
    }
    assert_int_equal(b->p.version, before.version + (b->out.notice != NOTICE_NONE));
}

static inline enum payment_event_kind kind_of(struct str word)
{
    for (int k = 0; k < PAYMENT_EVENT_N; k++)
        if (str_eq(word, str_c(payment_event_word((enum payment_event_kind)k))))
            return (enum payment_event_kind)k;
    fail_msg("no such event: %.*s", STR_ARG(word));
    return PAYMENT_EVENT_TICK;
}

static inline void modify(struct payment_event *ev, struct str word)
{
    if (str_eq(word, STR("poll")))
        ev->source = SOURCE_POLL;
    else if (str_eq(word, STR("sure")))
        ev->sure = true;
    else if (str_eq(word, STR("other")))
        ev->amount.minor += 1;
    else if (str_eq(word, STR("usd")))
        ev->amount.currency = USD;
    else if (str_eq(word, STR("asks")))
        ev->asks = true;
    else if (str_eq(word, STR("acted")))
        ev->acted = true;
    else if (str_eq(word, STR("renames")))
        ev->renames = true;
    else if (str_eq(word, STR("route")))
        ev->route_left = true;
    else if (str_eq(word, STR("busy")))
        ev->code = FAILURE_PROVIDER_BUSY;
    else if (str_eq(word, STR("silent")))
        ev->amount = (struct money){0};
    else if (str_starts(word, STR("ref=")))
        ev->provider_ref = str_from(word, 4);
    else if (str_starts(word, STR("receipt=")))
        ev->receipt = str_from(word, 8);
    else if (str_starts(word, STR("code=")))
        ev->provider_code = str_from(word, 5);
    else
        fail_msg("no such modifier: %.*s", STR_ARG(word));
}

static inline struct payment_event event_of(const struct bench *b, struct str token)
{
    struct payment_event ev = {.attempt = 1, .random = NO_JITTER};
    struct str rest = token, word, n;
    (void)str_split(&rest, ':', &word);
    (void)str_split(&word, '#', &n);
    ev.kind = kind_of(n);
    int64_t attempt;
    if (str_to_i64(word, &attempt))
        ev.attempt = (int)attempt;
    if (ev.kind == PAYMENT_EVENT_SUCCESS || ev.kind == PAYMENT_EVENT_FAILURE)
        ev.source = SOURCE_CALLBACK;
    if (ev.kind == PAYMENT_EVENT_CONFIRM)
        ev.source = SOURCE_OPERATOR;
    ev.amount = b->p.amount;
    ev.code = FAILURE_INSUFFICIENT_FUNDS;
    if (ev.kind == PAYMENT_EVENT_ACCEPTED)
        ev.provider_ref = ev.attempt == 1 ? STR("ws_1") : STR("ws_2");
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
        if (token.p[0] == '@') {
            assert_true(str_to_i64(str_from(token, 1), &seconds));
            b->now_us = T0 + seconds * US_PER_S;
        } else if (str_starts(token, STR("force:"))) {
            assert_true(payment_status_parse(str_from(token, 6), &b->p.status));
        } else {
            struct payment_event ev = event_of(b, token);
            bench_step(b, &ev);
        }
    }
}

#endif
