/* SPDX-License-Identifier: Apache-2.0 */
/* avro-c writes; what is read never reaches it, since it trusts the lengths in it. */
#include "plugin/event_avro.h"

#include <avro.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "jobgate_schemas.h"
#include "plugin/avro_canon.h"
#include "plugin/canon.h"

#define HEAD_BYTES 10
#define MARK "\xC3\x01"

enum type { TIME, KIND, STATUS, TEXT, INT, LONG };

/* The fields of schemas/event.avsc, in its order; a test compares the names. */
static const struct column {
    enum type type;
    size_t at;     /* in jg_event_record */
    int64_t least; /* of a number; one less is none */
} columns[] = {
#define TEXT_AT(member)                                                                                                \
    {                                                                                                                  \
        TEXT, offsetof(struct jg_event_record, member), 0                                                              \
    }
#define LONG_AT(member, least)                                                                                         \
    {                                                                                                                  \
        LONG, offsetof(struct jg_event_record, member), least                                                          \
    }
    {TIME, offsetof(struct jg_event_record, event.time_ms), 0},
    {KIND, offsetof(struct jg_event_record, event.kind), 0},
    {STATUS, 0, 0},
    TEXT_AT(event.class_name),
    TEXT_AT(event.jid),
    TEXT_AT(event.key),
    TEXT_AT(event.topic),
    {INT, offsetof(struct jg_event_record, event.partition), 0},
    LONG_AT(event.offset, 0),
    TEXT_AT(event.reason),
    TEXT_AT(event.duplicate_of),
    TEXT_AT(event.next),
    LONG_AT(event.token, 1),
    LONG_AT(event.attempt, 1),
    LONG_AT(event.waited_ms, 0),
    LONG_AT(event.ran_ms, 0),
    TEXT_AT(source.name_space),
    TEXT_AT(source.instance),
    TEXT_AT(source.group),
    TEXT_AT(source.client_id),
    TEXT_AT(source.host),
    LONG_AT(source.pid, 1),
    TEXT_AT(source.version),
};
#define COLUMNS (sizeof columns / sizeof *columns)

struct jg_event_writer {
    avro_schema_t schema;
    avro_value_iface_t *class;
    avro_value_t value;
    struct jg_buf plain; /* of a text that is not UTF-8 */
};

/* --- the schema --- */

static uint64_t fingerprint;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
compute_fingerprint(void)
{
    struct jg_buf canon = JG_BUF_INIT;
    if (jg_avro_canon(&canon, jg_schemas[0].source) == JG_OK)
        fingerprint = jg_avro_crc64(canon.data, canon.size_bytes);
    jg_buf_clear(&canon);
}

uint64_t
jg_event_fingerprint(void)
{
    pthread_once(&once, compute_fingerprint);
    return fingerprint;
}

/* --- written --- */

struct jg_event_writer *
jg_event_writer_new(void)
{
    struct jg_event_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return NULL;
    const char *source = jg_schemas[0].source;
    if (jg_event_fingerprint() && avro_schema_from_json_length(source, strlen(source), &writer->schema) == 0) {
        writer->class = avro_generic_class_from_schema(writer->schema);
        if (writer->class && avro_generic_value_new(writer->class, &writer->value) == 0)
            return writer;
    }
    jg_event_writer_destroy(writer);
    return NULL;
}

void
jg_event_writer_destroy(struct jg_event_writer *writer)
{
    if (!writer)
        return;
    if (writer->value.self)
        avro_value_decref(&writer->value);
    if (writer->class)
        avro_value_iface_decref(writer->class);
    if (writer->schema)
        avro_schema_decref(writer->schema);
    jg_buf_clear(&writer->plain);
    free(writer);
}

