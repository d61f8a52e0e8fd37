/* Whatever CPay sends, see signed.h. */
#include "test/fuzz/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct signed_fuzz f = {"cpay", "cpm_1", {NULL, "cpw_fuzz"}};
    return signed_fuzz(&f, data, n);
}
