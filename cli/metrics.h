/* SPDX-License-Identifier: Apache-2.0 */
/* What `jobgate status --prometheus` and the endpoint of `jobgate resume --metrics` tell, for Prometheus. */
#ifndef JG_CLI_METRICS_H
#define JG_CLI_METRICS_H

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/resuming.h"

struct jg_metrics_wish {
    const char *name_space;
    const struct jg_cli_names *names; /* NULL: all classes */
    size_t most;                      /* classes; 0: no bound */
    bool walk;                        /* claims too */
    int64_t timeout_ms;               /* 0: as each exchange's */
    bool quiet;
};

/* The store and its classes. When it does not answer, that it does not, and only that: that is returned too. */
enum jg_err jg_metrics_store(struct jg_buf *out, struct jg_store *store, const struct jg_metrics_wish *wish);

/* Which build this is. */
void jg_metrics_build(struct jg_buf *out);
/* The resumer's process: how it stands, transactions, exchanges with the store, the plugin's counters. */
void jg_metrics_resumer(struct jg_buf *out, const struct jg_resuming *resuming, int64_t started_ms);

#endif
