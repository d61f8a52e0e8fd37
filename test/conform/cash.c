/* Cash on delivery: nothing goes over a wire. From gateways/cash.md. */
#include "test/conform/conform.h"

const struct fixture fixture_cash = {
    .name = "cash",
    .can = {.methods = "cash,cash_on_delivery"},
    .base_url = "",
    .token = "",
    .query_ref = "",
};
