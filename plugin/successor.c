/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/successor.h"

#include <stdio.h>
#include <string.h>

int64_t
jg_successor_backoff_ms(int64_t retry_ms, int64_t attempt)
{
    int64_t wait_ms = retry_ms;
    while (--attempt > 0 && wait_ms < JG_BACKOFF_MAX_MS)
        wait_ms *= 2;
    return wait_ms < JG_BACKOFF_MAX_MS ? wait_ms : JG_BACKOFF_MAX_MS;
}

void
jg_successor_stamp(const struct jg_stamp *from, const struct jg_successor *next, int64_t now_ms, struct jg_stamp *out)
{
    *out = *from;
    snprintf(out->jid, sizeof out->jid, "%s", next->jid);
    out->candidate_of[0] = out->duplicate_of[0] = '\0';
    out->unclaimed = false;
    out->follow_up = 0;
    out->resumed = out->not_before_ms = 0;
    out->attempt = next->failed ? from->attempt + 1 : 0;
    if (!next->waits) {
        out->held_since_ms = 0;
        return;
    }
    out->held_reason = next->failed ? JG_REASON_RETRY : JG_REASON_CAPACITY;
    if (next->failed)
        out->not_before_ms = now_ms + jg_successor_backoff_ms(next->retry_ms, out->attempt);
    if (from->attempt && from->held_since_ms)
        return; /* its age counts from its first failure */
    out->held_since_ms = now_ms;
    out->held_partition = next->partition;
    out->held_offset = next->offset;
    out->held_time_ms = next->time_ms > 0 ? next->time_ms : 0;
}
