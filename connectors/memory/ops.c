/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of redis/scripts in C, step by step the same; tests compare the two. */
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

void
jg_memory_claim_destroy(struct jg_map_entry *entry)
{
    struct jg_memory_claim *claim = (struct jg_memory_claim *)entry;
    free(claim->member);
    free(claim);
}

void
jg_memory_ticket_destroy(struct jg_map_entry *entry)
{
    struct jg_memory_ticket *ticket = (struct jg_memory_ticket *)entry;
    free(ticket->position);
    free(ticket);
}

void
jg_memory_plain_destroy(struct jg_map_entry *entry)
{
    free(entry);
}

void
jg_memory_start_epoch(struct jg_memory_class *class, int64_t now_ms)
{
    class->epoch = class->epoch + 1 > now_ms ? class->epoch + 1 : now_ms;
    class->unsettled = true;
}

struct jg_map_entry *
jg_memory_member(struct jg_memory_class *class, const char *member, int64_t now_ms)
{
    struct jg_map_entry *entry = jg_map_find(&class->run, member, INT64_MIN);
    return entry && entry->expires_ms > now_ms ? entry : NULL;
}

size_t
jg_memory_reap(struct jg_memory_class *class, int64_t now_ms)
{
    size_t before = class->run.count;
    jg_map_remove_expired(&class->run, now_ms);
    class->tallies[JG_TALLY_RUNS_LOST] += (int64_t)(before - class->run.count);
    return before - class->run.count;
}

void
jg_memory_wake_resumer(struct jg_memory_class *class)
{
    class->woke = class->woke || class->held > 0;
}

struct jg_memory_claim *
jg_memory_find_claim(struct jg_memory_class *class, const struct jg_op *op, int64_t now_ms)
{
    return (struct jg_memory_claim *)jg_map_find(&class->claims, op->key, now_ms);
}

bool
jg_memory_is_owner(const struct jg_memory_claim *claim, const struct jg_op *op)
{
    return claim && strcmp(claim->owner, op->jid) == 0;
}

bool
jg_memory_is_certain(struct jg_memory_class *class, const struct jg_memory_claim *claim, int64_t now_ms)
{
    bool runs = claim->state == JG_CLAIM_RUNNING && claim->member && jg_memory_member(class, claim->member, now_ms);
    return claim->epoch == class->epoch && (claim->state == JG_CLAIM_QUEUED || claim->state == JG_CLAIM_HELD || runs);
}

bool
jg_memory_forget_candidate(struct jg_memory_claim *claim, const char *jid)
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
    struct jg_memory_claim *claim =
        (struct jg_memory_claim *)jg_map_make(&class->claims, op->key, sizeof *claim, now_ms);
    if (!claim)
        return JG_ENOMEM;
    strcpy(claim->owner, op->jid);
    claim->state = JG_CLAIM_PROVISIONAL;
    claim->dedup = op->dedup;
    claim->epoch = class->epoch;
    claim->since_ms = now_ms;
    claim->entry.expires_ms = now_ms + op->dedup_provisional_ms;
    jg_memory_follow_newer(class, claim, now_ms, op);
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
static enum jg_err
turn_away(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, struct jg_op *op)
{
    bool certain = jg_memory_is_certain(class, claim, now_ms);
    bool follows = op->follows_up && op->dedup == JG_DEDUP_UNTIL_EXECUTED &&
                   (claim->state == JG_CLAIM_RUNNING || claim->epoch != class->epoch);
    char *newest = certain ? claim->newest_duplicate : claim->newest;
    bool told = strcmp(newest, op->jid) == 0;
    if (follows && jg_memory_follow_claim(class, now_ms, op, &told))
        return JG_ENOMEM;
    op->claimed = certain && !follows ? JG_DUPLICATE : JG_CANDIDATE;
    op->original_state = certain ? claim->state : JG_CLAIM_PROVISIONAL;
    op->original_since_ms = claim->since_ms;
    strcpy(op->original, claim->owner);
    if (!told) {
        if (!follows || !certain)
            strcpy(newest, op->jid);
        claim->followed = claim->followed || follows;
        claim->duplicates++;
        claim->candidates += certain ? 0 : 1;
        remember_duplicate(class, op, now_ms);
        class->tallies[certain && !follows ? JG_TALLY_DUPLICATES : JG_TALLY_CANDIDATES]++;
    }
    /* Asked again, and its original was confirmed in between: now it is dropped, so it is no heir. */
    if (certain && !follows && strcmp(claim->newest, op->jid) == 0)
        claim->newest[0] = '\0';
    return JG_OK;
}

