#ifndef RELI_GATEWAYS_GATEWAY_H
#define RELI_GATEWAYS_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/address.h"
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/money.h"
#include "core/base/secret.h"
#include "core/base/str.h"
#include "core/domain/failure.h"
#include "core/domain/refund.h"
#include "gateways/outbound.h"

/* What a provider is to the rest of reli: capabilities as data, and pure functions that build
 * requests and read answers. gateways/client.c sends them; no gateway does I/O. To add one: write
 * name.c with a `const struct gateway`, name it in registry.c, describe it in name.md. */

/* The longest provider_ref and receipt that reli stores; a longer one is not believed. */
enum { GW_REF_MAX = 128 };

/* Which member of a request that configures an account a setting is, whatever the provider calls
 * it; the others are members of its `config`, by their own name. */
enum gw_role { GW_ROLE_NONE, GW_ROLE_API_KEY, GW_ROLE_API_SECRET, GW_ROLE_WEBHOOK_SECRET };

struct gw_setting {
    const char *name; /* environment variable without the provider's prefix, lower case */
    bool secret;
    bool required;
    enum gw_role role;
    bool file; /* of the installation it may be the path of a file, of a merchant never */
};

/* A number that a provider's documents leave open: what we believe, unless the installation knows
 * better. The same for all accounts. It is corrected by the environment, before anything is asked.
 */
struct gw_fact {
    const char *name;  /* as gw_setting.name */
    uint16_t currency; /* an amount, in minor units; 0: a plain number */
    int64_t least, most, step;
    int64_t *value;
};

/* One of a merchant's accounts with a provider: settings in the order of gateway.settings. */
enum { GW_MAX_SETTINGS = 16 };
struct gw_account {
    const struct gateway *gateway;
    char id[40];         /* for the caches: token, limits */
    struct str base_url; /* without a trailing slash */
    struct secret settings[GW_MAX_SETTINGS];
    int64_t timeout_us;
    struct cidr_list callback_cidrs; /* where its callbacks come from; empty: anywhere */
    int rate_per_s;   /* requests a second that the provider takes from this account; 0 no limit */
    bool public_only; /* base_url is a stranger's: https to public addresses and nothing else */
};
/* The value of a setting, STR_NULL if unset. */
struct str gw_setting(const struct gw_account *account, const char *name);

/* A payment to be asked for. */
struct gw_charge {
    struct money amount;
    struct str method;       /* of gateway.methods; "" the gateway's choice */
    struct str method_token; /* the provider's word for what the customer pays with, "" if none */
    struct str phone;        /* E.164, "" if none */
    struct str email;        /* "" if none */
    struct str pay_code;     /* what people see and type: 12 letters and digits */
    struct str our_id;       /* of the attempt, unique for ever: up to 64 letters, digits and - */
    struct str description;
    struct str return_url;   /* where the customer's browser goes back to, "" if none */
    struct str callback_url; /* carries the attempt's token */
    struct str trace;        /* traceparent, which the client sends along; "" if none */
    int64_t expires_us;      /* wall */
    int64_t now_us;          /* wall */
};

/* The provider's word on an attempt, from the answer to the request, a query or a callback. */
enum gw_verdict {
    GW_ACCEPTED,  /* taken, outcome to come; provider_ref set */
    GW_REFUSED,   /* the request itself was definitely not taken */
    GW_UNKNOWN,   /* nothing certain is said: may or may not have been taken (request); ask again
                     (query); ask by query (callback) */
    GW_PENDING,   /* query or callback: not decided yet */
    GW_SUCCEEDED, /* money has moved */
    GW_FAILED,    /* it ended without money */
    GW_REVERSED,  /* a payment that had succeeded was taken back, unasked (a dispute lost); a payout
                     that had succeeded came back */
    GW_NOT_FOUND, /* query: the provider knows no such attempt */
    GW_TOKEN_REJECTED, /* the access token was refused before anything was done: client.c fetches
                          anew, once */
};

/* What a webhook says of a payment that the customer disputes with his bank. LOST with GW_REVERSED:
 * he has the money back. */
enum gw_dispute_state { GW_DISPUTE_OPEN, GW_DISPUTE_WON, GW_DISPUTE_LOST };

struct gw_dispute {
    struct str id; /* the provider's, "": there is none */
    enum gw_dispute_state state;
    struct str status, reason; /* the provider's own words, "" if it has none */
    struct money amount;       /* currency 0: the whole payment */
    int64_t due_us;            /* until then evidence is taken; 0: not told */
};

