/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer's side: what the application had is done; may the next message run? */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "plugin/act.h"
#include "plugin/counters.h"
#include "plugin/stamp.h"

#define REFUSAL_EVERY_MS 1000
#define INFLIGHT_MOST 100000 /* open until_executed jobs of one instance; with more, the oldest are no longer renewed */

/* A governed message on its way. */
struct coming {
    rd_kafka_message_t *rkmessage;
    const char *topic;
    enum jg_stamped stamped;
    struct jg_stamp stamp;
    bool batch; /* handed out by a call that takes many */
    int64_t now_ms;
};

/* --- what is done with it --- */

static void
note_seen(struct jg_gate *gate, const struct coming *coming, bool finished)
{
    const rd_kafka_message_t *rkmessage = coming->rkmessage;
    struct jg_run *again = NULL;
    pthread_mutex_lock(&gate->lock);
    const struct jg_partition *seen = jg_offsets_find(&gate->offsets, coming->topic, rkmessage->partition);
    if (seen && rkmessage->offset < seen->next) /* sought back: what was handed out from here on comes again */
        again =
            jg_inflight_take(&gate->inflight, coming->topic, rkmessage->partition, rkmessage->offset, INT64_MAX);
    /* Out of memory: the offset is not tracked, hence stored with the next one that is. */
    enum jg_err err = jg_offsets_begin(&gate->offsets, coming->topic, rkmessage->partition, rkmessage->offset);
    if (err == JG_OK && finished)
        jg_offsets_finish(&gate->offsets, coming->topic, rkmessage->partition, rkmessage->offset);
    pthread_mutex_unlock(&gate->lock);
    while (again) {
        struct jg_run *next = again->next;
        jg_run_destroy(again);
        again = next;
    }
    if (finished)
        jg_gate_store_offset(gate, coming->topic, rkmessage->partition);
}

static void
skip(struct jg_gate *gate, const struct coming *coming, const char *original)
{
    note_seen(gate, coming, true);
    jg_act_skip(gate, coming->rkmessage);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_SKIP], JG_LOG_INFO, "SKIP",
                 "class %s: job %s at %s/%d/%lld is a duplicate of %s: skipped", coming->stamp.class_name,
                 coming->stamp.jid, coming->topic, (int)coming->rkmessage->partition,
                 (long long)coming->rkmessage->offset, original);
}

/* Nothing can be decided, or nothing may be handed out. */
static void
hold_back(struct jg_gate *gate, const struct coming *coming, const char *reason)
{
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_HELD_BACK], JG_LOG_ERROR, "HOLD-BACK", "%s/%d/%lld: %s",
                 coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset, reason);
    jg_act_hold_back(gate, coming->rkmessage, reason, coming->batch);
}

/* A refusal comes once a second: the seek brings the message again at once. */
static void
refuse(struct jg_gate *gate, const struct coming *coming, const char *reason)
{
    int64_t wait_ms = atomic_load(&gate->refusal_due_ms) - coming->now_ms;
    if (wait_ms > 0) {
        struct timespec pause = {.tv_sec = wait_ms / 1000, .tv_nsec = (wait_ms % 1000) * 1000000L};
        nanosleep(&pause, NULL);
    }
    atomic_store(&gate->refusal_due_ms, coming->now_ms + (wait_ms > 0 ? wait_ms : 0) + REFUSAL_EVERY_MS);
    jg_count(JG_COUNT_REFUSED, 1);
    hold_back(gate, coming, reason);
}

/* --- it runs --- */

static struct jg_run *
new_run(struct jg_gate *gate, const struct coming *coming)
{
    const rd_kafka_message_t *rkmessage = coming->rkmessage;
    struct jg_run *run = jg_run_new(coming->topic, rkmessage->partition, rkmessage->offset);
    if (!run)
        return NULL;
    run->started_ms = coming->now_ms;
    if (coming->stamped != JG_STAMP_OURS)
        return run;
    struct jg_policy policy;
    jg_conf_policy(gate->conf, coming->stamp.class_name, &policy);
    memcpy(run->jid, coming->stamp.jid, sizeof run->jid);
    memcpy(run->key, coming->stamp.key, sizeof run->key);
    memcpy(run->class_name, coming->stamp.class_name, sizeof run->class_name);
    run->dedup = coming->stamp.dedup;
    run->dedup_ttl_ms = policy.dedup_ttl_ms;
    run->in_store = run->dedup == JG_DEDUP_UNTIL_EXECUTED && !coming->stamp.unclaimed;
    snprintf(run->member, sizeof run->member, "%s@%s@%s/%d/%lld", run->jid, gate->id, coming->topic,
             (int)rkmessage->partition, (long long)rkmessage->offset);
    return run;
}

