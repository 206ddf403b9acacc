/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: from a list of properties to a client and back. */
#include "tests/support/app.h"

#include <stdio.h>
#include <string.h>

#define HANDLES_MAX 64

static struct app_handle handles[HANDLES_MAX];
static size_t handle_count;
static atomic_bool ending;
static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;

struct app_handle *
app_handle_find(const char *name)
{
    struct app_handle *found = NULL;
    pthread_mutex_lock(&handles_lock);
    for (size_t i = 0; i < handle_count; i++) {
        if (handles[i].rk && strcmp(handles[i].name, name) == 0)
            found = &handles[i];
    }
    pthread_mutex_unlock(&handles_lock);
    return found;
}

static json_t *
headers_json(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    json_t *out = json_array();
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return out;
    const char *name;
    const void *value;
    size_t size_bytes;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size_bytes) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        json_array_append_new(out, json_pack("[s, o]", name, app_json_bytes(value, size_bytes)));
    return out;
}

json_t *
app_message(const struct app_handle *handle, const rd_kafka_message_t *message)
{
    /* A failed delivery's payload is the message, a poll's error's payload is its text. */
    const char *text = handle->consumer ? rd_kafka_message_errstr(message) : rd_kafka_err2str(message->err);
    json_t *out = app_reply_err(message->err, message->err ? text : "");
    json_object_set_new(out, "handle", json_string(handle->name));
    json_object_set_new(out, "topic", message->rkt ? json_string(rd_kafka_topic_name(message->rkt)) : json_null());
    json_object_set_new(out, "partition", json_integer(message->partition));
    json_object_set_new(out, "offset", json_integer(message->offset));
    if (!message->err || !handle->consumer) {
        json_object_set_new(out, "value", app_json_bytes(message->payload, message->len));
        json_object_set_new(out, "key", app_json_bytes(message->key, message->key_len));
        json_object_set_new(out, "headers", headers_json(message));
    }
    return out;
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    json_t *event = app_message(opaque, message);
    json_object_set_new(event, "tag", json_integer((json_int_t)(intptr_t)message->_private));
    app_emit("dr", event);
}

static void
on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    const struct app_handle *handle = opaque;
    (void)rk;
    app_emit("commit", json_pack("{s:s, s:s, s:I}", "handle", handle->name, "name", rd_kafka_err2name(err), "offset",
                                 (json_int_t)(offsets && offsets->cnt ? offsets->elems[0].offset : -1)));
}

/* What a program does that wants to know of rebalances. */
static void
on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    const struct app_handle *handle = opaque;
    app_emit("rebalance", json_pack("{s:s, s:s, s:o}", "handle", handle->name, "name", rd_kafka_err2name(err),
                                    "partitions", app_partitions(partitions)));
    rd_kafka_assign(rk, err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? partitions : NULL);
}

static void *
poller_main(void *opaque)
{
    struct app_handle *handle = opaque;
    while (!atomic_load(&handle->over))
        rd_kafka_poll(handle->rk, 50);
    return NULL;
}

/* In the order of the list: a plugin sees only what is set after plugin.library.paths. */
static json_t *
set_properties(rd_kafka_conf_t *conf, const json_t *properties)
{
    size_t i;
    json_t *pair;
    char text[APP_ERROR_BYTES];
    json_array_foreach(properties, i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        rd_kafka_conf_res_t res =
            rd_kafka_conf_set(conf, name, json_string_value(json_array_get(pair, 1)), text, sizeof text);
        if (res != RD_KAFKA_CONF_OK)
            return json_pack("{s:i, s:s, s:s}", "conf_res", (int)res, "property", name, "text", text);
    }
    return NULL;
}

static bool
is_true(const json_t *cmd, const char *name)
{
    return json_is_true(json_object_get(cmd, name));
}

