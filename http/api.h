#ifndef RELI_HTTP_API_H
#define RELI_HTTP_API_H

#include "core/base/address.h"
#include "core/codec/fields.h"
#include "core/flow/auth.h"
#include "core/flow/security.h"
#include "core/flow/session.h"
#include "http/server.h"

/* What the handlers of the public API share. */

struct hub;

struct api {
    struct flow *flow;
    struct hub *hub;                /* WebSocket subscriptions */
    struct cidr_list metrics_cidrs; /* who may read /metrics */
    struct cidr_list admin_cidrs;   /* who may administer; empty: anybody who is allowed to */
    struct str cors_origins;        /* who may open a WebSocket from a browser */
    bool draining;                  /* /readyz answers 503 */
    int64_t started_wall_us;
    const char *version;
};

/* struct route.tag: the row of the permission matrix that the caller needs, with these flags. */
enum api_access {
    API_PERMISSION = 0xff,
    API_PUBLIC = 1 << 16,       /* anybody; the handler authenticates, if anyone does */
    API_CLIENT_TOKEN = 1 << 17, /* a client_token of the payment in the path will do as well */
    API_ALWAYS = 1 << 18,       /* answered even while the installation's keys are not open yet */
    API_PLAIN = 1 << 19,        /* answered in the clear beside TLS too: nothing in it is secret */
    API_LOGIN = 1 << 20,        /* an attempt to log in: counted by address, with API_PUBLIC */
    API_NO_PAGE = 1 << 21,      /* for servers only: no web page may read the answers */
    API_TICKET = 1 << 22, /* for an event stream `?ticket=` will do, which the handler reads */
};

/* The route table, http/routes.c, with the older paths of each gateway. */
const struct route *api_routes(void);
/* What the listener of RELI_METRICS_LISTEN serves. */
extern const struct route api_metrics_routes[];

/* Server hook: authenticates and authorises by the route's tag, answers 401, 403 or 503 itself. */
bool api_before(struct http_exchange *x);
/* The caller, after api_before let it pass. */
const struct principal *api_who(const struct http_exchange *x);
/* The one answer to every bad credential; `why` is static text for the security events, NULL if no
 * credential was sent. */
void api_unauthenticated(struct http_exchange *x, const char *why);
/* Answers what auth_start or session_start ended with. */
void api_not_known(struct http_exchange *x, struct err err);
/* Reads an access token, and the headers that go with it; false: answered. */
bool api_session_use(struct http_exchange *x, struct str token, struct session_use *use);
/* The client's address as text, "unix" for a Unix socket: for limits, allow-lists, lockouts and the
 * audit trail. PROXY protocol and trusted X-Forwarded-For are already taken into account, and it
 * cannot be forged from outside. For counters per client see address_block. */
static inline struct str api_client(const struct http_exchange *x)
{
    return str_c(x->peer.text);
}
/* Notes a security event of this request: its client, its route, and its caller as far as known.
 * `detail` is static text, or NULL. */
void api_security(const struct http_exchange *x, enum security_kind kind, const char *detail);
static inline struct api *api_of(const struct http_exchange *x)
{
    return x->app;
}

/* gate.c: limits on requests. Calls `next`, now or on a later turn, or answers 429; the answer has
 * the RateLimit headers where it is the caller who is counted. */
void gate_caller(struct http_exchange *x, http_handler_fn *next);
void gate_login(struct http_exchange *x, http_handler_fn *next);
/* The same as gate_caller, for who is known by other ways: `go` instead of a handler. */
typedef void gate_fn(void *ctx);
void gate_watcher(struct http_exchange *x, struct str caller, gate_fn *go, void *ctx);
/* Answers 401, or 429 to an address from which too much is refused; `detail` is static, `challenge`
 * names the scheme that is expected. */
void gate_refuse(struct http_exchange *x, const char *detail, bool challenge);
/* Whether so much was refused to this address that nothing is to be looked up for it; answers 429
 * then. */
bool gate_shut(struct http_exchange *x);

/* Parses the body as one JSON object; answers 400 or 415 and gives NULL if it is none, 422 if it
 * holds a card number. The tree is freed with json_free by the caller. */
struct json *api_body(struct http_exchange *x);
/* Whether nothing is wrong with what was sent; if something is, 422 has been answered. */
bool api_no_faults(struct http_exchange *x, const struct field_errors *e) MUST_USE;
/* The same body while its members are read by `f`; stays where it is. body_open as api_body, false:
 * answered. body_close frees it, and is api_no_faults: texts are copied by then. */
struct body_fields {
    struct json *json;
    struct field_errors errors;
    struct fields f;
};
bool body_open(struct http_exchange *x, struct body_fields *b) MUST_USE;
bool body_close(struct http_exchange *x, struct body_fields *b) MUST_USE;
/* The Idempotency-Key, in the exchange's arena, STR_NULL without; answers 400 and gives false if it
 * is none, or missing where the merchant wants one. */
