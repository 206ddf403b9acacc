/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate explain: what the store knows of a job key, and of one job, and where it is in Kafka. Gathered here, told in
 * explain_print.c. */
#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT_S 60
#define TIMEOUT_MAX_S 31536000

const struct jg_cli_option jg_cli_explain_options[] = {
    {"class", 'C', "CLASS", "Look at this class only."},
    {"scan", 's', NULL, "Look for it in Kafka too: in the governed topics, their holding topics and dead letters."},
    {"group", 'g', "GROUP",
     "With --scan: the group.id of the consumers that execute the topics; unless given, the store says which."},
    {"topic", 't', "TOPIC", "With --scan: look at this topic, and what is beside it, instead of jobgate.topics."},
    {"timeout", 'T', "SECONDS", "With --scan: give up after so long; 60 unless given, 0: never."},
    JG_CLI_BOOTSTRAP_OPTION,
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};

struct request {
    const char *class_name;
    bool scans;
    const char *group, *topic, *timeout, *servers;
};

static bool
take(void *opaque, int letter, const char *value)
{
    struct request *request = opaque;
    if (letter == 'C')
        request->class_name = value;
    else if (letter == 's')
        request->scans = true;
    else if (letter == 'g')
        request->group = value;
    else if (letter == 't')
        request->topic = value;
    else if (letter == 'T')
        request->timeout = value;
    else
        request->servers = value;
    return true;
}

/* A key or a jid, in small letters as the plugin writes them. */
static bool
read_subject(const struct jg_cli *cli, const char *text, struct jg_explained *out)
{
    char lower[JG_JID_CHARS + 1] = "";
    size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes && i < JG_JID_CHARS; i++)
        lower[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    bool is_key = bytes == JG_KEY_CHARS && strspn(lower, "0123456789abcdef") == JG_KEY_CHARS;
    bool is_jid = bytes <= JG_JID_CHARS && jg_jid_valid(lower, bytes);
    if (!is_key && !is_jid) {
        jg_cli_complain(cli,
                        "'%s' is neither a job key (%d hexadecimal digits) nor a jid (a key, '-', %d more, and '-' and "
                        "a number when it was enqueued again); a message holds them in its headers jobgate-key and "
                        "jobgate-jid, and `jobgate key` computes a key",
                        text, JG_KEY_CHARS, JG_JID_RANDOM_CHARS);
        return false;
    }
    memcpy(out->key, lower, JG_KEY_CHARS);
    if (is_jid)
        memcpy(out->jid, lower, bytes);
    return true;
}

static void
add_duplicate(void *opaque, const struct jg_duplicate_report *duplicate)
{
    struct jg_explained *explained = opaque;
    bool is_of_key = strncmp(duplicate->jid, explained->key, JG_KEY_CHARS) == 0 ||
                     strncmp(duplicate->original, explained->key, JG_KEY_CHARS) == 0;
    if (!is_of_key || explained->duplicate_count == JG_EXPLAINED_DUPLICATES)
        return;
    explained->duplicates[explained->duplicate_count++] = *duplicate;
}

static void
add_ticket(void *opaque, const struct jg_ticket_report *ticket)
{
    struct jg_explained *explained = opaque;
    if (strcmp(ticket->jid, explained->subject) == 0)
        explained->ticket = *ticket;
}

static void
add_lease(void *opaque, const struct jg_lease_report *lease)
{
    struct jg_explained *explained = opaque;
    const char *key = explained->class_report.lease == JG_LEASE_KEY ? explained->key : "";
    if (strcmp(lease->key, key) == 0)
        explained->lease = *lease;
}

/* Look for the key in one class. */
static enum jg_err
look(struct jg_store *store, const char *class_name, struct jg_explained *out)
{
    out->claim = (struct jg_claim_report){.state = JG_CLAIM_NONE};
    out->job = (struct jg_job_report){.chain_number = -1};
    out->was = false;
    out->duplicate_count = 0;
    enum jg_err err = jg_store_claim_report(store, class_name, out->key, &out->claim);
    snprintf(out->subject, sizeof out->subject, "%s", out->jid[0] ? out->jid : out->claim.owner);
    if (err == JG_OK && out->jid[0])
        err = jg_store_was(store, class_name, out->jid, &out->was);
    if (err == JG_OK && out->subject[0])
        err = jg_store_job_report(store, class_name, out->subject, &out->job);
    if (err == JG_OK)
        err = jg_store_duplicates(store, class_name, add_duplicate, out);
    bool known = out->job.ticket || out->job.member[0] || out->job.done || out->job.chain_number >= 0 ||
                 out->job.slot_expires_ms;
    out->found = err == JG_OK && (known || out->claim.state != JG_CLAIM_NONE || out->was || out->duplicate_count > 0);
    out->class_name = out->found ? class_name : NULL;
    return err;
}

/* A key is a hash of the class too: it is of one class only. */
static enum jg_err
search(struct jg_store *store, const char *class_name, struct jg_cli_names *names, struct jg_explained *out)
{
    out->job.chain_number = -1;
    memcpy(out->subject, out->jid, sizeof out->subject);
    if (class_name)
        return look(store, class_name, out);
    enum jg_err err = jg_cli_classes(store, names);
    for (size_t i = 0; err == JG_OK && !out->found && i < names->count; i++)
        err = look(store, names->list[i], out);
    return err;
}

/* The key of its limit, where something says it, and how that stands. */
static enum jg_err
look_at_limit_key(struct jg_store *store, struct jg_explained *out)
{
    snprintf(out->limit_key, sizeof out->limit_key, "%s", out->ticket.limit_key);
    for (size_t i = 0; out->scan && !out->limit_key[0] && i < out->scan->count; i++)
        if (strcmp(out->scan->finds[i].stamp.jid, out->subject) == 0)
            snprintf(out->limit_key, sizeof out->limit_key, "%s", out->scan->finds[i].stamp.limit_key);
    if (!out->limit_key[0])
        return JG_OK;
    return jg_store_key_report(store, out->class_name, out->limit_key, &out->key_report);
}

