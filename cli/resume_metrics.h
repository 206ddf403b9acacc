/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint of `jobgate resume --metrics`: /metrics, /healthz and /-/ready. */
#ifndef JG_CLI_RESUME_METRICS_H
#define JG_CLI_RESUME_METRICS_H

#include "cli/endpoint.h"
#include "cli/resuming.h"

struct jg_resume_metrics {
    const struct jg_resuming *resuming;
    int64_t started_ms; /* Unix time */
    /* The server's thread has what follows. */
    struct jg_buf store; /* what was last told of the store and its classes */
    int64_t store_ms;    /* monotonic: when; 0: never */
};

/* A jg_endpoint_handler; `opaque` is a struct jg_resume_metrics. */
void jg_resume_metrics_answer(void *opaque, const char *path, struct jg_endpoint_answer *out);
void jg_resume_metrics_clear(struct jg_resume_metrics *metrics);

#endif
