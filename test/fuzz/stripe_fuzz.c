/* Whatever Stripe, or somebody who plays it, sends: readers, signature check and masking must
 * neither crash nor give out what the rest relies on being sound. */
#include <stdint.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "gateways/gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct gw_result *r)
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
    ASSERT((r->verdict == GW_SUCCEEDED) == (r->amount.currency != 0));
    ASSERT(r->verdict != GW_SUCCEEDED || (r->receipt.n > 0 && r->our_id.n > 0));
    if (r->amount.currency != 0)
        ASSERT(r->amount.minor > 0 && r->amount.minor <= MONEY_MAX);
}

static void answers(const struct gw_account *a, const struct outbound_response *in,
                    struct arena *mem)
{
    static const struct gw_refund refund = {.rail = REFUND_RAIL_REVERSAL,
                                            .payment_ref = {"pi_1", 4},
                                            .payment_receipt = {"pi_1", 4},
                                            .our_id = {"r", 1}};
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
    g->refund_parse(a, &refund, in, mem, &r);
    check(&r);
    ASSERT(r.verdict != GW_PENDING && r.verdict != GW_NOT_FOUND);
    ASSERT(r.provider_ref.n == 0 || str_eq(r.provider_ref, refund.our_id));
    g->refund_query_parse(a, in, mem, &r);
    check(&r);
    ASSERT(in->status == 200 || r.verdict == GW_UNKNOWN);
}

static void events(const struct gw_account *a, struct str body, struct arena *mem)
{
    const struct gateway *g = a->gateway;
    struct gw_callback in = {.body = body, .kind = STR("")};
    struct gw_result r;
    struct str subject;
    bool payment = !err_is(g->callback_parse(&in, mem, &r));
    if (payment)
        check(&r);
    bool refund = !err_is(g->refund_callback_parse(&in, mem, &r));
    if (refund)
        check(&r);
    ASSERT(!payment || !refund);
    if (!err_is(g->webhook_subject(body, mem, &subject)))
        ASSERT(subject.n > 0 && subject.n <= 64 && str_is_printable_ascii(subject));
}

static const int statuses[] = {200, 201, 400, 401, 402, 404, 409, 429, 500, 503, 204, 302};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool open;
    unsigned char secret[] = "whsec_fuzz", key[] = "sk_test_fuzz";
    const struct gateway *g = gateway_find(STR("stripe"));
    struct gw_account a = {.gateway = g};
    struct arena mem;
    struct buf masked;
    if (n < 1)
        return 0;
    if (!open)
        ASSERT(!err_is(crypto_open()));
    open = true;
    a.settings[0] = (struct secret){key, sizeof key - 1};
    a.settings[1] = (struct secret){secret, sizeof secret - 1};
    struct str body = str_n((const char *)data + 1, n - 1);
    struct outbound_response in = {.outcome = OUTBOUND_ANSWERED,
                                   .status = statuses[data[0] % COUNT_OF(statuses)],
                                   .body = body,
                                   .retry_after_s = -1,
                                   .asked = STR("r")};
    /* A small arena now and then: readers must live with its end. */
    arena_init(&mem, data[0] & 0x80 ? (size_t)data[0] * 4 : 1024 * 1024);
    answers(&a, &in, &mem);
    events(&a, body, &mem);
    struct gw_webhook hook = {
        .body = STR("{}"), .signature = body, .now_us = INT64_C(1767960000) * US_PER_S};
    ASSERT(err_is(g->webhook_verify(&a, &hook)));
    buf_init(&masked, 64 * 1024);
    g->redact(body, &masked);
    buf_free(&masked);
    arena_free(&mem);
    return 0;
}
