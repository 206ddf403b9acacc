/* SPDX-License-Identifier: Apache-2.0 */
/* Scenes of jobs that wait: for a slot of their tenant, ahead of their turn, for a slot downstream, for the end of
 * their original. */
#include "cli/demo_waiting.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/demo_steps.h"
#include "plugin/jobgate.h"

enum { V, W, X, Y, Z, BA, BA1, BA2, DONE, CA, CB, CC };

static struct jg_demo_job jobs[] = {
    [V] = {JG_DEMO_TENANTS, "[\"acme\",1]", "to the second topic; tenant acme", .name = "V", .second = true},
    [W] = {JG_DEMO_TENANTS, "[\"acme\",2]", "to the first topic; acme again", .name = "W"},
    [X] = {JG_DEMO_TENANTS, "[\"bolt\",3]", "behind W; another tenant", .name = "X"},
    [Y] = {JG_DEMO_AHEAD, "[1]", "to the second topic", .name = "Y", .second = true},
    [Z] = {JG_DEMO_AHEAD, "[2]", "to the first topic", .name = "Z"},
    [BA] = {JG_DEMO_SLOTS, "[]", "nothing equal is known", .name = "BA"},
    [BA1] = {JG_DEMO_SLOTS, "[]", .name = "BA-1"},
    [BA2] = {JG_DEMO_SLOTS, "[]", .name = "BA-2"},
    [CA] = {JG_DEMO_FOLLOWED, "[8]", "to the second topic; nothing equal is known", .name = "CA", .second = true},
    [CB] = {JG_DEMO_FOLLOWED, "[8]", "to the first topic; equal to CA, which runs", .name = "CB"},
    [CC] = {JG_DEMO_FOLLOWED, "[8]", "equal to both, and newer than CB", .name = "CC"},
    [DONE] = {"ImportDone", "[1]", "from the importer; with BA's slot in jobgate-release", .name = "done"},
};

bool
jg_demo_tenants(struct jg_demo *demo)
{
    return jg_step_accepted(demo, &jobs[V]) && jg_step_starts(demo, &jobs[V], "it takes the one slot of acme") &&
           jg_step_accepted(demo, &jobs[W]) && jg_step_held(demo, &jobs[W]) && jg_step_accepted(demo, &jobs[X]) &&
           jg_step_starts(demo, &jobs[X], "nothing of bolt runs or is held: it goes at once") &&
           jg_step_ended(demo, &jobs[X], "acme's job still runs") &&
           jg_step_ended(demo, &jobs[V], "acme's slot is free, which wakes the resumer") &&
           jg_step_resumed(demo, &jobs[W]) && jg_step_finished(demo, &jobs[W], "W and X are done, each ran once") &&
           jg_step_finished(demo, &jobs[V], "V is done");
}

/* The end of the first topic, as any client sees it. */
static int64_t
end_offset(const struct jg_demo *demo)
{
    int64_t low = -1, high = -1;
    (void)rd_kafka_query_watermark_offsets(demo->plain, demo->topics[0], 0, &low, &high, JG_DEMO_WAIT_MS);
    return high;
}

/* Nobody polls meanwhile, so that the other job goes on running. */
static bool
is_back_already(struct jg_demo *demo, const struct jg_demo_job *job, int64_t deadline_ms)
{
    while (end_offset(demo) <= job->offset + 1)
        if (jg_clock_ms() > deadline_ms)
            return jg_demo_refute(demo, "%s is not brought back ahead of its turn", job->name);
    jg_demo_row(demo, JG_DEMO_GOOD, "broker", "so that the slot does not wait for it when it gets free",
                "%s is in its topic again while Y runs", job->name);
    return true;
}

bool
jg_demo_ahead(struct jg_demo *demo)
{
    return jg_step_accepted(demo, &jobs[Y]) && jg_step_starts(demo, &jobs[Y], "it takes the one slot of its class") &&
           jg_step_accepted(demo, &jobs[Z]) && jg_step_held(demo, &jobs[Z]) &&
           is_back_already(demo, &jobs[Z], jg_clock_ms() + JG_DEMO_WAIT_MS) &&
           jg_step_ended(demo, &jobs[Y], "its slot is free") && jg_step_resumed(demo, &jobs[Z]) &&
           jg_step_finished(demo, &jobs[Z], "Z is done, and ran once") && jg_step_finished(demo, &jobs[Y], "Y is done");
}

/* --- slots --- */

/* The job finds its slot in a header, and hands it on with the work. */
static bool
imports(struct jg_demo *demo, const struct jg_demo_job *job, int64_t left)
{
    char why[80];
    if (!jg_demo_header(job, JOBGATE_HEADER_SLOT)[0])
        return jg_demo_refute(demo, "%s has no slot", job->name);
    jg_demo_print_headers(job, JOBGATE_HEADER_SLOT);
    snprintf(why, sizeof why, "it goes on after the job; %lld account%s left", (long long)left,
             left == 1 ? " is" : "s are");
    jg_demo_row(demo, JG_DEMO_PLAIN, demo->consumers[job->second].name, why, "%s starts an import", job->name);
    return jg_demo_set_gauge(demo, JG_DEMO_ACCOUNTS, left);
}

