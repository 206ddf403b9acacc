/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate drain: until nothing of a topic is held any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/limits.h"
#include "cli/resuming.h"
#include "connectors/kafka/holding.h"

#define TIMEOUT_MAX_S 31536000L
#define QUIET_LOOKS 2 /* another resumer's work is done when nothing is held so often in a row */

const struct jg_cli_option jg_cli_drain_options[] = {
    {"group", 'g', "GROUP", "The group.id of the consumers that execute the topic."},
    {"now", 'n', NULL, "Resume everything at once, whatever the limits say."},
    {"timeout", 't', "SECONDS", "Give up after so long; 0, the default: never."},
    JG_CLI_BOOTSTRAP_OPTION,
    {.doc = NULL},
};

struct request {
    struct jg_cli_kafka kafka;
    struct jg_resuming resuming;
    const char *topic;
    const char *timeout;
    int64_t timeout_ms; /* 0: none */
    struct jg_cli_names holding;
};

static bool
take(void *opaque, int letter, const char *value)
{
    struct request *request = opaque;
    if (letter == 'g')
        request->resuming.group = value;
    else if (letter == 'n')
        request->resuming.lift = true;
    else if (letter == 't')
        request->timeout = value;
    else
        request->kafka.servers = value;
    return true;
}

/* How many of the topic are held; and the names of its holding topics. -1: said why Kafka does not tell. */
static int64_t
count_held(struct request *request)
{
    const struct rd_kafka_metadata *metadata = jg_cli_kafka_topics(&request->kafka);
    int64_t held = metadata ? 0 : -1;
    if (!metadata)
        return -1;
    jg_cli_names_clear(&request->holding);
    for (int i = 0; held >= 0 && i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];
        char origin[JG_TOPIC_MAX_BYTES + 1];
        if (topic->err || !jg_holding_parse(topic->topic, origin, sizeof origin) || strcmp(origin, request->topic) != 0)
            continue;
        jg_cli_names_add(&request->holding, topic->topic);
        int64_t lag = jg_cli_kafka_lag(&request->kafka, topic);
        held = lag < 0 ? -1 : held + lag;
    }
    rd_kafka_metadata_destroy(metadata);
    return held;
}

/* --- the classes --- */

static int
hex_digit(char digit)
{
    const char *found = strchr("0123456789abcdef", digit);
    return found && digit ? (int)(found - "0123456789abcdef") : -1;
}

/* The class of an escaped name, as long as it was not cut. */
static bool
unescape(const char *escaped, char *out, size_t out_bytes)
{
    size_t bytes = 0;
    for (const char *at = escaped; *at; bytes++) {
        if (bytes + 1 >= out_bytes)
            return false;
        if (*at != '-') {
            out[bytes] = *at++;
            continue;
        }
        int high = hex_digit(at[1]);
        int low = high < 0 ? -1 : hex_digit(at[2]);
        if (low < 0)
            return false;
        out[bytes] = (char)(high * 16 + low);
        at += 3;
    }
    out[bytes] = '\0';
    return bytes > 0;
}

/* The class that a holding topic is of: one that the store knows, else what the name says. */
static bool
class_of(const char *topic, const char *holding, const struct jg_cli_names *known, char *out, size_t out_bytes)
{
    bool found = false;
    for (size_t i = 0; !found && i < known->count; i++) {
        struct jg_buf name = JG_BUF_INIT;
        jg_holding_topic(&name, topic, known->list[i]);
        found = !name.failed && strcmp(name.data, holding) == 0 && strlen(known->list[i]) < out_bytes;
        if (found)
            snprintf(out, out_bytes, "%s", known->list[i]);
        jg_buf_clear(&name);
    }
    return found || unescape(holding + strlen(topic) + strlen(".held."), out, out_bytes);
}

static enum jg_err
lift(struct request *request, const char *class_name)
{
    enum jg_err err = jg_cli_limit_set(request->kafka.cli, request->resuming.store, class_name, true, 0);
    if (err == JG_OK)
        printf("Class '%s' has no limit now. `jobgate limit %s default` takes it back.\n", class_name, class_name);
    return err;
}

/* Say what would make it wait for ever. */
static enum jg_err
warn_waiting(struct request *request, const char *class_name)
{
    struct jg_class_report report = {.claims = 0};
    enum jg_err err = jg_store_class_report(request->resuming.store, class_name, &report);
    if (err != JG_OK)
        return err;
    if (jg_cli_limit_now(&report) < 0)
        jg_cli_complain(request->kafka.cli,
                        "warning: class '%s' is paused, so none of it comes back: `jobgate unpause %s`, or --now",
                        class_name, class_name);
    else if (!report.told && !report.override.set)
        jg_cli_complain(request->kafka.cli,
                        "warning: the store knows no limit of class '%s', so none of it comes back until a consumer "
                        "has told it: start one, or set a limit with `jobgate limit %s N`, or give --now",
                        class_name, class_name);
    return JG_OK;
}

/* Lift the limit of each class that has a holding topic, or say what it waits for. */
static bool
prepare_classes(struct request *request, enum jg_exit *exit)
{
    const struct jg_cli *cli = request->kafka.cli;
    struct jg_cli_names known = {.list = NULL};
    char class_name[JG_CLASS_MAX_BYTES + 1];
    enum jg_err err = jg_cli_classes(request->resuming.store, &known);
    for (size_t i = 0; err == JG_OK && i < request->holding.count; i++) {
        const char *holding = request->holding.list[i];
        if (!class_of(request->topic, holding, &known, class_name, sizeof class_name)) {
            jg_cli_complain(
                cli, "warning: of which class %s is cannot be told by its name: use `jobgate limit CLASS 0`", holding);
            continue;
        }
        err = request->resuming.lift ? lift(request, class_name) : warn_waiting(request, class_name);
    }
    jg_cli_names_clear(&known);
    if (err != JG_OK)
        *exit = jg_cli_store_failed(cli, err);
    return err == JG_OK;
}

