/* SPDX-License-Identifier: Apache-2.0 */
/* The story: eleven promises, each shown step by step. A step returns false when it did not come out as promised; the
 * story ends there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/demo_events.h"
#include "cli/demo_steps.h"
#include "cli/demo_waiting.h"
#include "plugin/jobgate.h"

#define EMAIL "EmailWorker"
#define REPORT "ReportWorker"
#define CHARGE "ChargeWorker"
#define INDEX JG_DEMO_LIMITED

#define ENQUEUER JG_DEMO_ENQUEUER
#define STRICT JG_DEMO_STRICT

enum { A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, R1, R2, R3, S, T, T1, T2, U };

static struct jg_demo_job jobs[] = {
    [A] = {EMAIL, "[42]", "nothing equal is known", .name = "A", .show_headers = true},
    [B] = {EMAIL, "[42]", "equal to A, which is queued", .name = "B", .show_headers = true},
    [C] = {EMAIL, "[42]", "the same, in another order and spacing", .name = "C", .other_spelling = true},
    [D] = {EMAIL, "[42]", "equal to A, which runs at this moment", .name = "D"},
    [E] = {REPORT, "[7]", "nothing equal is known", .name = "E"},
    [F] = {REPORT, "[7]", "equal to E, which runs at this moment", .name = "F"},
    [G] = {REPORT, "[7]", "equal to E, which has ended", .name = "G"},
    [H] = {EMAIL, "[42]", "nothing equal is queued", .name = "H"},
    [I] = {EMAIL, "[43]", "another number than H's", .name = "I"},
    [J] = {EMAIL, "[\"42\"]", "a string is no number", .name = "J"},
    [K] = {CHARGE, "[1]", "nothing equal is known", .name = "K"},
    [L] = {CHARGE, "[1]", "equal to K, which is queued", .name = "L"},
    [M] = {CHARGE, "[1]", "equal to K, which runs at this moment", .name = "M"},
    [N] = {INDEX, "[1]", "to the second topic; nothing equal is known", .name = "N", .second = true},
    [O] = {INDEX, "[2]", "to the first topic; other arguments than N's", .name = "O"},
    [P] = {INDEX, "[2]", "equal to O, which is held", .name = "P"},
    [Q] = {INDEX, "[2]", "to the second topic; equal to O, which runs", .name = "Q", .second = true},
    [R] = {ENQUEUER, "[]", "nothing equal is known", .name = "R"},
    [R1] = {ENQUEUER, "[]", .name = "R-1"},
    [R2] = {ENQUEUER, "[]", .name = "R-2"},
    [R3] = {ENQUEUER, "[]", .name = "R-3"},
    [S] = {ENQUEUER, "[]", "to the second topic; equal to R, which runs", .name = "S", .second = true},
    [T] = {STRICT, "[]", "nothing equal is known", .name = "T"},
    [T1] = {STRICT, "[]", .name = "T-1"},
    [T2] = {STRICT, "[]", .name = "T-2"},
    [U] = {STRICT, "[]", "equal to T, which runs at this moment", .name = "U"},
};

/* --- steps of a chain --- */

static bool
counts(struct jg_demo *demo, int64_t migrations, int64_t accounts)
{
    if (!jg_demo_set_gauge(demo, JG_DEMO_MIGRATIONS, migrations) ||
        !jg_demo_set_gauge(demo, JG_DEMO_ACCOUNTS, accounts))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "program", "what it keeps in the two gauges of capacity",
                "%lld migrations run, %lld accounts wait", (long long)migrations, (long long)accounts);
    return true;
}

static int64_t
token_of(const struct jg_demo_job *job)
{
    return job ? strtoll(jg_demo_header(job, JOBGATE_HEADER_LEASE_TOKEN), NULL, 10) : 0;
}

/* What a job that was handed out does: it starts a migration, which goes on after the job. `before`: the one that had
 * the lease before it, or NULL. */
static bool
migrates(struct jg_demo *demo, const struct jg_demo_job *job, const struct jg_demo_job *before)
{
    char why[80];
    int64_t load = demo->gauges[JG_DEMO_MIGRATIONS].value + 1;
    int64_t work = demo->gauges[JG_DEMO_ACCOUNTS].value - 1;
    jg_demo_print_headers(job, JOBGATE_HEADER_JID);
    jg_demo_print_headers(job, JOBGATE_HEADER_LEASE_TOKEN);
    if (token_of(job) <= token_of(before))
        return jg_demo_refute(demo, "the fencing token of %s has not grown", job->name);
    if (!jg_demo_set_gauge(demo, JG_DEMO_MIGRATIONS, load) || !jg_demo_set_gauge(demo, JG_DEMO_ACCOUNTS, work))
        return false;
    snprintf(why, sizeof why, "it adds 1 to the gauge of load; %lld account%s left", (long long)work,
             work == 1 ? " is" : "s are");
    jg_demo_row(demo, JG_DEMO_PLAIN, demo->consumers[job->second].name, why, "%s starts a migration: load %lld",
                job->name, (long long)load);
    return true;
}

