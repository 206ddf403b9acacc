/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "1"
#define PREFIX_BYTES (sizeof JOBGATE_HEADER_PREFIX - 1)
#define ORIGIN_BYTES 512 /* Kafka topics have at most 249 bytes, namespaces at most 200 */

enum header {
    H_VERSION,
    H_ORIGIN,
    H_JID,
    H_CLASS,
    H_KEY,
    H_DEDUP,
    H_DUP_OF,
    H_DUP_SINCE,
    H_CAND_OF,
    H_FOLLOW_UP,
    H_UNCLAIMED,
    H_HELD_SINCE,
    H_HELD_REASON,
    H_HELD_FROM,
    H_HELD_TIME,
    H_RESUMED,
    H_NOT_BEFORE,
    H_ATTEMPT,
    H_LIMIT_KEY,
    H_COUNT
};

static const char *const header_names[H_COUNT] = {
    [H_VERSION] = JOBGATE_HEADER_VERSION,
    [H_ORIGIN] = JOBGATE_HEADER_ORIGIN,
    [H_JID] = JOBGATE_HEADER_JID,
    [H_CLASS] = JOBGATE_HEADER_CLASS,
    [H_KEY] = JOBGATE_HEADER_KEY,
    [H_DEDUP] = JOBGATE_HEADER_DEDUP,
    [H_DUP_OF] = JOBGATE_HEADER_DUPLICATE_OF,
    [H_DUP_SINCE] = JOBGATE_HEADER_DUPLICATE_SINCE,
    [H_CAND_OF] = JOBGATE_HEADER_CANDIDATE_OF,
    [H_FOLLOW_UP] = JOBGATE_HEADER_FOLLOW_UP,
    [H_UNCLAIMED] = JOBGATE_HEADER_UNCLAIMED,
    [H_HELD_SINCE] = JOBGATE_HEADER_HELD_SINCE,
    [H_HELD_REASON] = JOBGATE_HEADER_HELD_REASON,
    [H_HELD_FROM] = JOBGATE_HEADER_HELD_FROM,
    [H_HELD_TIME] = JOBGATE_HEADER_HELD_TIME,
    [H_RESUMED] = JOBGATE_HEADER_RESUMED,
    [H_NOT_BEFORE] = JOBGATE_HEADER_NOT_BEFORE,
    [H_ATTEMPT] = JOBGATE_HEADER_ATTEMPT,
    [H_LIMIT_KEY] = JOBGATE_HEADER_LIMIT_KEY,
};

static bool
is_ours(const char *name)
{
    return strncmp(name, JOBGATE_HEADER_PREFIX, PREFIX_BYTES) == 0;
}

static size_t
strip_list(const struct jg_rdk *rdk, rd_kafka_headers_t *headers)
{
    size_t stripped = 0;
    const char *name;
    const void *value;
    size_t size_bytes;
    size_t index = 0;
    while (!rdk->header_get_all(headers, index, &name, &value, &size_bytes)) {
        char doomed[256];
        if (!is_ours(name) || strcmp(name, JOBGATE_HEADER_RELEASE) == 0 || strlen(name) >= sizeof doomed) {
            index++;
            continue;
        }
        /* header_remove frees the name that it is given when that is the list's own. */
        strcpy(doomed, name);
        if (rdk->header_remove(headers, doomed))
            index++;
        else
            stripped++; /* all of that name are gone, and the list moved up: look at the same index again */
    }
    return stripped;
}

size_t
jg_stamp_strip(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage)
{
    rd_kafka_headers_t *headers = NULL;
    if (rdk->message_headers(rkmessage, &headers) || !headers)
        return 0;
    return strip_list(rdk, headers);
}

static rd_kafka_headers_t *
headers_of(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage)
{
    rd_kafka_headers_t *headers = NULL;
    if (!rdk->message_headers(rkmessage, &headers) && headers)
        return headers;
    headers = rdk->headers_new(H_COUNT);
    if (headers)
        rdk->message_set_headers(rkmessage, headers);
    return headers;
}

