/* SPDX-License-Identifier: Apache-2.0 */
/* The question to the store, may this job start now, and what is done with its answer. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "plugin/act.h"
#include "plugin/coming.h"
#include "plugin/counters.h"
#include "plugin/known.h"

#define INFLIGHT_MOST 100000 /* open jobs of one instance that the store knows; with more, the oldest go unrenewed */
#define ROOM_LEAST_MS 50     /* resume.wait.ms=auto: so long a ticketed job waits for a slot at least, ... */
#define ROOM_MOST_MS 1000    /* ... at most, and no longer than that when runs take longer */
#define ROOM_POLLS 100       /* it asks so often, ... */
#define ROOM_POLL_LEAST_MS 2 /* ... but with such pauses at least */
#define LATER_POLL_MS 50     /* others */
#define HASTY_MS 30000
#define FIRST_MS 3000 /* Kafka may take so long to tell whether a group is new */
#define FIRST_PART 6  /* ... but no larger a part of the time for which a slot that was just given lasts */
#define PACE_MS 50    /* what cannot be held comes again no sooner */
/* --- it runs --- */

/* A producer's settings say until_executed, which ours do not, so nothing was refused: what this call has handed out
 * before could not be given back. The claim ends at the start, since its end cannot be seen. */
static enum jg_dedup
end_claim_at_start(struct jg_gate *gate, const struct jg_coming *coming)
{
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_REFUSED], JG_LOG_ERROR, "RUN",
                 "class %s has dedup=until_executed at its producer, but " JG_UNSEEN_END
                 ": its claims end when its jobs start; " JG_UNSEEN_CURE ", or use dedup=until_executing",
                 coming->stamp.class_name);
    return JG_DEDUP_UNTIL_EXECUTING;
}

