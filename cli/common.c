/* SPDX-License-Identifier: Apache-2.0 */
/* Settings, store and output, as all words use them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"

static void
print_log_line(void *opaque, int level, const char *fac, const char *text)
{
    const struct jg_cli *cli = opaque;
    (void)fac;
    jg_cli_complain(cli, "%s%s", level <= JG_LOG_ERROR ? "" : "warning: ", text);
}

/* Lives as long as the process, since a store keeps a pointer to it. */
static const struct jg_log *
log_of(const struct jg_cli *cli)
{
    static struct jg_log log = {.level = JG_LOG_WARNING, .sink = print_log_line};
    log.opaque = (void *)cli;
    return &log;
}

bool
jg_cli_finish(struct jg_cli *cli, bool strict)
{
    struct jg_error error = {.text = ""};
    enum jg_err err = jg_conf_finish(cli->conf, log_of(cli), &error);
    if (err == JG_OK)
        return true;
    jg_cli_complain(cli, "%s%s", strict || err == JG_ENOMEM ? "" : "warning: a client would be refused: ", error.text);
    return !strict && err != JG_ENOMEM;
}

struct jg_store *
jg_cli_open_store(const struct jg_cli *cli, enum jg_exit *exit)
{
    const struct jg_settings *settings = jg_conf_settings(cli->conf);
    *exit = JG_EXIT_USAGE;
    if (!settings->store) {
        jg_cli_complain(cli, "jobgate.store is not set: give -X jobgate.store=redis://host:6379, --config FILE, "
                             "JOBGATE_STORE or JOBGATE_CONFIG");
        return NULL;
    }
    if (strncmp(settings->store, "memory:", strlen("memory:")) == 0) {
        jg_cli_complain(cli, "jobgate.store is memory: it lives inside one process, and no other one can look into it; "
                             "its counters are in that process's log");
        return NULL;
    }
    struct jg_store_options options = {
        .url = settings->store,
        .name_space = settings->name_space,
        .timeout_ms = settings->store_timeout_ms,
        .log = log_of(cli),
    };
    struct jg_store *store = NULL;
    struct jg_error error = {.text = ""};
    if (jg_store_open(&options, &store, &error) != JG_OK) {
        jg_cli_complain(cli, "%s", error.text);
        return NULL;
    }
    return store;
}

enum jg_exit
jg_cli_store_failed(const struct jg_cli *cli, enum jg_err err)
{
    const struct jg_settings *settings = jg_conf_settings(cli->conf);
    char url[256];
    jg_conf_redact(settings->store, url, sizeof url);
    if (err == JG_ENOMEM)
        jg_cli_complain(cli, "out of memory");
    else
        jg_cli_complain(
            cli,
            "no usable answer from %s within %lld ms: does it run, and are address, user and password right? "
            "(jobgate.store, jobgate.store.timeout.ms)",
            url, (long long)settings->store_timeout_ms);
    return JG_EXIT_STORE;
}

void
jg_cli_names_add(struct jg_cli_names *names, const char *name)
{
    char **list = reallocarray(names->list, names->count + 1, sizeof *list);
    if (list)
        names->list = list;
    char *copy = list ? strdup(name) : NULL;
    if (copy)
        names->list[names->count++] = copy;
    else
        names->failed = true;
}

bool
jg_cli_names_have(const struct jg_cli_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i], name) == 0)
            return true;
    return false;
}

static void
add_class(void *opaque, const char *class_name)
{
    jg_cli_names_add(opaque, class_name);
}

static int
compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

enum jg_err
jg_cli_classes(struct jg_store *store, struct jg_cli_names *out)
{
    enum jg_err err = jg_store_classes(store, add_class, out);
    if (err == JG_OK && out->failed)
        err = JG_ENOMEM;
    if (err == JG_OK && out->count > 0)
        qsort(out->list, out->count, sizeof *out->list, compare_names);
    return err;
}

void
jg_cli_names_clear(struct jg_cli_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
    *names = (struct jg_cli_names){.list = NULL};
}

void
jg_cli_time(int64_t unix_ms, char out[JG_TIME_CHARS])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    char text[24];
    if (unix_ms < 0 || !gmtime_r(&seconds, &parts) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts))
        snprintf(out, JG_TIME_CHARS, "at an unknown time");
    else
        snprintf(out, JG_TIME_CHARS, "%s.%03dZ", text, (int)(unix_ms % 1000));
}

void
jg_cli_span(int64_t span_ms, char out[JG_TIME_CHARS])
{
    long long ms = span_ms > 0 ? span_ms : 0;
    if (ms < 1000)
        snprintf(out, JG_TIME_CHARS, "%lld ms", ms);
    else if (ms < 60000 && ms % 1000 >= 100)
        snprintf(out, JG_TIME_CHARS, "%lld.%lld s", ms / 1000, ms % 1000 / 100);
    else if (ms < 60000)
        snprintf(out, JG_TIME_CHARS, "%lld s", ms / 1000);
    else if (ms < 3600000 && ms % 60000 >= 1000)
        snprintf(out, JG_TIME_CHARS, "%lld min %lld s", ms / 60000, ms % 60000 / 1000);
    else if (ms < 3600000)
        snprintf(out, JG_TIME_CHARS, "%lld min", ms / 60000);
    else
        snprintf(out, JG_TIME_CHARS, "%lld h %lld min", ms / 3600000, ms % 3600000 / 60000);
}

void
jg_cli_print_when(const char *before, int64_t unix_ms)
{
    char at[JG_TIME_CHARS];
    char span[JG_TIME_CHARS];
    int64_t ago_ms = jg_wall_ms() - unix_ms;
    jg_cli_time(unix_ms, at);
    jg_cli_span(ago_ms < 0 ? -ago_ms : ago_ms, span);
    printf("%s%s (%s%s%s)", before, at, ago_ms < 0 ? "in " : "", span, ago_ms < 0 ? "" : " ago");
}

void
jg_cli_print_plain(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        putchar(text[i] >= ' ' && text[i] <= '~' ? text[i] : '.');
}

const char *
jg_cli_action_name(enum jg_dup_action action)
{
    return action == JG_DUP_REJECT ? "reject" : "mark";
}

json_t *
jg_cli_json_text(const char *text, size_t bytes)
{
    json_t *value = text && bytes ? json_stringn(text, bytes) : NULL;
    return value ? value : json_null();
}

void
jg_cli_print_json(json_t *value, size_t flags)
{
    if (!value || json_dumpf(value, stdout, flags) != 0)
        fprintf(stderr, "jobgate: out of memory, the output is not complete\n");
    putchar('\n');
    json_decref(value);
}
