/* SPDX-License-Identifier: Apache-2.0 */
/* The background thread of an instance: confirms and releases claims, keeps the unacknowledged ones alive, renews and
 * completes runs, probes, looks after the store's connection. It starts with the first governed message. */
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "plugin/counters.h"
#include "plugin/event.h"
#include "plugin/gate.h"
#include "plugin/guard.h"
#include "plugin/known.h"
#include "plugin/release.h"

#define BATCH_OPS 128
#define QUEUE_MOST 200000  /* confirmations and the like that wait for a store; older ones are dropped and counted */
#define NOTE_MOST 1000     /* runs that are looked through for each renewal */
#define TICK_MS 1000       /* with nothing to do */
#define BUSY_TICK_MS 100   /* while a job runs unprobed */
#define EVENT_TICK_MS 50   /* at most, while a job runs whose probe is answered by no callback */
#define EVENT_TICK_PART 50 /* ... and so small a part of the time for which it has run */
#define ASKED_TICK_MS 5    /* while an answer of the broker is due */
#define DOWN_TICK_MS 25    /* while the store is down */
#define STOP_EXTRA_MS 1000 /* beyond the store's own bounds, for a stop */

/* --- one batch of waiting operations --- */

/* `renewal`: the run's own. */
static void
tell_lost_lease(struct jg_gate *gate, const struct jg_op *renewal)
{
    jg_count(JG_COUNT_LEASE_LOST, 1);
    struct jg_event event = JG_EVENT_INIT(JG_EVENT_LEASE_LOST);
    event.class_name = renewal->class_name;
    event.jid = renewal->jid;
    event.key = renewal->key;
    event.token = renewal->token_in;
    if (jg_event_wanted(gate->settings, &gate->log))
        jg_tell(gate, &event);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_LOST], JG_LOG_ERROR, "LEASE",
                 "class %s: job %s has lost its lease (token %lld) while it runs: another may run by now. It was not "
                 "renewed for lease.ttl.ms, or the store lost its data",
                 renewal->class_name, renewal->jid, (long long)renewal->token_in);
}

/* What a renewal tells of its run. The store's data may be of a new epoch: the next renewal starts from there. With
 * very many runs that is left out, but for leases and capacity slots: then one that expired may come back once more. */
static void
note_renewal(struct jg_gate *gate, const struct jg_op *renewal, int64_t asked_ms)
{
    bool lost = false;
    bool strict = renewal->lease != JG_LEASE_NONE || renewal->slot_ttl_ms;
    if (renewal->lease == JG_LEASE_NONE && renewal->epoch == renewal->epoch_in)
        return;
    pthread_mutex_lock(&gate->lock);
    bool looks = strict || gate->inflight.count <= NOTE_MOST;
    for (struct jg_run *run = looks ? gate->inflight.head : NULL; run; run = run->next) {
        if (strcmp(run->member, renewal->member) != 0)
            continue;
        run->epoch = renewal->epoch;
        if (renewal->changed)
            run->held_until_ms = asked_ms + run->run_ttl_ms;
        else if (run->lease != JG_LEASE_NONE)
            lost = run->lost = true;
    }
    pthread_mutex_unlock(&gate->lock);
    if (lost)
        tell_lost_lease(gate, renewal);
}

static void
settle(struct jg_gate *gate, struct jg_pending *pending, int64_t asked_ms)
{
    struct jg_run *run = pending->run;
    if (pending->op.kind == JG_OP_RENEW)
        note_renewal(gate, &pending->op, asked_ms);
    if (pending->op.kind == JG_OP_CONFIRM && pending->op.changed)
        jg_count(JG_COUNT_CONFIRMED, 1);
    else if (pending->op.kind == JG_OP_RELEASE && pending->op.changed)
        jg_count(JG_COUNT_RELEASED, 1);
    const struct jg_op op = pending->op;
    pending->run = NULL;
    if (op.kind == JG_OP_FREE)
        jg_release_told(gate, pending, true);
    jg_pending_destroy(pending);
    if (run)
        (void)jg_gate_completed(gate, run, &op, 0);
}

