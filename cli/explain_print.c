/* SPDX-License-Identifier: Apache-2.0 */
/* What `jobgate explain` found, in sentences that answer why a job ran, waits, or was turned away. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/explain.h"
#include "cli/runs.h"
#include "connectors/store_impl.h"

static const char *
action_done(enum jg_dup_action action)
{
    return action == JG_DUP_REJECT ? "its produce call failed"
                                   : "it was sent with a mark, and is skipped when consumed";
}

/* The claim does not say of which topic its job is. */
static void
print_held(const char *class_name, const char *until)
{
    struct jg_buf escaped = JG_BUF_INIT;
    jg_name_escape(&escaped, class_name);
    printf("State held: that job came up and could not start then (no slot, no lease, load at capacity, others before "
           "it),\n"
           "or has failed, so it waits in the holding topic <topic>.held.%s, and comes back by itself.\n"
           "Equal jobs are duplicates until it %s. Of which topic it is, the store does not know: `jobgate held %s\n"
           "--topic TOPIC --group GROUP` lists what waits, and why; `jobgate status %s` shows the limit.\n",
           escaped.failed ? "" : escaped.data, until, class_name, class_name);
    jg_buf_clear(&escaped);
}

/* What the claim's state means for its job and for equal ones. */
static void
print_state(const struct jg_claim_report *claim, const char *class_name)
{
    const char *until = claim->dedup == JG_DEDUP_UNTIL_EXECUTED ? "has ended" : "starts";
    switch (claim->state) {
    case JG_CLAIM_PROVISIONAL:
        printf(
            "State provisional: that job was handed to a producer, and the broker has not acknowledged it. It turns\n"
            "nothing away: an equal job goes out as its candidate, and runs if that job never does.\n");
        break;
    case JG_CLAIM_QUEUED:
        printf(
            "State queued: the broker has that job, and no consumer has started it. Equal jobs are duplicates until\n"
            "it %s.\n",
            until);
        break;
    case JG_CLAIM_HELD:
        print_held(class_name, until);
        break;
    case JG_CLAIM_RUNNING:
        printf("State running: that job runs now. Equal jobs are duplicates until it %s.\n", until);
        if (claim->member[0])
            printf("It runs as %s.\n", claim->member);
        break;
    case JG_CLAIM_NONE:
        break;
    }
    if (claim->old_epoch)
        printf("The store lost or rewound its data since: the claim counts as provisional.\n");
}

static void
print_claim(const struct jg_claim_report *claim, const char *class_name)
{
    char left[JG_TIME_CHARS];
    if (claim->state == JG_CLAIM_NONE) {
        printf("Nobody claims it now: an equal job that is produced next is accepted.\n");
        return;
    }
    printf("Claimed by job %s", claim->owner);
    jg_cli_print_when(" since ", claim->since_ms);
    printf(", dedup %s.\n", jg_dedup_name(claim->dedup));
    print_state(claim, class_name);
    jg_cli_span(claim->ttl_ms, left);
    printf("Left to itself, the claim ends in %s.\n", left);
    printf("Duplicates and candidates so far: %lld.\n", (long long)claim->duplicates);
    if (claim->newest_candidate[0])
        printf("Newest candidate: %s.\n", claim->newest_candidate);
    if (claim->newest_acked_candidate[0])
        printf("Newest candidate that the broker has: %s.\n", claim->newest_acked_candidate);
    if (claim->newest_follow_up[0])
        printf("Newest follow-up that the broker has: %s. It runs after that job.\n", claim->newest_follow_up);
}

/* Does the store remember of the job itself what is told by print_known? */
static bool
is_known(const struct jg_job_report *job)
{
    return job->member[0] || job->done || job->ticket || job->chain_number >= 0 || job->slot_expires_ms;
}

