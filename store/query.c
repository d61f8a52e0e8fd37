/* The texts of the statements. A file of its own so that a test can link other statements. */
#include "core/base/embed.h"
#include "store/store_int.h"

const char *query_text(enum query query)
{
    return (const char *)embed_queries[query].p; /* the build puts a NUL behind each file */
}

const char *query_name(enum query query)
{
    return embed_queries[query].name;
}
