/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer's side: what the application had is done; may the next message run? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/holding.h"
#include "plugin/act.h"
#include "plugin/coming.h"
#include "plugin/counters.h"
#include "plugin/guard.h"
#include "plugin/known.h"

#define REFUSAL_EVERY_MS 1000
#define BATCH_REFUSAL_MS 2 /* a refused batch call runs through a backlog at this pace */

/* --- what is done with it --- */

/* It is unfinished from now on, also while it waits for the store: nothing past it may be stored. A seek back makes
 * what was handed out from here on come again, so that is forgotten. */
static void
open_offset(struct jg_gate *gate, struct jg_coming *coming)
{
    const char *topic = coming->topic;
    int32_t partition = coming->rkmessage->partition;
    int64_t offset = coming->rkmessage->offset;
    struct jg_run *again = NULL;
    pthread_mutex_lock(&gate->lock);
    const struct jg_partition *seen = jg_offsets_find(&gate->offsets, topic, partition);
    coming->again = seen && offset < seen->next;
    if (coming->again)
        again = jg_inflight_take(&gate->inflight, topic, partition, offset, INT64_MAX);
    /* Out of memory: the offset is not tracked, hence stored with the next one that is. */
    (void)!jg_offsets_begin(&gate->offsets, topic, partition, offset);
    pthread_mutex_unlock(&gate->lock);
    jg_count(JG_COUNT_LOST_RUN, (int64_t)jg_run_destroy_all(again));
    jg_following_begin(gate, topic, partition, offset);
}

void
jg_coming_finish_offset(struct jg_gate *gate, const struct jg_coming *coming, bool handed_out)
{
    jg_gate_finish_offset(gate, coming->topic, coming->rkmessage->partition, coming->rkmessage->offset);
    if (!handed_out)
        jg_following_finish(gate, coming->topic, coming->rkmessage->partition, coming->rkmessage->offset);
}

/* What a SKIP is to the application, in events and in the log, by its reason. */
static const struct {
    enum jg_skip skip;
    enum jg_event_kind event;
    enum jg_rate rate;
    const char *name, *text;
} skips[] = {
    [JG_REASON_NONE] = {JG_SKIP_DUPLICATE, JG_EVENT_SKIPPED, JG_RATE_SKIP, "duplicate", "is a duplicate of "},
    [JG_REASON_DONE] = {JG_SKIP_DONE, JG_EVENT_SKIPPED, JG_RATE_NOOP, "done", "is done already"},
    [JG_REASON_COPY] = {JG_SKIP_DONE, JG_EVENT_SKIPPED, JG_RATE_NOOP, "copy", "is a copy of one that was started"},
    [JG_REASON_TAKEN] = {JG_SKIP_NOOP_JOB, JG_EVENT_NOOP, JG_RATE_NOOP, "taken",
                         "ends as a no-op, since another job holds its lease"},
};

void
jg_coming_skip(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_op *answer)
{
    enum jg_reason reason = answer->reason;
    if (!answer->next[0]) /* else its offset is finished when the job is there again */
        jg_coming_finish_offset(gate, coming, false);
    jg_act_skip(gate, coming->rkmessage, skips[reason].skip);
    jg_log_rated(&gate->log, &gate->rates[skips[reason].rate], JG_LOG_INFO, "SKIP",
                 "class %s: job %s at %s/%d/%lld %s%s: skipped", coming->stamp.class_name, coming->stamp.jid,
                 coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset,
                 skips[reason].text, reason == JG_REASON_NONE ? answer->original : "");
    struct jg_event event = JG_EVENT_INIT(skips[reason].event);
    event.duplicate_of = answer->original;
    event.next = answer->next;
    event.reason = skips[reason].name;
    jg_tell_coming(gate, coming, event);
}

/* Nothing can be decided, or nothing may be handed out. */
void
jg_coming_hold_back(struct jg_gate *gate, const struct jg_coming *coming, const char *reason)
{
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_HELD_BACK], JG_LOG_ERROR, "HOLD-BACK", "%s/%d/%lld: %s",
                 coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset, reason);
    jg_act_hold_back(gate, coming->rkmessage, reason);
}

/* A refusal comes once a second: the seek brings the message again at once. In a batch call nothing is sought back, and
 * the call runs through what there is; in neither case is anything stored, so that it all comes again one day. */
