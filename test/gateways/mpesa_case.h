#ifndef RELI_TEST_GATEWAYS_MPESA_CASE_H
#define RELI_TEST_GATEWAYS_MPESA_CASE_H

/* What the M-Pesa tests share: an account, a charge, answers. cmocka.h comes first. */
#include "core/base/times.h"
#include "gateways/gateway.h"

#define KES CURRENCY('K', 'E', 'S')
#define REF "ws_CO_14032025101503711223344"
#define ENVELOPE(code, message) \
    "{\"requestId\":\"7f3a-41c2\",\"errorCode\":\"" code "\",\"errorMessage\":\"" message "\"}"
#define LONG16 "0123456789abcdef"
#define LONG128 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16

struct answer_case {
    int status;
    const char *body;
    enum gw_verdict verdict;
    enum failure_code code;
    bool retry_later;
};

static const struct gateway *gw;
static struct arena mem;

static inline int setup(void **state)
{
    (void)state;
    gw = gateway_find(STR("mpesa"));
    arena_init(&mem, 1024 * 1024);
    return gw == NULL;
}

static inline int teardown(void **state)
{
    (void)state;
    arena_free(&mem);
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

/* What the installation has said of it; gives what was believed before. */
static inline int64_t fact(const char *name, int64_t value)
{
    for (size_t i = 0; i < gw->n_facts; i++) {
        if (strcmp(gw->facts[i].name, name) == 0) {
            int64_t before = *gw->facts[i].value;
            *gw->facts[i].value = value;
            return before;
        }
    }
    fail_msg("no fact %s", name);
    return 0;
}

static inline struct gw_account account(void)
{
    struct gw_account a = {.gateway = gw,
                           .id = "acc",
                           .base_url = STR("https://sandbox.safaricom.co.ke"),
                           .timeout_us = 30 * US_PER_S};
    set(&a, "consumer_key", "key");
    set(&a, "consumer_secret", "s:ecret");
    set(&a, "shortcode", "522533");
    set(&a, "passkey", "test-passkey");
    return a;
}

static inline struct gw_charge charge(void)
{
    return (struct gw_charge){.amount = {125000, KES},
                              .phone = STR("+254711223344"),
                              .pay_code = STR("RL0K7Q2ZD913"),
                              .description = STR("Order 20931"),
                              .callback_url = STR("https://pay.example.co.ke/cb/9f2c71"),
                              .now_us =
                                  INT64_C(1741936502) * US_PER_S}; /* 2025-03-14 07:15:02 UTC */
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

#endif
