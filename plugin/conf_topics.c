/* SPDX-License-Identifier: Apache-2.0 */
/* Which topics are governed, and how their jobs are read. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/conf_impl.h"

#define CACHE_SLOTS 512
#define CACHE_PROBES 8
#define CACHED_NAME_BYTES 249 /* Kafka's bound */

/* What the patterns said of one name. Never changed or freed before the conf is. */
struct cached_topic {
    const struct jg_topic_spec *spec; /* NULL: no pattern matches */
    char name[];
};

/* Slots are filled once, by whoever comes first: lookups take no lock, and a full cache just stops learning. */
struct jg_topic_cache {
    _Atomic(struct cached_topic *) slots[CACHE_SLOTS];
};

static int
compare_topics(const void *left, const void *right)
{
    return strcmp(((const struct jg_topic *)left)->name, ((const struct jg_topic *)right)->name);
}

static void
spec_clear(struct jg_topic_spec *spec)
{
    jg_selector_destroy(spec->class_selector);
    jg_selector_destroy(spec->args_selector);
    jg_selector_destroy(spec->id_selector);
    jg_schema_destroy(spec->schema);
}

void
jg_topics_clear(struct jg_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++) {
        spec_clear(&topics->list[i].spec);
        free(topics->list[i].name);
    }
    for (size_t i = 0; i < topics->pattern_count; i++) {
        spec_clear(&topics->patterns[i].spec);
        regfree(&topics->patterns[i].regex);
        free(topics->patterns[i].name);
    }
    free(topics->list);
    free(topics->patterns);
    for (size_t i = 0; topics->cache && i < CACHE_SLOTS; i++)
        free(atomic_load(&topics->cache->slots[i]));
    free(topics->cache);
    *topics = (struct jg_topics){.list = NULL};
}

/* Append an item of `topics`, or a topic that has a section and matches a pattern. */
static enum jg_err
add_topic(void *opaque, const char *item)
{
    struct jg_topics *topics = opaque;
    bool is_pattern = item[0] == '^';
    struct jg_topic **list = is_pattern ? &topics->patterns : &topics->list;
    size_t *count = is_pattern ? &topics->pattern_count : &topics->count;
    struct jg_topic *more = reallocarray(*list, *count + 1, sizeof *more);
    if (!more)
        return JG_ENOMEM;
    *list = more;
    struct jg_topic *topic = &more[*count];
    *topic = (struct jg_topic){.name = strdup(item)};
    if (!topic->name)
        return JG_ENOMEM;
    if (is_pattern && regcomp(&topic->regex, item, REG_EXTENDED | REG_NOSUB) != 0) {
        free(topic->name);
        return JG_ENOMEM; /* that it is valid was seen when it was set */
    }
    ++*count;
    return JG_OK;
}

static void
sort_topics(struct jg_topics *topics)
{
    if (topics->count == 0)
        return;
    qsort(topics->list, topics->count, sizeof *topics->list, compare_topics);
    size_t last = 0;
    for (size_t i = 1; i < topics->count; i++) {
        if (strcmp(topics->list[i].name, topics->list[last].name) == 0)
            free(topics->list[i].name);
        else
            topics->list[++last] = topics->list[i];
    }
    topics->count = last + 1;
}

static const struct jg_topic *
find_topic(const struct jg_topic *list, size_t count, const char *name)
{
    struct jg_topic wanted = {.name = (char *)name};
    if (count == 0)
        return NULL;
    return bsearch(&wanted, list, count, sizeof wanted, compare_topics);
}

static const struct jg_topic *
match_pattern(const struct jg_topics *topics, const char *name)
{
    for (size_t i = 0; i < topics->pattern_count; i++) {
        if (regexec(&topics->patterns[i].regex, name, 0, NULL, 0) == 0)
            return &topics->patterns[i];
    }
    return NULL;
}

static bool
is_pattern_item(const struct jg_topics *topics, const char *item)
{
    for (size_t i = 0; i < topics->pattern_count; i++) {
        if (strcmp(topics->patterns[i].name, item) == 0)
            return true;
    }
    return false;
}

