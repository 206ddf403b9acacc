/* SPDX-License-Identifier: Apache-2.0 */
/* What a `jobgate resume` process tells of itself. */
#include <stdlib.h>

#include "base/clock.h"
#include "cli/exposition.h"
#include "cli/metrics.h"
#include "plugin/counters.h"
#include "plugin/jobgate.h"

/* Labels of all samples of the resumer. */
static struct jg_buf
labels_of(const struct jg_resuming *resuming)
{
    struct jg_buf labels = JG_BUF_INIT;
    jg_exposition_label(&labels, "namespace", jg_conf_settings(resuming->kafka->cli->conf)->name_space);
    jg_exposition_label(&labels, "group", resuming->group);
    return labels;
}

static void
tell(struct jg_buf *out, const char *name, const char *type, const char *help, const struct jg_buf *labels,
     int64_t value)
{
    jg_exposition_family(out, name, type, help);
    jg_exposition_integer(out, name, labels, value);
}

static void
tell_state(struct jg_buf *out, const struct jg_buf *labels, const struct jg_resumer_state *state)
{
    tell(out, "jobgate_resumer_leading", "gauge", "1: this process resumes for its group; 0: it stands by.", labels,
         state->leads);
    tell(out, "jobgate_resumer_caught_up", "gauge", "1: it leads, knows all holding topics, and nothing is held.",
         labels, state->caught_up);
    tell(out, "jobgate_resumer_in_trouble", "gauge", "1: its last attempt at something failed; its log says what.",
         labels, state->trouble[0] != '\0');
    tell(out, "jobgate_resumer_jobs_resumed_total", "counter", "Jobs that this process brought back.", labels,
         state->resumed);
    tell(out, "jobgate_resumer_jobs_dead_lettered_total", "counter", "Jobs that this process sent to the dead letters.",
         labels, state->buried);
}

static void
tell_transactions(struct jg_buf *out, const struct jg_buf *labels, const struct jg_resumer_state *state,
                  const struct jg_histogram *took)
{
    static const char *const name = "jobgate_resumer_transactions_total";
    const struct {
        const char *outcome;
        int64_t count;
    } outcomes[] = {{"committed", state->committed}, {"aborted", state->aborted}, {"broken", state->broken}};
    jg_exposition_family(out, name, "counter",
                         "Kafka transactions, by their outcome; what was aborted or broken is tried again.");
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        struct jg_buf more = JG_BUF_INIT;
        jg_buf_text(&more, labels->data ? labels->data : "");
        jg_exposition_label(&more, "outcome", outcomes[i].outcome);
        jg_exposition_integer(out, name, &more, outcomes[i].count);
        jg_buf_clear(&more);
    }
    jg_exposition_family(out, "jobgate_resumer_transaction_duration_seconds", "histogram",
                         "How long these transactions took.");
    jg_exposition_histogram(out, "jobgate_resumer_transaction_duration_seconds", labels, took);
}

/* As its holding topics say, which are the truth. */
static void
tell_topics(struct jg_buf *out, const struct jg_resuming *resuming)
{
    static const char *const held = "jobgate_resumer_held_jobs", *const age = "jobgate_resumer_oldest_held_age_seconds";
    struct jg_resumer_topic *topics;
    size_t count = jg_resumer_topics(resuming->resumer, &topics);
    int64_t now_ms = jg_wall_ms();
    struct jg_buf *labels = calloc(count + 1, sizeof *labels);
    for (size_t i = 0; labels && i < count; i++) {
        labels[i] = labels_of(resuming);
        jg_exposition_label(&labels[i], "topic", topics[i].origin);
        jg_exposition_label(&labels[i], "class", topics[i].class_name);
    }
    jg_exposition_family(out, held, "gauge",
                         "Jobs of a topic and class that are held, counted in Kafka by the leader.");
    for (size_t i = 0; labels && i < count; i++)
        if (topics[i].class_name[0])
            jg_exposition_integer(out, held, &labels[i], topics[i].held);
    jg_exposition_family(out, age, "gauge", "For how long the one of them that is held longest is held; 0: none is.");
    for (size_t i = 0; labels && i < count; i++)
        if (topics[i].class_name[0])
            jg_exposition_seconds(out, age, &labels[i],
                                  topics[i].oldest_ms ? (now_ms - topics[i].oldest_ms) * 1000 : 0);
    for (size_t i = 0; labels && i < count; i++)
        jg_buf_clear(&labels[i]);
    free(labels);
    free(topics);
}

static void
tell_meter(struct jg_buf *out, const struct jg_buf *labels, struct jg_store *store)
{
    const struct jg_store_meter *meter = jg_store_meter(store);
    jg_exposition_family(out, "jobgate_store_exchange_duration_seconds", "histogram",
                         "How long this process's exchanges with the store took.");
    jg_exposition_histogram(out, "jobgate_store_exchange_duration_seconds", labels, &meter->exchanges);
    tell(out, "jobgate_store_failures_total", "counter",
         "Exchanges with the store, and attempts to reach it, that failed in this process.", labels,
         atomic_load_explicit(&meter->failures, memory_order_relaxed));
    tell(out, "jobgate_store_breaker_open", "gauge",
         "1: this process takes the store for dead and asks it only rarely.", labels, !jg_store_is_up(store));
}

/* The names and meanings are those of jobgate_counter(), so that any process can tell the same. */
static void
tell_plugin(struct jg_buf *out)
{
    static const char *const name = "jobgate_process_events_total";
    jg_exposition_family(out, name, "counter",
                         "What the plugin counted in this process, by jobgate_counter()'s names.");
    for (int i = 0; i < JG_COUNTER_COUNT; i++) {
        struct jg_buf labels = JG_BUF_INIT;
        jg_exposition_label(&labels, "event", jg_counter_name((enum jg_counter)i));
        jg_exposition_integer(out, name, &labels, jg_counter_value((enum jg_counter)i));
        jg_buf_clear(&labels);
    }
}

void
jg_metrics_build(struct jg_buf *out)
{
    struct jg_buf labels = JG_BUF_INIT;
    jg_exposition_label(&labels, "version", JOBGATE_VERSION);
    tell(out, "jobgate_build_info", "gauge", "Which version of jobgate tells this.", &labels, 1);
    jg_buf_clear(&labels);
}

void
jg_metrics_resumer(struct jg_buf *out, const struct jg_resuming *resuming, int64_t started_ms)
{
    struct jg_resumer_state state = {.leads = false};
    struct jg_buf labels = labels_of(resuming);
    jg_resumer_state(resuming->resumer, &state);
    jg_exposition_family(out, "process_start_time_seconds", "gauge", "Since when this process runs, Unix time.");
    jg_exposition_seconds(out, "process_start_time_seconds", NULL, started_ms * 1000);
    tell_state(out, &labels, &state);
    tell_transactions(out, &labels, &state, jg_resumer_took(resuming->resumer));
    tell_topics(out, resuming);
    tell_meter(out, &labels, resuming->store);
    tell_plugin(out);
    jg_buf_clear(&labels);
}
