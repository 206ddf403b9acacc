/* SPDX-License-Identifier: Apache-2.0 */
/* complete: a run ended, and may continue its chain. See redis/scripts/complete.lua. */
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

/* Leave `run`, give the lease back. `left`: it was a member. */
static void
leave_run(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, bool *left)
{
    int64_t freed = (int64_t)jg_memory_reap(class, now_ms);
    struct jg_map_entry *entry = jg_memory_member(class, op->member, now_ms);
    struct jg_memory_lease *lease = op->lease ? jg_memory_find_lease(class, op, now_ms) : NULL;
    *left = entry;
    jg_memory_leave_key_run(class, op);
    if (entry)
        jg_map_remove(&class->run, entry);
    freed += *left;
    if (lease && strcmp(lease->member, op->member) == 0) {
        lease->member[0] = '\0';
        class->tallies[JG_TALLY_LEASES_LOST] += *left ? 0 : 1;
        freed++;
    }
    if (freed > 0)
        jg_memory_wake_resumer(class);
    if (class->held > 0 && !op->lease && op->capacity == 0)
        class->idle -= freed * (now_ms % JG_IDLE_CYCLE_MS);
}

static bool
remembers(const struct jg_op *op)
{
    return op->lease || op->failed || op->follows_up || op->capacity > 0 || jg_memory_number(op->jid) > 0;
}

/* Was it this run that counted? */
static bool
is_valid(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, bool left)
{
    int64_t number = jg_memory_number(op->jid);
    struct jg_memory_chain *chain = remembers(op) ? jg_memory_find_chain(class, op->jid, now_ms) : NULL;
    bool mine = chain && chain->number == number && strcmp(chain->member, op->member) == 0;
    bool missing = !chain || chain->number < number || !chain->member[0];
    bool lost = remembers(op) && missing && op->epoch_in && op->epoch_in != class->epoch;
    if (chain && (chain->number > number || (chain->number == number && chain->member[0] && !mine)))
        return false;
    return left || op->failed || lost || (mine && jg_memory_is_chained(op));
}

/* Into the outputs: the successor's jid, or none; and whether it waits. */
static void
name_successor(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    enum jg_gauge trouble;
    char next[JG_JID_CHARS + 1];
    if ((!op->failed && op->capacity == 0) || !jg_jid_next(op->jid, next))
        return;
    if (!op->failed) {
        if (jg_memory_gauge(class, op->work_key, &trouble) == 0)
            return;
        op->load_now = jg_memory_load(class, now_ms, jg_op_has_slots(op), op->load_key, &op->gauge);
    }
    op->next_waits = op->failed || op->load_now >= op->capacity;
    strcpy(op->next, next);
}

/* Is this the latest run of the claim's owner? */
static bool
has_ended(const struct jg_memory_claim *claim, const struct jg_op *op)
{
    return jg_memory_is_owner(claim, op) && (!claim->member || strcmp(claim->member, op->member) == 0);
}

/* The claim of the job, which has ended, or no claim, goes on to the successor. */
static enum jg_err
continue_claim(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, const struct jg_op *op)
{
    if (!claim) {
        claim = (struct jg_memory_claim *)jg_map_make(&class->claims, op->key, sizeof *claim, now_ms);
        if (!claim)
            return JG_ENOMEM;
        claim->dedup = op->dedup;
    }
    strcpy(claim->owner, op->next);
    claim->state = op->next_waits ? JG_CLAIM_HELD : JG_CLAIM_QUEUED;
    claim->epoch = class->epoch;
    claim->since_ms = now_ms;
    claim->candidates = 0;
    claim->newest[0] = claim->newest_acked[0] = '\0';
    free(claim->member);
    claim->member = NULL;
    claim->entry.expires_ms = now_ms + op->dedup_ttl_ms;
    return JG_OK;
}

/* The claim of the job, which has ended, goes to a follow-up. */
static void
hand_over(struct jg_memory_class *class, struct jg_memory_claim *claim, const struct jg_memory_fol *heir,
          int64_t now_ms, const struct jg_op *op)
{
    strcpy(claim->owner, heir->newest);
    claim->number = heir->newest_number;
    claim->state = JG_CLAIM_QUEUED;
    claim->epoch = class->epoch;
    claim->since_ms = now_ms;
    claim->newest[0] = claim->newest_acked[0] = '\0';
    free(claim->member);
    claim->member = NULL;
    claim->entry.expires_ms = now_ms + op->dedup_ttl_ms;
}

