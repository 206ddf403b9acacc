/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/url.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define TCP_SCHEME "redis://"
#define UNIX_SCHEME "redis+unix://"
#define MOST_DATABASES 1000000

static enum jg_err
wrong(struct jg_error *error, const char *what)
{
    snprintf(error->text, sizeof error->text,
             "jobgate.store: %s; expected redis://[user[:password]@]host[:port][/db] or redis+unix:///path[?db=N]",
             what);
    return JG_EINVAL;
}

static int
hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Percent-decoded and NUL-terminated; the caller frees it. NULL: a `%` that no two digits follow, `%00`, no memory. */
static char *
decode(const char *text, size_t size)
{
    char *out = malloc(size + 1);
    size_t length = 0;
    if (!out)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        char byte = text[i];
        if (byte == '%') {
            int high = size - i > 2 ? hex_value(text[i + 1]) : -1;
            int low = size - i > 2 ? hex_value(text[i + 2]) : -1;
            byte = high < 0 || low < 0 ? '\0' : (char)(high * 16 + low);
            i += 2;
        }
        if (!byte) {
            free(out);
            return NULL;
        }
        out[length++] = byte;
    }
    out[length] = '\0';
    return out;
}

/* A decimal number that is all of the text. */
static bool
parse_number(const char *text, size_t size, int most, int *out)
{
    int number = 0;
    if (size == 0 || size > 7)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (text[i] - '0');
    }
    *out = number;
    return number <= most;
}

static enum jg_err
parse_userinfo(const char *text, size_t size, struct jg_redis_url *out, struct jg_error *error)
{
    const char *colon = memchr(text, ':', size);
    size_t user_size = colon ? (size_t)(colon - text) : size;
    if (user_size) {
        out->user = decode(text, user_size);
        if (!out->user)
            return wrong(error, "the user has a `%` that is no percent-encoding");
    }
    out->password = colon ? decode(colon + 1, size - user_size - 1) : strdup("");
    return out->password ? JG_OK : wrong(error, "the password has a `%` that is no percent-encoding (write % as %25)");
}

static enum jg_err
parse_port(const char *text, size_t size, struct jg_redis_url *out, struct jg_error *error)
{
    int port = 0;
    if (!parse_number(text, size, 65535, &port) || port == 0)
        return wrong(error, "the port is no number from 1 to 65535 (a password's `@`, `:` and `/` are written "
                            "%40, %3A and %2F)");
    out->port = strndup(text, size);
    return out->port ? JG_OK : JG_ENOMEM;
}

/* host[:port] or [IPv6][:port] */
static enum jg_err
parse_authority(const char *text, size_t size, struct jg_redis_url *out, struct jg_error *error)
{
    const char *end = text + size;
    const char *host = text;
    const char *host_end = memchr(text, ':', size);
    const char *rest = host_end ? host_end : end;
    if (size && *text == '[') {
        host = text + 1;
        host_end = memchr(text, ']', size);
        if (!host_end)
            return wrong(error, "the IPv6 address has no closing bracket");
        rest = host_end + 1;
    } else if (!host_end) {
        host_end = end;
    }
    if (host == host_end)
        return wrong(error, "it names no host");
    out->host = strndup(host, (size_t)(host_end - host));
    if (!out->host)
        return JG_ENOMEM;
    if (rest == end) {
        out->port = strdup("6379");
        return out->port ? JG_OK : JG_ENOMEM;
    }
    if (*rest != ':')
        return wrong(error, "something stands between host and port");
    return parse_port(rest + 1, (size_t)(end - rest - 1), out, error);
}

static enum jg_err
set_display(struct jg_redis_url *out)
{
    const char *secret = out->password ? "***@" : "";
    bool six = out->host && strchr(out->host, ':');
    int size = out->path ? asprintf(&out->display, UNIX_SCHEME "%s%s?db=%d", secret, out->path, out->db)
                         : asprintf(&out->display, TCP_SCHEME "%s%s%s%s:%s/%d", secret, six ? "[" : "", out->host,
                                    six ? "]" : "", out->port, out->db);
    if (size >= 0)
        return JG_OK;
    out->display = NULL;
    return JG_ENOMEM;
}

static enum jg_err
parse_unix(const char *path, struct jg_redis_url *out, struct jg_error *error)
{
    size_t size = strcspn(path, "?");
    if (path[size] && (strncmp(path + size, "?db=", 4) != 0 ||
                       !parse_number(path + size + 4, strlen(path + size + 4), MOST_DATABASES, &out->db)))
        return wrong(error, "after the socket's path only ?db=N may follow");
    out->path = decode(path, size);
    if (!out->path)
        return wrong(error, "the socket's path has a `%` that is no percent-encoding");
    if (strlen(out->path) < 2 || strlen(out->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return wrong(error, "the socket's path is empty or longer than 107 bytes");
    return set_display(out);
}

static enum jg_err
parse_tcp(const char *text, size_t size, const char *path, struct jg_redis_url *out, struct jg_error *error)
{
    enum jg_err err = parse_authority(text, size, out, error);
    if (err)
        return err;
    if (*path && path[1] && !parse_number(path + 1, strlen(path + 1), MOST_DATABASES, &out->db))
        return wrong(error, "the database is no number");
    return set_display(out);
}

enum jg_err
jg_redis_url_parse(const char *text, struct jg_redis_url *out, struct jg_error *error)
{
    *out = (struct jg_redis_url){.host = NULL};
    bool is_unix = strncmp(text, UNIX_SCHEME, strlen(UNIX_SCHEME)) == 0;
    if (strncmp(text, "rediss://", strlen("rediss://")) == 0)
        return wrong(error, "TLS (rediss://) is not supported; let a local proxy such as stunnel speak it");
    if (!is_unix && strncmp(text, TCP_SCHEME, strlen(TCP_SCHEME)) != 0)
        return wrong(error, "not a Redis URL");
    const char *authority = text + strlen(is_unix ? UNIX_SCHEME : TCP_SCHEME);
    const char *path = authority + strcspn(authority, "/");
    const char *at = memrchr(authority, '@', (size_t)(path - authority));
    enum jg_err err = at ? parse_userinfo(authority, (size_t)(at - authority), out, error) : JG_OK;
    if (err)
        return err;
    if (at)
        authority = at + 1;
    if (is_unix && (authority != path || !*path))
        return wrong(error, "a unix socket's path starts with `/`");
    return is_unix ? parse_unix(path, out, error) : parse_tcp(authority, (size_t)(path - authority), path, out, error);
}

static void
free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void
jg_redis_url_clear(struct jg_redis_url *url)
{
    free(url->host);
    free(url->port);
    free(url->path);
    free(url->user);
    free_secret(url->password);
    free(url->display);
    *url = (struct jg_redis_url){.host = NULL};
}
