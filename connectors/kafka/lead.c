/* SPDX-License-Identifier: Apache-2.0 */
/* What the leading resumer does, over and over: read on, take tickets, carry over, sleep until the store or Kafka wakes
 * it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/holding.h"
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
#define ROUND_MOST_MS 500 /* then the lease is looked at again */
#define ASK_EVERY_MS 1000 /* the safety net: what no wake-up told */
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
        "queued.min.messages", "500",
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

static bool
sync_topic(struct jg_resumer *resumer, struct jg_held_topic *topic)
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

/* --- which jobs go --- */

static void
look_at_age(const struct jg_held_topic *topic, struct jg_head *head)
{
    if (!head->doomed && topic->max_age_ms > 0 && jg_wall_ms() - head->stamp.held_since_ms > topic->max_age_ms)
        head->doomed = "held for longer than hold.max.age.ms";
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
bury(struct jg_resumer *resumer, const struct jg_head *head)
{
    struct jg_policy policy;
    if (head->foreign)
        return true;
    jg_conf_policy(resumer->options.conf, head->stamp.class_name, &policy);
    struct jg_op op = jg_op_bury(&head->stamp, &policy);
    return jg_store_exec(resumer->options.store, &op, 1) == JG_OK;
}

static void
add_transfer(struct jg_resumer *resumer, struct jg_held_partition *partition, struct jg_head *head)
{
    resumer->transfers[resumer->transfer_count++] = (struct jg_transfer){.partition = partition, .head = head};
}

/* How many jobs may go in this transaction. */
static size_t
room_of(const struct jg_resumer *resumer)
{
    return resumer->one_by_one ? 1 : JG_RESUME_MOST;
}

/* Those at the head of a partition that cannot go back. What is behind them waits when they cannot be buried now. */
static void
collect_doomed(struct jg_resumer *resumer, struct jg_held_topic *topic, int64_t now_ms)
{
    for (int i = 0; i < topic->partition_count; i++) {
        struct jg_held_partition *partition = &topic->partitions[i];
        struct jg_head *head = partition->first;
        while (head && resumer->transfer_count < room_of(resumer)) {
            look_at_age(topic, head);
            if (!head->doomed)
                break;
            if (now_ms < topic->bury_ms || !dead_topic_is_there(resumer, topic, head->rkmessage->len) ||
                !bury(resumer, head)) {
                topic->bury_ms = now_ms < topic->bury_ms ? topic->bury_ms : now_ms + RETRY_MS;
                head = NULL; /* what is behind it waits, on this partition alone */
                break;
            }
            jg_log_rated(resumer->options.log, &resumer->rate, JG_LOG_WARNING, "BURY", "%s/%d/%lld goes to %s.dead: %s",
                         topic->name, (int)partition->number, (long long)head->rkmessage->offset, topic->origin,
                         head->doomed);
            add_transfer(resumer, partition, head);
            head = jg_clock_ms() - now_ms > ROUND_MOST_MS ? NULL : head->next;
        }
        partition->picked = head;
    }
}

/* How long the job has to wait for its backoff; what is behind it in its partition waits with it. */
static int64_t
backoff_ms(const struct jg_resumer *resumer, const struct jg_head *head, int64_t wall_ms)
{
    int64_t left_ms = resumer->options.lift ? 0 : head->stamp.not_before_ms - wall_ms;
    return left_ms > 0 && left_ms <= JG_BACKOFF_MAX_MS ? left_ms : 0; /* more was never meant */
}

/* The partition whose next job is held longest and may go; NULL: none waits. */
static struct jg_held_partition *
longest_held(const struct jg_resumer *resumer, struct jg_held_topic *topic, int64_t wall_ms)
{
    struct jg_held_partition *best = NULL;
    for (int i = 0; i < topic->partition_count; i++) {
        struct jg_held_partition *each = &topic->partitions[i];
        if (each->picked && !each->picked->doomed && !backoff_ms(resumer, each->picked, wall_ms) &&
            (!best || each->picked->stamp.held_since_ms < best->picked->stamp.held_since_ms))
            best = each;
    }
    return best;
}

/* Put up to `most` candidates of one topic behind the transfers, those that are held longest first. They are none
 * before they are counted. Returns how many. */
static size_t
pick(struct jg_resumer *resumer, struct jg_held_topic *topic, size_t most, const char **jids)
{
    struct jg_held_partition *partition;
    size_t count = 0;
    int64_t wall_ms = jg_wall_ms();
    while (count < most && (partition = longest_held(resumer, topic, wall_ms))) {
        struct jg_head *head = partition->picked;
        resumer->transfers[resumer->transfer_count + count] =
            (struct jg_transfer){.partition = partition, .head = head};
        jids[count++] = head->stamp.jid;
        partition->picked = head->next;
    }
    return count;
}

/* When to ask next in any case: as the safety net, or when a backoff is over. */
static int64_t
next_due_ms(const struct jg_resumer *resumer, const struct jg_held_topic *topic)
{
    int64_t next_ms = ASK_EVERY_MS;
    int64_t wall_ms = jg_wall_ms();
    for (int i = 0; i < topic->partition_count; i++) {
        const struct jg_head *head = topic->partitions[i].picked;
        int64_t left_ms = head ? backoff_ms(resumer, head, wall_ms) : 0;
        if (left_ms && left_ms < next_ms)
            next_ms = left_ms;
    }
    return next_ms;
}

/* Of the `count` candidates behind the transfers, those that are granted join them, in order. What is behind one that
 * waits, in its partition, waits with it. Returns how many joined. */
static size_t
keep_granted(struct jg_resumer *resumer, size_t count, const unsigned char *grants)
{
    struct jg_transfer *const candidates = &resumer->transfers[resumer->transfer_count];
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        candidates[i].partition->stopped = false;
    for (size_t i = 0; i < count; i++) {
        const struct jg_transfer each = candidates[i];
        bool goes = resumer->options.lift || grants[i] == JG_GRANT_YES;
        each.partition->stopped = each.partition->stopped || !goes;
        if (!each.partition->stopped)
            candidates[kept++] = each;
    }
    resumer->transfer_count += kept;
    return kept;
}

/* Ask for tickets of one class; those that are granted join the transfers. True: there may be more. */
static bool
take(struct jg_resumer *resumer, struct jg_held_topic *topic, size_t most, int64_t now_ms)
{
    static _Thread_local const char *jids[JG_RESUME_MOST];
    unsigned char grants[JG_RESUME_MOST];
    struct jg_policy policy;
    size_t count = pick(resumer, topic, most, jids);
    jg_conf_policy(resumer->options.conf, topic->class_name, &policy);
    struct jg_op op = {
        .kind = JG_OP_TAKE,
        .class_name = topic->class_name,
        .items = jids,
        .item_count = count,
        .grants = grants,
        .held_in = jg_heads_count(resumer, topic),
        .oldest_held_in = jg_heads_oldest(topic),
        .grace_ms = jg_conf_grace_ms(resumer->options.conf, &policy),
        .ahead_in = jg_pace_ahead(&topic->pace),
    };
    topic->due_ms = now_ms + next_due_ms(resumer, topic);
    topic->ask = false;
    if (jg_store_exec(resumer->options.store, &op, 1) != JG_OK)
        return false;
    topic->max_age_ms = op.max_age_now_ms;
    jg_pace_take(&topic->pace, &op);
    topic->due_ms = now_ms + jg_pace_due_ms(&topic->pace, topic->due_ms - now_ms);
    if (resumer->options.external && count && !op.granted && !op.limit_now && op.reason == JG_REASON_NONE)
        return sync_topic(resumer, topic); /* nobody has told anything of the class: what this process is told counts */
    size_t kept = keep_granted(resumer, count, grants);
    return kept > 0 && kept == count;
}

/* Choose what goes next. */
static void
choose(struct jg_resumer *resumer, int64_t now_ms)
{
    resumer->transfer_count = 0;
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        if (now_ms < resumer->apart_ms && resumer->transfer_count > 0)
            break;
        collect_doomed(resumer, topic, now_ms);
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
        if (each->partition->topic != topic || each->head->doomed)
            continue;
        jg_buf_format(&position, "%s/%d/%" PRId64, topic->origin, (int)each->to_partition, each->to_offset);
        if (position.failed)
            continue;
        items[count++] = each->head->stamp.jid;
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
    const struct jg_head *head = transfer->head;
    struct jg_event event = JG_EVENT_INIT(head->doomed ? JG_EVENT_BURIED : JG_EVENT_RESUMED);
    if (!jg_event_wanted(jg_conf_settings(resumer->options.conf), resumer->options.log) || head->foreign)
        return;
    event.time_ms = wall_ms;
    event.class_name = head->stamp.class_name;
    event.jid = head->stamp.jid;
    event.key = head->stamp.key;
    event.topic = transfer->partition->topic->origin;
    event.partition = head->doomed ? -1 : transfer->to_partition;
    event.offset = head->doomed ? -1 : transfer->to_offset;
    event.reason = head->doomed;
    event.attempt = head->stamp.attempt;
    event.waited_ms = jg_wall_ms() - head->stamp.held_since_ms;
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
        buried += resumer->transfers[i].head->doomed != NULL;
        tell(resumer, &resumer->transfers[i], wall_ms);
        jg_heads_pop(resumer, resumer->transfers[i].partition);
    }
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
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic)
        topic->ask = true;
}

static int64_t
next_due(const struct jg_resumer *resumer, int64_t now_ms)
{
    int64_t due_ms = now_ms + ASK_EVERY_MS;
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
    choose(resumer, now_ms);
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
            resumer->cleaned_ms = now_ms;
        }
        jg_resumer_note_if_due(resumer, now_ms);
        if (goes_on)
            woken = jg_resumer_rest(resumer, next_due(resumer, jg_clock_ms()));
    }
    close_clients(resumer);
}