/* Before its first message: librdkafka may let one that came before its topic was known wait for a second. */
static void
know(struct app_handle *handle, const char *topic)
{
    const struct rd_kafka_metadata *metadata = NULL;
    handle->known = rd_kafka_topic_new(handle->rk, topic, NULL);
    if (rd_kafka_metadata(handle->rk, 0, handle->known, &metadata, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
}

/* A token that nobody signed, for a broker that takes them. */
static void
on_token_wanted(rd_kafka_t *rk, const char *config, void *opaque)
{
    (void)config;
    (void)opaque;
    /* {"alg":"none"} and {"sub":"jobs","iat":1700000000,"exp":4102444800} */
    static const char token[] = "eyJhbGciOiJub25lIn0."
                                "eyJzdWIiOiJqb2JzIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjQxMDI0NDQ4MDB9.";
    char text[APP_ERROR_BYTES];
    if (rd_kafka_oauthbearer_set_token(rk, token, INT64_C(4102444800000), "jobs", NULL, 0, text, sizeof text))
        rd_kafka_oauthbearer_set_token_failure(rk, text);
}

static json_t *
start(struct app_handle *handle, rd_kafka_conf_t *conf, const json_t *cmd)
{
    char text[APP_ERROR_BYTES];
    sem_init(&handle->finish, 0, 0);
    rd_kafka_t *rk = rd_kafka_new(handle->consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return json_pack("{s:i, s:s}", "new", 0, "text", text);
    }
    pthread_mutex_lock(&handles_lock);
    handle->rk = rk;
    pthread_mutex_unlock(&handles_lock);
    if (handle->consumer && !is_true(cmd, "keep_main_queue"))
        rd_kafka_poll_set_consumer(handle->rk);
    handle->has_poller = !handle->consumer && !is_true(cmd, "no_poller");
    if (json_is_string(json_object_get(cmd, "know")))
        know(handle, json_string_value(json_object_get(cmd, "know")));
    if (handle->has_poller)
        handle->has_poller = pthread_create(&handle->poller, NULL, poller_main, handle) == 0;
    return json_object();
}

json_t *
app_create(struct app_handle *none, const json_t *cmd)
{
    (void)none;
    pthread_mutex_lock(&handles_lock);
    struct app_handle *handle = handle_count < HANDLES_MAX ? &handles[handle_count++] : NULL;
    pthread_mutex_unlock(&handles_lock);
    if (!handle)
        return json_pack("{s:s}", "failure", "too many handles");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    json_t *refusal = set_properties(conf, json_object_get(cmd, "properties"));
    if (refusal) {
        rd_kafka_conf_destroy(conf);
        return refusal;
    }
    snprintf(handle->name, sizeof handle->name, "%s", json_string_value(json_object_get(cmd, "name")));
    handle->consumer = is_true(cmd, "consumer");
    rd_kafka_conf_set_opaque(conf, handle);
    if (!handle->consumer)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    else if (is_true(cmd, "events"))
        app_events_enable(handle, conf);
    else if (is_true(cmd, "rebalance_cb"))
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    if (is_true(cmd, "commit_cb"))
        rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    if (is_true(cmd, "slow_commits"))
        app_events_slow_down(conf);
    if (is_true(cmd, "token_cb"))
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_token_wanted);
    if (is_true(cmd, "dup")) {
        /* As C++, Node and PHP clients do. */
        rd_kafka_conf_t *copy = rd_kafka_conf_dup(conf);
        rd_kafka_conf_destroy(conf);
        conf = copy;
    }
    return start(handle, conf, cmd);
}

json_t *
app_close(struct app_handle *handle, const json_t *cmd)
{
    (void)cmd;
    return app_reply_err(app_consumer_close(handle), NULL);
}

json_t *
app_destroy(struct app_handle *handle, const json_t *cmd)
{
    (void)cmd;
    atomic_store(&handle->over, true);
    if (handle->has_poller)
        pthread_join(handle->poller, NULL);
    if (handle->known)
        rd_kafka_topic_destroy(handle->known);
    rd_kafka_destroy(handle->rk);
    pthread_mutex_lock(&handles_lock);
    handle->rk = NULL;
    pthread_mutex_unlock(&handles_lock);
    sem_destroy(&handle->finish);
    return json_object();
}

/* End the job loop after the job that runs. */
json_t *
app_stop(struct app_handle *handle, const json_t *cmd)
{
    (void)cmd;
    atomic_store(&handle->over, true);
    return json_object();
}

/* End one job whose duration is "until told". */
json_t *
app_finish(struct app_handle *handle, const json_t *cmd)
{
    (void)cmd;
    sem_post(&handle->finish);
    return json_object();
}

bool
app_is_ending(void)
{
    return atomic_load(&ending);
}

void
app_handles_stop(void)
{
    atomic_store(&ending, true);
    for (size_t i = 0; i < handle_count; i++) {
        if (!handles[i].rk)
            continue;
        atomic_store(&handles[i].over, true);
        sem_post(&handles[i].finish);
    }
}

void
app_handles_end(void)
{
    for (size_t i = 0; i < handle_count; i++) {
        if (!handles[i].rk)
            continue;
        if (handles[i].consumer)
            (void)app_consumer_close(&handles[i]);
        json_decref(app_destroy(&handles[i], NULL));
    }
}
