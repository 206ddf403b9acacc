/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/kafka/holder.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "connectors/kafka/deferral.h"
#include "connectors/kafka/holding.h"
#include "plugin/counters.h"

#define MOST_JOBS 10000
#define MOST_BYTES (64u << 20)
#define MOST_REMEMBERED 1000 /* that arrived after their waiter had gone */
#define RETRY_MS 1000
#define BATCH_BYTES 100000 /* what is larger goes alone anyway */
#define RETRY_SOON_MS 20
#define ROUND_MS 20  /* then the next one begins, for topics of which nothing is in flight ... */
#define STUCK_MS 300 /* ... and then for all: a partition without a leader does not stop its topic's others */
#define IDLE_MS 1000

struct jg_holder {
    struct jg_holder_options options;
    pthread_t thread;
    int wake_fd;
    _Atomic bool stopping;
    _Atomic int64_t until_ms; /* of options.own; not 0: nobody waits any more */
    int64_t stop_ms;          /* monotonic: then it ends, whatever is left */

    pthread_mutex_t lock; /* guards what follows up to `producer`; nothing is called while it is held */
    pthread_cond_t changed;
    struct jg_deferrals queue;   /* to be produced */
    struct jg_deferrals sent;    /* with the thread, or with its producer */
    struct jg_deferrals again;   /* waiting for the next round, in any order */
    uint64_t taken;              /* jobs, ever */
    struct jg_deferrals arrived; /* there, and not yet asked for */
    size_t size_bytes;
    struct jg_error trouble; /* the last one; empty: none since something arrived */

    rd_kafka_t *producer; /* the thread's */
    int64_t round_ms;     /* monotonic: when the last round began */
    struct jg_target *targets;
    struct jg_log_rate rate;
};

static void
wake(struct jg_holder *holder)
{
    uint64_t one = 1;
    (void)!write(holder->wake_fd, &one, sizeof one);
}

/* --- the thread: topics --- */

static void
complain(struct jg_holder *holder, const char *text)
{
    jg_count(JG_COUNT_HOLD_FAILURE, 1);
    pthread_mutex_lock(&holder->lock);
    snprintf(holder->trouble.text, sizeof holder->trouble.text, "%s", text);
    pthread_mutex_unlock(&holder->lock);
    jg_log_rated(holder->options.own.log, &holder->rate, JG_LOG_ERROR, "HOLD",
                 "jobs cannot be held or enqueued again, and are tried again: %s", text);
}

/* Is the target there, or can it be made now? */
static bool
is_ready(struct jg_holder *holder, struct jg_target *target, int64_t now_ms)
{
    struct jg_own_topic found;
    struct jg_error error = {.text = ""};
    if (target->partitions)
        return now_ms >= target->retry_ms;
    if (now_ms < target->retry_ms)
        return false;
    if (jg_target_make(&holder->options.own, holder->producer, target, &found, &error) != JG_OK) {
        target->retry_ms = jg_clock_ms() + RETRY_MS;
        complain(holder, error.text);
        return false;
    }
    target->partitions = found.partitions;
    if (target->kind == JG_TARGET_HELD)
        holder->options.opened(holder->options.opaque);
    return true;
}

/* --- the thread: one job --- */

/* It cannot be held, ever: it goes where people look for such. */
static void
bury(struct jg_holder *holder, struct jg_deferral *each)
{
    bool is_dead = each->target->kind == JG_TARGET_DEAD;
    struct jg_target *dead = is_dead ? NULL : jg_target_find(&holder->targets, each->topic, "", JG_TARGET_DEAD);
    char text[JG_TOPIC_MAX_BYTES * 2 + 200];
    snprintf(text, sizeof text,
             "the job at %s/%d/%lld is too large for topic %s (raise its max.message.bytes): it goes to %s.dead",
             each->topic, (int)each->partition, (long long)each->offset, each->target->name, each->topic);
    complain(holder, text);
    each->target->alone = false;
    if (!dead) {
        each->target->retry_ms = jg_clock_ms() + RETRY_MS;
        return;
    }
    each->target = dead;
    if (each->size_bytes > dead->job_bytes)
        dead->job_bytes = each->size_bytes;
}

/* Not there: it is tried again in the next round, unless its partition is somebody else's by now: then it is the
 * result, to be destroyed. The lock is held. */
static struct jg_deferral *
take_back(struct jg_holder *holder, struct jg_deferral *each)
{
    jg_deferrals_take_out(&holder->sent, each);
    if (each->forgotten && !each->waiters) {
        holder->size_bytes -= each->size_bytes;
        return each;
    }
    each->state = JG_DEFERRAL_QUEUED;
    jg_deferrals_push(&holder->again, each);
    return NULL;
}

