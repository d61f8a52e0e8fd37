#ifndef RELI_GATEWAYS_SANDBOX_SANDBOX_H
#define RELI_GATEWAYS_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/attr.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/loop/loop.h"

/* Every provider simulated over real HTTP, each under a prefix of its own; README.md beside this
 * file lists the outcomes and the settings. Shares nothing with the adapters: it is written from
 * the providers' documents, so that both sides have to agree with those. */
struct sandbox;

/* Texts are borrowed for the call of sandbox_new; NULL or empty stands for the default. */
struct sandbox_options {
    struct str listen;   /* as in http_server_listen; default "127.0.0.1:8090" */
    struct str settings; /* a JSON object as POST /_sandbox/chaos takes it: the state after a start
                            and after a reset */
    const char *mpesa_consumer_key;
    const char *mpesa_consumer_secret;
    const char *mpesa_shortcode; /* a pay bill */
    const char *mpesa_passkey;
    const char *mpesa_till_store; /* the store number of the till below */
    const char *mpesa_till;
    const char *mpesa_till_passkey;
    const char *mpesa_b2c_shortcode; /* pays out, as the other two do */
    const char *mpesa_initiator_name;
    const char *mpesa_initiator_password;
    const char *mpesa_certificate_out; /* file that gets the certificate of SecurityCredential */
    const char *cpay_api_key;          /* "cpk_…:cps_…" */
    const char *cpay_webhook_secret;   /* "cpw_…" */
    const char *cpay_webhook_url;
    const char *stripe_api_key;        /* "sk_test_…" */
    const char *stripe_webhook_secret; /* "whsec_…", several by commas */
    const char *stripe_webhook_url;
    const char *firebase_project_id;
    bool access_log;
};

/* Listens when it returns. ERR_CONFIG for bad settings, ERR_IO, ERR_NO_MEMORY. Asks for
 * crypto_open. */
struct err sandbox_new(struct loop *l, const struct sandbox_options *o,
                       struct sandbox **out) MUST_USE;
int sandbox_port(const struct sandbox *s);
/* Stops listening and cuts the answers that are held back; `done` as in http_server_drain. */
void sandbox_drain(struct sandbox *s, int64_t timeout_us, loop_fn *done, void *ctx);
/* After the drain. NULL is fine. */
void sandbox_free(struct sandbox *s);

#endif
