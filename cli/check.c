/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate check: what could go wrong, before it does. Settings and store here, topics in check_topics.c. */
#include "cli/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct jg_cli_option jg_cli_check_options[] = {
    {"group", 'g', "GROUP", "The group.id of the consumers: look whether it executes the topics."},
    JG_CLI_BOOTSTRAP_OPTION,
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};

static bool
take(void *opaque, int letter, const char *value)
{
    struct jg_check *check = opaque;
    if (letter == 'g')
        check->group = value;
    else
        check->kafka.servers = value;
    return true;
}

void
jg_check_find(struct jg_check *check, enum jg_finding level, const char *fmt, ...)
{
    static const char *const names[] = {[JG_FINDING_OK] = "ok",
                                        [JG_FINDING_NOTICE] = "notice",
                                        [JG_FINDING_WARNING] = "warning",
                                        [JG_FINDING_ERROR] = "error"};
    char line[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    check->errors += level == JG_FINDING_ERROR;
    if (check->kafka.cli->json)
        json_array_append_new(check->findings, json_pack("{s:s, s:o}", "level", names[level], "text",
                                                         jg_cli_json_text(line, strlen(line))));
    else
        printf("%-8s %s\n", names[level], line);
}

static void
take_store_finding(void *opaque, enum jg_log_level level, const char *text)
{
    enum jg_finding finding = JG_FINDING_OK;
    if (level <= JG_LOG_ERROR)
        finding = JG_FINDING_ERROR;
    else if (level == JG_LOG_WARNING)
        finding = JG_FINDING_WARNING;
    else if (level == JG_LOG_NOTICE)
        finding = JG_FINDING_NOTICE;
    jg_check_find(opaque, finding, "%s", text);
}

/* What the settings say that is allowed, and may not be meant. */
static void
check_settings(struct jg_check *check)
{
    const struct jg_conf *conf = check->kafka.cli->conf;
    const struct jg_settings *settings = jg_conf_settings(conf);
    char setting[160];
    jg_check_find(check, JG_FINDING_OK, "the settings are valid");
    if (settings->disable != JG_DISABLE_NO)
        jg_check_find(check, JG_FINDING_WARNING, "JOBGATE_DISABLE is set: nothing is claimed, no limit is kept");
    if (jg_conf_is_idle(conf))
        jg_check_find(check, JG_FINDING_WARNING,
                      "jobgate.topics is not set: no topic is governed, all messages pass untouched");
    if (jg_conf_needs_end(conf, setting, sizeof setting))
        jg_check_find(check, JG_FINDING_NOTICE,
                      "%s has to see the end of each job: for programs that hand jobs to other threads, or consume in "
                      "batches, that is the commit of its offset (jobgate.completion)",
                      setting);
    if (settings->resumer == JG_RESUMER_SEPARATE)
        jg_check_find(check, JG_FINDING_NOTICE,
                      "jobgate.resumer=separate: held jobs come back only while `jobgate resume --group %s` runs",
                      check->group ? check->group : "GROUP");
}

/* Who leads the group's resumers: leaving without leading changes nothing. */
static enum jg_err
check_leader(struct jg_check *check)
{
    struct jg_op op = {
        .kind = JG_OP_LEAD, .class_name = check->group, .member = "jobgate-check", .run_ttl_ms = 1000, .leave = true};
    enum jg_err err = jg_store_exec(check->store, &op, 1);
    if (err == JG_OK && op.other[0])
        jg_check_find(check, JG_FINDING_OK, "%s resumes what is held for group %s", op.other, check->group);
    else if (err == JG_OK)
        jg_check_find(check, JG_FINDING_NOTICE, "nobody resumes for group %s now: it may not run, or nothing was held",
                      check->group);
    return err;
}

enum jg_err
jg_check_group(struct jg_check *check, const char *topic)
{
    struct jg_op op = {.kind = JG_OP_GROUP, .class_name = topic, .member = "", .run_ttl_ms = 1000};
    enum jg_err err = jg_store_exec(check->store, &op, 1);
    if (err != JG_OK || !op.other[0])
        return err;
    if (!check->group || strcmp(op.other, check->group) == 0)
        jg_check_find(check, JG_FINDING_OK, "topic %s is executed by group %s", topic, op.other);
    else
        jg_check_find(
            check, JG_FINDING_ERROR,
            "topic %s is executed by group %s, not by %s: a job would run twice. Set jobgate.observe=true where "
            "a group only looks on, or move the topic with `jobgate group %s %s`",
            topic, op.other, check->group, topic, check->group);
    return JG_OK;
}

static enum jg_exit
check_store(struct jg_check *check)
{
    enum jg_exit result = JG_EXIT_USAGE;
    const struct jg_cli *cli = check->kafka.cli;
    check->store = jg_cli_open_store(cli, &result);
    if (!check->store)
        return result;
    enum jg_err err = jg_store_check(check->store, take_store_finding, check);
    if (err == JG_OK && check->group)
        err = check_leader(check);
    return err == JG_OK ? JG_EXIT_OK : jg_cli_store_failed(cli, err);
}

enum jg_exit
jg_cli_check(struct jg_cli *cli)
{
    struct jg_check check = {.kafka = JG_CLI_KAFKA_INIT(cli)};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &check, &first, &result))
        return result;
    if (first < cli->count) {
        jg_cli_complain(cli, "takes no argument: '%s'", cli->words[first]);
        return JG_EXIT_USAGE;
    }
    if (!jg_cli_finish(cli, true))
        return JG_EXIT_USAGE;
    check.findings = json_array();
    check_settings(&check);
    result = check_store(&check);
    if (result != JG_EXIT_USAGE) {
        enum jg_exit topics = jg_check_topics(&check);
        result = result == JG_EXIT_OK ? topics : result;
    }
    if (result == JG_EXIT_OK && check.errors)
        result = JG_EXIT_NEGATIVE;
    if (cli->json)
        jg_cli_print_json(json_pack("{s:b, s:I, s:O}", "good", result == JG_EXIT_OK, "errors", (json_int_t)check.errors,
                                    "findings", check.findings),
                          JSON_INDENT(2));
    json_decref(check.findings);
    jg_cli_kafka_close(&check.kafka);
    jg_store_close(check.store);
    return result;
}
