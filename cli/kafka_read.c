/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/kafka_read.h"

#include <string.h>

#include "base/clock.h"

#define POLL_MS 200

bool
jg_cli_header(const rd_kafka_headers_t *headers, const char *name, const void **value, size_t *value_bytes)
{
    return headers && !rd_kafka_header_get_last(headers, name, value, value_bytes) && *value;
}

void
jg_cli_header_text(const rd_kafka_headers_t *headers, const char *name, char *out, size_t out_bytes)
{
    const void *value = NULL;
    size_t bytes = 0;
    out[0] = '\0';
    if (!jg_cli_header(headers, name, &value, &bytes))
        return;
    if (bytes >= out_bytes)
        bytes = out_bytes - 1;
    memcpy(out, value, bytes);
    out[bytes] = '\0';
}

static bool
is_of(const struct jg_cli_rest *rest, const char *topic, int32_t partition)
{
    return rest->partition == partition && strcmp(rest->topic, topic) == 0;
}

/* Messages come in runs of one partition. */
static struct jg_cli_rest *
find(struct jg_reader *reader, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";
    for (size_t i = 0; i < reader->count; i++) {
        size_t index = (reader->last + i) % reader->count;
        if (is_of(&reader->rests[index], topic, message->partition)) {
            reader->last = index;
            return &reader->rests[index];
        }
    }
    return NULL;
}

/* What comes after its end is not wanted. */
static void
pause_rest(const struct jg_reader *reader, const struct jg_cli_rest *rest)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, rest->topic, rest->partition);
    (void)rd_kafka_pause_partitions(reader->kafka->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void
take_message(struct jg_reader *reader, const rd_kafka_message_t *message)
{
    struct jg_cli_rest *rest = find(reader, message);
    if (!rest || rest->begin >= rest->end)
        return;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        rest->begin = rest->end;
    } else if (!message->err && message->offset >= rest->begin && message->offset < rest->end) {
        reader->each(reader->opaque, rest, message);
        rest->begin = message->offset + 1;
    } else if (!message->err && message->offset >= rest->end) {
        rest->begin = rest->end; /* came after we looked */
    }
    if (rest->begin < rest->end)
        return;
    reader->open--;
    if (reader->open > 0)
        pause_rest(reader, rest);
}

static bool
assign(struct jg_reader *reader)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reader->count);
    for (size_t i = 0; i < reader->count; i++) {
        const struct jg_cli_rest *rest = &reader->rests[i];
        if (rest->begin < rest->end)
            rd_kafka_topic_partition_list_add(list, rest->topic, rest->partition)->offset = rest->begin;
    }
    reader->open = (size_t)list->cnt;
    rd_kafka_resp_err_t err = list->cnt ? rd_kafka_assign(reader->kafka->rk, list) : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        (void)jg_cli_kafka_failed(reader->kafka, reader->what, err);
    return !err;
}

enum jg_read
jg_cli_kafka_read(struct jg_reader *reader)
{
    if (!assign(reader))
        return JG_READ_FAILED;
    int64_t now_ms = jg_clock_ms();
    int64_t silent_ms = now_ms + JG_CLI_KAFKA_MS;
    while (reader->open > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader->kafka->rk, POLL_MS);
        rd_kafka_resp_err_t err = message ? message->err : RD_KAFKA_RESP_ERR__TIMED_OUT;
        now_ms = jg_clock_ms();
        if (message)
            take_message(reader, message);
        if (message && (!err || err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
            silent_ms = now_ms + JG_CLI_KAFKA_MS;
        if (message)
            rd_kafka_message_destroy(message);
        if (reader->tick)
            reader->tick(reader->opaque);
        if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || now_ms > silent_ms) {
            (void)jg_cli_kafka_failed(reader->kafka, reader->what, err);
            return JG_READ_FAILED;
        }
        if (reader->open > 0 && reader->deadline_ms && now_ms >= reader->deadline_ms)
            return JG_READ_LATE;
    }
    return JG_READ_ALL;
}
