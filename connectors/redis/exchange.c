/* SPDX-License-Identifier: Apache-2.0 */
/* What a leader does with the operations it took: one pipeline, replies into the operations, a second try where that is
 * harmless. Every script is safe to repeat, so what has no answer yet is simply sent again. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/redis/redis.h"
#include "connectors/redis/resp.h"

/* Names that a connection remembers to have put into `classes`; beyond, it forgets them all and names them again. */
#define MOST_CLASSES_NAMED 4096

/* While an operation is not answered, its err is JG_ENOENT (which no caller ever sees). */
#define UNANSWERED JG_ENOENT

/* One way through the operations, in order. */
struct pass {
    struct jg_request *request; /* NULL: at the end */
    size_t index;               /* in it */
};

/* One pipeline. */
struct pipeline {
    struct jg_redis *redis;
    struct pass pass; /* the operation that the next reply answers */
    size_t names;     /* so many replies come first */
    bool no_script;   /* the server has forgotten scripts; those operations are left unanswered */
    bool second_try;  /* ... and has been given them again */
    struct jg_trouble *trouble;
};

/* Move to the first unanswered operation at or after the present one. False: there is none. */
static bool
next_unanswered(struct pass *pass)
{
    while (pass->request) {
        for (; pass->index < pass->request->count; pass->index++)
            if (pass->request->ops[pass->index].err == UNANSWERED)
                return true;
        pass->request = pass->request->next;
        pass->index = 0;
    }
    return false;
}

/* True: this connection has not named the class yet, and now counts as having done so. */
static bool
name_class(struct jg_conn *conn, const char *class_name)
{
    if (jg_map_find(&conn->classes_named, class_name, 0))
        return false;
    if (conn->classes_named.count >= MOST_CLASSES_NAMED)
        jg_map_clear(&conn->classes_named);
    struct jg_map_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return true;
    entry->expires_ms = JG_MAP_NEVER;
    if (jg_map_put(&conn->classes_named, class_name, entry, 0))
        free(entry);
    return true;
}

static bool
names_a_class(enum jg_op_kind kind)
{
    return kind != JG_OP_LEAD && kind != JG_OP_GROUP && kind != JG_OP_ANNOUNCE;
}

/* SADD the classes that are new on this connection, in front of all operations. Returns how many replies that takes. */
static size_t
append_names(struct jg_redis *redis, struct jg_request *first)
{
    size_t count = 0;
    struct jg_buf key = JG_BUF_INIT;
    jg_buf_text(&key, redis->prefix);
    jg_buf_text(&key, "classes");
    struct pass pass = {.request = first};
    for (; !key.failed && next_unanswered(&pass); pass.index++) {
        const struct jg_op *op = &pass.request->ops[pass.index];
        const char *class_name = op->class_name;
        if (names_a_class(op->kind) && name_class(&redis->conn, class_name)) {
            jg_resp_command(&redis->commands, "SADD", key.data, class_name, (char *)NULL);
            count++;
        }
    }
    jg_buf_clear(&key);
    return count;
}

/* `fresh`: for all that is asked now, whatever their callers know. */
static size_t
append_calls(struct jg_redis *redis, struct jg_request *first, bool fresh)
{
    size_t count = 0;
    struct pass pass = {.request = first};
    for (; next_unanswered(&pass); pass.index++, count++) {
        struct jg_op op = pass.request->ops[pass.index];
        op.fresh = fresh ? JG_FRESH_ALWAYS : op.fresh;
        jg_script_call(&redis->commands, redis->prefix, redis->conn.sha[op.kind], redis->conn.run_id, &op);
    }
    return count;
}

static void
log_one(struct jg_redis *redis, const struct jg_op *op, const struct jg_trouble *trouble)
{
    static struct jg_log_rate rates[JG_TROUBLE_KINDS];
    jg_log_rated(redis->log, &rates[trouble->kind], JG_LOG_ERROR, "STORE",
                 "jobgate.store %s: %s of class %s failed: %s", redis->url.display, jg_scripts[op->kind].name,
                 op->class_name, trouble->error.text);
}

/* An error reply. Those that concern the server itself are told to the caller too. */
static void
refuse(struct pipeline *line, struct jg_op *op, const redisReply *reply)
{
    struct jg_trouble trouble;
    jg_trouble_from_reply(&trouble, reply->str, (size_t)reply->len, false);
    if (trouble.kind == JG_TROUBLE_NO_SCRIPT && !line->second_try) {
        line->no_script = true;
        return;
    }
    op->err = JG_ESTORE;
    if (trouble.kind == JG_TROUBLE_SERVER)
        *line->trouble = trouble;
    else
        log_one(line->redis, op, &trouble);
}

static bool
read_reply(void *opaque, size_t index, const redisReply *reply)
{
    struct pipeline *line = opaque;
    struct jg_trouble trouble;
    if (index < line->names) {
        if (reply->type == REDIS_REPLY_ERROR) {
            jg_trouble_from_reply(&trouble, reply->str, (size_t)reply->len, false);
            if (trouble.kind == JG_TROUBLE_SERVER)
                *line->trouble = trouble;
        }
        return true;
    }
    if (!next_unanswered(&line->pass))
        return false;
    struct jg_op *op = &line->pass.request->ops[line->pass.index++];
    if (reply->type == REDIS_REPLY_ERROR) {
        refuse(line, op, reply);
    } else if (jg_scripts[op->kind].read(reply, op)) {
        op->err = JG_OK;
    } else {
        op->err = JG_ESTORE;
        jg_trouble_set(&trouble, JG_TROUBLE_SHAPE, "the answer is none of this script's");
        log_one(line->redis, op, &trouble);
    }
    return true;
}