static void
give_up(struct jg_gate *gate, struct jg_pending *pending)
{
    struct jg_run *run = pending->run;
    bool frees = pending->op.kind == JG_OP_FREE;
    bool matters = pending->op.kind != JG_OP_KEEP && pending->op.kind != JG_OP_RENEW && /* those are due again soon */
                   pending->op.kind != JG_OP_ANNOUNCE;                                  /* found out without it */
    jg_count(JG_COUNT_FORGOTTEN, matters);
    if (matters)
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_WARNING, "STORE",
                     "the store stayed down too long to tell it of job %s: its %s ends by its TTL", pending->op.jid,
                     frees ? "capacity slot" : "claim");
    if (frees)
        jg_release_told(gate, pending, false);
    pending->run = NULL;
    jg_pending_destroy(pending);
    if (run)
        jg_gate_finish(gate, run); /* the job ended: only the store was not told; one that may go on comes again */
}

/* Under the lock, while nothing is being carried. */
static size_t
take_from_queue(struct jg_gate *gate, struct jg_pending **batch, struct jg_op *ops)
{
    size_t count = 0;
    for (; count < BATCH_OPS && gate->queue.head; count++) {
        batch[count] = jg_queue_pop(&gate->queue);
        ops[count] = batch[count]->op;
    }
    gate->carrying = count > 0;
    return count;
}

/* A polling thread that carries some of it is soon back: it asks the store once. */
static size_t
take_batch(struct jg_gate *gate, struct jg_pending **batch, struct jg_op *ops)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->carrying)
        (void)jg_cond_wait(&gate->idle, &gate->lock, jg_clock_ms() + TICK_MS);
    size_t count = take_from_queue(gate, batch, ops);
    pthread_mutex_unlock(&gate->lock);
    return count;
}

static void
put_back(struct jg_gate *gate, struct jg_pending *pending)
{
    pthread_mutex_lock(&gate->lock);
    jg_queue_push(&gate->queue, pending);
    pthread_mutex_unlock(&gate->lock);
}

static void
count_down(struct jg_gate *gate, size_t completions, size_t renewals)
{
    pthread_mutex_lock(&gate->lock);
    gate->completions -= completions;
    gate->renewals -= renewals;
    gate->carrying = false;
    pthread_cond_broadcast(&gate->idle);
    pthread_mutex_unlock(&gate->lock);
}

/* The store was asked of them. */
static void
settle_batch(struct jg_gate *gate, struct jg_pending **batch, const struct jg_op *ops, size_t count, int64_t now_ms,
             bool last_try)
{
    size_t completions = 0;
    size_t renewals = 0;
    for (size_t i = 0; i < count; i++) {
        bool completion = jg_pending_frees(batch[i]);
        bool renewal = batch[i]->op.kind == JG_OP_RENEW;
        batch[i]->op = ops[i];
        if (ops[i].err == JG_OK) {
            settle(gate, batch[i], now_ms);
        } else if (last_try || batch[i]->give_up_ms <= now_ms) {
            give_up(gate, batch[i]);
        } else {
            put_back(gate, batch[i]);
            continue;
        }
        completions += completion;
        renewals += renewal;
    }
    count_down(gate, completions, renewals);
}

/* Carry out what waits, once. True: the store answered all of it. */
static bool
work_batch(struct jg_gate *gate, int64_t now_ms, bool last_try)
{
    struct jg_pending *batch[BATCH_OPS];
    struct jg_op ops[BATCH_OPS];
    size_t count = take_batch(gate, batch, ops);
    if (count == 0)
        return true;
    enum jg_err err = jg_ask(gate, ops, count);
    settle_batch(gate, batch, ops, count, now_ms, last_try);
    return err == JG_OK;
}

/* --- what is due by time --- */

