/* `reli health` asks the service that this configuration describes whether it is ready, by whatever
 * listener there is; for health checks of containers. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/commands.h"
#include "core/crypto/tls_ask.h"
#include "core/loop/stream.h"
#include "core/tool.h"

static int connect_at(const void *address, socklen_t len)
{
    const struct sockaddr *any = address;
    int fd = socket(any->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, any, len) == 0 ? fd : -1;
}

static int connect_to(struct str address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    char text[64];
    int64_t port = 0;
    if (str_starts(address, STR("unix:"))) {
        str_copy_c(un.sun_path, sizeof un.sun_path, str_from(address, 5));
        return connect_at(&un, sizeof un);
    }
    size_t colon = address.n;
    while (colon > 0 && address.p[colon - 1] != ':')
        colon--;
    if (colon == 0 || !str_to_i64(str_from(address, colon), &port) || port < 1 || port > 65535)
        return -1;
    struct str host = str_first(address, colon - 1);
    bool six = str_starts(host, STR("[")) && str_ends(host, STR("]"));
    if (six) /* who listens on all addresses listens on this one */
        host = str_eq(host, STR("[::]")) ? STR("::1") : str_n(host.p + 1, host.n - 2);
    str_copy_c(text, sizeof text, str_eq(host, STR("0.0.0.0")) ? STR("127.0.0.1") : host);
    in.sin_port = in6.sin6_port = htons((uint16_t)port);
    if (six)
        return inet_pton(AF_INET6, text, &in6.sin6_addr) == 1 ? connect_at(&in6, sizeof in6) : -1;
    return inet_pton(AF_INET, text, &in.sin_addr) == 1 ? connect_at(&in, sizeof in) : -1;
}

/* One in the clear if there is any: /readyz is answered there too. */
static struct str choose(struct str list, struct listener_flags *flags)
{
    struct str one, bare, chosen = STR_NULL;
    struct listener_flags found;
    while (str_split(&list, ',', &one)) {
        if (err_is(listener_flags_parse(str_trim(one), &bare, &found)))
            continue;
        if (chosen.p == NULL || found.tls + found.proxy < flags->tls + flags->proxy) {
            chosen = bare;
            *flags = found;
        }
    }
    return chosen;
}

/* As who passes a PROXY listener without speaking for anybody: version 2, LOCAL. */
static bool introduce(int fd)
{
    static const char local[16] = "\r\n\r\n\0\r\nQUIT\n\x20";
    return write(fd, local, sizeof local) == (ssize_t)sizeof local;
}

static ssize_t ask(int fd, bool tls, char *answer, size_t room)
{
    static const char request[] =
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct str q = str_n(request, sizeof request - 1);
    if (tls)
        return tls_ask(fd, q, answer, room);
    return write(fd, q.p, q.n) == (ssize_t)q.n ? read(fd, answer, room) : -1;
}

int command_health(int argc, char **argv)
{
    char answer[64] = "";
    (void)argv;
    if (argc != 0)
        return tool_usage("health");
    const char *listen = getenv("RELI_LISTEN");
    struct listener_flags flags = {.tls = false};
    struct str address =
        choose(str_c(listen != NULL && listen[0] != '\0' ? listen : "127.0.0.1:8080"), &flags);
    alarm(3);
    signal(SIGPIPE, SIG_IGN);
    int fd = connect_to(address);
    ssize_t n = -1;
    if (fd >= 0 && (!flags.proxy || introduce(fd)))
        n = ask(fd, flags.tls, answer, sizeof answer - 1);
    if (fd >= 0)
        close(fd);
    bool ok = n > 12 && strncmp(answer, "HTTP/1.1 200", 12) == 0;
    puts(ok ? "ready" : "not ready");
    return ok ? 0 : 1;
}
