/* SPDX-License-Identifier: Apache-2.0 */
/* Topics that jobs of a class of a topic go to, and lists of such. */
#ifndef JG_CONNECTORS_KAFKA_TARGET_H
#define JG_CONNECTORS_KAFKA_TARGET_H

#include "connectors/kafka/own.h"

enum jg_target_kind {
    JG_TARGET_HELD,  /* <topic>.held.<class> */
    JG_TARGET_DEAD,  /* <topic>.dead */
    JG_TARGET_ORIGIN /* the topic itself: a job is enqueued again */
};

/* Where jobs of one class of one topic go. */
struct jg_target {
    struct jg_target *next;
    char *name;
    char *origin;
    enum jg_target_kind kind;
    int partitions;   /* 0: not known to exist */
    size_t in_flight; /* with the producer */
    int64_t sent_ms;  /* monotonic: the round in which the first of those was handed to it */
    bool alone;       /* one at a time: one of a batch was too large, and which is not known */
    size_t job_bytes; /* of the largest job that is meant for it because nothing else takes it */
    int64_t retry_ms;
    bool blocked; /* in this round: what is behind must not go before */
};

/* Where jobs of a class of a topic go; added to the list when it is new. NULL: out of memory. */
struct jg_target *jg_target_find(struct jg_target **targets, const char *topic, const char *class_name,
                                 enum jg_target_kind kind);
void jg_targets_clear(struct jg_target **targets);

/* Is the topic there? One beside the origin is made when it is not. JG_EINVAL, JG_ENOENT, JG_EHOST: `error` says why
 * not. Blocks up to JG_OWN_ADMIN_MS. */
JG_MUST_USE enum jg_err jg_target_make(const struct jg_own *own, rd_kafka_t *rk, const struct jg_target *target,
                                       struct jg_own_topic *found, struct jg_error *error);

#endif
