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
#define BATCH_REFUSAL_MS 2 /* a refused batch call runs through a backlog at this pace */
#define NO_STORE "jobgate: this job has a claim, but jobgate.store is not set here: set it to the producer's store"
#define UNSEEN_END "with batch calls or several polling threads the end of a job cannot be seen"
#define UNSEEN_CURE                                                                                                    \
    "set enable.auto.offset.store=false and store offsets when jobs are done, or take one message per poll on one "    \
    "thread, or use dedup=until_executing"
#define INFLIGHT_MOST                                                                                                  \
    100000 /* open until_executed jobs of one instance; with more, the oldest are no longer renewed                    \
            */

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

/* It is unfinished from now on, also while it waits for the store: nothing past it may be stored. A seek back makes
 * what was handed out from here on come again, so that is forgotten. */
static void
open_offset(struct jg_gate *gate, const struct coming *coming)
{
    const char *topic = coming->topic;
    int32_t partition = coming->rkmessage->partition;
    int64_t offset = coming->rkmessage->offset;
    struct jg_run *again = NULL;
    pthread_mutex_lock(&gate->lock);
    const struct jg_partition *seen = jg_offsets_find(&gate->offsets, topic, partition);
    if (seen && offset < seen->next)
        again = jg_inflight_take(&gate->inflight, topic, partition, offset, INT64_MAX);
    /* Out of memory: the offset is not tracked, hence stored with the next one that is. */
    (void)!jg_offsets_begin(&gate->offsets, topic, partition, offset);
    pthread_mutex_unlock(&gate->lock);
    jg_count(JG_COUNT_LOST_RUN, (int64_t)jg_run_destroy_all(again));
}

static void
finish_offset(struct jg_gate *gate, const struct coming *coming)
{
    pthread_mutex_lock(&gate->lock);
    jg_offsets_finish(&gate->offsets, coming->topic, coming->rkmessage->partition, coming->rkmessage->offset);
    pthread_mutex_unlock(&gate->lock);
    jg_storing_store_safe(gate, coming->topic, coming->rkmessage->partition);
}

static void
skip(struct jg_gate *gate, const struct coming *coming, const char *original)
{
    finish_offset(gate, coming);
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
    jg_act_hold_back(gate, coming->rkmessage, reason);
}

static void
pause_ms(int64_t ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
    if (ms > 0)
        nanosleep(&pause, NULL);
}

/* A refusal comes once a second: the seek brings the message again at once. In a batch call nothing is sought back, and
 * the call runs through what there is; in neither case is anything stored, so that it all comes again one day. */
static void
refuse(struct jg_gate *gate, const struct coming *coming, const char *reason)
{
    bool taken = jg_storing_take(gate);
    jg_count(JG_COUNT_REFUSED, 1);
    if (coming->batch) {
        if (taken) /* librdkafka 2.0 stores before it shows us a message of a batch */
            jg_storing_store(gate, coming->rkmessage, false);
        pause_ms(BATCH_REFUSAL_MS);
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_HELD_BACK], JG_LOG_ERROR, "REFUSED", "%s/%d/%lld: %s",
                     coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset, reason);
        jg_act_withhold(coming->rkmessage, reason);
        return;
    }
    int64_t wait_ms = atomic_load(&gate->refusal_due_ms) - coming->now_ms;
    pause_ms(wait_ms);
    atomic_store(&gate->refusal_due_ms, coming->now_ms + (wait_ms > 0 ? wait_ms : 0) + REFUSAL_EVERY_MS);
    hold_back(gate, coming, reason);
}

/* --- it runs --- */

/* A producer's settings say until_executed, which ours do not, so nothing was refused: what this call has handed out
 * before could not be given back. The claim ends at the start, since its end cannot be seen. */