static void
refuse(struct jg_gate *gate, const struct jg_coming *coming, const char *reason)
{
    bool taken = jg_storing_take(gate);
    jg_count(JG_COUNT_REFUSED, 1);
    if (coming->batch) {
        if (taken) /* librdkafka 2.0 stores before it shows us a message of a batch */
            jg_storing_store(gate, coming->rkmessage, false);
        jg_clock_pause_ms(BATCH_REFUSAL_MS);
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_HELD_BACK], JG_LOG_ERROR, "REFUSED", "%s/%d/%lld: %s",
                     coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset, reason);
        jg_act_withhold(gate, coming->rkmessage, reason);
        return;
    }
    int64_t wait_ms = atomic_load(&gate->refusal_due_ms) - coming->now_ms;
    jg_clock_pause_ms(wait_ms);
    atomic_store(&gate->refusal_due_ms, coming->now_ms + (wait_ms > 0 ? wait_ms : 0) + REFUSAL_EVERY_MS);
    jg_coming_hold_back(gate, coming, reason);
}

/* --- the hook's way in --- */

/* No plugin produced it, and its class may have a limit or the like: stamp it as one would have, but for dedup. Its jid
 * is made of its position, so that it is the same however often it comes. */
static void
identify(struct jg_gate *gate, struct jg_coming *coming)
{
    const rd_kafka_message_t *rkmessage = coming->rkmessage;
    struct jg_identity identity;
    char position[48], hash[JG_KEY_CHARS + 1];
    jg_identity_init(&identity);
    switch (jg_gate_identify(gate, rkmessage, coming->topic, &identity)) {
    case JG_IDENTIFIED:
        snprintf(position, sizeof position, "%d/%lld", (int)rkmessage->partition, (long long)rkmessage->offset);
        jg_job_key(gate->settings->name_space, coming->topic, position, strlen(position), hash);
        coming->stamp = (struct jg_stamp){.dedup = JG_DEDUP_NONE};
        memcpy(coming->stamp.class_name, identity.class_name, sizeof coming->stamp.class_name);
        memcpy(coming->stamp.key, identity.key, sizeof coming->stamp.key);
        snprintf(coming->stamp.jid, sizeof coming->stamp.jid, "%s-%.*s", identity.key, JG_JID_RANDOM_CHARS, hash);
        coming->stamped = JG_STAMP_OURS;
        break;
    case JG_UNIDENTIFIED:
        jg_count(JG_COUNT_UNIDENTIFIED, 1);
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_UNIDENTIFIED], JG_LOG_WARNING, "IDENTIFY",
                     "%s/%d/%lld cannot be identified, so no limit or lease holds for it: %s", coming->topic,
                     (int)rkmessage->partition, (long long)rkmessage->offset, identity.reason.text);
        break;
    case JG_NO_JOB:
        break;
    }
    jg_identity_clear(&identity);
}

static void
tell_foreign(struct jg_gate *gate, const struct jg_coming *coming)
{
    jg_count(JG_COUNT_FOREIGN_STAMP, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_FOREIGN], JG_LOG_WARNING, "STAMP",
                 "jobgate headers at %s/%d/%lld are of another namespace, topic or version, or malformed: ignored",
                 coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset);
}

/* The key of its limit is always our own finding. Bounded by the payload's size, as for who produced it. */
static void
find_limit_key(struct jg_gate *gate, struct jg_coming *coming)
{
    const rd_kafka_message_t *rkmessage = coming->rkmessage;
    struct jg_identity identity;
    coming->stamp.limit_key[0] = '\0';
    if (!coming->policy.limit_key)
        return;
    jg_identity_init(&identity);
    bool found = jg_gate_limit_key(gate, rkmessage, coming->topic, coming->stamp.class_name, coming->policy.limit_key,
                                   &identity, coming->stamp.limit_key);
    if (!found && coming->stamp.resumed == 0) {
        jg_count(JG_COUNT_KEYLESS, 1);
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_KEYLESS], JG_LOG_WARNING, "LIMIT",
                     "class %s: job %s at %s/%d/%lld shares one limit with all in which limit.key finds nothing: %s",
                     coming->stamp.class_name, coming->stamp.jid, coming->topic, (int)rkmessage->partition,
                     (long long)rkmessage->offset, identity.reason.text);
    }
    jg_identity_clear(&identity);
}

