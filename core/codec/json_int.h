#ifndef RELI_CODEC_JSON_INT_H
#define RELI_CODEC_JSON_INT_H

#include "core/codec/json.h"

/* A value. All of a document's lie in one piece of memory, the root first, before a copy of the
 * text. */
struct json {
    enum json_kind kind;
    size_t n;           /* members or items */
    struct json *first; /* of them */
    struct json *next;  /* beside this one */
    struct str name;    /* of a member */
    struct str raw;     /* as it is written, quotation marks and all */
    int64_t i64;        /* of an integer */
    bool truth;
    const void *hard; /* jansson's value; NULL: it was not needed */
};

/* Reads a document without escapes, exponents and other rarities, as nearly all are. NULL: it is
 * not plain, which says nothing about whether it is good, or there is no memory. */
struct json *json_plain(struct str text) MUST_USE;
void json_plain_free(struct json *root);

#endif
