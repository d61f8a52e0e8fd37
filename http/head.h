#ifndef RELI_HTTP_HEAD_H
#define RELI_HTTP_HEAD_H

#include "http/server.h"

/* The guard in front of llhttp: reads a request's head (request line and header lines) by the
 * letter of RFC 9112 and refuses whatever two servers could read in two ways. Pure: offsets into
 * bytes that the caller keeps, so that they may move while the head grows. */
enum {
    HEAD_MAX_FIELDS = 100,
    HEAD_MAX_BYTES = 65536 /* the most that head_init takes */
};

/* Fields that the server itself looks at. */
enum head_known {
    HEAD_NONE,
    HEAD_HOST,
    HEAD_CONTENT_LENGTH,
    HEAD_TRANSFER_ENCODING,
    HEAD_EXPECT,
    HEAD_REQUEST_ID,
    HEAD_ORIGIN,
    HEAD_FORWARDED_FOR,
    HEAD_N_KNOWN
};

struct head_span {
    uint32_t at, n;
};

struct head_field {
    struct head_span name, value;
};

struct head {
    size_t max;     /* limit of the whole head */
    size_t scanned; /* bytes in which no unread LF is left */
    size_t line;    /* where the line that is being read begins */
    int method;     /* enum http_method; -1: a method that we do not have */
    int minor;      /* of HTTP/1.x */
    bool has_request_line;
    bool chunked;
    bool expects_continue;
    uint64_t length;            /* Content-Length */
    struct head_span target;    /* from its path on */
    struct head_span authority; /* of a target in absolute form; n 0: none */
    struct err err; /* after HEAD_BAD: which answer; `what` may be shown to the client */
    uint8_t known[HEAD_N_KNOWN]; /* 1 + index of the first field of that kind */
    unsigned n_fields;
    struct head_field fields[HEAD_MAX_FIELDS];
};

enum head_status { HEAD_MORE, HEAD_DONE, HEAD_BAD };

void head_init(struct head *h, size_t max);
/* `bytes` is all that has come since the head's first byte. HEAD_DONE: h->line is the length of the
 * head with its empty line, and what framing says is consistent. After HEAD_BAD the connection has
 * to be closed behind the answer. */
enum head_status head_feed(struct head *h, struct str bytes);

/* The value of the first field of a kind; STR_NULL if absent. Host is what the target says, if it
 * is in absolute form. */
struct str head_known(const struct head *h, struct str bytes, enum head_known kind);

static inline struct str head_str(struct str bytes, struct head_span s)
{
    return str_n(bytes.p + s.at, s.n);
}

/* A name of a header field or a method: RFC 9110 token. */
bool http_is_token(struct str s);
/* A field value: no control characters but TAB. */
bool http_is_field_value(struct str s);

#endif
