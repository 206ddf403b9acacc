/* SPDX-License-Identifier: Apache-2.0 */
/* The store and its classes: one table a kind of sample, read class by class. docs/metrics.md lists them. */
#include <stdlib.h>
#include <string.h>

#include "cli/exposition.h"
#include "cli/limits.h"
#include "cli/metrics.h"

/* A class as it was found. */
struct found {
    struct jg_buf labels;
    struct jg_class_report report;
};

struct survey_result {
    const char *name_space;
    struct found *list; /* owned */
    size_t count, room;
    bool failed; /* out of memory */
};

/* --- counters: the store's tallies --- */

static const struct {
    const char *name, *tally, *help;
} counters[] = {
    {"jobgate_jobs_claimed_total", "claimed", "Jobs produced whose claim stood for their key: no duplicates."},
    {"jobgate_jobs_duplicate_total", "duplicates",
     "Jobs produced while an equal one was certain to run: they never run."},
    {"jobgate_jobs_candidate_total", "candidates",
     "Jobs produced while an equal one's claim was provisional: the consumer decides whether they run."},
    {"jobgate_claims_confirmed_total", "confirmed", "Claims confirmed, since the broker had acknowledged the job."},
    {"jobgate_claims_passed_total", "passed", "Claims that went to a candidate, since their own job was not to run."},
    {"jobgate_claims_released_total", "released", "Claims released, since their job's delivery had failed."},
    {"jobgate_jobs_admitted_total", "admitted", "Starts of jobs that the store was asked about."},
    {"jobgate_jobs_skipped_total", "skipped", "Candidates and copies that turned out to be duplicates, or done."},
    {"jobgate_jobs_noop_total", "noops", "Jobs that ended at once, since another job held their lease."},
    {"jobgate_jobs_completed_total", "completed", "Ends of jobs that the store was told, failed ones too."},
    {"jobgate_jobs_failed_total", "failed", "Jobs that the application reported as failed."},
    {"jobgate_jobs_held_total", "held", "Times that a job was held; a job may be held more than once."},
    {"jobgate_jobs_resumed_total", "resumed", "Times that a held job went back to its topic."},
    {"jobgate_jobs_dead_lettered_total", "buried", "Jobs that went to the dead letters."},
    {"jobgate_jobs_reenqueued_total", "reenqueued", "Jobs that were enqueued again at their end."},
    {"jobgate_tickets_missed_total", "missed", "Resumed jobs that found no slot in time, and were held again."},
    {"jobgate_runs_lost_total", "runs_lost",
     "Runs that nobody renewed in time: their consumer died, hung or was cut off."},
    {"jobgate_slots_freed_total", "slots_freed", "Capacity slots that a jobgate-release has freed."},
    {"jobgate_slots_unknown_total", "slots_unknown", "Releases of capacity slots that there were not, or no more."},
    {"jobgate_leases_lost_total", "leases_lost", "Leases of such runs; counted when another run gets the lease."},
};

static bool
tally_of(const struct jg_class_report *report, const char *name, int64_t *out)
{
    for (size_t i = 0; i < report->counter_count; i++) {
        if (strcmp(report->counters[i].name, name) == 0) {
            *out = report->counters[i].value;
            return true;
        }
    }
    return false;
}

static void
tell_counters(struct jg_buf *out, const struct survey_result *result)
{
    int64_t value;
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        jg_exposition_family(out, counters[i].name, "counter", counters[i].help);
        for (size_t j = 0; j < result->count; j++)
            if (tally_of(&result->list[j].report, counters[i].tally, &value))
                jg_exposition_integer(out, counters[i].name, &result->list[j].labels, value);
    }
}

/* --- gauges --- */

/* True: the class has such a sample. */
typedef bool gauge_reader(const struct jg_class_report *report, int64_t now_ms, int64_t *value);

static bool
read_running(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->running;
    return true;
}

static bool
read_held(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->held;
    return true;
}

static bool
read_oldest(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    *value = report->held && report->oldest_held_ms ? (now_ms - report->oldest_held_ms) * 1000 : 0;
    return true;
}

static bool
read_tickets(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->tickets;
    return true;
}

static bool
read_ahead(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->ahead;
    return report->told && jg_cli_limit_now(report) != 0;
}

static bool
read_limit(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = jg_cli_limit_now(report);
    *value = *value > 0 ? *value : 0;
    return jg_cli_limit_now(report) != 0;
}

static bool
read_own_limit(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->limit > 0 ? report->limit : 0;
    return report->told && report->limit != 0;
}

static bool
read_overridden(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->override.set;
    return true;
}

static bool
read_paused(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = jg_cli_limit_now(report) < 0;
    return true;
}

static bool
read_disagree(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->disagree;
    return true;
}

static bool
read_instances(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = (int64_t)report->instance_count;
    return true;
}

