/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: one table drives parsing, bounds, `jobgate settings`, the table in docs/settings.md and a test loop. */
#ifndef JG_PLUGIN_CONF_H
#define JG_PLUGIN_CONF_H

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "plugin/identify.h"
#include "plugin/policy.h"

enum jg_skip_error { JG_SKIP_PARTITION_EOF, JG_SKIP_TIMED_OUT, JG_SKIP_NOOP };
enum jg_completion { JG_COMPLETION_AUTO, JG_COMPLETION_POLL, JG_COMPLETION_COMMIT, JG_COMPLETION_API };
enum jg_close { JG_CLOSE_COMPLETE, JG_CLOSE_REDELIVER };
enum jg_store_failure { JG_STORE_FAILURE_OPEN, JG_STORE_FAILURE_CLOSED };
enum jg_resumer_place { JG_RESUMER_EMBEDDED, JG_RESUMER_SEPARATE };
enum jg_log_format { JG_LOG_FORMAT_TEXT, JG_LOG_FORMAT_JSON };
enum jg_disable { JG_DISABLE_NO, JG_DISABLE_PASS, JG_DISABLE_ALL }; /* JOBGATE_DISABLE unset, =1, =all */

/* The settings that are neither a topic's nor a class's. Strings are owned by the jg_conf. */
struct jg_settings {
    const char *name_space; /* `namespace`, default "default" */
    const char *store;      /* URL, may hold a password: never log it, see jg_conf_redact; NULL: not set */
    enum jg_skip_error skip_error;
    bool skip_error_is_set; /* else chosen by the client's own settings (enable.partition.eof) */
    enum jg_completion completion;
    enum jg_close close;
    bool observe;
    int64_t store_timeout_ms;
    int64_t store_wait_ms;
    enum jg_store_failure store_failure;
    int64_t store_grace_ms; /* 0: not set, see jg_conf_grace_ms */
    enum jg_resumer_place resumer;
    enum jg_log_level log_level;
    enum jg_log_format log_format;
    const char *events_topic; /* NULL: events go to no topic */
    enum jg_disable disable;  /* from the environment only */
};

/* A set of settings under construction, then frozen by jg_conf_finish and read-only from there on (any thread). */
struct jg_conf;

JG_MUST_USE struct jg_conf *jg_conf_new(void); /* NULL: out of memory */
void jg_conf_destroy(struct jg_conf *conf);

/* Set one property by its full name (`jobgate.store`). JG_ENOENT: the name does not start with `jobgate.` (not ours);
 * JG_EINVAL: unknown name (the error names the nearest valid one) or a bad value (the error names setting, value (not a
 * secret's), bounds and cure). `jobgate.config` loads that file at once. Client properties beat the environment, which
 * beats the file, in whatever order they come. */
JG_MUST_USE enum jg_err jg_conf_set(struct jg_conf *conf, const char *name, const char *value, struct jg_error *error);

/* Read $JOBGATE_CONFIG (a file), `JOBGATE_<SETTING>` variables and JOBGATE_DISABLE. An unknown JOBGATE_ variable is
 * no error (orchestrators inject such): it is listed in the warnings that jg_conf_finish logs. */
JG_MUST_USE enum jg_err jg_conf_load_env(struct jg_conf *conf, struct jg_error *error);

/* Check the settings against each other, compile topics, selectors and schemas. JG_EINVAL: the error names the setting
 * and the cure; such a handle is refused. `log` gets warnings; NULL: standard error does, at the level that the
 * settings say. Call once. */
JG_MUST_USE enum jg_err jg_conf_finish(struct jg_conf *conf, const struct jg_log *log, struct jg_error *error);

/* After jg_conf_finish, or, best effort, after it failed (so that a refused handle knows its topics). */
const struct jg_settings *jg_conf_settings(const struct jg_conf *conf);

/* The spec of a governed topic; NULL: not governed. Borrowed from `conf`. Any thread; cheap (a few string compares). */
const struct jg_topic_spec *jg_conf_topic(const struct jg_conf *conf, const char *topic);

/* The policy of a class. Any thread. */
void jg_conf_policy(const struct jg_conf *conf, const char *class_name, struct jg_policy *out);

/* True when no topic is governed: the plugin has nothing to do. */
bool jg_conf_is_idle(const struct jg_conf *conf);

/* Walk the classes that the settings name and that have a limit (of the class, or by key), a lease, a capacity or
 * follow-ups: whose jobs may be held. */
void jg_conf_each_gated(const struct jg_conf *conf, void (*each)(void *opaque, const char *class_name), void *opaque);

/* True when some class, or the default, has a limit (not 0), a lease or a capacity here. */
bool jg_conf_has_gate(const struct jg_conf *conf);

/* The name of the first setting of a capacity, as people write it; NULL: there is none. */
const char *jg_conf_some_capacity(const struct jg_conf *conf, char *out, size_t out_bytes);

/* The name of the first setting by which the end of jobs has to be seen (dedup=until_executed, a limit, a lease or a
 * capacity), as people write it; NULL: there is none. `out` is NUL-terminated within `out_bytes`. */
const char *jg_conf_needs_end(const struct jg_conf *conf, char *out, size_t out_bytes);

/* How long admissions that need a slot wait after the store lost its data: store.grace.ms, or a third of the class's
 * TTL of runs and 2 s, in which every live instance renews its runs. */
int64_t jg_conf_grace_ms(const struct jg_conf *conf, const struct jg_policy *policy);

/* Walk `jobgate.kafka.*` properties (name without that prefix). Stops when `each` returns false. */
void jg_conf_each_kafka(const struct jg_conf *conf, bool (*each)(void *opaque, const char *name, const char *value),
                        void *opaque);

/* A store URL without its password, for messages. `out` is NUL-terminated within `out_bytes`. */
void jg_conf_redact(const char *url, char *out, size_t out_bytes);

/* Print the table of settings: for people, as JSON, as the Markdown of docs/settings.md, or as
 * a man page's paragraphs. */
enum jg_table_style { JG_TABLE_TEXT, JG_TABLE_JSON, JG_TABLE_MARKDOWN, JG_TABLE_MAN };
void jg_conf_print_table(FILE *out, enum jg_table_style style);

#endif
