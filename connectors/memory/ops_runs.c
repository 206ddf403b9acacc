/* SPDX-License-Identifier: Apache-2.0 */
/* admit, renew: the consumer's side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

enum jg_err
jg_memory_leave_was(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, enum jg_dedup dedup)
{
    struct jg_memory_was *was = (struct jg_memory_was *)jg_map_make(&class->was, op->jid, sizeof *was, now_ms);
    if (!was)
        return JG_ENOMEM;
    was->dedup = dedup;
    was->entry.expires_ms = now_ms + op->dedup_ttl_ms;
    return JG_OK;
}

static enum jg_err
set_member(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    struct jg_map_entry *entry = jg_map_make(&class->run, op->member, sizeof *entry, now_ms);
    if (!entry)
        return JG_ENOMEM;
    entry->expires_ms = now_ms + op->run_ttl_ms;
    return jg_memory_keep_key_run(class, now_ms, op);
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
    if (claim->candidates > 0 && jg_memory_leave_was(class, now_ms, op, JG_DEDUP_UNTIL_EXECUTING))
        return JG_ENOMEM;
    jg_map_remove(&class->claims, &claim->entry);
    return JG_OK;
}

enum lease_bar { LEASE_FREE, LEASE_WAITS, LEASE_TAKEN };

/* Who holds the lease: see admit.lua. */
static enum lease_bar
lease_bars(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    struct jg_memory_lease *lease = op->lease ? jg_memory_find_lease(class, op, now_ms) : NULL;
    if (!lease || !lease->member[0] || !jg_memory_member(class, lease->member, now_ms))
        return LEASE_FREE;
    bool is_new = jg_memory_number(op->jid) == 0 && !op->follow_up && !op->resumed &&
                  !jg_memory_find_chain(class, op->jid, now_ms) && !jg_memory_same_chain(lease->member, op->jid);
    return op->lease_skips && is_new ? LEASE_TAKEN : LEASE_WAITS;
}

/* Of the load, what is the job's own. */
static int64_t
own_slots(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    return jg_op_has_slots(op) && jg_memory_find_slot(class, op->jid, now_ms) ? 1 : 0;
}

/* Why one whose turn it is cannot run; TAKEN: it is a no-op; NONE: it can. `for_class`: for what is the class's. */
static enum jg_reason
bar(struct jg_memory_class *class, int64_t now_ms, int64_t limit, enum lease_bar lease, const struct jg_op *op,
    bool *for_class)
{
    enum jg_reason by_lease = lease == LEASE_TAKEN   ? JG_REASON_TAKEN
                              : lease == LEASE_WAITS ? JG_REASON_LEASE
                                                     : JG_REASON_NONE;
    *for_class = true;
    if (limit > 0 && (int64_t) class->run.count >= limit)
        return JG_REASON_LIMIT;
    if (op->capacity > 0 && op->load_now - own_slots(class, now_ms, op) >= op->capacity)
        return JG_REASON_CAPACITY;
    *for_class = op->lease == JG_LEASE_CLASS && by_lease != JG_REASON_NONE;
    if (op->limit_key && !*for_class && jg_memory_key_runs(class, op->limit_key, now_ms) >= op->per_key)
        return JG_REASON_KEY;
    return by_lease;
}

/* Do others go before it, although it could run? See admit.lua. */
static bool
goes_behind(struct jg_memory_class *class, int64_t now_ms, int64_t limit, const struct jg_op *op, bool *for_class)
{
    char keys[JG_MEMORY_OWN_KEYS][JG_KEY_CHARS + 1];
    int64_t tickets = (int64_t) class->tickets.count;
    if (!jg_memory_own_keys(op, keys))
        return class->held > class->held_follow_ups || tickets > 0;
    *for_class = class->waiting > 0 || (limit > 0 && (int64_t) class->run.count + tickets >= limit) ||
                 (op->capacity > 0 && op->load_now - own_slots(class, now_ms, op) + tickets >= op->capacity) ||
                 (op->lease == JG_LEASE_CLASS && tickets > 0);
    return *for_class || jg_memory_goes_behind_its_own(class, now_ms, op);
}

static enum jg_verdict
say(struct jg_op *op, enum jg_verdict verdict, enum jg_reason reason)
{
    op->reason = reason;
    return verdict;
}

