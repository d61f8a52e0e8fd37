#ifndef RELI_CRYPTO_TLS_ASK_H
#define RELI_CRYPTO_TLS_ASK_H

#include <stddef.h>
#include <sys/types.h>

#include "core/base/str.h"

/* Asks our own service through TLS, for a command that may wait: sends `question`, gives the length
 * of what comes first, -1 if nothing does. Whose certificate it is is not looked at: the question
 * holds no secret, and the answer decides nothing but whether to wait on. */
ssize_t tls_ask(int fd, struct str question, char *answer, size_t room);

#endif