/* The next round begins: what has to be tried again goes before what came later. The lock is held. */
static void
merge_again(struct jg_holder *holder)
{
    struct jg_deferral *each, *last = NULL;
    while ((each = jg_deferrals_take_first(&holder->again))) {
        jg_deferrals_insert(&holder->queue, last && last->number < each->number ? last : NULL, each);
        last = each;
    }
}

static void
failed(struct jg_holder *holder, struct jg_deferral *each, rd_kafka_resp_err_t err)
{
    if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        if (each->alone || each->size_bytes > BATCH_BYTES)
            bury(holder, each);
        else
            each->target->alone = true;
        return;
    }
    char text[JG_TOPIC_MAX_BYTES + 200];
    snprintf(text, sizeof text, "topic %s: %s%s", each->target->name, holder->options.own.rdk->err2str(err),
             err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ? " (allow this client Write on it)" : "");
    complain(holder, text);
    each->target->retry_ms = jg_clock_ms() + RETRY_MS;
    if (err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        each->target->partitions = 0;
}

/* Keep what arrived after its waiter had gone: the same position may come again. The lock is held. */
static struct jg_deferral *
remember(struct jg_holder *holder, struct jg_deferral *each)
{
    struct jg_deferral *oldest = NULL;
    each->state = JG_DEFERRAL_ARRIVED;
    free(each->payload);
    free(each->key);
    each->payload = each->key = NULL;
    jg_deferrals_push(&holder->arrived, each);
    if (holder->arrived.count > MOST_REMEMBERED && !holder->arrived.head->waiters) {
        oldest = holder->arrived.head;
        jg_deferrals_take_out(&holder->arrived, oldest);
    }
    return oldest;
}

static void
arrived(struct jg_holder *holder, struct jg_deferral *each)
{
    const struct jg_holder_options *options = &holder->options;
    bool dead = each->target->kind == JG_TARGET_DEAD, held = each->target->kind == JG_TARGET_HELD;
    each->target->in_flight--;
    jg_count(held ? JG_COUNT_HELD : dead ? JG_COUNT_BURIED : JG_COUNT_REENQUEUED, 1);
    if (dead)
        options->buried(options->opaque, each->topic, &each->stamp);
    pthread_mutex_lock(&holder->lock);
    bool tell = each->tell && !each->forgotten;
    pthread_mutex_unlock(&holder->lock);
    if (tell)
        options->done(options->opaque, each->topic, each->partition, each->offset);
    pthread_mutex_lock(&holder->lock);
    jg_deferrals_take_out(&holder->sent, each);
    holder->size_bytes -= each->size_bytes;
    holder->trouble.text[0] = '\0';
    struct jg_deferral *gone = (each->tell || each->forgotten) && !each->waiters ? each : remember(holder, each);
    pthread_cond_broadcast(&holder->changed);
    bool next = !holder->sent.count && holder->queue.count;
    pthread_mutex_unlock(&holder->lock);
    if (next)
        wake(holder);
    if (gone)
        jg_deferral_destroy(holder->options.own.rdk, gone);
}

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *rkmessage, void *opaque)
{
    struct jg_holder *holder = opaque;
    struct jg_deferral *each = rkmessage->_private;
    (void)rk;
    if (!rkmessage->err) {
        arrived(holder, each);
        return;
    }
    each->target->in_flight--;
    failed(holder, each, rkmessage->err);
    pthread_mutex_lock(&holder->lock);
    struct jg_deferral *gone = take_back(holder, each);
    pthread_mutex_unlock(&holder->lock);
    if (gone)
        jg_deferral_destroy(holder->options.own.rdk, gone);
}

/* --- the thread: a round --- */

/* Hand a job to the producer. False: it has to wait. */
static bool
send_one(struct jg_holder *holder, struct jg_deferral *each)
{
    if (!each->target)
        each->target = jg_target_find(&holder->targets, each->topic, each->stamp.class_name, each->kind);
    if (!each->target || each->target->blocked)
        return false;
    bool waits = each->target->alone && each->target->in_flight > 0;
    if (!waits && is_ready(holder, each->target, jg_clock_ms())) {
        rd_kafka_resp_err_t err = jg_deferral_produce(holder->options.own.rdk, holder->producer, each);
        each->alone = each->target->alone;
        if (!each->target->in_flight)
            each->target->sent_ms = holder->round_ms;
        each->target->in_flight += !err;
        if (!err)
            return true;
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            failed(holder, each, err);
    }
    each->target->blocked = true; /* nothing may go before it */
    return false;
}

