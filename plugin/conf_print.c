/* SPDX-License-Identifier: Apache-2.0 */
/* The table of settings, printed. */
#include <stdio.h>
#include <string.h>

#include "base/roff.h"
#include "plugin/conf.h"
#include "plugin/conf_table.h"

#define TEXT_COLUMNS 100

static const char *const level_names[JG_LEVELS] = {
    [JG_LEVEL_GLOBAL] = "global", [JG_LEVEL_TOPIC] = "topic",     [JG_LEVEL_CLASS] = "class",
    [JG_LEVEL_KAFKA] = "kafka",   [JG_LEVEL_ENV] = "environment",
};

static const char *
type_name(enum jg_type type)
{
    switch (type) {
    case JG_TYPE_TOPICS:
        return "list";
    case JG_TYPE_TOPIC:
        return "topic";
    case JG_TYPE_URL:
        return "url";
    case JG_TYPE_PATH:
    case JG_TYPE_SCHEMA:
        return "file";
    case JG_TYPE_NAME:
        return "name";
    case JG_TYPE_SELECTOR:
        return "selector";
    case JG_TYPE_NUMBER:
        return "number";
    case JG_TYPE_ENUM:
        return "word";
    case JG_TYPE_BOOL:
        return "boolean";
    case JG_TYPE_GAUGE:
        return "gauge";
    case JG_TYPE_LOAD:
        return "gauge, or slots";
    case JG_TYPE_ANY:
        return "text";
    }
    return "text";
}

/* How to write the setting: for all, and for one topic or class (empty where there is none). */
static void
row_names(const struct jg_setting *row, char *general, char *one, size_t bytes)
{
    *one = '\0';
    if (row->level == JG_LEVEL_ENV)
        (void)jg_setting_env_name(row, general, bytes);
    else
        jg_setting_full_name(row, NULL, general, bytes);
    if (row->level == JG_LEVEL_TOPIC)
        jg_setting_full_name(row, "<topic>", one, bytes);
    else if (row->level == JG_LEVEL_CLASS)
        jg_setting_full_name(row, "<class>", one, bytes);
}

/* What values look like, in words. */
static void
row_values(const struct jg_setting *row, const char *separator, char *out, size_t out_bytes)
{
    size_t used = 0;
    *out = '\0';
    if (row->type == JG_TYPE_NUMBER) {
        snprintf(out, out_bytes, "%s%s%lld to %lld%s%s", row->words ? row->words->text : "", row->words ? ", " : "",
                 (long long)row->min, (long long)row->max, row->unit ? " " : "", row->unit ? row->unit : "");
        return;
    }
    for (const struct jg_word *word = row->words; word && word->text && used < out_bytes; word++) {
        bool is_alias = row->type == JG_TYPE_BOOL && strlen(word->text) == 1;
        if (!is_alias)
            used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", used ? separator : "", word->text);
    }
    if (!row->words)
        snprintf(out, out_bytes, "%s", type_name(row->type));
}

static void
print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t bytes = strcspn(text, " ");
        if (column == 0 || column + bytes + 1 > TEXT_COLUMNS - 4) {
            fprintf(out, "%s    ", column ? "\n" : "");
            column = 0;
        } else {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, bytes, out);
        column += bytes;
        text += bytes + strspn(text + bytes, " ");
    }
    fputc('\n', out);
}

/* One setting's texts, however they are laid out; empty where there is none. */
struct shown {
    char general[96], one[96], variable[96], values[160];
};

static struct shown
show(const struct jg_setting *row)
{
    struct shown shown = {.variable = ""};
    row_names(row, shown.general, shown.one, sizeof shown.general);
    row_values(row, ", ", shown.values, sizeof shown.values);
    if (!jg_setting_env_name(row, shown.variable, sizeof shown.variable))
        shown.variable[0] = '\0';
    return shown;
}

static void
print_text(FILE *out)
{
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        struct shown shown = show(row);
        fprintf(out, "%s%s\n", i ? "\n" : "", shown.general);
        if (*shown.one)
            fprintf(out, "%s\n", shown.one);
        print_wrapped(out, row->doc);
        fprintf(out, "    values: %s; default: %s", shown.values, row->fallback ? row->fallback : "none");
        if (row->level != JG_LEVEL_ENV && *shown.variable)
            fprintf(out, "; environment: %s", shown.variable);
        fprintf(out, "\n");
    }
}

static void
print_markdown(FILE *out)
{
    fprintf(out, "| setting | values | default | what it does |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        struct shown shown = show(row);
        fprintf(out, "| `%s`", shown.general);
        if (*shown.one)
            fprintf(out, "<br>`%s`", shown.one);
        fprintf(out, " | %s | %s | %s |\n", shown.values, row->fallback ? row->fallback : "", row->doc);
    }
}

/* The paragraphs of a man page, one a setting. */
static void
print_man(FILE *out)
{
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        struct shown shown = show(row);
        fprintf(out, ".TP\n");
        jg_roff_bold(out, shown.general);
        if (*shown.one) {
            fprintf(out, ".TQ\n");
            jg_roff_bold(out, shown.one);
        }
        jg_roff_text(out, row->doc);
        fprintf(out, ".br\n");
        jg_roff_words(out, "Values: ");
        jg_roff_words(out, shown.values);
        jg_roff_words(out, "; default: ");
        jg_roff_words(out, row->fallback ? row->fallback : "none");
        if (row->level != JG_LEVEL_ENV && *shown.variable) {
            jg_roff_words(out, "; environment: ");
            jg_roff_words(out, shown.variable);
        }
        fprintf(out, "\n");
    }
}

static void
print_json_text(FILE *out, const char *name, const char *value)
{
    fprintf(out, ", \"%s\": ", name);
    if (!value) {
        fprintf(out, "null");
        return;
    }
    fputc('"', out);
    for (const char *at = value; *at; at++) {
        if (*at == '"' || *at == '\\')
            fputc('\\', out);
        fputc(*at, out);
    }
    fputc('"', out);
}

static void
print_json(FILE *out)
{
    fprintf(out, "[\n");
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        struct shown shown = show(row);
        fprintf(out, "  {\"name\": \"%s\"", shown.general);
        print_json_text(out, "for_one", *shown.one ? shown.one : NULL);
        print_json_text(out, "environment", *shown.variable ? shown.variable : NULL);
        print_json_text(out, "level", level_names[row->level]);
        print_json_text(out, "type", type_name(row->type));
        print_json_text(out, "default", row->fallback);
        if (row->type == JG_TYPE_NUMBER)
            fprintf(out, ", \"min\": %lld, \"max\": %lld", (long long)row->min, (long long)row->max);
        print_json_text(out, "unit", row->unit);
        fprintf(out, ", \"words\": [");
        for (const struct jg_word *word = row->words; word && word->text; word++)
            fprintf(out, "%s\"%s\"", word == row->words ? "" : ", ", word->text);
        fprintf(out, "]");
        print_json_text(out, "since", row->since);
        print_json_text(out, "doc", row->doc);
        fprintf(out, "}%s\n", i + 1 < JG_SETTING_COUNT ? "," : "");
    }
    fprintf(out, "]\n");
}

void
jg_conf_print_table(FILE *out, enum jg_table_style style)
{
    switch (style) {
    case JG_TABLE_TEXT:
        print_text(out);
        break;
    case JG_TABLE_JSON:
        print_json(out);
        break;
    case JG_TABLE_MARKDOWN:
        print_markdown(out);
        break;
    case JG_TABLE_MAN:
        print_man(out);
        break;
    }
}
