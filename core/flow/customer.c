/* Who a customer is, as keyed hashes. See customer.h. */
#include "core/flow/customer.h"

#include <string.h>

/* What is hashed beside the word; part of what is stored, so never changed. */
static const char *const purposes[] = {
    [CUSTOMER_EXTERNAL_ID] = "customer.external_id",
    [CUSTOMER_PHONE] = "customer.phone",
    [CUSTOMER_EMAIL] = "customer.email",
};
enum { WORD_MAX = 1024 }; /* an id has 128 characters, an address 254 */

struct customer_hash customer_hash(struct vault *v, struct uuid merchant, bool live,
                                   enum customer_word word, struct str text)
{
    struct customer_hash out;
    uint8_t mac[32];
    char place[17 + WORD_MAX];
    size_t n = text.n < WORD_MAX ? text.n : WORD_MAX;
    memcpy(place, merchant.b, 16);
    place[16] = live ? 1 : 0;
    for (size_t i = 0; i < n; i++)
        place[17 + i] = word == CUSTOMER_EMAIL ? ascii_lower(text.p[i]) : text.p[i];
    vault_hash(v, purposes[word], str_n(place, 17 + n), mac);
    explicit_bzero(place, sizeof place);
    memcpy(out.b, mac, sizeof out.b);
    return out;
}

static struct str kept(struct arena *a, struct customer_hash h)
{
    return arena_dup(a, str_n((const char *)h.b, sizeof h.b));
}

struct err customer_fill(struct vault *v, struct arena *a, const struct payment_record *rec,
                         struct str phone, struct str email, struct uuid id,
                         struct payment_insert_row *row)
{
    const struct {
        enum customer_word word;
        struct str text;
    } words[] = {
        {CUSTOMER_EXTERNAL_ID, rec->customer_id}, {CUSTOMER_PHONE, phone}, {CUSTOMER_EMAIL, email}};
    struct str *const places[] = {&row->customer_key, &row->handle_a, &row->handle_b};
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (words[i].text.n == 0)
            continue;
        *places[n] =
            kept(a, customer_hash(v, rec->merchant, rec->live, words[i].word, words[i].text));
        if (places[n++]->p == NULL)
            return ERR(NO_MEMORY, "customer");
    }
    row->customer_row = n > 0 ? id : UUID_NIL;
    return ERR_OK;
}
