/* SPDX-License-Identifier: Apache-2.0 */
/* The Kafka client of words that look at topics. Its properties are `jobgate.kafka.*`; it joins no group, commits
 * nothing, makes no topic. */
#ifndef JG_CLI_KAFKA_H
#define JG_CLI_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "connectors/kafka/passed.h"

#define JG_CLI_KAFKA_MS 10000 /* bound on one question */

#define JG_CLI_BOOTSTRAP_OPTION                                                                                        \
    {                                                                                                                  \
        "bootstrap-servers", 'b', "SERVERS",                                                                           \
            "The Kafka brokers, host:port[,host:port...]; goes before jobgate.kafka.bootstrap.servers."                \
    }

struct jg_cli_kafka {
    const struct jg_cli *cli;
    const char *servers; /* --bootstrap-servers; NULL: not given */
    rd_kafka_t *rk;
    bool down; /* no broker could be reached; whoever looks at it clears it */
    pthread_mutex_t lock;
    char trouble[256]; /* what librdkafka complained about last */
};

#define JG_CLI_KAFKA_INIT(the_cli)                                                                                     \
    {                                                                                                                  \
        .cli = (the_cli), .servers = NULL, .rk = NULL, .lock = PTHREAD_MUTEX_INITIALIZER, .trouble = ""                \
    }

/* After jg_cli_finish: does anything say where the brokers are? */
bool jg_cli_kafka_is_set(const struct jg_cli_kafka *kafka);

/* The properties that any client of ours has. NULL: said why on standard error. The caller destroys it. */
JG_MUST_USE rd_kafka_conf_t *jg_cli_kafka_conf(const struct jg_cli_kafka *kafka);

/* A consumer that reads committed messages and the offsets of `group` (never NULL), and is no member of it. False: said
 * why. Asks no server yet. */
JG_MUST_USE bool jg_cli_kafka_open(struct jg_cli_kafka *kafka, const char *group);
void jg_cli_kafka_close(struct jg_cli_kafka *kafka);

/* Say that `what` failed, with what librdkafka complained about. Returns how to end. */
enum jg_exit jg_cli_kafka_failed(struct jg_cli_kafka *kafka, const char *what, rd_kafka_resp_err_t err);

/* All topics; rd_kafka_metadata_destroy ends it. NULL: said why. Asking for one topic by name could create it. */
JG_MUST_USE const struct rd_kafka_metadata *jg_cli_kafka_topics(struct jg_cli_kafka *kafka);
/* NULL: there is no such topic. */
const struct rd_kafka_metadata_topic *jg_cli_kafka_find(const struct rd_kafka_metadata *metadata, const char *name);

/* What of a partition is still to come. */
struct jg_cli_rest {
    const char *topic; /* borrowed from the metadata */
    int32_t partition;
    int64_t begin;           /* the first offset that is not done, which is there */
    int64_t end;             /* behind the last one */
    struct jg_passed passed; /* of those, what a resumer took ahead of others; jg_cli_rests_destroy frees it */
};

/* NULL is fine. */
void jg_cli_rests_destroy(struct jg_cli_rest *rests, size_t count);

/* Fill in `rests`, one a partition of `topic`: all that is there. False: said why. */
JG_MUST_USE bool jg_cli_kafka_whole(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic,
                                    struct jg_cli_rest *rests);
/* Likewise: what is behind the committed offsets of the client's group, of a holding topic. */
JG_MUST_USE bool jg_cli_kafka_rests(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic,
                                    struct jg_cli_rest *rests);
/* How many messages that is, over all partitions; -1: said why not. */
int64_t jg_cli_kafka_lag(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic);

#endif
