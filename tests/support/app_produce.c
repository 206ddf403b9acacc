/* SPDX-License-Identifier: Apache-2.0 */
/* Producing by each of librdkafka's calls, from one thread or from several at once. */
#include "tests/support/app.h"

#include <stdlib.h>
#include <string.h>

/* A message as the command has it, in memory of its own. */
struct draft {
    const char *topic;
    void *value, *key;
    size_t value_bytes, key_bytes;
    int32_t partition;
    void *tag;
    const json_t *headers;
};

static struct draft
draft_new(const json_t *message)
{
    struct draft draft = {.topic = json_string_value(json_object_get(message, "topic")),
                          .partition = RD_KAFKA_PARTITION_UA,
                          .tag = (void *)(intptr_t)json_integer_value(json_object_get(message, "tag")),
                          .headers = json_object_get(message, "headers")};
    const json_t *partition = json_object_get(message, "partition");
    if (partition)
        draft.partition = (int32_t)json_integer_value(partition);
    app_bytes(json_object_get(message, "value"), &draft.value, &draft.value_bytes);
    app_bytes(json_object_get(message, "key"), &draft.key, &draft.key_bytes);
    return draft;
}

static void
draft_clear(struct draft *draft)
{
    free(draft->value);
    free(draft->key);
}

static rd_kafka_headers_t *
headers_new(const json_t *list)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(json_array_size(list));
    size_t i;
    const json_t *pair;
    json_array_foreach(list, i, pair)
    {
        void *value;
        size_t size_bytes;
        app_bytes(json_array_get(pair, 1), &value, &size_bytes);
        rd_kafka_header_add(headers, json_string_value(json_array_get(pair, 0)), -1, value, (ssize_t)size_bytes);
        free(value);
    }
    return headers;
}

static json_t *
by_producev(struct app_handle *handle, const struct draft *draft)
{
    rd_kafka_headers_t *headers = draft->headers ? headers_new(draft->headers) : NULL;
    rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = draft->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = draft->partition},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = draft->value, .size = draft->value_bytes}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = draft->key, .size = draft->key_bytes}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = draft->tag},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = sizeof parts / sizeof *parts - (headers ? 0 : 1);
    rd_kafka_error_t *error = rd_kafka_produceva(handle->rk, parts, count);
    if (!error)
        return app_reply_err(RD_KAFKA_RESP_ERR_NO_ERROR, "");
    /* They went with the message only if it was taken. */
    if (headers)
        rd_kafka_headers_destroy(headers);
    json_t *result = app_reply_err(rd_kafka_error_code(error), rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return result;
}

static json_t *
by_produce(struct app_handle *handle, const struct draft *draft)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle->rk, draft->topic, NULL);
    int failed = rd_kafka_produce(topic, draft->partition, RD_KAFKA_MSG_F_COPY, draft->value, draft->value_bytes,
                                  draft->key, draft->key_bytes, draft->tag);
    json_t *result = app_reply_err(failed ? rd_kafka_last_error() : RD_KAFKA_RESP_ERR_NO_ERROR, NULL);
    rd_kafka_topic_destroy(topic);
    return result;
}

/* All messages go to the first one's topic; this call takes no headers. */
static json_t *
by_batch(struct app_handle *handle, const json_t *messages)
{
    size_t count = json_array_size(messages);
    struct draft *drafts = calloc(count, sizeof *drafts);
    rd_kafka_message_t *batch = calloc(count, sizeof *batch);
    for (size_t i = 0; i < count; i++) {
        drafts[i] = draft_new(json_array_get(messages, i));
        batch[i] = (rd_kafka_message_t){.payload = drafts[i].value,
                                        .len = drafts[i].value_bytes,
                                        .key = drafts[i].key,
                                        .key_len = drafts[i].key_bytes,
                                        .partition = drafts[i].partition,
                                        ._private = drafts[i].tag};
    }
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle->rk, drafts[0].topic, NULL);
    rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_PARTITION, batch,
                           (int)count);
    rd_kafka_topic_destroy(topic);
    json_t *results = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(results, app_reply_err(batch[i].err, NULL));
        draft_clear(&drafts[i]);
    }
    free(drafts);
    free(batch);
    return results;
}

