/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/dial.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "connectors/redis/resolve.h"

/* So that a connection that a firewall forgot is noticed before the next job needs it. */
#define KEEPALIVE_S 30

bool
jg_dial_poll(int fd, short events, int64_t deadline_ms)
{
    struct pollfd poller = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = deadline_ms - jg_clock_ms();
        if (left_ms < 0)
            left_ms = 0;
        int ready = poll(&poller, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
        if (ready > 0)
            return true;
        if (ready == 0 && jg_clock_ms() >= deadline_ms)
            return false;
        if (ready < 0 && errno != EINTR)
            return true; /* the next read or write tells what is wrong */
    }
}

static const char *
reason_of(int number, char *text, size_t text_bytes)
{
    return strerror_r(number, text, text_bytes);
}

/* 0, or an errno. */
static int
connect_within(int fd, const struct sockaddr *address, socklen_t size, int64_t deadline_ms)
{
    int failure = 0;
    socklen_t failure_size = sizeof failure;
    if (connect(fd, address, size) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno == EAGAIN ? ETIMEDOUT : errno; /* EAGAIN: the unix socket's backlog is full */
    if (!jg_dial_poll(fd, POLLOUT, deadline_ms))
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &failure_size) ? errno : failure;
}

static int
dial_address(int family, const struct sockaddr *address, socklen_t size, int64_t deadline_ms, bool *late,
             struct jg_error *error)
{
    char text[128];
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failure = fd < 0 ? errno : connect_within(fd, address, size, deadline_ms);
    *late = failure == ETIMEDOUT;
    if (failure) {
        if (fd >= 0)
            close(fd);
        snprintf(error->text, sizeof error->text, "%s", reason_of(failure, text, sizeof text));
        return -1;
    }
    if (family != AF_UNIX) {
        int on = 1, seconds = KEEPALIVE_S;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    }
    return fd;
}

/* Each address gets an equal share of what is left, so that one that swallows packets leaves time for the next. */
static int
dial_tcp(const struct jg_redis_url *url, int64_t deadline_ms, bool *late, struct jg_error *error)
{
    struct addrinfo *found = NULL;
    int fd = -1;
    int count = 0;
    if (jg_resolve(url->host, url->port, deadline_ms, &found, error)) {
        *late = jg_clock_ms() >= deadline_ms;
        return -1;
    }
    for (struct addrinfo *at = found; at; at = at->ai_next)
        count++;
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next, count--) {
        int64_t now_ms = jg_clock_ms();
        int64_t share_ms = now_ms < deadline_ms ? (deadline_ms - now_ms) / count : 0;
        fd = dial_address(at->ai_family, at->ai_addr, at->ai_addrlen, now_ms + share_ms, late, error);
    }
    freeaddrinfo(found);
    return fd;
}

int
jg_dial(const struct jg_redis_url *url, int64_t deadline_ms, bool *late, struct jg_error *error)
{
    *late = false;
    if (url->host)
        return dial_tcp(url, deadline_ms, late, error);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, url->path);
    return dial_address(AF_UNIX, (const struct sockaddr *)&address, sizeof address, deadline_ms, late, error);
}
