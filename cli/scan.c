/* SPDX-License-Identifier: Apache-2.0 */
/* Reads from the beginning to where the topics ended at the start. What is found is told in scan_print.c. */
#include "cli/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/kafka_read.h"

#define PROGRESS_MS 300

/* A scan under way. */
struct walk {
    struct jg_scan *scan;
    const char *name_space;
    struct jg_identity identity;
    struct jg_cli_rest *rests; /* owned */
    size_t count;
    int64_t messages; /* to read, at most */
    int64_t progress_ms;
    bool shows_progress;
};

/* --- which topics --- */

static bool
place_of(const struct jg_conf *conf, const char *topic, enum jg_scan_place *place, char *origin, size_t origin_bytes)
{
    *place = JG_PLACE_HELD;
    if (jg_holding_parse(topic, origin, origin_bytes) && jg_conf_topic(conf, origin))
        return true;
    *place = JG_PLACE_DEAD;
    if (jg_dead_parse(topic, origin, origin_bytes) && jg_conf_topic(conf, origin))
        return true;
    *place = JG_PLACE_TOPIC;
    snprintf(origin, origin_bytes, "%s", topic);
    return jg_conf_topic(conf, topic) != NULL;
}

/* --- is it the job's? --- */

static bool
find_header(void *opaque, const char *name, const void **value, size_t *value_bytes)
{
    return jg_cli_header(opaque, name, value, value_bytes);
}

static void
read_stamp(const struct walk *walk, const rd_kafka_headers_t *headers, struct jg_scan_find *find)
{
    struct jg_stamp_reader reader = {.any = false};
    const char *name;
    const void *value;
    size_t bytes;
    for (size_t i = 0; headers && !rd_kafka_header_get_all(headers, i, &name, &value, &bytes); i++)
        jg_stamp_reader_add(&reader, name, value, bytes, walk->name_space, find->origin);
    find->stamped = jg_stamp_reader_end(&reader);
    if (find->stamped == JG_STAMP_OURS)
        find->stamp = reader.stamp;
}

/* What no plugin produced is identified as its consumer does it. */
static bool
is_equal(struct walk *walk, const rd_kafka_message_t *message, rd_kafka_headers_t *headers, struct jg_scan_find *find)
{
    const struct jg_topic_spec *spec = jg_conf_topic(walk->scan->kafka.cli->conf, find->origin);
    struct jg_message as = {
        .topic = find->origin,
        .key = message->key,
        .key_bytes = message->key_len,
        .payload = message->payload,
        .payload_bytes = message->len,
        .header = find_header,
        .opaque = headers,
    };
    if (!spec || jg_identify(spec, walk->name_space, &as, &walk->identity) != JG_IDENTIFIED ||
        strcmp(walk->identity.key, walk->scan->key) != 0)
        return false;
    memcpy(find->stamp.key, walk->identity.key, sizeof find->stamp.key);
    memcpy(find->stamp.class_name, walk->identity.class_name, sizeof find->stamp.class_name);
    return true;
}

/* The headers alone; whether they are well-formed is looked at later. */
static bool
matches(struct walk *walk, const rd_kafka_message_t *message, rd_kafka_headers_t *headers, struct jg_scan_find *find)
{
    const struct jg_scan *scan = walk->scan;
    const void *value = NULL;
    size_t bytes = 0;
    bool has_jid = jg_cli_header(headers, JOBGATE_HEADER_JID, &value, &bytes);
    if (scan->jid[0])
        return has_jid && bytes == strlen(scan->jid) && memcmp(value, scan->jid, bytes) == 0;
    if (has_jid)
        return bytes > JG_KEY_CHARS && memcmp(value, scan->key, JG_KEY_CHARS) == 0;
    return is_equal(walk, message, headers, find);
}

static void
keep(struct jg_scan *scan, const struct jg_scan_find *find)
{
    scan->total++;
    if (scan->count < JG_SCAN_MOST)
        scan->finds[scan->count++] = *find;
}

