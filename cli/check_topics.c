/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate check: the governed topics and those beside them, as Kafka has them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "connectors/kafka/holding.h"

#define VALUE_BYTES 64

/* What the broker says of a topic's configuration; empty: it does not tell. */
struct topic_config {
    char cleanup_policy[VALUE_BYTES];
    char retention_ms[VALUE_BYTES];
    char retention_bytes[VALUE_BYTES];
    char max_message_bytes[VALUE_BYTES];
    char trouble[256]; /* why it does not tell */
};

/* One that matters: governed, beside a governed one, or of events. */
struct topic {
    const struct rd_kafka_metadata_topic *found;
    char origin[JG_TOPIC_MAX_BYTES + 1]; /* of a holding topic; empty: it is governed itself */
    bool events;                         /* the one of events.topic */
    struct topic_config config;
};

struct topics {
    struct topic *list; /* owned */
    size_t count;
};

/* --- which --- */

static bool
is_beside(const struct jg_conf *conf, const char *name, char *origin, size_t origin_bytes, bool *dead)
{
    bool holding = jg_holding_parse(name, origin, origin_bytes) && jg_conf_topic(conf, origin);
    *dead = !holding && jg_dead_parse(name, origin, origin_bytes) && jg_conf_topic(conf, origin);
    return holding || *dead;
}

static bool
choose(const struct jg_conf *conf, const struct rd_kafka_metadata *metadata, struct topics *out)
{
    const char *events_topic = jg_conf_settings(conf)->events_topic;
    out->list = calloc((size_t)metadata->topic_cnt + 1, sizeof *out->list);
    for (int i = 0; out->list && i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *found = &metadata->topics[i];
        struct topic *topic = &out->list[out->count];
        bool dead = false;
        bool beside = is_beside(conf, found->topic, topic->origin, sizeof topic->origin, &dead);
        if (!beside)
            topic->origin[0] = '\0';
        topic->events = events_topic && strcmp(found->topic, events_topic) == 0;
        if (found->err || dead || (!beside && !topic->events && !jg_conf_topic(conf, found->topic)))
            continue;
        topic->found = found;
        out->count++;
    }
    return out->list != NULL;
}

static const struct topic *
find_origin(const struct topics *topics, const char *name)
{
    for (size_t i = 0; i < topics->count; i++)
        if (!topics->list[i].origin[0] && strcmp(topics->list[i].found->topic, name) == 0)
            return &topics->list[i];
    return NULL;
}

/* --- how they are configured --- */

static void
keep_entry(struct topic_config *config, const rd_kafka_ConfigEntry_t *entry)
{
    const char *name = rd_kafka_ConfigEntry_name(entry);
    const char *value = rd_kafka_ConfigEntry_value(entry);
    char *to = NULL;
    if (strcmp(name, "cleanup.policy") == 0)
        to = config->cleanup_policy;
    else if (strcmp(name, "retention.ms") == 0)
        to = config->retention_ms;
    else if (strcmp(name, "retention.bytes") == 0)
        to = config->retention_bytes;
    else if (strcmp(name, "max.message.bytes") == 0)
        to = config->max_message_bytes;
    if (to && value)
        snprintf(to, VALUE_BYTES, "%s", value);
}

static void
keep_resource(struct topics *topics, const rd_kafka_ConfigResource_t *resource)
{
    size_t count = 0;
    const char *name = rd_kafka_ConfigResource_name(resource);
    const char *why = rd_kafka_ConfigResource_error_string(resource);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < topics->count; i++) {
        struct topic *topic = &topics->list[i];
        if (strcmp(topic->found->topic, name) != 0)
            continue;
        if (rd_kafka_ConfigResource_error(resource))
            snprintf(topic->config.trouble, sizeof topic->config.trouble, "%s", why ? why : "no reason given");
        for (size_t j = 0; j < count; j++)
            keep_entry(&topic->config, entries[j]);
    }
}

