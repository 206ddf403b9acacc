/* SPDX-License-Identifier: Apache-2.0 */
/* What `jobgate check` finds. */
#ifndef JG_CLI_CHECK_H
#define JG_CLI_CHECK_H

#include "cli/kafka.h"

enum jg_finding { JG_FINDING_OK, JG_FINDING_NOTICE, JG_FINDING_WARNING, JG_FINDING_ERROR };

struct jg_check {
    struct jg_cli_kafka kafka;
    const char *group; /* --group; NULL: not given */
    struct jg_store *store;
    json_t *findings; /* for --json */
    size_t errors;
};

/* Print a finding, or keep it for JSON. */
void jg_check_find(struct jg_check *check, enum jg_finding level, const char *fmt, ...) JG_PRINTF(3, 4);

/* Look at the topics. JG_EXIT_KAFKA: Kafka does not answer. */
enum jg_exit jg_check_topics(struct jg_check *check);
/* Look at one topic of the store: which group executes it. */
enum jg_err jg_check_group(struct jg_check *check, const char *topic);
/* Look at the topic of events, which is set. `cleanup_policy`: empty where the broker does not tell. */
void jg_check_events(struct jg_check *check, bool there, const char *cleanup_policy);

#endif
