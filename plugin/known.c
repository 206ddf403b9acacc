/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/known.h"

#include "plugin/ops.h"

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
jg_known_tend(struct jg_gate *gate, int64_t now_ms)
{
    jg_told_tend(gate, &kind, &gate->known, now_ms);
}