static bool
migration_ends(struct jg_demo *demo)
{
    int64_t load = demo->gauges[JG_DEMO_MIGRATIONS].value - 1;
    if (!jg_demo_set_gauge(demo, JG_DEMO_MIGRATIONS, load))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "program", "it takes 1 from the gauge, where the resumer looks",
                "a migration ends: load %lld", (long long)load);
    return true;
}

/* `before` ends, and is enqueued again as `job`. */
static bool
goes_on(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *before)
{
    if (!jg_step_expect(demo, job, before) || !jg_demo_consume_successor(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name,
                "load is below 3, so it was enqueued by itself:", "%s starts", job->name);
    return migrates(demo, job, before);
}

/* `before` ends, and `job` waits. */
static bool
is_full(struct jg_demo *demo, struct jg_demo_job *job, struct jg_demo_job *before)
{
    int64_t count = demo->counter("held") + 1;
    if (!jg_step_expect(demo, job, before) ||
        !jg_step_ended(demo, before, "its lease is free; load 3 is at capacity") ||
        !jg_demo_end(demo, before, "held", count))
        return false;
    jg_demo_row(demo, JG_DEMO_DROPPED, "plugin", "enqueued by itself, into <topic>.held.<class>", "%s is held",
                job->name);
    return jg_step_store_holds(demo, job, JG_CLAIM_HELD, job);
}

static bool
comes_back(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *before)
{
    if (!jg_demo_consume_resumed(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name,
                "load is below 3, so it was resumed:", "%s starts", job->name);
    if (strcmp(jg_demo_header(job, JOBGATE_HEADER_HELD_REASON), "capacity") != 0)
        return jg_demo_refute(demo, "%s was held for another reason than capacity", job->name);
    jg_demo_print_headers(job, JOBGATE_HEADER_HELD_REASON);
    jg_demo_print_headers(job, JOBGATE_HEADER_RESUMED);
    return migrates(demo, job, before);
}

/* The other one runs, and it is not needed. */
static bool
ends_as_noop(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_demo_consume_noop(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_DROPPED, demo->consumers[job->second].name, "the lease is taken; poll: _PARTITION_EOF",
                "%s ends at once, as a no-op", job->name);
    return jg_step_store_holds(demo, job, JG_CLAIM_NONE, NULL);
}

static bool
chain_ends(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_step_ended(demo, job, "no account is left, so nothing is enqueued") ||
        !jg_step_finished(demo, job, "every job of the chain is done, each ran once"))
        return false;
    /* All are acknowledged: else no offset past them would be committed. */
    return demo->counter("reenqueued") + demo->counter("held") == demo->moves ||
           jg_demo_refute(demo, "%s was enqueued again", job->name);
}

/* --- scenes --- */

static bool
consumers_come(struct jg_demo *demo)
{
    if (demo->mock)
        jg_demo_row(demo, JG_DEMO_PLAIN, "consumer", "consumer 2 takes the other; on a real Kafka they subscribe",
                    "takes its topic");
    else
        jg_demo_row(demo, JG_DEMO_PLAIN, "consumer", "so does consumer 2; joining a group takes seconds", "subscribes");
    if (!jg_demo_start_consumers(demo))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "consumer", "the program is busy elsewhere, so jobs queue", "does not poll yet");
    return true;
}

static bool
until_executing(struct jg_demo *demo)
{
    return consumers_come(demo) && jg_step_accepted(demo, &jobs[A]) && jg_step_dropped(demo, &jobs[B], &jobs[A]) &&
           jg_step_dropped(demo, &jobs[C], &jobs[A]) &&
           jg_step_store_holds(demo, &jobs[A], JG_CLAIM_QUEUED, &jobs[A]) &&
           jg_step_starts(demo, &jobs[A], "as a job starts, its claim is released") &&
           jg_step_store_holds(demo, &jobs[A], JG_CLAIM_NONE, NULL) && jg_step_accepted(demo, &jobs[D]) &&
           jg_step_skipped(demo, &jobs[B]) && jg_step_skipped(demo, &jobs[C]) &&
           jg_step_starts(demo, &jobs[D], "accepted again, so it runs, after A") &&
           jg_step_finished(demo, &jobs[D], "A and D are done, each ran once");
}

