/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of settings, and what can be asked of it: which setting a name means, whether a value is valid, and
 * what somebody who mistyped a name may have meant. */
#ifndef JG_PLUGIN_CONF_TABLE_H
#define JG_PLUGIN_CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define JG_CONF_PREFIX "jobgate."

/* What a setting belongs to, and so how its names look. */
enum jg_level {
    JG_LEVEL_GLOBAL, /* jobgate.<setting> */
    JG_LEVEL_TOPIC,  /* jobgate.topic.<topic>.<setting>, over jobgate.<setting> */
    JG_LEVEL_CLASS,  /* jobgate.class.<class>.<setting>, over jobgate.default.<setting> */
    JG_LEVEL_KAFKA,  /* jobgate.kafka.<property> */
    JG_LEVEL_ENV,    /* only as an environment variable: JOBGATE_<SETTING> */
    JG_LEVELS
};

enum jg_type {
    JG_TYPE_TOPICS,   /* comma list of topic names and ^patterns */
    JG_TYPE_TOPIC,    /* the name of one topic */
    JG_TYPE_URL,      /* may hold a password: no error and no log line shows it */
    JG_TYPE_PATH,     /* of a file of settings */
    JG_TYPE_SCHEMA,   /* path of an .avsc file */
    JG_TYPE_NAME,     /* letters, digits and . _ - */
    JG_TYPE_SELECTOR, /* see jg_selector_parse */
    JG_TYPE_GAUGE,    /* redis:<key> */
    JG_TYPE_LOAD,     /* redis:<key>, or slots */
    JG_TYPE_NUMBER,   /* whole, from min to max; or one of words, if there are any */
    JG_TYPE_ENUM,     /* one of words */
    JG_TYPE_BOOL,     /* true or false; 1 and 0 too */
    JG_TYPE_ANY       /* passed on as it is; may hold a password */
};

/* A word that a setting accepts, and its value in the enum, or as a number. */
struct jg_word {
    const char *text; /* NULL ends the list */
    int value;
};

#define JG_NO_FIELD SIZE_MAX

struct jg_setting {
    const char *name; /* without prefix, topic, class or `default.` */
    enum jg_level level;
    enum jg_type type;
    const char *fallback; /* the default, as text; NULL: none */
    int64_t min;          /* JG_TYPE_NUMBER */
    int64_t max;
    const char *unit; /* NULL: none */
    const struct jg_word *words;
    size_t field; /* offset in jg_settings, jg_topic_spec or jg_policy, as the level says; or JG_NO_FIELD */
    const char *since;
    const char *doc;
};

#define JG_SETTING_COUNT 47
extern const struct jg_setting jg_setting_table[JG_SETTING_COUNT];

/* A property's name, taken apart. */
struct jg_setting_name {
    const struct jg_setting *row;
    const char *section; /* topic, class or Kafka property, not NUL-terminated; NULL: the default's or a global one */
    size_t section_bytes;
};

/* The row of this name and level, which must exist in the table: for code that needs one setting. */
const struct jg_setting *jg_setting_of(enum jg_level level, const char *name);

static inline size_t
jg_setting_index(const struct jg_setting *row)
{
    return (size_t)(row - jg_setting_table);
}

/* What a name without the leading `jobgate.` means. False: nothing. */
bool jg_setting_resolve(const char *name, struct jg_setting_name *out);

/* The property's name as people write it, e.g. jobgate.topic.<topic>.format; `section` NULL: the global or default one.
 */
void jg_setting_full_name(const struct jg_setting *row, const char *section, char *out, size_t out_bytes);

/* Its environment variable; false: it has none. */
bool jg_setting_env_name(const struct jg_setting *row, char *out, size_t out_bytes);

/* Is `value` valid for the setting? `shown` is how to call the setting in the error, which names what would be. */
JG_MUST_USE enum jg_err jg_setting_check(const struct jg_setting *row, const char *shown, const char *value,
                                         struct jg_error *error);

/* The number behind a value that jg_setting_check accepted: of a word, a bool or a number. */
int64_t jg_setting_number(const struct jg_setting *row, const char *value);

/* Check one item of `topics`: a name, or a pattern that compiles. */
JG_MUST_USE enum jg_err jg_topic_item_check(const char *shown, const char *item, struct jg_error *error);

/* Calls `each` with each trimmed item of a comma list, until it returns other than JG_OK, which is then the result. */
JG_MUST_USE enum jg_err jg_list_each(const char *list, enum jg_err (*each)(void *opaque, const char *item),
                                     void *opaque);

/* Say in `error` that `name` (without `jobgate.`) is no setting, and which one may have been meant. */
void jg_setting_unknown(const char *name, struct jg_error *error);

/* The nearest environment variable to `name` when it is likely a mistyping of it; false: none is near. */
bool jg_setting_near_env(const char *name, char *out, size_t out_bytes);

/* How many single-character edits (a transposition counts as one) lie between two texts; SIZE_MAX: too long to tell. */
size_t jg_edit_distance(const char *left, const char *right);

/* May this text of others stand in an error, or does it look like an address, with a password perhaps? */
bool jg_conf_may_show(const char *text);

/* Text of others for an error: cut where a password could begin, without control characters, bounded. */
void jg_conf_shown(const char *text, char *out, size_t out_bytes);

#endif
