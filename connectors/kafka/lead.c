/* SPDX-License-Identifier: Apache-2.0 */
/* What the leading resumer does, over and over: read on, take tickets, carry over, sleep until the store or Kafka wakes
 * it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/resumer_impl.h"
#include "plugin/counters.h"
#include "plugin/event.h"
#include "plugin/ops.h"
#include "plugin/successor.h"

#define INIT_MS 10000
#define INIT_STEP_MS 500
#define INIT_PAUSE_MS 50
#define ELECT_EVERY_MS 1000
#define ELECT_LEAST_MS 100 /* however often it is woken */
#define LOOK_EVERY_MS 60000
#define LOOK_AGAIN_MS 3000
#define SYNC_EVERY_MS 10000
#define CLEAN_EVERY_MS 5000
#define CLEAN_FIRST_MS 500 /* what a predecessor has left */
#define GUARD_EVERY_MS 2000
#define RETRY_MS 1000
#define TOPICS_MOST 256 /* asked for in one exchange with the store */

/* --- opened and closed --- */

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *rkmessage, void *opaque)
{
    struct jg_transfer *each = rkmessage->_private;
    (void)rk;
    (void)opaque;
    each->err = rkmessage->err;
    each->to_partition = rkmessage->partition;
    each->to_offset = rkmessage->offset;
}

