/* What a gateway hears: each recorded shape for what it means, whatever status, address of memory
 * or lack of it; and codes, amounts and ids that have been changed for what they are now. */
#include "core/codec/json.h"
#include "test/conform/conform.h"

#define EACH_SHAPE(s, r)                                                                  \
    for (const struct wire_shape *s = (r)->fx->shapes; s != NULL && s->name != NULL; s++) \
        if (op_there((r)->gw, s->op) && s->op != WIRE_TOKEN)

static bool text_is(struct str s, const char *want)
{
    return str_eq(s, want != NULL ? str_c(want) : STR(""));
}

static const char *verdict_of(const struct said *said)
{
    return err_is(said->err) ? "not ours" : verdict_word(said->r.verdict);
}

/* ---- the recorded shapes ---- */

static bool same_dispute(const struct gw_dispute *a, const struct gw_dispute *b)
{
    return str_eq(a->id, b->id) && a->state == b->state && str_eq(a->status, b->status) &&
           str_eq(a->reason, b->reason) && a->amount.minor == b->amount.minor &&
           a->amount.currency == b->amount.currency && a->due_us == b->due_us;
}

/* NULL if it is what the document says. */
static const char *misheard(const struct wire_shape *s, const struct said *said)
{
    const struct gw_result *r = &said->r;
    const struct meaning *m = &s->means;
    if (err_is(said->err) || m->not_ours)
        return said->err.code == (m->not_ours ? ERR_PARSE : ERR_NONE) ? NULL : "whose it is";
    if (r->verdict != m->verdict)
        return "the verdict";
    if (!text_is(r->receipt, m->receipt))
        return "the receipt";
    if (r->amount.minor != m->amount.minor || r->amount.currency != m->amount.currency)
        return "the amount";
    if (r->verdict == GW_UNKNOWN)
        return r->why != NULL ? NULL : "why";
    if (r->code != m->code)
        return "the failure's code";
    if (r->sure != m->sure)
        return "how sure it is";
    if (r->retry_later != m->retry_later)
        return "retry_later";
    if (!same_dispute(&r->dispute, &m->dispute))
        return "the dispute";
    if (!same_balances(r->balances, m->balances))
        return "the balance";
    if (r->acted != m->acted)
        return "whose turn it is";
    if (!text_is(r->provider_ref, m->provider_ref))
        return "the reference";
    if (!text_is(r->our_id, m->our_id))
        return "our id";
    if (!text_is(r->phone, m->phone))
        return "the phone number";
    if (m->action != NULL ? str_find_str(r->next_action, str_c(m->action)) == SIZE_MAX
                          : r->next_action.n > 0)
        return "the next action";
    return NULL;
}

static void answers_mean_what_is_documented(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        struct ask ask = ask_of(s, wire_of(r, s)->body);
        struct said said;
        hear(r, s, &ask, &said);
        const char *what = misheard(s, &said);
        run_case(r, what == NULL, "%s, \"%s\": %s is another (%s)", op_word(s->op), s->name, what,
                 verdict_of(&said));
        said_free(&said);
    }
}

static bool same_result(const struct gw_result *a, const struct gw_result *b)
{
    return a->verdict == b->verdict && a->sure == b->sure && a->retry_later == b->retry_later &&
           a->acted == b->acted && a->code == b->code && same_dispute(&a->dispute, &b->dispute) &&
           str_eq(a->provider_code, b->provider_code) && str_eq(a->message, b->message) &&
           str_eq(a->provider_ref, b->provider_ref) && str_eq(a->our_id, b->our_id) &&
           str_eq(a->receipt, b->receipt) && str_eq(a->next_action, b->next_action) &&
           str_eq(a->phone, b->phone) && a->amount.minor == b->amount.minor &&
           a->amount.currency == b->amount.currency;
}

/* The same again, in the reverse order of shapes, so that nothing is kept between two calls. */
static void hearing_is_pure(struct run *r)
{
    static struct said first[256];
    const struct wire_shape *shapes[256];
    size_t n = 0;
    EACH_SHAPE(s, r)
    {
        struct ask ask = ask_of(s, wire_of(r, s)->body);
        ASSERT(n < COUNT_OF(first));
        shapes[n] = s;
        hear(r, s, &ask, &first[n++]);
    }
    for (size_t i = n; i-- > 0;) {
        struct ask ask = ask_of(shapes[i], wire_of(r, shapes[i])->body);
        struct said again;
        hear(r, shapes[i], &ask, &again);
        run_case(r, again.err.code == first[i].err.code && same_result(&again.r, &first[i].r),
                 "%s, \"%s\": another result the second time", op_word(shapes[i]->op),
                 shapes[i]->name);
        said_free(&again);
    }
    for (size_t i = 0; i < n; i++)
        said_free(&first[i]);
}

