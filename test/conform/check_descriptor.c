/* What a gateway says of itself: in its descriptor, in its document, in the README; and whether its
 * fixture has enough to check it by. */
#include <fcntl.h>
#include <unistd.h>

#include "test/conform/conform.h"

enum { FILE_MAX = 1024 * 1024 };

/* ---- the descriptor ---- */

static bool is_name(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!(s[i] >= 'a' && s[i] <= 'z') && !ascii_is_digit(s[i]) && s[i] != '_' && s[i] != '-')
            return false;
    return n > 0 && n <= 32;
}

/* Every word of a list by commas, each once. */
static void words_check(struct run *r, const char *list, const char *what, bool (*good)(struct str))
{
    struct str rest = str_c(list), word;
    size_t n = 0;
    while (rest.n > 0 && str_split(&rest, ',', &word)) {
        struct str again = str_c(list), other;
        size_t same = 0;
        while (str_split(&again, ',', &other))
            same += str_eq(word, other);
        run_case(r, good(word) && same == 1, "%s \"%s\" has a bad or repeated word", what, list);
        n++;
    }
    run_case(r, n > 0 || list[0] == '\0', "%s is an empty list of something", what);
}

static bool good_method(struct str s)
{
    char c[40];
    return is_name(str_copy_c(c, sizeof c, s));
}

static bool good_currency(struct str s)
{
    return currency_parse(s) != 0;
}

static bool good_country(struct str s)
{
    return s.n == 2 && s.p[0] >= 'A' && s.p[0] <= 'Z' && s.p[1] >= 'A' && s.p[1] <= 'Z';
}

static void names_sane(struct run *r)
{
    const struct gateway *g = r->gw;
    run_case(r, is_name(g->name), "the name is not lower-case letters and digits");
    run_case(r, g->title != NULL && g->title[0] != '\0', "no title");
    run_case(r, g->methods != NULL && g->methods[0] != '\0', "no method");
    words_check(r, g->methods, "methods", good_method);
    words_check(r, g->currencies, "currencies", good_currency);
    words_check(r, g->countries, "countries", good_country);
    run_case(r, g->action != NULL && is_name(g->action), "no action");
    /* Methods may be shared, and routes choose; a gateway's own, the first, is its alone. */
    struct str rest = str_c(g->methods), own;
    (void)str_split(&rest, ',', &own);
    for (size_t i = 0; gateways[i] != NULL; i++)
        run_case(r, gateways[i] == g || !gateway_lists(gateways[i]->methods, own),
                 "method %.*s belongs to %s as well", STR_ARG(own), gateways[i]->name);
}

static void settings_sane(struct run *r)
{
    const struct gateway *g = r->gw;
    size_t n = g->env_prefix != NULL ? strlen(g->env_prefix) : 0;
    run_case(r, g->n_settings <= GW_MAX_SETTINGS, "more settings than an account holds");
    run_case(r, g->n_settings == 0 || (n > 1 && g->env_prefix[n - 1] == '_'),
             "settings without a prefix that ends in _");
    for (size_t i = 0; i < n; i++)
        run_case(r,
                 g->env_prefix[i] == '_' || ascii_is_digit(g->env_prefix[i]) ||
                     ascii_upper(g->env_prefix[i]) == g->env_prefix[i],
                 "the prefix is not upper case");
    for (size_t i = 0; i < g->n_settings; i++) {
        run_case(r, is_name(g->settings[i].name), "setting %s", g->settings[i].name);
        for (size_t k = 0; k < i; k++)
            run_case(r, strcmp(g->settings[i].name, g->settings[k].name) != 0,
                     "setting %s is there twice", g->settings[i].name);
    }
}