/* What is said to a job that does not run yet; see admit.lua. */
static enum jg_verdict
ask(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op, bool *for_class)
{
    char keys[JG_MEMORY_OWN_KEYS][JG_KEY_CHARS + 1];
    bool by_keys = jg_memory_own_keys(op, keys) > 0;
    bool gated = op->limit != 0 || op->lease || op->capacity > 0 || op->limit_key;
    int64_t limit = gated ? jg_memory_limit(class, op->limit) : 0;
    *for_class = true;
    if (limit < 0)
        return say(op, JG_HOLD, JG_REASON_PAUSED);
    if (limit == 0 && !op->lease && op->capacity == 0 && !op->limit_key)
        return say(op, JG_RUN, JG_REASON_NONE);
    if (!jg_memory_settle(class, now_ms, op))
        return say(op, JG_LATER, JG_REASON_GRACE);
    if (op->capacity > 0)
        op->load_now = jg_memory_load(class, now_ms, jg_op_has_slots(op), op->load_key, &op->gauge);
    enum lease_bar lease = lease_bars(class, now_ms, op);
    enum jg_reason reason = bar(class, now_ms, limit, lease, op, for_class);
    if (op->resumed && jg_map_find(&class->tickets, op->jid, now_ms)) {
        if (reason == JG_REASON_NONE)
            return say(op, JG_RUN, reason);
        return say(op, op->last_try ? JG_HOLD : JG_LATER, reason);
    }
    if (lease == LEASE_TAKEN)
        return say(op, JG_SKIP, JG_REASON_TAKEN);
    bool full = !op->resumed && op->hold_max > 0 && class->held >= op->hold_max;
    bool barred = by_keys && reason != JG_REASON_NONE;
    if (!full && !barred && goes_behind(class, now_ms, limit, op, for_class))
        return say(op, JG_HOLD, JG_REASON_BEHIND);
    return say(op, reason == JG_REASON_NONE ? JG_RUN : JG_HOLD, reason);
}

static enum jg_err
hold(struct jg_memory_class *class, struct jg_memory_claim *claim, struct jg_memory_chain *chain, int64_t now_ms,
     const struct jg_op *op, bool for_class)
{
    if (op->resumed && jg_memory_drop_ticket(class, op->jid) && op->reason == JG_REASON_LIMIT)
        class->tallies[JG_TALLY_MISSED]++;
    class->held++;
    class->held_follow_ups += op->reason == JG_REASON_FOLLOW_UP;
    if (op->reason != JG_REASON_FOLLOW_UP && jg_memory_hold_keys(class, now_ms, op, for_class))
        return JG_ENOMEM;
    if (jg_memory_is_owner(claim, op) && (claim->state != JG_CLAIM_RUNNING || claim->followed)) {
        claim->state = JG_CLAIM_HELD;
        claim->epoch = class->epoch;
        claim->entry.expires_ms = now_ms + op->dedup_ttl_ms;
    }
    class->tallies[JG_TALLY_HELD]++;
    int64_t number = jg_memory_number(op->jid);
    bool promised = op->lease && op->lease_skips && number == 0 && !op->resumed && !chain;
    if (promised || (chain && chain->number == number && chain->member[0]))
        return jg_memory_set_chain(class, now_ms, op, "", jg_memory_chain_ttl_ms(op));
    return JG_OK;
}

/* It ends here: its ticket serves another, its claim goes to an heir. */
static enum jg_err
skip(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, struct jg_op *op)
{
    bool noop = op->reason == JG_REASON_TAKEN;
    if (noop && op->done_ttl_ms > 0 && jg_memory_set_done(class, now_ms, op, "", "", false, "", op->done_ttl_ms))
        return JG_ENOMEM;
    if (jg_memory_is_owner(claim, op) && claim->state != JG_CLAIM_RUNNING)
        (void)jg_memory_pass_on(class, claim, now_ms, op);
    else if (claim)
        (void)jg_memory_forget_candidate(claim, op->jid);
    if (op->resumed && jg_memory_drop_ticket(class, op->jid))
        jg_memory_wake_resumer(class);
    class->tallies[noop ? JG_TALLY_NOOPS : JG_TALLY_SKIPPED]++;
    if (op->reason == JG_REASON_NONE && !op->original[0])
        strcpy(op->original, op->candidate_of);
    return JG_OK;
}

static bool
is_recorded(const struct jg_op *op)
{
    return op->lease || jg_memory_is_chained(op);
}

