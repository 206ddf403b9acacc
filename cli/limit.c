/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate limit, pause, unpause: a limit that goes over the settings' own while programs run. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/limits.h"

const struct jg_cli_option jg_cli_limit_options[] = {
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};
const struct jg_cli_option jg_cli_unpause_options[] = {
    {"limit", 'l', "N", "Set this limit, instead of going back to the settings' own."},
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};

/* What is to be done to a class. */
struct request {
    const char *class_name;
    bool changes;
    bool set; /* else the override is taken back */
    int64_t limit;
};

static void
print_held(const struct jg_class_report *report)
{
    char age[JG_TIME_CHARS] = "";
    printf("held      %lld", (long long)report->held);
    if (report->held && report->oldest_held_ms) {
        jg_cli_span(jg_wall_ms() - report->oldest_held_ms, age);
        printf(", the oldest for %s", age);
    }
    putchar('\n');
}

static void
print_report(const char *class_name, const struct jg_class_report *report)
{
    char now[JG_LIMIT_CHARS];
    char settings[JG_LIMIT_CHARS];
    char at[JG_TIME_CHARS];
    jg_cli_limit_text(jg_cli_limit_now(report), now);
    jg_cli_limit_text(report->limit, settings);
    printf("class     %s\nlimit     %s", class_name, now);
    if (report->override.set) {
        jg_cli_time(report->override.at_ms, at);
        printf(", set at run time (%s); ", at);
        printf(report->told ? "the settings say %s" : "no consumer has told its settings", settings);
    } else {
        printf(report->told ? ", by the settings" : ": no consumer has told its settings");
    }
    if (report->per_key)
        printf("\nper key   %lld of each value of limit.key", (long long)report->per_key);
    printf("\nrunning   %lld\ntickets   %lld\n", (long long)report->running, (long long)report->tickets);
    if (report->told && report->ahead)
        printf("ahead     %lld%s\n", (long long)report->ahead, report->paced ? ", as the resumer finds it" : "");
    print_held(report);
    jg_cli_limit_disagreement(stdout, class_name, report);
}

/* An override is good for nothing where nobody asks for slots. */
static void
warn_not_asked(const struct jg_cli *cli, const struct request *request, const struct jg_class_report *report)
{
    if (!jg_cli_limit_is_asked(report))
        jg_cli_complain(cli,
                        "warning: no running consumer has a limit, a lease or a capacity set for class '%s', so none "
                        "asks for it: set "
                        "jobgate.class.%s.limit in the consumers' settings (0 is no limit). What was set at run time "
                        "is kept, and counts when they do",
                        request->class_name, request->class_name);
}

static void
say_changed(const struct request *request, const struct jg_class_report *report)
{
    char limit[JG_LIMIT_CHARS];
    jg_cli_limit_text(jg_cli_limit_now(report), limit);
    if (!request->set)
        printf("The limit of class '%s' is the settings' own again.\n\n", request->class_name);
    else if (request->limit < 0)
        printf("Class '%s' is paused: none of its jobs starts, those that come up are held. `jobgate unpause` takes it "
               "back.\n\n",
               request->class_name);
    else
        printf("The limit of class '%s' is %s now. `jobgate limit %s default` takes it back.\n\n", request->class_name,
               limit, request->class_name);
}

static enum jg_exit
tell(const struct jg_cli *cli, const struct request *request, const struct jg_class_report *report,
     const struct jg_cli_names *names)
{
    bool known = request->changes || report->told || report->running || jg_cli_limit_matters(report) ||
                 jg_cli_names_have(names, request->class_name);
    if (cli->json) {
        json_t *value = json_pack("{s:o, s:b, s:o, s:I, s:I, s:I, s:I}", "class",
                                  jg_cli_json_text(request->class_name, strlen(request->class_name)), "known",
                                  (int)known, "limit", jg_cli_limit_json(report), "running",
                                  (json_int_t)report->running, "tickets", (json_int_t)report->tickets, "held",
                                  (json_int_t)report->held, "oldest_held_ms", (json_int_t)report->oldest_held_ms);
        jg_cli_print_json(value, JSON_INDENT(2));
    } else if (known) {
        if (request->changes)
            say_changed(request, report);
        print_report(request->class_name, report);
    }
    if (request->changes && request->set)
        warn_not_asked(cli, request, report);
    if (!known)
        jg_cli_complain(cli, "class '%s' is not known in namespace '%s': no job of it was claimed, no limit told",
                        request->class_name, jg_conf_settings(cli->conf)->name_space);
    return known ? JG_EXIT_OK : JG_EXIT_NEGATIVE;
}

