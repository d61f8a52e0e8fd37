/* The logger: lines are made in memory and leave once per loop turn. A pipe that nobody reads must
 * not stop payments, so a write is only tried when poll() says that it will not block. */
#include "core/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/times.h"

enum { LOG_BUFFER = 1 << 20, PIPE_CHUNK = 4096, LINE_MAX_BYTES = 8192 };

static struct {
    int fd;
    bool is_file;
    enum log_level level;
    int64_t now_us;
    int64_t stamp_ms;
    char stamp[TIME_TEXT];
    const char *request_id;
    struct buf buf;
    int64_t dropped;
    int64_t reported;
} logger = {.fd = STDERR_FILENO, .level = LOG_INFO, .buf = {.limit = LOG_BUFFER}};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void assert_failed(const char *cond, const char *file, int line)
{
    log_error("assert.failed", F_C("condition", cond), F_C("file", file), F_I64("line", line));
    log_close();
    abort();
}

void log_open(int fd, enum log_level level)
{
    struct stat st;
    logger.fd = fd;
    logger.level = level;
    logger.is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

enum log_level log_level(void)
{
    return logger.level;
}

void log_now(int64_t wall_us)
{
    logger.now_us = wall_us;
}

void log_request(const char *request_id)
{
    logger.request_id = request_id;
}

const char *log_current_request(void)
{
    return logger.request_id;
}

int64_t log_dropped(void)
{
    return logger.dropped;
}

size_t log_waiting(void)
{
    return logger.buf.n;
}

static void add_json_text(struct buf *b, struct str s)
{
    buf_char(b, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
            continue;
        buf_add(b, s.p + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') {
            buf_char(b, '\\');
            buf_char(b, (char)c);
        } else {
            buf_fmt(b, "\\u%04x", c); /* foreign bytes: readable as Latin-1, always valid JSON */
        }
    }
    if (from < s.n)
        buf_add(b, s.p + from, s.n - from);
    buf_char(b, '"');
}

static void add_name(struct buf *b, const char *name)
{
    buf_c(b, ",\"");
    buf_c(b, name);
    buf_c(b, "\":");
}

static void add_masked(struct buf *b, struct str s)
{
    char masked[24];
    size_t n = s.n < sizeof masked ? s.n : sizeof masked;
    for (size_t i = 0; i < n; i++)
        masked[i] = i < 5 || i + 2 >= n ? s.p[i] : '*';
    add_json_text(b, str_n(masked, n));
}

static void add_field(struct buf *b, const struct log_field *f)
{
    char id[UUID_TEXT];
    add_name(b, f->name);
    switch (f->kind) {
    case FIELD_STR:
        add_json_text(b, str_first(f->str, 2048));
        break;
    case FIELD_I64:
        buf_i64(b, f->i64);
        break;
    case FIELD_BOOL:
        buf_c(b, f->i64 ? "true" : "false");
        break;
    case FIELD_ID:
        add_json_text(b, str_c(uuid_text(f->id, id)));
        break;
    case FIELD_MSISDN:
        add_masked(b, f->str);
        break;
    case FIELD_ERR:
        add_json_text(b, str_c(err_word(f->err.code)));
        if (f->err.detail != 0) {
            add_name(b, "error_detail");
            buf_i64(b, f->err.detail);
        }
        if (f->err.detail < 0 && f->err.detail > -4096) { /* libuv has its own beyond; errno else */
            add_name(b, "error_words");
            add_json_text(b, str_c(strerrordesc_np(-f->err.detail)));
        }
        if (f->err.what != NULL) {
            add_name(b, "error_what");
            add_json_text(b, str_c(f->err.what));
        }
        break;
    case FIELD_END:
        break;
    }
}

static void add_head(struct buf *b, enum log_level level, const char *event)
{
    int64_t now = logger.now_us;
    if (now == 0) {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        now = (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
    }
    if (now / 1000 != logger.stamp_ms) {
        logger.stamp_ms = now / 1000;
        time_text(now, logger.stamp);
    }
    buf_c(b, "{\"time\":\"");
    buf_c(b, logger.stamp);
    buf_c(b, "\",\"level\":\"");
    buf_c(b, level_names[level]);
    buf_c(b, "\",\"event\":\"");
    buf_c(b, event);
    buf_char(b, '"');
    add_name(b, "request_id");
    if (logger.request_id != NULL)
        add_json_text(b, str_c(logger.request_id));
    else
        buf_c(b, "null");
}

void log_write_(enum log_level level, const char *event, ...)
{
    if (level < logger.level)
        return;
    struct buf *b = &logger.buf;
    if (b->n + LINE_MAX_BYTES > b->limit) {
        logger.dropped++;
        return;
    }
    if (logger.dropped > logger.reported) {
        int64_t missed = logger.dropped - logger.reported;
        logger.reported = logger.dropped;
        log_warn("log.dropped", F_I64("lines", missed));
    }
    size_t start = b->n;
    add_head(b, level, event);
    va_list args;
    va_start(args, event);
    for (;;) {
        struct log_field f = va_arg(args, struct log_field);
        if (f.kind == FIELD_END)
            break;
        add_field(b, &f);
    }
    va_end(args);
    buf_c(b, "}\n");
    if (b->failed) {
        b->n = start;
        b->failed = false;
        logger.dropped++;
    }
}

static size_t write_some(struct str s)
{
    if (!logger.is_file) {
        struct pollfd p = {.fd = logger.fd, .events = POLLOUT};
        if (poll(&p, 1, 0) != 1 || (p.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
            return (p.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? s.n : 0;
        s = str_first(s, PIPE_CHUNK); /* POLLOUT promises this much of a pipe */
    }
    ssize_t n = write(logger.fd, s.p, s.n);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : s.n; /* nowhere to write: forget it */
    return (size_t)n;
}

void log_flush(void)
{
    size_t done = 0;
    while (done < logger.buf.n) {
        size_t n = write_some(str_from(buf_view(&logger.buf), done));
        if (n == 0)
            break;
        done += n;
    }
    if (done > 0)
        buf_consume(&logger.buf, done);
}

void log_close(void)
{
    for (int i = 0; i < 100 && logger.buf.n > 0; i++) {
        log_flush();
        if (logger.buf.n > 0) {
            struct timespec ten_ms = {0, 10 * 1000 * 1000};
            nanosleep(&ten_ms, NULL);
        }
    }
    buf_free(&logger.buf);
}
