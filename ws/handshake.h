#ifndef RELI_WS_HANDSHAKE_H
#define RELI_WS_HANDSHAKE_H

#include "http/server.h"

/* The opening handshake of RFC 6455, section 4. No subprotocol and no extension is agreed to,
 * whatever is offered. */

/* Whether the request asks for a WebSocket as it has to; else it has been answered. */
bool handshake_asked(struct http_exchange *x);
/* Answers 101 to a request that has passed handshake_asked: the exchange is gone. NULL: the client
 * too. */
struct stream *handshake_finish(struct http_exchange *x);

enum { HANDSHAKE_ACCEPT = 29 };
/* The value of Sec-WebSocket-Accept for a key; false if the key is not 16 bytes in base64. */
bool handshake_accept(struct str key, char out[HANDSHAKE_ACCEPT]);

#endif
