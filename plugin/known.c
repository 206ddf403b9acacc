/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/known.h"

#include "plugin/ops.h"

#define RAN_WEIGHT 0.25 /* of the last run in the average */

static bool
tell(struct jg_gate *gate, const struct jg_told *told, struct jg_op *op)
{
    struct jg_policy policy;
    jg_conf_policy(gate->conf, told->name, &policy);
    *op = jg_op_sync(told->name, gate->id, &policy, &((const struct jg_known *)told)->override);
    return true;
}

static void
note(struct jg_gate *gate, struct jg_told *told, const struct jg_op *op)
{
    (void)gate;
    ((struct jg_known *)told)->override = op->override;
}

static const struct jg_told_kind kind = {
    .again_ms = 3000, /* well below any grace of the store: overrides are put back within it */
    .tell = tell,
    .note = note,
};

struct jg_known *
jg_known_meet(struct jg_gate *gate, const char *class_name, bool *is_new)
{
    pthread_mutex_lock(&gate->lock);
    struct jg_told *told = jg_told_find(&gate->known, class_name, sizeof(struct jg_known));
    *is_new = told && !told->told_ms;
    pthread_mutex_unlock(&gate->lock);
    return (struct jg_known *)told;
}

struct jg_op
jg_known_sync_op(struct jg_gate *gate, const struct jg_known *known)
{
    struct jg_op op;
    pthread_mutex_lock(&gate->lock);
    (void)tell(gate, &known->told, &op);
    pthread_mutex_unlock(&gate->lock);
    return op;
}

void
jg_known_synced(struct jg_gate *gate, struct jg_known *known, const struct jg_op *op, int64_t now_ms)
{
    jg_told_note(gate, &kind, &known->told, op, now_ms);
}

void
jg_known_ran(struct jg_gate *gate, const char *class_name, int64_t ran_ms)
{
    pthread_mutex_lock(&gate->lock);
    struct jg_known *known = (struct jg_known *)jg_told_find(&gate->known, class_name, sizeof *known);
    if (known)
        known->ran_ms += ((double)ran_ms - known->ran_ms) * (known->ran_ms > 0 ? RAN_WEIGHT : 1);
    pthread_mutex_unlock(&gate->lock);
}

int64_t
jg_known_ran_ms(struct jg_gate *gate, const struct jg_known *known)
{
    if (!known)
        return 0;
    pthread_mutex_lock(&gate->lock);
    double ran_ms = known->ran_ms;
    pthread_mutex_unlock(&gate->lock);
    return (int64_t)ran_ms;
}

void
jg_known_tend(struct jg_gate *gate, int64_t now_ms)
{
    jg_told_tend(gate, &kind, &gate->known, now_ms);
}