static void
keep_claims(struct jg_gate *gate, int64_t now_ms)
{
    size_t dropped = 0;
    pthread_mutex_lock(&gate->lock);
    struct jg_pending *keep;
    while ((keep = jg_unacked_due(&gate->unacked, now_ms, &dropped)) != NULL) {
        keep->give_up_ms = now_ms; /* of no use later */
        jg_queue_push(&gate->queue, keep);
    }
    atomic_store(&gate->unacked_count, gate->unacked.order.count);
    pthread_mutex_unlock(&gate->lock);
    jg_count(JG_COUNT_FORGOTTEN, (int64_t)dropped);
}

/* A poll-mode job that runs for longer than the consumer may go without polling: its partition is given to another
 * member, so nothing is renewed for it. */
static bool
is_overdue(const struct jg_gate *gate, const struct jg_run *run, int64_t now_ms)
{
    return run == gate->current && now_ms - run->started_ms > gate->client.max_poll_interval_ms;
}

/* By its own clock its lease is over: it must not come back to a store that has lost its data since. */
static bool
is_expired(const struct jg_run *run, int64_t now_ms)
{
    return run->lease != JG_LEASE_NONE && run->held_until_ms && now_ms >= run->held_until_ms;
}

/* One run whose lease has expired so, as a renewal that is not to be sent. Under the lock; NULL: none. */
static struct jg_pending *
take_expired(struct jg_gate *gate, int64_t now_ms)
{
    struct jg_run *run = gate->inflight.head;
    while (run && (run->lost || !run->in_store || !is_expired(run, now_ms)))
        run = run->next;
    if (!run)
        return NULL;
    struct jg_op op = jg_run_renew_op(run);
    run->lost = true;
    return jg_pending_new(&op);
}

static void
end_expired_leases(struct jg_gate *gate, int64_t now_ms)
{
    struct jg_pending *lost;
    do {
        pthread_mutex_lock(&gate->lock);
        lost = take_expired(gate, now_ms);
        pthread_mutex_unlock(&gate->lock);
        if (lost)
            tell_lost_lease(gate, &lost->op);
        jg_pending_destroy(lost);
    } while (lost);
}

static void
renew_runs(struct jg_gate *gate, int64_t now_ms)
{
    int64_t overdue = 0;
    end_expired_leases(gate, now_ms);
    struct jg_run *gone = NULL;
    struct jg_run *next;
    pthread_mutex_lock(&gate->lock);
    for (struct jg_run *run = gate->inflight.head; run; run = next) {
        next = run->next;
        int64_t keep_ms = run->gated ? gate->client.max_poll_interval_ms : JG_RUN_TTL_MS;
        if ((run->seen_out || run->revoked) && run != gate->current && now_ms - run->seen_out_ms > keep_ms) {
            jg_inflight_remove(&gate->inflight, run); /* revoked, and no commit has covered it */
            run->next = gone;
            gone = run;
            continue;
        }
        if (!run->in_store || run->seen_out || run->lost)
            continue;
        if (is_overdue(gate, run, now_ms)) {
            run->seen_out = true;
            overdue++;
            continue;
        }
        if (is_expired(run, now_ms))
            continue;
        struct jg_op op = jg_run_renew_op(run);
        struct jg_pending *renew = jg_pending_new(&op);
        if (!renew)
            break;
        renew->give_up_ms = now_ms;
        jg_queue_push(&gate->queue, renew);
        gate->renewals++;
    }
    pthread_mutex_unlock(&gate->lock);
    size_t given_up = jg_run_destroy_all(gone);
    jg_count(JG_COUNT_LOST_RUN, (int64_t)given_up);
    if (overdue) {
        jg_count(JG_COUNT_LOST_RUN, overdue);
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_LOST], JG_LOG_WARNING, "RUN",
                     "a job runs for longer than max.poll.interval.ms (%lld): its partition goes to another consumer, "
                     "its claim is no longer renewed",
                     (long long)gate->client.max_poll_interval_ms);
    }
}

