/* SPDX-License-Identifier: Apache-2.0 */
/* A resumer in a process of its own, as `jobgate resume` and `jobgate drain` run it. */
#ifndef JG_CLI_RESUMING_H
#define JG_CLI_RESUMING_H

#include <signal.h>

#include "cli/kafka.h"
#include "connectors/kafka/resumer.h"

#define JG_RESUMING_STOP_MS 10000

struct jg_resuming {
    struct jg_cli_kafka *kafka;
    const char *group;
    bool lift;
    struct jg_store *store; /* owned from jg_resuming_open on */
    struct jg_log log;
    char instance[300];
    sigset_t signals;
    struct jg_events *events;   /* owned from jg_resuming_start on; NULL: events go to no topic */
    struct jg_resumer *resumer; /* owned from jg_resuming_start on */
    char told[256];             /* the trouble that was printed last */
};

/* Open the store; from here on SIGINT and SIGTERM only end the waiting. Before any thread starts. False: said why, and
 * *exit is how to end. */
JG_MUST_USE bool jg_resuming_open(struct jg_resuming *resuming, enum jg_exit *exit);
JG_MUST_USE bool jg_resuming_start(struct jg_resuming *resuming, enum jg_exit *exit);
/* Wait a second, or for a signal: false then. Keeps the store's connection up. */
JG_MUST_USE bool jg_resuming_wait(struct jg_resuming *resuming);
/* How it stands; a new trouble is printed to standard error. */
void jg_resuming_look(struct jg_resuming *resuming, struct jg_resumer_state *out);
/* Stop the resumer, bounded, and close the store. */
void jg_resuming_end(struct jg_resuming *resuming);

/* One line to standard output, behind the time, at once. */
void jg_resuming_say(const char *fmt, ...) JG_PRINTF(1, 2);

#endif
