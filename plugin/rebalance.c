/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions come and go: what ran on one that goes ends, or is forgotten; what was deferred of it arrives before. */
#include <string.h>

#include "base/clock.h"
#include "plugin/coming.h"
#include "plugin/counters.h"
#include "plugin/process.h"

/* The last job comes again, so its offset stays unfinished; its slot is free for others at once. The claim of an
 * until_executed job stays with it, and with that its slot, until the run is no longer renewed. */
static void
free_slot(struct jg_gate *gate)
{
    struct jg_run *run = NULL;
    pthread_mutex_lock(&gate->lock);
    if (gate->current && gate->current->gated && gate->current->dedup != JG_DEDUP_UNTIL_EXECUTED)
        run = jg_gate_take_current(gate);
    pthread_mutex_unlock(&gate->lock);
    if (!run)
        return;
    struct jg_op op = jg_run_leave_op(run);
    jg_worker_push_op(gate, &op, jg_clock_ms() + run->run_ttl_ms); /* by then it has run out */
    jg_run_destroy(run);
}

struct jg_run *
jg_gate_take_at_close(struct jg_gate *gate)
{
    if (gate->settings->close == JG_CLOSE_REDELIVER) {
        free_slot(gate);
        return NULL;
    }
    pthread_mutex_lock(&gate->lock);
    struct jg_run *run = jg_gate_take_current(gate);
    pthread_mutex_unlock(&gate->lock);
    return run;
}

/* What the application had is done: it polls again, or closes. */
static void
end_current(struct jg_gate *gate)
{
    bool closing = jg_rdk_within(gate->rdk, JG_FRAME_CONSUMER_CLOSE);
    if (closing)
        jg_defer_quit(gate);
    struct jg_run *run = closing ? jg_gate_take_at_close(gate) : jg_gate_come_back(gate, "a rebalance");
    if (run)
        jg_gate_end_later(gate, run, jg_clock_ms());
}

/* A commit that covers these runs may still come, with the revocation's own, or a call that completes them: they wait
 * for it. Under the lock. */
static void
let_go(struct jg_gate *gate, const rd_kafka_topic_partition_t *partition, int64_t now_ms)
{
    for (struct jg_run *run = gate->inflight.head; run; run = run->next)
        if (run->partition == partition->partition && strcmp(run->topic, partition->topic) == 0 && !run->seen_out &&
            !run->revoked) {
            run->revoked = true;
            run->seen_out = !run->gated; /* a slot is kept while the job may still be at work */
            run->seen_out_ms = now_ms;
        }
}

/* Forget a partition's runs. Under the lock; the result is the caller's to destroy. */
static struct jg_run *
take_runs(struct jg_gate *gate, const rd_kafka_topic_partition_t *partition)
{
    const struct jg_run *current = gate->current;
    struct jg_run *taken = jg_inflight_take(&gate->inflight, partition->topic, partition->partition, 0, INT64_MAX);
    for (const struct jg_run *run = taken; run; run = run->next) {
        if (run == current) {
            gate->current = NULL;
            atomic_store(&gate->busy, false);
        }
    }
    return taken;
}

/* What was deferred of these partitions arrives before they go, within bounds. */
static void
leave_held(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *partitions)
{
    int64_t until_ms = jg_clock_ms() + gate->settings->store_wait_ms;
    for (int i = 0; i < partitions->cnt; i++) {
        int64_t left_ms = until_ms - jg_clock_ms();
        jg_defer_leave(gate, partitions->elems[i].topic, partitions->elems[i].partition, left_ms > 0 ? left_ms : 0);
    }
}

static void
forget(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *partitions, bool revoked)
{
    size_t lost = 0;
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &partitions->elems[i];
        struct jg_run *taken = NULL;
        pthread_mutex_lock(&gate->lock);
        /* Where a commit or a call tells of the end, it may come after the partition has come back, too. */
        bool wait = gate->completion == JG_COMPLETION_COMMIT || gate->completion == JG_COMPLETION_API;
        if (!wait)
            taken = take_runs(gate, each);
        else if (revoked)
            let_go(gate, each, jg_clock_ms());
        jg_offsets_forget(&gate->offsets, each->topic, each->partition);
        jg_offsets_forget(&gate->unseen_offsets, each->topic, each->partition);
        jg_ending_remove(&gate->ending, each->topic, each->partition, -1);
        gate->incarnation += revoked;
        pthread_mutex_unlock(&gate->lock);
        lost += jg_run_destroy_all(taken);
    }
    if (lost) {
        jg_count(JG_COUNT_LOST_RUN, (int64_t)lost);
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_LOST], JG_LOG_INFO, "RUN",
                     "%zu unfinished jobs went with their partitions: they are delivered again", lost);
    }
}

void
jg_gate_revoked(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *partitions)
{
    jg_worker_wait_completions(gate, 2 * gate->settings->store_timeout_ms);
    leave_held(gate, partitions);
    jg_following_flush(gate, partitions);
    forget(gate, partitions, true);
}

static void
call_default(const struct jg_gate *gate, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions)
{
    const struct jg_rdk *rdk = gate->rdk;
    const char *protocol = rdk->rebalance_protocol(gate->rk);
    bool cooperative = protocol && strcmp(protocol, "COOPERATIVE") == 0;
    rd_kafka_error_t *error = NULL;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && cooperative)
        error = rdk->incremental_assign(gate->rk, partitions);
    else if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && cooperative)
        error = rdk->incremental_unassign(gate->rk, partitions);
    else
        (void)rdk->assign(gate->rk, err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? partitions : NULL);
    if (error)
        rdk->error_destroy(error);
}

/* Held jobs are looked for as soon as somebody could run them, whether or not any message comes. */
static bool
governs_any(const struct jg_gate *gate, const rd_kafka_topic_partition_list_t *partitions)
{
    if (gate->refused.text[0] || !gate->store || gate->settings->disable != JG_DISABLE_NO || gate->settings->observe)
        return false;
    for (int i = 0; i < partitions->cnt; i++)
        if (jg_conf_topic(gate->conf, partitions->elems[i].topic))
            return true;
    return false;
}

void
jg_gate_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct jg_gate *gate = jg_gate_of(rk);
    if (!gate)
        return; /* cannot be: it was registered before its configuration was used */
    if (partitions && gate->generation == jg_process_generation()) {
        bool revoked = err != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        pthread_mutex_lock(&gate->lock);
        gate->rebalanced = true;
        pthread_mutex_unlock(&gate->lock);
        if (revoked) {
            end_current(gate);
            jg_gate_revoked(gate, partitions);
        } else {
            forget(gate, partitions, false);
            if (governs_any(gate, partitions))
                jg_gate_start_consuming(gate);
        }
    }
    if (gate->client.rebalance_cb)
        gate->client.rebalance_cb(rk, err, partitions, opaque);
    else
        call_default(gate, err, partitions);
}