/* How its class stands, which may keep the job from running. */
static enum jg_err
look_around(const struct jg_cli *cli, struct jg_store *store, struct jg_explained *out)
{
    struct jg_policy policy;
    jg_conf_policy(cli->conf, out->class_name, &policy);
    out->hold_max = policy.hold_max;
    enum jg_err err = jg_store_class_report(store, out->class_name, &out->class_report);
    if (err == JG_OK && out->job.ticket)
        err = jg_store_tickets(store, out->class_name, add_ticket, out);
    if (err == JG_OK && out->class_report.lease != JG_LEASE_NONE)
        err = jg_store_leases(store, out->class_name, add_lease, out);
    return err == JG_OK ? look_at_limit_key(store, out) : err;
}

/* A job that the store does not know has its class in its message. */
static void
take_class(struct jg_explained *out)
{
    for (size_t i = 0; !out->class_name && i < out->scan->count; i++) {
        if (!out->scan->finds[i].stamp.class_name[0])
            continue;
        snprintf(out->scanned_class, sizeof out->scanned_class, "%s", out->scan->finds[i].stamp.class_name);
        out->class_name = out->scanned_class;
    }
}

static enum jg_exit
explain_with(const struct jg_cli *cli, struct jg_store *store, const char *class_name, struct jg_explained *explained)
{
    struct jg_cli_names names = {.list = NULL};
    enum jg_exit result = JG_EXIT_OK;
    enum jg_err err = search(store, class_name, &names, explained);
    if (err == JG_OK && explained->scan)
        result = jg_scan_run(explained->scan, store);
    if (err == JG_OK && result == JG_EXIT_OK && explained->scan)
        take_class(explained);
    if (err == JG_OK && result == JG_EXIT_OK && explained->class_name)
        err = look_around(cli, store, explained);
    if (err != JG_OK) {
        result = jg_cli_store_failed(cli, err);
    } else if (result == JG_EXIT_OK) {
        jg_explain_why(explained);
        jg_explained_print(cli, explained);
        bool in_kafka = explained->scan && explained->scan->total > 0;
        result = explained->found || in_kafka ? JG_EXIT_OK : JG_EXIT_NEGATIVE;
    }
    jg_cli_names_clear(&names);
    return result;
}

static enum jg_exit
explain(struct jg_cli *cli, const char *class_name, struct jg_explained *explained)
{
    enum jg_exit result = JG_EXIT_OK;
    struct jg_store *store = jg_cli_open_store(cli, &result);
    if (!store)
        return result;
    result = explain_with(cli, store, class_name, explained);
    jg_store_close(store);
    return result;
}

/* What --scan needs to be told. False: said what is wrong. */
static bool
check_scan(struct jg_cli *cli, const struct request *request, struct jg_scan *scan)
{
    struct jg_error error = {.text = ""};
    char *end = NULL;
    double seconds = request->timeout ? strtod(request->timeout, &end) : TIMEOUT_DEFAULT_S;
    if (!request->scans && (request->group || request->topic || request->timeout)) {
        jg_cli_complain(cli, "--group, --topic and --timeout go with --scan");
        return false;
    }
    /* Not a number is neither. */
    if (end && (*end || end == request->timeout || !(seconds >= 0 && seconds <= TIMEOUT_MAX_S))) {
        jg_cli_complain(cli, "--timeout takes a number of seconds, 0 for none");
        return false;
    }
    if (request->group && (!request->group[0] || strlen(request->group) > 255)) {
        jg_cli_complain(cli, "--group takes a group's name, of 1 to 255 bytes");
        return false;
    }
    if (request->topic &&
        (strpbrk(request->topic, ",^") || jg_conf_set(cli->conf, "jobgate.topics", request->topic, &error) != JG_OK)) {
        jg_cli_complain(cli, "'%s' is no topic's name", request->topic);
        return false;
    }
    scan->kafka.servers = request->servers;
    scan->group = request->group;
    scan->timeout_ms = (int64_t)(seconds * 1000);
    return true;
}

static enum jg_exit
carry_out(struct jg_cli *cli, const struct request *request, const char *subject, struct jg_explained *explained)
{
    struct jg_scan scan = {.kafka = JG_CLI_KAFKA_INIT(cli), .jid = explained->jid, .key = explained->key};
    if (!read_subject(cli, subject, explained) || !check_scan(cli, request, &scan) || !jg_cli_finish(cli, false))
        return JG_EXIT_USAGE;
    if (request->scans && jg_conf_is_idle(cli->conf)) {
        jg_cli_complain(cli, "no topic is governed, so there is none to scan: give --topic TOPIC, or the settings that "
                             "name jobgate.topics");
        return JG_EXIT_USAGE;
    }
    if (request->scans)
        explained->scan = &scan;
    enum jg_exit result = explain(cli, request->class_name, explained);
    jg_scan_clear(&scan);
    return result;
}

enum jg_exit
jg_cli_explain(struct jg_cli *cli)
{
    struct request request = {.class_name = NULL};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &request, &first, &result))
        return result;
    if (cli->count - first != 1) {
        jg_cli_complain(cli, "takes one argument: a jid or a job key");
        return JG_EXIT_USAGE;
    }
    struct jg_explained *explained = calloc(1, sizeof *explained);
    if (!explained) {
        jg_cli_complain(cli, "out of memory");
        return JG_EXIT_USAGE;
    }
    result = carry_out(cli, &request, cli->words[first], explained);
    free(explained);
    return result;
}
