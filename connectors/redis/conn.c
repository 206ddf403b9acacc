/* SPDX-License-Identifier: Apache-2.0 */
/* hiredis 0.14 writes without MSG_NOSIGNAL, which kills hosts by SIGPIPE, and bounds each read, not an exchange. So
 * only its reader of replies is used; the socket is ours. */
#include "connectors/redis/conn.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "connectors/redis/dial.h"
#include "connectors/redis/resp.h"

#define READ_BYTES 16384
/* The largest of our replies has some kilobytes; what grows beyond is no Redis. */
#define MOST_UNREAD_BYTES (16u << 20)
/* The longest of our arrays holds the names of a namespace's classes. */
#define MOST_ELEMENTS (1 << 20)

/* A running exchange. */
struct exchange {
    const struct jg_buf *commands;
    size_t sent_bytes;
    size_t count; /* replies expected */
    size_t seen;
    size_t unread_bytes; /* fed since the last whole reply */
    bool (*each)(void *opaque, size_t index, const redisReply *reply);
    void *opaque;
};

void
jg_conn_close(struct jg_conn *conn)
{
    if (!conn->connected)
        return;
    /* Abort rather than linger: what the server has not received by now must not arrive later. */
    struct linger abort_now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof abort_now);
    close(conn->fd);
    redisReaderFree(conn->reader);
    jg_map_clear(&conn->classes_named);
    conn->connected = false;
}

void
jg_conn_abandon(struct jg_conn *conn)
{
    if (conn->connected)
        close(conn->fd);
    *conn = (struct jg_conn){.connected = false};
}

static enum jg_err
fail_errno(struct jg_trouble *trouble, int number)
{
    char text[128];
    jg_trouble_set(trouble, JG_TROUBLE_CLOSED, "the connection broke: %s", strerror_r(number, text, sizeof text));
    return JG_ESTORE;
}

static enum jg_err
send_some(struct jg_conn *conn, struct exchange *ex, struct jg_trouble *trouble)
{
    while (ex->sent_bytes < ex->commands->size_bytes) {
        ssize_t sent = send(conn->fd, ex->commands->data + ex->sent_bytes, ex->commands->size_bytes - ex->sent_bytes,
                            MSG_NOSIGNAL);
        if (sent > 0)
            ex->sent_bytes += (size_t)sent;
        else if (sent < 0 && errno == EAGAIN)
            return JG_OK;
        else if (sent < 0 && errno != EINTR)
            return fail_errno(trouble, errno);
    }
    return JG_OK;
}

static enum jg_err
fail_protocol(struct jg_trouble *trouble, const char *what)
{
    jg_trouble_set(trouble, JG_TROUBLE_PROTOCOL, "this is no answer of a Redis: %s", what);
    return JG_ESTORE;
}

/* Hand on every whole reply that has been fed. */
static enum jg_err
take_replies(struct jg_conn *conn, struct exchange *ex, struct jg_trouble *trouble)
{
    while (ex->seen < ex->count) {
        void *reply = NULL;
        if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK)
            return fail_protocol(trouble, conn->reader->errstr);
        if (!reply)
            return ex->unread_bytes > MOST_UNREAD_BYTES ? fail_protocol(trouble, "it does not end") : JG_OK;
        ex->unread_bytes = 0;
        bool sense = ex->each(ex->opaque, ex->seen++, reply);
        freeReplyObject(reply);
        if (!sense)
            return fail_protocol(trouble, "not of the form that was asked for");
    }
    return JG_OK;
}

static enum jg_err
receive_some(struct jg_conn *conn, struct exchange *ex, struct jg_trouble *trouble)
{
    char buffer[READ_BYTES];
    ssize_t size = recv(conn->fd, buffer, sizeof buffer, 0);
    if (size == 0) {
        jg_trouble_set(trouble, JG_TROUBLE_CLOSED, "the server closed the connection");
        return JG_ESTORE;
    }
    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? JG_OK : fail_errno(trouble, errno);
    ex->unread_bytes += (size_t)size;
    if (redisReaderFeed(conn->reader, buffer, (size_t)size) != REDIS_OK)
        return fail_protocol(trouble, conn->reader->errstr);
    return take_replies(conn, ex, trouble);
}

