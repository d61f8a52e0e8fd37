#ifndef RELI_CRYPTO_AEAD_H
#define RELI_CRYPTO_AEAD_H

#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"

enum { AEAD_KEY_LEN = 32, AEAD_NONCE_LEN = 12, AEAD_TAG_LEN = 16, AEAD_OVERHEAD = 1 + 4 + 12 + 16 };

/* One AES-256-GCM key with a number that is written into what it seals. */
struct aead_key;

struct err aead_key_new(uint32_t number, const uint8_t key[AEAD_KEY_LEN],
                        struct aead_key **out) MUST_USE;
void aead_key_free(struct aead_key *k);
uint32_t aead_key_number(const struct aead_key *k);

/* Appends format byte ‖ key number ‖ random nonce ‖ ciphertext ‖ tag. `bound` is what the
 * ciphertext is bound to (table, column, row, tenant): moved elsewhere it does not open. */
struct err aead_seal(struct aead_key *k, struct str bound, struct str plain,
                     struct buf *out) MUST_USE;
/* How every text begins that the key of this number has sealed. */
enum { AEAD_MARK_LEN = 1 + 4 };
void aead_mark(uint32_t number, uint8_t out[AEAD_MARK_LEN]);
/* The key number of a sealed text; false if it is no such text. */
bool aead_sealed_by(struct str sealed, uint32_t *number);
/* ERR_CRYPTO if anything does not fit; the plain text lives in the arena. */
struct err aead_open(struct aead_key *k, struct str bound, struct str sealed, struct arena *a,
                     struct str *plain) MUST_USE;

#endif
