/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_MAX 1000000

void
jg_cli_limit_text(int64_t limit, char out[JG_LIMIT_CHARS])
{
    if (limit > 0)
        snprintf(out, JG_LIMIT_CHARS, "%lld", (long long)limit);
    else
        snprintf(out, JG_LIMIT_CHARS, "%s", limit < 0 ? "paused" : "none");
}

bool
jg_cli_limit_parse(const char *text, int64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (strcmp(text, "-1") == 0 || strcmp(text, "paused") == 0) {
        *out = -1;
        return true;
    }
    if (digits == 0 || digits > 7 || text[digits])
        return false;
    *out = strtoll(text, NULL, 10);
    return *out <= LIMIT_MAX;
}

int64_t
jg_cli_limit_now(const struct jg_class_report *report)
{
    return report->override.set ? report->override.limit : report->limit;
}

bool
jg_cli_limit_matters(const struct jg_class_report *report)
{
    return report->limit || report->override.set || report->held || report->tickets || report->per_key;
}

static size_t
listed(const struct jg_class_report *report)
{
    return report->instance_count < JG_REPORT_INSTANCES ? report->instance_count : JG_REPORT_INSTANCES;
}

bool
jg_cli_limit_is_asked(const struct jg_class_report *report)
{
    bool gated = report->told && (report->lease || report->capacity || report->per_key);
    if (report->instance_count > JG_REPORT_INSTANCES || gated)
        return true;
    for (size_t i = 0; report->told && i < listed(report); i++)
        if (report->instances[i].limit)
            return true;
    return false;
}

enum jg_err
jg_cli_limit_set(const struct jg_cli *cli, struct jg_store *store, const char *class_name, bool set, int64_t limit)
{
    struct jg_policy policy;
    char host[256] = "";
    char instance[300];
    jg_conf_policy(cli->conf, class_name, &policy);
    (void)!gethostname(host, sizeof host - 1);
    snprintf(instance, sizeof instance, "jobgate-%s-%ld", host, (long)getpid());
    struct jg_op op = {
        .kind = JG_OP_SYNC,
        .class_name = class_name,
        .member = instance,
        .run_ttl_ms = policy.limit_ttl_ms,
        .override_in = {.set = set, .limit = set ? limit : 0},
        .override_now = true,
    };
    return jg_store_exec(store, &op, 1);
}

void
jg_cli_limit_disagreement(FILE *out, const char *class_name, const struct jg_class_report *report)
{
    char limit[JG_LIMIT_CHARS];
    if (!report->disagree)
        return;
    fprintf(out, "Consumers disagree on the limit of class '%s':", class_name);
    for (size_t i = 0; i < listed(report); i++) {
        jg_cli_limit_text(report->instances[i].limit, limit);
        fprintf(out, "%s %s says %s", i ? "," : "", report->instances[i].name, limit);
    }
    if (report->instance_count > JG_REPORT_INSTANCES)
        fprintf(out, ", and %zu more", report->instance_count - JG_REPORT_INSTANCES);
    fprintf(out, ". Each counts by its own: set jobgate.class.%s.limit alike in all of them.\n", class_name);
}

static json_t *
instances_json(const struct jg_class_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < listed(report); i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:I}", "name",
                                        jg_cli_json_text(report->instances[i].name, strlen(report->instances[i].name)),
                                        "limit", (json_int_t)report->instances[i].limit, "told_ms",
                                        (json_int_t)report->instances[i].told_ms));
    return list;
}

json_t *
jg_cli_limit_json(const struct jg_class_report *report)
{
    json_t *override = json_null();
    if (report->override.set)
        override = json_pack("{s:I, s:I}", "limit", (json_int_t)report->override.limit, "at_ms",
                             (json_int_t)report->override.at_ms);
    return json_pack("{s:b, s:I, s:o, s:I, s:I, s:b, s:b, s:I, s:o}", "told", (int)report->told, "settings",
                     (json_int_t)report->limit, "override", override, "now", (json_int_t)jg_cli_limit_now(report),
                     "per_key", (json_int_t)report->per_key, "asked", (int)jg_cli_limit_is_asked(report), "disagree",
                     (int)report->disagree, "instance_count", (json_int_t)report->instance_count, "instances",
                     instances_json(report));
}

json_t *
jg_cli_ahead_json(const struct jg_class_report *report)
{
    return json_pack("{s:I, s:b}", "now", (json_int_t)report->ahead, "auto", (int)report->paced);
}