bool api_idempotency_key(struct http_exchange *x, struct str *key);
/* The traceparent of W3C Trace Context, "00-<32 hex>-<16 hex>-<2 hex>", in the arena, to be passed
 * on as it came; anything else is as if there were none: STR_NULL. */
struct str api_trace(const struct http_exchange *x);
/* "Prefer: wait=10": how long an answer that another request brings may be waited for; at most ten
 * seconds, wall µs. */
int64_t api_preferred_wait(const struct http_exchange *x);
/* The headers of an answer that was given before, at this time. */
void api_set_replayed(struct http_exchange *x, int64_t original_us);
/* The id in the path; answers 404 and gives false if it is none. */
bool api_path_id(struct http_exchange *x, int param, struct uuid *id);
/* Answers with what `b` holds, 500 if it failed, and frees it. */
void api_reply_buf(struct http_exchange *x, int status, struct buf *b);

/* auth.c: the answer to a login of whatever kind, and to one that was refused: `wait_us` with
 * ERR_TOO_MANY_ATTEMPTS. */
void auth_reply_grant(struct http_exchange *x, const struct session_grant *g);
void auth_refused(struct http_exchange *x, struct err err, int64_t wait_us);
/* firebase.c: the answer to an ID token that was refused, and how long a text it may be at most. */
void firebase_refused(struct http_exchange *x, struct err err);
enum { ID_TOKEN_FIELD_MAX = 16 * 1024 };

/* receipts.c: takes the request if the token has one of its words behind it. */
bool receipt_door(struct http_exchange *x, struct str token);
/* balance.c: the same. */
bool balance_door(struct http_exchange *x, struct str token);

/* Handlers, by file. */
http_handler_fn payment_create, payment_show, payment_index, payment_status_post, payment_confirm,
    payment_cancel, payment_verify; /* payments.c, payment_change.c, payment_list.c */
http_handler_fn refund_post, refund_post_by_reference, refund_index, refund_show, refund_approve,
    refund_reject, refund_cancel, refund_confirm; /* refunds.c */
http_handler_fn payout_post, payout_index, payout_show, payout_cancel, payout_approve,
    payout_reject, payout_ask;                                 /* payouts.c */
http_handler_fn event_index, balance_index, transfer_index;    /* books.c */
http_handler_fn merchant_metrics;                              /* metrics.c */
http_handler_fn exception_index, exception_resolve;            /* exceptions.c */
http_handler_fn customer_index, customer_show, customer_erase; /* customers.c */
http_handler_fn customer_export;                               /* customer_data.c */
http_handler_fn callback_token_post, callback_webhook_post;    /* callbacks.c */
http_handler_fn receipt_confirmation_post, receipt_validation_post, receipt_register,
    payment_qr; /* receipts.c */
http_handler_fn endpoint_create, endpoint_index, endpoint_show, endpoint_change, endpoint_remove,
    endpoint_rotate, endpoint_recover, endpoint_default;        /* webhooks.c */
http_handler_fn delivery_index, delivery_show, delivery_replay; /* deliveries.c */
http_handler_fn inbound_index, inbound_show, inbound_replay;    /* provider_events.c */
http_handler_fn provider_config_post, provider_config_index;    /* provider_config.c */
http_handler_fn provider_balance;                               /* balance.c */
http_handler_fn auth_login, auth_refresh, auth_logout, auth_me, auth_password, auth_totp_enrol,
    auth_totp_confirm, auth_totp_disable; /* auth.c */
http_handler_fn auth_firebase;            /* firebase.c */
http_handler_fn member_index, member_invite, member_change, member_remove, member_confirm,
    invitation_accept; /* members.c */
http_handler_fn merchant_index, merchant_create, merchant_show, merchant_change, merchant_own,
    merchant_change_own, merchant_activate, merchant_suspend, merchant_close; /* merchants.c */
http_handler_fn page_livez, page_readyz, page_health, page_health_detailed, page_metrics,
    page_openapi, page_docs, page_docs_file, page_errors, provider_index; /* pages.c */
http_handler_fn api_key_create, api_key_index, api_key_show, api_key_change, api_key_rotate,
    api_key_revoke;                                               /* api_keys.c */
http_handler_fn security_index;                                   /* security.c */
http_handler_fn maintenance_show, maintenance_put;                /* maintenance.c */
http_handler_fn limit_index, limit_put;                           /* limits.c */
http_handler_fn route_index, route_put;                           /* route_rules.c */
http_handler_fn socket_transaction, socket_user, socket_merchant; /* ws/upgrade.c */
http_handler_fn payment_events, merchant_events;                  /* ws/event_stream.c */
http_handler_fn socket_ticket;                                    /* ws/ticket.c */

#endif