static void
look_at_stamp(struct jg_gate *gate, struct jg_coming *coming)
{
    struct jg_stamp_notes notes;
    coming->stamped =
        jg_stamp_read(gate->rdk, coming->rkmessage, gate->settings->name_space, coming->topic, &coming->stamp, &notes);
    if (coming->stamped == JG_STAMP_FOREIGN)
        tell_foreign(gate, coming);
    if (coming->stamped != JG_STAMP_OURS && (gate->gates || gate->completion == JG_COMPLETION_API))
        identify(gate, coming);
    if (notes.release_count && gate->settings->disable == JG_DISABLE_NO)
        jg_release_read(gate, coming, &notes);
    if (gate->gates && notes.given) /* a program may believe it, so it must be ours */
        jg_stamp_strip_given(gate->rdk, coming->rkmessage);
    if (coming->stamped != JG_STAMP_OURS)
        return;
    jg_conf_policy(gate->conf, coming->stamp.class_name, &coming->policy);
    find_limit_key(gate, coming);
}

/* Nothing governed is handed out, whatever it is. */
static const char *
is_refused(const struct jg_gate *gate)
{
    if (gate->refused.text[0])
        return gate->refused.text;
    if (gate->completion == JG_COMPLETION_AUTO && gate->unseen[0])
        return gate->unseen;
    return NULL;
}

/* Who stores offsets from here on? Batch calls hand out many messages at once: from then on the end of a job cannot be
 * seen by polls, and librdkafka stores. */
static bool
look_at_call(struct jg_gate *gate, enum jg_rdk_call call)
{
    bool batch = atomic_load(&gate->batches) || call == JG_CALL_BATCH;
    if (!batch || atomic_exchange(&gate->batches, true))
        return batch;
    pthread_mutex_lock(&gate->lock);
    bool unseen = gate->completion == JG_COMPLETION_POLL;
    if (unseen)
        gate->completion = JG_COMPLETION_AUTO;
    pthread_mutex_unlock(&gate->lock);
    if (!is_refused(gate) && gate->completion != JG_COMPLETION_API) /* by calls we know what is finished */
        jg_storing_give_back(gate);
    if (unseen)
        jg_log(&gate->log, JG_LOG_NOTICE, "RUN",
               "this consumer takes messages in batches: the end of a job cannot be seen, offsets are stored when "
               "messages are handed out. To store them when jobs are done set enable.auto.offset.store=false");
    return batch;
}

/* A consumer that reads partitions by rd_kafka_consume_start has none assigned, and polls none of what a probe is sent
 * to: when it comes back cannot be told, unless by another message. */
static void
look_at_kind(struct jg_gate *gate)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    if (gate->completion != JG_COMPLETION_POLL || atomic_exchange(&gate->kind_seen, true) ||
        gate->rdk->assignment(gate->rk, &assigned))
        return;
    bool legacy = assigned->cnt == 0;
    gate->rdk->topic_partition_list_destroy(assigned);
    if (!legacy)
        return;
    gate->completion = JG_COMPLETION_AUTO;
    jg_log(&gate->log, JG_LOG_NOTICE, "RUN",
           "this consumer reads partitions without an assignment (rd_kafka_consume_start): the end of a job cannot be "
           "seen, offsets are stored when messages are handed out");
}

static void
meet(void *opaque, const char *class_name)
{
    struct jg_gate *gate = opaque;
    bool is_new;
    if (gate->store)
        (void)jg_known_meet(gate, class_name, &is_new);
}

void
jg_gate_start_consuming(struct jg_gate *gate)
{
    bool first = false;
    pthread_mutex_lock(&gate->lock);
    first = !gate->consuming;
    gate->consuming = true;
    pthread_mutex_unlock(&gate->lock);
    if (!first)
        return;
    rd_kafka_queue_t *queue = gate->rdk->queue_get_consumer(gate->rk);
    rd_kafka_queue_t *echoes = gate->rdk->queue_new(gate->rk);
    pthread_mutex_lock(&gate->lock);
    gate->consumer_queue = queue;
    gate->echoes = echoes;
    pthread_mutex_unlock(&gate->lock);
    jg_conf_each_gated(gate->conf, meet, gate); /* the store is told of these before a job comes */
    jg_worker_start(gate);
    jg_defer_start(gate);
    if (gate->completion == JG_COMPLETION_POLL)
        jg_log(
            &gate->log, JG_LOG_INFO, "RUN",
            "a job counts as done when this consumer polls again: right for one job at a time on the polling thread. "
            "Programs that hand jobs to other threads set enable.auto.offset.store=false and store offsets");
}

