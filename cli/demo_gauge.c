/* SPDX-License-Identifier: Apache-2.0 */
/* The gauges of load and work. An application keeps them in the Redis of jobgate.store, by INCR and DECR, say; for the
 * store in memory the plugin has a public function. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/demo.h"
#include "connectors/redis/conn.h"
#include "connectors/redis/resp.h"
#include "plugin/jobgate.h"

#define REDIS_TIMEOUT_MS 5000
#define KEPT_S "3600" /* should the demo be broken off */

const char *
jg_demo_gauge_key(const struct jg_demo *demo, enum jg_demo_gauge gauge)
{
    return demo->gauges[gauge].setting + strlen("redis:");
}

static bool
look_at_reply(void *opaque, size_t index, const redisReply *reply)
{
    struct jg_trouble *trouble = opaque;
    (void)index;
    if (reply->type == REDIS_REPLY_ERROR)
        jg_trouble_from_reply(trouble, reply->str, reply->len, false);
    return true;
}

/* One command to the demo's Redis, on a connection of its own: it is done a dozen times. */
static bool
tell_redis(const struct jg_demo *demo, const struct jg_buf *command, struct jg_trouble *trouble)
{
    struct jg_conn conn = {.connected = false};
    struct jg_redis_url url = {.host = NULL};
    struct jg_trouble said = {.kind = JG_TROUBLE_NONE};
    int64_t deadline_ms = jg_clock_ms() + REDIS_TIMEOUT_MS;
    enum jg_err err = jg_redis_url_parse(demo->redis, &url, &trouble->error);
    if (err == JG_OK)
        err = jg_conn_open(&conn, &url, false, deadline_ms, trouble);
    if (err == JG_OK)
        err = jg_conn_exchange(&conn, command, 1, look_at_reply, &said, deadline_ms, trouble);
    if (err == JG_OK && said.kind != JG_TROUBLE_NONE)
        *trouble = said;
    jg_conn_close(&conn);
    jg_redis_url_clear(&url);
    return err == JG_OK && said.kind == JG_TROUBLE_NONE;
}

static bool
set_in_redis(struct jg_demo *demo, const char *key, int64_t value)
{
    char digits[24];
    struct jg_buf command = JG_BUF_INIT;
    struct jg_trouble trouble = {.error = {.text = "out of memory"}};
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    jg_resp_command(&command, "SET", key, digits, "EX", KEPT_S, NULL);
    demo->gauges_kept = true;
    bool done = !command.failed && tell_redis(demo, &command, &trouble);
    jg_buf_clear(&command);
    return done || jg_demo_refute(demo, "%s cannot be set: %s", key, trouble.error.text);
}

bool
jg_demo_set_gauge(struct jg_demo *demo, enum jg_demo_gauge gauge, int64_t value)
{
    const char *key = jg_demo_gauge_key(demo, gauge);
    demo->gauges[gauge].value = value;
    if (demo->redis)
        return set_in_redis(demo, key, value);
    return demo->memory_gauge(JG_DEMO_MEMORY, key, value) == JOBGATE_OK ||
           jg_demo_refute(demo, "%s cannot be set", key);
}

void
jg_demo_delete_gauges(struct jg_demo *demo)
{
    struct jg_buf command = JG_BUF_INIT;
    struct jg_trouble trouble = {.error = {.text = "out of memory"}};
    if (!demo->gauges_kept)
        return;
    jg_resp_command(&command, "DEL", jg_demo_gauge_key(demo, JG_DEMO_MIGRATIONS),
                    jg_demo_gauge_key(demo, JG_DEMO_ACCOUNTS), NULL);
    if (command.failed || !tell_redis(demo, &command, &trouble))
        jg_cli_complain(demo->cli, "the keys %s* may still be there for an hour: %s", demo->topics[0],
                        trouble.error.text);
    jg_buf_clear(&command);
}