/* What an account has at its provider. */
struct gw_balance {
    struct str name;        /* which of its accounts there, "" the only one */
    struct money available; /* may be below zero */
    struct money pending;   /* to come; currency 0: not told */
};
enum { GW_MAX_BALANCES = 32 };
struct gw_balances {
    size_t n;
    struct gw_balance list[GW_MAX_BALANCES];
};

struct gw_result {
    enum gw_verdict verdict;
    bool sure;                /* GW_FAILED: believed even before the customer's time is up */
    bool retry_later;         /* GW_REFUSED or query: not accepted for lack of capacity; GW_FAILED
                                 of a refund: accepted, and then not carried out for it */
    enum failure_code code;   /* REFUSED, FAILED; CONFIGURATION with UNKNOWN, of a question: the
                                 account's keys were refused */
    struct str provider_code; /* the provider's own code, as text */
    struct str message;       /* the provider's words, cut to 200 bytes, valid UTF-8 */
    struct str provider_ref;
    struct str our_id; /* that the provider says it is about, "" if it does not say; an answer to a
                          charge is believed only about its own */
    struct str receipt;
    struct str next_action; /* GW_ACCEPTED, GW_PENDING: what the customer has to do now, a JSON
                               object of contract.md, section 4; "" nothing but wait */
    struct money amount;    /* what the provider says was paid; currency 0 when it does not say */
    struct str phone;       /* E.164 as reported, "" if not */
    struct str image;       /* qr_parse: base64 of a PNG */
    bool acted; /* GW_PENDING: the customer has done his part, the provider is at work */
    struct gw_dispute dispute;          /* webhook: beside the verdict */
    const struct gw_balances *balances; /* balance: GW_SUCCEEDED */
    const char *why;                    /* GW_UNKNOWN: static words for the log */
};

/* Money that has to go back, over one rail. */
struct gw_refund {
    enum refund_rail rail;
    struct money amount;
    struct str payment_receipt; /* the provider's proof of the payment */
    struct str payment_ref;     /* the provider's reference of the payment */
    struct str phone;           /* E.164, "" if none */
    struct str our_id;          /* of this attempt, unique, for providers that de-duplicate by it */
    struct str remarks;
    struct str callback_url; /* carries the attempt's token; see gw_callback.kind */
    struct str trace;        /* traceparent, which the client sends along; "" if none */
    int64_t now_us;
};

/* Money that goes to somebody's mobile money or wallet. */
struct gw_payout {
    struct money amount;
    struct str phone;  /* E.164 */
    struct str name;   /* of who gets it, "" if not told */
    struct str our_id; /* of this attempt, unique for ever */
    /* GW_PURPOSE_…, "" business; a provider that has no words for them ignores it */
    struct str purpose;
    struct str remarks;
    struct str callback_url; /* carries the attempt's token; see gw_callback.kind */
    struct str trace;        /* traceparent, which the client sends along; "" if none */
    int64_t now_us;
};
#define GW_PURPOSE_BUSINESS "business"
#define GW_PURPOSE_SALARY "salary"
#define GW_PURPOSE_PROMOTION "promotion"
#define GW_PURPOSE_REFUND "refund" /* what gw_refund_build says: nobody else asks for it */

/* Something to be done about a payment that the provider has. */
struct gw_act {
    struct str provider_ref;
    struct str code; /* confirm_build: what the customer was sent, 4 to 10 digits */
    struct str key;  /* of this request alone, 36 characters, for providers that de-duplicate */
    int64_t now_us;
};

/* The question what an account has. Where the answer comes later, to callback_url with a dot and a
 * word behind it that begins with GW_BALANCE_KIND. */
#define GW_BALANCE_KIND "balance"
struct gw_balance_ask {
    struct str callback_url; /* carries the account's token */
    int64_t now_us;
};

/* A callback that came to an attempt's URL. A gateway that has to tell several kinds of callbacks
 * apart gives out callback_url with a dot and a word of at most 16 lower-case letters behind it. */
struct gw_callback {
    struct str body;
    struct str content_type;
    struct str kind; /* that word, "" of callback_url itself */
};

/* A webhook that came to the account's URL, as providers sign them. */
struct gw_webhook {
    struct str body;
    struct str signature, timestamp; /* of the headers that the gateway names, "" if absent */
    int64_t now_us;                  /* wall */
};

/* A code that a customer scans to send money by himself. */
struct gw_qr {
    struct money amount;
    struct str pay_code; /* comes back as gw_receipt.reference */
};

/* Where an account's provider is to bring money that customers send unasked: to the first once it
 * has moved, to the second before, if it asks at all. Both carry the account's token. */
struct gw_register {
    struct str paid_url, check_url;
};

