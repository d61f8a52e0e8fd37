/* Money back to a customer of M-Pesa: the reversal of a payment, the payout (B2C), and the question
 * what became of either. All three are an operator's ("initiator's") requests: its name, and its
 * password encrypted with the key of Safaricom's certificate. What Daraja says to them comes later,
 * to three kinds of the refund's callback URL; mpesa_result.c reads it. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crypto/rsa.h"
#include "core/crypto/text.h"
#include "gateways/mpesa.h"

enum { REMARKS_MIN = 2, REMARKS_MAX = 100, CERTIFICATE_MAX = 16 * 1024, NAME_MAX_LEN = 128 };

/* A payout's least: 10 shillings. Source: mpesa.md 1.4 (one source). Seen: sandbox no, live no. */
#define PAYOUT_MIN_MINOR INT64_C(1000)

static struct err reversal_build(const struct gw_account *a, const struct gw_refund *in,
                                 struct str token, struct arena *mem, struct outbound_request *out);
static struct err payout_build(const struct gw_account *a, const struct gw_refund *in,
                               struct str token, struct arena *mem, struct outbound_request *out);

struct err mpesa_refund_build(const struct gw_account *a, const struct gw_refund *in,
                              struct str token, struct arena *mem, struct outbound_request *out)
{
    if (!mpesa_url_ok(a, in->callback_url))
        return ERR(INVALID, "M-Pesa does not take this callback URL");
    switch (in->rail) {
    case REFUND_RAIL_REVERSAL:
        TRY(reversal_build(a, in, token, mem, out));
        break;
    case REFUND_RAIL_PAYOUT:
        TRY(payout_build(a, in, token, mem, out));
        break;
    default:
        return ERR(INVALID, "M-Pesa has no such rail");
    }
    out->no_reuse = true; /* sent twice, it may pay twice */
    return ERR_OK;
}

/* ---- the operator ---- */

/* A regular file of a sane size, so that neither a device nor a pipe can hold up the loop. The
 * certificate is public; reading its few pages for each refund lets it be replaced while we run. */
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

/* The short code that pays out. */
static struct str payout_shortcode(const struct gw_account *a)
{
    struct str own = gw_setting(a, "b2c_shortcode");
    return own.n > 0 ? own : gw_setting(a, "shortcode");
}

/* Three kinds of callbacks share one skeleton, and which code a queue timeout carries is not
 * documented: the URL tells them apart, not what they say. */
static void put_tail(struct jsonw *w, const struct gw_refund *in, bool query, struct arena *mem)
{
    char remarks[REMARKS_MAX];
    struct str late = arena_fmt(mem, "%.*s." MPESA_KIND_TIMEOUT, STR_ARG(in->callback_url));
    struct str told = in->callback_url;
    if (query)
        told = arena_fmt(mem, "%.*s." MPESA_KIND_STATUS, STR_ARG(in->callback_url));
    jw_str(w, "Remarks", mpesa_words(in->remarks, REMARKS_MIN, REMARKS_MAX, "Refund", remarks));
    jw_str(w, "QueueTimeOutURL", late);
    jw_str(w, "ResultURL", told);
    jw_close(w);
    w->b->failed |= late.p == NULL || told.p == NULL;
}

static bool is_word(struct str s)
{
    return s.n > 0 && s.n <= GW_REF_MAX && str_is_printable_ascii(s) &&
           str_find(s, ' ', 0) == SIZE_MAX;
}

/* ---- reversal ---- */

/* Gives a payment back to who made it. RecieverIdentifierType 11 is an organisation's short code,
 * spelled as the document spells it. The whole amount is the norm; whether a part can be reversed
 * is not known. There is no id of ours: a reversal that is sent twice is two requests, the second
 * of which ends in R000001. Source: mpesa.md 5.6. Seen: sandbox no, live no. */
