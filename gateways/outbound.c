/* HTTP calls that leave the building, by libcurl's multi interface. The life of a call:
 *
 *   start: resolve the name (or a literal, or known), check every address
 *   transfer to the first, over a connection to exactly that address
 *   no connection, before a byte was sent: the next address
 *   end, done
 *
 * How it can fail: the name does not resolve, an address is refused, no connection or TLS
 * (NOT_SENT); deadline, reset, cut or oversized answer (UNKNOWN, or NOT_SENT if the request was
 * never begun). The question "did a byte of the request leave?" is answered by libcurl's
 * pre-request callback, which comes after connect and TLS and before the request. */
#include "gateways/outbound.h"

#include <stdlib.h>
#include <uv.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "gateways/outbound_addr.h"
#include "gateways/outbound_host.h"
#include "gateways/outbound_look.h"
#include "gateways/outbound_multi.h"
#include "gateways/outbound_url.h"

enum {
    SPARE_CALLS = 128,
    READ_BUFFER = 4096,
    KEPT_BODY = 16 * 1024,
    HEAD_MAX = 64 * 1024,
    HEADER_MAX = 8 * 1024,
    ARENA_EXTRA = 32 * 1024,
    KEPT_S = 118, /* how long a connection may have been idle: libcurl's own default */
    FRESH_S = 1,  /* the same for calls that are made once */
    DEFAULT_PER_HOST = 64,
    DEFAULT_IN_FLIGHT = 1024,
    DEFAULT_RESPONSE = 256 * 1024,
};
#define DEFAULT_CONNECT_US (5 * US_PER_S)
#define DEFAULT_TIMEOUT_US (30 * US_PER_S)
#define RETRY_AFTER_MAX_S (366 * INT64_C(86400))

enum call_state { CALL_RESOLVE, CALL_TRANSFER, CALL_ENDED };

struct outbound {
    struct loop *loop;
    struct multi *multi;
    struct hosts *hosts;
    struct url_book *urls;
    struct outbound_options opt;
    struct list calls; /* resolving or in transfer */
    struct looks *looks;
    struct list ended; /* to be reported */
    struct list spare; /* with their easy handles, for the next ones */
    struct later report;
    bool closing;
};

struct outbound_call {
    struct link link; /* in one of the three lists */
    struct outbound *o;
    enum call_state state;
    CURL *easy;
    const char *protocols; /* what it was told; NULL: nothing yet */
    struct arena mem;
    outbound_fn *done;
    void *ctx;
    struct timer deadline;
    int64_t started_us,
        deadline_us; /* real: the test clock does not shift other people's servers */
    struct host_wait wait;
    struct addresses addresses;
    int at; /* the address in use */
    struct url_parts url;
    struct curl_slist connect_to;
    bool public_only, once, cut_response;
    size_t max_response;

    /* facts of the transfer */
    curl_socket_t fd; /* of a connection of its own; CURL_SOCKET_BAD: none yet, or a kept one */
    bool sent;        /* the request was begun */
    bool head_done;   /* status line and blank line of a final response were seen */
    bool refused;     /* by our address rules */
    bool too_long;
    size_t head_bytes;
    struct buf body;
    struct outbound_response response;
};

static struct metric refused_total = METRIC_COUNTER("reli_outbound_refused_addresses_total", "",
                                                    "Outbound calls refused by the address rules");
static struct metric answered_total =
    METRIC_COUNTER("reli_outbound_calls_total", "outcome=\"answered\"", "Outbound HTTP calls");
static struct metric not_sent_total =
    METRIC_COUNTER("reli_outbound_calls_total", "outcome=\"not_sent\"", "Outbound HTTP calls");
static struct metric unknown_total =
    METRIC_COUNTER("reli_outbound_calls_total", "outcome=\"unknown\"", "Outbound HTTP calls");

static struct err call_copy(struct outbound_call *c, const struct outbound_request *in);
static struct outbound_call *call_take(struct outbound *o);
static void call_recycle(struct outbound_call *c);
static void call_addresses(struct outbound_call *c, const struct addresses *found);
static void call_resolved(void *ctx, struct err err, const struct addresses *found);
static void call_transfer(struct outbound_call *c);
static void call_end(struct outbound_call *c, enum outbound_outcome outcome, const char *error);
static void call_late(void *ctx);
static void transfer_ended(void *ctx, CURL *easy, CURLcode code);
static void report(void *ctx);

static int64_t real_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

/* ---- the public story ---- */