/* The answer to `why did, or didn't, my job run`. */
static void
print_job(const struct jg_explained *explained)
{
    const struct jg_claim_report *claim = &explained->claim;
    const struct jg_duplicate_report *duplicate = jg_explained_duplicate(explained, explained->jid);
    const char *jid = explained->jid;
    bool follows = duplicate && duplicate->original_state == JG_CLAIM_RUNNING;
    if (claim->state != JG_CLAIM_NONE && strcmp(claim->owner, jid) == 0) {
        static const char *const stands[] = {
            [JG_CLAIM_NONE] = "",
            [JG_CLAIM_PROVISIONAL] = "has not been acknowledged by the broker",
            [JG_CLAIM_QUEUED] = "waits to be started",
            [JG_CLAIM_HELD] = "is held, and waits for a slot",
            [JG_CLAIM_RUNNING] = "runs now",
        };
        printf("Job %s %s. It holds the claim of its key.\n", jid, stands[claim->state]);
    } else if (duplicate && duplicate->candidate) {
        printf("Job %s was sent as a candidate of %s%s:\n%s.", jid, duplicate->original,
               follows ? ", which ran then" : "",
               follows ? "it runs after that one, unless a newer one does"
                       : "it runs when it is consumed, unless that one did by then");
        jg_cli_print_when(" That was at ", duplicate->at_ms);
        printf(".\n");
    } else if (duplicate) {
        printf("Job %s was turned away as a duplicate of %s, which was %s:\n%s.", jid, duplicate->original,
               jg_claim_state_name(duplicate->original_state), action_done(duplicate->action));
        jg_cli_print_when(" That was at ", duplicate->at_ms);
        printf(".\n");
    } else if (explained->was) {
        printf("Job %s did run: its claim ended with that, and candidates of it are duplicates.\n", jid);
    } else if (is_known(&explained->job)) {
        printf("Job %s holds no claim now.\n", jid);
    } else {
        printf(
            "Of job %s itself nothing is kept: it started or ended and its claim with it, or its claim outlived its\n"
            "TTL, or it was never claimed. What is known of its key:\n",
            jid);
    }
}

/* Run, ticket, end, chain. */
static void
print_known(const struct jg_explained *explained)
{
    const struct jg_job_report *job = &explained->job;
    char left[JG_TIME_CHARS];
    if (job->member[0]) {
        jg_cli_run_left(job->expires_ms, left);
        printf("It runs now: ");
        jg_cli_run_print(job->member);
        printf(".\nWithout a heartbeat that run is over in %s.\n", left);
    }
    if (job->ticket) {
        printf("It was resumed, and has a ticket");
        if (explained->ticket.taken_ms)
            jg_cli_print_when(" since ", explained->ticket.taken_ms);
        printf(".\n");
    }
    if (job->done)
        printf("It has ended%s%s.\n", job->next[0] ? ", and was enqueued again as " : "", job->next);
    if (job->slot_expires_ms) {
        jg_cli_run_left(job->slot_expires_ms, left);
        printf("It has a capacity slot, which is free in %s unless a release comes before.\n", left);
    }
    if (job->chain_number >= 0) {
        printf("Of its chain, number %lld is the last that started; ", (long long)job->chain_number);
        if (job->chain_member[0])
            jg_cli_run_print(job->chain_member);
        else
            printf("it was held since");
        printf(".\n");
    }
}

static void
print_whys(const struct jg_explained *explained)
{
    if (explained->why_count == 0)
        return;
    printf("\nWhy %s does not run now:\n", explained->subject);
    for (size_t i = 0; i < explained->why_count; i++) {
        printf("  %-9s ", explained->whys[i].reason);
        jg_cli_print_wrapped(explained->whys[i].text, 12);
    }
}

static void
print_duplicates(const struct jg_explained *explained)
{
    if (explained->duplicate_count == 0)
        return;
    printf("\nRecent duplicates of this key, newest first (the last 100 of the class are kept):\n");
    for (size_t i = 0; i < explained->duplicate_count; i++) {
        const struct jg_duplicate_report *duplicate = &explained->duplicates[i];
        char at[JG_TIME_CHARS];
        jg_cli_time(duplicate->at_ms, at);
        printf("  %s  %s\n      %s of %s, which was %s%s%s\n", at, duplicate->jid,
               duplicate->candidate ? "candidate" : "duplicate", duplicate->original,
               jg_claim_state_name(duplicate->original_state), duplicate->candidate ? "" : ": ",
               duplicate->candidate ? "" : jg_cli_action_name(duplicate->action));
    }
}

static void
print_not_found(const struct jg_cli *cli, const struct jg_explained *explained)
{
    printf(
        "Nothing is known of %s %s in namespace '%s'. So an equal job that is produced next is accepted.\n"
        "Either its job has started (until_executing) or ended (until_executed), and its claim with it; or the claim\n"
        "outlived its TTL; or it was never claimed: its topic is not governed, its class has no dedup, or the store\n"
        "was down then (header jobgate-unclaimed); or store or namespace are not those of the producer.\n%s",
        explained->jid[0] ? "job" : "key", explained->jid[0] ? explained->jid : explained->key,
        jg_conf_settings(cli->conf)->name_space,
        explained->scan ? "" : "A limited class without dedup has no claims: --scan looks for the job in Kafka.\n");
}