/* Of job keys, each run has its own. */
static bool
read_leases(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->lease == JG_LEASE_KEY ? report->running : report->lease_held;
    return report->lease != JG_LEASE_NONE;
}

static bool
read_token(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->lease_token;
    return report->lease == JG_LEASE_CLASS && report->lease_token > 0;
}

static bool
read_capacity(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->capacity;
    return report->capacity > 0;
}

static bool
read_load(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->load;
    return report->slots || (report->load_key[0] && report->load >= 0);
}

static bool
read_work(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->work;
    return report->work_key[0] && report->work >= 0;
}

static bool
read_gauge_wrong(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->gauge == JG_GAUGE_WRONG || report->gauge == JG_GAUGE_WORK_WRONG;
    return report->load_key[0] || report->work_key[0];
}

static bool
read_epoch(const struct jg_class_report *report, int64_t now_ms, int64_t *value)
{
    (void)now_ms;
    *value = report->epoch * 1000;
    return report->epoch > 0;
}

static const struct {
    const char *name;
    gauge_reader *read;
    bool seconds; /* the value is in microseconds */
    const char *help;
} gauges[] = {
    {"jobgate_running_jobs", read_running, false,
     "Jobs that run now, as far as the store knows: of classes with a limit, a lease, a capacity or until_executed."},
    {"jobgate_held_jobs", read_held, false, "Jobs that are held now."},
    {"jobgate_oldest_held_age_seconds", read_oldest, true,
     "For how long the job that is held longest is held; 0: none is, or no resumer has counted yet."},
    {"jobgate_tickets", read_tickets, false, "Jobs that were resumed and did not come up yet."},
    {"jobgate_resume_ahead", read_ahead, false,
     "Tickets that may be out beyond the free slots; of resume.ahead=auto as the resumer finds it."},
    {"jobgate_limit", read_limit, false,
     "How many jobs may run at once, a limit set at run time included; 0 while paused, no sample without a limit."},
    {"jobgate_settings_limit", read_own_limit, false, "The limit in the consumers' settings, as last told."},
    {"jobgate_limit_overridden", read_overridden, false, "1: a limit or a pause was set at run time."},
    {"jobgate_paused", read_paused, false, "1: no job of the class starts."},
    {"jobgate_limit_disagreement", read_disagree, false,
     "1: running consumers have different limits in their settings."},
    {"jobgate_instances", read_instances, false, "Consumers that told their settings of the class within a minute."},
    {"jobgate_leases_held", read_leases, false, "Leases that are held now."},
    {"jobgate_lease_token", read_token, false, "The fencing token that was given last, of a lease of the whole class."},
    {"jobgate_capacity", read_capacity, false, "The capacity, by the consumers' settings."},
    {"jobgate_load", read_load, false, "The load: what the application keeps, or how many capacity slots are taken."},
    {"jobgate_work", read_work, false, "The work that the application says remains."},
    {"jobgate_gauge_wrong", read_gauge_wrong, false, "1: a gauge of load or work holds no number and no collection."},
    {"jobgate_class_epoch_timestamp_seconds", read_epoch, true,
     "Since when the store has the class's data without a loss, Unix time; it changes when data was lost."},
};

static void
tell_gauges(struct jg_buf *out, const struct survey_result *result, int64_t now_ms)
{
    int64_t value;
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        jg_exposition_family(out, gauges[i].name, "gauge", gauges[i].help);
        for (size_t j = 0; j < result->count; j++) {
            if (!gauges[i].read(&result->list[j].report, now_ms, &value))
                continue;
            if (gauges[i].seconds)
                jg_exposition_seconds(out, gauges[i].name, &result->list[j].labels, value);
            else
                jg_exposition_integer(out, gauges[i].name, &result->list[j].labels, value);
        }
    }
}

static void
tell_claims(struct jg_buf *out, const struct survey_result *result)
{
    static const char *const states[] = {[JG_CLAIM_PROVISIONAL] = "provisional",
                                         [JG_CLAIM_QUEUED] = "queued",
                                         [JG_CLAIM_HELD] = "held",
                                         [JG_CLAIM_RUNNING] = "running"};
    jg_exposition_family(out, "jobgate_claims", "gauge", "Claims that stand now, by their state.");
    for (size_t i = 0; i < result->count; i++) {
        for (int state = JG_CLAIM_PROVISIONAL; state <= JG_CLAIM_RUNNING; state++) {
            struct jg_buf labels = JG_BUF_INIT;
            jg_buf_text(&labels, result->list[i].labels.data);
            jg_exposition_label(&labels, "state", states[state]);
            jg_exposition_integer(out, "jobgate_claims", &labels, result->list[i].report.claim_states[state]);
            jg_buf_clear(&labels);
        }
    }
}

/* --- the store itself --- */

