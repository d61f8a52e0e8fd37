/* An open loop: requests leave at a constant rate whether or not earlier ones are answered, and a
 * latency counts from the time that was planned, so that a server that stops is seen to stop.
 *   pace HOST PORT CONNECTIONS RATE SECONDS FILE
 * FILE is one request; "################" in it becomes a number of sixteen digits. What is planned
 * in the first tenth of the time is not counted. Prints one line of JSON. */
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

enum { ANSWER_MAX = 65536, EVENTS = 256 };
#define MARK "################"
#define MARK_LEN (sizeof MARK - 1)
#define NS_PER_S INT64_C(1000000000)
#define GRACE_NS (10 * NS_PER_S)

struct connection {
    int fd;
    bool busy;
    int64_t planned_ns;
    size_t n;
    char answer[ANSWER_MAX + 1];
};

static char *request;
static size_t request_len, mark_at;
static uint64_t number;
static struct connection *connections;
static int *idle;
static int n_idle, poll_fd;
static uint32_t *latency_us;
static size_t n_latencies, n_answered, n_bad;
static int64_t counted_from_ns;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void request_read(const char *path)
{
    FILE *f = fopen(path, "r");
    if (f == NULL)
        die(path);
    request = calloc(1, ANSWER_MAX);
    request_len = fread(request, 1, ANSWER_MAX - 1, f);
    fclose(f);
    const char *mark = strstr(request, MARK);
    if (mark == NULL) {
        fprintf(stderr, "pace: no %s in %s\n", MARK, path);
        exit(1);
    }
    mark_at = (size_t)(mark - request);
}

static void connection_open(struct connection *c, const struct sockaddr_in *to)
{
    int one = 1;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)to, sizeof *to) != 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        die("epoll_ctl");
}

static void request_send(struct connection *c, int64_t planned_ns)
{
    char digits[MARK_LEN + 1];
    snprintf(digits, sizeof digits, "%016llu", (unsigned long long)(number++ % 10000000000000000));
    memcpy(request + mark_at, digits, MARK_LEN);
    c->busy = true;
    c->n = 0;
    c->planned_ns = planned_ns;
    if (send(c->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
        die("send");
}

/* The whole length of the answer in the buffer, 0 while it is not known. */
static size_t answer_len(struct connection *c)
{
    c->answer[c->n] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    const char *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (end == NULL || length == NULL || length > end)
        return 0;
    return (size_t)(end - c->answer) + 4 + strtoul(length + 17, NULL, 10);
}

static void connection_read(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->n, ANSWER_MAX - c->n, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || !c->busy) {
        fprintf(stderr, "pace: a connection was closed\n");
        exit(1);
    }
    c->n += (size_t)n;
    size_t len = answer_len(c);
    if (len == 0 || c->n < len)
        return;
    n_answered++;
    n_bad += strncmp(c->answer, "HTTP/1.1 2", 10) != 0;
    if (c->planned_ns >= counted_from_ns)
        latency_us[n_latencies++] = (uint32_t)((now_ns() - c->planned_ns) / 1000);
    c->busy = false;
    idle[n_idle++] = (int)(c - connections);
}

static int by_size(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static double percentile_ms(double share)
{
    size_t at = (size_t)((double)n_latencies * share);
    return n_latencies == 0 ? 0 : latency_us[at < n_latencies ? at : n_latencies - 1] / 1000.0;
}

static void run(int64_t total, double rate, int64_t start_ns)
{
    struct epoll_event events[EVENTS];
    int64_t sent = 0, last_ns = start_ns + (int64_t)((double)total * 1e9 / rate) + GRACE_NS;
    while ((int64_t)n_answered < total) {
        int64_t now = now_ns(), due_ns = last_ns;
        if (now > last_ns)
            return; /* what is missing is told as lost */
        while (sent < total) {
            due_ns = start_ns + (int64_t)((double)sent * 1e9 / rate);
            if (due_ns > now || n_idle == 0)
                break;
            request_send(&connections[idle[--n_idle]], due_ns);
            sent++;
        }
        int64_t wait_ns = n_idle == 0 || due_ns <= now ? NS_PER_S / 100 : due_ns - now;
        struct timespec wait = {wait_ns / NS_PER_S, wait_ns % NS_PER_S};
        int n = epoll_pwait2(poll_fd, events, EVENTS, &wait, NULL);
        if (n < 0 && errno != EINTR)
            die("epoll_pwait2");
        for (int i = 0; i < n; i++)
            connection_read(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: pace HOST PORT CONNECTIONS RATE SECONDS FILE\n");
        return 2;
    }
    int n_connections = atoi(argv[3]);
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    int64_t total = (int64_t)(rate * seconds);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    if (n_connections < 1 || total < 1 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        return 2;
    request_read(argv[6]);
    number = (uint64_t)time(NULL) * 1000000;
    connections = calloc((size_t)n_connections, sizeof *connections);
    idle = calloc((size_t)n_connections, sizeof *idle);
    latency_us = calloc((size_t)total, sizeof *latency_us);
    poll_fd = epoll_create1(0);
    if (connections == NULL || idle == NULL || latency_us == NULL || poll_fd < 0)
        die("pace");
    for (int i = 0; i < n_connections; i++) {
        connection_open(&connections[i], &to);
        idle[n_idle++] = i;
    }
    int64_t start_ns = now_ns() + NS_PER_S / 100;
    counted_from_ns = start_ns + (int64_t)(seconds * 1e8);
    run(total, rate, start_ns);
    double took_s = (double)(now_ns() - start_ns) / 1e9;
    qsort(latency_us, n_latencies, sizeof *latency_us, by_size);
    printf("{\"requests\": %zu, \"lost\": %lld, \"status\": %zu, \"seconds\": %f, \"p50_ms\": %f, "
           "\"p99_ms\": %f, \"p999_ms\": %f, \"max_ms\": %f}\n",
           n_answered, (long long)(total - (int64_t)n_answered), n_bad, took_s, percentile_ms(0.5),
           percentile_ms(0.99), percentile_ms(0.999), percentile_ms(1));
    return 0;
}