/* Such money, or what a customer is about to send. */
struct gw_receipt {
    struct str receipt;   /* the provider's proof */
    struct str reference; /* what the customer typed: trimmed, cut to 64 bytes, valid UTF-8; "" */
    struct money amount;
    struct str payer_phone; /* E.164, or masked as the provider shows it; "" if not told */
    struct str payer_name;  /* "" if not told */
};

/* What is said to a provider who asks whether a customer may send it. */
enum gw_check { GW_CHECK_ACCEPT, GW_CHECK_REFERENCE, GW_CHECK_AMOUNT, GW_CHECK_OTHER, GW_CHECK_N };

/* Older paths of the public API that name a provider. */
enum gw_alias_of { GW_ALIAS_CREATE, GW_ALIAS_CALLBACK, GW_ALIAS_PAID, GW_ALIAS_CHECK };
struct gw_alias {
    const char *path; /* NULL at the end */
    enum gw_alias_of of;
};

struct gateway {
    const char *name;       /* "cash" */
    const char *title;      /* "Cash on delivery" */
    const char *env_prefix; /* "CASH_" of the environment variables; NULL without settings */
    const char *default_base_url;
    const char *methods;          /* "cash" by commas; the first is the default */
    const char *currencies;       /* "KES" by commas; "" any */
    const char *countries;        /* "KE" by commas; "" any */
    int64_t min_minor, max_minor; /* of its currency; 0 none */
    bool manual;                  /* no outbound call: a person collects and confirms */
    bool needs_phone;
    bool whole_units;        /* no cents */
    bool not_found_is_final; /* domain.md 2.2 */
    bool may_resend;         /* the provider de-duplicates by our id */
    bool may_revoke; /* of a refund or payout that has succeeded it may say that it failed after
                        all, and that is the end of it */
    /* questions about refunds, payouts and the balance carry the operator's password, as the orders
     * do; too many wrong ones lock him */
    bool asked_by_operator;
    bool our_id_is_ref; /* a charge can be asked for by our_id while provider_ref is unknown */
    /* Methods, by commas, that can be charged with gw_charge.method_token; NULL: none. What is
     * asked for so is another thing at the provider: token_ref and a dot stand before our_id then.
     */
    const char *token_methods, *token_ref;
    const char *action; /* next_action.type after acceptance: "approve_on_phone", "collect_cash" */
    int64_t prompt_window_us; /* the customer's time; before it ends only sure failures count */
    int64_t expiry_us;        /* default life of a payment */

    const struct gw_alias *aliases; /* NULL without */
    const struct gw_setting *settings;
    size_t n_settings;
    const struct gw_fact *facts;
    size_t n_facts;
    /* Whether the values can be right, before anything is asked for with them; NULL without.
     * ERR_INVALID: `*setting` names the wrong one, `what` says in words what is wrong. */
    struct err (*account_check)(const struct gw_account *a, struct arena *mem,
                                const char **setting);

    /* Access token (OAuth client credentials); NULL without. parse gives the token and its life. */
    struct err (*token_build)(const struct gw_account *a, struct arena *mem,
                              struct outbound_request *out);
    struct err (*token_parse)(const struct outbound_response *in, struct arena *mem,
                              struct str *token, int64_t *life_us);

    /* ERR_INVALID (what = static words) if the request cannot be built: the payment then fails
     * before anything is sent. `token` is empty when token_build is NULL. */
    struct err (*charge_build)(const struct gw_account *a, const struct gw_charge *in,
                               struct str token, struct arena *mem, struct outbound_request *out);
    void (*charge_parse)(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out);

    struct err (*query_build)(const struct gw_account *a, struct str provider_ref, int64_t now_us,
                              struct str token, struct arena *mem, struct outbound_request *out);
    void (*query_parse)(const struct gw_account *a, const struct outbound_response *in,
                        struct arena *mem, struct gw_result *out);

    /* Hands the customer's one-time code on, and takes a payment back before it is paid; NULL
     * without. The result tells how the payment stands afterwards, in a query's words: GW_PENDING
     * (of a code that was right with `acted`; of a payment that was not taken back without),
     * GW_SUCCEEDED, GW_FAILED with `sure` (taken back: FAILURE_CANCELLED_BY_CUSTOMER). GW_REFUSED:
     * nothing was done, it stands as before; a wrong code is FAILURE_WRONG_PIN. GW_UNKNOWN: it has
     * to be asked. ERR_INVALID if it cannot be done by this provider_ref. */
    struct err (*confirm_build)(const struct gw_account *a, const struct gw_act *in,
                                struct str token, struct arena *mem, struct outbound_request *out);
    void (*confirm_parse)(const struct gw_account *a, const struct outbound_response *in,
                          struct arena *mem, struct gw_result *out);
    struct err (*cancel_build)(const struct gw_account *a, const struct gw_act *in,
                               struct str token, struct arena *mem, struct outbound_request *out);
    void (*cancel_parse)(const struct gw_account *a, const struct outbound_response *in,
                         struct arena *mem, struct gw_result *out);

