/* TLS by OpenSSL, fed by hand: a BIO of our own reads from the bytes that the caller has and writes
 * behind the caller's buffer, so that an idle session holds no buffers but OpenSSL's own state. */
#include "core/crypto/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/times.h"

/* Forward secrecy and authenticated encryption only. TLS 1.3 has no others. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char groups[] = "X25519:P-256:P-384";

struct tls_site {
    SSL_CTX *ctx;
    BIO_METHOD *method;
    int64_t expires_us;
    int n; /* sessions, and whoever loaded it */
};

struct tls {
    struct tls_site *site;
    SSL *ssl;
    struct str *in;  /* while OpenSSL is at work */
    struct buf *out; /* likewise */
    bool ready, bad, ended;
};

/* ---- the BIO ---- */

static int bio_read(BIO *b, char *p, size_t n, size_t *done)
{
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->in == NULL || t->in->n == 0) {
        BIO_set_retry_read(b);
        return 0;
    }
    *done = n < t->in->n ? n : t->in->n;
    memcpy(p, t->in->p, *done);
    *t->in = str_from(*t->in, *done);
    return 1;
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *done)
{
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->out == NULL)
        return 0;
    buf_add(t->out, p, n);
    if (t->out->failed)
        return 0;
    *done = n;
    return 1;
}

static long bio_ctrl(BIO *b, int command, long n, void *p)
{
    (void)b, (void)n, (void)p;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

static BIO_METHOD *bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lent bytes");
    if (m != NULL && BIO_meth_set_read_ex(m, bio_read) == 1 &&
        BIO_meth_set_write_ex(m, bio_write) == 1 && BIO_meth_set_ctrl(m, bio_ctrl) == 1 &&
        BIO_meth_set_create(m, bio_create) == 1)
        return m;
    BIO_meth_free(m);
    return NULL;
}

/* ---- the site ---- */

/* A client that speaks ALPN but not HTTP/1.1 is told so, before it sends what nobody understands
 * (RFC 7301, 3.2). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n,
                           const unsigned char *in, unsigned n_in, void *ctx)
{
    static const char ours[] = "http/1.1";
    (void)ssl, (void)ctx;
    for (unsigned i = 0; i < n_in && in[i] <= n_in - i - 1; i += 1u + in[i]) {
        if (in[i] == sizeof ours - 1 && memcmp(in + i + 1, ours, sizeof ours - 1) == 0) {
            *out = in + i + 1;
            *n = in[i];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Nobody is there to type one. */
static int no_password(char *p, int n, int writing, void *ctx)
{
    (void)p, (void)n, (void)writing, (void)ctx;
    return -1;
}

static bool set_rules(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
           SSL_CTX_set_cipher_list(ctx, ciphers) == 1 && SSL_CTX_set1_groups_list(ctx, groups) == 1;
}

static int64_t expiry(const X509 *x)
{
    struct tm tm;
    if (x == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm) * US_PER_S;
}

static struct err refuse(char why[TLS_WHY], const char *what, const char *path)
{
    char reason[100] = "";
    unsigned long e = ERR_peek_last_error();
    /* OpenSSL's texts name what it expected, never what it read. */
    if (e != 0 && ERR_reason_error_string(e) != NULL)
        snprintf(reason, sizeof reason, " (%s)", ERR_reason_error_string(e));
    snprintf(why, TLS_WHY, "%s %.150s%s", what, path, reason);
    ERR_clear_error();
    return ERR(CONFIG, "certificate");
}

static struct err read_files(SSL_CTX *ctx, const char *cert_path, const char *key_path,
                             char why[TLS_WHY])
{
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1)
        return refuse(why, "no usable certificate in", cert_path);
    if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1)
        return refuse(why, "no usable key in", key_path);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return refuse(why, "the key is not that of the certificate in", cert_path);
    return ERR_OK;
}

