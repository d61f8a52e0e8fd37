#ifndef RELI_GATEWAYS_ANSWER_H
#define RELI_GATEWAYS_ANSWER_H

#include "core/codec/json.h"
#include "gateways/gateway.h"

/* What is the same in the answers of every provider that speaks JSON. */

/* Nothing certain was said: what names the attempt and the provider's words are kept. */
void gw_unknown(struct gw_result *out, const char *why);
/* The complete body of an answer, parsed, for the caller to free; NULL if there is none: `out` then
 * says what it means. `*out` begins anew. */
struct json *gw_answer_json(const struct outbound_response *in, struct gw_result *out) MUST_USE;
/* The same of an answer to a request that moves money: one that was not sent is refused. */
struct json *gw_order_json(const struct outbound_response *in, struct gw_result *out) MUST_USE;
/* A provider's words for people, fit to be kept: at most `max` bytes, cut between two characters,
 * control characters blank. In the arena; STR_NULL if it is full. */
enum { GW_MESSAGE_MAX = 200 };
struct str gw_words(struct arena *mem, struct str s, size_t max);

#endif
