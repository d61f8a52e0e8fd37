/* Finds card numbers in texts. A candidate begins and ends where a group of digits does: within a
 * longer piece any 13 digits have a right check digit once in ten times, and a card that somebody
 * typed stands in groups of its own. */
#include "core/domain/card.h"

#include "core/base/uuid.h"

enum { CARD_MIN = 13, CARD_MAX = 19, PHONE_MAX = 15, ID_MIN = 32, MAX_GROUPS = CARD_MAX };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool luhn(const char *digits, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned d = (unsigned)(digits[n - 1 - i] - '0');
        if (i % 2 == 1)
            d = d < 5 ? 2 * d : 2 * d - 9;
        sum += d;
    }
    return sum % 10 == 0;
}

static bool is_card(const char *digits, size_t n)
{
    return n >= CARD_MIN && n <= CARD_MAX && luhn(digits, n);
}

static bool ends_word(struct str text, size_t at)
{
    return at >= text.n || (!is_digit(text.p[at]) && !is_letter(text.p[at]));
}

/* The length of the id that begins here, at the beginning of a word; 0 if none does. */
static size_t id_at(struct str text, size_t at)
{
    struct uuid id;
    size_t n = 0, n_letters = 0;
    if (at + UUID_TEXT - 1 <= text.n && ends_word(text, at + UUID_TEXT - 1) &&
        uuid_parse(str_first(str_from(text, at), UUID_TEXT - 1), &id))
        return UUID_TEXT - 1;
    for (; at + n < text.n && is_hex(text.p[at + n]); n++)
        n_letters += is_letter(text.p[at + n]);
    return n >= ID_MIN && n_letters > 0 && ends_word(text, at + n) ? n : 0;
}

/* Groups of digits that follow one another, as many as may be part of a number that ends with the
 * newest; digits of one that is too long are dropped, and so is what stands before it. */
struct groups {
    char digits[MAX_GROUPS * CARD_MAX];
    size_t n_digits;
    size_t start[MAX_GROUPS]; /* of each group in `digits` */
    size_t n;
};

static void groups_clear(struct groups *g)
{
    g->n = g->n_digits = 0;
}

/* Drops the oldest until what is left, with `more`, may be a number. */
static void groups_trim(struct groups *g, size_t more)
{
    size_t drop = 0;
    while (drop < g->n && g->n_digits - g->start[drop] + more > CARD_MAX)
        drop++;
    if (drop == 0)
        return;
    size_t from = drop < g->n ? g->start[drop] : g->n_digits;
    memmove(g->digits, g->digits + from, g->n_digits - from);
    g->n_digits -= from;
    g->n -= drop;
    for (size_t i = 0; i < g->n; i++)
        g->start[i] = g->start[i + drop] - from;
}

/* Whether a number ends with this group. */
static bool groups_add(struct groups *g, struct str group)
{
    if (group.n > CARD_MAX) {
        groups_clear(g);
        return false;
    }
    groups_trim(g, group.n);
    g->start[g->n++] = g->n_digits;
    memcpy(g->digits + g->n_digits, group.p, group.n);
    g->n_digits += group.n;
    for (size_t i = 0; i < g->n; i++)
        if (is_card(g->digits + g->start[i], g->n_digits - g->start[i]))
            return true;
    return false;
}

bool card_in_text(struct str text)
{
    struct groups g;
    groups_clear(&g);
    for (size_t i = 0; i < text.n;) {
        bool begins = i == 0 || ends_word(text, i - 1);
        size_t id = begins ? id_at(text, i) : 0, end = i;
        while (end < text.n && is_digit(text.p[end]))
            end++;
        if (id > 0 || end == i) {
            /* One blank or dash between two groups holds them together, all else parts them. */
            bool joins = id == 0 && (text.p[i] == ' ' || text.p[i] == '-') && i > 0 &&
                         is_digit(text.p[i - 1]);
            if (!joins)
                groups_clear(&g);
            i += id > 0 ? id : 1;
            continue;
        }
        if (groups_add(&g, str_n(text.p + i, end - i)))
            return true;
        i = end;
    }
    return false;
}

bool card_in_phone(struct str text)
{
    struct str typed = str_trim(text);
    size_t n_digits = 0;
    bool marked = str_starts(typed, STR("+")) || str_starts(typed, STR("00"));
    for (size_t i = 0; i < typed.n; i++)
        n_digits += is_digit(typed.p[i]);
    if (str_starts(typed, STR("00")))
        n_digits -= 2;
    return !(marked && n_digits <= PHONE_MAX) && card_in_text(text);
}

bool card_in_number(struct str digits)
{
    struct str n = str_starts(digits, STR("-")) ? str_from(digits, 1) : digits;
    for (size_t i = 0; i < n.n; i++)
        if (!is_digit(n.p[i]))
            return false;
    return n.n > 0 && n.p[0] != '1' && is_card(n.p, n.n);
}