/* A topic that only a pattern names becomes one of its own when something is set for it. */
static enum jg_err
add_sections(struct jg_conf *conf, const struct jg_log *log)
{
    struct jg_topics *topics = &conf->topics;
    const struct jg_sections *sections = &conf->sections[JG_LEVEL_TOPIC];
    size_t sorted = topics->count;
    for (size_t i = 0; i < sections->count; i++) {
        const char *name = sections->list[i].name;
        if (find_topic(topics->list, sorted, name) || is_pattern_item(topics, name))
            continue;
        if (name[0] == '^' || !match_pattern(topics, name)) {
            jg_log(log, JG_LOG_WARNING, "CONFIG",
                   "jobgate.topic.%s.*: nothing in jobgate.topics means that topic, so these settings do nothing",
                   name);
            continue;
        }
        enum jg_err err = add_topic(topics, name);
        if (err != JG_OK)
            return err;
    }
    sort_topics(topics);
    return JG_OK;
}

/* The selector that `row` sets for a topic. */
static enum jg_err
build_selector(const struct jg_setting *row, const char *shown, const char *value, struct jg_topic_spec *spec,
               struct jg_error *error)
{
    struct jg_selector *selector = NULL;
    struct jg_error reason = {.text = ""};
    enum jg_err err = jg_selector_parse(value, &selector, &reason);
    if (err != JG_OK) {
        snprintf(error->text, sizeof error->text, "%s: %.300s", shown, reason.text);
        return err;
    }
    memcpy((char *)spec + row->field, &selector, sizeof selector);
    return JG_OK;
}

static enum jg_err
build_schema(const char *topic, const char *shown, const char *path, const struct jg_log *log,
             struct jg_topic_spec *spec, struct jg_error *error)
{
    if (spec->format != JG_FORMAT_AVRO) {
        if (path)
            jg_log(log, JG_LOG_WARNING, "CONFIG", "%s does nothing for %s: its format is not avro", shown, topic);
        return JG_OK;
    }
    if (!path) {
        snprintf(error->text, sizeof error->text,
                 "%s is not set: topic '%.200s' has format avro, and needs the .avsc file of its schema", shown, topic);
        return JG_EINVAL;
    }
    struct jg_error reason = {.text = ""};
    enum jg_err err = jg_schema_load(path, &spec->schema, &reason);
    if (err != JG_OK)
        snprintf(error->text, sizeof error->text, "%s: %.300s", shown, reason.text);
    return err;
}

static enum jg_err
build_row(const struct jg_conf *conf, struct jg_topic *topic, const struct jg_section *section,
          const struct jg_setting *row, const struct jg_log *log, struct jg_error *error)
{
    const char *value = jg_section_value(conf, section, row);
    char full[400];
    char shown[160];
    bool is_own = section && section->values[jg_setting_index(row)];
    jg_setting_full_name(row, is_own ? topic->name : NULL, full, sizeof full);
    jg_conf_shown(full, shown, sizeof shown);
    if (row->type == JG_TYPE_SCHEMA) {
        /* A schema for all topics is there for those of format avro: only one of its own can be a mistake. */
        bool is_general_and_unused = !is_own && topic->spec.format != JG_FORMAT_AVRO;
        return build_schema(topic->name, shown, is_general_and_unused ? NULL : value, log, &topic->spec, error);
    }
    if (!value)
        return JG_OK;
    if (row->type == JG_TYPE_SELECTOR)
        return build_selector(row, shown, value, &topic->spec, error);
    jg_setting_put(row, value, &topic->spec);
    return JG_OK;
}

static enum jg_err
build_spec(const struct jg_conf *conf, struct jg_topic *topic, const struct jg_log *log, struct jg_error *error)
{
    const struct jg_section *section = jg_sections_find(&conf->sections[JG_LEVEL_TOPIC], topic->name);
    enum jg_err err = JG_OK;
    /* The format is the first of them in the table; the others are checked against it. */
    for (size_t i = 0; err == JG_OK && i < JG_SETTING_COUNT; i++) {
        if (jg_setting_table[i].level == JG_LEVEL_TOPIC)
            err = build_row(conf, topic, section, &jg_setting_table[i], log, error);
    }
    if (err != JG_OK)
        return err;
    struct jg_error reason = {.text = ""};
    err = jg_topic_spec_check(&topic->spec, &reason);
    if (err != JG_OK)
        snprintf(error->text, sizeof error->text, "settings of topic '%.160s': %.300s", topic->name, reason.text);
    return err;
}

