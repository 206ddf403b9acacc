/* SPDX-License-Identifier: Apache-2.0 */
/* events.topic: what happens to jobs goes to a Kafka topic, never at the cost of a job. Telling an event copies it into
 * a bounded queue and returns; a thread with a producer of its own, both made with the first event, sends it. What the
 * brokers do not take in time is dropped, counted and said. */
#ifndef JG_CONNECTORS_KAFKA_EVENTS_H
#define JG_CONNECTORS_KAFKA_EVENTS_H

#include "connectors/kafka/own.h"
#include "plugin/event_avro.h"

/* Borrowed; `rdk`, `conf` and `log` must outlive it, the others are copied. */
struct jg_events_options {
    const struct jg_rdk *rdk;
    const rd_kafka_conf_t *host; /* where the brokers are, and how to authenticate */
    const struct jg_conf *conf;  /* with an events.topic */
    const struct jg_log *log;
    const char *instance;
    const char *group;     /* NULL: a producer */
    const char *client_id; /* NULL: none */
};

struct jg_events;

/* Asks no server and starts no thread. With settings that allow no client of our own it is made all the same, says so,
 * and drops what it is told. NULL: out of memory. */
JG_MUST_USE struct jg_events *jg_events_new(const struct jg_events_options *options);

/* Something happened: to the log and to the topic, as the settings want it. `events` may be NULL: not to the topic. Any
 * thread; never blocks; in a forked child nothing goes to the topic. */
void jg_events_tell(struct jg_events *events, const struct jg_settings *settings, const struct jg_log *log,
                    const struct jg_event *event);

/* End it within about `timeout_ms`: what waits is sent if the brokers take it by then. False: its thread hangs in the
 * host's code and was abandoned, with what it uses. */
JG_MUST_USE bool jg_events_stop(struct jg_events *events, int64_t timeout_ms);

#endif