/* Produce what waits, in order. True: something has to wait. */
static bool
send_queue(struct jg_holder *holder)
{
    struct jg_deferral *each;
    holder->round_ms = jg_clock_ms();
    for (struct jg_target *target = holder->targets; target; target = target->next)
        target->blocked = target->in_flight > 0 && holder->round_ms - target->sent_ms < STUCK_MS;
    pthread_mutex_lock(&holder->lock);
    merge_again(holder);
    while ((each = jg_deferrals_take_first(&holder->queue))) {
        each->state = JG_DEFERRAL_SENT;
        jg_deferrals_push(&holder->sent, each);
        pthread_mutex_unlock(&holder->lock);
        bool sent = send_one(holder, each);
        pthread_mutex_lock(&holder->lock);
        struct jg_deferral *gone = sent ? NULL : take_back(holder, each);
        if (gone)
            jg_deferral_destroy(holder->options.own.rdk, gone);
    }
    bool waits = holder->again.count > 0;
    bool idle = !waits && holder->sent.count == 0;
    pthread_mutex_unlock(&holder->lock);
    for (struct jg_target *target = holder->targets; idle && target; target = target->next)
        target->alone = false;
    return waits;
}

static void
open_producer(struct jg_holder *holder)
{
    /* One request at a time: a broker that does not know a new partition yet refuses a first batch, and may take the
     * one that is behind it; librdkafka then believes that both are there. */
    /* clang-format off */
    static const char *const settings[] = {
        "enable.idempotence", "true",
        "max.in.flight", "1",
        "acks", "all",
        "linger.ms", "1",
        "message.timeout.ms", "0",
        "message.max.bytes", "1000000000",
        "batch.size", "100000",
        "queue.buffering.max.messages", "20000",
        "compression.codec", "lz4", /* as its producer may have done: else it may be too large */
        NULL};
    /* clang-format on */
    struct jg_error error;
    holder->producer = jg_own_client(&holder->options.own, RD_KAFKA_PRODUCER, settings, delivered, holder, &error);
    if (!holder->producer) {
        complain(holder, error.text);
        return;
    }
    uint64_t one = 1;
    rd_kafka_queue_t *queue = holder->options.own.rdk->queue_get_main(holder->producer);
    holder->options.own.rdk->queue_io_event_enable(queue, holder->wake_fd, &one, sizeof one);
    holder->options.own.rdk->queue_destroy(queue);
}

/* An idempotent producer that has lost its place serves nobody any more: another takes over what it had. */
static void
replace_if_fatal(struct jg_holder *holder)
{
    char text[256];
    if (!holder->options.own.rdk->fatal_error(holder->producer, text, sizeof text))
        return;
    complain(holder, text);
    jg_own_close(&holder->options.own, holder->producer);
    holder->producer = NULL;
    pthread_mutex_lock(&holder->lock);
    for (struct jg_target *target = holder->targets; target; target = target->next)
        target->in_flight = 0;
    while (holder->sent.head) {
        struct jg_deferral *gone = take_back(holder, holder->sent.head);
        if (gone)
            jg_deferral_destroy(holder->options.own.rdk, gone);
    }
    pthread_mutex_unlock(&holder->lock);
}

static void
rest(struct jg_holder *holder, int64_t timeout_ms)
{
    struct pollfd fd = {.fd = holder->wake_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&fd, 1, (int)timeout_ms) > 0)
        (void)!read(holder->wake_fd, &count, sizeof count);
}

static bool
is_over(struct jg_holder *holder)
{
    if (!atomic_load(&holder->stopping))
        return false;
    pthread_mutex_lock(&holder->lock);
    bool over = !(holder->queue.count + holder->sent.count + holder->again.count) || jg_clock_ms() >= holder->stop_ms;
    pthread_mutex_unlock(&holder->lock);
    return over;
}

/* Is it time for a round? While more than four messages of a partition are in flight and others wait behind them, an
 * idempotent producer's thread spins: what comes meanwhile waits here, and goes in one request when those are there. */
static bool
is_due(struct jg_holder *holder)
{
    pthread_mutex_lock(&holder->lock);
    bool due = !holder->sent.count || jg_clock_ms() - holder->round_ms >= ROUND_MS;
    pthread_mutex_unlock(&holder->lock);
    return due;
}