/* The claim ends with its owner's latest run, or goes on. `valid`: by this run, and no other before it. */
static enum jg_err
end_claim(struct jg_memory_class *class, struct jg_memory_claim *claim, const struct jg_memory_fol *heir,
          int64_t now_ms, const struct jg_op *op, bool left, bool valid)
{
    bool ended = has_ended(claim, op);
    const struct jg_memory_chain *chain = valid ? NULL : jg_memory_find_chain(class, op->jid, now_ms);
    bool next_may_come = valid || !chain || chain->number <= jg_memory_number(op->jid);
    if (ended && left && claim->candidates > 0 && jg_memory_leave_was(class, now_ms, op, JG_DEDUP_UNTIL_EXECUTED))
        return JG_ENOMEM;
    if (heir) {
        hand_over(class, claim, heir, now_ms, op);
        return JG_OK;
    }
    if (op->next[0] && op->dedup != JG_DEDUP_NONE && (ended || (!claim && valid)) && next_may_come)
        return continue_claim(class, claim, now_ms, op);
    if (ended)
        jg_map_remove(&class->claims, &claim->entry);
    return JG_OK;
}

/* What is remembered of it. */
static enum jg_err
remember_end(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    int64_t ttl_ms = op->done_ttl_ms > 0 ? op->done_ttl_ms : JG_DONE_TTL_MS;
    struct jg_memory_chain *chain = remembers(op) ? jg_memory_find_chain(class, op->jid, now_ms) : NULL;
    if (op->next[0]) {
        bool here = chain && strcmp(chain->member, op->member) == 0;
        class->tallies[JG_TALLY_REENQUEUED]++;
        class->held += op->next_waits;
        if (op->next_waits && jg_memory_hold_keys(class, now_ms, op, !op->failed))
            return JG_ENOMEM;
        if (jg_memory_set_done(class, now_ms, op, op->member, op->next, op->next_waits,
                               here ? jg_memory_position(op->member) : "", ttl_ms))
            return JG_ENOMEM;
        return jg_memory_set_chain(class, now_ms, op, op->member, JG_CHAIN_TTL_MS);
    }
    if (chain && !jg_memory_is_chained(op))
        jg_map_remove(&class->chains, &chain->entry);
    else if (chain)
        chain->entry.expires_ms = now_ms + ttl_ms;
    if (op->done_ttl_ms > 0 && (op->lease || op->capacity > 0 || op->follows_up))
        return jg_memory_set_done(class, now_ms, op, op->member, "", false, "", ttl_ms);
    return JG_OK;
}

enum jg_err
jg_memory_complete(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    bool left;
    op->load_now = -1;
    op->gauge = JG_GAUGE_FINE;
    leave_run(class, now_ms, op, &left);
    if (op->leave) {
        op->changed = left;
        op->next[0] = '\0';
        op->next_waits = false;
        return JG_OK;
    }
    const struct jg_memory_done *done = remembers(op) ? jg_memory_find_done(class, op->jid, now_ms) : NULL;
    op->next_waits = done && done->waits;
    strcpy(op->next, done ? done->next : "");
    op->changed = done && strcmp(done->member, op->member) == 0;
    if (op->changed)
        return JG_OK;
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    bool ended = has_ended(claim, op);
    bool valid = !done && is_valid(class, now_ms, op, left);
    bool lost = !left && op->epoch_in && op->epoch_in != class->epoch;
    if (valid && lost && jg_op_has_slots(op) && jg_memory_put_slot_back(class, now_ms, op, op->slot_ttl_ms))
        return JG_ENOMEM;
    const struct jg_memory_fol *heir = ended ? jg_memory_follow_heir(class, claim, now_ms, op) : NULL;
    if (valid && !heir)
        name_successor(class, now_ms, op);
    if (end_claim(class, claim, heir, now_ms, op, left, valid) || (valid && remember_end(class, now_ms, op)))
        return JG_ENOMEM;
    op->changed = !done && (ended || left || valid);
    class->tallies[JG_TALLY_COMPLETED] += op->changed ? 1 : 0;
    class->tallies[JG_TALLY_FAILED] += op->changed && op->failed ? 1 : 0;
    return JG_OK;
}