/* Bounded: an application that never commits must not cost memory without end. Under the lock. */
static struct jg_run *
make_room(struct jg_gate *gate)
{
    struct jg_run *oldest = gate->inflight.count >= INFLIGHT_MOST ? gate->inflight.head : NULL;
    if (oldest)
        jg_inflight_remove(&gate->inflight, oldest);
    return oldest;
}

static void
hand_out(struct jg_gate *gate, const struct coming *coming, struct jg_run *run)
{
    rd_kafka_queue_t *probe = NULL;
    jg_count(JG_COUNT_RUN, 1);
    note_seen(gate, coming, gate->completion == JG_COMPLETION_AUTO);
    pthread_mutex_lock(&gate->lock);
    struct jg_run *lost = make_room(gate);
    if (gate->completion == JG_COMPLETION_POLL) {
        jg_inflight_add(&gate->inflight, run);
        gate->current = run;
        gate->current_thread = pthread_self();
        gate->current_number++;
        run = NULL;
        probe = gate->consumer_queue;
    } else if (gate->completion == JG_COMPLETION_COMMIT && run->in_store) {
        jg_inflight_add(&gate->inflight, run);
        run = NULL;
    }
    pthread_mutex_unlock(&gate->lock);
    if (lost)
        jg_count(JG_COUNT_LOST_RUN, 1);
    jg_run_destroy(lost);
    jg_run_destroy(run);
    /* Another message in the queue will tell as well, and costs nothing; the background thread probes later. */
    if (probe && gate->rdk->queue_length(probe) == 0)
        jg_probe_send(gate);
}

/* --- the question --- */

static bool
needs_answer(const struct coming *coming)
{
    return coming->stamped == JG_STAMP_OURS && !coming->stamp.unclaimed;
}

/* Ask, together with the completion of what ran before. `done` is finished, or handed to the background thread. */
static enum jg_err
admit(struct jg_gate *gate, const struct coming *coming, struct jg_run *run, struct jg_run *done, struct jg_op *answer)
{
    struct jg_op ops[2];
    size_t count = 0;
    if (done && done->in_store)
        ops[count++] = jg_run_complete_op(done);
    struct jg_op *ask = &ops[count++];
    *ask = jg_run_renew_op(run);
    ask->kind = JG_OP_ADMIT;
    ask->candidate_of = coming->stamp.candidate_of[0] ? coming->stamp.candidate_of : NULL;
    bool told = false;
    if (jg_ask(gate, ops, count) != JG_OK) {
        told = count == 2 && ops[0].err == JG_OK;
        if (ask->err != JG_OK)
            (void)!jg_ask_patiently(gate, ask, 1); /* its error is in `ask` */
    } else {
        told = true;
    }
    if (done && (told || !done->in_store))
        jg_gate_finish(gate, done);
    else if (done)
        jg_gate_end_later(gate, done, coming->now_ms);
    *answer = *ask;
    return ask->err;
}

static void
end_done(struct jg_gate *gate, struct jg_run *done, int64_t now_ms)
{
    if (done)
        jg_gate_end_later(gate, done, now_ms);
}

/* The message may run, or not. */
static void
decide(struct jg_gate *gate, const struct coming *coming, struct jg_run *done)
{
    struct jg_op answer;
    struct jg_run *run = new_run(gate, coming);
    if (!run) {
        end_done(gate, done, coming->now_ms);
        hold_back(gate, coming, "jobgate: out of memory");
        return;
    }
    if (!needs_answer(coming)) {
        end_done(gate, done, coming->now_ms);
        hand_out(gate, coming, run);
        return;
    }
    if (admit(gate, coming, run, done, &answer) != JG_OK) {
        jg_run_destroy(run);
        hold_back(gate, coming,
                  "jobgate: the store (jobgate.store) does not answer, so it cannot be told whether this job may run; "
                  "it comes again");
        return;
    }
    if (answer.verdict == JG_SKIP) {
        jg_run_destroy(run);
        skip(gate, coming, answer.original);
        return;
    }
    run->epoch = answer.epoch;
    hand_out(gate, coming, run);
}

/* Why no governed message may be handed out; NULL: it may. */
static const char *
refusal(const struct jg_gate *gate, const struct coming *coming)
{
    if (gate->refused.text[0])
        return gate->refused.text;
    if (coming->stamped != JG_STAMP_OURS || coming->stamp.unclaimed)
        return NULL;
    if (!gate->store)
        return "jobgate: this job has a claim, but jobgate.store is not set here: set it to the producer's store";
    if (coming->stamp.dedup == JG_DEDUP_UNTIL_EXECUTED && gate->completion == JG_COMPLETION_AUTO)
        return "jobgate: this job's class has dedup=until_executed, and with batch calls or several polling threads "
               "its end cannot be seen: set enable.auto.offset.store=false and store offsets when jobs are done, or "
               "take one message per poll on one thread, or use dedup=until_executing";
    return NULL;
}

