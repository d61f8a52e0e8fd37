/* Stands in until the client has refunds. */
#include "gateways/client.h"
__attribute__((weak)) struct err gw_refund_start(struct gw_client *c, const struct gw_account *a, const struct gw_refund *in, gw_done_fn *done, void *ctx)
{
    (void)c, (void)a, (void)in, (void)done, (void)ctx;
    return ERR(INVALID, "no refunds yet");
}
__attribute__((weak)) struct err gw_refund_query_start(struct gw_client *c, const struct gw_account *a, const struct gw_refund *in, struct str ref, gw_done_fn *done, void *ctx)
{
    (void)c, (void)a, (void)in, (void)ref, (void)done, (void)ctx;
    return ERR(INVALID, "no refunds yet");
}
