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