/* --- the hook's way in --- */

static void
look_at_stamp(struct jg_gate *gate, struct coming *coming)
{
    coming->stamped = jg_stamp_read(gate->rdk, coming->rkmessage, gate->settings->name_space, coming->topic,
                                    &coming->stamp);
    if (coming->stamped != JG_STAMP_FOREIGN)
        return;
    jg_count(JG_COUNT_FOREIGN_STAMP, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_FOREIGN], JG_LOG_WARNING, "STAMP",
                 "jobgate headers at %s/%d/%lld are of another namespace, topic or version, or malformed: ignored",
                 coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset);
}

/* Batch calls hand out many messages at once: from then on the end of a job cannot be seen by polls. */
static void
look_at_call(struct jg_gate *gate, struct coming *coming)
{
    coming->batch = gate->completion == JG_COMPLETION_AUTO || jg_rdk_within_consume_batch(gate->rdk);
    if (!coming->batch || gate->completion != JG_COMPLETION_POLL)
        return;
    pthread_mutex_lock(&gate->lock);
    gate->completion = JG_COMPLETION_AUTO;
    pthread_mutex_unlock(&gate->lock);
    jg_log(&gate->log, JG_LOG_NOTICE, "RUN",
           "this consumer takes messages in batches: the end of a job cannot be seen, offsets are stored when messages "
           "are handed out. To store them when jobs are done set enable.auto.offset.store=false");
}

/* The first governed message of a consumer. */
static void
start(struct jg_gate *gate)
{
    bool first = false;
    rd_kafka_queue_t *queue = NULL;
    pthread_mutex_lock(&gate->lock);
    first = !gate->worker_started && !gate->worker_failed;
    pthread_mutex_unlock(&gate->lock);
    if (!first)
        return;
    queue = gate->rdk->queue_get_consumer(gate->rk);
    pthread_mutex_lock(&gate->lock);
    if (!gate->consumer_queue) {
        gate->consumer_queue = queue;
        queue = NULL;
    }
    pthread_mutex_unlock(&gate->lock);
    if (queue)
        gate->rdk->queue_destroy(queue);
    jg_worker_start(gate);
    if (gate->completion == JG_COMPLETION_POLL)
        jg_log(&gate->log, JG_LOG_INFO, "RUN",
               "a job counts as done when this consumer polls again: right for one job at a time on the polling thread. "
               "Programs that hand jobs to other threads set enable.auto.offset.store=false and store offsets");
}

static void
consume_governed(struct jg_gate *gate, struct coming *coming, struct jg_run *done)
{
    look_at_stamp(gate, coming);
    if (coming->stamped == JG_STAMP_OURS && coming->stamp.duplicate_of[0] && !gate->refused.text[0]) {
        end_done(gate, done, coming->now_ms);
        skip(gate, coming, coming->stamp.duplicate_of);
        return;
    }
    look_at_call(gate, coming);
    const char *reason = refusal(gate, coming);
    if (reason) {
        end_done(gate, done, coming->now_ms);
        refuse(gate, coming, reason);
        return;
    }
    decide(gate, coming, done);
}

/* Not ours to govern: skip what a producer marked, when only that is asked for. */
static void
consume_disabled(struct jg_gate *gate, struct coming *coming)
{
    look_at_stamp(gate, coming);
    if (coming->stamped == JG_STAMP_OURS && coming->stamp.duplicate_of[0])
        jg_act_skip(gate, coming->rkmessage);
}

void
jg_gate_consume(struct jg_gate *gate, rd_kafka_message_t *rkmessage, int64_t now_ms)
{
    const char *topic = gate->rdk->topic_name(rkmessage->rkt);
    struct coming coming = {.rkmessage = rkmessage, .topic = topic, .now_ms = now_ms};
    bool governed = jg_conf_topic(gate->conf, topic) != NULL;
    if (gate->settings->disable != JG_DISABLE_NO) {
        if (governed && gate->settings->disable == JG_DISABLE_PASS)
            consume_disabled(gate, &coming);
        return;
    }
    if (gate->settings->observe)
        return;
    if (governed)
        start(gate);
    struct jg_run *done = jg_gate_come_back(gate, "a message");
    if (governed) {
        consume_governed(gate, &coming, done);
        return;
    }
    end_done(gate, done, now_ms);
    if (gate->client.offsets_ours)
        (void)gate->rdk->offset_store(rkmessage->rkt, rkmessage->partition, rkmessage->offset);
}
