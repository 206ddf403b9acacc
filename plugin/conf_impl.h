/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of conf share, and nobody else includes.
 *
 * Settings arrive as text from three sources, each with a list of entries. jg_conf_finish lays the sources over each
 * other into sections (one per topic or class that is named, and a general one), and resolves these into topic specs,
 * policies and jg_settings, which are read from then on. */
#ifndef JG_PLUGIN_CONF_IMPL_H
#define JG_PLUGIN_CONF_IMPL_H

#include <regex.h>

#include "base/buf.h"
#include "plugin/conf.h"
#include "plugin/conf_table.h"

/* One value that was set. */
struct jg_entry {
    const struct jg_setting *row;
    char *section; /* topic, class or Kafka property; NULL: the general one; owned */
    char *value;   /* owned */
};

struct jg_entries {
    struct jg_entry *list; /* in the order of setting: a later one goes before an earlier one */
    size_t count;
    size_t room;
};

/* From lowest to highest. */
enum jg_source { JG_SOURCE_FILE, JG_SOURCE_ENV, JG_SOURCE_CLIENT, JG_SOURCES };

/* All that was set for one topic or class, by index in jg_setting_table; NULL: not set. Borrowed from the entries. */
struct jg_section {
    const char *name; /* NULL: the general one */
    const char *values[JG_SETTING_COUNT];
};

struct jg_sections {
    struct jg_section *list; /* sorted by name */
    size_t count;
};

struct jg_topic {
    char *name;    /* a pattern starts with '^'; owned */
    regex_t regex; /* of a pattern */
    struct jg_topic_spec spec;
};

struct jg_topics {
    struct jg_topic *list; /* those with a name of their own, sorted */
    size_t count;
    struct jg_topic *patterns; /* in the order of `topics`: the first that matches counts */
    size_t pattern_count;
    struct jg_topic_cache *cache; /* what the patterns said of other names; NULL: no patterns */
};

struct jg_class {
    const char *name; /* borrowed from the entries */
    struct jg_policy policy;
};

struct jg_conf {
    struct jg_entries sources[JG_SOURCES];
    bool client_named_file;    /* `jobgate.config` was set: $JOBGATE_CONFIG counts no more */
    struct jg_buf unknown_env; /* names of JOBGATE_ variables that are none of ours, for a warning */

    struct jg_section general;
    struct jg_sections sections[JG_LEVELS];
    struct jg_settings settings;
    struct jg_topics topics;
    struct jg_policy default_policy;
    struct jg_class *classes; /* sorted by name */
    size_t class_count;
};

/* --- conf_entries.c --- */

/* Resolve and check one property, and append it. `name` is without `jobgate.`; `shown` is how an error calls it. */
JG_MUST_USE enum jg_err jg_entries_set(struct jg_entries *entries, const char *name, const char *shown,
                                       const char *value, struct jg_error *error);
JG_MUST_USE enum jg_err jg_entries_append(struct jg_entries *entries, const struct jg_setting_name *name,
                                          const char *value);
void jg_entries_clear(struct jg_entries *entries);

/* Lay the sources over each other: fills conf->general and conf->sections. */
JG_MUST_USE enum jg_err jg_conf_collect(struct jg_conf *conf);
const struct jg_section *jg_sections_find(const struct jg_sections *sections, const char *name);

/* What holds for a section (NULL: none): its own value, else the general one, else the default; NULL: unset. */
const char *jg_section_value(const struct jg_conf *conf, const struct jg_section *section,
                             const struct jg_setting *row);

/* Write a checked value into the field of `base`, the struct that the setting's level means. */
void jg_setting_put(const struct jg_setting *row, const char *value, void *base);

/* --- conf_file.c --- */

/* Read a file of settings into `out`, which is empty and stays so on an error. */
JG_MUST_USE enum jg_err jg_conf_read_file(const char *path, struct jg_entries *out, struct jg_error *error);
/* The same for text that is already here. `shown` is the file's name in errors. */
JG_MUST_USE enum jg_err jg_conf_read_text(const char *shown, const char *text, size_t size_bytes,
                                          struct jg_entries *out, struct jg_error *error);

/* --- conf_topics.c, policy.c --- */

/* Compile `topics` and what is set for them. On an error the names are complete, as far as memory allowed. */
JG_MUST_USE enum jg_err jg_conf_build_topics(struct jg_conf *conf, const struct jg_log *log, struct jg_error *error);
void jg_topics_clear(struct jg_topics *topics);

JG_MUST_USE enum jg_err jg_conf_build_policies(struct jg_conf *conf, struct jg_error *error);
void jg_conf_clear_policies(struct jg_conf *conf);
/* Is there any topic, and none whose payloads have fields? */
bool jg_conf_all_topics_are_raw(const struct jg_conf *conf);

/* The first policy, the default one before those of classes, of which `pick` names a setting, as people write that
 * setting; NULL: there is none. `out` is NUL-terminated within `out_bytes`. */
const char *jg_conf_first_setting(const struct jg_conf *conf, const char *(*pick)(const struct jg_policy *policy),
                                  char *out, size_t out_bytes);

#endif
