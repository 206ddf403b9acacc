/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/kafka/events.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "plugin/counters.h"
#include "plugin/process.h"

#define MOST_EVENTS 10000
#define MOST_BYTES (8u << 20)
#define TEXTS 7       /* of an event */
#define IDLE_MS 10000 /* between looks at the producer, which has nothing to do */
#define POLL_MS 50    /* while events are on their way */
#define ADMIN_STEP_MS 50
#define LEARN_MS 200
#define PAUSE_MS 2000 /* after the brokers refused; doubles up to ... */
#define PAUSE_MOST_MS 60000
#define PURGE_MS 200
#define JOIN_EXTRA_MS 500
#define PURGE_ALL (RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)

/* An event that waits for the thread. */
struct waiting {
    struct waiting *next;
    size_t size_bytes;
    struct jg_event event; /* its texts lie behind it */
};

struct jg_events {
    struct jg_own own;
    const char *topic; /* of the settings */
    struct jg_event_source source;
    char *texts[4]; /* of `source`; owned */
    char host[256];
    unsigned generation;              /* of the process: in a forked child it does nothing */
    struct jg_error unable;           /* why there can be no client of ours; empty: there can */
    _Atomic int64_t refused_until_ms; /* monotonic: all is dropped until then */
    _Atomic size_t count, size_bytes; /* waiting, or with the producer */
    struct jg_log_rate rate;

    pthread_mutex_t lock; /* guards what follows up to `thread`; nothing is called while it is held */
    pthread_cond_t wake;
    struct waiting *first, **last;
    bool starts, stopping;
    struct jg_error refusal; /* the last one */
    int64_t stop_ms;         /* monotonic: then it ends, whatever is left */
    pthread_t thread;

    /* The thread's. */
    rd_kafka_t *producer;
    struct jg_event_writer *writer;
    struct jg_buf record;
    size_t in_flight;
    bool unlearned;          /* the producer does not know the topic's partitions yet */
    bool broken;             /* the producer is to be made anew, later */
    int64_t pause_ms;        /* so long after the last refusal */
    struct jg_error missing; /* why the topic could not be made; empty: it is there, or that is not known */
};

/* --- dropped --- */

static void drop(struct jg_events *events, size_t count, const char *fmt, ...) JG_PRINTF(3, 4);

static void
drop(struct jg_events *events, size_t count, const char *fmt, ...)
{
    char why[700];
    va_list arguments;
    va_start(arguments, fmt);
    vsnprintf(why, sizeof why, fmt, arguments);
    va_end(arguments);
    jg_count(JG_COUNT_EVENTS_DROPPED, (int64_t)count);
    jg_log_rated(events->own.log, &events->rate, JG_LOG_WARNING, "EVENTS",
                 "events of jobs do not reach topic %s (the jobs do not mind; %lld dropped so far): %s", events->topic,
                 (long long)jg_counter_value(JG_COUNT_EVENTS_DROPPED), why);
}

/* No longer waiting, nor with the producer. */
static void
release(struct jg_events *events, size_t size_bytes)
{
    atomic_fetch_sub(&events->count, 1);
    atomic_fetch_sub(&events->size_bytes, size_bytes);
}

/* All is dropped for a while, and then tried with a new producer. */
static void refuse(struct jg_events *events, const char *fmt, ...) JG_PRINTF(2, 3);

static void
refuse(struct jg_events *events, const char *fmt, ...)
{
    struct jg_error why;
    va_list arguments;
    va_start(arguments, fmt);
    vsnprintf(why.text, sizeof why.text, fmt, arguments);
    va_end(arguments);
    drop(events, 1, "%s", why.text);
    if (events->broken)
        return;
    events->broken = true;
    pthread_mutex_lock(&events->lock);
    events->refusal = why;
    pthread_mutex_unlock(&events->lock);
    events->pause_ms = events->pause_ms ? events->pause_ms * 2 : PAUSE_MS;
    if (events->pause_ms > PAUSE_MOST_MS)
        events->pause_ms = PAUSE_MOST_MS;
    atomic_store(&events->refused_until_ms, jg_clock_ms() + events->pause_ms);
}