static enum jg_dedup
end_claim_at_start(struct jg_gate *gate, const struct coming *coming)
{
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_REFUSED], JG_LOG_ERROR, "RUN",
                 "class %s has dedup=until_executed at its producer, but " UNSEEN_END
                 ": its claims end when its jobs start; " UNSEEN_CURE,
                 coming->stamp.class_name);
    return JG_DEDUP_UNTIL_EXECUTING;
}

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
    if (run->dedup == JG_DEDUP_UNTIL_EXECUTED && gate->completion == JG_COMPLETION_AUTO)
        run->dedup = end_claim_at_start(gate, coming);
    run->in_store = gate->store && run->dedup == JG_DEDUP_UNTIL_EXECUTED && !coming->stamp.unclaimed;
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
    struct jg_run *other = NULL;
    jg_count(JG_COUNT_RUN, 1);
    pthread_mutex_lock(&gate->lock);
    if (gate->current) { /* another thread was handed a job while this one asked the store */
        other = jg_gate_take_current(gate);
        gate->completion = JG_COMPLETION_AUTO;
    }
    bool finished = gate->completion != JG_COMPLETION_POLL;
    struct jg_run *lost = make_room(gate);
    bool kept = gate->completion == JG_COMPLETION_POLL || (gate->completion == JG_COMPLETION_COMMIT && run->in_store);
    if (kept)
        jg_inflight_add(&gate->inflight, run);
    if (kept && run->in_store && run->dedup_ttl_ms / 3 < gate->renew_every_ms) {
        gate->renew_every_ms = run->dedup_ttl_ms / 3;
        pthread_cond_signal(&gate->wake);
    }
    if (gate->completion == JG_COMPLETION_POLL) {
        gate->current = run;
        gate->current_thread = pthread_self();
        atomic_store(&gate->busy, true);
        probe = gate->consumer_queue;
    }
    bool told_at_close = gate->rebalanced;
    pthread_mutex_unlock(&gate->lock);
    if (other)
        jg_gate_end_unseen(gate, other, "a message");
    jg_count(JG_COUNT_LOST_RUN, (lost != NULL) + (!kept && run->in_store));
    jg_run_destroy(lost);
    if (!kept)
        jg_run_destroy(run);
    if (finished)
        finish_offset(gate, coming);
    /* Another message in the queue will tell as well, and costs nothing; the background thread probes later. Without
     * rebalances only a probe tells of a close. */
    if (probe && (!told_at_close || gate->rdk->queue_length(probe) == 0))
        jg_probe_send(gate);
}

/* --- the question --- */

static bool
needs_answer(const struct coming *coming)
{
    return coming->stamped == JG_STAMP_OURS && !coming->stamp.unclaimed;
}

/* A completion goes with the question, unless a renewal of some run is under way: it must not come after. */
static bool
may_go_along(struct jg_gate *gate, const struct jg_run *done)
{
    pthread_mutex_lock(&gate->lock);
    bool renewing = gate->renewals != 0;
    pthread_mutex_unlock(&gate->lock);
    return done && done->in_store && !renewing;
}

/* Wait for the store? A batch call waits once: its messages cannot be kept back, and each would wait. */
static bool
is_patient(struct jg_gate *gate, const struct coming *coming)
{
    return !coming->batch || !atomic_exchange(&gate->impatient, true);
}

/* Ask, together with the completion of what ran before. `done` is finished, or handed to the background thread. */
static enum jg_err
admit(struct jg_gate *gate, const struct coming *coming, const struct jg_run *run, struct jg_run *done,
      struct jg_op *answer)
{
    struct jg_op ops[2];
    bool along = may_go_along(gate, done);
    struct jg_op *ask = &ops[along];
    if (along)
        ops[0] = jg_run_complete_op(done);
    *ask = jg_run_admit_op(run);
    ask->candidate_of = coming->stamp.candidate_of[0] ? coming->stamp.candidate_of : NULL;
    if (jg_ask(gate, ops, (size_t)along + 1) != JG_OK && ask->err != JG_OK && is_patient(gate, coming))
        (void)!jg_ask_patiently(gate, ask, 1); /* its error is in `ask` */
    if (ask->err == JG_OK)
        atomic_store(&gate->impatient, false);
    if (along && ops[0].err == JG_OK)
        jg_gate_finish(gate, done);
    else if (done)
        jg_gate_end_later(gate, done, coming->now_ms);
    *answer = *ask;
    return ask->err;
}

