/* SPDX-License-Identifier: Apache-2.0 */
/* Consuming: one poll at a time, in batches, or in a loop where each message is a job. */
#include "tests/support/app.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

json_t *
app_partitions(const rd_kafka_topic_partition_list_t *list)
{
    json_t *out = json_array();
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        json_array_append_new(out, json_pack("[s, i, I]", at->topic, (int)at->partition, (json_int_t)at->offset));
    }
    return out;
}

/* [[topic, partition, offset], ...]; NULL when the command names none. */
static rd_kafka_topic_partition_list_t *
partition_list(const json_t *cmd, const char *name)
{
    const json_t *list = json_object_get(cmd, name);
    if (!json_is_array(list))
        return NULL;
    rd_kafka_topic_partition_list_t *out = rd_kafka_topic_partition_list_new((int)json_array_size(list));
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        const json_t *offset = json_array_get(item, 2);
        rd_kafka_topic_partition_list_add(out, json_string_value(json_array_get(item, 0)),
                                          (int32_t)json_integer_value(json_array_get(item, 1)))
            ->offset = offset ? json_integer_value(offset) : RD_KAFKA_OFFSET_INVALID;
    }
    return out;
}

static void
list_destroy(rd_kafka_topic_partition_list_t *list)
{
    if (list)
        rd_kafka_topic_partition_list_destroy(list);
}

static int
integer(const json_t *cmd, const char *name, int otherwise)
{
    const json_t *value = json_object_get(cmd, name);
    return value ? (int)json_integer_value(value) : otherwise;
}