/* The texts of numbers in a stamp. */
struct number_texts {
    char since[24], follow_up[24], held_since[24], held_from[48], held_time[24], resumed[24], not_before[24],
        attempt[24];
};

static void
print_numbers(const struct jg_stamp *stamp, struct number_texts *out)
{
    snprintf(out->since, sizeof out->since, "%" PRId64, stamp->duplicate_since_ms);
    snprintf(out->follow_up, sizeof out->follow_up, "%" PRId64, stamp->follow_up);
    snprintf(out->held_since, sizeof out->held_since, "%" PRId64, stamp->held_since_ms);
    snprintf(out->held_from, sizeof out->held_from, "%" PRId32 "/%" PRId64, stamp->held_partition, stamp->held_offset);
    snprintf(out->held_time, sizeof out->held_time, "%" PRId64, stamp->held_time_ms);
    snprintf(out->resumed, sizeof out->resumed, "%" PRId64, stamp->resumed);
    snprintf(out->not_before, sizeof out->not_before, "%" PRId64, stamp->not_before_ms);
    snprintf(out->attempt, sizeof out->attempt, "%" PRId64, stamp->attempt);
}

static enum jg_err
write_list(const struct jg_rdk *rdk, rd_kafka_headers_t *headers, const struct jg_stamp *stamp, const char *name_space,
           const char *topic)
{
    char origin[ORIGIN_BYTES];
    struct number_texts numbers;
    bool held = stamp->held_since_ms > 0;
    snprintf(origin, sizeof origin, "%s/%s", name_space, topic);
    print_numbers(stamp, &numbers);
    const char *values[H_COUNT] = {
        [H_VERSION] = VERSION,
        [H_ORIGIN] = origin,
        [H_JID] = stamp->jid,
        [H_CLASS] = stamp->class_name,
        [H_KEY] = stamp->key,
        [H_DEDUP] = jg_dedup_name(stamp->dedup),
        [H_DUP_OF] = stamp->duplicate_of[0] ? stamp->duplicate_of : NULL,
        [H_DUP_SINCE] = stamp->duplicate_of[0] ? numbers.since : NULL,
        [H_CAND_OF] = stamp->candidate_of[0] ? stamp->candidate_of : NULL,
        [H_FOLLOW_UP] = stamp->candidate_of[0] && stamp->follow_up ? numbers.follow_up : NULL,
        [H_UNCLAIMED] = stamp->unclaimed ? "1" : NULL,
        [H_HELD_SINCE] = held ? numbers.held_since : NULL,
        [H_HELD_REASON] = held ? jg_reason_name(stamp->held_reason) : NULL,
        [H_HELD_FROM] = held ? numbers.held_from : NULL,
        [H_HELD_TIME] = held ? numbers.held_time : NULL,
        [H_RESUMED] = held && stamp->resumed ? numbers.resumed : NULL,
        [H_NOT_BEFORE] = held && stamp->not_before_ms ? numbers.not_before : NULL,
        [H_ATTEMPT] = stamp->attempt ? numbers.attempt : NULL,
        [H_LIMIT_KEY] = held && stamp->limit_key[0] ? stamp->limit_key : NULL,
    };
    for (size_t i = 0; i < H_COUNT; i++)
        if (values[i] && rdk->header_add(headers, header_names[i], -1, values[i], (ssize_t)strlen(values[i])))
            return JG_ENOMEM;
    return JG_OK;
}

enum jg_err
jg_stamp_write(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage, const struct jg_stamp *stamp,
               const char *name_space, const char *topic)
{
    rd_kafka_headers_t *headers = headers_of(rdk, rkmessage);
    return headers ? write_list(rdk, headers, stamp, name_space, topic) : JG_ENOMEM;
}