static void
drop_refused(struct jg_events *events)
{
    pthread_mutex_lock(&events->lock);
    struct jg_error why = events->refusal;
    pthread_mutex_unlock(&events->lock);
    drop(events, 1, "%s", why.text);
}

/* --- the thread: its producer --- */

static void
failed(struct jg_events *events, rd_kafka_resp_err_t err)
{
    const char *text = events->own.rdk->err2str(err);
    switch (err) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        refuse(events, "it is not there%s%s: create it, or allow this client Create on it",
               events->missing.text[0] ? ", and cannot be created: " : "", events->missing.text);
        return;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        refuse(events, "allow this client Write and Describe on it");
        return;
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        drop(events, 1, "its brokers are slow, or do not answer");
        return;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        drop(events, 1, "they were on their way when the handle was closed, or its brokers refused others");
        return;
    default:
        drop(events, 1, "%s", text);
    }
}

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *rkmessage, void *opaque)
{
    struct jg_events *events = opaque;
    (void)rk;
    events->in_flight--;
    release(events, (size_t)(uintptr_t)rkmessage->_private);
    if (rkmessage->err) {
        failed(events, rkmessage->err);
        return;
    }
    events->pause_ms = 0;
    jg_count(JG_COUNT_EVENTS_SENT, 1);
}

static void
open_producer(struct jg_events *events)
{
    /* One request at a time, or a retry would change the order of a job's events; and the same partitioner as Java's
     * in all programs, since one job's events come from several. */
    /* clang-format off */
    static const char *const settings[] = {
        "acks", "1",
        "linger.ms", "50",
        "max.in.flight", "1",
        "message.timeout.ms", "30000",
        "queue.buffering.max.messages", "20000",
        "queue.buffering.max.kbytes", "32768",
        "compression.codec", "lz4",
        "partitioner", "murmur2_random",
        "topic.metadata.propagation.max.ms", "3000",
        NULL};
    /* clang-format on */
    struct jg_error error;
    events->producer = jg_own_client(&events->own, RD_KAFKA_PRODUCER, settings, delivered, events, &error);
    if (!events->producer)
        refuse(events, "%.400s", error.text);
}

static bool
time_is_up(struct jg_events *events)
{
    pthread_mutex_lock(&events->lock);
    bool is_up = events->stopping && jg_clock_ms() >= events->stop_ms;
    pthread_mutex_unlock(&events->lock);
    return is_up;
}

static rd_kafka_NewTopic_t *
new_topic(const struct jg_events *events, struct jg_error *error)
{
    const struct jg_rdk *rdk = events->own.rdk;
    rd_kafka_NewTopic_t *topic = rdk->NewTopic_new(events->topic, -1, -1, error->text, sizeof error->text);
    if (!topic)
        return NULL;
    if (!rdk->NewTopic_set_config(topic, "cleanup.policy", "delete") &&
        !rdk->NewTopic_set_config(topic, "retention.ms", "604800000"))
        return topic;
    rdk->NewTopic_destroy(topic);
    return NULL;
}

