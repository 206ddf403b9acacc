/* SPDX-License-Identifier: Apache-2.0 */
/* The story: five promises, each shown step by step. A step returns false when it did not come out as promised; the
 * story ends there. */
#include <stdio.h>
#include <string.h>

#include "cli/demo.h"
#include "plugin/jobgate.h"

#define SHORT_JID_CHARS 16

#define EMAIL "EmailWorker"
#define REPORT "ReportWorker"
#define CHARGE "ChargeWorker"
#define INDEX JG_DEMO_LIMITED

enum { A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q };

static struct jg_demo_job jobs[] = {
    [A] = {EMAIL, "[42]", "nothing equal is known", .name = 'A', .show_headers = true},
    [B] = {EMAIL, "[42]", "equal to A, which is queued", .name = 'B', .show_headers = true},
    [C] = {EMAIL, "[42]", "the same, in another order and spacing", .name = 'C', .other_spelling = true},
    [D] = {EMAIL, "[42]", "equal to A, which runs at this moment", .name = 'D'},
    [E] = {REPORT, "[7]", "nothing equal is known", .name = 'E'},
    [F] = {REPORT, "[7]", "equal to E, which runs at this moment", .name = 'F'},
    [G] = {REPORT, "[7]", "equal to E, which has ended", .name = 'G'},
    [H] = {EMAIL, "[42]", "nothing equal is queued", .name = 'H'},
    [I] = {EMAIL, "[43]", "another number than H's", .name = 'I'},
    [J] = {EMAIL, "[\"42\"]", "a string is no number", .name = 'J'},
    [K] = {CHARGE, "[1]", "nothing equal is known", .name = 'K'},
    [L] = {CHARGE, "[1]", "equal to K, which is queued", .name = 'L'},
    [M] = {CHARGE, "[1]", "equal to K, which runs at this moment", .name = 'M'},
    [N] = {INDEX, "[1]", "to the second topic; nothing equal is known", .name = 'N', .second = true},
    [O] = {INDEX, "[2]", "to the first topic; other arguments than N's", .name = 'O'},
    [P] = {INDEX, "[2]", "equal to O, which is held", .name = 'P'},
    [Q] = {INDEX, "[2]", "to the second topic; equal to O, which runs", .name = 'Q', .second = true},
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
        return jg_demo_refute(demo, "the claim of %c's key is %s, of job %s", job->name,
                              jg_claim_state_name(report.state), short_jid(report.owner, jid));
    if (owner)
        jg_demo_row(demo, JG_DEMO_PLAIN, "store", "as `jobgate explain` reports it",
                    "claim of %c: %s, %lld duplicate%s", owner->name, jg_claim_state_name(state),
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
        snprintf(job->payload, sizeof job->payload, "{ \"jid\": \"%c\", \"args\": %s, \"class\": \"%s\" }", job->name,
                 job->args, job->class_name);
    else
        snprintf(job->payload, sizeof job->payload, "{\"class\":\"%s\",\"args\":%s,\"jid\":\"%c\"}", job->class_name,
                 job->args, job->name);
    jg_demo_row(demo, JG_DEMO_PLAIN, "producer", job->why, "produce %c: %s %s", job->name, job->class_name, job->args);
    return jg_demo_produce(demo, job);
}

static bool
delivered(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!produce(demo, job))
        return false;
    if (job->err)
        return jg_demo_refute(demo, "%c is not delivered: %s", job->name, rd_kafka_err2str(job->err));
    jg_demo_row(demo, JG_DEMO_PLAIN, "broker", job->show_headers ? "its delivery report shows these headers:" : NULL,
                "%c is at offset %lld", job->name, (long long)job->offset);
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
        return jg_demo_refute(demo, "%c is not accepted as the only job of its key", job->name);
    demo->claims++;
    if (!jg_demo_await_confirmed(demo))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, "producer", "accepted; its claim keeps equal jobs out",
                "%c claims its key (jid %s)", job->name, short_jid(whole_jid, jid));
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
        return jg_demo_refute(demo, "%c is not marked as a duplicate of %c", job->name, original->name);
    jg_demo_row(demo, JG_DEMO_DROPPED, "producer", "marked, and sent as a record only: it will not run",
                "%c is dropped as a duplicate of %c", job->name, original->name);
    return true;
}

