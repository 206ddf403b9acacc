/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate held: the jobs that wait in a holding topic. */
#include "cli/held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/holding.h"

#define COUNT_DEFAULT 20

const struct jg_cli_option jg_cli_held_options[] = {
    {"group", 'g', "GROUP", "The group.id of the consumers that execute the topic."},
    {"topic", 't', "TOPIC", "The topic that the jobs are of."},
    {"count", 'n', "N", "Show so many, 20 unless given."},
    JG_CLI_BOOTSTRAP_OPTION,
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};

struct request {
    struct jg_cli_kafka kafka;
    const char *group;
    const char *topic;
    const char *count;
    const char *class_name;
    struct jg_buf holding; /* the holding topic's name */
    struct jg_held_list held;
};

static bool
take(void *opaque, int letter, const char *value)
{
    struct request *request = opaque;
    if (letter == 'g')
        request->group = value;
    else if (letter == 't')
        request->topic = value;
    else if (letter == 'n')
        request->count = value;
    else
        request->kafka.servers = value;
    return true;
}

static void
print_one(const struct jg_held *one)
{
    char since[JG_TIME_CHARS];
    char age[JG_TIME_CHARS];
    printf("%d/%lld  ", (int)one->partition, (long long)one->offset);
    jg_cli_print_plain(one->jid[0] ? one->jid : "no jid", strlen(one->jid[0] ? one->jid : "no jid"));
    printf("\n    ");
    if (one->since_ms) {
        jg_cli_time(one->since_ms, since);
        jg_cli_span(jg_wall_ms() - one->since_ms, age);
        printf("held since %s (%s)", since, age);
    } else {
        printf("held since an unknown time");
    }
    if (one->reason[0])
        printf(", reason ");
    jg_cli_print_plain(one->reason, strlen(one->reason));
    if (one->from[0])
        printf(", from ");
    jg_cli_print_plain(one->from, strlen(one->from));
    if (one->resumes)
        printf(", resumed %lld times before", (long long)one->resumes);
    if (one->attempts)
        printf(", failed %lld times", (long long)one->attempts);
    if (one->not_before_ms)
        jg_cli_print_when(", not resumed before ", one->not_before_ms);
    printf("\n    class ");
    jg_cli_print_plain(one->class_name, strlen(one->class_name));
    printf(": ");
    jg_cli_print_plain(one->payload, one->payload_bytes);
    printf("%s\n", one->whole_bytes > one->payload_bytes ? " ..." : "");
}

static json_t *
text_json(const char *text)
{
    return jg_cli_json_text(text, strlen(text));
}

static json_t *
held_json(const struct jg_held_list *held)
{
    json_t *list = json_array();
    for (size_t i = 0; i < held->count; i++) {
        const struct jg_held *one = &held->list[i];
        json_array_append_new(
            list, json_pack("{s:i, s:I, s:o, s:o, s:I, s:o, s:o, s:I, s:I, s:I, s:o, s:I}", "partition",
                            (int)one->partition, "offset", (json_int_t)one->offset, "jid", text_json(one->jid), "class",
                            text_json(one->class_name), "since_ms", (json_int_t)one->since_ms, "reason",
                            text_json(one->reason), "from", text_json(one->from), "resumed", (json_int_t)one->resumes,
                            "attempt", (json_int_t)one->attempts, "not_before_ms", (json_int_t)one->not_before_ms,
                            "payload", jg_cli_json_text(one->payload, one->payload_bytes), "payload_bytes",
                            (json_int_t)one->whole_bytes));
    }
    return list;
}

static void
print_all(const struct request *request)
{
    const struct jg_held_list *held = &request->held;
    if (request->kafka.cli->json) {
        jg_cli_print_json(json_pack("{s:o, s:s, s:o, s:I, s:o}", "class", text_json(request->class_name),
                                    "holding_topic", request->holding.data, "group", text_json(request->group), "total",
                                    (json_int_t)held->total, "held", held_json(held)),
                          JSON_INDENT(2));
        return;
    }
    if (held->total == 0) {
        printf("Nothing is held: all of %s was resumed.\n", request->holding.data);
        return;
    }
    printf("%lld held in %s, the longest first:\n\n", (long long)held->total, request->holding.data);
    for (size_t i = 0; i < held->count; i++)
        print_one(&held->list[i]);
    if (held->total > (int64_t)held->count)
        printf("and %lld more (--count N shows more)\n", (long long)held->total - (long long)held->count);
}

static enum jg_exit
look(struct request *request)
{
    struct jg_buf group = JG_BUF_INIT;
    jg_buf_format(&group, "%s.jobgate", request->group);
    enum jg_exit result = JG_EXIT_KAFKA;
    const struct rd_kafka_metadata *metadata = NULL;
    if (group.failed || !jg_cli_kafka_open(&request->kafka, group.data))
        result = JG_EXIT_USAGE;
    else
        metadata = jg_cli_kafka_topics(&request->kafka);
    if (metadata) {
        const struct rd_kafka_metadata_topic *topic = jg_cli_kafka_find(metadata, request->holding.data);
        if (!topic) {
            jg_cli_complain(request->kafka.cli,
                            "there is no topic %s: nothing of class '%s' was ever held there (or this client may not "
                            "Describe it)",
                            request->holding.data, request->class_name);
            result = JG_EXIT_NEGATIVE;
        } else if (jg_held_read(&request->kafka, topic, &request->held)) {
            print_all(request);
            result = JG_EXIT_OK;
        }
        rd_kafka_metadata_destroy(metadata);
    }
    jg_cli_kafka_close(&request->kafka);
    jg_buf_clear(&group);
    return result;
}

static bool
check(const struct jg_cli *cli, int first, struct request *request)
{
    request->held.most = COUNT_DEFAULT;
    if (cli->count - first != 1 || !request->group || !request->topic || !request->group[0] || !request->topic[0]) {
        jg_cli_complain(cli, "takes these arguments: %s", cli->word->arguments);
        return false;
    }
    request->class_name = cli->words[first];
    if (!request->count)
        return true;
    char *end = NULL;
    long count = strtol(request->count, &end, 10);
    if (*end || end == request->count || count < 0 || count > JG_HELD_MOST) {
        jg_cli_complain(cli, "--count takes a number from 0 to %d", JG_HELD_MOST);
        return false;
    }
    request->held.most = (size_t)count;
    return true;
}

enum jg_exit
jg_cli_held(struct jg_cli *cli)
{
    struct request request = {.kafka = JG_CLI_KAFKA_INIT(cli)};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &request, &first, &result))
        return result;
    if (!check(cli, first, &request) || !jg_cli_finish(cli, false))
        return JG_EXIT_USAGE;
    jg_holding_topic(&request.holding, request.topic, request.class_name);
    request.held.list = calloc(request.held.most + 1, sizeof *request.held.list);
    if (request.holding.failed || !request.held.list) {
        jg_cli_complain(cli, "out of memory");
        result = JG_EXIT_USAGE;
    } else {
        result = look(&request);
    }
    free(request.held.list);
    jg_buf_clear(&request.holding);
    return result;
}