static bool
renew_runs_if_due(struct jg_gate *gate, int64_t now_ms, int64_t renewed_ms)
{
    pthread_mutex_lock(&gate->lock);
    bool due = now_ms >= renewed_ms + gate->renew_every_ms;
    pthread_mutex_unlock(&gate->lock);
    if (due)
        renew_runs(gate, now_ms);
    return due;
}

/* --- the loop --- */

/* Nobody tells when the probe is answered, so it is looked for: the more often, the less there was to wait. */
static int64_t
event_tick(int64_t running_ms)
{
    int64_t tick_ms = running_ms / EVENT_TICK_PART;
    return tick_ms < 1 ? 1 : tick_ms > EVENT_TICK_MS ? EVENT_TICK_MS : tick_ms;
}

static int64_t
next_tick(struct jg_gate *gate, bool asked, int64_t now_ms, int64_t renewed_ms)
{
    int64_t renew_ms = renewed_ms + gate->renew_every_ms;
    int64_t tick_ms = TICK_MS;
    if (gate->store && !jg_store_is_up(gate->store))
        tick_ms = DOWN_TICK_MS;
    else if (asked)
        tick_ms = ASKED_TICK_MS;
    else if (gate->current && atomic_load(&gate->events))
        tick_ms = event_tick(now_ms - gate->current->started_ms);
    else if (gate->current && !gate->probing)
        tick_ms = BUSY_TICK_MS;
    if (gate->unacked.order.head && gate->unacked.keep_every_ms / 2 < tick_ms)
        tick_ms = gate->unacked.keep_every_ms / 2 + 1;
    if (renew_ms - now_ms < tick_ms)
        tick_ms = renew_ms > now_ms ? renew_ms - now_ms : 1;
    return now_ms + tick_ms;
}

/* Sleep until there is work. */
static void
rest(struct jg_gate *gate, bool asked, bool store_ok, int64_t renewed_ms)
{
    pthread_mutex_lock(&gate->lock);
    int64_t renew_every_ms = gate->renew_every_ms;
    int64_t until_ms = next_tick(gate, asked, jg_clock_ms(), renewed_ms);
    bool timed_out = false;
    bool watched = gate->watched = gate->current != NULL;
    while (!timed_out && !atomic_load(&gate->stopping) && !(gate->store && gate->queue.head && store_ok) &&
           renew_every_ms == gate->renew_every_ms && watched == gate->watched && !gate->follows)
        timed_out = !jg_cond_wait(&gate->wake, &gate->lock, until_ms);
    pthread_mutex_unlock(&gate->lock);
}

static void
drain(struct jg_gate *gate)
{
    int64_t deadline_ms = jg_clock_ms() + gate->settings->store_timeout_ms;
    bool more = gate->store != NULL;
    while (more) {
        int64_t now_ms = jg_clock_ms();
        bool last_try = now_ms >= deadline_ms || !jg_store_is_up(gate->store);
        (void)work_batch(gate, now_ms, last_try);
        pthread_mutex_lock(&gate->lock);
        more = gate->queue.head != NULL;
        pthread_mutex_unlock(&gate->lock);
    }
}

static void *
work(void *opaque)
{
    struct jg_gate *gate = opaque;
    int64_t renewed_ms = jg_clock_ms();
    while (!atomic_load(&gate->stopping)) {
        int64_t now_ms = jg_clock_ms();
        bool store_ok = true;
        if (gate->store) {
            jg_store_tend(gate->store);
            keep_claims(gate, now_ms);
            jg_known_tend(gate, now_ms);
            jg_guard_tend(gate, now_ms);
            if (renew_runs_if_due(gate, now_ms, renewed_ms))
                renewed_ms = now_ms;
            store_ok = work_batch(gate, now_ms, false);
        }
        bool asked = jg_compaction_tend(gate, now_ms);
        jg_following_tend(gate);
        jg_callbackless_tend(gate);
        jg_probe_tend(gate);
        rest(gate, asked, store_ok, renewed_ms);
    }
    if (!atomic_load(&gate->abandoned)) {
        jg_compaction_end(gate);
        jg_following_end(gate);
    }
    drain(gate);
    return NULL;
}