static void functions_sane(struct run *r)
{
    const struct gateway *g = r->gw;
    bool refunds = g->refund_build != NULL, asks = g->refund_query_build != NULL;
    bool other_rails = false;
    for (int i = 0; i < g->n_refund_rails; i++)
        other_rails |= g->refund_rails[i] != REFUND_RAIL_PAYOUT;
    run_case(r, (g->charge_build != NULL) == (g->charge_parse != NULL), "half a charge");
    run_case(r, (g->query_build != NULL) == (g->query_parse != NULL), "half a query");
    run_case(r, (g->confirm_build != NULL) == (g->confirm_parse != NULL), "half a confirm");
    run_case(r, (g->cancel_build != NULL) == (g->cancel_parse != NULL), "half a cancel");
    run_case(r, (g->token_build != NULL) == (g->token_parse != NULL), "half a token");
    run_case(r, refunds == (g->refund_parse != NULL), "half a refund");
    run_case(r, asks == (g->refund_query_parse != NULL), "half a refund query");
    run_case(r, refunds == other_rails, "rails without refunds, or the reverse");
    run_case(r, g->manual == (g->charge_build == NULL), "neither manual nor able to charge");
    run_case(r, (g->balance_build != NULL) == (g->balance_parse != NULL), "half a balance");
    run_case(r, g->balance_callback_parse == NULL || g->balance_build != NULL,
             "balances that nobody has asked for");
    run_case(r, (g->webhook_verify == NULL) == (g->webhook_subject == NULL), "half a webhook");
    run_case(r, (g->webhook_verify == NULL) == (g->signature_header == NULL),
             "a signature without a header, or the reverse");
    run_case(r, g->webhook_verify == NULL || g->callback_parse != NULL, "webhooks for nobody");
    run_case(r, g->webhook_about == NULL || (g->webhook_subject != NULL && g->query_build != NULL),
             "webhooks that nobody can ask about");
    run_case(r, g->callback_parse == NULL || (g->callback_ack != NULL && g->callback_ack_type),
             "callbacks without thanks");
    run_case(r, g->manual || g->redact != NULL, "bodies are stored as they are");
    run_case(r, !g->our_id_is_ref || g->query_build != NULL, "nothing to ask by our id with");
    run_case(r, (g->token_methods == NULL) == (g->token_ref == NULL), "half a token of a method");
    run_case(r, g->token_methods == NULL || g->our_id_is_ref, "tokens, and nothing to ask with");
    run_case(r, g->our_id_rails == 0 || asks, "no refund to ask for by our id");
    for (int i = 0; i < g->n_refund_rails; i++) {
        run_case(r,
                 g->refund_rails[i] > REFUND_RAIL_NONE && g->refund_rails[i] < REFUND_RAIL_MANUAL,
                 "rail %d", i);
        for (int k = 0; k < i; k++)
            run_case(r, g->refund_rails[i] != g->refund_rails[k], "a rail twice");
    }
    for (unsigned rail = 0; rail < REFUND_RAIL_N; rail++) {
        bool listed = false;
        for (int i = 0; i < g->n_refund_rails; i++)
            listed |= (unsigned)g->refund_rails[i] == rail;
        run_case(r, listed || (g->our_id_rails & 1u << rail) == 0, "our_id_rails has another rail");
    }
}

static void payouts_sane(struct run *r)
{
    const struct gateway *g = r->gw;
    bool payouts = g->payout_build != NULL, asks = g->payout_query_build != NULL;
    run_case(r, payouts == (g->payout_parse != NULL), "half a payout");
    run_case(r, asks == (g->payout_query_parse != NULL), "half a payout query");
    run_case(r, payouts || (!asks && g->payout_callback_parse == NULL),
             "a word on payouts that nobody makes");
    run_case(r, !payouts || asks || g->payout_callback_parse != NULL,
             "payouts of which nobody ever hears");
    run_case(r, !g->payout_our_id_is_ref || asks, "no payout to ask for by our id");
    run_case(r, payouts || (!g->payout_may_resend && !g->payout_our_id_is_ref),
             "something is said of payouts that are not there");
    run_case(r, payouts || (g->payout_min_minor == 0 && g->payout_max_minor == 0),
             "limits of payouts that are not there");
    run_case(r, g->payout_min_minor >= 0 && g->payout_max_minor >= 0, "a payout below zero");
    run_case(r, g->payout_max_minor == 0 || g->payout_min_minor <= g->payout_max_minor,
             "limits of payouts the wrong way round");
    run_case(r, g->payout_max_minor <= MONEY_MAX, "a larger payout than reli takes");
    for (int i = 0; i < g->n_refund_rails; i++)
        run_case(r, g->refund_rails[i] != REFUND_RAIL_PAYOUT || payouts,
                 "refunds over payouts that are not there");
    run_case(r, (g->our_id_rails & 1u << REFUND_RAIL_PAYOUT) == 0,
             "our_id_rails speaks of payouts: payout_our_id_is_ref does");
}

static void limits_sane(struct run *r)
{
    const struct gateway *g = r->gw;
    struct str base = str_c(g->default_base_url);
    run_case(r, g->min_minor >= 0 && g->max_minor >= 0, "a limit below zero");
    run_case(r, g->max_minor == 0 || g->min_minor <= g->max_minor, "limits the wrong way round");
    run_case(r, g->max_minor <= MONEY_MAX, "more than reli takes");
    run_case(r, g->expiry_us > 0, "no default expiry");
    run_case(r, g->prompt_window_us >= 0 && g->prompt_window_us <= g->expiry_us,
             "the prompt outlives the payment");
    run_case(r, g->default_base_url != NULL, "no base address");
    run_case(r, g->manual || (str_starts(base, STR("https://")) && !str_ends(base, STR("/"))),
             "the default address is not https without a slash at the end");
}