/* What ran here before a partition was taken away may still be at work when the partition comes back. */
static void
name_run(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run)
{
    char incarnation[16] = "";
    unsigned revocations = atomic_load(&gate->incarnation);
    if (revocations)
        snprintf(incarnation, sizeof incarnation, ".%u", revocations);
    snprintf(run->member, sizeof run->member, "%s@%s%s@%s/%d/%lld", run->jid, gate->id, incarnation, coming->topic,
             (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset);
}

static struct jg_run *
new_run(struct jg_gate *gate, const struct jg_coming *coming)
{
    const rd_kafka_message_t *rkmessage = coming->rkmessage;
    struct jg_run *run = jg_run_new(coming->topic, rkmessage->partition, rkmessage->offset);
    if (!run)
        return NULL;
    run->started_ms = coming->now_ms;
    if (coming->stamped != JG_STAMP_OURS)
        return run;
    memcpy(run->jid, coming->stamp.jid, sizeof run->jid);
    memcpy(run->key, coming->stamp.key, sizeof run->key);
    memcpy(run->class_name, coming->stamp.class_name, sizeof run->class_name);
    run->dedup = coming->stamp.dedup;
    run->dedup_ttl_ms = coming->policy.dedup_ttl_ms;
    run->dedup_provisional_ms = coming->policy.dedup_provisional_ms;
    run->gated = gate->store && jg_policy_gates(&coming->policy);
    run->run_ttl_ms = run->gated ? jg_policy_run_ttl_ms(&coming->policy) : JG_RUN_TTL_MS;
    if (run->dedup == JG_DEDUP_UNTIL_EXECUTED && gate->completion == JG_COMPLETION_AUTO)
        run->dedup = end_claim_at_start(gate, coming);
    run->in_store = run->gated || (gate->store && run->dedup == JG_DEDUP_UNTIL_EXECUTED && !coming->stamp.unclaimed);
    run->lease = run->gated ? coming->policy.lease : JG_LEASE_NONE;
    run->capacity = run->gated ? coming->policy.capacity : 0;
    if (run->gated && coming->policy.limit_key) {
        memcpy(run->limit_key, coming->stamp.limit_key, sizeof run->limit_key);
        run->per_key = jg_policy_per_key(&coming->policy);
    }
    run->load_key = jg_gauge_key(coming->policy.capacity_load);
    run->work_key = jg_gauge_key(coming->policy.capacity_work);
    run->slot_ttl_ms = run->gated ? jg_policy_slot_ttl_ms(&coming->policy) : 0;
    run->retry_ms = coming->policy.capacity_retry_ms;
    run->follows_up = run->in_store && run->dedup == JG_DEDUP_UNTIL_EXECUTED && coming->policy.dedup_follow_up;
    /* Where jobs may fail, any may have been enqueued again. */
    bool may_be_done =
        run->lease != JG_LEASE_NONE || run->capacity || run->follows_up || gate->completion == JG_COMPLETION_API;
    run->done_ttl_ms = may_be_done ? coming->policy.done_ttl_ms : 0;
    name_run(gate, coming, run);
    return run;
}

/* What is enqueued again at its end, perhaps, is copied before the application has it. */
static void
keep_copy(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run)
{
    if (!run->jid[0] || (!run->capacity && gate->completion != JG_COMPLETION_API))
        return;
    rd_kafka_timestamp_type_t type;
    run->rdk = gate->rdk;
    run->time_ms = gate->rdk->message_timestamp(coming->rkmessage, &type);
    run->copy =
        jg_deferral_new(gate->rdk, gate->settings->name_space, coming->rkmessage, coming->topic, &coming->stamp);
    if (!run->copy)
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_AGAIN], JG_LOG_ERROR, "AGAIN",
                     "out of memory: job %s cannot be enqueued again by this consumer", run->jid);
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
hand_out(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run)
{
    rd_kafka_queue_t *probe = NULL;
    struct jg_run *other = NULL;
    jg_count(JG_COUNT_RUN, 1);
    keep_copy(gate, coming, run);
    if (run->token && jg_stamp_token(gate->rdk, coming->rkmessage, run->token) != JG_OK)
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_AGAIN], JG_LOG_ERROR, "LEASE",
                     "out of memory: job %s goes without its fencing token", run->jid);
    if (run->slot_ttl_ms && jg_stamp_slot(gate->rdk, coming->rkmessage, run->class_name, run->jid) != JG_OK)
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_AGAIN], JG_LOG_ERROR, "SLOT",
                     "out of memory: job %s goes without its jobgate-slot", run->jid);
    struct jg_event event = JG_EVENT_INIT(JG_EVENT_START);
    event.token = run->token;
    jg_tell_coming(gate, coming, event);
    pthread_mutex_lock(&gate->lock);
    if (gate->current) { /* another thread was handed a job while this one asked the store */
        other = jg_gate_take_current(gate);
        gate->completion = JG_COMPLETION_AUTO;
    }
    bool finished = gate->completion != JG_COMPLETION_POLL && gate->completion != JG_COMPLETION_API;
    struct jg_run *lost = make_room(gate);
    bool kept = !finished || (gate->completion == JG_COMPLETION_COMMIT && run->in_store);
    if (kept)
        jg_inflight_add(&gate->inflight, run);
    int64_t renew_ms = (run->dedup_ttl_ms < run->run_ttl_ms ? run->dedup_ttl_ms : run->run_ttl_ms) / 3;
    if (kept && run->in_store && renew_ms < gate->renew_every_ms) {
        gate->renew_every_ms = renew_ms;
        pthread_cond_signal(&gate->wake);
    }
    if (gate->completion == JG_COMPLETION_POLL) {
        gate->current = run;
        gate->current_thread = pthread_self();
        atomic_store(&gate->busy, true);
        probe = gate->consumer_queue;
        if (atomic_load(&gate->events) && !gate->watched) {
            gate->watched = true;
            pthread_cond_signal(&gate->wake);
        }
    }
    bool told_at_close = gate->rebalanced;
    bool gated = run->gated;
    pthread_mutex_unlock(&gate->lock);
    if (other)
        jg_gate_end_unseen(gate, other, "a message");
    jg_count(JG_COUNT_LOST_RUN, (lost != NULL) + (!kept && run->in_store));
    jg_run_destroy(lost);
    if (!kept)
        jg_run_destroy(run);
    if (finished)
        jg_coming_finish_offset(gate, coming, true);
    /* Another message in the queue will tell as well, and costs nothing; the background thread probes later. Without
     * rebalances only a probe tells of a close, and a slot is waited for: what is in the queue may be no message. */
    bool needed = !told_at_close || gated;
    if (probe && ((needed && !atomic_load(&gate->events)) || gate->rdk->queue_length(probe) == 0))
        jg_probe_send(gate);
}

/* --- the question --- */