static enum jg_err
apply_claim(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    op->follow_up = 0;
    if (claim && !jg_memory_is_owner(claim, op)) {
        bool over = claim->state == JG_CLAIM_RUNNING && op->dedup == JG_DEDUP_UNTIL_EXECUTING;
        if (!over) {
            return turn_away(class, claim, now_ms, op);
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
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    bool owner = jg_memory_is_owner(claim, op);
    op->changed = jg_memory_follow_confirm(class, claim, now_ms, op);
    if (owner) {
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
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    op->changed = jg_memory_is_owner(claim, op) && claim->state == JG_CLAIM_PROVISIONAL;
    if (op->changed)
        claim->entry.expires_ms = now_ms + op->dedup_provisional_ms;
    return JG_OK;
}

bool
jg_memory_pass_on(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, const struct jg_op *op)
{
    if (!claim->newest[0] && !claim->newest_acked[0]) {
        jg_map_remove(&class->claims, &claim->entry);
        return false;
    }
    strcpy(claim->owner, claim->newest[0] ? claim->newest : claim->newest_acked);
    bool acked = strcmp(claim->owner, claim->newest_acked) == 0 && claim->epoch == class->epoch;
    claim->state = acked ? JG_CLAIM_QUEUED : JG_CLAIM_PROVISIONAL;
    claim->since_ms = now_ms;
    claim->entry.expires_ms = now_ms + (acked ? op->dedup_ttl_ms : op->dedup_provisional_ms);
    (void)jg_memory_forget_candidate(claim, claim->owner);
    free(claim->member);
    claim->member = NULL;
    class->tallies[JG_TALLY_PASSED]++;
    return true;
}

static enum jg_err
apply_release(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    jg_memory_follow_release(class, now_ms, op);
    if (!jg_memory_is_owner(claim, op)) {
        op->changed = claim && jg_memory_forget_candidate(claim, op->jid);
        return JG_OK;
    }
    op->changed = claim->state != JG_CLAIM_RUNNING && claim->state != JG_CLAIM_HELD;
    if (op->changed && !jg_memory_pass_on(class, claim, now_ms, op))
        class->tallies[JG_TALLY_RELEASED]++;
    return JG_OK;
}

enum jg_err
jg_memory_apply(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    static enum jg_err (*const apply[JG_OP_KINDS])(struct jg_memory_class *, int64_t, struct jg_op *) = {
        [JG_OP_CLAIM] = apply_claim,           [JG_OP_CONFIRM] = apply_confirm, [JG_OP_KEEP] = apply_keep,
        [JG_OP_RELEASE] = apply_release,       [JG_OP_ADMIT] = jg_memory_admit, [JG_OP_RENEW] = jg_memory_renew,
        [JG_OP_COMPLETE] = jg_memory_complete, [JG_OP_TAKE] = jg_memory_take,   [JG_OP_PLACE] = jg_memory_place,
        [JG_OP_DROP] = jg_memory_drop,         [JG_OP_BURY] = jg_memory_bury,   [JG_OP_SYNC] = jg_memory_sync,
        [JG_OP_LEAD] = jg_memory_lead,         [JG_OP_GROUP] = jg_memory_group, [JG_OP_ANNOUNCE] = jg_memory_announce,
        [JG_OP_MARK] = jg_memory_mark,         [JG_OP_FREE] = jg_memory_free,
    };
    if (!class->epoch) {
        /* New, on a store that lost nothing. */
        jg_memory_start_epoch(class, now_ms);
        class->unsettled = false;
    }
    class->listed = class->listed || (op->kind != JG_OP_LEAD && op->kind != JG_OP_GROUP && op->kind != JG_OP_ANNOUNCE);
    return apply[op->kind](class, now_ms, op);
}
