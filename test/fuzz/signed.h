#ifndef RELI_TEST_FUZZ_SIGNED_H
#define RELI_TEST_FUZZ_SIGNED_H

#include <stdint.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "gateways/gateway.h"

/* Whatever a provider who signs, or somebody who plays him, sends: readers, signature check and
 * masking must neither crash nor give out what the rest relies on being sound. */

struct signed_fuzz {
    const char *provider;
    const char *ref;         /* of a payment, and its receipt */
    const char *settings[2]; /* in the gateway's order; NULL: unset */
};

static inline void check(const struct gw_result *r)
{
    ASSERT(r->verdict <= GW_NOT_FOUND);
    ASSERT(r->code < FAILURE_N_CODES);
    ASSERT(r->provider_ref.n <= GW_REF_MAX && str_is_printable_ascii(r->provider_ref));
    ASSERT(r->our_id.n <= 64 && str_is_printable_ascii(r->our_id));
    ASSERT(r->receipt.n <= GW_REF_MAX && str_is_printable_ascii(r->receipt));
    ASSERT(r->provider_code.n <= 32 && str_is_printable_ascii(r->provider_code));
    ASSERT(r->message.n <= 200 && utf8_valid(r->message));
    ASSERT(utf8_valid(r->next_action));
    ASSERT(r->verdict != GW_ACCEPTED || r->provider_ref.n > 0);
    ASSERT((r->verdict == GW_FAILED || r->verdict == GW_REFUSED) == (r->code != FAILURE_NONE));
    ASSERT(r->verdict != GW_UNKNOWN || r->why != NULL);
    ASSERT(!r->sure || r->verdict == GW_FAILED);
    ASSERT(r->verdict == GW_REVERSED || (r->verdict == GW_SUCCEEDED) == (r->amount.currency != 0));
    ASSERT(r->verdict != GW_SUCCEEDED || (r->receipt.n > 0 && r->our_id.n > 0));
    if (r->amount.currency != 0)
        ASSERT(r->amount.minor > 0 && r->amount.minor <= MONEY_MAX);
    ASSERT(r->dispute.id.n <= GW_REF_MAX && str_is_printable_ascii(r->dispute.id));
    ASSERT(r->dispute.status.n <= 32 && r->dispute.reason.n <= 32);
    ASSERT(r->dispute.id.n > 0 || r->dispute.amount.currency == 0);
}

static inline void answers(const struct gw_account *a, struct str ref,
                           const struct outbound_response *in, struct arena *mem)
{
    const struct gw_refund refund = {.rail = REFUND_RAIL_REVERSAL,
                                     .payment_ref = ref,
                                     .payment_receipt = ref,
                                     .our_id = STR("r")};
    const struct gw_payout payout = {.our_id = STR("r")};
    const struct gateway *g = a->gateway;
    struct gw_result r;
    g->charge_parse(a, in, mem, &r);
    check(&r);
    ASSERT(r.verdict == GW_ACCEPTED || r.verdict == GW_REFUSED || r.verdict == GW_UNKNOWN);
    ASSERT(in->status < 500 || r.verdict == GW_UNKNOWN);
    g->query_parse(a, in, mem, &r);
    check(&r);
    ASSERT(r.verdict != GW_ACCEPTED && r.verdict != GW_REFUSED);
    ASSERT(in->status == 200 || r.verdict == GW_UNKNOWN);
    if (g->cancel_parse != NULL) {
        g->cancel_parse(a, in, mem, &r);
        check(&r);
        ASSERT(in->status < 500 || r.verdict == GW_UNKNOWN);
    }
    g->refund_parse(a, &refund, in, mem, &r);
    check(&r);
    ASSERT(r.verdict != GW_PENDING && r.verdict != GW_NOT_FOUND);
    ASSERT(r.provider_ref.n == 0 || str_eq(r.provider_ref, refund.our_id));
    g->refund_query_parse(a, in, mem, &r);
    check(&r);
    ASSERT(in->status == 200 || r.verdict == GW_UNKNOWN);
    if (g->payout_build == NULL)
        return;
    g->payout_parse(a, &payout, in, mem, &r);
    check(&r);
    ASSERT(r.verdict != GW_PENDING && r.verdict != GW_NOT_FOUND && r.verdict != GW_REVERSED);
    ASSERT(r.provider_ref.n == 0 || str_eq(r.provider_ref, payout.our_id));
    g->payout_query_parse(a, in, mem, &r);
    check(&r);
    ASSERT(in->status == 200 || r.verdict == GW_UNKNOWN);
}

static inline void events(const struct gw_account *a, struct str body, struct arena *mem)
{
    const struct gateway *g = a->gateway;
    struct gw_callback in = {.body = body, .kind = STR("")};
    struct gw_result r;
    struct str subject, about;
    bool payment = !err_is(g->callback_parse(&in, mem, &r));
    if (payment)
        check(&r);
    bool refund = !err_is(g->refund_callback_parse(&in, mem, &r));
    if (refund)
        check(&r);
    ASSERT(!payment || !refund);
    if (g->payout_callback_parse != NULL && !err_is(g->payout_callback_parse(&in, mem, &r))) {
        check(&r);
        ASSERT(!payment && !refund);
    }
    if (!err_is(g->webhook_subject(body, mem, &subject)))
        ASSERT(subject.n > 0 && subject.n <= 64 && str_is_printable_ascii(subject));
    if (g->webhook_about != NULL && !err_is(g->webhook_about(body, mem, &about)))
        ASSERT(about.n > 0 && about.n <= GW_REF_MAX && str_is_printable_ascii(about));
}

static inline int signed_fuzz(const struct signed_fuzz *f, const uint8_t *data, size_t n)
{
    static const int statuses[] = {200, 201, 400, 401, 402, 404, 409, 429, 500, 503, 204, 302};
    static bool open;
    struct gw_account a = {.gateway = gateway_find(str_c(f->provider))};
    struct arena mem;
    struct buf masked;
    if (n < 1)
        return 0;
    if (!open)
        ASSERT(!err_is(crypto_open()));
    open = true;
    for (size_t i = 0; i < COUNT_OF(f->settings); i++)
        if (f->settings[i] != NULL)
            a.settings[i] =
                (struct secret){(unsigned char *)(uintptr_t)f->settings[i], strlen(f->settings[i])};
    struct str body = str_n((const char *)data + 1, n - 1);
    struct outbound_response in = {.outcome = OUTBOUND_ANSWERED,
                                   .status = statuses[data[0] % COUNT_OF(statuses)],
                                   .body = body,
                                   .retry_after_s = -1,
                                   .asked = STR("r")};
    /* A small arena now and then: readers must live with its end. */
    arena_init(&mem, data[0] & 0x80 ? (size_t)data[0] * 4 : 1024 * 1024);
    answers(&a, str_c(f->ref), &in, &mem);
    events(&a, body, &mem);
    struct gw_webhook hook = {
        .body = STR("{}"), .signature = body, .now_us = INT64_C(1767960000) * US_PER_S};
    ASSERT(err_is(a.gateway->webhook_verify(&a, &hook)));
    buf_init(&masked, 64 * 1024);
    a.gateway->redact(body, &masked);
    buf_free(&masked);
    arena_free(&mem);
    return 0;
}

#endif
