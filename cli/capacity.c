/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate capacity: what the gauges say, and what that means for the next job. */
#include "cli/capacity.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/limits.h"

#define SENTENCE_CHARS 512

const struct jg_cli_option jg_cli_capacity_options[] = {
    {"slots", 's', NULL, "List the capacity slots that are taken (capacity.load=slots)."},
    {"free", 'f', "JID", "Free the capacity slot of that job, as its jobgate-release would."},
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};

/* --- the gauges --- */

bool
jg_cli_capacity_is_full(const struct jg_class_report *report)
{
    bool told = report->slots || report->load_key[0];
    return report->capacity > 0 && told && (report->load < 0 || report->load >= report->capacity);
}

void
jg_cli_load_text(const struct jg_class_report *report, char out[JG_TIME_CHARS])
{
    if (report->slots)
        snprintf(out, JG_TIME_CHARS, "%lld slots", (long long)report->load);
    else if (!report->load_key[0])
        snprintf(out, JG_TIME_CHARS, "no gauge");
    else if (report->load < 0)
        snprintf(out, JG_TIME_CHARS, "no number");
    else
        snprintf(out, JG_TIME_CHARS, "%lld%s", (long long)report->load,
                 report->gauge == JG_GAUGE_ABSENT ? ", no key" : "");
}

static json_t *
gauge_json(const char *key, int64_t value, const char *state)
{
    if (!key)
        return json_null();
    return json_pack("{s:o, s:o, s:s}", "key", jg_cli_json_text(key, strlen(key)), "value",
                     value < 0 ? json_null() : json_integer((json_int_t)value), "state", state);
}

json_t *
jg_cli_capacity_json(const struct jg_class_report *report)
{
    const char *load = report->gauge == JG_GAUGE_ABSENT ? "absent" : "fine";
    if (report->capacity <= 0)
        return json_null();
    json_t *value = json_pack(
        "{s:I, s:b, s:o, s:o}", "capacity", (json_int_t)report->capacity, "full", (int)jg_cli_capacity_is_full(report),
        "load",
        gauge_json(report->load_key[0] || report->slots ? report->load_key : NULL, report->load,
                   report->load < 0 ? "wrong" : load),
        "work",
        gauge_json(report->work_key[0] ? report->work_key : NULL, report->work, report->work < 0 ? "wrong" : "fine"));
    if (report->slots)
        json_object_set_new(value, "slots", jg_cli_slots_json(report));
    return value;
}

static void
print_load(const char *class_name, const struct jg_class_report *report)
{
    const char *key = report->load_key;
    if (report->slots)
        jg_cli_print_slots_taken(report);
    else if (!key[0])
        printf("load      not asked: no consumer has told a gauge. Set jobgate.class.%s.capacity.load=redis:KEY\n",
               class_name);
    else if (report->load < 0)
        printf("load      Redis key '%s' holds no number and no collection, so it counts as full: no job of the class "
               "starts.\n"
               "          Put a number there (SET), or keep a list, set, sorted set, hash or stream, whose size "
               "counts; or name\n          another key in jobgate.class.%s.capacity.load\n",
               key, class_name);
    else if (report->gauge == JG_GAUGE_ABSENT)
        printf("load      0: Redis key '%s' does not exist, so it counts as 0. That is right when the application "
               "deletes it at\n"
               "          0, or it is a collection that is empty; else see that it is spelt as in the application, "
               "and in the Redis\n          and database of jobgate.store\n",
               key);
    else
        printf("load      %lld, by Redis key '%s'\n", (long long)report->load, key);
}

static void
print_work(const char *class_name, const struct jg_class_report *report)
{
    const char *key = report->work_key;
    if (!key[0])
        printf("work      no gauge is set, so work always remains\n");
    else if (report->work < 0)
        printf("work      Redis key '%s' holds no number and no collection, so it counts as work: jobs are enqueued "
               "again for\n"
               "          ever. Put a number there (SET), or keep a list, set, sorted set, hash or stream, whose size "
               "counts; or\n          name another key in jobgate.class.%s.capacity.work\n",
               key, class_name);
    else
        printf("work      %lld, by Redis key '%s'%s\n", (long long)report->work, key,
               report->work ? "" : " (which may not exist: that is 0 too)");
}

/* --- what comes next --- */

/* Below capacity: what of the rest stands in the way. */
static void
say_start(const char *class_name, const struct jg_class_report *report, char out[SENTENCE_CHARS])
{
    int64_t limit = jg_cli_limit_now(report);
    bool more = report->held || report->tickets;
    if (limit > 0 && report->running >= limit)
        snprintf(
            out, SENTENCE_CHARS,
            "Below capacity, but the class runs as many jobs as its limit of %lld allows: the next one waits for a "
            "slot",
            (long long)limit);
    else if (report->lease == JG_LEASE_CLASS && report->running > 0)
        snprintf(out, SENTENCE_CHARS,
                 "Below capacity, but one job of the class runs and holds its lease: the next one is a no-op, or is "
                 "held (jobgate.class.%s.lease.taken)",
                 class_name);
    else if (more)
        snprintf(out, SENTENCE_CHARS,
                 "Below capacity: held jobs come back, those that wait longest first, and a new one goes behind them");
    else
        snprintf(out, SENTENCE_CHARS, "Below capacity: the next job of the class starts as it comes up");
}

