/* SPDX-License-Identifier: Apache-2.0 */
/* log.format=json: a line of JSON for each thing that happens to a job, beside the lines for people. */
#ifndef JG_PLUGIN_EVENT_H
#define JG_PLUGIN_EVENT_H

#include "plugin/conf.h"
#include "plugin/stamp.h"

/* Names as they stand in the line: "event", and the state that the job is in then, "job_status". */
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

/* Texts are borrowed; those that are NULL or empty, and numbers that are negative, are left out of the line. */
struct jg_event {
    enum jg_event_kind kind;
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

/* Does anybody want events? Cheap. */
static inline bool
jg_event_wanted(const struct jg_settings *settings, const struct jg_log *log)
{
    return settings->log_format == JG_LOG_FORMAT_JSON && log->level >= JG_LOG_INFO;
}

/* Write the line. Any thread. */
void jg_event_log(const struct jg_log *log, const struct jg_event *event);

#endif