struct err outbound_new(struct loop *l, const struct outbound_options *opt, struct outbound **out)
{
    struct outbound *o = calloc(1, sizeof *o);
    if (o == NULL)
        return ERR(NO_MEMORY, "outbound");
    o->loop = l;
    o->opt = *opt;
    if (o->opt.connect_timeout_us < US_PER_MS)
        o->opt.connect_timeout_us = DEFAULT_CONNECT_US;
    if (o->opt.max_per_host <= 0)
        o->opt.max_per_host = DEFAULT_PER_HOST;
    if (o->opt.max_in_flight <= 0)
        o->opt.max_in_flight = DEFAULT_IN_FLIGHT;
    list_init(&o->calls);
    list_init(&o->ended);
    list_init(&o->spare);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(o);
        return ERR(INTERNAL, "curl_global_init");
    }
    o->urls = url_book_new();
    struct err err = o->urls != NULL ? hosts_new(l, &o->hosts) : ERR(NO_MEMORY, "outbound");
    if (!err_is(err))
        err = looks_new(l, o->hosts, &o->looks);
    if (!err_is(err))
        err = multi_new(l, o->opt.max_per_host, o->opt.max_in_flight, transfer_ended, o, &o->multi);
    if (err_is(err)) {
        looks_free(o->looks);
        hosts_free(o->hosts);
        url_book_free(o->urls);
        free(o);
        curl_global_cleanup();
        return err;
    }
    *out = o;
    return ERR_OK;
}

void outbound_free(struct outbound *o)
{
    struct link *k;
    if (o == NULL)
        return;
    o->closing = true;
    while ((k = list_first(&o->calls)) != NULL) {
        struct outbound_call *c = CONTAINER_OF(k, struct outbound_call, link);
        call_end(c, c->sent ? OUTBOUND_UNKNOWN : OUTBOUND_NOT_SENT, "shutting down");
    }
    looks_cancel(o->looks);
    loop_later_off(o->loop, &o->report);
    report(o);
    while ((k = list_pop(&o->spare)) != NULL) {
        struct outbound_call *c = CONTAINER_OF(k, struct outbound_call, link);
        curl_easy_cleanup(c->easy);
        buf_free(&c->body);
        free(c);
    }
    multi_free(o->multi);
    looks_free(o->looks);
    hosts_free(o->hosts);
    url_book_free(o->urls);
    free(o);
    curl_global_cleanup();
}

struct err outbound_look(struct outbound *o, struct str url, outbound_look_fn *done, void *ctx)
{
    return o->closing ? ERR(CANCELED, "shutting down") : looks_start(o->looks, url, done, ctx);
}

int outbound_in_flight(const struct outbound *o)
{
    return (int)(o->calls.n + o->ended.n);
}

struct err outbound_start(struct outbound *o, const struct outbound_request *request,
                          outbound_fn *done, void *ctx, struct outbound_call **out)
{
    const struct addresses *found = NULL;
    struct addresses literal = {.n = 1};
    *out = NULL;
    if (o->closing)
        return ERR(CANCELED, "shutting down");
    if (outbound_in_flight(o) >= o->opt.max_in_flight)
        return ERR(OVERLOADED, "too many outbound calls");
    struct outbound_call *c = call_take(o);
    if (c == NULL)
        return ERR(NO_MEMORY, "outbound call");
    c->done = done;
    c->ctx = ctx;
    struct err err = call_copy(c, request);
    if (!err_is(err) && sockaddr_parse(c->url.host, c->url.port, &literal.a[0]))
        found = &literal;
    else if (!err_is(err))
        err = hosts_ask(o->hosts, str_c(c->url.host), &c->wait, call_resolved, c, &found);
    if (err_is(err)) {
        call_recycle(c);
        return err;
    }
    c->state = CALL_RESOLVE;
    list_push(&o->calls, &c->link);
    timer_set(o->loop, &c->deadline, c->deadline_us - c->started_us, call_late, c);
    if (found != NULL)
        call_addresses(c, found);
    *out = c;
    return ERR_OK;
}

void outbound_cancel(struct outbound_call *c)
{
    if (c->state != CALL_ENDED)
        call_end(c, c->sent ? OUTBOUND_UNKNOWN : OUTBOUND_NOT_SENT, "canceled");
}

/* ---- addresses ---- */

static void call_resolved(void *ctx, struct err err, const struct addresses *found)
{
    struct outbound_call *c = ctx;
    if (err_is(err))
        call_end(c, OUTBOUND_NOT_SENT, "the name does not resolve");
    else
        call_addresses(c, found);
}

/* One address that is not public refuses the call: a name with a public and a private address is
 * what an attack looks like. */