static void
read_created(const struct jg_rdk *rdk, rd_kafka_event_t *event, struct jg_error *error)
{
    size_t count = 0;
    const rd_kafka_CreateTopics_result_t *result = rdk->event_CreateTopics_result(event);
    const rd_kafka_topic_result_t **topics = result ? rdk->CreateTopics_result_topics(result, &count) : NULL;
    rd_kafka_resp_err_t err = rdk->event_error(event);
    const char *why = err ? rdk->event_error_string(event) : NULL;
    if (!err && count) {
        err = rdk->topic_result_error(topics[0]);
        why = rdk->topic_result_error_string(topics[0]);
    }
    if (err && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        snprintf(error->text, sizeof error->text, "%.300s", why ? why : rdk->err2str(err));
}

/* Whether it is there already is found out by making it: that asks for this topic alone. Whoever may not do so can
 * write to it all the same, when it is there. */
static void
make_topic(struct jg_events *events)
{
    const struct jg_rdk *rdk = events->own.rdk;
    events->missing.text[0] = '\0';
    if (rdk->no_admin) {
        snprintf(events->missing.text, sizeof events->missing.text, "%s was left out of this program", rdk->no_admin);
        return;
    }
    rd_kafka_NewTopic_t *topic = new_topic(events, &events->missing);
    rd_kafka_queue_t *queue = topic ? rdk->queue_new(events->producer) : NULL;
    if (queue) {
        int64_t until_ms = jg_clock_ms() + JG_OWN_ADMIN_MS;
        rd_kafka_event_t *event = NULL;
        rdk->CreateTopics(events->producer, &topic, 1, NULL, queue);
        while (!event && jg_clock_ms() < until_ms && !time_is_up(events))
            event = rdk->queue_poll(queue, ADMIN_STEP_MS);
        if (event) {
            read_created(rdk, event, &events->missing);
            rdk->event_destroy(event);
        }
        rdk->queue_destroy(queue);
    }
    if (topic)
        rdk->NewTopic_destroy(topic);
}

static void
close_producer(struct jg_events *events)
{
    const struct jg_rdk *rdk = events->own.rdk;
    int64_t until_ms = jg_clock_ms() + PURGE_MS;
    if (!events->producer)
        return;
    (void)rdk->purge(events->producer, PURGE_ALL);
    while (events->in_flight && jg_clock_ms() < until_ms)
        rdk->poll(events->producer, 10);
    jg_own_close(&events->own, events->producer);
    events->producer = NULL;
    if (!events->in_flight)
        return;
    drop(events, events->in_flight, "they were on their way when the producer ended");
    events->in_flight = 0;
}

/* --- the thread: events --- */

static rd_kafka_resp_err_t
produce(struct jg_events *events, const struct waiting *each)
{
    const struct jg_rdk *rdk = events->own.rdk;
    const char *jid = each->event.jid ? each->event.jid : "";
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u = {.cstr = events->topic}},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u = {.i32 = RD_KAFKA_PARTITION_UA}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u = {.i = RD_KAFKA_MSG_F_COPY}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u = {.mem = {.ptr = (void *)(uintptr_t)jid, .size = strlen(jid)}}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u = {.mem = {.ptr = events->record.data, .size = events->record.size_bytes}}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u = {.i64 = each->event.time_ms}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u = {.ptr = (void *)(uintptr_t)each->size_bytes}},
    };
    rd_kafka_error_t *error = rdk->produceva(events->producer, fields, sizeof fields / sizeof fields[0]);
    rd_kafka_resp_err_t err = error ? rdk->error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error)
        rdk->error_destroy(error);
    return err;
}

static void
send_one(struct jg_events *events, const struct waiting *each)
{
    const struct jg_event_record record = {.event = each->event, .source = events->source};
    bool written = events->writer && jg_event_write(events->writer, &record, &events->record) == JG_OK;
    rd_kafka_resp_err_t err = written ? produce(events, each) : RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    if (!err) {
        events->in_flight++;
        return;
    }
    release(events, each->size_bytes);
    failed(events, err);
}

/* Send what was taken out of the queue, or drop it. */
static void
send_all(struct jg_events *events, struct waiting *first)
{
    if (first && !events->producer) {
        events->broken = false;
        open_producer(events);
        events->unlearned = events->producer != NULL;
        if (events->producer)
            make_topic(events);
    }
    while (first) {
        struct waiting *next = first->next;
        if (events->producer && !events->broken) {
            send_one(events, first);
        } else {
            release(events, first->size_bytes);
            drop_refused(events);
        }
        free(first);
        first = next;
    }
}

/* The producer asks for the topic of its first message now; by itself it would do so at its next tick, a second later,
 * which is as long as a close waits. */
