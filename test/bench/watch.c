/* Watchers of payments by WebSocket, many of them.
 *   watch hold HOST PORT FILE    a WebSocket for each line of FILE (a path); "open N" when all have
 *       been greeted. Then for each line "wait K" on standard input: "ready", and, when K more
 *       frames have come, their count, their bytes and the µs from the first to the last
 *   watch crowd HOST PORT FILE SLOW  as `hold`, and beside them for each line of SLOW one that
 * reads SIP bytes every SIP_MS. "open N M"; at the end of standard input, how many of the slow ones
 *       were cut off and the bytes that each of them has read on average
 * (a path may be followed by a blank and an API key)
 *   watch ceiling N BYTES ROUNDS GROUPS  what write() alone achieves: a process that has GROUPS
 * times N sockets and writes BYTES to each of one group, then of the next, ROUNDS times; prints the
 * same for all rounds together, and the µs of CPU that the writing took */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, LINE = 1024, READ_MAX = 65536, OPENING_MAX = 64, SIP = 512, SIP_MS = 200 };
#define WAIT_MS 20000
#define WATCHERS_MAX ((size_t)1 << 16)

struct watcher {
    int fd;
    bool greeted;
    uint8_t head[4]; /* of a frame that is not complete */
    size_t n_head, left;
};

static int poll_fd;
static size_t n_frames, n_bytes, n_greeted;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t cpu_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void files_allow(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void poll_add(int fd, void *p)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        die("epoll_ctl");
}

/* Counts frames without a mask, as servers send them. */
static void frames_take(struct watcher *w, const uint8_t *p, size_t n)
{
    n_bytes += n;
    while (n > 0) {
        if (w->left > 0) {
            size_t part = n < w->left ? n : w->left;
            w->left -= part;
            p += part;
            n -= part;
            n_frames += w->left == 0;
            continue;
        }
        w->head[w->n_head++] = *p++;
        n--;
        size_t len = w->head[1] & 127;
        if (w->n_head < 2 || (len == 126 && w->n_head < 4))
            continue;
        if (len == 127) {
            fprintf(stderr, "watch: a frame beyond 64 KiB\n");
            exit(1);
        }
        w->left = len == 126 ? (size_t)w->head[2] << 8 | w->head[3] : len;
        w->n_head = 0;
        n_frames += w->left == 0;
    }
}

static void watcher_read(struct watcher *w)
{
    static uint8_t bytes[READ_MAX];
    ssize_t n = recv(w->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fprintf(stderr, "watch: a connection was closed\n");
        exit(1);
    }
    if (w->greeted) {
        frames_take(w, bytes, (size_t)n);
        return;
    }
    /* the head of the answer comes in one piece */
    const uint8_t *end = memmem(bytes, (size_t)n, "\r\n\r\n", 4);
    if (end == NULL || memcmp(bytes, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "watch: no upgrade: %.*s\n", (int)n, (const char *)bytes);
        exit(1);
    }
    w->greeted = true;
    n_greeted++;
    frames_take(w, end + 4, (size_t)(bytes + n - end - 4));
}

static bool turn(int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(poll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++)
        watcher_read(events[i].data.ptr);
    return n > 0;
}

/* Until `n` frames have come; the µs from the first to the last. */
static int64_t frames_wait(size_t n)
{
    int64_t first_us = 0;
    while (n_frames < n) {
        if (!turn(WAIT_MS)) {
            fprintf(stderr, "watch: %zu of %zu frames came\n", n_frames, n);
            exit(1);
        }
        if (first_us == 0)
            first_us = now_us();
    }
    return now_us() - first_us;
}

/* ---- hold ---- */

static void watcher_open(struct watcher *w, const struct sockaddr_in *to, char *path, int buffer)
{
    char text[LINE * 2], *key = strchr(path, ' ');
    if (key != NULL)
        *key++ = '\0';
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n%s%s%s"
                     "Sec-WebSocket-Key: YmVuY2gtYmVuY2gtYmVuYw==\r\n\r\n",
                     path, key != NULL ? "Authorization: Bearer " : "", key != NULL ? key : "",
                     key != NULL ? "\r\n" : "");
    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (buffer > 0)
        setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (w->fd < 0 || connect(w->fd, (const struct sockaddr *)to, sizeof *to) != 0)
        die("connect");
    if (send(w->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        die("send");
    poll_add(w->fd, w);
}

/* A watcher for each line of the file; how many. */
static size_t all_open(const struct sockaddr_in *to, const char *file, struct watcher *watchers,
                       int buffer)
{
    FILE *paths = fopen(file, "r");
    char line[LINE];
    size_t n = 0, before = n_greeted;
    if (paths == NULL)
        die(file);
    n_frames = 0;
    while (n < WATCHERS_MAX && fgets(line, sizeof line, paths) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        watcher_open(&watchers[n++], to, line, buffer);
        while (n + before - n_greeted >= OPENING_MAX)
            turn(WAIT_MS);
    }
    fclose(paths);
    (void)frames_wait(n); /* each is greeted with one */
    return n;
}

static void address_read(struct sockaddr_in *to, const char *host, const char *port)
{
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &to->sin_addr) != 1)
        die(host);
}

static struct watcher *watchers_new(void)
{
    struct watcher *watchers = calloc(WATCHERS_MAX, sizeof *watchers);
    if (watchers == NULL)
        die("calloc");
    return watchers;
}

