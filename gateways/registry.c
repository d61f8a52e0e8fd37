/* The list of gateways: the one place to name a new one. */
#include "gateways/gateway.h"

extern const struct gateway gateway_cash, gateway_cpay, gateway_mpesa, gateway_stripe;

const struct gateway *const gateways[] = {&gateway_mpesa, &gateway_cpay, &gateway_stripe,
                                          &gateway_cash, NULL};
