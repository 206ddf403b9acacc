/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 2000
#define REFUSED_AGAIN_MS 1000
#define BATCH_OPS 64

static struct jg_guard *
find(struct jg_gate *gate, const char *topic)
{
    size_t bytes = strlen(topic) + 1;
    pthread_mutex_lock(&gate->lock);
    struct jg_guard *guard = gate->guards;
    while (guard && strcmp(guard->topic, topic) != 0)
        guard = guard->next;
    if (!guard && (guard = calloc(1, sizeof *guard + bytes))) {
        memcpy(guard->topic, topic, bytes);
        guard->next = gate->guards;
        gate->guards = guard;
    }
    pthread_mutex_unlock(&gate->lock);
    return guard;
}

static struct jg_op
op_of(const struct jg_gate *gate, const struct jg_guard *guard)
{
    return (struct jg_op){
        .kind = JG_OP_GROUP,
        .class_name = guard->topic,
        .member = gate->client.group,
        .run_ttl_ms = JG_GUARD_TTL_MS,
    };
}

static void
note(struct jg_gate *gate, struct jg_guard *guard, const struct jg_op *op, int64_t now_ms)
{
    pthread_mutex_lock(&gate->lock);
    guard->asked_ms = now_ms ? now_ms : 1;
    guard->refused = !op->changed;
    if (guard->refused)
        snprintf(guard->reason, sizeof guard->reason,
                 "jobgate: topic %.120s is executed by consumer group %.120s, and this is group %.120s: read it "
                 "untouched with jobgate.observe=true, or move it with `jobgate group %.60s GROUP`",
                 guard->topic, op->other, gate->client.group, guard->topic);
    pthread_mutex_unlock(&gate->lock);
}

const char *
jg_guard_look(struct jg_gate *gate, const char *topic, int64_t now_ms)
{
    struct jg_guard *guard = find(gate, topic);
    if (!guard)
        return NULL;
    pthread_mutex_lock(&gate->lock);
    bool due = !guard->asked_ms || (guard->refused && now_ms - guard->asked_ms >= REFUSED_AGAIN_MS);
    pthread_mutex_unlock(&gate->lock);
    if (due) {
        struct jg_op op = op_of(gate, guard);
        if (jg_ask(gate, &op, 1) == JG_OK)
            note(gate, guard, &op, now_ms);
    }
    static _Thread_local char reason[sizeof guard->reason];
    pthread_mutex_lock(&gate->lock);
    bool refused = guard->refused;
    if (refused)
        memcpy(reason, guard->reason, sizeof reason);
    pthread_mutex_unlock(&gate->lock);
    return refused ? reason : NULL;
}

void
jg_guard_tend(struct jg_gate *gate, int64_t now_ms)
{
    struct jg_guard *due[BATCH_OPS];
    struct jg_op ops[BATCH_OPS];
    size_t count = 0;
    pthread_mutex_lock(&gate->lock);
    for (struct jg_guard *guard = gate->guards; guard && count < BATCH_OPS; guard = guard->next) {
        if (guard->refused || now_ms - guard->asked_ms < AGAIN_MS)
            continue;
        due[count] = guard;
        ops[count++] = op_of(gate, guard);
    }
    pthread_mutex_unlock(&gate->lock);
    if (count == 0)
        return;
    (void)!jg_ask(gate, ops, count);
    for (size_t i = 0; i < count; i++)
        if (ops[i].err == JG_OK)
            note(gate, due[i], &ops[i], now_ms);
}

void
jg_guard_clear(struct jg_gate *gate)
{
    while (gate->guards) {
        struct jg_guard *next = gate->guards->next;
        free(gate->guards);
        gate->guards = next;
    }
}