/* --- waiting --- */

/* Resumed is not started: one that finds no slot comes back. */
static void
say_tickets(struct request *request)
{
    struct jg_cli_names known = {.list = NULL};
    enum jg_err err = jg_cli_classes(request->resuming.store, &known);
    for (size_t i = 0; err == JG_OK && i < known.count; i++) {
        struct jg_class_report report = {.claims = 0};
        err = jg_store_class_report(request->resuming.store, known.list[i], &report);
        if (err == JG_OK && report.tickets)
            printf("%lld resumed jobs of class '%s' have not started yet: the group's consumers have to run, and one "
                   "that finds no slot is held again. Look with `jobgate status`.\n",
                   (long long)report.tickets, known.list[i]);
    }
    jg_cli_names_clear(&known);
}

static enum jg_exit
watch(struct request *request)
{
    struct jg_resuming *resuming = &request->resuming;
    struct jg_resumer_state state = {.leads = false};
    int64_t deadline_ms = request->timeout_ms ? jg_clock_ms() + request->timeout_ms : INT64_MAX;
    int quiet = 0;
    while (jg_resuming_wait(resuming)) {
        int64_t held = count_held(request);
        jg_resuming_look(resuming, &state);
        quiet = held == 0 ? quiet + 1 : 0;
        if (held >= 0)
            jg_resuming_say("held %lld%s", (long long)held,
                            state.leads ? "" : " (stands by: another resumer of the group leads, or none does yet)");
        if (held == 0 && (state.leads ? state.caught_up && state.held == 0 : quiet >= QUIET_LOOKS)) {
            printf("Nothing of topic '%s' is held any more.\n", request->topic);
            say_tickets(request);
            return JG_EXIT_OK;
        }
        if (jg_clock_ms() >= deadline_ms) {
            jg_cli_complain(request->kafka.cli,
                            "gave up after %lld s: raise the limit or wait for slots (`jobgate status`), see that the "
                            "group's consumers run, or resume everything with --now",
                            (long long)request->timeout_ms / 1000);
            return JG_EXIT_NEGATIVE;
        }
    }
    jg_cli_complain(request->kafka.cli, "ended by a signal: what is held stays held");
    return JG_EXIT_NEGATIVE;
}

static enum jg_exit
drain(struct request *request, const char *group)
{
    enum jg_exit result = JG_EXIT_USAGE;
    if (!jg_resuming_open(&request->resuming, &result))
        return result;
    if (!jg_cli_kafka_open(&request->kafka, group))
        return JG_EXIT_USAGE;
    int64_t held = count_held(request);
    if (held < 0)
        return JG_EXIT_KAFKA;
    if (request->holding.count == 0)
        printf("Topic '%s' has no holding topic: nothing was ever held.\n", request->topic);
    else
        printf("%lld jobs of topic '%s' are held, in %zu holding topics.\n", (long long)held, request->topic,
               request->holding.count);
    (void)fflush(stdout);
    if (held == 0) {
        say_tickets(request);
        return JG_EXIT_OK;
    }
    if (!prepare_classes(request, &result))
        return result;
    (void)fflush(stdout);
    return jg_resuming_start(&request->resuming, &result) ? watch(request) : result;
}

static bool
check(struct jg_cli *cli, int first, struct request *request)
{
    struct jg_error error = {.text = ""};
    const char *group = request->resuming.group;
    if (cli->count - first != 1 || !group || !group[0] || !cli->words[first][0]) {
        jg_cli_complain(cli, "takes these arguments: %s", cli->word->arguments);
        return false;
    }
    char *end = NULL;
    long seconds = request->timeout ? strtol(request->timeout, &end, 10) : 0;
    if (end && (*end || end == request->timeout || seconds < 0 || seconds > TIMEOUT_MAX_S)) {
        jg_cli_complain(cli, "--timeout takes a number of seconds, 0 for none");
        return false;
    }
    request->timeout_ms = seconds * 1000;
    request->topic = cli->words[first];
    /* This resumer serves this topic only: others keep to their limits. */
    if (strpbrk(request->topic, ",^") || jg_conf_set(cli->conf, "jobgate.topics", request->topic, &error) != JG_OK) {
        jg_cli_complain(cli, "'%s' is no topic's name: one topic is drained at a time", request->topic);
        return false;
    }
    return jg_cli_finish(cli, true);
}

enum jg_exit
jg_cli_drain(struct jg_cli *cli)
{
    struct request request = {.kafka = JG_CLI_KAFKA_INIT(cli)};
    struct jg_buf group = JG_BUF_INIT;
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    request.resuming.kafka = &request.kafka;
    if (!jg_cli_options(cli, take, &request, &first, &result))
        return result;
    if (!check(cli, first, &request))
        return JG_EXIT_USAGE;
    jg_buf_format(&group, "%s.jobgate", request.resuming.group);
    result = group.failed ? JG_EXIT_USAGE : drain(&request, group.data);
    jg_cli_kafka_close(&request.kafka);
    jg_resuming_end(&request.resuming);
    jg_cli_names_clear(&request.holding);
    jg_buf_clear(&group);
    return result;
}
