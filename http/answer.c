/* Answers. The head is written straight into the buffer that goes to the kernel; what is the same
 * in each answer was put together when the server was made. */
#include <stdio.h>

#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/times.h"
#include "core/codec/jsonw.h"
#include "http/http_int.h"

#define LITERAL(text)         \
    {                         \
        text, sizeof text - 1 \
    }
#define DEFAULT(name, value)                           \
    {                                                  \
        LITERAL(name), LITERAL(name ": " value "\r\n") \
    }

/* Headers of every answer, unless the handler sets the same name. */
static const struct {
    struct str name, line;
} defaults[] = {
    DEFAULT("X-Content-Type-Options", "nosniff"),
    DEFAULT("Referrer-Policy", "no-referrer"),
    DEFAULT("X-Frame-Options", "DENY"),
    DEFAULT("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    DEFAULT("Cache-Control", "no-store"),
};

/* Headers that only the server writes. */
static const struct str reserved[] = {
    LITERAL("connection"),        LITERAL("content-length"), LITERAL("content-type"),
    LITERAL("transfer-encoding"), LITERAL("date"),           LITERAL("x-request-id"),
};

#define COUNTED(class_)                                                \
    METRIC_COUNTER("reli_http_requests_total", "class=\"" class_ "\"", \
                   "HTTP answers by status class")
static struct metric requests[] = {COUNTED("1xx"), COUNTED("2xx"), COUNTED("3xx"), COUNTED("4xx"),
                                   COUNTED("5xx")};
static struct metric seconds =
    METRIC_HISTOGRAM("reli_http_request_seconds", "", "From the complete head to the answer");

static struct str status_line(int status);
static void put_line(struct buf *b, struct str name, struct str value);
static void put_head(struct exchange *ex, struct buf *b, int status, struct str type, size_t len);
static void put_common(struct exchange *ex, struct buf *b);
static bool has_body(int status);
static void finish(struct exchange *ex, int status, size_t bytes);

void answer_constants(struct buf *b, struct str server_headers)
{
    for (size_t i = 0; i < COUNT_OF(defaults); i++)
        buf_str(b, defaults[i].line);
    buf_str(b, server_headers);
}

void http_set_header(struct http_exchange *x, struct str name, struct str value)
{
    struct exchange *ex = exchange_of(x);
    ASSERT(!ex->ended);
    bool sound = http_is_token(name) && http_is_field_value(value);
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        sound = sound && !str_ieq(name, reserved[i]);
    int i = 0;
    bool many = str_ieq(name, STR("Set-Cookie")) || str_ieq(name, STR("Vary"));
    while (i < ex->n_headers && (many || !str_ieq(ex->headers[i].name, name)))
        i++;
    struct str name_copy = sound ? arena_dup(&ex->arena, name) : STR_NULL;
    struct str value_copy = sound ? arena_dup(&ex->arena, value) : STR_NULL;
    if (name_copy.p == NULL || value_copy.p == NULL || i == MAX_ANSWER_HEADERS) {
        log_warn("http.header_dropped", F_STR("name", name));
        return;
    }
    ex->headers[i] = (struct answer_header){name_copy, value_copy};
    if (i == ex->n_headers)
        ex->n_headers++;
    for (size_t d = 0; d < COUNT_OF(defaults); d++)
        if (str_ieq(name, defaults[d].name))
            ex->replaced |= 1u << d;
}

void http_reply(struct http_exchange *x, int status, struct str content_type, struct str body)
{
    struct exchange *ex = exchange_of(x);
    ASSERT(!ex->ended && status >= 200 && status <= 599);
    if (!has_body(status))
        body = STR_NULL;
    size_t sent = x->method == HTTP_HEAD_ ? 0 : body.n;
    struct conn *c = ex->conn;
    if (c != NULL) {
        struct buf *out = conn_out(c);
        put_head(ex, out, status, content_type, body.n);
        if (sent <= COPY_MAX)
            buf_add(out, body.p, sent);
        if (out->failed)
            conn_kill(c);
        else if (sent > COPY_MAX)
            conn_write(c, body);
    }
    finish(ex, status, sent);
}

void http_reply_json(struct http_exchange *x, int status, struct str body)
{
    http_reply(x, status, STR("application/json"), body);
}

void http_problem(struct http_exchange *x, struct err err, const char *detail)
{
    http_problem_fields(x, err, detail, NULL);
}

static void put_fields(struct jsonw *w, const struct field_errors *fields)
{
    if (fields->n == 1)
        jw_str(w, "param", fields->list[0].param);
    jw_key(w, "errors");
    jw_open_list(w);
    for (size_t i = 0; i < fields->n; i++) {
        jw_open(w);
        jw_str(w, "param", fields->list[i].param);
        jw_c(w, "code", fields->list[i].code);
        jw_c(w, "message", fields->list[i].message);
        jw_close(w);
    }
    jw_close_list(w);
}

static bool has_header(const struct exchange *ex, struct str name)
{
    for (int i = 0; i < ex->n_headers; i++)
        if (str_ieq(ex->headers[i].name, name))
            return true;
    return false;
}

/* A code that means nothing to a client is shown as what the client can do about it: try again, or
 * not. A commit that was not answered is one to try again: the retry finds or creates. */
static enum err_code shown_code(struct err err)
{
    if (err_public(err.code))
        return err.code;
    return err_retryable(err.code) || err.code == ERR_AMBIGUOUS ? ERR_UNAVAILABLE : ERR_INTERNAL;
}

struct str http_problem_text(struct http_exchange *x, struct err err, const char *detail,
                             const struct field_errors *fields)
{
    struct exchange *ex = exchange_of(x);
    struct http_server *s = ex->s;
    enum err_code code = shown_code(err);
    char type[256];
    if (code != err.code)
        log_error("http.internal", F_ERR(err));
    if (detail == NULL || detail[0] == '\0' || code != err.code)
        detail = err_advice(code);
    snprintf(type, sizeof type, "%.*s%s", STR_ARG(s->o.problem_base), err_word(code));
    buf_reset(&s->json);
    struct jsonw w = jw_into(&s->json);
    jw_open(&w);
    jw_c(&w, "type", type);
    jw_c(&w, "title", err_title(code));
    jw_i64(&w, "status", err_http(code));
    jw_c(&w, "detail", detail);
    jw_c(&w, "code", err_word(code));
    if (fields != NULL && fields->n > 0)
        put_fields(&w, fields);
    jw_c(&w, "request_id", x->request_id);
    jw_close(&w);
    struct str text = s->json.failed ? STR_NULL : arena_dup(x->arena, buf_view(&s->json));
    return text.p != NULL ? text : STR("{}");
}

void http_problem_fields(struct http_exchange *x, struct err err, const char *detail,
                         const struct field_errors *fields)
{
    struct exchange *ex = exchange_of(x);
    struct str body = http_problem_text(x, err, detail, fields);
    int status = err_http(shown_code(err));
    bool soon = status == 503 || status == 429 || err.code == ERR_IDEMPOTENCY_IN_PROGRESS;
    if (soon && !has_header(ex, STR("Retry-After")))
        http_set_header(x, STR("Retry-After"), STR("1"));
    http_reply(x, status, STR("application/problem+json"), body);
}

struct stream *http_upgrade(struct http_exchange *x)
{
    struct exchange *ex = exchange_of(x);
    ASSERT(!ex->ended);
    if (!ex->upgrade) {
        http_problem(x, ERR(BAD_REQUEST, "no upgrade"), "the request does not ask for an upgrade");
        return NULL;
    }
    struct conn *c = ex->conn;
    struct stream *stream = NULL;
    if (c != NULL && !conn_eof(c)) {
        struct buf *out = conn_out(c);
        buf_c(out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
        put_common(ex, out);
        buf_c(out, "\r\n");
        if (out->failed)
            conn_kill(c);
        else
            stream = conn_give_stream(c);
    }
    finish(ex, stream != NULL ? 101 : 0, 0);
    return stream;
}

struct stream *http_stream(struct http_exchange *x, struct str content_type)
{
    struct exchange *ex = exchange_of(x);
    struct conn *c = ex->conn;
    struct stream *stream = NULL;
    ASSERT(!ex->ended);
    ex->keep_alive = false;
    if (c != NULL && !conn_eof(c)) {
        struct buf *out = conn_out(c);
        buf_str(out, status_line(200));
        put_line(out, STR("Content-Type"), content_type);
        put_common(ex, out);
        buf_c(out, "Connection: close\r\n\r\n");
        if (out->failed)
            conn_kill(c);
        else
            stream = conn_give_stream(c);
    }
    finish(ex, stream != NULL ? 200 : 0, 0);
    return stream;
}

void http_abort(struct http_exchange *x, struct str raw_first)
{
    struct exchange *ex = exchange_of(x);
    ASSERT(!ex->ended);
    if (ex->conn != NULL) {
        conn_write(ex->conn, raw_first);
        conn_leave(ex->conn);
    }
    finish(ex, 0, raw_first.n);
}

/* ---- the head ---- */

/* 204 and 304 have none, and then no Content-Length either. */
static bool has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static struct str status_line(int status)
{
#define LINE(status_, reason) \
    case status_:             \
        return STR("HTTP/1.1 " #status_ " " reason "\r\n")
    switch (status) {
        LINE(200, "OK");
        LINE(201, "Created");
        LINE(202, "Accepted");
        LINE(204, "No Content");
        LINE(301, "Moved Permanently");
        LINE(302, "Found");
        LINE(303, "See Other");
        LINE(304, "Not Modified");
        LINE(307, "Temporary Redirect");
        LINE(308, "Permanent Redirect");
        LINE(400, "Bad Request");
        LINE(401, "Unauthorized");
        LINE(402, "Payment Required");
        LINE(403, "Forbidden");
        LINE(404, "Not Found");
        LINE(405, "Method Not Allowed");
        LINE(408, "Request Timeout");
        LINE(409, "Conflict");
        LINE(410, "Gone");
        LINE(413, "Content Too Large");
        LINE(414, "URI Too Long");
        LINE(415, "Unsupported Media Type");
        LINE(422, "Unprocessable Content");
        LINE(426, "Upgrade Required");
        LINE(429, "Too Many Requests");
        LINE(431, "Request Header Fields Too Large");
        LINE(500, "Internal Server Error");
        LINE(502, "Bad Gateway");
        LINE(503, "Service Unavailable");
        LINE(504, "Gateway Timeout");
        LINE(505, "HTTP Version Not Supported");
    default:
        return STR_NULL;
    }
#undef LINE
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", made once a second. */
static struct str date_text(struct http_server *s)
{
    static const char days[] = "ThuFriSatSunMonTueWed",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t now_s = loop_wall_us(s->loop) / US_PER_S;
    if (now_s != s->date_s) {
        struct date d = date_of(now_s * US_PER_S);
        s->date_s = now_s;
        snprintf(s->date, sizeof s->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                 days + 3 * (now_s / (24 * 3600) % 7), d.day % 100, months + 3 * (d.month - 1),
                 d.year % 10000, d.hour % 100, d.minute % 100, d.second % 100);
    }
    return str_n(s->date, 29);
}

static void put_line(struct buf *b, struct str name, struct str value)
{
    buf_str(b, name);
    buf_add(b, ": ", 2);
    buf_str(b, value);
    buf_add(b, "\r\n", 2);
}

/* Browsers then never speak to this host in the clear again. Said only through TLS (RFC 6797, 7.2).
 */
static void put_transport(struct exchange *ex, struct buf *b)
{
    if (ex->s->o.https_base.n > 0 && ex->pub.secure)
        buf_str(b, STR("Strict-Transport-Security: max-age=31536000\r\n"));
}

static void put_cors(struct exchange *ex, struct buf *b)
{
    struct http_server *s = ex->s;
    if (s->o.cors_origins.n == 0)
        return;
    buf_str(b, STR("Vary: Origin\r\n"));
    if (!http_origin_allowed(ex))
        return;
    put_line(b, STR("Access-Control-Allow-Origin"),
             head_known(&ex->head, ex->head_bytes, HEAD_ORIGIN));
    buf_str(b, STR("Access-Control-Expose-Headers: Idempotency-Original-Date, "
                   "Idempotent-Recovered, Idempotent-Replayed, Location, RateLimit, "
                   "RateLimit-Policy, Reli-Current-Status, Retry-After, X-Request-Id\r\n"));
}

/* What an answer of any kind has. */
static void put_common(struct exchange *ex, struct buf *b)
{
    struct http_server *s = ex->s;
    buf_str(b, STR("Date: "));
    buf_str(b, date_text(s));
    buf_str(b, STR("\r\nX-Request-Id: "));
    buf_c(b, ex->pub.request_id);
    buf_str(b, STR("\r\n"));
    if (ex->replaced == 0) {
        buf_str(b, s->constant_headers);
    } else {
        for (size_t i = 0; i < COUNT_OF(defaults); i++)
            if ((ex->replaced & 1u << i) == 0)
                buf_str(b, defaults[i].line);
        buf_str(b, s->o.server_headers);
    }
    for (int i = 0; i < ex->n_headers; i++)
        put_line(b, ex->headers[i].name, ex->headers[i].value);
    put_transport(ex, b);
    put_cors(ex, b);
}

static void put_head(struct exchange *ex, struct buf *b, int status, struct str type, size_t len)
{
    struct str line = status_line(status);
    if (line.p != NULL)
        buf_str(b, line);
    else
        buf_fmt(b, "HTTP/1.1 %d Status %d\r\n", status, status);
    if (has_body(status)) {
        if (type.n > 0)
            put_line(b, STR("Content-Type"), type);
        buf_str(b, STR("Content-Length: "));
        buf_i64(b, (int64_t)len);
        buf_str(b, STR("\r\n"));
    }
    put_common(ex, b);
    if (status == 426) /* what Upgrade says is for this hop (RFC 9110, 7.8) */
        buf_str(b, STR("Connection: Upgrade\r\n"));
    if (!exchange_keeps_alive(ex))
        buf_str(b, STR("Connection: close\r\n"));
    else if (ex->head.minor == 0)
        buf_str(b, STR("Connection: keep-alive\r\n"));
    buf_str(b, STR("\r\n"));
}

/* ---- afterwards ---- */

static void account(struct exchange *ex, int status, size_t bytes)
{
    struct http_server *s = ex->s;
    struct http_exchange *x = &ex->pub;
    int64_t us = x->started_us > 0 ? loop_mono_us(s->loop) - x->started_us : 0;
    if (status >= 100) {
        metric_add(&requests[status / 100 - 1], 1);
        metric_observe_us(&seconds, us);
    }
    if (s->o.after != NULL)
        s->o.after(x, status);
    if (!s->o.access_log)
        return;
    const char *before = log_current_request();
    log_request(x->request_id);
    log_info("http.request", F_C("route", x->route != NULL ? x->route->pattern : "-"),
             F_C("method", ex->head.method >= 0 ? http_method_text(x->method) : "-"),
             F_I64("status", status), F_I64("us", us), F_I64("bytes", bytes));
    log_request(before);
}

/* The answer is made. The connection goes on, the exchange is gone. */
static void finish(struct exchange *ex, int status, size_t bytes)
{
    ex->ended = true;
    if (!ex->s->freed)
        account(ex, status, bytes);
    struct conn *c = ex->conn;
    ex->conn = NULL;
    if (c != NULL)
        conn_answered(c, exchange_keeps_alive(ex));
    if (!ex->in_handler)
        exchange_release(ex);
}
