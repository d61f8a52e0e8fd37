/* Passwords, by libsodium's argon2id. */
#include "core/crypto/password.h"

#include <sodium.h>

#include "core/base/attr.h"

enum { PASSES = 2, MEMORY = 19 * 1024 * 1024 };

/* The hash of a random text that nobody kept, made with the costs above: what a check costs where
 * there is nothing to check against. */
static const char nobody[PASSWORD_HASH_TEXT] =
    "$argon2id$v=19$m=19456,t=2,p=1$PntOPMxQsXIEAUJnsAwVUg"
    "$4b/HqmSeqaLyDM8JL9XyxyxtWBZglqKpb3MW8K9i/5U";

static const char *as_text(struct str hash, char out[PASSWORD_HASH_TEXT])
{
    if (hash.n == 0 || hash.n >= PASSWORD_HASH_TEXT)
        return NULL;
    return str_copy_c(out, PASSWORD_HASH_TEXT, hash);
}

bool password_fits(struct str password)
{
    return password.n >= PASSWORD_MIN && password.n <= PASSWORD_MAX && utf8_valid(password);
}

struct err password_hash(struct str password, char out[PASSWORD_HASH_TEXT])
{
    _Static_assert((int)crypto_pwhash_STRBYTES <= (int)PASSWORD_HASH_TEXT, "room for a hash");
    if (!password_fits(password))
        return ERR(INVALID, "the password is too short, too long, or no text");
    if (crypto_pwhash_str_alg(out, password.p, password.n, PASSES, MEMORY,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        return ERR(NO_MEMORY, "argon2id");
    return ERR_OK;
}

bool password_check(struct str password, struct str hash)
{
    char text[PASSWORD_HASH_TEXT];
    const char *of = as_text(hash, text);
    bool known = of != NULL && password_fits(password);
    if (!known) {
        of = nobody;
        password = STR("");
    }
    return crypto_pwhash_str_verify(of, password.p, password.n) == 0 && known;
}
