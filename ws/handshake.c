/* Whether a request is the beginning of a WebSocket, looked at before who may watch what: it costs
 * nothing. */
#include "ws/handshake.h"

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/crypto/mac.h"
#include "core/crypto/text.h"

bool handshake_asked(struct http_exchange *x)
{
    char accept[HANDSHAKE_ACCEPT];
    if (x->method != HTTP_GET_ || !http_asks_for(x, STR("websocket")) ||
        !str_eq(http_header(x, STR("sec-websocket-version")), STR("13"))) {
        http_set_header(x, STR("Upgrade"), STR("websocket"));
        http_set_header(x, STR("Sec-WebSocket-Version"), STR("13"));
        http_problem(x, ERR(UPGRADE_REQUIRED, NULL),
                     "This is a WebSocket of version 13; ask for an upgrade.");
        return false;
    }
    if (!handshake_accept(http_header(x, STR("sec-websocket-key")), accept)) {
        http_problem(x, ERR(BAD_REQUEST, NULL), "Sec-WebSocket-Key is missing or wrong.");
        return false;
    }
    return true;
}

struct stream *handshake_finish(struct http_exchange *x)
{
    char accept[HANDSHAKE_ACCEPT];
    if (!handshake_accept(http_header(x, STR("sec-websocket-key")), accept)) {
        http_problem(x, ERR(BAD_REQUEST, NULL), "Sec-WebSocket-Key is missing or wrong.");
        return NULL;
    }
    http_set_header(x, STR("Upgrade"), STR("websocket"));
    http_set_header(x, STR("Sec-WebSocket-Accept"), str_c(accept));
    return http_upgrade(x);
}

bool handshake_accept(struct str key, char out[HANDSHAKE_ACCEPT])
{
    uint8_t digest[SHA1_LEN];
    struct arena a;
    struct buf b;
    arena_init(&a, 4096);
    bool ok = base64_decode(&a, key).n == 16;
    buf_init(&b, 256);
    buf_str(&b, key);
    buf_c(&b, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* RFC 6455, section 1.3 */
    sha1_one(buf_view(&b), digest);
    buf_reset(&b);
    if (ok)
        base64_add(&b, str_n((char *)digest, sizeof digest));
    str_copy_c(out, HANDSHAKE_ACCEPT, buf_view(&b));
    buf_free(&b);
    arena_free(&a);
    return ok;
}