/* Avro's strings are UTF-8, and strict readers would refuse the whole record. */
static const char *
as_utf8(struct jg_event_writer *writer, const char *text)
{
    if (jg_utf8_valid(text, strlen(text)))
        return text;
    jg_buf_reset(&writer->plain);
    for (const char *at = text; *at; at++)
        jg_buf_append(&writer->plain, (unsigned char)*at < 0x80 ? at : "?", 1);
    return writer->plain.failed ? "" : writer->plain.data;
}

static int64_t
number_at(const struct column *column, const void *field)
{
    int64_t number;
    if (column->type == INT)
        return *(const int32_t *)field;
    memcpy(&number, field, sizeof number);
    return number;
}

/* A field that may be null. 0, or what avro-c says. */
static int
set_branch(struct jg_event_writer *writer, const struct column *column, const void *field, avro_value_t *value)
{
    avro_value_t branch;
    const char *text = column->type == TEXT ? *(const char *const *)field : NULL;
    int64_t number = column->type == TEXT ? 0 : number_at(column, field);
    bool is_set = column->type == TEXT ? text && *text : number >= column->least;
    int failed = avro_value_set_branch(value, is_set, &branch);
    if (failed)
        return failed;
    if (!is_set)
        return avro_value_set_null(&branch);
    if (column->type == TEXT)
        return avro_value_set_string(&branch, as_utf8(writer, text));
    return column->type == INT ? avro_value_set_int(&branch, (int32_t)number) : avro_value_set_long(&branch, number);
}

static int
symbol_of(const avro_value_t *value, const char *name)
{
    return avro_schema_enum_get_by_name(avro_value_get_schema(value), name);
}

static int
set_column(struct jg_event_writer *writer, const struct column *column, const struct jg_event_record *record,
           avro_value_t *value)
{
    const void *field = (const char *)record + column->at;
    switch (column->type) {
    case TIME:
        return avro_value_set_long(value, record->event.time_ms);
    case KIND:
        return avro_value_set_enum(value, symbol_of(value, jg_event_name(record->event.kind)));
    case STATUS:
        return avro_value_set_enum(value, symbol_of(value, jg_event_status(record->event.kind)));
    default:
        return set_branch(writer, column, field, value);
    }
}

/* The datum, behind the head. */
static enum jg_err
put_datum(struct jg_event_writer *writer, struct jg_buf *out)
{
    size_t size_bytes = 0;
    if (avro_value_sizeof(&writer->value, &size_bytes))
        return JG_EINVAL;
    char *datum = malloc(size_bytes + 1);
    avro_writer_t memory = datum ? avro_writer_memory(datum, (int64_t)size_bytes) : NULL;
    enum jg_err err = memory ? JG_OK : JG_ENOMEM;
    if (!err && avro_value_write(memory, &writer->value))
        err = JG_EINVAL;
    if (memory)
        avro_writer_free(memory);
    if (!err)
        jg_buf_append(out, datum, size_bytes);
    free(datum);
    return err;
}

enum jg_err
jg_event_write(struct jg_event_writer *writer, const struct jg_event_record *record, struct jg_buf *out)
{
    unsigned char head[HEAD_BYTES] = MARK;
    for (size_t i = 0; i < sizeof fingerprint; i++)
        head[2 + i] = (unsigned char)(jg_event_fingerprint() >> 8 * i);
    jg_buf_reset(out);
    jg_buf_append(out, head, sizeof head);
    if (avro_value_reset(&writer->value))
        return JG_ENOMEM;
    for (size_t i = 0; i < COLUMNS; i++) {
        avro_value_t value;
        if (avro_value_get_by_index(&writer->value, i, &value, NULL) || set_column(writer, &columns[i], record, &value))
            return JG_EINVAL;
    }
    enum jg_err err = put_datum(writer, out);
    return !err && out->failed ? JG_ENOMEM : err;
}

/* --- read --- */

struct reader {
    const unsigned char *at, *end;
};

/* A zigzag number of at most ten bytes. */
static bool
read_long(struct reader *reader, int64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && reader->at < reader->end; shift += 7) {
        uint64_t byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
    return false;
}