static void
learn_topic(struct jg_events *events)
{
    const struct jg_rdk *rdk = events->own.rdk;
    const struct rd_kafka_metadata *metadata = NULL;
    if (!events->unlearned || rdk->metadata(events->producer, 0, NULL, &metadata, LEARN_MS))
        return;
    rdk->metadata_destroy(metadata);
    events->unlearned = false;
}

/* Take the queue; wait for one event when nothing else is to be done. False: it is over. */
static bool
take(struct jg_events *events, struct waiting **first)
{
    pthread_mutex_lock(&events->lock);
    bool idle = !events->first && !events->stopping && !events->in_flight;
    if (idle)
        (void)jg_cond_wait(&events->wake, &events->lock, jg_clock_ms() + IDLE_MS);
    *first = events->first;
    events->first = NULL;
    events->last = &events->first;
    bool over = events->stopping && !*first && !events->in_flight;
    pthread_mutex_unlock(&events->lock);
    return !over;
}

static void *
work(void *opaque)
{
    struct jg_events *events = opaque;
    const struct jg_rdk *rdk = events->own.rdk;
    struct waiting *first;
    events->writer = jg_event_writer_new();
    while (take(events, &first)) {
        send_all(events, first);
        if (!events->producer)
            continue;
        learn_topic(events);
        pthread_mutex_lock(&events->lock);
        int64_t left_ms = events->stopping ? events->stop_ms - jg_clock_ms() : 0;
        bool stopping = events->stopping;
        pthread_mutex_unlock(&events->lock);
        if (stopping && left_ms <= 0)
            break;
        if (stopping)
            rdk->flush(events->producer, (int)left_ms);
        else
            rdk->poll(events->producer, events->in_flight ? POLL_MS : 0);
        if (events->broken)
            close_producer(events);
    }
    close_producer(events);
    jg_event_writer_destroy(events->writer);
    return NULL;
}

/* --- seen from other threads --- */

static char *
copy_text(char **at, const char *text)
{
    if (!text || !*text)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = memcpy(*at, text, bytes);
    *at += bytes;
    return copy;
}

static struct waiting *
copy_event(const struct jg_event *event)
{
    const char *const texts[TEXTS] = {event->class_name,   event->jid,  event->key,   event->topic,
                                      event->duplicate_of, event->next, event->reason};
    size_t bytes = sizeof(struct waiting);
    for (size_t i = 0; i < TEXTS; i++)
        bytes += texts[i] ? strlen(texts[i]) + 1 : 0;
    struct waiting *each = malloc(bytes);
    if (!each)
        return NULL;
    char *at = (char *)(each + 1);
    *each = (struct waiting){.size_bytes = bytes, .event = *event};
    if (!each->event.time_ms)
        each->event.time_ms = jg_wall_ms();
    each->event.class_name = copy_text(&at, event->class_name);
    each->event.jid = copy_text(&at, event->jid);
    each->event.key = copy_text(&at, event->key);
    each->event.topic = copy_text(&at, event->topic);
    each->event.duplicate_of = copy_text(&at, event->duplicate_of);
    each->event.next = copy_text(&at, event->next);
    each->event.reason = copy_text(&at, event->reason);
    return each;
}

/* Put it into the queue, and see to it that somebody takes it. False: it cannot be. */
static bool
enqueue(struct jg_events *events, struct waiting *each)
{
    pthread_mutex_lock(&events->lock);
    bool taken = !events->stopping;
    if (taken && !events->starts)
        taken = events->starts = jg_thread_start(&events->thread, work, events) == 0;
    if (taken) {
        *events->last = each;
        events->last = &each->next;
        if (events->first == each)
            pthread_cond_signal(&events->wake);
    }
    pthread_mutex_unlock(&events->lock);
    return taken;
}

