#ifndef RELI_BASE_LOG_H
#define RELI_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/uuid.h"

/* JSON lines on standard error: {"time":…,"level":…,"event":…,"request_id":…, fields…}.
 *
 *     log_info("charge.sent", F_ID("payment", id), F_I64("ms", ms));
 *
 * `event` is a fixed word. Lines go to a bounded buffer that log_flush() empties once per loop turn
 * without ever waiting; lines that find it full are counted and reported by one later line. */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

enum log_field_kind {
    FIELD_END,
    FIELD_STR,
    FIELD_I64,
    FIELD_ID,
    FIELD_MSISDN,
    FIELD_ERR,
    FIELD_BOOL
};

struct log_field {
    enum log_field_kind kind;
    const char *name;
    struct str str;
    int64_t i64;
    struct uuid id;
    struct err err;
};

#define F_STR(name_, s_) ((struct log_field){.kind = FIELD_STR, .name = (name_), .str = (s_)})
#define F_C(name_, c_) F_STR(name_, str_c(c_))
#define F_I64(name_, v_) \
    ((struct log_field){.kind = FIELD_I64, .name = (name_), .i64 = (int64_t)(v_)})
#define F_BOOL(name_, v_) ((struct log_field){.kind = FIELD_BOOL, .name = (name_), .i64 = (v_)})
#define F_ID(name_, u_) ((struct log_field){.kind = FIELD_ID, .name = (name_), .id = (u_)})
/* A phone number: all but the first five and the last two characters are masked. */
#define F_MSISDN(name_, s_) ((struct log_field){.kind = FIELD_MSISDN, .name = (name_), .str = (s_)})
/* Prints error, error_detail and error_what. */
#define F_ERR(e_) ((struct log_field){.kind = FIELD_ERR, .name = "error", .err = (e_)})
#define F_END_ ((struct log_field){.kind = FIELD_END})

#define log_debug(...) log_write_(LOG_DEBUG, __VA_ARGS__, F_END_)
#define log_info(...) log_write_(LOG_INFO, __VA_ARGS__, F_END_)
#define log_warn(...) log_write_(LOG_WARN, __VA_ARGS__, F_END_)
#define log_error(...) log_write_(LOG_ERROR, __VA_ARGS__, F_END_)

void log_write_(enum log_level level, const char *event, ...);

/* `fd` stays the caller's. Before log_open lines go to standard error. */
void log_open(int fd, enum log_level level);
enum log_level log_level(void);
/* The clock of the next lines: wall time in microseconds. The loop sets it once per turn. */
void log_now(int64_t wall_us);
/* The request, job or operation that the next lines are about; NULL for none. Borrowed. */
void log_request(const char *request_id);
const char *log_current_request(void);
/* Bytes that log_flush has not written yet. */
size_t log_waiting(void);
/* Writes what the descriptor takes now. */
void log_flush(void);
/* Writes everything, waiting up to a second; for the end of a process. */
void log_close(void);
/* Lines dropped since the start. */
int64_t log_dropped(void);

#endif
