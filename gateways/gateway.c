/* Finding a gateway in the list, and what is said of all of them. The list itself stands alone in
 * registry.c, so that a program may be linked with another one. */
#include "gateways/gateway.h"

const struct gateway *gateway_find(struct str name)
{
    for (size_t i = 0; gateways[i] != NULL; i++)
        if (str_eq(name, str_c(gateways[i]->name)))
            return gateways[i];
    return NULL;
}

const struct gateway *gateway_for_method(struct str method)
{
    for (size_t i = 0; gateways[i] != NULL; i++)
        if (gateways[i]->methods[0] != '\0' && gateway_lists(gateways[i]->methods, method))
            return gateways[i];
    return NULL;
}

bool gateway_lists(const char *list, struct str word)
{
    struct str rest = str_c(list), part;
    if (rest.n == 0)
        return true;
    while (str_split(&rest, ',', &part))
        if (part.n > 0 && str_eq(part, word))
            return true;
    return false;
}

struct str gw_setting(const struct gw_account *account, const char *name)
{
    const struct gateway *g = account->gateway;
    for (size_t i = 0; i < g->n_settings; i++)
        if (strcmp(g->settings[i].name, name) == 0)
            return account->settings[i].n > 0 ? secret_view(&account->settings[i]) : STR_NULL;
    return STR_NULL;
}

bool gw_asks(const struct gw_result *r)
{
    return (r->verdict == GW_ACCEPTED || r->verdict == GW_PENDING) && r->next_action.n > 0 &&
           str_find_str(r->next_action, STR("\"approve_on_phone\"")) == SIZE_MAX;
}

/* ---- refunds, by their rail ---- */

static struct gw_payout payout_of(const struct gw_refund *in)
{
    return (struct gw_payout){.amount = in->amount,
                              .phone = in->phone,
                              .name = STR(""),
                              .our_id = in->our_id,
                              .purpose = STR(GW_PURPOSE_REFUND),
                              .remarks = in->remarks,
                              .callback_url = in->callback_url,
                              .now_us = in->now_us};
}

static bool goes_out(const struct gw_refund *in)
{
    return in->rail == REFUND_RAIL_PAYOUT;
}

static bool has_rail(const struct gateway *g, enum refund_rail rail)
{
    for (int i = 0; i < g->n_refund_rails; i++)
        if (g->refund_rails[i] == rail)
            return rail == REFUND_RAIL_PAYOUT ? g->payout_build != NULL : g->refund_build != NULL;
    return false;
}

struct err gw_refund_build(const struct gw_account *a, const struct gw_refund *in, struct str token,
                           struct arena *mem, struct outbound_request *out)
{
    const struct gateway *g = a->gateway;
    struct gw_payout payout = payout_of(in);
    if (!has_rail(g, in->rail))
        return ERR(INVALID, "the provider has no such rail");
    return goes_out(in) ? g->payout_build(a, &payout, token, mem, out)
                        : g->refund_build(a, in, token, mem, out);
}

void gw_refund_parse(const struct gw_account *a, const struct gw_refund *in,
                     const struct outbound_response *answer, struct arena *mem,
                     struct gw_result *out)
{
    const struct gateway *g = a->gateway;
    struct gw_payout payout = payout_of(in);
    if (goes_out(in))
        g->payout_parse(a, &payout, answer, mem, out);
    else
        g->refund_parse(a, in, answer, mem, out);
}

struct err gw_refund_query_build(const struct gw_account *a, const struct gw_refund *in,
                                 struct str provider_ref, struct str token, struct arena *mem,
                                 struct outbound_request *out)
{
    const struct gateway *g = a->gateway;
    struct gw_payout payout = payout_of(in);
    bool asks = goes_out(in) ? g->payout_query_build != NULL : g->refund_query_build != NULL;
    if (!asks || !has_rail(g, in->rail))
        return ERR(INVALID, "the provider has no such rail to ask about");
    return goes_out(in) ? g->payout_query_build(a, &payout, provider_ref, token, mem, out)
                        : g->refund_query_build(a, in, provider_ref, token, mem, out);
}

void gw_refund_query_parse(const struct gw_account *a, const struct gw_refund *in,
                           const struct outbound_response *answer, struct arena *mem,
                           struct gw_result *out)
{
    const struct gateway *g = a->gateway;
    if (goes_out(in))
        g->payout_query_parse(a, answer, mem, out);
    else
        g->refund_query_parse(a, answer, mem, out);
}
