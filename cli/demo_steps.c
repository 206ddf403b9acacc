/* SPDX-License-Identifier: Apache-2.0 */
/* What the scenes are made of: each step does something, waits for what comes of it, and says it in the timeline. */
#include "cli/demo_steps.h"

#include <stdio.h>
#include <string.h>

#include "plugin/job.h"
#include "plugin/jobgate.h"

#define SHORT_JID_CHARS 16

/* `3f2a91..07c4`: equal jobs begin alike. */
static const char *
short_jid(const char *jid, char out[SHORT_JID_CHARS])
{
    size_t bytes = strlen(jid);
    snprintf(out, SHORT_JID_CHARS, "%.6s..%s", jid, bytes > 4 ? jid + bytes - 4 : "");
    return out;
}

bool
jg_step_store_holds(struct jg_demo *demo, const struct jg_demo_job *job, enum jg_claim_state state,
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

bool
jg_step_delivered(struct jg_demo *demo, struct jg_demo_job *job)
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

bool
jg_step_accepted(struct jg_demo *demo, struct jg_demo_job *job)
{
    char jid[SHORT_JID_CHARS];
    if (!jg_step_delivered(demo, job))
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

bool
jg_step_dropped(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *original)
{
    if (!jg_step_delivered(demo, job))
        return false;
    if (strcmp(jg_demo_header(job, JOBGATE_HEADER_KEY), jg_demo_header(original, JOBGATE_HEADER_KEY)) != 0 ||
        strcmp(jg_demo_header(job, JOBGATE_HEADER_DUPLICATE_OF), jg_demo_header(original, JOBGATE_HEADER_JID)) != 0)
        return jg_demo_refute(demo, "%s is not marked as a duplicate of %s", job->name, original->name);
    jg_demo_row(demo, JG_DEMO_DROPPED, "producer", "marked, and sent as a record only: it will not run",
                "%s is dropped as a duplicate of %s", job->name, original->name);
    return true;
}

bool
jg_step_rejected(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *original)
{
    if (!produce(demo, job))
        return false;
    if (job->err != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || job->reported)
        return jg_demo_refute(demo, "the produce call of %s says: %s", job->name, rd_kafka_err2str(job->err));
    jg_demo_row(demo, JG_DEMO_DROPPED, "producer", "dropped as a duplicate: nothing is sent", "produce %s fails: %s",
                job->name, rd_kafka_err2name(job->err));
    return jg_step_store_holds(demo, original, JG_CLAIM_QUEUED, original);
}

bool
jg_step_starts(struct jg_demo *demo, struct jg_demo_job *job, const char *why)
{
    if (!jg_demo_consume(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_GOOD, demo->consumers[job->second].name, why, "%s starts", job->name);
    return true;
}

bool
jg_step_held(struct jg_demo *demo, struct jg_demo_job *job)
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

bool
jg_step_resumed(struct jg_demo *demo, struct jg_demo_job *job)
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

bool
jg_step_skipped(struct jg_demo *demo, struct jg_demo_job *job)
{
    if (!jg_demo_consume_skip(demo, job))
        return false;
    jg_demo_row(demo, JG_DEMO_DROPPED, demo->consumers[job->second].name, "poll: _PARTITION_EOF, which programs ignore",
                "%s is skipped", job->name);
    return true;
}

bool
jg_step_ended(struct jg_demo *demo, struct jg_demo_job *job, const char *why)
{
    int64_t completed = demo->counter("completed") + 1;
    if (!jg_demo_end(demo, job, "completed", completed))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "plugin", why, "the store knows that %s has ended", job->name);
    return true;
}

bool
jg_step_finished(struct jg_demo *demo, struct jg_demo_job *last, const char *why)
{
    if (!jg_demo_await_committed(demo, last))
        return false;
    jg_demo_row(demo, JG_DEMO_PLAIN, "broker", why, "offset %lld is committed",
                (long long)demo->consumers[last->second].committed);
    return true;
}

static void
add_header(struct jg_demo_job *job, const char *name, const char *value)
{
    size_t i = job->header_count++;
    snprintf(job->headers[i].name, sizeof job->headers[i].name, "%s", name);
    snprintf(job->headers[i].value, sizeof job->headers[i].value, "%s", value);
}

bool
jg_step_expect(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *before)
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
