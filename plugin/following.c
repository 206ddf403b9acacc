/* SPDX-License-Identifier: Apache-2.0 */
/* Where the application stores or commits offsets, it never sees a skipped or a held message, so it commits none of
 * them: after a restart they would all come again, and what is held would be held twice. So we commit for it, but only
 * past such messages that follow directly on what it has committed itself. Our commit may be under way when the
 * application makes a higher one; should ours come second, its own is made once more. Nothing is ever stored for it:
 * what librdkafka has stored cannot be read, and would be overwritten by less. */
#include <string.h>

#include "plugin/gate.h"

#define FLUSH_MS 1000
#define FOLLOW_MOST 64
#define OPEN_MOST 100000 /* messages of a partition that wait for a commit; with more, its commits are not followed */

void
jg_following_begin(struct jg_gate *gate, const char *topic, int32_t partition, int64_t offset)
{
    if (!gate->client.commits_itself)
        return;
    pthread_mutex_lock(&gate->lock);
    struct jg_partition *seen = jg_offsets_find(&gate->unseen_offsets, topic, partition);
    if (seen && seen->open_count >= OPEN_MOST)
        seen->hands_off = true;
    if (!seen || !seen->hands_off)
        if (jg_offsets_begin(&gate->unseen_offsets, topic, partition, offset) != JG_OK && seen)
            seen->hands_off = true;
    pthread_mutex_unlock(&gate->lock);
}

void
jg_following_finish(struct jg_gate *gate, const char *topic, int32_t partition, int64_t offset)
{
    if (!gate->client.commits_itself)
        return;
    pthread_mutex_lock(&gate->lock);
    jg_offsets_finish(&gate->unseen_offsets, topic, partition, offset);
    gate->follows = true;
    pthread_cond_signal(&gate->wake);
    pthread_mutex_unlock(&gate->lock);
}

static bool
is_of(const struct jg_partition *partition, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].partition == partition->partition && strcmp(list->elems[i].topic, partition->topic) == 0)
            return true;
    return false;
}

/* Some partition's next offset to commit. False: none. Under the lock. */
static bool
take_one(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *of, const struct jg_partition **out,
         int64_t *offset)
{
    for (size_t i = 0; i < gate->unseen_offsets.count; i++) {
        struct jg_partition *each = gate->unseen_offsets.partitions[i];
        if (of && !is_of(each, of))
            continue;
        *offset = jg_offsets_take_follow(each);
        *out = each;
        if (*offset >= 0)
            return true;
    }
    return false;
}

/* NULL: there is nothing to commit. */
static rd_kafka_topic_partition_list_t *
collect(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *of)
{
    const struct jg_partition *partition;
    int64_t offset;
    rd_kafka_topic_partition_list_t *list = NULL;
    pthread_mutex_lock(&gate->lock);
    gate->follows = false;
    for (size_t i = 0; of && i < gate->unseen_offsets.count; i++)
        if (is_of(gate->unseen_offsets.partitions[i], of))
            gate->unseen_offsets.partitions[i]->following = -1; /* the last one: it goes behind what is on its way */
    while ((of || !list || list->cnt < FOLLOW_MOST) && take_one(gate, of, &partition, &offset)) {
        if (!list)
            list = gate->rdk->topic_partition_list_new(FOLLOW_MOST);
        gate->rdk->topic_partition_list_add(list, partition->topic, partition->partition)->offset = offset;
    }
    pthread_mutex_unlock(&gate->lock);
    return list;
}

/* With this the application's own callback for commits is not called: it did not ask for ours. */
static void
on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    (void)rk;
    (void)err;
    (void)offsets;
    (void)opaque;
}

static void
drop_answers(struct jg_gate *gate)
{
    rd_kafka_event_t *answer;
    while (gate->commits && (answer = gate->rdk->queue_poll(gate->commits, 0)) != NULL)
        gate->rdk->event_destroy(answer);
}

/* Is there anything to commit? Says so once. */
static bool
is_wanted(struct jg_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    bool wanted = gate->follows && gate->client.commits_itself;
    gate->follows = false;
    pthread_mutex_unlock(&gate->lock);
    return wanted;
}

/* It could not be committed. */
static void
drop(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *list)
{
    pthread_mutex_lock(&gate->lock);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &list->elems[i];
        jg_offsets_commit_failed(&gate->unseen_offsets, each->topic, each->partition, each->offset);
    }
    pthread_mutex_unlock(&gate->lock);
}

void
jg_following_tend(struct jg_gate *gate)
{
    const struct jg_rdk *rdk = gate->rdk;
    rd_kafka_topic_partition_list_t *list = NULL;
    drop_answers(gate);
    if (is_wanted(gate))
        list = collect(gate, NULL);
    if (!list)
        return;
    if (!gate->commits)
        gate->commits = rdk->queue_new(gate->rk);
    if (rdk->commit_queue(gate->rk, list, gate->commits, on_committed, NULL))
        drop(gate, list);
    rdk->topic_partition_list_destroy(list);
}

bool
jg_following_commit(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *list, int64_t timeout_ms)
{
    const struct jg_rdk *rdk = gate->rdk;
    rd_kafka_queue_t *queue = rdk->queue_new(gate->rk);
    rd_kafka_event_t *answer = NULL;
    if (!rdk->commit_queue(gate->rk, list, queue, on_committed, NULL))
        answer = rdk->queue_poll(queue, (int)timeout_ms);
    bool committed = answer && !rdk->event_error(answer);
    if (answer)
        rdk->event_destroy(answer);
    rdk->queue_destroy(queue);
    return committed;
}

void
jg_following_flush(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *partitions)
{
    const struct jg_rdk *rdk = gate->rdk;
    rd_kafka_topic_partition_list_t *list;
    if (!gate->client.commits_itself || !(list = collect(gate, partitions)))
        return;
    (void)jg_following_commit(gate, list, FLUSH_MS);
    rdk->topic_partition_list_destroy(list);
}

void
jg_following_end(struct jg_gate *gate)
{
    drop_answers(gate);
    if (gate->commits)
        gate->rdk->queue_destroy(gate->commits);
    gate->commits = NULL;
}
