/* SPDX-License-Identifier: Apache-2.0 */
/* A subscription, on a connection of its own: one that is subscribed can say nothing else. What is published carries no
 * data to be believed: it only says that it is time to look. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "connectors/redis/dial.h"
#include "connectors/redis/redis.h"
#include "connectors/redis/reply.h"
#include "connectors/redis/resp.h"

#define READ_BYTES 4096

struct redis_watch {
    struct jg_watch base;
    struct jg_conn conn;
    pid_t opened_by;
    bool subscribed;
    bool woken; /* by what came along with the answer to SUBSCRIBE */
};

static enum jg_err
take_pushes(struct redis_watch *watch)
{
    for (;;) {
        void *pushed = NULL;
        if (redisReaderGetReply(watch->conn.reader, &pushed) != REDIS_OK)
            return JG_ESTORE;
        if (!pushed)
            return JG_OK;
        const redisReply *reply = pushed;
        char kind[16];
        bool sense = jg_reply_is_array(reply, 3) && jg_reply_text(reply->element[0], kind, sizeof kind);
        if (sense && strcmp(kind, "message") == 0)
            watch->woken = true;
        else if (sense && strcmp(kind, "subscribe") == 0)
            watch->subscribed = true;
        freeReplyObject(pushed);
        if (!sense)
            return JG_ESTORE;
    }
}

/* Read what is there. */
static enum jg_err
receive(struct redis_watch *watch)
{
    char buffer[READ_BYTES];
    for (;;) {
        ssize_t size = recv(watch->conn.fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return JG_OK;
        if (size <= 0 || redisReaderFeed(watch->conn.reader, buffer, (size_t)size) != REDIS_OK || take_pushes(watch))
            return JG_ESTORE;
    }
}

static enum jg_err
redis_watch_read(struct jg_watch *base, bool *woken)
{
    struct redis_watch *watch = (struct redis_watch *)base;
    enum jg_err err = receive(watch);
    *woken = watch->woken;
    watch->woken = false;
    return err;
}

/* After a fork, in the child: the parent still reads from it. */
static void
redis_watch_close(struct jg_watch *base)
{
    struct redis_watch *watch = (struct redis_watch *)base;
    if (getpid() == watch->opened_by)
        jg_conn_close(&watch->conn);
    else
        jg_conn_abandon(&watch->conn);
    free(watch);
}

static enum jg_err
subscribe(struct redis_watch *watch, const char *prefix, int64_t deadline_ms)
{
    struct jg_buf channel = JG_BUF_INIT, command = JG_BUF_INIT;
    jg_buf_text(&channel, prefix);
    jg_buf_text(&channel, JG_SCRIPT_CHANNEL);
    if (!channel.failed)
        jg_resp_command(&command, "SUBSCRIBE", channel.data, (char *)NULL);
    /* So few bytes always find room in an idle socket. */
    bool sent = !channel.failed && !command.failed &&
                send(watch->conn.fd, command.data, command.size_bytes, MSG_NOSIGNAL) == (ssize_t)command.size_bytes;
    jg_buf_clear(&channel);
    jg_buf_clear(&command);
    while (sent && !watch->subscribed)
        if (!jg_dial_poll(watch->conn.fd, POLLIN, deadline_ms) || receive(watch))
            return JG_ESTORE;
    return sent ? JG_OK : JG_ESTORE;
}

enum jg_err
jg_redis_watch(struct jg_store *store, struct jg_watch **out)
{
    struct jg_redis *redis = (struct jg_redis *)store;
    struct jg_trouble trouble = {.kind = JG_TROUBLE_NONE};
    int64_t deadline_ms = jg_clock_ms() + redis->timeout_ms;
    struct redis_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return JG_ESTORE;
    watch->opened_by = getpid();
    if (jg_conn_open(&watch->conn, &redis->url, false, deadline_ms, &trouble) ||
        subscribe(watch, redis->prefix, deadline_ms)) {
        jg_conn_close(&watch->conn);
        free(watch);
        return JG_ESTORE;
    }
    watch->base = (struct jg_watch){.read = redis_watch_read, .close = redis_watch_close, .fd = watch->conn.fd};
    *out = &watch->base;
    return JG_OK;
}
