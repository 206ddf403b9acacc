/* SPDX-License-Identifier: Apache-2.0 */
/* The poll probe: tells that the application polls again although no message comes. A commit of one partition at
 * offset INVALID, to the consumer's own queue, sends nothing; its callback runs on the application's thread at its next
 * poll, at once if it is blocked in one.
 *
 * An application that takes events (Go, Rust) gets it as one, and no callback runs. There it is sent into an empty
 * queue only, and is answered when the queue is empty again: what was sent for one run says nothing about the next, so
 * taking `current` out forgets it, and the next one waits until the queue is empty, hence without it. On its way it
 * passes librdkafka's main thread, for which it may have to wait, and until then the queue is empty as well. A second
 * one goes the same way behind it, to a queue of ours: its echo tells that the first has arrived. */
#include "base/clock.h"
#include "plugin/gate.h"

static void
answered(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    struct jg_gate *gate = opaque;
    (void)rk;
    (void)err;
    (void)offsets;
    pthread_mutex_lock(&gate->lock);
    gate->probing = false;
    pthread_mutex_unlock(&gate->lock);
    /* The application polls, so whatever it had is done, whichever job the probe was sent for. */
    bool closing = jg_rdk_within(gate->rdk, JG_FRAME_CONSUMER_CLOSE);
    struct jg_run *run = closing ? jg_gate_take_at_close(gate) : jg_gate_come_back(gate, "a poll");
    if (!run)
        return;
    jg_gate_end_later(gate, run, jg_clock_ms());
    if (closing)
        jg_worker_wait_completions(gate, 2 * gate->settings->store_timeout_ms);
}

static void
hear_echoes(struct jg_gate *gate)
{
    rd_kafka_event_t *echo = NULL;
    unsigned heard = 0;
    while ((echo = gate->rdk->queue_poll(gate->echoes, 0)) != NULL) {
        gate->rdk->event_destroy(echo);
        heard++;
    }
    pthread_mutex_lock(&gate->lock);
    gate->echoes_heard += heard;
    pthread_mutex_unlock(&gate->lock);
}

/* The queue is empty, and a probe was in it: the application has polled. */
static void
take_answer(struct jg_gate *gate, unsigned number)
{
    struct jg_run *run = NULL;
    pthread_mutex_lock(&gate->lock);
    if (gate->probing && gate->probes == number) /* no message came meanwhile */
        run = jg_gate_take_current(gate);
    pthread_mutex_unlock(&gate->lock);
    if (run)
        jg_gate_end_later(gate, run, jg_clock_ms());
}

void
jg_probe_tend(struct jg_gate *gate)
{
    if (!atomic_load(&gate->events)) {
        jg_probe_send(gate);
        return;
    }
    pthread_mutex_lock(&gate->lock);
    rd_kafka_queue_t *queue = gate->current ? gate->consumer_queue : NULL;
    pthread_mutex_unlock(&gate->lock);
    if (!queue || atomic_load(&gate->stopping))
        return;
    hear_echoes(gate);
    pthread_mutex_lock(&gate->lock);
    bool probing = gate->probing;
    bool arrived = gate->echoes_heard == gate->echoes_due;
    unsigned number = gate->probes;
    pthread_mutex_unlock(&gate->lock);
    if (gate->rdk->queue_length(queue) > 0)
        return;
    if (!probing)
        jg_probe_send(gate);
    else if (arrived)
        take_answer(gate, number);
}

static bool
is_wanted(struct jg_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    bool wanted = gate->current && !gate->probing && gate->consumer_queue && !atomic_load(&gate->stopping);
    pthread_mutex_unlock(&gate->lock);
    return wanted;
}

/* Nothing is under way when it fails. */
static void
send_off(struct jg_gate *gate, rd_kafka_topic_partition_list_t *one, bool with_echo)
{
    const struct jg_rdk *rdk = gate->rdk;
    if (!rdk->commit_queue(gate->rk, one, gate->consumer_queue, answered, gate) &&
        !(with_echo && rdk->commit_queue(gate->rk, one, gate->echoes, NULL, NULL)))
        return;
    pthread_mutex_lock(&gate->lock);
    gate->probing = false;
    gate->echoes_heard += with_echo;
    pthread_mutex_unlock(&gate->lock);
}

void
jg_probe_send(struct jg_gate *gate)
{
    const struct jg_rdk *rdk = gate->rdk;
    if (!is_wanted(gate))
        return;
    bool with_echo = atomic_load(&gate->events);
    rd_kafka_topic_partition_list_t *one = rdk->topic_partition_list_new(1);
    rd_kafka_topic_partition_t *partition = NULL;
    pthread_mutex_lock(&gate->lock);
    if (gate->current && !gate->probing && !atomic_load(&gate->stopping)) {
        partition = rdk->topic_partition_list_add(one, gate->current->topic, gate->current->partition);
        gate->probing = true;
        gate->probes++;
        gate->echoes_due += with_echo;
    }
    pthread_mutex_unlock(&gate->lock);
    if (partition) {
        partition->offset = RD_KAFKA_OFFSET_INVALID;
        send_off(gate, one, with_echo);
    }
    rdk->topic_partition_list_destroy(one);
}