/* ---- statuses and the network ---- */

/* What a shape may mean with a status that it does not come with. */
static const char *status_fault(const struct run *r, const struct wire_shape *s, int status,
                                const struct said *said)
{
    enum gw_verdict v = said->r.verdict;
    bool same_class = status / 100 == s->status / 100;
    bool refusal = v == GW_REFUSED || v == GW_TOKEN_REJECTED;
    if (says_nothing(s, said))
        return NULL;
    if (status == s->status)
        return claims_too_much(s, said);
    if (!refusal && v != GW_PENDING)
        return same_class ? claims_too_much(s, said) : "an end, or the begin of one";
    if (refusal && r->fx->codes_outrank_status && v == s->means.verdict)
        return NULL;
    if (refusal && status / 100 == 4 && status != 408)
        return s->means.verdict == v || (s->status >= 400 && s->otherwise == v) ||
                       r->fx->client_error_refuses
                   ? NULL
                   : "a refusal";
    return refusal && same_class && v == s->means.verdict ? NULL : "a refusal";
}

static void status_decides(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        if (op_is_callback(s->op))
            continue;
        struct str body = wire_of(r, s)->body;
        for (int status = 100; status < 600; status++) {
            struct ask ask = ask_of(s, body);
            struct said said;
            ask.status = status;
            hear(r, s, &ask, &said);
            const char *what = status_fault(r, s, status, &said);
            run_case(r, what == NULL, "%s, \"%s\" with status %d is %s: %s", op_word(s->op),
                     s->name, status, verdict_of(&said), what);
            said_free(&said);
        }
    }
}

/* What was not sent has not happened and may be tried later; what is half known is unknown, even if
 * all of a success seems to be there. */
static void network_is_not_an_answer(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        if (op_is_callback(s->op))
            continue;
        for (int i = 0; i < 4; i++) {
            bool sent = i % 2 == 0;
            struct ask ask = ask_of(s, i < 2 ? wire_of(r, s)->body : STR_NULL);
            struct said said;
            ask.outcome = sent ? OUTBOUND_UNKNOWN : OUTBOUND_NOT_SENT;
            ask.status = i < 2 ? s->status : 0;
            hear(r, s, &ask, &said);
            bool ok = said.r.verdict == GW_UNKNOWN && said.r.why != NULL;
            if (!sent && (op_is_order(s->op) || op_is_act(s->op)))
                ok = said.r.verdict == GW_REFUSED && said.r.retry_later;
            run_case(r, ok, "%s, \"%s\": %s is %s", op_word(s->op), s->name,
                     sent ? "half an exchange" : "what was never sent", verdict_of(&said));
            said_free(&said);
        }
    }
}

/* ---- changed values ---- */

/* Never success; and not an end either, unless it was one before, or the document says so. */
static bool code_case_ok(const struct wire_shape *s, const struct said *said)
{
    enum gw_verdict v = said->r.verdict;
    if (says_nothing(s, said) || (s->otherwise != 0 && v == s->otherwise))
        return true;
    return v == s->means.verdict && (v == GW_FAILED || v == GW_REFUSED);
}

static void unknown_code_is_never_success(struct run *r)
{
    static const char *const codes[] = {
        "\"\"",   "\"zzz\"", "\"00\"",  "\"-0\"",      "\"0x0\"",    "\" 0\"",        "\"0 \"",
        "\"+0\"", "\"0.0\"", "\"777\"", "\"success\"", "\"ok\"",     "\"SUCCEEDED\"", "\"200\"",
        "777",    "-777",    "0.5",     "1e9",         "\"\\u0660\""};
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t m = 0; m < w->n_code; m++) {
            for (size_t i = 0; i < COUNT_OF(codes); i++) {
                struct ask ask =
                    ask_of(s, wire_with(&r->mem, w->body, w->code[m], str_c(codes[i])));
                struct said said;
                hear(r, s, &ask, &said);
                run_case(r, code_case_ok(s, &said), "%s, \"%s\" with code %s is %s", op_word(s->op),
                         s->name, codes[i], verdict_of(&said));
                said_free(&said);
            }
        }
    }
}

/* Amounts as the provider would write them, and what they are in the minor unit; -1: nothing. */
struct altered {
    const char *text;
    int64_t minor;
};

