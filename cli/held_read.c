/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a holding topic, and commits nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/held.h"
#include "plugin/jobgate.h"

#define POLL_MS 200

/* Header `name` as text, cut where it is too long; empty: there is none. */
static void
copy_header(const rd_kafka_headers_t *headers, const char *name, char *out, size_t out_bytes)
{
    const void *value = NULL;
    size_t bytes = 0;
    out[0] = '\0';
    if (!headers || rd_kafka_header_get_last(headers, name, &value, &bytes) || !value)
        return;
    if (bytes >= out_bytes)
        bytes = out_bytes - 1;
    memcpy(out, value, bytes);
    out[bytes] = '\0';
}

static int64_t
number_header(const rd_kafka_headers_t *headers, const char *name)
{
    char text[24];
    copy_header(headers, name, text, sizeof text);
    return text[0] >= '0' && text[0] <= '9' ? strtoll(text, NULL, 10) : 0;
}

static void
read_message(const rd_kafka_message_t *message, struct jg_held *out)
{
    rd_kafka_headers_t *headers = NULL;
    *out = (struct jg_held){.partition = message->partition, .offset = message->offset};
    if (rd_kafka_message_headers(message, &headers))
        headers = NULL;
    copy_header(headers, JOBGATE_HEADER_JID, out->jid, sizeof out->jid);
    copy_header(headers, JOBGATE_HEADER_CLASS, out->class_name, sizeof out->class_name);
    copy_header(headers, JOBGATE_HEADER_HELD_REASON, out->reason, sizeof out->reason);
    copy_header(headers, JOBGATE_HEADER_HELD_FROM, out->from, sizeof out->from);
    out->since_ms = number_header(headers, JOBGATE_HEADER_HELD_SINCE);
    out->resumes = number_header(headers, JOBGATE_HEADER_RESUMED);
    out->whole_bytes = message->payload ? message->len : 0;
    out->payload_bytes = out->whole_bytes < JG_HELD_SHOWN_BYTES ? out->whole_bytes : JG_HELD_SHOWN_BYTES;
    if (out->payload_bytes)
        memcpy(out->payload, message->payload, out->payload_bytes);
    /* No character is cut in two. */
    while (out->payload_bytes < out->whole_bytes && out->payload_bytes > JG_HELD_SHOWN_BYTES - 4 &&
           ((unsigned char)((const char *)message->payload)[out->payload_bytes] & 0xC0) == 0x80)
        out->payload_bytes--;
}

static bool
is_before(const struct jg_held *left, const struct jg_held *right)
{
    if (left->since_ms != right->since_ms)
        return left->since_ms < right->since_ms;
    return left->partition != right->partition ? left->partition < right->partition : left->offset < right->offset;
}

static void
add(struct jg_held_list *held, const rd_kafka_message_t *message)
{
    struct jg_held one;
    read_message(message, &one);
    held->total++;
    size_t at = held->count;
    while (at > 0 && is_before(&one, &held->list[at - 1]))
        at--;
    if (at == held->most)
        return;
    if (held->count < held->most)
        held->count++;
    memmove(&held->list[at + 1], &held->list[at], (held->count - at - 1) * sizeof one);
    held->list[at] = one;
}

static struct jg_cli_rest *
find(struct jg_cli_rest *rests, int count, int32_t partition)
{
    for (int i = 0; i < count; i++)
        if (rests[i].partition == partition)
            return &rests[i];
    return NULL;
}

static bool
is_read(const struct jg_cli_rest *rests, int count)
{
    for (int i = 0; i < count; i++)
        if (rests[i].begin < rests[i].end)
            return false;
    return true;
}

static void
take_message(struct jg_cli_rest *rests, int count, const rd_kafka_message_t *message, struct jg_held_list *out)
{
    struct jg_cli_rest *rest = find(rests, count, message->partition);
    if (!rest)
        return;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        rest->begin = rest->end;
    } else if (!message->err && message->offset >= rest->begin && message->offset < rest->end) {
        add(out, message);
        rest->begin = message->offset + 1;
    } else if (!message->err && message->offset >= rest->end) {
        rest->begin = rest->end; /* came after we looked */
    }
}

static bool
read_rests(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic, struct jg_cli_rest *rests,
           struct jg_held_list *out)
{
    int count = topic->partition_cnt;
    int64_t deadline_ms = jg_clock_ms() + JG_CLI_KAFKA_MS;
    while (!is_read(rests, count)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka->rk, POLL_MS);
        rd_kafka_resp_err_t err = message ? message->err : RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (message)
            take_message(rests, count, message, out);
        if (message && (!err || err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
            deadline_ms = jg_clock_ms() + JG_CLI_KAFKA_MS;
        if (message)
            rd_kafka_message_destroy(message);
        if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || jg_clock_ms() > deadline_ms) {
            (void)jg_cli_kafka_failed(kafka, "what is held", err);
            return false;
        }
    }
    return true;
}

static bool
assign(struct jg_cli_kafka *kafka, const char *topic, const struct jg_cli_rest *rests, int count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        if (rests[i].begin < rests[i].end)
            rd_kafka_topic_partition_list_add(list, topic, rests[i].partition)->offset = rests[i].begin;
    rd_kafka_resp_err_t err = list->cnt ? rd_kafka_assign(kafka->rk, list) : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        (void)jg_cli_kafka_failed(kafka, "what is held", err);
    return !err;
}

bool
jg_held_read(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic, struct jg_held_list *out)
{
    struct jg_cli_rest *rests = calloc((size_t)topic->partition_cnt + 1, sizeof *rests);
    if (!rests)
        jg_cli_complain(kafka->cli, "out of memory");
    bool good = rests && jg_cli_kafka_rests(kafka, topic, rests) &&
                assign(kafka, topic->topic, rests, topic->partition_cnt) && read_rests(kafka, topic, rests, out);
    free(rests);
    return good;
}
