/* Where a request enters: every route of the service, who may call it, and the handler that
 * answers. Aliases are entries of their own on the same handlers. */
#include "http/api.h"

#include <string.h>

enum { ALIASES_MAX = 32 };

#define CLIENT (PERM_PAYMENTS_READ | API_CLIENT_TOKEN)
#define CLIENT_STREAM (PERM_PAYMENTS_READ | API_CLIENT_TOKEN | API_TICKET)
#define BOOKS_STREAM (PERM_BOOKS_READ | API_TICKET)
#define PUBLIC API_PUBLIC
#define LOGIN (API_PUBLIC | API_LOGIN)
#define ALWAYS (API_PUBLIC | API_ALWAYS)
#define PLAIN (API_PUBLIC | API_ALWAYS | API_PLAIN)
#define CALLBACK (API_PUBLIC | API_NO_PAGE)
#define V1 "/api/v1"

static const struct route own_routes[] = {
    /* payments */
    {HTTP_POST_, V1 "/payments/initialize", payment_create, PERM_PAYMENTS_WRITE},
    {HTTP_GET_, V1 "/payments", payment_index, PERM_PAYMENTS_READ},
    {HTTP_GET_, V1 "/payments/{id}", payment_show, CLIENT},
    {HTTP_GET_, V1 "/payments/{id}/events", payment_events, CLIENT_STREAM},
    {HTTP_POST_, V1 "/payments/status", payment_status_post, PERM_PAYMENTS_READ},
    {HTTP_POST_, V1 "/payments/{id}/confirm", payment_confirm, PERM_PAYMENTS_WRITE},
    {HTTP_POST_, V1 "/payments/{id}/cancel", payment_cancel, PERM_PAYMENTS_WRITE},
    {HTTP_POST_, V1 "/payments/{id}/verify", payment_verify, PERM_PAYMENTS_WRITE},
    {HTTP_POST_, V1 "/payments/{id}/qr", payment_qr, PERM_PAYMENTS_WRITE},

    /* refunds */
    {HTTP_POST_, V1 "/payments/{id}/refund", refund_post, PERM_REFUNDS_WRITE},
    {HTTP_POST_, V1 "/payments/refund", refund_post_by_reference, PERM_REFUNDS_WRITE},
    {HTTP_GET_, V1 "/payments/{id}/refunds", refund_index, PERM_PAYMENTS_READ},
    {HTTP_GET_, V1 "/refunds/{id}", refund_show, PERM_PAYMENTS_READ},
    {HTTP_POST_, V1 "/refunds/{id}/approve", refund_approve, PERM_REFUNDS_WRITE},
    {HTTP_POST_, V1 "/refunds/{id}/reject", refund_reject, PERM_REFUNDS_WRITE},
    {HTTP_POST_, V1 "/refunds/{id}/cancel", refund_cancel, PERM_REFUNDS_WRITE},
    {HTTP_POST_, V1 "/refunds/{id}/confirm", refund_confirm, PERM_REFUNDS_WRITE},

    /* money out */
    {HTTP_POST_, V1 "/payouts", payout_post, PERM_PAYOUTS_WRITE},
    {HTTP_GET_, V1 "/payouts", payout_index, PERM_PAYOUTS_READ},
    {HTTP_GET_, V1 "/payouts/{id}", payout_show, PERM_PAYOUTS_READ},
    {HTTP_POST_, V1 "/payouts/{id}/cancel", payout_cancel, PERM_PAYOUTS_WRITE},
    {HTTP_POST_, V1 "/payouts/{id}/approve", payout_approve, PERM_PAYOUTS_WRITE},
    {HTTP_POST_, V1 "/payouts/{id}/reject", payout_reject, PERM_PAYOUTS_WRITE},
    {HTTP_POST_, V1 "/payouts/{id}/verify", payout_ask, PERM_PAYOUTS_WRITE},

    /* older names of the same */
    {HTTP_POST_, V1 "/payments/initiate", payment_create, PERM_PAYMENTS_WRITE},
    {HTTP_GET_, V1 "/payments/transactions", payment_index, PERM_PAYMENTS_READ},
    {HTTP_POST_, "/api/payments/create", payment_create, PERM_PAYMENTS_WRITE},
    {HTTP_GET_, "/api/payments/status/{id}", payment_show, CLIENT},
    {HTTP_POST_, "/api/auth/login", auth_login, LOGIN},
    {HTTP_POST_, "/api/auth/firebase", auth_firebase, LOGIN},
    {HTTP_POST_, "/api/auth/refresh", auth_refresh, PUBLIC},
    {HTTP_POST_, "/api/auth/logout", auth_logout, PERM_SELF},
    {HTTP_GET_, "/api/auth/me", auth_me, PERM_SELF},

    /* people */
    {HTTP_GET_, V1 "/customers", customer_index, PERM_CUSTOMERS_READ},
    {HTTP_GET_, V1 "/customers/{id}", customer_show, PERM_CUSTOMERS_READ},
    {HTTP_GET_, V1 "/customers/{id}/data", customer_export, PERM_CUSTOMERS_DATA},
    {HTTP_DELETE_, V1 "/customers/{id}/data", customer_erase, PERM_CUSTOMERS_DATA},

    /* what happened, and what it adds up to */
    {HTTP_GET_, V1 "/events", merchant_events, BOOKS_STREAM},
    {HTTP_GET_, V1 "/metrics", merchant_metrics, PERM_BOOKS_READ},
    {HTTP_GET_, V1 "/balances", balance_index, PERM_BOOKS_READ},
    {HTTP_GET_, V1 "/ledger/transfers", transfer_index, PERM_BOOKS_READ},
    {HTTP_GET_, V1 "/exceptions", exception_index, PERM_EXCEPTIONS_READ},
    {HTTP_POST_, V1 "/exceptions/{id}/resolve", exception_resolve, PERM_EXCEPTIONS_RESOLVE},

    /* callbacks from providers: the token in the path is the authentication */
    {HTTP_POST_, V1 "/cb/{token}", callback_token_post, CALLBACK},
    {HTTP_PUT_, V1 "/cb/{token}", callback_token_post, CALLBACK},
    {HTTP_POST_, V1 "/webhooks/{provider}/{token}", callback_token_post, CALLBACK},
    {HTTP_PUT_, V1 "/webhooks/{provider}/{token}", callback_token_post, CALLBACK},

    /* webhooks from providers: the signature is the authentication */
    {HTTP_POST_, V1 "/webhooks/{provider}", callback_webhook_post, CALLBACK},
    {HTTP_PUT_, V1 "/webhooks/{provider}", callback_webhook_post, CALLBACK},
    {HTTP_POST_, "/callbacks/{provider}", callback_webhook_post, CALLBACK},
    {HTTP_PUT_, "/callbacks/{provider}", callback_webhook_post, CALLBACK},

    /* webhooks to merchants */
    {HTTP_POST_, V1 "/webhook-endpoints", endpoint_create, PERM_WEBHOOKS_WRITE},
    {HTTP_GET_, V1 "/webhook-endpoints", endpoint_index, PERM_WEBHOOKS_READ},
    {HTTP_GET_, V1 "/webhook-endpoints/default", endpoint_default, PERM_WEBHOOKS_WRITE},
    {HTTP_GET_, V1 "/webhook-endpoints/{id}", endpoint_show, PERM_WEBHOOKS_READ},
    {HTTP_PATCH_, V1 "/webhook-endpoints/{id}", endpoint_change, PERM_WEBHOOKS_WRITE},
    {HTTP_DELETE_, V1 "/webhook-endpoints/{id}", endpoint_remove, PERM_WEBHOOKS_WRITE},
    {HTTP_POST_, V1 "/webhook-endpoints/{id}/rotate-secret", endpoint_rotate, PERM_WEBHOOKS_WRITE},
    {HTTP_POST_, V1 "/webhook-endpoints/{id}/recover", endpoint_recover, PERM_WEBHOOKS_WRITE},
    {HTTP_GET_, V1 "/webhook-deliveries", delivery_index, PERM_WEBHOOKS_READ},
    {HTTP_GET_, V1 "/webhook-deliveries/{id}", delivery_show, PERM_WEBHOOKS_READ},
    {HTTP_POST_, V1 "/webhook-deliveries/{id}/replay", delivery_replay, PERM_WEBHOOKS_WRITE},

    /* what providers have called back with */
    {HTTP_GET_, V1 "/provider-events", inbound_index, PERM_PROVIDER_EVENTS_READ},
    {HTTP_GET_, V1 "/provider-events/{id}", inbound_show, PERM_PROVIDER_EVENTS_READ},
    {HTTP_POST_, V1 "/provider-events/{id}/replay", inbound_replay, PERM_PROVIDER_EVENTS_REPLAY},

    /* live events; they authenticate themselves, since browsers cannot send headers */
    {HTTP_GET_, "/ws/transaction/{id}", socket_transaction, PUBLIC},
    {HTTP_GET_, V1 "/ws/transaction/{id}", socket_transaction, PUBLIC},
    {HTTP_GET_, "/ws/user/{id}", socket_user, PUBLIC},
    {HTTP_GET_, V1 "/ws/user/{id}", socket_user, PUBLIC},
    {HTTP_GET_, "/ws/merchant", socket_merchant, PUBLIC},
    {HTTP_GET_, V1 "/ws/merchant", socket_merchant, PUBLIC},
    {HTTP_POST_, V1 "/ws/tickets", socket_ticket, PERM_PAYMENTS_READ},

    /* people: logging in and out, and their own accounts */
    {HTTP_POST_, V1 "/auth/login", auth_login, LOGIN},
    {HTTP_POST_, V1 "/auth/firebase", auth_firebase, LOGIN},
    {HTTP_POST_, V1 "/auth/refresh", auth_refresh, PUBLIC},
    {HTTP_POST_, V1 "/auth/logout", auth_logout, PERM_SELF},
    {HTTP_GET_, V1 "/auth/me", auth_me, PERM_SELF},
    {HTTP_POST_, V1 "/auth/password", auth_password, PERM_SELF},
    {HTTP_POST_, V1 "/auth/totp/enrol", auth_totp_enrol, PERM_SELF},
    {HTTP_POST_, V1 "/auth/totp/confirm", auth_totp_confirm, PERM_SELF},
    {HTTP_POST_, V1 "/auth/totp/disable", auth_totp_disable, PERM_SELF},
    {HTTP_POST_, V1 "/auth/invitations/accept", invitation_accept, LOGIN},

    /* who works with a merchant */
    {HTTP_GET_, V1 "/members", member_index, PERM_MEMBERS_READ},
    {HTTP_POST_, V1 "/members", member_invite, PERM_MEMBERS_WRITE},
    {HTTP_PATCH_, V1 "/members/{id}", member_change, PERM_MEMBERS_WRITE},
    {HTTP_DELETE_, V1 "/members/{id}", member_remove, PERM_MEMBERS_WRITE},
    {HTTP_POST_, V1 "/members/{id}/confirm", member_confirm, PERM_MEMBERS_WRITE},

    /* merchants: one's own, and all of them for staff */
    {HTTP_GET_, V1 "/merchant", merchant_own, PERM_MERCHANT_READ},
    {HTTP_PATCH_, V1 "/merchant", merchant_change_own, PERM_MERCHANT_WRITE},
    {HTTP_GET_, V1 "/merchants", merchant_index, PERM_MERCHANTS_READ},
    {HTTP_POST_, V1 "/merchants", merchant_create, PERM_MERCHANTS_WRITE},
    {HTTP_GET_, V1 "/merchants/{id}", merchant_show, PERM_MERCHANTS_READ},
    {HTTP_PATCH_, V1 "/merchants/{id}", merchant_change, PERM_MERCHANTS_WRITE},
    {HTTP_POST_, V1 "/merchants/{id}/activate", merchant_activate, PERM_MERCHANTS_WRITE},
    {HTTP_POST_, V1 "/merchants/{id}/suspend", merchant_suspend, PERM_MERCHANTS_WRITE},
    {HTTP_POST_, V1 "/merchants/{id}/close", merchant_close, PERM_MERCHANTS_WRITE},

    /* what can be used */
    {HTTP_GET_, V1 "/providers", provider_index, PERM_PROVIDERS_READ},
    {HTTP_GET_, V1 "/providers/{name}/balance", provider_balance, PERM_BOOKS_READ},
    {HTTP_GET_, V1 "/limits", limit_index, PERM_LIMITS_READ},
    {HTTP_PUT_, V1 "/limits", limit_put, PERM_LIMITS_WRITE},
    {HTTP_GET_, V1 "/routes", route_index, PERM_PROVIDERS_READ},
    {HTTP_PUT_, V1 "/routes", route_put, PERM_PROVIDERS_WRITE},
    {HTTP_POST_, V1 "/providers/{name}/register-callbacks", receipt_register, PERM_PROVIDERS_WRITE},
    {HTTP_GET_, V1 "/providers/{name}/config", provider_config_index, PERM_PROVIDERS_WRITE},
    {HTTP_POST_, V1 "/providers/{name}/config", provider_config_post, PERM_PROVIDERS_WRITE},

    /* who may call */
    {HTTP_POST_, V1 "/api-keys", api_key_create, PERM_KEYS},
    {HTTP_GET_, V1 "/api-keys", api_key_index, PERM_KEYS},
    {HTTP_GET_, V1 "/api-keys/{id}", api_key_show, PERM_KEYS},
    {HTTP_PATCH_, V1 "/api-keys/{id}", api_key_change, PERM_KEYS},
    {HTTP_DELETE_, V1 "/api-keys/{id}", api_key_revoke, PERM_KEYS},
    {HTTP_POST_, V1 "/api-keys/{id}/rotate", api_key_rotate, PERM_KEYS},
    {HTTP_GET_, V1 "/security-events", security_index, PERM_SECURITY_READ},

    /* the installation */
    {HTTP_GET_, V1 "/maintenance", maintenance_show, PERM_MAINTENANCE},
    {HTTP_PUT_, V1 "/maintenance", maintenance_put, PERM_MAINTENANCE},

    /* the service itself */
    {HTTP_GET_, "/livez", page_livez, PLAIN},
    {HTTP_GET_, "/readyz", page_readyz, PLAIN},
    {HTTP_GET_, "/health", page_health, PLAIN},
    {HTTP_GET_, V1 "/health", page_health, PLAIN},
    {HTTP_GET_, "/health/detailed", page_health_detailed, PLAIN},
    {HTTP_GET_, V1 "/health/detailed", page_health_detailed, PLAIN},
    {HTTP_GET_, "/metrics", page_metrics, PLAIN},
    {HTTP_GET_, "/openapi.json", page_openapi, ALWAYS},
    {HTTP_GET_, "/docs", page_docs, ALWAYS},
    {HTTP_GET_, "/docs/errors", page_errors, ALWAYS},
    {HTTP_GET_, "/docs/{file}", page_docs_file, ALWAYS},
    {0},
};