static void
send_event(struct jg_events *events, const struct jg_event *event)
{
    if (events->unable.text[0]) {
        drop(events, 1, "%s", events->unable.text);
        return;
    }
    if (jg_clock_ms() < atomic_load(&events->refused_until_ms)) {
        drop_refused(events);
        return;
    }
    struct waiting *each = copy_event(event);
    if (!each) {
        drop(events, 1, "out of memory");
        return;
    }
    size_t count = atomic_fetch_add(&events->count, 1);
    size_t size_bytes = atomic_fetch_add(&events->size_bytes, each->size_bytes);
    bool full = count >= MOST_EVENTS || size_bytes + each->size_bytes > MOST_BYTES;
    if (!full && enqueue(events, each))
        return;
    release(events, each->size_bytes);
    free(each);
    if (full)
        drop(events, 1, "its brokers are slow, or do not answer: %zu events wait", count);
    else
        drop(events, 1, "the handle is being closed, or no thread can be started");
}

void
jg_events_tell(struct jg_events *events, const struct jg_settings *settings, const struct jg_log *log,
               const struct jg_event *event)
{
    if (jg_event_logs(settings, log))
        jg_event_log(log, event);
    if (events && events->generation == jg_process_generation())
        send_event(events, event);
}

/* --- made and ended --- */

static void
free_all(struct jg_events *events)
{
    while (events->first) {
        struct waiting *next = events->first->next;
        free(events->first);
        events->first = next;
        jg_count(JG_COUNT_EVENTS_DROPPED, 1);
    }
    if (events->own.base)
        events->own.rdk->conf_destroy(events->own.base);
    jg_buf_clear(&events->record);
    for (size_t i = 0; i < sizeof events->texts / sizeof *events->texts; i++)
        free(events->texts[i]);
    pthread_cond_destroy(&events->wake);
    pthread_mutex_destroy(&events->lock);
    free(events);
}

static void
init_source(struct jg_events *events, const struct jg_events_options *options)
{
    const char *const texts[] = {jg_conf_settings(options->conf)->name_space, options->instance, options->group,
                                 options->client_id};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        events->texts[i] = texts[i] ? strdup(texts[i]) : NULL;
    (void)!gethostname(events->host, sizeof events->host - 1);
    events->source = (struct jg_event_source){
        .name_space = events->texts[0],
        .instance = events->texts[1],
        .group = events->texts[2],
        .client_id = events->texts[3],
        .host = events->host,
        .version = JOBGATE_VERSION,
        .pid = getpid(),
    };
}

struct jg_events *
jg_events_new(const struct jg_events_options *options)
{
    struct jg_events *events = calloc(1, sizeof *events);
    if (!events)
        return NULL;
    events->own = (struct jg_own){.rdk = options->rdk, .log = options->log};
    events->topic = jg_conf_settings(options->conf)->events_topic;
    events->generation = jg_process_generation();
    events->last = &events->first;
    pthread_mutex_init(&events->lock, NULL);
    jg_cond_init(&events->wake);
    init_source(events, options);
    enum jg_err err =
        jg_own_check_callbacks(options->rdk, options->host, options->conf, "jobgate.events.topic", &events->unable);
    if (!err)
        err = jg_own_base(options->rdk, options->host, options->conf, &events->own.base, &events->unable);
    if (!err)
        events->unable.text[0] = '\0';
    else
        jg_log(options->log, JG_LOG_WARNING, "EVENTS",
               "events of jobs do not reach topic %s (the jobs do not mind): %s", events->topic, events->unable.text);
    return events;
}

bool
jg_events_stop(struct jg_events *events, int64_t timeout_ms)
{
    pthread_mutex_lock(&events->lock);
    events->stopping = true;
    events->stop_ms = jg_clock_ms() + timeout_ms;
    bool runs = events->starts;
    pthread_cond_signal(&events->wake);
    pthread_mutex_unlock(&events->lock);
    if (runs && !jg_thread_join(events->thread, events->stop_ms + JOIN_EXTRA_MS))
        return false;
    free_all(events);
    return true;
}