static void amount_case(struct run *r, const struct wire_shape *s, struct str body,
                        const struct altered *a)
{
    struct ask ask = ask_of(s, body);
    struct said said;
    hear(r, s, &ask, &said);
    bool paid = !err_is(said.err) && said.r.verdict == GW_SUCCEEDED;
    run_case(r,
             paid ? a->minor > 0 && said.r.amount.minor == a->minor &&
                        said.r.amount.currency == s->means.amount.currency
                  : claims_too_much(s, &said) == NULL,
             "%s, \"%s\": %s is %s of %lld", op_word(s->op), s->name, a->text, verdict_of(&said),
             (long long)said.r.amount.minor);
    said_free(&said);
}

/* Is reported as it is, so that the core sees the difference. Written as it was: with or without
 * quotes. */
static void altered_amount_is_reported(struct run *r)
{
    static const struct altered minors[] = {
        {"1", 1},    {"2", 2},    {"49999", 49999}, {"100000000", 100000000},
        {"0", -1},   {"-1", -1},  {"-150000", -1},  {"99999999999999999", -1},
        {"1.5", -1}, {"1e5", -1}, {"0.1", -1},
    };
    static const struct altered majors[] = {
        {"1", 100},
        {"1.0", 100},
        {"2.00", 200},
        {"1249.99", 124999},
        {"1250.01", 125001},
        {"125000", 12500000},
        {"12.5", 1250},
        {"1000000", 100000000},
        {"0", -1},
        {"0.00", -1},
        {"-1250", -1},
        {"-1250.00", -1},
        {"99999999999999999999", -1},
        {"1250.001", -1},
    };
    const struct altered *list = r->fx->minor_units ? minors : majors;
    size_t n = r->fx->minor_units ? COUNT_OF(minors) : COUNT_OF(majors);
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t m = 0; m < w->n_amount; m++) {
            bool quoted = w->body.p[w->amount[m].from] == '"';
            for (size_t i = 0; i < n; i++) {
                struct str text = arena_fmt(&r->mem, quoted ? "\"%s\"" : "%s", list[i].text);
                amount_case(r, s, wire_with(&r->mem, w->body, w->amount[m], text), &list[i]);
            }
        }
    }
}

/* Another id is never taken for the one that was expected. */
static void another_id_is_reported(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        const struct wire *w = wire_of(r, s);
        for (size_t m = 0; m < w->n_id; m++) {
            struct span at = w->id[m];
            struct str id = arena_dup(&r->mem, str_n(w->body.p + at.from, at.to - at.from));
            char *last = (char *)(uintptr_t)(id.p + id.n - 2);
            *last = *last == '1' ? '2' : '1';
            struct ask ask = ask_of(s, wire_with(&r->mem, w->body, at, id));
            struct said said;
            hear(r, s, &ask, &said);
            struct str bare = str_n(id.p + 1, id.n - 2);
            bool told = str_eq(said.r.provider_ref, bare) || str_eq(said.r.our_id, bare) ||
                        str_eq(said.r.dispute.id, bare);
            bool ok = says_nothing(s, &said) || told || said.r.verdict == GW_REFUSED ||
                      (s->otherwise != 0 && said.r.verdict == s->otherwise);
            run_case(r, ok, "%s, \"%s\": %s is not reported", op_word(s->op), s->name, id.p);
            said_free(&said);
        }
    }
}

/* ---- lack of memory ---- */

/* A result without the strings that prove it would be believed or lost. */
static void small_arena_claims_nothing(struct run *r)
{
    EACH_SHAPE(s, r)
    {
        struct str body = wire_of(r, s)->body;
        for (size_t limit = 0; limit <= 768; limit += 16) {
            struct ask ask = ask_of(s, body);
            struct said said;
            ask.arena_limit = limit;
            hear(r, s, &ask, &said);
            const char *what = claims_too_much(s, &said);
            run_case(r, what == NULL, "%s, \"%s\" with %zu bytes is %s: %s", op_word(s->op),
                     s->name, limit, verdict_of(&said), what);
            said_free(&said);
        }
    }
}

const struct check answer_checks[] = {
    {"answers_mean_what_is_documented", answers_mean_what_is_documented},
    {"hearing_is_pure", hearing_is_pure},
    {"status_decides", status_decides},
    {"network_is_not_an_answer", network_is_not_an_answer},
    {"unknown_code_is_never_success", unknown_code_is_never_success},
    {"altered_amount_is_reported", altered_amount_is_reported},
    {"another_id_is_reported", another_id_is_reported},
    {"small_arena_claims_nothing", small_arena_claims_nothing},
    {NULL, NULL},
};
