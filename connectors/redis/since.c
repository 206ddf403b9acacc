/* SPDX-License-Identifier: Apache-2.0 */
/* Since when has this server process had our data? `<prefix>since` holds "<run_id> <ms>", written by whoever finds it
 * missing or of another process. A store that lost its data lost this too, or shows another process: so an unsettled
 * epoch of a class on a server that is older than the grace is the epoch of a new class, and needs no grace. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/redis/redis.h"
#include "connectors/redis/reply.h"
#include "connectors/redis/resp.h"

struct since_read {
    const struct jg_conn *conn;
    int64_t now_ms;
    int64_t since_ms; /* negative: missing, or of another process */
};

static bool
read_since(void *opaque, size_t index, const redisReply *reply)
{
    struct since_read *read = opaque;
    char text[JG_RUN_ID_MAX_CHARS + 32];
    size_t size = strlen(read->conn->run_id);
    int64_t since_ms;
    const char *rest;
    if (index == 0)
        return jg_reply_time(reply, &read->now_ms);
    if (!jg_reply_text(reply, text, sizeof text) || strncmp(text, read->conn->run_id, size) != 0 || text[size] != ' ')
        return true;
    strcat(text, " ");
    if (jg_reply_numbered(text + size + 1, &since_ms, &rest))
        read->since_ms = since_ms;
    return true;
}

/* A server that refuses this refuses the operations too, which say so better. */
static bool
read_set(void *opaque, size_t index, const redisReply *reply)
{
    (void)opaque;
    (void)index;
    (void)reply;
    return true;
}

enum jg_err
jg_redis_since(struct jg_redis *redis, int64_t deadline_ms, int64_t *age_ms, struct jg_trouble *trouble)
{
    struct since_read read = {.conn = &redis->conn, .since_ms = -1};
    struct jg_buf key = JG_BUF_INIT, commands = JG_BUF_INIT;
    char value[JG_RUN_ID_MAX_CHARS + 32];
    enum jg_err err = JG_ESTORE;
    jg_buf_text(&key, redis->prefix);
    jg_buf_text(&key, "since");
    if (key.failed) {
        jg_trouble_set(trouble, JG_TROUBLE_NO_MEMORY, "out of memory");
        goto out;
    }
    jg_resp_command(&commands, "TIME", (char *)NULL);
    jg_resp_command(&commands, "GET", key.data, (char *)NULL);
    err = jg_conn_exchange(&redis->conn, &commands, 2, read_since, &read, deadline_ms, trouble);
    *age_ms = read.since_ms < 0 ? 0 : read.now_ms - read.since_ms;
    if (err || read.since_ms >= 0)
        goto out;
    snprintf(value, sizeof value, "%s %" PRId64, redis->conn.run_id, read.now_ms);
    jg_buf_reset(&commands);
    jg_resp_command(&commands, "SET", key.data, value, (char *)NULL);
    err = jg_conn_exchange(&redis->conn, &commands, 1, read_set, NULL, deadline_ms, trouble);
out:
    jg_buf_clear(&key);
    jg_buf_clear(&commands);
    return err;
}