/* No "topics": unsubscribe. */
json_t *
app_subscribe(struct app_handle *handle, const json_t *cmd)
{
    const json_t *topics = json_object_get(cmd, "topics");
    if (json_array_size(topics) == 0)
        return app_reply_err(rd_kafka_unsubscribe(handle->rk), NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    size_t i;
    const json_t *topic;
    json_array_foreach(topics, i, topic)
        rd_kafka_topic_partition_list_add(list, json_string_value(topic), RD_KAFKA_PARTITION_UA);
    json_t *reply = app_reply_err(rd_kafka_subscribe(handle->rk, list), NULL);
    list_destroy(list);
    return reply;
}

json_t *
app_assign(struct app_handle *handle, const json_t *cmd)
{
    rd_kafka_topic_partition_list_t *list = partition_list(cmd, "partitions");
    json_t *reply = app_reply_err(rd_kafka_assign(handle->rk, list), NULL);
    list_destroy(list);
    return reply;
}

json_t *
app_assignment(struct app_handle *handle, const json_t *cmd)
{
    (void)cmd;
    rd_kafka_topic_partition_list_t *list = NULL;
    json_t *reply = app_reply_err(rd_kafka_assignment(handle->rk, &list), NULL);
    json_object_set_new(reply, "partitions", app_partitions(list));
    list_destroy(list);
    return reply;
}

json_t *
app_poll(struct app_handle *handle, const json_t *cmd)
{
    rd_kafka_message_t *message = app_next(handle, integer(cmd, "timeout_ms", 100));
    json_t *reply = json_pack("{s:o}", "message", message ? app_message(handle, message) : json_null());
    if (message)
        app_done(handle, message);
    return reply;
}

json_t *
app_batch(struct app_handle *handle, const json_t *cmd)
{
    size_t room = (size_t)integer(cmd, "max", 10);
    rd_kafka_message_t **messages = calloc(room, sizeof(rd_kafka_message_t *));
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(handle->rk);
    ssize_t count = rd_kafka_consume_batch_queue(queue, integer(cmd, "timeout_ms", 1000), messages, room);
    json_t *list = json_array();
    for (ssize_t i = 0; i < count; i++) {
        json_array_append_new(list, app_message(handle, messages[i]));
        rd_kafka_message_destroy(messages[i]);
    }
    rd_kafka_queue_destroy(queue);
    free(messages);
    return json_pack("{s:o}", "messages", list);
}

/* The work. A negative duration lasts until the handle is told to finish a job. */
static void
work(struct app_handle *handle, int job_ms)
{
    if (job_ms < 0) {
        while (sem_wait(&handle->finish) != 0)
            ;
        return;
    }
    struct timespec left = {.tv_sec = job_ms / 1000, .tv_nsec = (long)(job_ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

/* "settle": what the loop does with a job's offset: nothing (librdkafka does), commit, commit_async, or store. */
static void
settle(struct app_handle *handle, rd_kafka_message_t *message, const char *how)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (strcmp(how, "commit") == 0)
        err = rd_kafka_commit_message(handle->rk, message, 0);
    else if (strcmp(how, "commit_async") == 0)
        err = rd_kafka_commit_message(handle->rk, message, 1);
    else if (strcmp(how, "store") == 0)
        err = rd_kafka_offset_store(message->rkt, message->partition, message->offset);
    if (err)
        app_emit("error", app_reply_err(err, how));
}

static void
run_job(struct app_handle *handle, rd_kafka_message_t *message, const json_t *cmd)
{
    const char *how = json_string_value(json_object_get(cmd, "settle"));
    app_emit("start", app_message(handle, message));
    work(handle, integer(cmd, "job_ms", 0));
    app_emit("end", app_message(handle, message)); /* the next one may start before a commit returns */
    if (how)
        settle(handle, message, how);
}

/* Run jobs until told to stop, or until "max" of them ran. */
json_t *
app_run(struct app_handle *handle, const json_t *cmd)
{
    int max = integer(cmd, "max", -1);
    int done = 0;
    while (!app_is_ending() && !atomic_load(&handle->over) && done != max) {
        rd_kafka_message_t *message = app_next(handle, 50);
        if (!message)
            continue;
        if (message->err) {
            app_emit("error", app_message(handle, message));
        } else {
            run_job(handle, message, cmd);
            done++;
        }
        app_done(handle, message);
    }
    atomic_store(&handle->over, false);
    return json_pack("{s:i}", "done", done);
}

/* No "partitions": what is stored. */
json_t *
app_commit(struct app_handle *handle, const json_t *cmd)
{
    rd_kafka_topic_partition_list_t *list = partition_list(cmd, "partitions");
    json_t *reply = app_reply_err(rd_kafka_commit(handle->rk, list, json_is_true(json_object_get(cmd, "async"))), NULL);
    list_destroy(list);
    return reply;
}

json_t *
app_store_offsets(struct app_handle *handle, const json_t *cmd)
{
    rd_kafka_topic_partition_list_t *list = partition_list(cmd, "partitions");
    json_t *reply = app_reply_err(rd_kafka_offsets_store(handle->rk, list), NULL);
    list_destroy(list);
    return reply;
}

json_t *
app_committed(struct app_handle *handle, const json_t *cmd)
{
    rd_kafka_topic_partition_list_t *list = partition_list(cmd, "partitions");
    json_t *reply = app_reply_err(rd_kafka_committed(handle->rk, list, 10000), NULL);
    json_object_set_new(reply, "partitions", app_partitions(list));
    list_destroy(list);
    return reply;
}

json_t *
app_seek(struct app_handle *handle, const json_t *cmd)
{
    rd_kafka_topic_partition_list_t *list = partition_list(cmd, "partitions");
    rd_kafka_error_t *error = rd_kafka_seek_partitions(handle->rk, list, 10000);
    json_t *reply = app_reply_err(rd_kafka_error_code(error), error ? rd_kafka_error_string(error) : "");
    rd_kafka_error_destroy(error);
    list_destroy(list);
    return reply;
}

/* "resume": true undoes it. */
json_t *
app_pause(struct app_handle *handle, const json_t *cmd)
{
    rd_kafka_topic_partition_list_t *list = partition_list(cmd, "partitions");
    bool resume = json_is_true(json_object_get(cmd, "resume"));
    rd_kafka_resp_err_t err =
        resume ? rd_kafka_resume_partitions(handle->rk, list) : rd_kafka_pause_partitions(handle->rk, list);
    list_destroy(list);
    return app_reply_err(err, NULL);
}