bool
jg_coming_needs_answer(const struct jg_coming *coming)
{
    if (coming->stamped != JG_STAMP_OURS)
        return false;
    bool claimed = coming->stamp.dedup != JG_DEDUP_NONE && !coming->stamp.unclaimed;
    return claimed || coming->stamp.resumed > 0 || jg_policy_gates(&coming->policy) ||
           jg_jid_number(coming->stamp.jid) > 0;
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
is_patient(struct jg_gate *gate, const struct jg_coming *coming)
{
    return !coming->batch || !atomic_exchange(&gate->impatient, true);
}

/* The question itself. */
static struct jg_op
admit_op(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_run *run)
{
    struct jg_op op = jg_run_admit_op(run);
    op.candidate_of = coming->stamp.candidate_of[0] ? coming->stamp.candidate_of : NULL;
    op.follow_up = coming->stamp.follow_up;
    op.limit = coming->policy.limit;
    op.lease_skips = coming->policy.lease_taken == JG_LEASE_TAKEN_SKIP;
    op.resumed = coming->stamp.resumed > 0;
    op.grace_ms = jg_conf_grace_ms(gate->conf, &coming->policy);
    op.hold_max = coming->policy.hold_max;
    return op;
}

/* A slot that is being given back may be the one that this job needs. */
static size_t
take_over_completions(struct jg_gate *gate, struct jg_pending **waiting, struct jg_op *ops)
{
    size_t taken = jg_worker_take_over(gate, waiting, ops);
    if (!taken)
        jg_worker_wait_completions(gate, gate->settings->store_timeout_ms);
    return taken;
}

/* Ask, together with what the message frees, the completion of what ran before, and, when this class's limit is new to
 * this instance, with what the settings say of it. `done` is finished, or handed to the background thread. */
static enum jg_err
ask_first(struct jg_gate *gate, const struct jg_coming *coming, bool wants_room, struct jg_known *met,
          struct jg_run *done, struct jg_op *ask)
{
    struct jg_op all[JG_ALONG_MOST + JG_RELEASES_MOST + 3];
    struct jg_pending *waiting[JG_ALONG_MOST];
    size_t taken = wants_room && !done ? take_over_completions(gate, waiting, all) : 0;
    struct jg_op *ops = all + taken;
    size_t freed = jg_release_ops(coming->releases, ops), count = freed;
    bool along = may_go_along(gate, done);
    if (along)
        ops[count++] = jg_run_complete_op(done);
    if (met)
        ops[count++] = jg_known_sync_op(gate, met);
    ops[count++] = *ask;
    int64_t now_ms = jg_clock_ms();
    enum jg_err err = jg_ask(gate, all, taken + count);
    jg_worker_carried(gate, waiting, all, taken, now_ms);
    *ask = ops[count - 1];
    if (err != JG_OK && ask->err != JG_OK && is_patient(gate, coming))
        (void)!jg_ask_patiently(gate, ask, 1); /* its error is in `ask` */
    if (ask->err == JG_OK)
        atomic_store(&gate->impatient, false);
    jg_release_note(coming->releases, ops);
    if (met && ops[freed + along].err == JG_OK)
        jg_known_synced(gate, met, &ops[freed + along], coming->now_ms);
    if (along && ops[freed].err == JG_OK)
        (void)jg_gate_completed(gate, done, &ops[freed], 0);
    else if (done)
        jg_gate_end_later(gate, done, coming->now_ms);
    return ask->err;
}

int64_t
jg_coming_patience_ms(const struct jg_gate *gate, const struct jg_coming *coming)
{
    bool hasty = coming->batch && jg_clock_ms() < atomic_load(&gate->hasty_until_ms);
    return hasty ? 0 : gate->settings->store_wait_ms;
}

void
jg_coming_was_patient(struct jg_gate *gate, const struct jg_coming *coming)
{
    if (coming->batch && jg_clock_ms() >= atomic_load(&gate->hasty_until_ms))
        atomic_store(&gate->hasty_until_ms, jg_clock_ms() + HASTY_MS);
}

/* How long a ticketed job waits for a slot. Until one of so many is free takes less than a run does, and to be held
 * again and come back takes as long; but for longer runs that is nothing. Messages of a batch call would wait in turn.
 */
static int64_t
room_patience_ms(const struct jg_coming *coming, int64_t ran_ms)
{
    if (coming->policy.resume_wait_ms != JG_AUTO)
        return coming->policy.resume_wait_ms;
    return coming->batch || ran_ms < ROOM_LEAST_MS || ran_ms > ROOM_MOST_MS ? ROOM_LEAST_MS : ran_ms;
}

/* A slot that stands idle for a hundredth of a run is no loss, and each question costs. */
static int64_t
room_poll_ms(int64_t patience_ms)
{
    int64_t poll_ms = patience_ms / ROOM_POLLS;
    return poll_ms > ROOM_POLL_LEAST_MS ? poll_ms : ROOM_POLL_LEAST_MS;
}

/* How long a job that cannot be decided may wait: a ticketed one for a slot, others as for a store that is down. A
 * batch call cannot give it back, and waits for the end of the grace. */
static int64_t
patience_ms(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_op *ask, int64_t room_ms)
{
    if (jg_reason_is_room(ask->reason))
        return room_ms;
    int64_t wait_ms = jg_coming_patience_ms(gate, coming);
    if (coming->batch && wait_ms > 0 && ask->reason == JG_REASON_GRACE)
        wait_ms += ask->grace_ms;
    return wait_ms;
}

/* Ask again until it is decided, within bounds. */
static enum jg_err
ask_later(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_known *met, struct jg_run *run,
          struct jg_op *ask)
{
    if (ask->err != JG_OK || ask->verdict != JG_LATER)
        return ask->err;
    int64_t began_ms = jg_clock_ms();
    int64_t room_ms = room_patience_ms(coming, jg_known_ran_ms(gate, met));
    enum jg_reason reason = ask->reason;
    if (reason == JG_REASON_GRACE && met && !atomic_load(&met->asked))
        ask->fresh = jg_coming_is_first(gate, coming, FIRST_MS) ? ask->epoch : 0;
    while (ask->err == JG_OK && ask->verdict == JG_LATER && !atomic_load(&gate->stopping)) {
        bool room = jg_reason_is_room(ask->reason);
        if (ask->reason != reason && !(room && jg_reason_is_room(reason)))
            began_ms = jg_clock_ms();
        reason = ask->reason;
        bool over = jg_clock_ms() - began_ms >= patience_ms(gate, coming, ask, room_ms);
        if (over && !room)
            jg_coming_was_patient(gate, coming);
        if (over && reason == JG_REASON_FULL && coming->batch)
            ask->hold_max = 0; /* it cannot be given back: one more is held */
        else if (over && !room)
            break;
        ask->last_try = over && room;
        if (!over && !(ask->fresh && reason == JG_REASON_GRACE))
            jg_clock_pause_ms(room ? room_poll_ms(room_ms) : LATER_POLL_MS);
        run->asked_ms = jg_clock_ms();
        (void)!jg_ask(gate, ask, 1);
    }
    return ask->err;
}

/* A class's first job in this consumer goes ahead without a grace, because the server has long been up: should it lose
 * its data before the group's first commit, the group must not look new. */
static void
leave_a_trace(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_run *run)
{
    int64_t most_ms = run->run_ttl_ms / FIRST_PART;
    (void)!jg_coming_is_first(gate, coming, most_ms < FIRST_MS ? (int)most_ms : FIRST_MS);
}

static enum jg_err
admit(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run, struct jg_run *done,
      struct jg_op *answer)
{
    struct jg_known *met = NULL;
    bool is_new = false;
    *answer = admit_op(gate, coming, run);
    if (run->gated || run->follows_up || coming->stamp.follow_up)
        met = jg_known_meet(gate, coming->stamp.class_name, &is_new);
    run->asked_ms = jg_clock_ms();
    enum jg_err err = ask_first(gate, coming, run->gated, is_new ? met : NULL, done, answer);
    if (!err)
        err = ask_later(gate, coming, met, run, answer);
    run->started_ms = run->asked_ms;
    if (!err && met && answer->verdict != JG_LATER) {
        bool was_asked = atomic_exchange(&met->asked, true);
        if (run->gated && answer->verdict == JG_RUN && !was_asked && !answer->fresh)
            leave_a_trace(gate, coming, run);
    }
    return err;
}

/* It runs although the store did not answer: told later, the store ends its claim then. */
static void
admit_later(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run)
{
    struct jg_op op = jg_run_admit_op(run);
    run->unasked = true;
    run->epoch = JG_EPOCH_BEFORE; /* as if the store had lost it */
    jg_count(JG_COUNT_UNADMITTED, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_ERROR, "STORE",
                 "the store (jobgate.store) does not answer, and a batch call cannot keep messages back: jobs of topic "
                 "%s run unasked, and so may their duplicates",
                 coming->topic);
    jg_worker_push_op(gate, &op, coming->now_ms + run->dedup_ttl_ms); /* by then the claim is gone */
}

void
jg_coming_end_done(struct jg_gate *gate, struct jg_run *done, int64_t now_ms)
{
    if (done)
        jg_gate_end_later(gate, done, now_ms);
}

/* It runs, although it should not: this call cannot give it back, and it must not be lost. */
static void
run_unheld(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run, const char *why)
{
    jg_count(JG_COUNT_UNADMITTED, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_ERROR, "HOLD",
                 "class %s: a job that should be held runs, since a batch call cannot give it back: %s",
                 coming->stamp.class_name, why);
    hand_out(gate, coming, run);
}

static void
hold(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run, enum jg_reason reason)
{
    struct jg_error error = {.text = ""};
    enum jg_err err = jg_defer(gate, coming, reason, &error);
    if (err != JG_OK && coming->batch) {
        run_unheld(gate, coming, run, error.text);
        return;
    }
    jg_run_destroy(run);
    if (err == JG_OK)
        return;
    jg_clock_pause_ms(PACE_MS);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_HELD_BACK], JG_LOG_ERROR, "HOLD", "class %s: %s",
                 coming->stamp.class_name, error.text);
    jg_coming_hold_back(gate, coming,
                        "jobgate: this job has to wait and cannot be moved to its holding topic, see the log; it comes "
                        "again");
}

