#ifndef RELI_TOOL_H
#define RELI_TOOL_H

#include "core/conf.h"
#include "core/flow/vault.h"
#include "store/store.h"

/* What the commands that do one thing work with: checked settings and, where asked for, the
 * installation's keys. They talk to PostgreSQL synchronously: nothing else waits for them. */
struct tool {
    struct conf conf;
    struct vault *vault;
    struct arena arena;
    int64_t now_us;
    struct err err; /* of a row callback */
    bool found;     /* a row callback saw a row */
    struct uuid id; /* that tool_first_id saw */
};

/* `need` is of enum conf_need. tool_close in any case. */
struct err tool_open(struct tool *t, unsigned need) MUST_USE;
/* Opens the installation's keys, making them if there are none; part of tool_open with CONF_KEYS.
 */
struct err tool_keys(struct tool *t) MUST_USE;
/* Says what went wrong; the exit code. */
int tool_close(struct tool *t, struct err err);

/* Runs one statement; `done` gets t. */
struct err tool_run(struct tool *t, enum query q, const struct value *params, size_t n,
                    store_rows_fn *done) MUST_USE;
/* Row callbacks: nothing; whether there was a row; and the id in its first column. */
store_rows_fn tool_ignore, tool_see, tool_first_id;

/* "reli NAME list [--merchant ID]": runs `q`, whose parameters are the merchant (null for all) and
 * TOOL_LIST_MAX; `show` prints the rows. The exit code. */
enum { TOOL_LIST_MAX = 10000 };
int tool_list(int argc, char **argv, const char *usage, enum query q, store_rows_fn *show);

/* Whether argv is nothing but "--name VALUE" with names of `known` (divided by blanks), each at
 * most once; one that ends in '!' there stands without a value. Says what is not. */
bool tool_only(int argc, char **argv, const char *known);
/* The value of "--name VALUE", NULL if it is not there. */
const char *tool_option(int argc, char **argv, const char *name);
/* Prints "usage: reli TEXT"; 2. */
int tool_usage(const char *text);

#endif
