/* SPDX-License-Identifier: Apache-2.0 */
/* Who stores a consumer's offsets. librdkafka would store every message's as it is handed out; a job's must not be
 * stored before the job is finished, nor a message's that was kept back. So with the first governed message we take
 * storing over: librdkafka looks at the setting after on_consume, so that holds for this message already. In a batch
 * call it goes back to librdkafka, which alone knows what the application got of the batch when a rebalance cuts it
 * short. Consumers that never see a governed message stay as they are. */
#include "plugin/gate.h"

static void
set(struct jg_gate *gate, const char *value)
{
    (void)gate->rdk->conf_set(gate->rk_conf, "enable.auto.offset.store", value, NULL, 0);
}

bool
jg_storing_take(struct jg_gate *gate)
{
    if (!gate->client.auto_store || atomic_load(&gate->storing))
        return false;
    set(gate, "false");
    return !atomic_exchange(&gate->storing, true);
}

void
jg_storing_give_back(struct jg_gate *gate)
{
    if (atomic_exchange(&gate->storing, false))
        set(gate, "true");
}

void
jg_storing_store_safe(struct jg_gate *gate, const char *topic, int32_t partition)
{
    /* Once the handle is being destroyed nothing that is stored will be committed. */
    if (!atomic_load(&gate->storing) || atomic_load(&gate->stopping))
        return;
    const struct jg_rdk *rdk = gate->rdk;
    int64_t offset = -1;
    pthread_mutex_lock(&gate->lock);
    struct jg_partition *seen = jg_offsets_find(&gate->offsets, topic, partition);
    /* One thread stores at a time, so that offsets go to librdkafka in order; it looks again before it leaves. */
    while (seen && !seen->storing && (offset = jg_offsets_take_safe(seen)) >= 0) {
        seen->storing = true;
        pthread_mutex_unlock(&gate->lock);
        rd_kafka_topic_partition_list_t *one = rdk->topic_partition_list_new(1);
        rdk->topic_partition_list_add(one, topic, partition)->offset = offset;
        (void)rdk->offsets_store(gate->rk, one); /* fails only for a partition that was taken away meanwhile */
        rdk->topic_partition_list_destroy(one);
        pthread_mutex_lock(&gate->lock);
        seen = jg_offsets_find(&gate->offsets, topic, partition);
        if (seen)
            seen->storing = false;
    }
    pthread_mutex_unlock(&gate->lock);
}

void
jg_storing_store(struct jg_gate *gate, const rd_kafka_message_t *rkmessage, bool next)
{
    if (atomic_load(&gate->storing))
        (void)gate->rdk->offset_store(rkmessage->rkt, rkmessage->partition, rkmessage->offset - !next);
}
