/* SPDX-License-Identifier: Apache-2.0 */
/* Avro payloads: one value of the writer's schema in Avro's binary encoding, without container or registry framing.
 * Every length and count in it is checked against what is left of it before anything is done with it. */
#include "plugin/identify_format.h"

#include <stdio.h>
#include <string.h>

/* Values that take no bytes (null, an empty record) cost a hostile count nothing: so many, beside one per byte, will
 * do. */
#define FREE_VALUES 1024

struct reader {
    struct jg_canon *canon;
    const unsigned char *start;
    const unsigned char *at;
    const unsigned char *end;
    size_t free_values;
    const char *why; /* what is wrong, once something is */
};

static bool
wrong(struct reader *reader, const char *why)
{
    reader->why = why;
    return false;
}

static size_t
left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* A zigzag number of at most ten bytes. */
static bool
read_long(struct reader *reader, int64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (left(reader) == 0)
            return wrong(reader, "the payload ends too early");
        uint64_t byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return wrong(reader, "a number of more than 64 bits");
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
    return wrong(reader, "a number of more than 64 bits");
}

/* The index of an enum's symbol or of a union's branch. */
static bool
read_index(struct reader *reader, size_t count, size_t *out)
{
    int64_t index;
    if (!read_long(reader, &index))
        return false;
    if (index < 0 || (uint64_t)index >= count)
        return wrong(reader, "an index that the schema does not have");
    *out = (size_t)index;
    return true;
}

static bool
take(struct reader *reader, size_t size_bytes, const unsigned char **out)
{
    if (left(reader) < size_bytes)
        return wrong(reader, "the payload ends too early");
    *out = reader->at;
    reader->at += size_bytes;
    return true;
}

/* Bytes with their length before them. */
static bool
take_sized(struct reader *reader, const unsigned char **out, size_t *size_bytes)
{
    int64_t size;
    if (!read_long(reader, &size))
        return false;
    if (size < 0 || (uint64_t)size > left(reader))
        return wrong(reader, "a length beyond the payload's end");
    *size_bytes = (size_t)size;
    return take(reader, *size_bytes, out);
}

static bool
take_text(struct reader *reader, const unsigned char **out, size_t *size_bytes)
{
    if (!take_sized(reader, out, size_bytes))
        return false;
    return jg_utf8_valid(*out, *size_bytes) ? true : wrong(reader, "a string that is not UTF-8");
}

static bool
read_boolean(struct reader *reader)
{
    const unsigned char *byte;
    if (!take(reader, 1, &byte))
        return false;
    if (*byte > 1)
        return wrong(reader, "a boolean that is neither 0 nor 1");
    jg_canon_word(reader->canon, *byte ? "true" : "false");
    return true;
}

static bool
read_integer(struct reader *reader, bool is_int)
{
    int64_t value;
    if (!read_long(reader, &value))
        return false;
    if (is_int && (value < INT32_MIN || value > INT32_MAX))
        return wrong(reader, "an int of more than 32 bits");
    jg_canon_integer(reader->canon, value);
    return true;
}

/* Little-endian, as Avro has it, on any machine. */
static bool
read_float(struct reader *reader, bool is_single)
{
    const unsigned char *bytes;
    size_t size = is_single ? 4 : 8;
    uint64_t bits = 0;
    if (!take(reader, size, &bytes))
        return false;
    for (size_t i = size; i-- > 0;)
        bits = bits << 8 | bytes[i];
    if (is_single) {
        uint32_t single_bits = (uint32_t)bits;
        float value;
        memcpy(&value, &single_bits, sizeof(value));
        jg_canon_float(reader->canon, (double)value, true);
        return true;
    }
    double value;
    memcpy(&value, &bits, sizeof(value));
    jg_canon_float(reader->canon, value, false);
    return true;
}

static bool read_value(struct reader *reader, const struct jg_avro_type *type);

/* One block's head: how many entries, and where it ends when it says so (else NULL). */
static bool
read_block(struct reader *reader, uint64_t *count, const unsigned char **end)
{
    int64_t signed_count;
    *end = NULL;
    if (!read_long(reader, &signed_count))
        return false;
    *count = (uint64_t)signed_count;
    if (signed_count >= 0)
        return true;
    int64_t size;
    *count = 0 - (uint64_t)signed_count;
    if (!read_long(reader, &size))
        return false;
    if (size < 0 || (uint64_t)size > left(reader))
        return wrong(reader, "a block beyond the payload's end");
    *end = reader->at + size;
    return true;
}

