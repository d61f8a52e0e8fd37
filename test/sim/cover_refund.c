/* Which rows of the refund machine were taken: the machine is compiled in here as it is, as in
 * cover.c. */
#define refund_step refund_machine_step
#include "core/domain/refund.c"
#undef refund_step

#include <stdio.h>

#include "test/sim/cover.h"

static uint64_t refunds_taken[COUNT_OF(refund_rows)], rails_taken[COUNT_OF(rail_rows)];

static bool take_refund(const struct refund_row *row)
{
    if (row != NULL)
        refunds_taken[row - refund_rows]++;
    return row != NULL;
}

static bool take_rail(const struct rail_row *row)
{
    if (row != NULL)
        rails_taken[row - rail_rows]++;
    return row != NULL;
}

/* As refund_step will do it. */
static void count_rows(struct step *s)
{
    switch (s->ev->kind) {
    case REFUND_EVENT_APPROVE:
        if (s->ev->same_person && s->r->status == REFUND_PENDING_APPROVAL)
            return;
        take_refund(refund_row(s));
        break;
    case REFUND_EVENT_REJECT:
    case REFUND_EVENT_CANCEL:
    case REFUND_EVENT_DISPATCH:
        take_refund(refund_row(s));
        break;
    case REFUND_EVENT_TICK:
        for (int i = 0; i < s->r->n_attempts; i++) {
            s->a = &s->r->attempts[i];
            if (take_rail(rail_row(s)))
                return;
        }
        s->a = NULL;
        take_refund(refund_row(s));
        break;
    default:
        s->a = s->ev->kind == REFUND_EVENT_CONFIRM ? to_confirm(s)
                                                   : refund_attempt(s->r, s->ev->attempt);
        if (s->a != NULL && take_rail(rail_row(s)))
            take_refund(refund_row(s));
        break;
    }
}

struct err refund_step(struct refund *r, const struct refund_event *ev,
                       const struct refund_rules *rules, int64_t now_us, struct refund_effects *out)
{
    struct step s = {.r = r, .ev = ev, .rules = rules, .now_us = now_us};
    count_rows(&s);
    return refund_machine_step(r, ev, rules, now_us, out);
}

/* Rows for which the flows have no use yet, and why. */
static const char *closed(const struct refund_row *row)
{
    if (row->on == REFUND_EVENT_REVOKE && row->guard == counted)
        return "who may take a refund back has no other rail that could have paid as well";
    if (row->on == REFUND_EVENT_CONFIRM && row->from == IN(FAILED))
        return "what has failed has no open task";
    if (row->guard == rails_used_up)
        return "an operator is always the last rail";
    return NULL;
}

void cover_print_refunds(uint64_t least)
{
    static const char *const events[] = {
#define X(name, word) [REFUND_EVENT_##name] = word,
        REFUND_EVENTS(X)
#undef X
    };
    const char *words[REFUND_N_STATES], *rail_words[RAIL_N_STATES];
    for (int i = 0; i < (int)REFUND_N_STATES; i++)
        words[i] = refund_status_word((enum refund_status)i);
    for (int i = 0; i < (int)RAIL_N_STATES; i++)
        rail_words[i] = rail_status_word((enum rail_status)i);
    printf("rows of the refunds' table:\n");
    for (size_t i = 0; i < COUNT_OF(refund_rows); i++) {
        const struct refund_row *r = &refund_rows[i];
        struct cover_row row = {r->from, r->to, events[r->on], closed(r), refunds_taken[i]};
        cover_row(&row, words, REFUND_N_STATES, least);
    }
    printf("rows of the rails' table:\n");
    for (size_t i = 0; i < COUNT_OF(rail_rows); i++) {
        const struct rail_row *r = &rail_rows[i];
        struct cover_row row = {r->from, (int)r->to, events[r->on], NULL, rails_taken[i]};
        cover_row(&row, rail_words, RAIL_N_STATES, least);
    }
}
