#ifndef RELI_STORE_REDIS_PING_H
#define RELI_STORE_REDIS_PING_H

#include "core/base/err.h"

/* Whether Redis answers there, asked synchronously: for the command line. ERR_CONFIG for what is no
 * address, ERR_UNAVAILABLE if it cannot be reached within five seconds, ERR_UNAUTHENTICATED if it
 * does not take us. */
struct err redis_ping_once(const char *url) MUST_USE;

#endif