static rd_kafka_resp_err_t
keep_reply(struct topics *topics, rd_kafka_event_t *reply)
{
    size_t count = 0;
    const rd_kafka_DescribeConfigs_result_t *result = reply ? rd_kafka_event_DescribeConfigs_result(reply) : NULL;
    if (!result)
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (rd_kafka_event_error(reply))
        return rd_kafka_event_error(reply);
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
    for (size_t i = 0; i < count; i++)
        keep_resource(topics, resources[i]);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
describe(struct jg_check *check, struct topics *topics)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__FAIL;
    rd_kafka_ConfigResource_t **resources = calloc(topics->count + 1, sizeof *resources);
    size_t count = 0;
    if (!resources)
        return err;
    for (; count < topics->count; count++)
        resources[count] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics->list[count].found->topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(check->kafka.rk);
    rd_kafka_DescribeConfigs(check->kafka.rk, resources, count, NULL, queue);
    rd_kafka_event_t *reply = rd_kafka_queue_poll(queue, JG_CLI_KAFKA_MS);
    err = keep_reply(topics, reply);
    if (reply)
        rd_kafka_event_destroy(reply);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy_array(resources, count);
    free(resources);
    return err;
}

/* --- what is wrong with them --- */

static void
check_governed(struct jg_check *check, const struct topic *topic)
{
    const char *name = topic->found->topic;
    if (strstr(topic->config.cleanup_policy, "compact"))
        jg_check_find(check, JG_FINDING_ERROR,
                      "topic %s is compacted (cleanup.policy=%s), so a duplicate could replace its original: set "
                      "cleanup.policy=delete on it, or take it out of jobgate.topics",
                      name, topic->config.cleanup_policy);
    else if (topic->config.cleanup_policy[0])
        jg_check_find(check, JG_FINDING_OK, "topic %s is governed, %d partitions, cleanup.policy=%s", name,
                      topic->found->partition_cnt, topic->config.cleanup_policy);
}

/* Each has its cure: kafka-configs --alter --topic NAME --add-config SETTING. */
static bool
check_value(struct jg_check *check, const struct topic *topic, const char *setting, const char *value,
            const char *wanted, const char *danger)
{
    if (!value[0] || strcmp(value, wanted) == 0)
        return true;
    jg_check_find(check, JG_FINDING_ERROR, "holding topic %s has %s=%s, so %s: set %s=%s on it", topic->found->topic,
                  setting, value, danger, setting, wanted);
    return false;
}

static int
replicas(const struct rd_kafka_metadata_topic *topic)
{
    return topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;
}

static bool
check_against_origin(struct jg_check *check, const struct topic *topic, const struct topic *origin)
{
    const struct rd_kafka_metadata_topic *found = topic->found;
    bool good = true;
    if (found->partition_cnt != origin->found->partition_cnt) {
        good = false;
        jg_check_find(check, JG_FINDING_ERROR,
                      "holding topic %s has %d partitions, %s has %d: a job keeps its order only in a partition of its "
                      "own number. Give both as many (kafka-topics --alter --partitions)",
                      found->topic, found->partition_cnt, topic->origin, origin->found->partition_cnt);
    }
    long long room = strtoll(topic->config.max_message_bytes, NULL, 10);
    long long needed = strtoll(origin->config.max_message_bytes, NULL, 10);
    if (topic->config.max_message_bytes[0] && origin->config.max_message_bytes[0] && room < needed) {
        good = false;
        jg_check_find(
            check, JG_FINDING_ERROR,
            "holding topic %s has max.message.bytes=%lld, %s has %lld: its largest jobs cannot be held, and go "
            "to %s.dead. Set max.message.bytes=%lld on it, which leaves room for headers",
            found->topic, room, topic->origin, needed, topic->origin, needed + 65536);
    }
    if (replicas(found) < replicas(origin->found))
        jg_check_find(check, JG_FINDING_WARNING,
                      "holding topic %s has %d replicas, %s has %d: what is held is less safe than what is queued",
                      found->topic, replicas(found), topic->origin, replicas(origin->found));
    return good;
}

