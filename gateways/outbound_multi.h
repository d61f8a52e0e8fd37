#ifndef RELI_GATEWAYS_OUTBOUND_MULTI_H
#define RELI_GATEWAYS_OUTBOUND_MULTI_H

#include <curl/curl.h>
#include <stdbool.h>

#include "core/base/err.h"
#include "core/loop/loop.h"

/* libcurl's multi interface on the loop. Private to the outbound files. */
struct multi;

/* A transfer has ended. Called outside of libcurl: handles may be added and removed; the ended one
 * is still in the multi and must be removed. */
typedef void multi_fn(void *ctx, CURL *easy, CURLcode code);

struct err multi_new(struct loop *l, long max_per_host, long max_total, multi_fn *ended, void *ctx,
                     struct multi **out) MUST_USE;
/* No handle may be in it any more. */
void multi_free(struct multi *m);
/* Once, before the handle is first added. */
void multi_prepare(struct multi *m, CURL *easy);
/* The connection over `fd` stands: it may be kept. */
void multi_connected(struct multi *m, curl_socket_t fd);
bool multi_add(struct multi *m, CURL *easy) MUST_USE;
void multi_remove(struct multi *m, CURL *easy);

#endif
