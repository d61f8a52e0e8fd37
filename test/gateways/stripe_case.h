#ifndef RELI_TEST_GATEWAYS_STRIPE_CASE_H
#define RELI_TEST_GATEWAYS_STRIPE_CASE_H

/* What the Stripe tests share: an account, Stripe's objects as they come over the wire, and what
 * must hold for every result. cmocka.h comes first. */
#include <stdio.h>

#include "core/base/times.h"
#include "core/crypto/mac.h"
#include "gateways/gateway.h"

#define RWF CURRENCY('R', 'W', 'F')
/* 2026-01-09 12:00:00 UTC, as the first 48 bits of a UUIDv7. */
#define OUR_ID "019ba2a0b6007000800000000000000111112222333344445555666677778888"
#define OTHER_ID "019ba2a0b6007000800000000000000211112222333344445555666677778888"
#define NOW_US (INT64_C(1767960000) * US_PER_S)

/* Objects as the documents show them. */
#define SESSION_OF(id, ours, status, payment, intent, live)                                        \
    "{\"id\":\"" id "\",\"object\":\"checkout.session\",\"amount_subtotal\":5000,"                 \
    "\"amount_total\":5000,\"client_reference_id\":\"" ours                                        \
    "\",\"created\":1767960000,\"currency\":\"rwf\",\"expires_at\":1767963600,\"livemode\":" live  \
    ",\"metadata\":{\"reli\":\"" ours "\"},\"mode\":\"payment\",\"payment_intent\":" intent        \
    ",\"payment_method_types\":[\"card\"],\"payment_status\":\"" payment "\",\"status\":\"" status \
    "\",\"url\":\"https://checkout.stripe.com/c/pay/" id "\"}"
#define SESSION(status, payment, intent) \
    SESSION_OF("cs_test_a1", OUR_ID, status, payment, intent, "false")
#define INTENT_OF(ours, status, received, error, reason)                                           \
    "{\"id\":\"pi_1\",\"object\":\"payment_intent\",\"amount\":5000,\"amount_received\":" received \
    ",\"cancellation_reason\":" reason                                                             \
    ",\"client_secret\":\"pi_1_secret_x\",\"currency\":\"rwf\","                                   \
    "\"last_payment_error\":" error ",\"livemode\":false,\"metadata\":{\"reli\":\"" ours           \
    "\",\"reli_by\":\"page\"},\"status\":\"" status "\"}"
#define INTENT(status, received) INTENT_OF(OUR_ID, status, received, "null", "null")
#define DECLINE(code)                                                              \
    "{\"type\":\"card_error\",\"code\":\"card_declined\",\"decline_code\":\"" code \
    "\",\"message\":\"Your card was declined.\"}"
#define REFUND_OF(ours, intent, status, reason)                                                \
    "{\"id\":\"re_1\",\"object\":\"refund\",\"amount\":2000,\"charge\":\"ch_1\",\"currency\":" \
    "\"rwf\","                                                                                 \
    "\"failure_reason\":" reason ",\"metadata\":{\"reli\":\"" ours                             \
    "\"},\"payment_intent\":\"" intent "\",\"status\":\"" status "\"}"
#define REFUND(status) REFUND_OF(OUR_ID, "pi_1", status, "null")
#define LIST(items, more) \
    "{\"object\":\"list\",\"url\":\"/v1/x\",\"has_more\":" more ",\"data\":[" items "]}"
#define FAULT(type, code)                                                          \
    "{\"error\":{\"type\":\"" type "\",\"code\":\"" code "\",\"message\":\"No.\"," \
    "\"param\":\"amount\"}}"
#define EVENT(type, object)                                                                     \
    "{\"id\":\"evt_1\",\"object\":\"event\",\"api_version\":\"2026-10-28.endive\",\"created\":" \
    "1767960000,\"data\":{\"object\":" object "},\"livemode\":false,\"type\":\"" type "\"}"

static const struct gateway *gw;
static struct arena mem;

static inline int setup(void **state)
{
    (void)state;
    gw = gateway_find(STR("stripe"));
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

static inline struct gw_account account(void)
{
    struct gw_account a = {.gateway = gw,
                           .id = "acc",
                           .base_url = STR("https://api.stripe.test"),
                           .timeout_us = 30 * US_PER_S};
    set(&a, "api_key", "sk_test_abc");
    set(&a, "webhook_secret", "whsec_test");
    return a;
}

static inline void assert_text(struct str got, const char *want)
{
    if (!str_eq(got, str_c(want)))
        fail_msg("'%.*s' is not '%s'", STR_ARG(got), want);
}

static inline struct outbound_response answer(int status, const char *body)
{
    return (struct outbound_response){.outcome = OUTBOUND_ANSWERED,
                                      .status = status,
                                      .body = str_c(body),
                                      .retry_after_s = -1,
                                      .asked = STR(OUR_ID)};
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
    assert_true((r->verdict == GW_SUCCEEDED) == (r->receipt.n > 0));
    assert_true((r->verdict == GW_SUCCEEDED) == (r->amount.currency != 0));
    assert_true(!r->sure || r->verdict == GW_FAILED);
}

#endif
