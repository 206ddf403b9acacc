/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate demo: what the plugin does, as a timeline. */
#include "cli/demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

const struct jg_cli_option jg_cli_demo_options[] = {
    {"bootstrap-servers", 'b', "SERVERS", "A Kafka cluster to use; needs --redis. Topics are made on it, and deleted."},
    {"redis", 'r', "URL",
     "The store to use, e.g. redis://localhost:6379; needs --bootstrap-servers. Counters stay in it, in a namespace of "
     "their own."},
    {.doc = NULL},
};

extern char **environ;

static bool
take(void *opaque, int letter, const char *value)
{
    struct jg_demo *demo = opaque;
    if (letter == 'b')
        demo->bootstrap_servers = value;
    else
        demo->redis = value;
    return true;
}

/* The story rests on its own settings alone. */
static void
forget_environment(void)
{
    static const char prefix[] = "JOBGATE_";
    char name[256];
    for (size_t i = 0; environ[i];) {
        size_t bytes = strcspn(environ[i], "=");
        if (strncmp(environ[i], prefix, sizeof prefix - 1) != 0 || bytes >= sizeof name) {
            i++;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)bytes, environ[i]);
        unsetenv(name); /* moves the others down */
    }
}

static bool
wants_color(void)
{
    const char *terminal = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0 && !(no_color && *no_color);
}

static void
print_introduction(const struct jg_demo *demo)
{
    printf("An ordinary Kafka producer and two ordinary consumers, on librdkafka %s and %s.\n"
           "What makes their topics governed queues are these properties, and nothing else:\n\n",
           rd_kafka_version_str(), demo->redis ? "a real broker" : "its mock cluster");
    for (size_t i = 0; i < demo->property_count; i++) {
        if (i == demo->public_count)
            printf("\nAnd for the demo alone, which is short, and where nothing is lost:\n\n");
        char value[4096];
        if (strcmp(demo->properties[i].name, "jobgate.store") == 0)
            jg_conf_redact(demo->properties[i].value, value, sizeof value);
        else
            snprintf(value, sizeof value, "%s", demo->properties[i].value);
        printf("  %-44s %s\n", demo->properties[i].name, value);
    }
    printf(
        "\nScenes 1 to 4 show what a duplicate is, and what becomes of it. Then come two scenarios of a job queue:\n\n"
        "  Dedup before deferral (scene 5): equal jobs are produced while one of them waits for a free slot.\n"
        "  Re-enqueue under dedup (scenes 6, 7): a job starts a migration and enqueues itself again, until 3 run.\n"
        "\nScenes 8 to 10 go on with jobs that wait: for a slot of their tenant, ahead of their turn, for a slot "
        "downstream.\n");
}

/* Where to look on. */
static void
print_counters(const struct jg_demo *demo)
{
    static const char *const classes[] = {"EmailWorker",   "ReportWorker",   "ChargeWorker",
                                          JG_DEMO_LIMITED, JG_DEMO_ENQUEUER, JG_DEMO_STRICT};
    struct jg_class_report report;
    printf("\nThe store's counters, as `jobgate status` reports them:\n");
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (jg_store_class_report(demo->store, classes[i], &report) != JG_OK)
            return;
        printf("  %-14s  %lld claims", classes[i], (long long)report.claims);
        for (size_t j = 0; j < report.counter_count; j++) {
            if (report.counters[j].value > 0)
                printf(", %s %lld", report.counters[j].name, (long long)report.counters[j].value);
        }
        putchar('\n');
    }
    printf("They stay in Redis, in namespace %s; the topics are deleted.\n", demo->name_space);
}

static enum jg_exit
show(struct jg_demo *demo)
{
    enum jg_exit result = JG_EXIT_NEGATIVE;
    if (jg_demo_open(demo, &result)) {
        print_introduction(demo);
        if (!jg_demo_start_producer(demo))
            result = JG_EXIT_NEGATIVE;
        else if (jg_demo_tell(demo))
            result = JG_EXIT_OK;
        if (demo->store && !demo->refuted)
            print_counters(demo);
    }
    jg_demo_close(demo);
    return result;
}

enum jg_exit
jg_cli_demo(struct jg_cli *cli)
{
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    struct jg_demo *demo = calloc(1, sizeof *demo);
    if (!demo) {
        jg_cli_complain(cli, "out of memory");
        return JG_EXIT_USAGE;
    }
    demo->cli = cli;
    demo->began_ms = jg_clock_ms();
    demo->color = wants_color();
    forget_environment();
    if (jg_cli_options(cli, take, demo, &first, &result)) {
        result = JG_EXIT_USAGE;
        if (first < cli->count)
            jg_cli_complain(cli, "takes no argument '%s'", cli->words[first]);
        else if (!demo->bootstrap_servers != !demo->redis)
            jg_cli_complain(cli,
                            "--bootstrap-servers and --redis go together: give both, or none for a mock cluster and "
                            "a store in memory");
        else
            result = show(demo);
    }
    free(demo);
    return result;
}
