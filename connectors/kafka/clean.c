/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets that serve nobody any more: their jobs were passed by the group without being admitted (a consumer without
 * the plugin, offsets that were set by hand). Each only sends newcomers through the holding topic, so there is time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/resumer_impl.h"
#include "plugin/guard.h"

#define OLD_MS 5000
#define UNPLACED_MS 60000 /* without a position: its resumer died, and the job is at the head again, or gone on */
#define ANSWER_MS 3000
#define MOST_DROPPED 500
#define MARKS_MOST 500
#define MARK_EVERY_MS (JG_MARK_MS / 3 - 20000)

struct cleaning {
    const struct jg_held_topic *topic;
    const rd_kafka_topic_partition_list_t *committed; /* NULL: not known */
    char *jids[MOST_DROPPED];
    size_t count;
    size_t old;
    int64_t now_ms; /* Unix time */
};

static bool
is_passed(const struct cleaning *cleaning, const char *position)
{
    for (int i = 0; cleaning->committed && i < cleaning->committed->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &cleaning->committed->elems[i];
        size_t bytes = strlen(each->topic);
        char *end;
        if (strncmp(position, each->topic, bytes) != 0 || position[bytes] != '/')
            continue;
        long partition = strtol(position + bytes + 1, &end, 10);
        if (*end == '/' && partition == each->partition)
            return strtoll(end + 1, NULL, 10) < each->offset;
    }
    return false;
}

/* A ticket without a position, whose job is still among those that wait to be resumed: a resumer took it and did not
 * get to produce the job, since between two transactions of the one that leads nothing that waits is on its way. */
static void
look_at_ticket(void *opaque, const struct jg_ticket_report *ticket)
{
    struct cleaning *cleaning = opaque;
    int64_t age_ms = cleaning->now_ms - ticket->taken_ms;
    bool unused = !ticket->position[0] && jg_lanes_has(&cleaning->topic->lanes, ticket->jid);
    if ((age_ms < OLD_MS && !unused) || cleaning->count == MOST_DROPPED)
        return;
    cleaning->old++;
    bool useless = unused || (ticket->position[0] ? is_passed(cleaning, ticket->position) : age_ms > UNPLACED_MS);
    char *jid = useless ? strdup(ticket->jid) : NULL;
    if (jid)
        cleaning->jids[cleaning->count++] = jid;
}

static void
drop(struct jg_resumer *resumer, const char *class_name, struct cleaning *cleaning)
{
    struct jg_op op = {
        .kind = JG_OP_DROP,
        .class_name = class_name,
        .items = (const char *const *)cleaning->jids,
        .item_count = cleaning->count,
    };
    if (cleaning->count && jg_store_exec(resumer->options.store, &op, 1) == JG_OK)
        jg_log(resumer->options.log, JG_LOG_NOTICE, "RESUME",
               "class %s: %zu tickets dropped, whose jobs group %s has passed without running them, or that a resumer "
               "before this one took and did not use",
               class_name, cleaning->count, resumer->options.group);
}

static void
clean_classes(struct jg_resumer *resumer, struct cleaning *cleaning, bool may_drop)
{
    cleaning->now_ms = jg_wall_ms();
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        cleaning->topic = topic;
        if (!topic->class_name[0] ||
            jg_store_tickets(resumer->options.store, topic->class_name, look_at_ticket, cleaning) != JG_OK)
            continue;
        if (may_drop)
            drop(resumer, topic->class_name, cleaning);
        for (size_t i = 0; i < cleaning->count; i++)
            free(cleaning->jids[i]);
        cleaning->count = 0;
    }
}

/* The offsets that the consumers' own group has committed; the event has to outlive the list. */
static rd_kafka_event_t *
ask_committed(struct jg_resumer *resumer, struct cleaning *cleaning)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_queue_t *queue = rdk->queue_new(resumer->producer);
    rd_kafka_ListConsumerGroupOffsets_t *request = rdk->ListConsumerGroupOffsets_new(resumer->options.group, NULL);
    rdk->ListConsumerGroupOffsets(resumer->producer, &request, 1, NULL, queue);
    rd_kafka_event_t *event = jg_own_answer(&resumer->own, queue, ANSWER_MS);
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        event ? rdk->event_ListConsumerGroupOffsets_result(event) : NULL;
    size_t count = 0;
    if (result && !rdk->event_error(event)) {
        const rd_kafka_group_result_t **groups = rdk->ListConsumerGroupOffsets_result_groups(result, &count);
        if (count && !rdk->group_result_error(groups[0]))
            cleaning->committed = rdk->group_result_partitions(groups[0]);
    }
    rdk->ListConsumerGroupOffsets_destroy(request);
    rdk->queue_destroy(queue);
    return event;
}

