/* The head guard. llhttp 8.1 takes a bare CR as the end of a header value (CVE-2023-30589), glues
 * folded lines, ends a head on CR LF CR and does not mind a second Host. A proxy in front of us may
 * read such a head otherwise, and that difference is request smuggling. So nothing reaches llhttp
 * that has not passed here; llhttp then has to agree on what was found. */
#include "http/head.h"

enum { TOKEN = 1, VALUE = 2, TARGET = 4, HOST = 8 };

/* Classes of bytes, by the grammar of RFC 9110. */
static uint8_t classes[256];

static void classes_make(void);
static enum head_status refuse(struct head *h, struct err err);
static enum head_status too_large(struct head *h);
static enum head_status incomplete(struct head *h, struct str bytes);
static enum head_status request_line(struct head *h, struct str bytes, size_t at, size_t end);
static enum head_status field_line(struct head *h, struct str bytes, size_t at, size_t end);
static enum head_status finish(struct head *h, struct str bytes);

void head_init(struct head *h, size_t max)
{
    classes_make();
    memset(h, 0, offsetof(struct head, fields));
    h->max = max < HEAD_MAX_BYTES ? max : HEAD_MAX_BYTES;
}

enum head_status head_feed(struct head *h, struct str bytes)
{
    for (;;) {
        size_t lf = str_find(bytes, '\n', h->scanned);
        if (lf == SIZE_MAX)
            return incomplete(h, bytes);
        size_t at = h->line;
        if (lf >= h->max)
            return too_large(h);
        if (lf == at || bytes.p[lf - 1] != '\r')
            return refuse(h, ERR(BAD_REQUEST, "a line ends in LF without CR"));
        h->line = h->scanned = lf + 1;
        if (h->has_request_line && lf - 1 == at)
            return finish(h, bytes);
        enum head_status status = h->has_request_line ? field_line(h, bytes, at, lf - 1)
                                                      : request_line(h, bytes, at, lf - 1);
        if (status != HEAD_MORE)
            return status;
    }
}

struct str head_known(const struct head *h, struct str bytes, enum head_known kind)
{
    return h->known[kind] != 0 ? head_str(bytes, h->fields[h->known[kind] - 1].value) : STR_NULL;
}

static bool all_of(struct str s, unsigned class)
{
    for (size_t i = 0; i < s.n; i++)
        if ((classes[(unsigned char)s.p[i]] & class) == 0)
            return false;
    return true;
}

bool http_is_token(struct str s)
{
    classes_make();
    return s.n > 0 && all_of(s, TOKEN);
}

bool http_is_field_value(struct str s)
{
    classes_make();
    return all_of(s, VALUE);
}

static void classes_make(void)
{
    if (classes['A'] != 0)
        return;
    for (unsigned c = 0; c < 256; c++) {
        bool graphic = c > 0x20 && c < 0x7f;
        bool alnum = c < 0x80 && (ascii_is_alpha((char)c) || ascii_is_digit((char)c));
        unsigned class = 0;
        if (alnum || (graphic && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL))
            class |= TOKEN;
        if (c == '\t' || (c >= 0x20 && c != 0x7f))
            class |= VALUE;
        if (graphic && c != '#')
            class |= TARGET;
        if (alnum || (graphic && strchr(".-_~:[]%!$&'()*+;=", (int)c) != NULL))
            class |= HOST;
        classes[c] = (uint8_t) class;
    }
}

static enum head_status refuse(struct head *h, struct err err)
{
    h->err = err;
    return HEAD_BAD;
}

static enum head_status too_large(struct head *h)
{
    return refuse(h, h->has_request_line ? ERR(HEADERS_TOO_LARGE, "the head is too large")
                                         : ERR(URI_TOO_LONG, "the request line is too long"));
}

/* No line end has come. What is wrong already is refused now, not after a timeout. */
static enum head_status incomplete(struct head *h, struct str bytes)
{
    size_t from = h->scanned > h->line ? h->scanned - 1 : h->line;
    size_t cr = str_find(bytes, '\r', from);
    if (cr != SIZE_MAX && cr + 1 < bytes.n)
        return refuse(h, ERR(BAD_REQUEST, "CR without LF"));
    if (bytes.n >= h->max)
        return too_large(h);
    h->scanned = bytes.n;
    return HEAD_MORE;
}

