/* SPDX-License-Identifier: Apache-2.0 */
/* The topics beside a governed one: found, and made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/own.h"

#define DEFAULT_MAX_BYTES 1048588
#define HEADERS_BYTES 65536 /* room for ours, and for theirs once more */
#define LOOK_EVERY_MS 20

enum jg_err
jg_own_topics(const struct jg_own *own, rd_kafka_t *rk,
              void (*each)(void *opaque, const char *name, const struct jg_own_topic *topic), void *opaque,
              struct jg_error *error)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = own->rdk->metadata(rk, 1, NULL, &metadata, jg_own_wait_ms(own, JG_OWN_CALL_MS));
    if (err) {
        snprintf(error->text, sizeof error->text, "Kafka does not tell its topics: %s", own->rdk->err2str(err));
        return JG_EHOST;
    }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *found = &metadata->topics[i];
        struct jg_own_topic topic = {.partitions = found->partition_cnt};
        if (found->partition_cnt > 0)
            topic.replicas = found->partitions[0].replica_cnt;
        if (!found->err)
            each(opaque, found->topic, &topic);
    }
    own->rdk->metadata_destroy(metadata);
    return JG_OK;
}

struct search {
    const char *name;
    struct jg_own_topic *out;
};

static void
match(void *opaque, const char *name, const struct jg_own_topic *topic)
{
    struct search *search = opaque;
    if (strcmp(name, search->name) == 0)
        *search->out = *topic;
}

enum jg_err
jg_own_topic(const struct jg_own *own, rd_kafka_t *rk, const char *name, struct jg_own_topic *out,
             struct jg_error *error)
{
    struct search search = {.name = name, .out = out};
    *out = (struct jg_own_topic){.partitions = 0};
    return jg_own_topics(own, rk, match, &search, error);
}

static int64_t
read_max_bytes(const struct jg_rdk *rdk, rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_DescribeConfigs_result_t *result = rdk->event_DescribeConfigs_result(event);
    if (!result || rdk->event_error(event))
        return 0;
    const rd_kafka_ConfigResource_t **resources = rdk->DescribeConfigs_result_resources(result, &count);
    const char *value = count ? jg_rdk_config_value(rdk, resources[0], "max.message.bytes") : NULL;
    return value ? strtoll(value, NULL, 10) : 0;
}

/* The largest message that the topic takes; the broker's default where it does not tell. */
static int64_t
max_message_bytes(const struct jg_own *own, rd_kafka_t *rk, const char *topic)
{
    const struct jg_rdk *rdk = own->rdk;
    int64_t max_bytes = 0;
    rd_kafka_queue_t *queue = rdk->queue_new(rk);
    rd_kafka_ConfigResource_t *resource = rdk->ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    if (queue && resource) {
        rdk->DescribeConfigs(rk, &resource, 1, NULL, queue);
        rd_kafka_event_t *event = jg_own_answer(own, queue, JG_OWN_CALL_MS);
        if (event) {
            max_bytes = read_max_bytes(rdk, event);
            rdk->event_destroy(event);
        }
    }
    if (resource)
        rdk->ConfigResource_destroy(resource);
    if (queue)
        rdk->queue_destroy(queue);
    return max_bytes > 0 ? max_bytes : DEFAULT_MAX_BYTES;
}

static enum jg_err
configure(const struct jg_rdk *rdk, rd_kafka_NewTopic_t *topic, int64_t max_bytes)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)max_bytes);
    if (rdk->NewTopic_set_config(topic, "retention.ms", "-1") ||
        rdk->NewTopic_set_config(topic, "retention.bytes", "-1") ||
        rdk->NewTopic_set_config(topic, "cleanup.policy", "delete") ||
        rdk->NewTopic_set_config(topic, "max.message.bytes", number))
        return JG_ENOMEM;
    return JG_OK;
}

static enum jg_err
read_created(const struct jg_rdk *rdk, rd_kafka_event_t *event, const char *name, struct jg_error *error)
{
    size_t count = 0;
    const rd_kafka_CreateTopics_result_t *result = event ? rdk->event_CreateTopics_result(event) : NULL;
    const rd_kafka_topic_result_t **topics = result ? rdk->CreateTopics_result_topics(result, &count) : NULL;
    rd_kafka_resp_err_t err = !event ? RD_KAFKA_RESP_ERR__TIMED_OUT : rdk->event_error(event);
    const char *why = event && err ? rdk->event_error_string(event) : rdk->err2str(err);
    if (!err && count) {
        err = rdk->topic_result_error(topics[0]);
        why = rdk->topic_result_error_string(topics[0]);
    }
    if (!err || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return JG_OK;
    snprintf(error->text, sizeof error->text,
             "topic %.249s cannot be created (%.120s): allow this client Create on it, or create it with "
             "retention.ms=-1, retention.bytes=-1, cleanup.policy=delete",
             name, why ? why : "no reason given");
    return JG_EHOST;
}

static enum jg_err
create(const struct jg_own *own, rd_kafka_t *rk, const char *name, const struct jg_own_topic *like, int64_t max_bytes,
       struct jg_error *error)
{
    const struct jg_rdk *rdk = own->rdk;
    rd_kafka_NewTopic_t *topic =
        rdk->NewTopic_new(name, like->partitions, like->replicas, error->text, sizeof error->text);
    if (!topic)
        return JG_EHOST;
    enum jg_err err = configure(rdk, topic, max_bytes);
    rd_kafka_queue_t *queue = rdk->queue_new(rk);
    if (!err) {
        rdk->CreateTopics(rk, &topic, 1, NULL, queue);
        rd_kafka_event_t *event = jg_own_answer(own, queue, JG_OWN_ADMIN_MS);
        err = read_created(rdk, event, name, error);
        if (event)
            rdk->event_destroy(event);
    }
    rdk->queue_destroy(queue);
    rdk->NewTopic_destroy(topic);
    return err;
}

enum jg_err
jg_own_ensure(const struct jg_own *own, rd_kafka_t *rk, const char *name, const char *origin, size_t job_bytes,
              struct jg_own_topic *out, struct jg_error *error)
{
    struct jg_own_topic like;
    int64_t deadline_ms = jg_clock_ms() + JG_OWN_ADMIN_MS;
    enum jg_err err = jg_own_topic(own, rk, name, out, error);
    if (err || out->partitions)
        return err;
    err = jg_own_topic(own, rk, origin, &like, error);
    if (!err && !like.partitions) {
        snprintf(error->text, sizeof error->text, "topic %.249s is gone", origin);
        return JG_ENOENT;
    }
    if (!err) {
        int64_t max_bytes = max_message_bytes(own, rk, origin);
        if ((int64_t)job_bytes > max_bytes)
            max_bytes = (int64_t)job_bytes;
        err = create(own, rk, name, &like, max_bytes + HEADERS_BYTES, error);
    }
    /* It exists for every broker a moment later. */
    while (!err && !out->partitions && jg_clock_ms() < deadline_ms) {
        err = jg_own_topic(own, rk, name, out, error);
        if (!out->partitions)
            jg_clock_pause_ms(LOOK_EVERY_MS);
    }
    if (!err && !out->partitions) {
        snprintf(error->text, sizeof error->text, "topic %.249s was created and is not there yet", name);
        return JG_EHOST;
    }
    return err;
}