static enum jg_err
run_exchange(struct jg_conn *conn, struct exchange *ex, int64_t deadline_ms, struct jg_trouble *trouble)
{
    enum jg_err err = send_some(conn, ex, trouble);
    while (!err && ex->seen < ex->count) {
        bool sending = ex->sent_bytes < ex->commands->size_bytes;
        if (!jg_dial_poll(conn->fd, sending ? POLLIN | POLLOUT : POLLIN, deadline_ms)) {
            jg_trouble_set(trouble, JG_TROUBLE_LATE, "the server did not answer in time");
            return JG_ESTORE;
        }
        err = sending ? send_some(conn, ex, trouble) : JG_OK;
        if (!err)
            err = receive_some(conn, ex, trouble);
    }
    /* A reply that nobody asked for would be taken for the next one's. */
    if (!err && conn->reader->pos < conn->reader->len)
        return fail_protocol(trouble, "more replies than commands");
    return err;
}

enum jg_err
jg_conn_exchange(struct jg_conn *conn, const struct jg_buf *commands, size_t count,
                 bool (*each)(void *opaque, size_t index, const redisReply *reply), void *opaque, int64_t deadline_ms,
                 struct jg_trouble *trouble)
{
    struct exchange ex = {.commands = commands, .count = count, .each = each, .opaque = opaque};
    enum jg_err err = JG_ESTORE;
    if (commands->failed)
        jg_trouble_set(trouble, JG_TROUBLE_NO_MEMORY, "out of memory");
    else
        err = run_exchange(conn, &ex, deadline_ms, trouble);
    if (err)
        jg_conn_close(conn);
    return err;
}

bool
jg_conn_parse_run_id(const char *info, size_t size, char *out)
{
    static const char name[] = "run_id:";
    const char *at = memmem(info, size, name, sizeof name - 1);
    if (!at)
        return false;
    at += sizeof name - 1;
    size_t left = size - (size_t)(at - info), length = 0;
    while (length < left && length <= JG_RUN_ID_MAX_CHARS &&
           ((at[length] >= '0' && at[length] <= '9') || (at[length] >= 'a' && at[length] <= 'z') ||
            (at[length] >= 'A' && at[length] <= 'Z')))
        length++;
    if (length == 0 || length > JG_RUN_ID_MAX_CHARS)
        return false;
    memcpy(out, at, length);
    out[length] = '\0';
    return true;
}

/* --- the greeting: AUTH, SELECT, INFO, SCRIPT LOAD, in one round trip --- */

struct greeting {
    struct jg_conn *conn;
    struct jg_trouble *trouble; /* of the first refusal */
    bool auth, select;          /* were they sent? */
};

static void
note_refusal(struct greeting *greeting, const redisReply *reply, bool secret)
{
    if (greeting->trouble->kind == JG_TROUBLE_NONE)
        jg_trouble_from_reply(greeting->trouble, reply->str, (size_t)reply->len, secret);
    /* Whatever it was, nothing works without it. */
    greeting->trouble->kind = JG_TROUBLE_SERVER;
}

static bool
read_sha(struct jg_conn *conn, size_t index, const redisReply *reply)
{
    if (index >= JG_OP_KINDS || reply->type != REDIS_REPLY_STRING || reply->len != JG_SCRIPT_SHA_CHARS)
        return false;
    memcpy(conn->sha[index], reply->str, JG_SCRIPT_SHA_CHARS);
    conn->sha[index][JG_SCRIPT_SHA_CHARS] = '\0';
    return true;
}

static bool
read_greeting(void *opaque, size_t index, const redisReply *reply)
{
    struct greeting *greeting = opaque;
    size_t info = (size_t)greeting->auth + (size_t)greeting->select;
    bool secret = greeting->auth && index == 0;
    if (reply->type == REDIS_REPLY_ERROR) {
        note_refusal(greeting, reply, secret);
        return true;
    }
    if (greeting->trouble->kind)
        return true;
    if (index < info)
        return reply->type == REDIS_REPLY_STATUS;
    if (index == info)
        return reply->type == REDIS_REPLY_STRING &&
               jg_conn_parse_run_id(reply->str, (size_t)reply->len, greeting->conn->run_id);
    return read_sha(greeting->conn, index - info - 1, reply);
}

