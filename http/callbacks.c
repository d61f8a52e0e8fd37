/* Callbacks from providers: stored, then acknowledged in the provider's own words. */
#include "http/api.h"

#include "core/base/log.h"
#include "core/flow/callback.h"

/* `why` is static. */
static void refuse(struct http_exchange *x, const char *why)
{
    log_warn("callback.forged", F_C("peer", x->peer.text));
    api_security(x, SECURITY_SIGNATURE_REFUSED, why);
    gate_refuse(x, "Neither its URL nor its signature shows that it is a provider's.", false);
}

static void stored(void *ctx, struct err err, const struct gateway *gateway)
{
    struct http_exchange *x = ctx;
    if (err.code == ERR_UNAUTHENTICATED) {
        refuse(x, err.what);
    } else if (err_is(err)) {
        http_problem(x, err, "");
    } else {
        http_reply(x, 200, str_c(gateway->callback_ack_type), str_c(gateway->callback_ack));
    }
}

static struct str header_or_none(struct http_exchange *x, const char *name)
{
    struct str value = name != NULL ? http_header(x, str_c(name)) : STR_NULL;
    return value.p != NULL ? value : STR("");
}

/* The token is the authentication; of an account's URL it says only whose signature is. */
void callback_token_post(struct http_exchange *x)
{
    int last = HTTP_MAX_PARAMS - 1;
    while (last > 0 && x->params[last].p == NULL)
        last--;
    const struct gateway *g = last > 0 ? gateway_find(x->params[0]) : NULL;
    if (receipt_door(x, x->params[last]) || balance_door(x, x->params[last]))
        return;
    struct callback_input in = {
        .token = x->params[last],
        .gateway = g,
        .signature = header_or_none(x, g != NULL ? g->signature_header : NULL),
        .timestamp = header_or_none(x, g != NULL ? g->timestamp_header : NULL),
        .body = x->body,
        .peer = str_c(x->peer.text),
    };
    callback_receive(api_of(x)->flow, &in, stored, x);
}

/* A webhook to the installation's account: its signature is the authentication. */
void callback_webhook_post(struct http_exchange *x)
{
    const struct gateway *g = gateway_find(x->params[0]);
    if (g == NULL || g->manual) {
        http_problem(x, ERR(NOT_FOUND, NULL), "No such provider sends webhooks here.");
        return;
    }
    if (g->webhook_verify == NULL) { /* nothing shows that it is he: only a URL with a token does */
        refuse(x, "unsigned");
        return;
    }
    struct callback_input in = {
        .gateway = g,
        .signature = header_or_none(x, g->signature_header),
        .timestamp = header_or_none(x, g->timestamp_header),
        .body = x->body,
        .peer = str_c(x->peer.text),
    };
    callback_receive(api_of(x)->flow, &in, stored, x);
}
