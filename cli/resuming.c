/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/resuming.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/rdk.h"

#define EVENTS_STOP_MS 1000

static void
print_log_line(void *opaque, int level, const char *fac, const char *text)
{
    static const char *const names[] = {
        [JG_LOG_ERROR] = "error", [JG_LOG_WARNING] = "warning", [JG_LOG_NOTICE] = "notice", [JG_LOG_INFO] = "info"};
    char at[JG_TIME_CHARS];
    bool named = level >= JG_LOG_ERROR && level <= JG_LOG_INFO;
    (void)opaque;
    jg_cli_time(jg_wall_ms(), at);
    fprintf(stderr, "%s %s %s: %s\n", at, named ? names[level] : "debug", fac, text);
}

void
jg_resuming_say(const char *fmt, ...)
{
    char at[JG_TIME_CHARS];
    va_list args;
    jg_cli_time(jg_wall_ms(), at);
    printf("%s ", at);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    (void)fflush(stdout);
}

bool
jg_resuming_open(struct jg_resuming *resuming, enum jg_exit *exit)
{
    const struct jg_cli *cli = resuming->kafka->cli;
    char host[256] = "";
    (void)!gethostname(host, sizeof host - 1);
    snprintf(resuming->instance, sizeof resuming->instance, "jobgate-%s-%s-%ld", cli->word->name, host, (long)getpid());
    resuming->log =
        (struct jg_log){.level = jg_conf_settings(cli->conf)->log_level, .name = "jobgate", .sink = print_log_line};
    sigemptyset(&resuming->signals);
    sigaddset(&resuming->signals, SIGINT);
    sigaddset(&resuming->signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &resuming->signals, NULL);
    resuming->store = jg_cli_open_store(cli, exit);
    return resuming->store != NULL;
}

/* The copy of librdkafka that this program is linked with. */
static const struct jg_rdk *
own_rdk(const struct jg_cli *cli)
{
    const struct jg_rdk *rdk = NULL;
    struct jg_error error = {.text = ""};
    if (jg_rdk_of(dlsym(RTLD_DEFAULT, "rd_kafka_version"), &rdk, &error) == JG_OK)
        return rdk;
    jg_cli_complain(cli, "%s", error.text);
    return NULL;
}

static struct jg_events *
open_events(const struct jg_resuming *resuming, const struct jg_rdk *rdk, const rd_kafka_conf_t *conf)
{
    const struct jg_events_options options = {
        .rdk = rdk,
        .host = conf,
        .conf = resuming->kafka->cli->conf,
        .log = &resuming->log,
        .instance = resuming->instance,
        .group = resuming->group,
    };
    return jg_conf_settings(options.conf)->events_topic ? jg_events_new(&options) : NULL;
}

bool
jg_resuming_start(struct jg_resuming *resuming, enum jg_exit *exit)
{
    const struct jg_cli *cli = resuming->kafka->cli;
    struct jg_error error = {.text = "out of memory"};
    *exit = JG_EXIT_USAGE;
    rd_kafka_conf_t *conf = jg_cli_kafka_conf(resuming->kafka);
    const struct jg_rdk *rdk = conf ? own_rdk(cli) : NULL;
    if (rdk) {
        resuming->events = open_events(resuming, rdk, conf);
        struct jg_resumer_options options = {
            .rdk = rdk,
            .base_conf = conf,
            .store = resuming->store,
            .conf = cli->conf,
            .log = &resuming->log,
            .group = resuming->group,
            .instance = resuming->instance,
            .events = resuming->events,
            .external = true,
            .lift = resuming->lift,
        };
        if (jg_resumer_start(&options, &resuming->resumer, &error) != JG_OK) {
            resuming->resumer = NULL;
            jg_cli_complain(cli, "%s", error.text);
        }
    }
    if (conf)
        rd_kafka_conf_destroy(conf);
    return resuming->resumer != NULL;
}

bool
jg_resuming_wait(struct jg_resuming *resuming)
{
    struct timespec second = {.tv_sec = 1};
    if (sigtimedwait(&resuming->signals, NULL, &second) > 0)
        return false;
    jg_store_tend(resuming->store);
    return true;
}

void
jg_resuming_look(struct jg_resuming *resuming, struct jg_resumer_state *out)
{
    *out = (struct jg_resumer_state){.leads = false};
    jg_resumer_state(resuming->resumer, out);
    if (strcmp(out->trouble, resuming->told) == 0)
        return;
    snprintf(resuming->told, sizeof resuming->told, "%s", out->trouble);
    if (out->trouble[0])
        jg_cli_complain(resuming->kafka->cli, "%s", out->trouble);
}

void
jg_resuming_end(struct jg_resuming *resuming)
{
    if (resuming->resumer && !jg_resumer_stop(resuming->resumer, jg_clock_ms() + JG_RESUMING_STOP_MS)) {
        jg_cli_complain(resuming->kafka->cli, "the resumer did not end within %d s: it is left behind",
                        JG_RESUMING_STOP_MS / 1000);
        /* Its thread still uses what a return would free. */
        (void)fflush(stdout);
        _exit(JG_EXIT_KAFKA);
    }
    resuming->resumer = NULL;
    if (resuming->events && !jg_events_stop(resuming->events, EVENTS_STOP_MS)) {
        jg_cli_complain(resuming->kafka->cli, "what sends events did not end in time: it is left behind");
        (void)fflush(stdout);
        _exit(JG_EXIT_KAFKA);
    }
    resuming->events = NULL;
    if (resuming->store)
        jg_store_close(resuming->store);
    resuming->store = NULL;
}
