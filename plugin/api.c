/* SPDX-License-Identifier: Apache-2.0 */
/* What a program may ask of a job that it was handed, by the job's position: see jobgate.h. */
#include "plugin/jobgate.h"

#include <string.h>

#include "base/clock.h"
#include "connectors/memory/memory.h"
#include "plugin/counters.h"
#include "plugin/gate.h"

#define EXPORT __attribute__((visibility("default")))
#define RENEWAL_PAUSE_MS 1
#define ROUNDING_MS 2 /* the store's clock and ours count whole ms: it may see the end earlier by so much */

struct position {
    const char *topic;
    int32_t partition;
    int64_t offset;
};

/* The run there: one whose partition was not taken away since, if there is such. Under the gate's lock. */
static struct jg_run *
find(struct jg_gate *gate, const struct position *at)
{
    struct jg_run *found = NULL;
    for (struct jg_run *run = gate->inflight.head; run && (!found || found->revoked); run = run->next)
        if (run->offset == at->offset && run->partition == at->partition && strcmp(run->topic, at->topic) == 0)
            found = run;
    return found;
}

static bool
has(struct jg_gate *gate, const struct position *at, bool revoked)
{
    pthread_mutex_lock(&gate->lock);
    const struct jg_run *run = find(gate, at);
    bool found =
        run ? run->revoked == revoked : !revoked && jg_ending_has(gate->ending, at->topic, at->partition, at->offset);
    pthread_mutex_unlock(&gate->lock);
    return found;
}

static bool
has_run(struct jg_gate *gate, void *opaque)
{
    return has(gate, opaque, false);
}

static bool
has_revoked_run(struct jg_gate *gate, void *opaque)
{
    return has(gate, opaque, true);
}

/* The gate that was handed the job. Several consumers of the process may have been, one after another. */
static struct jg_gate *
enter(struct position *at)
{
    struct jg_gate *gate = jg_gate_enter(has_run, at);
    return gate ? gate : jg_gate_enter(has_revoked_run, at);
}

/* A message without a run (of a class without a policy, or one too many) has an offset to be finished. */
static bool
completes_by_api(struct jg_gate *gate, void *opaque)
{
    const struct position *at = opaque;
    pthread_mutex_lock(&gate->lock);
    const struct jg_partition *seen = jg_offsets_find(&gate->offsets, at->topic, at->partition);
    bool found = gate->completion == JG_COMPLETION_API && seen && at->offset >= seen->first && at->offset < seen->next;
    pthread_mutex_unlock(&gate->lock);
    return found;
}

/* A completion must not be told before a renewal of the same run that is under way. */
static void
await_renewals(struct jg_gate *gate)
{
    int64_t until_ms = jg_clock_ms() + gate->settings->store_timeout_ms;
    bool more = true;
    while (more && jg_clock_ms() < until_ms) {
        pthread_mutex_lock(&gate->lock);
        more = gate->renewals > 0;
        pthread_mutex_unlock(&gate->lock);
        if (more)
            jg_clock_pause_ms(RENEWAL_PAUSE_MS);
    }
}

/* Takes ownership of the run. */
static int
complete(struct jg_gate *gate, struct jg_run *run)
{
    if (!run->in_store && !run->failed) {
        run->settled = true;
        jg_gate_finish(gate, run);
        return JOBGATE_OK;
    }
    if (run->unasked) { /* its admission is told first */
        jg_gate_end_later(gate, run, jg_clock_ms());
        return JOBGATE_PENDING;
    }
    await_renewals(gate);
    struct jg_op op = jg_run_complete_op(run);
    if (jg_ask_patiently(gate, &op, 1) != JG_OK) {
        jg_gate_end_later(gate, run, jg_clock_ms());
        return JOBGATE_PENDING;
    }
    switch (jg_gate_completed(gate, run, &op, gate->settings->store_wait_ms)) {
    case JG_OK:
        return JOBGATE_OK;
    case JG_EHOST:
        return JOBGATE_PENDING;
    default:
        return JOBGATE_ERR_FAILED;
    }
}

static int
complete_at(struct jg_gate *gate, const struct position *at, bool failed)
{
    pthread_mutex_lock(&gate->lock);
    bool by_api = gate->completion == JG_COMPLETION_API;
    struct jg_run *run = by_api ? find(gate, at) : NULL;
    bool ending = !run && jg_ending_has(gate->ending, at->topic, at->partition, at->offset);
    bool possible = run && (!failed || (run->copy && gate->store)) &&
                    jg_ending_add(&gate->ending, at->topic, at->partition, at->offset) == JG_OK;
    if (possible) {
        jg_inflight_remove(&gate->inflight, run);
        run->failed = failed;
    }
    pthread_mutex_unlock(&gate->lock);
    if (possible)
        return complete(gate, run);
    if (!by_api)
        return JOBGATE_ERR_MODE;
    if (ending)
        return JOBGATE_PENDING;
    if (run)
        return JOBGATE_ERR_FAILED;
    if (failed)
        return JOBGATE_ERR_UNKNOWN;
    jg_gate_finish_offset(gate, at->topic, at->partition, at->offset);
    return JOBGATE_OK;
}

EXPORT int
jobgate_complete(const char *topic, int32_t partition, int64_t offset, int outcome)
{
    struct position at = {.topic = topic, .partition = partition, .offset = offset};
    if (!topic || (outcome != JOBGATE_DONE && outcome != JOBGATE_FAILED))
        return JOBGATE_ERR_INVALID;
    struct jg_gate *gate = enter(&at);
    if (!gate)
        gate = jg_gate_enter(completes_by_api, &at);
    if (!gate)
        return JOBGATE_ERR_UNKNOWN;
    int answer = complete_at(gate, &at, outcome == JOBGATE_FAILED);
    jg_gate_exit(gate);
    return answer;
}

/* Ask of the lease of the job there; -1: there is none. `ask` is called under the gate's lock. */
static int64_t
ask_of_lease(struct position at, int64_t (*ask)(const struct jg_run *run))
{
    struct jg_gate *gate = at.topic ? enter(&at) : NULL;
    if (!gate)
        return -1;
    pthread_mutex_lock(&gate->lock);
    const struct jg_run *run = find(gate, &at);
    int64_t answer = run && run->lease != JG_LEASE_NONE ? ask(run) : -1;
    pthread_mutex_unlock(&gate->lock);
    jg_gate_exit(gate);
    return answer;
}

static int64_t
token(const struct jg_run *run)
{
    return run->token;
}

static int64_t
left_ms(const struct jg_run *run)
{
    int64_t left = run->lost ? 0 : run->held_until_ms - ROUNDING_MS - jg_clock_ms();
    return left > 0 ? left : 0;
}

EXPORT int64_t
jobgate_lease_token(const char *topic, int32_t partition, int64_t offset)
{
    return ask_of_lease((struct position){topic, partition, offset}, token);
}

EXPORT int64_t
jobgate_lease_left_ms(const char *topic, int32_t partition, int64_t offset)
{
    return ask_of_lease((struct position){topic, partition, offset}, left_ms);
}

EXPORT int
jobgate_memory_gauge(const char *store_url, const char *key, int64_t value)
{
    static const char prefix[] = "memory:";
    if (!store_url || strncmp(store_url, prefix, sizeof prefix - 1) != 0 || !key || !*key)
        return JOBGATE_ERR_INVALID;
    jg_memory_set_gauge(store_url + sizeof prefix - 1, key, value);
    return JOBGATE_OK;
}