/* The store was asked, and says nothing yet. */
static void
decide_nothing(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run, const struct jg_op *answer)
{
    if (coming->batch) {
        run_unheld(gate, coming, run, jg_reason_name(answer->reason));
        return;
    }
    jg_run_destroy(run);
    jg_coming_hold_back(
        gate, coming,
        answer->reason == JG_REASON_FULL
            ? "jobgate: as many jobs of this class are held as hold.max allows; it comes again"
            : "jobgate: the store (jobgate.store) is new or has lost its data, and is told who runs; it comes again");
}

/* A job that is done may have to be enqueued again once more: whether that was acknowledged is not known. */
static void
skip(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_op *answer)
{
    struct jg_error error = {.text = ""};
    enum jg_err err = answer->next[0] ? jg_defer_again(gate, coming, answer, &error) : JG_OK;
    if (err == JG_OK) {
        jg_coming_skip(gate, coming, answer);
        return;
    }
    jg_clock_pause_ms(PACE_MS);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_HELD_BACK], JG_LOG_ERROR, "AGAIN", "class %s: %s",
                 coming->stamp.class_name, error.text);
    jg_coming_hold_back(gate, coming,
                        "jobgate: this job is done and cannot be enqueued again, see the log; it comes again");
}

static void
act(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *run, const struct jg_op *answer)
{
    jg_again_tell_gauge(gate, run->class_name, answer);
    switch (answer->verdict) {
    case JG_RUN:
        run->epoch = answer->epoch;
        run->token = answer->token;
        run->held_until_ms = run->asked_ms + run->run_ttl_ms;
        hand_out(gate, coming, run);
        return;
    case JG_HOLD:
        hold(gate, coming, run, answer->reason);
        return;
    case JG_SKIP:
        jg_run_destroy(run);
        skip(gate, coming, answer);
        return;
    case JG_LATER:
        decide_nothing(gate, coming, run, answer);
        return;
    }
}

