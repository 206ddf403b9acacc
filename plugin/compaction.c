/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/compaction.h"

#include <stdlib.h>
#include <string.h>

#include "plugin/gate.h"

#define ANSWER_MS 10000 /* then the check is given up */

void
jg_compaction_clear(struct jg_compaction *compaction)
{
    for (size_t i = 0; i < compaction->count; i++)
        free(compaction->checks[i].name);
    free(compaction->checks);
    *compaction = (struct jg_compaction){.checks = NULL};
}

enum jg_compaction_state
jg_compaction_look(struct jg_compaction *compaction, const char *name, int64_t now_ms, bool *is_new, int64_t *noted_ms)
{
    *is_new = false;
    *noted_ms = now_ms;
    for (size_t i = 0; i < compaction->count; i++) {
        *noted_ms = compaction->checks[i].noted_ms;
        if (strcmp(compaction->checks[i].name, name) == 0)
            return compaction->checks[i].state;
    }
    *noted_ms = now_ms;
    if (compaction->count == JG_COMPACTION_TOPICS_MAX)
        return JG_COMPACTION_SOUND;
    struct jg_compaction_check *grown = realloc(compaction->checks, (compaction->count + 1) * sizeof *grown);
    char *copy = strdup(name);
    if (grown)
        compaction->checks = grown;
    if (!grown || !copy) {
        free(copy);
        return JG_COMPACTION_SOUND;
    }
    compaction->checks[compaction->count++] =
        (struct jg_compaction_check){.name = copy, .state = JG_COMPACTION_NEW, .noted_ms = now_ms};
    *is_new = true;
    return JG_COMPACTION_NEW;
}

#define ASK_MOST 32

/* Ask about what is new. */
static void
ask(struct jg_gate *gate, int64_t now_ms)
{
    const struct jg_rdk *rdk = gate->rdk;
    rd_kafka_ConfigResource_t *resources[ASK_MOST];
    const char *names[ASK_MOST]; /* they stay where they are */
    size_t named = 0;
    size_t count = 0;
    pthread_mutex_lock(&gate->lock);
    for (size_t i = 0; i < gate->compaction.count && named < ASK_MOST; i++) {
        struct jg_compaction_check *check = &gate->compaction.checks[i];
        if (check->state != JG_COMPACTION_NEW)
            continue;
        check->state = JG_COMPACTION_ASKED;
        names[named++] = check->name;
    }
    pthread_mutex_unlock(&gate->lock);
    if (named && rdk->no_admin) {
        jg_log(&gate->log, JG_LOG_WARNING, "TOPIC",
               "%s was left out when librdkafka was linked into this program, so the governed topics' cleanup.policy "
               "cannot be asked for: make sure that none is compacted",
               rdk->no_admin);
    }
    for (size_t i = 0; i < named && !rdk->no_admin; i++)
        if ((resources[count] = rdk->ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, names[i])) != NULL)
            count++;
    if (count == 0)
        return;
    gate->compaction.replies = rdk->queue_new(gate->rk);
    gate->compaction.asked_ms = now_ms;
    rdk->DescribeConfigs(gate->rk, resources, count, NULL, gate->compaction.replies);
    for (size_t i = 0; i < count; i++)
        rdk->ConfigResource_destroy(resources[i]);
}

static void
learn(struct jg_gate *gate, const char *name, enum jg_compaction_state state)
{
    pthread_mutex_lock(&gate->lock);
    for (size_t i = 0; i < gate->compaction.count; i++)
        if (strcmp(gate->compaction.checks[i].name, name) == 0)
            gate->compaction.checks[i].state = state;
    pthread_cond_broadcast(&gate->idle);
    pthread_mutex_unlock(&gate->lock);
}

static void
read_resource(struct jg_gate *gate, const rd_kafka_ConfigResource_t *resource)
{
    const struct jg_rdk *rdk = gate->rdk;
    const char *name = rdk->ConfigResource_name(resource);
    const char *policy = jg_rdk_config_value(rdk, resource, "cleanup.policy");
    if (rdk->ConfigResource_error(resource) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        learn(gate, name, JG_COMPACTION_SOUND); /* it will be created, with the broker's default */
    } else if (rdk->ConfigResource_error(resource) || !policy) {
        const char *why = rdk->ConfigResource_error_string(resource);
        learn(gate, name, JG_COMPACTION_SOUND);
        jg_log(&gate->log, JG_LOG_WARNING, "TOPIC",
               "the broker does not tell topic %s's cleanup.policy (%s): make sure that it is not compacted, or a "
               "duplicate may replace its original",
               name, why ? why : "no such entry");
    } else if (strstr(policy, "compact")) {
        learn(gate, name, JG_COMPACTION_COMPACTED);
        jg_log(&gate->log, JG_LOG_ERROR, "TOPIC",
               "topic %s is compacted (cleanup.policy=%s), so a duplicate could replace its original: jobs with dedup "
               "are refused on it. Set its cleanup.policy=delete, or take it out of jobgate.topics",
               name, policy);
    } else {
        learn(gate, name, JG_COMPACTION_SOUND);
    }
}

static void
read_reply(struct jg_gate *gate, rd_kafka_event_t *reply)
{
    const struct jg_rdk *rdk = gate->rdk;
    size_t count = 0;
    const rd_kafka_DescribeConfigs_result_t *result = rdk->event_DescribeConfigs_result(reply);
    if (!result || rdk->event_error(reply)) {
        jg_log(&gate->log, JG_LOG_WARNING, "TOPIC",
               "the broker does not tell the governed topics' cleanup.policy (%s): make sure that none is compacted",
               rdk->event_error_string(reply));
        return;
    }
    const rd_kafka_ConfigResource_t **resources = rdk->DescribeConfigs_result_resources(result, &count);
    for (size_t i = 0; i < count; i++)
        read_resource(gate, resources[i]);
}

bool
jg_compaction_tend(struct jg_gate *gate, int64_t now_ms)
{
    const struct jg_rdk *rdk = gate->rdk;
    if (!gate->compaction.replies)
        ask(gate, now_ms);
    if (!gate->compaction.replies)
        return false;
    rd_kafka_event_t *reply = rdk->queue_poll(gate->compaction.replies, 0);
    if (reply) {
        read_reply(gate, reply);
        rdk->event_destroy(reply);
    } else if (now_ms - gate->compaction.asked_ms < ANSWER_MS) {
        return true;
    } else {
        jg_log(&gate->log, JG_LOG_WARNING, "TOPIC",
               "the broker does not tell the governed topics' cleanup.policy (no answer): make sure that none is "
               "compacted");
    }
    jg_compaction_end(gate);
    return true; /* more topics may have come up meanwhile */
}

void
jg_compaction_end(struct jg_gate *gate)
{
    if (gate->compaction.replies)
        gate->rdk->queue_destroy(gate->compaction.replies);
    gate->compaction.replies = NULL;
}