/* The earlier of timeout_ms from now and `deadline_ms`. */
static int64_t
step_deadline(const struct jg_redis *redis, int64_t deadline_ms)
{
    int64_t own_ms = jg_clock_ms() + redis->timeout_ms;
    return own_ms < deadline_ms ? own_ms : deadline_ms;
}

enum jg_err
jg_redis_connect(struct jg_redis *redis, int64_t deadline_ms, struct jg_trouble *trouble)
{
    if (redis->conn.connected)
        return JG_OK;
    int64_t age_ms;
    enum jg_err err = jg_conn_open(&redis->conn, &redis->url, true, step_deadline(redis, deadline_ms), trouble);
    return err ? err : jg_redis_since(redis, step_deadline(redis, deadline_ms), &age_ms, trouble);
}

static enum jg_err
run_pipeline(struct jg_redis *redis, struct jg_request *requests, bool fresh, bool second_try, int64_t deadline_ms,
             bool *no_script, struct jg_trouble *trouble)
{
    struct pipeline line = {
        .redis = redis, .pass = {.request = requests}, .second_try = second_try, .trouble = trouble};
    jg_buf_reset(&redis->commands);
    line.names = append_names(redis, requests);
    size_t calls = append_calls(redis, requests, fresh);
    enum jg_err err = calls ? jg_conn_exchange(&redis->conn, &redis->commands, line.names + calls, read_reply, &line,
                                               step_deadline(redis, deadline_ms), trouble)
                            : JG_OK;
    *no_script = line.no_script;
    return err;
}

static enum jg_err
run_loaded(struct jg_redis *redis, struct jg_request *requests, bool fresh, int64_t deadline_ms,
           struct jg_trouble *trouble)
{
    bool no_script = false;
    enum jg_err err = run_pipeline(redis, requests, fresh, false, deadline_ms, &no_script, trouble);
    if (err || !no_script)
        return err;
    err = jg_conn_load_scripts(&redis->conn, step_deadline(redis, deadline_ms), trouble);
    return err ? err : run_pipeline(redis, requests, fresh, true, deadline_ms, &no_script, trouble);
}

static bool
waits_for_grace(const struct jg_op *op)
{
    return (op->kind == JG_OP_ADMIT || op->kind == JG_OP_TAKE) && op->err == JG_OK && op->reason == JG_REASON_GRACE &&
           !op->fresh;
}

/* How many operations wait for a grace of at most `age_ms`; `again`: those are unanswered once more. */
static size_t
count_waiting(struct jg_request *requests, int64_t age_ms, bool again)
{
    size_t count = 0;
    for (struct jg_request *request = requests; request; request = request->next) {
        for (size_t i = 0; i < request->count; i++) {
            struct jg_op *op = &request->ops[i];
            if (!waits_for_grace(op) || op->grace_ms > age_ms)
                continue;
            count++;
            if (again)
                op->err = UNANSWERED;
        }
    }
    return count;
}

/* The first pipeline may find classes that this server has never seen, whose epochs look like a loss. Ask the server
 * whether it can have lost anything, and then those operations once more. */
static enum jg_err
settle_new_classes(struct jg_redis *redis, struct jg_request *requests, int64_t deadline_ms, struct jg_trouble *trouble)
{
    int64_t age_ms = 0;
    if (!count_waiting(requests, INT64_MAX, false))
        return JG_OK;
    enum jg_err err = jg_redis_since(redis, step_deadline(redis, deadline_ms), &age_ms, trouble);
    if (err || !count_waiting(requests, age_ms, true))
        return err;
    return run_loaded(redis, requests, true, deadline_ms, trouble);
}

static enum jg_err
try_once(struct jg_redis *redis, struct jg_request *requests, int64_t deadline_ms, struct jg_trouble *trouble)
{
    enum jg_err err = jg_redis_connect(redis, deadline_ms, trouble);
    if (!err)
        err = run_loaded(redis, requests, false, deadline_ms, trouble);
    return err ? err : settle_new_classes(redis, requests, deadline_ms, trouble);
}

void
jg_redis_exchange(struct jg_redis *redis, struct jg_request *requests, struct jg_trouble *trouble)
{
    int64_t deadline_ms = INT64_MAX;
    for (struct jg_request *request = requests; request; request = request->next) {
        if (request->arrived_ms + 2 * redis->timeout_ms < deadline_ms)
            deadline_ms = request->arrived_ms + 2 * redis->timeout_ms;
        for (size_t i = 0; i < request->count; i++)
            request->ops[i].err = UNANSWERED;
    }
    bool reused = redis->conn.connected;
    trouble->kind = JG_TROUBLE_NONE;
    enum jg_err err = try_once(redis, requests, deadline_ms, trouble);
    /* A connection that had served before and was closed since says nothing about the server: it may have restarted, or
     * have closed what was idle. */
    if (err && reused && trouble->kind == JG_TROUBLE_CLOSED) {
        trouble->kind = JG_TROUBLE_NONE;
        (void)try_once(redis, requests, deadline_ms, trouble); /* `trouble` tells */
    }
    struct pass pass = {.request = requests};
    for (; next_unanswered(&pass); pass.index++)
        pass.request->ops[pass.index].err = JG_ESTORE;
    /* Whoever refuses may have been replaced under the same name by the time of the next try. */
    if (trouble->kind)
        jg_conn_close(&redis->conn);
}
