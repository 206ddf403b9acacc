/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to a Redis: commands out, replies in, within a deadline. One thread at a time. */
#ifndef JG_CONNECTORS_REDIS_CONN_H
#define JG_CONNECTORS_REDIS_CONN_H

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "connectors/memory/map.h"
#include "connectors/redis/script.h"
#include "connectors/redis/trouble.h"
#include "connectors/redis/url.h"

#define JG_RUN_ID_MAX_CHARS 64

/* Zero-initialised: not connected. */
struct jg_conn {
    bool connected;
    int fd;
    redisReader *reader;
    char run_id[JG_RUN_ID_MAX_CHARS + 1];           /* of the server process, as of connecting */
    char sha[JG_OP_KINDS][JG_SCRIPT_SHA_CHARS + 1]; /* of the scripts, as the server told them */
    struct jg_map classes_named;                    /* classes that this connection has put into `classes` */
};

/* Connect, authenticate, select, read the run id, load the scripts if they are wanted. Deadlines are of jg_clock_ms. */
JG_MUST_USE enum jg_err jg_conn_open(struct jg_conn *conn, const struct jg_redis_url *url, bool scripts,
                                     int64_t deadline_ms, struct jg_trouble *trouble);

/* Send `commands` and hand each of the `count` replies, in order, to `each`, which does not own it and returns false
 * for one that makes no sense. After a failure the connection is closed, since what comes next on it is unknown. */
JG_MUST_USE enum jg_err jg_conn_exchange(struct jg_conn *conn, const struct jg_buf *commands, size_t count,
                                         bool (*each)(void *opaque, size_t index, const redisReply *reply),
                                         void *opaque, int64_t deadline_ms, struct jg_trouble *trouble);

/* Load the scripts once more (the server forgot them). */
JG_MUST_USE enum jg_err jg_conn_load_scripts(struct jg_conn *conn, int64_t deadline_ms, struct jg_trouble *trouble);

/* Close; says nothing to the server. */
void jg_conn_close(struct jg_conn *conn);

/* In the child of a fork, when a thread of the parent may have been using it: close the descriptor, forget the rest. */
void jg_conn_abandon(struct jg_conn *conn);

/* A reader of replies that refuses arrays longer than any of ours; redisReaderFree frees it. NULL: out of memory. */
JG_MUST_USE redisReader *jg_conn_reader(void);

/* Find `run_id:` in the text of INFO. `out` has JG_RUN_ID_MAX_CHARS + 1 bytes. */
JG_MUST_USE bool jg_conn_parse_run_id(const char *info, size_t size, char *out);

#endif
