/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WHAT_BYTES 320
#define AGAIN_MS 100

struct search {
    const char *name;
    bool found;
};

static bool
match(void *opaque, const char *name, const char *value)
{
    struct search *search = opaque;
    search->found = strcmp(name, search->name) == 0 && value && *value;
    return !search->found;
}

static bool
is_set(const struct jg_cli *cli, const char *name)
{
    struct search search = {.name = name};
    jg_conf_each_kafka(cli->conf, match, &search);
    return search.found;
}

bool
jg_cli_kafka_is_set(const struct jg_cli_kafka *kafka)
{
    return kafka->servers || is_set(kafka->cli, "bootstrap.servers") || is_set(kafka->cli, "metadata.broker.list");
}

struct setter {
    const struct jg_cli *cli;
    rd_kafka_conf_t *conf;
    bool good;
};

static bool
set_property(void *opaque, const char *name, const char *value)
{
    struct setter *setter = opaque;
    char text[512];
    setter->good = rd_kafka_conf_set(setter->conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK;
    /* librdkafka's reason may quote the value, which may be a password. */
    if (!setter->good)
        jg_cli_complain(setter->cli, "jobgate.kafka.%s: librdkafka has no such property, or does not take this value",
                        name);
    return setter->good;
}

rd_kafka_conf_t *
jg_cli_kafka_conf(const struct jg_cli_kafka *kafka)
{
    if (!jg_cli_kafka_is_set(kafka)) {
        jg_cli_complain(kafka->cli, "no Kafka brokers are named: give --bootstrap-servers host:9092, or "
                                    "jobgate.kafka.bootstrap.servers in the settings");
        return NULL;
    }
    struct setter setter = {.cli = kafka->cli, .conf = rd_kafka_conf_new(), .good = true};
    jg_conf_each_kafka(kafka->cli->conf, set_property, &setter);
    if (setter.good && kafka->servers)
        set_property(&setter, "bootstrap.servers", kafka->servers);
    if (setter.good)
        return setter.conf;
    rd_kafka_conf_destroy(setter.conf);
    return NULL;
}

/* On any thread of librdkafka. */
static void
keep_trouble(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    struct jg_cli_kafka *kafka = rd_kafka_opaque(rk);
    (void)fac;
    if (level > JG_LOG_WARNING || !kafka)
        return;
    pthread_mutex_lock(&kafka->lock);
    snprintf(kafka->trouble, sizeof kafka->trouble, "%s", text);
    pthread_mutex_unlock(&kafka->lock);
}

/* On the thread that polls; in place of a line of log. */
static void
keep_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct jg_cli_kafka *kafka = opaque;
    keep_trouble(rk, JG_LOG_ERROR, "ERROR", reason);
    kafka->down |= err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

bool
jg_cli_kafka_open(struct jg_cli_kafka *kafka, const char *group)
{
    const char *const own[][2] = {{"group.id", group},
                                  {"isolation.level", "read_committed"},
                                  {"enable.auto.commit", "false"},
                                  {"enable.auto.offset.store", "false"},
                                  {"auto.offset.reset", "earliest"},
                                  {"enable.partition.eof", "true"},
                                  {"allow.auto.create.topics", "false"}};
    char text[512] = "";
    struct setter setter = {.cli = kafka->cli, .conf = jg_cli_kafka_conf(kafka), .good = true};
    if (!setter.conf)
        return false;
    for (size_t i = 0; setter.good && i < sizeof own / sizeof *own; i++)
        set_property(&setter, own[i][0], own[i][1]);
    rd_kafka_conf_set_opaque(setter.conf, kafka);
    rd_kafka_conf_set_log_cb(setter.conf, keep_trouble);
    rd_kafka_conf_set_error_cb(setter.conf, keep_error);
    if (setter.good)
        kafka->rk = rd_kafka_new(RD_KAFKA_CONSUMER, setter.conf, text, sizeof text);
    if (!kafka->rk)
        rd_kafka_conf_destroy(setter.conf);
    if (setter.good && !kafka->rk)
        jg_cli_complain(kafka->cli, "no Kafka client: %s", text);
    if (kafka->rk)
        rd_kafka_poll_set_consumer(kafka->rk);
    return kafka->rk != NULL;
}

void
jg_cli_kafka_close(struct jg_cli_kafka *kafka)
{
    if (kafka->rk)
        rd_kafka_destroy_flags(kafka->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    kafka->rk = NULL;
}

enum jg_exit
jg_cli_kafka_failed(struct jg_cli_kafka *kafka, const char *what, rd_kafka_resp_err_t err)
{
    char trouble[sizeof kafka->trouble];
    pthread_mutex_lock(&kafka->lock);
    snprintf(trouble, sizeof trouble, "%s", kafka->trouble);
    pthread_mutex_unlock(&kafka->lock);
    jg_cli_complain(kafka->cli,
                    "Kafka does not tell %s: %s%s%s%s (--bootstrap-servers, jobgate.kafka.*; this client may need ACLs "
                    "to Describe and Read)",
                    what, rd_kafka_err2str(err), trouble[0] ? " (" : "", trouble, trouble[0] ? ")" : "");
    return JG_EXIT_KAFKA;
}

const struct rd_kafka_metadata *
jg_cli_kafka_topics(struct jg_cli_kafka *kafka)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(kafka->rk, 1, NULL, &metadata, JG_CLI_KAFKA_MS);
    if (!err)
        return metadata;
    (void)jg_cli_kafka_failed(kafka, "its topics", err);
    return NULL;
}

const struct rd_kafka_metadata_topic *
jg_cli_kafka_find(const struct rd_kafka_metadata *metadata, const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (!metadata->topics[i].err && strcmp(metadata->topics[i].topic, name) == 0)
            return &metadata->topics[i];
    return NULL;
}

bool
jg_cli_kafka_whole(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic, struct jg_cli_rest *rests)
{
    for (int i = 0; i < topic->partition_cnt; i++) {
        int32_t partition = topic->partitions[i].id;
        int64_t low = 0, high = 0;
        rd_kafka_resp_err_t err =
            rd_kafka_query_watermark_offsets(kafka->rk, topic->topic, partition, &low, &high, JG_CLI_KAFKA_MS);
        if (err) {
            char what[WHAT_BYTES];
            snprintf(what, sizeof what, "where topic %s begins and ends", topic->topic);
            (void)jg_cli_kafka_failed(kafka, what, err);
            return false;
        }
        rests[i] = (struct jg_cli_rest){.topic = topic->topic, .partition = partition, .begin = low, .end = high};
    }
    return true;
}

/* Into the list. A broker that is new, or was just restarted, does not know the group's offsets yet. */
static rd_kafka_resp_err_t
read_committed(const struct jg_cli_kafka *kafka, rd_kafka_topic_partition_list_t *list)
{
    int64_t until_ms = jg_clock_ms() + JG_CLI_KAFKA_MS;
    for (;;) {
        rd_kafka_resp_err_t err = rd_kafka_committed(kafka->rk, list, JG_CLI_KAFKA_MS);
        for (int i = 0; !err && i < list->cnt; i++)
            err = list->elems[i].err;
        bool early = err == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
                     err == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE || err == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
        if (!early || jg_clock_ms() >= until_ms)
            return err;
        jg_clock_pause_ms(AGAIN_MS);
    }
}

void
jg_cli_rests_destroy(struct jg_cli_rest *rests, size_t count)
{
    for (size_t i = 0; rests && i < count; i++)
        jg_passed_clear(&rests[i].passed);
    free(rests);
}

/* From where the resumer is, without what it took ahead. Metadata of others says nothing. */
static void
begin_at(struct jg_cli_rest *rest, const rd_kafka_topic_partition_t *committed)
{
    (void)!jg_passed_parse(committed->metadata, committed->metadata_size, rest->topic, rest->partition,
                           committed->offset, &rest->passed);
    if (committed->offset > rest->begin)
        rest->begin = committed->offset < rest->end ? committed->offset : rest->end;
    jg_passed_trim(&rest->passed, &rest->begin);
    if (rest->begin > rest->end)
        rest->begin = rest->end; /* of another topic, which had this name */
}

bool
jg_cli_kafka_rests(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic, struct jg_cli_rest *rests)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(topic->partition_cnt);
    for (int i = 0; i < topic->partition_cnt; i++)
        rd_kafka_topic_partition_list_add(list, topic->topic, topic->partitions[i].id);
    rd_kafka_resp_err_t err = read_committed(kafka, list);
    if (err)
        (void)jg_cli_kafka_failed(kafka, "how far the resumer came", err);
    bool good = !err && jg_cli_kafka_whole(kafka, topic, rests);
    for (int i = 0; good && i < topic->partition_cnt; i++) {
        const rd_kafka_topic_partition_t *found =
            rd_kafka_topic_partition_list_find(list, topic->topic, rests[i].partition);
        if (found && found->offset >= 0)
            begin_at(&rests[i], found);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return good;
}

static int64_t
count_rest(const struct jg_cli_rest *rest)
{
    int64_t count = rest->end - rest->begin - rest->passed.total;
    return count > 0 ? count : 0;
}

int64_t
jg_cli_kafka_lag(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic)
{
    struct jg_cli_rest *rests = calloc((size_t)topic->partition_cnt + 1, sizeof *rests);
    int64_t lag = 0;
    if (!rests)
        return -1;
    if (!jg_cli_kafka_rests(kafka, topic, rests))
        lag = -1;
    for (int i = 0; lag >= 0 && i < topic->partition_cnt; i++)
        lag += count_rest(&rests[i]);
    jg_cli_rests_destroy(rests, (size_t)topic->partition_cnt);
    return lag;
}