static enum jg_exit
carry_out(struct jg_cli *cli, const struct request *request)
{
    enum jg_exit result = JG_EXIT_USAGE;
    if (!jg_cli_finish(cli, false))
        return JG_EXIT_USAGE;
    struct jg_store *store = jg_cli_open_store(cli, &result);
    if (!store)
        return result;
    struct jg_class_report report = {.claims = 0};
    struct jg_cli_names names = {.list = NULL};
    enum jg_err err = JG_OK;
    if (request->changes)
        err = jg_cli_limit_set(cli, store, request->class_name, request->set, request->limit);
    if (err == JG_OK)
        err = jg_store_class_report(store, request->class_name, &report);
    if (err == JG_OK && !request->changes)
        err = jg_cli_classes(store, &names);
    result = err == JG_OK ? tell(cli, request, &report, &names) : jg_cli_store_failed(cli, err);
    jg_cli_names_clear(&names);
    jg_store_close(store);
    return result;
}

/* Too long a class is none: it has no limit and no claims. */
static bool
take_class(const struct jg_cli *cli, int first, int most, struct request *request)
{
    int given = cli->count - first;
    if (given < 1 || given > most || !cli->words[first][0]) {
        jg_cli_complain(cli, "takes these arguments: %s", cli->word->arguments);
        return false;
    }
    request->class_name = cli->words[first];
    if (strlen(request->class_name) <= JG_CLASS_MAX_BYTES)
        return true;
    jg_cli_complain(cli, "a class has at most %d bytes", JG_CLASS_MAX_BYTES);
    return false;
}

static bool
take_limit(const struct jg_cli *cli, const char *text, struct request *request)
{
    request->changes = true;
    request->set = strcmp(text, "default") != 0;
    if (!request->set || jg_cli_limit_parse(text, &request->limit))
        return true;
    jg_cli_complain(cli, "'%s' is no limit: a number from 1 to 1000000, 0 for none, -1 for paused, or default", text);
    return false;
}

enum jg_exit
jg_cli_limit(struct jg_cli *cli)
{
    static char paused[] = "paused";
    struct request request = {.class_name = NULL};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    /* Else it would be an option. */
    for (int i = 1; i < cli->count; i++)
        if (strcmp(cli->words[i], "-1") == 0)
            cli->words[i] = paused;
    if (!jg_cli_options(cli, NULL, NULL, &first, &result))
        return result;
    if (!take_class(cli, first, 2, &request))
        return JG_EXIT_USAGE;
    if (cli->count - first == 2 && !take_limit(cli, cli->words[first + 1], &request))
        return JG_EXIT_USAGE;
    return carry_out(cli, &request);
}

enum jg_exit
jg_cli_pause(struct jg_cli *cli)
{
    struct request request = {.changes = true, .set = true, .limit = -1};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, NULL, NULL, &first, &result))
        return result;
    return take_class(cli, first, 1, &request) ? carry_out(cli, &request) : JG_EXIT_USAGE;
}

static bool
take(void *opaque, int letter, const char *value)
{
    const char **limit = opaque;
    (void)letter;
    *limit = value;
    return true;
}

enum jg_exit
jg_cli_unpause(struct jg_cli *cli)
{
    const char *limit = "default";
    struct request request = {.class_name = NULL};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &limit, &first, &result))
        return result;
    if (!take_class(cli, first, 1, &request) || !take_limit(cli, limit, &request))
        return JG_EXIT_USAGE;
    if (request.set && request.limit < 0) {
        jg_cli_complain(cli, "--limit takes a number from 0: `jobgate pause` pauses");
        return JG_EXIT_USAGE;
    }
    return carry_out(cli, &request);
}
