/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: values as they were set, source by source. Sections: the same by topic or class, sources laid over each
 * other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/conf_impl.h"

static bool
may_hold_password(const struct jg_setting *row)
{
    return row->type == JG_TYPE_URL || row->type == JG_TYPE_ANY;
}

static void
entry_clear(struct jg_entry *entry)
{
    if (entry->value && may_hold_password(entry->row))
        explicit_bzero(entry->value, strlen(entry->value));
    free(entry->section);
    free(entry->value);
}

void
jg_entries_clear(struct jg_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        entry_clear(&entries->list[i]);
    free(entries->list);
    *entries = (struct jg_entries){.list = NULL};
}

enum jg_err
jg_entries_append(struct jg_entries *entries, const struct jg_setting_name *name, const char *value)
{
    if (entries->count == entries->room) {
        size_t room = entries->room ? entries->room * 2 : 16;
        struct jg_entry *list = reallocarray(entries->list, room, sizeof *list);
        if (!list)
            return JG_ENOMEM;
        entries->list = list;
        entries->room = room;
    }
    struct jg_entry entry = {.row = name->row, .value = strdup(value)};
    if (name->section)
        entry.section = strndup(name->section, name->section_bytes);
    if (!entry.value || (name->section && !entry.section)) {
        entry_clear(&entry);
        return JG_ENOMEM;
    }
    entries->list[entries->count++] = entry;
    return JG_OK;
}

static enum jg_err
check_section(const struct jg_setting_name *name, const char *shown, struct jg_error *error)
{
    if (!name->section || name->row->level == JG_LEVEL_KAFKA)
        return JG_OK;
    if (name->section_bytes > JG_CLASS_MAX_BYTES) {
        snprintf(error->text, sizeof error->text, "%s: the name of the %s is longer than %d bytes", shown,
                 name->row->level == JG_LEVEL_CLASS ? "class" : "topic", JG_CLASS_MAX_BYTES);
        return JG_EINVAL;
    }
    if (name->row->level == JG_LEVEL_CLASS)
        return JG_OK;
    char topic[JG_CLASS_MAX_BYTES + 1];
    snprintf(topic, sizeof topic, "%.*s", (int)name->section_bytes, name->section);
    return jg_topic_item_check(shown, topic, error);
}

enum jg_err
jg_entries_set(struct jg_entries *entries, const char *name, const char *shown, const char *value,
               struct jg_error *error)
{
    struct jg_setting_name resolved = {.row = NULL};
    if (!jg_setting_resolve(name, &resolved)) {
        struct jg_error unknown;
        jg_setting_unknown(name, &unknown);
        /* `shown` may say more than the name: the file and its line. */
        const char *colon = strstr(shown, ": " JG_CONF_PREFIX);
        int place_chars = colon ? (int)(colon - shown) + 2 : 0;
        snprintf(error->text, sizeof error->text, "%.*s%.400s", place_chars, shown, unknown.text);
        return JG_EINVAL;
    }
    enum jg_err err = check_section(&resolved, shown, error);
    if (err == JG_OK)
        err = jg_setting_check(resolved.row, shown, value, error);
    if (err == JG_OK) {
        err = jg_entries_append(entries, &resolved, value);
        if (err != JG_OK)
            snprintf(error->text, sizeof error->text, "%s: out of memory", shown);
    }
    return err;
}

static int
compare_sections(const void *left, const void *right)
{
    return strcmp(((const struct jg_section *)left)->name, ((const struct jg_section *)right)->name);
}

const struct jg_section *
jg_sections_find(const struct jg_sections *sections, const char *name)
{
    struct jg_section wanted = {.name = name};
    if (sections->count == 0)
        return NULL;
    return bsearch(&wanted, sections->list, sections->count, sizeof wanted, compare_sections);
}

static bool
is_of_section(const struct jg_entry *entry, enum jg_level level)
{
    return entry->section && entry->row->level == level;
}

static size_t
count_entries(const struct jg_conf *conf, enum jg_level level)
{
    size_t count = 0;
    for (int source = 0; source < JG_SOURCES; source++) {
        for (size_t i = 0; i < conf->sources[source].count; i++)
            count += is_of_section(&conf->sources[source].list[i], level);
    }
    return count;
}

/* Make a section for every topic, class or property of this level that is named somewhere. */
static enum jg_err
name_sections(const struct jg_conf *conf, enum jg_level level, struct jg_sections *out)
{
    size_t most = count_entries(conf, level);
    if (most == 0)
        return JG_OK;
    out->list = calloc(most, sizeof *out->list);
    if (!out->list)
        return JG_ENOMEM;
    for (int source = 0; source < JG_SOURCES; source++) {
        const struct jg_entries *entries = &conf->sources[source];
        for (size_t i = 0; i < entries->count; i++) {
            if (is_of_section(&entries->list[i], level))
                out->list[out->count++].name = entries->list[i].section;
        }
    }
    qsort(out->list, out->count, sizeof *out->list, compare_sections);
    size_t last = 0;
    for (size_t i = 1; i < out->count; i++) {
        if (strcmp(out->list[i].name, out->list[last].name) != 0)
            out->list[++last].name = out->list[i].name;
    }
    out->count = last + 1;
    return JG_OK;
}

enum jg_err
jg_conf_collect(struct jg_conf *conf)
{
    for (int level = 0; level < JG_LEVELS; level++) {
        enum jg_err err = name_sections(conf, (enum jg_level)level, &conf->sections[level]);
        if (err != JG_OK)
            return err;
    }
    for (int source = 0; source < JG_SOURCES; source++) {
        const struct jg_entries *entries = &conf->sources[source];
        for (size_t i = 0; i < entries->count; i++) {
            const struct jg_entry *entry = &entries->list[i];
            struct jg_section *section = &conf->general;
            if (entry->section) /* one was made for it above; sections are const for all others */
                section = (struct jg_section *)jg_sections_find(&conf->sections[entry->row->level], entry->section);
            section->values[jg_setting_index(entry->row)] = entry->value;
        }
    }
    return JG_OK;
}

const char *
jg_section_value(const struct jg_conf *conf, const struct jg_section *section, const struct jg_setting *row)
{
    size_t index = jg_setting_index(row);
    const char *value = section ? section->values[index] : NULL;
    if (!value)
        value = conf->general.values[index];
    /* Set to nothing means unset. */
    return value && *value ? value : row->fallback;
}

void
jg_setting_put(const struct jg_setting *row, const char *value, void *base)
{
    char *field = (char *)base + row->field;
    bool is_text = row->type == JG_TYPE_NAME || row->type == JG_TYPE_URL || row->type == JG_TYPE_GAUGE ||
                   row->type == JG_TYPE_TOPIC || row->type == JG_TYPE_LOAD;
    int64_t number = is_text ? 0 : jg_setting_number(row, value);
    int word = (int)number;
    bool flag = number != 0;
    _Static_assert(sizeof(enum jg_dedup) == sizeof word, "enums are written as int");
    switch (row->type) {
    case JG_TYPE_NUMBER:
        memcpy(field, &number, sizeof number);
        break;
    case JG_TYPE_ENUM:
        memcpy(field, &word, sizeof word);
        break;
    case JG_TYPE_BOOL:
        memcpy(field, &flag, sizeof flag);
        break;
    default:
        memcpy(field, &value, sizeof value); /* borrowed text */
    }
}
