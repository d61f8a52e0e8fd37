/* Options of the sandbox from the environment. */
#include "gateways/sandbox/env.h"

#include <stdlib.h>

static struct str text(const char *name)
{
    const char *v = getenv(name);
    return v != NULL ? str_c(v) : STR("");
}

struct sandbox_options sandbox_options_env(void)
{
    return (struct sandbox_options){
        .listen = text("RELI_SANDBOX_LISTEN"),
        .settings = text("RELI_SANDBOX_SETTINGS"),
        .mpesa_consumer_key = getenv("SANDBOX_MPESA_CONSUMER_KEY"),
        .mpesa_consumer_secret = getenv("SANDBOX_MPESA_CONSUMER_SECRET"),
        .mpesa_shortcode = getenv("SANDBOX_MPESA_SHORTCODE"),
        .mpesa_passkey = getenv("SANDBOX_MPESA_PASSKEY"),
        .mpesa_till_store = getenv("SANDBOX_MPESA_TILL_STORE"),
        .mpesa_till = getenv("SANDBOX_MPESA_TILL"),
        .mpesa_till_passkey = getenv("SANDBOX_MPESA_TILL_PASSKEY"),
        .mpesa_b2c_shortcode = getenv("SANDBOX_MPESA_B2C_SHORTCODE"),
        .mpesa_initiator_name = getenv("SANDBOX_MPESA_INITIATOR_NAME"),
        .mpesa_initiator_password = getenv("SANDBOX_MPESA_INITIATOR_PASSWORD"),
        .mpesa_certificate_out = getenv("SANDBOX_MPESA_CERTIFICATE_OUT"),
        .cpay_api_key = getenv("SANDBOX_CPAY_API_KEY"),
        .cpay_webhook_secret = getenv("SANDBOX_CPAY_WEBHOOK_SECRET"),
        .cpay_webhook_url = getenv("SANDBOX_CPAY_WEBHOOK_URL"),
        .stripe_api_key = getenv("SANDBOX_STRIPE_API_KEY"),
        .stripe_webhook_secret = getenv("SANDBOX_STRIPE_WEBHOOK_SECRET"),
        .stripe_webhook_url = getenv("SANDBOX_STRIPE_WEBHOOK_URL"),
        .firebase_project_id = getenv("SANDBOX_FIREBASE_PROJECT_ID"),
    };
}
