/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate resume: a resumer in the foreground, until it is told to end. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/resume_metrics.h"

#define PROGRESS_MS 10000

const struct jg_cli_option jg_cli_resume_options[] = {
    {"group", 'g', "GROUP", "The group.id of the consumers whose jobs are held."},
    JG_CLI_BOOTSTRAP_OPTION,
    {"metrics", 'm', "[ADDRESS:]PORT",
     "Answer GET /metrics (for Prometheus), /healthz and /-/ready there; on 127.0.0.1 without an ADDRESS."},
    {.doc = NULL},
};

struct wish {
    struct jg_resuming resuming;
    const char *metrics; /* where; NULL: nowhere */
};

static bool
take(void *opaque, int letter, const char *value)
{
    struct wish *wish = opaque;
    if (letter == 'g')
        wish->resuming.group = value;
    else if (letter == 'm')
        wish->metrics = value;
    else
        wish->resuming.kafka->servers = value;
    return true;
}

static void
say_progress(const struct jg_resumer_state *state)
{
    jg_resuming_say("held %lld, resumed %lld, to dead letters %lld, holding topics %zu", (long long)state->held,
                    (long long)state->resumed, (long long)state->buried, state->topics);
}

static bool
is_same(const struct jg_resumer_state *left, const struct jg_resumer_state *right)
{
    return left->held == right->held && left->resumed == right->resumed && left->buried == right->buried &&
           left->topics == right->topics;
}

static void
watch(struct jg_resuming *resuming)
{
    struct jg_resumer_state state;
    struct jg_resumer_state told = {.held = -1};
    int64_t next_ms = 0;
    jg_resuming_say("stands by for group %s as %s", resuming->group, resuming->instance);
    while (jg_resuming_wait(resuming)) {
        bool led = told.leads;
        jg_resuming_look(resuming, &state);
        if (state.leads != led) {
            jg_resuming_say(state.leads ? "leads for group %s" : "stands by for group %s: another resumer leads",
                            resuming->group);
            told.leads = state.leads;
        }
        if (state.leads && jg_clock_ms() >= next_ms && !is_same(&state, &told)) {
            say_progress(&state);
            next_ms = jg_clock_ms() + PROGRESS_MS;
            told = state;
        }
    }
    jg_resuming_look(resuming, &state);
    say_progress(&state);
}

/* Until it is told to end. The endpoint ends first: it looks at the resumer. */
static enum jg_exit
run(struct jg_resuming *resuming, struct jg_endpoint *endpoint)
{
    enum jg_exit result = JG_EXIT_USAGE;
    struct jg_resume_metrics metrics = {.resuming = resuming, .started_ms = jg_wall_ms()};
    if (jg_resuming_open(resuming, &result) && jg_resuming_start(resuming, &result)) {
        if (!endpoint || jg_endpoint_serve(endpoint, jg_resume_metrics_answer, &metrics)) {
            if (endpoint)
                jg_resuming_say("metrics at http://%s/metrics", jg_endpoint_address(endpoint));
            watch(resuming);
            result = JG_EXIT_OK;
        }
    }
    jg_endpoint_close(endpoint);
    jg_resume_metrics_clear(&metrics);
    jg_resuming_end(resuming);
    return result;
}

enum jg_exit
jg_cli_resume(struct jg_cli *cli)
{
    struct jg_cli_kafka kafka = JG_CLI_KAFKA_INIT(cli);
    struct wish wish = {.resuming = {.kafka = &kafka}};
    const struct jg_resuming *resuming = &wish.resuming;
    struct jg_endpoint *endpoint = NULL;
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &wish, &first, &result))
        return result;
    if (first < cli->count || !resuming->group || !resuming->group[0]) {
        jg_cli_complain(cli, "takes these arguments: %s", cli->word->arguments);
        return JG_EXIT_USAGE;
    }
    if (!jg_cli_finish(cli, true))
        return JG_EXIT_USAGE;
    if (jg_conf_is_idle(cli->conf)) {
        jg_cli_complain(cli, "jobgate.topics is not set, so there is nothing to resume: give the consumers' settings "
                             "(--config FILE, or -X jobgate.topics=...)");
        return JG_EXIT_USAGE;
    }
    if (wish.metrics && !(endpoint = jg_endpoint_listen(cli, wish.metrics)))
        return JG_EXIT_USAGE;
    return run(&wish.resuming, endpoint);
}
