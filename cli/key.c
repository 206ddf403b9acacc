/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate key: what the plugin reads in a message. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/limits.h"
#include "plugin/identify.h"
#include "plugin/selector.h"

#define PAYLOAD_MAX_BYTES ((size_t)1 << 30)
#define READ_BYTES 65536
#define MOST_HEADERS 64

const struct jg_cli_option jg_cli_key_options[] = {
    {"topic", 't', "TOPIC", "The topic that the message is of."},
    {"payload", 'p', "FILE", "Read the payload from a file; - is standard input, the default."},
    {"key", 'k', "KEY", "The message's Kafka key."},
    {"header", 'H', "NAME=VALUE", "A header of the message; may be repeated."},
    {"lines", 'l', NULL, "Each line is a payload of its own."},
    {"json", 'j', NULL, "As JSON: one object, or, with --lines, one a line."},
    {.doc = NULL},
};

struct request {
    const struct jg_cli *cli;
    const char *topic;
    const char *path;
    const char *key;
    char *headers[MOST_HEADERS]; /* NAME=VALUE; borrowed */
    size_t header_count;
    bool lines;
    const struct jg_topic_spec *spec; /* NULL: the topic is not governed */
};

static bool
take(void *opaque, int letter, const char *value)
{
    struct request *request = opaque;
    switch (letter) {
    case 't':
        request->topic = value;
        return true;
    case 'p':
        request->path = value;
        return true;
    case 'k':
        request->key = value;
        return true;
    case 'l':
        request->lines = true;
        return true;
    default:
        if (!strchr(value, '=') || request->header_count == MOST_HEADERS) {
            jg_cli_complain(request->cli, "--header takes NAME=VALUE, at most %d times", MOST_HEADERS);
            return false;
        }
        request->headers[request->header_count++] = (char *)value;
        return true;
    }
}

/* As librdkafka: the last header of that name counts. */
static bool
find_header(void *opaque, const char *name, const void **value, size_t *value_bytes)
{
    const struct request *request = opaque;
    size_t name_bytes = strlen(name);
    for (size_t i = request->header_count; i-- > 0;) {
        const char *header = request->headers[i];
        if (strncmp(header, name, name_bytes) == 0 && header[name_bytes] == '=') {
            *value = header + name_bytes + 1;
            *value_bytes = strlen(header + name_bytes + 1);
            return true;
        }
    }
    return false;
}

static json_t *
number_json(int64_t value)
{
    return value == JG_AUTO ? json_string("auto") : json_integer(value);
}

static json_t *
policy_json(const struct jg_policy *policy)
{
    return json_pack("{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:I}", "dedup", jg_dedup_name(policy->dedup),
                     "dedup.ttl.ms", (json_int_t)policy->dedup_ttl_ms, "dedup.provisional.ms",
                     (json_int_t)policy->dedup_provisional_ms, "dedup.action", jg_cli_action_name(policy->dedup_action),
                     "limit", (json_int_t)policy->limit, "limit.ttl.ms", (json_int_t)policy->limit_ttl_ms, "hold.max",
                     (json_int_t)policy->hold_max, "hold.max.age.ms", (json_int_t)policy->hold_max_age_ms,
                     "resume.ahead", number_json(policy->resume_ahead), "resume.wait.ms",
                     number_json(policy->resume_wait_ms), "limit.per.key", (json_int_t)jg_policy_per_key(policy));
}

/* What is held, and for how long; only of a class with a limit. */
static void
print_limit(const struct jg_policy *policy)
{
    char limit[JG_LIMIT_CHARS];
    char text[JG_TIME_CHARS];
    jg_cli_limit_text(policy->limit, limit);
    char ahead[24] = "auto";
    jg_cli_span(policy->limit_ttl_ms, text);
    if (policy->resume_ahead != JG_AUTO)
        snprintf(ahead, sizeof ahead, "%lld", (long long)policy->resume_ahead);
    printf("        limit %s, a slot without a heartbeat is free after %s, resume.ahead %s\n", limit, text, ahead);
    if (policy->hold_max)
        printf("        at most %lld are held, then consumers stop at the next one\n", (long long)policy->hold_max);
    jg_cli_span(policy->hold_max_age_ms, text);
    if (policy->hold_max_age_ms)
        printf("        what was held for longer than %s goes to the dead letters\n", text);
}

