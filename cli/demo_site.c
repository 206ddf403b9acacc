/* SPDX-License-Identifier: Apache-2.0 */
/* Where the demo happens: librdkafka's mock cluster and a store in memory, or the user's Kafka and Redis. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/demo.h"
#include "plugin/conf_table.h"

#define ADMIN_TIMEOUT_MS 15000

/* Beside this very program, as the build leaves it; else where librdkafka looks for plugins. */
static void
find_plugin(struct jg_demo *demo)
{
    static const char name[] = "/jobgate.so";
    ssize_t bytes = readlink("/proc/self/exe", demo->plugin, sizeof demo->plugin - sizeof name);
    char *slash = bytes > 0 ? memrchr(demo->plugin, '/', (size_t)bytes) : NULL;
    if (slash)
        memcpy(slash, name, sizeof name);
    if (!slash || access(demo->plugin, R_OK) != 0)
        snprintf(demo->plugin, sizeof demo->plugin, "jobgate");
}

/* Names of this run alone, so that it meets nothing of other people's, nor of a run that was broken off. */
static void
choose_names(struct jg_demo *demo)
{
    unsigned char bytes[4] = {0};
    if (!demo->bootstrap_servers) {
        snprintf(demo->topic, sizeof demo->topic, "jobs");
        snprintf(demo->name_space, sizeof demo->name_space, "default");
        return;
    }
    (void)!getrandom(bytes, sizeof bytes, 0); /* without it, two demos at once would meet: no more */
    snprintf(demo->topic, sizeof demo->topic, "jobgate-demo-%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
    snprintf(demo->name_space, sizeof demo->name_space, "%s", demo->topic);
}

static void
add_property(struct jg_demo *demo, const char *name, const char *value)
{
    demo->properties[demo->property_count].name = name;
    demo->properties[demo->property_count++].value = value;
}

static void
gather_properties(struct jg_demo *demo)
{
    add_property(demo, "plugin.library.paths", demo->plugin);
    add_property(demo, "bootstrap.servers", demo->bootstrap_servers);
    add_property(demo, "jobgate.topics", demo->topic);
    add_property(demo, "jobgate.store", demo->redis ? demo->redis : "memory:demo");
    add_property(demo, "jobgate.default.dedup", "until_executing");
    add_property(demo, "jobgate.class.ReportWorker.dedup", "until_executed");
    add_property(demo, "jobgate.class.ChargeWorker.dedup.action", "reject");
    if (demo->redis) {
        add_property(demo, "jobgate.namespace", demo->name_space);
        add_property(demo, "jobgate.store.timeout.ms", "5000"); /* a busy machine must not change the story */
    }
    /* What happens is told here. And the mock cluster cannot tell a topic's cleanup.policy, which is worth a warning.
     */
    add_property(demo, "jobgate.log.level", demo->redis ? "warning" : "error");
}

static bool
start_plain(struct jg_demo *demo)
{
    char text[512] = "out of memory";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *name = demo->bootstrap_servers ? "bootstrap.servers" : "test.mock.num.brokers";
    const char *value = demo->bootstrap_servers ? demo->bootstrap_servers : "1";
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK &&
        rd_kafka_conf_set(conf, "log_level", "4", text, sizeof text) == RD_KAFKA_CONF_OK)
        demo->plain = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!demo->plain) {
        rd_kafka_conf_destroy(conf);
        jg_cli_complain(demo->cli, "no Kafka client: %s", text);
    }
    return demo->plain != NULL;
}

static bool
start_mock(struct jg_demo *demo)
{
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(demo->plain);
    rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(cluster, demo->topic, 1, 1);
    if (err)
        jg_cli_complain(demo->cli, "no topic in the mock cluster: %s", rd_kafka_err2str(err));
    demo->bootstrap_servers = rd_kafka_mock_cluster_bootstraps(cluster);
    return !err;
}