void
jg_gate_decide(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *done)
{
    struct jg_op answer;
    struct jg_run *run = new_run(gate, coming);
    if (!run) {
        jg_coming_end_done(gate, done, coming->now_ms);
        jg_coming_hold_back(gate, coming, "jobgate: out of memory");
        return;
    }
    if (!jg_coming_needs_answer(coming) || !gate->store) { /* no store: in a batch call, which cannot keep it back */
        if (jg_coming_needs_answer(coming))
            jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_ERROR, "STORE", JG_NO_STORE);
        jg_coming_end_done(gate, done, coming->now_ms);
        if (jg_release_later(gate, coming))
            hand_out(gate, coming, run);
        else
            jg_run_destroy(run);
        return;
    }
    if (jg_defer_is_under_way(gate, coming)) { /* it was to be held, which took too long: it is not asked again */
        jg_coming_end_done(gate, done, coming->now_ms);
        hold(gate, coming, run, JG_REASON_LIMIT);
        return;
    }
    enum jg_err err = admit(gate, coming, run, done, &answer);
    if (err == JG_OK || coming->batch) /* else it comes again */
        jg_release_rest(gate, coming);
    if (err == JG_OK) {
        act(gate, coming, run, &answer);
        return;
    }
    if (coming->batch) {
        admit_later(gate, coming, run);
        hand_out(gate, coming, run);
        return;
    }
    jg_run_destroy(run);
    jg_coming_hold_back(gate, coming,
                        "jobgate: the store (jobgate.store) does not answer, so it cannot be told whether this job may "
                        "run; it comes again");
}
