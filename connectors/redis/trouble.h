/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong with the server, and what a person can do about it. */
#ifndef JG_CONNECTORS_REDIS_TROUBLE_H
#define JG_CONNECTORS_REDIS_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum jg_trouble_kind {
    JG_TROUBLE_NONE,
    JG_TROUBLE_CONNECT,   /* nobody there */
    JG_TROUBLE_LATE,      /* no answer in time */
    JG_TROUBLE_CLOSED,    /* the server, or something between, closed the connection */
    JG_TROUBLE_PROTOCOL,  /* not what a Redis answers */
    JG_TROUBLE_SERVER,    /* an error reply that concerns every operation: no rights, no memory, read-only ... */
    JG_TROUBLE_NO_MEMORY, /* ours */
    /* From here on they concern one operation. */
    JG_TROUBLE_SHAPE,   /* a reply, but not this script's */
    JG_TROUBLE_COMMAND, /* an error reply */
    JG_TROUBLE_NO_SCRIPT,
    JG_TROUBLE_KINDS
};

struct jg_trouble {
    enum jg_trouble_kind kind;
    struct jg_error error; /* for people; holds no password */
};

void jg_trouble_set(struct jg_trouble *trouble, enum jg_trouble_kind kind, const char *fmt, ...) JG_PRINTF(3, 4);

/* Sort an error reply. `secret`: it may repeat what we sent, so only its first word is shown. */
void jg_trouble_from_reply(struct jg_trouble *trouble, const char *text, size_t size, bool secret);

#endif