enum jg_err
jg_stamp_replace(const struct jg_rdk *rdk, rd_kafka_headers_t *headers, const struct jg_stamp *stamp,
                 const char *name_space, const char *topic)
{
    (void)strip_list(rdk, headers);
    return write_list(rdk, headers, stamp, name_space, topic);
}

enum jg_err
jg_stamp_token(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage, int64_t token)
{
    char text[24];
    rd_kafka_headers_t *headers = headers_of(rdk, rkmessage);
    int size_bytes = snprintf(text, sizeof text, "%" PRId64, token);
    if (!headers || rdk->header_add(headers, JOBGATE_HEADER_LEASE_TOKEN, -1, text, size_bytes))
        return JG_ENOMEM;
    return JG_OK;
}

enum jg_err
jg_stamp_slot(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage, const char *class_name, const char *jid)
{
    char text[JG_CLASS_MAX_BYTES + 1 + JG_JID_CHARS + 1];
    rd_kafka_headers_t *headers = headers_of(rdk, rkmessage);
    int size_bytes = snprintf(text, sizeof text, "%s/%s", class_name, jid);
    if (!headers || rdk->header_add(headers, JOBGATE_HEADER_SLOT, -1, text, size_bytes))
        return JG_ENOMEM;
    return JG_OK;
}

void
jg_stamp_strip_given(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage)
{
    rd_kafka_headers_t *headers = NULL;
    if (rdk->message_headers(rkmessage, &headers) || !headers)
        return;
    (void)rdk->header_remove(headers, JOBGATE_HEADER_LEASE_TOKEN);
    (void)rdk->header_remove(headers, JOBGATE_HEADER_SLOT);
}

/* Copy a value of exactly or at most the given size into a NUL-terminated field. */
static bool
copy_text(char *field, size_t field_bytes, const void *value, size_t value_bytes)
{
    if (!value || value_bytes == 0 || value_bytes >= field_bytes || memchr(value, '\0', value_bytes))
        return false;
    memcpy(field, value, value_bytes);
    field[value_bytes] = '\0';
    return true;
}

static bool
copy_jid(char *field, const void *value, size_t value_bytes)
{
    return value && jg_jid_valid(value, value_bytes) && copy_text(field, JG_JID_CHARS + 1, value, value_bytes);
}

/* Of hex digits, since the store is asked by it. */
static bool
copy_key(char *field, const void *value, size_t value_bytes)
{
    return value_bytes == JG_KEY_CHARS && copy_text(field, JG_KEY_CHARS + 1, value, value_bytes) &&
           strspn(field, "0123456789abcdef") == JG_KEY_CHARS;
}

static bool
copy_number(int64_t *field, const void *value, size_t value_bytes)
{
    char text[19]; /* so many digits are never too large */
    char *end;
    if (!copy_text(text, sizeof text, value, value_bytes))
        return false;
    *field = strtoll(text, &end, 10);
    return *end == '\0' && *field >= 0;
}

/* `<partition>/<offset>` */
static bool
copy_position(struct jg_stamp *stamp, const void *value, size_t value_bytes)
{
    const char *slash = value ? memchr(value, '/', value_bytes) : NULL;
    int64_t partition;
    if (!slash || !copy_number(&partition, value, (size_t)(slash - (const char *)value)) || partition > INT32_MAX)
        return false;
    stamp->held_partition = (int32_t)partition;
    return copy_number(&stamp->held_offset, slash + 1, value_bytes - (size_t)(slash + 1 - (const char *)value));
}

static bool
equals(const void *value, size_t value_bytes, const char *text)
{
    return value && value_bytes == strlen(text) && memcmp(value, text, value_bytes) == 0;
}

static bool
is_origin(const void *value, size_t value_bytes, const char *name_space, const char *topic)
{
    char origin[ORIGIN_BYTES];
    snprintf(origin, sizeof origin, "%s/%s", name_space, topic);
    return equals(value, value_bytes, origin);
}

