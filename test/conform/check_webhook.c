/* Webhooks that are signed: what the provider has made is taken, and nothing that differs from it
 * by a single byte, a second too much, or the secret. */
#include "test/conform/conform.h"

#define NOW_S INT64_C(1767960000)

static const char other_secret[] = "whsec_of_somebody_else_0123456789abcdef";

static struct str own_secret(struct run *r)
{
    return gw_setting(&r->account, r->fx->sign_setting);
}

/* A body as it comes: the first shape of a callback that has been paid. */
static struct str sample_body(struct run *r)
{
    for (const struct wire_shape *s = r->fx->shapes; s->name != NULL; s++)
        if (s->op == WIRE_CALLBACK && s->means.verdict == GW_SUCCEEDED)
            return wire_of(r, s)->body;
    return STR("{}");
}

static struct gw_webhook signed_by(struct run *r, const struct str *secrets, size_t n,
                                   struct str body)
{
    struct gw_webhook w = {.body = body, .signature = STR(""), .timestamp = STR("")};
    r->fx->sign(secrets, n, body, NOW_S, &r->mem, &w);
    w.now_us = NOW_S * US_PER_S;
    return w;
}

static bool taken(struct run *r, const struct gw_webhook *w)
{
    struct err err = r->gw->webhook_verify(&r->account, w);
    if (err_is(err) && err.code != ERR_UNAUTHENTICATED)
        run_fault(r, "refused for another reason: %s", err.what != NULL ? err.what : "");
    return !err_is(err);
}

static bool has_webhooks(const struct run *r)
{
    return r->gw->webhook_verify != NULL && r->fx->sign != NULL;
}

static void genuine_webhook_is_taken(struct run *r)
{
    if (!has_webhooks(r))
        return;
    const struct wire_signature *v = &r->fx->signature;
    struct gw_account a = r->account;
    struct gw_webhook w = {.body = str_c(v->body),
                           .signature = str_c(v->signature),
                           .timestamp = str_c(v->timestamp != NULL ? v->timestamp : ""),
                           .now_us = v->now_s * US_PER_S};
    account_set(r, &a, r->fx->sign_setting, str_c(v->secret));
    run_case(r, !err_is(r->gw->webhook_verify(&a, &w)), "the document's example is refused");
    struct str secret = own_secret(r);
    for (const struct wire_shape *s = r->fx->shapes; s->name != NULL; s++) {
        if (!op_is_callback(s->op))
            continue;
        w = signed_by(r, &secret, 1, wire_of(r, s)->body);
        run_case(r, taken(r, &w), "\"%s\" is refused", s->name);
    }
    const struct str bodies[] = {STR("{}"), STR("\xff\x01"), STR(" ")};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        w = signed_by(r, &secret, 1, bodies[i]);
        run_case(r, taken(r, &w), "what is signed is refused for what it says");
    }
}

/* Every bit of body, signature and time. */
static void flips(struct run *r, const struct gw_webhook *w, struct str *part, const char *what)
{
    struct str good = *part;
    char *p = arena_alloc(&r->mem, good.n + 1);
    ASSERT(p != NULL);
    for (size_t i = 0; i < good.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(p, good.p, good.n);
            p[i] = (char)(p[i] ^ 1 << bit);
            *part = str_n(p, good.n);
            run_case(r, !taken(r, w), "bit %d of byte %zu of the %s does not count", bit, i, what);
        }
    }
    for (size_t n = 0; n < good.n; n++) {
        *part = str_first(good, n);
        run_case(r, !taken(r, w), "the %s is taken when cut at %zu", what, n);
    }
    *part = good;
}

static void forged_webhook_is_refused(struct run *r)
{
    if (!has_webhooks(r))
        return;
    struct str secret = own_secret(r), other = str_c(other_secret);
    struct gw_webhook w = signed_by(r, &secret, 1, sample_body(r));
    run_case(r, taken(r, &w), "the genuine one is refused");
    struct gw_webhook forged = w;
    flips(r, &forged, &forged.body, "body");
    forged = w;
    flips(r, &forged, &forged.signature, "signature");
    forged = w;
    flips(r, &forged, &forged.timestamp, "time");
    const struct str shorter[] = {other, str_first(secret, secret.n - 1), STR(""),
                                  arena_fmt(&r->mem, "%.*sx", STR_ARG(secret))};
    for (size_t i = 0; i < COUNT_OF(shorter); i++) {
        w = signed_by(r, &shorter[i], 1, sample_body(r));
        run_case(r, !taken(r, &w), "another secret's signature is taken");
    }
    static const char *const headers[] = {"", "t=", "t=,v1=", "v1=", ",", "=", "t=1767960000,v1="};
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        w.signature = str_c(headers[i]);
        run_case(r, !taken(r, &w), "\"%s\" is taken", headers[i]);
    }
}

