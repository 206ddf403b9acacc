/* SPDX-License-Identifier: Apache-2.0 */
/* A store that was emptied, and one that is used for the first time, look alike; what tells them apart is Kafka: a
 * group that has run anything has committed an offset. So that this holds from the first job on, and not only when the
 * first commit happens to be due, the first one to ask commits where it began. */
#include <string.h>

#include "plugin/coming.h"
#include "plugin/gate.h"

/* 0: Kafka does not tell. Of this topic alone: asked for all of them, librdkafka 2.1 to 2.3 forgets the one that the
 * host subscribes to, tells the host that it is unknown, and leaves its partitions. */
static int
count_partitions(struct jg_gate *gate, const struct jg_coming *coming, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata = NULL;
    int count = 0;
    if (gate->rdk->metadata(gate->rk, 0, coming->rkmessage->rkt, &metadata, timeout_ms))
        return 0;
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (!metadata->topics[i].err && strcmp(metadata->topics[i].topic, coming->topic) == 0)
            count = metadata->topics[i].partition_cnt;
    gate->rdk->metadata_destroy(metadata);
    return count;
}

static bool
has_committed_nothing(struct jg_gate *gate, const struct jg_coming *coming, int timeout_ms)
{
    const struct jg_rdk *rdk = gate->rdk;
    int partitions = count_partitions(gate, coming, timeout_ms);
    if (partitions == 0)
        return false;
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rdk->topic_partition_list_add(list, coming->topic, i);
    bool nothing = !rdk->committed(gate->rk, list, timeout_ms);
    for (int i = 0; i < list->cnt; i++)
        nothing = nothing && !list->elems[i].err && list->elems[i].offset < 0;
    rdk->topic_partition_list_destroy(list);
    return nothing;
}

/* Where this partition began for us. Without a commit it began there for everyone, so nothing below is unfinished. */
static int64_t
began_at(struct jg_gate *gate, const struct jg_coming *coming)
{
    pthread_mutex_lock(&gate->lock);
    const struct jg_partition *seen = jg_offsets_find(&gate->offsets, coming->topic, coming->rkmessage->partition);
    int64_t first = seen ? seen->first : -1;
    pthread_mutex_unlock(&gate->lock);
    return first;
}

static bool
commit(struct jg_gate *gate, const struct jg_coming *coming, int64_t offset, int timeout_ms)
{
    const struct jg_rdk *rdk = gate->rdk;
    rd_kafka_topic_partition_list_t *one = rdk->topic_partition_list_new(1);
    rdk->topic_partition_list_add(one, coming->topic, coming->rkmessage->partition)->offset = offset;
    bool committed = jg_following_commit(gate, one, timeout_ms);
    rdk->topic_partition_list_destroy(one);
    return committed;
}

bool
jg_coming_is_first(struct jg_gate *gate, const struct jg_coming *coming, int timeout_ms)
{
    if (!has_committed_nothing(gate, coming, timeout_ms))
        return false;
    int64_t offset = began_at(gate, coming);
    return offset >= 0 && commit(gate, coming, offset, timeout_ms);
}
