/* SPDX-License-Identifier: Apache-2.0 */
/* Follow-ups: their like in redis/scripts is in follow.lua. */
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

static struct jg_memory_fol *
find_fol(struct jg_memory_class *class, const char *key, int64_t now_ms)
{
    return (struct jg_memory_fol *)jg_map_find(&class->follow_ups, key, now_ms);
}

/* The follow-up is not unacknowledged any more. */
static void
settle(struct jg_memory_fol *fol, const char *jid)
{
    if (strcmp(fol->unacked, jid) != 0)
        return;
    fol->unacked[0] = '\0';
    fol->unacked_number = 0;
}

/* Larger than any that is known: see claim.lua. */
static int64_t
next_number(const struct jg_memory_fol *fol)
{
    return 1 + (fol->last > fol->newest_number ? fol->last : fol->newest_number);
}

void
jg_memory_follow_newer(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms,
                       const struct jg_op *op)
{
    struct jg_memory_fol *fol =
        op->follows_up && op->dedup == JG_DEDUP_UNTIL_EXECUTED ? find_fol(class, op->key, now_ms) : NULL;
    if (fol)
        claim->number = fol->last = next_number(fol);
}

enum jg_err
jg_memory_follow_claim(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op, bool *told)
{
    struct jg_memory_fol *fol = (struct jg_memory_fol *)jg_map_make(&class->follow_ups, op->key, sizeof *fol, now_ms);
    if (!fol)
        return JG_ENOMEM;
    *told = strcmp(fol->unacked, op->jid) == 0;
    if (!*told) {
        fol->last = next_number(fol) > now_ms * 1000 ? next_number(fol) : now_ms * 1000;
        fol->unacked_number = fol->last;
        strcpy(fol->unacked, op->jid);
        fol->unacked_until_ms = now_ms + op->dedup_provisional_ms;
        if (fol->epoch != class->epoch)
            fol->newest[0] = '\0';
        fol->epoch = class->epoch;
        fol->entry.expires_ms = now_ms + op->dedup_ttl_ms;
    }
    op->follow_up = fol->unacked_number;
    return JG_OK;
}

/* From now on it stands for all with smaller numbers. */
static void
set_newest(const struct jg_memory_class *class, struct jg_memory_fol *fol, int64_t number, bool started, int64_t now_ms,
           const struct jg_op *op)
{
    fol->newest_number = number;
    strcpy(fol->newest, op->jid);
    fol->started = started;
    fol->epoch = class->epoch;
    fol->entry.expires_ms = now_ms + op->dedup_ttl_ms;
}

/* It is in the log, and none that is there has a larger number. True: it has got the claim of an older one. */
static bool
note(struct jg_memory_class *class, struct jg_memory_fol *fol, struct jg_memory_claim *claim, int64_t now_ms,
     const struct jg_op *op)
{
    bool waiting = claim && claim->epoch == class->epoch && claim->state != JG_CLAIM_RUNNING;
    bool moves =
        waiting && fol->newest[0] && strcmp(fol->newest, op->jid) != 0 && strcmp(claim->owner, fol->newest) == 0;
    set_newest(class, fol, op->follow_up, false, now_ms, op);
    settle(fol, op->jid);
    if (!moves)
        return false;
    strcpy(claim->owner, op->jid);
    claim->state = JG_CLAIM_QUEUED;
    claim->since_ms = now_ms;
    claim->number = op->follow_up;
    return true;
}

bool
jg_memory_follow_confirm(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms,
                         const struct jg_op *op)
{
    struct jg_memory_fol *fol = op->follow_up ? find_fol(class, op->key, now_ms) : NULL;
    if (!fol)
        return false;
    if (fol->epoch == class->epoch && op->follow_up > fol->newest_number) {
        (void)note(class, fol, claim, now_ms, op);
        return true;
    }
    settle(fol, op->jid);
    return false;
}

void
jg_memory_follow_release(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    struct jg_memory_fol *fol = op->follows_up ? find_fol(class, op->key, now_ms) : NULL;
    if (fol)
        settle(fol, op->jid);
}

void
jg_memory_follow_bury(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    struct jg_memory_fol *fol = op->follow_up ? find_fol(class, op->key, now_ms) : NULL;
    if (fol && strcmp(fol->newest, op->jid) == 0)
        fol->newest[0] = '\0';
}

static bool
runs(struct jg_memory_class *class, const struct jg_memory_claim *claim, int64_t now_ms)
{
    return claim->state == JG_CLAIM_RUNNING && claim->member && jg_memory_member(class, claim->member, now_ms);
}

/* Make the claim its own. */
static enum jg_err
take_claim(struct jg_memory_class *class, struct jg_memory_claim **claim, int64_t now_ms, const struct jg_op *op)
{
    if (!*claim)
        *claim = (struct jg_memory_claim *)jg_map_make(&class->claims, op->key, sizeof **claim, now_ms);
    if (!*claim)
        return JG_ENOMEM;
    strcpy((*claim)->owner, op->jid);
    (*claim)->state = JG_CLAIM_QUEUED;
    (*claim)->epoch = class->epoch;
    (*claim)->since_ms = now_ms;
    (*claim)->dedup = op->dedup;
    (*claim)->number = op->follow_up;
    (*claim)->duplicates = 0;
    (*claim)->followed = true;
    (*claim)->entry.expires_ms = now_ms + op->dedup_ttl_ms;
    return JG_OK;
}