static void
take_storing(struct jg_gate *gate, const struct jg_coming *coming)
{
    if (coming->batch && gate->completion != JG_COMPLETION_API)
        return;
    if (jg_storing_take(gate) && coming->batch) /* librdkafka 2.0 stores before it shows us a message of a batch */
        jg_storing_store(gate, coming->rkmessage, false);
}

static void
consume_governed(struct jg_gate *gate, struct jg_coming *coming, struct jg_run *done)
{
    look_at_stamp(gate, coming);
    coming->batch = look_at_call(gate, coming->call);
    look_at_kind(gate);
    const char *reason = is_refused(gate);
    if (!reason && jg_coming_needs_answer(coming))
        reason = gate->store ? jg_guard_look(gate, coming->topic, coming->now_ms) : coming->batch ? NULL : JG_NO_STORE;
    if (reason) {
        jg_coming_end_done(gate, done, coming->now_ms);
        refuse(gate, coming, reason);
        return;
    }
    take_storing(gate, coming);
    open_offset(gate, coming);
    if (coming->stamped == JG_STAMP_OURS && coming->stamp.duplicate_of[0]) {
        struct jg_op marked = {.verdict = JG_SKIP};
        jg_coming_end_done(gate, done, coming->now_ms);
        if (!jg_release_later(gate, coming))
            return;
        strcpy(marked.original, coming->stamp.duplicate_of);
        jg_coming_skip(gate, coming, &marked);
        return;
    }
    jg_gate_decide(gate, coming, done);
}

/* Not ours to govern: skip what a producer marked, when only that is asked for. */
static void
consume_disabled(struct jg_gate *gate, struct jg_coming *coming)
{
    look_at_stamp(gate, coming);
    if (coming->stamped == JG_STAMP_OURS && coming->stamp.duplicate_of[0])
        jg_act_skip(gate, coming->rkmessage, JG_SKIP_DUPLICATE);
}

/* A pattern that governs topics matches what stands beside them, too: held jobs come back by themselves, dead ones do
 * not run. */
static bool
is_beside(const struct jg_gate *gate, const char *topic)
{
    char origin[JG_TOPIC_MAX_BYTES + 1];
    return (jg_holding_parse(topic, origin, sizeof origin) || jg_dead_parse(topic, origin, sizeof origin)) &&
           jg_conf_topic(gate->conf, origin);
}

static void
consume_beside(struct jg_gate *gate, struct jg_coming *coming, struct jg_run *done)
{
    jg_coming_end_done(gate, done, coming->now_ms);
    if (coming->call != JG_CALL_BATCH)
        (void)jg_storing_take(gate);
    open_offset(gate, coming);
    jg_coming_finish_offset(gate, coming, false);
    jg_act_skip(gate, coming->rkmessage, JG_SKIP_HOLDING_TOPIC);
}

void
jg_gate_consume(struct jg_gate *gate, rd_kafka_message_t *rkmessage, int64_t now_ms)
{
    struct jg_coming coming = {
        .rkmessage = rkmessage,
        .topic = gate->rdk->topic_name(rkmessage->rkt),
        .now_ms = now_ms,
    };
    if (gate->settings->disable == JG_DISABLE_PASS)
        consume_disabled(gate, &coming);
    if (gate->settings->disable != JG_DISABLE_NO || gate->settings->observe)
        return;
    jg_gate_start_consuming(gate);
    coming.call = jg_rdk_consume_call(gate->rdk);
    jg_callbackless_look(gate, coming.call, now_ms);
    struct jg_run *done = jg_gate_come_back(gate, "a message");
    if (is_beside(gate, coming.topic))
        consume_beside(gate, &coming, done);
    else
        consume_governed(gate, &coming, done);
    free(coming.releases);
}

void
jg_gate_consume_untouched(struct jg_gate *gate, rd_kafka_message_t *rkmessage)
{
    struct jg_run *done = jg_gate_come_back(gate, "a message");
    if (done)
        jg_gate_end_later(gate, done, jg_clock_ms());
    /* As librdkafka does, which we took over from. */
    if (!atomic_load(&gate->storing))
        return;
    (void)look_at_call(gate, atomic_load(&gate->batches) ? JG_CALL_BATCH : jg_rdk_consume_call(gate->rdk));
    jg_storing_store(gate, rkmessage, true);
}
