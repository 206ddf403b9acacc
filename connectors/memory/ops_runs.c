/* SPDX-License-Identifier: Apache-2.0 */
/* admit, renew, complete: the consumer's side. */
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

static enum jg_err
leave_was(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, enum jg_dedup dedup)
{
    struct jg_memory_was *was = (struct jg_memory_was *)jg_map_find(&class->was, op->jid, now_ms);
    if (!was) {
        was = calloc(1, sizeof *was);
        if (!was)
            return JG_ENOMEM;
        if (jg_map_put(&class->was, op->jid, &was->entry, now_ms)) {
            free(was);
            return JG_ENOMEM;
        }
    }
    was->dedup = dedup;
    was->entry.expires_ms = now_ms + op->dedup_ttl_ms;
    return JG_OK;
}

static enum jg_err
set_member(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    struct jg_map_entry *entry = jg_map_find(&class->run, op->member, now_ms);
    if (!entry) {
        entry = calloc(1, sizeof *entry);
        if (!entry)
            return JG_ENOMEM;
        if (jg_map_put(&class->run, op->member, entry, now_ms)) {
            free(entry);
            return JG_ENOMEM;
        }
    }
    entry->expires_ms = now_ms + op->run_ttl_ms;
    return JG_OK;
}

static enum jg_err
mark_running(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, const struct jg_op *op)
{
    char *member = strdup(op->member);
    if (!member)
        return JG_ENOMEM;
    free(claim->member);
    claim->member = member;
    claim->state = JG_CLAIM_RUNNING;
    claim->epoch = class->epoch;
    claim->entry.expires_ms = now_ms + op->dedup_ttl_ms;
    return JG_OK;
}

/* Is the original certain to come up after this candidate was produced, or did it? See admit.lua. */
static bool
original_stands(struct jg_memory_class *class, const struct jg_memory_claim *claim, int64_t now_ms,
                const struct jg_op *op)
{
    bool executed = op->dedup == JG_DEDUP_UNTIL_EXECUTED;
    if (claim && strcmp(claim->owner, op->candidate_of) == 0 && jg_memory_is_certain(class, claim, now_ms) &&
        (claim->state != JG_CLAIM_RUNNING || executed))
        return true;
    struct jg_memory_was *was = (struct jg_memory_was *)jg_map_find(&class->was, op->candidate_of, now_ms);
    return was && (executed || was->dedup == JG_DEDUP_UNTIL_EXECUTING);
}

/* The owner starts. */
static enum jg_err
start(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, const struct jg_op *op)
{
    if (op->dedup == JG_DEDUP_UNTIL_EXECUTED)
        return mark_running(class, claim, now_ms, op);
    if (claim->candidates > 0 && leave_was(class, now_ms, op, JG_DEDUP_UNTIL_EXECUTING))
        return JG_ENOMEM;
    jg_map_remove(&class->claims, &claim->entry);
    return JG_OK;
}

/* What the limit says to a job that does not run yet; see admit.lua. */
static enum jg_verdict
ask_limit(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    int64_t limit = jg_memory_limit(class, op->limit);
    bool free = (int64_t) class->run.count < limit;
    op->reason = JG_REASON_NONE;
    if (limit == 0)
        return JG_RUN;
    op->reason = JG_REASON_PAUSED;
    if (limit < 0)
        return JG_HOLD;
    op->reason = JG_REASON_GRACE;
    if (!jg_memory_settle(class, now_ms, op))
        return JG_LATER;
    bool ticket = op->resumed && jg_map_find(&class->tickets, op->jid, now_ms);
    op->reason = JG_REASON_BEHIND;
    bool full = !op->resumed && op->hold_max > 0 && class->held >= op->hold_max;
    if (!ticket && !(full && free) && (class->held > 0 || class->tickets.count > 0))
        return JG_HOLD;
    op->reason = free ? JG_REASON_NONE : JG_REASON_LIMIT;
    if (free)
        return JG_RUN;
    return ticket && !op->last_try ? JG_LATER : JG_HOLD;
}

static void
hold(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, const struct jg_op *op)
{
    if (op->resumed)
        (void)jg_memory_drop_ticket(class, op->jid);
    class->held++;
    if (jg_memory_is_owner(claim, op) && claim->state != JG_CLAIM_RUNNING) {
        claim->state = JG_CLAIM_HELD;
        claim->epoch = class->epoch;
        claim->entry.expires_ms = now_ms + op->dedup_ttl_ms;
    }
    class->tallies[JG_TALLY_HELD]++;
}

