/* SPDX-License-Identifier: Apache-2.0 */
/* The story: seven promises, each shown step by step. A step returns false when it did not come out as promised; the
 * story ends there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/demo.h"
#include "plugin/jobgate.h"

#define SHORT_JID_CHARS 16

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

/* --- steps --- */

/* `3f2a91..07c4`: equal jobs begin alike. */
static const char *
short_jid(const char *jid, char out[SHORT_JID_CHARS])
{
    size_t bytes = strlen(jid);
    snprintf(out, SHORT_JID_CHARS, "%.6s..%s", jid, bytes > 4 ? jid + bytes - 4 : "");
    return out;
}

/* What the store holds, when it can be asked. `owner` NULL: nobody claims the key. */
static bool
store_holds(struct jg_demo *demo, const struct jg_demo_job *job, enum jg_claim_state state,
            const struct jg_demo_job *owner)
{
    struct jg_claim_report report;
    char jid[SHORT_JID_CHARS];
    if (!demo->store)
        return true;
    if (jg_store_claim_report(demo->store, job->class_name, jg_demo_header(job, JOBGATE_HEADER_KEY), &report) != JG_OK)
        return jg_demo_refute(demo, "the store does not answer");
    if (report.state != state || (owner && strcmp(report.owner, jg_demo_header(owner, JOBGATE_HEADER_JID)) != 0))
        return jg_demo_refute(demo, "the claim of %s's key is %s, of job %s", job->name,
                              jg_claim_state_name(report.state), short_jid(report.owner, jid));
    if (owner)
        jg_demo_row(demo, JG_DEMO_PLAIN, "store", "as `jobgate explain` reports it",
                    "claim of %s: %s, %lld duplicate%s", owner->name, jg_claim_state_name(state),
                    (long long)report.duplicates, report.duplicates == 1 ? "" : "s");
    else
        jg_demo_row(demo, JG_DEMO_PLAIN, "store", "as `jobgate explain` reports it", "no claim of %s %s",
                    job->class_name, job->args);
    return true;
}

/* As Sidekiq writes jobs. */
static bool
produce(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (job->other_spelling)
        snprintf(job->payload, sizeof job->payload, "{ \"jid\": \"%s\", \"args\": %s, \"class\": \"%s\" }", job->name,
                 job->args, job->class_name);
    else
        snprintf(job->payload, sizeof job->payload, "{\"class\":\"%s\",\"args\":%s,\"jid\":\"%s\"}", job->class_name,
                 job->args, job->name);
    jg_demo_row(demo, JG_DEMO_PLAIN, "producer", job->why, "produce %s: %s %s", job->name, job->class_name, job->args);
    return jg_demo_produce(demo, job);
}

static bool
delivered(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!produce(demo, job))
        return false;
    if (job->err)
        return jg_demo_refute(demo, "%s is not delivered: %s", job->name, rd_kafka_err2str(job->err));
    jg_demo_row(demo, JG_DEMO_PLAIN, "broker", job->show_headers ? "its delivery report shows these headers:" : NULL,
                "%s is at offset %lld", job->name, (long long)job->offset);
    if (job->show_headers)
        jg_demo_print_headers(job, JOBGATE_HEADER_PREFIX);
    return true;
}

/* Produced, and it stands for its key. */
static bool
accepted(struct jg_demo *demo, struct jg_demo_job *job)
{
    char jid[SHORT_JID_CHARS];
    if (!delivered(demo, job))
        return false;
    const char *whole_jid = jg_demo_header(job, JOBGATE_HEADER_JID);
    if (!whole_jid[0] || jg_demo_header(job, JOBGATE_HEADER_DUPLICATE_OF)[0] ||
        jg_demo_header(job, JOBGATE_HEADER_CANDIDATE_OF)[0] || jg_demo_header(job, JOBGATE_HEADER_UNCLAIMED)[0])
        return jg_demo_refute(demo, "%s is not accepted as the only job of its key", job->name);
    demo->claims++;
    if (!jg_demo_await_confirmed(demo))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, "producer", "accepted; its claim keeps equal jobs out",
                "%s claims its key (jid %s)", job->name, short_jid(whole_jid, jid));
    return true;
}

/* Produced, and marked as a duplicate of `original`. */
static bool
dropped(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *original)
{
    if (!delivered(demo, job))
        return false;
    if (strcmp(jg_demo_header(job, JOBGATE_HEADER_KEY), jg_demo_header(original, JOBGATE_HEADER_KEY)) != 0 ||
        strcmp(jg_demo_header(job, JOBGATE_HEADER_DUPLICATE_OF), jg_demo_header(original, JOBGATE_HEADER_JID)) != 0)
        return jg_demo_refute(demo, "%s is not marked as a duplicate of %s", job->name, original->name);
    jg_demo_row(demo, JG_DEMO_DROPPED, "producer", "marked, and sent as a record only: it will not run",
                "%s is dropped as a duplicate of %s", job->name, original->name);
    return true;
}

