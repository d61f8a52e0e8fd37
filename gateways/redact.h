#ifndef RELI_GATEWAYS_REDACT_H
#define RELI_GATEWAYS_REDACT_H

#include "core/base/buf.h"
#include "core/base/str.h"

/* What to mask in a JSON body before it is stored, by member name, ASCII case ignored; each list by
 * commas, NULL for none. */
struct redact_rules {
    const char *hide; /* the whole value */
    const char
        *phones; /* all but the first five and the last two characters, if it is a phone number */
    const char *urls; /* what follows the last slash: the token of a callback */
    /* {"Name": "PhoneNumber", "Value": 254…}: the members that may name, by commas, and the one
     * that holds; or NULL. */
    const char *pair_names, *pair_value;
};

/* Appends the masked body as compact JSON. Of a body that is no JSON only the length is kept:
 * nobody knows what is in it. */
void redact_json(struct str body, const struct redact_rules *rules, struct buf *out);

#endif
