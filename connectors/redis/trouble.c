/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NO_RIGHTS "the user in the URL lacks rights; docs/operate.md lists the ACL that is needed"

/* Error replies that concern every operation, with their cure. Older servers put the word into the middle of a script's
 * error. */
static const struct {
    const char *word;
    const char *cure;
} general[] = {
    {"WRONGPASS", "user or password in the URL is wrong"},
    {"NOAUTH", "the server asks for a password: put it into the URL, redis://user:password@host"},
    {"NOPERM", NO_RIGHTS},
    {"can't run this command", NO_RIGHTS}, /* so said of a command inside a script */
    {"can't access at least one of the keys", NO_RIGHTS},
    {"OOM", "the server's memory is full: raise maxmemory"},
    {"READONLY", "the server is a replica: point the URL at the master"},
    {"MASTERDOWN", "the server is a replica whose master is down: point the URL at the master"},
    {"NOREPLICAS", "the server refuses to write without its replicas: see min-replicas-to-write"},
    {"MISCONF", "the server cannot save to its disk, and refuses to write"},
    {"LOADING", "the server is still loading its data"},
    {"BUSY", "a script of somebody's keeps the server busy"},
    {"CLUSTERDOWN", "the server is a cluster that is down"},
    {"MOVED", "the server is part of a cluster, which is not supported"},
    {"CROSSSLOT", "the server is part of a cluster, which is not supported"},
    {"NOPROTO", "the server speaks another protocol"},
};

void
jg_trouble_set(struct jg_trouble *trouble, enum jg_trouble_kind kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    trouble->kind = kind;
    vsnprintf(trouble->error.text, sizeof trouble->error.text, fmt, args);
    va_end(args);
}

static bool
is_separator(const char *text, size_t size, size_t at)
{
    return at >= size || !((text[at] >= 'A' && text[at] <= 'Z') || (text[at] >= 'a' && text[at] <= 'z'));
}

static bool
has_word(const char *text, size_t size, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; (at = memmem(at, size - (size_t)(at - text), word, length)); at++) {
        size_t index = (size_t)(at - text);
        if ((index == 0 || is_separator(text, size, index - 1)) && is_separator(text, size, index + length))
            return true;
    }
    return false;
}

/* Bytes of a server go into a log: no control characters. */
static void
copy_printable(char *out, size_t out_bytes, const char *text, size_t size)
{
    size_t i = 0;
    for (; i < size && i + 1 < out_bytes; i++)
        out[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
    out[i] = '\0';
}

void
jg_trouble_from_reply(struct jg_trouble *trouble, const char *text, size_t size, bool secret)
{
    char shown[200];
    size_t word_size = 0;
    while (!is_separator(text, size, word_size))
        word_size++;
    copy_printable(shown, sizeof shown, text, secret ? word_size : size);
    if (size >= 8 && memcmp(text, "NOSCRIPT", 8) == 0) {
        jg_trouble_set(trouble, JG_TROUBLE_NO_SCRIPT, "the server answered: %s", shown);
        return;
    }
    for (size_t i = 0; i < sizeof general / sizeof general[0]; i++) {
        if (has_word(text, size, general[i].word)) {
            jg_trouble_set(trouble, JG_TROUBLE_SERVER, "%s (the server answered: %s)", general[i].cure, shown);
            return;
        }
    }
    jg_trouble_set(trouble, secret ? JG_TROUBLE_SERVER : JG_TROUBLE_COMMAND, "%sthe server answered: %s",
                   secret ? "user and password of the URL were not accepted; " : "", shown);
}
