/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of redis/scripts in C, step by step the same; tests compare the two. */
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/memory.h"

void
jg_memory_claim_destroy(struct jg_map_entry *entry)
{
    struct jg_memory_claim *claim = (struct jg_memory_claim *)entry;
    free(claim->member);
    free(claim);
}

void
jg_memory_was_destroy(struct jg_map_entry *entry)
{
    free((struct jg_memory_was *)entry);
}

void
jg_memory_member_destroy(struct jg_map_entry *entry)
{
    free(entry);
}

void
jg_memory_start_epoch(struct jg_memory_class *class, int64_t now_ms)
{
    class->epoch = class->epoch + 1 > now_ms ? class->epoch + 1 : now_ms;
}

static struct jg_memory_claim *
find_claim(struct jg_memory_class *class, const struct jg_op *op, int64_t now_ms)
{
    return (struct jg_memory_claim *)jg_map_find(&class->claims, op->key, now_ms);
}

static bool
is_owner(const struct jg_memory_claim *claim, const struct jg_op *op)
{
    return claim && strcmp(claim->owner, op->jid) == 0;
}

/* Certain to come up for admission, or running and renewed: by such a claim an equal job is turned away. */
static bool
is_certain(struct jg_memory_class *class, const struct jg_memory_claim *claim, int64_t now_ms)
{
    bool runs = claim->state == JG_CLAIM_RUNNING && claim->member && jg_map_find(&class->run, claim->member, now_ms);
    return claim->epoch == class->epoch && (claim->state == JG_CLAIM_QUEUED || runs);
}

/* `jid` was admitted, failed or was dropped: no heir any more. */
static bool
forget_candidate(struct jg_memory_claim *claim, const char *jid)
{
    bool found = false;
    if (strcmp(claim->newest, jid) == 0) {
        claim->newest[0] = '\0';
        found = true;
    }
    if (strcmp(claim->newest_acked, jid) == 0) {
        claim->newest_acked[0] = '\0';
        found = true;
    }
    return found;
}

static enum jg_err
create_claim(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = calloc(1, sizeof *claim);
    if (!claim)
        return JG_ENOMEM;
    strcpy(claim->owner, op->jid);
    claim->state = JG_CLAIM_PROVISIONAL;
    claim->dedup = op->dedup;
    claim->epoch = class->epoch;
    claim->since_ms = now_ms;
    claim->entry.expires_ms = now_ms + op->dedup_provisional_ms;
    if (jg_map_put(&class->claims, op->key, &claim->entry, now_ms)) {
        free(claim);
        return JG_ENOMEM;
    }
    class->tallies[JG_TALLY_CLAIMED]++;
    return JG_OK;
}

static void
remember_duplicate(struct jg_memory_class *class, const struct jg_op *op, int64_t now_ms)
{
    if (!class->duplicates)
        class->duplicates = calloc(JG_DUPLICATES_KEPT, sizeof(*class->duplicates));
    if (!class->duplicates)
        return;
    struct jg_duplicate_report *report = &class->duplicates[class->duplicate_count++ % JG_DUPLICATES_KEPT];
    *report = (struct jg_duplicate_report){.at_ms = now_ms,
                                           .original_state = op->original_state,
                                           .action = op->action,
                                           .candidate = op->claimed == JG_CANDIDATE};
    strcpy(report->jid, op->jid);
    strcpy(report->original, op->original);
}

/* The claim is another job's. */
static void
turn_away(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, struct jg_op *op)
{
    bool certain = is_certain(class, claim, now_ms);
    char *newest = certain ? claim->newest_duplicate : claim->newest;
    op->claimed = certain ? JG_DUPLICATE : JG_CANDIDATE;
    op->original_state = certain ? claim->state : JG_CLAIM_PROVISIONAL;
    op->original_since_ms = claim->since_ms;
    strcpy(op->original, claim->owner);
    if (strcmp(newest, op->jid) != 0) {
        strcpy(newest, op->jid);
        claim->duplicates++;
        claim->candidates += certain ? 0 : 1;
        remember_duplicate(class, op, now_ms);
        class->tallies[certain ? JG_TALLY_DUPLICATES : JG_TALLY_CANDIDATES]++;
    }
    /* Asked again, and its original was confirmed in between: now it is dropped, so it is no heir. */
    if (certain && strcmp(claim->newest, op->jid) == 0)
        claim->newest[0] = '\0';
}

static enum jg_err
apply_claim(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = find_claim(class, op, now_ms);
    if (claim && !is_owner(claim, op)) {
        bool over = claim->state == JG_CLAIM_RUNNING && op->dedup == JG_DEDUP_UNTIL_EXECUTING;
        if (!over) {
            turn_away(class, claim, now_ms, op);
            return JG_OK;
        }
        jg_map_remove(&class->claims, &claim->entry);
        claim = NULL;
    }
    enum jg_err err = claim ? JG_OK : create_claim(class, now_ms, op);
    if (err)
        return err;
    op->claimed = JG_ORIGINAL;
    op->original_state = JG_CLAIM_NONE;
    op->original[0] = '\0';
    op->original_since_ms = 0;
    return JG_OK;
}

