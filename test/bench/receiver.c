/* Merchants' endpoints for webhooks, fast enough not to be what is measured.
 *   receiver ADDRESSES     listens on 127.0.0.1 to 127.0.0.ADDRESSES, prints "port N"
 * What a request's path begins with decides: /slow answers after SLOW_MS, /half refuses half of the
 * requests, /dead never answers, /talk answers with a word, /count tells requests and bytes of
 * bodies so far; all else is answered 200 at once. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_MAX = 65536, EVENTS = 256, SLOW_MS = 100 };

/* A socket: of somebody who calls, or one that listens. */
struct caller {
    int fd;
    bool listens;
    unsigned serial; /* descriptors are used again */
    size_t n;
    struct caller *next; /* of those that are answered later, or free */
    int64_t due_ms;
    unsigned due_serial;
    char bytes[READ_MAX + 1];
};

static int poll_fd;
static struct caller *later, **later_end = &later, *spare;
static size_t n_requests, n_bytes;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void watch(int fd, bool listens)
{
    struct caller *c = spare;
    if (c != NULL)
        spare = c->next;
    else
        c = calloc(1, sizeof *c);
    if (c == NULL)
        die("calloc");
    c->fd = fd;
    c->listens = listens;
    c->n = 0;
    c->serial++;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        die("epoll_ctl");
}

static void answer(struct caller *c, const char *status, const char *body)
{
    char text[256];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
                     strlen(body), body);
    if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n && errno != EPIPE &&
        errno != ECONNRESET)
        die("send");
}

static bool starts(const char *path, const char *word)
{
    return strncmp(path, word, strlen(word)) == 0;
}

/* A coin, the same in every run. */
static bool is_heads(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005 + 1442695040888963407;
    return state >> 63 != 0;
}

static void decide(struct caller *c, const char *path)
{
    char text[64];
    if (starts(path, "/dead"))
        return;
    if (starts(path, "/slow")) {
        c->due_ms = now_ms() + SLOW_MS; /* the same for all, so they come due in this order */
        c->due_serial = c->serial;
        c->next = NULL;
        *later_end = c;
        later_end = &c->next;
    } else if (starts(path, "/count")) {
        snprintf(text, sizeof text, "%zu %zu", n_requests, n_bytes);
        answer(c, "200 OK", text);
    } else if (starts(path, "/half") && is_heads()) {
        answer(c, "503 Service Unavailable", "later");
    } else if (starts(path, "/talk")) {
        answer(c, "200 OK", "taken");
    } else {
        answer(c, "200 OK", "");
    }
}

/* A request at the front of the bytes that is complete, in words without pipelining. */
static void take(struct caller *c)
{
    c->bytes[c->n] = '\0';
    const char *end = strstr(c->bytes, "\r\n\r\n");
    if (end == NULL)
        return;
    const char *length = strcasestr(c->bytes, "\r\ncontent-length:");
    size_t body = length == NULL || length > end ? 0 : strtoul(length + 17, NULL, 10);
    if (c->n < (size_t)(end - c->bytes) + 4 + body)
        return;
    c->n = 0;
    const char *path = strchr(c->bytes, ' ');
    if (path == NULL)
        return;
    if (!starts(path + 1, "/count")) {
        n_requests++;
        n_bytes += body;
    }
    decide(c, path + 1);
}

static void gone(struct caller *c)
{
    close(c->fd);
    c->fd = -1;
    c->serial++;
    for (const struct caller *l = later; l != NULL; l = l->next)
        if (l == c)
            return; /* freed when its answer is due */
    c->next = spare;
    spare = c;
}

static void ready(struct caller *c)
{
    int one = 1;
    if (c->listens) {
        int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(fd, false);
        return;
    }
    ssize_t n = recv(c->fd, c->bytes + c->n, READ_MAX - c->n, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        gone(c);
        return;
    }
    c->n += (size_t)n;
    take(c);
}

static int due_answer(void)
{
    int64_t now = now_ms();
    while (later != NULL && later->due_ms <= now) {
        struct caller *c = later;
        later = c->next;
        if (later == NULL)
            later_end = &later;
        if (c->serial == c->due_serial) {
            answer(c, "200 OK", "");
        } else {
            c->next = spare;
            spare = c;
        }
    }
    return later == NULL ? -1 : (int)(later->due_ms - now);
}

static unsigned short listen_on(int address, unsigned short port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    at.sin_addr.s_addr = htonl(0x7f000000u + (unsigned)address);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        die("listen");
    watch(fd, true);
    return ntohs(at.sin_port);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int n_addresses = argc == 2 ? atoi(argv[1]) : 0;
    if (n_addresses < 1 || n_addresses > 250) {
        fprintf(stderr, "usage: receiver ADDRESSES\n");
        return 2;
    }
    poll_fd = epoll_create1(0);
    unsigned short port = 0;
    for (int i = 1; i <= n_addresses; i++)
        port = listen_on(i, port);
    printf("port %d\n", port);
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poll_fd, events, EVENTS, due_answer());
        for (int i = 0; i < n; i++)
            ready(events[i].data.ptr);
    }
}
