/* The life of a payout against two things written down by hand from domain.md 2.4: scripts with
 * their outcome, and the list of every move between two states that may happen. The second is
 * compared with all states that can be reached by any order of any events; on the way money and
 * holds are added up, and nothing may be sent while a request is open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "core/domain/payout.h"

enum { AMOUNT = 5000, REACHED_MAX = 1 << 16 };
#define START_US (1000 * US_PER_DAY)

/* What is in the machine, and what has been done to the merchant's money because of it. */
struct world {
    struct payout p;
    int64_t now_us;
    int held, paid; /* in payouts: 1 while the hold stands; what has left less what came back */
};

static struct payout_rules rules;

static struct payout new_payout(bool approval)
{
    struct payout p = {.amount = {AMOUNT, 0}, .created_at_us = START_US};
    struct payout_effects fx;
    p.amount.currency = currency_parse(STR("KES"));
    payout_begin(&p, approval, &fx);
    assert_true(fx.changed);
    assert_string_equal(fx.notice, "payout.pending");
    return p;
}

/* ---- scripts ---- */

struct script {
    const char *name, *events;
    enum payout_status status;
    enum payout_request request;
    enum payout_money money; /* of the last event, as all below */
    enum payout_exception exception;
    const char *notice;
    enum err_code err;
};

#define S(status, request, money, exception, notice)                                               \
    PAYOUT_##status, PAYOUT_REQUEST_##request, PAYOUT_MONEY_##money, PAYOUT_EXCEPTION_##exception, \
        notice, ERR_NONE
#define SAME(status, request) S(status, request, NONE, NONE, NULL)
#define BAD(status, request, code)                                                             \
    PAYOUT_##status, PAYOUT_REQUEST_##request, PAYOUT_MONEY_NONE, PAYOUT_EXCEPTION_NONE, NULL, \
        ERR_##code

