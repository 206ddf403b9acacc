/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate tail: the events of jobs, as they come. */
#include "cli/tail.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/kafka.h"

#define POLL_MS 200
#define ASK_MS 2000        /* one question to the brokers, after which a signal is looked for */
#define WAIT_MS 500        /* for a topic that is not there */
#define LOOK_EVERY_MS 2000 /* for partitions that are new */
#define COMPLAIN_EVERY_MS 10000

const struct jg_cli_option jg_cli_tail_options[] = {
    {"topic", 't', "TOPIC", "The topic of events; instead of jobgate.events.topic."},
    {"class", 'C', "CLASS", "Only events of jobs of this class."},
    {"event", 'e', "KIND",
     "Only events of this kind: produced, duplicate, held, resumed, start, done, failed, noop, skipped, reenqueued, "
     "buried or lease_lost; may be repeated."},
    {"jid", 'i', "JID", "Only events of this job."},
    {"key", 'k', "KEY", "Only events of jobs with this job key."},
    {"from-beginning", 'B', NULL, "Begin with the oldest event that the topic still has."},
    {"since", 's', "AGE", "Begin so long ago: 90s, 10m, 2h or 1d."},
    {"count", 'n', "N", "End after so many events."},
    {"timeout", 'T', "SECONDS", "End after so many seconds."},
    JG_CLI_BOOTSTRAP_OPTION,
    {"json", 'j', NULL, "One JSON object a line, with the names of schemas/event.avsc."},
    {.doc = NULL},
};

struct tail {
    struct jg_cli_kafka kafka;
    const char *topic;
    const char *class_name, *jid, *key;
    bool kinds[JG_EVENTS + 1];
    bool some_kinds;
    bool from_beginning;
    int64_t since_ms; /* 0: not given */
    int64_t count;    /* 0: no end */
    int64_t until_ms; /* monotonic; 0: no end */

    int partitions;  /* so many are read */
    int64_t look_ms; /* monotonic: then it is looked for more */
    sigset_t signals;
    struct jg_buf texts;
    int64_t shown;
    int64_t foreign, other, corrupt; /* records that are no events, or cannot be read */
    uint64_t other_fingerprint;      /* the last one that was told of */
    bool silent;                     /* that no broker answers was said */
    int64_t complained_ms;
};

/* --- what is wanted --- */

static bool
read_count(const struct tail *tail, const char *what, const char *text, int64_t most, int64_t *out)
{
    char *end = NULL;
    long long number = *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : 0;
    if (end && !*end && number > 0 && number <= most) {
        *out = number;
        return true;
    }
    jg_cli_complain(tail->kafka.cli, "%s takes a whole number from 1 to %lld", what, (long long)most);
    return false;
}

/* 90s, 10m, 2h, 1d */
static bool
read_age(struct tail *tail, const char *text)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char *end = NULL;
    long long number = *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : 0;
    for (size_t i = 0; end && i < sizeof units / sizeof *units; i++)
        if (*end == units[i].letter && !end[1] && number > 0 && number <= 1000000) {
            tail->since_ms = number * units[i].ms;
            return true;
        }
    jg_cli_complain(tail->kafka.cli, "--since takes a number and s, m, h or d: 10m");
    return false;
}

static bool
read_kind(struct tail *tail, const char *name)
{
    enum jg_event_kind kind = jg_event_kind_of(name);
    if (kind == JG_EVENTS) {
        char list[256] = "";
        for (int i = 0; i < JG_EVENTS; i++)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
                     jg_event_name((enum jg_event_kind)i));
        jg_cli_complain(tail->kafka.cli, "there is no such kind of event; there are: %s", list);
        return false;
    }
    tail->kinds[kind] = tail->some_kinds = true;
    return true;
}

static bool
take(void *opaque, int letter, const char *value)
{
    struct tail *tail = opaque;
    int64_t seconds = 0;
    switch (letter) {
    case 't':
        tail->topic = value;
        return true;
    case 'C':
        tail->class_name = value;
        return true;
    case 'e':
        return read_kind(tail, value);
    case 'i':
        tail->jid = value;
        return true;
    case 'k':
        tail->key = value;
        return true;
    case 'B':
        tail->from_beginning = true;
        return true;
    case 's':
        return read_age(tail, value);
    case 'n':
        return read_count(tail, "--count", value, INT64_MAX / 2, &tail->count);
    case 'T':
        if (!read_count(tail, "--timeout", value, 1000000000, &seconds))
            return false;
        tail->until_ms = jg_clock_ms() + seconds * 1000;
        return true;
    default:
        tail->kafka.servers = value;
        return true;
    }
}

static bool
is_same(const char *wanted, const char *found)
{
    return !wanted || (found && strcmp(wanted, found) == 0);
}

static bool
is_wanted(const struct tail *tail, const struct jg_event *event)
{
    return (!tail->some_kinds || tail->kinds[event->kind]) && is_same(tail->class_name, event->class_name) &&
           is_same(tail->jid, event->jid) && is_same(tail->key, event->key);
}

