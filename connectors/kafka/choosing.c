/* SPDX-License-Identifier: Apache-2.0 */
/* Which jobs go in the next transaction: what is doomed, and what the store gives tickets for. */
#include "base/clock.h"
#include "connectors/kafka/holding.h"
#include "connectors/kafka/resumer_impl.h"
#include "plugin/counters.h"
#include "plugin/ops.h"

#define ROUND_MOST_MS 500 /* then the lease is looked at again */
#define RETRY_MS 1000
#define TOO_OLD "held for longer than hold.max.age.ms"

/* What was held for longer is too old. 0: nothing is. */
static int64_t
held_after_ms(const struct jg_held_topic *topic)
{
    return topic->max_age_ms > 0 ? jg_wall_ms() - topic->max_age_ms : 0;
}

static bool
dead_topic_is_there(struct jg_resumer *resumer, struct jg_held_topic *topic, size_t job_bytes)
{
    struct jg_own_topic found;
    struct jg_error error;
    struct jg_buf name = JG_BUF_INIT;
    if (topic->dead_ready)
        return true;
    jg_dead_topic(&name, topic->origin);
    enum jg_err err = JG_ENOMEM;
    if (!name.failed)
        err = jg_own_ensure(&resumer->own, resumer->producer, name.data, topic->origin, job_bytes, &found, &error);
    if (err)
        jg_resumer_complain(resumer, "%s", err == JG_ENOMEM ? "out of memory" : error.text);
    jg_buf_clear(&name);
    topic->dead_ready = err == JG_OK;
    return topic->dead_ready;
}

/* The claim and the ticket of a job end before it goes to the dead letters. */
static bool
bury(struct jg_resumer *resumer, const struct jg_entry *entry)
{
    struct jg_policy policy;
    if (entry->foreign)
        return true;
    jg_conf_policy(resumer->options.conf, entry->load->stamp.class_name, &policy);
    struct jg_op op = jg_op_bury(&entry->load->stamp, &policy);
    return jg_store_exec(resumer->options.store, &op, 1) == JG_OK;
}

static void
add_transfer(struct jg_resumer *resumer, struct jg_held_partition *partition, struct jg_entry *entry)
{
    resumer->transfers[resumer->transfer_count++] = (struct jg_transfer){.partition = partition, .entry = entry};
}

/* How many jobs may go in this transaction. */
static size_t
room_of(const struct jg_resumer *resumer)
{
    return resumer->one_by_one ? 1 : JG_RESUME_MOST;
}

/* False: it waits, and what is doomed behind it. */
static bool
collect_one(struct jg_resumer *resumer, struct jg_held_partition *partition, struct jg_entry *entry, int64_t now_ms)
{
    struct jg_held_topic *topic = partition->topic;
    if (now_ms < topic->bury_ms || !jg_lanes_may_pass(entry))
        return false;
    struct jg_transfer wanted = {.partition = partition, .entry = entry};
    if (!entry->load)
        jg_loads_again(resumer, &wanted, 1);
    if (!entry->load || !dead_topic_is_there(resumer, topic, entry->load->payload_bytes) || !bury(resumer, entry)) {
        topic->bury_ms = now_ms + RETRY_MS;
        return false;
    }
    jg_log_rated(resumer->options.log, &resumer->rate, JG_LOG_WARNING, "BURY", "%s/%d/%lld goes to %s.dead: %s",
                 topic->name, (int)partition->number, (long long)entry->offset, topic->origin, entry->doomed);
    add_transfer(resumer, partition, entry);
    return true;
}

/* Those that cannot go back. */
static void
collect_doomed(struct jg_resumer *resumer, struct jg_held_topic *topic, int64_t now_ms)
{
    int64_t after_ms = held_after_ms(topic);
    for (int i = 0; i < topic->partition_count; i++) {
        struct jg_held_partition *partition = &topic->partitions[i];
        size_t at = partition->row->begin;
        struct jg_entry *entry;
        while ((entry = jg_row_each(partition->row, &at)) && (entry->doomed || entry->held_since_ms < after_ms))
            jg_lanes_doom(&topic->lanes, entry, TOO_OLD);
        entry = partition->row->doomed.first;
        while (entry && resumer->transfer_count < room_of(resumer) && jg_clock_ms() - now_ms <= ROUND_MOST_MS)
            entry = collect_one(resumer, partition, entry, now_ms) ? entry->next : NULL;
    }
}