static const struct script scripts[] = {
    {"approved", "A: approve", S(QUEUED, NONE, NONE, NONE, "payout.pending")},
    {"approved by the requester", "A: approve:same", BAD(PENDING_APPROVAL, NONE, FORBIDDEN)},
    {"approved twice", "A: approve approve", SAME(QUEUED, NONE)},
    {"approved after it was rejected", "A: reject approve", BAD(REJECTED, NONE, INVALID_STATE)},
    {"nothing to approve", "cancel approve", BAD(CANCELLED, NONE, INVALID_STATE)},
    {"rejected", "A: reject", S(REJECTED, NONE, RELEASE, NONE, "payout.rejected")},
    {"rejected twice", "A: reject reject", SAME(REJECTED, NONE)},
    {"rejected after the approval", "A: approve reject", BAD(QUEUED, NONE, INVALID_STATE)},
    {"not sent before the approval", "A: dispatch", BAD(PENDING_APPROVAL, NONE, INVALID_STATE)},
    {"cancelled while it waits for approval", "A: cancel",
     S(CANCELLED, NONE, RELEASE, NONE, "payout.cancelled")},
    {"cancelled in the queue", "cancel", S(CANCELLED, NONE, RELEASE, NONE, "payout.cancelled")},
    {"cancelled twice", "cancel cancel", SAME(CANCELLED, NONE)},
    {"cancelled in the park", "dispatch refused:later cancel",
     S(CANCELLED, REFUSED, RELEASE, NONE, "payout.cancelled")},
    {"cancelled after it was sent", "dispatch cancel", BAD(PROCESSING, SENDING, INVALID_STATE)},
    {"cancelled while nobody knows", "dispatch ambiguous cancel",
     BAD(PROCESSING, UNCERTAIN, INVALID_STATE)},
    {"sent after it was cancelled", "cancel dispatch", BAD(CANCELLED, NONE, INVALID_STATE)},
    {"sent", "dispatch", S(PROCESSING, SENDING, NONE, NONE, "payout.processing")},
    {"sent twice", "dispatch dispatch", BAD(PROCESSING, SENDING, INVALID_STATE)},
    {"accepted", "dispatch accepted", SAME(PROCESSING, SUBMITTED)},
    {"completed", "dispatch accepted success",
     S(COMPLETED, PAID, SETTLE, NONE, "payout.completed")},
    {"completed before the answer", "dispatch success",
     S(COMPLETED, PAID, SETTLE, NONE, "payout.completed")},
    {"the answer after the result", "dispatch success accepted", SAME(COMPLETED, PAID)},
    {"the result twice", "dispatch success success", SAME(COMPLETED, PAID)},
    {"failed", "dispatch accepted failure", S(FAILED, UNPAID, RELEASE, NONE, "payout.failed")},
    {"failed twice", "dispatch failure failure", SAME(FAILED, UNPAID)},
    {"failed after it was completed, as a query says", "dispatch success failure",
     SAME(COMPLETED, PAID)},
    {"refused", "dispatch refused", S(FAILED, REFUSED, RELEASE, NONE, "payout.failed")},
    {"refused for now", "dispatch refused:later", S(PARKED, REFUSED, NONE, NONE, "payout.parked")},
    {"not sent from the park", "dispatch refused:later dispatch",
     BAD(PARKED, REFUSED, INVALID_STATE)},
    {"rests in the park", "dispatch refused:later tick", SAME(PARKED, REFUSED)},
    {"leaves the park", "dispatch refused:later +40s tick",
     S(QUEUED, REFUSED, NONE, NONE, "payout.pending")},
    {"sent again", "dispatch refused:later +40s tick dispatch",
     S(PROCESSING, SENDING, NONE, NONE, "payout.processing")},
    {"refused after its lease", "dispatch +61s tick refused",
     S(FAILED, REFUSED, RELEASE, NONE, "payout.failed")},
    {"refused for now after its lease", "dispatch +61s tick refused:later",
     S(PARKED, REFUSED, NONE, NONE, "payout.parked")},
    {"lost answer", "dispatch ambiguous", SAME(PROCESSING, UNCERTAIN)},
    {"lost answer is not sent again", "dispatch ambiguous dispatch",
     BAD(PROCESSING, UNCERTAIN, INVALID_STATE)},
    {"sender died", "dispatch +61s tick", SAME(PROCESSING, UNCERTAIN)},
    {"sender is at work", "dispatch +59s tick", SAME(PROCESSING, SENDING)},
    {"nobody knows", "dispatch ambiguous +15m tick",
     S(IN_RECONCILIATION, UNCERTAIN, NONE, STUCK, "payout.in_reconciliation")},
    {"nobody knows, but not yet", "dispatch ambiguous +14m tick", SAME(PROCESSING, UNCERTAIN)},
    {"reconciled: paid", "dispatch ambiguous +15m tick success",
     S(COMPLETED, PAID, SETTLE, NONE, "payout.completed")},
    {"reconciled: not paid", "dispatch ambiguous +15m tick failure",
     S(FAILED, UNPAID, RELEASE, NONE, "payout.failed")},
    {"reconciled by people: paid", "dispatch ambiguous +15m tick success:vouched",
     S(COMPLETED, PAID, SETTLE, NONE, "payout.completed")},
    {"reconciled by people: not paid", "dispatch ambiguous +15m tick failure:vouched",
     S(FAILED, UNPAID, RELEASE, NONE, "payout.failed")},
    {"people come too late", "dispatch success failure:vouched",
     BAD(COMPLETED, PAID, INVALID_STATE)},
    {"refused while nobody knew", "dispatch +61s tick +15m tick refused:later",
     S(FAILED, REFUSED, RELEASE, NONE, "payout.failed")},
    {"another amount", "dispatch success:amount",
     S(IN_RECONCILIATION, DISPUTED, NONE, INTEGRITY, "payout.in_reconciliation")},
    {"another amount, again", "dispatch success:amount success:amount",
     SAME(IN_RECONCILIATION, DISPUTED)},
    {"another amount, then denied", "dispatch success:amount failure",
     SAME(IN_RECONCILIATION, DISPUTED)},
    {"another amount, then the right one", "dispatch success:amount success",
     SAME(IN_RECONCILIATION, DISPUTED)},
    {"another amount, vouched for", "dispatch success:amount success:vouched",
     S(COMPLETED, PAID, SETTLE, NONE, "payout.completed")},
    {"another amount, denied by people", "dispatch success:amount failure:vouched",
     S(FAILED, UNPAID, RELEASE, NONE, "payout.failed")},
    {"another request's success", "dispatch accepted success:other",
     S(IN_RECONCILIATION, DISPUTED, NONE, INTEGRITY, "payout.in_reconciliation")},
    {"another request's failure", "dispatch accepted failure:other", SAME(PROCESSING, SUBMITTED)},
    {"paid after it had failed", "dispatch failure success",
     S(COMPLETED, PAID, SETTLE_LATE, LATE, "payout.completed")},
    {"another amount after it had failed", "dispatch failure success:amount",
     S(FAILED, UNPAID, NONE, INTEGRITY, NULL)},
    {"paid after it was refused", "dispatch refused success",
     S(COMPLETED, PAID, SETTLE_LATE, LATE, "payout.completed")},
    {"paid after it was refused for now", "dispatch refused:later success",
     S(COMPLETED, PAID, SETTLE, LATE, "payout.completed")},
    {"paid after it was cancelled", "dispatch refused:later cancel success",
     S(COMPLETED, PAID, SETTLE_LATE, LATE, "payout.completed")},
    {"nothing was sent that could be paid", "cancel success", SAME(CANCELLED, NONE)},
    {"the first request was paid", "dispatch refused:later +40s tick dispatch success:first",
     S(COMPLETED, SENDING, SETTLE, LATE, "payout.completed")},
    {"both requests were paid", "dispatch refused:later +40s tick dispatch success:first success",
     S(COMPLETED, SENDING, NONE, TWICE, NULL)},
    {"both were paid, and one came back",
     "dispatch refused:later +40s tick dispatch success return success:first",
     S(RETURNED, UNPAID, NONE, TWICE, NULL)},
    {"the first request was paid another amount",
     "dispatch refused:later +40s tick dispatch success:first+amount",
     S(PROCESSING, SENDING, NONE, INTEGRITY, NULL)},
    {"the first request came back, the second was paid",
     "dispatch refused:later +40s tick dispatch success return:first", SAME(COMPLETED, PAID)},
    {"another one came back", "dispatch accepted success return:other", SAME(COMPLETED, PAID)},
    {"the first request's failure", "dispatch refused:later +40s tick dispatch failure:first",
     SAME(PROCESSING, SENDING)},
    {"the first request's refusal, written again",
     "dispatch refused:later +40s tick dispatch refused:first", SAME(PROCESSING, SENDING)},
    {"the first request's refusal for now, written again",
     "dispatch refused:later +40s tick dispatch refused:old", SAME(PROCESSING, SENDING)},
    {"a refusal of the same request, written again",
     "dispatch refused:later +40s tick dispatch:again refused:old", SAME(PROCESSING, SENDING)},
    {"the answer to the first, written again",
     "dispatch refused:later +40s tick dispatch:again accepted:old", SAME(PROCESSING, SENDING)},
    {"no answer to the first, written again",
     "dispatch refused:later +40s tick dispatch:again ambiguous:old", SAME(PROCESSING, SENDING)},
    {"sent again under its id", "dispatch refused:later +40s tick dispatch:again success",
     S(COMPLETED, PAID, SETTLE, NONE, "payout.completed")},
    {"no such request", "dispatch success:second", BAD(PROCESSING, SENDING, INVALID_STATE)},
    {"another amount than a query's word was about",
     "dispatch accepted success success:amount+receipt", S(COMPLETED, PAID, NONE, INTEGRITY, NULL)},
    {"somebody else's receipt does not hide it",
     "dispatch accepted success success:other+receipt success:amount+receipt",
     S(COMPLETED, PAID, NONE, INTEGRITY, NULL)},
    {"returned", "dispatch success return",
     S(RETURNED, UNPAID, GIVE_BACK, NONE, "payout.returned")},
    {"returned twice", "dispatch success return return", SAME(RETURNED, UNPAID)},
    {"returned before it was completed", "dispatch accepted return",
     S(FAILED, UNPAID, RELEASE, NONE, "payout.failed")},
    {"completed is told after it came back", "dispatch success return success",
     SAME(RETURNED, UNPAID)},
    {"returned after it was paid late", "dispatch failure success return",
     S(RETURNED, UNPAID, GIVE_BACK, NONE, "payout.returned")},
    {"it came back before it was told to be paid",
     "dispatch accepted return:receipt success:receipt", SAME(FAILED, UNPAID)},
    {"nothing to return", "dispatch failure return", SAME(FAILED, UNPAID)},
};

