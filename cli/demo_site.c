/* SPDX-License-Identifier: Apache-2.0 */
/* Where the demo happens: librdkafka's mock cluster and a store in memory, or the user's Kafka and Redis. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/demo.h"
#include "connectors/kafka/holding.h"
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
    static const char *const held_classes[JG_DEMO_HOLDING] = {JG_DEMO_LIMITED, JG_DEMO_ENQUEUER, JG_DEMO_STRICT,
                                                              JG_DEMO_TENANTS, JG_DEMO_AHEAD,    JG_DEMO_SLOTS,
                                                              JG_DEMO_FOLLOWED};
    static const char *const gauges[JG_DEMO_GAUGES] = {
        [JG_DEMO_MIGRATIONS] = "migrations",
        [JG_DEMO_ACCOUNTS] = "accounts",
    };
    unsigned char bytes[4] = {0};
    char name[sizeof demo->topics[0] - 4] = "jobs";
    struct jg_buf holding = JG_BUF_INIT;
    if (demo->bootstrap_servers) {
        (void)!getrandom(bytes, sizeof bytes, 0); /* without it, two demos at once would meet: no more */
        snprintf(name, sizeof name, "jobgate-demo-%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
    }
    snprintf(demo->name_space, sizeof demo->name_space, "%s", demo->bootstrap_servers ? name : "default");
    snprintf(demo->topics[0], sizeof demo->topics[0], "%s", name);
    snprintf(demo->topics[1], sizeof demo->topics[1], "%s-2", name);
    snprintf(demo->topic_list, sizeof demo->topic_list, "%s,%s", demo->topics[0], demo->topics[1]);
    snprintf(demo->events_topic, sizeof demo->events_topic, "%s.events", name);
    for (size_t i = 0; i < JG_DEMO_HOLDING; i++) {
        jg_holding_topic(&holding, demo->topics[0], held_classes[i]);
        snprintf(demo->holding_topics[i], sizeof demo->holding_topics[i], "%s", holding.failed ? "" : holding.data);
        jg_buf_reset(&holding);
    }
    jg_buf_clear(&holding);
    for (size_t i = 0; i < JG_DEMO_GAUGES; i++)
        snprintf(demo->gauges[i].setting, sizeof demo->gauges[i].setting, "redis:%s:%s", name, gauges[i]);
}

static void
add_property(struct jg_demo *demo, const char *name, const char *value)
{
    demo->properties[demo->property_count].name = name;
    demo->properties[demo->property_count++].value = value;
}

/* Both alike, but for dedup. */
static void
add_enqueuers(struct jg_demo *demo)
{
    const char *load = demo->gauges[JG_DEMO_MIGRATIONS].setting;
    const char *work = demo->gauges[JG_DEMO_ACCOUNTS].setting;
    add_property(demo, "jobgate.class." JG_DEMO_ENQUEUER ".lease", "class");
    add_property(demo, "jobgate.class." JG_DEMO_ENQUEUER ".capacity", "3");
    add_property(demo, "jobgate.class." JG_DEMO_ENQUEUER ".capacity.load", load);
    add_property(demo, "jobgate.class." JG_DEMO_ENQUEUER ".capacity.work", work);
    add_property(demo, "jobgate.class." JG_DEMO_STRICT ".dedup", "until_executed");
    add_property(demo, "jobgate.class." JG_DEMO_STRICT ".lease", "class");
    add_property(demo, "jobgate.class." JG_DEMO_STRICT ".capacity", "3");
    add_property(demo, "jobgate.class." JG_DEMO_STRICT ".capacity.load", load);
    add_property(demo, "jobgate.class." JG_DEMO_STRICT ".capacity.work", work);
}

static void
add_waiting(struct jg_demo *demo)
{
    add_property(demo, "jobgate.class." JG_DEMO_TENANTS ".limit.key", "field:args.0");
    add_property(demo, "jobgate.class." JG_DEMO_TENANTS ".limit.per.key", "1");
    add_property(demo, "jobgate.class." JG_DEMO_AHEAD ".limit", "1");
    add_property(demo, "jobgate.class." JG_DEMO_AHEAD ".resume.ahead", "1");
    add_property(demo, "jobgate.class." JG_DEMO_FOLLOWED ".dedup", "until_executed");
    add_property(demo, "jobgate.class." JG_DEMO_FOLLOWED ".dedup.follow.up", "true");
    add_property(demo, "jobgate.class." JG_DEMO_SLOTS ".capacity", "2");
    add_property(demo, "jobgate.class." JG_DEMO_SLOTS ".capacity.load", "slots");
    add_property(demo, "jobgate.class." JG_DEMO_SLOTS ".capacity.work", demo->gauges[JG_DEMO_ACCOUNTS].setting);
}

static void
gather_properties(struct jg_demo *demo)
{
    add_property(demo, "plugin.library.paths", demo->plugin);
    add_property(demo, "bootstrap.servers", demo->bootstrap_servers);
    add_property(demo, "jobgate.topics", demo->topic_list);
    add_property(demo, "jobgate.store", demo->redis ? demo->redis : JG_DEMO_MEMORY);
    add_property(demo, "jobgate.default.dedup", "until_executing");
    add_property(demo, "jobgate.class.ReportWorker.dedup", "until_executed");
    add_property(demo, "jobgate.class.ChargeWorker.dedup.action", "reject");
    add_property(demo, "jobgate.class." JG_DEMO_LIMITED ".limit", "1");
    add_enqueuers(demo);
    add_waiting(demo);
    add_property(demo, "jobgate.events.topic", demo->events_topic);
    demo->public_count = demo->property_count;
    /* Else the first job of a class would wait, as after a loss of data, for those to be told that run. */
    add_property(demo, "jobgate.store.grace.ms", "100");
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

/* The mock cluster makes no topics when it is asked over the network, as the plugin does: it finds them. */
static bool
start_mock(struct jg_demo *demo)
{
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(demo->plain);
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t i = 0; !err && i < JG_DEMO_HOLDING; i++)
        err = rd_kafka_mock_topic_create(cluster, demo->holding_topics[i], 1, 1);
    for (size_t i = 0; !err && i < JG_DEMO_TOPICS; i++)
        err = rd_kafka_mock_topic_create(cluster, demo->topics[i], 1, 1);
    if (!err)
        err = rd_kafka_mock_topic_create(cluster, demo->events_topic, 1, 1);
    if (err)
        jg_cli_complain(demo->cli, "no topic in the mock cluster: %s", rd_kafka_err2str(err));
    demo->bootstrap_servers = rd_kafka_mock_cluster_bootstraps(cluster);
    return !err;
}

