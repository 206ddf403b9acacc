/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers that take events instead of callbacks, as the clients of Go and Rust do. No callback of ours is called for
 * a rebalance or for the probe, so it is looked for what came of them: the first assignment by the request for its
 * offsets; partitions that went by asking for the assignment, where a message is handed out anyway, after requests of a
 * rebalance and now and then. */
#include <string.h>

#include "base/clock.h"
#include "plugin/gate.h"

/* ApiKeys. */
#define OFFSET_FETCH 9
#define JOIN_GROUP 11
#define SYNC_GROUP 14

#define LOOK_MS 1000

void
jg_callbackless_sent(struct jg_gate *gate, int16_t api_key)
{
    if (api_key == JOIN_GROUP || api_key == SYNC_GROUP || api_key == OFFSET_FETCH)
        atomic_store(&gate->looked_ms, 0);
    if (api_key != OFFSET_FETCH || !gate->gates || gate->refused.text[0] || !gate->store ||
        atomic_load(&gate->has_joined))
        return;
    atomic_store(&gate->has_joined, true);
    jg_worker_start(gate);
}

void
jg_callbackless_tend(struct jg_gate *gate)
{
    if (atomic_load(&gate->has_joined))
        jg_gate_start_consuming(gate);
}

static bool
is_in(const rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition)
{
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].partition == partition && strcmp(list->elems[i].topic, topic) == 0)
            return true;
    return false;
}

/* What came from partitions that it no longer has. Owned by the caller. */
static rd_kafka_topic_partition_list_t *
find_gone(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *assigned)
{
    rd_kafka_topic_partition_list_t *gone = gate->rdk->topic_partition_list_new(1);
    pthread_mutex_lock(&gate->lock);
    for (size_t i = 0; i < gate->offsets.count; i++) {
        const struct jg_partition *seen = gate->offsets.partitions[i];
        if (!is_in(assigned, seen->topic, seen->partition))
            gate->rdk->topic_partition_list_add(gone, seen->topic, seen->partition);
    }
    pthread_mutex_unlock(&gate->lock);
    return gone;
}

void
jg_callbackless_look(struct jg_gate *gate, enum jg_rdk_call call, int64_t now_ms)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    if (call == JG_CALL_EVENT)
        atomic_store(&gate->events, true);
    int64_t looked_ms = atomic_load(&gate->looked_ms);
    if (!gate->client.events || now_ms - looked_ms < LOOK_MS ||
        !atomic_compare_exchange_strong(&gate->looked_ms, &looked_ms, now_ms) ||
        gate->rdk->assignment(gate->rk, &assigned))
        return;
    rd_kafka_topic_partition_list_t *gone = find_gone(gate, assigned);
    if (gone->cnt)
        jg_gate_revoked(gate, gone);
    gate->rdk->topic_partition_list_destroy(gone);
    gate->rdk->topic_partition_list_destroy(assigned);
}

/* A program that closes is done with its last job. If it did not poll once more, the partitions went before that could
 * be told, and the job is delivered again: it must not wait for a slot that nobody uses. */
void
jg_callbackless_end(struct jg_gate *gate)
{
    if (!atomic_load(&gate->events) || !atomic_load(&gate->busy))
        return;
    pthread_mutex_lock(&gate->lock);
    struct jg_run *run = jg_gate_take_current(gate);
    pthread_mutex_unlock(&gate->lock);
    if (!run)
        return;
    jg_gate_end_later(gate, run, jg_clock_ms());
    jg_worker_wait_completions(gate, 2 * gate->settings->store_timeout_ms);
}