static void
print_text(const struct jg_cli *cli, const struct jg_explained *explained)
{
    if (!explained->found) {
        print_not_found(cli, explained);
    } else {
        if (explained->jid[0])
            print_job(explained);
        print_known(explained);
        if (explained->jid[0])
            putchar('\n');
        printf("Key %s of class %s\n", explained->key, explained->class_name);
        print_claim(&explained->claim, explained->class_name);
    }
    print_whys(explained);
    if (explained->found)
        print_duplicates(explained);
    if (explained->scan) {
        putchar('\n');
        jg_scan_print(explained->scan);
    }
}

static json_t *
text_or_null(const char *text)
{
    return jg_cli_json_text(text, text ? strlen(text) : 0);
}

static json_t *
claim_json(const struct jg_claim_report *claim)
{
    if (claim->state == JG_CLAIM_NONE)
        return json_null();
    return json_pack(
        "{s:s, s:b, s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "state", jg_claim_state_name(claim->state),
        "old_epoch", claim->old_epoch, "dedup", jg_dedup_name(claim->dedup), "owner", text_or_null(claim->owner),
        "since_ms", (json_int_t)claim->since_ms, "ttl_ms", (json_int_t)claim->ttl_ms, "duplicates",
        (json_int_t)claim->duplicates, "member", text_or_null(claim->member), "newest_candidate",
        text_or_null(claim->newest_candidate), "newest_acked_candidate", text_or_null(claim->newest_acked_candidate),
        "newest_follow_up", text_or_null(claim->newest_follow_up));
}

static json_t *
duplicates_json(const struct jg_explained *explained)
{
    json_t *list = json_array();
    for (size_t i = 0; i < explained->duplicate_count; i++) {
        const struct jg_duplicate_report *duplicate = &explained->duplicates[i];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:I, s:s, s:s, s:b}", "jid", text_or_null(duplicate->jid), "original",
                            text_or_null(duplicate->original), "at_ms", (json_int_t)duplicate->at_ms, "original_state",
                            jg_claim_state_name(duplicate->original_state), "action",
                            jg_cli_action_name(duplicate->action), "candidate", (int)duplicate->candidate));
    }
    return list;
}

static json_t *
job_json(const struct jg_explained *explained)
{
    const struct jg_job_report *job = &explained->job;
    json_t *ticket = json_null();
    json_t *chain = json_null();
    if (!explained->subject[0])
        return json_null();
    if (job->ticket)
        ticket = json_pack("{s:I, s:o}", "taken_ms", (json_int_t)explained->ticket.taken_ms, "position",
                           text_or_null(explained->ticket.position));
    if (job->chain_number >= 0)
        chain = json_pack("{s:I, s:o}", "number", (json_int_t)job->chain_number, "run",
                          jg_cli_run_json(job->chain_member, 0));
    return json_pack("{s:s, s:o, s:o, s:b, s:o, s:o, s:o}", "jid", explained->subject, "run",
                     jg_cli_run_json(job->member, job->expires_ms), "ticket", ticket, "done", (int)job->done, "next",
                     text_or_null(job->next), "chain", chain, "slot_expires_ms",
                     job->slot_expires_ms ? json_integer((json_int_t)job->slot_expires_ms) : json_null());
}

static json_t *
whys_json(const struct jg_explained *explained)
{
    json_t *list = json_array();
    for (size_t i = 0; i < explained->why_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "reason", explained->whys[i].reason, "text",
                                              text_or_null(explained->whys[i].text)));
    return list;
}

void
jg_explained_print(const struct jg_cli *cli, const struct jg_explained *explained)
{
    if (!cli->json) {
        print_text(cli, explained);
        return;
    }
    json_t *value = json_pack("{s:s, s:o, s:s, s:b, s:o, s:o, s:b, s:o, s:o, s:o}", "key", explained->key, "jid",
                              text_or_null(explained->jid), "namespace", jg_conf_settings(cli->conf)->name_space,
                              "found", (int)explained->found, "class", text_or_null(explained->class_name), "claim",
                              claim_json(&explained->claim), "was", (int)explained->was, "job", job_json(explained),
                              "why", whys_json(explained), "duplicates", duplicates_json(explained));
    json_object_set_new(value, "scan", explained->scan ? jg_scan_json(explained->scan) : json_null());
    jg_cli_print_json(value, JSON_INDENT(2));
}