static void call_addresses(struct outbound_call *c, const struct addresses *found)
{
    c->addresses = *found;
    for (int i = 0; i < c->addresses.n; i++) {
        sockaddr_set_port(&c->addresses.a[i], c->url.port);
        c->refused |=
            c->public_only && !sockaddr_is_public((const struct sockaddr *)&c->addresses.a[i]);
    }
    if (c->refused)
        call_end(c, OUTBOUND_NOT_SENT, "the address is not allowed");
    else
        call_transfer(c);
}

/* ---- the transfer ---- */

static const struct sockaddr *pinned(const struct outbound_call *c)
{
    return (const struct sockaddr *)&c->addresses.a[c->at];
}

/* CONNECT_TO with a literal address: libcurl resolves nothing, keeps its connections per address,
 * and still takes Host, SNI and the certificate's name from the URL. */
static void call_transfer(struct outbound_call *c)
{
    char address[SOCKADDR_TEXT];
    c->state = CALL_TRANSFER;
    struct str to = STR_NULL;
    if (sockaddr_text(pinned(c), address))
        to = arena_fmt(&c->mem, "::%s:%d", address, c->url.port);
    c->connect_to = (struct curl_slist){.data = (char *)(uintptr_t)to.p};
    curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, &c->connect_to);
    if (to.p == NULL || !multi_add(c->o->multi, c->easy)) {
        c->state = CALL_RESOLVE; /* it is not in the multi */
        call_end(c, OUTBOUND_NOT_SENT, "libcurl refused the call");
    }
}

/* ---- ends ---- */

/* libcurl said how it ended. A 2xx without a complete head is no success: 7.88 reports one when the
 * peer closes in the middle of the header block. */
static void transfer_ended(void *ctx, CURL *easy, CURLcode code)
{
    struct outbound_call *c = NULL;
    (void)ctx;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c);
    bool cut = code == CURLE_WRITE_ERROR && c->too_long && c->cut_response;
    if (c->refused) {
        call_end(c, OUTBOUND_NOT_SENT, "the address is not allowed");
    } else if ((code == CURLE_OK || cut) && c->head_done) {
        call_end(c, OUTBOUND_ANSWERED, NULL);
    } else if (c->sent) {
        const char *why = code == CURLE_OK ? "the answer ended inside its head"
                          : c->too_long    ? "the answer is too long"
                                           : curl_easy_strerror(code);
        call_end(c, OUTBOUND_UNKNOWN, why);
    } else if ((code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT) &&
               c->at + 1 < c->addresses.n) {
        multi_remove(c->o->multi, easy);
        c->at++;
        call_transfer(c);
    } else {
        call_end(c, OUTBOUND_NOT_SENT, curl_easy_strerror(code));
    }
}

static void call_late(void *ctx)
{
    struct outbound_call *c = ctx;
    int64_t left_us = c->deadline_us - real_us();
    if (left_us > 0)
        timer_set(c->o->loop, &c->deadline, left_us, call_late, c);
    else
        call_end(c, c->sent ? OUTBOUND_UNKNOWN : OUTBOUND_NOT_SENT, "timeout");
}

/* Takes the call out of everything and queues its report. */
static void call_end(struct outbound_call *c, enum outbound_outcome outcome, const char *error)
{
    struct outbound *o = c->o;
    struct outbound_response *r = &c->response;
    char *type = NULL;
    long status = 0;
    ASSERT(c->state != CALL_ENDED);
    r->outcome = outcome;
    r->error = error;
    r->address_refused = c->refused;
    r->took_us = real_us() - c->started_us;
    r->content_type = STR("");
    if (outcome == OUTBOUND_ANSWERED) {
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
        r->status = (int)status;
        r->body = c->body.n > 0 ? buf_view(&c->body) : STR("");
        if (type != NULL)
            r->content_type = arena_dup(&c->mem, str_first(str_c(type), 256));
    } else {
        r->retry_after_s = r->max_age_s = -1;
    }
    if (c->state == CALL_TRANSFER)
        multi_remove(o->multi, c->easy);
    hosts_leave(&c->wait);
    timer_off(o->loop, &c->deadline);
    c->state = CALL_ENDED;
    list_remove(&o->calls, &c->link);
    list_push(&o->ended, &c->link);
    loop_later(o->loop, &o->report, report, o);
    metric_add(outcome == OUTBOUND_ANSWERED   ? &answered_total
               : outcome == OUTBOUND_NOT_SENT ? &not_sent_total
                                              : &unknown_total,
               1);
    if (c->refused)
        metric_add(&refused_total, 1);
}