static void *
work(void *opaque)
{
    struct jg_holder *holder = opaque;
    bool waits = true;
    while (!is_over(holder)) {
        if (!holder->producer)
            open_producer(holder);
        if (holder->producer) {
            waits = is_due(holder) ? send_queue(holder) : true;
            holder->options.own.rdk->poll(holder->producer, 0);
            replace_if_fatal(holder);
        }
        rest(holder, waits || atomic_load(&holder->stopping) ? RETRY_SOON_MS : IDLE_MS);
    }
    if (holder->producer)
        jg_own_close(&holder->options.own, holder->producer);
    return NULL;
}

/* --- seen from other threads --- */

static void
free_all(struct jg_holder *holder)
{
    struct jg_deferrals *lists[] = {&holder->queue, &holder->sent, &holder->again, &holder->arrived};
    struct jg_deferral *each;
    for (size_t i = 0; i < 4; i++)
        while ((each = jg_deferrals_take_first(lists[i])))
            jg_deferral_destroy(holder->options.own.rdk, each);
    jg_targets_clear(&holder->targets);
    close(holder->wake_fd);
    pthread_cond_destroy(&holder->changed);
    pthread_mutex_destroy(&holder->lock);
    free(holder);
}

struct jg_holder *
jg_holder_new(const struct jg_holder_options *options, struct jg_error *error)
{
    struct jg_holder *holder = calloc(1, sizeof *holder);
    snprintf(error->text, sizeof error->text, "jobgate cannot start the thread that holds jobs");
    if (!holder)
        return NULL;
    holder->options = *options;
    holder->options.own.until_ms = &holder->until_ms;
    pthread_mutex_init(&holder->lock, NULL);
    jg_cond_init(&holder->changed);
    holder->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (holder->wake_fd >= 0 && !jg_thread_start(&holder->thread, work, holder))
        return holder;
    free_all(holder);
    return NULL;
}

void
jg_holder_hurry(struct jg_holder *holder)
{
    pthread_mutex_lock(&holder->lock);
    if (!atomic_load(&holder->until_ms))
        atomic_store(&holder->until_ms, jg_clock_ms() + JG_OWN_CALL_MS);
    pthread_cond_broadcast(&holder->changed);
    pthread_mutex_unlock(&holder->lock);
}

bool
jg_holder_stop(struct jg_holder *holder, int64_t timeout_ms, int64_t deadline_ms)
{
    jg_holder_hurry(holder);
    holder->stop_ms = jg_clock_ms() + timeout_ms;
    atomic_store(&holder->stopping, true);
    wake(holder);
    bool ended = jg_thread_join(holder->thread, deadline_ms);
    if (ended)
        free_all(holder);
    return ended;
}

/* Wait until it is there. Called and left with the lock held. */
static enum jg_err
wait_for(struct jg_holder *holder, struct jg_deferral *each, int64_t wait_ms, struct jg_error *error)
{
    int64_t until_ms = jg_clock_ms() + wait_ms;
    bool late = false;
    each->waiters++;
    while (each->state != JG_DEFERRAL_ARRIVED && !late && !atomic_load(&holder->until_ms))
        late = !jg_cond_wait(&holder->changed, &holder->lock, until_ms);
    each->waiters--;
    if (each->state == JG_DEFERRAL_ARRIVED) {
        if (!each->waiters) {
            jg_deferrals_take_out(&holder->arrived, each);
            jg_deferral_destroy(holder->options.own.rdk, each);
        }
        return JG_OK;
    }
    snprintf(error->text, sizeof error->text, "%s",
             holder->trouble.text[0] ? holder->trouble.text : "the brokers do not acknowledge in time");
    return JG_EHOST;
}

/* The lock is held. NULL: it is not on its way. */
static struct jg_deferral *
find(const struct jg_holder *holder, const char *topic, int32_t partition, int64_t offset, const char *jid)
{
    const struct jg_deferrals *lists[] = {&holder->arrived, &holder->sent, &holder->again, &holder->queue};
    struct jg_deferral *each = NULL;
    for (size_t i = 0; i < 4 && !each; i++)
        each = jg_deferrals_find(lists[i], topic, partition, offset, jid);
    return each;
}

bool
jg_holder_has(struct jg_holder *holder, const char *topic, int32_t partition, int64_t offset, const char *jid)
{
    pthread_mutex_lock(&holder->lock);
    bool has = find(holder, topic, partition, offset, jid) != NULL;
    pthread_mutex_unlock(&holder->lock);
    return has;
}

static bool
is_full(const struct jg_holder *holder)
{
    return holder->queue.count + holder->sent.count + holder->again.count >= MOST_JOBS ||
           holder->size_bytes >= MOST_BYTES;
}