static void
print_policy(const struct jg_policy *policy)
{
    char ttl[JG_TIME_CHARS];
    char provisional[JG_TIME_CHARS];
    if (jg_policy_is_empty(policy)) {
        printf("policy  none: jobs of this class pass untouched (jobgate.default.dedup, jobgate.class.<class>.dedup, "
               ".limit)\n");
        return;
    }
    jg_cli_span(policy->dedup_ttl_ms, ttl);
    jg_cli_span(policy->dedup_provisional_ms, provisional);
    printf("policy  dedup %s, action %s, claims last %s, provisional ones %s\n", jg_dedup_name(policy->dedup),
           jg_cli_action_name(policy->dedup_action), ttl, provisional);
    if (policy->limit)
        print_limit(policy);
    if (policy->limit_key)
        printf("        limit.per.key %lld of each value of %s\n", (long long)policy->limit_per_key,
               policy->limit_key->text);
}

/* The key of its limit by key: its value is read a second time. Empty: its class has none. */
static bool
find_limit_key(const struct request *request, const struct jg_identity *identity, const struct jg_message *message,
               char *out)
{
    struct jg_policy policy;
    struct jg_identity value;
    jg_conf_policy(request->cli->conf, identity->class_name, &policy);
    out[0] = '\0';
    if (!policy.limit_key)
        return false;
    jg_identity_init(&value);
    bool found = jg_identify_limit_key(request->spec, jg_conf_settings(request->cli->conf)->name_space,
                                       identity->class_name, policy.limit_key, message, &value, out);
    jg_identity_clear(&value);
    return found;
}

static void
print_identified(const struct request *request, const struct jg_identity *identity, const struct jg_message *message)
{
    struct jg_policy policy;
    char limit_key[JG_KEY_CHARS + 1];
    jg_conf_policy(request->cli->conf, identity->class_name, &policy);
    bool keyed = find_limit_key(request, identity, message, limit_key);
    const struct jg_buf *args = &identity->args;
    const struct jg_buf *id = &identity->id;
    if (request->cli->json) {
        jg_cli_print_json(json_pack("{s:o, s:b, s:b, s:s, s:o, s:o, s:s, s:o, s:o}", "topic",
                                    jg_cli_json_text(request->topic, strlen(request->topic)), "governed", 1,
                                    "identified", 1, "limit_key", limit_key, "class",
                                    jg_cli_json_text(identity->class_name, strlen(identity->class_name)), "args",
                                    jg_cli_json_text(args->data, args->size_bytes), "key", identity->key, "id",
                                    jg_cli_json_text(id->data, id->size_bytes), "policy", policy_json(&policy)),
                          request->lines ? JSON_COMPACT : JSON_INDENT(2));
        return;
    }
    printf("class   %s\nargs    ", identity->class_name);
    fwrite(args->data ? args->data : "", 1, args->size_bytes, stdout);
    printf("\nkey     %s\n", identity->key);
    if (id->size_bytes)
        printf("id      %s\n", id->data);
    if (limit_key[0])
        printf("limit   of key %s%s\n", limit_key,
               keyed ? "" : ", which all jobs share in which limit.key finds nothing");
    print_policy(&policy);
}

static void
print_unidentified(const struct request *request, const char *reason)
{
    bool rejects = request->spec->on_unidentified == JG_UNIDENTIFIED_REJECT;
    if (request->cli->json) {
        jg_cli_print_json(json_pack("{s:o, s:b, s:b, s:o, s:s}", "topic",
                                    jg_cli_json_text(request->topic, strlen(request->topic)), "governed", 1,
                                    "identified", 0, "reason", jg_cli_json_text(reason, strlen(reason)),
                                    "on.unidentified", rejects ? "reject" : "pass"),
                          request->lines ? JSON_COMPACT : JSON_INDENT(2));
        return;
    }
    printf("unidentified: %s\n", reason);
    printf("        jobgate.on.unidentified is %s\n",
           rejects ? "reject: its produce call fails" : "pass: it passes untouched, and is counted");
}

