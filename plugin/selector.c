/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/selector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_MAX_DIGITS 9

static const struct {
    const char *word;
    enum jg_selector_kind kind;
    bool has_argument;
} kinds[] = {
    {"header", JG_SELECT_HEADER, true},    {"field", JG_SELECT_FIELD, true},  {"key", JG_SELECT_KEY, false},
    {"payload", JG_SELECT_PAYLOAD, false}, {"topic", JG_SELECT_TOPIC, false}, {"const", JG_SELECT_CONST, true},
};

/* Append what needs no more than an empty writer. */
static void
put_text(struct jg_buf *out, const void *data, size_t size_bytes)
{
    struct jg_canon canon;
    jg_canon_init(&canon, out, NULL);
    jg_canon_string_or_bytes(&canon, data, size_bytes);
    jg_canon_clear(&canon);
}

static enum jg_err
fail(struct jg_error *error, const char *text, const char *why)
{
    snprintf(error->text, sizeof(error->text), "selector '%s': %s", text, why);
    return JG_EINVAL;
}

/* Make a step of the unescaped name in `raw`. */
static enum jg_err
add_step(struct jg_path *path, const struct jg_buf *raw)
{
    struct jg_step *steps = realloc(path->steps, (path->count + 1) * sizeof(*steps));
    if (!steps)
        return JG_ENOMEM;
    path->steps = steps;
    struct jg_step *step = &steps[path->count];
    *step = (struct jg_step){.is_index = raw->size_bytes <= INDEX_MAX_DIGITS &&
                                         strspn(raw->data, "0123456789") == raw->size_bytes &&
                                         (raw->data[0] != '0' || raw->size_bytes == 1)};
    if (step->is_index)
        step->index = strtoul(raw->data, NULL, 10);
    struct jg_buf quoted = JG_BUF_INIT;
    put_text(&quoted, raw->data, raw->size_bytes);
    step->name_bytes = quoted.failed ? 0 : quoted.size_bytes - 2;
    step->name = quoted.failed ? NULL : strndup(quoted.data + 1, step->name_bytes);
    jg_buf_clear(&quoted);
    if (!step->name)
        return JG_ENOMEM;
    path->count++;
    return JG_OK;
}

static struct jg_path *
add_path(struct jg_selector *selector)
{
    struct jg_path *paths = realloc(selector->paths, (selector->path_count + 1) * sizeof(*paths));
    if (!paths)
        return NULL;
    selector->paths = paths;
    paths[selector->path_count] = (struct jg_path){.steps = NULL, .count = 0};
    return &paths[selector->path_count++];
}

/* Read one name up to a dot, a comma or the end; a backslash takes the next of `.`, `,` and `\` literally. */
static enum jg_err
read_name(const struct jg_selector *selector, const char **at, struct jg_buf *raw, struct jg_error *error)
{
    jg_buf_reset(raw);
    for (; **at && **at != '.' && **at != ','; (*at)++) {
        if (**at == '\\') {
            (*at)++;
            if (**at != '.' && **at != ',' && **at != '\\')
                return fail(error, selector->text, "a backslash must come before a dot, a comma or a backslash");
        }
        jg_buf_append(raw, *at, 1);
    }
    if (raw->failed)
        return JG_ENOMEM;
    return raw->size_bytes == 0 ? fail(error, selector->text, "an empty name in the path") : JG_OK;
}

static enum jg_err
parse_paths(struct jg_selector *selector, struct jg_error *error)
{
    struct jg_buf raw = JG_BUF_INIT;
    struct jg_path *path = add_path(selector);
    const char *at = selector->argument;
    enum jg_err err = path ? JG_OK : JG_ENOMEM;
    while (err == JG_OK) {
        err = read_name(selector, &at, &raw, error);
        if (err == JG_OK)
            err = add_step(path, &raw);
        if (err != JG_OK || !*at)
            break;
        if (*at == ',')
            path = add_path(selector);
        if (!path)
            err = JG_ENOMEM;
        at++;
    }
    jg_buf_clear(&raw);
    return err;
}