/* One plain sentence. */
static void
say_next(const char *class_name, const struct jg_class_report *report, char out[SENTENCE_CHARS])
{
    char start[SENTENCE_CHARS];
    if (report->capacity <= 0) {
        snprintf(out, SENTENCE_CHARS,
                 "The class has no capacity: its jobs are not enqueued again at their end. Set "
                 "jobgate.class.%s.capacity in its consumers' settings.",
                 class_name);
    } else if (jg_cli_limit_now(report) < 0) {
        snprintf(out, SENTENCE_CHARS, "Paused: no job of the class starts until `jobgate unpause %s`.", class_name);
    } else if (report->load_key[0] && report->load < 0) {
        snprintf(out, SENTENCE_CHARS,
                 "Counts as full: the next job of the class waits until the gauge of load is a number below %lld.",
                 (long long)report->capacity);
    } else if (jg_cli_capacity_is_full(report)) {
        snprintf(out, SENTENCE_CHARS,
                 "At capacity: the next job of the class waits until load falls below %lld, in the holding topic.",
                 (long long)report->capacity);
    } else {
        say_start(class_name, report, start);
        snprintf(out, SENTENCE_CHARS, "%.360s; %s.", start,
                 report->work_key[0] && report->work == 0 ? "no work remains, so a job that ends is not enqueued again"
                                                          : "a job that ends is enqueued again");
    }
}

static void
print_report(const char *class_name, const struct jg_class_report *report, const char *next)
{
    char age[JG_TIME_CHARS] = "";
    printf("class     %s\n", class_name);
    if (report->capacity > 0) {
        printf("capacity  %lld\n", (long long)report->capacity);
        print_load(class_name, report);
        print_work(class_name, report);
    } else {
        printf("capacity  none%s\n", report->told ? "" : ": no consumer has told its settings");
    }
    printf("running   %lld\ntickets   %lld\nheld      %lld", (long long)report->running, (long long)report->tickets,
           (long long)report->held);
    if (report->held && report->oldest_held_ms) {
        jg_cli_span(jg_wall_ms() - report->oldest_held_ms, age);
        printf(", the oldest for %s", age);
    }
    printf("\n\n");
    jg_cli_print_wrapped(next, 0);
}

static json_t *
report_json(const char *class_name, bool known, const struct jg_class_report *report, const char *next)
{
    return json_pack("{s:o, s:b, s:o, s:I, s:I, s:I, s:I, s:s}", "class",
                     jg_cli_json_text(class_name, strlen(class_name)), "known", (int)known, "capacity",
                     jg_cli_capacity_json(report), "running", (json_int_t)report->running, "tickets",
                     (json_int_t)report->tickets, "held", (json_int_t)report->held, "oldest_held_ms",
                     (json_int_t)report->oldest_held_ms, "next", next);
}

struct request {
    const char *jid; /* whose slot is to be freed; NULL: nobody's */
    bool lists;
};

static bool
take(void *opaque, int letter, const char *value)
{
    struct request *request = opaque;
    if (letter == 's')
        request->lists = true;
    else
        request->jid = value;
    return true;
}

static enum jg_err
tell(struct jg_cli *cli, struct jg_store *store, const char *class_name, const struct jg_class_report *report,
     bool known, bool lists)
{
    char next[SENTENCE_CHARS];
    enum jg_err err = JG_OK;
    say_next(class_name, report, next);
    if (cli->json) {
        json_t *value = report_json(class_name, known, report, next);
        json_t *list = lists ? json_array() : NULL;
        if (list)
            err = jg_cli_slots_list(store, class_name, list);
        if (list)
            json_object_set_new(value, "slots", list);
        if (err == JG_OK)
            jg_cli_print_json(value, JSON_INDENT(2));
        else
            json_decref(value);
        return err;
    }
    if (known)
        print_report(class_name, report, next);
    return known && lists ? jg_cli_slots_list(store, class_name, NULL) : JG_OK;
}

static enum jg_exit
look(struct jg_cli *cli, struct jg_store *store, const char *class_name, bool lists)
{
    struct jg_class_report report = {.claims = 0};
    struct jg_cli_names names = {.list = NULL};
    enum jg_err err = jg_store_class_report(store, class_name, &report);
    if (err == JG_OK)
        err = jg_cli_classes(store, &names);
    bool known =
        report.told || report.running || jg_cli_limit_matters(&report) || jg_cli_names_have(&names, class_name);
    jg_cli_names_clear(&names);
    if (err == JG_OK)
        err = tell(cli, store, class_name, &report, known, lists);
    if (err != JG_OK)
        return jg_cli_store_failed(cli, err);
    if (!known)
        jg_cli_complain(cli, "class '%s' is not known in namespace '%s': no job of it came, no capacity told",
                        class_name, jg_conf_settings(cli->conf)->name_space);
    return known ? JG_EXIT_OK : JG_EXIT_NEGATIVE;
}

enum jg_exit
jg_cli_capacity(struct jg_cli *cli)
{
    struct request request = {.jid = NULL};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &request, &first, &result))
        return result;
    if (cli->count - first != 1 || !cli->words[first][0] || strlen(cli->words[first]) > JG_CLASS_MAX_BYTES) {
        jg_cli_complain(cli, "takes one argument, a class of at most %d bytes", JG_CLASS_MAX_BYTES);
        return JG_EXIT_USAGE;
    }
    if (!jg_cli_finish(cli, false))
        return JG_EXIT_USAGE;
    struct jg_store *store = jg_cli_open_store(cli, &result);
    if (!store)
        return result;
    result = request.jid ? jg_cli_slots_free(cli, store, cli->words[first], request.jid)
                         : look(cli, store, cli->words[first], request.lists);
    jg_store_close(store);
    return result;
}
