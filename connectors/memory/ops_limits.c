/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, and what the resumer does under them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

#define TICKETS_MOST 1000 /* see take.lua */

bool
jg_memory_settle(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    bool fresh = op->fresh == JG_FRESH_ALWAYS || op->fresh == class->epoch;
    if (fresh || now_ms >= class->epoch + op->grace_ms)
        class->unsettled = false;
    return !class->unsettled;
}

int64_t
jg_memory_limit(const struct jg_memory_class *class, int64_t own)
{
    return class->override.set ? class->override.limit : own;
}

bool
jg_memory_drop_ticket(struct jg_memory_class *class, const char *jid)
{
    struct jg_map_entry *ticket = jg_map_find(&class->tickets, jid, 0);
    if (ticket)
        jg_map_remove(&class->tickets, ticket);
    return ticket;
}

static enum jg_err
give_ticket(struct jg_memory_class *class, const char *jid, const char *limit_key, int64_t now_ms)
{
    struct jg_memory_ticket *ticket =
        (struct jg_memory_ticket *)jg_map_make(&class->tickets, jid, sizeof *ticket, now_ms);
    if (!ticket)
        return JG_ENOMEM;
    ticket->entry.expires_ms = JG_MAP_NEVER;
    ticket->taken_ms = now_ms;
    snprintf(ticket->limit_key, sizeof ticket->limit_key, "%s", limit_key ? limit_key : "");
    return JG_OK;
}

/* One of several bounds: the least counts, and the first that leaves nothing is the reason. */
static void
allow(int64_t bound, enum jg_reason reason, int64_t *most, struct jg_op *op)
{
    *most = bound < *most ? bound : *most;
    if (bound <= 0 && op->reason == JG_REASON_NONE)
        op->reason = reason;
}

/* How many tickets may be given, by what belongs to the whole class. */
static int64_t
allowed(struct jg_memory_class *class, int64_t now_ms, int64_t limit, struct jg_op *op)
{
    int64_t most = INT64_MAX, tickets = (int64_t) class->tickets.count;
    if (limit > 0) {
        int64_t free = limit - (int64_t) class->run.count;
        int64_t ahead = class->ahead == JG_AUTO ? op->ahead_in : class->ahead;
        allow((free > 0 ? free : 0) + ahead - tickets, JG_REASON_LIMIT, &most, op);
    }
    if (class->capacity > 0) {
        op->load_now = jg_memory_load(class, now_ms, class->by_slots, class->load_key, &op->gauge);
        int64_t room = class->capacity - (op->load_now > 0 ? op->load_now : 0);
        allow((room > 0 ? room : 0) - tickets, JG_REASON_CAPACITY, &most, op);
    }
    if (class->lease == JG_LEASE_KEY || class->per_key > 0)
        allow(TICKETS_MOST - tickets, JG_REASON_LIMIT, &most, op);
    if (class->lease == JG_LEASE_CLASS)
        allow((jg_memory_lease_lives(class, "", now_ms) ? 0 : 1) - tickets, JG_REASON_LEASE, &most, op);
    return most;
}

/* Why this job has to wait for its own key; NONE: it has not. */
static enum jg_reason
key_waits(struct jg_memory_class *class, int64_t now_ms, const char *jid, const char *limit_key)
{
    char key[JG_KEY_CHARS + 1];
    if (class->per_key > 0 && limit_key &&
        jg_memory_key_runs(class, limit_key, now_ms) + jg_memory_key_tickets(class, limit_key) >= class->per_key)
        return JG_REASON_KEY;
    snprintf(key, sizeof key, "%s", jid);
    if (class->lease == JG_LEASE_KEY &&
        (jg_memory_job_key_has_ticket(class, key) || jg_memory_lease_lives(class, key, now_ms)))
        return JG_REASON_LEASE;
    return JG_REASON_NONE;
}

/* May it go? `most`: so many more tickets may be given; negative: that bar was met, and is the answer to all that have
 * none. */
