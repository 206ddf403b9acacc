/* SPDX-License-Identifier: Apache-2.0 */
/* A store URL without its password. Built of what is known to be harmless, so that it holds for malformed URLs too:
 * where the password ends cannot be told there. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "plugin/conf.h"

#define HIDDEN "***"

struct writer {
    char *out;
    size_t room_bytes;
    size_t size_bytes;
};

static void
put(struct writer *writer, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && writer->size_bytes + 1 < writer->room_bytes; i++)
        writer->out[writer->size_bytes++] = text[i];
    writer->out[writer->size_bytes] = '\0';
}

static bool
is_word(char byte)
{
    return isascii((unsigned char)byte) && (isalnum((unsigned char)byte) || strchr("._-", byte)) && byte;
}

static size_t
word_bytes(const char *text)
{
    size_t bytes = 0;
    while (is_word(text[bytes]))
        bytes++;
    return bytes;
}

/* User and password, up to the last '@' of all: a password may hold '@' and '/' by mistake. The user is shown only when
 * a password follows it; a lone word may be the password. */
static void
put_userinfo(struct writer *writer, const char *text, const char *end)
{
    size_t user_bytes = word_bytes(text);
    if (user_bytes > 0 && text[user_bytes] == ':' && text + user_bytes + 1 < end) {
        put(writer, text, user_bytes);
        put(writer, ":", 1);
    }
    put(writer, HIDDEN "@", strlen(HIDDEN "@"));
}

/* [host][:port][/path][?db=N]; a ':' without a port after it may be followed by a password. */
static void
put_place(struct writer *writer, const char *at, bool may_hold_port)
{
    static const char query[] = "?db=";
    if (*at == '[') { /* an IPv6 address */
        size_t bytes = 1 + strspn(at + 1, "0123456789abcdefABCDEF:.");
        if (at[bytes] == ']') {
            put(writer, at, bytes + 1);
            at += bytes + 1;
        }
    }
    size_t host_bytes = word_bytes(at);
    put(writer, at, host_bytes);
    at += host_bytes;
    size_t digits = *at == ':' ? strspn(at + 1, "0123456789") : 0;
    if (may_hold_port && digits > 0 && digits <= 5 && (at[digits + 1] == '\0' || strchr("/?", at[digits + 1]))) {
        put(writer, at, digits + 1);
        at += digits + 1;
    }
    while (*at == '/') {
        size_t bytes = 1 + word_bytes(at + 1);
        put(writer, at, bytes);
        at += bytes;
    }
    if (strncmp(at, query, strlen(query)) == 0 &&
        strspn(at + strlen(query), "0123456789") == strlen(at + strlen(query)))
        put(writer, at, strlen(at));
    else if (*at)
        put(writer, HIDDEN, strlen(HIDDEN));
}

void
jg_conf_redact(const char *url, char *out, size_t out_bytes)
{
    static const char memory[] = "memory:";
    struct writer writer = {.out = out, .room_bytes = out_bytes};
    if (out_bytes == 0)
        return;
    *out = '\0';
    const char *rest = url;
    size_t scheme_bytes = strspn(url, "abcdefghijklmnopqrstuvwxyz+");
    if (scheme_bytes > 0 && strncmp(url + scheme_bytes, "://", 3) == 0)
        rest = url + scheme_bytes + 3;
    else if (strncmp(url, memory, strlen(memory)) == 0)
        rest = url + strlen(memory);
    put(&writer, url, (size_t)(rest - url));
    const char *at = strrchr(rest, '@');
    if (at) {
        put_userinfo(&writer, rest, at);
        rest = at + 1;
    }
    /* `redis://:text`: no host, so what follows the colon is no port. */
    put_place(&writer, rest, *rest != ':');
}
