/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/kafka/passed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1
#define HEAD_BYTES 5
#define ALL_BYTES (HEAD_BYTES + JG_PASSED_BYTES_MAX)
#define VARINT_MOST 9

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* --- the set --- */

/* The first run that ends behind `offset`. */
static size_t
find(const struct jg_passed *passed, int64_t offset)
{
    size_t low = 0, high = passed->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (passed->runs[middle].end > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool
make_room(struct jg_passed *passed)
{
    if (passed->count < passed->capacity)
        return true;
    size_t capacity = passed->capacity ? passed->capacity * 2 : 16;
    struct jg_passed_run *runs = realloc(passed->runs, capacity * sizeof *runs);
    if (!runs)
        return false;
    passed->runs = runs;
    passed->capacity = capacity;
    return true;
}

static void
drop_runs(struct jg_passed *passed, size_t at, size_t count)
{
    memmove(&passed->runs[at], &passed->runs[at + count], (passed->count - at - count) * sizeof *passed->runs);
    passed->count -= count;
}

bool
jg_passed_add(struct jg_passed *passed, int64_t offset)
{
    size_t at = find(passed, offset);
    if (at < passed->count && passed->runs[at].first <= offset)
        return true;
    bool before = at > 0 && passed->runs[at - 1].end == offset;
    bool behind = at < passed->count && passed->runs[at].first == offset + 1;
    if (!before && !behind) {
        if (!make_room(passed))
            return false;
        memmove(&passed->runs[at + 1], &passed->runs[at], (passed->count - at) * sizeof *passed->runs);
        passed->runs[at] = (struct jg_passed_run){.first = offset, .end = offset + 1};
        passed->count++;
    } else if (before && behind) {
        passed->runs[at - 1].end = passed->runs[at].end;
        drop_runs(passed, at, 1);
    } else if (before) {
        passed->runs[at - 1].end++;
    } else {
        passed->runs[at].first--;
    }
    passed->total++;
    return true;
}

bool
jg_passed_has(const struct jg_passed *passed, int64_t offset)
{
    size_t at = find(passed, offset);
    return at < passed->count && passed->runs[at].first <= offset;
}

void
jg_passed_trim(struct jg_passed *passed, int64_t *next)
{
    size_t at = find(passed, *next);
    if (at < passed->count && passed->runs[at].first <= *next)
        *next = passed->runs[at++].end;
    for (size_t i = 0; i < at; i++)
        passed->total -= passed->runs[i].end - passed->runs[i].first;
    if (at > 0)
        drop_runs(passed, 0, at);
}

bool
jg_passed_copy(const struct jg_passed *from, struct jg_passed *out)
{
    struct jg_passed_run *runs = malloc((from->count + 1) * sizeof *runs);
    if (!runs)
        return false;
    if (from->count)
        memcpy(runs, from->runs, from->count * sizeof *runs);
    *out = (struct jg_passed){.runs = runs, .count = from->count, .capacity = from->count + 1, .total = from->total};
    return true;
}

void
jg_passed_clear(struct jg_passed *passed)
{
    free(passed->runs);
    *passed = (struct jg_passed){.runs = NULL};
}

/* --- its size --- */

static size_t
varint_bytes(int64_t value)
{
    size_t bytes = 1;
    while (value >>= 7)
        bytes++;
    return bytes;
}

size_t
jg_passed_bytes(const struct jg_passed *passed, int64_t next)
{
    size_t bytes = 0;
    for (size_t i = 0; i < passed->count; i++) {
        const struct jg_passed_run *run = &passed->runs[i];
        bytes += varint_bytes(run->first - next) + varint_bytes(run->end - run->first);
        next = run->end;
    }
    return bytes;
}

/* A run of what waits is cut in two, or one is added behind the last: a length of one byte, and one that is no longer
 * than the whole. */
size_t
jg_passed_cost(const struct jg_passed *passed, int64_t next, int64_t offset)
{
    int64_t end = passed->count ? passed->runs[passed->count - 1].end : next;
    return 1 + varint_bytes((offset > end ? offset : end) - next);
}

/* --- its text --- */

static uint32_t
crc_add(uint32_t crc, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return crc;
}

static uint32_t
checksum(const char *topic, int32_t partition, int64_t next, const unsigned char *runs, size_t bytes)
{
    char place[64];
    int place_bytes = snprintf(place, sizeof place, "/%d/%lld/", (int)partition, (long long)next);
    uint32_t crc = crc_add(0xFFFFFFFFu, topic, strlen(topic));
    crc = crc_add(crc, place, (size_t)place_bytes);
    return ~crc_add(crc, runs, bytes);
}

static void
put_number(unsigned char **at, int64_t value)
{
    for (; value > 127; value >>= 7)
        *(*at)++ = (unsigned char)(0x80 | (value & 127));
    *(*at)++ = (unsigned char)value;
}

/* Below 1, too long, or not as it would be written: -1. */
static int64_t
get_number(const unsigned char **at, const unsigned char *end)
{
    int64_t value = 0;
    for (int i = 0; i < VARINT_MOST && *at < end; i++) {
        unsigned char byte = *(*at)++;
        value |= (int64_t)(byte & 127) << (7 * i);
        if (!(byte & 0x80))
            return byte || i == 0 ? (value > 0 ? value : -1) : -1;
    }
    return -1;
}

static void
put_base64(const unsigned char *from, size_t bytes, char *out)
{
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t three = (uint32_t)from[i] << 16;
        three |= i + 1 < bytes ? (uint32_t)from[i + 1] << 8 : 0;
        three |= i + 2 < bytes ? from[i + 2] : 0;
        *out++ = digits[three >> 18];
        *out++ = digits[three >> 12 & 63];
        if (i + 1 < bytes)
            *out++ = digits[three >> 6 & 63];
        if (i + 2 < bytes)
            *out++ = digits[three & 63];
    }
    *out = '\0';
}

/* How many bytes; 0: it is none. `out` has ALL_BYTES. */
static size_t
get_base64(const char *text, size_t text_bytes, unsigned char *out)
{
    size_t bytes = 0;
    uint32_t held = 0;
    unsigned bits = 0;
    if (text_bytes > JG_PASSED_TEXT_MAX || text_bytes % 4 == 1)
        return 0;
    for (size_t i = 0; i < text_bytes; i++) {
        const char *found = text[i] ? strchr(digits, text[i]) : NULL;
        if (!found)
            return 0;
        held = held << 6 | (uint32_t)(found - digits);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        out[bytes++] = (unsigned char)(held >> bits);
        held &= (1u << bits) - 1;
    }
    return held ? 0 : bytes;
}

bool
jg_passed_text(const struct jg_passed *passed, const char *topic, int32_t partition, int64_t next, char *out)
{
    unsigned char bytes[ALL_BYTES];
    unsigned char *at = bytes + HEAD_BYTES;
    int64_t from = next;
    out[0] = '\0';
    if (passed->count == 0)
        return true;
    if (jg_passed_bytes(passed, next) > JG_PASSED_BYTES_MAX)
        return false;
    for (size_t i = 0; i < passed->count; i++) {
        put_number(&at, passed->runs[i].first - from);
        put_number(&at, passed->runs[i].end - passed->runs[i].first);
        from = passed->runs[i].end;
    }
    uint32_t sum = checksum(topic, partition, next, bytes + HEAD_BYTES, (size_t)(at - bytes) - HEAD_BYTES);
    bytes[0] = VERSION;
    for (int i = 0; i < 4; i++)
        bytes[1 + i] = (unsigned char)(sum >> (24 - 8 * i));
    put_base64(bytes, (size_t)(at - bytes), out);
    return true;
}

static enum jg_err
add_runs(struct jg_passed *out, const unsigned char *at, const unsigned char *end, int64_t next)
{
    while (at < end) {
        int64_t waits = get_number(&at, end);
        int64_t resumed = waits > 0 ? get_number(&at, end) : -1;
        if (resumed < 0 || waits > INT64_MAX - next || resumed > INT64_MAX - next - waits)
            return JG_EINVAL;
        if (!make_room(out))
            return JG_ENOMEM;
        out->runs[out->count++] = (struct jg_passed_run){.first = next + waits, .end = next + waits + resumed};
        out->total += resumed;
        next += waits + resumed;
    }
    return JG_OK;
}

enum jg_err
jg_passed_parse(const void *text, size_t text_bytes, const char *topic, int32_t partition, int64_t next,
                struct jg_passed *out)
{
    unsigned char bytes[ALL_BYTES];
    uint32_t sum = 0;
    *out = (struct jg_passed){.runs = NULL};
    if (text_bytes == 0)
        return JG_OK;
    size_t count = get_base64(text, text_bytes, bytes);
    if (count <= HEAD_BYTES || bytes[0] != VERSION || next < 0)
        return JG_EINVAL;
    for (int i = 0; i < 4; i++)
        sum = sum << 8 | bytes[1 + i];
    if (sum != checksum(topic, partition, next, bytes + HEAD_BYTES, count - HEAD_BYTES))
        return JG_EINVAL;
    enum jg_err err = add_runs(out, bytes + HEAD_BYTES, bytes + count, next);
    if (err)
        jg_passed_clear(out);
    return err;
}
