/* People behind API keys and behind accounts that nobody has confirmed. */
#include "core/domain/person.h"

#include <string.h>

static void put_name(const char *kind, struct uuid id, char out[PERSON_NAME])
{
    char text[UUID_TEXT];
    size_t n = strlen(kind);
    memcpy(out, kind, n);
    memcpy(out + n, uuid_text(id, text), UUID_TEXT);
}

static bool has(struct str person, struct str name)
{
    struct str one;
    while (str_split(&person, ' ', &one))
        if (str_eq(one, name))
            return true;
    return false;
}

/* The names that are not there yet; false: they would be more than `max`. */
static bool add(char out[PERSON_TEXT], struct str names, struct str but, size_t max)
{
    struct str all = str_c(out), one;
    size_t n = 0, at = all.n;
    while (str_split(&all, ' ', &one))
        n += one.n > 0;
    while (str_split(&names, ' ', &one)) {
        if (one.n == 0 || str_eq(one, but) || has(str_c(out), one))
            continue;
        if (++n > max || one.n >= PERSON_NAME)
            return false;
        if (at > 0)
            out[at++] = ' ';
        str_copy_c(out + at, PERSON_NAME, one);
        at += one.n;
    }
    return true;
}

void person_key_name(struct uuid key, char out[PERSON_NAME])
{
    put_name("api_key:", key, out);
}

void person_of_key(struct str created_by, struct uuid key, char out[PERSON_TEXT])
{
    if (created_by.n > 0)
        str_copy_c(out, PERSON_TEXT, created_by);
    else
        person_key_name(key, out);
}

bool person_of_user(struct str stands_for, struct uuid user, char out[PERSON_TEXT])
{
    char own[PERSON_NAME];
    put_name("user:", user, own);
    out[0] = '\0';
    return add(out, stands_for, str_c(own), PERSON_NAMES - 1) &&
           add(out, str_c(own), STR_NULL, PERSON_NAMES);
}

bool person_invited(struct str before, struct str inviter, struct uuid user, char out[PERSON_TEXT])
{
    char own[PERSON_NAME];
    put_name("user:", user, own);
    out[0] = '\0';
    return add(out, before, str_c(own), PERSON_NAMES - 1) &&
           add(out, inviter, str_c(own), PERSON_NAMES - 1);
}

struct str person_own(struct str person)
{
    struct str rest = person, one = STR_NULL;
    while (str_split(&rest, ' ', &one))
        ;
    return one;
}

bool person_same(struct str a, struct str b)
{
    struct str one;
    if (a.n == 0 || b.n == 0)
        return true;
    while (str_split(&a, ' ', &one))
        if (has(b, one))
            return true;
    return false;
}
