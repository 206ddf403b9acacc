/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/endpoint.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_CONNECTIONS 64
#define IDLE_S 5 /* a connection that says nothing for so long is closed */
#define FEW_LEFT 16
#define REQUEST_BYTES 8192 /* of memory for one, its headers and the answer's */

struct guest {
    int fd;        /* -1: nobody */
    uint64_t came; /* counts arrivals */
    bool asked_to_go;
};

struct jg_endpoint {
    const struct jg_cli *cli;
    int fd; /* -1: the server has it */
    struct MHD_Daemon *daemon;
    jg_endpoint_handler *handler;
    void *opaque;
    char address[NI_MAXHOST + NI_MAXSERV + 4];
    struct guest guests[MOST_CONNECTIONS]; /* the server's thread has them */
    uint64_t arrivals;
};

/* --- listening --- */

/* Take `[ADDRESS:]PORT` apart; an IPv6 address stands in brackets. */
static bool
parse(const char *where, char *host, size_t host_bytes, const char **port)
{
    const char *colon = strrchr(where, ':');
    size_t size = colon ? (size_t)(colon - where) : 0;
    const char *begin = where;
    *port = colon ? colon + 1 : where;
    if (size >= 2 && where[0] == '[' && where[size - 1] == ']') {
        begin++;
        size -= 2;
    } else if (memchr(where, ':', size)) {
        return false;
    }
    snprintf(host, host_bytes, "%.*s", size ? (int)size : 9, size ? begin : "127.0.0.1");
    size_t digits = strspn(*port, "0123456789");
    return size < host_bytes && digits > 0 && digits <= 5 && !(*port)[digits] && strtol(*port, NULL, 10) <= 65535;
}

static void
name_address(struct jg_endpoint *endpoint)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    if (getsockname(endpoint->fd, (struct sockaddr *)&bound, &size) == 0)
        (void)!getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                           NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(endpoint->address, sizeof endpoint->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static int
listen_on(const struct addrinfo *address)
{
    int on = 1, problem;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, MOST_CONNECTIONS) == 0)
        return fd;
    problem = errno;
    close(fd);
    errno = problem;
    return -1;
}

struct jg_endpoint *
jg_endpoint_listen(const struct jg_cli *cli, const char *where)
{
    char host[NI_MAXHOST];
    const char *port;
    struct addrinfo *found = NULL;
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    if (!parse(where, host, sizeof host, &port)) {
        jg_cli_complain(cli, "--metrics takes [ADDRESS:]PORT, e.g. 9464, 0.0.0.0:9464 or [::1]:9464");
        return NULL;
    }
    int problem = getaddrinfo(host, port, &hints, &found);
    if (problem) {
        jg_cli_complain(cli, "--metrics %s: %s", where, gai_strerror(problem));
        return NULL;
    }
    struct jg_endpoint *endpoint = calloc(1, sizeof *endpoint);
    int fd = endpoint ? listen_on(found) : -1;
    freeaddrinfo(found);
    if (fd < 0) {
        jg_cli_complain(cli, "--metrics %s: cannot listen there: %s%s", where, strerror(errno),
                        errno == EADDRINUSE ? "; name another port" : "");
        free(endpoint);
        return NULL;
    }
    endpoint->cli = cli;
    endpoint->fd = fd;
    for (size_t i = 0; i < MOST_CONNECTIONS; i++)
        endpoint->guests[i].fd = -1;
    name_address(endpoint);
    return endpoint;
}

const char *
jg_endpoint_address(const struct jg_endpoint *endpoint)
{
    return endpoint->address;
}

/* --- serving, on the server's thread --- */

/* When few places are left, who is here longest has to go: a request takes a moment, unless somebody draws it out. */
static void
make_room(struct jg_endpoint *endpoint)
{
    size_t free_places = 0;
    struct guest *oldest = NULL;
    for (size_t i = 0; i < MOST_CONNECTIONS; i++) {
        struct guest *guest = &endpoint->guests[i];
        free_places += guest->fd < 0;
        if (guest->fd >= 0 && !guest->asked_to_go && (!oldest || guest->came < oldest->came))
            oldest = guest;
    }
    if (free_places >= FEW_LEFT || !oldest)
        return;
    shutdown(oldest->fd, SHUT_RDWR);
    oldest->asked_to_go = true;
}

static void
come_and_go(void *opaque, struct MHD_Connection *connection, void **socket_context,
            enum MHD_ConnectionNotificationCode what)
{
    struct jg_endpoint *endpoint = opaque;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct guest *guest = *socket_context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (guest)
            guest->fd = -1;
        return;
    }
    make_room(endpoint);
    for (size_t i = 0; info && i < MOST_CONNECTIONS; i++) {
        if (endpoint->guests[i].fd >= 0)
            continue;
        endpoint->guests[i] = (struct guest){.fd = info->connect_fd, .came = endpoint->arrivals++};
        *socket_context = &endpoint->guests[i];
        return;
    }
}

static enum MHD_Result
queue(struct MHD_Connection *connection, struct jg_endpoint_answer *answer)
{
    const char *body = answer->body.data ? answer->body.data : "";
    if (answer->body.failed) {
        body = "out of memory\n";
        answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        answer->type = "text/plain";
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    jg_buf_clear(&answer->body);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result
answer_request(void *opaque, struct MHD_Connection *connection, const char *url, const char *method,
               const char *version, const char *upload, size_t *upload_bytes, void **context)
{
    struct jg_endpoint *endpoint = opaque;
    struct jg_endpoint_answer answer = {.status = MHD_HTTP_OK, .type = "text/plain", .body = JG_BUF_INIT};
    (void)version;
    (void)upload;
    (void)upload_bytes;
    (void)context;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
        jg_buf_text(&answer.body, "GET and HEAD only\n");
    } else {
        endpoint->handler(endpoint->opaque, url, &answer);
    }
    return queue(connection, &answer);
}

/* --- its life --- */

bool
jg_endpoint_serve(struct jg_endpoint *endpoint, jg_endpoint_handler *handler, void *opaque)
{
    endpoint->handler = handler;
    endpoint->opaque = opaque;
    endpoint->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL, answer_request, endpoint,
                         MHD_OPTION_LISTEN_SOCKET, endpoint->fd, MHD_OPTION_CONNECTION_LIMIT, MOST_CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)REQUEST_BYTES, MHD_OPTION_NOTIFY_CONNECTION, come_and_go, endpoint, MHD_OPTION_END);
    if (!endpoint->daemon) {
        jg_cli_complain(endpoint->cli, "--metrics: the HTTP server does not start");
        return false;
    }
    endpoint->fd = -1;
    return true;
}

void
jg_endpoint_close(struct jg_endpoint *endpoint)
{
    if (!endpoint)
        return;
    if (endpoint->daemon)
        MHD_stop_daemon(endpoint->daemon);
    if (endpoint->fd >= 0)
        close(endpoint->fd);
    free(endpoint);
}
