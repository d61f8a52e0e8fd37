/* Whatever a provider, or somebody who plays one, sends: the readers and the masking must neither
 * crash nor give out what the rest relies on being sound. */
#include <stdint.h>

#include "gateways/gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct gw_result *r)
{
    ASSERT(r->verdict <= GW_TOKEN_REJECTED);
    ASSERT(r->code < FAILURE_N_CODES);
    ASSERT(r->provider_ref.n <= GW_REF_MAX && str_is_printable_ascii(r->provider_ref));
    ASSERT(r->receipt.n <= GW_REF_MAX && str_is_printable_ascii(r->receipt));
    ASSERT(r->provider_code.n <= 32 && str_is_printable_ascii(r->provider_code));
    ASSERT(r->message.n <= 200 && utf8_valid(r->message));
    ASSERT(r->verdict != GW_ACCEPTED || r->provider_ref.n > 0);
    ASSERT(r->verdict != GW_FAILED || r->code != FAILURE_NONE);
    ASSERT(r->verdict != GW_REFUSED || r->code != FAILURE_NONE);
    ASSERT(r->verdict != GW_UNKNOWN || r->why != NULL);
    ASSERT(!r->sure || r->verdict == GW_FAILED);
    if (r->amount.currency != 0)
        ASSERT(r->amount.currency == CURRENCY('K', 'E', 'S') && r->amount.minor > 0);
}

static void refunds(const struct gw_account *account, const struct outbound_response *in,
                    struct arena *mem)
{
    const struct gateway *g = account->gateway;
    static const struct gw_refund refund = {.rail = REFUND_RAIL_REVERSAL};
    static const struct gw_payout payout;
    static const char *const kinds[] = {"", "timeout", "status"};
    struct gw_result r;
    for (int out = 0; out < 2; out++) {
        if (out == 0)
            g->refund_parse(account, &refund, in, mem, &r);
        else
            g->payout_parse(account, &payout, in, mem, &r);
        check(&r);
        ASSERT(r.verdict == GW_ACCEPTED || r.verdict == GW_REFUSED || r.verdict == GW_UNKNOWN ||
               r.verdict == GW_TOKEN_REJECTED);
        (out == 0 ? g->refund_query_parse : g->payout_query_parse)(account, in, mem, &r);
        check(&r);
        ASSERT(r.verdict == GW_PENDING || r.verdict == GW_UNKNOWN ||
               r.verdict == GW_TOKEN_REJECTED);
        ASSERT(r.provider_ref.n == 0 && r.receipt.n == 0);
    }
    for (size_t i = 0; i < 2 * COUNT_OF(kinds); i++) {
        bool refunds_word = i < COUNT_OF(kinds);
        struct gw_callback callback = {.body = in->body, .kind = str_c(kinds[i % 3])};
        if (err_is((refunds_word ? g->refund_callback_parse : g->payout_callback_parse)(&callback,
                                                                                        mem, &r)))
            return;
        check(&r);
        ASSERT(r.verdict == GW_UNKNOWN || (r.verdict == GW_SUCCEEDED && i % 3 != 1) ||
               (r.verdict == GW_FAILED && i % 3 == 0));
        /* what is certain names its request, so that another's can be told from it */
        ASSERT(r.verdict == GW_UNKNOWN || r.provider_ref.n > 0);
        ASSERT((r.verdict == GW_SUCCEEDED) == (r.receipt.n > 0));
        ASSERT(r.verdict == GW_SUCCEEDED || r.amount.currency == 0);
    }
}

/* Money that was sent unasked, and what else is said about it. */
static void unasked(const struct gw_account *without, const struct outbound_response *in,
                    struct arena *mem)
{
    static unsigned char shortcode[] = "522533";
    struct gw_account account = *without;
    const struct gateway *g = account.gateway;
    struct gw_receipt receipt;
    struct gw_result r;
    for (size_t i = 0; i < g->n_settings; i++)
        if (strcmp(g->settings[i].name, "shortcode") == 0)
            account.settings[i] = (struct secret){shortcode, 6};
    if (!err_is(g->receipt_parse(&account, in->body, mem, &receipt))) {
        ASSERT(receipt.receipt.n > 0 && receipt.receipt.n <= GW_REF_MAX);
        ASSERT(receipt.amount.currency == CURRENCY('K', 'E', 'S') && receipt.amount.minor > 0);
        ASSERT(receipt.reference.n <= 64 && utf8_valid(receipt.reference));
        ASSERT(utf8_valid(receipt.payer_name) && utf8_valid(receipt.payer_phone));
    }
    /* neither gets a reference */
    g->register_parse(&account, in, mem, &r);
    if (r.verdict != GW_ACCEPTED)
        check(&r);
    ASSERT(in->status == 200 || r.verdict != GW_ACCEPTED);
    g->qr_parse(&account, in, mem, &r);
    if (r.verdict != GW_ACCEPTED)
        check(&r);
    ASSERT(r.verdict != GW_ACCEPTED || r.image.n > 0);
}

static const int statuses[] = {200, 400, 401, 404, 429, 500, 503, 201};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct gateway *g = gateway_find(STR("mpesa"));
    struct gw_account account = {.gateway = g};
    struct gw_result r;
    struct arena mem;
    if (n < 1)
        return 0;
    struct str body = str_n((const char *)data + 1, n - 1);
    struct outbound_response in = {.outcome = OUTBOUND_ANSWERED,
                                   .status = statuses[data[0] % COUNT_OF(statuses)],
                                   .body = body,
                                   .retry_after_s = -1};
    /* A small arena now and then: readers must live with its end. */
    arena_init(&mem, data[0] & 0x80 ? 64 : 256 * 1024);
    g->charge_parse(&account, &in, &mem, &r);
    check(&r);
    g->query_parse(&account, &in, &mem, &r);
    check(&r);
    ASSERT(r.receipt.n == 0 && r.amount.currency == 0);
    struct gw_callback callback = {.body = body};
    if (!err_is(g->callback_parse(&callback, &mem, &r))) {
        check(&r);
        ASSERT(r.provider_ref.n > 0);
        ASSERT(r.verdict != GW_SUCCEEDED || (r.receipt.n > 0 && r.amount.currency != 0));
    }
    refunds(&account, &in, &mem);
    unasked(&account, &in, &mem);
    struct str token = STR_NULL;
    int64_t life_us = 0;
    if (!err_is(g->token_parse(&in, &mem, &token, &life_us)))
        ASSERT(token.n > 0 && str_is_printable_ascii(token) && life_us > 0);
    struct buf out;
    buf_init(&out, 1024 * 1024);
    g->redact(body, &out);
    buf_free(&out);
    arena_free(&mem);
    return 0;
}
