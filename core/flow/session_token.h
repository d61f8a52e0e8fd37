#ifndef RELI_FLOW_SESSION_TOKEN_H
#define RELI_FLOW_SESSION_TOKEN_H

#include "core/flow/session.h"

/* The two tokens of a session. */

/* "rrt_" and lower hex of session ‖ generation ‖ 16 bytes of HMAC. */
void session_refresh_make(struct vault *v, struct uuid session, int32_t generation,
                          char out[SESSION_REFRESH_LEN + 1]);
bool session_refresh_read(struct vault *v, struct str token, struct uuid *session,
                          int32_t *generation) MUST_USE;
/* ERR_UNAVAILABLE if there is no JWT_SECRET_KEY. */
struct err session_access_make(const struct session_rules *rules, struct arena *a, struct uuid user,
                               struct uuid session, int64_t now_us, int64_t until_us,
                               struct str *out) MUST_USE;
/* ERR_UNAUTHENTICATED. */
struct err session_access_read(const struct session_rules *rules, struct str token, int64_t now_us,
                               struct uuid *user, struct uuid *session) MUST_USE;

#endif