static enum jg_exit
identify(struct request *request, struct jg_identity *identity, const void *payload, size_t payload_bytes)
{
    struct jg_message message = {
        .topic = request->topic,
        .key = request->key,
        .key_bytes = request->key ? strlen(request->key) : 0,
        .payload = payload ? payload : "",
        .payload_bytes = payload_bytes,
        .header = find_header,
        .opaque = request,
    };
    switch (jg_identify(request->spec, jg_conf_settings(request->cli->conf)->name_space, &message, identity)) {
    case JG_IDENTIFIED:
        print_identified(request, identity, &message);
        return JG_EXIT_OK;
    case JG_UNIDENTIFIED:
        print_unidentified(request, identity->reason.text);
        return JG_EXIT_NEGATIVE;
    case JG_NO_JOB:
        print_unidentified(request, "a message without a payload is no job");
        return JG_EXIT_NEGATIVE;
    }
    return JG_EXIT_NEGATIVE;
}

static enum jg_exit
identify_lines(struct request *request, struct jg_identity *identity, FILE *file)
{
    enum jg_exit result = JG_EXIT_OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes = 0;
    bool is_first = true;
    while ((bytes = getline(&line, &room, file)) >= 0) {
        if (bytes > 0 && line[bytes - 1] == '\n')
            bytes--;
        if (!is_first && !request->cli->json)
            putchar('\n');
        is_first = false;
        if (identify(request, identity, line, (size_t)bytes) != JG_EXIT_OK)
            result = JG_EXIT_NEGATIVE;
    }
    free(line);
    return result;
}

static enum jg_exit
identify_whole(struct request *request, struct jg_identity *identity, FILE *file)
{
    struct jg_buf payload = JG_BUF_INIT;
    char *chunk = malloc(READ_BYTES);
    size_t bytes = 0;
    enum jg_exit result = JG_EXIT_USAGE;
    while (chunk && !payload.failed && payload.size_bytes <= PAYLOAD_MAX_BYTES &&
           (bytes = fread(chunk, 1, READ_BYTES, file)) > 0)
        jg_buf_append(&payload, chunk, bytes);
    if (!chunk || payload.failed || payload.size_bytes > PAYLOAD_MAX_BYTES)
        jg_cli_complain(request->cli, "the payload does not fit into memory");
    else if (!ferror(file))
        result = identify(request, identity, payload.data, payload.size_bytes);
    free(chunk);
    jg_buf_clear(&payload);
    return result;
}

static enum jg_exit
identify_input(struct request *request)
{
    bool is_stdin = !request->path || strcmp(request->path, "-") == 0;
    const char *shown = is_stdin ? "standard input" : request->path;
    FILE *file = is_stdin ? stdin : fopen(request->path, "re");
    if (!file) {
        jg_cli_complain(request->cli, "%s: %s", shown, strerror(errno));
        return JG_EXIT_USAGE;
    }
    struct jg_identity identity;
    jg_identity_init(&identity);
    errno = 0;
    enum jg_exit result =
        request->lines ? identify_lines(request, &identity, file) : identify_whole(request, &identity, file);
    if (ferror(file)) {
        jg_cli_complain(request->cli, "%s: %s", shown, strerror(errno));
        result = JG_EXIT_USAGE;
    }
    jg_identity_clear(&identity);
    if (!is_stdin)
        (void)fclose(file);
    return result;
}

static enum jg_exit
say_not_governed(const struct request *request)
{
    if (request->cli->json)
        jg_cli_print_json(json_pack("{s:o, s:b, s:b}", "topic",
                                    jg_cli_json_text(request->topic, strlen(request->topic)), "governed", 0,
                                    "identified", 0),
                          JSON_INDENT(2));
    else
        printf("topic '%s' is not governed: jobgate.topics does not name it, so its messages pass untouched\n",
               request->topic);
    return JG_EXIT_NEGATIVE;
}

enum jg_exit
jg_cli_key(struct jg_cli *cli)
{
    struct request request = {.cli = cli};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &request, &first, &result))
        return result;
    if (!request.topic) {
        jg_cli_complain(cli, "--topic TOPIC is missing");
        return JG_EXIT_USAGE;
    }
    if (first < cli->count) {
        jg_cli_complain(cli, "takes no argument '%s': a payload is read from --payload FILE", cli->words[first]);
        return JG_EXIT_USAGE;
    }
    if (!jg_cli_finish(cli, true))
        return JG_EXIT_USAGE;
    request.spec = jg_conf_topic(cli->conf, request.topic);
    return request.spec ? identify_input(&request) : say_not_governed(&request);
}
