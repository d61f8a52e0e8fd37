/* Listening sockets. They are polled and accepted here, not by uv_listen: libuv 1.44 answers a lack
 * of file descriptors by dropping whoever waits, and spins inside its callback when that fails too.
 * Here they wait in the kernel's queue until the next try. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/loop/loop_int.h"

enum { BACKLOG = 1024, ACCEPTS_PER_TURN = 64 };
#define RETRY_US (100 * US_PER_MS)
#define LOG_EVERY_US US_PER_S

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr_storage room;
};

struct listener {
    struct loop *l;
    uv_poll_t poll;
    struct timer retry;
    int fd;
    int port;
    bool closed;
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* empty if TCP */
    int64_t logged_us;
    struct arrivals arrivals;
};

static struct err parse(struct str text, union address *a, socklen_t *len);
struct err listener_address_check(struct str bare)
{
    union address a = {0};
    socklen_t len;
    return parse(bare, &a, &len);
}

static struct err open_socket(const union address *a, socklen_t len, int *fd_out);
static struct err clear_path(const struct sockaddr_un *un);
static int port_of(int fd);
static void poll_start(struct listener *s);
static void on_closed(uv_handle_t *h);

struct err listener_open(struct loop *l, struct str address, const struct listener_guard *guard,
                         accept_fn *accept, void *ctx, struct listener **out)
{
    union address a = {0};
    struct listener_flags flags;
    socklen_t len;
    int fd;
    TRY(listener_flags_parse(address, &address, &flags));
    if (flags.tls && guard->tls == NULL)
        return ERR(CONFIG, "listen address: there is no certificate for ;tls");
    if (flags.proxy && guard->proxies == NULL)
        return ERR(CONFIG, "listen address: nobody is trusted with ;proxy");
    TRY(parse(address, &a, &len));
    TRY(open_socket(&a, len, &fd));
    struct listener *s = calloc(1, sizeof *s);
    int rc = s != NULL ? uv_poll_init_socket(&l->uv, &s->poll, fd) : UV_ENOMEM;
    if (rc != 0) {
        free(s);
        close(fd);
        return ERR_D(IO, rc, "listener");
    }
    s->l = l;
    s->fd = fd;
    s->arrivals =
        (struct arrivals){.l = l, .flags = flags, .guard = *guard, .accept = accept, .ctx = ctx};
    list_init(&s->arrivals.waiting);
    s->poll.data = s;
    s->logged_us = -LOG_EVERY_US;
    if (a.any.sa_family == AF_UNIX)
        memcpy(s->path, a.un.sun_path, sizeof s->path);
    else
        s->port = port_of(fd);
    poll_start(s);
    *out = s;
    return ERR_OK;
}

int listener_port(const struct listener *s)
{
    return s->port;
}

void listener_close(struct listener *s)
{
    ASSERT(!s->closed);
    s->closed = true;
    timer_off(s->l, &s->retry);
    arrivals_close(&s->arrivals);
    uv_close((uv_handle_t *)&s->poll, on_closed);
    close(s->fd);
    if (s->path[0] != '\0')
        unlink(s->path);
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

/* ---- accepting ---- */

static struct peer peer_of(const union address *a)
{
    struct peer p = {.is_unix = false};
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, p.text, sizeof p.text);
        p.port = ntohs(a->v4.sin_port);
    } else if (a->any.sa_family == AF_INET6) {
        /* An IPv4 client of a dual-stack socket has one name, whichever listener it came by. */
        if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
            inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], p.text, sizeof p.text);
        else
            inet_ntop(AF_INET6, &a->v6.sin6_addr, p.text, sizeof p.text);
        p.port = ntohs(a->v6.sin6_port);
    } else {
        str_copy_c(p.text, sizeof p.text, STR("unix"));
        p.is_unix = true;
    }
    return p;
}

static void complain(struct listener *s, struct err err)
{
    int64_t now_us = loop_mono_us(s->l);
    if (now_us - s->logged_us < LOG_EVERY_US)
        return;
    s->logged_us = now_us;
    log_warn("listener.accept_failed", F_ERR(err));
}

static void retry(void *ctx)
{
    poll_start(ctx);
}

/* No more for now; the client waits in the queue. */
static void rest(struct listener *s, struct err err)
{
    complain(s, err);
    uv_poll_stop(&s->poll);
    timer_set(s->l, &s->retry, RETRY_US, retry, s);
}

