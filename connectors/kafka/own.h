/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka clients of our own, beside the host's: they reach the same brokers with the same credentials, and call nothing
 * of the host's. Through the host's copy of librdkafka, like everything else. */
#ifndef JG_CONNECTORS_KAFKA_OWN_H
#define JG_CONNECTORS_KAFKA_OWN_H

#include <stdatomic.h>

#include "base/log.h"
#include "plugin/conf.h"
#include "plugin/rdk.h"

/* How our clients are made. Borrowed; must outlive them. */
struct jg_own {
    const struct jg_rdk *rdk;
    rd_kafka_conf_t *base; /* from jg_own_base; owned by whoever made it */
    const struct jg_log *log;
    const _Atomic int64_t *until_ms; /* monotonic: no call waits for a broker beyond it; 0: nobody is in a hurry. NULL:
                                        nobody ever is */
};

/* One call waits for a broker no longer than that: so long after a hurry of so much, the one under way has ended too.
 */
#define JG_OWN_CALL_MS 5000

/* How long to wait now: `most_ms`, or what is left of the time. */
JG_MUST_USE int jg_own_wait_ms(const struct jg_own *own, int64_t most_ms);
/* The next event of the queue, as of an admin request. NULL: none came in that time. */
rd_kafka_event_t *jg_own_answer(const struct jg_own *own, rd_kafka_queue_t *queue, int64_t most_ms);

/* Can there be clients of ours, which make topics, for the sake of a limit? JG_EHOST, JG_EINVAL: `error` says why not,
 * and the cure. */
JG_MUST_USE enum jg_err jg_own_check(const struct jg_rdk *rdk, const rd_kafka_conf_t *host, const struct jg_conf *conf,
                                     struct jg_error *error);
/* Can a client of ours do without what a configuration has as callbacks? `what` is set, and needs it, in the error.
 * JG_EINVAL: `error` names the callback and the cure. */
JG_MUST_USE enum jg_err jg_own_check_callbacks(const struct jg_rdk *rdk, const rd_kafka_conf_t *host,
                                               const struct jg_conf *conf, const char *what, struct jg_error *error);

/* The host's configuration without what is the host's alone (callbacks, plugins, group, transactions, tuning), with
 * `jobgate.kafka.*` over it. The caller destroys *out (rdk->conf_destroy). JG_EINVAL: `error` names the property. */
JG_MUST_USE enum jg_err jg_own_base(const struct jg_rdk *rdk, const rd_kafka_conf_t *host, const struct jg_conf *conf,
                                    rd_kafka_conf_t **out, struct jg_error *error);

/* A client of ours; `settings` are name, value, ..., NULL and go over the base. NULL: `error` says why. `dr_msg_cb` may
 * be NULL. Blocks for no server. jg_own_close ends it: bounded, without leaving a group in order. */
rd_kafka_t *jg_own_client(const struct jg_own *own, rd_kafka_type_t type, const char *const *settings,
                          void (*dr_msg_cb)(rd_kafka_t *, const rd_kafka_message_t *, void *), void *opaque,
                          struct jg_error *error);
void jg_own_close(const struct jg_own *own, rd_kafka_t *rk);

/* --- topics; these block up to JG_OWN_ADMIN_MS --- */

#define JG_OWN_ADMIN_MS 10000

struct jg_own_topic {
    int partitions; /* 0: there is no such topic */
    int replicas;
};

/* Look at all topics of the cluster: calls `each`. Asking for one topic by name could create it. JG_EHOST: no answer.
 */
JG_MUST_USE enum jg_err jg_own_topics(const struct jg_own *own, rd_kafka_t *rk,
                                      void (*each)(void *opaque, const char *name, const struct jg_own_topic *topic),
                                      void *opaque, struct jg_error *error);
JG_MUST_USE enum jg_err jg_own_topic(const struct jg_own *own, rd_kafka_t *rk, const char *name,
                                     struct jg_own_topic *out, struct jg_error *error);

/* Make sure that a topic beside `origin` exists (its holding topic, its dead letters): as many partitions and replicas,
 * nothing is ever deleted from it, room for its largest message, or one of job_bytes, and our headers. *out: what there
 * is now. JG_EHOST: `error` says why not, and the cure. JG_ENOENT: the origin is gone. */
JG_MUST_USE enum jg_err jg_own_ensure(const struct jg_own *own, rd_kafka_t *rk, const char *name, const char *origin,
                                      size_t job_bytes, struct jg_own_topic *out, struct jg_error *error);

#endif