static bool
read_name(struct reader *reader)
{
    const unsigned char *name;
    size_t size;
    if (!take_text(reader, &name, &size))
        return false;
    jg_canon_name(reader->canon, name, size);
    return true;
}

/* An array or a map: blocks of entries, the last of them empty. An entry that takes no bytes is paid for in read_value,
 * so the loop is bounded whatever the count says. */
static bool
read_blocks(struct reader *reader, const struct jg_avro_type *type)
{
    bool is_map = type->kind == JG_AVRO_MAP;
    if (!jg_canon_begin(reader->canon, is_map))
        return wrong(reader, "nested too deep");
    for (;;) {
        uint64_t count;
        const unsigned char *end;
        if (!read_block(reader, &count, &end))
            return false;
        for (uint64_t i = 0; i < count; i++)
            if ((is_map && !read_name(reader)) || !read_value(reader, type->types[0]))
                return false;
        if (end && reader->at != end)
            return wrong(reader, "a block of another size than it says");
        if (count == 0)
            break;
    }
    jg_canon_end(reader->canon);
    return true;
}

static bool
read_record(struct reader *reader, const struct jg_avro_type *type)
{
    if (!jg_canon_begin(reader->canon, true))
        return wrong(reader, "nested too deep");
    for (size_t i = 0; i < type->count; i++) {
        jg_canon_name(reader->canon, type->names[i], strlen(type->names[i]));
        if (!read_value(reader, type->types[i]))
            return false;
    }
    jg_canon_end(reader->canon);
    return true;
}

/* Values without parts. */
static bool
read_scalar(struct reader *reader, const struct jg_avro_type *type)
{
    const unsigned char *data;
    size_t size = type->count;
    switch (type->kind) {
    case JG_AVRO_BOOLEAN:
        return read_boolean(reader);
    case JG_AVRO_INT:
    case JG_AVRO_LONG:
        return read_integer(reader, type->kind == JG_AVRO_INT);
    case JG_AVRO_FLOAT:
    case JG_AVRO_DOUBLE:
        return read_float(reader, type->kind == JG_AVRO_FLOAT);
    case JG_AVRO_STRING:
        if (!take_text(reader, &data, &size))
            return false;
        jg_canon_string(reader->canon, data, size);
        return true;
    case JG_AVRO_BYTES:
    case JG_AVRO_FIXED:
        if (type->kind == JG_AVRO_FIXED ? !take(reader, size, &data) : !take_sized(reader, &data, &size))
            return false;
        jg_canon_bytes(reader->canon, data, size);
        return true;
    case JG_AVRO_ENUM:
        if (!read_index(reader, type->count, &size))
            return false;
        jg_canon_string(reader->canon, type->names[size], strlen(type->names[size]));
        return true;
    default:
        jg_canon_word(reader->canon, "null");
        return true;
    }
}

/* Recursion is bounded by the writer's depth: each composite but a union opens a level there, and no union holds a
 * union directly more often than the schema's text does. */
static bool
read_value(struct reader *reader, const struct jg_avro_type *type)
{
    const unsigned char *before = reader->at;
    bool is_read;
    size_t branch;
    if (type->kind == JG_AVRO_UNION)
        return read_index(reader, type->count, &branch) && read_value(reader, type->types[branch]);
    if (type->kind == JG_AVRO_ARRAY || type->kind == JG_AVRO_MAP)
        is_read = read_blocks(reader, type);
    else if (type->kind == JG_AVRO_RECORD)
        is_read = read_record(reader, type);
    else
        is_read = read_scalar(reader, type);
    if (is_read && reader->at == before && reader->free_values-- == 0)
        return wrong(reader, "too many values that take no bytes");
    if (is_read && !jg_canon_ok(reader->canon))
        return wrong(reader, "out of memory");
    return is_read;
}

bool
jg_identify_avro(const struct jg_schema *schema, const void *payload, size_t size_bytes, struct jg_canon *canon,
                 struct jg_error *reason)
{
    const unsigned char *start = payload;
    struct reader reader = {.canon = canon,
                            .start = start,
                            .at = start,
                            .end = start + size_bytes,
                            .free_values = FREE_VALUES + size_bytes};
    bool is_read = read_value(&reader, jg_schema_root(schema));
    if (is_read && reader.at != reader.end)
        is_read = wrong(&reader, "bytes are left after the value");
    if (!is_read)
        snprintf(reason->text, sizeof(reason->text), "payload is not Avro of the schema: %s (at byte %zu)", reader.why,
                 (size_t)(reader.at - reader.start));
    return is_read;
}