static void
append_scripts(struct jg_buf *commands)
{
    struct jg_buf source = JG_BUF_INIT;
    for (size_t i = 0; i < JG_OP_KINDS; i++) {
        jg_buf_reset(&source);
        jg_script_source((enum jg_op_kind)i, &source);
        if (source.failed)
            commands->failed = true;
        else
            jg_resp_command(commands, "SCRIPT", "LOAD", source.data, (char *)NULL);
    }
    jg_buf_clear(&source);
}

static enum jg_err
greet(struct jg_conn *conn, const struct jg_redis_url *url, bool scripts, int64_t deadline_ms,
      struct jg_trouble *trouble)
{
    struct jg_buf commands = JG_BUF_INIT;
    char db[16];
    struct greeting greeting = {.conn = conn, .trouble = trouble, .auth = url->password, .select = url->db != 0};
    snprintf(db, sizeof db, "%d", url->db);
    if (url->password && url->user)
        jg_resp_command(&commands, "AUTH", url->user, url->password, (char *)NULL);
    else if (url->password)
        jg_resp_command(&commands, "AUTH", url->password, (char *)NULL);
    if (greeting.select)
        jg_resp_command(&commands, "SELECT", db, (char *)NULL);
    jg_resp_command(&commands, "INFO", "server", (char *)NULL);
    if (scripts)
        append_scripts(&commands);
    size_t count = (size_t)greeting.auth + greeting.select + 1 + (scripts ? JG_OP_KINDS : 0);
    enum jg_err err = jg_conn_exchange(conn, &commands, count, read_greeting, &greeting, deadline_ms, trouble);
    if (commands.data)
        explicit_bzero(commands.data, commands.room_bytes);
    jg_buf_clear(&commands);
    if (err || trouble->kind == JG_TROUBLE_NONE)
        return err;
    jg_conn_close(conn);
    return JG_ESTORE;
}

/* hiredis would make room for whatever length a reply claims, and walk through all of it to free it. */
static redisReplyObjectFunctions reply_functions;
static void *(*create_array)(const redisReadTask *task, int elements);
static pthread_once_t reply_functions_once = PTHREAD_ONCE_INIT;

static void *
create_bounded_array(const redisReadTask *task, int elements)
{
    return elements > MOST_ELEMENTS ? NULL : create_array(task, elements);
}

/* hiredis keeps its own functions to itself, but shows them in a reader. */
static void
find_reply_functions(void)
{
    redisReader *reader = redisReaderCreate();
    if (!reader)
        return;
    reply_functions = *reader->fn;
    create_array = reply_functions.createArray;
    reply_functions.createArray = create_bounded_array;
    redisReaderFree(reader);
}

redisReader *
jg_conn_reader(void)
{
    pthread_once(&reply_functions_once, find_reply_functions);
    return create_array ? redisReaderCreateWithFunctions(&reply_functions) : NULL;
}

static void
destroy_entry(struct jg_map_entry *entry)
{
    free(entry);
}

enum jg_err
jg_conn_open(struct jg_conn *conn, const struct jg_redis_url *url, bool scripts, int64_t deadline_ms,
             struct jg_trouble *trouble)
{
    struct jg_error error = {.text = ""};
    bool late = false;
    trouble->kind = JG_TROUBLE_NONE;
    int fd = jg_dial(url, deadline_ms, &late, &error);
    if (fd < 0) {
        jg_trouble_set(trouble, late ? JG_TROUBLE_LATE : JG_TROUBLE_CONNECT, "%s", error.text);
        return JG_ESTORE;
    }
    *conn = (struct jg_conn){.connected = true, .fd = fd, .reader = jg_conn_reader()};
    conn->classes_named.destroy = destroy_entry;
    if (conn->reader)
        return greet(conn, url, scripts, deadline_ms, trouble);
    close(fd);
    conn->connected = false;
    jg_trouble_set(trouble, JG_TROUBLE_NO_MEMORY, "out of memory");
    return JG_ESTORE;
}

static bool
read_reloaded(void *opaque, size_t index, const redisReply *reply)
{
    return read_sha(opaque, index, reply);
}

enum jg_err
jg_conn_load_scripts(struct jg_conn *conn, int64_t deadline_ms, struct jg_trouble *trouble)
{
    struct jg_buf commands = JG_BUF_INIT;
    append_scripts(&commands);
    enum jg_err err = jg_conn_exchange(conn, &commands, JG_OP_KINDS, read_reloaded, conn, deadline_ms, trouble);
    jg_buf_clear(&commands);
    return err;
}