static int64_t duration(struct str word)
{
    int64_t n = 0;
    assert_true(str_to_i64(str_n(word.p + 1, word.n - 2), &n));
    return n * (word.p[word.n - 1] == 'm' ? US_PER_MIN : US_PER_S);
}

static enum payout_event_kind kind_of(struct str word)
{
    static const char *const words[] = {
#define X(name, word) word,
        PAYOUT_EVENTS(X)
#undef X
    };
    for (int i = 0; i < PAYOUT_EVENT_N; i++)
        if (str_eq(word, str_c(words[i])))
            return (enum payout_event_kind)i;
    fail_msg("no event %.*s", STR_ARG(word));
    return PAYOUT_EVENT_TICK;
}

static bool from_provider(enum payout_event_kind kind)
{
    return kind >= PAYOUT_EVENT_ACCEPTED && kind <= PAYOUT_EVENT_RETURN;
}

/* How it is said: words joined by +. */
static bool says(struct str how, const char *word)
{
    struct str one;
    while (str_split(&how, '+', &one))
        if (str_eq(one, str_c(word)))
            return true;
    return false;
}

static struct payout_event event_of(const struct payout *p, struct str word)
{
    struct str kind;
    (void)str_split(&word, ':', &kind);
    struct str how = word.p != NULL ? word : STR("");
    struct payout_event ev = {.kind = kind_of(kind), .random = 1u << 31};
    ev.request = from_provider(ev.kind) ? p->n : 0;
    ev.sent_at_us = p->sent_at_us - says(how, "old");
    if (ev.kind == PAYOUT_EVENT_ACCEPTED)
        ev.provider_ref = STR("theirs");
    ev.same_person = says(how, "same");
    ev.later = says(how, "later");
    ev.again = says(how, "again");
    ev.vouched = says(how, "vouched");
    if (ev.vouched)
        ev.request = 0;
    if (says(how, "amount"))
        ev.amount = (struct money){AMOUNT - 1, p->amount.currency};
    if (says(how, "other"))
        ev.provider_ref = STR("another");
    if (says(how, "receipt"))
        ev.receipt = STR("R1");
    if (says(how, "first"))
        ev.request = 1;
    if (says(how, "second"))
        ev.request = 2;
    return ev;
}