/* When to ask next in any case: as the safety net, or when a backoff is over. */
static int64_t
next_due_ms(const struct jg_held_topic *topic)
{
    int64_t due_ms = jg_lanes_due_ms(&topic->lanes);
    int64_t left_ms = due_ms ? due_ms - jg_wall_ms() : JG_RESUME_ASK_MS;
    if (left_ms < 1)
        left_ms = 1;
    return left_ms < JG_RESUME_ASK_MS ? left_ms : JG_RESUME_ASK_MS;
}

/* Those that may go join the transfers, as long as what is carried over of them is in memory; the next time they have
 * their tickets already. False: some have to wait for that. */
static bool
join(struct jg_resumer *resumer, struct jg_held_topic *topic, struct jg_entry *const *granted, size_t count)
{
    struct jg_transfer *wanted = resumer->asked.missing;
    size_t missing = 0;
    for (size_t i = 0; i < count; i++)
        if (!granted[i]->load)
            wanted[missing++] = (struct jg_transfer){.partition = &topic->partitions[granted[i]->lane->row->number],
                                                     .entry = granted[i]};
    jg_loads_again(resumer, wanted, missing);
    for (size_t i = 0; i < count; i++) {
        if (!granted[i]->load)
            return false;
        add_transfer(resumer, &topic->partitions[granted[i]->lane->row->number], granted[i]);
    }
    return true;
}

static void
pick(struct jg_resumer *resumer, struct jg_held_topic *topic, size_t most)
{
    struct jg_lanes *lanes = &topic->lanes;
    struct jg_asked *asked = &resumer->asked;
    const struct jg_lanes_ask ask = {
        .most = most,
        .per_key = topic->per_key,
        .all = resumer->options.lift,
        .wall_ms = jg_wall_ms(),
        .held_after_ms = held_after_ms(topic),
        .too_old = TOO_OLD,
    };
    asked->count = jg_lanes_pick(lanes, &ask, asked->entries);
    asked->granted_count = 0;
    for (size_t i = 0; i < asked->count; i++) {
        jg_entry_jid(asked->entries[i], asked->jids[i]);
        asked->items[i] = asked->jids[i];
        const char *limit_key = jg_entry_limit_key(asked->entries[i]);
        asked->limit_keys[i] = limit_key[0] ? limit_key : NULL;
        asked->follow_ups[i] = asked->entries[i]->follow_up;
    }
    if (lanes->left_out)
        jg_count(JG_COUNT_AHEAD_FULL, 1);
}

/* One has to wait for its key. What the key is of, the process that executes the class knows; where it is another one,
 * this tells: no job waits for a key that it does not have. */
static void
look_at_key(struct jg_held_topic *topic, struct jg_entry *entry, int64_t per_key)
{
    const struct jg_lane *lane = entry->lane;
    if (!lane->by_job_key && !lane->alone && (!lane->key || per_key <= 0))
        jg_lanes_by_job_key(&topic->lanes);
    jg_lanes_waits(&topic->lanes, entry);
}

/* Sort out the answer. True: the class has no room for more. */
static bool
look_at_grants(struct jg_resumer *resumer, struct jg_held_topic *topic, int64_t per_key)
{
    struct jg_asked *asked = &resumer->asked;
    bool barred = false;
    for (size_t i = 0; i < asked->count; i++) {
        if (resumer->options.lift || asked->grants[i] == JG_GRANT_YES)
            asked->granted[asked->granted_count++] = asked->entries[i];
        else if (asked->grants[i] == JG_GRANT_KEY)
            look_at_key(topic, asked->entries[i], per_key);
        else
            barred = true;
    }
    return barred;
}