/* Its produce call fails. */
static bool
rejected(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *original)
{
    if (!produce(demo, job))
        return false;
    if (job->err != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || job->reported)
        return jg_demo_refute(demo, "the produce call of %s says: %s", job->name, rd_kafka_err2str(job->err));
    jg_demo_row(demo, JG_DEMO_DROPPED, "producer", "dropped as a duplicate: nothing is sent", "produce %s fails: %s",
                job->name, rd_kafka_err2name(job->err));
    return store_holds(demo, original, JG_CLAIM_QUEUED, original);
}

static bool
starts(struct jg_demo *demo, struct jg_demo_job *job, const char *why)
{
    if (!jg_demo_consume(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name, why, "%s starts", job->name);
    return true;
}

/* It may not run yet, and is not lost. */
static bool
held(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_demo_consume_held(demo, job))
        return false;
    demo->moves++;
    jg_demo_row(demo, JG_DEMO_DROPPED, demo->consumers[job->second].name,
                "it waits in <topic>.held.<class>, and keeps its claim", "%s is held", job->name);
    return true;
}

/* How many produce calls were checked for duplicates. */
static int64_t
checks(const struct jg_demo *demo)
{
    return demo->counter("original") + demo->counter("duplicate") + demo->counter("candidate");
}

static bool
resumed(struct jg_demo *demo, struct jg_demo_job *job)
{
    int64_t checked = checks(demo);
    if (!jg_demo_consume_resumed(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name,
                "it came back by itself, with these headers:", "%s starts", job->name);
    jg_demo_print_headers(job, "jobgate-held-");
    jg_demo_print_headers(job, JOBGATE_HEADER_RESUMED);
    if (checks(demo) != checked)
        return jg_demo_refute(demo, "%s was checked for duplicates again", job->name);
    jg_demo_row(demo, JG_DEMO_PLAIN, "plugin", "its claim, kept all the while, is released as it starts",
                "no duplicate check on the way back");
    return true;
}

static bool
skipped(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_demo_consume_skip(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_DROPPED, demo->consumers[job->second].name, "poll: _PARTITION_EOF, which programs ignore",
                "%s is skipped", job->name);
    return true;
}

/* Its consumer polls again, and the store knows. */
static bool
ended(struct jg_demo *demo, struct jg_demo_job *job, const char *why)
{
    int64_t completed = demo->counter("completed") + 1;
    if (!jg_demo_end(demo, job, "completed", completed))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "plugin", why, "the store knows that %s has ended", job->name);
    return true;
}

/* `last` is at its end too. */
static bool
finished(struct jg_demo *demo, struct jg_demo_job *last, const char *why)
{
    if (!jg_demo_await_committed(demo, last))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "broker", why, "offset %lld is committed",
                (long long)demo->consumers[last->second].committed);
    return true;
}

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

static void
add_header(struct jg_demo_job *job, const char *name, const char *value)
{
    size_t i = job->header_count++;
    snprintf(job->headers[i].name, sizeof job->headers[i].name, "%s", name);
    snprintf(job->headers[i].value, sizeof job->headers[i].value, "%s", value);
}

/* What is known of the successor of `before`: the same payload, the next jid. */
static bool
expect(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *before)
{
    char jid[JG_JID_CHARS + 1];
    if (!jg_jid_next(jg_demo_header(before, JOBGATE_HEADER_JID), jid))
        return jg_demo_refute(demo, "%s has no jid that could be continued", before->name);
    demo->moves++;
    add_header(job, JOBGATE_HEADER_JID, jid);
    add_header(job, JOBGATE_HEADER_KEY, jg_demo_header(before, JOBGATE_HEADER_KEY));
    memcpy(job->payload, before->payload, sizeof job->payload);
    job->offset = before->offset;
    return true;
}

/* `before` ends, and is enqueued again as `job`. */
static bool
goes_on(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *before)
{
    if (!expect(demo, job, before) || !jg_demo_consume_successor(demo, job))
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
    if (!expect(demo, job, before) || !ended(demo, before, "its lease is free; load 3 is at capacity") ||
        !jg_demo_end(demo, before, "held", count))
        return false;
    jg_demo_row(demo, JG_DEMO_DROPPED, "plugin", "enqueued by itself, into <topic>.held.<class>", "%s is held",
                job->name);
    return store_holds(demo, job, JG_CLAIM_HELD, job);
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
    return store_holds(demo, job, JG_CLAIM_NONE, NULL);
}