static bool
read_value(struct jg_stamp_reader *reader, enum header header, const void *value, size_t value_bytes,
           const char *name_space, const char *topic)
{
    struct jg_stamp *stamp = &reader->stamp;
    switch (header) {
    case H_VERSION:
        reader->version_ok = equals(value, value_bytes, VERSION);
        return true;
    case H_ORIGIN:
        reader->origin_ok = is_origin(value, value_bytes, name_space, topic);
        return true;
    case H_JID:
        return copy_jid(stamp->jid, value, value_bytes);
    case H_CLASS:
        return copy_text(stamp->class_name, sizeof stamp->class_name, value, value_bytes);
    case H_KEY:
        return value_bytes == JG_KEY_CHARS && copy_text(stamp->key, sizeof stamp->key, value, value_bytes);
    case H_DEDUP:
        return value && jg_dedup_parse(value, value_bytes, &stamp->dedup);
    case H_DUP_OF:
        return copy_jid(stamp->duplicate_of, value, value_bytes);
    case H_DUP_SINCE:
        return copy_number(&stamp->duplicate_since_ms, value, value_bytes);
    case H_CAND_OF:
        return copy_jid(stamp->candidate_of, value, value_bytes);
    case H_FOLLOW_UP:
        return copy_number(&stamp->follow_up, value, value_bytes) && stamp->follow_up > 0;
    case H_UNCLAIMED:
        stamp->unclaimed = true;
        return equals(value, value_bytes, "1");
    case H_HELD_SINCE:
        return copy_number(&stamp->held_since_ms, value, value_bytes) && stamp->held_since_ms > 0;
    case H_HELD_REASON:
        return value && jg_reason_parse(value, value_bytes, &stamp->held_reason);
    case H_HELD_FROM:
        return copy_position(stamp, value, value_bytes);
    case H_HELD_TIME:
        return copy_number(&stamp->held_time_ms, value, value_bytes);
    case H_RESUMED:
        return copy_number(&stamp->resumed, value, value_bytes) && stamp->resumed > 0;
    case H_NOT_BEFORE:
        return copy_number(&stamp->not_before_ms, value, value_bytes) && stamp->not_before_ms > 0;
    case H_ATTEMPT:
        return copy_number(&stamp->attempt, value, value_bytes) && stamp->attempt > 0;
    case H_LIMIT_KEY:
        return copy_key(stamp->limit_key, value, value_bytes);
    case H_COUNT:
        break;
    }
    return false;
}

void
jg_stamp_reader_add(struct jg_stamp_reader *reader, const char *name, const void *value, size_t value_bytes,
                    const char *name_space, const char *topic)
{
    struct jg_stamp_notes *notes = &reader->notes;
    if (!is_ours(name))
        return;
    if (strcmp(name, JOBGATE_HEADER_RELEASE) == 0) {
        size_t at = notes->release_count++;
        if (at < JG_RELEASES_MOST) {
            notes->releases[at].value = value;
            notes->releases[at].size_bytes = value_bytes;
        }
        return;
    }
    if (strcmp(name, JOBGATE_HEADER_LEASE_TOKEN) == 0 || strcmp(name, JOBGATE_HEADER_SLOT) == 0)
        notes->given = true;
    reader->any = true;
    for (unsigned i = 0; i < H_COUNT; i++) {
        if (strcmp(name, header_names[i]) != 0)
            continue;
        if (reader->seen & 1u << i || !read_value(reader, (enum header)i, value, value_bytes, name_space, topic))
            reader->malformed = true;
        reader->seen |= 1u << i;
        return;
    }
    /* Unknown jobgate-* headers come from a later version and are left alone. */
}

bool
jg_release_parse(const void *value, size_t size_bytes, struct jg_release *out)
{
    const char *text = value;
    const char *slash = value ? memrchr(text, '/', size_bytes) : NULL;
    size_t class_bytes = slash ? (size_t)(slash - text) : 0;
    if (class_bytes == 0 || class_bytes > JG_CLASS_MAX_BYTES || memchr(text, '\0', class_bytes))
        return false;
    size_t jid_bytes = size_bytes - class_bytes - 1;
    if (jid_bytes > JG_JID_CHARS || !jg_jid_valid(slash + 1, jid_bytes))
        return false;
    memcpy(out->class_name, text, class_bytes);
    out->class_name[class_bytes] = '\0';
    memcpy(out->jid, slash + 1, jid_bytes);
    out->jid[jid_bytes] = '\0';
    out->told = false;
    return true;
}

