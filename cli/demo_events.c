/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a job by the events in jobgate.events.topic, as a program reads them that knows nothing of the others. */
#include "cli/demo_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/demo_waiting.h"
#include "plugin/event_avro.h"
#include "plugin/jobgate.h"

#define EVENTS_MOST 16
#define POLL_MS 100

struct seen {
    int64_t time_ms;
    enum jg_event_kind kind;
    char reason[32];
};

/* Events come from several programs, each in its order. */
static int
compare(const void *left, const void *right)
{
    const struct seen *one = left, *other = right;
    if (one->time_ms != other->time_ms)
        return one->time_ms < other->time_ms ? -1 : 1;
    return one->kind < other->kind ? -1 : one->kind > other->kind;
}

static rd_kafka_t *
open_reader(const struct jg_demo *demo)
{
    static const char *const settings[][2] = {{"group.id", "jobgate-demo-events"}, {"enable.auto.commit", "false"}};
    char text[512] = "out of memory";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good =
        rd_kafka_conf_set(conf, "bootstrap.servers", demo->bootstrap_servers, text, sizeof text) == RD_KAFKA_CONF_OK;
    for (size_t i = 0; good && i < sizeof settings / sizeof settings[0]; i++)
        good = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) == RD_KAFKA_CONF_OK;
    rd_kafka_t *reader = good ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text) : NULL;
    if (!reader) {
        rd_kafka_conf_destroy(conf);
        jg_cli_complain(demo->cli, "no Kafka client: %s", text);
        return NULL;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, demo->events_topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    (void)rd_kafka_poll_set_consumer(reader);
    (void)rd_kafka_assign(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    return reader;
}

/* Read on until the job has ended and all that it went through is told. Returns how many events there are of it. */
static size_t
read_life(rd_kafka_t *reader, const char *jid, struct seen *seen)
{
    const unsigned wanted = 1u << JG_EVENT_HELD | 1u << JG_EVENT_RESUMED | 1u << JG_EVENT_START | 1u << JG_EVENT_DONE;
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    unsigned kinds = 0;
    size_t count = 0;
    struct jg_buf texts = JG_BUF_INIT;
    while ((kinds & wanted) != wanted && count < EVENTS_MOST && jg_clock_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, POLL_MS);
        struct jg_event_record record;
        uint64_t fingerprint;
        if (message && !message->err &&
            jg_event_read(message->payload, message->len, &record, &texts, &fingerprint) == JG_EVENT_READ &&
            record.event.jid && strcmp(record.event.jid, jid) == 0) {
            seen[count].time_ms = record.event.time_ms;
            seen[count].kind = record.event.kind;
            snprintf(seen[count].reason, sizeof seen[count].reason, "%s",
                     record.event.reason ? record.event.reason : "");
            count++;
            kinds |= 1u << record.event.kind;
        }
        if (message)
            rd_kafka_message_destroy(message);
    }
    jg_buf_clear(&texts);
    return (kinds & wanted) == wanted ? count : 0;
}

bool
jg_demo_events(struct jg_demo *demo)
{
    struct seen seen[EVENTS_MOST];
    const struct jg_demo_job *job = jg_demo_follow_up_job();
    rd_kafka_t *reader = open_reader(demo);
    if (!reader)
        return false;
    size_t count = read_life(reader, jg_demo_header(job, JOBGATE_HEADER_JID), seen);
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    if (!count)
        return jg_demo_refute(demo, "not all of %s's life is in topic %s", job->name, demo->events_topic);
    qsort(seen, count, sizeof *seen, compare);
    for (size_t i = 0; i < count; i++)
        jg_demo_row(demo, JG_DEMO_GOOD, "reader", seen[i].reason[0] ? seen[i].reason : NULL, "event of %s: %s",
                    job->name, jg_event_name(seen[i].kind));
    return true;
}