/* Has it ended, or was another copy or a later one of its chain started? Into the outputs, if so. */
static bool
is_over(struct jg_memory_class *class, const struct jg_memory_chain *chain, int64_t now_ms, struct jg_op *op)
{
    bool remembers = is_recorded(op) || op->done_ttl_ms > 0;
    struct jg_memory_done *done = remembers ? jg_memory_find_done(class, op->jid, now_ms) : NULL;
    int64_t number = jg_memory_number(op->jid);
    if (done) {
        const char *at = jg_memory_position(op->member);
        if (!done->at[0])
            snprintf(done->at, sizeof done->at, "%s", at);
        bool due = strcmp(done->at, at) == 0; /* see admit.lua */
        strcpy(op->next, due ? done->next : "");
        op->next_waits = due && done->waits;
        op->reason = JG_REASON_DONE;
        return true;
    }
    if (!chain)
        return false;
    op->reason = JG_REASON_COPY;
    return chain->number > number || (chain->number == number && chain->member[0] &&
                                      strcmp(jg_memory_position(chain->member), jg_memory_position(op->member)) != 0);
}

static enum jg_verdict
decide(struct jg_memory_class *class, struct jg_memory_claim **claim, const struct jg_memory_chain *chain,
       int64_t now_ms, struct jg_op *op, bool *for_class)
{
    enum jg_verdict verdict = JG_RUN;
    if (is_over(class, chain, now_ms, op))
        return JG_SKIP;
    op->reason = JG_REASON_NONE;
    if (op->follow_up && jg_memory_follow(class, claim, now_ms, op, &verdict))
        return say(op, JG_LATER, JG_REASON_NONE); /* out of memory */
    if (verdict != JG_RUN)
        return say(op, verdict,
                   verdict == JG_HOLD    ? JG_REASON_FOLLOW_UP
                   : verdict == JG_LATER ? JG_REASON_GRACE
                                         : JG_REASON_NONE);
    if (op->candidate_of && !op->follow_up && !jg_memory_is_owner(*claim, op) &&
        original_stands(class, *claim, now_ms, op))
        return JG_SKIP;
    verdict = ask(class, now_ms, op, for_class);
    if (verdict != JG_HOLD || op->resumed || op->hold_max <= 0 || class->held < op->hold_max)
        return verdict;
    return say(op, JG_LATER, JG_REASON_FULL);
}

/* One that runs already keeps its token; it has none when its class had no lease at its start. */
static enum jg_err
take_lease(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op, bool runs)
{
    struct jg_memory_lease *lease = jg_memory_find_lease(class, op, now_ms);
    int64_t token = lease ? lease->token : 0;
    if (runs && (!lease || strcmp(lease->member, op->member) != 0))
        return JG_OK;
    if (!runs) {
        class->tallies[JG_TALLY_LEASES_LOST] += lease && lease->member[0] ? 1 : 0;
        token = token + 1 > now_ms ? token + 1 : now_ms;
    }
    op->token = token;
    return jg_memory_give_lease(class, now_ms, op, token);
}

/* One that was resumed starts. */
static void
use_ticket(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, bool runs)
{
    const struct jg_memory_ticket *ticket = (struct jg_memory_ticket *)jg_map_find(&class->tickets, op->jid, now_ms);
    bool gated = op->limit != 0 || op->lease || op->capacity > 0 || op->limit_key;
    if (ticket && !runs && gated && jg_memory_limit(class, op->limit) > 0) {
        class->waited_ms += now_ms > ticket->taken_ms ? now_ms - ticket->taken_ms : 0;
        if (!op->lease && op->capacity == 0)
            class->idle += now_ms % JG_IDLE_CYCLE_MS;
    }
    (void)jg_memory_drop_ticket(class, op->jid);
}

static enum jg_err
run(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms, struct jg_op *op, bool runs)
{
    if (jg_memory_lasts(op) && set_member(class, now_ms, op))
        return JG_ENOMEM;
    if (op->lease && take_lease(class, now_ms, op, runs))
        return JG_ENOMEM;
    if (is_recorded(op) && !runs && jg_memory_set_chain(class, now_ms, op, op->member, jg_memory_chain_ttl_ms(op)))
        return JG_ENOMEM;
    if (jg_memory_take_slot(class, now_ms, op, runs))
        return JG_ENOMEM;
    if (claim)
        (void)jg_memory_forget_candidate(claim, op->jid);
    if (!runs && jg_memory_is_owner(claim, op) && jg_memory_follow_start(class, claim, now_ms, op))
        return JG_ENOMEM;
    if (claim && jg_memory_is_owner(claim, op) && start(class, claim, now_ms, op))
        return JG_ENOMEM;
    if (op->resumed)
        use_ticket(class, now_ms, op, runs);
    class->tallies[JG_TALLY_FOLLOW_UPS] += op->follow_up && !runs;
    class->tallies[JG_TALLY_ADMITTED]++;
    return JG_OK;
}