/* Wait for room, at most `room_ms`. The lock is held. */
static enum jg_err
await_room(struct jg_holder *holder, int64_t room_ms, struct jg_error *error)
{
    int64_t until_ms = jg_clock_ms() + room_ms;
    bool late = false;
    while (is_full(holder) && !late && !atomic_load(&holder->until_ms))
        late = !jg_cond_wait(&holder->changed, &holder->lock, until_ms);
    if (!is_full(holder))
        return JG_OK;
    snprintf(error->text, sizeof error->text, "%s",
             holder->trouble.text[0] ? holder->trouble.text : "too many jobs are on their way to holding topics");
    return JG_ENOMEM;
}

/* Take it, and wait for it when it is to be waited for. Called and left with the lock held. */
static enum jg_err
take_in(struct jg_holder *holder, struct jg_deferral *each, int64_t wait_ms, struct jg_error *error)
{
    each->tell = wait_ms == 0;
    each->number = ++holder->taken;
    jg_deferrals_push(&holder->queue, each);
    holder->size_bytes += each->size_bytes;
    wake(holder);
    return wait_ms ? wait_for(holder, each, wait_ms, error) : JG_OK;
}

enum jg_err
jg_holder_defer(struct jg_holder *holder, const rd_kafka_message_t *rkmessage, const char *topic,
                const struct jg_stamp *stamp, enum jg_target_kind kind, bool again, int64_t room_ms, int64_t wait_ms,
                struct jg_error *error)
{
    struct jg_deferral *each = NULL;
    pthread_mutex_lock(&holder->lock);
    if (wait_ms || again)
        each = find(holder, topic, rkmessage->partition, rkmessage->offset, stamp->jid);
    enum jg_err err = each ? JG_OK : await_room(holder, room_ms, error);
    if (each && wait_ms)
        err = wait_for(holder, each, wait_ms, error);
    pthread_mutex_unlock(&holder->lock);
    if (each || err)
        return err;
    each = jg_deferral_new(holder->options.own.rdk, holder->options.name_space, rkmessage, topic, stamp);
    if (!each) {
        snprintf(error->text, sizeof error->text, "out of memory");
        return JG_ENOMEM;
    }
    each->kind = kind;
    pthread_mutex_lock(&holder->lock);
    err = take_in(holder, each, wait_ms, error);
    pthread_mutex_unlock(&holder->lock);
    return err;
}

enum jg_err
jg_holder_take(struct jg_holder *holder, struct jg_deferral *each, int64_t wait_ms, struct jg_error *error)
{
    pthread_mutex_lock(&holder->lock);
    enum jg_err err = take_in(holder, each, wait_ms, error);
    if (err != JG_OK)
        each->tell = true; /* nobody waits for it any more */
    pthread_mutex_unlock(&holder->lock);
    return err;
}

/* The lock is held. */
static bool
has_any(const struct jg_holder *holder, const char *topic, int32_t partition)
{
    const struct jg_deferrals *lists[] = {&holder->queue, &holder->sent, &holder->again};
    for (size_t i = 0; i < 3; i++)
        for (const struct jg_deferral *each = lists[i]->head; each; each = each->next)
            if (!each->forgotten && jg_deferral_is_of(each, topic, partition))
                return true;
    return false;
}

/* What still waits in the queue is not sent at all. The lock is held. */
static void
forget_all(struct jg_holder *holder, const char *topic, int32_t partition)
{
    struct jg_deferrals *lists[] = {&holder->sent, &holder->queue, &holder->again, &holder->arrived};
    for (size_t i = 0; i < 4; i++) {
        struct jg_deferral *next;
        for (struct jg_deferral *each = lists[i]->head; each; each = next) {
            next = each->next;
            if (!jg_deferral_is_of(each, topic, partition))
                continue;
            each->forgotten = true;
            if (i == 0 || each->waiters)
                continue;
            jg_deferrals_take_out(lists[i], each);
            if (each->state != JG_DEFERRAL_ARRIVED)
                holder->size_bytes -= each->size_bytes;
            jg_deferral_destroy(holder->options.own.rdk, each);
        }
    }
}

void
jg_holder_leave(struct jg_holder *holder, const char *topic, int32_t partition, int64_t timeout_ms)
{
    int64_t until_ms = jg_clock_ms() + timeout_ms;
    bool late = false;
    pthread_mutex_lock(&holder->lock);
    while (!late && has_any(holder, topic, partition))
        late = !jg_cond_wait(&holder->changed, &holder->lock, until_ms);
    forget_all(holder, topic, partition);
    pthread_mutex_unlock(&holder->lock);
}