static struct head_span span(size_t at, size_t end)
{
    return (struct head_span){(uint32_t)at, (uint32_t)(end - at)};
}

/* RFC 9112, 3.2.2: "http://host/path", the form for proxies, is to be taken by every server. */
static struct str after_authority(struct str target, struct str *authority)
{
    size_t from = str_ieq(str_first(target, 7), STR("http://"))    ? 7
                  : str_ieq(str_first(target, 8), STR("https://")) ? 8
                                                                   : 0;
    size_t to = from;
    *authority = STR_NULL;
    if (from == 0)
        return target;
    while (to < target.n && target.p[to] != '/' && target.p[to] != '?')
        to++;
    *authority = str_n(target.p + from, to - from);
    return str_from(target, to);
}

static int method_of(struct str s)
{
    switch (s.n) {
    case 3:
        return str_eq(s, STR("GET")) ? HTTP_GET_ : str_eq(s, STR("PUT")) ? HTTP_PUT_ : -1;
    case 4:
        return str_eq(s, STR("POST")) ? HTTP_POST_ : str_eq(s, STR("HEAD")) ? HTTP_HEAD_ : -1;
    case 5:
        return str_eq(s, STR("PATCH")) ? HTTP_PATCH_ : -1;
    case 6:
        return str_eq(s, STR("DELETE")) ? HTTP_DELETE_ : -1;
    case 7:
        return str_eq(s, STR("OPTIONS")) ? HTTP_OPTIONS_ : -1;
    default:
        return -1;
    }
}

static enum head_status request_line(struct head *h, struct str bytes, size_t at, size_t end)
{
    struct str line = str_n(bytes.p + at, end - at);
    size_t first = str_find(line, ' ', 0);
    size_t second = first == SIZE_MAX ? SIZE_MAX : str_find(line, ' ', first + 1);
    if (second == SIZE_MAX || !http_is_token(str_first(line, first)))
        return refuse(h, ERR(BAD_REQUEST, "malformed request line"));
    struct str version = str_from(line, second + 1);
    struct str authority, target = str_n(line.p + first + 1, second - first - 1);
    if (version.n != 8 || !str_starts(version, STR("HTTP/")) || !ascii_is_digit(version.p[5]) ||
        version.p[6] != '.' || !ascii_is_digit(version.p[7]))
        return refuse(h, ERR(BAD_REQUEST, "malformed HTTP version"));
    if (version.p[5] != '1' || version.p[7] > '1')
        return refuse(h, ERR(VERSION_NOT_SUPPORTED, "HTTP/1.0 and HTTP/1.1 are spoken here"));
    h->method = method_of(str_first(line, first));
    bool asterisk = h->method == HTTP_OPTIONS_ && str_eq(target, STR("*"));
    struct str path = after_authority(target, &authority);
    if (authority.p != NULL && (authority.n == 0 || !all_of(authority, HOST)))
        return refuse(h, ERR(BAD_REQUEST, "malformed authority in the target"));
    if (authority.p == NULL && (target.n == 0 || (target.p[0] != '/' && !asterisk)))
        return refuse(h, ERR(BAD_REQUEST, "the target is neither a path nor an http URL"));
    if (!all_of(path, TARGET))
        return refuse(h, ERR(BAD_REQUEST, "the target has a character that must be escaped"));
    h->minor = version.p[7] - '0';
    h->target = span(at + second - path.n, at + second);
    h->authority = span(at + second - path.n - authority.n, at + second - path.n);
    h->has_request_line = true;
    return HEAD_MORE;
}

