/* SPDX-License-Identifier: Apache-2.0 */
/* Avro schemas: avro-c reads the .avsc, and what decoding needs of it is copied, so that payloads never reach avro-c,
 * which trusts the lengths in them. */
#include "plugin/identify_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <avro/errors.h>
#include <avro/schema.h>

#define SCHEMA_MAX_BYTES (1024 * 1024)

/* A type and the avro-c schema it was made of, by which references find it while loading. */
struct entry {
    struct jg_avro_type *type;
    avro_schema_t source;
};

struct jg_schema {
    struct entry *entries; /* owned; the first is the root */
    size_t count;
    const char *why; /* what is wrong with the schema, once something is that is not memory */
};

static const enum jg_avro_kind kinds[] = {
    [AVRO_STRING] = JG_AVRO_STRING,   [AVRO_BYTES] = JG_AVRO_BYTES, [AVRO_INT32] = JG_AVRO_INT,
    [AVRO_INT64] = JG_AVRO_LONG,      [AVRO_FLOAT] = JG_AVRO_FLOAT, [AVRO_DOUBLE] = JG_AVRO_DOUBLE,
    [AVRO_BOOLEAN] = JG_AVRO_BOOLEAN, [AVRO_NULL] = JG_AVRO_NULL,   [AVRO_RECORD] = JG_AVRO_RECORD,
    [AVRO_ENUM] = JG_AVRO_ENUM,       [AVRO_FIXED] = JG_AVRO_FIXED, [AVRO_MAP] = JG_AVRO_MAP,
    [AVRO_ARRAY] = JG_AVRO_ARRAY,     [AVRO_UNION] = JG_AVRO_UNION,
};

const struct jg_avro_type *
jg_schema_root(const struct jg_schema *schema)
{
    return schema->entries[0].type;
}

static size_t
part_count(avro_schema_t source)
{
    switch (avro_typeof(source)) {
    case AVRO_FIXED:
        return (size_t)avro_schema_fixed_size(source);
    case AVRO_ENUM:
        return (size_t)avro_schema_enum_number_of_symbols(source);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return 1;
    case AVRO_UNION:
        return avro_schema_union_size(source);
    case AVRO_RECORD:
        return avro_schema_record_size(source);
    default:
        return 0;
    }
}

/* The schema of a part, or NULL where parts have none. */
static avro_schema_t
part_schema(avro_schema_t source, size_t index)
{
    switch (avro_typeof(source)) {
    case AVRO_ARRAY:
        return avro_schema_array_items(source);
    case AVRO_MAP:
        return avro_schema_map_values(source);
    case AVRO_UNION:
        return avro_schema_union_branch(source, (int)index);
    case AVRO_RECORD:
        return avro_schema_record_field_get_by_index(source, (int)index);
    default:
        return NULL;
    }
}

static const char *
part_name(avro_schema_t source, size_t index)
{
    if (avro_typeof(source) == AVRO_ENUM)
        return avro_schema_enum_get(source, (int)index);
    return avro_typeof(source) == AVRO_RECORD ? avro_schema_record_field_name(source, (int)index) : NULL;
}

static struct jg_avro_type *
add_type(struct jg_schema *schema, avro_schema_t source)
{
    struct entry *entries = realloc(schema->entries, (schema->count + 1) * sizeof(*entries));
    if (!entries)
        return NULL;
    schema->entries = entries;
    struct jg_avro_type *type = calloc(1, sizeof(*type));
    if (!type)
        return NULL;
    type->kind = kinds[avro_typeof(source)];
    type->count = part_count(source);
    entries[schema->count++] = (struct entry){.type = type, .source = source};
    return type;
}

static struct jg_avro_type *copy_type(struct jg_schema *schema, avro_schema_t source);

/* Fill in names and parts. False: out of memory, or schema->why. */
static bool
copy_parts(struct jg_schema *schema, struct jg_avro_type *type, avro_schema_t source)
{
    if (type->kind == JG_AVRO_FIXED || type->count == 0)
        return true;
    type->types = calloc(type->count, sizeof(struct jg_avro_type *));
    type->names = calloc(type->count, sizeof(char *));
    if (!type->types || !type->names)
        return false;
    for (size_t i = 0; i < type->count; i++) {
        const char *name = part_name(source, i);
        if (name && !(type->names[i] = strdup(name)))
            return false;
        avro_schema_t part = part_schema(source, i);
        if (part && !(type->types[i] = copy_type(schema, part)))
            return false;
    }
    return true;
}

/* The copy of `source`, made once for each named type: it may be referred to from within itself. Recursion follows the
 * text of a local file, which avro-c has read by recursion before. */
static struct jg_avro_type *
copy_type(struct jg_schema *schema, avro_schema_t source)
{
    if (avro_typeof(source) == AVRO_LINK)
        source = avro_schema_link_target(source);
    for (size_t i = 0; is_avro_named_type(source) && i < schema->count; i++)
        if (schema->entries[i].source == source)
            return schema->entries[i].type;
    if (is_avro_fixed(source) && avro_schema_fixed_size(source) < 0) {
        schema->why = "a fixed type of less than no bytes";
        return NULL;
    }
    struct jg_avro_type *type = add_type(schema, source);
    return type && copy_parts(schema, type, source) ? type : NULL;
}

void
jg_schema_destroy(struct jg_schema *schema)
{
    if (!schema)
        return;
    for (size_t i = 0; i < schema->count; i++) {
        struct jg_avro_type *type = schema->entries[i].type;
        for (size_t j = 0; type->names && j < type->count; j++)
            free(type->names[j]);
        free(type->names);
        free(type->types);
        free(type);
    }
    free(schema->entries);
    free(schema);
}

static enum jg_err
fail(struct jg_error *error, const char *path, const char *why)
{
    snprintf(error->text, sizeof(error->text), "Avro schema '%s': %.*s", path, (int)strcspn(why, "\n"), why);
    return JG_EINVAL;
}

static enum jg_err
read_file(const char *path, struct jg_buf *out, struct jg_error *error)
{
    char chunk[4096];
    size_t got;
    FILE *file = fopen(path, "re");
    if (!file)
        return fail(error, path, strerror(errno));
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0 && out->size_bytes <= SCHEMA_MAX_BYTES)
        jg_buf_append(out, chunk, got);
    int failure = ferror(file) ? errno : 0;
    fclose(file);
    if (failure)
        return fail(error, path, strerror(failure));
    if (out->size_bytes > SCHEMA_MAX_BYTES)
        return fail(error, path, "larger than 1 MiB");
    return out->failed ? fail(error, path, "out of memory") : JG_OK;
}

enum jg_err
jg_schema_load(const char *path, struct jg_schema **out, struct jg_error *error)
{
    struct jg_buf text = JG_BUF_INIT;
    avro_schema_t source = NULL;
    struct jg_schema *schema = NULL;
    enum jg_err err = read_file(path, &text, error);
    if (err != JG_OK)
        goto out;
    if (avro_schema_from_json_length(text.data ? text.data : "", text.size_bytes, &source) != 0) {
        source = NULL;
        err = fail(error, path, avro_strerror());
        goto out;
    }
    schema = calloc(1, sizeof(*schema));
    if (!schema || !copy_type(schema, source)) {
        err = fail(error, path, schema && schema->why ? schema->why : "out of memory");
        goto out;
    }
    *out = schema;
    schema = NULL;
out:
    jg_schema_destroy(schema);
    if (source)
        avro_schema_decref(source);
    jg_buf_clear(&text);
    return err;
}