/* What is to come up in each partition: as the store tells, and what has just got a ticket. */
static void
count_loads(struct jg_held_topic *topic, const struct jg_asked *asked, size_t busy_count)
{
    struct jg_lanes *lanes = &topic->lanes;
    for (int i = 0; i < lanes->row_count; i++)
        lanes->rows[i].load = 0;
    for (size_t i = 0; i < busy_count; i++)
        if (asked->busy[i] < lanes->row_count)
            lanes->rows[asked->busy[i]].load++;
    for (size_t i = 0; i < asked->granted_count; i++)
        asked->granted[i]->lane->row->load++;
}

/* Ask for tickets of one class; those that are granted join the transfers. True: there may be more. */
static bool
take(struct jg_resumer *resumer, struct jg_held_topic *topic, size_t most, int64_t now_ms)
{
    struct jg_asked *asked = &resumer->asked;
    struct jg_policy policy;
    pick(resumer, topic, most);
    jg_conf_policy(resumer->options.conf, topic->class_name, &policy);
    struct jg_op op = {
        .kind = JG_OP_TAKE,
        .class_name = topic->class_name,
        .items = asked->items,
        .item_count = asked->count,
        .limit_keys = asked->limit_keys,
        .follow_ups = asked->follow_ups,
        .follow_ups_in = (int64_t)topic->lanes.follow_ups,
        .grants = asked->grants,
        .origin = topic->origin,
        .busy = asked->busy,
        .held_in = jg_heads_count(resumer, topic),
        .oldest_held_in = jg_heads_oldest(topic),
        .grace_ms = jg_conf_grace_ms(resumer->options.conf, &policy),
        .ahead_in = jg_pace_ahead(&topic->pace),
    };
    topic->due_ms = now_ms + next_due_ms(topic);
    topic->ask = false;
    int64_t began_us = jg_clock_us();
    if (jg_store_exec(resumer->options.store, &op, 1) != JG_OK)
        return false;
    topic->max_age_ms = op.max_age_now_ms;
    topic->per_key = op.per_key_now;
    jg_pace_take(&topic->pace, &op);
    topic->due_ms = now_ms + jg_pace_due_ms(&topic->pace, topic->due_ms - now_ms);
    if (resumer->options.external && asked->count && !op.granted && !op.limit_now && op.reason == JG_REASON_NONE)
        return jg_resumer_sync(resumer,
                               topic); /* nobody has told anything of the class: what this process is told counts */
    bool barred = look_at_grants(resumer, topic, op.per_key_now);
    count_loads(topic, asked, op.busy_count);
    if (topic->lanes.left_out && asked->granted_count)
        jg_lanes_wake(&topic->lanes); /* what they take in the metadata was rounded up */
    bool more = !barred && (jg_lanes_more(&topic->lanes) || (asked->count && asked->granted_count == asked->count));
    if (more && !asked->granted_count) /* so many lanes: the store is not kept busy with asking */
        topic->retry_ms = jg_clock_ms() + 1 + 2 * (jg_clock_us() - began_us) / 1000;
    return !join(resumer, topic, asked->granted, asked->granted_count) || more;
}

void
jg_resumer_choose(struct jg_resumer *resumer, int64_t now_ms)
{
    resumer->transfer_count = 0;
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        if (now_ms < resumer->apart_ms && resumer->transfer_count > 0)
            break;
        jg_lanes_begin(&topic->lanes);
        collect_doomed(resumer, topic, now_ms);
        if (now_ms >= topic->due_ms && !topic->ask)
            jg_lanes_wake(&topic->lanes);
        bool due = topic->ask || now_ms >= topic->due_ms;
        size_t most = room_of(resumer);
        size_t room = most > resumer->transfer_count ? most - resumer->transfer_count : 0;
        if (!due || !room || !topic->class_name[0] || now_ms < topic->retry_ms)
            continue;
        if (!topic->origin_partitions) {
            jg_resumer_complain(resumer, "topic %s is gone: its jobs stay in %s", topic->origin, topic->name);
            topic->retry_ms = now_ms + RETRY_MS;
            atomic_store(&resumer->look, true);
            continue;
        }
        topic->ask = take(resumer, topic, room, now_ms);
    }
}