/* Not yet: as by brokers that are new, or just restarted. */
static bool
is_early(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
           err == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE || err == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

/* It may take longer than the lease lasts, which is renewed meanwhile: else another one begins to lead, and each fences
 * the other. A call that timed out goes on where it was. */
static bool
init_transactions(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    int64_t until_ms = jg_clock_ms() + INIT_MS, left_ms;
    while (!atomic_load(&resumer->stopping)) {
        rd_kafka_error_t *refused = rdk->init_transactions(resumer->producer, INIT_STEP_MS);
        if (!refused)
            return true;
        rd_kafka_resp_err_t err = rdk->error_code(refused);
        bool again = is_early(err) && jg_clock_ms() < until_ms;
        bool denied = err == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        if (!again)
            jg_resumer_complain(resumer, "transactions of %s are refused: %s%s", resumer->identity,
                                rdk->error_string(refused),
                                denied ? " (allow this client Write on this TransactionalId)" : "");
        rdk->error_destroy(refused);
        if (!again || (!jg_resumer_elect(resumer, &left_ms) && left_ms >= 0))
            return false;
        if (err != RD_KAFKA_RESP_ERR__TIMED_OUT)
            (void)jg_resumer_rest(resumer, INIT_PAUSE_MS);
    }
    return false;
}

/* Transactions are initialised before offsets are read: whatever a predecessor left open is decided then. */
static bool
open_clients(struct jg_resumer *resumer)
{
    /* One request at a time: see open_producer in holder.c. */
    /* clang-format off */
    const char *const producer[] = {
        "transactional.id", resumer->identity,
        "max.in.flight", "1",
        "transaction.timeout.ms", "5000",
        "message.timeout.ms", "5000",
        /* Nothing else bounds its request for offsets, while a broker does not answer, or is away. */
        "socket.timeout.ms", "3500",
        "reconnect.backoff.max.ms", "1000",
        "linger.ms", "0",
        "retry.backoff.ms", "10",
        "message.max.bytes", "1000000000",
        "batch.size", "100000",
        "compression.codec", "lz4", /* as its producer may have done: else it may be too large */
        NULL};
    const char *const consumer[] = {
        "group.id", resumer->group,
        "enable.auto.commit", "false",
        "enable.auto.offset.store", "false",
        "isolation.level", "read_committed",
        "auto.offset.reset", "earliest",
        /* Small steps, and a queue that is seldom full: one that was is looked at again up to a second later. */
        "max.partition.fetch.bytes", "131072",
        "queued.min.messages", "5000",
        "queued.max.messages.kbytes", "2048",
        "fetch.wait.max.ms", "100",
        "fetch.error.backoff.ms", "50",
        NULL};
    /* clang-format on */
    struct jg_error error;
    resumer->producer = jg_own_client(&resumer->own, RD_KAFKA_PRODUCER, producer, delivered, NULL, &error);
    if (resumer->producer)
        resumer->consumer = jg_own_client(&resumer->own, RD_KAFKA_CONSUMER, consumer, NULL, NULL, &error);
    if (!resumer->consumer) {
        jg_resumer_complain(resumer, "no Kafka client: %s", error.text);
        return false;
    }
    return init_transactions(resumer);
}

static void
close_clients(struct jg_resumer *resumer)
{
    if (resumer->answers)
        resumer->own.rdk->queue_destroy(resumer->answers);
    resumer->answers = NULL;
    jg_own_close(&resumer->own, resumer->producer); /* first: it may still hold transfers */
    jg_heads_clear(resumer);
    jg_loads_leave(resumer, NULL);
    jg_own_close(&resumer->own, resumer->consumer);
    jg_watch_close(resumer->watch);
    resumer->producer = resumer->consumer = NULL;
    resumer->watch = NULL;
}

/* --- what the store is told --- */

static struct jg_op
sync_op(const struct jg_resumer *resumer, const struct jg_held_topic *topic)
{
    struct jg_policy policy;
    jg_conf_policy(resumer->options.conf, topic->class_name, &policy);
    return jg_op_sync(topic->class_name, resumer->options.instance, &policy, &topic->override);
}

bool
jg_resumer_sync(struct jg_resumer *resumer, struct jg_held_topic *topic)
{
    struct jg_op op = sync_op(resumer, topic);
    if (jg_store_exec(resumer->options.store, &op, 1) != JG_OK)
        return false;
    topic->override = op.override;
    return true;
}

/* Inside a consumer: its settings of the classes that are held, also of those that none of its messages have. */
static void
sync_topics(struct jg_resumer *resumer, int64_t now_ms)
{
    struct jg_op ops[TOPICS_MOST];
    struct jg_held_topic *of[TOPICS_MOST];
    size_t count = 0;
    for (struct jg_held_topic *topic = resumer->topics; topic && count < TOPICS_MOST; topic = topic->next_topic) {
        if (!topic->class_name[0] || (topic->sync_ms && now_ms - topic->sync_ms < SYNC_EVERY_MS))
            continue;
        of[count] = topic;
        ops[count++] = sync_op(resumer, topic);
    }
    if (count == 0)
        return;
    (void)!jg_store_exec(resumer->options.store, ops, count);
    for (size_t i = 0; i < count; i++) {
        if (ops[i].err != JG_OK)
            continue;
        of[i]->sync_ms = now_ms;
        of[i]->override = ops[i].override;
    }
}

/* --- carried over --- */

/* Tell where ticketed jobs are now, so that tickets which serve nobody can be told. Of one class; frees the texts. */
static void
place_class(struct jg_resumer *resumer, const struct jg_held_topic *topic)
{
    static _Thread_local const char *items[2 * JG_RESUME_MOST];
    size_t count = 0;
    for (size_t i = 0; i < resumer->transfer_count; i++) {
        const struct jg_transfer *each = &resumer->transfers[i];
        struct jg_buf position = JG_BUF_INIT;
        if (each->partition->topic != topic || each->entry->doomed)
            continue;
        jg_buf_format(&position, "%s/%d/%" PRId64, topic->origin, (int)each->to_partition, each->to_offset);
        if (position.failed)
            continue;
        items[count++] = each->entry->load->stamp.jid;
        items[count++] = position.data;
    }
    struct jg_op op = {.kind = JG_OP_PLACE, .class_name = topic->class_name, .items = items, .item_count = count};
    if (count > 0)
        (void)!jg_store_exec(resumer->options.store, &op, 1); /* else those tickets are dropped by their age */
    for (size_t i = 1; i < count; i += 2)
        free((char *)(uintptr_t)items[i]);
}

/* For log.format=json and events.topic. */
static void
tell(const struct jg_resumer *resumer, const struct jg_transfer *transfer, int64_t wall_ms)
{
    const struct jg_entry *entry = transfer->entry;
    const struct jg_stamp *stamp = &entry->load->stamp;
    struct jg_event event = JG_EVENT_INIT(entry->doomed ? JG_EVENT_BURIED : JG_EVENT_RESUMED);
    if (!jg_event_wanted(jg_conf_settings(resumer->options.conf), resumer->options.log) || entry->foreign)
        return;
    event.time_ms = wall_ms;
    event.class_name = stamp->class_name;
    event.jid = stamp->jid;
    event.key = stamp->key;
    event.topic = transfer->partition->topic->origin;
    event.partition = entry->doomed ? -1 : transfer->to_partition;
    event.offset = entry->doomed ? -1 : transfer->to_offset;
    event.reason = entry->doomed;
    event.attempt = stamp->attempt;
    event.waited_ms = jg_wall_ms() - stamp->held_since_ms;
    jg_events_tell(resumer->options.events, jg_conf_settings(resumer->options.conf), resumer->options.log, &event);
}

/* They went, from `wall_ms` on. */
static void
settle(struct jg_resumer *resumer, int64_t wall_ms)
{
    int64_t buried = 0;
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic)
        place_class(resumer, topic);
    for (size_t i = 0; i < resumer->transfer_count; i++) {
        const struct jg_transfer *each = &resumer->transfers[i];
        buried += each->entry->doomed != NULL;
        tell(resumer, each, wall_ms);
        jg_row_commit(each->partition->row);
        each->partition->moved = false;
        jg_heads_remove(resumer, each->partition->topic, each->entry);
    }
    jg_clean_left(resumer);
    int64_t resumed = (int64_t)resumer->transfer_count - buried;
    resumer->one_by_one -= resumer->one_by_one > 0;
    jg_count(JG_COUNT_RESUMED, resumed);
    jg_count(JG_COUNT_BURIED, buried);
    pthread_mutex_lock(&resumer->lock);
    resumer->state.resumed += resumed;
    resumer->state.buried += buried;
    resumer->state.trouble[0] = '\0';
    pthread_mutex_unlock(&resumer->lock);
    resumer->transfer_count = 0;
}

