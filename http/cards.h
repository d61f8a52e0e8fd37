#ifndef RELI_HTTP_CARDS_H
#define RELI_HTTP_CARDS_H

#include "core/codec/json.h"
#include "http/server.h"

/* Answers 422 card_number_refused, naming the field, if any text, number or member name of a
 * client's body holds a card number; true: answered. Nothing of the body has been kept or logged by
 * then. */
bool card_refused(struct http_exchange *x, const struct json *body);

#endif