/* What is behind older paths that name a provider; the paths are its gateway's. */
static const struct route alias_routes[] = {
    [GW_ALIAS_CREATE] = {HTTP_POST_, NULL, payment_create, PERM_PAYMENTS_WRITE},
    [GW_ALIAS_CALLBACK] = {HTTP_POST_, NULL, callback_token_post, CALLBACK},
    [GW_ALIAS_PAID] = {HTTP_POST_, NULL, receipt_confirmation_post, CALLBACK},
    [GW_ALIAS_CHECK] = {HTTP_POST_, NULL, receipt_validation_post, CALLBACK},
};

const struct route *api_routes(void)
{
    static struct route all[COUNT_OF(own_routes) + ALIASES_MAX];
    size_t n = COUNT_OF(own_routes) - 1; /* without its end */
    memcpy(all, own_routes, sizeof own_routes);
    for (size_t g = 0; gateways[g] != NULL; g++) {
        for (const struct gw_alias *a = gateways[g]->aliases; a != NULL && a->path != NULL; a++) {
            ASSERT(n < COUNT_OF(all) - 2);
            all[n] = alias_routes[a->of];
            all[n++].pattern = a->path;
            if (a->of == GW_ALIAS_CREATE)
                continue;
            all[n] = all[n - 1]; /* providers may use PUT */
            all[n++].method = HTTP_PUT_;
        }
    }
    all[n] = (struct route){0};
    return all;
}

const struct route api_metrics_routes[] = {
    {HTTP_GET_, "/metrics", page_metrics, PLAIN},
    {HTTP_GET_, "/livez", page_livez, PLAIN},
    {HTTP_GET_, "/readyz", page_readyz, PLAIN},
    {0},
};
