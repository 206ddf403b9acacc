/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate check: the topic of events, which programs make when it is not there. */
#include <string.h>

#include "cli/check.h"

/* Could this client make the topic? Asked without making it. */
static void
check_missing(struct jg_check *check, const char *name, rd_kafka_resp_err_t err, const char *why)
{
    if (!err)
        jg_check_find(check, JG_FINDING_NOTICE,
                      "topic %s of jobgate.events.topic is not there yet: programs make it with their first event",
                      name);
    else if (err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        jg_check_find(check, JG_FINDING_ERROR,
                      "topic %s of jobgate.events.topic is hidden from this client: allow programs Describe and Write "
                      "on it, or events are dropped",
                      name);
    else
        jg_check_find(check, JG_FINDING_ERROR,
                      "topic %s of jobgate.events.topic is not there, and this client cannot make it (%s), so events "
                      "are dropped: create it with cleanup.policy=delete, or allow programs Create on it",
                      name, why ? why : rd_kafka_err2str(err));
}

static void
read_answer(struct jg_check *check, const char *name, rd_kafka_event_t *answer)
{
    size_t count = 0;
    const rd_kafka_CreateTopics_result_t *result = answer ? rd_kafka_event_CreateTopics_result(answer) : NULL;
    const rd_kafka_topic_result_t **topics = result ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
    if (count)
        check_missing(check, name, rd_kafka_topic_result_error(topics[0]),
                      rd_kafka_topic_result_error_string(topics[0]));
    else
        check_missing(check, name, answer ? rd_kafka_event_error(answer) : RD_KAFKA_RESP_ERR__TIMED_OUT, NULL);
}

static void
ask_to_make(struct jg_check *check, const char *name)
{
    char text[256] = "";
    rd_kafka_t *rk = check->kafka.rk;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, -1, -1, text, sizeof text);
    if (!topic) {
        check_missing(check, name, RD_KAFKA_RESP_ERR__INVALID_ARG, text);
        return;
    }
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    if (!rd_kafka_AdminOptions_set_validate_only(options, 1, text, sizeof text)) {
        rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
        rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, JG_CLI_KAFKA_MS);
        read_answer(check, name, answer);
        if (answer)
            rd_kafka_event_destroy(answer);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
}

void
jg_check_events(struct jg_check *check, bool there, const char *cleanup_policy)
{
    const char *name = jg_conf_settings(check->kafka.cli->conf)->events_topic;
    if (!there)
        ask_to_make(check, name);
    else if (strstr(cleanup_policy, "compact"))
        jg_check_find(
            check, JG_FINDING_ERROR,
            "topic %s of jobgate.events.topic is compacted (cleanup.policy=%s), so an event replaces the ones "
            "before it of the same job: set cleanup.policy=delete on it",
            name, cleanup_policy);
    else if (cleanup_policy[0])
        jg_check_find(check, JG_FINDING_OK, "events of jobs go to topic %s, cleanup.policy=%s", name, cleanup_policy);
    jg_check_find(
        check, JG_FINDING_NOTICE,
        "whether programs may write to topic %s cannot be asked: they need Write and Describe on it, or events "
        "are dropped",
        name);
}
