/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate status: claims, running jobs, limits, leases, capacity and counters of each class. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/capacity.h"
#include "cli/limits.h"
#include "cli/metrics.h"

const struct jg_cli_option jg_cli_status_options[] = {
    {"json", 'j', NULL, "As JSON."},
    {"prometheus", 'p', NULL, "As Prometheus' text format."},
    {.doc = NULL},
};

/* No job of it came, but a limit was told or set. */
static bool
has_limit(struct jg_store *store, const char *name)
{
    struct jg_class_report report = {.claims = 0};
    return jg_store_class_report(store, name, &report) == JG_OK && (report.told || jg_cli_limit_matters(&report));
}

/* Keep the classes that were asked for, in their order; all when none was. False: one is not known. */
static bool
choose(const struct jg_cli *cli, struct jg_store *store, int first, struct jg_cli_names *known)
{
    if (first >= cli->count)
        return true;
    struct jg_cli_names chosen = {.list = NULL};
    bool all_known = true;
    for (int i = first; i < cli->count; i++) {
        if (jg_cli_names_have(known, cli->words[i]) || has_limit(store, cli->words[i])) {
            jg_cli_names_add(&chosen, cli->words[i]);
        } else {
            jg_cli_complain(cli, "class '%s' is not known in namespace '%s': no job of it was claimed yet",
                            cli->words[i], jg_conf_settings(cli->conf)->name_space);
            all_known = false;
        }
    }
    jg_cli_names_clear(known);
    *known = chosen;
    return all_known;
}

static void
print_table(const struct jg_cli_names *names, const struct jg_class_report *reports)
{
    size_t width = strlen("class");
    for (size_t i = 0; i < names->count; i++)
        width = strlen(names->list[i]) > width ? strlen(names->list[i]) : width;
    for (size_t i = 0; reports && i < names->count; i++) {
        const struct jg_class_report *report = &reports[i];
        if (i == 0) {
            printf("\n%-*s %8s %8s", (int)width, "class", "claims", "running");
            for (size_t j = 0; j < report->counter_count; j++)
                printf(" %10s", report->counters[j].name);
            putchar('\n');
        }
        printf("%-*s %8lld %8lld", (int)width, names->list[i], (long long)report->claims, (long long)report->running);
        for (size_t j = 0; j < report->counter_count; j++)
            printf(" %10lld", (long long)report->counters[j].value);
        putchar('\n');
    }
}

static void
print_limit(int width, const char *class_name, const struct jg_class_report *report)
{
    char limit[JG_LIMIT_CHARS];
    char settings[JG_LIMIT_CHARS];
    char oldest[JG_TIME_CHARS] = "";
    jg_cli_limit_text(jg_cli_limit_now(report), limit);
    jg_cli_limit_text(report->limit, settings);
    if (report->held && report->oldest_held_ms)
        jg_cli_span(jg_wall_ms() - report->oldest_held_ms, oldest);
    printf("%-*s %7s%s %9s %8lld %8lld %7lld%s %8lld  %s\n", width, class_name, limit, report->override.set ? "*" : " ",
           report->told ? settings : "-", (long long)report->running, (long long)report->tickets,
           (long long)report->ahead, report->paced ? "a" : " ", (long long)report->held, oldest);
}

/* The classes that have to do with limits. */
static void
print_limits(const struct jg_cli_names *names, const struct jg_class_report *reports)
{
    size_t width = strlen("class");
    bool any = false;
    bool overridden = false;
    for (size_t i = 0; reports && i < names->count; i++)
        if (jg_cli_limit_matters(&reports[i]) && strlen(names->list[i]) > width)
            width = strlen(names->list[i]);
    for (size_t i = 0; reports && i < names->count; i++) {
        if (!jg_cli_limit_matters(&reports[i]))
            continue;
        if (!any)
            printf("\n%-*s %7s  %9s %8s %8s %7s  %8s  %s\n", (int)width, "class", "limit", "settings", "running",
                   "tickets", "ahead", "held", "oldest");
        any = true;
        overridden = overridden || reports[i].override.set;
        print_limit((int)width, names->list[i], &reports[i]);
    }
    if (overridden)
        printf("* set at run time; `jobgate limit CLASS default` takes it back\n");
    for (size_t i = 0; reports && i < names->count; i++)
        if (reports[i].per_key)
            printf("class '%s': %lld at once of each value of limit.key, besides\n", names->list[i],
                   (long long)reports[i].per_key);
    for (size_t i = 0; reports && i < names->count; i++)
        jg_cli_limit_disagreement(stdout, names->list[i], &reports[i]);
}

static bool
leases_matter(const struct jg_class_report *report)
{
    return report->lease != JG_LEASE_NONE || report->capacity > 0;
}

/* The classes with a lease or a capacity. */
static void
print_leases(const struct jg_cli_names *names, const struct jg_class_report *reports)
{
    size_t width = strlen("class");
    bool any = false;
    for (size_t i = 0; reports && i < names->count; i++)
        if (leases_matter(&reports[i]) && strlen(names->list[i]) > width)
            width = strlen(names->list[i]);
    for (size_t i = 0; reports && i < names->count; i++) {
        const struct jg_class_report *report = &reports[i];
        char capacity[JG_LIMIT_CHARS] = "-";
        char load[JG_TIME_CHARS] = "-";
        if (!leases_matter(report))
            continue;
        if (!any)
            printf("\n%-*s %6s %9s  %s\n", (int)width, "class", "lease", "capacity", "load");
        any = true;
        if (report->capacity > 0) {
            jg_cli_limit_text(report->capacity, capacity);
            jg_cli_load_text(report, load);
        }
        printf("%-*s %6s %9s  %s%s\n", (int)width, names->list[i], jg_lease_name(report->lease), capacity, load,
               jg_cli_capacity_is_full(report) ? ", full" : "");
    }
}