static void play(const struct script *t)
{
    struct str rest = str_c(t->events), word;
    bool approval = str_starts(rest, STR("A: "));
    if (approval)
        rest = str_from(rest, 3);
    struct payout p = new_payout(approval);
    struct payout_effects fx = {0};
    struct err err = ERR_OK;
    int64_t now = START_US;
    while (str_split(&rest, ' ', &word)) {
        if (word.p[0] == '+') {
            now += duration(word);
            continue;
        }
        struct payout before = p;
        struct payout_event ev = event_of(&p, word);
        err = payout_step(&p, &ev, &rules, now, &fx);
        if (err_is(err))
            assert_memory_equal(&before, &p, sizeof p);
        assert_int_equal(p.version, before.version + (fx.notice != NULL));
    }
    assert_int_equal(err.code, t->err);
    assert_int_equal(p.status, t->status);
    assert_int_equal(p.request, t->request);
    assert_int_equal(fx.money, t->money);
    assert_int_equal(fx.exception, t->exception);
    if (t->notice == NULL)
        assert_null(fx.notice);
    else
        assert_string_equal(fx.notice, t->notice);
}

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        print_message("    %s\n", scripts[i].name);
        play(&scripts[i]);
    }
}

/* ---- every order of every event ---- */

static bool may(enum payout_status from, enum payout_status to)
{
    static const struct {
        enum payout_status from, to;
    } moves[] = {
        {PAYOUT_PENDING_APPROVAL, PAYOUT_QUEUED},
        {PAYOUT_PENDING_APPROVAL, PAYOUT_REJECTED},
        {PAYOUT_PENDING_APPROVAL, PAYOUT_CANCELLED},
        {PAYOUT_QUEUED, PAYOUT_CANCELLED},
        {PAYOUT_QUEUED, PAYOUT_PROCESSING},
        {PAYOUT_QUEUED, PAYOUT_COMPLETED},         /* evidence: what was refused has been paid */
        {PAYOUT_QUEUED, PAYOUT_IN_RECONCILIATION}, /* the same, another amount */
        {PAYOUT_PARKED, PAYOUT_QUEUED},
        {PAYOUT_PARKED, PAYOUT_CANCELLED},
        {PAYOUT_PARKED, PAYOUT_COMPLETED},
        {PAYOUT_PARKED, PAYOUT_IN_RECONCILIATION},
        {PAYOUT_PROCESSING, PAYOUT_PARKED},
        {PAYOUT_PROCESSING, PAYOUT_COMPLETED},
        {PAYOUT_PROCESSING, PAYOUT_FAILED},
        {PAYOUT_PROCESSING, PAYOUT_IN_RECONCILIATION},
        {PAYOUT_IN_RECONCILIATION, PAYOUT_COMPLETED},
        {PAYOUT_IN_RECONCILIATION, PAYOUT_FAILED},
        {PAYOUT_FAILED, PAYOUT_COMPLETED},    /* late */
        {PAYOUT_CANCELLED, PAYOUT_COMPLETED}, /* late */
        {PAYOUT_COMPLETED, PAYOUT_RETURNED},
    };
    for (size_t i = 0; i < COUNT_OF(moves); i++)
        if (moves[i].from == from && moves[i].to == to)
            return true;
    return false;
}