static bool
chain_ends(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!ended(demo, job, "no account is left, so nothing is enqueued") ||
        !finished(demo, job, "every job of the chain is done, each ran once"))
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
    return consumers_come(demo) && accepted(demo, &jobs[A]) && dropped(demo, &jobs[B], &jobs[A]) &&
           dropped(demo, &jobs[C], &jobs[A]) && store_holds(demo, &jobs[A], JG_CLAIM_QUEUED, &jobs[A]) &&
           starts(demo, &jobs[A], "as a job starts, its claim is released") &&
           store_holds(demo, &jobs[A], JG_CLAIM_NONE, NULL) && accepted(demo, &jobs[D]) && skipped(demo, &jobs[B]) &&
           skipped(demo, &jobs[C]) && starts(demo, &jobs[D], "accepted again, so it runs, after A") &&
           finished(demo, &jobs[D], "A and D are done, each ran once");
}

static bool
until_executed(struct jg_demo *demo)
{
    return accepted(demo, &jobs[E]) && starts(demo, &jobs[E], "its claim stays until it has ended") &&
           store_holds(demo, &jobs[E], JG_CLAIM_RUNNING, &jobs[E]) && dropped(demo, &jobs[F], &jobs[E]) &&
           skipped(demo, &jobs[F]) && finished(demo, &jobs[E], "E is done, its claim is released") &&
           store_holds(demo, &jobs[E], JG_CLAIM_NONE, NULL) && accepted(demo, &jobs[G]) &&
           starts(demo, &jobs[G], "accepted again") && finished(demo, &jobs[G], "G is done");
}

static bool
other_arguments(struct jg_demo *demo)
{
    return accepted(demo, &jobs[H]) && accepted(demo, &jobs[I]) && accepted(demo, &jobs[J]) &&
           starts(demo, &jobs[H], "no duplicate of anything") && starts(demo, &jobs[I], "nor is this") &&
           starts(demo, &jobs[J], "nor this") && finished(demo, &jobs[J], "H, I and J are done");
}

static bool
reject(struct jg_demo *demo)
{
    return accepted(demo, &jobs[K]) && rejected(demo, &jobs[L], &jobs[K]) &&
           starts(demo, &jobs[K], "its claim is released") && accepted(demo, &jobs[M]) &&
           starts(demo, &jobs[M], "L never came") && finished(demo, &jobs[M], "K and M are done");
}

static bool
limit(struct jg_demo *demo)
{
    return accepted(demo, &jobs[N]) && starts(demo, &jobs[N], "it takes the one slot of its class") &&
           accepted(demo, &jobs[O]) && held(demo, &jobs[O]) && dropped(demo, &jobs[P], &jobs[O]) &&
           store_holds(demo, &jobs[O], JG_CLAIM_HELD, &jobs[O]) && skipped(demo, &jobs[P]) &&
           ended(demo, &jobs[N], "its slot is free, which wakes the resumer") && resumed(demo, &jobs[O]) &&
           store_holds(demo, &jobs[O], JG_CLAIM_NONE, NULL) && accepted(demo, &jobs[Q]) &&
           ended(demo, &jobs[O], "its slot is free, and nothing is held") &&
           starts(demo, &jobs[Q], "accepted again, so it runs, after O") &&
           finished(demo, &jobs[O], "O is done, and ran once") && finished(demo, &jobs[Q], "N and Q are done");
}

static bool
enqueuer(struct jg_demo *demo)
{
    return counts(demo, 0, 4) && accepted(demo, &jobs[R]) &&
           starts(demo, &jobs[R], "its claim is released, and it gets the lease:") && migrates(demo, &jobs[R], NULL) &&
           store_holds(demo, &jobs[R], JG_CLAIM_NONE, NULL) && accepted(demo, &jobs[S]) &&
           ends_as_noop(demo, &jobs[S]) && goes_on(demo, &jobs[R1], &jobs[R]) && goes_on(demo, &jobs[R2], &jobs[R1]) &&
           is_full(demo, &jobs[R3], &jobs[R2]) && migration_ends(demo) && comes_back(demo, &jobs[R3], &jobs[R2]) &&
           chain_ends(demo, &jobs[R3]) && finished(demo, &jobs[S], "S is done, and did nothing");
}

static bool
strict_enqueuer(struct jg_demo *demo)
{
    return counts(demo, 0, 3) && accepted(demo, &jobs[T]) &&
           starts(demo, &jobs[T], "it gets the lease, and keeps its claim:") && migrates(demo, &jobs[T], NULL) &&
           dropped(demo, &jobs[U], &jobs[T]) && store_holds(demo, &jobs[T], JG_CLAIM_RUNNING, &jobs[T]) &&
           skipped(demo, &jobs[U]) && goes_on(demo, &jobs[T1], &jobs[T]) &&
           store_holds(demo, &jobs[T1], JG_CLAIM_RUNNING, &jobs[T1]) && goes_on(demo, &jobs[T2], &jobs[T1]) &&
           chain_ends(demo, &jobs[T2]) && store_holds(demo, &jobs[T2], JG_CLAIM_NONE, NULL);
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
