/* SPDX-License-Identifier: Apache-2.0 */
/* Why does this job not run? Every reason of enum jg_reason has its answer here: for what the store remembers of the
 * job itself, for what keeps its class from starting any, and for what its messages say. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/capacity.h"
#include "cli/explain.h"
#include "cli/limits.h"
#include "cli/runs.h"

static const char *const texts[] = {
    [JG_REASON_NONE] = "nothing is in its way",
    [JG_REASON_LIMIT] = "its class ran as many jobs as it may",
    [JG_REASON_BEHIND] = "others of its class were held, or on their way back, and it goes behind them",
    [JG_REASON_PAUSED] = "its class was paused",
    [JG_REASON_GRACE] = "the store had lost its data, and consumers were telling it what runs",
    [JG_REASON_FULL] = "as many of its class were held as may be",
    [JG_REASON_LEASE] = "another run held the lease",
    [JG_REASON_CAPACITY] = "the load was at capacity",
    [JG_REASON_KEY] = "as many jobs of its limit.key value ran as may",
    [JG_REASON_RETRY] = "it had failed, and waits for its backoff to be over",
    [JG_REASON_DONE] = "it had ended already",
    [JG_REASON_TAKEN] = "another run held the lease, so it was a no-op",
    [JG_REASON_FOLLOW_UP] = "its original had not ended, or a newer follow-up might come",
    [JG_REASON_COPY] = "another copy of it, or a later one of its chain, was started",
};

const char *
jg_cli_reason_text(enum jg_reason reason)
{
    return texts[reason];
}

const struct jg_duplicate_report *
jg_explained_duplicate(const struct jg_explained *explained, const char *jid)
{
    for (size_t i = 0; i < explained->duplicate_count; i++)
        if (strcmp(explained->duplicates[i].jid, jid) == 0)
            return &explained->duplicates[i];
    return NULL;
}

static void add(struct jg_explained *explained, const char *reason, const char *fmt, ...) JG_PRINTF(3, 4);

static void
add(struct jg_explained *explained, const char *reason, const char *fmt, ...)
{
    if (explained->why_count == JG_WHYS)
        return;
    struct jg_why *why = &explained->whys[explained->why_count++];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
    why->reason = reason;
}

/* --- what the store remembers of the job itself --- */

static void
why_over(struct jg_explained *explained)
{
    const struct jg_job_report *job = &explained->job;
    int64_t number = jg_jid_number(explained->subject);
    if (job->done && job->next[0])
        add(explained, jg_reason_name(JG_REASON_DONE),
            "It has ended, and was enqueued again as %s. A copy of it that comes is skipped.", job->next);
    else if (job->done)
        add(explained, jg_reason_name(JG_REASON_DONE), "It has ended%s. A copy of it that comes is skipped.",
            explained->class_report.lease == JG_LEASE_NONE
                ? ""
                : ", or was a no-op since another run held the lease (reason taken)");
    else if (job->chain_number > number)
        add(explained, jg_reason_name(JG_REASON_COPY),
            "Number %lld of its chain has started, and this is number %lld: it is over, and a copy of it that comes is "
            "skipped.",
            (long long)job->chain_number, (long long)number);
    else if (job->chain_number == number && job->chain_member[0])
        add(explained, jg_reason_name(JG_REASON_COPY),
            "It started as %s, and that run is not renewed any more. It comes again when its consumer died; at any "
            "other "
            "position it is a copy, and is skipped.",
            job->chain_member);
}

static void
why_duplicate(struct jg_explained *explained)
{
    const struct jg_duplicate_report *duplicate = jg_explained_duplicate(explained, explained->subject);
    if (duplicate && !duplicate->candidate)
        add(explained, "duplicate", "It was turned away as a duplicate of %s, which was %s then.", duplicate->original,
            jg_claim_state_name(duplicate->original_state));
}

/* --- what keeps its class from starting any --- */

static void
why_capacity(struct jg_explained *explained)
{
    const struct jg_class_report *report = &explained->class_report;
    if (!jg_cli_capacity_is_full(report))
        return;
    if (report->load < 0)
        add(explained, jg_reason_name(JG_REASON_CAPACITY),
            "The gauge of load, Redis key '%s', holds no number, so it counts as full. `jobgate capacity %s` tells the "
            "cure.",
            report->load_key, explained->class_name);
    else if (report->slots)
        add(explained, jg_reason_name(JG_REASON_CAPACITY),
            "All %lld capacity slots are taken: no job of the class starts until a jobgate-release comes, or the first "
            "slot's time is over. `jobgate capacity %s --slots` lists them.",
            (long long)report->capacity, explained->class_name);
    else
        add(explained, jg_reason_name(JG_REASON_CAPACITY),
            "Load is %lld, and capacity %lld: no job of the class starts until load falls below it.",
            (long long)report->load, (long long)report->capacity);
}

