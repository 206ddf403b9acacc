/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/avro_canon.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY UINT64_C(0xc15d213aa4d7a795)
#define DEPTH_MOST 64

uint64_t
jg_avro_crc64(const void *data, size_t size_bytes)
{
    const unsigned char *at = data;
    uint64_t sum = EMPTY;
    while (size_bytes-- > 0) {
        sum ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (EMPTY & -(sum & 1));
    }
    return sum;
}

static bool
is_primitive(const char *name)
{
    static const char *const names[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A name with the namespace that it stands in. */
static void
put_full_name(struct jg_buf *out, const char *name, const char *name_space)
{
    if (strchr(name, '.') || !*name_space || is_primitive(name))
        jg_buf_format(out, "\"%s\"", name);
    else
        jg_buf_format(out, "\"%s.%s\"", name_space, name);
}

static bool put(struct jg_buf *out, const json_t *schema, const char *name_space, int depth);

static bool
put_list(struct jg_buf *out, const json_t *list, const char *name_space, int depth)
{
    size_t index;
    json_t *each;
    jg_buf_text(out, "[");
    json_array_foreach(list, index, each)
    {
        jg_buf_text(out, index ? "," : "");
        if (!put(out, each, name_space, depth))
            return false;
    }
    jg_buf_text(out, "]");
    return json_is_array(list);
}

static bool
put_fields(struct jg_buf *out, const json_t *fields, const char *name_space, int depth)
{
    size_t index;
    json_t *each;
    jg_buf_text(out, ",\"fields\":[");
    json_array_foreach(fields, index, each)
    {
        const char *name = json_string_value(json_object_get(each, "name"));
        if (!name)
            return false;
        jg_buf_format(out, "%s{\"name\":\"%s\",\"type\":", index ? "," : "", name);
        if (!put(out, json_object_get(each, "type"), name_space, depth))
            return false;
        jg_buf_text(out, "}");
    }
    jg_buf_text(out, "]");
    return json_is_array(fields);
}

static bool
put_symbols(struct jg_buf *out, const json_t *symbols)
{
    size_t index;
    json_t *each;
    jg_buf_text(out, ",\"symbols\":[");
    json_array_foreach(symbols, index, each)
    {
        if (!json_is_string(each))
            return false;
        jg_buf_format(out, "%s\"%s\"", index ? "," : "", json_string_value(each));
    }
    jg_buf_text(out, "]");
    return json_is_array(symbols);
}

/* A record, an enum or a fixed: it has a name, and a namespace for what is in it. */
static bool
put_named(struct jg_buf *out, const json_t *schema, const char *type, const char *name_space, int depth)
{
    const char *name = json_string_value(json_object_get(schema, "name"));
    const char *own = json_string_value(json_object_get(schema, "namespace"));
    if (!name)
        return false;
    const char *dot = strrchr(name, '.');
    char *within = dot ? strndup(name, (size_t)(dot - name)) : strdup(own ? own : name_space);
    if (!within)
        return false;
    jg_buf_text(out, "{\"name\":");
    put_full_name(out, name, within);
    jg_buf_format(out, ",\"type\":\"%s\"", type);
    bool good = true;
    if (strcmp(type, "enum") == 0)
        good = put_symbols(out, json_object_get(schema, "symbols"));
    else if (strcmp(type, "fixed") == 0)
        jg_buf_format(out, ",\"size\":%lld", (long long)json_integer_value(json_object_get(schema, "size")));
    else
        good = put_fields(out, json_object_get(schema, "fields"), within, depth);
    jg_buf_text(out, "}");
    free(within);
    return good;
}

static bool
put_object(struct jg_buf *out, const json_t *schema, const char *name_space, int depth)
{
    const json_t *type = json_object_get(schema, "type");
    const char *name = json_string_value(type);
    if (!name)
        return put(out, type, name_space, depth);
    if (strcmp(name, "record") == 0 || strcmp(name, "enum") == 0 || strcmp(name, "fixed") == 0)
        return put_named(out, schema, name, name_space, depth);
    const char *part = strcmp(name, "array") == 0 ? "items" : strcmp(name, "map") == 0 ? "values" : NULL;
    if (!part)
        return put(out, type, name_space, depth);
    jg_buf_format(out, "{\"type\":\"%s\",\"%s\":", name, part);
    bool good = put(out, json_object_get(schema, part), name_space, depth);
    jg_buf_text(out, "}");
    return good;
}

static bool
put(struct jg_buf *out, const json_t *schema, const char *name_space, int depth)
{
    if (depth == DEPTH_MOST)
        return false;
    if (json_is_string(schema)) {
        put_full_name(out, json_string_value(schema), name_space);
        return true;
    }
    return json_is_object(schema) ? put_object(out, schema, name_space, depth + 1)
                                  : put_list(out, schema, name_space, depth + 1);
}

enum jg_err
jg_avro_canon(struct jg_buf *out, const char *avsc)
{
    json_t *schema = json_loads(avsc, JSON_DECODE_ANY, NULL);
    bool good = schema && put(out, schema, "", 0);
    json_decref(schema);
    return out->failed ? JG_ENOMEM : good ? JG_OK : JG_EINVAL;
}