static int hold(const char *host, const char *port, const char *file)
{
    struct sockaddr_in to;
    struct watcher *watchers = watchers_new();
    char line[LINE];
    size_t k;
    address_read(&to, host, port);
    size_t n = all_open(&to, file, watchers, 0);
    printf("open %zu\n", n);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL && sscanf(line, "wait %zu", &k) == 1) {
        n_frames = n_bytes = 0;
        printf("ready\n");
        fflush(stdout);
        int64_t took_us = frames_wait(k);
        printf("%zu %zu %lld\n", n_frames, n_bytes, (long long)took_us);
        fflush(stdout);
    }
    return 0;
}

/* ---- crowd ---- */

/* A little of what waits; false if the other side has given up. */
static bool sip(const struct watcher *w)
{
    uint8_t bytes[SIP];
    ssize_t n = recv(w->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        n_bytes += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static int crowd(const char *host, const char *port, const char *file, const char *slow_file)
{
    struct sockaddr_in to;
    struct watcher *idle = watchers_new(), *slow = watchers_new();
    address_read(&to, host, port);
    size_t n = all_open(&to, file, idle, 0), n_slow = all_open(&to, slow_file, slow, 4096);
    for (size_t i = 0; i < n_slow; i++)
        epoll_ctl(poll_fd, EPOLL_CTL_DEL, slow[i].fd, NULL);
    printf("open %zu %zu\n", n, n_slow);
    fflush(stdout);
    n_bytes = 0;
    size_t n_cut = 0;
    struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
    for (int64_t due_us = now_us(); poll(&end, 1, 0) == 0;) {
        int64_t now = now_us();
        if (now < due_us) {
            turn((int)((due_us - now) / 1000) + 1);
            continue;
        }
        due_us = now + SIP_MS * 1000;
        for (size_t i = 0; i < n_slow; i++)
            if (slow[i].fd >= 0 && !sip(&slow[i])) {
                close(slow[i].fd);
                slow[i].fd = -1;
                n_cut++;
            }
    }
    printf("%zu %zu\n", n_cut, n_slow > 0 ? n_bytes / n_slow : 0);
    return 0;
}

/* ---- ceiling ---- */

/* The other side of the watchers: takes their connections, then writes to one group at each word
 * that `asked` brings. At its end, the µs of CPU that the writing took. */
static void writer(int listener, int n, int groups, size_t len, int asked)
{
    uint8_t *frame = calloc(1, len);
    int *fds = calloc(WATCHERS_MAX, sizeof *fds), one = 1;
    char word;
    if (frame == NULL || fds == NULL)
        die("calloc");
    for (int i = 0; i < n * groups; i++) {
        fds[i] = accept(listener, NULL, NULL);
        if (fds[i] < 0)
            die("accept");
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    frame[0] = 0x81;
    frame[1] = len < 128 ? (uint8_t)(len - 2) : 126;
    if (len >= 128) {
        frame[2] = (uint8_t)((len - 4) >> 8);
        frame[3] = (uint8_t)(len - 4);
    }
    int64_t since_us = cpu_us();
    for (int group = 0; read(asked, &word, 1) == 1; group = (group + 1) % groups)
        for (int i = 0; i < n; i++)
            if (write(fds[group * n + i], frame, len) != (ssize_t)len)
                die("write");
    int64_t took_us = cpu_us() - since_us;
    _exit(write(asked, &took_us, sizeof took_us) != sizeof took_us);
}

static int ceiling(int n, size_t len, int rounds, int groups)
{
    struct watcher *watchers = watchers_new();
    int ask[2];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ask) != 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &at_len) != 0)
        die("ceiling");
    pid_t pid = fork();
    if (pid == 0) {
        close(ask[1]); /* or its end would not be seen */
        writer(listener, n, groups, len, ask[0]);
    }
    for (int i = 0; i < n * groups; i++) {
        watchers[i].greeted = true;
        watchers[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(watchers[i].fd, (struct sockaddr *)&at, sizeof at) != 0)
            die("connect");
        poll_add(watchers[i].fd, &watchers[i]);
    }
    size_t all = 0;
    int64_t took_us = 0;
    for (int i = 0; i < rounds; i++) {
        n_frames = 0;
        if (write(ask[1], "w", 1) != 1)
            die("write");
        took_us += frames_wait((size_t)n);
        all += n_frames;
    }
    int64_t cpu = 0;
    shutdown(ask[1], SHUT_WR);
    if (read(ask[1], &cpu, sizeof cpu) != sizeof cpu || waitpid(pid, NULL, 0) != pid)
        die("the writer");
    printf("%zu %zu %lld %lld\n", all, n_bytes, (long long)took_us, (long long)cpu);
    return 0;
}

int main(int argc, char **argv)
{
    files_allow();
    poll_fd = epoll_create1(0);
    if (argc == 5 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2], argv[3], argv[4]);
    if (argc == 6 && strcmp(argv[1], "crowd") == 0)
        return crowd(argv[2], argv[3], argv[4], argv[5]);
    if (argc == 6 && strcmp(argv[1], "ceiling") == 0 && atoi(argv[3]) >= 8 && atoi(argv[2]) > 0 &&
        atoi(argv[5]) > 0 && WATCHERS_MAX / (size_t)atoi(argv[2]) >= (size_t)atoi(argv[5]))
        return ceiling(atoi(argv[2]), (size_t)atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
    fprintf(stderr, "usage: watch hold HOST PORT FILE | watch crowd HOST PORT FILE SLOW | "
                    "watch ceiling N BYTES ROUNDS GROUPS\n");
    return 2;
}
