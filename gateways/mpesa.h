#ifndef RELI_GATEWAYS_MPESA_H
#define RELI_GATEWAYS_MPESA_H

#include "gateways/gateway.h"

/* The two halves of the M-Pesa gateway: mpesa.c says what we ask, this what Daraja's words mean. */
struct err mpesa_token_parse(const struct outbound_response *in, struct arena *mem,
                             struct str *token, int64_t *life_us) MUST_USE;
void mpesa_charge_parse(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out);
void mpesa_query_parse(const struct gw_account *a, const struct outbound_response *in,
                       struct arena *mem, struct gw_result *out);
struct err mpesa_callback_parse(const struct gw_callback *in, struct arena *mem,
                                struct gw_result *out) MUST_USE;

#endif
