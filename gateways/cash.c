/* Cash on delivery: no provider and no outbound call. A person collects the money and the merchant
 * confirms it. */
#include "core/base/times.h"
#include "gateways/gateway.h"

const struct gateway gateway_cash = {
    .name = "cash",
    .title = "Cash on delivery",
    .default_base_url = "",
    .methods = "cash,cash_on_delivery",
    .currencies = "",
    .countries = "",
    .manual = true,
    .action = "collect_cash",
    .expiry_us = 7 * US_PER_DAY,
};