struct err tls_site_load(const char *cert_path, const char *key_path, struct tls_site **out,
                         char why[TLS_WHY])
{
    struct tls_site *s = calloc(1, sizeof *s);
    struct err err = ERR(NO_MEMORY, "certificate");
    snprintf(why, TLS_WHY, "out of memory");
    if (s == NULL)
        return err;
    s->n = 1;
    ERR_clear_error();
    s->method = bio_method();
    s->ctx = SSL_CTX_new(TLS_server_method());
    if (s->method != NULL && s->ctx != NULL)
        err = set_rules(s->ctx) ? read_files(s->ctx, cert_path, key_path, why)
                                : refuse(why, "OpenSSL lacks what is needed for", cert_path);
    if (err_is(err)) {
        tls_site_free(s);
        return err;
    }
    s->expires_us = expiry(SSL_CTX_get0_certificate(s->ctx));
    why[0] = '\0';
    *out = s;
    return ERR_OK;
}

void tls_site_free(struct tls_site *s)
{
    if (s == NULL || --s->n > 0)
        return;
    SSL_CTX_free(s->ctx);
    BIO_meth_free(s->method);
    free(s);
}

int64_t tls_site_expires_us(const struct tls_site *s)
{
    return s->expires_us;
}

bool tls_site_covers(const struct tls_site *s, const char *host)
{
    X509 *x = SSL_CTX_get0_certificate(s->ctx);
    return X509_check_host(x, host, 0, 0, NULL) == 1 || X509_check_ip_asc(x, host, 0) == 1;
}

/* ---- a session ---- */

struct err tls_new(struct tls_site *site, struct tls **out)
{
    struct tls *t = calloc(1, sizeof *t);
    BIO *bio = BIO_new(site->method);
    SSL *ssl = SSL_new(site->ctx);
    if (t == NULL || bio == NULL || ssl == NULL) {
        free(t);
        BIO_free(bio);
        SSL_free(ssl);
        ERR_clear_error();
        return ERR(NO_MEMORY, "TLS session");
    }
    BIO_set_data(bio, t);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    t->ssl = ssl;
    t->site = site;
    site->n++;
    *out = t;
    return ERR_OK;
}

void tls_free(struct tls *t)
{
    if (t == NULL)
        return;
    SSL_free(t->ssl);
    tls_site_free(t->site);
    free(t);
}

/* What OpenSSL says about a call that gave nothing. */
static enum tls_status explain(struct tls *t, int rc, struct err *err)
{
    int why = SSL_get_error(t->ssl, rc);
    unsigned long e = ERR_peek_last_error();
    if (why == SSL_ERROR_WANT_READ)
        return TLS_MORE;
    if (why == SSL_ERROR_ZERO_RETURN) {
        t->ended = true;
        return TLS_END;
    }
    t->bad = true;
    const char *text = e != 0 ? ERR_reason_error_string(e) : NULL; /* static */
    *err = ERR_D(IO, ERR_GET_REASON(e), text != NULL ? text : "TLS");
    return TLS_BAD;
}

static enum tls_status step(struct tls *t, char *plain, size_t *n, struct err *err)
{
    ERR_clear_error();
    int rc;
    if (!t->ready) {
        rc = SSL_do_handshake(t->ssl);
        t->ready = rc == 1;
        return t->ready ? TLS_READY : explain(t, rc, err);
    }
    rc = SSL_read_ex(t->ssl, plain, TLS_RECORD, n);
    return rc == 1 ? TLS_DATA : explain(t, rc, err);
}

enum tls_status tls_read(struct tls *t, struct str *in, char *plain, size_t *n, struct buf *out,
                         struct err *err)
{
    *n = 0;
    if (t->ended)
        return TLS_END;
    if (t->bad) {
        *err = ERR(IO, "TLS");
        return TLS_BAD;
    }
    t->in = in;
    t->out = out;
    enum tls_status status = step(t, plain, n, err);
    t->in = NULL;
    t->out = NULL;
    ERR_clear_error();
    return status;
}

bool tls_write(struct tls *t, struct str plain, struct buf *out)
{
    size_t done = 0;
    if (t->bad || !t->ready)
        return false;
    if (plain.n == 0)
        return true;
    ERR_clear_error();
    t->out = out;
    bool sent = SSL_write_ex(t->ssl, plain.p, plain.n, &done) == 1 && done == plain.n;
    t->out = NULL;
    t->bad = !sent;
    ERR_clear_error();
    return sent;
}

void tls_goodbye(struct tls *t, struct buf *out)
{
    if (t->bad || !t->ready)
        return;
    ERR_clear_error();
    t->out = out;
    (void)SSL_shutdown(t->ssl); /* its answer, the peer's goodbye, is not waited for */
    t->out = NULL;
    ERR_clear_error();
}