static void on_ready(uv_poll_t *h, int status, int events)
{
    struct listener *s = h->data;
    (void)events;
    loop_enter(s->l);
    if (status < 0) {
        rest(s, ERR_D(IO, status, "listener")); /* libuv has stopped polling */
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN && !s->closed; i++) {
        union address from = {0};
        socklen_t len = sizeof from;
        int fd = accept4(s->fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            rest(s, ERR_D(LIMIT, -errno, "accept"));
            return;
        }
        if (fd < 0) /* this client is gone; accept(2) hands out its network errors */
            continue;
        struct peer peer = peer_of(&from);
        struct stream *stream;
        struct err err = stream_from_fd(s->l, fd, &peer, &stream);
        if (err_is(err))
            complain(s, err);
        else
            arrival_start(&s->arrivals, stream);
    }
}

static void poll_start(struct listener *s)
{
    int rc = uv_poll_start(&s->poll, UV_READABLE, on_ready);
    if (rc != 0)
        rest(s, ERR_D(IO, rc, "listener"));
}

/* ---- opening ---- */

struct err listener_flags_parse(struct str address, struct str *bare, struct listener_flags *flags)
{
    struct str rest = address, flag;
    *flags = (struct listener_flags){.tls = false};
    *bare = STR_NULL;
    (void)str_split(&rest, ';', bare);
    while (str_split(&rest, ';', &flag)) {
        bool *known = str_eq(flag, STR("tls"))     ? &flags->tls
                      : str_eq(flag, STR("proxy")) ? &flags->proxy
                                                   : NULL;
        if (known == NULL || *known)
            return ERR(CONFIG, "listen address: what follows is neither ;tls nor ;proxy");
        *known = true;
    }
    return ERR_OK;
}

static struct err parse_tcp(struct str text, union address *a, socklen_t *len)
{
    char host[INET6_ADDRSTRLEN];
    size_t colon = text.n;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    int64_t port;
    struct str port_text = str_from(text, colon);
    if (colon == 0 || !str_is_digits(port_text) || !str_to_i64(port_text, &port) || port > 65535)
        return ERR(CONFIG, "listen address: no port");
    struct str h = str_first(text, colon - 1);
    bool v6 = str_starts(h, STR("[")) && str_ends(h, STR("]")) && h.n > 2;
    if (v6)
        h = str_n(h.p + 1, h.n - 2);
    if (h.n >= sizeof host)
        return ERR(CONFIG, "listen address: not a literal address");
    str_copy_c(host, sizeof host, h);
    *len = v6 ? sizeof a->v6 : sizeof a->v4;
    int rc = v6 ? uv_ip6_addr(host, (int)port, &a->v6) : uv_ip4_addr(host, (int)port, &a->v4);
    return rc == 0 ? ERR_OK : ERR_D(CONFIG, rc, "listen address: not a literal address");
}

static struct err parse(struct str text, union address *a, socklen_t *len)
{
    if (!str_starts(text, STR("unix:")))
        return parse_tcp(text, a, len);
    struct str path = str_from(text, 5);
    if (path.n == 0 || path.n >= sizeof a->un.sun_path || memchr(path.p, 0, path.n) != NULL)
        return ERR(CONFIG, "listen address: no path of 1 to 107 bytes");
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, path.p, path.n);
    *len = sizeof a->un;
    return ERR_OK;
}

bool listener_answers(struct str bare)
{
    union address a = {0};
    socklen_t len;
    if (err_is(parse(bare, &a, &len)))
        return false;
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, &a.any, len) == 0;
    if (fd >= 0)
        close(fd);
    return answers;
}

static struct err open_socket(const union address *a, socklen_t len, int *fd_out)
{
    bool is_unix = a->any.sa_family == AF_UNIX;
    if (is_unix)
        TRY(clear_path(&a->un));
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_D(IO, -errno, "socket");
    const int on = 1;
    const char *what = NULL;
    if (!is_unix && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
                     setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0))
        what = "setsockopt";
    else if (bind(fd, &a->any, len) != 0)
        what = "bind";
    else if (listen(fd, BACKLOG) != 0)
        what = "listen";
    if (what != NULL) {
        struct err err = ERR_D(IO, -errno, what);
        close(fd);
        return err;
    }
    *fd_out = fd;
    return ERR_OK;
}

/* A socket file outlives the process that made it: removed only if nobody answers there. */
static struct err clear_path(const struct sockaddr_un *un)
{
    struct stat st;
    if (lstat(un->sun_path, &st) != 0)
        return errno == ENOENT ? ERR_OK : ERR_D(IO, -errno, "listen path");
    if (!S_ISSOCK(st.st_mode))
        return ERR(CONFIG, "listen path: something else is there");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_D(IO, -errno, "socket");
    bool stale = connect(fd, (const struct sockaddr *)un, sizeof *un) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale)
        return ERR_D(IO, -EADDRINUSE, "listen path");
    return unlink(un->sun_path) == 0 || errno == ENOENT ? ERR_OK : ERR_D(IO, -errno, "unlink");
}

static int port_of(int fd)
{
    union address a = {0};
    socklen_t len = sizeof a;
    if (getsockname(fd, &a.any, &len) != 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}
