/* SPDX-License-Identifier: Apache-2.0 */
/* Where a Redis is, and as whom to speak to it. */
#ifndef JG_CONNECTORS_REDIS_URL_H
#define JG_CONNECTORS_REDIS_URL_H

#include "base/err.h"

/* Strings are owned by the URL; percent-decoded. */
struct jg_redis_url {
    char *host;     /* NULL: a unix socket */
    char *port;     /* digits */
    char *path;     /* of the unix socket, or NULL */
    char *user;     /* NULL: the default user */
    char *password; /* NULL: no AUTH */
    int db;
    char *display; /* for messages: without user and password */
};

/* Parse redis://[user[:password]@]host[:port][/db] or redis+unix://[user[:password]@]/path[?db=N]. JG_EINVAL: `error`
 * says what is wrong and never holds user or password. Clear `out` in any case. */
JG_MUST_USE enum jg_err jg_redis_url_parse(const char *text, struct jg_redis_url *out, struct jg_error *error);
void jg_redis_url_clear(struct jg_redis_url *url);

#endif