static void
why_lease(struct jg_explained *explained)
{
    struct jg_cli_run run;
    char left[JG_TIME_CHARS];
    const struct jg_lease_report *lease = &explained->lease;
    if (!lease->member[0] || !lease->expires_ms || !jg_cli_run_parse(lease->member, &run))
        return;
    jg_cli_run_left(lease->expires_ms, left);
    if (strncmp(run.jid, explained->subject, JG_CHAIN_CHARS) == 0)
        add(explained, jg_reason_name(JG_REASON_LEASE),
            "An earlier run of it, or of one before it in its chain, holds the lease (%s at %s). It is held until that "
            "run ends, or expires in %s unless it is renewed.",
            run.instance, run.position, left);
    else
        add(explained, jg_reason_name(JG_REASON_LEASE),
            "Job %s holds the lease, on %s at %s, and it expires in %s unless it is renewed. This one is held until it "
            "is free; with lease.taken=skip it ends as a no-op when it comes up (reason taken).",
            run.jid, run.instance, run.position, left);
}

static void
why_key(struct jg_explained *explained)
{
    const struct jg_key_report *key = &explained->key_report;
    int64_t per_key = explained->class_report.per_key;
    if (explained->limit_key[0] && per_key && key->running + key->tickets >= per_key && !explained->job.ticket)
        add(explained, jg_reason_name(JG_REASON_KEY),
            "Of its value of limit.key (%s) %lld run and %lld are on their way back, and limit.per.key is %lld: it "
            "waits for one of them to end.",
            explained->limit_key, (long long)key->running, (long long)key->tickets, (long long)per_key);
}

/* Those before it; the oldest come back first. */
static void
why_behind(struct jg_explained *explained, bool is_held)
{
    const struct jg_class_report *report = &explained->class_report;
    int64_t others = report->held - (is_held ? 1 : 0);
    if (others <= 0 && report->tickets <= 0)
        return;
    add(explained, jg_reason_name(JG_REASON_BEHIND),
        "Of its class %lld %s held and %lld on their way back: %s. `jobgate held %s` lists them.",
        (long long)report->held, report->held == 1 ? "is" : "are", (long long)report->tickets,
        is_held ? "those that wait longest come back first" : "it goes behind them", explained->class_name);
}

static void
why_class(struct jg_explained *explained)
{
    const struct jg_class_report *report = &explained->class_report;
    const char *name = explained->class_name;
    bool is_held = explained->claim.state == JG_CLAIM_HELD;
    int64_t limit = jg_cli_limit_now(report);
    if (limit < 0)
        add(explained, jg_reason_name(JG_REASON_PAUSED),
            "Class '%s' is paused: none of its jobs starts until `jobgate unpause %s`.", name, name);
    else if (limit > 0 && report->running >= limit)
        add(explained, jg_reason_name(JG_REASON_LIMIT),
            "Its class runs %lld jobs, and its limit is %lld: it waits for a slot. `jobgate limit %s N` changes it.",
            (long long)report->running, (long long)limit, name);
    why_capacity(explained);
    why_lease(explained);
    why_key(explained);
    if (!explained->job.ticket)
        why_behind(explained, is_held);
    if (explained->hold_max && report->held >= explained->hold_max && !is_held && !explained->job.ticket)
        add(explained, jg_reason_name(JG_REASON_FULL),
            "%lld of its class are held, and hold.max is %lld: a consumer that comes to it stops there until there is "
            "room.",
            (long long)report->held, (long long)explained->hold_max);
    if (explained->claim.old_epoch)
        add(explained, jg_reason_name(JG_REASON_GRACE),
            "The store lost or rewound its data since: for jobgate.store.grace.ms after that no job that needs a slot "
            "or "
            "a lease starts, while consumers tell the store what runs.");
}

/* --- what its messages say --- */

