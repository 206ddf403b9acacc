/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a job, step by step, for who wants to look on: a line of JSON beside the lines for people
 * (log.format=json), and a record in a Kafka topic (events.topic, see event_avro.h and connectors/kafka/events.h). */
#ifndef JG_PLUGIN_EVENT_H
#define JG_PLUGIN_EVENT_H

#include "plugin/conf.h"
#include "plugin/stamp.h"

/* Names as they stand in the line: "event", and the state that the job is in then, "job_status". New ones go to the
 * end, and to the end of the enum in schemas/event.avsc. */
enum jg_event_kind {
    JG_EVENT_PRODUCED,
    JG_EVENT_DUPLICATE,
    JG_EVENT_HELD,
    JG_EVENT_RESUMED,
    JG_EVENT_START,
    JG_EVENT_DONE,
    JG_EVENT_FAILED,
    JG_EVENT_NOOP,
    JG_EVENT_SKIPPED,
    JG_EVENT_REENQUEUED,
    JG_EVENT_BURIED,
    JG_EVENT_LEASE_LOST,
    JG_EVENTS
};

/* Texts are borrowed; those that are NULL or empty, and numbers that are negative, are left out. */
struct jg_event {
    enum jg_event_kind kind;
    int64_t time_ms; /* Unix time; 0: now. What others may see before it is told has its time from before */
    const char *class_name, *jid, *key;
    const char *topic;
    int32_t partition; /* negative: not known */
    int64_t offset;
    const char *duplicate_of;
    const char *next;   /* the jid that it was enqueued again under */
    const char *reason; /* of HELD, SKIPPED, REENQUEUED (held, while it waits), BURIED */
    int64_t token;      /* the fencing token; 0: none */
    int64_t attempt;    /* 0: none */
    int64_t waited_ms;  /* START, RESUMED: since it was produced, or first held */
    int64_t ran_ms;     /* DONE, FAILED */
};

/* All that is not known yet. */
#define JG_EVENT_INIT(what)                                                                                            \
    {                                                                                                                  \
        .kind = (what), .partition = -1, .offset = -1, .waited_ms = -1, .ran_ms = -1                                   \
    }

/* "unknown" for JG_EVENTS. */
const char *jg_event_name(enum jg_event_kind kind);
const char *jg_event_status(enum jg_event_kind kind);
/* JG_EVENTS: there is none of that name. */
enum jg_event_kind jg_event_kind_of(const char *name);

/* Does log.format=json want events? Cheap. */
static inline bool
jg_event_logs(const struct jg_settings *settings, const struct jg_log *log)
{
    return settings->log_format == JG_LOG_FORMAT_JSON && log->level >= JG_LOG_INFO;
}

/* Does anybody? */
static inline bool
jg_event_wanted(const struct jg_settings *settings, const struct jg_log *log)
{
    return settings->events_topic || jg_event_logs(settings, log);
}

/* Write the line. Any thread. */
void jg_event_log(const struct jg_log *log, const struct jg_event *event);

#endif