static void descriptor_is_sane(struct run *r)
{
    names_sane(r);
    settings_sane(r);
    functions_sane(r);
    payouts_sane(r);
    limits_sane(r);
}

/* ---- against the fixture, which is written from the document ---- */

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static void descriptor_agrees_with_fixture(struct run *r)
{
    const struct gateway *g = r->gw, *can = &r->fx->can;
    run_case(r, same_text(g->methods, can->methods), "methods: %s", g->methods);
    run_case(r, same_text(g->currencies, can->currencies), "currencies: %s", g->currencies);
    run_case(r, same_text(g->countries, can->countries), "countries: %s", g->countries);
    run_case(r, g->min_minor == can->min_minor, "the least amount");
    run_case(r, g->max_minor == can->max_minor, "the largest amount");
    run_case(r, g->needs_phone == can->needs_phone, "needs_phone");
    run_case(r, g->whole_units == can->whole_units, "whole_units");
    run_case(r, g->not_found_is_final == can->not_found_is_final, "not_found_is_final");
    run_case(r, g->may_resend == can->may_resend, "may_resend");
    run_case(r, g->may_revoke == can->may_revoke, "may_revoke");
    run_case(r, g->our_id_is_ref == can->our_id_is_ref, "our_id_is_ref");
    run_case(r, same_text(g->token_methods, can->token_methods), "token_methods");
    run_case(r, same_text(g->token_ref, can->token_ref), "token_ref");
    run_case(r, g->our_id_rails == can->our_id_rails, "our_id_rails");
    run_case(r, g->payout_min_minor == can->payout_min_minor, "the least payout");
    run_case(r, g->payout_max_minor == can->payout_max_minor, "the largest payout");
    run_case(r, g->payout_may_resend == can->payout_may_resend, "payout_may_resend");
    run_case(r, g->payout_our_id_is_ref == can->payout_our_id_is_ref, "payout_our_id_is_ref");
    run_case(r, g->asked_by_operator == can->asked_by_operator, "asked_by_operator");
    run_case(r, g->n_refund_rails == can->n_refund_rails, "the number of rails");
    for (int i = 0; i < g->n_refund_rails; i++)
        run_case(r, g->refund_rails[i] == can->refund_rails[i], "rail %d", i);
    run_case(r, same_text(g->signature_header, can->signature_header), "the signature's header");
    run_case(r, same_text(g->timestamp_header, can->timestamp_header), "the time's header");
}

/* ---- documents ---- */

static struct str file_read(struct run *r, const char *path)
{
    char *text = arena_alloc(&r->mem, FILE_MAX);
    ASSERT(text != NULL);
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STR_NULL;
    for (ssize_t got; n < FILE_MAX && (got = read(fd, text + n, FILE_MAX - n)) > 0;)
        n += (size_t)got;
    close(fd);
    return str_n(text, n);
}

static bool has(struct str text, const char *word)
{
    return str_find_str(text, str_c(word)) != SIZE_MAX;
}

/* The document names methods and every variable; the README those without which nothing goes. */
static void is_documented(struct run *r)
{
    const struct gateway *g = r->gw;
    char path[128], name[128];
    (void)snprintf(path, sizeof path, "gateways/%s.md", g->name);
    struct str document = file_read(r, r->fx->document != NULL ? r->fx->document : path);
    struct str readme = file_read(r, r->fx->readme != NULL ? r->fx->readme : "README.md");
    run_case(r, document.n > 0, "there is no %s", path);
    run_case(r, readme.n > 0, "there is no README.md");
    struct str rest = str_c(g->methods), method;
    while (str_split(&rest, ',', &method)) {
        (void)snprintf(name, sizeof name, "`%.*s`", STR_ARG(method));
        run_case(r, has(document, name), "the document does not name method %s", name);
    }
    for (size_t i = 0; i < g->n_settings; i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "%s%s", g->env_prefix, g->settings[i].name);
        for (size_t k = 0; k < n; k++)
            name[k] = ascii_upper(name[k]);
        run_case(r, has(document, name), "the document does not name %s", name);
        run_case(r, !g->settings[i].required || has(readme, name), "the README does not name %s",
                 name);
    }
}

/* ---- the fixture ---- */