static void
skip(struct jg_memory_class *class, struct jg_memory_claim *claim, struct jg_op *op)
{
    if (claim)
        (void)jg_memory_forget_candidate(claim, op->jid);
    if (op->resumed && jg_memory_drop_ticket(class, op->jid))
        jg_memory_wake_resumer(class);
    class->tallies[JG_TALLY_SKIPPED]++;
    strcpy(op->original, op->candidate_of);
}

static enum jg_verdict
decide(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, struct jg_op *op)
{
    bool lasts = op->dedup == JG_DEDUP_UNTIL_EXECUTED || op->limit != 0;
    bool runs = lasts && jg_memory_member(class, op->member, now_ms);
    op->reason = JG_REASON_NONE;
    if (op->candidate_of && !jg_memory_is_owner(claim, op) && !runs && original_stands(class, claim, now_ms, op))
        return JG_SKIP;
    if (op->limit == 0 || runs)
        return JG_RUN;
    enum jg_verdict verdict = ask_limit(class, now_ms, op);
    if (verdict != JG_HOLD || op->resumed || op->hold_max <= 0 || class->held < op->hold_max)
        return verdict;
    op->reason = JG_REASON_FULL;
    return JG_LATER;
}

static enum jg_err
run(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, const struct jg_op *op)
{
    bool lasts = op->dedup == JG_DEDUP_UNTIL_EXECUTED || op->limit != 0;
    if (lasts && set_member(class, now_ms, op))
        return JG_ENOMEM;
    if (claim)
        (void)jg_memory_forget_candidate(claim, op->jid);
    if (claim && jg_memory_is_owner(claim, op) && start(class, claim, now_ms, op))
        return JG_ENOMEM;
    if (op->resumed)
        (void)jg_memory_drop_ticket(class, op->jid);
    class->tallies[JG_TALLY_ADMITTED]++;
    return JG_OK;
}

enum jg_err
jg_memory_admit(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    if (op->dedup == JG_DEDUP_UNTIL_EXECUTED || op->limit != 0)
        (void)jg_memory_reap(class, now_ms);
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    op->epoch = class->epoch;
    op->original[0] = '\0';
    op->verdict = decide(class, claim, now_ms, op);
    switch (op->verdict) {
    case JG_SKIP:
        skip(class, claim, op);
        return JG_OK;
    case JG_HOLD:
        hold(class, claim, now_ms, op);
        return JG_OK;
    case JG_RUN:
        return run(class, claim, now_ms, op);
    case JG_LATER:
        break;
    }
    return JG_OK;
}

enum jg_err
jg_memory_renew(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    if (jg_memory_reap(class, now_ms))
        jg_memory_wake_resumer(class);
    bool alive = op->epoch_in != class->epoch || jg_memory_member(class, op->member, now_ms);
    if (alive && set_member(class, now_ms, op))
        return JG_ENOMEM;
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    if (jg_memory_is_owner(claim, op)) {
        bool latest = claim->member && strcmp(claim->member, op->member) == 0;
        if ((latest || claim->epoch != class->epoch) && mark_running(class, claim, now_ms, op))
            return JG_ENOMEM;
    }
    op->changed = alive;
    op->epoch = class->epoch;
    return JG_OK;
}

enum jg_err
jg_memory_complete(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    size_t reaped = jg_memory_reap(class, now_ms);
    struct jg_map_entry *entry = jg_memory_member(class, op->member, now_ms);
    bool ended = jg_memory_is_owner(claim, op) && (!claim->member || strcmp(claim->member, op->member) == 0);
    if (ended) {
        if (entry && claim->candidates > 0 && leave_was(class, now_ms, op, JG_DEDUP_UNTIL_EXECUTED))
            return JG_ENOMEM;
        jg_map_remove(&class->claims, &claim->entry);
    }
    if (entry || reaped)
        jg_memory_wake_resumer(class);
    if (entry)
        jg_map_remove(&class->run, entry);
    op->changed = ended || entry;
    class->tallies[JG_TALLY_COMPLETED] += op->changed ? 1 : 0;
    return JG_OK;
}