static struct world *reached;
static size_t n_reached, n_tried, n_moved;
static bool seen[PAYOUT_N_STATES][PAYOUT_N_STATES];

/* What decides how it goes on; times and texts that do not are left out. */
static bool same_place(const struct world *a, const struct world *b)
{
    const struct payout *p = &a->p, *q = &b->p;
    return p->status == q->status && p->request == q->request && p->n == q->n &&
           p->paid_n == q->paid_n && p->park_n == q->park_n && p->late == q->late &&
           a->held == b->held && a->paid == b->paid &&
           (p->provider_ref[0] != 0) == (q->provider_ref[0] != 0) &&
           (p->receipt[0] != 0) == (q->receipt[0] != 0) &&
           a->now_us - p->sent_at_us == b->now_us - q->sent_at_us;
}

static void visit(const struct world *w)
{
    for (size_t i = 0; i < n_reached; i++)
        if (same_place(&reached[i], w))
            return;
    assert_true(n_reached < REACHED_MAX);
    reached[n_reached++] = *w;
}

static bool is_open(const struct payout *p)
{
    return p->request == PAYOUT_REQUEST_SENDING || p->request == PAYOUT_REQUEST_SUBMITTED ||
           p->request == PAYOUT_REQUEST_UNCERTAIN || p->request == PAYOUT_REQUEST_DISPUTED;
}