    /* Ways to give money back, in the order in which they are tried; 0 without: an operator's task.
     */
    int n_refund_rails;
    enum refund_rail refund_rails[4];
    /* Set of 1u << rail: gw_refund.our_id is the provider's reference of such a refund, so that it
     * can be asked for although its answer was lost. Of REFUND_RAIL_PAYOUT payout_our_id_is_ref
     * says it: see gw_refund_our_id_is_ref. */
    unsigned our_id_rails;
    /* As charge_build and charge_parse, for the rails but REFUND_RAIL_PAYOUT: a refund over that
     * one is a payout (gw_refund_build and the others below choose). NULL if there are no others.
     */
    struct err (*refund_build)(const struct gw_account *a, const struct gw_refund *in,
                               struct str token, struct arena *mem, struct outbound_request *out);
    void (*refund_parse)(const struct gw_account *a, const struct gw_refund *in,
                         const struct outbound_response *answer, struct arena *mem,
                         struct gw_result *out);
    /* Asks what became of it. GW_PENDING if the provider will tell by callback. */
    struct err (*refund_query_build)(const struct gw_account *a, const struct gw_refund *in,
                                     struct str provider_ref, struct str token, struct arena *mem,
                                     struct outbound_request *out);
    void (*refund_query_parse)(const struct gw_account *a, const struct outbound_response *in,
                               struct arena *mem, struct gw_result *out);
    /* Reads a callback about a refund, over any rail; ERR_PARSE if it is not one. */
    struct err (*refund_callback_parse)(const struct gw_callback *in, struct arena *mem,
                                        struct gw_result *out);

    /* Money out, NULL without. Limits are of its currency, 0 none. payout_may_resend: the provider
     * de-duplicates by our_id; payout_our_id_is_ref: our_id is its reference, so that a payout can
     * be asked for although its answer was lost. */
    int64_t payout_min_minor, payout_max_minor;
    bool payout_may_resend, payout_our_id_is_ref;
    /* As charge_build and charge_parse: GW_ACCEPTED, GW_REFUSED or GW_UNKNOWN, and GW_SUCCEEDED or
     * GW_FAILED of one that ended at once. */
    struct err (*payout_build)(const struct gw_account *a, const struct gw_payout *in,
                               struct str token, struct arena *mem, struct outbound_request *out);
    void (*payout_parse)(const struct gw_account *a, const struct gw_payout *in,
                         const struct outbound_response *answer, struct arena *mem,
                         struct gw_result *out);
    /* Asks what became of it. GW_PENDING, too, if the provider will tell by callback. */
    struct err (*payout_query_build)(const struct gw_account *a, const struct gw_payout *in,
                                     struct str provider_ref, struct str token, struct arena *mem,
                                     struct outbound_request *out);
    void (*payout_query_parse)(const struct gw_account *a, const struct outbound_response *in,
                               struct arena *mem, struct gw_result *out);
    /* Reads a callback about a payout; ERR_PARSE if it is not one. */
    struct err (*payout_callback_parse)(const struct gw_callback *in, struct arena *mem,
                                        struct gw_result *out);

    /* Reads a callback; ERR_PARSE if it is not one of this provider's. */
    struct err (*callback_parse)(const struct gw_callback *in, struct arena *mem,
                                 struct gw_result *out);
    /* Webhooks to the account's URL, NULL without. verify: ERR_UNAUTHENTICATED if it was not made
     * with the account's secret, or too long ago; nothing of the body is believed before.
     * ERR_NOT_FOUND: it is genuine, and not about this account. subject:
     * the our_id of the gw_charge, gw_refund or gw_payout that it is about, ERR_PARSE if it is
     * about none. callback_parse, refund_callback_parse or payout_callback_parse then read it.
     * about, NULL without: of a webhook that does not say our_id, a provider_ref by which a query
     * learns it; ERR_PARSE if it has none. */
    const char *signature_header, *timestamp_header; /* lower case; NULL: none */
    struct err (*webhook_verify)(const struct gw_account *a, const struct gw_webhook *in);
    struct err (*webhook_subject)(struct str body, struct arena *mem, struct str *our_id);
    struct err (*webhook_about)(struct str body, struct arena *mem, struct str *provider_ref);
    /* Money sent unasked, NULL without. GW_ACCEPTED; GW_FAILED with FAILURE_DUPLICATE: something is
     * registered there already, which need not be ours. */
    struct err (*register_build)(const struct gw_account *a, const struct gw_register *in,
                                 struct str token, struct arena *mem, struct outbound_request *out);
    void (*register_parse)(const struct gw_account *a, const struct outbound_response *in,
                           struct arena *mem, struct gw_result *out);
    /* Reads the news and the question alike; ERR_PARSE if it is not this account's. */
    struct err (*receipt_parse)(const struct gw_account *a, struct str body, struct arena *mem,
                                struct gw_receipt *out);
    const char *receipt_ack;               /* as callback_ack, to the news */
    const char *check_answers[GW_CHECK_N]; /* to the question */
    const char *check_setting; /* of the account: "reject" asks who it is for before it is taken */

