/* People behind API keys. */
#include "core/domain/person.h"

#include <string.h>

void person_of_key(struct str created_by, struct uuid key, char out[PERSON_TEXT])
{
    char id[UUID_TEXT];
    if (created_by.n > 0) {
        str_copy_c(out, PERSON_TEXT, created_by);
        return;
    }
    memcpy(out, "api_key:", 8);
    memcpy(out + 8, uuid_text(key, id), UUID_TEXT);
}

bool person_same(struct str a, struct str b)
{
    return a.n == 0 || b.n == 0 || str_eq(a, b);
}