static void check_money(const struct world *from, struct world *w, const struct payout_effects *fx)
{
    switch (fx->money) {
    case PAYOUT_MONEY_NONE:
        break;
    case PAYOUT_MONEY_RELEASE:
        w->held--;
        break;
    case PAYOUT_MONEY_SETTLE:
        w->held--;
        w->paid++;
        break;
    case PAYOUT_MONEY_SETTLE_LATE:
        w->paid++;
        break;
    case PAYOUT_MONEY_GIVE_BACK:
        w->paid--;
        break;
    }
    assert_int_equal(w->held, payout_status_held(w->p.status));
    assert_int_equal(w->paid, w->p.status == PAYOUT_COMPLETED);
    assert_int_equal(fx->notice != NULL, w->p.status != from->p.status);
    assert_int_equal(w->p.version, from->p.version + (fx->notice != NULL));
}

static void try_event(const struct world *from, const struct payout_event *ev)
{
    struct world w = *from;
    struct payout_effects fx;
    struct err err = payout_step(&w.p, ev, &rules, w.now_us, &fx);
    n_tried++;
    n_moved += fx.changed;
    if (err_is(err)) {
        assert_memory_equal(&w.p, &from->p, sizeof w.p);
        return;
    }
    if (ev->kind == PAYOUT_EVENT_DISPATCH)
        assert_false(is_open(&from->p));
    bool stale =
        (ev->request != 0 && ev->request != from->p.n) || ev->sent_at_us != from->p.sent_at_us;
    if (stale && ev->kind >= PAYOUT_EVENT_ACCEPTED && ev->kind <= PAYOUT_EVENT_AMBIGUOUS)
        assert_int_equal(w.p.request, from->p.request);
    if (fx.ask)
        assert_true(w.p.provider_ref[0] != 0 && payout_status_held(w.p.status));
    check_money(from, &w, &fx);
    if (w.p.status != from->p.status) {
        assert_true(may(from->p.status, w.p.status));
        seen[from->p.status][w.p.status] = true;
    }
    if (payout_deadline_us(&w.p, &rules) == TIME_NEVER) /* nobody would look at it again */
        assert_true(!payout_status_held(w.p.status) || w.p.status == PAYOUT_PENDING_APPROVAL ||
                    w.p.status == PAYOUT_IN_RECONCILIATION);
    visit(&w);
}

static void try_all(const struct world *from)
{
    static const struct str receipts[] = {{"", 0}, {"R1", 2}};
    for (int kind = 0; kind < PAYOUT_EVENT_N; kind++)
        for (int request = 0; request <= from->p.n; request++)
            for (unsigned bits = 0; bits < 64; bits++) {
                struct payout_event ev = {
                    .kind = (enum payout_event_kind)kind,
                    .request = request,
                    .same_person = bits & 1,
                    .later = bits & 1,
                    .again = bits & 1,
                    .vouched = bits & 2,
                    .receipt = receipts[(bits & 4) != 0],
                    .provider_ref = (bits & 8) != 0    ? STR("one")
                                    : (bits & 16) != 0 ? STR("two")
                                                       : STR(""),
                };
                ev.sent_at_us = from->p.sent_at_us - ((bits & 4) != 0);
                if ((bits & 32) != 0)
                    ev.amount = (struct money){1, from->p.amount.currency};
                if (ev.vouched && kind != PAYOUT_EVENT_SUCCESS && kind != PAYOUT_EVENT_FAILURE)
                    continue;
                try_event(from, &ev);
            }
}