static bool
until_executed(struct jg_demo *demo)
{
    return jg_step_accepted(demo, &jobs[E]) && jg_step_starts(demo, &jobs[E], "its claim stays until it has ended") &&
           jg_step_store_holds(demo, &jobs[E], JG_CLAIM_RUNNING, &jobs[E]) &&
           jg_step_dropped(demo, &jobs[F], &jobs[E]) && jg_step_skipped(demo, &jobs[F]) &&
           jg_step_finished(demo, &jobs[E], "E is done, its claim is released") &&
           jg_step_store_holds(demo, &jobs[E], JG_CLAIM_NONE, NULL) && jg_step_accepted(demo, &jobs[G]) &&
           jg_step_starts(demo, &jobs[G], "accepted again") && jg_step_finished(demo, &jobs[G], "G is done");
}

static bool
other_arguments(struct jg_demo *demo)
{
    return jg_step_accepted(demo, &jobs[H]) && jg_step_accepted(demo, &jobs[I]) && jg_step_accepted(demo, &jobs[J]) &&
           jg_step_starts(demo, &jobs[H], "no duplicate of anything") &&
           jg_step_starts(demo, &jobs[I], "nor is this") && jg_step_starts(demo, &jobs[J], "nor this") &&
           jg_step_finished(demo, &jobs[J], "H, I and J are done");
}

static bool
reject(struct jg_demo *demo)
{
    return jg_step_accepted(demo, &jobs[K]) && jg_step_rejected(demo, &jobs[L], &jobs[K]) &&
           jg_step_starts(demo, &jobs[K], "its claim is released") && jg_step_accepted(demo, &jobs[M]) &&
           jg_step_starts(demo, &jobs[M], "L never came") && jg_step_finished(demo, &jobs[M], "K and M are done");
}

static bool
limit(struct jg_demo *demo)
{
    return jg_step_accepted(demo, &jobs[N]) && jg_step_starts(demo, &jobs[N], "it takes the one slot of its class") &&
           jg_step_accepted(demo, &jobs[O]) && jg_step_held(demo, &jobs[O]) &&
           jg_step_dropped(demo, &jobs[P], &jobs[O]) && jg_step_store_holds(demo, &jobs[O], JG_CLAIM_HELD, &jobs[O]) &&
           jg_step_skipped(demo, &jobs[P]) &&
           jg_step_ended(demo, &jobs[N], "its slot is free, which wakes the resumer") &&
           jg_step_resumed(demo, &jobs[O]) && jg_step_store_holds(demo, &jobs[O], JG_CLAIM_NONE, NULL) &&
           jg_step_accepted(demo, &jobs[Q]) && jg_step_ended(demo, &jobs[O], "its slot is free, and nothing is held") &&
           jg_step_starts(demo, &jobs[Q], "accepted again, so it runs, after O") &&
           jg_step_finished(demo, &jobs[O], "O is done, and ran once") &&
           jg_step_finished(demo, &jobs[Q], "N and Q are done");
}

static bool
enqueuer(struct jg_demo *demo)
{
    return counts(demo, 0, 4) && jg_step_accepted(demo, &jobs[R]) &&
           jg_step_starts(demo, &jobs[R], "its claim is released, and it gets the lease:") &&
           migrates(demo, &jobs[R], NULL) && jg_step_store_holds(demo, &jobs[R], JG_CLAIM_NONE, NULL) &&
           jg_step_accepted(demo, &jobs[S]) && ends_as_noop(demo, &jobs[S]) && goes_on(demo, &jobs[R1], &jobs[R]) &&
           goes_on(demo, &jobs[R2], &jobs[R1]) && is_full(demo, &jobs[R3], &jobs[R2]) && migration_ends(demo) &&
           comes_back(demo, &jobs[R3], &jobs[R2]) && chain_ends(demo, &jobs[R3]) &&
           jg_step_finished(demo, &jobs[S], "S is done, and did nothing");
}