/* Calls that end meanwhile wait for the next round. */
static void report(void *ctx)
{
    struct outbound *o = ctx;
    for (size_t n = o->ended.n; n > 0; n--) {
        struct link *k = list_pop(&o->ended);
        struct outbound_call *c = CONTAINER_OF(k, struct outbound_call, link);
        c->done(c->ctx, &c->response);
        call_recycle(c);
    }
}

/* ---- what libcurl calls ---- */

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct outbound_call *c = ctx;
    size_t len = size * n;
    size_t room = c->max_response - c->body.n;
    buf_add(&c->body, p, len < room ? len : room);
    if (len > room || c->body.failed) {
        c->too_long = true;
        return 0;
    }
    return len;
}

static int64_t retry_after(const struct outbound_call *c, struct str value)
{
    char text[64];
    int64_t s;
    if (str_is_digits(value))
        return str_to_i64(value, &s) && s < RETRY_AFTER_MAX_S ? s : RETRY_AFTER_MAX_S;
    int64_t at = curl_getdate(str_copy_c(text, sizeof text, value), NULL);
    if (at < 0)
        return -1;
    s = at - loop_wall_us(c->o->loop) / US_PER_S;
    return s < 0 ? 0 : s < RETRY_AFTER_MAX_S ? s : RETRY_AFTER_MAX_S;
}

/* Of "public, max-age=300"; digits beyond a number are a long time. */
static int64_t max_age(struct str rest)
{
    struct str part;
    int64_t s;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.n <= 8 || !str_ieq(str_first(part, 8), STR("max-age=")))
            continue;
        struct str value = str_from(part, 8);
        if (!str_is_digits(value))
            return -1;
        return str_to_i64(value, &s) ? s : INT64_MAX;
    }
    return -1;
}

/* One header line at a time. Interim responses (1xx) come before the final one, trailers after it.
 */
static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct outbound_call *c = ctx;
    struct str line = str_trim(str_n(p, size * n));
    c->head_bytes += size * n;
    if (c->head_bytes > HEAD_MAX) {
        c->too_long = true;
        c->cut_response = false;
        return 0;
    }
    if (c->head_done)
        return size * n;
    if (str_starts(line, STR("HTTP/"))) {
        c->response.retry_after_s = c->response.max_age_s = -1;
    } else if (line.n == 0) {
        long status = 0;
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        c->head_done = status >= 200;
    } else if (line.n > 12 && str_ieq(str_first(line, 12), STR("retry-after:"))) {
        c->response.retry_after_s = retry_after(c, str_trim(str_from(line, 12)));
    } else if (line.n > 14 && str_ieq(str_first(line, 14), STR("cache-control:"))) {
        c->response.max_age_s = max_age(str_from(line, 14));
    }
    return size * n;
}

/* A new connection: only to the address that was checked. */
static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct outbound_call *c = ctx;
    if (purpose != CURLSOCKTYPE_IPCXN || !sockaddr_eq(&a->addr, pinned(c)) ||
        (c->public_only && !sockaddr_is_public(&a->addr))) {
        c->refused = true;
        return CURL_SOCKET_BAD;
    }
    c->fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    return c->fd;
}

/* The connection stands, new or kept, and the request is about to go. A second visit is libcurl
 * sending it again by itself, which a call that is made once must not do. */
static int on_request(void *ctx, char *peer, char *local, int peer_port, int local_port)
{
    struct outbound_call *c = ctx;
    struct sockaddr_storage a;
    (void)local, (void)local_port;
    if (c->sent && c->once)
        return CURL_PREREQFUNC_ABORT;
    if (!sockaddr_parse(peer, peer_port, &a) || !sockaddr_eq((struct sockaddr *)&a, pinned(c))) {
        c->refused = !c->sent;
        return CURL_PREREQFUNC_ABORT;
    }
    if (c->fd != CURL_SOCKET_BAD)
        multi_connected(c->o->multi, c->fd);
    c->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- making a call ---- */

/* What is the same for all calls; `c` keeps its handle for life. */
static void easy_init(struct outbound_call *c, const struct outbound *o)
{
    CURL *e = c->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)READ_BUFFER); /* stays with the handle */
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    /* Without a directory libcurl parses the CA file once, not per connection. */
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->opt.connect_timeout_us / US_PER_MS));
    curl_easy_setopt(e, CURLOPT_USERAGENT, o->opt.user_agent);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
    multi_prepare(o->multi, e);
}