/* --- until when --- */

static bool
is_over(struct tail *tail)
{
    static const struct timespec now = {.tv_sec = 0};
    return sigtimedwait(&tail->signals, NULL, &now) > 0 || (tail->until_ms && jg_clock_ms() >= tail->until_ms) ||
           (tail->count && tail->shown >= tail->count);
}

static void
say_silent(struct tail *tail, const char *why)
{
    int64_t now_ms = jg_clock_ms();
    if (tail->silent && now_ms - tail->complained_ms < COMPLAIN_EVERY_MS)
        return;
    jg_cli_complain(tail->kafka.cli, "no broker answers (%s): trying on", why);
    tail->silent = true;
    tail->complained_ms = now_ms;
}

static void
say_heard(struct tail *tail)
{
    if (tail->silent)
        jg_cli_complain(tail->kafka.cli, "the brokers answer again");
    tail->silent = false;
}

/* --- where to begin --- */

/* Until brokers answer and the topic is there. NULL: it is over. */
static const struct rd_kafka_metadata *
await_topic(struct tail *tail)
{
    bool said = false;
    while (!is_over(tail)) {
        const struct rd_kafka_metadata *metadata = NULL;
        rd_kafka_resp_err_t err = rd_kafka_metadata(tail->kafka.rk, 1, NULL, &metadata, ASK_MS);
        const struct rd_kafka_metadata_topic *topic = err ? NULL : jg_cli_kafka_find(metadata, tail->topic);
        if (topic && topic->partition_cnt > 0) {
            say_heard(tail);
            return metadata;
        }
        if (err) {
            say_silent(tail, rd_kafka_err2str(err));
            continue;
        }
        say_heard(tail);
        rd_kafka_metadata_destroy(metadata);
        if (!said)
            jg_cli_complain(tail->kafka.cli,
                            "topic %s is not there yet, or this client may not Describe it: waiting for it",
                            tail->topic);
        said = true;
        tail->from_beginning = true; /* whatever will be in it is new */
        jg_clock_pause_ms(WAIT_MS);
    }
    return NULL;
}

/* Put the offsets of a time in. False: it is over. */
static bool
look_up_since(struct tail *tail, rd_kafka_topic_partition_list_t *list)
{
    int64_t from_ms = jg_wall_ms() - tail->since_ms;
    while (!is_over(tail)) {
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = from_ms > 0 ? from_ms : 0;
        rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(tail->kafka.rk, list, ASK_MS);
        for (int i = 0; !err && i < list->cnt; i++)
            err = list->elems[i].err;
        if (!err)
            return true;
        say_silent(tail, rd_kafka_err2str(err));
        jg_clock_pause_ms(WAIT_MS);
    }
    return false;
}

/* The partitions that are not read yet, from `offset` on. */
static rd_kafka_topic_partition_list_t *
list_partitions(const struct tail *tail, const struct rd_kafka_metadata_topic *topic, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(topic->partition_cnt);
    for (int i = 0; i < topic->partition_cnt; i++)
        if (topic->partitions[i].id >= tail->partitions)
            rd_kafka_topic_partition_list_add(list, tail->topic, topic->partitions[i].id)->offset = offset;
    return list;
}

static bool
begin(struct tail *tail)
{
    const struct rd_kafka_metadata *metadata = await_topic(tail);
    if (!metadata)
        return false;
    const struct rd_kafka_metadata_topic *topic = jg_cli_kafka_find(metadata, tail->topic);
    rd_kafka_topic_partition_list_t *list =
        list_partitions(tail, topic, tail->from_beginning ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END);
    tail->partitions = topic->partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    bool good = !tail->since_ms || tail->from_beginning || look_up_since(tail, list);
    rd_kafka_resp_err_t err = good ? rd_kafka_assign(tail->kafka.rk, list) : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        (void)jg_cli_kafka_failed(&tail->kafka, "events", err);
    return good && !err;
}

/* Partitions that were added meanwhile are read, too: whatever is in them is new. What fails is tried again; the
 * consumer tells of brokers that do not answer. */
static void
look_for_more(struct tail *tail)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (jg_clock_ms() < tail->look_ms)
        return;
    tail->look_ms = jg_clock_ms() + LOOK_EVERY_MS;
    if (rd_kafka_metadata(tail->kafka.rk, 0, NULL, &metadata, ASK_MS)) /* of the topic that it reads alone */
        return;
    const struct rd_kafka_metadata_topic *topic = jg_cli_kafka_find(metadata, tail->topic);
    if (topic && topic->partition_cnt > tail->partitions) {
        rd_kafka_topic_partition_list_t *list = list_partitions(tail, topic, RD_KAFKA_OFFSET_BEGINNING);
        rd_kafka_error_t *refused = rd_kafka_incremental_assign(tail->kafka.rk, list);
        if (refused)
            rd_kafka_error_destroy(refused);
        else
            tail->partitions = topic->partition_cnt;
        rd_kafka_topic_partition_list_destroy(list);
    }
    rd_kafka_metadata_destroy(metadata);
}

