/* Statements of a batch that is one merchant's. Citus has to see before it runs a statement whose
 * rows it is about, and does not look into arrays. So whose they are becomes a parameter of its
 * own, the last one, and stands wherever the statement names the merchant of what it is given: the
 * column `whose`, which nothing but the rows of a batch has (tables call theirs merchant_id),
 * always written behind an alias. */
#include "store/query_one.h"

static bool is_word(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '_';
}

/* Past an alias and ".whose" that begin at `p`; NULL if something else does. */
static const char *whose_end(const char *p)
{
    static const char column[] = ".whose";
    while (is_word(*p))
        p++;
    if (strncmp(p, column, sizeof column - 1) != 0)
        return NULL;
    p += sizeof column - 1;
    return is_word(*p) ? NULL : p;
}

bool query_for_one(const char *text, int n, struct buf *out)
{
    for (const char *p = text; *p != '\0';) {
        const char *end = ascii_is_alpha(*p) ? whose_end(p) : NULL;
        if (end != NULL) {
            buf_fmt(out, "$%d::uuid", n);
            p = end;
            continue;
        }
        const char *from = p++;
        while (is_word(*from) && is_word(*p)) /* the rest of a word begins nothing */
            p++;
        buf_add(out, from, (size_t)(p - from));
    }
    buf_char(out, '\0');
    return !out->failed;
}