void
jg_clean_tickets(struct jg_resumer *resumer)
{
    struct cleaning cleaning = {.committed = NULL};
    clean_classes(resumer, &cleaning, false);
    if (cleaning.old == 0)
        return;
    rd_kafka_event_t *event = ask_committed(resumer, &cleaning);
    clean_classes(resumer, &cleaning, true);
    if (event)
        resumer->own.rdk->event_destroy(event);
}

static bool
mark(struct jg_resumer *resumer, const struct jg_held_topic *topic, const struct jg_lane_name *names, size_t count,
     bool leave)
{
    const char *items[MARKS_MOST];
    for (size_t i = 0; i < count; i++)
        items[i] = names[i].text;
    struct jg_op op = {
        .kind = JG_OP_MARK, .class_name = topic->class_name, .items = items, .item_count = count, .leave = leave};
    return jg_store_exec(resumer->options.store, &op, 1) == JG_OK;
}

void
jg_clean_marks(struct jg_resumer *resumer)
{
    struct jg_lane_name names[MARKS_MOST];
    int64_t now_ms = jg_clock_ms();
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        size_t at = 0, count;
        while ((count = jg_lanes_marks(&topic->lanes, now_ms - MARK_EVERY_MS, now_ms, &at, names, MARKS_MOST)) > 0)
            if (!mark(resumer, topic, names, count, false))
                return; /* the store is away */
    }
}

void
jg_clean_left(struct jg_resumer *resumer)
{
    struct jg_lane_name names[MARKS_MOST];
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        size_t count;
        while ((count = jg_lanes_left(&topic->lanes, names, MARKS_MOST)) > 0)
            if (!mark(resumer, topic, names, count, true))
                return; /* they end by themselves */
    }
}

/* A right to delete is no condition: the records only stay longer, and a group that is moved would find them again. */
void
jg_clean_records(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_event_t *answer;
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(16);
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        for (int i = 0; i < topic->partition_count; i++) {
            struct jg_held_partition *partition = &topic->partitions[i];
            if (partition->row->next <= partition->deleted)
                continue;
            partition->deleted = partition->row->next;
            rdk->topic_partition_list_add(list, topic->name, i)->offset = partition->deleted;
        }
    }
    if (!resumer->answers)
        resumer->answers = rdk->queue_new(resumer->producer);
    while ((answer = rdk->queue_poll(resumer->answers, 0)) != NULL)
        rdk->event_destroy(answer);
    if (list->cnt > 0) {
        rd_kafka_DeleteRecords_t *request = rdk->DeleteRecords_new(list);
        rdk->DeleteRecords(resumer->producer, &request, 1, NULL, resumer->answers);
        rdk->DeleteRecords_destroy(request);
    }
    rdk->topic_partition_list_destroy(list);
}

/* Has the group ever committed an offset of the topic? */
static bool
has_committed(struct jg_resumer *resumer, const char *topic)
{
    struct cleaning cleaning = {.committed = NULL};
    rd_kafka_event_t *event = ask_committed(resumer, &cleaning);
    bool found = false;
    for (int i = 0; cleaning.committed && i < cleaning.committed->cnt && !found; i++)
        found = cleaning.committed->elems[i].offset >= 0 && strcmp(cleaning.committed->elems[i].topic, topic) == 0;
    if (event)
        resumer->own.rdk->event_destroy(event);
    return found;
}

enum jg_err
jg_clean_elsewhere(struct jg_resumer *resumer, const char *origin, bool *elsewhere)
{
    struct jg_op op = {.kind = JG_OP_GROUP, .class_name = origin, .member = "", .run_ttl_ms = JG_GUARD_TTL_MS};
    enum jg_err err = jg_store_exec(resumer->options.store, &op, 1);
    if (err != JG_OK)
        return err;
    /* Where nobody says that it is theirs, settings alone do not make it ours: services may share them. */
    *elsewhere = op.other[0] ? strcmp(op.other, resumer->options.group) != 0
                             : !resumer->options.external && !has_committed(resumer, origin);
    op.member = resumer->options.group;
    if (!*elsewhere)
        (void)!jg_store_exec(resumer->options.store, &op, 1);
    return JG_OK;
}

void
jg_clean_guard(struct jg_resumer *resumer)
{
    struct jg_held_topic *next;
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = next) {
        bool elsewhere;
        next = topic->next_topic;
        if (jg_clean_elsewhere(resumer, topic->origin, &elsewhere) != JG_OK)
            return; /* nothing can be resumed now anyway */
        if (!elsewhere)
            continue;
        jg_log(resumer->options.log, JG_LOG_NOTICE, "RESUME",
               "topic %s is executed by another consumer group than %s, which leaves %s alone", topic->origin,
               resumer->options.group, topic->name);
        jg_heads_leave(resumer, topic);
        resumer->skipped = true;
    }
}