static void
why_found_held(struct jg_explained *explained, const struct jg_scan_find *find)
{
    const struct jg_stamp *stamp = &find->stamp;
    char left[JG_TIME_CHARS];
    if (stamp->not_before_ms > jg_wall_ms()) {
        jg_cli_span(stamp->not_before_ms - jg_wall_ms(), left);
        add(explained, jg_reason_name(JG_REASON_RETRY),
            "It has failed %lld times, one after another, and waits for its backoff in %s: it is not resumed before %s "
            "from now.",
            (long long)stamp->attempt, find->topic, left);
    } else {
        add(explained, jg_reason_name(stamp->held_reason), "It is held in %s: %s.", find->topic,
            jg_cli_reason_text(stamp->held_reason));
    }
}

static void
why_find(struct jg_explained *explained, const struct jg_scan_find *find)
{
    bool past = jg_scan_is_past(find);
    if (find->place == JG_PLACE_DEAD)
        add(explained, "dead", "It is in %s%s%s: nothing brings it back by itself.", find->topic,
            find->dead_reason[0] ? ", reason: " : "", find->dead_reason);
    else if (find->stamp.duplicate_of[0])
        add(explained, "duplicate", "Its message at %s/%d/%lld is marked as a duplicate of %s, so consumers skip it.",
            find->topic, (int)find->partition, (long long)find->offset, find->stamp.duplicate_of);
    else if (find->place == JG_PLACE_HELD && !past)
        why_found_held(explained, find);
    else if (find->place == JG_PLACE_TOPIC && !past && find->committed >= 0)
        add(explained, "queued", "Group %s has not come past it in %s/%d: %lld messages are before it.", find->group,
            find->topic, (int)find->partition, (long long)(find->offset - find->committed));
}

/* Of one job alone: those of a key have reasons each, which are told with them. */
static void
why_finds(struct jg_explained *explained)
{
    const struct jg_scan *scan = explained->scan;
    for (size_t i = 0; scan && explained->jid[0] && i < scan->count; i++)
        if (scan->finds[i].stamped == JG_STAMP_OURS)
            why_find(explained, &scan->finds[i]);
}

/* --- when nothing of it is in the way --- */

static void
why_waits(struct jg_explained *explained)
{
    bool is_successor = jg_jid_number(explained->subject) > 0;
    if (explained->job.ticket)
        add(explained, "resuming",
            "It was resumed: it starts, before newcomers, as soon as a consumer comes to it in its topic%s%s.",
            explained->ticket.position[0] ? ", at " : "", explained->ticket.position);
    else if (explained->claim.state == JG_CLAIM_HELD && is_successor)
        add(explained, jg_reason_name(JG_REASON_RETRY),
            "It was enqueued again into the holding topic. When the one before it failed, it waits there for its "
            "backoff "
            "to be over (--scan tells until when); else the resumer brings it back when its turn comes.");
    else if (explained->claim.state == JG_CLAIM_HELD)
        add(explained, "resuming",
            "Nothing that the store knows of is in its way now: the resumer brings it back when its turn comes. Does a "
            "consumer of the group run, or `jobgate resume`? With a backoff (reason retry) it waits longer; --scan "
            "tells.");
    else if (explained->claim.state == JG_CLAIM_QUEUED)
        add(explained, "queued",
            "No consumer has come to it yet, by what the store knows: it waits for its turn in its topic. --scan tells "
            "how many are before it.");
}

void
jg_explain_why(struct jg_explained *explained)
{
    const struct jg_claim_report *claim = &explained->claim;
    bool owns = claim->state != JG_CLAIM_NONE && strcmp(claim->owner, explained->subject) == 0;
    explained->why_count = 0;
    if (!explained->subject[0] || explained->job.member[0] || (owns && claim->state == JG_CLAIM_RUNNING))
        return;
    why_over(explained);
    if (explained->why_count == 0)
        why_duplicate(explained);
    if (explained->why_count > 0)
        return;
    why_finds(explained);
    for (size_t i = 0; i < explained->why_count; i++)
        if (strcmp(explained->whys[i].reason, "dead") == 0 || strcmp(explained->whys[i].reason, "duplicate") == 0)
            return;
    /* One that the store does not know may be long over. */
    bool waits = explained->why_count > 0 || explained->job.ticket || owns;
    if (!waits)
        return;
    if (explained->class_name)
        why_class(explained);
    if (explained->why_count == 0 || explained->job.ticket)
        why_waits(explained);
}