static enum jg_grant
grant(struct jg_memory_class *class, int64_t now_ms, size_t index, bool gated, int64_t *most, struct jg_op *op)
{
    const char *jid = op->items[index], *limit_key = op->limit_keys ? op->limit_keys[index] : NULL;
    if (gated && jg_map_find(&class->tickets, jid, now_ms))
        return JG_GRANT_YES;
    bool gone = false;
    if (op->follow_ups && op->follow_ups[index] && jg_memory_follow_waits(class, now_ms, jid, op, &gone)) {
        op->reason = op->reason == JG_REASON_NONE ? JG_REASON_FOLLOW_UP : op->reason;
        return JG_GRANT_KEY;
    }
    if (!gated || gone)
        return JG_GRANT_YES;
    enum jg_reason waits = *most >= 0 ? key_waits(class, now_ms, jid, limit_key) : JG_REASON_NONE;
    if (waits != JG_REASON_NONE) {
        op->reason = op->reason == JG_REASON_NONE ? waits : op->reason;
        return JG_GRANT_KEY;
    }
    if (*most <= 0 || give_ticket(class, jid, limit_key, now_ms)) {
        *most = -1;
        return JG_GRANT_NONE;
    }
    --*most;
    return JG_GRANT_YES;
}

/* Returns how many wait for the class's bar. `followed`: how many follow-ups go. */
static int64_t
grant_all(struct jg_memory_class *class, int64_t now_ms, int64_t limit, bool gated, struct jg_op *op, int64_t *followed)
{
    int64_t barred = 0;
    int64_t most = allowed(class, now_ms, limit, op);
    most = most > 0 ? most : 0;
    for (size_t i = 0; i < op->item_count; i++) {
        enum jg_grant said = grant(class, now_ms, i, gated, &most, op);
        op->granted += said == JG_GRANT_YES;
        *followed += op->follow_ups && op->follow_ups[i] && said == JG_GRANT_YES;
        barred += said == JG_GRANT_NONE;
        if (op->grants)
            op->grants[i] = (unsigned char)said;
    }
    if ((op->granted && op->reason != JG_REASON_GRACE) || !op->item_count)
        op->reason = JG_REASON_NONE;
    return barred;
}

/* What the resumer finds its next ahead_in by. */
static void
tell_pace(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    bool paced = class->ahead == JG_AUTO && op->limit_now > 0;
    op->ahead_now = class->ahead;
    op->now_ms = now_ms;
    op->completed_now = paced ? class->tallies[JG_TALLY_COMPLETED] : 0;
    op->missed_now = paced ? class->tallies[JG_TALLY_MISSED] : 0;
    op->waited_now_ms = paced ? class->waited_ms : 0;
    op->idle_now = paced ? class->idle : 0;
    if (paced)
        class->paced = op->ahead_in;
}

static void
add_busy(const char *position, struct jg_op *op)
{
    size_t bytes = strlen(op->origin);
    const char *at = strncmp(position, op->origin, bytes) == 0 && position[bytes] == '/' ? position + bytes + 1 : NULL;
    char *end;
    long number = at && *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;
    if (number >= 0 && number <= INT32_MAX && *end == '/' && !strchr(end + 1, '/'))
        op->busy[op->busy_count++] = (int32_t)number;
}

/* Where jobs of this topic run, or have come back to. */
static void
tell_busy(const struct jg_memory_class *class, struct jg_op *op)
{
    op->busy_count = 0;
    if (!op->origin || op->running + op->tickets > JG_OP_BUSY_MOST)
        return;
    for (struct jg_map_entry *run = NULL; (run = jg_map_next(&class->run, run));) {
        const char *instance = strchr(run->key, '@');
        const char *position = instance ? strchr(instance + 1, '@') : NULL;
        if (position)
            add_busy(position + 1, op);
    }
    for (struct jg_map_entry *each = NULL; (each = jg_map_next(&class->tickets, each));) {
        const struct jg_memory_ticket *ticket = (const struct jg_memory_ticket *)each;
        if (ticket->position)
            add_busy(ticket->position, op);
    }
}

enum jg_err
jg_memory_take(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    int64_t limit = jg_memory_limit(class, class->limit);
    bool known = class->told || class->override.set;
    bool gated = limit != 0 || class->lease || class->capacity > 0 || class->per_key > 0;
    int64_t barred = (int64_t)op->item_count, followed = 0;
    (void)jg_memory_reap(class, now_ms);
    bool gives = known && limit >= 0 && (!gated || jg_memory_settle(class, now_ms, op));
    op->load_now = -1;
    op->gauge = JG_GAUGE_FINE;
    op->reason = known && limit >= 0 && !gives ? JG_REASON_GRACE : JG_REASON_NONE;
    op->granted = 0;
    if (gives)
        barred = grant_all(class, now_ms, limit, gated, op, &followed);
    else if (op->grants)
        memset(op->grants, JG_GRANT_NONE, op->item_count);
    op->limit_now = limit;
    op->max_age_now_ms = class->max_age_ms;
    op->per_key_now = class->per_key;
    op->running = (int64_t) class->run.count;
    op->tickets = (int64_t) class->tickets.count;
    tell_pace(class, now_ms, op);
    tell_busy(class, op);
    if (op->held_in >= 0) {
        class->held = op->held_in > op->granted ? op->held_in - op->granted : 0;
        class->oldest_held_ms = class->held ? op->oldest_held_in : 0;
        class->held_follow_ups = class->held && op->follow_ups_in > followed ? op->follow_ups_in - followed : 0;
        if (!class->held)
            class->waiting = 0;
        else if (class->lease == JG_LEASE_KEY || class->per_key > 0)
            class->waiting = barred;
    }
    return JG_OK;
}