static size_t count(const struct fixture *fx, enum wire_op op, enum gw_verdict v)
{
    size_t n = 0;
    for (const struct wire_shape *s = fx->shapes; s != NULL && s->name != NULL; s++)
        n += s->op == op && !s->means.not_ours && s->means.verdict == v;
    return n;
}

static bool recorded(const struct fixture *fx, enum wire_op op, enum refund_rail rail)
{
    for (const struct wire_request *w = fx->requests; w != NULL && w->name != NULL; w++)
        if (w->op == op && (rail == REFUND_RAIL_NONE || fx->refunds[w->refund].rail == rail))
            return true;
    return false;
}

/* A check without material passes for nothing. */
static void fixture_is_complete(struct run *r)
{
    static const struct {
        enum wire_op op;
        enum gw_verdict verdict;
    } needed[] = {
        {WIRE_CHARGE, GW_ACCEPTED},
        {WIRE_CHARGE, GW_REFUSED},
        {WIRE_CHARGE, GW_UNKNOWN},
        {WIRE_QUERY, GW_SUCCEEDED},
        {WIRE_QUERY, GW_FAILED},
        {WIRE_QUERY, GW_PENDING},
        {WIRE_QUERY, GW_UNKNOWN},
        {WIRE_REFUND, GW_ACCEPTED},
        {WIRE_REFUND, GW_REFUSED},
        {WIRE_REFUND, GW_UNKNOWN},
        {WIRE_REFUND_QUERY, GW_UNKNOWN},
        {WIRE_CALLBACK, GW_SUCCEEDED},
        {WIRE_CALLBACK, GW_FAILED},
        {WIRE_CALLBACK, GW_UNKNOWN},
        {WIRE_REFUND_CALLBACK, GW_FAILED},
        {WIRE_REFUND_CALLBACK, GW_SUCCEEDED},
        {WIRE_CONFIRM, GW_PENDING},
        {WIRE_CONFIRM, GW_REFUSED},
        {WIRE_CONFIRM, GW_UNKNOWN},
        {WIRE_CANCEL, GW_FAILED},
        {WIRE_CANCEL, GW_UNKNOWN},
        {WIRE_BALANCE, GW_UNKNOWN},
        {WIRE_BALANCE_CALLBACK, GW_FAILED},
        {WIRE_BALANCE_CALLBACK, GW_SUCCEEDED},
        {WIRE_BALANCE_CALLBACK, GW_UNKNOWN},
        {WIRE_PAYOUT, GW_ACCEPTED},
        {WIRE_PAYOUT, GW_REFUSED},
        {WIRE_PAYOUT, GW_UNKNOWN},
        {WIRE_PAYOUT_QUERY, GW_PENDING},
        {WIRE_PAYOUT_QUERY, GW_UNKNOWN},
        {WIRE_PAYOUT_CALLBACK, GW_SUCCEEDED},
        {WIRE_PAYOUT_CALLBACK, GW_FAILED},
        {WIRE_PAYOUT_CALLBACK, GW_UNKNOWN},
    };
    const struct gateway *g = r->gw;
    for (size_t i = 0; i < COUNT_OF(needed); i++)
        if (op_there(g, needed[i].op))
            run_case(r, count(r->fx, needed[i].op, needed[i].verdict) > 0,
                     "no shape of a %s that is %s", op_word(needed[i].op),
                     verdict_word(needed[i].verdict));
    if (g->balance_build != NULL)
        run_case(r,
                 count(r->fx, WIRE_BALANCE,
                       g->balance_callback_parse != NULL ? GW_ACCEPTED : GW_SUCCEEDED) > 0,
                 "no shape of a balance");
    for (unsigned op = 0; op < WIRE_N; op++)
        if (op_there(g, op) && !op_is_callback(op))
            run_case(r, recorded(r->fx, op, REFUND_RAIL_NONE), "no recorded %s request",
                     op_word(op));
    for (int i = 0; i < g->n_refund_rails; i++)
        run_case(r, recorded(r->fx, WIRE_REFUND, g->refund_rails[i]), "no recorded %s",
                 refund_rail_word(g->refund_rails[i]));
    run_case(r, g->manual || r->fx->personal != NULL, "nothing personal to look for");
    run_case(r, g->webhook_verify == NULL || (r->fx->sign != NULL && r->fx->signature.body != NULL),
             "no signature");
}

const struct check descriptor_checks[] = {
    {"descriptor_is_sane", descriptor_is_sane},
    {"descriptor_agrees_with_fixture", descriptor_agrees_with_fixture},
    {"is_documented", is_documented},
    {"fixture_is_complete", fixture_is_complete},
    {NULL, NULL},
};
