/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/release.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "plugin/coming.h"
#include "plugin/counters.h"

#define WAITING_MOST 10000 /* releases that wait for the store */
#define PACE_MS 50         /* what is held back for them comes again no sooner */

static void
tell_bad(struct jg_gate *gate, const struct jg_coming *coming, size_t count)
{
    jg_count(JG_COUNT_RELEASE_BAD, (int64_t)count);
    jg_log_rated(
        &gate->log, &gate->rates[JG_RATE_RELEASE], JG_LOG_WARNING, "RELEASE",
        "jobgate-release at %s/%d/%lld is ignored: it is not <class>/<jid>, as jobgate-slot said it, or is one "
        "of more than %d: that slot is free when its time (capacity.slot.ttl.ms) is over",
        coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset, JG_RELEASES_MOST);
}

/* Nobody can be told. */
static void
tell_no_store(struct jg_gate *gate, const struct jg_coming *coming)
{
    jg_count(JG_COUNT_FORGOTTEN, (int64_t)coming->releases->count);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_RELEASE], JG_LOG_WARNING, "RELEASE",
                 "jobgate-release at %s/%d/%lld frees nothing: jobgate.store is not set here; set it to the store of "
                 "the class's consumers",
                 coming->topic, (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset);
}

void
jg_release_read(struct jg_gate *gate, struct jg_coming *coming, const struct jg_stamp_notes *notes)
{
    bool known = coming->stamped == JG_STAMP_OURS;
    if (known && (coming->stamp.resumed > 0 || jg_jid_number(coming->stamp.jid) > 0))
        return;
    size_t most = notes->release_count < JG_RELEASES_MOST ? notes->release_count : JG_RELEASES_MOST;
    struct jg_releases *releases = malloc(sizeof *releases + most * sizeof releases->list[0]);
    if (!releases) {
        jg_count(JG_COUNT_FORGOTTEN, (int64_t)most);
        return;
    }
    releases->count = 0;
    for (size_t i = 0; i < most; i++)
        releases->count +=
            jg_release_parse(notes->releases[i].value, notes->releases[i].size_bytes, &releases->list[releases->count]);
    coming->releases = releases;
    if (releases->count < notes->release_count)
        tell_bad(gate, coming, notes->release_count - releases->count);
    if (gate->store || !releases->count)
        return;
    tell_no_store(gate, coming);
    releases->count = 0;
}

static struct jg_op
free_op(const struct jg_release *release)
{
    return (struct jg_op){.kind = JG_OP_FREE, .class_name = release->class_name, .jid = release->jid};
}

size_t
jg_release_ops(const struct jg_releases *releases, struct jg_op *ops)
{
    size_t count = 0;
    for (size_t i = 0; releases && i < releases->count; i++)
        if (!releases->list[i].told)
            ops[count++] = free_op(&releases->list[i]);
    return count;
}

static void
count_told(const struct jg_op *op)
{
    jg_count(op->changed ? JG_COUNT_SLOT_FREED : JG_COUNT_SLOT_UNKNOWN, 1);
}

void
jg_release_note(struct jg_releases *releases, const struct jg_op *ops)
{
    for (size_t i = 0; releases && i < releases->count; i++) {
        struct jg_release *release = &releases->list[i];
        if (release->told)
            continue;
        release->told = ops->err == JG_OK;
        if (release->told)
            count_told(ops);
        ops++;
    }
}

/* --- in the background --- */

void
jg_release_told(struct jg_gate *gate, const struct jg_pending *pending, bool told)
{
    if (told)
        count_told(&pending->op);
    pthread_mutex_lock(&gate->lock);
    gate->releases--;
    /* What a stop leaves untold comes again, with its message. */
    bool finishes = pending->topic && (told || !atomic_load(&gate->stopping));
    if (finishes)
        jg_offsets_told(&gate->offsets, pending->topic, pending->partition, pending->offset);
    pthread_mutex_unlock(&gate->lock);
    if (finishes)
        jg_storing_store_safe(gate, pending->topic, pending->partition);
}

/* NULL: out of memory. The message's offset waits for it. */
static struct jg_pending *
make_pending(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_release *release)
{
    struct jg_policy policy;
    struct jg_op op = free_op(release);
    op.member = coming->topic; /* for its copy; the operation has no member */
    struct jg_pending *pending = jg_pending_new(&op);
    if (!pending)
        return NULL;
    jg_conf_policy(gate->conf, release->class_name, &policy); /* as good a bound as any for a class not known here */
    pending->give_up_ms = coming->now_ms + policy.capacity_slot_ttl_ms;
    pending->partition = coming->rkmessage->partition;
    pending->offset = coming->rkmessage->offset;
    pthread_mutex_lock(&gate->lock);
    if (jg_offsets_wait(&gate->offsets, coming->topic, pending->partition, pending->offset) == JG_OK)
        pending->topic = pending->op.member;
    gate->releases++;
    pthread_mutex_unlock(&gate->lock);
    return pending;
}

void
jg_release_rest(struct jg_gate *gate, const struct jg_coming *coming)
{
    struct jg_releases *releases = coming->releases;
    for (size_t i = 0; releases && i < releases->count; i++) {
        struct jg_pending *pending = releases->list[i].told ? NULL : make_pending(gate, coming, &releases->list[i]);
        if (!pending)
            jg_count(JG_COUNT_FORGOTTEN, !releases->list[i].told);
        else if (jg_worker_push(gate, pending))
            releases->list[i].told = true;
        else {
            jg_count(JG_COUNT_FORGOTTEN, 1);
            jg_release_told(gate, pending, false);
            jg_pending_destroy(pending);
        }
    }
}

bool
jg_release_later(struct jg_gate *gate, const struct jg_coming *coming)
{
    if (!coming->releases)
        return true;
    pthread_mutex_lock(&gate->lock);
    bool full = gate->releases >= WAITING_MOST;
    pthread_mutex_unlock(&gate->lock);
    if (!full || coming->batch) {
        jg_release_rest(gate, coming);
        return true;
    }
    jg_clock_pause_ms(PACE_MS);
    jg_coming_hold_back(gate, coming,
                        "jobgate: the store (jobgate.store) does not answer, and too many jobgate-release headers wait "
                        "for it; it comes again");
    return false;
}
