/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings say of a class and of a topic, resolved. Pure data: no I/O. */
#ifndef JG_PLUGIN_POLICY_H
#define JG_PLUGIN_POLICY_H

#include <stdint.h>
#include <string.h>

#include "plugin/job.h"

struct jg_selector;

/* capacity.load: the load is how many capacity slots are taken. */
#define JG_SLOTS "slots"

/* A class's policy, from `jobgate.class.<class>.*` over `jobgate.default.*`. */
struct jg_policy {
    enum jg_dedup dedup;
    enum jg_dup_action dedup_action;
    bool dedup_follow_up;
    int64_t dedup_ttl_ms;
    int64_t dedup_provisional_ms;
    int64_t limit;                       /* 0: none; negative: paused */
    int64_t limit_ttl_ms;                /* a slot without a heartbeat for this long is free */
    const struct jg_selector *limit_key; /* jobs of one value have a limit of their own; borrowed from the settings;
                                            NULL: not set */
    int64_t limit_per_key;               /* with limit_key: so many of one value */
    int64_t hold_max;                    /* 0: no bound */
    int64_t hold_max_age_ms;             /* 0: no bound */
    int64_t hold_window;                 /* so far the resumer looks past held jobs that wait for their own key */
    int64_t resume_ahead;                /* tickets beyond the free slots; JG_AUTO: the resumer finds out */
    int64_t resume_wait_ms;              /* JG_AUTO: by how long a run takes */
    enum jg_lease lease;
    enum jg_lease_taken lease_taken;
    int64_t lease_ttl_ms;      /* a lease whose run goes without a heartbeat for this long is free */
    int64_t capacity;          /* the job is enqueued again at its end while load is below it; 0: never */
    const char *capacity_load; /* `redis:<key>` or JG_SLOTS, borrowed from the settings; NULL: not set */
    const char *capacity_work; /* `redis:<key>`, likewise */
    int64_t capacity_slot_ttl_ms;
    int64_t capacity_retry_ms; /* the first backoff of a job that failed; it doubles up to 1 min */
    int64_t done_ttl_ms;
};

/* True when the policy asks nothing of jobgate: the class's messages pass untouched. */
static inline bool
jg_policy_is_empty(const struct jg_policy *policy)
{
    return policy->dedup == JG_DEDUP_NONE && policy->limit == 0 && policy->lease == JG_LEASE_NONE &&
           policy->capacity == 0 && !policy->limit_key;
}

/* Does it ask at the consumer who else runs? Then a run of the class is told to the store, and renewed. */
static inline bool
jg_policy_gates(const struct jg_policy *policy)
{
    return policy->limit != 0 || policy->lease != JG_LEASE_NONE || policy->capacity != 0 || policy->limit_key;
}

/* How long a run outlives its last heartbeat: its slot and its lease are one record. */
static inline int64_t
jg_policy_run_ttl_ms(const struct jg_policy *policy)
{
    if (policy->lease == JG_LEASE_NONE ||
        ((policy->limit || policy->limit_key) && policy->limit_ttl_ms < policy->lease_ttl_ms))
        return policy->limit_ttl_ms;
    return policy->lease_ttl_ms;
}

/* How many jobs of one value of limit.key run at once; 0: it has none. */
static inline int64_t
jg_policy_per_key(const struct jg_policy *policy)
{
    return policy->limit_key ? policy->limit_per_key : 0;
}

/* The key that `redis:<key>` names; NULL: none. */
static inline const char *
jg_gauge_key(const char *gauge)
{
    return gauge && strcmp(gauge, JG_SLOTS) != 0 ? gauge + sizeof "redis:" - 1 : NULL;
}

/* How long a run's capacity slot is taken; 0: its class has none. */
static inline int64_t
jg_policy_slot_ttl_ms(const struct jg_policy *policy)
{
    bool slots = policy->capacity != 0 && policy->capacity_load && strcmp(policy->capacity_load, JG_SLOTS) == 0;
    return slots ? policy->capacity_slot_ttl_ms : 0;
}

#endif