static void test_every_order(void **state)
{
    (void)state;
    static const int64_t waits[] = {61 * US_PER_S, 15 * US_PER_MIN};
    struct payout_rules kept = rules;
    rules.park.n = 1; /* two requests show what any number does */
    reached = calloc(REACHED_MAX, sizeof *reached);
    assert_non_null(reached);
    for (int approval = 0; approval < 2; approval++) {
        struct world w = {.p = new_payout(approval), .now_us = START_US, .held = 1};
        visit(&w);
    }
    for (size_t i = 0; i < n_reached; i++) {
        struct world w = reached[i];
        try_all(&w);
        for (size_t k = 0; k < COUNT_OF(waits); k++) {
            w.now_us = w.p.sent_at_us + waits[k];
            if (w.now_us > reached[i].now_us && w.p.n > 0)
                visit(&w);
        }
    }
    for (int from = 0; from < PAYOUT_N_STATES; from++)
        for (int to = 0; to < PAYOUT_N_STATES; to++)
            if (from != to &&
                seen[from][to] != may((enum payout_status)from, (enum payout_status)to))
                fail_msg("%s to %s", payout_status_word((enum payout_status)from),
                         payout_status_word((enum payout_status)to));
    print_message("payouts: %zu states, %zu transitions, %zu of them moves\n", n_reached, n_tried,
                  n_moved);
    assert_true(n_reached > 100);
    rules = kept;
    free(reached);
}

/* ---- the rest ---- */

static void test_parks_end(void **state)
{
    (void)state;
    struct payout p = new_payout(false);
    struct payout_effects fx;
    int64_t now = START_US;
    int sent = 0;
    while (!payout_status_final(p.status)) {
        struct payout_event dispatch = {.kind = PAYOUT_EVENT_DISPATCH};
        struct payout_event refused = {
            .kind = PAYOUT_EVENT_REFUSED, .later = true, .code = FAILURE_PROVIDER_UNAVAILABLE};
        struct payout_event tick = {.kind = PAYOUT_EVENT_TICK};
        assert_false(err_is(payout_step(&p, &dispatch, &rules, now, &fx)));
        refused.request = p.n;
        refused.sent_at_us = p.sent_at_us;
        assert_false(err_is(payout_step(&p, &refused, &rules, now, &fx)));
        assert_true(++sent <= PAYOUT_MAX_REQUESTS);
        if (p.status == PAYOUT_PARKED) {
            now = payout_deadline_us(&p, &rules);
            assert_false(err_is(payout_step(&p, &tick, &rules, now, &fx)));
            assert_int_equal(p.status, PAYOUT_QUEUED);
        }
    }
    assert_int_equal(p.status, PAYOUT_FAILED);
    assert_int_equal(p.failure, FAILURE_PROVIDER_UNAVAILABLE);
    assert_int_equal(fx.money, PAYOUT_MONEY_RELEASE);
    assert_in_range(now - START_US, 20 * US_PER_HOUR, 32 * US_PER_HOUR);
}

static void test_words(void **state)
{
    (void)state;
    for (int i = 0; i < PAYOUT_N_STATES; i++) {
        enum payout_status s = PAYOUT_N_STATES;
        assert_true(payout_status_parse(str_c(payout_status_word((enum payout_status)i)), &s));
        assert_int_equal(s, i);
        assert_false(payout_status_final(s) && payout_status_held(s));
    }
    for (int i = 0; i < PAYOUT_N_REQUESTS; i++) {
        enum payout_request r = PAYOUT_N_REQUESTS;
        assert_true(payout_request_parse(str_c(payout_request_word((enum payout_request)i)), &r));
        assert_int_equal(r, i);
    }
    enum payout_status s;
    enum payout_request r;
    assert_false(payout_status_parse(STR("paid"), &s));
    assert_false(payout_request_parse(STR("completed"), &r));
}

int main(void)
{
    payout_rules_default(&rules);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_every_order),
        cmocka_unit_test(test_parks_end),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
