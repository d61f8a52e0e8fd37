/* Which rows of the payment machine were taken. The machine is compiled in here as it is, so that
 * its own tables and guards tell which row an event is going to take. */
#define payment_step payment_machine_step
#include "core/domain/payment.c"
#undef payment_step

#include <stdio.h>

#include "test/sim/cover.h"

static uint64_t payments_taken[COUNT_OF(payment_rows)], attempts_taken[COUNT_OF(attempt_rows)];

static void take_payment(const struct payment_row *row)
{
    if (row != NULL)
        payments_taken[row - payment_rows]++;
}

static bool take_attempt(const struct attempt_row *row)
{
    if (row != NULL)
        attempts_taken[row - attempt_rows]++;
    return row != NULL;
}

/* As payment_step will do it. */
static void count_rows(struct step *s)
{
    switch (s->ev->kind) {
    case PAYMENT_EVENT_DISPATCH:
    case PAYMENT_EVENT_CANNOT_SEND:
    case PAYMENT_EVENT_NEEDS_CUSTOMER:
    case PAYMENT_EVENT_CANCEL:
    case PAYMENT_EVENT_CONFIRM:
        take_payment(payment_row(s));
        break;
    case PAYMENT_EVENT_TICK:
        for (int i = 0; i < s->p->n_attempts; i++) {
            s->a = &s->p->attempts[i];
            if (take_attempt(attempt_row(s)))
                return;
        }
        s->a = NULL;
        take_payment(payment_row(s));
        break;
    case PAYMENT_EVENT_REVERSED:
    case PAYMENT_EVENT_RESOLVED_PAID:
    case PAYMENT_EVENT_RESOLVED_UNPAID:
    case PAYMENT_EVENT_MONEY_KEPT:
    case PAYMENT_EVENT_MONEY_RETURNED:
        s->a = payment_attempt(s->p, s->ev->attempt);
        for (int i = 0; i < s->p->n_attempts && s->a == NULL; i++)
            if (in(OPEN, (int)s->p->attempts[i].status))
                s->a = &s->p->attempts[i];
        if (payment_row(s) != NULL) {
            take_payment(payment_row(s));
            (void)(s->a != NULL && take_attempt(attempt_row(s)));
        }
        break;
    case PAYMENT_EVENT_STILL_PENDING: /* whose turn it is, of an attempt that stays as it is */
        s->a = payment_attempt(s->p, s->ev->attempt);
        if (s->a != NULL) {
            (void)take_attempt(attempt_row(s));
            take_payment(payment_row(s));
        }
        break;
    default:
        s->a = payment_attempt(s->p, s->ev->attempt);
        if (s->a != NULL && take_attempt(attempt_row(s)))
            take_payment(payment_row(s));
        break;
    }
}

struct err payment_step(struct payment *p, const struct payment_event *ev,
                        const struct payment_rules *rules, int64_t now_us,
                        struct payment_effects *out)
{
    struct step s = {.p = p, .ev = ev, .rules = rules, .now_us = now_us};
    count_rows(&s);
    if (ev->kind == PAYMENT_EVENT_DISPATCH && p->n_attempts < PAYMENT_MAX_ATTEMPTS)
        attempts_taken[0] += payment_row(&s) != NULL;
    return payment_machine_step(p, ev, rules, now_us, out);
}

/* Rows for which the flows have no use yet, and why. */
static const char *closed(const struct payment_row *row)
{
    if (row->on == PAYMENT_EVENT_CANCEL_ASKED || row->on == PAYMENT_EVENT_CODE_GIVEN ||
        row->guard == withdrawn)
        return "providers here take nothing back and ask for no code";
    if (row->on == PAYMENT_EVENT_CANNOT_SEND && row->to == PAYMENT_STAY)
        return "said once, when the payment is created";
    if (row->on == PAYMENT_EVENT_REVERSED)
        return "no provider's word is taken for that";
    if (row->on == PAYMENT_EVENT_NEEDS_CUSTOMER && row->to == PAYMENT_STAY)
        return "said once, when the payment is created";
    if (row->on == PAYMENT_EVENT_TICK && in(row->from, PAYMENT_PROCESSING) &&
        row->to == PAYMENT_EXPIRED)
        return "the end of an attempt comes with the next one, or ends the payment";
    return NULL;
}

static uint64_t n_good, n_bad, n_open_rows, n_taken_rows;

void cover_note(const char *what, bool good)
{
    n_good += good;
    n_bad += !good;
    if (!good && what != NULL)
        printf("MISSED: %s\n", what);
}

void cover_total(uint64_t *passed, uint64_t *failed)
{
    *passed = n_good;
    *failed = n_bad;
}

void cover_row(const struct cover_row *row, const char *const *words, int n, uint64_t least)
{
    bool few = row->why == NULL && row->taken < least;
    bool open_now = row->why != NULL && row->taken > 0;
    int width = printf("  ");
    for (int i = 0; i < n; i++)
        if (in(row->from, i))
            width += printf("%s%s", width > 2 ? "|" : "", words[i]);
    printf("%*s%-15s -> %-18s %10llu %s\n", width < 58 ? 58 - width : 1, "", row->on,
           row->to == n ? "(stays)" : words[row->to], (unsigned long long)row->taken,
           few                ? "TOO FEW"
           : open_now         ? "NOT CLOSED ANY MORE"
           : row->why != NULL ? row->why
                              : "");
    cover_note(NULL, !few && !open_now);
    n_open_rows += row->why == NULL;
    n_taken_rows += row->why == NULL && row->taken > 0;
}

static void print_payments(uint64_t least)
{
    const char *words[PAYMENT_N_STATES], *attempt_words[ATTEMPT_N_STATES];
    for (int i = 0; i < (int)PAYMENT_N_STATES; i++)
        words[i] = payment_status_word((enum payment_status)i);
    for (int i = 0; i < (int)ATTEMPT_N_STATES; i++)
        attempt_words[i] = attempt_status_word((enum attempt_status)i);
    printf("rows of the payments' table:\n");
    for (size_t i = 0; i < COUNT_OF(payment_rows); i++) {
        const struct payment_row *r = &payment_rows[i];
        struct cover_row row = {r->from, r->to, payment_event_word(r->on), closed(r),
                                payments_taken[i]};
        cover_row(&row, words, PAYMENT_N_STATES, least);
    }
    printf("rows of the attempts' table:\n");
    for (size_t i = 0; i < COUNT_OF(attempt_rows); i++) {
        const struct attempt_row *r = &attempt_rows[i];
        struct cover_row row = {r->from, (int)r->to, payment_event_word(r->on), NULL,
                                attempts_taken[i]};
        cover_row(&row, attempt_words, ATTEMPT_N_STATES, least);
    }
}

void cover_print(uint64_t least)
{
    print_payments(least);
    cover_print_refunds(least);
    cover_print_payouts(least);
    cover_note("nine of ten rows", n_taken_rows * 10 >= n_open_rows * 9);
}