/* The error of the request's one topic. */
static rd_kafka_resp_err_t
topic_error(rd_kafka_event_t *event, char *text, size_t text_bytes)
{
    size_t count = 0;
    const rd_kafka_topic_result_t **topics = NULL;
    if (event && !rd_kafka_event_error(event) && rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
        topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    rd_kafka_resp_err_t err = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    const char *reason = event ? rd_kafka_event_error_string(event) : rd_kafka_err2str(err);
    if (topics && count == 1) {
        err = rd_kafka_topic_result_error(topics[0]);
        reason = rd_kafka_topic_result_error_string(topics[0]);
    }
    snprintf(text, text_bytes, "%s", reason ? reason : rd_kafka_err2str(err));
    return err;
}

static rd_kafka_AdminOptions_t *
admin_options(const struct jg_demo *demo, rd_kafka_admin_op_t op)
{
    char text[128];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(demo->plain, op);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_TIMEOUT_MS, text, sizeof text);
    return options;
}

static bool
make_topic(struct jg_demo *demo)
{
    char text[512] = "out of memory";
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(demo->topic, 1, -1, text, sizeof text);
    if (!topic) {
        jg_cli_complain(demo->cli, "topic %s: %s", demo->topic, text);
        return false;
    }
    (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "delete");
    rd_kafka_AdminOptions_t *options = admin_options(demo, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(demo->plain);
    rd_kafka_CreateTopics(demo->plain, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS + 1000);
    rd_kafka_resp_err_t err = topic_error(event, text, sizeof text);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    demo->topic_made = !err;
    if (err)
        jg_cli_complain(demo->cli, "topic %s cannot be made on %s: %s", demo->topic, demo->bootstrap_servers, text);
    return !err;
}

static void
delete_topic(const struct jg_demo *demo)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(demo->topic);
    rd_kafka_AdminOptions_t *options = admin_options(demo, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(demo->plain);
    rd_kafka_DeleteTopics(demo->plain, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS + 1000);
    if (!event || rd_kafka_event_error(event))
        jg_cli_complain(demo->cli, "topic %s may still be there: %s", demo->topic,
                        event ? rd_kafka_event_error_string(event) : "no answer");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteTopic_destroy(topic);
}

static void
ignore_class(void *opaque, const char *class_name)
{
    (void)opaque;
    (void)class_name;
}

/* The store as `jobgate status` and `jobgate explain` see it. */
static bool
open_store(struct jg_demo *demo, enum jg_exit *exit)
{
    struct jg_error error = {.text = ""};
    *exit = JG_EXIT_USAGE;
    for (size_t i = 0; i < demo->property_count; i++) {
        const char *name = demo->properties[i].name;
        if (strncmp(name, JG_CONF_PREFIX, strlen(JG_CONF_PREFIX)) != 0)
            continue;
        if (jg_conf_set(demo->cli->conf, name, demo->properties[i].value, &error) != JG_OK) {
            jg_cli_complain(demo->cli, "%s", error.text);
            return false;
        }
    }
    if (!jg_cli_finish(demo->cli, true) || !(demo->store = jg_cli_open_store(demo->cli, exit)))
        return false;
    enum jg_err err = jg_store_classes(demo->store, ignore_class, NULL);
    if (err != JG_OK)
        *exit = jg_cli_store_failed(demo->cli, err);
    return err == JG_OK;
}

bool
jg_demo_open(struct jg_demo *demo, enum jg_exit *exit)
{
    bool mock = !demo->bootstrap_servers;
    find_plugin(demo);
    choose_names(demo);
    *exit = JG_EXIT_NEGATIVE;
    if (!start_plain(demo) || (mock && !start_mock(demo)))
        return false;
    gather_properties(demo);
    if (demo->redis && !open_store(demo, exit))
        return false;
    *exit = JG_EXIT_NEGATIVE;
    return mock || make_topic(demo);
}

/* Bounded: a consumer closes at once when its broker is there, and the others have nothing left to send. */
void
jg_demo_close(struct jg_demo *demo)
{
    if (demo->consumer) {
        (void)rd_kafka_consumer_close(demo->consumer);
        rd_kafka_destroy(demo->consumer);
    }
    if (demo->producer)
        rd_kafka_destroy(demo->producer);
    if (demo->topic_made)
        delete_topic(demo);
    if (demo->plain)
        rd_kafka_destroy(demo->plain);
    if (demo->store)
        jg_store_close(demo->store);
}
