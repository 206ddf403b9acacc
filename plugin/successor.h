/* SPDX-License-Identifier: Apache-2.0 */
/* What a job is enqueued again as. Pure. */
#ifndef JG_PLUGIN_SUCCESSOR_H
#define JG_PLUGIN_SUCCESSOR_H

#include "plugin/stamp.h"

#define JG_BACKOFF_MAX_MS 60000

struct jg_successor {
    const char *jid;
    bool waits;       /* in the holding topic */
    bool failed;      /* for its backoff */
    int64_t retry_ms; /* the first backoff */
    int32_t partition;
    int64_t offset;  /* where its predecessor was */
    int64_t time_ms; /* its predecessor's timestamp; not above 0: not known */
};

/* How long a job that failed for the `attempt`th time in a row (from 1) waits. */
int64_t jg_successor_backoff_ms(int64_t retry_ms, int64_t attempt);

/* The stamp of the successor of a job that was stamped `from`. `now_ms`: Unix time. */
void jg_successor_stamp(const struct jg_stamp *from, const struct jg_successor *next, int64_t now_ms,
                        struct jg_stamp *out);

#endif