/* Without a secret nobody can have signed: not even with an empty one. */
static void webhook_needs_a_secret(struct run *r)
{
    if (!has_webhooks(r))
        return;
    struct gw_account good = r->account;
    const struct str none = STR("");
    struct str secret = own_secret(r);
    for (size_t i = 0; i < r->gw->n_settings; i++)
        if (strcmp(r->gw->settings[i].name, r->fx->sign_setting) == 0)
            r->account.settings[i] = (struct secret){0};
    struct gw_webhook w = signed_by(r, &secret, 1, sample_body(r));
    run_case(r, !taken(r, &w), "the old secret still counts");
    w = signed_by(r, &none, 1, sample_body(r));
    run_case(r, !taken(r, &w), "an empty secret counts");
    r->account = good;
}

static void expired_webhook_is_refused(struct run *r)
{
    if (!has_webhooks(r))
        return;
    struct str secret = own_secret(r);
    struct gw_webhook w = signed_by(r, &secret, 1, sample_body(r));
    const int64_t far = r->fx->sign_tolerance_s;
    const struct {
        int64_t after_s;
        bool ok;
    } cases[] = {{0, true},      {far, true}, {far - 1, true}, {far + 1, false}, {far * 2, false},
                 {86400, false}, {-1, true},  {1, true},       {-NOW_S, false},  {NOW_S, false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        w.now_us = (NOW_S + cases[i].after_s) * US_PER_S;
        run_case(r, taken(r, &w) == cases[i].ok, "%lld s later it is %s",
                 (long long)cases[i].after_s, cases[i].ok ? "refused" : "taken");
    }
}

/* While a secret is changed the provider signs with both. */
static void rotated_secret_is_taken(struct run *r)
{
    if (!has_webhooks(r))
        return;
    struct str own = own_secret(r), other = str_c(other_secret);
    const struct str orders[][3] = {{own, other, other}, {other, own, other}, {other, other, own}};
    for (size_t n = 1; n <= 3; n++) {
        for (size_t i = 0; i < COUNT_OF(orders); i++) {
            bool mine = i < n;
            struct gw_webhook w = signed_by(r, orders[i], n, sample_body(r));
            run_case(r, taken(r, &w) == mine, "%zu signatures, ours the %zu.", n, i + 1);
        }
    }
}

/* What has to be asked about, where the webhook does not say our id. */
static void about_case(struct run *r, const struct wire_shape *s, struct str body, bool whole)
{
    struct arena mem;
    struct str ref = STR_NULL;
    if (r->gw->webhook_about == NULL)
        return;
    arena_init(&mem, ARENA_LIMIT);
    struct err err = r->gw->webhook_about(body, &mem, &ref);
    bool want = whole && s->means.about != NULL;
    run_case(r, want ? !err_is(err) && str_eq(ref, str_c(s->means.about)) : err_is(err),
             "\"%s\" of %zu bytes asks about \"%.*s\"", s->name, body.n, STR_ARG(ref));
    arena_free(&mem);
}

/* The attempt that a webhook is about is found by what it says, or not at all. */
static void webhook_names_its_subject(struct run *r)
{
    if (r->gw->webhook_subject == NULL)
        return;
    for (const struct wire_shape *s = r->fx->shapes; s->name != NULL; s++) {
        if (!op_is_callback(s->op))
            continue;
        struct str body = wire_of(r, s)->body;
        for (size_t n = 0; n <= body.n; n++) {
            struct arena mem;
            struct str id = STR_NULL;
            arena_init(&mem, ARENA_LIMIT);
            struct err err = r->gw->webhook_subject(str_first(body, n), &mem, &id);
            bool whole = n == body.n && s->means.our_id != NULL;
            run_case(r,
                     whole ? !err_is(err) && str_eq(id, str_c(s->means.our_id))
                           : n == body.n || err_is(err),
                     "\"%s\" of %zu bytes is about \"%.*s\"", s->name, n, STR_ARG(id));
            arena_free(&mem);
            about_case(r, s, str_first(body, n), n == body.n);
        }
    }
}

const struct check webhook_checks[] = {
    {"genuine_webhook_is_taken", genuine_webhook_is_taken},
    {"forged_webhook_is_refused", forged_webhook_is_refused},
    {"webhook_needs_a_secret", webhook_needs_a_secret},
    {"expired_webhook_is_refused", expired_webhook_is_refused},
    {"rotated_secret_is_taken", rotated_secret_is_taken},
    {"webhook_names_its_subject", webhook_names_its_subject},
    {NULL, NULL},
};
