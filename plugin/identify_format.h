/* SPDX-License-Identifier: Apache-2.0 */
/* What identify.c asks of the formats. Each writes the whole payload as one canonical value. */
#ifndef JG_PLUGIN_IDENTIFY_FORMAT_H
#define JG_PLUGIN_IDENTIFY_FORMAT_H

#include "plugin/canon.h"
#include "plugin/identify.h"

enum jg_avro_kind {
    JG_AVRO_NULL,
    JG_AVRO_BOOLEAN,
    JG_AVRO_INT,
    JG_AVRO_LONG,
    JG_AVRO_FLOAT,
    JG_AVRO_DOUBLE,
    JG_AVRO_BYTES,
    JG_AVRO_STRING,
    JG_AVRO_FIXED,
    JG_AVRO_ENUM,
    JG_AVRO_ARRAY,
    JG_AVRO_MAP,
    JG_AVRO_UNION,
    JG_AVRO_RECORD
};

/* One type of a schema, with references to named types resolved: a recursive schema is a cycle. */
struct jg_avro_type {
    enum jg_avro_kind kind;
    size_t count;                      /* FIXED: bytes; ENUM: symbols; ARRAY, MAP: 1; UNION: branches; RECORD: fields */
    const struct jg_avro_type **types; /* ARRAY, MAP, UNION, RECORD: `count` of them; borrowed from the schema */
    char **names;                      /* ENUM, RECORD: `count` of them; owned */
};

const struct jg_avro_type *jg_schema_root(const struct jg_schema *schema);

/* False: the payload is not of the format, and `reason` says where. The text in `canon` is not to be used then. */
JG_MUST_USE bool jg_identify_json(const void *payload, size_t size_bytes, struct jg_canon *canon,
                                  struct jg_error *reason);
JG_MUST_USE bool jg_identify_avro(const struct jg_schema *schema, const void *payload, size_t size_bytes,
                                  struct jg_canon *canon, struct jg_error *reason);

#endif