enum jg_stamped
jg_stamp_reader_end(const struct jg_stamp_reader *reader)
{
    const unsigned needed =
        1u << H_VERSION | 1u << H_ORIGIN | 1u << H_JID | 1u << H_CLASS | 1u << H_KEY | 1u << H_DEDUP;
    const unsigned held = 1u << H_HELD_SINCE | 1u << H_HELD_REASON | 1u << H_HELD_FROM | 1u << H_HELD_TIME;
    const struct jg_stamp *stamp = &reader->stamp;
    if (!reader->any)
        return JG_STAMP_NONE;
    if (reader->malformed || !reader->version_ok || !reader->origin_ok || (reader->seen & needed) != needed)
        return JG_STAMP_FOREIGN;
    if (strncmp(stamp->jid, stamp->key, JG_KEY_CHARS) != 0)
        return JG_STAMP_FOREIGN;
    /* All that tells of being held, or none of it; only what was held can be resumed. */
    if ((reader->seen & held) != held && (reader->seen & (held | 1u << H_RESUMED | 1u << H_NOT_BEFORE)))
        return JG_STAMP_FOREIGN;
    if (stamp->duplicate_of[0] && strncmp(stamp->duplicate_of, stamp->key, JG_KEY_CHARS) != 0)
        return JG_STAMP_FOREIGN;
    if (stamp->candidate_of[0] && strncmp(stamp->candidate_of, stamp->key, JG_KEY_CHARS) != 0)
        return JG_STAMP_FOREIGN;
    if (stamp->follow_up && !stamp->candidate_of[0])
        return JG_STAMP_FOREIGN;
    return JG_STAMP_OURS;
}

enum jg_stamped
jg_stamp_read(const struct jg_rdk *rdk, const rd_kafka_message_t *rkmessage, const char *name_space, const char *topic,
              struct jg_stamp *out, struct jg_stamp_notes *notes)
{
    struct jg_stamp_reader reader = {.any = false};
    rd_kafka_headers_t *headers = NULL;
    if (notes)
        *notes = reader.notes;
    if (rdk->message_headers(rkmessage, &headers) || !headers)
        return JG_STAMP_NONE;
    const char *name;
    const void *value;
    size_t value_bytes;
    for (size_t i = 0; !rdk->header_get_all(headers, i, &name, &value, &value_bytes); i++)
        jg_stamp_reader_add(&reader, name, value, value_bytes, name_space, topic);
    enum jg_stamped stamped = jg_stamp_reader_end(&reader);
    if (stamped == JG_STAMP_OURS)
        *out = reader.stamp;
    if (notes)
        *notes = reader.notes;
    return stamped;
}

bool
jg_stamp_jid(const struct jg_rdk *rdk, const rd_kafka_message_t *rkmessage, char *out)
{
    rd_kafka_headers_t *headers = NULL;
    const void *value;
    size_t value_bytes;
    if (rdk->message_headers(rkmessage, &headers) || !headers ||
        rdk->header_get_last(headers, JOBGATE_HEADER_JID, &value, &value_bytes))
        return false;
    return copy_jid(out, value, value_bytes);
}

bool
jg_stamp_has_release(const struct jg_rdk *rdk, const rd_kafka_message_t *rkmessage)
{
    rd_kafka_headers_t *headers = NULL;
    const void *value;
    size_t value_bytes;
    return !rdk->message_headers(rkmessage, &headers) && headers &&
           !rdk->header_get_last(headers, JOBGATE_HEADER_RELEASE, &value, &value_bytes);
}
