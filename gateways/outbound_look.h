#ifndef RELI_GATEWAYS_OUTBOUND_LOOK_H
#define RELI_GATEWAYS_OUTBOUND_LOOK_H

#include "gateways/outbound.h"
#include "gateways/outbound_host.h"

/* Questions whether a URL leads to a public address, without a call: outbound_look. */
struct looks;

/* `hosts` is borrowed and outlives them. */
struct err looks_new(struct loop *l, struct hosts *hosts, struct looks **out) MUST_USE;
/* As outbound_look says. */
struct err looks_start(struct looks *s, struct str url, outbound_look_fn *done, void *ctx) MUST_USE;
/* Ends all that are under way: ERR_CANCELED. */
void looks_cancel(struct looks *s);
/* None may be under way. */
void looks_free(struct looks *s);

#endif
