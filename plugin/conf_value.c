/* SPDX-License-Identifier: Apache-2.0 */
/* Is a value valid for its setting, and what number stands behind it. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "plugin/conf_table.h"
#include "plugin/identify.h"
#include "plugin/policy.h"

#define VALUE_MAX_BYTES 65536
#define NAMESPACE_MAX_BYTES 100
#define TOPIC_MAX_BYTES 249 /* Kafka's bound */
#define PATTERN_MAX_BYTES 512
#define PATTERN_MAX_EXPANDED 8192

static bool
is_name(const char *text, size_t max_bytes)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t bytes = strlen(text);
    return bytes > 0 && bytes <= max_bytes && strspn(text, allowed) == bytes;
}

static const struct jg_word *
find_word(const struct jg_word *words, const char *value)
{
    /* As librdkafka reads its own: some clients turn a boolean into `True`. */
    for (const struct jg_word *word = words; word->text; word++) {
        if (strcasecmp(word->text, value) == 0)
            return word;
    }
    return NULL;
}

static enum jg_err
check_word(const struct jg_setting *row, const char *shown, const char *value, struct jg_error *error)
{
    if (find_word(row->words, value))
        return JG_OK;
    char text[64];
    jg_conf_shown(value, text, sizeof text);
    struct jg_buf list = JG_BUF_INIT;
    for (const struct jg_word *word = row->words; word->text; word++)
        jg_buf_format(&list, "%s%s", list.size_bytes ? ", " : "", word->text);
    snprintf(error->text, sizeof error->text, "%s: '%s' is none of its words: %s", shown, text,
             list.failed ? "out of memory" : list.data);
    jg_buf_clear(&list);
    return JG_EINVAL;
}

static bool
parse_number(const char *value, int64_t *out)
{
    const char *unsigned_part = *value == '-' ? value + 1 : value;
    size_t digits = strspn(unsigned_part, "0123456789");
    if (digits == 0 || digits > 18 || unsigned_part[digits] != '\0')
        return false;
    *out = strtoll(value, NULL, 10);
    return true;
}

static enum jg_err
check_number(const struct jg_setting *row, const char *shown, const char *value, struct jg_error *error)
{
    int64_t number = 0;
    if (row->words && find_word(row->words, value))
        return JG_OK;
    if (parse_number(value, &number) && number >= row->min && number <= row->max)
        return JG_OK;
    char text[64];
    jg_conf_shown(value, text, sizeof text);
    snprintf(error->text, sizeof error->text, "%s: '%s' is not %s%sa whole number%s%s from %lld to %lld", shown, text,
             row->words ? row->words->text : "", row->words ? ", nor " : "", row->unit ? " of " : "",
             row->unit ? row->unit : "", (long long)row->min, (long long)row->max);
    return JG_EINVAL;
}

static enum jg_err
check_namespace(const char *shown, const char *value, struct jg_error *error)
{
    if (is_name(value, NAMESPACE_MAX_BYTES))
        return JG_OK;
    char text[64];
    jg_conf_shown(value, text, sizeof text);
    snprintf(error->text, sizeof error->text, "%s: '%s' is not 1 to %d letters, digits, '.', '_' or '-'", shown, text,
             NAMESPACE_MAX_BYTES);
    return JG_EINVAL;
}

/* How many times the parts of a pattern stand in what the C library makes of it, at most: it copies what `+` or `{n}`
 * repeats, so that a short text with repeated repetitions would cost it any amount of memory. */
static size_t
expanded_bytes(const char *pattern)
{
    size_t bytes = strlen(pattern);
    for (const char *at = pattern; *at && bytes <= PATTERN_MAX_EXPANDED; at++) {
        if (*at == '+')
            bytes *= 2;
        if (*at != '{')
            continue;
        char *end;
        unsigned long from = strtoul(at + 1, &end, 10);
        unsigned long to = *end == ',' ? strtoul(end + 1, NULL, 10) : from;
        unsigned long times = from + 1 > to ? from + 1 : to; /* {n,} is n and one with a star */
        bytes = times > PATTERN_MAX_EXPANDED ? SIZE_MAX : bytes * (times + 1);
    }
    return bytes;
}

static enum jg_err
check_pattern(const char *shown, const char *item, struct jg_error *error)
{
    char text[96];
    jg_conf_shown(item, text, sizeof text);
    if (strlen(item) > PATTERN_MAX_BYTES) {
        snprintf(error->text, sizeof error->text, "%s: the pattern '%s' is longer than %d bytes", shown, text,
                 PATTERN_MAX_BYTES);
        return JG_EINVAL;
    }
    if (expanded_bytes(item) > PATTERN_MAX_EXPANDED) {
        snprintf(error->text, sizeof error->text,
                 "%s: the pattern '%s' repeats too much: written out without '+' and '{}' it may have no more than %d "
                 "bytes",
                 shown, text, PATTERN_MAX_EXPANDED);
        return JG_EINVAL;
    }
    regex_t regex;
    int failed = regcomp(&regex, item, REG_EXTENDED | REG_NOSUB);
    if (!failed) {
        regfree(&regex);
        return JG_OK;
    }
    char reason[128];
    regerror(failed, &regex, reason, sizeof reason);
    snprintf(error->text, sizeof error->text,
             "%s: '%s' is no POSIX extended regular expression: %s (a comma ends a pattern: it cannot hold one)", shown,
             text, reason);
    return JG_EINVAL;
}