static bool
strict_enqueuer(struct jg_demo *demo)
{
    return counts(demo, 0, 3) && jg_step_accepted(demo, &jobs[T]) &&
           jg_step_starts(demo, &jobs[T], "it gets the lease, and keeps its claim:") &&
           migrates(demo, &jobs[T], NULL) && jg_step_dropped(demo, &jobs[U], &jobs[T]) &&
           jg_step_store_holds(demo, &jobs[T], JG_CLAIM_RUNNING, &jobs[T]) && jg_step_skipped(demo, &jobs[U]) &&
           goes_on(demo, &jobs[T1], &jobs[T]) && jg_step_store_holds(demo, &jobs[T1], JG_CLAIM_RUNNING, &jobs[T1]) &&
           goes_on(demo, &jobs[T2], &jobs[T1]) && chain_ends(demo, &jobs[T2]) &&
           jg_step_store_holds(demo, &jobs[T2], JG_CLAIM_NONE, NULL);
}

static const struct {
    const char *title;
    const char *about;
    const char *promise;
    bool (*show)(struct jg_demo *demo);
} scenes[] = {
    {"1. until_executing: from being produced until it starts, a job keeps equal ones out", NULL,
     "B and C, equal to a queued job, never ran; D, produced after that job had started, did", until_executing},
    {"2. until_executed: until it has ended, a job keeps equal ones out", NULL,
     "F, equal to a running job, never ran; G, produced after that job had ended, did", until_executed},
    {"3. Other arguments make another job", NULL, "H, I and J, of different arguments, all ran", other_arguments},
    {"4. dedup.action=reject: the producing program is told", NULL, "L's produce call failed; M, produced later, ran",
     reject},
    {"5. Dedup before deferral. limit=1: one job of the class runs, over all topics and consumers",
     "   O claims its key as it is produced; over the limit it is held, and keeps its claim, so its equal P is dropped "
     "at\n"
     "   once. O alone comes back, and is not checked for duplicates again; its claim is released as it starts.",
     "O was held while N ran, kept its equal P out, and came back; Q, produced after O had started, ran", limit},
    {"6. Re-enqueue under dedup. capacity=3, lease=class: a job that fills capacity by enqueuing itself again",
     "   R starts a migration, and as it ends it is enqueued again, until 3 migrations run. Were its claim kept until "
     "it\n"
     "   has ended, the new job would be its duplicate; so it is kept until R starts, and a lease lets no two of them\n"
     "   run together: S, the second one, ends at once.",
     "R went on as R-1 and R-2, until 3 migrations ran, and R-3 when one had ended; S, its equal, was a no-op",
     enqueuer},
    {"7. The same, until_executed: the claim is handed on in the step that ends the job",
     "   The claim of T stays until it has ended, and keeps U out; its successor is no duplicate, for it gets the "
     "claim.",
     "T went on as T-1 and T-2, until 3 migrations ran, and yet its equal U never ran", strict_enqueuer},
    {"8. limit.key: one job of each tenant at a time, and a held one stands in nobody else's way", NULL,
     "W was held while V of the same tenant ran; X, behind it and of another, ran at once", jg_demo_tenants},
    {"9. resume.ahead: a held job is brought back before its slot is free, so that no slot waits for it",
     "   Here by a number; by itself (auto) jobgate finds the one that keeps slots busy.",
     "Z was in its topic again while Y ran, and started when Y had ended", jg_demo_ahead},
    {"10. capacity.load=slots: each run takes a slot, and a message that is consumed later frees it",
     "   No gauge is kept: a job finds its slot in a header, and whatever ends its work hands that back.",
     "BA went on as BA-1 until both slots were taken, and BA-2 when a message had freed one", jg_demo_slots},
    {"11. dedup.follow.up: the latest duplicate that comes while a job runs, runs after it, once",
     "   What changed while CA ran, it may have missed. CB and CC come in that time; CC, with the latest payload, "
     "stands "
     "for\n"
     "   both, is held until CA has ended, and gets its claim.",
     "Of CB and CC, produced while CA ran, the latest ran after CA, once", jg_demo_follow_up},
    {"12. jobgate.events.topic: what becomes of each job, as Avro records in a topic of your own",
     "   Any program can read them (schemas/event.avsc); `jobgate tail` prints them as they come.",
     "CC's whole life was in the events topic", jg_demo_events},
};

bool
jg_demo_tell(struct jg_demo *demo)
{
    const size_t count = sizeof scenes / sizeof *scenes;
    size_t kept = 0;
    while (kept < count) {
        jg_demo_title(demo, scenes[kept].title);
        jg_demo_about(scenes[kept].about);
        if (!scenes[kept].show(demo))
            break;
        kept++;
    }
    jg_demo_title(demo, kept == count ? "All as promised" : "NOT as promised");
    for (size_t i = 0; i < count; i++)
        printf("  %-9s %s\n", i < kept ? "shown" : i == kept ? "REFUTED" : "not shown", scenes[i].promise);
    return kept == count;
}
