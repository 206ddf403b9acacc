/* SPDX-License-Identifier: Apache-2.0 */
/* From a message to a job's identity: class, canonical arguments, job key. Pure: no librdkafka, no I/O after setup. */
#ifndef JG_PLUGIN_IDENTIFY_H
#define JG_PLUGIN_IDENTIFY_H

#include "base/buf.h"
#include "base/err.h"
#include "plugin/job.h"

/* A message as identification sees it. All borrowed. */
struct jg_message {
    const char *topic;
    const void *key; /* NULL: none */
    size_t key_bytes;
    const void *payload; /* NULL: none, which is no job */
    size_t payload_bytes;
    /* Look up the last header of that name. False: no such header. `header` may be NULL: no headers. */
    bool (*header)(void *opaque, const char *name, const void **value, size_t *value_bytes);
    void *opaque;
};

enum jg_format { JG_FORMAT_JSON, JG_FORMAT_RAW, JG_FORMAT_AVRO };
enum jg_on_unidentified { JG_UNIDENTIFIED_PASS, JG_UNIDENTIFIED_REJECT };

struct jg_selector; /* one compiled selector, see jg_selector_parse */
struct jg_schema;   /* a loaded Avro schema */

/* How to read the jobs of one topic. */
struct jg_topic_spec {
    enum jg_format format;
    enum jg_on_unidentified on_unidentified;
    struct jg_selector *class_selector; /* NULL: Sidekiq's `class`, else the topic's name */
    struct jg_selector *args_selector; /* NULL: Sidekiq's `args`, else the whole payload (json, avro: marked as such) */
    struct jg_selector *id_selector;   /* NULL: Sidekiq's `jid`, else none */
    struct jg_schema *schema;          /* JG_FORMAT_AVRO only */
};

/* Parse `header:NAME`, `field:PATH[,PATH...]`, `key`, `payload`, `topic`, `const:TEXT`. The caller owns *out.
 * JG_EINVAL: `error` says what is wrong. */
JG_MUST_USE enum jg_err jg_selector_parse(const char *text, struct jg_selector **out, struct jg_error *error);
void jg_selector_destroy(struct jg_selector *selector);

/* Load the writer's schema from a local .avsc file. The caller owns *out. JG_EINVAL: `error` names file and reason. */
JG_MUST_USE enum jg_err jg_schema_load(const char *path, struct jg_schema **out, struct jg_error *error);
void jg_schema_destroy(struct jg_schema *schema);

/* Can this spec identify anything? JG_EINVAL: `error` says what does not fit together (a field of a raw payload, Avro
 * without a schema, a list as class ...). */
JG_MUST_USE enum jg_err jg_topic_spec_check(const struct jg_topic_spec *spec, struct jg_error *error);

enum jg_identified {
    JG_IDENTIFIED,
    JG_UNIDENTIFIED, /* a set selector found nothing, an empty class, an unparsable payload: `reason` says which */
    JG_NO_JOB        /* a null payload */
};

struct jg_identity {
    char class_name[JG_CLASS_MAX_BYTES + 1]; /* NUL-terminated, valid UTF-8 without NUL and control characters */
    char key[JG_KEY_CHARS + 1];
    struct jg_buf args; /* canonical arguments (plugin/canon.h), printable */
    struct jg_buf id;   /* the payload's own id, for people: one line, printable; empty: none */
    struct jg_error reason;
    struct jg_buf text;    /* working memory: the whole payload, canonical */
    struct jg_buf scratch; /* working memory */
};

/* Initialise before first use; reuse for many messages; clear at the end. */
void jg_identity_init(struct jg_identity *identity);
void jg_identity_clear(struct jg_identity *identity);

/* Identify `message` by `spec` within `name_space`. Never fails otherwise than by its result; reentrant; bounded in
 * time and memory by a small multiple of the payload's size, whatever its bytes are. */
JG_MUST_USE enum jg_identified jg_identify(const struct jg_topic_spec *spec, const char *name_space,
                                           const struct jg_message *message, struct jg_identity *out);

/* The key of a job's limit: of the value that `selector` finds in `message`, canonical, within the class of
 * `name_space`. False: it finds nothing, `out->reason` says why, and the key is the one that all such jobs share. Else
 * as jg_identify; what `out` held before is gone but for its key. `key` has JG_KEY_CHARS + 1 bytes. */
JG_MUST_USE bool jg_identify_limit_key(const struct jg_topic_spec *spec, const char *name_space, const char *class_name,
                                       const struct jg_selector *selector, const struct jg_message *message,
                                       struct jg_identity *out, char *key);

/* key = first 128 bits of SHA-256 over (name_space, class, canonical args), each preceded by its length, as hex.
 * `out` has JG_KEY_CHARS + 1 bytes. */
void jg_job_key(const char *name_space, const char *class_name, const void *args, size_t args_bytes, char *out);

/* A new jid for `key`. `out` has JG_JID_CHARS + 1 bytes. Randomness from the kernel, hence safe across fork. */
void jg_jid_new(const char *key, char *out);

#endif
