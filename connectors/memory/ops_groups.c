/* SPDX-License-Identifier: Apache-2.0 */
/* Who resumes for a consumer group, and which group executes a topic. */
#include <string.h>

#include "connectors/memory/ops.h"

static const char *
holder(struct jg_memory_hold *hold, int64_t now_ms)
{
    if (hold->expires_ms <= now_ms)
        hold->who[0] = '\0';
    return hold->who;
}

static void
take_hold(struct jg_memory_hold *hold, int64_t now_ms, const struct jg_op *op)
{
    strcpy(hold->who, op->member);
    hold->expires_ms = now_ms + op->run_ttl_ms;
}

enum jg_err
jg_memory_lead(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_hold *lead = &class->lead;
    const char *who = holder(lead, now_ms);
    bool mine = strcmp(who, op->member) == 0;
    op->changed = !op->leave && (mine || !who[0]);
    if (op->changed)
        take_hold(lead, now_ms, op);
    if (op->leave && mine) {
        lead->who[0] = '\0';
        class->woke = true;
    }
    strcpy(op->other, lead->who);
    op->left_ms = lead->who[0] ? lead->expires_ms - now_ms : 0;
    op->generation = class->announced;
    return JG_OK;
}

enum jg_err
jg_memory_group(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_hold *group = &class->group;
    const char *who = holder(group, now_ms);
    bool mine = strcmp(who, op->member) == 0;
    op->changed = !op->leave && op->member[0] && (mine || !who[0] || op->force);
    if (op->changed)
        take_hold(group, now_ms, op);
    if (op->leave && (mine || op->force))
        group->who[0] = '\0';
    strcpy(op->other, group->who);
    return JG_OK;
}

enum jg_err
jg_memory_announce(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    (void)now_ms;
    op->generation = ++class->announced;
    op->changed = true;
    class->woke = true;
    return JG_OK;
}