static bool
goes_on(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *before, int64_t left)
{
    if (!jg_step_expect(demo, job, before) || !jg_demo_consume_successor(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name, "1 of 2 slots is taken:", "%s starts",
                job->name);
    return imports(demo, job, left);
}

static bool
is_full(struct jg_demo *demo, struct jg_demo_job *job, struct jg_demo_job *before)
{
    int64_t count = demo->counter("held") + 1;
    if (!jg_step_expect(demo, job, before) || !jg_step_ended(demo, before, "2 of 2 slots are taken") ||
        !jg_demo_end(demo, before, "held", count))
        return false;
    jg_demo_row(demo, JG_DEMO_DROPPED, "plugin", "it waits for a slot in <topic>.held.<class>", "%s is held",
                job->name);
    return true;
}

static bool
import_ends(struct jg_demo *demo, struct jg_demo_job *message, const struct jg_demo_job *job)
{
    snprintf(message->release, sizeof message->release, "%s", jg_demo_header(job, JOBGATE_HEADER_SLOT));
    return jg_step_delivered(demo, message) && jg_step_starts(demo, message, "as it is consumed, that slot is free");
}

static bool
comes_back(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_demo_consume_resumed(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name,
                "a slot is free, so it was resumed:", "%s starts", job->name);
    jg_demo_print_headers(job, JOBGATE_HEADER_HELD_REASON);
    return imports(demo, job, 0);
}

bool
jg_demo_slots(struct jg_demo *demo)
{
    return jg_demo_set_gauge(demo, JG_DEMO_ACCOUNTS, 3) && jg_step_accepted(demo, &jobs[BA]) &&
           jg_step_starts(demo, &jobs[BA], "no slot is taken:") && imports(demo, &jobs[BA], 2) &&
           goes_on(demo, &jobs[BA1], &jobs[BA], 1) && is_full(demo, &jobs[BA2], &jobs[BA1]) &&
           import_ends(demo, &jobs[DONE], &jobs[BA]) && comes_back(demo, &jobs[BA2]) &&
           jg_step_ended(demo, &jobs[BA2], "no account is left, so nothing is enqueued") &&
           jg_step_finished(demo, &jobs[BA2], "every job of the chain is done, each ran once");
}

/* --- follow-ups --- */

/* It goes out as what may have to run after `original`. */
static bool
is_to_follow(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *original)
{
    if (!jg_step_delivered(demo, job))
        return false;
    if (strcmp(jg_demo_header(job, JOBGATE_HEADER_CANDIDATE_OF), jg_demo_header(original, JOBGATE_HEADER_JID)) != 0 ||
        !jg_demo_header(job, JOBGATE_HEADER_FOLLOW_UP)[0])
        return jg_demo_refute(demo, "%s is not sent as a follow-up of %s", job->name, original->name);
    demo->claims++;
    if (!jg_demo_await_confirmed(demo))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, "producer", "not dropped: the latest of those runs", "%s is to follow %s",
                job->name, original->name);
    return true;
}

static bool
waits(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_demo_consume_held(demo, job))
        return false;
    demo->moves++;
    jg_demo_row(demo, JG_DEMO_DROPPED, demo->consumers[job->second].name, "CA runs; it waits in <topic>.held.<class>",
                "%s is held", job->name);
    return true;
}

static bool
follows(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_demo_consume_resumed(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name, "CA has ended, so it was resumed:", "%s starts",
                job->name);
    jg_demo_print_headers(job, JOBGATE_HEADER_HELD_REASON);
    return jg_step_store_holds(demo, job, JG_CLAIM_RUNNING, job);
}

bool
jg_demo_follow_up(struct jg_demo *demo)
{
    return jg_step_accepted(demo, &jobs[CA]) && jg_step_starts(demo, &jobs[CA], "its claim stays until it has ended") &&
           is_to_follow(demo, &jobs[CB], &jobs[CA]) && is_to_follow(demo, &jobs[CC], &jobs[CA]) &&
           jg_step_skipped(demo, &jobs[CB]) && waits(demo, &jobs[CC]) &&
           jg_step_ended(demo, &jobs[CA], "its claim goes to CC, and the resumer wakes") && follows(demo, &jobs[CC]) &&
           jg_step_finished(demo, &jobs[CC], "CC is done, and ran once; CB never did") &&
           jg_step_finished(demo, &jobs[CA], "CA is done") && jg_step_store_holds(demo, &jobs[CA], JG_CLAIM_NONE, NULL);
}

const struct jg_demo_job *
jg_demo_follow_up_job(void)
{
    return &jobs[CC];
}