static json_t *
report_json(const char *class_name, const struct jg_class_report *report)
{
    json_t *counters = json_object();
    for (size_t i = 0; i < report->counter_count; i++)
        json_object_set_new(counters, report->counters[i].name, json_integer(report->counters[i].value));
    return json_pack("{s:o, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:s, s:o, s:o}", "class",
                     jg_cli_json_text(class_name, strlen(class_name)), "claims", (json_int_t)report->claims, "running",
                     (json_int_t)report->running, "tickets", (json_int_t)report->tickets, "ahead",
                     jg_cli_ahead_json(report), "held", (json_int_t)report->held, "oldest_held_ms",
                     (json_int_t)report->oldest_held_ms, "limit", jg_cli_limit_json(report), "lease",
                     jg_lease_name(report->lease), "capacity", jg_cli_capacity_json(report), "counters", counters);
}

static void
print_reports(const struct jg_cli *cli, bool is_up, const struct jg_cli_names *names,
              const struct jg_class_report *reports)
{
    const struct jg_settings *settings = jg_conf_settings(cli->conf);
    char url[256];
    jg_conf_redact(settings->store, url, sizeof url);
    if (!cli->json) {
        printf("store      %s, %s\nnamespace  %s\n", url, is_up ? "up" : "down", settings->name_space);
        if (is_up && names->count == 0)
            printf("\nNo job was claimed in this namespace yet.\n");
        print_table(names, reports);
        print_limits(names, reports);
        print_leases(names, reports);
        return;
    }
    json_t *classes = json_array();
    for (size_t i = 0; reports && i < names->count; i++)
        json_array_append_new(classes, report_json(names->list[i], &reports[i]));
    jg_cli_print_json(json_pack("{s:s, s:b, s:s, s:o}", "store", url, "up", is_up, "namespace", settings->name_space,
                                "classes", classes),
                      JSON_INDENT(2));
}

/* For Prometheus: also that the store is down. */
static enum jg_exit
print_metrics(struct jg_cli *cli, struct jg_store *store, int first)
{
    struct jg_buf out = JG_BUF_INIT;
    struct jg_cli_names names = {.list = NULL};
    struct jg_metrics_wish wish = {.name_space = jg_conf_settings(cli->conf)->name_space, .walk = true};
    enum jg_exit result = JG_EXIT_OK;
    enum jg_err err = JG_OK;
    if (first < cli->count) {
        err = jg_cli_classes(store, &names);
        wish.names = err == JG_OK ? &names : NULL;
        wish.quiet = err != JG_OK; /* that was said */
    }
    if (err == JG_OK && !choose(cli, store, first, &names))
        result = JG_EXIT_NEGATIVE;
    jg_metrics_build(&out);
    err = jg_metrics_store(&out, store, &wish);
    if (err == JG_OK && out.failed)
        err = JG_ENOMEM;
    if (err != JG_OK)
        result = jg_cli_store_failed(cli, err);
    if (!out.failed)
        fwrite(out.data, 1, out.size_bytes, stdout);
    jg_cli_names_clear(&names);
    jg_buf_clear(&out);
    return result;
}

static bool
take(void *opaque, int letter, const char *value)
{
    (void)letter;
    (void)value;
    *(bool *)opaque = true;
    return true;
}

enum jg_exit
jg_cli_status(struct jg_cli *cli)
{
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    bool prometheus = false;
    if (!jg_cli_options(cli, take, &prometheus, &first, &result))
        return result;
    if (prometheus && cli->json) {
        jg_cli_complain(cli, "takes --json or --prometheus, not both");
        return JG_EXIT_USAGE;
    }
    if (!jg_cli_finish(cli, false))
        return JG_EXIT_USAGE;
    struct jg_store *store = jg_cli_open_store(cli, &result);
    if (!store)
        return result;
    if (prometheus) {
        result = print_metrics(cli, store, first);
        jg_store_close(store);
        return result;
    }
    result = JG_EXIT_OK;
    struct jg_cli_names names = {.list = NULL};
    struct jg_class_report *reports = NULL;
    enum jg_err err = jg_cli_classes(store, &names);
    if (err == JG_OK && !choose(cli, store, first, &names))
        result = JG_EXIT_NEGATIVE;
    if (err == JG_OK && names.count > 0) {
        reports = calloc(names.count, sizeof *reports);
        err = reports ? JG_OK : JG_ENOMEM;
    }
    for (size_t i = 0; err == JG_OK && i < names.count; i++)
        err = jg_store_class_report(store, names.list[i], &reports[i]);
    if (err != JG_OK) {
        jg_cli_names_clear(&names);
        result = jg_cli_store_failed(cli, err);
    }
    print_reports(cli, err == JG_OK, &names, reports);
    free(reports);
    jg_cli_names_clear(&names);
    jg_store_close(store);
    return result;
}