/* It runs although the store did not answer: told later, the store ends its claim then. */
static void
admit_later(struct jg_gate *gate, const struct coming *coming, const struct jg_run *run)
{
    struct jg_op op = jg_run_admit_op(run);
    struct jg_pending *pending = jg_pending_new(&op);
    jg_count(JG_COUNT_UNADMITTED, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_ERROR, "STORE",
                 "the store (jobgate.store) does not answer, and a batch call cannot keep messages back: jobs of topic "
                 "%s run unasked, and so may their duplicates",
                 coming->topic);
    if (!pending)
        return;
    pending->give_up_ms = coming->now_ms + run->dedup_ttl_ms; /* by then the claim is gone */
    if (!jg_worker_push(gate, pending))
        jg_pending_destroy(pending);
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
    if (!gate->store) { /* in a batch call, which cannot keep it back */
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_ERROR, "STORE", NO_STORE);
        end_done(gate, done, coming->now_ms);
        hand_out(gate, coming, run);
        return;
    }
    enum jg_err err = admit(gate, coming, run, done, &answer);
    if (err != JG_OK && coming->batch) {
        admit_later(gate, coming, run);
        hand_out(gate, coming, run);
        return;
    }
    if (err != JG_OK) {
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

/* --- the hook's way in --- */

static void
look_at_stamp(struct jg_gate *gate, struct coming *coming)
{
    coming->stamped =
        jg_stamp_read(gate->rdk, coming->rkmessage, gate->settings->name_space, coming->topic, &coming->stamp);
    if (coming->stamped != JG_STAMP_FOREIGN)
        return;
    jg_count(JG_COUNT_FOREIGN_STAMP, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_FOREIGN], JG_LOG_WARNING, "STAMP",
                 "jobgate headers at %s/%d/%lld are of another namespace, topic or version, or malformed: ignored",
                 coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset);
}

/* Nothing governed is handed out, whatever it is. */
static const char *
is_refused(const struct jg_gate *gate)
{
    if (gate->refused.text[0])
        return gate->refused.text;
    if (gate->completion == JG_COMPLETION_AUTO && jg_conf_has_until_executed(gate->conf))
        return "jobgate: dedup=until_executed is set, and " UNSEEN_END ": " UNSEEN_CURE;
    return NULL;
}

/* Who stores offsets from here on? Batch calls hand out many messages at once: from then on the end of a job cannot be
 * seen by polls, and librdkafka stores. */
static bool
look_at_call(struct jg_gate *gate)
{
    bool batch = atomic_load(&gate->batches) || jg_rdk_within_consume_batch(gate->rdk);
    if (!batch || atomic_exchange(&gate->batches, true))
        return batch;
    pthread_mutex_lock(&gate->lock);
    bool unseen = gate->completion == JG_COMPLETION_POLL;
    if (unseen)
        gate->completion = JG_COMPLETION_AUTO;
    pthread_mutex_unlock(&gate->lock);
    if (!is_refused(gate))
        jg_storing_give_back(gate);
    if (unseen)
        jg_log(&gate->log, JG_LOG_NOTICE, "RUN",
               "this consumer takes messages in batches: the end of a job cannot be seen, offsets are stored when "
               "messages are handed out. To store them when jobs are done set enable.auto.offset.store=false");
    return batch;
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
        jg_log(
            &gate->log, JG_LOG_INFO, "RUN",
            "a job counts as done when this consumer polls again: right for one job at a time on the polling thread. "
            "Programs that hand jobs to other threads set enable.auto.offset.store=false and store offsets");
}

static void
consume_governed(struct jg_gate *gate, struct coming *coming, struct jg_run *done)
{
    look_at_stamp(gate, coming);
    coming->batch = look_at_call(gate);
    const char *reason = is_refused(gate);
    if (!reason && needs_answer(coming) && !gate->store && !coming->batch)
        reason = NO_STORE;
    if (reason) {
        end_done(gate, done, coming->now_ms);
        refuse(gate, coming, reason);
        return;
    }
    if (!coming->batch)
        (void)jg_storing_take(gate);
    open_offset(gate, coming);
    if (coming->stamped == JG_STAMP_OURS && coming->stamp.duplicate_of[0]) {
        end_done(gate, done, coming->now_ms);
        skip(gate, coming, coming->stamp.duplicate_of);
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
    struct coming coming = {
        .rkmessage = rkmessage,
        .topic = gate->rdk->topic_name(rkmessage->rkt),
        .now_ms = now_ms,
    };
    if (gate->settings->disable == JG_DISABLE_PASS)
        consume_disabled(gate, &coming);
    if (gate->settings->disable != JG_DISABLE_NO || gate->settings->observe)
        return;
    start(gate);
    struct jg_run *done = jg_gate_come_back(gate, "a message");
    consume_governed(gate, &coming, done);
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
    (void)look_at_call(gate);
    jg_storing_store(gate, rkmessage, true);
}