enum jg_err
jg_memory_admit(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    bool lasts = jg_memory_lasts(op);
    if (lasts)
        (void)jg_memory_reap(class, now_ms);
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    struct jg_memory_chain *chain = is_recorded(op) ? jg_memory_find_chain(class, op->jid, now_ms) : NULL;
    bool runs = lasts && jg_memory_member(class, op->member, now_ms);
    bool for_class = false;
    op->epoch = class->epoch;
    op->original[0] = op->next[0] = '\0';
    op->next_waits = false;
    op->token = 0;
    op->load_now = -1;
    op->gauge = JG_GAUGE_FINE;
    op->verdict = runs ? say(op, JG_RUN, JG_REASON_NONE) : decide(class, &claim, chain, now_ms, op, &for_class);
    switch (op->verdict) {
    case JG_SKIP:
        return skip(class, claim, now_ms, op);
    case JG_HOLD:
        return hold(class, claim, chain, now_ms, op, for_class);
    case JG_RUN:
        return run(class, claim, now_ms, op, runs);
    case JG_LATER:
        break;
    }
    return JG_OK;
}

/* May it go on? See renew.lua. */
static bool
is_alive(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    bool again = op->epoch_in != class->epoch;
    if (!jg_memory_member(class, op->member, now_ms) && (!again || jg_memory_find_done(class, op->jid, now_ms)))
        return false;
    if (!op->lease || !op->token_in)
        return true;
    const struct jg_memory_lease *lease = jg_memory_find_lease(class, op, now_ms);
    return again ? !lease || lease->token <= op->token_in : lease && strcmp(lease->member, op->member) == 0;
}

static enum jg_err
keep_run(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    if (set_member(class, now_ms, op))
        return JG_ENOMEM;
    if (op->lease && op->token_in) {
        const struct jg_memory_lease *lease = jg_memory_find_lease(class, op, now_ms);
        int64_t token = op->epoch_in == class->epoch && lease ? lease->token : op->token_in;
        if (jg_memory_give_lease(class, now_ms, op, token))
            return JG_ENOMEM;
    }
    if (jg_memory_keep_slot(class, now_ms, op))
        return JG_ENOMEM;
    if (!is_recorded(op))
        return JG_OK;
    struct jg_memory_chain *chain = jg_memory_find_chain(class, op->jid, now_ms);
    if (op->epoch_in == class->epoch) {
        if (chain && !jg_memory_is_chained(op))
            chain->entry.expires_ms = now_ms + jg_memory_chain_ttl_ms(op);
        return JG_OK;
    }
    if (chain && chain->number >= jg_memory_number(op->jid))
        return JG_OK;
    return jg_memory_set_chain(class, now_ms, op, op->member, jg_memory_chain_ttl_ms(op));
}

/* The store lost it; follow-ups wait for it. */
static enum jg_err
bring_back_claim(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    struct jg_memory_claim *claim =
        (struct jg_memory_claim *)jg_map_make(&class->claims, op->key, sizeof *claim, now_ms);
    if (!claim)
        return JG_ENOMEM;
    strcpy(claim->owner, op->jid);
    claim->dedup = JG_DEDUP_UNTIL_EXECUTED;
    claim->since_ms = now_ms;
    claim->followed = true;
    return mark_running(class, claim, now_ms, op);
}

enum jg_err
jg_memory_renew(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    bool freed = jg_memory_reap(class, now_ms) > 0;
    bool alive = is_alive(class, now_ms, op);
    struct jg_map_entry *entry = jg_memory_member(class, op->member, now_ms);
    if (alive && keep_run(class, now_ms, op))
        return JG_ENOMEM;
    if (!alive && entry) {
        jg_map_remove(&class->run, entry);
        freed = true;
    }
    if (!alive)
        jg_memory_leave_key_run(class, op);
    if (freed)
        jg_memory_wake_resumer(class);
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    if (jg_memory_is_owner(claim, op)) {
        bool latest = claim->member && strcmp(claim->member, op->member) == 0;
        bool its = latest || claim->epoch != class->epoch;
        if (its && mark_running(class, claim, now_ms, op))
            return JG_ENOMEM;
        if (its && claim->followed)
            jg_memory_follow_keep(class, now_ms, op);
    } else if (!claim && alive && op->follows_up && op->epoch_in != class->epoch &&
               bring_back_claim(class, now_ms, op)) {
        return JG_ENOMEM;
    }
    op->changed = alive;
    op->epoch = class->epoch;
    return JG_OK;
}