static json_t *
by_call(struct app_handle *handle, const json_t *messages, const char *call)
{
    if (strcmp(call, "batch") == 0)
        return by_batch(handle, messages);
    json_t *results = json_array();
    size_t i;
    const json_t *message;
    json_array_foreach(messages, i, message)
    {
        struct draft draft = draft_new(message);
        int64_t began_us = app_clock_us();
        json_t *result = strcmp(call, "produce") == 0 ? by_produce(handle, &draft) : by_producev(handle, &draft);
        json_object_set_new(result, "ms", json_real((double)(app_clock_us() - began_us) / 1000));
        json_array_append_new(results, result);
        draft_clear(&draft);
    }
    return results;
}

struct racer {
    pthread_t thread;
    pthread_barrier_t *line;
    struct app_handle *handle;
    const json_t *messages;
    const char *call;
    json_t *results;
};

static void *
racer_main(void *opaque)
{
    struct racer *racer = opaque;
    pthread_barrier_wait(racer->line);
    racer->results = by_call(racer->handle, racer->messages, racer->call);
    return NULL;
}

/* "messages" by "call" (producev, produce, batch). With "race": [handle, ...] each of them produces all messages on a
 * thread of its own, all at once; a handle may be named several times. */
json_t *
app_produce(struct app_handle *handle, const json_t *cmd)
{
    const json_t *messages = json_object_get(cmd, "messages");
    const json_t *names = json_object_get(cmd, "race");
    const char *call = json_string_value(json_object_get(cmd, "call"));
    if (!names)
        return json_pack("{s:o}", "results", by_call(handle, messages, call ? call : "producev"));
    size_t count = json_array_size(names);
    struct racer *racers = calloc(count, sizeof *racers);
    pthread_barrier_t line;
    pthread_barrier_init(&line, NULL, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        racers[i] = (struct racer){.line = &line,
                                   .handle = app_handle_find(json_string_value(json_array_get(names, i))),
                                   .messages = messages,
                                   .call = call ? call : "producev"};
        if (!racers[i].handle || pthread_create(&racers[i].thread, NULL, racer_main, &racers[i]) != 0)
            abort();
    }
    json_t *results = json_array();
    for (size_t i = 0; i < count; i++) {
        pthread_join(racers[i].thread, NULL);
        json_array_extend(results, racers[i].results);
        json_decref(racers[i].results);
    }
    pthread_barrier_destroy(&line);
    free(racers);
    return json_pack("{s:o}", "results", results);
}

static int
timeout_ms(const json_t *cmd)
{
    const json_t *value = json_object_get(cmd, "timeout_ms");
    return value ? (int)json_integer_value(value) : 10000;
}

json_t *
app_flush(struct app_handle *handle, const json_t *cmd)
{
    return app_reply_err(rd_kafka_flush(handle->rk, timeout_ms(cmd)), NULL);
}

/* What is queued and what is in flight: their delivery fails. */
json_t *
app_purge(struct app_handle *handle, const json_t *cmd)
{
    (void)cmd;
    return app_reply_err(rd_kafka_purge(handle->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT), NULL);
}

/* "do": init, begin, commit or abort. */
json_t *
app_transaction(struct app_handle *handle, const json_t *cmd)
{
    const char *verb = json_string_value(json_object_get(cmd, "do"));
    rd_kafka_error_t *error = NULL;
    if (!verb)
        return json_pack("{s:s}", "failure", "no verb");
    if (strcmp(verb, "init") == 0)
        error = rd_kafka_init_transactions(handle->rk, timeout_ms(cmd));
    else if (strcmp(verb, "begin") == 0)
        error = rd_kafka_begin_transaction(handle->rk);
    else if (strcmp(verb, "commit") == 0)
        error = rd_kafka_commit_transaction(handle->rk, timeout_ms(cmd));
    else
        error = rd_kafka_abort_transaction(handle->rk, timeout_ms(cmd));
    json_t *reply = app_reply_err(rd_kafka_error_code(error), error ? rd_kafka_error_string(error) : "");
    rd_kafka_error_destroy(error);
    return reply;
}