static void
take_message(void *opaque, const struct jg_cli_rest *rest, const rd_kafka_message_t *message)
{
    struct walk *walk = opaque;
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t type;
    struct jg_scan_find find = {.partition = message->partition, .offset = message->offset, .committed = -1};
    walk->scan->messages++;
    if (rd_kafka_message_headers(message, &headers))
        headers = NULL;
    if (!place_of(walk->scan->kafka.cli->conf, rest->topic, &find.place, find.origin, sizeof find.origin) ||
        !matches(walk, message, headers, &find))
        return;
    snprintf(find.topic, sizeof find.topic, "%s", rest->topic);
    find.time_ms = rd_kafka_message_timestamp(message, &type);
    read_stamp(walk, headers, &find);
    if (find.stamped != JG_STAMP_OURS && !find.stamp.class_name[0])
        jg_cli_header_text(headers, JOBGATE_HEADER_CLASS, find.stamp.class_name, sizeof find.stamp.class_name);
    if (find.stamped != JG_STAMP_OURS && walk->scan->jid[0])
        snprintf(find.stamp.jid, sizeof find.stamp.jid, "%s", walk->scan->jid);
    jg_cli_header_text(headers, JOBGATE_HEADER_DEAD_REASON, find.dead_reason, sizeof find.dead_reason);
    keep(walk->scan, &find);
}

/* --- progress --- */

static void
show_progress(void *opaque)
{
    struct walk *walk = opaque;
    const struct jg_scan *scan = walk->scan;
    int64_t now_ms = jg_clock_ms();
    if (!walk->shows_progress || now_ms < walk->progress_ms)
        return;
    walk->progress_ms = now_ms + PROGRESS_MS;
    fprintf(stderr, "\r%lld of %lld messages read, %lld found ", (long long)scan->messages, (long long)walk->messages,
            (long long)scan->total);
    (void)fflush(stderr);
}

static void
end_progress(const struct walk *walk)
{
    if (walk->shows_progress)
        fprintf(stderr, "\r%60s\r", "");
}

/* --- reading --- */

static bool
add_topic(struct walk *walk, const struct rd_kafka_metadata_topic *topic)
{
    struct jg_scan *scan = walk->scan;
    struct jg_cli_rest *rests =
        reallocarray(walk->rests, walk->count + (size_t)topic->partition_cnt + 1, sizeof *rests);
    jg_cli_names_add(&scan->topics, topic->topic);
    if (rests)
        walk->rests = rests;
    if (!rests || scan->topics.failed) {
        jg_cli_complain(scan->kafka.cli, "out of memory");
        return false;
    }
    if (!jg_cli_kafka_whole(&scan->kafka, topic, rests + walk->count))
        return false;
    for (int i = 0; i < topic->partition_cnt; i++)
        walk->messages += rests[walk->count + (size_t)i].end - rests[walk->count + (size_t)i].begin;
    walk->count += (size_t)topic->partition_cnt;
    scan->partitions += topic->partition_cnt;
    return true;
}

static bool
add_topics(struct walk *walk, const struct rd_kafka_metadata *metadata)
{
    bool good = true;
    for (int i = 0; good && i < metadata->topic_cnt; i++) {
        enum jg_scan_place place;
        char origin[JG_TOPIC_MAX_BYTES + 1];
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];
        if (!topic->err && place_of(walk->scan->kafka.cli->conf, topic->topic, &place, origin, sizeof origin))
            good = add_topic(walk, topic);
    }
    return good;
}

static enum jg_exit
read_topics(struct walk *walk, const struct rd_kafka_metadata *metadata, int64_t deadline_ms)
{
    struct jg_scan *scan = walk->scan;
    struct jg_reader reader = {
        .kafka = &scan->kafka,
        .what = "what is in the topics",
        .deadline_ms = deadline_ms,
        .each = take_message,
        .tick = show_progress,
        .opaque = walk,
    };
    if (!add_topics(walk, metadata))
        return JG_EXIT_KAFKA;
    reader.rests = walk->rests;
    reader.count = walk->count;
    enum jg_read read = walk->count ? jg_cli_kafka_read(&reader) : JG_READ_ALL;
    end_progress(walk);
    scan->late = read == JG_READ_LATE;
    for (size_t i = 0; i < walk->count; i++)
        scan->messages_left += walk->rests[i].end - walk->rests[i].begin;
    return read == JG_READ_FAILED ? JG_EXIT_KAFKA : JG_EXIT_OK;
}

/* --- how far the groups have come --- */

bool
jg_scan_is_past(const struct jg_scan_find *find)
{
    return find->committed > find->offset || find->passed;
}

/* The group of each find's topic, by the command line or by the store. */
static enum jg_err
name_groups(struct jg_scan *scan, struct jg_store *store)
{
    for (size_t i = 0; i < scan->count; i++) {
        struct jg_scan_find *find = &scan->finds[i];
        struct jg_op op = {.kind = JG_OP_GROUP, .class_name = find->origin, .member = "", .run_ttl_ms = 60000};
        if (find->place == JG_PLACE_DEAD)
            continue;
        enum jg_err err = scan->group ? JG_OK : jg_store_exec(store, &op, 1);
        if (err != JG_OK)
            return err;
        const char *group = scan->group ? scan->group : op.other;
        if (group[0])
            snprintf(find->group, sizeof find->group, "%s%s", group, find->place == JG_PLACE_HELD ? ".jobgate" : "");
    }
    return JG_OK;
}