/* --- seen from other threads --- */

void
jg_worker_start(struct jg_gate *gate)
{
    int failed = 0;
    pthread_mutex_lock(&gate->lock);
    if (!gate->worker_started && !gate->worker_failed && !atomic_load(&gate->stopping)) {
        failed = jg_thread_start(&gate->worker, work, gate);
        gate->worker_started = failed == 0;
        gate->worker_failed = failed != 0;
    }
    pthread_mutex_unlock(&gate->lock);
    if (failed)
        jg_log(&gate->log, JG_LOG_ERROR, "THREAD",
               "the background thread cannot be started: claims end by their TTL only");
}

bool
jg_worker_push(struct jg_gate *gate, struct jg_pending *pending)
{
    struct jg_pending *dropped = NULL;
    pthread_mutex_lock(&gate->lock);
    bool taken = gate->worker_started && !atomic_load(&gate->stopping);
    if (taken) {
        gate->completions += jg_pending_frees(pending);
        jg_queue_push(&gate->queue, pending);
        if (gate->queue.count > QUEUE_MOST && !gate->queue.head->run) {
            dropped = jg_queue_pop(&gate->queue);
            gate->renewals -= dropped->op.kind == JG_OP_RENEW;
            gate->completions -= jg_pending_frees(dropped);
        }
        pthread_cond_signal(&gate->wake);
    }
    pthread_mutex_unlock(&gate->lock);
    if (dropped) {
        jg_count(JG_COUNT_FORGOTTEN, 1);
        if (dropped->op.kind == JG_OP_FREE)
            jg_release_told(gate, dropped, false);
        jg_pending_destroy(dropped);
    }
    return taken;
}

void
jg_worker_push_op(struct jg_gate *gate, const struct jg_op *op, int64_t give_up_ms)
{
    struct jg_pending *pending = jg_pending_new(op);
    if (!pending)
        return;
    pending->give_up_ms = give_up_ms;
    if (!jg_worker_push(gate, pending))
        jg_pending_destroy(pending);
}

void
jg_worker_wait_completions(struct jg_gate *gate, int64_t timeout_ms)
{
    int64_t until_ms = jg_clock_ms() + timeout_ms;
    pthread_mutex_lock(&gate->lock);
    while (gate->completions && jg_cond_wait(&gate->idle, &gate->lock, until_ms))
        ;
    pthread_mutex_unlock(&gate->lock);
}

size_t
jg_worker_take_over(struct jg_gate *gate, struct jg_pending **batch, struct jg_op *ops)
{
    size_t count = 0;
    pthread_mutex_lock(&gate->lock);
    if (gate->completions && !gate->carrying && gate->queue.count <= JG_ALONG_MOST)
        count = take_from_queue(gate, batch, ops);
    pthread_mutex_unlock(&gate->lock);
    return count;
}

void
jg_worker_carried(struct jg_gate *gate, struct jg_pending **batch, const struct jg_op *ops, size_t count,
                  int64_t now_ms)
{
    if (count)
        settle_batch(gate, batch, ops, count, now_ms, false);
}

bool
jg_worker_stop(struct jg_gate *gate, int64_t deadline_ms)
{
    pthread_mutex_lock(&gate->lock);
    atomic_store(&gate->stopping, true);
    bool started = gate->worker_started;
    gate->worker_started = false;
    pthread_cond_broadcast(&gate->wake);
    pthread_mutex_unlock(&gate->lock);
    if (!started)
        return true;
    /* A stop costs at most an exchange under way, the drain's time, and one exchange more. */
    int64_t until_ms = jg_clock_ms() + 5 * gate->settings->store_timeout_ms + STOP_EXTRA_MS;
    return jg_thread_join(gate->worker, until_ms < deadline_ms ? until_ms : deadline_ms);
}
