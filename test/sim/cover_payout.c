/* Which rows of the payout machine were taken: the machine is compiled in here as it is, as in
 * cover.c. */
#define payout_step payout_machine_step
#include "core/domain/payout.c"
#undef payout_step

#include <stdio.h>

#include "test/sim/cover.h"

static uint64_t payouts_taken[COUNT_OF(rows)];

/* As payout_step will do it. */
static void count_row(const struct step *s)
{
    const struct row *row = find_row(s);
    if (row == NULL ||
        (s->ev->kind == PAYOUT_EVENT_APPROVE && row->to != PAYOUT_STAY && s->ev->same_person))
        return;
    payouts_taken[row - rows]++;
}

struct err payout_step(struct payout *p, const struct payout_event *ev,
                       const struct payout_rules *rules, int64_t now_us, struct payout_effects *out)
{
    struct step s = {p, ev, rules, now_us, out};
    if (ev->request >= 0 && ev->request <= p->n)
        count_row(&s);
    return payout_machine_step(p, ev, rules, now_us, out);
}

void cover_print_payouts(uint64_t least)
{
    static const char *const events[] = {
#define X(name, word) [PAYOUT_EVENT_##name] = word,
        PAYOUT_EVENTS(X)
#undef X
    };
    const char *words[PAYOUT_N_STATES];
    for (int i = 0; i < (int)PAYOUT_N_STATES; i++)
        words[i] = payout_status_word((enum payout_status)i);
    printf("rows of the payouts' table:\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct cover_row row = {r->from, r->to, events[r->on], NULL, payouts_taken[i]};
        cover_row(&row, words, PAYOUT_N_STATES, least);
    }
}
