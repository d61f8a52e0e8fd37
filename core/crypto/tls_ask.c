/* A client of one question, by OpenSSL. */
#include "core/crypto/tls_ask.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

ssize_t tls_ask(int fd, struct str question, char *answer, size_t room)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
    size_t sent = 0, n = 0;
    bool answered = ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1 &&
                    SSL_write_ex(ssl, question.p, question.n, &sent) == 1 &&
                    SSL_read_ex(ssl, answer, room, &n) == 1;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return answered ? (ssize_t)n : -1;
}