static enum jg_err
parse(struct jg_selector *selector, struct jg_error *error)
{
    const char *text = selector->text;
    size_t word_bytes = strcspn(text, ":");
    bool has_argument = text[word_bytes] == ':';
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strlen(kinds[i].word) != word_bytes || memcmp(text, kinds[i].word, word_bytes) != 0)
            continue;
        selector->kind = kinds[i].kind;
        selector->argument = text + word_bytes + (has_argument ? 1 : 0);
        if (has_argument && !kinds[i].has_argument)
            return fail(error, text, "nothing may follow this word");
        if (kinds[i].has_argument && !*selector->argument)
            return fail(error, text, "something must follow the colon: header:NAME, field:PATH or const:TEXT");
        if (!jg_utf8_valid(text, strlen(text)))
            return fail(error, text, "not valid UTF-8");
        return selector->kind == JG_SELECT_FIELD ? parse_paths(selector, error) : JG_OK;
    }
    return fail(error, text,
                "not one of header:NAME, field:PATH[,PATH...], key, payload, topic, const:TEXT "
                "(a field of the payload is field:NAME)");
}

enum jg_err
jg_selector_parse(const char *text, struct jg_selector **out, struct jg_error *error)
{
    struct jg_selector *selector = calloc(1, sizeof(*selector));
    enum jg_err err = JG_ENOMEM;
    if (selector && (selector->text = strdup(text)))
        err = parse(selector, error);
    if (err == JG_ENOMEM)
        snprintf(error->text, sizeof(error->text), "out of memory");
    if (err == JG_OK)
        *out = selector;
    else
        jg_selector_destroy(selector);
    return err;
}

void
jg_selector_destroy(struct jg_selector *selector)
{
    if (!selector)
        return;
    for (size_t i = 0; i < selector->path_count; i++) {
        for (size_t j = 0; j < selector->paths[i].count; j++)
            free(selector->paths[i].steps[j].name);
        free(selector->paths[i].steps);
    }
    free(selector->paths);
    free(selector->text);
    free(selector);
}

bool
jg_selector_reads_payload(const struct jg_selector *selector)
{
    return selector->kind == JG_SELECT_FIELD || selector->kind == JG_SELECT_PAYLOAD;
}

static struct jg_span
follow(const struct jg_path *path, struct jg_span value)
{
    for (size_t i = 0; i < path->count && value.text; i++) {
        const struct jg_step *step = &path->steps[i];
        if (step->is_index && value.text[0] == '[')
            value = jg_span_item(value, step->index);
        else
            value = jg_span_member(value, step->name, step->name_bytes);
    }
    return value;
}

static bool
find_fields(const struct jg_selector *selector, struct jg_span payload, struct jg_buf *out)
{
    bool is_list = selector->path_count > 1;
    if (is_list)
        jg_buf_append(out, "[", 1);
    for (size_t i = 0; i < selector->path_count; i++) {
        struct jg_span value = follow(&selector->paths[i], payload);
        if (!value.text)
            return false;
        if (i > 0)
            jg_buf_append(out, ",", 1);
        jg_buf_append(out, value.text, value.size_bytes);
    }
    if (is_list)
        jg_buf_append(out, "]", 1);
    return !out->failed;
}

static bool
find_header(const char *name, const struct jg_message *message, struct jg_buf *out)
{
    const void *value = NULL;
    size_t value_bytes = 0;
    if (!message->header || !message->header(message->opaque, name, &value, &value_bytes))
        return false;
    if (value)
        put_text(out, value, value_bytes);
    else
        jg_buf_text(out, "null");
    return !out->failed;
}

bool
jg_selector_find(const struct jg_selector *selector, const struct jg_message *message, struct jg_span payload,
                 struct jg_buf *out)
{
    switch (selector->kind) {
    case JG_SELECT_HEADER:
        return find_header(selector->argument, message, out);
    case JG_SELECT_FIELD:
        return find_fields(selector, payload, out);
    case JG_SELECT_KEY:
        if (!message->key)
            return false;
        put_text(out, message->key, message->key_bytes);
        break;
    case JG_SELECT_PAYLOAD:
        if (!payload.text)
            return false;
        jg_buf_append(out, payload.text, payload.size_bytes);
        break;
    case JG_SELECT_TOPIC:
        put_text(out, message->topic, strlen(message->topic));
        break;
    case JG_SELECT_CONST:
        put_text(out, selector->argument, strlen(selector->argument));
        break;
    }
    return !out->failed;
}