static struct err reversal_build(const struct gw_account *a, const struct gw_refund *in,
                                 struct str token, struct arena *mem, struct outbound_request *out)
{
    struct mpesa_operator o;
    struct str shortcode = gw_setting(a, "shortcode");
    if (!mpesa_is_shortcode(shortcode))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    if (!is_word(in->payment_receipt))
        return ERR(INVALID, "no receipt to reverse");
    TRY(mpesa_amount_check(in->amount, MPESA_MIN_MINOR));
    TRY(mpesa_operator_read(a, mem, &o));
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "Initiator", o.name);
    jw_str(&w, "SecurityCredential", o.credential);
    jw_c(&w, "CommandID", "TransactionReversal");
    jw_str(&w, "TransactionID", in->payment_receipt);
    jw_i64(&w, "Amount", in->amount.minor / 100);
    mpesa_put_digits(&w, "ReceiverParty", shortcode);
    jw_c(&w, "RecieverIdentifierType", "11");
    put_tail(&w, in, false, mem);
    return mpesa_request(a, "/mpesa/reversal/v1/request", token, &body, mem, out);
}

/* ---- payout ---- */

/* Pays the customer from our own account. OriginatorConversationID is ours and must never be used
 * again: Daraja answers a repetition with 500.002.1001. Source: mpesa.md 5.1. Seen: sandbox no,
 * live no. */
static struct err payout_build(const struct gw_account *a, const struct gw_refund *in,
                               struct str token, struct arena *mem, struct outbound_request *out)
{
    struct mpesa_operator o;
    struct str shortcode = payout_shortcode(a);
    if (!mpesa_is_shortcode(shortcode))
        return ERR(INVALID, "the payout short code is not 5 to 7 digits");
    if (!is_word(in->our_id))
        return ERR(INVALID, "no id of ours for the payout");
    if (!mpesa_is_phone(in->phone))
        return ERR(INVALID, "not a Kenyan mobile number");
    TRY(mpesa_amount_check(in->amount, PAYOUT_MIN_MINOR));
    TRY(mpesa_operator_read(a, mem, &o));
    struct buf body;
    buf_init(&body, MPESA_BODY_MAX);
    struct jsonw w = jw_into(&body);
    jw_open(&w);
    jw_str(&w, "OriginatorConversationID", in->our_id);
    jw_str(&w, "InitiatorName", o.name);
    jw_str(&w, "SecurityCredential", o.credential);
    jw_c(&w, "CommandID", "BusinessPayment");
    jw_i64(&w, "Amount", in->amount.minor / 100);
    mpesa_put_digits(&w, "PartyA", shortcode);
    mpesa_put_digits(&w, "PartyB", str_from(in->phone, 1));
    put_tail(&w, in, false, mem);
    return mpesa_request(a, "/mpesa/b2c/v3/paymentrequest", token, &body, mem, out);
}

/* ---- query ---- */

/* OriginalConversationID is the originator's id of the request that is asked about: of a payout our
 * own, of a reversal what its acknowledgement called it (documented for B2C and B2B; whether a
 * reversal is found by it is not known, and a question that finds nothing changes nothing). Never
 * the payment's receipt: its status "Completed" says that the customer has paid, not that he was
 * paid back. Source: mpesa.md 4, 5.5. Seen: sandbox no, live no. */
struct err mpesa_refund_query_build(const struct gw_account *a, const struct gw_refund *in,
                                    struct str provider_ref, struct str token, struct arena *mem,
                                    struct outbound_request *out)
{
    struct mpesa_operator o;
    bool payout = in->rail == REFUND_RAIL_PAYOUT;
    struct str shortcode = payout ? payout_shortcode(a) : gw_setting(a, "shortcode");
    if (!payout && in->rail != REFUND_RAIL_REVERSAL)
        return ERR(INVALID, "M-Pesa has no such rail");
    if (!is_word(provider_ref))
        return ERR(INVALID, "no OriginatorConversationID to ask for");
    if (!mpesa_is_shortcode(shortcode))
        return ERR(INVALID, "the short code is not 5 to 7 digits");
    if (!mpesa_url_ok(a, in->callback_url))
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
    put_tail(&w, in, true, mem);
    return mpesa_request(a, "/mpesa/transactionstatus/v1/query", token, &body, mem, out);
}
