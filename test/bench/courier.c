/* What libcurl alone achieves: one thread, one multi handle, kept connections, epoll.
 *   courier N AT_ONCE BODY_BYTES URL...
 * POSTs a body of that size N times, to the URLs in turn, with the headers of a webhook. Prints one
 * line of JSON with the time and the CPU that it took. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

enum { EVENTS = 256 };

static CURLM *multi;
static int poll_fd;
static long wait_ms = -1;
static char **urls;
static int n_urls;
static size_t n_left, n_ended, n_bad;
static char *body;
static size_t body_len;
static struct curl_slist *headers;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static size_t drop(char *p, size_t size, size_t n, void *ctx)
{
    (void)p;
    (void)ctx;
    return size * n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    (void)easy;
    (void)ctx;
    struct epoll_event ev = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(poll_fd, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev) != 0)
        die("epoll_ctl");
    curl_multi_assign(multi, fd, &poll_fd);
    return 0;
}

static int on_timer(CURLM *m, long ms, void *ctx)
{
    (void)m;
    (void)ctx;
    wait_ms = ms;
    return 0;
}

/* The next request with a handle that is free. */
static void launch(CURL *easy)
{
    static size_t turn;
    n_left--;
    curl_easy_setopt(easy, CURLOPT_URL, urls[turn++ % (size_t)n_urls]);
    curl_multi_add_handle(multi, easy);
}

static CURL *handle_new(void)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        die("curl");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body_len);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 15000L);
    return easy;
}

static void collect(void)
{
    CURLMsg *msg;
    int left;
    long status;
    while ((msg = curl_multi_info_read(multi, &left)) != NULL) {
        CURL *easy = msg->easy_handle;
        bool good = msg->data.result == CURLE_OK &&
                    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
                    status == 200;
        n_ended++;
        n_bad += !good;
        curl_multi_remove_handle(multi, easy);
        if (n_left > 0)
            launch(easy);
        else
            curl_easy_cleanup(easy);
    }
}

static void turn(void)
{
    struct epoll_event events[EVENTS];
    int running, n = epoll_wait(poll_fd, events, EVENTS, (int)wait_ms);
    if (n == 0) {
        wait_ms = -1;
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    for (int i = 0; i < n; i++)
        curl_multi_socket_action(
            multi, events[i].data.fd,
            (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? CURL_CSELECT_IN : 0),
            &running);
    collect();
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: courier N AT_ONCE BODY_BYTES URL...\n");
        return 2;
    }
    size_t n = strtoul(argv[1], NULL, 10), at_once = strtoul(argv[2], NULL, 10);
    body_len = strtoul(argv[3], NULL, 10);
    urls = argv + 4;
    n_urls = argc - 4;
    body = malloc(body_len + 1);
    poll_fd = epoll_create1(0);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    if (n < 1 || at_once < 1 || body == NULL || poll_fd < 0 || multi == NULL)
        die("courier");
    memset(body, 'x', body_len);
    body[body_len] = '\0';
    headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "webhook-id: 01930000-0000-7000-8000-000000000000");
    headers = curl_slist_append(headers, "webhook-timestamp: 1790000000");
    headers = curl_slist_append(
        headers, "webhook-signature: v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    headers = curl_slist_append(headers, "User-Agent: courier/1");
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)at_once);
    n_left = n;
    double began = now_s();
    for (size_t i = 0; i < at_once && n_left > 0; i++)
        launch(handle_new());
    while (n_ended < n)
        turn();
    double took = now_s() - began;
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("{\"requests\": %zu, \"status\": %zu, \"lost\": 0, \"seconds\": %f, \"cpu_s\": %f}\n", n,
           n_bad, took,
           (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
               (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    return 0;
}
