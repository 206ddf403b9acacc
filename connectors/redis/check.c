/* SPDX-License-Identifier: Apache-2.0 */
/* What can be wrong with a Redis that answers: it may forget what it was told, or refuse it to this user. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/redis/redis.h"
#include "connectors/redis/reply.h"
#include "connectors/redis/resp.h"

/* Below OLDEST scripts may not write after asking for the time; below TESTED nobody has tried. */
#define OLDEST_MAJOR 5
#define TESTED_MAJOR 7
#define TESTED_MINOR 0

#define RIGHTS                                                                                                         \
    "+auth +select +info +script|load +evalsha +publish +subscribe +time +get +set +del +exists +incr +pexpire +pttl " \
    "+hget +hset +hmget +hdel +hexists +hlen +hgetall +hincrby +lpush +ltrim +lrange +zadd +zrem +zscore +zcard "      \
    "+zcount +zrange +zremrangebyscore +sadd +smembers +scan +hkeys +type +getrange +llen +scard +xlen"

/* Known to no server: who may run scripts is told NOSCRIPT. */
#define NO_SCRIPT_SHA "0000000000000000000000000000000000000000"

/* In the order of the replies. */
enum question { ASK_INFO, ASK_SAVE, ASK_LOAD, ASK_EVALSHA, ASK_PUBLISH, ASK_SUBSCRIBE, QUESTIONS };

struct check {
    const struct jg_redis *redis;
    void (*each)(void *opaque, enum jg_log_level level, const char *text);
    void *opaque;
    bool saves, saves_known, appends;
};

JG_PRINTF(3, 4)
static void
find(struct check *check, enum jg_log_level level, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    check->each(check->opaque, level, text);
}

static void
check_version(struct check *check, const redisReply *info)
{
    char version[32];
    int major = 0, minor = 0;
    jg_reply_info(info, "redis_version", version, sizeof version);
    if (sscanf(version, "%d.%d", &major, &minor) < 1)
        find(check, JG_LOG_WARNING, "the server does not tell its version");
    else if (major < OLDEST_MAJOR)
        find(check, JG_LOG_ERROR, "the server is of version %s: %d.0 or newer is needed", version, OLDEST_MAJOR);
    else if (major < TESTED_MAJOR || (major == TESTED_MAJOR && minor < TESTED_MINOR))
        find(check, JG_LOG_WARNING, "the server is of version %s: versions before %d.%d are not tested", version,
             TESTED_MAJOR, TESTED_MINOR);
}

static void
check_memory(struct check *check, const redisReply *info)
{
    char policy[32], most[32];
    jg_reply_info(info, "maxmemory_policy", policy, sizeof policy);
    jg_reply_info(info, "maxmemory", most, sizeof most);
    if (!policy[0] || strcmp(policy, "noeviction") == 0)
        return;
    if (strtoll(most, NULL, 10) > 0)
        find(check, JG_LOG_ERROR,
             "maxmemory-policy is %s: a full server throws claims, slots and tickets away; set noeviction", policy);
    else
        find(check, JG_LOG_NOTICE,
             "maxmemory-policy is %s, which counts once maxmemory is set: it would throw claims, slots and tickets "
             "away; set noeviction",
             policy);
}

static bool
check_info(struct check *check, const redisReply *reply)
{
    char value[16];
    if (reply->type == REDIS_REPLY_ERROR)
        return true; /* the greeting had asked already */
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    check_version(check, reply);
    check_memory(check, reply);
    jg_reply_info(reply, "cluster_enabled", value, sizeof value);
    if (strcmp(value, "1") == 0)
        find(check, JG_LOG_ERROR, "the server is part of a cluster, which is not supported yet");
    jg_reply_info(reply, "aof_enabled", value, sizeof value);
    check->appends = strcmp(value, "1") == 0;
    return true;
}

