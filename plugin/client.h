/* SPDX-License-Identifier: Apache-2.0 */
/* What a handle's own librdkafka properties mean for jobgate, and the few that jobgate changes. */
#ifndef JG_PLUGIN_CLIENT_H
#define JG_PLUGIN_CLIENT_H

#include "base/err.h"
#include "plugin/conf.h"
#include "plugin/rdk.h"

typedef void jg_rebalance_cb(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
                             void *opaque);
typedef void jg_log_cb(const rd_kafka_t *rk, int level, const char *fac, const char *text);

struct jg_client {
    bool producer;
    bool transactional;         /* an acknowledgement comes before the commit, so it confirms nothing */
    bool weak_acks;             /* acks below all: an acknowledged message may yet be lost */
    int64_t message_timeout_ms; /* 0: none */

    bool consumer;       /* in a group: governed */
    bool auto_commit;    /* enable.auto.commit */
    bool auto_store;     /* enable.auto.offset.store: librdkafka would store offsets as messages are handed out */
    bool commits_itself; /* the application stores or commits offsets */
    bool events;         /* the application takes events (Go, Rust): no callback tells of rebalances */
    int64_t max_poll_interval_ms;
    rd_kafka_resp_err_t skip_err;
    rd_kafka_resp_err_t withheld_err; /* shown instead of a message that comes again, or that is refused */
    enum jg_completion completion;    /* poll, commit or api; auto: cannot be seen (Node) */
    jg_rebalance_cb *rebalance_cb;    /* the application's own; NULL: none */

    char group[256]; /* group.id */
    char client_id[64];
    jg_log_cb *log_cb; /* the application's own; NULL: none, or it is behind a queue */
};

/* Read a configuration. */
void jg_client_read(const struct jg_rdk *rdk, const rd_kafka_conf_t *rk_conf, rd_kafka_type_t type,
                    const struct jg_settings *settings, struct jg_client *out);

/* JG_EINVAL: the client's properties and jobgate's exclude each other; `error` names them and the cure. */
JG_MUST_USE enum jg_err jg_client_check(const struct jg_client *client, const struct jg_settings *settings,
                                        struct jg_error *error);

/* Change what has to be changed in a governed consumer's configuration: how often offsets are committed, who is called
 * on a rebalance; held jobs come back in transactions, so only what is committed may be read. Thread: inside
 * rd_kafka_new. */
JG_MUST_USE enum jg_err jg_client_take_over(const struct jg_rdk *rdk, rd_kafka_conf_t *rk_conf,
                                            const struct jg_client *client, jg_rebalance_cb *rebalance_cb,
                                            struct jg_error *error);

#endif
