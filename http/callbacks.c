/* Callbacks from providers: stored, then acknowledged in the provider's own words. */
#include "http/api.h"

#include "core/base/log.h"
#include "core/flow/callback.h"

static void stored(void *ctx, struct err err, const struct gateway *gateway)
{
    struct http_exchange *x = ctx;
    if (err.code == ERR_UNAUTHENTICATED) {
        log_warn("callback.forged", F_C("peer", x->peer.text));
        http_problem(x, err, "This URL was not given to a provider.");
    } else if (err_is(err)) {
        http_problem(x, err, "");
    } else {
        http_reply(x, 200, str_c(gateway->callback_ack_type), str_c(gateway->callback_ack));
    }
}

void callback_token_post(struct http_exchange *x)
{
    struct api *api = api_of(x);
    int last = HTTP_MAX_PARAMS - 1;
    while (last > 0 && x->params[last].p == NULL)
        last--;
    struct callback_input in = {
        .token = x->params[last],
        .body = x->body,
        .peer = str_c(x->peer.text),
        .ip_ok = (api->callback_cidrs.n == 0 && !api->callback_cidrs.has_unix) ||
                 cidr_list_has_text(&api->callback_cidrs, str_c(x->peer.text)),
    };
    callback_receive(api->flow, &in, stored, x);
}
