/* How many files are for whom. */
#include "core/files.h"

#include <sys/resource.h>

enum { OURS_LEAST = 64, OURS_MOST = 4096, REQUESTS_MOST = 10000, SOCKETS_MOST = 100000 };

static long at_most(long n, long most)
{
    return n < most ? n : most;
}

struct files_share files_share(long limit)
{
    long outside = limit - OURS_LEAST - at_most(limit / 8, OURS_MOST);
    if (outside < 8)
        outside = 8;
    long requests = at_most(outside / 4, REQUESTS_MOST);
    return (struct files_share){(int)requests, (int)at_most(outside - requests, SOCKETS_MOST)};
}

long files_raise(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return 1024;
    rlim_t was = r.rlim_cur;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0)
        r.rlim_cur = was;
    return r.rlim_cur == RLIM_INFINITY || r.rlim_cur > 1 << 20 ? 1 << 20 : (long)r.rlim_cur;
}