/* Its produce call fails. */
static bool
rejected(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *original)
{
    if (!produce(demo, job))
        return false;
    if (job->err != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || job->reported)
        return jg_demo_refute(demo, "the produce call of %c says: %s", job->name, rd_kafka_err2str(job->err));
    jg_demo_row(demo, JG_DEMO_DROPPED, "producer", "dropped as a duplicate: nothing is sent", "produce %c fails: %s",
                job->name, rd_kafka_err2name(job->err));
    return store_holds(demo, original, JG_CLAIM_QUEUED, original);
}

static bool
starts(struct jg_demo *demo, const struct jg_demo_job *job, const char *why)
{
    if (!jg_demo_consume(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name, why, "%c starts", job->name);
    return true;
}

/* It may not run yet, and is not lost. */
static bool
held(struct jg_demo *demo, const struct jg_demo_job *job)
{
    if (!jg_demo_consume_held(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_DROPPED, demo->consumers[job->second].name,
                "poll: _PARTITION_EOF; it waits in <topic>.held.<class>", "%c is held", job->name);
    return true;
}

static bool
resumed(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_demo_consume_resumed(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name,
                "it came back by itself, with these headers:", "%c starts", job->name);
    jg_demo_print_headers(job, "jobgate-held-");
    jg_demo_print_headers(job, JOBGATE_HEADER_RESUMED);
    return true;
}

static bool
skipped(struct jg_demo *demo, const struct jg_demo_job *job)
{
    if (!jg_demo_consume_skip(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_DROPPED, demo->consumers[job->second].name, "poll: _PARTITION_EOF, which programs ignore",
                "%c is skipped", job->name);
    return true;
}

/* Its consumer polls again, and the store knows. */
static bool
ended(struct jg_demo *demo, const struct jg_demo_job *job, const char *why)
{
    int64_t completed = demo->counter("completed") + 1;
    if (!jg_demo_end(demo, job, completed))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "plugin", why, "the store knows that %c has ended", job->name);
    return true;
}

/* `last` is at its end too. */
static bool
finished(struct jg_demo *demo, const struct jg_demo_job *last, const char *why)
{
    if (!jg_demo_await_committed(demo, last))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "broker", why, "offset %lld is committed",
                (long long)demo->consumers[last->second].committed);
    return true;
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

/* N goes to a topic that the group has consumed nothing of. Else the store, which meets the class for the first time,
 * would count it as one whose runs it has lost, and N would wait for store.grace.ms. */
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

static const struct {
    const char *title;
    const char *promise;
    bool (*show)(struct jg_demo *demo);
} scenes[] = {
    {"1. until_executing: from being produced until it starts, a job keeps equal ones out",
     "B and C, equal to a queued job, never ran; D, produced after that job had started, did", until_executing},
    {"2. until_executed: until it has ended, a job keeps equal ones out",
     "F, equal to a running job, never ran; G, produced after that job had ended, did", until_executed},
    {"3. Other arguments make another job", "H, I and J, of different arguments, all ran", other_arguments},
    {"4. dedup.action=reject: the producing program is told", "L's produce call failed; M, produced later, ran",
     reject},
    {"5. limit=1: over all topics and consumers one job of the class runs, the others are held",
     "O was held while N ran, kept its equal P out, and came back; Q, produced after O had started, ran", limit},
};

bool
jg_demo_tell(struct jg_demo *demo)
{
    const size_t count = sizeof scenes / sizeof *scenes;
    size_t kept = 0;
    while (kept < count) {
        jg_demo_title(demo, scenes[kept].title);
        if (!scenes[kept].show(demo))
            break;
        kept++;
    }
    jg_demo_title(demo, kept == count ? "All as promised" : "NOT as promised");
    for (size_t i = 0; i < count; i++)
        printf("  %-9s %s\n", i < kept ? "shown" : i == kept ? "REFUTED" : "not shown", scenes[i].promise);
    return kept == count;
}
