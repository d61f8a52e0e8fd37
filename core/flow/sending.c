/* Between the commit that a request is on its way and its first byte. */
#include "core/flow/sending.h"

struct err sending_in_time(int64_t now_us, int64_t sent_at_us, int64_t lease_us)
{
    return now_us >= sent_at_us + lease_us ? ERR(TIMEOUT, "not sent in time") : ERR_OK;
}

struct gw_result sending_not_started(struct err err)
{
    bool wrong = err.code == ERR_INVALID || err.code == ERR_CONFIG;
    return (struct gw_result){
        .verdict = GW_REFUSED,
        .code = wrong ? FAILURE_CONFIGURATION : FAILURE_PROVIDER_UNAVAILABLE,
        .message = err.what != NULL ? str_c(err.what) : STR(""),
    };
}
