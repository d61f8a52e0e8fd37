/* Which rows of the payment machine were taken. The machine is compiled in here as it is, so that
 * its own tables and guards tell which row an event is going to take. */
#define payment_step machine_step
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
static void count(struct step *s)
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
    count(&s);
    if (ev->kind == PAYMENT_EVENT_DISPATCH && p->n_attempts < PAYMENT_MAX_ATTEMPTS)
        attempts_taken[0] += payment_row(&s) != NULL;
    return machine_step(p, ev, rules, now_us, out);
}

/* Rows for which the flows have no use yet, and why. */
static const char *closed(const struct payment_row *row)
{
    if (row->on == PAYMENT_EVENT_DISPATCH && in(row->from, PAYMENT_PROCESSING))
        return "no flow makes a second attempt";
    if (row->on == PAYMENT_EVENT_CANNOT_SEND && row->to == PAYMENT_STAY)
        return "said once, when the payment is created";
    if (row->on == PAYMENT_EVENT_NEEDS_CUSTOMER && row->to == PAYMENT_STAY)
        return "said once, when the payment is created";
    if (row->posting == POSTING_UNALLOCATED && row->exception == EXCEPTION_DOUBLE_SUCCESS)
        return "needs a second attempt";
    if (row->on == PAYMENT_EVENT_TICK && in(row->from, PAYMENT_PROCESSING) &&
        row->to == PAYMENT_EXPIRED)
        return "needs a second attempt: the end of the only one ends the payment";
    return NULL;
}

static void print_states(uint32_t set, bool of_attempts)
{
    int n = of_attempts ? (int)ATTEMPT_N_STATES : (int)PAYMENT_N_STATES;
    int width = 0;
    for (int i = 0; i < n; i++)
        if (in(set, i))
            width += printf("%s%s", width > 0 ? "|" : "",
                            of_attempts ? attempt_status_word((enum attempt_status)i)
                                        : payment_status_word((enum payment_status)i));
    printf("%*s", width < 56 ? 56 - width : 1, "");
}

bool cover_print(uint64_t least)
{
    bool good = true;
    printf("rows of the payments' table:\n");
    for (size_t i = 0; i < COUNT_OF(payment_rows); i++) {
        const struct payment_row *row = &payment_rows[i];
        const char *why = closed(row);
        bool few = why == NULL ? payments_taken[i] < least : payments_taken[i] > 0;
        good = good && !few;
        printf("  ");
        print_states(row->from, false);
        printf("%-14s -> %-18s %10llu %s\n", payment_event_word(row->on),
               row->to == PAYMENT_STAY ? "(stays)"
                                       : payment_status_word((enum payment_status)row->to),
               (unsigned long long)payments_taken[i],
               few           ? (why == NULL ? "TOO FEW" : "NOT CLOSED ANY MORE")
               : why != NULL ? why
                             : "");
    }
    printf("rows of the attempts' table:\n");
    for (size_t i = 0; i < COUNT_OF(attempt_rows); i++) {
        const struct attempt_row *row = &attempt_rows[i];
        bool few = attempts_taken[i] < least;
        good = good && !few;
        printf("  ");
        print_states(row->from, true);
        printf("%-14s -> %-18s %10llu %s\n", payment_event_word(row->on),
               attempt_status_word(row->to), (unsigned long long)attempts_taken[i],
               few ? "TOO FEW" : "");
    }
    return good;
}
