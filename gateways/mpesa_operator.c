/* What an operator's ("initiator's") requests have in common: its name, its password encrypted with
 * the key of Safaricom's certificate, the addresses to which results come, and the question what
 * became of one. mpesa_refund.c reverses payments, mpesa_payout.c pays out, mpesa_balance.c asks
 * for the balance; mpesa_result.c reads what comes back. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crypto/rsa.h"
#include "core/crypto/text.h"
#include "gateways/mpesa.h"

enum { REMARKS_MIN = 2, REMARKS_MAX = 100, CERTIFICATE_MAX = 16 * 1024, NAME_MAX_LEN = 128 };

/* A regular file of a sane size, so that neither a device nor a pipe can hold up the loop. The
 * certificate is public; reading its few pages for each request lets it be replaced while we run.
 */
static struct str file_text(struct arena *mem, struct str path)
{
    struct str copy = arena_dup(mem, path);
    char *text = arena_alloc(mem, CERTIFICATE_MAX);
    struct stat st;
    ssize_t n = 0;
    if (copy.p == NULL || text == NULL)
        return STR_NULL;
    int fd = open(copy.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return STR_NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= CERTIFICATE_MAX)
        n = read(fd, text, CERTIFICATE_MAX);
    close(fd);
    return n > 0 ? str_n(text, (size_t)n) : STR_NULL;
}

/* SecurityCredential: base64 of the password, encrypted by PKCS#1 v1.5 with the certificate's key;
 * the published certificates are long past their dates, and nothing is appended to the password.
 * Source: mpesa.md 1.3. Seen: sandbox no, live no. */
struct err mpesa_operator_read(const struct gw_account *a, struct arena *mem,
                               struct mpesa_operator *o)
{
    struct str password = gw_setting(a, "initiator_password");
    struct str certificate = gw_setting(a, "certificate");
    struct str sealed = STR_NULL;
    o->name = gw_setting(a, "initiator_name");
    if (o->name.n == 0 || password.n == 0 || certificate.n == 0)
        return ERR(INVALID, "the operator's credentials are not configured");
    if (o->name.n > NAME_MAX_LEN || !str_is_printable_ascii(o->name))
        return ERR(INVALID, "the operator's name is too long or not printable");
    if (certificate.p[0] == '/')
        certificate = file_text(mem, certificate);
    if (certificate.n == 0)
        return ERR(INVALID, "the certificate's file cannot be read");
    TRY(rsa_seal(mem, certificate, password, &sealed));
    o->credential = base64_text(mem, sealed);
    return o->credential.p != NULL ? ERR_OK : ERR(NO_MEMORY, "arena");
}

struct err mpesa_certificate_check(struct str certificate, struct arena *mem)
{
    struct str sealed;
    if (certificate.n == 0 || certificate.p[0] == '/')
        return ERR_OK;
    struct err err = rsa_seal(mem, certificate, STR("any"), &sealed);
    return err.code != ERR_INVALID
               ? err
               : ERR(INVALID, "it is neither a certificate's text nor a file's absolute path");
}

/* ---- results ---- */

/* Three kinds of callbacks share one skeleton, and which code a queue timeout carries is not
 * documented: the URL tells them apart, not what they say. */
void mpesa_put_tail(struct jsonw *w, const struct mpesa_tail *in, bool query, struct arena *mem)
{
    char remarks[REMARKS_MAX];
    struct str late = arena_fmt(mem, "%.*s." MPESA_KIND_TIMEOUT, STR_ARG(in->callback_url));
    struct str told = in->callback_url;
    if (query)
        told = arena_fmt(mem, "%.*s." MPESA_KIND_STATUS, STR_ARG(in->callback_url));
    jw_str(w, "Remarks",
           mpesa_words(in->remarks, REMARKS_MIN, REMARKS_MAX, in->no_remarks, remarks));
    jw_str(w, "QueueTimeOutURL", late);
    jw_str(w, "ResultURL", told);
    jw_close(w);
    w->b->failed |= late.p == NULL || told.p == NULL;
}

bool mpesa_is_word(struct str s)
{
    return s.n > 0 && s.n <= GW_REF_MAX && str_is_printable_ascii(s) &&
           str_find(s, ' ', 0) == SIZE_MAX;
}

/* ---- what became of it ---- */

/* OriginalConversationID is the originator's id of the request that is asked about: of a payout our
 * own, of a reversal what its acknowledgement called it (documented for B2C and B2B; whether a
 * reversal is found by it is not known, and a question that finds nothing changes nothing). Never
 * a receipt: of a refund we have none but the payment's, whose status "Completed" says that the
 * customer has paid, not that he was paid back. Source: mpesa.md 4, 5.5. Seen: sandbox no, live no.
 */
struct err mpesa_status_build(const struct gw_account *a, struct str shortcode,
                              struct str provider_ref, const struct mpesa_tail *tail,
                              struct str token, struct arena *mem, struct outbound_request *out)
{
    struct mpesa_operator o;
    if (!mpesa_is_word(provider_ref))
        return ERR(INVALID, "no OriginatorConversationID to ask for");
    if (!mpesa_is_shortcode(shortcode))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    if (!mpesa_url_ok(a, tail->callback_url))
        return ERR(INVALID, "M-Pesa does not take this callback URL");
    TRY(mpesa_operator_read(a, mem, &o));
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "Initiator", o.name);
    jw_str(&w, "SecurityCredential", o.credential);
    jw_c(&w, "CommandID", "TransactionStatusQuery");
    jw_str(&w, "OriginalConversationID", provider_ref);
    mpesa_put_digits(&w, "PartyA", shortcode);
    jw_c(&w, "IdentifierType", "4");
    mpesa_put_tail(&w, tail, true, mem);
    return mpesa_request(a, "/mpesa/transactionstatus/v1/query", token, &body, mem, out);
}