/* What became of CreateTopics: the first error, if any. *made: how many topics are there now. */
static rd_kafka_resp_err_t
creation_error(rd_kafka_event_t *event, size_t *made, char *text, size_t text_bytes)
{
    size_t count = 0;
    const rd_kafka_topic_result_t **topics = NULL;
    if (event && !rd_kafka_event_error(event) && rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
        topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    rd_kafka_resp_err_t err = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    const char *reason = event ? rd_kafka_event_error_string(event) : rd_kafka_err2str(err);
    *made = 0;
    for (size_t i = 0; topics && i < count; i++) {
        if (!rd_kafka_topic_result_error(topics[i])) {
            (*made)++;
        } else if (!err) {
            err = rd_kafka_topic_result_error(topics[i]);
            reason = rd_kafka_topic_result_error_string(topics[i]);
        }
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
make_topics(struct jg_demo *demo)
{
    char text[512] = "out of memory";
    size_t made = 0;
    rd_kafka_NewTopic_t *topics[JG_DEMO_TOPICS + 1];
    for (size_t i = 0; i <= JG_DEMO_TOPICS; i++) {
        const char *name = i < JG_DEMO_TOPICS ? demo->topics[i] : demo->events_topic;
        topics[i] = rd_kafka_NewTopic_new(name, 1, -1, text, sizeof text);
        (void)rd_kafka_NewTopic_set_config(topics[i], "cleanup.policy", "delete");
    }
    rd_kafka_AdminOptions_t *options = admin_options(demo, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(demo->plain);
    rd_kafka_CreateTopics(demo->plain, topics, JG_DEMO_TOPICS + 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS + 1000);
    rd_kafka_resp_err_t err = creation_error(event, &made, text, sizeof text);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy_array(topics, JG_DEMO_TOPICS + 1);
    demo->topics_made = made > 0;
    if (err)
        jg_cli_complain(demo->cli, "topics %s cannot be made on %s: %s", demo->topic_list, demo->bootstrap_servers,
                        text);
    return !err;
}

/* One that was never made cannot stay. */
static void
complain_of_kept(const struct jg_demo *demo, rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_topic_result_t **topics = NULL;
    if (!event || rd_kafka_event_error(event))
        jg_cli_complain(demo->cli, "topics %s* may still be there: %s", demo->topics[0],
                        event ? rd_kafka_event_error_string(event) : "no answer");
    else
        topics = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(topics[i]);
        if (err && err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            jg_cli_complain(demo->cli, "topic %s may still be there: %s", rd_kafka_topic_result_name(topics[i]),
                            rd_kafka_err2str(err));
    }
}

/* The plugin has made the holding topics; their offsets in group <group>.jobgate go with them. */
static void
delete_topics(const struct jg_demo *demo)
{
    rd_kafka_DeleteTopic_t *topics[JG_DEMO_TOPICS + JG_DEMO_HOLDING + 1];
    size_t count = 0;
    topics[count++] = rd_kafka_DeleteTopic_new(demo->events_topic);
    for (size_t i = 0; i < JG_DEMO_TOPICS; i++)
        topics[count++] = rd_kafka_DeleteTopic_new(demo->topics[i]);
    for (size_t i = 0; i < JG_DEMO_HOLDING; i++)
        topics[count++] = rd_kafka_DeleteTopic_new(demo->holding_topics[i]);
    rd_kafka_AdminOptions_t *options = admin_options(demo, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(demo->plain);
    rd_kafka_DeleteTopics(demo->plain, topics, count, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS + 1000);
    complain_of_kept(demo, event);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteTopic_destroy_array(topics, count);
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
    demo->mock = !demo->bootstrap_servers;
    find_plugin(demo);
    choose_names(demo);
    *exit = JG_EXIT_NEGATIVE;
    if (!start_plain(demo) || (demo->mock && !start_mock(demo)))
        return false;
    gather_properties(demo);
    if (demo->redis && !open_store(demo, exit))
        return false;
    *exit = JG_EXIT_NEGATIVE;
    return demo->mock || make_topics(demo);
}

/* Bounded: a consumer closes at once when its broker is there, and the others have nothing left to send. */
void
jg_demo_close(struct jg_demo *demo)
{
    for (size_t i = 0; i < JG_DEMO_TOPICS; i++) {
        if (!demo->consumers[i].rk)
            continue;
        (void)rd_kafka_consumer_close(demo->consumers[i].rk);
        rd_kafka_destroy(demo->consumers[i].rk);
    }
    if (demo->producer)
        rd_kafka_destroy(demo->producer);
    jg_demo_delete_gauges(demo);
    if (demo->topics_made)
        delete_topics(demo);
    if (demo->plain)
        rd_kafka_destroy(demo->plain);
    if (demo->store)
        jg_store_close(demo->store);
}
