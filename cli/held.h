/* SPDX-License-Identifier: Apache-2.0 */
/* What waits in a holding topic. */
#ifndef JG_CLI_HELD_H
#define JG_CLI_HELD_H

#include "cli/kafka.h"

#define JG_HELD_SHOWN_BYTES 60
#define JG_HELD_MOST 10000

/* One held job. Texts are cut where they are too long. */
struct jg_held {
    int32_t partition;
    int64_t offset;
    int64_t since_ms;      /* first held, Unix time; 0: the message does not say */
    int64_t resumes;       /* how often it was resumed and held again */
    int64_t attempts;      /* how often it has failed, one after another */
    int64_t not_before_ms; /* not resumed before this Unix time; 0: at any time */
    char jid[JG_JID_CHARS + 1];
    char class_name[128];
    char reason[32];
    char from[64];                         /* <partition>/<offset> of the origin topic */
    char payload[JG_HELD_SHOWN_BYTES + 1]; /* its beginning */
    size_t payload_bytes;                  /* of it, that are here */
    size_t whole_bytes;                    /* of all of it */
};

/* Those that are held longest, in that order. */
struct jg_held_list {
    struct jg_held *list; /* room for `most` */
    size_t most;
    size_t count;
    int64_t total; /* also those that are not in the list */
};

/* Read a holding topic from the committed offsets of the client's group to its end, at most JG_CLI_KAFKA_MS without a
 * message. False: said why on standard error. */
JG_MUST_USE bool jg_held_read(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic,
                              struct jg_held_list *out);

#endif
