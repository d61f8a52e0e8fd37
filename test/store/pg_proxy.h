#ifndef RELI_TEST_STORE_PG_PROXY_H
#define RELI_TEST_STORE_PG_PROXY_H

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A man in the middle of libpq and PostgreSQL, on a thread of its own: it listens on a port of
 * localhost and breaks connections at the moment that a test asks for. */
enum proxy_mode {
    PROXY_PASS,
    PROXY_CLOSED,      /* takes nobody, drops who is there */
    PROXY_STALL,       /* bytes stop flowing, connections stay */
    PROXY_CUT_REQUEST, /* drops the connection that asks for a commit, before the server hears of it
                        */
    PROXY_CUT_REPLY, /* drops the connection whose commit was done, before the client hears of it */
};

enum { PROXY_PAIRS = 32, PROXY_BUF = 65536 };

struct proxy {
    pthread_t thread;
    int listener, port;
    char host[200]; /* of the server: a directory with a socket, or an IPv4 address */
    int server_port;
    int pair[PROXY_PAIRS][2]; /* client, server; -1: free */
    _Atomic int mode;
    _Atomic int after; /* mode after a cut */
    _Atomic int cuts;
    _Atomic bool stop;
};

static inline int proxy_dial(const struct proxy *p)
{
    if (p->host[0] == '/') {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int n = snprintf(a.sun_path, sizeof a.sun_path, "%s/.s.PGSQL.%d", p->host, p->server_port);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        return n > 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? fd : -1;
    }
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)p->server_port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? fd : -1;
}

static inline void proxy_drop(struct proxy *p, int i)
{
    close(p->pair[i][0]);
    close(p->pair[i][1]);
    p->pair[i][0] = p->pair[i][1] = -1;
}

static inline void proxy_accept(struct proxy *p)
{
    int fd = accept(p->listener, NULL, NULL);
    int i = 0;
    while (i < PROXY_PAIRS && p->pair[i][0] >= 0)
        i++;
    int to = p->mode == PROXY_CLOSED || i == PROXY_PAIRS ? -1 : proxy_dial(p);
    if (to < 0) {
        close(fd);
        return;
    }
    p->pair[i][0] = fd;
    p->pair[i][1] = to;
}

/* Whether the bytes that came from `side` are those at which the mode cuts. */
static inline bool proxy_cuts(struct proxy *p, int side, const char *bytes, size_t n)
{
    bool here = (p->mode == PROXY_CUT_REQUEST && side == 0 &&
                 memmem(bytes, n, "reli commit", sizeof "reli commit") != NULL) ||
                (p->mode == PROXY_CUT_REPLY && side == 1 &&
                 memmem(bytes, n, "COMMIT", sizeof "COMMIT") != NULL);
    if (here) {
        p->mode = p->after;
        p->cuts++;
    }
    return here;
}

static inline void proxy_move(struct proxy *p, int i, int side)
{
    static char bytes[PROXY_BUF];
    ssize_t n = recv(p->pair[i][side], bytes, sizeof bytes, 0);
    if (n <= 0 || proxy_cuts(p, side, bytes, (size_t)n)) {
        proxy_drop(p, i);
        return;
    }
    for (ssize_t at = 0; at < n;) {
        ssize_t put = send(p->pair[i][!side], bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (put <= 0) {
            proxy_drop(p, i);
            return;
        }
        at += put;
    }
}

static inline void *proxy_main(void *arg)
{
    struct proxy *p = arg;
    while (!p->stop) {
        struct pollfd fds[1 + 2 * PROXY_PAIRS];
        int whose[1 + 2 * PROXY_PAIRS], n = 0;
        fds[n++] = (struct pollfd){.fd = p->listener, .events = POLLIN};
        for (int i = 0; i < PROXY_PAIRS; i++)
            for (int side = 0; side < 2 && p->pair[i][0] >= 0; side++) {
                whose[n] = 2 * i + side;
                fds[n++] = (struct pollfd){.fd = p->pair[i][side],
                                           .events = p->mode == PROXY_STALL ? 0 : POLLIN};
            }
        if (poll(fds, (nfds_t)n, 5) < 0)
            continue;
        if (fds[0].revents != 0)
            proxy_accept(p);
        for (int k = 1; k < n; k++)
            if (fds[k].revents != 0 && p->pair[whose[k] / 2][whose[k] % 2] == fds[k].fd) {
                if (p->mode == PROXY_STALL)
                    proxy_drop(p, whose[k] / 2); /* the peer has hung up */
                else
                    proxy_move(p, whose[k] / 2, whose[k] % 2);
            }
        for (int i = 0; i < PROXY_PAIRS && p->mode == PROXY_CLOSED; i++)
            if (p->pair[i][0] >= 0)
                proxy_drop(p, i);
    }
    return NULL;
}

static inline bool proxy_start(struct proxy *p, const char *host, int server_port)
{
    memset(p, 0, sizeof *p);
    snprintf(p->host, sizeof p->host, "%s", host);
    p->server_port = server_port;
    memset(p->pair, 0xff, sizeof p->pair);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    p->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(p->listener, (struct sockaddr *)&a, len) != 0 || listen(p->listener, 64) != 0 ||
        getsockname(p->listener, (struct sockaddr *)&a, &len) != 0)
        return false;
    p->port = ntohs(a.sin_port);
    return pthread_create(&p->thread, NULL, proxy_main, p) == 0;
}

static inline void proxy_stop(struct proxy *p)
{
    p->stop = true;
    pthread_join(p->thread, NULL);
    for (int i = 0; i < PROXY_PAIRS; i++)
        if (p->pair[i][0] >= 0)
            proxy_drop(p, i);
    close(p->listener);
}

#endif
