/* The texts of the statements. A file of its own so that a test can link other statements. */
#include <string.h>

#include "core/base/embed.h"
#include "store/store_int.h"

const char *query_text(enum query query)
{
    return (const char *)embed_queries[query].p; /* the build puts a NUL behind each file */
}

const char *query_text_of_one(enum query query)
{
    for (const struct embed_file *f = embed_citus; f->name != NULL; f++)
        if (strcmp(f->name, query_name(query)) == 0)
            return (const char *)f->p;
    return query_text(query);
}

const char *query_name(enum query query)
{
    return embed_queries[query].name;
}
