/* SPDX-License-Identifier: Apache-2.0 */
/* Which holding topics there are, and what waits at their heads: a small window of each partition in memory, read from
 * a queue of its own, so that a long backlog of one class costs no more than a short one, and stands in nobody's way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/holding.h"
#include "connectors/kafka/resumer_impl.h"

#define WINDOW_ALL 8192 /* heads in memory, over all partitions */
#define WINDOW_MOST 512
#define WINDOW_LEAST 8
#define BYTES_ALL (64u << 20)
#define COMMITTED_MS 10000

/* --- topics come and go --- */

static struct jg_held_topic *
find(struct jg_resumer *resumer, const char *name)
{
    struct jg_held_topic *topic = resumer->topics;
    while (topic && strcmp(topic->name, name) != 0)
        topic = topic->next_topic;
    return topic;
}

static void
drop_head(struct jg_resumer *resumer, struct jg_head *head)
{
    resumer->head_bytes -= head->rkmessage->len;
    resumer->own.rdk->message_destroy(head->rkmessage);
    free(head);
}

static void
destroy(struct jg_resumer *resumer, struct jg_held_topic *topic)
{
    for (int i = 0; i < topic->partition_count; i++) {
        struct jg_held_partition *partition = &topic->partitions[i];
        while (partition->first) {
            struct jg_head *next = partition->first->next;
            drop_head(resumer, partition->first);
            partition->first = next;
        }
        if (partition->queue)
            resumer->own.rdk->queue_destroy(partition->queue);
    }
    free(topic->partitions);
    free(topic->name);
    free(topic->origin);
    free(topic);
}

static struct jg_held_topic *
new_topic(const char *name, const char *origin, int partition_count)
{
    struct jg_held_topic *topic = calloc(1, sizeof *topic);
    if (!topic)
        return NULL;
    topic->name = strdup(name);
    topic->origin = strdup(origin);
    topic->partitions = calloc((size_t)partition_count, sizeof *topic->partitions);
    if (!topic->name || !topic->origin || !topic->partitions) {
        free(topic->name);
        free(topic->origin);
        free(topic->partitions);
        free(topic);
        return NULL;
    }
    topic->partition_count = partition_count;
    for (int i = 0; i < partition_count; i++)
        topic->partitions[i] =
            (struct jg_held_partition){.topic = topic, .number = i, .last = &topic->partitions[i].first, .next = -1};
    return topic;
}

/* Begin where the group's committed offsets say, or at the beginning. */
static enum jg_err
assign(struct jg_resumer *resumer, struct jg_held_topic *topic, struct jg_error *error)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    uint64_t one = 1;
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(topic->partition_count);
    for (int i = 0; i < topic->partition_count; i++)
        rdk->topic_partition_list_add(list, topic->name, i);
    rd_kafka_resp_err_t err = rdk->committed(resumer->consumer, list, COMMITTED_MS);
    for (int i = 0; !err && i < list->cnt; i++) {
        rd_kafka_topic_partition_t *each = &list->elems[i];
        struct jg_held_partition *partition = &topic->partitions[each->partition];
        err = each->err;
        partition->next = each->offset >= 0 ? each->offset : -1;
        each->offset = each->offset >= 0 ? each->offset : RD_KAFKA_OFFSET_BEGINNING;
        partition->queue = rdk->queue_get_partition(resumer->consumer, topic->name, each->partition);
        if (partition->queue) {
            rdk->queue_forward(partition->queue, NULL);
            rdk->queue_io_event_enable(partition->queue, resumer->wake_fd, &one, sizeof one);
        }
    }
    if (!err) {
        rd_kafka_error_t *refused = rdk->incremental_assign(resumer->consumer, list);
        err = refused ? rdk->error_code(refused) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (refused)
            rdk->error_destroy(refused);
    }
    rdk->topic_partition_list_destroy(list);
    if (!err)
        return JG_OK;
    snprintf(error->text, sizeof error->text, "the offsets of %.249s in group %.120s cannot be read: %s", topic->name,
             resumer->group, rdk->err2str(err));
    return JG_EHOST;
}

