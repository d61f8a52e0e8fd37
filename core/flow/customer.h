#ifndef RELI_FLOW_CUSTOMER_H
#define RELI_FLOW_CUSTOMER_H

#include "core/flow/vault.h"
#include "store/rows.h"

/* Customers without their names: what tells one from another, and what they are found by, are keyed
 * hashes (blind indexes) under the installation's key, of merchant, mode and word. So the database
 * alone tells nobody's number, and two merchants' rows about one person cannot be joined. */

enum customer_word { CUSTOMER_EXTERNAL_ID, CUSTOMER_PHONE, CUSTOMER_EMAIL };
enum { CUSTOMER_HASH = 16 };

struct customer_hash {
    uint8_t b[CUSTOMER_HASH];
};

/* `text` as it is stored: a phone in E.164; of an e-mail address upper and lower case are the same.
 */
struct customer_hash customer_hash(struct vault *v, struct uuid merchant, bool live,
                                   enum customer_word word, struct str text);

/* Names the customer of a new payment in its row: the merchant's own id counts most, then the
 * phone, then the e-mail address; with none of them, or a name alone, there is no customer. `id` is
 * the customer's if he is new. Hashes live in the arena. Texts that are absent have n == 0. */
struct err customer_fill(struct vault *v, struct arena *a, const struct payment_record *rec,
                         struct str phone, struct str email, struct uuid id,
                         struct payment_insert_row *row) MUST_USE;

#endif