/* --- the loop --- */

static bool
look_if_due(struct jg_resumer *resumer, int64_t now_ms)
{
    struct jg_error error;
    bool wanted = atomic_exchange(&resumer->look, false);
    int64_t every_ms = resumer->skipped ? LOOK_AGAIN_MS : LOOK_EVERY_MS;
    if (!wanted && resumer->looked_ms && now_ms - resumer->looked_ms < every_ms)
        return true;
    if (jg_heads_look(resumer, &error) != JG_OK) {
        jg_resumer_complain(resumer, "%s", error.text);
        resumer->looked_ms = now_ms - every_ms + RETRY_MS;
        return resumer->topics != NULL; /* what is known goes on */
    }
    /* A broker that is asked right after a topic was made may not know it yet. */
    resumer->looked_ms = wanted ? now_ms - every_ms + LOOK_AGAIN_MS : now_ms;
    return true;
}

static void
wake_all(struct jg_resumer *resumer)
{
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        topic->ask = true;
        jg_lanes_wake(&topic->lanes);
    }
}

static int64_t
next_due(const struct jg_resumer *resumer, int64_t now_ms)
{
    int64_t due_ms = now_ms + JG_RESUME_ASK_MS;
    for (const struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        int64_t at_ms = topic->ask ? now_ms : topic->due_ms;
        if (at_ms < topic->retry_ms)
            at_ms = topic->retry_ms;
        if (topic->class_name[0] && at_ms < due_ms)
            due_ms = at_ms;
    }
    return due_ms - now_ms;
}

/* False: it leads no more. A store that is down leaves it in office: it can take no ticket anyway. */
static bool
elect_if_due(struct jg_resumer *resumer, bool woken, int64_t now_ms)
{
    int64_t left_ms;
    if (now_ms - resumer->led_ms < (woken ? ELECT_LEAST_MS : ELECT_EVERY_MS))
        return true;
    return jg_resumer_elect(resumer, &left_ms) || left_ms < 0;
}

static void
watch_store(struct jg_resumer *resumer)
{
    if (!resumer->watch && jg_store_watch(resumer->options.store, &resumer->watch) != JG_OK)
        resumer->watch = NULL; /* the poll goes on */
}

/* One round. False: begin anew. */
static bool
work_round(struct jg_resumer *resumer)
{
    rd_kafka_message_t *event;
    int64_t now_ms = jg_clock_ms();
    while ((event = resumer->own.rdk->consumer_poll(resumer->consumer, 0)) != NULL)
        resumer->own.rdk->message_destroy(event); /* errors of brokers; calls tell what matters */
    resumer->own.rdk->poll(resumer->producer, 0);
    if (!look_if_due(resumer, now_ms))
        return true;
    if (now_ms - resumer->guarded_ms > GUARD_EVERY_MS) {
        jg_clean_guard(resumer);
        resumer->guarded_ms = now_ms;
    }
    jg_heads_fill(resumer);
    if (resumer->broken) {
        jg_resumer_complain(resumer, "a holding topic went away, or memory is short: all are read anew");
        return false;
    }
    if (!resumer->options.external)
        sync_topics(resumer, now_ms);
    jg_resumer_choose(resumer, now_ms);
    if (resumer->transfer_count == 0)
        return true;
    int64_t wall_ms = jg_wall_ms();
    switch (jg_resumer_transfer(resumer)) {
    case JG_TRANSFERRED:
        settle(resumer, wall_ms);
        return true;
    case JG_TRANSFER_AGAIN:
        wake_all(resumer);
        return true;
    case JG_TRANSFER_BROKEN:
        break;
    }
    return false;
}

void
jg_resumer_lead(struct jg_resumer *resumer)
{
    bool goes_on = open_clients(resumer);
    bool woken = false;
    resumer->looked_ms = resumer->noted_ms = resumer->apart_ms = 0;
    resumer->one_by_one = 0;
    resumer->broken = false;
    resumer->refreshed_ms = jg_clock_ms();
    resumer->cleaned_ms = resumer->refreshed_ms - CLEAN_EVERY_MS + CLEAN_FIRST_MS;
    while (goes_on && !atomic_load(&resumer->stopping)) {
        watch_store(resumer);
        if (woken)
            wake_all(resumer);
        goes_on = elect_if_due(resumer, woken, jg_clock_ms()) && work_round(resumer);
        int64_t now_ms = jg_clock_ms();
        if (goes_on && now_ms - resumer->cleaned_ms > CLEAN_EVERY_MS) {
            jg_clean_tickets(resumer);
            jg_clean_records(resumer);
            jg_clean_marks(resumer);
            resumer->cleaned_ms = now_ms;
        }
        jg_resumer_note_if_due(resumer, now_ms);
        if (goes_on)
            woken = jg_resumer_rest(resumer, resumer->reading ? 0 : next_due(resumer, jg_clock_ms()));
    }
    close_clients(resumer);
}