static void
unassign(struct jg_resumer *resumer, const struct jg_held_topic *topic)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(topic->partition_count);
    for (int i = 0; i < topic->partition_count; i++)
        rdk->topic_partition_list_add(list, topic->name, i);
    rd_kafka_error_t *refused = rdk->incremental_unassign(resumer->consumer, list);
    if (refused)
        rdk->error_destroy(refused);
    rdk->topic_partition_list_destroy(list);
}

struct look {
    struct jg_resumer *resumer;
    struct jg_error *error;
    enum jg_err err;
};

static void
look_at_topic(void *opaque, const char *name, const struct jg_own_topic *found)
{
    struct look *look = opaque;
    struct jg_resumer *resumer = look->resumer;
    char origin[JG_TOPIC_MAX_BYTES + 1];
    if (!jg_holding_parse(name, origin, sizeof origin) || !jg_conf_topic(resumer->options.conf, origin))
        return;
    struct jg_held_topic *topic = find(resumer, name);
    if (topic && topic->partition_count == found->partitions) {
        topic->seen = true;
        return;
    }
    bool elsewhere = true; /* unless the store says otherwise */
    if (!topic && (jg_clean_elsewhere(resumer, origin, &elsewhere) != JG_OK || elsewhere)) {
        resumer->skipped = true;
        return;
    }
    if (topic || look->err || found->partitions <= 0)
        return; /* more partitions than before: it is left now, and taken up again with the next look */
    topic = new_topic(name, origin, found->partitions);
    if (!topic)
        return;
    look->err = assign(resumer, topic, look->error);
    if (look->err) {
        destroy(resumer, topic);
        return;
    }
    topic->seen = true;
    topic->ask = true;
    topic->next_topic = resumer->topics;
    resumer->topics = topic;
}

static void
look_at_origin(void *opaque, const char *name, const struct jg_own_topic *found)
{
    struct look *look = opaque;
    for (struct jg_held_topic *topic = look->resumer->topics; topic; topic = topic->next_topic)
        if (strcmp(topic->origin, name) == 0)
            topic->origin_partitions = found->partitions;
}

static void
leave_unseen(struct jg_resumer *resumer)
{
    size_t count = 0;
    struct jg_held_topic **link = &resumer->topics;
    resumer->partition_count = 0;
    while (*link) {
        struct jg_held_topic *topic = *link;
        if (topic->seen) {
            link = &topic->next_topic;
            resumer->partition_count += topic->partition_count;
            count++;
            continue;
        }
        *link = topic->next_topic;
        unassign(resumer, topic);
        destroy(resumer, topic);
        atomic_store(&resumer->look, true);
    }
    pthread_mutex_lock(&resumer->lock);
    resumer->state.topics = count;
    pthread_mutex_unlock(&resumer->lock);
}

void
jg_heads_leave(struct jg_resumer *resumer, struct jg_held_topic *topic)
{
    struct jg_held_topic **link = &resumer->topics;
    while (*link != topic)
        link = &(*link)->next_topic;
    *link = topic->next_topic;
    resumer->partition_count -= topic->partition_count;
    unassign(resumer, topic);
    destroy(resumer, topic);
}

enum jg_err
jg_heads_look(struct jg_resumer *resumer, struct jg_error *error)
{
    struct look look = {.resumer = resumer, .error = error};
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        topic->seen = false;
        topic->origin_partitions = 0;
        topic->dead_ready = false;
    }
    resumer->skipped = false;
    enum jg_err err = jg_own_topics(&resumer->own, resumer->consumer, look_at_topic, &look, error);
    if (!err)
        err = look.err;
    if (!err)
        err =
            jg_own_topics(&resumer->own, resumer->producer, look_at_origin, &look, error); /* it learns of them, too */
    if (!err)
        leave_unseen(resumer);
    return err;
}

/* --- what waits --- */

/* Is the record one that jobgate wrote for this very topic? */
static bool
is_own(const struct jg_resumer *resumer, struct jg_held_topic *topic, struct jg_head *head)
{
    const char *name_space = jg_conf_settings(resumer->options.conf)->name_space;
    struct jg_buf name = JG_BUF_INIT;
    if (jg_stamp_read(resumer->own.rdk, head->rkmessage, name_space, topic->origin, &head->stamp) != JG_STAMP_OURS ||
        !head->stamp.held_since_ms)
        return false;
    jg_holding_topic(&name, topic->origin, head->stamp.class_name);
    bool own = !name.failed && strcmp(name.data, topic->name) == 0;
    jg_buf_clear(&name);
    if (own && !topic->class_name[0])
        memcpy(topic->class_name, head->stamp.class_name, sizeof topic->class_name);
    return own && strcmp(topic->class_name, head->stamp.class_name) == 0;
}

