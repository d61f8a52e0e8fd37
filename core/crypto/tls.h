#ifndef RELI_CRYPTO_TLS_H
#define RELI_CRYPTO_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* TLS 1.2 and 1.3, the server's side, without I/O: bytes in, bytes out. No renegotiation, no
 * compression, no early data, ALPN http/1.1. Nothing is kept from one connection to the next:
 * session tickets would put the secrecy of all of them into one key, and a gateway's clients keep
 * their connections. */

/* A certificate chain with its key. Counted: a session keeps the one that it began with. */
struct tls_site;

/* Reads two PEM files, the certificate first in its chain. May run on any thread. On failure `why`
 * says in words what is wrong with which file; it holds nothing of the key. */
enum { TLS_WHY = 320 };
struct err tls_site_load(const char *cert_path, const char *key_path, struct tls_site **out,
                         char why[TLS_WHY]) MUST_USE;
/* NULL is fine. */
void tls_site_free(struct tls_site *s);
/* When the certificate ends, wall time in microseconds. */
int64_t tls_site_expires_us(const struct tls_site *s);
/* Whether it is one for this host name or address. */
bool tls_site_covers(const struct tls_site *s, const char *host);

/* A session. */
struct tls;

enum tls_status {
    TLS_MORE,  /* all is taken; it goes on when more has come */
    TLS_READY, /* the handshake has just ended; once */
    TLS_DATA,  /* plain text */
    TLS_END,   /* the peer has said goodbye and sends nothing more */
    TLS_BAD    /* *err; nothing can be read or written any more */
};

/* The most that one record holds. */
enum { TLS_RECORD = 16 * 1024 };

struct err tls_new(struct tls_site *site, struct tls **out) MUST_USE;
/* NULL is fine. */
void tls_free(struct tls *t);
/* One step on the bytes that came: *in is shortened by what was taken. What has to be sent is added
 * to *out, whatever the status. `plain` has room for TLS_RECORD bytes. */
enum tls_status tls_read(struct tls *t, struct str *in, char *plain, size_t *n, struct buf *out,
                         struct err *err) MUST_USE;
/* Adds the records of `plain` to *out; after TLS_READY only. False if that is not possible (any
 * more). */
bool tls_write(struct tls *t, struct str plain, struct buf *out) MUST_USE;
/* Adds the goodbye, if one can be said. */
void tls_goodbye(struct tls *t, struct buf *out);

#endif
