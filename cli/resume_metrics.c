/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/resume_metrics.h"

#include <string.h>

#include "base/clock.h"
#include "cli/exposition.h"
#include "cli/metrics.h"

#define KEPT_MS 1000        /* however many ask, the store is asked no more often */
#define SURVEY_MOST_MS 2000 /* a store that answers slowly is told as down then */
#define CLASSES_MOST 2000

static void
refresh(struct jg_resume_metrics *metrics)
{
    const struct jg_resuming *resuming = metrics->resuming;
    struct jg_metrics_wish wish = {
        .name_space = jg_conf_settings(resuming->kafka->cli->conf)->name_space,
        .most = CLASSES_MOST,
        .timeout_ms = SURVEY_MOST_MS,
        .quiet = true, /* the resumer asks the same store, and complains */
    };
    jg_buf_reset(&metrics->store);
    (void)!jg_metrics_store(&metrics->store, resuming->store, &wish);
    metrics->store_ms = jg_clock_ms();
}

static void
tell_metrics(struct jg_resume_metrics *metrics, struct jg_endpoint_answer *out)
{
    out->type = JG_EXPOSITION_TYPE;
    jg_metrics_build(&out->body);
    jg_metrics_resumer(&out->body, metrics->resuming, metrics->started_ms);
    if (!metrics->store_ms || metrics->store.failed || jg_clock_ms() - metrics->store_ms >= KEPT_MS)
        refresh(metrics);
    if (metrics->store.failed)
        out->body.failed = true;
    else
        jg_buf_append(&out->body, metrics->store.data, metrics->store.size_bytes);
}

static void
tell_health(const struct jg_resume_metrics *metrics, bool strict, struct jg_endpoint_answer *out)
{
    struct jg_resumer_state state;
    bool up = jg_store_is_up(metrics->resuming->store);
    jg_resumer_state(metrics->resuming->resumer, &state);
    out->status = up || !strict ? 200 : 503;
    out->type = "text/plain; charset=utf-8";
    jg_buf_format(&out->body, "resumer %s\nstore %s\n", state.leads ? "leads" : "stands by", up ? "up" : "down");
    if (state.trouble[0])
        jg_buf_format(&out->body, "trouble %s\n", state.trouble);
}

void
jg_resume_metrics_answer(void *opaque, const char *path, struct jg_endpoint_answer *out)
{
    struct jg_resume_metrics *metrics = opaque;
    if (strcmp(path, "/metrics") == 0) {
        tell_metrics(metrics, out);
    } else if (strcmp(path, "/healthz") == 0 || strcmp(path, "/-/healthy") == 0) {
        tell_health(metrics, false, out);
    } else if (strcmp(path, "/-/ready") == 0) {
        tell_health(metrics, true, out);
    } else {
        out->status = 404;
        jg_buf_text(&out->body, "/metrics, /healthz, /-/ready\n");
    }
}

void
jg_resume_metrics_clear(struct jg_resume_metrics *metrics)
{
    jg_buf_clear(&metrics->store);
}
