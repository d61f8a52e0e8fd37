#ifndef RELI_TEST_GATEWAYS_CPAY_CASE_H
#define RELI_TEST_GATEWAYS_CPAY_CASE_H

/* What the CPay tests share: an account, its objects as they come over the wire, and what must hold
 * for every result. cmocka.h comes first. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "gateways/gateway.h"

#define RWF CURRENCY('R', 'W', 'F')
#define HEX16 "0123456789abcdef"
#define OUR_ID HEX16 HEX16 HEX16 HEX16
#define REFUND_ID "8c2b7f0e-5a1d-4c3e-9f00-1234567890ab"
#define PAYOUT_ID "d41c7e90-33b2-4f6a-8e55-0f1e2d3c4b5a"
#define NOW_US (INT64_C(1767960000) * US_PER_S) /* 2026-01-09 12:00:00 UTC */

/* Payment and refund objects as the document shows them. */
#define PAYMENT_OF(reference, status, action, failure)                                     \
    "{\"id\":\"cpm_01J8Z0DEMO\",\"object\":\"payment\",\"reference\":\"" reference         \
    "\",\"amount\":150000,\"currency\":\"RWF\",\"method\":\"wallet\",\"status\":\"" status \
    "\",\"next_action\":" action ",\"amount_refunded\":0,\"failure\":" failure             \
    ",\"fee\":null,\"livemode\":false,\"metadata\":{},"                                    \
    "\"created_at\":\"2026-01-10T12:00:00Z\",\"updated_at\":\"2026-01-10T12:00:00Z\","     \
    "\"expires_at\":\"2026-01-10T12:15:00Z\"}"
#define PAYMENT(status, failure) PAYMENT_OF(OUR_ID, status, "null", failure)
#define REFUND_OF(payment, reference, status, failure)                                        \
    "{\"id\":\"cpr_01J8Z0BACK\",\"object\":\"refund\",\"payment\":\"" payment                 \
    "\",\"reference\":\"" reference                                                           \
    "\",\"amount\":50000,\"currency\":\"RWF\",\"status\":\"" status "\",\"failure\":" failure \
    ",\"created_at\":\"2026-01-10T12:00:00Z\",\"updated_at\":\"2026-01-10T12:00:00Z\"}"
#define REFUND(status, failure) REFUND_OF("cpm_01J8Z0DEMO", REFUND_ID, status, failure)
#define PAYOUT_OF(reference, status, failure)                                                 \
    "{\"id\":\"cpo_01J8Z0OUT0\",\"object\":\"payout\",\"reference\":\"" reference             \
    "\",\"amount\":70000,\"currency\":\"RWF\",\"status\":\"" status "\",\"failure\":" failure \
    ",\"created_at\":\"2026-01-10T12:00:00Z\",\"updated_at\":\"2026-01-10T12:00:00Z\"}"
#define PAYOUT(status, failure) PAYOUT_OF(PAYOUT_ID, status, failure)
#define FAILURE_(code, final) "{\"code\":\"" code "\",\"message\":\"No.\",\"final\":" final "}"
#define LIST(items) "{\"object\":\"list\",\"data\":[" items "],\"next_cursor\":null}"
#define FAULT(code)                                                              \
    "{\"error\":{\"code\":\"" code "\",\"message\":\"No.\",\"retryable\":false," \
    "\"field\":null,\"request_id\":\"req_1\"}}"
#define EVENT(type, object)                                            \
    "{\"id\":\"evt_01J8Z0DEMO\",\"type\":\"" type "\",\"created_at\":" \
    "\"2026-01-10T12:00:20Z\",\"livemode\":false,\"sequence\":3,\"data\":{\"object\":" object "}}"

static const struct gateway *gw;
static struct arena mem;

static inline int setup(void **state)
{
    (void)state;
    gw = gateway_find(STR("cpay"));
    arena_init(&mem, 4 * 1024 * 1024);
    return gw == NULL || err_is(crypto_open());
}

static inline int teardown(void **state)
{
    (void)state;
    arena_free(&mem);
    arena_trim();
    crypto_close();
    return 0;
}

static inline int fresh(void **state)
{
    (void)state;
    arena_free(&mem);
    arena_init(&mem, 4 * 1024 * 1024);
    return 0;
}

static inline void set(struct gw_account *a, const char *name, const char *value)
{
    for (size_t i = 0; i < gw->n_settings; i++) {
        if (strcmp(gw->settings[i].name, name) == 0) {
            struct str copy = arena_dup(&mem, str_c(value));
            a->settings[i] = (struct secret){(unsigned char *)(uintptr_t)copy.p, copy.n};
            return;
        }
    }
    fail_msg("no setting %s", name);
}

/* The secret is the 32 bytes (37 i + 250) mod 256; with a - in its text. */
static inline struct gw_account account(void)
{
    struct gw_account a = {.gateway = gw,
                           .id = "acc",
                           .base_url = STR("https://api.cpay.test/v1"),
                           .timeout_us = 30 * US_PER_S};
    set(&a, "api_key", "cpk_test:cps_-h9EaY6z2P0iR2yRttsAJUpvlLneAyhNcpe84QYrUHU");
    set(&a, "webhook_secret", "cpw_test");
    return a;
}

static inline void assert_text(struct str got, const char *want)
{
    if (!str_eq(got, str_c(want)))
        fail_msg("'%.*s' is not '%s'", STR_ARG(got), want);
}

static inline struct outbound_response answer(int status, const char *body)
{
    return (struct outbound_response){
        .outcome = OUTBOUND_ANSWERED, .status = status, .body = str_c(body), .retry_after_s = -1};
}

/* What the rest of the gateway relies on, whatever has come in. */
static inline void check_result(const struct gw_result *r)
{
    assert_true(r->verdict <= GW_NOT_FOUND);
    assert_true(r->provider_ref.n <= GW_REF_MAX && str_is_printable_ascii(r->provider_ref));
    assert_true(r->receipt.n <= GW_REF_MAX && str_is_printable_ascii(r->receipt));
    assert_true(r->provider_code.n <= 32 && str_is_printable_ascii(r->provider_code));
    assert_true(r->message.n <= 200 && utf8_valid(r->message));
    assert_true(r->verdict != GW_UNKNOWN || r->why != NULL);
    assert_true((r->verdict == GW_FAILED || r->verdict == GW_REFUSED) == (r->code != FAILURE_NONE));
    assert_true((r->verdict == GW_SUCCEEDED || r->verdict == GW_REVERSED) == (r->receipt.n > 0));
    assert_true((r->verdict == GW_SUCCEEDED || r->verdict == GW_REVERSED) ==
                (r->amount.currency != 0));
    assert_true(r->amount.currency == 0 || r->amount.minor > 0);
    assert_true(!r->sure || r->verdict == GW_FAILED);
}

#endif