/* CONFIG GET save; managed servers often do not permit it. */
static bool
check_save(struct check *check, const redisReply *reply)
{
    char value[128];
    if (reply->type == REDIS_REPLY_ERROR)
        return true;
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    check->saves_known = reply->elements == 2;
    check->saves = check->saves_known && (!jg_reply_text(reply->element[1], value, sizeof value) || value[0]);
    return true;
}

static void
check_right(struct check *check, enum question question, const redisReply *reply)
{
    static const char *const names[QUESTIONS] = {[ASK_LOAD] = "SCRIPT LOAD",
                                                 [ASK_EVALSHA] = "EVALSHA",
                                                 [ASK_PUBLISH] = "PUBLISH",
                                                 [ASK_SUBSCRIBE] = "SUBSCRIBE"};
    struct jg_trouble trouble;
    if (reply->type != REDIS_REPLY_ERROR || (reply->len >= 8 && memcmp(reply->str, "NOSCRIPT", 8) == 0))
        return;
    jg_trouble_from_reply(&trouble, reply->str, (size_t)reply->len, false);
    find(check, JG_LOG_ERROR, "%s is refused (%s); the user needs: ~%s* &%s* " RIGHTS, names[question],
         trouble.error.text, check->redis->prefix, check->redis->prefix);
}

static bool
read_answer(void *opaque, size_t index, const redisReply *reply)
{
    struct check *check = opaque;
    if (index == ASK_INFO)
        return check_info(check, reply);
    if (index == ASK_SAVE)
        return check_save(check, reply);
    check_right(check, (enum question)index, reply);
    return true;
}

static void
append_questions(struct jg_buf *commands, const char *key, const char *channel)
{
    jg_resp_command(commands, "INFO", (char *)NULL);
    jg_resp_command(commands, "CONFIG", "GET", "save", (char *)NULL);
    jg_resp_command(commands, "SCRIPT", "LOAD", "return 1", (char *)NULL);
    jg_resp_command(commands, "EVALSHA", NO_SCRIPT_SHA, "1", key, (char *)NULL);
    jg_resp_command(commands, "PUBLISH", channel, "check", (char *)NULL);
    jg_resp_command(commands, "SUBSCRIBE", channel, (char *)NULL);
}

enum jg_err
jg_redis_check(struct jg_store *store, void (*each)(void *opaque, enum jg_log_level level, const char *text),
               void *opaque)
{
    struct jg_redis *redis = (struct jg_redis *)store;
    struct check check = {.redis = redis, .each = each, .opaque = opaque};
    struct jg_trouble trouble = {.kind = JG_TROUBLE_NONE};
    struct jg_conn conn = {.connected = false};
    struct jg_buf key = JG_BUF_INIT, channel = JG_BUF_INIT, commands = JG_BUF_INIT;
    int64_t deadline_ms = jg_clock_ms() + redis->timeout_ms;
    jg_buf_format(&key, "%ssince", redis->prefix);
    jg_buf_format(&channel, "%s" JG_SCRIPT_CHANNEL, redis->prefix);
    enum jg_err err = key.failed || channel.failed ? JG_ESTORE : JG_OK;
    if (!err)
        err = jg_conn_open(&conn, &redis->url, false, deadline_ms, &trouble);
    if (!err) {
        append_questions(&commands, key.data, channel.data);
        err = jg_conn_exchange(&conn, &commands, QUESTIONS, read_answer, &check, deadline_ms, &trouble);
    }
    if (err)
        find(&check, JG_LOG_ERROR, "%s: %s", redis->url.display,
             trouble.kind ? trouble.error.text : "an answer that makes no sense");
    else if (check.saves_known && !check.saves && !check.appends)
        find(&check, JG_LOG_WARNING,
             "the server saves nothing (appendonly no, save \"\"): a restart loses all claims, and limits pause for "
             "store.grace.ms");
    jg_conn_close(&conn);
    jg_buf_clear(&key);
    jg_buf_clear(&channel);
    jg_buf_clear(&commands);
    return err;
}
