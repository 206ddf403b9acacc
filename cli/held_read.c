/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a holding topic, and commits nothing. */
#include <stdlib.h>
#include <string.h>

#include "cli/held.h"
#include "cli/kafka_read.h"
#include "plugin/jobgate.h"

static int64_t
number_header(const rd_kafka_headers_t *headers, const char *name)
{
    char text[24];
    jg_cli_header_text(headers, name, text, sizeof text);
    return text[0] >= '0' && text[0] <= '9' ? strtoll(text, NULL, 10) : 0;
}

static void
read_message(const rd_kafka_message_t *message, struct jg_held *out)
{
    rd_kafka_headers_t *headers = NULL;
    *out = (struct jg_held){.partition = message->partition, .offset = message->offset};
    if (rd_kafka_message_headers(message, &headers))
        headers = NULL;
    jg_cli_header_text(headers, JOBGATE_HEADER_JID, out->jid, sizeof out->jid);
    jg_cli_header_text(headers, JOBGATE_HEADER_CLASS, out->class_name, sizeof out->class_name);
    jg_cli_header_text(headers, JOBGATE_HEADER_HELD_REASON, out->reason, sizeof out->reason);
    jg_cli_header_text(headers, JOBGATE_HEADER_HELD_FROM, out->from, sizeof out->from);
    out->since_ms = number_header(headers, JOBGATE_HEADER_HELD_SINCE);
    out->resumes = number_header(headers, JOBGATE_HEADER_RESUMED);
    out->attempts = number_header(headers, JOBGATE_HEADER_ATTEMPT);
    out->not_before_ms = number_header(headers, JOBGATE_HEADER_NOT_BEFORE);
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
add(void *opaque, const struct jg_cli_rest *rest, const rd_kafka_message_t *message)
{
    struct jg_held_list *held = opaque;
    struct jg_held one;
    if (jg_passed_has(&rest->passed, message->offset))
        return;
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

bool
jg_held_read(struct jg_cli_kafka *kafka, const struct rd_kafka_metadata_topic *topic, struct jg_held_list *out)
{
    struct jg_cli_rest *rests = calloc((size_t)topic->partition_cnt + 1, sizeof *rests);
    struct jg_reader reader = {
        .kafka = kafka,
        .what = "what is held",
        .rests = rests,
        .count = (size_t)topic->partition_cnt,
        .each = add,
        .opaque = out,
    };
    if (!rests)
        jg_cli_complain(kafka->cli, "out of memory");
    bool good = rests && jg_cli_kafka_rests(kafka, topic, rests) && jg_cli_kafka_read(&reader) == JG_READ_ALL;
    jg_cli_rests_destroy(rests, (size_t)topic->partition_cnt);
    return good;
}
