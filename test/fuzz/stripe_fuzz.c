/* Whatever Stripe sends, see signed.h. */
#include "test/fuzz/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct signed_fuzz f = {"stripe", "pi_1", {"sk_test_fuzz", "whsec_fuzz"}};
    return signed_fuzz(&f, data, n);
}
