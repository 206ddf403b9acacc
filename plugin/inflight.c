/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/inflight.h"

#include <stdlib.h>
#include <string.h>

struct jg_run *
jg_run_new(const char *topic, int32_t partition, int64_t offset)
{
    struct jg_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->topic = strdup(topic);
    if (!run->topic) {
        free(run);
        return NULL;
    }
    run->partition = partition;
    run->offset = offset;
    return run;
}

void
jg_run_destroy(struct jg_run *run)
{
    if (!run)
        return;
    if (run->copy)
        jg_deferral_destroy(run->rdk, run->copy);
    free(run->topic);
    free(run);
}

size_t
jg_run_destroy_all(struct jg_run *run)
{
    size_t count = 0;
    while (run) {
        struct jg_run *next = run->next;
        jg_run_destroy(run);
        run = next;
        count++;
    }
    return count;
}

void
jg_inflight_add(struct jg_inflight *inflight, struct jg_run *run)
{
    run->prev = inflight->tail;
    run->next = NULL;
    if (inflight->tail)
        inflight->tail->next = run;
    else
        inflight->head = run;
    inflight->tail = run;
    inflight->count++;
}

void
jg_inflight_remove(struct jg_inflight *inflight, struct jg_run *run)
{
    if (run->prev)
        run->prev->next = run->next;
    else
        inflight->head = run->next;
    if (run->next)
        run->next->prev = run->prev;
    else
        inflight->tail = run->prev;
    run->prev = run->next = NULL;
    inflight->count--;
}

void
jg_inflight_clear(struct jg_inflight *inflight)
{
    (void)jg_run_destroy_all(inflight->head);
    *inflight = (struct jg_inflight){.head = NULL};
}

struct jg_run *
jg_inflight_take(struct jg_inflight *inflight, const char *topic, int32_t partition, int64_t begin, int64_t end)
{
    struct jg_run *taken = NULL;
    struct jg_run **last = &taken;
    struct jg_run *next;
    for (struct jg_run *run = inflight->head; run; run = next) {
        next = run->next;
        if (run->partition != partition || run->offset < begin || run->offset >= end || strcmp(run->topic, topic) != 0)
            continue;
        jg_inflight_remove(inflight, run);
        *last = run;
        last = &run->next;
    }
    return taken;
}

static struct jg_op
op_of(const struct jg_run *run, enum jg_op_kind kind)
{
    return (struct jg_op){
        .kind = kind,
        .class_name = run->class_name,
        .key = run->key,
        .jid = run->jid,
        .dedup = run->dedup,
        .dedup_ttl_ms = run->dedup_ttl_ms,
        .dedup_provisional_ms = run->dedup_provisional_ms,
        .member = run->member,
        .run_ttl_ms = run->run_ttl_ms > 0 ? run->run_ttl_ms : JG_RUN_TTL_MS,
        .epoch_in = run->epoch,
        .lease = run->lease,
        .token_in = run->token,
        .capacity = run->capacity,
        .limit_key = run->limit_key[0] ? run->limit_key : NULL,
        .per_key = run->per_key,
        .load_key = run->load_key,
        .work_key = run->work_key,
        .slot_ttl_ms = run->slot_ttl_ms,
        .failed = run->failed,
        .done_ttl_ms = run->done_ttl_ms,
        .follows_up = run->follows_up,
    };
}

struct jg_op
jg_run_admit_op(const struct jg_run *run)
{
    return op_of(run, JG_OP_ADMIT);
}

struct jg_op
jg_run_complete_op(const struct jg_run *run)
{
    return op_of(run, JG_OP_COMPLETE);
}

struct jg_op
jg_run_leave_op(const struct jg_run *run)
{
    struct jg_op op = op_of(run, JG_OP_COMPLETE);
    op.leave = true;
    return op;
}

struct jg_op
jg_run_renew_op(const struct jg_run *run)
{
    return op_of(run, JG_OP_RENEW);
}
