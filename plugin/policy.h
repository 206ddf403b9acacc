/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings say of a class and of a topic, resolved. Pure data: no I/O. */
#ifndef JG_PLUGIN_POLICY_H
#define JG_PLUGIN_POLICY_H

#include <stdint.h>

#include "plugin/job.h"

/* A class's policy, from `jobgate.class.<class>.*` over `jobgate.default.*`. */
struct jg_policy {
    enum jg_dedup dedup;
    enum jg_dup_action dedup_action;
    int64_t dedup_ttl_ms;
    int64_t dedup_provisional_ms;
    int64_t limit;           /* 0: none; negative: paused */
    int64_t limit_ttl_ms;    /* a slot without a heartbeat for this long is free */
    int64_t hold_max;        /* 0: no bound */
    int64_t hold_max_age_ms; /* 0: no bound */
    int64_t resume_ahead;    /* tickets beyond the free slots */
    int64_t resume_wait_ms;
};

/* True when the policy asks nothing of jobgate: the class's messages pass untouched. */
static inline bool
jg_policy_is_empty(const struct jg_policy *policy)
{
    return policy->dedup == JG_DEDUP_NONE && policy->limit == 0;
}

#endif