enum jg_err
jg_memory_place(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    op->changed = false;
    for (size_t i = 0; i + 1 < op->item_count; i += 2) {
        struct jg_memory_ticket *ticket = (struct jg_memory_ticket *)jg_map_find(&class->tickets, op->items[i], now_ms);
        if (!ticket)
            continue;
        char *position = strdup(op->items[i + 1]);
        if (!position)
            return JG_ENOMEM;
        free(ticket->position);
        ticket->position = position;
        op->changed = true;
    }
    class->tallies[JG_TALLY_RESUMED] += (int64_t)(op->item_count / 2);
    return JG_OK;
}

enum jg_err
jg_memory_drop(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    (void)now_ms;
    op->changed = false;
    for (size_t i = 0; i < op->item_count; i++)
        if (jg_memory_drop_ticket(class, op->items[i]))
            op->changed = true;
    if (op->changed)
        jg_memory_wake_resumer(class);
    return JG_OK;
}

enum jg_err
jg_memory_bury(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_claim *claim = jg_memory_find_claim(class, op, now_ms);
    jg_memory_follow_bury(class, now_ms, op);
    if (jg_memory_is_owner(claim, op)) {
        op->changed = claim->state != JG_CLAIM_RUNNING;
        if (op->changed)
            (void)jg_memory_pass_on(class, claim, now_ms, op);
    } else {
        op->changed = claim && jg_memory_forget_candidate(claim, op->jid);
    }
    if (jg_memory_drop_ticket(class, op->jid))
        jg_memory_wake_resumer(class);
    struct jg_memory_chain *chain = jg_memory_find_chain(class, op->jid, now_ms);
    if (chain && chain->number <= jg_memory_number(op->jid))
        chain->entry.expires_ms = now_ms + JG_DONE_TTL_MS;
    class->tallies[JG_TALLY_BURIED]++;
    return JG_OK;
}

static enum jg_err
note_instance(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    struct jg_memory_instance *instance =
        (struct jg_memory_instance *)jg_map_make(&class->instances, op->member, sizeof *instance, INT64_MIN);
    if (!instance)
        return JG_ENOMEM;
    instance->limit = op->limit;
    instance->told_ms = now_ms;
    instance->entry.expires_ms = now_ms + JG_INSTANCE_TOLD_MS + 1;
    if (class->instances.count > JG_REPORT_INSTANCES)
        jg_map_remove_expired(&class->instances, now_ms);
    return JG_OK;
}

enum jg_err
jg_memory_sync(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_override *stored = &class->override;
    if (!op->override_now) {
        if (note_instance(class, now_ms, op))
            return JG_ENOMEM;
        class->told = true;
        class->limit = op->limit;
        class->ahead = op->resume_ahead;
        class->max_age_ms = op->hold_max_age_ms;
        class->lease = op->lease;
        class->capacity = op->capacity;
        class->per_key = op->per_key;
        class->by_slots = jg_op_has_slots(op);
        snprintf(class->load_key, sizeof class->load_key, "%s", op->load_key && !class->by_slots ? op->load_key : "");
        snprintf(class->work_key, sizeof class->work_key, "%s", op->work_key ? op->work_key : "");
    }
    if (op->override_now || op->override_in.at_ms > stored->at_ms) {
        int64_t after_ms = stored->at_ms + 1 > now_ms ? stored->at_ms + 1 : now_ms;
        int64_t at_ms = op->override_now ? after_ms : op->override_in.at_ms;
        *stored = (struct jg_override){
            .set = op->override_in.set, .limit = op->override_in.set ? op->override_in.limit : 0, .at_ms = at_ms};
        class->woke = true;
    }
    op->override = *stored;
    return JG_OK;
}