/* Another job has the claim, or none does. Into *verdict: what is said; RUN: the claim is its own. */
static enum jg_err
take_over(struct jg_memory_class *class, struct jg_memory_fol *fol, struct jg_memory_claim **claim, int64_t now_ms,
          struct jg_op *op, enum jg_verdict *verdict)
{
    bool current = *claim && (*claim)->epoch == class->epoch;
    bool waits = current && ((*claim)->state != JG_CLAIM_RUNNING || runs(class, *claim, now_ms));
    *verdict = JG_SKIP;
    if (fol->newest_number > op->follow_up) {
        strcpy(op->original, fol->newest[0] ? fol->newest : op->candidate_of);
        return JG_OK;
    }
    if (waits && op->follow_up < (*claim)->number && (*claim)->state != JG_CLAIM_PROVISIONAL) {
        strcpy(op->original, (*claim)->owner);
        return JG_OK;
    }
    *verdict = JG_LATER;
    if (!current && !jg_memory_find_done(class, op->candidate_of, now_ms) && !jg_memory_settle(class, now_ms, op))
        return JG_OK;
    bool moved = note(class, fol, *claim, now_ms, op);
    *verdict = waits && !moved ? JG_HOLD : JG_RUN;
    if (*verdict == JG_HOLD) {
        (*claim)->followed = true;
        return JG_OK;
    }
    if (!moved && current && strcmp((*claim)->owner, op->candidate_of) == 0 && op->done_ttl_ms > 0) {
        struct jg_op original = {.jid = op->candidate_of}; /* its run has died: this one does its work, too */
        if (jg_memory_set_done(class, now_ms, &original, "", "", false, "", op->done_ttl_ms))
            return JG_ENOMEM;
    }
    if (!moved && take_claim(class, claim, now_ms, op))
        return JG_ENOMEM;
    free((*claim)->member);
    (*claim)->member = NULL;
    (void)jg_memory_forget_candidate(*claim, op->jid);
    return JG_OK;
}

enum jg_err
jg_memory_follow(struct jg_memory_class *class, struct jg_memory_claim **claim, int64_t now_ms, struct jg_op *op,
                 enum jg_verdict *verdict)
{
    struct jg_memory_fol none = {.last = 0}, *fol = find_fol(class, op->key, now_ms);
    bool owner = jg_memory_is_owner(*claim, op);
    *verdict = JG_RUN;
    if (!owner && !fol)
        fol = (struct jg_memory_fol *)jg_map_make(&class->follow_ups, op->key, sizeof *fol, now_ms);
    if (!owner && !fol)
        return JG_ENOMEM;
    fol = fol ? fol : &none;
    enum jg_err err = owner ? JG_OK : take_over(class, fol, claim, now_ms, op, verdict);
    bool newer_may_come = fol->unacked_number > op->follow_up && fol->unacked_until_ms > now_ms;
    if (!err && *verdict == JG_RUN && (*claim)->state != JG_CLAIM_RUNNING && newer_may_come)
        *verdict = JG_HOLD;
    return err;
}

enum jg_err
jg_memory_follow_start(struct jg_memory_class *class, const struct jg_memory_claim *claim, int64_t now_ms,
                       const struct jg_op *op)
{
    int64_t number = op->follow_up ? op->follow_up : claim->number;
    if (number == 0)
        return JG_OK;
    struct jg_memory_fol *fol = (struct jg_memory_fol *)jg_map_make(&class->follow_ups, op->key, sizeof *fol, now_ms);
    if (!fol)
        return JG_ENOMEM;
    if (number >= fol->newest_number)
        set_newest(class, fol, number, true, now_ms, op);
    return JG_OK;
}

void
jg_memory_follow_keep(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    struct jg_memory_fol *fol = find_fol(class, op->key, now_ms);
    if (fol)
        fol->entry.expires_ms = now_ms + op->dedup_ttl_ms;
}

bool
jg_memory_follow_waits(struct jg_memory_class *class, int64_t now_ms, const char *jid, struct jg_op *op, bool *gone)
{
    char key[JG_KEY_CHARS + 1] = "";
    strncat(key, jid, JG_KEY_CHARS);
    const struct jg_memory_fol *fol = find_fol(class, key, now_ms);
    const struct jg_memory_claim *claim = (struct jg_memory_claim *)jg_map_find(&class->claims, key, now_ms);
    bool newest = fol && strcmp(fol->newest, jid) == 0;
    *gone = fol && fol->newest[0] && !newest;
    if (*gone)
        return false;
    bool owner = claim && strcmp(claim->owner, jid) == 0, current = claim && claim->epoch == class->epoch;
    if (!owner && current)
        return claim->state != JG_CLAIM_RUNNING || runs(class, claim, now_ms);
    if (!owner && !jg_memory_settle(class, now_ms, op)) {
        op->reason = JG_REASON_GRACE;
        return true;
    }
    return newest && fol->unacked_number > fol->newest_number && fol->unacked_until_ms > now_ms;
}

const struct jg_memory_fol *
jg_memory_follow_heir(struct jg_memory_class *class, const struct jg_memory_claim *claim, int64_t now_ms,
                      const struct jg_op *op)
{
    const struct jg_memory_fol *fol = claim->followed ? find_fol(class, op->key, now_ms) : NULL;
    bool other = fol && fol->epoch == class->epoch && fol->newest[0] && strcmp(fol->newest, op->jid) != 0;
    return other && !fol->started ? fol : NULL;
}