static enum head_known known_of(struct str name)
{
    switch (name.n) {
    case 4:
        return str_ieq(name, STR("host")) ? HEAD_HOST : HEAD_NONE;
    case 6:
        return str_ieq(name, STR("origin"))   ? HEAD_ORIGIN
               : str_ieq(name, STR("expect")) ? HEAD_EXPECT
                                              : HEAD_NONE;
    case 12:
        return str_ieq(name, STR("x-request-id")) ? HEAD_REQUEST_ID : HEAD_NONE;
    case 14:
        return str_ieq(name, STR("content-length")) ? HEAD_CONTENT_LENGTH : HEAD_NONE;
    case 15:
        return str_ieq(name, STR("x-forwarded-for")) ? HEAD_FORWARDED_FOR : HEAD_NONE;
    case 17:
        return str_ieq(name, STR("transfer-encoding")) ? HEAD_TRANSFER_ENCODING : HEAD_NONE;
    default:
        return HEAD_NONE;
    }
}

static enum head_status field_line(struct head *h, struct str bytes, size_t at, size_t end)
{
    const char *p = bytes.p;
    size_t colon = at;
    while (colon < end && (classes[(unsigned char)p[colon]] & TOKEN) != 0)
        colon++;
    if (colon == at && (p[at] == ' ' || p[at] == '\t'))
        return refuse(h, ERR(BAD_REQUEST, "a folded header line"));
    if (colon == at || colon == end || p[colon] != ':')
        return refuse(h, ERR(BAD_REQUEST, "malformed header name"));
    size_t from = colon + 1, to = end;
    while (from < to && (p[from] == ' ' || p[from] == '\t'))
        from++;
    while (to > from && (p[to - 1] == ' ' || p[to - 1] == '\t'))
        to--;
    if (!all_of(str_n(p + from, to - from), VALUE))
        return refuse(h, ERR(BAD_REQUEST, "a control character in a header value"));
    if (h->n_fields == HEAD_MAX_FIELDS)
        return refuse(h, ERR(HEADERS_TOO_LARGE, "too many header fields"));
    enum head_known kind = known_of(str_n(p + at, colon - at));
    if (h->known[kind] != 0 &&
        (kind == HEAD_HOST || kind == HEAD_CONTENT_LENGTH || kind == HEAD_TRANSFER_ENCODING))
        return refuse(h, ERR(BAD_REQUEST, "Host, Content-Length or Transfer-Encoding twice"));
    h->fields[h->n_fields++] = (struct head_field){span(at, colon), span(from, to)};
    if (kind != HEAD_NONE && h->known[kind] == 0)
        h->known[kind] = (uint8_t)h->n_fields;
    return HEAD_MORE;
}

/* The fields that say where the message ends, looked at together. */
static enum head_status finish(struct head *h, struct str bytes)
{
    struct str host = head_known(h, bytes, HEAD_HOST);
    struct str length = head_known(h, bytes, HEAD_CONTENT_LENGTH);
    struct str coding = head_known(h, bytes, HEAD_TRANSFER_ENCODING);
    int64_t n = 0;
    if (host.p == NULL && h->minor == 1)
        return refuse(h, ERR(BAD_REQUEST, "no Host"));
    if (!all_of(host, HOST))
        return refuse(h, ERR(BAD_REQUEST, "malformed Host"));
    if (length.p != NULL && coding.p != NULL)
        return refuse(h, ERR(BAD_REQUEST, "both Content-Length and Transfer-Encoding"));
    if (coding.p != NULL && (h->minor == 0 || !str_ieq(coding, STR("chunked"))))
        return refuse(h, ERR(BAD_REQUEST, "a Transfer-Encoding other than chunked"));
    if (length.p != NULL && (!str_is_digits(length) || !str_to_i64(length, &n)))
        return refuse(h, ERR(BAD_REQUEST, "malformed Content-Length"));
    if (h->authority.n > 0 && host.p != NULL) /* Host is ignored then, but must be sound */
        h->fields[h->known[HEAD_HOST] - 1].value = h->authority;
    h->chunked = coding.p != NULL;
    h->length = (uint64_t)n;
    h->expects_continue =
        h->minor == 1 && str_ieq(head_known(h, bytes, HEAD_EXPECT), STR("100-continue"));
    return HEAD_DONE;
}