static void
check_holding(struct jg_check *check, const struct topic *topic, const struct topic *origin)
{
    const struct topic_config *config = &topic->config;
    bool good = !config->trouble[0];
    good &= check_value(check, topic, "retention.ms", config->retention_ms, "-1", "held jobs are deleted by their age");
    good &= check_value(check, topic, "retention.bytes", config->retention_bytes, "-1",
                        "held jobs are deleted when there are many");
    good &= check_value(check, topic, "cleanup.policy", config->cleanup_policy, "delete",
                        "a held job may replace another one of the same Kafka key");
    if (origin)
        good &= check_against_origin(check, topic, origin);
    else
        jg_check_find(check, JG_FINDING_WARNING, "holding topic %s: topic %s is gone, what is held cannot come back",
                      topic->found->topic, topic->origin);
    if (good && origin)
        jg_check_find(check, JG_FINDING_OK, "holding topic %s keeps what it is given", topic->found->topic);
}

static void
check_long_name(struct jg_check *check, const struct topic *topic)
{
    size_t left = JG_TOPIC_MAX_BYTES - strlen(".held.");
    if (strlen(topic->found->topic) + 1 > left)
        jg_check_find(check, JG_FINDING_ERROR,
                      "topic %s: no holding topic's name fits into Kafka's %d bytes: its classes may have no limit",
                      topic->found->topic, JG_TOPIC_MAX_BYTES);
}

static void
check_all(struct jg_check *check, const struct topics *topics)
{
    enum jg_err err = JG_OK;
    const struct topic *events = NULL;
    for (size_t i = 0; i < topics->count; i++) {
        const struct topic *topic = &topics->list[i];
        if (topic->config.trouble[0])
            jg_check_find(check, JG_FINDING_WARNING,
                          "the broker does not tell how topic %s is configured (%s): allow this client "
                          "DescribeConfigs on it",
                          topic->found->topic, topic->config.trouble);
        if (topic->events) {
            events = topic;
            continue;
        }
        if (topic->origin[0]) {
            check_holding(check, topic, find_origin(topics, topic->origin));
            continue;
        }
        check_governed(check, topic);
        check_long_name(check, topic);
        if (err == JG_OK && check->store)
            err = jg_check_group(check, topic->found->topic);
    }
    if (topics->count == (events != NULL) && !jg_conf_is_idle(check->kafka.cli->conf))
        jg_check_find(
            check, JG_FINDING_WARNING,
            "no topic that jobgate.topics names is there: it is still to be made, or misspelt, or this client "
            "may not Describe it");
    jg_check_find(check, JG_FINDING_NOTICE,
                  "whether consumers may make holding topics cannot be asked: a class with a limit needs Create and "
                  "Write on <topic>.held.<class> and <topic>.dead, its resumer Write on the topic itself and on "
                  "TransactionalId jobgate.<namespace>.<group>, or these topics made beforehand: retention.ms=-1, "
                  "retention.bytes=-1, "
                  "cleanup.policy=delete, as many partitions as the topic");
    if (jg_conf_settings(check->kafka.cli->conf)->events_topic)
        jg_check_events(check, events != NULL, events ? events->config.cleanup_policy : "");
}

enum jg_exit
jg_check_topics(struct jg_check *check)
{
    struct topics topics = {.list = NULL};
    enum jg_exit result = JG_EXIT_KAFKA;
    if (!jg_cli_kafka_is_set(&check->kafka)) {
        jg_check_find(check, JG_FINDING_NOTICE,
                      "topics were not looked at: name Kafka's brokers with --bootstrap-servers, or "
                      "jobgate.kafka.bootstrap.servers");
        return JG_EXIT_OK;
    }
    if (!jg_cli_kafka_open(&check->kafka, "jobgate-check"))
        return JG_EXIT_USAGE;
    const struct rd_kafka_metadata *metadata = jg_cli_kafka_topics(&check->kafka);
    if (!metadata)
        return JG_EXIT_KAFKA;
    if (choose(check->kafka.cli->conf, metadata, &topics)) {
        rd_kafka_resp_err_t err = topics.count ? describe(check, &topics) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (err)
            (void)jg_cli_kafka_failed(&check->kafka, "how topics are configured", err);
        check_all(check, &topics);
        result = err ? JG_EXIT_KAFKA : JG_EXIT_OK;
    }
    free(topics.list);
    rd_kafka_metadata_destroy(metadata);
    return result;
}
