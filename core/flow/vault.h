#ifndef RELI_FLOW_VAULT_H
#define RELI_FLOW_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/uuid.h"

/* The installation's keys: AES data keys that seal what is personal or secret in the database, and
 * one HMAC key under which API keys are hashed and tokens are made. They are random and stored
 * wrapped by RELI_MASTER_KEY, so that changing the master key changes none of them. */
struct vault;

enum { VAULT_MASTER_MAX = 4, VAULT_KEY_LEN = 32 };

/* `master` is RELI_MASTER_KEY: "id:base64" by commas, ids of 1 to 32 characters; the first wraps,
 * all unwrap. ERR_CONFIG if it is not such a text. */
struct err vault_new(struct str master, struct vault **out) MUST_USE;
void vault_free(struct vault *v);

/* The stored form of a new random key. */
struct err vault_make_wrapped(struct vault *v, struct buf *out) MUST_USE;
/* The stored form of a stored key under the first master key, appended to `out` when it is
 * `*needed`: not when it has that one already. ERR_CRYPTO if no master key opens it. */
struct err vault_rewrap(struct vault *v, struct str wrapped, struct buf *out,
                        bool *needed) MUST_USE;
/* Takes a stored key in: `kind` "data" or "hmac"; one that is known already is left as it is.
 * Unless vault_seal_by says otherwise the data key with the highest number seals. ERR_CRYPTO if no
 * master key opens it. */
struct err vault_add(struct vault *v, struct str kind, int32_t number, struct str wrapped) MUST_USE;
/* From now on this data key seals, if it is there; all of them open. */
void vault_seal_by(struct vault *v, int32_t number);
/* The number of the data key that seals. */
int32_t vault_sealing(const struct vault *v);
/* How a text begins that the data key has sealed. */
enum { VAULT_MARK = 5 };
void vault_mark(int32_t number, uint8_t out[VAULT_MARK]);
/* Both kinds are there. */
bool vault_ready(const struct vault *v);

/* Seals for one place: `table.column`, the tenant and the row's id. Appends to `out`. */
struct err vault_seal(struct vault *v, const char *place, struct uuid merchant, struct uuid row,
                      struct str plain, struct buf *out) MUST_USE;
/* ERR_CRYPTO if it was not sealed for this very place, or by a key that is not there. The plain
 * text lives in the arena. */
struct err vault_open(struct vault *v, const char *place, struct uuid merchant, struct uuid row,
                      struct str sealed, struct arena *a, struct str *plain) MUST_USE;

/* HMAC-SHA256 of an API key: what the database knows of it. */
void vault_hash(struct vault *v, const char *purpose, struct str text, uint8_t out[32]);
/* That of a route, for the purpose "fingerprint"; the last one is remembered, since few come often.
 */
void vault_route_hash(struct vault *v, struct str route, uint8_t out[32]);

/* ---- tokens in URLs ---- */

enum { CALLBACK_TOKEN_LEN = 96, CLIENT_TOKEN_LEN = 4 + 114 };

/* Lower hex of subject ‖ merchant ‖ 16 bytes of HMAC (contract.md, section 6). The HMAC covers the
 * provider's name too: a token is good for the one that it was given to. */
void callback_token_make(struct vault *v, const char *provider, struct uuid subject,
                         struct uuid merchant, char out[CALLBACK_TOKEN_LEN + 1]);
bool callback_token_read(struct vault *v, const char *provider, struct str token,
                         struct uuid *subject, struct uuid *merchant) MUST_USE;

/* "rct_" and lower hex of payment ‖ merchant ‖ mode ‖ expiry ‖ HMAC: reads and watches one payment.
 * Equal input, equal token. */
struct client_token {
    struct uuid payment, merchant;
    bool live;
    int64_t expires_us; /* wall; kept in whole seconds */
};
void client_token_make(struct vault *v, const struct client_token *t,
                       char out[CLIENT_TOKEN_LEN + 1]);
/* False if it is forged or expired at `now_us`. */
bool client_token_read(struct vault *v, struct str token, int64_t now_us,
                       struct client_token *out) MUST_USE;

/* "wst_" and lower hex of id ‖ subject ‖ merchant ‖ session ‖ key ‖ channel and mode ‖ expiry ‖
 * HMAC: opens one WebSocket, by leave of the session or API key that it was given to. That it is
 * used once is the database's matter. */
enum { SIGNED_TICKET_LEN = 4 + 210 };
enum ticket_channel { TICKET_PAYMENT, TICKET_CUSTOMER, TICKET_MERCHANT };
struct signed_ticket {
    struct uuid id;
    enum ticket_channel channel;
    struct uuid subject; /* the payment, or the hash of a customer; nil with the merchant's */
    struct uuid merchant, session, key;
    bool live;
    int64_t expires_us; /* wall; kept in whole seconds */
};
void signed_ticket_make(struct vault *v, const struct signed_ticket *t,
                        char out[SIGNED_TICKET_LEN + 1]);
bool signed_ticket_read(struct vault *v, struct str token, int64_t now_us,
                        struct signed_ticket *out) MUST_USE;

#endif
