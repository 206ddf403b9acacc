/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/holding.h"
#include "plugin/conf_impl.h"

struct jg_conf *
jg_conf_new(void)
{
    return calloc(1, sizeof(struct jg_conf));
}

void
jg_conf_destroy(struct jg_conf *conf)
{
    if (!conf)
        return;
    jg_topics_clear(&conf->topics);
    jg_conf_clear_policies(conf);
    for (int level = 0; level < JG_LEVELS; level++)
        free(conf->sections[level].list);
    for (int source = 0; source < JG_SOURCES; source++)
        jg_entries_clear(&conf->sources[source]);
    jg_buf_clear(&conf->unknown_env);
    free(conf);
}

/* `jobgate.config`: the file takes the place of one that was named before. */
static enum jg_err
set_file(struct jg_conf *conf, const char *path, struct jg_error *error)
{
    struct jg_entries entries = {.list = NULL};
    enum jg_err err = jg_setting_check(jg_setting_of(JG_LEVEL_GLOBAL, "config"), JG_CONF_PREFIX "config", path, error);
    if (err == JG_OK && *path)
        err = jg_conf_read_file(path, &entries, error);
    if (err != JG_OK)
        return err;
    jg_entries_clear(&conf->sources[JG_SOURCE_FILE]);
    conf->sources[JG_SOURCE_FILE] = entries;
    conf->client_named_file = true;
    return JG_OK;
}

enum jg_err
jg_conf_set(struct jg_conf *conf, const char *name, const char *value, struct jg_error *error)
{
    if (strncmp(name, JG_CONF_PREFIX, strlen(JG_CONF_PREFIX)) != 0)
        return JG_ENOENT;
    if (!value)
        value = "";
    if (strcmp(name, JG_CONF_PREFIX "config") == 0)
        return set_file(conf, value, error);
    char shown[160];
    jg_conf_shown(name, shown, sizeof shown);
    return jg_entries_set(&conf->sources[JG_SOURCE_CLIENT], name + strlen(JG_CONF_PREFIX), shown, value, error);
}

static void
build_settings(struct jg_conf *conf)
{
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        if ((row->level != JG_LEVEL_GLOBAL && row->level != JG_LEVEL_ENV) || row->field == JG_NO_FIELD)
            continue;
        const char *value = jg_section_value(conf, NULL, row);
        if (value)
            jg_setting_put(row, value, &conf->settings);
    }
    size_t skip_error = jg_setting_index(jg_setting_of(JG_LEVEL_GLOBAL, "skip.error"));
    conf->settings.skip_error_is_set = conf->general.values[skip_error] != NULL;
}

/* A class with a policy is named by its dedup, in messages. */
static const char *
policy_setting(const struct jg_policy *policy)
{
    return jg_policy_is_empty(policy) ? NULL : "dedup";
}

static enum jg_err
check_together(const struct jg_conf *conf, const struct jg_log *log, struct jg_error *error)
{
    char policy[160];
    const char *store = conf->settings.store;
    const char *setter = jg_conf_first_setting(conf, policy_setting, policy, sizeof policy);
    if (setter && jg_conf_is_idle(conf)) {
        jg_log(log, JG_LOG_WARNING, "CONFIG",
               "%s is set, but jobgate.topics is not: no topic is governed, all messages pass untouched", setter);
        return JG_OK;
    }
    if (setter && !store) {
        snprintf(
            error->text, sizeof error->text,
            "jobgate.store is not set, and %s needs it: set it to redis://host:6379, or to memory: for one process",
            setter);
        return JG_EINVAL;
    }
    if (setter && strncmp(store, "memory:", strlen("memory:")) == 0)
        jg_log(log, JG_LOG_WARNING, "CONFIG",
               "jobgate.store is memory: claims are known to this process only, and gone with it");
    return JG_OK;
}

/* Events about events would never end; and the resumer takes a holding topic's records for jobs. */
static enum jg_err
check_events_topic(const struct jg_conf *conf, struct jg_error *error)
{
    const char *topic = conf->settings.events_topic;
    char origin[JG_TOPIC_MAX_BYTES + 1];
    const char *why = NULL;
    if (!topic)
        return JG_OK;
    if (jg_conf_topic(conf, topic))
        why = "governed by jobgate.topics";
    else if (jg_holding_parse(topic, origin, sizeof origin))
        why = "a holding topic's name";
    else if (jg_dead_parse(topic, origin, sizeof origin))
        why = "a name for dead letters";
    if (!why)
        return JG_OK;
    snprintf(error->text, sizeof error->text,
             "jobgate.events.topic=%.249s is %s: give events a topic of their own, e.g. jobgate-events", topic, why);
    return JG_EINVAL;
}

enum jg_err
jg_conf_finish(struct jg_conf *conf, const struct jg_log *log, struct jg_error *error)
{
    enum jg_err err = jg_conf_collect(conf);
    build_settings(conf);
    const struct jg_log own_log = {.level = conf->settings.log_level};
    if (!log)
        log = &own_log;
    if (conf->unknown_env.size_bytes && !conf->unknown_env.failed)
        jg_log(log, JG_LOG_WARNING, "CONFIG", "environment variables that are no settings: %s", conf->unknown_env.data);
    if (err != JG_OK) {
        snprintf(error->text, sizeof error->text, "settings: out of memory");
        return err;
    }
    /* Topics come first and policies are built even when a topic fails: a refused handle still knows what it governs.
     */
    struct jg_error second = {.text = ""};
    err = jg_conf_build_topics(conf, log, error);
    enum jg_err policies = jg_conf_build_policies(conf, err == JG_OK ? error : &second);
    if (err == JG_OK)
        err = policies;
    if (err == JG_OK)
        err = check_together(conf, log, error);
    if (err == JG_OK)
        err = check_events_topic(conf, error);
    if (err == JG_EINVAL && conf->settings.disable != JG_DISABLE_NO) {
        /* The emergency switch must work with settings that would be refused. */
        jg_log(log, JG_LOG_WARNING, "CONFIG", "JOBGATE_DISABLE is set, so this is not refused: %s", error->text);
        return JG_OK;
    }
    return err;
}

const struct jg_settings *
jg_conf_settings(const struct jg_conf *conf)
{
    return &conf->settings;
}

void
jg_conf_each_kafka(const struct jg_conf *conf, bool (*each)(void *opaque, const char *name, const char *value),
                   void *opaque)
{
    const struct jg_sections *sections = &conf->sections[JG_LEVEL_KAFKA];
    size_t index = jg_setting_index(jg_setting_of(JG_LEVEL_KAFKA, "kafka"));
    for (size_t i = 0; i < sections->count; i++) {
        if (!each(opaque, sections->list[i].name, sections->list[i].values[index]))
            return;
    }
}