    /* A picture that customers scan, NULL without. Moves nothing. GW_ACCEPTED with an image. */
    struct err (*qr_build)(const struct gw_account *a, const struct gw_qr *in, struct str token,
                           struct arena *mem, struct outbound_request *out);
    void (*qr_parse)(const struct gw_account *a, const struct outbound_response *in,
                     struct arena *mem, struct gw_result *out);

    /* What the account has, NULL without. Moves nothing. GW_SUCCEEDED with balances; GW_ACCEPTED
     * with the provider_ref of the question: callback_parse will tell (GW_SUCCEEDED, GW_FAILED or,
     * when nobody knows, GW_UNKNOWN; ERR_PARSE: it is no answer of the kind). */
    struct err (*balance_build)(const struct gw_account *a, const struct gw_balance_ask *in,
                                struct str token, struct arena *mem, struct outbound_request *out);
    void (*balance_parse)(const struct gw_account *a, const struct outbound_response *in,
                          struct arena *mem, struct gw_result *out);
    struct err (*balance_callback_parse)(const struct gw_callback *in, struct arena *mem,
                                         struct gw_result *out);

    /* The provider's own words of thanks. */
    const char *callback_ack_type, *callback_ack;
    /* A status that needs a 200 although the body was not understood: same. */

    /* Masks secrets and personal data in a body before it is stored; NULL stores it as it is. */
    void (*redact)(struct str body, struct buf *out);
};

/* Whether the customer has to act elsewhere before anything goes on: the payment waits for him. A
 * prompt on his phone is under way by itself. */
bool gw_asks(const struct gw_result *r);

/* What a refund's rail does: that of a payout is the gateway's own payout, for the others it has
 * refund_build and its like. ERR_INVALID if it has no such rail. */
struct err gw_refund_build(const struct gw_account *a, const struct gw_refund *in, struct str token,
                           struct arena *mem, struct outbound_request *out) MUST_USE;
void gw_refund_parse(const struct gw_account *a, const struct gw_refund *in,
                     const struct outbound_response *answer, struct arena *mem,
                     struct gw_result *out);
struct err gw_refund_query_build(const struct gw_account *a, const struct gw_refund *in,
                                 struct str provider_ref, struct str token, struct arena *mem,
                                 struct outbound_request *out) MUST_USE;
void gw_refund_query_parse(const struct gw_account *a, const struct gw_refund *in,
                           const struct outbound_response *answer, struct arena *mem,
                           struct gw_result *out);
/* Whether such a refund can be asked for by our_id while the provider's reference is unknown. */
static inline bool gw_refund_our_id_is_ref(const struct gateway *g, enum refund_rail rail)
{
    return rail == REFUND_RAIL_PAYOUT ? g->payout_our_id_is_ref
                                      : (g->our_id_rails >> rail & 1) != 0;
}

/* Whether the provider knows such a refund again by our_id, and does not pay it twice. */
static inline bool gw_refund_may_resend(const struct gateway *g, enum refund_rail rail)
{
    return rail == REFUND_RAIL_PAYOUT ? g->payout_may_resend
                                      : g->may_resend && gw_refund_our_id_is_ref(g, rail);
}

/* All gateways, NULL at the end. */
extern const struct gateway *const gateways[];
const struct gateway *gateway_find(struct str name);
/* The gateway that offers a payment method. */
const struct gateway *gateway_for_method(struct str method);
/* Our id in a reference that may be one of our own making: what is behind its last dot. */
static inline struct str gw_our_id_of(struct str provider_ref)
{
    size_t n = provider_ref.n;
    while (n > 0 && provider_ref.p[n - 1] != '.')
        n--;
    return str_from(provider_ref, n);
}
/* Whether `word` is in the list by commas; an empty list has everything. */
bool gateway_lists(const char *list, struct str word);

#endif