static struct outbound_call *call_take(struct outbound *o)
{
    struct link *k = list_pop(&o->spare);
    struct outbound_call *c = LIST_ITEM(k, struct outbound_call, link);
    if (c == NULL) {
        c = calloc(1, sizeof *c);
        if (c == NULL)
            return NULL;
        c->easy = curl_easy_init();
        if (c->easy == NULL) {
            free(c);
            return NULL;
        }
        easy_init(c, o);
    }
    CURL *easy = c->easy;
    struct buf body = c->body;
    const char *protocols = c->protocols;
    *c = (struct outbound_call){.o = o,
                                .easy = easy,
                                .body = body,
                                .protocols = protocols,
                                .state = CALL_ENDED,
                                .fd = CURL_SOCKET_BAD};
    c->response.retry_after_s = c->response.max_age_s = -1;
    c->started_us = real_us();
    return c;
}

/* Requests and answers hold tokens and phone numbers: what is kept is wiped. */
static void call_recycle(struct outbound_call *c)
{
    if (c->body.n > 0)
        explicit_bzero(c->body.p, c->body.n);
    buf_reset(&c->body);
    if (c->body.cap > KEPT_BODY)
        buf_free(&c->body);
    arena_free(&c->mem);
    if (c->o->spare.n < SPARE_CALLS && !c->o->closing) {
        list_push_front(&c->o->spare, &c->link);
        return;
    }
    curl_easy_cleanup(c->easy);
    buf_free(&c->body);
    free(c);
}

static bool header_ok(const char *line)
{
    struct str s = str_c(line);
    size_t colon = str_find(s, ':', 0);
    if (s.n > HEADER_MAX || colon == SIZE_MAX || colon == 0)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

/* A chain of arena memory: libcurl reads it and does not free it. "Expect:" switches off the pause
 * before big bodies. */
static struct err headers_copy(struct outbound_call *c, const struct outbound_request *in,
                               struct curl_slist **out)
{
    *out = NULL;
    if (in->n_headers > OUTBOUND_MAX_HEADERS)
        return ERR(INVALID, "too many headers");
    for (size_t i = 0; i <= in->n_headers; i++) {
        const char *line = i < in->n_headers ? in->headers[i] : "Expect:";
        if (!header_ok(line))
            return ERR(INVALID, "header line");
        struct curl_slist *node = ARENA_NEW(&c->mem, struct curl_slist);
        struct str copy = arena_dup(&c->mem, str_c(line));
        if (node == NULL || copy.p == NULL)
            return ERR(INVALID, "headers too long");
        *node = (struct curl_slist){.data = (char *)(uintptr_t)copy.p, .next = *out};
        *out = node;
    }
    return ERR_OK;
}

static void method_set(CURL *e, const char *method, struct str body)
{
    bool head = strcmp(method, "HEAD") == 0, get = strcmp(method, "GET") == 0;
    bool post = strcmp(method, "POST") == 0;
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(e, CURLOPT_NOBODY, head ? 1L : 0L);
    if (!head && (get || (body.n == 0 && !post)))
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    if (post || (body.n > 0 && !get && !head)) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, body.p);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    }
    if (!get && !post && !head)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

/* libcurl reads that text each time, and it is nearly always the same. */
static bool protocols_set(struct outbound_call *c, const char *protocols)
{
    if (c->protocols != NULL && strcmp(c->protocols, protocols) == 0)
        return true;
    bool done = curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK;
    c->protocols = done ? protocols : NULL;
    return done;
}

static struct err call_copy(struct outbound_call *c, const struct outbound_request *in)
{
    struct curl_slist *headers;
    int64_t timeout_us = in->timeout_us > 0 ? in->timeout_us : DEFAULT_TIMEOUT_US;
    struct str url = str_c(in->url);
    arena_init(&c->mem, in->body.n + ARENA_EXTRA);
    TRY(url_book_read(c->o->urls, url, &c->mem, &c->url));
    if (in->public_only && !url_is_public(&c->url))
        return ERR(INVALID, "URL: not a public one");
    TRY(headers_copy(c, in, &headers));
    struct str body = arena_dup(&c->mem, in->body);
    struct str method = arena_dup(&c->mem, str_c(in->method));
    if (body.p == NULL || method.p == NULL)
        return ERR(NO_MEMORY, "request body");
    c->public_only = in->public_only;
    c->once = in->once;
    c->cut_response = in->cut_response;
    c->max_response = in->max_response > 0 ? in->max_response : DEFAULT_RESPONSE;
    c->body.limit = c->max_response;
    c->deadline_us = c->started_us + timeout_us;
    CURL *e = c->easy;
    if (curl_easy_setopt(e, CURLOPT_URL, in->url) != CURLE_OK ||
        !protocols_set(c, in->public_only ? "https" : "http,https"))
        return ERR(NO_MEMORY, "URL");
    method_set(e, method.p, body);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, in->once ? (long)FRESH_S : (long)KEPT_S);
    return ERR_OK;
}