static enum jg_err
apply_confirm(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = find_claim(class, op, now_ms);
    op->changed = false;
    if (is_owner(claim, op)) {
        if (claim->state == JG_CLAIM_PROVISIONAL && claim->epoch == class->epoch) {
            claim->state = JG_CLAIM_QUEUED;
            claim->entry.expires_ms = now_ms + op->dedup_ttl_ms;
            class->tallies[JG_TALLY_CONFIRMED]++;
            op->changed = true;
        }
    } else if (claim && strcmp(claim->newest, op->jid) == 0 && strcmp(claim->newest_acked, op->jid) != 0) {
        strcpy(claim->newest_acked, op->jid);
        op->changed = true;
    }
    return JG_OK;
}

static enum jg_err
apply_keep(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = find_claim(class, op, now_ms);
    op->changed = is_owner(claim, op) && claim->state == JG_CLAIM_PROVISIONAL;
    if (op->changed)
        claim->entry.expires_ms = now_ms + op->dedup_provisional_ms;
    return JG_OK;
}

static void
pass_on(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, const struct jg_op *op)
{
    strcpy(claim->owner, claim->newest[0] ? claim->newest : claim->newest_acked);
    bool acked = strcmp(claim->owner, claim->newest_acked) == 0 && claim->epoch == class->epoch;
    claim->state = acked ? JG_CLAIM_QUEUED : JG_CLAIM_PROVISIONAL;
    claim->since_ms = now_ms;
    claim->entry.expires_ms = now_ms + (acked ? op->dedup_ttl_ms : op->dedup_provisional_ms);
    (void)forget_candidate(claim, claim->owner);
    free(claim->member);
    claim->member = NULL;
    class->tallies[JG_TALLY_PASSED]++;
}

static enum jg_err
apply_release(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = find_claim(class, op, now_ms);
    if (!is_owner(claim, op)) {
        op->changed = claim && forget_candidate(claim, op->jid);
        return JG_OK;
    }
    op->changed = claim->state != JG_CLAIM_RUNNING;
    if (!op->changed)
        return JG_OK;
    if (claim->newest[0] || claim->newest_acked[0]) {
        pass_on(class, claim, now_ms, op);
    } else {
        jg_map_remove(&class->claims, &claim->entry);
        class->tallies[JG_TALLY_RELEASED]++;
    }
    return JG_OK;
}

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
    if (claim && strcmp(claim->owner, op->candidate_of) == 0 && is_certain(class, claim, now_ms) &&
        (claim->state == JG_CLAIM_QUEUED || executed))
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

static enum jg_err
apply_admit(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = find_claim(class, op, now_ms);
    bool executed = op->dedup == JG_DEDUP_UNTIL_EXECUTED;
    if (claim)
        (void)forget_candidate(claim, op->jid);
    op->epoch = class->epoch;
    if (op->candidate_of && !is_owner(claim, op)) {
        bool runs = executed && jg_map_find(&class->run, op->member, now_ms);
        if (!runs && original_stands(class, claim, now_ms, op)) {
            class->tallies[JG_TALLY_SKIPPED]++;
            op->verdict = JG_SKIP;
            strcpy(op->original, op->candidate_of);
            return JG_OK;
        }
    }
    if (executed && set_member(class, now_ms, op))
        return JG_ENOMEM;
    if (is_owner(claim, op) && start(class, claim, now_ms, op))
        return JG_ENOMEM;
    class->tallies[JG_TALLY_ADMITTED]++;
    op->verdict = JG_RUN;
    op->original[0] = '\0';
    return JG_OK;
}

static enum jg_err
apply_renew(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    bool alive = op->epoch_in != class->epoch || jg_map_find(&class->run, op->member, now_ms);
    if (alive && set_member(class, now_ms, op))
        return JG_ENOMEM;
    struct jg_memory_claim *claim = find_claim(class, op, now_ms);
    if (is_owner(claim, op)) {
        bool latest = claim->member && strcmp(claim->member, op->member) == 0;
        if ((latest || claim->epoch != class->epoch) && mark_running(class, claim, now_ms, op))
            return JG_ENOMEM;
    }
    op->changed = alive;
    op->epoch = class->epoch;
    return JG_OK;
}

static enum jg_err
apply_complete(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = find_claim(class, op, now_ms);
    struct jg_map_entry *entry = jg_map_find(&class->run, op->member, now_ms);
    bool ended = is_owner(claim, op) && (!claim->member || strcmp(claim->member, op->member) == 0);
    if (ended) {
        if (entry && claim->candidates > 0 && leave_was(class, now_ms, op, JG_DEDUP_UNTIL_EXECUTED))
            return JG_ENOMEM;
        jg_map_remove(&class->claims, &claim->entry);
    }
    if (entry)
        jg_map_remove(&class->run, entry);
    op->changed = ended || entry;
    class->tallies[JG_TALLY_COMPLETED] += op->changed ? 1 : 0;
    return JG_OK;
}

enum jg_err
jg_memory_apply(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    static enum jg_err (*const apply[JG_OP_KINDS])(struct jg_memory_class *, int64_t, struct jg_op *) = {
        [JG_OP_CLAIM] = apply_claim,       [JG_OP_CONFIRM] = apply_confirm, [JG_OP_KEEP] = apply_keep,
        [JG_OP_RELEASE] = apply_release,   [JG_OP_ADMIT] = apply_admit,     [JG_OP_RENEW] = apply_renew,
        [JG_OP_COMPLETE] = apply_complete,
    };
    if (!class->epoch)
        jg_memory_start_epoch(class, now_ms);
    return apply[op->kind](class, now_ms, op);
}
