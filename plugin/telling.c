/* SPDX-License-Identifier: Apache-2.0 */
/* Events of the jobs that pass a gate, for log.format=json and events.topic. */
#include "base/clock.h"
#include "plugin/coming.h"

void
jg_tell(struct jg_gate *gate, const struct jg_event *event)
{
    jg_events_tell(gate->events_out, gate->settings, &gate->log, event);
}

void
jg_tell_coming(struct jg_gate *gate, const struct jg_coming *coming, struct jg_event event)
{
    rd_kafka_timestamp_type_t type;
    if (!jg_event_wanted(gate->settings, &gate->log) || coming->stamped != JG_STAMP_OURS)
        return;
    event.class_name = coming->stamp.class_name;
    event.jid = coming->stamp.jid;
    event.key = coming->stamp.key;
    event.attempt = coming->stamp.attempt;
    event.topic = coming->topic;
    event.partition = coming->rkmessage->partition;
    event.offset = coming->rkmessage->offset;
    int64_t since_ms = coming->stamp.held_since_ms;
    if (!since_ms)
        since_ms = gate->rdk->message_timestamp(coming->rkmessage, &type);
    if (event.kind == JG_EVENT_START && since_ms > 0 && jg_wall_ms() >= since_ms)
        event.waited_ms = jg_wall_ms() - since_ms;
    jg_tell(gate, &event);
}

void
jg_tell_run(struct jg_gate *gate, const struct jg_run *run, struct jg_event event)
{
    if (!jg_event_wanted(gate->settings, &gate->log) || !run->jid[0])
        return;
    event.class_name = run->class_name;
    event.jid = run->jid;
    event.key = run->key;
    event.topic = run->topic;
    event.partition = run->partition;
    event.offset = run->offset;
    event.token = run->token;
    if (event.kind != JG_EVENT_LEASE_LOST)
        event.ran_ms = jg_clock_ms() - run->started_ms;
    jg_tell(gate, &event);
}