static enum jg_err
name_topics(struct jg_conf *conf, const struct jg_log *log)
{
    struct jg_topics *topics = &conf->topics;
    const char *list = jg_section_value(conf, NULL, jg_setting_of(JG_LEVEL_GLOBAL, "topics"));
    enum jg_err err = list ? jg_list_each(list, add_topic, topics) : JG_OK;
    sort_topics(topics);
    if (err == JG_OK)
        err = add_sections(conf, log);
    if (err == JG_OK && topics->pattern_count > 0) {
        topics->cache = calloc(1, sizeof *topics->cache);
        if (!topics->cache)
            err = JG_ENOMEM;
    }
    return err;
}

enum jg_err
jg_conf_build_topics(struct jg_conf *conf, const struct jg_log *log, struct jg_error *error)
{
    struct jg_topics *topics = &conf->topics;
    enum jg_err err = name_topics(conf, log);
    if (err != JG_OK)
        snprintf(error->text, sizeof error->text, "jobgate.topics: out of memory");
    for (size_t i = 0; err == JG_OK && i < topics->count; i++)
        err = build_spec(conf, &topics->list[i], log, error);
    for (size_t i = 0; err == JG_OK && i < topics->pattern_count; i++)
        err = build_spec(conf, &topics->patterns[i], log, error);
    return err;
}

static uint32_t
hash_name(const char *name)
{
    uint32_t hash = 2166136261U;
    for (const char *at = name; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619U;
    return hash;
}

/* Ask the patterns, and put the answer into `slot` unless another thread was faster. */
static const struct jg_topic_spec *
ask_patterns(const struct jg_topics *topics, const char *name, _Atomic(struct cached_topic *) *slot)
{
    const struct jg_topic *pattern = match_pattern(topics, name);
    const struct jg_topic_spec *spec = pattern ? &pattern->spec : NULL;
    size_t name_bytes = strlen(name);
    if (!slot || name_bytes > CACHED_NAME_BYTES)
        return spec;
    struct cached_topic *entry = malloc(sizeof *entry + name_bytes + 1);
    if (!entry)
        return spec;
    entry->spec = spec;
    memcpy(entry->name, name, name_bytes + 1);
    struct cached_topic *expected = NULL;
    if (!atomic_compare_exchange_strong(slot, &expected, entry))
        free(entry);
    return spec;
}

const struct jg_topic_spec *
jg_conf_topic(const struct jg_conf *conf, const char *topic)
{
    const struct jg_topics *topics = &conf->topics;
    const struct jg_topic *own = find_topic(topics->list, topics->count, topic);
    if (own)
        return &own->spec;
    if (!topics->cache)
        return NULL;
    uint32_t hash = hash_name(topic);
    for (uint32_t probe = 0; probe < CACHE_PROBES; probe++) {
        _Atomic(struct cached_topic *) *slot = &topics->cache->slots[(hash + probe) % CACHE_SLOTS];
        const struct cached_topic *entry = atomic_load_explicit(slot, memory_order_acquire);
        if (!entry)
            return ask_patterns(topics, topic, slot);
        if (strcmp(entry->name, topic) == 0)
            return entry->spec;
    }
    return ask_patterns(topics, topic, NULL);
}

bool
jg_conf_is_idle(const struct jg_conf *conf)
{
    return conf->topics.count == 0 && conf->topics.pattern_count == 0;
}

bool
jg_conf_all_topics_are_raw(const struct jg_conf *conf)
{
    const struct jg_topics *topics = &conf->topics;
    for (size_t i = 0; i < topics->count; i++)
        if (topics->list[i].spec.format != JG_FORMAT_RAW)
            return false;
    for (size_t i = 0; i < topics->pattern_count; i++)
        if (topics->patterns[i].spec.format != JG_FORMAT_RAW)
            return false;
    return !jg_conf_is_idle(conf);
}