static void
tell_number(struct jg_buf *out, const char *name, const char *type, const char *help, const struct jg_buf *labels,
            int64_t value)
{
    jg_exposition_family(out, name, type, help);
    if (value >= 0)
        jg_exposition_integer(out, name, labels, value);
}

static void
tell_server(struct jg_buf *out, const struct jg_store_report *store, const struct jg_buf *labels)
{
    struct jg_buf more = JG_BUF_INIT;
    jg_buf_text(&more, labels->data);
    jg_exposition_label(&more, "run_id", store->run_id);
    tell_number(out, "jobgate_store_info", "gauge", "Which Redis process it is.", &more, store->run_id[0] ? 1 : -1);
    jg_buf_clear(&more);
    tell_number(out, "jobgate_store_start_time_seconds", "gauge", "Since when the Redis process runs, Unix time.",
                labels, store->uptime_s < 0 ? -1 : store->now_ms / 1000 - store->uptime_s);
    tell_number(out, "jobgate_store_evicted_keys_total", "counter",
                "Keys that Redis forgot to save memory: each may break a promise.", labels, store->evicted_keys);
    tell_number(out, "jobgate_store_evicts", "gauge",
                "1: Redis's maxmemory-policy is not noeviction, so it may forget keys.", labels, store->evicts);
    tell_number(out, "jobgate_store_memory_bytes", "gauge", "Memory that Redis uses.", labels, store->memory_bytes);
    tell_number(out, "jobgate_store_memory_max_bytes", "gauge", "Memory that Redis may use; 0: it has no bound.",
                labels, store->memory_max_bytes);
}

static void
tell_store(struct jg_buf *out, const struct jg_survey *survey, const struct jg_metrics_wish *wish, bool up)
{
    struct jg_buf labels = JG_BUF_INIT;
    jg_exposition_label(&labels, "namespace", wish->name_space);
    tell_number(out, "jobgate_store_up", "gauge",
                "1: the store answered all that was asked for these metrics, in time.", &labels, up);
    jg_exposition_family(out, "jobgate_store_scrape_duration_seconds", "gauge",
                         "How long the store was asked for these metrics.");
    jg_exposition_seconds(out, "jobgate_store_scrape_duration_seconds", &labels, survey->store.took_us);
    if (up) {
        size_t left_out = wish->most && survey->known > wish->most ? survey->known - wish->most : 0;
        tell_server(out, &survey->store, &labels);
        tell_number(out, "jobgate_classes", "gauge", "Classes that were found.", &labels, (int64_t)survey->known);
        tell_number(out, "jobgate_classes_left_out", "gauge", "Of these, how many are too many to be told.", &labels,
                    (int64_t)left_out);
    }
    if (labels.failed)
        out->failed = true;
    jg_buf_clear(&labels);
}

/* --- all of it --- */

static void
keep_class(void *opaque, const char *class_name, const struct jg_class_report *report)
{
    struct survey_result *result = opaque;
    if (result->count == result->room) {
        size_t room = result->room ? 2 * result->room : 16;
        struct found *list = reallocarray(result->list, room, sizeof *list);
        result->failed = result->failed || !list;
        if (!list)
            return;
        result->list = list;
        result->room = room;
    }
    struct found *found = &result->list[result->count++];
    *found = (struct found){.labels = JG_BUF_INIT, .report = *report};
    jg_exposition_label(&found->labels, "namespace", result->name_space);
    jg_exposition_label(&found->labels, "class", class_name);
    result->failed = result->failed || found->labels.failed;
}

static int
compare_found(const void *left, const void *right)
{
    return strcmp(((const struct found *)left)->labels.data, ((const struct found *)right)->labels.data);
}

enum jg_err
jg_metrics_store(struct jg_buf *out, struct jg_store *store, const struct jg_metrics_wish *wish)
{
    char *none = NULL;
    struct survey_result result = {.name_space = wish->name_space};
    struct jg_survey survey = {
        .names = wish->names ? (wish->names->list ? wish->names->list : &none) : NULL,
        .count = wish->names ? wish->names->count : 0,
        .most = wish->most,
        .walk = wish->walk,
        .timeout_ms = wish->timeout_ms,
        .quiet = wish->quiet,
        .each = keep_class,
        .opaque = &result,
    };
    enum jg_err err = jg_store_survey(store, &survey);
    if (err == JG_OK && result.failed)
        err = JG_ENOMEM;
    tell_store(out, &survey, wish, err == JG_OK);
    if (err == JG_OK) {
        if (result.count)
            qsort(result.list, result.count, sizeof *result.list, compare_found);
        tell_counters(out, &result);
        tell_gauges(out, &result, survey.store.now_ms);
        if (wish->walk)
            tell_claims(out, &result);
    }
    for (size_t i = 0; i < result.count; i++)
        jg_buf_clear(&result.list[i].labels);
    free(result.list);
    return err;
}