static bool
read_text(struct reader *reader, struct jg_buf *texts, size_t *at)
{
    int64_t size;
    if (!read_long(reader, &size) || size < 0 || size > reader->end - reader->at)
        return false;
    *at = texts->size_bytes;
    jg_buf_append(texts, reader->at, (size_t)size);
    jg_buf_append(texts, "", 1);
    reader->at += size;
    return !texts->failed;
}

static bool
read_number(struct reader *reader, const struct column *column, void *field)
{
    int64_t number;
    if (!read_long(reader, &number))
        return false;
    if (column->type == LONG) {
        memcpy(field, &number, sizeof number);
        return true;
    }
    if (number < INT32_MIN || number > INT32_MAX)
        return false;
    *(int32_t *)field = (int32_t)number;
    return true;
}

/* A field that may be null. `text_at`: where its text lies in `texts`, if it has one. */
static bool
read_branch(struct reader *reader, const struct column *column, void *field, struct jg_buf *texts, size_t *text_at)
{
    int64_t branch, none = column->least - 1;
    if (!read_long(reader, &branch) || branch < 0 || branch > 1)
        return false;
    if (branch == 1)
        return column->type == TEXT ? read_text(reader, texts, text_at) : read_number(reader, column, field);
    if (column->type == INT)
        *(int32_t *)field = (int32_t)none;
    else if (column->type == LONG)
        memcpy(field, &none, sizeof none);
    return true;
}

/* Symbol 0 is `unknown`, then the kinds as they are numbered here; a test compares the names. */
static bool
read_kind(struct reader *reader, enum jg_event_kind *kind)
{
    int64_t symbol;
    if (!read_long(reader, &symbol) || symbol < 0 || symbol > JG_EVENTS)
        return false;
    *kind = symbol ? (enum jg_event_kind)(symbol - 1) : JG_EVENTS;
    return true;
}

static bool
read_datum(struct reader *reader, struct jg_event_record *out, struct jg_buf *texts)
{
    size_t text_at[COLUMNS];
    int64_t status;
    for (size_t i = 0; i < COLUMNS; i++) {
        bool good;
        text_at[i] = SIZE_MAX;
        if (columns[i].type == TIME)
            good = read_long(reader, &out->event.time_ms);
        else if (columns[i].type == KIND)
            good = read_kind(reader, &out->event.kind);
        else if (columns[i].type == STATUS)
            good = read_long(reader, &status); /* the kind says it */
        else
            good = read_branch(reader, &columns[i], (char *)out + columns[i].at, texts, &text_at[i]);
        if (!good)
            return false;
    }
    for (size_t i = 0; i < COLUMNS; i++)
        if (text_at[i] != SIZE_MAX)
            *(const char **)((char *)out + columns[i].at) = texts->data + text_at[i];
    return reader->at == reader->end;
}

enum jg_event_read
jg_event_read(const void *data, size_t size_bytes, struct jg_event_record *out, struct jg_buf *texts, uint64_t *print)
{
    const unsigned char *bytes = data;
    struct jg_event_record found = {.event = JG_EVENT_INIT(JG_EVENTS)};
    if (size_bytes < HEAD_BYTES || memcmp(bytes, MARK, 2) != 0)
        return JG_EVENT_FOREIGN;
    *print = 0;
    for (size_t i = 0; i < sizeof *print; i++)
        *print |= (uint64_t)bytes[2 + i] << 8 * i;
    if (*print != jg_event_fingerprint())
        return JG_EVENT_OTHER;
    struct reader reader = {.at = bytes + HEAD_BYTES, .end = bytes + size_bytes};
    jg_buf_reset(texts);
    if (!read_datum(&reader, &found, texts))
        return JG_EVENT_CORRUPT;
    *out = found;
    return JG_EVENT_READ;
}