static void
add_head(struct jg_resumer *resumer, struct jg_held_partition *partition, rd_kafka_message_t *rkmessage)
{
    struct jg_head *head = calloc(1, sizeof *head);
    if (!head) {
        resumer->own.rdk->message_destroy(rkmessage);
        resumer->broken = true;
        return;
    }
    head->rkmessage = rkmessage;
    resumer->head_bytes += rkmessage->len;
    head->foreign = !is_own(resumer, partition->topic, head);
    if (head->foreign)
        head->doomed = "not written by jobgate, or for another topic, namespace or class";
    if (partition->next < 0)
        partition->next = rkmessage->offset;
    if (!partition->first)
        partition->topic->ask = true;
    *partition->last = head;
    partition->last = &head->next;
    partition->count++;
}

/* Most errors pass. A topic that was deleted is seen with the next look, and one that came back in its place then too.
 */
static void
tell_error(struct jg_resumer *resumer, const struct jg_held_topic *topic, rd_kafka_message_t *rkmessage)
{
    if (rkmessage->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        jg_resumer_complain(resumer, "topic %s cannot be read: allow this client Read on it", topic->name);
    else if (rkmessage->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        resumer->broken = true;
    resumer->own.rdk->message_destroy(rkmessage);
}

void
jg_heads_fill(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    size_t window = WINDOW_ALL / (size_t)(resumer->partition_count + 1);
    if (window > WINDOW_MOST)
        window = WINDOW_MOST;
    if (window < WINDOW_LEAST)
        window = WINDOW_LEAST;
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        for (int i = 0; i < topic->partition_count; i++) {
            struct jg_held_partition *partition = &topic->partitions[i];
            rd_kafka_message_t *rkmessage;
            while (partition->queue && !resumer->broken && partition->count < window &&
                   (resumer->head_bytes < BYTES_ALL || partition->count == 0) &&
                   (rkmessage = rdk->consume_queue(partition->queue, 0)) != NULL) {
                if (rkmessage->err)
                    tell_error(resumer, topic, rkmessage);
                else
                    add_head(resumer, partition, rkmessage);
            }
        }
    }
}

void
jg_heads_pop(struct jg_resumer *resumer, struct jg_held_partition *partition)
{
    struct jg_head *head = partition->first;
    partition->next = head->rkmessage->offset + 1;
    partition->first = head->next;
    if (!partition->first)
        partition->last = &partition->first;
    partition->count--;
    drop_head(resumer, head);
}

int64_t
jg_heads_count(struct jg_resumer *resumer, const struct jg_held_topic *topic)
{
    int64_t held = 0;
    for (int i = 0; i < topic->partition_count; i++) {
        const struct jg_held_partition *partition = &topic->partitions[i];
        int64_t low = -1, high = -1;
        if (resumer->own.rdk->get_watermark_offsets(resumer->consumer, topic->name, partition->number, &low, &high) ||
            high < 0)
            return -1;
        int64_t next = partition->next >= 0 ? partition->next : low > 0 ? low : 0;
        int64_t waiting = high > next ? high - next : 0;
        held += waiting > (int64_t)partition->count ? waiting : (int64_t)partition->count;
    }
    return held;
}

int64_t
jg_heads_oldest(const struct jg_held_topic *topic)
{
    int64_t oldest_ms = 0;
    for (int i = 0; i < topic->partition_count; i++) {
        const struct jg_head *head = topic->partitions[i].first;
        if (head && !head->foreign && (!oldest_ms || head->stamp.held_since_ms < oldest_ms))
            oldest_ms = head->stamp.held_since_ms;
    }
    return oldest_ms;
}

void
jg_heads_clear(struct jg_resumer *resumer)
{
    while (resumer->topics) {
        struct jg_held_topic *next = resumer->topics->next_topic;
        destroy(resumer, resumer->topics);
        resumer->topics = next;
    }
    resumer->partition_count = 0;
}
