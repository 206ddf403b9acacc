/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for a job in Kafka: in the governed topics, and in the holding topics and dead letters beside them. */
#ifndef JG_CLI_SCAN_H
#define JG_CLI_SCAN_H

#include "cli/kafka.h"
#include "connectors/kafka/holding.h"
#include "plugin/stamp.h"

#define JG_SCAN_MOST 100 /* so many finds are kept; all are counted */
#define JG_SCAN_GROUP_BYTES 300

enum jg_scan_place { JG_PLACE_TOPIC, JG_PLACE_HELD, JG_PLACE_DEAD };

/* One message that is the job's. */
struct jg_scan_find {
    enum jg_scan_place place;
    char topic[JG_TOPIC_MAX_BYTES + 1];
    char origin[JG_TOPIC_MAX_BYTES + 1]; /* the governed topic */
    int32_t partition;
    int64_t offset;
    int64_t time_ms; /* its timestamp; negative: none */
    enum jg_stamped stamped;
    struct jg_stamp stamp; /* of JG_STAMP_OURS; else only jid, key and class, as far as they are known */
    char dead_reason[160];
    char group[JG_SCAN_GROUP_BYTES]; /* whose offset tells how far it has come; empty: not known */
    int64_t committed;               /* ... negative: it has none, or Kafka does not tell */
    bool passed;                     /* held, and resumed ahead of that offset */
};

struct jg_scan {
    struct jg_cli_kafka kafka;
    /* What is looked for: `jid`, or, when that is empty, all jobs of `key`. Borrowed. */
    const char *jid;
    const char *key;
    const char *group; /* that executes the topics; NULL: ask the store */
    int64_t timeout_ms;
    /* What was found, the oldest first. */
    struct jg_scan_find *finds; /* owned */
    size_t count;
    int64_t total;
    /* What was looked through. */
    struct jg_cli_names topics; /* owned */
    int64_t partitions;
    int64_t messages;      /* that were read */
    int64_t messages_left; /* that were not, by their offsets */
    bool late;             /* the time was over before the end */
};

/* Look. Anything but JG_EXIT_OK: said why on standard error. */
enum jg_exit jg_scan_run(struct jg_scan *scan, struct jg_store *store);
void jg_scan_clear(struct jg_scan *scan);

/* Has the group come past it? */
bool jg_scan_is_past(const struct jg_scan_find *find);

void jg_scan_print(const struct jg_scan *scan);
json_t *jg_scan_json(const struct jg_scan *scan);

#endif