/* --- records --- */

static void
say_other(struct tail *tail, const rd_kafka_message_t *message, uint64_t fingerprint)
{
    if (tail->other++ && fingerprint == tail->other_fingerprint)
        return;
    tail->other_fingerprint = fingerprint;
    jg_cli_complain(tail->kafka.cli,
                    "%s/%d/%lld has another schema (fingerprint %016" PRIx64 "; jobgate %s has %016" PRIx64
                    "): a newer jobgate wrote it, whose `jobgate tail` reads it; records like it are left out",
                    tail->topic, (int)message->partition, (long long)message->offset, fingerprint, JOBGATE_VERSION,
                    jg_event_fingerprint());
}

static void
show(struct tail *tail, const rd_kafka_message_t *message)
{
    struct jg_event_record record;
    uint64_t fingerprint = 0;
    size_t size_bytes = message->payload ? message->len : 0;
    switch (jg_event_read(message->payload, size_bytes, &record, &tail->texts, &fingerprint)) {
    case JG_EVENT_READ:
        if (!is_wanted(tail, &record.event))
            return;
        tail->shown++;
        jg_tail_print(&record, tail->kafka.cli->json);
        return;
    case JG_EVENT_OTHER:
        say_other(tail, message, fingerprint);
        return;
    case JG_EVENT_CORRUPT:
        tail->corrupt++;
        return;
    case JG_EVENT_FOREIGN:
        tail->foreign++;
        return;
    }
}

/* An error of the consumer's. False: it cannot go on. */
static bool
go_on(struct tail *tail, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        say_heard(tail);
        return true;
    }
    if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        (void)jg_cli_kafka_failed(&tail->kafka, "events", message->err);
        return false;
    }
    say_silent(tail, message->payload ? rd_kafka_message_errstr(message) : rd_kafka_err2str(message->err));
    return true;
}

static bool
follow(struct tail *tail)
{
    bool good = begin(tail);
    bool over = !good;
    bool refused = false;
    while (!over && !is_over(tail)) {
        look_for_more(tail);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(tail->kafka.rk, POLL_MS);
        if (tail->kafka.down)
            say_silent(tail, rd_kafka_err2str(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN));
        tail->kafka.down = false;
        if (!message)
            continue;
        if (message->err) {
            over = refused = !go_on(tail, message);
        } else {
            say_heard(tail);
            show(tail, message);
        }
        rd_kafka_message_destroy(message);
    }
    return !refused;
}

static void
say_left_out(const struct tail *tail)
{
    if (tail->foreign)
        jg_cli_complain(tail->kafka.cli, "%lld records of topic %s are no events of jobgate", (long long)tail->foreign,
                        tail->topic);
    if (tail->corrupt)
        jg_cli_complain(tail->kafka.cli, "%lld records of topic %s begin as events do, and are none: damaged",
                        (long long)tail->corrupt, tail->topic);
    if (tail->other)
        jg_cli_complain(tail->kafka.cli, "%lld records of topic %s have another schema", (long long)tail->other,
                        tail->topic);
}

static enum jg_exit
run(struct tail *tail)
{
    /* Before the client's threads: they inherit it. */
    sigemptyset(&tail->signals);
    sigaddset(&tail->signals, SIGINT);
    sigaddset(&tail->signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &tail->signals, NULL);
    if (!jg_cli_kafka_open(&tail->kafka, "jobgate-tail"))
        return JG_EXIT_USAGE;
    bool good = follow(tail);
    jg_cli_kafka_close(&tail->kafka);
    say_left_out(tail);
    jg_buf_clear(&tail->texts);
    if (!good)
        return JG_EXIT_KAFKA;
    bool late = tail->count && tail->shown < tail->count && tail->until_ms && jg_clock_ms() >= tail->until_ms;
    return late ? JG_EXIT_NEGATIVE : JG_EXIT_OK;
}

enum jg_exit
jg_cli_tail(struct jg_cli *cli)
{
    struct tail tail = {.kafka = JG_CLI_KAFKA_INIT(cli)};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &tail, &first, &result))
        return result;
    if (first < cli->count || (tail.from_beginning && tail.since_ms)) {
        jg_cli_complain(cli, "takes these arguments: %s", cli->word->arguments);
        return JG_EXIT_USAGE;
    }
    if (!jg_cli_finish(cli, false))
        return JG_EXIT_USAGE;
    if (!tail.topic)
        tail.topic = jg_conf_settings(cli->conf)->events_topic;
    if (!tail.topic) {
        jg_cli_complain(cli, "which topic? Give --topic TOPIC, or the programs' settings, where jobgate.events.topic "
                             "names it (-X jobgate.events.topic=..., --config FILE)");
        return JG_EXIT_USAGE;
    }
    return run(&tail);
}
