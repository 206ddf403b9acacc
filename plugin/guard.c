/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/guard.h"

#include <stdio.h>
#include <string.h>

#define REFUSED_AGAIN_MS 1000

/* A topic, and whether its group executes it. */
struct guard {
    struct jg_told told;
    bool refused;
    char reason[640];
};

static struct jg_op
op_of(const struct jg_gate *gate, const struct jg_told *told)
{
    return (struct jg_op){
        .kind = JG_OP_GROUP,
        .class_name = told->name,
        .member = gate->client.group,
        .run_ttl_ms = JG_GUARD_TTL_MS,
    };
}

static bool
tell(struct jg_gate *gate, const struct jg_told *told, struct jg_op *op)
{
    *op = op_of(gate, told);
    return !((const struct guard *)told)->refused; /* else its messages ask */
}

static void
note(struct jg_gate *gate, struct jg_told *told, const struct jg_op *op)
{
    struct guard *guard = (struct guard *)told;
    guard->refused = !op->changed;
    if (guard->refused)
        snprintf(guard->reason, sizeof guard->reason,
                 "jobgate: topic %.120s is executed by consumer group %.120s, and this is group %.120s: read it "
                 "untouched with jobgate.observe=true, or move it with `jobgate group %.60s GROUP`",
                 told->name, op->other, gate->client.group, told->name);
}

static const struct jg_told_kind kind = {.again_ms = 2000, .tell = tell, .note = note};

const char *
jg_guard_look(struct jg_gate *gate, const char *topic, int64_t now_ms)
{
    static _Thread_local char reason[sizeof((struct guard *)0)->reason];
    const char *refused = NULL;
    pthread_mutex_lock(&gate->lock);
    struct guard *guard = (struct guard *)jg_told_find(&gate->guards, topic, sizeof *guard);
    bool due = guard && (!guard->told.told_ms || (guard->refused && now_ms - guard->told.told_ms >= REFUSED_AGAIN_MS));
    if (due) {
        pthread_mutex_unlock(&gate->lock);
        struct jg_op op = op_of(gate, &guard->told);
        if (jg_ask(gate, &op, 1) == JG_OK)
            jg_told_note(gate, &kind, &guard->told, &op, now_ms);
        pthread_mutex_lock(&gate->lock);
    }
    if (guard && guard->refused)
        refused = memcpy(reason, guard->reason, sizeof reason);
    pthread_mutex_unlock(&gate->lock);
    return refused;
}

void
jg_guard_tend(struct jg_gate *gate, int64_t now_ms)
{
    jg_told_tend(gate, &kind, &gate->guards, now_ms);
}