/* Was it resumed ahead of the offset that is committed? */
static bool
was_passed(const struct jg_scan_find *find, const rd_kafka_topic_partition_t *committed)
{
    struct jg_passed passed;
    (void)!jg_passed_parse(committed->metadata, committed->metadata_size, find->topic, find->partition,
                           committed->offset, &passed);
    bool was = jg_passed_has(&passed, find->offset);
    jg_passed_clear(&passed);
    return was;
}

/* What one group has committed. A client has the offsets of one group only. */
static bool
ask_group(struct jg_scan *scan, const char *group)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (size_t i = 0; i < scan->count; i++) {
        const struct jg_scan_find *find = &scan->finds[i];
        if (strcmp(find->group, group) == 0 && !rd_kafka_topic_partition_list_find(list, find->topic, find->partition))
            rd_kafka_topic_partition_list_add(list, find->topic, find->partition);
    }
    jg_cli_kafka_close(&scan->kafka);
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    bool good = jg_cli_kafka_open(&scan->kafka, group);
    if (good)
        err = rd_kafka_committed(scan->kafka.rk, list, JG_CLI_KAFKA_MS);
    if (err)
        (void)jg_cli_kafka_failed(&scan->kafka, "how far the group came", err);
    for (size_t i = 0; good && !err && i < scan->count; i++) {
        struct jg_scan_find *find = &scan->finds[i];
        const rd_kafka_topic_partition_t *found =
            rd_kafka_topic_partition_list_find(list, find->topic, find->partition);
        if (strcmp(find->group, group) != 0 || !found || found->err || found->offset < 0)
            continue;
        find->committed = found->offset;
        find->passed = find->place == JG_PLACE_HELD && was_passed(find, found);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return good && !err;
}

/* Each group once. */
static bool
ask_groups(struct jg_scan *scan)
{
    bool good = true;
    for (size_t i = 0; good && i < scan->count; i++) {
        bool asked = !scan->finds[i].group[0];
        for (size_t j = 0; !asked && j < i; j++)
            asked = strcmp(scan->finds[j].group, scan->finds[i].group) == 0;
        if (!asked)
            good = ask_group(scan, scan->finds[i].group);
    }
    return good;
}

static int
compare(const void *left, const void *right)
{
    const struct jg_scan_find *one = left;
    const struct jg_scan_find *other = right;
    if (one->time_ms != other->time_ms)
        return one->time_ms < other->time_ms ? -1 : 1;
    int order = strcmp(one->topic, other->topic);
    if (order || one->partition != other->partition)
        return order ? order : one->partition - other->partition;
    return one->offset < other->offset ? -1 : one->offset > other->offset;
}

enum jg_exit
jg_scan_run(struct jg_scan *scan, struct jg_store *store)
{
    const struct jg_cli *cli = scan->kafka.cli;
    int64_t deadline_ms = scan->timeout_ms ? jg_clock_ms() + scan->timeout_ms : 0;
    struct walk walk = {.scan = scan, .name_space = jg_conf_settings(cli->conf)->name_space};
    walk.shows_progress = isatty(STDERR_FILENO) == 1;
    scan->finds = calloc(JG_SCAN_MOST, sizeof *scan->finds);
    if (!scan->finds) {
        jg_cli_complain(cli, "out of memory");
        return JG_EXIT_USAGE;
    }
    if (!jg_cli_kafka_open(&scan->kafka, "jobgate-explain"))
        return JG_EXIT_USAGE;
    const struct rd_kafka_metadata *metadata = jg_cli_kafka_topics(&scan->kafka);
    if (!metadata)
        return JG_EXIT_KAFKA;
    jg_identity_init(&walk.identity);
    enum jg_exit result = read_topics(&walk, metadata, deadline_ms);
    jg_identity_clear(&walk.identity);
    rd_kafka_metadata_destroy(metadata);
    free(walk.rests);
    if (result != JG_EXIT_OK)
        return result;
    qsort(scan->finds, scan->count, sizeof *scan->finds, compare);
    enum jg_err err = name_groups(scan, store);
    if (err != JG_OK)
        return jg_cli_store_failed(cli, err);
    return ask_groups(scan) ? JG_EXIT_OK : JG_EXIT_KAFKA;
}

void
jg_scan_clear(struct jg_scan *scan)
{
    jg_cli_kafka_close(&scan->kafka);
    jg_cli_names_clear(&scan->topics);
    free(scan->finds);
    scan->finds = NULL;
}