static bool
is_topic(const char *text)
{
    return is_name(text, TOPIC_MAX_BYTES) && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static enum jg_err
check_topic(const char *shown, const char *value, struct jg_error *error)
{
    if (is_topic(value))
        return JG_OK;
    char text[96];
    jg_conf_shown(value, text, sizeof text);
    snprintf(error->text, sizeof error->text, "%s: '%s' is no topic name (1 to %d letters, digits, '.', '_' or '-')",
             shown, text, TOPIC_MAX_BYTES);
    return JG_EINVAL;
}

enum jg_err
jg_topic_item_check(const char *shown, const char *item, struct jg_error *error)
{
    if (item[0] == '^')
        return check_pattern(shown, item, error);
    if (is_topic(item))
        return JG_OK;
    char text[96];
    jg_conf_shown(item, text, sizeof text);
    snprintf(error->text, sizeof error->text,
             "%s: '%s' is no topic name (1 to %d letters, digits, '.', '_' or '-'); topics are separated by commas, a "
             "pattern starts with '^'",
             shown, text, TOPIC_MAX_BYTES);
    return JG_EINVAL;
}

struct items_check {
    const char *shown;
    struct jg_error *error;
};

static enum jg_err
check_item(void *opaque, const char *item)
{
    const struct items_check *check = opaque;
    return jg_topic_item_check(check->shown, item, check->error);
}

static enum jg_err
check_topics(const char *shown, const char *value, struct jg_error *error)
{
    struct items_check check = {.shown = shown, .error = error};
    enum jg_err err = jg_list_each(value, check_item, &check);
    if (err == JG_ENOMEM)
        snprintf(error->text, sizeof error->text, "%s: out of memory", shown);
    return err;
}

static enum jg_err
check_selector(const char *shown, const char *value, struct jg_error *error)
{
    struct jg_selector *selector = NULL;
    struct jg_error reason = {.text = ""};
    enum jg_err err = jg_selector_parse(value, &selector, &reason);
    if (err == JG_OK)
        jg_selector_destroy(selector);
    else
        snprintf(error->text, sizeof error->text, "%s: %.340s", shown,
                 jg_conf_may_show(value) ? reason.text : "the value is no selector");
    return err;
}

static enum jg_err
check_path(const char *shown, const char *value, struct jg_error *error)
{
    if (!strstr(value, "://"))
        return JG_OK;
    snprintf(error->text, sizeof error->text, "%s: this is the path of a local file, not an address", shown);
    return JG_EINVAL;
}

static enum jg_err
check_gauge(const struct jg_setting *row, const char *shown, const char *value, struct jg_error *error)
{
    const char *prefix = "redis:";
    size_t bytes = strlen(prefix);
    bool slots = row->type == JG_TYPE_LOAD;
    if (strncmp(value, prefix, bytes) == 0 && value[bytes] && strncmp(value + bytes, "//", 2) != 0)
        return JG_OK;
    if (slots && strcmp(value, JG_SLOTS) == 0)
        return JG_OK;
    snprintf(error->text, sizeof error->text,
             "%s: not `redis:<key>`, the name of a key in the Redis of jobgate.store that tells a number%s", shown,
             slots ? ", nor `slots`" : "");
    return JG_EINVAL;
}

/* A line break or an escape sequence in a value would reach logs and terminals. */
static bool
has_control(const char *value)
{
    for (const char *at = value; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return true;
    }
    return false;
}

/* Text settings without a default: an empty value unsets what a lower source set. */
static bool
may_be_empty(const struct jg_setting *row)
{
    return row->type == JG_TYPE_ANY || (!row->fallback && row->type != JG_TYPE_NUMBER);
}

enum jg_err
jg_setting_check(const struct jg_setting *row, const char *shown, const char *value, struct jg_error *error)
{
    if (strlen(value) > VALUE_MAX_BYTES || (row->type != JG_TYPE_ANY && has_control(value))) {
        snprintf(error->text, sizeof error->text, "%s: the value holds a control character, or more than %d bytes",
                 shown, VALUE_MAX_BYTES);
        return JG_EINVAL;
    }
    if (*value == '\0' && may_be_empty(row))
        return JG_OK;
    switch (row->type) {
    case JG_TYPE_TOPICS:
        return check_topics(shown, value, error);
    case JG_TYPE_TOPIC:
        return check_topic(shown, value, error);
    case JG_TYPE_NAME:
        return check_namespace(shown, value, error);
    case JG_TYPE_SELECTOR:
        return check_selector(shown, value, error);
    case JG_TYPE_GAUGE:
    case JG_TYPE_LOAD:
        return check_gauge(row, shown, value, error);
    case JG_TYPE_NUMBER:
        return check_number(row, shown, value, error);
    case JG_TYPE_ENUM:
    case JG_TYPE_BOOL:
        return check_word(row, shown, value, error);
    case JG_TYPE_PATH:
    case JG_TYPE_SCHEMA:
        return check_path(shown, value, error);
    case JG_TYPE_URL: /* the store's connector checks it, when it is opened */
    case JG_TYPE_ANY:
        return JG_OK;
    }
    return JG_OK;
}

int64_t
jg_setting_number(const struct jg_setting *row, const char *value)
{
    int64_t number = 0;
    const struct jg_word *word = row->words ? find_word(row->words, value) : NULL;
    if (word)
        return word->value;
    return parse_number(value, &number) ? number : 0;
}

enum jg_err
jg_list_each(const char *list, enum jg_err (*each)(void *opaque, const char *item), void *opaque)
{
    char *copy = strdup(list);
    if (!copy)
        return JG_ENOMEM;
    enum jg_err err = JG_OK;
    char *rest = copy;
    char *item = NULL;
    while (err == JG_OK && (item = strsep(&rest, ","))) {
        item += strspn(item, " \t");
        size_t bytes = strlen(item);
        while (bytes > 0 && (item[bytes - 1] == ' ' || item[bytes - 1] == '\t'))
            item[--bytes] = '\0';
        if (bytes > 0)
            err = each(opaque, item);
    }
    free(copy);
    return err;
}
