/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/ops.h"

struct jg_op
jg_op_sync(const char *class_name, const char *instance, const struct jg_policy *policy, const struct jg_override *seen)
{
    return (struct jg_op){
        .kind = JG_OP_SYNC,
        .class_name = class_name,
        .member = instance,
        .limit = policy->limit,
        .run_ttl_ms = jg_policy_run_ttl_ms(policy),
        .lease = policy->lease,
        .capacity = policy->capacity,
        .per_key = jg_policy_per_key(policy),
        .load_key = jg_gauge_key(policy->capacity_load),
        .work_key = jg_gauge_key(policy->capacity_work),
        .slot_ttl_ms = jg_policy_slot_ttl_ms(policy),
        .resume_ahead = policy->resume_ahead,
        .hold_max_age_ms = policy->hold_max_age_ms,
        .override_in = *seen,
    };
}

struct jg_op
jg_op_bury(const struct jg_stamp *stamp, const struct jg_policy *policy)
{
    return (struct jg_op){
        .kind = JG_OP_BURY,
        .class_name = stamp->class_name,
        .key = stamp->key,
        .jid = stamp->jid,
        .follow_up = stamp->follow_up,
        .dedup_ttl_ms = policy->dedup_ttl_ms,
        .dedup_provisional_ms = policy->dedup_provisional_ms,
    };
}
