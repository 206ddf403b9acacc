/* SPDX-License-Identifier: Apache-2.0 */
/* Resuming: held jobs go back to their origin topic. One resumer per consumer group leads, elected by a lease in the
 * store and fenced by Kafka (its transactional.id); it takes tickets for the jobs that are held longest, produces them
 * and commits their offsets in the holding topic in one transaction. So a resumer that dies neither loses nor doubles
 * a job. Others stand by. */
#ifndef JG_CONNECTORS_KAFKA_RESUMER_H
#define JG_CONNECTORS_KAFKA_RESUMER_H

#include "base/histogram.h"
#include "base/log.h"
#include "connectors/kafka/events.h"
#include "connectors/kafka/holding.h"
#include "connectors/store.h"
#include "plugin/conf.h"
#include "plugin/rdk.h"

/* Borrowed; all must outlive the resumer, but for base_conf, which is copied. */
struct jg_resumer_options {
    const struct jg_rdk *rdk;
    const rd_kafka_conf_t *base_conf; /* where the brokers are, and how to authenticate */
    struct jg_store *store;
    const struct jg_conf *conf;
    const struct jg_log *log;
    const char *group;        /* the consumers' group.id */
    const char *instance;     /* its name as a leader */
    struct jg_events *events; /* NULL: events go to no topic */
    bool external; /* of its own, not inside a consumer: tells the store no settings of classes, and stands for
                      election at once. Inside a consumer it does so when there are holding topics */
    bool lift;     /* resume everything, limit or not */
};

struct jg_resumer;

/* Starts a thread; asks no server yet. JG_EINVAL, JG_ENOMEM: `error` says why not. */
JG_MUST_USE enum jg_err jg_resumer_start(const struct jg_resumer_options *options, struct jg_resumer **out,
                                         struct jg_error *error);

/* It is to end; does not wait for that. Whatever it waits for of a broker is over JG_OWN_CALL_MS later. */
void jg_resumer_quit(struct jg_resumer *resumer);
/* End it, in order, by deadline_ms (monotonic), and free it. False: it hangs in the host's code, and was abandoned. */
bool jg_resumer_stop(struct jg_resumer *resumer, int64_t deadline_ms);

/* A job was held, or a holding topic made: look soon. Any thread, never blocks. */
void jg_resumer_notice(struct jg_resumer *resumer);

struct jg_resumer_state {
    bool leads;
    bool caught_up; /* it leads, knows all holding topics, and nothing is held */
    int64_t held;   /* counted in the holding topics; of what it knows */
    int64_t resumed, buried;
    int64_t committed, aborted; /* transactions; what was aborted is tried again */
    int64_t broken;             /* their outcome is not known, or another resumer leads */
    size_t topics;
    char trouble[256]; /* the last one; empty: none */
};

/* Any thread, never blocks for long. */
void jg_resumer_state(struct jg_resumer *resumer, struct jg_resumer_state *out);

/* What a holding topic has, as the leader counts it. */
struct jg_resumer_topic {
    char origin[JG_TOPIC_MAX_BYTES + 1];
    char class_name[JG_CLASS_MAX_BYTES + 1]; /* empty: none of its records was seen yet */
    int64_t held;
    int64_t oldest_ms; /* Unix time; 0: none is held, or not known */
};

/* All of them, none while it does not lead; the caller frees the list. Any thread, never blocks for long. */
JG_MUST_USE size_t jg_resumer_topics(struct jg_resumer *resumer, struct jg_resumer_topic **out);
/* How long transactions took, aborted ones too. */
const struct jg_histogram *jg_resumer_took(const struct jg_resumer *resumer);

#endif
