#ifndef RELI_DOMAIN_PERSON_H
#define RELI_DOMAIN_PERSON_H

#include "core/base/str.h"
#include "core/base/uuid.h"

/* Who stands behind an actor, for what takes two people. A person stands for himself; an API key
 * for whom its secret was given to: who made it, or the key that made it, or whom that one stands
 * for. One of the command line was given to nobody that is known, and stands for itself. */

enum { PERSON_TEXT = 8 + UUID_TEXT }; /* "api_key:…", "user:…" */

/* Of a key that was made by `created_by`; STR_NULL: by nobody. */
void person_of_key(struct str created_by, struct uuid key, char out[PERSON_TEXT]);
/* Who is not known is told apart from nobody. */
bool person_same(struct str a, struct str b);

#endif
