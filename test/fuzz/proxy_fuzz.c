/* The PROXY protocol, in pieces: what is refused is refused for good, what is missing is missing in
 * every shorter piece, and a header that was taken is the same whatever follows. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_n((const char *)data, size);
    struct proxy_header h, part;
    enum proxy_status status = proxy_parse(all, &h);
    ASSERT(status != PROXY_MORE || size < PROXY_MAX);
    ASSERT(status != PROXY_DONE || (h.n > 0 && h.n <= size && h.n <= PROXY_MAX));
    bool refused = false;
    for (size_t n = 0; n <= size && n <= PROXY_MAX; n++) {
        enum proxy_status early = proxy_parse(str_first(all, n), &part);
        ASSERT(!refused || early == PROXY_BAD);
        refused = early == PROXY_BAD;
        if (early == PROXY_DONE)
            ASSERT(status == PROXY_DONE && part.n == h.n && n >= h.n &&
                   part.has_source == h.has_source && part.port == h.port);
        else
            ASSERT(status != PROXY_DONE || n < h.n);
    }
    return 0;
}
