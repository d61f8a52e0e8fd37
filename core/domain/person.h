#ifndef RELI_DOMAIN_PERSON_H
#define RELI_DOMAIN_PERSON_H

#include "core/base/str.h"
#include "core/base/uuid.h"

/* Who may stand behind an actor, for what takes two people: names with blanks between them.
 *
 * Someone whom another person has confirmed, or the command line has made, stands for himself.
 * Until then he also stands for who invited him, and for all that one stood for: who was given the
 * invitation's token may have accepted it himself. An API key stands for whom its secret was given
 * to: who made it, or the key that made it, or whom that one stands for, as they were then. One of
 * the command line was given to nobody that is known, and stands for itself. Pure. */

enum {
    PERSON_NAME = 8 + UUID_TEXT, /* "api_key:…", "user:…" */
    PERSON_NAMES = 4,            /* at most: himself, and three whom he stands for */
    PERSON_TEXT = PERSON_NAMES * PERSON_NAME
};

void person_key_name(struct uuid key, char out[PERSON_NAME]);

/* Of a key that was made by `created_by`; STR_NULL: by nobody. */
void person_of_key(struct str created_by, struct uuid key, char out[PERSON_TEXT]);
/* Of a user, his own name last. `stands_for`: for whom besides himself; STR_NULL: nobody. False:
 * that is no list of person_invited's. */
bool person_of_user(struct str stands_for, struct uuid user, char out[PERSON_TEXT]) MUST_USE;
/* For whom a user stands who stood for `before` and is invited by a person. False: too many. */
bool person_invited(struct str before, struct str inviter, struct uuid user,
                    char out[PERSON_TEXT]) MUST_USE;
/* The last name: who was given a key, without whom he stands for. STR_NULL of STR_NULL. */
struct str person_own(struct str person);

/* Whether one may stand behind both. Who is not known is told apart from nobody. */
bool person_same(struct str a, struct str b);

#endif
