/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/kafka/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/holding.h"

static void
name_target(struct jg_buf *out, const char *topic, const char *class_name, enum jg_target_kind kind)
{
    switch (kind) {
    case JG_TARGET_HELD:
        jg_holding_topic(out, topic, class_name);
        return;
    case JG_TARGET_DEAD:
        jg_dead_topic(out, topic);
        return;
    case JG_TARGET_ORIGIN:
        jg_buf_text(out, topic);
        return;
    }
}

struct jg_target *
jg_target_find(struct jg_target **targets, const char *topic, const char *class_name, enum jg_target_kind kind)
{
    struct jg_buf name = JG_BUF_INIT;
    name_target(&name, topic, class_name, kind);
    struct jg_target *target = name.failed ? NULL : *targets;
    while (target && strcmp(target->name, name.data) != 0)
        target = target->next;
    if (!target && !name.failed && (target = calloc(1, sizeof *target))) {
        target->name = strdup(name.data);
        target->origin = strdup(topic);
        target->kind = kind;
        if (target->name && target->origin) {
            target->next = *targets;
            *targets = target;
        } else {
            free(target->name);
            free(target->origin);
            free(target);
            target = NULL;
        }
    }
    jg_buf_clear(&name);
    return target;
}

void
jg_targets_clear(struct jg_target **targets)
{
    while (*targets) {
        struct jg_target *next = (*targets)->next;
        free((*targets)->name);
        free((*targets)->origin);
        free(*targets);
        *targets = next;
    }
}

enum jg_err
jg_target_make(const struct jg_own *own, rd_kafka_t *rk, const struct jg_target *target, struct jg_own_topic *found,
               struct jg_error *error)
{
    if (strlen(target->name) > JG_TOPIC_MAX_BYTES) {
        snprintf(error->text, sizeof error->text, "the name %.300s is too long for a topic: shorten the topic's name",
                 target->name);
        return JG_EINVAL;
    }
    if (target->kind != JG_TARGET_ORIGIN)
        return jg_own_ensure(own, rk, target->name, target->origin, target->job_bytes, found, error);
    enum jg_err err = jg_own_topic(own, rk, target->name, found, error);
    if (err || found->partitions > 0)
        return err;
    snprintf(error->text, sizeof error->text, "topic %s is gone", target->name);
    return JG_ENOENT;
}
