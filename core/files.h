#ifndef RELI_FILES_H
#define RELI_FILES_H

/* Every connection is an open file, and of those a process may have so many. Who runs out of them
 * cannot reach its own database either: connections from outside get a share, and no more. */
struct files_share {
    int requests; /* HTTP connections */
    int sockets;  /* WebSockets */
};

/* Pure: of `limit` files. What is left is for PostgreSQL, Redis, providers and merchants. */
struct files_share files_share(long limit);

/* Raises the soft limit to the hard one (the low default is for programs that use select) and gives
 * it. */
long files_raise(void);

#endif
