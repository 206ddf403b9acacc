/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/known.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 3000 /* well below any grace of the store: overrides are put back within it */
#define BATCH_OPS 128

struct jg_known *
jg_known_meet(struct jg_gate *gate, const char *class_name, bool *is_new)
{
    size_t bytes = strlen(class_name) + 1;
    pthread_mutex_lock(&gate->lock);
    struct jg_known *known = gate->known;
    while (known && strcmp(known->class_name, class_name) != 0)
        known = known->next;
    if (!known && (known = calloc(1, sizeof *known + bytes))) {
        memcpy(known->class_name, class_name, bytes);
        known->next = gate->known;
        gate->known = known;
    }
    *is_new = known && !known->synced_ms;
    pthread_mutex_unlock(&gate->lock);
    return known;
}

struct jg_op
jg_known_sync_op(const struct jg_known *known, const char *instance, const struct jg_policy *policy)
{
    return (struct jg_op){
        .kind = JG_OP_SYNC,
        .class_name = known->class_name,
        .member = instance,
        .limit = policy->limit,
        .run_ttl_ms = policy->limit_ttl_ms,
        .resume_ahead = policy->resume_ahead,
        .hold_max_age_ms = policy->hold_max_age_ms,
        .override_in = known->override,
    };
}

void
jg_known_synced(struct jg_gate *gate, struct jg_known *known, const struct jg_override *override, int64_t now_ms)
{
    pthread_mutex_lock(&gate->lock);
    known->override = *override;
    known->synced_ms = now_ms ? now_ms : 1;
    pthread_mutex_unlock(&gate->lock);
}

void
jg_known_tend(struct jg_gate *gate, int64_t now_ms)
{
    struct jg_known *due[BATCH_OPS];
    struct jg_op ops[BATCH_OPS];
    size_t count = 0;
    pthread_mutex_lock(&gate->lock);
    for (struct jg_known *known = gate->known; known && count < BATCH_OPS; known = known->next) {
        struct jg_policy policy;
        if (now_ms - known->synced_ms < AGAIN_MS)
            continue;
        jg_conf_policy(gate->conf, known->class_name, &policy);
        due[count] = known;
        ops[count++] = jg_known_sync_op(known, gate->id, &policy);
    }
    pthread_mutex_unlock(&gate->lock);
    if (count == 0)
        return;
    (void)!jg_ask(gate, ops, count);
    for (size_t i = 0; i < count; i++)
        if (ops[i].err == JG_OK)
            jg_known_synced(gate, due[i], &ops[i].override, now_ms);
}

void
jg_known_clear(struct jg_gate *gate)
{
    while (gate->known) {
        struct jg_known *next = gate->known->next;
        free(gate->known);
        gate->known = next;
    }
}
